//! One rule set against the kernel: the same packets through both.

use super::dice::{Dice, Places};
use super::frame::{self, Seen};
use super::lab::{self, End, Lab};
use super::traffic::Traffic;
use netwhy_policy::netfilter::ast::Ruleset;
use netwhy_policy::netfilter::eval::{Decision, Machine, Outcome, Rewritten};
use netwhy_policy::netfilter::packet::Packet;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long what must come may take, and how long more may come after it.
const ALL_WITHIN: Duration = Duration::from_millis(1_500);
const QUIET: Duration = Duration::from_millis(10);
/// How long the kernel's own choice may take to be seen.
const CHOICE_WITHIN: Duration = Duration::from_millis(50);
/// A packet through the lab takes some hundred microseconds: looking more often would take the kernel's turn.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// How many packets are on their way before the sockets are emptied.
const BATCH: usize = 500;
/// How many mismatches of one rule set are told.
const TOLD_MAX: usize = 8;

/// How often a rule matched, by table, chain and number.
pub type Counts = HashMap<(String, String, u32), u64>;

#[derive(Debug, Default)]
pub struct Score {
    pub packets: usize,
    pub depends: usize,
    pub accepted: usize,
    pub rewritten: usize,
    pub mismatches: Vec<String>,
}

impl Score {
    pub fn add(&mut self, other: Score) {
        self.packets += other.packets;
        self.depends += other.depends;
        self.accepted += other.accepted;
        self.rewritten += other.rewritten;
        self.mismatches.extend(other.mismatches);
    }
}

struct Asked {
    packet: Packet,
    end: End,
    decision: Decision,
}

/// Sends packets through the loaded rules and asks the machine about each.
pub fn compare(
    lab: &Lab,
    ruleset: &Ruleset,
    places: &[&Places],
    dice: &mut Dice,
    packets: usize,
    counts: impl FnOnce() -> Counts,
) -> Score {
    let mut machine = Machine::new(ruleset);
    machine.host = lab::host();
    machine.tells_trail = true;
    let mut traffic = Traffic::new(places);
    let (mut asked, mut seen, mut expected) = (Vec::new(), HashMap::new(), Counts::new());
    lab.seen();
    for id in 0..packets {
        let (packet, end, flow) = traffic.next(dice);
        lab.send(end, &frame::build(&packet, id as u32, end));
        let decision = machine.packet(&packet);
        if decision.rewritten.is_some_and(|new| is_free(&packet, &new)) {
            // What the kernel was free to choose it is asked.
            within(CHOICE_WITHIN, || {
                collect(lab, &mut seen);
                seen.contains_key(&(id as u32))
            });
            if let Some((_, seen)) = seen.get(&(id as u32)) {
                let (sport, dport) = seen.ports.unzip();
                let chosen = Rewritten { src: Some(seen.source), dst: Some(seen.destination), sport, dport };
                machine.learn(&packet, &chosen);
            }
        }
        for at in &decision.trail {
            *expected.entry((at.table.to_string(), at.chain.to_string(), at.rule)).or_default() += 1;
        }
        traffic.became(flow, &packet, end, &decision);
        asked.push(Asked { packet, end, decision });
        if id % BATCH == BATCH - 1 {
            collect(lab, &mut seen);
        }
    }
    let coming = asked.iter().filter(|one| one.decision.verdict == Outcome::Accept && !is_local(one)).count();
    within(ALL_WITHIN, || {
        collect(lab, &mut seen);
        seen.len() >= coming
    });
    within(QUIET, || {
        collect(lab, &mut seen);
        false
    });
    score(&asked, &seen, &expected, &counts())
}

fn collect(lab: &Lab, seen: &mut HashMap<u32, (End, Seen)>) -> bool {
    let new = lab.seen();
    let any = !new.is_empty();
    seen.extend(new.into_iter().map(|(end, one)| (one.id, (end, one))));
    any
}

/// Looks again and again until something holds or the time is over.
fn within(time: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while !holds() && Instant::now() < end {
        std::thread::sleep(LOOK_EVERY);
    }
}

fn is_free(packet: &Packet, new: &Rewritten) -> bool {
    new.src.is_none()
        || new.dst.is_none()
        || packet.has_ports() && (new.sport.is_none() || new.dport.is_none())
}

