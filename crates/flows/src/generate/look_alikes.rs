//! What looks like an attack and is none.

use super::scene::{Call, Scene};
use super::truth::{LookAlike, Truth};
use super::world::{Task, stranger};
use super::{DAY_S, Day};
use crate::record::Address;

type Act = fn(&Day, &mut Scene) -> Address;

const ACTS: &[(&str, Act)] = &[
    ("monitor_inside", monitor_inside),
    ("monitor_outside", monitor_outside),
    ("monitor_of_others", monitor_of_others),
    ("crawler_of_ours", crawler_of_ours),
    ("crawler_of_others", crawler_of_others),
    ("backup", backup),
    ("health_checks", health_checks),
    ("gateway", gateway),
    ("builds_over_ssh", builds_over_ssh),
    ("mail", mail),
    ("resolver", resolver),
    ("agents", agents),
    ("configuration_push", configuration_push),
    ("updates", updates),
    ("telemetry", telemetry),
    ("provider_time", provider_time),
];

/// Plants all of them.
pub fn plant(day: &Day, scene: &mut Scene, truth: &mut Truth) {
    for (kind, act) in ACTS {
        let entity = act(day, scene);
        truth.look_alikes.push(LookAlike { kind: (*kind).to_string(), entity: entity.to_string() });
    }
}

/// How many calls a look-alike makes on a day of this size: as much as at full size, if it is a hundredth of the day.
fn budget(day: &Day, share: f64) -> f64 {
    day.records as f64 * share
}

/// Times over the whole day at a steady pace.
fn every(day: &Day, seconds: f64) -> impl Iterator<Item = f64> {
    let (start, count) = (day.start as f64, (DAY_S as f64 / seconds) as u64);
    (0..count).map(move |turn| start + turn as f64 * seconds)
}

fn monitor_inside(day: &Day, scene: &mut Scene) -> Address {
    let monitor = scene.world.one(Task::Monitor);
    let hosts = scene.world.hosts.clone();
    let ports = [22, 9100, 443, scene.world.database_port, 8080];
    // Where an agent is missing or a group forbids it, the check is refused every time.
    let refused = scene.random.range(0.0, 0.8);
    let refuses: Vec<bool> = (0..hosts.len() * ports.len()).map(|_| scene.random.chance(refused)).collect();
    // A small day has fewer hosts under watch, not a slower watch.
    let full = hosts.len() as f64 * 3.0 * 4.0 * DAY_S as f64 / budget(day, 0.04);
    let pace = full.clamp(60.0, 1_200.0);
    let watched = (hosts.len() as f64 * pace / full).max(20.0) as usize;
    for at in every(day, pace) {
        let watched = hosts.iter().enumerate().filter(|(_, host)| host.task != Task::Monitor).take(watched);
        for (place, host) in watched {
            for (which, port) in ports.iter().enumerate().skip(place % 3).take(3) {
                let shift = scene.random.range(0.0, 10.0);
                let call = scene.tcp(monitor.address, host.address, *port, at + shift);
                // A few hosts have been down all day and are asked all the same.
                match place % 29 {
                    7 => scene.knock(call, false),
                    _ if refuses[place * ports.len() + which] => scene.knock(call, false),
                    _ if scene.random.chance(0.3) => {
                        scene.add(Call { sent: (4, 212), answered: (3, 156), ..call })
                    }
                    _ => scene.session(call, 150.0, 900.0, 0.2),
                }
            }
        }
    }
    monitor.address
}

/// A service outside that checks ours, the SSH banner included.
fn monitor_outside(day: &Day, scene: &mut Scene) -> Address {
    let source = stranger(&mut scene.random);
    let doors: Vec<_> = scene.world.hosts.iter().filter(|host| host.is_public).cloned().collect();
    for at in every(day, 120.0) {
        for door in doors.iter().take(6) {
            let port = if door.task == Task::Bastion { 22 } else { scene.world.web_port };
            let shift = scene.random.range(0.0, 3.0);
            let call = scene.tcp(source, door.address, port, at + shift);
            match door.task {
                Task::Gateway | Task::Mail => {}
                _ => scene.session(call, 250.0, 1_200.0, 0.3),
            }
        }
    }
    source
}

