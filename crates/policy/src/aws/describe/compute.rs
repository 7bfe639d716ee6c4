//! Instances, network interfaces, public addresses, databases.

use super::{ip, name_tag, texts, words};
use crate::aws::model::{Address, Interface, Model, Owner};
use crate::doc::Node;
use std::net::IpAddr;

pub fn reservation(model: &mut Model, node: &Node) -> Option<()> {
    for each in node.each("Instances") {
        instance(model, each)?;
    }
    Some(())
}

pub fn instance(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("InstanceId")?;
    if matches!(node.at(&["State", "Name"]).and_then(Node::text), Some("terminated" | "shutting-down")) {
        return Some(());
    }
    let dns =
        ["PrivateDnsName", "PublicDnsName"].into_iter().filter_map(|key| node.word(key)).map(str::to_owned);
    let names = name_tag(node).into_iter().chain(dns).filter(|name| !name.is_empty()).collect();
    model.instance_names.insert(id.to_owned(), (names, node.place.clone()));
    let windows = node.word("Platform").is_some_and(|platform| platform.eq_ignore_ascii_case("windows"));
    for each in node.each("NetworkInterfaces") {
        let mut made = read_interface(each)?;
        made.owner = Owner::Instance(id.to_owned());
        made.windows = windows;
        add(model, made);
    }
    if node.each("NetworkInterfaces").is_empty()
        && let Some(private) = ip(node, "PrivateIpAddress")
    {
        let public = ip(node, "PublicIpAddress");
        let made = Interface {
            id: id.to_owned(),
            owner: Owner::Instance(id.to_owned()),
            names: Vec::new(),
            vpc: node.word("VpcId").unwrap_or_default().to_owned(),
            subnet: node.word("SubnetId").unwrap_or_default().to_owned(),
            groups: words(node, "SecurityGroups", "GroupId"),
            addresses: vec![Address { private, public }],
            guessed: false,
            public_later: false,
            device: 0,
            windows,
            place: node.place.clone(),
        };
        add(model, made);
    }
    Some(())
}

/// Adds an interface, or to one that is there what this listing knows more: either may tell the owner.
fn add(model: &mut Model, new: Interface) {
    match model.interfaces.get_mut(&new.id) {
        Some(old) => {
            if old.owner == Owner::Other {
                old.owner = new.owner;
            }
            old.windows |= new.windows;
            old.device = old.device.max(new.device);
            if old.groups.is_empty() {
                old.groups = new.groups;
            }
            for address in new.addresses {
                match old.addresses.iter_mut().find(|known| known.private == address.private) {
                    Some(known) => known.public = known.public.or(address.public),
                    None => old.addresses.push(address),
                }
            }
        }
        None => {
            model.interfaces.add(&new.id.clone(), new);
        }
    }
}

pub fn interface(model: &mut Model, node: &Node) -> Option<()> {
    add(model, read_interface(node)?);
    Some(())
}

fn read_interface(node: &Node) -> Option<Interface> {
    let id = node.word("NetworkInterfaceId")?;
    let attached = node.at(&["Attachment", "InstanceId"]).and_then(Node::text);
    let described = node.word("Description").unwrap_or_default();
    let owner = match (attached, node.word("InterfaceType").unwrap_or_default()) {
        (Some(instance), _) => Owner::Instance(instance.to_owned()),
        (None, "nat_gateway") => Owner::NatGateway,
        (None, "network_load_balancer" | "gateway_load_balancer" | "load_balancer") => Owner::Balancer,
        (None, _) if described.starts_with("ELB ") => Owner::Balancer,
        _ => Owner::Other,
    };
    let names = name_tag(node).into_iter().chain(Some(described.to_owned()).filter(|text| !text.is_empty()));
    let mut addresses: Vec<Address> = node.each("PrivateIpAddresses").iter().filter_map(address_of).collect();
    if addresses.is_empty() {
        addresses.extend(address_of(node));
    }
    addresses.extend(node.each("Ipv6Addresses").iter().filter_map(|each| {
        let address = ip(each, "Ipv6Address").or_else(|| each.text()?.parse().ok())?;
        Some(Address { private: address, public: Some(address) })
    }));
    Some(Interface {
        id: id.to_owned(),
        owner,
        names: names.collect(),
        vpc: node.word("VpcId").unwrap_or_default().to_owned(),
        subnet: node.word("SubnetId").unwrap_or_default().to_owned(),
        groups: words(node, "Groups", "GroupId"),
        addresses,
        guessed: false,
        public_later: false,
        device: node.at(&["Attachment", "DeviceIndex"]).and_then(Node::integer).unwrap_or(0),
        windows: false,
        place: node.place.clone(),
    })
}

