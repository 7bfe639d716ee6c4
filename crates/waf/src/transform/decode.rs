//! Decoders, lenient in just the way that ModSecurity's are: what is no escape stays as it is.

fn hex_digit(byte: Option<&u8>) -> Option<u8> {
    byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
}

fn hex_pair(value: &[u8], at: usize) -> Option<u8> {
    Some(hex_digit(value.get(at))? << 4 | hex_digit(value.get(at + 1))?)
}

/// `%xx` and `+`.
pub fn url(value: &[u8]) -> Vec<u8> {
    url_checked(value).0
}

/// The same, and whether every escape was valid.
pub fn url_checked(value: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(value.len());
    let mut valid = true;
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        match (byte, hex_pair(value, at + 1)) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                at += 2;
            }
            (b'%', None) => {
                valid = false;
                out.push(b'%');
            }
            (b'+', _) => out.push(b' '),
            (other, _) => out.push(*other),
        }
        at += 1;
    }
    (out, valid)
}

/// `%xx`, `+` and `%uxxxx`; of the latter the low byte, full-width letters becoming ASCII.
pub fn url_unicode(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        let wide = (*byte == b'%' && matches!(value.get(at + 1), Some(b'u' | b'U')))
            .then(|| Some((hex_pair(value, at + 2)?, hex_pair(value, at + 4)?)))
            .flatten();
        match (byte, wide, hex_pair(value, at + 1)) {
            (_, Some((high, low)), _) => {
                out.push(narrow(high, low));
                at += 5;
            }
            (b'%', None, Some(decoded)) => {
                out.push(decoded);
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (other, ..) => out.push(*other),
        }
        at += 1;
    }
    out
}

/// The byte that a wide character becomes: full-width forms (U+FF01 to U+FF5E) are their ASCII.
fn narrow(high: u8, low: u8) -> u8 {
    match (high, low) {
        (0xff, 0x01..=0x5e) => low + 0x20,
        _ => low,
    }
}

pub fn url_encode(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for byte in value {
        match byte {
            b' ' => out.push(b'+'),
            b'*' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(*byte),
            other => out.extend(format!("%{other:02x}").bytes()),
        }
    }
    out
}

pub fn hex(value: &[u8]) -> Vec<u8> {
    (0..value.len() / 2).map(|pair| hex_pair(value, pair * 2).unwrap_or(0)).collect()
}

pub fn hex_encode(value: &[u8]) -> Vec<u8> {
    value.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

/// `0x4142` anywhere in the value.
pub fn sql_hex(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        if *byte == b'0'
            && matches!(value.get(at + 1), Some(b'x' | b'X'))
            && hex_pair(value, at + 2).is_some()
        {
            at += 2;
            while let Some(decoded) = hex_pair(value, at) {
                out.push(decoded);
                at += 2;
            }
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    out
}

/// Base 64 as far as it goes; the lenient form skips what is no digit of it.
pub fn base64(value: &[u8], lenient: bool) -> Vec<u8> {
    let (mut out, mut bits, mut count) = (Vec::with_capacity(value.len()), 0u32, 0u32);
    for byte in value {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'\r' | b'\n' => continue,
            _ if lenient => continue,
            _ => break,
        };
        bits = (bits << 6 | u32::from(digit)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    out
}

pub fn base64_encode(value: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::with_capacity(value.len() * 4 / 3 + 4);
    for chunk in value.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at > chunk.len() { b'=' } else { digit });
        }
    }
    out
}

/// The letters after a backslash that mean one control character.
fn control(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        _ => return None,
    })
}

/// Up to `most` digits of an octal number, and how many there were.
fn octal(value: &[u8], at: usize, most: usize) -> (u32, usize) {
    let digits = value.iter().skip(at).take(most).take_while(|byte| matches!(byte, b'0'..=b'7'));
    digits.fold((0, 0), |(number, count), digit| (number * 8 + u32::from(digit - b'0'), count + 1))
}

/// JavaScript's escapes: `\uHHHH`, `\xHH`, octal, `\n`; any other character stands for itself.
pub fn javascript(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        let Some(next) = value.get(at + 1).filter(|_| *byte == b'\\') else {
            out.push(*byte);
            at += 1;
            continue;
        };
        if let (b'u', Some(high), Some(low)) = (next, hex_pair(value, at + 2), hex_pair(value, at + 4)) {
            out.push(narrow(high, low));
            at += 6;
        } else if let (b'x', Some(decoded)) = (next, hex_pair(value, at + 2)) {
            out.push(decoded);
            at += 4;
        } else if matches!(next, b'0'..=b'7') {
            // Three digits only where they stay within a byte.
            let most = if *next > b'3' { 2 } else { 3 };
            let (number, count) = octal(value, at + 1, most);
            out.push((number & 0xff) as u8);
            at += 1 + count;
        } else {
            out.push(control(*next).unwrap_or(*next));
            at += 2;
        }
    }
    out
}

/// ANSI C's escapes; what is none stays, backslash and all.
pub fn escape_sequences(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        let next = value.get(at + 1).copied().filter(|_| *byte == b'\\');
        match next {
            Some(b'x' | b'X') if hex_pair(value, at + 2).is_some() => {
                out.extend(hex_pair(value, at + 2));
                at += 4;
            }
            Some(b'0'..=b'7') => {
                let (number, count) = octal(value, at + 1, 3);
                out.push((number & 0xff) as u8);
                at += 1 + count;
            }
            Some(letter) if control(letter).is_some() => {
                out.extend(control(letter));
                at += 2;
            }
            Some(mark @ (b'\\' | b'?' | b'\'' | b'"')) => {
                out.push(mark);
                at += 2;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// The escapes of style sheets: up to six hex digits (the last two count), one blank after them.
pub fn css(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        at += 1;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let digits = value.iter().skip(at).take(6).take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits > 0 {
            out.push(css_character(&value[at..at + digits]));
            at += digits;
            at += usize::from(value.get(at).is_some_and(|byte| super::is_blank(*byte)));
        } else if value.get(at) == Some(&b'\n') {
            at += 1;
        } else if let Some(other) = value.get(at) {
            out.push(*other);
            at += 1;
        }
    }
    out
}

fn css_character(digits: &[u8]) -> u8 {
    let low = digits.len().saturating_sub(2);
    let byte = if digits.len() == 1 {
        hex_digit(digits.first()).unwrap_or(0)
    } else {
        hex_pair(digits, low).unwrap_or(0)
    };
    let lead = digits.get(..low).unwrap_or_default();
    let full_width = lead.len() >= 2
        && lead[lead.len() - 2..].eq_ignore_ascii_case(b"ff")
        && lead[..lead.len() - 2].iter().all(|digit| *digit == b'0');
    if full_width { narrow(0xff, byte) } else { byte }
}

/// Characters beyond ASCII as `%uxxxx`.
pub fn utf8_to_unicode(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\0'..='\x7f' => out.push(character as u8),
                wide => out.extend(format!("%u{:04x}", u32::from(wide)).bytes()),
            }
        }
        out.extend(chunk.invalid());
    }
    out
}
