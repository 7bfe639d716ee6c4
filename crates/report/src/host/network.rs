//! Connection tracking, interfaces, routes and neighbours.

use super::part::{Cell, Item, Part, Table, worse};
use super::words::{fill_state, grouped, percent};
use super::{Looked, Topic};
use netwhy_model::Lang;
use netwhy_model::host::{Conntrack, Interface, Neighbour, State};

/// States and destinations of connection tracking shown unless everything is wanted.
const ENTRY_COUNT_MAX: usize = 4;
/// Interfaces shown unless everything is wanted.
const INTERFACE_COUNT_MAX: usize = 10;
/// Routes shown unless everything is wanted.
const ROUTE_COUNT_MAX: usize = 8;
/// The policy rules every host has; only others tell something.
const USUAL_RULES: [&str; 3] =
    ["0: from all lookup local", "32766: from all lookup main", "32767: from all lookup default"];
/// Rows of one table when everything is wanted.
const ROW_FULL_COUNT_MAX: usize = 2_000;
/// Addresses shown of one interface.
const ADDRESS_COUNT_MAX: usize = 4;

/// The fill of the connection-tracking table and what stands in it.
pub(super) fn conntrack(looked: &Looked<'_>) -> Part {
    let Some(table) = &looked.snapshot.conntrack else { return Part::default() };
    let lang = looked.lang;
    let title = looked.say("Connection tracking", "连接跟踪");
    let entries = |count_max| {
        let mut items = vec![fill_table(table, lang).into()];
        items.extend(losses(table, lang));
        items.extend(listed(lang.pick("by state", "按状态"), &table.by_state, count_max, lang));
        items.extend(listed(lang.pick("to", "去往"), &table.top, count_max, lang));
        items
    };
    let more = table.by_state.len().max(table.top.len()) > ENTRY_COUNT_MAX;
    let full = if more { entries(ROW_FULL_COUNT_MAX) } else { Vec::new() };
    Part { title, brief: entries(ENTRY_COUNT_MAX), full, topic: Topic::Conntrack }
}

fn fill_table(table: &Conntrack, lang: Lang) -> Table {
    let fill = (table.max > 0).then(|| table.count as f64 / table.max as f64);
    let mut rows = Table::new(&[
        lang.pick("?#fill", "?#占用"),
        lang.pick(">share", ">比例"),
        lang.pick(">entries", ">条目"),
        lang.pick(">limit", ">上限"),
        lang.pick("read from", "来源"),
    ]);
    rows.row(
        fill_state(fill),
        vec![
            Cell::Fill(fill),
            fill.map_or_else(String::new, percent).into(),
            grouped(table.count).into(),
            grouped(table.max).into(),
            table.from.clone().into(),
        ],
    );
    rows
}

/// Only counters that say an entry could not be made.
fn losses(table: &Conntrack, lang: Lang) -> Option<Item> {
    let all =
        [("insert_failed", table.insert_failed), ("drop", table.drop), ("early_drop", table.early_drop)];
    let some: Vec<String> =
        all.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {}", grouped(*n))).collect();
    (!some.is_empty()).then(|| {
        let lead = lang.pick("since boot: ", "开机以来：");
        Item::Line(
            if table.drop > 0 { State::Odd } else { State::Well },
            format!("{lead}{}", some.join(" · ")),
        )
    })
}

fn listed(lead: &str, entries: &[(String, u64)], count_max: usize, lang: Lang) -> Option<Item> {
    let told: Vec<String> =
        entries.iter().take(count_max).map(|(name, count)| format!("{name} {}", grouped(*count))).collect();
    let colon = lang.pick(": ", "：");
    (!told.is_empty()).then(|| Item::Line(State::Well, format!("{lead}{colon}{}", told.join(" · "))))
}

/// Interfaces that lose packets, are down or are watched by programs; the rest is counted.
pub(super) fn interfaces(looked: &Looked<'_>) -> Part {
    let (all, lang) = (&looked.snapshot.interfaces, looked.lang);
    let stand_out: Vec<&Interface> =
        all.iter().filter(|i| interface_state(i) != State::Well || !i.hooks.is_empty()).collect();
    let every: Vec<&Interface> = all.iter().collect();
    let mut brief = Vec::new();
    if !stand_out.is_empty() {
        brief.push(interface_table(&stand_out, lang).first(INTERFACE_COUNT_MAX).into());
    }
    let rest = all.len() - stand_out.len();
    if rest > 0 {
        brief.push(Item::Line(
            State::Well,
            match lang {
                Lang::En => format!("{rest} without errors, drops or hooks"),
                Lang::Zh => format!("{rest} 个没有错误、丢弃或钩子"),
            },
        ));
    }
    let full = if all.is_empty() {
        Vec::new()
    } else {
        vec![interface_table(&every, lang).first(ROW_FULL_COUNT_MAX).into()]
    };
    Part { title: looked.say("Interfaces", "网卡"), brief, full, topic: Topic::Interfaces }
}

