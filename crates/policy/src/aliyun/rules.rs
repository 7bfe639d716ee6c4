//! Rules of Aliyun's security groups and network ACLs.

use crate::cloud::facts::{Acl, Facts, Group};
use crate::cloud::fields::{field, word};
use crate::cloud::list::Entry;
use crate::cloud::notes::Notes;
use crate::doc::Node;
use crate::gate::Action;
use crate::place::{Place, Unread, both};
use crate::read::{Match, Span, private};
use netwhy_model::Text;
use std::collections::HashMap;
use std::sync::Arc;

/// "Valid values: 1 to 100"; the interface's default is 1.
const PRIORITY_DEFAULT: i64 = 1;
/// After every rule of the customer.
const PRIORITY_LAST: i64 = 101;

type Prefixes = HashMap<String, Vec<Span>>;

/// Reads the rules of groups and ACLs into the facts, which know who is in which group.
pub(super) fn read(nodes: &[&Node], facts: &mut Facts, unread: &mut Vec<Unread>) {
    let prefixes = prefix_lists(nodes);
    for node in nodes {
        if let (Some(permissions), Some(id)) = (node.get("Permissions"), word(node, "SecurityGroupId")) {
            group(node, permissions, id, facts, &prefixes, unread);
        } else if node.get("IngressAclEntries").is_some() || node.get("EgressAclEntries").is_some() {
            facts.acls.extend(acl(node, unread));
        }
    }
}

fn prefix_lists(nodes: &[&Node]) -> Prefixes {
    let mut lists = Prefixes::new();
    for node in nodes {
        let (Some(id), Some(entries)) = (word(node, "PrefixListId"), field(node, "Entries")) else {
            continue;
        };
        let entries = entries.get("Entry").map_or(entries.list(), Node::list);
        let spans = entries.iter().filter_map(|entry| word(entry, "Cidr")).filter_map(Span::read);
        lists.entry(id.to_owned()).or_default().extend(spans);
    }
    lists
}

fn group(
    node: &Node,
    permissions: &Node,
    id: &str,
    facts: &mut Facts,
    prefixes: &Prefixes,
    unread: &mut Vec<Unread>,
) {
    let rules = permissions.get("Permission").map_or(permissions.list(), Node::list);
    let (mut inbound, mut outbound) = (Vec::new(), Vec::new());
    for (number, rule) in rules.iter().enumerate() {
        let ingress = word(rule, "Direction").is_none_or(|way| way.eq_ignore_ascii_case("ingress"));
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let entry = permission(rule, number, id, facts, prefixes, unread);
        let named = ["SourceGroupId", "DestGroupId"].iter().filter_map(|name| word(rule, name));
        let named =
            named.filter(|other| !other.is_empty() && word(rule, "SourceGroupOwnerAccount").is_none());
        let named = named.map(|other| (other.to_owned(), rule.place.clone(), id.to_owned(), number));
        facts.references.extend(named.collect::<Vec<_>>());
        if ingress { inbound.push(entry) } else { outbound.push(entry) }
    }
    let inner = word(node, "InnerAccessPolicy").map(|policy| policy.eq_ignore_ascii_case("Accept"));
    let kind = word(node, "SecurityGroupType").map(|kind| kind.eq_ignore_ascii_case("normal"));
    let group = facts.group(id);
    group.place = Some(node.place.clone());
    group.inbound.extend(inbound);
    group.outbound.extend(outbound);
    group.inner_accept = inner.or(group.inner_accept);
    group.basic = kind.or(group.basic);
    if let Some(name) = word(node, "SecurityGroupName").filter(|name| !name.is_empty()) {
        name.clone_into(&mut group.name);
    }
}

