//! Scans too large to keep in mind at once: blocks of hosts, one after another.

use crate::{Event, Hosts, Plan, ScanError, Summary};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Hosts of one block: each has about 80 bytes of state.
const HOST_COUNT_MAX: u64 = 1 << 17;
/// Pairs of one block: each has one bit of state.
pub const PAIR_COUNT_MAX: u64 = 1 << 28;
/// Notices kept of all blocks together.
const NOTICE_COUNT_MAX: usize = 256;

/// Hosts a block may have with so many ports.
pub fn block_len(plan: &Plan) -> u64 {
    (PAIR_COUNT_MAX / u64::from(plan.ports.len().max(1))).clamp(1, HOST_COUNT_MAX)
}

/// Runs a plan block by block.
pub fn run(plan: &Plan, stop: &AtomicBool, tell: &mut dyn FnMut(Event)) -> Result<Summary, ScanError> {
    if plan.checkpoint.is_some() || plan.resume.is_some() {
        return Err(ScanError::Input {
            place: format!("{} hosts and {} ports", plan.hosts.len(), plan.ports.len()),
            problem: "more than one checkpoint keeps in mind".to_owned(),
            hint: "cut the hosts into several scans, or leave the checkpoint out".to_owned(),
        });
    }
    let began = Instant::now();
    let mut whole: Option<Summary> = None;
    // Pairs of blocks without any way: this machine's fault, and nothing known of them.
    let mut astray = 0;
    for hosts in blocks(&plan.hosts, block_len(plan)) {
        let left = plan.max_duration.map(|most| most.saturating_sub(began.elapsed()));
        let late = left.is_some_and(|left| left.is_zero()) || stop.load(Ordering::Relaxed);
        let block = Plan { hosts, max_duration: left, ..plan.clone() };
        let asked_not = block.order().len();
        if late {
            if let Some(whole) = &mut whole {
                whole.complete = false;
                whole.unknown += asked_not;
            }
            continue;
        }
        let part = match super::run_block(&block, stop, tell) {
            // A block without any way says nothing against the others.
            Err(ScanError::NoRoute { .. }) if plan.hosts.len() > block.hosts.len() => {
                astray += asked_not;
                continue;
            }
            part => part?,
        };
        whole = Some(match whole {
            Some(before) => join(before, part),
            None => part,
        });
    }
    let hosts = plan.hosts.len();
    match whole {
        Some(whole) => Ok(Summary {
            hosts,
            unknown: whole.unknown + astray,
            complete: whole.complete && astray == 0,
            elapsed_ms: began.elapsed().as_millis() as u64,
            ..whole
        }),
        None => Err(ScanError::NoRoute {
            host: plan.hosts.get(0).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            reason: "none of the hosts has a way".to_owned(),
        }),
    }
}

/// Cuts hosts into blocks of at most so many, in their order.
fn blocks(hosts: &Hosts, length: u64) -> impl Iterator<Item = Hosts> + '_ {
    let count = hosts.len().div_ceil(length);
    (0..count).map(move |number| hosts.part(number * length, (number + 1) * length))
}

/// Two parts of one scan as one.
fn join(before: Summary, part: Summary) -> Summary {
    let heard = |summary: &Summary| summary.packets_received as f64;
    let loss = match (before.loss, part.loss) {
        (Some(one), Some(other)) => {
            let (weight, weight_other) = (heard(&before), heard(&part));
            Some((one * weight + other * weight_other) / (weight + weight_other).max(1.0))
        }
        (one, other) => one.or(other),
    };
    let rtt_ms = match (before.rtt_ms, part.rtt_ms) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let mut notices = before.notices;
    notices.extend(part.notices);
    notices.truncate(NOTICE_COUNT_MAX);
    Summary {
        hosts: before.hosts + part.hosts,
        open: before.open + part.open,
        closed: before.closed + part.closed,
        filtered: before.filtered + part.filtered,
        rejected: before.rejected + part.rejected,
        intercepted: before.intercepted + part.intercepted,
        unknown: before.unknown + part.unknown,
        packets_sent: before.packets_sent + part.packets_sent,
        packets_received: before.packets_received + part.packets_received,
        passes: before.passes.max(part.passes),
        loss,
        expected_missed: before.expected_missed + part.expected_missed,
        rtt_ms,
        complete: before.complete && part.complete,
        notices,
        ..part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_every_host_once() {
        let hosts = Hosts::parse(&["10.0.0.0/29", "10.0.1.7", "fd00::1-fd00::9"], &["10.0.0.3"]).unwrap();
        for length in [1, 3, 7, 100] {
            let cut: Vec<IpAddr> =
                blocks(&hosts, length).flat_map(|block| block.iter().collect::<Vec<_>>()).collect();
            assert_eq!(cut, hosts.iter().collect::<Vec<_>>(), "{length}");
            assert!(blocks(&hosts, length).all(|block| block.len() <= length && !block.is_empty()));
        }
    }

    #[test]
    fn a_block_fits_its_limits() {
        let plan = |ports: &str| {
            let ports = crate::Ports::parse(ports, crate::Protocol::Tcp).unwrap();
            Plan::new(Hosts::parse(&["10.0.0.0/8"], &[]).unwrap(), ports)
        };
        assert_eq!(block_len(&plan("80")), HOST_COUNT_MAX);
        assert!(block_len(&plan("1-65535")) * 65_535 <= PAIR_COUNT_MAX);
    }
}
