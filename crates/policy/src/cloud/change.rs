//! What a change must let through, in the words of prefixes and ports; and how commands and Terraform are written.

use super::{Network, Owner};
use crate::estate::{Endpoint, Fix};
use crate::gate::{Action, Gate};
use crate::place::both;
use crate::read::{ALL_PORTS, Span, ports_text, protocol_name};
use crate::space::{Cube, Family, Protocols};
use netwhy_model::Text;

/// How many rules one change may add.
const WANTED_COUNT_MAX: usize = 8;
/// More prefixes than this are written as "everywhere".
const PREFIX_COUNT_MAX: usize = 16;

/// One rule to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub family: Family,
    pub sources: Vec<String>,
    pub destinations: Vec<String>,
    /// `None` is every protocol.
    pub protocol: Option<u8>,
    pub ports: (u16, u16),
}

impl Wanted {
    /// The addresses at the other end.
    pub(crate) fn peers(&self, inbound: bool) -> &[String] {
        if inbound { &self.sources } else { &self.destinations }
    }

    /// Protocol's name; `every` for all of them.
    pub(crate) fn protocol_or(&self, every: &str) -> String {
        self.protocol.map_or_else(|| every.to_owned(), protocol_name)
    }

    /// The destination ports; `every` where they are not restricted or have no meaning.
    pub(crate) fn ports_or(&self, every: &str, between: char) -> String {
        match (self.protocol, self.ports) {
            (Some(6 | 17 | 132 | 136 | 33), ports) if ports != ALL_PORTS => ports_text(ports, between),
            _ => every.to_owned(),
        }
    }

    /// A name for the rule: `allow-tcp-443`.
    pub(crate) fn name(&self) -> String {
        let ports = self.ports_or("all", '-');
        format!("allow-{}-{ports}", self.protocol_or("any"))
    }
}

/// The rules that let these packets through, at most eight.
pub(crate) fn wanted(packets: &[Cube]) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for cube in packets {
        let numbers: Vec<Option<u8>> = match cube.protocols == Protocols::ALL {
            true => vec![None],
            false => cube.protocols.numbers().map(Some).collect(),
        };
        for protocol in numbers {
            let one = Wanted {
                family: cube.family,
                sources: prefixes(cube.family, cube.source),
                destinations: prefixes(cube.family, cube.destination),
                protocol,
                ports: cube.destination_ports,
            };
            join(&mut wanted, one);
        }
    }
    wanted.truncate(WANTED_COUNT_MAX);
    wanted
}

/// Rules that differ in their sources or destinations alone become one.
fn join(wanted: &mut Vec<Wanted>, one: Wanted) {
    let alike = |other: &&mut Wanted| {
        (other.family, other.protocol, other.ports) == (one.family, one.protocol, one.ports)
    };
    for other in wanted.iter_mut().filter(alike) {
        let (mine, theirs) = match (other.sources == one.sources, other.destinations == one.destinations) {
            (true, _) => (&mut other.destinations, &one.destinations),
            (_, true) => (&mut other.sources, &one.sources),
            _ => continue,
        };
        mine.extend(theirs.iter().cloned());
        mine.sort();
        mine.dedup();
        if mine.len() > PREFIX_COUNT_MAX {
            *mine = vec![Span::all(one.family).to_string()];
        }
        return;
    }
    wanted.push(one);
}

fn prefixes(family: Family, (first, last): (u128, u128)) -> Vec<String> {
    let prefixes = Span { family, first, last }.prefixes();
    match prefixes.len() > PREFIX_COUNT_MAX {
        true => vec![Span::all(family).to_string()],
        false => prefixes.iter().map(ToString::to_string).collect(),
    }
}

/// The number in its gate of the first rule that stops one of the packets; `None` when only the end of the list does.
pub(crate) fn stopped_by(gate: &Gate, packets: &[Cube]) -> Option<usize> {
    let stops = |rule: &crate::gate::Rule| {
        rule.action != Action::Allow
            && rule.cubes.iter().any(|cube| packets.iter().any(|packet| packet.meets(cube)))
    };
    gate.rules.iter().position(stops)
}

/// The priority of that rule.
pub(crate) fn stopped_at(gate: &Gate, owner: &Owner, packets: &[Cube]) -> Option<i64> {
    stopped_by(gate, packets).and_then(|at| owner.priorities.get(at).copied())
}