fn address_of(node: &Node) -> Option<Address> {
    let public = node.get("Association").and_then(|association| ip(association, "PublicIp"));
    Some(Address { private: ip(node, "PrivateIpAddress")?, public })
}

/// An elastic address: it leads to an interface or an instance.
pub fn address(model: &mut Model, node: &Node) -> Option<()> {
    let public = ip(node, "PublicIp")?;
    let private = ip(node, "PrivateIpAddress");
    let (interface, instance) = (node.word("NetworkInterfaceId"), node.word("InstanceId"));
    let is_it = |known: &&mut Interface| {
        Some(known.id.as_str()) == interface
            || interface.is_none()
                && matches!(&known.owner, Owner::Instance(id) if Some(id.as_str()) == instance)
    };
    if let Some(known) = model.interfaces.iter_mut().find(is_it) {
        let is_private = |each: &&mut Address| private.is_none_or(|private: IpAddr| each.private == private);
        if let Some(each) = known.addresses.iter_mut().find(is_private) {
            each.public = Some(public);
        }
    }
    Some(())
}

/// A database: its addresses are in the listing of interfaces, its groups here.
pub fn database(model: &mut Model, node: &Node) -> Option<()> {
    let subnets =
        node.get("DBSubnetGroup").map_or_else(Vec::new, |group| words(group, "Subnets", "SubnetIdentifier"));
    let service = Service {
        id: node.word("DBInstanceIdentifier")?,
        names: node
            .at(&["Endpoint", "Address"])
            .and_then(Node::text)
            .map(str::to_owned)
            .into_iter()
            .collect(),
        mark: "RDSNetworkInterface".to_owned(),
        subnets,
        groups: words(node, "VpcSecurityGroups", "VpcSecurityGroupId"),
        public_later: node.get("PubliclyAccessible").and_then(Node::bool) == Some(true),
    };
    service.add(model, node);
    Some(())
}

/// A search domain in a VPC.
pub fn domain(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("DomainName")?;
    let Some(options) = node.get("VPCOptions") else { return Some(()) };
    let service = Service {
        id,
        names: node.at(&["Endpoints", "vpc"]).and_then(Node::text).map(str::to_owned).into_iter().collect(),
        mark: format!("ES {id}"),
        subnets: texts(options, "SubnetIds"),
        groups: texts(options, "SecurityGroupIds"),
        public_later: false,
    };
    service.add(model, node);
    Some(())
}

/// A service that AWS runs in subnets of a VPC.
struct Service<'a> {
    id: &'a str,
    names: Vec<String>,
    /// How its interfaces are described in their own listing.
    mark: String,
    subnets: Vec<String>,
    groups: Vec<String>,
    public_later: bool,
}

impl Service<'_> {
    /// Names the interfaces it has; makes one when the files list none.
    fn add(self, model: &mut Model, node: &Node) {
        let names = || std::iter::once(self.id.to_owned()).chain(self.names.iter().cloned());
        let mut known = false;
        for interface in model.interfaces.iter_mut() {
            let is_own = interface.owner == Owner::Other
                && interface.groups == self.groups
                && self.subnets.contains(&interface.subnet)
                && interface.names.contains(&self.mark);
            if is_own {
                interface.names.extend(names());
                known = true;
            }
        }
        let Some(subnet) = self.subnets.first().filter(|_| !known) else { return };
        let vpc = model.subnets.get(subnet).map(|subnet| subnet.vpc.clone()).unwrap_or_default();
        let made = Interface {
            id: self.id.to_owned(),
            owner: Owner::Other,
            names: self.names.clone(),
            vpc,
            subnet: subnet.clone(),
            groups: self.groups.clone(),
            addresses: Vec::new(),
            guessed: true,
            public_later: self.public_later,
            device: 0,
            windows: false,
            place: node.place.clone(),
        };
        add(model, made);
    }
}
