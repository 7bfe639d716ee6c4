//! The text that nfdump prints: lines for people, CSV, its pipe format, and the raw one with a field a line.
//!
//! nfdump prints the time of the zone it runs in without naming it; here it counts as UTC.

mod csv;
mod lines;
mod raw;
mod words;

use super::{Batches, DumpCount, DumpError};
use crate::capture::pump::Pump;
use crate::names::Names;
use crate::place::Unread;
use crate::record::Flow;
use std::io::Read;
use std::sync::Arc;

/// The longest line that is read, in bytes; the rest of a longer one is passed over.
const LINE_BYTES_MAX: usize = 64 << 10;
/// What nfdump prints below its flows.
const TRAILERS: [&str; 6] = ["Summary", "Time window:", "Total flows processed:", "Sys:", "No matching", "Top "];

/// How the lines are to be read.
enum Style {
    /// No heading came yet; the pipe format has none.
    Unknown,
    Lines(lines::Columns),
    Csv(csv::Columns),
    Raw(raw::Record),
    /// Below the flows.
    Trailer,
}

/// What a line was.
enum Line {
    Flow(Flow),
    Nothing,
    Bad(&'static str, &'static str),
}

/// Whether a file begins as nfdump prints.
pub fn is_nfdump(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let Some(first) = text.lines().find(|line| !line.trim().is_empty()) else { return false };
    lines::Columns::of(first).is_some()
        || csv::Columns::of(first).is_some()
        || raw::is_start(first)
        || lines::pipe(first, &Flow::default()).is_some()
}

/// Reads what nfdump printed.
pub fn read(
    names: &Arc<Names>,
    file_name: &str,
    input: impl Read,
    each: &mut dyn FnMut(&[Flow]),
) -> Result<DumpCount, DumpError> {
    let file: Arc<str> = file_name.into();
    let mut base = Flow { file: names.symbol(file_name), ..Flow::default() };
    let mut count = DumpCount::default();
    let mut batches = Batches::new(each);
    let mut pump = Pump::new(input);
    let mut style = Style::Unknown;
    let mut number = 0;
    loop {
        pump.fill(LINE_BYTES_MAX)?;
        let here = &pump.bytes()[..pump.bytes().len().min(LINE_BYTES_MAX)];
        if here.is_empty() {
            break;
        }
        number += 1;
        let end = here.iter().position(|byte| *byte == b'\n');
        let bytes = &here[..end.unwrap_or(here.len())];
        let text = String::from_utf8_lossy(bytes);
        if !matches!(style, Style::Raw(_)) {
            base.offset = pump.offset;
        }
        match line(text.trim_end(), &mut style, &base, pump.offset, names) {
            Line::Flow(flow) => {
                count.in_flows += 1;
                batches.push(flow);
            }
            Line::Nothing => {}
            Line::Bad(en, zh) => count.unread.push(Unread::new(&file, number, pump.offset, bytes, en, zh)),
        }
        pump.skip(end.map_or(here.len(), |end| end + 1) as u64)?;
    }
    if let Style::Raw(record) = &style
        && let Some(flow) = record.flow(names)
    {
        count.in_flows += 1;
        batches.push(flow);
    }
    count.seen = count.in_flows + count.unread.unread;
    count.unread.read = batches.finish();
    Ok(count)
}

fn line(text: &str, style: &mut Style, base: &Flow, offset: u64, names: &Names) -> Line {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Line::Nothing;
    }
    if let Some(columns) = lines::Columns::of(text) {
        *style = Style::Lines(columns);
        return Line::Nothing;
    }
    if let Some(columns) = csv::Columns::of(text) {
        *style = Style::Csv(columns);
        return Line::Nothing;
    }
    if raw::is_start(text) {
        let before = std::mem::replace(style, Style::Raw(raw::Record::new(Flow { offset, ..*base })));
        let Style::Raw(record) = before else { return Line::Nothing };
        return record.outcome(names);
    }
    if TRAILERS.iter().any(|trailer| text.starts_with(trailer)) {
        let before = std::mem::replace(style, Style::Trailer);
        let Style::Raw(record) = before else { return Line::Nothing };
        return record.outcome(names);
    }
    match style {
        Style::Lines(columns) => columns.flow(text, base),
        Style::Csv(columns) => columns.flow(text, base, names),
        Style::Raw(record) => {
            record.field(text);
            Line::Nothing
        }
        Style::Trailer => Line::Nothing,
        Style::Unknown => match lines::pipe(text, base) {
            Some(flow) => Line::Flow(flow),
            None => Line::Bad("not a line of nfdump's formats", "不是 nfdump 任何格式的行"),
        },
    }
}
