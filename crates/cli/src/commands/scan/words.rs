//! States and reasons in words: as programs read them, and as people do in both languages.

use netwhy_model::Lang;
use netwhy_scan::{Protocol, Reason, State};
use std::net::IpAddr;
use std::time::Duration;

/// The word of a protocol, as programs read it.
pub(super) fn protocol_code(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

/// The word of a state, as programs read it.
pub(super) fn state_code(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Closed => "closed",
        State::Filtered => "filtered",
        State::Rejected => "rejected",
        State::Intercepted => "intercepted",
        State::Unknown => "unknown",
    }
}

/// The state a word stands for.
pub(super) fn state_of(code: &str) -> Option<State> {
    use State::{Closed, Filtered, Intercepted, Open, Rejected, Unknown};
    [Open, Closed, Filtered, Rejected, Intercepted, Unknown]
        .into_iter()
        .find(|&state| state_code(state) == code)
}

/// The state for people.
pub(super) fn state(state: State, lang: Lang) -> &'static str {
    match state {
        State::Open => lang.pick("open", "开放"),
        State::Closed => lang.pick("closed", "关闭"),
        State::Filtered => lang.pick("silent", "无应答"),
        State::Rejected => lang.pick("rejected", "被拒绝"),
        State::Intercepted => lang.pick("intercepted", "被代答"),
        State::Unknown => lang.pick("unknown", "未知"),
    }
}

/// The word of a reason, as programs read it.
pub(super) fn reason_code(reason: Reason) -> String {
    match reason {
        Reason::SynAck => "syn-ack".into(),
        Reason::Rst => "rst".into(),
        Reason::RstAfterHandshake => "rst-after-handshake".into(),
        Reason::Tarpit => "tarpit".into(),
        Reason::Icmp { kind, code, from } => match icmp(kind, code, from) {
            Some((name, _, _)) => name.into(),
            None => format!("icmp-{kind}-{code}"),
        },
        Reason::Answer => "answer".into(),
        Reason::NoAnswer => "no-answer".into(),
        Reason::Banned => "banned".into(),
        Reason::RateLimited => "rate-limited".into(),
        Reason::Local { .. } => "local-error".into(),
    }
}

/// The reason for people.
pub(super) fn reason(reason: Reason, lang: Lang) -> String {
    let words = match reason {
        Reason::SynAck => ("SYN-ACK", "SYN-ACK"),
        Reason::Rst => ("RST", "RST"),
        Reason::RstAfterHandshake => {
            ("RST after the handshake: a proxy spoke for it", "握手后 RST：由代理代答")
        }
        Reason::Tarpit => ("a tarpit: connections that never move", "焦油坑：连接从不推进"),
        Reason::Answer => ("answer", "有应答"),
        Reason::NoAnswer => ("no answer", "无应答"),
        Reason::Banned => ("the source was banned before it was sure", "尚未确定，源地址已被封禁"),
        Reason::RateLimited => {
            ("its answers are limited, silence says nothing", "应答受限速，沉默不说明问题")
        }
        Reason::Icmp { kind, code, from } => {
            let what = match icmp(kind, code, from) {
                Some((_, en, zh)) => lang.pick(en, zh).to_owned(),
                None => format!("ICMP {kind}/{code}"),
            };
            return match lang {
                Lang::En => format!("{what}, by {from}"),
                Lang::Zh => format!("{what}，来自 {from}"),
            };
        }
        Reason::Local { errno } => {
            let error = std::io::Error::from_raw_os_error(errno);
            return format!("{}: {error}", lang.pick("this host could not ask", "本机未能询问"));
        }
    };
    lang.pick(words.0, words.1).to_owned()
}

