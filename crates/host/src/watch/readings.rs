//! Settings and pressures that matter to a connection.

use crate::files::{number, text, text_or_empty};
use netwhy_model::Text;
use netwhy_model::host::{Process, Reading, State};
use nix::sys::statvfs::statvfs;
use std::collections::BTreeSet;

/// Settings read, by name.
const SETTINGS: [&str; 27] = [
    "net.ipv4.ip_default_ttl",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_synack_retries",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_rfc1337",
    "net.ipv4.tcp_ecn",
    "net.ipv4.tcp_mtu_probing",
    "net.ipv4.icmp_echo_ignore_all",
    "net.ipv4.icmp_ratelimit",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.arp_filter",
    "net.ipv4.conf.all.accept_local",
    "net.ipv4.conf.all.route_localnet",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.all.forwarding",
    "net.core.somaxconn",
    "net.core.netdev_max_backlog",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_loose",
    "net.netfilter.nf_conntrack_tcp_be_liberal",
];
/// Settings of each interface.
const INTERFACE_SETTINGS: [&str; 3] = ["rp_filter", "arp_ignore", "forwarding"];
/// Interfaces whose settings are read.
const INTERFACE_COUNT_MAX: usize = 64;
/// File systems looked at.
const DISK_COUNT_MAX: usize = 16;
/// Processes whose directories are looked at.
const PROCESS_COUNT_MAX: usize = 16;
/// A file system with so little left cannot take a log line, in percent.
const DISK_FULL_PERCENT: f64 = 99.5;
/// Share of ten seconds in which somebody waited, from which on it is worth a look, in percent.
const PRESSURE_ODD_PERCENT: f64 = 40.0;

/// Processor time of the machine so far: busy and in all, in clock ticks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Processor {
    busy: u64,
    all: u64,
}

/// Reads the settings of the calling thread's network namespace and the machine's pressures.
pub(super) fn read(interfaces: &[String], processes: &[Process], before: Processor) -> Vec<Reading> {
    let mut all: Vec<Reading> = SETTINGS.iter().filter_map(|name| setting(name)).collect();
    for interface in interfaces.iter().take(INTERFACE_COUNT_MAX).filter(|name| !name.contains('/')) {
        all.extend(INTERFACE_SETTINGS.iter().filter_map(|name| interface_setting(interface, name)));
    }
    all.extend(memory_of_tcp());
    all.extend(files_of_system());
    all.extend(["cpu", "memory", "io"].into_iter().filter_map(pressure));
    all.extend(processor_share(before));
    all.extend(disks(processes));
    all
}

/// Reads how much processor time was used until now.
pub(super) fn processor() -> Processor {
    parse_processor(&text_or_empty("/proc/stat")).unwrap_or_default()
}

fn plain(name: impl Into<String>, value: impl Into<String>, unit: &str, from: impl Into<String>) -> Reading {
    Reading {
        name: name.into(),
        value: value.into(),
        unit: unit.to_owned(),
        limit: None,
        delta: None,
        from: from.into(),
        state: State::Well,
        note: None,
    }
}

fn setting(name: &str) -> Option<Reading> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let value = words(&text(&path).ok()?);
    Some(plain(name, value, "", path))
}

fn interface_setting(interface: &str, name: &str) -> Option<Reading> {
    // An interface's name may hold dots.
    let path = format!("/proc/sys/net/ipv4/conf/{interface}/{name}");
    let value = words(&text(&path).ok()?);
    Some(plain(format!("net.ipv4.conf.{interface}.{name}"), value, "", path))
}

fn words(text: &str) -> String {
    crate::text::printable(&text.split_whitespace().collect::<Vec<_>>().join(" "), 100)
}

/// Memory of all TCP sockets against the limit from which on the kernel throws data away.
fn memory_of_tcp() -> Option<Reading> {
    let used = text_or_empty("/proc/thread-self/net/sockstat");
    let line = used.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut after = line.split_whitespace().skip_while(|word| *word != "mem");
    let pages: u64 = after.nth(1)?.parse().ok()?;
    let limits = text_or_empty("/proc/sys/net/ipv4/tcp_mem");
    let limit: u64 = limits.split_whitespace().nth(2)?.parse().ok()?;
    let mut reading = plain("tcp.memory", pages.to_string(), "pages", "/proc/net/sockstat, net.ipv4.tcp_mem");
    reading.limit = Some(limit.to_string());
    if pages >= limit {
        reading.state = State::Bad;
        reading.note = Some(note(
            "TCP is out of memory: data and new connections are thrown away",
            "TCP 内存已用尽:数据和新连接会被丢弃",
        ));
    }
    Some(reading)
}

