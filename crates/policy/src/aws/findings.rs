//! What is wrong with a network of AWS beyond the rules of one list: what nobody uses, what is gone, what lets only
//! one direction through.

use super::fix::is_real;
use super::gates::{Gates, denies_all};
use super::model::{Acl, AclEntry, Destination, Model, Peer};
use super::net::Net;
use super::packet::ANY_CLIENT_PORTS;
use crate::finding::{Finding, Level};
use crate::list::List;
use crate::space::{Cube, Protocols};
use std::collections::HashSet;

pub fn findings(model: &Model, gates: &Gates) -> Vec<Finding> {
    let mut found = Vec::new();
    if model.described {
        unused_groups(model, &mut found);
    }
    unused_acls(model, &mut found);
    gone(model, &mut found);
    for acl in model.acls.iter() {
        one_way(gates, acl, &mut found);
    }
    found
}

/// Groups without a member that no rule names. Those that AWS made cannot be deleted.
fn unused_groups(model: &Model, found: &mut Vec<Finding>) {
    let members = model.interfaces.iter().flat_map(|each| &each.groups);
    let rules = model.groups.iter().flat_map(|group| {
        let all = group.inbound.iter().chain(&group.outbound);
        all.filter_map(|rule| match &rule.peer {
            Peer::Group(id) if *id != group.id => Some(id),
            _ => None,
        })
    });
    let balancers = model.balancers.iter().flat_map(|each| &each.groups);
    let used: HashSet<&String> = members.chain(rules).chain(balancers).collect();
    for group in model.groups.iter().filter(|group| !group.is_default && !used.contains(&group.id)) {
        let id = &group.id;
        let en = format!("security group {id} has no member, and no rule names it");
        let finding = Finding::new(
            "unused",
            Level::Note,
            &group.place,
            en,
            format!("安全组 {id} 没有成员，也没有规则引用它"),
        );
        let change = format!("aws ec2 delete-security-group --group-id {id}");
        found.push(with_command(finding.within(id, None), id, ("delete it", "删除它"), change));
    }
}

fn unused_acls(model: &Model, found: &mut Vec<Finding>) {
    for acl in model.acls.iter().filter(|acl| acl.subnets.is_empty() && !acl.is_default) {
        let id = &acl.id;
        let en = format!("network ACL {id} belongs to no subnet");
        let finding =
            Finding::new("unused", Level::Note, &acl.place, en, format!("网络 ACL {id} 未关联任何子网"));
        found.push(finding.within(id, None));
    }
}

/// Routes whose target is gone, rules for groups that are gone.
fn gone(model: &Model, found: &mut Vec<Finding>) {
    for table in model.tables.iter() {
        for route in table.routes.iter().filter(|route| route.blackhole) {
            let to = match &route.to {
                Destination::Net(net) => net.to_string(),
                Destination::Prefixes(text) | Destination::Unknown(text) => text.clone(),
            };
            let target = route.target.id();
            let en = format!("the route to {to} is a black hole: its target {target} is gone");
            let zh = format!("到 {to} 的路由为黑洞：其目标 {target} 已不存在");
            found
                .push(Finding::new("dangling", Level::Warning, &route.place, en, zh).within(&table.id, None));
        }
    }
    for group in model.groups.iter() {
        for (rules, word) in [(&group.inbound, "inbound"), (&group.outbound, "outbound")] {
            for (number, rule) in rules.iter().enumerate() {
                let Peer::Group(id) = &rule.peer else { continue };
                if model.groups.get(id).is_some() {
                    continue;
                }
                let en = format!("the rule names security group {id}, which is not among the files");
                let zh = format!("该规则引用的安全组 {id} 不在所给文件中");
                let number = u32::try_from(number).ok();
                let finding = Finding::new("dangling", Level::Warning, &rule.place, en, zh);
                found.push(finding.within(&format!("{} {word}", group.id), number));
            }
        }
    }
}

