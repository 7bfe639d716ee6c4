//! What goes on every day: visits, queries, names, time, updates, and the knocking of the internet.

use super::random::Random;
use super::scene::{Call, Scene};
use super::world::{Host, Task, World, stranger};
use super::{PART_COUNT, PART_S};
use crate::record::Address;

/// Ports that the internet knocks at, the favourites more often.
const KNOCKED: &[u16] = &[
    22, 22, 23, 23, 23, 80, 443, 445, 445, 3389, 3389, 8080, 8443, 2222, 2323, 5900, 6379, 1433, 3306, 5432,
    9200, 27017, 81, 8000, 8888, 7547, 5555, 60023, 37215, 52869, 21, 25, 110, 5060, 10000, 2375, 11211,
];

/// The share of the day's traffic in each part.
pub fn day_curve(random: &mut Random) -> Vec<f64> {
    let (depth, peak) = (random.range(0.2, 0.75), random.range(0.0, 1.0));
    let height = |part: usize| {
        let phase = part as f64 / PART_COUNT as f64 - peak;
        1.0 + depth * (std::f64::consts::TAU * phase).cos()
    };
    let sum: f64 = (0..PART_COUNT).map(height).sum();
    (0..PART_COUNT).map(|part| height(part) / sum).collect()
}

/// Fills ten minutes with about `records` records.
pub fn fill(scene: &mut Scene, start: i64, records: f64) {
    let end = records as usize;
    // Strangers that come again in this part.
    let knockers: Vec<Address> = {
        let mut fixed = Random::new(scene.world.visitors[0].0 as u64);
        (0..400).map(|_| stranger(&mut fixed)).collect()
    };
    // Every turn adds at least one record, so that this ends.
    while scene.flows.len() < end {
        let at = start as f64 + scene.random.range(0.0, PART_S as f64);
        match scene.random.below(0, 1000) {
            0..520 => visit(scene, at),
            520..700 => query(scene, at),
            700..800 => name(scene, at),
            800..900 => outside(scene, at),
            900..930 => time(scene, at),
            930..975 => radiation(scene, at, &knockers),
            975..985 => open_connection(scene, at),
            985..990 => log_in(scene, at),
            _ => stale(scene, at),
        }
    }
}

fn any(scene: &mut Scene, tasks: &[Task]) -> Host {
    let task = *scene.random.pick(tasks);
    let list: Vec<&Host> = scene.world.hosts.iter().filter(|host| host.task == task).collect();
    (*scene.random.pick(&list)).clone()
}

/// The few come often: the square of a uniform number.
fn visitor(scene: &mut Scene) -> Address {
    let count = scene.world.visitors.len() as f64;
    scene.world.visitors[(scene.random.unit().powi(2) * count) as usize]
}

fn visit(scene: &mut Scene, at: f64) {
    let client = visitor(scene);
    let front = if scene.world.variant == super::Variant::Plain { Task::Balancer } else { Task::Web };
    let door = any(scene, &[front]);
    let port = if scene.random.chance(0.1) { 80 } else { scene.world.web_port };
    let (sent, answered) = (scene.random.around(900.0, 0.6), scene.random.around(9_000.0, 1.4));
    let seconds = scene.random.magnitude(0.05, 90.0);
    let call = scene.tcp(client, door.address, port, at);
    match scene.random.below(0, 100) {
        // Left-over pieces and clients that went away.
        0..3 => {
            let packets = scene.random.below(1, 4);
            scene.add(Call { sent: (packets, packets * 52), answered: (1, 52), ..call });
        }
        _ => scene.session(call, sent, answered, seconds),
    }
    if front == Task::Balancer {
        let web = any(scene, &[Task::Web]);
        let call = scene.tcp(door.address, web.address, 8080, at);
        scene.session(call, sent, answered, seconds.min(3.0));
    }
}

fn query(scene: &mut Scene, at: f64) {
    let client = any(scene, &[Task::Web, Task::Worker]);
    let (server, port) = match scene.random.chance(0.7) {
        true => (any(scene, &[Task::Database]), scene.world.database_port),
        false => (any(scene, &[Task::Cache]), 6379),
    };
    let call = scene.tcp(client.address, server.address, port, at);
    let (sent, answered) = (scene.random.around(700.0, 0.8), scene.random.around(3_000.0, 1.2));
    let seconds = scene.random.magnitude(0.01, 20.0);
    scene.session(call, sent, answered, seconds);
}

