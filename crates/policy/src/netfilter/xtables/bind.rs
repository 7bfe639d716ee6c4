//! Which field of the packet each dimension of an ipset is compared with: known once rules and sets are together.

use crate::netfilter::ast::{Backend, Field, Match, Operand, Part, Ruleset, Set, SetUse, TableFamily, Test};
use crate::place::both;
use std::collections::HashMap;
use std::sync::Arc;

/// How many sets one list:set may have.
const MEMBER_COUNT_MAX: usize = 4096;

/// Puts real fields in the place of [`Field::SetSource`] and [`Field::SetDestination`] wherever the set is known.
///
/// A set of the other family, or of more dimensions than the rule names, never matches: the kernel says the same.
pub fn bind(ruleset: &mut Ruleset) {
    let sets: HashMap<&str, &Set> = ruleset.ipsets.iter().map(|set| (set.name.as_str(), set)).collect();
    for table in ruleset.tables.iter_mut().filter(|table| table.backend == Backend::Xtables) {
        let v6 = table.family == TableFamily::Ip6;
        for part in
            table.chains.iter_mut().flat_map(|chain| &mut chain.rules).flat_map(|rule| &mut rule.parts)
        {
            if let Part::Match(found) = part
                && let Test::In(SetUse::Named(name)) = &found.test
                && found.keys.iter().all(|key| matches!(key.field, Field::SetSource | Field::SetDestination))
                && let Some(set) = sets.get(name.as_str())
            {
                *part = bound(found, set, &sets, v6);
            }
        }
    }
}

fn bound(found: &Match, set: &Set, sets: &HashMap<&str, &Set>, v6: bool) -> Part {
    if kind(set) == "list:set" {
        return list(found, set, sets, v6);
    }
    match keys(found, set, v6) {
        Some(keys) => Part::Match(Match { keys, ..found.clone() }),
        None => never(found),
    }
}

fn kind(set: &Set) -> &str {
    set.key.first().map_or("", String::as_str)
}

fn never(found: &Match) -> Part {
    if found.negated {
        return Part::Aside;
    }
    Part::Match(Match { keys: vec![Operand::plain(Field::Protocol)], test: Test::AnyBit(0), negated: false })
}

/// The fields of a set's dimensions; `None` when the packet can never be in it.
fn keys(found: &Match, set: &Set, v6: bool) -> Option<Vec<Operand>> {
    let (_, dimensions) = kind(set).split_once(':')?;
    let mut keys = Vec::new();
    let mut sides = found.keys.iter().map(|key| key.field == Field::SetSource);
    for dimension in dimensions.split(',') {
        let source = sides.next()?;
        let side = |of_source, of_destination| if source { of_source } else { of_destination };
        let is_v6 = set.key.get(1).is_some_and(|family| family == "inet6");
        let field = match dimension {
            "ip" | "net" if is_v6 != v6 => return None,
            "ip" | "net" if v6 => side(Field::Ip6Source, Field::Ip6Destination),
            "ip" | "net" => side(Field::Ip4Source, Field::Ip4Destination),
            "port" => {
                keys.push(Operand::plain(Field::Protocol));
                side(Field::SetSourcePort, Field::SetDestinationPort)
            }
            "mac" => side(Field::EtherSource, Field::EtherDestination),
            "iface" => side(Field::InputInterface, Field::OutputInterface),
            "mark" => Field::Mark,
            _ => Field::Other,
        };
        keys.push(Operand::plain(field));
    }
    Some(keys)
}

/// A list of sets is their union, as long as they are of one kind and nothing is taken out of them again.
fn list(found: &Match, list: &Set, sets: &HashMap<&str, &Set>, v6: bool) -> Part {
    let unknown =
        |en: &str, zh: &str| Part::Unknown { text: format!("list:set {}", list.name), why: both(en, zh) };
    let mut all = Vec::new();
    let mut fields: Option<Vec<Operand>> = None;
    for name in list.members.iter().take(MEMBER_COUNT_MAX) {
        let Some(set) = sets.get(name.as_str()) else {
            return unknown("a set of this list is not in the files", "该列表中的某个集合不在文件中");
        };
        let Some(keys) = keys(found, set, v6) else { continue };
        let same = fields.as_ref().is_none_or(|fields| *fields == keys);
        if !same || set.elements.iter().any(|element| element.excluded) {
            return unknown(
                "sets of different kinds in one list are not modelled",
                "未建模包含不同类型集合的列表",
            );
        }
        fields = Some(keys);
        all.extend(set.elements.iter().cloned());
    }
    match fields {
        Some(keys) => {
            let test = Test::In(SetUse::Inline(Arc::new(all)));
            Part::Match(Match { keys, test, negated: found.negated })
        }
        None => never(found),
    }
}
