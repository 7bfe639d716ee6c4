//! Our own hosts as attackers.

use super::super::scene::Call;
use super::super::world::stranger;
use super::{Act, Stage, act};
use crate::detect::UDP;
use crate::record::Address;

fn strangers(stage: &mut Stage, count: usize) -> Vec<Address> {
    (0..count.max(1)).map(|_| stranger(stage.random())).collect()
}

/// One attempt to log in: a short exchange.
pub fn attempt(stage: &mut Stage, client: Address, server: Address, port: u16, at: f64) {
    let call = stage.scene.tcp(client, server, port, at);
    let (sent, answered) = (stage.random().around(1_600.0, 0.25), stage.random().around(2_200.0, 0.25));
    let seconds = stage.random().range(0.5, 8.0);
    stage.scene.session(call, sent, answered, seconds);
}

fn guess(stage: &mut Stage, targets: &[Address], port: u16, count: usize, seconds: f64, dead: f64) {
    let client = stage.host.address;
    let is_dead: Vec<bool> = targets.iter().map(|_| stage.random().chance(dead)).collect();
    let rejected = stage.random().chance(0.15);
    for (turn, at) in stage.moments(count, seconds).into_iter().enumerate() {
        let target = turn % targets.len();
        if is_dead[target] {
            let call = stage.scene.tcp(client, targets[target], port, at);
            stage.scene.knock(call, rejected);
        } else {
            attempt(stage, client, targets[target], port, at);
        }
    }
}

pub fn ssh_many(stage: &mut Stage) -> Act {
    let count = stage.scaled(300.0, 7_000.0);
    let targets = strangers(stage, count);
    let dead = stage.random().range(0.3, 0.97);
    let tries = stage.random().range(1.0, 4.0);
    let seconds = stage.random().magnitude(900.0, 14_400.0);
    guess(stage, &targets, 22, (count as f64 * tries) as usize, seconds, dead);
    act(&["attack.outbound.ssh_bruteforce"], vec![stage.host.address], targets, 22)
}

pub fn ssh_one(stage: &mut Stage) -> Act {
    let count = stage.scaled(300.0, 5_000.0);
    let targets = strangers(stage, 1);
    let seconds = stage.random().magnitude(600.0, 10_800.0);
    guess(stage, &targets, 22, count, seconds, 0.0);
    act(&["attack.outbound.ssh_bruteforce"], vec![stage.host.address], targets, 22)
}

pub fn guessing_many(stage: &mut Stage) -> Act {
    let (port, name) = *stage.random().pick(&[
        (3389, "rdp"),
        (23, "telnet"),
        (445, "smb"),
        (3306, "database"),
        (5432, "database"),
        (1433, "database"),
    ]);
    let count = stage.scaled(200.0, 5_000.0);
    let targets = strangers(stage, count);
    let dead = stage.random().range(0.3, 0.9);
    let seconds = stage.random().magnitude(900.0, 14_400.0);
    guess(stage, &targets, port, count * 2, seconds, dead);
    act(&[&format!("attack.outbound.{name}_bruteforce")], vec![stage.host.address], targets, port)
}

/// A handful of targets, patiently.
pub fn guessing_few(stage: &mut Stage) -> Act {
    let (port, name) = *stage.random().pick(&[(3389, "rdp"), (445, "smb"), (22, "ssh"), (5432, "database")]);
    let few = stage.random().below(2, 12) as usize;
    let targets = strangers(stage, few);
    let count = stage.scaled(1_500.0, 5_000.0);
    let seconds = stage.random().magnitude(1_800.0, 10_800.0);
    guess(stage, &targets, port, count, seconds, 0.0);
    act(&[&format!("attack.outbound.{name}_bruteforce")], vec![stage.host.address], targets, port)
}

pub fn guessing_one(stage: &mut Stage) -> Act {
    let (port, name) =
        *stage.random().pick(&[(3389, "rdp"), (1433, "database"), (3306, "database"), (23, "telnet")]);
    let count = stage.scaled(400.0, 6_000.0);
    let targets = strangers(stage, 1);
    let seconds = stage.random().magnitude(600.0, 7_200.0);
    guess(stage, &targets, port, count, seconds, 0.0);
    act(&[&format!("attack.outbound.{name}_bruteforce")], vec![stage.host.address], targets, port)
}

