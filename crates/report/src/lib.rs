//! Writes verdicts and lessons as text, JSON and HTML with SVG, in English and Chinese.
//!
//! Pure: from a value to a string. It reads no terminal, no locale and no clock; [`Style`] says how
//! the page is to look. Every text of the network is cleaned of control characters on its way out.

pub mod explain;
mod html;
mod style;
mod text;
mod words;

pub use html::{verdict_article, verdict_html};
pub use style::{Style, clean, display_width};
pub use text::verdict_text;

use serde::Serialize;

/// Writes a value as JSON with a final line end: over many lines, or compact on one.
///
/// # Errors
/// When the value cannot be serialised, which no value of the model causes.
pub fn to_json(value: &impl Serialize, pretty: bool) -> serde_json::Result<String> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.map(|text| text + "\n")
}
