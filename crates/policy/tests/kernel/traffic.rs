//! Random packets of a few connections: some as they should be, some not.

use super::dice::{Dice, PORTS, Places};
use super::lab::End;
use netwhy_policy::netfilter::eval::{Decision, Outcome};
use netwhy_policy::netfilter::packet::{ICMP, ICMPV6, Inner, Packet, TCP, UDP};
use std::net::IpAddr;

/// One connection, as far as packets of it were let through.
struct Flow {
    first: Packet,
    from: End,
    /// What came out of it on the other side.
    beyond: Option<Packet>,
    over: bool,
}

pub struct Traffic<'a> {
    places: &'a [&'a Places],
    flows: Vec<Flow>,
    next_port: u16,
}

/// How many connections are in use at once.
const FLOWS: usize = 24;
/// Sequence numbers: the first of a side, whatever comes after it is one more.
const ASKER_SEQUENCE: u32 = 1_000;
const ANSWERER_SEQUENCE: u32 = 5_000;

impl<'a> Traffic<'a> {
    pub fn new(places: &'a [&'a Places]) -> Traffic<'a> {
        Traffic { places, flows: Vec::new(), next_port: 1_024 }
    }

    /// The next packet, where it enters, and of which connection it is.
    pub fn next(&mut self, dice: &mut Dice) -> (Packet, End, usize) {
        if self.flows.len() < FLOWS || dice.percent(12) {
            let flow = self.open(dice);
            if self.flows.len() < FLOWS {
                self.flows.push(flow);
            } else {
                let at = dice.below(FLOWS);
                self.flows[at] = flow;
            }
        }
        let at = dice.below(self.flows.len());
        if self.flows[at].over {
            self.flows[at] = self.open(dice);
        }
        let flow = &self.flows[at];
        let answers = flow.beyond.as_ref().filter(|_| dice.percent(45));
        let (mut packet, end, reply) = match answers {
            Some(beyond) => (turned(beyond), other(flow.from), true),
            None => (flow.first.clone(), flow.from, false),
        };
        shape(&mut packet, dice, reply);
        if reply && dice.percent(6) {
            packet = error_about(&packet, dice);
        }
        packet.input = Some(end.interface().to_owned());
        packet.length = Some(super::frame::length(&packet));
        (packet, end, at)
    }

    /// Remembers what became of a packet of a connection, so that answers can come.
    pub fn became(&mut self, at: usize, packet: &Packet, end: End, decision: &Decision) {
        let flow = &mut self.flows[at];
        let rewritten = decision.rewritten;
        if rewritten.is_some_and(|new| {
            new.src.is_none()
                || new.dst.is_none()
                || packet.has_ports() && (new.sport.is_none() || new.dport.is_none())
        }) {
            // Only the kernel knows what it chose: nothing more can be said of this connection.
            flow.over = true;
            return;
        }
        if decision.verdict != Outcome::Accept
            || end != flow.from
            || packet.source != flow.first.source
            || packet.inner.is_some()
        {
            return;
        }
        let mut beyond = packet.clone();
        if let Some(rewritten) = decision.rewritten {
            let (Some(source), Some(destination)) = (rewritten.src, rewritten.dst) else { return };
            (beyond.source, beyond.destination) = (source, destination);
            if packet.has_ports() {
                let (Some(sport), Some(dport)) = (rewritten.sport, rewritten.dport) else { return };
                beyond = beyond.ports(sport, dport);
            }
        }
        // The router takes no answer from an address of its own.
        if super::lab::host().is_local(beyond.destination) == Some(false) {
            flow.beyond = Some(beyond);
        }
    }

    fn open(&mut self, dice: &mut Dice) -> Flow {
        let places = dice.pick(self.places);
        let from = if dice.percent(80) { End::A } else { End::B };
        let (mut source, mut destination) = (dice.pick(places.clients), dice.pick(places.servers));
        if from == End::B {
            std::mem::swap(&mut source, &mut destination);
        }
        if dice.percent(15) {
            destination = dice.pick(places.local);
        }
        let address = |text: &str| -> IpAddr { text.parse().expect("address") };
        let protocol = match dice.below(10) {
            0..=5 => TCP,
            6..=7 => UDP,
            8 if places.six => ICMPV6,
            8 => ICMP,
            _ => dice.pick(&[47, 50, 89]),
        };
        let mut packet = Packet::new(protocol, address(source), address(destination));
        self.next_port = if self.next_port > 60_000 { 1_024 } else { self.next_port + 1 };
        if packet.has_ports() {
            packet = packet.ports(self.next_port, dice.pick(&PORTS));
        }
        packet.icmp_id = Some(self.next_port);
        packet.ttl = Some(if dice.percent(10) { dice.pick(&[2, 9, 10, 11, 255]) } else { 64 });
        packet.dscp = Some(if dice.percent(20) { dice.pick(&[8, 10, 46]) } else { 0 });
        packet.ecn = Some(0);
        packet.mac = Some(if from == End::A { 0x0200_0000_001a } else { 0x0200_0000_001b });
        Flow { first: packet, from, beyond: None, over: false }
    }
}

