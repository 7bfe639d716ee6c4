//! The question `http`: the request itself, every phase timed, redirects followed.

use crate::ask::Ask;
use crate::dial::dial;
use crate::exchange::{BodyEnd, End, Upload};
use crate::facts::{seen, unread};
use crate::follow::{Followed, follow};
use crate::parse::parse_date;
use crate::pattern::Try;
use crate::signature::passed_by;
use crate::speed::{Transfer, judge};
use crate::view::{View, accepted};
use crate::{HttpSeen, Lookup, protocols, repeat, summary};
use netwhy_model::{Case, Evidence};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// A failure that came sooner is asked again before it is believed, in milliseconds.
const CONFIRM_MS_MAX: f64 = 700.0;
/// A slow answer that came sooner is asked again before it is believed, in milliseconds.
const CONFIRM_SLOW_MS_MAX: f64 = 3_000.0;
/// Time to the first byte from which a service counts as slow, in milliseconds.
pub(crate) const SLOW_MS_MIN: f64 = 1_000.0;
/// Clocks that differ by less agree, in seconds.
const CLOCK_SECONDS_MAX: i64 = 120;
/// A server's clock is called wrong from here on, when only its own Date says so, in seconds.
const CLOCK_REMOTE_SECONDS_MIN: i64 = 86_400;
/// How far past a whole second a timer's error may come, in milliseconds.
const CUTOFF_LATE_MS_MAX: f64 = 70.0;

/// Asks the request, and again before a failure is believed.
pub(crate) async fn ask_target(case: &Case, address: SocketAddr, lookup: &Lookup) -> HttpSeen {
    let ask = Ask::of(case, address);
    let first = follow(case, ask.clone(), lookup).await;
    let mut tries = vec![Try::of(&first.view)];
    let told = if well(case, &first) || !worth_asking_again(&first) {
        first
    } else {
        let second = follow(case, ask.clone(), lookup).await;
        tries.push(Try::of(&second.view));
        better(case, first, second)
    };
    let ok = well(case, &told);
    let mut evidence = told_evidence(case, &told, &tries).await;
    if let Some(version) = case.expect.http.as_deref().filter(|v| matches!(*v, "2" | "3")) {
        evidence.extend(protocols::expected(case, &told.ask, &told.view, version).await);
    }
    let missed = evidence.iter().any(|e| e.value == "missing_expected" || e.value == "broken");
    let report = summary::report(&told);
    let seen = HttpSeen { evidence, report, ok: ok && !missed, told, tries };
    if seen.tries.first().is_some_and(|t| !t.good) && ok {
        // It failed once and passed once: how often is measured at once, not guessed.
        let more = repeat::repeat(case, &seen).await;
        return HttpSeen { evidence: [seen.evidence, more].concat(), ..seen };
    }
    seen
}

/// Everything is as the user wants it.
fn well(case: &Case, told: &Followed) -> bool {
    let led = matches!(told.outcome, "none" | "ok");
    let asked = told.view.coding_offered(told.ask.header("accept-encoding").unwrap_or(""));
    told.view.good && asked && led && !over_time(case, told)
}

fn over_time(case: &Case, told: &Followed) -> bool {
    case.expect.max_time_ms.is_some_and(|most| told.total_ms > most as f64)
}

fn worth_asking_again(told: &Followed) -> bool {
    let most = if told.view.good { CONFIRM_SLOW_MS_MAX } else { CONFIRM_MS_MAX };
    told.total_ms < most
}

fn better(case: &Case, first: Followed, second: Followed) -> Followed {
    if well(case, &second) {
        return second;
    }
    let faster = second.view.good == first.view.good && second.total_ms < first.total_ms;
    if faster || (second.view.good && !first.view.good) { second } else { first }
}

async fn told_evidence(case: &Case, told: &Followed, tries: &[Try]) -> Vec<Evidence> {
    let view = &told.view;
    let mut all = exchange_facts(case, told, tries).await;
    if view.end == End::Answered {
        all.push(status(case, view));
        let (writer, why) = &view.writer;
        all.push(seen("http.writer", writer, writer_excerpt(view, why)));
        if view.sign.value != "default_site" || names_a_site(case) {
            all.push(seen("http.signature", view.sign.value, sign_excerpt(view)));
        }
        all.extend(body(view));
    }
    all.extend(timing(case, told));
    if !matches!(view.end, End::NoConnection(_)) {
        let value = told.outcome;
        all.push(seen("http.redirect", value, told.excerpt.clone()));
    }
    all.extend(upload(case, view));
    all.extend(clock(view));
    all
}

