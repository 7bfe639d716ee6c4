//! Transit gateways.

use super::{Reader, bool};
use crate::aws::model::{Attachment, Destination, TransitRoute, TransitTable};
use crate::place::Place;
use crate::terraform::Resource;

/// How the default table of a gateway is called here.
fn default_id(gateway: &str) -> String {
    format!("{gateway}.association_default_route_table_id")
}

fn new(id: &str, gateway: &str, is_default: bool, place: &Place) -> TransitTable {
    TransitTable {
        id: id.to_owned(),
        gateway: gateway.to_owned(),
        default_association: is_default,
        default_propagation: is_default,
        routes: Vec::new(),
        propagated: Vec::new(),
        place: place.clone(),
    }
}

pub fn gateway(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id(), &resource.node);
    let mut table = new(&default_id(id), id, true, &node.place);
    table.default_association = node.word("default_route_table_association") != Some("disable");
    table.default_propagation = node.word("default_route_table_propagation") != Some("disable");
    reader.model.transit_tables.add(&default_id(id), table);
    if node.word("security_group_referencing_support") == Some("enable") {
        reader.model.referring.insert(id.to_owned());
    }
    Some(())
}

pub fn table(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let gateway = reader.id(&resource.node, "transit_gateway_id").unwrap_or_default();
    let table = new(resource.id(), &gateway, false, &resource.node.place);
    reader.model.transit_tables.add(resource.id(), table);
    Some(())
}

pub fn attachment(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id(), &resource.node);
    let gateway = reader.id(node, "transit_gateway_id")?;
    let new = |gateway: &str, kind: &str, resource: String, subnets| Attachment {
        id: id.to_owned(),
        gateway: gateway.to_owned(),
        kind: kind.to_owned(),
        resource,
        subnets,
        table: None,
        place: node.place.clone(),
    };
    if resource.kind.ends_with("peering_attachment") {
        let peer = reader.id(node, "peer_transit_gateway_id")?;
        reader.model.attachments.push(new(&gateway, "peering", peer.clone(), Vec::new()));
        reader.model.attachments.push(new(&peer, "peering", gateway, Vec::new()));
        return Some(());
    }
    let subnets = reader.ids(node, "subnet_ids");
    reader.model.attachments.push(new(&gateway, "vpc", reader.id(node, "vpc_id")?, subnets));
    let propagates = bool(node, "transit_gateway_default_route_table_propagation") != Some(false);
    let table = reader.model.transit_tables.get_mut(&default_id(&gateway))?;
    if propagates && table.default_propagation {
        table.propagated.push(id.to_owned());
    }
    Some(())
}

pub fn table_entry(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let key = "transit_gateway_route_table_id";
    let of_default = ["association_default_route_table_id", "propagation_default_route_table_id"];
    let of_default = of_default.iter().find_map(|attribute| reader.owner_of(node, key, attribute));
    let table = match of_default {
        Some(gateway) => default_id(&gateway),
        None => reader.id(node, key)?,
    };
    let attachment = reader.id(node, "transit_gateway_attachment_id");
    if resource.kind.ends_with("_association") {
        let gateway = reader.model.transit_tables.get(&table)?.gateway.clone();
        let is_it = |each: &&mut Attachment| Some(&each.id) == attachment.as_ref() && each.gateway == gateway;
        reader.model.attachments.iter_mut().find(is_it)?.table = Some(table);
        return Some(());
    }
    let to =
        super::net(node, &["destination_cidr_block"]).map_or_else(Destination::Unknown, Destination::Net);
    let attachment = attachment.filter(|_| bool(node, "blackhole") != Some(true));
    let table = reader.model.transit_tables.get_mut(&table)?;
    if resource.kind.ends_with("_propagation") {
        table.propagated.extend(attachment);
    } else {
        table.routes.push(TransitRoute { to, attachment, place: node.place.clone() });
    }
    Some(())
}
