//! Values as nft(8) writes them: by data type, from the bytes of a register or a set element.

use super::symbol::{self, Symbols, word};
use crate::printable::printable;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What a value means; the numbers are nft's own (TYPE_*), as the kernel hands them back with a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Verdict,
    NfProtocol,
    Integer,
    /// An integer written in hexadecimal: raw payload and whatever has no better type.
    Hex,
    Text,
    Ip4,
    Ip6,
    Ether,
    EtherType,
    ArpOperation,
    Protocol,
    Service,
    IcmpType,
    TcpFlag,
    DccpType,
    Mark,
    InterfaceIndex,
    InterfaceType,
    Realm,
    Class,
    User,
    CtState,
    CtDirection,
    CtStatus,
    CtEvent,
    CtLabel,
    Icmp6Type,
    PacketType,
    IcmpCode,
    Icmp6Code,
    DeviceGroup,
    Dscp,
    Ecn,
    AddressType,
    Boolean,
    InterfaceName,
    IgmpType,
    /// Milliseconds.
    Duration,
    /// Nanoseconds since the epoch.
    Date,
    /// Seconds of the day, UTC.
    Hour,
    Day,
}

/// The order of a number's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Big,
    Host,
}

/// Bits of one part of a concatenated type.
const PART_BITS: u32 = 6;
/// Parts of one concatenation that the kernel allows.
const PART_COUNT_MAX: usize = 16;

impl Kind {
    /// The kind behind one TYPE_* number of nft.
    fn of(number: u32) -> Kind {
        match number {
            1 => Kind::Verdict,
            2 => Kind::NfProtocol,
            4 => Kind::Integer,
            5 => Kind::Text,
            6 | 9 => Kind::Ether,
            7 => Kind::Ip4,
            8 => Kind::Ip6,
            10 => Kind::EtherType,
            11 => Kind::ArpOperation,
            12 => Kind::Protocol,
            13 => Kind::Service,
            14 => Kind::IcmpType,
            15 => Kind::TcpFlag,
            16 => Kind::DccpType,
            18 => Kind::Duration,
            19 => Kind::Mark,
            20 => Kind::InterfaceIndex,
            21 => Kind::InterfaceType,
            22 => Kind::Realm,
            23 => Kind::Class,
            24 | 25 => Kind::User,
            26 => Kind::CtState,
            27 => Kind::CtDirection,
            28 => Kind::CtStatus,
            29 => Kind::Icmp6Type,
            30 => Kind::CtLabel,
            31 => Kind::PacketType,
            32 => Kind::IcmpCode,
            33 => Kind::Icmp6Code,
            35 => Kind::DeviceGroup,
            36 => Kind::Dscp,
            37 => Kind::Ecn,
            38 => Kind::AddressType,
            39 => Kind::Boolean,
            40 => Kind::CtEvent,
            41 => Kind::InterfaceName,
            42 => Kind::IgmpType,
            43 => Kind::Date,
            44 => Kind::Hour,
            45 => Kind::Day,
            _ => Kind::Hex,
        }
    }

    /// The kinds of a set's key or data, first part first; the kernel's number packs 6 bits per part.
    pub(super) fn parts(number: u32) -> Vec<Kind> {
        if number > 0xffff_0000 {
            return vec![Kind::Verdict];
        }
        let mut parts = Vec::new();
        let mut rest = number;
        while rest != 0 && parts.len() < PART_COUNT_MAX {
            parts.push(Kind::of(rest & ((1 << PART_BITS) - 1)));
            rest >>= PART_BITS;
        }
        parts.reverse();
        if parts.is_empty() { vec![Kind::Hex] } else { parts }
    }

    /// The bytes a value of this kind takes, where the kind says it.
    pub(super) fn len(self) -> Option<usize> {
        Some(match self {
            Kind::Ip4 | Kind::Mark | Kind::InterfaceIndex | Kind::Realm | Kind::Class | Kind::User => 4,
            Kind::CtState | Kind::CtStatus | Kind::DeviceGroup | Kind::AddressType | Kind::Hour => 4,
            Kind::Ip6 | Kind::InterfaceName | Kind::CtLabel => 16,
            Kind::Ether => 6,
            Kind::Service | Kind::EtherType | Kind::ArpOperation | Kind::InterfaceType => 2,
            Kind::Date | Kind::Duration => 8,
            Kind::Integer | Kind::Hex | Kind::Text | Kind::Verdict | Kind::CtEvent => return None,
            _ => 1,
        })
    }

