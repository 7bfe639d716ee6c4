//! Networks, subnets, peerings, route tables and interfaces of Azure.

use super::rules::{Groups, Pair};
use super::{Files, Kind, Resource, key};
use crate::cloud::faults::{dangling, unused};
use crate::cloud::fields::{addresses, each, field, flag, last, many, reference, spans, word, words};
use crate::cloud::{Cloud, Exit, Guard, Hop, Interface, Peer, Relay, Route, Subnet};
use crate::doc::Node;
use crate::estate::Endpoint;
use crate::place::{Place, both};
use crate::read::Span;
use netwhy_model::Text;
use std::collections::HashMap;

/// Ranks of routes to one prefix: the customer's come before Azure's own.
const RANK_OWN: i64 = 0;
const RANK_SYSTEM: i64 = 1;

/// Fills in everything but the gates nobody uses.
pub(super) fn fill(cloud: &mut Cloud, files: &Files<'_>) {
    cloud.relays = files.each(Kind::Relay).iter().filter_map(|one| relay(one.node, files)).collect();
    networks(cloud, files);
    peerings(cloud, files);
    subnets(cloud, files);
    system_routes(cloud);
    let mut groups = Groups::new(files);
    subnet_guards(cloud, files, &mut groups);
    interfaces(cloud, files, &mut groups);
    for (at, group) in files.each(Kind::SecurityGroup).iter().enumerate() {
        if groups.is_used(at) {
            continue;
        }
        let name = word(group.node, "name").map_or("NSG", last);
        if let Some(pair) = groups.pair(cloud, at, None) {
            let what = both(format!("NSG {name}, inbound"), format!("NSG {name}，入方向"));
            cloud.loose.push(Guard { gate: pair.inbound, what, within_subnet: true });
            let described = !cloud.interfaces.is_empty() || !cloud.subnets.is_empty();
            let elsewhere =
                ["subnets", "networkInterfaces"].iter().any(|list| !each(group.node, list).is_empty());
            cloud.findings.extend((described && !elsewhere).then(|| unused(&group.node.place, name)));
        }
    }
}

/// A balancer, gateway or firewall that the Internet reaches, with what it leads to where that is told.
fn relay(node: &Node, files: &Files<'_>) -> Option<Relay> {
    let fronts = each(node, "frontendIPConfigurations");
    let public =
        |front: &Node| field(front, "publicIPAddress").or(field(front, "publicIpAddressId")).is_some();
    if !fronts.is_empty() && !fronts.iter().any(public) {
        return None;
    }
    let pools = field(node, "backendAddressPools").map(many);
    let id = word(node, "id").map(key);
    // Interfaces may name the pool they are in, too.
    let in_pool = |part: &Node| {
        let own = each(part, "loadBalancerBackendAddressPools").iter();
        own.filter_map(|pool| word(pool, "id"))
            .any(|pool| id.as_ref().is_some_and(|id| key(pool).starts_with(id)))
    };
    let members = || {
        let nics = files.each(Kind::Interface).iter().map(|nic| nic.node);
        let own = nics.filter(|nic| each(nic, "ipConfigurations").iter().any(in_pool));
        own.filter_map(|nic| word(nic, "name")).map(|name| last(name).to_owned())
    };
    let translated =
        each(node, "inboundNatRules").iter().filter_map(|rule| reference(rule, "backendIPConfiguration"));
    let targets = pools.and_then(|pools| {
        let mut targets: Vec<String> = translated.map(nic_of).collect();
        for pool in pools {
            for member in each(pool, "backendIPConfigurations") {
                targets.push(word(member, "id").map(nic_of)?);
            }
            for member in
                each(pool, "loadBalancerBackendAddresses").iter().chain(each(pool, "backendAddresses"))
            {
                // A name may be anybody's.
                targets.push(word(member, "ipAddress")?.to_owned());
            }
        }
        targets.extend(members());
        Some(targets)
    });
    let is_balancer =
        word(node, "type").is_none_or(|kind| kind.to_ascii_lowercase().ends_with("loadbalancers"));
    Some(Relay {
        name: word(node, "name").map_or("?", last).to_owned(),
        place: node.place.clone(),
        targets,
        keeps_client: is_balancer,
    })
}

