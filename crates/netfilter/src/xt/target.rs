//! Targets: what an xtables rule does.

use super::nat::nat;
use super::{Fragment, Info, Place};
use netwhy_model::host::RuleVerdict;

/// Reads a target; `None` when it is not known here.
pub(crate) fn target_fragment(name: &str, revision: u32, info: &[u8], place: &Place<'_>) -> Option<Fragment> {
    let info = Info(info);
    let going_on = |text: String| Some(Fragment { text, ..Fragment::default() });
    match name {
        "REJECT" => Some(reject(info, place.is_ip6)),
        "DNAT" | "SNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP" => {
            Some(nat(name, revision, info, place.is_ip6))
        }
        "TPROXY" => Some(tproxy(revision, info, place.is_ip6)),
        "NFQUEUE" => Some(queue(revision, info)),
        "SYNPROXY" => Some(synproxy(info)),
        "CT" | "NOTRACK" => Some(track(name, info)),
        "LOG" => going_on(log(info)),
        "NFLOG" => going_on(netlink_log(info)),
        "MARK" => going_on(format!("-j MARK --set-xmark {:#x}/{:#x}", info.ne32(0), info.ne32(4))),
        "CONNMARK" => going_on(connection_mark(revision, info)),
        "TCPMSS" => going_on(match info.ne16(0) {
            u16::MAX => "-j TCPMSS --clamp-mss-to-pmtu".to_owned(),
            size => format!("-j TCPMSS --set-mss {size}"),
        }),
        "TTL" | "HL" => {
            let option = name.to_lowercase();
            let way = ["set", "inc", "dec"].get(usize::from(info.byte(0))).copied().unwrap_or("set");
            going_on(format!("-j {name} --{option}-{way} {}", info.byte(1)))
        }
        "DSCP" => going_on(format!("-j DSCP --set-dscp {:#04x}", info.byte(0))),
        "TOS" => going_on(format!("-j TOS --set-tos {:#04x}/{:#04x}", info.byte(0), info.byte(1))),
        "CLASSIFY" => {
            let class = info.ne32(0);
            going_on(format!("-j CLASSIFY --set-class {:04x}:{:04x}", class >> 16, class & 0xffff))
        }
        "TEE" => going_on(format!("-j TEE --gateway {}", info.address(0, place.is_ip6))),
        "SET" => going_on(set(info, place)),
        "CHECKSUM" | "TRACE" | "AUDIT" | "SECMARK" | "CONNSECMARK" => going_on(format!("-j {name}")),
        _ => None,
    }
}

fn reject(info: Info<'_>, is_ip6: bool) -> Fragment {
    const RESET: &str = "tcp-reset";
    let with = info.ne32(0) as usize;
    let (option, answer) = if is_ip6 {
        [
            ("icmp6-no-route", "icmpv6 1/0"),
            ("icmp6-adm-prohibited", "icmpv6 1/1"),
            ("icmp6-not-neighbour", "icmpv6 1/2"),
            ("icmp6-addr-unreachable", "icmpv6 1/3"),
            ("icmp6-port-unreachable", "icmpv6 1/4"),
            ("icmp6-echo-reply", "icmpv6 129/0"),
            (RESET, RESET),
            ("icmp6-policy-fail", "icmpv6 1/5"),
            ("icmp6-reject-route", "icmpv6 1/6"),
        ]
        .get(with)
        .copied()
    } else {
        [
            ("icmp-net-unreachable", "icmp 3/0"),
            ("icmp-host-unreachable", "icmp 3/1"),
            ("icmp-proto-unreachable", "icmp 3/2"),
            ("icmp-port-unreachable", "icmp 3/3"),
            ("icmp-echo-reply", "icmp 0/0"),
            ("icmp-net-prohibited", "icmp 3/9"),
            ("icmp-host-prohibited", "icmp 3/10"),
            (RESET, RESET),
            ("icmp-admin-prohibited", "icmp 3/13"),
        ]
        .get(with)
        .copied()
    }
    .unwrap_or(("<type>", "icmp"));
    Fragment {
        text: format!("-j REJECT --reject-with {option}"),
        verdict: Some(RuleVerdict::Reject(answer.to_owned())),
        ..Fragment::default()
    }
}

fn tproxy(revision: u32, info: Info<'_>, is_ip6: bool) -> Fragment {
    let port = info.be16(if revision == 0 { 12 } else { 24 });
    let address = info.address(8, is_ip6);
    let mark = format!("{:#x}/{:#x}", info.ne32(4), info.ne32(0));
    Fragment {
        text: format!("-j TPROXY --on-port {port} --on-ip {address} --tproxy-mark {mark}"),
        verdict: Some(RuleVerdict::Nat(format!("tproxy to {address}:{port}"))),
        ..Fragment::default()
    }
}

