//! The states told apart with their reason, through a real router.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::forger::{Forger, RST_ACK, SYN_ACK, Segment};
use common::{Net, ROUTER, TARGET, TARGET6, in_namespace, plan, scanned};
use netwhy_scan::{Engine, Notice, Reason, State};
use std::net::TcpListener;
use std::sync::atomic::Ordering;

/// Silence, and refusals of the router in its own words and in the target's name.
const REFUSALS: &str = "table inet guard {\nchain way { type filter hook forward priority filter;\n\
    tcp dport 1001 drop\n\
    ip version 4 tcp dport 1002 reject with icmp type admin-prohibited\n\
    ip version 4 tcp dport 1003 reject with icmp type host-unreachable\n\
    ip6 version 6 tcp dport 1002 reject with icmpv6 type admin-prohibited\n\
    tcp dport 1004 reject with tcp reset\n}\n}\n";

#[test]
fn every_state_has_its_reason() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        let _open = net.target.listen(TARGET, &[22, 443]);
        net.router.rules(REFUSALS);
        let told = scanned(&plan(TARGET, "22,443,1000-1005"));
        for port in [22, 443] {
            let finding = told.of(TARGET, port);
            assert_eq!((finding.state, finding.reason), (State::Open, Reason::SynAck), "{told:?}");
            assert_eq!(finding.ttl, Some(63));
            assert!(finding.rtt.is_some());
        }
        let from = ROUTER.parse().unwrap();
        let expected = [
            (1000, State::Closed, Reason::Rst, Some(63)),
            (1001, State::Filtered, Reason::NoAnswer, None),
            (1002, State::Rejected, Reason::Icmp { kind: 3, code: 13, from }, Some(64)),
            (1003, State::Rejected, Reason::Icmp { kind: 3, code: 1, from }, Some(64)),
            // The reset of somebody nearer: its TTL is the evidence.
            (1004, State::Closed, Reason::Rst, Some(64)),
            (1005, State::Closed, Reason::Rst, Some(63)),
        ];
        for (port, state, reason, ttl) in expected {
            let finding = told.of(TARGET, port);
            assert_eq!(
                (finding.state, finding.reason, finding.ttl),
                (state, reason, ttl),
                "{port}: {told:?}"
            );
        }
        let summary = told.summary();
        assert_eq!((summary.engine.as_str(), summary.complete), ("raw", true));
        let counts = [summary.open, summary.closed, summary.filtered, summary.rejected, summary.intercepted];
        assert_eq!(counts, [2, 3, 1, 2, 0]);
    });
}

#[test]
fn what_this_machine_refuses_to_send_is_unknown() {
    in_namespace(&["nft"], || {
        let _open = TcpListener::bind(("127.0.0.1", 23)).expect("a listener");
        common::rules(
            "table inet own {\nchain out { type filter hook output priority filter;\ntcp dport 22 drop\n}\n}\n",
        );
        for host in ["127.0.0.1", "::1"] {
            let told = scanned(&plan(host, "20-24"));
            let finding = told.of(host, 22);
            let refused = (State::Unknown, Reason::Local { errno: libc::EPERM });
            assert_eq!((finding.state, finding.reason), refused, "{told:?}");
            let others = [told.with(State::Open), told.with(State::Closed)].concat();
            assert_eq!(others.len(), 4, "{told:?}");
            assert_eq!((told.summary().engine.as_str(), told.summary().unknown), ("raw", 1), "{told:?}");
        }
    });
}

#[test]
fn every_state_over_ipv6() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        let _open = net.target.listen(TARGET6, &[22, 443]);
        net.router.rules(REFUSALS);
        let told = scanned(&plan(TARGET6, "22,443,1000-1002,1004"));
        assert_eq!(told.with(State::Open), [22, 443], "{told:?}");
        assert_eq!(told.with(State::Closed), [1000, 1004], "{told:?}");
        assert_eq!(told.with(State::Filtered), [1001], "{told:?}");
        let from = "fd09:1::2".parse().unwrap();
        let finding = told.of(TARGET6, 1002);
        assert_eq!(
            (finding.state, finding.reason),
            (State::Rejected, Reason::Icmp { kind: 1, code: 1, from })
        );
        assert_eq!(told.of(TARGET6, 1000).ttl, Some(63));
    });
}

