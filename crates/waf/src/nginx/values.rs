//! nginx's variables, as far as a request alone decides them.

use super::Directive;
use crate::body::form;
use crate::operator::Net;
use crate::pattern::Pattern;
use crate::place::both;
use crate::request::Request;
use crate::transform::Transform;
use netwhy_model::Text;
use std::collections::BTreeMap;

/// How often one variable may lead to another.
const DEPTH_MAX: usize = 16;
/// How long a value may grow, in bytes.
const VALUE_BYTES_MAX: usize = 1 << 16;

/// The variables of one request.
#[derive(Debug)]
pub struct Values<'a> {
    /// `map` and `geo` blocks.
    tables: Vec<&'a Directive>,
    request: &'a Request,
    set: BTreeMap<String, Result<String, Text>>,
}

impl<'a> Values<'a> {
    pub fn new(main: &'a [Directive], request: &'a Request) -> Values<'a> {
        let inside = main.iter().filter(|directive| directive.name() == "http").flat_map(|http| &http.block);
        let tables = main.iter().chain(inside).filter(|directive| matches!(directive.name(), "map" | "geo"));
        Values { tables: tables.collect(), request, set: BTreeMap::new() }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        let value = self.expanded(value);
        self.set.insert(name.trim_start_matches('$').to_owned(), value);
    }

    /// The path as locations see it: decoded, without detours and doubled slashes.
    pub fn path(&self) -> String {
        let path = Transform::NormalizePath.apply(&crate::facts::path(self.request));
        String::from_utf8_lossy(&path).into_owned()
    }

    /// A text with its variables put in.
    pub fn expanded(&self, text: &str) -> Result<String, Text> {
        self.at_depth(text, 0)
    }

    fn at_depth(&self, text: &str, depth: usize) -> Result<String, Text> {
        let mut pieces = text.split('$');
        let mut out = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) = match piece.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some(parts) => parts,
                None => {
                    let end =
                        piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(piece.len());
                    piece.split_at(end)
                }
            };
            out.push_str(&self.value(name, depth)?);
            out.push_str(rest);
            if out.len() > VALUE_BYTES_MAX {
                return Err(both("a value grows too long", "变量值过长"));
            }
        }
        Ok(out)
    }

    fn value(&self, name: &str, depth: usize) -> Result<String, Text> {
        if let Some(value) = self.set.get(name) {
            return value.clone();
        }
        let unknown =
            || both(format!("${name} is not known from the request"), format!("从请求中无法得知 ${name}"));
        if depth >= DEPTH_MAX {
            return Err(unknown());
        }
        if let Some(table) = self
            .tables
            .iter()
            .find(|table| table.words.last().and_then(|last| last.strip_prefix('$')) == Some(name))
        {
            return self.looked_up(table, depth);
        }
        self.of_request(name).ok_or_else(unknown)
    }

    /// What a `map` or `geo` block makes of its source.
    fn looked_up(&self, table: &Directive, depth: usize) -> Result<String, Text> {
        let geo = table.name() == "geo";
        let source = match table.words.len() {
            3 => table.word(1),
            _ => "$remote_addr",
        };
        let value = self.at_depth(source, depth + 1)?;
        let hosts = table.block.iter().any(|entry| entry.name() == "hostnames");
        let mut default = "";
        let mut best: Option<(u32, &str)> = None;
        for entry in &table.block {
            let (key, result) = (entry.name(), entry.word(1));
            match key {
                "default" => default = result,
                "hostnames" | "volatile" | "ranges" | "delete" | "proxy" | "proxy_recursive" => {}
                _ => {
                    let rank = if geo { in_network(key, &value) } else { in_map(key, &value, hosts)? };
                    // The first pattern counts, but the longest network.
                    if rank > 0 && best.is_none_or(|(most, _)| rank > most) {
                        best = Some((rank, result));
                    }
                }
            }
        }
        self.at_depth(best.map_or(default, |(_, result)| result), depth + 1)
    }

    fn of_request(&self, name: &str) -> Option<String> {
        let request = self.request;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let query = || request.query().unwrap_or_default();
        let header = |name: &str| Some(text(request.header(&name.replace('_', "-")).unwrap_or_default()));
        if let Some(name) = name.strip_prefix("arg_") {
            let raw = query().split(|byte| *byte == b'&').find_map(|piece| {
                let at = piece.iter().position(|byte| *byte == b'=')?;
                piece[..at].eq_ignore_ascii_case(name.as_bytes()).then(|| text(&piece[at + 1..]))
            });
            return Some(raw.unwrap_or_default());
        }
        if let Some(name) = name.strip_prefix("cookie_") {
            let cookies = form::cookies(request.header("cookie").unwrap_or_default());
            let found = cookies.iter().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
            return Some(found.map(|(_, value)| text(value)).unwrap_or_default());
        }
        if let Some(name) = name.strip_prefix("http_") {
            return header(name);
        }
        Some(match name {
            "request_method" => request.method.clone(),
            "request_uri" => text(&request.uri),
            "uri" | "document_uri" => self.path(),
            "args" | "query_string" => text(query()),
            "is_args" => {
                if query().is_empty() {
                    String::new()
                } else {
                    "?".to_owned()
                }
            }
            "request" => text(&request.line()),
            "server_protocol" => request.version.clone(),
            "host" => header("host")?.split(':').next()?.to_ascii_lowercase(),
            "content_type" | "content_length" => header(name)?,
            "remote_addr" | "binary_remote_addr" | "realip_remote_addr" => request.client?.to_string(),
            "request_body" => text(&request.body),
            _ => return None,
        })
    }
}

fn in_network(key: &str, value: &str) -> u32 {
    let held = Net::read(key).zip(value.parse().ok()).is_some_and(|(net, address)| net.holds(address));
    let bits = key.split_once('/').and_then(|(_, bits)| bits.parse::<u32>().ok()).unwrap_or(128);
    if held { bits + 1 } else { 0 }
}

/// Exactly before by star, which only names of hosts may have, before by pattern.
fn in_map(key: &str, value: &str, hosts: bool) -> Result<u32, Text> {
    if let Some(pattern) = key.strip_prefix("~*") {
        return Pattern::any_case(pattern).is_match(value.as_bytes()).map(u32::from);
    }
    if let Some(pattern) = key.strip_prefix('~') {
        return Pattern::new(pattern).is_match(value.as_bytes()).map(u32::from);
    }
    let key = key.strip_prefix('\\').unwrap_or(key);
    let value = &value.to_ascii_lowercase();
    let starred = hosts
        && (key.strip_prefix('*').is_some_and(|end| value.ends_with(end))
            || key.strip_suffix('*').is_some_and(|start| value.starts_with(start))
            || (key.starts_with('.') && (value.ends_with(key) || value == &key[1..])));
    Ok(if key.eq_ignore_ascii_case(value) { 3 } else { 2 * u32::from(starred) })
}
