//! AWS Elastic Load Balancing from what `aws elbv2 describe-*` prints.

mod classic;

use super::cloud::{each, first, maps, member, port, timing};
use super::{Balancer, Balancers, Check, Health, Kind, Listener, Member, Pool, Protocol, codes};
use crate::doc::Node;
use crate::place::{Unread, both};
use std::collections::{BTreeMap, BTreeSet};

/// Reads the documents of describe-load-balancers, -listeners, -rules, -target-groups, -target-health and
/// describe-subnets, in any order.
pub fn aws(documents: &[Node]) -> Balancers {
    let maps = maps(documents);
    let mut unread = Vec::new();
    let mut pools: BTreeMap<&str, Pool> = BTreeMap::new();
    let groups = each(&maps, "TargetGroups");
    for group in groups.iter().filter(|group| group.get("HealthCheckProtocol").is_some()) {
        if let Some(arn) = group.word("TargetGroupArn") {
            pools.insert(arn, pool(group, arn));
        }
    }
    targets(&maps, &mut pools, &mut unread);
    let mut listeners: BTreeMap<&str, Vec<(&str, Listener)>> = BTreeMap::new();
    for node in each(&maps, "Listeners") {
        if let (Some(arn), Some(balancer)) = (node.word("ListenerArn"), node.word("LoadBalancerArn")) {
            listeners.entry(balancer).or_default().push((arn, listener(node)));
        }
    }
    rules(&maps, &mut listeners);
    for pool in pools.values_mut() {
        pool.used = false;
    }
    let mut read = Balancers { balancers: Vec::new(), unread };
    let mut attached = BTreeSet::new();
    for node in each(&maps, "LoadBalancers") {
        if let Some(arn) = node.word("LoadBalancerArn") {
            let listeners = listeners.remove(arn).unwrap_or_default();
            read.balancers.push(balancer(node, arn, listeners, &groups, &pools, &mut attached));
        }
    }
    read.balancers.extend(loose(listeners, pools, &attached, documents));
    classic::read(&maps, &mut read);
    subnets(&maps, &mut read.balancers);
    read
}

fn pool(group: &Node, arn: &str) -> Pool {
    let protocol = Protocol::of(group.word("Protocol").unwrap_or_default());
    let lambda = group.word("TargetType") == Some("lambda");
    Pool {
        name: group.word("TargetGroupName").unwrap_or(arn).to_owned(),
        protocol: (!lambda).then_some(protocol),
        members: Vec::new(),
        // Until its targets are read.
        dynamic: true,
        health: health(group),
        used: false,
        place: group.place.clone(),
    }
}

fn health(group: &Node) -> Health {
    let enabled = group.get("HealthCheckEnabled").and_then(Node::bool) != Some(false);
    let grpc = group.word("ProtocolVersion") == Some("GRPC");
    let check = match group.word("HealthCheckProtocol") {
        Some(_) if grpc => Check::Grpc,
        Some(word) if enabled => Check::of(word),
        _ => Check::None,
    };
    let place = &group.get("HealthCheckProtocol").unwrap_or(group).place;
    let mut health = Health::new(check, place);
    timing(
        &mut health,
        group,
        [
            &["HealthCheckIntervalSeconds"],
            &["HealthCheckTimeoutSeconds"],
            &["HealthyThresholdCount"],
            &["UnhealthyThresholdCount"],
        ],
    );
    health.path = group.word("HealthCheckPath").map(str::to_owned).filter(|_| check.speaks_http());
    // "traffic-port" is the port of each target.
    health.port = port(group, "HealthCheckPort");
    if let Some(matcher) = group.get("Matcher") {
        health.expected = matcher.word("HttpCode").map(codes).unwrap_or_default();
        if let Some(code) = matcher.word("GrpcCode") {
            health.unmodelled.push(both(format!("gRPC status {code}"), format!("gRPC 状态码 {code}")));
        }
    }
    health
}

/// Puts targets into their groups: describe-target-health itself does not say which group it was asked of.
fn targets(maps: &[&Node], pools: &mut BTreeMap<&str, Pool>, unread: &mut Vec<Unread>) {
    for map in maps {
        let Some(list) = map.get("TargetHealthDescriptions") else { continue };
        let file = list.place.file.to_string();
        let said = map.word("TargetGroupArn").filter(|arn| pools.contains_key(arn));
        let by_file = || {
            let named = pools.iter().filter(|(_, pool)| file.contains(&pool.name));
            named.max_by_key(|(_, pool)| pool.name.len()).map(|(arn, _)| *arn)
        };
        let only = || if pools.len() == 1 { pools.keys().next().copied() } else { None };
        let arn = said.or_else(by_file).or_else(only).map(str::to_owned);
        let Some(pool) = arn.and_then(|arn| pools.get_mut(arn.as_str())) else {
            unread.push(Unread::new(
                list.place.clone(),
                "TargetHealthDescriptions",
                "which target group these are of is not said; name the file after the group",
                "没有说明这些目标属于哪个目标组；请用目标组的名字给文件命名",
            ));
            continue;
        };
        pool.dynamic = false;
        pool.members.extend(list.list().iter().filter_map(target));
    }
}

fn target(node: &Node) -> Option<Member> {
    let target = node.get("Target")?;
    let health = node.get("TargetHealth");
    let state = health.and_then(|health| health.word("State")).unwrap_or("healthy");
    let mut found = member(target.word("Id")?, port(target, "Port"), &node.place);
    if !matches!(state, "healthy" | "initial") {
        let words = ["Reason", "Description"].map(|key| health.and_then(|health| health.word(key)));
        let words: Vec<&str> = std::iter::once(state).chain(words.into_iter().flatten()).collect();
        found.down = Some(words.join(": "));
    }
    Some(found)
}

