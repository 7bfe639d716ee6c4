//! Limits of the control groups that serving processes are in: memory, tasks, processor time.

use super::{Said, fill, reading};
use crate::files::{number, text, text_or_empty};
use crate::mounts::{Mount, parse_mountinfo};
use crate::processes::{Membership, parse_cgroup};
use netwhy_model::host::{Process, Reading, State};
use std::collections::BTreeMap;

/// Groups looked at.
const GROUP_COUNT_MAX: usize = 64;
/// A limit may sit in any group above; so many are looked at.
const DEPTH_MAX: usize = 12;
/// A version 1 limit at least this large means none.
const NO_LIMIT: u64 = 1 << 60;
/// Share of periods with throttling that is odd, in percent.
const THROTTLED_PERCENT_ODD: u64 = 20;

/// Periods of processor time, and those in which the group had to wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Throttling {
    pub(crate) periods: u64,
    pub(crate) throttled: u64,
}

/// What was read of all groups: throttling is compared between two readings.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    paths: BTreeMap<String, Vec<u32>>,
    throttling: BTreeMap<String, Throttling>,
}

/// Finds the groups of these processes.
pub(crate) fn find(processes: &[Process]) -> Groups {
    let mounts = parse_mountinfo(&text_or_empty("/proc/self/mountinfo"));
    let mut groups = Groups::default();
    for process in processes {
        let membership = parse_cgroup(&text_or_empty(format!("/proc/{}/cgroup", process.pid)));
        for path in folders(&membership, &mounts) {
            if groups.paths.len() < GROUP_COUNT_MAX || groups.paths.contains_key(&path) {
                groups.paths.entry(path).or_default().push(process.pid);
            }
        }
    }
    groups.throttling = groups.throttling_now();
    groups
}

impl Groups {
    fn throttling_now(&self) -> BTreeMap<String, Throttling> {
        let stat =
            |path: &String| Some((path.clone(), parse_throttling(&text(format!("{path}/cpu.stat")).ok()?)));
        self.paths.keys().filter_map(stat).collect()
    }

    /// Readings of every limit that is set.
    pub(crate) fn readings(&self, windowed: bool) -> Vec<Reading> {
        let now = self.throttling_now();
        let mut readings = Vec::new();
        for path in self.paths.keys() {
            readings.extend(memory(path));
            readings.extend(tasks(path));
            let before = windowed.then(|| self.throttling.get(path).copied()).flatten();
            readings.extend(now.get(path).and_then(|now| throttling(path, *now, before)));
        }
        readings
    }
}

/// The group's folders with those above it, in either version of control groups.
fn folders(membership: &Membership, mounts: &[Mount]) -> Vec<String> {
    let mut folders = Vec::new();
    if let Some(path) = &membership.unified {
        let mount = mounts.iter().find(|mount| mount.kind == "cgroup2");
        folders.extend(mount.into_iter().flat_map(|mount| upwards(&mount.point, path)));
    }
    for (controllers, path) in &membership.legacy {
        let wanted: Vec<&str> =
            controllers.split(',').filter(|c| ["memory", "cpu", "pids"].contains(c)).collect();
        let has = |mount: &&Mount| {
            mount.kind == "cgroup" && mount.options.split(',').any(|option| wanted.contains(&option))
        };
        folders.extend(mounts.iter().find(has).into_iter().flat_map(|mount| upwards(&mount.point, path)));
    }
    folders
}

/// `/a/b/c` gives its own folder, that of `/a/b`, and that of `/a`; the root has no limit of its own.
fn upwards(point: &str, path: &str) -> Vec<String> {
    // Outside of our own control group namespace the path begins with `/..`.
    if path.split('/').any(|part| part == "..") {
        return Vec::new();
    }
    let mut rest = path.trim_end_matches('/');
    let mut folders = Vec::new();
    while !rest.is_empty() && folders.len() < DEPTH_MAX {
        folders.push(format!("{point}{rest}"));
        rest = rest.rsplit_once('/').map_or("", |(above, _)| above);
    }
    folders
}

