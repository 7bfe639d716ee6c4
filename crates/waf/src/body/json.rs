//! JSON bodies as arguments: `{"a":{"b":[1]}}` is `json.a.b.array_0` with the value 1.

use super::{ARGUMENTS_BYTES_MAX, ARGUMENTS_COUNT_MAX, Pair};

/// How deep a body may be nested.
const DEPTH_MAX: usize = 512;

/// The arguments up to the first fault, and the fault.
pub fn arguments(bytes: &[u8]) -> (Vec<Pair>, Option<&'static str>) {
    let mut walker = Walker { bytes, at: 0, path: "json".into(), depth: 0, pairs: Vec::new(), size: 0 };
    let fault = walker.document().err();
    (walker.pairs, fault)
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
    path: Vec<u8>,
    depth: usize,
    pairs: Vec<Pair>,
    size: usize,
}

type Step = Result<(), &'static str>;

impl Walker<'_> {
    fn document(&mut self) -> Step {
        self.value()?;
        self.blank();
        if self.at < self.bytes.len() { Err("something follows the value") } else { Ok(()) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Step {
        self.blank();
        match self.peek() {
            Some(b'{') => self.inside(b'}', Walker::member),
            Some(b'[') => self.inside(b']', Walker::element),
            Some(b'"') => {
                let text = self.string()?;
                self.keep(text)
            }
            Some(_) => self.word(),
            None => Err("the value is missing"),
        }
    }

    fn keep(&mut self, value: Vec<u8>) -> Step {
        self.size += self.path.len() + value.len();
        if self.pairs.len() >= ARGUMENTS_COUNT_MAX || self.size > ARGUMENTS_BYTES_MAX {
            return Err("too many values");
        }
        self.pairs.push((self.path.clone(), value));
        Ok(())
    }

    fn word(&mut self) -> Step {
        let rest = &self.bytes[self.at..];
        let length =
            rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
        let word = &rest[..length];
        let number = std::str::from_utf8(word).is_ok_and(|word| {
            word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && word.parse::<f64>().is_ok()
        });
        self.at += length;
        match word {
            b"null" => self.keep(Vec::new()),
            b"true" | b"false" => self.keep(word.to_vec()),
            _ if number => self.keep(word.to_vec()),
            _ => Err("no value of JSON"),
        }
    }

    fn inside(&mut self, close: u8, one: fn(&mut Self, usize) -> Step) -> Step {
        if self.depth >= DEPTH_MAX {
            return Err("nested too deeply");
        }
        self.depth += 1;
        self.at += 1;
        self.blank();
        let length = self.path.len();
        let mut number = 0;
        while number > 0 || self.peek() != Some(close) {
            one(self, number)?;
            self.path.truncate(length);
            number += 1;
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => break,
                _ => return Err("a comma or a closing bracket is missing"),
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    fn member(&mut self, _: usize) -> Step {
        self.blank();
        if self.peek() != Some(b'"') {
            return Err("a name is missing");
        }
        let name = self.string()?;
        self.path.push(b'.');
        self.path.extend(name);
        self.blank();
        if self.peek() != Some(b':') {
            return Err("a colon is missing");
        }
        self.at += 1;
        self.value()
    }

    fn element(&mut self, number: usize) -> Step {
        self.path.extend(format!(".array_{number}").bytes());
        self.value()
    }

    fn string(&mut self) -> Result<Vec<u8>, &'static str> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(0..=0x1f) => return Err("a control character in a text"),
                Some(_) => self.at += 1,
                None => return Err("a text never ends"),
            }
        }
        self.at += 1;
        let quoted = self.bytes.get(start..self.at).ok_or("a text never ends")?;
        serde_json::from_slice::<String>(quoted)
            .map(String::into_bytes)
            .map_err(|_| "a text that is not valid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_and_a_fault_keeps_what_came_before() {
        let (pairs, fault) = arguments(br#"{"a":{"b":[1,{"c":"x\n"}]},"d":null,"e":tru}"#);
        let shown: Vec<String> = pairs
            .iter()
            .map(|(name, value)| {
                format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
            })
            .collect();
        assert_eq!(shown, ["json.a.b.array_0=1", "json.a.b.array_1.c=x\n", "json.d="]);
        assert_eq!(fault, Some("no value of JSON"));
        assert_eq!(arguments(b"[]").1, None);
        assert!(arguments(&b"[".repeat(100_000)).1.is_some());
    }
}
