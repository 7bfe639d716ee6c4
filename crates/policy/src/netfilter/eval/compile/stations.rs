//! In which order a packet meets chains, connection tracking and translation at each hook.

use super::{Chain, ChainId, Program};
use crate::netfilter::ast::{ChainKind, Hook, Table, TableFamily};
use std::cmp::Reverse;

/// Where connection tracking sits before and on output.
const TRACK_PRIORITY: i32 = -200;
/// Where destinations, and sources, are translated, whatever priority a nat chain names.
const DESTINATION_PRIORITY: i32 = -100;
const SOURCE_PRIORITY: i32 = 100;

/// What a packet meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Station {
    Chain(ChainId),
    Track,
    /// The nat chains in order: the first that translates ends them.
    Translate(Vec<ChainId>),
}

const HOOKS: [Hook; 7] = [
    Hook::Ingress,
    Hook::Prerouting,
    Hook::Input,
    Hook::Forward,
    Hook::Output,
    Hook::Postrouting,
    Hook::Egress,
];

/// A hook's place in [`Program::stations`].
pub fn place(hook: Hook) -> usize {
    HOOKS.iter().position(|one| *one == hook).unwrap_or(0)
}

impl Program {
    /// Hangs the chains of tables that are awake into their hooks.
    pub(super) fn hang(&mut self, tables: &[Table], first_chains: &[ChainId]) {
        for six in [false, true] {
            let mut bases = Bases::default();
            for (table, first) in tables.iter().zip(first_chains) {
                self.register(&mut bases, table, *first, six);
            }
            let family = usize::from(six);
            self.tracks[family] = bases.before_track.is_some();
            self.translates[family] = bases.before_nat.is_some();
            for hook in HOOKS {
                self.stations[family][place(hook)] = self.at_hook(hook, &bases);
            }
        }
    }

    /// A table's chains come before its rules, and tracking with the first nat chain or rule that needs it.
    fn register(&self, bases: &mut Bases, table: &Table, first: ChainId, six: bool) {
        let chains = (first..first + table.chains.len()).filter(|id| self.chains[*id].serves(six));
        for id in chains.clone() {
            let Some(base) = &self.chains[id].base else { continue };
            if base.kind == ChainKind::Nat {
                bases.before_nat.get_or_insert(bases.chains.len());
                bases.before_track.get_or_insert(bases.chains.len());
            }
            if !table.dormant {
                bases.chains.push(id);
            }
        }
        if chains.into_iter().any(|id| self.looks_at_connections(id)) {
            bases.before_track.get_or_insert(bases.chains.len());
        }
    }

    /// Of what has equal priority the one registered last is asked first.
    fn at_hook(&self, hook: Hook, bases: &Bases) -> Vec<Station> {
        let mut order: Vec<(i32, Reverse<usize>, Station)> = Vec::new();
        let mut nat: Vec<(i32, Reverse<usize>, ChainId)> = Vec::new();
        for (at, id) in bases.chains.iter().enumerate() {
            let Some(base) = &self.chains[*id].base else { continue };
            let registered = Reverse(2 * at + 1);
            match base.kind {
                _ if base.hook != hook => {}
                ChainKind::Nat => nat.push((base.priority, registered, *id)),
                _ => order.push((base.priority, registered, Station::Chain(*id))),
            }
        }
        if let (Some(before), Hook::Prerouting | Hook::Output) = (bases.before_track, hook) {
            order.push((TRACK_PRIORITY, Reverse(2 * before), Station::Track));
        }
        let priority = match hook {
            Hook::Prerouting | Hook::Output => Some(DESTINATION_PRIORITY),
            Hook::Input | Hook::Postrouting => Some(SOURCE_PRIORITY),
            _ => None,
        };
        if let (Some(priority), Some(before)) = (priority, bases.before_nat) {
            nat.sort_unstable();
            let chains = nat.into_iter().map(|(_, _, id)| id).collect();
            order.push((priority, Reverse(2 * before), Station::Translate(chains)));
        }
        order.sort_by_key(|(priority, registered, _)| (*priority, *registered));
        order.into_iter().map(|(_, _, station)| station).collect()
    }
}

/// The base chains of one family as they were registered, and how many of them before tracking, before translation.
#[derive(Debug, Default)]
struct Bases {
    chains: Vec<ChainId>,
    before_track: Option<usize>,
    before_nat: Option<usize>,
}

impl Chain {
    /// Whether packets of IPv4, or IPv6, reach it.
    pub fn serves(&self, six: bool) -> bool {
        match self.family {
            TableFamily::Inet | TableFamily::Netdev => true,
            TableFamily::Ip => !six,
            TableFamily::Ip6 => six,
            TableFamily::Arp | TableFamily::Bridge => false,
        }
    }
}