    /// The order the kernel keeps values of this kind in.
    pub(super) fn order(self) -> Order {
        match self {
            Kind::Mark | Kind::InterfaceIndex | Kind::InterfaceType | Kind::Realm | Kind::Class => {
                Order::Host
            }
            Kind::User | Kind::CtState | Kind::CtStatus | Kind::CtEvent | Kind::DeviceGroup => Order::Host,
            Kind::AddressType | Kind::Duration | Kind::Date | Kind::Hour | Kind::CtLabel => Order::Host,
            Kind::Text | Kind::InterfaceName => Order::Host,
            _ => Order::Big,
        }
    }

    /// The words of a kind whose values are sets of bits.
    pub(super) fn flags(self) -> Option<Symbols> {
        match self {
            Kind::TcpFlag => Some(symbol::TCP_FLAGS),
            Kind::CtState => Some(symbol::CT_STATE),
            Kind::CtStatus => Some(symbol::CT_STATUS),
            Kind::CtEvent => Some(symbol::CT_EVENT),
            _ => None,
        }
    }

    fn symbols(self) -> Option<Symbols> {
        Some(match self {
            Kind::NfProtocol => symbol::NF_PROTOCOL,
            Kind::EtherType => symbol::ETHER_TYPE,
            Kind::ArpOperation => symbol::ARP_OPERATION,
            Kind::Protocol => symbol::PROTOCOL,
            Kind::IcmpType => symbol::ICMP_TYPE,
            Kind::Icmp6Type => symbol::ICMP6_TYPE,
            Kind::IcmpCode => symbol::ICMP_CODE,
            Kind::Icmp6Code => symbol::ICMP6_CODE,
            Kind::IgmpType => symbol::IGMP_TYPE,
            Kind::DccpType => symbol::DCCP_TYPE,
            Kind::Dscp => symbol::DSCP,
            Kind::Ecn => symbol::ECN,
            Kind::InterfaceType => symbol::INTERFACE_TYPE,
            Kind::CtDirection => symbol::CT_DIRECTION,
            Kind::PacketType => symbol::PACKET_TYPE,
            Kind::AddressType => symbol::ADDRESS_TYPE,
            _ => return None,
        })
    }
}

/// Reads up to 16 bytes as one number.
pub(crate) fn number(bytes: &[u8], order: Order) -> u128 {
    let big = order == Order::Big || cfg!(target_endian = "big");
    let add = |sum: u128, byte: &u8| (sum << 8) | u128::from(*byte);
    let bytes = bytes.get(..16).unwrap_or(bytes);
    if big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
}

/// Writes a number back into `len` bytes, most significant first.
pub(super) fn big_bytes(value: u128, len: usize) -> Vec<u8> {
    let all = value.to_be_bytes();
    all.get(all.len().saturating_sub(len)..).unwrap_or(&all).to_vec()
}

/// Looks up an interface's name by its index.
pub(crate) type InterfaceNames<'a> = &'a dyn Fn(u32) -> Option<String>;

