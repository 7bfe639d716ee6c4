//! Looks at hosts made by hand.

use netwhy_model::host::*;
use netwhy_model::{Stamp, Text};

fn text(en: &str, zh: &str) -> Text {
    Text { en: en.to_owned(), zh: zh.to_owned() }
}

fn at(seconds: u64) -> Stamp {
    Stamp::from_millis((1_790_000_000 + seconds) * 1_000)
}

pub fn listener(transport: Transport, address: &str, queue: u32, queue_max: u32, pids: &[u32]) -> Listener {
    Listener {
        transport,
        address: address.parse().unwrap(),
        v6_only: false,
        interface: None,
        queue,
        queue_max,
        half_open: 0,
        drops: None,
        inode: 7,
        pids: pids.to_vec(),
    }
}

fn process(pid: u32, name: &str, files: (u64, u64), unit: Option<&str>) -> Process {
    Process {
        pid,
        name: name.to_owned(),
        files_open: Some(files.0),
        files_max: Some(files.1),
        unit: unit.map(str::to_owned),
        ..Process::default()
    }
}

pub fn reading(name: &str, value: &str, limit: Option<&str>, delta: Option<i64>, state: State) -> Reading {
    Reading {
        name: name.to_owned(),
        value: value.to_owned(),
        unit: String::new(),
        limit: limit.map(str::to_owned),
        delta,
        from: "/proc/net/netstat".to_owned(),
        state,
        note: None,
    }
}

fn rule(chain: &str, position: u32, text: &str, verdict: RuleVerdict, counter: Option<(u64, u64)>) -> Rule {
    Rule {
        backend: Backend::Nft,
        family: "inet".to_owned(),
        table: "filter".to_owned(),
        chain: chain.to_owned(),
        hook: Some(Hook::Input),
        handle: u64::from(position) + 3,
        position,
        text: text.to_owned(),
        verdict,
        matches: Vec::new(),
        counter,
        comment: String::new(),
    }
}

fn sections() -> Vec<Section> {
    let mut overflows = reading("TcpExt.ListenOverflows", "48211", None, Some(312), State::Bad);
    overflows.note =
        Some(text("connections were lost because an accept queue was full", "全连接队列满，连接被丢弃"));
    vec![
        Section {
            id: "counters".to_owned(),
            title: text("Counters", "计数器"),
            readings: vec![overflows, reading("Tcp.OutRsts", "3300", None, Some(2), State::Well)],
        },
        Section {
            id: "rules".to_owned(),
            title: text("Rules that stopped packets", "拦截了报文的规则"),
            readings: vec![Reading {
                unit: "packets".to_owned(),
                from: "rule counter".to_owned(),
                note: Some(text("tcp dport 8080 drop", "tcp dport 8080 drop")),
                ..reading("inet filter input handle 4", "18222", None, Some(3), State::Odd)
            }],
        },
        Section {
            id: "limits".to_owned(),
            title: text("Limits", "上限"),
            readings: vec![
                reading("file-nr", "1200", Some("9223372036854775807"), None, State::Well),
                reading("ephemeral ports to 10.0.0.5:5432", "26500", Some("28232"), None, State::Odd),
                reading("cgroup memory of app.service", "31", Some("100"), None, State::Well),
            ],
        },
        Section {
            id: "settings".to_owned(),
            title: text("Settings", "设置"),
            readings: vec![reading("net.ipv4.tcp_syncookies", "1", None, None, State::Well)],
        },
    ]
}

fn findings() -> Vec<Finding> {
    let finding = |cause: &str, severity, subject: &str, said: Text, proof: &[&str]| Finding {
        cause: cause.to_owned(),
        severity,
        text: said,
        proof: proof.iter().map(|line| (*line).to_owned()).collect(),
        subject: Some(subject.to_owned()),
    };
    vec![
        finding(
            "host.port.unheard_of",
            Severity::Risk,
            "10.0.0.5:5432",
            text(
                "Few ephemeral ports are left towards 10.0.0.5:5432.",
                "去往 10.0.0.5:5432 的临时端口所剩不多。",
            ),
            &["26500 of 28232 in use (sock_diag)"],
        ),
        finding(
            "tcp.refused.no_listener",
            Severity::Broken,
            "0.0.0.0:8080 gunicorn[812]",
            text("The accept queue holds 129 of 128 places.", "全连接队列 128 个位置已占 129 个。"),
            &["queue 129/128 (sock_diag)", "ListenOverflows +312 in 500 ms (/proc/net/netstat)"],
        ),
    ]
}