fn other(end: End) -> End {
    if end == End::A { End::B } else { End::A }
}

/// The way back of what came out.
fn turned(beyond: &Packet) -> Packet {
    let mut packet = beyond.clone();
    (packet.source, packet.destination) = (beyond.destination, beyond.source);
    (packet.source_port, packet.destination_port) = (beyond.destination_port, beyond.source_port);
    packet.mac = Some(0x0200_0000_001b ^ 0x0200_0000_001a ^ beyond.mac.unwrap_or(0));
    packet
}

/// Gives a packet the flags or the type that one of its connection has now and then.
fn shape(packet: &mut Packet, dice: &mut Dice, reply: bool) {
    match packet.protocol {
        TCP => {
            let usual: &[u8] =
                if reply { &[18, 18, 16, 16, 24, 17, 20, 4] } else { &[2, 2, 2, 16, 16, 24, 17, 4] };
            let odd: &[u8] = &[0, 1, 2, 3, 4, 16, 18, 20, 17, 25, 41, 63, 194, 34, 48, 6];
            let flags = if dice.percent(88) { dice.pick(usual) } else { dice.pick(odd) };
            let (mine, theirs) =
                if reply { (ANSWERER_SEQUENCE, ASKER_SEQUENCE) } else { (ASKER_SEQUENCE, ANSWERER_SEQUENCE) };
            packet.flags = Some(flags);
            packet.sequence = Some(if flags & 2 != 0 { mine } else { mine + 1 });
            packet.acknowledgment = Some(if flags & 16 != 0 { theirs + 1 } else { 0 });
        }
        ICMP => packet.icmp_type = Some(pick_type(dice, reply, [8, 0], &[13, 14, 17, 9, 30])),
        ICMPV6 => packet.icmp_type = Some(pick_type(dice, reply, [128, 129], &[139, 140, 200])),
        _ => {}
    }
}

fn pick_type(dice: &mut Dice, reply: bool, usual: [u8; 2], odd: &[u8]) -> u8 {
    if dice.percent(85) { usual[usize::from(reply)] } else { dice.pick(odd) }
}

/// An ICMP error about what the answering side would have got, instead of an answer.
fn error_about(answer: &Packet, dice: &mut Dice) -> Packet {
    let six = answer.is_v6();
    let protocol = if six { ICMPV6 } else { ICMP };
    let mut packet = Packet::new(protocol, answer.source, answer.destination);
    packet.icmp_type = Some(if six { dice.pick(&[1, 3]) } else { dice.pick(&[3, 11]) });
    packet.icmp_code = Some(0);
    packet.icmp_id = Some(0);
    packet.ttl = Some(64);
    packet.dscp = Some(0);
    packet.ecn = Some(0);
    packet.mac = answer.mac;
    if matches!(answer.protocol, TCP | UDP) {
        packet.inner = Some(Inner {
            source: answer.destination,
            destination: answer.source,
            protocol: answer.protocol,
            source_port: answer.destination_port.unwrap_or(0),
            destination_port: answer.source_port.unwrap_or(0),
        });
        packet
    } else {
        answer.clone()
    }
}
