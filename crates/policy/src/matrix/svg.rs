//! The table as a picture: squares with their signs, names beside and above, a legend below.

use super::{Matrix, SHOWN_COUNT_MAX, Verdict, escaped, short};
use netwhy_model::Lang;

/// The side of a square, and the room for names, in pixels.
const SIDE_PX: usize = 26;
const NAMES_PX: usize = 220;
/// How much of a name there is room for.
const NAME_CHARS_MAX: usize = 28;
/// The room above for the title and below for the legend, in pixels.
const TITLE_PX: usize = 40;
const LEGEND_PX: usize = 150;

const STYLE: &str = "text{font:13px system-ui,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif;fill:#1c2024}\
rect{stroke:#8b949e}.s{text-anchor:middle;font-weight:600}.n{text-anchor:end}.b{fill:#fff;stroke:none}\
.a{fill:#b7e4c3}.p{fill:#dcecb0}.d{fill:#f6bdb8}.q{fill:#ffe08a}.i{fill:#e1e4e8}.u{fill:#fff}";

/// The picture. What a square means is in its `title` for whoever points at it or has it read out.
pub fn svg(matrix: &Matrix, lang: Lang) -> String {
    let rows = matrix.rows.len().min(SHOWN_COUNT_MAX);
    let columns = matrix.columns.len().min(SHOWN_COUNT_MAX);
    let top = TITLE_PX + NAMES_PX;
    let width = (NAMES_PX + columns * SIDE_PX + NAMES_PX).max(NAMES_PX * 2);
    let height = top + rows * SIDE_PX + LEGEND_PX;
    let title = escaped(matrix.title.get(lang));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title><style>{STYLE}</style>\
         <rect class=\"b\" width=\"{width}\" height=\"{height}\"/><text x=\"8\" y=\"24\">{title}</text>\n"
    );
    for (at, column) in matrix.columns.iter().take(columns).enumerate() {
        let (x, y) = (NAMES_PX + at * SIDE_PX + SIDE_PX / 2 + 4, top - 8);
        out += &format!("<text transform=\"translate({x} {y}) rotate(-60)\">{}</text>\n", name(column));
    }
    for (at, row) in matrix.rows.iter().take(rows).enumerate() {
        let y = top + at * SIDE_PX;
        out += &format!("<text class=\"n\" x=\"{}\" y=\"{}\">{}</text>\n", NAMES_PX - 8, y + 18, name(row));
        for column in 0..columns {
            out += &square(matrix, (at, column), (NAMES_PX + column * SIDE_PX, y), lang);
        }
    }
    for (at, verdict) in Verdict::ALL.into_iter().enumerate() {
        let y = top + rows * SIDE_PX + 12 + at * 22;
        let (class, sign, word) = (verdict.class(), verdict.sign(), verdict.word(lang));
        out += &format!(
            "<rect class=\"{class}\" x=\"8\" y=\"{y}\" width=\"18\" height=\"18\"/>\
             <text class=\"s\" x=\"17\" y=\"{}\">{sign}</text><text x=\"34\" y=\"{}\">{word}</text>\n",
            y + 14,
            y + 14
        );
    }
    out + "</svg>\n"
}

fn name(text: &str) -> String {
    escaped(&short(text, NAME_CHARS_MAX))
}

fn square(matrix: &Matrix, (row, column): (usize, usize), (x, y): (usize, usize), lang: Lang) -> String {
    let verdict = matrix.verdict(row, column);
    let (from, to) = (&matrix.rows[row], &matrix.columns[column]);
    let on = matrix.cell(row, column).map_or("", |cell| cell.on.as_str());
    let title = escaped(format!("{from} → {to}: {} {on}", verdict.word(lang)).trim_end());
    format!(
        "<g><title>{title}</title><rect class=\"{}\" x=\"{x}\" y=\"{y}\" width=\"{SIDE_PX}\" height=\"{SIDE_PX}\"/>\
         <text class=\"s\" x=\"{}\" y=\"{}\">{}</text></g>\n",
        verdict.class(),
        x + SIDE_PX / 2,
        y + 18,
        verdict.sign()
    )
}
