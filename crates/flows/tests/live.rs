//! The collector, connection tracking and sockets of this host, live.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

#[path = "support/exporter.rs"]
mod exporter;

use exporter::{BOOT_MS, Exporter, sets};
use netwhy_flows::live::{self, Collector};
use netwhy_flows::{Address, Direction, Flow, Names, Opener};
use netwhy_testing::{attempt, in_namespace, run};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for what must come.
const WAIT: Duration = Duration::from_secs(10);

#[test]
fn the_collector_gives_what_exporters_send_and_stops_when_told() {
    let flow = Flow { source: Address::v4(1), destination: Address::v4(2), packets: 3, ..Flow::default() };
    let flows = vec![Flow { start_ms: BOOT_MS, end_ms: BOOT_MS + 5, ..flow }; 20];
    let names = Arc::new(Names::default());
    let mut collector = Collector::bind((Ipv4Addr::LOCALHOST, 0).into(), names.clone()).unwrap();
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut exporter = Exporter::default();
    let (templates, data) = sets(&flows, false);
    let now_ms = BOOT_MS + 1000;
    let datagrams = [
        exporter.v9(20, &data, now_ms),
        exporter.v9(1, &[templates], now_ms),
        b"nonsense".to_vec(),
        exporter.v5(&flows, now_ms),
    ];
    for datagram in &datagrams {
        sender.send_to(datagram, collector.address()).unwrap();
    }
    let stop = AtomicBool::new(false);
    let mut seen: Vec<Flow> = Vec::new();
    let begin = Instant::now();
    let received = collector
        .run(&stop, &mut |flows, _| {
            seen.extend(flows);
            stop.store(seen.len() >= 40 || begin.elapsed() > WAIT, Ordering::Relaxed);
        })
        .unwrap();
    assert_eq!(seen.len(), 40);
    assert!(seen.iter().all(|flow| flow.packets == 3 && flow.start_ms == BOOT_MS));
    assert_eq!(&*names.word(seen[0].interface), "127.0.0.1");
    assert_eq!(
        (received.export.datagrams, received.export.bad_datagrams, received.dropped_by_kernel),
        (4, 1, 0)
    );
    assert!(received.receive_buffer_bytes > 0);
}

#[test]
fn a_connection_is_seen_to_open_and_to_close_with_its_counts() {
    in_namespace(&["nft", "sysctl"], || {
        run("ip address add 10.9.9.1/24 dev lo");
        let tracked = attempt(
            "nft add table ip t && nft 'add chain ip t c { type filter hook input priority 0; }' \
             && nft add rule ip t c ct state new accept && sysctl -qw net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_udp_timeout=1 \
             net.netfilter.nf_conntrack_udp_timeout_stream=1",
        );
        if !tracked {
            println!("SKIPPED: no connection tracking in this kernel");
            return;
        }
        let stop = AtomicBool::new(false);
        let names = Names::default();
        let begin = Instant::now();
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut sent = false;
        let mut seen: Vec<Flow> = Vec::new();
        let outcome = live::connections(&names, &stop, &mut |flows| {
            // The first callback proves that events are heard.
            if !sent {
                sent = true;
                client.send_to(b"one", server.local_addr().unwrap()).unwrap();
                client.send_to(b"two", server.local_addr().unwrap()).unwrap();
                server.send_to(b"back", client.local_addr().unwrap()).unwrap();
            }
            seen.extend(
                flows.iter().filter(|flow| flow.destination_port == port || flow.source_port == port),
            );
            stop.store(seen.len() >= 3 || begin.elapsed() > WAIT, Ordering::Relaxed);
            if begin.elapsed() > Duration::from_secs(2) {
                // The kernel collects what has timed out when somebody looks.
                let _ = netwhy_netfilter::conntrack_flows(|_| ());
            }
        });
        assert_eq!(outcome.unwrap(), 0);
        let told: Vec<_> = seen.iter().map(|flow| (flow.packets, flow.bytes, flow.opener)).collect();
        assert_eq!(told[0].2, Opener::Source, "{told:?}");
        assert_eq!((told[0].0, told[1].0, told[2].0), (1, 2, 1), "{told:?}");
        assert_eq!((told[1].1, told[2].1, told[2].2), (62, 32, Opener::Destination), "{told:?}");
    });
}

#[test]
fn a_served_connection_goes_in_and_an_own_one_goes_out() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let own = client.local_addr().unwrap().port();
    let flows = live::sockets(&Names::default(), 1000).unwrap();
    let of = |source: u16, direction| {
        let found = flows.iter().find(|flow| {
            flow.source_port == source
                && [own, port].contains(&flow.destination_port)
                && flow.direction == direction
        });
        found.unwrap().opener
    };
    assert_eq!((of(own, Direction::Out), of(own, Direction::In)), (Opener::Source, Opener::Source));
    assert_eq!(
        (of(port, Direction::Out), of(port, Direction::In)),
        (Opener::Destination, Opener::Destination)
    );
}
