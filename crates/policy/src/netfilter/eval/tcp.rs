//! TCP as connection tracking sees it: the states of `nf_conntrack_proto_tcp`, without the windows.
//!
//! Sequence numbers are compared only where they decide between two states and are known; else a segment is
//! taken to fit its connection.

use crate::netfilter::packet::{ACK, FIN, Packet, RST, SYN, URG};

/// Flags that no rule of the handshake looks at: PSH, ECE, CWR.
const FREE_FLAGS: u8 = 0x08 | 0x40 | 0x80;
/// The combinations of the other flags that occur in TCP.
const VALID_FLAGS: [u8; 9] =
    [SYN, SYN | URG, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN | ACK | URG, ACK, ACK | URG];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum State {
    #[default]
    None,
    SynSent,
    SynReceived,
    Established,
    FinWait,
    CloseWait,
    LastAck,
    TimeWait,
    Close,
    SynSent2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    To(State),
    Ignore,
    Invalid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
    Bare,
}

/// What is remembered of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tcp {
    pub state: State,
    /// The segment before: which, of the answering side, and the sequence number after it.
    last: Option<(Segment, bool, Option<u32>)>,
    simultaneous: bool,
    close_began: bool,
    /// A SYN into a connection that is nearly closed: the answer may be a challenge (RFC 5961), not the last ACK.
    challenged: bool,
}

/// What tracking says to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Fits,
    Invalid,
    /// The connection was closed and begins anew.
    Again,
    /// It fits, and ends the connection at once.
    Ends,
    /// It fits, and the connection is now known to be used by both.
    Assured,
}

/// Whether a segment has flags that TCP has.
pub fn valid(flags: u8) -> bool {
    VALID_FLAGS.contains(&(flags & !FREE_FLAGS))
}

/// The state that a first segment gives; `None` when none may begin a connection.
pub fn opening(flags: u8, loose: bool) -> Option<Tcp> {
    match next(segment(flags), false, State::None) {
        Next::To(State::SynSent) => Some(Tcp::default()),
        Next::To(_) if loose => Some(Tcp::default()),
        _ => None,
    }
}

impl Tcp {
    /// Takes one segment, of the side that answers or the one that asked.
    pub fn take(&mut self, packet: &Packet, flags: u8, reply: bool, status: u16) -> Said {
        let kind = segment(flags);
        let mut old = self.state;
        // Only asked for of a SYN, which carries nothing.
        let end = packet.sequence.map(|sequence| sequence.wrapping_add(1));
        let new = match next(kind, reply, old) {
            Next::Invalid => return Said::Invalid,
            Next::To(State::SynSent) if old >= State::TimeWait && old != State::SynSent2 => {
                let aborted = self.last.is_some_and(|(last, side, _)| last == Segment::Rst && side == reply);
                if self.close_began || aborted {
                    return Said::Again;
                }
                return self.ignore(kind, reply, end);
            }
            Next::Ignore => {
                if !self.answers_ignored_syn(packet, kind, reply) {
                    return self.ignore(kind, reply, end);
                }
                old = State::SynSent;
                (self.close_began, self.challenged) = (false, false);
                State::SynReceived
            }
            Next::To(State::TimeWait) if self.is_challenge(kind, reply) => {
                self.challenged = false;
                return Said::Fits;
            }
            Next::To(State::SynSent2) => {
                self.simultaneous = true;
                State::SynSent2
            }
            Next::To(State::SynReceived) if reply && kind == Segment::Ack && self.simultaneous => {
                State::Established
            }
            Next::To(new) => new,
        };
        self.close_began |= new == State::FinWait && old != new;
        self.last = Some((kind, reply, end));
        self.state = new;
        if status & super::memory::SEEN_REPLY == 0 {
            if flags & RST != 0 {
                return Said::Ends;
            }
        } else if matches!(old, State::SynReceived | State::Established) && new == State::Established {
            return Said::Assured;
        }
        Said::Fits
    }

