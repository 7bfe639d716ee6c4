//! Devices between the ends: which one got our packets and did not pass them on, and why.

use super::Sides;
use super::firewall::{said, stops};
use super::join::{Answer, Join};
use super::kernel::risen;
use netwhy_model::host::{Hook, Match, PacketKind, PacketSeen, Record, RuleDelta, RuleVerdict};
use netwhy_model::{Evidence, Link, Vantage};
use std::collections::BTreeSet;

pub(super) fn facts(sides: &Sides<'_>, join: &Join) -> Vec<Evidence> {
    let mut all = Vec::new();
    if sides.path.is_empty() || sides.udp {
        return all;
    }
    let there = syn_keys(join);
    if !there.is_empty() {
        let arrived = join.settled().filter(|h| h.sent.is_some()).all(|h| h.got.is_some());
        let way = Way { keys: &there, kind: PacketKind::Syn, arrived };
        all.extend(way.fact(sides, "path.device"));
    }
    let back: BTreeSet<u32> =
        join.settled().filter(|h| h.answer == Answer::SynAck).filter_map(|h| answer_key(h, join)).collect();
    if !back.is_empty() {
        let came = join.settled().filter(|h| h.answer == Answer::SynAck).all(|h| h.answer_came);
        let way = Way { keys: &back, kind: PacketKind::SynAck, arrived: came };
        all.extend(way.fact(sides, "path.device_back"));
        all.extend(ways(sides, &there, &back));
    }
    all
}

fn syn_keys(join: &Join) -> BTreeSet<u32> {
    join.handshakes.iter().filter(|(_, h)| h.sent.is_some() && !h.young).map(|(key, _)| *key).collect()
}

/// A SYN-ACK is known by what it acknowledges.
fn answer_key(handshake: &super::join::Handshake, join: &Join) -> Option<u32> {
    join.handshakes.iter().find(|(_, h)| std::ptr::eq(*h, handshake)).map(|(key, _)| key.wrapping_add(1))
}

/// Packets of one kind on their way in one direction.
struct Way<'a> {
    keys: &'a BTreeSet<u32>,
    kind: PacketKind,
    /// All of them came to the end of the way.
    arrived: bool,
}

impl Way<'_> {
    fn is_ours(&self, packet: &PacketSeen) -> bool {
        packet.kind == self.kind
            && match self.kind {
                PacketKind::SynAck => self.keys.contains(&packet.acknowledgment),
                _ => self.keys.contains(&packet.sequence),
            }
    }

    /// How many of them came to a device, and how many it sent on.
    fn counts(&self, device: &Record) -> (usize, usize) {
        let count =
            |outgoing| device.packets.iter().filter(|p| p.outgoing == outgoing && self.is_ours(p)).count();
        (count(false), count(true))
    }

    /// Devices that got any, nearest to the packets' sender first.
    fn in_order<'r>(&self, devices: &[&'r Record]) -> Vec<&'r Record> {
        let ttl =
            |d: &Record| d.packets.iter().filter(|p| !p.outgoing && self.is_ours(p)).map(|p| p.ttl).max();
        let mut list: Vec<(u8, &Record)> = devices.iter().filter_map(|d| Some((ttl(d)?, *d))).collect();
        list.sort_by_key(|(ttl, _)| std::cmp::Reverse(*ttl));
        list.into_iter().map(|(_, d)| d).collect()
    }

    fn fact(&self, sides: &Sides<'_>, fact: &str) -> Option<Evidence> {
        let on_the_way = self.in_order(sides.path);
        let broken = on_the_way.iter().find(|device| {
            let (got, sent) = self.counts(device);
            sent < got
        });
        let (value, text, name) = match broken {
            Some(device) => {
                let (got, sent) = self.counts(device);
                let (value, why) = self.why(device);
                (value, format!("{}: {got} came, {sent} passed on; {why}", device.name), device.name.clone())
            }
            None if self.arrived => {
                let names: Vec<&str> = on_the_way.iter().map(|d| d.name.as_str()).collect();
                if names.is_empty() {
                    return None;
                }
                ("forwards", format!("passed on by {}", names.join(", ")), String::new())
            }
            None => {
                let last = on_the_way.last();
                let text = last.map_or_else(
                    || "no watched device got them".to_owned(),
                    |d| format!("{} passed them on, and the end of the way never got them", d.name),
                );
                ("not_reached", text, last.map(|d| d.name.clone()).unwrap_or_default())
            }
        };
        // Of answers it matters less what kind of rule took them.
        let value = match value {
            "shadowed" | "rate_limit" | "connection_limit" | "banned" | "resets" | "conntrack" | "ipsec"
                if self.kind == PacketKind::SynAck =>
            {
                "drops"
            }
            value => value,
        };
        let mut evidence = sides.seen(fact, value, Link::Path, text);
        evidence.vantage = Vantage::Path;
        evidence.subject = (!name.is_empty()).then_some(name);
        Some(evidence)
    }

    /// Why a device did not pass on what it got.
    fn why(&self, device: &Record) -> (&'static str, String) {
        by_rule(device, self)
            .or_else(|| self.by_time_to_live(device))
            .or_else(|| self.by_route(device))
            .or_else(|| by_counter(device))
            .unwrap_or(("loses", "nothing on it says why".to_owned()))
    }

    /// The packets came so often that they went round, or so old that they died.
    fn by_time_to_live(&self, device: &Record) -> Option<(&'static str, String)> {
        let dying = device.packets.iter().find(|p| !p.outgoing && self.is_ours(p) && p.ttl <= 1)?;
        Some(("ttl", format!("they came with TTL {}", dying.ttl)))
    }

    fn by_route(&self, device: &Record) -> Option<(&'static str, String)> {
        let (client, server) =
            device.packets.iter().find(|p| !p.outgoing && self.is_ours(p)).map(|p| (p.from, p.to))?;
        let forwards = if client.is_ipv4() { device.forwards_v4 } else { device.forwards_v6 };
        if !forwards {
            return Some(("forwarding_off", "its forwarding of packets is off (ip_forward)".to_owned()));
        }
        if let Some((_, text)) = risen(device).find(|(value, _)| *value == "rp_filter") {
            return Some(("rp_filter", text));
        }
        let route = device
            .routes
            .iter()
            .find(|r| r.to == server.ip() && r.from == Some(client.ip()))
            .or_else(|| device.routes.iter().find(|r| r.to == server.ip()))?;
        let said = format!(
            "route to {}: {} {} next hop {}",
            route.to,
            route.kind,
            route.gateway.map(|g| format!("via {g}")).unwrap_or_default(),
            route.neighbour
        );
        match route.kind.as_str() {
            "none" => Some(("no_route", said)),
            "unicast" if matches!(route.neighbour.as_str(), "failed" | "incomplete") => {
                Some(("neighbour_failed", said))
            }
            "unicast" | "local" => None,
            _ => Some(("refused_route", said)),
        }
    }
}

