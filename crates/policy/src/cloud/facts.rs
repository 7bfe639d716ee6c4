//! What files of clouds with security groups on interfaces and ACLs on subnets tell, before it is joined:
//! Aliyun, Tencent and Huawei have this shape in common.

use super::faults::{dangling, unused};
use super::list::{Budget, Entry, Head, gate};
use super::{Cloud, Exit, Guard, Hop, Interface, Owner, Peer, Route, Subnet};
use crate::doc::Node;
use crate::estate::Endpoint;
use crate::finding::Finding;
use crate::gate::{Action, Gate, Kind};
use crate::place::{Place, both};
use crate::read::{Match, Span};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// How deep maps and lists of an answer may stand in each other.
const NODE_DEPTH_MAX: usize = 12;
/// Ranks of routes to one prefix.
pub(crate) const RANK_OWN: i64 = 0;
pub(crate) const RANK_SYSTEM: i64 = 1;

/// An instance or a bare interface of one.
#[derive(Debug, Clone)]
pub(crate) struct Nic {
    /// The instance's id, else the interface's own.
    pub owner: String,
    pub names: Vec<String>,
    pub place: Place,
    pub private: Vec<IpAddr>,
    pub public: Vec<IpAddr>,
    pub network: String,
    pub subnet: String,
    /// In the order they are bound.
    pub groups: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Zone {
    pub id: String,
    pub names: Vec<String>,
    pub network: String,
    pub spans: Vec<Span>,
    pub place: Place,
    pub acl: Option<String>,
    pub table: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Acl {
    pub id: String,
    pub place: Place,
    pub subnets: Vec<String>,
    pub inbound: Vec<Entry>,
    pub outbound: Vec<Entry>,
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub id: String,
    /// Of a network as a whole, unless it names subnets.
    pub network: String,
    pub subnets: Vec<String>,
    pub routes: Vec<Route>,
    /// The table of the subnets that name none.
    pub main: bool,
}

/// Both lists of one security group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub id: String,
    pub name: String,
    /// Where its rules stand; none when no file has them.
    pub place: Option<Place>,
    pub inbound: Vec<Entry>,
    pub outbound: Vec<Entry>,
    /// Aliyun's kind: what its members may do without a rule.
    pub basic: Option<bool>,
    pub inner_accept: Option<bool>,
}

/// A network: id, name, addresses, place.
pub(crate) type Told = (String, String, Vec<Span>, Place);

#[derive(Default)]
pub(crate) struct Facts {
    /// By id and name.
    pub networks: Vec<Told>,
    pub zones: Vec<Zone>,
    pub nics: Vec<Nic>,
    pub acls: Vec<Acl>,
    pub tables: Vec<Table>,
    /// Two networks, and whether their peering works.
    pub peers: Vec<(String, String, bool, Place)>,
    pub groups: Vec<Group>,
    /// Gateways that translate addresses for a network.
    pub nats: Vec<(String, Place)>,
    /// Public addresses and the instance, interface or private address they lead to.
    pub published: Vec<(String, IpAddr)>,
    /// Groups that rules name: the group, the rule's place, its group and number.
    pub references: Vec<(String, Place, String, u32)>,
    /// Private addresses of each group's members, filled in by [`Facts::members`].
    pub members: HashMap<String, Vec<Span>>,
}

/// Joins the lists of the groups of one interface, inbound or not: entries in the order they are asked, and what
/// happens at the end.
type Join = fn(&Facts, &[&Group], bool) -> (Vec<Entry>, Action);

/// What is a vendor's own about its lists.
pub(crate) struct Habits {
    pub group: Kind,
    pub acl: Kind,
    pub acl_stateful: bool,
    /// The list of the groups of one interface.
    pub join: Join,
}

/// Every map of the documents, from the outside in, at most twelve levels deep.
pub(crate) fn maps<'a>(documents: &'a [Node], each: &mut dyn FnMut(&'a Node)) {
    for document in documents {
        visit(document, 0, each);
    }
}

/// Whether one of the maps of a document fits.
pub(crate) fn any_map(document: &Node, fits: impl Fn(&Node) -> bool) -> bool {
    let mut found = false;
    maps(std::slice::from_ref(document), &mut |node| found = found || fits(node));
    found
}

fn visit<'a>(node: &'a Node, depth: usize, each: &mut dyn FnMut(&'a Node)) {
    if depth > NODE_DEPTH_MAX {
        return;
    }
    if !node.members().is_empty() {
        each(node);
    }
    node.members().iter().for_each(|(_, node)| visit(node, depth + 1, each));
    node.list().iter().for_each(|node| visit(node, depth + 1, each));
}

impl Facts {
    /// The group of this id, made when no file has told of it yet.
    pub(crate) fn group(&mut self, id: &str) -> &mut Group {
        let at = self.groups.iter().position(|group| group.id == id).unwrap_or_else(|| {
            self.groups.push(Group { id: id.to_owned(), name: id.to_owned(), ..Group::default() });
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }

    /// Who is in which group. To be called before rules that name groups are read.
    pub(crate) fn members(&mut self) {
        for nic in &self.nics {
            for group in &nic.groups {
                let spans = nic.private.iter().map(|address| Span::one(*address));
                self.members.entry(group.clone()).or_default().extend(spans);
            }
        }
    }

    /// The addresses of a group's members; `None` when no file tells of any instance.
    pub(crate) fn of_group(&self, id: &str) -> Option<Vec<Span>> {
        (!self.nics.is_empty()).then(|| self.members.get(id).cloned().unwrap_or_default())
    }

    /// Puts everything into the model.
    pub(crate) fn fill(self, cloud: &mut Cloud, habits: &Habits) {
        let mut lists = Lists { facts: &self, habits, budget: Budget::default(), made: HashMap::new() };
        self.networks(cloud);
        cloud.findings.extend(self.dangling());
        let acls = lists.acls(cloud);
        self.subnets(cloud, &acls);
        self.routes(cloud);
        for nic in &self.nics {
            lists.interface(cloud, nic);
        }
        for group in self.groups.iter().filter(|group| group.place.is_some()) {
            let inbound = lists.list(cloud, std::slice::from_ref(&group.id), true);
            let outbound = lists.list(cloud, std::slice::from_ref(&group.id), false);
            let used = self.nics.iter().any(|nic| nic.groups.contains(&group.id));
            if let (false, false, Some(place)) = (used, self.nics.is_empty(), &group.place) {
                cloud.findings.push(unused(place, &group.id));
            }
            if !used {
                let what = both(
                    format!("security group {}, inbound", group.name),
                    format!("安全组 {}，入方向", group.name),
                );
                cloud.loose.push(Guard { gate: inbound.clone(), what, within_subnet: true });
            }
            cloud.lists.extend([inbound, outbound]);
        }
    }

    /// Groups that rules or interfaces name and no file has, once the files have several.
    fn dangling(&self) -> Vec<Finding> {
        let gone = |id: &str| self.groups.len() > 1 && !self.groups.iter().any(|group| group.id == id);
        let named = self.references.iter().filter(|one| gone(&one.0));
        let mut found: Vec<Finding> =
            named.map(|(id, place, within, rule)| dangling(place, within, Some(*rule), id)).collect();
        for nic in &self.nics {
            let lost = nic.groups.iter().filter(|id| gone(id));
            found.extend(lost.map(|id| dangling(&nic.place, &nic.owner, None, id)));
        }
        found
    }

    fn networks(&self, cloud: &mut Cloud) {
        for (id, name, spans, place) in &self.networks {
            let at = cloud.network(id, place);
            let network = &mut cloud.networks[at];
            network.known = true;
            network.name.clone_from(name);
            network.spans.extend(spans);
        }
        for (from, to, works, place) in &self.peers {
            for (from, to) in [(from, to), (to, from)] {
                let (at, other) = (cloud.network(from, place), cloud.network(to, place));
                let peer = Peer {
                    id: to.clone(),
                    network: Some(other),
                    works: *works,
                    forwards: Some(true),
                    place: place.clone(),
                };
                cloud.networks[at].peers.push(peer);
            }
        }
    }

    fn subnets(&self, cloud: &mut Cloud, acls: &HashMap<String, (Guard, Guard)>) {
        for zone in &self.zones {
            let network = cloud.network(&zone.network, &zone.place);
            let named =
                |names: &[String]| names.iter().any(|name| *name == zone.id || zone.names.contains(name));
            let listed = self.acls.iter().find(|acl| named(&acl.subnets)).map(|acl| &acl.id);
            let guards = zone.acl.as_ref().or(listed).and_then(|id| acls.get(id));
            let own = |table: &&Table| zone.table.as_ref() == Some(&table.id) || named(&table.subnets);
            let main = |table: &&Table| table.main && table.network == zone.network;
            let table = self.tables.iter().find(own).or_else(|| self.tables.iter().find(main));
            let mut subnet = Subnet {
                id: zone.id.clone(),
                name: zone.names.first().unwrap_or(&zone.id).clone(),
                place: zone.place.clone(),
                network,
                spans: zone.spans.clone(),
                outbound: Vec::new(),
                inbound: Vec::new(),
                routes: table.map_or_else(Vec::new, |table| table.routes.clone()),
                strangers: None,
            };
            if let Some((inbound, outbound)) = guards {
                subnet.inbound.push(inbound.clone());
                subnet.outbound.push(outbound.clone());
            }
            if cloud.networks[network].spans.is_empty() {
                cloud.networks[network].spans.extend(&zone.spans);
            }
            cloud.subnets.push(subnet);
        }
    }

    /// The network itself, its peers, and the Internet where no table says otherwise.
    fn routes(&self, cloud: &mut Cloud) {
        let tabled = !self.tables.is_empty();
        let spaces: Vec<Vec<Span>> = cloud.networks.iter().map(|network| network.spans.clone()).collect();
        for network in cloud.networks.iter_mut().filter(|network| network.known) {
            let place = network.place.clone();
            let route = |to: Span, hop: Hop| Route {
                to,
                text: format!("{to} → {}", if hop == Hop::Local { "local" } else { "Internet" }),
                hop,
                place: place.clone(),
                rank: RANK_SYSTEM,
            };
            network.routes = network.spans.iter().map(|to| route(*to, Hop::Local)).collect();
            // A public address of its own needs no route; what a table says of 0.0.0.0/0 comes first.
            network.routes.extend(Span::anywhere().into_iter().map(|to| route(to, Hop::Internet)));
            let peers = network.peers.iter().filter(|peer| peer.works && !tabled);
            let reached = peers.filter_map(|peer| Some((peer.network?, peer.place.clone())));
            let through = |(at, place): (usize, Place)| {
                spaces[at].iter().map(move |to| Route {
                    to: *to,
                    hop: Hop::Peer(at),
                    text: format!("{to} → peering"),
                    place: place.clone(),
                    rank: RANK_SYSTEM,
                })
            };
            let through: Vec<Route> = reached.flat_map(through).collect();
            network.routes.extend(through);
        }
    }
}

/// Makes the gates, each once.
struct Lists<'f> {
    facts: &'f Facts,
    habits: &'f Habits,
    budget: Budget,
    made: HashMap<(Vec<String>, bool), Arc<Gate>>,
}

impl Lists<'_> {
    /// The list of the groups of an interface.
    fn list(&mut self, cloud: &mut Cloud, ids: &[String], inbound: bool) -> Arc<Gate> {
        let key = (ids.to_vec(), inbound);
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
        let groups: Vec<&Group> =
            ids.iter().filter_map(|id| self.facts.groups.iter().find(|group| group.id == *id)).collect();
        let (mut entries, default) = (self.habits.join)(self.facts, &groups, inbound);
        entries.extend(self.missing(ids, &groups));
        let way = if inbound { "inbound" } else { "outbound" };
        let name = format!("{} {way}", ids.join("+"));
        let place = groups.first().and_then(|group| group.place.clone());
        let head = Head {
            kind: self.habits.group,
            inbound,
            default_text: end_text(&name, default),
            name,
            place: place.unwrap_or_else(|| Place::whole(&Arc::from(ids.join("+").as_str()))),
            stateful: true,
            default,
        };
        let (gate, priorities) = gate(head, &entries, &mut self.budget);
        let group = ids.first().cloned().unwrap_or_default();
        let owner = Owner { group, inbound, priorities, list: "group", ..Owner::default() };
        cloud.owners.insert(gate.name.clone(), owner);
        let gate = Arc::new(gate);
        self.made.insert(key, gate.clone());
        gate
    }

