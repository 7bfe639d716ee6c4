//! The addresses of a scan: a compact set of ranges with constant-size members, each address with a number.
//!
//! Names are resolved elsewhere; what is read here never touches the network.

use crate::input::{InputError, InputFault};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of one IPv6 range or block.
const V6_COUNT_MAX: u64 = 1 << 20;
/// Addresses of one scan: all of IPv4, and as many again.
const HOST_COUNT_MAX: u64 = 1 << 33;
/// IPv4 lies within IPv6 as `::ffff:a.b.c.d`, so that one number line holds both families.
const V4_BASE: u128 = 0xffff_0000_0000;
const V4_LAST: u128 = V4_BASE | 0xffff_ffff;

/// Consecutive addresses of one family, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    first: u128,
    last: u128,
}

/// What one word of the command line or a list names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An address, a range or a block.
    Span(Span),
    /// A name to be resolved.
    Name(String),
}

/// Distinct addresses in ascending order, each with a number from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    spans: Vec<Span>,
    /// Number of the first address of each span.
    starts: Vec<u64>,
    count: u64,
}

impl Target {
    /// Reads `10.0.0.1`, `10.0.0.1-9`, `10.0.0.1-10.0.0.9`, `10.0.0.0/24`, the same of IPv6, or a name.
    pub fn parse(word: &str) -> Result<Self, InputError> {
        match Self::parse_exclusion(word)? {
            Self::Span(span) => span.checked().map(Self::Span).map_err(|fault| InputError::new(word, fault)),
            name => Ok(name),
        }
    }

    /// The same of what is left out, which may be of any size and hold what no host can be.
    pub fn parse_exclusion(word: &str) -> Result<Self, InputError> {
        let fault = |fault| InputError::new(word, fault);
        let text = word.trim();
        if text.is_empty() {
            return Err(fault(InputFault::EmptyTarget));
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let span = match (bare.split_once('/'), bare.parse::<IpAddr>()) {
            (Some((address, length)), _) => block(address, length).map_err(fault)?,
            (None, Ok(address)) => Span::single(address),
            (None, Err(_)) => match range(bare).map_err(fault)? {
                Some(span) => span,
                None => return name(bare).map(Self::Name).map_err(fault),
            },
        };
        Ok(Self::Span(span))
    }
}

impl Span {
    /// The span of one address.
    pub fn single(address: IpAddr) -> Self {
        let place = place(address);
        Self { first: place, last: place }
    }

    /// The span from one address to another of its family; `None` where there is none.
    pub fn between(first: IpAddr, last: IpAddr) -> Option<Self> {
        let span = Self { first: place(first), last: place(last) };
        (first.is_ipv4() == last.is_ipv4() && span.first <= span.last).then_some(span)
    }

    /// First and last address.
    pub fn ends(&self) -> (IpAddr, IpAddr) {
        (address(self.first), address(self.last))
    }

