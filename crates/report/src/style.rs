//! How a text page looks: colour, characters, columns.

use netwhy_model::{Lang, LinkState};
use unicode_width::UnicodeWidthStr;

/// How a text report is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub lang: Lang,
    /// Escape sequences for colour may be written; no meaning hangs on them.
    pub color: bool,
    /// Characters outside ASCII may be used for drawing.
    pub unicode: bool,
    /// Columns to lay the page out for.
    pub width: usize,
    /// Everything that was seen is listed, not only what matters.
    pub verbose: bool,
}

/// What a piece of text is, for those who see colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Bold,
    Dim,
    Good,
    Bad,
    Warning,
    Command,
}

impl Tone {
    /// The parameter of the SGR escape sequence (ECMA-48, section 8.3.117).
    const fn code(self) -> &'static str {
        match self {
            Tone::Bold => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Bad => "1;31",
            Tone::Warning => "33",
            Tone::Command => "36",
        }
    }

    /// The tone of a link in this state.
    pub(crate) const fn of(state: LinkState) -> Tone {
        match state {
            LinkState::Well => Tone::Good,
            LinkState::Broken => Tone::Bad,
            LinkState::Ailing | LinkState::Suspect => Tone::Warning,
            LinkState::Unknown => Tone::Dim,
        }
    }
}

impl Style {
    /// The text in its tone, or as it is without colour.
    pub(crate) fn paint(&self, text: &str, tone: Tone) -> String {
        if self.color && !text.is_empty() {
            format!("\u{1b}[{}m{text}\u{1b}[0m", tone.code())
        } else {
            text.to_owned()
        }
    }

    /// One drawing for rich character sets, or its ASCII stand-in.
    pub(crate) const fn draw<'a>(&self, rich: &'a str, ascii: &'a str) -> &'a str {
        if self.unicode { rich } else { ascii }
    }

    /// The sign of a link's state; each differs in shape, not only in colour.
    pub const fn sign(&self, state: LinkState) -> &'static str {
        match state {
            LinkState::Well => self.draw("✓", "+"),
            LinkState::Broken => self.draw("✗", "x"),
            LinkState::Ailing => "!",
            LinkState::Suspect => "?",
            LinkState::Unknown => self.draw("·", "-"),
        }
    }
}

/// The text without control and direction-changing characters, on one line.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if is_hostile(c) { ' ' } else { c }).collect()
}

/// Whether the character moves the cursor, turns the direction of text or hides in it.
pub(crate) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Columns a text takes on a terminal; a Chinese character takes two.
pub fn display_width(text: &str) -> usize {
    text.width()
}

/// The text with blanks up to so many columns.
pub fn padded(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(display_width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// The text cut to so many columns, the cut marked.
pub fn shortened(text: &str, columns: usize, mark: &str) -> String {
    if display_width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(display_width(mark));
    let mut short = String::new();
    let mut taken = 0;
    for letter in text.chars() {
        taken += display_width(letter.encode_utf8(&mut [0; 4]));
        if taken > room {
            break;
        }
        short.push(letter);
    }
    short.trim_end().to_owned() + mark
}

/// Breaks a text into lines of at most so many columns: at blanks, within Chinese anywhere, and within a word only
/// when it is wider than a line.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(10);
    let mut lines = Vec::new();
    let mut line = String::new();
    for piece in pieces(text) {
        let fits = display_width(&line) + display_width(piece.trim_end()) <= columns;
        if !fits && !line.is_empty() {
            lines.push(line.trim_end().to_owned());
            line.clear();
        }
        line.push_str(if line.is_empty() { piece.trim_start() } else { piece });
        while display_width(line.trim_end()) > columns {
            let rest = line.split_off(end_within(&line, columns));
            lines.push(std::mem::replace(&mut line, rest));
        }
    }
    if !line.trim_end().is_empty() || lines.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// Where the letters that fit into so many columns end; at least one letter fits.
fn end_within(text: &str, columns: usize) -> usize {
    let mut taken = 0;
    let fits = |(at, letter): &(usize, char)| {
        taken += display_width(letter.encode_utf8(&mut [0; 4]));
        taken <= columns || *at == 0
    };
    text.char_indices().take_while(fits).last().map_or(text.len(), |(at, letter)| at + letter.len_utf8())
}

/// The parts a text may be broken between: after a blank, and after a wide character unless a mark that may not
/// begin a line follows.
fn pieces(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let next = letters.peek().map(|(_, next)| *next);
        let wide = |c: char| ('\u{2e80}'..='\u{ffef}').contains(&c);
        let closing = next.is_some_and(|n| "，。、；：！？）」』》".contains(n));
        let opening = "（「『《".contains(letter);
        let border = letter == ' ' && next != Some(' ')
            || (wide(letter) || next.is_some_and(wide)) && !closing && !opening && next != Some(' ');
        if border {
            let end = at + letter.len_utf8();
            parts.push(&text[start..end]);
            start = end;
        }
    }
    if start < text.len() {
        parts.push(&text[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_by_columns_and_never_starts_a_line_with_a_closing_mark() {
        assert_eq!(wrapped("one two three four", 10), ["one two", "three four"]);
        let lines = wrapped("端口上没有进程在监听，请启动服务", 14);
        assert!(lines.iter().all(|l| display_width(l) <= 16 && !l.starts_with('，')), "{lines:?}");
        assert_eq!(lines.concat(), "端口上没有进程在监听，请启动服务");
        assert_eq!(wrapped("", 20), [""]);
        assert_eq!(wrapped("an abcdefghijklmnopqrstuvw x", 10), ["an", "abcdefghij", "klmnopqrst", "uvw x"]);
    }

    #[test]
    fn cleans_what_could_move_the_cursor_or_turn_the_text() {
        assert_eq!(clean("a\u{1b}[2Jb\u{202e}c\nd"), "a [2Jb c d");
        assert_eq!(padded("路径", 6), "路径  ");
    }
}
