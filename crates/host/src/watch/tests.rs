//! A watch in network namespaces of its own, with real TCP on the loopback.

use super::*;
use netwhy_model::host::{PacketKind, RuleVerdict};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

fn in_namespace(test: impl FnOnce() + Send + 'static) {
    netwhy_testing::in_namespace(&[], test);
}

fn watch(address: SocketAddr) -> Watch {
    let spec = WatchSpec {
        targets: vec![address.ip()],
        port: address.port(),
        sources: vec![address.ip()],
        trace: true,
        ..WatchSpec::default()
    };
    Watch::start("origin", Vantage::Origin, spec)
}

fn watches_packets(record: &Record) -> bool {
    let unread = record.unread.iter().find(|unread| unread.what == PACKETS_UNREAD);
    if let Some(unread) = unread {
        println!("SKIPPED: {}", unread.why);
    }
    unread.is_none()
}

fn nft(rules: &str) -> bool {
    let child = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        println!("SKIPPED: no nft here");
        return false;
    };
    child.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
    let done = child.wait().unwrap().success();
    if !done {
        println!("SKIPPED: nft was refused");
    }
    done
}

fn rose(record: &Record, name: &str) -> u64 {
    record.counters.iter().find(|counter| counter.name == name).map_or(0, |counter| counter.rose())
}

#[test]
fn a_handshake_is_seen_with_its_sockets_and_owner() {
    in_namespace(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut watch = watch(address);
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"hello").unwrap();
        let record = watch.look();
        if !watches_packets(&record) {
            return;
        }
        let kinds: Vec<(PacketKind, bool)> = record.packets.iter().map(|p| (p.kind, p.outgoing)).collect();
        for kind in [PacketKind::Syn, PacketKind::SynAck, PacketKind::Ack, PacketKind::Data] {
            assert!(kinds.contains(&(kind, true)) && kinds.contains(&(kind, false)), "{kind:?} in {kinds:?}");
        }
        let syn = record.packets.iter().find(|p| p.kind == PacketKind::Syn).unwrap();
        assert_eq!((syn.from, syn.to, syn.ttl), (client.local_addr().unwrap(), address, 64));
        assert_eq!((record.packets_lost, record.schema.as_str()), (0, "netwhy.record/1"));
        assert!(record.own_addresses.contains(&address.ip()));
        let listening = record.listeners.iter().find(|l| l.address == address).unwrap();
        assert_eq!((listening.queue, listening.pids.as_slice()), (1, &[std::process::id()][..]));
        assert!(record.sockets.iter().any(|s| s.local == address && s.inode == 0 && s.unread_bytes == 5));
        assert!(record.processes.iter().any(|process| process.pid == std::process::id()));
        assert!(record.routes.iter().any(|route| route.to == address.ip() && route.kind == "local"));
        assert!(record.readings.iter().any(|reading| reading.name == "net.ipv4.ip_default_ttl"));
        assert!(record.counters.iter().any(|counter| counter.name == "TcpExt.ListenOverflows"));
        assert!(record.ended >= record.started);
        // A second look goes on from there.
        drop(client);
        let again = watch.look();
        assert!(again.packets.len() > record.packets.len());
        assert!(again.packets.iter().any(|p| p.kind == PacketKind::Fin));
    });
}

#[test]
fn a_closed_port_answers_with_a_reset() {
    in_namespace(|| {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut watch = watch(address);
        assert!(TcpStream::connect(address).is_err());
        let record = watch.look();
        if !watches_packets(&record) {
            return;
        }
        assert!(record.packets.iter().any(|p| p.kind == PacketKind::Rst && p.outgoing && p.from == address));
        assert!(record.listeners.iter().all(|l| l.address.port() != address.port()));
        assert_eq!(rose(&record, "Tcp.OutRsts"), 1);
    });
}

