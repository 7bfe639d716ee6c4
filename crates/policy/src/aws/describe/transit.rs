//! Transit gateways: attachments, their tables, routes and propagations.

use super::texts;
use crate::aws::model::{Attachment, Destination, Model, TransitRoute, TransitTable};
use crate::aws::net::Net;
use crate::doc::Node;

/// Which of its tables new attachments use, the tables tell themselves.
pub fn gateway(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("TransitGatewayId")?;
    if node.at(&["Options", "SecurityGroupReferencingSupport"]).and_then(Node::text) == Some("enable") {
        model.referring.insert(id.to_owned());
    }
    Some(())
}

fn is_gone(node: &Node) -> bool {
    matches!(node.word("State"), Some("deleted" | "deleting" | "rejected" | "failed"))
}

/// Adds an attachment, or what is new about one: both accounts of a peering tell of it, each its own side.
fn add(model: &mut Model, new: Attachment) {
    let same = |old: &&mut Attachment| old.id == new.id && old.gateway == new.gateway;
    match model.attachments.iter_mut().find(same) {
        Some(old) => {
            if old.subnets.is_empty() {
                old.subnets = new.subnets;
            }
            old.table = old.table.take().or(new.table);
            if old.resource.is_empty() {
                old.resource = new.resource;
            }
        }
        None => model.attachments.push(new),
    }
}

pub fn attachment(model: &mut Model, node: &Node) -> Option<()> {
    if is_gone(node) {
        return Some(());
    }
    let new = Attachment {
        id: node.word("TransitGatewayAttachmentId")?.to_owned(),
        gateway: node.word("TransitGatewayId")?.to_owned(),
        kind: node.word("ResourceType").unwrap_or_default().to_owned(),
        resource: node.word("ResourceId").unwrap_or_default().to_owned(),
        subnets: Vec::new(),
        table: node
            .at(&["Association", "TransitGatewayRouteTableId"])
            .and_then(Node::text)
            .map(str::to_owned),
        place: node.place.clone(),
    };
    add(model, new);
    Some(())
}

pub fn vpc_attachment(model: &mut Model, node: &Node) -> Option<()> {
    if is_gone(node) {
        return Some(());
    }
    let new = Attachment {
        id: node.word("TransitGatewayAttachmentId")?.to_owned(),
        gateway: node.word("TransitGatewayId")?.to_owned(),
        kind: "vpc".to_owned(),
        resource: node.word("VpcId")?.to_owned(),
        subnets: texts(node, "SubnetIds"),
        table: None,
        place: node.place.clone(),
    };
    add(model, new);
    Some(())
}

pub fn peering_attachment(model: &mut Model, node: &Node) -> Option<()> {
    if is_gone(node) {
        return Some(());
    }
    let id = node.word("TransitGatewayAttachmentId")?;
    let side = |key: &str| node.at(&[key, "TransitGatewayId"]).and_then(Node::text).map(str::to_owned);
    let (one, other) = (side("RequesterTgwInfo")?, side("AccepterTgwInfo")?);
    for (gateway, resource) in [(&one, &other), (&other, &one)] {
        let new = Attachment {
            id: id.to_owned(),
            gateway: gateway.clone(),
            kind: "peering".to_owned(),
            resource: resource.clone(),
            subnets: Vec::new(),
            table: None,
            place: node.place.clone(),
        };
        add(model, new);
    }
    Some(())
}

/// The table of this id, made when nothing told of it before.
fn table_of<'m>(model: &'m mut Model, id: &str, node: &Node) -> Option<&'m mut TransitTable> {
    let new = TransitTable {
        id: id.to_owned(),
        gateway: String::new(),
        default_association: false,
        default_propagation: false,
        routes: Vec::new(),
        propagated: Vec::new(),
        place: node.place.clone(),
    };
    model.transit_tables.add(id, new);
    model.transit_tables.get_mut(id)
}

pub fn table(model: &mut Model, node: &Node) -> Option<()> {
    let table = table_of(model, node.word("TransitGatewayRouteTableId")?, node)?;
    node.word("TransitGatewayId").unwrap_or_default().clone_into(&mut table.gateway);
    table.default_association = node.get("DefaultAssociationRouteTable").and_then(Node::bool) == Some(true);
    table.default_propagation = node.get("DefaultPropagationRouteTable").and_then(Node::bool) == Some(true);
    Some(())
}

pub fn routes(model: &mut Model, node: &Node) -> Option<()> {
    let table = table_of(model, node.word("TransitGatewayRouteTableId")?, node)?;
    for route in node.each("Routes") {
        let to = match (route.word("DestinationCidrBlock"), route.word("PrefixListId")) {
            (Some(text), _) => {
                Net::read(text).map_or_else(|| Destination::Unknown(text.to_owned()), Destination::Net)
            }
            (None, Some(list)) => Destination::Prefixes(list.to_owned()),
            (None, None) => Destination::Unknown(String::new()),
        };
        let attachment = route.each("TransitGatewayAttachments").first();
        let attachment = attachment
            .and_then(|each| each.word("TransitGatewayAttachmentId"))
            .filter(|_| route.word("State") != Some("blackhole"))
            .map(str::to_owned);
        table.routes.push(TransitRoute { to, attachment, place: route.place.clone() });
    }
    Some(())
}

pub fn propagations(model: &mut Model, node: &Node) -> Option<()> {
    let table = table_of(model, node.word("TransitGatewayRouteTableId")?, node)?;
    for each in node.each("TransitGatewayRouteTablePropagations") {
        if matches!(each.word("State"), Some("enabled" | "enabling") | None) {
            table.propagated.extend(each.word("TransitGatewayAttachmentId").map(str::to_owned));
        }
    }
    Some(())
}
