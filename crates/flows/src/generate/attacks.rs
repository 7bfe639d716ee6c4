//! The planted attacks: each day has fourteen of them, drawn from more kinds, their numbers from wide ranges.

mod inbound;
mod outbound;

use super::random::Random;
use super::scene::Scene;
use super::truth::{Attack, Truth};
use super::world::{Host, Task};
use super::{ATTACK_COUNT, DAY_S, Day};
use crate::record::Address;

/// What one attack needs to be planted.
struct Stage<'s, 'w> {
    scene: &'s mut Scene<'w>,
    day: &'s Day,
    /// The host of ours it is about.
    host: Host,
}

/// What was planted.
struct Act {
    ids: Vec<String>,
    attackers: Vec<Address>,
    victims: Vec<Address>,
    port: u16,
}

type Plant = fn(&mut Stage) -> Act;

/// What host an attack happens on.
#[derive(Clone, Copy)]
enum Where {
    Inside,
    Public,
    Bastion,
}

const KINDS: &[(&str, Where, Plant)] = &[
    ("ssh_out_many", Where::Inside, outbound::ssh_many),
    ("ssh_out_one", Where::Inside, outbound::ssh_one),
    ("guessing_out", Where::Inside, outbound::guessing_many),
    ("guessing_out_few", Where::Inside, outbound::guessing_few),
    ("guessing_out_one", Where::Inside, outbound::guessing_one),
    ("scan_out_horizontal", Where::Inside, outbound::scan_horizontal),
    ("scan_out_vertical", Where::Inside, outbound::scan_vertical),
    ("scan_out_slow", Where::Inside, outbound::scan_slow),
    ("scan_out_inside", Where::Inside, outbound::scan_inside),
    ("syn_flood_out", Where::Inside, outbound::syn_flood),
    ("udp_flood_out", Where::Inside, outbound::udp_flood),
    ("reflector", Where::Public, outbound::reflector),
    ("beacon", Where::Inside, outbound::beacon),
    ("beacon_slow", Where::Inside, outbound::beacon_slow),
    ("scan_in_vertical", Where::Public, inbound::scan_vertical),
    ("scan_in_horizontal", Where::Public, inbound::scan_horizontal),
    ("syn_flood_in", Where::Public, inbound::syn_flood),
    ("udp_flood_in", Where::Public, inbound::udp_flood),
    ("amplified_in", Where::Public, inbound::amplified),
    ("ssh_in_one", Where::Bastion, inbound::ssh_one),
    ("ssh_in_many", Where::Bastion, inbound::ssh_many),
    ("break_in", Where::Public, inbound::break_in),
];

/// Plants the day's attacks, each on a host of its own.
pub fn plant(day: &Day, scene: &mut Scene, truth: &mut Truth) {
    let mut kinds: Vec<_> = KINDS.to_vec();
    scene.random.shuffle(&mut kinds);
    let is = |tasks: &'static [Task]| move |host: &&Host| tasks.contains(&host.task) && host.is_logged;
    let mut inside: Vec<Host> =
        scene.world.hosts.iter().filter(is(&[Task::Worker, Task::Web, Task::Cache])).cloned().collect();
    let mut public: Vec<Host> = scene
        .world
        .hosts
        .iter()
        .filter(|host| host.is_public && host.task != Task::Gateway)
        .cloned()
        .collect();
    scene.random.shuffle(&mut inside);
    scene.random.shuffle(&mut public);
    let bastion = scene.world.one(Task::Bastion);
    let mut turn = 0;
    for (kind, place, plant) in kinds.into_iter().take(ATTACK_COUNT) {
        turn += 1;
        let host = match place {
            Where::Inside => inside[turn % inside.len()].clone(),
            Where::Public => public[turn % public.len()].clone(),
            Where::Bastion => bastion.clone(),
        };
        let before = scene.flows.len();
        let act = plant(&mut Stage { scene, day, host });
        let planted = &scene.flows[before..];
        let start = planted.iter().map(|flow| flow.start_ms).min().unwrap_or(0) / 1000;
        let end = planted.iter().map(|flow| flow.end_ms).max().unwrap_or(0) / 1000;
        truth.attacks.push(Attack {
            ids: act.ids,
            kind: kind.to_string(),
            attackers: Truth::names(&act.attackers),
            victims: Truth::names(&act.victims),
            port: act.port,
            start,
            end,
            records: planted.len() as u64,
        });
    }
}

impl Stage<'_, '_> {
    fn random(&mut self) -> &mut Random {
        &mut self.scene.random
    }

    /// A number that intensity scales.
    fn scaled(&mut self, low: f64, high: f64) -> usize {
        let full = self.scene.random.magnitude(low, high);
        (full * self.day.intensity).max(1.0) as usize
    }

    /// When an attack of this many seconds may begin.
    fn begin(&mut self, seconds: f64) -> f64 {
        let last = (DAY_S as f64 - seconds - 60.0).max(1.0);
        self.day.start as f64 + self.scene.random.range(0.0, last)
    }

    /// Moments of an attack, in order.
    fn moments(&mut self, count: usize, seconds: f64) -> Vec<f64> {
        let begin = self.begin(seconds);
        let mut moments: Vec<f64> =
            (0..count).map(|_| begin + self.scene.random.range(0.0, seconds)).collect();
        moments.sort_by(f64::total_cmp);
        moments
    }

    /// How much of a full day this one is: floods would drown a small one.
    fn scale(&self) -> f64 {
        (self.day.records as f64 / 2e6).clamp(0.04, 1.0)
    }
}

fn act(ids: &[&str], attackers: Vec<Address>, victims: Vec<Address>, port: u16) -> Act {
    Act { ids: ids.iter().map(|id| (*id).to_string()).collect(), attackers, victims, port }
}
