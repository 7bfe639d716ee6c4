//! What AWS's network consists of, from whichever files it was read.

use super::net::Net;
use super::service::Service;
use crate::place::Place;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// Things of one kind, by every name they go by.
#[derive(Debug)]
pub struct Table<T> {
    items: Vec<T>,
    by_name: HashMap<String, usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { items: Vec::new(), by_name: HashMap::new() }
    }
}

impl<T> Table<T> {
    /// Adds a thing; one whose id is there already stays as it was.
    pub fn add(&mut self, id: &str, item: T) -> usize {
        if let Some(at) = self.by_name.get(id) {
            return *at;
        }
        self.items.push(item);
        self.by_name.insert(id.to_owned(), self.items.len() - 1);
        self.items.len() - 1
    }

    /// Another name of a thing.
    pub fn alias(&mut self, name: &str, at: usize) {
        self.by_name.entry(name.to_owned()).or_insert(at);
    }

    pub fn at(&self, id: &str) -> Option<usize> {
        self.by_name.get(id).copied()
    }

    pub fn get(&self, id: &str) -> Option<&T> {
        self.items.get(self.at(id)?)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let at = self.at(id)?;
        self.items.get_mut(at)
    }

    pub fn nth(&self, at: usize) -> Option<&T> {
        self.items.get(at)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.items.iter_mut()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[derive(Debug, Clone)]
pub struct Vpc {
    pub id: String,
    pub cidrs: Vec<Net>,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub struct Subnet {
    pub id: String,
    pub vpc: String,
    pub zone: Option<String>,
    pub cidrs: Vec<Net>,
    pub place: Place,
}

/// A private address, and the public one that leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    pub private: IpAddr,
    pub public: Option<IpAddr>,
}

/// Whose interface it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    Instance(String),
    NatGateway,
    Balancer,
    Other,
}

#[derive(Debug, Clone)]
pub struct Interface {
    pub id: String,
    pub owner: Owner,
    /// What it is called by people.
    pub names: Vec<String>,
    pub vpc: String,
    pub subnet: String,
    pub groups: Vec<String>,
    pub addresses: Vec<Address>,
    /// The private address is not known before it is made; a free one of its subnet stands for it.
    pub guessed: bool,
    /// A public address will be given that nobody knows yet.
    pub public_later: bool,
    /// Which of its instance's interfaces it is; 0 is the primary one.
    pub device: i64,
    pub windows: bool,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub struct Group {
    pub id: String,
    pub vpc: String,
    /// AWS made it with the VPC.
    pub is_default: bool,
    pub place: Place,
    pub inbound: Vec<GroupRule>,
    pub outbound: Vec<GroupRule>,
}

#[derive(Debug, Clone)]
pub struct GroupRule {
    pub service: Service,
    pub peer: Peer,
    pub place: Place,
}

/// Who may, in a rule of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    Net(Net),
    Group(String),
    Prefixes(String),
    /// Something the files do not tell.
    Unknown(String),
}

#[derive(Debug, Clone)]
pub struct Acl {
    pub id: String,
    pub vpc: String,
    pub is_default: bool,
    pub subnets: Vec<String>,
    pub place: Place,
    pub inbound: Vec<AclEntry>,
    pub outbound: Vec<AclEntry>,
}

#[derive(Debug, Clone)]
pub struct AclEntry {
    pub number: u32,
    pub allow: bool,
    pub service: Service,
    /// `None` when it is not known.
    pub net: Option<Net>,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub struct RouteTable {
    pub id: String,
    pub vpc: String,
    pub main: bool,
    pub subnets: Vec<String>,
    /// Gateways whose incoming traffic it steers.
    pub gateways: Vec<String>,
    pub routes: Vec<Route>,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub struct Route {
    pub to: Destination,
    pub target: Target,
    pub blackhole: bool,
    pub propagated: bool,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Net(Net),
    Prefixes(String),
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Local,
    /// An internet gateway, virtual gateway or gateway endpoint, told apart by what the id is.
    Gateway(String),
    Nat(String),
    Peering(String),
    Transit(String),
    EgressOnly(String),
    Interface(String),
    Unknown(String),
}

impl Target {
    pub fn id(&self) -> &str {
        match self {
            Target::Local => "local",
            Target::Gateway(id)
            | Target::Nat(id)
            | Target::Peering(id)
            | Target::Transit(id)
            | Target::EgressOnly(id)
            | Target::Interface(id)
            | Target::Unknown(id) => id,
        }
    }
}

#[derive(Debug, Clone)]
pub struct InternetGateway {
    pub id: String,
    pub vpcs: Vec<String>,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub struct NatGateway {
    pub id: String,
    pub subnet: String,
    pub address: Option<IpAddr>,
    pub public: Option<IpAddr>,
    /// It has a public side, whether or not its address is known.
    pub is_public: bool,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub struct Peering {
    pub id: String,
    pub sides: [String; 2],
    pub active: bool,
    pub place: Place,
}

/// A virtual private gateway, a gateway endpoint, or another thing that leads out of a VPC.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    pub kind: ExitKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitKind {
    /// A virtual private gateway: VPN or Direct Connect.
    Virtual,
    /// A gateway endpoint: S3, DynamoDB.
    Service,
    /// A gateway load balancer endpoint: an appliance that may do anything.
    Appliance,
}

#[derive(Debug, Clone)]
pub struct Attachment {
    pub id: String,
    pub gateway: String,
    /// `vpc`, `peering`, `vpn`, `direct-connect-gateway`, `connect`.
    pub kind: String,
    pub resource: String,
    pub subnets: Vec<String>,
    pub table: Option<String>,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub struct TransitTable {
    pub id: String,
    pub gateway: String,
    pub default_association: bool,
    pub default_propagation: bool,
    pub routes: Vec<TransitRoute>,
    /// Attachments whose networks it learns.
    pub propagated: Vec<String>,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub struct TransitRoute {
    pub to: Destination,
    /// `None` is a black hole.
    pub attachment: Option<String>,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub struct Balancer {
    pub id: String,
    pub name: String,
    pub dns: Option<String>,
    /// `application`, `network`, `gateway`, `classic`.
    pub kind: String,
    pub internal: bool,
    pub vpc: String,
    pub subnets: Vec<String>,
    pub groups: Vec<String>,
    /// Its node in one zone sends on to targets in others.
    pub cross_zone: bool,
    pub place: Place,
}

impl Balancer {
    /// What the descriptions of its interfaces hold: `ELB app/NAME/ID`; of a classic one they are `ELB NAME`.
    pub fn mark(&self) -> String {
        if self.is_classic() { format!("ELB {}", self.name) } else { format!("/{}/", self.name) }
    }

    pub fn is_classic(&self) -> bool {
        self.kind == "classic"
    }

    /// Whether an interface is one of its nodes.
    pub fn owns(&self, interface: &Interface) -> bool {
        let mark = self.mark();
        let is_marked = |name: &String| if self.is_classic() { *name == mark } else { name.contains(&mark) };
        interface.owner == Owner::Balancer && interface.names.iter().any(is_marked)
    }
}

#[derive(Debug, Clone)]
pub struct Listener {
    pub id: String,
    pub balancer: String,
    pub port: u16,
    pub protocol: u8,
    /// Where it sends what no rule of its own takes; none when it answers by itself.
    pub target_groups: Vec<String>,
    /// In the order they are asked.
    pub rules: Vec<ListenerRule>,
    pub place: Place,
}

/// Requests that match go where the rule says.
#[derive(Debug, Clone)]
pub struct ListenerRule {
    pub priority: i64,
    /// Conditions on the request, all of which must hold; empty when there is none.
    pub requests: Vec<Condition>,
    /// The clients it is for; `None` for all.
    pub sources: Option<Vec<Net>>,
    pub target_groups: Vec<String>,
    pub place: Place,
}

/// One condition on a request, by a field of it: any of the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `path-pattern`, `host-header`, `http-header` ….
    pub field: String,
    /// Patterns with `*` and `?`; none where it is written in another way.
    pub values: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct TargetGroup {
    pub id: String,
    pub name: String,
    pub port: Option<u16>,
    /// `instance`, `ip`, `lambda`, `alb`.
    pub kind: String,
    /// `None` is "as the traffic".
    pub check_port: Option<u16>,
    pub preserves_client: Option<bool>,
    pub targets: Vec<(String, Option<u16>)>,
    /// The files tell which targets it has.
    pub targets_known: bool,
    pub place: Place,
}

impl TargetGroup {
    /// Registers a target, unless it is there.
    pub fn register(&mut self, target: &str, port: Option<u16>) {
        if !self.targets.iter().any(|known| known.0 == target && known.1 == port) {
            self.targets.push((target.to_owned(), port));
        }
    }

    /// Registers an instance, unless it is there on whatever port.
    pub fn register_instance(&mut self, id: &str) {
        if !self.targets.iter().any(|known| known.0 == id) {
            self.targets.push((id.to_owned(), None));
        }
    }

    /// A classic balancer has no target groups: one for each of its listeners stands for what that sends to.
    pub fn is_of_classic(&self, balancer: &str) -> bool {
        let is_port = |rest: &str| rest.strip_prefix('#').is_some_and(|port| port.parse::<u16>().is_ok());
        self.id.strip_prefix(balancer).is_some_and(is_port)
    }
}

impl Listener {
    /// Adds a rule in the order they are asked.
    pub fn add(&mut self, rule: ListenerRule) {
        let at = self.rules.partition_point(|known| known.priority <= rule.priority);
        self.rules.insert(at, rule);
    }
}

impl ListenerRule {
    /// Adds a condition. One on the client whose addresses cannot all be read may mean anybody.
    pub fn condition(&mut self, field: &str, values: &[impl AsRef<str>]) {
        let values = || values.iter().map(AsRef::as_ref);
        let nets = || values().map(Net::read).collect::<Option<Vec<Net>>>();
        match matches!(field, "source-ip" | "source_ip").then(nets).flatten() {
            Some(nets) => self.sources = Some(nets),
            None => self.requests.push(Condition {
                field: field.replace('_', "-"),
                values: values().map(str::to_owned).collect(),
            }),
        }
    }
}

impl Model {
    /// Adds a classic balancer's listener, and what it sends to.
    pub fn classic_listener(
        &mut self,
        balancer: &str,
        ports: ClassicPorts,
        instances: &[String],
        known: bool,
        place: &Place,
    ) {
        let id = format!("{balancer}#{}", ports.listener);
        self.listeners.push(Listener {
            id: id.clone(),
            balancer: balancer.to_owned(),
            port: ports.listener,
            protocol: 6,
            target_groups: vec![id.clone()],
            rules: Vec::new(),
            place: place.clone(),
        });
        let group = TargetGroup {
            id: id.clone(),
            name: format!("{balancer}:{}", ports.listener),
            port: Some(ports.instance),
            kind: "instance".to_owned(),
            check_port: ports.check,
            preserves_client: Some(false),
            targets: instances.iter().map(|one| (one.clone(), None)).collect(),
            targets_known: known,
            place: place.clone(),
        };
        self.target_groups.add(&id, group);
    }
}

/// The ports of a classic balancer: where it listens, where it sends to, where it asks for health.
#[derive(Debug, Clone, Copy)]
pub struct ClassicPorts {
    pub listener: u16,
    pub instance: u16,
    pub check: Option<u16>,
}

/// The port of `HTTP:8080/health`, `TCP:22`.
pub fn classic_check_port(target: &str) -> Option<u16> {
    target.split_once(':')?.1.split('/').next()?.parse().ok()
}

impl Model {
    /// The interfaces of an instance, the primary one first.
    pub fn interfaces_of(&self, instance: &str) -> Vec<usize> {
        let own = |each: &Interface| matches!(&each.owner, Owner::Instance(id) if id == instance);
        let mut found: Vec<(i64, usize)> = self
            .interfaces
            .iter()
            .enumerate()
            .filter(|(_, each)| own(each))
            .map(|(at, each)| (each.device, at))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, at)| at).collect()
    }
}

/// Everything.
#[derive(Debug, Default)]
pub struct Model {
    pub vpcs: Table<Vpc>,
    pub subnets: Table<Subnet>,
    pub interfaces: Table<Interface>,
    pub groups: Table<Group>,
    pub acls: Table<Acl>,
    pub tables: Table<RouteTable>,
    pub internet: Table<InternetGateway>,
    pub nats: Table<NatGateway>,
    pub peerings: Table<Peering>,
    pub exits: Table<Exit>,
    pub attachments: Vec<Attachment>,
    pub transit_tables: Table<TransitTable>,
    /// Transit gateways over which rules may name groups of other VPCs.
    pub referring: HashSet<String>,
    pub prefixes: HashMap<String, Vec<Net>>,
    pub balancers: Table<Balancer>,
    pub listeners: Vec<Listener>,
    pub target_groups: Table<TargetGroup>,
    /// Public addresses of tunnels, with the connection they belong to.
    pub tunnels: Vec<(String, IpAddr, Place)>,
    /// Names of instances.
    pub instance_names: HashMap<String, (Vec<String>, Place)>,
    /// The files are a full description of what is there, not of what will be made.
    pub described: bool,
    /// Network ACLs were among what was read.
    pub acls_told: bool,
}
