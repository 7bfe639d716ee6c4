//! Whole looks in network namespaces of their own: a healthy one, and faults made for real.
#![allow(clippy::print_stdout)]
#![allow(clippy::unwrap_used)]

use netwhy_host::{LookSpec, look};
use netwhy_model::host::{Finding, Severity, Snapshot};
use netwhy_wire::{IpBuild, TcpBuild, TcpFlags, protocol};
use nix::sched::{CloneFlags, unshare};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The namespace's address besides the loopback's.
const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// What a test waits for at most.
const WAIT: Duration = Duration::from_secs(10);

/// Runs a test in a network namespace of its own, with the loopback up and a link that swallows the rest.
fn apart(test: impl FnOnce() + Send + 'static) {
    let ran = std::thread::spawn(move || {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() {
            println!("SKIPPED: no right to make a network namespace");
            return;
        }
        for line in [
            "link set lo up",
            "link add swallow type veth peer name beyond",
            "link set beyond up",
            // Without ARP every frame leaves with the sender's own address, and nobody takes it.
            "link set swallow up arp off",
            "address add 192.0.2.1/24 dev swallow",
            "route add default dev swallow",
        ] {
            if !Command::new("ip").args(line.split(' ')).status().is_ok_and(|status| status.success()) {
                println!("SKIPPED: ip {line} failed");
                return;
            }
        }
        test();
    });
    if let Err(panic) = ran.join() {
        std::panic::resume_unwind(panic);
    }
}

fn quick() -> LookSpec {
    LookSpec { logs: false, services: false, ..LookSpec::default() }
}

fn find<'a>(snapshot: &'a Snapshot, cause: &str) -> Option<&'a Finding> {
    snapshot.findings.iter().find(|finding| finding.cause == cause)
}

/// A process that ends with the test.
struct Other(Child);

impl Other {
    /// Starts a Python program and waits for its first line; `None` without Python.
    fn start(program: &str) -> Option<Other> {
        let child = Command::new("python3").args(["-c", program]).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = child else {
            println!("SKIPPED: no python3");
            return None;
        };
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Some(Other(child))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_healthy_namespace_gives_no_more_than_notes() {
    apart(|| {
        let started = Instant::now();
        // The kernel's log is the whole machine's: it may tell of what other tests do.
        let snapshot = look(&LookSpec { window_ms: 300, logs: false, ..LookSpec::default() });
        assert!(started.elapsed() < WAIT);
        assert_eq!(snapshot.schema, "netwhy.host/1");
        assert!(snapshot.kernel.starts_with("Linux ") && !snapshot.hostname.is_empty());
        assert!(snapshot.window_ms >= 300 && snapshot.took_ms >= 300);
        // What belongs to the whole machine may well be strained while tests run.
        const MACHINE: [&str; 6] =
            ["host.cpu.", "host.memory.", "host.disk.", "host.fd.", "host.softirq.", "app."];
        let grave: Vec<_> = snapshot
            .findings
            .iter()
            .filter(|finding| finding.severity != Severity::Note)
            .filter(|finding| !MACHINE.iter().any(|room| finding.cause.starts_with(room)))
            .collect();
        assert!(grave.is_empty(), "{grave:#?}");
        assert!(snapshot.interfaces.iter().any(|interface| interface.name == "swallow"));
        assert!(snapshot.routes.iter().any(|route| route == "default dev swallow"));
        for reading in snapshot.sections.iter().flat_map(|section| &section.readings) {
            assert!(!reading.from.is_empty(), "{} does not say what it was read from", reading.name);
        }
        let json = serde_json::to_string(&snapshot).unwrap();
        assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), snapshot);
    });
}

#[test]
fn a_full_accept_queue_is_named() {
    apart(|| {
        let listener = nix_listener(2);
        let address = listener.local_addr().unwrap();
        let _clients: Vec<TcpStream> = (0..3)
            .filter_map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok())
            .collect();
        let snapshot = look(&quick());
        let finding = find(&snapshot, "host.listen.accept_queue_full").unwrap();
        assert_eq!(finding.severity, Severity::Broken);
        assert!(finding.proof[0].contains("queue 3 of 2"), "{:?}", finding.proof);
        let port = snapshot.ports.iter().find(|port| port.port == address.port()).unwrap();
        assert_eq!((port.not_accepted, port.peers), (3, 1));
    });
}

