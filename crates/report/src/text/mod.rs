//! A verdict as text: the first five lines say what is wrong and what to do, the rest says why.

mod causes;
mod chain;
mod rest;

use crate::style::{Style, Tone, clean, display_width, padded, shortened, wrapped};
use netwhy_model::{CauseFinding, FixStep, Lang, LinkState, Reachability, Verdict};

/// From this confidence on the first cause's fix stands at the top; the sentence names it alone from here on too.
const FIX_FIRST_MIN: f64 = 0.6;
/// Columns of the thing to do next at the top; the whole text stands further down.
const ACT_COLUMNS_MAX: usize = 180;
/// Columns by which the body of a section is set in.
pub(crate) const INDENT: usize = 2;

/// Writes a verdict for a terminal or a plain file; it ends with a line end.
pub fn verdict_text(verdict: &Verdict, style: &Style) -> String {
    let mut page = Page::new(*style);
    headline(verdict, &mut page);
    chain::draw(&verdict.chain, &mut page);
    causes::write(verdict, &mut page);
    rest::write(verdict, &mut page);
    page.text
}

/// Sign and sentence, then the one thing to do next.
fn headline(verdict: &Verdict, page: &mut Page) {
    let style = page.style;
    let state = overall(verdict);
    let (sign, tone) = (style.sign(state), Tone::of(state));
    let lines = wrapped(&clean(&verdict.sentence), style.width.saturating_sub(INDENT));
    for (number, line) in lines.iter().enumerate() {
        let lead = if number == 0 { style.paint(sign, tone) } else { " ".to_owned() };
        page.line(&format!("{lead} {}", style.paint(line, Tone::Bold)));
    }
    let Some(act) = what_to_do(verdict, style.lang) else { return };
    let arrow = style.draw("→ ", "> ");
    let text = shortened(&act.text, ACT_COLUMNS_MAX, style.draw("…", "..."));
    page.hanging(arrow, INDENT, &text, None);
    if let Some(command) = &act.command {
        page.command(INDENT, command);
    }
}

/// The state of the whole, as a link's state.
pub(crate) fn overall(verdict: &Verdict) -> LinkState {
    match verdict.reachability {
        _ if verdict.healthy => LinkState::Well,
        Reachability::Unreachable => LinkState::Broken,
        Reachability::Undetermined => LinkState::Suspect,
        Reachability::Reachable | Reachability::Inconsistent => LinkState::Ailing,
    }
}

/// The one thing to do next.
pub(crate) struct Act {
    pub(crate) text: String,
    pub(crate) command: Option<String>,
}

/// The first step of the fix when the cause is clear, else what would make it clear.
pub(crate) fn what_to_do(verdict: &Verdict, lang: Lang) -> Option<Act> {
    let sure = |cause: &&CauseFinding| cause.confidence >= FIX_FIRST_MIN;
    if let Some(step) = verdict.causes.first().filter(sure).and_then(|cause| cause.fixes.first()) {
        let text = format!("{}{}", lang.pick("Fix: ", "修复："), clean(&step.text));
        return Some(Act { text, command: step.command.clone() });
    }
    let next = verdict.next.first()?;
    let text = format!("{}{}", lang.pick("To be sure: ", "要确认："), clean(&next.ask));
    Some(Act { text, command: None })
}

/// A text page in the making.
pub(crate) struct Page {
    pub(crate) style: Style,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn new(style: Style) -> Page {
        Page { style, text: String::new() }
    }

    /// One line, without blanks at its end.
    pub(crate) fn line(&mut self, line: &str) {
        if self.style.unicode {
            self.text.push_str(line.trim_end());
        } else {
            self.text.push_str(&line.trim_end().replace('→', "->").replace('…', "...").replace('·', "-"));
        }
        self.text.push('\n');
    }

    /// An empty line and a title.
    pub(crate) fn section(&mut self, title: &str) {
        self.text.push('\n');
        let title = self.style.paint(title, Tone::Bold);
        self.line(&title);
    }

    /// A text after a lead, broken so that later lines stand under the first.
    pub(crate) fn hanging(&mut self, lead: &str, lead_columns: usize, text: &str, tone: Option<Tone>) {
        let style = self.style;
        for (number, line) in wrapped(text, style.width.saturating_sub(lead_columns)).iter().enumerate() {
            let painted = tone.map_or_else(|| line.clone(), |tone| style.paint(line, tone));
            if number == 0 {
                self.line(&format!("{lead}{painted}"));
            } else {
                self.line(&format!("{}{painted}", " ".repeat(lead_columns)));
            }
        }
    }

    /// A text set in by so many columns, broken to the page.
    pub(crate) fn paragraph(&mut self, indent: usize, text: &str) {
        self.hanging(&" ".repeat(indent), indent, text, None);
    }

    /// A label in its own column, then a text.
    pub(crate) fn labelled(&mut self, label: &str, columns: usize, text: &str) {
        let lead = format!("{}{}", " ".repeat(INDENT), padded(label, columns));
        let width = display_width(&lead);
        self.hanging(&lead, width, text, None);
    }

    /// One numbered step of a fix, its command on a line of its own.
    pub(crate) fn step(&mut self, number: usize, step: &FixStep) {
        let lead = format!("{}{number}. ", " ".repeat(INDENT));
        let columns = display_width(&lead);
        self.hanging(&lead, columns, &clean(&step.text), None);
        if let Some(command) = &step.command {
            self.command(columns, command);
        }
    }

    /// A command, never broken: what is copied must run.
    pub(crate) fn command(&mut self, indent: usize, command: &str) {
        for line in command.lines() {
            let line = self.style.paint(&clean(line), Tone::Command);
            self.line(&format!("{}$ {line}", " ".repeat(indent)));
        }
    }
}
