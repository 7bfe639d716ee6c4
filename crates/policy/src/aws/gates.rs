//! Security groups and network ACLs as gates.

use super::model::{Acl, AclEntry, Group, Model, Peer};
use super::net::Net;
use crate::gate::{Action, Direction, Gate, Kind, Order, Rule};
use crate::list::{Decided, List};
use crate::place::both;
use crate::space::{Cube, Family};
use netwhy_model::Text;
use std::collections::HashMap;
use std::sync::Arc;

/// Every gate, made once.
#[derive(Debug, Default)]
pub struct Gates {
    groups: HashMap<(String, bool), Arc<Gate>>,
    acls: HashMap<(String, bool), Arc<Gate>>,
}

impl Gates {
    pub fn new(model: &Model) -> Gates {
        let mut gates = Gates::default();
        let members = Members::new(model);
        for group in model.groups.iter() {
            for is_outbound in [false, true] {
                let gate = Arc::new(group_gate(model, &members, group, is_outbound));
                gates.groups.insert((group.id.clone(), is_outbound), gate);
            }
        }
        for acl in model.acls.iter() {
            for is_outbound in [false, true] {
                gates.acls.insert((acl.id.clone(), is_outbound), Arc::new(acl_gate(acl, is_outbound)));
            }
        }
        gates
    }

    /// All of them, sorted by name.
    pub fn all(&self) -> Vec<Arc<Gate>> {
        let mut all: Vec<_> = self.groups.values().chain(self.acls.values()).cloned().collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    pub fn acl(&self, id: &str, is_outbound: bool) -> Option<Arc<Gate>> {
        self.acls.get(&(id.to_owned(), is_outbound)).cloned()
    }

    /// The groups of one interface as one gate; the ids of those that are not among the files.
    pub fn of_groups(
        &self,
        model: &Model,
        ids: &[String],
        is_outbound: bool,
    ) -> (Option<Arc<Gate>>, Vec<String>) {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in ids {
            let known =
                model.groups.get(id).and_then(|group| self.groups.get(&(group.id.clone(), is_outbound)));
            match known {
                Some(gate) if found.iter().any(|other| Arc::ptr_eq(gate, other)) => {}
                Some(gate) => found.push(Arc::clone(gate)),
                None => missing.push(id.clone()),
            }
        }
        let Some((first, more)) = found.split_first() else { return (None, missing) };
        if more.is_empty() {
            return (Some(Arc::clone(first)), missing);
        }
        let ids: Vec<&str> = found.iter().map(|gate| group_ids(gate).next().unwrap_or_default()).collect();
        let joined = Gate {
            name: gate_name(&ids.join(","), is_outbound),
            rules: found.iter().flat_map(|gate| gate.rules.iter().cloned()).collect(),
            default_text: default_text(&ids.join(", "), is_outbound),
            ..first.as_ref().clone()
        };
        (Some(Arc::new(joined)), missing)
    }
}

/// Whether a list lets none of some packets through.
pub fn denies_all(list: &List, packets: &Cube) -> bool {
    let denied = |decided: &Decided| match decided {
        Decided::Rule(_, action) | Decided::Default(action) => *action != Action::Allow,
        Decided::Depends { .. } => false,
    };
    list.decide(packets).is_ok_and(|parts| parts.iter().all(|part| denied(&part.decided)))
}

const INBOUND: &str = " inbound";
const OUTBOUND: &str = " outbound";

fn gate_name(ids: &str, is_outbound: bool) -> String {
    format!("{ids}{}", if is_outbound { OUTBOUND } else { INBOUND })
}

/// The groups or the ACL that a gate is made of.
pub fn group_ids(gate: &Gate) -> impl Iterator<Item = &str> {
    let ids =
        gate.name.strip_suffix(INBOUND).or_else(|| gate.name.strip_suffix(OUTBOUND)).unwrap_or(&gate.name);
    ids.split(',')
}

fn direction(is_outbound: bool) -> Direction {
    if is_outbound { Direction::Outbound } else { Direction::Inbound }
}

fn default_text(ids: &str, is_outbound: bool) -> Text {
    let (en, zh) = if is_outbound { ("outbound", "出站") } else { ("inbound", "入站") };
    both(
        format!("no {en} rule of security group {ids} allows it, and what no rule allows is denied"),
        format!("安全组 {ids} 没有放行它的{zh}规则，未放行即拒绝"),
    )
}

fn group_gate(model: &Model, members: &Members<'_>, group: &Group, is_outbound: bool) -> Gate {
    let part_of: Arc<str> = group.id.as_str().into();
    let rules = if is_outbound { &group.outbound } else { &group.inbound };
    let rules = rules.iter().enumerate().map(|(at, rule)| {
        let (nets, mut unmodelled) = peer_nets(model, members, group, &rule.peer);
        unmodelled.extend(rule.service.unknown.iter().cloned());
        let cube = |net: &Net| {
            let all = Net::all(net.family);
            if is_outbound { rule.service.cube(all, *net) } else { rule.service.cube(*net, all) }
        };
        let (word, link) = if is_outbound { ("outbound", "to") } else { ("inbound", "from") };
        Rule {
            number: u32::try_from(at).unwrap_or(u32::MAX),
            part_of: Arc::clone(&part_of),
            place: rule.place.clone(),
            text: format!("{word} allow {} {link} {}", rule.service.text, peer_text(&rule.peer)),
            action: Action::Allow,
            cubes: nets.iter().filter_map(cube).collect(),
            unmodelled,
        }
    });
    Gate {
        kind: Kind::AwsSecurityGroup,
        direction: direction(is_outbound),
        name: gate_name(&group.id, is_outbound),
        place: group.place.clone(),
        order: Order::AllowOnly,
        stateful: true,
        rules: rules.collect(),
        default: Action::Deny,
        default_text: default_text(&group.id, is_outbound),
    }
}

fn peer_text(peer: &Peer) -> String {
    match peer {
        Peer::Net(net) => net.to_string(),
        Peer::Group(id) | Peer::Prefixes(id) => id.clone(),
        Peer::Unknown(text) => format!("{text:?}"),
    }
}

/// The addresses of each group's members.
struct Members<'m> {
    by_group: HashMap<&'m str, Vec<Net>>,
}

