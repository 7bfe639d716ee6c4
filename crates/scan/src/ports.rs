//! The ports of a scan: distinct, each with a number, the named and common ones first.

use crate::input::{InputError, InputFault};
use crate::{Protocol, services};
use std::fmt;

/// Place in the table of a port that is not of the list; no list is that long.
const ABSENT: u16 = u16::MAX;

/// Distinct ports, each with a number from 0: named and common ones first, ascending within both.
#[derive(Clone, PartialEq, Eq)]
pub struct Ports {
    protocol: Protocol,
    list: Vec<u16>,
    common_count: u32,
    /// The number of each port, by port.
    numbers: Box<[u16]>,
}

impl Ports {
    /// Reads `22,80-90,https`, `-1024`, `60000-`, and `all` or `-` for every port.
    pub fn parse(text: &str, protocol: Protocol) -> Result<Self, InputError> {
        /// Ports held before those named twice are let go.
        const HELD_COUNT_MAX: usize = 1 << 18;
        let mut ports = Vec::new();
        for part in text.split(',') {
            let (first, last) =
                span(part.trim(), protocol).map_err(|fault| InputError::new(part.trim(), fault))?;
            ports.extend(first..=last);
            if ports.len() > HELD_COUNT_MAX {
                ports.sort_unstable();
                ports.dedup();
            }
        }
        Ok(Self::of(ports, protocol))
    }

    /// The `count` ports likeliest to be open.
    pub fn top(count: u32, protocol: Protocol) -> Result<Self, InputError> {
        let count_max = services::PORT_COUNT_MAX;
        match (1..=count_max).contains(&count) {
            true => Ok(Self::of(services::top(count, protocol), protocol)),
            false => Err(InputError::new(&count.to_string(), InputFault::NotATop { count_max })),
        }
    }

    /// Every port.
    pub fn all(protocol: Protocol) -> Self {
        Self::of((1..=u16::MAX).collect(), protocol)
    }

    /// The distinct ports of a list; port 0 is left out.
    pub fn of(mut ports: Vec<u16>, protocol: Protocol) -> Self {
        let mut is_common = vec![false; usize::from(u16::MAX) + 1];
        for &port in services::common(protocol) {
            is_common[usize::from(port)] = true;
        }
        ports.retain(|&port| port != 0);
        ports.sort_unstable_by_key(|&port| (!is_common[usize::from(port)], port));
        ports.dedup();
        let mut numbers = vec![ABSENT; usize::from(u16::MAX) + 1].into_boxed_slice();
        for (number, &port) in (0..ABSENT).zip(&ports) {
            numbers[usize::from(port)] = number;
        }
        let common_count = ports.partition_point(|&port| is_common[usize::from(port)]) as u32;
        Self { protocol, list: ports, common_count, numbers }
    }

    /// The ports that are not in `excluded`.
    pub fn without(&self, excluded: &Self) -> Result<Self, InputError> {
        let left: Vec<u16> = self.list.iter().copied().filter(|&port| !excluded.contains(port)).collect();
        match left.is_empty() {
            true => Err(InputError::new(&excluded.to_string(), InputFault::NoPortLeft)),
            false => Ok(Self::of(left, self.protocol)),
        }
    }

    /// How many ports there are, at most 65,535.
    pub fn len(&self) -> u32 {
        self.list.len() as u32
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many of them, from number 0 on, are named or common.
    pub fn common_len(&self) -> u32 {
        self.common_count
    }

    /// The port of a number.
    #[inline]
    pub fn get(&self, number: u32) -> Option<u16> {
        self.list.get(number as usize).copied()
    }

    /// The number of a port.
    #[inline]
    pub fn index_of(&self, port: u16) -> Option<u32> {
        match self.numbers[usize::from(port)] {
            ABSENT => None,
            number => Some(u32::from(number)),
        }
    }

    pub fn contains(&self, port: u16) -> bool {
        self.index_of(port).is_some()
    }

    /// Every port in the order of its number.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.list.iter().copied()
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }
}

