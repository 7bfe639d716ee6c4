//! What `terraform show -json` and state files say: every resource with its values, and the references of what
//! is not known before it is applied.

use super::declared::one_or_many;
use super::{Resource, Resources};
use crate::doc::{Node, Value};
use crate::place::Unread;
use std::collections::HashMap;

/// How deep modules may be nested.
const MODULE_DEPTH_MAX: usize = 16;
/// How many resources are read.
const RESOURCE_COUNT_MAX: usize = 200_000;

/// The key under which a document of Terraform has its resources.
pub fn keys(document: &Node) -> Option<&'static str> {
    if document.get("planned_values").is_some() {
        return Some("planned_values");
    }
    if document.at(&["values", "root_module"]).is_some() {
        return Some("values");
    }
    (document.get("terraform_version").is_some() && document.get("resources").is_some())
        .then_some("resources")
}

pub fn resources(document: &Node, found: &mut Resources) {
    match keys(document) {
        Some("resources") => state(document, found),
        Some(key) => {
            let configuration = document.at(&["configuration", "root_module"]);
            if let Some(root) = document.at(&[key, "root_module"]) {
                let scope = Scope { configuration, call: None, parent: None, prefix: String::new() };
                module(root, &scope, found, 0);
            }
        }
        None => {}
    }
}

fn module(values: &Node, scope: &Scope<'_>, found: &mut Resources, depth: usize) {
    let all = scope.configuration.map_or(&[][..], |module| module.each("resources"));
    let mut declared = HashMap::new();
    for each in all {
        let key = (each.word("mode") == Some("data"), each.word("type"), each.word("name"));
        declared.insert(key, each);
    }
    for resource in values.each("resources") {
        if found.resources.len() >= RESOURCE_COUNT_MAX {
            return;
        }
        let (Some(kind), Some(name)) = (resource.word("type"), resource.word("name")) else {
            let (en, zh) = ("a resource without a type or a name", "资源缺少类型或名称");
            found.unread.push(Unread::new(resource.place.clone(), "", en, zh));
            continue;
        };
        let address = resource.word("address").unwrap_or(name).to_owned();
        let place = &resource.place;
        let empty = Node { place: place.clone(), value: Value::Map(Vec::new()) };
        let mut node = resource.get("values").cloned().unwrap_or(empty);
        let looked_up = resource.word("mode") == Some("data");
        let declared = declared.get(&(looked_up, Some(kind), Some(name)));
        if let Some(expressions) = declared.and_then(|declared| declared.get("expressions")) {
            complete(&mut node, expressions, scope, 0);
        }
        let kind = if looked_up { format!("data.{kind}") } else { kind.to_owned() };
        found.resources.push(Resource { kind, name: name.to_owned(), address, node });
    }
    for child in values.each("child_modules").iter().filter(|_| depth < MODULE_DEPTH_MAX) {
        let address = child.word("address").unwrap_or_default();
        let call = address.rsplit('.').next().unwrap_or_default();
        let call = call.split('[').next().unwrap_or_default();
        module(child, &scope.inner(call, format!("{address}.")), found, depth + 1);
    }
}

/// Adds to the values of a resource or block what its expressions refer to, where no value is known yet.
fn complete(values: &mut Node, expressions: &Node, scope: &Scope<'_>, depth: usize) {
    let Value::Map(members) = &mut values.value else { return };
    if depth >= MODULE_DEPTH_MAX {
        return;
    }
    for (name, expression) in expressions.members() {
        let at = members.iter().rposition(|(there, _)| there == name);
        match at.and_then(|at| members.get_mut(at)).map(|(_, value)| value) {
            Some(Node { value: Value::List(nodes), .. }) if !nodes.is_empty() => {
                let blocks = one_or_many(expression);
                for (at, node) in nodes.iter_mut().enumerate() {
                    let fits = |block: &&Node| agrees(node, block);
                    let block = blocks.get(at).filter(fits).or_else(|| blocks.iter().find(fits));
                    if let Some(block) = block.cloned() {
                        complete(node, &block, scope, depth + 1);
                    }
                }
            }
            Some(Node { value: Value::List(_) | Value::Null, .. }) | None => {
                members.extend(constructed(expression, scope, depth).map(|node| (name.clone(), node)));
            }
            Some(_) => {}
        }
    }
}

/// Whether a block can be the one that its expressions describe: the constants are the same.
fn agrees(values: &Node, expressions: &Node) -> bool {
    expressions.members().iter().all(|(name, expression)| {
        match (expression.get("constant_value"), values.get(name)) {
            (Some(constant), Some(value)) => {
                constant.text() == value.text() && constant.bool() == value.bool()
            }
            _ => true,
        }
    })
}

