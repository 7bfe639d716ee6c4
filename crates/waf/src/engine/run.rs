//! One request on its way through the rules.

use super::Waf;
use super::memory::Memory;
use crate::answer::{Answer, By, Hit, Tripped, Unsure, Verdict};
use crate::facts::{Facts, Found, Processor};
use crate::operator::Said;
use crate::place::{both, shown};
use crate::request::Request;
use crate::rule::{Engine, Link, Rule, Scope, Target};
use crate::seclang::Item;
use netwhy_model::Text;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// How many hits of one rule are told.
const HITS_COUNT_MAX: usize = 64;
/// How many rules that cannot be decided are told.
const UNSURE_COUNT_MAX: usize = 1000;
/// How many values one rule looks at.
const VALUES_COUNT_MAX: usize = 1_000_000;

pub struct Run<'a> {
    waf: &'a Waf,
    pub(super) facts: Facts<'a>,
    pub(super) memory: Memory,
    pub(super) switched: Switched,
    answer: Answer,
    /// Nothing further is asked: blocked, or let through.
    over: bool,
}

/// What rules changed of the engine for this request.
#[derive(Debug, Default)]
pub struct Switched {
    pub engine: Option<Engine>,
    pub body_access: Option<bool>,
    pub removed: Vec<Removed>,
}

/// A rule, or a target of it, that is not asked.
#[derive(Debug)]
pub struct Removed {
    pub which: Which,
    pub target: Option<Target>,
}

#[derive(Debug)]
pub enum Which {
    Ids(Vec<RangeInclusive<u64>>),
    Tag(String),
    Msg(String),
}

impl Which {
    fn means(&self, rule: &Rule) -> bool {
        match self {
            Which::Ids(ids) => ids.iter().any(|ids| ids.contains(&rule.id)),
            Which::Tag(tag) => rule.about.tags.contains(tag),
            Which::Msg(msg) => rule.about.msg.plain() == Some(msg),
        }
    }
}

/// Whether a rule matches.
enum Outcome {
    No,
    Yes,
    Unknown(Text),
}

/// What the first condition of a rule matched, and what the score grew by.
#[derive(Default)]
pub(super) struct Noted {
    hits: Vec<Hit>,
    /// The first thing of the request itself that any condition matched.
    shown: Option<Hit>,
    pub(super) score: i64,
}

impl Noted {
    fn keep(&mut self, found: &Found, matched: &[u8], count: bool, first: bool) {
        let hit = Hit { variable: found.name(), matched: shown(matched), count };
        if self.shown.is_none() && !count && found.collection != "TX" {
            self.shown = Some(hit.clone());
        }
        if first && self.hits.len() < HITS_COUNT_MAX {
            self.hits.push(hit);
        }
    }
}

