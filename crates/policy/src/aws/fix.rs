//! Changes in the words of the AWS command line and of Terraform.

use super::ends::Party;
use super::gates::group_ids;
use super::model::Model;
use super::net::{Net, span};
use super::transit::nets_of;
use crate::estate::Fix;
use crate::gate::{Action, Direction, Gate, Kind};
use crate::place::both;
use crate::read::protocol_name;
use crate::space::{Cube, Protocols};
use netwhy_model::Text;

/// How many networks one change names before it names all.
const NETS_MAX: usize = 16;
/// The last number an entry of a network ACL may have.
const ENTRY_NUMBER_MAX: u32 = 32_766;

/// An id as AWS gives them, which is also a word of a shell; anything else is the address of a resource in Terraform.
pub fn is_real(id: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_:/.".contains(c);
    id.chars().all(is_plain) && (!id.contains('.') || id.starts_with("arn:"))
}

/// How an id stands in Terraform.
fn reference(id: &str) -> String {
    match () {
        () if is_real(id) => format!("{id:?}"),
        // The tables that AWS makes are attributes of what they are made for.
        () if id.ends_with("_route_table_id") => id.to_owned(),
        () => format!("{id}.id"),
    }
}

/// The command, where AWS knows the ids, and Terraform.
fn both_ways(id: &str, what: &Text, command: String, terraform: String) -> Vec<Fix> {
    let mut fixes = Vec::new();
    if is_real(id) {
        fixes.push(Fix { syntax: "aws-cli", what: what.clone(), change: command });
    }
    fixes.push(Fix { syntax: "terraform", what: what.clone(), change: terraform });
    fixes
}

/// What the packets of a change are: one network after the other, with one range of ports each.
struct Wanted {
    net: Net,
    protocol: Option<u8>,
    ports: (u16, u16),
    /// Type and code.
    icmp: Option<(i32, i32)>,
}

fn wanted(packets: &[Cube], is_outbound: bool) -> Vec<Wanted> {
    let mut found: Vec<Wanted> = Vec::new();
    let far = |cube: &Cube| if is_outbound { cube.destination } else { cube.source };
    let mut nets: Vec<Net> =
        packets.iter().flat_map(|cube| span(cube.family, far(cube)).prefixes()).collect();
    nets.sort();
    nets.dedup();
    if nets.len() > NETS_MAX {
        nets = nets.first().map(|net| Net::all(net.family)).into_iter().collect();
    }
    for cube in packets {
        let protocol = (cube.protocols != Protocols::ALL).then(|| cube.protocols.numbers().next()).flatten();
        let any = |range: (u16, u16)| if range.0 == range.1 { i32::from(range.0) } else { -1 };
        let icmp =
            matches!(protocol, Some(1 | 58)).then(|| (any(cube.source_ports), any(cube.destination_ports)));
        for net in nets.iter().filter(|net| net.family == cube.family) {
            let same = |one: &Wanted| {
                one.net == *net
                    && one.protocol == protocol
                    && one.ports == cube.destination_ports
                    && one.icmp == icmp
            };
            if !found.iter().any(same) {
                found.push(Wanted { net: *net, protocol, ports: cube.destination_ports, icmp });
            }
        }
    }
    found.truncate(NETS_MAX);
    found
}

/// The smallest change of a gate of AWS that lets some packets through.
pub fn allow(gate: &Gate, packets: &[Cube]) -> Vec<Fix> {
    let is_outbound = gate.direction == Direction::Outbound;
    let wanted = wanted(packets, is_outbound);
    let id = group_ids(gate).next().unwrap_or_default();
    match gate.kind {
        Kind::AwsSecurityGroup => wanted.iter().flat_map(|one| group_rule(id, one, is_outbound)).collect(),
        Kind::AwsNetworkAcl => acl_entries(gate, id, packets, &wanted, is_outbound),
        _ => Vec::new(),
    }
}

impl Wanted {
    fn protocol_word(&self) -> String {
        self.protocol.map_or_else(|| "-1".to_owned(), protocol_name)
    }

    /// The two numbers of a rule of a group.
    fn numbers(&self) -> Option<(i32, i32)> {
        match (self.protocol, self.icmp) {
            (_, Some(icmp)) => Some(icmp),
            (Some(6 | 17), None) => Some((self.ports.0.into(), self.ports.1.into())),
            _ => None,
        }
    }

    fn is_v6(&self) -> bool {
        self.net.family == crate::space::Family::V6
    }
}

