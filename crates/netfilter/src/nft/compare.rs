//! Conditions as text: an operand against a value, a mask or a range.

use super::operand::Operand;
use super::payload::of_template;
use super::set::span;
use super::symbol;
use super::value::{InterfaceNames, Kind, Order, big_bytes, number, show};

/// How an operand is compared (enum nft_cmp_ops).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) fn of(code: u32) -> Option<Comparison> {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        [Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual].get(code as usize).copied()
    }

    /// The sign, as it is written where it cannot be left out.
    fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }

    /// The sign with its spaces; equality is not written.
    fn infix(self) -> &'static str {
        match self {
            Comparison::Equal => " ",
            Comparison::NotEqual => " != ",
            Comparison::Less => " < ",
            Comparison::LessOrEqual => " <= ",
            Comparison::Greater => " > ",
            Comparison::GreaterOrEqual => " >= ",
        }
    }
}

/// Writes `ip saddr != 10.0.0.0/8` and its like.
pub(super) fn condition(
    operand: &Operand,
    how: Comparison,
    bytes: &[u8],
    interfaces: InterfaceNames<'_>,
) -> String {
    let text = &operand.text;
    if operand.kind == Kind::Boolean {
        let there = (number(bytes, Order::Host) != 0) == (how == Comparison::Equal);
        return format!("{text} {}", if there { "exists" } else { "missing" });
    }
    // Whole bytes of a prefix are compared alone.
    let shorter = |kind: Kind| kind.len().is_some_and(|len| bytes.len() < len) && !bytes.is_empty();
    let beginning = matches!(operand.kind, Kind::Ip4 | Kind::Ip6) && shorter(operand.kind);
    if let Some(prefix) = operand.prefix.or(beginning.then_some(8 * bytes.len())) {
        return format!(
            "{text}{}{}/{prefix}",
            how.infix(),
            value(operand, &padded(operand, bytes), interfaces)
        );
    }
    if let Some((mask, xor)) = &operand.mask {
        return masked(operand, mask, xor, how, bytes, interfaces);
    }
    // For sets of bits, no sign would mean "any of these".
    let flags = operand.kind.flags().is_some() && how == Comparison::Equal;
    let sign = if flags { " == " } else { how.infix() };
    let value = value(operand, bytes, interfaces);
    // All of these and nothing else, where a comma would mean any of them.
    let value = if operand.kind.flags().is_some() { value.replace(',', " | ") } else { value };
    format!("{text}{sign}{value}")
}

/// Writes `tcp dport 1000-2000`.
pub(super) fn range(
    operand: &Operand,
    negated: bool,
    first: &[u8],
    last: &[u8],
    interfaces: InterfaceNames<'_>,
) -> String {
    let sign = if negated { " != " } else { " " };
    let (first, last) = (value(operand, first, interfaces), value(operand, last, interfaces));
    format!("{}{sign}{first}-{last}", operand.text)
}

/// The value of an operand, moved into place where the operand is some bits of a byte.
pub(super) fn value(operand: &Operand, bytes: &[u8], interfaces: InterfaceNames<'_>) -> String {
    // `ct saddr` is an address of whatever family the table has.
    let kind = if operand.kind == Kind::Ip4 && bytes.len() == 16 { Kind::Ip6 } else { operand.kind };
    if operand.shift == 0 {
        return show(kind, bytes, operand.order, interfaces);
    }
    let moved = number(bytes, operand.order) >> operand.shift.min(127);
    show(kind, &big_bytes(moved, 16), Order::Big, interfaces)
}

/// The whole address of which only the beginning was given.
fn padded(operand: &Operand, bytes: &[u8]) -> Vec<u8> {
    let mut whole = bytes.to_vec();
    whole.resize(operand.kind.len().unwrap_or(bytes.len()), 0);
    whole
}

fn masked(
    operand: &Operand,
    mask: &[u8],
    xor: &[u8],
    how: Comparison,
    bytes: &[u8],
    interfaces: InterfaceNames<'_>,
) -> String {
    let text = &operand.text;
    let numbers = |bytes| number(bytes, operand.order);
    let (mask_number, wanted) = (numbers(mask), numbers(bytes));
    let plain = numbers(xor) == 0;
    if let (Some(flags), true) = (operand.kind.flags(), plain) {
        let words = |value: u128| symbol::bits(flags, u32::try_from(value).unwrap_or(u32::MAX));
        return match how {
            Comparison::NotEqual if wanted == 0 => format!("{text} {}", words(mask_number)),
            Comparison::Equal if wanted == 0 => format!("{text} ! {}", words(mask_number)),
            how => format!("{text}{}{} / {}", how.infix(), words(wanted), words(mask_number)),
        };
    }
    if let (Kind::Ip4 | Kind::Ip6, true, Some(prefix)) = (operand.kind, plain, prefix_of(mask)) {
        return format!("{text}{}{}/{prefix}", how.infix(), value(operand, bytes, interfaces));
    }
    format!("{} {} {}", combined(operand, interfaces), how.sign(), value(operand, bytes, interfaces))
}

