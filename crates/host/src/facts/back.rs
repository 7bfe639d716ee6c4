//! The far host's way back to us.

use super::Sides;
use super::join::Join;
use netwhy_model::host::{LocalRoute, Record};
use netwhy_model::{Evidence, Link};
use std::net::IpAddr;

pub(super) fn facts(sides: &Sides<'_>, far: &Record, join: &Join) -> Vec<Evidence> {
    way_back(sides, far, join).into_iter().chain(onlink(sides, far)).collect()
}

/// Whether both ends agree that they are neighbours on one link.
fn onlink(sides: &Sides<'_>, far: &Record) -> Option<Evidence> {
    let source = sides.source?;
    let there = source.routes.iter().find(|r| sides.targets.contains(&r.to) && r.kind == "unicast")?;
    let home = far.routes.iter().find(|r| {
        source.own_addresses.contains(&r.to) && r.to.is_ipv4() == there.to.is_ipv4() && r.kind == "unicast"
    })?;
    let value = if there.gateway.is_none() == home.gateway.is_none() { "agree" } else { "one_sided" };
    let hop = |r: &LocalRoute| r.gateway.map_or("on the own link".to_owned(), |via| format!("via {via}"));
    let text = format!(
        "{} reaches {} {}, {} reaches {} {}",
        source.name,
        there.to,
        hop(there),
        far.name,
        home.to,
        hop(home)
    );
    Some(sides.seen("host.onlink", value, Link::OriginHost, text))
}

fn way_back(sides: &Sides<'_>, far: &Record, join: &Join) -> Option<Evidence> {
    let clients: Vec<IpAddr> = match join.got().first() {
        Some((client, _)) => vec![client.ip()],
        None => far.spec.sources.clone(),
    };
    let to_us: Vec<&LocalRoute> = far.routes.iter().filter(|r| clients.contains(&r.to)).collect();
    let bound = to_us.iter().find(|r| r.from.is_some()).or(to_us.first())?;
    let plain = to_us.iter().find(|r| r.from.is_none());
    let value = match judge(bound, plain.copied()) {
        "ok" if wrong_station(bound, far, join) => "wrong_mac",
        // Nobody answers there for an address that is no neighbour: the own mask says it is one.
        "neighbour_failed" if bound.gateway.is_none() => "onlink_failed",
        value => value,
    };
    let came_by = join
        .handshakes
        .values()
        .find_map(|h| h.got)
        .and_then(|(client, _)| far.packets.iter().find(|p| !p.outgoing && p.from == client))
        .and_then(|packet| far.interfaces.iter().find(|i| i.index == packet.interface));
    let other =
        came_by.is_some_and(|i| !bound.interface.is_empty() && i.name != bound.interface && i.name != "lo");
    let value = if value == "ok" && other { "other_interface" } else { value };
    let text = format!(
        "{} to {}{}: {}{}{}, table {}, {}",
        far.name,
        bound.to,
        bound.from.map_or_else(String::new, |from| format!(" from {from}")),
        bound.kind,
        bound.gateway.map_or_else(String::new, |via| format!(" via {via}")),
        if bound.interface.is_empty() { String::new() } else { format!(" dev {}", bound.interface) },
        bound.table,
        match &bound.rule {
            Some(rule) => format!("policy rule {rule}"),
            None if bound.neighbour.is_empty() => "next hop not asked".to_owned(),
            None => format!("next hop {}", bound.neighbour),
        },
    );
    Some(sides.seen("host.route_back", value, Link::OriginHost, text))
}

/// Whether the next hop's address is written down for another station than the one our packets come from.
fn wrong_station(bound: &LocalRoute, far: &Record, join: &Join) -> bool {
    let hop = bound.gateway.unwrap_or(bound.to);
    let Some(entry) = far.neighbours.iter().find(|n| n.address == hop && n.state == "permanent") else {
        return false;
    };
    let clients: Vec<_> = join.got().into_iter().map(|(client, _)| client).collect();
    let came = far.packets.iter().find(|p| !p.outgoing && clients.contains(&p.from));
    let (Some(mac), Some(written)) = (came.and_then(|p| p.mac), &entry.mac) else { return false };
    let shown = mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
    !written.eq_ignore_ascii_case(&shown)
}

fn judge(bound: &LocalRoute, plain: Option<&LocalRoute>) -> &'static str {
    /// The main table (RT_TABLE_MAIN) and those that are looked up beside it.
    const TABLES_USUAL: [u32; 4] = [0, 253, 254, 255];
    let usable = |r: &LocalRoute| matches!(r.kind.as_str(), "unicast" | "local");
    let ruled = !TABLES_USUAL.contains(&bound.table) && bound.table != 0;
    match (usable(bound), plain.map(usable)) {
        (false, Some(true)) => "rule",
        (false, _) if bound.rule.is_some() => "rule",
        (false, _) if bound.kind == "none" => "none",
        (false, _) => "refused",
        (true, _) if matches!(bound.neighbour.as_str(), "failed" | "incomplete") => {
            if ruled {
                "rule"
            } else {
                "neighbour_failed"
            }
        }
        (true, _) => "ok",
    }
}
