//! Conversations become records: of each interface that sees them, cut by the aggregation.

use super::random::Random;
use super::world::{Host, World};
use crate::detect::{TCP, UDP};
use crate::record::{Action, Address, Flow};

/// One conversation, or a call that became none.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub client: Address,
    pub server: Address,
    pub client_port: u16,
    pub port: u16,
    pub protocol: u8,
    /// Seconds since 1970.
    pub start: f64,
    pub seconds: f64,
    /// Packets and bytes of the caller.
    pub sent: (u64, u64),
    /// Packets and bytes of the answer; nothing where there is none.
    pub answered: (u64, u64),
    pub rejected: bool,
}

/// Takes calls, gives records.
#[derive(Debug)]
pub struct Scene<'a> {
    pub world: &'a World,
    pub random: Random,
    pub flows: Vec<Flow>,
    /// Strangers of the background that looked for open doors, once for each closed one they found.
    pub scanners: Vec<Address>,
}

impl<'a> Scene<'a> {
    pub fn new(world: &'a World, random: Random) -> Scene<'a> {
        Scene { world, random, flows: Vec::new(), scanners: Vec::new() }
    }

    /// A call over TCP that is still to be filled.
    pub fn tcp(&mut self, client: Address, server: Address, port: u16, start: f64) -> Call {
        let client_port = self.world.client_port(&mut self.random);
        Call {
            client,
            server,
            client_port,
            port,
            protocol: TCP,
            start,
            seconds: 0.0,
            sent: (1, 60),
            answered: (0, 0),
            rejected: false,
        }
    }

    pub fn udp(&mut self, client: Address, server: Address, port: u16, start: f64) -> Call {
        Call { protocol: UDP, ..self.tcp(client, server, port, start) }
    }

    /// A conversation with so many bytes each way.
    pub fn session(&mut self, call: Call, sent: f64, answered: f64, seconds: f64) {
        let packets = |bytes: f64, other: f64| 4 + (bytes / 1300.0) as u64 + (other / 2800.0) as u64;
        let (up, down) = (packets(sent, answered), packets(answered, sent));
        self.add(Call {
            seconds,
            sent: (up, up * 52 + sent as u64),
            answered: (down, down * 52 + answered as u64),
            ..call
        });
    }

    /// A SYN that nobody answers, or a reset does.
    pub fn knock(&mut self, call: Call, rejected: bool) {
        let tries = if rejected || self.random.chance(0.6) { 1 } else { self.random.below(1, 4) };
        let size = *self.random.pick(&[40, 44, 52, 60]);
        let reset = !rejected && self.random.chance(0.3);
        let answered = if reset { (1, 40) } else { (0, 0) };
        self.add(Call { sent: (tries, tries * size), answered, rejected, ..call });
    }

    pub fn add(&mut self, call: Call) {
        let client = self.world.find(call.client).filter(|host| host.is_logged).cloned();
        let server = self.world.find(call.server).filter(|host| host.is_logged).cloned();
        // A rejected call is seen by the one that rejects it: where both are ours, the receiver's group.
        match (&client, &server) {
            (Some(client), Some(server)) if call.rejected => {
                self.seen(client, &Call { rejected: false, ..call });
                self.seen(server, &call);
            }
            (Some(client), Some(server)) => {
                self.seen(client, &call);
                self.seen(server, &call);
            }
            (Some(host), None) | (None, Some(host)) => self.seen(host, &call),
            (None, None) => {}
        }
    }

    /// What passes through an interface that is neither end's.
    pub fn seen(&mut self, host: &Host, call: &Call) {
        let forward = self.record(host, call);
        self.cut(forward, call.seconds);
        if call.answered.0 == 0 || call.rejected {
            return;
        }
        let delay_ms = self.random.below(1, 80) as i64;
        let answer = Flow {
            start_ms: forward.start_ms + delay_ms,
            end_ms: forward.end_ms + delay_ms,
            source: forward.destination,
            destination: forward.source,
            source_port: forward.destination_port,
            destination_port: forward.source_port,
            packets: call.answered.0,
            bytes: call.answered.1,
            tcp_flags: match (call.protocol, call.answered.1) {
                (TCP, ..=40) => 4,
                (TCP, _) => 18,
                _ => 0,
            },
            ..forward
        };
        self.cut(answer, call.seconds);
    }

    fn record(&mut self, host: &Host, call: &Call) -> Flow {
        let start_ms = (call.start * 1000.0) as i64;
        Flow {
            start_ms,
            end_ms: start_ms + (call.seconds * 1000.0) as i64,
            source: call.client,
            destination: call.server,
            source_port: call.client_port,
            destination_port: call.port,
            protocol: call.protocol,
            packets: call.sent.0,
            bytes: call.sent.1,
            tcp_flags: if call.protocol == TCP { 2 } else { 0 },
            action: if call.rejected { Action::Reject } else { Action::Accept },
            interface: host.interface,
            account: host.account,
            ..Flow::default()
        }
    }

    /// A long conversation gives one record for each window of the aggregation.
    fn cut(&mut self, flow: Flow, seconds: f64) {
        let window_s = self.world.window_s as f64;
        let parts = ((seconds / window_s) as u64 + 1).min(flow.packets.max(1)).min(200);
        for part in 0..parts {
            let share = |whole: u64| whole / parts + u64::from(part < whole % parts);
            let shift_ms = (part as f64 * window_s * 1000.0) as i64;
            let (start_ms, length_ms) = (flow.start_ms + shift_ms, (window_s.min(seconds) * 1000.0) as i64);
            self.flows.push(Flow {
                // AWS writes whole seconds.
                start_ms: start_ms.div_euclid(1000) * 1000,
                end_ms: (start_ms + length_ms).div_euclid(1000) * 1000,
                packets: share(flow.packets),
                bytes: share(flow.bytes),
                tcp_flags: if part == 0 { flow.tcp_flags } else { 0 },
                ..flow
            });
        }
    }
}
