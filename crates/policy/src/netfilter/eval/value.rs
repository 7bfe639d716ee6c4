//! Values of which bits may be unknown.

use crate::netfilter::ast::Operand;

/// A number of which the bits in `unknown` are not known (and 0 in `bits`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bits {
    pub bits: u128,
    pub unknown: u128,
}

/// What a packet has of a field; `None` when it has no such field.
pub type Value = Option<Bits>;

impl Bits {
    pub const UNKNOWN: Bits = Bits { bits: 0, unknown: u128::MAX };

    pub const fn of(bits: u128) -> Bits {
        Bits { bits, unknown: 0 }
    }

    pub fn known(self) -> Option<u128> {
        (self.unknown == 0).then_some(self.bits)
    }

    /// The operand's arithmetic.
    pub fn under(self, operand: &Operand) -> Bits {
        let mask = operand.mask.unwrap_or(u128::MAX);
        let shifted = |number: u128| match operand.shift {
            0 => number,
            left @ 1.. => number << u32::from(left.unsigned_abs()).min(127),
            right => number >> u32::from(right.unsigned_abs()).min(127),
        };
        let unknown = self.unknown & mask;
        Bits { bits: shifted(((self.bits & mask) ^ operand.xor) & !unknown), unknown: shifted(unknown) }
    }

    /// What it is when another value may stand there instead.
    pub fn or(self, other: Bits) -> Bits {
        let unknown = self.unknown | other.unknown | (self.bits ^ other.bits);
        Bits { bits: self.bits & !unknown, unknown }
    }
}

/// A value that is known, or not known as a whole.
pub fn known_or_not<T: Into<u128>>(number: Option<T>) -> Value {
    Some(number.map_or(Bits::UNKNOWN, |number| Bits::of(number.into())))
}

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    No,
    Maybe,
    Yes,
}

impl Truth {
    pub fn negated(self, negated: bool) -> Truth {
        match (self, negated) {
            (Truth::Yes, true) => Truth::No,
            (Truth::No, true) => Truth::Yes,
            (truth, _) => truth,
        }
    }
}

/// The name of an interface as the number that its sixteen bytes are.
pub fn name_number(name: &str) -> u128 {
    name.bytes()
        .take(15)
        .enumerate()
        .fold(0, |number, (at, byte)| number | u128::from(byte) << (120 - 8 * at))
}

/// Every name that begins so, from first to last.
pub fn name_span(name: &str, prefix: bool) -> (u128, u128) {
    let first = name_number(name);
    let last = if prefix {
        first | u128::MAX.checked_shr(8 * name.len().min(16) as u32).unwrap_or(0)
    } else {
        first
    };
    (first, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_numbers_in_which_a_pattern_is_a_range() {
        let (first, last) = name_span("eth", true);
        let within = |name| (first..=last).contains(&name_number(name));
        assert!(within("eth0") && within("eth") && !within("eti") && !within("lo"));
        assert_eq!(name_span("", true), (0, u128::MAX));
    }
}
