//! Where protection nodes (CDN, WAF, health checks) come from, and whether an origin lets them in, and only them.

mod read;

pub use read::{Given, read};

use crate::doc::{Node, toml};
use crate::finding::{Finding, Level};
use crate::gate::{Action, Gate};
use crate::list::{Decided, List};
use crate::place::{Place, both};
use crate::read::{Span, merge, private, without};
use crate::space::{Cube, Family, Protocols};
use netwhy_model::Text;
use std::collections::BTreeSet;

const WELL_KNOWN: &str = include_str!("../data/protection-nodes.toml");
/// How many prefixes a text names one by one.
const SHOWN_COUNT_MAX: usize = 6;

/// A protection node and the ranges it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectionNode {
    pub id: String,
    pub name: Text,
    pub source: String,
    /// The day for which the ranges are known to be right; `None` when there are none.
    pub as_of: Option<String>,
    pub ranges: Vec<Span>,
    pub note: Option<Text>,
}

/// The nodes shipped with netwhy.
pub fn well_known() -> Vec<ProtectionNode> {
    let read = toml(&"protection-nodes.toml".into(), WELL_KNOWN);
    read.documents.iter().flat_map(|document| document.each("node")).filter_map(node).collect()
}

fn node(node: &Node) -> Option<ProtectionNode> {
    let text = |key| node.word(key).map(str::to_owned);
    Some(ProtectionNode {
        id: text("id")?,
        name: both(text("en")?, text("zh")?),
        source: text("source")?,
        as_of: text("as_of"),
        ranges: node.each("ranges").iter().filter_map(|node| Span::read(node.text()?)).collect(),
        note: text("note_en").zip(text("note_zh")).map(|(en, zh)| both(en, zh)),
    })
}

/// A range of a node that an allow list does not let in, or not surely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The range as it was given.
    pub range: Span,
    /// The part of it that is not let in on at least one of the ports.
    pub sources: Vec<Span>,
    pub ports: Vec<u16>,
    /// It is let in or not by conditions that are not modelled.
    pub depends: bool,
    /// The rules that keep it out; none when nothing lets it in.
    pub by: Vec<Place>,
}

/// Sources besides the nodes that reach the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub sources: Vec<Span>,
    /// More than half of the public addresses of the family.
    pub everywhere: bool,
    pub ports: Vec<u16>,
    pub depends: bool,
    pub rules: Vec<Place>,
}

/// What a list does with the first packets of connections to one port.
#[derive(Default)]
struct Asked {
    allowed: Vec<Span>,
    denied: Vec<Span>,
    depends: Vec<Span>,
    /// The rules that allow, deny, or are perhaps.
    allowing: BTreeSet<u32>,
    denying: BTreeSet<u32>,
    perhaps: BTreeSet<u32>,
}

impl Asked {
    fn of(list: &List, sources: &[Span], origin: &[Span], port: u16) -> Asked {
        let mut asked = Asked::default();
        for cube in packets(sources, origin, port) {
            let Ok(parts) = list.decide(&cube) else {
                asked.depends.push(source(&cube));
                continue;
            };
            for part in parts {
                let span = source(&part.packets);
                match part.decided {
                    Decided::Rule(rule, Action::Allow) => {
                        asked.allowed.push(span);
                        asked.allowing.insert(rule);
                    }
                    Decided::Default(Action::Allow) => asked.allowed.push(span),
                    Decided::Rule(rule, _) => {
                        asked.denied.push(span);
                        asked.denying.insert(rule);
                    }
                    Decided::Default(_) => asked.denied.push(span),
                    Decided::Depends { on, .. } => {
                        asked.depends.push(span);
                        asked.perhaps.extend(on);
                    }
                }
            }
        }
        asked
    }
}

fn places(gate: &Gate, rules: &BTreeSet<u32>) -> Vec<Place> {
    rules.iter().filter_map(|rule| gate.rules.get(*rule as usize)).map(|rule| rule.place.clone()).collect()
}

/// The ranges that a gate before an origin keeps out. An empty `origin` is every destination.
pub fn missing(ranges: &[Span], gate: &Gate, origin: &[Span], ports: &[u16]) -> Vec<Missing> {
    let list = List::new(gate);
    let of = |range: &Span| {
        let (mut sources, mut closed, mut by, mut depends) = (Vec::new(), Vec::new(), BTreeSet::new(), true);
        for port in ports {
            let asked = Asked::of(&list, &[*range], origin, *port);
            if asked.denied.is_empty() && asked.depends.is_empty() {
                continue;
            }
            depends &= asked.denied.is_empty();
            closed.push(*port);
            sources.extend(asked.denied.into_iter().chain(asked.depends));
            by.extend(asked.denying.into_iter().chain(asked.perhaps));
        }
        let (sources, by) = (merge(&sources), places(gate, &by));
        (!closed.is_empty()).then_some(Missing { range: *range, sources, ports: closed, depends, by })
    };
    let families = families(origin);
    ranges.iter().filter(|range| families.contains(&range.family)).filter_map(of).collect()
}