/// The interface of `…/networkInterfaces/NAME/ipConfigurations/…`.
fn nic_of(id: &str) -> String {
    let lower = id.to_lowercase();
    let name = lower.split("/networkinterfaces/").nth(1).and_then(|rest| rest.split('/').next());
    name.map_or_else(|| last(id).to_owned(), str::to_owned)
}

fn networks(cloud: &mut Cloud, files: &Files<'_>) {
    for network in files.each(Kind::Network) {
        let node = network.node;
        let Some(id) = word(node, "id").or_else(|| word(node, "name")) else { continue };
        let at = cloud.network(&key(id), &node.place);
        let space = field(node, "addressSpace");
        let listed = space.map_or_else(Vec::new, |space| spans(space, &["addressPrefixes"]));
        let bare = spans(node, &["addressSpace"]);
        let network = &mut cloud.networks[at];
        network.known = true;
        network.name = word(node, "name").map_or_else(|| last(id), last).to_owned();
        network.spans.extend(listed.into_iter().chain(bare));
    }
}

/// The network a subnet or a peering stands in: its parent, the path of its id, or the name it gives.
fn network_of(cloud: &mut Cloud, files: &Files<'_>, resource: &Resource<'_>) -> Option<usize> {
    let node = resource.node;
    let by_id = word(node, "id").map(key).and_then(|id| {
        let at = id.find("/virtualnetworks/")? + "/virtualnetworks/".len();
        let end = id[at..].find('/').map_or(id.len(), |end| at + end);
        Some(id[..end].to_owned())
    });
    let by_parent =
        resource.parent.and_then(|parent| word(parent, "id").or_else(|| word(parent, "name"))).map(key);
    let by_name = word(node, "virtualNetworkName").map(key);
    let by_path = word(node, "name").and_then(|name| name.split_once('/')).map(|(network, _)| key(network));
    let id = by_parent.or(by_id).or(by_name).or(by_path)?;
    Some(network_at(cloud, files, &id, &node.place))
}

/// The network of an id, or of the one that has its last name.
fn network_at(cloud: &mut Cloud, files: &Files<'_>, id: &str, place: &Place) -> usize {
    let found =
        files.find(Kind::Network, id).and_then(|found| word(found.node, "id").or(word(found.node, "name")));
    let full = id.contains("/subscriptions/") && files.ids.contains_key(&(Kind::Network, key(id)));
    let id =
        if full { key(id) } else { found.filter(|_| !is_foreign(files, id)).map_or_else(|| key(id), key) };
    cloud.network(&id, place)
}

/// Whether a full id names a network that no file tells of, though one of that name may be known.
fn is_foreign(files: &Files<'_>, id: &str) -> bool {
    let id = key(id);
    let has_ids = files.each(Kind::Network).iter().any(|network| word(network.node, "id").is_some());
    id.contains("/subscriptions/") && has_ids && !files.ids.contains_key(&(Kind::Network, id))
}

fn peerings(cloud: &mut Cloud, files: &Files<'_>) {
    for peering in files.each(Kind::Peering) {
        let node = peering.node;
        let Some(at) = network_of(cloud, files, peering) else { continue };
        let Some(remote) = reference(node, "remoteVirtualNetwork").or(word(node, "remoteVirtualNetworkId"))
        else {
            continue;
        };
        let other = network_at(cloud, files, remote, &node.place);
        let connected =
            word(node, "peeringState").is_none_or(|state| state.eq_ignore_ascii_case("Connected"));
        let works = connected && flag(node, "allowVirtualNetworkAccess") != Some(false);
        let remote_spans =
            field(node, "remoteAddressSpace").map_or_else(Vec::new, |s| spans(s, &["addressPrefixes"]));
        if !cloud.networks[other].known && cloud.networks[other].spans.is_empty() {
            cloud.networks[other].spans = remote_spans;
        }
        let id = cloud.networks[other].id.clone();
        let forwards = flag(node, "allowForwardedTraffic");
        let place = node.place.clone();
        cloud.networks[at].peers.push(Peer { id, network: Some(other), works, forwards, place });
    }
}