    /// Closed by the host itself.
    pub fn close(&mut self) {
        self.state = State::Close;
    }

    fn ignore(&mut self, kind: Segment, reply: bool, end: Option<u32>) -> Said {
        if kind == Segment::Syn && !reply {
            self.simultaneous = false;
            self.challenged = self.state == State::LastAck;
        }
        self.last = Some((kind, reply, end));
        Said::Fits
    }

    fn is_challenge(&self, kind: Segment, reply: bool) -> bool {
        let after_syn = self.last.is_some_and(|(last, side, _)| last == Segment::Syn && side != reply);
        self.state == State::LastAck && kind == Segment::Ack && after_syn && self.challenged
    }

    /// A SYN/ACK that answers a SYN that was ignored: the two ends know better.
    fn answers_ignored_syn(&self, packet: &Packet, kind: Segment, reply: bool) -> bool {
        let Some((last, side, end)) = self.last else { return false };
        let acknowledged = match (packet.acknowledgment, end) {
            (Some(acknowledgment), Some(end)) => acknowledgment == end,
            _ => true,
        };
        kind == Segment::SynAck && last == Segment::Syn && side != reply && acknowledged
    }
}

fn segment(flags: u8) -> Segment {
    match flags {
        _ if flags & RST != 0 => Segment::Rst,
        _ if flags & SYN != 0 && flags & ACK != 0 => Segment::SynAck,
        _ if flags & SYN != 0 => Segment::Syn,
        _ if flags & FIN != 0 => Segment::Fin,
        _ if flags & ACK != 0 => Segment::Ack,
        _ => Segment::Bare,
    }
}

/// The table of transitions.
fn next(segment: Segment, reply: bool, state: State) -> Next {
    use State::{
        Close, CloseWait, Established, FinWait, LastAck, None, SynReceived, SynSent, SynSent2, TimeWait,
    };
    match (segment, reply, state) {
        (Segment::Bare, _, _) | (Segment::Rst, _, None) => Next::Invalid,
        (Segment::Rst, _, _) => Next::To(Close),
        (Segment::Fin, _, None | SynSent | SynSent2) => Next::Invalid,
        (Segment::Fin, _, SynReceived | Established) => Next::To(FinWait),
        (Segment::Fin, _, FinWait | CloseWait | LastAck) => Next::To(LastAck),
        (Segment::Fin | Segment::Ack, _, TimeWait) => Next::To(TimeWait),
        (Segment::Fin | Segment::Ack, _, Close) => Next::To(Close),
        (Segment::Ack, _, Established) => Next::To(Established),
        (Segment::Ack, _, FinWait | CloseWait) => Next::To(CloseWait),
        (Segment::Ack, _, LastAck) => Next::To(TimeWait),
        (Segment::Ack, false, None | SynReceived) => Next::To(Established),
        (Segment::Ack, false, SynSent | SynSent2) | (Segment::Ack, true, None) => Next::Invalid,
        (Segment::Ack, true, SynReceived) => Next::To(SynReceived),
        (Segment::Ack, true, SynSent | SynSent2) => Next::Ignore,
        (Segment::Syn, false, None | SynSent | TimeWait | Close) => Next::To(SynSent),
        (Segment::Syn, false, SynSent2) => Next::To(SynSent2),
        (Segment::Syn, false, _) => Next::Ignore,
        (Segment::Syn, true, SynSent | SynSent2) => Next::To(SynSent2),
        (Segment::Syn, true, TimeWait) => Next::To(SynSent),
        (Segment::Syn, true, _) => Next::Invalid,
        (Segment::SynAck, false, SynReceived | SynSent2) => Next::To(SynReceived),
        (Segment::SynAck, false, _) | (Segment::SynAck, true, None) => Next::Invalid,
        (Segment::SynAck, true, SynSent | SynSent2) => Next::To(SynReceived),
        (Segment::SynAck, true, _) => Next::Ignore,
    }
}
