//! Which packets concern the watch, and which of them are kept when there are more than fit.
//!
//! A flow that opened well explains nothing, so those go first when room is needed; what is in trouble and
//! what comes from the source itself stays. Of a transfer only the first bytes are kept, counted by sequence
//! number, so that both ends keep the same ones.

use netwhy_model::host::{PacketKind, PacketSeen, WatchSpec};
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

/// Packets kept in all.
const PACKET_COUNT_MAX: usize = 8_192;
/// Payload kept of one flow in each direction, in bytes of sequence number from its start.
const FLOW_BYTES_MAX: u32 = 32 << 10;
/// Packets kept of one flow.
const FLOW_PACKET_COUNT_MAX: usize = 256;
/// RST, FIN and ICMP errors are kept up to this many of one flow.
const FLOW_END_COUNT_MAX: usize = 288;
/// Segments without payload kept of one flow.
const FLOW_ACK_COUNT_MAX: usize = 32;
/// When there is no room, flows go until so many packets are left.
const PACKET_COUNT_LOW: usize = PACKET_COUNT_MAX / 8 * 7;
/// Packets refused without looking again, when nothing could go.
const REFUSED_COUNT_MAX: usize = 512;
/// SYNs remembered, to know a translated one by its sequence number.
const SYN_COUNT_MAX: usize = 16_384;
/// Flows known to be ours although no port says so.
const LEARNED_COUNT_MAX: usize = 8_192;
/// Ports learned from such flows.
const PORT_COUNT_MAX: usize = 8;
/// Translated pairs remembered for the way on.
const TRANSLATED_COUNT_MAX: usize = 16;
/// Onward destinations told apart.
const DESTINATION_COUNT_MAX: usize = 1_024;
/// A connection begun so soon after a packet for the port was most likely begun because of it, in nanoseconds.
const CONSEQUENCE_NS_MAX: u64 = 300_000_000;
/// Such a connection counts as so many others.
const CONSEQUENCE_WEIGHT: u64 = 16;
/// Name servers are asked before an origin is; they are not where the connection goes.
const DNS_PORT: u16 = 53;

/// Both ends of a flow, the smaller first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends(SocketAddr, SocketAddr);

impl Hash for Ends {
    /// Feeds the hasher in few pieces: it runs for every packet.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = (u32::from(self.0.port()) << 16) | u32::from(self.1.port());
        match (self.0.ip(), self.1.ip()) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                state.write_u128(
                    (u128::from(one.to_bits()) << 64)
                        | (u128::from(other.to_bits()) << 32)
                        | u128::from(ports),
                );
            }
            (one, other) => (one, other, ports).hash(state),
        }
    }
}

/// What the watch keeps of the tap.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    spec: WatchSpec,
    own: BTreeSet<IpAddr>,
    /// The addresses that tell the source's packets from those of others.
    far: Vec<IpAddr>,
    forwards: bool,
    flows: HashMap<Ends, Flow>,
    /// Flows in the order in which they may go.
    order: VecDeque<Ends>,
    packet_count: usize,
    lost: u64,
    let_go: u64,
    refusals: usize,
    /// Sequence numbers of SYNs that came in, and whether they concerned the watch.
    syns: Recent<u32, bool>,
    /// Flows begun here, or translated.
    learned: Recent<Ends, ()>,
    /// The ports those go to.
    ports: BTreeSet<u16>,
    /// (destination, source) of translated flows as they leave.
    translated: BTreeSet<(IpAddr, IpAddr)>,
    /// Where connections were begun to, with their weight.
    destinations: HashMap<SocketAddr, u64>,
    /// When something last came for the watched port, in nanoseconds.
    knocked_ns: u64,
    /// Who was seen to knock at the watched port, and where it came in.
    knockers: BTreeSet<(IpAddr, IpAddr, u32)>,
}

/// Pairs (address asked, source) remembered for the way back.
const KNOCKER_COUNT_MAX: usize = 64;

