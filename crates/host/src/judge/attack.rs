//! This host attacked, and this host attacking.

use super::view::{View, is_bad};
use super::{Finding, Proven, finding};
use crate::persistence::odd_place;
use netwhy_model::host::{FanOut, PortUse, Process, Severity, State};

/// Half-open connections of one port that no crowd of honest clients makes.
const HALF_OPEN_MIN: u64 = 256;
/// SYN cookies per second that tell of a flood.
const COOKIES_PER_S_MIN: u64 = 20;
/// Slow connections of one port that tell of a slow-request attack, and their share of all, in percent.
const STARVED_MIN: u64 = 100;
const STARVED_PERCENT_MIN: u64 = 50;
/// Connections of one peer that stand out, and their share of all, in percent.
const BUSIEST_MIN: u64 = 200;
const BUSIEST_PERCENT_MIN: u64 = 50;
/// Hosts with a half-open connection that make a scan.
const SCAN_HALF_OPEN_MIN: u64 = 24;
/// Share of targets that must not have answered, in percent: a crawler or proxy is answered.
const SCAN_SILENT_PERCENT_MIN: u64 = 50;
/// Log-in ports of many hosts that make a brute-force attack even where they answer.
const LOGIN_TARGETS_MIN: u64 = 24;
/// The same without a doubt left by the number alone.
const LOGIN_TARGETS_MANY: u64 = 100;
/// Failed connections per second, and their share of all begun, in percent, that a scan makes. A proxy whose
/// upstream is dead makes them too.
const FAILS_PER_S_MIN: u64 = 100;
const FAILS_PERCENT_MIN: u64 = 50;
/// Ports of one host with a half-open connection that make a port scan.
const PORTS_HALF_OPEN_MIN: u64 = 16;
/// SYNs to a single target that make a flood.
const FLOOD_HALF_OPEN_MIN: u64 = 256;
/// Packets per second a raw socket's owner may cause before it is a flood, at so many bytes or fewer each.
const FLOOD_PACKETS_PER_S: u64 = 20_000;
const FLOOD_PACKET_BYTES_MAX: u64 = 100;
/// UDP datagrams per second that no ordinary service sends.
const UDP_PER_S_MIN: u64 = 50_000;
/// Small packets a second of a raw socket's owner that no protocol of the host accounts for.
const UNACCOUNTED_PER_S_MIN: u64 = 300;
/// Datagrams a second that, hardly answered, and on a link that drops, are a flood all the same.
const UDP_UNANSWERED_PER_S_MIN: u64 = 100;
/// So many times as many sent as came are hardly answered.
const UDP_UNANSWERED_TIMES: u64 = 50;
/// Ports that attackers try log-ins or known holes on.
const LOGIN_PORTS: [(u16, &str); 12] = [
    (22, "SSH"),
    (2_222, "SSH"),
    (23, "Telnet"),
    (2_323, "Telnet"),
    (21, "FTP"),
    (445, "SMB"),
    (3_389, "RDP"),
    (3_306, "MySQL"),
    (1_433, "SQL Server"),
    (5_432, "PostgreSQL"),
    (6_379, "Redis"),
    (5_900, "VNC"),
];

pub(super) fn judge(view: &View, found: &mut Vec<Finding>) {
    for port in &view.snapshot.ports {
        found.extend(syn_flood(view, port));
        found.extend(slow_requests(view, port));
        found.extend(crowd(view, port));
    }
    for fan_out in &view.snapshot.fan_outs {
        found.extend(outgoing(view, fan_out));
    }
    refusals(view, found);
    raw_flood(view, found);
    udp_flood(view, found);
    single_target(view, found);
    odd_programs(view, found);
}

fn syn_flood(view: &View, port: &PortUse) -> Option<Finding> {
    let half_open = port.half_open;
    let cookies = view.rate("TcpExt.SyncookiesSent").max(view.rate("TcpExt.TCPReqQFullDoCookies"));
    let warned = view.fresh("syn_flood").any(|sign| {
        sign.line.contains(&format!(":{}.", port.port)) || sign.line.contains(&format!("port {}.", port.port))
    });
    let floods = half_open >= HALF_OPEN_MIN
        || (half_open > 0 && cookies >= COOKIES_PER_S_MIN)
        || (warned && half_open > 0);
    if !floods {
        return None;
    }
    let off = view.is("net.ipv4.tcp_syncookies", "0");
    let dropped = view.rose("TcpExt.TCPReqQFullDrop") > 0;
    let severity = if off || dropped { Severity::Broken } else { Severity::Risk };
    let number = port.port;
    Some(
        finding(
            "attack.inbound.syn_flood",
            severity,
            format!("{half_open} half-open connections wait on port {number}: clients that never finish the handshake, as in a SYN flood."),
            format!("端口 {number} 有 {half_open} 个半开连接：对端不完成握手，符合 SYN Flood 特征。"),
        )
        .about(format!("port {number}"))
        .proof(format!("port {number}: SYN_RECV {half_open}, {} peers in all states, sock_diag", port.peers))
        .proofs(["TcpExt.SyncookiesSent", "TcpExt.TCPReqQFullDoCookies", "TcpExt.TCPReqQFullDrop"].into_iter().filter(|name| view.rose(name) > 0).flat_map(|name| view.proof(name)))
        .proofs(view.proof("net.ipv4.tcp_syncookies")),
    )
}

