//! Access logs whose lines are JSON: nginx with a JSON format, Caddy, Traefik, Envoy, and whatever names its fields alike.

use super::access::{read_request, seconds, settle, target};
use super::event::{Event, Method, Server, USER_BYTES_MAX, Visit, WORD_BYTES_MAX, What, clean};
use super::line::Place;
use super::time::Clock;
use super::words::address;
use serde_json::Value;

/// Names of fields in small letters, `-` as `_`; the first that is there counts.
const CLIENT: &[&str] = &[
    "remote_addr",
    "client_ip",
    "clientip",
    "remote_ip",
    "clienthost",
    "clientaddr",
    "downstream_remote_address",
    "remoteaddr",
    "remoteip",
    "client_address",
    "client",
    "source_ip",
    "src_ip",
    "ip",
    "remote_host",
    "host_ip",
];
const STATUS: &[&str] = &[
    "status",
    "status_code",
    "response_code",
    "downstreamstatus",
    "statuscode",
    "response_status",
    "http_status",
];
const METHOD: &[&str] = &["request_method", "method", "requestmethod", "http_method", "verb"];
const PATH: &[&str] = &[
    "request_uri",
    "uri",
    "requestpath",
    "x_envoy_origin_path",
    "request_path",
    "path",
    "url",
    "uri_path",
    "request_url",
];
const TIME: &[&str] = &[
    "time_iso8601",
    "time_local",
    "@timestamp",
    "timestamp",
    "start_time",
    "startutc",
    "time",
    "ts",
    "msec",
    "datetime",
    "startlocal",
    "date",
    "request_time_local",
];
const BYTES: &[&str] = &[
    "body_bytes_sent",
    "bytes_sent",
    "downstreamcontentsize",
    "response_size",
    "bytes",
    "size",
    "resp_body_size",
    "response_length",
];
const HOST: &[&str] =
    &["http_host", "host", "vhost", "server_name", "requesthost", ":authority", "authority", "domain"];
const AGENT: &[&str] = &["http_user_agent", "user_agent", "useragent", "agent", "request_user_agent", "ua"];
const FORWARDED: &[&str] = &["http_x_forwarded_for", "x_forwarded_for", "xff", "forwarded_for"];
const USER: &[&str] = &["remote_user", "user_id", "clientusername"];

/// Reads one object; `None` where it is no visit.
pub fn visit(value: &Value, clock: &Clock, place: &Place) -> Option<Event> {
    let fields = Fields { top: value, request: value.get("request").filter(|inner| inner.is_object()) };
    // Of several addresses the first is the client's.
    let first = |names| fields.text(names).and_then(|text: &str| address(text.split(',').next()?.trim()));
    let client = first(CLIENT)?;
    let status = fields.find(STATUS).and_then(number).filter(|status| *status < 1000)? as u16;
    let mut visit = Visit { server: server_of(value), status, ..Visit::default() };
    match (fields.text(METHOD), fields.text(PATH)) {
        (Some(method), path) => {
            visit.method = Method::read(&method.to_ascii_uppercase()).unwrap_or(Method::Garbage);
            target(path.unwrap_or_default(), &mut visit);
        }
        (None, _) => read_request(value.get("request")?.as_str()?, &mut visit),
    }
    let time_ms =
        TIME.iter().filter_map(|name| fields.named(name)).find_map(|value| time_of(value, clock))?;
    visit.bytes = fields.find(BYTES).and_then(number).unwrap_or(0);
    visit.duration_ms = duration(value);
    visit.agent =
        clean(fields.text(AGENT).or_else(|| agent_header(value)).unwrap_or_default(), WORD_BYTES_MAX);
    visit.user = clean(fields.text(USER).unwrap_or_default(), USER_BYTES_MAX);
    visit.forwarded = first(FORWARDED).map(|(address, _)| address);
    settle(&mut visit);
    let host = clean(fields.text(HOST).unwrap_or_default(), WORD_BYTES_MAX);
    Some(place.event(time_ms, client, host, What::Visit(visit)))
}

struct Fields<'a> {
    top: &'a Value,
    request: Option<&'a Value>,
}

impl<'a> Fields<'a> {
    fn named(&self, name: &str) -> Option<&'a Value> {
        [Some(self.top), self.request].into_iter().flatten().find_map(|object| {
            let members = object.as_object()?;
            members.iter().find(|(key, _)| same(key, name)).map(|(_, value)| value)
        })
    }

    fn find(&self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| self.named(name).filter(|value| !value.is_null() && !value.is_object()))
    }

    fn text(&self, names: &[&str]) -> Option<&'a str> {
        names
            .iter()
            .find_map(|name| self.named(name)?.as_str().filter(|text| !text.is_empty() && *text != "-"))
    }
}

/// Whether a key is a name, letters of both sizes and `-` for `_` alike.
fn same(key: &str, name: &str) -> bool {
    let fold = |byte: u8| if byte == b'-' { b'_' } else { byte.to_ascii_lowercase() };
    key.len() == name.len() && key.bytes().zip(name.bytes()).all(|(a, b)| fold(a) == b)
}

fn number(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .or_else(|| value.as_f64().map(|float| float as u64))
}

/// A time as text of any shape, or as seconds, milliseconds, micro- or nanoseconds since 1970.
pub fn time_of(value: &Value, clock: &Clock) -> Option<i64> {
    let float = match value {
        Value::String(text) => match clock.leading(text.trim_start_matches('[')) {
            Some((ms, _)) => return Some(ms),
            None => text.parse::<f64>().ok()?,
        },
        other => other.as_f64()?,
    };
    let ms = match float {
        _ if float < 1e8 => return None,
        _ if float < 1e11 => float * 1e3,
        _ if float < 1e14 => float,
        _ if float < 1e17 => float / 1e3,
        _ if float < 1e20 => float / 1e6,
        // Beyond the year 5000, or no number at all.
        _ => return None,
    };
    Some(ms as i64)
}

/// Seconds as nginx and Caddy write them; Traefik's `Duration` is in nanoseconds, Envoy's `duration` in milliseconds.
fn duration(value: &Value) -> Option<u32> {
    let cut = |ms: f64| (0.0..1e9).contains(&ms).then_some(ms as u32);
    if let Some(told) = value.get("request_time").or_else(|| value.get("upstream_response_time")) {
        return told.as_str().and_then(seconds).or_else(|| cut(told.as_f64()? * 1e3));
    }
    if let Some(nanoseconds) = value.get("Duration").and_then(Value::as_f64) {
        return cut(nanoseconds / 1e6);
    }
    let told = value.get("duration").or_else(|| value.get("latency"))?;
    match told {
        Value::Number(number) if number.is_f64() => cut(number.as_f64()? * 1e3),
        Value::Number(number) => cut(number.as_f64()?),
        other => other.as_str().and_then(seconds),
    }
}

/// Caddy keeps the request's headers as lists, Traefik as fields of their own.
fn agent_header(value: &Value) -> Option<&str> {
    let header =
        value.get("request").and_then(|request| request.get("headers")).and_then(|all| all.get("User-Agent"));
    let told = header.and_then(|list| list.get(0)).or(header).or_else(|| value.get("request_User-Agent"))?;
    told.as_str()
}

fn server_of(value: &Value) -> Server {
    let is_nginx = ["body_bytes_sent", "time_iso8601"].iter().any(|name| value.get(name).is_some());
    if is_nginx { Server::Nginx } else { Server::Other }
}
