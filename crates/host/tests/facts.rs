//! Records of two ends in, facts out: the join needs no clock, and every value is one the catalogue knows.
#![allow(clippy::unwrap_used)]

use netwhy_catalogue::Catalogue;
use netwhy_host::facts::{Sides, facts};
use netwhy_model::host::{
    Backend, CounterDelta, Hook, Interface, Listener, LocalRoute, Match, PacketKind, PacketSeen, Record,
    Rule, RuleVerdict, TraceStep, Transport, WatchSpec,
};
use netwhy_model::{Evidence, Leg, Stamp, Vantage};
use std::net::{IpAddr, SocketAddr};

const CLIENT: &str = "10.9.0.1:40000";
const SERVER: &str = "10.9.0.2:443";

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn packet(
    kind: PacketKind,
    outgoing: bool,
    from: &str,
    to: &str,
    sequence: u32,
    acknowledgment: u32,
) -> PacketSeen {
    PacketSeen {
        at_ns: 1_000_000_000,
        outgoing,
        other_station: false,
        interface: 2,
        kind,
        from: socket(from),
        to: socket(to),
        sequence,
        acknowledgment,
        payload_len: 0,
        ttl: 64,
        icmp: None,
        mac: None,
    }
}

fn record(name: &str, vantage: Vantage, own: &str, packets: Vec<PacketSeen>) -> Record {
    Record {
        name: name.to_owned(),
        vantage: Some(vantage),
        spec: WatchSpec { port: 443, ..WatchSpec::default() },
        // The ends' clocks are years apart, and that must not matter.
        started: Stamp::from_millis(if vantage == Vantage::Source { 0 } else { 900_000_000_000 }),
        ended: Stamp::from_millis(if vantage == Vantage::Source { 5_000 } else { 900_000_005_000 }),
        own_addresses: vec![own.parse().unwrap()],
        packets,
        ..Record::default()
    }
}

fn concluded(source: &Record, far: &Record, path: &[&Record]) -> Vec<Evidence> {
    let targets: [IpAddr; 1] = [socket(SERVER).ip()];
    facts(&Sides {
        leg: Leg::Front,
        source: Some(source),
        far: Some(far),
        path,
        targets: &targets,
        port: 443,
        udp: false,
        asked: None,
        at: Stamp::default(),
    })
}

fn value(evidence: &[Evidence], fact: &str) -> String {
    let catalogue = Catalogue::embedded();
    for item in evidence.iter().filter(|e| e.speaks()) {
        let entry = catalogue.fact(&item.fact).unwrap();
        assert!(entry.values.contains_key(&item.value), "{} has no value {}", item.fact, item.value);
    }
    evidence.iter().find(|e| e.fact == fact).map(|e| e.value.clone()).unwrap_or_default()
}

fn syn(outgoing: bool) -> PacketSeen {
    packet(PacketKind::Syn, outgoing, CLIENT, SERVER, 77, 0)
}

fn synack(outgoing: bool) -> PacketSeen {
    packet(PacketKind::SynAck, outgoing, SERVER, CLIENT, 500, 78)
}

#[test]
fn a_syn_that_never_arrives_died_on_the_way() {
    let source = record("here", Vantage::Source, "10.9.0.1", vec![syn(true), syn(true)]);
    let far = record("origin", Vantage::Origin, "10.9.0.2", vec![]);
    let seen = concluded(&source, &far, &[]);
    assert_eq!(value(&seen, "host.syn"), "absent");
    assert_eq!(value(&seen, "host.answer"), "");
    assert_eq!(value(&seen, "host.address"), "owned");
}

#[test]
fn an_answer_that_leaves_and_never_comes_was_lost_on_the_way_back() {
    let source = record("here", Vantage::Source, "10.9.0.1", vec![syn(true)]);
    let far = record("origin", Vantage::Origin, "10.9.0.2", vec![syn(false), synack(true)]);
    let seen = concluded(&source, &far, &[]);
    assert_eq!(value(&seen, "host.syn"), "arrived");
    assert_eq!(value(&seen, "host.answer"), "synack");
    assert_eq!(value(&seen, "host.answer_back"), "none");
}

