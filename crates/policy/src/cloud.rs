//! One model of a cloud's networks, whoever's: networks, subnets, interfaces, routes, and the gates on them.
//!
//! A reader of a vendor's files fills it in; the way of a packet through it is the same for all (see `cloud/way.rs`).

pub(crate) mod change;
pub(crate) mod facts;
pub(crate) mod faults;
pub(crate) mod fields;
pub(crate) mod list;
pub(crate) mod notes;
mod route;
pub(crate) mod shape;
mod way;

pub(crate) use route::{Hop, Route};
pub(crate) use way::internet;

use crate::doc::Node;
use crate::estate::{Ask, Endpoint, Estate, Fix, Step};
use crate::finding::Finding;
use crate::gate::Gate;
use crate::place::{Place, Unread};
use crate::read::Span;
use crate::space::Cube;
use crate::terraform::Resource;
use crate::{aliyun, azure, gcp, huawei, tencent};
use netwhy_model::Text;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A list of rules on the way, as one who meets it calls it.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    pub gate: Arc<Gate>,
    /// "NSG web-nsg of subnet web, inbound".
    pub what: Text,
    /// Asked too when both ends are in one subnet.
    pub within_subnet: bool,
}

/// Whether packets of an interface without a public address of its own reach the Internet.
#[derive(Debug, Clone)]
pub(crate) enum Exit {
    Yes(Text, Place),
    No(Text),
    Unknown(Text),
}

#[derive(Debug, Clone)]
pub(crate) struct Interface {
    /// In the endpoints.
    pub endpoint: usize,
    pub place: Place,
    pub private: Vec<IpAddr>,
    pub public: Vec<IpAddr>,
    pub network: Option<usize>,
    pub subnet: Option<usize>,
    /// In the order they are asked, those of the subnet aside.
    pub outbound: Vec<Guard>,
    pub inbound: Vec<Guard>,
    pub exit: Exit,
    /// It has a public address that no file spells.
    pub published: bool,
    /// Routes that only some interfaces have.
    pub routes: Vec<Route>,
    /// What keeps the Internet out although there is a public address.
    pub shut: Option<Text>,
}

#[derive(Debug, Clone)]
pub(crate) struct Subnet {
    pub id: String,
    pub name: String,
    pub place: Place,
    pub network: usize,
    pub spans: Vec<Span>,
    pub outbound: Vec<Guard>,
    pub inbound: Vec<Guard>,
    /// Of the route table of this subnet.
    pub routes: Vec<Route>,
    /// What guards addresses of it that no interface of the files has: outbound, inbound.
    pub strangers: Option<(Guard, Guard)>,
}

/// A network seen from another: both must agree.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// As the file calls the other network.
    pub id: String,
    pub network: Option<usize>,
    pub works: bool,
    /// Takes packets of neither network that an appliance sends on; `None` when it is not told.
    pub forwards: Option<bool>,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub id: String,
    pub name: String,
    pub place: Place,
    /// A file tells of it; else only others mention it.
    pub known: bool,
    pub spans: Vec<Span>,
    pub peers: Vec<Peer>,
    /// Those of every subnet.
    pub routes: Vec<Route>,
}

/// What a change of a gate must know of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owner {
    /// The group, list or network that would get the rule.
    pub group: String,
    /// Resource group, region, project: what the command needs besides.
    pub scope: String,
    pub inbound: bool,
    /// The priority or number of each rule of the gate, in its order.
    pub priorities: Vec<i64>,
    /// Which kind of list it is, where a vendor has several.
    pub list: &'static str,
}

/// What differs between vendors once everything is read.
pub(crate) struct Vendor {
    pub title: (&'static str, &'static str),
    /// Outgoing TCP 25 is blocked for most customers, whatever the rules say.
    pub smtp_blocked: bool,
    pub allow: fn(&Owner, &Gate, &[Cube]) -> Vec<Fix>,
    /// What connects two networks, and what gives an interface a public address.
    pub connect: fn(&Network, &Network) -> Vec<Fix>,
    pub publish: fn(&Endpoint) -> Vec<Fix>,
}

