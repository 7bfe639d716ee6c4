//! The checks of one gate: rules that never match, that change nothing, that fight, that open too much.

mod exposure;

use crate::finding::{Finding, Level};
use crate::gate::{Action, Gate, Kind, Order, Rule};
use crate::list::{Cover, Fate, List};
use crate::place::{Place, both};
use crate::sarif::RuleText;
use crate::space::Cube;

/// Conflicts told of one gate; more are counted in the last one's text.
const CONFLICT_COUNT_MAX: usize = 200;
/// Rules named in a sentence.
const NAMED_COUNT_MAX: usize = 5;

/// Every kind of finding that rules give, with what it is about.
const KINDS: [(&str, &str, &str); 11] = [
    ("dead", "a rule that never matches", "永不匹配的规则"),
    ("redundant", "a rule without which nothing changes", "删除后没有影响的规则"),
    ("conflict", "rules that overlap and do the opposite", "部分重叠且作用相反的规则"),
    ("one-way", "packets may go and their answers may not come back", "去程放行而回程被拦"),
    ("over-permissive", "open to far more than one would want", "过度放行"),
    ("unused", "what nothing uses", "无人使用的对象"),
    ("dangling", "a name of what is not there", "引用了不存在的对象"),
    ("faulty", "what cannot work as written", "按现有写法无法工作"),
    ("undecided", "a rule too entangled to be judged", "重叠过于复杂、无法判定的规则"),
    ("missing-range", "a protection node that is not let in", "未放行的防护节点网段"),
    ("bypass", "an origin that is reached without its protection node", "可绕过防护节点直达源站"),
];

/// Every kind of finding, of rules and of balancers, for the rule list of a SARIF report.
pub fn kinds() -> Vec<RuleText> {
    let all = KINDS.iter().chain(&crate::balancer::KINDS);
    all.map(|(id, en, zh)| RuleText { id, text: both(*en, *zh) }).collect()
}

/// Everything that is wrong with the rules of one gate, in the order of its rules.
pub fn gate(gate: &Gate) -> Vec<Finding> {
    let list = List::new(gate);
    let audit = list.audit(true);
    let mut found: Vec<Finding> = Vec::new();
    for (rule, fate) in gate.rules.iter().zip(&audit.fates) {
        found.extend(fate_finding(gate, rule, fate));
    }
    conflicts(gate, &list, &audit.fates, &mut found);
    exposure::findings(gate, &list, &mut found);
    // What stands in no line of a file is the owner's own rule (Azure's defaults): nobody can mend it.
    found.retain(|one| one.place.line != 0);
    found.sort_by_key(|one| (one.rule, one.kind));
    found
}

fn fate_finding(gate: &Gate, rule: &Rule, fate: &Fate) -> Option<Finding> {
    let finding = |kind, level, by: &[u32], en: String, zh: String| {
        let by = by.iter().map(|by| *by as usize);
        Finding::new(kind, level, &rule.place, en, zh)
            .within(&rule.part_of, Some(rule.number))
            .by(seen(gate, by))
    };
    Some(match fate {
        Fate::Lives => return None,
        // Of a cloud or a cluster it names a group that has nobody in the files.
        Fate::Empty if !matches!(gate.kind, Kind::Nft | Kind::Iptables) => finding(
            "dead",
            Level::Note,
            &[],
            "this rule matches nothing as the files stand: what it refers to has no address in them".to_owned(),
            "按现有文件，该规则不匹配任何报文：其引用的对象在文件中没有地址".to_owned(),
        ),
        Fate::Empty => finding(
            "dead",
            Level::Error,
            &[],
            "this rule never matches: its conditions exclude each other".to_owned(),
            "该规则永不匹配：其条件互相矛盾".to_owned(),
        ),
        Fate::Dead(cover) => {
            let (en, zh) = named(gate, cover);
            let (level, en_effect, zh_effect) = if cover.same {
                (Level::Warning, "do the same", "作用相同")
            } else {
                (Level::Error, "do the opposite", "作用相反")
            };
            let (en, zh) = (
                format!("this rule never matches: {en} before it take all its packets and {en_effect}"),
                format!("该规则永不匹配：其前的{zh}已处理全部报文，且{zh_effect}"),
            );
            finding("dead", level, &cover.by, en, zh)
        }
        Fate::Redundant(cover) => {
            let (en, zh) = named(gate, cover);
            finding(
                "redundant",
                Level::Note,
                &cover.by,
                format!("this rule can go: {en} do the same to all its packets"),
                format!("该规则可删除：{zh}对其全部报文作用相同"),
            )
        }
        Fate::Undecided => finding(
            "undecided",
            Level::Note,
            &[],
            "whether this rule ever matches was not worked out: it overlaps others in more than a million pieces"
                .to_owned(),
            "未能判定该规则是否会匹配：与其他规则的重叠超过一百万块".to_owned(),
        ),
    })
}

