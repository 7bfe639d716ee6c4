//! Matches on connection state, sets, addresses and whatever else a packet has.

use super::info::network;
use super::{Fragment, Info, Place, not};
use crate::nft::date;
use crate::source::SourceCondition;
use netwhy_model::host::Match;

/// In the order iptables writes them; bits of XT_CONNTRACK_STATE_*.
const STATES: [(u16, &str); 7] = [
    (1 << 0, "INVALID"),
    (1 << 3, "NEW"),
    (1 << 2, "RELATED"),
    (1 << 1, "ESTABLISHED"),
    (1 << 8, "UNTRACKED"),
    (1 << 6, "SNAT"),
    (1 << 7, "DNAT"),
];
const STATUSES: [(u16, &str); 4] = [(1, "EXPECTED"), (2, "SEEN_REPLY"), (4, "ASSURED"), (8, "CONFIRMED")];

fn words(table: &[(u16, &str)], bits: u16) -> String {
    let set: Vec<&str> = table.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, word)| *word).collect();
    if set.is_empty() { "NONE".to_owned() } else { set.join(",") }
}

/// struct xt_conntrack_mtinfo1 to 3.
pub(super) fn conntrack(revision: u32, info: Info<'_>, is_ip6: bool) -> Fragment {
    const STATE_ALIAS: u16 = 1 << 13;
    let (flags, inverted) = (info.ne16(146), info.ne16(148));
    let (state, status) = match revision {
        0 | 1 => (info.byte(150).into(), info.byte(151).into()),
        _ => (info.ne16(150), info.ne16(152)),
    };
    if flags & STATE_ALIAS != 0 {
        let text = format!("-m state {}--state {}", not(inverted & 1 != 0), words(&STATES, state));
        return Fragment::new(text, Match::ConnectionState);
    }
    let mut fragment = Fragment { text: "-m conntrack".into(), ..Fragment::default() };
    let mut say = |bit: u16, option: &str, value: String, kind: Match| {
        if flags & bit != 0 {
            fragment.text.push_str(&format!(" {}--{option} {value}", not(inverted & bit != 0)));
            fragment.matches.push(kind);
        }
    };
    say(1 << 0, "ctstate", words(&STATES, state), Match::ConnectionState);
    say(1 << 1, "ctproto", info.ne16(136).to_string(), Match::Other);
    let address = |at: usize| network(info.address(at, is_ip6), info.address(at + 16, is_ip6));
    say(1 << 2, "ctorigsrc", address(0), Match::SourceRange);
    say(1 << 3, "ctorigdst", address(32), Match::DestinationAddress);
    say(1 << 4, "ctreplsrc", address(64), Match::Other);
    say(1 << 5, "ctrepldst", address(96), Match::Other);
    let port = |at: usize, high: usize| match revision {
        0..=2 => info.be16(at).to_string(),
        _ if info.ne16(high) > info.ne16(at) => format!("{}:{}", info.ne16(at), info.ne16(high)),
        _ => info.ne16(at).to_string(),
    };
    say(1 << 8, "ctorigsrcport", port(138, 154), Match::SourcePort);
    say(1 << 9, "ctorigdstport", port(140, 156), Match::DestinationPort);
    say(1 << 10, "ctreplsrcport", port(142, 158), Match::Other);
    say(1 << 11, "ctrepldstport", port(144, 160), Match::Other);
    say(1 << 6, "ctstatus", words(&STATUSES, status), Match::ConnectionState);
    let (least, most) = (info.ne32(128), info.ne32(132));
    let expires = if least == most { least.to_string() } else { format!("{least}:{most}") };
    say(1 << 7, "ctexpire", expires, Match::Other);
    if flags & (1 << 12) != 0 {
        // The sense of this one is the other way round in the kernel.
        let way = if inverted & (1 << 12) != 0 { "REPLY" } else { "ORIGINAL" };
        fragment.text.push_str(&format!(" --ctdir {way}"));
        fragment.matches.push(Match::ConnectionState);
    }
    fragment
}

