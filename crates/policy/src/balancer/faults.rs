//! What is wrong with a balancer: members that cannot serve, pools nobody asks, listeners that lead nowhere.

use super::health_faults::health_faults;
use super::{Balancer, Check, Kind, Known, Listener, Member, Pool};
use crate::finding::{Finding, Level};
use std::collections::{BTreeMap, BTreeSet};

/// Every kind of finding, with what it is about in English and Chinese.
pub const KINDS: [(&str, &str, &str); 22] = [
    ("health-timeout", "a check's timeout is not shorter than its interval", "健康检查超时不短于检查间隔"),
    ("health-port", "a check asks another port than the one that serves", "健康检查的端口与服务端口不同"),
    ("health-port-closed", "a check asks a port nobody listens on", "健康检查的端口无人监听"),
    ("health-redirect", "the checked path redirects", "健康检查的路径被重定向"),
    ("health-path", "the checked path does not exist", "健康检查的路径不存在"),
    ("health-codes", "the expected codes cannot come", "预期的状态码不可能出现"),
    ("health-threshold", "one answer alone changes the state", "一次结果就改变状态，容易抖动"),
    ("health-detection", "how long a dead member is still used", "故障成员仍被使用的时长"),
    ("health-host", "the check sends no Host header that the members need", "健康检查缺少成员需要的 Host 头"),
    ("health-protocol", "HTTPS asked of an HTTP port, or the reverse", "向 HTTP 端口做 HTTPS 检查，或相反"),
    ("health-flapping", "a member goes up and down again and again", "成员反复上下线（抖动）"),
    ("health-stopped", "rules on the way stop a health check", "途中的规则拦截了健康检查"),
    ("member-down", "a member is out", "成员已下线"),
    ("pool-down", "no member can serve", "没有可用成员"),
    ("pool-backup-only", "only backups are left", "只剩备用成员"),
    ("pool-weight", "every member has weight 0", "所有成员权重为 0"),
    ("pool-no-check", "nobody checks the members", "没有对成员做健康检查"),
    ("pool-empty", "a pool without members", "后端池没有成员"),
    ("pool-unused", "a pool that no listener passes to", "没有监听器使用的后端池"),
    ("listener-empty", "a listener that passes to nothing", "监听器没有后端池"),
    ("listener-dangling", "a listener that passes to what is not there", "监听器指向不存在的后端池"),
    ("listener-duplicate", "two listeners of one address and port", "两个监听器使用相同的地址和端口"),
];

/// Every fault of one balancer, in the order of its file.
pub fn faults(balancer: &Balancer, known: &Known) -> Vec<Finding> {
    let mut found = Vec::new();
    let pools: BTreeSet<&str> = balancer.pools.iter().map(|pool| pool.name.as_str()).collect();
    let listed: BTreeSet<&str> =
        balancer.listeners.iter().flat_map(|listener| &listener.pools).map(String::as_str).collect();
    for listener in &balancer.listeners {
        found.extend(listener_fault(balancer, &pools, listener).map(|one| one.within(&listener.name, None)));
    }
    duplicates(balancer, &mut found);
    for pool in &balancer.pools {
        let before = found.len();
        found.extend(unused(balancer, &listed, pool));
        members(pool, &mut found);
        found.extend(unchecked(pool));
        health_faults(balancer, pool, &pool.health, &pool.members, known, &mut found);
        for member in &pool.members {
            if let Some(health) = &member.health {
                health_faults(balancer, pool, health, std::slice::from_ref(member), known, &mut found);
            }
        }
        found.iter_mut().skip(before).for_each(|one| one.within.clone_from(&pool.name));
    }
    found.sort_by(|a, b| (&a.place, a.kind).cmp(&(&b.place, b.kind)));
    found.dedup();
    found
}

fn listener_fault(balancer: &Balancer, pools: &BTreeSet<&str>, listener: &Listener) -> Option<Finding> {
    let name = &listener.name;
    if let Some(gone) =
        listener.pools.iter().find(|pool| !pools.contains(pool.as_str()) && !pool.contains("%["))
    {
        let here = balancer.kind == Kind::Haproxy;
        return Some(Finding::new(
            "listener-dangling",
            if here { Level::Error } else { Level::Warning },
            &listener.place,
            format!("listener {name} passes to {gone}, which is not in these files"),
            format!("监听器 {name} 转发到 {gone}，但这些文件中没有它"),
        ));
    }
    (listener.pools.is_empty() && !listener.answers).then(|| {
        Finding::new(
            "listener-empty",
            Level::Warning,
            &listener.place,
            format!("listener {name} takes connections and passes them to no pool"),
            format!("监听器 {name} 接受连接，但没有转发到任何后端池"),
        )
    })
}

