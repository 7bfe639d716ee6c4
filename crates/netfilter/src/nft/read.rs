//! Reads nf_tables live: one consistent look at tables, sets, chains and rules.

use super::chain::{Chain, family_name};
use super::decode::{Context, decode};
use super::set::Set;
use super::{SUBSYSTEM, split};
use crate::error::NetfilterError;
use crate::fields::Fields;
use crate::printable::printable;
use crate::trace::TRACE_TABLE_PREFIX;
use crate::xt::NamedSet;
use netwhy_model::host::{Backend, Rule, RuleVerdict, Ruleset, RulesetSet};
use netwhy_netlink::{Builder, Connection, NetlinkError, Protocol};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

const GET_TABLE: u16 = SUBSYSTEM | 1;
const GET_CHAIN: u16 = SUBSYSTEM | 4;
const GET_RULE: u16 = SUBSYSTEM | 7;
const GET_SET: u16 = SUBSYSTEM | 10;
const GET_SET_ELEMENT: u16 = SUBSYSTEM | 13;
const GET_GENERATION: u16 = SUBSYSTEM | 16;

/// Rules, sets and chains kept; what goes past is named as not read.
const RULE_COUNT_MAX: usize = 50_000;
const SET_COUNT_MAX: usize = 20_000;
const CHAIN_COUNT_MAX: usize = 20_000;
/// How long the elements of sets may take, in milliseconds: the kernel searches all sets of a table for each.
const ELEMENTS_MS_MAX: u64 = 2_000;
/// Looks until the ruleset stood still during one.
const TRY_COUNT_MAX: usize = 3;
/// Things not understood that are named, in all.
pub(crate) const UNKNOWN_COUNT_MAX: usize = 200;

type TableKey = (u8, String);

/// Reads the calling thread's namespace.
pub(crate) fn read(ipsets: &dyn Fn(u16) -> Option<NamedSet>) -> Result<Ruleset, NetfilterError> {
    let mut connection = Connection::open(Protocol::Netfilter).map_err(NetfilterError::Open)?;
    let failed = |source| NetfilterError::Read { what: "nf_tables ruleset", source };
    let mut ruleset = Ruleset::default();
    for _ in 0..TRY_COUNT_MAX {
        let before = generation(&mut connection);
        ruleset = look(&mut connection, ipsets).map_err(failed)?;
        if before == generation(&mut connection) {
            return Ok(ruleset);
        }
    }
    ruleset.not_understood.push("the ruleset kept changing while it was read".to_owned());
    Ok(ruleset)
}

/// The number of the ruleset's present state; it rises with every change.
fn generation(connection: &mut Connection) -> Option<u32> {
    let (_, body) = connection.ask(GET_GENERATION, 0, &header(0)).ok()??;
    Some(Fields::of(split(&body).1).be32(1))
}

fn header(family: u8) -> [u8; 4] {
    [family, 0, 0, 0]
}

fn look(
    connection: &mut Connection,
    ipsets: &dyn Fn(u16) -> Option<NamedSet>,
) -> Result<Ruleset, NetlinkError> {
    let names = RefCell::new(HashMap::new());
    let interfaces = |index: u32| names.borrow_mut().entry(index).or_insert_with(|| interface(index)).clone();
    let dormant = dormant_tables(connection)?;
    let mut ruleset = Ruleset::default();
    let sets = sets(connection, &interfaces, &mut ruleset.not_understood)?;
    let chains = chains(connection, &dormant, &mut ruleset.not_understood)?;
    let ranks: HashMap<(u8, &str, &str), usize> = chains
        .iter()
        .enumerate()
        .map(|(rank, chain)| ((chain.family, chain.table.as_str(), chain.name.as_str()), rank))
        .collect();
    let mut reader = RuleReader {
        sets: &sets,
        chains: &chains,
        ranks: &ranks,
        interfaces: &interfaces,
        ipsets,
        positions: vec![0; chains.len()],
        rules: Vec::new(),
        past_limit: 0,
        unknown: Vec::new(),
    };
    reader
        .rules
        .extend(chains.iter().enumerate().filter_map(|(rank, chain)| Some((rank, chain.policy_rule()?))));
    connection.dump(GET_RULE, &header(0), |_, body| reader.rule(body))?;
    ruleset.not_understood.append(&mut reader.unknown);
    if reader.past_limit > 0 {
        ruleset.not_understood.push(format!("{} rules past the first {RULE_COUNT_MAX}", reader.past_limit));
    }
    let mut rules = reader.rules;
    rules.sort_by_key(|(rank, rule)| (*rank, rule.position));
    ruleset.rules = rules.into_iter().map(|(_, rule)| rule).collect();
    ruleset.sets = named_sets(sets);
    Ok(ruleset)
}

