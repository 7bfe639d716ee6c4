//! From many findings to one alert for each attack.

use super::alert::{Technique, Way};
use super::finding::{Finding, Kind};
use super::looks;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Two attacks of one kind by one entity further apart than this are two.
pub const APART_MS_MAX: i64 = 24 * 3_600_000;
/// What happens to one victim within this time is one attack seen by several detectors.
const SLACK_MS: i64 = 900_000;
/// So many common targets make two fans the same one, seen before and behind a translation of addresses.
const OVERLAP_MIN: f64 = 0.5;
/// So many of our hosts with the same failing target are victims of an outage.
const COMPANY_MIN: usize = 3;

/// One alert for each attack, the surest first within the order of time.
pub fn merge(findings: Vec<Finding>, calls: impl Fn(&Finding) -> u64) -> Vec<Finding> {
    let mut merged = same_act(findings);
    merged = without_translated(merged, calls);
    merged = without_explained(merged);
    merged = without_outages(merged);
    merged.sort_by_key(|finding| (finding.start_ms, finding.kind, finding.entity, finding.port));
    merged
}

/// One kind of act by one entity is one attack; guessing is told apart by the service.
fn same_act(mut findings: Vec<Finding>) -> Vec<Finding> {
    // The largest first: it keeps its technique and targets.
    let order =
        |finding: &Finding| (Reverse(finding.targets), finding.start_ms, finding.entity, finding.port);
    findings.sort_by(|one, other| (order(one), &one.peers).cmp(&(order(other), &other.peers)));
    let mut merged: Vec<Finding> = Vec::new();
    let mut places: HashMap<_, Vec<usize>> = HashMap::new();
    for finding in findings {
        let service = match finding.kind {
            Kind::Guessing => looks::guessed_service(finding.port).unwrap_or("?").to_string(),
            Kind::NewService | Kind::HttpFlood => finding.port.to_string(),
            Kind::UdpFlood if finding.way == Way::In => format!("{:?}", finding.technique),
            _ => String::new(),
        };
        let places = places.entry((finding.kind, finding.way, finding.entity, service)).or_default();
        match places.iter().find(|place| merged[**place].overlaps(&finding, APART_MS_MAX)) {
            Some(place) => join(&mut merged[*place], finding),
            None => {
                places.push(merged.len());
                merged.push(finding);
            }
        }
    }
    merged
}

fn join(kept: &mut Finding, other: Finding) {
    let both_vertical = kept.technique == Technique::Vertical && other.technique == Technique::Vertical;
    // The fan of all ports holds what the fans of single ports hold.
    let (port, records) = (kept.port, kept.records.max(other.records));
    let leading = leading_port(kept, &other);
    let contained = other.targets < kept.targets / 10;
    if kept.kind == Kind::SynFlood {
        // The flood of all ports is the sum of the ports' own.
        let is_most = other.records * 10 >= kept.records * 7;
        kept.absorb(Finding { records: 0, ..other.clone() });
        kept.port = match (port, other.port) {
            (0, port) if is_most => port,
            (port, 0) => port,
            (port, other) if port == other => port,
            _ => 0,
        };
        kept.records = records;
        return;
    }
    kept.absorb(other);
    kept.records = records;
    if contained || both_vertical || kept.kind == Kind::Guessing {
        kept.port = port;
    }
    if let Some(port) = leading {
        kept.port = port;
    }
}

/// The port whose fan is nearly all of what the fan of all ports holds.
fn leading_port(one: &Finding, other: &Finding) -> Option<u16> {
    let (all, part) = match (one.port, other.port) {
        (0, port) if port != 0 => (one, other),
        (port, 0) if port != 0 => (other, one),
        _ => return None,
    };
    let is_scan = all.kind == Kind::Scan && all.technique != Technique::Vertical;
    (is_scan && part.targets * 10 >= all.targets * 9).then_some(part.port)
}

/// A gateway that translates addresses shows its hosts' attack a second time: the host is the attacker.
fn without_translated(findings: Vec<Finding>, calls: impl Fn(&Finding) -> u64) -> Vec<Finding> {
    let loads: Vec<u64> = findings.iter().map(&calls).collect();
    let is_shadow = |place: usize| {
        let one = &findings[place];
        one.way == Way::Out
            && findings.iter().enumerate().any(|(other_place, other)| {
                other_place != place
                    && other.kind == one.kind
                    && other.way == Way::Out
                    && other.entity != one.entity
                    && one.overlaps(other, SLACK_MS)
                    && is_same_target(one, other)
                    && (loads[place], one.entity) > (loads[other_place], other.entity)
            })
    };
    let shadows: Vec<bool> = (0..findings.len()).map(is_shadow).collect();
    findings.into_iter().zip(shadows).filter(|(_, shadow)| !shadow).map(|(finding, _)| finding).collect()
}

