//! The services behind the listening ports: unit or process, restarts, the last lines of its log.

mod systemd;

pub use systemd::{parse_failed_units, parse_show};

use crate::files::Gaps;
use crate::logs::Tail;
use netwhy_model::host::{Listener, Process, Service};
use std::collections::{BTreeMap, BTreeSet};

/// Services told of.
const SERVICE_COUNT_MAX: usize = 128;
/// Ports told of each.
const PORT_COUNT_MAX: usize = 64;

/// Groups the listening processes by unit, container or program.
pub(crate) fn group(listeners: &[Listener], processes: &[Process]) -> Vec<Service> {
    let mut ports: BTreeMap<u32, BTreeSet<u16>> = BTreeMap::new();
    for listener in listeners {
        for pid in &listener.pids {
            ports.entry(*pid).or_default().insert(listener.address.port());
        }
    }
    let mut groups: BTreeMap<String, (BTreeSet<u16>, BTreeSet<u32>)> = BTreeMap::new();
    for process in processes {
        let Some(own) = ports.get(&process.pid) else { continue };
        let (group_ports, pids) = groups.entry(name(process)).or_default();
        group_ports.extend(own);
        pids.insert(process.pid);
    }
    groups
        .into_iter()
        .take(SERVICE_COUNT_MAX)
        .map(|(name, (ports, pids))| Service {
            name,
            ports: ports.into_iter().take(PORT_COUNT_MAX).collect(),
            pids: pids.into_iter().collect(),
            ..Service::default()
        })
        .collect()
}

/// Asks the service manager for the state of the services, and for those that failed.
pub(crate) fn add_states(services: &mut Vec<Service>, gaps: &mut Gaps) {
    let names: Vec<String> = services
        .iter()
        .map(|service| service.name.clone())
        .filter(|name| name.ends_with(".service"))
        .collect();
    let Some(answer) = systemd::ask(&names, gaps) else { return };
    for unit in answer.units {
        if let Some(service) = services.iter_mut().find(|service| service.name == unit.name) {
            service.state = Some(unit.state());
            service.restarts = unit.restarts;
        }
    }
    for name in answer.failed {
        if services.len() < SERVICE_COUNT_MAX && !services.iter().any(|service| service.name == name) {
            services.push(Service { name, state: Some("failed".to_owned()), ..Service::default() });
        }
    }
}

/// Gives each service the last lines of its log: a file it writes, else its unit's journal.
pub(crate) fn add_logs(services: &mut [Service], tails: &[Tail]) {
    for service in services {
        let own = tails.iter().filter(|tail| tail.pids.iter().any(|pid| service.pids.contains(pid)));
        // The error log says more than the access log.
        let file = own.min_by_key(|tail| (tail.from.contains("access"), !tail.from.contains("err")));
        let journal = tails.iter().find(|tail| tail.unit.as_deref() == Some(service.name.as_str()));
        if let Some(tail) = file.filter(|tail| !tail.lines.is_empty()).or(journal) {
            service.log = Some(tail.from.clone());
            service.lines.clone_from(&tail.lines);
        }
    }
}

fn name(process: &Process) -> String {
    match (&process.unit, &process.container) {
        // A container's own unit is its runtime's.
        (_, Some(container)) => format!("{} in {container}", process.name),
        (Some(unit), None) => unit.clone(),
        (None, None) => process.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_model::host::Transport;

    fn listener(port: u16, pids: &[u32]) -> Listener {
        Listener {
            transport: Transport::Tcp,
            address: ([0, 0, 0, 0], port).into(),
            v6_only: false,
            interface: None,
            queue: 0,
            queue_max: 1,
            half_open: 0,
            drops: None,
            inode: 1,
            pids: pids.to_vec(),
        }
    }

    #[test]
    fn processes_of_a_unit_are_one_service() {
        let process = |pid, unit: Option<&str>| Process {
            pid,
            name: "web".into(),
            unit: unit.map(str::to_owned),
            ..Process::default()
        };
        let listeners = [listener(80, &[1, 2]), listener(443, &[2]), listener(22, &[3])];
        let processes = [process(1, Some("web.service")), process(2, Some("web.service")), process(3, None)];
        let mut services = group(&listeners, &processes);
        assert_eq!(services.len(), 2);
        let web = services.iter().position(|service| service.name == "web.service").unwrap();
        assert_eq!(
            (services[web].ports.as_slice(), services[web].pids.as_slice()),
            ([80, 443].as_slice(), [1, 2].as_slice())
        );
        let tail = |from: &str, pids: &[u32]| Tail {
            from: from.into(),
            pids: pids.to_vec(),
            unit: None,
            lines: vec![from.into()],
        };
        add_logs(&mut services, &[tail("access.log", &[1]), tail("error.log", &[2])]);
        assert_eq!(services[web].log.as_deref(), Some("error.log"));
    }
}
