//! What a rule set does with one packet: the exact interpreter, with connection tracking and translation.
//!
//! A packet passes every base chain of its hooks in the order of the kernel; accept ends one of them only. What is
//! not known of packet or rules makes the answer *depends*, unless every possibility ends alike.

mod answer;
mod compile;
mod host;
mod index;
mod memory;
mod nat;
mod sets;
mod tcp;
mod track;
mod value;
mod walk;
mod work;

pub use answer::{Answer, Decision, Outcome, PolicyOf, Rewritten, RuleAt};
pub use host::Host;
pub use track::Habits;

use super::ast::{Hook, Policy, Ruleset};
use super::packet::{self, Packet, has_ports};
use compile::{ChainId, Program, Station};
use memory::{CONFIRMED, Memory};
use std::sync::Arc;
use value::Bits;
use walk::{At, Ends, Log, Walk};
use work::Work;

/// A rule set that answers, packet after packet, and remembers what it has let through.
#[derive(Debug)]
pub struct Machine {
    program: Program,
    memory: Memory,
    pub host: Host,
    pub habits: Habits,
    /// Whether answers list every rule that matched.
    pub tells_trail: bool,
}

/// How far a packet came.
struct Way {
    ends: Ends,
    log: Log,
    policy: Option<ChainId>,
}

impl Machine {
    pub fn new(ruleset: &Ruleset) -> Machine {
        Machine {
            program: Program::new(ruleset),
            memory: Memory::default(),
            host: Host::default(),
            habits: Habits { loose: true },
            tells_trail: false,
        }
    }

    /// Takes other rules, and keeps the connections: what happens when rules are loaded while packets flow.
    pub fn reload(&mut self, ruleset: &Ruleset) {
        self.program = Program::new(ruleset);
        self.memory.forget_rules();
    }

    /// Asks what becomes of a packet, and remembers what that changes.
    pub fn packet(&mut self, packet: &Packet) -> Decision {
        let family = usize::from(packet.is_v6());
        let tracks = self.program.tracks[family];
        let mut work = Work::new(packet, &self.host, tracks);
        let trail = self.tells_trail.then(Vec::new);
        let mut way = Way { ends: Ends::default(), log: Log { trail, ..Log::default() }, policy: None };
        let memory = &mut self.memory;
        let mut alive = true;
        let mut next = Some(first(packet.hook));
        while let (Some(hook), true) = (next, alive) {
            work.hook = hook;
            if hook == Hook::Forward && !forwards(&mut work, &mut way) {
                alive = false;
                break;
            }
            for station in &self.program.stations[family][compile::place(hook)] {
                alive = meet(&self.program, memory, &mut work, &mut way, station, self.habits);
                if !alive {
                    break;
                }
            }
            next = after(&mut work);
        }
        if alive {
            way.ends.accept = true;
            confirm(memory, &work, &mut way);
        }
        self.decision(&work, way)
    }

    /// Takes in how a packet was seen to leave the host, where the kernel was free to choose.
    pub fn learn(&mut self, packet: &Packet, seen: &Rewritten) {
        let work = Work::new(packet, &self.host, true);
        let Some(original) = track::tuple(&work) else { return };
        let reply = track::rewritten(&original, seen).and_then(|new| track::invert(&new));
        if let Some(reply) = reply {
            self.memory.learn(&original, reply);
        }
    }

    fn decision(&self, work: &Work<'_>, way: Way) -> Decision {
        let Ends { accept, drop, reject, gone } = way.ends;
        let verdict = match (accept, drop, reject, gone) {
            (true, false, false, false) => Outcome::Accept,
            (false, true, false, false) => Outcome::Drop,
            (false, false, true, false) => Outcome::Reject,
            _ => Outcome::Depends,
        };
        let at = match verdict {
            Outcome::Accept => way.log.accepted,
            Outcome::Drop | Outcome::Reject => way.log.ended,
            Outcome::Depends => way.log.ended.or(way.log.accepted),
        };
        let policy_of = way.policy.filter(|_| at.is_none()).map(|id| {
            let chain = &self.program.chains[id];
            PolicyOf { table: Arc::clone(&chain.table), chain: Arc::clone(&chain.name) }
        });
        Decision {
            verdict,
            reasons: if verdict == Outcome::Depends { way.log.reasons } else { Vec::new() },
            rule: at.and_then(|at| self.rule(at)),
            policy_of,
            rewritten: rewritten(work),
            trail: way.log.trail.into_iter().flatten().filter_map(|at| self.rule(at)).collect(),
        }
    }

    fn rule(&self, at: At) -> Option<RuleAt> {
        let chain = self.program.chains.get(at.chain)?;
        let rule = chain.rules.get(at.rule)?;
        Some(RuleAt {
            table: Arc::clone(&chain.table),
            chain: Arc::clone(&chain.name),
            rule: rule.number,
            line: rule.line,
        })
    }
}

/// Where the way of a packet begins.
fn first(hook: Hook) -> Hook {
    match hook {
        Hook::Prerouting | Hook::Input | Hook::Forward => Hook::Ingress,
        other => other,
    }
}

