//! What the firewalls of a host hold: how much, what it dropped, what looks like a ban, and every rule.

use super::part::{Cell, Item, Part, Table};
use super::words::{grouped, rule_verdict};
use super::{Looked, Topic, readings};
use netwhy_model::Lang;
use netwhy_model::host::{Backend, Match, Reading, Rule, RuleVerdict, Ruleset, RulesetSet, State};
use std::collections::BTreeSet;

/// Rules that dropped something shown unless everything is wanted.
const DROP_COUNT_MAX: usize = 8;
/// Sets that look like bans shown.
const SET_COUNT_MAX: usize = 8;
/// Elements shown of one set.
const ELEMENT_COUNT_MAX: usize = 4;
/// Rules shown when everything is wanted.
const RULE_FULL_COUNT_MAX: usize = 5_000;
/// What could not be decoded, lines shown.
const NOT_UNDERSTOOD_COUNT_MAX: usize = 5;

/// The firewalls of the host.
pub(super) fn part(looked: &Looked<'_>) -> Part {
    let (ruleset, lang) = (&looked.snapshot.ruleset, looked.lang);
    let title = looked.say("Firewall", "防火墙");
    if ruleset.rules.is_empty() && ruleset.sets.is_empty() {
        // Without root nothing was read, and the last part says so: here silence is no finding.
        let brief = match looked.snapshot.root {
            true => vec![Item::Line(State::Well, looked.say("no rule at all", "没有任何规则"))],
            false => Vec::new(),
        };
        return Part { title, brief, topic: Topic::Firewall, ..Part::default() };
    }
    let mut brief = vec![Item::Line(State::Well, backends(ruleset, lang))];
    brief.extend(policies(ruleset, lang));
    brief.extend(rising(looked));
    brief.extend(dropped(ruleset, lang));
    brief.extend(bans(ruleset, lang));
    let mut full = brief.clone();
    brief.extend(not_understood(ruleset, NOT_UNDERSTOOD_COUNT_MAX, lang));
    full.push(rule_table(ruleset.rules.iter(), lang).first(RULE_FULL_COUNT_MAX).into());
    full.extend(not_understood(ruleset, usize::MAX, lang));
    Part { title, brief, full, topic: Topic::Firewall }
}

/// `nf_tables: 3 tables, 7 chains, 41 rules`, each machinery by itself.
fn backends(ruleset: &Ruleset, lang: Lang) -> String {
    let told =
        [(Backend::Nft, "nf_tables"), (Backend::Xtables, "ip_tables (legacy)")].map(|(backend, name)| {
            let rules: Vec<&Rule> = ruleset.rules.iter().filter(|rule| rule.backend == backend).collect();
            if rules.is_empty() {
                return None;
            }
            let tables: BTreeSet<_> = rules.iter().map(|r| (&r.family, &r.table)).collect();
            let chains: BTreeSet<_> = rules.iter().map(|r| (&r.family, &r.table, &r.chain)).collect();
            let count = rules.iter().filter(|rule| rule.position > 0).count();
            let (tables, chains) = (tables.len(), chains.len());
            Some(match lang {
                Lang::En => format!("{name}: tables {tables}, chains {chains}, rules {count}"),
                Lang::Zh => format!("{name}：{tables} 张表、{chains} 条链、{count} 条规则"),
            })
        });
    told.into_iter().flatten().collect::<Vec<_>>().join(lang.pick("; ", "；"))
}

/// Base chains whose policy is to drop: what no rule accepts dies there.
fn policies(ruleset: &Ruleset, lang: Lang) -> Option<Item> {
    let drops = |rule: &&Rule| rule.position == 0 && rule.verdict == RuleVerdict::Drop;
    let chains: Vec<String> = ruleset
        .rules
        .iter()
        .filter(drops)
        .map(|rule| match rule.counter {
            Some((packets, _)) if packets > 0 => {
                format!("{} {} {} ({})", rule.family, rule.table, rule.chain, grouped(packets))
            }
            _ => format!("{} {} {}", rule.family, rule.table, rule.chain),
        })
        .take(SET_COUNT_MAX)
        .collect();
    let lead = lang.pick("policy drop: ", "默认丢弃：");
    (!chains.is_empty()).then(|| Item::Line(State::Well, format!("{lead}{}", chains.join(", "))))
}

