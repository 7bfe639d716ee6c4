//! Load balancers with their listeners, target groups and targets.

use super::{Reader, blocks, bool};
use crate::aws::model::{Balancer, ClassicPorts, Listener, ListenerRule, TargetGroup, classic_check_port};
use crate::doc::{Node, Value};
use crate::terraform::{Resource, identities, identity};

fn port(node: &Node, key: &str) -> Option<u16> {
    u16::try_from(node.get(key)?.integer()?).ok()
}

pub fn balancer(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let mut subnets = reader.ids(node, "subnets");
    subnets.extend(blocks(node, "subnet_mapping").iter().filter_map(|block| reader.id(block, "subnet_id")));
    let kind = node.word("load_balancer_type").unwrap_or("application");
    let cross_zone = kind != "network" || bool(node, "enable_cross_zone_load_balancing") == Some(true);
    add(reader, resource, kind, subnets, cross_zone);
    Some(())
}

/// Adds a balancer by its id, its name and its address.
fn add(reader: &mut Reader<'_>, resource: &Resource, kind: &str, subnets: Vec<String>, cross_zone: bool) {
    let (id, node) = (resource.id(), &resource.node);
    let vpc = subnets.first().and_then(|subnet| reader.model.subnets.get(subnet));
    let name = node.word("name").unwrap_or(&resource.name);
    let made = Balancer {
        id: id.to_owned(),
        name: name.to_owned(),
        dns: node.word("dns_name").map(str::to_owned),
        kind: kind.to_owned(),
        internal: bool(node, "internal") == Some(true),
        vpc: vpc.map(|subnet| subnet.vpc.clone()).unwrap_or_default(),
        subnets,
        groups: reader.ids(node, "security_groups"),
        cross_zone,
        place: node.place.clone(),
    };
    let at = reader.model.balancers.add(id, made);
    for alias in [name, &resource.address] {
        reader.model.balancers.alias(alias, at);
    }
}

pub fn target_group(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id(), &resource.node);
    let check = blocks(node, "health_check").first();
    let made = TargetGroup {
        id: id.to_owned(),
        name: node.word("name").unwrap_or(&resource.name).to_owned(),
        port: port(node, "port"),
        kind: node.word("target_type").unwrap_or("instance").to_owned(),
        check_port: check.and_then(|check| port(check, "port")),
        preserves_client: bool(node, "preserve_client_ip"),
        targets: Vec::new(),
        targets_known: false,
        place: node.place.clone(),
    };
    reader.model.target_groups.add(id, made);
    Some(())
}

pub fn listener(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    reader.model.listeners.push(Listener {
        id: resource.id().to_owned(),
        balancer: reader.id(node, "load_balancer_arn")?,
        port: port(node, "port")?,
        protocol: if node.word("protocol") == Some("UDP") { 17 } else { 6 },
        target_groups: forwarded(reader, node, "default_action"),
        rules: Vec::new(),
        place: node.place.clone(),
    });
    Some(())
}

/// The target groups that actions send to.
fn forwarded(reader: &Reader<'_>, node: &Node, actions: &str) -> Vec<String> {
    let mut target_groups = Vec::new();
    for action in blocks(node, actions) {
        target_groups.extend(reader.id(action, "target_group_arn").filter(|id| !id.is_empty()));
        for group in blocks(action, "forward").iter().flat_map(|forward| blocks(forward, "target_group")) {
            target_groups.extend(reader.id(group, "arn"));
        }
    }
    target_groups.dedup();
    target_groups
}

pub fn rule(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let listener = reader.id(node, "listener_arn")?;
    let mut made = ListenerRule {
        priority: node.get("priority").and_then(Node::integer).unwrap_or(i64::MAX),
        requests: Vec::new(),
        sources: None,
        target_groups: forwarded(reader, node, "action"),
        place: node.place.clone(),
    };
    for (field, block) in blocks(node, "condition").iter().flat_map(Node::members) {
        let values: Vec<&str> =
            block_or_list(block).iter().flat_map(|block| identities(block, "values")).collect();
        made.condition(field, &values);
    }
    reader.model.listeners.iter_mut().find(|one| one.id == listener)?.add(made);
    Some(())
}

pub fn classic(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id(), &resource.node);
    let cross_zone = bool(node, "cross_zone_load_balancing") != Some(false);
    add(reader, resource, "classic", reader.ids(node, "subnets"), cross_zone);
    let instances = reader.ids(node, "instances");
    let check =
        blocks(node, "health_check").first().and_then(|check| classic_check_port(check.word("target")?));
    for block in blocks(node, "listener") {
        let ports = ClassicPorts {
            listener: port(block, "lb_port")?,
            instance: port(block, "instance_port")?,
            check,
        };
        reader.model.classic_listener(id, ports, &instances, false, &block.place);
    }
    Some(())
}

/// An instance of a classic balancer that stands in a resource of its own.
pub fn classic_attachment(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (balancer, instance) = (reader.id(&resource.node, "elb")?, reader.id(&resource.node, "instance")?);
    let balancer = reader.named(&balancer, "aws_elb").map_or(balancer.as_str(), Resource::id);
    register(reader, balancer, &instance);
    Some(())
}

/// Every instance that an autoscaling group makes is a target: one in each subnet stands for them.
pub fn scaling_attachment(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let scaling = node.get("autoscaling_group_name").and_then(identity)?;
    let scaling = reader.named(scaling, "aws_autoscaling_group")?.id();
    for key in ["lb_target_group_arn", "alb_target_group_arn", "elb"] {
        let Some(owner) = reader.id(node, key) else { continue };
        let owner = reader.named(&owner, "aws_elb").map_or(owner.as_str(), Resource::id);
        register_all(reader, owner, scaling);
    }
    Some(())
}

/// Registers the instances of an autoscaling group.
pub fn register_all(reader: &mut Reader<'_>, owner: &str, scaling: &str) {
    let own = reader.model.interfaces_of(scaling);
    let own: Vec<String> =
        own.into_iter().filter_map(|at| Some(reader.model.interfaces.nth(at)?.id.clone())).collect();
    own.iter().for_each(|id| register(reader, owner, id));
}

/// Registers a target with a target group, or with all that a classic balancer sends to.
fn register(reader: &mut Reader<'_>, owner: &str, target: &str) {
    for group in reader.model.target_groups.iter_mut() {
        if group.id == owner || group.is_of_classic(owner) {
            group.register_instance(target);
        }
    }
}

pub fn target(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let (id, target) = (reader.id(node, "target_group_arn")?, reader.id(node, "target_id")?);
    let own_port = port(node, "port");
    let group = reader.model.target_groups.get_mut(&id)?;
    group.register(&target, own_port);
    Some(())
}

/// A block as written, or the list of them that a plan has.
fn block_or_list(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(nodes) => nodes,
        _ => std::slice::from_ref(node),
    }
}
