//! Members that go up and down again and again, from a history of their states.

use crate::doc::{Node, json};
use crate::finding::{Finding, Level};
use crate::place::{Place, Unread};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Fewer changes than this are a failure and its end.
const CHANGE_COUNT_MIN: usize = 4;
/// How many states are kept.
const STATE_COUNT_MAX: usize = 1_000_000;

/// What members were at which time.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// By member: the time in seconds, whether it was up, and where that stands.
    pub states: BTreeMap<String, Vec<(f64, bool, Place)>>,
    pub unread: Vec<Unread>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Flap {
    pub member: String,
    pub changes: usize,
    /// From the first change to the last.
    pub span_s: f64,
    /// From one going down to the next, in the middle of all.
    pub period_s: Option<f64>,
    pub down_s: f64,
    pub place: Place,
}

impl History {
    /// Whether the start of a text shows states of members: a first object with time, member and state.
    pub fn resembles(head: &str) -> bool {
        let first = head.trim_start_matches(|c: char| c.is_whitespace() || c == '[' || c == '\u{feff}');
        let object = first.split('}').next().unwrap_or_default();
        ["\"time\"", "\"member\"", "\"state\""].iter().all(|key| object.contains(key))
    }

    /// Reads JSON lines such as `{"time":"2026-01-02T03:04:05Z","member":"10.0.0.1:80","state":"down"}`. The time
    /// may be a number of seconds or milliseconds too.
    pub fn read(file: &Arc<str>, text: &str) -> History {
        let read = json(file, text);
        let mut history = History { unread: read.unread, ..History::default() };
        let lines = read.documents.iter().flat_map(|document| match document.list() {
            [] => std::slice::from_ref(document),
            list => list,
        });
        for line in lines.take(STATE_COUNT_MAX) {
            match state(line) {
                Some((member, time_s, up)) => {
                    let states = history.states.entry(member).or_default();
                    states.push((time_s, up, line.place.clone()));
                }
                None => history.unread.push(Unread::new(
                    line.place.clone(),
                    "",
                    "time, member and state (up, down, healthy, unhealthy …) are needed",
                    "需要 time、member 和 state（up、down、healthy、unhealthy……）",
                )),
            }
        }
        for states in history.states.values_mut() {
            states.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        history
    }
}

fn state(line: &Node) -> Option<(String, f64, bool)> {
    let word = line.word("state")?.to_ascii_lowercase();
    let up = match word.as_str() {
        "up" | "healthy" | "ok" | "normal" | "passing" | "pass" | "1" => true,
        "down" | "unhealthy" | "fail" | "failed" | "abnormal" | "critical" | "draining" | "0" => false,
        _ => return None,
    };
    Some((line.word("member")?.to_owned(), time_s(line.word("time")?)?, up))
}

/// The members that flap, the worst first.
pub fn flapping(history: &History) -> Vec<Flap> {
    let mut flaps: Vec<Flap> =
        history.states.iter().filter_map(|(member, states)| flap(member, states)).collect();
    flaps.sort_by(|a, b| b.changes.cmp(&a.changes).then_with(|| a.member.cmp(&b.member)));
    flaps
}

fn flap(member: &str, states: &[(f64, bool, Place)]) -> Option<Flap> {
    let pairs = states.windows(2).filter_map(|pair| match pair {
        [before, after] if before.1 != after.1 => Some(after),
        _ => None,
    });
    let changes: Vec<&(f64, bool, Place)> = pairs.collect();
    let (first, last) = (changes.first()?, changes.last()?);
    if changes.len() < CHANGE_COUNT_MIN {
        return None;
    }
    let downs: Vec<f64> = changes.iter().filter(|change| !change.1).map(|change| change.0).collect();
    let mut gaps: Vec<f64> = downs.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?)).collect();
    gaps.sort_by(f64::total_cmp);
    let down_s = states.windows(2).filter_map(|pair| match pair {
        [before, after] if !before.1 => Some(after.0 - before.0),
        _ => None,
    });
    Some(Flap {
        member: member.to_owned(),
        changes: changes.len(),
        span_s: last.0 - first.0,
        period_s: gaps.get(gaps.len() / 2).copied(),
        down_s: down_s.sum(),
        place: first.2.clone(),
    })
}

