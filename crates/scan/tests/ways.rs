//! Other ways than a plain router: loopback, several routers, a tagged network, neighbours; and no way at all.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::{
    Namespace, Net, READY_WITHIN, TARGET, attempt, in_namespace, meanwhile, output, plan, run, scanned,
};
use netwhy_scan::{Engine, Pace, ScanError, State};
use std::net::TcpListener;
use std::sync::atomic::AtomicBool;

#[test]
fn loopback_is_asked_raw() {
    in_namespace(&[], || {
        for address in ["127.0.0.1", "::1"] {
            let open = TcpListener::bind((address, 0)).expect("a listener");
            let port = open.local_addr().expect("its port").port();
            let mut plan = plan(address, &format!("1-1000,{port}"));
            plan.engine = Engine::Raw;
            let told = scanned(&plan);
            assert_eq!(told.with(State::Open), [port], "{told:?}");
            assert_eq!(told.with(State::Closed).len(), 1_000, "{told:?}");
        }
    });
}

#[test]
fn a_neighbour_and_a_silent_address_on_the_link() {
    in_namespace(&[], || {
        let target = Namespace::new();
        run(&format!(
            "ip link add eth0 type veth peer name eth0 netns {}; ip addr add 10.9.1.1/24 dev eth0; ip link set eth0 up",
            target.pid()
        ));
        target.run("ip addr add 10.9.1.2/24 dev eth0; ip link set eth0 up");
        let _open = target.listen("10.9.1.2", &[22]);
        let told = scanned(&plan("10.9.1.2,10.9.1.3", "22,23"));
        assert_eq!(told.of("10.9.1.2", 22).state, State::Open, "{told:?}");
        assert_eq!(told.of("10.9.1.2", 23).state, State::Closed, "{told:?}");
        // Nobody there: whatever it is called, it is neither open nor closed.
        let nobody = told.of("10.9.1.3", 22).state;
        assert!(!matches!(nobody, State::Open | State::Closed | State::Intercepted), "{told:?}");
    });
}

