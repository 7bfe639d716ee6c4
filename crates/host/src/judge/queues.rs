//! Accept queues, SYN queues, and what sits before them.

use super::view::View;
use super::{Finding, Proven, finding};
use netwhy_model::host::{Listener, Severity};

/// A queue this full, in percent, is close to refusing.
const QUEUE_PERCENT_RISK: u64 = 80;
/// A queue with so few places fills by chance.
const QUEUE_PLACES_MIN: u32 = 8;
/// A backlog up to this is too small for a public service under bursts.
const BACKLOG_SMALL: u32 = 128;
/// So many packets thrown away in the window are more than chance.
const DROPS_MIN: u64 = 1;

pub(super) fn judge(view: &View, found: &mut Vec<Finding>) {
    accept_queues(view, found);
    syn_queues(view, found);
    device_queues(view, found);
    datagrams(view, found);
}

fn accept_queues(view: &View, found: &mut Vec<Finding>) {
    const OVERFLOWS: &str = "TcpExt.ListenOverflows";
    let overflows = view.rose(OVERFLOWS);
    let mut any_full = false;
    for listener in view.tcp().filter(|listener| listener.queue_max > 0 && listener.queue > 0) {
        let (queue, places) = (u64::from(listener.queue), u64::from(listener.queue_max));
        // The kernel takes one more than the limit says (sk_acceptq_is_full).
        let severity = match queue {
            _ if queue > places => Severity::Broken,
            _ if queue == places && overflows > 0 => Severity::Broken,
            _ if listener.queue_max >= QUEUE_PLACES_MIN && queue * 100 >= places * QUEUE_PERCENT_RISK => {
                Severity::Risk
            }
            _ => continue,
        };
        any_full |= severity == Severity::Broken;
        // A stopped process is its own finding, and explains the queue.
        if view.holder(listener).is_some_and(|process| process.state == "T") {
            continue;
        }
        found.push(queue_finding(view, listener, severity).proofs(if overflows > 0 {
            view.proof(OVERFLOWS)
        } else {
            vec![]
        }));
    }
    if overflows > 0 && !any_full {
        let smallest = view.tcp().filter(|l| !l.address.ip().is_loopback()).min_by_key(|l| l.queue_max);
        let small = smallest.filter(|listener| listener.queue_max <= BACKLOG_SMALL);
        let cause =
            if small.is_some() { "host.listen.backlog_small" } else { "host.listen.accept_queue_full" };
        let mut one = finding(
            cause,
            Severity::Risk,
            format!("An accept queue overflowed {overflows} times in the window, and is not full now: bursts of connections are dropped."),
            format!("观察窗口内全连接队列溢出 {overflows} 次，当前未满：突发连接被丢弃。"),
        )
        .proofs(view.proof(OVERFLOWS));
        if let Some(listener) = small {
            one = one
                .about(view.label(listener))
                .proof(format!("{} has a backlog of {}, sock_diag", listener.address, listener.queue_max));
        }
        found.push(one);
    } else if overflows == 0 && view.snapshot.window_ms == 0 && view.value(OVERFLOWS) > 0 && !any_full {
        found.push(
            finding(
                "host.listen.accept_queue_full",
                Severity::Note,
                "Accept queues have overflowed since this machine or network namespace started; whether they do now, a window tells.",
                "自启动以来全连接队列曾溢出；是否仍在发生需用观察窗口确认。",
            )
            .proofs(view.proof(OVERFLOWS)),
        );
    }
}

fn queue_finding(view: &View, listener: &Listener, severity: Severity) -> Finding {
    let label = view.label(listener);
    let (queue, places) = (listener.queue, listener.queue_max);
    finding(
        "host.listen.accept_queue_full",
        severity,
        format!("{queue} connections wait to be accepted at {label}, with room for {places}: the application does not call accept fast enough."),
        format!("{label} 有 {queue} 个连接等待 accept，队列上限 {places}：应用 accept 太慢。"),
    )
    .about(label)
    .proof(format!("{} queue {queue} of {places}, sock_diag", listener.address))
}

fn syn_queues(view: &View, found: &mut Vec<Finding>) {
    const DROPS: &str = "TcpExt.TCPReqQFullDrop";
    let cookies_off = view.is("net.ipv4.tcp_syncookies", "0");
    let backlog = view.value("net.ipv4.tcp_max_syn_backlog");
    for listener in view.tcp() {
        let half_open = u64::from(listener.half_open);
        // Without cookies the kernel refuses unknown peers from three quarters of the backlog on (tcp_conn_request).
        let full = half_open > 0
            && (half_open >= u64::from(listener.queue_max.max(1))
                || (backlog > 0 && half_open * 4 >= backlog * 3));
        if cookies_off && full {
            let label = view.label(listener);
            found.push(
                finding(
                    "host.listen.syn_queue_full",
                    Severity::Broken,
                    format!("{half_open} half-open connections fill the SYN queue of {label}, and SYN cookies are off: new connections are dropped."),
                    format!("{label} 有 {half_open} 个半开连接占满半连接队列，且未启用 SYN Cookie：新连接被丢弃。"),
                )
                .about(label)
                .proof(format!("{} SYN_RECV {half_open}, backlog {}, sock_diag", listener.address, listener.queue_max))
                .proofs(view.proof("net.ipv4.tcp_syncookies"))
                .proofs(view.proof("net.ipv4.tcp_max_syn_backlog")),
            );
        }
    }
    if view.rose(DROPS) >= DROPS_MIN {
        found.push(
            finding(
                "host.listen.syn_queue_full",
                Severity::Broken,
                format!(
                    "{} SYNs were dropped in the window because a SYN queue was full without cookies.",
                    view.rose(DROPS)
                ),
                format!("观察窗口内有 {} 个 SYN 因半连接队列满且无 Cookie 被丢弃。", view.rose(DROPS)),
            )
            .proofs(view.proof(DROPS)),
        );
    }
}

fn device_queues(view: &View, found: &mut Vec<Finding>) {
    const DROPPED: &str = "Softnet.dropped";
    if view.rose(DROPPED) >= DROPS_MIN {
        found.push(
            finding(
                "host.softirq.backlog",
                Severity::Risk,
                format!(
                    "{} packets were dropped in the window before the IP layer: a CPU's backlog was full.",
                    view.rose(DROPPED)
                ),
                format!(
                    "观察窗口内有 {} 个报文在 IP 层之前被丢弃：CPU 的接收 backlog 已满。",
                    view.rose(DROPPED)
                ),
            )
            .proofs(view.proof(DROPPED))
            .proofs(view.proof("Softnet.time_squeeze"))
            .proofs(view.proof("net.core.netdev_max_backlog")),
        );
    } else if view.value(DROPPED) > 0 && view.snapshot.window_ms == 0 {
        found.push(
            finding(
                "host.softirq.backlog",
                Severity::Note,
                "Packets have been dropped before the IP layer since the machine started.",
                "自启动以来有报文在 IP 层之前被丢弃。",
            )
            .proofs(view.proof(DROPPED)),
        );
    }
}

fn datagrams(view: &View, found: &mut Vec<Finding>) {
    for name in ["Udp.RcvbufErrors", "Udp6.RcvbufErrors"] {
        if view.rose(name) >= DROPS_MIN {
            found.push(
                finding(
                    "app.not_reading",
                    Severity::Risk,
                    format!("{} UDP datagrams were dropped in the window because the application reads too slowly.", view.rose(name)),
                    format!("观察窗口内有 {} 个 UDP 报文因应用读取太慢被丢弃。", view.rose(name)),
                )
                .proofs(view.proof(name)),
            );
        }
    }
}
