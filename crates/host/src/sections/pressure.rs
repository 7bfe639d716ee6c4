//! How hard the machine is pressed: processors, memory, disks.

use super::{Said, reading, section};
use crate::files::{Gaps, text_or_empty};
use netwhy_model::host::{Reading, Section, State};

/// Average shares of stalled time that are odd and bad, in percent.
const STALL_PERCENT_ODD: f64 = 40.0;
const STALL_PERCENT_BAD: f64 = 80.0;
/// Available memory below this share of all is odd, and bad.
const AVAILABLE_PERMILLE_ODD: u64 = 50;
const AVAILABLE_PERMILLE_BAD: u64 = 20;
/// Runnable tasks per processor that are odd.
const LOAD_PER_CPU_ODD: f64 = 4.0;

const KINDS: [(&str, &str, &str); 3] = [
    ("cpu", "tasks wait for a processor", "任务在等待 CPU"),
    ("memory", "tasks wait for memory", "任务在等待内存"),
    ("io", "tasks wait for disks", "任务在等待磁盘"),
];

/// Builds the section.
pub(crate) fn read(gaps: &mut Gaps) -> Section {
    let mut readings = Vec::new();
    for (kind, en, zh) in KINDS {
        let path = format!("/proc/pressure/{kind}");
        match crate::files::text(&path) {
            Ok(text) => readings.extend(stalls(kind, &text, &path, en, zh)),
            // Kernels without PSI, or with it switched off, say so in these two ways.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            Err(error) => gaps.failed(&path, &error),
        }
    }
    readings.extend(load(&text_or_empty("/proc/loadavg"), processors()));
    readings.extend(memory(&text_or_empty("/proc/meminfo")));
    section("pressure", "Pressure", "资源压力", readings)
}

/// Reads one file of pressure stall information: `some avg10=0.00 avg60=… total=…` and `full …`.
pub(crate) fn stalls(kind: &str, text: &str, path: &str, en: &str, zh: &str) -> Vec<Reading> {
    text.lines()
        .filter_map(|line| {
            let (who, rest) = line.split_once(' ')?;
            let average = rest.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?;
            let share: f64 = average.parse().ok().filter(|share: &f64| share.is_finite())?;
            let one = reading(format!("{kind} {who} avg10"), average, path).unit("%");
            // "some": one task waits; for processors that is daily life on a busy machine.
            Some(if share >= STALL_PERCENT_BAD {
                one.said(State::Bad, en, zh)
            } else if share >= STALL_PERCENT_ODD {
                one.said(State::Odd, en, zh)
            } else {
                one
            })
        })
        .take(2)
        .collect()
}

/// The load of the last minute against the number of processors.
pub(crate) fn load(text: &str, processors: u64) -> Option<Reading> {
    let first = text.split_whitespace().next()?;
    let load: f64 = first.parse().ok().filter(|load: &f64| load.is_finite())?;
    let one = reading("load of one minute", first, "/proc/loadavg").unit("tasks").limit(processors);
    Some(if load > LOAD_PER_CPU_ODD * processors.max(1) as f64 {
        one.said(
            State::Odd,
            "many more tasks want to run than there are processors",
            "待运行任务远多于处理器数",
        )
    } else {
        one
    })
}

fn memory(text: &str) -> Option<Reading> {
    let (available, total) = (meminfo(text, "MemAvailable")?, meminfo(text, "MemTotal")?);
    let one = reading("memory available", available, "/proc/meminfo").unit("bytes").limit(total);
    let permille = available.saturating_mul(1_000) / total.max(1);
    Some(if permille < AVAILABLE_PERMILLE_BAD {
        one.said(
            State::Bad,
            "nearly no memory is left: processes are about to be killed",
            "内存几乎耗尽，进程可能被杀死",
        )
    } else if permille < AVAILABLE_PERMILLE_ODD {
        one.said(State::Odd, "little memory is left", "可用内存不多")
    } else {
        one
    })
}

/// A line of /proc/meminfo, in bytes.
pub(crate) fn meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1_024)
}

/// Processors that are online.
pub(crate) fn processors() -> u64 {
    // SAFETY: plain library call without pointers.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stalls_are_judged() {
        let text = "some avg10=85.10 avg60=1.00 avg300=0.00 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        let readings = stalls("memory", text, "f", "en", "zh");
        assert_eq!(readings.len(), 2);
        assert_eq!((readings[0].state, readings[1].state), (State::Bad, State::Well));
    }

    #[test]
    fn memory_and_load_are_judged() {
        let text = "MemTotal:       1000000 kB\nMemFree: 1 kB\nMemAvailable:  30000 kB\n";
        assert_eq!(memory(text).unwrap().state, State::Odd);
        assert_eq!(meminfo(text, "MemTotal"), Some(1_024_000_000));
        assert_eq!(load("9.1 1 1 1/2 3", 2).unwrap().state, State::Odd);
        assert_eq!(load("7.9 1 1 1/2 3", 2).unwrap().state, State::Well);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(some avg10=[0-9.naife]{0,6} |MemTotal: [0-9]{0,20}|(?s).{0,60})") {
            let _ = stalls("cpu", &text, "f", "a", "b");
            let _ = load(&text, 1);
            let _ = memory(&text);
        }
    }
}