    /// Groups that are bound and in no file: their rules are unknown.
    fn missing(&self, ids: &[String], groups: &[&Group]) -> Option<Entry> {
        let told = |id: &&String| groups.iter().any(|group| group.id == **id && group.place.is_some());
        let id = ids.iter().find(|id| !told(id))?;
        Some(Entry {
            number: 0,
            part_of: Arc::from(id.as_str()),
            place: Place::whole(&Arc::from(id.as_str())),
            text: id.clone(),
            action: Action::Allow,
            matches: vec![Match::everything()],
            unmodelled: vec![both(
                format!("the rules of {id} are in no file"),
                format!("文件中没有 {id} 的规则"),
            )],
            priority: i64::MAX,
        })
    }

    fn acls(&mut self, cloud: &mut Cloud) -> HashMap<String, (Guard, Guard)> {
        let mut guards = HashMap::new();
        for acl in &self.facts.acls {
            let mut make = |inbound: bool| {
                let (way, zh) = if inbound { ("inbound", "入方向") } else { ("outbound", "出方向") };
                let name = format!("{} {way}", acl.id);
                let head = Head {
                    kind: self.habits.acl,
                    inbound,
                    default_text: end_text(&name, Action::Deny),
                    name,
                    place: acl.place.clone(),
                    stateful: self.habits.acl_stateful,
                    default: Action::Deny,
                };
                let entries = if inbound { &acl.inbound } else { &acl.outbound };
                let (gate, priorities) = gate(head, entries, &mut self.budget);
                let owner =
                    Owner { group: acl.id.clone(), inbound, priorities, list: "acl", ..Owner::default() };
                cloud.owners.insert(gate.name.clone(), owner);
                let gate = Arc::new(gate);
                cloud.lists.push(gate.clone());
                let what =
                    both(format!("network ACL {}, {way}", acl.id), format!("网络 ACL {}，{zh}", acl.id));
                // "It does not filter traffic between instances in the same vSwitch."
                Guard { gate, what, within_subnet: false }
            };
            guards.insert(acl.id.clone(), (make(true), make(false)));
        }
        guards
    }

