//! What was refused by rule: packets in the kernel's log and pf's, requests in the audit log of Kubernetes.

use super::event::{Event, Refusal, RefusedBy, USER_BYTES_MAX, WORD_BYTES_MAX, What, clean};
use super::json::time_of;
use super::line::{Place, Read};
use super::syslog::Frame;
use super::time::Clock;
use super::words::{address, has, value};
use crate::record::Address;
use serde_json::Value;

/// The longest word of a rule, in bytes.
const RULE_BYTES_MAX: usize = 64;
/// How many events one `EventList` may hold.
const LIST_COUNT_MAX: usize = 100_000;

/// `[UFW BLOCK] IN=eth0 OUT= MAC=… SRC=1.2.3.4 DST=… PROTO=TCP SPT=1 DPT=22 …`, with a rule's own prefix.
pub fn netfilter(frame: &Frame<'_>, place: &Place) -> Option<Read> {
    let text = frame.message;
    let at = text.find("IN=").or_else(|| text.find("OUT="))?;
    if !text[at..].split_ascii_whitespace().all(is_packet_word) {
        return None;
    }
    let (client, _) = value(text, "SRC=").and_then(address)?;
    let (destination, _) = value(text, "DST=").and_then(address)?;
    let prefix = text[..at].trim();
    // The kernel's own time since boot: `[12345.678901] `.
    let prefix = match prefix.split_once("] ") {
        Some((uptime, rest))
            if uptime.trim_start_matches('[').bytes().all(|b| b" .0123456789".contains(&b)) =>
        {
            rest
        }
        _ => prefix,
    };
    if !["drop", "reject", "block", "deny", "denied", "refuse"].iter().any(|verdict| has(prefix, verdict)) {
        return Some(Read::Quiet);
    }
    let number = |name| value(text, name).and_then(|digits| digits.parse::<u16>().ok()).unwrap_or(0);
    let protocol = value(text, "PROTO=").unwrap_or_default();
    let is_empty = |name: &str| value(text, name).is_none_or(str::is_empty);
    let refusal = Refusal {
        destination,
        destination_port: number("DPT="),
        protocol: protocol_number(protocol),
        outbound: is_empty("IN=") && !is_empty("OUT="),
        ..packet(prefix.trim_matches(['[', ']', ' ', ':']), protocol)
    };
    Some(Read::Event(event(frame.time_ms, (client, number("SPT=")), frame.host, place, refusal)))
}

/// The kernel writes its names in capitals: `method=PLAIN` is another program's line that quotes a packet.
fn is_packet_word(word: &str) -> bool {
    word.split_once('=').is_none_or(|(name, _)| !name.bytes().any(|byte| byte.is_ascii_lowercase()))
}

/// pf's lines as pfSense and OPNsense write them (`filterlog`): commas between fields.
pub fn filterlog(frame: &Frame<'_>, place: &Place) -> Option<Read> {
    let fields: Vec<&str> = frame.message.split(',').take(30).collect();
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    let (action, direction) = (field(6), field(7));
    // Where protocol, addresses and ports stand differs between the two versions of IP.
    let (protocol, from) = match field(8) {
        "4" => (field(16), 18),
        "6" => (field(12), 15),
        _ => return None,
    };
    let ((client, _), (destination, _)) = (address(field(from))?, address(field(from + 1))?);
    if !["block", "reject"].contains(&action) {
        return Some(Read::Quiet);
    }
    let port = |at: usize| field(at).parse::<u16>().unwrap_or(0);
    let refusal = Refusal {
        destination,
        destination_port: port(from + 3),
        protocol: protocol_number(protocol),
        outbound: direction == "out",
        ..packet(field(3), protocol)
    };
    Some(Read::Event(event(frame.time_ms, (client, port(from + 2)), frame.host, place, refusal)))
}

fn packet(rule: &str, protocol: &str) -> Refusal {
    Refusal {
        by: RefusedBy::Firewall,
        rule: clean(rule, RULE_BYTES_MAX),
        user: "".into(),
        object: clean(protocol, RULE_BYTES_MAX),
        code: 0,
        destination: Address::default(),
        destination_port: 0,
        protocol: 0,
        outbound: false,
    }
}

fn protocol_number(name: &str) -> u8 {
    match name.to_ascii_lowercase().as_str() {
        "tcp" => 6,
        "udp" => 17,
        "icmp" => 1,
        "icmpv6" | "ipv6-icmp" => 58,
        digits => digits.parse().unwrap_or(0),
    }
}

fn event(time_ms: i64, client: (Address, u16), host: &str, place: &Place, refusal: Refusal) -> Event {
    place.event(time_ms, client, clean(host, WORD_BYTES_MAX), What::Refusal(refusal))
}

/// Whether an object is one of Kubernetes' audit events, or a list of them.
pub fn is_audit(value: &Value) -> bool {
    let version = value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    version.starts_with("audit.k8s.io/")
}

/// Reads audit events: what was answered with 401 or 403 is a refusal.
pub fn audit(value: &Value, clock: &Clock, place: &Place, out: &mut Vec<Event>) -> bool {
    if let Some(items) = value.get("items").and_then(Value::as_array) {
        let mut all = true;
        for item in items.iter().take(LIST_COUNT_MAX) {
            all &= audit_one(item, clock, place, out);
        }
        return all && items.len() <= LIST_COUNT_MAX;
    }
    audit_one(value, clock, place, out)
}

fn audit_one(value: &Value, clock: &Clock, place: &Place, out: &mut Vec<Event>) -> bool {
    let text = |object: Option<&Value>, name: &str| {
        object.and_then(|object| object.get(name)).and_then(Value::as_str).unwrap_or_default().to_string()
    };
    let time = value.get("requestReceivedTimestamp").or_else(|| value.get("stageTimestamp"));
    let Some(time_ms) = time.and_then(|time| time_of(time, clock)) else { return false };
    let code = value
        .get("responseStatus")
        .and_then(|status| status.get("code"))
        .and_then(Value::as_u64)
        .unwrap_or(0);
    if !(code == 401 || code == 403) || value.get("stage").and_then(Value::as_str) == Some("RequestReceived")
    {
        return true;
    }
    // The first address is the client's, those behind it are of proxies on the way.
    let source = value.get("sourceIPs").and_then(|list| list.get(0)).and_then(Value::as_str);
    let client = source.and_then(address).unwrap_or_default();
    let object = value.get("objectRef");
    let (resource, name, namespace) =
        (text(object, "resource"), text(object, "name"), text(object, "namespace"));
    let target = match object {
        Some(_) => [namespace, resource, name]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/"),
        None => text(Some(value), "requestURI").split('?').next().unwrap_or_default().to_string(),
    };
    let reason = text(value.get("annotations"), "authorization.k8s.io/reason");
    let refusal = Refusal {
        by: RefusedBy::Kubernetes,
        rule: clean(if reason.is_empty() { "kubernetes" } else { &reason }, RULE_BYTES_MAX),
        user: clean(&text(value.get("user"), "username"), USER_BYTES_MAX * 2),
        object: clean(&format!("{} {target}", text(Some(value), "verb")), WORD_BYTES_MAX),
        code: code as u16,
        ..packet("", "")
    };
    out.push(event(time_ms, client, "", place, refusal));
    true
}
