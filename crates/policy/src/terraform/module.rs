//! Modules: every resource of every instance of them.

use super::declared::{Module, called_by, declared, one_or_many, source};
use super::evaluate::{Step, walk};
use super::value::{self, Budget, entries, word};
use super::{Resource, Resources};
use crate::doc::{Node, Value};
use crate::place::{Place, Unread};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// How deep modules may call each other.
const MODULE_DEPTH_MAX: usize = 16;
/// How many modules may be instantiated.
const INSTANCE_COUNT_MAX: usize = 1_000;
/// How many resources are made of `count` and `for_each` together.
const RESOURCE_COUNT_MAX: usize = 200_000;

/// The resources of configuration files.
pub fn resources(files: &[(Arc<str>, Node)], found: &mut Resources) {
    let modules = declared(files);
    let called: Vec<String> = modules.iter().flat_map(called_by).collect();
    let mut world = World {
        budget: Budget::new(),
        depth: 0,
        exhausted: false,
        instances: Vec::new(),
        modules: &modules,
        unread: Vec::new(),
    };
    for (at, module) in modules.iter().enumerate() {
        if !called.contains(&module.directory) {
            world.instantiate(at, String::new(), BTreeMap::new(), 0);
        }
    }
    for instance in 0..world.instances.len() {
        world.expand(instance, &mut found.resources);
    }
    found.unread.append(&mut world.unread);
}

/// One use of a module.
pub struct Instance {
    pub module: usize,
    /// `module.net.`, empty for the root.
    pub prefix: String,
    arguments: BTreeMap<String, Node>,
    depth: usize,
    /// By name: the instances of each call, by their key.
    pub calls: BTreeMap<String, Vec<(Key, usize)>>,
    /// `None` while it is being worked out.
    pub locals: BTreeMap<String, Option<Rc<Node>>>,
    pub keys: BTreeMap<String, Rc<Keys>>,
}

/// Which of the copies made by `count` or `for_each`.
#[derive(Debug, Clone, PartialEq)]
pub enum Key {
    Only,
    Number(usize),
    Name(String, Rc<Node>),
}

impl Key {
    pub fn suffix(&self) -> String {
        match self {
            Key::Only => String::new(),
            Key::Number(number) => format!("[{number}]"),
            Key::Name(name, _) => format!("[\"{name}\"]"),
        }
    }

    pub fn is(&self, index: &str) -> bool {
        match self {
            Key::Only => false,
            Key::Number(number) => index.parse() == Ok(*number),
            Key::Name(name, _) => name == index,
        }
    }
}

/// How many copies there are; unknown copies are treated as one, and it is said.
#[derive(Debug, Clone, PartialEq)]
pub enum Keys {
    Known(Vec<Key>),
    Unknown,
}

/// Where an expression stands: its module instance, and the names bound there.
#[derive(Clone)]
pub struct Scope {
    pub instance: usize,
    bindings: Vec<(String, Rc<Node>)>,
}

impl Scope {
    pub fn of(instance: usize) -> Scope {
        Scope { instance, bindings: Vec::new() }
    }

    pub fn bind(&mut self, name: &str, node: Node) {
        self.bindings.push((name.to_owned(), Rc::new(node)));
    }

    pub fn bound(&self, name: &str) -> Option<&Node> {
        self.bindings.iter().rev().find(|(bound, _)| bound == name).map(|(_, node)| node.as_ref())
    }

    /// The scope inside one copy of a resource or module.
    pub fn keyed(mut self, key: &Key, place: &Place) -> Scope {
        let map = |members: Vec<(String, Node)>| value::node(place, Value::Map(members));
        match key {
            Key::Only => {}
            Key::Number(number) => {
                let number = value::node(place, Value::Number(number.to_string()));
                self.bind("count", map(vec![("index".to_owned(), number)]));
            }
            Key::Name(name, each) => {
                let key = value::text(place, name.as_str());
                self.bind(
                    "each",
                    map(vec![("key".to_owned(), key), ("value".to_owned(), each.as_ref().clone())]),
                );
            }
        }
        self
    }
}

/// Everything that is being worked out.
pub struct World<'a> {
    pub budget: Budget,
    pub depth: usize,
    exhausted: bool,
    pub instances: Vec<Instance>,
    pub modules: &'a [Module],
    pub unread: Vec<Unread>,
}