#[test]
fn a_full_accept_queue_is_seen_at_its_worst() {
    in_namespace(|| {
        let socket = std::os::fd::OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
        // SAFETY: plain system call on a live descriptor; it only shortens the queue.
        unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&socket), 1) };
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let mut watch = watch(address);
        let clients: Vec<_> = (0..4)
            .map(|_| TcpStream::connect_timeout(&address, std::time::Duration::from_millis(300)))
            .collect();
        assert!(clients.iter().any(Result::is_err), "the queue holds two");
        let record = watch.look();
        assert!(rose(&record, "TcpExt.ListenOverflows") >= 1);
        let now = record.listeners.iter().find(|l| l.address == address).unwrap();
        assert_eq!((now.queue, now.queue_max), (2, 1));
        for _ in 0..2 {
            drop(listener.accept().unwrap());
        }
        drop(clients);
        let record = watch.look();
        let peak = record.queue_peaks.iter().find(|l| l.address == address).unwrap();
        assert!(peak.queue > peak.queue_max, "{peak:?}");
        assert_eq!(peak.pids, [std::process::id()]);
    });
}

#[test]
fn a_rule_that_drops_is_named() {
    in_namespace(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let port = address.port();
        let rules = format!(
            "table inet guard {{\n chain input {{\n type filter hook input priority 0\n tcp dport {port} counter drop\n }}\n}}\n"
        );
        if !nft(&rules) {
            return;
        }
        let mut watch = watch(address);
        assert!(TcpStream::connect_timeout(&address, std::time::Duration::from_millis(300)).is_err());
        let record = watch.look();
        assert!(
            record.candidates.iter().any(|rule| rule.table == "guard" && rule.verdict == RuleVerdict::Drop),
            "{:?}",
            record.unread
        );
        let delta = record.rules.iter().find(|delta| delta.rule.table == "guard").unwrap();
        assert!(delta.packets >= 1);
        let step =
            record.trace.iter().find(|step| step.table == "guard" && step.verdict == RuleVerdict::Drop);
        assert_eq!(step.map(|step| step.handle), Some(delta.rule.handle), "{:?}", record.trace);
    });
}

#[test]
fn onward_connections_of_a_node_are_told_apart() {
    in_namespace(|| {
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, behind) = (front.local_addr().unwrap(), origin.local_addr().unwrap());
        let spec = WatchSpec { port: address.port(), onward: true, ..WatchSpec::default() };
        let mut watch = Watch::start("edge", Vantage::Edge, spec);
        let _client = TcpStream::connect(address).unwrap();
        let _onward = TcpStream::connect(behind).unwrap();
        let record = watch.look();
        if watches_packets(&record) {
            assert!(record.onward.contains(&behind), "{:?}", record.onward);
            assert!(record.packets.iter().any(|p| p.kind == PacketKind::SynAck && p.from == behind));
        }
    });
}

#[test]
fn a_watch_may_go_to_another_thread_and_ends_with_its_owner() {
    fn may_move<T: Send>(_: &T) {}
    in_namespace(|| {
        let spec = WatchSpec { port: 1, trace: true, ..WatchSpec::default() };
        let mut watch = Watch::start("origin", Vantage::Origin, spec);
        may_move(&watch);
        let (mut watch, record) = std::thread::spawn(move || {
            let record = watch.look();
            (watch, record)
        })
        .join()
        .unwrap();
        assert_eq!(record.own_addresses, watch.look().own_addresses);
        drop(watch);
        match Command::new("nft").args(["list", "tables"]).output() {
            Ok(tables) => assert!(!String::from_utf8_lossy(&tables.stdout).contains("netwhy")),
            Err(error) => println!("SKIPPED: no nft here: {error}"),
        }
    });
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_taken_apart(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
        take_apart(&bytes);
    }
}

#[test]
fn a_conversation_is_taken_apart() {
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/watch/conversation");
    assert_eq!(take_apart(&std::fs::read(seed).unwrap()), 6);
}
