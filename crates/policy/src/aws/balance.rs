//! Load balancers: from a listener to the targets, each a connection of its own.

mod listener;

use super::ends::Party;
use super::fix::is_real;
use super::model::{Address, Balancer, Interface, Listener, Model, TargetGroup};
use super::packet::{ANY_CLIENT_PORTS, Packets};
use super::trip::Trip;
use crate::estate::{Fix, Way};
use crate::place::both;
use crate::space::Family;
use netwhy_model::Text;
use std::net::IpAddr;

/// How many pairs of a balancer's node and a target are asked.
const PAIR_COUNT_MAX: usize = 64;
/// How many balancers may stand behind each other.
const BALANCER_DEPTH_MAX: usize = 3;

/// The interfaces of a balancer, by the name AWS gives them.
pub fn nodes(model: &Model, balancer: &Balancer, family: Family, only: Option<IpAddr>) -> Vec<Party> {
    let is_node = |each: &Interface| {
        let asked = |address: &Address| address.public == only || Some(address.private) == only;
        balancer.owns(each) && (only.is_none() || each.addresses.iter().any(asked))
    };
    let all = model.interfaces.iter().enumerate().filter(|(_, each)| is_node(each));
    let party = |(at, each): (usize, &Interface)| {
        let mut party = Party::interface(at, each, family, only)?;
        party.title = format!("{} in {}", balancer.name, each.subnet);
        party.client_ports = ANY_CLIENT_PORTS;
        party.client = "a load balancer";
        if party.groups.is_empty() {
            party.groups.clone_from(&balancer.groups);
        }
        party.public_later |= !balancer.internal && party.public.is_none();
        Some(party)
    };
    all.filter_map(party).collect()
}

/// From whom, over which balancer, a connection comes.
#[derive(Clone, Copy)]
pub struct Hop<'a> {
    from: &'a Party,
    balancer: &'a Balancer,
    nodes: &'a [Party],
    protocol: u8,
    depth: usize,
}

