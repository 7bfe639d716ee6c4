//! Outgoing connections that spread: one port of many hosts, many ports of one host.

use super::tally::{Key, States, Tally};
use netwhy_model::host::FanOut;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// With fewer targets nothing is said to spread.
const TARGET_COUNT_MIN: u64 = 8;
/// Spreads listed.
const FAN_OUT_COUNT_MAX: usize = 16;
/// Targets shown of each.
const EXAMPLE_COUNT: usize = 5;
/// Processes named of each.
const PROCESS_COUNT_MAX: usize = 8;

/// Every place this host connects to, with the states of its connections.
pub(super) struct Targets(Vec<(Key, States)>);

impl Targets {
    pub(super) fn of(tally: &Tally) -> Targets {
        // One target may be reached from several own addresses.
        let mut merged: HashMap<(u128, u16), (Key, States)> = HashMap::new();
        for (key, states) in tally.keys.iter().filter(|(key, _)| !key.serves) {
            // The loopback's ports are this host's own business.
            if key.address().is_loopback() {
                continue;
            }
            let (_, sum) = merged
                .entry((key.peer, key.port))
                .or_insert_with(|| (Key { own: 0, ..*key }, States::default()));
            sum.syn_sent += states.syn_sent;
            sum.established += states.established;
            sum.time_wait += states.time_wait;
            sum.close_wait += states.close_wait;
            sum.closing += states.closing;
        }
        let mut all: Vec<(Key, States)> = merged.into_values().collect();
        all.sort_by_key(|(key, _)| (key.peer, key.port));
        Targets(all)
    }
}

/// Finds the spreads, most targets first.
pub(super) fn fan_outs(
    targets: &Targets,
    sampled: &[(u64, u16, u128)],
    owners: &BTreeMap<u64, Vec<u32>>,
) -> Vec<FanOut> {
    let mut by_port: BTreeMap<u16, FanOut> = BTreeMap::new();
    let mut by_host: BTreeMap<u128, FanOut> = BTreeMap::new();
    for (key, states) in &targets.0 {
        let port =
            by_port.entry(key.port).or_insert_with(|| FanOut { port: Some(key.port), ..FanOut::default() });
        add(port, key, states);
        let host = by_host
            .entry(key.peer)
            .or_insert_with(|| FanOut { host: Some(key.address()), ..FanOut::default() });
        add(host, key, states);
    }
    let mut found: Vec<FanOut> = by_port
        .into_values()
        .chain(by_host.into_values())
        .filter(|fan_out| fan_out.targets >= TARGET_COUNT_MIN)
        .collect();
    found.sort_by_key(|fan_out| (std::cmp::Reverse((fan_out.half_open, fan_out.targets)), fan_out.port));
    found.truncate(FAN_OUT_COUNT_MAX);
    for fan_out in &mut found {
        fan_out.pids = pids(fan_out, sampled, owners);
    }
    found
}

fn add(fan_out: &mut FanOut, key: &Key, states: &States) {
    fan_out.targets += 1;
    fan_out.half_open += u64::from(states.syn_sent > 0);
    fan_out.established += u64::from(states.established);
    fan_out.ended += u64::from(states.time_wait) + u64::from(states.closing);
    if fan_out.examples.len() < EXAMPLE_COUNT {
        fan_out.examples.push((key.address(), key.port).into());
    }
}

/// The processes with most of these connections first.
fn pids(fan_out: &FanOut, sampled: &[(u64, u16, u128)], owners: &BTreeMap<u64, Vec<u32>>) -> Vec<u32> {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for (inode, port, peer) in sampled {
        let address = std::net::Ipv6Addr::from_bits(*peer).to_canonical();
        if fan_out.port.is_none_or(|own| own == *port) && fan_out.host.is_none_or(|own| own == address) {
            for pid in owners.get(inode).into_iter().flatten().collect::<BTreeSet<_>>() {
                *counts.entry(*pid).or_default() += 1;
            }
        }
    }
    let mut most: Vec<(u64, u32)> = counts.into_iter().map(|(pid, count)| (count, pid)).collect();
    most.sort_by_key(|(count, pid)| (std::cmp::Reverse(*count), *pid));
    most.into_iter().take(PROCESS_COUNT_MAX).map(|(_, pid)| pid).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tally::tests::socket;
    use super::*;
    use netwhy_netlink::sock_diag::state;

    #[test]
    fn one_port_of_many_hosts_stands_out_with_its_process() {
        let mut tally = Tally::default();
        for host in 1..=60 {
            tally.add(&socket(state::SYN_SENT, "10.0.0.1:40000", &format!("192.0.2.{host}:22"), host));
        }
        tally.add(&socket(state::ESTABLISHED, "10.0.0.1:41000", "192.0.2.200:443", 99));
        tally.add(&socket(state::ESTABLISHED, "127.0.0.1:41000", "127.0.0.1:5432", 98));
        let owners = (1..=60).map(|inode| (inode, vec![if inode < 50 { 7 } else { 8 }])).collect();
        let found = tally.fan_outs(&owners);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].port, found[0].targets, found[0].half_open), (Some(22), 60, 60));
        assert_eq!(found[0].pids, [7, 8]);
        assert_eq!(found[0].examples.len(), EXAMPLE_COUNT);
    }

    #[test]
    fn many_ports_of_one_host_stand_out() {
        let mut tally = Tally::default();
        for port in 1..=30 {
            tally.add(&socket(state::SYN_SENT, "10.0.0.1:40000", &format!("192.0.2.1:{port}"), port));
        }
        let found = tally.fan_outs(&BTreeMap::new());
        assert_eq!((found[0].host.unwrap().to_string().as_str(), found[0].targets), ("192.0.2.1", 30));
    }
}