/// haproxy lets two sections take the same address and port: the kernel then shares connections out among them.
fn duplicates(balancer: &Balancer, found: &mut Vec<Finding>) {
    let mut seen: BTreeMap<(Option<&str>, u16), &Listener> = BTreeMap::new();
    for listener in balancer.listeners.iter().filter(|_| balancer.kind == Kind::Haproxy) {
        let Some(port) = listener.port else { continue };
        let Some(first) = seen.insert((listener.address.as_deref(), port), listener) else { continue };
        let (name, other, place) = (&listener.name, &first.name, &first.place);
        let finding = Finding::new(
            "listener-duplicate",
            Level::Warning,
            &listener.place,
            format!(
                "{name} listens on port {port} as {other} does ({place}): connections go to either by chance"
            ),
            format!("{name} 与 {other}（{place}）监听同一端口 {port}：连接会随机进入其中之一"),
        );
        found.push(finding.within(name, None));
    }
}

fn unused(balancer: &Balancer, listed: &BTreeSet<&str>, pool: &Pool) -> Option<Finding> {
    let listed = listed.contains(pool.name.as_str());
    // A file with pools alone is a part of something larger; AWS says of each group whose it is.
    let part = balancer.listeners.is_empty() && balancer.kind != Kind::AwsApplication;
    (!pool.used && !listed && !part).then(|| {
        Finding::new(
            "pool-unused",
            Level::Warning,
            &pool.place,
            format!("no listener passes to {}: its members get no requests and count as unused", pool.name),
            format!("没有监听器转发到 {}：其成员收不到请求", pool.name),
        )
    })
}

fn members(pool: &Pool, found: &mut Vec<Finding>) {
    let name = &pool.name;
    let mut add = |kind, level, en: String, zh: String| {
        found.push(Finding::new(kind, level, &pool.place, en, zh));
    };
    if pool.members.is_empty() {
        if !pool.dynamic {
            let zh = format!("{name} 没有成员：每个请求都会失败");
            add("pool-empty", Level::Error, format!("{name} has no members: every request fails"), zh);
        }
        return;
    }
    let serves = |member: &&Member| member.down.is_none() && member.weight > 0;
    let up = pool.members.iter().filter(|member| member.down.is_none());
    if up.clone().next().is_none() {
        let count = pool.members.len();
        let en = format!("all {count} members of {name} are out: {}", reasons(pool));
        add(
            "pool-down",
            Level::Error,
            en,
            format!("{name} 的全部 {count} 个成员都已下线：{}", reasons(pool)),
        );
        return;
    }
    if up.clone().all(|member| member.weight == 0) {
        let zh = format!("{name} 中可用成员的权重都是 0：没有成员会收到新请求");
        add(
            "pool-weight",
            Level::Error,
            format!("every member of {name} that is up has weight 0: none gets new requests"),
            zh,
        );
    } else if pool.members.iter().filter(serves).all(|member| member.backup) {
        let zh = format!("{name} 只剩备用成员提供服务");
        add("pool-backup-only", Level::Warning, format!("only backups of {name} are left to serve"), zh);
    }
    for member in &pool.members {
        if let Some(reason) = &member.down {
            found.push(Finding::new(
                "member-down",
                Level::Warning,
                &member.place,
                format!("{} of {name} is out: {reason}", shown(member)),
                format!("{name} 的成员 {} 已下线：{reason}", shown(member)),
            ));
        }
    }
}

fn reasons(pool: &Pool) -> String {
    let mut reasons: Vec<&str> = pool.members.iter().filter_map(|member| member.down.as_deref()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons.truncate(4);
    reasons.join("; ")
}

pub(super) fn shown(member: &Member) -> String {
    match member.port {
        Some(port) if member.address.contains(':') => format!("[{}]:{port}", member.address),
        Some(port) => format!("{}:{port}", member.address),
        None => member.address.clone(),
    }
}

/// A lone member has nobody to take over from it: only pools of several are told.
fn unchecked(pool: &Pool) -> Option<Finding> {
    let several = pool.members.len() > 1 || pool.dynamic;
    (pool.health.check == Check::None && several).then(|| {
        Finding::new(
            "pool-no-check",
            Level::Warning,
            &pool.place,
            format!("nobody checks the members of {}: a dead one goes on getting requests", pool.name),
            format!("{} 的成员没有健康检查：故障成员会继续收到请求", pool.name),
        )
    })
}
