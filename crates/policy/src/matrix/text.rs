//! The table for a terminal: one sign a cell, columns numbered, what is open told below.

use super::{Matrix, SHOWN_COUNT_MAX, Verdict, short};
use netwhy_model::Lang;

/// The widest name of a row, in columns of a terminal.
const NAME_COLUMNS_MAX: usize = 40;

/// The table, its legend, and every cell that says on what.
pub fn text(matrix: &Matrix, lang: Lang) -> String {
    let rows: Vec<String> =
        matrix.rows.iter().take(SHOWN_COUNT_MAX).map(|row| short(&plain(row), NAME_COLUMNS_MAX)).collect();
    let columns = matrix.columns.len().min(SHOWN_COUNT_MAX);
    let name_width = rows.iter().map(|row| width(row)).max().unwrap_or(0);
    let cell_width = columns.to_string().len().max(1) + 1;
    let mut out = format!("{}\n", plain(matrix.title.get(lang)));
    for (at, column) in matrix.columns.iter().take(columns).enumerate() {
        out += &format!("  {} = {}\n", at + 1, plain(column));
    }
    out += &" ".repeat(name_width);
    for at in 1..=columns {
        out += &format!("{at:>cell_width$}");
    }
    out.push('\n');
    for (at, row) in rows.iter().enumerate() {
        out += &format!("{row}{}", " ".repeat(name_width - width(row)));
        for column in 0..columns {
            out += &format!("{:>cell_width$}", matrix.verdict(at, column).sign());
        }
        out.push('\n');
    }
    out += &matrix.cut(lang).map_or(String::new(), |cut| format!("{cut}\n"));
    out += &format!("{}\n", matrix.summary(lang));
    out + &details(matrix, lang)
}

fn details(matrix: &Matrix, lang: Lang) -> String {
    let mut out = String::new();
    for (at, row) in matrix.rows.iter().take(SHOWN_COUNT_MAX).enumerate() {
        for (to, column) in matrix.columns.iter().take(SHOWN_COUNT_MAX).enumerate() {
            let Some(cell) = matrix.cell(at, to) else { continue };
            if cell.on.is_empty() && cell.verdict != Verdict::Depends {
                continue;
            }
            let why = if cell.verdict == Verdict::Depends { cell.why.get(lang) } else { "" };
            let parts = [cell.verdict.word(lang), &cell.on, why];
            let words: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            out += &format!("{} → {}: {}\n", plain(row), plain(column), plain(&words.join("; ")));
        }
    }
    out
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Columns of a terminal: those of Chinese, Japanese and Korean letters are two.
fn width(text: &str) -> usize {
    let wide = |c: char| {
        matches!(c as u32, 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f
            | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x2_0000..=0x3_fffd)
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}
