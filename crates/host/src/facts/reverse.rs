//! Whether what the far end sends of its own accord comes to the end that asks, and the answers to that back.

use super::Sides;
use super::join::Join;
use netwhy_model::host::{PacketKind, PacketSeen, Record};
use netwhy_model::{Evidence, Link};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Fewer requests prove nothing.
const SENT_COUNT_MIN: usize = 2;

/// `path.reverse`: only while connections fail on the way; `None` when the far end sent nothing to go by.
pub(super) fn fact(sides: &Sides<'_>, join: &Join) -> Option<Evidence> {
    let (source, far) = (sides.source?, sides.far?);
    let lost = join.settled().any(|h| h.sent.is_some() && (h.got.is_none() || !h.answer_came));
    if !lost || far.name == source.name {
        return None;
    }
    let v4 = sides.targets.first()?.is_ipv4();
    let requests: Vec<&PacketSeen> = far
        .packets
        .iter()
        .filter(|p| p.kind == PacketKind::EchoRequest && p.outgoing && p.to.is_ipv4() == v4)
        .filter(|p| source.own_addresses.contains(&p.to.ip()))
        .collect();
    let to = requests.first()?.to.ip();
    if requests.len() < SENT_COUNT_MIN || hidden(to, far) {
        return None;
    }
    let idents: BTreeSet<u16> = requests.iter().map(|p| p.from.port().max(p.to.port())).collect();
    let of_these = |p: &&PacketSeen| idents.contains(&p.from.port().max(p.to.port()));
    let count = |record: &Record, kind, from: Option<IpAddr>| {
        let came = record.packets.iter().filter(|p| p.kind == kind && !p.outgoing).filter(of_these);
        came.filter(|p| from.is_none_or(|from| p.from.ip() == from)).count()
    };
    let (came, answered) =
        (count(source, PacketKind::EchoRequest, None), count(far, PacketKind::EchoReply, Some(to)));
    let value = match (came, answered) {
        (_, 1..) => "both_ways",
        (1.., 0) => "one_way",
        (0, 0) => "none",
    };
    let text = format!(
        "{} echo requests from {} to {to}: {came} came here, {answered} replies came back there",
        requests.len(),
        far.name
    );
    Some(sides.seen("path.reverse", value, Link::Path, text))
}

/// A private address may mean nothing to a host that has none itself.
fn hidden(address: IpAddr, far: &Record) -> bool {
    let private = |a: &IpAddr| match a {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    };
    let same_family = |a: &&IpAddr| a.is_ipv4() == address.is_ipv4();
    private(&address) && !far.own_addresses.iter().filter(same_family).any(private)
}
