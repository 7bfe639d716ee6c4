//! Values and elements of sets: from words to spans of numbers and names.

use super::{NO_VALUE, Outcome, Why};
use crate::netfilter::ast::{Data, Element, Span};
use crate::netfilter::nft::expression::{Expression, Item, Operator};
use crate::netfilter::nft::field::all_bits;
use crate::netfilter::nft::kind::Kind;
use std::collections::HashMap;
use std::sync::Arc;

/// How many elements one set may have.
pub(in crate::netfilter::nft) const ELEMENT_COUNT_MAX: usize = 4_000_000;
/// How many elements all sets of a file may have: a variable's are counted wherever it stands.
const TOTAL_COUNT_MAX: usize = 6_000_000;
/// How many different single values are kept to share their memory.
const SHARED_COUNT_MAX: usize = 1 << 16;
/// The last second of a day.
const DAY_LAST_S: u128 = 86_399;
/// How many fields a key may have.
const KEY_FIELD_COUNT_MAX: usize = 16;

const TOO_MANY: Why = Why(
    "sets of more than 4 million elements, or 6 million in all",
    "集合元素超过 400 万个，或总数超过 600 万个",
);
/// An element that is found only while its own limit allows it.
pub(in crate::netfilter::nft) const LIMITED: Why =
    Why("an element with a limit of its own is not modelled", "未建模：元素自带限制");
const TOO_WIDE: Why = Why("more fields than the key has, or fewer", "字段数与键不符");

/// Single values that many rules compare with, each kept once.
#[derive(Debug, Default)]
pub(in crate::netfilter::nft) struct Interner {
    numbers: HashMap<(u128, u128), Arc<Vec<Element>>>,
    /// How many elements the sets of the file have in all.
    element_count: usize,
    /// Whether an element of the last set has a limit, quota or count of its own, which decides beside it.
    pub limited: bool,
}

impl Interner {
    /// The elements of a set; of one within another, and of variables, too.
    pub fn elements(&mut self, set: &Expression, key: &Types, data: &Types) -> Outcome<Vec<Element>> {
        let left = TOTAL_COUNT_MAX.saturating_sub(self.element_count).min(ELEMENT_COUNT_MAX);
        let mut count = 0;
        count_items(set, left.saturating_add(1), &mut count)?;
        let mut elements = Elements { list: Vec::with_capacity(count), key, data, limited: false };
        elements.collect(set)?;
        let Elements { mut list, limited, .. } = elements;
        self.limited = limited;
        // `*` is asked last.
        let whole = |element: &Element| {
            element.spans.iter().zip(&key.fields).all(|(span, field)| *span == any(*field))
        };
        if !data.fields.is_empty() {
            list.sort_by_key(whole);
        }
        list.shrink_to_fit();
        self.element_count += list.len();
        Ok(list)
    }

    /// The set of one span. An hour's span may go past midnight.
    pub fn one(&mut self, span: Span, hour: bool) -> Arc<Vec<Element>> {
        let Span::Numbers(first, last) = span else { return Arc::new(vec![Element::of(span)]) };
        if hour && first > last {
            let late = Element::of(Span::Numbers(first, DAY_LAST_S));
            return Arc::new(vec![late, Element::of(Span::Numbers(0, last))]);
        }
        if let Some(known) = self.numbers.get(&(first, last)) {
            return Arc::clone(known);
        }
        let elements = Arc::new(vec![Element::of(Span::Numbers(first, last))]);
        if self.numbers.len() < SHARED_COUNT_MAX {
            self.numbers.insert((first, last), Arc::clone(&elements));
        }
        elements
    }
}

/// What the fields of a key, or of a map's data, are made of.
#[derive(Debug, Clone, Default)]
pub(in crate::netfilter::nft) struct Types {
    pub fields: Vec<(Kind, u16)>,
}

impl Types {
    pub fn none() -> Types {
        Types::default()
    }

    pub fn verdict() -> Types {
        Types::of([(Kind::Verdict, 0)])
    }

    /// By the names of a set's types.
    pub fn named(names: &[String]) -> Types {
        Types::of(names.iter().map(|name| {
            let kind = Kind::of_name(name).unwrap_or(Kind::Integer);
            (kind, kind.bits())
        }))
    }

    pub fn of(fields: impl IntoIterator<Item = (Kind, u16)>) -> Types {
        Types { fields: fields.into_iter().collect() }
    }
}

/// The elements of a set as they come together.
struct Elements<'t> {
    list: Vec<Element>,
    key: &'t Types,
    data: &'t Types,
    limited: bool,
}

/// Counts elements before any of them takes memory: a variable may hold another many times.
fn count_items(set: &Expression, count_max: usize, count: &mut usize) -> Outcome {
    *count += 1;
    if *count > count_max {
        return Err(TOO_MANY);
    }
    let Expression::Set(items) = set.bare() else { return Ok(()) };
    items.iter().try_for_each(|item| count_items(&item.key, count_max, count))
}

