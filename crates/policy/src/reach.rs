//! Everyone who may reach a port, and who reaches whom on what.

use crate::can::{self, Verdict};
use crate::estate::{Ask, Because, Decision, End, Look, Outcome, Way};
use crate::list::List;
use crate::space::{Family, Ranges, range};
use crate::world::World;
use serde::Serialize;

/// Endpoints asked one by one; a matrix has their square.
pub const ENDPOINT_COUNT_MAX: usize = 2_000;

/// One who asks, and the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// An endpoint's id, `outside`, or a range of addresses.
    pub from: String,
    pub verdict: Verdict,
    /// Why, when it is not allowed.
    pub by: Vec<Because>,
}

/// Everyone who may reach an end on a port: each endpoint, the outside, and then the ranges of addresses that
/// the lists let through or may let through.
pub fn who(world: &World, ask: &Ask) -> Vec<Reach> {
    let ids: Vec<String> =
        world.endpoints().map(|one| one.id.clone()).filter(|id| End::Known(id.clone()) != ask.to).collect();
    let mut all: Vec<Reach> = ids
        .into_iter()
        .take(ENDPOINT_COUNT_MAX)
        .map(|id| (id.clone(), End::Known(id)))
        .chain([("outside".to_owned(), End::Outside)])
        .map(|(from, end)| {
            let answer = world.can(&Ask { from: end, ..ask.clone() });
            let by = if answer.verdict == Verdict::Denied { answer.blockers } else { answer.depends };
            Reach { from, verdict: answer.verdict, by }
        })
        .collect();
    for family in [Family::V4, Family::V6] {
        ranges(world, ask, family, &mut all);
    }
    all
}

/// Whether an end may lie in a family.
fn is_in(end: &End, world: &World, family: Family) -> bool {
    match end {
        End::Addresses(first, _) => Family::of(*first) == family,
        End::Known(id) => world
            .endpoints()
            .filter(|one| one.id == *id)
            .any(|one| one.addresses.iter().any(|address| Family::of(*address) == family)),
        End::Outside | End::OutsideBut(_) => family == Family::V4,
    }
}

fn ranges(world: &World, ask: &Ask, family: Family, all: &mut Vec<Reach>) {
    if !is_in(&ask.to, world, family) {
        return;
    }
    let last = crate::space::address(family, family.last());
    let everyone = End::Addresses(crate::space::address(family, 0), last);
    let (mut lets, mut may) = (Ranges::new([(0, family.last())]), Ranges::new([(0, family.last())]));
    let mut any = false;
    for estate in world.estates() {
        for step in estate.way(&Ask { from: everyone.clone(), ..ask.clone() }) {
            if step.way == Way::Back {
                continue;
            }
            any = true;
            let (own, own_may) = sources(&step.look, family);
            lets = lets.and(&own);
            may = may.and(&own_may);
        }
    }
    if !any {
        return;
    }
    let told = |(first, last), verdict| Reach { from: range(family, (first, last)), verdict, by: Vec::new() };
    all.extend(lets.iter().map(|one| told(one, Verdict::Allowed)));
    all.extend(may.without(&lets).iter().map(|one| told(one, Verdict::Depends)));
}

/// The sources that a step lets through whatever else, and those that it lets through or may.
fn sources(look: &Look, family: Family) -> (Ranges, Ranges) {
    let everyone = || Ranges::new([(0, family.last())]);
    let decisions: Vec<Decision> = match look {
        Look::Gate { gate, packets } => {
            let list = List::new(gate);
            packets.iter().flat_map(|cube| can::decisions(gate, &list, cube)).collect()
        }
        Look::Decided { decisions, .. } => decisions.clone(),
        Look::Passes { .. } => return (everyone(), everyone()),
        Look::Ends { .. } => return (Ranges::default(), Ranges::default()),
        Look::Depends { .. } => return (Ranges::default(), everyone()),
    };
    let of = |wanted: &dyn Fn(Outcome) -> bool| {
        let own = decisions.iter().filter(|one| one.packets.family == family && wanted(one.outcome));
        Ranges::new(own.map(|one| one.packets.source))
    };
    let lets = of(&|outcome| outcome == Outcome::Allowed);
    let may = lets.or(&of(&|outcome| outcome == Outcome::Depends));
    (lets.without(&of(&|outcome| outcome != Outcome::Allowed)), may)
}

/// The ports that one end may reach of another: of one protocol, as far as the lists let everything of a port
/// through, both ways.
pub fn ports(world: &World, from: &End, to: &End, protocol: u8) -> Ranges {
    let ask = Ask { from: from.clone(), to: to.clone(), protocol, port: None, request: None };
    let mut open = Ranges::new([(0, u128::from(u16::MAX))]);
    let mut any = false;
    for step in world.estates().iter().flat_map(|estate| estate.way(&ask)) {
        any = true;
        // On the way back the port is the source's, and where it is not let through the answers do not come.
        let back = step.way == Way::Back;
        open = open.and(&open_ports(&step.look, back));
        if open.is_empty() {
            break;
        }
    }
    if any { open } else { Ranges::default() }
}

fn open_ports(look: &Look, back: bool) -> Ranges {
    let wide = |(first, last): (u16, u16)| (u128::from(first), u128::from(last));
    let all = || Ranges::new([(0, u128::from(u16::MAX))]);
    let decisions: Vec<Decision> = match look {
        Look::Gate { gate, packets } => {
            let list = List::new(gate);
            packets.iter().flat_map(|cube| can::decisions(gate, &list, cube)).collect()
        }
        Look::Decided { decisions, .. } => decisions.clone(),
        Look::Passes { .. } => return all(),
        Look::Ends { .. } | Look::Depends { .. } => return Ranges::default(),
    };
    let port =
        |one: &Decision| wide(if back { one.packets.source_ports } else { one.packets.destination_ports });
    let of = |allowed: bool| {
        let own = decisions.iter().filter(|one| (one.outcome == Outcome::Allowed) == allowed);
        Ranges::new(own.map(port))
    };
    of(true).without(&of(false))
}