fn subnets(cloud: &mut Cloud, files: &Files<'_>) {
    for subnet in files.each(Kind::Subnet) {
        let node = subnet.node;
        let Some(network) = network_of(cloud, files, subnet) else { continue };
        let name = word(node, "name").map_or("?", last).to_owned();
        let table = reference(node, "routeTable").and_then(|id| files.find(Kind::RouteTable, id));
        let routes = table.map_or_else(Vec::new, |table| user_routes(table.node, files));
        cloud.subnets.push(Subnet {
            id: word(node, "id").map_or_else(|| name.to_lowercase(), key),
            name,
            place: node.place.clone(),
            network,
            spans: spans(node, &["addressPrefix", "addressPrefixes"]),
            outbound: Vec::new(),
            inbound: Vec::new(),
            routes,
            strangers: None,
        });
    }
}

/// The routes of a route table.
fn user_routes(table: &Node, files: &Files<'_>) -> Vec<Route> {
    let name = word(table, "name").map_or("?", last);
    let read = |route: &Node| {
        let prefix = word(route, "addressPrefix")?;
        let hop = word(route, "nextHopType").unwrap_or_default();
        let text = format!("{prefix} → {hop} ({name})");
        let hop = match hop.to_ascii_lowercase().as_str() {
            "vnetlocal" | "virtualnetwork" => Hop::Local,
            "internet" => Hop::Internet,
            "none" => Hop::Nowhere,
            "virtualappliance" => appliance(route, files),
            _ => Hop::Other(both(
                format!("what the gateway of route {text} does with the packets"),
                format!("路由 {text} 的网关如何处理数据包"),
            )),
        };
        Some(Route { to: Span::read(prefix)?, hop, text, place: route.place.clone(), rank: RANK_OWN })
    };
    let mut routes: Vec<Route> = each(table, "routes").iter().filter_map(read).collect();
    // A service tag may be a route's prefix: which addresses it has no file tells.
    let tagged =
        |route: &&Node| word(route, "addressPrefix").is_some_and(|prefix| Span::read(prefix).is_none());
    for route in each(table, "routes").iter().filter(tagged) {
        let tag = word(route, "addressPrefix").unwrap_or_default();
        let on = both(
            format!("whether the destination is in the service tag {tag} of a route of {name}"),
            format!("目标是否属于 {name} 中路由的服务标记 {tag}"),
        );
        let to = crate::cloud::internet();
        routes.extend(to.into_iter().flat_map(|span| span.prefixes()).map(|to| Route {
            to,
            hop: Hop::Other(on.clone()),
            text: format!("{tag} ({name})"),
            place: route.place.clone(),
            rank: RANK_OWN,
        }));
    }
    routes
}

/// What an appliance does is not in the files; that its interface may not forward is.
fn appliance(route: &Node, files: &Files<'_>) -> Hop {
    let address = word(route, "nextHopIpAddress").or(word(route, "nextHopInIpAddress")).unwrap_or("?");
    let owns = |nic: &&Resource<'_>| {
        each(nic.node, "ipConfigurations").iter().any(|one| word(one, "privateIPAddress") == Some(address))
    };
    let forwards =
        files.each(Kind::Interface).iter().find(owns).and_then(|nic| flag(nic.node, "enableIPForwarding"));
    let on = both(
        format!("what the appliance {address} does with the packets"),
        format!("设备 {address} 如何处理数据包"),
    );
    match (forwards, address.parse()) {
        (Some(false), _) => Hop::Nowhere,
        (_, Ok(address)) => Hop::Appliance(address, on),
        _ => Hop::Other(on),
    }
}

