//! nftables: what `nft list ruleset` prints, as text and as JSON, and what is written for `nft -f`.
//!
//! Both are read into the same expressions, and these by the same code into the tree, so that they agree. What is
//! not understood stays in its rule as unknown, and what is no language of nft is reported with its place.

mod build;
mod draft;
mod expression;
mod field;
mod hook;
mod json;
mod kind;
mod lexer;
pub(super) mod names;
mod print;
mod text;

use super::ast::Ruleset;
use std::sync::Arc;

/// Reads rules as text. Included files are reported as not at hand.
pub fn read_text(file: &Arc<str>, text: &str) -> Ruleset {
    read_text_with(file, text, &|_| None)
}

/// Reads rules as text; `include` gives what an included file holds, by the name as written.
pub fn read_text_with(file: &Arc<str>, text: &str, include: &dyn Fn(&str) -> Option<String>) -> Ruleset {
    text::read(file, text, include)
}

/// Reads rules as JSON.
pub fn read_json(file: &Arc<str>, text: &str) -> Ruleset {
    json::read(file, text)
}