/// A host in trouble.
pub fn troubled() -> Snapshot {
    let mut host = Snapshot {
        schema: "netwhy.host/1".to_owned(),
        hostname: "web-1".to_owned(),
        kernel: "Linux 6.18.0".to_owned(),
        at: at(0),
        took_ms: 631,
        window_ms: 500,
        root: true,
        findings: findings(),
        sections: sections(),
        ..Snapshot::default()
    };
    listening(&mut host);
    connected(&mut host);
    networked(&mut host);
    guarded(&mut host);
    serving(&mut host);
    host
}

fn listening(host: &mut Snapshot) {
    let mut full = listener(Transport::Tcp, "0.0.0.0:8080", 129, 128, &[812, 813, 814]);
    full.half_open = 41;
    host.listeners = vec![
        listener(Transport::Tcp, "[::]:443", 0, 511, &[99]),
        full,
        listener(Transport::Udp, "127.0.0.53:53", 0, 0, &[]),
    ];
    host.processes = vec![
        process(812, "gunicorn", (1000, 1024), Some("app.service")),
        process(99, "nginx", (31, 65_536), Some("nginx.service")),
    ];
}

fn connected(host: &mut Snapshot) {
    host.counts = SocketCounts {
        established: 12_345,
        syn_sent: 3,
        syn_recv: 41,
        time_wait: 9,
        listen: 3,
        ..SocketCounts::default()
    };
    host.peers = vec![PeerCount {
        state: "SYN_RECV".to_owned(),
        peer: "203.0.113.9".parse().unwrap(),
        port: None,
        own_port: Some(8080),
        count: 40,
    }];
    host.ports = vec![PortUse {
        port: 8080,
        established: 180,
        half_open: 41,
        not_accepted: 129,
        unread: 2,
        unread_ms_max: 61_500,
        peers: 90,
        busiest: Some(("203.0.113.9".parse().unwrap(), 70)),
        pids: vec![812],
        ..PortUse::default()
    }];
    host.demands = vec![PortDemand {
        from: "10.0.0.9".parse().unwrap(),
        to: "10.0.0.5:5432".parse().unwrap(),
        used: 26_500,
        time_wait: 26_000,
        range: 28_232,
    }];
    host.fan_outs = vec![FanOut {
        port: Some(22),
        targets: 240,
        half_open: 230,
        pids: vec![99],
        examples: vec!["198.51.100.7:22".parse().unwrap()],
        ..FanOut::default()
    }];
    host.slow = vec![slow()];
}

fn slow() -> SlowSocket {
    SlowSocket {
        local: "10.0.0.9:443".parse().unwrap(),
        peer: "198.51.100.4:55123".parse().unwrap(),
        state: "ESTABLISHED".to_owned(),
        retransmits: 5,
        lost: 2,
        rtt_ms: 320.5,
        rtt_var_ms: 80.25,
        congestion: "cubic".to_owned(),
        unread_bytes: 0,
        unsent_bytes: 90_000,
        pids: vec![99],
    }
}

fn networked(host: &mut Snapshot) {
    host.conntrack = Some(Conntrack {
        count: 250_000,
        max: 262_144,
        drop: 17,
        by_state: vec![("ESTABLISHED".to_owned(), 200_000), ("TIME_WAIT".to_owned(), 50_000)],
        top: vec![("10.0.0.5:5432".to_owned(), 120_000)],
        from: "/proc/sys/net/netfilter/nf_conntrack_count".to_owned(),
        ..Conntrack::default()
    });
    host.interfaces = vec![
        Interface { name: "lo".to_owned(), up: true, carrier: true, mtu: 65_536, ..Interface::default() },
        Interface {
            name: "eth0".to_owned(),
            up: true,
            carrier: true,
            mtu: 1_500,
            addresses: vec!["10.0.0.9/24".to_owned()],
            rx_dropped: 12,
            hooks: vec!["xdp id 7".to_owned()],
            ..Interface::default()
        },
    ];
    host.neighbours = vec![Neighbour {
        address: "10.0.0.1".parse().unwrap(),
        interface: "eth0".to_owned(),
        mac: None,
        state: "failed".to_owned(),
    }];
    host.routes = vec!["default via 10.0.0.1 dev eth0".to_owned(), "10.0.0.0/24 dev eth0".to_owned()];
}

