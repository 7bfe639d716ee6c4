//! Matches that count or remember: limits, quotas, lists of recent addresses.

use super::build::{Build, Fault};
use super::extension::{Extension, Given, Loaded};
use crate::netfilter::ast::{Limit, Operand, Part, UpdateKind};

const DEFAULT_BURST: u64 = 5;

pub(super) const MATCHES: &[Extension] = &[
    Extension { name: "limit", options: &[("--limit", 1), ("--limit-burst", 1)], build: limit },
    Extension {
        name: "hashlimit",
        options: &[
            ("--hashlimit-upto", 1),
            ("--hashlimit-above", 1),
            ("--hashlimit", 1),
            ("--hashlimit-burst", 1),
            ("--hashlimit-mode", 1),
            ("--hashlimit-name", 1),
            ("--hashlimit-srcmask", 1),
            ("--hashlimit-dstmask", 1),
            ("--hashlimit-htable-size", 1),
            ("--hashlimit-htable-max", 1),
            ("--hashlimit-htable-expire", 1),
            ("--hashlimit-htable-gcinterval", 1),
            ("--hashlimit-rate-match", 0),
            ("--hashlimit-rate-interval", 1),
        ],
        build: hashlimit,
    },
    Extension {
        name: "recent",
        options: &[
            ("--set", 0),
            ("--rcheck", 0),
            ("--update", 0),
            ("--remove", 0),
            ("--seconds", 1),
            ("--reap", 0),
            ("--hitcount", 1),
            ("--rttl", 0),
            ("--name", 1),
            ("--mask", 1),
            ("--rsource", 0),
            ("--rdest", 0),
        ],
        build: recent,
    },
    Extension { name: "quota", options: &[("--quota", 1)], build: quota },
    Extension {
        name: "statistic",
        options: &[("--mode", 1), ("--probability", 1), ("--every", 1), ("--packet", 1)],
        build: statistic,
    },
    Extension {
        name: "time",
        options: &[
            ("--timestart", 1),
            ("--timestop", 1),
            ("--monthdays", 1),
            ("--weekdays", 1),
            ("--datestart", 1),
            ("--datestop", 1),
            ("--contiguous", 0),
            ("--kerneltz", 0),
            ("--localtz", 0),
            ("--utc", 0),
        ],
        build: time,
    },
];

fn limit(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let mut limit =
        Limit { rate: 3, per_s: 3600, burst: DEFAULT_BURST, bytes: false, over: false, keyed: false };
    for given in &loaded.options {
        match given.name() {
            "--limit" => (limit.rate, limit.per_s) = rate(given.text()).ok_or_else(|| given.bad_value())?,
            _ => limit.burst = count(given)?,
        }
        if given.negated {
            return Err(given.wrong("a limit cannot be negated", "limit 不能取反"));
        }
    }
    build.parts.push(Part::Limit(limit));
    Ok(())
}

fn count(given: &Given<'_>) -> Result<u64, Fault> {
    Ok(u64::try_from(given.number(u64::MAX)?).unwrap_or(u64::MAX))
}

/// `5/min`, `10/second`, `3`: how many in how many seconds.
fn rate(text: &str) -> Option<(u64, u64)> {
    let (rate, unit) = text.split_once('/').unwrap_or((text, "second"));
    let fits = |name: &str| !unit.is_empty() && name.starts_with(&unit.to_ascii_lowercase());
    let per_s = match () {
        () if fits("second") => 1,
        () if fits("minute") => 60,
        () if fits("hour") => 3600,
        () if fits("day") => 86_400,
        () => return None,
    };
    rate.parse().ok().filter(|rate| *rate > 0).map(|rate| (rate, per_s))
}

/// `512kb/s`: bytes in a second.
fn byte_rate(text: &str) -> Option<u64> {
    let text = text.strip_suffix("/s").or_else(|| text.strip_suffix("/sec")).unwrap_or(text);
    let text = text.strip_suffix('b')?;
    let (digits, factor) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1 << 10),
        b'm' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

