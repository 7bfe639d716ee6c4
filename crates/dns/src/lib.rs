//! Asks names: resolvers apart, the walk from the root, DNSSEC, and what differs.
//!
//! Resolves as the system does (hosts file, resolv.conf, search list, address order) while it asks
//! every resolver by itself, and asks the zone's own servers when something is wrong.

pub mod ask;
pub mod authority;
mod cache;
pub mod config;
mod deep;
mod deep_facts;
pub mod dnssec;
mod facts;
pub mod message;
mod names;
pub mod order;
mod query;
mod report;
mod round;
mod system;
pub mod walk;

use netwhy_model::Evidence;
use std::net::IpAddr;

pub use deep::{DeepReport, names_deep, names_deep_report, validate_trace};
pub use facts::{CHAIN_LONG, SLOW_MS, ended, extended_kind, is_fault};
pub use names::{lookup, names, servers};
pub use query::{Manner, is_kind, query, trace};
pub use report::{
    Asking, Ending, Exchange, ExtendedError, NamesReport, Purpose, RecordLine, Reply, ResolverReport,
    ResolverState, Via,
};

/// What a name gives on this host, and everything seen on the way.
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    pub evidence: Vec<Evidence>,
    /// In the order the system would try them: hosts file, search list and RFC 6724 applied.
    pub addresses: Vec<IpAddr>,
    /// What DNS says; differs from `addresses` when the hosts file overrides.
    pub resolver_addresses: Vec<IpAddr>,
    /// Wall time the question took, in milliseconds.
    pub elapsed_ms: f64,
    pub report: NamesReport,
    /// An HTTPS record offers HTTP/3.
    pub https_alpn_h3: bool,
}
