//! Services: stopped, hung, not reading, restarting, gone.

use super::view::View;
use super::{Finding, Proven, finding};
use netwhy_model::host::{PortUse, Service, Severity, Transport};

/// Input left alone for so long, in milliseconds, on so many connections of a port, is no chance.
const UNREAD_MS: u64 = 10_000;
const UNREAD_COUNT_MIN: u64 = 3;
/// Connections the peer closed and the application did not: a leak, and a grave one.
const CLOSE_WAIT_NOTE: u64 = 100;
const CLOSE_WAIT_RISK: u64 = 1_000;
/// Restarts and seconds of life that make a crash loop.
const RESTARTS_MIN: u64 = 3;
const AGE_S_YOUNG: u64 = 60;
/// Parts of unit names whose failure takes a service off the network.
const NETWORK_SERVICES: [&str; 22] = [
    "nginx",
    "haproxy",
    "apache",
    "httpd",
    "caddy",
    "traefik",
    "envoy",
    "sshd",
    "ssh.",
    "mysql",
    "mariadb",
    "postgres",
    "redis",
    "mongo",
    "docker",
    "containerd",
    "named",
    "unbound",
    "dnsmasq",
    "php",
    "tomcat",
    "gunicorn",
];

pub(super) fn judge(view: &View, found: &mut Vec<Finding>) {
    stopped(view, found);
    for port in &view.snapshot.ports {
        found.extend(not_reading(view, port));
        found.extend(not_closing(view, port));
    }
    for service in &view.snapshot.services {
        found.extend(state(view, service));
    }
    loopback_only(view, found);
}

fn stopped(view: &View, found: &mut Vec<Finding>) {
    for listener in view.tcp() {
        // One stopped worker among several is passed over by the kernel's wake-ups; all of them is an outage.
        let holders: Vec<_> = listener.pids.iter().filter_map(|pid| view.process(*pid)).collect();
        let all_stopped =
            !holders.is_empty() && holders.iter().all(|process| process.state == "T" || process.state == "t");
        let Some(process) = holders.first().filter(|_| all_stopped) else { continue };
        let label = view.label(listener);
        found.push(
            finding(
                "app.stopped",
                Severity::Broken,
                format!("The process behind {label} is stopped: connections open, and nothing ever answers."),
                format!("{label} 的进程已被暂停：连接能建立，但不会有任何应答。"),
            )
            .about(label)
            .proof(format!("state {} in /proc/{}/stat", process.state, process.pid))
            .proof(format!(
                "{} queue {} of {}, sock_diag",
                listener.address, listener.queue, listener.queue_max
            )),
        );
    }
}

fn not_reading(view: &View, port: &PortUse) -> Option<Finding> {
    if port.unread < UNREAD_COUNT_MIN || port.unread_ms_max < UNREAD_MS || is_stopped(view, port.port) {
        return None;
    }
    let label = label(view, port.port);
    let seconds = port.unread_ms_max / 1_000;
    let PortUse { unread, established, not_accepted, .. } = port;
    let all = *unread + *not_accepted >= *established;
    let (cause, severity) =
        if all { ("app.hung", Severity::Broken) } else { ("app.not_reading", Severity::Risk) };
    Some(
        finding(
            cause,
            severity,
            format!("{unread} of {established} connections of {label} hold input that nobody reads, the longest for {seconds} s."),
            format!("{label} 的 {established} 个连接中有 {unread} 个的数据无人读取，最长 {seconds} 秒。"),
        )
        .about(label)
        .proof(format!("port {}: {unread} unread, {not_accepted} not accepted, {established} established, sock_diag TCP_INFO", port.port)),
    )
}

fn not_closing(view: &View, port: &PortUse) -> Option<Finding> {
    if port.close_wait < CLOSE_WAIT_NOTE {
        return None;
    }
    let severity = if port.close_wait >= CLOSE_WAIT_RISK { Severity::Risk } else { Severity::Note };
    let label = label(view, port.port);
    let count = port.close_wait;
    Some(
        finding(
            "app.hung",
            severity,
            format!("{count} connections of {label} were closed by their peers and never by the application: it leaks them or hangs."),
            format!("{label} 有 {count} 个连接已被对端关闭而应用未关闭：存在泄漏或卡死。"),
        )
        .about(label)
        .proof(format!("port {}: CLOSE_WAIT {count}, sock_diag", port.port)),
    )
}

fn is_stopped(view: &View, port: u16) -> bool {
    let mut holders = view.tcp().filter(|l| l.address.port() == port).filter_map(|l| view.holder(l));
    holders.any(|process| process.state == "T")
}

fn label(view: &View, port: u16) -> String {
    view.tcp()
        .find(|listener| listener.address.port() == port)
        .map_or(format!("port {port}"), |l| view.label(l))
}

fn state(view: &View, service: &Service) -> Option<Finding> {
    let name = &service.name;
    let state = service.state.as_deref()?;
    let youngest =
        service.pids.iter().filter_map(|pid| view.process(*pid)).map(|process| process.age_s).min();
    let restarts = service.restarts.unwrap_or(0);
    let loops = restarts >= RESTARTS_MIN && youngest.is_some_and(|age| age < AGE_S_YOUNG);
    if state == "restarting" || loops {
        return Some(
            finding(
                "app.crash_loop",
                Severity::Broken,
                format!("{name} restarts again and again: {restarts} restarts so far."),
                format!("{name} 反复重启：目前已重启 {restarts} 次。"),
            )
            .about(name)
            .proof(format!("ActiveState {state}, NRestarts {restarts}, systemctl show {name}"))
            .proofs(youngest.map(|age| format!("youngest process {age} s old, /proc/PID/stat")))
            .proofs(service.lines.last().cloned()),
        );
    }
    if state != "failed" {
        return None;
    }
    // A failed unit that has nothing to do with the network is common, and no reason for alarm.
    let serves = NETWORK_SERVICES.iter().any(|part| name.starts_with(part)) || !service.ports.is_empty();
    Some(
        finding(
            "app.process.down",
            if serves { Severity::Risk } else { Severity::Note },
            format!("The unit {name} has failed and does not run."),
            format!("单元 {name} 已失败，没有运行。"),
        )
        .about(name)
        .proof(format!("state failed, systemctl list-units, {name}"))
        .proofs(service.lines.last().cloned()),
    )
}

/// Ports that are mostly meant for others, reachable from this host alone.
fn loopback_only(view: &View, found: &mut Vec<Finding>) {
    const PUBLIC_PORTS: [u16; 6] = [22, 80, 443, 3_000, 8_080, 8_443];
    for port in PUBLIC_PORTS {
        let own: Vec<_> = view
            .snapshot
            .listeners
            .iter()
            .filter(|l| l.transport == Transport::Tcp && l.address.port() == port)
            .collect();
        let Some(first) = own.first().filter(|_| own.iter().all(|l| l.address.ip().is_loopback())) else {
            continue;
        };
        let label = view.label(first);
        found.push(
            finding(
                "tcp.refused.bound_elsewhere",
                Severity::Note,
                format!("{label} listens on {} alone: other hosts are refused.", first.address.ip()),
                format!("{label} 只监听 {}：其他主机会被拒绝。", first.address.ip()),
            )
            .about(label)
            .proofs(own.iter().map(|listener| format!("listener {}, sock_diag", listener.address))),
        );
    }
}
