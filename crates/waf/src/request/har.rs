//! Requests out of a HAR, as browsers save what they asked.

use super::{REQUESTS_COUNT_MAX, Request, Requests};
use crate::place::{Place, both};
use netwhy_model::Text;
use serde_json::Value;
use std::sync::Arc;

/// Reads every entry of the archive.
pub fn har(file: &Arc<str>, text: &str) -> Requests {
    let mut read = Requests::default();
    let place = Place::new(file, 1, 1);
    let archive: Result<Value, _> = serde_json::from_str(text.trim_start_matches('\u{feff}'));
    let archive = match archive {
        Ok(archive) => archive,
        Err(fault) => {
            let why = both(format!("no JSON: {fault}"), format!("不是 JSON：{fault}"));
            read.keep(Err(why), place, text);
            return read;
        }
    };
    let entries = archive.pointer("/log/entries").and_then(Value::as_array);
    for entry in entries.into_iter().flatten().take(REQUESTS_COUNT_MAX) {
        read.keep(request(entry), place.clone(), &entry.to_string());
    }
    read
}

fn request(entry: &Value) -> Result<Request, Text> {
    let of = |path: &str| entry.pointer(path).and_then(Value::as_str);
    let url = of("/request/url").ok_or_else(|| both("the entry has no url", "条目缺少 url"))?;
    let (host, uri) = cut(url);
    let named = |header: &Value| {
        Some((header.get("name")?.as_str()?.to_owned(), header.get("value")?.as_str()?.into()))
    };
    let listed = entry.pointer("/request/headers").and_then(Value::as_array);
    let mut headers: Vec<(String, Vec<u8>)> = listed.into_iter().flatten().filter_map(named).collect();
    // Browsers speaking HTTP/2 note `:authority` and the like.
    headers.retain(|(name, _)| !name.starts_with(':'));
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        headers.insert(0, ("Host".into(), host.into()));
    }
    let request = Request {
        name: Some(url.to_owned()),
        method: of("/request/method").unwrap_or("GET").to_owned(),
        uri: uri.into_bytes(),
        version: version(of("/request/httpVersion").unwrap_or("HTTP/1.1")),
        headers,
        body: of("/request/postData/text").unwrap_or_default().into(),
        ..Request::default()
    };
    Ok(request.with_length())
}

/// `h2`, `h3` and the like as a firewall names them.
fn version(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "h2" | "http/2" | "http/2.0" => "HTTP/2.0".to_owned(),
        "h3" | "http/3" | "http/3.0" => "HTTP/3.0".to_owned(),
        "http/1.0" => "HTTP/1.0".to_owned(),
        _ => "HTTP/1.1".to_owned(),
    }
}

/// The host, and path with query, of a URL.
fn cut(url: &str) -> (&str, String) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, uri) = rest.split_at(end);
    let uri = if uri.starts_with('/') { uri.to_owned() } else { format!("/{uri}") };
    (host, uri)
}