/// As people write it: `22,80-90`, ascending.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.list.clone();
        sorted.sort_unstable();
        for (count, run) in sorted.chunk_by(|low, high| low + 1 == *high).enumerate() {
            let comma = if count == 0 { "" } else { "," };
            match run {
                [only] => write!(f, "{comma}{only}")?,
                [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ports({:?} {self})", self.protocol)
    }
}

/// First and last port of one part of a list.
fn span(part: &str, protocol: Protocol) -> Result<(u16, u16), InputFault> {
    if part.is_empty() {
        return Err(InputFault::EmptyPort);
    }
    if part == "-" || part.eq_ignore_ascii_case("all") {
        return Ok((1, u16::MAX));
    }
    if part.bytes().any(|b| b.is_ascii_alphabetic()) {
        return match services::port(part, protocol) {
            Some(port) => Ok((port, port)),
            None => Err(InputFault::UnknownService),
        };
    }
    let (low, high) = part.split_once('-').unwrap_or((part, part));
    let first = if low.is_empty() { 1 } else { number(low)? };
    let last = if high.is_empty() { u16::MAX } else { number(high)? };
    if first > last { Err(InputFault::PortsReversed) } else { Ok((first, last)) }
}

fn number(text: &str) -> Result<u16, InputFault> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InputFault::NotAPort);
    }
    match text.parse::<u16>() {
        Ok(0) => Err(InputFault::PortZero),
        Ok(port) => Ok(port),
        Err(_) => Err(InputFault::PortTooHigh),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        Ports::parse(text, Protocol::Tcp).unwrap().to_string()
    }

    fn fault(text: &str) -> (String, InputFault) {
        let error = Ports::parse(text, Protocol::Tcp).unwrap_err();
        (error.place, error.fault)
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(shown("22,80-90,https"), "22,80-90,443");
        assert_eq!(shown(" 90 , 80 - 82 ,81"), "80-82,90");
        assert_eq!(shown("-3,65534-"), "1-3,65534-65535");
        assert_eq!(shown("all"), "1-65535");
        assert_eq!(shown("-"), "1-65535");
        assert_eq!(shown("http-alt,SSH"), "22,8080");
        assert_eq!(Ports::top(3, Protocol::Tcp).unwrap().to_string(), "22,80,443");
    }

    #[test]
    fn what_cannot_be_read_names_its_place() {
        assert_eq!(fault("22,0"), ("0".into(), InputFault::PortZero));
        assert_eq!(fault("0-10"), ("0-10".into(), InputFault::PortZero));
        assert_eq!(fault("70000"), ("70000".into(), InputFault::PortTooHigh));
        assert_eq!(fault("99999999999999999999"), ("99999999999999999999".into(), InputFault::PortTooHigh));
        assert_eq!(fault("80,90-80"), ("90-80".into(), InputFault::PortsReversed));
        assert_eq!(fault("80,,90"), ("\"\"".into(), InputFault::EmptyPort));
        assert_eq!(fault(""), ("\"\"".into(), InputFault::EmptyPort));
        assert_eq!(fault("80,htpps"), ("htpps".into(), InputFault::UnknownService));
        assert_eq!(fault("+80"), ("+80".into(), InputFault::NotAPort));
        assert_eq!(fault("1-2-3"), ("1-2-3".into(), InputFault::NotAPort));
        assert!(Ports::top(0, Protocol::Tcp).is_err() && Ports::top(65_536, Protocol::Tcp).is_err());
    }

    #[test]
    fn exclusions_leave_the_rest_or_are_refused() {
        let ports = Ports::parse("80-90", Protocol::Tcp).unwrap();
        let but = |text| ports.without(&Ports::parse(text, Protocol::Tcp).unwrap());
        assert_eq!(but("81-89").unwrap().to_string(), "80,90");
        assert_eq!(but("all").unwrap_err().fault, InputFault::NoPortLeft);
    }

    #[test]
    fn common_ports_have_the_low_numbers() {
        let ports = Ports::all(Protocol::Tcp);
        assert_eq!(ports.len(), 65_535);
        assert_eq!(ports.common_len() as usize, services::common(Protocol::Tcp).len());
        assert!(ports.index_of(443).unwrap() < ports.common_len());
        assert!(ports.index_of(47_123).unwrap() >= ports.common_len());
        assert_eq!(ports.index_of(0), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = Ports::parse(&text, Protocol::Udp);
        }

        #[test]
        fn near_lists_are_read_or_refused(text in "[0-9a-z,-]{0,24}") {
            let _ = Ports::parse(&text, Protocol::Tcp);
        }

        #[test]
        fn numbers_and_ports_match(list in prop::collection::vec(any::<u16>(), 0..300)) {
            let ports = Ports::of(list.clone(), Protocol::Tcp);
            for (number, port) in (0u32..).zip(ports.iter()) {
                prop_assert_eq!(ports.index_of(port), Some(number));
                prop_assert_eq!(ports.get(number), Some(port));
            }
            prop_assert_eq!(ports.get(ports.len()), None);
            prop_assert!(list.iter().all(|&port| port == 0 || ports.contains(port)));
            if !ports.is_empty() {
                prop_assert_eq!(Ports::parse(&ports.to_string(), Protocol::Tcp).unwrap(), ports);
            }
        }
    }
}
