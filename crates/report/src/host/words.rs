//! Numbers, times and names as a person reads them.

use netwhy_model::host::{Finding, Reading, RuleVerdict, Severity, State};
use netwhy_model::{Lang, LinkState, Stamp};

/// From this fill on something with a limit is marked as odd, 0 to 1.
pub(super) const FILL_ODD_MIN: f64 = 0.8;
/// From this fill on it is marked as bad.
pub(super) const FILL_BAD_MIN: f64 = 1.0;
/// Smallest number written with separators.
const GROUPED_MIN: u64 = 10_000;
/// Bytes of one step to the next unit.
const UNIT_STEP_BYTES: f64 = 1_024.0;

/// The number with its thousands apart: `1,234,567`; up to four digits stay together.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    if number < GROUPED_MIN {
        return digits;
    }
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit a person would choose: `1.5 GiB`.
pub fn bytes(count: u64) -> String {
    let mut amount = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if amount < UNIT_STEP_BYTES {
            break;
        }
        amount /= UNIT_STEP_BYTES;
        unit = next;
    }
    match unit {
        "B" => format!("{count} B"),
        _ if amount >= 100.0 => format!("{amount:.0} {unit}"),
        _ => format!("{amount:.1} {unit}"),
    }
}

/// A moment to the second, in UTC: `2026-11-22 03:12:07Z`; none for the epoch, which says "undated".
pub fn shown_time(at: Stamp) -> Option<String> {
    if at.millis() == 0 {
        return None;
    }
    let text = at.to_string();
    let seconds = text.get(..19)?;
    Some(format!("{}Z", seconds.replace('T', " ")))
}

/// How full a reading with a limit is, 0 to 1 and beyond; none where the limit is only something to compare with.
pub fn fill_of(reading: &Reading) -> Option<f64> {
    if reading.name.contains("available") || reading.name.starts_with("load ") {
        return None;
    }
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let (value, limit) = (number(&reading.value)?, number(reading.limit.as_deref()?)?);
    (limit > 0.0 && value >= 0.0).then(|| value / limit)
}

/// How a fill looks by itself.
pub(super) fn fill_state(fill: Option<f64>) -> State {
    match fill {
        Some(fill) if fill >= FILL_BAD_MIN => State::Bad,
        Some(fill) if fill >= FILL_ODD_MIN => State::Odd,
        _ => State::Well,
    }
}

/// `87 %`; below one percent one digit more.
pub(super) fn percent(fill: f64) -> String {
    match fill * 100.0 {
        share if share > 0.0 && share < 1.0 => format!("{share:.1} %"),
        share => format!("{share:.0} %"),
    }
}

/// A value with its unit, bytes made readable.
pub(super) fn value(value: &str, unit: &str, lang: Lang) -> String {
    match (value.trim().parse::<u64>(), unit) {
        // The kernel's way to say that there is no limit.
        (Ok(count), _) if count >= 1 << 62 => "max".to_owned(),
        (Ok(count), "bytes") => bytes(count),
        (Ok(count), "") => grouped(count),
        (Ok(count), unit) => format!("{} {}", grouped(count), unit_name(unit, lang)),
        (Err(_), "") => value.to_owned(),
        (Err(_), unit) => format!("{value} {}", unit_name(unit, lang)),
    }
}

fn unit_name(unit: &str, lang: Lang) -> &str {
    let zh = match unit {
        "connections" => "个连接",
        "packets" => "个报文",
        "tasks" => "个任务",
        "files" => "个文件",
        "entries" => "条",
        "sockets" => "个套接字",
        "ports" => "个端口",
        "processes" => "个进程",
        "inodes" => "个 inode",
        "times" => "次",
        "s" => "秒",
        "ms" => "毫秒",
        other => other,
    };
    lang.pick(unit, zh)
}

/// The value of a reading: an MTU is a number people know by heart, other bytes are made readable.
pub(super) fn shown_value(reading: &Reading, lang: Lang) -> String {
    let unit = if reading.name.ends_with("MTU") { "" } else { &reading.unit };
    value(&reading.value, unit, lang)
}

/// Its limit, in the unit that stands beside its value.
pub(super) fn shown_limit(reading: &Reading, lang: Lang) -> String {
    let unit = if reading.unit == "bytes" { "bytes" } else { "" };
    reading.limit.as_deref().map_or_else(String::new, |limit| value(limit, unit, lang))
}

/// What a finding is about, in the language of the page.
pub fn subject(finding: &Finding, lang: Lang) -> Option<String> {
    let subject = finding.subject.as_deref()?;
    Some(match (lang, subject.strip_prefix("port ")) {
        (Lang::Zh, Some(rest)) => format!("端口 {rest}"),
        _ => subject.to_owned(),
    })
}

