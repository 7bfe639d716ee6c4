//! Protocols and ports as the rules of AWS have them.

use super::net::Net;
use crate::place::both;
use crate::read::{ALL_PORTS as ALL, protocol_name};
use crate::space::{Cube, Protocols};
use netwhy_model::Text;

/// A protocol with its ports, or with ICMP's type and code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub protocols: Protocols,
    /// The type of ICMP, all source ports of others.
    pub source: (u16, u16),
    /// The port, or the code of ICMP.
    pub destination: (u16, u16),
    /// As it is told: `tcp 443`, `all`.
    pub text: String,
    /// What of it could not be read.
    pub unknown: Vec<Text>,
}

impl Service {
    /// From the words of a rule: for ICMP the two numbers are type and code, and -1 is any.
    pub fn new(protocol: Option<&str>, from: Option<i64>, to: Option<i64>) -> Service {
        let word = protocol.map(str::trim).unwrap_or_default();
        let all = |protocols, text: &str, unknown| Service {
            protocols,
            source: ALL,
            destination: ALL,
            text: text.to_owned(),
            unknown,
        };
        let number: u8 = match word.to_ascii_lowercase().as_str() {
            "-1" | "all" => return all(Protocols::ALL, "all traffic", Vec::new()),
            "tcp" => 6,
            "udp" => 17,
            "icmp" => 1,
            "icmpv6" | "icmp6" => 58,
            other => match other.parse() {
                Ok(number) => number,
                Err(_) => {
                    let why = format!("protocol {word:?}");
                    return all(Protocols::ALL, word, vec![both(why, format!("协议 {word:?}"))]);
                }
            },
        };
        let (name, protocols) = (protocol_name(number), Protocols::of(&[number]));
        match number {
            1 | 58 => {
                let (kind, code) = (one(from), one(to));
                let shown =
                    |range: (u16, u16)| if range == ALL { "any".to_owned() } else { range.0.to_string() };
                let text = format!("{name} type {} code {}", shown(kind), shown(code));
                Service { protocols, source: kind, destination: code, text, unknown: Vec::new() }
            }
            6 | 17 => {
                let (first, last) = match (from, to) {
                    (Some(first), last) if first >= 0 => (first, last.unwrap_or(first)),
                    _ => (0, 65_535),
                };
                let (Ok(first), Ok(last)) = (u16::try_from(first), u16::try_from(last)) else {
                    return all(
                        protocols,
                        &name,
                        vec![both(format!("ports {first}-{last}"), format!("端口 {first}-{last}"))],
                    );
                };
                let text = match (first, last) {
                    ALL => name,
                    (first, last) if first == last => format!("{name} {first}"),
                    (first, last) => format!("{name} {first}-{last}"),
                };
                Service { protocols, source: ALL, destination: (first, last), text, unknown: Vec::new() }
            }
            _ => all(protocols, &name, Vec::new()),
        }
    }

    /// The packets of it between two networks; none when its range is empty.
    pub fn cube(&self, source: Net, destination: Net) -> Option<Cube> {
        (source.family == destination.family && self.destination.0 <= self.destination.1).then(|| {
            Cube::all(source.family)
                .source(source.first, source.last)
                .destination(destination.first, destination.last)
                .protocols(self.protocols)
                .source_ports(self.source.0..=self.source.1)
                .destination_ports(self.destination.0..=self.destination.1)
        })
    }
}

/// -1 and nothing are any.
fn one(value: Option<i64>) -> (u16, u16) {
    match value.and_then(|value| u16::try_from(value).ok()) {
        Some(value) if value <= 255 => (value, value),
        _ => ALL,
    }
}
