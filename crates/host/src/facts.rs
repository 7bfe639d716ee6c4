//! From what both ends recorded to facts of the catalogue. Pure: records in, evidence out.
//!
//! Packets are joined on ports and sequence numbers, so that no two clocks are ever compared. A fact that
//! needs a record nobody has is left unasked; one that a record could not read says why.

mod back;
mod config;
mod firewall;
mod host;
mod join;
mod kernel;
mod log;
mod node;
mod path;
mod reverse;
mod service;
mod wrappers;

pub use config::{Asked, Manner};
pub use node::{dials, manner};

use join::Join;
use netwhy_model::host::Record;
use netwhy_model::{Evidence, Leg, Link, Stamp, Vantage};
use std::net::IpAddr;

/// The module that looked, in every piece of evidence made here.
const COLLECTOR: &str = "ends";

/// What is known of one connection from all the places it was watched at.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    pub leg: Leg,
    /// The end that asks.
    pub source: Option<&'a Record>,
    /// The end that is asked.
    pub far: Option<&'a Record>,
    /// Devices between, in any order.
    pub path: &'a [&'a Record],
    /// The addresses asked for, as the source knows them.
    pub targets: &'a [IpAddr],
    pub port: u16,
    pub udp: bool,
    /// The site and path asked for, where the target speaks HTTP.
    pub asked: Option<Asked<'a>>,
    /// When this was concluded, for the evidence.
    pub at: Stamp,
}

impl Sides<'_> {
    /// Whether the addresses asked for are those by which a host means itself.
    fn is_to_itself(&self) -> bool {
        !self.targets.is_empty() && self.targets.iter().all(|t| t.is_loopback() || t.is_unspecified())
    }

    fn seen(&self, fact: &str, value: &str, link: Link, excerpt: impl Into<String>) -> Evidence {
        let mut evidence = Evidence::seen(fact, value, link, self.at, COLLECTOR, excerpt);
        evidence.leg = self.leg;
        evidence.vantage = match self.leg {
            Leg::Front => Vantage::Origin,
            Leg::Inner => Vantage::Edge,
        };
        if let Some(far) = self.far {
            evidence.vantage = far.vantage.unwrap_or(evidence.vantage);
            evidence.subject = Some(far.name.clone());
        }
        evidence
    }

    fn unread(&self, fact: &str, link: Link, why: impl Into<String>) -> Evidence {
        let mut evidence = Evidence::unread(fact, link, self.at, COLLECTOR, why);
        evidence.leg = self.leg;
        evidence.subject = self.far.map(|far| far.name.clone());
        evidence
    }
}

/// Every fact the records allow, of one connection.
pub fn facts(sides: &Sides<'_>) -> Vec<Evidence> {
    let join = Join::of(sides);
    let mut all = Vec::new();
    all.extend(join.facts(sides));
    if let Some(far) = sides.far {
        all.extend(host::facts(sides, far, &join));
        all.extend(firewall::facts(sides, far, &join));
        all.extend(kernel::facts(sides, far, &join));
        all.extend(service::facts(sides, far, &join));
        all.extend(back::facts(sides, far, &join));
        all.extend(log::facts(sides, far));
        all.extend(config::site(sides, far));
    }
    if let Some(source) = sides.source {
        all.extend(firewall::source_facts(sides, source, &join));
        all.extend(kernel::source_facts(sides, source, &join));
    }
    all.extend(path::facts(sides, &join));
    all.extend(reverse::fact(sides, &join));
    all
}
