//! Networks, subnetworks, routes, peerings and instances of Google Cloud.

use super::policy::levels;
use super::rules::{For, Lists, Member, Target};
use super::{Files, Kind, key, same};
use crate::cloud::faults::dangling;
use crate::cloud::fields::{addresses, each, field, flag, integer, last, many, spans, word, words};
use crate::cloud::{Cloud, Exit, Guard, Hop, Interface, Peer, Relay, Route, Subnet};
use crate::doc::Node;
use crate::estate::Endpoint;
use crate::place::{Place, both};
use crate::read::Span;
use std::sync::Arc;

/// "A subnet route always has the highest priority."
const RANK_SUBNET: i64 = -1;
/// The default route that every new network has.
const RANK_DEFAULT: i64 = 1000;

pub(super) fn fill(cloud: &mut Cloud, files: &Files<'_>) {
    cloud.relays = files.each(Kind::Relay).iter().filter_map(|rule| relay(rule, files)).collect();
    for node in files.each(Kind::Network) {
        let Some(link) = word(node, "selfLink").or(word(node, "name")) else { continue };
        let at = network(cloud, link, &node.place);
        cloud.networks[at].known = true;
    }
    subnetworks(cloud, files);
    peerings(cloud, files);
    routes(cloud, files);
    let mut lists = Lists::new(files, members(files), levels(files));
    strangers(cloud, &mut lists);
    instances(cloud, files, &mut lists);
    whole_lists(cloud, files, &mut lists);
    tags(cloud, files);
}

/// A forwarding rule that the Internet reaches; its targets where it leads to a pool or an instance of the files.
fn relay(rule: &Node, files: &Files<'_>) -> Option<Relay> {
    let scheme = word(rule, "loadBalancingScheme").unwrap_or("EXTERNAL");
    if scheme.starts_with("INTERNAL") {
        return None;
    }
    let target = word(rule, "target").unwrap_or_default();
    let named = |kind: Kind| files.each(kind).iter().find(|one| word(one, "name") == Some(last(target)));
    let targets = match () {
        () if target.contains("/targetPools/") => named(Kind::TargetPool)
            .map(|pool| words(pool, "instances").into_iter().map(|one| last(one).to_owned()).collect()),
        () if target.contains("/targetInstances/") => named(Kind::TargetInstance)
            .and_then(|one| word(one, "instance"))
            .map(|instance| vec![last(instance).to_owned()]),
        () => None,
    };
    Some(Relay {
        name: word(rule, "name").map_or("?", last).to_owned(),
        place: rule.place.clone(),
        // Proxies connect by themselves.
        keeps_client: !target.contains("Proxies/"),
        targets,
    })
}

/// Tags and accounts that rules name and no instance has.
fn tags(cloud: &mut Cloud, files: &Files<'_>) {
    let members = members(files);
    if members.is_empty() {
        return;
    }
    let known: Vec<&String> =
        members.iter().flat_map(|member| member.target.tags.iter().chain(&member.target.accounts)).collect();
    for (number, rule) in files.each(Kind::Firewall).iter().enumerate() {
        let within = last(word(rule, "network").unwrap_or("default"));
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        for list in ["targetTags", "targetServiceAccounts", "sourceTags", "sourceServiceAccounts"] {
            let gone = words(rule, list).into_iter().filter(|tag| !known.iter().any(|own| own == tag));
            cloud.findings.extend(gone.map(|tag| dangling(&rule.place, within, Some(number), tag)));
        }
    }
}

/// The number of a network by its link or bare name.
fn network(cloud: &mut Cloud, link: &str, place: &Place) -> usize {
    let found = cloud.networks.iter().position(|network| same(&network.id, link));
    found.unwrap_or_else(|| cloud.network(&key(link), place))
}

fn subnetworks(cloud: &mut Cloud, files: &Files<'_>) {
    for node in files.each(Kind::Subnetwork) {
        let at = network(cloud, word(node, "network").unwrap_or("default"), &node.place);
        let mut own = spans(node, &["ipCidrRange", "ipv6CidrRange", "internalIpv6Prefix"]);
        for range in each(node, "secondaryIpRanges") {
            own.extend(spans(range, &["ipCidrRange"]));
        }
        let name = word(node, "name").map_or("?", last).to_owned();
        let id = word(node, "selfLink").map_or_else(|| name.clone(), key);
        cloud.networks[at].known = true;
        cloud.networks[at].spans.extend(&own);
        for to in &own {
            let text = format!("{to} → {name}");
            let place = node.place.clone();
            cloud.networks[at].routes.push(Route {
                to: *to,
                hop: Hop::Local,
                text,
                place,
                rank: RANK_SUBNET,
            });
        }
        cloud.subnets.push(Subnet {
            id,
            name,
            place: node.place.clone(),
            network: at,
            spans: own,
            outbound: Vec::new(),
            inbound: Vec::new(),
            routes: Vec::new(),
            strangers: None,
        });
    }
}