fn guarded(host: &mut Snapshot) {
    let bans = RulesetSet {
        family: "inet".to_owned(),
        table: "f2b-table".to_owned(),
        name: "addr-set-sshd".to_owned(),
        count: 2,
        elements: vec!["203.0.113.9".to_owned(), "203.0.113.77".to_owned()],
        dynamic: true,
    };
    host.ruleset = Ruleset {
        rules: vec![
            rule("input", 0, "", RuleVerdict::Drop, None),
            rule("input", 1, "tcp dport 8080 drop", RuleVerdict::Drop, Some((18_222, 1_093_320))),
            rule("input", 2, "ip saddr 203.0.113.0/24 drop", RuleVerdict::Drop, None),
        ],
        sets: vec![bans],
        not_understood: Vec::new(),
    };
    host.unread = vec![
        Unread {
            what: "tracepoints".to_owned(),
            why: "tracefs is not mounted".to_owned(),
            root_helps: false,
        },
        Unread {
            what: "sockets of other users".to_owned(),
            why: "needs CAP_SYS_PTRACE".to_owned(),
            root_helps: true,
        },
    ];
}

fn serving(host: &mut Snapshot) {
    host.services = vec![
        Service {
            name: "app.service".to_owned(),
            ports: vec![8080],
            pids: vec![812],
            state: Some("active".to_owned()),
            restarts: Some(4),
            log: Some("journal".to_owned()),
            lines: vec!["worker timeout".to_owned()],
        },
        Service {
            name: "nginx.service".to_owned(),
            ports: vec![80, 443],
            state: Some("active".to_owned()),
            ..Service::default()
        },
    ];
    host.signs = vec![LogSign {
        sign: "too_many_files".to_owned(),
        at: at(120),
        line: "accept4() failed (24: Too many open files)".to_owned(),
        from: "/var/log/nginx/error.log".to_owned(),
        count: 12,
    }];
}

/// A host with nothing to tell, read without root.
pub fn well() -> Snapshot {
    Snapshot {
        hostname: "web-2".to_owned(),
        kernel: "Linux 6.18.0".to_owned(),
        at: at(0),
        took_ms: 40,
        routes: vec!["default via 10.0.0.1 dev eth0".to_owned()],
        unread: vec![Unread {
            what: "firewall rules".to_owned(),
            why: "needs CAP_NET_ADMIN".to_owned(),
            root_helps: true,
        }],
        ..Snapshot::default()
    }
}

/// The troubled host with this text in every place that others can write to.
pub fn hostile(evil: &str) -> Snapshot {
    let mut host = troubled();
    let evil = || evil.to_owned();
    host.hostname = evil();
    host.kernel = evil();
    for process in &mut host.processes {
        (process.name, process.command) = (evil(), evil());
        (process.unit, process.container, process.executable) = (Some(evil()), None, Some(evil()));
    }
    for finding in &mut host.findings {
        finding.subject = Some(evil());
        finding.proof.push(evil());
        finding.text = Text { en: evil(), zh: evil() };
    }
    host.findings[0].cause = evil();
    for interface in &mut host.interfaces {
        (interface.name, interface.hooks, interface.addresses) = (evil(), vec![evil()], vec![evil()]);
    }
    for reading in host.sections.iter_mut().flat_map(|section| &mut section.readings) {
        (reading.name, reading.value, reading.from) = (evil(), evil(), evil());
        reading.note = Some(Text { en: evil(), zh: evil() });
    }
    for rule in &mut host.ruleset.rules {
        (rule.chain, rule.table, rule.text, rule.comment) = (evil(), evil(), evil(), evil());
    }
    for set in &mut host.ruleset.sets {
        (set.name, set.elements) = (evil(), vec![evil()]);
    }
    host.ruleset.not_understood = vec![evil()];
    for service in &mut host.services {
        (service.name, service.log, service.lines) = (evil(), Some(evil()), vec![evil()]);
    }
    for sign in &mut host.signs {
        (sign.sign, sign.line, sign.from) = (evil(), evil(), evil());
    }
    for unread in &mut host.unread {
        (unread.what, unread.why) = (evil(), evil());
    }
    host.routes = vec![evil()];
    host.slow[0].congestion = evil();
    host.peers[0].state = evil();
    host.neighbours[0].interface = evil();
    if let Some(conntrack) = &mut host.conntrack {
        (conntrack.top, conntrack.from) = (vec![(evil(), 1)], evil());
    }
    host
}
