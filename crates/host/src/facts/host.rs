//! What the far host is: its addresses, interfaces, listeners.

use super::Sides;
use super::join::{Answer, Join};
use crate::watch::{CARRIER_CHANGES, LINK_ERRORS};
use netwhy_model::host::{Interface, Listener, Record, RuleVerdict, Transport};
use netwhy_model::{Evidence, Link, Vantage};
use std::net::{IpAddr, SocketAddr};

/// Ports whose listeners are no other service of a web host.
const PORTS_OF_THE_SYSTEM: [u16; 6] = [22, 53, 68, 111, 123, 631];

/// Damaged frames within seconds that no link in order has.
const LINK_ERRORS_MIN: u64 = 3;
/// Lost, found and lost again: no cable that somebody pulled.
const FLAP_CHANGES_MIN: u64 = 3;

pub(super) fn facts(sides: &Sides<'_>, far: &Record, join: &Join) -> Vec<Evidence> {
    let mut all = Vec::new();
    all.extend(address(sides, far, join));
    all.extend(interface(sides, far));
    if join.concerns(sides, far) {
        all.extend(listener(sides, far, join));
    }
    all.extend(role(sides, far));
    all.extend(mtu(sides, far));
    all.extend(ttl(sides, far));
    all
}

/// Whether the far host owns the address asked for.
fn address(sides: &Sides<'_>, far: &Record, join: &Join) -> Option<Evidence> {
    if sides.targets.is_empty() || far.own_addresses.is_empty() {
        return None;
    }
    let owned = sides.targets.iter().any(|target| far.own_addresses.contains(target));
    let reached = join.got().first().copied();
    let value = match (owned, reached) {
        _ if join.is_elsewhere() => "elsewhere",
        (true, _) => "owned",
        // Packets for an address that is nobody's come here, and nobody takes them.
        (false, Some(_)) if join.settled().any(|h| h.answer != Answer::Nothing) => "elsewhere",
        (false, Some(_)) if far.trace.iter().any(|t| matches!(t.verdict, RuleVerdict::Nat(_))) => "elsewhere",
        (false, Some(_)) => "missing",
        (false, None) => "missing",
    };
    let text =
        format!("asked for {}; {} has {}", listed(sides.targets), far.name, listed(&far.own_addresses));
    Some(sides.seen("host.address", value, Link::OriginHost, text))
}

/// Whether a node in front of the service answers, as the user named the ends.
fn role(sides: &Sides<'_>, far: &Record) -> Option<Evidence> {
    let value = match far.vantage? {
        Vantage::Edge => "node",
        Vantage::Origin => "origin",
        _ => return None,
    };
    let owned = sides.targets.iter().any(|target| far.own_addresses.contains(target));
    owned.then(|| {
        sides.seen("host.role", value, Link::Service, format!("the address asked for is {}'s", far.name))
    })
}

fn listed(addresses: &[IpAddr]) -> String {
    let shown = addresses.iter().filter(|a| !a.is_loopback()).take(6).map(IpAddr::to_string);
    shown.collect::<Vec<_>>().join(", ")
}

fn interface(sides: &Sides<'_>, far: &Record) -> Option<Evidence> {
    let owns = |i: &&Interface| {
        i.addresses.iter().any(|a| sides.targets.iter().any(|t| a.split('/').next() == Some(&t.to_string())))
    };
    let real = |i: &&Interface| i.name != "lo";
    let chosen = far.interfaces.iter().find(owns);
    // A host none of whose interfaces is up may have lost the address with the last of them.
    let all_down = far.interfaces.iter().filter(real).all(|i| !i.up || !i.carrier);
    let down = far.interfaces.iter().filter(real).find(|i| !i.up || !i.carrier);
    let interface = chosen.or(down.filter(|_| all_down))?;
    let rose = |name: &str| {
        let mut of = far.counters.iter().filter(|c| c.name.strip_suffix(name) == Some(&interface.name));
        of.next().map_or(0, netwhy_model::host::CounterDelta::rose)
    };
    let (changes, errors) = (rose(CARRIER_CHANGES), rose(LINK_ERRORS));
    let value = match () {
        () if changes >= FLAP_CHANGES_MIN => "flapping",
        () if !interface.up || !interface.carrier => "down",
        () if errors >= LINK_ERRORS_MIN => "errors",
        () => "up",
    };
    let text = format!(
        "{} on {}: {}, carrier {} ({changes} changes meanwhile), {errors} errors meanwhile, {} dropped so far",
        interface.name,
        far.name,
        if interface.up { "up" } else { "administratively down" },
        if interface.carrier { "present" } else { "lost" },
        interface.rx_dropped,
    );
    Some(sides.seen("host.interface", value, Link::OriginHost, text))
}

