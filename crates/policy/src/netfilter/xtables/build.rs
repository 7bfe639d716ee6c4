//! What every extension uses to build its parts: matches of one field, faults, shared elements.

use super::address::Address;
use super::words::Word;
use crate::netfilter::ast::{Element, Field, Match, Operand, Part, SetUse, Span, Test};
use crate::place::{both, excerpt};
use netwhy_model::Text;
use std::collections::HashMap;
use std::sync::Arc;

/// How many different spans are kept to be shared between rules.
const SHARED_COUNT_MAX: usize = 1 << 20;

/// Something in a rule that was not understood.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub offset: usize,
    pub text: String,
    pub why: Text,
}

impl Fault {
    pub fn new(offset: usize, text: &str, en: &str, zh: &str) -> Fault {
        Fault { offset, text: excerpt(text), why: both(en, zh) }
    }

    pub fn of(word: &Word<'_>, en: &str, zh: &str) -> Fault {
        Fault::new(word.offset, &word.text, en, zh)
    }
}

/// Lists of one span, shared by all rules that have the same: most of a large rule set's memory.
#[derive(Debug, Default)]
pub(super) struct Shared {
    spans: HashMap<Span, Arc<Vec<Element>>>,
}

impl Shared {
    fn get(&mut self, span: Span) -> Arc<Vec<Element>> {
        if let Some(found) = self.spans.get(&span) {
            return Arc::clone(found);
        }
        let made = Arc::new(vec![Element::of(span.clone())]);
        if self.spans.len() < SHARED_COUNT_MAX {
            self.spans.insert(span, Arc::clone(&made));
        }
        made
    }
}

/// An element of these spans and nothing more.
pub(super) fn element(spans: Vec<Span>) -> Element {
    Element { spans, ..Element::default() }
}

/// The parts of a rule while it is read.
pub(super) struct Build<'a> {
    pub v6: bool,
    /// What `-p` says, unless it is negated.
    pub protocol: Option<u8>,
    pub parts: Vec<Part>,
    pub comment: Option<String>,
    pub shared: &'a mut Shared,
}

impl Build<'_> {
    /// The field of this rule's family.
    pub fn family(&self, ip4: Field, ip6: Field) -> Field {
        if self.v6 { ip6 } else { ip4 }
    }

    pub fn number(&mut self, field: Field, value: u128, negated: bool) {
        self.range(field, (value, value), negated);
    }

    pub fn range(&mut self, field: Field, (first, last): (u128, u128), negated: bool) {
        self.span(field, Span::Numbers(first, last), negated);
    }

    pub fn span(&mut self, field: Field, span: Span, negated: bool) {
        let part = self.one(Operand::plain(field), span, negated);
        self.parts.push(part);
    }

    fn one(&mut self, key: Operand, span: Span, negated: bool) -> Part {
        let test = Test::In(SetUse::Inline(self.shared.get(span)));
        Part::Match(Match { keys: vec![key], test, negated })
    }

    /// `(field & mask) == value`; a mask of all bits may be left out.
    pub fn masked(&mut self, field: Field, value: u128, mask: Option<u128>, negated: bool) {
        let key = Operand { mask, ..Operand::plain(field) };
        let part = self.one(key, Span::Numbers(value, value), negated);
        self.parts.push(part);
    }

    pub fn any_bit(&mut self, field: Field, bits: u128, negated: bool) {
        let keys = vec![Operand::plain(field)];
        self.parts.push(Part::Match(Match { keys, test: Test::AnyBit(bits), negated }));
    }

    /// Several spans, of one field or of several beside one another.
    pub fn any_of(&mut self, fields: &[Field], elements: Vec<Vec<Span>>, negated: bool) {
        let keys = fields.iter().copied().map(Operand::plain).collect();
        let elements = Arc::new(elements.into_iter().map(element).collect());
        self.parts.push(Part::Match(Match { keys, test: Test::In(SetUse::Inline(elements)), negated }));
    }

    pub fn address(&mut self, field: Field, address: Address, negated: bool) -> Part {
        match address {
            Address::Range(first, last) => {
                self.one(Operand::plain(field), Span::Numbers(first, last), negated)
            }
            Address::Masked { value, mask } => {
                let key = Operand { mask: Some(mask), ..Operand::plain(field) };
                self.one(key, Span::Numbers(value, value), negated)
            }
        }
    }

    /// A condition that may hold or not.
    pub fn unknown(&mut self, text: &str, en: impl Into<String>, zh: impl Into<String>) {
        self.parts.push(Part::Unknown { text: excerpt(text), why: both(en, zh) });
    }
}