fn nix_listener(backlog: i32) -> TcpListener {
    nix_listener_at(Ipv4Addr::LOCALHOST, backlog)
}

fn nix_listener_at(at: Ipv4Addr, backlog: i32) -> TcpListener {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, socket};
    use std::os::fd::AsRawFd;
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(socket.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(at, 0))).unwrap();
    listen(&socket, Backlog::new(backlog).unwrap()).unwrap();
    TcpListener::from(socket)
}

#[test]
fn a_stopped_service_is_named_with_its_process() {
    apart(|| {
        let program = "import socket,time\ns=socket.socket();s.bind(('127.0.0.1',8080));s.listen(5);print('ready',flush=True);time.sleep(60)";
        let Some(other) = Other::start(program) else { return };
        let pid = nix::unistd::Pid::from_raw(i32::try_from(other.pid()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
        let until = Instant::now() + WAIT;
        let snapshot = loop {
            let snapshot = look(&quick());
            if find(&snapshot, "app.stopped").is_some() || Instant::now() > until {
                break snapshot;
            }
        };
        let finding = find(&snapshot, "app.stopped").unwrap();
        assert_eq!(finding.severity, Severity::Broken);
        assert!(finding.subject.as_ref().unwrap().contains(&other.pid().to_string()));
        let service = snapshot.services.iter().find(|service| service.ports == [8080]).unwrap();
        assert_eq!(service.pids, [other.pid()]);
    });
}

#[test]
fn a_host_that_attacks_ssh_is_named_with_the_process() {
    apart(|| {
        // 60 connections into the link that swallows every SYN.
        let program = "import socket,time\nk=[]\nfor i in range(1,61):\n s=socket.socket();s.setblocking(False);s.connect_ex(('198.51.100.%d'%i,22));k.append(s)\nprint('ready',flush=True);time.sleep(60)";
        let Some(other) = Other::start(program) else { return };
        let snapshot = look(&quick());
        let finding = find(&snapshot, "attack.outbound.ssh_bruteforce").unwrap();
        assert_eq!(finding.severity, Severity::Broken);
        assert!(finding.subject.as_ref().unwrap().contains(&other.pid().to_string()), "{finding:?}");
        assert_eq!(snapshot.counts.syn_sent, 60);
        assert_eq!(snapshot.fan_outs[0].pids, [other.pid()]);
    });
}

#[test]
fn a_scan_of_one_host_s_ports_is_named() {
    apart(|| {
        let program = "import socket,time\nk=[]\nfor i in range(1,41):\n s=socket.socket();s.setblocking(False);s.connect_ex(('198.51.100.7',i));k.append(s)\nprint('ready',flush=True);time.sleep(60)";
        let Some(_other) = Other::start(program) else { return };
        let snapshot = look(&quick());
        let finding = find(&snapshot, "attack.outbound.port_scan").unwrap();
        assert!(finding.text.en.contains("40 ports of 198.51.100.7"), "{}", finding.text.en);
    });
}

#[test]
fn local_ports_that_run_out_are_named() {
    apart(|| {
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "20000 20099").unwrap();
        let listener = nix_listener(256);
        let address = listener.local_addr().unwrap();
        let clients: Vec<TcpStream> = (0..100).map_while(|_| TcpStream::connect(address).ok()).collect();
        assert!(clients.len() >= 98, "{} connections", clients.len());
        let snapshot = look(&quick());
        let finding = find(&snapshot, "host.port.ephemeral_exhausted").unwrap();
        assert_eq!(finding.severity, Severity::Broken);
        assert_eq!(snapshot.demands[0].to, address);
    });
}

#[test]
fn a_syn_flood_without_cookies_is_named() {
    apart(|| {
        std::fs::write("/proc/sys/net/ipv4/tcp_syncookies", "0").unwrap();
        std::fs::write("/proc/sys/net/ipv4/tcp_max_syn_backlog", "256").unwrap();
        let listener = nix_listener_at(OWN, 256);
        let port = listener.local_addr().unwrap().port();
        let syns = (1..=250_u8).map(|host| syn(Ipv4Addr::new(198, 51, 100, host), port));
        assert_eq!(send_raw(syns), 250);
        let snapshot = look(&quick());
        assert!(snapshot.counts.syn_recv >= 190, "{:?}", snapshot.counts);
        assert!(find(&snapshot, "host.listen.syn_queue_full").is_some(), "{:#?}", snapshot.findings);
        let peers = snapshot.peers.iter().filter(|peer| peer.state == "SYN_RECV");
        assert!(peers.clone().count() == 0, "each peer has one socket: not worth a line");
        assert!(snapshot.ports.iter().any(|own| own.port == port && own.peers >= 190));
    });
}

/// A SYN with a forged source, to an own port.
fn syn(from: Ipv4Addr, port: u16) -> Vec<u8> {
    let (from, to) = (IpAddr::V4(from), IpAddr::V4(OWN));
    let tcp = TcpBuild {
        source_port: 40_000,
        destination_port: port,
        sequence: 1,
        acknowledgment: 0,
        flags: TcpFlags::SYN,
        window: 1_024,
        options: &[],
        payload: &[],
    };
    let segment = tcp.bytes(from, to);
    IpBuild { source: from, destination: to, ttl: 64, ident: 0, dont_fragment: true }
        .wrap(protocol::TCP, &segment)
        .unwrap()
}

/// Sends whole IP packets; returns how many left.
fn send_raw(packets: impl Iterator<Item = Vec<u8>>) -> usize {
    use nix::sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
    };
    use std::os::fd::AsRawFd;
    let socket =
        socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw).unwrap();
    let to = SockaddrIn::from(std::net::SocketAddrV4::new(OWN, 0));
    packets.filter(|packet| sendto(socket.as_raw_fd(), packet, &to, MsgFlags::empty()).is_ok()).count()
}

