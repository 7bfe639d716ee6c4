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
    /// What the descriptions of its interfaces hold: `ELB app/NAME/ID`.
    pub fn mark(&self) -> String {
        format!("/{}/", self.name)
    }
}

#[derive(Debug, Clone)]
pub struct Listener {
    pub balancer: String,
    pub port: u16,
    pub protocol: u8,
    pub target_groups: Vec<String>,
    pub place: Place,
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