#[test]
fn ordinary_connects_tell_the_same_states() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        let _open = net.target.listen(TARGET, &[22, 443]);
        net.router.rules(REFUSALS);
        let mut plan = plan(TARGET, "22,443,1000-1003");
        plan.engine = Engine::Connect;
        let told = scanned(&plan);
        assert_eq!(told.summary().engine, "connect");
        assert_eq!(told.with(State::Open), [22, 443], "{told:?}");
        assert_eq!(told.with(State::Closed), [1000], "{told:?}");
        assert_eq!(told.with(State::Filtered), [1001], "{told:?}");
        assert_eq!(told.with(State::Rejected), [1002, 1003], "{told:?}");
    });
}

#[test]
fn nothing_is_missed_on_a_way_that_loses() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        let open: Vec<u16> = (0..30).map(|number| 22 + number * 97).collect();
        let _open = net.target.listen(TARGET, &open);
        net.router.rules(
            "table ip guard {\nchain way { type filter hook forward priority filter;\n\
             numgen random mod 100 < 10 drop\n}\n}\n",
        );
        let told = scanned(&plan(TARGET, "1-3000"));
        assert_eq!(told.with(State::Open), open, "{told:?}");
        // Every closed port answers, too: what was lost is asked again until it does.
        assert_eq!(told.with(State::Filtered), [0u16; 0], "{told:?}");
        assert!(told.summary().loss.is_some_and(|loss| (0.1..0.3).contains(&loss)), "{:?}", told.summary());
        assert!(
            told.notices.iter().any(|notice| matches!(notice, Notice::Loss { .. })),
            "{:?}",
            told.notices
        );
    });
}

#[test]
fn a_syn_proxy_is_told_from_open_ports() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        let open = [22, 443, 700];
        let _open = net.target.listen(TARGET, &open);
        net.router.run("sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0 net.ipv4.tcp_syncookies=1");
        net.router.rules(
            "table ip guard {\nchain first { type filter hook prerouting priority raw;\n\
             iifname near tcp flags & (fin | syn | rst | ack) == syn notrack\n}\n\
             chain way { type filter hook forward priority filter;\n\
             iifname near meta l4proto tcp ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm\n\
             ct state invalid drop\n}\n}\n",
        );
        let told = scanned(&plan(TARGET, "1-1000"));
        assert_eq!(told.with(State::Open), open, "{told:?}");
        assert!(
            told.notices.iter().any(|notice| matches!(notice, Notice::Proxy { .. })),
            "{:?}",
            told.notices
        );
    });
}

#[test]
fn limited_resets_are_no_loss_and_no_ban() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        let _open = net.target.listen(TARGET, &[22, 443, 7_000]);
        net.target.rules(
            "table ip guard {\nchain out { type filter hook output priority filter;\n\
             tcp flags rst limit rate over 50/second burst 5 packets drop\n}\n}\n",
        );
        let told = scanned(&plan(TARGET, "1-8000"));
        assert_eq!(told.with(State::Open), [22, 443, 7_000], "{told:?}");
        assert!(
            !told.notices.iter().any(|notice| matches!(notice, Notice::Banned { .. })),
            "{:?}",
            told.notices
        );
    });
}

#[test]
fn a_ban_is_noticed_and_named() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        let _open = net.target.listen(TARGET, &[22, 80, 443, 7_000]);
        net.target.rules(
            "table ip guard {\nset banned { type ipv4_addr; flags dynamic,timeout; size 100; timeout 10m; }\n\
             set counted { type ipv4_addr; flags dynamic,timeout; size 100; timeout 1m; }\n\
             chain first { type filter hook prerouting priority raw;\nip saddr @banned drop\n\
             tcp flags & (syn | ack) == syn update @counted { ip saddr limit rate over 100/second burst 50 packets } \
             add @banned { ip saddr } drop\n}\n}\n",
        );
        let mut plan = plan(TARGET, "1-1000");
        plan.max_duration = Some(std::time::Duration::from_secs(5));
        let told = scanned(&plan);
        assert!(told.notices.iter().any(|notice| matches!(notice, Notice::Banned { .. })), "{told:?}");
        assert!(!told.summary().complete);
        // What was not answered before the ban is not called filtered.
        assert_eq!(told.with(State::Filtered), [0u16; 0], "{told:?}");
    });
}