#[test]
fn a_reset_that_nobody_there_sent_is_forged() {
    let rst = packet(PacketKind::Rst, false, SERVER, CLIENT, 0, 78);
    let source = record("here", Vantage::Source, "10.9.0.1", vec![syn(true), rst]);
    let far = record("origin", Vantage::Origin, "10.9.0.2", vec![syn(false), synack(true)]);
    assert_eq!(value(&concluded(&source, &far, &[]), "host.forged"), "rst");
}

#[test]
fn the_rule_that_dropped_the_traced_syn_is_named() {
    let source = record("here", Vantage::Source, "10.9.0.1", vec![syn(true)]);
    let mut far = record("origin", Vantage::Origin, "10.9.0.2", vec![syn(false)]);
    let rule = Rule {
        backend: Backend::Nft,
        family: "inet".into(),
        table: "filter".into(),
        chain: "input".into(),
        hook: Some(Hook::Input),
        handle: 7,
        position: 2,
        text: "tcp dport 443 drop".into(),
        verdict: RuleVerdict::Drop,
        matches: vec![Match::DestinationPort],
        counter: None,
        comment: String::new(),
    };
    far.trace.push(TraceStep {
        packet: 1,
        from: socket(CLIENT),
        to: socket(SERVER),
        family: "inet".into(),
        table: "filter".into(),
        chain: "input".into(),
        hook: Some(Hook::Input),
        handle: 7,
        verdict: RuleVerdict::Drop,
        text: String::new(),
    });
    far.candidates.push(rule.clone());
    let seen = concluded(&source, &far, &[]);
    assert_eq!(value(&seen, "host.stopped_by"), "input_drop");
    let proof = seen.iter().find(|e| e.fact == "host.stopped_by").unwrap();
    assert!(proof.excerpt.contains("inet filter input handle 7"), "{}", proof.excerpt);

    let banned =
        Rule { matches: vec![Match::SourceBan], text: "ip saddr @banned drop".into(), ..rule.clone() };
    far.candidates = vec![banned];
    assert_eq!(value(&concluded(&source, &far, &[]), "host.stopped_by"), "banned");

    let later = Rule {
        position: 9,
        handle: 9,
        verdict: RuleVerdict::Accept,
        text: "tcp dport 443 accept".into(),
        ..rule.clone()
    };
    far.candidates = vec![rule, later];
    assert_eq!(value(&concluded(&source, &far, &[]), "host.stopped_by"), "shadowed");
}

#[test]
fn a_listener_on_loopback_alone_is_no_listener_for_us() {
    let source = record("here", Vantage::Source, "10.9.0.1", vec![syn(true)]);
    let rst = packet(PacketKind::Rst, true, SERVER, CLIENT, 0, 78);
    let mut far = record("origin", Vantage::Origin, "10.9.0.2", vec![syn(false), rst]);
    far.listeners.push(Listener {
        transport: Transport::Tcp,
        address: socket("127.0.0.1:443"),
        v6_only: false,
        interface: None,
        queue: 0,
        queue_max: 128,
        half_open: 0,
        drops: None,
        inode: 1,
        pids: vec![],
    });
    let seen = concluded(&source, &far, &[]);
    assert_eq!(value(&seen, "host.listener"), "loopback_only");
    assert_eq!(value(&seen, "host.answer"), "rst");
}

#[test]
fn a_device_that_got_the_syn_and_has_no_route_is_named() {
    let source = record("here", Vantage::Source, "10.9.0.1", vec![syn(true)]);
    let far = record("origin", Vantage::Origin, "10.9.0.2", vec![]);
    let first = PacketSeen { ttl: 63, ..syn(true) };
    let r1 = record("r1", Vantage::Path, "10.9.1.1", vec![syn(false), first]);
    let mut r2 = record("r2", Vantage::Path, "10.9.1.2", vec![PacketSeen { ttl: 63, ..syn(false) }]);
    r2.forwards_v4 = true;
    r2.routes.push(LocalRoute {
        to: socket(SERVER).ip(),
        from: Some(socket(CLIENT).ip()),
        kind: "blackhole".into(),
        interface: String::new(),
        gateway: None,
        table: 254,
        mtu: None,
        rule: None,
        neighbour: String::new(),
    });
    let seen = concluded(&source, &far, &[&r2, &r1]);
    assert_eq!(value(&seen, "path.device"), "refused_route");
    assert_eq!(seen.iter().find(|e| e.fact == "path.device").unwrap().subject.as_deref(), Some("r2"));
}