fn peerings(cloud: &mut Cloud, files: &Files<'_>) {
    for node in files.each(Kind::Network) {
        let Some(link) = word(node, "selfLink").or(word(node, "name")) else { continue };
        let at = network(cloud, link, &node.place);
        for peering in each(node, "peerings") {
            let Some(other) = word(peering, "network").or(word(peering, "peerNetwork")) else { continue };
            let other = network(cloud, other, &peering.place);
            let works = word(peering, "state").is_none_or(|state| state.eq_ignore_ascii_case("ACTIVE"))
                && flag(peering, "exchangeSubnetRoutes") != Some(false);
            let id = cloud.networks[other].id.clone();
            let place = peering.place.clone();
            cloud.networks[at].peers.push(Peer {
                id,
                network: Some(other),
                works,
                forwards: Some(true),
                place,
            });
        }
    }
    let spaces: Vec<Vec<Span>> = cloud.networks.iter().map(|network| network.spans.clone()).collect();
    for network in &mut cloud.networks {
        let working = network.peers.iter().filter(|peer| peer.works);
        let reached = working.filter_map(|peer| peer.network.map(|at| (at, peer.place.clone())));
        let routes: Vec<Route> = reached
            .flat_map(|(at, place)| {
                spaces[at].iter().map(move |to| Route {
                    to: *to,
                    hop: Hop::Peer(at),
                    text: format!("{to} → peering"),
                    place: place.clone(),
                    rank: RANK_SUBNET,
                })
            })
            .collect();
        network.routes.extend(routes);
    }
}

fn routes(cloud: &mut Cloud, files: &Files<'_>) {
    for node in files.each(Kind::Route).iter().filter(|node| words(node, "tags").is_empty()) {
        let at = network(cloud, word(node, "network").unwrap_or("default"), &node.place);
        cloud.networks[at].routes.extend(route(node, files));
    }
    let listed = |id: &str| {
        files
            .each(Kind::Route)
            .iter()
            .any(|node| word(node, "network").is_some_and(|network| same(network, id)))
    };
    for network in cloud.networks.iter_mut().filter(|network| network.known && !listed(&network.id)) {
        let place = network.place.clone();
        network.routes.extend(Span::anywhere().into_iter().map(|to| Route {
            to,
            hop: Hop::Internet,
            text: format!("{to} → default-internet-gateway"),
            place: place.clone(),
            rank: RANK_DEFAULT,
        }));
    }
}

fn route(node: &Node, files: &Files<'_>) -> Option<Route> {
    let to = Span::read(word(node, "destRange")?)?;
    let (name, hop) = hop(node, files);
    let text = format!("{to} → {name} ({})", word(node, "name").unwrap_or("?"));
    let rank = match hop {
        Hop::Local | Hop::Peer(_) => RANK_SUBNET,
        _ => integer(node, "priority").unwrap_or(RANK_DEFAULT),
    };
    Some(Route { to, hop, text, place: node.place.clone(), rank })
}

fn hop(node: &Node, files: &Files<'_>) -> (String, Hop) {
    if let Some(gateway) = word(node, "nextHopGateway") {
        return (last(gateway).to_owned(), Hop::Internet);
    }
    if word(node, "nextHopNetwork").or(word(node, "nextHopPeering")).is_some() {
        return ("network".to_owned(), Hop::Local);
    }
    let names = [
        "nextHopInstance",
        "nextHopIp",
        "nextHopIlb",
        "nextHopVpnTunnel",
        "nextHopInterconnectAttachment",
        "nextHopHub",
    ];
    let next = names.iter().find_map(|name| word(node, name)).map_or("?", last);
    let instance = files.each(Kind::Instance).iter().find(|instance| {
        let has = |one: &Node| word(one, "networkIP") == Some(next);
        word(instance, "name") == Some(next) || each(instance, "networkInterfaces").iter().any(has)
    });
    let hop = match instance.map(|instance| flag(instance, "canIpForward").unwrap_or(false)) {
        Some(false) => Hop::Nowhere,
        _ => Hop::Other(both(
            format!("what the next hop {next} does with the packets"),
            format!("下一跳 {next} 如何处理数据包"),
        )),
    };
    (next.to_owned(), hop)
}

