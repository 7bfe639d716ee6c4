//! Strangers as attackers.

use super::super::scene::Call;
use super::super::world::stranger;
use super::outbound::attempt;
use super::{Act, Stage, act};
use crate::record::Address;

fn probe(stage: &mut Stage, source: Address, target: Address, port: u16, at: f64) {
    let call = stage.scene.tcp(source, target, port, at);
    let rejected = stage.random().chance(0.9);
    stage.scene.knock(call, rejected);
}

pub fn scan_vertical(stage: &mut Stage) -> Act {
    let source = stranger(stage.random());
    let count = stage.scaled(500.0, 8_000.0);
    let mut ports: Vec<u16> = (1..=65_535).collect();
    stage.random().shuffle(&mut ports);
    let seconds = stage.random().magnitude(60.0, 7_200.0);
    for (port, at) in ports.into_iter().zip(stage.moments(count, seconds)) {
        probe(stage, source, stage.host.address, port, at);
    }
    act(&["attack.inbound.port_scan"], vec![source], vec![stage.host.address], 0)
}

pub fn scan_horizontal(stage: &mut Stage) -> Act {
    let source = stranger(stage.random());
    let count = stage.scaled(1_000.0, 6_000.0);
    let hosts: Vec<Address> = stage.scene.world.hosts.iter().map(|host| host.address).collect();
    let ports: Vec<u16> = (0..60).map(|_| stage.random().below(1, 20_000) as u16).collect();
    let seconds = stage.random().magnitude(300.0, 14_400.0);
    for (turn, at) in stage.moments(count, seconds).into_iter().enumerate() {
        probe(stage, source, hosts[turn % hosts.len()], ports[turn / hosts.len() % ports.len()], at);
    }
    act(&["attack.inbound.port_scan"], vec![source], hosts, 0)
}

pub fn syn_flood(stage: &mut Stage) -> Act {
    let scale = stage.scale();
    let count = stage.scaled(40_000.0 * scale, 250_000.0 * scale);
    let port = *stage.random().pick(&[80, 443, 22, 25]);
    let seconds = stage.random().magnitude(120.0, 2_400.0);
    let forged = stage.random().chance(0.8);
    let pool: Vec<Address> = (0..stage.random().below(1, 200)).map(|_| stranger(stage.random())).collect();
    let (rejected, answers) = (stage.random().chance(0.3), stage.random().chance(0.5));
    for at in stage.moments(count, seconds) {
        let source = if forged { stranger(stage.random()) } else { *stage.random().pick(&pool) };
        let call = Call {
            client_port: stage.random().below(1024, 65_536) as u16,
            ..stage.scene.tcp(source, stage.host.address, port, at)
        };
        let answered = if answers { (stage.random().below(1, 6), 0) } else { (0, 0) };
        stage.scene.add(Call { sent: (1, 44), answered: (answered.0, answered.0 * 44), rejected, ..call });
    }
    act(&["attack.inbound.syn_flood"], pool, vec![stage.host.address], port)
}

pub fn udp_flood(stage: &mut Stage) -> Act {
    let scale = stage.scale();
    let pool: Vec<Address> =
        (0..stage.random().magnitude(1.0, 3_000.0) as usize + 1).map(|_| stranger(stage.random())).collect();
    let count = stage.scaled(30_000.0 * scale, 150_000.0 * scale);
    let seconds = stage.random().magnitude(120.0, 3_600.0);
    let fixed = stage.random().chance(0.5);
    let rejected = stage.random().chance(0.3);
    for at in stage.moments(count, seconds) {
        let source = *stage.random().pick(&pool);
        let port = if fixed { 443 } else { stage.random().below(1, 65_536) as u16 };
        let packets = stage.random().below(1, 60);
        let call = stage.scene.udp(source, stage.host.address, port, at);
        stage.scene.add(Call { sent: (packets, packets * 900), rejected, ..call });
    }
    act(&["attack.inbound.udp_flood"], pool, vec![stage.host.address], 0)
}

/// Answers that were never asked for.
pub fn amplified(stage: &mut Stage) -> Act {
    let port = *stage.random().pick(&[53, 123, 389, 1900, 11_211, 19]);
    let pool: Vec<Address> =
        (0..stage.random().magnitude(30.0, 3_000.0) as usize).map(|_| stranger(stage.random())).collect();
    let count = stage.scaled(5_000.0, 40_000.0);
    let seconds = stage.random().magnitude(120.0, 3_600.0);
    let target_port = *stage.random().pick(&[0, 80, 443]);
    for at in stage.moments(count, seconds) {
        let source = *stage.random().pick(&pool);
        let packets = stage.random().below(5, 200);
        let to = if target_port == 0 { stage.random().below(1024, 65_536) as u16 } else { target_port };
        let call = stage.scene.udp(source, stage.host.address, to, at);
        stage.scene.add(Call { client_port: port, sent: (packets, packets * 1_300), ..call });
    }
    act(&["attack.inbound.udp_flood"], pool, vec![stage.host.address], port)
}

pub fn ssh_one(stage: &mut Stage) -> Act {
    let source = stranger(stage.random());
    let count = stage.scaled(400.0, 6_000.0);
    let seconds = stage.random().magnitude(600.0, 14_400.0);
    for at in stage.moments(count, seconds) {
        attempt(stage, source, stage.host.address, 22, at);
    }
    act(&["attack.inbound.ssh_bruteforce"], vec![source], vec![stage.host.address], 22)
}

pub fn ssh_many(stage: &mut Stage) -> Act {
    let pool: Vec<Address> = (0..stage.random().below(50, 800)).map(|_| stranger(stage.random())).collect();
    let count = stage.scaled(4_000.0, 20_000.0);
    let seconds = stage.random().magnitude(1_200.0, 10_800.0);
    for at in stage.moments(count, seconds) {
        let source = *stage.random().pick(&pool);
        attempt(stage, source, stage.host.address, 22, at);
    }
    act(&["attack.inbound.ssh_bruteforce"], pool, vec![stage.host.address], 22)
}

/// Guessing, a success, and then the host attacks; the guessing is what is scored here.
pub fn break_in(stage: &mut Stage) -> Act {
    let source = stranger(stage.random());
    let count = stage.scaled(400.0, 3_000.0);
    let seconds = stage.random().magnitude(600.0, 7_200.0);
    let moments = stage.moments(count, seconds);
    let last = moments.last().copied().unwrap_or(0.0);
    for at in moments {
        attempt(stage, source, stage.host.address, 22, at);
    }
    let call = stage.scene.tcp(source, stage.host.address, 22, last + 20.0);
    stage.scene.session(call, 60_000.0, 200_000.0, 300.0);
    act(&["attack.inbound.ssh_bruteforce"], vec![source], vec![stage.host.address], 22)
}
