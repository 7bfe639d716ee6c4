//! Who is ours, and who called whom.

use super::looks::is_knock;
use super::sketch::{Seed, mix, mix_address};
use super::{TCP, UDP};
use crate::record::{Address, Flow, Opener};
use std::collections::{HashMap, HashSet};

/// How many addresses of ours are told apart.
pub const OUR_COUNT_MAX: usize = 1 << 16;
/// How many interfaces are learnt.
const INTERFACE_COUNT_MAX: usize = 1 << 20;
/// After so many records the one address that was on all of them is the interface's own.
const LEARN_RECORD_COUNT: u32 = 12;
/// Cells of the sketch that counts how often an endpoint is seen (a count-min sketch of one row, 16 bits each).
const ENDPOINT_CELL_COUNT: usize = 1 << 16;
/// Conversations between like ports that are remembered.
const OPENING_COUNT: usize = 1 << 16;
/// Ports above 1023 that mean a service.
const SERVICE_PORTS: &[u16] = &[
    1194, 1433, 1434, 1521, 1723, 1883, 1900, 2049, 2181, 2222, 2323, 2375, 2376, 2379, 2380, 3000, 3128,
    3268, 3306, 3389, 3690, 4222, 4369, 4500, 4789, 5000, 5060, 5061, 5222, 5353, 5432, 5433, 5601, 5672,
    5683, 5900, 5984, 5985, 5986, 6379, 6443, 6667, 7000, 7001, 8000, 8008, 8080, 8081, 8086, 8088, 8123,
    8125, 8181, 8200, 8300, 8301, 8443, 8472, 8500, 8883, 8888, 9000, 9042, 9090, 9091, 9092, 9093, 9100,
    9200, 9300, 9418, 9443, 9999, 10000, 10050, 10051, 10250, 11211, 11434, 15672, 25565, 27017, 27018,
    51820,
];

/// One record, turned so that it says who called.
#[derive(Debug, Clone, Copy)]
pub struct Talk {
    pub client: Address,
    pub server: Address,
    /// The number of our host on that side, where it is ours.
    pub our_client: Option<u32>,
    pub our_server: Option<u32>,
    pub client_port: u16,
    /// The port that was called.
    pub port: u16,
    /// Whether the record's packets go from the client to the server.
    pub request: bool,
    /// Both sides are ours, and this is the copy that the server's interface wrote.
    pub is_copy: bool,
}

/// What one interface has shown.
#[derive(Debug, Clone, Copy, Default)]
struct Interface {
    candidates: [Address; 2],
    records: u32,
}

/// Learns who is ours.
#[derive(Debug)]
pub struct Sides {
    numbers: HashMap<Address, u32, Seed>,
    addresses: Vec<Address>,
    /// Whether the host's own interface writes records.
    has_interface: Vec<bool>,
    public: HashSet<Address, Seed>,
    interfaces: Vec<Interface>,
    endpoints: Vec<u16>,
    slots: usize,
    /// Conversations between like ports, by who was seen first; newer ones displace older ones.
    openings: Vec<u64>,
}

impl Sides {
    pub fn new(ours: &[Address]) -> Sides {
        Sides {
            numbers: HashMap::default(),
            addresses: Vec::new(),
            has_interface: Vec::new(),
            public: ours
                .iter()
                .copied()
                .filter(|address| !is_private(*address))
                .take(OUR_COUNT_MAX)
                .collect(),
            interfaces: Vec::new(),
            endpoints: vec![0; ENDPOINT_CELL_COUNT],
            slots: 1,
            openings: vec![0; OPENING_COUNT],
        }
    }

    /// How many cells of ten minutes the input spans by now.
    pub fn slots(&self) -> usize {
        self.slots
    }

    pub fn set_slots(&mut self, slots: usize) {
        self.slots = slots;
    }

    /// The address of a number.
    pub fn address(&self, number: u32) -> Address {
        self.addresses.get(number as usize).copied().unwrap_or_default()
    }

    /// The number of an address of ours that was seen.
    pub fn known(&self, address: Address) -> Option<u32> {
        self.numbers.get(&address).copied()
    }

    pub fn is_ours(&self, address: Address) -> bool {
        is_private(address) || self.public.contains(&address)
    }