#[test]
fn a_window_shows_what_rises() {
    apart(|| {
        let listener = nix_listener(1);
        let address: SocketAddr = listener.local_addr().unwrap();
        // Full before the look begins (one more than the backlog fits): what follows overflows.
        let _held: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(address).unwrap()).collect();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let knocking = std::thread::spawn(move || {
            let until = Instant::now() + Duration::from_secs(20);
            // As long as the look takes, however busy the machine is.
            while Instant::now() < until && is_done.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                let _ = TcpStream::connect_timeout(&address, Duration::from_millis(20)).map(std::mem::forget);
            }
        });
        let snapshot = look(&LookSpec { window_ms: 500, ..quick() });
        drop(done);
        knocking.join().unwrap();
        let counters = snapshot.sections.iter().find(|section| section.id == "counters").unwrap();
        let overflows =
            counters.readings.iter().find(|reading| reading.name == "TcpExt.ListenOverflows").unwrap();
        assert!(overflows.delta.unwrap() > 0, "{overflows:?}");
        let finding = find(&snapshot, "host.listen.accept_queue_full").unwrap();
        assert_eq!(finding.severity, Severity::Broken);
        assert!(finding.proof.iter().any(|line| line.starts_with("TcpExt.ListenOverflows +")));
    });
}

#[test]
fn a_hostile_process_name_stays_harmless() {
    apart(|| {
        let program = "import socket,time\nopen('/proc/self/comm','w').write('x\\x1b[2J\\u202ey')\ns=socket.socket();s.bind(('127.0.0.1',8080));s.listen(5);print('ready',flush=True);time.sleep(60)";
        let Some(other) = Other::start(program) else { return };
        let snapshot = look(&LookSpec { logs: false, ..LookSpec::default() });
        let process = snapshot.processes.iter().find(|process| process.pid == other.pid()).unwrap();
        assert_eq!(process.name, "x [2J y");
        let json = serde_json::to_string(&snapshot).unwrap();
        assert!(!json.contains("\\u001b") && !json.contains('\u{202e}'));
    });
}