/// struct xt_state_info.
pub(super) fn state(info: Info<'_>) -> Fragment {
    const UNTRACKED: u32 = 1 << 6;
    let mask = info.ne32(0);
    let untracked = if mask & UNTRACKED != 0 { 1 << 8 } else { 0 };
    let states = words(&STATES, (mask & 0xf) as u16 | untracked);
    Fragment::new(format!("-m state --state {states}"), Match::ConnectionState)
}

/// struct xt_set_info, with which every revision of the match begins.
pub(super) fn set(info: Info<'_>, place: &Place<'_>) -> Fragment {
    const INVERSE: u8 = 1;
    const DIMENSION_COUNT_MAX: u8 = 6;
    let (index, dimensions, flags) = (info.ne16(0), info.byte(2).min(DIMENSION_COUNT_MAX), info.byte(3));
    let set = (place.ipsets)(index);
    let name = set.as_ref().map_or_else(|| format!("<set {index}>"), |set| set.name.clone());
    let sides: Vec<&str> =
        (1..=dimensions).map(|at| if flags & (1 << at) != 0 { "src" } else { "dst" }).collect();
    let negated = flags & INVERSE != 0;
    let text = format!("-m set {}--match-set {name} {}", not(negated), sides.join(","));
    if sides.first() != Some(&"src") {
        return Fragment::new(text, Match::DestinationAddress);
    }
    let ranges = set.is_some_and(|set| set.has_ranges);
    let condition = if ranges { SourceCondition::Range } else { SourceCondition::Single };
    Fragment { text, source: Some((condition, negated)), ..Fragment::default() }
}

/// Matches of fewer words.
pub(super) fn other(name: &str, revision: u32, info: Info<'_>, is_ip6: bool) -> Option<Fragment> {
    let plain =
        |text: String| Some(Fragment::new(format!("-m {name} {text}").trim_end().to_owned(), Match::Other));
    match name {
        "mark" | "connmark" => {
            let value = masked(info.ne32(0), info.ne32(4));
            let text = format!("-m {name} {}--mark {value}", not(info.byte(8) != 0));
            Some(Fragment::new(text, Match::Mark))
        }
        "iprange" => Some(address_range(info, is_ip6)),
        "owner" => Some(owner(info)),
        "physdev" => Some(physdev(info)),
        "addrtype" => plain(address_type(revision, info)),
        "mac" => {
            let octets: Vec<String> = info.bytes(0, 6).iter().map(|byte| format!("{byte:02x}")).collect();
            plain(format!("{}--mac-source {}", not(info.ne32(8) != 0), octets.join(":")))
        }
        "length" => plain(format!("{}--length {}", not(info.byte(4) != 0), pair(info.ne16(0), info.ne16(2)))),
        "tcpmss" => plain(format!("{}--mss {}", not(info.byte(4) != 0), pair(info.ne16(0), info.ne16(2)))),
        "ttl" | "hl" => plain(hops(name, info)),
        "pkttype" => plain(packet_type(info)),
        "statistic" => plain(statistic(info)),
        "string" => plain(string(revision, info)),
        "time" => plain(time(info)),
        "helper" => plain(format!("{}--helper {}", not(info.ne32(0) != 0), info.text(4, 30))),
        "connbytes" => plain(connection_bytes(info)),
        "quota" => plain(format!("{}--quota {}", not(info.ne32(0) & 1 != 0), info.ne64(8))),
        "dscp" => plain(format!("{}--dscp {:#04x}", not(info.byte(1) != 0), info.byte(0))),
        "tos" => {
            plain(format!("{}--tos {:#04x}/{:#04x}", not(info.byte(2) != 0), info.byte(1), info.byte(0)))
        }
        "socket" => {
            plain(flags(info.byte(0), &[(1, "--transparent"), (2, "--nowildcard"), (4, "--restore-skmark")]))
        }
        "rpfilter" => plain(flags(
            info.byte(0),
            &[(1, "--loose"), (2, "--validmark"), (4, "--accept-local"), (8, "--invert")],
        )),
        "policy" => plain(policy(info)),
        _ => None,
    }
}

fn flags(bits: u8, table: &[(u8, &str)]) -> String {
    let set: Vec<&str> = table.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, word)| *word).collect();
    set.join(" ")
}

