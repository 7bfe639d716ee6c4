//! What the records know of one way: who stopped it, whether it was answered, and when a whole port fell silent.

mod silence;

use crate::{Action, Address, Direction, Flow, Symbol};
use silence::PortTrail;
pub use silence::Silence;
use std::collections::HashMap;

/// Interfaces whose owner is looked for.
const INTERFACE_COUNT_MAX: usize = 65_536;
/// Rules told apart among those that stop the way.
const RULE_COUNT_MAX: usize = 64;
/// An answer may stand in a record that began so long before the request's: the longest usual aggregation.
const AGGREGATION_MS_MAX: i64 = 10 * 60 * 1000;

/// From where to where.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// All addresses of the asker.
    pub from: Vec<Address>,
    pub to: Address,
    pub port: Option<u16>,
    /// The IANA protocol number.
    pub protocol: u8,
}

/// Looks at every record once; bounded memory.
#[derive(Debug)]
pub struct Watch {
    way: Way,
    accepted: Tally,
    answered: Tally,
    rejected: HashMap<Place, Tally>,
    /// The same of askers that are not ours.
    others: (Tally, Tally),
    owners: HashMap<Symbol, Owner>,
    /// Whether packets towards the asker are recorded at all.
    sees_back: bool,
    trail: PortTrail,
}

/// Which packets were rejected, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    interface: Symbol,
    rule: Symbol,
    direction: Direction,
    is_answer: bool,
}

/// Records of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub records: u64,
    pub packets: u64,
    pub first_ms: i64,
    pub last_ms: i64,
    /// The file and byte of the first one.
    pub file: Symbol,
    pub offset: u64,
}

impl Tally {
    fn add(&mut self, flow: &Flow) {
        if self.records == 0 || flow.start_ms < self.first_ms {
            (self.first_ms, self.file, self.offset) = (flow.start_ms, flow.file, flow.offset);
        }
        self.last_ms = self.last_ms.max(flow.end_ms.max(flow.start_ms));
        self.records += 1;
        self.packets = self.packets.saturating_add(flow.packets);
    }

    fn join(&mut self, other: &Tally) {
        if other.records == 0 {
            return;
        }
        if self.records == 0 || other.first_ms < self.first_ms {
            (self.first_ms, self.file, self.offset) = (other.first_ms, other.file, other.offset);
        }
        self.last_ms = self.last_ms.max(other.last_ms);
        self.records += other.records;
        self.packets = self.packets.saturating_add(other.packets);
    }
}

/// The addresses all records of an interface have in common: one remains, and that is its own.
#[derive(Debug, Clone, Copy)]
struct Owner([Option<Address>; 2]);

impl Owner {
    fn see(&mut self, flow: &Flow) {
        for held in &mut self.0 {
            if held.is_some_and(|address| address != flow.source && address != flow.destination) {
                *held = None;
            }
        }
    }

    fn address(self) -> Option<Address> {
        match self.0 {
            [Some(one), None] | [None, Some(one)] => Some(one),
            _ => None,
        }
    }
}

/// What the records say of a way now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Not one record is of it.
    None,
    Accepted,
    /// Let through, and nothing came back.
    Unanswered,
    /// Let through; packets towards the asker are not recorded.
    Unknown,
    /// On the way in to the target.
    RejectedIn,
    /// On the way out of the asker.
    RejectedOut,
    /// Let in, and the answer is not let out or not let back in.
    RejectedBack,
}

/// All that was seen of one way.
#[derive(Debug, Clone)]
pub struct Seen {
    pub fate: Fate,
    /// Whether these are records of the asker itself; else of all that asked the target.
    pub is_own: bool,
    pub accepted: Tally,
    pub answered: Tally,
    pub rejected: Tally,
    /// The interface and rule that rejected most.
    pub interface: Symbol,
    pub rule: Symbol,
    /// From when on nobody answers the asker on this port.
    pub silence: Option<Silence>,
}

impl Watch {
    pub fn new(way: Way) -> Watch {
        Watch {
            way,
            accepted: Tally::default(),
            answered: Tally::default(),
            rejected: HashMap::new(),
            others: Default::default(),
            owners: HashMap::new(),
            sees_back: false,
            trail: PortTrail::default(),
        }
    }

