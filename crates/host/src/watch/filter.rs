//! The classic BPF program that keeps the tap's copies to what the watch needs (linux/filter.h).

use super::ring::SNAP_BYTES;
use libc::sock_filter;
use std::net::IpAddr;

/// Addresses of each kind that the program compares with; more would cost every packet of the host.
pub(super) const ADDRESS_COUNT_MAX: usize = 8;

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_AT_INDEX: u16 = 0x48;
const LOAD_BYTE_AT_INDEX: u16 = 0x50;
const LOAD_NUMBER: u16 = 0x00;
const LOAD_MEMORY: u16 = 0x60;
const INDEX_NUMBER: u16 = 0x01;
const INDEX_MEMORY: u16 = 0x61;
const INDEX_HEADER_LEN: u16 = 0xb1;
const STORE_MEMORY: u16 = 0x02;
const ADD_INDEX: u16 = 0x0c;
const AND: u16 = 0x54;
const SHIFT_RIGHT: u16 = 0x74;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// SYN and RST.
const CONTROL_BITS: u32 = 0x06;
/// Memory cells: whether the packet is a control packet, and its source port.
const CELL_CONTROL: u32 = 0;
const CELL_PORT: u32 = 1;

/// What the tap looks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    pub port: u16,
    /// Ports of connections begun here or translated, learned on the way.
    pub also: Vec<u16>,
    /// Datagrams count as much as SYNs do.
    pub udp: bool,
    /// Also SYN, SYN-ACK and RST of every port: connections this host begins, or translates.
    pub wide: bool,
    /// Whoever these talk to, on any port.
    pub addresses: Vec<IpAddr>,
    /// The addresses whose packets follow the pace `ours`.
    pub far: Vec<IpAddr>,
}

/// How much of the traffic is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// Only SYN, SYN-ACK and RST (of UDP all, when that is what is watched).
    pub control_only: bool,
    /// One flow in so many, as a power of two.
    pub one_in_log2: u8,
}

/// Builds the program. Offsets count from the network header, as a SOCK_DGRAM packet socket has them.
pub(super) fn program(selection: &Selection, ours: Pace, others: Pace) -> Vec<sock_filter> {
    let mut code = Assembler::default();
    families(&mut code);
    transports(&mut code, selection);
    if !selection.addresses.is_empty() {
        code.compare_addresses(&selection.addresses, Label::Class);
    }
    code.go(Label::Drop);
    code.place(Label::Class);
    code.compare_addresses(&selection.far, Label::Ours);
    pace(&mut code, others);
    code.place(Label::Ours);
    pace(&mut code, ours);
    code.place(Label::Keep);
    code.put(RETURN, SNAP_BYTES);
    code.place(Label::Drop);
    code.put(RETURN, 0);
    code.finish()
}

/// Sorts ICMP, TCP and UDP out of both families, and points the index at the transport header.
fn families(code: &mut Assembler) {
    code.put(LOAD_HALF, protocol_field());
    code.when(JUMP_EQUAL, libc::ETH_P_IP as u32, Label::V4);
    code.when(JUMP_EQUAL, libc::ETH_P_IPV6 as u32, Label::V6);
    code.go(Label::Drop);

    code.place(Label::V4);
    // A later fragment has no ports.
    code.put(LOAD_HALF, 6);
    code.when(JUMP_ANY_BIT, 0x1fff, Label::Drop);
    code.put(INDEX_HEADER_LEN, 0);
    code.put(LOAD_BYTE, 9);
    code.when(JUMP_EQUAL, 1, Label::Keep);
    code.go(Label::Transport);

    code.place(Label::V6);
    code.put(INDEX_NUMBER, 40);
    code.put(LOAD_BYTE, 6);
    code.when(JUMP_EQUAL, 58, Label::Keep);
    // Behind extension headers the process looks itself; they are rare.
    for extension in [0, 43, 44, 60] {
        code.when(JUMP_EQUAL, extension, Label::Keep);
    }
    code.place(Label::Transport);
    code.when(JUMP_EQUAL, 6, Label::Tcp);
    code.when(JUMP_EQUAL, 17, Label::Udp);
    code.go(Label::Drop);
}

