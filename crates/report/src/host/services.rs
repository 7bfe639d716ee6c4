//! Services with what their logs say, and what could not be read.

use super::part::{Item, Part, Table};
use super::terms::{reason, sign_name};
use super::words::{grouped, shown_time};
use super::{Looked, Topic};
use netwhy_model::Lang;
use netwhy_model::host::{LogSign, Service, State, Unread};

/// Services shown unless everything is wanted.
const SERVICE_COUNT_MAX: usize = 12;
/// Signs shown unless everything is wanted.
const SIGN_COUNT_MAX: usize = 12;
/// Signs shown when everything is wanted.
const SIGN_FULL_COUNT_MAX: usize = 500;
/// Ports named of one service.
const PORT_COUNT_MAX: usize = 6;

/// The services behind the ports, and dated signs from the logs, newest first.
pub(super) fn part(looked: &Looked<'_>) -> Part {
    let (snapshot, lang) = (looked.snapshot, looked.lang);
    let services: Vec<&Service> = snapshot.services.iter().collect();
    let troubled: Vec<&Service> =
        services.iter().copied().filter(|s| service_state(s) != State::Well).collect();
    let mut signs: Vec<&LogSign> = snapshot.signs.iter().collect();
    signs.sort_by_key(|sign| std::cmp::Reverse(sign.at));
    let (mut brief, mut full) = (Vec::new(), Vec::new());
    if !troubled.is_empty() {
        brief.push(service_table(&troubled, lang).first(SERVICE_COUNT_MAX).into());
    }
    let well = services.len() - troubled.len();
    if well > 0 {
        brief.push(Item::Line(
            State::Well,
            match lang {
                Lang::En => format!("{well} without restarts or failures"),
                Lang::Zh => format!("{well} 个没有重启或失败"),
            },
        ));
    }
    if !services.is_empty() {
        full.push(service_table(&services, lang).into());
    }
    if !signs.is_empty() {
        let lead = Item::Line(State::Well, lang.pick("In the logs (UTC):", "日志中（UTC）：").to_owned());
        brief.extend([lead.clone(), sign_table(&signs, lang).first(SIGN_COUNT_MAX).into()]);
        full.extend([lead, sign_table(&signs, lang).first(SIGN_FULL_COUNT_MAX).into()]);
    }
    for service in services.iter().filter(|service| !service.lines.is_empty()) {
        let from = service.log.as_deref().unwrap_or("");
        full.push(Item::Line(
            State::Well,
            match lang {
                Lang::En => format!("Last lines of {} ({from}):", service.name),
                Lang::Zh => format!("{} 的最后几行（{from}）：", service.name),
            },
        ));
        full.extend(service.lines.iter().map(|line| Item::Aside(line.clone())));
    }
    Part { title: looked.say("Services and logs", "服务与日志"), brief, full, topic: Topic::Services }
}

fn service_state(service: &Service) -> State {
    match service.state.as_deref() {
        Some("failed") => State::Bad,
        Some("active") | None if service.restarts.unwrap_or(0) == 0 => State::Well,
        _ => State::Odd,
    }
}

fn service_table(services: &[&Service], lang: Lang) -> Table {
    let mut table = Table::new(&[
        lang.pick("service", "服务"),
        lang.pick("ports", "端口"),
        lang.pick("state", "状态"),
        lang.pick(">restarts", ">重启"),
        lang.pick("?log", "?日志"),
    ]);
    for service in services {
        let mut ports: Vec<String> = service.ports.iter().take(PORT_COUNT_MAX).map(u16::to_string).collect();
        if service.ports.len() > PORT_COUNT_MAX {
            ports.push(format!("+{}", service.ports.len() - PORT_COUNT_MAX));
        }
        table.row(
            service_state(service),
            vec![
                service.name.clone().into(),
                ports.join(" ").into(),
                service.state.clone().unwrap_or_default().into(),
                service.restarts.filter(|count| *count > 0).map_or_else(String::new, grouped).into(),
                service.log.clone().unwrap_or_default().into(),
            ],
        );
    }
    table.without_empty_columns()
}

fn sign_table(signs: &[&LogSign], lang: Lang) -> Table {
    let mut table = Table::new(&[
        lang.pick("last seen", "最近一次"),
        lang.pick(">times", ">次数"),
        lang.pick("what", "含义"),
        lang.pick("from", "来源"),
    ]);
    lang.pick("line", "原文").clone_into(&mut table.below);
    for sign in signs {
        let at = shown_time(sign.at).unwrap_or_else(|| lang.pick("undated", "无日期").to_owned());
        table.row_above(
            State::Odd,
            vec![
                at.into(),
                grouped(sign.count.max(1)).into(),
                sign_name(&sign.sign, lang).into(),
                sign.from.clone().into(),
            ],
            &sign.line,
        );
    }
    table
}

/// What could not be read, by reason, and what root would add.
pub(super) fn unread(looked: &Looked<'_>) -> Part {
    let lang = looked.lang;
    let mut reasons: Vec<(&str, bool, Vec<&str>)> = Vec::new();
    for Unread { what, why, root_helps } in &looked.snapshot.unread {
        match reasons.iter_mut().find(|(known, helps, _)| known == why && helps == root_helps) {
            Some((_, _, whats)) => whats.push(what),
            None => reasons.push((why, *root_helps, vec![what])),
        }
    }
    reasons.sort_by_key(|(_, helps, _)| !helps);
    let told = reasons.into_iter().map(|(why, helps, whats)| {
        let whats = reason(&whats.join(lang.pick("; ", "；")), lang);
        let why = reason(why, lang);
        let text = match (lang, helps) {
            (Lang::En, true) => format!("root would read: {whats} ({why})"),
            (Lang::En, false) => format!("{whats}: {why}"),
            (Lang::Zh, true) => format!("以 root 运行即可读取：{whats}（{why}）"),
            (Lang::Zh, false) => format!("{whats}：{why}"),
        };
        Item::Line(State::Well, text)
    });
    let brief = told.collect();
    Part {
        title: looked.say("Could not be read", "无法读取"),
        brief,
        topic: Topic::Unread,
        ..Part::default()
    }
}
