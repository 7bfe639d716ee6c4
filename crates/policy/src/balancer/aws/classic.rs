//! Classic load balancers: `aws elb describe-load-balancers` and `describe-instance-health`.

use super::super::cloud::{each, member, port, timing, unchecked};
use super::super::{Balancer, Balancers, Check, Health, Kind, Listener, Member, Pool, Protocol};
use crate::doc::Node;
use crate::place::Unread;

/// Adds the classic balancers of some documents.
pub(super) fn read(maps: &[&Node], read: &mut Balancers) {
    let mut found: Vec<Balancer> =
        each(maps, "LoadBalancerDescriptions").into_iter().filter_map(balancer).collect();
    for map in maps {
        let Some(states) = map.get("InstanceStates") else { continue };
        if let Some(one) = of_file(&mut found, &states.place.file) {
            down(one, states.list());
        } else {
            read.unread.push(Unread::new(
                states.place.clone(),
                "InstanceStates",
                "which balancer these are of is not said; name the file after the balancer",
                "没有说明这些实例属于哪个负载均衡；请用负载均衡的名字给文件命名",
            ));
        }
    }
    read.balancers.append(&mut found);
}

/// The balancer after which a file is called, or the only one.
fn of_file<'a>(found: &'a mut [Balancer], file: &str) -> Option<&'a mut Balancer> {
    let named = found.iter().enumerate().filter(|(_, one)| file.contains(&one.name));
    let only = (found.len() == 1).then_some(0);
    let at = named.max_by_key(|(_, one)| one.name.len()).map(|(at, _)| at).or(only)?;
    found.get_mut(at)
}

fn down(balancer: &mut Balancer, states: &[Node]) {
    for state in states.iter().filter(|state| state.word("State") == Some("OutOfService")) {
        let Some(id) = state.word("InstanceId") else { continue };
        let words = ["State", "ReasonCode", "Description"].iter().filter_map(|key| state.word(key));
        let words = words.filter(|word| *word != "N/A").collect::<Vec<_>>().join(": ");
        let members = balancer.pools.iter_mut().flat_map(|pool| &mut pool.members);
        members.filter(|member| member.address == id).for_each(|member| member.down = Some(words.clone()));
    }
}

fn balancer(node: &Node) -> Option<Balancer> {
    let name = node.word("LoadBalancerName")?;
    let health = node.get("HealthCheck").map_or_else(|| unchecked(&node.place), health);
    let mut made = Balancer {
        name: name.to_owned(),
        kind: Kind::AwsClassic,
        listeners: Vec::new(),
        pools: Vec::new(),
        subnets: node.each("Subnets").iter().filter_map(Node::text).map(str::to_owned).collect(),
        place: node.place.clone(),
    };
    let dynamic = node.get("Dynamic").is_some();
    for described in node.each("ListenerDescriptions") {
        let Some(listener) = described.get("Listener") else { continue };
        let served = port(listener, "InstancePort");
        let pool = format!("{name}:{}", served.unwrap_or_default());
        let protocol = Protocol::of(listener.word("Protocol").unwrap_or_default());
        made.listeners.push(Listener {
            name: format!("{name}:{}", listener.word("LoadBalancerPort").unwrap_or_default()),
            protocol,
            address: None,
            port: port(listener, "LoadBalancerPort"),
            tls: matches!(protocol, Protocol::Https | Protocol::Tls),
            pools: vec![pool.clone()],
            answers: false,
            place: listener.place.clone(),
        });
        if made.pool(&pool).is_none() {
            made.pools.push(Pool {
                name: pool,
                protocol: listener.word("InstanceProtocol").map(Protocol::of),
                members: members(node, served),
                dynamic,
                health: health.clone(),
                used: true,
                place: listener.place.clone(),
            });
        }
    }
    Some(made)
}

fn members(node: &Node, served: Option<u16>) -> Vec<Member> {
    let instances = node.each("Instances").iter();
    instances.filter_map(|one| Some(member(one.word("InstanceId")?, served, &one.place))).collect()
}

/// `HTTP:8080/health`, `TCP:22`, with its times.
fn health(node: &Node) -> Health {
    let target = node.word("Target").unwrap_or_default();
    let (kind, rest) = target.split_once(':').unwrap_or((target, ""));
    let check = Check::of(kind);
    let mut health = Health::new(check, &node.place);
    timing(&mut health, node, [&["Interval"], &["Timeout"], &["HealthyThreshold"], &["UnhealthyThreshold"]]);
    let (number, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    health.port = number.parse().ok();
    health.path = (check.speaks_http() && !path.is_empty()).then(|| path.to_owned());
    health.expected = if check.speaks_http() { vec![(200, 200)] } else { Vec::new() };
    health
}
