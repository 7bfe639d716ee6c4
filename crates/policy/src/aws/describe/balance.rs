//! Load balancers, listeners, target groups, and which targets they have.

use super::{texts, words};
use crate::aws::model::{Balancer, Listener, Model, TargetGroup};
use crate::doc::Node;

pub fn balancer(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("LoadBalancerArn")?;
    let name = node.word("LoadBalancerName").unwrap_or(id);
    let made = Balancer {
        id: id.to_owned(),
        name: name.to_owned(),
        dns: node.word("DNSName").map(str::to_owned),
        kind: node.word("Type").unwrap_or("application").to_owned(),
        internal: node.word("Scheme") == Some("internal"),
        vpc: node.word("VpcId").unwrap_or_default().to_owned(),
        subnets: words(node, "AvailabilityZones", "SubnetId"),
        groups: texts(node, "SecurityGroups"),
        cross_zone: node.word("Type") != Some("network"),
        place: node.place.clone(),
    };
    let at = model.balancers.add(id, made);
    model.balancers.alias(name, at);
    Some(())
}

/// A map from a balancer to its listeners, as snapshots have it.
pub fn listeners(model: &mut Model, node: &Node) -> Option<()> {
    let balancer = node.word("LoadBalancerArn")?;
    node.each("Listeners").iter().try_for_each(|each| add(model, balancer, each))
}

pub fn listener(model: &mut Model, node: &Node) -> Option<()> {
    add(model, node.word("LoadBalancerArn")?, node)
}

fn add(model: &mut Model, balancer: &str, node: &Node) -> Option<()> {
    let mut target_groups = Vec::new();
    for action in node.each("DefaultActions") {
        target_groups.extend(action.word("TargetGroupArn").map(str::to_owned));
        let forward =
            action.get("ForwardConfig").map(|forward| words(forward, "TargetGroups", "TargetGroupArn"));
        target_groups.extend(forward.unwrap_or_default());
    }
    target_groups.sort();
    target_groups.dedup();
    model.listeners.push(Listener {
        balancer: balancer.to_owned(),
        port: u16::try_from(node.get("Port")?.integer()?).ok()?,
        protocol: if matches!(node.word("Protocol"), Some("UDP")) { 17 } else { 6 },
        target_groups,
        place: node.place.clone(),
    });
    Some(())
}

pub fn target_group(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("TargetGroupArn")?;
    let port = |key: &str| u16::try_from(node.get(key)?.integer()?).ok();
    let made = TargetGroup {
        id: id.to_owned(),
        name: node.word("TargetGroupName").unwrap_or(id).to_owned(),
        port: port("Port"),
        kind: node.word("TargetType").unwrap_or("instance").to_owned(),
        check_port: port("HealthCheckPort"),
        preserves_client: None,
        targets: Vec::new(),
        targets_known: false,
        place: node.place.clone(),
    };
    model.target_groups.add(id, made);
    Some(())
}

pub fn target_health(model: &mut Model, node: &Node) -> Option<()> {
    let group = model.target_groups.get_mut(node.word("TargetGroupArn")?)?;
    group.targets_known = true;
    for each in node.each("TargetHealthDescriptions") {
        // Such get nothing: they are not in a zone of the balancer, or on their way out.
        if matches!(each.at(&["TargetHealth", "State"]).and_then(Node::text), Some("unused" | "draining")) {
            continue;
        }
        let target = each.get("Target")?;
        let port = target.get("Port").and_then(Node::integer).and_then(|port| u16::try_from(port).ok());
        group.targets.push((target.word("Id")?.to_owned(), port));
    }
    Some(())
}

/// Whether a network balancer sends on to other zones than its own.
pub fn attributes(model: &mut Model, node: &Node) -> Option<()> {
    let balancer = model.balancers.get_mut(node.word("LoadBalancerArn")?)?;
    for each in node.each("Attributes") {
        if each.word("Key") == Some("load_balancing.cross_zone.enabled") {
            balancer.cross_zone = each.get("Value").and_then(Node::bool) == Some(true);
        }
    }
    Some(())
}
