//! What is wrong with one health check.

use super::known::{Answer, Known};
use super::mend::{Change, mend};
use super::{Balancer, Check, Health, Kind, Member, Pool, Protocol};
use crate::finding::{Finding, Level};

/// A dead member that is used for longer than this is worth a warning, in seconds.
const DETECTION_S_MAX: f64 = 60.0;
/// Ports that nobody expects plain HTTP on, and those that nobody expects TLS on.
const TLS_PORTS: [u16; 3] = [443, 8443, 9443];
const PLAIN_PORTS: [u16; 4] = [80, 8080, 8000, 3000];

/// Adds what is wrong with a check of these members.
pub fn health_faults(
    balancer: &Balancer,
    pool: &Pool,
    health: &Health,
    members: &[Member],
    known: &Known,
    found: &mut Vec<Finding>,
) {
    if health.check == Check::None {
        return;
    }
    let judge = Judge { balancer, pool, health, members, known };
    found.extend(judge.threshold());
    if !health.check.asks() {
        return;
    }
    found.extend(judge.timeout());
    found.extend(judge.detection());
    found.extend(judge.port());
    found.extend(judge.protocol());
    if health.check.speaks_http() {
        found.extend(judge.codes());
        found.extend(judge.host());
        found.extend(judge.answer());
    }
}

struct Judge<'a> {
    balancer: &'a Balancer,
    pool: &'a Pool,
    health: &'a Health,
    members: &'a [Member],
    known: &'a Known,
}

