//! Limits of the system and of each process that serves, and how close they are.

use super::{Said, fill, percent, reading, section};
use crate::files::{Gaps, number, text_or_empty};
use crate::network::Network;
use netwhy_model::host::{Conntrack, PortDemand, Process, Reading, Section, State};

/// Processes named.
const PROCESS_COUNT_MAX: usize = 48;
/// One tracked connection takes about so much of kernel memory, in bytes.
const CONNTRACK_ENTRY_BYTES: u64 = 320;

const TIMEOUTS: &[&str] = &[
    "nf_conntrack_tcp_timeout_established",
    "nf_conntrack_tcp_timeout_time_wait",
    "nf_conntrack_tcp_timeout_close_wait",
    "nf_conntrack_tcp_timeout_syn_recv",
    "nf_conntrack_udp_timeout",
    "nf_conntrack_udp_timeout_stream",
    "nf_conntrack_buckets",
    "nf_conntrack_tcp_be_liberal",
    "nf_conntrack_tcp_loose",
];

/// Builds the section. The readings of disks and control groups come from their own readers.
pub(crate) fn read(
    processes: &[Process],
    demands: &[PortDemand],
    conntrack: Option<&Conntrack>,
    network: &Network,
    others: Vec<Reading>,
    gaps: &mut Gaps,
) -> Section {
    let mut readings = Vec::new();
    readings.extend(system_files(&gaps.text("/proc/sys/fs/file-nr")));
    readings.extend(tcp_memory(
        &text_or_empty("/proc/thread-self/net/sockstat"),
        &text_or_empty("/proc/sys/net/ipv4/tcp_mem"),
        crate::processes::page_bytes(),
    ));
    readings.extend(neighbours(network));
    readings.extend(process_ids());
    readings.extend(conntrack.into_iter().flat_map(tracked));
    readings.extend(demands.iter().map(demand));
    readings.extend(process_files(processes));
    readings.extend(others);
    section("limits", "Limits", "资源上限", readings)
}

/// /proc/sys/fs/file-nr: used, free (always 0), limit.
pub(crate) fn system_files(text: &str) -> Option<Reading> {
    let mut numbers = text.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
    let (used, _, limit) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let one = reading("open files of the system", used, "/proc/sys/fs/file-nr").unit("files").limit(limit);
    Some(Reading { state: fill(used, limit), ..one })
}

/// TCP's memory in pages against its three marks, and orphans against theirs.
pub(crate) fn tcp_memory(sockstat: &str, marks: &str, page_bytes: u64) -> Vec<Reading> {
    let field = |name: &str| {
        let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP: "))?;
        let mut words = line.split_whitespace();
        words.find(|word| *word == name)?;
        words.next()?.parse::<u64>().ok()
    };
    let marks: Vec<u64> = marks.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let mut readings = Vec::new();
    if let (Some(used), [_, pressure, limit]) = (field("mem"), marks.as_slice()) {
        let one =
            reading("TCP memory", used.saturating_mul(page_bytes), "/proc/net/sockstat and net.ipv4.tcp_mem")
                .unit("bytes")
                .limit(limit.saturating_mul(page_bytes));
        readings.push(if used >= *limit {
            one.said(
                State::Bad,
                "at the limit: connections are aborted and segments dropped",
                "达到上限：连接被中止、报文被丢弃",
            )
        } else if used >= *pressure {
            one.said(State::Odd, "past the pressure mark: buffers shrink", "超过紧张阈值：缓冲区被压缩")
        } else {
            one
        });
    }
    if let (Some(used), Some(limit)) = (field("orphan"), number("/proc/sys/net/ipv4/tcp_max_orphans")) {
        let one = reading("orphaned TCP sockets", used, "/proc/net/sockstat").unit("sockets").limit(limit);
        readings.push(Reading { state: fill(used, limit), ..one });
    }
    if let (Some(used), Some(limit)) = (field("tw"), number("/proc/sys/net/ipv4/tcp_max_tw_buckets")) {
        let one = reading("TIME_WAIT sockets", used, "/proc/net/sockstat").unit("sockets").limit(limit);
        readings.push(Reading { state: fill(used, limit), ..one });
    }
    readings
}

fn neighbours(network: &Network) -> Vec<Reading> {
    let (v4, v6) = network.neighbour_counts;
    [(v4, "ipv4", "IPv4 neighbours"), (v6, "ipv6", "IPv6 neighbours")]
        .into_iter()
        .filter_map(|(used, family, name)| {
            // Only the first network namespace has the file; the table is one for all.
            let path = format!("/proc/sys/net/{family}/neigh/default/gc_thresh3");
            let limit = number(&path)?;
            let one = reading(name, used, format!("rtnetlink RTM_GETNEIGH and {path}"))
                .unit("entries")
                .limit(limit);
            Some(Reading { state: fill(used, limit), ..one })
        })
        .collect()
}

