//! The sizes tried: the largest first, and where it vanishes, all sizes between at once.

use super::judge::{Carrier, PmtuReport};
use crate::icmp::{
    Answer, Link, OpenFlow, Outcome, Packet, Probe, Route, Wait, run_batch, tcp_info, tcp_packet_max,
};
use std::io;
use std::time::Duration;

/// Largest packet tried, in bytes: a jumbo frame. Loopback takes more, and tells nothing of a path.
const PACKET_BYTES_MAX: u16 = 9_216;

/// A packet any link takes, in bytes.
const SMALL_BYTES: u16 = 128;

/// Times a size is asked before its silence counts.
const TRIES_COUNT: usize = 3;

/// Routers that may each name a smaller MTU than the one before.
const REPORTS_COUNT_MAX: usize = 4;

/// Sizes tried at once between one that passes and one that does not, and rounds of that.
const CUTS_COUNT: u16 = 14;
const ROUNDS_COUNT_MAX: usize = 5;

const GAP: Duration = Duration::from_millis(1);
const WAIT: Wait = Wait::millis(300, 120);

/// Wait while no connection tells how far the target is.
const SILENT_UNKNOWN: Duration = Duration::from_millis(600);

/// Longest wait for the connection that carries segments: one SYN sent again.
const CONNECT_WAIT: Duration = Duration::from_millis(1_300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Echo,
    Segments,
    /// Echo requests sent in pieces of so many bytes: only the answers are large.
    Cut(u16),
}

impl Kind {
    /// The packet taken as sure to pass; in pieces too, so that a path that drops pieces counts as silent.
    const fn small(self) -> u16 {
        match self {
            Kind::Cut(piece) => piece,
            Kind::Echo | Kind::Segments => SMALL_BYTES,
        }
    }
}

struct Search<'a> {
    link: Link,
    route: &'a Route,
    flow: Option<OpenFlow>,
    base: usize,
    sequence: u16,
    wait: Wait,
}

/// Measures both carriers.
pub fn search(mut link: Link, route: &Route, tcp: bool) -> io::Result<PmtuReport> {
    let interface_mtu = u16::try_from(route.device_mtu).unwrap_or(u16::MAX).min(PACKET_BYTES_MAX);
    let flow = match &mut link {
        Link::Raw(raw) if tcp => OpenFlow::open(raw, CONNECT_WAIT).ok(),
        _ => None,
    };
    let tcp_packet_max = flow.as_ref().and_then(|flow| tcp_packet_max(&flow.socket, route));
    let mut search = Search { link, route, flow, base: 0, sequence: 0, wait: WAIT };
    if !tcp {
        search.wait.silent = SILENT_UNKNOWN;
    }
    if let Some(rtt) = search.flow.as_ref().and_then(|flow| round_trip(&flow.socket)) {
        search.heard(rtt);
    }
    // Of IPv6 the kernel itself sends nothing larger than what it has learned.
    let known = u16::try_from(route.path_mtu).unwrap_or(u16::MAX);
    let mut largest = if route.target.is_ipv6() { interface_mtu.min(known) } else { interface_mtu };
    let echo = search.carrier(Kind::Echo, largest, None)?;
    if let Some((mtu, _)) = echo.reported.filter(|(mtu, _)| route.target.is_ipv6() && lower(*mtu, largest)) {
        largest = u16::try_from(mtu).unwrap_or(largest);
    }
    let segments = match search.flow {
        Some(_) => search.carrier(Kind::Segments, largest, echo.passes.zip(echo.fails))?,
        None => Carrier::default(),
    };
    let mut answers = Carrier::default();
    let cut = echo.passes.filter(|passes| *passes < interface_mtu && echo.fails.is_none());
    if let Some(cut) = cut.filter(|_| search.link.is_raw()) {
        answers = search.carrier(Kind::Cut(cut), interface_mtu, None)?;
    }
    let mut report = PmtuReport {
        target: route.target.ip(),
        value: None,
        interface_mtu,
        known_mtu: route.path_mtu,
        tcp_packet_max,
        echo,
        segments,
        answers,
    };
    report.decide();
    Ok(report)
}

