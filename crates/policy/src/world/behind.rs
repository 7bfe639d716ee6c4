//! Rules that no packet comes to because of jumps before them, or of how their chain is called.

use super::host::HostFilter;
use crate::finding::{Finding, Level};
use crate::netfilter::ast::{Rule, Table};
use crate::netfilter::lower::{Behind, ChainGate, callers};
use crate::place::Place;
use std::cell::OnceCell;

/// Rules named in a sentence.
const NAMED_COUNT_MAX: usize = 5;

pub(super) fn findings(filter: &HostFilter) -> Vec<Finding> {
    let mut found = Vec::new();
    for chain in filter.chains() {
        let Some(table) = filter.ruleset.tables.get(chain.table) else { continue };
        // Asked only where a rule is dead for that reason, and once for all such rules of a chain.
        let called_by = OnceCell::new();
        found.extend(chain.behind.iter().filter_map(|one| finding(table, chain, one, &called_by)));
    }
    found
}

fn finding(
    table: &Table,
    chain: &ChainGate,
    behind: &Behind,
    called_by: &OnceCell<String>,
) -> Option<Finding> {
    let own = table.chains.get(chain.chain)?;
    let rule = own.rules.get(behind.rule)?;
    let finding = |en: String, zh: String| {
        Finding::new("dead", Level::Warning, &rule.place, en, zh).within(&own.name, Some(rule.number))
    };
    if behind.jumps.is_empty() {
        return Some(match called_by.get_or_init(|| named_callers(table, &own.name)).as_str() {
            "" => finding(
                "this rule never matches: nothing sends packets to its chain".to_owned(),
                "该规则永不匹配：没有规则转到它所在的链".to_owned(),
            ),
            named => finding(
                format!(
                    "this rule never matches: none of its packets comes to the chain, which is called by {named}"
                ),
                format!("该规则永不匹配：其报文不会进入该链，该链由 {named} 调用"),
            ),
        });
    }
    let jumps: Vec<&Rule> = behind.jumps.iter().filter_map(|at| own.rules.get(*at)).collect();
    let named: Vec<String> =
        jumps.iter().take(NAMED_COUNT_MAX).map(|jump| format!("{} ({})", jump.number, jump.place)).collect();
    let named = named.join(", ");
    let by: Vec<(u32, Place)> = jumps.iter().map(|jump| (jump.number, jump.place.clone())).collect();
    Some(
        finding(
            format!("this rule never matches: the chains that {named} jump to decide all its packets"),
            format!("该规则永不匹配：{named} 跳转到的链已决定其全部报文"),
        )
        .by(by),
    )
}

/// The rules that send packets to a chain, in words; nothing when there are none.
fn named_callers(table: &Table, name: &str) -> String {
    let calls = callers(table, name).into_iter();
    let named = calls.filter_map(|(chain, rule)| {
        let chain = table.chains.get(chain)?;
        let rule = chain.rules.get(rule)?;
        Some(format!("{} {} ({})", chain.name, rule.number, rule.place))
    });
    named.take(NAMED_COUNT_MAX).collect::<Vec<_>>().join(", ")
}
