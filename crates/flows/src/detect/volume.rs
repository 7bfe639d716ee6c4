//! Floods by volume: UDP in and out, amplification, and churn of connections.

use super::alert::{Technique, Way};
use super::finding::{Finding, Kind, Majority, prove, sample};
use super::looks::is_reflector;
use super::series::{Cell, HISTORY_SLOTS_MIN, Run, Series};
use super::sides::Sides;
use crate::record::{Address, Flow};

/// UDP packets or records in ten minutes that begin a flood.
const FLOOD_PACKETS_MIN: u64 = 10_000;
const FLOOD_RECORDS_MIN: u32 = 500;
/// How far above the host's own median.
const FLOOD_RATIO: u32 = 8;
/// A conversation has two sides: packets the other way, by packets this way.
const ANSWER_SHARE_MAX: f64 = 0.1;
/// What a reflector sends by what it is asked, in bytes, and how much of it in ten minutes.
const REFLECTED_RATIO_MIN: u64 = 5;
const REFLECTED_BYTES_MIN: u64 = 1_000_000;
/// New connections in ten minutes, and how far above nine tenths of the host's cells.
const CHURN_CALLS_MIN: u32 = 8_000;
const CHURN_RATIO: u32 = 8;

/// One way of the UDP traffic of one host.
#[derive(Debug, Default)]
struct Stream {
    series: Series,
    peer: Majority,
    port: Majority,
    packets: u64,
    records: u64,
    sample: Vec<Address>,
    proof: Vec<Flow>,
}

/// Both ways of the UDP traffic of one host with one class of ports.
#[derive(Debug, Default)]
struct Both {
    sent: Stream,
    received: Stream,
}

/// One host of ours.
#[derive(Debug, Default)]
struct Host {
    /// With others' reflector ports: what our clients ask, and what is amplified against us.
    asked: Both,
    /// With our own reflector ports.
    served: Both,
    rest: Both,
}

/// The state of these detectors, by the number of the host.
#[derive(Debug, Default)]
pub struct Volume {
    hosts: Vec<Host>,
}

impl Volume {
    pub fn clear(&mut self) {
        self.hosts.clear();
    }

    /// Takes a UDP record that our host sent or received.
    pub fn datagrams(&mut self, our: u32, is_sent: bool, flow: &Flow) {
        let host = self.host(our);
        let (peer, our_port, peer_port) = if is_sent {
            (flow.destination, flow.source_port, flow.destination_port)
        } else {
            (flow.source, flow.destination_port, flow.source_port)
        };
        let both = match (is_reflector(our_port), is_reflector(peer_port)) {
            (false, true) => &mut host.asked,
            (true, false) => &mut host.served,
            _ => &mut host.rest,
        };
        let stream = if is_sent { &mut both.sent } else { &mut both.received };
        let cell = stream.series.at(flow.start_ms);
        cell.requests = cell.requests.saturating_add(1);
        cell.packets = cell.packets.saturating_add(flow.packets);
        cell.bytes = cell.bytes.saturating_add(flow.bytes);
        cell.mark(flow.start_ms);
        stream.packets = stream.packets.saturating_add(flow.packets);
        // The port that names the service: an amplifier's own, else the one that is called.
        let port = match (is_reflector(our_port), is_reflector(peer_port), is_sent) {
            (false, true, _) | (false, false, true) => peer_port,
            _ => our_port,
        };
        stream.note(peer, port, flow);
    }

    fn host(&mut self, our: u32) -> &mut Host {
        let place = our as usize;
        if place >= self.hosts.len() {
            // Numbers are below `sides::OUR_COUNT_MAX`.
            self.hosts.resize_with(place + 1, Host::default);
        }
        &mut self.hosts[place]
    }

