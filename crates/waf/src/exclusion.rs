//! The narrowest exclusion that lets a legitimate request through: one rule, one path, one variable. Each is checked
//! by running the request again with it, and by asking for the same payload elsewhere.

mod elsewhere;

use crate::answer::{Answer, Hit, Tripped};
use crate::engine::Waf;
use crate::place::both;
use crate::request::Request;
use crate::rule::{Rule, Target};
use crate::seclang::{File, NoLibrary, Set};
use netwhy_model::Text;
use serde::Serialize;
use std::collections::BTreeSet;

/// How often a request is asked again: a firewall that denies at once shows one rule at a time.
const ROUNDS_COUNT_MAX: usize = 32;
/// How many exclusions one request may need.
const EXCLUSIONS_COUNT_MAX: usize = 256;
/// The first number for rules of one's own; the rule sets begin far above.
const ID_FIRST: u64 = 10_000;

/// What lets one request through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub exclusions: Vec<Exclusion>,
    /// All of them as one rule, to stand before the rule set.
    pub together: String,
    /// Whether the request gets through with it.
    pub passes: bool,
}

/// One rule less for one variable of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exclusion {
    /// The rule that is not asked.
    pub id: u64,
    /// What it is not asked about; all of the request where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    pub path: String,
    /// The rule to add.
    pub change: String,
    /// Whether the rule is silent with it.
    pub silences: bool,
    /// Whether the same payload still trips the rule in another place; none where that cannot be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guards: Option<bool>,
    /// Why it is no narrower.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Text>,
}

/// The exclusions that a legitimate request needs.
pub fn plan(waf: &Waf, request: &Request) -> Plan {
    let path = Path::of(request);
    let mut known = BTreeSet::new();
    let mut exclusions: Vec<Exclusion> = Vec::new();
    let mut answer = waf.ask(request);
    for _ in 0..ROUNDS_COUNT_MAX {
        let controls = controls(waf, &answer);
        let fresh: Vec<Control> =
            controls.into_iter().filter(|control| known.insert(control.text())).collect();
        if fresh.is_empty() || exclusions.len() >= EXCLUSIONS_COUNT_MAX {
            break;
        }
        exclusions.extend(fresh.iter().map(|control| checked(waf, request, &path, control)));
        answer = ask_with(waf, request, &path.rule(waf, known.iter()));
    }
    let together = if known.is_empty() { String::new() } else { path.rule(waf, known.iter()) };
    Plan { exclusions, together, passes: !answer.blocked }
}

/// Asks with one rule more, which stands before all others.
fn ask_with(waf: &Waf, request: &Request, rule: &str) -> Answer {
    with(waf, rule).ask(request)
}

fn with(waf: &Waf, rule: &str) -> Waf {
    let file = File { name: "exclusion".to_owned(), text: rule.to_owned() };
    let mut more = Set::read(&[file], &NoLibrary);
    let mut changed = waf.clone();
    more.items.append(&mut changed.set.items);
    changed.set.items = more.items;
    changed
}

/// What a rule is not asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Control {
    id: u64,
    variable: Option<String>,
    note: Option<Text>,
}

impl Control {
    fn text(&self) -> String {
        match &self.variable {
            Some(variable) => format!("ctl:ruleRemoveTargetById={};{variable}", self.id),
            None => format!("ctl:ruleRemoveById={}", self.id),
        }
    }
}

/// What the rules that stop a request must not be asked about.
fn controls(waf: &Waf, answer: &Answer) -> Vec<Control> {
    let stops = answer.by.as_ref().map(|by| by.id);
    let matters = |tripped: &&Tripped| tripped.score > 0 || stops == Some(tripped.id);
    let mut controls: Vec<Control> = Vec::new();
    for tripped in answer.tripped.iter().filter(matters) {
        let Some(rule) = waf
            .rules()
            .find(|rule| rule.id == tripped.id)
            .filter(|rule| tripped.score > 0 || !is_total(rule))
        else {
            continue;
        };
        for hit in &tripped.hits {
            let control = control(rule, hit);
            if !controls.contains(&control) {
                controls.push(control);
            }
        }
    }
    controls
}

