//! nft's JSON: what `nft -j list ruleset` prints and what is written for `nft -j -f`.

mod expression;
mod set;
mod statement;

use super::build::{Builder, Spot, TableId};
use super::draft::{Draft, Interner, Why, object_name};
use super::hook;
use crate::doc::{self, FILE_BYTES_MAX, Node};
use crate::netfilter::ast::{Base, ChainKind, Part, Policy, Rule, Ruleset, TableFamily};
use crate::place::{Place, Unread};
use std::sync::Arc;

/// How many mistakes of one file are reported.
const UNREAD_COUNT_MAX: usize = 1000;

const MISSING: Why = Why("a part that must be here is missing", "缺少必需的部分");
const NOT_THERE: Why = Why("it changes what this file does not have", "要修改的内容不在此文件中");
const NOT_KNOWN: Why = Why("such a thing is not known", "未知的内容");

pub(super) fn read(file: &Arc<str>, text: &str) -> Ruleset {
    let mut builder = Builder::default();
    if text.len() as u64 > FILE_BYTES_MAX {
        let (en, zh) = ("larger than 256 MB: not read", "超过 256 MB，未读取");
        builder.unread.push(Unread::new(Place::whole(file), file, en, zh));
        return builder.finish();
    }
    let read = doc::json(file, text);
    builder.unread = read.unread;
    let mut reader = Reader { builder, family: TableFamily::Ip };
    for document in &read.documents {
        for entry in document.each("nftables") {
            reader.entry(entry);
        }
        if document.get("nftables").is_none() {
            let why = Why("this is not the JSON of nft: it has no list \"nftables\"", "不是 nft 的 JSON：没有 \"nftables\" 列表");
            reader.report(document, why);
        }
    }
    reader.builder.finish()
}

struct Reader {
    builder: Builder,
    /// The family of the table at hand.
    family: TableFamily,
}

impl Reader {
    fn report(&mut self, node: &Node, why: Why) {
        if self.builder.unread.len() < UNREAD_COUNT_MAX {
            let text = node.members().first().map_or("", |(key, _)| key.as_str());
            self.builder.unread.push(Unread::new(node.place.clone(), text, why.0, why.1));
        }
    }

    /// A thing as listed, or a command with a thing.
    fn entry(&mut self, entry: &Node) {
        let Some((word, inside)) = entry.members().first() else {
            return self.report(entry, NOT_KNOWN);
        };
        let outcome = match (word.as_str(), inside.members().first()) {
            ("metainfo", _) => Ok(()),
            (verb @ ("add" | "create" | "insert" | "replace"), Some((what, thing))) => {
                self.thing(verb, what, thing)
            }
            ("delete" | "destroy", Some((what, thing))) => {
                let done = self.delete(what, thing);
                if word == "destroy" { Ok(()) } else { done }
            }
            ("flush", Some((what, thing))) => self.flush(what, thing),
            ("rename", Some((_, thing))) => self.rename(thing),
            (what, _) => self.thing("add", what, inside),
        };
        if let Err(why) = outcome {
            self.report(entry, why);
        }
    }

    fn table_of(&mut self, thing: &Node, key: &str, add: bool) -> Result<TableId, Why> {
        self.family = thing.word("family").map_or(Some(TableFamily::Ip), hook::family).ok_or(NOT_KNOWN)?;
        let name = clean(thing, key).ok_or(MISSING)?;
        if add {
            return Ok(self.builder.table(self.family, name, &thing.place));
        }
        self.builder.find_table(self.family, name).ok_or(NOT_THERE)
    }

    fn thing(&mut self, verb: &str, what: &str, thing: &Node) -> Result<(), Why> {
        match what {
            "table" => {
                let table = self.table_of(thing, "name", true)?;
                if let Some(flags) = thing.get("flags") {
                    self.builder.set_dormant(table, words(flags).contains(&"dormant"));
                }
                Ok(())
            }
            "chain" => self.chain(thing),
            "rule" => self.rule(verb, thing),
            "set" | "map" => self.set(thing, what == "map"),
            "element" => self.elements(thing, true),
            "limit" | "quota" => {
                let table = self.table_of(thing, "table", true)?;
                let name = object_name(what, clean(thing, "name").ok_or(MISSING)?);
                let part = if what == "limit" { statement::limit(thing)? } else { statement::quota(thing)? };
                self.builder.object(table, name, part);
                Ok(())
            }
            "counter" | "ct helper" | "ct timeout" | "ct expectation" | "secmark" | "synproxy"
            | "flowtable" => self.table_of(thing, "table", true).map(drop),
            _ => Err(NOT_KNOWN),
        }
    }

    fn chain(&mut self, thing: &Node) -> Result<(), Why> {
        let table = self.table_of(thing, "table", true)?;
        let id = self.builder.chain(table, clean(thing, "name").ok_or(MISSING)?, &thing.place);
        let (Some(kind), Some(hook)) = (thing.word("type"), thing.word("hook")) else { return Ok(()) };
        let kind = match kind {
            "filter" => ChainKind::Filter,
            "nat" => ChainKind::Nat,
            "route" => ChainKind::Route,
            _ => return Err(NOT_KNOWN),
        };
        let hook = hook::hook(hook).ok_or(NOT_KNOWN)?;
        let priority = hook::priority(self.family, hook, thing.word("prio").unwrap_or("0")).ok_or(NOT_KNOWN)?;
        let policy = match thing.word("policy") {
            Some("drop") => Policy::Drop,
            _ => Policy::Accept,
        };
        let devices = thing.get("dev").map(words).unwrap_or_default();
        let clean = devices.into_iter().filter(|name| !name.contains(char::is_control));
        let devices = clean.map(str::to_owned).collect();
        self.builder.base(id, |base| *base = Some(Base { kind, hook, priority, policy, devices }));
        Ok(())
    }