/// `http.exchange`, and what a silent plain port says to a TLS hello.
async fn exchange_facts(case: &Case, told: &Followed, tries: &[Try]) -> Vec<Evidence> {
    let view = &told.view;
    let tried: Vec<String> = tries.iter().map(|t| t.kind.to_string()).collect();
    let excerpt = format!("{} → {} ({})", told.ask.url(), view.text(), tried.join(", "));
    let fact = "http.exchange";
    let value = match &view.end {
        End::NoConnection(error) => return vec![unread(fact, format!("not asked: {}", error.text()))],
        End::Answered if matches!(view.body_state, Some("truncated" | "stalled" | "reset_midway")) => {
            return Vec::new();
        }
        End::Answered => "ok",
        End::TlsOnPlain => "tls_on_plain",
        _ if told.ask.secure.is_none() && speaks_tls(case, &told.ask).await => {
            let excerpt = format!("{excerpt}; a TLS hello on the same port completes a handshake");
            return vec![seen(fact, "tls_on_plain", excerpt)];
        }
        End::Timeout => return vec![seen(fact, "timeout", excerpt).unanswered()],
        End::Reset => "reset",
        End::EarlyClose => "early_close",
        End::Garbage(_) => "garbage",
    };
    vec![seen(fact, value, excerpt)]
}

/// True when a TLS handshake completes where plain HTTP got nowhere.
async fn speaks_tls(case: &Case, ask: &Ask) -> bool {
    let secure = crate::dial::Secure::named(&case.target.host);
    let waits = ask.waits.within(std::time::Duration::from_millis(700));
    match dial(case, ask.address, Some(&secure), &[], (waits.connect, waits.tls)).await {
        Ok(line) => {
            line.close();
            true
        }
        Err(_) => false,
    }
}

fn status(case: &Case, view: &View) -> Evidence {
    let status = view.status();
    let value = if accepted(case, status) { "expected".to_owned() } else { status_value(status) };
    seen("http.status", &value, view.text())
}

/// The catalogue's name of an unexpected status.
fn status_value(status: u16) -> String {
    const NAMED: &[u16] = &[
        400, 401, 403, 404, 405, 407, 408, 411, 413, 414, 421, 426, 429, 431, 444, 495, 496, 497, 500, 501,
        502, 503, 504, 520, 521, 522, 523, 525, 526,
    ];
    match status {
        named if NAMED.contains(&named) => named.to_string(),
        200..=299 => "unexpected_2xx".to_owned(),
        300..=399 => "3xx".to_owned(),
        400..=499 => "other_4xx".to_owned(),
        _ => "other_5xx".to_owned(),
    }
}

fn writer_excerpt(view: &View, why: &str) -> String {
    let server =
        view.head.get("server").map_or_else(|| "no Server header".to_owned(), |s| format!("Server: {s}"));
    let passed = passed_by(&view.head);
    let passed = if passed.is_empty() { String::new() } else { format!("; {}", passed.join(", ")) };
    format!("{} {server}; {why}{passed}", view.status())
}

fn sign_excerpt(view: &View) -> String {
    match view.sign.value {
        "none" => format!("{}: no known sign in {} bytes", view.status(), view.decoded_len),
        _ => format!("{}: {:?}", view.status(), view.sign.words),
    }
}

/// A default page says something only when a site was asked for by name.
fn names_a_site(case: &Case) -> bool {
    matches!(case.target.host, netwhy_model::Host::Name(_)) || case.header("host").is_some()
}

fn body(view: &View) -> Vec<Evidence> {
    let mut all = Vec::new();
    let coding = view.head.get("content-encoding").unwrap_or("identity");
    let announced = view.announced.map(|n| format!(" of {n} announced")).unwrap_or_default();
    let shown = format!(
        "{} bytes{announced}, {:?}, coding {coding}, decoding {:?}, SHA-256 {}…",
        view.body_len, view.body_end, view.decode_end, view.hash
    );
    if let Some(state) = view.body_state {
        all.push(seen("http.body", state, shown.clone()));
    }
    if view.decode_end == crate::decode::DecodeEnd::Broken {
        all.push(seen(
            "http.encoding",
            "mislabelled",
            format!("labelled {coding}, the bytes are not: {shown}"),
        ));
    } else if let Some(hidden) = view.hidden_coding {
        all.push(seen(
            "http.encoding",
            "mislabelled",
            format!("no Content-Encoding, the bytes are {hidden}: {shown}"),
        ));
    }
    all
}

