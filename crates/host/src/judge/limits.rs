//! Limits that are reached, or nearly.

use super::view::{View, is_bad, limit, value};
use super::{Finding, Proven, finding};
use crate::sections::percent;
use netwhy_model::host::{PortDemand, Process, Reading, Severity};

/// With so few descriptors left a process cannot serve; from this share on, in percent, it soon will not.
const FILES_LEFT_MIN: u64 = 4;
const FILES_PERCENT_RISK: u64 = 90;
/// Shares of a limit, in percent: at the first it breaks, from the second on it soon will.
const SYSTEM_FILES_PERCENT: (u64, u64) = (97, 90);
const CONNTRACK_PERCENT: (u64, u64) = (97, 80);
const PORTS_PERCENT: (u64, u64) = (98, 80);
const GROUP_MEMORY_PERCENT: (u64, u64) = (99, 95);
/// Ports in TIME_WAIT that make up this share of those used are the reason, in percent.
const TIME_WAIT_PERCENT: u64 = 60;
/// Processor stall that leaves little for answering, in percent, with as many runnable tasks per processor.
const STALL_PERCENT_RISK: f64 = 90.0;
const LOAD_PER_CPU_RISK: f64 = 8.0;
/// Stall of all tasks for memory that makes a machine useless, in percent.
const MEMORY_STALL_PERCENT_RISK: f64 = 20.0;
/// Share of throttled periods that slows every answer, in percent.
const THROTTLED_PERCENT_RISK: u64 = 50;

pub(super) fn judge(view: &View, found: &mut Vec<Finding>) {
    for process in &view.snapshot.processes {
        found.extend(files(process));
    }
    system_files(view, found);
    tracked(view, found);
    found.extend(view.snapshot.demands.iter().filter_map(|demand| ports(view, demand)));
    tcp_memory(view, found);
    disks(view, found);
    memory(view, found);
    processors(view, found);
    buffers(view, found);
}

fn severity(used: u64, limit: u64, (broken, risk): (u64, u64)) -> Option<Severity> {
    match percent(used, limit) {
        share if share >= broken => Some(Severity::Broken),
        share if share >= risk => Some(Severity::Risk),
        _ => None,
    }
}

fn files(process: &Process) -> Option<Finding> {
    let (used, limit) = (process.files_open?, process.files_max?);
    let severity = match limit.saturating_sub(used) {
        left if left <= FILES_LEFT_MIN => Severity::Broken,
        _ if percent(used, limit) >= FILES_PERCENT_RISK => Severity::Risk,
        _ => return None,
    };
    let label = format!("{} ({})", process.name, process.pid);
    let pid = process.pid;
    Some(
        finding(
            "host.fd.exhausted",
            severity,
            format!(
                "{label} has {used} of {limit} file descriptors open: past the limit accept and connect fail."
            ),
            format!("{label} 已打开 {used} 个文件描述符，上限 {limit}：用尽后 accept 与 connect 会失败。"),
        )
        .about(label)
        .proof(format!("{used} entries in /proc/{pid}/fd, soft limit {limit} in /proc/{pid}/limits")),
    )
}

fn system_files(view: &View, found: &mut Vec<Finding>) {
    let Some(reading) = view.reading("open files of the system") else { return };
    if let Some(severity) = severity(value(reading), limit(reading), SYSTEM_FILES_PERCENT) {
        found.push(
            finding(
                "host.fd.exhausted",
                severity,
                "The whole system is nearly out of file handles.",
                "整个系统的文件句柄即将用尽。",
            )
            .about("system")
            .proof(view.line(reading)),
        );
    }
}

