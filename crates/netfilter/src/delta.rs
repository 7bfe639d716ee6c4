//! Which rules counted packets between two looks.

use netwhy_model::host::{Backend, Rule, RuleDelta, Ruleset};
use std::collections::HashMap;

/// Finds the rules whose counter rose from `before` to `after`, most packets first.
///
/// A rule is the same when backend, family, table, chain and handle are. A rule of xtables has no handle of its own,
/// only a number that shifts: there the text and its occurrence in the chain stand for it. One that was not there
/// before counts from zero.
pub fn rule_deltas(before: &Ruleset, after: &Ruleset) -> Vec<RuleDelta> {
    let earlier: HashMap<Identity<'_>, u64> =
        identified(before).map(|(identity, rule)| (identity, packets(rule))).collect();
    let mut deltas: Vec<RuleDelta> = identified(after)
        .filter_map(|(identity, rule)| {
            let before = earlier.get(&identity).copied().unwrap_or(0);
            // A counter that went back was set to zero meanwhile.
            let rose = packets(rule).checked_sub(before).unwrap_or_else(|| packets(rule));
            (rose > 0).then(|| RuleDelta { rule: rule.clone(), packets: rose })
        })
        .collect();
    deltas.sort_by_key(|delta| std::cmp::Reverse(delta.packets));
    deltas
}

fn packets(rule: &Rule) -> u64 {
    rule.counter.map_or(0, |(packets, _)| packets)
}

/// Backend, family, table, chain, text and number: a handle, or which of the rules that read alike.
type Identity<'a> = (Backend, &'a str, &'a str, &'a str, &'a str, u64);

fn identified(ruleset: &Ruleset) -> impl Iterator<Item = (Identity<'_>, &Rule)> {
    let mut alike: HashMap<Identity<'_>, u64> = HashMap::new();
    ruleset.rules.iter().map(move |rule| {
        let place = (rule.backend, rule.family.as_str(), rule.table.as_str(), rule.chain.as_str());
        if rule.backend == Backend::Nft {
            return ((place.0, place.1, place.2, place.3, "", rule.handle), rule);
        }
        // A policy reads like no rule, and its text may change.
        let text = if rule.position == 0 { "policy" } else { rule.text.as_str() };
        let count = alike.entry((place.0, place.1, place.2, place.3, text, 0)).or_default();
        *count += 1;
        ((place.0, place.1, place.2, place.3, text, *count), rule)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_model::host::RuleVerdict;

    fn rule(backend: Backend, handle: u64, text: &str, packets: u64) -> Rule {
        Rule {
            backend,
            family: "ip".into(),
            table: "filter".into(),
            chain: "input".into(),
            hook: None,
            handle,
            position: 1,
            text: text.into(),
            verdict: RuleVerdict::Drop,
            matches: Vec::new(),
            counter: Some((packets, 0)),
            comment: String::new(),
        }
    }

    fn ruleset(rules: Vec<Rule>) -> Ruleset {
        Ruleset { rules, ..Ruleset::default() }
    }

    #[test]
    fn only_counters_that_rose_are_named() {
        let before = ruleset(vec![rule(Backend::Nft, 1, "a", 5), rule(Backend::Nft, 2, "b", 5)]);
        let after = ruleset(vec![
            rule(Backend::Nft, 1, "a", 6),
            rule(Backend::Nft, 2, "b", 5),
            rule(Backend::Nft, 3, "c", 4),
        ]);
        let deltas = rule_deltas(&before, &after);
        let seen: Vec<(u64, u64)> = deltas.iter().map(|delta| (delta.rule.handle, delta.packets)).collect();
        assert_eq!(seen, [(3, 4), (1, 1)]);
    }

    #[test]
    fn an_xtables_rule_that_moved_down_is_not_mistaken_for_another() {
        let before = ruleset(vec![rule(Backend::Xtables, 1, "-j ACCEPT", 100)]);
        let after = ruleset(vec![
            rule(Backend::Xtables, 1, "-s 10.0.0.1/32 -j DROP", 2),
            rule(Backend::Xtables, 2, "-j ACCEPT", 100),
        ]);
        let deltas = rule_deltas(&before, &after);
        assert_eq!(deltas.len(), 1);
        assert_eq!((deltas[0].rule.handle, deltas[0].packets), (1, 2));
    }
}
