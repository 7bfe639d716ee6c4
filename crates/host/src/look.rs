//! One look at a machine, from the first counter to the judgement.

mod stages;

use crate::counters::{self, Counters};
use crate::files::text_or_empty;
use crate::judge::judge;
use netwhy_model::Stamp;
use netwhy_model::host::Snapshot;
use stages::{Kernel, Machine};
use std::time::{Duration, Instant, SystemTime};

/// The JSON contract of a snapshot.
pub const HOST_SCHEMA: &str = "netwhy.host/1";
/// The longest window of deltas, in milliseconds.
const WINDOW_MS_MAX: u64 = 60_000;

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookSpec {
    /// How long counters are watched for what they rise by, in milliseconds; 0 for none.
    pub window_ms: u64,
    /// Read logs.
    pub logs: bool,
    /// How far back logs are read, in seconds.
    pub logs_since_s: u64,
    /// Ask the service manager and look for signs of persistence.
    pub services: bool,
    /// Only what changes by the second and costs little: sockets, counters, queues, pressure, the fill of
    /// connection tracking. No owners, rules, settings, logs or services, and nothing is judged.
    pub light: bool,
}

impl Default for LookSpec {
    fn default() -> LookSpec {
        LookSpec { window_ms: 0, logs: true, logs_since_s: 3_600, services: true, light: false }
    }
}

/// Reads and judges the machine, as the calling thread's namespaces show it. Changes nothing. Blocks.
pub fn look(spec: &LookSpec) -> Snapshot {
    let started = Instant::now();
    let at = Stamp::from(SystemTime::now());
    let window = Duration::from_millis(spec.window_ms.min(WINDOW_MS_MAX));
    let windowed = !window.is_zero();
    let before = windowed.then(First::read);
    let kernel = Kernel::read(spec.light);
    let machine = Machine::read(&kernel, spec, at);
    std::thread::sleep(window.saturating_sub(started.elapsed()));
    let mut snapshot = stages::assemble(kernel, machine, before, spec.light);
    HOST_SCHEMA.clone_into(&mut snapshot.schema);
    snapshot.kernel = format!(
        "{} {}",
        text_or_empty("/proc/sys/kernel/ostype").trim(),
        text_or_empty("/proc/sys/kernel/osrelease").trim()
    );
    snapshot.at = at;
    snapshot.window_ms = if windowed { millis(started.elapsed()) } else { 0 };
    snapshot.root = nix::unistd::geteuid().is_root();
    if !spec.light {
        snapshot.findings = judge(&snapshot);
    }
    snapshot.took_ms = millis(started.elapsed());
    snapshot
}

/// What is compared with the end of the window.
struct First {
    counters: Counters,
    links: Vec<netwhy_netlink::route::Link>,
    sending_drops: std::collections::BTreeMap<String, u64>,
}

impl First {
    fn read() -> First {
        let links = netwhy_netlink::route::links().map(|listed| listed.items).unwrap_or_default();
        First { counters: counters::read(), links, sending_drops: crate::network::sending_drops() }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_look_has_the_numbers_and_judges_nothing() {
        let light = look(&LookSpec { light: true, ..LookSpec::default() });
        assert!(light.sections.iter().any(|section| section.id == "counters"));
        assert!(light.findings.is_empty() && light.ruleset.rules.is_empty() && light.processes.is_empty());
        assert!(light.sections.iter().all(|section| section.id != "settings"));
    }
}
