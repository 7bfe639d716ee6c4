//! Firewall rules and policies as the one list that an interface is asked by.

use super::policy::{Level, level_entries};
use super::{Files, Kind, same};
use crate::cloud::fields::{each, flag, integer, last, word, words};
use crate::cloud::list::{Budget, Entry, Head, gate};
use crate::cloud::{Cloud, Owner};
use crate::doc::Node;
use crate::gate::{Action, Gate, Kind as GateKind};
use crate::place::{Unread, both, excerpt};
use crate::read::{ALL_PORTS, Match, Span, ports, private, protocols};
use crate::space::{Cube, Family, Protocols};
use netwhy_model::Text;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A firewall rule without a priority has this one.
const PRIORITY_DEFAULT: i64 = 1000;
/// "Always allowed: packets sent to and received from the Google Cloud metadata server."
const METADATA_SERVER: &str = "169.254.169.254/32";
/// How many tags and accounts the list of a whole network keeps apart.
const TARGET_COUNT_MAX: usize = 62;

/// Who an interface belongs to, as rules choose their targets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub network: String,
    pub region: String,
    pub instance: String,
    pub tags: Vec<String>,
    pub accounts: Vec<String>,
}

/// A member that rules may name as a source: its tags, accounts and addresses.
pub(super) struct Member {
    pub target: Target,
    pub addresses: Vec<IpAddr>,
}

/// Whom the rules of a list are taken for.
#[derive(Clone, Copy)]
pub(super) enum For<'t> {
    One(&'t Target),
    /// Somebody in this network of whom no file tells.
    Anybody(&'t str),
}

impl For<'_> {
    pub(super) fn network(&self) -> &str {
        match self {
            For::One(target) => &target.network,
            For::Anybody(network) => network,
        }
    }
}

type Key = (bool, Option<Target>, String);

/// Makes the lists, each once for all interfaces alike.
pub(super) struct Lists<'a, 'f> {
    pub files: &'f Files<'a>,
    pub members: Vec<Member>,
    pub levels: Vec<Level<'a>>,
    budget: Budget,
    made: HashMap<Key, Arc<Gate>>,
}

impl<'a, 'f> Lists<'a, 'f> {
    pub(super) fn new(files: &'f Files<'a>, members: Vec<Member>, levels: Vec<Level<'a>>) -> Lists<'a, 'f> {
        Lists { files, members, levels, budget: Budget::default(), made: HashMap::new() }
    }

    /// The list that packets of a target meet.
    pub(super) fn list(&mut self, cloud: &mut Cloud, whom: For<'_>, inbound: bool) -> Arc<Gate> {
        let target = match whom {
            For::One(target) => Some(Target { instance: String::new(), ..target.clone() }),
            For::Anybody(_) => None,
        };
        let key = (inbound, target, whom.network().to_owned());
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
        let entries = self.entries(whom, inbound, &mut Vec::new());
        let way = if inbound { "ingress" } else { "egress" };
        let network = last(whom.network());
        let mut name = format!("{network} {way}");
        if let For::One(target) = whom {
            let marks: Vec<&str> = target.tags.iter().chain(&target.accounts).map(String::as_str).collect();
            let marks = if marks.is_empty() { String::new() } else { format!(" for {}", marks.join(", ")) };
            name = format!("{name}{marks}");
        }
        if cloud.owners.contains_key(&name) {
            name = format!("{name} #{}", self.made.len());
        }
        let head = head(name, network, inbound, entries.first().map(|entry| &entry.place));
        let (gate, priorities) = gate(head, &entries, &mut self.budget);
        let owner = Owner {
            group: whom.network().to_owned(),
            scope: match whom {
                For::One(target) => target.tags.first().cloned().unwrap_or_default(),
                For::Anybody(_) => String::new(),
            },
            inbound,
            priorities,
            ..Owner::default()
        };
        cloud.owners.insert(gate.name.clone(), owner);
        let gate = Arc::new(gate);
        self.made.insert(key, gate.clone());
        gate
    }

