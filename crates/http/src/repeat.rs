//! The question `http.repeat`: the request again and again, at once, and on one kept connection.

use crate::HttpSeen;
use crate::ask::Ask;
use crate::dial::Line;
use crate::exchange::{answer, exchange, exchange_on};
use crate::facts::{seen as fact, unread};
use crate::pattern::{self, Shot};
use crate::variants::patience;
use crate::view::{Kind, View};
use netwhy_model::{Case, Evidence};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

/// Requests one after another, each on a new connection.
const SERIES_COUNT: usize = 12;
/// Time for one series, in milliseconds.
const SERIES_MS_MAX: u64 = 1_600;
/// Failures in a row after which a series without a success ends.
const FAILURES_IN_A_ROW_MAX: usize = 4;
/// Requests at once, as many as a browser opens to one site.
const PARALLEL_COUNT: usize = 6;
/// Requests on one kept connection.
const KEPT_COUNT: usize = 6;
/// Most requests asked one after another at the user's wish.
pub const TIMES_COUNT_MAX: usize = 1_000;
/// Patience with each of several requests at once, in milliseconds.
const PARALLEL_MS_MAX: u64 = 1_200;
/// After this time nothing further is begun, in milliseconds.
const MORE_MS_MAX: u64 = 2_800;
/// Time after which no further request goes out on a kept connection, in milliseconds.
const KEPT_MS_MAX: u64 = 700;
/// Pause between requests on a kept connection, long enough for a FIN to be seen, in milliseconds.
const KEPT_GAP_MS: u64 = 15;
/// Pause that lets a rate limit recover, in milliseconds.
const PAUSE_MS: u64 = 1_100;
/// Most bytes kept of each of many bodies.
const KEEP_BYTES_MAX: usize = 64 * 1024;
/// Shortest and longest patience with one request, in milliseconds.
const WAIT_MS: (u64, u64) = (900, 2_000);

/// Repeats the request whose answer was seen.
pub(crate) async fn repeat(case: &Case, seen: &HttpSeen) -> Vec<Evidence> {
    let begun = Instant::now();
    if matches!(seen.told.view.kind, Kind::NoConnection | Kind::Refused | Kind::NoTls) {
        return vec![unread("http.repeat", format!("not asked: {}", seen.told.view.text()))];
    }
    let ask = patient(seen);
    let count = if pattern::slow_already(&seen.tries) { 1 } else { SERIES_COUNT };
    let mut shots = series(case, &ask, count).await;
    if pattern::unsettled(&shots, &seen.tries) {
        shots.extend(series(case, &ask, SERIES_COUNT).await);
    }
    let mut verdict = pattern::series(&shots, &seen.tries);
    if pattern::may_be_limited(verdict, &shots) {
        tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
        let after = shoot(case, &ask).await;
        verdict = pattern::after_pause(verdict, &shots, after.good);
        shots.push(after);
    }
    if verdict == Some("limited") && throttled(&shots, seen) {
        verdict = Some("throttled");
    }
    let mut all = Vec::new();
    if let Some(value) = verdict {
        all.push(fact("http.repeat", value, pattern::shown(&shots)));
    }
    all.extend(pattern::failure(&shots).map(|value| fact("http.failure", value, pattern::shown(&shots))));
    all.extend(pattern::backends(&shots).map(|(value, text)| fact("http.backends", value, text)));
    if verdict == Some("all_ok") {
        all.extend(parallel(case, &ask, &shots, begun).await);
        if begun.elapsed() < Duration::from_millis(MORE_MS_MAX) && seen.told.view.status() != 101 {
            all.extend(kept(case, &ask).await);
        }
    }
    all
}

/// A limit that is met at once, and right after a pause again: others use it up.
fn throttled(shots: &[Shot], seen: &HttpSeen) -> bool {
    let rested = shots.last().is_some_and(|s| !s.good && s.limit_says);
    rested && (shots.first().is_some_and(|s| !s.good) || seen.tries.iter().any(|t| !t.good))
}

/// So many requests one after another, however long they take.
pub(crate) async fn times(case: &Case, seen: &HttpSeen, count: usize) -> Vec<Evidence> {
    let ask = seen.told.ask.clone();
    let mut shots = Vec::new();
    for _ in 0..count.min(TIMES_COUNT_MAX) {
        shots.push(shoot(case, &ask).await);
    }
    let text = pattern::shown(&shots);
    let failure = pattern::failure(&shots).map(|value| fact("http.failure", value, text.clone()));
    let backends = pattern::backends(&shots).map(|(value, text)| fact("http.backends", value, text));
    let told = pattern::series(&shots, &seen.tries).map(|value| fact("http.repeat", value, text));
    told.into_iter().chain(failure).chain(backends).collect()
}