/// Asks the C library, which asks the calling thread's namespace.
fn interface(index: u32) -> Option<String> {
    let mut name = [0_u8; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the IF_NAMESIZE bytes the call may write.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    (!found.is_null()).then(|| printable(&netwhy_netlink::text(&name)))
}

/// Tables that are switched off: their chains hang nowhere.
fn dormant_tables(connection: &mut Connection) -> Result<HashSet<TableKey>, NetlinkError> {
    const DORMANT: u32 = 1;
    let mut dormant = HashSet::new();
    connection.dump(GET_TABLE, &header(0), |_, body| {
        let (family, attributes) = split(body);
        let fields = Fields::of(attributes);
        if fields.be32(2) & DORMANT != 0 && dormant.len() < CHAIN_COUNT_MAX {
            dormant.insert((family, fields.text(1)));
        }
    })?;
    Ok(dormant)
}

fn own(table: &str) -> bool {
    table.starts_with(TRACE_TABLE_PREFIX)
}

/// All chains, in the order a packet meets them: base chains by hook and priority, then the others.
fn chains(
    connection: &mut Connection,
    dormant: &HashSet<TableKey>,
    unknown: &mut Vec<String>,
) -> Result<Vec<Chain>, NetlinkError> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut past_limit = 0_usize;
    connection.dump(GET_CHAIN, &header(0), |_, body| {
        let (family, attributes) = split(body);
        let mut chain = Chain::parse(family, attributes);
        if own(&chain.table) {
            return;
        }
        if chains.len() >= CHAIN_COUNT_MAX {
            past_limit += 1;
            return;
        }
        if dormant.contains(&(family, chain.table.clone())) {
            chain.hook = None;
        }
        chains.push(chain);
    })?;
    if past_limit > 0 {
        unknown.push(format!("{past_limit} chains past the first {CHAIN_COUNT_MAX}"));
    }
    chains.sort_by_key(|chain| (chain.hook.is_none(), chain.hook, chain.priority));
    Ok(chains)
}

fn sets(
    connection: &mut Connection,
    interfaces: &dyn Fn(u32) -> Option<String>,
    unknown: &mut Vec<String>,
) -> Result<HashMap<TableKey, HashMap<String, Set>>, NetlinkError> {
    let mut found: Vec<Set> = Vec::new();
    let mut past_limit = 0_usize;
    connection.dump(GET_SET, &header(0), |_, body| {
        let (family, attributes) = split(body);
        if found.len() < SET_COUNT_MAX {
            found.push(Set::parse(family, attributes));
        } else {
            past_limit += 1;
        }
    })?;
    if past_limit > 0 {
        unknown.push(format!("{past_limit} sets past the first {SET_COUNT_MAX}"));
    }
    // Named sets matter by themselves, the others only to a rule's text.
    found.sort_by_key(Set::anonymous);
    let until = Instant::now() + Duration::from_millis(ELEMENTS_MS_MAX);
    let mut late = 0_usize;
    let mut tables: HashMap<TableKey, HashMap<String, Set>> = HashMap::new();
    for mut set in found {
        if Instant::now() > until {
            late += 1;
            tables.entry((set.family, set.table.clone())).or_default().insert(set.name.clone(), set);
            continue;
        }
        let body = Builder::new(&header(set.family)).put_text(1, &set.table).put_text(2, &set.name);
        let read = connection.dump(GET_SET_ELEMENT, body.bytes(), |_, body| {
            set.add_elements(split(body).1, interfaces);
        });
        set.finish(interfaces);
        if let Err(error) = read {
            // A set that went away meanwhile shows in the generation; any other refusal is named.
            if error.errno() != Some(libc::ENOENT) {
                unknown.push(format!("{} {} set {}: elements", family_name(set.family), set.table, set.name));
            }
        }
        tables.entry((set.family, set.table.clone())).or_default().insert(set.name.clone(), set);
    }
    if late > 0 {
        unknown.push(format!("elements of {late} sets, which were not read within {ELEMENTS_MS_MAX} ms"));
    }
    Ok(tables)
}