fn tracked(view: &View, found: &mut Vec<Finding>) {
    let dropped = view.rose("Conntrack.drop");
    let early = view.rose("Conntrack.early_drop");
    let failed = view.rose("Conntrack.insert_failed");
    let table = view.snapshot.conntrack.as_ref().filter(|table| table.max > 0);
    let fill = table.and_then(|table| severity(table.count, table.max, CONNTRACK_PERCENT));
    let (count, max) = table.map_or((0, 0), |table| (table.count, table.max));
    let proofs = |one: Finding| {
        let one = one.proofs(table.map(|table| format!("{count} of {max} entries, {}", table.from)));
        ["Conntrack.drop", "Conntrack.early_drop", "Conntrack.insert_failed"]
            .into_iter()
            .filter(|name| view.rose(name) > 0)
            .fold(one, |one, name| one.proofs(view.proof(name)))
    };
    let rising = dropped + early > 0;
    if let Some(severity) = fill {
        let severity = if rising { Severity::Broken } else { severity };
        found.push(proofs(finding(
            "host.conntrack.full",
            severity,
            format!("{count} of {max} places of the connection-tracking table are taken: when it is full, new connections are dropped."),
            format!("连接跟踪表已用 {count} / {max}：表满后新连接会被丢弃。"),
        )));
    } else if early > 0 {
        found.push(proofs(finding(
            "host.conntrack.full",
            Severity::Broken,
            format!("The connection-tracking table threw {early} entries out in the window to make room: its limit is reached."),
            format!("观察窗口内连接跟踪表为腾出空间清除了 {early} 个条目：已达上限。"),
        )));
    } else if failed > 0 && has_translation(view) {
        found.push(proofs(finding(
            "net.nat.port_exhausted",
            Severity::Risk,
            format!("{failed} translated connections could not be entered in the window: no free source port, or a clash."),
            format!("观察窗口内有 {failed} 个 NAT 连接未能建立：源端口不足或冲突。"),
        )));
    }
}

fn has_translation(view: &View) -> bool {
    let is_source = |text: &str| text.contains("masquerade") || text.contains("snat");
    view.snapshot.ruleset.rules.iter().any(|rule| match &rule.verdict {
        netwhy_model::host::RuleVerdict::Nat(text) => is_source(&text.to_lowercase()),
        _ => false,
    })
}

fn ports(view: &View, demand: &PortDemand) -> Option<Finding> {
    let PortDemand { from, to, used, time_wait, range } = demand;
    let severity = severity(*used, *range, PORTS_PERCENT)?;
    let waits = time_wait * 100 >= used * TIME_WAIT_PERCENT;
    let (cause, why_en, why_zh) = if waits {
        ("host.port.time_wait_exhausted", "most wait in TIME_WAIT", "多数处于 TIME_WAIT")
    } else {
        ("host.port.ephemeral_exhausted", "most are open", "多数仍在使用")
    };
    Some(
        finding(
            cause,
            severity,
            format!("{used} of {range} local ports are taken by connections from {from} to {to}, {why_en}: without a free one connect fails."),
            format!("{from} 到 {to} 的连接已占用 {used} / {range} 个本地端口，{why_zh}：用尽后 connect 会失败。"),
        )
        .about(format!("{to}"))
        .proof(format!("{used} connections {from} to {to}, {time_wait} in TIME_WAIT, sock_diag"))
        .proofs(view.proof("net.ipv4.ip_local_port_range"))
        .proofs(view.proof("net.ipv4.tcp_tw_reuse")),
    )
}

fn tcp_memory(view: &View, found: &mut Vec<Finding>) {
    const NAMES: [&str; 2] = ["TcpExt.TCPAbortOnMemory", "TcpExt.TCPMemoryPressures"];
    let memory = view.reading("TCP memory");
    let at_limit = memory.is_some_and(is_bad);
    let aborted = view.rose(NAMES[0]);
    let severity = match (at_limit || aborted > 0, view.rose(NAMES[1]) > 0) {
        (true, _) => Severity::Broken,
        (false, true) => Severity::Risk,
        (false, false) => return,
    };
    found.push(
        finding(
            "host.tcp.mem_exhausted",
            severity,
            "The memory TCP may use is short: segments are dropped and connections aborted.",
            "TCP 可用内存不足：报文段被丢弃、连接被中止。",
        )
        .proofs(memory.map(|reading| view.line(reading)))
        .proofs(NAMES.into_iter().filter(|name| view.rose(name) > 0).flat_map(|name| view.proof(name))),
    );
}

