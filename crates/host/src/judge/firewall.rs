//! Rules of the firewall and hooks beside it that stop packets.
//!
//! A firewall that drops is doing its work. Only what stops traffic of an own listener, or what leaves, is more
//! than a note.

use super::view::{View, rose};
use super::{Finding, Proven, finding};
use netwhy_model::host::{Hook, Interface, Match, Rule, RuleVerdict, Severity, State, Transport};
use std::collections::BTreeSet;

/// Rules told of per kind.
const RULE_COUNT_MAX: usize = 3;

pub(super) fn judge(view: &View, found: &mut Vec<Finding>) {
    for kind in KINDS {
        found.extend(of_kind(view, kind));
    }
    own_ports(view, found);
    bans(view, found);
    hooks(view, found);
    wrappers(view, found);
}

type Fits = fn(&Rule) -> bool;

/// What a stopping rule is taken for.
struct Kind {
    cause: &'static str,
    /// While its counter rises.
    severity: Severity,
    fits: Fits,
    en: &'static str,
    zh: &'static str,
}

const KINDS: &[Kind] = &[
    Kind {
        cause: "policy.hostfw.output",
        severity: Severity::Risk,
        fits: |rule| is_output(rule),
        en: "The firewall of this host stops packets that leave it.",
        zh: "本机防火墙拦截了发出的报文。",
    },
    Kind {
        cause: "policy.host.connection_limit",
        severity: Severity::Risk,
        fits: |rule| !is_output(rule) && has(rule, Match::ConnectionCount),
        en: "A limit on parallel connections refuses some.",
        zh: "并发连接数限制拒绝了部分连接。",
    },
    Kind {
        cause: "policy.host.syn_rate_limit",
        severity: Severity::Risk,
        fits: |rule| !is_output(rule) && has(rule, Match::Rate) && !has(rule, Match::ConnectionCount),
        en: "A limit on the rate of packets or connections drops some.",
        zh: "报文或新建连接的限速规则丢弃了部分流量。",
    },
    Kind {
        cause: "policy.host.source_banned",
        severity: Severity::Note,
        fits: |rule| !is_output(rule) && has(rule, Match::SourceBan),
        en: "Some source addresses are banned.",
        zh: "部分来源地址被封禁。",
    },
    Kind {
        cause: "policy.hostfw.input",
        severity: Severity::Note,
        fits: |rule| !is_output(rule) && is_plain(rule) && rule.verdict == RuleVerdict::Drop,
        en: "The firewall of this host drops packets that come in.",
        zh: "本机防火墙丢弃了进入的报文。",
    },
    Kind {
        cause: "tcp.refused.reset_by_host_fw",
        severity: Severity::Note,
        fits: |rule| !is_output(rule) && is_plain(rule) && rejects_with(rule, "reset"),
        en: "The firewall of this host answers some connections with a reset.",
        zh: "本机防火墙以 RST 拒绝部分连接。",
    },
    Kind {
        cause: "tcp.refused.icmp_reject",
        severity: Severity::Note,
        fits: |rule| !is_output(rule) && is_plain(rule) && rejects_with(rule, "icmp"),
        en: "The firewall of this host answers some connections with an ICMP error.",
        zh: "本机防火墙以 ICMP 错误拒绝部分连接。",
    },
];

fn has(rule: &Rule, kind: Match) -> bool {
    rule.matches.contains(&kind)
}

fn is_output(rule: &Rule) -> bool {
    matches!(rule.hook, Some(Hook::Output | Hook::Postrouting | Hook::Egress))
}

/// No ban, no limit.
fn is_plain(rule: &Rule) -> bool {
    ![Match::SourceBan, Match::Rate, Match::ConnectionCount].iter().any(|kind| has(rule, *kind))
}

fn rejects_with(rule: &Rule, word: &str) -> bool {
    matches!(&rule.verdict, RuleVerdict::Reject(how) if how.contains(word))
}

fn stops(rule: &Rule) -> bool {
    matches!(rule.verdict, RuleVerdict::Drop | RuleVerdict::Reject(_))
}

