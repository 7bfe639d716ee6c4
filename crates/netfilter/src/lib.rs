//! The running kernel's packet filter, read live: nf_tables, ip_tables, connection tracking, rule traces.
//!
//! Everything is of the calling thread's network namespace. Nothing is changed, except that a [`Tracer`] holds
//! a table of its own which the kernel removes when its socket closes.

mod conntrack;
mod delta;
mod error;
mod fields;
mod ipset;
mod legacy;
mod nft;
mod printable;
mod source;
mod trace;
mod xt;

pub use conntrack::{FlowSeen, conntrack_fill, conntrack_flows, conntrack_state};
pub use delta::rule_deltas;
pub use error::NetfilterError;
pub use trace::{TRACE_TABLE_PREFIX, Tracer};

use netwhy_model::host::{Ruleset, Unread};
use netwhy_netlink::NetlinkError;
use std::cell::OnceCell;

/// Reads every rule, policy and named set of nf_tables and of the ip_tables and ip6_tables that are loaded.
///
/// Base chains come in the order a packet meets them, the chains they jump to after them.
pub fn ruleset() -> (Ruleset, Vec<Unread>) {
    let mut unread = Vec::new();
    let ipsets: OnceCell<Result<ipset::Sets, NetlinkError>> = OnceCell::new();
    let find = |index: u16| ipsets.get_or_init(ipset::Sets::read).as_ref().ok()?.by_index(index);
    let mut ruleset = match nft::read(&find) {
        Ok(ruleset) => ruleset,
        Err(error) => {
            unread.push(unread_of("nf_tables", &error));
            Ruleset::default()
        }
    };
    for error in legacy::read(&mut ruleset, &find) {
        unread.push(unread_of("ip_tables", &error));
    }
    match ipsets.into_inner() {
        Some(Ok(sets)) => ruleset.sets.extend(sets.into_ruleset_sets()),
        Some(Err(source)) => {
            unread.push(unread_of("ipset", &NetfilterError::Read { what: "sets of ipset", source }));
        }
        None => {}
    }
    (ruleset, unread)
}

fn unread_of(what: &str, error: &NetfilterError) -> Unread {
    Unread { what: what.to_owned(), why: error.in_full(), root_helps: error.root_helps() }
}

/// Takes any bytes apart with every parser of this crate, for fuzzing; returns how much was understood.
pub fn take_apart(bytes: &[u8]) -> usize {
    nft::take_apart(bytes).len()
        + ipset::take_apart(bytes)
        + legacy::take_apart(bytes)
        + conntrack::take_apart(bytes)
        + trace::take_apart(bytes)
}
