//! Random rule sets: regions that the tracer follows, against single packets that the interpreter decides.
#![allow(clippy::print_stdout, reason = "a long run tells how far it is")]

use netwhy_policy::netfilter::ast::{Hook, Ruleset};
use netwhy_policy::netfilter::eval::{Machine, Outcome as Decided};
use netwhy_policy::netfilter::nft::read_text;
use netwhy_policy::netfilter::packet::Packet;
use netwhy_policy::netfilter::trace::{Outcome, Role, Tracer, Verdict};
use netwhy_policy::netfilter::xtables::{bind, read_ipset, read_save};
use netwhy_policy::space::{Cube, Family, Protocols, State};
use proptest::prelude::*;
use proptest::sample::select;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

const PIECES: usize = 20_000;

const SETS: &str = "create n hash:net\nadd n 10.0.0.0/29\nadd n 10.0.0.4/31 nomatch\ncreate p hash:ip,port\nadd p 10.0.0.1,tcp:2\n\
                    add p 10.0.0.6,udp:1-3\ncreate b bitmap:port range 0-9\nadd b 3\ncreate e hash:net,iface\nadd e 10.0.0.0/30,eth0\n";

/// Tells how many packets were compared, and of how many one side says that it depends.
fn tell(what: &str) {
    let (alike, unsure) = (ALIKE.load(Ordering::Relaxed), UNSURE.load(Ordering::Relaxed));
    println!("{what}: {alike} alike, {unsure} depend, so far");
}

/// One match of iptables, with what it needs of `-p`.
fn ipt_match() -> impl Strategy<Value = &'static str> {
    select(
        &[
            "-s 10.0.0.0/30",
            "-s 10.0.0.2",
            "! -s 10.0.0.1",
            "-d 10.0.0.4/30",
            "! -d 10.0.0.5/32",
            "-s 10.0.0.1/255.255.255.3",
            "-i eth0",
            "! -i eth0",
            "-i eth+",
            "-o eth1",
            "-o wl+",
            "-p tcp",
            "-p udp",
            "! -p tcp",
            "-p icmp",
            "-p tcp --dport 1:3",
            "-p tcp ! --dport 2",
            "-p udp --sport 2:",
            "-p tcp --syn",
            "-p tcp ! --syn",
            "-p tcp --tcp-flags SYN,ACK SYN",
            "-p tcp -m multiport --ports 1,4:5",
            "-p udp -m multiport ! --dports 2,3",
            "-m iprange --src-range 10.0.0.1-10.0.0.3",
            "-m iprange ! --dst-range 10.0.0.2-10.0.0.6",
            "-m conntrack --ctstate NEW",
            "-m conntrack ! --ctstate NEW",
            "-m conntrack --ctstate ESTABLISHED,RELATED",
            "-m conntrack --ctstate DNAT",
            "-m conntrack ! --ctstate SNAT,INVALID",
            "-m state --state UNTRACKED",
            "-m mark --mark 1",
            "-m mark ! --mark 2/3",
            "-m connmark --mark 1",
            "-p icmp --icmp-type 8",
            "-p icmp ! --icmp-type 8/1",
            "-m set --match-set n src",
            "-m set ! --match-set n dst",
            "-m set --match-set p src,dst",
            "-m set ! --match-set p dst,src",
            "-m set --match-set b dst",
            "-m set ! --match-set e src,src",
            "",
        ][..],
    )
}

fn ipt_chain_rule() -> impl Strategy<Value = String> {
    let target = select(
        &[
            "-j ACCEPT",
            "-j DROP",
            "-j REJECT",
            "-j RETURN",
            "-j A",
            "-j B",
            "-g B",
            "-j LOG",
            "-j MARK --set-mark 1",
            "-j MARK --or-mark 2",
            "-j CONNMARK --set-mark 1",
            "",
        ][..],
    );
    // A second match of addresses or of the protocol would be refused, so those of modules follow.
    (ipt_match(), ipt_match(), target).prop_map(|(first, second, target)| {
        let second = if second.starts_with("-m") && !second.contains("multiport") { second } else { "" };
        format!("{first} {second} {target}")
    })
}