impl<'a> Run<'a> {
    pub fn new(waf: &'a Waf, request: &'a Request) -> Run<'a> {
        let mut memory = Memory::default();
        for (name, value) in &waf.presets {
            memory.set(name.clone(), value.clone().into_bytes());
        }
        let separator = waf.set.argument_separator.unwrap_or(b'&');
        let mut facts = Facts::of_head(request, separator);
        facts.dialect = waf.dialect;
        Run { waf, facts, memory, switched: Switched::default(), answer: Answer::quiet(), over: false }
    }

    pub(super) fn engine(&self) -> Engine {
        self.switched.engine.or(self.waf.set.engine).unwrap_or(Engine::On)
    }

    /// Phase 1: what the first lines say.
    pub fn head(&mut self) {
        if self.waf.is_bare() && self.facts.processor == Processor::None {
            self.facts.processor = recommended(self.facts.request).unwrap_or_default();
        }
        self.phase(1);
    }

    /// Phase 2: the body.
    pub fn body(&mut self) {
        if self.over || self.engine() == Engine::Off {
            return;
        }
        if self.switched.body_access.or(self.waf.set.body_access).unwrap_or(true) {
            self.facts.read_body(self.waf.set.body_bytes_max);
            if self.facts.body_too_long() && self.waf.set.body_rejects && self.engine() == Engine::On {
                self.reject_body();
                return;
            }
        }
        self.phase(2);
    }

    /// Whether a rule would look at a body that is not shown.
    pub fn hides_body(&self) -> bool {
        let looks = |rule: &Arc<Rule>| {
            rule.links.iter().flat_map(|link| &link.targets).any(|target| target.collection == "REQUEST_BODY")
        };
        self.facts.is_hidden() && self.waf.rules().any(looks)
    }

    fn reject_body(&mut self) {
        let most = self.waf.set.body_bytes_max.unwrap_or_default();
        self.answer.blocked = true;
        self.answer.by = Some(By {
            id: 0,
            file: "SecRequestBodyLimit".into(),
            line: 0,
            status: Some(413),
            why: both(format!("the body is longer than {most} bytes"), format!("请求体超过 {most} 字节")),
        });
    }

    fn phase(&mut self, phase: u8) {
        let waf = self.waf;
        let mut skip_after: Option<&str> = None;
        let mut skip = 0;
        for item in &waf.set.items {
            let rule = match item {
                Item::Marker(mark) => {
                    skip_after = skip_after.filter(|wanted| *wanted != mark);
                    continue;
                }
                Item::Rule(rule) => rule,
            };
            if rule.phase != phase || skip_after.is_some() || self.engine() == Engine::Off {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            if self.rule(rule) {
                skip_after = rule.flow.skip_after.as_deref();
                skip = rule.flow.skip;
                match self.consequence(rule) {
                    Some(Scope::Phase) => return,
                    Some(_) => {
                        self.over = true;
                        return;
                    }
                    None => {}
                }
            }
        }
    }

    /// Asks a rule with all chained to it; notes what it says.
    fn rule(&mut self, rule: &Arc<Rule>) -> bool {
        if self.switched.removed.iter().any(|gone| gone.target.is_none() && gone.which.means(rule)) {
            return false;
        }
        self.memory.matched.clear();
        let mut noted = Noted::default();
        match self.chain(rule, 0, &mut noted) {
            Outcome::No => false,
            Outcome::Yes => {
                if rule.about.logged {
                    let tripped = self.tripped(rule, noted);
                    self.answer.tripped.push(tripped);
                }
                true
            }
            Outcome::Unknown(why) => {
                if self.answer.unsure.len() < UNSURE_COUNT_MAX {
                    let (file, line) = (rule.place.file.clone(), rule.place.line);
                    self.answer.unsure.push(Unsure { id: rule.id, file, line, why });
                }
                false
            }
        }
    }

    fn chain(&mut self, rule: &Rule, at: usize, noted: &mut Noted) -> Outcome {
        let Some(link) = rule.links.get(at) else { return Outcome::Yes };
        let here = self.link(rule, link, at == 0, noted);
        if let Outcome::No = here {
            return Outcome::No;
        }
        match (here, self.chain(rule, at + 1, noted)) {
            (_, Outcome::No) => Outcome::No,
            (Outcome::Unknown(why), _) | (_, Outcome::Unknown(why)) => Outcome::Unknown(why),
            _ => {
                self.controls(link);
                Outcome::Yes
            }
        }
    }

    fn link(&mut self, rule: &Rule, link: &Link, first: bool, noted: &mut Noted) -> Outcome {
        let (mut yes, mut unknown) = (link.targets.is_empty(), None);
        if yes {
            self.sets(rule, link, noted);
        }
        for target in &link.targets {
            let found = match self.values(rule, link, target) {
                Ok(found) => found,
                Err(why) => {
                    unknown = Some(why);
                    continue;
                }
            };
            for value in found.into_iter().take(VALUES_COUNT_MAX) {
                match self.value(rule, link, value, (target.count, first), noted) {
                    Outcome::Yes => {
                        yes = true;
                        self.sets(rule, link, noted);
                    }
                    Outcome::Unknown(why) => unknown = Some(why),
                    Outcome::No => {}
                }
            }
        }
        match unknown {
            _ if yes => Outcome::Yes,
            Some(why) => Outcome::Unknown(why),
            None => Outcome::No,
        }
    }

    /// The values of a target that are not excluded; their number where that is asked.
    fn values(&self, rule: &Rule, link: &Link, target: &Target) -> Result<Vec<Found>, Text> {
        let mut found = self.find(target)?;
        let removed = self.switched.removed.iter().filter(|gone| gone.which.means(rule));
        let removed = removed.filter_map(|gone| gone.target.as_ref());
        let excluded: Vec<&Target> = link.excluded.iter().chain(removed).collect();
        found.retain(|found| !excluded.iter().any(|gone| means(gone, found)));
        if !target.count {
            return Ok(found);
        }
        if excluded.iter().any(|gone| gone.count && gone.text() == target.text()) {
            return Ok(Vec::new());
        }
        let name = target.text();
        let value = found.len().to_string().into_bytes();
        Ok(vec![Found { collection: name, key: None, value }])
    }

    /// Asks one value, after the transformations or after each of them.
    fn value(
        &mut self,
        rule: &Rule,
        link: &Link,
        found: Found,
        (count, first): (bool, bool),
        noted: &mut Noted,
    ) -> Outcome {
        let mut stages = vec![found.value.clone()];
        for transform in &link.transforms {
            let made = transform.apply(stages.last().map(Vec::as_slice).unwrap_or_default());
            if !link.multi_match {
                stages = vec![made];
            } else if stages.last() != Some(&made) {
                stages.push(made);
            }
        }
        let mut outcome = Outcome::No;
        for stage in stages {
            let said = link.operator.ask(&stage, &|template| self.expand(template, rule));
            match said {
                Said::No => {}
                Said::Unknown(why) => outcome = Outcome::Unknown(why),
                Said::Yes(groups) => {
                    let matched = groups.first().cloned().flatten().unwrap_or_else(|| stage.clone());
                    if link.capture {
                        self.memory.capture(&groups);
                    }
                    noted.keep(&found, &matched, count, first);
                    self.memory.matched.push(Found { value: stage, ..found.clone() });
                    return Outcome::Yes;
                }
            }
        }
        outcome
    }

    fn tripped(&self, rule: &Rule, noted: Noted) -> Tripped {
        let first = noted.shown.or_else(|| noted.hits.first().cloned());
        let (variable, matched) = first.map(|hit| (hit.variable, hit.matched)).unwrap_or_default();
        let paranoia =
            rule.about.tags.iter().find_map(|tag| tag.strip_prefix("paranoia-level/")?.parse().ok());
        Tripped {
            id: rule.id,
            phase: rule.phase,
            file: rule.place.file.clone(),
            line: rule.place.line,
            msg: shown(&self.expand(&rule.about.msg, rule).unwrap_or_default()),
            severity: rule.about.severity.clone(),
            score: noted.score,
            variable,
            matched,
            tags: rule.about.tags.clone(),
            paranoia,
            hits: noted.hits,
        }
    }

    /// What `block` does in a phase.
    pub(super) fn default_of(&self, phase: u8) -> Option<crate::rule::Disruptive> {
        self.waf.set.defaults.get(&phase)?.disruptive.clone()
    }

    pub(super) fn block(&mut self, rule: &Rule, status: Option<u16>, why: Text) {
        self.answer.blocked = true;
        self.answer.by =
            Some(By { id: rule.id, file: rule.place.file.clone(), line: rule.place.line, status, why });
    }

    /// The score and the verdict.
    pub fn finish(mut self, assumed: Vec<Text>) -> Answer {
        const SCORES: [&str; 3] =
            ["blocking_inbound_anomaly_score", "inbound_anomaly_score", "anomaly_score"];
        let told = SCORES.iter().filter_map(|name| self.memory.number(name)).find(|score| *score != 0);
        self.answer.score =
            told.unwrap_or_else(|| self.answer.tripped.iter().map(|tripped| tripped.score).sum());
        self.answer.threshold = self.memory.number("inbound_anomaly_score_threshold");
        self.answer.assumed = assumed;
        self.answer.verdict = match (self.answer.blocked, self.answer.unsure.is_empty()) {
            (true, _) => Verdict::Blocked,
            (false, true) => Verdict::Passed,
            (false, false) => Verdict::Depends,
        };
        self.answer
    }
}

/// Whether an exclusion means a value.
fn means(gone: &Target, found: &Found) -> bool {
    !gone.count
        && gone.collection == found.collection
        && found
            .key
            .as_deref()
            .map_or(matches!(gone.selector, crate::rule::Selector::All), |key| gone.selector.takes(key))
}

/// The processor that the recommended configuration takes for a type of content.
pub fn recommended(request: &Request) -> Option<Processor> {
    let kind = request.header("content-type")?.to_ascii_lowercase();
    let xml = ["application/xml", "application/soap+xml", "text/xml"];
    if xml.iter().any(|known| kind.starts_with(known.as_bytes())) {
        return Some(Processor::Xml);
    }
    let plain = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    let suffixed = plain.starts_with(b"application/") && crate::transform::trimmed(plain).ends_with(b"+json");
    (kind.starts_with(b"application/json") || suffixed).then_some(Processor::Json)
}
