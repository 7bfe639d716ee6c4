//! What a name stands for: variables, locals, modules, other resources.

use super::declared::Declared;
use super::evaluate::{Step, walk};
use super::module::{Key, Keys, Scope, World};
use super::value::{self, is_known};
use crate::doc::{Node, Value};
use crate::place::{Place, Unread};
use std::rc::Rc;

/// What a cloud gives a resource, and its address stands for.
const GIVEN: [&str; 4] = ["id", "arn", "self_link", "uri"];
/// How many attributes of a resource are worked out when it is used as a whole.
const ATTRIBUTES_MAX: usize = 200;

impl World<'_> {
    /// The value of a name and the steps after it; `None` when it is not known.
    pub fn variable(&mut self, scope: &Scope, name: &str, steps: &[Step], place: &Place) -> Option<Node> {
        if let Some(bound) = scope.bound(name) {
            return walk(bound, steps);
        }
        let Some((Step::Member(first), rest)) = steps.split_first() else { return None };
        match name {
            "var" => self.variable_value(scope.instance, first, rest),
            "local" => walk(self.local(scope, first, place)?.as_ref(), rest),
            "module" => self.output(scope, first, rest, place),
            "path" => Some(value::text(place, ".")),
            "each" | "count" | "self" | "terraform" => None,
            "data" => {
                let Some((Step::Member(second), rest)) = rest.split_first() else { return None };
                self.resource(scope.instance, &format!("data.{first}.{second}"), rest, place)
            }
            kind => self.resource(scope.instance, &format!("{kind}.{first}"), rest, place),
        }
    }

    fn local(&mut self, scope: &Scope, name: &str, place: &Place) -> Option<Rc<Node>> {
        let module = self.module(scope.instance)?;
        let written = module.locals.get(name)?;
        let known = &mut self.instances.get_mut(scope.instance)?.locals;
        match known.get(name) {
            Some(Some(found)) => return Some(Rc::clone(found)),
            Some(None) => {
                let (en, zh) = ("this local value refers to itself", "该局部值引用了自身");
                self.unread.push(Unread::new(place.clone(), name, en, zh));
                return None;
            }
            None => known.insert(name.to_owned(), None),
        };
        let found = Rc::new(self.evaluate(&Scope::of(scope.instance), written));
        self.instances.get_mut(scope.instance)?.locals.insert(name.to_owned(), Some(Rc::clone(&found)));
        Some(found)
    }

    /// `module.NAME.OUTPUT`, with the key of the copy between where there are several.
    fn output(&mut self, scope: &Scope, name: &str, steps: &[Step], place: &Place) -> Option<Node> {
        let calls = self.instances.get(scope.instance)?.calls.get(name)?.clone();
        let (children, steps) = chosen(&calls, steps)?;
        let Some((Step::Member(output), rest)) = steps.split_first() else { return None };
        let mut found = Vec::new();
        for child in children.each() {
            let value = self.module(*child)?.outputs.get(output)?.get("value")?;
            found.push(walk(&self.evaluate(&Scope::of(*child), value), rest)?);
        }
        Some(children.shaped(found, place))
    }

    /// The keys of the copies of a resource of a module instance.
    pub fn resource_keys(&mut self, instance: usize, full: &str) -> Option<Rc<Keys>> {
        if let Some(keys) = self.instances.get(instance)?.keys.get(full) {
            return Some(Rc::clone(keys));
        }
        let body = &self.module(instance)?.resources.get(full)?.body;
        // Set before it is worked out: a resource whose number depends on itself has an unknown one.
        self.instances.get_mut(instance)?.keys.insert(full.to_owned(), Rc::new(Keys::Unknown));
        let keys = Rc::new(self.keys_of(&Scope::of(instance), body));
        self.instances.get_mut(instance)?.keys.insert(full.to_owned(), Rc::clone(&keys));
        Some(keys)
    }

    fn resource(&mut self, instance: usize, full: &str, steps: &[Step], place: &Place) -> Option<Node> {
        let module = self.module(instance)?;
        let declared = module.resources.get(full)?;
        let keys = self.resource_keys(instance, full)?;
        let keys: Vec<(Key, Key)> = match keys.as_ref() {
            Keys::Known(keys) => keys.iter().map(|key| (key.clone(), key.clone())).collect(),
            Keys::Unknown => return None,
        };
        let (chosen, steps) = chosen(&keys, steps)?;
        let mut found = Vec::new();
        for key in chosen.each() {
            found.push(self.attribute(instance, full, declared, key, steps, place)?);
        }
        Some(chosen.shaped(found, place))
    }

    /// An attribute of one copy of a resource, or with no step all of it.
    fn attribute(
        &mut self,
        instance: usize,
        full: &str,
        declared: &Declared,
        key: &Key,
        steps: &[Step],
        place: &Place,
    ) -> Option<Node> {
        let address = format!("{}{full}{}", self.instances.get(instance)?.prefix, key.suffix());
        let scope = Scope::of(instance).keyed(key, place);
        let looked_up = declared.kind.starts_with("data.");
        let Some((Step::Member(name), rest)) = steps.split_first() else {
            let mut members: Vec<(String, Node)> =
                GIVEN.iter().map(|name| ((*name).to_owned(), value::text(place, address.as_str()))).collect();
            for (name, node) in declared.body.members().iter().take(ATTRIBUTES_MAX) {
                members.push((name.clone(), self.evaluate(&scope, node)));
            }
            return steps.is_empty().then(|| value::node(place, Value::Map(members)));
        };
        if let Some(written) = declared.body.get(name) {
            return walk(&self.evaluate(&scope, written), rest).filter(is_known);
        }
        (GIVEN.contains(&name.as_str()) && rest.is_empty() && !looked_up).then(|| value::text(place, address))
    }
}

