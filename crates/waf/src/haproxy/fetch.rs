//! What ACLs look at: `path`, `hdr(host),lower`, `src`, `sc_http_req_rate(0)`.

use super::Section;
use super::rules::Asked;
use crate::body::form;
use crate::place::both;
use crate::request::Request;
use crate::transform::Transform;
use netwhy_model::Text;

/// What a fetch gives.
pub enum Sample {
    /// The values, and how they are compared where nothing else is said.
    Text(Vec<String>, &'static str),
    /// A rate: what is counted, "requests in 10s from one address".
    Rate(Text),
    Unknown(Text),
}

/// Ways to compare that a fetch's name may end in.
const ENDINGS: &[(&str, &str)] = &[
    ("_beg", "beg"),
    ("_dir", "dir"),
    ("_dom", "dom"),
    ("_end", "end"),
    ("_len", "len"),
    ("_reg", "reg"),
    ("_sub", "sub"),
];

/// Takes a sample with its converters.
pub fn sample(asked: &Asked, section: &Section, text: &str) -> Sample {
    let mut pieces = converters(text).into_iter();
    let fetch = pieces.next().unwrap_or_default();
    let (name, argument) = call(fetch);
    if let Some(what) = counted(asked, section, name) {
        return Sample::Rate(what);
    }
    let (name, kind) = match ENDINGS.iter().find_map(|(end, kind)| Some((name.strip_suffix(end)?, *kind))) {
        Some(pair) => pair,
        None => (name, default_kind(name)),
    };
    let Some(mut values) = values(asked.request, name, argument) else {
        return Sample::Unknown(both(
            format!("{fetch} is not known from the request"),
            format!("从请求中无法得知 {fetch}"),
        ));
    };
    for converter in pieces {
        let (name, _) = call(converter);
        match converted(values, name) {
            Some(made) => values = made,
            None => {
                return Sample::Unknown(both(
                    format!("the converter {name} is not modelled"),
                    format!("尚未模拟转换器 {name}"),
                ));
            }
        }
    }
    Sample::Text(values, kind)
}

/// Cuts at commas outside of parentheses.
fn converters(text: &str) -> Vec<&str> {
    let (mut pieces, mut start, mut depth) = (Vec::new(), 0, 0usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

/// `hdr(host)` is `hdr` and `host`.
fn call(text: &str) -> (&str, &str) {
    match text.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')').unwrap_or(rest)),
        None => (text, ""),
    }
}

fn default_kind(name: &str) -> &'static str {
    match name {
        "src" => "ip",
        "req.body_len" | "req.body_size" | "req.hdr_cnt" | "hdr_cnt" | "req.len" => "int",
        "always_true" | "always_false" => "bool",
        _ => "str",
    }
}

fn converted(values: Vec<String>, name: &str) -> Option<Vec<String>> {
    let each = |change: &dyn Fn(&str) -> String| Some(values.iter().map(|value| change(value)).collect());
    match name {
        "lower" => each(&|value| value.to_lowercase()),
        "upper" => each(&|value| value.to_uppercase()),
        "url_dec" => {
            each(&|value| String::from_utf8_lossy(&Transform::UrlDecode.apply(value.as_bytes())).into_owned())
        }
        "length" => each(&|value| value.len().to_string()),
        "host_only" => each(&|value| value.split(':').next().unwrap_or_default().to_owned()),
        _ => None,
    }
}

