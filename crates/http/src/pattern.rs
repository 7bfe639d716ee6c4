//! What a row of repeated requests shows: limits, scattered failures, queues, one bad back end. Pure.

use crate::view::{Kind, View};

/// A wait this many times the median is out of line.
const SLOW_FACTOR: f64 = 6.0;
/// Shortest wait that can be out of line, in milliseconds.
const SLOW_MS_MIN: f64 = 400.0;
/// Shortest wait that makes a service slow, in milliseconds.
const ALL_SLOW_MS_MIN: f64 = 500.0;
/// Waits that differ by less than this share of their median are alike.
const EVENLY: f64 = 0.2;
/// Shortest service time whose queue can be seen, in milliseconds.
const QUEUE_STEP_MS_MIN: f64 = 15.0;
/// Failures in a row at the end that make a limit.
const LIMIT_TAIL_MIN: usize = 4;
/// A burst of so many requests is more than a page load.
const BURST_COUNT_MIN: usize = 10;
/// Longest period looked for in the failures of back ends taken in turn.
const PERIOD_MAX: usize = 4;
/// Headers by which a load balancer's back ends give themselves away.
const MARKS: [&str; 9] = [
    "x-backend",
    "x-served-by",
    "x-upstream",
    "x-instance",
    "x-server",
    "x-node",
    "x-backend-server",
    "x-host",
    "server",
];

/// One repeated request, as short as it can be told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shot {
    pub good: bool,
    pub kind: Kind,
    pub total_ms: f64,
    pub wait_ms: f64,
    /// What the back end says of itself.
    pub mark: String,
    /// A limit says so itself: 429, or its sign.
    pub limit_says: bool,
    pub body_state: Option<&'static str>,
}

/// How an attempt of the first question ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Try {
    pub kind: Kind,
    pub good: bool,
    pub wait_ms: f64,
}

impl Try {
    /// The gist of one attempt.
    pub fn of(view: &View) -> Try {
        Try { kind: view.kind, good: view.good, wait_ms: view.wait_ms.unwrap_or(view.times.total) }
    }
}

impl Shot {
    /// The gist of one answer.
    pub fn of(view: &View) -> Shot {
        Shot {
            good: view.good,
            kind: view.kind,
            total_ms: view.times.total,
            wait_ms: view.wait_ms.unwrap_or(view.times.total),
            mark: mark(view),
            limit_says: view.status() == 429 || view.sign.value == "rate_limit",
            body_state: view.body_state,
        }
    }
}

fn mark(view: &View) -> String {
    let mut parts: Vec<String> =
        MARKS.iter().filter_map(|name| view.head.get(name).map(|value| format!("{name}={value}"))).collect();
    let sticky = view.head.get("set-cookie").and_then(|c| c.split(';').next()).filter(|c| c.len() <= 40);
    let names = ["serverid", "srv", "backend", "route", "node"];
    parts.extend(
        sticky.filter(|c| names.iter().any(|n| c.to_ascii_lowercase().contains(n))).map(str::to_owned),
    );
    parts.join(" ")
}

/// True when one lone failure or wait asks for a second series.
pub(crate) fn unsettled(shots: &[Shot], tries: &[Try]) -> bool {
    let bad = shots.iter().filter(|s| !s.good).count();
    let slow = slow_count(shots);
    (bad == 1 || slow == 1 || failed_once(tries)) && shots.len() > 2 && bad * 2 < shots.len()
}

/// The first question failed at first and passed then.
fn failed_once(tries: &[Try]) -> bool {
    tries.first().is_some_and(|t| !t.good) && tries.last().is_some_and(|t| t.good)
}

fn slow_count(shots: &[Shot]) -> usize {
    let limit = (median(shots) * SLOW_FACTOR).max(SLOW_MS_MIN);
    shots.iter().filter(|s| s.wait_ms >= limit && (s.good || s.kind == Kind::Timeout)).count()
}

