//! Multipart bodies, with every oddity that firewalls note of them.

mod disposition;

use super::{ARGUMENTS_COUNT_MAX, Pair};
use crate::transform::{is_blank, trimmed};

/// The longest line of a part's head, in bytes.
const HEADER_BYTES_MAX: usize = 4096;
/// The longest `Content-Type` that is taken apart, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 1024;

/// The parts of a body.
#[derive(Debug, Clone, Default)]
pub struct Multipart {
    pub fields: Vec<Pair>,
    pub files: Vec<Upload>,
    /// The name of the part, and `Name: value` of one of its headers.
    pub headers: Vec<Pair>,
    pub flags: Flags,
    /// The last name and file name that were given.
    pub name: Vec<u8>,
    pub file_name: Vec<u8>,
    pub fault: Option<&'static str>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upload {
    pub field: Vec<u8>,
    pub name: Vec<u8>,
    pub content: Vec<u8>,
}

/// What was odd.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    pub boundary_quoted: bool,
    pub boundary_whitespace: bool,
    pub crlf_lines: bool,
    pub data_after: bool,
    pub data_before: bool,
    pub header_folding: bool,
    pub invalid_header_folding: bool,
    pub invalid_part: bool,
    pub invalid_quoting: bool,
    pub lf_lines: bool,
    pub missing_semicolon: bool,
    /// 2 once a second boundary was met as it should be, 1 after something that looks like another.
    pub unmatched_boundary: u8,
}

#[derive(Debug, Default)]
struct Part {
    name: Vec<u8>,
    file_name: Vec<u8>,
    headers: Vec<Pair>,
    in_data: bool,
    data: Vec<u8>,
    /// The end of the last line: it belongs to the boundary, should one follow.
    held: Vec<u8>,
}

/// Takes a body apart.
pub fn parts(content_type: &[u8], body: &[u8]) -> Multipart {
    let mut reader = Reader::default();
    match reader.boundary(content_type) {
        Ok(boundary) => reader.body(&boundary, body),
        Err(fault) => reader.out.fault = Some(fault),
    }
    reader.out
}

#[derive(Debug, Default)]
struct Reader {
    out: Multipart,
    part: Option<Part>,
    done: Vec<Part>,
    boundaries: usize,
    complete: bool,
}

