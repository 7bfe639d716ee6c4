//! What the room reads, held against what was set up in a network namespace of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use netwhy_netlink::route::{self, RouteAnswer, RouteKind, RouteQuery};
use netwhy_netlink::sock_diag::{self, SocketQuery, state};
use netwhy_netlink::xfrm;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::process::Command;

/// Runs a test alone in a namespace with `lo` and the pair `va` (10.9.0.1, 2001:db8:9::1) and `vb` up.
fn in_namespace(test: impl FnOnce()) {
    // Only the test's own thread moves; the test runner gives each its own.
    // SAFETY: plain system call.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        println!("SKIPPED: no network namespace of its own");
        return;
    }
    let made = ip("link set lo up")
        && ip("link add va type veth peer name vb")
        && ip("link set va up")
        && ip("link set vb up")
        && ip("addr add 10.9.0.1/24 dev va");
    if !made {
        println!("SKIPPED: no veth pair");
        return;
    }
    test();
}

fn ip(words: &str) -> bool {
    run("ip", words)
}

fn run(program: &str, words: &str) -> bool {
    Command::new(program).args(words.split(' ')).status().is_ok_and(|status| status.success())
}

fn output(program: &str, words: &str) -> String {
    let output = Command::new(program).args(words.split(' ')).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn index(name: &str) -> u32 {
    route::links().unwrap().iter().find(|link| link.name == name).unwrap().index
}

#[test]
fn every_kind_of_route_is_told_apart() {
    in_namespace(|| {
        for (number, kind) in ["blackhole", "prohibit", "unreachable", "throw"].iter().enumerate() {
            assert!(ip(&format!("route add {kind} 198.51.100.{number}")));
        }
        assert!(ip("route add 203.0.113.0/24 mtu 1300 via 10.9.0.2"));
        let kind = |to: &str| route::route_get(address(to), None, None).unwrap().kind_name();
        assert_eq!(kind("198.51.100.0"), "blackhole");
        assert_eq!(kind("198.51.100.1"), "prohibit");
        assert_eq!(kind("198.51.100.2"), "unreachable");
        assert_eq!(kind("198.51.100.3"), "none");
        assert_eq!(kind("8.8.8.8"), "none");
        assert_eq!(kind("10.9.0.1"), "local");
        assert_eq!(kind("10.9.0.255"), "broadcast");
        let RouteAnswer::Route(found) = route::route_get(address("203.0.113.9"), None, None).unwrap() else {
            panic!("no route");
        };
        assert_eq!((found.kind, found.table, found.mtu), (RouteKind::Unicast, 254, Some(1300)));
        assert_eq!(found.gateway, Some(address("10.9.0.2")));
        assert_eq!(found.source, Some(address("10.9.0.1")));
        assert_eq!(found.interface_name.as_deref(), Some("va"));
    });
}

#[test]
fn ipv6_refuses_as_ipv4_does() {
    in_namespace(|| {
        if !ip("-6 addr add 2001:db8:9::1/64 dev va nodad") {
            println!("SKIPPED: no IPv6 here");
            return;
        }
        assert!(ip("-6 route add blackhole 2001:db8:5::1") && ip("-6 route add prohibit 2001:db8:5::2"));
        assert!(ip("route add 203.0.113.0/24 via inet6 fe80::1 dev va"));
        let kind = |to: &str| route::route_get(address(to), None, None).unwrap().kind_name();
        assert_eq!(kind("2001:db8:5::1"), "blackhole");
        assert_eq!(kind("2001:db8:5::2"), "prohibit");
        assert_eq!(kind("2001:db8:77::1"), "none");
        assert_eq!(kind("2001:db8:9::7"), "unicast");
        // An IPv4 route over an IPv6 next hop.
        let answer = route::route_get(address("203.0.113.9"), None, None).unwrap();
        assert_eq!(answer.route().unwrap().gateway, Some(address("fe80::1")));
    });
}

#[test]
fn a_router_is_asked_for_a_packet_that_arrives() {
    in_namespace(|| {
        assert!(ip("link add vc type veth peer name vd") && ip("link set vc up") && ip("link set vd up"));
        assert!(ip("addr add 10.8.0.1/24 dev vc") && ip("route add 203.0.113.0/24 via 10.9.0.2"));
        let (from, to, entry) = (Some(address("10.8.0.7")), address("203.0.113.9"), Some(index("vc")));
        let kind = |from| route::route_get(to, from, entry).unwrap().kind_name();
        let set = |name: &str, value: &str| {
            std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value).unwrap();
        };
        set("ip_forward", "0");
        assert_eq!(kind(from), "unreachable", "forwarding is off");
        set("ip_forward", "1");
        assert_eq!(kind(from), "unicast");
        assert_eq!(kind(None), "blackhole", "a packet without source is a martian");
        set("conf/all/rp_filter", "1");
        assert_eq!(kind(Some(address("10.9.0.7"))), "filtered", "it would arrive on the wrong side");
        assert!(ip("route add blackhole 198.51.100.0/24"));
        let black = route::route_get(address("198.51.100.1"), from, entry).unwrap();
        assert_eq!(black.kind_name(), "blackhole");
        let answer = route::route_get(to, from, entry).unwrap();
        assert_eq!(answer.route().unwrap().interface_name.as_deref(), Some("va"));
    });
}

