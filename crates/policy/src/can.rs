//! May A reach B? Every step of the way there and back is asked, and every blocker is named.

use crate::estate::{Ask, Because, Decision, Estate, Fix, Look, Outcome, Step, Way};
use crate::gate::{Action, Direction, Gate, Kind};
use crate::list::{Decided, List};
use crate::place::both;
use crate::space::Cube;
use netwhy_model::Text;
use serde::Serialize;

/// The contract's name.
pub const SCHEMA: &str = "netwhy.policy/1";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Allowed,
    Denied,
    Depends,
}

/// The answer to one question.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    pub schema: &'static str,
    pub verdict: Verdict,
    /// Every rule or absence that stops it.
    pub blockers: Vec<Because>,
    /// What the answer hangs on, when it depends.
    pub depends: Vec<Because>,
    /// The smallest changes that let it through.
    pub fix: Vec<Fix>,
    pub steps: Vec<Told>,
    /// What is known besides the rules and bears on the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Because>,
}

/// What kind of thing a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    SecurityGroup,
    NetworkAcl,
    CloudFirewall,
    HostFirewall,
    Kubernetes,
    ZeroTrust,
    /// Routes, gateways, public addresses, translation.
    Route,
}

impl Class {
    const fn of(kind: Kind) -> Class {
        match kind {
            Kind::Nft | Kind::Iptables => Class::HostFirewall,
            Kind::AwsSecurityGroup
            | Kind::AzureNetworkSecurityGroup
            | Kind::AliyunSecurityGroup
            | Kind::TencentSecurityGroup
            | Kind::HuaweiSecurityGroup => Class::SecurityGroup,
            Kind::AwsNetworkAcl
            | Kind::AliyunNetworkAcl
            | Kind::TencentNetworkAcl
            | Kind::HuaweiNetworkAcl => Class::NetworkAcl,
            Kind::GcpFirewall => Class::CloudFirewall,
            Kind::KubernetesNetworkPolicy => Class::Kubernetes,
            Kind::ZeroTrust => Class::ZeroTrust,
        }
    }
}

/// One step, as it is told.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    pub what: Text,
    pub class: Class,
    /// Which way the gate looks, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    pub way: &'static str,
    pub outcome: Verdict,
    pub by: Vec<Because>,
}

/// Asks every estate about one way.
pub fn can(estates: &[Box<dyn Estate>], ask: &Ask) -> Answer {
    let mut answer = Answer {
        schema: SCHEMA,
        verdict: Verdict::Allowed,
        blockers: Vec::new(),
        depends: Vec::new(),
        fix: Vec::new(),
        steps: Vec::new(),
        notes: Vec::new(),
    };
    for estate in estates {
        for step in estate.way(ask) {
            take(estate.as_ref(), &step, &mut answer);
        }
    }
    if answer.steps.is_empty() {
        answer.depends.push(unknown_ends());
    }
    answer.verdict = match () {
        () if !answer.blockers.is_empty() => Verdict::Denied,
        () if !answer.depends.is_empty() => Verdict::Depends,
        () => Verdict::Allowed,
    };
    answer.fix.dedup();
    answer
}

fn unknown_ends() -> Because {
    Because {
        place: crate::Place::whole(&"".into()),
        within: String::new(),
        rule: None,
        text: String::new(),
        why: both(
            "no file that was given says anything about either end",
            "所给文件均未涉及两端中的任何一端",
        ),
    }
}

/// Adds one step to the answer.
fn take(estate: &dyn Estate, step: &Step, answer: &mut Answer) {
    let mut told = Told {
        what: step.what.clone(),
        class: Class::Route,
        direction: None,
        way: if step.way == Way::There { "there" } else { "back" },
        outcome: Verdict::Allowed,
        by: Vec::new(),
    };
    match &step.look {
        Look::Gate { gate, packets } => {
            told.class = Class::of(gate.kind);
            told.direction = Some(gate.direction);
            let list = List::new(gate);
            let mut decisions: Vec<Decision> =
                packets.iter().flat_map(|cube| decisions(gate, &list, cube)).collect();
            let (whole, defaults) = (by_default(gate), estate.defaults(gate));
            for decision in
                decisions.iter_mut().filter(|one| !defaults.is_empty() && one.by == [whole.clone()])
            {
                decision.by.clone_from(&defaults);
            }
            weigh(&decisions, &mut told);
            let stopped: Vec<Cube> = decisions
                .iter()
                .filter(|one| matches!(one.outcome, Outcome::Denied | Outcome::Rejected))
                .map(|one| one.packets)
                .collect();
            if !stopped.is_empty() {
                answer.fix.extend(estate.allow(gate, &crate::space::join(stopped)));
            }
        }
        Look::Decided { class, direction, decisions } => {
            told.class = *class;
            told.direction = Some(*direction);
            weigh(decisions, &mut told);
            answer.fix.extend(estate.allow_decided(decisions));
        }
        Look::Passes { why, place } => told.by.push(because(place, why)),
        Look::Ends { why, place, fix } => {
            told.outcome = Verdict::Denied;
            told.by.push(because(place, why));
            answer.fix.extend(fix.iter().cloned());
        }
        Look::Depends { on, place } => {
            told.outcome = Verdict::Depends;
            told.by.push(because(place, on));
        }
    }
    let list = match told.outcome {
        Verdict::Denied => Some(&mut answer.blockers),
        Verdict::Depends => Some(&mut answer.depends),
        Verdict::Allowed => None,
    };
    if let Some(list) = list {
        for by in &told.by {
            if !list.contains(by) {
                list.push(by.clone());
            }
        }
    }
    answer.steps.push(told);
}