    /// Turns a record; none where it has no addresses or none of ours.
    pub fn talk(&mut self, flow: &Flow) -> Option<Talk> {
        if flow.source.is_unknown() || flow.destination.is_unknown() {
            return None;
        }
        let own = self.learn(flow);
        let (source, destination) = (self.number(flow.source), self.number(flow.destination));
        if source.is_none() && destination.is_none() {
            return None;
        }
        if self.source_called(flow, source.is_some()) {
            let is_copy = own == flow.destination && self.writes(source);
            Some(Talk {
                client: flow.source,
                server: flow.destination,
                our_client: source,
                our_server: destination,
                client_port: flow.source_port,
                port: flow.destination_port,
                request: true,
                is_copy,
            })
        } else {
            let is_copy = own == flow.source && self.writes(destination);
            Some(Talk {
                client: flow.destination,
                server: flow.source,
                our_client: destination,
                our_server: source,
                client_port: flow.destination_port,
                port: flow.source_port,
                request: false,
                is_copy,
            })
        }
    }

    fn writes(&self, number: Option<u32>) -> bool {
        number.is_some_and(|number| self.has_interface[number as usize])
    }

    fn number(&mut self, address: Address) -> Option<u32> {
        if !self.is_ours(address) {
            return None;
        }
        if let Some(number) = self.numbers.get(&address) {
            return Some(*number);
        }
        if self.addresses.len() >= OUR_COUNT_MAX {
            return None;
        }
        let number = self.addresses.len() as u32;
        self.numbers.insert(address, number);
        self.addresses.push(address);
        self.has_interface.push(false);
        Some(number)
    }

    /// The interface's own address where it is known: the one that is on all of its records.
    ///
    /// An interface that shows none (a gateway, an exporter) has no own address.
    fn learn(&mut self, flow: &Flow) -> Address {
        let place = flow.interface.0 as usize;
        if place == 0 || place >= INTERFACE_COUNT_MAX {
            return Address::default();
        }
        if place >= self.interfaces.len() {
            self.interfaces.resize(place + 1, Interface::default());
        }
        let interface = &mut self.interfaces[place];
        if interface.records == 0 {
            interface.candidates = [flow.source, flow.destination];
        }
        if interface.records > LEARN_RECORD_COUNT {
            return interface.candidates[0];
        }
        interface.records += 1;
        for candidate in &mut interface.candidates {
            if *candidate != flow.source && *candidate != flow.destination {
                *candidate = Address::default();
            }
        }
        if interface.records > LEARN_RECORD_COUNT {
            self.settle(place);
        }
        Address::default()
    }

    fn settle(&mut self, place: usize) {
        let interface = &mut self.interfaces[place];
        let own = match interface.candidates {
            [one, other] if other.is_unknown() => one,
            [one, other] if one.is_unknown() => other,
            // Only one pair talks here: wait for a third address.
            _ => {
                interface.records = LEARN_RECORD_COUNT;
                return;
            }
        };
        interface.candidates = [own; 2];
        if own.is_unknown() {
            return;
        }
        if !is_private(own) && self.public.len() < OUR_COUNT_MAX {
            self.public.insert(own);
        }
        if let Some(number) = self.number(own) {
            self.has_interface[number as usize] = true;
        }
    }

    /// Whether the sender of this record opened the conversation.
    fn source_called(&mut self, flow: &Flow, source_is_ours: bool) -> bool {
        const SYN: u8 = 2;
        const ACK: u8 = 16;
        const RST: u8 = 4;
        match flow.opener {
            Opener::Source => return true,
            Opener::Destination => return false,
            Opener::Unknown => {}
        }
        if flow.protocol != TCP && flow.protocol != UDP {
            return true;
        }
        if flow.protocol == TCP && flow.tcp_flags & (SYN | ACK) == SYN {
            return true;
        }
        // A lone reset without a SYN before it answers a call.
        if flow.protocol == TCP && flow.tcp_flags & RST != 0 && flow.packets <= 2 {
            return false;
        }
        // AWS writes exactly 18 for who answered; others OR the whole conversation, which says nothing.
        if flow.protocol == TCP && flow.tcp_flags == SYN | ACK {
            return false;
        }
        let (source, destination) = (service_rank(flow.source_port), service_rank(flow.destination_port));
        // A high port against a higher one says little.
        if source.max(destination) > 1 && source != destination {
            return destination > source;
        }
        if flow.source_port == flow.destination_port && !(source_is_ours && self.is_ours(flow.destination)) {
            return source_is_ours;
        }
        self.first_called(flow, source, destination)
    }

