//! When a log line says it was written. Pure; takes any text.

use netwhy_model::Stamp;
use time::{Date, Month, PrimitiveDateTime, Time, UtcOffset};

/// A date stands in the first bytes of a line, or behind one of the marks.
const HEAD_BYTES: usize = 64;
/// A year is guessed so that the date lies at most so far ahead of now, in milliseconds.
const AHEAD_MS_MAX: u64 = 86_400_000;
/// A local time further ahead than this was UTC, in milliseconds.
const ZONE_MS_SLACK: u64 = 300_000;
/// What stands before the date in lines of JSON and logfmt.
const MARKS: [&str; 7] = [
    "\"time\":\"",
    "\"ts\":\"",
    "\"timestamp\":\"",
    "\"@timestamp\":\"",
    "\"t\":{\"$date\":\"",
    " time=\"",
    "time=",
];

/// What is needed to understand dates without a year or a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    pub now: Stamp,
    /// Seconds east of Greenwich of this machine's local time.
    pub offset_s: i32,
}

/// Finds the date of a line: ISO 8601, syslog, nginx, Apache, common log, redis, klog, JSON.
pub fn date(line: &str, clock: Clock) -> Option<Stamp> {
    let head = head(line, HEAD_BYTES);
    let head = head.trim_start_matches(['[', ' ', '<']);
    iso(head)
        .or_else(|| syslog(head))
        .or_else(|| klog(head))
        .or_else(|| apache_error(head))
        .or_else(|| redis(head))
        .or_else(|| bracketed(line))
        .or_else(|| marked(line))
        .and_then(|moment| moment.stamp(clock))
}

/// A point in time as written; what it leaves open is filled from the clock.
struct Moment {
    year: Option<i32>,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    millis: u16,
    offset_s: Option<i32>,
}

impl Moment {
    fn stamp(&self, clock: Clock) -> Option<Stamp> {
        let offset_s = self.offset_s.unwrap_or(clock.offset_s);
        let latest = clock.now.millis().saturating_add(AHEAD_MS_MAX);
        let Some(year) = self.year else {
            let this = year_of(clock.now)?;
            return [this + 1, this, this - 1]
                .into_iter()
                .filter_map(|year| self.in_year(year, offset_s))
                .find(|stamp| stamp.millis() <= latest);
        };
        let stamp = self.in_year(year, offset_s)?;
        // Containers mostly write UTC while the machine keeps local time.
        if self.offset_s.is_none() && stamp.millis() > clock.now.millis().saturating_add(ZONE_MS_SLACK) {
            return self.in_year(year, 0);
        }
        Some(stamp)
    }

    fn in_year(&self, year: i32, offset_s: i32) -> Option<Stamp> {
        let date = Date::from_calendar_date(year, Month::try_from(self.month).ok()?, self.day).ok()?;
        // A leap second is the second before it, for us.
        let time = Time::from_hms_milli(self.hour, self.minute, self.second.min(59), self.millis).ok()?;
        let offset = UtcOffset::from_whole_seconds(offset_s).ok()?;
        let nanos = PrimitiveDateTime::new(date, time).assume_offset(offset).unix_timestamp_nanos();
        u64::try_from(nanos / 1_000_000).ok().map(Stamp::from_millis)
    }
}

fn year_of(now: Stamp) -> Option<i32> {
    let seconds = i64::try_from(now.millis() / 1_000).ok()?;
    time::OffsetDateTime::from_unix_timestamp(seconds).ok().map(time::OffsetDateTime::year)
}

/// `2026-11-28T11:40:56.123+00:00`, `2026-11-28 11:40:56,123`, `2026/11/28 11:40:56`.
fn iso(text: &str) -> Option<Moment> {
    let mut scan = Scan(text);
    let year = scan.number(4)?;
    let separator = scan.one_of("-/")?;
    let month = scan.number(2)?;
    scan.exactly(separator)?;
    let day = scan.number(2)?;
    scan.one_of("T _")?;
    scan.clock(Some(year), month, day)
}

