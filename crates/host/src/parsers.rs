//! Every parser of this crate that takes text from the system, in one place for fuzzing.

use crate::counters::{parse_cpu_table, parse_pairs, parse_single, parse_softnet};
use crate::logs::{self, Clock};
use crate::processes::{parse_cgroup, parse_limits_open_files, parse_stat};
use crate::sections::{cgroups, hooks, limits, names, pressure};
use crate::services::{parse_failed_units, parse_show};
use crate::{mounts, persistence, sockets, text};
use netwhy_model::Stamp;

/// Takes any text apart with every parser of system files and logs; returns how much was understood.
pub fn take_apart(text: &str) -> usize {
    files(text) + lines(text)
}

fn files(text: &str) -> usize {
    let counted =
        [parse_pairs(text), parse_single(text, ""), parse_softnet(text), parse_cpu_table(text, "X")];
    let (first, second) = text.split_once('\0').unwrap_or((text, text));
    let readings = [
        limits::tcp_memory(first, second, 4_096).len(),
        pressure::stalls("cpu", text, "file", "en", "zh").len(),
        usize::from(limits::system_files(text).is_some()) + usize::from(pressure::load(text, 2).is_some()),
        usize::from(pressure::meminfo(text, "MemTotal").is_some()),
    ];
    let resolv = names::parse_resolv_conf(text);
    let places = mounts::parse_mountinfo(text);
    let _ =
        (mounts::mount_of(&places, second), sockets::parse_reserved(text, 1, u16::MAX), parse_cgroup(text));
    let _ = (cgroups::parse_throttling(text), parse_limits_open_files(text), parse_stat(text));
    counted.iter().map(Vec::len).sum::<usize>()
        + readings.iter().sum::<usize>()
        + resolv.servers.len()
        + places.len()
        + names::parse_hosts(text).len()
        + hooks::parse_wrappers(text).len()
        + hooks::parse_raw_inodes(text, 10).len()
        + parse_show(text).len()
        + parse_failed_units(text).len()
}

fn lines(text: &str) -> usize {
    let clock = Clock { now: Stamp::from_millis(1_800_000_000_000), offset_s: 3_600 };
    let mut tally = logs::Tally::default();
    tally.add_text(text, "log", Stamp::default(), clock, clock.now);
    let _ = (logs::last_lines(text, 5), text::command_line(text), text::printable(text, 100));
    let journal = text.lines().filter_map(logs::parse_journal_line).count();
    let kernel = text.lines().filter_map(logs::parse_kernel_record).count();
    let jobs = text.lines().filter(|line| persistence::is_odd_job(line, &[])).count();
    let places = text.lines().filter_map(persistence::odd_place).count();
    tally.signs().len() + journal + kernel + jobs + places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_taken_apart(text in "(?s).{0,300}") {
            let _ = super::take_apart(&text);
        }
    }
}
