//! The layouts of the kernel's counter files. Pure; takes any text.

use super::COUNTER_COUNT_MAX;
use std::collections::BTreeMap;

/// Names of the columns of /proc/net/softnet_stat that tell of packets (net/core/net-procfs.c).
const SOFTNET_COLUMNS: [(usize, &str); 4] =
    [(0, "processed"), (1, "dropped"), (2, "time_squeeze"), (10, "flow_limit")];
/// CPUs told apart.
const CPU_COUNT_MAX: usize = 1_024;
/// Columns of a per-CPU table that are not sums over CPUs: every line has the same.
const SHARED_COLUMNS: [&str; 1] = ["entries"];
/// Groups of /proc/net/snmp6, the longest that fits first.
const SNMP6_GROUPS: [&str; 4] = ["UdpLite6", "Icmp6", "Udp6", "Ip6"];

/// Reads /proc/net/snmp and netstat: a line of names, then a line of numbers, both behind `Group:`.
///
/// Negative numbers (`MaxConn: -1`) are left out.
pub fn parse_pairs(text: &str) -> Vec<(String, u64)> {
    let mut pairs = Vec::new();
    let mut names: Option<(&str, &str)> = None;
    for line in text.lines() {
        let Some((group, rest)) = line.split_once(':') else { continue };
        match names.take() {
            Some((named, titles)) if named == group => {
                for (name, number) in titles.split_whitespace().zip(rest.split_whitespace()) {
                    if let Ok(value) = number.parse() {
                        pairs.push((format!("{group}.{name}"), value));
                    }
                    if pairs.len() >= COUNTER_COUNT_MAX {
                        return pairs;
                    }
                }
            }
            _ => names = Some((group, rest)),
        }
    }
    pairs
}

/// Reads /proc/net/snmp6, xfrm_stat and vmstat: one name and number per line.
///
/// Without a group the names carry it: `Udp6InErrors` becomes `Udp6.InErrors`.
pub fn parse_single(text: &str, group: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, value) = (words.next()?, words.next()?.parse().ok()?);
            if !group.is_empty() {
                return Some((format!("{group}.{name}"), value));
            }
            let own = SNMP6_GROUPS.iter().find(|own| name.starts_with(**own))?;
            Some((format!("{own}.{}", name.get(own.len()..)?), value))
        })
        .take(COUNTER_COUNT_MAX)
        .collect()
}

/// Reads /proc/net/softnet_stat: `Softnet.dropped` over all CPUs, and `Softnet.cpu3.dropped` each.
pub fn parse_softnet(text: &str) -> Vec<(String, u64)> {
    let mut sums = BTreeMap::<String, u64>::new();
    for (line_number, line) in text.lines().enumerate().take(CPU_COUNT_MAX) {
        let columns: Vec<u64> = line.split_whitespace().map_while(hexadecimal).collect();
        // Newer kernels say in column 12 which CPU the line is of: offline ones are left out.
        let cpu = columns.get(12).copied().unwrap_or(line_number as u64);
        for (column, name) in SOFTNET_COLUMNS {
            let Some(value) = columns.get(column) else { continue };
            add(&mut sums, format!("Softnet.{name}"), *value);
            if column != 0 && cpu < CPU_COUNT_MAX as u64 {
                add(&mut sums, format!("Softnet.cpu{cpu}.{name}"), *value);
            }
        }
    }
    sums.into_iter().collect()
}

/// Reads the tables of /proc/net/stat: names once, then a hexadecimal line per CPU; summed.
pub fn parse_cpu_table(text: &str, group: &str) -> Vec<(String, u64)> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().take(64).collect();
    let mut sums = BTreeMap::new();
    for line in lines.take(CPU_COUNT_MAX) {
        for (name, value) in names.iter().zip(line.split_whitespace().map_while(hexadecimal)) {
            let title = format!("{group}.{name}");
            if SHARED_COLUMNS.contains(name) {
                sums.insert(title, value);
            } else {
                add(&mut sums, title, value);
            }
        }
    }
    sums.into_iter().collect()
}

fn add(sums: &mut BTreeMap<String, u64>, name: String, value: u64) {
    let sum = sums.entry(name).or_default();
    *sum = sum.saturating_add(value);
}

fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get(pairs: &[(String, u64)], name: &str) -> Option<u64> {
        pairs.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    #[test]
    fn pairs_survive_a_missing_line() {
        let text = "TcpExt: A B\nIpExt: C D\nIpExt: 3 4\nTcp: MaxConn X\nTcp: -1 7\n";
        let pairs = parse_pairs(text);
        assert_eq!(get(&pairs, "IpExt.D"), Some(4));
        assert_eq!(get(&pairs, "Tcp.X"), Some(7));
        assert_eq!(get(&pairs, "Tcp.MaxConn"), None);
        assert_eq!(get(&pairs, "TcpExt.A"), None);
    }

    #[test]
    fn names_get_their_group() {
        let pairs = parse_single("Udp6InErrors 4\nIp6OutNoRoutes\t2\nnothing\n", "");
        assert_eq!(get(&pairs, "Udp6.InErrors"), Some(4));
        assert_eq!(get(&pairs, "Ip6.OutNoRoutes"), Some(2));
        assert_eq!(parse_single("XfrmInNoPols 1", "Xfrm"), [("Xfrm.XfrmInNoPols".to_owned(), 1)]);
    }

    #[test]
    fn softnet_counts_each_cpu() {
        let line = |dropped: &str, cpu: &str| {
            format!("0000000e {dropped} 00000002 0 0 0 0 0 0 0 00000000 0 {cpu} 0 0\n")
        };
        let pairs =
            parse_softnet(&format!("{}{}", line("0000000a", "00000000"), line("00000001", "00000003")));
        assert_eq!(get(&pairs, "Softnet.dropped"), Some(11));
        assert_eq!(get(&pairs, "Softnet.cpu3.dropped"), Some(1));
        assert_eq!(get(&pairs, "Softnet.time_squeeze"), Some(4));
    }

    #[test]
    fn entries_are_not_summed() {
        let pairs = parse_cpu_table("entries drop\n00000010 00000001\n00000010 00000002\n", "Conntrack");
        assert_eq!(get(&pairs, "Conntrack.entries"), Some(16));
        assert_eq!(get(&pairs, "Conntrack.drop"), Some(3));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[ -~\n\t]{0,400}|(?s).{0,200}") {
            let _ = parse_pairs(&text);
            let _ = parse_single(&text, "");
            let _ = parse_softnet(&text);
            let _ = parse_cpu_table(&text, "X");
        }
    }
}