/// How an interface of an instance is chosen by rules.
fn target(instance: &Node, interface: &Node) -> Target {
    let tags = field(instance, "tags");
    let items = tags.map_or_else(Vec::new, |tags| {
        let list = tags.get("items").unwrap_or(tags);
        many(list).iter().filter_map(Node::text).map(str::to_owned).collect()
    });
    let zone = word(instance, "zone").map_or("", last);
    let accounts = each(instance, "serviceAccounts").iter().filter_map(|one| word(one, "email"));
    Target {
        network: key(word(interface, "network").unwrap_or("default")),
        region: zone.rsplit_once('-').map_or("", |(region, _)| region).to_owned(),
        instance: word(instance, "name").unwrap_or("?").to_owned(),
        tags: items,
        accounts: accounts.map(str::to_owned).collect(),
    }
}

fn members(files: &Files<'_>) -> Vec<Member> {
    let of = |instance: &&Node| -> Vec<Member> {
        let interfaces = each(instance, "networkInterfaces").iter();
        interfaces
            .map(|one| Member {
                target: target(instance, one),
                addresses: addresses(one, &["networkIP", "ipv6Address"]),
            })
            .collect()
    };
    files.each(Kind::Instance).iter().flat_map(of).collect()
}

fn guards(inbound: Arc<crate::gate::Gate>, outbound: Arc<crate::gate::Gate>, who: &str) -> (Guard, Guard) {
    let guard = |gate, en: &str, zh: &str| Guard {
        gate,
        what: both(format!("firewall of {who}, {en}"), format!("{who} 的防火墙，{zh}")),
        within_subnet: true,
    };
    (guard(outbound, "egress", "出方向"), guard(inbound, "ingress", "入方向"))
}

/// Addresses of subnets that no instance of the files has meet the rules for everybody.
fn strangers(cloud: &mut Cloud, lists: &mut Lists<'_, '_>) {
    for at in 0..cloud.subnets.len() {
        let id = cloud.networks[cloud.subnets[at].network].id.clone();
        let inbound = lists.list(cloud, For::Anybody(&id), true);
        let outbound = lists.list(cloud, For::Anybody(&id), false);
        cloud.subnets[at].strangers = Some(guards(inbound, outbound, last(&id)));
    }
}

fn instances(cloud: &mut Cloud, files: &Files<'_>, lists: &mut Lists<'_, '_>) {
    for instance in files.each(Kind::Instance) {
        let name = word(instance, "name").unwrap_or("?");
        let taken = cloud.endpoints.iter().any(|endpoint| endpoint.id == name);
        let zone = word(instance, "zone").map_or("", last);
        let id = if taken { format!("{zone}/{name}") } else { name.to_owned() };
        let hosts = word(instance, "hostname").map(str::to_owned);
        cloud.endpoints.push(Endpoint {
            id,
            names: hosts.into_iter().collect(),
            addresses: Vec::new(),
            place: instance.place.clone(),
        });
        let endpoint = cloud.endpoints.len() - 1;
        for one in each(instance, "networkInterfaces") {
            let interface = interface(cloud, files, lists, instance, one, endpoint);
            let all = interface.private.iter().chain(&interface.public);
            cloud.endpoints[endpoint].addresses.extend(all);
            cloud.interfaces.push(interface);
        }
    }
}

