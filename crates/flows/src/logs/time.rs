//! The times of log lines: every usual shape, at the beginning of a text.

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// A line may be this much younger than the file says, for clocks that differ.
const AHEAD_MS_MAX: i64 = DAY_MS;

/// What a line does not tell about its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clock {
    /// When the log was last written (the file's date), in milliseconds since 1970: gives the year to times without one.
    /// Zero where it is not known: `LogReader` then takes the present.
    pub latest_ms: i64,
    /// Where local times without a zone are from, in minutes east of UTC.
    pub zone_minutes: i32,
}

#[derive(Debug, Clone, Copy)]
struct Date {
    /// Zero where not told.
    year: i64,
    month: u32,
    day: u32,
}

impl Clock {
    /// Reads a time at the beginning of a text: milliseconds since 1970 and what follows it.
    pub fn leading<'a>(&self, text: &'a str) -> Option<(i64, &'a str)> {
        let first = *text.as_bytes().first()?;
        if first.is_ascii_digit() {
            self.year_first(text).or_else(|| self.day_first(text)).or_else(|| epoch(text))
        } else {
            self.month_first(text)
        }
    }

    /// `2022-02-09T20:53:37.123+01:00`, `2022/02/09 20:53:37`, `2022-02-09 20:53:37,123 UTC`.
    fn year_first<'a>(&self, text: &'a str) -> Option<(i64, &'a str)> {
        let (year, rest) = number(text, 4, 4)?;
        let rest = rest.strip_prefix(['-', '/'])?;
        let (month, rest) = number(rest, 2, 2)?;
        let rest = rest.strip_prefix(['-', '/'])?;
        let (day, rest) = number(rest, 1, 2)?;
        let rest = rest.strip_prefix(['T', 't', ' ', ':'])?;
        let (ms, rest) = time_of_day(rest.strip_prefix("- ").unwrap_or(rest))?;
        self.with_zone(Date { year: year.into(), month, day }, ms, rest)
    }

    /// `29/Sep/2021:14:11:34 +0200`, `06/Feb/2009:12:14:14.655`.
    fn day_first<'a>(&self, text: &'a str) -> Option<(i64, &'a str)> {
        let (day, rest) = number(text, 1, 2)?;
        let (month, rest) = month(rest.strip_prefix(['/', '-', ' '])?)?;
        let (year, rest) = number(rest.strip_prefix(['/', '-', ' '])?, 4, 4)?;
        let (ms, rest) = time_of_day(rest.strip_prefix([':', ' '])?)?;
        self.with_zone(Date { year: year.into(), month, day }, ms, rest)
    }

    /// `Feb 12 14:10:21`, `Fri Oct 08 17:08:41.203277 2021`, `Wed 2022-02-09 20:53:37 UTC`.
    fn month_first<'a>(&self, text: &'a str) -> Option<(i64, &'a str)> {
        let text = match text.split_once(' ') {
            Some((weekday, rest)) if is_weekday(weekday) => rest.trim_start_matches(' '),
            _ => text,
        };
        if text.starts_with(|letter: char| letter.is_ascii_digit()) {
            return self.year_first(text);
        }
        let (month, rest) = month(text)?;
        let (day, rest) = number(rest.strip_prefix(' ')?.trim_start_matches(' '), 1, 2)?;
        let mut rest = rest.strip_prefix(' ')?;
        let mut year = 0;
        if let Some((told, after)) = number(rest, 4, 4)
            && let Some(after) = after.strip_prefix(' ')
        {
            (year, rest) = (told.into(), after);
        }
        let (ms, rest) = time_of_day(rest)?;
        if year == 0
            && let Some((told, after)) = rest.strip_prefix(' ').and_then(|rest| number(rest, 4, 4))
            && !after.starts_with(|letter: char| letter.is_alphanumeric() || "-.:_".contains(letter))
        {
            return self.with_zone(Date { year: told.into(), month, day }, ms, after);
        }
        self.with_zone(Date { year, month, day }, ms, rest)
    }

    fn with_zone<'a>(&self, date: Date, ms: i64, rest: &'a str) -> Option<(i64, &'a str)> {
        if !(1..=12).contains(&date.month) || !(1..=31).contains(&date.day) {
            return None;
        }
        let (zone, rest) = zone(rest).unwrap_or((self.zone_minutes, rest));
        let at = |year: i64| days(year, date.month, date.day) * DAY_MS + ms - i64::from(zone) * 60_000;
        if date.year != 0 {
            return Some((at(date.year), rest));
        }
        let (latest, _, _) = civil(self.latest_ms.clamp(0, 400 * 366 * DAY_MS).div_euclid(DAY_MS));
        let year = if at(latest + 1) <= self.latest_ms.saturating_add(AHEAD_MS_MAX) {
            latest + 1
        } else if at(latest) <= self.latest_ms.saturating_add(AHEAD_MS_MAX) {
            latest
        } else {
            latest - 1
        };
        Some((at(year), rest))
    }
}

/// `1644436417.123`: seconds since 1970, as `journalctl -o short-unix` and nginx's `$msec` write them.
fn epoch(text: &str) -> Option<(i64, &str)> {
    let (seconds, rest) = number(text, 9, 10)?;
    let rest = rest.strip_prefix('.')?;
    let (ms, rest) = fraction(rest)?;
    Some((i64::from(seconds) * 1000 + ms, rest))
}

