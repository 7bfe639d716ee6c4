//! Packets on their way: what they were, what they are, what is not sure about them.

use super::RuleRef;
use crate::place::both;
use crate::space::Cube;
use netwhy_model::Text;

/// How many reasons of doubt are kept.
const DOUBT_COUNT_MAX: usize = 16;

/// Which fields of a packet are no longer those it came with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub source: bool,
    pub destination: bool,
    pub source_ports: bool,
    pub destination_ports: bool,
    pub state: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Flow {
    pub origin: Cube,
    pub now: Cube,
    pub moved: Moved,
    pub mark: Option<u32>,
    /// The mark of its connection: if that is new, if it is not.
    pub ct_marks: [Option<u32>; 2],
    /// Connection tracking was told to leave it alone.
    pub untracked: bool,
    /// NAT of this hook is done.
    pub translated_here: bool,
    /// Sent to this host by `redirect`.
    pub local: bool,
    pub rules: Vec<RuleRef>,
    /// A rule of the base chain at hand may have accepted it.
    pub may_accept: bool,
    /// A rule may have dropped it.
    pub may_drop: bool,
    /// Why it may have been.
    pub doubts: Vec<Text>,
    /// What makes every verdict unsure.
    pub unsure: Vec<Text>,
}

impl Flow {
    pub fn new(cube: Cube) -> Flow {
        Flow {
            origin: cube,
            now: cube,
            moved: Moved::default(),
            mark: Some(0),
            ct_marks: [Some(0), None],
            untracked: false,
            translated_here: false,
            local: false,
            rules: Vec::new(),
            may_accept: false,
            may_drop: false,
            doubts: Vec::new(),
            unsure: Vec::new(),
        }
    }

    pub fn doubt(&mut self, reasons: &[Text]) {
        add(&mut self.doubts, reasons);
    }

    pub fn lose(&mut self, reasons: &[Text]) {
        add(&mut self.unsure, reasons);
    }

    /// Whether it goes on to the host itself. NAT of its destination sends it elsewhere, or here.
    pub fn stays(&self, destined_here: bool) -> bool {
        let loops = match self.now.family {
            crate::space::Family::V4 => {
                self.now.destination.0 >> 24 == 127 && self.now.destination.1 >> 24 == 127
            }
            crate::space::Family::V6 => self.now.destination == (1, 1),
        };
        match self.moved.destination {
            true => self.local || loops,
            false => destined_here,
        }
    }

    /// The part of it that is in a cube of its own.
    fn part(&self, cube: Cube) -> Flow {
        let mut flow = Flow { now: cube, ..self.clone() };
        let moved = self.moved;
        if !moved.source {
            flow.origin.source = cube.source;
        }
        if !moved.destination {
            flow.origin.destination = cube.destination;
        }
        if !moved.source_ports {
            flow.origin.source_ports = cube.source_ports;
        }
        if !moved.destination_ports {
            flow.origin.destination_ports = cube.destination_ports;
        }
        if !moved.state {
            flow.origin.state = cube.state;
        }
        flow.origin.protocols = cube.protocols;
        flow.origin.flags = cube.flags;
        flow.origin.from = cube.from;
        flow.origin.to = cube.to;
        let before = &self.now;
        let chosen = (moved.source && before.source != cube.source)
            || (moved.destination && before.destination != cube.destination)
            || (moved.source_ports && before.source_ports != cube.source_ports)
            || (moved.destination_ports && before.destination_ports != cube.destination_ports)
            || (moved.state && before.state != cube.state);
        if chosen {
            flow.lose(&[both(
                "it depends on the address or port that NAT chooses",
                "取决于 NAT 选择的地址或端口",
            )]);
        }
        flow
    }

    /// The parts in these cubes, and the parts in none of them.
    pub fn split(self, hits: &[Cube]) -> (Vec<Flow>, Vec<Flow>) {
        if let [hit] = hits
            && *hit == self.now
        {
            return (vec![self], Vec::new());
        }
        let mut left = vec![self.now];
        let mut inside = Vec::with_capacity(hits.len());
        for hit in hits {
            // What an earlier cube took is not taken again.
            inside.extend(left.iter().filter_map(|cube| cube.and(hit)));
            left = crate::space::subtract(&left, hit);
        }
        let parts = |cubes: Vec<Cube>| cubes.into_iter().map(|cube| self.part(cube)).collect();
        (parts(inside), parts(left))
    }
}

fn add(list: &mut Vec<Text>, reasons: &[Text]) {
    for reason in reasons {
        if list.len() < DOUBT_COUNT_MAX && !list.contains(reason) {
            list.push(reason.clone());
        }
    }
}
