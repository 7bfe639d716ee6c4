//! The detectors on drawn days: what is planted is found, what only looks like it stays silent.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

use netwhy_flows::detect::{Alert, BreakIn, Detectors, Options};
use netwhy_flows::generate::{Day, Truth, Variant};
use netwhy_flows::{Action, Address, Direction, Flow, Names, Opener};
use std::sync::Arc;

const DAY_RECORDS: u64 = 100_000;
/// Seeds that nothing was tuned on.
const SEEDS: std::ops::Range<u64> = 500..510;

fn search(day: &Day) -> (Truth, Vec<Alert>) {
    let names = Arc::new(Names::default());
    let mut detectors = Detectors::new(Options { names: Some(names.clone()), ..Options::default() });
    // Version 2 of AWS tells no flags.
    let truth = day.draw(&names, |flow| detectors.flow(&Flow { tcp_flags: 0, ..*flow }));
    (truth, detectors.finish())
}

/// Draws every seed; returns how many were found of how many, what was found least in a day, and the false alerts.
fn score(intensity: f64, variant: Variant) -> (usize, usize, usize, Vec<String>) {
    let (mut found, mut planted, mut least, mut wrong) = (0, 0, usize::MAX, Vec::new());
    for seed in SEEDS {
        let (truth, alerts) =
            search(&Day { seed, records: DAY_RECORDS, intensity, variant, ..Day::default() });
        let score = truth.score(&alerts);
        assert_eq!(score.on_look_alikes, 0, "seed {seed}: {:?}", score.false_alerts);
        (found, planted, least) = (found + score.found, planted + score.planted, least.min(score.found));
        let tell = |alert: Alert| format!("seed {seed}: {} {}: {}", alert.id, alert.entity, alert.why);
        wrong.extend(score.false_alerts.into_iter().map(tell));
    }
    (found, planted, least, wrong)
}

fn holds(intensity: f64, variant: Variant, least_found: usize) {
    let (found, planted, least, wrong) = score(intensity, variant);
    let precision = found as f64 / (found + wrong.len()) as f64;
    assert!(precision >= 0.98, "precision {precision}: {wrong:#?}");
    assert!(found * 14 >= least_found * planted, "{found} of {planted}");
    assert!(least + 2 >= least_found, "only {least} on one day");
}

#[test]
fn at_full_intensity_thirteen_of_fourteen_are_found() {
    holds(1.0, Variant::Plain, 13);
}

#[test]
fn on_another_estate_too() {
    holds(1.0, Variant::Other, 13);
}

#[test]
fn at_a_third_of_the_intensity_twelve_are_found() {
    holds(0.3, Variant::Plain, 12);
}

#[test]
fn at_a_tenth_of_the_intensity_nine_are_found() {
    holds(0.1, Variant::Plain, 9);
}

#[test]
fn a_seed_always_draws_the_same_day_and_finds_the_same() {
    let day = Day { seed: 77, records: 30_000, ..Day::default() };
    let (one, other) = (search(&day), search(&day));
    assert_eq!(one.0.records, other.0.records);
    assert_eq!(serde_json::to_string(&one.1).unwrap(), serde_json::to_string(&other.1).unwrap());
}

fn v4(a: u8, b: u8, c: u8, d: u8) -> Address {
    Address::v4(u32::from_be_bytes([a, b, c, d]))
}

fn call(second: i64, source: Address, source_port: u16, destination: Address, port: u16) -> Flow {
    Flow {
        start_ms: 1_767_237_000_000 + second * 1000,
        end_ms: 1_767_237_000_000 + second * 1000,
        source,
        destination,
        source_port,
        destination_port: port,
        protocol: 6,
        packets: 1,
        bytes: 60,
        action: Action::Accept,
        ..Flow::default()
    }
}

#[test]
fn an_outbound_ssh_attack_is_named_within_its_first_minute() {
    let mut detectors = Detectors::new(Options::default());
    let us = v4(10, 0, 1, 27);
    for second in 0..60u8 {
        detectors.flow(&call(second.into(), us, 40_000 + u16::from(second), v4(203, 0, second, 9), 22));
    }
    let alerts = detectors.tick(1_767_237_060_000);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert = &alerts[0];
    assert_eq!((alert.id.as_str(), alert.entity.as_str()), ("attack.outbound.ssh_bruteforce", "10.0.1.27"));
    assert_eq!((alert.targets, alert.port, alert.start), (60, 22, 1_767_237_000));
    assert!(detectors.tick(1_767_237_070_000).is_empty(), "told twice");
}

