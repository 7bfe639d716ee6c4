//! nft's types of data: how a word becomes a number.

use super::names::{self, Names, find};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A type of data, by its name in nft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Boolean,
    Ip4,
    Ip6,
    Ether,
    Protocol,
    Service,
    EtherType,
    NetworkProtocol,
    Mark,
    /// Names of interfaces, helpers and the like: no number.
    Name,
    InterfaceIndex,
    LinkType,
    CtState,
    CtStatus,
    CtDirection,
    CtEvent,
    CtLabel,
    TcpFlags,
    IcmpType,
    IcmpCode,
    Icmp6Type,
    Icmp6Code,
    IcmpxCode,
    IgmpType,
    DccpType,
    ArpOperation,
    MobilityType,
    Diffserv,
    Congestion,
    PacketType,
    Realm,
    /// A user or group: a number, or else a name.
    User,
    DeviceGroup,
    /// A length of time, in seconds.
    Span,
    /// `maj:min` of traffic control.
    ClassId,
    Day,
    /// Seconds since midnight, in the time zone of whoever wrote it.
    Hour,
    /// Seconds since 1970, likewise.
    Date,
    FibType,
    Verdict,
}

use Kind::*;

/// The types by the names they have in `type …` of a set.
const BY_NAME: &[(&str, Kind)] = &[
    ("ipv4_addr", Ip4),
    ("ipv6_addr", Ip6),
    ("inet_service", Service),
    ("inet_proto", Protocol),
    ("ifname", Name),
    ("iface_index", InterfaceIndex),
    ("iface_type", LinkType),
    ("ether_addr", Ether),
    ("lladdr", Ether),
    ("ether_type", EtherType),
    ("mark", Mark),
    ("verdict", Verdict),
    ("icmp_type", IcmpType),
    ("icmp_code", IcmpCode),
    ("icmpv6_type", Icmp6Type),
    ("icmpv6_code", Icmp6Code),
    ("icmpx_code", IcmpxCode),
    ("igmp_type", IgmpType),
    ("tcp_flag", TcpFlags),
    ("dccp_pkttype", DccpType),
    ("dccp_type", DccpType),
    ("mh_type", MobilityType),
    ("arp_op", ArpOperation),
    ("nf_proto", NetworkProtocol),
    ("ct_state", CtState),
    ("ct_status", CtStatus),
    ("ct_dir", CtDirection),
    ("ct_event", CtEvent),
    ("ct_label", CtLabel),
    ("dscp", Diffserv),
    ("ecn", Congestion),
    ("pkt_type", PacketType),
    ("realm", Realm),
    ("classid", ClassId),
    ("uid", User),
    ("gid", User),
    ("devgroup", DeviceGroup),
    ("time", Span),
    ("day", Day),
    ("hour", Hour),
    ("fib_addrtype", FibType),
    ("boolean", Boolean),
    ("string", Name),
    ("cgroupsv2", Name),
    ("ifkind", Name),
    ("integer", Integer),
    ("invalid", Integer),
];

/// Seconds in each unit of `1d2h3m4s`.
const UNITS_S: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

impl Kind {
    pub fn of_name(name: &str) -> Option<Kind> {
        BY_NAME.iter().find(|(text, _)| *text == name).map(|(_, kind)| *kind)
    }

    /// Its name in a set's `type`.
    pub fn name(self) -> &'static str {
        BY_NAME.iter().find(|(_, kind)| *kind == self).map_or("integer", |(text, _)| text)
    }

    /// How many bits a value has.
    pub fn bits(self) -> u16 {
        match self {
            Ip6 | CtLabel => 128,
            Ether => 48,
            Service | EtherType | LinkType | ArpOperation => 16,
            Date => 64,
            Protocol | NetworkProtocol | CtDirection | TcpFlags | IcmpType | IcmpCode | Icmp6Type
            | Icmp6Code | IcmpxCode | IgmpType | MobilityType | PacketType | Day | Boolean => 8,
            DccpType => 4,
            Diffserv => 6,
            Congestion => 2,
            Name | Integer => 128,
            _ => 32,
        }
    }

    /// Whether a bare value asks for one of its bits and not for equality.
    pub fn is_flags(self) -> bool {
        matches!(self, TcpFlags | CtState | CtStatus | CtEvent | CtLabel)
    }

    /// Whether values are names.
    pub fn is_name(self) -> bool {
        self == Name
    }

    fn names(self) -> Names {
        match self {
            Protocol => names::PROTOCOLS,
            Service => names::SERVICES,
            EtherType => names::ETHER_TYPES,
            NetworkProtocol => names::NETWORK_PROTOCOLS,
            LinkType => names::LINK_TYPES,
            CtState => names::CT_STATES,
            CtStatus => names::CT_STATUSES,
            CtDirection => names::CT_DIRECTIONS,
            CtEvent => names::CT_EVENTS,
            TcpFlags => names::TCP_FLAGS,
            IcmpType => names::ICMP_TYPES,
            IcmpCode => names::ICMP_CODES,
            Icmp6Type => names::ICMP6_TYPES,
            Icmp6Code => names::ICMP6_CODES,
            IcmpxCode => names::ICMPX_CODES,
            IgmpType => names::IGMP_TYPES,
            DccpType => names::DCCP_TYPES,
            ArpOperation => names::ARP_OPERATIONS,
            MobilityType => names::MOBILITY_TYPES,
            Diffserv => names::DIFFSERV,
            Congestion => names::CONGESTION,
            PacketType => names::PACKET_TYPES,
            FibType => names::FIB_TYPES,
            Boolean => names::SWITCHES,
            DeviceGroup => &[("default", 0)],
            User => &[("root", 0)],
            ClassId => &[("root", u32::MAX), ("none", 0)],
            Realm => &[("default", 0), ("cosmos", 0)],
            _ => &[],
        }
    }

    /// The name of a number, where it has one.
    pub fn name_of(self, number: u128) -> Option<&'static str> {
        self.names().iter().find(|(_, known)| u128::from(*known) == number).map(|(name, _)| *name)
    }

    /// The number that a word stands for.
    pub fn number(self, word: &str) -> Option<u128> {
        let by_type = match self {
            Ip4 => word.parse::<Ipv4Addr>().ok().map(|address| u128::from(u32::from(address))),
            Ip6 => word.parse::<Ipv6Addr>().ok().map(u128::from),
            Ether => ether(word),
            Span => seconds(word).map(u128::from),
            Day => day(word),
            Hour => hour(word),
            Date => date(word),
            ClassId => class(word),
            _ => None,
        };
        if by_type.is_some() {
            return by_type;
        }
        if self == CtLabel {
            return number(word).and_then(|bit| 1u128.checked_shl(u32::try_from(bit).ok()?));
        }
        match number(word) {
            Some(value) => Some(value),
            None => find(self.names(), word),
        }
    }
}

