//! The way of packets through the chains of a hook, and from hook to hook: exact, for whole regions at a time.
//!
//! Assumed: a packet and a new connection begin with mark 0; what is destined to this host goes on through input
//! unless NAT gave it another address; a set that rules fill may hold anything. NAT of connections that exist
//! already is not known, so packets of such are taken as they stand.

mod bounds;
mod chain;
mod effects;
mod flow;
mod nat;

use super::ast::{Backend, ChainKind, Hook, Policy, Ruleset, TableFamily};
use super::lower::{Lowering, families};
use crate::place::both;
use crate::space::{Cube, Names, Nat, State};
use bounds::Bounds;
use chain::{End, Walk};
use flow::Flow;
use netwhy_model::Text;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Priority of connection tracking at prerouting and output (`NF_IP_PRI_CONNTRACK`).
const CONNTRACK_PRIORITY: i32 = -200;
/// Where the kernel asks all chains of type nat, whatever their own priority: destinations, sources.
const DESTINATION_NAT_PRIORITY: i32 = -100;
const SOURCE_NAT_PRIORITY: i32 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Drop,
    /// Dropped with an answer.
    Reject,
    /// It cannot be told, and why.
    Depends(Vec<Text>),
}

/// A rule by its places in the rule set; without `rule` the policy of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleRef {
    pub table: usize,
    pub chain: usize,
    pub rule: Option<usize>,
}

/// What becomes of some of the packets asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// As they came in.
    pub packets: Cube,
    pub verdict: Verdict,
    /// The rule, or the policy, that decided in each base chain on the way.
    pub rules: Vec<RuleRef>,
    /// As they are at the end, when NAT changed them.
    pub rewritten: Option<Cube>,
    /// Connection tracking was told to leave them alone: it does not know the answers.
    pub untracked: bool,
}

/// Which way packets take through a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// To the host itself.
    Input,
    Forward,
    /// From the host itself.
    Output,
}

/// Follows packets through one hook. `limit` is how many pieces may be followed.
pub fn trace(ruleset: &Ruleset, hook: Hook, packets: &[Cube], limit: usize) -> Vec<Outcome> {
    Tracer::new(ruleset).trace(hook, packets, limit)
}

/// Follows packets through all hooks of a way.
pub fn path(ruleset: &Ruleset, role: Role, packets: &[Cube], limit: usize) -> Vec<Outcome> {
    Tracer::new(ruleset).path(role, packets, limit)
}

/// A rule set ready to be asked.
#[derive(Debug)]
pub struct Tracer<'a> {
    lowering: Lowering<'a>,
    /// For each table its chains by name.
    chains: Vec<HashMap<&'a str, usize>>,
    /// For each chain of each table, made when it is first asked.
    bounds: Vec<Vec<OnceLock<Bounds>>>,
}

/// A base chain in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// Where the kernel calls it.
    priority: i32,
    /// Its own priority: the order among chains of NAT.
    own: i32,
    table: usize,
    chain: usize,
    is_nat: bool,
}

impl<'a> Tracer<'a> {
    pub fn new(ruleset: &'a Ruleset) -> Tracer<'a> {
        Tracer::with(ruleset, Lowering::new(ruleset))
    }

    /// With bits for names of interfaces that are shared with another rule set; all it mentions must be among them.
    pub fn named(ruleset: &'a Ruleset, names: Names) -> Tracer<'a> {
        Tracer::with(ruleset, Lowering::named(ruleset, Some(names)))
    }

    fn with(ruleset: &'a Ruleset, lowering: Lowering<'a>) -> Tracer<'a> {
        let names = |table: &'a super::ast::Table| {
            table.chains.iter().enumerate().map(|(at, chain)| (chain.name.as_str(), at)).collect()
        };
        let empty = |table: &super::ast::Table| table.chains.iter().map(|_| OnceLock::new()).collect();
        Tracer {
            lowering,
            chains: ruleset.tables.iter().map(names).collect(),
            bounds: ruleset.tables.iter().map(empty).collect(),
        }
    }

    fn bounds(&self, table: usize, chain: usize) -> &Bounds {
        self.bounds[table][chain].get_or_init(|| Bounds::new(&self.lowering, table, chain))
    }

    /// What the bits of interfaces in cubes mean.
    pub fn names(&self) -> Option<&crate::space::Names> {
        self.lowering.names()
    }

    /// Follows packets through one hook, with the states they have.
    pub fn trace(&self, hook: Hook, packets: &[Cube], limit: usize) -> Vec<Outcome> {
        let mut walk = Walk::new(self, limit);
        let flows = packets.iter().map(|cube| Flow::new(*cube)).collect();
        let left = self.hook(&mut walk, hook, flows);
        walk.finish(left)
    }

    /// Follows packets through all hooks of a way. A new connection begins without NAT.
    pub fn path(&self, role: Role, packets: &[Cube], limit: usize) -> Vec<Outcome> {
        let mut walk = Walk::new(self, limit);
        walk.role = Some(role);
        let translated = State::NEW.without(State::nat(Nat::None));
        let flows: Vec<Flow> = packets
            .iter()
            .map(|cube| Cube { state: cube.state.without(translated), ..*cube })
            .filter(|cube| !cube.state.is_empty())
            .map(Flow::new)
            .collect();
        let left = if role == Role::Output {
            let left = self.hook(&mut walk, Hook::Output, flows);
            self.hook(&mut walk, Hook::Postrouting, left)
        } else {
            let flows = self.hook(&mut walk, Hook::Ingress, flows);
            let flows = self.hook(&mut walk, Hook::Prerouting, flows);
            let (local, forwarded): (Vec<Flow>, Vec<Flow>) =
                flows.into_iter().partition(|flow| flow.stays(role == Role::Input));
            let mut left = self.hook(&mut walk, Hook::Input, local);
            let forwarded = self.hook(&mut walk, Hook::Forward, forwarded);
            left.extend(self.hook(&mut walk, Hook::Postrouting, forwarded));
            left
        };
        walk.finish(left)
    }

