//! The smallest changes, as commands of `hcloud` and as Terraform.

use crate::cloud::change::{
    Wanted, connects, lets_through, publishes, quoted, shell, stopped_at, terraform, wanted,
};
use crate::cloud::{Network, Owner};
use crate::estate::{Endpoint, Fix};
use crate::gate::Gate;
use crate::place::both;
use crate::space::{Cube, Family};

/// A rule for each wanted kind of packets, with a priority before the rule that denies them.
pub(super) fn allow(owner: &Owner, gate: &Gate, packets: &[Cube]) -> Vec<Fix> {
    let before = stopped_at(gate, owner, packets);
    if owner.list == "acl" {
        return wanted(packets).iter().map(|wanted| entry(owner, wanted, before)).collect();
    }
    let priority = before.map_or(1, |before| before - 1);
    if priority < 1 {
        let what = both(
            "a deny rule of priority 1 wins every tie: change or remove that rule",
            "优先级 1 的拒绝规则总是优先：请修改或删除该规则",
        );
        let change = what.en.clone();
        return vec![Fix { syntax: "text", what, change }];
    }
    let both_ways = |wanted: &Wanted| {
        let prefixes = wanted.peers(owner.inbound);
        let each = |prefix: &String| {
            [command(owner, wanted, prefix, priority), resource(owner, wanted, prefix, priority)]
        };
        prefixes.iter().flat_map(each).collect::<Vec<Fix>>()
    };
    wanted(packets).iter().flat_map(both_ways).collect()
}

fn way(owner: &Owner) -> &'static str {
    if owner.inbound { "ingress" } else { "egress" }
}

fn ether(wanted: &Wanted) -> &'static str {
    if wanted.family == Family::V6 { "IPv6" } else { "IPv4" }
}

fn command(owner: &Owner, wanted: &Wanted, prefix: &str, priority: i64) -> Fix {
    let ports = wanted.ports_or("", '-');
    let ports = if ports.is_empty() { ports } else { format!(" --security_group_rule.multiport={ports}") };
    let protocol = wanted
        .protocol
        .map_or_else(String::new, |_| format!(" --security_group_rule.protocol={}", wanted.protocol_or("")));
    let change = format!(
        "hcloud VPC CreateSecurityGroupRule/v3 --security_group_rule.security_group_id={} \
         --security_group_rule.direction={} --security_group_rule.ethertype={}{protocol}{ports} \
         --security_group_rule.remote_ip_prefix={prefix} --security_group_rule.action=allow \
         --security_group_rule.priority={priority}",
        shell(&owner.group),
        way(owner),
        ether(wanted),
    );
    Fix { syntax: "hcloud", what: lets_through(wanted, owner), change }
}

fn resource(owner: &Owner, wanted: &Wanted, prefix: &str, priority: i64) -> Fix {
    let mut members = vec![
        ("security_group_id", quoted(&owner.group)),
        ("direction", quoted(way(owner))),
        ("ethertype", quoted(ether(wanted))),
    ];
    if wanted.protocol.is_some() {
        members.push(("protocol", quoted(&wanted.protocol_or(""))));
    }
    let ports = wanted.ports_or("", '-');
    if !ports.is_empty() {
        members.push(("ports", quoted(&ports)));
    }
    members.extend([
        ("remote_ip_prefix", quoted(prefix)),
        ("action", quoted("allow")),
        ("priority", priority.to_string()),
    ]);
    terraform("huaweicloud_networking_secgroup_rule", &wanted.name(), lets_through(wanted, owner), &members)
}

fn entry(owner: &Owner, wanted: &Wanted, before: Option<i64>) -> Fix {
    let place =
        before.map_or_else(|| "at the end".to_owned(), |before| format!("before rule {}", before + 1));
    let change = format!(
        "# {place}\nhcloud VPC AddFirewallRules --firewall_id={} --firewall.{}_rules.1.action=allow \
         --firewall.{}_rules.1.protocol={} --firewall.{}_rules.1.source_ip_address={} \
         --firewall.{}_rules.1.destination_ip_address={} --firewall.{}_rules.1.destination_port={}",
        shell(&owner.group),
        way(owner),
        way(owner),
        wanted.protocol_or("any"),
        way(owner),
        wanted.sources.join(","),
        way(owner),
        wanted.destinations.join(","),
        way(owner),
        wanted.ports_or("", '-'),
    );
    Fix { syntax: "hcloud", what: lets_through(wanted, owner), change }
}

/// A peering, and the routes it needs.
pub(super) fn connect(one: &Network, two: &Network) -> Vec<Fix> {
    let change = format!(
        "hcloud VPC CreateVpcPeering --peering.request_vpc_info.vpc_id={} --peering.accept_vpc_info.vpc_id={} \
         --peering.name=peering\n# and a route to the other network in the route tables of both",
        shell(&one.id),
        shell(&two.id),
    );
    vec![connects("hcloud", one, two, change)]
}

/// An elastic address for a server.
pub(super) fn publish(endpoint: &Endpoint) -> Vec<Fix> {
    let port = endpoint.names.first().map_or("PORT", String::as_str);
    let change = format!(
        "hcloud EIP CreatePublicip --publicip.type=5_bgp --bandwidth.share_type=PER --bandwidth.size=5\n\
         hcloud EIP UpdatePublicip --publicip_id=EIP --publicip.port_id={}",
        shell(port)
    );
    vec![publishes("hcloud", endpoint, change)]
}