/// Every one waited long, and each about as long as the others.
fn all_slow(shots: &[Shot], tries: &[Try]) -> bool {
    let middle = median(shots);
    let even = |wait_ms: f64| (wait_ms - middle).abs() <= middle * EVENLY;
    let waits = shots.iter().map(|s| s.wait_ms).chain(tries.iter().map(|t| t.wait_ms));
    middle >= ALL_SLOW_MS_MIN && shots.len() + tries.len() >= 3 && waits.into_iter().all(even)
}

/// The first question has told already that every answer takes this long: one more will do.
pub(crate) fn slow_already(tries: &[Try]) -> bool {
    tries.len() >= 2 && tries.iter().all(|t| t.good && t.wait_ms >= 2.0 * ALL_SLOW_MS_MIN)
}

fn median(shots: &[Shot]) -> f64 {
    let mut waits: Vec<f64> = shots.iter().filter(|s| s.good).map(|s| s.wait_ms).collect();
    waits.sort_by(f64::total_cmp);
    waits.get(waits.len() / 2).copied().unwrap_or(0.0)
}

/// A value of `http.repeat`; nothing when the row proves nothing.
pub(crate) fn series(shots: &[Shot], tries: &[Try]) -> Option<&'static str> {
    let bad: Vec<&Shot> = shots.iter().filter(|s| !s.good).collect();
    if shots.is_empty() {
        return None;
    }
    if bad.len() == shots.len() {
        if tries.iter().any(|t| t.good) {
            return if bad.iter().all(|s| s.limit_says) { Some("limited") } else { scattered(&bad, false) };
        }
        let steady = tries.last().is_some_and(|t| t.kind == bad[0].kind) || shots.len() >= LIMIT_TAIL_MIN;
        return steady.then_some("all_fail");
    }
    let slow = slow_count(shots);
    if bad.is_empty() {
        return match slow {
            0 if failed_once(tries) => Some("first_fails"),
            0 if all_slow(shots, tries) => Some("all_slow"),
            0 => Some("all_ok"),
            1 => None,
            _ => Some("some_slow"),
        };
    }
    let run = tail(shots) >= LIMIT_TAIL_MIN && tail(shots) == bad.len();
    if run || bad.iter().all(|s| s.limit_says) {
        // A limit that lets a browser's burst through is no trouble to anyone.
        let passed = shots.iter().take_while(|s| s.good).count();
        return if passed >= BURST_COUNT_MIN { None } else { scattered(&bad, true) };
    }
    if bad.len() + usize::from(failed_once(tries)) < 2 {
        return None;
    }
    if bad.iter().all(|s| s.kind == Kind::Timeout) {
        return Some(if slow >= 2 { "some_slow" } else { "some_fail" });
    }
    scattered(&bad, false)
}

fn scattered(bad: &[&Shot], tail: bool) -> Option<&'static str> {
    let count = |kinds: &[Kind]| bad.iter().filter(|s| kinds.contains(&s.kind)).count();
    if count(&[Kind::Refused, Kind::NoConnection]) * 2 > bad.len() {
        return Some("some_refused");
    }
    if tail && count(&[Kind::Status(502), Kind::Status(504)]) == 0 {
        return Some("limited");
    }
    if count(&[Kind::Reset, Kind::Closed, Kind::NoTls]) * 2 > bad.len() {
        return Some("some_reset");
    }
    Some("some_fail")
}

/// Failures in a row at the end, after at least one success.
fn tail(shots: &[Shot]) -> usize {
    let count = shots.iter().rev().take_while(|s| !s.good).count();
    if count == shots.len() { 0 } else { count }
}

/// True when a pause would tell a limit from a failure.
pub(crate) fn may_be_limited(verdict: Option<&str>, shots: &[Shot]) -> bool {
    let limiting = |s: &Shot| {
        matches!(s.kind, Kind::Status(403 | 429 | 503 | 509) | Kind::Closed | Kind::Reset | Kind::Refused)
    };
    matches!(verdict, Some("all_fail" | "limited" | "some_refused"))
        && shots.iter().filter(|s| !s.good).all(limiting)
}