    /// The base chains of a hook in the order in which the kernel calls them.
    fn turns(&self, hook: Hook) -> Vec<Turn> {
        let mut turns = Vec::new();
        for (table_at, table) in self.lowering.ruleset.tables.iter().enumerate() {
            let seen = match table.family {
                TableFamily::Netdev => hook == Hook::Ingress || hook == Hook::Egress,
                TableFamily::Bridge | TableFamily::Arp => false,
                _ => true,
            };
            if table.dormant || !seen {
                continue;
            }
            for (chain_at, chain) in table.chains.iter().enumerate() {
                let Some(base) = chain.base.as_ref().filter(|base| base.hook == hook) else { continue };
                let is_nat = base.kind == ChainKind::Nat;
                let priority = match hook {
                    Hook::Prerouting | Hook::Output if is_nat => DESTINATION_NAT_PRIORITY,
                    Hook::Input | Hook::Postrouting if is_nat => SOURCE_NAT_PRIORITY,
                    _ => base.priority,
                };
                // Empty chains of iptables that accept do nothing.
                let idle = table.backend == Backend::Xtables && chain.rules.is_empty();
                if !(idle && base.policy == Policy::Accept) {
                    turns.push(Turn {
                        priority,
                        own: base.priority,
                        table: table_at,
                        chain: chain_at,
                        is_nat,
                    });
                }
            }
        }
        turns.sort();
        turns
    }

    /// Sends packets through a hook; those that leave it are given back.
    fn hook(&self, walk: &mut Walk<'_, 'a>, hook: Hook, mut flows: Vec<Flow>) -> Vec<Flow> {
        flows.iter_mut().for_each(|flow| flow.translated_here = false);
        for turn in self.turns(hook) {
            walk.begin(hook, turn.priority);
            let (asked, mut passing) = self.asked(turn, hook, flows);
            let base_flows = walk.base(turn.table, turn.chain, asked);
            for (flow, end) in base_flows {
                passing.extend(self.after_base(walk, turn, flow, end));
            }
            flows = passing;
        }
        flows
    }

    /// Parts the packets that a base chain sees from those it does not.
    fn asked(&self, turn: Turn, hook: Hook, flows: Vec<Flow>) -> (Vec<Flow>, Vec<Flow>) {
        let table = &self.lowering.ruleset.tables[turn.table];
        let families = families(table.family);
        let devices = table.chains[turn.chain].base.as_ref().map_or(&[][..], |base| base.devices.as_slice());
        let (mut asked, mut passing) = (Vec::new(), Vec::new());
        for flow in flows {
            if !families.contains(&flow.now.family) || (turn.is_nat && flow.translated_here) {
                passing.push(flow);
                continue;
            }
            let mut seen = flow.now;
            if turn.is_nat {
                seen.state = seen.state.and(State::NEW);
            }
            if hook == Hook::Ingress && !devices.is_empty() {
                let bits = self.names().map_or(u64::MAX, |names| {
                    devices.iter().fold(0, |bits, device| bits | names.bits(device, false))
                });
                seen.from &= bits;
            }
            if seen.state.is_empty() || seen.from == 0 {
                passing.push(flow);
                continue;
            }
            let (hit, missed) = flow.split(&[seen]);
            asked.extend(hit);
            passing.extend(missed);
        }
        (asked, passing)
    }

    /// What follows from what a base chain said: the packets that go on.
    fn after_base(&self, walk: &mut Walk<'_, 'a>, turn: Turn, mut flow: Flow, end: End) -> Option<Flow> {
        let base = self.lowering.ruleset.tables[turn.table].chains[turn.chain].base.as_ref();
        let end = match end {
            End::Return => {
                flow.rules.push(RuleRef { table: turn.table, chain: turn.chain, rule: None });
                match base.map(|base| base.policy) {
                    Some(Policy::Drop) => End::Drop,
                    _ => End::Accept,
                }
            }
            other => other,
        };
        let may_accept = std::mem::take(&mut flow.may_accept);
        match end {
            End::Accept | End::Return => Some(flow),
            End::Drop | End::Reject if may_accept => {
                flow.may_drop = true;
                Some(flow)
            }
            End::Drop => walk.decide(flow, Verdict::Drop),
            End::Reject => walk.decide(flow, Verdict::Reject),
            End::Lost => walk.decide(flow, Verdict::Accept),
        }
    }
}

/// Whether packets were not followed to their end, since they fell into too many pieces.
pub fn is_cut_short(outcome: &Outcome) -> bool {
    matches!(&outcome.verdict, Verdict::Depends(reasons) if reasons.contains(&too_many_pieces()))
}

/// Why packets are not followed further.
fn too_many_pieces() -> Text {
    both("the rules cut these packets into too many pieces", "规则将这些报文切成了过多分片")
}
