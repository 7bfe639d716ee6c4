//! Google Cloud load balancing from what `gcloud compute … list --format=json` prints.

use super::cloud::{each, first, last, maps, member, port, timing, unchecked};
use super::{Balancer, Balancers, Check, Health, Kind, Listener, Pool, Protocol};
use crate::doc::Node;
use crate::place::{Place, both};
use std::collections::{BTreeMap, BTreeSet};

/// What stands between a forwarding rule and a service.
const ROUTES: [&str; 6] =
    ["urlMap", "targetHttpProxy", "targetHttpsProxy", "targetTcpProxy", "targetSslProxy", "targetGrpcProxy"];

/// Reads health checks, backend services, target pools, forwarding rules, proxies, URL maps and what get-health
/// prints, in any order.
pub fn gcp(documents: &[Node]) -> Balancers {
    let maps = maps(documents);
    let of = |kinds: &'static [&'static str]| {
        maps.iter().copied().filter(move |map| kind(map).is_some_and(|kind| kinds.contains(&kind)))
    };
    let checks: BTreeMap<&str, Health> = of(&["healthCheck", "httpHealthCheck", "httpsHealthCheck"])
        .filter_map(|node| Some((node.word("name")?, health(node))))
        .collect();
    let mut pools: Vec<Pool> =
        of(&["backendService", "targetPool"]).map(|node| pool(node, &checks)).collect();
    let used_checks: BTreeSet<&str> = of(&["backendService", "targetPool"])
        .flat_map(|node| node.each("healthChecks"))
        .filter_map(Node::text)
        .map(last)
        .collect();
    let loose = checks
        .iter()
        .filter(|(name, _)| !used_checks.contains(*name))
        .map(|(name, health)| lonely(name, health));
    pools.extend(loose);
    states(&maps, &mut pools);
    let mut routes: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in of(&ROUTES) {
        routes.entry(node.word("name").unwrap_or_default()).or_default().push(node);
    }
    let names: BTreeSet<String> = pools.iter().map(|pool| pool.name.clone()).collect();
    let listeners: Vec<Listener> =
        of(&["forwardingRule"]).map(|node| listener(node, &routes, &names)).collect();
    let reached: BTreeSet<&String> = listeners.iter().flat_map(|listener| &listener.pools).collect();
    let complete = !listeners.is_empty();
    for pool in &mut pools {
        pool.used |= !complete || reached.contains(&pool.name);
    }
    let Some(first) = documents.first().filter(|_| !pools.is_empty() || !listeners.is_empty()) else {
        return Balancers::default();
    };
    let place = Place::whole(&first.place.file);
    let balancer =
        Balancer { name: "gcp".to_owned(), kind: Kind::Gcp, listeners, pools, subnets: Vec::new(), place };
    Balancers { balancers: vec![balancer], unread: Vec::new() }
}

/// What an object is: by its `kind`, else by what it has.
fn kind(node: &Node) -> Option<&str> {
    if let Some(kind) = node.word("kind") {
        return kind.strip_prefix("compute#");
    }
    let has = |key: &str| node.get(key).is_some();
    Some(match () {
        () if !has("name") => return None,
        () if has("checkIntervalSec") => "healthCheck",
        () if has("healthChecks") || has("backends") => "backendService",
        () if has("IPAddress") || has("portRange") => "forwardingRule",
        () if has("defaultService") => "urlMap",
        () if has("urlMap") => "targetHttpProxy",
        () => return None,
    })
}

fn health(node: &Node) -> Health {
    let details = ["http", "https", "http2", "tcp", "ssl", "grpc", "grpcTls"]
        .into_iter()
        .find_map(|word| Some((word, node.get(&format!("{word}HealthCheck"))?)));
    let word = node.word("type").or(details.map(|(word, _)| word)).unwrap_or(match node.word("kind") {
        Some("compute#httpsHealthCheck") => "https",
        _ => "http",
    });
    let check = match word.to_ascii_uppercase().as_str() {
        "HTTP2" => Check::Https,
        "GRPC_WITH_TLS" | "GRPCTLS" => Check::Grpc,
        _ => Check::of(word),
    };
    let inner = details.map_or(node, |(_, inner)| inner);
    let mut health = Health::new(check, &inner.place);
    timing(
        &mut health,
        node,
        [&["checkIntervalSec"], &["timeoutSec"], &["healthyThreshold"], &["unhealthyThreshold"]],
    );
    let serving = inner.word("portSpecification").is_some_and(|word| word != "USE_FIXED_PORT");
    health.port = port(inner, "port").filter(|_| !serving);
    if check.speaks_http() && check != Check::Grpc {
        health.path = Some(inner.word("requestPath").unwrap_or("/").to_owned());
        health.host = first(inner, &["host"]).map(str::to_owned);
        // Google counts nothing but 200.
        health.expected = vec![(200, 200)];
    }
    if let Some(body) = first(inner, &["response"]) {
        health.unmodelled.push(both(format!("the answer holds {body:?}"), format!("响应包含 {body:?}")));
    }
    health
}