    fn interface(&mut self, cloud: &mut Cloud, nic: &Nic) {
        let found = cloud.endpoints.iter().position(|endpoint| endpoint.id == nic.owner);
        let endpoint = found.unwrap_or_else(|| {
            cloud.endpoints.push(Endpoint {
                id: nic.owner.clone(),
                names: Vec::new(),
                addresses: Vec::new(),
                place: nic.place.clone(),
            });
            cloud.endpoints.len() - 1
        });
        let keys = |key: &str| {
            key == nic.owner
                || nic.names.iter().any(|name| name == key)
                || nic.private.iter().any(|address| address.to_string() == key)
        };
        let mut public = nic.public.clone();
        public.extend(self.facts.published.iter().filter(|(key, _)| keys(key)).map(|(_, address)| *address));
        public.sort();
        public.dedup();
        let known = &mut cloud.endpoints[endpoint];
        known.names.extend(nic.names.iter().filter(|name| **name != nic.owner).cloned());
        known.names.sort();
        known.names.dedup();
        known.addresses.extend(nic.private.iter().chain(&public));
        let subnet = cloud.subnets.iter().position(|subnet| subnet.id == nic.subnet);
        let subnet =
            subnet.or_else(|| self.facts.zones.iter().position(|zone| zone.names.contains(&nic.subnet)));
        let network = match (subnet, nic.network.as_str()) {
            (Some(at), _) => Some(cloud.subnets[at].network),
            (None, "") => None,
            (None, id) => Some(cloud.network(id, &nic.place)),
        };
        let guard = |gate, en: &str, zh: &str| Guard {
            gate,
            what: both(
                format!("security groups of {}, {en}", nic.owner),
                format!("{} 的安全组，{zh}", nic.owner),
            ),
            within_subnet: true,
        };
        let inbound = guard(self.list(cloud, &nic.groups, true), "inbound", "入方向");
        let outbound = guard(self.list(cloud, &nic.groups, false), "outbound", "出方向");
        let exit = self.exit(cloud, nic, network);
        cloud.interfaces.push(Interface {
            endpoint,
            place: nic.place.clone(),
            private: nic.private.clone(),
            public,
            network,
            subnet,
            outbound: vec![outbound],
            inbound: vec![inbound],
            exit,
            published: false,
            routes: Vec::new(),
            shut: None,
        });
    }

    /// Without a public address a gateway must translate.
    fn exit(&self, cloud: &Cloud, nic: &Nic, network: Option<usize>) -> Exit {
        let nat = self.facts.nats.iter().find(|(network, _)| *network == nic.network);
        if let Some((_, place)) = nat {
            return Exit::Yes(both("a NAT gateway of the network", "网络的 NAT 网关"), place.clone());
        }
        match network.is_some_and(|at| cloud.networks[at].known) {
            true => Exit::Unknown(both(
                "no public address; whether a NAT gateway leads out: none is in the files",
                "没有公网地址；是否有 NAT 网关作为出口：文件中没有",
            )),
            false => Exit::Yes(
                both(
                    "no file tells of the network; only the rules are asked",
                    "文件中没有网络信息；只判断规则",
                ),
                nic.place.clone(),
            ),
        }
    }
}

fn end_text(name: &str, default: Action) -> netwhy_model::Text {
    match default {
        Action::Allow => both(
            format!("no rule of {name} denies it, and that is allowed"),
            format!("{name} 没有规则拒绝，默认放行"),
        ),
        _ => both(format!("no rule allows it: {name}"), format!("{name}：没有规则放行")),
    }
}