fn name(scene: &mut Scene, at: f64) {
    let (client, server) =
        (any(scene, &[Task::Web, Task::Worker, Task::Mail, Task::Crawler]), any(scene, &[Task::Resolver]));
    let call = scene.udp(client.address, server.address, 53, at);
    let answer = scene.random.below(90, 400);
    scene.add(Call { sent: (1, 72), answered: (1, answer), ..call });
}

fn outside(scene: &mut Scene, at: f64) {
    let client = any(scene, &[Task::Web, Task::Worker, Task::Builder]);
    let count = scene.world.services.len();
    let server = scene.world.services[(scene.random.unit().powi(3) * count as f64) as usize];
    let port = if scene.random.chance(0.1) { 80 } else { 443 };
    let call = scene.tcp(client.address, server, port, at);
    if scene.random.chance(0.01) {
        return scene.knock(call, false);
    }
    let (sent, answered) = (scene.random.around(1_500.0, 1.0), scene.random.around(8_000.0, 1.8));
    let seconds = scene.random.magnitude(0.1, 120.0);
    scene.session(call, sent, answered, seconds);
}

fn time(scene: &mut Scene, at: f64) {
    let host = any(scene, &[Task::Web, Task::Worker, Task::Database]);
    let place = scene.random.below(0, 4) as usize;
    let call = scene.udp(host.address, scene.world.services[place], 123, at);
    let call = if scene.random.chance(0.5) { Call { client_port: 123, ..call } } else { call };
    let answered = if scene.random.chance(0.05) { (0, 0) } else { (1, 76) };
    scene.add(Call { sent: (1, 76), answered, ..call });
}

/// Pools and channels that stay open: the same ports in every window.
fn open_connection(scene: &mut Scene, at: f64) {
    let client = any(scene, &[Task::Worker, Task::Web]);
    let server = scene.world.services[10 + scene.random.below(0, 5) as usize];
    let call = scene.tcp(client.address, server, 443, at);
    let (sent, answered) = (scene.random.around(40_000.0, 1.0), scene.random.around(60_000.0, 1.0));
    let seconds = scene.random.magnitude(300.0, 5_000.0);
    scene.session(call, sent, answered, seconds);
}

/// Administrators at work.
fn log_in(scene: &mut Scene, at: f64) {
    let admin = scene.world.visitors[scene.random.below(1, 5) as usize];
    let bastion = scene.world.one(Task::Bastion);
    let call = scene.tcp(admin, bastion.address, 22, at);
    let (sent, answered) = (scene.random.around(20_000.0, 1.2), scene.random.around(80_000.0, 1.5));
    let seconds = scene.random.magnitude(20.0, 3_000.0);
    scene.session(call, sent, answered, seconds);
}

/// A client whose server moved away.
fn stale(scene: &mut Scene, at: f64) {
    let client = any(scene, &[Task::Worker]);
    let gone = Address(client.address.0 ^ 0x1_0000);
    let call = scene.tcp(client.address, gone, 9092, at);
    let rejected = scene.random.chance(0.3);
    scene.knock(call, rejected);
}

fn radiation(scene: &mut Scene, at: f64, knockers: &[Address]) {
    let public: Vec<Host> = scene.world.hosts.iter().filter(|host| host.is_public).cloned().collect();
    let source =
        if scene.random.chance(0.5) { *scene.random.pick(knockers) } else { stranger(&mut scene.random) };
    let port = *scene.random.pick(KNOCKED);
    let doors =
        if scene.random.chance(0.15) { public.clone() } else { vec![scene.random.pick(&public).clone()] };
    for (place, door) in doors.iter().enumerate() {
        let call = scene.tcp(source, door.address, port, at + place as f64 * 0.3);
        match (is_open(scene.world, door, port), port) {
            (true, 22) => {
                for attempt in 0..scene.random.below(1, 4) {
                    let call = scene.tcp(source, door.address, 22, at + 4.0 * attempt as f64);
                    let sent = scene.random.around(1_700.0, 0.15);
                    scene.session(call, sent, 2_200.0, 3.0);
                }
            }
            (true, _) => scene.session(call, 200.0, 600.0, 1.0),
            (false, _) => {
                scene.knock(call, true);
                scene.scanners.push(source);
            }
        }
    }
}

fn is_open(world: &World, door: &Host, port: u16) -> bool {
    match door.task {
        Task::Bastion => port == 22,
        Task::Mail => port == 25,
        Task::Balancer | Task::Web => port == world.web_port || port == 80,
        _ => false,
    }
}
