//! Network security groups as gates: the customer's rules by priority, then Azure's own, which are always there.

use super::tags::{PLATFORM, Scope, Side, side};
use super::{Files, Kind, Resource, key};
use crate::cloud::fields::{each, field, integer, last, word, words};
use crate::cloud::list::{Budget, Entry, Head, gate};
use crate::cloud::{Cloud, Owner};
use crate::doc::{Node, Value};
use crate::gate::{Action, Gate, Kind as GateKind};
use crate::place::{Place, Unread, both};
use crate::read::{ALL_PORTS, Match, Span, ports, protocols};
use crate::space::Protocols;
use netwhy_model::Text;
use std::collections::HashMap;
use std::sync::Arc;

/// The `part_of` of Azure's own rules.
pub const DEFAULTS: &str = "default rules";

/// Name, priority, inbound, source, destination of the rules nobody can remove; all of them allow, and what
/// none allows `DenyAllInBound` and `DenyAllOutBound` (65500) deny.
const DEFAULT_RULES: [(&str, i64, bool, &str, &str); 4] = [
    ("AllowVnetInBound", 65000, true, "VirtualNetwork", "VirtualNetwork"),
    ("AllowAzureLoadBalancerInBound", 65001, true, "AzureLoadBalancer", "*"),
    ("AllowVnetOutBound", 65000, false, "VirtualNetwork", "VirtualNetwork"),
    ("AllowInternetOutBound", 65001, false, "*", "Internet"),
];
/// The name server, the metadata service and the platform: "virtualized host IP addresses" that rules do not reach
/// unless they name a platform tag.
const INFRASTRUCTURE: [&str; 2] = [PLATFORM, "169.254.169.254/32"];

/// Both gates of a group, as it is used in one network.
#[derive(Clone)]
pub(super) struct Pair {
    pub inbound: Arc<Gate>,
    pub outbound: Arc<Gate>,
}

/// Makes gates of groups when somebody uses them, each once for a network.
pub(super) struct Groups<'a, 'f> {
    files: &'f Files<'a>,
    budget: Budget,
    made: HashMap<(usize, Option<usize>), Pair>,
}

impl<'a, 'f> Groups<'a, 'f> {
    pub(super) fn new(files: &'f Files<'a>) -> Groups<'a, 'f> {
        Groups { files, budget: Budget::default(), made: HashMap::new() }
    }

    /// Whether a group was used in some network.
    pub(super) fn is_used(&self, at: usize) -> bool {
        self.made.keys().any(|(group, _)| *group == at)
    }

    /// The gates of a group that is in no file: nothing can be told of them.
    pub(super) fn unknown(&mut self, name: &str, place: &Place) -> Pair {
        let gate = |inbound: bool, budget: &mut Budget| {
            let entry = Entry {
                number: 0,
                part_of: name.into(),
                place: place.clone(),
                text: name.to_owned(),
                action: Action::Allow,
                matches: vec![Match::everything()],
                unmodelled: vec![both(format!("{name} is in no file"), format!("文件中没有 {name}"))],
                priority: 0,
            };
            let way = if inbound { "inbound" } else { "outbound" };
            let head = Head {
                kind: GateKind::AzureNetworkSecurityGroup,
                inbound,
                name: format!("{name} {way} (in no file)"),
                place: place.clone(),
                stateful: true,
                default: Action::Deny,
                default_text: both(format!("{name} is in no file"), format!("文件中没有 {name}")),
            };
            Arc::new(gate(head, &[entry], budget).0)
        };
        Pair { inbound: gate(true, &mut self.budget), outbound: gate(false, &mut self.budget) }
    }

