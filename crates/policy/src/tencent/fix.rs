//! The smallest changes, as commands of `tccli` and as Terraform.

use crate::cloud::change::{
    Wanted, connects, lets_through, publishes, quoted, shell, stopped_at, terraform, wanted,
};
use crate::cloud::{Network, Owner};
use crate::estate::{Endpoint, Fix};
use crate::gate::Gate;
use crate::space::{Cube, Family};

/// A rule for each wanted kind of packets, put where the rule that drops them stands.
pub(super) fn allow(owner: &Owner, gate: &Gate, packets: &[Cube]) -> Vec<Fix> {
    let before = stopped_at(gate, owner, packets).unwrap_or(0);
    let each = |wanted: &Wanted| match owner.list {
        "acl" => vec![entry(owner, wanted, before)],
        _ => vec![command(owner, wanted, before), resource(owner, wanted)],
    };
    wanted(packets).iter().flat_map(each).collect()
}

fn way(owner: &Owner) -> &'static str {
    if owner.inbound { "Ingress" } else { "Egress" }
}

fn command(owner: &Owner, wanted: &Wanted, before: i64) -> Fix {
    let cidr = if wanted.family == Family::V6 { "Ipv6CidrBlock" } else { "CidrBlock" };
    let rules: Vec<String> = wanted
        .peers(owner.inbound)
        .iter()
        .map(|prefix| {
            format!(
                "{{\"PolicyIndex\":{before},\"Protocol\":\"{}\",\"Port\":\"{}\",\"{cidr}\":\"{prefix}\",\"Action\":\"ACCEPT\"}}",
                wanted.protocol_or("ALL").to_uppercase(),
                wanted.ports_or("ALL", '-'),
            )
        })
        .collect();
    let change = format!(
        "tccli vpc CreateSecurityGroupPolicies --SecurityGroupId {} --SecurityGroupPolicySet '{{\"{}\":[{}]}}'",
        shell(&owner.group),
        way(owner),
        rules.join(","),
    );
    Fix { syntax: "tccli", what: lets_through(wanted, owner), change }
}

fn resource(owner: &Owner, wanted: &Wanted) -> Fix {
    let cidr = if wanted.family == Family::V6 { "ipv6_cidr_block" } else { "cidr_block" };
    let block = |prefix: &String| {
        format!(
            "  # first in the list: the first rule that matches decides\n  {} {{\n    action = \"ACCEPT\"\n    \
             {cidr} = {}\n    protocol = {}\n    port = {}\n  }}\n",
            way(owner).to_lowercase(),
            quoted(prefix),
            quoted(&wanted.protocol_or("ALL").to_uppercase()),
            quoted(&wanted.ports_or("ALL", '-')),
        )
    };
    let members = [("security_group_id", quoted(&owner.group))];
    let mut fix = terraform(
        "tencentcloud_security_group_rule_set",
        &owner.group,
        lets_through(wanted, owner),
        &members,
    );
    let blocks: String = wanted.peers(owner.inbound).iter().map(block).collect();
    fix.change = format!("{}{blocks}}}\n", fix.change.trim_end().trim_end_matches('}'));
    fix
}

fn entry(owner: &Owner, wanted: &Wanted, before: i64) -> Fix {
    let change = format!(
        "# keep the other entries, and put this one before number {before}\n\
         tccli vpc ModifyNetworkAclEntries --NetworkAclId {} --NetworkAclEntrySet \
         '{{\"{}\":[{{\"Protocol\":\"{}\",\"Port\":\"{}\",\"CidrBlock\":\"{}\",\"Action\":\"Accept\"}}]}}'",
        shell(&owner.group),
        way(owner),
        wanted.protocol_or("all"),
        wanted.ports_or("ALL", '-'),
        wanted.peers(owner.inbound).join(","),
    );
    Fix { syntax: "tccli", what: lets_through(wanted, owner), change }
}

/// A peering, and the routes it needs.
pub(super) fn connect(one: &Network, two: &Network) -> Vec<Fix> {
    let change = format!(
        "tccli vpc CreateVpcPeeringConnection --SourceVpcId {} --DestinationVpcId {}\n\
         # and a route to the other network in the route tables of both",
        shell(&one.id),
        shell(&two.id),
    );
    vec![connects("tccli", one, two, change)]
}

/// An elastic address for an instance.
pub(super) fn publish(endpoint: &Endpoint) -> Vec<Fix> {
    let change = format!(
        "tccli vpc AllocateAddresses --AddressCount 1\ntccli vpc AssociateAddress --AddressId EIP --InstanceId {}",
        shell(&endpoint.id)
    );
    vec![publishes("tccli", endpoint, change)]
}