/// Entries of an ACL that let connections begin and none of their answers come back.
fn one_way(gates: &Gates, acl: &Acl, found: &mut Vec<Finding>) {
    for (entries, is_outbound) in [(&acl.inbound, false), (&acl.outbound, true)] {
        let Some(other) = gates.acl(&acl.id, !is_outbound) else { continue };
        let list = List::new(&other);
        let (mut asked, mut mute): (usize, Vec<&AclEntry>) = (0, Vec::new());
        for entry in entries.iter().filter(|entry| entry.allow && entry.service.protocols.has(6)) {
            let Some(net) = entry.net else { continue };
            // Entries for answers alone begin nothing.
            let is_for_answers = entry.service.destination.0 >= ANY_CLIENT_PORTS.0
                && entry.service.destination.1 - entry.service.destination.0 > ANSWER_PORT_COUNT_MIN;
            if is_for_answers {
                continue;
            }
            asked += 1;
            mute.extend(Some(entry).filter(|entry| denies_all(&list, &answers(net, entry, is_outbound))));
        }
        match mute.as_slice() {
            // They have one cause: no entry of the other way answers anybody.
            [first, rest @ ..] if !rest.is_empty() && mute.len() == asked => {
                let by = rest.iter().map(|entry| (entry.number, entry.place.clone()));
                found.push(told(acl, first, is_outbound, rest.len()).by(by));
            }
            _ => found.extend(mute.iter().map(|entry| told(acl, entry, is_outbound, 0))),
        }
    }
}

/// A range of at least so many high ports is there for answers.
const ANSWER_PORT_COUNT_MIN: u16 = 4_096;

fn answers(net: Net, entry: &AclEntry, is_outbound: bool) -> Cube {
    let cube = Cube::all(net.family)
        .protocols(Protocols::TCP)
        .source_ports(entry.service.destination.0..=entry.service.destination.1)
        .destination_ports(ANY_CLIENT_PORTS.0..=ANY_CLIENT_PORTS.1);
    if is_outbound { cube.source(net.first, net.last) } else { cube.destination(net.first, net.last) }
}

/// `more` entries beside this one have the same fault.
fn told(acl: &Acl, entry: &AclEntry, is_outbound: bool, more: usize) -> Finding {
    let (en_there, zh_there) = if is_outbound { ("outbound", "出站") } else { ("inbound", "入站") };
    let (en_back, zh_back) = if is_outbound { ("inbound", "入站") } else { ("outbound", "出站") };
    let (first, last) = ANY_CLIENT_PORTS;
    let text = &entry.service.text;
    let (more_en, more_zh) = match more {
        0 => (String::new(), String::new()),
        1 => (" (as does 1 more entry)".to_owned(), "（另有 1 条相同）".to_owned()),
        more => (format!(" (as do {more} more entries)"), format!("（另有 {more} 条相同）")),
    };
    let en = format!(
        "{en_there} entry {}{more_en} allows {text}, but no {en_back} entry lets an answer through: an ACL keeps no \
         state, and answers go to ports {first}-{last}",
        entry.number
    );
    let zh = format!(
        "{zh_there}条目 {}{more_zh} 放行 {text}，但没有{zh_back}条目放行应答：ACL 无状态，应答发往端口 {first}-{last}",
        entry.number
    );
    let net = match entry.net {
        Some(net) if more == 0 => net.to_string(),
        _ => "0.0.0.0/0".to_owned(),
    };
    let number =
        if is_outbound { &acl.inbound } else { &acl.outbound }.iter().map(|entry| entry.number).max();
    let number = number.map_or(100, |last| (last / 10 + 1) * 10);
    let word = if is_outbound { "ingress" } else { "egress" };
    let change = format!(
        "aws ec2 create-network-acl-entry --network-acl-id {} --{word} --rule-number {number} --protocol tcp --port-range \
         From={first},To={last} --cidr-block {net} --rule-action allow",
        acl.id
    );
    let finding = Finding::new("one-way", Level::Warning, &entry.place, en, zh)
        .within(&format!("{} {en_there}", acl.id), Some(entry.number));
    with_command(finding, &acl.id, ("let the answers through", "放行应答"), change)
}

/// With a command, where the id is one that AWS knows.
fn with_command(finding: Finding, id: &str, (en, zh): (&str, &str), change: String) -> Finding {
    if is_real(id) { finding.fixed("aws-cli", en, zh, change) } else { finding }
}