/// A value as far as its expression tells it.
fn constructed(expression: &Node, scope: &Scope<'_>, depth: usize) -> Option<Node> {
    if depth >= MODULE_DEPTH_MAX {
        return None;
    }
    if let Some(constant) = expression.get("constant_value") {
        return Some(constant.clone());
    }
    let value = match &expression.value {
        Value::Map(_) if expression.get("references").is_some() => return referred(expression, scope, depth),
        Value::Map(members) if !members.is_empty() => {
            let member =
                |(name, each): &(String, Node)| Some((name.clone(), constructed(each, scope, depth + 1)?));
            Value::Map(members.iter().filter_map(member).collect())
        }
        Value::List(blocks) => {
            Value::List(blocks.iter().filter_map(|block| constructed(block, scope, depth + 1)).collect())
        }
        _ => return None,
    };
    Some(Node { place: expression.place.clone(), value })
}

/// What an expression refers to: the address of one resource, or the addresses of several.
fn referred(expression: &Node, scope: &Scope<'_>, depth: usize) -> Option<Node> {
    let references = expression.get("references")?;
    let texts: Vec<&str> = references.list().iter().filter_map(Node::text).collect();
    let mut found: Vec<String> = texts.iter().flat_map(|text| scope.resolve(text, depth)).collect();
    if found.is_empty() {
        // `aws_subnet.a[*].id` is told as `aws_subnet.a` alone: all copies of it.
        let whole = texts.iter().filter(|text| text.matches('.').count() == 1 && !is_of_module(text));
        found.extend(whole.map(|text| format!("{}{text}", scope.prefix)));
    }
    let node = |value| Node { place: references.place.clone(), value };
    match found.len() {
        0 if texts.is_empty() => None,
        0 => Some(node(Value::Expression(texts.join(", ")))),
        1 => found.pop().map(|only| node(Value::Text(only))),
        _ => Some(node(Value::List(found.into_iter().map(|each| node(Value::Text(each))).collect()))),
    }
}

/// Names that mean something only in their module.
fn is_of_module(reference: &str) -> bool {
    let words = ["var.", "local.", "module.", "each.", "count.", "data.", "path.", "self.", "terraform."];
    words.iter().any(|word| reference.starts_with(word))
}

/// A module of the configuration, and the call that made it.
struct Scope<'n> {
    configuration: Option<&'n Node>,
    call: Option<&'n Node>,
    parent: Option<&'n Scope<'n>>,
    /// `module.net.`, empty for the root.
    prefix: String,
}

impl<'n> Scope<'n> {
    fn inner(&'n self, call: &str, prefix: String) -> Scope<'n> {
        let call = self.configuration.and_then(|module| module.at(&["module_calls", call]));
        let configuration = call.and_then(|call| call.get("module"));
        Scope { configuration, call, parent: Some(self), prefix }
    }

    /// The resources whose ids a reference leads to, through variables and outputs of modules.
    fn resolve(&self, reference: &str, depth: usize) -> Vec<String> {
        if depth >= MODULE_DEPTH_MAX {
            return Vec::new();
        }
        let each = |expression: &Node, scope: &Scope<'_>| {
            let references = expression.each("references").iter().filter_map(Node::text);
            references.flat_map(|inner| scope.resolve(inner, depth + 1)).collect::<Vec<String>>()
        };
        let mut parts = reference.split('.');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("var"), Some(name), _) => {
                let name = name.split('[').next().unwrap_or(name);
                let given = self.call.and_then(|call| call.at(&["expressions", name]));
                given.zip(self.parent).map_or_else(Vec::new, |(given, parent)| each(given, parent))
            }
            (Some("module"), Some(name), Some(output)) => {
                let call = name.split('[').next().unwrap_or(name);
                let inner = self.inner(call, format!("{}module.{name}.", self.prefix));
                let output = output.split('[').next().unwrap_or(output);
                let output =
                    inner.configuration.and_then(|module| module.at(&["outputs", output, "expression"]));
                output.map_or_else(Vec::new, |output| each(output, &inner))
            }
            _ => match reference.rsplit_once('.') {
                Some((resource, "id" | "arn" | "self_link")) if !is_of_module(reference) => {
                    vec![format!("{}{resource}", self.prefix)]
                }
                _ => Vec::new(),
            },
        }
    }
}

/// A state file as it lies on disk.
fn state(document: &Node, found: &mut Resources) {
    for resource in document.each("resources") {
        let (Some(kind), Some(name)) = (resource.word("type"), resource.word("name")) else { continue };
        let prefix = resource.word("module").map_or(String::new(), |module| format!("{module}."));
        let looked_up = if resource.word("mode") == Some("data") { "data." } else { "" };
        for instance in resource.each("instances") {
            let Some(node) = instance.get("attributes") else { continue };
            if found.resources.len() >= RESOURCE_COUNT_MAX {
                return;
            }
            let key = match instance.get("index_key").map(|key| &key.value) {
                Some(Value::Number(number)) => format!("[{number}]"),
                Some(Value::Text(text)) => format!("[\"{text}\"]"),
                _ => String::new(),
            };
            let kind = format!("{looked_up}{kind}");
            let address = format!("{prefix}{kind}.{name}{key}");
            found.resources.push(Resource { kind, name: name.to_owned(), address, node: node.clone() });
        }
    }
}