/// The operand with its mask: `meta mark & 0x000000ff`.
pub(super) fn combined(operand: &Operand, interfaces: InterfaceNames<'_>) -> String {
    let Some((mask, xor)) = &operand.mask else { return operand.text.clone() };
    let numbers = |bytes| number(bytes, operand.order);
    let (mask_number, xor_number) = (numbers(mask), numbers(xor));
    let full = u128::MAX >> (128 - 8 * mask.len().clamp(1, 16) as u32);
    let shown = |bytes| value(operand, bytes, interfaces);
    // (x & ~v) ^ v sets the bits of v.
    if mask_number == !xor_number & full {
        return format!("{} | {}", operand.text, shown(xor));
    }
    let mut text = operand.text.clone();
    if mask_number != full {
        text = format!("{text} & {}", shown(mask));
    }
    if xor_number != 0 {
        let sign = if xor_number & mask_number == 0 { '|' } else { '^' };
        text = format!("{text} {sign} {}", shown(xor));
    }
    text
}

/// The length of the prefix a mask is, when its set bits all lead.
fn prefix_of(mask: &[u8]) -> Option<u32> {
    let bits = number(mask, Order::Big);
    let ones = bits.count_ones();
    let leading = (bits << (128 - 8 * mask.len().clamp(1, 16))).leading_ones();
    (ones == leading).then_some(ones)
}

/// The one field that a mask picks out of the bytes that were loaded.
pub(super) fn picked(operand: &Operand, mask: &[u8]) -> Option<Operand> {
    let (_, fields, at) = operand.place?;
    let bits = number(mask, Order::Big);
    let width = 8 * u32::try_from(mask.len()).ok().filter(|len| (1..=16).contains(len))?;
    let (shift, ones) = (bits.trailing_zeros(), bits.count_ones());
    let leading = (bits << (128 - width)).leading_zeros();
    // All its bits stand together.
    if ones == 0 || leading + ones + shift != width {
        return None;
    }
    let (first, len) = (at + leading as usize, ones as usize);
    let field = fields.iter().find(|field| field.at == first && field.len == len)?;
    Some(Operand { shift, ..of_template(field) })
}

/// Cuts a value that was compared with several fields at once into one condition each.
pub(super) fn split(operand: &Operand, bytes: &[u8]) -> Vec<(Operand, Vec<u8>)> {
    let Some(first) = operand.parts.first() else { return Vec::new() };
    let total = 8 * bytes.len();
    let cut = |part: &&'static super::payload::Template| {
        let begin = part.at - first.at;
        // Whole bytes only: addresses together are longer than any number.
        let aligned = begin.is_multiple_of(8) && part.len.is_multiple_of(8);
        let own = if aligned {
            bytes.get(begin / 8..(begin + part.len) / 8)?.to_vec()
        } else {
            let shift = u32::try_from(total.checked_sub(begin + part.len)?).ok()?;
            let own = number(bytes, Order::Big).checked_shr(shift)? & (u128::MAX >> (128 - part.len as u32));
            big_bytes(own, part.len.div_ceil(8))
        };
        Some((of_template(part), own))
    };
    operand.parts.iter().filter_map(cut).collect()
}

/// Writes an address or port span for translations: `10.0.0.2-10.0.0.5`, bytes in network order.
pub(super) fn address_span(kind: Kind, first: &[u8], last: &[u8], interfaces: InterfaceNames<'_>) -> String {
    let shown = |bytes: &[u8]| {
        span(kind, number(bytes, Order::Big), number(bytes, Order::Big), bytes.len().clamp(1, 16), interfaces)
    };
    if first == last { shown(first) } else { format!("{}-{}", shown(first), shown(last)) }
}

#[cfg(test)]
mod tests {
    use super::super::operand::Subject;
    use super::*;

    fn masked_operand(kind: Kind, mask: &[u8]) -> Operand {
        let mut operand = Operand::new("x", kind, Subject::Other);
        operand.mask = Some((mask.to_vec(), vec![0; mask.len()]));
        operand
    }

    fn text(operand: &Operand, how: Comparison, bytes: &[u8]) -> String {
        condition(operand, how, bytes, &|_| None)
    }

    #[test]
    fn masks_read_as_flags_prefixes_or_arithmetic() {
        let flags = masked_operand(Kind::TcpFlag, &[0x17]);
        assert_eq!(text(&flags, Comparison::Equal, &[2]), "x syn / fin,syn,rst,ack");
        assert_eq!(text(&masked_operand(Kind::TcpFlag, &[2]), Comparison::NotEqual, &[0]), "x syn");
        assert_eq!(text(&masked_operand(Kind::TcpFlag, &[2]), Comparison::Equal, &[0]), "x ! syn");
        let prefix = masked_operand(Kind::Ip4, &[255, 240, 0, 0]);
        assert_eq!(text(&prefix, Comparison::NotEqual, &[172, 16, 0, 0]), "x != 172.16.0.0/12");
        let holes = masked_operand(Kind::Ip4, &[255, 0, 255, 0]);
        assert_eq!(text(&holes, Comparison::Equal, &[10, 0, 1, 0]), "x & 255.0.255.0 == 10.0.1.0");
    }
}
