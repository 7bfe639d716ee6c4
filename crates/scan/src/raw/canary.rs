//! Canaries: ports known to answer, asked again now and then. Their answers tell the way from the target. Pure.

use super::clock::Nanos;
use super::source::{SOURCE_PORT_COUNT, TRY_PORT_COUNT};
use std::collections::VecDeque;

/// Who answers and can be asked again.
const RESPONDER_COUNT_MAX: usize = 64;
/// Canaries under way.
const FLIGHT_COUNT_MAX: usize = 512;
/// Source ports of canaries: as many can be under way to one port.
const LANE_COUNT: u8 = (SOURCE_PORT_COUNT - TRY_PORT_COUNT) as u8;

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Closed: a reset, which hosts may limit.
    Reset,
    /// The host itself, by ICMP.
    Echo,
    /// An open port: what a ban takes away, and nothing else does.
    Open,
}

/// One port known to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Responder {
    pub host: u32,
    /// Number of the port in the plan; of no meaning for an echo.
    pub port: u32,
    pub kind: Kind,
    /// Has answered before. Whether a host answers echoes is its own affair until it has done so once.
    proven: bool,
    lanes: u8,
}

/// One canary under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    pub host: u32,
    pub port: u32,
    pub kind: Kind,
    /// Number of the source port, or of the echo.
    pub lane: u8,
    pub number: u16,
    pub sent_at: Nanos,
    pub sent_before: u64,
    answered: bool,
}

/// Fates by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub answered: u64,
    pub lost: u64,
}

/// All canaries.
#[derive(Debug, Clone, Default)]
pub struct Canaries {
    responders: Vec<Responder>,
    flights: VecDeque<Flight>,
    turn: usize,
    number: u16,
    /// Of everything sent so far.
    pub tally: [Tally; 3],
    /// Lost one after another since the last answer of any, resets left out while they are limited.
    pub lost_in_row: u32,
    /// When the first of these left.
    pub lost_since: Nanos,
    /// Resets are known to be limited, so their silence says nothing.
    pub resets_limited: bool,
    known: u64,
    count_from: Nanos,
}

impl Canaries {
    /// Remembers who answers; open ones take the place of closed ones.
    pub fn know(&mut self, host: u32, port: u32, kind: Kind) {
        self.known += 1;
        let responder = Responder { host, port, kind, proven: kind != Kind::Echo, lanes: 0 };
        if self.responders.len() < RESPONDER_COUNT_MAX {
            self.responders.push(responder);
            return;
        }
        if kind == Kind::Reset {
            return;
        }
        // Weaker kinds go first; among open ones a few are replaced, so that they are spread over the hosts.
        let weaker = self.responders.iter().position(|other| other.kind < kind);
        let spread =
            self.known.is_multiple_of(16).then_some((self.known / 16) as usize % RESPONDER_COUNT_MAX);
        if let Some(at) = weaker.or(spread)
            && let Some(place) = self.responders.get_mut(at)
            && !self.flights.iter().any(|flight| flight.host == place.host && flight.port == place.port)
        {
            *place = responder;
        }
    }

    /// A host with a port that answers, an open one where there is one.
    pub fn any_host(&self) -> Option<u32> {
        self.responders.iter().max_by_key(|responder| responder.kind).map(|responder| responder.host)
    }

    pub fn has(&self, kind: Kind) -> bool {
        self.responders.iter().any(|responder| responder.kind == kind)
    }

    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Chooses the next to ask: open ports and echoes in turn, closed ports where there is nothing better.
    pub fn next(&mut self, now: Nanos, sent_before: u64) -> Option<Flight> {
        let open = self.has(Kind::Open);
        let reset = !self.resets_limited && !open;
        self.launch(now, sent_before, |kind| match kind {
            Kind::Open | Kind::Echo => true,
            Kind::Reset => reset,
        })
    }

    /// Chooses the next of some kinds.
    pub fn launch(&mut self, now: Nanos, sent_before: u64, wanted: impl Fn(Kind) -> bool) -> Option<Flight> {
        if self.flights.len() >= FLIGHT_COUNT_MAX {
            return None;
        }
        for _ in 0..self.responders.len() {
            self.turn = (self.turn + 1) % self.responders.len();
            let Some(responder) = self.responders.get_mut(self.turn).filter(|r| wanted(r.kind)) else {
                continue;
            };
            let lane = (0..LANE_COUNT).find(|lane| responder.lanes >> lane & 1 == 0);
            let Some(lane) = lane else { continue };
            responder.lanes |= 1 << lane;
            self.number = self.number.wrapping_add(1);
            let flight = Flight {
                host: responder.host,
                port: responder.port,
                kind: responder.kind,
                lane,
                number: self.number,
                sent_at: now,
                sent_before,
                answered: false,
            };
            self.flights.push_back(flight);
            return Some(flight);
        }
        None
    }

