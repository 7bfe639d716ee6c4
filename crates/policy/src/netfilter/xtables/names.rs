//! Names that stand for numbers: those nft knows too, and those that iptables alone has.

use crate::netfilter::nft::names::{DIFFSERV, Names, PROTOCOLS, SERVICES, find};

/// The number of a protocol, by name or as a number. `all` is not one.
pub(super) fn protocol(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number = match text {
        "tcp" => 6,
        "udp" => 17,
        "icmp" => 1,
        "icmp6" => 58,
        "mh" | "ipv6-mh" => 135,
        other => find(PROTOCOLS, other)?,
    };
    u8::try_from(number).ok()
}

/// The number of a port, by name or as a number.
pub(super) fn port(text: &str) -> Option<u16> {
    match text.as_bytes().first() {
        Some(b'0'..=b'9') => text.parse().ok().or_else(|| hexadecimal(text)),
        _ => look_up(SERVICES, text),
    }
}

fn hexadecimal(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// Type and code of an ICMP message; no code where the name stands for all.
pub(super) fn icmp(text: &str, v6: bool) -> Option<(u8, Option<u8>)> {
    let names = if v6 { ICMP6 } else { ICMP };
    names.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text)).map(|(_, kind, code)| (*kind, *code))
}

/// The six bits of a class of service.
pub(super) fn dscp_class(text: &str) -> Option<u16> {
    look_up(DIFFSERV, &text.to_ascii_lowercase())
}

/// The byte of a type of service.
pub(super) fn tos(text: &str) -> Option<u16> {
    look_up(TOS, &text.to_ascii_lowercase())
}

fn look_up(names: Names, text: &str) -> Option<u16> {
    u16::try_from(find(names, text)?).ok()
}

type IcmpNames = &'static [(&'static str, u8, Option<u8>)];

#[rustfmt::skip]
const ICMP: IcmpNames = &[
    ("echo-reply", 0, None), ("pong", 0, None), ("destination-unreachable", 3, None),
    ("network-unreachable", 3, Some(0)), ("host-unreachable", 3, Some(1)), ("protocol-unreachable", 3, Some(2)),
    ("port-unreachable", 3, Some(3)), ("fragmentation-needed", 3, Some(4)), ("source-route-failed", 3, Some(5)),
    ("network-unknown", 3, Some(6)), ("host-unknown", 3, Some(7)), ("network-prohibited", 3, Some(9)),
    ("host-prohibited", 3, Some(10)), ("TOS-network-unreachable", 3, Some(11)), ("TOS-host-unreachable", 3, Some(12)),
    ("communication-prohibited", 3, Some(13)), ("host-precedence-violation", 3, Some(14)),
    ("precedence-cutoff", 3, Some(15)), ("source-quench", 4, None), ("redirect", 5, None),
    ("network-redirect", 5, Some(0)), ("host-redirect", 5, Some(1)), ("TOS-network-redirect", 5, Some(2)),
    ("TOS-host-redirect", 5, Some(3)), ("echo-request", 8, None), ("ping", 8, None), ("router-advertisement", 9, None),
    ("router-solicitation", 10, None), ("time-exceeded", 11, None), ("ttl-exceeded", 11, None),
    ("ttl-zero-during-transit", 11, Some(0)), ("ttl-zero-during-reassembly", 11, Some(1)),
    ("parameter-problem", 12, None), ("ip-header-bad", 12, Some(0)), ("required-option-missing", 12, Some(1)),
    ("timestamp-request", 13, None), ("timestamp-reply", 14, None), ("address-mask-request", 17, None),
    ("address-mask-reply", 18, None),
];

#[rustfmt::skip]
const ICMP6: IcmpNames = &[
    ("destination-unreachable", 1, None), ("no-route", 1, Some(0)), ("communication-prohibited", 1, Some(1)),
    ("beyond-scope", 1, Some(2)), ("address-unreachable", 1, Some(3)), ("port-unreachable", 1, Some(4)),
    ("failed-policy", 1, Some(5)), ("reject-route", 1, Some(6)), ("packet-too-big", 2, None),
    ("time-exceeded", 3, None), ("ttl-exceeded", 3, None), ("ttl-zero-during-transit", 3, Some(0)),
    ("ttl-zero-during-reassembly", 3, Some(1)), ("parameter-problem", 4, None), ("bad-header", 4, Some(0)),
    ("unknown-header-type", 4, Some(1)), ("unknown-option", 4, Some(2)), ("echo-request", 128, None),
    ("ping", 128, None), ("echo-reply", 129, None), ("pong", 129, None), ("mld-listener-query", 130, None),
    ("mld-listener-report", 131, None), ("mld-listener-done", 132, None), ("mld-listener-reduction", 132, None),
    ("router-solicitation", 133, None), ("router-advertisement", 134, None), ("neighbour-solicitation", 135, None),
    ("neighbor-solicitation", 135, None), ("neighbour-advertisement", 136, None),
    ("neighbor-advertisement", 136, None), ("redirect", 137, None),
];

#[rustfmt::skip]
const TOS: Names = &[
    ("minimize-delay", 0x10), ("maximize-throughput", 0x08), ("maximize-reliability", 0x04), ("minimize-cost", 0x02),
    ("normal-service", 0x00),
];
