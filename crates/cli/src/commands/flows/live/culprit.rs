//! Which process and unit stand behind an alert on this host.

use netwhy_flows::detect::{Alert, Way};
use netwhy_host::processes;
use netwhy_netlink::sock_diag::{self, SocketQuery, SocketSeen, state};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// For so long sockets are looked at for one that the attack holds right now, for all alerts told at once.
pub(super) const LOOK_MAX: Duration = Duration::from_secs(2);
/// Between two looks. The kernel tells of closed sockets, of none that opens; guessing opens several a second.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Sockets whose holders are looked for.
const INODE_COUNT_MAX: usize = 4_096;

/// Fills in the process and unit, where a socket of theirs can be found until then.
pub(super) fn name(alert: &mut Alert, until: Instant) {
    let mut holding = holder(alert);
    while holding.is_none() && Instant::now() < until {
        std::thread::sleep(LOOK_EVERY);
        holding = holder(alert);
    }
    let Some(pid) = holding.or_else(|| raw_sender(alert)) else { return };
    let Some(process) = processes::process(pid) else { return };
    let program = process.executable.as_deref().unwrap_or("?");
    alert.process = Some(format!("{} (pid {pid}, {program}): {}", process.name, process.command));
    alert.unit = process.container.or(process.unit);
}

/// The process with most sockets that belong to the alert.
fn holder(alert: &Alert) -> Option<u32> {
    let inodes = inodes(alert);
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for pids in processes::owners(&inodes).values() {
        // A socket that a parent left to its children is held by all; the youngest uses it.
        if let Some(pid) = pids.last() {
            *counts.entry(*pid).or_default() += 1;
        }
    }
    counts.into_iter().max_by_key(|(pid, count)| (*count, *pid)).map(|(pid, _)| pid)
}

/// The only other process that writes packets of its own, as scanners do; of several none is named.
fn raw_sender(alert: &Alert) -> Option<u32> {
    let own = std::process::id();
    let mut senders = processes::raw_owners().into_iter().filter(|pid| *pid != own);
    let only = senders.next().filter(|_| alert.direction == Way::Out)?;
    senders.next().is_none().then_some(only)
}

fn inodes(alert: &Alert) -> BTreeSet<u64> {
    let victims: BTreeSet<IpAddr> = alert.victims.iter().filter_map(|text| text.parse().ok()).collect();
    let listening = alert.direction == Way::In;
    let states =
        if listening { state::mask(&[state::LISTEN]) } else { state::ALL & !state::mask(&[state::LISTEN]) };
    let mut found = BTreeSet::new();
    for transport in [sock_diag::Transport::Tcp, sock_diag::Transport::Udp] {
        let states = if transport == sock_diag::Transport::Udp { state::ALL } else { states };
        let query = SocketQuery { states, ..SocketQuery::all(transport) };
        // What cannot be listed names nobody.
        let _ = sock_diag::sockets(&query, |socket| {
            if socket.inode != 0 && belongs(socket, alert, &victims) && found.len() < INODE_COUNT_MAX {
                found.insert(socket.inode);
            }
        });
    }
    found
}

fn belongs(socket: &SocketSeen, alert: &Alert, victims: &BTreeSet<IpAddr>) -> bool {
    let peer = socket.peer_canonical();
    let at_port = alert.port != 0 && peer.port() == alert.port;
    match alert.direction {
        Way::In => alert.port != 0 && socket.local.port() == alert.port,
        // Of many targets the alert names a few.
        Way::Out if alert.targets > victims.len() as u64 && alert.port != 0 => at_port,
        Way::Out => victims.contains(&peer.ip()) && (at_port || alert.port == 0),
    }
}