fn permission(
    rule: &Node,
    number: u32,
    id: &str,
    facts: &Facts,
    prefixes: &Prefixes,
    unread: &mut Vec<Unread>,
) -> Entry {
    let mut notes = Notes::default();
    let side = |end: &str, notes: &mut Notes| side(rule, end, facts, prefixes, notes);
    let (sources, destinations) = (side("Source", &mut notes), side("Dest", &mut notes));
    let destinations_ports = notes.ports(word(rule, "PortRange"));
    let source_ports = notes.ports(word(rule, "SourcePortRange"));
    let protocols = notes.protocols(word(rule, "IpProtocol"));
    let policy = word(rule, "Policy").unwrap_or("accept");
    let priority = notes.number(word(rule, "Priority"), PRIORITY_DEFAULT);
    for list in ["PortRangeListId"].iter().filter_map(|name| word(rule, name)).filter(|id| !id.is_empty()) {
        notes.unmodelled.push(both(
            format!("the ports of the list {list} are in no file"),
            format!("文件中没有端口列表 {list}"),
        ));
    }
    Entry {
        number,
        part_of: Arc::from(id),
        place: rule.place.clone(),
        text: text(rule, policy, priority),
        action: if policy.eq_ignore_ascii_case("accept") { Action::Allow } else { Action::Deny },
        matches: vec![Match {
            sources,
            destinations,
            protocols,
            source_ports,
            destination_ports: destinations_ports,
        }],
        unmodelled: notes.finish(rule, unread),
        priority,
    }
}

fn text(rule: &Node, policy: &str, priority: i64) -> String {
    let part = |name: &str| word(rule, name).filter(|text| !text.is_empty());
    let end = |end: &str| {
        let names = [
            format!("{end}CidrIp"),
            format!("Ipv6{end}CidrIp"),
            format!("{end}GroupId"),
            format!("{end}PrefixListId"),
        ];
        names.iter().find_map(|name| part(name)).unwrap_or("*").to_owned()
    };
    let described = part("Description").map_or_else(String::new, |text| format!(" ({text})"));
    format!(
        "{policy} {} {} from {} to {} priority {priority}{described}",
        part("IpProtocol").unwrap_or("ALL"),
        part("PortRange").unwrap_or("-1/-1"),
        end("Source"),
        end("Dest"),
    )
}

/// One side of a rule: prefixes, a prefix list, the members of a group; anybody when it says nothing.
fn side(rule: &Node, end: &str, facts: &Facts, prefixes: &Prefixes, notes: &mut Notes) -> Vec<Span> {
    let part = |name: String| word(rule, &name).filter(|text| !text.is_empty()).map(str::to_owned);
    let mut spans = Vec::new();
    let mut said = false;
    for text in [part(format!("{end}CidrIp")), part(format!("Ipv6{end}CidrIp"))].into_iter().flatten() {
        said = true;
        spans.extend(notes.span(&text));
    }
    if let Some(list) = part(format!("{end}PrefixListId")) {
        said = true;
        match prefixes.get(&list) {
            Some(known) => spans.extend(known),
            None => notes.open(&mut spans, &Span::anywhere(), &list),
        }
    }
    if let Some(group) = part(format!("{end}GroupId")) {
        said = true;
        let foreign = part(format!("{end}GroupOwnerAccount")).is_some();
        match facts.of_group(&group).filter(|members| !foreign || !members.is_empty()) {
            Some(members) => spans.extend(members),
            None => notes.open(&mut spans, &private(), &group),
        }
    }
    if said { spans } else { Span::anywhere() }
}

/// "Rules from all groups are aggregated, sorted, and applied together with default rules": by priority, and "when
/// several rules have the same priority, drop rules take precedence".
pub(super) fn join(facts: &Facts, groups: &[&Group], inbound: bool) -> (Vec<Entry>, Action) {
    let own = |group: &&Group| if inbound { group.inbound.clone() } else { group.outbound.clone() };
    let mut entries: Vec<Entry> = groups.iter().flat_map(own).collect();
    entries.sort_by_key(|entry| (entry.priority, entry.action == Action::Allow));
    if inbound {
        entries.extend(groups.iter().filter_map(|group| inner(facts, group)));
        return (entries, Action::Deny);
    }
    // "Basic security groups … allow all outbound traffic by default. Enterprise security groups deny both."
    let enterprise = groups.iter().any(|group| group.basic == Some(false));
    let told = groups.iter().any(|group| group.basic.is_some() || group.inner_accept != Some(false));
    if !enterprise && !told && !groups.is_empty() {
        entries.push(default_entry(groups[0], Span::anywhere(), Some(both(
            "whether the group is a basic one, which lets everything out, or an enterprise one: no file tells",
            "安全组是默认放行出方向的普通安全组，还是企业级安全组：文件中没有说明",
        ))));
    }
    (entries, if enterprise || !told { Action::Deny } else { Action::Allow })
}