impl Reader {
    /// The boundary that the header of the request names.
    fn boundary(&mut self, header: &[u8]) -> Result<Vec<u8>, &'static str> {
        const MIME: usize = b"multipart/form-data".len();
        if header.len() > CONTENT_TYPE_BYTES_MAX {
            return Err("Multipart: Invalid boundary in C-T (length).");
        }
        if named(header) > 1 {
            return Err("Multipart: Multiple boundary parameters in C-T.");
        }
        let at = find(header, b"boundary").filter(|at| *at >= MIME);
        let at = at.ok_or("Multipart: Boundary not found in C-T.")?;
        let before: Vec<u8> = header[MIME..at].iter().copied().filter(|byte| !is_blank(*byte)).collect();
        match before.as_slice() {
            b";" => {}
            b"" => self.out.flags.missing_semicolon = true,
            _ => return Err("Multipart: Invalid boundary in C-T (malformed)."),
        }
        let after = &header[at + b"boundary".len()..];
        let equals = after.iter().position(|byte| *byte == b'=');
        let equals = equals.ok_or("Multipart: Invalid boundary in C-T (malformed).")?;
        if !after[..equals].iter().all(|byte| is_blank(*byte)) {
            return Err("Multipart: Invalid boundary in C-T (parameter name).");
        }
        let value = &after[equals + 1..];
        self.out.flags.boundary_whitespace = equals > 0 || value.first().is_some_and(|byte| is_blank(*byte));
        let boundary = self.unquoted(value)?;
        if named(boundary) != 0 || !valid(boundary) {
            return Err("Multipart: Invalid boundary in C-T (characters).");
        }
        Ok(boundary.to_vec())
    }

    fn unquoted<'a>(&mut self, value: &'a [u8]) -> Result<&'a [u8], &'static str> {
        let boundary = match value {
            [b'"', inner @ .., b'"'] => {
                self.out.flags.boundary_quoted = true;
                inner
            }
            [b'"', ..] | [.., b'"'] => return Err("Multipart: Invalid boundary in C-T (quote)."),
            plain => plain,
        };
        if boundary.is_empty() { Err("Multipart: Invalid boundary in C-T (empty).") } else { Ok(boundary) }
    }

    fn body(&mut self, boundary: &[u8], body: &[u8]) {
        let mut rest = body;
        while !rest.is_empty() && !self.complete {
            let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
            let (line, left) = rest.split_at(end);
            rest = left;
            if let Err(fault) = self.line(boundary, line) {
                self.out.fault = Some(fault);
                return;
            }
        }
        self.out.flags.data_after = self.complete && !rest.is_empty();
        if !self.complete && !body.is_empty() {
            let fault = match self.boundaries {
                0 => "Multipart: No boundaries found in payload.",
                _ => "Multipart: Final boundary missing.",
            };
            self.out.fault = Some(fault);
            return;
        }
        self.finish();
    }

    fn line(&mut self, boundary: &[u8], line: &[u8]) -> Result<(), &'static str> {
        if line.len() > 3 && line.starts_with(b"--") {
            if line[2..].starts_with(boundary) {
                return self.edge(&line[2 + boundary.len()..]);
            }
            let inner = &line[2..];
            let blank = inner.iter().take_while(|byte| is_blank(**byte)).count();
            if blank > 0 && inner[blank..].starts_with(boundary) {
                return Err("Multipart: Invalid boundary (whitespace).");
            }
            if self.out.flags.boundary_quoted
                && inner.get(1..).is_some_and(|rest| rest.starts_with(boundary))
                && inner[0] == b'"'
            {
                return Err("Multipart: Invalid boundary (quotes).");
            }
            self.out.flags.unmatched_boundary = 1;
        } else if find(line, &[b"--", boundary].concat()).is_some() {
            self.out.flags.unmatched_boundary = 1;
        }
        match &mut self.part {
            None => self.out.flags.data_before = true,
            Some(part) if part.in_data => part.take(line),
            Some(_) => self.header(line),
        }
        Ok(())
    }

    /// A boundary: what stands after it decides.
    fn edge(&mut self, after: &[u8]) -> Result<(), &'static str> {
        if self.boundaries > 0 {
            self.out.flags.unmatched_boundary = 2;
        }
        let (last, after) = match after.strip_prefix(b"--") {
            Some(after) => (true, after),
            None => (false, after),
        };
        match after {
            b"\r\n" => self.out.flags.crlf_lines = true,
            b"\n" => self.out.flags.lf_lines = true,
            // The body may end right after the last boundary.
            b"" if last => {}
            _ => return Err("Multipart: Invalid boundary."),
        }
        if let Some(part) = self.part.take() {
            if part.name.is_empty() {
                self.out.flags.invalid_part = true;
            } else {
                self.done.push(part);
            }
        }
        self.boundaries += 1;
        self.complete = last;
        if !last && self.done.len() < ARGUMENTS_COUNT_MAX {
            self.part = Some(Part::default());
        }
        Ok(())
    }

    /// A line of a part's head; a fault is noted and the rest still read.
    fn header(&mut self, line: &[u8]) {
        match line {
            [.., b'\r', b'\n'] => self.out.flags.crlf_lines = true,
            _ => self.out.flags.lf_lines = true,
        }
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let noted = match text.first() {
            _ if line.len() > HEADER_BYTES_MAX => Err("Multipart: Part header line too long."),
            _ if line.contains(&0) => Err("Multipart: Nul byte in part headers."),
            None => self.end_of_head(),
            Some(byte) if is_blank(*byte) => self.folded(text),
            Some(_) => self.new_header(text),
        };
        if let Err(fault) = noted {
            self.out.fault.get_or_insert(fault);
        }
    }

    fn new_header(&mut self, text: &[u8]) -> Result<(), &'static str> {
        let at = text.iter().position(|byte| *byte == b':');
        let at = at.filter(|at| *at > 0).ok_or("Multipart: Invalid part header (colon missing).")?;
        let name = &text[..at];
        let value = &text[at + 1..];
        let blank = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let Some(part) = &mut self.part else { return Ok(()) };
        if part.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return Err("Multipart: Duplicate part header.");
        }
        part.headers.push((name.to_vec(), value[blank..].to_vec()));
        Ok(())
    }

    fn folded(&mut self, text: &[u8]) -> Result<(), &'static str> {
        self.out.flags.header_folding = true;
        let blank = text.iter().take_while(|byte| is_blank(**byte));
        if blank.into_iter().any(|byte| !matches!(byte, b' ' | b'\t')) {
            self.out.flags.invalid_header_folding = true;
        }
        let last = self.part.as_mut().and_then(|part| part.headers.last_mut());
        let (_, value) = last.ok_or("Multipart: Invalid part header (folding error).")?;
        value.push(b' ');
        value.extend(trimmed(text));
        Ok(())
    }

    fn end_of_head(&mut self) -> Result<(), &'static str> {
        let Some(part) = &mut self.part else { return Ok(()) };
        let is_it = |pair: &&Pair| pair.0.eq_ignore_ascii_case(b"content-disposition");
        let (_, value) =
            part.headers.iter().find(is_it).ok_or("Multipart: Part missing Content-Disposition header.")?;
        let read = disposition::read(value)?;
        self.out.flags.invalid_quoting |= read.invalid_quoting;
        self.out.name.clone_from(&read.name);
        if !read.file_name.is_empty() {
            self.out.file_name.clone_from(&read.file_name);
        }
        (part.name, part.file_name) = (read.name, read.file_name);
        if part.name.is_empty() {
            return Err("Multipart: Content-Disposition header missing name field.");
        }
        part.in_data = true;
        Ok(())
    }

    /// Only a body that was complete becomes arguments.
    fn finish(&mut self) {
        for part in std::mem::take(&mut self.done) {
            for (name, value) in &part.headers {
                self.out.headers.push((part.name.clone(), [name.as_slice(), b": ", value].concat()));
            }
            if part.file_name.is_empty() {
                self.out.fields.push((part.name, part.data));
            } else {
                self.out.files.push(Upload { field: part.name, name: part.file_name, content: part.data });
            }
        }
    }
}