/// A decimal, hexadecimal or octal number.
pub(super) fn number(word: &str) -> Option<u128> {
    let bytes = word.as_bytes();
    if !bytes.first()?.is_ascii_digit() {
        return None;
    }
    match bytes {
        [b'0', b'x' | b'X', ..] => u128::from_str_radix(&word[2..], 16).ok(),
        [b'0', _, ..] if bytes.iter().all(|byte| matches!(byte, b'0'..=b'7')) => {
            u128::from_str_radix(word, 8).ok()
        }
        _ if bytes.iter().all(u8::is_ascii_digit) => word.parse().ok(),
        _ => None,
    }
}

fn ether(word: &str) -> Option<u128> {
    let mut value = 0;
    let mut count = 0;
    for part in word.split(':') {
        if part.is_empty() || part.len() > 2 {
            return None;
        }
        value = value << 8 | u128::from_str_radix(part, 16).ok()?;
        count += 1;
        if count > 6 {
            return None;
        }
    }
    (count == 6).then_some(value)
}

/// `1d2h3m4s500ms`, or a number of seconds.
pub(super) fn seconds(word: &str) -> Option<u64> {
    if let Some(value) = number(word) {
        return u64::try_from(value).ok();
    }
    let mut rest = word;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let value: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        if let Some(after) = rest.strip_prefix("ms") {
            total = total.checked_add(value / 1000)?;
            rest = after;
            continue;
        }
        let unit = rest.chars().next()?;
        let (_, unit_s) = UNITS_S.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(value.checked_mul(*unit_s)?)?;
        rest = &rest[unit.len_utf8()..];
    }
    Some(total)
}

/// A day by its name or the first three letters of it.
fn day(word: &str) -> Option<u128> {
    let lower = word.to_ascii_lowercase();
    if lower.len() < 3 {
        return None;
    }
    names::DAYS.iter().find(|(name, _)| name.starts_with(&lower)).map(|(_, number)| u128::from(*number))
}

/// `08:00` or `08:00:30`.
fn hour(word: &str) -> Option<u128> {
    let mut parts = word.split(':');
    let hours: u128 = parts.next()?.parse().ok()?;
    let minutes: u128 = parts.next()?.parse().ok()?;
    let seconds: u128 = parts.next().map_or(Some(0), |part| part.parse().ok())?;
    let inside = hours <= 24 && minutes < 60 && seconds < 61 && parts.next().is_none();
    inside.then(|| hours * 3600 + minutes * 60 + seconds)
}

/// `2019-12-24 16:00:00`, `2019-12-24 16:00` or `2019-12-24`.
fn date(word: &str) -> Option<u128> {
    let (day, time) = word.split_once(' ').unwrap_or((word, "0:0"));
    let mut parts = day.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970 of the civil calendar, with the year beginning in March.
    let march_year = if month <= 2 { year - 1 } else { year };
    let month_since_march = (month + 9) % 12;
    let day_of_year = (153 * month_since_march + 2) / 5 + day - 1;
    let days =
        march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + day_of_year - 719_468;
    u128::try_from(days * 86_400).ok()?.checked_add(hour(time.trim())?)
}

/// `1:2`, in hexadecimal.
fn class(word: &str) -> Option<u128> {
    let (major, minor) = word.split_once(':')?;
    let half = |part: &str| {
        if part.is_empty() { Some(0) } else { u16::from_str_radix(part, 16).ok() }
    };
    Some(u128::from(half(major)?) << 16 | u128::from(half(minor)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_the_numbers_nft_makes_of_them() {
        assert_eq!(Ether.number("00:0f:54:0c:11:4"), Some(0x000f_540c_1104));
        assert_eq!(Span.number("4d23h59m59s"), Some(431_999));
        assert_eq!(Span.number("30000ms"), Some(30));
        assert_eq!(Mark.number("0x42de3"), Some(0x42de3));
        assert_eq!(Date.number("1970-01-02 00:01"), Some(86_460));
        assert_eq!(Date.number("2019-12-24 16:00:00"), Some(1_577_203_200));
        assert_eq!(Hour.number("17:30"), Some(63_000));
        assert_eq!(Day.number("Monday"), Some(1));
        assert_eq!(Day.number("0"), Some(0));
        assert_eq!(Service.number("ssh"), Some(22));
        assert_eq!(Ip4.number("0xff"), Some(255));
        assert_eq!(ClassId.number("1:10"), Some(0x1_0010));
    }
}
