//! The probes of the question `loss`, round by round.

use super::judge::{Limit, Series, wants_more};
use crate::icmp::{Answer, Link, OpenFlow, Outcome, Packet, Probe, Protocol, Route, Wait, run_batch};
use std::io;
use std::time::Duration;

/// Probes of one kind in one round.
const ROUND_COUNT: u16 = 200;

/// SYNs of one round, and kernel connections of one round: each is a half-open or whole connection there.
const SYN_COUNT: u16 = 100;
const CONNECT_COUNT: u16 = 60;

/// Most rounds: with a user's limit a borderline share takes more.
const ROUNDS_COUNT_MAX: usize = 4;

/// Between two probes; and between two handshakes, which a guard against floods may count.
const GAP: Duration = Duration::from_micros(1_250);
const SYN_GAP: Duration = Duration::from_millis(8);

/// Longest wait for the connection that carries the probes: the kernel sends the SYN again after one second.
const CONNECT_WAIT: Duration = Duration::from_millis(2_200);

/// Waits of a round.
const ROUND_WAIT: Wait = Wait::millis(1_000, 250);

/// Probes that find out whether the peer acknowledges old bytes one by one.
const TRIAL_COUNT: u16 = 6;

/// What was measured; `None` where nothing could be.
#[derive(Debug, Default)]
pub struct Measured {
    pub tcp: Option<Series>,
    pub icmp: Option<Series>,
}

/// How the TCP half is measured.
enum Carrier {
    Again(Box<OpenFlow>),
    Handshakes,
    Nothing,
}

/// Measures both halves side by side.
pub fn measure(link: &mut Link, route: &Route, tcp: bool, limit: Limit) -> io::Result<Measured> {
    let mut base = 0;
    let carrier = if tcp { carrier(link, &mut base)? } else { Carrier::Nothing };
    let kind = match (&carrier, link.is_raw()) {
        (Carrier::Again(_), _) => "segments on one connection",
        (_, true) => "raw SYNs",
        (_, false) => "connections",
    };
    let mut tcp = Series { kind, ..Series::default() };
    let mut icmp = Series { kind: "echo requests", ..Series::default() };
    for round in 0..ROUNDS_COUNT_MAX {
        let (probes, gap) = probes(link, route, &carrier, round)?;
        let outcomes = run_batch(link, base, &probes, gap, ROUND_WAIT, None)?.outcomes;
        base += probes.len();
        take(&mut tcp, &mut icmp, &probes, &outcomes);
        let broken = matches!(&carrier, Carrier::Again(flow) if !flow.alive());
        if broken && round == 0 {
            // The service closed in the middle: what was unanswered after that is no loss.
            tcp.rounds.clear();
        }
        if broken || !(wants_more(&tcp, limit) || wants_more(&icmp, Limit::default())) {
            break;
        }
    }
    let some = |series: Series| series.rounds.iter().any(|r| !r.is_empty()).then_some(series);
    Ok(Measured { tcp: some(tcp), icmp: some(icmp) })
}

/// Prefers one connection, so that neither the service nor a guard against SYN floods is bothered.
fn carrier(link: &mut Link, base: &mut usize) -> io::Result<Carrier> {
    let Link::Raw(raw) = link else { return Ok(Carrier::Handshakes) };
    let Ok(flow) = OpenFlow::open(raw, CONNECT_WAIT) else { return Ok(Carrier::Handshakes) };
    let trial: Vec<Probe> =
        (1..=TRIAL_COUNT).map(|length| Probe::new(Packet::Again { flow: flow.flow, length })).collect();
    let outcomes = run_batch(link, *base, &trial, GAP, ROUND_WAIT, None)?.outcomes;
    *base += trial.len();
    let answered = outcomes.iter().any(|o| o.first().is_some_and(|r| r.answer == Answer::Ack));
    Ok(if answered && flow.alive() { Carrier::Again(Box::new(flow)) } else { Carrier::Handshakes })
}

fn probes(
    link: &mut Link,
    route: &Route,
    carrier: &Carrier,
    round: usize,
) -> io::Result<(Vec<Probe>, Duration)> {
    let round = u16::try_from(round).unwrap_or(0);
    let (count, gap) = match carrier {
        Carrier::Again(_) | Carrier::Nothing => (ROUND_COUNT, GAP),
        Carrier::Handshakes if link.is_raw() => (SYN_COUNT, SYN_GAP / 2),
        Carrier::Handshakes => (CONNECT_COUNT, SYN_GAP),
    };
    let mut probes = Vec::with_capacity(usize::from(count) * 2);
    for number in 0..count {
        let serial = round * count + number;
        probes.push(Probe::new(Packet::Echo { sequence: serial }));
        match carrier {
            Carrier::Again(flow) => {
                // The length names the probe in the duplicate SACK.
                let packet = Packet::Again { flow: flow.flow, length: TRIAL_COUNT + 1 + serial };
                probes.push(Probe::new(packet));
            }
            Carrier::Handshakes => {
                let source_port = link.reserve_port(Protocol::Tcp)?;
                let number = u32::from(source_port).wrapping_mul(2_654_435_761);
                let port = route.target.port();
                probes.push(Probe::new(Packet::Syn { source_port, port, number }));
            }
            Carrier::Nothing => {}
        }
    }
    Ok((probes, gap))
}

fn take(tcp: &mut Series, icmp: &mut Series, probes: &[Probe], outcomes: &[Outcome]) {
    tcp.rounds.push(Vec::new());
    icmp.rounds.push(Vec::new());
    for (probe, outcome) in probes.iter().zip(outcomes) {
        if outcome.refused.is_some() {
            continue;
        }
        let echo = matches!(probe.packet, Packet::Echo { .. });
        let series = if echo { &mut *icmp } else { &mut *tcp };
        // An ICMP error is an answer too: the wire did not lose it.
        let first = outcome.first().filter(|reply| !reply.retried);
        if let Some(round) = series.rounds.last_mut() {
            round.push(first.is_some());
        }
        if let Some(reply) = first.filter(|reply| reply.answer.from_destination()) {
            series.times.push(reply.rtt);
        }
        series.duplicates += u32::try_from(outcome.replies.len().saturating_sub(1)).unwrap_or(0);
    }
}