/// `http.ttfb`, `http.total_time`, `http.cutoff` and `http.speed`.
fn timing(case: &Case, told: &Followed) -> Vec<Evidence> {
    let view = &told.view;
    if matches!(view.end, End::NoConnection(_)) {
        return Vec::new();
    }
    let over = over_time(case, told);
    let rtt = view.kernel.map(|k| if k.min_rtt_ms > 0.0 { k.min_rtt_ms } else { k.rtt_ms });
    let shown_rtt = rtt.map_or_else(|| "unknown".to_owned(), |ms| format!("{ms:.2} ms"));
    let mut all = Vec::new();
    match (&view.end, view.wait_ms) {
        (End::Timeout, _) => {
            let text = format!("no byte in {:.0} ms, round trip {shown_rtt}", view.times.total);
            all.push(seen("http.ttfb", "timeout", text).unanswered());
        }
        (End::Answered, Some(wait)) => {
            let expected = case.expect.max_time_ms.map(|most| most as f64);
            let late =
                over && expected.is_some_and(|most| wait > most * 0.5 && rtt.unwrap_or(0.0) < most * 0.1);
            let value = if wait >= SLOW_MS_MIN || late { "slow" } else { "fast" };
            all.push(seen(
                "http.ttfb",
                value,
                format!("first byte {wait:.1} ms after the request, round trip {shown_rtt}"),
            ));
        }
        _ => {}
    }
    if let Some(most) = case.expect.max_time_ms {
        let value = if over || view.end == End::Timeout { "over" } else { "within" };
        all.push(seen(
            "http.total_time",
            value,
            format!("{:.0} ms, expected at most {most} ms", told.total_ms),
        ));
    }
    all.push(cutoff(view));
    let missed = over || matches!(view.body_state, Some("too_small" | "stalled") | None);
    let endless = view.body_end == BodyEnd::Cut && view.announced.is_some();
    let kernel = view.kernel.unwrap_or_default();
    let (loaded_rtt_ms, out_of_order) = (kernel.receive_rtt_ms, kernel.out_of_order);
    let transfer = Transfer { pace: &view.pace, rtt_ms: rtt, loaded_rtt_ms, out_of_order, missed, endless };
    all.extend(judge(transfer).map(|(value, excerpt)| seen("http.speed", value, excerpt)));
    all
}

/// Whether an error came when a timer of whole seconds ran out.
fn cutoff(view: &View) -> Evidence {
    let failed = matches!(view.end, End::EarlyClose | End::Reset) || matches!(view.status(), 408 | 500..=599);
    let from = view.times.sent.or(view.times.secured).or(view.times.connected).unwrap_or(0.0);
    let at = view.times.first_byte.unwrap_or(view.times.total) - from;
    let second = (at / 1_000.0).round();
    // haproxy tries a refused connection again after one second, three times by default: no timer that ran out.
    let retries =
        view.status() == 503 && (1.0..=3.0).contains(&second) && view.writer.1.starts_with("haproxy");
    let late = at - second * 1_000.0;
    let round = failed && !retries && second >= 1.0 && (-10.0..=CUTOFF_LATE_MS_MAX).contains(&late);
    seen("http.cutoff", if round { "yes" } else { "no" }, format!("{} after {at:.0} ms", view.kind))
}

fn upload(case: &Case, view: &View) -> Option<Evidence> {
    let bytes = case.body_bytes.unwrap_or(0);
    if bytes == 0 {
        return Some(seen("http.upload", "not_needed", "no request body asked for"));
    }
    let kernel = view.kernel.unwrap_or_default();
    let value = match view.upload? {
        Upload::Read => "read",
        Upload::ZeroWindow => "zero_window",
        Upload::Stalled => "stalled",
    };
    let left = kernel.unsent_bytes;
    let window = kernel.peer_window;
    let unacked = kernel.unacked;
    Some(seen(
        "http.upload",
        value,
        format!(
            "{bytes} bytes: {left} unsent, {unacked} segments unacknowledged, peer window {window} bytes"
        ),
    ))
}

/// This host's clock beside the Date header and the certificate's validity.
fn clock(view: &View) -> Option<Evidence> {
    let date = parse_date(view.head.get("date")?)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    // A Date of a cached copy tells when it was made.
    let age = view.head.get("age").and_then(|a| a.trim().parse::<i64>().ok()).unwrap_or(0);
    let now = i64::try_from(now.as_secs()).ok()?;
    let ahead = now - (date + age);
    let text = format!(
        "Date is {} s {} this host's clock",
        ahead.abs(),
        if ahead > 0 { "behind" } else { "ahead of" }
    );
    if ahead.abs() <= CLOCK_SECONDS_MAX {
        return Some(seen("source.clock", "agrees", text));
    }
    let Some((from, until)) = view.validity else {
        return Some(unread(
            "source.clock",
            format!("{text}; which of the two is wrong cannot be told without a certificate"),
        ));
    };
    let inside = |moment: i64| (from..=until).contains(&moment);
    let value = match (inside(now), inside(date)) {
        (false, true) if ahead > 0 => "local_ahead",
        (false, true) => "local_behind",
        // Minutes or hours are sloppy; whole days break tokens, cookies and signed links.
        _ if ahead.abs() < CLOCK_REMOTE_SECONDS_MIN => {
            return Some(unread("source.clock", format!("{text}: too little to break anything")));
        }
        _ => "remote_off",
    };
    Some(seen("source.clock", value, format!("{text}; certificate valid from {from} to {until}, now {now}")))
}
