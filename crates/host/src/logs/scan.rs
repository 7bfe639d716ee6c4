//! Goes through a log's text and gathers what it says. Pure.

use super::date::{Clock, date};
use super::table::recognise;
use crate::text::printable;
use netwhy_model::Stamp;
use netwhy_model::host::LogSign;
use std::collections::BTreeMap;

/// Lines looked at of one text.
const LINE_COUNT_MAX: usize = 20_000;
/// Bytes of a line that are looked at, and that are kept.
const LINE_BYTES_LOOKED: usize = 4_096;
pub(crate) const LINE_BYTES_KEPT: usize = 400;
/// Different lines kept of one sign in one log.
const KINDS_PER_SIGN_MAX: usize = 24;
/// Signs kept over all logs.
const SIGN_COUNT_MAX: usize = 240;

/// Signs gathered over several logs: alike ones are counted, the latest line is kept.
#[derive(Debug, Default)]
pub struct Tally {
    /// By sign, log, and who it is about.
    found: BTreeMap<(&'static str, String, String), LogSign>,
}

impl Tally {
    /// Adds one dated line.
    pub fn add(&mut self, line: &str, at: Stamp, from: &str) {
        let line = cut(line, LINE_BYTES_LOOKED);
        let Some(sign) = recognise(line) else { return };
        let mut key = (sign, from.to_owned(), who(line));
        if !self.found.contains_key(&key) {
            let same = self.found.keys().filter(|known| known.0 == sign && known.1 == from).count();
            if same >= KINDS_PER_SIGN_MAX || self.found.len() >= SIGN_COUNT_MAX {
                // Past the limit everybody shares one entry.
                key.2 = String::new();
            }
        }
        let entry = self.found.entry(key).or_insert_with(|| LogSign {
            sign: sign.to_owned(),
            at,
            line: String::new(),
            from: from.to_owned(),
            count: 0,
        });
        entry.count += 1;
        if at >= entry.at {
            entry.at = at;
            entry.line = printable(line, LINE_BYTES_KEPT);
        }
    }

    /// Adds the lines of a text that were written since then.
    ///
    /// A line without a date is as old as the one before it. Where no line has one, the last is as old as the file,
    /// and of the others it is only known that they are no younger.
    pub fn add_text(&mut self, text: &str, from: &str, since: Stamp, clock: Clock, modified: Stamp) {
        let mut last = None;
        let lines: Vec<&str> = text.lines().rev().take(LINE_COUNT_MAX).collect();
        for (before_end, line) in lines.into_iter().enumerate().rev() {
            last = date(line, clock).or(last);
            let (at, age) = match last {
                Some(at) => (at, at),
                None if before_end == 0 => (modified, modified),
                None => (Stamp::default(), modified),
            };
            if age >= since {
                self.add(line, at, from);
            }
        }
    }

    /// The signs, latest first.
    pub fn signs(self) -> Vec<LogSign> {
        let mut signs: Vec<LogSign> = self.found.into_values().collect();
        signs.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.sign.cmp(&b.sign)));
        signs
    }
}

/// The last lines of a text, printable.
pub fn last_lines(text: &str, count: usize) -> Vec<String> {
    let mut lines: Vec<String> = text
        .lines()
        .rev()
        .filter(|line| !line.trim().is_empty())
        .take(count)
        .map(|line| printable(cut(line, LINE_BYTES_LOOKED), LINE_BYTES_KEPT))
        .collect();
    lines.reverse();
    lines
}

/// Whom a line is about: its client and its upstream, else the first address in it.
fn who(line: &str) -> String {
    let between = |start: &str, ends: &[char]| {
        let rest = &line[line.find(start)? + start.len()..];
        Some(rest.split(ends).next().unwrap_or(rest))
    };
    let client = between("client: ", &[',', ' ']);
    let upstream = between("upstream: \"", &['"']).map(|url| {
        // The path differs with every request.
        let after = url.find("://").map_or(0, |at| at + 3);
        url[after..].split('/').next().unwrap_or(url)
    });
    let who = match (client, upstream) {
        (None, None) => first_address(line).unwrap_or_default().to_owned(),
        (client, upstream) => format!("{} {}", client.unwrap_or_default(), upstream.unwrap_or_default()),
    };
    cut(&who, 120).to_owned()
}

