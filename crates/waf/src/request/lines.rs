//! Requests as JSON lines: `{"method":"GET","uri":"/?a=1","headers":{"Host":"a"},"body":"…"}`. Type and length of a
//! body are added where they are missing, unless the line says `"complete":false`.

use super::{REQUESTS_COUNT_MAX, Request, Requests};
use crate::place::{Place, Unread, both};
use netwhy_model::Text;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Reads one request a line, or one list of them.
pub fn lines(file: &Arc<str>, text: &str) -> Requests {
    let mut read = Requests::default();
    if let Ok(Value::Array(values)) = serde_json::from_str(text) {
        for value in values.iter().take(REQUESTS_COUNT_MAX) {
            read.keep(request(value), Place::new(file, 1, 1), "");
        }
        return read;
    }
    for (at, line) in text.lines().enumerate().take(REQUESTS_COUNT_MAX) {
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            continue;
        }
        let place = Place::new(file, u32::try_from(at + 1).unwrap_or(u32::MAX), 1);
        let value: Result<Value, Text> = serde_json::from_str(line)
            .map_err(|fault| both(format!("no JSON: {fault}"), format!("不是 JSON：{fault}")));
        read.keep(value.and_then(|value| request(&value)), place, line);
    }
    read
}

impl Requests {
    pub(super) fn keep(&mut self, request: Result<Request, Text>, place: Place, words: &str) {
        match request {
            Ok(request) => self.requests.push(request),
            Err(why) => self.unread.push(Unread::new(place, words, why)),
        }
    }
}

/// One request; only `uri` (or `url`, or `path`) must be there.
fn request(value: &Value) -> Result<Request, Text> {
    let map = value.as_object().ok_or_else(|| both("no JSON object", "不是 JSON 对象"))?;
    let text = |names: &[&str]| names.iter().find_map(|name| map.get(*name)?.as_str());
    let uri = text(&["uri", "url", "path", "target"]).ok_or_else(|| both("it has no uri", "缺少 uri"))?;
    let version = text(&["version", "http_version", "httpVersion", "protocol"]).unwrap_or("HTTP/1.1");
    let request = Request {
        name: text(&["name", "id", "title"]).map(str::to_owned),
        method: text(&["method"]).unwrap_or("GET").to_owned(),
        uri: uri.as_bytes().to_vec(),
        version: version.to_owned(),
        headers: headers(map.get("headers")),
        body: body(map)?,
        added: Vec::new(),
        client: text(&["client", "src", "remote_addr", "client_ip"]).and_then(|text| text.parse().ok()),
    };
    let complete = ["complete", "autocomplete_headers"].iter().find_map(|name| map.get(*name)?.as_bool());
    Ok(if complete.unwrap_or(true) { request.with_type().with_length() } else { request })
}

/// Headers as an object (a value may be a list), a list of pairs, or a list of objects with name and value.
fn headers(value: Option<&Value>) -> Vec<(String, Vec<u8>)> {
    let mut headers = Vec::new();
    match value {
        Some(Value::Object(map)) => {
            for (name, value) in map {
                let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                headers.extend(values.iter().map(|value| (name.clone(), bytes(value))));
            }
        }
        Some(Value::Array(list)) => headers.extend(list.iter().filter_map(pair)),
        _ => {}
    }
    headers
}

fn pair(value: &Value) -> Option<(String, Vec<u8>)> {
    let (name, value) = match value {
        Value::Array(pair) => (pair.first()?, pair.get(1)?),
        Value::Object(map) => (map.get("name")?, map.get("value")?),
        _ => return None,
    };
    Some((name.as_str()?.to_owned(), bytes(value)))
}

/// A text as its bytes, a number or a truth as it is written.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        Value::Null => Vec::new(),
        other => other.to_string().into_bytes(),
    }
}

fn body(map: &Map<String, Value>) -> Result<Vec<u8>, Text> {
    for name in ["body_base64", "bodyBase64"] {
        if let Some(text) = map.get(name).and_then(Value::as_str) {
            return Ok(crate::transform::Transform::Base64DecodeExt.apply(text.as_bytes()));
        }
    }
    let body = ["body", "data"].iter().find_map(|name| map.get(*name)).map(bytes).unwrap_or_default();
    if body.len() > super::REQUEST_BYTES_MAX { Err(super::too_large()) } else { Ok(body) }
}