#[derive(Debug, Default)]
struct Flow {
    packets: Vec<PacketSeen>,
    /// Where the payload of either direction starts, that of the smaller end first.
    starts: [Option<u32>; 2],
    ack_count: usize,
    troubled: bool,
    opened: bool,
    is_ours: bool,
}

impl Keeper {
    pub(super) fn new(spec: &WatchSpec) -> Keeper {
        Keeper { spec: spec.clone(), ..Keeper::default() }
    }

    /// Tells this host's addresses, those of the far end, and whether it forwards between others.
    pub(super) fn place(&mut self, own: BTreeSet<IpAddr>, far: Vec<IpAddr>, forwards: bool) {
        (self.own, self.far, self.forwards) = (own, far, forwards);
    }

    /// Keeps a packet when it concerns the watch; true when it is from or to the far end.
    pub(super) fn take(&mut self, packet: PacketSeen) -> bool {
        let is_ours = self.far.contains(&packet.from.ip()) || self.far.contains(&packet.to.ip());
        let concerns = self.concerns(&packet);
        if concerns {
            self.note(&packet);
            self.store(packet, is_ours);
        }
        if packet.kind == PacketKind::Syn && !packet.outgoing && (self.forwards || self.spec.onward) {
            self.syns.put(packet.sequence, concerns, SYN_COUNT_MAX);
        }
        is_ours
    }

    /// Counts packets that never came here.
    pub(super) fn lose(&mut self, count: u64) {
        self.lost += count;
    }

    /// Packets that are not kept and may have been the source's.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Packets of others that had to make room.
    pub(super) fn let_go(&self) -> u64 {
        self.let_go
    }

    /// Everything kept, in order of time.
    pub(super) fn packets(&self) -> Vec<PacketSeen> {
        let mut packets: Vec<PacketSeen> =
            self.flows.values().flat_map(|flow| flow.packets.iter().copied()).collect();
        packets.sort_by_key(|packet| packet.at_ns);
        packets
    }

    /// Where this host began connections to: most often first, and as answers to packets for the port.
    pub(super) fn destinations(&self) -> Vec<SocketAddr> {
        let mut counted: Vec<(SocketAddr, u64)> = self.destinations.iter().map(|(to, n)| (*to, *n)).collect();
        counted.sort_by_key(|(to, count)| (std::cmp::Reverse(*count), *to));
        counted.into_iter().map(|(to, _)| to).collect()
    }

