//! Terraform: the resources of its files, plans and states, with variables, locals, references between
//! resources, `count`, `for_each`, dynamic blocks and local modules worked out as far as the files tell.
//!
//! What only a cloud knows (`id`, `arn`, `self_link`) is the address of its resource: `aws_vpc.main`,
//! `module.net.aws_subnet.a[0]`. What cannot be worked out stays a [`Value::Expression`], as written.

mod declared;
mod evaluate;
mod functions;
mod module;
mod plan;
mod refer;
mod value;

use crate::doc::{Node, Value, hcl, json, printable};
use crate::place::Unread;
use std::sync::Arc;

/// A file: its name with its directory, and its text.
pub type File<'a> = (Arc<str>, &'a str);

/// A resource, with everything about it that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// `aws_security_group`; `data.aws_vpc` for one that is only looked up.
    pub kind: String,
    /// The second label of its block.
    pub name: String,
    /// What it is called from everywhere: `module.net.aws_subnet.a["x"]`.
    pub address: String,
    /// Its attributes; nested blocks as lists of maps.
    pub node: Node,
}

impl Resource {
    /// What others refer to it by: its real id where that is known, else its address.
    pub fn id(&self) -> &str {
        self.node.word("id").unwrap_or(&self.address)
    }
}

/// What the files hold.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    pub resources: Vec<Resource>,
    pub unread: Vec<Unread>,
}

/// Whether a file is one of Terraform's.
pub fn is_terraform(name: &str, text: &str) -> bool {
    const EXTENSIONS: [&str; 6] = [".tf", ".tf.json", ".tfvars", ".tfvars.json", ".tfstate", ".hcl"];
    /// How much of a file is looked at, in bytes: the version stands at its beginning.
    const HEAD_BYTES: usize = 4_096;
    let head = text.as_bytes().get(..HEAD_BYTES).unwrap_or(text.as_bytes());
    let versioned = head.windows(19).any(|window| window == b"\"terraform_version\"");
    EXTENSIONS.iter().any(|extension| name.ends_with(extension)) || versioned
}

/// Reads every resource of these files. Those of one directory are one module.
pub fn resources(files: &[File<'_>]) -> Resources {
    let mut found = Resources::default();
    let mut configuration = Vec::new();
    for (name, text) in files {
        let read = if name.ends_with(".tf") || name.ends_with(".tfvars") || name.ends_with(".hcl") {
            hcl(name, text)
        } else {
            json(name, text)
        };
        found.unread.extend(read.unread);
        for document in read.documents {
            if name.ends_with("tfvars") || name.ends_with("tfvars.json") || plan::keys(&document).is_none() {
                configuration.push((Arc::clone(name), document));
            } else {
                plan::resources(&document, &mut found);
            }
        }
    }
    module::resources(&configuration, &mut found);
    let clean = |one: Resource| Resource {
        kind: printable(one.kind),
        name: printable(one.name),
        address: printable(one.address),
        node: one.node.printable(),
    };
    found.resources = found.resources.into_iter().map(clean).collect();
    found
}

/// The text of an id, or of the expression that stands for one that is not known: the same expression is the
/// same thing.
pub fn identity(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Expression(text) => Some(text.trim()),
        _ => node.text(),
    }
}

/// The identities under a key, of a list or of a single value.
///
/// A plan that does not know a list of one reference yet has only the reference.
pub fn identities<'a>(node: &'a Node, key: &str) -> Vec<&'a str> {
    match node.get(key) {
        Some(Node { value: Value::List(nodes), .. }) => nodes.iter().filter_map(identity).collect(),
        Some(single) => identity(single).into_iter().collect(),
        None => Vec::new(),
    }
}
