//! A scanner, a router and a target in network namespaces without names, and what is asked of them.

#![allow(dead_code, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

pub mod forger;

use netwhy_scan::{
    Event, Finding, Hosts, Notice, Pace, Plan, Ports, Progress, Protocol, ScanError, State, Summary, scan,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How long a namespace may take to be made, and the last packets to arrive.
pub const READY_WITHIN: Duration = Duration::from_secs(5);
/// How often the target is asked whether it is there, a second each.
const ANSWER_COUNT_MAX: u32 = 8;
/// Findings shown where a test fails.
const SHOWN_COUNT_MAX: usize = 20;
/// No scan of these tests lasts longer.
pub const LASTS_MAX: Duration = Duration::from_secs(40);

pub const TARGET: &str = "10.9.2.2";
pub const TARGET6: &str = "fd09:2::2";
/// The router on the scanner's side.
pub const ROUTER: &str = "10.9.1.2";

pub use netwhy_testing::{attempt, output, run, until};

/// Runs `test` in a namespace of its own that can make others beside.
pub fn in_namespace(tools: &[&str], test: impl FnOnce() + Send + 'static) {
    netwhy_testing::in_namespace(&[tools, &["unshare", "nsenter"]].concat(), test);
}

/// A namespace that a waiting process holds; it ends with the test, however that ends.
pub struct Namespace {
    holder: Child,
}

impl Namespace {
    pub fn new() -> Namespace {
        let holder = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("a namespace");
        let own = std::fs::read_link("/proc/thread-self/ns/net").expect("this namespace");
        let path = format!("/proc/{}/ns/net", holder.id());
        until("a namespace", READY_WITHIN, || std::fs::read_link(&path).is_ok_and(|theirs| theirs != own));
        let namespace = Namespace { holder };
        namespace.run("ip link set lo up");
        namespace
    }

    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// Runs a shell command in it.
    pub fn output(&self, command: &str) -> String {
        output(&format!("nsenter -t {} -n sh -euc '{command}'", self.pid()))
    }

    pub fn run(&self, command: &str) {
        self.output(command);
    }

    /// Loads nft rules; blocks end with an end of line.
    pub fn rules(&self, rules: &str) {
        load(&["nsenter", "-t", &self.pid().to_string(), "-n", "nft", "-f", "-"], rules);
    }

    /// Does something on a thread that stands in it.
    pub fn within<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let file = File::open(format!("/proc/{}/ns/net", self.pid())).expect("the namespace");
        let thread = std::thread::spawn(move || {
            // SAFETY: plain system call on a live descriptor; only this thread changes its namespace.
            assert_eq!(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
            work()
        });
        thread.join().expect("the thread in the namespace")
    }

    /// Listens there as long as the answer lives.
    pub fn listen(&self, address: &str, ports: &[u16]) -> Vec<TcpListener> {
        let address: IpAddr = address.parse().expect("an address");
        let ports = ports.to_vec();
        self.within(move || {
            let listen = |port| TcpListener::bind(SocketAddr::new(address, port)).expect("a listener");
            ports.into_iter().map(listen).collect()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Loads nft rules in the thread's namespace.
pub fn rules(rules: &str) {
    load(&["nft", "-f", "-"], rules);
}

fn load(command: &[&str], rules: &str) {
    let mut nft =
        Command::new(command[0]).args(&command[1..]).stdin(Stdio::piped()).spawn().expect("nft runs");
    nft.stdin.take().expect("its input").write_all(rules.as_bytes()).expect("handing over rules");
    assert!(nft.wait().expect("nft ends").success(), "{rules}");
}

/// The thread's namespace is the scanner's; router and target hang behind it.
pub struct Net {
    pub router: Namespace,
    pub target: Namespace,
}

impl Net {
    pub fn new() -> Net {
        let net = Net { router: Namespace::new(), target: Namespace::new() };
        let (router, target) = (net.router.pid(), net.target.pid());
        run(&format!(
            "ip link add eth0 type veth peer name near netns {router}
             ip addr add 10.9.1.1/24 dev eth0; ip addr add fd09:1::1/64 dev eth0 nodad; ip link set eth0 up"
        ));
        net.router.run(&format!(
            "ip link add far type veth peer name eth0 netns {target}
             ip addr add 10.9.1.2/24 dev near; ip addr add fd09:1::2/64 dev near nodad; ip link set near up
             ip addr add 10.9.2.1/24 dev far; ip addr add fd09:2::1/64 dev far nodad; ip link set far up
             sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"
        ));
        net.target.run(
            "ip addr add 10.9.2.2/24 dev eth0; ip addr add fd09:2::2/64 dev eth0 nodad; ip link set eth0 up
             ip route add default via 10.9.2.1; ip route add default via fd09:2::1",
        );
        run("ip route add default via 10.9.1.2; ip route add default via fd09:1::2");
        // IPv6 answers only once its own link-local addresses are sure, whatever `nodad` says.
        for target in [TARGET, TARGET6] {
            let answers = || attempt(&format!("ping -q -c 1 -W 1 {target}"));
            assert!((0..ANSWER_COUNT_MAX).any(|_| answers()), "{target} does not answer");
        }
        net
    }
}

/// What a scan told.
pub struct Told {
    pub summary: Result<Summary, ScanError>,
    /// The last word on each port.
    pub found: BTreeMap<(IpAddr, u16), Finding>,
    pub notices: Vec<Notice>,
}

impl Told {
    pub fn of(&self, host: &str, port: u16) -> &Finding {
        let host = host.parse().expect("an address");
        self.found.get(&(host, port)).unwrap_or_else(|| panic!("nothing about {host} {port}: {self:?}"))
    }

    pub fn with(&self, state: State) -> Vec<u16> {
        self.found.iter().filter(|(_, finding)| finding.state == state).map(|((_, port), _)| *port).collect()
    }

    pub fn summary(&self) -> &Summary {
        self.summary.as_ref().unwrap_or_else(|error| panic!("the scan failed: {error}"))
    }
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:?}\n{:?}", self.summary, self.notices)?;
        self.found
            .iter()
            .filter(|(_, one)| one.state != State::Closed)
            .take(SHOWN_COUNT_MAX)
            .try_for_each(|(_, one)| writeln!(f, "{one:?}"))
    }
}

/// A plan that tells everything, as fast as it goes.
pub fn plan(hosts: &str, ports: &str) -> Plan {
    let hosts: Vec<&str> = hosts.split(',').collect();
    let hosts = Hosts::parse(&hosts, &[]).expect("hosts");
    let mut plan = Plan::new(hosts, Ports::parse(ports, Protocol::Tcp).expect("ports"));
    plan.pace = Pace::Fast;
    plan.all = true;
    plan.seed = 7;
    plan.max_duration = Some(LASTS_MAX);
    plan
}

/// Runs a plan in the thread's namespace.
pub fn scanned(plan: &Plan) -> Told {
    stopped(plan, &AtomicBool::new(false))
}

pub fn stopped(plan: &Plan, stop: &AtomicBool) -> Told {
    meanwhile(plan, stop, |_| {})
}

/// The same, with something done at each word on how far the scan is.
pub fn meanwhile(plan: &Plan, stop: &AtomicBool, mut progressed: impl FnMut(&Progress)) -> Told {
    let (mut found, mut notices) = (BTreeMap::new(), Vec::new());
    let summary = scan(plan, stop, &mut |event| match event {
        Event::Found(one) | Event::Revised(one) => {
            found.insert((one.host, one.port), one);
        }
        Event::Notice(notice) => notices.push(notice),
        Event::Progress(progress) => progressed(&progress),
    });
    Told { summary, found, notices }
}
