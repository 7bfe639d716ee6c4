//! What stands in each pane, as lines of so many columns.

use super::state::{History, Moved, Pane, Watched};
use netwhy_catalogue::Catalogue;
use netwhy_model::host::{Finding, Severity, Snapshot, State, Transport};
use netwhy_model::{Lang, LinkState};
use netwhy_report::host::{Group, bytes, grouped, groups, headline, process_label, subject, title};
use netwhy_report::{clean, display_width, padded, shortened};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use std::time::Duration;

/// Cells of a gauge.
const GAUGE_CELLS: usize = 6;
/// Lines a pane has at most.
const LINE_COUNT_MAX: usize = 500;
/// Most columns of a queue's numbers, of a rate and of a rise.
const NUMBER_COLUMNS_MAX: usize = 11;
/// Columns of a sign with its blank.
const MARK_COLUMNS: usize = 2;
/// Columns kept for the owner of a listener where there is room.
const OWNER_COLUMNS_MIN: usize = 10;
/// Columns of the name of a socket state.
const STATE_COLUMNS: usize = 11;
/// Columns of a count.
const COUNT_COLUMNS: usize = 9;

/// The title of a pane.
pub(super) fn title_of(pane: Pane, lang: Lang) -> &'static str {
    match pane {
        Pane::Findings => lang.pick("Verdict", "结论"),
        Pane::Listeners => lang.pick("Listeners", "监听"),
        Pane::States => lang.pick("Connections", "连接状态"),
        Pane::Counters => lang.pick("Counters that rise", "在增长的计数器"),
        Pane::Peers => lang.pick("Peers", "对端"),
    }
}

/// The lines of a pane.
pub(super) fn lines(pane: Pane, watched: &Watched, columns: usize) -> Vec<Line<'static>> {
    let Some(snapshot) = &watched.snapshot else {
        return vec![Line::from(watched.style.lang.pick("looking …", "正在查看……").to_owned())];
    };
    let mut lines = match pane {
        Pane::Findings => findings(watched, snapshot, columns),
        Pane::Listeners => listeners(watched, snapshot, columns),
        Pane::States => states(watched, columns),
        Pane::Counters => counters(watched, columns),
        Pane::Peers => peers(watched, snapshot, columns),
    };
    lines.truncate(LINE_COUNT_MAX);
    lines
}

/// Colours only where they are wanted; bold and dim say nothing by themselves either.
fn tinted(watched: &Watched, state: LinkState) -> Style {
    if !watched.style.color {
        return Style::default();
    }
    match state {
        LinkState::Well => Style::default().fg(Color::Green),
        LinkState::Ailing | LinkState::Suspect => Style::default().fg(Color::Yellow),
        LinkState::Broken => Style::default().fg(Color::Red).add_modifier(Modifier::BOLD),
        LinkState::Unknown => Style::default().add_modifier(Modifier::DIM),
    }
}

const fn as_link(state: State) -> Option<LinkState> {
    match state {
        State::Well => None,
        State::Odd => Some(LinkState::Ailing),
        State::Bad => Some(LinkState::Broken),
    }
}

/// Sign and blank before a row; two blanks where all is well.
fn mark(watched: &Watched, state: State) -> Span<'static> {
    match as_link(state) {
        Some(link) => Span::styled(format!("{} ", watched.style.sign(link)), tinted(watched, link)),
        None => Span::raw("  "),
    }
}

/// The verdict, then a line or two for each finding.
fn findings(watched: &Watched, snapshot: &Snapshot, columns: usize) -> Vec<Line<'static>> {
    let style = watched.style;
    let (older, age) = watched.older().map_or((Vec::new(), None), |(older, age)| (older, Some(age)));
    let mut all: Vec<(&Finding, Option<Duration>)> = snapshot.findings.iter().map(|f| (f, None)).collect();
    all.extend(older.into_iter().map(|finding| (finding, age)));
    all.sort_by_key(|(finding, _)| finding.severity);
    // The verdict is on all of them, and needs nothing else of the look.
    let judged = Snapshot {
        hostname: snapshot.hostname.clone(),
        findings: all.iter().map(|(finding, _)| (*finding).clone()).collect(),
        unread: snapshot.unread.clone(),
        ..Snapshot::default()
    };
    let said = headline(&judged, Catalogue::embedded(), style.lang);
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{} ", style.sign(said.state)), tinted(watched, said.state)),
        Span::styled(fitted(watched, &said.sentence, columns.saturating_sub(2)), Modifier::BOLD),
    ])];
    lines.extend(all.into_iter().flat_map(|(finding, age)| finding_lines(watched, finding, age, columns)));
    lines
}