fn ipt() -> impl Strategy<Value = String> {
    let rules = |max| proptest::collection::vec(ipt_chain_rule(), 0..max);
    let only = |rules: Vec<String>, not: &'static [&'static str]| -> Vec<String> {
        rules.into_iter().filter(|rule| not.iter().all(|word| !rule.contains(word))).collect()
    };
    let nat = proptest::collection::vec(
        (
            ipt_match(),
            select(
                &[
                    "-j DNAT --to-destination 10.0.0.6",
                    "-j ACCEPT",
                    "-j RETURN",
                    "-j DNAT --to-destination 10.0.0.3",
                ][..],
            ),
        ),
        0..3,
    );
    let raw = proptest::collection::vec(ipt_match(), 0..2);
    (rules(6), rules(4), rules(4), rules(3), nat, raw, any::<[bool; 2]>()).prop_map(
        move |(f, a, b, m, nat, raw, policies)| {
            let mut text = "*raw\n".to_owned();
            let ways = ["-o ", "ctstate", "--state"];
            for rule in raw.iter().filter(|rule| ways.iter().all(|word| !rule.contains(word))) {
                text += &format!("-A PREROUTING {rule} -j NOTRACK\n");
            }
            text += "COMMIT\n*mangle\n";
            for rule in only(m, &["REJECT", "-j A", "-j B", "-g ", "-o "]) {
                text += &format!("-A PREROUTING {rule}\n");
            }
            text += "COMMIT\n*nat\n";
            for (rule, target) in nat.iter().filter(|(rule, _)| !rule.contains("-o ")) {
                text += &format!("-A PREROUTING {rule} {target}\n");
            }
            let policy = |drop: bool| if drop { "DROP" } else { "ACCEPT" };
            text +=
                &format!("COMMIT\n*filter\n:FORWARD {} [0:0]\n:A - [0:0]\n:B - [0:0]\n", policy(policies[0]));
            f.iter().for_each(|rule| text += &format!("-A FORWARD {rule}\n"));
            only(a, &["-j A"]).iter().for_each(|rule| text += &format!("-A A {rule}\n"));
            only(b, &["-j A", "-j B", "-g "]).iter().for_each(|rule| text += &format!("-A B {rule}\n"));
            text + "COMMIT\n"
        },
    )
}

fn nft_rule() -> impl Strategy<Value = String> {
    let matches = select(
        &[
            "ip saddr 10.0.0.0/30",
            "ip saddr != 10.0.0.1",
            "ip daddr { 10.0.0.1, 10.0.0.4-10.0.0.6 }",
            "ip daddr != @s",
            "tcp dport 1-3",
            "tcp dport != { 2, 3 }",
            "udp sport @q",
            "meta l4proto { tcp, udp }",
            "meta l4proto != tcp",
            "tcp flags syn",
            "tcp flags & (syn | ack) == syn",
            "tcp flags { syn, rst }",
            "ct state new",
            "ct state { new, invalid }",
            "ct state != new",
            "ct state established,related",
            "ct status dnat",
            "ct state untracked",
            "ip saddr . tcp dport { 10.0.0.1 . 2, 10.0.0.4-10.0.0.6 . 1-4 }",
            "ip saddr . tcp dport != { 10.0.0.1 . 2 }",
            "iifname \"eth0\"",
            "iifname != \"eth0\"",
            "iifname \"eth*\"",
            "oifname { \"eth1\", \"wlan0\" }",
            "meta mark 1",
            "meta mark and 3 != 2",
            "icmp type echo-request",
            "icmp type != 0",
            "ip6 saddr ::1",
            "ip protocol udp",
            "th dport 2",
            "meta nfproto ipv4",
            "",
        ][..],
    );
    let verdict = select(
        &[
            "accept",
            "drop",
            "reject",
            "return",
            "jump a",
            "jump b",
            "goto b",
            "counter",
            "meta mark set 1",
            "continue",
            "meta mark set meta mark or 2",
            "tcp dport vmap { 1 : accept, 2-3 : drop, 4 : jump b }",
            "ip daddr vmap { 10.0.0.1 : drop, 10.0.0.4-10.0.0.5 : goto b }",
            "",
        ][..],
    );
    (matches.clone(), matches, verdict).prop_map(|(one, two, verdict)| format!("{one} {two} {verdict}"))
}

