//! The blob of one xtables table taken apart: entries, their matches and targets, chains by offset.

use crate::nft::protocol_name;
use crate::source::{SourceCondition, source_kind};
use crate::xt::{Info, NamedSet, Place, match_fragment, target_fragment};
use netwhy_model::host::{Backend, Hook, Match, Rule, RuleVerdict, Ruleset};
use std::collections::HashMap;
use std::net::IpAddr;

/// Entries of one table.
const ENTRY_COUNT_MAX: usize = 100_000;
/// Matches of one entry.
const MATCH_COUNT_MAX: usize = 64;
/// Things not understood that are named.
const UNKNOWN_COUNT_MAX: usize = 200;
/// struct xt_entry_match and xt_entry_target: size, name, revision.
const EXTENSION_HEAD_LEN: usize = 32;
const HOOKS: [(Hook, &str); 5] = [
    (Hook::Prerouting, "PREROUTING"),
    (Hook::Input, "INPUT"),
    (Hook::Forward, "FORWARD"),
    (Hook::Output, "OUTPUT"),
    (Hook::Postrouting, "POSTROUTING"),
];

/// ip_tables or ip6_tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Ip,
    Ip6,
}

/// Where the parts of struct ipt_entry and ip6t_entry are.
struct Layout {
    address_len: usize,
    interfaces: usize,
    protocol: usize,
    flags: usize,
    inverted: usize,
    target: usize,
    next: usize,
    counters: usize,
    head_len: usize,
    goto: u8,
}

const IP: Layout = Layout {
    address_len: 4,
    interfaces: 16,
    protocol: 80,
    flags: 82,
    inverted: 83,
    target: 88,
    next: 90,
    counters: 96,
    head_len: 112,
    goto: 2,
};

const IP6: Layout = Layout {
    address_len: 16,
    interfaces: 64,
    protocol: 128,
    flags: 131,
    inverted: 132,
    target: 140,
    next: 142,
    counters: 152,
    head_len: 168,
    goto: 4,
};

impl Family {
    fn layout(self) -> &'static Layout {
        if self == Family::Ip { &IP } else { &IP6 }
    }
}

/// One entry with its place in the blob.
struct Entry<'a> {
    at: usize,
    info: Info<'a>,
    target: Extension<'a>,
    layout: &'static Layout,
}

struct Extension<'a> {
    name: String,
    revision: u32,
    info: &'a [u8],
}

impl<'a> Extension<'a> {
    /// Reads one match or target and says how long it is.
    fn parse(bytes: &'a [u8]) -> Option<(Extension<'a>, usize)> {
        let head = Info(bytes.get(..EXTENSION_HEAD_LEN)?);
        let length = usize::from(head.ne16(0));
        let info = bytes.get(EXTENSION_HEAD_LEN..length)?;
        let extension = Extension { name: head.text(2, 29), revision: head.byte(31).into(), info };
        Some((extension, length))
    }
}

/// Cuts the blob into entries; ends at the first that does not fit.
fn entries<'a>(blob: &'a [u8], layout: &'static Layout) -> Vec<Entry<'a>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = blob.get(at..).filter(|rest| !rest.is_empty()) {
        let head = Info(rest);
        let (target, next) = (usize::from(head.ne16(layout.target)), usize::from(head.ne16(layout.next)));
        let whole = rest.get(..next).filter(|_| target >= layout.head_len && next > target);
        let Some(whole) = whole else { break };
        let Some((target, _)) = whole.get(target..).and_then(Extension::parse) else { break };
        found.push(Entry { at, info: Info(whole), target, layout });
        at += next;
        if found.len() >= ENTRY_COUNT_MAX {
            break;
        }
    }
    found
}

/// What a table's entries stand in.
struct Table<'a> {
    family: Family,
    name: &'a str,
    /// Names of chains by the offset of their first entry.
    chains: HashMap<usize, String>,
    place: Place<'a>,
}

