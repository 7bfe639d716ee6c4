//! From what a rule says to the tree of what it means: the same for text and JSON.

mod nat;
mod statement;
mod value;

pub(super) use nat::NatText;
pub(super) use statement::{Rate, bytes_of, object_name, resolve_object};
pub(super) use value::{Interner, LIMITED, Types};

use super::expression::{Comparison, Expression, Operator};
use super::field::{ETHER_ARP, ETHER_IP4, ETHER_IP6, Key, Needs, all_bits};
use super::kind::Kind;
use crate::netfilter::ast::{
    Element, Field, Match, Opaque, Operand, Part, SetUse, Span, TableFamily, Test, Written,
};
use crate::place;
use std::sync::Arc;

/// Why something could not be read, in English and Chinese.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Why(pub &'static str, pub &'static str);

pub(super) type Outcome<T = ()> = Result<T, Why>;

pub(super) const NO_FIELD: Why = Why("this is no field that can be compared", "这不是可以比较的字段");
pub(super) const NO_VALUE: Why = Why("this is no value of the field's type", "这不是该字段类型的值");
const NO_COMPARISON: Why = Why("these two cannot be compared so", "两者不能这样比较");

/// A rule whose parts are being worked out.
pub(super) struct Draft<'i> {
    pub family: TableFamily,
    pub parts: Vec<Part>,
    interner: &'i mut Interner,
    /// What earlier matches of the rule have settled: EtherType, transport protocol, type of ICMP.
    network: Option<u16>,
    transport: Option<u8>,
    icmp: bool,
}

/// One field of a key, with what is done to it before it is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side {
    pub operand: Operand,
    pub kind: Kind,
    pub bits: u16,
    needs: Needs,
}