/// Ours checks partners' services every minute or so.
fn monitor_of_others(day: &Day, scene: &mut Scene) -> Address {
    let monitor = scene.world.one(Task::Monitor);
    let services: Vec<Address> = (0..12).map(|_| stranger(&mut scene.random)).collect();
    for at in every(day, 180.0) {
        for service in &services {
            let shift = scene.random.range(0.0, 4.0);
            let call = scene.tcp(monitor.address, *service, 443, at + shift);
            scene.session(call, 600.0, 5_000.0, 0.5);
        }
    }
    monitor.address
}

fn crawler_of_ours(day: &Day, scene: &mut Scene) -> Address {
    let crawler = scene.world.one(Task::Crawler);
    let wait = DAY_S as f64 * 2.0 / budget(day, 0.02);
    let mut at = day.start as f64;
    let sites: Vec<Address> =
        (0..(DAY_S as f64 / wait / 3.0) as usize + 10).map(|_| stranger(&mut scene.random)).collect();
    let dead = scene.random.range(0.02, 0.12);
    while at < (day.start + DAY_S) as f64 {
        at += scene.random.wait(wait);
        let site = *scene.random.pick(&sites);
        let port = if scene.random.chance(0.2) { 80 } else { 443 };
        let call = scene.tcp(crawler.address, site, port, at);
        if scene.random.chance(dead) {
            scene.knock(call, false);
            continue;
        }
        let answered = scene.random.around(40_000.0, 1.5);
        scene.session(call, 1_200.0, answered, 2.0);
    }
    crawler.address
}

fn crawler_of_others(day: &Day, scene: &mut Scene) -> Address {
    let crawler = stranger(&mut scene.random);
    let task = if scene.world.variant == super::Variant::Plain { Task::Balancer } else { Task::Web };
    let doors = scene.world.of(task);
    let wait = DAY_S as f64 * 2.0 / budget(day, 0.01);
    let mut at = day.start as f64;
    while at < (day.start + DAY_S) as f64 {
        at += scene.random.wait(wait);
        let door = scene.random.pick(&doors).address;
        let call = scene.tcp(crawler, door, scene.world.web_port, at);
        let answered = scene.random.around(20_000.0, 1.2);
        scene.session(call, 700.0, answered, 1.0);
    }
    crawler
}

fn backup(day: &Day, scene: &mut Scene) -> Address {
    let backup = scene.world.one(Task::Backup);
    let begin = day.start as f64 + scene.random.range(0.0, 20.0) * 3600.0;
    let hosts = scene.world.hosts.clone();
    for host in hosts.iter().filter(|host| host.task != Task::Backup) {
        for _ in 0..3 {
            let at = begin + scene.random.range(0.0, 3_600.0);
            let call = scene.tcp(backup.address, host.address, 22, at);
            let answered = scene.random.magnitude(2e5, 2e9);
            scene.session(call, 30_000.0, answered, 600.0);
        }
    }
    let store = stranger(&mut scene.random);
    for part in 0..200 {
        let call = scene.tcp(backup.address, store, 443, begin + f64::from(part) * 15.0);
        scene.session(call, 64e6, 20_000.0, 12.0);
    }
    backup.address
}

fn health_checks(day: &Day, scene: &mut Scene) -> Address {
    let balancers = scene.world.of(Task::Balancer);
    let webs = scene.world.of(Task::Web);
    let pace = (DAY_S as f64 * 4.0 * (webs.len() * 2) as f64 / budget(day, 0.02)).max(10.0);
    for at in every(day, pace) {
        for balancer in &balancers {
            for (place, web) in webs.iter().enumerate() {
                let call = scene.tcp(balancer.address, web.address, 8080, at);
                match place {
                    // Taken out, still checked.
                    0 => scene.knock(call, false),
                    _ if place % 2 == 0 => scene.add(Call { sent: (4, 212), answered: (3, 156), ..call }),
                    _ => scene.session(call, 120.0, 300.0, 0.1),
                }
            }
        }
    }
    balancers[0].address
}

