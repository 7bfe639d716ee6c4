//! What the files of a module declare.

use crate::doc::{Node, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the files of one directory declare.
#[derive(Default)]
pub struct Module {
    pub directory: String,
    pub variables: BTreeMap<String, Node>,
    pub given: BTreeMap<String, Node>,
    pub locals: BTreeMap<String, Node>,
    /// By `kind.name`, in the order of the files.
    pub resources: BTreeMap<String, Declared>,
    pub outputs: BTreeMap<String, Node>,
    pub calls: BTreeMap<String, Node>,
}

pub struct Declared {
    pub kind: String,
    pub name: String,
    pub body: Node,
}

pub fn declared(files: &[(Arc<str>, Node)]) -> Vec<Module> {
    let mut modules: BTreeMap<String, Module> = BTreeMap::new();
    for (name, document) in files {
        let directory = name.rsplit_once('/').map_or(".", |(directory, _)| directory).to_owned();
        let module = modules.entry(directory.clone()).or_default();
        module.directory = directory;
        if name.ends_with(".tfvars") || name.ends_with(".tfvars.json") {
            module.given.extend(document.members().iter().cloned());
            continue;
        }
        for locals in blocks(document, "locals") {
            module.locals.extend(locals.members().iter().cloned());
        }
        labelled(document, "variable", &mut module.variables);
        labelled(document, "output", &mut module.outputs);
        labelled(document, "module", &mut module.calls);
        for (top, prefix) in [("resource", ""), ("data", "data.")] {
            for block in blocks(document, top) {
                for (kind, named) in block.members() {
                    for (name, body) in named.members() {
                        for body in one_or_many(body) {
                            let kind = format!("{prefix}{kind}");
                            let declared =
                                Declared { kind: kind.clone(), name: name.clone(), body: body.clone() };
                            module.resources.insert(format!("{kind}.{name}"), declared);
                        }
                    }
                }
            }
        }
    }
    modules.into_values().collect()
}

/// HCL has a list of blocks where Terraform's JSON may have one map.
pub fn one_or_many(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(nodes) => nodes,
        _ => std::slice::from_ref(node),
    }
}

fn blocks<'a>(document: &'a Node, name: &str) -> impl Iterator<Item = &'a Node> {
    document.get(name).into_iter().flat_map(one_or_many)
}

fn labelled(document: &Node, name: &str, into: &mut BTreeMap<String, Node>) {
    for block in blocks(document, name) {
        for (label, body) in block.members() {
            into.extend(one_or_many(body).last().map(|body| (label.clone(), body.clone())));
        }
    }
}

pub fn called_by(module: &Module) -> Vec<String> {
    module.calls.values().filter_map(|call| source(module, call)).collect()
}

/// The directory of a local module.
pub fn source(module: &Module, call: &Node) -> Option<String> {
    let source = call.word("source")?;
    let mut parts: Vec<&str> = module.directory.split('/').filter(|part| *part != ".").collect();
    if !source.starts_with("./") && !source.starts_with("../") {
        return None;
    }
    for part in source.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}
