//! Which process and unit stand behind an alert on this host.

use netwhy_flows::detect::{Alert, Way};
use netwhy_host::processes;
use netwhy_netlink::sock_diag::{self, SocketQuery, SocketSeen, state};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// How often sockets are looked at for one that the attack holds right now, and how long between two looks.
const LOOK_COUNT_MAX: usize = 40;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Sockets whose holders are looked for.
const INODE_COUNT_MAX: usize = 4_096;

/// Fills in the process and unit, where a socket of theirs can be found.
pub(super) fn name(alert: &mut Alert) {
    let Some(pid) = (0..LOOK_COUNT_MAX).find_map(|number| {
        if number > 0 {
            std::thread::sleep(LOOK_EVERY);
        }
        holder(alert)
    }) else {
        return;
    };
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

fn inodes(alert: &Alert) -> BTreeSet<u64> {
    let victims: BTreeSet<IpAddr> = alert.victims.iter().filter_map(|text| text.parse().ok()).collect();
    let belongs = |socket: &SocketSeen| match alert.direction {
        Way::In => alert.port != 0 && socket.local.port() == alert.port,
        Way::Out if alert.port != 0 => socket.peer.port() == alert.port,
        Way::Out => victims.contains(&socket.peer.ip()),
    };
    let listening = alert.direction == Way::In;
    let states =
        if listening { state::mask(&[state::LISTEN]) } else { state::ALL & !state::mask(&[state::LISTEN]) };
    let mut found = BTreeSet::new();
    for transport in [sock_diag::Transport::Tcp, sock_diag::Transport::Udp] {
        let states = if transport == sock_diag::Transport::Udp { state::ALL } else { states };
        let query = SocketQuery { states, ..SocketQuery::all(transport) };
        // What cannot be listed names nobody.
        let _ = sock_diag::sockets(&query, |socket| {
            if socket.inode != 0 && belongs(socket) && found.len() < INODE_COUNT_MAX {
                found.insert(socket.inode);
            }
        });
    }
    found
}
