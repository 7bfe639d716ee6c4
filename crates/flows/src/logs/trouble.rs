//! Error logs of nginx and Apache: the lines that speak of limits, time-outs, refusals and failed logins.

use super::event::{
    Login, LoginMethod, Outcome, Server, Service, Trouble, TroubleKind, USER_BYTES_MAX, WORD_BYTES_MAX, What,
    clean,
};
use super::line::{Place, Read};
use super::time::Clock;
use super::words::{address, quoted, value};
use crate::record::Address;

/// The longest message that is kept, in bytes.
const MESSAGE_BYTES_MAX: usize = 120;

/// `2021/09/30 09:23:53 [error] 1#1: *17 …, client: 1.2.3.4, server: _, request: "GET / HTTP/1.1", host: "a"`.
pub fn nginx(text: &str, clock: &Clock, place: &Place) -> Option<Read> {
    let (time_ms, rest) = clock.leading(text)?;
    let (level, rest) = rest.strip_prefix(" [")?.split_once("] ")?;
    if !LEVELS.contains(&level) {
        return None;
    }
    let (process, rest) = rest.split_once(": ")?;
    if process.is_empty() || !process.bytes().all(|byte| byte.is_ascii_digit() || byte == b'#') {
        return None;
    }
    let message = match rest.strip_prefix('*').and_then(|rest| rest.split_once(' ')) {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => rest,
    };
    // What the client sent stands behind; only the server's own words are searched.
    let own = message.split(", client: ").next().unwrap_or(message);
    let client = client_of(message);
    let host = value(message, "host: ").or_else(|| value(message, "server: ")).unwrap_or_default();
    let event = |what| {
        let host = clean(host.trim_end_matches(','), WORD_BYTES_MAX);
        Read::Event(place.event(time_ms, client, host, what))
    };
    if let Some(login) = nginx_login(own, message) {
        return Some(event(What::Login(login)));
    }
    let request = message
        .find("request: \"")
        .and_then(|at| quoted(&message[at + 9..]))
        .map_or("", |(inside, _)| inside);
    let Some(kind) = nginx_kind(own) else { return Some(Read::Quiet) };
    Some(event(What::Error(trouble(Server::Nginx, kind, own, request))))
}

const LEVELS: [&str; 8] = ["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"];

fn client_of(message: &str) -> (Address, u16) {
    let behind = message.rfind(", client: ").map(|at| &message[at + 10..]);
    let behind = behind.or_else(|| message.strip_prefix("client "));
    let word = behind.and_then(|rest| rest.split([',', ' ']).next());
    word.and_then(address).unwrap_or_default()
}

/// What the quotes at the beginning hold.
fn inside(text: &str) -> &str {
    quoted(text).map_or("", |(inside, _)| inside)
}

fn nginx_login(own: &str, message: &str) -> Option<Login> {
    if let Some(rest) = own.strip_prefix("user ") {
        let outcome = match own {
            _ if own.contains("was not found in") => Outcome::InvalidUser,
            _ if own.contains("password mismatch") => Outcome::Failed,
            _ => return None,
        };
        return Some(login(Service::Web, "nginx", inside(rest), outcome));
    }
    let outcome = match own {
        _ if own.starts_with("client login failed") => Outcome::Failed,
        _ if own.starts_with("client logged in") => Outcome::Accepted,
        _ => return None,
    };
    let named = message.find(", login: ").map_or("", |at| &message[at + 9..]);
    Some(login(Service::Mail, "nginx", inside(named), outcome))
}

/// A password that a web server was given.
fn login(service: Service, program: &str, user: &str, outcome: Outcome) -> Login {
    let (program, user) = (program.into(), clean(user, USER_BYTES_MAX));
    Login { service, program, user, method: LoginMethod::Password, outcome, times: 1, process: 0 }
}

/// What nginx's own words mean; the words are in its sources, each of them once.
fn nginx_kind(own: &str) -> Option<TroubleKind> {
    first_of(
        own,
        &[
            ("limiting requests", TroubleKind::LimitedRequests),
            ("limiting connections", TroubleKind::LimitedConnections),
            ("upstream timed out", TroubleKind::UpstreamTimedOut),
            ("client timed out", TroubleKind::ClientTimedOut),
            ("while reading client request headers", TroubleKind::ClientClosed),
            ("while reading client request line", TroubleKind::ClientClosed),
            ("client closed connection", TroubleKind::ClientClosed),
            ("prematurely closed connection", TroubleKind::ClientClosed),
            ("worker_connections are not enough", TroubleKind::Exhausted),
            ("worker_connections exceed", TroubleKind::Exhausted),
            ("Too many open files", TroubleKind::Exhausted),
            ("accept() failed", TroubleKind::Exhausted),
            ("no live upstreams", TroubleKind::UpstreamFailed),
            ("while connecting to upstream", TroubleKind::UpstreamFailed),
            ("upstream sent", TroubleKind::UpstreamFailed),
            ("upstream prematurely", TroubleKind::UpstreamFailed),
            ("(2: No such file or directory)", TroubleKind::NotFound),
            ("is not found (", TroubleKind::NotFound),
            ("access forbidden by rule", TroubleKind::Forbidden),
            ("is forbidden", TroubleKind::Forbidden),
            ("client sent", TroubleKind::Malformed),
            ("client intended to send too large", TroubleKind::Malformed),
            ("invalid method", TroubleKind::Malformed),
            ("SSL_do_handshake() failed", TroubleKind::TlsFailed),
            ("while SSL handshaking", TroubleKind::TlsFailed),
            ("ModSecurity:", TroubleKind::Firewall),
        ],
    )
}