fn files_of_system() -> Option<Reading> {
    let path = "/proc/sys/fs/file-nr";
    let text = text_or_empty(path);
    let mut numbers = text.split_whitespace();
    let (open, limit) = (numbers.next()?, numbers.nth(1)?);
    let mut reading = plain("fs.file-nr", open, "files", path);
    reading.limit = Some(limit.to_owned());
    Some(reading)
}

/// Share of the last ten seconds in which some task waited (PSI).
fn pressure(kind: &str) -> Option<Reading> {
    let path = format!("/proc/pressure/{kind}");
    let text = text(&path).ok()?;
    let value = text.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?;
    let share: f64 = value.parse().ok()?;
    let mut reading = plain(format!("pressure.{kind}.some.avg10"), format!("{share}"), "%", path);
    if share >= PRESSURE_ODD_PERCENT {
        reading.state = State::Odd;
        reading.note =
            Some(note("tasks wait for it a good part of the time", "任务有相当一部分时间在等待它"));
    }
    Some(reading)
}

/// Share of the processors used during the watch.
fn processor_share(before: Processor) -> Option<Reading> {
    let now = processor();
    let all = now.all.checked_sub(before.all).filter(|all| *all > 0 && before.all > 0)?;
    let share = now.busy.saturating_sub(before.busy) as f64 * 100.0 / all as f64;
    Some(plain("cpu.busy", format!("{share:.1}"), "%", "/proc/stat"))
}

/// The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.
fn parse_processor(text: &str) -> Option<Processor> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().take(8).filter_map(|word| word.parse().ok()).collect();
    let all = ticks.iter().fold(0_u64, |sum, part| sum.saturating_add(*part));
    let idle = ticks.get(3).copied()?.saturating_add(ticks.get(4).copied().unwrap_or(0));
    Some(Processor { busy: all.saturating_sub(idle), all })
}

/// How full the file systems are that the processes work in, and where logs and temporary files go.
fn disks(processes: &[Process]) -> Vec<Reading> {
    let mut places: Vec<String> = vec!["/".into(), "/tmp".into(), "/var/log".into()];
    for process in processes.iter().take(PROCESS_COUNT_MAX) {
        let pid = process.pid;
        places.extend(["cwd", "root", "root/tmp", "root/var/log"].map(|at| format!("/proc/{pid}/{at}")));
    }
    let mut known = BTreeSet::new();
    places.into_iter().filter_map(|place| disk(&place, &mut known)).take(DISK_COUNT_MAX).collect()
}

fn disk(place: &str, known: &mut BTreeSet<u64>) -> Option<Reading> {
    let device = std::os::linux::fs::MetadataExt::st_dev(&std::fs::metadata(place).ok()?);
    if !known.insert(device) {
        return None;
    }
    let space = statvfs(place).ok()?;
    let (all, free, files, files_free) = (
        space.blocks() as u64,
        space.blocks_available() as u64,
        space.files() as u64,
        space.files_available() as u64,
    );
    let used = |all: u64, free: u64| if all == 0 { 0.0 } else { 100.0 - free as f64 * 100.0 / all as f64 };
    let (blocks, inodes) = (used(all, free), used(files, files_free));
    let share = blocks.max(inodes);
    let mut reading = plain(format!("disk.{place}"), format!("{share:.1}"), "%", format!("statvfs {place}"));
    reading.limit = Some("100".to_owned());
    if share >= DISK_FULL_PERCENT {
        reading.state = State::Bad;
        reading.note = Some(if inodes > blocks {
            note("no inode is left on this file system", "该文件系统已没有可用的 inode")
        } else {
            note("this file system is full", "该文件系统已满")
        });
    }
    Some(reading)
}

/// Whether this host passes on packets of others, in either family.
pub(super) fn forwards() -> (bool, bool) {
    let on = |path: &str| number(path).is_some_and(|value| value != 0);
    (on("/proc/sys/net/ipv4/ip_forward"), on("/proc/sys/net/ipv6/conf/all/forwarding"))
}

fn note(en: &str, zh: &str) -> Text {
    Text { en: en.to_owned(), zh: zh.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn settings_and_pressures_are_read() {
        let before = Processor { busy: 0, all: 1 };
        let all = read(&["lo".to_owned()], &[], before);
        for name in [
            "net.ipv4.ip_default_ttl",
            "net.core.somaxconn",
            "net.ipv4.conf.lo.rp_filter",
            "tcp.memory",
            "cpu.busy",
            "disk./",
        ] {
            let reading = all.iter().find(|reading| reading.name == name);
            assert!(reading.is_some_and(|r| !r.value.is_empty() && !r.from.is_empty()), "{name}");
        }
    }

    #[test]
    fn idle_time_is_not_busy() {
        let read = parse_processor("cpu  10 0 20 60 10 0 0 0 0 0\n").unwrap();
        assert_eq!((read.busy, read.all), (30, 100));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(cpu [0-9 ]*)?\\PC*") {
            parse_processor(&text);
        }
    }
}
