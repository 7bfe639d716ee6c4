//! Azure: NSG flow logs (versions 1 and 2) and virtual network flow logs (version 4), as Network Watcher writes them.
//!
//! Source: "NSG flow logs" and "Virtual network flow logs", log format, in the documentation of Azure Network Watcher.
//! A tuple counts both ways; each way becomes a record, and the one who opened is known: Azure puts it first.

use super::json::{Loose, seconds_or_more};
use super::number;
use super::objects::Object;
use super::wrong::{self, Sentence};
use crate::{Action, Address, Direction, Flow, Opener};
use serde::Deserialize;

/// One element of `records`.
#[derive(Deserialize)]
pub struct Record<'a> {
    #[serde(borrow, default, rename = "resourceId", alias = "flowLogResourceID")]
    resource: Loose<'a>,
    #[serde(borrow, default, rename = "macAddress")]
    mac: Loose<'a>,
    #[serde(borrow, default)]
    properties: Option<Properties<'a>>,
    #[serde(borrow, default, rename = "flowRecords")]
    flow_records: Option<Properties<'a>>,
}

#[derive(Deserialize)]
struct Properties<'a> {
    #[serde(borrow, default)]
    flows: Vec<Rule<'a>>,
}

/// What one rule (NSG) or one list of rules (virtual network) decided.
#[derive(Deserialize)]
struct Rule<'a> {
    #[serde(borrow, default)]
    rule: Loose<'a>,
    #[serde(borrow, default, alias = "flowGroups")]
    flows: Vec<Group<'a>>,
}

#[derive(Deserialize)]
struct Group<'a> {
    #[serde(borrow, default)]
    rule: Loose<'a>,
    #[serde(borrow, default)]
    mac: Loose<'a>,
    #[serde(borrow, default, rename = "flowTuples")]
    tuples: Vec<Loose<'a>>,
}

/// Reads one record with all its tuples.
pub fn read(json: &[u8], object: &mut Object) {
    let record: Record = match serde_json::from_slice(json) {
        Ok(record) => record,
        Err(error) => return object.unread_json(json, &error),
    };
    let resource = record.resource.words();
    let mut fields = resource.split('/');
    let subscription = fields.find(|field| field.eq_ignore_ascii_case("subscriptions")).and(fields.next());
    let account = subscription.map(|word| object.symbol(&word.to_ascii_lowercase())).unwrap_or_default();
    let Some(properties) = record.properties.or(record.flow_records) else {
        return object.unread(json, "the record has no flows", "该记录没有流");
    };
    for rule in &properties.flows {
        for group in &rule.flows {
            let name = group.rule.text().or(rule.rule.text()).unwrap_or_default();
            let mac = group.mac.text().or(record.mac.text()).unwrap_or_default();
            let common =
                Flow { account, rule: object.symbol(name), interface: object.symbol(mac), ..object.begin() };
            for tuple in &group.tuples {
                put(&tuple.words(), common, object);
            }
        }
    }
}

/// Reads one tuple into one record or two.
fn put(tuple: &str, common: Flow, object: &mut Object) {
    match flow(tuple, common) {
        Ok((there, back)) => {
            object.push(there);
            back.into_iter().for_each(|back| object.push(back));
        }
        Err((en, zh)) => object.unread(tuple.as_bytes(), en, zh),
    }
}

/// `time, source, destination, source port, destination port, protocol, direction`, then what the versions differ in.
fn flow(tuple: &str, common: Flow) -> Result<(Flow, Option<Flow>), Sentence> {
    let fields: Vec<&str> = tuple.splitn(FIELD_COUNT_MAX + 1, ',').map(str::trim).collect();
    // Version 4 has no decision apart from the state, and says whether the flow was encrypted.
    let (state, counts, action) = match (fields.get(5), &fields[..]) {
        (Some(&("T" | "U")), [_, _, _, _, _, _, _, action]) => ("", &[][..], *action),
        (Some(&("T" | "U")), [_, _, _, _, _, _, _, action, state, counts @ ..]) => (*state, counts, *action),
        (Some(_), [_, _, _, _, _, _, _, state, _, counts @ ..]) => (*state, counts, *state),
        _ => return Err(wrong::TUPLE),
    };
    let action = match action {
        "A" | "B" | "C" | "E" => Action::Accept,
        "D" => Action::Reject,
        _ => return Err(wrong::DECISION),
    };
    if !matches!(state, "" | "B" | "C" | "E" | "D") || !matches!(counts.len(), 0 | 4) {
        return Err(wrong::STATE);
    }
    let time_ms = decimal(fields[0]).and_then(seconds_or_more).ok_or(wrong::TIME)?;
    let mut there = Flow {
        start_ms: time_ms,
        end_ms: time_ms,
        source: address(fields[1]).ok_or(wrong::SENDER)?,
        destination: address(fields[2]).ok_or(wrong::RECEIVER)?,
        source_port: port(fields[3]).ok_or(wrong::PORT)?,
        destination_port: port(fields[4]).ok_or(wrong::PORT)?,
        protocol: protocol(fields[5]).ok_or(wrong::PROTOCOL)?,
        direction: direction(fields[6]).ok_or(wrong::DIRECTION)?,
        action,
        opener: Opener::Source,
        ..common
    };
    let mut numbers = [0u64; 4];
    for (number, text) in numbers.iter_mut().zip(counts) {
        // A flow that begins or is denied has no counts.
        *number = if text.is_empty() { 0 } else { decimal(text).ok_or(wrong::COUNT)? };
    }
    (there.packets, there.bytes) = (numbers[0], numbers[1]);
    let back = (numbers[2] > 0 || numbers[3] > 0).then_some(Flow {
        source: there.destination,
        destination: there.source,
        source_port: there.destination_port,
        destination_port: there.source_port,
        packets: numbers[2],
        bytes: numbers[3],
        direction: if there.direction == Direction::In { Direction::Out } else { Direction::In },
        opener: Opener::Destination,
        ..there
    });
    Ok((there, back))
}

/// Fields of a tuple; version 4 has 13.
const FIELD_COUNT_MAX: usize = 32;

fn decimal(text: &str) -> Option<u64> {
    number::decimal(text.as_bytes(), 0, text.len())
}

fn address(text: &str) -> Option<Address> {
    number::address(text.as_bytes(), 0, text.len())
}

/// A port; protocols that have none leave it empty.
fn port(text: &str) -> Option<u16> {
    if text.is_empty() { Some(0) } else { decimal(text)?.try_into().ok() }
}

fn protocol(text: &str) -> Option<u8> {
    match text {
        "T" => Some(6),
        "U" => Some(17),
        number => decimal(number)?.try_into().ok(),
    }
}

fn direction(text: &str) -> Option<Direction> {
    match text {
        "I" => Some(Direction::In),
        "O" => Some(Direction::Out),
        _ => None,
    }
}
