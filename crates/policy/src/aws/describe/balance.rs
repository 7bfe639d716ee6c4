//! Load balancers, listeners, target groups, and which targets they have.

use super::{texts, words};
use crate::aws::model::{Balancer, Listener, ListenerRule, Model, TargetGroup};
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
    model.listeners.push(Listener {
        id: node.word("ListenerArn").unwrap_or_default().to_owned(),
        balancer: balancer.to_owned(),
        port: u16::try_from(node.get("Port")?.integer()?).ok()?,
        protocol: if matches!(node.word("Protocol"), Some("UDP")) { 17 } else { 6 },
        target_groups: forwarded(node, "DefaultActions"),
        rules: Vec::new(),
        place: node.place.clone(),
    });
    Some(())
}

/// The target groups that actions send to.
fn forwarded(node: &Node, actions: &str) -> Vec<String> {
    let mut target_groups = Vec::new();
    for action in node.each(actions) {
        target_groups.extend(action.word("TargetGroupArn").map(str::to_owned));
        let forward =
            action.get("ForwardConfig").map(|forward| words(forward, "TargetGroups", "TargetGroupArn"));
        target_groups.extend(forward.unwrap_or_default());
    }
    target_groups.sort();
    target_groups.dedup();
    target_groups
}

/// A rule's name is that of its listener with one part more. The last of all says what the listener says itself.
pub fn rule(model: &mut Model, node: &Node) -> Option<()> {
    let arn = node.word("RuleArn")?.replacen(":listener-rule/", ":listener/", 1);
    if node.get("IsDefault").and_then(Node::bool) == Some(true) {
        return Some(());
    }
    let (listener, _) = arn.rsplit_once('/')?;
    let mut made = ListenerRule {
        // A number that is none is the last one's, `default`.
        priority: node.get("Priority").and_then(Node::integer).unwrap_or(i64::MAX),
        requests: Vec::new(),
        sources: None,
        target_groups: forwarded(node, "Actions"),
        place: node.place.clone(),
    };
    for condition in node.each("Conditions") {
        let field = condition.word("Field").unwrap_or_default();
        // Older fields say twice what their configuration says.
        let mut values = texts(condition, "Values");
        if values.is_empty() {
            values.extend(condition.members().iter().flat_map(|(_, config)| texts(config, "Values")));
        }
        made.condition(field, &values);
    }
    let listener = model.listeners.iter_mut().find(|one| one.id == listener)?;
    listener.add(made);
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
        if is_out(each) {
            continue;
        }
        register(group, each)?;
    }
    Some(())
}

fn register(group: &mut TargetGroup, described: &Node) -> Option<()> {
    let target = described.get("Target")?;
    let port = target.get("Port").and_then(Node::integer).and_then(|port| u16::try_from(port).ok());
    group.register(target.word("Id")?, port);
    Some(())
}

/// One target as `describe-target-health` prints it: whose it is says the name of the file, or that there is one
/// group only.
pub fn target_of_file(model: &mut Model, node: &Node) -> Option<()> {
    let file = node.place.file.to_string();
    let named = model.target_groups.iter().filter(|group| file.contains(&group.name));
    let named = named.max_by_key(|group| group.name.len()).map(|group| group.id.clone());
    let mut all = model.target_groups.iter();
    let only = all.next().filter(|_| all.next().is_none()).map(|group| group.id.clone());
    let group = model.target_groups.get_mut(&named.or(only)?)?;
    group.targets_known = true;
    if is_out(node) { Some(()) } else { register(group, node) }
}

/// Such get nothing: they are not in a zone of the balancer, or on their way out.
fn is_out(described: &Node) -> bool {
    matches!(described.at(&["TargetHealth", "State"]).and_then(Node::text), Some("unused" | "draining"))
}

/// The instances in service of an autoscaling group are targets of its target groups and classic balancers.
pub fn scaling_group(model: &mut Model, node: &Node) -> Option<()> {
    node.word("AutoScalingGroupName")?;
    let in_service = |each: &&Node| each.word("LifecycleState").is_none_or(|state| state == "InService");
    let instances: Vec<&str> =
        node.each("Instances").iter().filter(in_service).filter_map(|each| each.word("InstanceId")).collect();
    let mut owners = texts(node, "TargetGroupARNs");
    owners.extend(words(node, "TrafficSources", "Identifier"));
    for group in model.target_groups.iter_mut() {
        let classic = texts(node, "LoadBalancerNames");
        let own = owners.contains(&group.id) || classic.iter().any(|name| group.is_of_classic(name));
        if own {
            group.targets_known = true;
            instances.iter().for_each(|id| group.register_instance(id));
        }
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
