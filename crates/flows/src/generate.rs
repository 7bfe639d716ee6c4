//! Days of flow logs with planted attacks and what looks like them, and the truth about them; always the same for a seed.
//!
//! Nothing here knows how the detectors work: attacks are drawn from wide ranges of what attackers do.

mod attacks;
mod background;
mod look_alikes;
mod random;
mod scene;
mod text;
mod truth;
mod world;

pub use text::Writer;
pub use truth::{Attack, LookAlike, Score, Truth};

use crate::names::Names;
use crate::record::{Flow, Status};
use random::Random;
use scene::Scene;
use std::collections::BTreeSet;
use world::World;

/// How many attacks a day has.
pub const ATTACK_COUNT: usize = 14;
const DAY_S: i64 = 86_400;
/// The day is made in parts of this length.
const PART_S: i64 = 600;
const PART_COUNT: usize = (DAY_S / PART_S) as usize;
/// One in so many rows tells that an interface saw nothing.
const NO_DATA_EVERY: usize = 2_000;

/// Which estate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Variant {
    /// Balancers in front, private addresses, every interface logged.
    #[default]
    Plain,
    /// Hosts face the internet, other address plans and ports, not every interface logged.
    Other,
}

/// A day to be drawn.
#[derive(Debug, Clone)]
pub struct Day {
    pub seed: u64,
    /// About how many records; what is planted comes on top where this is small.
    pub records: u64,
    /// Scales what the attacks do: 1 is full.
    pub intensity: f64,
    pub variant: Variant,
    /// Midnight, in seconds since 1970.
    pub start: i64,
}

impl Default for Day {
    fn default() -> Day {
        Day { seed: 1, records: 200_000, intensity: 1.0, variant: Variant::Plain, start: 1_767_225_600 }
    }
}

impl Day {
    /// Draws the day: gives every record in the order of writing, and returns the truth.
    pub fn draw(&self, names: &Names, mut each: impl FnMut(&Flow)) -> Truth {
        let mut random = Random::new(self.seed);
        let world = World::new(&mut random, names, self.variant, self.records as usize / 60);
        let mut truth = Truth { seed: self.seed, intensity: self.intensity, ..Truth::default() };
        let mut planted = Scene::new(&world, random.fork(1));
        attacks::plant(self, &mut planted, &mut truth);
        let attack_records = planted.flows.len();
        look_alikes::plant(self, &mut planted, &mut truth);
        let mut parts: Vec<Vec<Flow>> = vec![Vec::new(); PART_COUNT + 2];
        let mut late = random.fork(2);
        let look_alike_records = planted.flows.len() - attack_records;
        for flow in planted.flows {
            self.file(&world, flow, &mut parts, &mut late);
        }
        let rest = (self.records as f64 - attack_records as f64 - look_alike_records as f64)
            .max(self.records as f64 * 0.2);
        let shares = background::day_curve(&mut random);
        let mut scanners = BTreeSet::new();
        for part in 0..PART_COUNT {
            let mut scene = Scene::new(&world, random.fork(part as u64 + 10));
            background::fill(&mut scene, self.start + part as i64 * PART_S, rest * shares[part]);
            scanners.extend(std::mem::take(&mut scene.scanners));
            for flow in scene.flows {
                self.file(&world, flow, &mut parts, &mut late);
            }
            truth.records += self.write(&world, std::mem::take(&mut parts[part]), &mut each);
        }
        for rest in parts.into_iter().skip(PART_COUNT) {
            truth.records += self.write(&world, rest, &mut each);
        }
        truth.scanners = Truth::names(&Vec::from_iter(scanners));
        truth
    }

    /// Puts a record where it is written: after its window, and later.
    fn file(&self, world: &World, flow: Flow, parts: &mut [Vec<Flow>], late: &mut Random) {
        let seconds = flow.start_ms / 1000;
        if seconds < self.start || seconds >= self.start + DAY_S {
            return;
        }
        let window_end = (seconds / world.window_s + 1) * world.window_s;
        // A window of an interface is delivered as a whole; elsewhere each record comes when it likes.
        let mut batch = Random::new((flow.interface.0 as u64) << 32 ^ window_end as u64);
        let source = if self.variant == Variant::Plain { &mut batch } else { late };
        let written = window_end - self.start + source.below(0, world.late_s as u64 + 1) as i64;
        let part = ((written / PART_S) as usize).min(parts.len() - 1);
        // Kept for the sorting within the part.
        parts[part].push(Flow { offset: written as u64, ..flow });
    }

    fn write(&self, world: &World, mut flows: Vec<Flow>, each: &mut impl FnMut(&Flow)) -> u64 {
        flows.sort_by_key(|flow| (flow.offset, flow.interface, flow.start_ms));
        let mut count = 0;
        for (place, flow) in flows.iter().enumerate() {
            if place % NO_DATA_EVERY == NO_DATA_EVERY - 1 {
                let host = &world.hosts[place / NO_DATA_EVERY % world.hosts.len()];
                each(&Flow {
                    start_ms: flow.start_ms,
                    end_ms: flow.end_ms,
                    interface: host.interface,
                    account: host.account,
                    status: Status::NoData,
                    ..Flow::default()
                });
                count += 1;
            }
            each(&Flow { offset: 0, ..*flow });
            count += 1;
        }
        count
    }
}