/// Reads the rules of one table: its struct ipt_getinfo and its entries.
pub(super) fn rules(
    family: Family,
    table: &str,
    info: &[u8],
    blob: &[u8],
    ipsets: &dyn Fn(u16) -> Option<NamedSet>,
    ruleset: &mut Ruleset,
) {
    let info = Info(info);
    let entries = entries(blob, family.layout());
    let mut hooks: HashMap<usize, (Hook, &str)> = HashMap::new();
    let mut policies: HashMap<usize, (Hook, &str)> = HashMap::new();
    for (number, (hook, name)) in HOOKS.into_iter().enumerate() {
        if info.ne32(32) & (1 << number) != 0 {
            hooks.insert(info.ne32(36 + 4 * number) as usize, (hook, name));
            policies.insert(info.ne32(56 + 4 * number) as usize, (hook, name));
        }
    }
    let mut chains: HashMap<usize, String> =
        hooks.iter().map(|(at, (_, name))| (*at, (*name).to_owned())).collect();
    for entry in &entries {
        if entry.target.name == "ERROR" {
            let next = entry.at + entry.info.0.len();
            chains.insert(next, Info(entry.target.info).text(0, 30));
        }
    }
    let place = Place { is_ip6: family == Family::Ip6, ipsets };
    let table = Table { family, name: table, chains, place };
    let mut current = (String::new(), None);
    let mut position = 0;
    for (index, entry) in entries.iter().enumerate() {
        if let Some(name) = table.chains.get(&entry.at) {
            let hook = hooks.get(&entry.at).map(|(hook, _)| *hook);
            current = (name.clone(), hook);
            position = 0;
        }
        if entry.target.name == "ERROR" {
            continue;
        }
        // A chain of one's own ends with a return that nobody wrote.
        let last = entries.get(index + 1).is_none_or(|next| next.target.name == "ERROR");
        let policy = policies.contains_key(&entry.at);
        if last && !policy && current.1.is_none() {
            continue;
        }
        position = if policy { 0 } else { position + 1 };
        let rule = table.rule(entry, &current, position, &mut ruleset.not_understood);
        ruleset.rules.push(rule);
    }
}

/// The words of a rule as they gather.
#[derive(Default)]
struct Words {
    text: Vec<String>,
    matches: Vec<Match>,
    sources: Vec<(SourceCondition, bool)>,
    comment: String,
    unknown: Vec<String>,
}

impl Table<'_> {
    fn rule(
        &self,
        entry: &Entry<'_>,
        chain: &(String, Option<Hook>),
        position: u32,
        unknown: &mut Vec<String>,
    ) -> Rule {
        let mut words = Words::default();
        if position > 0 {
            addresses(entry, self.family, &mut words);
            interfaces(entry, &mut words);
            protocol(entry, self.family, &mut words);
            self.extensions(entry, &mut words);
        }
        let verdict = self.target(entry, position, &mut words);
        for (condition, negated) in std::mem::take(&mut words.sources) {
            words.matches.push(source_kind(condition, negated, Some(&verdict)));
        }
        let mut matches: Vec<Match> = Vec::new();
        for kind in words.matches {
            if !matches.contains(&kind) {
                matches.push(kind);
            }
        }
        let counters = entry.layout.counters;
        let rule = Rule {
            backend: Backend::Xtables,
            family: if self.family == Family::Ip { "ip" } else { "ip6" }.to_owned(),
            table: self.name.to_owned(),
            chain: chain.0.clone(),
            hook: chain.1,
            handle: position.into(),
            position,
            text: words.text.join(" "),
            verdict,
            matches,
            counter: Some((entry.info.ne64(counters), entry.info.ne64(counters + 8))),
            comment: words.comment,
        };
        for name in words.unknown {
            if unknown.len() < UNKNOWN_COUNT_MAX {
                unknown.push(format!("{}: <{name}>", rule.place()));
            }
        }
        rule
    }

    fn extensions(&self, entry: &Entry<'_>, words: &mut Words) {
        let end = usize::from(entry.info.ne16(entry.layout.target));
        let mut at = entry.layout.head_len;
        for _ in 0..MATCH_COUNT_MAX {
            let Some((extension, length)) = entry.info.0.get(at..end).and_then(Extension::parse) else {
                break;
            };
            let Extension { name, revision, info } = extension;
            match match_fragment(&name, revision, info, &self.place) {
                Some(fragment) => {
                    if !fragment.text.is_empty() {
                        words.text.push(fragment.text);
                    }
                    words.matches.extend(fragment.matches);
                    words.sources.extend(fragment.source);
                    if !fragment.comment.is_empty() {
                        words.comment = fragment.comment;
                    }
                }
                None => {
                    words.text.push(format!("-m {name} <{name}>"));
                    words.matches.push(Match::Other);
                    words.unknown.push(name);
                }
            }
            at += length;
        }
    }

    fn target(&self, entry: &Entry<'_>, position: u32, words: &mut Words) -> RuleVerdict {
        if !entry.target.name.is_empty() {
            let Extension { name, revision, info } = &entry.target;
            let Some(fragment) = target_fragment(name, *revision, info, &self.place) else {
                words.text.push(format!("-j {name} <{name}>"));
                words.unknown.push(name.clone());
                return RuleVerdict::Continue;
            };
            words.text.push(fragment.text);
            return fragment.verdict.unwrap_or(RuleVerdict::Continue);
        }
        let code = Info(entry.target.info).ne32(0).cast_signed();
        let (word, verdict) = match code {
            -1 => ("DROP".to_owned(), RuleVerdict::Drop),
            -2 => ("ACCEPT".to_owned(), RuleVerdict::Accept),
            -4 => ("QUEUE".to_owned(), RuleVerdict::Queue),
            -5 => ("RETURN".to_owned(), RuleVerdict::Return),
            code => return self.jump(entry, code, words),
        };
        words.text.push(if position == 0 { format!("policy {word}") } else { format!("-j {word}") });
        verdict
    }

    /// A target that is an offset: another chain, or the next entry when the rule has no target.
    fn jump(&self, entry: &Entry<'_>, offset: i32, words: &mut Words) -> RuleVerdict {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        if offset == entry.at + entry.info.0.len() {
            return RuleVerdict::Continue;
        }
        let chain = self.chains.get(&offset).cloned().unwrap_or_else(|| "<chain>".to_owned());
        if entry.info.byte(entry.layout.flags) & entry.layout.goto != 0 {
            words.text.push(format!("-g {chain}"));
            return RuleVerdict::Goto(chain);
        }
        words.text.push(format!("-j {chain}"));
        RuleVerdict::Jump(chain)
    }
}