fn because(place: &crate::Place, why: &Text) -> Because {
    Because { place: place.clone(), within: String::new(), rule: None, text: String::new(), why: why.clone() }
}

/// All parts denied is denied; some, or an open condition, depends.
fn weigh(decisions: &[Decision], told: &mut Told) {
    let stops = |one: &&Decision| matches!(one.outcome, Outcome::Denied | Outcome::Rejected);
    let (stopped, lets) = (
        decisions.iter().filter(stops).count(),
        decisions.iter().filter(|one| one.outcome == Outcome::Allowed).count(),
    );
    told.outcome = match (stopped, lets, decisions.len()) {
        (0, lets, all) if lets == all => Verdict::Allowed,
        (stopped, _, all) if stopped == all => Verdict::Denied,
        _ => Verdict::Depends,
    };
    let wanted = |one: &&Decision| told.outcome == Verdict::Allowed || one.outcome != Outcome::Allowed;
    let mut by: Vec<Because> = Vec::new();
    for decision in decisions.iter().filter(wanted) {
        for one in &decision.by {
            if !by.contains(one) {
                by.push(one.clone());
            }
        }
    }
    told.by = by;
}

/// What a gate does with each part of some packets.
pub fn decisions(gate: &Gate, list: &List, packets: &Cube) -> Vec<Decision> {
    let Ok(parts) = list.decide(packets) else {
        let why = both("the answer falls into more than 65,536 parts", "结果分成超过 65,536 个部分");
        return vec![Decision {
            packets: *packets,
            outcome: Outcome::Depends,
            by: vec![because(&gate.place, &why)],
        }];
    };
    parts
        .into_iter()
        .map(|part| {
            let (outcome, by) = match &part.decided {
                Decided::Rule(rule, action) => (outcome(*action), vec![by_rule(gate, *rule, *action)]),
                Decided::Default(action) => (outcome(*action), vec![by_default(gate)]),
                Decided::Depends { on, .. } => {
                    (Outcome::Depends, on.iter().map(|rule| by_condition(gate, *rule)).collect())
                }
            };
            Decision { packets: part.packets, outcome, by }
        })
        .collect()
}

const fn outcome(action: Action) -> Outcome {
    match action {
        Action::Allow => Outcome::Allowed,
        Action::Deny => Outcome::Denied,
        Action::Reject => Outcome::Rejected,
        Action::Pass | Action::Leave => Outcome::Depends,
    }
}

fn by_rule(gate: &Gate, rule: u32, action: Action) -> Because {
    let why = match action {
        Action::Allow => both("this rule lets it through", "该规则放行"),
        Action::Deny => both("this rule drops it", "该规则丢弃"),
        Action::Reject => both("this rule rejects it", "该规则拒绝"),
        Action::Pass | Action::Leave => both("this rule sends it elsewhere", "该规则将其转往别处"),
    };
    named(gate, rule, why)
}

fn by_condition(gate: &Gate, rule: u32) -> Because {
    let conditions = gate.rules.get(rule as usize).map_or(&[][..], |rule| &rule.unmodelled);
    let words = |of: fn(&Text) -> &String| conditions.iter().map(|one| of(one).clone()).collect::<Vec<_>>();
    let (en, zh) = (words(|text| &text.en).join("; "), words(|text| &text.zh).join("；"));
    named(
        gate,
        rule,
        both(format!("whether this rule matches depends: {en}"), format!("该规则是否匹配取决于：{zh}")),
    )
}

fn named(gate: &Gate, rule: u32, why: Text) -> Because {
    match gate.rules.get(rule as usize) {
        Some(rule) => Because {
            place: rule.place.clone(),
            within: rule.part_of.to_string(),
            rule: Some(rule.number),
            text: rule.text.clone(),
            why,
        },
        None => because(&gate.place, &why),
    }
}

fn by_default(gate: &Gate) -> Because {
    Because { within: gate.name.clone(), ..because(&gate.place, &gate.default_text) }
}