#[test]
fn an_alert_has_the_fields_of_the_contract() {
    let mut detectors = Detectors::new(Options::default());
    for second in 0..200u8 {
        detectors.flow(&call(second.into(), v4(10, 0, 1, 27), 40_000, v4(203, 0, second, 9), 22));
    }
    let value = serde_json::to_value(detectors.report()).unwrap();
    assert_eq!(value["schema"], "netwhy.alerts/1");
    let alert = &value["alerts"][0];
    for field in ["id", "entity", "direction", "targets", "port", "start", "end", "confidence", "why"] {
        assert!(!alert[field].is_null(), "{field}");
    }
    assert_eq!(alert["direction"], "out");
    assert!(alert["plan"]["stop"][0]["zh"].is_string() && alert["proof"][0]["text"].is_string());
}

const STRANGER: Address = Address::v4(0xc633_6407);
const US: Address = Address::v4(0x0a00_011b);

/// A session of the stranger at our SSH.
fn session(second: i64, port: u16, packets: u64, bytes: u64) -> [Flow; 2] {
    let ask = Flow { packets, bytes, ..call(second, STRANGER, port, US, 22) };
    [ask, Flow { source: US, destination: STRANGER, source_port: 22, destination_port: port, ..ask }]
}

/// The stranger guesses passwords for a quarter of an hour, and later our host attacks others.
fn guessed_and_attacking() -> Detectors {
    let mut detectors = Detectors::new(Options::default());
    for attempt in 0..200 {
        session(attempt * 5, 40_000 + attempt as u16, 14, 2_300).iter().for_each(|flow| detectors.flow(flow));
    }
    for second in 0..100u8 {
        detectors.flow(&call(1_500 + i64::from(second), US, 40_000, v4(203, 0, second, 9), 22));
    }
    detectors
}

fn named<'a>(alerts: &'a [Alert], id: &str) -> Vec<&'a Alert> {
    alerts.iter().filter(|alert| alert.id == id).collect()
}

#[test]
fn a_break_in_is_told_with_what_the_host_did_next() {
    let mut detectors = guessed_and_attacking();
    session(1_010, 45_000, 300, 90_000).iter().for_each(|flow| detectors.flow(flow));
    let alerts = detectors.finish();
    let guessing = named(&alerts, "attack.inbound.ssh_bruteforce")[0];
    let break_in = guessing.break_in.as_ref().unwrap();
    assert_eq!((break_in.host.as_str(), guessing.confidence), ("10.0.1.27", 0.99));
    assert_eq!(break_in.followed_by.as_deref(), Some("attack.outbound.ssh_bruteforce"));
    let attack = named(&alerts, "attack.outbound.ssh_bruteforce")[0];
    assert!(attack.why.ends_with("it was broken into before, from 198.51.100.7"), "{}", attack.why);
}

/// The log knows the success, the flows who the host is and what it did then.
#[test]
fn a_log_in_that_only_the_log_shows_is_linked_with_what_the_host_did_next() {
    let told = guessed_and_attacking().finish();
    let guessing = named(&told, "attack.inbound.ssh_bruteforce")[0];
    assert_eq!(guessing.break_in, None);
    for host in ["ip-10-0-1-27", "10.0.1.27", "web-1"] {
        let break_in = BreakIn {
            source: STRANGER.to_string(),
            host: host.into(),
            at: 1_767_237_000 + 1_010,
            bytes: 0,
            followed_by: None,
        };
        let victims = vec![host.to_owned()];
        let of_log = Alert {
            id: "attack.inbound.break_in".into(),
            victims,
            break_in: Some(break_in),
            ..guessing.clone()
        };
        let mut detectors = guessed_and_attacking();
        detectors.add(of_log);
        let alerts = detectors.finish();
        let told = named(&alerts, "attack.inbound.break_in")[0];
        let followed_by = told.break_in.as_ref().unwrap().followed_by.as_deref();
        assert_eq!(followed_by, Some("attack.outbound.ssh_bruteforce"), "{host}");
        let attack = named(&alerts, "attack.outbound.ssh_bruteforce")[0];
        assert!(attack.why.contains("broken into before, from 198.51.100.7"), "{}", attack.why);
    }
}

#[test]
fn an_attack_that_logs_and_flows_show_is_told_once() {
    let told = guessed_and_attacking().finish();
    let guessing = named(&told, "attack.inbound.ssh_bruteforce")[0];
    let victims = vec!["web-1".to_owned()];
    let of_log = Alert { why: "seen in the log".into(), end: guessing.end + 60, victims, ..guessing.clone() };
    let mut detectors = guessed_and_attacking();
    detectors.add(of_log);
    let alerts = detectors.finish();
    let once = named(&alerts, "attack.inbound.ssh_bruteforce");
    assert_eq!((once.len(), once[0].end), (1, guessing.end + 60), "{once:?}");
    assert!(once[0].why.ends_with("; seen in the log"), "{}", once[0].why);
    assert_eq!(once[0].victims, ["10.0.1.27", "web-1"]);
}