/// Rules whose counters rose in the window: what they stop, they stop now.
fn rising(looked: &Looked<'_>) -> Vec<Item> {
    let sections = looked.snapshot.sections.iter().filter(|section| section.id == "rules");
    let readings: Vec<&Reading> = sections.flat_map(|section| &section.readings).collect();
    if readings.is_empty() {
        return Vec::new();
    }
    let lead = looked.say("Stopping packets now:", "正在拦截报文：");
    vec![Item::Line(State::Well, lead), readings::table(&readings, looked.lang).first(DROP_COUNT_MAX).into()]
}

const fn stops(rule: &Rule) -> bool {
    matches!(rule.verdict, RuleVerdict::Drop | RuleVerdict::Reject(_))
}

/// Rules that stopped packets since they were loaded, most first; those without a counter are only counted.
fn dropped(ruleset: &Ruleset, lang: Lang) -> Vec<Item> {
    let packets = |rule: &Rule| rule.counter.map_or(0, |(packets, _)| packets);
    let stopping: Vec<&Rule> = ruleset.rules.iter().filter(|rule| rule.position > 0 && stops(rule)).collect();
    let mut counted: Vec<&Rule> = stopping.iter().copied().filter(|rule| packets(rule) > 0).collect();
    counted.sort_by_key(|rule| std::cmp::Reverse(packets(rule)));
    let blind = stopping.iter().filter(|rule| rule.counter.is_none()).count();
    let mut items = Vec::new();
    if !counted.is_empty() {
        items.push(Item::Line(
            State::Well,
            lang.pick("Rules that stopped packets:", "拦下过报文的规则：").to_owned(),
        ));
        items.push(rule_table(counted.into_iter(), lang).first(DROP_COUNT_MAX).into());
    }
    if blind > 0 {
        items.push(Item::Aside(match lang {
            Lang::En => format!(
                "rules without a counter that drop or reject: {blind}; what they stopped is not known"
            ),
            Lang::Zh => format!("有 {blind} 条丢弃或拒绝规则没有计数器：拦下了多少无从得知"),
        }));
    }
    items
}

/// Sets filled at run time, and rules that stop single sources.
fn bans(ruleset: &Ruleset, lang: Lang) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let sets: Vec<&RulesetSet> = ruleset.sets.iter().filter(|set| set.dynamic && set.count > 0).collect();
    if !sets.is_empty() {
        items.push(Item::Line(
            State::Well,
            lang.pick("Sets filled at run time, as bans are:", "运行时填充的集合（如封禁名单）：").to_owned(),
        ));
        items.push(set_table(&sets, lang).first(SET_COUNT_MAX).into());
    }
    let banning = ruleset.rules.iter().filter(|r| stops(r) && r.matches.contains(&Match::SourceBan)).count();
    if banning > 0 {
        items.push(Item::Line(
            State::Well,
            match lang {
                Lang::En => format!("rules that stop single sources: {banning}"),
                Lang::Zh => format!("针对单个来源的拦截规则：{banning} 条"),
            },
        ));
    }
    items
}

fn set_table(sets: &[&RulesetSet], lang: Lang) -> Table {
    let mut table = Table::new(&[
        lang.pick("set", "集合"),
        lang.pick(">elements", ">元素"),
        lang.pick("such as", "例如"),
    ]);
    for set in sets {
        let first: Vec<&str> = set.elements.iter().take(ELEMENT_COUNT_MAX).map(String::as_str).collect();
        let name = format!("{} {} {}", set.family, set.table, set.name);
        table.row(State::Well, vec![name.into(), grouped(set.count).into(), first.join(", ").into()]);
    }
    table
}

fn rule_table<'a>(rules: impl Iterator<Item = &'a Rule>, lang: Lang) -> Table {
    let mut table = Table::new(&[
        lang.pick(">packets", ">报文"),
        lang.pick("where", "位置"),
        lang.pick("?does", "?动作"),
        lang.pick("rule", "规则"),
    ]);
    for rule in rules {
        let packets: Cell = rule.counter.map_or_else(String::new, |(packets, _)| grouped(packets)).into();
        let text = match rule.comment.as_str() {
            "" => rule.text.clone(),
            comment => format!("{} # {comment}", rule.text),
        };
        table.row(
            State::Well,
            vec![packets, rule.place().into(), rule_verdict(&rule.verdict).into(), text.into()],
        );
    }
    table
}

fn not_understood(ruleset: &Ruleset, count_max: usize, lang: Lang) -> Vec<Item> {
    let lead = lang.pick("not understood: ", "未能理解：");
    let lines = ruleset.not_understood.iter().take(count_max);
    lines.map(|line| Item::Line(State::Odd, format!("{lead}{line}"))).collect()
}
