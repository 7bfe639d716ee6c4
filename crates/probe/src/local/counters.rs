//! The kernel's own counters that tell of packets it threw away.

use std::collections::BTreeMap;

/// Counters of interest, by `Group.Name`.
const WANTED: [&str; 10] = [
    "Tcp.InErrs",
    "Tcp.InCsumErrors",
    "Udp.InCsumErrors",
    "Icmp.InCsumErrors",
    "Icmp6.InCsumErrors",
    "Udp6.InCsumErrors",
    "Ip.InHdrErrors",
    "TcpExt.IPReversePathFilter",
    "IpExt.InCsumErrors",
    "TcpExt.TCPMD5Failure",
];

/// One reading, or the difference of two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counters(BTreeMap<&'static str, u64>);

impl Counters {
    /// Reads /proc/net/snmp, snmp6 and netstat; what is not there counts 0.
    pub(crate) fn read() -> Counters {
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        let mut counters = Counters::default();
        counters.paired(&text("/proc/net/snmp"));
        counters.paired(&text("/proc/net/netstat"));
        counters.single(&text("/proc/net/snmp6"));
        counters
    }

    /// What was counted since an earlier reading.
    pub(crate) fn since(&self, before: &Counters) -> Counters {
        Counters(self.0.iter().map(|(name, now)| (*name, now.saturating_sub(before.get(name)))).collect())
    }

    pub(crate) fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Packets that came with a wrong checksum, over all protocols.
    pub(crate) fn bad_checksums(&self) -> u64 {
        self.0.iter().filter(|(name, _)| name.ends_with("CsumErrors")).map(|(_, count)| count).sum()
    }

    /// Lines in pairs: names, then numbers.
    fn paired(&mut self, text: &str) {
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.chunks_exact(2) {
            let (Some((group, names)), Some((_, numbers))) =
                (pair[0].split_once(':'), pair[1].split_once(':'))
            else {
                continue;
            };
            for (name, number) in names.split_whitespace().zip(numbers.split_whitespace()) {
                self.add(&format!("{group}.{name}"), number);
            }
        }
    }

    /// One name and number a line, such as `Udp6InCsumErrors 0`.
    fn single(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(name), Some(number)) = (words.next(), words.next()) else { continue };
            for group in ["Udp6", "Icmp6"] {
                if let Some(rest) = name.strip_prefix(group) {
                    self.add(&format!("{group}.{rest}"), number);
                }
            }
        }
    }

    fn add(&mut self, name: &str, number: &str) {
        if let (Some(known), Ok(number)) = (WANTED.iter().find(|w| **w == name), number.parse::<u64>()) {
            self.0.insert(known, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_shapes() {
        let mut counters = Counters::default();
        counters.paired("Tcp: A InErrs InCsumErrors\nTcp: 1 2 3\nUdp: InCsumErrors\nUdp: x\n");
        counters.single("Udp6InCsumErrors                 4\nIp6InReceives 9\n");
        assert_eq!(counters.get("Tcp.InCsumErrors"), 3);
        assert_eq!(counters.bad_checksums(), 7);
        assert_eq!(counters.since(&counters).bad_checksums(), 0);
    }
}
