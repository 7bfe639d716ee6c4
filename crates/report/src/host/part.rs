//! What a page about a host is made of, before it becomes text or HTML.

use super::Topic;
use netwhy_model::FixStep;
use netwhy_model::host::{Severity, State};

/// One titled part of the page.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    pub title: String,
    /// What a person needs first.
    pub brief: Vec<Item>,
    /// Everything, in place of the brief; empty when the brief has it all.
    pub full: Vec<Item>,
    /// For whoever wants only this.
    pub topic: Topic,
}

/// A piece of a part.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// A sentence, with a sign before it when it is odd or bad.
    Line(State, String),
    /// A sentence of less weight.
    Aside(String),
    Table(Table),
    Finding(Judged),
}

/// A finding with the catalogue's words.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub severity: Severity,
    pub title: String,
    pub cause: String,
    pub subject: String,
    pub text: String,
    pub proof: Vec<String>,
    pub fixes: Vec<FixStep>,
}

/// Rows under heads.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub heads: Vec<Head>,
    pub rows: Vec<Row>,
    /// Rows that were left out.
    pub left_out: usize,
    /// What [`Row::below`] is, as a head.
    pub below: String,
}

/// The head of a column.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub title: String,
    /// Numbers stand at the right.
    pub right: bool,
    /// It may go where the page is too narrow.
    pub optional: bool,
    /// What stands in it is never cut.
    pub whole: bool,
}

/// One row; its state shows as a sign before it.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub state: State,
    pub cells: Vec<Cell>,
    /// A longer text that belongs to the row; empty without one.
    pub below: String,
}

/// One cell.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Text(String),
    /// How full something is, 0 to 1 and beyond; none when it has no limit.
    Fill(Option<f64>),
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl Table {
    /// An empty table; a head with `>` before it is one of numbers, with `?` one that may go, with `#` one of bars.
    pub(super) fn new(heads: &[&str]) -> Table {
        let head = |text: &&str| {
            let title = text.trim_start_matches(['>', '?', '#']);
            let marks = &text[..text.len() - title.len()];
            let right = marks.contains('>');
            let whole = right || marks.contains('#');
            Head { title: title.to_owned(), right, optional: marks.contains('?'), whole }
        };
        Table { heads: heads.iter().map(head).collect(), ..Table::default() }
    }

    /// Adds one row.
    pub(super) fn row(&mut self, state: State, cells: Vec<Cell>) {
        self.rows.push(Row { state, cells, below: String::new() });
    }

    /// Adds one row with a longer text.
    pub(super) fn row_above(&mut self, state: State, cells: Vec<Cell>, below: &str) {
        self.rows.push(Row { state, cells, below: below.to_owned() });
    }

    /// The first rows; what is left out is counted.
    pub(super) fn first(mut self, rows_max: usize) -> Table {
        self.left_out += self.rows.len().saturating_sub(rows_max);
        self.rows.truncate(rows_max);
        self
    }

    /// Drops the columns nothing stands in.
    pub(super) fn without_empty_columns(mut self) -> Table {
        let empty = |place: usize, rows: &[Row]| {
            rows.iter().all(|row| match row.cells.get(place) {
                Some(Cell::Text(text)) => text.is_empty(),
                Some(Cell::Fill(fill)) => fill.is_none(),
                None => true,
            })
        };
        let kept: Vec<bool> = (0..self.heads.len()).map(|place| !empty(place, &self.rows)).collect();
        let keep = |place: usize| kept.get(place).copied().unwrap_or(false);
        let mut place = 0;
        self.heads.retain(|_| {
            place += 1;
            keep(place - 1)
        });
        for row in &mut self.rows {
            let mut place = 0;
            row.cells.retain(|_| {
                place += 1;
                keep(place - 1)
            });
        }
        self
    }
}

impl From<Table> for Item {
    fn from(table: Table) -> Item {
        Item::Table(table)
    }
}

/// The worse of two states.
pub(super) fn worse(a: State, b: State) -> State {
    a.max(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_without_anything_in_them_go_and_rows_are_counted() {
        let mut table = Table::new(&["a", ">b", "c"]);
        table.row(State::Well, vec!["x".into(), "".into(), Cell::Fill(Some(0.5))]);
        table.row(State::Bad, vec!["y".into(), "".into(), Cell::Fill(None)]);
        let table = table.without_empty_columns().first(1);
        assert_eq!(table.heads.iter().map(|head| head.title.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!((table.rows.len(), table.left_out, table.rows[0].cells.len()), (1, 1, 2));
        assert_eq!(worse(State::Odd, State::Well), State::Odd);
    }
}