impl Elements<'_> {
    fn collect(&mut self, set: &Expression) -> Outcome {
        match set.bare() {
            Expression::Set(items) => {
                for item in items {
                    match item.key.bare() {
                        inner @ Expression::Set(_) if item.data.is_none() => self.collect(inner)?,
                        _ => self.add(&item.key, item)?,
                    }
                }
                Ok(())
            }
            single => self.add(single, &Item::of(Expression::Any)),
        }
    }

    fn add(&mut self, key: &Expression, item: &Item) -> Outcome {
        let data = match (&item.data, self.data.fields.is_empty()) {
            (Some(value), false) => Some(datum(value, self.data)?),
            (None, true) => None,
            _ => return Err(Why("a map's element is a key, a colon and a value", "映射元素应为“键 : 值”")),
        };
        let base = Element { data, timeout_s: item.timeout_s, line: item.line, ..Element::default() };
        self.limited |= item.decides;
        let spans = spans(key, self.key)?;
        // An hour's span may go past midnight.
        if let [Span::Numbers(first, last)] = spans.as_slice()
            && first > last
        {
            self.list.push(Element { spans: vec![Span::Numbers(*first, DAY_LAST_S)], ..base.clone() });
            self.list.push(Element { spans: vec![Span::Numbers(0, *last)], ..base });
            return Ok(());
        }
        self.list.push(Element { spans, ..base });
        Ok(())
    }
}

fn datum(value: &Expression, types: &Types) -> Outcome<Data> {
    match (value.bare(), types.fields.as_slice()) {
        (Expression::Verdict(verdict), [(Kind::Verdict, _)]) => Ok(Data::Verdict(verdict.clone())),
        (_, [(Kind::Verdict, _)]) => Err(Why("this is no verdict", "这不是裁决")),
        (value, _) => spans(value, types).map(Data::Values),
    }
}

/// One span for each field.
pub(super) fn spans(value: &Expression, types: &Types) -> Outcome<Vec<Span>> {
    match (value.bare(), types.fields.as_slice()) {
        (Expression::Any, fields) => Ok(fields.iter().map(|field| any(*field)).collect()),
        (Expression::Chain(parts), fields)
            if parts.len() == fields.len() && parts.len() <= KEY_FIELD_COUNT_MAX =>
        {
            parts.iter().zip(fields).map(|(part, (kind, bits))| span(part, *kind, *bits)).collect()
        }
        (Expression::Chain(_), _) => Err(TOO_WIDE),
        (value, [(kind, bits)]) => Ok(vec![span(value, *kind, *bits)?]),
        _ => Err(TOO_WIDE),
    }
}

/// Every value of a field.
fn any((kind, bits): (Kind, u16)) -> Span {
    if kind.is_name() {
        return Span::Name { text: String::new(), prefix: true };
    }
    Span::Numbers(0, all_bits(bits))
}

pub(super) fn span(value: &Expression, kind: Kind, bits: u16) -> Outcome<Span> {
    match value.bare() {
        Expression::Any => Ok(any((kind, bits))),
        Expression::Range(both) => {
            let (first, last) = (number(&both.0, kind, bits)?, number(&both.1, kind, bits)?);
            if first > last && kind != Kind::Hour {
                return Err(Why("a range from a larger to a smaller value", "区间起点大于终点"));
            }
            Ok(Span::Numbers(first, last))
        }
        Expression::Prefix(base, length) => {
            let free = u32::from(bits).checked_sub(*length).ok_or(NO_VALUE)?;
            let host = u16::try_from(free).map_or(0, all_bits);
            let base = number(base, kind, bits)? & !host;
            Ok(Span::Numbers(base, base | host))
        }
        value => match (kind, value.word()) {
            (Kind::Name, Some(word)) => Ok(name(word)),
            (Kind::InterfaceIndex | Kind::User, Some(word)) if kind.number(word).is_none() => Ok(name(word)),
            (Kind::Name, None) => match value {
                Expression::Number(number) => Ok(name(&number.to_string())),
                _ => Err(NO_VALUE),
            },
            _ => number(value, kind, bits).map(|number| Span::Numbers(number, number)),
        },
    }
}

/// A name, or with a star last what it begins with.
fn name(word: &str) -> Span {
    match (word.strip_suffix("\\*"), word.strip_suffix('*')) {
        (Some(stem), _) => Span::Name { text: format!("{stem}*"), prefix: false },
        (None, Some(stem)) => Span::Name { text: stem.to_owned(), prefix: true },
        (None, None) => Span::Name { text: word.to_owned(), prefix: false },
    }
}

/// The number that a constant expression comes to.
pub(super) fn number(value: &Expression, kind: Kind, bits: u16) -> Outcome<u128> {
    let number = match value.bare() {
        Expression::Word(word) | Expression::Quoted(word) => kind.number(word).ok_or(NO_VALUE)?,
        Expression::Number(number) => *number,
        Expression::List(values) if kind.is_flags() => {
            let mut each = values.iter().map(|value| self::number(value, kind, bits));
            each.try_fold(0, |sum, value| value.map(|value| sum | value))?
        }
        Expression::Binary(operator, both) => {
            let left = self::number(&both.0, kind, bits)?;
            let shift = matches!(operator, Operator::Left | Operator::Right);
            let right = self::number(&both.1, if shift { Kind::Integer } else { kind }, bits)?;
            let by = u32::try_from(right).unwrap_or(u32::MAX);
            match operator {
                Operator::And => left & right,
                Operator::Or => left | right,
                Operator::Xor => left ^ right,
                Operator::Left => left.checked_shl(by).unwrap_or(0) & all_bits(bits),
                Operator::Right => left.checked_shr(by).unwrap_or(0),
            }
        }
        _ => return Err(NO_VALUE),
    };
    if number > all_bits(bits) {
        return Err(Why("a number larger than its field", "数值超出字段范围"));
    }
    Ok(number)
}