fn interface(
    cloud: &mut Cloud,
    files: &Files<'_>,
    lists: &mut Lists<'_, '_>,
    instance: &Node,
    node: &Node,
    endpoint: usize,
) -> Interface {
    let target = target(instance, node);
    let at = network(cloud, &target.network, &node.place);
    let target = Target { network: cloud.networks[at].id.clone(), ..target };
    let inbound = lists.list(cloud, For::One(&target), true);
    let outbound = lists.list(cloud, For::One(&target), false);
    let (outbound, inbound) = guards(inbound, outbound, &target.instance);
    let configs = || each(node, "accessConfigs").iter().chain(each(node, "ipv6AccessConfigs"));
    let public: Vec<_> = configs().flat_map(|config| addresses(config, &["natIP", "externalIpv6"])).collect();
    let private = addresses(node, &["networkIP", "ipv6Address"]);
    let link = word(node, "subnetwork").map(key);
    let by_link = |subnet: &Subnet| {
        subnet.network == at
            && link.as_ref().is_some_and(|link| subnet.id == *link || last(&subnet.id) == last(link))
    };
    let by_address = |subnet: &Subnet| {
        subnet.network == at && private.iter().any(|own| subnet.spans.iter().any(|span| span.has(*own)))
    };
    let subnet = cloud.subnets.iter().position(by_link).or_else(|| cloud.subnets.iter().position(by_address));
    let tagged = |route: &&&Node| {
        let tags = words(route, "tags");
        tags.iter().any(|tag| target.tags.iter().any(|own| own == tag))
            && word(route, "network").is_some_and(|network| same(network, &target.network))
    };
    let routes =
        files.each(Kind::Route).iter().filter(tagged).filter_map(|node| route(node, files)).collect();
    Interface {
        endpoint,
        place: node.place.clone(),
        published: public.is_empty() && configs().next().is_some(),
        private,
        public,
        network: Some(at),
        subnet,
        outbound: vec![outbound],
        inbound: vec![inbound],
        exit: exit(files, cloud, at, &target.region),
        routes,
        shut: None,
    }
}

/// Without an external address only Cloud NAT leads out; it is a part of a router.
fn exit(files: &Files<'_>, cloud: &Cloud, network: usize, region: &str) -> Exit {
    let id = &cloud.networks[network].id;
    let ours = |router: &&&Node| word(router, "network").is_some_and(|network| same(network, id));
    let near = |router: &&&Node| {
        word(router, "region").is_none_or(|there| last(there) == region || region.is_empty())
    };
    let mut routers = files.each(Kind::Router).iter().filter(ours).filter(near);
    let nat = routers.clone().find(|router| !each(router, "nats").is_empty());
    match (nat, routers.next()) {
        (Some(router), _) => {
            Exit::Yes(both("Cloud NAT of the network", "网络的 Cloud NAT"), router.place.clone())
        }
        (None, Some(_)) => Exit::No(both(
            "no external address, and no router of the network has Cloud NAT",
            "没有外部地址，网络的路由器也没有 Cloud NAT",
        )),
        _ if cloud.networks[network].known => Exit::Unknown(both(
            "whether the network has Cloud NAT: no router is in the files",
            "网络是否有 Cloud NAT：文件中没有路由器",
        )),
        _ => Exit::Yes(
            both(
                "no file tells of Cloud NAT; only the rules are asked",
                "文件中没有 Cloud NAT 的信息；只判断规则",
            ),
            cloud.networks[network].place.clone(),
        ),
    }
}

/// Every network's whole list, for checks; asked too where no file tells of a subnet or an instance.
fn whole_lists(cloud: &mut Cloud, files: &Files<'_>, lists: &mut Lists<'_, '_>) {
    let mut networks: Vec<String> = Vec::new();
    let named =
        files.each(Kind::Firewall).iter().map(|rule| (word(rule, "network").unwrap_or("default"), rule));
    let policies = lists.levels.iter().map(|level| (level.first_network(), &level.node));
    for (link, node) in named.chain(policies) {
        let at = network(cloud, link, &node.place);
        let id = cloud.networks[at].id.clone();
        if !networks.contains(&id) {
            networks.push(id);
        }
    }
    for at in 0..lists.levels.len() {
        for inbound in [true, false] {
            let mut unread = Vec::new();
            cloud.lists.extend(lists.policy(at, inbound, &mut unread).map(Arc::new));
            cloud.unread.extend(unread);
        }
    }
    for id in networks {
        for inbound in [true, false] {
            let mut unread = Vec::new();
            cloud.lists.extend(lists.whole(&id, inbound, &mut unread).map(Arc::new));
            cloud.unread.extend(unread);
        }
        if cloud.interfaces.is_empty() && cloud.subnets.is_empty() {
            let inbound = lists.list(cloud, For::Anybody(&id), true);
            let outbound = lists.list(cloud, For::Anybody(&id), false);
            cloud.loose.push(guards(inbound, outbound, last(&id)).1);
        }
    }
}