    /// (address asked, source, interface) of the SYNs and datagrams that came for the watched port.
    pub(super) fn knockers(&self) -> impl Iterator<Item = (IpAddr, IpAddr, u32)> + '_ {
        self.knockers.iter().copied()
    }

    /// Ports to listen for beside the watched one.
    pub(super) fn ports(&self) -> &BTreeSet<u16> {
        &self.ports
    }

    /// (destination, source) of translated flows as they leave this host.
    pub(super) fn translated(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> + '_ {
        self.translated.iter().copied()
    }

    /// Both ends of every flow kept.
    pub(super) fn flows(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr)> + '_ {
        self.flows.keys().map(|ends| (ends.0, ends.1))
    }

    fn is_party(&self, address: IpAddr) -> bool {
        self.spec.sources.contains(&address) || self.spec.targets.contains(&address)
    }

    fn on_port(&self, packet: &PacketSeen) -> bool {
        packet.from.port() == self.spec.port || packet.to.port() == self.spec.port
    }

    fn concerns(&self, packet: &PacketSeen) -> bool {
        let party = self.is_party(packet.from.ip()) || self.is_party(packet.to.ip());
        let targets = &self.spec.targets;
        // On its way to or from a target the port may have been translated.
        let passes = self.is_between(packet)
            && (targets.contains(&packet.from.ip()) || targets.contains(&packet.to.ip()));
        match packet.kind {
            PacketKind::EchoRequest | PacketKind::EchoReply => party || self.spec.targets.is_empty(),
            PacketKind::IcmpError => {
                party
                    || self.on_port(packet)
                    || self.spec.targets.is_empty()
                    || self.learned.get(&ends(packet)).is_some()
            }
            _ if self.on_port(packet) || self.learned.get(&ends(packet)).is_some() => true,
            PacketKind::Syn => passes || self.is_translated(packet) || self.begins_onward(packet),
            _ => passes,
        }
    }

    /// True when neither end is this host, so that it only passes through.
    fn is_between(&self, packet: &PacketSeen) -> bool {
        self.forwards && !self.own.contains(&packet.from.ip()) && !self.own.contains(&packet.to.ip())
    }

    /// True when a SYN leaves as another flow than it came: only its sequence number is still the same.
    fn is_translated(&self, packet: &PacketSeen) -> bool {
        packet.outgoing && self.syns.get(&packet.sequence) == Some(&true)
    }

    /// True when this host itself begins the connection: no other sent it that SYN before.
    fn begins_onward(&self, packet: &PacketSeen) -> bool {
        self.spec.onward
            && packet.outgoing
            && packet.kind == PacketKind::Syn
            && self.own.contains(&packet.from.ip())
            && packet.to.port() != DNS_PORT
            && self.syns.get(&packet.sequence).is_none()
    }

    /// Learns from a packet that concerns the watch what later ones are to be known by.
    fn note(&mut self, packet: &PacketSeen) {
        let knocks = !packet.outgoing && packet.to.port() == self.spec.port;
        let opens = matches!(packet.kind, PacketKind::Syn | PacketKind::Udp);
        if knocks {
            self.knocked_ns = self.knocked_ns.max(packet.at_ns);
        }
        if knocks && opens && self.knockers.len() < KNOCKER_COUNT_MAX {
            self.knockers.insert((packet.to.ip(), packet.from.ip(), packet.interface));
        }
        if packet.kind != PacketKind::Syn {
            return;
        }
        let flow = ends(packet);
        if packet.outgoing && self.begins_onward(packet) {
            if !self.flows.contains_key(&flow) {
                self.count_destination(packet);
            }
            self.learn(flow, packet.to.port());
        } else if self.is_translated(packet) {
            if self.translated.len() < TRANSLATED_COUNT_MAX {
                self.translated.insert((packet.to.ip(), packet.from.ip()));
            }
            self.learn(flow, packet.to.port());
        }
    }

    fn learn(&mut self, flow: Ends, port: u16) {
        self.learned.put(flow, (), LEARNED_COUNT_MAX);
        if port != self.spec.port && self.ports.len() < PORT_COUNT_MAX {
            self.ports.insert(port);
        }
    }

    fn count_destination(&mut self, packet: &PacketSeen) {
        let soon = packet.at_ns.saturating_sub(self.knocked_ns) <= CONSEQUENCE_NS_MAX;
        let weight = if soon { CONSEQUENCE_WEIGHT } else { 1 };
        if self.destinations.len() < DESTINATION_COUNT_MAX || self.destinations.contains_key(&packet.to) {
            *self.destinations.entry(packet.to).or_default() += weight;
        }
    }

    fn store(&mut self, mut packet: PacketSeen, is_ours: bool) {
        if self.packet_count >= PACKET_COUNT_MAX && !self.make_room(is_ours) {
            self.lost += 1;
            return;
        }
        let key = ends(&packet);
        match self.flows.entry(key) {
            Entry::Occupied(mut flow) => {
                if !flow.get().wants(&mut packet) {
                    return;
                }
                flow.get_mut().push(packet, is_ours);
            }
            Entry::Vacant(place) => {
                place.insert(Flow::default()).push(packet, is_ours);
                self.order.push_back(key);
            }
        }
        self.packet_count += 1;
    }

    /// Drops flows that may go for a packet; false when none of them may.
    fn make_room(&mut self, is_ours: bool) -> bool {
        if self.refusals > 0 && !is_ours {
            self.refusals -= 1;
            return false;
        }
        self.drop_flows(|flow| flow.is_well() && !flow.is_ours);
        if is_ours {
            self.drop_flows(|flow| !flow.is_ours);
            self.drop_flows(Flow::is_well);
        }
        let room = self.packet_count < PACKET_COUNT_MAX;
        self.refusals = if room { 0 } else { REFUSED_COUNT_MAX };
        room
    }

    fn drop_flows(&mut self, may_go: impl Fn(&Flow) -> bool) {
        if !self.flows.values().any(&may_go) {
            return;
        }
        for _ in 0..self.order.len() {
            if self.packet_count <= PACKET_COUNT_LOW {
                return;
            }
            let Some(key) = self.order.pop_front() else { return };
            match self.flows.entry(key) {
                Entry::Occupied(flow) if may_go(flow.get()) => {
                    let flow = flow.remove();
                    self.packet_count -= flow.packets.len();
                    // Of a stranger it is known that it was not the source's.
                    let strange = !flow.is_ours && !self.far.is_empty();
                    *(if strange { &mut self.let_go } else { &mut self.lost }) += flow.packets.len() as u64;
                }
                Entry::Occupied(_) => self.order.push_back(key),
                Entry::Vacant(_) => {}
            }
        }
    }
}