#[test]
fn two_routers_share_the_way() {
    in_namespace(&[], || {
        let (first, second, target) = (Namespace::new(), Namespace::new(), Namespace::new());
        for (number, router) in [(1, &first), (2, &second)] {
            let at = router.pid();
            run(&format!(
                "ip link add eth{number} type veth peer name near netns {at}
                 ip addr add 10.9.1{number}.1/24 dev eth{number}; ip link set eth{number} up"
            ));
            router.run(&format!(
                "ip addr add 10.9.1{number}.2/24 dev near; ip link set near up
                 ip link add far type veth peer name eth{number} netns {}
                 ip addr add 10.9.2{number}.1/24 dev far; ip link set far up
                 ip route add 10.9.99.9 via 10.9.2{number}.2; ip route add 10.9.0.1 via 10.9.1{number}.1
                 sysctl -qw net.ipv4.ip_forward=1",
                target.pid()
            ));
            target
                .run(&format!("ip addr add 10.9.2{number}.2/24 dev eth{number}; ip link set eth{number} up"));
        }
        target.run(
            "ip addr add 10.9.99.9/32 dev lo
                    ip route add 10.9.0.1 nexthop via 10.9.21.1 nexthop via 10.9.22.1",
        );
        // One address of our own whatever the way; answers come back on either.
        run("ip addr add 10.9.0.1/32 dev lo
             ip route add 10.9.99.9 src 10.9.0.1 nexthop via 10.9.11.2 nexthop via 10.9.12.2");
        let _open = target.listen("10.9.99.9", &[22, 443, 900]);
        let told = scanned(&plan("10.9.99.9", "1-1000"));
        assert_eq!(told.with(State::Open), [22, 443, 900], "{told:?}");
        assert_eq!(told.with(State::Closed).len(), 997, "{told:?}");
    });
}

#[test]
fn a_tagged_network() {
    in_namespace(&[], || {
        let target = Namespace::new();
        run(&format!(
            "ip link add eth0 type veth peer name eth0 netns {}; ip link set eth0 up",
            target.pid()
        ));
        if !attempt("ip link add link eth0 name eth0.7 type vlan id 7") {
            println!("SKIPPED: this kernel has no 802.1Q");
            return;
        }
        run("ip addr add 10.9.7.1/24 dev eth0.7; ip link set eth0.7 up");
        target.run(
            "ip link set eth0 up; ip link add link eth0 name eth0.7 type vlan id 7
             ip addr add 10.9.7.2/24 dev eth0.7; ip link set eth0.7 up",
        );
        let _open = target.listen("10.9.7.2", &[22]);
        let told = scanned(&plan("10.9.7.2", "1-100"));
        assert_eq!(told.with(State::Open), [22], "{told:?}");
        assert_eq!(told.with(State::Closed).len(), 99, "{told:?}");
    });
}

#[test]
fn several_interfaces_in_one_scan() {
    in_namespace(&[], || {
        let near = Namespace::new();
        let net = Net::new();
        run(&format!(
            "ip link add eth1 type veth peer name eth0 netns {}; ip addr add 10.9.8.1/24 dev eth1; ip link set eth1 up",
            near.pid()
        ));
        near.run("ip addr add 10.9.8.2/24 dev eth0; ip link set eth0 up");
        let _far = net.target.listen(TARGET, &[22]);
        let _near = near.listen("10.9.8.2", &[80]);
        let here = TcpListener::bind("127.0.0.1:443").expect("a listener");
        let told = scanned(&plan(&format!("{TARGET},10.9.8.2,127.0.0.1"), "22,80,443"));
        assert_eq!(told.summary().open, 3, "{told:?}");
        assert_eq!(told.summary().closed, 6, "{told:?}");
        drop(here);
    });
}

#[test]
fn shards_ask_every_pair_once() {
    in_namespace(&[], || {
        let net = Net::new();
        net.router.run("ip route add 10.9.3.0/26 via 10.9.2.2");
        net.target.run("ip route add local 10.9.3.0/26 dev lo");
        let _open = net.target.listen("0.0.0.0", &[22, 8_005]);
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..3 {
            let mut plan = plan("10.9.3.0/26", "22,8000-8009");
            plan.shard = netwhy_scan::Shard { index, of: 3 };
            let told = scanned(&plan);
            assert!(told.summary().complete, "{told:?}");
            for pair in told.found.keys() {
                assert!(seen.insert(*pair), "{pair:?} was asked in two shards");
            }
        }
        assert_eq!(seen.len(), 64 * 11);
        let told = scanned(&plan("10.9.3.0/26", "22,8000-8009"));
        assert_eq!((told.summary().open, told.summary().closed), (128, 576), "{told:?}");
    });
}

#[test]
fn no_route_is_a_clear_error() {
    in_namespace(&[], || {
        let told = scanned(&plan("10.99.0.1", "1-100"));
        match &told.summary {
            Err(ScanError::NoRoute { host, .. }) => assert_eq!(host.to_string(), "10.99.0.1"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn no_route_to_some_does_not_stop_the_others() {
    in_namespace(&[], || {
        let net = Net::new();
        run("ip route add unreachable 10.99.0.0/16");
        let _open = net.target.listen(TARGET, &[22]);
        let told = scanned(&plan(&format!("10.99.0.1,{TARGET}"), "22,23"));
        assert_eq!(told.of(TARGET, 22).state, State::Open, "{told:?}");
        assert_eq!(told.of(TARGET, 23).state, State::Closed, "{told:?}");
        let unreached = told.of("10.99.0.1", 22).state;
        assert!(!matches!(unreached, State::Open | State::Closed | State::Filtered), "{told:?}");
    });
}

#[test]
fn a_loop_of_routers_is_named() {
    in_namespace(&[], || {
        let net = Net::new();
        // The target sends back what is not its own.
        net.router.run("ip route add 10.99.0.0/16 via 10.9.2.2");
        net.target.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0");
        let told = scanned(&plan("10.99.0.1", "22"));
        let finding = told.of("10.99.0.1", 22);
        assert_eq!(finding.state, State::Rejected, "{told:?}");
        assert!(matches!(finding.reason, netwhy_scan::Reason::Icmp { kind: 11, code: 0, .. }), "{told:?}");
    });
}

#[test]
fn an_interface_that_goes_down_is_named() {
    in_namespace(&[], || {
        let net = Net::new();
        let mut plan = plan(TARGET, "1-20000");
        plan.pace = Pace::Rate(2_000);
        let mut is_up = true;
        let told = meanwhile(&plan, &AtomicBool::new(false), |progress| {
            if is_up && progress.asked > 100 {
                run("ip link set eth0 down");
                is_up = false;
            }
        });
        match &told.summary {
            Err(ScanError::InterfaceDown { name, asked }) => {
                assert_eq!(name, "eth0");
                assert!((1..20_000).contains(asked), "{asked}");
            }
            other => panic!("{other:?}"),
        }
        // Silence of our own making says nothing about the target.
        assert_eq!(told.with(State::Filtered), [0u16; 0]);
        drop(net);
    });
}

#[test]
fn the_kernel_resets_nothing_of_ours() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        let _open = net.target.listen(TARGET, &[22, 80, 443]);
        // What packet sockets send passes no such hook; what the kernel says of itself does.
        common::rules(
            "table ip watch {\nchain out { type filter hook output priority filter;\ntcp flags rst counter\n}\n}\n",
        );
        let before = output("nft list ruleset");
        let told = scanned(&plan(TARGET, "1-1000"));
        assert_eq!(told.with(State::Open), [22, 80, 443], "{told:?}");
        assert!(
            output("nft list ruleset").contains("counter packets 0 bytes 0"),
            "{}",
            output("nft list ruleset")
        );
        // And nothing of the firewall was touched.
        assert_eq!(before, output("nft list ruleset"));
        let half_open = || net.target.output("ss -Htan state syn-recv");
        // Our resets of the last answers may still be on their way.
        common::until("no half-open connection at the target", READY_WITHIN, || {
            half_open().trim().is_empty()
        });
    });
}

#[test]
fn a_stop_ends_the_scan_at_once() {
    in_namespace(&[], || {
        let net = Net::new();
        let _open = net.target.listen(TARGET, &[22]);
        let mut plan = plan(TARGET, "1-65535");
        plan.pace = Pace::Rate(1_000);
        let stop = AtomicBool::new(false);
        let told = meanwhile(&plan, &stop, |progress| {
            stop.store(progress.asked > 100, std::sync::atomic::Ordering::Relaxed);
        });
        assert!(!told.summary().complete);
        assert_eq!(told.with(State::Filtered), [0u16; 0], "{told:?}");
    });
}
