//! A look at a host as text.

use super::part::{Cell, Head, Item, Judged, Part, Row, Table};
use super::words::{link_state, shown_time};
use super::{Looked, Topic, headline};
use crate::style::{Style, Tone, clean, display_width, padded, shortened, wrapped};
use crate::text::{INDENT, Page};
use netwhy_model::host::State;
use netwhy_model::{Lang, LinkState};

/// Cells of the bar that shows a fill.
const BAR_CELLS: usize = 10;
/// Columns for sign and word of a severity, with a gap.
const SEVERITY_COLUMNS: usize = 10;
/// Columns between two columns of a table.
const GAP_COLUMNS: usize = 2;
/// Columns of a sign before a row or a line.
const SIGN_COLUMNS: usize = 2;
/// Fewest columns a column is cut down to while there is another way.
const COLUMN_MIN: usize = 8;
/// The same for the first column, which says what a row is about.
const FIRST_COLUMN_MIN: usize = 22;
/// Columns of one text read from outside, unless everything is wanted.
const TEXT_COLUMNS_MAX: usize = 320;
/// The same when everything is wanted.
const TEXT_FULL_COLUMNS_MAX: usize = 2_000;
/// Columns of one cell of a table.
const CELL_COLUMNS_MAX: usize = 400;
/// Narrowest last column that is broken over lines; a narrower one is cut.
const WRAPPED_COLUMNS_MIN: usize = 14;

/// Writes the parts; the verdict stands first unless other topics were asked for.
pub(super) fn write(looked: &Looked<'_>, parts: &[Part], style: &Style, only: &[Topic]) -> String {
    let mut page = Page::new(*style);
    if only.is_empty() || only.contains(&Topic::Findings) {
        verdict(looked, &mut page);
    }
    for part in parts {
        write_part(part, &mut page);
    }
    footer(looked, &mut page);
    page.text
}

fn verdict(looked: &Looked<'_>, page: &mut Page) {
    let style = page.style;
    let said = headline(looked.snapshot, looked.catalogue, looked.lang);
    let lead = format!("{} ", style.paint(style.sign(said.state), Tone::of(said.state)));
    page.hanging(&lead, SIGN_COLUMNS, &limited(&said.sentence, &style), Some(Tone::Bold));
}

fn write_part(part: &Part, page: &mut Page) {
    page.section(&part.title);
    let full = page.style.verbose && !part.full.is_empty();
    for item in if full { &part.full } else { &part.brief } {
        write_item(item, page);
    }
}

fn write_item(item: &Item, page: &mut Page) {
    let style = page.style;
    match item {
        Item::Line(state, text) => {
            let lead = format!("{}{}", " ".repeat(INDENT), sign(*state, &style));
            page.hanging(&lead, display_width_of_lead(*state), &limited(text, &style), None);
        }
        Item::Aside(text) => {
            page.hanging(&" ".repeat(INDENT), INDENT, &limited(text, &style), Some(Tone::Dim));
        }
        Item::Table(table) => write_table(table, page),
        Item::Finding(finding) => write_finding(finding, page),
    }
}

/// The sign of something odd or bad with a blank after it; nothing for what is well.
fn sign(state: State, style: &Style) -> String {
    match link_state(state) {
        Some(state) => format!("{} ", style.paint(style.sign(state), Tone::of(state))),
        None => String::new(),
    }
}

const fn display_width_of_lead(state: State) -> usize {
    match link_state(state) {
        Some(_) => INDENT + SIGN_COLUMNS,
        None => INDENT,
    }
}

/// Severity and title, then what it is about, then the proof, then what to do.
fn write_finding(finding: &Judged, page: &mut Page) {
    let style = page.style;
    let (state, word) = finding.said(style.lang);
    // The tone of a link not seen is too faint for something worth knowing.
    let tone = if state == LinkState::Unknown { Tone::Command } else { Tone::of(state) };
    let said = format!("{} {word}", style.sign(state));
    let gap = " ".repeat(SEVERITY_COLUMNS.saturating_sub(display_width(&said)));
    let lead = format!("{}{}{gap}", " ".repeat(INDENT), style.paint(&said, tone));
    let columns = INDENT + SEVERITY_COLUMNS;
    page.hanging(&lead, columns, &limited(&finding.title, &style), Some(Tone::Bold));
    let body = " ".repeat(columns);
    let about = match finding.subject.as_str() {
        "" => finding.cause.clone(),
        subject => format!("{} · {subject}", finding.cause),
    };
    page.hanging(&body, columns, &limited(&about, &style), Some(Tone::Dim));
    if !finding.text.is_empty() {
        page.hanging(&body, columns, &limited(&finding.text, &style), None);
    }
    for proof in &finding.proof {
        let lead = format!("{body}{} ", style.draw("•", "*"));
        page.hanging(&lead, columns + SIGN_COLUMNS, &limited(proof, &style), None);
    }
    for step in &finding.fixes {
        let lead = format!("{body}{}", style.draw("→ ", "> "));
        let fix = format!("{}{}", style.lang.pick("Fix: ", "修复："), clean(&step.text));
        page.hanging(&lead, columns + SIGN_COLUMNS, &fix, None);
        if let Some(command) = &step.command {
            page.command(columns + SIGN_COLUMNS, command);
        }
    }
}

