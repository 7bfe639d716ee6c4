//! Where the panes stand on the screen.

use super::panes;
use super::state::{Pane, Watched};
use netwhy_model::Lang;
use netwhy_report::clean;
use netwhy_report::host::shown_time;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::symbols::border;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Clear, Paragraph};

/// Fewest columns for panes side by side; a narrower screen shows the one in focus.
const COLUMNS_MIN: u16 = 60;
/// Fewest lines for all panes.
const LINES_MIN: u16 = 16;
/// Most lines of the pane of the verdict, borders counted.
const VERDICT_LINES_MAX: u16 = 9;
/// Borders for terminals without drawing characters.
const ASCII_BORDER: border::Set<'_> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, watched: &mut Watched) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Line::styled(heading(watched), Modifier::BOLD), head);
    if watched.zoomed || body.width < COLUMNS_MIN || body.height < LINES_MIN {
        pane(frame, watched, watched.focus, body);
    } else {
        for (which, area) in areas(watched, body) {
            pane(frame, watched, which, area);
        }
    }
    frame.render_widget(Line::styled(keys(watched.style.lang), Modifier::DIM), foot);
    if watched.help {
        help(frame, watched, body);
    }
}

/// The verdict over the whole width, the others two by two.
fn areas(watched: &Watched, body: Rect) -> [(Pane, Rect); 5] {
    let wanted = panes::lines(Pane::Findings, watched, usize::from(body.width)).len();
    let verdict = u16::try_from(wanted).unwrap_or(u16::MAX).saturating_add(2).clamp(4, VERDICT_LINES_MAX);
    let [top, middle, bottom] =
        Layout::vertical([Constraint::Length(verdict), Constraint::Fill(1), Constraint::Fill(1)]).areas(body);
    let beside = Layout::horizontal([Constraint::Percentage(58), Constraint::Fill(1)]);
    let [listeners, states] = beside.areas(middle);
    let [counters, peers] = beside.areas(bottom);
    [
        (Pane::Findings, top),
        (Pane::Listeners, listeners),
        (Pane::States, states),
        (Pane::Counters, counters),
        (Pane::Peers, peers),
    ]
}

/// One pane; the one in focus has a sign in its title, not only another border.
fn pane(frame: &mut Frame<'_>, watched: &mut Watched, which: Pane, area: Rect) {
    let focused = watched.focus == which;
    let unicode = watched.style.unicode;
    let sign = match (focused, unicode) {
        (false, _) => " ",
        (true, true) => " ▸ ",
        (true, false) => " > ",
    };
    let border = match (unicode, focused) {
        (false, _) => ASCII_BORDER,
        (true, false) => border::ROUNDED,
        (true, true) => border::THICK,
    };
    let style = if focused { Style::default() } else { Style::default().add_modifier(Modifier::DIM) };
    let title = format!("{sign}{}{} ", panes::title_of(which, watched.style.lang), age(watched, which));
    let mut block = Block::bordered().border_set(border).border_style(style).title(title);
    let inner = block.inner(area);
    let lines = panes::lines(which, watched, usize::from(inner.width));
    let hidden = lines.len().saturating_sub(usize::from(inner.height));
    let scrolled = watched.scroll(which, hidden);
    if hidden > scrolled {
        let more = hidden - scrolled;
        let arrow = if unicode { "↓" } else { "v" };
        block = block.title_bottom(Line::from(format!(" {arrow}{more} ")).right_aligned());
    }
    let shown: Vec<Line<'_>> = lines.into_iter().skip(scrolled).take(usize::from(inner.height)).collect();
    frame.render_widget(Paragraph::new(Text::from(shown)).block(block), area);
}

/// How old the verdict is, beside its title; nothing when it is of this look.
fn age(watched: &Watched, which: Pane) -> String {
    let seconds = watched.verdict_age().filter(|_| which == Pane::Findings).map_or(0, |age| age.as_secs());
    match (seconds, watched.style.lang) {
        (0, _) => String::new(),
        (n, Lang::En) => format!(", {n} s ago"),
        (n, Lang::Zh) => format!("（{n} 秒前）"),
    }
}

/// Which machine, when, how often.
fn heading(watched: &Watched) -> String {
    let lang = watched.style.lang;
    let dot = if watched.style.unicode { "·" } else { "-" };
    let mut told = vec!["netwhy host".to_owned()];
    if let Some(snapshot) = &watched.snapshot {
        told.push(clean(&snapshot.hostname));
        told.extend(shown_time(snapshot.at));
        if !snapshot.root {
            told.push(lang.pick("without root", "非 root").to_owned());
        }
    }
    let seconds = watched.every.as_secs_f64();
    told.push(match (watched.paused(), watched.slowed(), lang) {
        (true, ..) => lang.pick("PAUSED", "已暂停").to_owned(),
        (_, None, Lang::En) => format!("every {seconds} s"),
        (_, None, Lang::Zh) => format!("每 {seconds} 秒"),
        (_, Some(since), Lang::En) => format!("every {:.0} s, to cost little", since.as_secs_f64()),
        (_, Some(since), Lang::Zh) => format!("每 {:.0} 秒（以节省开销）", since.as_secs_f64()),
    });
    told.retain(|text| !text.is_empty());
    told.join(&format!(" {dot} "))
}

const fn keys(lang: Lang) -> &'static str {
    lang.pick(
        "q quit  Tab pane  Up/Down scroll  Enter alone  p pause  ? help",
        "q 退出  Tab 切换  上下键 滚动  Enter 单独显示  p 暂停  ? 帮助",
    )
}