/// `Nov 28 11:40:56`, with a year before or after the time where a daemon writes one.
fn syslog(text: &str) -> Option<Moment> {
    let mut scan = Scan(text);
    // `<34>` of a raw syslog frame.
    if let Some((digits, rest)) = text.split_once('>')
        && digits.len() <= 3
        && digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        scan = Scan(rest);
    }
    let month = scan.month()?;
    scan.spaces();
    let day = scan.number_up_to(2)?;
    scan.exactly(' ')?;
    scan.clock(None, month, day)
}

/// `E1128 11:40:56.123456`: Kubernetes' components.
fn klog(text: &str) -> Option<Moment> {
    let mut scan = Scan(text);
    scan.one_of("IWEF")?;
    let (month, day) = (scan.number(2)?, scan.number(2)?);
    scan.exactly(' ')?;
    scan.clock(None, month, day)
}

/// `Sat Nov 28 11:40:56.123456 2026]`: Apache's error log; the bracket is cut already.
fn apache_error(text: &str) -> Option<Moment> {
    let mut scan = Scan(text.split_once(' ').filter(|(day, _)| day.len() == 3)?.1);
    let month = scan.month()?;
    scan.spaces();
    let day = scan.number_up_to(2)?;
    scan.exactly(' ')?;
    let mut moment = scan.clock(None, month, day)?;
    scan.spaces();
    moment.year = scan.number(4);
    Some(moment)
}

/// `12:M 28 Nov 2026 11:40:56.123 #`.
fn redis(text: &str) -> Option<Moment> {
    let (pid, rest) = text.split_once(':')?;
    if pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut scan = Scan(rest.split_once(' ').filter(|(role, _)| role.len() == 1)?.1);
    let day = scan.number_up_to(2)?;
    scan.spaces();
    let month = scan.month()?;
    scan.spaces();
    let year = scan.number(4)?;
    scan.exactly(' ')?;
    scan.clock(Some(year), month, day)
}

/// `[28/Nov/2026:11:40:56 +0000]` somewhere in the line: access logs.
fn bracketed(line: &str) -> Option<Moment> {
    let start = head(line, 512).find('[')?;
    let mut scan = Scan(line.get(start + 1..)?);
    let day = scan.number(2)?;
    scan.exactly('/')?;
    let month = scan.month()?;
    scan.exactly('/')?;
    let year = scan.number(4)?;
    scan.exactly(':')?;
    scan.clock(Some(year), month, day)
}

fn marked(line: &str) -> Option<Moment> {
    MARKS.iter().find_map(|mark| {
        let at = line.find(mark)?;
        iso(line.get(at + mark.len()..)?)
    })
}

/// The first bytes, cut between characters.
fn head(line: &str, bytes_max: usize) -> &str {
    let mut end = line.len().min(bytes_max);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

/// Takes text apart from the left.
struct Scan<'a>(&'a str);