    /// Every rule that applies, in the order it is asked.
    fn entries(&self, whom: For<'_>, inbound: bool, unread: &mut Vec<Unread>) -> Vec<Entry> {
        let mut entries = Vec::new();
        if !inbound {
            entries.push(metadata(whom.network(), self.files));
        }
        let classic = self.classic(whom, inbound, unread);
        let after = !self.policies_first(whom.network());
        let mut classic = Some(classic);
        for level in &self.levels {
            if level.after_classic && after {
                entries.extend(classic.take().unwrap_or_default());
            }
            entries.extend(level_entries(level, whom, inbound, unread));
        }
        entries.extend(classic.take().unwrap_or_default());
        entries
    }

    /// The order is AFTER_CLASSIC_FIREWALL unless the network says otherwise.
    fn policies_first(&self, network: &str) -> bool {
        self.files.each(Kind::Network).iter().any(|node| {
            let link = word(node, "selfLink").or(word(node, "name")).unwrap_or_default();
            same(link, network)
                && word(node, "networkFirewallPolicyEnforcementOrder") == Some("BEFORE_CLASSIC_FIREWALL")
        })
    }

    /// The firewall rules of the network, by priority, those that deny before those that allow.
    fn classic(&self, whom: For<'_>, inbound: bool, unread: &mut Vec<Unread>) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (number, rule) in self.files.each(Kind::Firewall).iter().enumerate() {
            let network = word(rule, "network").unwrap_or("default");
            let direction = word(rule, "direction").unwrap_or("INGRESS");
            let ours = same(network, whom.network()) && direction.eq_ignore_ascii_case("INGRESS") == inbound;
            if !ours || flag(rule, "disabled") == Some(true) {
                continue;
            }
            let Some(conditions) = applies(rule, whom, "targetTags", "targetServiceAccounts") else {
                continue;
            };
            let mut entry = self.entry(rule, inbound, whom, unread);
            entry.number = u32::try_from(number).unwrap_or(u32::MAX);
            entry.unmodelled.extend(conditions);
            entries.push(entry);
        }
        entries.sort_by_key(|entry| (entry.priority, entry.action == Action::Allow));
        entries
    }

    fn entry(&self, rule: &Node, inbound: bool, whom: For<'_>, unread: &mut Vec<Unread>) -> Entry {
        let mut strange = Vec::new();
        let mut unmodelled = Vec::new();
        let sources = self.sources(rule, inbound, whom, &mut strange, &mut unmodelled);
        let destinations = spans(rule, "destinationRanges", &mut strange).unwrap_or_else(Span::anywhere);
        let denied = each(rule, "denied");
        let action = if denied.is_empty() { Action::Allow } else { Action::Deny };
        let parts = if denied.is_empty() { each(rule, "allowed") } else { denied };
        let matches = layers(parts, "IPProtocol", &sources, &destinations, &mut strange);
        if parts.is_empty() {
            strange.push(word(rule, "name").unwrap_or("?").to_owned());
        }
        let priority = integer(rule, "priority").unwrap_or(PRIORITY_DEFAULT);
        finish(rule, "firewall rule", &strange, unread);
        unmodelled.extend(strange.iter().map(|word| not_understood(word)));
        Entry {
            number: 0,
            part_of: last(word(rule, "network").unwrap_or("default")).into(),
            place: rule.place.clone(),
            text: text(rule, priority, action, parts),
            action,
            matches,
            unmodelled,
            priority,
        }
    }

    /// "Source ranges or source tags": a packet of either matches.
    fn sources(
        &self,
        rule: &Node,
        inbound: bool,
        whom: For<'_>,
        strange: &mut Vec<String>,
        unmodelled: &mut Vec<Text>,
    ) -> Vec<Span> {
        let ranges = spans(rule, "sourceRanges", strange);
        let (tags, accounts) = (words(rule, "sourceTags"), words(rule, "sourceServiceAccounts"));
        let marked = !tags.is_empty() || !accounts.is_empty();
        if !marked {
            // The default of an ingress rule is 0.0.0.0/0, of IPv4 alone.
            let default = || if inbound { vec![Span::all(Family::V4)] } else { Span::anywhere() };
            return ranges.unwrap_or_else(default);
        }
        let mut sources = ranges.unwrap_or_default();
        sources.extend(self.marked(whom.network(), &tags, &accounts));
        if self.members.is_empty() {
            sources.extend(private());
            let names = excerpt(&tags.iter().chain(&accounts).copied().collect::<Vec<_>>().join(", "));
            unmodelled.push(both(
                format!("which instances have {names}: no file tells"),
                format!("哪些实例带有 {names}：文件中没有说明"),
            ));
        }
        sources
    }

    /// The internal addresses of the instances of the network that have one of the tags or accounts.
    pub(super) fn marked(&self, network: &str, tags: &[&str], accounts: &[&str]) -> Vec<Span> {
        let chosen = self.members.iter().filter(|member| {
            same(&member.target.network, network)
                && (member.target.tags.iter().any(|tag| tags.contains(&tag.as_str()))
                    || member.target.accounts.iter().any(|account| accounts.contains(&account.as_str())))
        });
        chosen.flat_map(|member| member.addresses.iter().map(|address| Span::one(*address))).collect()
    }

    /// The rules of one policy, for checks.
    pub(super) fn policy(&mut self, at: usize, inbound: bool, unread: &mut Vec<Unread>) -> Option<Gate> {
        let level = self.levels.get(at)?;
        let entries = level_entries(level, For::Anybody(level.first_network()), inbound, unread);
        let way = if inbound { "ingress" } else { "egress" };
        let head = Head {
            kind: GateKind::GcpFirewall,
            inbound,
            name: format!("policy {}, {way}", level.name),
            place: entries.first()?.place.clone(),
            stateful: true,
            // Neither allowed nor denied: so that no rule is found to do what the end does anyway.
            default: Action::Reject,
            default_text: both(
                "what no rule of the policy decides goes on to the next list",
                "策略中没有规则决定的流量交给下一个列表",
            ),
        };
        Some(gate(head, &entries, &mut self.budget).0)
    }

    /// The list of every rule of a network, whomever it is for, as a check of it wants it: targets are kept apart
    /// as if they were interfaces.
    pub(super) fn whole(&mut self, network: &str, inbound: bool, unread: &mut Vec<Unread>) -> Option<Gate> {
        let entries = self.classic(For::Anybody(network), inbound, unread);
        let way = if inbound { "ingress" } else { "egress" };
        let name = format!("firewall rules of {}, {way}", last(network));
        let head = head(name, last(network), inbound, Some(&entries.first()?.place));
        let (mut gate, _) = gate(head, &entries, &mut self.budget);
        let rules = self.files.each(Kind::Firewall);
        let target = |number: u32| {
            let rule = rules.get(number as usize);
            let names = |name| rule.map_or_else(Vec::new, |rule| words(rule, name));
            [names("targetTags"), names("targetServiceAccounts")].concat()
        };
        let mut names: Vec<&str> = gate.rules.iter().flat_map(|rule| target(rule.number)).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > TARGET_COUNT_MAX {
            return Some(gate);
        }
        for (rule, entry) in gate.rules.iter_mut().zip(&entries) {
            let own = target(rule.number);
            if own.is_empty() {
                continue;
            }
            let bits = names.iter().enumerate().filter(|(_, name)| own.contains(name));
            let bits = bits.fold(0_u64, |bits, (at, _)| bits | 1 << at);
            let side = |cube: &mut Cube| if inbound { cube.to = bits } else { cube.from = bits };
            rule.cubes.iter_mut().for_each(side);
            // The condition on the target is modelled here: it was the last of the entry's.
            rule.unmodelled.remove(entry.unmodelled.len().saturating_sub(1));
        }
        Some(gate)
    }
}