#[test]
fn forged_and_broken_answers_change_nothing() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        let _open = net.target.listen(TARGET, &[22]);
        net.router.rules(
            "table ip guard {\nchain way { type filter hook forward priority filter;\ntcp dport 2000-2009 drop\n}\n}\n",
        );
        let forger = Forger::start(&net.router, "near", |syn| {
            let wrong = |flags| {
                syn.answer(Segment {
                    flags,
                    sequence: 1,
                    acknowledges: syn.sequence.wrapping_add(77_777),
                    window: 1_000,
                })
            };
            let whole = wrong(SYN_ACK);
            let mut damaged = whole.clone();
            damaged[50] ^= 0x40;
            vec![
                wrong(SYN_ACK),
                wrong(RST_ACK),
                syn.packet(&[]),
                syn.packet(&[1]),
                damaged,
                whole[..30].to_vec(),
                vec![0; 14],
            ]
        });
        let told = scanned(&plan(TARGET, "22,2000-2012"));
        assert!(forger.answered.load(Ordering::Relaxed) > 0);
        assert_eq!(told.with(State::Open), [22], "{told:?}");
        assert_eq!(told.with(State::Filtered), (2_000..2_010).collect::<Vec<u16>>(), "{told:?}");
        assert_eq!(told.with(State::Closed), [2_010, 2_011, 2_012], "{told:?}");
    });
}

#[test]
fn an_error_counts_only_where_it_quotes_a_question() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        net.router.rules(
            "table ip guard {\nchain way { type filter hook forward priority filter;\nmeta l4proto tcp drop\n}\n}\n",
        );
        let stranger = [10, 9, 1, 77];
        let _forger = Forger::start(&net.router, "near", move |syn| {
            let asked = syn.port >= 3_000;
            vec![syn.prohibits(stranger, if asked { syn.sequence } else { syn.sequence.wrapping_add(9_999) })]
        });
        let told = scanned(&plan(TARGET, "2000-2009,3000-3009"));
        assert_eq!(told.with(State::Filtered), (2_000..2_010).collect::<Vec<u16>>(), "{told:?}");
        assert_eq!(told.with(State::Rejected), (3_000..3_010).collect::<Vec<u16>>(), "{told:?}");
        let reason = Reason::Icmp { kind: 3, code: 13, from: stranger.into() };
        assert_eq!(told.of(TARGET, 3_000).reason, reason);
    });
}

#[test]
fn gentle_stays_below_a_ban() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        let _open = net.target.listen(TARGET, &[22, 80, 443]);
        net.target.rules(
            "table ip guard {\nset banned { type ipv4_addr; flags dynamic,timeout; size 100; timeout 10m; }\n\
             set counted { type ipv4_addr; flags dynamic,timeout; size 100; timeout 1m; }\n\
             chain first { type filter hook prerouting priority raw;\nip saddr @banned drop\n\
             tcp flags & (syn | ack) == syn update @counted { ip saddr limit rate over 100/second burst 10 packets } \
             add @banned { ip saddr } drop\n}\n}\n",
        );
        let mut plan = plan(TARGET, "22,80,300-400,443");
        plan.pace = netwhy_scan::Pace::Gentle;
        let told = scanned(&plan);
        assert_eq!(told.with(State::Open), [22, 80, 443], "{told:?}");
        assert!(
            !net.target
                .output("nft list set inet guard banned || nft list set ip guard banned")
                .contains("elements")
        );
    });
}

#[test]
fn a_tarpit_is_not_open() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        // Nobody but the tarpit answers.
        net.router.rules(
            "table ip guard {\nchain way { type filter hook forward priority filter;\nmeta l4proto tcp drop\n}\n}\n",
        );
        let _tarpit = Forger::start(&net.router, "near", |syn| {
            let acknowledges = syn.sequence.wrapping_add(1);
            vec![syn.answer(Segment { flags: SYN_ACK, sequence: 1, acknowledges, window: 0 })]
        });
        let told = scanned(&plan(TARGET, "1-500"));
        assert_eq!(told.with(State::Open), [0u16; 0], "{told:?}");
        assert_eq!(told.with(State::Intercepted).len(), 500, "{told:?}");
    });
}
