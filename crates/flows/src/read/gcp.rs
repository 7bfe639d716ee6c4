//! Google Cloud: VPC flow logs and firewall rules logs as entries of Cloud Logging.
//!
//! Source: "About VPC Flow Logs records" and "Firewall Rules Logging" in the documentation of Google Cloud. Numbers of 64
//! bits are text there. Packets that enter were let in before they were sampled; packets that leave were sampled before
//! the firewall saw them, so that only the former are known to be accepted.

use super::json::{Loose, time_ms};
use super::number;
use super::objects::Object;
use super::wrong::{self, Sentence};
use crate::{Action, Address, Direction, Flow};
use serde::Deserialize;

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default, rename = "jsonPayload", alias = "json_payload")]
    payload: Option<Payload<'a>>,
    #[serde(borrow, default)]
    resource: Option<Resource<'a>>,
    #[serde(borrow, default)]
    timestamp: Loose<'a>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default)]
    labels: Option<Labels<'a>>,
}

#[derive(Deserialize, Default)]
struct Labels<'a> {
    #[serde(borrow, default)]
    project_id: Loose<'a>,
    #[serde(borrow, default)]
    subnetwork_name: Loose<'a>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    connection: Connection<'a>,
    #[serde(borrow, default)]
    reporter: Loose<'a>,
    #[serde(borrow, default)]
    bytes_sent: Loose<'a>,
    #[serde(borrow, default)]
    packets_sent: Loose<'a>,
    #[serde(borrow, default)]
    start_time: Loose<'a>,
    #[serde(borrow, default)]
    end_time: Loose<'a>,
    #[serde(borrow, default)]
    src_instance: Option<Instance<'a>>,
    #[serde(borrow, default)]
    dest_instance: Option<Instance<'a>>,
    /// Firewall rules logs only.
    #[serde(borrow, default)]
    instance: Option<Instance<'a>>,
    #[serde(borrow, default)]
    disposition: Loose<'a>,
    #[serde(borrow, default)]
    rule_details: Option<RuleDetails<'a>>,
}

#[derive(Deserialize)]
struct Connection<'a> {
    #[serde(borrow, default)]
    src_ip: Loose<'a>,
    #[serde(borrow, default)]
    dest_ip: Loose<'a>,
    #[serde(borrow, default)]
    src_port: Loose<'a>,
    #[serde(borrow, default)]
    dest_port: Loose<'a>,
    #[serde(borrow, default)]
    protocol: Loose<'a>,
}

#[derive(Deserialize)]
struct Instance<'a> {
    #[serde(borrow, default)]
    project_id: Loose<'a>,
    #[serde(borrow, default)]
    vm_name: Loose<'a>,
}

#[derive(Deserialize)]
struct RuleDetails<'a> {
    #[serde(borrow, default)]
    reference: Loose<'a>,
    #[serde(borrow, default)]
    direction: Loose<'a>,
}

/// Reads one entry.
pub fn read(json: &[u8], object: &mut Object) {
    let entry: Entry = match serde_json::from_slice(json) {
        Ok(entry) => entry,
        Err(error) => return object.unread_json(json, &error),
    };
    match &entry.payload {
        None => object.unread(json, "the entry has no jsonPayload", "该条目没有 jsonPayload"),
        Some(payload) => match flow(payload, &entry, object) {
            Ok(flow) => object.push(flow),
            Err((en, zh)) => object.unread(json, en, zh),
        },
    }
}

fn flow(payload: &Payload, entry: &Entry, object: &mut Object) -> Result<Flow, Sentence> {
    let connection = &payload.connection;
    let small = |value: &Loose, max: u64, wrong: Sentence| match value.number() {
        Ok(number) if number.unwrap_or(0) <= max => Ok(number.unwrap_or(0)),
        _ => Err(wrong),
    };
    let time = |value: &Loose| time_ms(if *value == Loose::Nothing { &entry.timestamp } else { value });
    let (action, direction) = decided(payload);
    let mut flow = Flow {
        start_ms: time(&payload.start_time).ok_or(wrong::TIME)?,
        end_ms: time(&payload.end_time).ok_or(wrong::TIME)?,
        source: address(&connection.src_ip).ok_or(wrong::SENDER)?,
        destination: address(&connection.dest_ip).ok_or(wrong::RECEIVER)?,
        source_port: small(&connection.src_port, 0xffff, wrong::PORT)? as u16,
        destination_port: small(&connection.dest_port, 0xffff, wrong::PORT)? as u16,
        protocol: small(&connection.protocol, 255, wrong::PROTOCOL)? as u8,
        bytes: small(&payload.bytes_sent, u64::MAX, wrong::COUNT)?,
        packets: small(&payload.packets_sent, u64::MAX, wrong::COUNT)?,
        action,
        direction,
        ..object.begin()
    };
    let own = match direction {
        Direction::In => payload.dest_instance.as_ref(),
        _ => payload.src_instance.as_ref(),
    };
    let own = own.or(payload.instance.as_ref());
    let labels = entry.resource.as_ref().and_then(|resource| resource.labels.as_ref());
    let project =
        own.and_then(|own| own.project_id.text()).or(labels.and_then(|labels| labels.project_id.text()));
    let seen =
        own.and_then(|own| own.vm_name.text()).or(labels.and_then(|labels| labels.subnetwork_name.text()));
    let rule = payload.rule_details.as_ref().and_then(|rule| rule.reference.text());
    flow.account = object.symbol(project.unwrap_or_default());
    flow.interface = object.symbol(seen.unwrap_or_default());
    flow.rule = object.symbol(rule.unwrap_or_default());
    Ok(flow)
}

/// What was decided and which way the packets went, as the reporting side saw them.
fn decided(payload: &Payload) -> (Action, Direction) {
    let firewall = payload.rule_details.as_ref().and_then(|rule| rule.direction.text());
    let direction = match payload.reporter.text().or(firewall) {
        Some("SRC" | "SRC_GATEWAY" | "EGRESS") => Direction::Out,
        Some("DEST" | "DEST_GATEWAY" | "INGRESS") => Direction::In,
        _ => Direction::Unknown,
    };
    let action = match (payload.disposition.text(), payload.reporter.text()) {
        (Some("ALLOWED"), _) | (None, Some("DEST")) => Action::Accept,
        (Some("DENIED"), _) => Action::Reject,
        _ => Action::Unknown,
    };
    (action, direction)
}

fn address(value: &Loose) -> Option<Address> {
    let words = value.words();
    number::address(words.as_bytes(), 0, words.len())
}