#[test]
fn policy_rules_choose_the_table_and_read_like_ip_rule() {
    in_namespace(|| {
        assert!(ip("route add 203.0.113.0/24 via 10.9.0.2 table 77"));
        assert!(ip("rule add from 10.0.0.0/8 fwmark 0x5/0xff lookup 77 prio 100"));
        assert!(ip(
            "rule add not from 10.1.0.0/16 to 10.2.0.0/16 iif nosuch ipproto tcp dport 80-90 prohibit prio 101"
        ));
        assert!(ip("rule add oif va uidrange 0-5 lookup main suppress_prefixlength 0 prio 102"));
        let read: Vec<String> =
            route::rules().unwrap().iter().filter(|rule| !rule.v6).map(ToString::to_string).collect();
        let shown: Vec<String> =
            output("ip", "rule").lines().map(|line| line.replacen(":\t", ": ", 1)).collect();
        assert_eq!(read, shown);
        let to = RouteQuery { mark: Some(5), ..RouteQuery::to(address("203.0.113.9")) };
        let marked = RouteQuery { from: Some(address("10.9.0.1")), ..to };
        assert_eq!(marked.ask().unwrap().route().unwrap().table, 77);
        assert!(RouteQuery { mark: None, ..marked }.ask().unwrap().route().is_none());
    });
}

#[test]
fn routes_read_like_ip_route() {
    in_namespace(|| {
        assert!(ip("route add default via 10.9.0.2 metric 7"));
        assert!(ip("route add 192.0.2.0/24 nexthop via 10.9.0.3 weight 2 nexthop via 10.9.0.4"));
        assert!(ip("route add blackhole 198.51.100.0/24 table 99"));
        let read: Vec<String> = route::routes().unwrap().iter().map(ToString::to_string).collect();
        for line in [
            "default via 10.9.0.2 dev va metric 7",
            "192.0.2.0/24 nexthop via 10.9.0.3 dev va weight 2 nexthop via 10.9.0.4 dev va",
            "blackhole 198.51.100.0/24 table 99",
            "local 10.9.0.1 dev va table local src 10.9.0.1",
        ] {
            assert!(read.iter().any(|entry| entry == line), "{line} is not in {read:#?}");
        }
    });
}

#[test]
fn links_neighbours_and_disciplines_are_seen() {
    in_namespace(|| {
        assert!(ip("neigh add 10.9.0.77 lladdr 02:00:00:00:00:77 dev va"));
        UdpSocket::bind("0.0.0.0:0").unwrap().send_to(&[0], "10.9.0.66:9").unwrap();
        let links = route::links().unwrap();
        let va = links.iter().find(|link| link.name == "va").unwrap();
        assert_eq!((va.kind.as_str(), va.mtu, va.parent), ("veth", 1500, Some(index("vb"))));
        assert!(va.carrier() && links.complete);
        let own = route::addresses().unwrap();
        let own = own.iter().find(|own| own.prefix.address == address("10.9.0.1")).unwrap();
        assert_eq!((own.interface, own.prefix.length, own.global()), (va.index, 24, true));
        let state = |text: &str| {
            let one = route::neighbour(address(text), va.index).unwrap().map(|entry| entry.state);
            let list = route::neighbours().unwrap();
            let listed = list.iter().find(|entry| entry.address == address(text));
            assert_eq!(one, listed.map(|entry| entry.state));
            listed.map(|entry| (entry.state_name(), entry.mac))
        };
        assert_eq!(state("10.9.0.77"), Some(("permanent", Some([2, 0, 0, 0, 0, 0x77]))));
        assert_eq!(state("10.9.0.66"), Some(("incomplete", None)));
        assert_eq!(state("10.9.0.99"), None);
        assert!(ip("link set vb down"));
        assert!(!route::links().unwrap().iter().any(|link| link.name == "va" && link.carrier()));
    });
}

