//! The smallest changes, as commands of `gcloud` and as Terraform.

use crate::cloud::change::{
    Wanted, lets_through, peers, quoted, quoted_list, shell, side_name, stopped_by, terraform, wanted,
};
use crate::cloud::fields::last;
use crate::cloud::{Network, Owner};
use crate::estate::{Endpoint, Fix};
use crate::gate::Gate;
use crate::place::both;
use crate::space::Cube;

/// The priority of a new rule that nothing has to come after.
const PRIORITY: i64 = 1000;

/// A rule for each wanted kind of packets, before the one that stops them.
pub(super) fn allow(owner: &Owner, gate: &Gate, packets: &[Cube]) -> Vec<Fix> {
    let stops = stopped_by(gate, packets).map(|at| (&gate.rules[at], owner.priorities.get(at).copied()));
    let in_policy = stops.is_some_and(|(rule, _)| *rule.part_of != *last(&owner.group));
    let before = stops.and_then(|(_, priority)| priority);
    if before == Some(0) {
        let rule = stops.map_or("", |(rule, _)| rule.text.as_str());
        let what = both(
            format!("nothing can come before priority 0: change or disable the rule “{rule}”"),
            format!("没有比 0 更高的优先级：请修改或停用规则“{rule}”"),
        );
        let change = what.en.clone();
        return vec![Fix { syntax: "text", what, change }];
    }
    let priority = before.map_or(PRIORITY, |before| before - 1);
    let policy = stops.filter(|_| in_policy).map(|(rule, _)| rule.part_of.to_string());
    let both_ways = |wanted: &Wanted| match &policy {
        Some(policy) => vec![policy_command(owner, wanted, priority, policy)],
        None => vec![command(owner, wanted, priority), resource(owner, wanted, priority)],
    };
    wanted(packets).iter().flat_map(both_ways).collect()
}

fn name(owner: &Owner, wanted: &Wanted) -> String {
    let way = if owner.inbound { "in" } else { "out" };
    format!("{}-{way}", wanted.name())
}

fn layer(wanted: &Wanted) -> String {
    let ports = wanted.ports_or("", '-');
    let protocol = wanted.protocol_or("all");
    if ports.is_empty() { protocol } else { format!("{protocol}:{ports}") }
}

fn command(owner: &Owner, wanted: &Wanted, priority: i64) -> Fix {
    let targets = match owner.scope.as_str() {
        "" => String::new(),
        tag => format!(" --target-tags={}", shell(tag)),
    };
    let (direction, sources) = match owner.inbound {
        true => ("INGRESS", format!("--source-ranges={}", wanted.sources.join(","))),
        false => ("EGRESS", String::new()),
    };
    let destinations = format!("--destination-ranges={}", wanted.destinations.join(","));
    let change = format!(
        "gcloud compute firewall-rules create {} --network={} --direction={direction} --priority={priority} \
         --action=ALLOW --rules={} {sources} {destinations}{targets}",
        name(owner, wanted),
        shell(last(&owner.group)),
        layer(wanted),
    );
    Fix { syntax: "gcloud", what: lets_through(wanted, owner), change: change.replace("  ", " ") }
}

fn policy_command(owner: &Owner, wanted: &Wanted, priority: i64, policy: &str) -> Fix {
    let change = format!(
        "gcloud compute network-firewall-policies rules create {priority} --firewall-policy={} \
         --direction={} --action=allow --src-ip-ranges={} --dest-ip-ranges={} --layer4-configs={}",
        shell(policy),
        if owner.inbound { "INGRESS" } else { "EGRESS" },
        wanted.sources.join(","),
        wanted.destinations.join(","),
        layer(wanted),
    );
    Fix { syntax: "gcloud", what: lets_through(wanted, owner), change }
}

fn resource(owner: &Owner, wanted: &Wanted, priority: i64) -> Fix {
    let ports = wanted.ports_or("", '-');
    let protocol = quoted(&wanted.protocol_or("all"));
    let allow = match ports.is_empty() {
        true => format!("{{ protocol = {protocol} }}"),
        false => format!("{{ protocol = {protocol}, ports = [{}] }}", quoted(&ports)),
    };
    let name = name(owner, wanted);
    let mut members = vec![
        ("name", quoted(&name)),
        ("network", quoted(last(&owner.group))),
        ("direction", quoted(if owner.inbound { "INGRESS" } else { "EGRESS" })),
        ("priority", priority.to_string()),
    ];
    if owner.inbound {
        members.push(("source_ranges", quoted_list(&wanted.sources)));
    }
    members.push(("destination_ranges", quoted_list(&wanted.destinations)));
    if !owner.scope.is_empty() {
        members.push(("target_tags", quoted_list(std::slice::from_ref(&owner.scope))));
    }
    let mut fix = terraform("google_compute_firewall", &name, lets_through(wanted, owner), &members);
    // `allow` is a block, not an argument.
    let block = format!(
        "  allow {}\n}}\n",
        allow.replace(", ", "\n    ").replace("{ ", "{\n    ").replace(" }", "\n  }")
    );
    fix.change = fix.change.trim_end().trim_end_matches('}').to_owned() + &block;
    fix
}

/// A peering, from both sides.
pub(super) fn connect(one: &Network, two: &Network) -> Vec<Fix> {
    let side = |from: &Network, to: &Network| {
        format!(
            "gcloud compute networks peerings create {} --network={} --peer-network={}",
            side_name(from, to),
            shell(&from.name),
            shell(&to.name),
        )
    };
    vec![peers("gcloud", one, two, side)]
}

/// An external address for an instance.
pub(super) fn publish(endpoint: &Endpoint) -> Vec<Fix> {
    let change = format!("gcloud compute instances add-access-config {}", shell(&endpoint.id));
    let what = both(
        format!("gives {} an external address", endpoint.id),
        format!("给 {} 分配外部地址", endpoint.id),
    );
    vec![Fix { syntax: "gcloud", what, change }]
}
