//! Connections: by state, by port, the peers that stand out, what runs out of ports, and the slowest.

use super::part::{Cell, Item, Part, Table};
use super::sockets::process_label;
use super::words::{bytes, fill_state, grouped, percent};
use super::{Looked, Topic};
use netwhy_model::Lang;
use netwhy_model::host::{FanOut, PeerCount, PortDemand, PortUse, SlowSocket, SocketCounts, State};
use std::net::SocketAddr;

/// Rows of one table unless everything is wanted.
const ROW_COUNT_MAX: usize = 8;
/// Rows of one table when everything is wanted.
const ROW_FULL_COUNT_MAX: usize = 2_000;
/// Least ratio of connections begun to those made that is told: a host that reaches what it asks for is far below.
const SYN_RATIO_MIN: f64 = 0.05;
/// Least share of the local ports one destination takes that is told, 0 to 1.
const DEMAND_FILL_MIN: f64 = 0.1;
/// Targets named of connections that spread.
const EXAMPLE_COUNT_MAX: usize = 3;

/// All about connections.
pub(super) fn part(looked: &Looked<'_>) -> Part {
    let brief = told(looked, false);
    let everything = told(looked, true);
    let rows = |items: &[Item]| -> usize {
        items.iter().map(|item| if let Item::Table(table) = item { table.rows.len() } else { 0 }).sum()
    };
    let full = if rows(&everything) > rows(&brief) { everything } else { Vec::new() };
    Part { title: looked.say("Connections", "连接"), brief, full, topic: Topic::Connections }
}

fn told(looked: &Looked<'_>, full: bool) -> Vec<Item> {
    let (snapshot, lang) = (looked.snapshot, looked.lang);
    let mut items = vec![Item::Line(State::Well, states(&snapshot.counts, lang))];
    let mut add = |title: Option<String>, table: Table| {
        if !table.rows.is_empty() {
            items.extend(title.map(|title| Item::Line(State::Well, title)));
            let rows_max = if full { ROW_FULL_COUNT_MAX } else { ROW_COUNT_MAX };
            items.push(table.first(rows_max).without_empty_columns().into());
        }
    };
    add(None, peer_table(&snapshot.peers, lang));
    let ports = match full {
        true => looked.say("By port:", "按端口："),
        false => looked.say("Ports whose connections wait:", "连接在等待的端口："),
    };
    add(Some(ports), port_table(&snapshot.ports, full, looked));
    let demands = looked.say("Local ports in use by destination:", "各目的地占用的本地端口：");
    add(Some(demands), demand_table(&snapshot.demands, full, lang));
    let spread = looked.say("Outgoing connections that spread:", "分散的对外连接：");
    add(Some(spread), fan_out_table(&snapshot.fan_outs, looked));
    let slow = looked.say("Connections that do worst:", "状况最差的连接：");
    add(Some(slow), slow_table(&snapshot.slow, looked));
    items
}

/// Every state that has a socket, in the kernel's own words.
fn states(counts: &SocketCounts, lang: Lang) -> String {
    let all = [
        ("ESTABLISHED", counts.established),
        ("SYN_SENT", counts.syn_sent),
        ("SYN_RECV", counts.syn_recv),
        ("FIN_WAIT1", counts.fin_wait_1),
        ("FIN_WAIT2", counts.fin_wait_2),
        ("TIME_WAIT", counts.time_wait),
        ("CLOSE_WAIT", counts.close_wait),
        ("LAST_ACK", counts.last_ack),
        ("CLOSING", counts.closing),
        ("LISTEN", counts.listen),
        ("UDP", counts.udp),
    ];
    let some = all.iter().filter(|(_, count)| *count > 0);
    let mut told: Vec<String> = some.map(|(name, count)| format!("{name} {}", grouped(*count))).collect();
    if told.is_empty() {
        return lang.pick("no socket at all", "没有任何套接字").to_owned();
    }
    let ratio = counts.syn_sent as f64 / counts.established.max(1) as f64;
    if ratio >= SYN_RATIO_MIN {
        told.push(format!("SYN_SENT:ESTABLISHED {ratio:.2}"));
    }
    told.join(" · ")
}

fn peer_table(peers: &[PeerCount], lang: Lang) -> Table {
    let mut table = Table::new(&[
        lang.pick("state", "状态"),
        lang.pick("peer", "对端"),
        lang.pick(">own port", ">本机端口"),
        lang.pick(">sockets", ">套接字数"),
    ]);
    for peer in peers {
        let address = match peer.port {
            Some(port) => SocketAddr::new(peer.peer, port).to_string(),
            None => peer.peer.to_string(),
        };
        let own = peer.own_port.map_or_else(String::new, |port| port.to_string());
        table.row(
            State::Well,
            vec![peer.state.clone().into(), address.into(), own.into(), grouped(peer.count).into()],
        );
    }
    table
}