/// `0x1/0xff`, or `0x1` under a full mask.
fn masked(value: u32, mask: u32) -> String {
    if mask == u32::MAX { format!("{value:#x}") } else { format!("{value:#x}/{mask:#x}") }
}

fn pair(first: u16, last: u16) -> String {
    if first == last { first.to_string() } else { format!("{first}:{last}") }
}

fn address_range(info: Info<'_>, is_ip6: bool) -> Fragment {
    let flags = info.byte(64);
    let mut fragment = Fragment { text: "-m iprange".into(), ..Fragment::default() };
    let range = |at: usize| format!("{}-{}", info.address(at, is_ip6), info.address(at + 16, is_ip6));
    if flags & 1 != 0 {
        let negated = flags & 16 != 0;
        fragment.text.push_str(&format!(" {}--src-range {}", not(negated), range(0)));
        fragment.source = Some((SourceCondition::Range, negated));
    }
    if flags & 2 != 0 {
        fragment.text.push_str(&format!(" {}--dst-range {}", not(flags & 32 != 0), range(32)));
        fragment.matches.push(Match::DestinationAddress);
    }
    fragment
}

fn owner(info: Info<'_>) -> Fragment {
    let (wanted, inverted) = (info.byte(16), info.byte(17));
    let mut text = "-m owner".to_owned();
    if wanted & 4 != 0 {
        text.push_str(&format!(" {}--socket-exists", not(inverted & 4 != 0)));
    }
    for (bit, option, at) in [(1, "uid-owner", 0), (2, "gid-owner", 8)] {
        if wanted & bit != 0 {
            let (first, last) = (info.ne32(at), info.ne32(at + 4));
            let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
            text.push_str(&format!(" {}--{option} {range}", not(inverted & bit != 0)));
        }
    }
    Fragment::new(text, Match::User)
}

fn physdev(info: Info<'_>) -> Fragment {
    let (inverted, asked) = (info.byte(64), info.byte(65));
    let mut text = "-m physdev".to_owned();
    for (bit, option, name) in [
        (8, "physdev-is-in", None),
        (1, "physdev-in", Some(info.text(0, 16))),
        (16, "physdev-is-out", None),
        (2, "physdev-out", Some(info.text(32, 16))),
        (4, "physdev-is-bridged", None),
    ] {
        if asked & bit != 0 {
            let value = name.map_or_else(String::new, |name| format!(" {name}"));
            text.push_str(&format!(" {}--{option}{value}", not(inverted & bit != 0)));
        }
    }
    Fragment::new(text, Match::Interface)
}

fn address_type(revision: u32, info: Info<'_>) -> String {
    const TYPES: [(u16, &str); 9] = [
        (1 << 0, "UNSPEC"),
        (1 << 1, "UNICAST"),
        (1 << 2, "LOCAL"),
        (1 << 3, "BROADCAST"),
        (1 << 4, "ANYCAST"),
        (1 << 5, "MULTICAST"),
        (1 << 6, "BLACKHOLE"),
        (1 << 7, "UNREACHABLE"),
        (1 << 8, "PROHIBIT"),
    ];
    let (source, destination, bits) = (info.ne16(0), info.ne16(2), info.ne32(4));
    let (not_source, not_destination) = match revision {
        0 => (bits != 0, info.ne32(8) != 0),
        _ => (bits & 1 != 0, bits & 2 != 0),
    };
    let mut parts = Vec::new();
    if source != 0 {
        parts.push(format!("{}--src-type {}", not(not_source), words(&TYPES, source)));
    }
    if destination != 0 {
        parts.push(format!("{}--dst-type {}", not(not_destination), words(&TYPES, destination)));
    }
    if revision > 0 {
        parts.extend((bits & 4 != 0).then(|| "--limit-iface-in".to_owned()));
        parts.extend((bits & 8 != 0).then(|| "--limit-iface-out".to_owned()));
    }
    parts.join(" ")
}

fn hops(name: &str, info: Info<'_>) -> String {
    let value = info.byte(1);
    match info.byte(0) {
        0 => format!("--{name}-eq {value}"),
        1 => format!("! --{name}-eq {value}"),
        2 => format!("--{name}-lt {value}"),
        _ => format!("--{name}-gt {value}"),
    }
}