/// Notes whether it is a control packet, and goes on to `Class` when a port says that it is watched.
fn transports(code: &mut Assembler, selection: &Selection) {
    code.place(Label::Udp);
    code.put(LOAD_NUMBER, u32::from(selection.udp));
    code.put(STORE_MEMORY, CELL_CONTROL);
    code.go(Label::Ports);

    code.place(Label::Tcp);
    code.put(LOAD_BYTE_AT_INDEX, 13);
    code.put(AND, CONTROL_BITS);
    code.put(STORE_MEMORY, CELL_CONTROL);
    if selection.wide {
        code.when(JUMP_ANY_BIT, CONTROL_BITS, Label::Class);
    }
    code.place(Label::Ports);
    for field in [0, 2] {
        code.put(LOAD_HALF_AT_INDEX, field);
        for port in std::iter::once(&selection.port).chain(&selection.also) {
            code.when(JUMP_EQUAL, u32::from(*port), Label::Class);
        }
    }
}

fn pace(code: &mut Assembler, pace: Pace) {
    if pace.control_only {
        code.put(LOAD_MEMORY, CELL_CONTROL);
        code.when(JUMP_EQUAL, 0, Label::Drop);
    }
    if pace.one_in_log2 > 0 {
        // The sum of the ports is the same in both directions, so a flow is taken whole or not at all.
        code.put(LOAD_HALF_AT_INDEX, 0);
        code.put(STORE_MEMORY, CELL_PORT);
        code.put(LOAD_HALF_AT_INDEX, 2);
        code.put(INDEX_MEMORY, CELL_PORT);
        code.put(ADD_INDEX, 0);
        // connect(2) prefers every second port.
        code.put(SHIFT_RIGHT, 1);
        code.put(AND, (1_u32 << pace.one_in_log2.min(15)) - 1);
        code.when(JUMP_EQUAL, 0, Label::Keep);
        code.go(Label::Drop);
    } else {
        code.go(Label::Keep);
    }
}

const fn protocol_field() -> u32 {
    (libc::SKF_AD_OFF + libc::SKF_AD_PROTOCOL) as u32
}

/// A place in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    V4,
    V6,
    Transport,
    Tcp,
    Udp,
    Ports,
    Class,
    Ours,
    Keep,
    Drop,
    /// One made on the way.
    Number(u32),
}

/// Instructions whose jumps name their goal; conditional jumps alone reach only 255 instructions.
#[derive(Debug, Default)]
struct Assembler {
    code: Vec<sock_filter>,
    jumps: Vec<(usize, Label)>,
    places: Vec<(Label, usize)>,
    labels: u32,
}

impl Assembler {
    fn put(&mut self, code: u16, k: u32) {
        self.code.push(sock_filter { code, jt: 0, jf: 0, k });
    }

    fn go(&mut self, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.put(JUMP, 0);
    }

    /// Goes to the label when the test holds, else on.
    fn when(&mut self, test: u16, k: u32, label: Label) {
        self.code.push(sock_filter { code: test, jt: 0, jf: 1, k });
        self.go(label);
    }

    /// Goes to the label unless the accumulator equals `k`.
    fn unless_equal(&mut self, k: u32, label: Label) {
        self.code.push(sock_filter { code: JUMP_EQUAL, jt: 1, jf: 0, k });
        self.go(label);
    }

    fn place(&mut self, label: Label) {
        self.places.push((label, self.code.len()));
    }

    fn label(&mut self) -> Label {
        self.labels += 1;
        Label::Number(self.labels)
    }

    /// Goes to the label when either end is one of the addresses, else on.
    fn compare_addresses(&mut self, addresses: &[IpAddr], label: Label) {
        let (v6, end) = (self.label(), self.label());
        self.put(LOAD_HALF, protocol_field());
        self.unless_equal(libc::ETH_P_IP as u32, v6);
        for field in [12, 16] {
            self.put(LOAD_WORD, field);
            for address in addresses.iter().filter_map(v4).take(ADDRESS_COUNT_MAX) {
                self.when(JUMP_EQUAL, address, label);
            }
        }
        self.go(end);
        self.place(v6);
        for field in [8, 24] {
            for words in addresses.iter().filter_map(v6_words).take(ADDRESS_COUNT_MAX) {
                let next = self.label();
                for (index, word) in (0_u32..).zip(words) {
                    self.put(LOAD_WORD, field + index * 4);
                    self.unless_equal(word, next);
                }
                self.go(label);
                self.place(next);
            }
        }
        self.place(end);
    }

    fn finish(mut self) -> Vec<sock_filter> {
        for (at, label) in self.jumps {
            let goal = self.places.iter().find(|(placed, _)| *placed == label).map_or(at + 1, |(_, at)| *at);
            self.code[at].k = u32::try_from(goal.saturating_sub(at + 1)).unwrap_or(0);
        }
        self.code
    }
}

fn v4(address: &IpAddr) -> Option<u32> {
    if let IpAddr::V4(address) = address { Some(u32::from(*address)) } else { None }
}

