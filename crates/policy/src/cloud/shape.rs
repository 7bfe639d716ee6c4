//! Resources of Terraform in the shape of the vendor's own answers, so that one reader reads both.

use crate::doc::{Node, Value};
use crate::place::Place;
use crate::terraform::{Resource, identity};
use std::collections::HashMap;

/// How deep blocks may stand in blocks.
const BLOCK_DEPTH_MAX: usize = 6;

/// How a kind of resource becomes what the vendor's interface answers.
pub(crate) struct Shape {
    pub kind: &'static str,
    /// Members it gets.
    pub add: &'static [(&'static str, &'static str)],
    /// Names of members: Terraform's, the vendor's.
    pub rename: &'static [(&'static str, &'static str)],
    /// Members that get the resource's id.
    pub id: &'static [&'static str],
}

/// Every resource that one of the shapes is for, in its shape, with its `id`.
pub(crate) fn shaped(resources: &[Resource], shapes: &[Shape]) -> Vec<Node> {
    let shape = |resource: &Resource| {
        let shape = shapes.iter().find(|shape| shape.kind == resource.kind)?;
        Some(one(resource, shape))
    };
    resources.iter().filter_map(shape).collect()
}

fn one(resource: &Resource, shape: &Shape) -> Node {
    let place = &resource.node.place;
    let mut members: Vec<(String, Node)> = resource.node.members().to_vec();
    rename(&mut members, shape.rename, 0);
    for (name, value) in shape.add {
        members.push(((*name).to_owned(), text(place, value)));
    }
    for name in shape.id {
        members.push(((*name).to_owned(), text(place, resource.id())));
    }
    if resource.node.get("name").is_none_or(Node::is_null) {
        members.push(("name".to_owned(), text(place, &resource.name)));
    }
    Node { place: place.clone(), value: Value::Map(members) }
}

/// Renames members, those of blocks inside too.
fn rename(members: &mut [(String, Node)], names: &[(&str, &str)], depth: usize) {
    for (name, node) in members {
        if let Some((_, to)) = names.iter().find(|(from, _)| from == name) {
            (*to).clone_into(name);
        }
        let Value::List(nodes) = &mut node.value else { continue };
        for node in nodes.iter_mut().filter(|_| depth < BLOCK_DEPTH_MAX) {
            if let Value::Map(members) = &mut node.value {
                rename(members, names, depth + 1);
            }
        }
    }
}

pub(crate) fn text(place: &Place, text: &str) -> Node {
    Node { place: place.clone(), value: Value::Text(text.to_owned()) }
}

/// A map of members; those that are none are left out.
pub(crate) fn map(place: &Place, members: Vec<(&str, Option<Node>)>) -> Node {
    let told = |(name, node): (&str, Option<Node>)| Some((name.to_owned(), node?));
    Node { place: place.clone(), value: Value::Map(members.into_iter().filter_map(told).collect()) }
}

pub(crate) fn list(place: &Place, nodes: Vec<Node>) -> Node {
    Node { place: place.clone(), value: Value::List(nodes) }
}

/// Puts a member into the map that has this text under `key`.
pub(crate) fn attach(nodes: &mut [Node], key: &str, id: &str, name: &str, member: &Node) {
    let same = |node: &&mut Node| node.word(key) == Some(id);
    if let Some(Node { value: Value::Map(members), .. }) = nodes.iter_mut().find(same) {
        members.push((name.to_owned(), member.clone()));
    }
}

/// Adds an element to the list under a name of the map that has this text under `key`.
pub(crate) fn append(nodes: &mut [Node], key: &str, id: &str, name: &str, element: Node) {
    let same = |node: &&mut Node| node.word(key) == Some(id);
    let Some(Node { value: Value::Map(members), place }) = nodes.iter_mut().find(same) else { return };
    let found = members.iter_mut().rev().find(|(own, _)| own == name);
    match found {
        Some((_, Node { value: Value::List(elements), .. })) => elements.push(element),
        _ => members.push((name.to_owned(), list(&place.clone(), vec![element]))),
    }
}

/// Resources of one kind.
pub(crate) fn of_kind<'a>(resources: &'a [Resource], kind: &'a str) -> impl Iterator<Item = &'a Resource> {
    resources.iter().filter(move |resource| resource.kind == kind)
}

/// Resources of a kind by the thing they name under a member, be it known or not.
pub(crate) fn by_identity<'a>(
    resources: &'a [Resource],
    kind: &'a str,
    by: &str,
) -> HashMap<String, Vec<&'a Resource>> {
    let mut groups: HashMap<String, Vec<&Resource>> = HashMap::new();
    for resource in of_kind(resources, kind) {
        if let Some(id) = resource.node.get(by).and_then(identity) {
            groups.entry(id.to_owned()).or_default().push(resource);
        }
    }
    groups
}

/// A member that is written and not null.
pub(crate) fn member(node: &Node, name: &str) -> Option<Node> {
    node.get(name).filter(|node| !node.is_null()).cloned()
}

/// The nodes of a kind by what they are under a member: `security_group_id` and all that have it.
pub(crate) fn grouped<'a>(
    resources: &'a [Resource],
    kind: &'a str,
    by: &str,
) -> HashMap<String, Vec<&'a Node>> {
    let named = by_identity(resources, kind, by).into_iter();
    named.map(|(id, all)| (id, all.into_iter().map(|resource| &resource.node).collect())).collect()
}
