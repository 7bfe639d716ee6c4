//! HTML's character references, as far as firewalls decode them.

/// The named ones that ModSecurity knows.
const NAMED: &[(&str, u8)] = &[("quot", b'"'), ("amp", b'&'), ("lt", b'<'), ("gt", b'>'), ("nbsp", 0xa0)];
/// `&#nn;`, `&#xhh;` and the named ones, with or without the semicolon.
pub fn decode(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        let reference = (*byte == b'&').then(|| value.get(at + 1..).and_then(reference)).flatten();
        match reference {
            Some((decoded, length)) => {
                out.push(decoded);
                at += 1 + length;
                at += usize::from(value.get(at) == Some(&b';'));
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// The byte that a reference stands for, and its length after the ampersand.
fn reference(after: &[u8]) -> Option<(u8, usize)> {
    match after {
        [b'#', b'x' | b'X', rest @ ..] => number(rest, 16).map(|(byte, length)| (byte, length + 2)),
        [b'#', rest @ ..] => number(rest, 10).map(|(byte, length)| (byte, length + 1)),
        _ => {
            let length = after.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            let name = &after[..length];
            let known = NAMED.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
            known.map(|(_, byte)| (*byte, length))
        }
    }
}

fn number(digits: &[u8], radix: u32) -> Option<(u8, usize)> {
    let of = |byte: &u8| char::from(*byte).to_digit(radix);
    let length = digits.iter().take_while(|byte| of(byte).is_some()).count();
    // As C's strtol, which stops at the largest number.
    let add = |sum: i64, digit| sum.saturating_mul(i64::from(radix)).saturating_add(i64::from(digit));
    let number = digits[..length].iter().filter_map(of).fold(0, add);
    (length > 0).then_some(((number & 0xff) as u8, length))
}