#[test]
fn filters_beside_the_firewall_are_seen() {
    in_namespace(|| {
        if !run("tc", "qdisc add dev va clsact")
            || !run("tc", "qdisc add dev vb root tbf rate 1mbit burst 9k limit 9k")
        {
            println!("SKIPPED: no clsact or tbf here");
            return;
        }
        let disciplines = route::qdiscs().unwrap();
        let find = |name: &str, kind: &str| {
            disciplines.iter().find(|qdisc| qdisc.interface_name == name && qdisc.kind == kind).unwrap()
        };
        assert!(find("va", "clsact").filters_only());
        assert!(find("vb", "tbf").root());
        assert_eq!(find("vb", "tbf").detail, "rate 125000 bytes/s");
        let rule = "filter add dev va ingress protocol ip prio 10 u32 match ip dport 80 0xffff";
        if !run("tc", &format!("{rule} action mirred egress redirect dev vb")) {
            println!("SKIPPED: no mirred here");
            return;
        }
        let filters = route::filters().unwrap();
        let [filter] = &filters[..] else { panic!("{filters:?}") };
        assert_eq!((filter.interface_name.as_str(), filter.can_drop()), ("va", true));
        assert_eq!(filter.to_string(), "ingress u32 priority 10: mirred stolen");
    });
}

#[test]
fn ipsec_policies_cover_their_addresses() {
    in_namespace(|| {
        let added = ip(
            "xfrm policy add src 10.0.0.0/8 dst 192.0.2.0/24 dir out tmpl src 10.9.0.1 dst 10.9.0.2 proto esp mode tunnel",
        );
        if !added {
            println!("SKIPPED: no IPsec here");
            return;
        }
        let policies = xfrm::policies().unwrap();
        let (here, there) = (address("10.9.0.1"), address("192.0.2.7"));
        assert_eq!(
            xfrm::covering(&policies, there, here).iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["out 10.0.0.0/8 to 192.0.2.0/24: esp tunnel 10.9.0.1 to 10.9.0.2"]
        );
        assert!(policies[0].restricts() && !policies[0].covers(there, here));
        assert!(xfrm::covering(&policies, here, address("192.0.3.7")).is_empty());
        assert_eq!(xfrm::association_count().unwrap(), 0);
    });
}

#[test]
fn a_half_open_connection_is_seen() {
    in_namespace(|| {
        assert!(ip("neigh add 10.9.0.55 lladdr 02:00:00:00:00:55 dev va"));
        let listener = TcpListener::bind((Ipv4Addr::new(10, 9, 0, 1), 0)).unwrap();
        let own = listener.local_addr().unwrap();
        let from = (Ipv4Addr::new(10, 9, 0, 55), 40_000);
        send_syn(from, (Ipv4Addr::new(10, 9, 0, 1), own.port()));
        let mut seen = Vec::new();
        sock_diag::sockets(&SocketQuery::tcp(&[state::SYN_RECV]), |socket| seen.push(socket.clone()))
            .unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].local, seen[0].peer, seen[0].inode), (own, from.into(), 0));
        assert_eq!(sock_diag::state_name(seen[0].state), "SYN_RECV");
    });
}

/// Sends a SYN as if a neighbour had; the answer goes to a station that is not there.
fn send_syn(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) {
    let mut segment = Vec::new();
    segment.extend(from.1.to_be_bytes());
    segment.extend(to.1.to_be_bytes());
    segment.extend([0, 0, 0, 7, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    let mut summed = [from.0.octets(), to.0.octets()].concat();
    summed.extend([0, 6, 0, segment.len() as u8]);
    summed.extend(&segment);
    let mut sum: u32 = summed.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    segment[16..18].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let mut packet = vec![0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0];
    packet.extend(from.0.octets());
    packet.extend(to.0.octets());
    packet.extend(segment);
    // SAFETY: plain system calls; the pointers are to live values of the lengths given.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW);
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as libc::sa_family_t;
        address.sin_addr.s_addr = u32::from(to.0).to_be();
        let sent = libc::sendto(
            socket,
            packet.as_ptr().cast(),
            packet.len(),
            0,
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        );
        libc::close(socket);
        assert_eq!(sent, packet.len() as isize);
    }
}
