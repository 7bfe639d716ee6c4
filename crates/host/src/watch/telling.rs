//! The kernel counters that can explain a lost connection, before and after.

use crate::counters::Counters;
use netwhy_model::host::{CounterDelta, Interface};
use netwhy_netlink::route;
use std::collections::BTreeMap;

/// What the counters of an interface are called, behind the interface's name.
pub(crate) const CARRIER_CHANGES: &str = ".carrier_changes";
pub(crate) const LINK_ERRORS: &str = ".errors";

/// Interfaces that are followed.
const INTERFACE_COUNT_MAX: usize = 256;

/// How often each interface has lost or found its carrier so far, and its errors both ways.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<u32, (u64, u64)>);

impl Links {
    /// Reads it now; empty where links cannot be listed.
    pub(super) fn read() -> Links {
        let links = route::links().map(|listed| listed.items).unwrap_or_default();
        let state = |link: &route::Link| {
            let counters = &link.counters;
            (link.index, (link.carrier_changes.into(), counters.receive_errors + counters.send_errors))
        };
        Links(links.iter().take(INTERFACE_COUNT_MAX).map(state).collect())
    }

    /// Which changed since.
    pub(super) fn deltas(&self, now: &[Interface]) -> Vec<CounterDelta> {
        let of = |interface: &Interface| {
            let (changes, errors) = *self.0.get(&interface.index)?;
            let one = |name: &str, before, after, from: &str| CounterDelta {
                name: format!("{}{name}", interface.name),
                before,
                after,
                from: from.to_owned(),
            };
            Some([
                one(CARRIER_CHANGES, changes, interface.carrier_changes, "rtnetlink IFLA_CARRIER_CHANGES"),
                one(LINK_ERRORS, errors, interface.rx_errors + interface.tx_errors, "rtnetlink IFLA_STATS64"),
            ])
        };
        now.iter().filter_map(of).flatten().filter(|delta| delta.rose() > 0).collect()
    }
}

/// Their names; a name that ends in a dot stands for its whole group.
const COUNTERS: [&str; 78] = [
    "TcpExt.ListenOverflows",
    "TcpExt.ListenDrops",
    "TcpExt.TCPReqQFullDrop",
    "TcpExt.TCPReqQFullDoCookies",
    "TcpExt.SyncookiesSent",
    "TcpExt.SyncookiesRecv",
    "TcpExt.SyncookiesFailed",
    "TcpExt.TCPMD5NotFound",
    "TcpExt.TCPMD5Unexpected",
    "TcpExt.TCPMD5Failure",
    "TcpExt.TCPAOBad",
    "TcpExt.TCPAORequired",
    "TcpExt.TCPAOKeyNotFound",
    "TcpExt.PAWSActive",
    "TcpExt.PAWSEstab",
    "TcpExt.PAWSPassive",
    "TcpExt.PAWSPassiveRejected",
    "TcpExt.PAWSTimewait",
    "TcpExt.TSEcrRejected",
    "TcpExt.IPReversePathFilter",
    "TcpExt.TCPAbortOnMemory",
    "TcpExt.TCPAbortOnTimeout",
    "TcpExt.TCPMemoryPressures",
    "TcpExt.PFMemallocDrop",
    "TcpExt.TCPBacklogDrop",
    "TcpExt.TCPRcvQDrop",
    "TcpExt.TCPZeroWindowDrop",
    "TcpExt.TCPMinTTLDrop",
    "TcpExt.TCPTimeWaitOverflow",
    "TcpExt.EmbryonicRsts",
    "TcpExt.ArpFilter",
    "TcpExt.TCPSynRetrans",
    "Tcp.AttemptFails",
    "Tcp.OutRsts",
    "Tcp.InErrs",
    "Tcp.InCsumErrors",
    "Tcp.RetransSegs",
    "Udp.NoPorts",
    "Udp.RcvbufErrors",
    "Udp.SndbufErrors",
    "Udp.InCsumErrors",
    "Udp6.NoPorts",
    "Udp6.RcvbufErrors",
    "Udp6.InCsumErrors",
    "Icmp.OutDestUnreachs",
    "Icmp.InCsumErrors",
    "Icmp.OutRateLimitHost",
    "Icmp6.OutDestUnreachs",
    "Icmp6.InCsumErrors",
    "IpExt.InCsumErrors",
    "IpExt.InNoRoutes",
    "Ip.InHdrErrors",
    "Ip.InAddrErrors",
    "Ip.ForwDatagrams",
    "Ip.InDiscards",
    "Ip.OutDiscards",
    "Ip.OutNoRoutes",
    "Ip.ReasmFails",
    "Ip.FragFails",
    "Ip6.InHdrErrors",
    "Ip6.InAddrErrors",
    "Ip6.InNoRoutes",
    "Ip6.InTooBigErrors",
    "Ip6.InDiscards",
    "Ip6.OutDiscards",
    "Ip6.OutNoRoutes",
    "Ip6.OutForwDatagrams",
    "Ip6.FragFails",
    "Xfrm.",
    "Synproxy.",
    "Softnet.dropped",
    "ArpCache.table_fulls",
    "NdiscCache.table_fulls",
    "Conntrack.insert_failed",
    "Conntrack.drop",
    "Conntrack.early_drop",
    "Conntrack.invalid",
    "Vm.oom_kill",
];

/// Compares two readings. Counters that did not rise are there too: they were read, and say so.
pub(super) fn deltas(before: &Counters, now: &Counters) -> Vec<CounterDelta> {
    now.iter()
        .filter(|(name, ..)| is_telling(name))
        .map(|(name, value, from)| CounterDelta {
            name: name.to_owned(),
            before: before.get(name),
            after: value,
            from: from.to_owned(),
        })
        .collect()
}

fn is_telling(name: &str) -> bool {
    COUNTERS.iter().any(|known| if known.ends_with('.') { name.starts_with(known) } else { name == *known })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telling_counters_are_there_even_when_still() {
        let now = crate::counters::read();
        let deltas = deltas(&now, &now);
        let still = deltas.iter().find(|delta| delta.name == "TcpExt.ListenOverflows").unwrap();
        assert_eq!(still.rose(), 0);
        assert!(deltas.iter().all(|delta| delta.name != "Tcp.InSegs"));
    }
}
