//! What rules remember while they run: TX, what matched, what is switched off.

use super::run::Run;
use crate::facts::Found;
use crate::pattern::{GROUPS_COUNT_MAX, Groups};
use crate::place::both;
use crate::rule::{Part, Rule, Selector, Target, Template};
use netwhy_model::Text;
use std::collections::BTreeMap;

/// How many members TX may have.
const MEMBERS_COUNT_MAX: usize = 100_000;
/// The longest value that a macro may be expanded to, in bytes.
const EXPANDED_BYTES_MAX: usize = 1 << 20;

/// The transaction's own variables.
#[derive(Debug, Default)]
pub struct Memory {
    /// By names in small letters.
    tx: BTreeMap<String, Vec<u8>>,
    /// What the rules of the chain matched so far.
    pub matched: Vec<Found>,
}

impl Memory {
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.tx.get(name).map(Vec::as_slice)
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        std::str::from_utf8(self.get(name)?).ok()?.trim().parse().ok()
    }

    pub fn set(&mut self, name: String, value: Vec<u8>) {
        if self.tx.len() < MEMBERS_COUNT_MAX && value.len() <= EXPANDED_BYTES_MAX {
            self.tx.insert(name, value);
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.tx.remove(name);
    }

    /// Keeps what a match captured, and forgets what the one before did.
    pub fn capture(&mut self, groups: &Groups) {
        for number in 0..GROUPS_COUNT_MAX {
            match groups.get(number).cloned().flatten() {
                Some(group) => self.set(number.to_string(), group),
                None => self.remove(&number.to_string()),
            }
        }
    }

    /// The members of TX and of what matched; none when the collection is another.
    fn find(&self, target: &Target) -> Option<Vec<Found>> {
        let tx = |(key, value): (&String, &Vec<u8>)| Found {
            collection: "TX".to_owned(),
            key: Some(key.clone().into_bytes()),
            value: value.clone(),
        };
        let named = |found: &Found| Found { value: found.name().into_bytes(), ..found.clone() };
        let last = self.matched.last();
        Some(match target.collection.as_str() {
            "TX" => match &target.selector {
                Selector::Name(name) => {
                    let name = name.to_ascii_lowercase();
                    self.tx.get_key_value(&name).map(tx).into_iter().collect()
                }
                selector => {
                    self.tx.iter().filter(|(key, _)| selector.takes(key.as_bytes())).map(tx).collect()
                }
            },
            "MATCHED_VAR" => last.cloned().into_iter().collect(),
            "MATCHED_VAR_NAME" => last.map(named).into_iter().collect(),
            "MATCHED_VARS" => self.matched.clone(),
            "MATCHED_VARS_NAMES" => self.matched.iter().map(named).collect(),
            _ => return None,
        })
    }
}

impl Run<'_> {
    /// Every value a target means, exclusions not looked at.
    pub fn find(&self, target: &Target) -> Result<Vec<Found>, Text> {
        let found = match self.memory.find(target) {
            Some(found) => found,
            None => self.facts.find(target)?,
        };
        Ok(found)
    }

    /// A text with its macros put in; what there is not is empty.
    pub fn expand(&self, template: &Template, rule: &Rule) -> Result<Vec<u8>, Text> {
        let mut out = Vec::new();
        for part in &template.0 {
            match part {
                Part::Text(text) => out.extend(text.bytes()),
                Part::Macro(collection, member) => {
                    out.extend(self.expanded(collection, member.as_deref(), rule)?)
                }
            }
            if out.len() > EXPANDED_BYTES_MAX {
                return Err(both("a text with macros grows too long", "宏展开后过长"));
            }
        }
        Ok(out)
    }

    fn expanded(&self, collection: &str, member: Option<&str>, rule: &Rule) -> Result<Vec<u8>, Text> {
        if collection == "RULE" {
            return Ok(match member.unwrap_or_default().to_ascii_lowercase().as_str() {
                "id" => rule.id.to_string().into_bytes(),
                "msg" => rule.about.msg.plain().unwrap_or_default().into(),
                "severity" => rule.about.severity.clone().unwrap_or_default().into_bytes(),
                _ => Vec::new(),
            });
        }
        let selector = member.map_or(Selector::All, |member| Selector::Name(member.to_owned()));
        let target = Target { collection: collection.to_owned(), selector, count: false };
        Ok(self.find(&target)?.into_iter().next().map(|found| found.value).unwrap_or_default())
    }
}