fn not(inverted: bool) -> &'static str {
    if inverted { "! " } else { "" }
}

fn addresses(entry: &Entry<'_>, family: Family, words: &mut Words) {
    const SOURCE: u8 = 8;
    const DESTINATION: u8 = 16;
    let (info, len) = (entry.info, entry.layout.address_len);
    let inverted = info.byte(entry.layout.inverted);
    let address = |at: usize| info.address(at * len, family == Family::Ip6);
    let (source, destination, source_mask, destination_mask) =
        (address(0), address(1), address(2), address(3));
    if !source_mask.is_unspecified() || inverted & SOURCE != 0 {
        let negated = inverted & SOURCE != 0;
        words.text.push(format!("{}-s {}", not(negated), network(source, source_mask)));
        let whole = if is_full(source_mask) { SourceCondition::Single } else { SourceCondition::Range };
        words.sources.push((whole, negated));
    }
    if !destination_mask.is_unspecified() || inverted & DESTINATION != 0 {
        let negated = not(inverted & DESTINATION != 0);
        words.text.push(format!("{negated}-d {}", network(destination, destination_mask)));
        words.matches.push(Match::DestinationAddress);
    }
}

fn network(address: IpAddr, mask: IpAddr) -> String {
    crate::xt::network(address, mask)
}

fn is_full(mask: IpAddr) -> bool {
    match mask {
        IpAddr::V4(mask) => u32::from(mask) == u32::MAX,
        IpAddr::V6(mask) => u128::from(mask) == u128::MAX,
    }
}

fn interfaces(entry: &Entry<'_>, words: &mut Words) {
    const NAME_LEN: usize = 16;
    let inverted = entry.info.byte(entry.layout.inverted);
    for (option, bit, at) in [("-i", 1, 0), ("-o", 2, NAME_LEN)] {
        let place = entry.layout.interfaces + at;
        let mask = entry.info.bytes(place + 2 * NAME_LEN, NAME_LEN);
        if mask.iter().all(|byte| *byte == 0) {
            continue;
        }
        let name = entry.info.text(place, NAME_LEN);
        // A mask that leaves out the closing zero stands for every name that begins so.
        let covered = mask.iter().take_while(|byte| **byte != 0).count();
        let plus = if covered <= name.len() && !name.ends_with('+') { "+" } else { "" };
        words.text.push(format!("{}{option} {name}{plus}", not(inverted & bit != 0)));
        words.matches.push(Match::Interface);
    }
}

fn protocol(entry: &Entry<'_>, family: Family, words: &mut Words) {
    const FRAGMENT: u8 = 1;
    const INVERTED_FRAGMENT: u8 = 0x20;
    const INVERTED_PROTOCOL: u8 = 0x40;
    let inverted = entry.info.byte(entry.layout.inverted);
    let protocol = entry.info.ne16(entry.layout.protocol);
    if protocol != 0 || inverted & INVERTED_PROTOCOL != 0 {
        let name = protocol_name(protocol.into());
        words.text.push(format!("{}-p {name}", not(inverted & INVERTED_PROTOCOL != 0)));
    }
    if family == Family::Ip && entry.info.byte(entry.layout.flags) & FRAGMENT != 0 {
        words.text.push(format!("{}-f", not(inverted & INVERTED_FRAGMENT != 0)));
        words.matches.push(Match::Other);
    }
}

/// Takes any bytes apart as both kinds of table: for fuzzing.
pub(crate) fn take_apart(bytes: &[u8]) -> String {
    let mut ruleset = Ruleset::default();
    for family in [Family::Ip, Family::Ip6] {
        let (info, blob) = bytes.split_at(bytes.len().min(super::INFO_LEN));
        rules(family, "filter", info, blob, &|_| None, &mut ruleset);
    }
    ruleset.rules.into_iter().map(|rule| rule.place() + &rule.text + &rule.comment).collect()
}
