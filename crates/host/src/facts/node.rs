//! Where a node in front of an origin connects to.

use netwhy_model::host::Record;
use netwhy_model::{Evidence, Link, Stamp, Vantage};
use std::net::SocketAddr;

/// Where the node connects to beside where the origin is, and the address to go on with.
///
/// `onward` of the node's record are its own connections during the watch, most frequent first; `named` is
/// the address the user gave for the origin.
pub fn dials(
    node: &Record,
    origin: Option<&Record>,
    named: Option<SocketAddr>,
    at: Stamp,
) -> (Option<Evidence>, Option<SocketAddr>) {
    let owned = |a: &SocketAddr| origin.is_some_and(|o| o.own_addresses.contains(&a.ip()));
    let dialled = node
        .onward
        .iter()
        .find(|a| owned(a))
        .or_else(|| node.onward.iter().find(|a| named.is_some_and(|n| n.ip() == a.ip())))
        .or(node.onward.first())
        .copied();
    let said = |value: &str, text: String| {
        let mut evidence =
            Evidence::seen("edge.dials", value, Link::Edge, at, "ends", text).about(node.name.clone());
        evidence.vantage = Vantage::Edge;
        evidence
    };
    let Some(dialled) = dialled else {
        let text = format!("{} began no connection of its own while it was asked", node.name);
        let asked = node.packets.iter().any(|p| !p.outgoing);
        return (asked.then(|| said("nowhere", text)), named);
    };
    let Some(origin) = origin else { return (None, Some(dialled)) };
    let listens = origin.listeners.iter().any(|l| l.takes(dialled));
    let others = origin.listeners.iter().any(|l| {
        !l.address.ip().is_loopback()
            && l.address.port() != dialled.port()
            && l.address.port() != 22
            && l.address.port() != 53
    });
    let value = match (owned(&dialled), listens) {
        (false, _) => "other_address",
        (true, false) if others => "other_port",
        (true, _) => "origin",
    };
    (Some(said(value, format!("{} connects to {dialled}", node.name))), Some(dialled))
}