/// Azure's own routes: the network, its peers, everything else to the Internet.
fn system_routes(cloud: &mut Cloud) {
    let spaces: Vec<Vec<Span>> = cloud.networks.iter().map(|network| network.spans.clone()).collect();
    for network in cloud.networks.iter_mut().filter(|network| network.known) {
        let place = network.place.clone();
        let route = |to: Span, hop: Hop, what: &str| Route {
            to,
            hop,
            text: format!("{to} → {what}"),
            place: place.clone(),
            rank: RANK_SYSTEM,
        };
        let local = network.spans.iter().map(|to| route(*to, Hop::Local, &network.name));
        let mut routes: Vec<Route> = local.collect();
        for peer in network.peers.iter().filter(|peer| peer.works) {
            let Some(at) = peer.network else { continue };
            routes.extend(spaces[at].iter().map(|to| route(*to, Hop::Peer(at), "VNet peering")));
        }
        routes.extend(Span::anywhere().into_iter().map(|to| route(to, Hop::Internet, "Internet")));
        network.routes = routes;
    }
}

fn guards(pair: &Pair, at: &str, at_zh: &str, name: &str) -> (Guard, Guard) {
    let what = |en: &str, zh: &str| {
        both(format!("NSG {name} of {at}, {en}"), format!("{at_zh} 的 NSG {name}，{zh}"))
    };
    let guard = |gate, what: Text| Guard { gate, what, within_subnet: true };
    (
        guard(pair.inbound.clone(), what("inbound", "入方向")),
        guard(pair.outbound.clone(), what("outbound", "出方向")),
    )
}

fn subnet_guards(cloud: &mut Cloud, files: &Files<'_>, groups: &mut Groups<'_, '_>) {
    for subnet in files.each(Kind::Subnet) {
        let Some(id) = group_of(files, subnet.node, "subnets") else { continue };
        let Some(at) = subnet_at(cloud, subnet.node) else { continue };
        let (network, name) = (cloud.subnets[at].network, cloud.subnets[at].name.clone());
        let Some(pair) = guarded(cloud, groups, files, &id, Some(network), &subnet.node.place) else {
            continue;
        };
        let (inbound, outbound) =
            guards(&pair, &format!("subnet {name}"), &format!("子网 {name}"), last(&id));
        cloud.subnets[at].inbound.push(inbound);
        cloud.subnets[at].outbound.push(outbound);
    }
}

/// The id of the group on a subnet or an interface: it names the group, or the group names it.
fn group_of(files: &Files<'_>, node: &Node, list: &str) -> Option<String> {
    if let Some(id) = reference(node, "networkSecurityGroup")
        .or(word(node, "networkSecurityGroupId"))
        .or(word(node, "securityGroup").filter(|id| !id.is_empty()))
    {
        return Some(id.to_owned());
    }
    let own = word(node, "id").map(key)?;
    let names = |group: &&Resource<'_>| {
        each(group.node, list).iter().filter_map(|user| word(user, "id")).any(|user| key(user) == own)
    };
    let group = files.each(Kind::SecurityGroup).iter().find(names)?;
    word(group.node, "id").or_else(|| word(group.node, "name")).map(str::to_owned)
}

fn guarded(
    cloud: &mut Cloud,
    groups: &mut Groups<'_, '_>,
    files: &Files<'_>,
    id: &str,
    network: Option<usize>,
    place: &Place,
) -> Option<Pair> {
    let pair = files.at(Kind::SecurityGroup, id).and_then(|at| groups.pair(cloud, at, network));
    if pair.is_none() {
        cloud.unread.push(crate::place::Unread::new(
            place.clone(),
            id,
            "this network security group is in no file",
            "文件中没有这个网络安全组",
        ));
        cloud.findings.push(dangling(place, last(id), None, last(id)));
        return Some(groups.unknown(last(id), place));
    }
    pair
}

