//! What is wrong with a target, a port list or a shard that was written, as types the command line can translate.

use crate::ScanError;
use std::fmt;

/// A part that cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct InputError {
    /// The part as it was written, control characters removed; with `FILE:LINE` in front where it came from a file.
    pub place: String,
    pub fault: InputFault,
}

/// Why a part cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputFault {
    EmptyTarget,
    NotATarget,
    /// A name where only addresses can stand, such as an end of a range.
    NameInRange,
    NotAPrefix {
        length_max: u8,
    },
    FamiliesMixed,
    HostsReversed,
    /// An address with `%interface`.
    Scoped,
    /// Unspecified, multicast or broadcast: no host answers there.
    NoHost,
    TooManyHosts {
        count_max: u64,
    },
    /// The exclusions leave no host.
    NoHostLeft,
    EmptyExclusion,
    EmptyPort,
    NotAPort,
    PortZero,
    PortTooHigh,
    PortsReversed,
    UnknownService,
    /// The exclusions leave no port.
    NoPortLeft,
    NotATop {
        count_max: u32,
    },
    NotAShard,
}

impl InputError {
    pub(crate) fn new(place: &str, fault: InputFault) -> Self {
        Self { place: shown(place), fault }
    }

    /// The same fault, in the value of a flag.
    pub fn of_flag(self, flag: &str) -> Self {
        Self { place: format!("{flag} {}", self.place), fault: self.fault }
    }

    /// The same fault, found in a line of a file.
    pub fn in_line(self, file: &str, line: usize) -> Self {
        let place = format!("{}:{line}: {}", shown(file), self.place);
        Self { place, fault: self.fault }
    }
}

impl InputFault {
    /// What would do instead.
    pub fn hint(&self) -> String {
        match self {
            Self::EmptyTarget => "write a name, an address, a range or a CIDR block".into(),
            Self::NotATarget => "such as 10.0.0.1, 10.0.0.1-9, 10.0.0.0/24, 2001:db8::/120 or a name".into(),
            Self::NameInRange => "ranges and blocks are made of addresses".into(),
            Self::NotAPrefix { length_max } => format!("a number from 0 to {length_max}"),
            Self::FamiliesMixed => "both ends are IPv4, or both are IPv6".into(),
            Self::HostsReversed => "write the lower address first".into(),
            Self::Scoped => "leave the zone out and name the interface with --interface".into(),
            Self::NoHost => "leave it out".into(),
            Self::TooManyHosts { .. } => "take a longer prefix or a list of the addresses in use".into(),
            Self::NoHostLeft | Self::NoPortLeft => "exclude less".into(),
            Self::EmptyExclusion => "name what to leave out, or leave the exclusion away".into(),
            Self::EmptyPort => "such as 22,80-90,https".into(),
            Self::NotAPort => "such as 22, 80-90, https or all".into(),
            Self::PortZero | Self::PortTooHigh => "ports go from 1 to 65535".into(),
            Self::PortsReversed => "write the lower port first".into(),
            Self::UnknownService => "write its number".into(),
            Self::NotATop { count_max } => format!("a number from 1 to {count_max}"),
            Self::NotAShard => "I/N, such as 1/4 for the first of four parts".into(),
        }
    }
}

impl fmt::Display for InputFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::EmptyTarget => "an empty target",
            Self::NotATarget => "no address, range, block or name",
            Self::NameInRange => "a name where an address is needed",
            Self::NotAPrefix { .. } => "not the length of a prefix",
            Self::FamiliesMixed => "a range over both families",
            Self::HostsReversed => "the range is reversed",
            Self::Scoped => "an address with a zone",
            Self::NoHost => "unspecified, multicast or broadcast, where no single host answers",
            Self::TooManyHosts { count_max } => return write!(f, "more than {count_max} addresses"),
            Self::NoHostLeft => "the exclusions leave no address",
            Self::EmptyExclusion => "an empty exclusion",
            Self::EmptyPort => "an empty port",
            Self::NotAPort => "no port, range or service",
            Self::PortZero => "port 0 cannot be asked",
            Self::PortTooHigh => "there is no such port",
            Self::PortsReversed => "the range is reversed",
            Self::UnknownService => "an unknown service",
            Self::NoPortLeft => "the exclusions leave no port",
            Self::NotATop { .. } => "not a number of ports",
            Self::NotAShard => "not a part of the whole",
        };
        f.write_str(text)
    }
}

impl From<InputError> for ScanError {
    fn from(error: InputError) -> Self {
        Self::Input { place: error.place, problem: error.fault.to_string(), hint: error.fault.hint() }
    }
}

/// Quoted text for a message: no control characters, and not endless.
fn shown(text: &str) -> String {
    /// Longest part quoted, in characters.
    const SHOWN_LENGTH_MAX: usize = 200;
    let clean: String = text.chars().filter(|c| !c.is_control()).take(SHOWN_LENGTH_MAX).collect();
    if clean.is_empty() { "\"\"".into() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_keeps_its_place() {
        let error = InputError::new("70000\u{1b}[2J", InputFault::PortTooHigh).in_line("list.txt", 3);
        assert_eq!(error.to_string(), "list.txt:3: 70000[2J: there is no such port");
        let told = ScanError::from(error).to_string();
        assert_eq!(told, "list.txt:3: 70000[2J: there is no such port (ports go from 1 to 65535)");
    }
}
