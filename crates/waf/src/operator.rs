//! What a rule asks of a value: the operators of SecLang.

mod bytes;
mod network;

use crate::pattern::{Groups, Pattern};
use crate::place::both;
use crate::rule::Template;
use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use netwhy_model::Text;
pub use network::Net;
use std::sync::{Arc, OnceLock};

/// One operator, perhaps negated.
#[derive(Debug, Clone)]
pub struct Operator {
    pub negated: bool,
    pub test: Test,
}

#[derive(Debug, Clone)]
pub enum Test {
    Rx(Pattern),
    /// A pattern that is put together while the rule runs.
    RxOf(Template),
    Pm(Words),
    Within(Template),
    Contains(Template),
    ContainsWord(Template),
    BeginsWith(Template),
    EndsWith(Template),
    StrEq(Template),
    Number(Compare, Template),
    IpMatch(Vec<Net>),
    DetectSqli,
    DetectXss,
    /// Which bytes are allowed.
    ByteRange(Arc<[bool; 256]>),
    UrlEncoding,
    Utf8Encoding,
    Always,
    Never,
    /// Not modelled: what it would answer is not known.
    Unknown(Text),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    Equal,
    AtLeast,
    More,
    AtMost,
    Less,
}

/// A list of words, looked for without regard to case.
#[derive(Debug, Clone)]
pub struct Words(Arc<List>);

#[derive(Debug)]
struct List {
    words: Vec<Vec<u8>>,
    /// Built when it is first needed.
    automaton: OnceLock<Option<AhoCorasick>>,
}

impl Words {
    pub fn new(words: Vec<Vec<u8>>) -> Words {
        Words(Arc::new(List {
            words: words.into_iter().filter(|word| !word.is_empty()).collect(),
            automaton: OnceLock::new(),
        }))
    }

    /// The first word that stands in the value.
    fn first(&self, value: &[u8]) -> Result<Option<&[u8]>, Text> {
        let List { words, automaton } = &*self.0;
        let found = automaton
            .get_or_init(|| AhoCorasickBuilder::new().ascii_case_insensitive(true).build(words).ok())
            .as_ref()
            .ok_or_else(|| both("its list of words is too large", "其词表过大"))?
            .find(value);
        Ok(found.and_then(|found| words.get(found.pattern().as_usize())).map(Vec::as_slice))
    }
}

/// What an operator says of one value.
pub enum Said {
    No,
    /// With what the match captured.
    Yes(Groups),
    Unknown(Text),
}

impl Said {
    fn of(yes: bool) -> Said {
        if yes { Said::Yes(Vec::new()) } else { Said::No }
    }
}

impl Operator {
    /// An operator that is not modelled.
    pub fn unknown(why: Text) -> Operator {
        Operator { negated: false, test: Test::Unknown(why) }
    }

    /// Asks the value; `expand` puts the macros of an operand in.
    pub fn ask(&self, value: &[u8], expand: &dyn Fn(&Template) -> Result<Vec<u8>, Text>) -> Said {
        let said = self.test.ask(value, expand).unwrap_or_else(Said::Unknown);
        match (self.negated, said) {
            (true, Said::Yes(_)) => Said::No,
            (true, Said::No) => Said::Yes(Vec::new()),
            (_, said) => said,
        }
    }
}

impl Test {
    fn ask(&self, value: &[u8], expand: &dyn Fn(&Template) -> Result<Vec<u8>, Text>) -> Result<Said, Text> {
        Ok(match self {
            Test::Rx(pattern) => pattern.groups(value)?.map_or(Said::No, Said::Yes),
            Test::RxOf(template) => {
                let pattern = Pattern::new(&bytes::as_pattern(&expand(template)?));
                pattern.groups(value)?.map_or(Said::No, Said::Yes)
            }
            Test::Pm(words) => {
                let found = words.first(value)?;
                found.map_or(Said::No, |word| Said::Yes(vec![Some(word.to_vec())]))
            }
            Test::Within(operand) => Said::of(bytes::contains(&expand(operand)?, value)),
            Test::Contains(operand) => Said::of(bytes::contains(value, &expand(operand)?)),
            Test::ContainsWord(operand) => Said::of(bytes::contains_word(value, &expand(operand)?)),
            Test::BeginsWith(operand) => Said::of(value.starts_with(&expand(operand)?)),
            Test::EndsWith(operand) => Said::of(value.ends_with(&expand(operand)?)),
            Test::StrEq(operand) => Said::of(value == expand(operand)?),
            Test::Number(compare, operand) => {
                Said::of(compare.holds(bytes::number(value), bytes::number(&expand(operand)?)))
            }
            Test::IpMatch(nets) => match network::address(value) {
                Some(address) => Said::of(nets.iter().any(|net| net.holds(address))),
                None => Said::No,
            },
            Test::DetectSqli => bytes::sql_injection(value)?,
            Test::DetectXss => bytes::cross_site(value)?,
            Test::ByteRange(allowed) => Said::of(value.iter().any(|byte| !allowed[usize::from(*byte)])),
            Test::UrlEncoding => Said::of(!crate::transform::url_checked(value).1),
            Test::Utf8Encoding => Said::of(std::str::from_utf8(value).is_err()),
            Test::Always => Said::of(true),
            Test::Never => Said::No,
            Test::Unknown(why) => Said::Unknown(why.clone()),
        })
    }
}

impl Compare {
    fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Compare::Equal => left == right,
            Compare::AtLeast => left >= right,
            Compare::More => left > right,
            Compare::AtMost => left <= right,
            Compare::Less => left < right,
        }
    }
}
