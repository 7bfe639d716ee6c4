//! Load balancers in Terraform: its resources become the documents that the clouds themselves would print.

use super::cloud::last;
use super::{Balancers, aliyun, aws, gcp};
use crate::doc::{Node, Value};
use crate::terraform::{Resource, Resources};

/// Attributes of AWS resources and what `describe-*` calls them.
const AWS_TARGET_GROUP: [(&str, &str); 5] = [
    ("name", "TargetGroupName"),
    ("port", "Port"),
    ("protocol", "Protocol"),
    ("protocol_version", "ProtocolVersion"),
    ("target_type", "TargetType"),
];
const AWS_HEALTH_CHECK: [(&str, &str); 8] = [
    ("enabled", "HealthCheckEnabled"),
    ("interval", "HealthCheckIntervalSeconds"),
    ("timeout", "HealthCheckTimeoutSeconds"),
    ("healthy_threshold", "HealthyThresholdCount"),
    ("unhealthy_threshold", "UnhealthyThresholdCount"),
    ("path", "HealthCheckPath"),
    ("port", "HealthCheckPort"),
    ("protocol", "HealthCheckProtocol"),
];
const AWS_CLASSIC_LISTENER: [(&str, &str); 4] = [
    ("lb_port", "LoadBalancerPort"),
    ("lb_protocol", "Protocol"),
    ("instance_port", "InstancePort"),
    ("instance_protocol", "InstanceProtocol"),
];
const AWS_CLASSIC_CHECK: [(&str, &str); 5] = [
    ("target", "Target"),
    ("interval", "Interval"),
    ("timeout", "Timeout"),
    ("healthy_threshold", "HealthyThreshold"),
    ("unhealthy_threshold", "UnhealthyThreshold"),
];
/// Google's resources and the kind of what they make; those of one region have `region_` in their names.
const GOOGLE: [(&str, &str); 13] = [
    ("google_compute_health_check", "healthCheck"),
    ("google_compute_http_health_check", "httpHealthCheck"),
    ("google_compute_https_health_check", "httpsHealthCheck"),
    ("google_compute_backend_service", "backendService"),
    ("google_compute_target_pool", "targetPool"),
    ("google_compute_forwarding_rule", "forwardingRule"),
    ("google_compute_global_forwarding_rule", "forwardingRule"),
    ("google_compute_url_map", "urlMap"),
    ("google_compute_target_http_proxy", "targetHttpProxy"),
    ("google_compute_target_https_proxy", "targetHttpsProxy"),
    ("google_compute_target_tcp_proxy", "targetTcpProxy"),
    ("google_compute_target_ssl_proxy", "targetSslProxy"),
    ("google_compute_target_grpc_proxy", "targetGrpcProxy"),
];
/// Blocks of which Google's lists have another name.
const GOOGLE_LISTS: [(&str, &str); 3] =
    [("backend", "backends"), ("pathMatcher", "pathMatchers"), ("ip_address", "IPAddress")];

/// Reads the load balancers among resources of AWS, Google and Aliyun.
pub fn terraform(resources: &Resources) -> Balancers {
    let mut documents = [Vec::new(), Vec::new(), Vec::new()];
    for resource in &resources.resources {
        let (at, made) = match resource.kind.as_str() {
            kind if kind.starts_with("aws_") => (0, amazon(resource)),
            kind if kind.starts_with("google_") => (1, google(resource)),
            kind if kind.starts_with("alicloud_") => (2, alibaba(resource)),
            _ => continue,
        };
        documents[at].extend(made);
    }
    let mut read = Balancers::default();
    for found in [aws(&documents[0]), gcp(&documents[1]), aliyun(&documents[2])] {
        read.balancers.extend(found.balancers);
        read.unread.extend(found.unread);
    }
    read
}

