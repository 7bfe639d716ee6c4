//! Settings of the kernel that break connectivity, each with what it does.

use super::{Said, reading, section};
use crate::files::{Gaps, text};
use crate::network::Network;
use netwhy_model::host::{Interface, Reading, Section, State};

/// Interfaces whose own settings are looked at.
const INTERFACE_COUNT_MAX: usize = 64;
/// An MTU below this is unusual for IPv4; IPv6 does not work below 1,280.
const MTU_ODD: u32 = 1_280;

/// When a setting is worth a note.
enum When {
    Is(&'static str),
    Below(i64),
    Above(i64),
    /// Only shown.
    Never,
}

/// Name, when it is odd, how odd, what it does in English and Chinese.
type Row = (&'static str, When, State, &'static str, &'static str);

use State::{Bad, Odd, Well};
use When::{Above, Below, Is, Never};

const ROWS: &[Row] = &[
    (
        "net.ipv4.tcp_syncookies",
        Is("0"),
        Odd,
        "SYN cookies are off: a full SYN queue drops every new connection",
        "未启用 SYN Cookie：半连接队列满时新连接全部被丢弃",
    ),
    (
        "net.ipv4.tcp_abort_on_overflow",
        Is("1"),
        Odd,
        "a full accept queue answers with a reset instead of waiting: clients see \"connection reset\"",
        "全连接队列满时直接发 RST，客户端看到“连接被重置”",
    ),
    (
        "net.ipv4.tcp_tw_reuse",
        Is("1"),
        Well,
        "local ports in TIME_WAIT may be taken again after a second, needs timestamps at both ends",
        "TIME_WAIT 端口一秒后可复用，需双方启用时间戳",
    ),
    (
        "net.ipv4.tcp_tw_recycle",
        Is("1"),
        Bad,
        "drops connections of clients behind one NAT (removed in Linux 4.12)",
        "会丢弃同一 NAT 后客户端的连接（Linux 4.12 起已移除）",
    ),
    (
        "net.ipv4.tcp_rfc1337",
        Is("1"),
        Odd,
        "a reset no longer ends TIME_WAIT early: old timestamps keep refusing a client that rebooted",
        "RST 不再提前结束 TIME_WAIT：重启过的客户端会因旧时间戳持续被拒",
    ),
    (
        "net.ipv4.tcp_timestamps",
        Is("0"),
        Odd,
        "no timestamps: tcp_tw_reuse has no effect and round trips are measured worse",
        "未启用时间戳：tcp_tw_reuse 无效，RTT 测量变差",
    ),
    (
        "net.ipv4.tcp_window_scaling",
        Is("0"),
        Odd,
        "windows stay below 64 KiB: slow over long paths",
        "窗口不超过 64 KiB，长时延链路吞吐很低",
    ),
    (
        "net.ipv4.tcp_sack",
        Is("0"),
        Odd,
        "without selective acknowledgements every loss costs much more",
        "未启用 SACK，丢包代价大增",
    ),
    (
        "net.ipv4.tcp_max_syn_backlog",
        Below(128),
        Odd,
        "few half-open connections fit when cookies are off",
        "未启用 Cookie 时可容纳的半连接很少",
    ),
    (
        "net.ipv4.tcp_max_tw_buckets",
        Below(1_024),
        Odd,
        "TIME_WAIT is cut short: late packets may hit new connections",
        "TIME_WAIT 数量受限，迟到报文可能干扰新连接",
    ),
    (
        "net.ipv4.tcp_fin_timeout",
        Above(120),
        Odd,
        "orphaned connections stay long in FIN_WAIT_2",
        "孤儿连接在 FIN_WAIT_2 停留过久",
    ),
    (
        "net.ipv4.tcp_syn_retries",
        Below(2),
        Odd,
        "a connection is given up after one lost SYN or two",
        "丢一两个 SYN 就放弃连接",
    ),
    (
        "net.ipv4.tcp_synack_retries",
        Below(2),
        Odd,
        "a handshake is given up after one lost SYN-ACK or two",
        "丢一两个 SYN-ACK 就放弃握手",
    ),
    (
        "net.ipv4.tcp_retries2",
        Below(5),
        Odd,
        "open connections are dropped after a short disturbance",
        "短暂中断就会断开已建立的连接",
    ),
    (
        "net.ipv4.tcp_keepalive_time",
        Above(7_200),
        Odd,
        "dead peers are found after more than two hours",
        "两小时以上才能发现失联的对端",
    ),
    ("net.ipv4.tcp_keepalive_intvl", Never, Well, "", ""),
    ("net.ipv4.tcp_keepalive_probes", Never, Well, "", ""),
    ("net.ipv4.tcp_mtu_probing", Never, Well, "", ""),
    (
        "net.ipv4.tcp_ecn",
        Is("1"),
        Odd,
        "asks for ECN on every connection: some old firewalls drop such SYNs",
        "每个连接都请求 ECN，部分旧防火墙会丢弃这种 SYN",
    ),
    ("net.ipv4.tcp_fastopen", Never, Well, "", ""),
    ("net.ipv4.tcp_congestion_control", Never, Well, "", ""),
    ("net.ipv4.tcp_rmem", Never, Well, "", ""),
    ("net.ipv4.tcp_wmem", Never, Well, "", ""),
    ("net.ipv4.ip_forward", Never, Well, "", ""),
    ("net.ipv6.conf.all.forwarding", Never, Well, "", ""),
    (
        "net.ipv4.ip_default_ttl",
        Below(32),
        Bad,
        "packets do not reach hosts that are more hops away",
        "报文到不了更远的主机",
    ),
    (
        "net.ipv4.ip_no_pmtu_disc",
        Is("3"),
        Odd,
        "path MTU errors are ignored unless they can be verified",
        "忽略无法验证的路径 MTU 错误",
    ),
    ("net.ipv4.ip_local_port_range", Never, Well, "", ""),
    ("net.ipv4.ip_local_reserved_ports", Never, Well, "", ""),
    ("net.ipv4.ip_unprivileged_port_start", Never, Well, "", ""),
    (
        "net.ipv4.ip_nonlocal_bind",
        Is("1"),
        Well,
        "programs may bind addresses this host does not have",
        "程序可绑定本机没有的地址",
    ),
    (
        "net.ipv4.icmp_echo_ignore_all",
        Is("1"),
        Odd,
        "this host does not answer ping: not a sign that it is down",
        "本机不应答 ping，不代表宕机",
    ),
    (
        "net.ipv6.icmp.echo_ignore_all",
        Is("1"),
        Odd,
        "this host does not answer ping over IPv6",
        "本机不应答 IPv6 ping",
    ),
    ("net.ipv4.icmp_ratelimit", Never, Well, "", ""),
    (
        "net.ipv4.conf.all.arp_ignore",
        Above(0),
        Odd,
        "does not answer ARP for every own address",
        "不会对本机所有地址应答 ARP",
    ),
    (
        "net.ipv4.conf.all.arp_filter",
        Is("1"),
        Odd,
        "answers ARP only on the interface its route points to",
        "仅在路由指向的接口上应答 ARP",
    ),
    ("net.ipv4.conf.all.arp_announce", Never, Well, "", ""),
    ("net.ipv4.conf.default.rp_filter", Never, Well, "", ""),
    ("net.ipv4.conf.all.accept_local", Never, Well, "", ""),
    (
        "net.ipv4.conf.all.route_localnet",
        Is("1"),
        Well,
        "127.0.0.0/8 may be routed: services bound to the loopback may be reached from outside",
        "127.0.0.0/8 可被路由，绑定在回环的服务可能被外部访问",
    ),
    (
        "net.ipv6.conf.all.disable_ipv6",
        Is("1"),
        Odd,
        "IPv6 is off on every interface",
        "所有接口的 IPv6 都已关闭",
    ),
    (
        "net.ipv6.conf.default.disable_ipv6",
        Is("1"),
        Odd,
        "IPv6 is off on new interfaces",
        "新接口的 IPv6 默认关闭",
    ),
    (
        "net.ipv6.bindv6only",
        Is("1"),
        Odd,
        "a listener on [::] takes no IPv4 unless it asks for it",
        "监听 [::] 默认不接受 IPv4",
    ),
];

/// The file of a setting.
pub(crate) fn path(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}

/// Builds the section.
pub(crate) fn read(network: &Network, gaps: &mut Gaps) -> Section {
    let mut readings = Vec::new();
    for (name, when, state, en, zh) in ROWS {
        let path = path(name);
        match text(&path) {
            Ok(value) => {
                let one = reading(*name, value.trim().replace('\t', " "), path);
                let odd = is_odd(when, value.trim());
                readings.push(if odd { one.said(*state, *en, *zh) } else { one });
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => gaps.failed(&path, &error),
            Err(_) => {}
        }
    }
    judge_forwarding(&mut readings, network);
    judge_buffers(&mut readings);
    for interface in network.interfaces.iter().take(INTERFACE_COUNT_MAX) {
        readings.extend(of_interface(interface, network));
    }
    section("settings", "Settings", "设置", readings)
}

fn is_odd(when: &When, value: &str) -> bool {
    let number = value.split_whitespace().next().and_then(|word| word.parse::<i64>().ok());
    match when {
        Is(odd) => value == *odd,
        Below(limit) => number.is_some_and(|number| number < *limit),
        Above(limit) => number.is_some_and(|number| number > *limit),
        Never => false,
    }
}

/// A host with several networks or containers mostly means to forward.
fn judge_forwarding(readings: &mut [Reading], network: &Network) {
    let bridges: Vec<&str> = network
        .interfaces
        .iter()
        .filter(|interface| {
            interface.up && network.kinds.get(&interface.name).is_some_and(|kind| kind == "bridge")
        })
        .filter(|interface| !interface.addresses.is_empty())
        .map(|interface| interface.name.as_str())
        .collect();
    if bridges.is_empty() {
        return;
    }
    for one in readings.iter_mut().filter(|one| one.name == "net.ipv4.ip_forward" && one.value == "0") {
        *one = one.clone().said(
            Odd,
            format!(
                "forwarding is off, yet {} looks like a network of containers or machines behind this host",
                bridges.join(", ")
            ),
            format!("未开启转发，但 {} 像是本机之后的容器或虚拟机网络", bridges.join(", ")),
        );
    }
}

/// The third number of tcp_rmem and tcp_wmem bounds what one connection may have in flight.
fn judge_buffers(readings: &mut [Reading]) {
    const BUFFER_BYTES_SMALL: u64 = 256 << 10;
    for one in
        readings.iter_mut().filter(|one| one.name == "net.ipv4.tcp_rmem" || one.name == "net.ipv4.tcp_wmem")
    {
        let largest = one.value.split_whitespace().nth(2).and_then(|word| word.parse::<u64>().ok());
        if largest.is_some_and(|bytes| bytes < BUFFER_BYTES_SMALL) {
            *one = one.clone().said(
                Odd,
                "the largest buffer is small: slow over paths with a long round trip",
                "缓冲区上限过小，长时延路径上吞吐很低",
            );
        }
    }
}

fn of_interface(interface: &Interface, network: &Network) -> Vec<Reading> {
    let mut readings = Vec::new();
    let name = &interface.name;
    let mtu = reading(format!("{name} MTU"), interface.mtu, "rtnetlink RTM_GETLINK").unit("bytes");
    if interface.mtu < MTU_ODD && interface.up {
        readings.push(mtu.said(
            Odd,
            "below 1280 bytes: IPv6 does not work and large packets need cutting",
            "低于 1280 字节：IPv6 无法工作，大包需分片",
        ));
    } else {
        readings.push(mtu);
    }
    readings.extend(reverse_path_filter(name, network));
    let off = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    let takes_part = interface.up && name != "lo";
    if takes_part && text(&off).is_ok_and(|value| value.trim() == "1") {
        readings.push(reading(format!("net.ipv6.conf.{name}.disable_ipv6"), 1, off).said(
            Well,
            "IPv6 is off on this interface",
            "该接口已关闭 IPv6",
        ));
    }
    readings
}

/// The stricter of "all" and the interface's own counts.
fn reverse_path_filter(name: &str, network: &Network) -> Option<Reading> {
    let own_path = format!("/proc/sys/net/ipv4/conf/{name}/rp_filter");
    let number = |path: &str| text(path).ok()?.trim().parse::<u8>().ok();
    let own = number(&own_path)?;
    let all = number("/proc/sys/net/ipv4/conf/all/rp_filter").unwrap_or(0);
    let one = reading(format!("net.ipv4.conf.{name}.rp_filter"), own.max(all), own_path);
    let others = network
        .interfaces
        .iter()
        .filter(|other| {
            other.up && other.name != "lo" && other.addresses.iter().any(|text| text.contains('.'))
        })
        .count();
    Some(if own.max(all) == 1 && name != "lo" && others > 1 {
        one.said(
            Odd,
            "strict, on a host with several networks: packets whose answer would leave by another interface are dropped",
            "多网卡主机上的严格模式：应答会从其他接口发出的报文将被丢弃",
        )
    } else {
        one
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_s_settings_are_read() {
        let mut gaps = Gaps::default();
        let network = crate::network::read(&mut gaps);
        let section = read(&network, &mut gaps);
        let get = |name: &str| section.readings.iter().find(|one| one.name == name);
        assert!(get("net.ipv4.tcp_syncookies").is_some());
        assert!(get("lo MTU").is_some());
        assert_eq!(get("net.ipv4.ip_forward").unwrap().from, "/proc/sys/net/ipv4/ip_forward");
    }

    #[test]
    fn conditions_hold() {
        assert!(is_odd(&Is("0"), "0") && !is_odd(&Is("0"), "1"));
        assert!(is_odd(&Below(32), "31") && !is_odd(&Below(32), "64") && !is_odd(&Below(32), "x"));
        assert!(is_odd(&Above(0), "2") && !is_odd(&Never, "9"));
    }

    #[test]
    fn small_buffers_are_odd() {
        let mut readings = vec![reading("net.ipv4.tcp_rmem", "4096 8192 16384", "f")];
        judge_buffers(&mut readings);
        assert_eq!(readings[0].state, Odd);
    }
}