    fn len(&self) -> u64 {
        u64::try_from(self.last - self.first).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn is_v4(&self) -> bool {
        self.first >= V4_BASE && self.last <= V4_LAST
    }

    fn meets(&self, other: Span) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Refuses what cannot be hosts, or are too many.
    fn checked(self) -> Result<Self, InputFault> {
        let hostless = [
            Span::single(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            Span::single(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            Span::single(IpAddr::V4(Ipv4Addr::BROADCAST)),
            v4_block([224, 0, 0, 0], 4),
            v6_block(0xff00, 8),
        ];
        if !self.is_v4() && self.len() > V6_COUNT_MAX {
            return Err(InputFault::TooManyHosts { count_max: V6_COUNT_MAX });
        }
        match hostless.iter().any(|&span| self.meets(span)) {
            true => Err(InputFault::NoHost),
            false => Ok(self),
        }
    }
}

impl Hosts {
    /// The distinct addresses of `targets` without those of `exclusions`.
    pub fn of(targets: &[Span], exclusions: &[Span]) -> Result<Self, InputError> {
        let wanted = merged(targets.to_vec());
        let hosts = Self::from_spans(without(&wanted, &merged(exclusions.to_vec())));
        let first = targets.first().map_or(String::new(), |span| address(span.first).to_string());
        let fault = match hosts.count {
            0 if targets.is_empty() => InputFault::EmptyTarget,
            0 => InputFault::NoHostLeft,
            count if count > HOST_COUNT_MAX => InputFault::TooManyHosts { count_max: HOST_COUNT_MAX },
            _ => return Ok(hosts),
        };
        Err(InputError::new(&first, fault))
    }

    /// Those from one number to before another, in their order.
    pub(crate) fn part(&self, first: u64, end: u64) -> Hosts {
        let mut before = 0;
        let mut spans = Vec::new();
        for span in &self.spans {
            let (from, to) = (first.max(before), end.min(before + span.len()));
            if from < to {
                let at = |number: u64| span.first + u128::from(number - before);
                spans.push(Span { first: at(from), last: at(to - 1) });
            }
            before += span.len();
        }
        Self::from_spans(spans)
    }

    /// The same from words; a name is refused, since resolving it is the caller's.
    pub fn parse(targets: &[&str], exclusions: &[&str]) -> Result<Self, InputError> {
        Self::of(&spans(targets)?, &spans(exclusions)?)
    }

    /// How many addresses there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The address of a number.
    pub fn get(&self, index: u64) -> Option<IpAddr> {
        let at = self.starts.partition_point(|&start| start <= index).checked_sub(1)?;
        let (span, start) = (self.spans.get(at)?, self.starts.get(at)?);
        let place = span.first + u128::from(index - start);
        (place <= span.last).then(|| address(place))
    }

    /// The number of an address.
    pub fn index_of(&self, host: IpAddr) -> Option<u64> {
        let place = place(host);
        let at = self.spans.partition_point(|span| span.first <= place).checked_sub(1)?;
        let (span, start) = (self.spans.get(at)?, self.starts.get(at)?);
        let within = u64::try_from(place - span.first).ok()?;
        (place <= span.last).then(|| start + within)
    }

    pub fn contains(&self, host: IpAddr) -> bool {
        self.index_of(host).is_some()
    }

    /// Every address in the order of its number.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.spans.iter().flat_map(|span| (0..span.len()).map(|step| address(span.first + u128::from(step))))
    }

    /// The ranges, ascending, with gaps between.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The first address that is neither loopback nor of a private network.
    pub fn first_public(&self) -> Option<IpAddr> {
        without(&self.spans, &merged(private().to_vec())).first().map(|span| address(span.first))
    }

    fn from_spans(spans: Vec<Span>) -> Self {
        let mut count = 0u64;
        let mut starts = Vec::with_capacity(spans.len());
        for span in &spans {
            starts.push(count);
            count = count.saturating_add(span.len());
        }
        Self { spans, starts, count }
    }
}

impl FromIterator<IpAddr> for Hosts {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        Self::from_spans(merged(addresses.into_iter().map(Span::single).collect()))
    }
}

/// Loopback, RFC 1918, link-local, the shared space of carriers (RFC 6598), and unique local addresses.
fn private() -> [Span; 9] {
    [
        v4_block([10, 0, 0, 0], 8),
        v4_block([172, 16, 0, 0], 12),
        v4_block([192, 168, 0, 0], 16),
        v4_block([127, 0, 0, 0], 8),
        v4_block([169, 254, 0, 0], 16),
        v4_block([100, 64, 0, 0], 10),
        v6_block(0xfc00, 7),
        v6_block(0xfe80, 10),
        Span::single(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ]
}

/// Sorted, with what overlaps or touches joined.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable_by_key(|span| span.first);
    let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.first <= last.last.saturating_add(1) => last.last = last.last.max(span.last),
            _ => joined.push(span),
        }
    }
    joined
}

/// `spans` with `holes` cut out; both merged.
fn without(spans: &[Span], holes: &[Span]) -> Vec<Span> {
    let mut left = Vec::with_capacity(spans.len());
    for span in spans {
        let mut first = span.first;
        let near = holes.partition_point(|hole| hole.last < span.first);
        for hole in holes.iter().skip(near).take_while(|hole| hole.first <= span.last) {
            if hole.first > first {
                left.push(Span { first, last: hole.first - 1 });
            }
            first = hole.last.saturating_add(1);
        }
        if first <= span.last {
            left.push(Span { first, last: span.last });
        }
    }
    left
}

fn spans(words: &[&str]) -> Result<Vec<Span>, InputError> {
    let read = |word: &&str| match Target::parse(word)? {
        Target::Span(span) => Ok(span),
        Target::Name(name) => Err(InputError::new(&name, InputFault::NotATarget)),
    };
    words.iter().map(read).collect()
}

/// `ADDRESS/LENGTH`; bits below the prefix are let go.
fn block(text: &str, length: &str) -> Result<Span, InputFault> {
    let base: IpAddr = text.parse().map_err(|_| not_an_address(text))?;
    let length_max: u8 = if base.is_ipv4() { 32 } else { 128 };
    let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    let length = length.parse::<u8>().ok().filter(|&length| digits && length <= length_max);
    let free = length_max - length.ok_or(InputFault::NotAPrefix { length_max })?;
    let mask = 1u128.checked_shl(free.into()).map_or(u128::MAX, |bit| bit - 1);
    let first = place(base) & !mask;
    Ok(Span { first, last: first | mask })
}

