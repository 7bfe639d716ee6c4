//! Changes of rules that stand elsewhere, made once all rules are read.

use super::actions::Actions;
use super::target::targets;
use super::{Item, Set};
use crate::rule::{Rule, Selector, Target};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Which rules a change is for.
#[derive(Debug, Clone)]
pub enum Which {
    Ids(Vec<RangeInclusive<u64>>),
    Tag(String),
    Msg(String),
}

#[derive(Debug, Clone)]
pub enum Change {
    RemoveById(Vec<RangeInclusive<u64>>),
    RemoveByTag(String),
    RemoveByMsg(String),
    /// More targets, fewer, or others in the place of one.
    Targets {
        which: Which,
        added: Vec<Target>,
        excluded: Vec<Target>,
        instead_of: Vec<Target>,
    },
    ActionById(Vec<RangeInclusive<u64>>, Box<Actions>),
}

impl Change {
    pub fn targets_by_id(ids: Vec<RangeInclusive<u64>>, text: &str, replaced: &str) -> Change {
        Change::targets(Which::Ids(ids), text, replaced)
    }

    pub fn targets_by_tag(tag: &str, text: &str, replaced: &str) -> Change {
        Change::targets(Which::Tag(tag.to_owned()), text, replaced)
    }

    pub fn targets_by_msg(msg: &str, text: &str, replaced: &str) -> Change {
        Change::targets(Which::Msg(msg.to_owned()), text, replaced)
    }

    fn targets(which: Which, text: &str, replaced: &str) -> Change {
        let (added, excluded) = targets(text);
        let (instead_of, _) = targets(replaced);
        Change::Targets { which, added, excluded, instead_of }
    }
}

impl Which {
    pub fn means(&self, rule: &Rule) -> bool {
        match self {
            Which::Ids(ids) => ids.iter().any(|ids| ids.contains(&rule.id)),
            Which::Tag(tag) => rule.about.tags.iter().any(|known| known == tag),
            Which::Msg(msg) => rule.about.msg.plain() == Some(msg),
        }
    }
}

/// Makes the changes, in their order.
pub fn apply(set: &mut Set, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::RemoveById(ids) => remove(set, &Which::Ids(ids)),
            Change::RemoveByTag(tag) => remove(set, &Which::Tag(tag)),
            Change::RemoveByMsg(msg) => remove(set, &Which::Msg(msg)),
            Change::Targets { which, added, excluded, instead_of } => {
                each(set, &which, |rule| retarget(rule, &added, &excluded, &instead_of));
            }
            Change::ActionById(ids, actions) => each(set, &Which::Ids(ids), |rule| act(rule, &actions)),
        }
    }
}

fn remove(set: &mut Set, which: &Which) {
    set.items.retain(|item| !matches!(item, Item::Rule(rule) if which.means(rule)));
}

fn each(set: &mut Set, which: &Which, change: impl Fn(&mut Rule)) {
    for item in &mut set.items {
        if let Item::Rule(rule) = item
            && which.means(rule)
        {
            change(Arc::make_mut(rule));
        }
    }
}

/// Only the rule itself changes, not those chained to it.
fn retarget(rule: &mut Rule, added: &[Target], excluded: &[Target], instead_of: &[Target]) {
    let Some(link) = rule.links.first_mut() else { return };
    link.targets.retain(|target| !instead_of.iter().any(|old| old.text() == target.text()));
    link.targets.extend(added.iter().cloned());
    link.excluded.extend(excluded.iter().cloned());
    // A target that is excluded by its own name is not looked at, as `XML:/*` is no member of itself.
    link.targets
        .retain(|target| !excluded.iter().any(|gone| gone.text() == target.text() || is_whole(gone, target)));
}

fn is_whole(gone: &Target, target: &Target) -> bool {
    matches!(gone.selector, Selector::All) && !target.count && gone.collection == target.collection
}

fn act(rule: &mut Rule, actions: &Actions) {
    if let Some(disruptive) = &actions.disruptive {
        rule.flow.disruptive = Some(disruptive.clone());
    }
    rule.flow.status = actions.status.or(rule.flow.status);
    rule.about.logged = actions.logged.unwrap_or(rule.about.logged);
    rule.about.tags.extend(actions.tags.iter().cloned());
    rule.about.severity = actions.severity.clone().or(rule.about.severity.take());
    if let Some(link) = rule.links.last_mut() {
        if actions.transforms_reset {
            link.transforms.clear();
        }
        link.transforms.extend(&actions.transforms);
        link.sets.extend(actions.sets.iter().cloned());
        link.controls.extend(actions.controls.iter().cloned());
    }
}