fn pool(node: &Node, checks: &BTreeMap<&str, Health>) -> Pool {
    let urls = || node.each("healthChecks").iter().filter_map(Node::text).map(last);
    let found = urls().find_map(|name| checks.get(name).cloned());
    let unknown = || {
        let mut health = unchecked(&node.place);
        if urls().next().is_some() {
            health.check = Check::Other;
        }
        health
    };
    let serverless = node.each("backends").iter().filter_map(|one| one.word("group"));
    let serverless =
        serverless.clone().any(|group| group.contains("/networkEndpointGroups/") && found.is_none());
    let mut health = found.unwrap_or_else(unknown);
    if serverless && health.check == Check::None {
        // Serverless and internet groups may not have a check.
        health.check = Check::Other;
    }
    let instances = node.each("instances").iter();
    let members = instances.filter_map(|one| Some(member(last(one.text()?), None, &one.place))).collect();
    let groups = node.each("backends");
    let drained = |one: &Node| one.word("capacityScaler").and_then(|text| text.parse().ok()) == Some(0.0);
    let mut pool = Pool {
        name: node.word("name").unwrap_or_default().to_owned(),
        protocol: node.word("protocol").map(Protocol::of),
        members,
        dynamic: !groups.is_empty(),
        health,
        used: false,
        place: node.place.clone(),
    };
    if !groups.is_empty() && groups.iter().all(drained) {
        pool.dynamic = false;
        pool.members = groups
            .iter()
            .filter_map(|one| {
                let down = Some("capacityScaler 0".to_owned());
                Some(super::Member { down, ..member(last(one.word("group")?), None, &one.place) })
            })
            .collect();
    }
    pool
}

/// A check that no service of these files uses is judged all the same.
fn lonely(name: &str, health: &Health) -> Pool {
    Pool {
        name: name.to_owned(),
        protocol: None,
        members: Vec::new(),
        dynamic: true,
        health: health.clone(),
        used: true,
        place: health.place.clone(),
    }
}

/// What get-health saw, in the pool whose group it names.
fn states(maps: &[&Node], pools: &mut [Pool]) {
    for node in each(maps, "healthStatus") {
        let Some(address) = first(node, &["ipAddress", "instance"]) else { continue };
        let mut found = member(last(address), port(node, "port"), &node.place);
        found.down = node.word("healthState").filter(|state| *state != "HEALTHY").map(str::to_owned);
        // get-health is asked of one service; with several the file's name says which.
        let file = &node.place.file;
        let only = pools.len() == 1;
        if let Some(pool) = pools.iter_mut().find(|pool| only || file.contains(&pool.name)) {
            pool.members.push(found);
        }
    }
}

fn listener(node: &Node, routes: &BTreeMap<&str, Vec<&Node>>, pools: &BTreeSet<String>) -> Listener {
    let mut names: BTreeSet<&str> =
        first(node, &["backendService", "target"]).map(last).into_iter().collect();
    let (mut reached, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    let mut known = false;
    // A proxy names a map or a service, a map names services: two steps are all there are.
    for _ in 0..3 {
        let mut next = BTreeSet::new();
        for name in names {
            if pools.contains(name) {
                known = true;
                reached.insert(name.to_owned());
            }
            for route in routes.get(name).into_iter().flatten() {
                kinds.extend(kind(route));
                let inner = maps(std::slice::from_ref(*route));
                let keys = ["urlMap", "service", "defaultService", "backendService"];
                let words = inner.iter().flat_map(|map| keys.iter().filter_map(|key| map.word(key)));
                next.extend(words.map(last));
            }
        }
        names = next;
    }
    let target = node.word("target").unwrap_or_default();
    let is = |word: &str, path: &str| kinds.contains(word) || target.contains(path);
    let secure = is("targetHttpsProxy", "targetHttpsProxies") || is("targetSslProxy", "targetSslProxies");
    let range = node.word("portRange").and_then(|range| range.split('-').next()?.parse().ok());
    Listener {
        name: node.word("name").unwrap_or_default().to_owned(),
        protocol: match () {
            () if secure => Protocol::Https,
            () if is("targetHttpProxy", "targetHttpProxies") => Protocol::Http,
            () => Protocol::of(node.word("IPProtocol").unwrap_or("TCP")),
        },
        address: node.word("IPAddress").map(str::to_owned),
        port: range.or_else(|| node.each("ports").first()?.integer()?.try_into().ok()),
        tls: secure,
        pools: reached.into_iter().collect(),
        // Its proxy is not among the files: nothing can be said.
        answers: !known && !kinds.contains("urlMap"),
        place: node.place.clone(),
    }
}