    fn rule(&mut self, verb: &str, thing: &Node) -> Result<(), Why> {
        let table = self.table_of(thing, "table", true)?;
        let name = clean(thing, "chain").ok_or(MISSING)?;
        let known = self.builder.find_chain(table, name);
        if known.is_none() {
            self.report(thing, Why("the rule's chain is not in this file", "规则所属的链不在此文件中"));
        }
        let chain = known.unwrap_or_else(|| self.builder.chain(table, name, &thing.place));
        let index = thing.get("index").and_then(Node::integer).and_then(|at| usize::try_from(at).ok());
        let spot = match (verb, index) {
            ("insert", None) => Spot::First,
            ("insert", Some(at)) => Spot::Before(at),
            ("replace", Some(at)) => Spot::Instead(at),
            ("replace", None) => return Err(NOT_THERE),
            (_, Some(at)) => Spot::Behind(at),
            (_, None) => Spot::Last,
        };
        let mut interner = std::mem::take(&mut self.builder.interner);
        let rule = self.rule_parts(thing, &mut interner);
        self.builder.interner = interner;
        if self.builder.rule(chain, rule, spot) { Ok(()) } else { Err(NOT_THERE) }
    }

    fn rule_parts(&self, thing: &Node, interner: &mut Interner) -> Rule {
        let mut draft = Draft::new(self.family, interner, Vec::new());
        let mut text = String::new();
        for node in thing.each("expr") {
            let printed = statement::print(node);
            if let Err(why) = statement::statement(&mut draft, node) {
                draft.unknown(&printed, why);
            }
            text.push_str(&printed);
            text.push(' ');
        }
        let mut parts: Vec<Part> = draft.parts;
        parts.shrink_to_fit();
        let comment = thing.word("comment").map(crate::place::excerpt);
        let text = crate::place::excerpt(&text);
        Rule { number: 0, place: thing.place.clone(), text, comment, parts }
    }

    fn delete(&mut self, what: &str, thing: &Node) -> Result<(), Why> {
        let by_handle =
            Why("a rule named by its handle, which only the kernel knows", "按句柄指定的规则，只有内核知道");
        if what == "table" {
            let name = clean(thing, "name").ok_or(by_handle)?;
            let family = thing.word("family").map_or(Some(TableFamily::Ip), hook::family).ok_or(NOT_KNOWN)?;
            return if self.builder.delete_table(family, name) { Ok(()) } else { Err(NOT_THERE) };
        }
        if what == "element" {
            return self.elements(thing, false);
        }
        let table = self.table_of(thing, "table", false)?;
        if what == "rule" {
            let index = thing.get("index").and_then(Node::integer).and_then(|at| usize::try_from(at).ok());
            let chain = clean(thing, "chain").and_then(|name| self.builder.find_chain(table, name));
            let (Some(at), Some(chain)) = (index, chain) else { return Err(by_handle) };
            return if self.builder.delete_rule(chain, at) { Ok(()) } else { Err(NOT_THERE) };
        }
        let name = clean(thing, "name").ok_or(by_handle)?;
        let done = match what {
            "chain" => self.builder.delete_chain(table, name),
            "set" | "map" => self.builder.delete_set(table, name),
            "limit" | "quota" => self.builder.delete_object(table, &object_name(what, name)),
            _ => true,
        };
        if done { Ok(()) } else { Err(NOT_THERE) }
    }

    fn flush(&mut self, what: &str, thing: &Node) -> Result<(), Why> {
        if what == "ruleset" {
            self.builder.flush_ruleset(thing.word("family").and_then(hook::family));
            return Ok(());
        }
        let table = self.table_of(thing, if what == "table" { "name" } else { "table" }, false)?;
        let done = match (what, clean(thing, "name")) {
            ("table", _) => self.builder.flush_rules(table, None),
            ("chain", Some(name)) => self.builder.flush_rules(table, Some(name)),
            ("set" | "map" | "meter", Some(name)) => match self.builder.find_set(table, name) {
                Some(set) => {
                    set.elements = Arc::default();
                    true
                }
                None => false,
            },
            _ => return Err(NOT_KNOWN),
        };
        if done { Ok(()) } else { Err(NOT_THERE) }
    }

    fn rename(&mut self, thing: &Node) -> Result<(), Why> {
        let table = self.table_of(thing, "table", false)?;
        let (old, new) = (clean(thing, "name").ok_or(MISSING)?, clean(thing, "newname").ok_or(MISSING)?);
        if self.builder.rename_chain(table, old, new) { Ok(()) } else { Err(NOT_THERE) }
    }
}

/// A name under a key; none when there are control characters in it.
fn clean<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.word(key).filter(|name| !name.contains(char::is_control))
}

/// One text, or each of a list.
fn words(node: &Node) -> Vec<&str> {
    match node.text() {
        Some(word) => vec![word],
        None => node.list().iter().filter_map(Node::text).collect(),
    }
}
