//! Taking the text of a log line apart: quoted words, addresses, values behind their names.

use crate::record::Address;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// How many words of one line are looked at in search of an address.
const WORD_COUNT_MAX: usize = 400;

/// Reads a quoted text at the beginning: what is inside, escapes as they stand, and what follows.
pub fn quoted(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((&inside[..at], &inside[at + 1..])),
            _ => {}
        }
    }
    None
}

/// Splits at the first space, spaces around left out.
pub fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(' ');
    text.split_once(' ').unwrap_or((text, ""))
}

/// Reads an address with or without a port: `1.2.3.4`, `1.2.3.4:22`, `[::1]:22`, `::ffff:1.2.3.4`.
pub fn address(word: &str) -> Option<(Address, u16)> {
    let first = *word.as_bytes().first()?;
    if !(first.is_ascii_hexdigit() || first == b':' || first == b'[') || word.len() > 64 {
        return None;
    }
    if let Some(v4) = v4(word) {
        return Some((Address::from(IpAddr::V4(v4)), 0));
    }
    if let Ok(socket) = word.parse::<SocketAddr>() {
        return Some((Address::from(socket.ip().to_canonical()), socket.port()));
    }
    // OpenSSH writes brackets around IPv4, too: `[192.0.2.7]:22`.
    let (bare, port) = match word.strip_prefix('[').and_then(|word| word.split_once(']')) {
        Some((inside, "")) => (inside, 0),
        Some((inside, rest)) => (inside, rest.strip_prefix(':')?.parse().ok()?),
        None => (word, 0),
    };
    if let Some(v4) = v4(bare) {
        return Some((Address::from(IpAddr::V4(v4)), port));
    }
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    if !bare.contains(':') {
        return None;
    }
    bare.parse::<IpAddr>().ok().map(|address| (Address::from(address.to_canonical()), port))
}

/// The standard library's reader, at the speed that an access log wants.
fn v4(word: &str) -> Option<Ipv4Addr> {
    let (mut number, mut octet, mut digits, mut dots) = (0u32, 0u32, 0, 0);
    for byte in word.bytes() {
        match byte {
            b'0'..=b'9' if digits < 3 => {
                octet = octet * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && dots < 3 && octet < 256 => {
                (number, octet, digits, dots) = (number << 8 | octet, 0, 0, dots + 1);
            }
            _ => return None,
        }
    }
    (dots == 3 && digits > 0 && octet < 256).then(|| Ipv4Addr::from_bits(number << 8 | octet))
}

/// The first word that is an address, whatever stands around it.
pub fn any_address(text: &str) -> Option<(Address, u16)> {
    let outside = |letter: char| !(letter.is_ascii_hexdigit() || ".:[]%".contains(letter));
    text.split(outside).filter(|word| word.len() >= 3).take(WORD_COUNT_MAX).find_map(|word| {
        let word = word.trim_end_matches(['.', ':']);
        let told =
            address(word).or_else(|| address(word.trim_matches(['[', ']']))).or_else(|| in_brackets(word));
        told.filter(|(address, _)| address.as_v4().is_some() || word.matches(':').count() >= 2)
    })
}

/// `name[1.2.3.4]`, what is left of it when letters before the bracket are no hexadecimal digits.
fn in_brackets(word: &str) -> Option<(Address, u16)> {
    let (_, rest) = word.split_once('[')?;
    let (inside, behind) = rest.split_once(']')?;
    let (told, _) = address(inside)?;
    Some((told, behind.strip_prefix(':').and_then(|port| port.parse().ok()).unwrap_or(0)))
}

/// The value behind `name`, such as `rip=` or `client: `; quotes and brackets around it left out.
pub fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(found) = text[from..].find(name) {
        let at = from + found;
        let begins = at == 0 || !text.as_bytes()[at - 1].is_ascii_alphanumeric();
        if begins {
            return Some(until_end(&text[at + name.len()..]));
        }
        from = at + name.len();
    }
    None
}

fn until_end(text: &str) -> &str {
    let close = match text.as_bytes().first() {
        Some(b'"') => '"',
        Some(b'\'') => '\'',
        Some(b'`') => '`',
        Some(b'<') => '>',
        _ => {
            let ends = |letter: char| letter.is_whitespace() || ",;|)\"".contains(letter);
            return text.split(ends).next().unwrap_or_default();
        }
    };
    let inside = &text[1..];
    inside.split_once(close).map_or(inside, |(inside, _)| inside)
}

/// Whether a text has a word in it, capital or small letters alike; `lower` is in small letters.
pub fn has(text: &str, lower: &str) -> bool {
    let (text, lower) = (text.as_bytes(), lower.as_bytes());
    text.windows(lower.len()).any(|part| part.eq_ignore_ascii_case(lower))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v4(text: &str) -> Address {
        Address::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_address_is_found_in_any_dress() {
        for text in [
            "from 192.0.2.7 port 22",
            "(IP: \"192.0.2.7\").",
            "unknown[192.0.2.7]: SASL",
            "rhost=[::ffff:192.0.2.7]:47414 user",
            "'root'@'192.0.2.7' (using",
            "from ip 192.0.2.7.",
            "10:32:11 at 192.0.2.7:5000",
        ] {
            assert_eq!(any_address(text).map(|(address, _)| address), Some(v4("192.0.2.7")), "{text}");
        }
        assert_eq!(any_address("2001:db8::7 said").map(|(address, _)| address), Some(v4("2001:db8::7")));
        for text in ["12:30:11 dead beef", "version 1.2.3", "a::", "1.2.3.4.5", "256.1.1.1"] {
            assert_eq!(any_address(text), None, "{text}");
        }
    }

    #[test]
    fn a_value_ends_where_its_dress_ends() {
        assert_eq!(value("x user=<a b>, y", "user="), Some("a b"));
        assert_eq!(value("ruser= rhost=1 user=7", "user="), Some("7"));
        assert_eq!(value("user \"a, b\"", "user "), Some("a, b"));
        assert_eq!(value("none", "user="), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\PC\\[\\]:.0-9\"\\\\]{0,60}") {
            let _ = (quoted(&text), word(&text), address(&text), any_address(&text));
            let _ = (value(&text, "."), has(&text, "a"));
        }
    }
}