/// Tasks of the whole machine, from /proc/loadavg: `0.1 0.2 0.3 2/345 678`.
fn process_ids() -> Option<Reading> {
    let text = text_or_empty("/proc/loadavg");
    let used: u64 = text.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()?;
    let most = [number("/proc/sys/kernel/pid_max"), number("/proc/sys/kernel/threads-max")];
    let limit = most.into_iter().flatten().min()?;
    let one = reading("tasks", used, "/proc/loadavg and kernel.pid_max, kernel.threads-max")
        .unit("tasks")
        .limit(limit);
    Some(Reading { state: fill(used, limit), ..one })
}

fn tracked(conntrack: &Conntrack) -> Vec<Reading> {
    let from = if conntrack.from.is_empty() { "ctnetlink" } else { &conntrack.from };
    let mut readings = Vec::new();
    if conntrack.max > 0 {
        let one = reading("tracked connections", conntrack.count, from).unit("entries").limit(conntrack.max);
        readings.push(match fill(conntrack.count, conntrack.max) {
            State::Bad => one.said(
                State::Bad,
                "the table is full: new connections are dropped",
                "连接跟踪表已满：新连接被丢弃",
            ),
            State::Odd => one.said(State::Odd, "the table fills up", "连接跟踪表接近上限"),
            State::Well => one,
        });
        let bytes = conntrack.count.saturating_mul(CONNTRACK_ENTRY_BYTES);
        let total = memory_total();
        readings.push(
            reading("conntrack memory", bytes, format!("{from}, about {CONNTRACK_ENTRY_BYTES} bytes each"))
                .unit("bytes")
                .limit(total),
        );
    }
    for name in TIMEOUTS {
        let path = format!("/proc/sys/net/netfilter/{name}");
        if let Some(value) = number(&path) {
            let unit = if name.contains("timeout") { "s" } else { "" };
            readings.push(reading(format!("net.netfilter.{name}"), value, path).unit(unit));
        }
    }
    readings
}

/// MemTotal of /proc/meminfo in bytes.
pub(crate) fn memory_total() -> u64 {
    super::pressure::meminfo(&text_or_empty("/proc/meminfo"), "MemTotal").unwrap_or(0)
}

fn demand(demand: &PortDemand) -> Reading {
    let from = format!("sock_diag, {}", crate::sockets::PortRange::FROM);
    let one = reading(format!("local ports {} to {}", demand.from, demand.to), demand.used, from)
        .unit("ports")
        .limit(demand.range);
    match fill(demand.used, demand.range) {
        State::Well => one,
        state => one.said(
            state,
            format!("few local ports are left to this destination; {} wait in TIME_WAIT", demand.time_wait),
            format!("到该目标的本地端口所剩不多，其中 {} 个处于 TIME_WAIT", demand.time_wait),
        ),
    }
}

fn process_files(processes: &[Process]) -> Vec<Reading> {
    let mut all: Vec<(u64, u64, &Process)> = processes
        .iter()
        .filter_map(|process| Some((process.files_open?, process.files_max?, process)))
        .collect();
    all.sort_by_key(|(used, limit, process)| (std::cmp::Reverse(percent(*used, *limit)), process.pid));
    all.into_iter()
        .take(PROCESS_COUNT_MAX)
        .map(|(used, limit, process)| {
            let from = format!("/proc/{0}/fd and /proc/{0}/limits", process.pid);
            let one = reading(format!("open files of {} ({})", process.name, process.pid), used, from)
                .unit("files")
                .limit(limit);
            match fill(used, limit) {
                State::Bad => one.said(
                    State::Bad,
                    "out of descriptors: accept and connect fail",
                    "描述符耗尽：accept 与 connect 会失败",
                ),
                state => Reading { state, ..one },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tcp_memory_is_judged_by_its_marks() {
        let sockstat = "sockets: used 19\nTCP: inuse 1 orphan 3 tw 0 alloc 1 mem 250\nUDP: inuse 0 mem 0\n";
        let state = |marks: &str| tcp_memory(sockstat, marks, 4_096)[0].state;
        assert_eq!(state("100 300 400"), State::Well);
        assert_eq!(state("100 200 400"), State::Odd);
        assert_eq!(state("100 200 250"), State::Bad);
        assert!(tcp_memory(sockstat, "", 4_096).iter().all(|one| one.name != "TCP memory"));
    }

    #[test]
    fn a_process_at_its_limit_is_bad() {
        let process = Process {
            pid: 7,
            name: "web".into(),
            files_open: Some(1_020),
            files_max: Some(1_024),
            ..Process::default()
        };
        let readings = process_files(&[process]);
        assert_eq!((readings[0].state, readings[0].limit.as_deref()), (State::Bad, Some("1024")));
    }

    #[test]
    fn this_system_has_limits() {
        assert!(system_files(&text_or_empty("/proc/sys/fs/file-nr")).is_some());
        assert!(process_ids().is_some());
        assert!(memory_total() > 0);
    }

    proptest! {
        #[test]
        fn any_text_is_read(a in "([A-Z:a-z 0-9\n]{0,80}|(?s).{0,80})", b in "(?s).{0,40}") {
            let _ = tcp_memory(&a, &b, 4_096);
            let _ = system_files(&a);
        }
    }
}