impl Flap {
    pub fn finding(&self) -> Finding {
        let (member, changes, span_s) = (&self.member, self.changes, self.span_s);
        let period = self.period_s.map_or((String::new(), String::new()), |seconds| {
            (format!(", about every {seconds:.0} s"), format!("，大约每 {seconds:.0} 秒一次"))
        });
        Finding::new(
            "health-flapping",
            Level::Error,
            &self.place,
            format!("{member} changed its state {changes} times in {span_s:.0} s{}: it flaps", period.0),
            format!("{member} 在 {span_s:.0} 秒内状态变化 {changes} 次{}：发生抖动", period.1),
        )
        .fixed(
            "text",
            "raise fall and rise, and give the check a longer timeout than the slowest good answer",
            "提高 fall 和 rise，并让检查超时长于最慢的正常响应",
            "fall 3, rise 2",
        )
    }
}

/// Seconds since 1970 from a number (milliseconds when it is large) or from RFC 3339.
fn time_s(text: &str) -> Option<f64> {
    /// A number of seconds beyond the year 5000 is one of milliseconds.
    const SECONDS_MAX: f64 = 1e11;
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then_some(if number > SECONDS_MAX { number / 1_000.0 } else { number });
    }
    let (date, clock) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let zone = clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(zone);
    let mut clock = clock.splitn(3, ':');
    let hours: f64 = clock.next()?.parse().ok()?;
    let minutes: f64 = clock.next()?.parse().ok()?;
    let seconds: f64 = clock.next().unwrap_or("0").parse().ok()?;
    let days = days_since_1970(year, month, day) as f64;
    Some(days * 86_400.0 + hours * 3_600.0 + minutes * 60.0 + seconds - offset_s(zone)?)
}

fn offset_s(zone: &str) -> Option<f64> {
    let (sign, rest) = match zone.as_bytes().first() {
        Some(b'+') => (1.0, zone.get(1..)?),
        Some(b'-') => (-1.0, zone.get(1..)?),
        _ => return Some(0.0),
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    Some(sign * (hours.parse::<f64>().ok()? * 3_600.0 + minutes.parse::<f64>().ok()? * 60.0))
}

/// In the Gregorian calendar; a year is counted from March so that the leap day is its last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_and_their_period_said() {
        let mut text = String::new();
        for at in 0..10 {
            let state = if at % 2 == 0 { "up" } else { "down" };
            text += &format!("{{\"time\": {}, \"member\": \"a:80\", \"state\": \"{state}\"}}\n", at * 15);
            text += &format!("{{\"time\": {}, \"member\": \"b:80\", \"state\": \"up\"}}\n", at * 15);
        }
        text += "{\"time\": 3, \"member\": \"c\"}\n";
        let history = History::read(&"h.jsonl".into(), &text);
        assert_eq!(history.unread.len(), 1);
        let flaps = flapping(&history);
        assert_eq!(flaps.len(), 1);
        assert_eq!((flaps[0].changes, flaps[0].span_s, flaps[0].period_s), (9, 120.0, Some(30.0)));
        assert_eq!(flaps[0].place.to_string(), "h.jsonl:3:1");
        assert!(flaps[0].finding().text.en.contains("9 times in 120 s, about every 30 s"));
    }

    #[test]
    fn times_are_read_as_numbers_and_as_rfc_3339() {
        assert_eq!(time_s("1970-01-02T00:00:01Z"), Some(86_401.0));
        assert_eq!(time_s("2024-02-29T12:00:00+02:00"), Some(1_709_200_800.0));
        assert_eq!(time_s("1709200800000"), Some(1_709_200_800.0));
        for text in ["", "x", "2024-13-01T00:00:00Z", "2024-01-01", "NaN"] {
            assert_eq!(time_s(text), None, "{text}");
        }
    }
}
