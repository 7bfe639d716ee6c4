//! Translation of addresses and ports.

use super::value::{self, Types};
use super::{Draft, Outcome, Why};
use crate::netfilter::ast::{Data, Nat, NatKind, NatMap, Part, SetUse, Span, TableFamily};
use crate::netfilter::nft::expression::Expression;
use crate::netfilter::nft::kind::Kind;
use std::sync::Arc;

const NOT_MODELLED: Why = Why("such a target of a translation is not modelled", "未建模的转换目标");

/// A translation as written.
pub(in crate::netfilter::nft) struct NatText<'a> {
    pub kind: NatKind,
    /// 4 or 6, when it says so.
    pub family: Option<u8>,
    pub address: Option<Expression<'a>>,
    pub port: Option<Expression<'a>>,
    /// `prefix to`: the host part is kept.
    pub prefix: bool,
}

impl Draft<'_> {
    /// Adds a translation.
    pub fn nat(&mut self, text: &NatText) -> Outcome {
        let both_families = !matches!(self.family, TableFamily::Ip | TableFamily::Ip6);
        let kind = if text.prefix { NatKind::Netmap } else { text.kind };
        let mut nat = Nat { kind, addresses: None, ports: None, map: None, family: None };
        let mut family = text.family;
        let by_table = if self.family == TableFamily::Ip6 { 6 } else { 4 };
        match text.address.as_ref().map(Expression::bare) {
            None => {}
            Some(Expression::Map(map)) => {
                let map = self.nat_map(&map.0, &map.1, text.family.unwrap_or(by_table), true)?;
                family = family.or(family_of(&map.set));
                nat.map = Some(Box::new(map));
            }
            Some(Expression::Chain(parts)) if parts.len() == 2 && text.port.is_none() => {
                nat.addresses = Some(address(&parts[0])?);
                nat.ports = Some(port(&parts[1])?);
                family = family.or(Some(family_written(&parts[0])));
            }
            Some(fixed) => {
                nat.addresses = Some(address(fixed)?);
                family = family.or(Some(family_written(fixed)));
            }
        }
        match text.port.as_ref().map(Expression::bare) {
            None => {}
            Some(Expression::Map(map)) if nat.map.is_none() => {
                nat.map = Some(Box::new(self.nat_map(&map.0, &map.1, 4, false)?));
            }
            Some(Expression::Map(_)) => return Err(NOT_MODELLED),
            Some(fixed) => nat.ports = Some(port(fixed)?),
        }
        nat.family = family.filter(|_| both_families);
        self.parts.push(Part::Nat(nat));
        Ok(())
    }

    fn nat_map(&mut self, key: &Expression, set: &Expression, family: u8, address: bool) -> Outcome<NatMap> {
        let port = (Kind::Service, 16);
        if let Expression::Named(_) = set.bare() {
            let (keys, set) = self.map(key, set, &Types::none())?;
            return Ok(NatMap { keys, set, gives_address: address, gives_port: !address });
        }
        if !address {
            let (keys, set) = self.map(key, set, &Types::of([port]))?;
            return Ok(NatMap { keys, set, gives_address: false, gives_port: true });
        }
        let first = match set.bare() {
            Expression::Set(items) => items.iter().find_map(|item| item.data.as_ref()),
            _ => None,
        };
        let (with_port, written) = match first.map(Expression::bare) {
            Some(Expression::Chain(parts)) if parts.len() == 2 => (true, family_written(&parts[0])),
            Some(one) => (false, family_written(one)),
            None => (false, family),
        };
        let kind = if written == 6 { Kind::Ip6 } else { Kind::Ip4 };
        let mut fields = vec![(kind, kind.bits())];
        if with_port {
            fields.push(port);
        }
        let (keys, set) = self.map(key, set, &Types { fields })?;
        Ok(NatMap { keys, set, gives_address: true, gives_port: with_port })
    }

    /// Adds an element's worth of keys to a set: `update @set { ip saddr timeout 1m }`.
    pub fn update(
        &mut self,
        set: &str,
        kind: crate::netfilter::ast::UpdateKind,
        key: &Expression,
        also: Vec<Part>,
    ) -> Outcome {
        let mut sides = self.sides(key)?;
        for side in &mut sides {
            side.by_name();
        }
        let keys = sides.iter().map(|side| side.operand).collect();
        self.parts.push(Part::Update { set: set.to_owned(), kind, keys, also });
        Ok(())
    }

    /// Adds that only what a named map has an entry for goes on: it names counters, limits or quotas.
    pub fn only_entries(&mut self, key: &Expression, map: &Expression) -> Outcome {
        let (keys, set) = match map.bare() {
            Expression::Named(_) => self.map(key, map, &Types::none())?,
            _ => {
                let mut sides = self.sides(key)?;
                let types = Types::of(sides.iter().map(|side| (side.kind, side.bits)));
                let mut found = self.interner.elements(map, &types, &Types::of([(Kind::Name, 128)]))?;
                for element in &mut found {
                    element.data = None;
                }
                for (at, side) in sides.iter_mut().enumerate() {
                    side.suit(found.iter().filter_map(|element| element.spans.get(at)))?;
                }
                let keys = sides.iter().map(|side| side.operand).collect();
                (keys, SetUse::Inline(Arc::new(found)))
            }
        };
        let test = crate::netfilter::ast::Test::In(set);
        self.parts.push(Part::Match(crate::netfilter::ast::Match { keys, test, negated: false }));
        Ok(())
    }
}

/// 4 or 6, as an address is written.
fn family_written(address: &Expression) -> u8 {
    match address.bare() {
        Expression::Range(both) => family_written(&both.0),
        Expression::Prefix(base, _) => family_written(base),
        one => {
            if one.word().is_some_and(|word| word.contains(':')) { 6 } else { 4 }
        }
    }
}

fn family_of(set: &SetUse) -> Option<u8> {
    let SetUse::Inline(elements) = set else { return None };
    let Some(Data::Values(spans)) = &elements.first()?.data else { return None };
    match spans.first()? {
        Span::Numbers(first, _) => Some(if *first > u128::from(u32::MAX) { 6 } else { 4 }),
        Span::Name { .. } => None,
    }
}

fn address(value: &Expression) -> Outcome<(u128, u128)> {
    let kind = if family_written(value) == 6 { Kind::Ip6 } else { Kind::Ip4 };
    match value::span(value, kind, kind.bits()) {
        Ok(Span::Numbers(first, last)) => Ok((first, last)),
        Ok(Span::Name { .. }) => Err(NOT_MODELLED),
        Err(_) if matches!(value, Expression::Field(_) | Expression::Binary(..)) => Err(NOT_MODELLED),
        Err(why) => Err(why),
    }
}

fn port(value: &Expression) -> Outcome<(u16, u16)> {
    match value::span(value, Kind::Service, 16) {
        Ok(Span::Numbers(first, last)) => match (u16::try_from(first), u16::try_from(last)) {
            (Ok(first), Ok(last)) => Ok((first, last)),
            _ => Err(NOT_MODELLED),
        },
        Ok(Span::Name { .. }) => Err(NOT_MODELLED),
        Err(_) if matches!(value, Expression::Field(_) | Expression::Binary(..)) => Err(NOT_MODELLED),
        Err(why) => Err(why),
    }
}
