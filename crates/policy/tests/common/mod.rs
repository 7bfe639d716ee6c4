//! Shared by the tests of nft's readers: the data of nft's own tests where it is at hand, and the comparison of trees.
#![allow(clippy::print_stdout, reason = "a test that cannot run says so")]

use netwhy_policy::netfilter::ast::{Element, Part, Ruleset, SetUse, Test};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of the shared data; says so when there is none.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = ["../shared", "../../shared"].map(|up| crates.join(up).join("data/policy").join(folder));
    let found = found.into_iter().find(|path| path.is_dir());
    if found.is_none() {
        println!("SKIPPED: no shared data");
    }
    found
}

/// The files of a folder and those below it with this ending, in order.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// One valid rule of nft's own tests, in one of its tables.
pub struct RuleTest {
    pub file: String,
    pub rule: String,
    /// As nft prints it.
    printed: String,
    family: String,
    hook: String,
    /// Sets and objects of the file, as text of a table's block.
    sets: String,
    statements: Option<String>,
}

impl RuleTest {
    /// A rule set with nothing but the rule, in words.
    pub fn text(&self) -> String {
        self.text_of(&self.rule)
    }

    /// The same as nft prints it.
    pub fn printed_text(&self) -> String {
        self.text_of(&self.printed)
    }

    fn text_of(&self, rule: &str) -> String {
        let RuleTest { family, hook, sets, .. } = self;
        format!("table {family} t {{\n{sets} chain c {{ {hook};\n {rule}\n }}\n}}\n")
    }

    /// The same as JSON, with the sets of the text.
    pub fn json(&self) -> Option<String> {
        let statements = self.statements.as_ref()?;
        let hook: Vec<&str> = self.hook.split_whitespace().collect();
        let prio = hook.last()?;
        let device = hook.iter().position(|word| *word == "device").map(|at| hook[at + 1]);
        let device = device.map_or(String::new(), |device| format!(",\"dev\":\"{device}\""));
        let family = &self.family;
        Some(format!(
            "{{\"nftables\":[{{\"table\":{{\"family\":\"{family}\",\"name\":\"t\"}}}},\
             {{\"chain\":{{\"family\":\"{family}\",\"table\":\"t\",\"name\":\"c\",\"type\":\"{}\",\"hook\":\"{}\",\
             \"prio\":{prio}{device}}}}},\
             {{\"rule\":{{\"family\":\"{family}\",\"table\":\"t\",\"chain\":\"c\",\"expr\":{statements}}}}}]}}",
            hook[1], hook[3]
        ))
    }
}

/// Every valid rule below a folder, once for each family its file is for.
pub fn rule_tests(folder: &Path) -> Vec<RuleTest> {
    let mut found = Vec::new();
    for path in files(folder, "t") {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let json = fs::read_to_string(path.with_extension("t.json")).unwrap_or_default();
        let json = json_blocks(&json);
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
        let chains: HashMap<&str, &str> =
            lines().filter_map(|line| line.strip_prefix(':')?.split_once(';')).collect();
        let sets: String = lines().filter_map(object).collect();
        for table in lines().filter_map(|line| line.strip_prefix('*')) {
            let mut parts = table.split(';');
            let (family, chain) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
            let chain = chain.split(',').next().unwrap_or_default();
            for line in lines() {
                let mut parts = line.split(';');
                let rule = parts.next().unwrap_or_default();
                let begins = |signs: &str| line.starts_with(|c| signs.contains(c));
                if begins(":*%!?#-") || parts.next() != Some("ok") {
                    continue;
                }
                found.push(RuleTest {
                    file: format!("{} ({family})", path.file_name().unwrap_or_default().display()),
                    rule: rule.to_owned(),
                    printed: parts.next().filter(|printed| !printed.is_empty()).unwrap_or(rule).to_owned(),
                    family: family.to_owned(),
                    hook: chains
                        .get(chain)
                        .copied()
                        .unwrap_or("type filter hook input priority 0")
                        .to_owned(),
                    sets: sets.clone(),
                    statements: json.get(rule).cloned(),
                });
            }
        }
    }
    found
}