fn by_rule(device: &Record, way: &Way<'_>) -> Option<(&'static str, String)> {
    let tuples: Vec<_> =
        device.packets.iter().filter(|p| !p.outgoing && way.is_ours(p)).map(|p| (p.from, p.to)).collect();
    let forwarding = |hook: Option<Hook>| !matches!(hook, Some(Hook::Input | Hook::Output));
    let counted = || {
        let moved = device.rules.iter().filter(|d: &&RuleDelta| stops(&d.rule.verdict) && d.packets > 0);
        let rule = moved.filter(|d| forwarding(d.rule.hook)).max_by_key(|d| d.packets)?;
        Some(super::firewall::Stopped {
            rule: &rule.rule,
            packets: rule.packets,
            traced: false,
            outward: false,
        })
    };
    let stopped = super::firewall::traced(device, &tuples).or_else(counted)?;
    let has = |wanted: Match| stopped.rule.matches.contains(&wanted);
    let value = match &stopped.rule.verdict {
        _ if has(Match::ConnectionCount) => "connection_limit",
        _ if has(Match::Rate) => "rate_limit",
        RuleVerdict::Reject(with) if with.contains("reset") => "resets",
        RuleVerdict::Reject(_) => "rejects",
        _ => match super::firewall::kind(stopped.rule, device, tuples.first().map(|(client, _)| client.ip()))
        {
            "shadowed" => "shadowed",
            "state" => "state",
            "rate_limit" => "rate_limit",
            "connection_limit" => "connection_limit",
            "banned" => "banned",
            _ => "drops",
        },
    };
    Some((value, said(&stopped)))
}

fn by_counter(device: &Record) -> Option<(&'static str, String)> {
    risen(device).find_map(|(value, text)| match value {
        "ipsec" => Some(("ipsec", text)),
        "conntrack" => Some(("conntrack", text)),
        "no_route" => Some(("no_route", text)),
        _ => None,
    })
}

/// Whether the answers come back by the devices the SYNs went by.
fn ways(sides: &Sides<'_>, there: &BTreeSet<u32>, back: &BTreeSet<u32>) -> Option<Evidence> {
    let names = |keys: &BTreeSet<u32>, kind| -> BTreeSet<&str> {
        let way = Way { keys, kind, arrived: true };
        way.in_order(sides.path).iter().map(|d| d.name.as_str()).collect()
    };
    let (out, home) = (names(there, PacketKind::Syn), names(back, PacketKind::SynAck));
    if out.is_empty() || home.is_empty() {
        return None;
    }
    let value = if out == home { "same" } else { "differ" };
    let text = format!("there by {}; back by {}", joined(&out), joined(&home));
    Some(sides.seen("path.ways", value, Link::Path, text))
}

fn joined(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}