fn v6_words(address: &IpAddr) -> Option<[u32; 4]> {
    let IpAddr::V6(address) = address else { return None };
    let bits = address.to_bits();
    Some([(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32])
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_wire::{IpBuild, TcpBuild, TcpFlags, UdpBuild};
    use proptest::prelude::*;

    /// Runs a program as the kernel would, on a packet from its network header on.
    fn run(code: &[sock_filter], packet: &[u8]) -> u32 {
        let protocol = if packet[0] >> 4 == 4 { libc::ETH_P_IP } else { libc::ETH_P_IPV6 } as u32;
        let (mut a, mut x, mut cells, mut at) = (0_u32, 0_u32, [0_u32; 16], 0);
        let bytes = |at: u32, length: usize| -> Option<u32> {
            let part = packet.get(at as usize..at as usize + length)?;
            Some(part.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte)))
        };
        for _ in 0..code.len() {
            let one = code[at];
            at += 1;
            let loaded = match one.code {
                LOAD_HALF if one.k == protocol_field() => Some(protocol),
                LOAD_WORD => bytes(one.k, 4),
                LOAD_HALF => bytes(one.k, 2),
                LOAD_BYTE => bytes(one.k, 1),
                LOAD_HALF_AT_INDEX => bytes(x + one.k, 2),
                LOAD_BYTE_AT_INDEX => bytes(x + one.k, 1),
                LOAD_NUMBER => Some(one.k),
                LOAD_MEMORY => Some(cells[one.k as usize]),
                _ => Some(a),
            };
            // A load past the end ends the program with 0.
            let Some(loaded) = loaded else { return 0 };
            a = loaded;
            match one.code {
                INDEX_NUMBER => x = one.k,
                INDEX_MEMORY => x = cells[one.k as usize],
                INDEX_HEADER_LEN => x = bytes(one.k, 1).map_or(0, |byte| (byte & 0xf) * 4),
                STORE_MEMORY => cells[one.k as usize] = a,
                ADD_INDEX => a = a.wrapping_add(x),
                AND => a &= one.k,
                SHIFT_RIGHT => a >>= one.k,
                JUMP => at += one.k as usize,
                JUMP_EQUAL => at += usize::from(if a == one.k { one.jt } else { one.jf }),
                JUMP_ANY_BIT => at += usize::from(if a & one.k != 0 { one.jt } else { one.jf }),
                RETURN => return one.k,
                _ => {}
            }
        }
        panic!("a classic program cannot loop");
    }

    fn ip(from: &str, to: &str) -> IpBuild {
        let (source, destination) = (from.parse().unwrap(), to.parse().unwrap());
        IpBuild { source, destination, ttl: 64, ident: 1, dont_fragment: true }
    }

    fn tcp(from: &str, to: &str, ports: (u16, u16), flags: TcpFlags) -> Vec<u8> {
        let ip = ip(from, to);
        let segment = TcpBuild {
            source_port: ports.0,
            destination_port: ports.1,
            sequence: 1,
            acknowledgment: 0,
            flags,
            window: 1024,
            options: &[],
            payload: &[],
        };
        ip.wrap(6, &segment.bytes(ip.source, ip.destination)).unwrap()
    }

    fn kept(selection: &Selection, ours: Pace, others: Pace, packet: &[u8]) -> bool {
        run(&program(selection, ours, others), packet) != 0
    }

    const ALL: Pace = Pace { control_only: false, one_in_log2: 0 };
    const CONTROL: Pace = Pace { control_only: true, one_in_log2: 0 };
    const PAIRS: [(&str, &str); 2] = [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")];

    #[test]
    fn the_port_decides_in_both_directions() {
        let selection = Selection { port: 443, ..Selection::default() };
        for (from, to) in PAIRS {
            for (ports, wanted) in [((50_000, 443), true), ((443, 50_000), true), ((50_000, 80), false)] {
                assert_eq!(kept(&selection, ALL, ALL, &tcp(from, to, ports, TcpFlags::ACK)), wanted);
            }
        }
    }

    #[test]
    fn learned_ports_are_taken_too() {
        let selection = Selection { port: 443, also: vec![8080, 8443], ..Selection::default() };
        for (port, wanted) in [(443, true), (8443, true), (8444, false)] {
            let packet = tcp("10.0.0.1", "10.0.0.2", (50_000, port), TcpFlags::ACK);
            assert_eq!(kept(&selection, ALL, ALL, &packet), wanted);
        }
    }

    #[test]
    fn wide_takes_every_handshake_and_only_that() {
        let selection = Selection { port: 443, wide: true, ..Selection::default() };
        for (from, to) in PAIRS {
            for flags in [TcpFlags::SYN, TcpFlags::SYN_ACK, TcpFlags::RST_ACK] {
                assert!(kept(&selection, ALL, ALL, &tcp(from, to, (50_000, 8080), flags)));
            }
            assert!(!kept(&selection, ALL, ALL, &tcp(from, to, (50_000, 8080), TcpFlags::ACK)));
        }
    }

    #[test]
    fn addresses_are_taken_on_any_port() {
        let addresses = vec!["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
        let selection = Selection { port: 443, addresses, ..Selection::default() };
        for (from, to) in PAIRS {
            assert!(kept(&selection, ALL, ALL, &tcp(from, to, (50_000, 8443), TcpFlags::ACK)));
            assert!(kept(&selection, ALL, ALL, &tcp(to, from, (8443, 50_000), TcpFlags::ACK)));
            assert!(!kept(&selection, ALL, ALL, &tcp(from, from, (8443, 50_000), TcpFlags::ACK)));
        }
    }

    #[test]
    fn a_source_keeps_its_own_pace() {
        let far = vec!["10.0.0.9".parse().unwrap(), "10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let selection = Selection { port: 443, far, ..Selection::default() };
        for (from, to) in PAIRS {
            assert!(kept(&selection, ALL, CONTROL, &tcp(from, to, (50_000, 443), TcpFlags::ACK)));
            assert!(kept(&selection, ALL, CONTROL, &tcp(to, from, (443, 50_000), TcpFlags::ACK)));
            assert!(!kept(&selection, ALL, CONTROL, &tcp(to, to, (50_000, 443), TcpFlags::ACK)));
            assert!(kept(&selection, ALL, CONTROL, &tcp(to, to, (50_000, 443), TcpFlags::SYN)));
        }
    }

    #[test]
    fn a_share_takes_whole_flows() {
        let selection = Selection { port: 443, ..Selection::default() };
        let share = Pace { control_only: true, one_in_log2: 3 };
        let (from, to) = PAIRS[0];
        let mut count = 0;
        for port in 40_000..41_000 {
            let there = kept(&selection, ALL, share, &tcp(from, to, (port, 443), TcpFlags::SYN));
            let back = kept(&selection, ALL, share, &tcp(to, from, (443, port), TcpFlags::SYN_ACK));
            assert_eq!(there, back);
            count += usize::from(there);
        }
        assert!((110..=140).contains(&count), "{count} of 1,000 flows at one in eight");
    }

    #[test]
    fn datagrams_count_as_control_only_when_watched() {
        for (from, to) in PAIRS {
            let ip = ip(from, to);
            let datagram = UdpBuild { source_port: 5000, destination_port: 53, payload: &[] };
            let packet = ip.wrap(17, &datagram.bytes(ip.source, ip.destination)).unwrap();
            for udp in [false, true] {
                let selection = Selection { port: 53, udp, ..Selection::default() };
                assert!(kept(&selection, ALL, ALL, &packet));
                assert_eq!(kept(&selection, ALL, CONTROL, &packet), udp);
            }
        }
    }

    #[test]
    fn icmp_is_always_taken_and_later_fragments_never() {
        let none = Selection { port: 443, ..Selection::default() };
        for ((from, to), protocol) in PAIRS.into_iter().zip([1, 58]) {
            assert!(kept(&none, CONTROL, CONTROL, &ip(from, to).wrap(protocol, &[3, 1, 0, 0]).unwrap()));
        }
        let mut later = tcp("10.0.0.1", "10.0.0.2", (50_000, 443), TcpFlags::SYN);
        later[7] = 10;
        assert!(!kept(&none, ALL, ALL, &later));
    }

    #[test]
    fn the_largest_program_fits_the_kernel() {
        let addresses: Vec<IpAddr> = (0..40_u16)
            .flat_map(|n| [IpAddr::from([10, 0, 0, n as u8]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, n])])
            .collect();
        let selection = Selection {
            port: 443,
            udp: true,
            wide: true,
            far: addresses.clone(),
            addresses,
            ..Selection::default()
        };
        let pace = Pace { control_only: true, one_in_log2: 8 };
        assert!(program(&selection, pace, pace).len() < 4096);
    }

    proptest! {
        #[test]
        fn any_packet_ends_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 1..120), wide: bool) {
            let address = "10.0.0.1".parse().unwrap();
            let selection =
                Selection { port: 443, wide, addresses: vec![address], far: vec![address], ..Selection::default() };
            run(&program(&selection, ALL, CONTROL), &bytes);
        }
    }
}
