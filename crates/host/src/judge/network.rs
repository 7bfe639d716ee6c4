//! Interfaces, routes, neighbours, names, the clock, and counters of packets that went wrong.

use super::view::{View, is_bad, rose};
use super::{Finding, Proven, finding};
use netwhy_model::host::{Interface, Severity, State};

/// Rises in the window below this are chance: a scanner's or a lone stray packet.
const STRAY_COUNT_MIN: u64 = 3;

pub(super) fn judge(view: &View, found: &mut Vec<Finding>) {
    for interface in view.snapshot.interfaces.iter().filter(|interface| interface.name != "lo") {
        found.extend(link(view, interface));
        found.extend(duplicate(interface));
        found.extend(errors(view, interface));
        found.extend(shaping(view, interface));
    }
    loopback(view, found);
    gateways(view, found);
    policy_rules(view, found);
    for (name, cause, severity, en, zh) in COUNTERS {
        if view.rose(name) >= STRAY_COUNT_MIN {
            found.push(counted(view, name, cause, *severity, (en, zh)));
        }
    }
    ipsec(view, found);
    names(view, found);
    clock(view, found);
}

/// Counter, cause, gravity while it rises, what that means in English and Chinese.
type Row = (&'static str, &'static str, Severity, &'static str, &'static str);

const COUNTERS: &[Row] = &[
    (
        "TcpExt.IPReversePathFilter",
        "net.route.rp_filter",
        Severity::Broken,
        "packets were dropped by the reverse-path filter",
        "个报文被反向路径过滤丢弃",
    ),
    (
        "Ip.OutNoRoutes",
        "net.route.local_unusable",
        Severity::Risk,
        "IPv4 packets had no route to go by",
        "个 IPv4 报文没有可用路由",
    ),
    (
        "Tcp.InCsumErrors",
        "net.path.corruption",
        Severity::Risk,
        "TCP segments came with a wrong checksum",
        "个 TCP 报文段校验和错误",
    ),
    (
        "Udp.InCsumErrors",
        "net.path.corruption",
        Severity::Risk,
        "UDP datagrams came with a wrong checksum",
        "个 UDP 报文校验和错误",
    ),
    (
        "IpExt.InCsumErrors",
        "net.path.corruption",
        Severity::Risk,
        "IP headers came with a wrong checksum",
        "个 IP 首部校验和错误",
    ),
    (
        "TcpExt.TCPMD5NotFound",
        "host.tcp.md5_required",
        Severity::Broken,
        "segments lacked the TCP MD5 signature that a listener wants",
        "个报文段缺少监听端要求的 TCP MD5 签名",
    ),
    (
        "TcpExt.TCPMD5Unexpected",
        "host.tcp.md5_required",
        Severity::Broken,
        "segments carried a TCP MD5 signature that nobody asked for",
        "个报文段带有未要求的 TCP MD5 签名",
    ),
    (
        "TcpExt.TCPMD5Failure",
        "host.tcp.md5_required",
        Severity::Broken,
        "segments carried a wrong TCP MD5 signature",
        "个报文段的 TCP MD5 签名错误",
    ),
    (
        "TcpExt.TCPAORequired",
        "host.tcp.md5_required",
        Severity::Broken,
        "segments lacked the TCP authentication option that is wanted",
        "个报文段缺少所需的 TCP-AO",
    ),
    (
        "TcpExt.PAWSActive",
        "host.tcp.option_mismatch",
        Severity::Risk,
        "SYN-ACKs were refused for an old timestamp",
        "个 SYN-ACK 因时间戳过旧被拒",
    ),
    (
        "TcpExt.PAWSEstab",
        "host.tcp.option_mismatch",
        Severity::Risk,
        "segments were refused for an old timestamp",
        "个报文段因时间戳过旧被拒",
    ),
    (
        "TcpExt.PAWSTimewait",
        "host.tcp.option_mismatch",
        Severity::Risk,
        "SYNs were refused in TIME_WAIT for an old timestamp",
        "个 SYN 在 TIME_WAIT 中因时间戳过旧被拒",
    ),
    (
        "TcpExt.TCPMinTTLDrop",
        "net.ttl.too_small",
        Severity::Risk,
        "segments were dropped because their TTL was too small",
        "个报文段因 TTL 过小被丢弃",
    ),
    (
        "TcpExt.TCPTimeWaitOverflow",
        "host.port.time_wait_exhausted",
        Severity::Note,
        "TIME_WAIT sockets were cut short for their number",
        "个 TIME_WAIT 套接字因数量过多被提前回收",
    ),
    (
        "ArpCache.table_fulls",
        "net.l2.arp_unresolved",
        Severity::Broken,
        "times the IPv4 neighbour table was full",
        "次 IPv4 邻居表已满",
    ),
    (
        "NdiscCache.table_fulls",
        "net.l2.arp_unresolved",
        Severity::Broken,
        "times the IPv6 neighbour table was full",
        "次 IPv6 邻居表已满",
    ),
    (
        "Ip.FragFails",
        "net.pmtu.blackhole",
        Severity::Note,
        "packets were too large for a link and could not be cut",
        "个报文过大且不能分片",
    ),
    (
        "Ip.InAddrErrors",
        "net.route.forwarding_off",
        Severity::Note,
        "packets came for an address this host neither has nor forwards to",
        "个报文的目的地址既非本机也不转发",
    ),
];

