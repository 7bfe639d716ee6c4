//! Reads the rules of ModSecurity 3 and Coraza (SecLang) into [`Set`].

pub mod actions;
mod apply;
mod directive;
mod lines;
mod operator;
pub mod target;

use crate::place::{Place, Unread, both};
use crate::rule::{Disruptive, Engine, Rule};
use netwhy_model::Text;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The largest file of rules, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 26;
/// How many rules are read.
pub const RULES_COUNT_MAX: usize = 200_000;
/// How many rules may be chained to one.
pub const LINKS_COUNT_MAX: usize = 64;
/// How deep files may include one another.
pub const INCLUDES_DEPTH_MAX: usize = 16;
/// How many files are read.
pub const FILES_COUNT_MAX: usize = 10_000;

/// A file of configuration.
#[derive(Debug, Clone)]
pub struct File {
    pub name: String,
    pub text: String,
}

/// Whoever can open files: this room opens none.
pub trait Library {
    /// The files that `Include PATTERN` in the file `from` means, in the order of their names.
    fn include(&self, from: &str, pattern: &str) -> Vec<File>;
    /// The list of words or addresses that a rule in the file `from` names.
    fn data(&self, from: &str, name: &str) -> Option<Vec<u8>>;
}

/// A library without a book.
pub struct NoLibrary;

impl Library for NoLibrary {
    fn include(&self, _: &str, _: &str) -> Vec<File> {
        Vec::new()
    }

    fn data(&self, _: &str, _: &str) -> Option<Vec<u8>> {
        None
    }
}

/// A rule, or a mark that rules skip to.
#[derive(Debug, Clone)]
pub enum Item {
    Rule(Arc<Rule>),
    Marker(String),
}

/// What a phase does by default.
#[derive(Debug, Clone, Default)]
pub struct Preset {
    pub disruptive: Option<Disruptive>,
    pub status: Option<u16>,
    pub logged: Option<bool>,
    pub transforms: Vec<crate::transform::Transform>,
}

/// All the rules of some files, in their order.
#[derive(Debug, Clone, Default)]
pub struct Set {
    pub items: Vec<Item>,
    pub defaults: BTreeMap<u8, Preset>,
    pub unread: Vec<Unread>,
    /// None where no file says.
    pub engine: Option<Engine>,
    pub body_access: Option<bool>,
    pub body_bytes_max: Option<u64>,
    pub body_rejects: bool,
    pub argument_separator: Option<u8>,
}

impl Set {
    /// Reads the files one after another, as if they were one.
    pub fn read(files: &[File], library: &dyn Library) -> Set {
        let mut reader = Reader {
            set: Set { body_rejects: true, ..Set::default() },
            library,
            changes: Vec::new(),
            files: 0,
            rules: 0,
            chain: None,
        };
        for file in files {
            reader.file(file, 0);
        }
        reader.end_of_chain();
        let Reader { mut set, changes, .. } = reader;
        apply::apply(&mut set, changes);
        set
    }

    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.items.iter().filter_map(|item| match item {
            Item::Rule(rule) => Some(rule),
            Item::Marker(_) => None,
        })
    }
}

struct Reader<'a> {
    set: Set,
    library: &'a dyn Library,
    changes: Vec<apply::Change>,
    files: usize,
    rules: usize,
    /// A rule that waits for the one chained to it.
    chain: Option<Rule>,
}

impl Reader<'_> {
    fn file(&mut self, file: &File, depth: usize) {
        let name: Arc<str> = file.name.as_str().into();
        self.files += 1;
        if let Some(why) = too_much(file, depth, self.files) {
            self.set.unread.push(Unread::new(Place::new(&name, 0, 0), &file.name, why));
            return;
        }
        for line in lines::logical(&file.text) {
            let place = Place::new(&name, line.number, line.column);
            if let Err(why) = self.directive(&line, &place, depth) {
                self.set.unread.push(Unread::new(place, &line.text, why));
            }
        }
    }

    /// A chain that no rule ends is kept: the engine would wait for the rest as well.
    fn end_of_chain(&mut self) {
        if let Some(rule) = self.chain.take() {
            let why = both("a chain that no further rule ends", "规则链没有后续规则");
            self.set.unread.push(Unread::new(rule.place.clone(), &format!("id:{}", rule.id), why));
        }
    }
}

fn too_much(file: &File, depth: usize, files: usize) -> Option<Text> {
    if file.text.len() > FILE_BYTES_MAX {
        return Some(both("the file is larger than 64 MiB", "文件超过 64 MiB"));
    }
    if depth > INCLUDES_DEPTH_MAX {
        return Some(both("files include one another deeper than 16 levels", "文件互相包含超过 16 层"));
    }
    (files > FILES_COUNT_MAX).then(|| both("more than 10,000 files", "文件超过 10,000 个"))
}
