//! Looks at hosts as text, HTML and JSON: whole pages as snapshots, and hostile texts everywhere.

// Helpers of tests may unwrap as tests do; the lint knows only functions marked as tests.
#![allow(clippy::unwrap_used)]

mod samples;

use netwhy_model::Lang;
use netwhy_report::host::{Topic, headline, host_html, host_text};
use netwhy_report::{Style, display_width, to_json};
use proptest::prelude::*;
use samples::host as hosts;

const PLAIN: Style = Style { lang: Lang::En, color: false, unicode: true, width: 100, verbose: false };

fn told(host: &netwhy_model::host::Snapshot, style: &Style, only: &[Topic]) -> String {
    host_text(host, &samples::catalogue(), style, only)
}

#[test]
fn a_host_in_trouble() {
    insta::assert_snapshot!("host_en", told(&hosts::troubled(), &PLAIN, &[]));
    insta::assert_snapshot!("host_zh", told(&hosts::troubled(), &Style { lang: Lang::Zh, ..PLAIN }, &[]));
    let narrow = Style { unicode: false, width: 60, verbose: true, ..PLAIN };
    insta::assert_snapshot!("host_ascii", told(&hosts::troubled(), &narrow, &[]));
}

#[test]
fn a_host_without_findings_says_what_was_not_looked_at() {
    insta::assert_snapshot!("host_well_en", told(&hosts::well(), &PLAIN, &[]));
    insta::assert_snapshot!("host_well_zh", told(&hosts::well(), &Style { lang: Lang::Zh, ..PLAIN }, &[]));
}

#[test]
fn the_first_line_says_how_the_host_is_and_names_the_gravest() {
    let text = told(&hosts::troubled(), &PLAIN, &[]);
    let first = text.lines().next().unwrap();
    assert!(
        first.starts_with("✗ web-1 has 1 fault and 1 risk; the gravest: nothing listens on the port"),
        "{first}"
    );
    let said = headline(&netwhy_model::host::Snapshot::default(), &samples::catalogue(), Lang::Zh);
    assert_eq!(said.sentence, "本机 未发现会中断连接的问题。");
}

#[test]
fn only_what_was_asked_for() {
    let text = told(&hosts::troubled(), &PLAIN, &[Topic::Listeners]);
    assert!(
        text.contains("Listeners (3)") && !text.contains("Firewall") && !text.contains("gravest"),
        "{text}"
    );
    for topic in Topic::ALL {
        assert_eq!(Topic::named(topic.name()), Some(topic));
    }
}

#[test]
fn a_page() {
    let page = host_html(&hosts::troubled(), &samples::catalogue(), Lang::Zh, &[]);
    let (start, end) = (page.find("<style>").unwrap(), page.find("</style>").unwrap());
    insta::assert_snapshot!("host_html_zh", format!("{}<style>…{}", &page[..start], &page[end..]));
    for forbidden in ["style=", "<script", "src=", "href=", "@import", "url(", "onload", "onclick"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn colour_adds_nothing_but_colour_and_no_line_is_wider_than_the_page() {
    for lang in [Lang::En, Lang::Zh] {
        for width in [40, 60, 80, 100, 160] {
            for (unicode, verbose) in [(true, false), (true, true), (false, true)] {
                let style = Style { lang, width, unicode, verbose, color: false };
                let plain = told(&hosts::troubled(), &style, &[]);
                let colored = told(&hosts::troubled(), &Style { color: true, ..style }, &[]);
                assert_eq!(plain, without_escapes(&colored));
                for line in plain.lines().filter(|line| !line.trim_start().starts_with("$ ")) {
                    assert!(display_width(line) <= width, "{width} columns: {line:?}");
                }
            }
        }
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

/// Whatever a process, a log line or a rule calls itself, the three forms stay what they are.
fn holds_together(evil: &str) {
    let host = hosts::hostile(evil);
    let turns = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let rows = told(&hosts::troubled(), &Style { verbose: true, ..PLAIN }, &[]).lines().count();
    for verbose in [false, true] {
        let text = told(&host, &Style { verbose, ..PLAIN }, &[]);
        assert!(!text.chars().any(turns), "{text:?}");
        assert!(text.lines().count() <= rows * 40, "no text takes the page over");
        for line in text.lines().filter(|line| !line.trim_start().starts_with("$ ")) {
            assert!(display_width(line) <= 100, "{line:?}");
        }
    }
    let page = host_html(&host, &samples::catalogue(), Lang::En, &[]);
    let markup = tags(&page);
    let known = tags(&host_html(&hosts::hostile("x"), &samples::catalogue(), Lang::En, &[]));
    assert!(markup.iter().all(|tag| known.contains(tag)), "{markup:?}");
    assert!(!page.chars().any(turns));
    let json = to_json(&host, true).unwrap();
    assert!(!json.chars().any(turns));
    assert_eq!(serde_json::from_str::<netwhy_model::host::Snapshot>(&json).unwrap(), host);
}

/// Every tag of the body, with its attributes.
fn tags(page: &str) -> std::collections::BTreeSet<String> {
    let body = &page[page.find("<body>").unwrap()..];
    let starts = body.match_indices('<').map(|(at, _)| at);
    starts
        .map(|at| body[at..].split('>').next().unwrap().to_owned())
        .filter(|tag| !tag.contains("meter"))
        .collect()
}

#[test]
fn hostile_texts_stay_texts() {
    let long = "x".repeat(10_000);
    let wide = "路".repeat(10_000);
    for evil in [
        "",
        "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m",
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "\u{202e}gnp.exe\u{2066}\u{200f}\u{61c}",
        "a\r\nb\nc\td\u{b}\u{85}\u{2028}",
        "\" onload=\"x' onclick='y",
        "&lt;b&gt;</h1></article></body>",
        "e\u{301}\u{301}\u{301}\u{301}\u{301}👩‍👩‍👧‍👦",
        &long,
        &wide,
    ] {
        holds_together(evil);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_text_breaks_terminal_page_or_json(evil in "\\PC{0,40}|[\\x00-\\x7f]{0,60}|[<>&\"'/=a-z \u{1b}\u{202e}\n]{0,80}|.{0,400}") {
        holds_together(&evil);
    }
}
