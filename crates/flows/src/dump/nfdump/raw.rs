//! nfdump's raw format: a block for each record, a field a line.

use super::Line;
use super::lines::opener;
use super::words::{port, tcp_flags};
use crate::names::Names;
use crate::record::{Action, Address, Direction, Flow};
use std::net::IpAddr;

/// A record whose lines are coming in.
#[derive(Debug)]
pub struct Record {
    flow: Flow,
    input: String,
    exporter: String,
    /// It has times, and so is about a flow.
    timed: bool,
    bad: bool,
}

/// Whether a line begins a record.
pub fn is_start(line: &str) -> bool {
    line.trim_end().starts_with("Flow Record:")
}

impl Record {
    pub fn new(flow: Flow) -> Record {
        Record { flow, input: String::new(), exporter: String::new(), timed: false, bad: false }
    }

    /// Takes one line.
    pub fn field(&mut self, line: &str) {
        let Some((name, value)) = line.split_once('=') else { return };
        let (name, value) = (name.trim(), value.trim());
        let word = value.split_whitespace().next().unwrap_or_default();
        let number = word.parse::<u64>().ok();
        match name {
            "first" => {
                self.timed = true;
                self.number(number, |flow, time| flow.start_ms = time.cast_signed());
            }
            "last" => self.number(number, |flow, time| flow.end_ms = time.cast_signed()),
            "proto" => self.number(number, |flow, number| flow.protocol = number as u8),
            "tcp flags" => self.flow.tcp_flags = tcp_flags(word),
            "src port" => self.number(number, |flow, port| flow.source_port = port as u16),
            "dst port" => self.number(number, |flow, port| flow.destination_port = port as u16),
            "ICMP" => self.number(port(word).map(u64::from), |flow, both| flow.destination_port = both as u16),
            "in packets" => self.number(number, |flow, count| flow.packets = count),
            "in bytes" => self.number(number, |flow, count| flow.bytes = count),
            "src addr" => self.address(word, |flow, address| flow.source = address),
            "dst addr" => self.address(word, |flow, address| flow.destination = address),
            "fwd status" => {
                self.flow.action = match number.unwrap_or(0) >> 6 {
                    1 | 3 => Action::Accept,
                    2 => Action::Reject,
                    _ => Action::Unknown,
                };
            }
            "direction" if word == "1" => self.flow.direction = Direction::Out,
            "input" if number.is_some_and(|number| number > 0) => word.clone_into(&mut self.input),
            "ip exporter" if word.parse::<IpAddr>().is_ok() => word.clone_into(&mut self.exporter),
            _ => {}
        }
    }

    fn number(&mut self, number: Option<u64>, set: impl Fn(&mut Flow, u64)) {
        match number {
            Some(number) => set(&mut self.flow, number),
            None => self.bad = true,
        }
    }

    fn address(&mut self, word: &str, set: impl Fn(&mut Flow, Address)) {
        match word.parse::<IpAddr>() {
            Ok(address) => set(&mut self.flow, address.into()),
            Err(_) => self.bad = true,
        }
    }

    /// The flow of a whole record; `None` when it is about none.
    pub fn flow(&self, names: &Names) -> Option<Flow> {
        if !self.timed || self.bad {
            return None;
        }
        let interface = match (self.exporter.as_str(), self.input.as_str()) {
            ("", only) | (only, "") => only.to_owned(),
            (exporter, input) => format!("{exporter}/{input}"),
        };
        let flow = Flow { interface: names.symbol(&interface), ..self.flow };
        Some(Flow { opener: opener(&flow), ..flow })
    }

    pub fn outcome(&self, names: &Names) -> Line {
        match self.flow(names) {
            Some(flow) => Line::Flow(flow),
            None if self.bad => Line::Bad("a field of the record above is no number or address", "上面记录的字段不是数字或地址"),
            None => Line::Nothing,
        }
    }
}