/// Heads, then the rows, every column as wide as it needs where the page allows.
fn write_table(table: &Table, page: &mut Page) {
    let style = page.style;
    let signs = if table.rows.iter().any(|row| row.state != State::Well) { SIGN_COLUMNS } else { 0 };
    let mut rows: Vec<Vec<String>> = table.rows.iter().map(|row| row_texts(row, &style)).collect();
    let mut heads = table.heads.clone();
    let room = style.width.saturating_sub(INDENT + signs);
    drop_optional(&mut heads, &mut rows, room);
    let widths = widths(&heads, &rows, room);
    let titles: Vec<String> = heads.iter().map(|head| head.title.clone()).collect();
    let line = style.paint(&laid_out(&heads, &titles, &widths, &style), Tone::Dim);
    page.line(&format!("{}{line}", " ".repeat(INDENT + signs)));
    for (row, texts) in table.rows.iter().zip(&rows) {
        let mark = sign(row.state, &style);
        let mark = if signs > 0 && mark.is_empty() { " ".repeat(SIGN_COLUMNS) } else { mark };
        for (number, line) in lines_of(&heads, texts, &widths, &style).iter().enumerate() {
            let lead = if number == 0 { mark.clone() } else { " ".repeat(signs) };
            page.line(&format!("{}{lead}{line}", " ".repeat(INDENT)));
        }
        if !row.below.is_empty() {
            let columns = INDENT + signs + INDENT;
            page.hanging(&" ".repeat(columns), columns, &limited(&row.below, &style), Some(Tone::Dim));
        }
    }
    left_out(table.left_out, INDENT + signs, page);
}

fn left_out(rest: usize, indent: usize, page: &mut Page) {
    let style = page.style;
    if rest > 0 {
        let text = match (style.lang, style.verbose) {
            (Lang::En, false) => format!("and {rest} more; -v shows more"),
            (Lang::Zh, false) => format!("另有 {rest} 项；-v 显示更多"),
            (Lang::En, true) => format!("and {rest} more; --json has all"),
            (Lang::Zh, true) => format!("另有 {rest} 项；--json 含全部"),
        };
        page.hanging(&" ".repeat(indent), indent, &text, Some(Tone::Dim));
    }
}

fn row_texts(row: &Row, style: &Style) -> Vec<String> {
    let cell = |cell: &Cell| match cell {
        Cell::Text(text) => cut_to(text, CELL_COLUMNS_MAX, style),
        Cell::Fill(None) => String::new(),
        Cell::Fill(Some(fill)) => bar(*fill, style),
    };
    row.cells.iter().map(cell).collect()
}

/// `███░░░░░░░`; something is drawn as soon as something is used, and only what is full is drawn full.
fn bar(fill: f64, style: &Style) -> String {
    let cells = (fill.clamp(0.0, 1.0) * BAR_CELLS as f64).floor() as usize;
    let full = if fill > 0.0 { cells.max(1) } else { 0 };
    format!("{}{}", style.draw("█", "#").repeat(full), style.draw("░", ".").repeat(BAR_CELLS - full))
}

/// Columns a column needs for its head and its longest text.
fn need(place: usize, heads: &[Head], rows: &[Vec<String>]) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(place)).map(|text| display_width(text));
    let head = heads.get(place).map_or(0, |head| display_width(&head.title));
    cells.max().unwrap_or(0).max(head)
}

/// Takes away optional columns, the last first, until the rest would be readable.
fn drop_optional(heads: &mut Vec<Head>, rows: &mut [Vec<String>], room: usize) {
    loop {
        let least = |place: usize| match place {
            0 => need(place, heads, rows).min(FIRST_COLUMN_MIN),
            _ if heads[place].whole => need(place, heads, rows),
            _ => need(place, heads, rows).min(WRAPPED_COLUMNS_MIN),
        };
        let wanted = (0..heads.len()).map(|place| least(place) + GAP_COLUMNS).sum::<usize>();
        let Some(place) = heads.iter().rposition(|head| head.optional) else { return };
        if wanted <= room + GAP_COLUMNS {
            return;
        }
        heads.remove(place);
        for row in rows.iter_mut().filter(|row| row.len() > place) {
            row.remove(place);
        }
    }
}

