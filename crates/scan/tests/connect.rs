//! The connect engine where the machine itself is short of something, or other than it seems.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::in_namespace;
use netwhy_scan::{
    Engine, Event, Hosts, Notice, Pace, Plan, Ports, Protocol, Reason, ScanError, State, Summary, connect,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, TcpListener};
use std::sync::atomic::AtomicBool;

type Found = BTreeMap<(IpAddr, u16), (State, Reason)>;

fn ask(hosts: &[&str], ports: &str) -> (Result<Summary, ScanError>, Found, Vec<Notice>) {
    let plan = Plan::new(Hosts::parse(hosts, &[]).unwrap(), Ports::parse(ports, Protocol::Tcp).unwrap());
    let plan = Plan { engine: Engine::Connect, pace: Pace::Fast, all: true, ..plan };
    let (mut found, mut notices) = (Found::new(), Vec::new());
    let summary = connect::run(&plan, &AtomicBool::new(false), &mut |event| match event {
        Event::Found(one) | Event::Revised(one) => {
            found.insert((one.host, one.port), (one.state, one.reason));
        }
        Event::Notice(notice) => notices.push(notice),
        Event::Progress(_) => {}
    });
    (summary, found, notices)
}

fn ports_of(found: &Found, state: State) -> Vec<u16> {
    found.iter().filter(|(_, (one, _))| *one == state).map(|((_, port), _)| *port).collect()
}

fn sh(command: &str) {
    common::output(command);
}

/// On loopback the kernel may choose the asked port as the source port of the very question, and connect to itself.
#[test]
fn a_connection_to_itself_is_not_open() {
    in_namespace(&[], || {
        for port in 50_000..50_003 {
            // One that never accepts; its queue is short, and a full one is silent, so each round has its own.
            let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
            let (summary, found, _) = ask(&["127.0.0.1"], "1-65535");
            let summary = summary.unwrap();
            assert_eq!(summary.closed, 65_534, "{summary:?}");
            assert_eq!(ports_of(&found, State::Open), [port]);
        }
    });
}

#[test]
fn few_ephemeral_ports_make_it_slower_and_not_wrong() {
    in_namespace(&["nft"], || {
        sh("echo 40000 40015 > /proc/sys/net/ipv4/ip_local_port_range");
        sh("nft -f - <<'E'
table inet f { chain i { type filter hook input priority 0; tcp dport 200-219 drop; }
}
E");
        let _listener = TcpListener::bind(("127.0.0.1", 150)).unwrap();
        let (summary, found, _) = ask(&["127.0.0.1"], "100-219");
        let summary = summary.unwrap();
        assert_eq!((summary.open, summary.closed, summary.filtered), (1, 99, 20));
        assert_eq!(ports_of(&found, State::Filtered), (200..220).collect::<Vec<_>>());
        assert!(summary.passes >= 2, "silent ports are asked again");
    });
}

#[test]
fn an_error_of_this_machine_is_no_answer() {
    in_namespace(&["nft"], || {
        sh("ip route add prohibit 10.9.9.9; ip addr add 10.9.1.1/24 dev lo");
        let (summary, found, _) = ask(&["10.9.9.9", "10.9.1.1"], "1-20");
        assert_eq!(summary.unwrap().closed, 20);
        let unknown: Vec<_> = found.values().filter(|(state, _)| *state == State::Unknown).collect();
        assert_eq!(unknown.len(), 20);
        assert!(unknown.iter().all(|(_, reason)| matches!(reason, Reason::Local { .. })), "{unknown:?}");
        let (alone, _, _) = ask(&["10.9.9.9"], "1-20");
        assert!(matches!(alone, Err(ScanError::NoRoute { .. })), "{alone:?}");
    });
}

#[test]
fn an_icmp_port_unreachable_is_no_reset() {
    in_namespace(&["nft"], || {
        sh("nft -f - <<'E'
table inet f { chain i { type filter hook input priority 0; tcp dport 25 reject; tcp dport 26 reject with icmpx admin-prohibited; tcp dport 27 reject with tcp reset; }
}
E");
        for host in ["127.0.0.1", "::1"] {
            let (_, found, _) = ask(&[host], "24-27");
            let host: IpAddr = host.parse().unwrap();
            let code = |port| match found[&(host, port)] {
                (State::Rejected, Reason::Icmp { kind, code, from }) if from == host => Some((kind, code)),
                _ => None,
            };
            let expected = if host.is_ipv4() { [(3, 3), (3, 13)] } else { [(1, 4), (1, 1)] };
            assert_eq!([code(25), code(26)], expected.map(Some), "{found:?}");
            assert_eq!(ports_of(&found, State::Closed), [24, 27]);
        }
    });
}
