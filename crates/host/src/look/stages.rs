//! The stages of a look: what the kernel has, which processes hold it, what it rose by.

use super::{First, LookSpec};
use crate::counters;
use crate::files::{Gaps, chain};
use crate::logs::{self, Logs};
use crate::network::{self, Network};
use crate::processes::{self, Held};
use crate::sections::{
    Said, cgroups, clock, counters as counter_rows, disks, hooks, limits, names, pressure, queues, reading,
    section, settings,
};
use crate::sockets::{self, PortRange, Sockets};
use crate::{persistence, services, text};
use netwhy_model::Stamp;
use netwhy_model::host::{
    Conntrack, FanOut, Process, Reading, RuleVerdict, Ruleset, Section, Service, Snapshot, State, Unread,
};
use netwhy_netlink::route::Link;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Processes read in full.
const PROCESS_COUNT_MAX: usize = 256;
/// A shorter window says nothing of processor time, which counts in ticks of 10 ms.
const CPU_WINDOW_MIN: Duration = Duration::from_millis(200);
/// Rules whose rise is told.
const RULE_COUNT_MAX: usize = 40;

/// What the kernel has of this network namespace.
pub(super) struct Kernel {
    network: Network,
    sockets: Sockets,
    ruleset: Ruleset,
    conntrack: Option<Conntrack>,
    unread: Vec<Unread>,
}

impl Kernel {
    /// Reads sockets beside rules and tracked connections: the long tables of a large machine.
    pub(super) fn read(light: bool) -> Kernel {
        let mut gaps = Gaps::default();
        let network = network::read(&mut gaps);
        let (sockets, socket_gaps, filter) = std::thread::scope(|scope| {
            // A thread begins in the namespaces of the one that starts it.
            let filter = scope.spawn(move || read_filter(light));
            let mut socket_gaps = Gaps::default();
            let sockets = sockets::read(&network.names, &mut socket_gaps);
            (sockets, socket_gaps, filter.join())
        });
        gaps.join(socket_gaps.into_unread());
        let (ruleset, conntrack) = match filter {
            Ok((ruleset, conntrack, unread)) => {
                gaps.join(unread);
                (ruleset, conntrack)
            }
            Err(_) => {
                gaps.note("firewall", "its reader ended early", false);
                (Ruleset::default(), None)
            }
        };
        Kernel { network, sockets, ruleset, conntrack, unread: gaps.into_unread() }
    }
}

/// Rules and every tracked connection; only how full its table is for a light look.
fn read_filter(light: bool) -> (Ruleset, Option<Conntrack>, Vec<Unread>) {
    let mut gaps = Gaps::default();
    let (ruleset, table) = if light {
        (Ruleset::default(), netwhy_netfilter::conntrack_fill())
    } else {
        let (ruleset, unread) = netwhy_netfilter::ruleset();
        gaps.join(unread);
        (ruleset, netwhy_netfilter::conntrack_state())
    };
    let conntrack = match table {
        Ok(conntrack) => Some(conntrack),
        Err(error) => {
            gaps.note("tracked connections", chain(&error), error.root_helps());
            None
        }
    };
    (ruleset, conntrack, gaps.into_unread())
}

/// What runs on the machine and what it writes.
pub(super) struct Machine {
    processes: Vec<Process>,
    cpu_before: BTreeMap<u32, f64>,
    cpu_at: Instant,
    fan_outs: Vec<FanOut>,
    owners: BTreeMap<u64, Vec<u32>>,
    raw: BTreeMap<u64, Vec<u32>>,
    services: Vec<Service>,
    logs: Logs,
    disks: Vec<Reading>,
    groups: cgroups::Groups,
    persistence: Option<Section>,
    unread: Vec<Unread>,
}

