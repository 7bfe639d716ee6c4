//! Whole pages as snapshots: text and HTML of hand-made verdicts, in both languages.

// Helpers of tests may unwrap as tests do; the lint knows only functions marked as tests.
#![allow(clippy::unwrap_used)]

mod samples;

use netwhy_model::Lang;
use netwhy_report::{Style, display_width, to_json, verdict_html, verdict_text};

const PLAIN: Style = Style { lang: Lang::En, color: false, unicode: true, width: 100, verbose: false };

#[test]
fn refused_port() {
    insta::assert_snapshot!("refused_en", verdict_text(&samples::refused(Lang::En), &PLAIN));
    let style = Style { lang: Lang::Zh, ..PLAIN };
    insta::assert_snapshot!("refused_zh", verdict_text(&samples::refused(Lang::Zh), &style));
}

#[test]
fn refused_port_on_a_narrow_ascii_terminal_with_everything() {
    let style = Style { unicode: false, width: 60, verbose: true, ..PLAIN };
    insta::assert_snapshot!("refused_ascii", verdict_text(&samples::refused(Lang::En), &style));
}

#[test]
fn a_group_that_cannot_be_split() {
    insta::assert_snapshot!("group_en", verdict_text(&samples::group(), &PLAIN));
}

#[test]
fn a_healthy_target() {
    insta::assert_snapshot!("healthy_en", verdict_text(&samples::healthy(), &PLAIN));
}

#[test]
fn a_page() {
    let page = verdict_html(&[samples::refused(Lang::Zh)], Lang::Zh);
    insta::assert_snapshot!("refused_html_zh", without_style(&page));
}

#[test]
fn colour_adds_nothing_but_colour() {
    for verdict in [samples::refused(Lang::En), samples::group(), samples::healthy(), samples::hostile()] {
        let plain = verdict_text(&verdict, &PLAIN);
        let colored = verdict_text(&verdict, &Style { color: true, ..PLAIN });
        assert_ne!(plain, colored);
        assert_eq!(plain, without_escapes(&colored));
        assert!(!plain.contains('\u{1b}'));
    }
}

#[test]
fn five_lines_say_what_is_wrong_and_what_to_do() {
    let text = verdict_text(&samples::refused(Lang::En), &PLAIN);
    let top: Vec<&str> = text.lines().take(5).collect();
    assert!(top.iter().any(|line| line.contains("nothing listens on the port")), "{top:?}");
    assert!(top.iter().any(|line| line.contains("systemctl start nginx")), "{top:?}");
}

#[test]
fn ascii_terminals_get_ascii() {
    let style = Style { unicode: false, ..PLAIN };
    assert!(verdict_text(&samples::group(), &style).is_ascii());
    assert!(verdict_text(&samples::refused(Lang::En), &style).is_ascii());
}

#[test]
fn lines_keep_to_the_page_except_commands() {
    for width in [60, 80, 120] {
        for lang in [Lang::En, Lang::Zh] {
            let text = verdict_text(&samples::refused(lang), &Style { lang, width, verbose: true, ..PLAIN });
            for line in text.lines().filter(|line| !line.trim_start().starts_with("$ ")) {
                assert!(display_width(line) <= width, "{width} columns: {line:?}");
            }
        }
    }
}

#[test]
fn hostile_text_neither_moves_the_cursor_nor_becomes_markup() {
    let verdict = samples::hostile();
    let text = verdict_text(&verdict, &Style { verbose: true, ..PLAIN });
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    let page = verdict_html(&[verdict], Lang::En);
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{1b}'), "{page}");
}

#[test]
fn pages_carry_everything_with_them() {
    let page = verdict_html(&[samples::refused(Lang::En), samples::healthy()], Lang::En);
    assert_eq!(page.matches("<style>").count(), 1);
    assert_eq!(page.matches("<article").count(), 2);
    for forbidden in ["style=", "<script", "src=", "href=", "@import", "url(", "onload", "onclick"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn json_is_the_contract_and_reads_back() {
    let verdict = samples::refused(Lang::En);
    let line = to_json(&verdict, false).unwrap();
    assert_eq!(line.lines().count(), 1);
    assert_eq!(serde_json::from_str::<netwhy_model::Verdict>(&line).unwrap(), verdict);
    assert_eq!(
        serde_json::from_str::<netwhy_model::Verdict>(&to_json(&verdict, true).unwrap()).unwrap(),
        verdict
    );
}

fn without_style(page: &str) -> String {
    match (page.find("<style>"), page.find("</style>")) {
        (Some(start), Some(end)) => format!("{}<style>…{}", &page[..start], &page[end..]),
        _ => page.to_owned(),
    }
}

fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('\u{1b}') {
        plain.push_str(&rest[..start]);
        let end = rest[start..].find('m').unwrap();
        rest = &rest[start + end + 1..];
    }
    plain + rest
}