impl<'i> Draft<'i> {
    /// Begins a rule, with an empty list for its parts that an earlier one may have used.
    pub fn new(family: TableFamily, interner: &'i mut Interner, parts: Vec<Part>) -> Draft<'i> {
        let network = match family {
            TableFamily::Ip => Some(ETHER_IP4),
            TableFamily::Ip6 => Some(ETHER_IP6),
            TableFamily::Arp => Some(ETHER_ARP),
            _ => None,
        };
        Draft { family, parts, interner, network, transport: None, icmp: false }
    }

    /// Adds what may do anything.
    pub fn unknown(&mut self, text: &str, why: Why) {
        self.parts.push(Part::Unknown { text: place::excerpt(text), why: place::both(why.0, why.1) });
    }

    /// Adds a match of one side with another.
    pub fn compare(&mut self, left: &Expression, how: Comparison, right: &Expression) -> Outcome {
        let negated = matches!(how, Comparison::NotEqual | Comparison::NoBit);
        let (keys, test) = if let Expression::Chain(_) = left.bare() {
            let mut sides = self.sides(left)?;
            if !matches!(how, Comparison::Implied | Comparison::Equal | Comparison::NotEqual) {
                return Err(NO_COMPARISON);
            }
            let set = self.set_use(&mut sides, right, &Types::none())?;
            (sides.iter().map(|side| side.operand).collect(), Test::In(set))
        } else {
            let mut side = side(left)?;
            self.need(side.operand.field, side.needs);
            let test = self.test_one(&mut side, how, right.bare())?;
            if !negated {
                self.settle(side.operand, &test);
            }
            (vec![side.operand], test)
        };
        self.parts.push(Part::Match(Match { keys, test, negated }));
        Ok(())
    }

    fn test_one(&mut self, side: &mut Side, how: Comparison, right: &Expression) -> Outcome<Test> {
        use Comparison::{Equal, Implied, Less, LessEqual, More, MoreEqual, NoBit, NotEqual};
        match (how, right) {
            // A set of one element is that element.
            (_, Expression::Set(items)) if items.len() == 1 && items[0].is_plain() => {
                return self.test_one(side, how, items[0].key.bare());
            }
            (Implied | Equal | NotEqual, Expression::Set(_) | Expression::Named(_)) => {
                return Ok(Test::In(self.set_use(std::slice::from_mut(side), right, &Types::none())?));
            }
            _ => {}
        }
        let range = matches!(right, Expression::Range(_) | Expression::Prefix(..));
        let of_bits = side.kind.is_flags() && side.is_plain() && !range;
        if how == NoBit && !of_bits {
            return Err(NO_COMPARISON);
        }
        if of_bits && matches!(how, Implied | NoBit) {
            return Ok(Test::AnyBit(value::number(right, side.kind, side.bits)?));
        }
        let last = all_bits(side.bits);
        let span = match how {
            Less | LessEqual | More | MoreEqual => {
                let number = value::number(right, side.kind, side.bits)?;
                let (first, last) = match how {
                    Less => (0, number.checked_sub(1)),
                    LessEqual => (0, Some(number)),
                    More if number >= last => (0, None),
                    More => (number + 1, Some(last)),
                    _ => (number, Some(last)),
                };
                // Nothing is below zero.
                let Some(last) = last else { return Ok(Test::In(SetUse::Inline(Arc::default()))) };
                Span::Numbers(first, last)
            }
            _ => value::span(right, side.kind, side.bits)?,
        };
        side.suit(std::iter::once(&span))?;
        Ok(Test::In(SetUse::Inline(self.interner.one(span, side.kind == Kind::Hour))))
    }

    /// Adds `key vmap set`.
    pub fn verdict_map(&mut self, key: &Expression, set: &Expression) -> Outcome {
        let (keys, set) = self.map(key, set, &Types::verdict())?;
        self.parts.push(Part::VerdictMap { keys, set });
        Ok(())
    }

    /// A key and what is looked up with it.
    pub fn map(
        &mut self,
        key: &Expression,
        set: &Expression,
        data: &Types,
    ) -> Outcome<(Vec<Operand>, SetUse)> {
        let mut sides = self.sides(key)?;
        let set = self.set_use(&mut sides, set, data)?;
        Ok((sides.iter().map(|side| side.operand).collect(), set))
    }

    /// A key of one or more fields, after what the packet must be for it.
    pub fn sides(&mut self, key: &Expression) -> Outcome<Vec<Side>> {
        let sides = match key.bare() {
            Expression::Chain(parts) => {
                let each = parts.iter().map(|part| match part.word().and_then(constant) {
                    Some(constant) => Ok(constant),
                    None => side(part),
                });
                each.collect::<Outcome<Vec<Side>>>()?
            }
            one => vec![side(one)?],
        };
        for side in &sides {
            self.need(side.operand.field, side.needs);
        }
        Ok(sides)
    }

    /// A set, inline or by its name, that the sides are looked up in.
    fn set_use(&mut self, sides: &mut [Side], set: &Expression, data: &Types) -> Outcome<SetUse> {
        let list = match set.bare() {
            Expression::Named(name) => {
                for side in sides {
                    side.by_name();
                }
                return Ok(SetUse::Named((*name).to_owned()));
            }
            set @ (Expression::Set(_) | Expression::Chain(_)) => set,
            _ => return Err(NO_COMPARISON),
        };
        let types = Types::of(sides.iter().map(|side| (side.kind, side.bits)));
        let elements = self.interner.elements(list, &types, data)?;
        if self.interner.limited {
            return Err(LIMITED);
        }
        for (at, side) in sides.iter_mut().enumerate() {
            side.suit(elements.iter().filter_map(|element| element.spans.get(at)))?;
        }
        Ok(SetUse::Inline(Arc::new(elements)))
    }

    /// Adds the matches for what a field implies about its packet, where the field does not say it itself.
    fn need(&mut self, field: Field, needs: Needs) {
        if matches!(needs.ether, ETHER_IP4 | ETHER_IP6 | ETHER_ARP) && self.network.is_none() {
            if !carries_network(field) {
                self.require_network(needs.ether);
            }
            self.network = Some(needs.ether);
        }
        if !needs.types.is_empty() && !self.icmp {
            let field = if needs.ether == ETHER_IP6 { Field::Icmp6Type } else { Field::IcmpType };
            let spans = needs.types.iter().map(|number| u128::from(*number));
            let elements = spans.map(|number| Element::of(Span::Numbers(number, number))).collect();
            let test = Test::In(SetUse::Inline(Arc::new(elements)));
            self.parts.push(Part::Match(Match { keys: vec![Operand::plain(field)], test, negated: false }));
            (self.icmp, self.transport) = (true, needs.protocol);
        }
        if let Some(protocol) = needs.protocol
            && self.transport != Some(protocol)
        {
            if !carries_transport(field) {
                self.parts.push(equals(Field::Protocol, u128::from(protocol)));
            }
            self.transport = Some(protocol);
        }
    }

    fn require_network(&mut self, ether: u16) {
        self.parts.push(match (self.family, ether) {
            (TableFamily::Inet, ETHER_IP4) => equals(Field::NfProto, 2),
            (TableFamily::Inet, ETHER_IP6) => equals(Field::NfProto, 10),
            _ => equals(Field::EtherType, u128::from(ether)),
        });
    }

    /// Only packets of this family go on: 4 or 6.
    pub fn require_family(&mut self, family: u8) {
        let ether = if family == 6 { ETHER_IP6 } else { ETHER_IP4 };
        if self.network.is_none() {
            self.require_network(ether);
            self.network = Some(ether);
        }
    }

    /// Only packets of this transport protocol go on.
    pub fn require_transport(&mut self, protocol: u8) {
        self.need(Field::Protocol, Needs { protocol: Some(protocol), ..Needs::default() });
    }

    /// Takes note of what a match settles for those behind it.
    fn settle(&mut self, operand: Operand, test: &Test) {
        if matches!(operand.field, Field::IcmpType | Field::Icmp6Type) {
            self.icmp = true;
        }
        let Test::In(SetUse::Inline(elements)) = test else { return };
        let [Element { spans, .. }] = elements.as_slice() else { return };
        let [Span::Numbers(first, last)] = spans.as_slice() else { return };
        if first != last || !operand.is_plain() {
            return;
        }
        match (operand.field, *first) {
            (Field::NfProto, 2) => self.network = Some(ETHER_IP4),
            (Field::NfProto, 10) => self.network = Some(ETHER_IP6),
            (Field::EtherType, ether) => self.network = u16::try_from(ether).ok(),
            (Field::Protocol | Field::Ip4Protocol | Field::Ip6NextHeader, protocol) => {
                self.transport = u8::try_from(protocol).ok();
            }
            _ => {}
        }
    }

    /// Adds the new value of a field.
    pub fn write(&mut self, key: Key, new: &Expression) -> Outcome {
        self.need(key.field, key.needs);
        let value = match new.bare() {
            Expression::Map(map) => {
                let (keys, set) = self.map(&map.0, &map.1, &Types::of([(key.kind, key.bits)]))?;
                Written::Map { keys, set }
            }
            Expression::Field(_) | Expression::Binary(..) => self.written(key, new)?,
            constant => match (value::number(constant, key.kind, key.bits), key.field) {
                (Err(_), Field::Opaque(_)) => Written::Unknown,
                (number, _) => Written::Value(number?),
            },
        };
        self.parts.push(Part::Write { field: key.field, value });
        Ok(())
    }

    fn written(&mut self, key: Key, new: &Expression) -> Outcome<Written> {
        if let Ok(constant) = value::number(new, key.kind, key.bits) {
            return Ok(Written::Value(constant));
        }
        let Ok(sides) = self.sides(new) else { return Ok(Written::Unknown) };
        let [Side { operand, .. }] = sides.as_slice() else { return Err(NO_VALUE) };
        if operand.field == key.field && operand.shift == 0 {
            let and = operand.mask.unwrap_or(u128::MAX) & all_bits(key.bits);
            return Ok(Written::Masked { and, xor: operand.xor });
        }
        Ok(Written::Of(*operand))
    }
}

impl Side {
    fn is_plain(&self) -> bool {
        self.operand.is_plain()
    }