fn amazon(resource: &Resource) -> Option<Node> {
    let node = &resource.node;
    let own = text(node, node.word("arn").unwrap_or(resource.id()));
    let of = |key: &str| node.get(key).cloned();
    let listed = |key: &'static str, members: Vec<(&'static str, Option<Node>)>| {
        Some(map(node, vec![(key, Some(list(node, vec![map(node, members)])))]))
    };
    match resource.kind.strip_prefix("aws_")?.replacen("alb", "lb", 1).as_str() {
        "lb" => {
            let subnets = node
                .each("subnets")
                .iter()
                .chain(node.each("subnet_mapping").iter().filter_map(|mapping| mapping.get("subnet_id")));
            let zones = subnets.map(|subnet| map(subnet, vec![("SubnetId", Some(subnet.clone()))])).collect();
            listed(
                "LoadBalancers",
                vec![
                    ("LoadBalancerArn", Some(own)),
                    ("LoadBalancerName", of("name").filter(|name| name.text().is_some())),
                    ("Type", of("load_balancer_type")),
                    ("AvailabilityZones", Some(list(node, zones))),
                ],
            )
        }
        "elb" => Some(classic(resource)),
        "lb_target_group" => Some(target_group(resource, own)),
        "lb_target_group_attachment" => {
            let target = map(node, vec![("Id", of("target_id")), ("Port", of("port"))]);
            let described = map(node, vec![("Target", Some(target))]);
            Some(map(
                node,
                vec![
                    ("TargetGroupArn", of("target_group_arn")),
                    ("TargetHealthDescriptions", Some(list(node, vec![described]))),
                ],
            ))
        }
        "lb_listener" => listed(
            "Listeners",
            vec![
                ("ListenerArn", Some(own)),
                ("LoadBalancerArn", of("load_balancer_arn")),
                ("Port", of("port")),
                ("Protocol", of("protocol").or_else(|| Some(text(node, "HTTP")))),
                ("DefaultActions", Some(actions(node, "default_action"))),
            ],
        ),
        "lb_listener_rule" => {
            // A rule is found to be its listener's by its name.
            let listener = node.word("listener_arn")?.replacen(":listener/", ":listener-rule/", 1);
            listed(
                "Rules",
                vec![
                    ("RuleArn", Some(text(node, &format!("{listener}/-")))),
                    ("Actions", Some(actions(node, "action"))),
                ],
            )
        }
        _ => None,
    }
}

fn classic(resource: &Resource) -> Node {
    let node = &resource.node;
    let of = |node: &Node, names: &[(&str, &str)]| Node {
        place: node.place.clone(),
        value: Value::Map(renamed(node, names)),
    };
    let listeners = node
        .each("listener")
        .iter()
        .map(|block| map(block, vec![("Listener", Some(of(block, &AWS_CLASSIC_LISTENER)))]));
    let ids = |key: &str, name: &'static str| {
        node.each(key).iter().map(|one| map(one, vec![(name, Some(one.clone()))])).collect()
    };
    let check = node.each("health_check").first().map(|block| of(block, &AWS_CLASSIC_CHECK));
    let name = node.get("name").cloned().filter(|name| name.text().is_some());
    let described = map(
        node,
        vec![
            ("LoadBalancerName", name.or_else(|| Some(text(node, &resource.address)))),
            ("Subnets", node.get("subnets").cloned()),
            ("Instances", Some(list(node, ids("instances", "InstanceId")))),
            ("ListenerDescriptions", Some(list(node, listeners.collect()))),
            ("HealthCheck", check),
            // Others may register instances as well.
            ("Dynamic", Some(text(node, "true"))),
        ],
    );
    map(node, vec![("LoadBalancerDescriptions", Some(list(node, vec![described])))])
}

fn target_group(resource: &Resource, own: Node) -> Node {
    let node = &resource.node;
    let mut members = vec![("TargetGroupArn".to_owned(), own)];
    members.extend(renamed(node, &AWS_TARGET_GROUP));
    if node.word("name").is_none() {
        members.push(("TargetGroupName".to_owned(), text(node, &resource.address)));
    }
    let check = node.each("health_check").first();
    if let Some(check) = check {
        members.extend(renamed(check, &AWS_HEALTH_CHECK));
        if let Some(codes) = check.get("matcher").filter(|codes| codes.text().is_some()) {
            members.push(("Matcher".to_owned(), map(check, vec![("HttpCode", Some(codes.clone()))])));
        }
    }
    if check.and_then(|check| check.word("protocol")).is_none() {
        members.push(("HealthCheckProtocol".to_owned(), text(check.unwrap_or(node), "HTTP")));
    }
    let group = Node { place: node.place.clone(), value: Value::Map(members) };
    map(node, vec![("TargetGroups", Some(list(node, vec![group])))])
}

fn actions(node: &Node, key: &str) -> Node {
    let one = |action: &Node| {
        let forward = action.each("forward").first();
        let groups = forward.map_or(&[][..], |forward| forward.each("target_group"));
        let groups =
            groups.iter().map(|group| map(group, vec![("TargetGroupArn", group.get("arn").cloned())]));
        let config = map(action, vec![("TargetGroups", Some(list(action, groups.collect())))]);
        map(
            action,
            vec![
                ("Type", action.get("type").cloned()),
                ("TargetGroupArn", action.get("target_group_arn").cloned()),
                ("ForwardConfig", Some(config)),
            ],
        )
    };
    list(node, node.each(key).iter().map(one).collect())
}