/// Where our packets are addressed to on the far host.
fn destination(sides: &Sides<'_>, far: &Record, join: &Join) -> Option<SocketAddr> {
    let seen = join.got().first().map(|(_, server)| *server);
    let owned = sides
        .targets
        .iter()
        .find(|t| far.own_addresses.contains(t))
        .map(|t| SocketAddr::new(*t, join.port(far)));
    let any =
        far.own_addresses.iter().find(|a| !a.is_loopback()).map(|a| SocketAddr::new(*a, join.port(far)));
    seen.or(owned).or(any)
}

fn listener(sides: &Sides<'_>, far: &Record, join: &Join) -> Vec<Evidence> {
    let Some(to) = destination(sides, far, join) else { return Vec::new() };
    let transport = if sides.udp { Transport::Udp } else { Transport::Tcp };
    let same: Vec<&Listener> =
        far.listeners.iter().filter(|l| l.transport == transport && l.address.port() == to.port()).collect();
    // Who answers SYNs has somebody listening, be it behind a translation of its own.
    let answers = join.settled().any(|h| h.answer == Answer::SynAck);
    let value = match answers || same.iter().any(|l| l.takes(to)) {
        true => "present",
        false if same.is_empty() => "absent",
        false if same.iter().all(|l| l.address.ip().is_loopback()) => "loopback_only",
        false if same.iter().all(|l| l.address.is_ipv4() != to.is_ipv4()) => "other_family",
        false => "other_address",
    };
    let text = match same.first() {
        None => format!("no socket of {} listens on {transport:?} port {} (sock_diag)", far.name, to.port()),
        Some(_) => format!(
            "asked for {to}; listening: {}",
            same.iter().map(|l| l.address.to_string()).collect::<Vec<_>>().join(", ")
        ),
    };
    let mut all = vec![sides.seen("host.listener", value, Link::Socket, text)];
    if value == "absent" {
        all.push(other_port(sides, far, transport));
    } else {
        all.push(sides.seen(
            "host.other_port",
            "not_needed",
            Link::Socket,
            "somebody listens on the port asked for",
        ));
    }
    // A port refused although somebody listens would be a firewall's doing, and is said there.
    let refused = join.settled().any(|h| h.answer == Answer::Rst);
    if value == "present" && refused && !sides.udp {
        all.retain(|e| e.fact != "host.other_port");
    }
    all
}

fn other_port(sides: &Sides<'_>, far: &Record, transport: Transport) -> Evidence {
    let others: Vec<String> = far
        .listeners
        .iter()
        .filter(|l| l.transport == transport && !l.address.ip().is_loopback())
        .filter(|l| !PORTS_OF_THE_SYSTEM.contains(&l.address.port()))
        .map(|l| l.address.to_string())
        .collect();
    let value = if others.is_empty() { "no" } else { "yes" };
    let text = if others.is_empty() {
        "no other service listens there".to_owned()
    } else {
        format!("others listen: {}", others.join(", "))
    };
    sides.seen("host.other_port", value, Link::Socket, text)
}

/// The TTL the far host gives its packets: too small a one does not reach us.
fn ttl(sides: &Sides<'_>, far: &Record) -> Option<Evidence> {
    /// No path on the Internet is longer, and no common system starts lower (RFC 1700 recommends 64).
    const TTL_USUAL_MIN: u8 = 32;
    let configured = far.readings.iter().find(|r| r.name == "net.ipv4.ip_default_ttl")?;
    let ttl: u8 = configured.value.parse().ok()?;
    let value = if ttl < TTL_USUAL_MIN { "small" } else { "normal" };
    let text = format!("{} = {ttl} on {} ({})", configured.name, far.name, configured.from);
    Some(sides.seen("host.ttl", value, Link::OriginHost, text))
}

/// The MTUs of the interfaces both ends use for each other.
fn mtu(sides: &Sides<'_>, far: &Record) -> Option<Evidence> {
    let source = sides.source?;
    let mtu = |record: &Record| {
        let routed = record.routes.iter().find(|r| !r.interface.is_empty() && r.interface != "lo")?;
        record.interfaces.iter().find(|i| i.name == routed.interface).map(|i| (i.name.clone(), i.mtu))
    };
    let ((here, own), (there, theirs)) = (mtu(source)?, mtu(far)?);
    let value = if own == theirs { "equal" } else { "differ" };
    Some(sides.seen("host.mtu", value, Link::Path, format!("{here} here {own}, {there} there {theirs}")))
}
