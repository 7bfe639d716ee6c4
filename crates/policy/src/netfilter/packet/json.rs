//! A packet from one line of JSON.

use super::{DCCP, Fragment, ICMP, ICMPV6, Inner, Packet, SCTP, TCP, UDP, UDP_LITE};
use crate::netfilter::ast::Hook;
use crate::netfilter::nft::names;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// Every key a packet may have.
const KEYS: [&str; 25] = [
    "hook",
    "in",
    "out",
    "protocol",
    "src",
    "dst",
    "sport",
    "dport",
    "flags",
    "seq",
    "ack",
    "icmp_type",
    "icmp_code",
    "icmp_id",
    "state",
    "ttl",
    "dscp",
    "ecn",
    "mark",
    "length",
    "fragment",
    "mac",
    "user",
    "group",
    "inner",
];
const INNER_KEYS: [&str; 5] = ["protocol", "src", "dst", "sport", "dport"];
const HOOKS: [(&str, Hook); 5] = [
    ("prerouting", Hook::Prerouting),
    ("input", Hook::Input),
    ("forward", Hook::Forward),
    ("output", Hook::Output),
    ("postrouting", Hook::Postrouting),
];
const STATES: [(&str, u8); 5] =
    [("invalid", 1), ("established", 2), ("related", 4), ("new", 8), ("untracked", 64)];
const FLAGS: [(&str, u8); 8] =
    [("fin", 1), ("syn", 2), ("rst", 4), ("psh", 8), ("ack", 16), ("urg", 32), ("ece", 64), ("cwr", 128)];
const PROTOCOLS: [(&str, u8); 14] = [
    ("tcp", TCP),
    ("udp", UDP),
    ("icmp", ICMP),
    ("icmpv6", ICMPV6),
    ("ipv6-icmp", ICMPV6),
    ("icmp6", ICMPV6),
    ("sctp", SCTP),
    ("dccp", DCCP),
    ("udplite", UDP_LITE),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("igmp", 2),
    ("ospf", 89),
];

/// Why a line is no packet.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PacketError {
    #[error("this is no JSON object")]
    NotAnObject,
    #[error("unknown key {key:?}: did you mean {near:?}?")]
    UnknownKey { key: String, near: &'static str },
    #[error("{0:?} is missing")]
    Missing(&'static str),
    #[error("{key:?} cannot be {value}")]
    Value { key: &'static str, value: String },
    #[error("source and destination are of different families")]
    Families,
}

impl Packet {
    /// Reads one line of JSON.
    pub fn from_json(line: &str) -> Result<Packet, PacketError> {
        let value: Value = serde_json::from_str(line).map_err(|_| PacketError::NotAnObject)?;
        Packet::from_value(&value)
    }

    /// Reads a packet from JSON that is read already.
    pub fn from_value(value: &Value) -> Result<Packet, PacketError> {
        let keys = Keys::of(value, &KEYS)?;
        let (source, destination) = (keys.address("src")?, keys.address("dst")?);
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(PacketError::Families);
        }
        let mut protocol = keys.protocol()?;
        if protocol == ICMP && source.is_ipv6() {
            protocol = ICMPV6;
        }
        let mut packet = Packet::new(protocol, source, destination);
        packet.hook = keys.named("hook", &HOOKS)?.unwrap_or(Hook::Forward);
        packet.input = keys.text("in")?.map(str::to_owned);
        packet.output = keys.text("out")?.map(str::to_owned);
        packet.source_port = keys.number("sport")?;
        packet.destination_port = keys.number("dport")?;
        packet.flags = keys.with("flags", tcp_flags)?.or(packet.flags);
        packet.sequence = keys.number("seq")?;
        packet.acknowledgment = keys.number("ack")?;
        packet.icmp_type = keys.with("icmp_type", |text| icmp_type(text, protocol))?.or(packet.icmp_type);
        packet.icmp_code = keys.number("icmp_code")?.or(packet.icmp_code);
        packet.icmp_id = keys.number("icmp_id")?;
        packet.state = keys.with("state", states)?;
        packet.ttl = keys.number("ttl")?;
        packet.dscp = keys.number("dscp")?;
        packet.ecn = keys.number("ecn")?;
        packet.mark = keys.number("mark")?.unwrap_or(0);
        packet.length = keys.number("length")?;
        packet.fragment = keys.fragment()?;
        packet.mac = keys.with("mac", mac)?;
        packet.user = keys.number("user")?;
        packet.group = keys.number("group")?;
        packet.inner = keys.inner()?;
        Ok(packet)
    }
}

/// The members of an object, none of them unknown.
struct Keys<'a>(&'a Map<String, Value>);

