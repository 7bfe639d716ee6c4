//! What a running scan notices, in words, and what to do then.

use super::words::{seconds, thousands};
use netwhy_model::Lang;
use netwhy_scan::Notice;
use std::time::Duration;

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
        Notice::Proxy { host, ports_answered, kind } => {
            let ((en, zh), count) = (proxy(kind), thousands((*ports_answered).into()));
            (
                format!(
                    "{en} opens connections for {host}: {count} ports answered, so each is asked past it"
                ),
                format!("{zh}替 {host} 建立连接：{count} 个端口应答，因此逐个越过它再问"),
            )
        }
        Notice::FellBack { from, to, reason } => (
            format!("instead of {} it goes on with {}: {reason}", engine(from).0, engine(to).0),
            format!("以{}代替{}：{}", engine(to).1, engine(from).1, in_chinese(reason)),
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

/// What kind of middlebox it is.
fn proxy(kind: &str) -> (String, String) {
    let lower = kind.to_ascii_lowercase().replace('-', " ");
    match () {
        () if lower.contains("tarpit") => ("a tarpit".into(), "焦油坑".into()),
        () if lower.contains("syn proxy") => ("a SYN proxy".into(), "SYN 代理".into()),
        () if lower.contains("every") => {
            ("something that opens every port".into(), "打开一切端口的设备".into())
        }
        () => (format!("a middlebox ({kind})"), format!("中间设备（{kind}）")),
    }
}

/// An engine, or how many connections it makes at once.
fn engine(name: &str) -> (String, String) {
    match (name, name.split_once(' ')) {
        ("raw", _) => ("packets of its own".into(), "自己的报文".into()),
        ("connect", _) => ("the system's sockets".into(), "系统套接字".into()),
        (_, Some((count, "connections at once"))) => (name.to_owned(), format!(" {count} 个同时连接")),
        _ => (name.to_owned(), format!(" {name} ")),
    }
}

/// The commonest reason to fall back; others are the system's own words.
fn in_chinese(reason: &str) -> &str {
    if reason.ends_with("needs CAP_NET_RAW") { "没有 CAP_NET_RAW 权限" } else { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_cannot_reach_the_terminal_with_control_characters() {
        let proxy =
            Notice::Proxy { host: [10, 0, 0, 1].into(), ports_answered: 900, kind: "a\u{1b}[2Jb".into() };
        assert!(!notice(&proxy, Lang::En).contains('\u{1b}'));
        let banned = Notice::Banned { host: [10, 0, 0, 1].into(), after_questions: 412, after_ms: 4100 };
        assert!(advice(&banned, Some("a.ckpt"), Lang::En).unwrap().contains("--resume a.ckpt"));
        assert!(advice(&proxy, None, Lang::En).is_none());
    }

    #[test]
    fn every_notice_has_both_languages() {
        let host = [10, 0, 0, 1].into();
        let text = || "raw".to_owned();
        let all = [
            Notice::Banned { host, after_questions: 412, after_ms: 4100 },
            Notice::Unbanned { host, after_ms: 60_000 },
            Notice::AnswersLimited { host, per_second: 200 },
            Notice::Loss { percent: 2.1 },
            Notice::SlowedTo { per_second: 12_000 },
            Notice::Proxy { host, ports_answered: 65_535, kind: "syn-proxy".into() },
            Notice::FellBack {
                from: text(),
                to: "connect".into(),
                reason: "the raw engine needs CAP_NET_RAW".into(),
            },
            Notice::FellBack {
                from: "900 connections at once".into(),
                to: "450 connections at once".into(),
                reason: "Too many open files (os error 24)".into(),
            },
            Notice::RingDrops { dropped: 1200 },
            Notice::CheckpointUnwritten { path: "scan.ckpt".into(), reason: "no space".into() },
        ];
        let told: Vec<String> =
            all.iter().flat_map(|one| [notice(one, Lang::En), notice(one, Lang::Zh)]).collect();
        insta::assert_snapshot!("notices", told.join("\n"));
    }
}
