//! Rules of Tencent's security groups and network ACLs, and the templates they name.

use crate::cloud::facts::{Acl, Facts, Group};
use crate::cloud::fields::{each, field, word, words};
use crate::cloud::list::Entry;
use crate::cloud::notes::Notes;
use crate::doc::Node;
use crate::gate::Action;
use crate::place::Unread;
use crate::read::{Match, Span, private};
use std::collections::HashMap;
use std::sync::Arc;

/// How many services one template may hold.
const SERVICE_COUNT_MAX: usize = 1024;

/// Templates: addresses and services under the ids rules name them by, groups of templates included.
#[derive(Default)]
struct Templates<'a> {
    addresses: HashMap<&'a str, Vec<&'a str>>,
    services: HashMap<&'a str, Vec<&'a str>>,
}

pub(super) fn read(nodes: &[&Node], facts: &mut Facts, unread: &mut Vec<Unread>) {
    let templates = Templates::of(nodes);
    for node in nodes {
        if node.get("Ingress").is_some() || node.get("Egress").is_some() {
            group(node, nodes, facts, &templates, unread);
        } else if node.get("IngressEntries").is_some() || node.get("EgressEntries").is_some() {
            facts.acls.push(acl(node, unread));
        }
    }
}

impl<'a> Templates<'a> {
    fn of(nodes: &[&'a Node]) -> Templates<'a> {
        let mut templates = Templates::default();
        for node in nodes {
            if let Some(id) = word(node, "AddressTemplateId") {
                let mut listed = words(node, "AddressSet");
                listed.extend(each(node, "AddressExtraSet").iter().filter_map(|one| word(one, "Address")));
                templates.addresses.insert(id, listed);
            }
            if let Some(id) = word(node, "ServiceTemplateId") {
                let mut listed = words(node, "ServiceSet");
                listed.extend(each(node, "ServiceExtraSet").iter().filter_map(|one| word(one, "Service")));
                templates.services.insert(id, listed);
            }
        }
        for node in nodes {
            if let Some(id) = word(node, "AddressTemplateGroupId") {
                let ids = words(node, "AddressTemplateIdSet");
                let all =
                    ids.iter().filter_map(|id| templates.addresses.get(id)).flatten().copied().collect();
                templates.addresses.insert(id, all);
            }
            if let Some(id) = word(node, "ServiceTemplateGroupId") {
                let ids = words(node, "ServiceTemplateIdSet");
                let all = ids.iter().filter_map(|id| templates.services.get(id)).flatten().copied().collect();
                templates.services.insert(id, all);
            }
        }
        templates
    }
}

/// The answer with a group's rules does not name the group: the request did. A file may be named after it.
fn id_of(node: &Node, nodes: &[&Node]) -> String {
    let inside =
        |outer: &&&Node| outer.get("SecurityGroupPolicySet").is_some_and(|set| std::ptr::eq(set, node));
    let outer = nodes.iter().find(inside);
    let told =
        word(node, "SecurityGroupId").or_else(|| outer.and_then(|outer| word(outer, "SecurityGroupId")));
    let file = &node.place.file;
    let named = file.find("sg-").map(|at| {
        let rest = &file[at..];
        let end = rest.char_indices().skip(3).find(|(_, c)| !c.is_ascii_alphanumeric());
        &rest[..end.map_or(rest.len(), |(at, _)| at)]
    });
    told.or(named).unwrap_or(file).to_owned()
}

fn group(
    node: &Node,
    nodes: &[&Node],
    facts: &mut Facts,
    templates: &Templates<'_>,
    unread: &mut Vec<Unread>,
) {
    let id = id_of(node, nodes);
    let mut list = |name: &str, inbound: bool| {
        let rules = each(node, name).iter().enumerate();
        let mut entries: Vec<Entry> =
            rules.map(|(at, rule)| policy(rule, at, &id, inbound, facts, templates, unread)).collect();
        entries.sort_by_key(|entry| entry.priority);
        entries
    };
    let (inbound, outbound) = (list("Ingress", true), list("Egress", false));
    for rule in ["Ingress", "Egress"].iter().flat_map(|name| each(node, name)) {
        if let Some(other) = word(rule, "SecurityGroupId").filter(|other| !other.is_empty()) {
            let number = word(rule, "PolicyIndex").and_then(|text| text.parse().ok()).unwrap_or(0);
            facts.references.push((other.to_owned(), rule.place.clone(), id.clone(), number));
        }
    }
    let group = facts.group(&id);
    group.place = Some(node.place.clone());
    group.inbound = inbound;
    group.outbound = outbound;
}

fn policy(
    rule: &Node,
    at: usize,
    id: &str,
    inbound: bool,
    facts: &Facts,
    templates: &Templates<'_>,
    unread: &mut Vec<Unread>,
) -> Entry {
    let mut notes = Notes::default();
    let peers = peers(rule, facts, templates, &mut notes);
    let base = match inbound {
        true => Match { sources: peers, ..Match::everything() },
        false => Match { destinations: peers, ..Match::everything() },
    };
    let service = field(rule, "ServiceTemplate").and_then(|service| {
        word(service, "ServiceId").filter(|id| !id.is_empty()).or(word(service, "ServiceGroupId"))
    });
    let matches = match service.filter(|id| !id.is_empty()) {
        Some(service) => services(service, &base, templates, &mut notes),
        None => vec![Match {
            protocols: notes.protocols(word(rule, "Protocol")),
            destination_ports: notes.ports(word(rule, "Port")),
            ..base
        }],
    };
    let action = word(rule, "Action").unwrap_or_default();
    if !["ACCEPT", "DROP"].iter().any(|known| action.eq_ignore_ascii_case(known)) {
        notes.strange.push(action.to_owned());
    }
    let number = notes.number(word(rule, "PolicyIndex"), i64::try_from(at).unwrap_or(i64::MAX));
    let part = |name: &str| word(rule, name).filter(|text| !text.is_empty()).unwrap_or("-").to_owned();
    Entry {
        number: u32::try_from(number).unwrap_or(u32::MAX),
        part_of: Arc::from(id),
        place: rule.place.clone(),
        text: format!(
            "{action} {} {} {} {}",
            part("Protocol"),
            part("Port"),
            [part("CidrBlock"), part("Ipv6CidrBlock"), part("SecurityGroupId")].join(" "),
            part("PolicyDescription"),
        ),
        action: if action.eq_ignore_ascii_case("ACCEPT") { Action::Allow } else { Action::Deny },
        matches,
        unmodelled: notes.finish(rule, unread),
        priority: number,
    }
}

/// The other end of a rule: a prefix, the members of a group, a template of addresses.
fn peers(rule: &Node, facts: &Facts, templates: &Templates<'_>, notes: &mut Notes) -> Vec<Span> {
    let part = |node: &Node, name: &str| word(node, name).filter(|text| !text.is_empty()).map(str::to_owned);
    let mut spans = Vec::new();
    let mut said = false;
    for text in [part(rule, "CidrBlock"), part(rule, "Ipv6CidrBlock")].into_iter().flatten() {
        said = true;
        spans.extend(notes.span(&text));
    }
    if let Some(group) = part(rule, "SecurityGroupId") {
        said = true;
        match facts.of_group(&group) {
            Some(members) => spans.extend(members),
            None => notes.open(&mut spans, &private(), &group),
        }
    }
    let template = field(rule, "AddressTemplate")
        .and_then(|template| part(template, "AddressId").or_else(|| part(template, "AddressGroupId")));
    if let Some(template) = template {
        said = true;
        match templates.addresses.get(template.as_str()) {
            Some(listed) => spans.extend(listed.iter().flat_map(|text| notes.span(text))),
            None => notes.open(&mut spans, &Span::anywhere(), &template),
        }
    }
    if said { spans } else { Span::anywhere() }
}

/// The services of a template: `tcp:80,443`, `udp:53`, `tcp:3306-20000`, `icmp:all`.
fn services(id: &str, base: &Match, templates: &Templates<'_>, notes: &mut Notes) -> Vec<Match> {
    let Some(listed) = templates.services.get(id) else {
        notes.open(&mut Vec::new(), &[], id);
        return vec![base.clone()];
    };
    let read = |text: &&str| {
        let (protocol, ports) = text.split_once(':').unwrap_or((text, ""));
        Match {
            protocols: notes.protocols(Some(protocol)),
            destination_ports: notes.ports(Some(ports)),
            ..base.clone()
        }
    };
    listed.iter().take(SERVICE_COUNT_MAX).map(read).collect()
}

/// "Several groups are matched one after another, from top to bottom"; what nothing matches is denied.
pub(super) fn join(_facts: &Facts, groups: &[&Group], inbound: bool) -> (Vec<Entry>, Action) {
    let own = |group: &&Group| if inbound { group.inbound.clone() } else { group.outbound.clone() };
    (groups.iter().flat_map(own).collect(), Action::Deny)
}

fn acl(node: &Node, unread: &mut Vec<Unread>) -> Acl {
    let id = word(node, "NetworkAclId").unwrap_or("?").to_owned();
    let mut list = |name: &str, inbound: bool| {
        let entries = each(node, name).iter().enumerate();
        entries.map(|(at, entry)| acl_entry(entry, at, &id, inbound, unread)).collect()
    };
    let (inbound, outbound) = (list("IngressEntries", true), list("EgressEntries", false));
    let subnets = each(node, "SubnetSet").iter().filter_map(|one| word(one, "SubnetId")).map(str::to_owned);
    Acl { place: node.place.clone(), subnets: subnets.collect(), inbound, outbound, id }
}

fn acl_entry(entry: &Node, at: usize, id: &str, inbound: bool, unread: &mut Vec<Unread>) -> Entry {
    let mut notes = Notes::default();
    let cidr = word(entry, "CidrBlock").filter(|text| !text.is_empty()).or(word(entry, "Ipv6CidrBlock"));
    let span = notes.span(cidr.unwrap_or_default());
    let action = word(entry, "Action").unwrap_or("Drop");
    let pattern = Match {
        protocols: notes.protocols(word(entry, "Protocol")),
        destination_ports: notes.ports(word(entry, "Port")),
        ..Match::everything()
    };
    Entry {
        number: u32::try_from(at).unwrap_or(u32::MAX),
        part_of: Arc::from(id),
        place: entry.place.clone(),
        text: format!(
            "{action} {} {} {}",
            word(entry, "Protocol").unwrap_or("all"),
            word(entry, "Port").unwrap_or("all"),
            cidr.unwrap_or("?"),
        ),
        action: if action.eq_ignore_ascii_case("Accept") { Action::Allow } else { Action::Deny },
        matches: vec![if inbound {
            Match { sources: span, ..pattern }
        } else {
            Match { destinations: span, ..pattern }
        }],
        unmodelled: notes.finish(entry, unread),
        priority: i64::try_from(at).unwrap_or(i64::MAX),
    }
}