/// A rule that only adds up what others said.
fn is_total(rule: &Rule) -> bool {
    rule.links.iter().flat_map(|link| &link.targets).all(|target| target.collection == "TX")
}

fn control(rule: &Rule, hit: &Hit) -> Control {
    let whole = |en: &str, zh: &str| Control { id: rule.id, variable: None, note: Some(both(en, zh)) };
    if hit.count {
        return whole(
            "the rule counts members of the request: there is no one variable to leave out",
            "规则统计的是数量，没有可以单独排除的变量",
        );
    }
    // All that ModSecurity 3 reads in the target of a `ctl`.
    let safe = |c: char| c.is_ascii_alphanumeric() || "_/.-*:[]$".contains(c);
    if !hit.variable.chars().all(safe) {
        return whole("a rule's ctl cannot name this variable", "规则的 ctl 无法写出该变量名");
    }
    // What a rule worked out itself is none of the request's.
    if hit.variable.starts_with("TX:") {
        return whole(
            "the rule begins with a variable of its own: there is none of the request to leave out",
            "规则以自身变量开头，没有可以排除的请求变量",
        );
    }
    Control { id: rule.id, variable: Some(hit.variable.clone()), note: None }
}

fn checked(waf: &Waf, request: &Request, path: &Path, control: &Control) -> Exclusion {
    let change = path.rule(waf, [control.text()].iter());
    let changed = with(waf, &change);
    let trips = |request: &Request, variable: Option<&String>| {
        let tripped = changed.ask(request).tripped.into_iter().find(|tripped| tripped.id == control.id);
        tripped.is_some_and(|tripped| {
            variable.is_none_or(|name| tripped.hits.iter().any(|hit| hit.variable == *name))
        })
    };
    let silences = !trips(request, control.variable.as_ref());
    let target = control.variable.as_deref().map(crate::seclang::target::target);
    let moved = target.as_ref().and_then(|target: &Target| elsewhere::payload(request, target));
    let guards = moved.map(|(moved, name)| trips(&moved, Some(&name)));
    let away = elsewhere::path(request).map(|away| trips(&away, None));
    Exclusion {
        id: control.id,
        variable: control.variable.clone(),
        path: path.shown.clone(),
        change,
        silences,
        guards: match (guards, away) {
            (Some(a), Some(b)) => Some(a && b),
            (one, other) => one.or(other),
        },
        note: control.note.clone(),
    }
}

/// The path of a request, as a rule asks for it.
struct Path {
    shown: String,
    /// `@streq /a`, or a pattern where the path has what cannot be written plainly.
    asked: String,
}

impl Path {
    fn of(request: &Request) -> Path {
        let path = crate::facts::path(request);
        let plain = path.iter().all(|byte| byte.is_ascii_graphic() && !b"\"'\\%".contains(byte));
        let shown = crate::place::shown(&path);
        let asked = if plain {
            format!("@streq {shown}")
        } else {
            let escaped: String = path
                .iter()
                .map(|byte| match byte {
                    byte if byte.is_ascii_alphanumeric() || b"/_-".contains(byte) => {
                        char::from(*byte).to_string()
                    }
                    byte => format!("\\x{byte:02x}"),
                })
                .collect();
            format!("@rx ^{escaped}$")
        };
        Path { shown, asked }
    }

    fn rule<'a>(&self, waf: &Waf, controls: impl Iterator<Item = &'a String>) -> String {
        let taken: BTreeSet<u64> = waf.rules().map(|rule| rule.id).collect();
        let id = (ID_FIRST..).find(|id| !taken.contains(id)).unwrap_or(ID_FIRST);
        let controls: Vec<&str> = controls.map(String::as_str).collect();
        format!(
            "SecRule REQUEST_FILENAME \"{}\" \"id:{id},phase:1,pass,nolog,t:none,{}\"",
            self.asked,
            controls.join(",")
        )
    }
}