    /// Looks at one record.
    pub fn flow(&mut self, flow: &Flow) {
        self.own(flow);
        let (asks, answers) =
            (self.way.from.contains(&flow.source), self.way.from.contains(&flow.destination));
        self.sees_back |= answers || (flow.source == self.way.to && !asks);
        if flow.protocol != self.way.protocol {
            return;
        }
        let to_port = self.way.port.is_none_or(|port| port == flow.destination_port);
        let from_port = self.way.port.is_none_or(|port| port == flow.source_port);
        if asks && to_port {
            self.trail.request(flow);
        } else if answers && from_port && flow.action != Action::Reject {
            self.trail.answer(flow);
        }
        if flow.destination == self.way.to && to_port {
            self.request(flow, asks);
        } else if flow.source == self.way.to && from_port && answers {
            match flow.action {
                Action::Reject => self.reject(flow, true),
                _ => self.answered.add(flow),
            }
        }
    }

    fn request(&mut self, flow: &Flow, is_own: bool) {
        match (is_own, flow.action) {
            (true, Action::Reject) => self.reject(flow, false),
            (true, _) => self.accepted.add(flow),
            (false, Action::Reject) => self.others.1.add(flow),
            (false, _) => self.others.0.add(flow),
        }
    }

    fn reject(&mut self, flow: &Flow, is_answer: bool) {
        let mut place =
            Place { interface: flow.interface, rule: flow.rule, direction: flow.direction, is_answer };
        if self.rejected.len() >= RULE_COUNT_MAX && !self.rejected.contains_key(&place) {
            place = Place { interface: Symbol::OTHER, rule: Symbol::OTHER, ..place };
        }
        self.rejected.entry(place).or_default().add(flow);
    }

    /// Learns whose an interface is; a record without addresses says nothing.
    fn own(&mut self, flow: &Flow) {
        if flow.interface == Symbol::NONE || flow.source.is_unknown() {
            return;
        }
        let has_room = self.owners.len() < INTERFACE_COUNT_MAX;
        if let Some(owner) = self.owners.get_mut(&flow.interface) {
            owner.see(flow);
        } else if has_room {
            self.owners.insert(flow.interface, Owner([Some(flow.source), Some(flow.destination)]));
        }
    }

    /// Sums up.
    pub fn finish(self) -> Seen {
        let main = self
            .rejected
            .iter()
            .max_by_key(|(place, tally)| (tally.last_ms, tally.records, place.rule, place.interface));
        let (place, last) = main.map_or((None, i64::MIN), |(place, tally)| (Some(*place), tally.last_ms));
        let mut rejected = Tally::default();
        let alike = |one: &Place| place.is_some_and(|main| main.is_answer == one.is_answer);
        self.rejected.iter().filter(|(one, _)| alike(one)).for_each(|(_, tally)| rejected.join(tally));
        let mut seen = Seen {
            fate: Fate::None,
            is_own: true,
            accepted: self.accepted,
            answered: self.answered,
            rejected,
            interface: place.map_or(Symbol::NONE, |place| place.interface),
            rule: place.map_or(Symbol::NONE, |place| place.rule),
            silence: self.trail.silence(),
        };
        seen.fate = match place {
            Some(place) if place.is_answer && last >= self.answered.last_ms => Fate::RejectedBack,
            Some(place) if !place.is_answer && last >= self.accepted.last_ms => self.side(place),
            _ if self.accepted.records > 0 => self.answer(),
            _ if self.answered.records > 0 => Fate::Accepted,
            _ => return self.of_others(seen),
        };
        seen
    }

    fn answer(&self) -> Fate {
        let in_time = self.answered.last_ms >= self.accepted.last_ms - AGGREGATION_MS_MAX;
        match (self.answered.records > 0 && in_time, self.sees_back) {
            (true, _) => Fate::Accepted,
            (false, true) => Fate::Unanswered,
            (false, false) => Fate::Unknown,
        }
    }