/// The hook after the one a packet is at; past prerouting the host's own routes decide, where they are known.
fn after(work: &mut Work<'_>) -> Option<Hook> {
    match work.hook {
        Hook::Ingress if work.asked == Hook::Ingress => None,
        Hook::Ingress => Some(Hook::Prerouting),
        Hook::Prerouting if work.asked == Hook::Prerouting => None,
        Hook::Prerouting => {
            work.route();
            Some(work.asked)
        }
        Hook::Forward | Hook::Output => Some(Hook::Postrouting),
        Hook::Postrouting => Some(Hook::Egress),
        Hook::Input | Hook::Egress => None,
    }
}

/// The hop is counted before the rules of forward are asked; whether the packet may go on.
fn forwards(work: &mut Work<'_>, way: &mut Way) -> bool {
    let Some(ttl) = work.ttl.known() else { return true };
    if ttl <= 1 {
        way.ends.drop = true;
        way.log.ended = None;
        return false;
    }
    work.ttl = Bits::of(ttl - 1);
    true
}

/// Lets a packet meet one station; whether any of what it stands for goes on.
fn meet(
    program: &Program,
    memory: &mut Memory,
    work: &mut Work<'_>,
    way: &mut Way,
    station: &Station,
    habits: Habits,
) -> bool {
    match station {
        Station::Track => {
            track::track(work, memory, habits);
            true
        }
        Station::Chain(id) => base(program, memory, work, way, *id),
        Station::Translate(chains) => {
            if nat::is_asked(work) {
                for id in chains {
                    if !base(program, memory, work, way, *id) {
                        return false;
                    }
                    if !nat::is_asked(work) {
                        break;
                    }
                }
                if nat::is_asked(work) {
                    nat::settle(work, memory, nat::Choice::NONE);
                }
            }
            nat::translate(work);
            true
        }
    }
}

/// Through one base chain; whether any of what the packet stands for is accepted there.
fn base(program: &Program, memory: &mut Memory, work: &mut Work<'_>, way: &mut Way, id: ChainId) -> bool {
    let Some(base) = &program.chains[id].base else { return true };
    match on_device(work, base) {
        Some(false) => return true,
        Some(true) => {}
        None => way.ends.accept = true,
    }
    let asked = work.hook == work.asked;
    let accepted = way.log.accepted;
    let optional = work.optional;
    let mut walk = Walk { program, memory, work, log: &mut way.log, ends: Ends::default() };
    let through = walk.chain(id, 0);
    let mut ends = walk.ends;
    work.optional = optional;
    if !asked {
        way.log.accepted = accepted;
    }
    if through {
        match base.policy {
            Policy::Accept => ends.accept = true,
            Policy::Drop => {
                ends.drop = true;
                way.log.ended = None;
                way.policy = Some(id);
            }
        }
        if asked && base.policy == Policy::Accept && way.log.accepted.is_none() {
            way.policy = Some(id);
        }
    }
    way.ends.drop |= ends.drop;
    way.ends.reject |= ends.reject;
    way.ends.gone |= ends.gone;
    ends.accept
}

/// Whether a chain of ingress or egress hangs at the packet's interface.
fn on_device(work: &Work<'_>, base: &super::ast::Base) -> Option<bool> {
    let interface = match base.hook {
        Hook::Ingress => work.packet.input.as_deref(),
        Hook::Egress => work.output_name,
        _ => return Some(true),
    };
    interface.map(|interface| base.devices.iter().any(|device| device == interface))
}

/// Only what was let through for certain is kept as a connection. One whose answers would be those of another is
/// dropped here, whatever the rules said.
fn confirm(memory: &mut Memory, work: &Work<'_>, way: &mut Way) {
    let ends = matches!(work.asked, Hook::Input | Hook::Forward | Hook::Output | Hook::Postrouting);
    let (None, None, Some(connection)) = (work.entry, work.packet.state, &work.connection) else { return };
    if !ends || way.ends != (Ends { accept: true, ..Ends::default() }) {
        return;
    }
    if !connection.is_opaque() && memory.find(&connection.reply).is_some() {
        way.ends = Ends { drop: true, ..Ends::default() };
        way.log.ended = None;
        return;
    }
    let mut connection = connection.clone();
    connection.status |= CONFIRMED;
    memory.keep(connection);
}

fn rewritten(work: &Work<'_>) -> Option<Rewritten> {
    let packet = work.packet;
    let port = |bits: Option<Bits>| bits.and_then(Bits::known).and_then(|port| u16::try_from(port).ok());
    let ports = has_ports(packet.protocol);
    let same = work.source.known() == Some(packet::number(packet.source))
        && work.destination.known() == Some(packet::number(packet.destination))
        && (!ports
            || (port(work.source_port) == packet.source_port
                && port(work.destination_port) == packet.destination_port));
    if same {
        return None;
    }
    let address = |bits: Bits| bits.known().map(|number| packet::address(number, work.six));
    Some(Rewritten {
        src: address(work.source),
        dst: address(work.destination),
        sport: port(work.source_port),
        dport: port(work.destination_port),
    })
}