/// The verdict once it is known whether a request after a pause passes.
pub(crate) fn after_pause(
    verdict: Option<&'static str>,
    shots: &[Shot],
    passes: bool,
) -> Option<&'static str> {
    let says = shots.iter().any(|s| s.limit_says);
    match verdict {
        Some("all_fail") if passes => Some("limited"),
        Some("limited") if !passes && !says => Some("some_fail"),
        other => other,
    }
}

/// A value of `http.parallel`, judged beside the same request alone; what TCP or TLS held back is not HTTP's.
pub(crate) fn parallel(together: &[Shot], alone: &[Shot]) -> Option<&'static str> {
    let heard: Vec<&Shot> =
        together.iter().filter(|s| !matches!(s.kind, Kind::NoConnection | Kind::NoTls)).collect();
    let bad = heard.iter().filter(|s| !s.good && s.kind != Kind::Timeout).count();
    if bad >= 2 {
        return Some("some_fail");
    }
    if bad == 1 || heard.len() < 3 {
        return None;
    }
    let single = median(alone);
    let mut waits: Vec<f64> = heard.iter().map(|s| s.wait_ms).collect();
    waits.sort_by(f64::total_cmp);
    let (first, last) = (waits.first().copied()?, waits.last().copied()?);
    if last < SLOW_MS_MIN / 2.0 || last < single * 3.0 + 50.0 {
        return Some("all_ok");
    }
    let steps = waits.windows(2).filter(|pair| pair[1] - pair[0] >= single * 0.5).count();
    if single >= QUEUE_STEP_MS_MIN && steps >= 3 && last >= first * 2.5 {
        return Some("queued");
    }
    let slow = waits.iter().filter(|w| **w >= (single * SLOW_FACTOR).max(SLOW_MS_MIN)).count();
    Some(if slow >= 2 { "some_slow" } else { "all_ok" })
}

/// A value of `http.backends` when the answers give their back ends away.
pub(crate) fn backends(shots: &[Shot]) -> Option<(&'static str, String)> {
    let bad: Vec<&Shot> = shots.iter().filter(|s| !s.good).collect();
    let mut marks: Vec<&str> = shots.iter().map(|s| s.mark.as_str()).collect();
    marks.sort_unstable();
    marks.dedup();
    if bad.is_empty() {
        return (marks.len() == 1).then(|| ("same", format!("{} answers, all {:?}", shots.len(), marks[0])));
    }
    if bad.len() < 2 || bad.len() == shots.len() || bad.iter().any(|s| s.limit_says) {
        return None;
    }
    let theirs = &bad[0].mark;
    let apart = !theirs.is_empty()
        && bad.iter().all(|s| s.mark == *theirs)
        && shots.iter().filter(|s| s.good).all(|s| s.mark != *theirs);
    if apart {
        return Some((
            "some_bad",
            format!("every failure says {theirs:?}, no success does: {}", shown(shots)),
        ));
    }
    // A gateway's 502 may come in turn for another reason: connections reused once too often.
    if bad.iter().any(|s| s.kind == Kind::Status(502)) {
        return None;
    }
    let period = (2..=PERIOD_MAX).find(|period| in_turn(shots, *period))?;
    Some(("some_bad", format!("the same one of {period} in turn fails: {}", shown(shots))))
}

/// True when exactly the same places of each round fail, over three rounds at least.
fn in_turn(shots: &[Shot], period: usize) -> bool {
    shots.len() >= period * 3
        && shots.iter().any(|s| s.good)
        && shots.iter().enumerate().skip(period).all(|(i, s)| s.good == shots[i - period].good)
}

/// A value of `http.failure`: what most of the failed ones end with, where others pass.
pub(crate) fn failure(shots: &[Shot]) -> Option<&'static str> {
    let bad: Vec<&'static str> = shots.iter().filter(|s| !s.good).map(ending).collect();
    if bad.len() < 2 || bad.len() == shots.len() {
        return None;
    }
    bad.iter().copied().find(|one| bad.iter().filter(|other| *other == one).count() * 2 > bad.len())
}