    /// The gates of a group in a network.
    pub(super) fn pair(&mut self, cloud: &mut Cloud, at: usize, network: Option<usize>) -> Option<Pair> {
        if let Some(pair) = self.made.get(&(at, network)) {
            return Some(pair.clone());
        }
        let group = *self.files.each(Kind::SecurityGroup).get(at)?;
        let first = !self.is_used(at);
        let scope = Scope::of(cloud, network, self.files);
        let rules = own_rules(self.files, &group);
        let name = word(group.node, "name").map_or("NSG", last).to_owned();
        let mut build = |inbound: bool| {
            let mut unread = Vec::new();
            let mut entries = entries(&rules, inbound, &scope, self.files, &name, &mut unread);
            if !denies_defaults(group.node, network) {
                entries.extend(default_entries(inbound, &scope, &group.node.place, rules.len()));
            }
            entries.sort_by_key(|entry| entry.priority);
            let suffix = if first { String::new() } else { network_name(cloud, network) };
            let head = head(&name, &suffix, inbound, at, &group.node.place, cloud);
            let (gate, priorities) = gate(head, &entries, &mut self.budget);
            cloud.owners.insert(gate.name.clone(), owner(&group, &name, inbound, priorities));
            if first {
                cloud.unread.extend(unread);
            }
            Arc::new(gate)
        };
        let pair = Pair { inbound: build(true), outbound: build(false) };
        if first {
            cloud.lists.extend([pair.inbound.clone(), pair.outbound.clone()]);
        }
        self.made.insert((at, network), pair.clone());
        Some(pair)
    }
}

fn network_name(cloud: &Cloud, network: Option<usize>) -> String {
    network.map_or_else(String::new, |at| format!(" ({})", cloud.networks[at].name))
}

fn head(name: &str, suffix: &str, inbound: bool, at: usize, place: &Place, cloud: &Cloud) -> Head {
    let way = if inbound { "inbound" } else { "outbound" };
    let plain = format!("{name} {way}{suffix}");
    // Two groups of one name in two resource groups.
    let name = if cloud.owners.contains_key(&plain) { format!("{plain} #{at}") } else { plain };
    let last = if inbound { "DenyAllInBound" } else { "DenyAllOutBound" };
    Head {
        kind: GateKind::AzureNetworkSecurityGroup,
        inbound,
        default_text: both(
            format!("the default rule {last} (65500) of {name} denies what no other rule allows"),
            format!("{name} 的默认规则 {last}（65500）拒绝未被其他规则允许的流量"),
        ),
        name,
        place: place.clone(),
        stateful: true,
        default: Action::Deny,
    }
}

fn owner(group: &Resource<'_>, name: &str, inbound: bool, priorities: Vec<i64>) -> Owner {
    let id = word(group.node, "id").unwrap_or_default();
    let lower = id.to_lowercase();
    let from_id = lower.find("/resourcegroups/").map(|at| &id[at + "/resourcegroups/".len()..]);
    let scope = word(group.node, "resourceGroup").or(word(group.node, "resource_group_name")).or(from_id);
    let scope = scope.and_then(|scope| scope.split('/').next()).unwrap_or("RESOURCE_GROUP").to_owned();
    Owner { group: name.to_owned(), scope, inbound, priorities, ..Owner::default() }
}

/// The rules inside a group, and those that stand alone and name it.
fn own_rules<'a>(files: &Files<'a>, group: &Resource<'a>) -> Vec<&'a Node> {
    let mut rules: Vec<&Node> = each(group.node, "securityRules").iter().collect();
    let known: Vec<&str> = rules.iter().filter_map(|rule| word(rule, "name")).collect();
    let name = word(group.node, "name").map(key).unwrap_or_default();
    let belongs = |rule: &Resource<'_>| {
        let inside = rule.parent.is_some_and(|parent| std::ptr::eq(parent, group.node));
        let told = word(rule.node, "networkSecurityGroupName").map(key);
        let id = word(rule.node, "id").map(str::to_lowercase).unwrap_or_default();
        let path = id.split("/networksecuritygroups/").nth(1).and_then(|rest| rest.split('/').next());
        let full = word(rule.node, "name").and_then(|name| name.split_once('/')).map(|(group, _)| key(group));
        inside || told.as_ref() == Some(&name) || path == Some(&name) || full.as_ref() == Some(&name)
    };
    let alone = files.each(Kind::SecurityRule).iter().filter(|rule| belongs(rule)).map(|rule| rule.node);
    let alone: Vec<&Node> =
        alone.filter(|rule| !known.iter().any(|name| word(rule, "name") == Some(name))).collect();
    rules.extend(alone);
    rules
}