/// Whether a rule is for a target at all; the conditions under which, where no file tells.
pub(super) fn applies(rule: &Node, whom: For<'_>, tags: &str, accounts: &str) -> Option<Option<Text>> {
    let (tags, accounts) = (words(rule, tags), words(rule, accounts));
    if tags.is_empty() && accounts.is_empty() {
        return Some(None);
    }
    match whom {
        For::One(target) => {
            let tagged = target.tags.iter().any(|tag| tags.contains(&tag.as_str()));
            let runs = target.accounts.iter().any(|account| accounts.contains(&account.as_str()));
            (tagged || runs).then_some(None)
        }
        For::Anybody(_) => {
            let names = excerpt(&tags.iter().chain(&accounts).copied().collect::<Vec<_>>().join(", "));
            Some(Some(both(
                format!("whether the instance has {names}: no file tells"),
                format!("实例是否带有 {names}：文件中没有说明"),
            )))
        }
    }
}

/// The protocols and ports of a rule, each with the same addresses.
pub(super) fn layers(
    parts: &[Node],
    protocol: &str,
    sources: &[Span],
    destinations: &[Span],
    strange: &mut Vec<String>,
) -> Vec<Match> {
    let mut matches = Vec::new();
    for part in parts {
        let name = word(part, protocol).or(word(part, "protocol")).unwrap_or("all");
        let number = protocols(name).unwrap_or_else(|| {
            strange.push(name.to_owned());
            Protocols::ALL
        });
        let mut ranges = Vec::new();
        for text in words(part, "ports") {
            ranges.push(ports(text).unwrap_or_else(|| {
                strange.push(text.to_owned());
                ALL_PORTS
            }));
        }
        matches.push(Match {
            sources: sources.to_vec(),
            destinations: destinations.to_vec(),
            protocols: number,
            source_ports: vec![ALL_PORTS],
            destination_ports: if ranges.is_empty() { vec![ALL_PORTS] } else { ranges },
        });
    }
    matches
}

