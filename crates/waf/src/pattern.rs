//! Patterns as PCRE understands them, compiled when they are first needed.

use crate::place::both;
use netwhy_model::Text;
use pcre2::bytes::{Regex, RegexBuilder};
use std::sync::{Arc, OnceLock};

/// How many steps back one match may take; a request that needs more is not decided.
const MATCH_STEPS_MAX: u32 = 1_000_000;
/// The stack of the compiled matcher, in bytes.
const STACK_BYTES_MAX: usize = 1 << 20;
/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 18;
/// How many groups a rule can refer to: `TX.0` to `TX.9`.
pub const GROUPS_COUNT_MAX: usize = 10;

/// A pattern; cheap to copy.
#[derive(Debug, Clone)]
pub struct Pattern(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text: String,
    any_case: bool,
    compiled: OnceLock<Option<Regex>>,
}

/// What the groups of a match hold, the whole match first.
pub type Groups = Vec<Option<Vec<u8>>>;

impl Pattern {
    /// As `@rx` reads it: a dot is any byte, `^` and `$` stand at lines.
    pub fn new(text: &str) -> Pattern {
        Pattern::with(text, false)
    }

    /// As the selector of a target reads it: without regard to case.
    pub fn any_case(text: &str) -> Pattern {
        Pattern::with(text, true)
    }

    fn with(text: &str, any_case: bool) -> Pattern {
        Pattern(Arc::new(Inner { text: text.to_owned(), any_case, compiled: OnceLock::new() }))
    }

    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether it can be compiled.
    pub fn is_valid(&self) -> bool {
        self.regex().is_some()
    }

    fn regex(&self) -> Option<&Regex> {
        self.0.compiled.get_or_init(|| compile(&self.0)).as_ref()
    }

    pub fn is_match(&self, value: &[u8]) -> Result<bool, Text> {
        self.regex().ok_or_else(invalid)?.is_match(value).map_err(|_| exhausted())
    }

    /// The groups of the first match.
    pub fn groups(&self, value: &[u8]) -> Result<Option<Groups>, Text> {
        let regex = self.regex().ok_or_else(invalid)?;
        let found = regex.captures(value).map_err(|_| exhausted())?;
        Ok(found.map(|groups| {
            let count = groups.len().min(GROUPS_COUNT_MAX);
            (0..count).map(|at| groups.get(at).map(|group| group.as_bytes().to_vec())).collect()
        }))
    }
}

fn compile(pattern: &Inner) -> Option<Regex> {
    if pattern.text.len() > PATTERN_BYTES_MAX {
        return None;
    }
    RegexBuilder::new()
        .dotall(true)
        .multi_line(true)
        .caseless(pattern.any_case)
        .jit_if_available(true)
        .max_jit_stack_size(Some(STACK_BYTES_MAX))
        .build(&format!("(*LIMIT_MATCH={MATCH_STEPS_MAX}){}", pattern.text))
        .ok()
}

fn invalid() -> Text {
    both("its pattern is not valid", "其正则表达式无效")
}

fn exhausted() -> Text {
    both(
        "its pattern needs more steps on this request than are allowed",
        "其正则表达式在此请求上所需步数超过上限",
    )
}