fn memory(path: &str) -> Option<Reading> {
    // Version 2, then version 1.
    let (used, limit, cache_name, from) = match number(format!("{path}/memory.max")) {
        Some(limit) => (number(format!("{path}/memory.current"))?, limit, "inactive_file", "memory.max"),
        None => {
            let limit = number(format!("{path}/memory.limit_in_bytes"))?;
            (
                number(format!("{path}/memory.usage_in_bytes"))?,
                limit,
                "total_inactive_file",
                "memory.limit_in_bytes",
            )
        }
    };
    if limit >= NO_LIMIT {
        return None;
    }
    // The kernel gives cached files back before it kills.
    let cache = parse_stat_line(&text_or_empty(format!("{path}/memory.stat")), cache_name).unwrap_or(0);
    let used = used.saturating_sub(cache);
    let one = reading(format!("memory of {}", short(path)), used, format!("{path}/{from}"))
        .unit("bytes")
        .limit(limit);
    Some(match fill(used, limit) {
        State::Bad => one.said(
            State::Bad,
            "at its memory limit: processes in it are about to be killed",
            "达到内存上限：组内进程可能被杀死",
        ),
        state => Reading { state, ..one },
    })
}

fn tasks(path: &str) -> Option<Reading> {
    let limit = number(format!("{path}/pids.max"))?;
    let used = number(format!("{path}/pids.current"))?;
    let one = reading(format!("tasks of {}", short(path)), used, format!("{path}/pids.max"))
        .unit("tasks")
        .limit(limit);
    Some(match fill(used, limit) {
        State::Bad => one.said(
            State::Bad,
            "at its limit of tasks: no thread or process can be started",
            "达到任务数上限：无法新建线程或进程",
        ),
        state => Reading { state, ..one },
    })
}

/// The share of periods in which the group had to wait: of the window, else of its life.
fn throttling(path: &str, now: Throttling, before: Option<Throttling>) -> Option<Reading> {
    let before = before.unwrap_or_default();
    let periods = now.periods.saturating_sub(before.periods);
    let throttled = now.throttled.saturating_sub(before.throttled);
    if periods == 0 || now.throttled == 0 {
        return None;
    }
    let share = throttled.saturating_mul(100) / periods;
    let one = reading(format!("throttling of {}", short(path)), share, format!("{path}/cpu.stat")).unit("%");
    Some(if share >= THROTTLED_PERCENT_ODD {
        one.said(State::Odd, "its processor quota makes it wait", "CPU 配额不足，进程被限流等待")
    } else {
        one
    })
}

/// Reads `nr_periods` and `nr_throttled` of cpu.stat.
pub(crate) fn parse_throttling(text: &str) -> Throttling {
    Throttling {
        periods: parse_stat_line(text, "nr_periods").unwrap_or(0),
        throttled: parse_stat_line(text, "nr_throttled").unwrap_or(0),
    }
}

/// A line of `name number`.
fn parse_stat_line(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The last two parts of a path.
fn short(path: &str) -> String {
    let mut parts: Vec<&str> = path.rsplit('/').take(2).collect();
    parts.reverse();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_above_are_found() {
        assert_eq!(upwards("/cg", "/a/b"), ["/cg/a/b", "/cg/a"]);
        assert!(upwards("/cg", "/").is_empty() && upwards("/cg", "/../x").is_empty());
    }

    #[test]
    fn a_full_group_is_bad() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_string_lossy().into_owned();
        for (name, text) in [
            ("memory.max", "1000\n"),
            ("memory.current", "1100\n"),
            ("memory.stat", "anon 990\ninactive_file 110\n"),
            ("pids.max", "max\n"),
            ("pids.current", "7\n"),
            ("cpu.stat", "usage_usec 5\nnr_periods 100\nnr_throttled 30\n"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let one = memory(&path).unwrap();
        assert_eq!((one.value.as_str(), one.state), ("990", State::Bad));
        assert_eq!(tasks(&path), None);
        let stat = parse_throttling(&text(format!("{path}/cpu.stat")).unwrap());
        assert_eq!(throttling(&path, stat, None).unwrap().value, "30");
        assert_eq!(
            throttling(&path, stat, Some(Throttling { periods: 90, throttled: 30 })).unwrap().state,
            State::Well
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(nr_periods [0-9]{0,25}\n|(?s).{0,60})") {
            let _ = parse_throttling(&text);
        }
    }
}
