//! Limits: how long a body may be, how many requests a second, how many connections at once.

use super::values::Values;
use super::{Chain, Directive, inherited};
use crate::place::both;
use crate::request::Request;
use crate::web::{Findings, WebRule};
use netwhy_model::Text;

/// What nginx takes where nothing is said, in bytes.
const BODY_BYTES_DEFAULT: u64 = 1 << 20;
/// What it answers to what is too much, where nothing else is said.
const STATUS_DEFAULT: u16 = 503;

pub fn body(chain: &Chain, request: &Request, findings: &mut Findings) {
    let own = inherited(chain, &["client_max_body_size"]);
    let most = own.first().map_or(Some(BODY_BYTES_DEFAULT), |directive| bytes(directive.word(1)));
    let length = request.body.len() as u64;
    let Some(most) = most.filter(|most| *most > 0 && length > *most) else { return };
    let why = both(
        format!("the body has {length} bytes, and {most} are allowed"),
        format!("请求体有 {length} 字节，上限为 {most} 字节"),
    );
    let place = own.first().or(chain.last()).map(|directive| directive.place.clone());
    if let Some(place) = place {
        let rule =
            format!("client_max_body_size {}", own.first().map_or("1m", |directive| directive.word(1)));
        Findings::note(&mut findings.stops, WebRule::new(&place, &rule, Some(413), why));
    }
}

/// `10`, `8k`, `1m`, `1g`.
fn bytes(text: &str) -> Option<u64> {
    let small = text.to_ascii_lowercase();
    let digits = small.trim_end_matches(['k', 'm', 'g']);
    let shift = match small.as_bytes().last() {
        Some(b'k') => 10,
        Some(b'm') => 20,
        Some(b'g') => 30,
        _ => 0,
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_shl(shift))
}

pub fn rates(main: &[Directive], chain: &Chain, values: &Values, findings: &mut Findings) {
    for (name, zones) in [("limit_req", "limit_req_zone"), ("limit_conn", "limit_conn_zone")] {
        let status = inherited(chain, &[&format!("{name}_status")]);
        let status =
            status.first().and_then(|directive| directive.word(1).parse().ok()).unwrap_or(STATUS_DEFAULT);
        let dry =
            inherited(chain, &[&format!("{name}_dry_run")]).first().is_some_and(|own| own.word(1) == "on");
        for limit in inherited(chain, &[name]).into_iter().filter(|_| !dry) {
            let zone = if name == "limit_req" { option(limit, "zone=") } else { Some(limit.word(1)) };
            let zone = zone.and_then(|zone| find_zone(main, zones, zone));
            let Some(why) = told(limit, zone, values, status) else { continue };
            Findings::note(
                &mut findings.limits,
                WebRule::new(&limit.place, &limit.text(), Some(status), why),
            );
        }
    }
}

fn option<'a>(directive: &'a Directive, name: &str) -> Option<&'a str> {
    directive.words.iter().find_map(|word| word.strip_prefix(name))
}

fn find_zone<'a>(main: &'a [Directive], kind: &str, name: &str) -> Option<&'a Directive> {
    let inside = main.iter().filter(|directive| directive.name() == "http").flat_map(|http| &http.block);
    let named =
        |zone: &&Directive| option(zone, "zone=").is_some_and(|text| text.split(':').next() == Some(name));
    main.iter().chain(inside).filter(|directive| directive.name() == kind).find(named)
}

/// What the limit means; none where the request does not count for it.
fn told(limit: &Directive, zone: Option<&Directive>, values: &Values, status: u16) -> Option<Text> {
    let Some(zone) = zone else {
        return Some(both("its zone is not defined", "未定义其 zone"));
    };
    let key = zone.word(1);
    // An empty key is not counted.
    if values.expanded(key) == Ok(String::new()) {
        return None;
    }
    let (per_en, per_zh) = of_key(key);
    if limit.name() == "limit_conn" {
        let most = limit.word(2);
        return Some(both(
            format!("more than {most} connections at once {per_en} are answered {status}"),
            format!("{per_zh}同时超过 {most} 个连接时返回 {status}"),
        ));
    }
    let rate = option(zone, "rate=").unwrap_or("1r/s");
    let (number, minute) = (rate.trim_end_matches("r/s").trim_end_matches("r/m"), rate.ends_with("r/m"));
    let (unit_en, unit_zh) = if minute { ("minute", "分钟") } else { ("second", "秒") };
    let burst = option(limit, "burst=").unwrap_or("0");
    let (late_en, late_zh) = match (burst, limit.words.iter().any(|word| word == "nodelay")) {
        ("0", _) => (String::new(), String::new()),
        (burst, true) => (format!(" ({burst} more may come at once)"), format!("（允许突发 {burst} 个）")),
        (burst, false) => {
            (format!(" ({burst} more wait their turn)"), format!("（另有 {burst} 个排队等待）"))
        }
    };
    Some(both(
        format!("more than {number} requests a {unit_en} {per_en} are answered {status}{late_en}"),
        format!("{per_zh}每{unit_zh}超过 {number} 个请求时返回 {status}{late_zh}"),
    ))
}

fn of_key(key: &str) -> (String, String) {
    match key {
        "$binary_remote_addr" | "$remote_addr" => ("from one address".into(), "同一地址".into()),
        "$server_name" | "$host" | "$http_host" => ("to the whole server".into(), "整个服务器".into()),
        other => (format!("with the same {other}"), format!("{other} 相同的请求")),
    }
}
