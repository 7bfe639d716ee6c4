//! What a scan found so far, host by host: open ports whole, the others by state and reason.

use netwhy_scan::{Finding, Reason, State};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// All that was told, each port once.
#[derive(Debug, Default)]
pub(super) struct Results {
    hosts: BTreeMap<IpAddr, HostResults>,
}

/// One host's ports.
#[derive(Debug, Default)]
pub(super) struct HostResults {
    pub open: BTreeMap<u16, Finding>,
    pub groups: Vec<Group>,
}

/// Ports of one host that fail in the same way.
#[derive(Debug)]
pub(super) struct Group {
    pub state: State,
    pub reason: Reason,
    pub ports: Vec<u16>,
}

impl Results {
    /// Takes what was told.
    pub(super) fn found(&mut self, finding: &Finding) {
        self.hosts.entry(finding.host).or_default().add(finding);
    }

    /// Takes what replaces something told before.
    pub(super) fn revised(&mut self, finding: &Finding) {
        let host = self.hosts.entry(finding.host).or_default();
        if host.open.remove(&finding.port).is_none() {
            for group in &mut host.groups {
                group.ports.retain(|&port| port != finding.port);
            }
        }
        host.add(finding);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&IpAddr, &HostResults)> {
        self.hosts.iter()
    }

    /// Sorts what must be looked up.
    pub(super) fn finish(&mut self) {
        for group in self.hosts.values_mut().flat_map(|host| &mut host.groups) {
            group.ports.sort_unstable();
        }
    }

    /// State and reason of a port, once [`Self::finish`]ed; `None` where nothing was told of it.
    pub(super) fn of(&self, host: IpAddr, port: u16) -> Option<(State, Reason)> {
        let host = self.hosts.get(&host)?;
        if let Some(open) = host.open.get(&port) {
            return Some((open.state, open.reason));
        }
        let group = host.groups.iter().find(|group| group.ports.binary_search(&port).is_ok())?;
        Some((group.state, group.reason))
    }

    /// Every open port.
    pub(super) fn open(&self) -> impl Iterator<Item = &Finding> {
        self.hosts.values().flat_map(|host| host.open.values())
    }
}

impl HostResults {
    fn add(&mut self, finding: &Finding) {
        if finding.state == State::Open {
            self.open.insert(finding.port, finding.clone());
            return;
        }
        let (state, reason) = (finding.state, finding.reason);
        match self.groups.iter_mut().find(|group| group.state == state && group.reason == reason) {
            Some(group) => group.ports.push(finding.port),
            None => self.groups.push(Group { state, reason, ports: vec![finding.port] }),
        }
    }
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;
    use netwhy_scan::{Look, Protocol};
    use std::time::Duration;

    pub(in super::super) fn finding(port: u16, state: State, reason: Reason) -> Finding {
        let host = [10, 0, 0, 2].into();
        let (ttl, rtt) = match reason {
            Reason::NoAnswer | Reason::Banned => (None, None),
            _ => (Some(63), Some(Duration::from_micros(204))),
        };
        Finding { host, port, protocol: Protocol::Tcp, state, reason, ttl, rtt, look: None }
    }

    pub(in super::super) fn icmp() -> Reason {
        Reason::Icmp { kind: 3, code: 13, from: [10, 0, 0, 1].into() }
    }

    /// Two open, one with a look, two rejected, one intercepted, one closed, one silent.
    pub(in super::super) fn findings() -> Vec<Finding> {
        let mut https = finding(443, State::Open, Reason::SynAck);
        https.look = Some(Look {
            service: "https".into(),
            banner: Some("HTTP/1.1 200 OK <\u{1b}[2J&\"'>".into()),
            names: vec!["shop.example".into(), "*.shop.example".into()],
            matches: Some(true),
        });
        vec![
            finding(22, State::Open, Reason::SynAck),
            https,
            finding(25, State::Rejected, icmp()),
            finding(26, State::Rejected, icmp()),
            finding(8443, State::Intercepted, Reason::RstAfterHandshake),
            finding(81, State::Closed, Reason::Rst),
            finding(90, State::Filtered, Reason::NoAnswer),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_replaces_what_was_told() {
        let mut results = Results::default();
        samples::findings().iter().for_each(|finding| results.found(finding));
        results.revised(&samples::finding(22, State::Intercepted, Reason::RstAfterHandshake));
        results.revised(&samples::finding(26, State::Open, Reason::SynAck));
        results.finish();
        let state = |port| results.of([10, 0, 0, 2].into(), port).map(|(state, _)| state);
        assert_eq!(state(22), Some(State::Intercepted));
        assert_eq!(state(25), Some(State::Rejected));
        assert_eq!(state(26), Some(State::Open));
        assert_eq!(state(7), None);
        assert_eq!(results.open().map(|finding| finding.port).collect::<Vec<_>>(), [26, 443]);
    }
}