/// A flood hurts when the service is at one of its limits.
fn is_strained(view: &View, port: u16) -> bool {
    view.tcp().filter(|listener| listener.address.port() == port).any(|listener| {
        let full = listener.queue_max > 0 && listener.queue * 5 >= listener.queue_max * 4;
        let files =
            view.holder(listener).is_some_and(|process| match (process.files_open, process.files_max) {
                (Some(used), Some(limit)) => used * 10 >= limit * 9,
                _ => false,
            });
        full || files
    }) || view.fresh("worker_limit").next().is_some()
        || view.fresh("too_many_files").next().is_some()
}

fn slow_requests(view: &View, port: &PortUse) -> Option<Finding> {
    let PortUse { starved, established, .. } = port;
    // Programs of one host keep idle connections to each other by the hundred.
    let local = port.busiest.is_some_and(|(peer, _)| peer.is_loopback());
    if *starved < STARVED_MIN || starved * 100 < established * STARVED_PERCENT_MIN || local {
        return None;
    }
    let number = port.port;
    let severity = if is_strained(view, number) { Severity::Broken } else { Severity::Risk };
    Some(
        finding(
            "attack.inbound.slowloris",
            severity,
            format!("{starved} of {established} connections of port {number} have sent next to nothing for seconds: requests that are never finished."),
            format!("端口 {number} 的 {established} 个连接中有 {starved} 个长时间几乎不发数据：请求迟迟不完成。"),
        )
        .about(format!("port {number}"))
        .proof(format!("port {number}: {starved} with a request hardly begun after 5 s, {established} established, {} peers, sock_diag TCP_INFO", port.peers)),
    )
}

fn crowd(view: &View, port: &PortUse) -> Option<Finding> {
    let (peer, count) = port.busiest?;
    let all = port.established + port.half_open + port.close_wait;
    if count < BUSIEST_MIN || count * 100 < all * BUSIEST_PERCENT_MIN || peer.is_loopback() {
        return None;
    }
    let number = port.port;
    // A proxy, an edge node or a load balancer in front looks just so.
    let severity = if is_strained(view, number) { Severity::Risk } else { Severity::Note };
    Some(
        finding(
            "attack.inbound.cc",
            severity,
            format!("{peer} alone holds {count} of {all} connections of port {number}: one client that asks too much, or a proxy in front."),
            format!("{peer} 一家占用端口 {number} 的 {all} 个连接中的 {count} 个：可能是异常客户端，也可能是前置代理。"),
        )
        .about(format!("port {number}"))
        .proof(format!("port {number}: {count} sockets of {peer}, sock_diag")),
    )
}

fn outgoing(view: &View, fan_out: &FanOut) -> Option<Finding> {
    let FanOut { targets, half_open, .. } = fan_out;
    let silent = half_open * 100 >= targets * SCAN_SILENT_PERCENT_MIN;
    let (cause, what_en, what_zh) = match (fan_out.port, fan_out.host) {
        (Some(port), _) => {
            let login = LOGIN_PORTS.iter().find(|(known, _)| *known == port).map(|(_, name)| *name);
            let scans = *half_open >= SCAN_HALF_OPEN_MIN && silent;
            match login {
                Some("SSH") if scans || *targets >= LOGIN_TARGETS_MIN => (
                    "attack.outbound.ssh_bruteforce",
                    format!("connects to port {port} (SSH) of {targets} hosts"),
                    format!("正在连接 {targets} 台主机的 {port} 端口（SSH）"),
                ),
                Some(name) if scans || *targets >= LOGIN_TARGETS_MIN => (
                    "attack.outbound.port_scan",
                    format!("connects to port {port} ({name}) of {targets} hosts"),
                    format!("正在连接 {targets} 台主机的 {port} 端口（{name}）"),
                ),
                None if scans => (
                    "attack.outbound.port_scan",
                    format!("tries port {port} of {targets} hosts, {half_open} of which do not answer"),
                    format!("正在尝试 {targets} 台主机的 {port} 端口，其中 {half_open} 台没有应答"),
                ),
                _ => return None,
            }
        }
        (None, Some(host)) if *half_open >= PORTS_HALF_OPEN_MIN && silent => (
            "attack.outbound.port_scan",
            format!("tries {targets} ports of {host}, {half_open} of which do not answer"),
            format!("正在尝试 {host} 的 {targets} 个端口，其中 {half_open} 个没有应答"),
        ),
        _ => return None,
    };
    Some(accused(view, fan_out, cause, &what_en, &what_zh))
}