/// Where it was read, shorter for a setting whose name says the rest; `/proc/net` is that of the reading thread.
pub(super) fn source(reading: &Reading) -> String {
    let file = reading.from.strip_prefix("/proc/sys/").map(|rest| rest.replace('/', "."));
    match file.as_deref() == Some(&reading.name) {
        true => "sysctl".to_owned(),
        false => reading.from.replace("/proc/thread-self/net/", "/proc/net/"),
    }
}

/// `+312`; nothing when it did not move.
pub(super) fn delta(delta: Option<i64>) -> String {
    match delta {
        None | Some(0) => String::new(),
        Some(rise) if rise > 0 => format!("+{}", grouped(rise.unsigned_abs())),
        Some(fall) => format!("-{}", grouped(fall.unsigned_abs())),
    }
}

/// How grave, in a word.
pub(super) const fn severity(severity: Severity, lang: Lang) -> &'static str {
    match severity {
        Severity::Broken => lang.pick("broken", "故障"),
        Severity::Risk => lang.pick("risk", "风险"),
        Severity::Note => lang.pick("note", "提示"),
    }
}

/// The sign and colour of a severity are those of a link's state.
pub(super) const fn severity_state(severity: Severity) -> LinkState {
    match severity {
        Severity::Broken => LinkState::Broken,
        Severity::Risk => LinkState::Ailing,
        Severity::Note => LinkState::Unknown,
    }
}

/// The same for the state of a reading; none when it is well, for most are.
pub(super) const fn link_state(state: State) -> Option<LinkState> {
    match state {
        State::Well => None,
        State::Odd => Some(LinkState::Ailing),
        State::Bad => Some(LinkState::Broken),
    }
}

/// What a rule does, in its own tool's words.
pub(super) fn rule_verdict(verdict: &RuleVerdict) -> String {
    match verdict {
        RuleVerdict::Accept => "accept".to_owned(),
        RuleVerdict::Drop => "drop".to_owned(),
        RuleVerdict::Reject(with) => format!("reject {with}"),
        RuleVerdict::Jump(chain) => format!("jump {chain}"),
        RuleVerdict::Goto(chain) => format!("goto {chain}"),
        RuleVerdict::Return => "return".to_owned(),
        RuleVerdict::Queue => "queue".to_owned(),
        RuleVerdict::Nat(what) => what.clone(),
        RuleVerdict::NoTrack => "notrack".to_owned(),
        RuleVerdict::SynProxy => "synproxy".to_owned(),
        RuleVerdict::Continue => "continue".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(value: &str, limit: &str) -> Reading {
        let (name, from) = ("x".to_owned(), "y".to_owned());
        let limit = Some(limit.to_owned());
        let value = value.to_owned();
        let state = State::Well;
        Reading { name, value, unit: String::new(), limit, delta: None, from, state, note: None }
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(grouped(9_999), "9999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1_610_612_736), "1.5 GiB");
        assert_eq!(value("2048", "bytes", Lang::Zh), "2.0 KiB");
        assert_eq!(value("on", "", Lang::En), "on");
        assert_eq!(value("9223372036854775807", "files", Lang::En), "max");
        assert_eq!(value("7", "packets", Lang::Zh), "7 个报文");
        assert_eq!(
            (delta(Some(312)), delta(Some(-2)), delta(Some(0))),
            ("+312".into(), "-2".into(), "".into())
        );
        assert_eq!(percent(0.004), "0.4 %");
    }

    #[test]
    fn only_a_sound_limit_gives_a_fill() {
        assert_eq!(fill_of(&reading("50", "200")), Some(0.25));
        assert_eq!(fill_of(&Reading { name: "memory available".to_owned(), ..reading("9", "10") }), None);
        for (value, limit) in [("50", "0"), ("-1", "5"), ("x", "5"), ("5", "max"), ("nan", "5"), ("1", "inf")]
        {
            assert_eq!(fill_of(&reading(value, limit)), None, "{value}/{limit}");
        }
    }

    #[test]
    fn a_setting_is_named_once_and_an_mtu_stays_a_number() {
        let name = "net.core.somaxconn".to_owned();
        let from = "/proc/sys/net/core/somaxconn".to_owned();
        assert_eq!(source(&Reading { name, from, ..reading("1", "2") }), "sysctl");
        assert_eq!(source(&reading("1", "2")), "y");
        let mtu = Reading { name: "lo MTU".to_owned(), unit: "bytes".to_owned(), ..reading("65536", "") };
        assert_eq!(shown_value(&mtu, Lang::En), "65,536");
    }

    #[test]
    fn a_log_without_dates_shows_none() {
        assert_eq!(shown_time(Stamp::from_millis(0)), None);
        assert_eq!(
            shown_time(Stamp::from_millis(1_790_000_000_000)).as_deref(),
            Some("2026-09-21 14:13:20Z")
        );
    }
}