/// ICMP type and code: the name for programs, then for people (RFC 792, 1812, 4443).
fn icmp(kind: u8, code: u8, from: IpAddr) -> Option<(&'static str, &'static str, &'static str)> {
    let net = ("net-unreachable", "no route to the network", "没有到该网络的路由");
    let host = ("host-unreachable", "host unreachable", "主机不可达");
    let prohibited = ("admin-prohibited", "administratively prohibited", "管理性禁止");
    let port = ("port-unreachable", "port unreachable", "端口不可达");
    Some(match (from.is_ipv4(), kind, code) {
        (true, 3, 0 | 6) | (false, 1, 0) => net,
        (true, 3, 1 | 7) | (false, 1, 3) => host,
        (true, 3, 2) => ("protocol-unreachable", "protocol unreachable", "协议不可达"),
        (true, 3, 3) | (false, 1, 4) => port,
        (true, 3, 9) => ("net-prohibited", "network administratively prohibited", "管理性禁止该网络"),
        (true, 3, 10) => ("host-prohibited", "host administratively prohibited", "管理性禁止该主机"),
        (true, 3, 13) | (false, 1, 1) => prohibited,
        (false, 1, 5) => ("source-policy", "source address failed the policy", "源地址不符合策略"),
        (false, 1, 6) => ("reject-route", "a reject route", "拒绝路由"),
        (true, 11, _) | (false, 3, _) => {
            ("time-exceeded", "hop limit exceeded: a loop", "跳数耗尽：存在环路")
        }
        _ => return None,
    })
}

/// A number with a comma for every thousand.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let head = digits.len() % 3;
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index % 3 == head {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time in seconds, as exact as is of use.
pub(super) fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        short if short < 10.0 => format!("{short:.2} s"),
        long if long < 120.0 => format!("{long:.0} s"),
        long => format!("{:.0} min", long / 60.0),
    }
}

/// Ports as ranges, ascending and cut short: `22, 80-90, …`.
pub(super) fn ranges(ports: &[u16], part_count_max: usize) -> String {
    let mut sorted = ports.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut parts = Vec::new();
    for run in sorted.chunk_by(|low, high| low + 1 == *high) {
        if parts.len() == part_count_max {
            parts.push("…".to_owned());
            break;
        }
        match run {
            [only] => parts.push(only.to_string()),
            [first, .., last] => parts.push(format!("{first}-{last}")),
            [] => {}
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let all = [0, 7, 999, 1000, 65_535, 1_234_567].map(thousands);
        assert_eq!(all, ["0", "7", "999", "1,000", "65,535", "1,234,567"]);
        assert_eq!(ranges(&[80, 22, 81, 82, 443], 9), "22, 80-82, 443");
        assert_eq!(ranges(&[1, 3, 5, 7], 2), "1, 3, …");
        let times = [0, 450, 12_400, 600_000].map(|ms| seconds(Duration::from_millis(ms)));
        assert_eq!(times, ["0.00 s", "0.45 s", "12 s", "10 min"]);
    }

    #[test]
    fn every_state_has_a_word_that_leads_back() {
        for code in ["open", "closed", "filtered", "rejected", "intercepted", "unknown"] {
            assert_eq!(state_of(code).map(state_code), Some(code));
        }
        assert_eq!(state_of("up"), None);
    }

    #[test]
    fn icmp_is_named_by_family_and_code() {
        let of = |kind, code, from: &str| Reason::Icmp { kind, code, from: from.parse().unwrap() };
        assert_eq!(reason_code(of(3, 13, "10.0.0.1")), "admin-prohibited");
        assert_eq!(reason_code(of(1, 1, "fd00::1")), "admin-prohibited");
        assert_eq!(reason_code(of(1, 4, "fd00::1")), "port-unreachable");
        assert_eq!(reason_code(of(12, 0, "10.0.0.1")), "icmp-12-0");
        assert_eq!(reason(of(3, 13, "10.0.0.1"), Lang::En), "administratively prohibited, by 10.0.0.1");
        assert_eq!(reason(of(3, 13, "10.0.0.1"), Lang::Zh), "管理性禁止，来自 10.0.0.1");
    }
}