fn queue(revision: u32, info: Info<'_>) -> Fragment {
    let (first, count) = (info.ne16(0), if revision > 0 { info.ne16(2) } else { 1 });
    let mut text = match count {
        0 | 1 => format!("-j NFQUEUE --queue-num {first}"),
        _ => format!("-j NFQUEUE --queue-balance {first}:{}", first.saturating_add(count - 1)),
    };
    if revision > 1 && info.ne16(4) & 1 != 0 {
        text.push_str(" --queue-bypass");
    }
    if revision > 2 && info.ne16(4) & 2 != 0 {
        text.push_str(" --queue-cpu-fanout");
    }
    Fragment { text, verdict: Some(RuleVerdict::Queue), ..Fragment::default() }
}

fn synproxy(info: Info<'_>) -> Fragment {
    let options = info.byte(0);
    let mut text = "-j SYNPROXY".to_owned();
    for (bit, word) in [(4, " --sack-perm"), (8, " --timestamp")] {
        if options & bit != 0 {
            text.push_str(word);
        }
    }
    if options & 2 != 0 {
        text.push_str(&format!(" --wscale {}", info.byte(1)));
    }
    if options & 1 != 0 {
        text.push_str(&format!(" --mss {}", info.ne16(2)));
    }
    if options & 16 != 0 {
        text.push_str(" --ecn");
    }
    Fragment { text, verdict: Some(RuleVerdict::SynProxy), ..Fragment::default() }
}

fn track(name: &str, info: Info<'_>) -> Fragment {
    const NOTRACK: u16 = 1;
    const ALIAS: u16 = 2;
    let flags = info.ne16(0);
    if name == "NOTRACK" || flags & NOTRACK != 0 {
        let alias = name == "NOTRACK" || flags & ALIAS != 0;
        let text = if alias { "-j NOTRACK" } else { "-j CT --notrack" };
        return Fragment {
            text: text.to_owned(),
            verdict: Some(RuleVerdict::NoTrack),
            ..Fragment::default()
        };
    }
    let mut text = "-j CT".to_owned();
    let helper = info.text(12, 16);
    if !helper.is_empty() {
        text.push_str(&format!(" --helper {helper}"));
    }
    if info.ne16(2) != 0 {
        text.push_str(&format!(" --zone {}", info.ne16(2)));
    }
    Fragment { text, ..Fragment::default() }
}

fn log(info: Info<'_>) -> String {
    const LEVEL_WARNING: u8 = 4;
    let mut text = "-j LOG".to_owned();
    let prefix = info.text(2, 30);
    if !prefix.is_empty() {
        text.push_str(&format!(" --log-prefix \"{prefix}\""));
    }
    if info.byte(0) != LEVEL_WARNING {
        text.push_str(&format!(" --log-level {}", info.byte(0)));
    }
    for (bit, word) in [
        (1, " --log-tcp-sequence"),
        (2, " --log-tcp-options"),
        (4, " --log-ip-options"),
        (8, " --log-uid"),
        (32, " --log-macdecode"),
    ] {
        if info.byte(1) & bit != 0 {
            text.push_str(word);
        }
    }
    text
}

fn netlink_log(info: Info<'_>) -> String {
    let mut text = "-j NFLOG".to_owned();
    let prefix = info.text(16, 64);
    if !prefix.is_empty() {
        text.push_str(&format!(" --nflog-prefix \"{prefix}\""));
    }
    if info.ne16(4) != 0 {
        text.push_str(&format!(" --nflog-group {}", info.ne16(4)));
    }
    text
}

fn connection_mark(revision: u32, info: Info<'_>) -> String {
    let (mark, connection_mask, packet_mask) = (info.ne32(0), info.ne32(4), info.ne32(8));
    // Revision 2 shifts, and says so before the mode.
    match info.byte(if revision < 2 { 12 } else { 14 }) {
        0 => format!("-j CONNMARK --set-xmark {mark:#x}/{connection_mask:#x}"),
        mode => {
            let way = if mode == 1 { "save" } else { "restore" };
            format!("-j CONNMARK --{way}-mark --nfmask {packet_mask:#x} --ctmask {connection_mask:#x}")
        }
    }
}

fn set(info: Info<'_>, place: &Place<'_>) -> String {
    const NO_SET: u16 = u16::MAX;
    let mut text = "-j SET".to_owned();
    for (at, option) in [(0, "add-set"), (4, "del-set")] {
        let index = info.ne16(at);
        if index != NO_SET {
            let name = (place.ipsets)(index).map_or_else(|| format!("<set {index}>"), |set| set.name);
            let dimensions = info.byte(at + 2).min(6);
            let sides: Vec<&str> = (1..=dimensions)
                .map(|dimension| if info.byte(at + 3) & (1 << dimension) != 0 { "src" } else { "dst" })
                .collect();
            text.push_str(&format!(" --{option} {name} {}", sides.join(",")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reject_says_what_the_peer_receives() {
        let place = Place { is_ip6: false, ipsets: &|_| None };
        let fragment = target_fragment("REJECT", 0, &7_u32.to_ne_bytes(), &place).unwrap();
        assert_eq!(fragment.text, "-j REJECT --reject-with tcp-reset");
        assert_eq!(fragment.verdict, Some(RuleVerdict::Reject("tcp-reset".into())));
    }
}
