//! The counters that tell of lost packets and refused connections, with what each means.

use super::{Said, reading, section};
use crate::counters::Counters;
use netwhy_model::host::{Reading, Section, State};

/// How grave it is when a counter rises.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Something was lost that should not be.
    Grave,
    /// Happens on healthy hosts too; much of it does not.
    Mild,
    /// Only a measure for the others.
    Plain,
}

use Weight::{Grave, Mild, Plain};

/// Name, weight, what its rise means in English and Chinese.
type Row = (&'static str, Weight, &'static str, &'static str);

const ROWS: &[Row] = &[
    (
        "TcpExt.ListenOverflows",
        Grave,
        "connections refused because an accept queue was full",
        "全连接队列已满而丢弃的连接",
    ),
    (
        "TcpExt.ListenDrops",
        Grave,
        "SYNs a listener dropped, whatever the reason",
        "监听套接字丢弃的 SYN（含各种原因）",
    ),
    (
        "TcpExt.TCPReqQFullDrop",
        Grave,
        "SYNs dropped because the SYN queue was full and cookies are off",
        "半连接队列满且未启用 SYN Cookie 而丢弃的 SYN",
    ),
    (
        "TcpExt.TCPReqQFullDoCookies",
        Mild,
        "SYNs answered with a cookie because the SYN queue was full",
        "半连接队列满而改用 SYN Cookie 应答的 SYN",
    ),
    ("TcpExt.SyncookiesSent", Mild, "SYN cookies sent", "发出的 SYN Cookie"),
    ("TcpExt.SyncookiesRecv", Mild, "valid SYN cookies that came back", "收回的有效 SYN Cookie"),
    ("TcpExt.SyncookiesFailed", Mild, "ACKs whose SYN cookie was wrong", "SYN Cookie 校验失败的 ACK"),
    (
        "TcpExt.IPReversePathFilter",
        Grave,
        "packets dropped by the reverse-path filter",
        "被反向路径过滤丢弃的报文",
    ),
    ("TcpExt.TCPMemoryPressures", Grave, "times TCP memory ran short", "TCP 内存进入紧张状态的次数"),
    (
        "TcpExt.TCPAbortOnMemory",
        Grave,
        "connections aborted for lack of TCP memory",
        "因 TCP 内存不足而中止的连接",
    ),
    (
        "TcpExt.TCPBacklogDrop",
        Grave,
        "segments dropped because a socket's backlog was full",
        "套接字 backlog 满而丢弃的报文段",
    ),
    (
        "TcpExt.TCPRcvQDrop",
        Grave,
        "segments dropped because a receive queue was full",
        "接收队列满而丢弃的报文段",
    ),
    (
        "TcpExt.TCPZeroWindowDrop",
        Mild,
        "segments dropped because the receive window was closed",
        "接收窗口为零而丢弃的报文段",
    ),
    (
        "TcpExt.TCPMD5NotFound",
        Grave,
        "segments without the TCP MD5 signature that is wanted",
        "缺少所需 TCP MD5 签名的报文段",
    ),
    (
        "TcpExt.TCPMD5Unexpected",
        Grave,
        "segments with a TCP MD5 signature nobody asked for",
        "带有意外 TCP MD5 签名的报文段",
    ),
    ("TcpExt.TCPMD5Failure", Grave, "segments whose TCP MD5 signature is wrong", "TCP MD5 签名错误的报文段"),
    (
        "TcpExt.TCPAOBad",
        Grave,
        "segments whose TCP authentication option is wrong",
        "TCP-AO 校验错误的报文段",
    ),
    (
        "TcpExt.TCPAORequired",
        Grave,
        "segments without the TCP authentication option that is wanted",
        "缺少所需 TCP-AO 的报文段",
    ),
    (
        "TcpExt.TCPMinTTLDrop",
        Grave,
        "segments dropped because their TTL was too small (IP_MINTTL)",
        "TTL 小于 IP_MINTTL 而丢弃的报文段",
    ),
    ("TcpExt.PAWSActive", Mild, "SYN-ACKs refused for an old timestamp", "因时间戳过旧而拒绝的 SYN-ACK"),
    ("TcpExt.PAWSEstab", Mild, "segments refused for an old timestamp", "因时间戳过旧而拒绝的报文段"),
    (
        "TcpExt.PAWSTimewait",
        Mild,
        "SYNs refused in TIME_WAIT for an old timestamp",
        "TIME_WAIT 中因时间戳过旧而拒绝的 SYN",
    ),
    (
        "TcpExt.TSEcrRejected",
        Mild,
        "segments refused for a timestamp that was never sent",
        "因时间戳回显异常而拒绝的报文段",
    ),
    ("TcpExt.TCPTimeouts", Mild, "retransmit timeouts", "重传超时次数"),
    ("TcpExt.TCPSynRetrans", Mild, "SYNs and SYN-ACKs sent again", "重传的 SYN 与 SYN-ACK"),
    (
        "TcpExt.TCPAbortOnTimeout",
        Mild,
        "connections given up after retransmitting in vain",
        "重传无果而放弃的连接",
    ),
    (
        "TcpExt.TCPAbortOnData",
        Mild,
        "connections closed with data nobody read: a reset was sent",
        "关闭时仍有未读数据而发送 RST 的连接",
    ),
    (
        "TcpExt.TCPTimeWaitOverflow",
        Grave,
        "TIME_WAIT sockets beyond tcp_max_tw_buckets",
        "超出 tcp_max_tw_buckets 的 TIME_WAIT 套接字",
    ),
    (
        "TcpExt.TCPToZeroWindowAdv",
        Mild,
        "times a receive window went to zero: the application does not read",
        "接收窗口变为零的次数（应用未读取数据）",
    ),
    ("TcpExt.EmbryonicRsts", Mild, "half-open connections the peer reset", "被对端重置的半开连接"),
    (
        "TcpExt.LockDroppedIcmps",
        Mild,
        "ICMP errors dropped because the socket was busy",
        "套接字忙而丢弃的 ICMP 错误",
    ),
    ("Tcp.ActiveOpens", Plain, "connections this host began", "本机发起的连接"),
    ("Tcp.PassiveOpens", Plain, "connections this host accepted", "本机接受的连接"),
    ("Tcp.AttemptFails", Mild, "connections that failed before they opened", "建立之前失败的连接"),
    ("Tcp.EstabResets", Mild, "open connections that ended by a reset", "已建立后被重置的连接"),
    ("Tcp.OutRsts", Mild, "resets sent", "发出的 RST"),
    ("Tcp.InSegs", Plain, "segments received", "收到的报文段"),
    ("Tcp.OutSegs", Plain, "segments sent", "发出的报文段"),
    ("Tcp.RetransSegs", Mild, "segments sent again", "重传的报文段"),
    ("Tcp.InErrs", Mild, "segments received damaged", "收到的错误报文段"),
    ("Tcp.InCsumErrors", Grave, "TCP segments with a wrong checksum", "TCP 校验和错误"),
    ("Udp.InCsumErrors", Grave, "UDP datagrams with a wrong checksum", "UDP 校验和错误"),
    ("Icmp.InCsumErrors", Grave, "ICMP messages with a wrong checksum", "ICMP 校验和错误"),
    ("IpExt.InCsumErrors", Grave, "IP headers with a wrong checksum", "IP 首部校验和错误"),
    ("Ip.OutNoRoutes", Mild, "IPv4 packets this host had no route for", "本机没有路由可发的 IPv4 报文"),
    ("Ip6.OutNoRoutes", Mild, "IPv6 packets this host had no route for", "本机没有路由可发的 IPv6 报文"),
    (
        "IpExt.InNoRoutes",
        Mild,
        "received IPv4 packets that had no route on",
        "收到但没有转发路由的 IPv4 报文",
    ),
    ("Ip6.InNoRoutes", Mild, "received IPv6 packets that had no route on", "收到但没有转发路由的 IPv6 报文"),
    (
        "Ip.InAddrErrors",
        Mild,
        "IPv4 packets for an address this host neither has nor forwards to",
        "目的地址既非本机也不转发的 IPv4 报文",
    ),
    (
        "Ip6.InAddrErrors",
        Mild,
        "IPv6 packets for an address this host neither has nor forwards to",
        "目的地址既非本机也不转发的 IPv6 报文",
    ),
    (
        "Ip.InHdrErrors",
        Mild,
        "IPv4 packets with a bad header or expired TTL",
        "首部错误或 TTL 耗尽的 IPv4 报文",
    ),
    (
        "Ip.InDiscards",
        Grave,
        "good IPv4 packets dropped for lack of memory",
        "因内存不足丢弃的正常 IPv4 报文",
    ),
    (
        "Ip.OutDiscards",
        Mild,
        "IPv4 packets dropped on the way out (firewall, queue)",
        "发送途中被丢弃的 IPv4 报文（防火墙、队列）",
    ),
    ("Ip.ForwDatagrams", Plain, "IPv4 packets forwarded", "转发的 IPv4 报文"),
    (
        "Ip.FragFails",
        Mild,
        "IPv4 packets too large for the link that could not be cut",
        "过大且无法分片的 IPv4 报文",
    ),
    ("Ip.ReasmFails", Mild, "IPv4 packets whose fragments did not all come", "分片未到齐的 IPv4 报文"),
    ("Ip6.OutForwDatagrams", Plain, "IPv6 packets forwarded", "转发的 IPv6 报文"),
    ("Icmp.OutMsgs", Plain, "ICMP messages sent", "发出的 ICMP 报文"),
    ("Icmp6.OutMsgs", Plain, "ICMPv6 messages sent", "发出的 ICMPv6 报文"),
    ("Udp6.OutDatagrams", Plain, "UDP datagrams over IPv6 sent", "经 IPv6 发出的 UDP 报文"),
    ("Udp.OutDatagrams", Plain, "UDP datagrams sent", "发出的 UDP 报文"),
    ("Udp.InDatagrams", Plain, "UDP datagrams received", "收到的 UDP 报文"),
    ("Udp.NoPorts", Mild, "UDP datagrams for a port nobody listens on", "发往无监听端口的 UDP 报文"),
    (
        "Udp.RcvbufErrors",
        Grave,
        "UDP datagrams dropped because a receive buffer was full",
        "UDP 接收缓冲区满而丢弃的报文",
    ),
    (
        "Udp.SndbufErrors",
        Grave,
        "UDP datagrams dropped because a send buffer was full",
        "UDP 发送缓冲区满而丢弃的报文",
    ),
    (
        "Udp6.RcvbufErrors",
        Grave,
        "UDP datagrams over IPv6 dropped because a receive buffer was full",
        "IPv6 UDP 接收缓冲区满而丢弃的报文",
    ),
    ("Icmp.InDestUnreachs", Mild, "ICMP destination unreachable received", "收到的 ICMP 目标不可达"),
    ("Icmp.OutDestUnreachs", Mild, "ICMP destination unreachable sent", "发出的 ICMP 目标不可达"),
    (
        "Icmp.OutRateLimitHost",
        Mild,
        "ICMP errors withheld by the per-host rate limit",
        "因单主机限速未发出的 ICMP 错误",
    ),
    (
        "Conntrack.insert_failed",
        Mild,
        "connections that could not be entered (clash, no free NAT port)",
        "未能插入连接跟踪表的连接（冲突或 NAT 端口不足）",
    ),
    (
        "Conntrack.drop",
        Grave,
        "packets dropped because connection tracking failed or its table was full",
        "因连接跟踪失败或表满而丢弃的报文",
    ),
    (
        "Conntrack.early_drop",
        Grave,
        "entries thrown out to make room in a full table",
        "表满而被提前清除的连接跟踪条目",
    ),
    ("Conntrack.invalid", Mild, "packets connection tracking could not place", "连接跟踪判为 INVALID 的报文"),
    (
        "Softnet.dropped",
        Grave,
        "packets dropped because a CPU's backlog was full",
        "CPU 接收 backlog 满而丢弃的报文",
    ),
    (
        "Softnet.time_squeeze",
        Mild,
        "times a CPU ran out of its turn with packets left",
        "软中断配额用尽仍有待处理报文的次数",
    ),
    ("Vm.oom_kill", Grave, "processes killed for lack of memory", "因内存不足被内核杀死的进程"),
    ("ArpCache.table_fulls", Grave, "times the IPv4 neighbour table was full", "IPv4 邻居表满的次数"),
    ("NdiscCache.table_fulls", Grave, "times the IPv6 neighbour table was full", "IPv6 邻居表满的次数"),
];

/// What any counter of IPsec that rises means.
const XFRM: (&str, &str) = ("packets refused by IPsec", "被 IPsec 拒绝的报文");
/// Counters of IPsec that rise in health: none of a policy, all of a state being made.
const XFRM_HARMLESS: [&str; 1] = ["Xfrm.XfrmAcquireError"];

/// Builds the section from the last reading and, when there was a window, the first.
pub(crate) fn read(now: &Counters, before: Option<&Counters>) -> Section {
    let mut readings: Vec<Reading> =
        ROWS.iter().filter(|(name, ..)| now.has(name)).map(|row| counter(row, now, before)).collect();
    for (name, value, from) in now.iter().filter(|(_, value, _)| *value > 0) {
        let rose = before.map(|before| delta(value, before.get(name)));
        let is_cpu = name.starts_with("Softnet.cpu");
        if is_cpu || name.starts_with("Xfrm.") {
            let one = reading(name, value, from).unit("packets").delta(rose);
            let grave = !is_cpu && !XFRM_HARMLESS.contains(&name);
            readings.push(if grave { judged(one, Grave, XFRM.0, XFRM.1) } else { one });
        }
    }
    section("counters", "Counters of the kernel", "内核计数器", readings)
}

fn counter((name, weight, en, zh): &Row, now: &Counters, before: Option<&Counters>) -> Reading {
    let value = now.get(name);
    let rose = before.map(|before| delta(value, before.get(name)));
    judged(reading(*name, value, now.from(name)).delta(rose), *weight, en, zh)
}

/// A counter that stands still is history; one that rises is now.
fn judged(one: Reading, weight: Weight, en: &str, zh: &str) -> Reading {
    let rises = one.delta.is_some_and(|delta| delta > 0);
    let state = match weight {
        Grave if rises => State::Bad,
        Grave if one.delta.is_none() && one.value != "0" => State::Odd,
        _ => State::Well,
    };
    one.said(state, en, zh)
}

/// A counter that went back was reset: no rise.
fn delta(now: u64, before: u64) -> i64 {
    i64::try_from(now.saturating_sub(before)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_s_counters_are_named() {
        let now = crate::counters::read();
        let section = read(&now, Some(&now));
        let overflow = section.readings.iter().find(|one| one.name == "TcpExt.ListenOverflows").unwrap();
        assert_eq!((overflow.delta, overflow.state), (Some(0), State::Well));
        assert_eq!(overflow.from, "/proc/thread-self/net/netstat");
        assert!(section.readings.len() > 50);
    }

    #[test]
    fn every_row_is_named_once() {
        let mut names: Vec<&str> = ROWS.iter().map(|row| row.0).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