fn listener(node: &Node) -> Listener {
    let word = node.word("Protocol").unwrap_or_default();
    let protocol = Protocol::of(word);
    let mut listener = Listener {
        name: format!("{word}:{}", node.word("Port").unwrap_or_default()),
        protocol,
        address: None,
        port: port(node, "Port"),
        tls: matches!(protocol, Protocol::Https | Protocol::Tls),
        pools: Vec::new(),
        answers: false,
        place: node.place.clone(),
    };
    actions(node.each("DefaultActions"), &mut listener);
    listener
}

fn actions(actions: &[Node], listener: &mut Listener) {
    for action in actions {
        let config = action.get("ForwardConfig");
        let tuples = config.map_or(&[][..], |config| config.each("TargetGroups"));
        let arns = tuples.iter().chain([action]).filter_map(|node| node.word("TargetGroupArn"));
        for arn in arns {
            if !listener.pools.iter().any(|pool| pool == arn) {
                listener.pools.push(arn.to_owned());
            }
        }
        listener.answers |= matches!(action.word("Type"), Some("redirect" | "fixed-response"));
    }
}

/// A rule's name is that of its listener with one part more.
fn rules(maps: &[&Node], listeners: &mut BTreeMap<&str, Vec<(&str, Listener)>>) {
    let owned = listeners.values_mut().flatten().map(|(arn, listener)| (*arn, listener));
    let mut by_name: BTreeMap<&str, &mut Listener> = owned.collect();
    for rule in each(maps, "Rules") {
        let Some(arn) = rule.word("RuleArn") else { continue };
        let owner = arn.replacen(":listener-rule/", ":listener/", 1);
        let Some((owner, _)) = owner.rsplit_once('/') else { continue };
        if let Some(listener) = by_name.get_mut(owner) {
            actions(rule.each("Actions"), listener);
        }
    }
}

fn balancer<'a>(
    node: &Node,
    arn: &str,
    listeners: Vec<(&str, Listener)>,
    groups: &[&'a Node],
    pools: &BTreeMap<&'a str, Pool>,
    attached: &mut BTreeSet<&'a str>,
) -> Balancer {
    let listeners: Vec<Listener> = listeners.into_iter().map(|(_, listener)| listener).collect();
    let mut own = Vec::new();
    let reached: BTreeSet<&str> =
        listeners.iter().flat_map(|listener| &listener.pools).map(String::as_str).collect();
    for group in groups {
        let Some((name, pool)) = group.word("TargetGroupArn").and_then(|arn| pools.get_key_value(arn)) else {
            continue;
        };
        let named = group.each("LoadBalancerArns").iter().any(|one| one.text() == Some(arn));
        let used = reached.contains(name);
        if (named || used) && attached.insert(name) {
            // Without its listeners the group may well be used by one.
            own.push(Pool { used: used || listeners.is_empty(), ..pool.clone() });
        }
    }
    let zones = node.each("AvailabilityZones").iter();
    Balancer {
        name: first(node, &["LoadBalancerName"]).unwrap_or(arn).to_owned(),
        kind: match node.word("Type") {
            Some("network") => Kind::AwsNetwork,
            Some("gateway") => Kind::AwsGateway,
            _ => Kind::AwsApplication,
        },
        listeners: renamed(listeners, pools),
        pools: own,
        subnets: zones.filter_map(|zone| zone.word("SubnetId")).map(str::to_owned).collect(),
        place: node.place.clone(),
    }
}

/// Listeners name groups by their long names until here.
fn renamed(mut listeners: Vec<Listener>, pools: &BTreeMap<&str, Pool>) -> Vec<Listener> {
    for name in listeners.iter_mut().flat_map(|listener| &mut listener.pools) {
        if let Some(pool) = pools.get(name.as_str()) {
            name.clone_from(&pool.name);
        }
    }
    listeners
}

/// Groups of no balancer, and listeners whose balancer is not in the files.
fn loose(
    listeners: BTreeMap<&str, Vec<(&str, Listener)>>,
    pools: BTreeMap<&str, Pool>,
    attached: &BTreeSet<&str>,
    documents: &[Node],
) -> Option<Balancer> {
    let listeners: Vec<Listener> = listeners.into_values().flatten().map(|(_, listener)| listener).collect();
    let mut left: BTreeMap<&str, Pool> = pools.clone();
    left.retain(|arn, _| !attached.contains(arn));
    let reached: BTreeSet<&str> =
        listeners.iter().flat_map(|listener| &listener.pools).map(String::as_str).collect();
    for (arn, pool) in &mut left {
        pool.used = reached.contains(arn);
    }
    let place = left.values().map(|pool| &pool.place).chain(listeners.iter().map(|one| &one.place)).next();
    let place = place.or_else(|| documents.first().map(|document| &document.place))?.clone();
    (!left.is_empty() || !listeners.is_empty()).then(|| Balancer {
        name: "-".to_owned(),
        kind: Kind::AwsApplication,
        listeners: renamed(listeners, &pools),
        pools: left.into_values().collect(),
        subnets: Vec::new(),
        place,
    })
}

/// The blocks of subnets instead of their ids, where describe-subnets is among the files.
fn subnets(maps: &[&Node], balancers: &mut [Balancer]) {
    let pair = |node: &Node| Some((node.word("SubnetId")?.to_owned(), node.word("CidrBlock")?.to_owned()));
    let blocks: BTreeMap<String, String> = each(maps, "Subnets").into_iter().filter_map(pair).collect();
    for subnet in balancers.iter_mut().flat_map(|balancer| &mut balancer.subnets) {
        if let Some(block) = blocks.get(subnet) {
            subnet.clone_from(block);
        }
    }
}
