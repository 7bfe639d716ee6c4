//! Chains and rules, worked through for regions of packets.

use super::effects::write;
use super::flow::Flow;
use super::nat;
use super::{CONNTRACK_PRIORITY, Outcome, Role, RuleRef, Tracer, Verdict, too_many_pieces};
use crate::netfilter::ast::{Data, Element, Hook, Match, Operand, Part, Rule, SetUse, Test, Verdict as Said};
use crate::netfilter::lower::condition;
use crate::netfilter::lower::matching::{Hits, View, hits};
use crate::place::both;
use crate::space::State;
use netwhy_model::Text;
use std::sync::Arc;

/// How deep jumps may go; the kernel's limit is 16.
const DEPTH_MAX: usize = 32;
/// How many rules are asked for one question, all chains and pieces together.
const ASKED_COUNT_MAX: usize = 1 << 24;

/// How a chain ends for some packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Accept,
    Drop,
    Reject,
    /// To its caller; from a base chain to its policy.
    Return,
    /// They cannot be followed further.
    Lost,
}

/// One question on its way.
pub(super) struct Walk<'t, 'a> {
    tracer: &'t Tracer<'a>,
    limit: usize,
    pieces: usize,
    asked: usize,
    outcomes: Vec<Outcome>,
    pub hook: Hook,
    priority: i32,
    /// Which way the packets take through the host, if that was said.
    pub role: Option<Role>,
}

/// Packets that match a rule so far, and why that may be wrong.
pub(super) struct Matching {
    pub flow: Flow,
    pub reasons: Vec<Text>,
}

/// Where a rule stands.
#[derive(Clone, Copy)]
struct At<'r> {
    table: usize,
    chain: usize,
    number: usize,
    rule: &'r Rule,
    depth: usize,
}

/// What a rule makes of packets.
#[derive(Default)]
struct Result {
    ended: Vec<(Flow, End)>,
    going_on: Vec<Flow>,
}

impl<'t, 'a> Walk<'t, 'a> {
    pub fn new(tracer: &'t Tracer<'a>, limit: usize) -> Walk<'t, 'a> {
        Walk {
            tracer,
            limit,
            pieces: 0,
            asked: 0,
            outcomes: Vec::new(),
            hook: Hook::Forward,
            priority: 0,
            role: None,
        }
    }

    pub fn begin(&mut self, hook: Hook, priority: i32) {
        self.hook = hook;
        self.priority = priority;
    }

    pub fn decide(&mut self, flow: Flow, verdict: Verdict) -> Option<Flow> {
        let doubtful = verdict == Verdict::Accept && flow.may_drop;
        let verdict = if !flow.unsure.is_empty() || doubtful {
            Verdict::Depends(flow.unsure.iter().chain(&flow.doubts).cloned().collect())
        } else {
            verdict
        };
        let moved = flow.moved;
        let changed = moved.source || moved.destination || moved.source_ports || moved.destination_ports;
        let rewritten = changed.then_some(flow.now);
        let untracked = flow.untracked;
        self.outcomes.push(Outcome {
            packets: flow.origin,
            verdict,
            rules: flow.rules,
            rewritten,
            untracked,
        });
        None
    }

    pub fn finish(mut self, left: Vec<Flow>) -> Vec<Outcome> {
        for flow in left {
            self.decide(flow, Verdict::Accept);
        }
        self.outcomes
    }

    pub fn base(&mut self, table: usize, chain: usize, flows: Vec<Flow>) -> Vec<(Flow, End)> {
        self.chain(table, chain, flows, 0)
    }