/// Hosts without addresses of their own go out through it.
fn gateway(day: &Day, scene: &mut Scene) -> Address {
    let gateway = scene.world.one(Task::Gateway);
    let shells: Vec<Address> =
        (0..scene.random.magnitude(3.0, 1_500.0) as usize).map(|_| stranger(&mut scene.random)).collect();
    let wait = DAY_S as f64 * 2.0 / budget(day, 0.03);
    let mut at = day.start as f64;
    while at < (day.start + DAY_S) as f64 {
        at += scene.random.wait(wait);
        let (server, port) = match scene.random.below(0, 100) {
            0..60 => (*scene.random.pick(&scene.world.services), 443),
            60..80 => (stranger(&mut scene.random), 443),
            80..90 => (stranger(&mut scene.random), 80),
            // What sits behind it fetches and administers over SSH.
            90..96 => (*scene.random.pick(&shells), 22),
            _ => (stranger(&mut scene.random), *scene.random.pick(&[5222, 8080, 993, 587, 8883])),
        };
        let call = scene.tcp(gateway.address, server, port, at);
        if scene.random.chance(0.04) {
            scene.knock(call, false);
            continue;
        }
        let (sent, answered) = (scene.random.around(2_000.0, 1.2), scene.random.around(15_000.0, 1.8));
        scene.session(call, sent, answered, 5.0);
    }
    gateway.address
}

fn builds_over_ssh(day: &Day, scene: &mut Scene) -> Address {
    let builders = scene.world.of(Task::Builder);
    let forges: Vec<Address> = (0..scene.random.below(2, 9)).map(|_| stranger(&mut scene.random)).collect();
    let wait = scene.random.magnitude(20.0, 200.0);
    let mut at = day.start as f64;
    while at < (day.start + DAY_S) as f64 {
        at += scene.random.wait(wait);
        let builder = scene.random.pick(&builders).address;
        let forge = *scene.random.pick(&forges);
        // One build fetches several repositories at once.
        for repository in 0..scene.random.below(1, 6) {
            let call = scene.tcp(builder, forge, 22, at + repository as f64);
            let answered = if scene.random.chance(0.4) {
                scene.random.around(9_000.0, 0.3)
            } else {
                scene.random.around(200_000.0, 2.0)
            };
            scene.session(call, 5_000.0, answered, 4.0);
        }
    }
    builders[0].address
}

fn mail(day: &Day, scene: &mut Scene) -> Address {
    let mail = scene.world.one(Task::Mail);
    let wait = DAY_S as f64 * 2.0 / budget(day, 0.005);
    let (dead, mut at) = (scene.random.range(0.05, 0.35), day.start as f64);
    while at < (day.start + DAY_S) as f64 {
        at += scene.random.wait(wait);
        let call_at = at;
        let exchange = stranger(&mut scene.random);
        let call = scene.tcp(mail.address, exchange, 25, call_at);
        if scene.random.chance(dead) {
            scene.knock(call, false);
            continue;
        }
        let sent = scene.random.around(30_000.0, 1.3);
        scene.session(call, sent, 1_500.0, 4.0);
    }
    mail.address
}

fn resolver(day: &Day, scene: &mut Scene) -> Address {
    let resolvers = scene.world.of(Task::Resolver);
    let wait = DAY_S as f64 * 2.0 / budget(day, 0.03);
    let (lost, mut at) = (scene.random.range(0.01, 0.08), day.start as f64);
    while at < (day.start + DAY_S) as f64 {
        at += scene.random.wait(wait);
        let resolver = scene.random.pick(&resolvers).address;
        let server = stranger(&mut scene.random);
        let call = scene.udp(resolver, server, 53, at);
        let answer = scene.random.below(100, 900);
        let answered = if scene.random.chance(lost) { (0, 0) } else { (1, answer) };
        scene.add(Call { sent: (1, 80), answered, ..call });
    }
    resolvers[0].address
}