    /// Between two like ports the endpoint that is seen more often is the service; else who was seen first called.
    fn first_called(&mut self, flow: &Flow, source_rank: u8, destination_rank: u8) -> bool {
        let source = self.count_endpoint(flow.source, flow.source_port);
        let destination = self.count_endpoint(flow.destination, flow.destination_port);
        let (less, more) = (source.min(destination), source.max(destination));
        // A scan may come from one port: what carries no data says nothing about services.
        if !is_knock(flow) && more >= 8 && more / 2 >= less {
            return destination > source;
        }
        if !is_knock(flow) && source_rank != destination_rank {
            return destination_rank > source_rank;
        }
        let way = |from, from_port: u16, to, to_port: u16| {
            mix(mix_address(from) ^ mix(mix_address(to) ^ u64::from(from_port) << 16 ^ u64::from(to_port)))
        };
        let back = way(flow.destination, flow.destination_port, flow.source, flow.source_port);
        if self.openings[back as usize & (OPENING_COUNT - 1)] == back {
            return false;
        }
        let forth = way(flow.source, flow.source_port, flow.destination, flow.destination_port);
        self.openings[forth as usize & (OPENING_COUNT - 1)] = forth;
        true
    }

    fn count_endpoint(&mut self, address: Address, port: u16) -> u16 {
        let cell = mix(mix_address(address) ^ u64::from(port)) as usize & (ENDPOINT_CELL_COUNT - 1);
        self.endpoints[cell] = self.endpoints[cell].saturating_add(1);
        self.endpoints[cell]
    }
}

/// How much a port looks like a service's.
fn service_rank(port: u16) -> u8 {
    match port {
        0 => 0,
        1..1024 => 3,
        1024..32768 if is_service(port) => 2,
        1024..32768 => 1,
        _ if port == 51820 => 2,
        _ => 0,
    }
}

fn is_service(port: u16) -> bool {
    const BITS: [u64; 512] = service_bits();
    BITS[port as usize / 64] >> (port % 64) & 1 == 1
}

const fn service_bits() -> [u64; 512] {
    let mut bits = [0; 512];
    let mut place = 0;
    while place < SERVICE_PORTS.len() {
        let port = SERVICE_PORTS[place];
        if port < 32768 {
            bits[port as usize / 64] |= 1 << (port % 64);
        }
        place += 1;
    }
    bits
}

/// Whether an address is link-local.
pub fn is_link_local(address: Address) -> bool {
    match address.as_v4() {
        Some(number) => number >> 16 == 0xa9fe,
        None => address.0 >> 118 == 0x3fa,
    }
}

/// Whether an address is private, shared (RFC 6598) or unique-local. Link-local ones are the provider's own services
/// (time, names, metadata), nobody's hosts.
pub fn is_private(address: Address) -> bool {
    match address.as_v4() {
        Some(number) => {
            number >> 24 == 10 || number >> 20 == 0xac1 || number >> 16 == 0xc0a8 || number >> 22 == 0x191
        }
        None => address.0 >> 121 == 0x7e,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Symbol;

    fn flow(source: &str, source_port: u16, destination: &str, destination_port: u16) -> Flow {
        let address = |text: &str| Address::from(text.parse::<std::net::IpAddr>().unwrap());
        Flow {
            source: address(source),
            destination: address(destination),
            source_port,
            destination_port,
            protocol: 6,
            interface: Symbol(2),
            ..Flow::default()
        }
    }

    #[test]
    fn private_ranges_are_known() {
        for (text, private) in [
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("192.168.7.7", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("fd00::1", true),
            ("fe80::1", false),
            ("169.254.169.123", false),
            ("2001:db8::1", false),
            ("8.8.8.8", false),
        ] {
            assert_eq!(
                is_private(Address::from(text.parse::<std::net::IpAddr>().unwrap())),
                private,
                "{text}"
            );
        }
    }

    #[test]
    fn an_answer_is_no_call() {
        let mut sides = Sides::new(&[]);
        let talk = sides.talk(&flow("10.0.0.1", 443, "203.0.113.9", 50_000)).unwrap();
        assert!(!talk.request && talk.our_server.is_some() && talk.port == 443);
        let talk = sides.talk(&flow("10.0.0.1", 40_000, "203.0.113.9", 22)).unwrap();
        assert!(talk.request && talk.our_client.is_some());
    }

    #[test]
    fn a_public_address_on_all_records_of_an_interface_is_ours() {
        let mut sides = Sides::new(&[]);
        for last in 1..60 {
            sides.talk(&flow("198.51.100.7", 443, &format!("203.0.113.{last}"), 50_000));
        }
        assert!(sides.talk(&flow("198.51.100.7", 443, "203.0.113.99", 50_000)).is_some());
    }
}
