//! UDP services through a real router, and the quick look at what is open.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::{Net, ROUTER, TARGET, TARGET6, in_namespace, scanned};
use netwhy_scan::{Hosts, LookFor, Plan, Ports, Protocol, Reason, State};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn udp_plan(host: &str, ports: &str) -> Plan {
    let mut plan = common::plan(host, "1");
    plan.hosts = Hosts::parse(&[host], &[]).expect("a host");
    plan.ports = Ports::parse(ports, Protocol::Udp).expect("ports");
    plan.protocol = Protocol::Udp;
    plan
}

/// Answers every datagram on a port with its own bytes marked as an answer, until told to stop.
fn answer(socket: UdpSocket, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time limit");
    std::thread::spawn(move || {
        let mut buffer = [0u8; 2_048];
        while !stop.load(Ordering::Relaxed) {
            if let Ok((length, from)) = socket.recv_from(&mut buffer)
                && length > 2
            {
                // The answer bit of DNS.
                buffer[2] |= 0x80;
                let _ = socket.send_to(&buffer[..length], from);
            }
        }
    })
}

#[test]
fn udp_services_answer_in_their_own_words() {
    in_namespace(&["nft"], || {
        for host in [TARGET, TARGET6] {
            let net = Net::new();
            net.router.rules(
                "table inet guard {\nchain way { type filter hook forward priority filter;\n\
                 udp dport 123 drop\nip version 4 udp dport 161 reject with icmp type admin-prohibited\n}\n}\n",
            );
            let socket = net.target.within(move || UdpSocket::bind((host, 53)).expect("port 53"));
            let stop = Arc::new(AtomicBool::new(false));
            let service = answer(socket, Arc::clone(&stop));
            let told = scanned(&udp_plan(host, "53,123,500"));
            stop.store(true, Ordering::Relaxed);
            service.join().expect("the service");
            assert_eq!(told.summary().engine, "udp");
            assert_eq!(
                (told.of(host, 53).state, told.of(host, 53).reason),
                (State::Open, Reason::Answer),
                "{told:?}"
            );
            assert_eq!(told.of(host, 123).state, State::Filtered, "{told:?}");
            assert_eq!(told.of(host, 500).state, State::Closed, "{told:?}");
            common::run("ip link del eth0");
        }
    });
}

#[test]
fn a_router_that_rejects_udp_is_named() {
    in_namespace(&["nft"], || {
        let net = Net::new();
        net.router.rules(
            "table ip guard {\nchain way { type filter hook forward priority filter;\n\
             udp dport 161 reject with icmp type admin-prohibited\n}\n}\n",
        );
        let told = scanned(&udp_plan(TARGET, "161"));
        let from = ROUTER.parse().unwrap();
        let finding = told.of(TARGET, 161);
        assert_eq!(
            (finding.state, finding.reason),
            (State::Rejected, Reason::Icmp { kind: 3, code: 13, from })
        );
    });
}

#[test]
fn a_quick_look_names_the_service() {
    in_namespace(&[], || {
        let net = Net::new();
        let mut listeners = net.target.listen(TARGET, &[22, 8_080]);
        let web = listeners.pop().expect("port 8080");
        let shell = listeners.pop().expect("port 22");
        // Each ends with the connection that ends the test's scan; the threads with the process.
        std::thread::spawn(move || {
            for mut stream in shell.incoming().flatten() {
                let _ = stream.write_all(b"SSH-2.0-Example_1.0 \x1b[31mred\r\n");
                let _ = stream.read(&mut [0; 64]);
            }
        });
        std::thread::spawn(move || {
            for mut stream in web.incoming().flatten() {
                let mut asked = [0; 512];
                if stream.read(&mut asked).is_ok_and(|length| {
                    asked[..length].starts_with(b"GET ") || asked[..length].starts_with(b"HEAD ")
                }) {
                    let _ =
                        stream.write_all(b"HTTP/1.1 200 OK\r\nServer: example\r\nContent-Length: 0\r\n\r\n");
                }
            }
        });
        let mut plan = common::plan(TARGET, "22,23,8080");
        plan.look = Some(LookFor { name: Some("shop.example.test".to_owned()), ..LookFor::default() });
        let told = scanned(&plan);
        assert_eq!(told.with(State::Open), [22, 8_080], "{told:?}");
        let look = |port| {
            told.of(TARGET, port).look.clone().unwrap_or_else(|| panic!("no look at {port}: {told:?}"))
        };
        assert_eq!(look(22).service, "ssh");
        let banner = look(22).banner.expect("a banner");
        assert!(banner.starts_with("SSH-2.0-Example_1.0"), "{banner:?}");
        assert!(!banner.chars().any(char::is_control), "{banner:?}");
        assert_eq!(look(8_080).service, "http");
    });
}
