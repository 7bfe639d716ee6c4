//! The smallest changes, as commands of `az` and as Terraform.

use crate::cloud::change::{
    Wanted, free_before, lets_through, peers, quoted, quoted_list, shell, side_name, stopped_at, terraform,
    wanted,
};
use crate::cloud::{Network, Owner};
use crate::estate::{Endpoint, Fix};
use crate::gate::Gate;
use crate::place::both;
use crate::space::Cube;

/// The customer's own rules have numbers up to this one.
const PRIORITY_LAST: i64 = 4096;
/// How many rules a change may move.
const MOVED_COUNT_MAX: usize = 8;

/// A rule for each wanted kind of packets, with a free priority before the rule that stops them.
pub(super) fn allow(owner: &Owner, gate: &Gate, packets: &[Cube]) -> Vec<Fix> {
    let before = stopped_at(gate, owner, packets);
    let mut used = owner.priorities.clone();
    let mut fixes = Vec::new();
    for wanted in wanted(packets) {
        let Some(priority) = place_for(&used, before) else {
            fixes.push(shifted(owner, gate, &wanted, before));
            break;
        };
        used.push(priority);
        fixes.push(command(owner, &wanted, priority));
        fixes.push(resource(owner, &wanted, priority));
    }
    fixes
}

/// Right before the rule that stops; where only the default does, after the customer's own.
fn place_for(used: &[i64], before: Option<i64>) -> Option<i64> {
    let own = |number: &&i64| (100..=PRIORITY_LAST).contains(*number);
    let after = used.iter().filter(own).max().map_or(1000, |last| last + 10);
    match before.filter(|before| *before <= PRIORITY_LAST) {
        None if after <= PRIORITY_LAST => Some(after),
        before => free_before(used, before, 100..=PRIORITY_LAST),
    }
}

/// No number is free before the rule that stops: it and those right behind it move on by one.
fn shifted(owner: &Owner, gate: &Gate, wanted: &Wanted, before: Option<i64>) -> Fix {
    let at = before.unwrap_or(PRIORITY_LAST);
    let free = (at..=PRIORITY_LAST).find(|number| !owner.priorities.contains(number));
    let count = free.map_or(usize::MAX, |free| usize::try_from(free - at).unwrap_or(usize::MAX));
    if count > MOVED_COUNT_MAX {
        let what = both(
            format!(
                "no priority is free before {at}: renumber the rules of {}, or change the rule that denies",
                owner.group
            ),
            format!("{at} 之前没有空闲的优先级：请重排 {} 的规则，或修改拒绝的那条规则", owner.group),
        );
        let change = what.en.clone();
        return Fix { syntax: "text", what, change };
    }
    let moves = (at..at + i64::try_from(count).unwrap_or(0)).rev().filter_map(|number| {
        let rule = owner.priorities.iter().position(|own| *own == number)?;
        let name = gate.rules.get(rule)?.text.split(" (").next()?;
        Some(format!(
            "az network nsg rule update --resource-group {} --nsg-name {} --name {} --priority {}\n",
            shell(&owner.scope),
            shell(&owner.group),
            shell(name),
            number + 1,
        ))
    });
    let mut fix = command(owner, wanted, at);
    fix.change = format!("{}{}", moves.collect::<String>(), fix.change);
    fix
}

fn protocol(wanted: &Wanted) -> String {
    match wanted.protocol {
        Some(6) => "Tcp".to_owned(),
        Some(17) => "Udp".to_owned(),
        Some(1) => "Icmp".to_owned(),
        Some(50) => "Esp".to_owned(),
        Some(51) => "Ah".to_owned(),
        _ => "*".to_owned(),
    }
}

fn command(owner: &Owner, wanted: &Wanted, priority: i64) -> Fix {
    let words = |texts: &[String]| texts.iter().map(|text| shell(text)).collect::<Vec<_>>().join(" ");
    let change = format!(
        "az network nsg rule create --resource-group {} --nsg-name {} --name {} --priority {priority} \
         --direction {} --access Allow --protocol '{}' --source-address-prefixes {} --source-port-ranges '*' \
         --destination-address-prefixes {} --destination-port-ranges '{}'",
        shell(&owner.scope),
        shell(&owner.group),
        format_args!("{}-{priority}", wanted.name()),
        if owner.inbound { "Inbound" } else { "Outbound" },
        protocol(wanted),
        words(&wanted.sources),
        words(&wanted.destinations),
        wanted.ports_or("*", '-'),
    );
    Fix { syntax: "az", what: lets_through(wanted, owner), change }
}

fn resource(owner: &Owner, wanted: &Wanted, priority: i64) -> Fix {
    let name = format!("{}-{priority}", wanted.name());
    let members = [
        ("name", quoted(&name)),
        ("resource_group_name", quoted(&owner.scope)),
        ("network_security_group_name", quoted(&owner.group)),
        ("priority", priority.to_string()),
        ("direction", quoted(if owner.inbound { "Inbound" } else { "Outbound" })),
        ("access", quoted("Allow")),
        ("protocol", quoted(&protocol(wanted))),
        ("source_address_prefixes", quoted_list(&wanted.sources)),
        ("source_port_range", quoted("*")),
        ("destination_address_prefixes", quoted_list(&wanted.destinations)),
        ("destination_port_range", quoted(&wanted.ports_or("*", '-'))),
    ];
    terraform("azurerm_network_security_rule", &name, lets_through(wanted, owner), &members)
}

/// A peering, from both sides.
pub(super) fn connect(one: &Network, two: &Network) -> Vec<Fix> {
    let side = |from: &Network, to: &Network| {
        format!(
            "az network vnet peering create --resource-group RESOURCE_GROUP --name {} --vnet-name {} \
             --remote-vnet {} --allow-vnet-access",
            side_name(from, to),
            shell(&from.name),
            shell(&to.id),
        )
    };
    vec![peers("az", one, two, side)]
}

/// A public address for an interface.
pub(super) fn publish(endpoint: &Endpoint) -> Vec<Fix> {
    let nic = endpoint.names.first().map_or("NIC", String::as_str);
    let change = format!(
        "az network public-ip create --resource-group RESOURCE_GROUP --name {} --sku Standard\n\
         az network nic ip-config update --resource-group RESOURCE_GROUP --nic-name {} --name ipconfig1 \
         --public-ip-address {}",
        shell(&format!("{nic}-ip")),
        shell(nic),
        shell(&format!("{nic}-ip")),
    );
    let what =
        both(format!("gives {} a public address", endpoint.id), format!("给 {} 分配公网地址", endpoint.id));
    vec![Fix { syntax: "az", what, change }]
}
