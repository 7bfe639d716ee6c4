//! The kernel's counters of this network namespace, as values and as what they rose by.

mod parse;

use crate::files::text_or_empty;
use netwhy_model::host::CounterDelta;
pub use parse::{parse_cpu_table, parse_pairs, parse_single, parse_softnet};
use std::collections::BTreeMap;

/// The files read: path below /proc, how it is laid out, and the group its names get.
const FILES: [(&str, Layout); 9] = [
    ("/proc/thread-self/net/netstat", Layout::Pairs),
    ("/proc/thread-self/net/snmp", Layout::Pairs),
    ("/proc/thread-self/net/snmp6", Layout::Single("")),
    ("/proc/thread-self/net/xfrm_stat", Layout::Single("Xfrm")),
    ("/proc/thread-self/net/softnet_stat", Layout::Softnet),
    ("/proc/thread-self/net/stat/nf_conntrack", Layout::PerCpu("Conntrack")),
    ("/proc/thread-self/net/stat/synproxy", Layout::PerCpu("Synproxy")),
    ("/proc/thread-self/net/stat/arp_cache", Layout::PerCpu("ArpCache")),
    ("/proc/thread-self/net/stat/ndisc_cache", Layout::PerCpu("NdiscCache")),
];
/// Counters kept; the kernel has about 600.
pub(crate) const COUNTER_COUNT_MAX: usize = 8_192;

#[derive(Debug, Clone, Copy)]
enum Layout {
    /// A line of names, a line of numbers.
    Pairs,
    /// A name and a number per line; the group when the names do not carry it.
    Single(&'static str),
    /// One line per CPU, hexadecimal, without names.
    Softnet,
    /// One line of names, then one per CPU, hexadecimal.
    PerCpu(&'static str),
}

/// One reading of all counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    values: BTreeMap<String, (u64, &'static str)>,
}

impl Counters {
    /// The value of `TcpExt.ListenOverflows`; 0 when this kernel does not have it.
    pub fn get(&self, name: &str) -> u64 {
        self.values.get(name).map_or(0, |(value, _)| *value)
    }

    /// Whether this kernel has the counter.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The file a counter was read from; empty when unknown.
    pub fn from(&self, name: &str) -> &'static str {
        self.values.get(name).map_or("", |(_, from)| from)
    }

    /// Every name, value and file, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64, &'static str)> {
        self.values.iter().map(|(name, (value, from))| (name.as_str(), *value, *from))
    }

    /// Every counter that rose since an earlier reading.
    pub fn since(&self, before: &Counters) -> Vec<CounterDelta> {
        self.iter()
            .filter(|(name, value, _)| *value > before.get(name))
            .map(|(name, value, from)| CounterDelta {
                name: name.to_owned(),
                before: before.get(name),
                after: value,
                from: from.to_owned(),
            })
            .collect()
    }

    fn add(&mut self, pairs: Vec<(String, u64)>, from: &'static str) {
        for (name, value) in pairs {
            if self.values.len() < COUNTER_COUNT_MAX {
                self.values.insert(name, (value, from));
            }
        }
    }
}

/// Reads every counter of the calling thread's network namespace; files that are absent are left out.
///
/// `Softnet.*` and `Vm.*` are the whole machine's.
pub fn read() -> Counters {
    let mut counters = Counters::default();
    for (path, layout) in FILES {
        let text = text_or_empty(path);
        let pairs = match layout {
            Layout::Pairs => parse_pairs(&text),
            Layout::Single(group) => parse_single(&text, group),
            Layout::Softnet => parse_softnet(&text),
            Layout::PerCpu(group) => parse_cpu_table(&text, group),
        };
        counters.add(pairs, path);
    }
    let memory = parse_single(&text_or_empty("/proc/vmstat"), "Vm");
    counters.add(memory.into_iter().filter(|(name, _)| name == "Vm.oom_kill").collect(), "/proc/vmstat");
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_counts() {
        let counters = read();
        assert!(counters.has("TcpExt.ListenOverflows"));
        assert!(counters.has("Ip.OutNoRoutes"));
        assert_eq!(counters.from("Ip.OutNoRoutes"), "/proc/thread-self/net/snmp");
        assert!(counters.since(&counters).is_empty());
    }

    #[test]
    fn only_what_rose_is_told() {
        let (mut before, mut after) = (Counters::default(), Counters::default());
        before.add(vec![("Tcp.OutRsts".into(), 5), ("Tcp.InErrs".into(), 9)], "f");
        after.add(vec![("Tcp.OutRsts".into(), 8), ("Tcp.InErrs".into(), 2)], "f");
        let rose = after.since(&before);
        assert_eq!(rose.len(), 1);
        assert_eq!((rose[0].name.as_str(), rose[0].rose()), ("Tcp.OutRsts", 3));
    }
}