#[test]
fn empty_records_give_no_symptom() {
    let source = record("here", Vantage::Source, "10.9.0.1", vec![syn(true), synack(false)]);
    let far = record("origin", Vantage::Origin, "10.9.0.2", vec![syn(false), synack(true)]);
    let seen = concluded(&source, &far, &[]);
    for (fact, well) in [
        ("host.syn", "arrived"),
        ("host.answer", "synack"),
        ("host.answer_back", "all"),
        ("host.stopped_by", "none"),
        ("host.forged", "none"),
    ] {
        assert_eq!(value(&seen, fact), well, "{fact}");
    }
}

fn interface(carrier: bool) -> Interface {
    let text = r#"{"index": 2, "name": "eth0", "up": true, "mtu": 1500, "addresses": ["10.9.0.2/24"], "rx_errors": 0,
        "rx_dropped": 0, "tx_errors": 0, "tx_dropped": 0, "carrier_changes": 9, "qdisc": null, "qdisc_drops": 0,
        "hooks": []}"#;
    let mut plain: serde_json::Value = serde_json::from_str(text).unwrap();
    plain["carrier"] = carrier.into();
    serde_json::from_value(plain).unwrap()
}

#[test]
fn a_link_is_judged_by_what_its_counters_did_meanwhile() {
    for (name, after, carrier, wanted) in [
        (".carrier_changes", 12, false, "flapping"),
        (".carrier_changes", 10, false, "down"),
        (".errors", 19, true, "errors"),
        (".errors", 10, true, "up"),
    ] {
        let source = record("here", Vantage::Source, "10.9.0.1", vec![syn(true)]);
        let mut far = record("origin", Vantage::Origin, "10.9.0.2", vec![syn(false)]);
        far.interfaces.push(interface(carrier));
        let (name, from) = (format!("eth0{name}"), "rtnetlink".to_owned());
        far.counters.push(CounterDelta { name, before: 9, after, from });
        assert_eq!(value(&concluded(&source, &far, &[]), "host.interface"), wanted);
    }
}

/// An echo request of the far end (identifier 7), or the reply to it, as a tap sees them.
fn echo(kind: PacketKind, outgoing: bool) -> PacketSeen {
    match kind {
        PacketKind::EchoRequest => packet(kind, outgoing, "10.9.0.2:7", "10.9.0.1:0", 1, 0),
        _ => packet(kind, outgoing, "10.9.0.1:0", "10.9.0.2:7", 1, 0),
    }
}

#[test]
fn what_the_far_end_sends_of_itself_tells_the_ways_apart() {
    use PacketKind::{EchoReply, EchoRequest};
    for (came, answered, wanted) in
        [(true, true, "both_ways"), (true, false, "one_way"), (false, false, "none")]
    {
        let mut here = vec![syn(true)];
        let mut there = vec![echo(EchoRequest, true), echo(EchoRequest, true)];
        here.extend(came.then(|| echo(EchoRequest, false)));
        there.extend(answered.then(|| echo(EchoReply, false)));
        // So much later that the SYN of the beginning is lost for sure.
        here.push(PacketSeen { at_ns: 9_000_000_000, ..echo(EchoReply, true) });
        let source = record("here", Vantage::Source, "10.9.0.1", here);
        let far = record("origin", Vantage::Origin, "10.9.0.2", there);
        assert_eq!(value(&concluded(&source, &far, &[]), "path.reverse"), wanted);
    }
    // While connections work nobody asks.
    let source = record("here", Vantage::Source, "10.9.0.1", vec![syn(true), synack(false)]);
    let there = vec![syn(false), synack(true), echo(EchoRequest, true), echo(EchoRequest, true)];
    let far = record("origin", Vantage::Origin, "10.9.0.2", there);
    assert_eq!(value(&concluded(&source, &far, &[]), "path.reverse"), "");
}