/// "Basic security groups allow inbound internal traffic from instances in the same group"; "internal isolation
/// policies have the lowest priority". Members of an enterprise group are always isolated.
fn inner(facts: &Facts, group: &Group) -> Option<Entry> {
    if group.inner_accept == Some(false) || group.basic == Some(false) {
        return None;
    }
    match facts.of_group(&group.id) {
        Some(members) => Some(default_entry(group, members, None)),
        None => Some(default_entry(
            group,
            private(),
            Some(both(
                format!("whether the sender is in {} too: no file tells", group.id),
                format!("来源是否也在 {} 中：文件中没有说明", group.id),
            )),
        )),
    }
}

fn default_entry(group: &Group, sources: Vec<Span>, unmodelled: Option<Text>) -> Entry {
    let file = group.place.as_ref().map_or_else(|| Arc::from(group.id.as_str()), |place| place.file.clone());
    Entry {
        number: u32::MAX,
        part_of: Arc::from(group.id.as_str()),
        place: Place::whole(&file),
        text: format!("default of {}", group.id),
        action: Action::Allow,
        matches: vec![Match { sources, ..Match::everything() }],
        unmodelled: unmodelled.into_iter().collect(),
        priority: PRIORITY_LAST,
    }
}

fn acl(node: &Node, unread: &mut Vec<Unread>) -> Option<Acl> {
    let id = word(node, "NetworkAclId")?;
    let mut list = |outer: &str, inner: &str, cidr: &str, inbound: bool| {
        let entries =
            field(node, outer).map_or(&[][..], |list| list.get(inner).map_or(list.list(), Node::list));
        let read = |(number, entry): (usize, &Node)| acl_entry(entry, number, id, cidr, inbound, unread);
        entries.iter().enumerate().map(read).collect()
    };
    let inbound = list("IngressAclEntries", "IngressAclEntry", "SourceCidrIp", true);
    let outbound = list("EgressAclEntries", "EgressAclEntry", "DestinationCidrIp", false);
    let resources = field(node, "Resources");
    let resources = resources.map_or(&[][..], |list| list.get("Resource").map_or(list.list(), Node::list));
    let subnets = resources.iter().filter_map(|one| word(one, "ResourceId")).map(str::to_owned).collect();
    Some(Acl { id: id.to_owned(), place: node.place.clone(), subnets, inbound, outbound })
}

fn acl_entry(
    entry: &Node,
    number: usize,
    id: &str,
    cidr: &str,
    inbound: bool,
    unread: &mut Vec<Unread>,
) -> Entry {
    let mut notes = Notes::default();
    let span = notes.span(word(entry, cidr).unwrap_or_default());
    let protocols = notes.protocols(word(entry, "Protocol"));
    let policy = word(entry, "Policy").unwrap_or("drop");
    let port = word(entry, "Port");
    let pattern = Match { protocols, destination_ports: notes.ports(port), ..Match::everything() };
    let pattern = match inbound {
        true => Match { sources: span, ..pattern },
        false => Match { destinations: span, ..pattern },
    };
    Entry {
        number: u32::try_from(number).unwrap_or(u32::MAX),
        part_of: Arc::from(id),
        place: entry.place.clone(),
        text: format!(
            "{policy} {} {} {}",
            word(entry, "Protocol").unwrap_or("all"),
            port.unwrap_or("-1/-1"),
            word(entry, cidr).unwrap_or("?"),
        ),
        action: if policy.eq_ignore_ascii_case("accept") { Action::Allow } else { Action::Deny },
        matches: vec![pattern],
        unmodelled: notes.finish(entry, unread),
        priority: i64::try_from(number).unwrap_or(i64::MAX),
    }
}