    /// Whether the asker's own side or the target's rejected.
    fn side(&self, place: Place) -> Fate {
        let owner = self.owners.get(&place.interface).and_then(|owner| owner.address());
        match (place.direction, owner) {
            (Direction::Out, _) => Fate::RejectedOut,
            (Direction::In, _) => Fate::RejectedIn,
            (Direction::Unknown, Some(owner)) if self.way.from.contains(&owner) => Fate::RejectedOut,
            _ => Fate::RejectedIn,
        }
    }

    /// The asker stands behind a translated address, perhaps: where everybody is rejected, so is he.
    fn of_others(&self, seen: Seen) -> Seen {
        let (accepted, rejected) = self.others;
        let fate = match (accepted.records, rejected.records) {
            (0, 1..) => Fate::RejectedIn,
            (0, 0) => Fate::None,
            _ => Fate::Unknown,
        };
        Seen { fate, is_own: false, accepted, rejected, ..seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKER: Address = Address::v4(0x0a00_011b);
    const TARGET: Address = Address::v4(0x0a00_0214);

    fn way() -> Way {
        Way { from: vec![ASKER], to: TARGET, port: Some(443), protocol: 6 }
    }

    fn request(at_s: i64, action: Action) -> Flow {
        Flow {
            start_ms: at_s * 1000,
            end_ms: at_s * 1000 + 1000,
            source: ASKER,
            destination: TARGET,
            source_port: 40_000,
            destination_port: 443,
            protocol: 6,
            packets: 1,
            interface: Symbol(7),
            action,
            ..Flow::default()
        }
    }

    fn answer(at_s: i64, action: Action) -> Flow {
        let asked = request(at_s, action);
        Flow { source: TARGET, destination: ASKER, source_port: 443, destination_port: 40_000, ..asked }
    }

    fn fate(flows: &[Flow]) -> Fate {
        let mut watch = Watch::new(way());
        flows.iter().for_each(|flow| watch.flow(flow));
        watch.finish().fate
    }

    #[test]
    fn the_last_word_counts() {
        let (accept, reject) = (Action::Accept, Action::Reject);
        assert_eq!(fate(&[]), Fate::None);
        assert_eq!(fate(&[request(0, accept), answer(0, accept)]), Fate::Accepted);
        assert_eq!(fate(&[request(0, accept), answer(0, accept), request(60, reject)]), Fate::RejectedIn);
        assert_eq!(fate(&[request(0, reject), request(60, accept), answer(60, accept)]), Fate::Accepted);
        assert_eq!(fate(&[request(0, accept), answer(0, reject)]), Fate::RejectedBack);
        assert_eq!(fate(&[request(0, accept)]), Fate::Unknown, "answers are not recorded at all");
        assert_eq!(fate(&[request(0, accept), answer(0, accept), request(3600, accept)]), Fate::Unanswered);
    }

    #[test]
    fn an_interface_is_whose_address_all_its_records_share() {
        let elsewhere =
            Flow { destination: Address::v4(9), destination_port: 80, ..request(1, Action::Accept) };
        assert_eq!(fate(&[elsewhere, request(5, Action::Reject)]), Fate::RejectedOut);
        let from_another = Flow { source: Address::v4(9), ..request(1, Action::Accept) };
        assert_eq!(fate(&[from_another, request(5, Action::Reject)]), Fate::RejectedIn);
        let told = Flow { direction: Direction::Out, ..request(5, Action::Reject) };
        assert_eq!(fate(&[told]), Fate::RejectedOut);
    }

    #[test]
    fn counts_that_lie_stop_at_the_largest_number() {
        let liar = Flow { packets: u64::MAX, ..request(0, Action::Accept) };
        let mut watch = Watch::new(way());
        (0..2).for_each(|_| watch.flow(&liar));
        let accepted = watch.finish().accepted;
        assert_eq!((accepted.records, accepted.packets), (2, u64::MAX));
    }

    #[test]
    fn what_everybody_meets_the_asker_meets_behind_his_translation() {
        let foreign = |action| Flow { source: Address::v4(77), ..request(3, action) };
        assert_eq!(fate(&[foreign(Action::Reject)]), Fate::RejectedIn);
        assert_eq!(fate(&[foreign(Action::Reject), foreign(Action::Accept)]), Fate::Unknown);
    }
}
