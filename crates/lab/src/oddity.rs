//! Harmless oddities: what makes no difference to a user, and must make none to a verdict.
//!
//! Real networks are full of them. Strewn over a scenario by a seed, they show whether a verdict reasons
//! from evidence or has learnt the look of the lab.

use crate::relay::Dice;
use crate::scenario::{Network, Service, Shape};
use serde_json::Value;

/// Hosts that serve what the scenarios ask for.
const SERVERS: [&str; 2] = ["origin", "edge"];
/// Each oddity comes with this probability.
const PROBABILITY: f64 = 0.35;
/// The port of the service nobody asked for.
const EXTRA_PORT: u16 = 2222;

type Oddity = (&'static str, fn(&mut Network, &mut Dice) -> bool);

/// All of them, with the line a user reads.
const ODDITIES: [Oddity; 10] = [
    ("the client's line is a few milliseconds long", distant_client),
    ("servers ignore ping", servers_ignore_ping),
    ("one router never says that a packet's time ran out", silent_router),
    ("servers drop whatever comes to other ports", servers_drop_other_ports),
    ("servers start at another TTL", other_ttl),
    ("servers use no TCP timestamps", no_timestamps),
    ("another service listens on the servers", extra_service),
    ("the resolver takes its time", unhurried_resolver),
    ("the hosts file knows other names", other_hosts),
    ("the client's line has a smaller MTU, properly announced", small_mtu),
];

/// Strews oddities over a network; returns what was done, one line each.
pub fn sprinkle(network: &mut Network, seed: u64) -> Vec<&'static str> {
    let mut dice = Dice::new(seed.wrapping_add(0x0DD));
    let mut done = Vec::new();
    for (text, apply) in ODDITIES {
        if dice.falls(PROBABILITY) && apply(network, &mut dice) {
            done.push(text);
        }
    }
    done
}

fn has_nft() -> bool {
    crate::outside::program_exists("nft")
}

fn servers(network: &Network) -> Vec<&'static str> {
    SERVERS.into_iter().filter(|name| network.host.iter().any(|host| host.name == *name)).collect()
}

fn on_servers(network: &mut Network, line: impl Fn(&str) -> String) -> bool {
    let lines: Vec<String> = servers(network).into_iter().map(line).collect();
    network.setup.extend(lines.iter().cloned());
    !lines.is_empty()
}

fn distant_client(network: &mut Network, dice: &mut Dice) -> bool {
    let Some(link) = network.link.iter_mut().find(|link| link.name == "access" && link.shape.is_plain())
    else {
        return false;
    };
    let delay_ms = 1.0 + dice.fraction() * 10.0;
    link.shape = Shape { delay_ms, jitter_ms: delay_ms / 10.0, ..Shape::default() };
    true
}

fn servers_ignore_ping(network: &mut Network, _: &mut Dice) -> bool {
    has_nft()
        && on_servers(network, |host| {
            format!(
                "@{host} nft 'table inet odd_ping {{ chain in {{ type filter hook input priority -5; \
                 icmp type echo-request drop; icmpv6 type echo-request drop; }}; }}'"
            )
        })
}

fn silent_router(network: &mut Network, _: &mut Dice) -> bool {
    let known = network.host.iter().any(|host| host.name == "r2");
    if known && has_nft() {
        network.setup.push(
            "@r2 nft 'table inet odd_silent { chain out { type filter hook output priority -5; \
             icmp type time-exceeded drop; icmpv6 type time-exceeded drop; }; }'"
                .into(),
        );
    }
    known && has_nft()
}

/// Only ports below 80 that no scenario serves.
fn servers_drop_other_ports(network: &mut Network, _: &mut Dice) -> bool {
    has_nft()
        && on_servers(network, |host| {
            format!(
                "@{host} nft 'table inet odd_closed {{ chain in {{ type filter hook input priority -5; \
                 ct state established,related accept; tcp dport {{ 1-21, 23-24, 26-52, 54-79 }} drop; }}; }}'"
            )
        })
}

fn other_ttl(network: &mut Network, dice: &mut Dice) -> bool {
    let ttl = if dice.falls(0.5) { 128 } else { 255 };
    on_servers(network, |host| {
        format!(
            "@{host} echo {ttl} > /proc/sys/net/ipv4/ip_default_ttl; \
             echo {ttl} > /proc/sys/net/ipv6/conf/all/hop_limit"
        )
    })
}

fn no_timestamps(network: &mut Network, _: &mut Dice) -> bool {
    on_servers(network, |host| format!("@{host} echo 0 > /proc/sys/net/ipv4/tcp_timestamps"))
}

fn extra_service(network: &mut Network, _: &mut Dice) -> bool {
    let servers = servers(network);
    for host in &servers {
        let options = [
            ("port", Value::from(EXTRA_PORT)),
            ("mode", "banner".into()),
            ("banner", "SSH-2.0-OpenSSH_9.2p1\r\n".into()),
        ];
        network.service.push(Service {
            name: format!("odd-{host}"),
            host: (*host).to_owned(),
            kind: "tcp".into(),
            start: true,
            options: options.map(|(key, value)| (key.to_owned(), value)).into(),
            ..Service::default()
        });
    }
    !servers.is_empty()
}

fn unhurried_resolver(network: &mut Network, dice: &mut Dice) -> bool {
    let own = |service: &&mut Service| service.name == "resolver" && service.kind == "dns";
    let Some(resolver) = network.service.iter_mut().find(own) else { return false };
    let delay_ms = 5 + dice.next() % 30;
    resolver.options.entry("delay_ms".into()).or_insert(delay_ms.into());
    true
}

fn other_hosts(network: &mut Network, _: &mut Dice) -> bool {
    let Some(client) = network.host.iter_mut().find(|host| host.name == "client") else { return false };
    client.hosts.push("10.250.3.4 printer.office.internal printer".into());
    client.hosts.push("127.0.0.1 ads.tracker.invalid".into());
    true
}

fn small_mtu(network: &mut Network, dice: &mut Dice) -> bool {
    let plain = |link: &&mut crate::scenario::Link| link.name == "access" && link.mtu.is_none();
    let Some(link) = network.link.iter_mut().find(plain) else { return false };
    link.mtu = Some(1400 + u32::try_from(dice.next() % 93).unwrap_or(0));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Library;

    #[test]
    fn the_same_seed_strews_the_same_and_all_of_it_is_sound() {
        for seed in 0..40 {
            let mut once = Library::built_in().network("web").unwrap();
            let mut again = once.clone();
            assert_eq!(sprinkle(&mut once, seed), sprinkle(&mut again, seed));
            assert_eq!(once, again);
            crate::check::check_network(&once).unwrap();
        }
    }
}