fn ending(shot: &Shot) -> &'static str {
    match shot.kind {
        _ if shot.limit_says => "limit",
        Kind::Status(403) => "403",
        Kind::Status(404) => "404",
        Kind::Status(500) => "500",
        Kind::Status(502) => "502",
        Kind::Status(503) => "503",
        Kind::Status(504) => "504",
        Kind::Status(_) if matches!(shot.body_state, Some("truncated" | "reset_midway" | "stalled")) => {
            "truncated"
        }
        Kind::Timeout => "timeout",
        Kind::Reset | Kind::Closed => "reset",
        Kind::Refused => "refused",
        _ => "other",
    }
}

/// A row as one line: runs of equal results with their times.
pub(crate) fn shown(shots: &[Shot]) -> String {
    let good = shots.iter().filter(|s| s.good).count();
    let mut runs: Vec<(String, usize)> = Vec::new();
    for shot in shots {
        let name = match shot.body_state {
            Some(state) if !shot.good && state != "whole" => format!("{} {state}", shot.kind),
            _ => shot.kind.to_string(),
        };
        match runs.last_mut().filter(|(last, _)| *last == name) {
            Some((_, count)) => *count += 1,
            None => runs.push((name, 1)),
        }
    }
    let row: Vec<String> = runs.iter().map(|(name, count)| format!("{count}×{name}")).collect();
    let mut times: Vec<f64> = shots.iter().map(|s| s.total_ms).collect();
    times.sort_by(f64::total_cmp);
    let (low, high) = (times.first().copied().unwrap_or(0.0), times.last().copied().unwrap_or(0.0));
    format!("{good} of {} as expected: {}; {low:.0} to {high:.0} ms", shots.len(), row.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shot(status: u16, wait_ms: f64) -> Shot {
        Shot {
            good: status == 200,
            kind: Kind::Status(status),
            total_ms: wait_ms,
            wait_ms,
            mark: String::new(),
            limit_says: status == 429,
            body_state: Some("whole"),
        }
    }

    fn row(statuses: &[u16]) -> Vec<Shot> {
        statuses.iter().map(|s| shot(*s, 5.0)).collect()
    }

    #[test]
    fn rows_are_told_apart() {
        let tries = [Try { kind: Kind::Status(200), good: true, wait_ms: 5.0 }];
        let failed = [Try { kind: Kind::Status(502), good: false, wait_ms: 5.0 }];
        assert_eq!(series(&row(&[200; 12]), &tries), Some("all_ok"));
        assert_eq!(series(&row(&[200, 200, 503, 503, 503, 503, 503]), &tries), Some("limited"));
        assert_eq!(series(&row(&[200, 429, 200, 429]), &tries), Some("limited"));
        assert_eq!(series(&row(&[200, 502, 200, 502, 200, 502]), &tries), Some("some_fail"));
        assert_eq!(series(&row(&[200, 502, 200, 200]), &tries), None);
        assert_eq!(series(&row(&[502; 4]), &failed), Some("all_fail"));
        let mut slow = row(&[200; 12]);
        slow[3].wait_ms = 900.0;
        assert_eq!(series(&slow, &tries), None);
        slow[7].wait_ms = 1_000.0;
        assert_eq!(series(&slow, &tries), Some("some_slow"));
        assert_eq!(backends(&row(&[200, 500, 200, 500, 200, 500, 200, 500])).unwrap().0, "some_bad");
    }

    #[test]
    fn a_queue_has_steps() {
        let alone: Vec<Shot> = (0..12).map(|_| shot(200, 100.0)).collect();
        let queued: Vec<Shot> = (1..=10).map(|i| shot(200, f64::from(i) * 100.0)).collect();
        assert_eq!(parallel(&queued, &alone), Some("queued"));
        let fine: Vec<Shot> = (0..10).map(|_| shot(200, 120.0)).collect();
        assert_eq!(parallel(&fine, &alone), Some("all_ok"));
    }
}