fn subnet_at(cloud: &Cloud, node: &Node) -> Option<usize> {
    let id = word(node, "id").or_else(|| word(node, "name"))?;
    find_subnet(cloud, id).or_else(|| cloud.subnets.iter().position(|subnet| subnet.place == node.place))
}

fn find_subnet(cloud: &Cloud, id: &str) -> Option<usize> {
    let id = key(id);
    let exact = cloud.subnets.iter().position(|subnet| subnet.id == id);
    exact.or_else(|| {
        let name = last(&id);
        cloud.subnets.iter().position(|subnet| subnet.name.eq_ignore_ascii_case(name))
    })
}

fn interfaces(cloud: &mut Cloud, files: &Files<'_>, groups: &mut Groups<'_, '_>) {
    let mut endpoints: HashMap<String, usize> = HashMap::new();
    for resource in files.each(Kind::Interface) {
        let nic = resource.node;
        let nic_name = word(nic, "name").map_or("?", last);
        let machine = machine_of(files, nic);
        let owner = machine.clone().unwrap_or_else(|| (nic_name.to_owned(), nic.place.clone()));
        let endpoint = *endpoints.entry(owner.0.to_lowercase()).or_insert_with(|| {
            cloud.endpoints.push(Endpoint {
                id: owner.0.clone(),
                names: Vec::new(),
                addresses: Vec::new(),
                place: owner.1.clone(),
            });
            cloud.endpoints.len() - 1
        });
        let interface = interface(cloud, files, groups, nic, endpoint);
        let known = &mut cloud.endpoints[endpoint];
        known.names.extend(names(files, nic, nic_name, &owner.0));
        known.addresses.extend(interface.private.iter().chain(&interface.public));
        cloud.interfaces.push(interface);
    }
}

/// Other names of an endpoint: its interface, its host's name, its own in small letters.
fn names(files: &Files<'_>, nic: &Node, nic_name: &str, owner: &str) -> Vec<String> {
    let machine = reference(nic, "virtualMachine").and_then(|id| files.find(Kind::Machine, id));
    let profile = machine.and_then(|machine| field(machine.node, "osProfile"));
    let host = profile.and_then(|profile| word(profile, "computerName"));
    let small = owner.to_lowercase();
    let mut names: Vec<String> =
        [nic_name, small.as_str()].into_iter().chain(host).map(str::to_owned).collect();
    names.retain(|name| name != owner);
    names.dedup();
    names
}

/// The machine of an interface: its name and place.
fn machine_of(files: &Files<'_>, nic: &Node) -> Option<(String, Place)> {
    let named = reference(nic, "virtualMachine").map(|id| {
        let machine = files.find(Kind::Machine, id);
        let name = machine.and_then(|machine| word(machine.node, "name")).unwrap_or(last(id));
        (name.to_owned(), machine.map_or(&nic.place, |machine| &machine.node.place).clone())
    });
    named.or_else(|| {
        let names = [word(nic, "id").map(key), word(nic, "name").map(key)];
        let has = |machine: &&Resource<'_>| {
            let profile = field(machine.node, "networkProfile").unwrap_or(machine.node);
            let own = each(profile, "networkInterfaces").iter().filter_map(|one| word(one, "id"));
            let listed = words(machine.node, "networkInterfaceIds");
            own.chain(listed).any(|id| names.contains(&Some(key(id))) || names[1] == Some(key(last(id))))
        };
        let machine = files.each(Kind::Machine).iter().find(has)?;
        Some((word(machine.node, "name")?.to_owned(), machine.node.place.clone()))
    })
}