fn is_same_target(one: &Finding, other: &Finding) -> bool {
    let one_peer = one.peers.len() == 1 && one.peers == other.peers;
    let same_port = one.port == other.port;
    same_port && (one_peer || (one.set.count() >= 8 && one.set.overlap(&other.set) >= OVERLAP_MIN))
}

/// Drops what another finding about the same host and time says better.
fn without_explained(findings: Vec<Finding>) -> Vec<Finding> {
    let is_explained = |one: &Finding| {
        findings
            .iter()
            .any(|other| !std::ptr::eq(one, other) && explains(other, one) && one.overlaps(other, SLACK_MS))
    };
    let explained: Vec<bool> = findings.iter().map(is_explained).collect();
    findings
        .into_iter()
        .zip(explained)
        .filter(|(_, explained)| !explained)
        .map(|(finding, _)| finding)
        .collect()
}

/// Where several of our hosts hammer at one service, it is down; nobody floods in company.
fn without_outages(findings: Vec<Finding>) -> Vec<Finding> {
    let is_hammer = |one: &Finding| one.kind == Kind::SynFlood && one.way == Way::Out;
    let mut company: HashMap<crate::Address, usize> = HashMap::new();
    for finding in findings.iter().filter(|one| is_hammer(one)) {
        finding.peers.iter().for_each(|peer| *company.entry(*peer).or_default() += 1);
    }
    let is_outage = |one: &Finding| {
        is_hammer(one)
            && one.peers.iter().any(|peer| company.get(peer).is_some_and(|count| *count >= COMPANY_MIN))
    };
    findings.into_iter().filter(|one| !is_outage(one)).collect()
}

fn explains(other: &Finding, one: &Finding) -> bool {
    let same_entity = other.entity == one.entity;
    let touches = same_entity || one.peers.contains(&other.entity) || other.peers.contains(&one.entity);
    match (other.kind, one.kind) {
        // The most general notion yields to every other.
        (Kind::Churn, Kind::Churn) => false,
        (_, Kind::Churn) => touches,
        (Kind::SynFlood, Kind::HttpFlood) => other.way == one.way && same_entity,
        // Flooding or guessing leaves knocks behind that look like a scan by the same hand.
        (Kind::SynFlood | Kind::UdpFlood, Kind::Scan) => {
            let same_door = other.kind == Kind::UdpFlood || other.way == Way::Out || other.port == one.port;
            let same_way = other.way == one.way && other.protocol() == one.protocol();
            same_way && touches && same_door && other.records >= 4 * one.records
        }
        (Kind::Guessing, Kind::Scan) => {
            let same_door = one.port == 0 || other.port == one.port;
            let is_most = other.records * 4 >= one.records * 3 || other.targets * 4 >= one.targets * 3;
            other.way == one.way && same_entity && same_door && is_most
        }
        // One stranger's guessing is part of what its victim sees from all.
        (Kind::Guessing, Kind::Guessing) => {
            other.way == Way::In
                && one.way == Way::In
                && one.technique == Technique::Distributed
                && other.technique != Technique::Distributed
                && other.peers.contains(&one.entity)
                && other.records * 2 >= one.records
        }
        // Resets and late answers turn a scan around: the larger way is the true one.
        (Kind::Scan, Kind::Scan) => {
            other.way != one.way
                && other.peers.contains(&one.entity)
                && (one.port == 0 || one.peers.contains(&other.entity))
                && other.targets >= 2 * one.targets
        }
        // Resets of those that our host scans.
        (Kind::Scan | Kind::Guessing, Kind::SynFlood) if other.way != one.way => {
            other.way == Way::Out && same_entity && one.port == 0 && other.records >= one.records
        }
        // Strangers knocking at one door: a scan of many doors is not its flood.
        (Kind::Guessing, Kind::SynFlood) => {
            other.way == one.way && touches && other.port == one.port && other.records * 2 >= one.records
        }
        (Kind::Scan, Kind::SynFlood) => {
            other.way == one.way && touches && one.port == 0 && other.records * 2 >= one.records
        }
        _ => false,
    }
}