impl Machine {
    /// Finds who holds the sockets, then reads those processes, their services, logs and limits.
    pub(super) fn read(kernel: &Kernel, spec: &LookSpec, at: Stamp) -> Machine {
        if spec.light {
            return Machine::unread();
        }
        let mut gaps = Gaps::default();
        let raw_inodes = hooks::raw_inodes();
        let mut wanted = kernel.sockets.inodes();
        wanted.extend(&raw_inodes);
        let Held { owners, logs: open_logs } = processes::survey(&wanted, &mut gaps);
        let fan_outs = kernel.sockets.tally.fan_outs(&owners);
        let processes = holders(kernel, &owners, &fan_outs);
        let cpu_at = Instant::now();
        let cpu_before = cpu_times(&processes);
        let mut services = services_of(kernel, &owners, &processes);
        let since = Stamp::from_millis(at.millis().saturating_sub(spec.logs_since_s.saturating_mul(1_000)));
        let (logs, service_gaps) = std::thread::scope(|scope| {
            let reader = spec.logs.then(|| scope.spawn(|| logs::read_open(&processes, &open_logs, since)));
            let mut service_gaps = Gaps::default();
            if spec.services {
                services::add_states(&mut services, &mut service_gaps);
            }
            (reader.and_then(|reader| reader.join().ok()).unwrap_or_default(), service_gaps)
        });
        gaps.join(service_gaps.into_unread());
        gaps.join(logs.unread.clone());
        services::add_logs(&mut services, &logs.tails);
        Machine {
            disks: disks::read(&processes, &open_logs, &mut gaps),
            groups: cgroups::find(&processes),
            persistence: spec.services.then(|| persistence::read(&processes, &fan_outs, &mut gaps)),
            raw: raw_inodes.iter().filter_map(|inode| Some((*inode, owners.get(inode)?.clone()))).collect(),
            processes,
            cpu_before,
            cpu_at,
            fan_outs,
            owners,
            services,
            logs,
            unread: gaps.into_unread(),
        }
    }
}

impl Machine {
    /// Nothing of it, for a light look.
    fn unread() -> Machine {
        Machine {
            processes: Vec::new(),
            cpu_before: BTreeMap::new(),
            cpu_at: Instant::now(),
            fan_outs: Vec::new(),
            owners: BTreeMap::new(),
            raw: BTreeMap::new(),
            services: Vec::new(),
            logs: Logs::default(),
            disks: Vec::new(),
            groups: cgroups::Groups::default(),
            persistence: None,
            unread: Vec::new(),
        }
    }
}

/// The processes worth a look: they listen, spread, hold bad connections or raw sockets.
fn holders(kernel: &Kernel, owners: &BTreeMap<u64, Vec<u32>>, fan_outs: &[FanOut]) -> Vec<Process> {
    let own = std::process::id();
    let mut pids: Vec<u32> = Vec::new();
    // Listeners first, should there be too many.
    for listener in &kernel.sockets.listeners {
        pids.extend(owners.get(&listener.inode).into_iter().flatten());
    }
    pids.extend(fan_outs.iter().flat_map(|fan_out| &fan_out.pids));
    pids.extend(owners.values().flatten());
    let mut seen = BTreeSet::new();
    pids.retain(|pid| *pid != own && seen.insert(*pid));
    pids.into_iter().take(PROCESS_COUNT_MAX).filter_map(processes::process).collect()
}

fn services_of(kernel: &Kernel, owners: &BTreeMap<u64, Vec<u32>>, processes: &[Process]) -> Vec<Service> {
    let mut listeners = kernel.sockets.listeners.clone();
    for listener in &mut listeners {
        listener.pids = owners.get(&listener.inode).cloned().unwrap_or_default();
    }
    services::group(&listeners, processes)
}

fn cpu_times(processes: &[Process]) -> BTreeMap<u32, f64> {
    processes.iter().filter_map(|process| Some((process.pid, processes::cpu_seconds(process.pid)?))).collect()
}

/// Puts everything together; with a window, what was counted at its start is compared with now.
pub(super) fn assemble(kernel: Kernel, machine: Machine, before: Option<First>, light: bool) -> Snapshot {
    let Kernel { network, mut sockets, mut ruleset, conntrack, unread } = kernel;
    let Machine { mut processes, owners, .. } = machine;
    let mut gaps = Gaps::default();
    gaps.join(unread);
    gaps.join(machine.unread);
    sockets.name_owners(&owners);
    let listeners = sockets.listeners;
    let tally = sockets.tally;
    if before.is_some() {
        set_cpu(&mut processes, &machine.cpu_before, machine.cpu_at.elapsed());
    }
    let demands = PortRange::read().map(|range| tally.demands(&range)).unwrap_or_default();
    let mut limit_rows = machine.groups.readings(before.is_some());
    limit_rows.extend(machine.disks);
    let hostname = text::printable(crate::files::text_or_empty("/proc/sys/kernel/hostname").trim(), 253);
    let sending = queues::Sending {
        now: network::sending_drops(),
        before: before.as_ref().map(|before| before.sending_drops.clone()),
    };
    let mut sections = vec![
        queues::read(&listeners, &tally.counts(), &sending),
        counted(before.as_ref()),
        limits::read(&processes, &demands, conntrack.as_ref(), &network, limit_rows, &mut gaps),
        pressure::read(&mut gaps),
    ];
    if !light {
        sections.extend([
            settings::read(&network, &mut gaps),
            hooks::read(&network.interfaces, &ruleset, &machine.raw, &processes, &mut gaps),
            clock::read(&mut gaps),
            names::read(&listeners, &hostname, &mut gaps),
        ]);
    }
    if before.is_some() && !light {
        let (now, unread) = netwhy_netfilter::ruleset();
        gaps.join(unread);
        sections.push(rules_section(&ruleset, &now));
        ruleset = now;
    }
    sections.extend(machine.persistence);
    sections.retain(|section| !section.readings.is_empty());
    Snapshot {
        hostname,
        counts: tally.counts(),
        peers: tally.peers(),
        ports: tally.ports(&owners),
        demands,
        fan_outs: machine.fan_outs,
        slow: tally.slow(&owners),
        listeners,
        processes,
        sections,
        conntrack,
        interfaces: network.interfaces,
        neighbours: network.neighbours,
        routes: network.routes,
        ruleset,
        services: machine.services,
        signs: machine.logs.signs,
        unread: gaps.into_unread(),
        ..Snapshot::default()
    }
}