impl Flow {
    /// Whether a further packet says more; payload is cut where the kept range ends.
    fn wants(&self, packet: &mut PacketSeen) -> bool {
        let count_max = match packet.kind {
            PacketKind::Rst | PacketKind::Fin | PacketKind::IcmpError => FLOW_END_COUNT_MAX,
            _ => FLOW_PACKET_COUNT_MAX,
        };
        let start = self.starts[usize::from(packet.from > packet.to)];
        match (packet.kind, start) {
            (PacketKind::Ack, _) if self.ack_count >= FLOW_ACK_COUNT_MAX => return false,
            (PacketKind::Data, Some(start)) => {
                let left = FLOW_BYTES_MAX.saturating_sub(packet.sequence.wrapping_sub(start));
                if left == 0 {
                    return false;
                }
                packet.payload_len = packet.payload_len.min(u16::try_from(left).unwrap_or(u16::MAX));
            }
            _ => {}
        }
        self.packets.len() < count_max
    }

    fn push(&mut self, packet: PacketSeen, is_ours: bool) {
        let start = &mut self.starts[usize::from(packet.from > packet.to)];
        match packet.kind {
            PacketKind::Syn | PacketKind::SynAck => *start = Some(packet.sequence.wrapping_add(1)),
            PacketKind::Data | PacketKind::Ack if start.is_none() => *start = Some(packet.sequence),
            _ => {}
        }
        self.ack_count += usize::from(packet.kind == PacketKind::Ack);
        self.is_ours |= is_ours;
        self.opened |= matches!(packet.kind, PacketKind::SynAck | PacketKind::Udp | PacketKind::EchoReply);
        self.troubled |= match packet.kind {
            PacketKind::Rst | PacketKind::IcmpError => true,
            PacketKind::Syn | PacketKind::SynAck | PacketKind::Data => {
                self.packets.iter().any(|before| is_repeat(before, &packet))
            }
            _ => false,
        };
        self.packets.push(packet);
    }

    fn is_well(&self) -> bool {
        self.opened && !self.troubled
    }
}

/// True when the same segment goes the same way once more.
fn is_repeat(before: &PacketSeen, again: &PacketSeen) -> bool {
    before.kind == again.kind
        && before.sequence == again.sequence
        && before.from == again.from
        && before.outgoing == again.outgoing
        && before.interface == again.interface
}

fn ends(packet: &PacketSeen) -> Ends {
    if packet.from <= packet.to { Ends(packet.from, packet.to) } else { Ends(packet.to, packet.from) }
}