fn packet_type(info: Info<'_>) -> String {
    let kind = match info.ne32(0) {
        0 => "unicast".to_owned(),
        1 => "broadcast".to_owned(),
        2 => "multicast".to_owned(),
        other => other.to_string(),
    };
    format!("{}--pkt-type {kind}", not(info.ne32(4) != 0))
}

fn statistic(info: Info<'_>) -> String {
    let negated = not(info.ne16(2) & 1 != 0);
    if info.ne16(0) == 0 {
        let probability = f64::from(info.ne32(4)) / f64::from(0x8000_0000_u32);
        return format!("--mode random {negated}--probability {probability:.11}");
    }
    format!("--mode nth {negated}--every {} --packet {}", u64::from(info.ne32(4)) + 1, info.ne32(8))
}

fn string(revision: u32, info: Info<'_>) -> String {
    const INVERT: u8 = 1;
    const IGNORE_CASE: u8 = 2;
    let length = usize::from(info.byte(148)).min(128);
    let pattern = info.bytes(20, length);
    let printed = pattern.iter().all(|byte| (0x20..0x7f).contains(byte));
    let value = if printed {
        format!("--string \"{}\"", String::from_utf8_lossy(pattern))
    } else {
        let digits: String = pattern.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("--hex-string \"|{digits}|\"")
    };
    let bits = info.byte(149);
    let mut text = format!("{}{value} --algo {}", not(bits & INVERT != 0), info.text(4, 16));
    for (at, none, option) in [(0, 0, "from"), (2, u16::MAX, "to")] {
        if info.ne16(at) != none {
            text.push_str(&format!(" --{option} {}", info.ne16(at)));
        }
    }
    if revision > 0 && bits & IGNORE_CASE != 0 {
        text.push_str(" --icase");
    }
    text
}

fn time(info: Info<'_>) -> String {
    const DAY_END_S: u32 = 86_399;
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const ALL_DAYS: u8 = 0xfe;
    const DATE_END_S: u32 = i32::MAX as u32;
    let clock = |seconds: u32| format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    let (start, stop) = (info.ne32(8), info.ne32(12));
    if (start, stop) != (0, DAY_END_S) {
        text.push_str(&format!("--timestart {} --timestop {} ", clock(start), clock(stop)));
    }
    let weekdays = info.byte(20);
    if weekdays & ALL_DAYS != ALL_DAYS {
        let set: Vec<&str> = DAYS
            .iter()
            .enumerate()
            .filter(|(at, _)| weekdays & (2 << at) != 0)
            .map(|(_, day)| *day)
            .collect();
        text.push_str(&format!("--weekdays {} ", set.join(",")));
    }
    for (at, unsaid, option) in [(0, 0, "datestart"), (4, DATE_END_S, "datestop")] {
        if info.ne32(at) != unsaid && info.ne32(at) != u32::MAX {
            text.push_str(&format!("--{option} {} ", date(info.ne32(at).into()).replace(' ', "T")));
        }
    }
    for (bit, option) in [(1, "--kerneltz "), (2, "--contiguous ")] {
        if info.byte(21) & bit != 0 {
            text.push_str(option);
        }
    }
    text.trim_end().to_owned()
}

fn connection_bytes(info: Info<'_>) -> String {
    let (mut first, mut last) = (info.ne64(0), info.ne64(8));
    let negated = first > last;
    if negated {
        (first, last) = (last, first);
    }
    let range = if last == u64::MAX { first.to_string() } else { format!("{first}:{last}") };
    let what = ["packets", "bytes", "avgpkt"].get(usize::from(info.byte(16))).copied().unwrap_or("<mode>");
    let way = ["original", "reply", "both"].get(usize::from(info.byte(17))).copied().unwrap_or("<dir>");
    format!("{}--connbytes {range} --connbytes-mode {what} --connbytes-dir {way}", not(negated))
}

fn policy(info: Info<'_>) -> String {
    let bits = info.ne16(304);
    let way = if bits & 1 != 0 { "in" } else { "out" };
    let kind = if bits & 4 != 0 { "none" } else { "ipsec" };
    let strict = if bits & 8 != 0 { " --strict" } else { "" };
    format!("--dir {way} --pol {kind}{strict}")
}