    fn chain(&mut self, table: usize, chain: usize, flows: Vec<Flow>, depth: usize) -> Vec<(Flow, End)> {
        let tracer = self.tracer;
        let rules = &tracer.lowering.ruleset.tables[table].chains[chain].rules;
        let mut ended = Vec::new();
        let candidates = tracer.bounds(table, chain).candidates(&flows);
        self.asked += candidates.len() + 1;
        let mut current = flows;
        for (number, bounds) in candidates {
            if !current.iter().any(|flow| flow.now.meets(&bounds)) {
                continue;
            }
            let (asked, others): (Vec<Flow>, Vec<Flow>) =
                current.into_iter().partition(|flow| flow.now.meets(&bounds));
            self.asked += asked.len();
            let mut result = Result { going_on: others, ..Result::default() };
            for flow in asked {
                self.rule(At { table, chain, number, rule: &rules[number], depth }, flow, &mut result);
            }
            ended.append(&mut result.ended);
            current = result.going_on;
            if self.pieces > self.limit || self.asked > ASKED_COUNT_MAX {
                for mut flow in current {
                    flow.lose(&[too_many_pieces()]);
                    ended.push((flow, End::Lost));
                }
                return ended;
            }
        }
        ended.extend(current.into_iter().map(|flow| (flow, End::Return)));
        ended
    }

    fn view<'v>(&self, table: usize, flow: &Flow) -> View<'v>
    where
        't: 'v,
    {
        let before =
            matches!(self.hook, Hook::Prerouting | Hook::Output) && self.priority < CONNTRACK_PRIORITY;
        let role = match self.hook {
            Hook::Input => Some(Role::Input),
            Hook::Forward => Some(Role::Forward),
            Hook::Output => Some(Role::Output),
            _ => self.role,
        };
        let from_here = role.map(|role| role == Role::Output).filter(|_| !flow.moved.source);
        let to_here = match (self.hook, role) {
            (_, None | Some(Role::Output)) => None,
            (Hook::Prerouting, Some(role)) => Some(flow.stays(role == Role::Input)),
            (_, Some(role)) => Some(role == Role::Input),
        };
        View {
            names: self.tracer.lowering.names(),
            sets: self.tracer.lowering.sets(table),
            mark: flow.mark,
            ct_marks: flow.ct_marks,
            no_input: self.role == Some(Role::Output) || self.hook == Hook::Output,
            no_output: matches!(self.hook, Hook::Ingress | Hook::Prerouting | Hook::Input),
            untracked_yet: (before || self.hook == Hook::Ingress) && !flow.untracked,
            from_here,
            to_here,
        }
    }

    fn rule(&mut self, at: At<'_>, flow: Flow, result: &mut Result) {
        let mut matching = vec![Matching { flow, reasons: Vec::new() }];
        for part in &at.rule.parts {
            match part {
                Part::Match(found) => matching = self.matched(at.table, found, matching, result),
                Part::Verdict(said) => {
                    for one in std::mem::take(&mut matching) {
                        self.verdict(at, said, one, result);
                    }
                    return;
                }
                Part::VerdictMap { keys, set } => {
                    matching = self.verdict_map(at, keys, set, matching, result);
                }
                Part::Nat(change) => {
                    for one in std::mem::take(&mut matching) {
                        self.translate(at, change, one, result);
                    }
                    return;
                }
                Part::Write { field, value } => {
                    matching.iter_mut().for_each(|one| write(one, *field, value));
                }
                Part::Notrack => matching.iter_mut().for_each(|one| self.notrack(one)),
                part => {
                    if let Some(reason) = condition(part) {
                        matching.iter_mut().for_each(|one| one.reasons.push(reason.clone()));
                    }
                }
            }
            if matching.is_empty() {
                return;
            }
        }
        // Without a verdict the next rule is asked; what an unknown statement does is not known.
        for mut one in matching {
            if at.rule.parts.last().is_some_and(|part| matches!(part, Part::Unknown { .. })) {
                one.flow.lose(&one.reasons);
            }
            result.going_on.push(one.flow);
        }
    }