fn finding_lines(
    watched: &Watched,
    finding: &Finding,
    age: Option<Duration>,
    columns: usize,
) -> Vec<Line<'static>> {
    let style = watched.style;
    let lang = style.lang;
    let (state, word) = match finding.severity {
        Severity::Broken => (LinkState::Broken, lang.pick("broken", "故障")),
        Severity::Risk => (LinkState::Ailing, lang.pick("risk", "风险")),
        Severity::Note => (LinkState::Unknown, lang.pick("note", "提示")),
    };
    let lead = format!("  {} {}", style.sign(state), padded(word, 7));
    let room = columns.saturating_sub(display_width(&lead));
    let subject = subject(finding, lang).map_or_else(String::new, |subject| format!(" · {subject}"));
    let age = age.map_or_else(String::new, |age| match lang {
        Lang::En => format!(" ({} s ago)", age.as_secs()),
        Lang::Zh => format!("（{} 秒前）", age.as_secs()),
    });
    let text = format!("{}{subject}{age}", title(finding, Catalogue::embedded(), lang));
    let mut lines = vec![Line::from(vec![
        Span::styled(lead.clone(), tinted(watched, state)),
        Span::raw(fitted(watched, &text, room)),
    ])];
    if let Some(proof) = finding.proof.first() {
        let indent = " ".repeat(display_width(&lead));
        let proof = fitted(watched, proof, room);
        lines.push(Line::from(Span::styled(format!("{indent}{proof}"), Modifier::DIM)));
    }
    lines
}

/// Address, gauge, numbers, process.
fn listeners(watched: &Watched, snapshot: &Snapshot, columns: usize) -> Vec<Line<'static>> {
    let groups = groups(snapshot);
    let addresses: Vec<String> = groups.iter().map(address).collect();
    let queues: Vec<String> = groups.iter().map(queue).collect();
    let numbers = widest(&queues).min(NUMBER_COLUMNS_MAX);
    let fixed = MARK_COLUMNS + 1 + GAUGE_CELLS + 1 + numbers + 1;
    // Half of what is left is the owner's.
    let room = columns.saturating_sub(fixed);
    let wide = widest(&addresses).min(room.saturating_sub(OWNER_COLUMNS_MIN).max(room / 2));
    let row = |((group, address), queue): ((&Group<'_>, &String), &String)| {
        let gauge = match group.worst.queue_max {
            0 => " ".repeat(GAUGE_CELLS),
            max => gauge(watched, f64::from(group.worst.queue) / f64::from(max)),
        };
        let half = match group.half_open {
            0 => String::new(),
            n => format!(" {} {}", grouped(n), watched.style.lang.pick("half-open", "半连接")),
        };
        let owner = format!("{}{half}", process_label(snapshot, &group.worst.pids));
        let state = as_link(group.state).map_or_else(Style::default, |link| tinted(watched, link));
        Line::from(vec![
            mark(watched, group.state),
            Span::raw(padded(&fitted(watched, address, wide), wide)),
            Span::styled(format!(" {gauge} "), state),
            Span::raw(padded(&fitted(watched, queue, numbers), numbers)),
            Span::raw(format!(" {}", fitted(watched, &owner, room.saturating_sub(wide)))),
        ])
    };
    groups.iter().zip(&addresses).zip(&queues).take(LINE_COUNT_MAX).map(row).collect()
}

fn address(group: &Group<'_>) -> String {
    let kind = if group.worst.transport == Transport::Tcp { "" } else { "udp " };
    format!("{kind}{}", group.worst.address)
}

fn queue(group: &Group<'_>) -> String {
    match (group.worst.transport, group.worst.queue) {
        (Transport::Tcp, queue) => format!("{queue}/{}", group.worst.queue_max),
        (Transport::Udp, 0) => String::new(),
        (Transport::Udp, queue) => bytes(u64::from(queue)),
    }
}

fn widest(texts: &[String]) -> usize {
    texts.iter().map(|text| display_width(text)).max().unwrap_or(0)
}

/// `███░░░░░`.
fn gauge(watched: &Watched, fill: f64) -> String {
    let cells = (fill.clamp(0.0, 1.0) * GAUGE_CELLS as f64).floor() as usize;
    let full = if fill > 0.0 { cells.max(1) } else { 0 };
    let (on, off) = if watched.style.unicode { ("█", "░") } else { ("#", ".") };
    format!("{}{}", on.repeat(full), off.repeat(GAUGE_CELLS - full))
}