fn named_sets(tables: HashMap<TableKey, HashMap<String, Set>>) -> Vec<RulesetSet> {
    let sets = tables.into_values().flat_map(HashMap::into_values);
    let mut named: Vec<RulesetSet> = sets
        .filter(|set| !set.anonymous() && !own(&set.table))
        .map(|set| RulesetSet {
            family: family_name(set.family).to_owned(),
            count: set.count,
            elements: set.elements.iter().map(super::set::Element::text).collect(),
            dynamic: set.dynamic(),
            table: set.table,
            name: set.name,
        })
        .collect();
    named.sort_by(|one, other| {
        (&one.family, &one.table, &one.name).cmp(&(&other.family, &other.table, &other.name))
    });
    named
}

struct RuleReader<'a> {
    sets: &'a HashMap<TableKey, HashMap<String, Set>>,
    chains: &'a [Chain],
    ranks: &'a HashMap<(u8, &'a str, &'a str), usize>,
    interfaces: &'a dyn Fn(u32) -> Option<String>,
    ipsets: &'a dyn Fn(u16) -> Option<NamedSet>,
    /// The last position given out, by chain.
    positions: Vec<u32>,
    rules: Vec<(usize, Rule)>,
    past_limit: usize,
    unknown: Vec<String>,
}

impl RuleReader<'_> {
    fn rule(&mut self, body: &[u8]) {
        let (family, attributes) = split(body);
        let fields = Fields::of(attributes);
        let (table, chain) = (fields.text(1), fields.text(2));
        let Some(rank) = self.ranks.get(&(family, table.as_str(), chain.as_str())).copied() else { return };
        if self.rules.len() >= RULE_COUNT_MAX {
            self.past_limit += 1;
            return;
        }
        let none = HashMap::new();
        let context = Context {
            family: family_name(family),
            sets: self.sets.get(&(family, table.clone())).unwrap_or(&none),
            interfaces: self.interfaces,
            ipsets: self.ipsets,
        };
        let decoded = decode(fields.get(4), &context);
        let position = self.positions.get_mut(rank).map_or(0, |position| {
            *position += 1;
            *position
        });
        let comment = comment(fields.get(7)).unwrap_or(decoded.comment);
        let rule = Rule {
            backend: Backend::Nft,
            family: family_name(family).to_owned(),
            table,
            chain,
            hook: self.chains.get(rank).and_then(|chain| chain.hook),
            handle: fields.be64(3),
            position,
            text: decoded.text,
            verdict: decoded.verdict.unwrap_or(RuleVerdict::Continue),
            matches: decoded.matches,
            counter: decoded.counter,
            comment,
        };
        for name in decoded.unknown {
            if self.unknown.len() < UNKNOWN_COUNT_MAX {
                self.unknown.push(format!("{}: <{name}>", rule.place()));
            }
        }
        self.rules.push((rank, rule));
    }
}

/// The comment in a rule's user data: a list of type, length, value, each of one byte.
fn comment(data: &[u8]) -> Option<String> {
    const COMMENT: u8 = 0;
    let mut rest = data;
    while let [kind, length, after @ ..] = rest {
        let value = after.get(..usize::from(*length))?;
        if *kind == COMMENT {
            return Some(printable(&netwhy_netlink::text(value)));
        }
        rest = after.get(usize::from(*length)..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_is_found_among_user_data() {
        assert_eq!(comment(&[1, 1, 9, 0, 3, b'h', b'i', 0]), Some("hi".to_owned()));
        assert_eq!(comment(&[0, 200, b'h']), None);
        assert_eq!(comment(&[]), None);
    }
}
