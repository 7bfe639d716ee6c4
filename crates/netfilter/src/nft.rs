//! nf_tables: the dump of its tables, chains, rules and sets over nfnetlink.

mod act;
mod chain;
mod compare;
mod decode;
mod key;
mod operand;
mod payload;
mod read;
mod set;
mod statement;
mod symbol;
mod value;
mod verdict;

pub(crate) use chain::family_name;
pub(crate) use read::read;
pub(crate) use symbol::PROTOCOL;
pub(crate) use value::date;
pub(crate) use verdict::Verdict;

/// NFNL_SUBSYS_NFTABLES, in the high byte of a message's type.
pub(crate) const SUBSYSTEM: u16 = 10 << 8;
/// struct nfgenmsg, with which every body begins: family, version, resource.
pub(crate) const GENERIC_HEADER_LEN: usize = 4;

/// Splits a body into its family and its attributes.
pub(crate) fn split(body: &[u8]) -> (u8, &[u8]) {
    (body.first().copied().unwrap_or(0), body.get(GENERIC_HEADER_LEN..).unwrap_or_default())
}

/// The word of an IP protocol, else its number.
pub(crate) fn protocol_name(number: u32) -> String {
    symbol::word(PROTOCOL, number).map_or_else(|| number.to_string(), str::to_owned)
}

/// The text of one rule message without its sets: for fuzzing and tests.
pub(crate) fn rule_text(body: &[u8]) -> String {
    let sets = std::collections::HashMap::new();
    let (family, attributes) = split(body);
    let context = decode::Context {
        family: family_name(family),
        sets: &sets,
        interfaces: &|_| None,
        ipsets: &|_| None,
    };
    decode::decode(crate::fields::Fields::of(attributes).get(4), &context).text
}

/// Takes one message apart as a rule and as a chain: for fuzzing.
pub(crate) fn take_apart(body: &[u8]) -> String {
    let (family, attributes) = split(body);
    let chain = chain::Chain::parse(family, attributes);
    let policy = chain.policy_rule().map_or_else(String::new, |rule| rule.place() + &rule.text);
    rule_text(body) + &policy
}

/// Takes one message apart as a set and as its elements: for fuzzing.
pub(crate) fn take_apart_set(body: &[u8]) -> String {
    let (family, attributes) = split(body);
    let mut set = set::Set::parse(family, attributes);
    set.add_elements(attributes, &|_| None);
    set.finish(&|_| None);
    set.text() + &set.text_moved(3, &|_| None)
}