/// Rules that were listed without their groups (`az network nsg rule list`): a group for each name in their ids.
pub(super) fn groups_of_bare_rules(documents: &[Node]) -> Vec<Node> {
    let mut files = Files::default();
    documents.iter().for_each(|document| files.collect(document, None, 0));
    let mut names: Vec<(String, &Node)> = Vec::new();
    for rule in files.each(Kind::SecurityRule) {
        let id = word(rule.node, "id").map(str::to_lowercase).unwrap_or_default();
        let path = id.split("/networksecuritygroups/").nth(1).and_then(|rest| rest.split('/').next());
        let full = word(rule.node, "name").and_then(|name| name.split_once('/')).map(|(group, _)| key(group));
        let told = word(rule.node, "networkSecurityGroupName").map(key);
        let name = path.map(str::to_owned).or(told).or(full).unwrap_or_else(|| "nsg".to_owned());
        let known = rule.parent.is_some() || files.at(Kind::SecurityGroup, &name).is_some();
        if !known && !names.iter().any(|(own, _)| *own == name) {
            names.push((name, rule.node));
        }
    }
    let text = |place: &Place, text: &str| Node { place: place.clone(), value: Value::Text(text.to_owned()) };
    let group = |(name, first): (String, &Node)| {
        let place = &first.place;
        // Rules of no known group are in the one that is named after none.
        let nameless = |rule: &&Resource<'_>| name == "nsg" && rule.parent.is_none();
        let own = files.each(Kind::SecurityRule).iter().filter(nameless).map(|rule| rule.node.clone());
        let members = vec![
            ("name".to_owned(), text(place, &name)),
            ("type".to_owned(), text(place, "Microsoft.Network/networkSecurityGroups")),
            ("securityRules".to_owned(), Node { place: place.clone(), value: Value::List(own.collect()) }),
        ];
        Node { place: place.clone(), value: Value::Map(members) }
    };
    names.into_iter().map(group).collect()
}

fn entries(
    rules: &[&Node],
    inbound: bool,
    scope: &Scope,
    files: &Files<'_>,
    group: &str,
    unread: &mut Vec<Unread>,
) -> Vec<Entry> {
    let part_of: Arc<str> = group.into();
    let mut entries = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let direction = word(rule, "direction").unwrap_or_default().to_ascii_lowercase();
        let other = if inbound { "outbound" } else { "inbound" };
        if direction != other {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            entries.extend(entry(rule, number, &direction, &part_of, scope, files, unread));
        }
    }
    entries
}

/// One rule: its certain part, and, where a tag may mean more, that part as not modelled.
fn entry(
    rule: &Node,
    number: u32,
    direction: &str,
    part_of: &Arc<str>,
    scope: &Scope,
    files: &Files<'_>,
    unread: &mut Vec<Unread>,
) -> Vec<Entry> {
    let (source, destination) = (side(rule, "source", scope, files), side(rule, "destination", scope, files));
    let mut strange: Vec<String> = source.strange.iter().chain(&destination.strange).cloned().collect();
    let protocol = word(rule, "protocol").unwrap_or("*");
    let protocols = protocols(protocol).unwrap_or_else(|| {
        strange.push(protocol.to_owned());
        Protocols::ALL
    });
    let from = port_ranges(rule, "source", &mut strange);
    let to = port_ranges(rule, "destination", &mut strange);
    let access = word(rule, "access").unwrap_or_default().to_ascii_lowercase();
    let priority = integer(rule, "priority").filter(|priority| *priority >= 0);
    let known = matches!(access.as_str(), "allow" | "deny") && !direction.is_empty() && priority.is_some();
    if !known {
        strange.push(format!("{} {access} {direction}", word(rule, "name").unwrap_or("?")));
    }
    let base = Entry {
        number,
        part_of: Arc::clone(part_of),
        place: rule.place.clone(),
        text: text(rule, priority.unwrap_or(0)),
        action: if access == "allow" { Action::Allow } else { Action::Deny },
        matches: Vec::new(),
        unmodelled: strange.iter().map(|word| not_understood(word)).collect(),
        priority: priority.unwrap_or(0),
    };
    unread.extend(strange.iter().map(|word| {
        Unread::new(rule.place.clone(), word, "not understood in a security rule", "安全规则中无法理解的内容")
    }));
    let pattern = Match {
        sources: Vec::new(),
        destinations: Vec::new(),
        protocols,
        source_ports: from,
        destination_ports: to,
    };
    parts(base, &pattern, &source, &destination)
}

