//! A router in a namespace of its own between two cables, of which the test holds the other ends.

use super::frame::{self, Seen};
use netwhy_policy::netfilter::eval::Host;
use netwhy_policy::netfilter::packet::{Packet, UDP};
use netwhy_testing::{in_namespace, run};
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// How long the router may take to come up.
const PASSES_WITHIN: Duration = Duration::from_secs(10);
/// How much a socket keeps before it loses frames, in bytes.
const BUFFER_BYTES: i32 = 256 << 20;
const ROUTER_A: &str = "02:00:00:00:00:0a";
const ROUTER_B: &str = "02:00:00:00:00:0b";
pub const SENDER_A: [u8; 6] = [2, 0, 0, 0, 0, 0x1a];
pub const SENDER_B: [u8; 6] = [2, 0, 0, 0, 0, 0x1b];

/// The far ends of the router's two cables.
pub struct Lab {
    a: OwnedFd,
    b: OwnedFd,
}

/// The router's two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    A,
    B,
}

impl End {
    /// The router's interface there.
    pub fn interface(self) -> &'static str {
        if self == End::A { "pr0" } else { "pr1" }
    }
}

/// What the machine is told of the router.
pub fn host() -> Host {
    let addresses =
        |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|text| text.parse().expect("address")).collect() };
    let route =
        |text: &str, length, end: End| (text.parse().expect("network"), length, end.interface().to_owned());
    Host {
        interfaces: vec![
            ("pr0".to_owned(), addresses(&["198.51.100.1", "2001:db8:a::1"])),
            ("pr1".to_owned(), addresses(&["192.0.2.1", "192.0.2.5", "2001:db8:ff::1"])),
        ],
        routes: vec![
            route("198.51.100.0", 24, End::A),
            route("0.0.0.0", 0, End::B),
            route("2001:db8:a::", 64, End::A),
            route("::", 0, End::B),
        ],
    }
}

/// Runs a test in the router's namespace, with the far ends of its cables in hand.
pub fn with(tools: &'static [&'static str], test: impl FnOnce(Lab) + Send + 'static) {
    in_namespace(tools, move || {
        run("ip link add pa0 type veth peer name pr0 && ip link add pb0 type veth peer name pr1
             for i in pa0 pb0; do sysctl -qw net.ipv6.conf.$i.disable_ipv6=1; done
             ip link set pa0 address 02:00:00:00:00:1a; ip link set pb0 address 02:00:00:00:00:1b
             ip link set pa0 arp off up; ip link set pb0 arp off up");
        for interface in ["pa0", "pb0", "pr0", "pr1"] {
            netwhy_socket::frames::switch_offload_off(interface).expect("offload off");
        }
        let open = |interface| netwhy_socket::frames::open(interface, BUFFER_BYTES).expect("packet socket");
        let lab = Lab { a: open("pa0"), b: open("pb0") };
        let outside = File::open("/proc/thread-self/ns/net").expect("this namespace");
        let path = format!("/proc/{}/fd/{}", std::process::id(), outside.as_raw_fd());
        in_namespace(&[], move || {
            let _keep = outside;
            // On one processor, so that frames of both cables stay in the order they were sent in.
            let thread = std::fs::read_link("/proc/thread-self").expect("this thread");
            let thread = thread.file_name().and_then(|name| name.to_str()).expect("a number").to_owned();
            run(&format!("taskset -pc 0 {thread}"));
            router(&path);
            lab.wait();
            test(lab);
        });
    });
}

fn router(outside: &str) {
    run(&format!(
        "for i in pr0 pr1; do nsenter --net={outside} ip link set $i netns $$; done
         ip link set pr0 address {ROUTER_A}; ip link set pr1 address {ROUTER_B}
         sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 \
            net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0 \
            net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0 net.ipv4.icmp_ratelimit=0 \
            net.ipv4.igmp_max_memberships=0
         for i in pr0 pr1; do
            sysctl -qw net.ipv4.conf.$i.rp_filter=0 net.ipv4.conf.$i.send_redirects=0 net.ipv6.conf.$i.accept_ra=0 \
                net.ipv6.conf.$i.accept_dad=0 net.ipv6.conf.$i.router_solicitations=0 net.ipv6.conf.$i.addr_gen_mode=1
            ip link set $i up
         done
         ip addr add 198.51.100.1/32 dev pr0; ip addr add 192.0.2.1/32 dev pr1; ip addr add 192.0.2.5/32 dev pr1
         ip -6 addr add 2001:db8:a::1/128 dev pr0 nodad; ip -6 addr add 2001:db8:ff::1/128 dev pr1 nodad
         ip route add 198.51.100.254/32 dev pr0; ip neigh replace 198.51.100.254 lladdr 02:00:00:00:00:1a dev pr0 nud permanent
         ip route add 192.0.2.2/32 dev pr1; ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:1b dev pr1 nud permanent
         ip route add 198.51.100.0/24 via 198.51.100.254 dev pr0; ip route add default via 192.0.2.2 dev pr1
         ip -6 neigh replace fe80::a lladdr 02:00:00:00:00:1a dev pr0 nud permanent
         ip -6 neigh replace fe80::b lladdr 02:00:00:00:00:1b dev pr1 nud permanent
         ip -6 route add 2001:db8:a::/64 via fe80::a dev pr0; ip -6 route add default via fe80::b dev pr1"
    ));
}

/// Loads what makes every set of rules measurable: nothing that the router itself says leaves it, what comes in
/// is counted and ended before anything could answer, and connections do not hang on sequence numbers.
pub fn load_probe() {
    run("nft -f - <<'EOF'
table inet probe {
    chain out { type filter hook output priority -2147483648; drop; }
}
EOF");
    for setting in ["nf_conntrack_tcp_be_liberal=1", "nf_conntrack_max=1000000"] {
        netwhy_testing::attempt(&format!("sysctl -qw net.netfilter.{setting}"));
    }
}

impl Lab {
    /// Sends a frame into one of the router's ends.
    pub fn send(&self, end: End, frame: &[u8]) {
        let socket = if end == End::A { &self.a } else { &self.b };
        netwhy_socket::frames::send(socket, frame);
    }

    /// Waits until packets of both families pass both ways: an interface takes its time to come up.
    fn wait(&self) {
        let ways = [
            ("198.51.100.9", "10.0.0.1", End::A),
            ("10.0.0.1", "198.51.100.9", End::B),
            ("2001:db8:a::9", "2001:db8:b::1", End::A),
            ("2001:db8:b::1", "2001:db8:a::9", End::B),
        ];
        for local in ["2001:db8:ff::1", "2001:db8:a::1"] {
            netwhy_testing::until("an address to be the router's", PASSES_WITHIN, || {
                netwhy_testing::attempt(&format!("ip -6 route get {local} | grep -q ^local"))
            });
        }
        for (source, destination, from) in ways {
            let address = |text: &str| text.parse().expect("address");
            let packet = Packet::new(UDP, address(source), address(destination)).ports(9, 9);
            let frame = frame::build(&packet, 0, from);
            netwhy_testing::until("a packet to pass", PASSES_WITHIN, || {
                self.send(from, &frame);
                self.seen().iter().any(|(to, seen)| *to != from && seen.source == packet.source)
            });
        }
    }

    /// Everything that came out since the last look.
    pub fn seen(&self) -> Vec<(End, Seen)> {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        for (end, socket) in [(End::A, &self.a), (End::B, &self.b)] {
            while let Some(length) = netwhy_socket::frames::receive(socket, &mut buffer) {
                seen.extend(frame::read(&buffer[..length]).map(|seen| (end, seen)));
            }
        }
        seen
    }
}
