//! Numbers and addresses out of words, without a branch a byte.
//!
//! All take a word as `text[from..to]` inside a longer text, and read beyond its ends where the text goes on, so that
//! eight or sixteen bytes are looked at together. Each accepts exactly what the slow way would: see the tests.

use crate::Address;
use std::net::IpAddr;

/// Bytes that should lie before and behind a word; a word without them is read the slow way.
pub const PAD_BYTES: usize = 16;

const EIGHT_ZEROS: u64 = 0x3030_3030_3030_3030;
const FOUR_ZEROS: u32 = 0x3030_3030;
/// The least number that an octet of so many digits may be: what is below was written with a leading zero.
const OCTET_MIN: [u32; 4] = [0, 0, 10, 100];

/// Reads a decimal number of 1 to 20 digits and nothing else.
#[inline(always)]
pub fn decimal(text: &[u8], from: usize, to: usize) -> Option<u64> {
    let digits = to.wrapping_sub(from);
    if digits.wrapping_sub(1) < 8 {
        return eight(text, to, digits);
    }
    if digits.wrapping_sub(9) < 8 {
        let low = eight(text, to, 8)?;
        return Some(eight(text, to - 8, digits - 8)? * 100_000_000 + low);
    }
    long_decimal(text.get(from..to)?)
}

/// Reads the `digits` (1 to 8) digits before `to`.
#[inline(always)]
fn eight(text: &[u8], to: usize, digits: usize) -> Option<u64> {
    let Some(word) = to.checked_sub(8).and_then(|from| text.get(from..to)) else {
        return long_decimal(text.get(to.checked_sub(digits)?..to)?);
    };
    let word = u64::from_le_bytes(word.try_into().ok()?);
    let before = 64 - 8 * digits as u32;
    let digits = ((word ^ EIGHT_ZEROS) >> before) << before;
    if (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(2561) >> 8;
    let fours = (pairs & 0x00ff_00ff_00ff_00ff).wrapping_mul(6_553_601) >> 16;
    Some((fours & 0x0000_ffff_0000_ffff).wrapping_mul(42_949_672_960_001) >> 32)
}

#[cold]
fn long_decimal(word: &[u8]) -> Option<u64> {
    if word.is_empty() || word.len() > 20 {
        return None;
    }
    word.iter().try_fold(0u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

/// Reads an IPv4 or IPv6 address.
#[inline(always)]
pub fn address(text: &[u8], from: usize, to: usize) -> Option<Address> {
    match dotted(text, from, to) {
        Some(number) => Some(Address::v4(number)),
        None => any_address(text.get(from..to)?),
    }
}

#[cold]
fn any_address(word: &[u8]) -> Option<Address> {
    let address: IpAddr = std::str::from_utf8(word).ok()?.parse().ok()?;
    Some(address.into())
}

/// Reads a dotted quad; nothing where it is none, or where too little text lies around it.
#[inline(always)]
fn dotted(text: &[u8], from: usize, to: usize) -> Option<u32> {
    let length = to.wrapping_sub(from);
    if length.wrapping_sub(7) > 8 || from < PAD_BYTES {
        return None;
    }
    let (dots, digits) = dots_and_digits(text[from..].first_chunk::<16>()?);
    let inside = (1u32 << length) - 1;
    let first = dots & inside;
    let second = first & first.wrapping_sub(1);
    let third = second & second.wrapping_sub(1);
    let three_dots = third != 0 && third & (third - 1) == 0;
    if !three_dots || (dots | digits) & inside != inside {
        return None;
    }
    let ends = [first.trailing_zeros(), second.trailing_zeros(), third.trailing_zeros(), length as u32];
    let lengths = [ends[0], ends[1] - ends[0] - 1, ends[2] - ends[1] - 1, ends[3] - ends[2] - 1];
    let (mut number, mut wrong) = (0u32, false);
    for (end, length) in ends.iter().zip(lengths) {
        wrong |= length.wrapping_sub(1) > 2;
        let end = from + *end as usize;
        let word = u32::from_le_bytes(*text[end - 4..].first_chunk::<4>()?);
        let before = 8 * (4 - length % 4);
        let digits = (u64::from(word ^ FOUR_ZEROS) >> before << before) as u32;
        let octet = (digits >> 24) + 10 * (digits >> 16 & 255) + 100 * (digits >> 8 & 255);
        wrong |= octet > 255 || octet < OCTET_MIN[length as usize % 4];
        number = number << 8 | octet & 255;
    }
    if wrong { None } else { Some(number) }
}

/// A bit for every dot and for every digit.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn dots_and_digits(bytes: &[u8; 16]) -> (u32, u32) {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_set1_epi8, _mm_sub_epi8};
    // SAFETY: every x86-64 processor has SSE2, and none of these reads memory.
    unsafe {
        let bytes = vector(bytes);
        let dots = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'.' as i8));
        let values = _mm_sub_epi8(bytes, _mm_set1_epi8(b'0' as i8));
        let digits = _mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values);
        (_mm_movemask_epi8(dots) as u32, _mm_movemask_epi8(digits) as u32)
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn dots_and_digits(bytes: &[u8; 16]) -> (u32, u32) {
    bytes.iter().enumerate().fold((0, 0), |(dots, digits), (bit, byte)| {
        (dots | u32::from(*byte == b'.') << bit, digits | u32::from(byte.is_ascii_digit()) << bit)
    })
}

/// Sixteen bytes as a vector; the compiler makes one load of it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn vector(bytes: &[u8; 16]) -> std::arch::x86_64::__m128i {
    let number = u128::from_le_bytes(*bytes);
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { std::arch::x86_64::_mm_set_epi64x((number >> 64) as i64, number as i64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    /// The word in the middle of a text full of what could mislead.
    fn around(word: &str) -> (Vec<u8>, usize, usize) {
        let text = format!("1234567.9.12345 {word} 1.2.3.4567890123");
        (text.into_bytes(), 16, 16 + word.len())
    }

    fn slow(word: &str) -> Option<u64> {
        word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten()
    }

    proptest! {
        #[test]
        fn decimals_are_what_the_library_reads(word in "[0-9]{1,20}|[0-9x:/. -]{1,12}|18446744073709551[56][0-9]{2}") {
            let (text, from, to) = around(&word);
            prop_assert_eq!(decimal(&text, from, to), slow(&word));
            prop_assert_eq!(decimal(word.as_bytes(), 0, word.len()), slow(&word));
        }

        #[test]
        fn quads_are_what_the_library_reads(
            word in "[0-9]{1,3}(\\.[0-9]{1,3}){2,4}|[0-9.]{7,15}|[0-9]{1,3}\\.[0-9x/:]{1,4}\\.[0-9]{1,3}\\.[0-9]{1,3}",
        ) {
            let (text, from, to) = around(&word);
            let right = word.parse::<Ipv4Addr>().ok().map(|address| address.to_bits());
            prop_assert_eq!(dotted(&text, from, to), right);
        }

        #[test]
        fn addresses_are_read_again(number: u128) {
            let address = Address(number);
            let word = IpAddr::from(address).to_string();
            let (text, from, to) = around(&word);
            prop_assert_eq!(super::address(&text, from, to), Some(address));
        }
    }
}
