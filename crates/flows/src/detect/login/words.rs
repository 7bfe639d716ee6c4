//! What is said of guessing and of a break-in, and what to do about it.

use super::source::{Source, id_of, is_private, port_of};
use super::user::User;
use crate::detect::alert::{Plan, Technique};
use crate::detect::logs::{Told, host_name, text};
use crate::logs::{Event, Login, Service};
use crate::record::Address;
use netwhy_model::Text;

/// What is said of one source; `None` where it does not guess.
pub fn guessing((service, client): (Service, Address), source: &Source) -> Option<Told> {
    if !source.is_guessing() {
        return None;
    }
    let users = source.user_count();
    let (attempts, minutes) = (source.attempts, (source.last_ms - source.first_ms) / 60_000);
    let mut confidence: f64 = 0.75;
    confidence += if users >= 3 || source.invalid > 3 { 0.12 } else { 0.0 };
    confidence += if attempts >= 50 { 0.1 } else { f64::from(attempts) / 500.0 };
    confidence -= if source.soft == attempts { 0.15 } else { 0.0 };
    confidence -= if is_private(client) && users <= 1 { 0.2 } else { 0.0 };
    let names = source.names.join(", ");
    let (what, what_zh) = service.words();
    Some(Told {
        id: id_of(service),
        entity: client.to_string(),
        targets: 1,
        port: port_of(service),
        start_ms: source.first_ms,
        end_ms: source.last_ms,
        confidence: confidence.min(0.99),
        why: text(
            format!("{client} failed {attempts} {what} logins as {users} users ({names}) in {minutes} min"),
            format!(
                "{client} 在 {minutes} 分钟内以 {users} 个用户（{names}）登录 {what_zh} 失败 {attempts} 次"
            ),
        ),
        technique: if source.is_slow() { Technique::Slow } else { Technique::OneTarget },
        records: attempts.into(),
        sources: vec![client],
        victims: vec![host_name(&source.host)],
        lines: source.lines.clone(),
        cost_if_wrong: cost(),
        plan: plan(service, &text(client.to_string(), client.to_string())),
    })
}

/// What is said of guessing at one user from many sources.
pub fn distributed((service, name): &(Service, Box<str>), user: &User) -> Option<Told> {
    if !user.is_attack() {
        return None;
    }
    let (sources, attempts, (what, what_zh)) = (user.sources(), user.attempts, service.words());
    Some(Told {
        id: id_of(*service),
        entity: host_name(&user.host),
        targets: 1,
        port: port_of(*service),
        start_ms: user.first_ms,
        end_ms: user.last_ms,
        confidence: (0.7 + f64::from(sources) / 200.0).min(0.97),
        why: text(
            format!("{sources} addresses failed {attempts} {what} logins as \"{name}\", few each"),
            format!("{sources} 个地址以 \"{name}\" 登录 {what_zh} 失败 {attempts} 次，每个地址只有几次"),
        ),
        technique: Technique::Distributed,
        records: attempts,
        sources: user.named.clone(),
        victims: vec![host_name(&user.host)],
        lines: user.lines.clone(),
        cost_if_wrong: cost(),
        plan: plan(*service, &text("the sources", "这些来源")),
    })
}

/// What is said of a success that follows guessing; `alone` where one source did both.
pub fn break_in(source: &Source, event: &Event, login: &Login, alone: bool) -> Told {
    let (client, (what, what_zh), user) = (event.client, login.service.words(), &login.user);
    let (attempts, host) = (source.attempts, host(event));
    let host_zh = if event.host.is_empty() { "本机" } else { &host };
    let mut lines = source.lines.clone();
    lines.push_last(event);
    Told {
        id: "attack.inbound.break_in",
        entity: client.to_string(),
        targets: 1,
        port: port_of(login.service),
        start_ms: source.first_ms,
        end_ms: event.time_ms,
        confidence: match (alone, is_private(client)) {
            (true, false) => 0.95,
            (true, true) => 0.85,
            (false, _) => 0.7,
        },
        why: text(
            format!("{client} was let in to {what} on {host} as \"{user}\" after {attempts} failed logins"),
            format!("{client} 在 {attempts} 次失败后以 \"{user}\" 成功登录 {host_zh} 的 {what_zh}"),
        ),
        technique: Technique::Other,
        records: u64::from(attempts) + 1,
        sources: vec![client],
        victims: vec![host.clone()],
        lines,
        cost_if_wrong: text(
            "a user who found the right password again is logged out and has to change it",
            "误判时：一个终于想起密码的用户会被登出并需要改密码",
        ),
        plan: Plan {
            stop: vec![text(
                format!("end the sessions of \"{user}\" on {host}, lock the account, block {client}"),
                format!("结束 {host_zh} 上 \"{user}\" 的会话，锁定该账号，封禁 {client}"),
            )],
            limit: vec![text(
                format!("let nothing out of {host} but what it needs until it is examined"),
                format!("在检查完之前只放行 {host_zh} 必需的出站流量"),
            )],
            keep: vec![text(
                "keep the authentication log, the process list, authorized_keys, crontabs and a snapshot of the disk",
                "保留认证日志、进程列表、authorized_keys、crontab 与磁盘快照",
            )],
        },
    }
}

/// The host that wrote the line.
pub fn host(event: &Event) -> String {
    host_name(&event.host)
}

fn cost() -> Text {
    text(
        "somebody who forgot a password, or a client with a stale one, is shut out until unblocked",
        "误判时：忘记密码的用户或配置了旧密码的客户端会被拦住，直到解封",
    )
}

fn plan(service: Service, who: &Text) -> Plan {
    let (what, what_zh) = service.words();
    let ssh = service == Service::Ssh;
    Plan {
        stop: vec![text(format!("block {} at the firewall", who.en), format!("在防火墙封禁 {}", who.zh))],
        limit: vec![if ssh {
            text(
                "keys only for SSH, port 22 open to own addresses only, PerSourcePenalties or fail2ban",
                "SSH 仅用密钥，22 端口只对自有地址开放，启用 PerSourcePenalties 或 fail2ban",
            )
        } else {
            text(
                format!(
                    "limit attempts per address on {what}, a second factor, own addresses only where possible"
                ),
                format!("限制 {what_zh} 每个地址的尝试次数，启用双因素，尽量只对自有地址开放"),
            )
        }],
        keep: vec![text("keep the authentication log of these hours", "保留这段时间的认证日志")],
    }
}
