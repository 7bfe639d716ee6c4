//! What the tap saw of one five-tuple.

use super::{Seen, Segment, What, ms_between};
use netwhy_wire::{ErrorClass, Quoted, TcpFlags};
use std::net::{IpAddr, SocketAddr};

/// A bridge shows the same packet on two devices; copies this close together count once, in nanoseconds.
const COPY_NS_MAX: u64 = 3_000_000;

/// A packet that answered ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Answer {
    pub at_ns: u64,
    pub segment: Segment,
}

/// An ICMP error that quoted ours.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FlowError {
    pub at_ns: u64,
    pub from: IpAddr,
    pub ttl: u8,
    pub kind: u8,
    pub code: u8,
    pub class: ErrorClass,
    /// Since the very packet it quotes, in milliseconds; `None` when that cannot be told.
    pub delay_ms: Option<f64>,
    pub interface: u32,
}

/// One five-tuple's packets, both directions.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FlowView {
    /// When each SYN left, in nanoseconds.
    pub syn_ns: Vec<u64>,
    pub syn_acks: Vec<Answer>,
    pub resets: Vec<Answer>,
    pub fins: Vec<Answer>,
    pub errors: Vec<FlowError>,
    /// When our first bare ACK or data after the SYN left.
    pub ack_ns: Option<u64>,
    /// When each of our segments with payload left, with its length.
    pub data_out: Vec<(u64, usize)>,
    /// The highest acknowledgment of the peer with the windows it offered, in order.
    pub acks_in: Vec<Answer>,
    /// Bytes of payload the peer sent, copies and repeats included.
    pub bytes_in: usize,
    our_sequence: Option<u32>,
}

impl FlowView {
    /// SYN to SYN-ACK or RST, in milliseconds; unknown when the SYN was sent more than once.
    pub(crate) fn rtt_ms(&self) -> Option<f64> {
        let answer = self.syn_acks.first().or(self.resets.first())?;
        match self.syn_ns.as_slice() {
            [one] if answer.at_ns >= *one => Some(ms_between(*one, answer.at_ns)),
            _ => None,
        }
    }

    /// True when the SYN-ACK acknowledges our SYN, so a sane stack takes it.
    pub(crate) fn syn_ack_valid(&self) -> bool {
        self.syn_acks
            .iter()
            .any(|a| self.our_sequence.is_none_or(|ours| a.segment.acknowledgment == ours.wrapping_add(1)))
    }

    /// True when a RST acknowledges our SYN, so a sane stack takes it.
    pub(crate) fn reset_valid(&self, reset: &Segment) -> bool {
        self.our_sequence.is_none_or(|ours| reset.acknowledgment == ours.wrapping_add(1))
    }

    /// True when the server repeated its SYN-ACK well after our ACK had left.
    pub(crate) fn syn_ack_again(&self) -> bool {
        self.ack_ns.is_some_and(|ack| {
            self.syn_acks.len() >= 2
                && self.syn_acks.iter().skip(1).any(|again| again.at_ns > ack + 400_000_000)
        })
    }
}

/// Collects the packets between `local` and `remote` from a moment on, up to the port's next use.
pub(crate) fn flow(seen: &[Seen], local: SocketAddr, remote: SocketAddr, since_ns: u64) -> FlowView {
    let mut view = FlowView::default();
    let mut sent: Vec<(u64, u32, Option<u32>)> = Vec::new();
    let mut last: Option<(u64, Segment, bool)> = None;
    for one in seen.iter().filter(|s| s.at_ns >= since_ns) {
        match &one.what {
            What::Tcp(segment) if same(segment.source, local) && same(segment.destination, remote) => {
                if !one.outgoing || is_copy(&mut last, one, segment) {
                    continue;
                }
                if segment.flags.is_syn() && view.our_sequence.is_some_and(|ours| ours != segment.sequence) {
                    break;
                }
                sent.push((one.at_ns, segment.ident, segment.timestamp));
                outgoing(&mut view, one.at_ns, segment);
            }
            What::Tcp(segment) if same(segment.source, remote) && same(segment.destination, local) => {
                if one.outgoing || is_copy(&mut last, one, segment) {
                    continue;
                }
                incoming(&mut view, one, segment);
            }
            What::IcmpError { from, ttl, kind, code, error } if !one.outgoing => {
                let Some(quoted) = error.quoted.as_ref().filter(|q| quotes(q, local, remote)) else {
                    continue;
                };
                view.errors.push(FlowError {
                    at_ns: one.at_ns,
                    from: *from,
                    ttl: *ttl,
                    kind: *kind,
                    code: *code,
                    class: error.class,
                    delay_ms: delay(&sent, quoted, one.at_ns),
                    interface: one.interface,
                });
            }
            _ => {}
        }
    }
    view
}

fn outgoing(view: &mut FlowView, at_ns: u64, segment: &Segment) {
    if segment.flags.is_syn() {
        view.syn_ns.push(at_ns);
        view.our_sequence = Some(segment.sequence);
        return;
    }
    if view.ack_ns.is_none() && segment.flags.has(TcpFlags::ACK) && !segment.flags.is_rst() {
        view.ack_ns = Some(at_ns);
    }
    if segment.payload_len > 0 {
        view.data_out.push((at_ns, segment.payload_len));
    }
}

fn incoming(view: &mut FlowView, one: &Seen, segment: &Segment) {
    let answer = Answer { at_ns: one.at_ns, segment: *segment };
    if segment.flags.is_rst() {
        view.resets.push(answer);
        return;
    }
    if segment.flags.is_syn_ack() {
        view.syn_acks.push(answer);
        return;
    }
    if segment.flags.has(TcpFlags::FIN) {
        view.fins.push(answer);
    }
    if segment.flags.has(TcpFlags::ACK) {
        view.acks_in.push(answer);
    }
    view.bytes_in += segment.payload_len;
}

/// Scope identifiers and flow labels of IPv6 socket addresses do not count.
fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip() == b.ip() && a.port() == b.port()
}

fn is_copy(last: &mut Option<(u64, Segment, bool)>, one: &Seen, segment: &Segment) -> bool {
    let copy = last.is_some_and(|(at, before, outgoing)| {
        outgoing == one.outgoing
            && one.at_ns.saturating_sub(at) <= COPY_NS_MAX
            && Segment { ttl: segment.ttl, ..before } == *segment
    });
    *last = Some((one.at_ns, *segment, one.outgoing));
    copy
}

fn quotes(quoted: &Quoted, local: SocketAddr, remote: SocketAddr) -> bool {
    // A NAT on the way may leave its own source address in the quote; the ports still tell.
    quoted.destination == remote.ip()
        && quoted.source_port == Some(local.port())
        && quoted.destination_port == Some(remote.port())
}

fn delay(sent: &[(u64, u32, Option<u32>)], quoted: &Quoted, at_ns: u64) -> Option<f64> {
    let by_clock = sent.iter().find(|(_, _, clock)| clock.is_some() && *clock == quoted.timestamp);
    let by_ident = sent.iter().find(|(_, ident, _)| *ident != 0 && *ident == quoted.ident);
    let only = if sent.len() == 1 { sent.first() } else { None };
    by_clock.or(by_ident).or(only).map(|(left, ..)| ms_between(*left, at_ns))
}