/// Every state that was ever seen with its count and its history.
fn states(watched: &Watched, columns: usize) -> Vec<Line<'static>> {
    let room = columns.saturating_sub(STATE_COLUMNS + COUNT_COLUMNS + 1);
    let seen = |history: &&History| {
        let main = matches!(history.name, "SYN_RECV" | "ESTABLISHED" | "TIME_WAIT");
        main || history.counts.iter().any(|count| *count > 0)
    };
    let row = |history: &History| {
        let count = grouped(history.counts.back().copied().unwrap_or(0));
        Line::from(vec![
            Span::raw(padded(history.name, STATE_COLUMNS)),
            Span::raw(format!("{count:>COUNT_COLUMNS$} ")),
            Span::styled(spark(history, room, watched.style.unicode), tinted(watched, LinkState::Well)),
        ])
    };
    watched.histories.iter().filter(seen).map(row).collect()
}

/// The last counts as small bars, the highest of them full.
fn spark(history: &History, columns: usize, unicode: bool) -> String {
    let levels: Vec<char> = if unicode { " ▁▂▃▄▅▆▇█" } else { " .:-=+*#@" }.chars().collect();
    let highest = history.counts.iter().copied().max().unwrap_or(0).max(1);
    let shown = history.counts.len().saturating_sub(columns);
    let steps = levels.len() as u64 - 1;
    let level = |count: &u64| {
        // Whatever is there at all is seen.
        let level = (u128::from(*count) * u128::from(steps)).div_ceil(u128::from(highest)) as usize;
        levels.get(level).copied().unwrap_or(' ')
    };
    history.counts.iter().skip(shown).map(level).collect()
}

/// Name, rate, total.
fn counters(watched: &Watched, columns: usize) -> Vec<Line<'static>> {
    let lang = watched.style.lang;
    let moved = watched.moved();
    if moved.is_empty() {
        let text = lang.pick("none rose since the watch began", "开始观察以来没有计数器增长");
        return vec![Line::from(fitted(watched, text, columns))];
    }
    let rates: Vec<String> = moved.iter().map(|moved| rate(moved.rate)).collect();
    let rises: Vec<String> = moved.iter().map(|moved| format!("+{}", grouped(moved.rose))).collect();
    let (rate_wide, rise_wide) = (widest(&rates), widest(&rises));
    let room = columns.saturating_sub(MARK_COLUMNS + 1 + rate_wide + 1 + rise_wide);
    let row = |((moved, rate), rise): ((&&Moved, &String), &String)| {
        Line::from(vec![
            mark(watched, moved.state),
            Span::raw(padded(&fitted(watched, &moved.name, room), room)),
            Span::raw(format!(" {rate:>rate_wide$} {rise:>rise_wide$}")),
        ])
    };
    moved.iter().zip(&rates).zip(&rises).map(row).collect()
}

/// `12/s`; a dash for what rests.
fn rate(rate: f64) -> String {
    match rate {
        rate if rate <= 0.0 => "-".to_owned(),
        rate if rate < 10.0 => format!("{rate:.1}/s"),
        rate => format!("{}/s", grouped(rate.round() as u64)),
    }
}

/// State, peer, count.
fn peers(watched: &Watched, snapshot: &Snapshot, columns: usize) -> Vec<Line<'static>> {
    if snapshot.peers.is_empty() {
        let text = watched.style.lang.pick("none stands out", "没有突出的对端");
        return vec![Line::from(fitted(watched, text, columns))];
    }
    let counts: Vec<String> = snapshot.peers.iter().map(|peer| grouped(peer.count)).collect();
    let states: Vec<String> = snapshot.peers.iter().map(|peer| clean(&peer.state)).collect();
    let (wide, count_wide) = (widest(&states).min(STATE_COLUMNS), widest(&counts));
    let room = columns.saturating_sub(wide + 1 + 1 + count_wide);
    let row = |((peer, state), count): ((&netwhy_model::host::PeerCount, &String), &String)| {
        let address = match peer.port {
            Some(port) => std::net::SocketAddr::new(peer.peer, port).to_string(),
            None => peer.peer.to_string(),
        };
        Line::from(vec![
            Span::raw(padded(&fitted(watched, state, wide), wide)),
            Span::raw(format!(" {}", padded(&fitted(watched, &address, room), room))),
            Span::raw(format!(" {count:>count_wide$}")),
        ])
    };
    snapshot.peers.iter().zip(&states).zip(&counts).take(LINE_COUNT_MAX).map(row).collect()
}

/// A text in so many columns, printable, the cut marked.
fn fitted(watched: &Watched, text: &str, columns: usize) -> String {
    let end = text.char_indices().nth(columns + 1).map_or(text.len(), |(at, _)| at);
    let text = clean(&text[..end]);
    match watched.style.unicode {
        true => shortened(&text, columns, "…"),
        false => shortened(&text.replace('·', "-"), columns, ".."),
    }
}
