//! Where a node in front of an origin connects to, and what its configuration says of that.

use super::config::{self, Asked};
use netwhy_model::host::{PacketKind, Record};
use netwhy_model::{Evidence, Link, Stamp, Vantage};
use std::net::SocketAddr;

/// Where the node connects to beside where the origin is, what its configuration says of that, and the address
/// to go on with.
///
/// What its log names as the upstream of a failed request comes first, then its own connections during the
/// watch, most frequent first; `named` is the address the user gave for the origin, `asked` what the user asks
/// the node for.
pub fn dials(
    node: &Record,
    origin: Option<&Record>,
    named: Option<SocketAddr>,
    asked: Option<Asked<'_>>,
    at: Stamp,
) -> (Vec<Evidence>, Option<SocketAddr>) {
    let configured = config::Configured::of(node, asked);
    let (dials, onward) = connects(node, origin, named, &configured, at);
    let dialled = onward.filter(|to| node.onward.contains(to));
    let config = configured.evidence(node, origin, dialled, at);
    (dials.into_iter().chain(config).collect(), onward)
}

/// How the node asks the origin at this address, by its configuration; `None` when that does not say.
pub fn manner(node: &Record, asked: Option<Asked<'_>>, to: SocketAddr) -> Option<config::Manner> {
    config::Configured::of(node, asked).manner(to)
}

/// Where the node connects to.
fn connects(
    node: &Record,
    origin: Option<&Record>,
    named: Option<SocketAddr>,
    configured: &config::Configured<'_>,
    at: Stamp,
) -> (Option<Evidence>, Option<SocketAddr>) {
    let owned = |a: &SocketAddr| origin.is_some_and(|o| o.own_addresses.contains(&a.ip()));
    let logged = node.signs.iter().filter(|s| s.at.millis() > 0).find_map(|s| upstream_of(&s.line));
    let dialled = logged
        .or_else(|| node.onward.iter().find(|a| owned(a)).copied())
        // Of several servers, the one that is the end we stand at: the others are nobody's here.
        .or_else(|| node.upstreams.iter().filter(|u| !u.disabled).filter_map(|u| u.address).find(owned))
        .or_else(|| node.onward.iter().find(|a| named.is_some_and(|n| n.ip() == a.ip())).copied())
        .or_else(|| node.onward.iter().find(|a| configured.may_mean(**a)).copied())
        .or(node.onward.first().copied());
    let said = |value: &str, text: String| {
        let mut evidence =
            Evidence::seen("edge.dials", value, Link::Edge, at, "ends", text).about(node.name.clone());
        evidence.vantage = Vantage::Edge;
        evidence
    };
    let Some(dialled) = dialled else {
        let text = format!("{} began no connection of its own while it was asked", node.name);
        let asked = node.packets.iter().any(|p| !p.outgoing && p.kind == PacketKind::Data);
        return (asked.then(|| said("nowhere", text)), named);
    };
    if !owned(&dialled)
        && !answers(node, dialled)
        && let Some(text) = configured.old_name(node, origin.is_some(), named, dialled)
    {
        return (Some(said("old_name", text)), Some(dialled));
    }
    let Some(origin) = origin else { return (None, Some(dialled)) };
    let value = whose(dialled, origin);
    if value == "other_address" && answers(node, dialled) {
        // Another server of the same site, and alive: nothing is wrong with where it goes.
        return (
            Some(said("origin", format!("{} connects to {dialled}, which answers", node.name))),
            Some(dialled),
        );
    }
    (Some(said(value, format!("{} connects to {dialled}", node.name))), Some(dialled))
}

/// What the address is to the origin, in the words of `edge.dials`.
fn whose(dialled: SocketAddr, origin: &Record) -> &'static str {
    /// Ports whose listeners are no other service of a web host.
    const PORTS_OF_THE_SYSTEM: [u16; 2] = [22, 53];
    let outward = || origin.listeners.iter().filter(|l| !l.address.ip().is_loopback());
    if !origin.own_addresses.contains(&dialled.ip()) {
        return "other_address";
    }
    if origin.listeners.iter().any(|l| l.takes(dialled)) {
        return "origin";
    }
    let same_port =
        outward().any(|l| l.address.port() == dialled.port() && l.address.is_ipv4() == dialled.is_ipv4());
    // The port is right; who listens there does so for the host itself alone.
    if !same_port && origin.listeners.iter().any(|l| l.address.port() == dialled.port()) {
        return "origin";
    }
    let others = outward()
        .any(|l| l.address.port() != dialled.port() && !PORTS_OF_THE_SYSTEM.contains(&l.address.port()));
    match (same_port, others) {
        (true, _) => "other_address",
        (false, true) => "other_port",
        (false, false) => "origin",
    }
}

/// Whether the node's handshake with that address was answered.
fn answers(node: &Record, dialled: SocketAddr) -> bool {
    node.packets.iter().any(|p| !p.outgoing && p.kind == PacketKind::SynAck && p.from == dialled)
}

/// The address in `upstream: "http://10.0.0.2:8080/…"` (nginx) of a log line.
fn upstream_of(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("upstream: \"")?;
    let (_, rest) = rest.split_once("://")?;
    rest.split(['/', '"']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_of_a_log_line_is_found() {
        let line = "connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.1, \
                    upstream: \"http://10.0.0.2:8080/x\", host: \"shop\"";
        assert_eq!(upstream_of(line), Some("10.0.0.2:8080".parse().unwrap()));
        assert_eq!(upstream_of("upstream: \"fastcgi://unix:/run/php.sock:\""), None);
    }
}