fn disks(view: &View, found: &mut Vec<Finding>) {
    let full = view.section("limits").filter(|reading| {
        (reading.name.starts_with("disk ") || reading.name.starts_with("inodes ")) && is_bad(reading)
    });
    for reading in full {
        let place = reading.name.split_once(' ').map_or("", |(_, place)| place);
        let what = if reading.name.starts_with("disk") {
            ("has no room left", "已无空间")
        } else {
            ("has no inode left", "已无 inode")
        };
        found.push(
            finding(
                "host.disk.full",
                Severity::Broken,
                format!("The disk of {place} {}: programs that write there fail.", what.0),
                format!("{place} 所在磁盘{}：写入的程序会出错。", what.1),
            )
            .about(place)
            .proof(view.line(reading)),
        );
    }
}

fn memory(view: &View, found: &mut Vec<Finding>) {
    let killed = view.rose("Vm.oom_kill");
    if killed > 0 {
        found.push(
            finding(
                "host.memory.exhausted",
                Severity::Broken,
                format!("The kernel killed {killed} processes for lack of memory in the window."),
                format!("观察窗口内内核因内存不足杀死了 {killed} 个进程。"),
            )
            .proofs(view.proof("Vm.oom_kill")),
        );
    }
    let stalled =
        view.reading("memory full avg10").filter(|reading| share(reading) >= MEMORY_STALL_PERCENT_RISK);
    let short = view.reading("memory available").filter(|reading| is_bad(reading));
    for reading in stalled.into_iter().chain(short) {
        found.push(
            finding(
                "host.memory.exhausted",
                Severity::Risk,
                "The machine is nearly out of memory: everything is slow, and processes may be killed.",
                "内存几乎耗尽：整体变慢，进程可能被杀死。",
            )
            .proof(view.line(reading)),
        );
    }
    for reading in view.section("limits").filter(|reading| reading.name.starts_with("memory of ")) {
        let Some(severity) = severity(value(reading), limit(reading), GROUP_MEMORY_PERCENT) else { continue };
        let group = reading.name.trim_start_matches("memory of ");
        found.push(
            finding(
                "host.memory.exhausted",
                severity.max(Severity::Risk),
                format!(
                    "The control group {group} is at its memory limit: its processes are about to be killed."
                ),
                format!("控制组 {group} 达到内存上限：其中的进程可能被杀死。"),
            )
            .about(group)
            .proof(view.line(reading)),
        );
    }
}

fn processors(view: &View, found: &mut Vec<Finding>) {
    let stall = view.reading("cpu some avg10");
    let load = view.reading("load of one minute");
    let per_cpu = load.map_or(0.0, |reading| share(reading) / limit(reading).max(1) as f64);
    if stall.is_some_and(|reading| share(reading) >= STALL_PERCENT_RISK) && per_cpu >= LOAD_PER_CPU_RISK {
        found.push(
            finding(
                "host.cpu.saturated",
                Severity::Risk,
                "Tasks wait for a processor nearly all the time: answers come late.",
                "任务几乎一直在等待 CPU：应答会变慢。",
            )
            .proofs(stall.map(|reading| view.line(reading)))
            .proofs(load.map(|reading| view.line(reading))),
        );
    }
    for reading in view.section("limits").filter(|reading| reading.name.starts_with("throttling of ")) {
        if value(reading) < THROTTLED_PERCENT_RISK || view.snapshot.window_ms == 0 {
            continue;
        }
        let group = reading.name.trim_start_matches("throttling of ");
        found.push(
            finding(
                "host.cpu.saturated",
                Severity::Risk,
                format!("The control group {group} used up its processor quota in {} % of the periods: answers come late.", reading.value),
                format!("控制组 {group} 在 {}% 的周期内用完 CPU 配额：应答会变慢。", reading.value),
            )
            .about(group)
            .proof(view.line(reading)),
        );
    }
}

fn buffers(view: &View, found: &mut Vec<Finding>) {
    for name in ["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"] {
        if let Some(reading) = view.reading(name).filter(|reading| reading.note.is_some()) {
            found.push(
                finding(
                    "host.tcp.buffer_small",
                    Severity::Risk,
                    format!("{name} allows only small buffers: transfers over long paths are slow."),
                    format!("{name} 上限过小：长时延路径传输缓慢。"),
                )
                .proof(view.line(reading)),
            );
        }
    }
}

/// A value with a fraction; 0 when it is none.
fn share(reading: &Reading) -> f64 {
    reading.value.parse().unwrap_or(0.0)
}