fn set_cpu(processes: &mut [Process], before: &BTreeMap<u32, f64>, window: Duration) {
    if window < CPU_WINDOW_MIN {
        return;
    }
    for process in processes {
        let (Some(then), Some(now)) = (before.get(&process.pid), processes::cpu_seconds(process.pid)) else {
            continue;
        };
        let share = (now - then).max(0.0) / window.as_secs_f64();
        process.cpu = Some((share * 1_000.0).round() / 1_000.0);
    }
}

/// The kernel's counters and those of the interfaces.
fn counted(before: Option<&First>) -> Section {
    let now = counters::read();
    let mut section = counter_rows::read(&now, before.map(|before| &before.counters));
    let links = netwhy_netlink::route::links().map(|listed| listed.items).unwrap_or_default();
    for link in &links {
        let then = before.and_then(|before| before.links.iter().find(|then| then.index == link.index));
        section.readings.extend(link_counters(link, before.is_some(), then));
    }
    section
}

/// Errors and drops that are not zero; what was sent only with a window, since only its rate tells something.
fn link_counters(link: &Link, windowed: bool, then: Option<&Link>) -> Vec<Reading> {
    let fields = |link: &Link| {
        let c = link.counters;
        [
            ("rx errors", c.receive_errors, true),
            ("rx dropped", c.receive_dropped + c.receive_missed, true),
            ("tx errors", c.send_errors, true),
            ("tx dropped", c.send_dropped, true),
            ("carrier changes", u64::from(link.carrier_changes), false),
            ("tx packets", c.sent_packets, false),
            ("tx bytes", c.sent_bytes, false),
        ]
    };
    let earlier = then.map(fields);
    fields(link)
        .into_iter()
        .enumerate()
        .filter(|(_, (name, value, _))| {
            *value > 0 && (windowed || !name.starts_with("tx packets") && !name.starts_with("tx bytes"))
        })
        .map(|(at, (name, value, fault))| {
            let before = earlier.and_then(|fields| fields.get(at).map(|field| field.1));
            let rose = windowed
                .then(|| i64::try_from(value.saturating_sub(before.unwrap_or(value))).unwrap_or(i64::MAX));
            let one = reading(format!("{} {name}", link.name), value, "rtnetlink RTM_GETLINK").delta(rose);
            if fault && rose.is_some_and(|rose| rose > 0) {
                one.said(State::Bad, "the interface loses packets now", "该接口正在丢包或出错")
            } else {
                one
            }
        })
        .collect()
}

/// Rules that stop packets and whose counters rose in the window.
fn rules_section(first: &Ruleset, now: &Ruleset) -> Section {
    let readings = netwhy_netfilter::rule_deltas(first, now)
        .into_iter()
        .filter(|delta| matches!(delta.rule.verdict, RuleVerdict::Drop | RuleVerdict::Reject(_)))
        .take(RULE_COUNT_MAX)
        .map(|delta| {
            let total = delta.rule.counter.map_or(0, |(packets, _)| packets);
            reading(delta.rule.place(), total, "rule counter")
                .unit("packets")
                .delta(Some(i64::try_from(delta.packets).unwrap_or(i64::MAX)))
                .said(State::Odd, delta.rule.text.clone(), delta.rule.text)
        })
        .collect();
    section("rules", "Rules that stopped packets", "拦截了报文的规则", readings)
}
