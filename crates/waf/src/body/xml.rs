//! XML bodies as far as rules look into them: the text of the document and the values of its attributes.

use super::ARGUMENTS_COUNT_MAX;
use std::collections::BTreeMap;

/// How deep elements may be nested.
const DEPTH_MAX: usize = 256;
/// The longest text that an entity may stand for, in bytes.
const ENTITY_BYTES_MAX: usize = 1 << 12;
/// How many bytes the text of a document may come to.
const TEXT_BYTES_MAX: usize = 1 << 26;

/// What a document says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// The text of all elements, one after another.
    pub text: Vec<u8>,
    pub attributes: Vec<Vec<u8>>,
}

/// What was read up to the first fault, and the fault.
pub fn document(bytes: &[u8]) -> (Document, Option<&'static str>) {
    let mut walker =
        Walker { bytes, at: 0, open: Vec::new(), document: Document::default(), entities: BTreeMap::new() };
    let fault = walker.walk().err();
    (walker.document, fault)
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<&'a [u8]>,
    document: Document,
    entities: BTreeMap<&'a [u8], &'a [u8]>,
}

type Step = Result<(), &'static str>;

impl<'a> Walker<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn walk(&mut self) -> Step {
        let mut rooted = false;
        while !self.rest().is_empty() {
            let rest = self.rest();
            if rest.starts_with(b"<!--") {
                self.past(b"-->")?;
            } else if rest.starts_with(b"<![CDATA[") {
                self.character_data()?;
            } else if rest.starts_with(b"<?") {
                self.past(b"?>")?;
            } else if rest.starts_with(b"<!DOCTYPE") {
                self.doctype()?;
            } else if rest.starts_with(b"</") {
                self.close()?;
            } else if rest.starts_with(b"<") {
                if rooted && self.open.is_empty() {
                    return Err("a second root element");
                }
                rooted = true;
                self.element()?;
            } else {
                self.text()?;
            }
        }
        if rooted && self.open.is_empty() { Ok(()) } else { Err("the document is not complete") }
    }

    /// Skips to after a mark.
    fn past(&mut self, mark: &[u8]) -> Result<&'a [u8], &'static str> {
        let rest = self.rest();
        let end = rest.windows(mark.len()).position(|window| window == mark).ok_or("a part never ends")?;
        self.at += end + mark.len();
        Ok(&rest[..end])
    }

    fn character_data(&mut self) -> Step {
        let data = self.past(b"]]>")?;
        self.keep(data.get(b"<![CDATA[".len()..).unwrap_or_default())
    }

    fn keep(&mut self, text: &[u8]) -> Step {
        if self.document.text.len() + text.len() > TEXT_BYTES_MAX {
            return Err("the text is too long");
        }
        self.document.text.extend(text);
        Ok(())
    }

    fn text(&mut self) -> Step {
        let rest = self.rest();
        let end = rest.iter().position(|byte| *byte == b'<').unwrap_or(rest.len());
        self.at += end;
        if self.open.is_empty() {
            let blank = rest[..end].iter().all(|byte| byte.is_ascii_whitespace());
            return if blank { Ok(()) } else { Err("text outside of the root element") };
        }
        let text = self.resolved(&rest[..end])?;
        self.keep(&text)
    }

    fn name(&mut self) -> Result<&'a [u8], &'static str> {
        let rest = self.rest();
        let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_:-.".contains(byte) || **byte >= 0x80;
        let length = rest.iter().take_while(is_name).count();
        self.at += length;
        if length == 0 { Err("a name is missing") } else { Ok(&rest[..length]) }
    }

    fn blank(&mut self) {
        self.at += self.rest().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn element(&mut self) -> Step {
        self.at += 1;
        let name = self.name()?;
        let mut attributes = Vec::new();
        loop {
            self.blank();
            let rest = self.rest();
            if rest.starts_with(b"/>") {
                self.at += 2;
                break;
            }
            if rest.starts_with(b">") {
                self.at += 1;
                self.open.push(name);
                break;
            }
            attributes.extend(self.attribute()?);
        }
        if self.open.len() > DEPTH_MAX || self.document.attributes.len() > ARGUMENTS_COUNT_MAX {
            return Err("too deep or too many attributes");
        }
        self.document.attributes.append(&mut attributes);
        Ok(())
    }

    /// The value of an attribute; none for the declaration of a name space, which is none.
    fn attribute(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        let name = self.name()?;
        self.blank();
        if !self.rest().starts_with(b"=") {
            return Err("an attribute has no value");
        }
        self.at += 1;
        self.blank();
        let rest = self.rest();
        let quote = *rest.first().filter(|byte| matches!(byte, b'"' | b'\'')).ok_or("a quote is missing")?;
        let end = rest.iter().skip(1).position(|byte| *byte == quote).ok_or("a quote never ends")?;
        let value = &rest[1..=end];
        if value.contains(&b'<') {
            return Err("a bracket in an attribute");
        }
        self.at += end + 2;
        let value = self.resolved(value)?;
        Ok((name != b"xmlns" && !name.starts_with(b"xmlns:")).then_some(value))
    }

    fn close(&mut self) -> Step {
        self.at += 2;
        let name = self.name()?;
        if self.open.pop() != Some(name) {
            return Err("an end without its beginning");
        }
        self.blank();
        if !self.rest().starts_with(b">") {
            return Err("an end that does not end");
        }
        self.at += 1;
        Ok(())
    }

    /// Entities that stand for a text are kept, those that stand for a file are not fetched.
    fn doctype(&mut self) -> Step {
        let rest = self.rest();
        let end = rest.iter().position(|byte| *byte == b'>').ok_or("a part never ends")?;
        match rest[..end].iter().position(|byte| *byte == b'[') {
            Some(_) => {
                let inside = self.past(b"]")?;
                self.past(b">")?;
                self.declared(inside);
            }
            None => self.at += end + 1,
        }
        Ok(())
    }

    fn declared(&mut self, inside: &'a [u8]) {
        for piece in inside.split(|byte| *byte == b'<').filter_map(|piece| piece.strip_prefix(b"!ENTITY")) {
            let piece = crate::transform::trimmed(piece);
            let length = piece.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
            let (name, rest) = piece.split_at(length);
            let rest = crate::transform::trimmed(rest);
            let quote = rest.first().filter(|byte| matches!(byte, b'"' | b'\''));
            let value = quote.and_then(|quote| rest.get(1..)?.split(|byte| byte == quote).next());
            if let Some(value) = value.filter(|value| value.len() <= ENTITY_BYTES_MAX) {
                self.entities.entry(name).or_insert(value);
            } else {
                self.entities.entry(name).or_insert(b"");
            }
        }
    }

    fn resolved(&self, text: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut out = Vec::with_capacity(text.len());
        let mut pieces = text.split(|byte| *byte == b'&');
        out.extend(pieces.next().unwrap_or_default());
        for piece in pieces {
            let end = piece.iter().position(|byte| *byte == b';').ok_or("a reference never ends")?;
            match &piece[..end] {
                b"lt" => out.push(b'<'),
                b"gt" => out.push(b'>'),
                b"amp" => out.push(b'&'),
                b"quot" => out.push(b'"'),
                b"apos" => out.push(b'\''),
                [b'#', b'x', digits @ ..] => character(digits, 16, &mut out)?,
                [b'#', digits @ ..] => character(digits, 10, &mut out)?,
                name => out.extend(*self.entities.get(name).ok_or("an entity that is not declared")?),
            }
            out.extend(&piece[end + 1..]);
            if out.len() > TEXT_BYTES_MAX {
                return Err("the text is too long");
            }
        }
        Ok(out)
    }
}

fn character(digits: &[u8], radix: u32, out: &mut Vec<u8>) -> Step {
    let digits = std::str::from_utf8(digits).map_err(|_| "a reference that is no number")?;
    let number = u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    let character = number.ok_or("a reference that is no character")?;
    out.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_are_kept_up_to_the_first_fault() {
        let (read, fault) = document(b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e 'E'>]><a b='1&lt;' xmlns='n'>x<c d=\"2\"/>&e;<![CDATA[<y>]]></a>");
        assert_eq!((read.text.as_slice(), fault), (&b"xE<y>"[..], None));
        assert_eq!(read.attributes, [b"1<".to_vec(), b"2".to_vec()]);
        let (read, fault) = document(b"<a>x<b c='<'>y</b></a>");
        assert_eq!((read.text.as_slice(), fault), (&b"x"[..], Some("a bracket in an attribute")));
        assert!(document(&b"<a>".repeat(100_000)).1.is_some());
    }
}