impl Trip<'_> {
    /// From a client to a balancer, and from it to every target.
    pub fn balanced(
        &mut self,
        from: &Party,
        balancer: &Balancer,
        only: Option<IpAddr>,
        (protocol, port): (u8, Option<u16>),
        depth: usize,
    ) {
        let name = balancer.name.as_str();
        let what = both(format!("load balancer {name}"), format!("负载均衡 {name}"));
        let nodes = nodes(self.model, balancer, self.family, only);
        if nodes.is_empty() {
            let on = both(
                "its network interfaces and subnets are not among the files",
                "其网络接口和子网不在所给文件中",
            );
            self.depends(Way::There, what, on, &balancer.place);
            return;
        }
        if balancer.internal && from.is_outside() && from.is_public(self.family) {
            let why = both("it is internal: it has no public address", "它是内部负载均衡，没有公网地址");
            self.ends(Way::There, what, why, &balancer.place, Vec::new());
            return;
        }
        for node in &nodes {
            self.connect(from, node, protocol, port);
        }
        let serves = |each: &&Listener| {
            each.balancer == balancer.id
                && each.protocol == protocol
                && port.is_none_or(|port| each.port == port)
        };
        let Some(listener) = self.model.listeners.iter().find(serves).cloned() else {
            let wanted = port.map_or_else(String::new, |port| format!(" {port}"));
            let why = both(
                format!("no listener has port{wanted} of protocol {protocol}"),
                format!("没有协议 {protocol} 端口{wanted} 的监听器"),
            );
            let change = if balancer.is_classic() {
                let number = port.unwrap_or_default();
                format!(
                    "aws elb create-load-balancer-listeners --load-balancer-name {} --listeners \
                     Protocol=TCP,LoadBalancerPort={number},InstanceProtocol=TCP,InstancePort={number}",
                    balancer.id
                )
            } else {
                format!(
                    "aws elbv2 create-listener --load-balancer-arn {} --protocol TCP --port{wanted}",
                    balancer.id
                )
            };
            let what_fix = both("add a listener and its target group", "添加监听器及其目标组");
            let fix = command(&balancer.id, what_fix, change);
            self.ends(Way::There, what, why, &balancer.place, fix);
            return;
        };
        self.passes(Way::There, what, both("its listener takes it", "监听器接收"), &listener.place);
        let hop = Hop { from, balancer, nodes: &nodes, protocol, depth };
        self.listened(&listener, &hop);
    }

    /// Every target of a group is asked.
    pub fn targets(&mut self, hop: &Hop<'_>, group: &TargetGroup) {
        let Hop { from, balancer, nodes, protocol, depth } = *hop;
        let what = both(format!("target group {}", group.name), format!("目标组 {}", group.name));
        if group.kind == "lambda" {
            return self.passes(Way::There, what, both("a function", "函数"), &group.place);
        }
        if group.targets.is_empty() {
            if group.targets_known {
                let why = both("no target is registered", "没有已注册的目标");
                let change = if balancer.is_classic() {
                    let name = &balancer.id;
                    format!(
                        "aws elb register-instances-with-load-balancer --load-balancer-name {name} --instances "
                    )
                } else {
                    format!("aws elbv2 register-targets --target-group-arn {} --targets Id=", group.id)
                };
                let owner = if balancer.is_classic() { &balancer.id } else { &group.id };
                let fix = command(owner, both("register the targets", "注册目标"), change);
                self.ends(Way::There, what, why, &group.place, fix);
            } else {
                let on = both("which targets it has is not in the files", "其目标不在所给文件中");
                self.depends(Way::There, what, on, &group.place);
            }
            return;
        }
        let mut pairs = 0;
        for (id, port) in &group.targets {
            let port = port.or(group.port);
            if group.kind == "alb" {
                if let Some(next) =
                    self.model.balancers.get(id).cloned().filter(|_| depth < BALANCER_DEPTH_MAX)
                {
                    self.balanced(from, &next, None, (protocol, port), depth + 1);
                }
                continue;
            }
            let Some(target) = target(self.model, id, self.family) else {
                let on =
                    both(format!("target {id} is not among the files"), format!("目标 {id} 不在所给文件中"));
                self.depends(Way::There, what.clone(), on, &group.place);
                continue;
            };
            let zone = |party: &Party| {
                party.subnet.as_deref().and_then(|id| self.model.subnets.get(id)?.zone.clone())
            };
            let apart = |node: &&Party| {
                !balancer.cross_zone
                    && zone(node).is_some()
                    && zone(&target).is_some()
                    && zone(node) != zone(&target)
            };
            let near: Vec<Party> = nodes.iter().filter(|node| !apart(node)).cloned().collect();
            for node in &near {
                pairs += 1;
                if pairs > PAIR_COUNT_MAX {
                    return;
                }
                self.hand_on(from, balancer, node, group, &target, (protocol, port));
            }
        }
    }

    fn hand_on(
        &mut self,
        from: &Party,
        balancer: &Balancer,
        node: &Party,
        group: &TargetGroup,
        target: &Party,
        (protocol, port): (u8, Option<u16>),
    ) {
        let keeps_client = balancer.kind == "network"
            && group.preserves_client.unwrap_or(group.kind == "instance" || protocol == 17);
        if keeps_client {
            self.preserved(from, node, target, protocol, port);
        } else {
            self.connect(node, target, protocol, port);
        }
        let check = group.check_port.or(port);
        if keeps_client || check != port {
            let first = self.steps.len();
            self.connect(node, target, 6, check);
            for step in self.steps.iter_mut().skip(first) {
                step.what.en.insert_str(0, "health check: ");
                step.what.zh.insert_str(0, "健康检查：");
            }
        }
    }

    /// A network balancer hands on the packets with the client's address, and takes the answers for it.
    fn preserved(&mut self, from: &Party, node: &Party, target: &Party, protocol: u8, port: Option<u16>) {
        let packets = Packets::opening(self.family, protocol, port).from(&from.own).to(&target.own);
        let crosses = node.subnet != target.subnet;
        if let Some(subnet) = node.subnet.clone().filter(|_| crosses) {
            self.acl(Way::There, &subnet, &node.place, true, &packets);
            self.acl_of(Way::There, target, false, &packets);
        }
        // A rule for the balancer's own group holds for what it hands on, whoever the client is.
        let by_group = self.names_group(target, node, &packets);
        let seen = if by_group { packets.clone().from(&node.own) } else { packets.clone() };
        self.groups(Way::There, target, false, &seen);
        let answers = packets.answers(from.client_ports, from.client);
        if let Some(subnet) = node.subnet.clone().filter(|_| crosses) {
            self.acl_of(Way::Back, target, true, &answers);
            self.acl(Way::Back, &subnet, &node.place, false, &answers);
        }
    }
}

impl Trip<'_> {
    /// Whether a rule of the target's groups lets the members of the balancer's group in.
    fn names_group(&self, target: &Party, node: &Party, packets: &Packets) -> bool {
        let (gate, _) = self.gates.of_groups(self.model, &target.groups, false);
        let cubes = packets.clone().from(&node.own).cubes();
        !node.groups.is_empty()
            && gate.is_some_and(|gate| {
                let own = gate.rules.iter().flat_map(|rule| &rule.cubes);
                own.into_iter()
                    .any(|cube| node.own.contains(&cube.source) && cubes.iter().all(|one| cube.contains(one)))
            })
    }
}

/// A command, where the id is one that AWS knows.
fn command(id: &str, what: Text, change: String) -> Vec<Fix> {
    let fix = Fix { syntax: "aws-cli", what, change };
    Some(fix).filter(|_| is_real(id)).into_iter().collect()
}

/// A target by its id or its address.
fn target(model: &Model, id: &str, family: Family) -> Option<Party> {
    let asked = id.parse().ok();
    let has = |each: &Interface| {
        asked.is_some() && each.addresses.iter().any(|address| Some(address.private) == asked)
    };
    // An instance is a target by its primary interface.
    let primary = || model.interfaces_of(id).first().copied();
    let own = primary().or_else(|| model.interfaces.at(id));
    let at = own.or_else(|| model.interfaces.iter().position(has))?;
    Party::interface(at, model.interfaces.nth(at)?, family, asked)
}