impl Judge<'_> {
    fn finding(&self, kind: &'static str, level: Level, en: String, zh: String) -> Finding {
        let name = &self.pool.name;
        Finding::new(kind, level, &self.health.place, format!("{name}: {en}"), format!("{name}：{zh}"))
    }

    fn mended(&self, mut finding: Finding, changes: &[Change]) -> Finding {
        let fixes = changes.iter().map(|change| mend(self.balancer, self.pool, self.health, change));
        finding.fix.extend(fixes);
        finding
    }

    fn timeout(&self) -> Option<Finding> {
        let (interval_s, timeout_s) = (self.health.interval_s?, self.health.timeout_s?);
        let google = self.balancer.kind == Kind::Gcp;
        // Google allows them to be equal.
        let fits = timeout_s < interval_s || (google && timeout_s <= interval_s);
        if !self.health.timeout_written || fits {
            return None;
        }
        let aws = matches!(
            self.balancer.kind,
            Kind::AwsApplication | Kind::AwsNetwork | Kind::AwsGateway | Kind::AwsClassic
        );
        let (en, zh) = match (aws, google) {
            (true, _) => ("AWS refuses this", "AWS 会拒绝该配置"),
            (_, true) => ("Google refuses this", "Google 会拒绝该配置"),
            _ => (
                "checks overlap or come late, and slow answers make the member flap",
                "检查会重叠或推迟，响应稍慢就会使成员抖动",
            ),
        };
        let level = if aws || google { Level::Error } else { Level::Warning };
        let finding = self.finding(
            "health-timeout",
            level,
            format!("the timeout of {timeout_s} s is not shorter than the interval of {interval_s} s; {en}"),
            format!("超时 {timeout_s} 秒不短于间隔 {interval_s} 秒；{zh}"),
        );
        Some(self.mended(finding, &[Change::TimeoutS((interval_s * 0.8).min(interval_s - 0.1).max(0.1))]))
    }

    fn threshold(&self) -> Option<Finding> {
        let (rise, fall) = (self.health.rise.unwrap_or(2), self.health.fall.unwrap_or(2));
        if self.health.defaults || (rise > 1 && fall > 1) {
            return None;
        }
        let (level, en, zh, change) = if fall == 1 {
            (Level::Warning, "one bad answer takes a member out", "一次失败就让成员下线", Change::Fall(3))
        } else {
            (Level::Note, "one good answer brings a member back", "一次成功就让成员上线", Change::Rise(2))
        };
        let finding = self.finding(
            "health-threshold",
            level,
            format!("{en}: it flaps when an answer is lost now and then"),
            format!("{zh}：偶尔丢失一次响应就会抖动"),
        );
        Some(self.mended(finding, &[change]))
    }

    fn detection(&self) -> Option<Finding> {
        let seconds = self.health.detection_s()?;
        let (interval_s, fall) = (self.health.interval_s?, self.health.fall?);
        let timeout_s = self.health.timeout_s.unwrap_or(interval_s);
        let level = if seconds > DETECTION_S_MAX { Level::Warning } else { Level::Note };
        Some(self.finding(
            "health-detection",
            level,
            format!(
                "a dead member is still used for up to {seconds:.1} s ({fall} checks every {interval_s} s, the last waits {timeout_s} s)"
            ),
            format!(
                "故障成员最长 {seconds:.1} 秒后才会被摘除（每 {interval_s} 秒检查一次，连续 {fall} 次失败，最后一次等待 {timeout_s} 秒）"
            ),
        ))
    }

    fn port(&self) -> Option<Finding> {
        if let Some((member, port)) = self.closed() {
            let finding = self.finding(
                "health-port-closed",
                Level::Error,
                format!("the check asks port {port}, on which {member} does not listen"),
                format!("健康检查访问端口 {port}，但 {member} 没有监听该端口"),
            );
            // Where the check asks the member's own port, it is the service that is not there.
            let changes = if self.health.port.is_some() { &[Change::MemberPort][..] } else { &[] };
            return Some(self.mended(finding, changes));
        }
        let asked = self.health.port?;
        let other = self.members.iter().find_map(|member| member.port.filter(|port| *port != asked))?;
        let finding = self.finding(
            "health-port",
            Level::Warning,
            format!(
                "the check asks port {asked}, yet members serve on {other}: it can be well while they are not"
            ),
            format!("健康检查访问端口 {asked}，而成员在 {other} 上提供服务：检查正常时服务也可能不正常"),
        );
        Some(self.mended(finding, &[Change::MemberPort]))
    }

    /// A member that is known not to listen on the TCP port it is asked on.
    fn closed(&self) -> Option<(&str, u16)> {
        if self.health.check == Check::Udp {
            return None;
        }
        self.members.iter().find_map(|member| {
            let port = self.health.port.or(member.port)?;
            self.known.is_closed(&member.address, port).then_some((member.address.as_str(), port))
        })
    }

    /// The ports that are asked: the check's own, else those of the members.
    fn asked_ports(&self) -> Vec<u16> {
        match self.health.port {
            Some(port) => vec![port],
            None => self.members.iter().filter_map(|member| member.port).collect(),
        }
    }

    fn protocol(&self) -> Option<Finding> {
        let ports = self.asked_ports();
        let on = |list: &[u16]| ports.iter().copied().find(|port| list.contains(port));
        // A check of another port may speak what it likes.
        let same = self.health.port.is_none_or(|port| self.members.iter().any(|one| one.port == Some(port)));
        let spoken = self.pool.protocol.filter(|_| same);
        let (wanted, en, zh) = match (self.health.check, spoken) {
            (Check::Https | Check::Tls, Some(Protocol::Http)) => (
                Check::Http,
                "the check speaks TLS to a port that serves plain HTTP".to_owned(),
                "健康检查对明文 HTTP 端口使用 TLS".to_owned(),
            ),
            (Check::Http, Some(Protocol::Https | Protocol::Tls)) => (
                Check::Https,
                "the check speaks plain HTTP to a port that serves TLS".to_owned(),
                "健康检查对 TLS 端口使用明文 HTTP".to_owned(),
            ),
            (Check::Https | Check::Tls, _) => {
                let port = on(&PLAIN_PORTS)?;
                (
                    Check::Http,
                    format!("the check speaks TLS to port {port}"),
                    format!("健康检查对端口 {port} 使用 TLS"),
                )
            }
            (Check::Http, _) => {
                let port = on(&TLS_PORTS)?;
                (
                    Check::Https,
                    format!("the check speaks plain HTTP to port {port}"),
                    format!("健康检查对端口 {port} 使用明文 HTTP"),
                )
            }
            _ => return None,
        };
        let finding = self.finding("health-protocol", Level::Error, en, zh);
        Some(self.mended(finding, &[Change::Protocol(wanted)]))
    }

    fn codes(&self) -> Option<Finding> {
        let (first, last) =
            *self.health.expected.iter().find(|(first, last)| first > last || *first < 100 || *last > 599)?;
        let finding = self.finding(
            "health-codes",
            Level::Error,
            format!("no answer has a code of {first} to {last}"),
            format!("不存在 {first} 到 {last} 的状态码"),
        );
        Some(self.mended(finding, &[Change::Codes("200".to_owned())]))
    }

    fn host(&self) -> Option<Finding> {
        if self.health.host.is_some() || self.health.check == Check::Grpc {
            return None;
        }
        let name = self.known.names.first();
        let change = [Change::Host(name.cloned().unwrap_or_else(|| "www.example.com".to_owned()))];
        if self.health.version.as_deref() == Some("1.1") {
            let finding = self.finding(
                "health-host",
                Level::Error,
                "the check is written in HTTP/1.1 without a Host header: servers answer 400".to_owned(),
                "健康检查使用 HTTP/1.1 却没有 Host 头：服务器会返回 400".to_owned(),
            );
            return Some(self.mended(finding, &change));
        }
        let name = name?;
        let finding = self.finding(
            "health-host",
            Level::Warning,
            format!("the check sends no Host header, and the members answer by name ({name})"),
            format!("健康检查没有发送 Host 头，而成员按域名响应（{name}）"),
        );
        Some(self.mended(finding, &change))
    }

    /// What a member answered to just this request.
    fn answer(&self) -> Option<Finding> {
        let path = self.health.path.as_deref().unwrap_or("/");
        let ports = self.asked_ports();
        let fits = |answer: &&Answer| {
            let host = answer.host.is_none() || self.health.host.is_none() || answer.host == self.health.host;
            let port = answer.port.is_none_or(|port| ports.is_empty() || ports.contains(&port));
            let member = answer.member.as_ref();
            let member = member.is_none_or(|member| self.members.iter().any(|one| one.address == *member));
            answer.path == path && host && port && member
        };
        let answer = self.known.answers.iter().find(fits)?;
        let status = answer.status;
        let expected = &self.health.expected;
        let counts = expected.iter().any(|(first, last)| (*first..=*last).contains(&status));
        let redirects = (300..400).contains(&status) && status != 304;
        if expected.is_empty() && (200..400).contains(&status) || counts && !redirects {
            return None;
        }
        let to = answer.location.as_deref().unwrap_or("elsewhere");
        let counting = if counts { Level::Note } else { Level::Error };
        let (kind, level, en, zh) = match status {
            _ if redirects && counts => (
                "health-redirect",
                counting,
                format!("{path} redirects to {to}: the check counts it and never sees the service itself"),
                format!("{path} 重定向到 {to}：检查将其算作正常，却从未检查到服务本身"),
            ),
            _ if redirects => (
                "health-redirect",
                counting,
                format!("{path} redirects to {to} with {status}, which is not among the expected codes"),
                format!("{path} 以 {status} 重定向到 {to}，而该状态码不在预期之内"),
            ),
            404 | 410 => (
                "health-path",
                counting,
                format!("{path} does not exist ({status})"),
                format!("{path} 不存在（{status}）"),
            ),
            _ => (
                "health-codes",
                counting,
                format!("{path} answers {status}, which is not among the expected codes"),
                format!("{path} 返回 {status}，不在预期的状态码之内"),
            ),
        };
        let target = answer.location.as_deref().filter(|location| location.starts_with('/'));
        let changes: Vec<Change> = match (kind, target) {
            ("health-redirect", Some(target)) => vec![Change::Path(target.to_owned())],
            ("health-redirect", None) => vec![Change::Codes("200-399".to_owned())],
            ("health-codes", _) => vec![Change::Codes(status.to_string())],
            _ => Vec::new(),
        };
        Some(self.mended(self.finding(kind, level, en, zh), &changes))
    }
}