impl Search<'_> {
    /// Asks one carrier: the smallest and the largest, then what lies between; `hint` is another's border.
    fn carrier(&mut self, kind: Kind, largest: u16, hint: Option<(u16, u16)>) -> io::Result<Carrier> {
        let mut carrier = Carrier::default();
        let mut top = largest;
        let small = kind.small();
        for _ in 0..REPORTS_COUNT_MAX {
            for _ in 0..TRIES_COUNT {
                self.ask(kind, &[small, top], &mut carrier)?;
                let told = carrier.reported.is_some_and(|(mtu, _)| lower(mtu, top));
                if carrier.passes == Some(top) || told {
                    break;
                }
            }
            match carrier.reported {
                Some((mtu, _)) if lower(mtu, top) && carrier.passes != Some(top) => {
                    top = u16::try_from(mtu).unwrap_or(top);
                    carrier.fails = None;
                }
                _ => break,
            }
        }
        let named_none = carrier.reported.is_some_and(|(mtu, _)| mtu == 0);
        if carrier.alive && carrier.passes < Some(top) && !named_none {
            if let Some((passes, fails)) = hint.filter(|(_, fails)| *fails < top) {
                self.ask(kind, &[passes], &mut carrier)?;
                for _ in 1..TRIES_COUNT {
                    self.ask(kind, &[fails], &mut carrier)?;
                }
                top = if carrier.passes < Some(fails) { fails } else { top };
            }
            self.bisect(kind, top, &mut carrier)?;
        }
        Ok(carrier)
    }

    /// Narrows down to one byte; a size that fails by chance is overtaken by a larger one that passes.
    fn bisect(&mut self, kind: Kind, top: u16, carrier: &mut Carrier) -> io::Result<()> {
        carrier.fails = Some(top);
        for _ in 0..ROUNDS_COUNT_MAX {
            let (Some(low), Some(high)) = (carrier.passes, carrier.fails) else { break };
            if low + 1 >= high {
                break;
            }
            let sizes = between(low, high);
            for _ in 0..2 {
                let left: Vec<u16> =
                    sizes.iter().copied().filter(|size| Some(*size) > carrier.passes).collect();
                self.ask(kind, &left, carrier)?;
            }
            carrier.fails = sizes.into_iter().find(|size| Some(*size) > carrier.passes).or(Some(high));
        }
        for _ in 0..2 {
            let Some(fails) = carrier.fails.filter(|fails| Some(*fails) > carrier.passes) else { break };
            self.ask(kind, &[fails], carrier)?;
        }
        if carrier.passes >= carrier.fails {
            carrier.fails = None;
        }
        Ok(())
    }

    /// Sends one packet of each size and writes down what came back.
    fn ask(&mut self, kind: Kind, sizes: &[u16], carrier: &mut Carrier) -> io::Result<()> {
        if sizes.is_empty() {
            return Ok(());
        }
        let probes: Vec<Probe> = sizes.iter().map(|size| self.probe(kind, *size)).collect();
        let outcomes = run_batch(&mut self.link, self.base, &probes, GAP, self.wait, None)?.outcomes;
        self.base += probes.len();
        let refusals = outcomes.iter().filter_map(|outcome| outcome.refused);
        if let Some(code) = refusals.into_iter().find(|code| matches!(*code, libc::EACCES | libc::EPERM)) {
            return Err(io::Error::from_raw_os_error(code));
        }
        for (size, outcome) in sizes.iter().zip(&outcomes) {
            self.note(*size, outcome, carrier);
        }
        Ok(())
    }

    fn note(&mut self, size: u16, outcome: &Outcome, carrier: &mut Carrier) {
        for reply in &outcome.replies {
            match reply.answer {
                Answer::Echo | Answer::Ack => {
                    carrier.alive = true;
                    carrier.passes = carrier.passes.max(Some(size));
                    self.heard(reply.rtt);
                }
                Answer::TooBig(mtu) if mtu < u32::from(size) => carrier.reported = Some((mtu, reply.from)),
                _ => {}
            }
        }
    }

    /// Once a round trip is known, silence needs no more than four of them.
    fn heard(&mut self, rtt: Duration) {
        self.wait.floor = self.wait.floor.max(rtt * 4);
        self.wait.silent = self.wait.floor;
    }

    fn probe(&mut self, kind: Kind, size: u16) -> Probe {
        let cut = match kind {
            // Half of what passes, so that even a packet that passes whole comes in pieces.
            Kind::Cut(piece) => piece / 2 + self.route.header_bytes() + 8,
            Kind::Echo | Kind::Segments => 0,
        };
        let packet = match (kind, &self.flow) {
            (Kind::Segments, Some(open)) => {
                let length = size.saturating_sub(self.route.header_bytes() + 20).max(1);
                Packet::Again { flow: open.flow, length }
            }
            _ => {
                self.sequence = self.sequence.wrapping_add(1);
                Packet::Echo { sequence: self.sequence }
            }
        };
        Probe { bytes: size, whole: cut == 0, cut, ..Probe::new(packet) }
    }
}

/// The kernel's own measure of the connection's round trip.
fn round_trip(socket: &socket2::Socket) -> Option<Duration> {
    let info = tcp_info(socket).ok()?;
    (info.tcpi_rtt > 0).then(|| Duration::from_micros(info.tcpi_rtt.into()))
}

/// An MTU a router may honestly name for a packet of this size: no link is below 68 bytes (RFC 791).
fn lower(mtu: u32, size: u16) -> bool {
    (68..u32::from(size)).contains(&mtu)
}

/// Sizes that cut the open interval into equal parts.
fn between(low: u16, high: u16) -> Vec<u16> {
    let width = u32::from(high - low);
    let mut sizes: Vec<u16> = (1..=CUTS_COUNT)
        .map(|cut| low + u16::try_from(width * u32::from(cut) / u32::from(CUTS_COUNT + 1)).unwrap_or(0))
        .filter(|size| *size > low && *size < high)
        .collect();
    sizes.dedup();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_narrow_to_one_byte() {
        let (mut low, mut high) = (SMALL_BYTES, PACKET_BYTES_MAX);
        let border = 8_971;
        for _ in 0..ROUNDS_COUNT_MAX {
            let sizes = between(low, high);
            low = sizes.iter().copied().filter(|s| *s < border).max().unwrap_or(low);
            high = sizes.iter().copied().filter(|s| *s >= border).min().unwrap_or(high);
        }
        assert_eq!((low, high), (border - 1, border));
        assert!(between(1499, 1500).is_empty());
    }
}