/// All keys, over the panes.
fn help(frame: &mut Frame<'_>, watched: &Watched, body: Rect) {
    let lang = watched.style.lang;
    let lines = [
        lang.pick(
            "q, Esc, Ctrl-C   quit (Esc first leaves a pane shown alone)",
            "q、Esc、Ctrl-C   退出（Esc 先离开单独显示）",
        ),
        lang.pick("Tab, Left, Right  next or previous pane", "Tab、左右键        切换窗格"),
        lang.pick("Up, Down, PgUp, PgDn, Home  scroll", "上下键、PgUp、PgDn、Home  滚动"),
        lang.pick(
            "Enter, z          this pane alone, and back",
            "Enter、z          单独显示此窗格，再按返回",
        ),
        lang.pick("p, Space          pause, and go on", "p、空格           暂停，再按继续"),
        "",
        lang.pick("Signs: ✗ broken  ! risk or odd", "标记：✗ 故障  ! 风险或异常"),
        lang.pick(
            "Counters: a second, and in all since the watch began",
            "计数器：每秒，以及开始观察以来的总数",
        ),
        lang.pick(
            "Owners, rules and verdict: every 5 s; logs: every 30 s; at 1 % of a core",
            "归属、规则与结论每 5 秒更新，日志每 30 秒；开销约为单核 1 %",
        ),
    ];
    let lines: Vec<Line<'_>> = lines
        .into_iter()
        .map(|line| {
            Line::from(if watched.style.unicode { line.to_owned() } else { line.replace('✗', "x") })
        })
        .collect();
    let (width, height) = (body.width.min(76), body.height.min(lines.len() as u16 + 2));
    let area =
        Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height };
    let border = if watched.style.unicode { border::ROUNDED } else { ASCII_BORDER };
    let block = Block::bordered().border_set(border).title(lang.pick(" Keys ", " 按键 "));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(Text::from(lines)).block(block), area);
}

#[cfg(test)]
#[path = "../../../../../report/tests/samples/host.rs"]
#[allow(dead_code)]
mod samples;

#[cfg(test)]
mod tests {
    use super::super::pace::Depth;
    use super::super::state::Key;
    use super::{Watched, draw, samples};
    use netwhy_model::Lang;
    use netwhy_model::host::Snapshot;
    use netwhy_report::Style;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use std::time::{Duration, Instant};

    const STYLE: Style = Style { lang: Lang::En, color: false, unicode: true, width: 80, verbose: false };

    fn watched(style: Style, snapshot: &Snapshot) -> Watched {
        let mut watched = Watched::styled(Duration::from_secs(1), style);
        let start = Instant::now();
        for look in 0..30 {
            let mut snapshot = snapshot.clone();
            snapshot.counts.syn_recv = look * look;
            if let Some(reading) = snapshot.sections[0].readings.first_mut() {
                reading.value = format!("{}", 48_000 + look * 12);
            }
            let depth = if look % 3 == 0 { Depth::Whole } else { Depth::Light };
            watched.take(snapshot, depth, start + Duration::from_secs(look));
        }
        watched
    }

    fn screen(watched: &mut Watched, columns: u16, lines: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
        terminal.draw(|frame| draw(frame, watched)).unwrap();
        let shown = format!("{}", terminal.backend());
        // The backend notes which cells a wide character covers; the picture is what is compared.
        let lines =
            shown.lines().map(|line| line.split("\" Hidden").next().unwrap().trim_matches('"').trim_end());
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_screen_of_80_by_24() {
        insta::assert_snapshot!("watch_en", screen(&mut watched(STYLE, &samples::troubled()), 80, 24));
        let zh = Style { lang: Lang::Zh, ..STYLE };
        insta::assert_snapshot!("watch_zh", screen(&mut watched(zh, &samples::troubled()), 80, 24));
        let ascii = Style { unicode: false, ..STYLE };
        insta::assert_snapshot!("watch_ascii", screen(&mut watched(ascii, &samples::troubled()), 80, 24));
    }

    #[test]
    fn the_help_and_a_pane_alone() {
        let mut watched = watched(STYLE, &samples::troubled());
        watched.act(Some(Key::Help));
        insta::assert_snapshot!("watch_help", screen(&mut watched, 80, 24));
        watched.act(Some(Key::Help));
        watched.act(Some(Key::Next));
        watched.act(Some(Key::Zoom));
        insta::assert_snapshot!("watch_alone", screen(&mut watched, 80, 12));
    }

    #[test]
    fn no_size_and_no_text_breaks_the_screen() {
        let long = "路".repeat(3_000);
        for evil in ["\u{1b}[2J\u{202e}", &long, "", "<script>", "a\nb\tc"] {
            for (columns, lines) in [(80, 24), (200, 60), (60, 19), (40, 10), (10, 4), (3, 2), (1, 1)] {
                for lang in [Lang::En, Lang::Zh] {
                    let mut watched = watched(Style { lang, ..STYLE }, &samples::hostile(evil));
                    let shown = screen(&mut watched, columns, lines);
                    let turns =
                        |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
                    assert!(!shown.chars().any(turns), "{shown:?}");
                    watched.act(Some(Key::Help));
                    watched.act(Some(Key::PageDown));
                    screen(&mut watched, columns, lines);
                }
            }
        }
    }

    #[test]
    fn before_the_first_look_it_says_so() {
        let mut fresh = Watched::styled(Duration::from_secs(1), STYLE);
        assert!(screen(&mut fresh, 80, 24).contains("looking"));
    }
}