impl<'a> Keys<'a> {
    fn of(value: &'a Value, known: &[&'static str]) -> Result<Keys<'a>, PacketError> {
        let map = value.as_object().ok_or(PacketError::NotAnObject)?;
        for key in map.keys() {
            if !known.contains(&key.as_str()) {
                let near = nearest(key, known);
                return Err(PacketError::UnknownKey { key: key.clone(), near });
            }
        }
        Ok(Keys(map))
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &'static str) -> Result<Option<&'a str>, PacketError> {
        self.get(key).map(|value| value.as_str().ok_or_else(|| wrong(key, value))).transpose()
    }

    /// A text or a number, read by a function.
    fn with<T>(&self, key: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, PacketError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let text = match value {
            Value::String(text) => text.trim().to_ascii_lowercase(),
            Value::Number(number) => number.to_string(),
            Value::Array(words) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            _ => return Err(wrong(key, value)),
        };
        read(&text).map(Some).ok_or_else(|| wrong(key, value))
    }

    fn number<T: TryFrom<u64>>(&self, key: &'static str) -> Result<Option<T>, PacketError> {
        self.with(key, |text| whole(text).and_then(|number| T::try_from(number).ok()))
    }

    fn named<T: Copy>(&self, key: &'static str, names: &[(&str, T)]) -> Result<Option<T>, PacketError> {
        self.with(key, |text| find(text, names))
    }

    fn address(&self, key: &'static str) -> Result<IpAddr, PacketError> {
        self.with(key, |text| text.parse().ok())?.ok_or(PacketError::Missing(key))
    }

    fn protocol(&self) -> Result<u8, PacketError> {
        let read = |text: &str| find(text, &PROTOCOLS).or_else(|| text.parse().ok());
        self.with("protocol", read)?.ok_or(PacketError::Missing("protocol"))
    }

    fn fragment(&self) -> Result<Fragment, PacketError> {
        match self.get("fragment") {
            None | Some(Value::Bool(false)) => Ok(Fragment::Whole),
            Some(Value::Bool(true)) => Ok(Fragment::Later),
            Some(_) => {
                let names = [
                    ("none", Fragment::Whole),
                    ("whole", Fragment::Whole),
                    ("two", Fragment::Whole),
                    ("first", Fragment::First),
                    ("later", Fragment::Later),
                ];
                Ok(self.named("fragment", &names)?.unwrap_or(Fragment::Whole))
            }
        }
    }

    fn inner(&self) -> Result<Option<Inner>, PacketError> {
        let Some(value) = self.get("inner") else { return Ok(None) };
        let keys = Keys::of(value, &INNER_KEYS)?;
        Ok(Some(Inner {
            source: keys.address("src")?,
            destination: keys.address("dst")?,
            protocol: keys.protocol()?,
            source_port: keys.number("sport")?.unwrap_or(0),
            destination_port: keys.number("dport")?.unwrap_or(0),
        }))
    }
}

fn wrong(key: &'static str, value: &Value) -> PacketError {
    PacketError::Value { key, value: crate::place::excerpt(&value.to_string()) }
}

fn find<T: Copy>(text: &str, names: &[(&str, T)]) -> Option<T> {
    names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
}

fn whole(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn bits(text: &str, names: &[(&str, u8)]) -> Option<u8> {
    if text == "none" {
        return Some(0);
    }
    text.split([',', '|', ' ', '+'])
        .filter(|word| !word.is_empty())
        .try_fold(0, |bits, word| Some(bits | find(word, names)?))
}

/// `syn,ack`, `syn|ack`, `none`, or the number.
pub fn tcp_flags(text: &str) -> Option<u8> {
    whole(text).and_then(|number| u8::try_from(number).ok()).or_else(|| bits(text, &FLAGS))
}

fn states(text: &str) -> Option<u8> {
    bits(text, &STATES).filter(|bits| bits.count_ones() == 1)
}

/// The number or the name of a type of ICMP or ICMPv6.
pub fn icmp_type(text: &str, protocol: u8) -> Option<u8> {
    let known = if protocol == ICMPV6 { names::ICMP6_TYPES } else { names::ICMP_TYPES };
    find(text, known).and_then(|number| u8::try_from(number).ok()).or_else(|| text.parse().ok())
}

fn mac(text: &str) -> Option<u64> {
    let mut bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok());
    let number = bytes.by_ref().take(6).try_fold(0, |number, byte| Some(number << 8 | u64::from(byte?)))?;
    (bytes.next().is_none() && text.matches(':').count() == 5).then_some(number)
}

/// The known key nearest to what was written.
fn nearest(written: &str, known: &[&'static str]) -> &'static str {
    known.iter().min_by_key(|key| strsim::damerau_levenshtein(written, key)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_packet_and_a_key_that_is_not_known_is_refused() {
        let line = r#"{"hook":"forward","in":"eth0","out":"eth1","protocol":"tcp","src":"10.0.0.1","sport":4000,
            "dst":"10.0.0.2","dport":443,"flags":"syn,ack","state":"new","mac":"02:00:00:00:00:01"}"#;
        let packet = Packet::from_json(line).expect("a packet");
        assert_eq!((packet.flags, packet.state, packet.destination_port), (Some(18), Some(8), Some(443)));
        assert_eq!(packet.mac, Some(0x0200_0000_0001));
        let bare = r#"{"protocol":"icmp","src":"2001:db8::1","dst":"2001:db8::2"}"#;
        let packet = Packet::from_json(bare).expect("a packet");
        assert_eq!((packet.protocol, packet.icmp_type), (58, Some(128)));
        let error = Packet::from_json(r#"{"protocl":"tcp"}"#).expect_err("refused");
        assert_eq!(error.to_string(), "unknown key \"protocl\": did you mean \"protocol\"?");
        let mixed = r#"{"protocol":"tcp","src":"10.0.0.1","dst":"::1"}"#;
        assert_eq!(Packet::from_json(mixed), Err(PacketError::Families));
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(line in ".*") {
            let _ = Packet::from_json(&line);
        }
    }
}
