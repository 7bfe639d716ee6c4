//! The sockets of a look, and the processes that hold them.

use super::queues;
use super::sockets::{self, Flows};
use super::wire::Wire;
use crate::files::{Gaps, chain};
use crate::processes;
use netwhy_model::host::{Listener, Process, Record, TupleSocket, Unread, WatchSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Processes described.
const PROCESS_COUNT_MAX: usize = 64;
/// Onward destinations named.
const ONWARD_COUNT_MAX: usize = 64;
/// Name servers are not where a connection goes on to.
const DNS_PORT: u16 = 53;
/// A shorter window says nothing of processor time, which is counted in hundredths of a second.
const WINDOW_MIN: Duration = Duration::from_millis(200);

/// Sockets and processes.
#[derive(Debug, Default)]
pub(super) struct Held {
    listeners: Vec<Listener>,
    peaks: Vec<Listener>,
    sockets: Vec<TupleSocket>,
    pub processes: Vec<Process>,
    onward: Vec<SocketAddr>,
    pub unread: Vec<Unread>,
}

impl Held {
    /// Reads the sockets of the watched flows, who holds them, and whom those talk to.
    pub(super) fn read(
        spec: &WatchSpec,
        wire: &Wire,
        own: &[IpAddr],
        cpu_before: &BTreeMap<u32, f64>,
        elapsed: Duration,
    ) -> Held {
        let mut gaps = Gaps::default();
        let mut held =
            Held { listeners: wire.listeners.clone(), peaks: wire.peaks.clone(), ..Held::default() };
        match queues::others(spec.port, spec.udp) {
            Ok(others) => held.listeners.extend(others),
            Err(error) => gaps.note("listening sockets", chain(&error), false),
        }
        let is_own = |list: &[IpAddr]| list.iter().any(|address| own.contains(address));
        let (asks, is_asked) = (is_own(&spec.sources), is_own(&spec.targets));
        let flows = Flows {
            port: spec.port,
            own_port: is_asked || !asks,
            peer_port: asks || !is_asked,
            seen: wire.flows.clone(),
            parties: spec.sources.iter().chain(&spec.targets).copied().collect(),
        };
        match sockets::of_flows(&flows) {
            Ok(found) => held.sockets = found,
            Err(error) => gaps.note("sockets of the watched connections", chain(&error), false),
        }
        held.name_owners(&mut gaps);
        let behind = held.behind(spec.port);
        held.processes = describe(&behind, &held.sockets, cpu_before, elapsed);
        if spec.onward {
            held.onward = held.onward(&behind, wire, &mut gaps);
        }
        held.unread = gaps.into_unread();
        held
    }

    fn name_owners(&mut self, gaps: &mut Gaps) {
        let listening = self.listeners.iter().chain(&self.peaks).map(|listener| listener.inode);
        let inodes: BTreeSet<u64> = listening
            .chain(self.sockets.iter().map(|socket| socket.inode))
            .filter(|inode| *inode != 0)
            .collect();
        let (owners, unread) = processes::owners_noted(&inodes);
        gaps.join(unread);
        let of = |inode: u64| owners.get(&inode).cloned().unwrap_or_default();
        for listener in self.listeners.iter_mut().chain(&mut self.peaks) {
            listener.pids = of(listener.inode);
        }
        for socket in &mut self.sockets {
            socket.pids = of(socket.inode);
        }
    }

    /// The processes that listen on the port.
    fn behind(&self, port: u16) -> BTreeSet<u32> {
        let ours = self.listeners.iter().filter(|listener| listener.address.port() == port);
        ours.flat_map(|listener| listener.pids.iter().copied()).collect()
    }

    /// Connections begun during the watch first, then those the processes behind the port hold.
    fn onward(&self, behind: &BTreeSet<u32>, wire: &Wire, gaps: &mut Gaps) -> Vec<SocketAddr> {
        let listening = self.listeners.iter().map(|listener| listener.address.port()).collect();
        let inodes = sockets::inodes_of(behind);
        let open = sockets::onward(&inodes, &listening).unwrap_or_else(|error| {
            gaps.note("connections of the processes behind the port", chain(&error), false);
            Vec::new()
        });
        let mut known = BTreeSet::new();
        let all = wire.destinations.iter().chain(&open).copied();
        all.filter(|to| to.port() != DNS_PORT && known.insert(*to)).take(ONWARD_COUNT_MAX).collect()
    }

    pub(super) fn fill(self, record: &mut Record) {
        record.listeners = self.listeners;
        record.queue_peaks = self.peaks;
        record.sockets = self.sockets;
        record.processes = self.processes;
        record.onward = self.onward;
    }
}

/// Describes the processes behind the port, then those that hold a watched connection.
fn describe(
    behind: &BTreeSet<u32>,
    sockets: &[TupleSocket],
    cpu_before: &BTreeMap<u32, f64>,
    elapsed: Duration,
) -> Vec<Process> {
    let mut known = BTreeSet::new();
    let holders = sockets.iter().flat_map(|socket| socket.pids.iter().copied());
    let pids = behind.iter().copied().chain(holders).filter(|pid| known.insert(*pid));
    pids.take(PROCESS_COUNT_MAX)
        .filter_map(|pid| {
            let mut process = processes::process(pid)?;
            if let (Some(before), Some(now), true) =
                (cpu_before.get(&pid), processes::cpu_seconds(pid), elapsed >= WINDOW_MIN)
            {
                process.cpu =
                    Some(((now - before).max(0.0) / elapsed.as_secs_f64() * 1_000.0).round() / 1_000.0);
            }
            Some(process)
        })
        .collect()
}
