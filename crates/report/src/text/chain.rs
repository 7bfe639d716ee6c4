//! The chain as text: side by side where the page is wide enough, else one link a line.

use super::{INDENT, Page};
use crate::style::{Style, Tone, clean, display_width, padded};
use crate::words;
use netwhy_model::{ChainLink, LinkState};

/// Columns of the stroke between two links, blanks included.
const STROKE_COLUMNS: usize = 4;
/// Longest label drawn in a column; longer ones ask for the upright drawing.
const LABEL_COLUMNS_MAX: usize = 24;

/// Draws the links in order with state and label.
pub(super) fn draw(chain: &[ChainLink], page: &mut Page) {
    if chain.is_empty() {
        return;
    }
    let cells: Vec<Cell> = chain.iter().map(|link| Cell::of(link, &page.style)).collect();
    let total: usize =
        cells.iter().map(Cell::columns).sum::<usize>() + STROKE_COLUMNS * (cells.len() - 1) + INDENT;
    let narrow = cells.iter().all(|cell| display_width(&cell.label) <= LABEL_COLUMNS_MAX);
    page.line("");
    if narrow && total <= page.style.width {
        side_by_side(&cells, page);
    } else {
        one_below_another(&cells, page);
    }
}

struct Cell {
    name: &'static str,
    state: LinkState,
    said: String,
    label: String,
}

impl Cell {
    fn of(link: &ChainLink, style: &Style) -> Cell {
        Cell {
            name: words::link(link.link, style.lang),
            state: link.state,
            said: format!("{} {}", style.sign(link.state), words::state(link.state, style.lang)),
            label: clean(&link.label),
        }
    }

    fn columns(&self) -> usize {
        display_width(self.name).max(display_width(&self.said)).max(display_width(&self.label))
    }
}

fn side_by_side(cells: &[Cell], page: &mut Page) {
    let style = page.style;
    let (mut names, mut states, mut labels) = (String::new(), String::new(), String::new());
    let mut cut = false;
    for (number, cell) in cells.iter().enumerate() {
        let last = number + 1 == cells.len();
        let columns = cell.columns();
        cut |= cell.state == LinkState::Broken;
        names.push_str(cell.name);
        if !last {
            // What lies behind a broken link was reached by nothing: its stroke is interrupted.
            let stroke = if cut { style.draw("╌", "-") } else { style.draw("─", "=") };
            let fill = columns - display_width(cell.name) + STROKE_COLUMNS - 2;
            names.push_str(&format!(" {} ", stroke.repeat(fill)));
        }
        let tone = Tone::of(cell.state);
        let gap = " ".repeat(columns + STROKE_COLUMNS - display_width(&cell.said));
        states.push_str(&format!("{}{gap}", style.paint(&cell.said, tone)));
        labels.push_str(&padded(&cell.label, columns + STROKE_COLUMNS));
    }
    let labels = style.paint(labels.trim_end(), Tone::Dim);
    for row in [names, states, labels].iter().filter(|row| !row.is_empty()) {
        page.line(&format!("{}{row}", " ".repeat(INDENT)));
    }
}

fn one_below_another(cells: &[Cell], page: &mut Page) {
    let style = page.style;
    let names = cells.iter().map(|cell| display_width(cell.name)).max().unwrap_or(0);
    let said = cells.iter().map(|cell| display_width(&cell.said)).max().unwrap_or(0);
    for (number, cell) in cells.iter().enumerate() {
        let joint = match number {
            0 => style.draw("┌", "."),
            n if n + 1 == cells.len() => style.draw("└", "'"),
            _ => style.draw("├", "|"),
        };
        let state = style.paint(&padded(&cell.said, said), Tone::of(cell.state));
        page.line(&format!(
            "{}{joint} {}  {state}  {}",
            " ".repeat(INDENT),
            padded(cell.name, names),
            cell.label
        ));
    }
}
