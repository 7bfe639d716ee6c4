//! Aliyun's CLB (formerly SLB), ALB and NLB from the answers of their APIs.

use super::cloud::{each, first, maps, member, number, port, timing, unchecked};
use super::{Balancer, Balancers, Check, Health, Kind, Listener, Pool, Protocol, codes};
use crate::doc::Node;
use crate::place::Place;
use std::collections::{BTreeMap, BTreeSet};

/// The names that interval, timeout, rise and fall have.
const TIMING: [&[&str]; 4] = [
    &["HealthCheckInterval"],
    &["HealthCheckTimeout", "HealthCheckConnectTimeout"],
    &["HealthyThreshold"],
    &["UnhealthyThreshold"],
];

/// Reads DescribeLoadBalancer*ListenerAttribute, DescribeLoadBalancerListeners, DescribeVServerGroupAttribute,
/// DescribeLoadBalancerAttribute, DescribeHealthStatus (CLB), ListServerGroups, ListServerGroupServers,
/// ListListeners, ListLoadBalancers and ListHealthCheckTemplates (ALB, NLB), in any order.
pub fn aliyun(documents: &[Node]) -> Balancers {
    let maps = maps(documents);
    let mut reader = Reader { maps: &maps, found: BTreeMap::new(), index: Index::new(&maps) };
    reader.server_groups();
    reader.listeners();
    reader.classic();
    reader.templates();
    let mut balancers: Vec<Balancer> = reader.found.into_values().collect();
    for balancer in &mut balancers {
        let complete = !balancer.listeners.is_empty();
        let reached: BTreeSet<&String> = balancer.listeners.iter().flat_map(|one| &one.pools).collect();
        for pool in &mut balancer.pools {
            pool.used |= !complete || reached.contains(&pool.name);
        }
    }
    Balancers { balancers, unread: Vec::new() }
}

struct Reader<'a> {
    maps: &'a [&'a Node],
    /// By their ids; "-" for what names none.
    found: BTreeMap<String, Balancer>,
    index: Index<'a>,
}

/// What of the documents is found by a name.
struct Index<'a> {
    /// What names a balancer, by its id.
    named: BTreeMap<&'a str, &'a Node>,
    /// The servers of ALB and NLB, by their group.
    servers: BTreeMap<&'a str, Vec<&'a Node>>,
    /// What has the servers of a group, and of a balancer as a whole (CLB).
    groups: BTreeMap<&'a str, &'a Node>,
    wholes: BTreeMap<&'a str, &'a Node>,
    /// Servers that were found unwell, with the port they were asked for; none for every port.
    unwell: BTreeSet<(Option<&'a str>, &'a str)>,
}

