//! systemd's journal, through journalctl(1) where there is one.

use super::scan::{LINE_BYTES_KEPT, Tally};
use super::{TAIL_LINE_COUNT, Tail};
use crate::files::Gaps;
use crate::subprocess::{self, Ended};
use crate::text::printable;
use netwhy_model::Stamp;
use netwhy_model::host::Unread;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Entries asked for, newest first.
const ENTRY_COUNT_MAX: &str = "3000";
/// How long journalctl may take, in milliseconds; the newest entries come first.
const WAIT_MS_MAX: u64 = 450;
/// Output kept of it.
const OUTPUT_BYTES_MAX: usize = 4 << 20;
/// Units whose last lines are kept.
const UNIT_COUNT_MAX: usize = 128;
/// Where journald keeps its files (journald.conf(5)).
const FOLDERS: [&str; 2] = ["/run/log/journal", "/var/log/journal"];

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalLine {
    pub at: Stamp,
    /// The unit, else what the program calls itself.
    pub unit: String,
    pub message: String,
}

/// Reads one line of `journalctl -o json`.
pub fn parse_journal_line(line: &str) -> Option<JournalLine> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let micros: u64 = text("__REALTIME_TIMESTAMP")?.parse().ok()?;
    let message = match entry.get("MESSAGE")? {
        Value::String(text) => text.clone(),
        // What is not printable comes as numbers.
        Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes
                .iter()
                .filter_map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok()))
                .collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => return None,
    };
    let kernel = (text("_TRANSPORT") == Some("kernel")).then_some("kernel");
    // systemd writes of a unit under its own name.
    let unit =
        kernel.or(text("UNIT")).or(text("_SYSTEMD_UNIT")).or(text("SYSLOG_IDENTIFIER")).unwrap_or("journal");
    Some(JournalLine { at: Stamp::from_millis(micros / 1_000), unit: printable(unit, 100), message })
}

/// Reads the newest entries since then, newest first.
pub(super) fn read(since: Stamp) -> (Vec<JournalLine>, Vec<Unread>) {
    let mut gaps = Gaps::default();
    if !FOLDERS.iter().any(|folder| has_entries(folder)) {
        return (Vec::new(), Vec::new());
    }
    let since = format!("--since=@{}", since.millis() / 1_000);
    let fields = "--output-fields=MESSAGE,_SYSTEMD_UNIT,UNIT,SYSLOG_IDENTIFIER,_TRANSPORT";
    let arguments = ["-o", "json", "-r", "-q", "--no-pager", "-n", ENTRY_COUNT_MAX, fields, &since];
    let output = match subprocess::run("journalctl", &arguments, WAIT_MS_MAX, OUTPUT_BYTES_MAX) {
        Ok(output) => output,
        Err(error) => {
            gaps.failed("journalctl", &error);
            return (Vec::new(), gaps.into_unread());
        }
    };
    if output.ended != Ended::Well {
        gaps.note("journalctl", format!("{}; only its newest entries were read", output.ended), false);
    }
    (output.text.lines().filter_map(parse_journal_line).collect(), gaps.into_unread())
}

/// Adds the entries to the signs, and each unit's last lines to the tails.
pub(super) fn add(lines: Vec<JournalLine>, since: Stamp, tally: &mut Tally, tails: &mut Vec<Tail>) {
    let mut last: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        if line.at >= since {
            tally.add(&line.message, line.at, &format!("journal {}", line.unit));
        }
        if last.len() < UNIT_COUNT_MAX || last.contains_key(&line.unit) {
            let kept = last.entry(line.unit).or_default();
            if kept.len() < TAIL_LINE_COUNT {
                kept.push(printable(&format!("{} {}", line.at, line.message), LINE_BYTES_KEPT));
            }
        }
    }
    for (unit, mut lines) in last {
        lines.reverse();
        tails.push(Tail { from: format!("journal {unit}"), pids: Vec::new(), unit: Some(unit), lines });
    }
}

fn has_entries(folder: &str) -> bool {
    std::fs::read_dir(Path::new(folder)).is_ok_and(|mut entries| entries.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_of_every_shape_are_read() {
        let plain = r#"{"__REALTIME_TIMESTAMP":"1795866056789000","MESSAGE":"Failed password for root from 10.0.0.9","_SYSTEMD_UNIT":"ssh.service"}"#;
        let line = parse_journal_line(plain).unwrap();
        assert_eq!((line.unit.as_str(), line.at.millis()), ("ssh.service", 1_795_866_056_789));
        let bytes = r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":[72,105,27],"_TRANSPORT":"kernel"}"#;
        let line = parse_journal_line(bytes).unwrap();
        assert_eq!((line.unit.as_str(), line.message.as_str()), ("kernel", "Hi\u{1b}"));
        assert_eq!(parse_journal_line("-- No entries --"), None);
    }

    #[test]
    fn a_unit_keeps_its_last_lines_in_order() {
        let line = |millis: u64| JournalLine {
            at: Stamp::from_millis(millis),
            unit: "a.service".into(),
            message: format!("EMFILE {millis}"),
        };
        let (mut tally, mut tails) = (Tally::default(), Vec::new());
        add((1..=9).rev().map(line).collect(), Stamp::from_millis(5), &mut tally, &mut tails);
        assert_eq!(tails[0].lines.len(), TAIL_LINE_COUNT);
        assert!(tails[0].lines[4].ends_with("EMFILE 9"));
        assert_eq!(tally.signs()[0].count, 5);
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "(?s).{0,120}") {
            let _ = parse_journal_line(&line);
        }
    }
}
