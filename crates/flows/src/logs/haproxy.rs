//! haproxy's lines: HTTP and TCP logs with their termination states, refused connections, servers that go down.

use super::access::{read_request, settle};
use super::event::{Ending, Event, Server, Trouble, TroubleKind, Visit, WORD_BYTES_MAX, What, clean};
use super::line::Place;
use super::time::Clock;
use super::trouble::trouble;
use super::words::{address, quoted, word};

/// Reads the message of a line; `None` where it has not the shape.
pub fn read(text: &str, time_ms: i64, clock: &Clock, place: &Place) -> Option<Event> {
    let (client, rest) = word(text);
    let client = address(client).or_else(|| client.starts_with("unix:").then(Default::default))?;
    let (accepted_ms, rest) = clock.leading(rest.strip_prefix('[')?)?;
    let rest = rest.strip_prefix("] ")?;
    let (frontend, rest) = word(rest);
    let host = clean(frontend.trim_end_matches(['~', ':']), WORD_BYTES_MAX);
    let what = if frontend.ends_with(':') { failed_connection(rest)? } else { What::Visit(visit(rest)?) };
    // The time in brackets is local; the wrapper's, where there is one, may know its zone.
    let time_ms = if time_ms == 0 { accepted_ms } else { time_ms };
    Some(place.event(time_ms, client, host, what))
}

/// `bck/srv 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {…} "GET / HTTP/1.1"`, or `bck/srv 0/0/5007 212 -- …`.
fn visit(text: &str) -> Option<Visit> {
    let (_server, rest) = word(text);
    let (timers, rest) = word(rest);
    let mut visit = Visit { server: Server::Haproxy, ..Visit::default() };
    let count = timers.split('/').count();
    if !timers.bytes().all(|byte| byte.is_ascii_digit() || b"/+-".contains(&byte)) || count < 3 {
        return None;
    }
    visit.duration_ms = timers.rsplit('/').next()?.trim_start_matches('+').parse::<u32>().ok();
    let (first, rest) = word(rest);
    let is_http = count >= 5;
    if is_http {
        visit.status = first.parse::<i32>().ok()?.clamp(0, 999) as u16;
    }
    let (bytes, rest) = if is_http { word(rest) } else { (first, rest) };
    visit.bytes = bytes.trim_start_matches('+').parse().ok()?;
    let rest = if is_http { word(word(rest).1).1 } else { rest };
    let (state, rest) = word(rest);
    if is_http {
        // In what clients sent, captured headers too, haproxy writes a quote as `#22`: the first one is the request's.
        // A request that was cut for its length has no closing one.
        if let Some(at) = rest.find('"') {
            let request = quoted(&rest[at..]).map_or(&rest[at + 1..], |(inside, _)| inside);
            read_request(request, &mut visit);
        }
        settle(&mut visit);
    }
    visit.ending = ending(state).unwrap_or(visit.ending);
    Some(visit)
}

/// What the first letter of a termination state says (configuration manual, section 8.5).
fn ending(state: &str) -> Option<Ending> {
    Some(match *state.as_bytes().first()? {
        b'c' => Ending::ClientTimedOut,
        b'C' => Ending::ClientAborted,
        b's' => Ending::ServerTimedOut,
        b'S' => Ending::ServerFailed,
        b'P' | b'R' => Ending::Denied,
        _ => return None,
    })
}

/// `frontend/1: SSL handshake failure`, `Connection closed during SSL handshake`.
fn failed_connection(text: &str) -> Option<What> {
    let kind = match text {
        _ if text.starts_with("Timeout during") => TroubleKind::ClientTimedOut,
        _ if text.contains("SSL") => TroubleKind::TlsFailed,
        _ if text.starts_with("Connection closed") => TroubleKind::ClientClosed,
        _ if text.starts_with("Received something which does not look like") => TroubleKind::Malformed,
        _ => return None,
    };
    Some(What::Error(trouble(Server::Haproxy, kind, text, "")))
}

/// What haproxy says about itself. `Some(None)` is understood and says nothing of interest.
pub fn notice(text: &str) -> Option<Option<Trouble>> {
    let said = |kind| Some(Some(trouble(Server::Haproxy, kind, text, "")));
    if let Some(rest) = text.strip_prefix("Server ") {
        return if rest.contains(" is DOWN") { said(TroubleKind::UpstreamFailed) } else { Some(None) };
    }
    if text.starts_with("backend ") && text.contains("has no server available") {
        return said(TroubleKind::UpstreamFailed);
    }
    let quiet = [
        "Connect from ",
        "Proxy ",
        "Health check for ",
        "Backup Server ",
        "Stopping ",
        "Pausing ",
        "New worker",
    ];
    if text.contains("reached the configured") || text.contains("maxconn") && text.contains("reached") {
        return said(TroubleKind::Exhausted);
    }
    quiet.iter().any(|begin| text.starts_with(begin)).then_some(None)
}