/// `ADDRESS-ADDRESS`, or `a.b.c.d-e`; `None` where the word has no such shape.
fn range(text: &str) -> Result<Option<Span>, InputFault> {
    let Some((low, high)) = text.split_once('-') else { return Ok(None) };
    let first: IpAddr = match low.parse() {
        Ok(address) => address,
        // A name may hold hyphens, but one of digits and dots alone is a range gone wrong.
        Err(_) if text.bytes().any(|b| b.is_ascii_alphabetic()) && !text.contains(':') => return Ok(None),
        Err(_) => return Err(not_an_address(low)),
    };
    let last = match (high.parse::<IpAddr>(), first, high.parse::<u8>()) {
        (Ok(address), _, _) => address,
        (_, IpAddr::V4(first), Ok(last)) => {
            let [a, b, c, _] = first.octets();
            Ipv4Addr::new(a, b, c, last).into()
        }
        _ => return Err(not_an_address(high)),
    };
    match (first.is_ipv4() == last.is_ipv4(), place(first) <= place(last)) {
        (false, _) => Err(InputFault::FamiliesMixed),
        (_, false) => Err(InputFault::HostsReversed),
        _ => Ok(Some(Span { first: place(first), last: place(last) })),
    }
}

fn not_an_address(text: &str) -> InputFault {
    match name(text) {
        Ok(_) => InputFault::NameInRange,
        Err(fault) => fault,
    }
}

/// A host name: labels of letters, digits, hyphens and underscores, not all of digits (RFC 1123, section 2.1).
fn name(text: &str) -> Result<String, InputFault> {
    /// Longest name, in bytes (RFC 1035, section 2.3.4).
    const NAME_LENGTH_MAX: usize = 253;
    /// Longest label of a name, in bytes.
    const LABEL_LENGTH_MAX: usize = 63;
    if text.split_once('%').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok()) {
        return Err(InputFault::Scoped);
    }
    let dotless = text.strip_suffix('.').unwrap_or(text);
    // Names outside ASCII are the resolver's to encode.
    let fits = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_LENGTH_MAX
            && label.chars().all(fits)
            && !label.starts_with('-')
    };
    let named = dotless.split('.').all(label) && dotless.len() <= NAME_LENGTH_MAX;
    match named && dotless.chars().any(char::is_alphabetic) {
        true => Ok(text.to_owned()),
        false => Err(InputFault::NotATarget),
    }
}

fn place(host: IpAddr) -> u128 {
    match host {
        IpAddr::V4(host) => V4_BASE | u128::from(u32::from(host)),
        IpAddr::V6(host) => u128::from(host),
    }
}

fn address(place: u128) -> IpAddr {
    match u32::try_from(place.wrapping_sub(V4_BASE)) {
        Ok(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(place)),
    }
}

fn v4_block(octets: [u8; 4], length: u32) -> Span {
    let first = place(IpAddr::from(octets));
    Span { first, last: first + ((1u128 << (32 - length)) - 1) }
}