impl<'m> Members<'m> {
    fn new(model: &'m Model) -> Members<'m> {
        let mut by_group: HashMap<&str, Vec<Net>> = HashMap::new();
        for interface in model.interfaces.iter() {
            for id in &interface.groups {
                let id = model.groups.get(id).map_or(id.as_str(), |group| group.id.as_str());
                let nets = interface.addresses.iter().map(|address| Net::one(address.private));
                by_group.entry(id).or_default().extend(nets);
            }
        }
        Members { by_group }
    }
}

/// The networks a rule of a group is for, and what is not known about them.
fn peer_nets(model: &Model, members: &Members<'_>, own: &Group, peer: &Peer) -> (Vec<Net>, Vec<Text>) {
    let any = || vec![Net::all(Family::V4), Net::all(Family::V6)];
    match peer {
        Peer::Net(net) => (vec![*net], Vec::new()),
        Peer::Group(id) => match model.groups.get(id) {
            Some(group) if !can_refer(model, own, group) => (Vec::new(), Vec::new()),
            Some(group) => (members.by_group.get(group.id.as_str()).cloned().unwrap_or_default(), Vec::new()),
            None => {
                let why = both(
                    format!(
                        "security group {id} is not among the files: whose addresses it stands for is not known"
                    ),
                    format!("安全组 {id} 不在所给文件中，不知其成员地址"),
                );
                (any(), vec![why])
            }
        },
        Peer::Prefixes(id) => match model.prefixes.get(id) {
            Some(nets) => (nets.clone(), Vec::new()),
            None => {
                let why = both(
                    format!("the entries of prefix list {id} are not among the files"),
                    format!("前缀列表 {id} 的条目不在所给文件中"),
                );
                (any(), vec![why])
            }
        },
        Peer::Unknown(text) => {
            let why = both(format!("{text:?} cannot be worked out"), format!("无法确定 {text:?}"));
            (any(), vec![why])
        }
    }
}

/// A rule may name groups of its own VPC, of a peered one, and of one on a transit gateway that allows it.
fn can_refer(model: &Model, own: &Group, other: &Group) -> bool {
    let (own, other) = (own.vpc.as_str(), other.vpc.as_str());
    let unknown = own.is_empty() || other.is_empty();
    let peered = model.peerings.iter().any(|peering| {
        let sides = &peering.sides;
        peering.active && (sides[0] == own && sides[1] == other || sides[0] == other && sides[1] == own)
    });
    let gateways = |vpc: &str| {
        let of = |each: &&super::model::Attachment| each.kind == "vpc" && each.resource == vpc;
        model.attachments.iter().filter(of).map(|each| each.gateway.clone()).collect::<Vec<_>>()
    };
    own == other
        || unknown
        || peered
        || gateways(own).iter().any(|one| model.referring.contains(one) && gateways(other).contains(one))
}

fn acl_gate(acl: &Acl, is_outbound: bool) -> Gate {
    let part_of: Arc<str> = acl.id.as_str().into();
    let entries = if is_outbound { &acl.outbound } else { &acl.inbound };
    let (en, zh) = if is_outbound { ("outbound", "出站") } else { ("inbound", "入站") };
    Gate {
        kind: Kind::AwsNetworkAcl,
        direction: direction(is_outbound),
        name: gate_name(&acl.id, is_outbound),
        place: acl.place.clone(),
        order: Order::FirstMatch,
        stateful: false,
        rules: entries.iter().map(|entry| acl_rule(&part_of, entry, is_outbound)).collect(),
        default: Action::Deny,
        default_text: both(
            format!("no {en} entry of network ACL {} matches it before *, which denies the rest", acl.id),
            format!("网络 ACL {} 的{zh}条目均不匹配，末尾的 * 拒绝其余流量", acl.id),
        ),
    }
}

fn acl_rule(part_of: &Arc<str>, entry: &AclEntry, is_outbound: bool) -> Rule {
    let mut unmodelled = entry.service.unknown.clone();
    let nets = match entry.net {
        Some(net) => vec![net],
        None => {
            unmodelled.push(both("its network cannot be worked out", "无法确定其网段"));
            vec![Net::all(Family::V4), Net::all(Family::V6)]
        }
    };
    let cube = |net: &Net| {
        let all = Net::all(net.family);
        if is_outbound { entry.service.cube(all, *net) } else { entry.service.cube(*net, all) }
    };
    let word = if entry.allow { "allow" } else { "deny" };
    let net = entry.net.map_or_else(|| "?".to_owned(), |net| net.to_string());
    let link = if is_outbound { "to" } else { "from" };
    Rule {
        number: entry.number,
        part_of: Arc::clone(part_of),
        place: entry.place.clone(),
        text: format!("{} {word} {} {link} {net}", entry.number, entry.service.text),
        action: if entry.allow { Action::Allow } else { Action::Deny },
        cubes: nets.iter().filter_map(cube).collect(),
        unmodelled,
    }
}
