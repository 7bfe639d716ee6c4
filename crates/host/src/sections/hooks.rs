//! What decides over packets and clients beside the firewall's rules: IPsec, tc and XDP, libwrap, raw sockets.

use super::{Said, reading, section};
use crate::files::{Gaps, text_or_empty};
use crate::network::policies;
use netwhy_model::host::{Interface, Process, Reading, Ruleset, Section, State};
use std::collections::{BTreeMap, BTreeSet};

/// Rules of libwrap shown.
const WRAPPER_COUNT_MAX: usize = 32;
/// Raw sockets whose process is looked for.
const RAW_COUNT_MAX: usize = 256;
/// Lines read of a file.
const LINE_COUNT_MAX: usize = 10_000;

/// Rules of hosts.allow and hosts.deny that are in force (hosts_access(5)).
pub fn parse_wrappers(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    joined
        .lines()
        .take(LINE_COUNT_MAX)
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#') && line.contains(':'))
        .take(WRAPPER_COUNT_MAX)
        .map(str::to_owned)
        .collect()
}

/// Inodes of raw and packet sockets: /proc/net/raw, raw6 (column 10) and packet (column 9).
pub fn parse_raw_inodes(text: &str, column: usize) -> Vec<u64> {
    text.lines()
        .skip(1)
        .take(RAW_COUNT_MAX)
        .filter_map(|line| line.split_whitespace().nth(column - 1)?.parse().ok())
        .collect()
}

/// Inodes of this namespace's raw and packet sockets.
pub(crate) fn raw_inodes() -> BTreeSet<u64> {
    [("raw", 10), ("raw6", 10), ("packet", 9)]
        .into_iter()
        .flat_map(|(name, column)| {
            parse_raw_inodes(&text_or_empty(format!("/proc/thread-self/net/{name}")), column)
        })
        .collect()
}

/// Builds the section.
pub(crate) fn read(
    interfaces: &[Interface],
    ruleset: &Ruleset,
    raw: &BTreeMap<u64, Vec<u32>>,
    processes: &[Process],
    gaps: &mut Gaps,
) -> Section {
    let mut readings = Vec::new();
    let has_program = |hooks: &[String]| hooks.iter().any(|hook| hook != "clsact" && hook != "ingress");
    for interface in interfaces.iter().filter(|interface| has_program(&interface.hooks)) {
        readings.push(reading(format!("{} hooks", interface.name), interface.hooks.join("; "), "rtnetlink").said(
            State::Odd,
            "programs and filters that see packets outside of the firewall: iptables and nft list do not show them",
            "在防火墙之外处理报文的程序和过滤器，iptables 与 nft 列表中看不到",
        ));
    }
    let (policies, associations) = policies(gaps);
    for policy in policies {
        let one = reading("IPsec policy", policy.text, "XFRM netlink");
        readings.push(if policy.blocks {
            one.said(State::Odd, "packets it covers are dropped", "匹配的报文被丢弃")
        } else if associations == 0 {
            one.said(
                State::Odd,
                "no security association exists: packets it covers are dropped",
                "没有任何安全联盟：匹配的报文被丢弃",
            )
        } else {
            one
        });
    }
    for path in ["/etc/hosts.deny", "/etc/hosts.allow"] {
        for rule in parse_wrappers(&gaps.text(path)) {
            let one = reading(path.trim_start_matches("/etc/"), rule, path);
            readings.push(if path.ends_with("deny") {
                one.said(
                    State::Odd,
                    "programs built with libwrap (often sshd) refuse these clients",
                    "使用 libwrap 的程序（常见为 sshd）会拒绝这些客户端",
                )
            } else {
                one
            });
        }
    }
    readings.extend(ruleset.sets.iter().filter(|set| set.dynamic && set.count > 0).map(|set| {
        reading(format!("set {} {} {}", set.family, set.table, set.name), set.count, "nf_tables netlink")
            .unit("entries")
            .said(
                State::Well,
                "entries come and go by themselves, as bans do",
                "条目会自动增减，类似封禁名单",
            )
    }));
    readings.extend(raw_holders(raw, processes));
    section("hooks", "Beside the firewall", "防火墙之外", readings)
}

fn raw_holders(raw: &BTreeMap<u64, Vec<u32>>, processes: &[Process]) -> Vec<Reading> {
    let pids: BTreeSet<u32> =
        raw.values().flatten().copied().filter(|pid| *pid != std::process::id()).collect();
    pids.into_iter()
        .map(|pid| {
            let name = processes
                .iter()
                .find(|process| process.pid == pid)
                .map_or("", |process| process.name.as_str());
            reading("raw socket", format!("{name} ({pid})"), "/proc/net/raw, /proc/net/packet")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rules_of_libwrap_are_read() {
        let text = "# comment: no\n\nsshd: 10.0.0.0/8 \\\n 192.0.2.1\nALL: PARANOID\n";
        assert_eq!(parse_wrappers(text), ["sshd: 10.0.0.0/8   192.0.2.1", "ALL: PARANOID"]);
    }

    #[test]
    fn raw_sockets_are_read() {
        let raw = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n   1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 0\n";
        assert_eq!(parse_raw_inodes(raw, 10), [4_711]);
        let packet = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n0000000000000000 3      3    0003   2     1 0      0      815\n";
        assert_eq!(parse_raw_inodes(packet, 9), [815]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,120}") {
            let _ = parse_wrappers(&text);
            let _ = parse_raw_inodes(&text, 10);
        }
    }
}