fn first_of(own: &str, table: &[(&str, TroubleKind)]) -> Option<TroubleKind> {
    table.iter().find(|(words, _)| own.contains(words)).map(|(_, kind)| *kind)
}

/// `[Fri Oct 08 17:08:41.203277 2021] [core:error] [pid 7:tid 1] [client 1.2.3.4:14532] AH00126: Invalid URI …`.
pub fn apache(text: &str, clock: &Clock, place: &Place) -> Option<Read> {
    let (time_ms, rest) = clock.leading(text.strip_prefix('[')?)?;
    let mut rest = rest.strip_prefix("] ")?;
    let mut client = (Address::default(), 0);
    let mut module = None;
    // Level, process, client; the client stands in a second time where ModSecurity speaks.
    for _ in 0..8 {
        let Some((inside, behind)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else {
            break;
        };
        match inside.strip_prefix("client ").or_else(|| inside.strip_prefix("remote ")) {
            Some(told) => client = address(told).unwrap_or(client),
            None if module.is_none() => module = Some(inside),
            None => {}
        }
        rest = behind;
    }
    let level = module?.rsplit(':').next().unwrap_or_default();
    if !LEVELS.contains(&level) && !level.starts_with("trace") {
        return None;
    }
    // `(110)Connection timed out: [client …] AH…`: the client may also stand behind the system's error.
    if let Some((_, behind)) = rest.split_once("[client ").filter(|(before, _)| before.starts_with('('))
        && let Some((told, behind)) = behind.split_once("] ")
    {
        client = address(told).unwrap_or(client);
        rest = behind;
    }
    let event = |what| Read::Event(place.event(time_ms, client, "".into(), what));
    if let Some(login) = apache_login(rest) {
        return Some(event(What::Login(login)));
    }
    let Some(kind) = apache_kind(rest) else { return Some(Read::Quiet) };
    Some(event(What::Error(trouble(Server::Apache, kind, rest, ""))))
}

fn apache_login(message: &str) -> Option<Login> {
    let behind =
        message.strip_prefix("AH").and_then(|rest| rest.split_once(": ")).map_or(message, |(_, rest)| rest);
    let (user, outcome) = if let Some(rest) = behind.strip_prefix("user ") {
        let outcome = if rest.contains(" not found") { Outcome::InvalidUser } else { Outcome::Failed };
        (rest.split([' ', ':']).next().unwrap_or_default(), outcome)
    } else if message.contains("PHP message: ") && message.contains("authentication failure for") {
        ("", Outcome::Failed)
    } else {
        return None;
    };
    Some(login(Service::Web, "apache", user, outcome))
}

/// What Apache's own words mean; its numbers (AH…) are in `docs/log-message-tags` of its sources.
fn apache_kind(message: &str) -> Option<TroubleKind> {
    first_of(
        message,
        &[
            ("AH01382", TroubleKind::ClientTimedOut),
            ("header read timeout", TroubleKind::ClientTimedOut),
            ("body read timeout", TroubleKind::ClientTimedOut),
            ("MaxRequestWorkers", TroubleKind::Exhausted),
            ("MaxClients", TroubleKind::Exhausted),
            ("scoreboard is full", TroubleKind::Exhausted),
            ("Too many open files", TroubleKind::Exhausted),
            ("ModSecurity:", TroubleKind::Firewall),
            ("client denied by server configuration", TroubleKind::Forbidden),
            ("Cannot serve directory", TroubleKind::Forbidden),
            ("File does not exist", TroubleKind::NotFound),
            ("not found or unable to stat", TroubleKind::NotFound),
            ("Invalid URI", TroubleKind::Malformed),
            ("Invalid method", TroubleKind::Malformed),
            ("request failed: ", TroubleKind::Malformed),
            ("The timeout specified has expired", TroubleKind::UpstreamTimedOut),
            ("AH01102", TroubleKind::UpstreamFailed),
            ("AH01114", TroubleKind::UpstreamFailed),
            ("AH00957", TroubleKind::UpstreamFailed),
            ("AH00898", TroubleKind::UpstreamFailed),
            ("SSL handshake", TroubleKind::TlsFailed),
            ("SSL Library Error", TroubleKind::TlsFailed),
        ],
    )
}

/// Makes the error of a line; what the client sent does not get into its message.
pub fn trouble(server: Server, kind: TroubleKind, message: &str, request: &str) -> Trouble {
    let own = message.split(['"', '?']).next().unwrap_or_default().trim_end();
    let target = request.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    Trouble { server, kind, path: clean(path, WORD_BYTES_MAX), message: clean(own, MESSAGE_BYTES_MAX) }
}
