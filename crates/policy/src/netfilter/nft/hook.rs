//! Families, hooks and the names of priorities.

use crate::netfilter::ast::{Hook, Span, TableFamily};

/// The family of tables that a word names.
pub(super) fn family(word: &str) -> Option<TableFamily> {
    Some(match word {
        "ip" => TableFamily::Ip,
        "ip6" => TableFamily::Ip6,
        "inet" => TableFamily::Inet,
        "arp" => TableFamily::Arp,
        "bridge" => TableFamily::Bridge,
        "netdev" => TableFamily::Netdev,
        _ => return None,
    })
}

pub(super) fn hook(word: &str) -> Option<Hook> {
    Some(match word {
        "ingress" => Hook::Ingress,
        "prerouting" => Hook::Prerouting,
        "input" => Hook::Input,
        "forward" => Hook::Forward,
        "output" => Hook::Output,
        "postrouting" => Hook::Postrouting,
        "egress" => Hook::Egress,
        _ => return None,
    })
}

/// A priority as a number or name; names mean other numbers for bridges.
pub(super) fn priority(family: TableFamily, hook: Hook, word: &str) -> Option<i32> {
    if let Ok(number) = word.parse() {
        return Some(number);
    }
    let bridge = family == TableFamily::Bridge;
    Some(match (word, bridge) {
        ("filter", false) => 0,
        ("filter", true) => -200,
        ("dstnat", false) if hook != Hook::Postrouting => -100,
        ("dstnat", true) => -300,
        ("srcnat", false) if hook != Hook::Prerouting => 100,
        ("srcnat", true) => 300,
        ("out", true) => 100,
        ("raw", false) => -300,
        ("mangle", false) => -150,
        ("security", false) => 50,
        _ => return None,
    })
}

/// The name of a device in a list of devices.
pub(super) fn device(span: &Span) -> Option<String> {
    match span {
        Span::Name { text, prefix: true } => Some(format!("{text}*")),
        Span::Name { text, prefix: false } => Some(text.clone()),
        Span::Numbers(..) => None,
    }
}