fn hashlimit(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let is_rate =
        |given: &&Given<'_>| matches!(given.name(), "--hashlimit-upto" | "--hashlimit-above" | "--hashlimit");
    let Some(given) = loaded.options.iter().find(is_rate) else {
        return Err(loaded.fault("hashlimit needs a rate", "hashlimit 需要速率"));
    };
    if !loaded.has("--hashlimit-name") {
        return Err(loaded.fault("hashlimit needs a name", "hashlimit 需要名称"));
    }
    let over = (given.name() == "--hashlimit-above") != given.negated;
    let bytes = byte_rate(given.text());
    let (rate, per_s) = match bytes {
        Some(bytes) => (bytes, 1),
        None => rate(given.text()).ok_or_else(|| given.bad_value())?,
    };
    let burst = match loaded.get("--hashlimit-burst") {
        Some(given) => count(given).or_else(|fault| byte_rate(given.text()).ok_or(fault))?,
        None => DEFAULT_BURST,
    };
    build.parts.push(Part::Limit(Limit { rate, per_s, burst, bytes: bytes.is_some(), over, keyed: true }));
    Ok(())
}

/// A list of addresses seen lately. Entering one always matches; asking for one depends on what came before.
fn recent(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let is_act = |given: &&Given<'_>| matches!(given.name(), "--set" | "--rcheck" | "--update" | "--remove");
    let mut acts = loaded.options.iter().filter(is_act);
    let (Some(act), None) = (acts.next(), acts.next()) else {
        return Err(loaded.fault(
            "recent needs one of --set, --rcheck, --update, --remove",
            "recent 需要 --set、--rcheck、--update、--remove 之一",
        ));
    };
    if act.name() == "--set" && (loaded.has("--rttl") || loaded.has("--hitcount") || loaded.has("--seconds"))
    {
        return Err(act.wrong("--set takes no conditions", "--set 不带条件"));
    }
    let name = loaded.get("--name").map_or("DEFAULT", |given| given.text());
    let kind = match act.name() {
        "--set" => Some(UpdateKind::Add),
        "--update" => Some(UpdateKind::Update),
        "--remove" => Some(UpdateKind::Delete),
        _ => None,
    };
    if kind != Some(UpdateKind::Add) || act.negated {
        build.unknown(
            &loaded.text(),
            "which addresses were seen lately is not known",
            "无法得知最近见过哪些地址",
        );
    }
    if let Some(kind) = kind {
        let field = match loaded.has("--rdest") {
            false => {
                build.family(crate::netfilter::ast::Field::Ip4Source, crate::netfilter::ast::Field::Ip6Source)
            }
            true => build.family(
                crate::netfilter::ast::Field::Ip4Destination,
                crate::netfilter::ast::Field::Ip6Destination,
            ),
        };
        let keys = vec![Operand::plain(field)];
        build.parts.push(Part::Update { set: format!("recent:{name}"), kind, keys, also: Vec::new() });
    }
    Ok(())
}

fn quota(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let [given] = loaded.options.as_slice() else {
        return Err(loaded.fault("quota needs one number of bytes", "quota 需要一个字节数"));
    };
    let bytes = count(given)?;
    build.parts.push(Part::Quota { bytes, over: given.negated });
    Ok(())
}

fn statistic(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let Some(mode) = loaded.get("--mode") else {
        return Err(loaded.fault("statistic needs a mode", "statistic 需要模式"));
    };
    let whole = |option: &str| loaded.get(option).map(count).transpose();
    let good = match mode.text() {
        "random" => loaded
            .get("--probability")
            .is_none_or(|given| given.text().parse::<f64>().is_ok_and(|share| (0.0..=1.0).contains(&share))),
        "nth" => match (whole("--every")?, whole("--packet")?) {
            (Some(every), Some(packet)) => packet < every,
            (every, None) => every.is_some() && loaded.options.iter().all(|given| !given.negated),
            _ => false,
        },
        _ => false,
    };
    if !good {
        return Err(mode.bad_value());
    }
    build.unknown(
        &loaded.text(),
        "only some packets match, at random or in turn",
        "仅部分报文匹配（随机或轮流）",
    );
    Ok(())
}

fn time(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    build.unknown(&loaded.text(), "it depends on the time of day", "取决于时间");
    Ok(())
}