fn v6_block(head: u16, length: u32) -> Span {
    let first = u128::from(head) << 112;
    Span { first, last: first | ((1u128 << (128 - length)) - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hosts(targets: &[&str], exclusions: &[&str]) -> Vec<String> {
        Hosts::parse(targets, exclusions).unwrap().iter().map(|host| host.to_string()).collect()
    }

    fn fault(word: &str) -> InputFault {
        Target::parse(word).unwrap_err().fault
    }

    #[test]
    fn what_is_left_out_may_be_what_no_host_is() {
        for word in ["2001:db8::/32", "224.0.0.0/4", "0.0.0.0", "255.255.255.255"] {
            assert!(Target::parse(word).is_err(), "{word}");
            assert!(matches!(Target::parse_exclusion(word), Ok(Target::Span(_))), "{word}");
        }
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(hosts(&["10.0.0.7"], &[]), ["10.0.0.7"]);
        assert_eq!(hosts(&["10.0.0.1-3"], &["10.0.0.2"]), ["10.0.0.1", "10.0.0.3"]);
        assert_eq!(hosts(&["10.0.0.255-10.0.1.0"], &[]), ["10.0.0.255", "10.0.1.0"]);
        assert_eq!(hosts(&["10.0.0.9/30"], &["10.0.0.8-9"]), ["10.0.0.10", "10.0.0.11"]);
        assert_eq!(hosts(&["2001:db8::2/127"], &[]), ["2001:db8::2", "2001:db8::3"]);
        assert_eq!(hosts(&["fd00::1-fd00::2", "[::1]"], &[]), ["::1", "fd00::1", "fd00::2"]);
        assert_eq!(hosts(&["::ffff:10.0.0.1", "10.0.0.1"], &[]), ["10.0.0.1"]);
        for name in ["shop.example", "db-1.example.", "3com.example", "xn--bcher-kva.example", "a-b"] {
            assert_eq!(Target::parse(name), Ok(Target::Name(name.into())));
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        assert_eq!(fault(" "), InputFault::EmptyTarget);
        assert_eq!(fault("10.0.0.256"), InputFault::NotATarget);
        assert_eq!(fault("10.0.0.1-256"), InputFault::NotATarget);
        assert_eq!(fault("10.0.0-3.1"), InputFault::NotATarget);
        assert_eq!(fault("10.0.0.9-1"), InputFault::HostsReversed);
        assert_eq!(fault("10.0.0.1-fd00::1"), InputFault::FamiliesMixed);
        assert_eq!(fault("10.0.0.0/33"), InputFault::NotAPrefix { length_max: 32 });
        assert_eq!(fault("10.0.0.0/+8"), InputFault::NotAPrefix { length_max: 32 });
        assert_eq!(fault("shop.example/24"), InputFault::NameInRange);
        assert_eq!(fault("fe80::1%eth0"), InputFault::Scoped);
        assert_eq!(fault("224.0.0.1"), InputFault::NoHost);
        assert_eq!(fault("0.0.0.0"), InputFault::NoHost);
        assert_eq!(fault("2001:db8::/64"), InputFault::TooManyHosts { count_max: V6_COUNT_MAX });
        let left = Hosts::parse(&["10.0.0.0/30"], &["10.0.0.0/24"]).unwrap_err();
        assert_eq!(left.fault, InputFault::NoHostLeft);
    }

    #[test]
    fn public_addresses_are_told_from_private_ones() {
        let first = |targets: &[&str]| Hosts::parse(targets, &[]).unwrap().first_public();
        assert_eq!(
            first(&["10.0.0.0/8", "127.0.0.1", "fd00::1", "fe80::/120", "::1", "100.64.0.0/10"]),
            None
        );
        assert_eq!(first(&["172.15.255.255-172.16.0.3"]), Some(IpAddr::from([172, 15, 255, 255])));
        assert_eq!(first(&["10.0.0.1", "2001:db8::1"]).unwrap().to_string(), "2001:db8::1");
    }

    #[test]
    fn a_large_network_stays_small() {
        let hosts = Hosts::parse(&["10.0.0.0/8", "11.0.0.0/8"], &["10.1.0.0/16"]).unwrap();
        assert_eq!(hosts.len(), (1 << 25) - (1 << 16));
        assert_eq!(hosts.spans().len(), 2);
        assert_eq!(hosts.get(hosts.len()), None);
        assert_eq!(hosts.get(hosts.len() - 1), Some(IpAddr::from([11, 255, 255, 255])));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(word in any::<String>()) {
            let _ = Target::parse(&word);
        }

        #[test]
        fn near_targets_are_read_or_refused(word in "[0-9a-f.:/%-]{0,24}") {
            let _ = Target::parse(&word);
        }

        #[test]
        fn numbers_and_addresses_match(
            ranges in prop::collection::vec((0u32..2000, 0u32..50), 1..20),
            holes in prop::collection::vec((0u32..2000, 0u32..50), 0..20),
        ) {
            let base = u32::from(Ipv4Addr::new(10, 0, 0, 0));
            let span = |&(first, more): &(u32, u32)| Span {
                first: place(IpAddr::V4((base + first).into())),
                last: place(IpAddr::V4((base + first + more).into())),
            };
            let inside = |list: &[(u32, u32)], n: u32| list.iter().any(|&(f, m)| n >= f && n <= f + m);
            let truth: Vec<IpAddr> = (0..2100).filter(|&n| inside(&ranges, n) && !inside(&holes, n))
                .map(|n| IpAddr::V4((base + n).into())).collect();
            let targets: Vec<Span> = ranges.iter().map(span).collect();
            let exclusions: Vec<Span> = holes.iter().map(span).collect();
            let Ok(hosts) = Hosts::of(&targets, &exclusions) else {
                prop_assert!(truth.is_empty());
                return Ok(());
            };
            prop_assert_eq!(hosts.iter().collect::<Vec<_>>(), truth.clone());
            prop_assert_eq!(hosts.len(), truth.len() as u64);
            for (index, host) in truth.iter().enumerate() {
                prop_assert_eq!(hosts.get(index as u64), Some(*host));
                prop_assert_eq!(hosts.index_of(*host), Some(index as u64));
            }
            prop_assert_eq!(truth.into_iter().collect::<Hosts>(), hosts);
        }
    }
}