fn not_understood(word: &str) -> Text {
    let word = crate::place::excerpt(word);
    both(format!("“{word}” was not understood"), format!("无法理解“{word}”"))
}

/// The certain part of a rule, and the part it may have.
fn parts(base: Entry, pattern: &Match, source: &Side, destination: &Side) -> Vec<Entry> {
    let certain = Match {
        sources: source.certain.clone(),
        destinations: destination.certain.clone(),
        ..pattern.clone()
    };
    let perhaps = Match { sources: source.all(), destinations: destination.all(), ..pattern.clone() };
    let mut why = source.why.clone();
    why.extend(destination.why.iter().filter(|text| !source.why.contains(text)).cloned());
    let open = !source.perhaps.is_empty() || !destination.perhaps.is_empty();
    let sure = !source.certain.is_empty() && !destination.certain.is_empty();
    let mut parts = Vec::new();
    if sure || !open {
        parts.push(Entry { matches: vec![certain], ..base.clone() });
    }
    if open {
        let unmodelled = base.unmodelled.iter().cloned().chain(why).collect();
        parts.push(Entry { matches: vec![perhaps], unmodelled, ..base });
    }
    parts
}

fn port_ranges(rule: &Node, end: &str, strange: &mut Vec<String>) -> Vec<(u16, u16)> {
    let mut texts = words(rule, &format!("{end}PortRange"));
    texts.extend(words(rule, &format!("{end}PortRanges")));
    let mut ranges = Vec::new();
    for text in &texts {
        match ports(text) {
            Some(range) => ranges.push(range),
            None => {
                strange.push((*text).to_owned());
                ranges.push(ALL_PORTS);
            }
        }
    }
    if texts.is_empty() { vec![ALL_PORTS] } else { ranges }
}

fn text(rule: &Node, priority: i64) -> String {
    let part = |name: &str| {
        let texts: Vec<&str> = [name, &format!("{name}es"), &format!("{name}s")]
            .iter()
            .flat_map(|name| words(rule, name))
            .collect();
        if texts.is_empty() { "*".to_owned() } else { texts.join(",") }
    };
    format!(
        "{} ({priority}): {} {} {} from {} to {} port {}",
        word(rule, "name").unwrap_or("?"),
        word(rule, "access").unwrap_or("?"),
        word(rule, "direction").unwrap_or("?"),
        word(rule, "protocol").unwrap_or("*"),
        part("sourceAddressPrefix"),
        part("destinationAddressPrefix"),
        part("destinationPortRange"),
    )
}

/// Azure never answers with an empty list of default rules. A group that stands alone with one is no answer of
/// Azure's, and is taken at its word; where its network is known, the rules are there whatever the file says.
fn denies_defaults(group: &Node, network: Option<usize>) -> bool {
    let listed = field(group, "defaultSecurityRules");
    network.is_none()
        && listed.is_some_and(|rules| matches!(&rules.value, Value::List(rules) if rules.is_empty()))
}

fn default_entries(inbound: bool, scope: &Scope, place: &Place, count: usize) -> Vec<Entry> {
    let base = |number: usize, name: &str, priority: i64| Entry {
        number: u32::try_from(count + number).unwrap_or(u32::MAX),
        part_of: DEFAULTS.into(),
        place: Place::whole(&place.file),
        text: format!("{name} ({priority})"),
        action: Action::Allow,
        matches: Vec::new(),
        unmodelled: Vec::new(),
        priority,
    };
    let mut entries = Vec::new();
    for (number, (name, priority, _, from, to)) in
        DEFAULT_RULES.iter().enumerate().filter(|(_, rule)| rule.2 == inbound)
    {
        let (mut source, mut destination) = (Side::default(), Side::default());
        source.add(from, scope);
        destination.add(to, scope);
        entries.extend(parts(base(number, name, *priority), &Match::everything(), &source, &destination));
    }
    if !inbound {
        let destinations = INFRASTRUCTURE.iter().filter_map(|text| Span::read(text)).collect();
        let matches = vec![Match { destinations, ..Match::everything() }];
        entries.push(Entry { matches, ..base(DEFAULT_RULES.len(), "Azure's own services", -1) });
    }
    entries
}