/// Errors and a missing carrier are bad; an interface switched off or with drops is odd.
fn interface_state(interface: &Interface) -> State {
    let link = match (interface.up, interface.carrier) {
        (true, false) => State::Bad,
        // Switched off with addresses on it: somebody meant to use it.
        (false, _) if !interface.addresses.is_empty() => State::Odd,
        _ => State::Well,
    };
    let lost = interface.rx_errors + interface.tx_errors + interface.rx_dropped + interface.tx_dropped;
    worse(link, if lost + interface.qdisc_drops > 0 { State::Odd } else { State::Well })
}

fn interface_table(interfaces: &[&Interface], lang: Lang) -> Table {
    let mut table = Table::new(&[
        lang.pick("name", "名称"),
        lang.pick("link", "链路"),
        "?>MTU",
        lang.pick("?>rx errors", "?>收错误"),
        lang.pick(">rx drops", ">收丢弃"),
        lang.pick("?>tx errors", "?>发错误"),
        lang.pick("?>tx drops", "?>发丢弃"),
        lang.pick("?>qdisc drops", "?>队列丢弃"),
        lang.pick("?hooks", "?钩子"),
        lang.pick("addresses", "地址"),
    ]);
    let some = |count: u64| if count > 0 { grouped(count) } else { String::new() };
    for interface in interfaces {
        let link = match (interface.up, interface.carrier) {
            (true, true) => lang.pick("up", "启用"),
            (true, false) => lang.pick("no carrier", "无载波"),
            (false, _) => lang.pick("down", "停用"),
        };
        let qdisc = match (&interface.qdisc, interface.qdisc_drops) {
            (_, 0) => String::new(),
            (Some(name), drops) => format!("{} {name}", grouped(drops)),
            (None, drops) => grouped(drops),
        };
        let mut addresses = interface.addresses.iter().take(ADDRESS_COUNT_MAX).cloned().collect::<Vec<_>>();
        if interface.addresses.len() > ADDRESS_COUNT_MAX {
            addresses.push(format!("+{}", interface.addresses.len() - ADDRESS_COUNT_MAX));
        }
        table.row(
            interface_state(interface),
            vec![
                interface.name.clone().into(),
                link.into(),
                interface.mtu.to_string().into(),
                some(interface.rx_errors).into(),
                some(interface.rx_dropped).into(),
                some(interface.tx_errors).into(),
                some(interface.tx_dropped).into(),
                qdisc.into(),
                interface.hooks.join(", ").into(),
                addresses.join(" ").into(),
            ],
        );
    }
    table.without_empty_columns()
}

/// Policy rules, routes and the neighbours that do not answer.
pub(super) fn routes(looked: &Looked<'_>) -> Part {
    let (snapshot, lang) = (looked.snapshot, looked.lang);
    let own: Vec<&String> =
        snapshot.routes.iter().filter(|line| !USUAL_RULES.contains(&line.as_str())).collect();
    let all: Vec<&String> = snapshot.routes.iter().collect();
    let lines = |routes: &[&String], count_max: usize| {
        let mut items: Vec<Item> =
            routes.iter().take(count_max).map(|line| Item::Line(State::Well, (*line).clone())).collect();
        if routes.len() > count_max {
            let rest = routes.len() - count_max;
            items.push(Item::Aside(match lang {
                Lang::En => format!("and {rest} more; -v shows all"),
                Lang::Zh => format!("另有 {rest} 条；-v 显示全部"),
            }));
        }
        items
    };
    let silent: Vec<Item> =
        snapshot.neighbours.iter().filter(|n| is_silent(n)).map(|n| silent(n, lang)).collect();
    let mut brief = lines(&own, ROUTE_COUNT_MAX);
    if own.is_empty() {
        brief.push(Item::Line(State::Odd, looked.say("no route at all", "没有任何路由")));
    }
    brief.extend(silent.iter().take(ROUTE_COUNT_MAX).cloned());
    let mut full = lines(&all, ROW_FULL_COUNT_MAX);
    if !snapshot.neighbours.is_empty() {
        full.push(neighbour_table(&snapshot.neighbours, lang).first(ROW_FULL_COUNT_MAX).into());
    }
    Part { title: looked.say("Routes", "路由"), brief, full, topic: Topic::Routes }
}

fn is_silent(neighbour: &Neighbour) -> bool {
    matches!(neighbour.state.as_str(), "failed" | "incomplete")
}

fn silent(neighbour: &Neighbour, lang: Lang) -> Item {
    let Neighbour { address, interface, state, .. } = neighbour;
    Item::Line(
        State::Odd,
        match lang {
            Lang::En => format!("neighbour {address} on {interface} does not answer ({state})"),
            Lang::Zh => format!("邻居 {address}（{interface}）没有应答（{state}）"),
        },
    )
}

fn neighbour_table(neighbours: &[Neighbour], lang: Lang) -> Table {
    let mut table = Table::new(&[
        lang.pick("neighbour", "邻居"),
        lang.pick("interface", "网卡"),
        "MAC",
        lang.pick("state", "状态"),
    ]);
    for neighbour in neighbours {
        let state = if is_silent(neighbour) { State::Odd } else { State::Well };
        table.row(
            state,
            vec![
                neighbour.address.to_string().into(),
                neighbour.interface.clone().into(),
                neighbour.mac.clone().unwrap_or_default().into(),
                neighbour.state.clone().into(),
            ],
        );
    }
    table
}