fn scan(stage: &mut Stage, targets: &[Address], ports: &[u16], seconds: f64, open: f64) {
    let client = stage.host.address;
    let rejected = stage.random().chance(0.3);
    let mut pairs: Vec<(Address, u16)> =
        targets.iter().flat_map(|target| ports.iter().map(|port| (*target, *port))).collect();
    stage.random().shuffle(&mut pairs);
    for ((target, port), at) in pairs.clone().into_iter().zip(stage.moments(pairs.len(), seconds)) {
        let call = stage.scene.tcp(client, target, port, at);
        if stage.random().chance(open) {
            stage.scene.add(Call { sent: (3, 144), answered: (2, 104), ..call });
        } else {
            stage.scene.knock(call, rejected);
        }
    }
}

pub fn scan_horizontal(stage: &mut Stage) -> Act {
    let count = stage.scaled(400.0, 10_000.0);
    let targets = strangers(stage, count);
    let port = *stage.random().pick(&[80, 443, 8080, 6379, 445, 5555, 9200, 25, 8443, 7001, 37215]);
    let seconds = stage.random().magnitude(120.0, 7_200.0);
    let open = stage.random().range(0.0, 0.2);
    scan(stage, &targets, &[port], seconds, open);
    act(&["attack.outbound.port_scan"], vec![stage.host.address], targets, port)
}

pub fn scan_vertical(stage: &mut Stage) -> Act {
    let count = stage.scaled(500.0, 5_000.0);
    let hosts = stage.random().below(1, 4) as usize;
    let targets = strangers(stage, hosts);
    let mut ports: Vec<u16> = (1..=if stage.random().chance(0.5) { 10_000 } else { 65_535 }).collect();
    stage.random().shuffle(&mut ports);
    ports.truncate(count);
    let seconds = stage.random().magnitude(60.0, 3_600.0);
    scan(stage, &targets, &ports, seconds, 0.01);
    act(&["attack.outbound.port_scan"], vec![stage.host.address], targets, 0)
}

pub fn scan_slow(stage: &mut Stage) -> Act {
    let count = stage.scaled(300.0, 1_500.0);
    let targets = strangers(stage, count);
    let port = *stage.random().pick(&[22, 80, 443, 445, 3389, 8080, 6379]);
    let seconds = stage.random().range(36_000.0, 84_000.0);
    scan(stage, &targets, &[port], seconds, 0.05);
    let ids = ["attack.outbound.port_scan", "attack.outbound.ssh_bruteforce"];
    act(&ids[..if port == 22 { 2 } else { 1 }], vec![stage.host.address], targets, port)
}

/// Looking around in our own network.
pub fn scan_inside(stage: &mut Stage) -> Act {
    let base = stage.host.address.as_v4().unwrap_or(0) & 0xffff_ff00;
    let count = stage.scaled(200.0, 2_000.0);
    let targets: Vec<Address> = (0..count as u32)
        .map(|step| Address::v4(base + step))
        .filter(|one| *one != stage.host.address)
        .collect();
    let port = *stage.random().pick(&[22, 445, 3306, 6379, 8080]);
    let seconds = stage.random().magnitude(60.0, 3_600.0);
    scan(stage, &targets, &[port], seconds, 0.02);
    let ids = ["attack.outbound.port_scan", "attack.outbound.ssh_bruteforce"];
    act(&ids[..if port == 22 { 2 } else { 1 }], vec![stage.host.address], targets, port)
}

pub fn syn_flood(stage: &mut Stage) -> Act {
    let scale = stage.scale();
    let count = stage.scaled(8_000.0, 200_000.0 * scale);
    let victim = stranger(stage.random());
    let port = *stage.random().pick(&[80, 443, 22, 25565, 8080]);
    let seconds = stage.random().magnitude(120.0, 2_400.0);
    for at in stage.moments(count, seconds) {
        let call = Call {
            client_port: stage.random().below(1024, 65_536) as u16,
            ..stage.scene.tcp(stage.host.address, victim, port, at)
        };
        let answered = if stage.random().chance(0.05) { (1, 44) } else { (0, 0) };
        let (packets, size) = (stage.random().below(1, 4), *stage.random().pick(&[40, 44, 60]));
        stage.scene.add(Call { sent: (packets, packets * size), answered, ..call });
    }
    act(&["attack.outbound.syn_flood"], vec![stage.host.address], vec![victim], port)
}

