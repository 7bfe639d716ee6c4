//! The rules as they were read: what each looks at, asks, and does.

use crate::operator::Operator;
use crate::pattern::Pattern;
use crate::place::Place;
use crate::transform::Transform;
use std::ops::RangeInclusive;

/// One rule with the rules chained to it.
#[derive(Debug, Clone)]
pub struct Rule {
    /// 0 where the file gives none.
    pub id: u64,
    pub place: Place,
    /// 1 to 5; only 1 and 2 are run.
    pub phase: u8,
    /// The rule itself, then those chained to it: all must match.
    pub links: Vec<Link>,
    pub about: About,
    pub flow: Flow,
}

/// What a rule says of itself.
#[derive(Debug, Clone, Default)]
pub struct About {
    pub msg: Template,
    pub severity: Option<String>,
    pub tags: Vec<String>,
    /// Whether a match is written to the log.
    pub logged: bool,
}

/// What becomes of a request that matches.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    pub disruptive: Option<Disruptive>,
    pub status: Option<u16>,
    pub skip_after: Option<String>,
    pub skip: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disruptive {
    Pass,
    /// Whatever the default of the phase does.
    Block,
    Deny,
    Drop,
    Redirect(String),
    Proxy,
    /// Everything from here on is let through.
    Allow(Scope),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    All,
    Phase,
    Request,
}

/// One rule of a chain.
#[derive(Debug, Clone)]
pub struct Link {
    pub line: u32,
    pub targets: Vec<Target>,
    /// Targets that are not looked at.
    pub excluded: Vec<Target>,
    pub operator: Operator,
    pub transforms: Vec<Transform>,
    pub multi_match: bool,
    pub capture: bool,
    pub sets: Vec<SetVar>,
    pub controls: Vec<Control>,
}

/// What a rule looks at.
#[derive(Debug, Clone)]
pub struct Target {
    /// In capitals: `ARGS`, `REQUEST_HEADERS`.
    pub collection: String,
    pub selector: Selector,
    /// How many there are, not what they say.
    pub count: bool,
}

#[derive(Debug, Clone)]
pub enum Selector {
    All,
    /// Compared without regard to case.
    Name(String),
    Pattern(Pattern),
}

impl Selector {
    /// Whether a member of the collection is meant.
    pub fn takes(&self, key: &[u8]) -> bool {
        match self {
            Selector::All => true,
            Selector::Name(name) => name.as_bytes().eq_ignore_ascii_case(key),
            Selector::Pattern(pattern) => pattern.is_match(key) == Ok(true),
        }
    }
}

impl Target {
    /// The target as rules write it.
    pub fn text(&self) -> String {
        let count = if self.count { "&" } else { "" };
        match &self.selector {
            Selector::All => format!("{count}{}", self.collection),
            Selector::Name(name) => format!("{count}{}:{name}", self.collection),
            Selector::Pattern(pattern) => format!("{count}{}:/{}/", self.collection, pattern.text()),
        }
    }
}

/// A variable that a match sets, adds to, takes from or removes.
#[derive(Debug, Clone)]
pub struct SetVar {
    /// `tx`, `ip`, `session` …, in small letters.
    pub collection: String,
    pub key: Template,
    pub change: Change,
}

#[derive(Debug, Clone)]
pub enum Change {
    Set(Template),
    Add(Template),
    Take(Template),
    Remove,
}

/// What a match changes of the engine for the rest of the request.
#[derive(Debug, Clone)]
pub enum Control {
    Engine(Engine),
    RemoveById(Vec<RangeInclusive<u64>>),
    RemoveByTag(String),
    RemoveByMsg(String),
    RemoveTargetById(Vec<RangeInclusive<u64>>, Target),
    RemoveTargetByTag(String, Target),
    RemoveTargetByMsg(String, Target),
    BodyProcessor(String),
    BodyAccess(bool),
    ForceBodyVariable(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    On,
    Off,
    DetectionOnly,
}

/// A text with macros in it: `score=%{tx.score}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template(pub Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(String),
    /// The collection in capitals, and the member as written.
    Macro(String, Option<String>),
}

impl Template {
    /// Reads `%{…}` out of a text; one that never ends is text.
    pub fn read(text: &str) -> Template {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("%{") {
            let Some((name, left)) = after.split_once('}') else { break };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (collection, member) = match name.split_once(['.', ':']) {
                Some((collection, member)) => (collection, Some(member.to_owned())),
                None => (name, None),
            };
            parts.push(Part::Macro(collection.to_ascii_uppercase(), member));
            rest = left;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Template(parts)
    }

    /// The text, when there is no macro in it.
    pub fn plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}
