//! The table of our own: chains before and behind all others, and the rules that mark what is watched.

use super::TRACE_TABLE_PREFIX;
use super::expression::{Expressions, Side, number};
use crate::fields::Fields;
use crate::nft::{SUBSYSTEM, split};
use netwhy_model::host::{Hook, WatchSpec};
use netwhy_netlink::{Builder, Connection, NetlinkError, attributes};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = SUBSYSTEM;
const DELETE_TABLE: u16 = SUBSYSTEM | 2;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const GET_CHAIN: u16 = SUBSYSTEM | 4;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const ACKNOWLEDGE: u16 = 4;
const CREATE: u16 = 0x400;
const CREATE_ONLY: u16 = 0x600;
const APPEND: u16 = 0xc00;
const TABLE_OWNER: u32 = 2;
const INET: u8 = 1;
const NETDEV: u8 = 5;

/// Nobody stands before or behind these.
const PRIORITY_FIRST: i32 = i32::MIN + 1;
/// Before the confirmation of conntrack, which is last of all.
const PRIORITY_LAST: i32 = i32::MAX - 1;
/// Packets traced each second, by direction; and at once.
const PACKET_RATE_MAX: u64 = 200;
const PACKET_BURST_MAX: u32 = 400;
/// Addresses of each kind that are told apart.
const ADDRESS_COUNT_MAX: usize = 64;
/// Interfaces whose ingress is traced.
const DEVICE_COUNT_MAX: usize = 64;
/// Our regular chains.
const WATCHED: &str = "watched";
const REQUEST: &str = "request";
const ANSWER: &str = "answer";

type Part = (u16, u16, Vec<u8>);

/// A name no other trace of this machine has.
pub(super) fn table_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    match COUNT.fetch_add(1, Ordering::Relaxed) {
        0 => format!("{TRACE_TABLE_PREFIX}{pid}"),
        count => format!("{TRACE_TABLE_PREFIX}{pid}_{count}"),
    }
}

/// Creates the table as one transaction: all of it or nothing.
pub(super) fn create(owner: &mut Connection, table: &str, spec: &WatchSpec) -> Result<(), NetlinkError> {
    let devices = ingress_devices(owner).unwrap_or_default();
    if !devices.is_empty() && owner.batch(&batch(table, spec, &devices)).is_ok() {
        return Ok(());
    }
    // Without a chain at ingress nothing is lost but what is dropped there.
    owner.batch(&batch(table, spec, &[]))
}

/// Removes the table.
pub(super) fn remove(owner: &mut Connection, table: &str) -> Result<(), NetlinkError> {
    let body = start().put_text(1, table);
    owner.batch(&transaction(vec![(DELETE_TABLE, ACKNOWLEDGE, body.bytes().to_vec())]))
}

/// Interfaces at whose ingress someone filters: only there a packet can be lost before prerouting.
fn ingress_devices(connection: &mut Connection) -> Result<Vec<String>, NetlinkError> {
    const INGRESS_OF_INET: u32 = 5;
    let mut devices: Vec<String> = Vec::new();
    connection.dump(GET_CHAIN, &[0; 4], |_, body| {
        let (family, attributes_bytes) = split(body);
        let fields = Fields::of(attributes_bytes);
        let hook = fields.inside(4);
        let ingress = match family {
            NETDEV => hook.be32(1) == 0,
            INET => hook.be32(1) == INGRESS_OF_INET,
            _ => false,
        };
        if !fields.has(4) || !ingress {
            return;
        }
        let list = attributes(hook.get(5)).map(|(_, name)| name);
        for name in hook.find(3).into_iter().chain(list) {
            let name = netwhy_netlink::text(name);
            if !devices.contains(&name) && devices.len() < DEVICE_COUNT_MAX {
                devices.push(name);
            }
        }
    })?;
    Ok(devices)
}

/// Messages begin with struct nfgenmsg.
fn start() -> Builder {
    Builder::new(&[INET, 0, 0, 0])
}

fn transaction(parts: Vec<Part>) -> Vec<Part> {
    let resource = (SUBSYSTEM >> 8).to_be_bytes();
    let edge = vec![0, 0, resource[0], resource[1]];
    let mut all = vec![(BATCH_BEGIN, 0, edge.clone())];
    all.extend(parts);
    all.push((BATCH_END, 0, edge));
    all
}