/// The ranges of a member; none when it is missing or empty.
pub(super) fn spans(rule: &Node, name: &str, strange: &mut Vec<String>) -> Option<Vec<Span>> {
    let texts = words(rule, name);
    let mut spans = Vec::new();
    for text in &texts {
        match Span::read(text) {
            Some(span) => spans.push(span),
            None => {
                strange.push((*text).to_owned());
                spans.extend(Span::anywhere());
            }
        }
    }
    (!texts.is_empty()).then_some(spans)
}

pub(super) fn not_understood(word: &str) -> Text {
    let word = excerpt(word);
    both(format!("“{word}” was not understood"), format!("无法理解“{word}”"))
}

pub(super) fn finish(rule: &Node, what: &str, strange: &[String], unread: &mut Vec<Unread>) {
    let why = |word: &String| {
        let en = format!("not understood in a {what}");
        Unread::new(rule.place.clone(), word, en, "防火墙规则中无法理解的内容")
    };
    unread.extend(strange.iter().map(why));
}

fn text(rule: &Node, priority: i64, action: Action, parts: &[Node]) -> String {
    let layer = |part: &Node| {
        let ports = words(part, "ports").join(",");
        let name = word(part, "IPProtocol").or(word(part, "protocol")).unwrap_or("all");
        if ports.is_empty() { name.to_owned() } else { format!("{name}:{ports}") }
    };
    let layers: Vec<String> = parts.iter().map(layer).collect();
    let list = |name: &str| {
        let words = words(rule, name);
        if words.is_empty() { String::new() } else { format!(" {name}={}", words.join(",")) }
    };
    format!(
        "{} ({priority}): {} {} {}{}{}{}{}",
        word(rule, "name").unwrap_or("?"),
        word(rule, "direction").unwrap_or("INGRESS"),
        if action == Action::Allow { "allow" } else { "deny" },
        layers.join(" "),
        list("sourceRanges"),
        list("sourceTags"),
        list("destinationRanges"),
        list("targetTags"),
    )
}

fn head(name: String, network: &str, inbound: bool, place: Option<&crate::place::Place>) -> Head {
    let (default, default_text) = match inbound {
        true => (
            Action::Deny,
            both(
                format!("the implied rule of {network} denies ingress that no rule allows"),
                format!("{network} 的隐含规则拒绝未被允许的入站流量"),
            ),
        ),
        false => (
            Action::Allow,
            both(
                format!("the implied rule of {network} allows egress that no rule denies"),
                format!("{network} 的隐含规则允许未被拒绝的出站流量"),
            ),
        ),
    };
    let place = place.cloned().unwrap_or_else(|| crate::place::Place::whole(&Arc::from(network)));
    Head { kind: GateKind::GcpFirewall, inbound, name, place, stateful: true, default, default_text }
}

fn metadata(network: &str, files: &Files<'_>) -> Entry {
    let file = files.of.values().flatten().next().map(|node| node.place.file.clone());
    let destinations = Span::read(METADATA_SERVER).into_iter().collect();
    Entry {
        number: u32::MAX,
        part_of: last(network).into(),
        place: crate::place::Place::whole(&file.unwrap_or_else(|| Arc::from(network))),
        text: "the metadata server is always reached".to_owned(),
        action: Action::Allow,
        matches: vec![Match { destinations, ..Match::everything() }],
        unmodelled: Vec::new(),
        priority: -1,
    }
}
