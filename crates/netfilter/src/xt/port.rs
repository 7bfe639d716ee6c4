//! Matches on transport headers: ports, flags, ICMP types.

use super::{Fragment, Info, not};
use netwhy_model::host::Match;

const PORT_MAX: u16 = u16::MAX;
/// XT_MULTI_PORTS.
const MULTI_PORT_COUNT_MAX: usize = 15;

fn ports(info: Info<'_>, at: usize) -> Option<String> {
    match (info.ne16(at), info.ne16(at + 2)) {
        (0, PORT_MAX) => None,
        (first, last) if first == last => Some(first.to_string()),
        (first, last) => Some(format!("{first}:{last}")),
    }
}

fn both_ports(fragment: &mut Fragment, info: Info<'_>, inverted: u8) {
    if let Some(ports) = ports(info, 0) {
        fragment.text.push_str(&format!(" {}--sport {ports}", not(inverted & 1 != 0)));
        fragment.matches.push(Match::SourcePort);
    }
    if let Some(ports) = ports(info, 4) {
        fragment.text.push_str(&format!(" {}--dport {ports}", not(inverted & 2 != 0)));
        fragment.matches.push(Match::DestinationPort);
    }
}

/// struct xt_tcp.
pub(super) fn tcp(info: Info<'_>) -> Fragment {
    let inverted = info.byte(11);
    let mut fragment = Fragment { text: "-m tcp".into(), ..Fragment::default() };
    both_ports(&mut fragment, info, inverted);
    if info.byte(8) != 0 {
        fragment.text.push_str(&format!(" {}--tcp-option {}", not(inverted & 8 != 0), info.byte(8)));
        fragment.matches.push(Match::Other);
    }
    let (mask, compared) = (info.byte(9), info.byte(10));
    if mask != 0 {
        let (mask, compared) = (flags(mask), flags(compared));
        fragment.text.push_str(&format!(" {}--tcp-flags {mask} {compared}", not(inverted & 4 != 0)));
        fragment.matches.push(Match::TcpFlags);
    }
    fragment
}

fn flags(bits: u8) -> String {
    const NAMES: [&str; 6] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
    let set: Vec<&str> =
        NAMES.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| *name).collect();
    if set.is_empty() { "NONE".to_owned() } else { set.join(",") }
}

/// struct xt_udp.
pub(super) fn udp(name: &str, info: Info<'_>) -> Fragment {
    let mut fragment = Fragment { text: format!("-m {name}"), ..Fragment::default() };
    both_ports(&mut fragment, info, info.byte(8));
    fragment
}

/// struct xt_sctp_info and xt_dccp_info: destination ports first, and more that is not read.
pub(super) fn plain(name: &str, info: Info<'_>) -> Fragment {
    let mut fragment = Fragment { text: format!("-m {name}"), ..Fragment::default() };
    if let Some(ports) = ports(info, 4).filter(|ports| ports != "0") {
        fragment.text.push_str(&format!(" --sport {ports}"));
        fragment.matches.push(Match::SourcePort);
    }
    if let Some(ports) = ports(info, 0).filter(|ports| ports != "0") {
        fragment.text.push_str(&format!(" --dport {ports}"));
        fragment.matches.push(Match::DestinationPort);
    }
    fragment
}

/// struct ipt_icmp and ip6t_icmp.
pub(super) fn icmp(name: &str, info: Info<'_>) -> Fragment {
    const ANY: u8 = 255;
    let option = if name == "icmp6" { "icmpv6-type" } else { "icmp-type" };
    let (kind, first, last) = (info.byte(0), info.byte(1), info.byte(2));
    let value = match (kind, first, last) {
        (ANY, ..) if name == "icmp" => "any".to_owned(),
        (kind, 0, u8::MAX) => kind.to_string(),
        (kind, first, last) if first == last => format!("{kind}/{first}"),
        (kind, first, last) => format!("{kind}/{first}:{last}"),
    };
    Fragment::new(format!("-m {name} {}--{option} {value}", not(info.byte(3) & 1 != 0)), Match::Other)
}

/// struct xt_multiport and xt_multiport_v1.
pub(super) fn multiport(revision: u32, info: Info<'_>) -> Fragment {
    let (option, kind) = match info.byte(0) {
        0 => ("sports", Match::SourcePort),
        1 => ("dports", Match::DestinationPort),
        _ => ("ports", Match::DestinationPort),
    };
    let count = usize::from(info.byte(1)).min(MULTI_PORT_COUNT_MAX);
    let mut list = String::new();
    let mut joins_next = false;
    for index in 0..count {
        if index > 0 {
            list.push(if joins_next { ':' } else { ',' });
        }
        list.push_str(&info.ne16(2 + 2 * index).to_string());
        joins_next = revision > 0 && info.byte(32 + index) != 0;
    }
    let inverted = revision > 0 && info.byte(47) != 0;
    Fragment::new(format!("-m multiport {}--{option} {list}", not(inverted)), kind)
}
