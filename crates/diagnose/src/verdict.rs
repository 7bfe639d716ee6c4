//! From the posterior to the verdict a person reads and a program parses.

use crate::disagreement::disagreement;
use crate::posterior::Posterior;
use crate::question::rank_questions;
use crate::reach::reachability;
use crate::table::{Observed, Table};
use netwhy_catalogue::{Catalogue, CauseEntry};
use netwhy_model::{
    Case, CauseFinding, ChainLink, CouldNotRead, Evidence, FixStep, Lang, Link, LinkState, NextQuestion,
    Outcome, Reachability, RuledOut, Scheme, Timing, VERDICT_SCHEMA, Verdict,
};
use std::collections::BTreeSet;

/// Below this probability of "nothing wrong", causes are named.
const ACCUSE_BELOW: f64 = 0.5;
/// Causes less likely than this are not listed.
const LISTED_MIN: f64 = 0.004;
/// Most causes listed: a group the client cannot split may be wide.
const LISTED_MAX: usize = 24;
/// A look-alike at or below this probability counts as ruled out.
const RULED_OUT_MAX: f64 = 0.005;
/// Most look-alikes named as ruled out.
const RULED_OUT_COUNT_MAX: usize = 8;
/// Most pieces of evidence cited for or against one cause.
const CITED_MAX: usize = 5;
/// Evidence counts as proof from this many nats on.
const CITED_NATS_MIN: f64 = 0.7;
/// The first cause is named alone from this confidence on.
const NAMED_MIN: f64 = 0.6;
/// A next question is worth naming from this expected gain on, in nats.
const NEXT_GAIN_MIN: f64 = 0.05;
/// Most next questions named.
const NEXT_MAX: usize = 4;

/// What a verdict is made from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    pub case: &'a Case,
    pub evidence: &'a [Evidence],
    pub total_ms: u64,
    pub lang: Lang,
    /// The questions nobody asked that could still be, with cost in milliseconds and intrusiveness.
    pub unasked: &'a [(String, f64, u8)],
}

/// Draws the verdict from the evidence.
pub fn diagnose(catalogue: &Catalogue, table: &Table, inputs: Inputs<'_>) -> Verdict {
    let seen = table.observe(inputs.evidence);
    let posterior = Posterior::of(table, &seen);
    let view = View { catalogue, table, inputs, seen, posterior };
    let symptoms: Vec<&Observed> = view.seen.iter().filter(|o| view.table.is_symptom(**o)).collect();
    let reach = view.reach();
    let causes = if view.posterior.healthy() < ACCUSE_BELOW && !symptoms.is_empty() {
        view.findings()
    } else {
        Vec::new()
    };
    let found = !causes.is_empty() || !symptoms.is_empty();
    // What was not tried is not well, it is unknown.
    let untested = !found && reach == Reachability::Reachable && !is_tested(inputs.case, inputs.evidence);
    let reach = if untested { Reachability::Undetermined } else { reach };
    let healthy = !found && reach == Reachability::Reachable;
    let ruled_out = causes.first().map_or_else(Vec::new, |first| view.ruled_out(first));
    Verdict {
        schema: VERDICT_SCHEMA.to_owned(),
        target: inputs.case.target.to_string(),
        reachability: reach,
        healthy,
        sentence: view.sentence(reach, healthy, &causes),
        chain: view.chain(&causes),
        next: view.next(&causes),
        ruled_out,
        disagreement: disagreement(catalogue, inputs.evidence, inputs.lang),
        could_not_read: view.could_not_read(),
        causes,
        evidence: inputs.evidence.to_vec(),
        timing_ms: Timing { total: inputs.total_ms },
    }
}

/// Whether all that the user asked for was tried, so that silence of the facts means health.
fn is_tested(case: &Case, evidence: &[Evidence]) -> bool {
    let known = |fact: &str| evidence.iter().any(|e| e.leg.is_front() && e.fact == fact && e.speaks());
    let expect = &case.expect;
    let greeted = evidence
        .iter()
        .rev()
        .find(|e| e.leg.is_front() && e.fact == "tcp.banner")
        .is_some_and(|e| e.value == "expected");
    (expect.banner.is_none() || greeted)
        && (!case.target.scheme.uses_http() || known("http.exchange"))
        && (expect.success_min.is_none() || known("tcp.series") || known("http.repeat"))
        && (expect.loss_max.is_none() || known("tcp.loss"))
}

struct View<'a> {
    catalogue: &'a Catalogue,
    table: &'a Table,
    inputs: Inputs<'a>,
    seen: Vec<Observed>,
    posterior: Posterior,
}

