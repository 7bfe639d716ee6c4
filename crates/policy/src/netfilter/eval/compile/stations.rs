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
        let mut bases: Vec<ChainId> = Vec::new();
        for (table, first) in tables.iter().zip(first_chains) {
            if !table.dormant {
                let chains = *first..*first + table.chains.len();
                bases.extend(chains.filter(|id| self.chains[*id].base.is_some()));
            }
        }
        self.looks();
        for six in [false, true] {
            let family = usize::from(six);
            let nat =
                |id: &ChainId| self.chains[*id].base.as_ref().is_some_and(|base| base.kind == ChainKind::Nat);
            let mine: Vec<ChainId> =
                bases.iter().copied().filter(|id| self.chains[*id].serves(six)).collect();
            let first_nat = mine.iter().position(nat);
            self.translates[family] = first_nat.is_some();
            self.tracks[family] |= first_nat.is_some();
            for hook in HOOKS {
                self.stations[family][place(hook)] =
                    self.at_hook(hook, &mine, first_nat, self.tracks[family]);
            }
        }
    }

    /// Of chains with equal priority the one registered last is asked first; so is tracking, registered when a
    /// rule first needs it.
    fn at_hook(&self, hook: Hook, bases: &[ChainId], first_nat: Option<usize>, tracks: bool) -> Vec<Station> {
        let mut order: Vec<(i32, Reverse<usize>, Station)> = Vec::new();
        let mut nat: Vec<(i32, Reverse<usize>, ChainId)> = Vec::new();
        for (registered, id) in bases.iter().enumerate() {
            let Some(base) = &self.chains[*id].base else { continue };
            if base.hook != hook {
                continue;
            }
            if base.kind == ChainKind::Nat {
                nat.push((base.priority, Reverse(registered), *id));
            } else {
                order.push((base.priority, Reverse(registered), Station::Chain(*id)));
            }
        }
        if tracks && matches!(hook, Hook::Prerouting | Hook::Output) {
            order.push((TRACK_PRIORITY, Reverse(usize::MAX), Station::Track));
        }
        let priority = match hook {
            Hook::Prerouting | Hook::Output => Some(DESTINATION_PRIORITY),
            Hook::Input | Hook::Postrouting => Some(SOURCE_PRIORITY),
            _ => None,
        };
        if let (Some(priority), Some(registered)) = (priority, first_nat) {
            nat.sort_unstable();
            let chains = nat.into_iter().map(|(_, _, id)| id).collect();
            order.push((priority, Reverse(registered), Station::Translate(chains)));
        }
        order.sort_by_key(|(priority, registered, _)| (*priority, *registered));
        order.into_iter().map(|(_, _, station)| station).collect()
    }
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
