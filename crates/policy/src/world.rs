//! A collection of files as one model: every file goes to the reader that knows it.

mod behind;
mod columns;
mod form;
mod given;
mod harmless;
mod host;
mod nodes;
mod one_way;
mod sniff;

pub use crate::netfilter::trace::Role;
pub use given::Given;
pub use sniff::netfilter;

use crate::balancer::{Balancer, Known};
use crate::can::{self, Answer};
use crate::estate::{Ask, End, Endpoint, Estate};
use crate::finding::Finding;
use crate::gate::Gate;
use crate::lint;
use crate::place::{Place, Unread};
use std::net::IpAddr;
use std::sync::Arc;

/// One file: its name as the user knows it, and its text.
#[derive(Debug, Clone)]
pub struct Source {
    pub file: Arc<str>,
    pub text: String,
}

/// Everything that was read.
pub struct World {
    estates: Vec<Box<dyn Estate>>,
    balancers: Vec<Balancer>,
    unread: Vec<Unread>,
    findings: Vec<Finding>,
    /// Where hosts listen and what they answer.
    known: Known,
    columns: columns::Columns,
}

impl World {
    /// Reads every source with the reader its content asks for. `role` is that of packet filters; without it each
    /// is taken for the one that its chains suggest.
    pub fn read(sources: &[Source], role: Option<Role>) -> World {
        World::read_given(sources, Given { role, ..Given::default() })
    }

    /// The same, with what is known besides; snapshots of hosts and histories among the sources add to it.
    pub fn read_given(sources: &[Source], given: Given) -> World {
        sniff::read(sources, given)
    }

    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    pub fn estates(&self) -> &[Box<dyn Estate>] {
        &self.estates
    }

    /// Every list of rules.
    pub fn gates(&self) -> Vec<Arc<Gate>> {
        self.estates.iter().flat_map(|estate| estate.gates()).collect()
    }

    /// Every endpoint of every estate.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.estates.iter().flat_map(|estate| estate.endpoints())
    }

    /// The names an end may be given by.
    pub fn names(&self) -> Vec<&str> {
        self.endpoints()
            .flat_map(|endpoint| std::iter::once(&endpoint.id).chain(&endpoint.names))
            .map(String::as_str)
            .chain(["outside"])
            .collect()
    }

    /// An end as a user writes it: an address, a network, first-last, a name, `outside`.
    pub fn end(&self, text: &str) -> Option<End> {
        if ["outside", "internet", "anywhere"].contains(&text) {
            return Some(End::Outside);
        }
        if let Some((first, last)) = addresses(text) {
            return Some(End::Addresses(first, last));
        }
        let known =
            |endpoint: &&Endpoint| endpoint.id == text || endpoint.names.iter().any(|name| name == text);
        self.endpoints().find(known).map(|endpoint| End::Known(endpoint.id.clone()))
    }

    /// What is wrong with the rules: of every list, what the estates themselves find, and which protection nodes
    /// (of a file of ranges, if one is given) allow lists lack.
    pub fn lint(&self, ranges: Option<&Source>) -> Vec<Finding> {
        let mut found: Vec<Finding> =
            self.estates.iter().flat_map(|one| one.lint_gates()).flat_map(|gate| lint::gate(&gate)).collect();
        found.extend(self.findings.iter().cloned());
        found.extend(nodes::missing(&self.gates(), ranges));
        let can = |ask: &Ask| self.can(ask);
        found.extend(self.balancers.iter().flat_map(|one| crate::balancer::stopped(one, &can)));
        found.sort_by(|a, b| (&a.place, a.rule, a.kind).cmp(&(&b.place, b.rule, b.kind)));
        found
    }

    /// Says by which interfaces packets come and go, for packet filters that ask.
    #[must_use]
    pub fn through(mut self, from: Option<&str>, to: Option<&str>) -> World {
        for estate in &mut self.estates {
            estate.through(from, to);
        }
        self
    }

    /// The endpoint that has an address.
    pub fn whose(&self, address: IpAddr) -> Option<End> {
        let known = self.endpoints().find(|endpoint| endpoint.addresses.contains(&address));
        known.map(|endpoint| End::Known(endpoint.id.clone()))
    }

    /// A place's column counted in UTF-16 code units instead of bytes, as editors and SARIF have it.
    pub fn utf16_column(&self, place: &Place) -> u32 {
        self.columns.utf16(place)
    }

    pub fn balancers(&self) -> &[Balancer] {
        &self.balancers
    }

    /// May A reach B?
    pub fn can(&self, ask: &Ask) -> Answer {
        self.with_sockets(can::can(&self.estates, ask), ask)
    }
}

/// An address, a prefix, or first-last.
pub fn addresses(text: &str) -> Option<(IpAddr, IpAddr)> {
    use crate::space::{Family, address, number};
    if let Ok(one) = text.parse::<IpAddr>() {
        return Some((one, one));
    }
    if let Some((first, bits)) = text.split_once('/') {
        let first: IpAddr = first.parse().ok()?;
        let family = Family::of(first);
        let width: u32 = if family == Family::V4 { 32 } else { 128 };
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= width)?;
        let host = 1_u128.checked_shl(width - bits).map_or(u128::MAX, |size| size - 1);
        let start = number(first) & !host;
        return Some((address(family, start), address(family, start | host)));
    }
    let (first, last) = text.split_once('-')?;
    let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
    (first.is_ipv4() == last.is_ipv4() && number(first) <= number(last)).then_some((first, last))
}