fn group_rule(id: &str, one: &Wanted, is_outbound: bool) -> Vec<Fix> {
    let (word, zh) = if is_outbound { ("egress", "出站") } else { ("ingress", "入站") };
    let (range, key) = if one.is_v6() { ("Ipv6Ranges", "CidrIpv6") } else { ("IpRanges", "CidrIp") };
    let protocol = one.protocol_word();
    let ports = one.numbers().map_or_else(String::new, |(from, to)| format!("FromPort={from},ToPort={to},"));
    let command = format!(
        "aws ec2 authorize-security-group-{word} --group-id {id} --ip-permissions \
         'IpProtocol={protocol},{ports}{range}=[{{{key}={}}}]'",
        one.net
    );
    let ports = one.numbers().map_or_else(String::new, |(from, to)| {
        format!("  from_port         = {from}\n  to_port           = {to}\n")
    });
    let cidr = if one.is_v6() { "cidr_ipv6" } else { "cidr_ipv4" };
    let terraform = format!(
        "resource \"aws_vpc_security_group_{word}_rule\" \"allow_{protocol}_{}\" {{\n  security_group_id = {}\n  \
         ip_protocol       = \"{protocol}\"\n{ports}  {cidr}         = \"{}\"\n}}",
        one.ports.0,
        reference(id),
        one.net
    );
    let what = both(format!("allow it {word} in {id}"), format!("在 {id} 中{zh}放行"));
    both_ways(id, &what, command, terraform)
}

fn acl_entries(gate: &Gate, id: &str, packets: &[Cube], wanted: &[Wanted], is_outbound: bool) -> Vec<Fix> {
    let Some(mut numbers) = free_numbers(gate, packets, wanted.len()) else {
        let change =
            format!("Renumber the entries of {id}: there is no free number before the entry that denies.");
        let what = both(&change, format!("请为 {id} 的条目重新编号：拒绝条目之前没有空闲编号。"));
        return vec![Fix { syntax: "text", what, change }];
    };
    let mut fixes = Vec::new();
    for one in wanted {
        let Some(number) = numbers.pop() else { break };
        let (word, zh) = if is_outbound { ("egress", "出站") } else { ("ingress", "入站") };
        let cidr = if one.is_v6() { "ipv6-cidr-block" } else { "cidr-block" };
        let protocol = one.protocol_word();
        let (cli_ports, tf_ports) = match (one.icmp, one.protocol) {
            (Some((kind, code)), _) => (
                format!(" --icmp-type-code Type={kind},Code={code}"),
                format!("  icmp_type      = {kind}\n  icmp_code      = {code}\n"),
            ),
            (None, Some(6 | 17)) => (
                format!(" --port-range From={},To={}", one.ports.0, one.ports.1),
                format!("  from_port      = {}\n  to_port        = {}\n", one.ports.0, one.ports.1),
            ),
            _ => (String::new(), String::new()),
        };
        let command = format!(
            "aws ec2 create-network-acl-entry --network-acl-id {id} --{word} --rule-number {number} --protocol \
             {protocol}{cli_ports} --{cidr} {} --rule-action allow",
            one.net
        );
        let terraform = format!(
            "resource \"aws_network_acl_rule\" \"allow_{word}_{number}\" {{\n  network_acl_id = {}\n  egress         = \
             {is_outbound}\n  rule_number    = {number}\n  rule_action    = \"allow\"\n  protocol       = \
             \"{protocol}\"\n{tf_ports}  {} = \"{}\"\n}}",
            reference(id),
            cidr.replace('-', "_"),
            one.net
        );
        let what = both(
            format!("allow it {word} in {id}, as entry {number}"),
            format!("在 {id} 中以条目 {number} {zh}放行"),
        );
        fixes.extend(both_ways(id, &what, command, terraform));
    }
    fixes
}

/// Free numbers, the first to use last: before the first entry that denies any of the packets, else after the last.
fn free_numbers(gate: &Gate, packets: &[Cube], count: usize) -> Option<Vec<u32>> {
    let denies = |rule: &&crate::gate::Rule| {
        rule.action != Action::Allow
            && rule.cubes.iter().any(|cube| packets.iter().any(|packet| packet.meets(cube)))
    };
    let taken: Vec<u32> = gate.rules.iter().map(|rule| rule.number).collect();
    let numbers: Vec<u32> = match gate.rules.iter().find(denies) {
        Some(denying) => {
            (1..denying.number).rev().filter(|number| !taken.contains(number)).take(count).collect()
        }
        None => {
            let last = taken.iter().max().copied().unwrap_or(0);
            let start = (last / 10 + 1) * 10;
            (start.min(ENTRY_NUMBER_MAX)..=ENTRY_NUMBER_MAX)
                .filter(|number| !taken.contains(number))
                .take(count)
                .collect()
        }
    };
    (numbers.len() == count).then(|| numbers.into_iter().rev().collect())
}