/// How much a rule's counter rose in the window; 0 without one.
fn rise(view: &View, rule: &Rule) -> u64 {
    let place = rule.place();
    view.section("rules").find(|reading| reading.name == place).map_or(0, rose)
}

fn of_kind(view: &View, kind: &Kind) -> Option<Finding> {
    let mut rules: Vec<(u64, u64, &Rule)> = view
        .snapshot
        .ruleset
        .rules
        .iter()
        .filter(|rule| stops(rule) && (kind.fits)(rule))
        .map(|rule| (rise(view, rule), rule.counter.map_or(0, |(packets, _)| packets), rule))
        .filter(|(rose, packets, _)| *rose > 0 || *packets > 0)
        .collect();
    rules.sort_by_key(|(rose, packets, _)| std::cmp::Reverse((*rose, *packets)));
    let (rose, ..) = rules.first()?;
    let severity = if *rose > 0 { kind.severity } else { Severity::Note };
    let window = view.snapshot.window_ms;
    Some(finding(kind.cause, severity, kind.en, kind.zh).proofs(rules.into_iter().take(RULE_COUNT_MAX).map(
        |(rose, packets, rule)| {
            let risen = if rose > 0 { format!(", +{rose} in {window} ms") } else { String::new() };
            format!("{}: {} ({packets} packets{risen})", rule.place(), rule.text)
        },
    )))
}

/// A rule that stops everybody's packets to a port this host listens on.
fn own_ports(view: &View, found: &mut Vec<Finding>) {
    let listening: BTreeSet<u16> = view
        .snapshot
        .listeners
        .iter()
        .filter(|l| l.transport == Transport::Tcp && !l.address.ip().is_loopback())
        .map(|l| l.address.port())
        .collect();
    let rules = &view.snapshot.ruleset.rules;
    for rule in
        rules.iter().filter(|rule| stops(rule) && rule.hook == Some(Hook::Input) && is_whole_port(rule))
    {
        let ports = destination_ports(&rule.text);
        let hit = listening
            .iter()
            .copied()
            .find(|port| ports.iter().any(|(first, last)| (*first..=*last).contains(port)));
        let Some(port) = hit else { continue };
        let earlier = rules.iter().any(|other| {
            other.chain == rule.chain
                && other.table == rule.table
                && (1..rule.position).contains(&other.position)
                && other.verdict == RuleVerdict::Accept
        });
        let rose = rise(view, rule);
        // An earlier accept mostly lets those pass who should; without one nobody does.
        let severity = if rose > 0 && !earlier { Severity::Risk } else { Severity::Note };
        let cause = match &rule.verdict {
            RuleVerdict::Reject(how) if how.contains("reset") => "tcp.refused.reset_by_host_fw",
            RuleVerdict::Reject(_) => "tcp.refused.icmp_reject",
            _ => "policy.hostfw.input",
        };
        found.push(
            finding(
                cause,
                severity,
                format!("A rule stops packets to port {port}, where a program listens: {}.", rule.place()),
                format!("有规则拦截发往端口 {port} 的报文，而该端口有程序在监听：{}。", rule.place()),
            )
            .about(format!("port {port}"))
            .proof(format!("{}: {}", rule.place(), rule.text))
            .proof(format!("{rose} packets in the window, rule counter")),
        );
    }
}

/// Its only condition is the port (or what every packet of a new connection meets).
fn is_whole_port(rule: &Rule) -> bool {
    has(rule, Match::DestinationPort)
        && rule
            .matches
            .iter()
            .all(|kind| matches!(kind, Match::DestinationPort | Match::TcpFlags | Match::ConnectionState))
}

/// The ports in `tcp dport { 80, 8000-8100 }`, `--dport 80`, `--dports 80,443`, `--dport 1000:2000`.
pub(super) fn destination_ports(text: &str) -> Vec<(u16, u16)> {
    const PORT_COUNT_MAX: usize = 64;
    let Some((_, rest)) = text.split_once("dport") else { return Vec::new() };
    let rest = rest.trim_start_matches('s').trim_start();
    // A negated match names the ports that pass.
    if rest.starts_with('!') || text.contains("! --dport") {
        return Vec::new();
    }
    let list = match rest.strip_prefix('{') {
        Some(set) => set.split('}').next().unwrap_or_default(),
        None => rest.split(' ').next().unwrap_or_default(),
    };
    list.split(',')
        .take(PORT_COUNT_MAX)
        .filter_map(|part| {
            let (first, last) = part.trim().split_once(['-', ':']).unwrap_or((part.trim(), part.trim()));
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        })
        .collect()
}