/// The greatest number of the range that nobody uses and that comes before `before`.
pub(crate) fn free_before(
    used: &[i64],
    before: Option<i64>,
    range: std::ops::RangeInclusive<i64>,
) -> Option<i64> {
    let last = before.map_or(*range.end(), |before| (before - 1).min(*range.end()));
    (*range.start()..=last).rev().find(|number| !used.contains(number))
}

/// A word for a shell: bare where that is safe, else in quotes.
pub(crate) fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let clean: String = word.chars().filter(|c| !c.is_control()).collect();
    format!("'{}'", clean.replace('\'', r"'\''"))
}

/// A text for Terraform, in quotes.
pub(crate) fn quoted(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    format!(
        "\"{}\"",
        clean.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${").replace("%{", "%%{")
    )
}

/// A list for Terraform or JSON.
pub(crate) fn quoted_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| self::quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// What connects two networks, by a command of the vendor's tool.
pub(crate) fn connects(syntax: &'static str, one: &Network, two: &Network, change: String) -> Fix {
    let (one, two) = (&one.name, &two.name);
    Fix { syntax, what: both(format!("connects {one} and {two}"), format!("连接 {one} 与 {two}")), change }
}

/// What peers two networks, by a command of the vendor's tool on each side.
pub(crate) fn peers(
    syntax: &'static str,
    one: &Network,
    two: &Network,
    side: impl Fn(&Network, &Network) -> String,
) -> Fix {
    let what = both(
        format!("peers {} and {}, from both sides", one.name, two.name),
        format!("在两侧建立 {} 与 {} 的对等连接", one.name, two.name),
    );
    Fix { syntax, what, change: format!("{}\n{}", side(one, two), side(two, one)) }
}

/// The name of the side of a peering, for a shell.
pub(crate) fn side_name(from: &Network, to: &Network) -> String {
    shell(&format!("{}-to-{}", from.name, to.name))
}

/// What gives an instance a public address, by commands of the vendor's tool.
pub(crate) fn publishes(syntax: &'static str, endpoint: &Endpoint, change: String) -> Fix {
    let id = &endpoint.id;
    Fix {
        syntax,
        what: both(format!("gives {id} a public address"), format!("给 {id} 绑定公网地址")),
        change,
    }
}

/// A block of Terraform; the values are written as they are.
pub(crate) fn terraform(kind: &str, name: &str, what: Text, members: &[(&str, String)]) -> Fix {
    let wide = members.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let lines: String = members.iter().map(|(key, value)| format!("  {key:wide$} = {value}\n")).collect();
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    Fix { syntax: "terraform", what, change: format!("resource \"{kind}\" \"{name}\" {{\n{lines}}}\n") }
}

/// What a change does, for its reader.
pub(crate) fn lets_through(wanted: &Wanted, owner: &Owner) -> Text {
    let (from, to) = (wanted.sources.join(", "), wanted.destinations.join(", "));
    let (protocol, ports) = (wanted.protocol_or("any"), wanted.ports_or("", '-'));
    let group = crate::place::excerpt(&owner.group);
    both(
        format!("lets {protocol} {ports} from {from} to {to} through in {group}"),
        format!("在 {group} 中放行从 {from} 到 {to} 的 {protocol} {ports}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_files_cannot_leave_the_quotes() {
        assert_eq!(shell("web-nsg"), "web-nsg");
        assert_eq!(shell("a b;rm"), "'a b;rm'");
        assert_eq!(shell("it's"), r"'it'\''s'");
        assert_eq!(quoted("a\"${b}"), "\"a\\\"$${b}\"");
    }

    #[test]
    fn a_free_number_comes_right_before_the_rule_that_stops() {
        assert_eq!(free_before(&[199, 198], Some(200), 100..=4096), Some(197));
        assert_eq!(free_before(&[100], Some(101), 100..=4096), None);
        assert_eq!(free_before(&[4096], None, 100..=4096), Some(4095));
    }

    #[test]
    fn rules_that_differ_in_the_source_alone_become_one() {
        let cube = |first| {
            let ten = u128::from(u32::from(std::net::Ipv4Addr::new(10, 0, 0, first)));
            Cube::all(Family::V4).source(ten, ten).protocols(Protocols::TCP).destination_ports(443..=443)
        };
        let wanted = wanted(&[cube(1), cube(3)]);
        assert_eq!(wanted.len(), 1);
        assert_eq!(wanted[0].sources, ["10.0.0.1/32", "10.0.0.3/32"]);
        assert_eq!(wanted[0].name(), "allow-tcp-443");
    }
}
