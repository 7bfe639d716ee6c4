//! The question `http.upgrade`: the WebSocket handshake (RFC 6455, section 4).

use crate::HttpSeen;
use crate::ask::Ask;
use crate::exchange::answer;
use crate::facts::{seen as fact, unread};
use crate::origin::{self, Speaks, how_it_speaks};
use crate::view::{Kind, View};
use netwhy_model::{Case, Evidence};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::rand::{SecureRandom, SystemRandom};
use std::net::SocketAddr;
use std::time::Duration;

/// Joined to the key before hashing (RFC 6455, section 1.3).
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Wait for the answer, in milliseconds.
const WAIT_MS: u64 = 2_500;

/// Asks to switch; when a proxy does not and the origin is known, asks the origin too.
pub(crate) async fn upgrade(case: &Case, address: SocketAddr, seen: &HttpSeen) -> Vec<Evidence> {
    if !wanted(case, seen) {
        return vec![fact("http.upgrade", "not_asked", "nothing speaks of an upgrade")];
    }
    let ask = Ask::of(case, address);
    let (first, view) = attempt(case, &ask).await;
    if first {
        return vec![fact("http.upgrade", "switched", format!("{}: 101", ask.url()))];
    }
    let (second, view) =
        if view.status() == 0 || view.status() >= 500 { attempt(case, &ask).await } else { (false, view) };
    if second {
        return vec![fact("http.upgrade", "switched", format!("{}: 101 at the second attempt", ask.url()))];
    }
    if matches!(view.kind, Kind::NoConnection | Kind::Refused | Kind::NoTls) {
        return vec![unread("http.upgrade", format!("not asked: {}", view.text()))];
    }
    let mut text = format!("{}: {} instead of 101", ask.url(), view.text());
    let mut dropped = says_no_upgrade_came(&view);
    if let Some(to) = origin::address(case) {
        let direct = match how_it_speaks(case, to, None).await {
            Speaks::Plain(ask) | Speaks::Tls(ask) | Speaks::Silent(ask) | Speaks::Neither(ask, _) => ask,
        };
        let (switched, view) = attempt(case, &direct).await;
        text.push_str(&format!("; the origin {to}: {}", view.text()));
        dropped = switched;
    }
    vec![fact("http.upgrade", if dropped { "dropped_by_proxy" } else { "refused" }, text)]
}

/// True when something suggests that the target speaks WebSocket.
fn wanted(case: &Case, seen: &HttpSeen) -> bool {
    let path = case.target.path.split('?').next().unwrap_or("").to_ascii_lowercase();
    let hinted = path.split('/').any(|part| {
        matches!(part, "ws" | "wss" | "socket" | "websocket" | "sockjs" | "socket.io" | "cable" | "live")
    });
    case.header("upgrade").is_some()
        || hinted
        || seen.told.view.status() == 426
        || case.expect.status.contains(&101)
        || says_no_upgrade_came(&seen.told.view)
}

/// The service answers, and misses the very headers that were sent: someone between took them out.
fn says_no_upgrade_came(view: &View) -> bool {
    let text = String::from_utf8_lossy(&view.page).to_ascii_lowercase();
    let speaks = ["upgrade", "websocket"].iter().any(|word| text.contains(word));
    view.status() == 426 || (view.status() == 400 && speaks)
}

async fn attempt(case: &Case, ask: &Ask) -> (bool, View) {
    let key = key();
    let asked = ask
        .clone()
        .into_get()
        .without_header("accept-encoding")
        .with_header("Connection", "Upgrade")
        .with_header("Upgrade", "websocket")
        .with_header("Sec-WebSocket-Version", "13")
        .with_header("Sec-WebSocket-Key", &key)
        .within(Duration::from_millis(WAIT_MS));
    let view = View::of(case, answer(case, &asked).await);
    let accept = view.head.get("sec-websocket-accept");
    let named = view.head.get("upgrade").is_some_and(|u| u.eq_ignore_ascii_case("websocket"));
    // A service that switches without the hash is no WebSocket, but the way there let the upgrade through.
    let switched = view.status() == 101 && (accept == Some(accept_for(&key).as_str()) || named);
    (switched, view)
}

fn key() -> String {
    let mut bytes = [0; 16];
    let _ = SystemRandom::new().fill(&mut bytes);
    base64(&bytes)
}

fn accept_for(key: &str) -> String {
    base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{ACCEPT_GUID}").as_bytes()).as_ref())
}

/// RFC 4648, section 4; two uses do not pay for a crate.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, i| bits << 8 | u32::from(group.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let sextet = (bits >> (18 - 6 * i)) & 63;
            out.push(if i <= group.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(accept_for("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