fn counted(view: &View, name: &str, cause: &str, severity: Severity, (en, zh): (&str, &str)) -> Finding {
    let count = view.rose(name);
    let one = finding(
        cause,
        severity,
        format!("{count} {en} in the window."),
        format!("观察窗口内有 {count} {zh}。"),
    );
    let one = one.proofs(view.proof(name));
    match cause {
        "net.route.rp_filter" => {
            let strict =
                view.section("settings").filter(|r| r.name.ends_with(".rp_filter") && r.value == "1");
            one.proofs(strict.map(|reading| view.line(reading)))
        }
        "net.route.forwarding_off" => one.proofs(view.proof("net.ipv4.ip_forward")),
        "host.tcp.option_mismatch" => one.proofs(view.proof("net.ipv4.tcp_rfc1337")),
        _ => one,
    }
}

/// Whether a default route leaves by it: then its fault is the host's.
fn carries_default(view: &View, name: &str) -> bool {
    let device = format!(" dev {name}");
    view.snapshot.routes.iter().any(|route| {
        route.starts_with("default")
            && route.match_indices(&device).any(|(at, _)| {
                route.get(at + device.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            })
    })
}

fn link(view: &View, interface: &Interface) -> Option<Finding> {
    // Bridges without members, unused ports and the like have no carrier in health.
    if interface.carrier || !carries_default(view, &interface.name) {
        return None;
    }
    let name = &interface.name;
    let state =
        if interface.up { ("has no carrier", "没有载波") } else { ("is down", "处于 down 状态") };
    Some(
        finding(
            "infra.nic.link_down",
            Severity::Broken,
            format!("The interface {name}, which the default route leaves by, {}.", state.0),
            format!("默认路由所用的接口 {name} {}。", state.1),
        )
        .about(name)
        .proof(format!("{name} up {} carrier {}, rtnetlink", interface.up, interface.carrier)),
    )
}

fn duplicate(interface: &Interface) -> Option<Finding> {
    let address = interface.addresses.iter().find(|address| address.ends_with(" duplicate"))?;
    Some(
        finding(
            "net.l2.duplicate_address",
            Severity::Broken,
            format!(
                "Another station on {} has the address {address}: the kernel does not use it.",
                interface.name
            ),
            format!("{} 所在链路上有其他主机使用地址 {address}，内核已停用该地址。", interface.name),
        )
        .about(&interface.name)
        .proof(format!("{address} on {}, rtnetlink RTM_GETADDR", interface.name)),
    )
}

fn errors(view: &View, interface: &Interface) -> Option<Finding> {
    let name = &interface.name;
    let rising: Vec<_> = ["rx errors", "tx errors", "carrier changes"]
        .into_iter()
        .filter_map(|kind| view.reading(&format!("{name} {kind}")))
        .filter(|reading| rose(reading) > 0)
        .collect();
    let count: u64 = rising.iter().map(|reading| rose(reading)).sum();
    (count > 0).then(|| {
        finding(
            "infra.nic.flap_or_errors",
            Severity::Risk,
            format!("The interface {name} counted {count} errors or link changes in the window."),
            format!("观察窗口内接口 {name} 出现 {count} 次错误或链路变化。"),
        )
        .about(name)
        .proofs(rising.into_iter().map(|reading| view.line(reading)))
    })
}

/// A shaper or an impairment on the way out.
fn shaping(view: &View, interface: &Interface) -> Option<Finding> {
    let kind = interface.qdisc.as_deref()?;
    let (cause, en, zh) = match kind {
        "netem" => {
            ("net.path.loss", "delays, drops or reorders packets on purpose", "会人为延迟、丢弃或乱序报文")
        }
        "tbf" | "htb" | "cbs" | "hfsc" => ("infra.quota.bandwidth", "limits the rate", "会限制速率"),
        _ => return None,
    };
    let drops = format!("{} qdisc drops", interface.name);
    let severity = if view.rose(&drops) > 0 { Severity::Risk } else { Severity::Note };
    Some(
        finding(
            cause,
            severity,
            format!("The queueing discipline {kind} on {} {en}.", interface.name),
            format!("{} 上的队列规则 {kind} {zh}。", interface.name),
        )
        .about(&interface.name)
        .proof(format!("{} qdisc {kind}, {} drops, rtnetlink", interface.name, interface.qdisc_drops))
        .proofs(view.proof(&drops)),
    )
}

fn loopback(view: &View, found: &mut Vec<Finding>) {
    let down = view.snapshot.interfaces.iter().find(|interface| interface.name == "lo" && !interface.up);
    if let Some(interface) = down {
        // A namespace just made has nothing but a loopback that is down.
        let alone = view.snapshot.interfaces.iter().all(|other| other.name == "lo" || !other.up);
        let severity = if alone { Severity::Note } else { Severity::Risk };
        found.push(
            finding(
                "infra.nic.link_down",
                severity,
                "The loopback interface is down: programs of this host cannot reach each other by 127.0.0.1.",
                "回环接口未启用：本机程序无法通过 127.0.0.1 互访。",
            )
            .about("lo")
            .proof(format!("lo up {}, rtnetlink", interface.up)),
        );
    }
}

fn gateways(view: &View, found: &mut Vec<Finding>) {
    let via = |address: &std::net::IpAddr| {
        let words = format!("via {address} ");
        view.snapshot.routes.iter().find(|route| format!("{route} ").contains(&words))
    };
    for neighbour in
        view.snapshot.neighbours.iter().filter(|n| n.state == "failed" || n.state == "incomplete")
    {
        let Some(route) = via(&neighbour.address) else { continue };
        let (address, interface, state) = (neighbour.address, &neighbour.interface, &neighbour.state);
        // With IPv4 well, a silent IPv6 gateway costs those names that have both.
        let spare = address.is_ipv6()
            && view.snapshot.routes.iter().any(|r| r.starts_with("default via") && r.contains('.'));
        let (cause, severity) = if spare {
            ("net.family.ipv6_broken", Severity::Risk)
        } else {
            ("net.l2.arp_unresolved", Severity::Broken)
        };
        found.push(
            finding(
                cause,
                severity,
                format!(
                    "The gateway {address} does not answer on {interface}: what is routed by it goes nowhere."
                ),
                format!("网关 {address} 在 {interface} 上没有应答：经由它的流量都不通。"),
            )
            .about(address.to_string())
            .proof(format!("neighbour {address} {state} on {interface}, rtnetlink RTM_GETNEIGH"))
            .proof(format!("route {route}")),
        );
    }
}

fn policy_rules(view: &View, found: &mut Vec<Finding>) {
    const REFUSALS: [&str; 3] = ["blackhole", "unreachable", "prohibit"];
    let routes = &view.snapshot.routes;
    // Rules begin with their priority and a colon.
    for rule in routes.iter().filter(|line| line.split(' ').next().is_some_and(|word| word.ends_with(':'))) {
        let refuses = rule.split(' ').next_back().is_some_and(|word| REFUSALS.contains(&word));
        let table = rule.split_once("lookup ").and_then(|(_, rest)| rest.split(' ').next());
        let dead = table.and_then(|table| {
            let ending = format!(" table {table}");
            routes.iter().find(|route| {
                REFUSALS.iter().any(|word| route.starts_with(&format!("{word} default")))
                    && format!("{route} ").contains(&format!("{ending} "))
            })
        });
        if refuses || dead.is_some() {
            found.push(
                finding(
                    "net.route.policy_rule",
                    Severity::Risk,
                    format!("A policy rule refuses what it matches: {rule}."),
                    format!("策略路由规则会拒绝所匹配的流量：{rule}。"),
                )
                .about(rule.as_str())
                .proof(format!("rule {rule}, rtnetlink RTM_GETRULE"))
                .proofs(dead.map(|route| format!("route {route}"))),
            );
        }
    }
}

fn ipsec(view: &View, found: &mut Vec<Finding>) {
    let rising: Vec<_> = view
        .section("counters")
        .filter(|reading| reading.name.starts_with("Xfrm.") && reading.state == State::Bad)
        .collect();
    let policies: Vec<_> = view
        .section("hooks")
        .filter(|reading| reading.name == "IPsec policy" && reading.state == State::Odd)
        .collect();
    let severity = match (rising.is_empty(), policies.is_empty()) {
        (false, _) => Severity::Broken,
        (true, false) => Severity::Risk,
        (true, true) => return,
    };
    found.push(
        finding(
            "policy.kernel.ipsec",
            severity,
            "IPsec policies drop the packets they cover: they block, or nothing is negotiated to satisfy them.",
            "IPsec 策略会丢弃所匹配的报文：策略为阻断，或没有可用的安全联盟。",
        )
        .proofs(rising.into_iter().chain(policies).map(|reading| view.line(reading))),
    );
}

fn names(view: &View, found: &mut Vec<Finding>) {
    let servers: Vec<_> = view.section("names").filter(|reading| reading.name == "nameserver").collect();
    if let Some(first) = servers.first().filter(|reading| is_bad(reading)) {
        found.push(
            finding(
                "dns.first_resolver_dead",
                Severity::Risk,
                format!(
                    "resolv.conf names {} first, and nothing listens there: look-ups fail or wait.",
                    first.value
                ),
                format!("resolv.conf 首个服务器为 {}，但该地址没有监听：解析会失败或等待。", first.value),
            )
            .about(&first.value)
            .proof(view.line(first)),
        );
    }
    let overrides: Vec<_> = view
        .section("names")
        .filter(|reading| {
            reading.from == "/etc/hosts" && reading.state != State::Well && reading.name != "localhost"
        })
        .collect();
    if !overrides.is_empty() {
        found.push(
            finding(
                "dns.hosts_override",
                Severity::Note,
                "The hosts file gives names of the DNS an address of its own.",
                "hosts 文件为 DNS 域名指定了自己的地址。",
            )
            .proofs(overrides.into_iter().map(|reading| view.line(reading))),
        );
    }
}

fn clock(view: &View, found: &mut Vec<Finding>) {
    if view.is("clock synchronised", "no") {
        found.push(
            finding(
                "host.clock.skew",
                Severity::Note,
                "No program keeps the clock in step with a time server: it may be wrong.",
                "没有程序将时钟与时间服务器同步：时间可能不准。",
            )
            .proofs(view.proof("clock synchronised")),
        );
    }
}