/// The copies that steps choose.
enum Chosen<T> {
    One(T),
    Every(Vec<T>),
    Named(Vec<(String, T)>),
}

impl<T> Chosen<T> {
    fn each(&self) -> Vec<&T> {
        match self {
            Chosen::One(one) => vec![one],
            Chosen::Every(all) => all.iter().collect(),
            Chosen::Named(all) => all.iter().map(|(_, each)| each).collect(),
        }
    }

    /// The values found for each, in the shape of the choice.
    fn shaped(&self, mut found: Vec<Node>, place: &Place) -> Node {
        match self {
            Chosen::One(_) if found.len() == 1 => found.remove(0),
            Chosen::One(_) | Chosen::Every(_) => value::list(place, found),
            Chosen::Named(all) => {
                let names = all.iter().map(|(name, _)| name.clone());
                value::node(place, Value::Map(names.zip(found).collect()))
            }
        }
    }
}

/// Takes the steps that choose among copies off the front.
fn chosen<'s, T: Clone>(copies: &[(Key, T)], steps: &'s [Step]) -> Option<(Chosen<T>, &'s [Step])> {
    if let [(Key::Only, only)] = copies {
        let rest = match steps.split_first() {
            // `aws_vpc.a[0]` and `[*]` of a resource without copies: old configurations have it.
            Some((Step::Every, rest)) => return Some((Chosen::Every(vec![only.clone()]), rest)),
            _ => steps,
        };
        return Some((Chosen::One(only.clone()), rest));
    }
    match steps.split_first() {
        Some((Step::Member(index), rest)) => {
            let copy = copies.iter().find(|(key, _)| key.is(index))?;
            Some((Chosen::One(copy.1.clone()), rest))
        }
        Some((Step::Every, rest)) => {
            Some((Chosen::Every(copies.iter().map(|(_, each)| each.clone()).collect()), rest))
        }
        None => {
            let named = |(key, each): &(Key, T)| match key {
                Key::Name(name, _) => Some((name.clone(), each.clone())),
                _ => None,
            };
            Some(match copies.iter().map(named).collect::<Option<Vec<_>>>() {
                Some(named) => (Chosen::Named(named), steps),
                None => (Chosen::Every(copies.iter().map(|(_, each)| each.clone()).collect()), steps),
            })
        }
    }
}