fn bans(view: &View, found: &mut Vec<Finding>) {
    let sets: Vec<_> = view.snapshot.ruleset.sets.iter().filter(|set| set.dynamic && set.count > 0).collect();
    let looks_like_ban = |name: &str| {
        let name = name.to_lowercase();
        ["ban", "f2b", "block", "black", "deny", "drop", "crowdsec"].iter().any(|word| name.contains(word))
    };
    for set in sets.into_iter().filter(|set| looks_like_ban(&set.name)).take(RULE_COUNT_MAX) {
        let examples: Vec<&str> = set.elements.iter().take(RULE_COUNT_MAX).map(String::as_str).collect();
        found.push(
            finding(
                "policy.host.source_banned",
                Severity::Note,
                format!("{} addresses are in the set {}, which looks like a ban list.", set.count, set.name),
                format!("集合 {} 中有 {} 个地址，像是封禁名单。", set.name, set.count),
            )
            .about(&set.name)
            .proof(format!(
                "set {} {} {}: {} entries, {}",
                set.family,
                set.table,
                set.name,
                set.count,
                examples.join(", ")
            )),
        );
    }
}

fn hooks(view: &View, found: &mut Vec<Finding>) {
    for interface in view.snapshot.interfaces.iter().filter(|interface| has_program(interface)) {
        let drops =
            interface.hooks.iter().any(|hook| hook.ends_with(" dropped") || hook.contains("gact drop"));
        let severity = if drops { Severity::Risk } else { Severity::Note };
        found.push(
            finding(
                "policy.kernel.hook_drop",
                severity,
                format!(
                    "Programs or filters on {} see packets outside of the firewall's lists.",
                    interface.name
                ),
                format!("{} 上有防火墙列表之外的程序或过滤器处理报文。", interface.name),
            )
            .about(&interface.name)
            .proofs(interface.hooks.iter().map(|hook| format!("{} {hook}, rtnetlink", interface.name))),
        );
    }
}

/// A clsact without filters only offers a place.
fn has_program(interface: &Interface) -> bool {
    interface.hooks.iter().any(|hook| hook != "clsact" && hook != "ingress")
}

fn wrappers(view: &View, found: &mut Vec<Finding>) {
    let denied: Vec<_> = view
        .section("hooks")
        .filter(|reading| reading.name == "hosts.deny" && reading.state == State::Odd)
        .collect();
    if !denied.is_empty() {
        let allowed = view.section("hooks").filter(|reading| reading.name == "hosts.allow");
        found.push(
            finding(
                "policy.app.access_control",
                Severity::Note,
                "hosts.deny refuses clients of programs built with libwrap.",
                "hosts.deny 会拒绝使用 libwrap 的程序的部分客户端。",
            )
            .proofs(denied.into_iter().chain(allowed).map(|reading| view.line(reading))),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ports_are_read_from_both_tools_words() {
        assert_eq!(destination_ports("tcp dport { 80, 8000-8100 } drop"), [(80, 80), (8_000, 8_100)]);
        assert_eq!(destination_ports("tcp dport 22 reject"), [(22, 22)]);
        assert_eq!(destination_ports("-p tcp -m multiport --dports 80,443 -j DROP"), [(80, 80), (443, 443)]);
        assert_eq!(destination_ports("-p tcp --dport 1000:2000 -j DROP"), [(1_000, 2_000)]);
        assert!(destination_ports("tcp dport != 22 drop").is_empty());
        assert!(destination_ports("ip saddr 10.0.0.1 drop").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(dports? ?[{]?[0-9,: -]{0,20}|(?s).{0,60})") {
            let _ = destination_ports(&text);
        }
    }
}
