//! HTTP/2 and HTTP/3 beside HTTP/1.1: offered, expected, advertised, and whether they work.

use crate::ask::Ask;
use crate::dial::{DialError, Secure, dial, on_port};
use crate::exchange::answer;
use crate::facts::seen as fact;
use crate::quic;
use crate::view::View;
use bytes::Bytes;
use netwhy_model::{Case, Evidence};
use std::time::Duration;

/// Wait for one HTTP/2 or HTTP/3 response, in milliseconds.
const WAIT_MS: u64 = 2_000;
/// Body bytes read of such a response.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// How one attempt with another protocol ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spoken {
    Status(u16),
    NotOffered,
    Broken(String),
}

/// `http.h2` or `http.h3` when the user expects it.
pub(crate) async fn expected(case: &Case, ask: &Ask, view: &View, version: &str) -> Option<Evidence> {
    if version == "2" { two(case, ask, view).await } else { three(case, ask, view).await }
}

/// Both facts, as far as they can be asked.
pub(crate) async fn compare(case: &Case, ask: &Ask, view: &View) -> Vec<Evidence> {
    let (two, three) = tokio::join!(two(case, ask, view), three(case, ask, view));
    two.into_iter().chain(three).collect()
}

async fn two(case: &Case, ask: &Ask, view: &View) -> Option<Evidence> {
    let wanted = case.expect.http.as_deref() == Some("2");
    if ask.secure.is_none() && !wanted {
        return None;
    }
    let mut spoken = speak_two(case, ask).await.ok()?;
    let silent = matches!(&spoken, Spoken::Broken(why) if why.contains("no whole response"));
    if !silent && !fits(&spoken, view, case) {
        spoken = speak_two(case, ask).await.ok()?;
    }
    // A limit met meanwhile is not HTTP/2's doing.
    if matches!(spoken, Spoken::Status(_)) && !fits(&spoken, view, case) {
        let again = View::of(case, answer(case, ask).await);
        if again.kind != view.kind {
            return None;
        }
    }
    let (value, text) = match &spoken {
        Spoken::NotOffered if wanted => {
            ("missing_expected", "ALPN h2 offered, the server chose another".to_owned())
        }
        Spoken::NotOffered => ("not_offered", "ALPN h2 offered, the server chose another".to_owned()),
        Spoken::Broken(why) if ask.secure.is_none() => {
            ("missing_expected", format!("prior knowledge: {why}"))
        }
        Spoken::Broken(why) => ("broken", format!("{why}; over HTTP/1.1: {}", view.text())),
        Spoken::Status(status) if fits(&spoken, view, case) => ("ok", format!("HTTP/2 {status}")),
        Spoken::Status(status) => ("broken", format!("HTTP/2 {status}; over HTTP/1.1: {}", view.text())),
    };
    Some(fact("http.h2", value, text))
}

async fn three(case: &Case, ask: &Ask, view: &View) -> Option<Evidence> {
    let wanted = case.expect.http.as_deref() == Some("3");
    let advertised = view.head.get("alt-svc").and_then(h3_port);
    if !wanted && advertised.is_none() {
        let text = "no Alt-Svc with h3";
        return (view.status() != 0).then(|| fact("http.h3", "not_offered", text));
    }
    let port = advertised.unwrap_or(ask.address.port());
    let ask = Ask { address: on_port(ask.address, port), ..ask.clone() };
    let wait = Duration::from_millis(WAIT_MS);
    let spoken = quic::speak(case, &ask, wait).await;
    let from = if advertised.is_some() { "Alt-Svc advertises h3" } else { "h3 is expected" };
    let (value, text) = match spoken {
        Spoken::Status(status) => ("ok", format!("HTTP/3 {status} on UDP {port}")),
        Spoken::NotOffered | Spoken::Broken(_) if wanted && advertised.is_none() => {
            ("missing_expected", format!("{from}; UDP {port}: {}", why(&spoken)))
        }
        _ => ("advertised_dead", format!("{from} on UDP {port}: {}", why(&spoken))),
    };
    Some(fact("http.h3", value, text))
}

