//! Writes what exporters send: NetFlow v5, v9, IPFIX and sFlow datagrams, for tests and the benchmark.
#![allow(dead_code, reason = "each test uses a part")]

use netwhy_flows::{Address, Flow};

/// When the exporter of these datagrams started, in milliseconds since 1970.
pub const BOOT_MS: i64 = 1_700_000_000_000;
/// Records of one datagram below the usual MTU.
pub const RECORD_COUNT_MAX: usize = 24;
const TEMPLATE_V4: u16 = 256;
const TEMPLATE_V6: u16 = 257;

/// Counts its datagrams and records as exporters do.
#[derive(Debug, Default, Clone)]
pub struct Exporter {
    pub domain: u32,
    pub sequence_v5: u32,
    pub sequence_v9: u32,
    pub sequence_ipfix: u32,
    pub sequence_sflow: u32,
}

fn be16(bytes: &mut Vec<u8>, number: u16) {
    bytes.extend(number.to_be_bytes());
}

fn be32(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend(number.to_be_bytes());
}

fn uptime(time_ms: i64) -> u32 {
    (time_ms - BOOT_MS) as u32
}

/// A set: its number, its length, its body.
pub fn set(number: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    be16(&mut bytes, number);
    be16(&mut bytes, body.len() as u16 + 4);
    bytes.extend(body);
    bytes
}

/// A template: its number and its fields as element and length.
pub fn template(number: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    be16(&mut bytes, number);
    be16(&mut bytes, fields.len() as u16);
    for (element, length) in fields {
        be16(&mut bytes, *element);
        be16(&mut bytes, *length);
    }
    bytes
}

const ADDRESSES_V4: [(u16, u16); 2] = [(8, 4), (12, 4)];
const ADDRESSES_V6: [(u16, u16); 2] = [(27, 16), (28, 16)];
const TIMES_V9: [(u16, u16); 2] = [(22, 4), (21, 4)];
const TIMES_IPFIX: [(u16, u16); 2] = [(152, 8), (153, 8)];
const REST: [(u16, u16); 6] = [(1, 8), (2, 8), (7, 2), (11, 2), (4, 1), (6, 1)];

impl Exporter {
    /// At most 30 IPv4 flows, whose counts and times fit into 32 bits.
    pub fn v5(&mut self, flows: &[Flow], now_ms: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        be16(&mut bytes, 5);
        be16(&mut bytes, flows.len() as u16);
        be32(&mut bytes, uptime(now_ms));
        be32(&mut bytes, (now_ms / 1000) as u32);
        be32(&mut bytes, (now_ms % 1000) as u32 * 1_000_000);
        be32(&mut bytes, self.sequence_v5);
        bytes.extend([0; 4]);
        self.sequence_v5 = self.sequence_v5.wrapping_add(flows.len() as u32);
        for flow in flows {
            be32(&mut bytes, flow.source.as_v4().unwrap_or(0));
            be32(&mut bytes, flow.destination.as_v4().unwrap_or(0));
            bytes.extend([0; 8]);
            be32(&mut bytes, flow.packets as u32);
            be32(&mut bytes, flow.bytes as u32);
            be32(&mut bytes, uptime(flow.start_ms));
            be32(&mut bytes, uptime(flow.end_ms));
            be16(&mut bytes, flow.source_port);
            be16(&mut bytes, flow.destination_port);
            bytes.extend([0, flow.tcp_flags, flow.protocol, 0]);
            bytes.extend([0; 8]);
        }
        bytes
    }

    /// The head of a v9 datagram of so many records, around sets.
    pub fn v9(&mut self, records: usize, sets: &[Vec<u8>], now_ms: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        be16(&mut bytes, 9);
        be16(&mut bytes, records as u16);
        be32(&mut bytes, uptime(now_ms));
        be32(&mut bytes, (now_ms / 1000) as u32);
        be32(&mut bytes, self.sequence_v9);
        be32(&mut bytes, self.domain);
        self.sequence_v9 = self.sequence_v9.wrapping_add(1);
        bytes.extend(sets.concat());
        bytes
    }

