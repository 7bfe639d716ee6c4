//! Targets that translate addresses.

use super::{Fragment, Info};
use netwhy_model::host::RuleVerdict;

const FLAG_ADDRESS: u32 = 1;
const FLAG_PORT: u32 = 2;
const FLAG_RANDOM: u32 = 4;
const FLAG_PERSISTENT: u32 = 8;
const FLAG_FULLY: u32 = 16;

/// A translation: struct nf_nat_ipv4_multi_range_compat, nf_nat_range or nf_nat_range2.
pub(super) fn nat(name: &str, revision: u32, info: Info<'_>, is_ip6: bool) -> Fragment {
    // Revision 0 of IPv4 has the old struct, behind a count that is always one.
    let old = !is_ip6 && (revision == 0 || matches!(name, "MASQUERADE" | "REDIRECT" | "NETMAP"));
    let (flags, first, last, ports) = if old { (info.ne32(4), 8, 12, 16) } else { (info.ne32(0), 4, 20, 36) };
    let (low, high) = (info.address(first, is_ip6), info.address(last, is_ip6));
    let address = match flags & FLAG_ADDRESS {
        0 => String::new(),
        _ if low == high => low.to_string(),
        _ if name == "NETMAP" => super::info::network(low, mask(low, high)),
        _ => format!("{low}-{high}"),
    };
    let (from, to) = (info.be16(ports), info.be16(ports + 2));
    let port = match flags & FLAG_PORT {
        0 => String::new(),
        _ if from == to => from.to_string(),
        _ => format!("{from}-{to}"),
    };
    let mut text = format!("-j {name}");
    let (option, word) = match name {
        "DNAT" => (" --to-destination ", "dnat to "),
        "SNAT" => (" --to-source ", "snat to "),
        "NETMAP" => (" --to ", "netmap to "),
        "REDIRECT" => (" --to-ports ", "redirect to "),
        _ => (" --to-ports ", "masquerade to "),
    };
    let target = match (address.is_empty(), port.is_empty()) {
        (true, _) if matches!(name, "REDIRECT" | "MASQUERADE") => port.clone(),
        (_, true) => address,
        (_, false) if is_ip6 && !address.is_empty() => format!("[{address}]:{port}"),
        (_, false) => format!("{address}:{port}"),
    };
    if !target.is_empty() {
        text.push_str(&format!("{option}{target}"));
    }
    for (bit, flag) in
        [(FLAG_RANDOM, " --random"), (FLAG_FULLY, " --random-fully"), (FLAG_PERSISTENT, " --persistent")]
    {
        if flags & bit != 0 {
            text.push_str(flag);
        }
    }
    let verdict =
        if target.is_empty() { word.trim_end_matches(" to ").to_owned() } else { format!("{word}{target}") };
    Fragment { text, verdict: Some(RuleVerdict::Nat(verdict)), ..Fragment::default() }
}

/// The mask under which both ends are one network.
fn mask(low: std::net::IpAddr, high: std::net::IpAddr) -> std::net::IpAddr {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    match (low, high) {
        (IpAddr::V4(low), IpAddr::V4(high)) => Ipv4Addr::from(!(u32::from(low) ^ u32::from(high))).into(),
        (IpAddr::V6(low), IpAddr::V6(high)) => Ipv6Addr::from(!(u128::from(low) ^ u128::from(high))).into(),
        _ => low,
    }
}