fn interface(
    cloud: &mut Cloud,
    files: &Files<'_>,
    groups: &mut Groups<'_, '_>,
    nic: &Node,
    endpoint: usize,
) -> Interface {
    let mut one = Interface {
        endpoint,
        place: nic.place.clone(),
        private: Vec::new(),
        public: Vec::new(),
        network: None,
        subnet: None,
        outbound: Vec::new(),
        inbound: Vec::new(),
        exit: Exit::Unknown(both(
            "whether the subnet has a way out: it is in no file",
            "子网是否有出口：文件中没有该子网",
        )),
        published: false,
        routes: Vec::new(),
        shut: None,
    };
    let mut standard = false;
    for part in each(nic, "ipConfigurations") {
        one.private.extend(addresses(part, &["privateIPAddress"]));
        if let Some(id) = reference(part, "subnet").or(word(part, "subnetId")) {
            one.subnet = one.subnet.or_else(|| find_subnet(cloud, id));
        }
        standard |= publish(&mut one, files, part);
    }
    one.network = one.subnet.map(|at| cloud.subnets[at].network);
    if let Some(at) = one.subnet {
        one.exit = exit(files, &cloud.subnets[at], nic);
    }
    if let Some(id) = group_of(files, nic, "networkInterfaces")
        && let Some(pair) = guarded(cloud, groups, files, &id, one.network, &nic.place)
    {
        let name = word(nic, "name").map_or("?", last);
        let (inbound, outbound) =
            guards(&pair, &format!("interface {name}"), &format!("网卡 {name}"), last(&id));
        one.inbound.push(inbound);
        one.outbound.push(outbound);
    }
    let bare = one.inbound.is_empty() && one.subnet.is_none_or(|at| cloud.subnets[at].inbound.is_empty());
    // "Standard public IPs are secure by default": closed to the Internet until a group allows it.
    one.shut = (standard && bare).then(|| {
        both(
            "a Standard public address without a network security group lets nothing in",
            "标准版公网 IP 在没有网络安全组时不允许任何入站流量",
        )
    });
    one
}

/// The public address of one configuration; whether it is of the Standard kind.
fn publish(one: &mut Interface, files: &Files<'_>, part: &Node) -> bool {
    let Some(address) = field(part, "publicIPAddress").or_else(|| field(part, "publicIpAddressId")) else {
        return false;
    };
    let id = address.text().or_else(|| word(address, "id"));
    let resource = id.and_then(|id| files.find(Kind::PublicAddress, id)).map_or(address, |found| found.node);
    let spelt = addresses(resource, &["ipAddress"]);
    one.published = spelt.is_empty();
    one.public.extend(spelt);
    let sku = field(resource, "sku").and_then(|sku| sku.text().or_else(|| word(sku, "name")));
    sku.is_some_and(|sku| sku.eq_ignore_ascii_case("Standard"))
}

fn exit(files: &Files<'_>, subnet: &Subnet, nic: &Node) -> Exit {
    let node = files.each(Kind::Subnet).iter().find(|one| one.node.place == subnet.place).map(|one| one.node);
    let named = node.and_then(|node| reference(node, "natGateway"));
    let lists = |gateway: &&Resource<'_>| {
        each(gateway.node, "subnets").iter().filter_map(|one| word(one, "id")).any(|id| key(id) == subnet.id)
    };
    if let Some(gateway) = files.each(Kind::NatGateway).iter().find(lists) {
        return Exit::Yes(both("a NAT gateway of the subnet", "子网的 NAT 网关"), gateway.node.place.clone());
    }
    if named.is_some() {
        return Exit::Yes(both("a NAT gateway of the subnet", "子网的 NAT 网关"), subnet.place.clone());
    }
    let closed = node.and_then(|node| flag(node, "defaultOutboundAccess")) == Some(false)
        || flag(nic, "defaultOutboundConnectivityEnabled") == Some(false);
    match (closed, files.each(Kind::Relay).is_empty()) {
        (true, true) => Exit::No(both(
            "the subnet is private (no default outbound access) and has no NAT gateway; no public address",
            "子网是私有的（没有默认出站访问），没有 NAT 网关，也没有公网 IP",
        )),
        (true, false) => Exit::Unknown(both(
            "whether a load balancer or firewall gives the private subnet a way out",
            "负载均衡或防火墙是否为该私有子网提供出口",
        )),
        _ => Exit::Yes(both("Azure's default outbound access", "Azure 的默认出站访问"), subnet.place.clone()),
    }
}