    /// The head of an IPFIX message of so many data records, around sets.
    pub fn ipfix(&mut self, records: usize, sets: &[Vec<u8>], now_ms: i64) -> Vec<u8> {
        let sets = sets.concat();
        let mut bytes = Vec::new();
        be16(&mut bytes, 10);
        be16(&mut bytes, 16 + sets.len() as u16);
        be32(&mut bytes, (now_ms / 1000) as u32);
        be32(&mut bytes, self.sequence_ipfix);
        be32(&mut bytes, self.domain);
        self.sequence_ipfix = self.sequence_ipfix.wrapping_add(records as u32);
        bytes.extend(sets);
        bytes
    }

    /// sFlow: each flow's packets as one sample of their headers; `rate` is the sampling's.
    pub fn sflow(&mut self, flows: &[Flow], rate: u32, expanded: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        be32(&mut bytes, 5);
        be32(&mut bytes, 1);
        be32(&mut bytes, 0x0a00_0001);
        for number in [0, self.sequence_sflow, 1000, flows.len() as u32] {
            be32(&mut bytes, number);
        }
        self.sequence_sflow += 1;
        for flow in flows {
            let mut record = Vec::new();
            let v4 = flow.source.as_v4().is_some();
            be32(&mut record, flow.bytes as u32);
            be32(&mut record, u32::from(flow.protocol));
            for address in [flow.source, flow.destination] {
                record.extend(address_bytes(address, v4));
            }
            be32(&mut record, u32::from(flow.source_port));
            be32(&mut record, u32::from(flow.destination_port));
            be32(&mut record, u32::from(flow.tcp_flags));
            be32(&mut record, 0);
            let mut sample = Vec::new();
            let head: &[u32] =
                if expanded { &[1, 0, 2, rate, 9, 0, 0, 2, 0, 3, 1] } else { &[1, 2, rate, 9, 0, 2, 3, 1] };
            head.iter().for_each(|number| be32(&mut sample, *number));
            be32(&mut sample, if v4 { 3 } else { 4 });
            be32(&mut sample, record.len() as u32);
            sample.extend(record);
            be32(&mut bytes, if expanded { 3 } else { 1 });
            be32(&mut bytes, sample.len() as u32);
            bytes.extend(sample);
        }
        bytes
    }
}

/// The four template and data sets of flows: templates of both families, then the flows of each.
pub fn sets(flows: &[Flow], ipfix: bool) -> (Vec<u8>, Vec<Vec<u8>>) {
    let times = if ipfix { TIMES_IPFIX } else { TIMES_V9 };
    let mut templates = template(TEMPLATE_V4, &[&ADDRESSES_V4[..], &times, &REST].concat());
    templates.extend(template(TEMPLATE_V6, &[&ADDRESSES_V6[..], &times, &REST].concat()));
    let mut data = Vec::new();
    for v4 in [true, false] {
        let mut body = Vec::new();
        for flow in flows.iter().filter(|flow| flow.source.as_v4().is_some() == v4) {
            record(&mut body, flow, v4, ipfix);
        }
        if !body.is_empty() {
            data.push(set(if v4 { TEMPLATE_V4 } else { TEMPLATE_V6 }, &body));
        }
    }
    (set(if ipfix { 2 } else { 0 }, &templates), data)
}

fn record(bytes: &mut Vec<u8>, flow: &Flow, v4: bool, ipfix: bool) {
    for address in [flow.source, flow.destination] {
        bytes.extend(address_bytes(address, v4));
    }
    for time_ms in [flow.start_ms, flow.end_ms] {
        if ipfix {
            bytes.extend(time_ms.to_be_bytes());
        } else {
            be32(bytes, uptime(time_ms));
        }
    }
    bytes.extend(flow.bytes.to_be_bytes());
    bytes.extend(flow.packets.to_be_bytes());
    be16(bytes, flow.source_port);
    be16(bytes, flow.destination_port);
    bytes.extend([flow.protocol, flow.tcp_flags]);
}

fn address_bytes(address: Address, v4: bool) -> Vec<u8> {
    if v4 { address.as_v4().unwrap_or(0).to_be_bytes().to_vec() } else { address.0.to_be_bytes().to_vec() }
}