fn values(request: &Request, name: &str, argument: &str) -> Option<Vec<String>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let argument = argument.split(',').next().unwrap_or_default().trim();
    let headers = || {
        let named = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(argument));
        named.map(|(_, value)| text(value)).collect::<Vec<_>>()
    };
    let query = || request.query().unwrap_or_default();
    Some(match name {
        "src" => vec![request.client?.to_string()],
        "method" => vec![request.method.clone()],
        "path" => vec![text(request.path())],
        "url" | "pathq" => vec![text(&request.uri)],
        "query" => request.query().map(text).into_iter().collect(),
        "base" => vec![text(request.header("host").unwrap_or_default()) + &text(request.path())],
        "req.ver" | "req_ver" => vec![request.version.trim_start_matches("HTTP/").to_owned()],
        // The comma-separated values of a header count one by one; `fhdr` takes them whole.
        "hdr" | "req.hdr" => {
            headers().iter().flat_map(|value| value.split(',')).map(|value| value.trim().to_owned()).collect()
        }
        "fhdr" | "req.fhdr" => headers(),
        "hdr_cnt" | "req.hdr_cnt" => vec![headers().len().to_string()],
        "cook" | "req.cook" | "req.cookie" => {
            let cookies = form::cookies(request.header("cookie").unwrap_or_default());
            cookies
                .iter()
                .filter(|(key, _)| key == argument.as_bytes())
                .map(|(_, value)| text(value))
                .collect()
        }
        "url_param" | "urlp" => {
            let (pairs, _) = form::arguments(query(), b'&');
            pairs.iter().filter(|(key, _)| key == argument.as_bytes()).map(|(_, value)| text(value)).collect()
        }
        "req.body" => vec![text(&request.body)],
        "req.body_len" | "req.body_size" | "req.len" => vec![request.body.len().to_string()],
        "always_true" => vec!["1".to_owned()],
        "always_false" => vec!["0".to_owned()],
        _ => return None,
    })
}

/// What a counter of a stick-table counts.
fn counted(asked: &Asked, section: &Section, name: &str) -> Option<Text> {
    let rest = name.strip_prefix("sc").or_else(|| name.strip_prefix("src"))?;
    let counter = rest.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('_')?;
    let (en, zh) = match counter {
        "http_req_rate" | "http_req_cnt" => ("requests", "个请求"),
        "http_err_rate" | "http_err_cnt" | "http_fail_rate" | "http_fail_cnt" => {
            ("failed requests", "个失败请求")
        }
        "conn_rate" | "conn_cnt" => ("connections", "个连接"),
        "conn_cur" => ("connections at once", "个并发连接"),
        "sess_rate" | "sess_cnt" => ("sessions", "个会话"),
        "bytes_in_rate" | "kbytes_in" => ("bytes received", "字节（接收）"),
        "bytes_out_rate" | "kbytes_out" => ("bytes sent", "字节（发送）"),
        "get_gpc0" | "get_gpc1" | "gpc0_rate" | "gpc1_rate" | "get_gpt0" => ("marks", "次标记"),
        _ => return None,
    };
    let period = period(asked, section, counter);
    let of = tracked(section);
    let within = period.as_ref().map(|period| format!(" in {period}")).unwrap_or_default();
    let within_zh = period.map(|period| format!("（{period} 内）")).unwrap_or_default();
    Some(both(format!("{en}{within} {}", of.en), format!("{zh}{within_zh}，{}", of.zh)))
}

/// The period that a table counts over: `store http_req_rate(10s)`.
fn period(asked: &Asked, section: &Section, counter: &str) -> Option<String> {
    let own = section.lines.iter();
    let others = asked.haproxy.sections.iter().flat_map(|section| &section.lines);
    let tables = own.chain(others).filter(|line| line.word(0) == "stick-table");
    let stored = tables.flat_map(|table| &table.words).flat_map(|word| word.split("),"));
    let found = stored.filter_map(|word| word.trim_start_matches("store ").split_once('('));
    found
        .filter(|(name, _)| name.ends_with(counter))
        .map(|(_, period)| period.trim_end_matches(')').to_owned())
        .next()
}

/// Whose requests are counted together.
fn tracked(section: &Section) -> Text {
    let line = section.lines.iter().find(|line| line.words.iter().any(|word| word.starts_with("track-sc")));
    let key = line.and_then(|line| {
        let at = line.words.iter().position(|word| word.starts_with("track-sc"))?;
        line.words.get(at + 1).map(String::as_str)
    });
    match key {
        None | Some("src") => both("from one address", "同一地址"),
        Some(other) => both(format!("with the same {other}"), format!("{other} 相同")),
    }
}
