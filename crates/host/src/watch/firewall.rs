//! The packet filter during a watch: which rules counted, and which ones could stop the watched traffic.

use netwhy_model::host::{Hook, Match, Rule, RuleDelta, RuleVerdict, Ruleset, TraceStep, Unread, WatchSpec};
use netwhy_netfilter::{TRACE_TABLE_PREFIX, Tracer, rule_deltas, ruleset};
use std::collections::{BTreeMap, BTreeSet};

/// Chains that jump to chains so deep are followed; the kernel allows 16 (NFT_JUMP_STACK_SIZE).
const CHAIN_DEPTH_MAX: usize = 16;
/// Rules named as able to stop the traffic.
const CANDIDATE_COUNT_MAX: usize = 200;
/// Rules named as having counted.
const DELTA_COUNT_MAX: usize = 500;
/// Trace steps kept.
const STEP_COUNT_MAX: usize = 512;

/// The filter before, and the trace of the watched packets.
#[derive(Debug)]
pub(super) struct Firewall {
    spec: WatchSpec,
    before: Ruleset,
    tracer: Option<Tracer>,
    steps: Vec<TraceStep>,
    unread: Vec<Unread>,
}

/// What one look at the filter gave.
#[derive(Debug, Default)]
pub(super) struct FirewallSeen {
    pub rules: Vec<RuleDelta>,
    pub candidates: Vec<Rule>,
    pub trace: Vec<TraceStep>,
    pub unread: Vec<Unread>,
}

impl Firewall {
    /// Reads the rules, and traces the watched packets when the watch asks for it.
    pub(super) fn start(spec: &WatchSpec) -> Firewall {
        let (before, _) = ruleset();
        let mut unread = Vec::new();
        let tracer = match spec.trace.then(|| Tracer::start(spec)) {
            Some(Err(error)) => {
                unread.push(Unread {
                    what: "trace of firewall rules".to_owned(),
                    why: crate::files::chain(&error),
                    root_helps: error.root_helps(),
                });
                None
            }
            Some(Ok(tracer)) => Some(tracer),
            None => None,
        };
        Firewall { spec: spec.clone(), before, tracer, steps: Vec::new(), unread }
    }

    /// Removes the trace.
    pub(super) fn remove(&mut self) {
        self.tracer = None;
    }

    /// Reads the rules again and compares.
    pub(super) fn look(&mut self) -> FirewallSeen {
        let (now, mut unread) = ruleset();
        unread.extend(self.unread.iter().cloned());
        if let Some(tracer) = &mut self.tracer {
            self.steps.extend(tracer.steps(&now));
            make_room(&mut self.steps);
            if !tracer.complete() {
                let why = "more packets were traced than the kernel could report".to_owned();
                unread.push(Unread { what: "trace of firewall rules".to_owned(), why, root_helps: false });
            }
        }
        let now = hooked(now);
        let mut rules = rule_deltas(&self.before, &now);
        rules.retain(|delta| !is_ours(&delta.rule));
        rules.truncate(DELTA_COUNT_MAX);
        FirewallSeen { rules, candidates: candidates(&now, &self.spec), trace: self.steps.clone(), unread }
    }
}

/// Gives the rules of a chain that is only jumped to the hook it is reached from, where that is one only.
fn hooked(mut ruleset: Ruleset) -> Ruleset {
    let key =
        |rule: &Rule, chain: &str| (rule.backend, rule.family.clone(), rule.table.clone(), chain.to_owned());
    let mut hooks: BTreeMap<_, BTreeSet<Hook>> = BTreeMap::new();
    for rule in &ruleset.rules {
        hooks.entry(key(rule, &rule.chain)).or_default().extend(rule.hook);
    }
    for _ in 0..CHAIN_DEPTH_MAX {
        let before: usize = hooks.values().map(BTreeSet::len).sum();
        for rule in &ruleset.rules {
            if let RuleVerdict::Jump(to) | RuleVerdict::Goto(to) = &rule.verdict {
                let from = hooks.get(&key(rule, &rule.chain)).cloned().unwrap_or_default();
                hooks.entry(key(rule, to)).or_default().extend(from);
            }
        }
        if hooks.values().map(BTreeSet::len).sum::<usize>() == before {
            break;
        }
    }
    for rule in ruleset.rules.iter_mut().filter(|rule| rule.hook.is_none()) {
        let reached = hooks.get(&key(rule, &rule.chain));
        rule.hook = reached.filter(|reached| reached.len() == 1).and_then(|reached| reached.first().copied());
    }
    ruleset
}