    /// A canary is back; `None` when it was none, or counted as lost before.
    pub fn back(&mut self, matches: impl Fn(&Flight) -> bool) -> Option<Flight> {
        let flight = self.flights.iter_mut().find(|flight| !flight.answered && matches(flight))?;
        flight.answered = true;
        let flight = *flight;
        self.release(&flight);
        if let Some(responder) = self.responder(&flight) {
            responder.proven = true;
        }
        self.tally[flight.kind as usize].answered += 1;
        self.lost_in_row = 0;
        Some(flight)
    }

    /// Losses of what left before a time do not count for the way's loss.
    pub fn count_from(&mut self, at: Nanos) {
        self.count_from = at;
        self.tally.iter_mut().for_each(|tally| tally.lost = 0);
    }

    /// The next canary that was lost: its time is over, and it counts.
    pub fn over(&mut self, now: Nanos, patience: Nanos) -> Option<Flight> {
        while let Some(flight) = self.flights.front().copied() {
            if flight.answered {
                self.flights.pop_front();
                continue;
            }
            if flight.sent_at + patience > now {
                return None;
            }
            self.flights.pop_front();
            self.release(&flight);
            if flight.kind == Kind::Reset && self.resets_limited {
                continue;
            }
            if self.responder(&flight).is_none_or(|responder| !responder.proven) {
                let same =
                    |r: &Responder| r.host == flight.host && r.port == flight.port && r.kind == flight.kind;
                self.responders.retain(|responder| !same(responder));
                continue;
            }
            self.tally[flight.kind as usize].lost += u64::from(flight.sent_at >= self.count_from);
            if self.lost_in_row == 0 {
                self.lost_since = flight.sent_at;
            }
            self.lost_in_row += 1;
            return Some(flight);
        }
        None
    }

    fn release(&mut self, flight: &Flight) {
        if let Some(responder) = self.responder(flight) {
            responder.lanes &= !(1 << flight.lane);
        }
    }

    fn responder(&mut self, flight: &Flight) -> Option<&mut Responder> {
        let same =
            |r: &&mut Responder| r.host == flight.host && r.port == flight.port && r.kind == flight.kind;
        self.responders.iter_mut().find(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_ports_are_preferred_and_lanes_run_out() {
        let mut canaries = Canaries::default();
        canaries.know(0, 1, Kind::Reset);
        assert_eq!(canaries.next(0, 0).unwrap().kind, Kind::Reset);
        canaries.know(0, 2, Kind::Open);
        for lane in 0..LANE_COUNT {
            let flight = canaries.next(1, 0).unwrap();
            assert_eq!((flight.port, flight.lane), (2, lane));
        }
        assert_eq!(canaries.next(2, 0), None);
        assert!(canaries.back(|flight| flight.port == 2 && flight.lane == 3).is_some());
        assert!(canaries.back(|flight| flight.port == 2 && flight.lane == 3).is_none());
        assert_eq!(canaries.next(3, 0).unwrap().lane, 3);
    }

    #[test]
    fn what_does_not_come_back_is_lost_in_order() {
        let mut canaries = Canaries::default();
        canaries.know(0, 2, Kind::Open);
        for at in 0..3 {
            canaries.next(at * 10, 0).unwrap();
        }
        canaries.back(|flight| flight.lane == 1);
        assert_eq!(canaries.over(90, 100), None);
        assert_eq!(canaries.over(200, 100).unwrap().lane, 0);
        assert_eq!(canaries.over(200, 100).unwrap().lane, 2);
        assert_eq!(canaries.over(200, 100), None);
        assert_eq!((canaries.lost_in_row, canaries.lost_since), (2, 0));
        assert_eq!(canaries.tally[Kind::Open as usize], Tally { answered: 1, lost: 2 });
    }

    #[test]
    fn strong_ones_take_the_place_of_weak_ones() {
        let mut canaries = Canaries::default();
        (0..200).for_each(|port| canaries.know(0, port, Kind::Reset));
        canaries.know(0, 500, Kind::Open);
        assert!(canaries.has(Kind::Open));
    }
}