/// The covering rules as a sentence names them.
fn named(gate: &Gate, cover: &Cover) -> (String, String) {
    let lines: Vec<String> = cover
        .by
        .iter()
        .filter_map(|by| gate.rules.get(*by as usize))
        .take(NAMED_COUNT_MAX)
        .map(|rule| format!("{} ({})", rule.number, rule.place))
        .collect();
    let more = cover.by.len().saturating_sub(NAMED_COUNT_MAX);
    let (more_en, more_zh) = match more {
        0 => (String::new(), String::new()),
        more => (format!(" and {more} more"), format!(" 等另外 {more} 条")),
    };
    let noun = if cover.by.len() == 1 { "rule" } else { "rules" };
    (format!("{noun} {}{more_en}", lines.join(", ")), format!("规则 {}{more_zh} ", lines.join("、")))
}

/// Pairs of living rules with different actions that overlap without one holding the other: swapping them
/// changes the fate of what they share.
fn conflicts(gate: &Gate, list: &List, fates: &[Fate], found: &mut Vec<Finding>) {
    if gate.order != Order::FirstMatch {
        return;
    }
    let lives = |rule: usize| !matches!(fates.get(rule), Some(Fate::Dead(_) | Fate::Empty));
    let mut count = 0;
    let mut told: Vec<Finding> = Vec::new();
    for (at, rule) in gate.rules.iter().enumerate().filter(|(at, _)| lives(*at)) {
        let against: Vec<usize> = list
            .earlier_overlapping(at as u32)
            .into_iter()
            .map(|other| other as usize)
            .filter(|other| lives(*other) && is_conflict(rule, &gate.rules[*other]))
            .collect();
        if against.is_empty() {
            continue;
        }
        count += 1;
        if told.len() < CONFLICT_COUNT_MAX {
            told.push(conflict(gate, rule, &against));
        }
    }
    if let Some(last) = told.last_mut().filter(|_| count > CONFLICT_COUNT_MAX) {
        last.text.en.push_str(&format!("; {} more rules are in conflict", count - CONFLICT_COUNT_MAX));
        last.text.zh.push_str(&format!("；另有 {} 条规则存在冲突", count - CONFLICT_COUNT_MAX));
    }
    found.append(&mut told);
}

fn is_conflict(rule: &Rule, other: &Rule) -> bool {
    let decides = |rule: &Rule| matches!(rule.action, Action::Allow | Action::Deny | Action::Reject);
    let holds = |a: &Rule, b: &Rule| b.cubes.iter().all(|cube| a.cubes.iter().any(|own| own.contains(cube)));
    // A rule for all addresses and ports (of a state, an interface) is meant to stand apart from the others.
    let whole = |rule: &Rule| {
        let all = |cube: &Cube| {
            let addresses = (0, cube.family.last());
            cube.source == addresses
                && cube.destination == addresses
                && cube.destination_ports == (0, u16::MAX)
        };
        rule.cubes.iter().any(all)
    };
    decides(rule)
        && decides(other)
        && !whole(rule)
        && !whole(other)
        && !rule.action.is_like(other.action)
        && !holds(rule, other)
        && !holds(other, rule)
}

fn conflict(gate: &Gate, rule: &Rule, against: &[usize]) -> Finding {
    let cover = Cover { by: against.iter().map(|at| *at as u32).collect(), same: false };
    let (en, zh) = named(gate, &cover);
    Finding::new(
        "conflict",
        Level::Note,
        &rule.place,
        format!("this rule and {en} overlap in part and do the opposite: only their order decides"),
        format!("该规则与{zh}部分重叠且作用相反：结果取决于先后顺序"),
    )
    .within(&rule.part_of, Some(rule.number))
    .by(seen(gate, against.iter().copied()))
}

/// The numbers and places of rules, given by their position in the gate.
fn seen(gate: &Gate, rules: impl Iterator<Item = usize>) -> impl Iterator<Item = (u32, Place)> {
    rules.filter_map(|at| gate.rules.get(at)).map(|rule| (rule.number, rule.place.clone()))
}