/// Lets steps that only accepted go first, the oldest of them before.
fn make_room(steps: &mut Vec<TraceStep>) {
    let mut over = steps.len().saturating_sub(STEP_COUNT_MAX);
    steps.retain(|step| {
        let goes = over > 0 && step.verdict == RuleVerdict::Accept;
        over -= usize::from(goes);
        !goes
    });
    steps.truncate(STEP_COUNT_MAX);
}

/// Rules of the trace itself.
fn is_ours(rule: &Rule) -> bool {
    rule.table.starts_with(TRACE_TABLE_PREFIX)
}

/// Rules and policies that drop or reject, and the rules that accept the port beside them.
fn candidates(ruleset: &Ruleset, spec: &WatchSpec) -> Vec<Rule> {
    let relevant = |rule: &&Rule| {
        !is_ours(rule)
            && rule.family != "arp"
            && match &rule.verdict {
                RuleVerdict::Drop | RuleVerdict::Reject(_) | RuleVerdict::SynProxy => {
                    may_match(rule, spec.port)
                }
                RuleVerdict::Accept => {
                    rule.position > 0 && (mentions(&rule.text, spec.port) || by_source(rule))
                }
                _ => false,
            }
    };
    ruleset.rules.iter().filter(relevant).take(CANDIDATE_COUNT_MAX).cloned().collect()
}

/// Whether the rule is about who asks and not about what for, as the rules of an allow list's own chain are.
fn by_source(rule: &Rule) -> bool {
    rule.matches.iter().any(|m| matches!(m, Match::SourceRange | Match::SourceBan))
        && !rule.matches.contains(&Match::DestinationPort)
}

/// False only when the rule is for other ports.
fn may_match(rule: &Rule, port: u16) -> bool {
    let by_port = rule.matches.iter().any(|m| matches!(m, Match::DestinationPort | Match::SourcePort));
    // Sets, maps and negations are not read here.
    let unclear = rule.text.contains('@') || rule.text.contains('!') || rule.text.contains("match-set");
    !by_port || unclear || mentions(&rule.text, port)
}

/// Whether a text names the port: alone, in a list, or inside a range.
fn mentions(text: &str, port: u16) -> bool {
    text.split(|c: char| !(c.is_ascii_digit() || c == '-' || c == ':' || c == '.')).any(|word| {
        match word.split_once(['-', ':']) {
            Some((low, high)) => {
                let within = |low: u16, high: u16| low <= port && port <= high;
                matches!((low.parse(), high.parse()), (Ok(low), Ok(high)) if within(low, high))
            }
            None => word.parse() == Ok(port),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_model::host::Backend;
    use proptest::prelude::*;

    fn rule(position: u32, text: &str, verdict: RuleVerdict, matches: &[Match]) -> Rule {
        Rule {
            backend: Backend::Nft,
            family: "inet".into(),
            table: "filter".into(),
            chain: "input".into(),
            hook: Some(Hook::Input),
            handle: position.into(),
            position,
            text: text.into(),
            verdict,
            matches: matches.to_vec(),
            counter: None,
            comment: String::new(),
        }
    }

    #[test]
    fn only_what_could_stop_the_port_is_a_candidate() {
        let port = &[Match::DestinationPort];
        let rules = vec![
            rule(1, "tcp dport 22 drop", RuleVerdict::Drop, port),
            rule(2, "tcp dport 400-500 drop", RuleVerdict::Drop, port),
            rule(3, "tcp dport @closed drop", RuleVerdict::Drop, port),
            rule(4, "ip saddr 10.0.0.0/8 drop", RuleVerdict::Drop, &[Match::SourceRange]),
            rule(5, "tcp dport 443 accept", RuleVerdict::Accept, port),
            rule(6, "tcp dport 4430 accept", RuleVerdict::Accept, port),
            rule(0, "policy drop", RuleVerdict::Drop, &[]),
        ];
        let spec = WatchSpec { port: 443, ..WatchSpec::default() };
        let found = candidates(&Ruleset { rules, ..Ruleset::default() }, &spec);
        assert_eq!(found.iter().map(|rule| rule.position).collect::<Vec<_>>(), [2, 3, 4, 5, 0]);
    }

    proptest! {
        #[test]
        fn any_text_is_searched(text in "\\PC*", port: u16) {
            mentions(&text, port);
        }
    }
}
