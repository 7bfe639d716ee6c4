//! Draws days and says how well the detectors do: `score_detectors FROM TO RECORDS INTENSITY plain|other [all]`.
#![allow(clippy::print_stdout)]

use netwhy_flows::detect::{Detectors, Options};
use netwhy_flows::generate::{Day, Score, Truth, Variant};
use netwhy_flows::{Flow, Names};
use std::sync::Arc;

/// What this thread has used, unlike the clock on the wall not moved by neighbours.
fn cpu_ns() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (from, to): (u64, u64) = (words[0].parse()?, words[1].parse()?);
    let (records, intensity): (u64, f64) = (words[2].parse()?, words[3].parse()?);
    let variant = if words[4] == "other" { Variant::Other } else { Variant::Plain };
    let talks = words.get(5).is_some();
    let (mut found, mut planted, mut wrong, mut on, mut least) = (0, 0, 0, 0, usize::MAX);
    for seed in from..to {
        let names = Arc::new(Names::default());
        let day = Day { seed, records, intensity, variant, ..Day::default() };
        let mut flows: Vec<Flow> = Vec::new();
        let truth = day.draw(&names, |flow| flows.push(Flow { tcp_flags: 0, ..*flow }));
        let began = cpu_ns();
        let mut detectors = Detectors::new(Options { names: Some(names), ..Options::default() });
        flows.iter().for_each(|flow| detectors.flow(flow));
        let fed = cpu_ns() - began;
        let alerts = detectors.finish();
        let score = truth.score(&alerts);
        if talks {
            println!(
                "seed {seed}: {} records, {:.0} ns each, finish {:?}: {} of {}, {} false, {} on look-alikes",
                flows.len(),
                fed as f64 / flows.len() as f64,
                std::time::Duration::from_nanos(cpu_ns() - began - fed),
                score.found,
                score.planted,
                score.false_alerts.len(),
                score.on_look_alikes
            );
            tell(&truth, &score);
        }
        found += score.found;
        planted += score.planted;
        wrong += score.false_alerts.len();
        on += score.on_look_alikes;
        least = least.min(score.found);
    }
    let precision = found as f64 / (found + wrong).max(1) as f64;
    println!(
        "{variant:?} intensity {intensity} records {records} seeds {from}..{to}: recall {found}/{planted} (least {least}), false {wrong}, precision {precision:.3}, on look-alikes {on}"
    );
    Ok(())
}

/// What was missed, and what was told though nobody attacked.
fn tell(truth: &Truth, score: &Score) {
    for attack in &score.missed {
        println!(
            "  missed {} {} {:?} {} records, {} s, port {}",
            attack.kind,
            attack.attackers[0],
            attack.victims.first(),
            attack.records,
            attack.end - attack.start,
            attack.port
        );
    }
    for alert in &score.false_alerts {
        let like = truth.look_alikes.iter().find(|like| like.entity == alert.entity).map(|like| &like.kind);
        println!(
            "  false {} {} {:?} {} [{} s]: {}",
            alert.id,
            alert.entity,
            alert.technique,
            like.map_or("", |like| like),
            alert.end - alert.start,
            alert.why
        );
        for attack in &truth.attacks {
            let names = |name: &String| attack.attackers.contains(name) || attack.victims.contains(name);
            if names(&alert.entity) || alert.victims.iter().chain(&alert.sources).any(names) {
                let (kind, port, later) = (&attack.kind, attack.port, attack.start - alert.start);
                println!("    near {kind} port {port} {later} s later");
            }
        }
        if let Some(proof) = alert.proof.first() {
            println!("    {}", proof.text);
        }
    }
}
