//! States, reasons and notices in words: as programs read them, and as people do in both languages.

use netwhy_model::Lang;
use netwhy_scan::{Notice, Protocol, Reason, State};
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

/// A notice in one sentence.
pub(super) fn notice(notice: &Notice, lang: Lang) -> String {
    let (en, zh) = match notice {
        Notice::Banned { host, after_questions, after_ms } => {
            let (count, time) = (thousands(*after_questions), seconds(Duration::from_millis(*after_ms)));
            (
                format!(
                    "{host} banned this host after {count} questions ({time}): ports that had answered went silent"
                ),
                format!("{host} 在 {count} 次询问（{time}）后封禁了本机：曾应答的端口不再应答"),
            )
        }
        Notice::Unbanned { host, after_ms } => {
            let time = seconds(Duration::from_millis(*after_ms));
            (format!("{host} answers again after {time}"), format!("{host} 在 {time} 后恢复应答"))
        }
        Notice::AnswersLimited { host, per_second } => (
            format!(
                "{host} limits its resets or ICMP errors to about {per_second} a second; open ports still answer, so \
                 the scan goes on"
            ),
            format!("{host} 把 RST 或 ICMP 错误限制在每秒约 {per_second} 个；开放的端口仍应答，扫描继续"),
        ),
        Notice::Loss { percent } => (
            format!("the way loses {percent:.1} % of the packets: silent ports are asked more often"),
            format!("线路丢失 {percent:.1} % 的报文：对沉默的端口增加询问次数"),
        ),
        Notice::SlowedTo { per_second } => (
            format!("slowed down to {} packets a second, which the way carries", thousands(*per_second)),
            format!("已降至每秒 {} 个报文，即线路所能承载", thousands(*per_second)),
        ),
        Notice::Proxy { host, ports_answered, kind } => (
            format!(
                "a middlebox opens connections for {host} ({kind}): {} ports answered; each is asked past it",
                thousands((*ports_answered).into())
            ),
            format!(
                "有中间设备替 {host} 建立连接（{kind}）：{} 个端口应答；逐个越过它再问",
                thousands((*ports_answered).into())
            ),
        ),
        Notice::FellBack { from, to, reason } => (
            format!("the {from} engine cannot be used ({reason}); {to} is used instead"),
            format!("无法使用 {from} 引擎（{reason}）；改用 {to}"),
        ),
        Notice::RingDrops { dropped } => (
            format!(
                "{} answers came faster than they were read; what they may have said is asked again",
                thousands(*dropped)
            ),
            format!("{} 个应答来不及读取；相关端口将重新询问", thousands(*dropped)),
        ),
        Notice::CheckpointUnwritten { path, reason } => (
            format!("progress cannot be kept in {path} ({reason}); the scan goes on without"),
            format!("无法把进度写入 {path}（{reason}）；扫描继续，但不保存进度"),
        ),
    };
    netwhy_report::clean(if lang == Lang::En { &en } else { &zh })
}

/// What to do after a notice, where there is something to do.
pub(super) fn advice(notice: &Notice, checkpoint: Option<&str>, lang: Lang) -> Option<String> {
    let Notice::Banned { .. } = notice else { return None };
    let file = checkpoint.unwrap_or("FILE");
    let keep = match (checkpoint, lang) {
        (Some(_), _) => "",
        (None, Lang::En) => " (keep one with --checkpoint FILE)",
        (None, Lang::Zh) => "（以 --checkpoint FILE 保存进度）",
    };
    Some(match lang {
        Lang::En => format!(
            "go on after the ban ends with: netwhy scan --resume {file} --gentle{keep}; or from another vantage: copy \
             {file} there and run the same, or give another address of this host with --source-address"
        ),
        Lang::Zh => format!(
            "解封后继续：netwhy scan --resume {file} --gentle{keep}；或换一处继续：把 {file} 复制过去执行同一命令，\
             或以 --source-address 改用本机的另一地址"
        ),
    })
}

/// A number with a comma for every thousand.
pub(super) fn thousands(number: u64) -> String {
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

    #[test]
    fn a_notice_cannot_reach_the_terminal_with_control_characters() {
        let proxy =
            Notice::Proxy { host: [10, 0, 0, 1].into(), ports_answered: 900, kind: "a\u{1b}[2Jb".into() };
        assert!(!notice(&proxy, Lang::En).contains('\u{1b}'));
        let banned = Notice::Banned { host: [10, 0, 0, 1].into(), after_questions: 412, after_ms: 4100 };
        assert!(advice(&banned, Some("a.ckpt"), Lang::En).unwrap().contains("--resume a.ckpt"));
        assert!(advice(&proxy, None, Lang::En).is_none());
    }
}