/// Writes one value as nft would.
pub(super) fn show(kind: Kind, bytes: &[u8], order: Order, interfaces: InterfaceNames<'_>) -> String {
    let value = number(bytes, order);
    let small = u32::try_from(value).unwrap_or(u32::MAX);
    if let Some(flags) = kind.flags() {
        return symbol::bits(flags, small);
    }
    if let Some(known) = kind.symbols().and_then(|symbols| word(symbols, small)) {
        return known.to_owned();
    }
    match kind {
        Kind::Ip4 => Ipv4Addr::from(small).to_string(),
        Kind::Ip6 => Ipv6Addr::from(value).to_string(),
        Kind::Ether => mac(bytes),
        Kind::EtherType | Kind::InterfaceType | Kind::ArpOperation => format!("{value:#06x}"),
        Kind::Dscp => format!("{value:#04x}"),
        Kind::Mark => format!("{value:#010x}"),
        Kind::Class => format!("{:x}:{:x}", value >> 16, value & 0xffff),
        Kind::InterfaceIndex => {
            interfaces(small).map_or_else(|| value.to_string(), |name| format!("\"{}\"", printable(&name)))
        }
        Kind::InterfaceName | Kind::Text => quoted(bytes),
        Kind::Boolean => if value == 0 { "missing" } else { "exists" }.to_owned(),
        Kind::Duration => duration(u64::try_from(value).unwrap_or(u64::MAX)),
        Kind::Hour => format!("\"{}\"", hour(small)),
        Kind::Day => word(symbol::DAY, small).map_or_else(|| value.to_string(), |day| format!("\"{day}\"")),
        Kind::Date => format!("\"{}\"", date(u64::try_from(value / 1_000_000_000).unwrap_or(u64::MAX))),
        Kind::Hex | Kind::CtLabel => format!("{value:#x}"),
        _ => value.to_string(),
    }
}

/// A name between quotation marks; one that fills its bytes without a closing zero stands for a prefix.
fn quoted(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    let name =
        printable(&String::from_utf8_lossy(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default()));
    let star = if end.is_none() && bytes.len() < 16 { "*" } else { "" };
    format!("\"{name}{star}\"")
}

fn mac(bytes: &[u8]) -> String {
    bytes.iter().enumerate().fold(String::new(), |mut text, (index, byte)| {
        let colon = if index == 0 { "" } else { ":" };
        let _ = write!(text, "{colon}{byte:02x}");
        text
    })
}

/// A span of milliseconds: `1h30m`, `500ms`.
pub(super) fn duration(milliseconds: u64) -> String {
    const UNITS: [(u64, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let mut rest = milliseconds;
    let mut text = String::new();
    for (unit, name) in UNITS {
        if rest >= unit {
            let _ = write!(text, "{}{name}", rest / unit);
            rest %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn hour(seconds: u32) -> String {
    let (hours, minutes, left) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if left == 0 { format!("{hours:02}:{minutes:02}") } else { format!("{hours:02}:{minutes:02}:{left:02}") }
}

/// A date in UTC; Howard Hinnant's `civil_from_days`.
pub(crate) fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hours, minutes, left) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{left:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: Kind, bytes: &[u8]) -> String {
        show(kind, bytes, kind.order(), &|index| (index == 1).then(|| "lo".to_owned()))
    }

    #[test]
    fn values_read_as_nft_writes_them() {
        assert_eq!(text(Kind::Ip4, &[10, 0, 0, 1]), "10.0.0.1");
        assert_eq!(text(Kind::Service, &[0, 80]), "80");
        assert_eq!(text(Kind::Mark, &16_u32.to_ne_bytes()), "0x00000010");
        assert_eq!(text(Kind::InterfaceIndex, &1_u32.to_ne_bytes()), "\"lo\"");
        assert_eq!(text(Kind::InterfaceName, b"eth"), "\"eth*\"");
        assert_eq!(text(Kind::InterfaceName, b"eth0\0\0\0\0\0\0\0\0\0\0\0\0"), "\"eth0\"");
        assert_eq!(text(Kind::EtherType, &[0x86, 0xdd]), "ip6");
        assert_eq!(text(Kind::Class, &0x0001_0002_u32.to_ne_bytes()), "1:2");
    }

    #[test]
    fn dates_and_spans() {
        assert_eq!(date(1_893_456_000), "2030-01-01 00:00:00");
        assert_eq!(date(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(duration(3_600_000), "1h");
        assert_eq!(duration(90_500), "1m30s500ms");
    }

    #[test]
    fn a_concatenated_type_has_its_parts_in_order() {
        assert_eq!(Kind::parts((7 << 6) | 13), [Kind::Ip4, Kind::Service]);
        assert_eq!(Kind::parts(0xffff_ff00), [Kind::Verdict]);
    }

    #[test]
    fn names_lose_control_characters() {
        assert_eq!(text(Kind::Text, b"a\x1b[31mb\0"), "\"a[31mb\"");
    }
}