/// `14:10:21`, ` 5:13:11`, with a fraction or without.
fn time_of_day(text: &str) -> Option<(i64, &str)> {
    let (hour, rest) = number(text.trim_start_matches(' '), 1, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2, 2)?;
    let (second, rest) = number(rest.strip_prefix(':')?, 2, 2)?;
    // Sixty is a leap second; some programs write what is not the second at all.
    if hour > 23 || minute > 59 || second > 99 {
        return None;
    }
    let (ms, rest) = match rest.strip_prefix(['.', ',']).and_then(fraction) {
        Some((ms, rest)) => (ms, rest),
        None => (0, rest),
    };
    Some((i64::from(hour * 3600 + minute * 60 + second) * 1000 + ms, rest))
}

/// The digits behind the point of a second, as milliseconds.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    if len == 0 {
        return None;
    }
    let ms =
        text.bytes().take(len).chain(*b"00").take(3).fold(0, |ms, digit| ms * 10 + i64::from(digit - b'0'));
    Some((ms, &text[len..]))
}

/// `Z`, `+01:00`, ` +0100`, ` -05:00`, ` UTC`: minutes east of UTC.
fn zone(text: &str) -> Option<(i32, &str)> {
    if let Some(rest) = text.strip_prefix(['Z', 'z']) {
        return Some((0, rest));
    }
    let text = text.strip_prefix(' ').unwrap_or(text);
    for name in ["UTC", "GMT"] {
        if let Some(rest) = text.strip_prefix(name) {
            return Some((0, rest));
        }
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let two = |text: &str| {
        text.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse::<u32>().ok()
    };
    let hours = two(&text[1..])?;
    let rest = &text[3..];
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let minutes = two(rest)?;
    let rest = &rest[2..];
    (hours <= 18 && minutes < 60).then_some((sign * (hours * 60 + minutes) as i32, rest))
}

/// A decimal number of so many digits, no digit behind it.
fn number(text: &str, digits_min: usize, digits_max: usize) -> Option<(u32, &str)> {
    let len = text.bytes().take(digits_max + 1).take_while(u8::is_ascii_digit).count();
    if !(digits_min..=digits_max).contains(&len) {
        return None;
    }
    let value = text
        .bytes()
        .take(len)
        .try_fold(0u32, |value, digit| value.checked_mul(10)?.checked_add(u32::from(digit - b'0')))?;
    Some((value, &text[len..]))
}

fn month(text: &str) -> Option<(u32, &str)> {
    const NAMES: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let name = text.get(..3)?;
    let place = NAMES.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    Some((place as u32 + 1, &text[3..]))
}

fn is_weekday(word: &str) -> bool {
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&word)
}

/// Days since 1970 of a date (Howard Hinnant, "chrono-compatible low-level date algorithms").
pub(crate) fn days(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = i64::from((153 * ((month + 9) % 12) + 2) / 5 + day - 1);
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of days since 1970.
pub(crate) fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * month + 2) / 5 + 1) as u32;
    let month = if month < 10 { month + 3 } else { month - 9 } as u32;
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2022-02-09T19:53:37Z.
    const AT: i64 = 1_644_436_417_000;

    #[test]
    fn every_usual_shape_is_the_same_moment() {
        let clock = Clock { latest_ms: AT + 40 * DAY_MS, zone_minutes: 0 };
        for text in [
            "2022-02-09T19:53:37Z|",
            "2022-02-09T20:53:37+01:00|",
            "2022-02-09T20:53:37+0100|",
            "2022-02-09 19:53:37|",
            "2022/02/09 19:53:37|",
            "09/Feb/2022:20:53:37 +0100|",
            "09/Feb/2022:19:53:37|",
            "Wed Feb 09 19:53:37 2022|",
            "Wed Feb 09 19:53:37.000000 2022|",
            "Wed 2022-02-09 19:53:37 UTC|",
            "Feb  9 19:53:37|",
            "Feb 09 2022 19:53:37|",
            "1644436417.000|",
        ] {
            assert_eq!(clock.leading(text), Some((AT, "|")), "{text}");
        }
        assert_eq!(clock.leading("2022-02-09 19:53:37,250 x"), Some((AT + 250, " x")));
    }

    #[test]
    fn a_year_that_is_not_told_is_the_last_possible_one() {
        let january = days(2023, 1, 5) * DAY_MS;
        let clock = Clock { latest_ms: january, zone_minutes: 0 };
        assert_eq!(clock.leading("Dec 31 00:00:00 x"), Some((days(2022, 12, 31) * DAY_MS, " x")));
        assert_eq!(clock.leading("Jan  4 00:00:00 x"), Some((days(2023, 1, 4) * DAY_MS, " x")));
        // A clock one hour ahead over the turn of the year.
        let clock = Clock { latest_ms: days(2022, 12, 31) * DAY_MS + 82_800_000, zone_minutes: 0 };
        assert_eq!(clock.leading("Jan  1 00:00:00 x"), Some((days(2023, 1, 1) * DAY_MS, " x")));
    }

    #[test]
    fn a_host_that_begins_with_digits_is_not_a_year() {
        let clock = Clock { latest_ms: AT, zone_minutes: 0 };
        let (_, rest) = clock.leading("Feb  9 19:53:37 2001.example sshd[1]: x").unwrap();
        assert_eq!(rest, " 2001.example sshd[1]: x");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", latest in any::<i64>(), zone in -1000..1000i32) {
            let _ = Clock { latest_ms: latest, zone_minutes: zone }.leading(&text);
        }

        #[test]
        fn a_date_is_itself_again(day in -200_000i64..200_000) {
            let (year, month, of_month) = civil(day);
            prop_assert_eq!(days(year, month, of_month), day);
        }
    }
}
