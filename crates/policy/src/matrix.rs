//! Who reaches whom: one table as text, HTML and SVG. Every cell has a word besides its colour.

mod html;
mod svg;
mod text;

pub use html::html;
pub use svg::svg;
pub use text::text;

use netwhy_model::{Lang, Text};

/// How many rows and columns a picture has; the rest is counted.
const SHOWN_COUNT_MAX: usize = 400;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    pub title: Text,
    /// From whom.
    pub rows: Vec<String>,
    /// To whom.
    pub columns: Vec<String>,
    /// One list for each row, one cell for each column; what is missing is [`Verdict::Unknown`].
    pub cells: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub verdict: Verdict,
    /// On what: `tcp 443, 8080`; may be empty.
    pub on: String,
    /// Why, for whoever looks closer.
    pub why: Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// All that was asked.
    Allowed,
    /// A part of what was asked.
    Partly,
    Denied,
    Depends,
    /// From one to itself.
    Itself,
    Unknown,
}

impl Verdict {
    pub const ALL: [Verdict; 6] = [
        Verdict::Allowed,
        Verdict::Partly,
        Verdict::Denied,
        Verdict::Depends,
        Verdict::Itself,
        Verdict::Unknown,
    ];

    /// A sign that is read without colour.
    pub const fn sign(self) -> &'static str {
        match self {
            Verdict::Allowed => "+",
            Verdict::Partly => "~",
            Verdict::Denied => "x",
            Verdict::Depends => "?",
            Verdict::Itself => ".",
            Verdict::Unknown => "-",
        }
    }

    pub fn word(self, lang: Lang) -> &'static str {
        match self {
            Verdict::Allowed => lang.pick("allowed", "放行"),
            Verdict::Partly => lang.pick("partly", "部分放行"),
            Verdict::Denied => lang.pick("denied", "拒绝"),
            Verdict::Depends => lang.pick("depends", "取决于条件"),
            Verdict::Itself => lang.pick("itself", "自身"),
            Verdict::Unknown => lang.pick("unknown", "未知"),
        }
    }

    /// The name of its class in HTML and SVG.
    const fn class(self) -> &'static str {
        match self {
            Verdict::Allowed => "a",
            Verdict::Partly => "p",
            Verdict::Denied => "d",
            Verdict::Depends => "q",
            Verdict::Itself => "i",
            Verdict::Unknown => "u",
        }
    }
}

impl Matrix {
    fn cell(&self, row: usize, column: usize) -> Option<&Cell> {
        self.cells.get(row)?.get(column)
    }

    fn verdict(&self, row: usize, column: usize) -> Verdict {
        self.cell(row, column).map_or(Verdict::Unknown, |cell| cell.verdict)
    }

    /// How many cells have a verdict.
    fn count(&self, verdict: Verdict) -> usize {
        let rows = 0..self.rows.len();
        rows.map(|row| (0..self.columns.len()).filter(|column| self.verdict(row, *column) == verdict).count())
            .sum()
    }

    /// "allowed 3, denied 1": how many there are of each.
    fn summary(&self, lang: Lang) -> String {
        let counted = Verdict::ALL.iter().map(|verdict| (verdict, self.count(*verdict)));
        let words = counted.filter(|(_, count)| *count > 0);
        let words: Vec<String> = words
            .map(|(verdict, count)| format!("{} {} {count}", verdict.sign(), verdict.word(lang)))
            .collect();
        words.join(lang.pick(", ", "，"))
    }

    /// "… and 12 more rows" where not all are shown.
    fn cut(&self, lang: Lang) -> Option<String> {
        let rows = self.rows.len().saturating_sub(SHOWN_COUNT_MAX);
        let columns = self.columns.len().saturating_sub(SHOWN_COUNT_MAX);
        (rows + columns > 0).then(|| match lang {
            Lang::En => format!("… and {rows} more rows, {columns} more columns"),
            Lang::Zh => format!("……另有 {rows} 行、{columns} 列"),
        })
    }
}

/// Text for HTML and SVG, without control characters.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

/// At most so many characters, with an ellipsis for the rest.
fn short(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}