/// A route in a table; the option of the command line and the attribute of Terraform name its target.
pub fn route(table: &str, to: Net, (option, attribute): (&str, &str), target: &str) -> Vec<Fix> {
    let is_v6 = to.family == crate::space::Family::V6;
    let (cli, tf) = if is_v6 {
        ("destination-ipv6-cidr-block", "destination_ipv6_cidr_block")
    } else {
        ("destination-cidr-block", "destination_cidr_block")
    };
    let command = format!("aws ec2 create-route --route-table-id {table} --{cli} {to} --{option} {target}");
    let terraform = format!(
        "resource \"aws_route\" \"to_peer\" {{\n  route_table_id = {}\n  {tf} = \"{to}\"\n  {attribute} = {}\n}}",
        reference(table),
        reference(target)
    );
    let what =
        both(format!("route {to} to {target} in {table}"), format!("在 {table} 中将 {to} 指向 {target}"));
    both_ways(table, &what, command, terraform)
}

pub fn transit_route(table: &str, end: &Party, model: &Model) -> Vec<Fix> {
    let attachment =
        model.attachments.iter().find(|each| each.kind == "vpc" && Some(&each.resource) == end.vpc.as_ref());
    let (Some(attachment), Some(net)) = (attachment, nets_of(model, end).first()) else { return Vec::new() };
    let command = format!(
        "aws ec2 create-transit-gateway-route --transit-gateway-route-table-id {table} --destination-cidr-block {net} \
         --transit-gateway-attachment-id {}",
        attachment.id
    );
    let terraform = format!(
        "resource \"aws_ec2_transit_gateway_route\" \"to_vpc\" {{\n  transit_gateway_route_table_id = {}\n  \
         destination_cidr_block = \"{net}\"\n  transit_gateway_attachment_id = {}\n}}",
        reference(table),
        reference(&attachment.id)
    );
    let what = both(
        format!("route {net} to {} in {table}", attachment.id),
        format!("在 {table} 中将 {net} 指向 {}", attachment.id),
    );
    both_ways(table, &what, command, terraform)
}

/// Gives an interface an elastic address.
pub fn public_address(party: &Party, model: &Model) -> Vec<Fix> {
    let Some(interface) = party.interface.and_then(|at| model.interfaces.nth(at)) else { return Vec::new() };
    let id = &interface.id;
    let command = format!(
        "aws ec2 associate-address --network-interface-id {id} --allocation-id $(aws ec2 allocate-address --query \
         AllocationId --output text)"
    );
    let (attribute, target) = match id.strip_prefix("aws_instance.") {
        Some(_) => ("instance", reference(id)),
        None => ("network_interface", reference(id)),
    };
    let terraform =
        format!("resource \"aws_eip\" \"public\" {{\n  domain = \"vpc\"\n  {attribute} = {target}\n}}");
    let what = both(format!("give {id} a public address"), format!("为 {id} 分配公网地址"));
    both_ways(id, &what, command, terraform)
}

pub fn attach(gateway: &str, vpc: &str) -> Vec<Fix> {
    let command = format!("aws ec2 attach-internet-gateway --internet-gateway-id {gateway} --vpc-id {vpc}");
    let terraform = format!(
        "resource \"aws_internet_gateway_attachment\" \"this\" {{\n  internet_gateway_id = {}\n  vpc_id = {}\n}}",
        reference(gateway),
        reference(vpc)
    );
    let what = both(format!("attach {gateway} to {vpc}"), format!("将 {gateway} 挂接到 {vpc}"));
    both_ways(vpc, &what, command, terraform)
}

pub fn new_gateway(vpc: &str) -> Vec<Fix> {
    let command = format!(
        "aws ec2 attach-internet-gateway --vpc-id {vpc} --internet-gateway-id $(aws ec2 create-internet-gateway --query \
         InternetGateway.InternetGatewayId --output text)"
    );
    let terraform =
        format!("resource \"aws_internet_gateway\" \"this\" {{\n  vpc_id = {}\n}}", reference(vpc));
    let what = both(format!("give {vpc} an internet gateway"), format!("为 {vpc} 创建互联网网关"));
    both_ways(vpc, &what, command, terraform)
}

pub fn accept_peering(id: &str) -> Vec<Fix> {
    let command = format!("aws ec2 accept-vpc-peering-connection --vpc-peering-connection-id {id}");
    let terraform = format!(
        "resource \"aws_vpc_peering_connection_accepter\" \"this\" {{\n  vpc_peering_connection_id = {}\n  auto_accept = \
         true\n}}",
        reference(id)
    );
    let what = both(format!("accept {id}"), format!("接受 {id}"));
    both_ways(id, &what, command, terraform)
}