impl Part {
    fn take(&mut self, line: &[u8]) {
        self.data.append(&mut self.held);
        let end = if line.ends_with(b"\r\n") { 2 } else { usize::from(line.ends_with(b"\n")) };
        let (data, held) = line.split_at(line.len() - end);
        self.data.extend(data);
        self.held = held.to_vec();
    }
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

/// How many parameters are named boundary, or nearly so.
fn named(header: &[u8]) -> usize {
    let small = header.to_ascii_lowercase();
    let found = small.windows(8).enumerate().filter(|(_, window)| *window == b"boundary");
    found.filter(|(at, _)| small[at + 8..].contains(&b'=')).count()
}

/// Whether the boundary has only the characters of RFC 2046.
fn valid(boundary: &[u8]) -> bool {
    boundary.last() != Some(&b' ')
        && boundary.iter().all(|byte| byte.is_ascii_alphanumeric() || b" '()+_,-./:=?".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files_are_told_apart_and_line_ends_belong_to_the_boundary() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\ntwo\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.php\"\r\nContent-Type: text/plain\r\n\r\n<?php\r\n--b--\r\n";
        let read = parts(b"multipart/form-data; boundary=b", body);
        assert_eq!(read.fault, None);
        assert_eq!(read.fields, [(b"a".to_vec(), b"one\r\ntwo".to_vec())]);
        assert_eq!(read.files[0].name, b"x.php");
        assert_eq!(read.headers[2], (b"f".to_vec(), b"Content-Type: text/plain".to_vec()));
        let cut = parts(b"multipart/form-data; boundary=b", &body[..body.len() - 6]);
        assert!(cut.fault.is_some() && cut.fields.is_empty());
        assert!(parts(b"multipart/form-data; boundary=a; boundary=b", body).fault.is_some());
    }
}