    fn matched(
        &mut self,
        table: usize,
        found: &Match,
        matching: Vec<Matching>,
        result: &mut Result,
    ) -> Vec<Matching> {
        let mut out = Vec::with_capacity(matching.len());
        let mut found_here = Hits::default();
        for Matching { flow, reasons } in matching {
            found_here.clear();
            hits(&self.view(table, &flow), &flow.now, found, &mut found_here);
            let Hits { sure, perhaps, reason } = &found_here;
            if sure.is_empty() && perhaps.is_empty() {
                result.going_on.push(flow);
                continue;
            }
            let (hit, left) = flow.split(sure);
            self.pieces += hit.len();
            out.extend(hit.into_iter().map(|flow| Matching { flow, reasons: reasons.clone() }));
            for flow in left {
                let (unsure, missed) = flow.split(perhaps);
                self.pieces += unsure.len() + missed.len();
                result.going_on.extend(missed);
                out.extend(unsure.into_iter().map(|flow| {
                    let reasons = reasons.iter().chain(reason).cloned().collect();
                    Matching { flow, reasons }
                }));
            }
        }
        self.pieces = self.pieces.saturating_sub(1);
        out
    }

    fn verdict(&mut self, at: At<'_>, said: &Said, one: Matching, result: &mut Result) {
        let Matching { mut flow, reasons } = one;
        let me = RuleRef { table: at.table, chain: at.chain, rule: Some(at.number) };
        let end = match said {
            Said::Accept => End::Accept,
            Said::Drop => End::Drop,
            Said::Reject(_) => End::Reject,
            Said::Return => End::Return,
            Said::Continue => {
                result.going_on.push(flow);
                return;
            }
            Said::Jump(name) => return self.jump(at, name, (flow, reasons), false, result),
            Said::Goto(name) => return self.jump(at, name, (flow, reasons), true, result),
            Said::Queue { .. } | Said::Stolen(_) => {
                flow.lose(&[both("a program of this host decides", "由本机的程序决定")]);
                End::Lost
            }
        };
        if reasons.is_empty() {
            if end != End::Return {
                flow.rules.push(me);
            }
            result.ended.push((flow, end));
            return;
        }
        flow.doubt(&reasons);
        note(&mut flow, end, &reasons);
        result.going_on.push(flow);
    }

    fn jump(&mut self, at: At<'_>, name: &str, one: (Flow, Vec<Text>), is_goto: bool, result: &mut Result) {
        let (mut flow, reasons) = one;
        let Some(chain) = self.tracer.chains[at.table].get(name).copied() else {
            flow.lose(&[both(format!("the chain {name} is missing"), format!("缺少链 {name}"))]);
            return result.ended.push((flow, End::Lost));
        };
        if at.depth >= DEPTH_MAX {
            flow.lose(&[both("chains call one another too deeply", "链的调用嵌套过深")]);
            return result.ended.push((flow, End::Lost));
        }
        let before = flow.clone();
        let ends = self.chain(at.table, chain, vec![flow], at.depth + 1);
        if reasons.is_empty() {
            for (flow, end) in ends {
                match end {
                    End::Return if !is_goto => result.going_on.push(flow),
                    end => result.ended.push((flow, end)),
                }
            }
            return;
        }
        // Perhaps it was called: what it would have said may hold.
        let mut flow = before;
        flow.doubt(&reasons);
        for (called, end) in &ends {
            if *end != End::Return || is_goto {
                note(&mut flow, *end, &reasons);
            }
            flow.mark = flow.mark.filter(|mark| called.mark == Some(*mark));
            for (mine, other) in flow.ct_marks.iter_mut().zip(called.ct_marks) {
                *mine = mine.filter(|mark| other == Some(*mark));
            }
            flow.may_accept |= called.may_accept;
            flow.may_drop |= called.may_drop;
            flow.doubt(&called.doubts);
            if called.moved != flow.moved {
                flow.lose(&reasons);
            }
            flow.lose(&called.unsure);
        }
        result.going_on.push(flow);
    }

