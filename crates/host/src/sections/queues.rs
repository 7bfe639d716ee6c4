//! What queues are limited by, and how full the fullest are.

use super::{Said, fill, percent, reading, section};
use crate::files::number;
use netwhy_model::host::{Listener, Reading, Section, SocketCounts, State, Transport};
use std::collections::BTreeMap;

/// Listeners named by their queue.
const LISTENER_COUNT_MAX: usize = 16;
/// A backlog below this does not take a burst of connections.
const BACKLOG_SMALL: u32 = 16;

const LIMITS: &[(&str, &str, &str)] = &[
    ("net.core.somaxconn", "most places an accept queue may have", "全连接队列长度上限"),
    (
        "net.ipv4.tcp_max_syn_backlog",
        "half-open connections per listener without cookies",
        "不使用 Cookie 时每个监听的半连接上限",
    ),
    (
        "net.core.netdev_max_backlog",
        "packets a CPU may hold before the IP layer",
        "每个 CPU 在 IP 层之前可排队的报文数",
    ),
    ("net.core.rmem_max", "largest receive buffer a program may ask for", "程序可申请的最大接收缓冲区"),
    ("net.core.wmem_max", "largest send buffer a program may ask for", "程序可申请的最大发送缓冲区"),
];

/// So many half-open connections of this host's own, and more than it has open, mean that something is off.
const SYN_SENT_ODD: u64 = 24;

/// Packets dropped by each interface's sending queue, now and at the start of the window.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    pub(crate) now: BTreeMap<String, u64>,
    pub(crate) before: Option<BTreeMap<String, u64>>,
}

/// Builds the section.
pub(crate) fn read(listeners: &[Listener], counts: &SocketCounts, sending: &Sending) -> Section {
    let mut readings: Vec<Reading> = LIMITS
        .iter()
        .filter_map(|(name, en, zh)| {
            let path = super::settings::path(name);
            Some(reading(*name, number(&path)?, path).said(State::Well, *en, *zh))
        })
        .collect();
    readings.extend(waiting(counts));
    readings.extend(accept_queues(listeners));
    readings.extend(datagram_drops(listeners));
    readings.extend(sending.now.iter().filter(|(_, drops)| **drops > 0).map(|(name, drops)| {
        let before = sending.before.as_ref().map(|before| before.get(name).copied().unwrap_or(*drops));
        let rose = before.map(|before| i64::try_from(drops.saturating_sub(before)).unwrap_or(i64::MAX));
        let state = if rose.is_some_and(|rose| rose > 0) { State::Odd } else { State::Well };
        reading(format!("{name} qdisc drops"), drops, "rtnetlink RTM_GETQDISC")
            .unit("packets")
            .delta(rose)
            .said(
                state,
                "packets the sending queue dropped since it was set up",
                "发送队列建立以来丢弃的报文",
            )
    }));
    section("queues", "Queues", "队列", readings)
}

/// Connections this host began and nobody answered yet, against those that are open.
fn waiting(counts: &SocketCounts) -> [Reading; 2] {
    let sent = reading("SYN_SENT", counts.syn_sent, "sock_diag").unit("connections");
    let odd = counts.syn_sent >= SYN_SENT_ODD && counts.syn_sent > counts.established;
    let sent = if odd {
        sent.said(
            State::Odd,
            format!(
                "{} to {} open ones: what this host connects to does not answer",
                counts.syn_sent, counts.established
            ),
            format!("与已建立连接之比为 {} : {}：所连对端没有应答", counts.syn_sent, counts.established),
        )
    } else {
        sent
    };
    [sent, reading("SYN_RECV", counts.syn_recv, "sock_diag").unit("connections")]
}

fn accept_queues(listeners: &[Listener]) -> Vec<Reading> {
    let mut full: Vec<&Listener> = listeners.iter().filter(|l| l.transport == Transport::Tcp).collect();
    full.sort_by_key(|listener| std::cmp::Reverse(percent(listener.queue.into(), listener.queue_max.into())));
    full.into_iter()
        .take(LISTENER_COUNT_MAX)
        .map(|listener| {
            let one = reading(format!("accept queue {}", listener.address), listener.queue, "sock_diag")
                .unit("connections")
                .limit(listener.queue_max);
            if listener.queue > 0 && listener.queue >= listener.queue_max {
                one.said(
                    State::Bad,
                    "the application does not accept: the queue is full",
                    "应用没有 accept，队列已满",
                )
            } else if listener.queue_max < BACKLOG_SMALL && !listener.address.ip().is_loopback() {
                one.said(
                    State::Odd,
                    "a very small backlog: a burst of connections overflows it",
                    "backlog 过小，突发连接会溢出",
                )
            } else {
                Reading { state: fill(listener.queue.into(), listener.queue_max.into()), ..one }
            }
        })
        .collect()
}

fn datagram_drops(listeners: &[Listener]) -> Vec<Reading> {
    listeners
        .iter()
        .filter(|listener| listener.drops.is_some_and(|drops| drops > 0))
        .take(LISTENER_COUNT_MAX)
        .map(|listener| {
            let kind = if listener.transport == Transport::Tcp { "TCP" } else { "UDP" };
            reading(
                format!("{kind} {} drops", listener.address),
                listener.drops.unwrap_or(0),
                "sock_diag SK_MEMINFO_DROPS",
            )
            .unit("packets")
            .said(
                State::Odd,
                "packets this socket dropped since it opened",
                "该套接字打开以来丢弃的报文",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_is_bad() {
        let listener = Listener {
            transport: Transport::Tcp,
            address: "0.0.0.0:80".parse().unwrap(),
            v6_only: false,
            interface: None,
            queue: 129,
            queue_max: 128,
            half_open: 0,
            drops: Some(3),
            inode: 1,
            pids: Vec::new(),
        };
        let counts = SocketCounts { syn_sent: 30, established: 2, ..SocketCounts::default() };
        let section = read(&[listener], &counts, &Sending::default());
        assert!(section.readings.iter().any(|one| one.name == "SYN_SENT" && one.state == State::Odd));
        let queue = section.readings.iter().find(|one| one.name.starts_with("accept queue")).unwrap();
        assert_eq!((queue.state, queue.limit.as_deref()), (State::Bad, Some("128")));
        assert!(section.readings.iter().any(|one| one.name == "net.core.somaxconn"));
        assert!(section.readings.iter().any(|one| one.name == "TCP 0.0.0.0:80 drops"));
    }
}