/// The widths of the columns: what they need, the widest text cut down until the line fits.
fn widths(heads: &[Head], rows: &[Vec<String>], room: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = (0..heads.len()).map(|place| need(place, heads, rows)).collect();
    let gaps = GAP_COLUMNS * heads.len().saturating_sub(1);
    let room = room.saturating_sub(gaps);
    // What a row is about, and its numbers, give way last.
    let texts = |place: usize| place > 0 && !heads.get(place).is_some_and(|head| head.whole);
    cut(&mut widths, room, COLUMN_MIN, texts);
    cut(&mut widths, room, FIRST_COLUMN_MIN, |place| place == 0);
    cut(&mut widths, room, COLUMN_MIN, |_| true);
    cut(&mut widths, room, 1, |_| true);
    widths
}

/// Takes columns from the widest of these, down to a least width each, until all fit.
fn cut(widths: &mut [usize], room: usize, least: usize, may: impl Fn(usize) -> bool) {
    let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
    while excess > 0 {
        let widest = widths.iter_mut().enumerate().filter(|(place, width)| may(*place) && **width > least);
        let Some((_, width)) = widest.max_by_key(|(_, width)| **width) else { break };
        *width -= 1;
        excess -= 1;
    }
}

/// One line of cells.
fn laid_out(heads: &[Head], texts: &[String], widths: &[usize], style: &Style) -> String {
    let mut line = String::new();
    for (place, (text, width)) in texts.iter().zip(widths).enumerate() {
        if place > 0 {
            line.push_str(&" ".repeat(GAP_COLUMNS));
        }
        let text = shortened(text, *width, style.draw("…", "..."));
        if heads.get(place).is_some_and(|head| head.right) {
            line.push_str(&" ".repeat(width.saturating_sub(display_width(&text))));
            line.push_str(&text);
        } else {
            line.push_str(&padded(&text, *width));
        }
    }
    line.trim_end().to_owned()
}

/// A row: what a column of text cannot hold goes on below it, unless that would be a column of scraps.
fn lines_of(heads: &[Head], texts: &[String], widths: &[usize], style: &Style) -> Vec<String> {
    /// Lines of one cell, unless everything is wanted.
    const LINE_COUNT_MAX: usize = 3;
    let broken = |(place, (text, width)): (usize, (&String, &usize))| {
        let fits = display_width(text) <= *width || *width < WRAPPED_COLUMNS_MIN;
        if fits || heads.get(place).is_some_and(|head| head.whole) {
            return vec![text.clone()];
        }
        let mut pieces = wrapped(text, *width);
        if !style.verbose && pieces.len() > LINE_COUNT_MAX {
            let rest = pieces.split_off(LINE_COUNT_MAX - 1).join(" ");
            pieces.push(shortened(&rest, *width, style.draw("…", "...")));
        }
        pieces
    };
    let cells: Vec<Vec<String>> = texts.iter().zip(widths).enumerate().map(broken).collect();
    let lines = cells.iter().map(Vec::len).max().unwrap_or(0);
    let line = |number: usize| {
        let texts: Vec<String> =
            cells.iter().map(|cell| cell.get(number).cloned().unwrap_or_default()).collect();
        laid_out(heads, &texts, widths, style)
    };
    (0..lines).map(line).collect()
}

/// A text read from outside: printable, on one line, of bounded length.
fn limited(text: &str, style: &Style) -> String {
    cut_to(text, if style.verbose { TEXT_FULL_COLUMNS_MAX } else { TEXT_COLUMNS_MAX }, style)
}

fn cut_to(text: &str, most: usize, style: &Style) -> String {
    // Cut before cleaning too, so that a huge text costs nothing; a letter has at most four bytes.
    let end = text.char_indices().nth(most + 1).map_or(text.len(), |(at, _)| at);
    shortened(&clean(&text[..end]), most, style.draw("…", "..."))
}

/// Where, when and how long.
fn footer(looked: &Looked<'_>, page: &mut Page) {
    let snapshot = looked.snapshot;
    let seconds = snapshot.took_ms as f64 / 1_000.0;
    let mut told = vec![clean(&snapshot.hostname), clean(&snapshot.kernel)];
    told.extend(shown_time(snapshot.at));
    told.push(match looked.lang {
        Lang::En => format!("looked for {seconds:.2} s"),
        Lang::Zh => format!("用时 {seconds:.2} 秒"),
    });
    told.push(match snapshot.root {
        true => looked.say("as root", "以 root 运行"),
        false => looked.say("without root", "非 root 运行"),
    });
    told.retain(|text| !text.is_empty());
    page.line("");
    page.hanging("", 0, &told.join(" · "), Some(Tone::Dim));
}
