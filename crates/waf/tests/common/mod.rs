//! The rule set of the shared data, and its cases: what `go-ftw` would send, and the rules that should speak.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may fail loudly")]

use netwhy_waf::{File, Library, Request, Waf};
use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The folder of the rule set, where the shared data is at hand.
pub fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let folders = ["../shared/data/policy/crs", "../../shared/data/policy/crs"];
    folders.iter().map(|folder| root.join(folder)).find(|folder| folder.is_dir())
}

pub struct Folder;

impl Library for Folder {
    fn include(&self, _: &str, _: &str) -> Vec<File> {
        Vec::new()
    }

    fn data(&self, from: &str, name: &str) -> Option<Vec<u8>> {
        std::fs::read(Path::new(from).parent()?.join(name)).ok()
    }
}

/// The whole rule set with its example set-up, at the highest level of paranoia.
pub fn waf(folder: &Path) -> Waf {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder.join("rules"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .collect();
    paths.sort();
    paths.insert(0, folder.join("crs-setup.conf.example"));
    let file = |path: &PathBuf| File {
        name: path.to_string_lossy().into_owned(),
        text: std::fs::read_to_string(path).unwrap(),
    };
    let files: Vec<File> = paths.iter().map(file).collect();
    let mut waf = Waf::load(&files, &Folder);
    waf.preset("blocking_paranoia_level", "4");
    waf
}

/// One request, and what should be said of it.
pub struct Case {
    pub name: String,
    pub request: Request,
    pub expect: Vec<u64>,
    pub unwanted: Vec<u64>,
}

/// Every case of the folder.
pub fn cases(folder: &Path) -> Vec<Case> {
    let mut files = Vec::new();
    for group in std::fs::read_dir(folder.join("tests/regression/tests")).unwrap() {
        files.extend(std::fs::read_dir(group.unwrap().path()).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.sort();
    files.iter().flat_map(|path| cases_of(path)).collect()
}

fn cases_of(path: &Path) -> Vec<Case> {
    let document = yaml(&std::fs::read_to_string(path).unwrap());
    let mut cases = Vec::new();
    for test in document["tests"].as_array().into_iter().flatten() {
        for stage in test["stages"].as_array().into_iter().flatten() {
            let name = format!("{}-{}", text(&document["rule_id"]), text(&test["test_id"]));
            let log = &stage["output"]["log"];
            let ids = |value: &Value| {
                value.as_array().into_iter().flatten().filter_map(|id| text(id).parse().ok()).collect()
            };
            cases.push(Case {
                name,
                request: request(&stage["input"]),
                expect: ids(&log["expect_ids"]),
                unwanted: ids(&log["no_expect_ids"]),
            });
        }
    }
    cases
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The request as `go-ftw` completes and sends it.
fn request(input: &Value) -> Request {
    if let Some(encoded) = input["encoded_request"].as_str() {
        let raw = base64(encoded.as_bytes());
        return netwhy_waf::request::raw(&"encoded".into(), &raw).requests.remove(0);
    }
    let or = |name: &str, default: &str| input[name].as_str().unwrap_or(default).to_owned();
    let listed = input["headers"].as_object().into_iter().flatten();
    let mut headers: Vec<(String, Vec<u8>)> =
        listed.map(|(name, value)| (name.clone(), text(value).trim().as_bytes().to_vec())).collect();
    let complete = or("autocomplete_headers", "true") == "true";
    let method = or("method", "GET");
    let mut body = or("data", "");
    let has = |headers: &[(String, Vec<u8>)], name: &str| {
        headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    if complete && !body.is_empty() {
        if !has(&headers, "content-type") {
            headers.push(("Content-Type".into(), b"application/x-www-form-urlencoded".to_vec()));
        }
        let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if kind.is_some_and(|(_, value)| value == b"application/x-www-form-urlencoded") {
            body = encoded(&body);
        }
    }
    let multipart = headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("content-type") && value.starts_with(b"multipart/form-data;")
    });
    if multipart {
        body = body.replace('\n', "\r\n");
    }
    let sends = ["POST", "PUT", "PATCH", "DELETE"].iter().any(|known| method.contains(known));
    if complete {
        if !has(&headers, "connection") {
            headers.push(("Connection".into(), b"close".to_vec()));
        }
        if (!body.is_empty() || sends) && !has(&headers, "content-length") {
            headers.push(("Content-Length".into(), body.len().to_string().into_bytes()));
        }
    }
    Request {
        method,
        uri: or("uri", "/").into_bytes(),
        version: or("version", "HTTP/1.1"),
        headers,
        body: body.into_bytes(),
        ..Request::default()
    }
}

/// Forms are encoded where they are not yet.
fn encoded(body: &str) -> String {
    let decoded = |bytes: &[u8]| {
        let mut out = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
            match (bytes[at], pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
                (b'%', Some(byte)) => {
                    out.push(byte);
                    at += 2;
                }
                (b'%', None) => return None,
                (b'+', _) => out.push(b' '),
                (byte, _) => out.push(byte),
            }
            at += 1;
        }
        Some(out)
    };
    if decoded(body.as_bytes()).as_deref() != Some(body.as_bytes()) {
        return body.to_owned();
    }
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    char::from(byte).to_string()
                }
                b' ' => "+".to_owned(),
                byte => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pieces = body.split('&').map(|piece| match piece.split_once('=') {
        Some((key, value)) => format!("{}={}", escape(key), escape(value)),
        None => escape(piece),
    });
    pieces.collect::<Vec<_>>().join("&")
}

fn base64(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u32> = text.iter().filter_map(digit).map(u32::from).collect();
    let mut out = Vec::new();
    for four in digits.chunks(4) {
        let bits = (0..4).fold(0, |bits, at| bits << 6 | four.get(at).copied().unwrap_or(0));
        let bytes = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
        out.extend(&bytes[..four.len().saturating_sub(1)]);
    }
    out
}

/// A document of YAML; every scalar a text.
fn yaml(text: &str) -> Value {
    let mut stack: Vec<(Value, Option<String>)> = vec![(Value::Array(Vec::new()), None)];
    for event in Parser::new_from_str(text) {
        let done = match event.expect("yaml").0 {
            Event::MappingStart(..) => {
                stack.push((Value::Object(Map::new()), None));
                continue;
            }
            Event::SequenceStart(..) => {
                stack.push((Value::Array(Vec::new()), None));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => stack.pop().unwrap().0,
            Event::Scalar(text, ..) => Value::String(text.into_owned()),
            _ => continue,
        };
        match stack.last_mut().unwrap() {
            (Value::Array(list), _) => list.push(done),
            (Value::Object(map), key) => match key.take() {
                Some(key) => {
                    map.insert(key, done);
                }
                None => *key = done.as_str().map(str::to_owned),
            },
            _ => unreachable!(),
        }
    }
    stack[0].0[0].take()
}
