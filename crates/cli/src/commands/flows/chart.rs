//! Rows as a drawing: lines over time where there is a time, bars otherwise. Plain SVG, made to be read without colour too.

use super::table::{Kind, Table};
use super::times::shown;
use netwhy_report::clean;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The drawing's size in pixels, and what the words around it take.
const WIDTH: f64 = 960.0;
const LINES_HEIGHT: f64 = 360.0;
const MARGIN: f64 = 24.0;
const BAR_HEIGHT: f64 = 22.0;
const NAME_WIDTH: f64 = 320.0;
/// Bars and lines drawn; more cannot be told apart.
const BAR_COUNT_MAX: usize = 40;
const LINE_COUNT_MAX: usize = 6;
/// Told apart with any kind of colour vision (Okabe and Ito).
const COLORS: [&str; LINE_COUNT_MAX] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// Draws the last numeric column.
pub(super) fn svg(table: &Table, title: &str) -> String {
    let of_kind = |kind| table.columns.iter().rposition(|column| column.kind == kind);
    let Some(value) = of_kind(Kind::Number) else { return frame(title, MARGIN * 2.0, "") };
    let time = table.columns.iter().position(|column| column.kind == Kind::Time);
    match time {
        Some(time) => lines(table, title, time, value),
        None => bars(table, title, value),
    }
}

fn frame(title: &str, height: f64, inside: &str) -> String {
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"{title}\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{MARGIN}\" y=\"20\" font-weight=\"600\">{title}</text>\n{inside}</svg>\n"
    )
}

fn bars(table: &Table, title: &str, value: usize) -> String {
    let rows: Vec<(String, f64)> = table
        .rows
        .iter()
        .take(BAR_COUNT_MAX)
        .map(|row| (name(table, row, &[value]), number(&row[value])))
        .collect();
    let most = rows.iter().map(|(_, number)| *number).fold(1.0, f64::max);
    let room = WIDTH - NAME_WIDTH - MARGIN * 4.0;
    let mut inside = String::new();
    for (place, (name, number)) in rows.iter().enumerate() {
        let y = 36.0 + place as f64 * BAR_HEIGHT;
        let width = (number / most * room).max(1.0);
        let _ = writeln!(
            inside,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text><rect x=\"{:.0}\" y=\"{y:.0}\" \
             width=\"{width:.1}\" height=\"16\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{:.0}\">{number}</text>",
            NAME_WIDTH - 6.0,
            y + 13.0,
            escaped(name),
            NAME_WIDTH,
            COLORS[0],
            NAME_WIDTH + width + 4.0,
            y + 13.0,
        );
    }
    frame(title, 48.0 + rows.len() as f64 * BAR_HEIGHT, &inside)
}

fn lines(table: &Table, title: &str, time: usize, value: usize) -> String {
    let mut lines: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
    for row in &table.rows {
        let name = name(table, row, &[time, value]);
        let at = row[time].as_i64().unwrap_or(0);
        if lines.len() < LINE_COUNT_MAX || lines.contains_key(&name) {
            *lines.entry(name).or_default().entry(at).or_default() += number(&row[value]);
        }
    }
    let points = || lines.values().flatten();
    let first = points().map(|(at, _)| *at).min().unwrap_or(0);
    let last = points().map(|(at, _)| *at).max().unwrap_or(0).max(first + 1);
    let most = points().map(|(_, number)| *number).fold(1.0, f64::max);
    let x = |at: i64| MARGIN + (at - first) as f64 / (last - first) as f64 * (WIDTH - MARGIN * 2.0);
    let y = |number: f64| LINES_HEIGHT - 40.0 - number / most * (LINES_HEIGHT - 90.0);
    let mut inside = format!(
        "<path d=\"M{MARGIN} {0:.1}H{1:.0}\" stroke=\"#999\"/><text x=\"{MARGIN}\" y=\"{2:.0}\">{3}</text>\
         <text x=\"{1:.0}\" y=\"{2:.0}\" text-anchor=\"end\">{4}</text><text x=\"{MARGIN}\" y=\"42\">{5} {most}</text>\n",
        y(0.0),
        WIDTH - MARGIN,
        LINES_HEIGHT - 22.0,
        shown(first),
        shown(last),
        escaped(&table.columns[value].name),
    );
    for (place, (name, points)) in lines.iter().enumerate() {
        let path: Vec<String> =
            points.iter().map(|(at, number)| format!("{:.1},{:.1}", x(*at), y(*number))).collect();
        let color = COLORS[place % COLORS.len()];
        let _ = writeln!(
            inside,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\" fill=\"{color}\">{}</text>",
            path.join(" "),
            MARGIN + place as f64 * 150.0,
            LINES_HEIGHT - 6.0,
            escaped(name),
        );
    }
    frame(title, LINES_HEIGHT, &inside)
}

/// What a row is about: its words, and the numbers that only tell it apart, such as a port.
fn name(table: &Table, row: &[Value], without: &[usize]) -> String {
    let is_name = |at: &usize| {
        let column = &table.columns[*at];
        !without.contains(at) && (column.kind == Kind::Word || column.name.contains("port"))
    };
    let parts = (0..row.len()).filter(is_name).map(|at| match &row[at] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

fn escaped(text: &str) -> String {
    clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_words_stay_words() {
        let mut table = Table::new(&[("src", Kind::Word), ("bytes", Kind::Number)]);
        table.rows.push(vec!["<script>\u{1b}\"".into(), 5.into()]);
        let drawn = svg(&table, "a & b");
        assert!(drawn.contains("&lt;script&gt;") && drawn.contains("a &amp; b"), "{drawn}");
    }

    #[test]
    fn time_becomes_lines_and_nothing_an_empty_frame() {
        let mut table = Table::new(&[("time", Kind::Time), ("action", Kind::Word), ("flows", Kind::Number)]);
        table.rows.push(vec![0.into(), "accept".into(), 5.into()]);
        table.rows.push(vec![300_000.into(), "accept".into(), 9.into()]);
        assert!(svg(&table, "t").contains("<polyline points=\"24.0,"));
        table.rows.clear();
        assert!(svg(&table, "t").ends_with("</svg>\n"));
    }
}