fn score(asked: &[Asked], seen: &HashMap<u32, (End, Seen)>, expected: &Counts, counts: &Counts) -> Score {
    let mut score = Score { packets: asked.len(), ..Score::default() };
    for (id, one) in asked.iter().enumerate() {
        let seen = seen.get(&(id as u32));
        score.depends += usize::from(one.decision.verdict == Outcome::Depends);
        score.accepted += usize::from(one.decision.verdict == Outcome::Accept);
        score.rewritten += usize::from(one.decision.rewritten.is_some());
        if let Some(wrong) = wrong(one, seen)
            && score.mismatches.len() < TOLD_MAX
        {
            let before = history(&asked[..id], &one.packet);
            score.mismatches.push(format!(
                "packet {id}: {wrong}{before}\n  {:?}\n  from {:?}: {:?}\n  kernel: {seen:?}",
                one.decision, one.end, one.packet
            ));
        }
    }
    let show = std::env::var("NETWHY_KERNEL_SHOW").ok().and_then(|text| text.parse::<usize>().ok());
    if let Some((id, one)) = show.and_then(|id| Some((id, asked.get(id)?))) {
        println!(
            "SHOWN {id}{}\n  {:?}\n  {:?}\n  kernel: {:?}",
            history(&asked[..id], &one.packet),
            one.packet,
            one.decision,
            seen.get(&(id as u32))
        );
    }
    // Rules without a counter are not among the counts.
    let mut rules: Vec<_> = counts.keys().collect();
    rules.sort();
    for rule in rules {
        let (machine, kernel) = (expected.get(rule).unwrap_or(&0), counts.get(rule).unwrap_or(&0));
        if machine != kernel && score.mismatches.len() < TOLD_MAX {
            score
                .mismatches
                .push(format!("rule {rule:?}: matched {machine} times, by the kernel {kernel} times"));
        }
    }
    score
}

/// What went before in the same connection, for whoever looks into a mismatch.
fn history(before: &[Asked], packet: &Packet) -> String {
    let ports = [packet.source_port, packet.destination_port];
    let mut text = String::new();
    for (id, one) in before.iter().enumerate().filter(|(_, one)| {
        packet.has_ports()
            && (ports.contains(&one.packet.source_port.filter(|port| *port > 1_023 && *port != 8080))
                || ports.contains(&one.packet.destination_port.filter(|port| *port > 1_023 && *port != 8080)))
    }) {
        let packet = &one.packet;
        text.push_str(&format!(
            "\n    {id} {:?} {}:{:?} > {}:{:?} {} flags {:?} icmp {:?} {:?} {:?}",
            one.end,
            packet.source,
            packet.source_port,
            packet.destination,
            packet.destination_port,
            packet.protocol,
            packet.flags,
            packet.icmp_type,
            one.decision.verdict,
            one.decision.rewritten
        ));
    }
    text
}

fn wrong(asked: &Asked, seen: Option<&(End, Seen)>) -> Option<&'static str> {
    match (asked.decision.verdict, seen) {
        (Outcome::Depends, _) => Some("depends"),
        (Outcome::Drop | Outcome::Reject, Some(_)) => Some("the kernel let it pass"),
        (Outcome::Drop | Outcome::Reject, None) => None,
        (Outcome::Accept, None) => (!is_local(asked)).then_some("the kernel kept it"),
        (Outcome::Accept, Some((_, seen))) => {
            let packet = &asked.packet;
            let (source, destination, ports) = match asked.decision.rewritten {
                None => (
                    Some(packet.source),
                    Some(packet.destination),
                    (packet.source_port, packet.destination_port),
                ),
                Some(rewritten) => (rewritten.src, rewritten.dst, (rewritten.sport, rewritten.dport)),
            };
            let same = source.is_none_or(|source| source == seen.source)
                && destination.is_none_or(|destination| destination == seen.destination)
                && seen.ports.is_none_or(|(sport, dport)| {
                    ports.0.is_none_or(|port| port == sport) && ports.1.is_none_or(|port| port == dport)
                });
            (!same).then_some("rewritten otherwise")
        }
    }
}

/// What is for the router itself does not come out.
fn is_local(asked: &Asked) -> bool {
    let destination = match asked.decision.rewritten {
        Some(rewritten) => rewritten.dst,
        None => Some(asked.packet.destination),
    };
    destination.is_some_and(|destination| lab::host().is_local(destination) == Some(true))
}
