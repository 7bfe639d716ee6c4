//! Load balancers with their listeners, target groups and targets.

use super::{Reader, blocks, bool};
use crate::aws::model::{Balancer, Listener, TargetGroup};
use crate::doc::Node;
use crate::terraform::Resource;

fn port(node: &Node, key: &str) -> Option<u16> {
    u16::try_from(node.get(key)?.integer()?).ok()
}

pub fn balancer(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id(), &resource.node);
    let mut subnets = reader.ids(node, "subnets");
    subnets.extend(blocks(node, "subnet_mapping").iter().filter_map(|block| reader.id(block, "subnet_id")));
    let vpc = subnets.first().and_then(|subnet| reader.model.subnets.get(subnet));
    let name = node.word("name").unwrap_or(&resource.name);
    let made = Balancer {
        id: id.to_owned(),
        name: name.to_owned(),
        dns: node.word("dns_name").map(str::to_owned),
        kind: node.word("load_balancer_type").unwrap_or("application").to_owned(),
        internal: bool(node, "internal") == Some(true),
        vpc: vpc.map(|subnet| subnet.vpc.clone()).unwrap_or_default(),
        subnets,
        groups: reader.ids(node, "security_groups"),
        cross_zone: node.word("load_balancer_type") != Some("network")
            || bool(node, "enable_cross_zone_load_balancing") == Some(true),
        place: node.place.clone(),
    };
    let at = reader.model.balancers.add(id, made);
    for alias in [name, &resource.address] {
        reader.model.balancers.alias(alias, at);
    }
    Some(())
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
    let mut target_groups = Vec::new();
    for action in blocks(node, "default_action") {
        target_groups.extend(reader.id(action, "target_group_arn").filter(|id| !id.is_empty()));
        for group in blocks(action, "forward").iter().flat_map(|forward| blocks(forward, "target_group")) {
            target_groups.extend(reader.id(group, "arn"));
        }
    }
    target_groups.dedup();
    reader.model.listeners.push(Listener {
        balancer: reader.id(node, "load_balancer_arn")?,
        port: port(node, "port")?,
        protocol: if node.word("protocol") == Some("UDP") { 17 } else { 6 },
        target_groups,
        place: node.place.clone(),
    });
    Some(())
}

pub fn target(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let (id, target) = (reader.id(node, "target_group_arn")?, reader.id(node, "target_id")?);
    let own_port = port(node, "port");
    let group = reader.model.target_groups.get_mut(&id)?;
    group.targets.push((target, own_port));
    Some(())
}