    fn verdict_map(
        &mut self,
        at: At<'_>,
        keys: &[Operand],
        set: &SetUse,
        matching: Vec<Matching>,
        result: &mut Result,
    ) -> Vec<Matching> {
        let list = self.elements(at.table, set);
        let mut on = Vec::new();
        for mut one in matching {
            let Some(list) = &list else {
                one.reasons
                    .push(both("a map is not known, or filled at run time", "映射未知，或在运行时填充"));
                one.flow.lose(&one.reasons);
                result.going_on.push(one.flow);
                continue;
            };
            let mut left = vec![one];
            for element in list.iter() {
                let mut next = Result::default();
                let hit = self.matched(at.table, &of_element(keys, element), left, &mut next);
                left = next.going_on.into_iter().map(|flow| Matching { flow, reasons: Vec::new() }).collect();
                for found in hit {
                    match &element.data {
                        Some(Data::Verdict(Said::Continue)) => on.push(found),
                        Some(Data::Verdict(said)) => self.verdict(at, said, found, result),
                        _ => result.going_on.push(found.flow),
                    }
                }
                if left.is_empty() {
                    break;
                }
            }
            result.going_on.extend(left.into_iter().map(|one| one.flow));
        }
        on
    }

    fn elements(&self, table: usize, set: &SetUse) -> Option<Arc<Vec<Element>>> {
        match set {
            SetUse::Inline(list) => Some(Arc::clone(list)),
            SetUse::Named(name) => {
                let sets = self.tracer.lowering.sets(table);
                sets.get(name).filter(|_| !sets.filled(name)).map(|set| Arc::clone(&set.elements))
            }
        }
    }

    fn notrack(&self, one: &mut Matching) {
        let in_time =
            matches!(self.hook, Hook::Prerouting | Hook::Output) && self.priority < CONNTRACK_PRIORITY;
        if !in_time || one.flow.untracked {
            return;
        }
        if one.reasons.is_empty() {
            one.flow.untracked = true;
            one.flow.now.state = State::UNTRACKED.and(State::nat(crate::space::Nat::None));
        } else {
            one.flow.lose(&one.reasons);
        }
        one.flow.moved.state = true;
    }

    fn translate(
        &mut self,
        at: At<'_>,
        change: &crate::netfilter::ast::Nat,
        one: Matching,
        result: &mut Result,
    ) {
        let Matching { flow, reasons } = one;
        if change.family.is_some_and(|family| (family == 4) != (flow.now.family == crate::space::Family::V4))
        {
            result.going_on.push(flow);
            return;
        }
        let me = RuleRef { table: at.table, chain: at.chain, rule: Some(at.number) };
        if !reasons.is_empty() {
            let mut flow = flow;
            flow.lose(&reasons);
            result.going_on.push(flow);
            return;
        }
        let Some(map) = &change.map else {
            for mut flow in nat::apply(flow, self.hook, change, change.addresses, change.ports) {
                flow.rules.push(me);
                result.ended.push((flow, End::Accept));
            }
            return;
        };
        let Some(list) = self.elements(at.table, &map.set) else {
            let mut flow = flow;
            flow.lose(&[both(
                "a map of addresses is not known, or filled at run time",
                "地址映射未知，或在运行时填充",
            )]);
            result.going_on.push(flow);
            return;
        };
        let mut left = vec![Matching { flow, reasons }];
        for element in list.iter() {
            let mut next = Result::default();
            let hit = self.matched(at.table, &of_element(&map.keys, element), left, &mut next);
            left = next.going_on.into_iter().map(|flow| Matching { flow, reasons: Vec::new() }).collect();
            let (addresses, ports) = nat::of_map(element, map.gives_address, map.gives_port);
            for mut found in hit {
                found.flow.lose(&found.reasons);
                let ports = ports.or(change.ports);
                for mut flow in
                    nat::apply(found.flow, self.hook, change, addresses.or(change.addresses), ports)
                {
                    flow.rules.push(me);
                    result.ended.push((flow, End::Accept));
                }
            }
        }
        result.going_on.extend(left.into_iter().map(|one| one.flow));
    }
}

/// Remembers what a rule may have said.
fn note(flow: &mut Flow, end: End, reasons: &[Text]) {
    match end {
        End::Accept => flow.may_accept = true,
        End::Drop | End::Reject => flow.may_drop = true,
        End::Return | End::Lost => flow.lose(reasons),
    }
}

fn of_element(keys: &[Operand], element: &Element) -> Match {
    let one = Element { data: None, ..element.clone() };
    Match { keys: keys.to_vec(), test: Test::In(SetUse::Inline(Arc::new(vec![one]))), negated: false }
}