/// The same agent on every host reports to the same few addresses.
fn agents(day: &Day, scene: &mut Scene) -> Address {
    let hosts = scene.world.hosts.clone();
    let homes: Vec<Address> = (0..3).map(|_| stranger(&mut scene.random)).collect();
    let pace = (hosts.len() as f64 * 2.0 * DAY_S as f64 / budget(day, 0.03)).max(30.0);
    for at in every(day, pace) {
        for host in &hosts {
            let shift = scene.random.range(0.0, 2.0);
            let home = *scene.random.pick(&homes);
            let call = scene.tcp(host.address, home, 443, at + shift);
            scene.session(call, 1_800.0, 700.0, 0.4);
        }
    }
    homes[0]
}

fn configuration_push(day: &Day, scene: &mut Scene) -> Address {
    let bastion = scene.world.one(Task::Bastion);
    let hosts = scene.world.hosts.clone();
    for run in 0..4 {
        let begin = day.start as f64 + scene.random.range(0.0, 5.5) * 3600.0 + f64::from(run) * 6.0 * 3600.0;
        for host in hosts.iter().filter(|host| host.task != Task::Bastion) {
            for _ in 0..scene.random.below(1, 4) {
                let at = begin + scene.random.range(0.0, 300.0);
                let call = scene.tcp(bastion.address, host.address, 22, at);
                if scene.random.chance(0.03) {
                    scene.knock(call, false);
                    continue;
                }
                let sent = scene.random.around(15_000.0, 0.8);
                scene.session(call, sent, 8_000.0, 5.0);
            }
        }
    }
    bastion.address
}

fn updates(day: &Day, scene: &mut Scene) -> Address {
    let hosts = scene.world.hosts.clone();
    for host in &hosts {
        for _ in 0..4 {
            let at = day.start as f64 + scene.random.range(0.0, DAY_S as f64);
            let mirror = scene.world.services[scene.random.below(5, 9) as usize];
            let call = scene.tcp(host.address, mirror, 80, at);
            let answered = scene.random.magnitude(1e4, 1e8);
            scene.session(call, 3_000.0, answered, 20.0);
        }
    }
    hosts[0].address
}

/// The provider's clock at a link-local address, asked from the time port itself.
fn provider_time(day: &Day, scene: &mut Scene) -> Address {
    let clock = Address::v4(0xa9fe_a97b);
    let hosts = scene.world.hosts.clone();
    let pace = (hosts.len() as f64 * 2.0 * DAY_S as f64 / budget(day, 0.02)).max(64.0);
    for at in every(day, pace) {
        for host in &hosts {
            let shift = scene.random.range(0.0, pace * 0.9);
            let call = scene.udp(host.address, clock, 123, at + shift);
            scene.add(Call { client_port: 123, sent: (1, 76), answered: (1, 76), ..call });
        }
    }
    clock
}

/// Logs and counters over UDP: one way all day.
fn telemetry(day: &Day, scene: &mut Scene) -> Address {
    let monitor = scene.world.one(Task::Monitor);
    let hosts = scene.world.hosts.clone();
    let port = *scene.random.pick(&[514, 8125, 2055]);
    let full = hosts.len() as f64 * 2.0 * DAY_S as f64 / budget(day, 0.02);
    let pace = full.clamp(60.0, 1_200.0);
    let senders = (hosts.len() as f64 * pace / full).max(3.0) as usize;
    for at in every(day, pace) {
        for host in hosts.iter().filter(|host| host.task != Task::Monitor).take(senders) {
            let packets = scene.random.below(5, 400);
            let call = scene.udp(host.address, monitor.address, port, at);
            scene.add(Call { client_port: 40_000 + port, sent: (packets, packets * 300), ..call });
        }
    }
    monitor.address
}
