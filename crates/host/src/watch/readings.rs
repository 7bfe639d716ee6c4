//! Settings, limits and pressures that matter to a connection, as `netwhy host` reads them too.

use crate::files::{Gaps, number, text, text_or_empty};
use crate::network::Network;
use crate::sections::{self, Said, reading};
use netwhy_model::host::{Process, Reading};

/// Settings beside those of a snapshot's own section.
const SETTINGS: [&str; 7] = [
    "net.core.somaxconn",
    "net.core.netdev_max_backlog",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.forwarding",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_loose",
    "net.netfilter.nf_conntrack_tcp_be_liberal",
];
/// Settings of each interface.
const INTERFACE_SETTINGS: [&str; 2] = ["arp_ignore", "forwarding"];
/// Interfaces whose settings are read.
const INTERFACE_COUNT_MAX: usize = 64;

/// Processor time of the machine so far: busy and in all, in clock ticks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Processor {
    busy: u64,
    all: u64,
}

/// Reads what holds in the calling thread's network namespace, and for the processes behind the port.
pub(super) fn read(
    network: &Network,
    processes: &[Process],
    before: Processor,
    gaps: &mut Gaps,
) -> Vec<Reading> {
    let mut all: Vec<Reading> = SETTINGS.iter().filter_map(|name| setting(name)).collect();
    let shown = |reading: &Reading| !SETTINGS.contains(&reading.name.as_str());
    all.extend(sections::settings::read(network, gaps).readings.into_iter().filter(shown));
    for interface in network.interfaces.iter().take(INTERFACE_COUNT_MAX) {
        all.extend(INTERFACE_SETTINGS.iter().filter_map(|name| interface_setting(&interface.name, name)));
    }
    all.extend(sections::limits::system_files(&text_or_empty("/proc/sys/fs/file-nr")));
    all.extend(sections::limits::tcp_memory(
        &text_or_empty("/proc/thread-self/net/sockstat"),
        &text_or_empty("/proc/sys/net/ipv4/tcp_mem"),
        crate::processes::page_bytes(),
    ));
    all.extend(sections::pressure::read(gaps).readings);
    all.extend(processor_share(before));
    all.extend(sections::disks::read(processes, &[], gaps));
    all.extend(sections::cgroups::find(processes).readings(false));
    all
}

/// Reads how much processor time was used until now.
pub(super) fn processor() -> Processor {
    parse_processor(&text_or_empty("/proc/stat")).unwrap_or_default()
}

/// Whether this host passes on packets of others: IPv4, IPv6.
pub(super) fn forwards() -> (bool, bool) {
    let on = |path: &str| number(path).is_some_and(|value| value != 0);
    (on("/proc/sys/net/ipv4/ip_forward"), on("/proc/sys/net/ipv6/conf/all/forwarding"))
}

fn setting(name: &str) -> Option<Reading> {
    let path = sections::settings::path(name);
    let value = text(&path).ok()?;
    Some(reading(name, value.trim().replace('\t', " "), path))
}

fn interface_setting(interface: &str, name: &str) -> Option<Reading> {
    // An interface's name may hold dots, and could hold what leads elsewhere.
    if interface.contains('/') || interface == ".." {
        return None;
    }
    let path = format!("/proc/sys/net/ipv4/conf/{interface}/{name}");
    let value = text(&path).ok()?;
    Some(reading(format!("net.ipv4.conf.{interface}.{name}"), value.trim(), path))
}

/// Share of the processors used during the watch.
fn processor_share(before: Processor) -> Option<Reading> {
    let now = processor();
    let all = now.all.checked_sub(before.all).filter(|all| *all > 0 && before.all > 0)?;
    let share = now.busy.saturating_sub(before.busy) as f64 * 100.0 / all as f64;
    Some(reading("cpu busy", format!("{share:.1}"), "/proc/stat").unit("%"))
}

/// The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.
fn parse_processor(text: &str) -> Option<Processor> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().take(8).filter_map(|word| word.parse().ok()).collect();
    let all = ticks.iter().fold(0_u64, |sum, part| sum.saturating_add(*part));
    let idle = ticks.get(3)?.saturating_add(*ticks.get(4).unwrap_or(&0));
    Some(Processor { busy: all.saturating_sub(idle), all })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn settings_limits_and_pressures_are_read() {
        let mut gaps = Gaps::default();
        let network = crate::network::read(&mut gaps);
        let all = read(&network, &[], Processor { busy: 0, all: 1 }, &mut gaps);
        let names = [
            "net.ipv4.ip_default_ttl",
            "net.ipv4.tcp_max_syn_backlog",
            "net.core.somaxconn",
            "net.ipv4.conf.lo.rp_filter",
            "net.ipv4.conf.lo.arp_ignore",
            "cpu busy",
        ];
        for name in names {
            let found: Vec<&Reading> = all.iter().filter(|reading| reading.name == name).collect();
            assert!(
                matches!(found.as_slice(), [one] if !one.value.is_empty() && !one.from.is_empty()),
                "{name}"
            );
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