/// A map that forgets its older half when it is full.
#[derive(Debug)]
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Recent<K, V> {
        Recent { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Hash + Eq, V> Recent<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn put(&mut self, key: K, value: V, count_max: usize) {
        if self.young.len() >= count_max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: PacketKind, from: &str, to: &str, sequence: u32) -> PacketSeen {
        PacketSeen {
            at_ns: u64::from(sequence),
            outgoing: false,
            other_station: false,
            interface: 2,
            kind,
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            sequence,
            acknowledgment: 0,
            payload_len: 0,
            ttl: 64,
            icmp: None,
            mac: None,
        }
    }

    fn keeper(onward: bool, forwards: bool) -> Keeper {
        let spec = WatchSpec {
            port: 443,
            targets: vec!["10.0.0.2".parse().unwrap()],
            onward,
            ..WatchSpec::default()
        };
        let mut keeper = Keeper::new(&spec);
        keeper.place(
            BTreeSet::from(["10.0.0.2".parse().unwrap(), "10.1.0.1".parse().unwrap()]),
            Vec::new(),
            forwards,
        );
        keeper
    }

    #[test]
    fn a_full_keeper_gives_up_well_flows_first() {
        let mut keeper = keeper(false, false);
        keeper.take(packet(PacketKind::Syn, "10.0.0.1:9", "10.0.0.2:443", 0));
        for n in 0..PACKET_COUNT_MAX as u32 {
            let client = format!("10.9.{}.{}:5000", n >> 8, n & 255);
            keeper.take(packet(PacketKind::Syn, &client, "10.0.0.2:443", n));
            keeper.take(packet(PacketKind::SynAck, "10.0.0.2:443", &client, n));
        }
        let packets = keeper.packets();
        assert!(packets.len() <= PACKET_COUNT_MAX);
        assert!(keeper.lost() > 0);
        assert!(packets.iter().any(|p| p.from.port() == 9), "the unanswered SYN stays");
    }

    #[test]
    fn payload_is_kept_by_sequence_number() {
        let mut keeper = keeper(false, false);
        keeper.take(packet(PacketKind::Syn, "10.0.0.1:9", "10.0.0.2:443", u32::MAX));
        for start in [0, FLOW_BYTES_MAX - 10, FLOW_BYTES_MAX, u32::MAX] {
            let data = packet(PacketKind::Data, "10.0.0.1:9", "10.0.0.2:443", start);
            keeper.take(PacketSeen { payload_len: 1_000, ..data });
        }
        let mut kept: Vec<(u32, u16)> = keeper
            .packets()
            .iter()
            .filter(|p| p.kind == PacketKind::Data)
            .map(|p| (p.sequence, p.payload_len))
            .collect();
        kept.sort_unstable();
        assert_eq!(kept, [(0, 1_000), (FLOW_BYTES_MAX - 10, 10)]);
        assert_eq!(keeper.lost(), 0);
    }

    #[test]
    fn onward_is_what_this_host_begins_itself() {
        let mut keeper = keeper(true, true);
        let own = packet(PacketKind::Syn, "10.1.0.1:5000", "10.2.0.9:8080", 7);
        keeper.take(PacketSeen { outgoing: true, ..own });
        // A forwarded one, masqueraded on the way out.
        keeper.take(packet(PacketKind::Syn, "10.5.0.1:5000", "10.2.0.8:80", 8));
        let masked = packet(PacketKind::Syn, "10.1.0.1:5001", "10.2.0.8:80", 8);
        keeper.take(PacketSeen { outgoing: true, ..masked });
        assert_eq!(keeper.destinations(), ["10.2.0.9:8080".parse().unwrap()]);
        keeper.take(packet(PacketKind::Rst, "10.2.0.9:8080", "10.1.0.1:5000", 9));
        assert_eq!(keeper.packets().len(), 2, "the answer is kept, the forwarded flow is not");
    }

    #[test]
    fn a_translated_flow_is_known_by_its_sequence_number() {
        let mut keeper = keeper(false, true);
        keeper.take(packet(PacketKind::Syn, "10.5.0.1:5000", "10.0.0.2:443", 77));
        let out = packet(PacketKind::Syn, "10.1.0.1:6000", "10.7.0.1:8443", 77);
        keeper.take(PacketSeen { outgoing: true, ..out });
        keeper.take(packet(PacketKind::SynAck, "10.7.0.1:8443", "10.1.0.1:6000", 5));
        assert_eq!(keeper.packets().len(), 3);
        assert!(keeper.ports().contains(&8443));
    }
}