impl Scan<'_> {
    fn one_of(&mut self, set: &str) -> Option<char> {
        let letter = self.0.chars().next().filter(|letter| set.contains(*letter))?;
        self.0 = &self.0[letter.len_utf8()..];
        Some(letter)
    }

    fn exactly(&mut self, letter: char) -> Option<()> {
        self.0 = self.0.strip_prefix(letter)?;
        Some(())
    }

    fn spaces(&mut self) {
        self.0 = self.0.trim_start_matches(' ');
    }

    /// A number of just so many digits.
    fn number<T: std::str::FromStr>(&mut self, digits: usize) -> Option<T> {
        let part = self.0.get(..digits).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        self.0 = &self.0[digits..];
        part.parse().ok()
    }

    fn number_up_to<T: std::str::FromStr>(&mut self, digits: usize) -> Option<T> {
        let count = self.0.bytes().take(digits).take_while(u8::is_ascii_digit).count();
        if count == 0 { None } else { self.number(count) }
    }

    fn month(&mut self) -> Option<u8> {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let name = self.0.get(..3)?;
        let at = MONTHS.iter().position(|month| *month == name)?;
        self.0 = &self.0[3..];
        u8::try_from(at + 1).ok()
    }

    /// `11:40:56`, then a fraction and a zone where there are any.
    fn clock(&mut self, year: Option<i32>, month: u8, day: u8) -> Option<Moment> {
        let hour = self.number_up_to(2)?;
        self.exactly(':')?;
        let minute = self.number(2)?;
        self.exactly(':')?;
        let second = self.number(2)?;
        let millis = self.fraction();
        let offset_s = self.zone();
        Some(Moment { year, month, day, hour, minute, second, millis, offset_s })
    }

    fn fraction(&mut self) -> u16 {
        if !self.0.starts_with(['.', ',']) {
            return 0;
        }
        let count = self.0.bytes().skip(1).take_while(u8::is_ascii_digit).count();
        let digits: String = self.0.chars().skip(1).take(count.min(3)).collect();
        self.0 = self.0.get(1 + count..).unwrap_or_default();
        format!("{digits:0<3}").parse().unwrap_or(0)
    }

    /// `Z`, `+02:00`, `-0800`, ` +0000`, ` UTC`.
    fn zone(&mut self) -> Option<i32> {
        if self.0.starts_with('Z') || self.0.starts_with(" UTC") || self.0.starts_with(" GMT") {
            return Some(0);
        }
        let rest = self.0.strip_prefix(' ').unwrap_or(self.0);
        let mut scan = Scan(rest);
        let sign = if scan.one_of("+-")? == '-' { -1 } else { 1 };
        let hours: i32 = scan.number(2)?;
        let _ = scan.exactly(':');
        let minutes: i32 = scan.number(2)?;
        Some(sign * (hours * 3_600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-28T11:40:56.789Z, in a zone one hour east.
    const CLOCK: Clock = Clock { now: Stamp::from_millis(1_795_866_056_789), offset_s: 3_600 };

    #[test]
    fn every_habit_is_read() {
        for (line, wanted) in [
            ("2026-11-28T11:40:56.123456+00:00 host nginx: x", "2026-11-28T11:40:56.123Z"),
            ("2026-11-28T12:40:56+0100 x", "2026-11-28T11:40:56Z"),
            ("2026-11-28 12:40:56,123 ERROR x", "2026-11-28T11:40:56.123Z"),
            ("2026-11-28 11:40:56.123 UTC [12] FATAL:  x", "2026-11-28T11:40:56.123Z"),
            ("2026/11/28 12:40:56 [error] 12#12: *1 connect() failed", "2026-11-28T11:40:56Z"),
            // A container's UTC on a machine east of Greenwich looks old by an hour; west of it, ahead.
            ("Nov 28 12:40:56 host sshd[1]: x", "2026-11-28T11:40:56Z"),
            ("Dec  3 01:02:03 host sshd[1]: x", "2025-12-03T00:02:03Z"),
            ("<34>Nov 28 12:40:56 host x", "2026-11-28T11:40:56Z"),
            ("E1128 12:40:56.123456       1 proxier.go:12] x", "2026-11-28T11:40:56.123Z"),
            ("[Sat Nov 28 12:40:56.123456 2026] [core:error] x", "2026-11-28T11:40:56.123Z"),
            ("12:M 28 Nov 2026 12:40:56.123 # x", "2026-11-28T11:40:56.123Z"),
            (r#"1.2.3.4 - - [28/Nov/2026:11:40:56 +0000] "GET / HTTP/1.1" 502 1"#, "2026-11-28T11:40:56Z"),
            (r#"{"log":"x\n","stream":"stderr","time":"2026-11-28T11:40:56.1Z"}"#, "2026-11-28T11:40:56.1Z"),
            ("level=error time=2026-11-28T11:40:56Z msg=x", "2026-11-28T11:40:56Z"),
        ] {
            let found = date(line, CLOCK).map(|stamp| stamp.to_string());
            assert_eq!(found.as_deref(), Some(wanted), "{line}");
        }
        assert_eq!(date("no date here", CLOCK), None);
        assert_eq!(date("2026-13-45T99:99:99Z", CLOCK), None);
    }

    #[test]
    fn a_local_time_ahead_of_now_was_utc() {
        let west = Clock { offset_s: -8 * 3_600, ..CLOCK };
        let found = date("2026-11-28 11:40:56 x", west).unwrap();
        assert_eq!(found.to_string(), "2026-11-28T11:40:56Z");
    }

    proptest! {
        #[test]
        fn any_text_is_read(line in "([0-9:/.,TZ+\\[\\]<> -]{0,60}|(?s).{0,120})") {
            let _ = date(&line, CLOCK);
        }
    }
}