    pub fn findings(&self, sides: &Sides, slots: usize) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (number, host) in self.hosts.iter().enumerate() {
            let entity = sides.address(number as u32);
            for (both, of_in) in [
                (&host.asked, Technique::Amplification),
                (&host.served, Technique::Distributed),
                (&host.rest, Technique::Distributed),
            ] {
                findings.extend(both.sent.flood(
                    &both.received,
                    slots,
                    Way::Out,
                    Technique::OneTarget,
                    entity,
                ));
                findings.extend(both.received.flood(&both.sent, slots, Way::In, of_in, entity));
            }
            findings.extend(host.served.reflects(slots, entity));
        }
        findings
    }
}

impl Stream {
    fn note(&mut self, peer: Address, port: u16, flow: &Flow) {
        self.peer.add(peer, flow.packets);
        self.port.add(Address(port.into()), flow.packets);
        // Ordinary datagrams come first in any day; the proof is what is louder than the average so far.
        self.records += 1;
        if u128::from(flow.packets) * u128::from(self.records) >= 2 * u128::from(self.packets) {
            sample(&mut self.sample, peer);
            prove(&mut self.proof, flow);
        }
    }

    /// Far more than usual one way, and next to nothing the other.
    fn flood(
        &self,
        other: &Stream,
        slots: usize,
        way: Way,
        technique: Technique,
        entity: Address,
    ) -> Option<Finding> {
        let slots = slots.max(HISTORY_SLOTS_MIN);
        let thousands = |cell: &Cell| u32::try_from(cell.packets / 1000).unwrap_or(u32::MAX);
        let packets_bar =
            FLOOD_PACKETS_MIN.max(1000 * u64::from(self.series.bar(slots, FLOOD_RATIO, thousands)));
        let records_bar = FLOOD_RECORDS_MIN.max(self.series.bar(slots, FLOOD_RATIO, |cell| cell.requests));
        let is_hot = |cell: &Cell| {
            let loud = cell.packets >= packets_bar || cell.requests >= records_bar;
            loud && (other.series.packets_at(cell.slot) as f64) < ANSWER_SHARE_MAX * cell.packets as f64
        };
        let weight = |cell: &Cell| u32::try_from(cell.packets).unwrap_or(u32::MAX);
        let run = self.series.hot(is_hot, weight)?;
        Some(self.finding(way, entity, technique, &run))
    }

    fn finding(&self, way: Way, entity: Address, technique: Technique, run: &Run) -> Finding {
        let one_peer = self.peer.lead() > 0.3;
        let peers = if one_peer { vec![self.peer.member] } else { self.sample.clone() };
        Finding {
            port: if self.port.lead() > 0.5 { self.port.member.0 as u16 } else { 0 },
            peers,
            proof: self.proof.clone(),
            confidence: 0.95,
            ..Finding::new(Kind::UdpFlood, way, entity, technique, run)
        }
    }
}

impl Both {
    /// Our service answers much more than it is asked: its answers go to a forged sender.
    fn reflects(&self, slots: usize, entity: Address) -> Option<Finding> {
        let kilobytes = |cell: &Cell| u32::try_from(cell.bytes / 1000).unwrap_or(u32::MAX);
        let usual = self.sent.series.bar(slots.max(HISTORY_SLOTS_MIN), FLOOD_RATIO, kilobytes);
        let bar = REFLECTED_BYTES_MIN.max(1000 * u64::from(usual));
        let is_hot = |cell: &Cell| {
            cell.bytes >= bar && cell.bytes >= REFLECTED_RATIO_MIN * self.received.series.bytes_at(cell.slot)
        };
        let run = self.sent.series.hot(is_hot, kilobytes)?;
        Some(self.sent.finding(Way::Out, entity, Technique::Amplification, &run))
    }
}

/// Far more new connections than in the host's own busy hours.
pub fn churn(calls: &Series, slots: usize, entity: Address) -> Option<Finding> {
    let requests = |cell: &Cell| cell.requests;
    let bar = CHURN_CALLS_MIN.max(CHURN_RATIO * calls.quantile(slots.max(HISTORY_SLOTS_MIN), 0.9, requests));
    let run = calls.hot(|cell| cell.requests >= bar, requests)?;
    Some(Finding { confidence: 0.7, ..Finding::new(Kind::Churn, Way::In, entity, Technique::Other, &run) })
}