/// `!set1 type ipv4_addr timeout 60s;ok` as a set, `%lim1 type limit rate 400/minute;ok` as an object.
fn object(line: &str) -> Option<String> {
    if let Some(set) = line.strip_prefix('!') {
        let (name, rest) = set.split(';').next()?.split_once(' ')?;
        let rest = rest.replace(" timeout", "; timeout").replace(" flags", "; flags");
        return line.ends_with(";ok").then(|| format!(" set {name} {{ {rest}; }}\n"));
    }
    let (name, rest) = line.strip_prefix('%')?.split_once(" type ")?;
    let rest = rest.strip_suffix(";ok")?;
    let kind = ["limit", "quota", "counter"].into_iter().find(|kind| rest.starts_with(kind))?;
    let value = rest.strip_prefix(kind)?;
    (kind != "counter").then(|| format!(" {kind} {name} {{ {value} }}\n"))
}

/// `# rule` and below it its statements.
fn json_blocks(text: &str) -> HashMap<String, String> {
    let mut blocks = HashMap::new();
    let mut rule = String::new();
    let mut block = String::new();
    for line in text.lines().chain(["# end"]) {
        if let Some(next) = line.strip_prefix("# ") {
            blocks.insert(std::mem::replace(&mut rule, next.to_owned()), std::mem::take(&mut block));
        } else {
            block.push_str(line);
        }
    }
    blocks
}

/// Where the chains of two trees differ, places and texts aside.
pub fn same_rules(one: &Ruleset, other: &Ruleset) -> Option<String> {
    let chains_of = |ruleset: &Ruleset| {
        let mut ruleset = ruleset.clone();
        ruleset.tables.iter_mut().for_each(|table| table.sets.clear());
        ruleset
    };
    same(&chains_of(one), &chains_of(other))
}

/// Where two trees differ, places and texts aside.
pub fn same(one: &Ruleset, other: &Ruleset) -> Option<String> {
    let (one, other) = (plain(one), plain(other));
    if one == other {
        return None;
    }
    let (mut left, mut right) = (one.lines(), other.lines());
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Some("they differ".to_owned()),
            (one, other) if one == other => {}
            (one, other) => {
                return Some(format!("  text: {}\n  json: {}", one.unwrap_or("-"), other.unwrap_or("-")));
            }
        }
    }
}

/// One line for each table, set, chain and rule.
fn plain(ruleset: &Ruleset) -> String {
    let mut text = String::new();
    for table in &ruleset.tables {
        text.push_str(&format!("{:?} {} {}\n", table.family, table.name, table.dormant));
        for set in &table.sets {
            let elements: Vec<Element> = set.elements.iter().map(without_line).collect();
            let (name, key, data, dynamic) = (&set.name, &set.key, &set.data, set.dynamic);
            text.push_str(&format!("set {name} {key:?} {data:?} {dynamic} {elements:?}\n"));
        }
        for chain in &table.chains {
            text.push_str(&format!("chain {} {:?}\n", chain.name, chain.base));
            for rule in &chain.rules {
                let parts: Vec<Part> = rule.parts.iter().map(without_words).collect();
                text.push_str(&format!("rule {} {:?} {parts:?}\n", rule.number, rule.comment));
            }
        }
    }
    text
}

fn without_line(element: &Element) -> Element {
    Element { line: 0, ..element.clone() }
}

fn bare(set: &SetUse) -> SetUse {
    match set {
        SetUse::Inline(elements) => {
            let mut elements: Vec<Element> = elements.iter().map(without_line).collect();
            elements.sort_by_key(|element| (element.data.is_some(), element.spans.clone()));
            SetUse::Inline(Arc::new(elements))
        }
        named => named.clone(),
    }
}

fn without_words(part: &Part) -> Part {
    let mut part = part.clone();
    match &mut part {
        Part::Unknown { text, .. } => text.clear(),
        Part::VerdictMap { set, .. } => *set = bare(set),
        Part::Match(one) => {
            if let Test::In(set) = &mut one.test {
                *set = bare(set);
            }
        }
        Part::Nat(nat) => {
            if let Some(map) = &mut nat.map {
                map.set = bare(&map.set);
            }
        }
        Part::Write { value: netwhy_policy::netfilter::ast::Written::Map { set, .. }, .. } => {
            *set = bare(set)
        }
        _ => {}
    }
    part
}
