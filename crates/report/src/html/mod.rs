//! HTML pages that carry everything with them: no script, no external resource, one style element.
//!
//! The policy in each page's head allows that style by its hash and nothing else, so hostile text that
//! slipped through escaping could still not load or run anything.

mod chain;
mod verdict;

use crate::style::clean;
use netwhy_model::{FixStep, Lang};

pub(crate) use chain::{class as state_class, sign};
pub use verdict::{verdict_article, verdict_html};

/// The one style sheet of every page.
const STYLE: &str = include_str!("style.css");
/// `sha256-…` of [`STYLE`] for the content security policy; a test holds it current.
const STYLE_HASH: &str = include_str!("style.hash");

/// HTML in the making; text goes in escaped.
#[derive(Debug, Default)]
pub(crate) struct Html {
    markup: String,
}

impl Html {
    /// Opens an element, with a class unless that is empty.
    pub(crate) fn open(&mut self, tag: &str, class: &str) {
        self.markup.push('<');
        self.markup.push_str(tag);
        if !class.is_empty() {
            self.markup.push_str(&format!(" class=\"{}\"", escaped(class)));
        }
        self.markup.push('>');
    }

    /// Closes an element.
    pub(crate) fn close(&mut self, tag: &str) {
        self.markup.push_str(&format!("</{tag}>"));
        if !matches!(tag, "code" | "span" | "strong") {
            self.markup.push('\n');
        }
    }

    /// Adds text, escaped.
    pub(crate) fn text(&mut self, text: &str) {
        self.markup.push_str(&escaped(text));
    }

    /// Adds markup made here, never anything read from outside.
    pub(crate) fn raw(&mut self, markup: &str) {
        self.markup.push_str(markup);
    }

    /// A whole element with text.
    pub(crate) fn element(&mut self, tag: &str, class: &str, text: &str) {
        self.open(tag, class);
        self.text(text);
        self.close(tag);
    }

    /// A table with its head row; on a narrow screen it scrolls, not the page.
    pub(crate) fn table(&mut self, titles: &[&str]) {
        self.raw("<div class=\"scroll\"><table>\n<thead><tr>");
        for title in titles {
            self.raw("<th scope=\"col\">");
            self.text(title);
            self.raw("</th>");
        }
        self.raw("</tr></thead>\n<tbody>\n");
    }

    /// One row of texts.
    pub(crate) fn row(&mut self, texts: &[&str]) {
        self.raw("<tr>");
        for text in texts {
            self.raw("<td>");
            self.text(text);
            self.raw("</td>");
        }
        self.raw("</tr>\n");
    }

    /// The end of a table.
    pub(crate) fn close_table(&mut self) {
        self.raw("</tbody></table></div>\n");
    }

    /// A command to copy, with its own line breaks.
    pub(crate) fn command(&mut self, command: &str) {
        let lines: Vec<String> = command.lines().map(escaped).collect();
        self.raw(&format!("<pre><code>{}</code></pre>\n", lines.join("\n")));
    }

    /// The markup so far.
    pub(crate) fn into_markup(self) -> String {
        self.markup
    }

    /// The whole page around it.
    pub(crate) fn page(self, title: &str, lang: Lang) -> String {
        let policy = format!("default-src 'none'; style-src '{}'", STYLE_HASH.trim());
        format!(
            "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
            lang.pick("en", "zh-CN"),
            escaped(title),
            self.markup
        )
    }
}

/// The steps of a fix as a list, with commands to copy.
pub(crate) fn fix_list(body: &mut Html, steps: &[FixStep]) {
    body.open("ol", "fixes");
    for step in steps {
        body.open("li", "");
        body.text(&step.text);
        if let Some(command) = &step.command {
            body.command(command);
        }
        body.close("li");
    }
    body.close("ol");
}

/// The text safe in content and in quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in clean(text).chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "<script>alert('x')</script>\u{1b}\" onload=\"";
        let safe = escaped(hostile);
        assert!(!safe.contains(['<', '>', '"', '\'', '\u{1b}']), "{safe}");
    }

    /// Base 64 with padding (RFC 4648, section 4).
    fn base64(bytes: &[u8]) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let group = (0..3).fold(0_u32, |sum, i| sum << 8 | u32::from(*chunk.get(i).unwrap_or(&0)));
            for place in 0..4 {
                let letter = LETTERS[(group >> (18 - 6 * place) & 63) as usize] as char;
                text.push(if place <= chunk.len() { letter } else { '=' });
            }
        }
        text
    }

    #[test]
    fn the_policy_allows_this_style_and_no_other() {
        let hash = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
        let wanted = format!("sha256-{}", base64(hash.as_ref()));
        assert_eq!(STYLE_HASH.trim(), wanted, "write it to crates/report/src/html/style.hash");
    }
}