pub fn udp_flood(stage: &mut Stage) -> Act {
    let scale = stage.scale();
    let victim = stranger(stage.random());
    let seconds = stage.random().magnitude(120.0, 3_600.0);
    let fixed = *stage.random().pick(&[0, 53, 80, 443, 27_015]);
    let size = stage.random().below(60, 1_400);
    // Many small records, or few that count very much.
    let many = stage.random().chance(0.6);
    let count =
        if many { stage.scaled(30_000.0 * scale, 100_000.0 * scale) } else { stage.scaled(100.0, 400.0) };
    for at in stage.moments(count, seconds) {
        let port = if fixed == 0 { stage.random().below(1, 65_536) as u16 } else { fixed };
        let packets = if many { stage.random().below(1, 40) } else { stage.random().below(5_000, 100_000) };
        let call = stage.scene.udp(stage.host.address, victim, port, at);
        stage.scene.add(Call { sent: (packets, packets * size), protocol: UDP, ..call });
    }
    act(&["attack.outbound.udp_flood"], vec![stage.host.address], vec![victim], fixed)
}

/// A service of ours that answers forged questions.
pub fn reflector(stage: &mut Stage) -> Act {
    let victim = stranger(stage.random());
    let port = *stage.random().pick(&[53, 123, 389, 1900, 11_211]);
    let count = stage.scaled(3_000.0, 30_000.0);
    let ratio = stage.random().magnitude(10.0, 400.0);
    let seconds = stage.random().magnitude(300.0, 7_200.0);
    for at in stage.moments(count, seconds) {
        let packets = stage.random().below(5, 60);
        let call = stage.scene.udp(victim, stage.host.address, port, at);
        let bytes = (packets as f64 * 60.0 * ratio) as u64;
        stage.scene.add(Call { sent: (packets, packets * 60), answered: (bytes / 1_200 + 1, bytes), ..call });
    }
    act(&["attack.outbound.udp_flood"], vec![stage.host.address], vec![victim], port)
}

fn call_home(stage: &mut Stage, interval: f64, jitter: f64, seconds: f64) -> Act {
    let home = stranger(stage.random());
    let port = *stage.random().pick(&[443, 443, 80, 8443, 8080, 4444, 53_413, 1_337]);
    let begin = stage.begin(seconds);
    let mut at = begin;
    // A sleeper that skips beats keeps its clock.
    let lost = if stage.random().chance(0.5) {
        stage.random().range(0.0, 0.1)
    } else {
        1.0 - stage.day.intensity.sqrt() * stage.random().range(0.6, 1.0)
    };
    while at < begin + seconds {
        at += interval;
        if stage.random().chance(lost) {
            continue;
        }
        let shift = interval * stage.random().range(-jitter, jitter) / 2.0;
        let call = stage.scene.tcp(stage.host.address, home, port, at + shift);
        let (sent, answered) = (stage.random().around(600.0, 0.2), stage.random().around(900.0, 0.4));
        stage.scene.session(call, sent, answered, 0.5);
    }
    act(&["attack.outbound.beacon"], vec![stage.host.address], vec![home], port)
}

/// Lower intensity calls less often.
pub fn beacon(stage: &mut Stage) -> Act {
    let interval = match stage.random().chance(0.5) {
        true => *stage.random().pick(&[30.0, 60.0, 90.0, 120.0, 300.0]),
        false => stage.random().magnitude(20.0, 300.0),
    };
    let (jitter, seconds) = (stage.random().range(0.0, 0.3), stage.random().range(4.0, 23.0) * 3600.0);
    call_home(stage, interval, jitter, seconds)
}

pub fn beacon_slow(stage: &mut Stage) -> Act {
    let interval = stage.random().magnitude(600.0, 1_800.0) / stage.day.intensity.powf(0.25);
    let (jitter, seconds) = (stage.random().range(0.0, 0.2), stage.random().range(18.0, 23.5) * 3600.0);
    call_home(stage, interval, jitter, seconds)
}