fn google(resource: &Resource) -> Option<Node> {
    let plain = resource.kind.replacen("google_compute_region_", "google_compute_", 1);
    let (_, kind) = GOOGLE.iter().find(|(name, _)| *name == plain)?;
    let mut node = camel(&resource.node, false);
    // Others refer to it by its id: that is its name here.
    let name = text(&resource.node, last(resource.id()));
    if let Value::Map(members) = &mut node.value {
        members.retain(|(key, _)| key != "name");
        members.push(("name".to_owned(), name));
        members.push(("kind".to_owned(), text(&resource.node, &format!("compute#{kind}"))));
    }
    Some(node)
}

fn alibaba(resource: &Resource) -> Option<Node> {
    let node = camel(&resource.node, true);
    let own = text(&node, resource.id());
    let (key, id) = match resource.kind.strip_prefix("alicloud_")? {
        "alb_server_group" | "nlb_server_group" => ("ServerGroups", "ServerGroupId"),
        "alb_listener" | "nlb_listener" => ("Listeners", "ListenerId"),
        "alb_health_check_template" => ("HealthCheckTemplates", "HealthCheckTemplateId"),
        "alb_load_balancer" | "nlb_load_balancer" => ("LoadBalancers", "LoadBalancerId"),
        _ => return None,
    };
    let Value::Map(mut members) = node.value else { return None };
    if key == "ServerGroups" {
        // Servers stand beside their groups in the answers of the API.
        for server in members.iter_mut().filter(|(name, _)| name == "Servers").flat_map(|(_, node)| {
            match &mut node.value {
                Value::List(nodes) => nodes.iter_mut(),
                _ => [].iter_mut(),
            }
        }) {
            if let Value::Map(inner) = &mut server.value {
                inner.push(("ServerGroupId".to_owned(), own.clone()));
            }
        }
    }
    members.push((id.to_owned(), own));
    let place = resource.node.place.clone();
    let node = Node { place, value: Value::Map(members) };
    Some(map(&resource.node, vec![(key, Some(list(&resource.node, vec![node])))]))
}

/// Members under the clouds' names; what Terraform does not know yet is left out.
fn renamed(node: &Node, names: &[(&str, &str)]) -> Vec<(String, Node)> {
    let known = |(own, cloud): &(&str, &str)| {
        let value = node.get(own).filter(|value| value.text().is_some() || value.bool().is_some())?;
        Some(((*cloud).to_owned(), value.clone()))
    };
    names.iter().filter_map(known).collect()
}

/// Every key from `health_check` to `healthCheck` or `HealthCheck`, a block that stands once as what it holds. The
/// depth is that of the document, which is limited.
fn camel(node: &Node, pascal: bool) -> Node {
    let value = match &node.value {
        Value::Map(members) => {
            Value::Map(members.iter().map(|(key, value)| member(key, value, pascal)).collect())
        }
        Value::List(nodes) => Value::List(nodes.iter().map(|node| camel(node, pascal)).collect()),
        other => other.clone(),
    };
    Node { place: node.place.clone(), value }
}

fn member(key: &str, value: &Node, pascal: bool) -> (String, Node) {
    /// Blocks of which there may be one only, and which the clouds have as an object.
    const SINGLE: [&str; 12] = [
        "http_health_check",
        "https_health_check",
        "http2_health_check",
        "tcp_health_check",
        "ssl_health_check",
        "grpc_health_check",
        "grpc_tls_health_check",
        "health_check_config",
        "health_check",
        "forward_group_config",
        "default_route_action",
        "log_config",
    ];
    let converted = camel(value, pascal);
    let converted = match &converted.value {
        Value::List(nodes) if SINGLE.contains(&key) && nodes.len() == 1 => nodes[0].clone(),
        _ => converted,
    };
    let mut upper = pascal;
    let mut name = String::with_capacity(key.len());
    for letter in key.chars() {
        if letter != '_' {
            name.push(if upper { letter.to_ascii_uppercase() } else { letter });
        }
        upper = letter == '_';
    }
    let listed = GOOGLE_LISTS.iter().find(|(own, _)| *own == name || *own == key).filter(|_| !pascal);
    (listed.map_or(name, |(_, cloud)| (*cloud).to_owned()), converted)
}

fn map(at: &Node, members: Vec<(&str, Option<Node>)>) -> Node {
    let members = members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    Node { place: at.place.clone(), value: Value::Map(members) }
}

fn list(at: &Node, nodes: Vec<Node>) -> Node {
    Node { place: at.place.clone(), value: Value::List(nodes) }
}

fn text(at: &Node, text: &str) -> Node {
    Node { place: at.place.clone(), value: Value::Text(text.to_owned()) }
}