impl View<'_> {
    fn reach(&self) -> Reachability {
        if self.inputs.evidence.iter().any(Evidence::speaks) {
            reachability(self.inputs.case.target.scheme, self.inputs.evidence)
        } else {
            Reachability::Undetermined
        }
    }

    fn entry(&self, cause: usize) -> Option<&CauseEntry> {
        self.catalogue.cause(&self.table.causes[cause].id)
    }

    fn findings(&self) -> Vec<CauseFinding> {
        let lang = self.inputs.lang;
        self.posterior
            .causes(self.table)
            .into_iter()
            .take_while(|(_, p)| *p >= LISTED_MIN)
            .take(LISTED_MAX)
            .filter_map(|(cause, p)| {
                let entry = self.entry(cause)?;
                Some(CauseFinding {
                    id: entry.id.clone(),
                    link: self.place(entry, self.table.causes[cause].behind),
                    layer: entry.layer,
                    confidence: (p * 1_000.0).round() / 1_000.0,
                    summary: entry.title.get(lang).to_owned(),
                    proof: self.cite(|o| {
                        (self.table.probability(cause, o) / self.table.facts[o.fact].healthy[o.value]).ln()
                    }),
                    fixes: entry
                        .fixes
                        .iter()
                        .map(|f| FixStep {
                            kind: f.kind.clone(),
                            text: f.text.get(lang).to_owned(),
                            command: f.command.clone(),
                        })
                        .collect(),
                    proven_in_lab: entry.proven,
                })
            })
            .collect()
    }

    /// The first link the cause may sit on; the edge only where there is one.
    fn place(&self, entry: &CauseEntry, behind: bool) -> Link {
        let node = behind || self.has_node();
        let fits = |link: &&Link| node || **link != Link::Edge;
        let link = entry.on.iter().find(fits).or(entry.on.first()).copied().unwrap_or(Link::Service);
        // What the user connects to is the node, and a fault of that host is the node's.
        let of_target = matches!(link, Link::OriginHost | Link::Socket | Link::Service);
        if of_target && !behind && self.has_inner() { Link::Edge } else { link }
    }

    /// Whether a node stands in front of the origin.
    fn has_node(&self) -> bool {
        self.inputs.case.origin.is_some() || self.has_inner()
    }

    /// Whether the node's own connection to the origin was looked at.
    fn has_inner(&self) -> bool {
        self.inputs.evidence.iter().any(|e| !e.leg.is_front())
    }

    /// Ids of the evidence that scores highest, strongest first.
    fn cite(&self, nats: impl Fn(Observed) -> f64) -> Vec<String> {
        let mut scored: Vec<(f64, usize)> =
            self.seen.iter().map(|o| (nats(*o), o.evidence)).filter(|(s, _)| *s >= CITED_NATS_MIN).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.into_iter().take(CITED_MAX).map(|(_, e)| self.inputs.evidence[e].id.clone()).collect()
    }

    /// The look-alikes of what is accused that the evidence excludes, and by what.
    fn ruled_out(&self, first: &CauseFinding) -> Vec<RuledOut> {
        let likelier =
            |a: &usize, b: &usize| self.posterior.marginal[*a].total_cmp(&self.posterior.marginal[*b]);
        let Some(accused) = self.table.positions(&first.id).into_iter().max_by(likelier) else {
            return Vec::new();
        };
        let Some(entry) = self.entry(accused) else { return Vec::new() };
        let mut ids: Vec<&str> = entry.lookalikes.iter().map(String::as_str).collect();
        for other in self.catalogue.causes().filter(|c| c.lookalikes.contains(&first.id)) {
            if !ids.contains(&other.id.as_str()) {
                ids.push(&other.id);
            }
        }
        ids.into_iter()
            .filter_map(|id| {
                if self.posterior.of_cause(self.table, id) > RULED_OUT_MAX {
                    return None;
                }
                let other = self.table.positions(id).into_iter().max_by(likelier)?;
                let by = self
                    .cite(|o| (self.table.probability(accused, o) / self.table.probability(other, o)).ln());
                let summary = self.catalogue.cause(id)?.title.get(self.inputs.lang).to_owned();
                (!by.is_empty()).then(|| RuledOut { id: id.to_owned(), summary, by })
            })
            .take(RULED_OUT_COUNT_MAX)
            .collect()
    }

    fn could_not_read(&self) -> Vec<CouldNotRead> {
        let mut named = BTreeSet::new();
        let unread = self.inputs.evidence.iter().filter(|e| e.outcome == Outcome::CouldNotAsk);
        unread
            .filter(|e| named.insert((e.fact.as_str(), e.excerpt.as_str())))
            .map(|e| CouldNotRead {
                what: self
                    .catalogue
                    .fact(&e.fact)
                    .map_or_else(|| e.fact.clone(), |f| f.text.get(self.inputs.lang).to_owned()),
                why: e.excerpt.clone(),
            })
            .collect()
    }

    /// What would settle the rest: questions still open here, then what only the other side can prove.
    fn next(&self, causes: &[CauseFinding]) -> Vec<NextQuestion> {
        if causes.first().is_none_or(|first| first.confidence >= 0.97) {
            return Vec::new();
        }
        let lang = self.inputs.lang;
        let ranked = rank_questions(self.table, &self.posterior, &self.seen, self.inputs.unasked);
        let mut list: Vec<NextQuestion> = ranked
            .into_iter()
            .filter(|c| c.gain >= NEXT_GAIN_MIN)
            .filter_map(|c| {
                let ask = self.catalogue.question(&c.question)?.text.get(lang).to_owned();
                Some(NextQuestion { ask, splits: c.splits })
            })
            .take(NEXT_MAX / 2)
            .collect();
        for finding in causes.iter().take(NEXT_MAX) {
            if list.len() >= NEXT_MAX || causes.len() < 2 {
                break;
            }
            let Some(entry) = self.catalogue.cause(&finding.id) else { continue };
            let splits = causes.iter().take(NEXT_MAX).map(|c| c.id.clone()).collect();
            list.push(NextQuestion { ask: entry.prove.get(lang).to_owned(), splits });
        }
        list
    }

    fn chain(&self, causes: &[CauseFinding]) -> Vec<ChainLink> {
        let case = self.inputs.case;
        let names_only = case.target.scheme == Scheme::Dns;
        Link::ALL
            .into_iter()
            .filter(|link| *link != Link::Edge || self.has_node())
            .filter(|link| *link != Link::Resolver || case.target.name().is_some())
            .filter(|link| !names_only || matches!(link, Link::SourceHost | Link::Resolver))
            .map(|link| ChainLink { link, state: self.link_state(link, causes), label: self.label(link) })
            .collect()
    }

    fn link_state(&self, link: Link, causes: &[CauseFinding]) -> LinkState {
        let accused: f64 = causes.iter().filter(|c| c.link == link).map(|c| c.confidence).sum();
        if accused >= NAMED_MIN {
            return if self.reach() == Reachability::Reachable {
                LinkState::Ailing
            } else {
                LinkState::Broken
            };
        }
        if accused >= 0.1 {
            return LinkState::Suspect;
        }
        let node = self.has_inner();
        let sits = |e: &Evidence| match e.link {
            Link::OriginHost | Link::Socket | Link::Service if node && e.leg.is_front() => Link::Edge,
            Link::SourceHost if !e.leg.is_front() => Link::Edge,
            link => link,
        };
        let mut here =
            self.seen.iter().filter(|o| sits(&self.inputs.evidence[o.evidence]) == link).peekable();
        if here.peek().is_none() {
            return LinkState::Unknown;
        }
        if here.any(|o| self.table.is_symptom(*o)) { LinkState::Ailing } else { LinkState::Well }
    }

    fn label(&self, link: Link) -> String {
        let case = self.inputs.case;
        match link {
            Link::SourceHost => case
                .source
                .address
                .map(|a| a.to_string())
                .or_else(|| case.source.interface.clone())
                .unwrap_or_else(|| self.inputs.lang.pick("this host", "本机").to_owned()),
            Link::Resolver => case.target.name().unwrap_or_default().to_owned(),
            Link::Path => String::new(),
            Link::Edge => case.target.host.to_string(),
            Link::OriginHost => {
                case.origin.map_or_else(|| case.target.host.to_string(), |o| o.address.to_string())
            }
            Link::Socket => format!(
                "{}/{}",
                if case.target.scheme == Scheme::Udp { "udp" } else { "tcp" },
                case.target.port
            ),
            Link::Service => case.target.scheme.name().to_owned(),
        }
    }

    fn sentence(&self, reach: Reachability, healthy: bool, causes: &[CauseFinding]) -> String {
        let lang = self.inputs.lang;
        let target = &self.inputs.case.target;
        if healthy {
            return match lang {
                Lang::En => format!("{target} is reachable and well."),
                Lang::Zh => format!("{target} 可达且正常。"),
            };
        }
        let state = match (reach, lang) {
            (Reachability::Reachable, Lang::En) => "is reachable but not well",
            (Reachability::Reachable, Lang::Zh) => "可达但不正常",
            (Reachability::Unreachable, Lang::En) => "cannot be reached",
            (Reachability::Unreachable, Lang::Zh) => "不可达",
            (Reachability::Inconsistent, Lang::En) => "is reached only some of the time",
            (Reachability::Inconsistent, Lang::Zh) => "时通时断",
            (Reachability::Undetermined, Lang::En) => "could not be judged",
            (Reachability::Undetermined, Lang::Zh) => "无法判断",
        };
        let Some(first) = causes.first() else {
            return match lang {
                Lang::En => format!("{target} {state}; what was seen names no cause."),
                Lang::Zh => format!("{target} {state}；所见证据不足以指明原因。"),
            };
        };
        let percent = (first.confidence * 100.0).round().min(99.0);
        if first.confidence >= NAMED_MIN {
            return match lang {
                Lang::En => format!("{target} {state}: {} ({percent} % sure).", first.summary),
                Lang::Zh => format!("{target} {state}：{}（把握 {percent} %）。", first.summary),
            };
        }
        let names: Vec<&str> = causes.iter().take(3).map(|c| c.summary.as_str()).collect();
        match lang {
            Lang::En => format!(
                "{target} {state}; from here it could be: {} ({percent} % for the first).",
                names.join("; or ")
            ),
            Lang::Zh => {
                format!("{target} {state}；从本机看可能是：{}（首项 {percent} %）。", names.join("；或 "))
            }
        }
    }
}