    /// A number of an interface that is written by its name is compared by its name.
    fn by_name(&mut self) {
        self.operand.field = match self.operand.field {
            Field::InputInterfaceIndex => Field::InputInterface,
            Field::OutputInterfaceIndex => Field::OutputInterface,
            field => field,
        };
    }

    /// Suits the field to the values it is compared with.
    fn suit<'s>(&mut self, mut spans: impl Iterator<Item = &'s Span> + Clone) -> Outcome {
        let name = |span: &Span| matches!(span, Span::Name { text, prefix } if !(*prefix && text.is_empty()));
        match self.operand.field {
            Field::InputInterfaceIndex | Field::OutputInterfaceIndex if spans.clone().any(name) => {
                if !spans.all(|span| matches!(span, Span::Name { .. })) {
                    return Err(NO_VALUE);
                }
                self.by_name();
            }
            // Any other number than 0 is one interface's and not "there is one".
            Field::ReversePath if !spans.all(|span| matches!(span, Span::Numbers(0 | 1, 0 | 1))) => {
                self.operand.field = Field::Opaque(Opaque::Fib);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A field with the operations on its bits.
fn side(expression: &Expression) -> Outcome<Side> {
    match expression.bare() {
        Expression::Field(key) => {
            let operand = Operand::plain(key.field);
            Ok(Side { operand, kind: key.kind, bits: key.bits, needs: key.needs })
        }
        Expression::Binary(operator, both) => {
            let mut side = side(&both.0)?;
            let constant = match operator {
                Operator::Left | Operator::Right => value::number(&both.1, Kind::Integer, 8)?,
                _ => value::number(&both.1, side.kind, side.bits.max(32))?,
            };
            side.operand = operate(side, *operator, constant)?;
            Ok(side)
        }
        _ => Err(NO_FIELD),
    }
}

/// A constant in a key: `add @knocked { ip saddr . 10002 }`.
fn constant(word: &str) -> Option<Side> {
    let kinds = [Kind::Integer, Kind::Ip4, Kind::Ip6, Kind::Ether, Kind::Service, Kind::Protocol];
    let (kind, number) = kinds.iter().find_map(|kind| Some((*kind, kind.number(word)?)))?;
    let operand = Operand { xor: number, ..Operand::plain(Field::Zero) };
    Some(Side { operand, kind, bits: kind.bits(), needs: Needs::default() })
}

/// One more operation on a field: what was masked, turned and shifted stays of that form.
fn operate(side: Side, operator: Operator, constant: u128) -> Outcome<Operand> {
    const NO_FORM: Why = Why("these operations on bits are not modelled", "未建模的位运算");
    let mut operand = side.operand;
    let all = all_bits(side.bits.max(32));
    // The constant, moved to where the bits were before they were shifted.
    let moved = match u32::from(operand.shift.unsigned_abs()) {
        0 => constant,
        by if operand.shift < 0 => constant.checked_shl(by).unwrap_or(0) & all,
        by => {
            let low = constant & all_bits(u16::from(operand.shift.unsigned_abs()));
            if low != 0 && operator != Operator::And {
                return Err(NO_FORM);
            }
            constant >> by
        }
    };
    let mask = operand.mask.unwrap_or(all);
    match operator {
        Operator::And => {
            operand.mask = Some(mask & moved);
            operand.xor &= moved;
        }
        Operator::Or => {
            operand.mask = Some(mask & !moved);
            operand.xor = operand.xor & !moved | moved;
        }
        Operator::Xor => operand.xor ^= moved,
        Operator::Left | Operator::Right => {
            let by =
                i8::try_from(constant).ok().filter(|by| *by < 64 && operand.shift == 0).ok_or(NO_FORM)?;
            if operator == Operator::Left {
                operand.mask = Some(mask & all >> by);
                operand.xor &= all >> by;
            }
            operand.shift = if operator == Operator::Left { by } else { -by };
        }
    }
    Ok(operand)
}

/// Whether a packet of another network protocol has no such field.
fn carries_network(field: Field) -> bool {
    use Field::*;
    matches!(
        field,
        Ip4Source
            | Ip4Destination
            | Ip6Source
            | Ip6Destination
            | Ip4Protocol
            | Ip6NextHeader
            | Ip4Length
            | Ip4Ttl
            | Ip4Dscp
            | Ip4Ecn
            | Ip4Id
            | Ip4FragmentOffset
            | Ip6HopLimit
            | Ip6Dscp
            | Ip6FlowLabel
            | Ip6Length
            | Ip6ExtensionPresent(_)
            | Ip6Extension { .. }
    )
}

/// Whether a packet of another transport protocol has no such field.
fn carries_transport(field: Field) -> bool {
    use Field::*;
    matches!(
        field,
        TcpSource
            | TcpDestination
            | UdpSource
            | UdpDestination
            | TcpFlags
            | TcpSequence
            | TcpAcknowledgment
            | TcpWindow
            | UdpLength
            | IcmpType
            | IcmpCode
            | Icmp6Type
            | Icmp6Code
    )
}

/// The match that a field has one value.
pub(super) fn equals(field: Field, value: u128) -> Part {
    let elements = vec![Element::of(Span::Numbers(value, value))];
    let test = Test::In(SetUse::Inline(Arc::new(elements)));
    Part::Match(Match { keys: vec![Operand::plain(field)], test, negated: false })
}
