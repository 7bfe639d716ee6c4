//! The smallest changes, as commands of `aliyun` and as Terraform.

use crate::cloud::change::{
    Wanted, connects, lets_through, publishes, quoted, shell, stopped_at, terraform, wanted,
};
use crate::cloud::{Network, Owner};
use crate::estate::{Endpoint, Fix};
use crate::gate::Gate;
use crate::place::both;
use crate::space::{Cube, Family};

/// A rule for each wanted kind of packets, with a priority before the rule that drops them.
pub(super) fn allow(owner: &Owner, gate: &Gate, packets: &[Cube]) -> Vec<Fix> {
    let before = stopped_at(gate, owner, packets);
    if owner.list == "acl" {
        return wanted(packets).iter().map(|wanted| entry(owner, wanted, before)).collect();
    }
    let priority = before.filter(|before| *before <= 100).map_or(1, |before| before - 1);
    if priority < 1 {
        let what = both(
            "a drop rule of priority 1 wins every tie: change or remove that rule",
            "优先级 1 的拒绝规则总是优先：请修改或删除该规则",
        );
        let change = what.en.clone();
        return vec![Fix { syntax: "text", what, change }];
    }
    let both_ways = |wanted: &Wanted| [command(owner, wanted, priority), resource(owner, wanted, priority)];
    wanted(packets).iter().flat_map(both_ways).collect()
}

fn peer_prefix(owner: &Owner, wanted: &Wanted) -> Vec<String> {
    wanted.peers(owner.inbound).to_vec()
}

fn command(owner: &Owner, wanted: &Wanted, priority: i64) -> Fix {
    let (action, end) = if owner.inbound {
        ("AuthorizeSecurityGroup", "Source")
    } else {
        ("AuthorizeSecurityGroupEgress", "Dest")
    };
    let six = if wanted.family == Family::V6 { "Ipv6" } else { "" };
    let rules: Vec<String> = peer_prefix(owner, wanted)
        .iter()
        .enumerate()
        .map(|(at, prefix)| {
            let at = at + 1;
            format!(
                "--Permissions.{at}.IpProtocol {} --Permissions.{at}.PortRange {} \
                 --Permissions.{at}.{six}{end}CidrIp {prefix} --Permissions.{at}.Policy accept \
                 --Permissions.{at}.Priority {priority}",
                wanted.protocol_or("ALL").to_uppercase(),
                port_range(wanted),
            )
        })
        .collect();
    let change = format!("aliyun ecs {action} --SecurityGroupId {} {}", shell(&owner.group), rules.join(" "));
    Fix { syntax: "aliyun", what: lets_through(wanted, owner), change }
}

/// `443/443`; `-1/-1` for every port.
fn port_range(wanted: &Wanted) -> String {
    let ports = wanted.ports_or("-1/-1", '/');
    if ports.contains('/') { ports } else { format!("{ports}/{ports}") }
}

fn resource(owner: &Owner, wanted: &Wanted, priority: i64) -> Fix {
    let prefix = peer_prefix(owner, wanted).into_iter().next().unwrap_or_default();
    let cidr = if wanted.family == Family::V6 { "ipv6_cidr_ip" } else { "cidr_ip" };
    let members = [
        ("type", quoted(if owner.inbound { "ingress" } else { "egress" })),
        ("ip_protocol", quoted(&wanted.protocol_or("all"))),
        ("nic_type", quoted("intranet")),
        ("policy", quoted("accept")),
        ("port_range", quoted(&port_range(wanted))),
        ("priority", priority.to_string()),
        ("security_group_id", quoted(&owner.group)),
        (cidr, quoted(&prefix)),
    ];
    terraform("alicloud_security_group_rule", &wanted.name(), lets_through(wanted, owner), &members)
}

/// The entries of an ACL are replaced as a whole: the new one is given with its place.
fn entry(owner: &Owner, wanted: &Wanted, before: Option<i64>) -> Fix {
    let (list, end) =
        if owner.inbound { ("Ingress", "SourceCidrIp") } else { ("Egress", "DestinationCidrIp") };
    let place =
        before.map_or_else(|| "at the end".to_owned(), |before| format!("before entry {}", before + 1));
    let prefix = peer_prefix(owner, wanted).join(",");
    let change = format!(
        "# keep the other entries, and put this one {place}\n\
         aliyun vpc UpdateNetworkAclEntries --NetworkAclId {} --Update{list}AclEntries true \
         --{list}AclEntries.1.{end} {prefix} --{list}AclEntries.1.Policy accept --{list}AclEntries.1.Protocol {} \
         --{list}AclEntries.1.Port {}",
        shell(&owner.group),
        wanted.protocol_or("all"),
        port_range(wanted),
    );
    Fix { syntax: "aliyun", what: lets_through(wanted, owner), change }
}

/// A peering, and the routes it needs.
pub(super) fn connect(one: &Network, two: &Network) -> Vec<Fix> {
    let change = format!(
        "aliyun vpcpeer CreateVpcPeerConnection --VpcId {} --AcceptingVpcId {}\n\
         # and a route to the other network in the route tables of both",
        shell(&one.id),
        shell(&two.id),
    );
    vec![connects("aliyun", one, two, change)]
}

/// An elastic address for an instance.
pub(super) fn publish(endpoint: &Endpoint) -> Vec<Fix> {
    let change = format!(
        "aliyun vpc AllocateEipAddress\naliyun vpc AssociateEipAddress --AllocationId EIP --InstanceId {}",
        shell(&endpoint.id)
    );
    vec![publishes("aliyun", endpoint, change)]
}