/// Names the process; a scan from an odd place leaves no doubt, a known tool some.
fn accused(view: &View, fan_out: &FanOut, cause: &str, what_en: &str, what_zh: &str) -> Finding {
    let process = fan_out.pids.iter().find_map(|pid| view.process(*pid));
    let who_en = process.map_or("A process of this host".to_owned(), |p| format!("{} ({})", p.name, p.pid));
    let who_zh = process.map_or("本机某进程".to_owned(), |p| format!("{}（{}）", p.name, p.pid));
    let subject = process.map_or("unknown process".to_owned(), |p| format!("{} ({})", p.name, p.pid));
    // Where nothing answers, or the program is odd, it is an attack; else it may be one's own deployment.
    let odd = process.and_then(|process| odd_place(process.executable.as_deref()?)).is_some();
    let severity = match fan_out {
        _ if fan_out.half_open >= SCAN_HALF_OPEN_MIN || odd => Severity::Broken,
        _ if fan_out.targets >= LOGIN_TARGETS_MANY => Severity::Risk,
        _ => Severity::Note,
    };
    let examples: Vec<String> = fan_out.examples.iter().take(3).map(ToString::to_string).collect();
    finding(cause, severity, format!("{who_en} {what_en}."), format!("{who_zh}{what_zh}。"))
        .about(subject)
        .proof(format!(
            "{} targets ({}, …): {} half-open, {} established, {} ended, sock_diag",
            fan_out.targets,
            examples.join(", "),
            fan_out.half_open,
            fan_out.established,
            fan_out.ended
        ))
        .proofs(process.map(program))
        .proofs(failures(view))
        .proofs(persistence(view))
}

fn program(process: &Process) -> String {
    let path = process.executable.as_deref().unwrap_or("unknown program");
    let why = odd_place(path).map(|why| format!(", {why}")).unwrap_or_default();
    format!(
        "{} ({}) is {path}{why}: {}, /proc/{}/exe",
        process.name, process.pid, process.command, process.pid
    )
}

/// Attempts that fail and resets, when they rise.
fn failures(view: &View) -> Vec<String> {
    ["Tcp.ActiveOpens", "Tcp.AttemptFails", "Tcp.EstabResets", "Tcp.OutRsts"]
        .into_iter()
        .filter(|name| view.rose(name) > 0)
        .flat_map(|name| view.proof(name))
        .collect()
}

fn persistence(view: &View) -> Vec<String> {
    view.section("persistence")
        .filter(|reading| reading.state != State::Well)
        .map(|reading| view.line(reading))
        .collect()
}

/// Connections that fail by the hundred leave no socket behind, only counts.
fn refusals(view: &View, found: &mut Vec<Finding>) {
    const FAILS: &str = "Tcp.AttemptFails";
    let (fails, opens) = (view.rose(FAILS), view.rose("Tcp.ActiveOpens"));
    if view.rate(FAILS) < FAILS_PER_S_MIN || fails * 100 < opens * FAILS_PERCENT_MIN {
        return;
    }
    found.push(
        finding(
            "attack.outbound.port_scan",
            Severity::Note,
            format!("{fails} of {opens} connections begun in the window failed: a scan, or a client whose server is down."),
            format!("观察窗口内发起的 {opens} 个连接中有 {fails} 个失败：可能是扫描，也可能是所连服务已停。"),
        )
        .proofs(failures(view)),
    );
}

/// Small packets at a high rate, and somebody with a raw socket: a flood with forged sources.
fn raw_flood(view: &View, found: &mut Vec<Finding>) {
    let Some(raw) = view.section("hooks").find(|reading| reading.name == "raw socket") else { return };
    let unaccounted = unaccounted_per_s(view);
    for interface in view.snapshot.interfaces.iter().filter(|interface| interface.name != "lo") {
        let packets = format!("{} tx packets", interface.name);
        let bytes = view.rose(&format!("{} tx bytes", interface.name));
        let count = view.rose(&packets);
        let many = view.rate(&packets) >= FLOOD_PACKETS_PER_S
            || unaccounted >= UNACCOUNTED_PER_S_MIN && unaccounted * 2 >= view.rate(&packets);
        if !many || bytes > count.saturating_mul(FLOOD_PACKET_BYTES_MAX) {
            continue;
        }
        found.push(
            finding(
                "attack.outbound.syn_flood",
                Severity::Risk,
                format!("{} small packets per second leave by {}, and {} has a raw socket: as in a flood with forged sources.", view.rate(&packets), interface.name, raw.value),
                format!("{} 每秒发出 {} 个小包，且 {} 持有原始套接字：符合伪造源地址的洪水攻击特征。", interface.name, view.rate(&packets), raw.value),
            )
            .about(&raw.value)
            .proofs(view.proof(&packets))
            .proof(view.line(raw))
            .proofs(persistence(view)),
        );
    }
}

