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

pub use conntrack::{
    FlowCounters, FlowEvent, FlowEventKind, FlowEvents, FlowSeen, conntrack_fill, conntrack_flows,
    conntrack_state,
};
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

/// Takes any bytes apart, for fuzzing: the first one chooses the parser. Returns what was understood, as text.
pub fn take_apart(bytes: &[u8]) -> String {
    let Some((choice, rest)) = bytes.split_first() else { return String::new() };
    match choice % 6 {
        0 => nft::take_apart(rest),
        1 => nft::take_apart_set(rest),
        2 => legacy::take_apart(rest),
        3 => ipset::take_apart(rest),
        4 => conntrack::take_apart(rest),
        _ => trace::take_apart(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_netlink::Builder;
    use proptest::prelude::*;

    /// Names of expressions, so that random attributes reach their readers.
    const NAMES: [&str; 24] = [
        "payload",
        "cmp",
        "range",
        "bitwise",
        "byteorder",
        "lookup",
        "meta",
        "ct",
        "fib",
        "exthdr",
        "hash",
        "numgen",
        "immediate",
        "limit",
        "reject",
        "nat",
        "dynset",
        "objref",
        "match",
        "target",
        "log",
        "queue",
        "tproxy",
        "dup",
    ];

    fn attribute() -> impl Strategy<Value = (u16, Vec<u8>)> {
        let number = (0_u32..20).prop_map(|number| number.to_be_bytes().to_vec());
        let name = prop::sample::select(vec![
            "conntrack",
            "hashlimit",
            "recent",
            "REJECT",
            "DNAT",
            "string",
            "time",
        ])
        .prop_map(|name| name.as_bytes().to_vec());
        let data = prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| Builder::default().put(1, &bytes).bytes().to_vec());
        let value =
            prop_oneof![4 => number, 1 => name, 2 => data, 1 => prop::collection::vec(any::<u8>(), 0..400)];
        (1_u16..12, value)
    }

    fn expression() -> impl Strategy<Value = Builder> {
        let attributes = prop::collection::vec(attribute(), 0..10);
        (prop::sample::select(NAMES.to_vec()), attributes).prop_map(|(name, attributes)| {
            let put = |data: Builder, (kind, value): (u16, Vec<u8>)| data.put(kind, &value);
            let data = attributes.into_iter().fold(Builder::default(), put);
            Builder::default().put_text(1, name).nest(2, data)
        })
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let text = take_apart(&bytes);
            prop_assert!(!text.chars().any(char::is_control), "{text:?}");
        }

        #[test]
        fn any_rule_is_one_printable_line(family in 0_u8..12, list in prop::collection::vec(expression(), 0..12)) {
            let put = |list: Builder, expression: Builder| list.nest(1, expression);
            let list = list.into_iter().fold(Builder::default(), put);
            let text = nft::rule_text(Builder::new(&[family, 0, 0, 0]).nest(4, list).bytes());
            prop_assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
}