fn nft() -> impl Strategy<Value = String> {
    let rules = |max| proptest::collection::vec(nft_rule(), 0..max);
    let nat = proptest::collection::vec(
        (
            select(&["ip daddr 10.0.0.1", "tcp dport 2", "meta l4proto udp", ""][..]),
            select(&["10.0.0.6", "10.0.0.3"][..]),
        ),
        0..2,
    );
    (rules(6), rules(4), rules(4), rules(3), nat, any::<[bool; 2]>()).prop_map(|(f, a, b, g, nat, policies)| {
        let list = |rules: &[String], not: &[&str]| {
            let fit = rules.iter().filter(|rule| !rule.trim().is_empty() && not.iter().all(|word| !rule.contains(word)));
            fit.fold(String::new(), |text, rule| text + "  " + rule.trim() + "\n")
        };
        let policy = |drop: bool| if drop { "drop" } else { "accept" };
        let nat = nat.iter().fold(String::new(), |text, (one, to)| text + &format!("  {one} dnat to {to}\n"));
        format!(
            "table ip n {{\n chain p {{ type nat hook prerouting priority -100;\n{nat} }}\n}}\n\
             table inet t {{\n set s {{ type ipv4_addr; flags interval; elements = {{ 10.0.0.2-10.0.0.4 }} }}\n\
             set q {{ type inet_service; elements = {{ 1, 4 }} }}\n chain b {{\n{} }}\n chain a {{\n{} }}\n\
             chain f {{ type filter hook forward priority 0; policy {};\n{} }}\n\
             chain g {{ type filter hook forward priority 5; policy {};\n{} }}\n}}\n",
            list(&b, &["jump", "goto"]),
            list(&a, &["jump a"]),
            policy(policies[0]),
            list(&f, &[]),
            policy(policies[1]),
            list(&g, &[]),
        )
    })
}

#[derive(Clone, Copy)]
struct One {
    source: u8,
    destination: u8,
    protocol: u8,
    ports: (u16, u16),
    flags: u8,
    state: u8,
    input: usize,
    output: usize,
}

const NAMES: [&str; 4] = ["eth0", "eth1", "wlan0", "ppp0"];

fn one() -> impl Strategy<Value = One> {
    let number = select(&[6_u8, 6, 6, 17, 17, 1, 47][..]);
    let flags = select(&[0x02_u8, 0x12, 0x10, 0x04][..]);
    let state = select(&[8_u8, 8, 8, 2, 4, 1][..]);
    (0..8_u8, 0..8_u8, number, (0..6_u16, 0..6_u16), flags, state, 0..4_usize, 0..4_usize).prop_map(
        |(source, destination, protocol, ports, flags, state, input, output)| One {
            source,
            destination,
            protocol,
            ports,
            flags,
            state,
            input,
            output,
        },
    )
}

impl std::fmt::Debug for One {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let One { source, destination, protocol, ports, flags, state, input, output } = self;
        write!(
            to,
            "{protocol} {source}:{} > {destination}:{} flags {flags} state {state} {input} > {output}",
            ports.0, ports.1
        )
    }
}

impl One {
    fn packet(self, role: Role) -> Packet {
        let address = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let mut packet = Packet::new(self.protocol, address(self.source), address(self.destination));
        packet.hook = match role {
            Role::Input => Hook::Input,
            Role::Forward => Hook::Forward,
            Role::Output => Hook::Output,
        };
        packet.input = Some(NAMES[self.input].to_owned()).filter(|_| role != Role::Output);
        packet.output = Some(NAMES[self.output].to_owned()).filter(|_| role != Role::Input);
        packet.state = Some(self.state);
        match self.protocol {
            6 => {
                packet.flags = Some(self.flags);
                packet.ports(self.ports.0, self.ports.1)
            }
            17 => packet.ports(self.ports.0, self.ports.1),
            1 => {
                packet.icmp_type = Some(if self.ports.0 > 2 { 8 } else { 0 });
                packet.icmp_code = Some(u8::from(self.ports.1 > 2));
                packet
            }
            _ => packet,
        }
    }

    /// Whether it is the first packet of a connection by itself.
    fn opens(self) -> bool {
        self.state == 8 && (self.protocol != 6 || self.flags == 2) && (self.protocol != 1 || self.ports.0 > 2)
    }

    fn cube(self, tracer: &Tracer<'_>) -> Cube {
        let address = |last: u8| u128::from(10_u32 << 24) + u128::from(last);
        let (source, destination) = (address(self.source), address(self.destination));
        let bits = |at: usize| tracer.names().map_or(u64::MAX, |names| names.bits(NAMES[at], false));
        let state = match self.state {
            8 => State::NEW,
            2 => State::ESTABLISHED,
            4 => State::RELATED,
            _ => State::INVALID,
        };
        let none = State::nat(netwhy_policy::space::Nat::None);
        let mut cube = Cube::all(Family::V4).source(source, source).destination(destination, destination);
        cube = cube.protocols(Protocols::of(&[self.protocol])).state(state.and(none));
        (cube.from, cube.to) = (bits(self.input), bits(self.output));
        let ports = match self.protocol {
            1 => (if self.ports.0 > 2 { 8 } else { 0 }, u16::from(self.ports.1 > 2)),
            _ => self.ports,
        };
        if self.protocol != 47 {
            cube = cube.source_ports(ports.0..=ports.0).destination_ports(ports.1..=ports.1);
        }
        if self.protocol == 6 {
            cube.flags = Protocols::of(&[self.flags]).0;
        }
        cube
    }
}

