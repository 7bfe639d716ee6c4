//! Rows of an answer, written as a table, JSON, CSV or a drawing.

use super::chart;
use super::times::shown;
use crate::args::Format;
use crate::commands::scan::csv::quoted;
use crate::commands::scan::words::thousands;
use crate::{Common, print};
use anyhow::Result;
use netwhy_report::{clean, display_width, padded, shortened};
use serde::Serialize;
use serde_json::{Map, Value};

/// The widest column of a table.
const COLUMN_WIDTH_MAX: usize = 60;

/// The contract of rows.
const SCHEMA: &str = "netwhy.rows/1";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Milliseconds since 1970, UTC.
    Time,
    Number,
    Word,
}

/// A column's name and what it holds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Value>>,
    /// What of the input could not be read, where something could not.
    pub(super) input: Option<Value>,
}

impl Table {
    pub(super) fn new(columns: &[(&str, Kind)]) -> Table {
        let column = |(name, kind): &(&str, Kind)| Column { name: (*name).to_owned(), kind: *kind };
        Table { columns: columns.iter().map(column).collect(), rows: Vec::new(), input: None }
    }

    /// Writes it to stdout in the form that was asked for.
    pub(super) fn tell(&self, title: &str, common: &Common) -> Result<()> {
        print(&self.written(title, common)?)
    }

    /// Writes it to a file, or to stdout where there is none.
    #[cfg(feature = "lake")]
    pub(super) fn tell_to(&self, title: &str, path: Option<&std::path::Path>, common: &Common) -> Result<()> {
        let Some(path) = path else { return self.tell(title, common) };
        let shown = path.display();
        std::fs::write(path, self.written(title, common)?).map_err(|error| {
            let trying = (format!("cannot write {shown}"), format!("无法写入 {shown}"));
            crate::failure::while_trying(trying, error)
        })
    }

    fn written(&self, title: &str, common: &Common) -> Result<String> {
        Ok(match common.format {
            Some(Format::Json) => netwhy_report::to_json(&self.json(), true)?,
            Some(Format::Csv) => self.csv(),
            Some(Format::Svg) => chart::svg(self, title),
            _ => self.text(common),
        })
    }

    fn json(&self) -> Value {
        let row = |row: &Vec<Value>| {
            let named =
                self.columns.iter().zip(row).map(|(column, value)| (column.name.clone(), value.clone()));
            Value::Object(named.collect::<Map<_, _>>())
        };
        let mut json = serde_json::json!({
            "schema": SCHEMA,
            "columns": self.columns,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        });
        if let Some(input) = &self.input {
            json["input"] = input.clone();
        }
        json
    }

    fn csv(&self) -> String {
        let head: Vec<String> = self.columns.iter().map(|column| quoted(&column.name)).collect();
        let mut text = head.join(",") + "\r\n";
        for row in &self.rows {
            let fields = self.columns.iter().zip(row).map(|(column, value)| match (column.kind, value) {
                (Kind::Number, value) => plain(value),
                (Kind::Time, Value::Number(ms)) => shown(ms.as_i64().unwrap_or(0)),
                (_, value) => quoted(&clean(&plain(value))),
            });
            text.push_str(&(fields.collect::<Vec<_>>().join(",") + "\r\n"));
        }
        text
    }

    fn text(&self, common: &Common) -> String {
        let mark = if common.unicode { "…" } else { "~" };
        let cell = |column: &Column, value: &Value| {
            let text = match (column.kind, value) {
                (Kind::Time, Value::Number(ms)) => shown(ms.as_i64().unwrap_or(0)),
                (Kind::Number, Value::Number(number)) if number.is_u64() && !column.name.contains("port") => {
                    thousands(number.as_u64().unwrap_or(0))
                }
                (_, value) => clean(&plain(value)),
            };
            shortened(&text, COLUMN_WIDTH_MAX, mark)
        };
        let head: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        let mut lines = vec![head];
        for row in &self.rows {
            lines.push(self.columns.iter().zip(row).map(|(column, value)| cell(column, value)).collect());
        }
        let width = |at: usize| lines.iter().map(|line| display_width(&line[at])).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        lines.iter().map(|line| self.line(line, &widths)).collect()
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let parts =
            cells.iter().zip(widths).zip(&self.columns).map(|((cell, width), column)| match column.kind {
                Kind::Number => format!("{}{cell}", " ".repeat(width.saturating_sub(display_width(cell)))),
                _ => padded(cell, *width),
            });
        parts.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("src", Kind::Word), ("flows", Kind::Number), ("first", Kind::Time)]);
        table.rows.push(vec!["10.0.0.1".into(), 12_345_u64.into(), 1_767_225_600_000_i64.into()]);
        table.rows.push(vec!["=cmd,\u{1b}[2J".into(), 7_u64.into(), Value::Null]);
        table
    }

    #[test]
    fn a_spreadsheet_gets_no_formula_and_a_terminal_no_escape() {
        let csv = table().csv();
        assert!(csv.starts_with("src,flows,first\r\n10.0.0.1,12345,2026-01-01 00:00:00\r\n"), "{csv}");
        assert!(csv.contains("\"'=cmd,") && !csv.contains('\u{1b}'), "{csv}");
    }

    #[test]
    fn json_names_every_value() {
        let json = table().json();
        assert_eq!((&json["schema"], &json["rows"][0]["flows"]), (&SCHEMA.into(), &12_345.into()));
    }
}
