//! What to ask, and how politely.

use crate::finding::Protocol;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Which engine asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Raw where the privilege is there, else connect.
    Best,
    Raw,
    Connect,
}

/// How hard to ask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Named and common ports first, then the rest; stays below usual per-source limits, and slows at the first sign
    /// of one.
    Gentle,
    /// As fast as the way carries, found by the controller.
    Fast,
    /// At most this many packets or connects a second.
    Rate(u64),
    /// `--rate max`: no politeness at all; loss still lowers it.
    Max,
}

/// One of `of` equal parts of the whole, `index` from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    pub index: u32,
    pub of: u32,
}

/// A whole scan. Hosts and ports are already resolved, distinct and without exclusions.
#[derive(Debug, Clone)]
pub struct Plan {
    pub hosts: crate::Hosts,
    pub ports: crate::Ports,
    pub protocol: Protocol,
    pub engine: Engine,
    pub pace: Pace,
    /// Tells all states, not only what answers.
    pub all: bool,
    /// Looks at open ports (`-s`), with this name for TLS and HTTP.
    pub look: Option<LookFor>,
    pub shard: Shard,
    /// Seed of the order; the same seed gives the same order.
    pub seed: u64,
    pub max_duration: Option<Duration>,
    /// Random pause between packets, on average.
    pub jitter: Option<Duration>,
    pub source: Option<IpAddr>,
    pub interface: Option<String>,
    /// Where progress is kept for `--resume`.
    pub checkpoint: Option<PathBuf>,
    /// Where an earlier part stopped; it is of this plan ([`crate::Checkpoint::check`]). The summary counts what that part
    /// settled, but its findings are not told again: the caller has them.
    pub resume: Option<Arc<crate::Checkpoint>>,
}

impl Plan {
    /// Gently, all of it, with the best engine, in an order of seed 0.
    pub fn new(hosts: crate::Hosts, ports: crate::Ports) -> Self {
        Self {
            hosts,
            protocol: ports.protocol(),
            ports,
            engine: Engine::Best,
            pace: Pace::Gentle,
            all: false,
            look: None,
            shard: Shard::WHOLE,
            seed: 0,
            max_duration: None,
            jitter: None,
            source: None,
            interface: None,
            checkpoint: None,
            resume: None,
        }
    }

    /// The order its pairs are asked in, whatever the engine and pace, so that a checkpoint's bits mean the same to all:
    /// named and common ports of all hosts, mixed, then the rest, mixed.
    pub fn order(&self) -> crate::Order {
        let (hosts, ports) = (self.hosts.len(), self.ports.len());
        crate::Order::common_first(hosts, ports, self.ports.common_len(), self.seed, self.shard)
    }

    /// Whether one checkpoint keeps all of it in mind, with whichever engine may ask it.
    pub fn fits_checkpoint(&self) -> bool {
        let is_raw = self.protocol == Protocol::Tcp && self.engine != Engine::Connect;
        match is_raw {
            true => crate::raw::fits_one_block(self),
            false => self.order().len() <= crate::raw::PAIR_COUNT_MAX,
        }
    }
}

/// What the quick look uses as its name, and where it looks from; a scan looks from where it asks.
#[derive(Debug, Clone, Default)]
pub struct LookFor {
    pub name: Option<String>,
    pub source: Option<IpAddr>,
    pub interface: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hosts, Ports};

    #[test]
    fn a_checkpoint_keeps_what_one_block_holds() {
        let fits = |hosts: &str, ports: &str, protocol, engine| {
            let plan =
                Plan::new(Hosts::parse(&[hosts], &[]).unwrap(), Ports::parse(ports, protocol).unwrap());
            Plan { engine, ..plan }.fits_checkpoint()
        };
        let (tcp, udp) = (Protocol::Tcp, Protocol::Udp);
        assert!(fits("10.0.0.0/15", "80", tcp, Engine::Best));
        assert!(!fits("10.0.0.0-10.3.13.63", "80", tcp, Engine::Best), "200,000 hosts");
        assert!(!fits("10.0.0.0-10.3.13.63", "80", tcp, Engine::Raw));
        assert!(!fits("10.0.0.0/16", "all", tcp, Engine::Best));
        // Sockets need no more of a host than its bits.
        assert!(fits("10.0.0.0-10.3.13.63", "80", tcp, Engine::Connect));
        assert!(fits("10.0.0.0-10.3.13.63", "53", udp, Engine::Best));
        assert!(!fits("10.0.0.0/16", "all", tcp, Engine::Connect));
    }
}
