//! The kernel counters that can explain a lost connection, before and after.

use crate::counters::Counters;
use netwhy_model::host::CounterDelta;

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