fn why(spoken: &Spoken) -> &str {
    if let Spoken::Broken(why) = spoken { why } else { "not offered" }
}

/// The same class of status as over HTTP/1.1, or what the user expects.
fn fits(spoken: &Spoken, view: &View, case: &Case) -> bool {
    match spoken {
        Spoken::Status(status) => case.expect.accepts_status(*status) || status / 100 == view.status() / 100,
        Spoken::NotOffered => true,
        Spoken::Broken(_) => false,
    }
}

/// The port of the first h3 alternative on the same host (RFC 7838, section 3).
fn h3_port(value: &str) -> Option<u16> {
    value.split(',').find_map(|entry| {
        let authority = entry.trim().strip_prefix("h3=")?.split(';').next()?.trim().trim_matches('"');
        authority.strip_prefix(':')?.parse().ok()
    })
}

/// One request over HTTP/2; an error means no connection to speak on.
async fn speak_two(case: &Case, ask: &Ask) -> Result<Spoken, DialError> {
    let secure = ask
        .secure
        .clone()
        .map(|secure| Secure { alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()], ..secure });
    let line =
        dial(case, ask.address, secure.as_ref(), &ask.prelude, (ask.waits.connect, ask.waits.tls)).await?;
    if secure.is_some() && line.alpn.as_deref() != Some(b"h2") {
        line.close();
        return Ok(Spoken::NotOffered);
    }
    let told = tokio::time::timeout(Duration::from_millis(WAIT_MS), over_two(line, ask)).await;
    Ok(match told {
        Ok(Ok(status)) => Spoken::Status(status),
        Ok(Err(error)) => Spoken::Broken(format!("HTTP/2: {error}")),
        Err(_) => Spoken::Broken(format!("HTTP/2: no whole response within {WAIT_MS} ms")),
    })
}

async fn over_two(line: crate::dial::Line, ask: &Ask) -> Result<u16, h2::Error> {
    let (sender, connection) = h2::client::handshake(line).await?;
    let driver = tokio::spawn(async move {
        let _ = connection.await;
    });
    let told = request_two(sender, ask).await;
    driver.abort();
    told
}

async fn request_two(sender: h2::client::SendRequest<Bytes>, ask: &Ask) -> Result<u16, h2::Error> {
    let mut sender = sender.ready().await?;
    let Some(request) = request(ask) else { return Err(h2::Reason::INTERNAL_ERROR.into()) };
    let (response, _) = sender.send_request(request, true)?;
    let response = response.await?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut got = 0;
    while let Some(piece) = body.data().await {
        let piece = piece?;
        got += piece.len();
        body.flow_control().release_capacity(piece.len())?;
        if got >= BODY_BYTES_MAX {
            break;
        }
    }
    Ok(status)
}

/// The request in the form HTTP/2 and HTTP/3 carry, without its body.
pub(crate) fn request(ask: &Ask) -> Option<http::Request<()>> {
    let scheme = if ask.secure.is_some() { "https" } else { "http" };
    let uri = http::Uri::builder()
        .scheme(scheme)
        .authority(ask.header("host").unwrap_or("invalid.invalid"))
        .path_and_query(ask.path.as_str())
        .build()
        .ok()?;
    let mut builder = http::Request::builder().method("GET").uri(uri);
    for (name, value) in &ask.headers {
        let name = name.to_ascii_lowercase();
        // RFC 9113, section 8.2.2: these belong to one connection of HTTP/1.1.
        if !matches!(
            name.as_str(),
            "host" | "connection" | "upgrade" | "keep-alive" | "transfer-encoding" | "content-length"
        ) {
            builder = builder.header(name, value);
        }
    }
    builder.body(()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives() {
        assert_eq!(h3_port("h3=\":443\"; ma=86400, h3-29=\":443\""), Some(443));
        assert_eq!(h3_port("h2=\":443\""), None);
        assert_eq!(h3_port("h3=\"other:443\""), None);
        assert_eq!(h3_port("clear"), None);
    }
}