/// One vendor's reader, for those that look for the right one.
pub struct Reader {
    /// `azure`, `gcp`, `aliyun`, `tencent`, `huawei`.
    pub name: &'static str,
    /// Whether a document of JSON holds something of this vendor.
    pub claims: fn(&Node) -> bool,
    /// The resources of this vendor's Terraform provider, as documents for `read`.
    pub terraform: fn(&[Resource]) -> Vec<Node>,
    pub read: fn(&[Node], Vec<Unread>) -> Cloud,
}

/// Every reader of a cloud that has this model.
pub const READERS: [Reader; 5] = [
    Reader { name: "azure", claims: azure::claims, terraform: azure::terraform, read: azure::read },
    Reader { name: "gcp", claims: gcp::claims, terraform: gcp::terraform, read: gcp::read },
    Reader { name: "aliyun", claims: aliyun::claims, terraform: aliyun::terraform, read: aliyun::read },
    Reader { name: "tencent", claims: tencent::claims, terraform: tencent::terraform, read: tencent::read },
    Reader { name: "huawei", claims: huawei::claims, terraform: huawei::terraform, read: huawei::read },
];

/// A vendor's files, read.
pub struct Cloud {
    pub(crate) vendor: &'static Vendor,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) networks: Vec<Network>,
    /// Every list of rules.
    pub(crate) lists: Vec<Arc<Gate>>,
    /// Lists for incoming packets that nobody in the files uses, or that guard whole networks.
    pub(crate) loose: Vec<Guard>,
    pub(crate) owners: HashMap<String, Owner>,
    pub(crate) unread: Vec<Unread>,
    pub(crate) findings: Vec<Finding>,
    /// What may lead from the Internet to interfaces without a public address of their own.
    pub(crate) relays: Vec<Relay>,
}

/// A load balancer or address translation that the Internet reaches.
#[derive(Debug, Clone)]
pub(crate) struct Relay {
    pub name: String,
    pub place: Place,
    /// Instances, interfaces and addresses it leads to; `None` when no file tells.
    pub targets: Option<Vec<String>>,
    /// Packets keep the address of the client.
    pub keeps_client: bool,
}

impl Relay {
    /// Whether it leads to something of one of these names or addresses; `None` when it is not known.
    pub(crate) fn leads_to(&self, names: &[&str]) -> Option<bool> {
        let targets = self.targets.as_ref()?;
        Some(targets.iter().any(|target| names.iter().any(|name| name.eq_ignore_ascii_case(target))))
    }
}

impl Cloud {
    pub(crate) fn new(vendor: &'static Vendor, unread: Vec<Unread>) -> Cloud {
        Cloud {
            vendor,
            endpoints: Vec::new(),
            interfaces: Vec::new(),
            subnets: Vec::new(),
            networks: Vec::new(),
            lists: Vec::new(),
            loose: Vec::new(),
            owners: HashMap::new(),
            unread,
            findings: Vec::new(),
            relays: Vec::new(),
        }
    }

    /// Whether the files held anything of this vendor.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.interfaces.is_empty() && self.networks.is_empty()
    }

    /// The network of this id or name; one that only others mention is made.
    pub(crate) fn network(&mut self, id: &str, place: &Place) -> usize {
        let same = |network: &Network| network.id.eq_ignore_ascii_case(id);
        if let Some(at) = self.networks.iter().position(same) {
            return at;
        }
        self.networks.push(Network {
            id: id.to_owned(),
            name: id.rsplit('/').next().unwrap_or(id).to_owned(),
            place: place.clone(),
            known: false,
            spans: Vec::new(),
            peers: Vec::new(),
            routes: Vec::new(),
        });
        self.networks.len() - 1
    }
}

impl Estate for Cloud {
    fn title(&self) -> Text {
        crate::place::both(self.vendor.title.0, self.vendor.title.1)
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn unread(&self) -> &[Unread] {
        &self.unread
    }

    fn gates(&self) -> Vec<Arc<Gate>> {
        self.lists.clone()
    }

    fn way(&self, ask: &Ask) -> Vec<Step> {
        way::way(self, ask)
    }

    fn allow(&self, gate: &Gate, packets: &[Cube]) -> Vec<Fix> {
        self.owners.get(&gate.name).map_or_else(Vec::new, |owner| (self.vendor.allow)(owner, gate, packets))
    }
}