impl<'a> World<'a> {
    pub fn module(&self, instance: usize) -> Option<&'a Module> {
        self.modules.get(self.instances.get(instance)?.module)
    }

    /// Says once that a limit was reached, and leaves the value as an expression.
    pub fn give_up(&mut self, written: &Node) -> Node {
        if !self.exhausted {
            self.exhausted = true;
            let (en, zh) = ("values too large or too deep to work out", "值过大或嵌套过深，无法计算");
            self.unread.push(Unread::new(written.place.clone(), "", en, zh));
        }
        match written.value {
            Value::List(_) | Value::Map(_) => value::node(&written.place, Value::Expression("…".to_owned())),
            _ => written.clone(),
        }
    }

    fn instantiate(
        &mut self,
        module: usize,
        prefix: String,
        arguments: BTreeMap<String, Node>,
        depth: usize,
    ) {
        let instance = self.instances.len();
        let calls = BTreeMap::new();
        let (locals, keys) = (BTreeMap::new(), BTreeMap::new());
        self.instances.push(Instance {
            module,
            prefix: prefix.clone(),
            arguments,
            depth,
            calls,
            locals,
            keys,
        });
        let modules = self.modules;
        let Some(declared) = modules.get(module) else { return };
        for (name, call) in &declared.calls {
            let directory = source(declared, call);
            let target = modules.iter().position(|other| Some(&other.directory) == directory.as_ref());
            let room = depth < MODULE_DEPTH_MAX && self.instances.len() < INSTANCE_COUNT_MAX;
            let Some(target) = target.filter(|_| room) else {
                let (en, zh) =
                    ("the source of this module is not among the files", "该模块的源码不在所给文件中");
                self.unread.push(Unread::new(call.place.clone(), &format!("module {name}"), en, zh));
                continue;
            };
            let scope = Scope::of(instance);
            let Keys::Known(keys) = self.keys_of(&scope, call) else { continue };
            for key in keys {
                if self.instances.len() >= INSTANCE_COUNT_MAX {
                    break;
                }
                let inner = scope.clone().keyed(&key, &call.place);
                let arguments = call.members().iter().filter(|(name, _)| !META.contains(&name.as_str()));
                let arguments: BTreeMap<String, Node> =
                    arguments.map(|(name, node)| (name.clone(), self.evaluate(&inner, node))).collect();
                let child = self.instances.len();
                let prefix = format!("{prefix}module.{name}{}.", key.suffix());
                if let Some(parent) = self.instances.get_mut(instance) {
                    parent.calls.entry(name.clone()).or_default().push((key, child));
                }
                self.instantiate(target, prefix, arguments, depth + 1);
            }
        }
    }

    /// The keys of the copies of a resource or module.
    pub fn keys_of(&mut self, scope: &Scope, body: &Node) -> Keys {
        if let Some(count) = body.get("count") {
            let count = self.evaluate(scope, count);
            return match count.integer().and_then(|count| usize::try_from(count).ok()) {
                Some(count) if count <= RESOURCE_COUNT_MAX => {
                    Keys::Known((0..count).map(Key::Number).collect())
                }
                _ => self.unknown_keys(body, "count"),
            };
        }
        let Some(each) = body.get("for_each") else { return Keys::Known(vec![Key::Only]) };
        let each = self.evaluate(scope, each);
        let named = |(key, item): (Node, Node)| {
            let name = if matches!(each.value, Value::List(_)) { word(&item)? } else { word(&key)? };
            Some(Key::Name(name, Rc::new(item)))
        };
        match entries(&each).map(|entries| entries.into_iter().map(named).collect::<Option<Vec<_>>>()) {
            Some(Some(keys)) => Keys::Known(keys),
            _ => self.unknown_keys(body, "for_each"),
        }
    }

    fn unknown_keys(&mut self, body: &Node, word: &str) -> Keys {
        let en = format!("how many copies {word} makes cannot be worked out: it is read as one");
        let zh = format!("无法计算 {word} 产生多少份：按一份读取");
        self.unread.push(Unread::new(body.place.clone(), word, en, zh));
        Keys::Unknown
    }

    /// A variable of a module: what it was given, else its default.
    pub fn variable_value(&mut self, instance: usize, name: &str, steps: &[Step]) -> Option<Node> {
        let module = self.module(instance)?;
        let here = self.instances.get(instance)?;
        if let Some(given) = here.arguments.get(name).filter(|given| !given.is_null()) {
            return walk(given, steps);
        }
        if here.depth == 0
            && here.prefix.is_empty()
            && let Some(given) = module.given.get(name)
        {
            return walk(given, steps);
        }
        walk(module.variables.get(name)?.get("default")?, steps)
    }

    /// Every copy of every resource of an instance.
    fn expand(&mut self, instance: usize, into: &mut Vec<Resource>) {
        let (Some(module), Some(here)) = (self.module(instance), self.instances.get(instance)) else {
            return;
        };
        let prefix = here.prefix.clone();
        for (full, declared) in &module.resources {
            let keys = match self.resource_keys(instance, full) {
                Some(keys) => match keys.as_ref() {
                    Keys::Known(keys) => keys.clone(),
                    Keys::Unknown => vec![Key::Only],
                },
                None => continue,
            };
            for key in keys {
                if into.len() >= RESOURCE_COUNT_MAX {
                    return;
                }
                let scope = Scope::of(instance).keyed(&key, &declared.body.place);
                into.push(Resource {
                    kind: declared.kind.clone(),
                    name: declared.name.clone(),
                    address: format!("{prefix}{full}{}", key.suffix()),
                    node: self.body(&scope, &declared.body),
                });
            }
        }
    }

    /// The body of a resource, its dynamic blocks written out.
    fn body(&mut self, scope: &Scope, body: &Node) -> Node {
        let Value::Map(members) = &body.value else { return self.evaluate(scope, body) };
        let mut made: Vec<(String, Node)> = Vec::with_capacity(members.len());
        for (name, node) in members {
            match name.as_str() {
                "dynamic" => self.dynamic(scope, node, &mut made),
                name if META.contains(&name) => {}
                name => {
                    let node = match &node.value {
                        Value::List(nodes) if nodes.iter().any(|each| each.get("dynamic").is_some()) => {
                            let nodes = nodes.iter().map(|each| self.body(scope, each)).collect();
                            value::list(&node.place, nodes)
                        }
                        _ => self.evaluate(scope, node),
                    };
                    extend(&mut made, name, node);
                }
            }
        }
        value::node(&body.place, Value::Map(made))
    }

    /// The blocks that `dynamic` makes; one unknown block when that cannot be worked out.
    fn dynamic(&mut self, scope: &Scope, blocks: &Node, made: &mut Vec<(String, Node)>) {
        for (name, dynamic) in one_or_many(blocks).iter().flat_map(Node::members) {
            let each = dynamic.get("for_each").map(|each| self.evaluate(scope, each));
            let content = dynamic.get("content").map(one_or_many).and_then(<[Node]>::last);
            let (Some(entries), Some(content)) = (each.as_ref().and_then(entries), content) else {
                let unknown = Value::Expression(format!("dynamic {name}"));
                let list = value::list(&dynamic.place, vec![value::node(&dynamic.place, unknown)]);
                extend(made, name, list);
                let (en, zh) = ("what this block repeats cannot be worked out", "无法计算该块重复的内容");
                self.unread.push(Unread::new(dynamic.place.clone(), &format!("dynamic {name}"), en, zh));
                continue;
            };
            let iterator = dynamic.get("iterator").and_then(super::identity).unwrap_or(name).to_owned();
            let mut nodes = Vec::new();
            for (key, item) in entries {
                let mut inner = scope.clone();
                let bound = vec![("key".to_owned(), key), ("value".to_owned(), item)];
                inner.bind(&iterator, value::node(&dynamic.place, Value::Map(bound)));
                nodes.push(self.body(&inner, content));
            }
            extend(made, name, value::list(&dynamic.place, nodes));
        }
    }
}

/// Adds a member, or to the list that is there by this name.
fn extend(members: &mut Vec<(String, Node)>, name: &str, node: Node) {
    let there = members.iter_mut().find(|(there, _)| there == name).map(|(_, node)| &mut node.value);
    match (there, node) {
        (Some(Value::List(there)), Node { value: Value::List(nodes), .. }) => there.extend(nodes),
        (_, node) => members.push((name.to_owned(), node)),
    }
}

/// What Terraform keeps for itself in a resource or module block.
const META: [&str; 8] =
    ["count", "for_each", "provider", "providers", "depends_on", "lifecycle", "source", "connection"];