fn batch(table: &str, spec: &WatchSpec, devices: &[String]) -> Vec<Part> {
    let mut parts = Vec::new();
    let named = number(start().put_text(1, table), 2, TABLE_OWNER);
    parts.push((NEW_TABLE, CREATE_ONLY | ACKNOWLEDGE, named.bytes().to_vec()));
    for chain in [WATCHED, REQUEST, ANSWER] {
        let body = start().put_text(1, table).put_text(3, chain);
        parts.push((NEW_CHAIN, CREATE | ACKNOWLEDGE, body.bytes().to_vec()));
    }
    mark_rules(table, spec, &mut parts);
    if !devices.is_empty() {
        parts.push(base_chain(table, Hook::Ingress, true, devices));
        parts.push(rule(table, &chain_name(Hook::Ingress, true), Expressions::default().jump(WATCHED)));
    }
    for hook in [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting] {
        parts.push(base_chain(table, hook, true, &[]));
        parts.push(base_chain(table, hook, false, &[]));
        if matches!(hook, Hook::Prerouting | Hook::Output) {
            parts.push(rule(table, &chain_name(hook, true), Expressions::default().jump(WATCHED)));
        }
    }
    transaction(parts)
}

/// Towards a target and back from it; then whether it is from or to a source that is known.
fn mark_rules(table: &str, spec: &WatchSpec, parts: &mut Vec<Part>) {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    let protocol = if spec.udp { UDP } else { TCP };
    for (own, other, chain) in
        [(Side::Destination, Side::Source, REQUEST), (Side::Source, Side::Destination, ANSWER)]
    {
        for target in each_or_any(&spec.targets) {
            let expressions = on_side(Expressions::default(), own, target).port(protocol, own, spec.port);
            parts.push(rule(table, WATCHED, expressions.jump(chain)));
        }
        for source in each_or_any(&spec.sources) {
            let expressions = on_side(Expressions::default(), other, source);
            let limited = expressions.limit(PACKET_RATE_MAX, PACKET_BURST_MAX).trace();
            parts.push(rule(table, chain, limited));
        }
    }
}

fn each_or_any(addresses: &[IpAddr]) -> Vec<Option<IpAddr>> {
    if addresses.is_empty() {
        return vec![None];
    }
    addresses.iter().take(ADDRESS_COUNT_MAX).map(|address| Some(address.to_canonical())).collect()
}

fn on_side(expressions: Expressions, side: Side, address: Option<IpAddr>) -> Expressions {
    match address {
        Some(address) => expressions.address(side, address),
        None => expressions,
    }
}

fn rule(table: &str, chain: &str, expressions: Expressions) -> Part {
    let body = start().put_text(1, table).put_text(2, chain).nest(4, expressions.finish());
    (NEW_RULE, APPEND | ACKNOWLEDGE, body.bytes().to_vec())
}

fn base_chain(table: &str, hook: Hook, first: bool, devices: &[String]) -> Part {
    const ACCEPT: u32 = 1;
    let priority = if first { PRIORITY_FIRST } else { PRIORITY_LAST };
    let mut place = number(Builder::default(), 1, hook_number(hook));
    place = number(place, 2, priority.cast_unsigned());
    if !devices.is_empty() {
        let names = devices.iter().fold(Builder::default(), |names, device| names.put_text(1, device));
        place = place.nest(5, names);
    }
    let body = start().put_text(1, table).put_text(3, &chain_name(hook, first)).nest(4, place);
    let body = number(body, 5, ACCEPT).put_text(7, "filter");
    (NEW_CHAIN, CREATE | ACKNOWLEDGE, body.bytes().to_vec())
}

/// The inet family's numbers (enum nf_inet_hooks).
fn hook_number(hook: Hook) -> u32 {
    match hook {
        Hook::Prerouting => 0,
        Hook::Input => 1,
        Hook::Forward => 2,
        Hook::Output => 3,
        Hook::Postrouting | Hook::Egress => 4,
        Hook::Ingress => 5,
    }
}

const CHAIN_NAMES: [(Hook, &str); 6] = [
    (Hook::Ingress, "ingress"),
    (Hook::Prerouting, "prerouting"),
    (Hook::Input, "input"),
    (Hook::Forward, "forward"),
    (Hook::Output, "output"),
    (Hook::Postrouting, "postrouting"),
];

fn chain_name(hook: Hook, first: bool) -> String {
    let name = CHAIN_NAMES.iter().find(|(own, _)| *own == hook).map_or("", |(_, name)| name);
    format!("{name}-{}", if first { "first" } else { "last" })
}

/// The hook of one of our chains, and whether it stands before the others.
pub(super) fn place_of(chain: &str) -> Option<(Hook, bool)> {
    let (name, end) = chain.split_once('-')?;
    let hook = CHAIN_NAMES.iter().find(|(_, own)| *own == name).map(|(hook, _)| *hook)?;
    Some((hook, end == "first"))
}