/// The request with a patience that fits what was seen.
fn patient(seen: &HttpSeen) -> Ask {
    let wait = patience(seen.told.view.wait_ms.unwrap_or(0.0), 4.0, WAIT_MS);
    let ask = seen.told.ask.clone().within(wait);
    Ask { keep_max: KEEP_BYTES_MAX, ..ask }
}

async fn shoot(case: &Case, ask: &Ask) -> Shot {
    let view = View::of(case, answer(case, ask).await);
    Shot::of(&view)
}

async fn series(case: &Case, ask: &Ask, count: usize) -> Vec<Shot> {
    let until = Instant::now() + Duration::from_millis(SERIES_MS_MAX);
    let mut shots: Vec<Shot> = Vec::new();
    while shots.len() < count && Instant::now() < until {
        shots.push(shoot(case, ask).await);
        if shots.len() >= FAILURES_IN_A_ROW_MAX && shots.iter().all(|s| !s.good) {
            break;
        }
    }
    shots
}

async fn volley(case: &Case, ask: &Ask) -> Vec<Shot> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..PARALLEL_COUNT {
        let (case, ask) = (case.clone(), ask.clone());
        tasks.spawn(async move { shoot(&case, &ask).await });
    }
    let mut shots = Vec::new();
    while let Some(done) = tasks.join_next().await {
        shots.extend(done.ok());
    }
    shots
}

/// `http.parallel`; what is broken is seen twice before it is told.
async fn parallel(case: &Case, ask: &Ask, alone: &[Shot], begun: Instant) -> Option<Evidence> {
    // What takes long alone would only run into the end of patience.
    let single = alone.iter().map(|s| s.wait_ms).fold(0.0, f64::max);
    if single * 2.0 > PARALLEL_MS_MAX as f64 {
        return None;
    }
    let ask = &ask.clone().within(Duration::from_millis(PARALLEL_MS_MAX));
    let first = volley(case, ask).await;
    let verdict = pattern::parallel(&first, alone)?;
    if verdict == "all_ok" {
        return Some(fact("http.parallel", verdict, pattern::shown(&first)));
    }
    if begun.elapsed() > Duration::from_millis(MORE_MS_MAX) {
        // A queue has steps nothing else makes; anything else would have to be seen twice.
        return (verdict == "queued").then(|| fact("http.parallel", verdict, pattern::shown(&first)));
    }
    let second = volley(case, ask).await;
    let again = pattern::parallel(&second, alone)?;
    let text = format!("{}; again: {}", pattern::shown(&first), pattern::shown(&second));
    (again == verdict || again != "all_ok").then(|| fact("http.parallel", again, text))
}

/// `http.kept`: a failure must come twice.
async fn kept(case: &Case, ask: &Ask) -> Option<Evidence> {
    let (value, text) = keep(case, ask).await?;
    if value != "fails" {
        return Some(fact("http.kept", value, text));
    }
    let (again, more) = keep(case, ask).await?;
    (again == "fails").then(|| fact("http.kept", "fails", format!("{text}; again: {more}")))
}

/// True when the server ended the connection on its own, as it may at any time (RFC 9112, section 9.6).
async fn hung_up(line: &mut Line) -> bool {
    let mut byte = [0; 1];
    let wait = Duration::from_millis(KEPT_GAP_MS);
    tokio::time::timeout(wait, line.read(&mut byte)).await.is_ok_and(|read| !matches!(read, Ok(1)))
}

async fn keep(case: &Case, ask: &Ask) -> Option<(&'static str, String)> {
    let (first, mut line) = exchange(case, ask).await;
    if !View::of(case, first).good {
        return None;
    }
    let until = Instant::now() + Duration::from_millis(KEPT_MS_MAX);
    for nth in 2..=KEPT_COUNT {
        if Instant::now() > until {
            return Some(("ok", format!("{} requests on one connection", nth - 1)));
        }
        let closed = match &mut line {
            Some(open) => hung_up(open).await,
            None => true,
        };
        let Some(open) = line.filter(|_| !closed) else {
            return Some((
                "closed_politely",
                format!("the answer to request {} ended the connection", nth - 1),
            ));
        };
        let (next, back) = exchange_on(open, ask).await;
        let view = View::of(case, next);
        if !view.good {
            return Some(("fails", format!("request {nth} on one connection: {}", view.text())));
        }
        line = back;
    }
    if let Some(line) = line {
        line.close();
    }
    Some(("ok", format!("{KEPT_COUNT} requests on one connection")))
}