static ALIKE: AtomicUsize = AtomicUsize::new(0);
static UNSURE: AtomicUsize = AtomicUsize::new(0);

fn same(text: &str, one: One, outcome: &Outcome, decided: &netwhy_policy::netfilter::eval::Decision) {
    let word = match &outcome.verdict {
        Verdict::Accept => Decided::Accept,
        Verdict::Drop => Decided::Drop,
        Verdict::Reject => Decided::Reject,
        Verdict::Depends(_) => Decided::Depends,
    };
    if word == Decided::Depends || decided.verdict == Decided::Depends {
        UNSURE.fetch_add(1, Ordering::Relaxed);
        return;
    }
    ALIKE.fetch_add(1, Ordering::Relaxed);
    // Where a mark of an older connection is not known, a packet may be refused in one way or the other.
    let refused = |verdict| matches!(verdict, Decided::Drop | Decided::Reject);
    if text.contains("connmark") && refused(word) && refused(decided.verdict) {
        return;
    }
    assert_eq!(word, decided.verdict, "\n{text}\n{one:?}\n{outcome:?}\n{decided:?}");
}

fn compare(text: &str, ruleset: &Ruleset, ones: &[One], role: Role) {
    assert!(ruleset.unread.is_empty(), "{text}\n{:?}", ruleset.unread);
    let tracer = Tracer::new(ruleset);
    let region = tracer.path(role, &[Cube::all(Family::V4)], PIECES);
    let untracks = text.contains("NOTRACK");
    for one in ones.iter().filter(|one| !untracks || one.opens()) {
        let cube = one.cube(&tracer);
        let mut packet = one.packet(role);
        // A state that is said holds whatever the rules do.
        packet.state = packet.state.filter(|_| !untracks);
        let decided = Machine::new(ruleset).packet(&packet);
        let alone = tracer.path(role, &[cube], PIECES);
        assert_eq!(alone.len(), 1, "{text}\n{alone:?}");
        same(text, *one, &alone[0], &decided);
        // A packet without ports is in every piece that differs from another by ports alone.
        let holding: Vec<&Outcome> = region.iter().filter(|outcome| outcome.packets.meets(&cube)).collect();
        let depends = holding.iter().any(|outcome| matches!(outcome.verdict, Verdict::Depends(_)));
        let one_piece = if one.protocol == 6 { holding.len() == 1 } else { !holding.is_empty() };
        assert!(depends || one_piece, "{text}\n{one:?}\n{holding:?}");
        if !depends {
            holding.iter().for_each(|outcome| same(text, *one, outcome, &decided));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn regions_through_iptables_fare_as_their_packets(text in ipt(), ones in proptest::collection::vec(one(), 40)) {
        let mut ruleset = read_save(&"rules".into(), &text, Family::V4);
        ruleset.ipsets = read_ipset(&"sets".into(), SETS).ipsets;
        bind(&mut ruleset);
        compare(&text, &ruleset, &ones, Role::Forward);
        tell("iptables");
    }

    #[test]
    fn regions_through_nft_fare_as_their_packets(text in nft(), ones in proptest::collection::vec(one(), 40)) {
        let ruleset = read_text(&"rules".into(), &text);
        compare(&text, &ruleset, &ones, Role::Forward);
    }

    #[test]
    fn regions_to_and_from_the_host_fare_as_their_packets(text in nft(), ones in proptest::collection::vec(one(), 40), leaves: bool) {
        let (role, hook) = if leaves { (Role::Output, "output") } else { (Role::Input, "input") };
        // Where a packet goes whose destination is changed depends on the host's addresses.
        let text = text.replace("hook forward", &format!("hook {hook}")).replace("dnat to", "ip daddr 10.0.0.99 dnat to");
        let ruleset = read_text(&"rules".into(), &text);
        compare(&text, &ruleset, &ones, role);
    }
}