/// Packets a second that left and that neither TCP, UDP and ICMP of this host nor forwarding account for.
fn unaccounted_per_s(view: &View) -> u64 {
    let outward = view.snapshot.interfaces.iter().filter(|interface| interface.name != "lo");
    let sent: u64 = outward.map(|interface| view.rate(&format!("{} tx packets", interface.name))).sum();
    let known = [
        "Tcp.OutSegs",
        "Tcp.RetransSegs",
        "Udp.OutDatagrams",
        "Udp6.OutDatagrams",
        "Icmp.OutMsgs",
        "Icmp6.OutMsgs",
        "Ip.ForwDatagrams",
        "Ip6.OutForwDatagrams",
    ];
    sent.saturating_sub(known.into_iter().map(|name| view.rate(name)).sum())
}

/// Whether datagrams that hardly anybody answers fill the link they leave by.
fn fills_link(view: &View) -> bool {
    let (sent, came) = (view.rate("Udp.OutDatagrams"), view.rate("Udp.InDatagrams"));
    let drops = |interface: &netwhy_model::host::Interface| {
        view.rose(&format!("{} qdisc drops", interface.name))
            + view.rose(&format!("{} tx dropped", interface.name))
    };
    let outward = view.snapshot.interfaces.iter().filter(|interface| interface.name != "lo");
    let dropped: u64 = outward.map(drops).sum();
    sent >= UDP_UNANSWERED_PER_S_MIN && came * UDP_UNANSWERED_TIMES <= sent && dropped > 0
}

fn udp_flood(view: &View, found: &mut Vec<Finding>) {
    const SENT: &str = "Udp.OutDatagrams";
    if view.rate(SENT) >= UDP_PER_S_MIN || fills_link(view) {
        found.push(
            finding(
                "attack.outbound.udp_flood",
                Severity::Risk,
                format!("This host sends {} UDP datagrams per second: a flood, a reflector, or a very busy service.", view.rate(SENT)),
                format!("本机每秒发出 {} 个 UDP 报文：洪水攻击、被用于反射，或极繁忙的服务。", view.rate(SENT)),
            )
            .proofs(view.proof(SENT))
            .proofs(view.proof("Udp.InDatagrams")),
        );
    }
}

/// Hundreds of half-open connections to one port of one host.
fn single_target(view: &View, found: &mut Vec<Finding>) {
    for peer in view
        .snapshot
        .peers
        .iter()
        .filter(|peer| peer.state == "SYN_SENT" && peer.count >= FLOOD_HALF_OPEN_MIN)
    {
        let to = peer
            .port
            .map_or(peer.peer.to_string(), |port| std::net::SocketAddr::new(peer.peer, port).to_string());
        found.push(
            finding(
                "attack.outbound.syn_flood",
                Severity::Risk,
                format!("{} connections to {to} wait for an answer: a flood, or a client that retries far too eagerly.", peer.count),
                format!("到 {to} 有 {} 个连接在等待应答：可能是洪水攻击，或客户端重试过猛。", peer.count),
            )
            .about(to.clone())
            .proof(format!("SYN_SENT {} to {to}, sock_diag", peer.count))
            .proofs(failures(view)),
        );
    }
}

/// A listening or spreading program in a place no system program runs from.
fn odd_programs(view: &View, found: &mut Vec<Finding>) {
    let preload =
        view.reading("/etc/ld.so.preload").filter(|reading| !is_bad(reading) && reading.state == State::Odd);
    for process in &view.snapshot.processes {
        let Some(path) = process.executable.as_deref() else { continue };
        let deleted = path.ends_with(" (deleted)");
        // Programs run from /tmp while they are built and tested; with the file gone somebody hides.
        let hides = odd_place(path).is_some()
            && (deleted || path.starts_with("/dev/shm/") || path.starts_with("/memfd:"));
        if hides {
            found.push(
                finding(
                    "attack.outbound.beacon",
                    Severity::Note,
                    format!("{} ({}) holds sockets and hides its program file.", process.name, process.pid),
                    format!("{}（{}）持有套接字且隐藏了程序文件。", process.name, process.pid),
                )
                .about(format!("{} ({})", process.name, process.pid))
                .proof(program(process))
                .proofs(preload.map(|reading| view.line(reading))),
            );
        }
    }
}