fn first_address(line: &str) -> Option<&str> {
    line.split([' ', ',', '[', ']', '(', ')', '"', '=']).find_map(|word| {
        let bare =
            word.rsplit_once(':').filter(|(host, _)| host.contains('.')).map_or(word, |(host, _)| host);
        bare.parse::<std::net::IpAddr>().ok().map(|_| bare)
    })
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLOCK: Clock = Clock { now: Stamp::from_millis(1_795_866_056_000), offset_s: 0 };

    #[test]
    fn alike_lines_are_counted_and_the_latest_kept() {
        let line = |second: u8, client: &str, port: u16| {
            format!(
                "2026/11/28 11:40:{second:02} [error] 1#1: *{second} connect() failed (111: Connection refused) while connecting to upstream, client: {client}, server: _, upstream: \"http://10.0.0.2:{port}/p{second}\"\n"
            )
        };
        let text = line(1, "10.0.0.9", 80)
            + &line(2, "10.0.0.9", 80)
            + &line(3, "10.0.0.8", 80)
            + &line(4, "10.0.0.9", 81);
        let mut tally = Tally::default();
        tally.add_text(&text, "error.log", Stamp::default(), CLOCK, CLOCK.now);
        let signs = tally.signs();
        assert_eq!(signs.len(), 3);
        let first = signs.iter().find(|sign| sign.count == 2).unwrap();
        assert_eq!(first.at.to_string(), "2026-11-28T11:40:02Z");
        assert!(first.line.contains("client: 10.0.0.9") && first.line.contains("10.0.0.2:80/p2"));
    }

    #[test]
    fn old_lines_stay_out_and_a_trace_has_its_head_line_s_date() {
        let text = "2026-11-28T10:00:00Z old: Too many open files\n2026-11-28T11:40:00Z ERROR failed\nTraceback (most recent call last):\n";
        let mut tally = Tally::default();
        let since = Stamp::from_millis(CLOCK.now.millis() - 600_000);
        tally.add_text(text, "app.log", since, CLOCK, CLOCK.now);
        let signs = tally.signs();
        assert_eq!(signs.len(), 1);
        assert_eq!(
            (signs[0].sign.as_str(), signs[0].at.to_string().as_str()),
            ("crash", "2026-11-28T11:40:00Z")
        );
    }

    #[test]
    fn a_log_without_dates_is_as_old_as_its_file() {
        let mut tally = Tally::default();
        tally.add_text("EMFILE\nENOSPC\n", "a", CLOCK.now, CLOCK, CLOCK.now);
        tally.add_text("ENOSPC\n", "b", CLOCK.now, CLOCK, Stamp::default());
        let signs = tally.signs();
        let dated = signs.iter().map(|sign| (sign.sign.as_str(), sign.at));
        assert_eq!(
            dated.collect::<Vec<_>>(),
            [("disk_full", CLOCK.now), ("too_many_files", Stamp::default())]
        );
    }

    proptest! {
        #[test]
        fn a_hostile_log_is_bounded(lines in proptest::collection::vec("(?s)(client: |upstream: \"http://|ENOSPC|\u{1b}|.){0,30}", 0..80)) {
            let text = lines.join("\n");
            let mut tally = Tally::default();
            tally.add_text(&text, "log", Stamp::default(), CLOCK, CLOCK.now);
            for sign in tally.signs() {
                prop_assert!(sign.line.len() <= LINE_BYTES_KEPT + 3);
                prop_assert!(!sign.line.chars().any(crate::text::is_unsafe));
            }
            prop_assert!(last_lines(&text, 5).len() <= 5);
        }
    }
}
