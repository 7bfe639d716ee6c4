//! `form-data; name="a"; filename="b"`, and the ways it is written wrongly.

use crate::transform::is_blank;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Disposition {
    pub name: Vec<u8>,
    pub file_name: Vec<u8>,
    pub invalid_quoting: bool,
}

/// Reads the value of a `Content-Disposition` header.
pub fn read(value: &[u8]) -> Result<Disposition, &'static str> {
    const WRONG: &str = "Multipart: Invalid Content-Disposition header.";
    let mut read = Disposition::default();
    let mut rest = value.strip_prefix(b"form-data").ok_or(WRONG)?;
    loop {
        rest = skip_blank(rest);
        match rest {
            [] => return Ok(read),
            [b';', after @ ..] => rest = skip_blank(after),
            _ => return Err(WRONG),
        }
        let at = rest.iter().position(|byte| *byte == b'=').ok_or(WRONG)?;
        let name = crate::transform::trimmed(&rest[..at]);
        let (given, left) = parameter(skip_blank(&rest[at + 1..]), &mut read.invalid_quoting).ok_or(WRONG)?;
        rest = left;
        read.invalid_quoting |= given.contains(&b'\'');
        let place = match name {
            b"name" => &mut read.name,
            b"filename" => &mut read.file_name,
            b"filename*" => continue,
            _ => return Err(WRONG),
        };
        if !place.is_empty() {
            return Err("Multipart: Duplicate Content-Disposition parameter.");
        }
        *place = given;
    }
}

fn skip_blank(bytes: &[u8]) -> &[u8] {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &bytes[blank..]
}

/// A value in quotes or not, and what is left after it.
fn parameter<'a>(text: &'a [u8], invalid_quoting: &mut bool) -> Option<(Vec<u8>, &'a [u8])> {
    let quote = match text.first()? {
        quote @ (b'"' | b'\'') => *quote,
        _ => {
            let is_token = |byte: &&u8| {
                !is_blank(**byte) && **byte > 32 && **byte < 127 && !b"()<>@,;:\\\"/[]?=".contains(byte)
            };
            let length = text.iter().take_while(is_token).count();
            return Some((text[..length].to_vec(), &text[length..]));
        }
    };
    *invalid_quoting |= quote == b'\'';
    let mut value = Vec::new();
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'\\' if matches!(text.get(at + 1), Some(next) if *next == quote || *next == b'\\') => {
                value.push(text[at + 1]);
                at += 2;
            }
            byte if *byte == quote => return Some((value, &text[at + 1..])),
            byte => {
                value.push(*byte);
                at += 1;
            }
        }
    }
}