#[test]
fn an_attack_that_comes_again_days_later_is_told_again() {
    let mut detectors = Detectors::new(Options::default());
    let mut told = Vec::new();
    for day in [0, 3] {
        for second in 0..60u8 {
            let at = day * 86_400 + i64::from(second);
            detectors.flow(&call(at, US, 40_000 + u16::from(second), v4(203, 0, second, 9), 22));
        }
        told.push(detectors.tick(1_767_237_060_000 + day * 86_400_000).len());
    }
    assert_eq!(told, [1, 1]);
    assert!(detectors.news().is_empty());
}

#[test]
fn strangers_that_knocked_are_summed_up_over_days() {
    let mut detectors = Detectors::new(Options::default());
    for day in 0..6 {
        for last in 0..3 {
            let knock = call(day * 86_400, v4(198, 51, 100, last), 40_000, US, 23);
            detectors.flow(&Flow { action: Action::Reject, ..knock });
        }
    }
    let radiation = detectors.report().radiation;
    assert_eq!((radiation.sources, radiation.records, radiation.busiest.len()), (3, 18, 3));
}

/// As many packets and bytes as a record may claim, often enough to pass what 64 bits hold.
#[test]
fn records_that_lie_about_their_counts_do_not_overflow() {
    let mut detectors = Detectors::new(Options::default());
    let most = 1 << 44;
    let lie = Flow { packets: most, bytes: most, ..call(0, US, 40_000, v4(203, 0, 113, 9), 8_443) };
    let answer = Flow {
        source: lie.destination,
        destination: US,
        source_port: 8_443,
        destination_port: 40_000,
        ..lie
    };
    let lies = [lie, answer, Flow { protocol: 17, ..lie }, Flow { destination_port: 22, ..lie }];
    for _ in 0..(1 << 20) + 9 {
        lies.iter().for_each(|flow| detectors.flow(flow));
    }
    detectors.finish();
}

#[test]
fn any_order_of_a_day_finds_the_same_attacks() {
    let names = Names::default();
    let mut flows = Vec::new();
    let truth = Day { seed: 501, records: 40_000, ..Day::default() }.draw(&names, |flow| flows.push(*flow));
    // One interface after the other, as log streams lie in folders.
    flows.sort_by_key(|flow| flow.interface);
    let mut detectors = Detectors::new(Options::default());
    flows.iter().for_each(|flow| detectors.flow(flow));
    let score = truth.score(&detectors.finish());
    assert!(score.found >= 12 && score.false_alerts.len() <= 1, "{} {:?}", score.found, score.false_alerts);
}

proptest::proptest! {
    #[test]
    fn no_record_makes_it_panic(words in proptest::collection::vec(proptest::prelude::any::<[u64; 4]>(), 0..400)) {
        let mut detectors = Detectors::new(Options::default());
        for [a, b, c, d] in words {
            detectors.flow(&Flow {
                start_ms: a as i64 >> (b % 40),
                end_ms: b as i64,
                source: Address(u128::from(c) << (d % 64)),
                destination: Address::v4(d as u32),
                bytes: a,
                packets: b >> (c % 64),
                source_port: c as u16,
                destination_port: d as u16,
                protocol: [6, 17, 1][a as usize % 3],
                tcp_flags: b as u8,
                ..Flow::default()
            });
        }
        detectors.finish();
    }
}

/// So many calls from one host to one door within a minute, none of them answered.
fn knocks(count: u32, from: Address, to: Address, direction: Direction) -> Vec<String> {
    let mut detectors = Detectors::new(Options::default());
    for number in 0..count {
        let at_ms = 1_767_225_600_000 + i64::from(number % 60) * 1_000;
        detectors.flow(&Flow {
            start_ms: at_ms,
            end_ms: at_ms,
            source: from,
            source_port: (number % 60_000) as u16,
            destination: to,
            destination_port: 80,
            protocol: 6,
            packets: 1,
            bytes: 52,
            tcp_flags: 2,
            direction,
            opener: Opener::Source,
            ..Flow::default()
        });
    }
    detectors.finish().into_iter().map(|alert| alert.id).collect()
}

#[test]
fn a_flood_without_a_history_is_told_where_no_client_sends_so_much() {
    let (own, stranger) = (Address::v4(0x0a00_011b), Address::v4(0xc612_0505));
    let out = |count| knocks(count, own, stranger, Direction::Out);
    assert_eq!(out(12_000), ["attack.outbound.syn_flood"]);
    assert!(!out(2_000).iter().any(|id| id.contains("flood")), "a client whose server is gone");
    let came = knocks(12_000, stranger, own, Direction::In);
    assert!(came.iter().any(|id| id == "attack.inbound.syn_flood"), "{came:?}");
}