/// Ports some of whose connections are not served; or all ports.
fn port_table(ports: &[PortUse], full: bool, looked: &Looked<'_>) -> Table {
    let lang = looked.lang;
    let mut table = Table::new(&[
        lang.pick(">port", ">端口"),
        "?>ESTABLISHED",
        lang.pick(">half-open", ">半连接"),
        lang.pick(">not accepted", ">未 accept"),
        lang.pick(">unread", ">未读"),
        lang.pick("?>unread for", "?>未读时长"),
        lang.pick(">slow requests", ">慢请求"),
        "?>CLOSE_WAIT",
        lang.pick("?>peers", "?>对端数"),
        lang.pick("?busiest peer", "?最多的对端"),
        lang.pick("process", "进程"),
    ]);
    let waits = |port: &PortUse| port.not_accepted + port.unread + port.starved + port.close_wait > 0;
    for port in ports.iter().filter(|port| full || waits(port)) {
        let busiest = port.busiest.map(|(peer, count)| format!("{peer} ({})", grouped(count)));
        let waited = match port.unread_ms_max {
            0 => String::new(),
            ms => format!("{:.1} s", ms as f64 / 1_000.0),
        };
        table.row(
            State::Well,
            vec![
                port.port.to_string().into(),
                some(port.established),
                some(port.half_open),
                some(port.not_accepted),
                some(port.unread),
                waited.into(),
                some(port.starved),
                some(port.close_wait),
                some(port.peers),
                busiest.unwrap_or_default().into(),
                process_label(looked.snapshot, &port.pids).into(),
            ],
        );
    }
    table
}

/// Destinations that take a good part of the local ports; or all.
fn demand_table(demands: &[PortDemand], full: bool, lang: Lang) -> Table {
    let mut table = Table::new(&[
        lang.pick("destination", "目的地"),
        lang.pick("?from", "?源地址"),
        lang.pick("?#fill", "?#占用"),
        lang.pick(">share", ">比例"),
        lang.pick(">ports", ">端口数"),
        lang.pick(">limit", ">上限"),
        "?>TIME_WAIT",
    ]);
    for demand in demands {
        let fill = (demand.range > 0).then(|| demand.used as f64 / demand.range as f64);
        if !full && fill.unwrap_or(0.0) < DEMAND_FILL_MIN {
            continue;
        }
        table.row(
            fill_state(fill),
            vec![
                demand.to.to_string().into(),
                demand.from.to_string().into(),
                Cell::Fill(fill),
                fill.map_or_else(String::new, percent).into(),
                grouped(demand.used).into(),
                grouped(demand.range).into(),
                some(demand.time_wait),
            ],
        );
    }
    table
}

fn fan_out_table(fan_outs: &[FanOut], looked: &Looked<'_>) -> Table {
    let lang = looked.lang;
    let mut table = Table::new(&[
        lang.pick("to", "去往"),
        lang.pick(">targets", ">目标数"),
        ">SYN_SENT",
        "?>ESTABLISHED",
        lang.pick("?>ended", "?>已结束"),
        lang.pick("process", "进程"),
        lang.pick("?such as", "?例如"),
    ]);
    for fan_out in fan_outs {
        let to = match (fan_out.port, fan_out.host) {
            (Some(port), _) => format!("{} {port}", lang.pick("port", "端口")),
            (None, Some(host)) => host.to_string(),
            (None, None) => String::new(),
        };
        let such: Vec<String> =
            fan_out.examples.iter().take(EXAMPLE_COUNT_MAX).map(ToString::to_string).collect();
        table.row(
            State::Well,
            vec![
                to.into(),
                grouped(fan_out.targets).into(),
                some(fan_out.half_open),
                some(fan_out.established),
                some(fan_out.ended),
                process_label(looked.snapshot, &fan_out.pids).into(),
                such.join(" ").into(),
            ],
        );
    }
    table
}

fn slow_table(slow: &[SlowSocket], looked: &Looked<'_>) -> Table {
    let lang = looked.lang;
    let mut table = Table::new(&[
        lang.pick("local", "本端"),
        lang.pick("peer", "对端"),
        lang.pick(">retransmits", ">重传"),
        lang.pick("?>lost", "?>丢失"),
        lang.pick(">RTT (varies by)", ">RTT（抖动）"),
        lang.pick("?>unread", "?>未读"),
        lang.pick("?>unsent", "?>未发"),
        lang.pick("?control", "?拥塞算法"),
        lang.pick("process", "进程"),
    ]);
    let size = |count: u32| if count > 0 { bytes(u64::from(count)) } else { String::new() };
    for socket in slow {
        let rtt = match socket.rtt_ms {
            ms if ms > 0.0 => format!("{ms:.1} ({:.1}) ms", socket.rtt_var_ms),
            _ => String::new(),
        };
        let state = if socket.state == "ESTABLISHED" { "" } else { socket.state.as_str() };
        table.row(
            State::Well,
            vec![
                socket.local.to_string().into(),
                format!("{} {state}", socket.peer).trim_end().into(),
                some(u64::from(socket.retransmits)),
                some(u64::from(socket.lost)),
                rtt.into(),
                size(socket.unread_bytes).into(),
                size(socket.unsent_bytes).into(),
                socket.congestion.clone().into(),
                process_label(looked.snapshot, &socket.pids).into(),
            ],
        );
    }
    table
}

/// A count, or nothing for none.
fn some(count: u64) -> Cell {
    if count > 0 { grouped(count).into() } else { "".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_without_sockets_are_not_named() {
        let counts = SocketCounts { established: 12_000, syn_sent: 600, ..SocketCounts::default() };
        assert_eq!(
            states(&counts, Lang::En),
            "ESTABLISHED 12,000 · SYN_SENT 600 · SYN_SENT:ESTABLISHED 0.05"
        );
        assert_eq!(states(&SocketCounts::default(), Lang::En), "no socket at all");
    }
}