/// Whoever reaches the origin from the public internet without going through the nodes.
pub fn openings(ranges: &[Span], gate: &Gate, origin: &[Span], ports: &[u16]) -> Vec<Opening> {
    let list = List::new(gate);
    let mut taken = private();
    taken.extend(ranges);
    let of = |family: Family| {
        let outside = without(&[Span::all(family)], &taken);
        let (mut sure, mut perhaps, mut open, mut rules) =
            (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
        for port in ports {
            let asked = Asked::of(&list, &outside, origin, *port);
            if asked.allowed.is_empty() && asked.depends.is_empty() {
                continue;
            }
            open.push(*port);
            sure.extend(asked.allowed);
            perhaps.extend(asked.depends);
            rules.extend(asked.allowing.into_iter().chain(asked.perhaps));
        }
        let depends = sure.is_empty();
        let sources = merge(if depends { &perhaps } else { &sure });
        let size = |spans: &[Span]| spans.iter().map(Span::size).fold(0_u128, u128::saturating_add);
        let everywhere = size(&sources) > size(&outside) / 2;
        let rules = places(gate, &rules);
        (!open.is_empty()).then_some(Opening { sources, everywhere, ports: open, depends, rules })
    };
    families(origin).into_iter().filter_map(of).collect()
}

fn families(origin: &[Span]) -> Vec<Family> {
    let both = [Family::V4, Family::V6];
    both.into_iter()
        .filter(|family| origin.is_empty() || origin.iter().any(|one| one.family == *family))
        .collect()
}

/// The first packets of connections from these sources to the origin.
fn packets(sources: &[Span], origin: &[Span], port: u16) -> Vec<Cube> {
    let mut cubes = Vec::new();
    for from in sources {
        let all = [Span::all(from.family)];
        let origin = if origin.is_empty() { &all[..] } else { origin };
        for to in origin.iter().filter(|to| to.family == from.family) {
            let cube = Cube::all(from.family).source(from.first, from.last).destination(to.first, to.last);
            cubes.push(cube.protocols(Protocols::TCP).destination_ports(port..=port).opening());
        }
    }
    cubes
}

fn source(cube: &Cube) -> Span {
    Span { family: cube.family, first: cube.source.0, last: cube.source.1 }
}

fn shown(ranges: &[Span]) -> String {
    let mut texts: Vec<String> = ranges.iter().take(SHOWN_COUNT_MAX).map(ToString::to_string).collect();
    if ranges.len() > SHOWN_COUNT_MAX {
        texts.push(format!("… ({})", ranges.len()));
    }
    texts.join(", ")
}

fn ports_text(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

/// Missing ranges and openings as findings, at the gate or at the rules that do it.
pub fn findings(name: &Text, missing: &[Missing], openings: &[Opening], gate: &Gate) -> Vec<Finding> {
    let mut found: Vec<Finding> = missing.iter().map(|one| one.finding(name, gate)).collect();
    found.extend(openings.iter().map(|one| one.finding(name, gate)));
    found
}

impl Missing {
    fn finding(&self, name: &Text, gate: &Gate) -> Finding {
        let (ports, range, list) = (ports_text(&self.ports), self.range.to_string(), &gate.name);
        let part =
            if self.sources == [self.range] { String::new() } else { format!(" ({})", shown(&self.sources)) };
        let (level, en, zh) = if self.depends {
            (Level::Warning, "may not be let in", "不一定被放行")
        } else {
            (Level::Error, "is not let in", "没有被放行")
        };
        let place = self.by.first().unwrap_or(&gate.place);
        Finding::new(
            "missing-range",
            level,
            place,
            format!(
                "{range}{part} of {} {en} to port {ports} by {list}: requests through it fail now and then",
                name.en
            ),
            format!("{list}：{} 的 {range}{part} {zh}到端口 {ports}：经过该节点的请求会间歇失败", name.zh),
        )
    }
}

impl Opening {
    fn finding(&self, name: &Text, gate: &Gate) -> Finding {
        let (ports, list) = (ports_text(&self.ports), &gate.name);
        let level = if self.everywhere && !self.depends { Level::Error } else { Level::Note };
        let who = if self.everywhere {
            ("everyone".to_owned(), "任何人".to_owned())
        } else {
            (shown(&self.sources), shown(&self.sources))
        };
        let may = if self.depends { ("may reach", "可能可以") } else { ("reaches", "可以") };
        Finding::new(
            "bypass",
            level,
            self.rules.first().unwrap_or(&gate.place),
            format!("{} {} port {ports} through {list} without going through {}", who.0, may.0, name.en),
            format!("{}{}绕过 {} 直接经 {list} 访问端口 {ports}", who.1, may.1, name.zh),
        )
    }
}

/// Which of the nodes an allow list is made for, by how many of the node's ranges it names: tells behind which node an
/// origin sits when nobody says. A range wider than the node's (everyone) names none.
pub fn guess<'a>(nodes: &'a [ProtectionNode], allowed: &[Span]) -> Option<&'a ProtectionNode> {
    let named = |node: &ProtectionNode| {
        let own = merge(&node.ranges);
        let within = |span: &&Span| own.iter().any(|range| range.contains(span));
        let within: Vec<Span> = allowed.iter().filter(within).copied().collect();
        node.ranges.iter().filter(|range| without(&[**range], &within).is_empty()).count()
    };
    let most = nodes.iter().filter(|node| !node.ranges.is_empty()).max_by_key(|node| named(node))?;
    // A single range may be there by chance; half of them are not.
    (named(most) * 2 > most.ranges.len()).then_some(most)
}
