//! The local ports the kernel may choose from.

use crate::files::text_or_empty;

/// Ranges read of `ip_local_reserved_ports`.
const RESERVED_COUNT_MAX: usize = 4_096;

/// The ephemeral range, and how many of it are kept for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortRange {
    pub(crate) first: u16,
    pub(crate) last: u16,
    pub(crate) reserved: u64,
}

impl PortRange {
    pub(crate) const FROM: &str =
        "/proc/sys/net/ipv4/ip_local_port_range and /proc/sys/net/ipv4/ip_local_reserved_ports";

    /// Reads the range of the calling thread's network namespace.
    pub(crate) fn read() -> Option<PortRange> {
        let text = text_or_empty("/proc/sys/net/ipv4/ip_local_port_range");
        let mut numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
        let (first, last) = (numbers.next()?, numbers.next()?);
        let reserved =
            parse_reserved(&text_or_empty("/proc/sys/net/ipv4/ip_local_reserved_ports"), first, last);
        Some(PortRange { first, last, reserved })
    }

    /// Ports to choose from.
    pub(crate) fn count(&self) -> u64 {
        (u64::from(self.last.saturating_sub(self.first)) + 1).saturating_sub(self.reserved)
    }
}

/// Counts the ports of `1080,8000-8100` that lie in a range.
pub(crate) fn parse_reserved(text: &str, first: u16, last: u16) -> u64 {
    text.trim()
        .split(',')
        .take(RESERVED_COUNT_MAX)
        .filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to): (u16, u16) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
            let (from, to) = (from.max(first), to.min(last));
            (from <= to).then(|| u64::from(to - from) + 1)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reserved_ports_narrow_the_range() {
        assert_eq!(parse_reserved("80,32768-32770,60999-65535\n", 32_768, 60_999), 4);
        assert_eq!(parse_reserved("", 1, 65_535), 0);
        let range = PortRange { first: 100, last: 199, reserved: 10 };
        assert_eq!(range.count(), 90);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([0-9,-]{0,60}|(?s).{0,60})", first: u16, last: u16) {
            let _ = parse_reserved(&text, first, last);
        }
    }
}
