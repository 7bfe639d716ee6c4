//! The fill of the table, what it had to refuse, and where its entries go.

use super::{ANY_FAMILY, LIMIT_FILE, SUBSYSTEM, conntrack_flows, open};
use crate::error::NetfilterError;
use crate::fields::Fields;
use crate::nft::{protocol_name, split};
use netwhy_model::host::Conntrack;
use netwhy_netlink::Connection;
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

const GET_STATISTICS_OF_CPU: u16 = SUBSYSTEM | 4;
const GET_STATISTICS: u16 = SUBSYSTEM | 5;
const COUNT_FILE: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const STATISTICS_FILE: &str = "/proc/thread-self/net/stat/nf_conntrack";
/// Destinations told apart while counting; what comes past them is not among the top.
const DESTINATION_COUNT_MAX: usize = 65_536;
/// Destinations reported.
const TOP_COUNT_MAX: usize = 10;
const TCP: u8 = 6;

/// Reads the table's fill, its failures, and where its entries go, of the calling thread's namespace.
///
/// Without CAP_NET_ADMIN only the count and the limit are read, and `from` says so.
///
/// # Errors
/// When connection tracking is not in use.
pub fn conntrack_state() -> Result<Conntrack, NetfilterError> {
    let mut table = conntrack_fill()?;
    let mut tally = Tally::default();
    if conntrack_flows(|flow| tally.add(flow.protocol, flow.state(), flow.to)).is_ok() {
        table.from.push_str(", IPCTNL_MSG_CT_GET");
    }
    (table.by_state, table.top) = tally.finish();
    Ok(table)
}

/// Reads only the table's fill and its failures, which costs the same however many entries there are.
///
/// # Errors
/// When connection tracking is not in use.
pub fn conntrack_fill() -> Result<Conntrack, NetfilterError> {
    let mut connection = open()?;
    let from = "ctnetlink: IPCTNL_MSG_CT_GET_STATS, IPCTNL_MSG_CT_GET_STATS_CPU".to_owned();
    let mut table = Conntrack { from, ..Conntrack::default() };
    if !statistics(&mut connection, &mut table) {
        table.from =
            "/proc/sys/net/netfilter/nf_conntrack_count, nf_conntrack_max; entries need root".to_owned();
        table.count = number(COUNT_FILE).unwrap_or(0);
        table.max = number(LIMIT_FILE).unwrap_or(0);
        if let Ok(text) = fs::read_to_string(STATISTICS_FILE) {
            statistics_of_file(&text, &mut table);
        }
    }
    if let Some(first) = limit_of_first_namespace().filter(|first| *first > 0) {
        table.max = if table.max == 0 { first } else { table.max.min(first) };
    }
    Ok(table)
}

/// The counters over netlink; false when the kernel refused.
fn statistics(connection: &mut Connection, table: &mut Conntrack) -> bool {
    let Ok(Some((_, body))) = connection.ask(GET_STATISTICS, 0, &ANY_FAMILY) else { return false };
    let fields = Fields::of(split(&body).1);
    (table.count, table.max) = (fields.be32(1).into(), fields.be32(2).into());
    let dump = connection.dump(GET_STATISTICS_OF_CPU, &ANY_FAMILY, |_, body| {
        let fields = Fields::of(split(body).1);
        table.insert_failed += u64::from(fields.be32(9));
        table.drop += u64::from(fields.be32(10));
        table.early_drop += u64::from(fields.be32(11));
    });
    dump.is_ok()
}

/// The same counters as text: a line of names, then one of hexadecimal numbers per processor.
fn statistics_of_file(text: &str, table: &mut Conntrack) {
    const CPU_COUNT_MAX: usize = 8192;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    for line in lines.take(CPU_COUNT_MAX) {
        for (name, value) in names.iter().zip(line.split_whitespace()) {
            let value = u64::from_str_radix(value, 16).unwrap_or(0);
            match *name {
                "insert_failed" => table.insert_failed = table.insert_failed.saturating_add(value),
                "drop" => table.drop = table.drop.saturating_add(value),
                "early_drop" => table.early_drop = table.early_drop.saturating_add(value),
                _ => {}
            }
        }
    }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The limit in the namespace of process 1, read from inside it: files under /proc/sys/net are the reader's own.
fn limit_of_first_namespace() -> Option<u64> {
    let namespace = fs::File::open("/proc/1/ns/net").ok()?;
    // A thread of its own, so that nobody else changes namespace.
    let reader = std::thread::spawn(move || {
        // SAFETY: plain system call on a live descriptor; only this thread is moved.
        let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
        if entered == 0 { number(LIMIT_FILE) } else { None }
    });
    reader.join().ok()?
}

/// Names with how many entries they have.
type Counts = Vec<(String, u64)>;

/// Entries counted by state and by destination.
#[derive(Default)]
struct Tally {
    states: HashMap<(u8, &'static str), u64>,
    destinations: HashMap<(u8, SocketAddr), u64>,
}

impl Tally {
    fn add(&mut self, protocol: u8, state: &'static str, to: SocketAddr) {
        *self.states.entry((protocol, state)).or_default() += 1;
        let key = (protocol, to);
        if let Some(count) = self.destinations.get_mut(&key) {
            *count += 1;
        } else if self.destinations.len() < DESTINATION_COUNT_MAX {
            self.destinations.insert(key, 1);
        }
    }

    fn finish(self) -> (Counts, Counts) {
        let state = |(protocol, state): (u8, &str)| match protocol {
            TCP => state.to_owned(),
            _ => format!("{} {state}", protocol_name(protocol.into())),
        };
        let destination = |(protocol, to): (u8, SocketAddr)| {
            let name = protocol_name(protocol.into());
            if to.port() == 0 { format!("{name} {}", to.ip()) } else { format!("{name} {to}") }
        };
        let states = self.states.into_iter().map(|(key, count)| (state(key), count)).collect();
        let destinations =
            self.destinations.into_iter().map(|(key, count)| (destination(key), count)).collect();
        (most_first(states, usize::MAX), most_first(destinations, TOP_COUNT_MAX))
    }
}

fn most_first(mut counts: Counts, keep: usize) -> Counts {
    counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    counts.truncate(keep);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_all_processors_are_added() {
        let text = "entries  insert insert_failed drop early_drop\n00000002 00000000 0000000a 1 0\n2 0 00000001 0 f\n";
        let mut table = Conntrack::default();
        statistics_of_file(text, &mut table);
        assert_eq!((table.insert_failed, table.drop, table.early_drop), (11, 1, 15));
    }

    #[test]
    fn the_most_frequent_come_first() {
        let mut tally = Tally::default();
        tally.add(6, "ESTABLISHED", "10.0.0.1:80".parse().unwrap());
        tally.add(6, "ESTABLISHED", "10.0.0.1:80".parse().unwrap());
        tally.add(17, "UNREPLIED", "10.0.0.2:53".parse().unwrap());
        let (states, top) = tally.finish();
        assert_eq!(states[0], ("ESTABLISHED".to_owned(), 2));
        assert_eq!(states[1].0, "udp UNREPLIED");
        assert_eq!(top[0], ("tcp 10.0.0.1:80".to_owned(), 2));
    }
}