impl<'a> Index<'a> {
    fn new(maps: &[&'a Node]) -> Index<'a> {
        let (mut named, mut groups, mut wholes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for map in maps.iter().copied() {
            let balancer = map.word("LoadBalancerId");
            if let Some(id) = balancer.filter(|_| map.get("LoadBalancerName").is_some()) {
                named.entry(id).or_insert(map);
            }
            if map.get("BackendServers").is_none() {
                continue;
            }
            if let Some(group) = map.word("VServerGroupId") {
                groups.entry(group).or_insert(map);
            }
            if let Some(id) = balancer.filter(|_| map.get("ListenerPort").is_none()) {
                wholes.entry(id).or_insert(map);
            }
        }
        let mut servers: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
        for server in each(maps, "Servers") {
            servers.entry(server.word("ServerGroupId").unwrap_or_default()).or_default().push(server);
        }
        let states = each(maps, "BackendServer").into_iter();
        let abnormal = states.filter(|one| one.word("ServerHealthStatus") == Some("abnormal"));
        let unwell = abnormal.filter_map(|one| Some((one.word("ListenerPort"), one.word("ServerId")?)));
        Index { named, servers, groups, wholes, unwell: unwell.collect() }
    }

    fn is_unwell(&self, server: &Node, port: Option<&str>) -> bool {
        server
            .word("ServerId")
            .is_some_and(|id| self.unwell.contains(&(port, id)) || self.unwell.contains(&(None, id)))
    }
}

impl<'a> Reader<'a> {
    fn balancer(&mut self, id: &str, kind: Kind, place: &Place) -> &mut Balancer {
        let named = self.index.named.get(id);
        let name = named.and_then(|map| map.word("LoadBalancerName")).unwrap_or(id);
        let zones = named.map_or(&[][..], |map| map.each("ZoneMappings"));
        let subnets = zones.iter().filter_map(|zone| zone.word("VSwitchId")).map(str::to_owned).collect();
        self.found.entry(id.to_owned()).or_insert_with(|| Balancer {
            name: name.to_owned(),
            kind,
            listeners: Vec::new(),
            pools: Vec::new(),
            subnets,
            place: place.clone(),
        })
    }

    /// The groups of ALB (`HealthCheckConfig`) and NLB (`HealthCheck`).
    fn server_groups(&mut self) {
        for node in each(self.maps, "ServerGroups") {
            let Some(id) = node.word("ServerGroupId") else { continue };
            let network = node.get("HealthCheck").is_some_and(|check| !check.members().is_empty());
            let kind = if network { Kind::AliyunNetwork } else { Kind::AliyunApplication };
            let pool = self.server_group(node, id);
            let related = node.each("RelatedLoadBalancerIds").iter().filter_map(Node::text);
            let related: Vec<&str> = related.collect();
            for id in if related.is_empty() { &["-"][..] } else { &related } {
                self.balancer(id, kind, &node.place).pools.push(pool.clone());
            }
        }
    }

    fn server_group(&self, node: &Node, id: &str) -> Pool {
        let config = ["HealthCheckConfig", "HealthCheck"].iter().find_map(|key| node.get(key));
        let own = self.index.servers.get(id).into_iter().flatten();
        let members: Vec<_> = own.filter_map(|node| server(node)).collect();
        let counted = node.get("ServerCount").and_then(Node::integer);
        let related = [node.each("RelatedListenerIds"), node.each("RelatedLoadBalancerIds")];
        Pool {
            name: id.to_owned(),
            protocol: node.word("Protocol").map(Protocol::of),
            dynamic: members.is_empty() && counted != Some(0),
            members,
            health: config.map_or_else(|| unchecked(&node.place), health),
            used: related.iter().any(|list| !list.is_empty()),
            place: node.place.clone(),
        }
    }

    /// ListListeners of ALB and NLB, DescribeLoadBalancerListeners of CLB.
    fn listeners(&mut self) {
        for node in each(self.maps, "Listeners") {
            let Some(word) = node.word("ListenerProtocol") else { continue };
            let id = node.word("LoadBalancerId").unwrap_or("-");
            let config = node.members().iter().find(|(key, _)| key.ends_with("ListenerConfig"));
            if config.is_some_and(|(_, config)| config.get("HealthCheck").is_some())
                || node.get("HealthCheck").is_some()
            {
                let details = config.map_or(node, |(_, config)| config);
                self.classic_listener(node, details, Protocol::of(word));
                continue;
            }
            let mut pools: Vec<String> = node.word("ServerGroupId").map(str::to_owned).into_iter().collect();
            let actions = node.each("DefaultActions");
            let tuples = maps(actions).into_iter().filter_map(|map| map.word("ServerGroupId"));
            pools.extend(tuples.map(str::to_owned));
            let answers = pools.is_empty() && !actions.is_empty();
            let network = node.get("ServerGroupId").is_some();
            let kind = if network { Kind::AliyunNetwork } else { Kind::AliyunApplication };
            let listener = listener(node, Protocol::of(word), pools, answers);
            self.balancer(id, kind, &node.place).listeners.push(listener);
        }
    }

    /// DescribeLoadBalancer{HTTP,HTTPS,TCP,UDP}ListenerAttribute: one listener, which has the check itself.
    fn classic(&mut self) {
        let attributes: Vec<&Node> = self
            .maps
            .iter()
            .copied()
            .filter(|map| {
                map.get("ListenerPort").is_some()
                    && map.get("ListenerProtocol").is_none()
                    && (map.get("HealthCheck").is_some() || map.get("HealthCheckInterval").is_some())
            })
            .collect();
        for node in attributes {
            let has = |key: &str| node.get(key).is_some();
            let protocol = match () {
                () if has("ServerCertificateId") => Protocol::Https,
                () if has("XForwardedFor") || has("StickySession") => Protocol::Http,
                () if has("HealthCheckReq") || has("HealthCheckExp") => Protocol::Udp,
                () => Protocol::Tcp,
            };
            self.classic_listener(node, node, protocol);
        }
    }

    fn classic_listener(&mut self, node: &Node, details: &Node, protocol: Protocol) {
        let id = node.word("LoadBalancerId").unwrap_or("-");
        let group = first(node, &["VServerGroupId", "MasterSlaveServerGroupId"]);
        let name = group
            .map_or_else(|| format!("{id}:{}", node.word("ListenerPort").unwrap_or_default()), str::to_owned);
        let mut check = health(details);
        if details.word("HealthCheck") != Some("on") {
            check.check = Check::None;
        } else if check.check == Check::Other {
            check.check = match protocol {
                Protocol::Http | Protocol::Https => Check::Http,
                Protocol::Udp => Check::Udp,
                _ => Check::Tcp,
            };
        }
        let holder = match group {
            Some(group) => self.index.groups.get(group),
            None => self.index.wholes.get(id),
        };
        let servers = holder
            .map_or(&[][..], |map| map.at(&["BackendServers", "BackendServer"]).map_or(&[][..], Node::list));
        let members = servers
            .iter()
            .filter_map(|one| {
                let mut found = server(one)?;
                found.port = found.port.or(port(node, "BackendServerPort"));
                if self.index.is_unwell(one, node.word("ListenerPort")) {
                    found.down = Some("abnormal".to_owned());
                }
                Some(found)
            })
            .collect();
        let pool = Pool {
            name: name.clone(),
            protocol: Some(if protocol == Protocol::Https { Protocol::Http } else { protocol }),
            members,
            dynamic: holder.is_none(),
            health: check,
            used: true,
            place: node.place.clone(),
        };
        let forwards = node.word("ListenerForward") == Some("on");
        let listener = listener(node, protocol, vec![name], forwards);
        let balancer = self.balancer(id, Kind::AliyunClassic, &node.place);
        balancer.listeners.push(listener);
        balancer.pools.push(pool);
    }

    /// Templates stand for groups to come: their numbers are judged, their members unknown.
    fn templates(&mut self) {
        for node in each(self.maps, "HealthCheckTemplates") {
            let Some(name) = first(node, &["HealthCheckTemplateName", "HealthCheckTemplateId"]) else {
                continue;
            };
            let mut health = health(node);
            if health.check == Check::None {
                health.check = Check::Http;
            }
            let pool = Pool {
                name: name.to_owned(),
                protocol: None,
                members: Vec::new(),
                dynamic: true,
                health,
                used: true,
                place: node.place.clone(),
            };
            self.balancer("-", Kind::AliyunApplication, &node.place).pools.push(pool);
        }
    }
}

/// A check of any of the three products.
fn health(node: &Node) -> Health {
    let word = first(node, &["HealthCheckProtocol", "HealthCheckType"]);
    let enabled = node.get("HealthCheckEnabled").and_then(Node::bool) != Some(false);
    let check = match word {
        _ if !enabled => Check::None,
        Some(word) => Check::of(word),
        None => Check::Other,
    };
    let mut health = Health::new(check, &node.place);
    timing(&mut health, node, TIMING);
    // Aliyun takes the interval instead of a shorter timeout.
    if let (Some(interval_s), Some(timeout_s)) = (health.interval_s, health.timeout_s) {
        health.timeout_s = Some(timeout_s.max(interval_s));
        health.timeout_written = timeout_s > interval_s;
    }
    health.path = first(node, &["HealthCheckPath", "HealthCheckURI", "HealthCheckUrl"]).map(str::to_owned);
    // `$_ip` stands for the address of the server.
    health.host = first(node, &["HealthCheckHost", "HealthCheckDomain"])
        .filter(|host| *host != "$_ip")
        .map(str::to_owned);
    health.port = port(node, "HealthCheckConnectPort");
    let lists = ["HealthCheckCodes", "HealthCheckHttpCodes", "HealthCheckHttpCode"];
    let words: Vec<&str> = lists.iter().flat_map(|key| node.each(key)).filter_map(Node::text).collect();
    let joined = words.join(",");
    let text =
        if joined.is_empty() { first(node, &["HealthCheckHttpCode"]).unwrap_or_default() } else { &joined };
    health.expected = codes(text);
    health
}

fn server(node: &Node) -> Option<super::Member> {
    let mut found = member(first(node, &["ServerIp", "ServerId"])?, port(node, "Port"), &node.place);
    found.weight = number(node, &["Weight"]).unwrap_or(1);
    found.backup = node.word("ServerType") == Some("Slave");
    Some(found)
}

fn listener(node: &Node, protocol: Protocol, pools: Vec<String>, answers: bool) -> Listener {
    Listener {
        name: first(node, &["ListenerDescription", "Description", "ListenerId", "ListenerPort"])
            .unwrap_or_default()
            .to_owned(),
        protocol,
        address: None,
        port: port(node, "ListenerPort"),
        tls: matches!(protocol, Protocol::Https | Protocol::Tls),
        pools,
        answers,
        place: node.place.clone(),
    }
}
