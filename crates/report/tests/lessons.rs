//! Lessons and the list of causes, from a small catalogue made by hand.

// Helpers of tests may unwrap as tests do; the lint knows only functions marked as tests.
#![allow(clippy::unwrap_used)]

mod samples;

use netwhy_model::Lang;
use netwhy_report::explain::{Lesson, Overview};
use netwhy_report::{Style, to_json};

const PLAIN: Style = Style { lang: Lang::En, color: false, unicode: true, width: 100, verbose: false };

fn lesson(lang: Lang) -> Lesson {
    Lesson::of(&samples::catalogue(), "tcp.refused.no_listener", lang).unwrap()
}

#[test]
fn one_cause_in_both_languages() {
    insta::assert_snapshot!("lesson_en", lesson(Lang::En).text(&PLAIN));
    insta::assert_snapshot!("lesson_zh", lesson(Lang::Zh).text(&Style { lang: Lang::Zh, ..PLAIN }));
    insta::assert_snapshot!("lesson_json", to_json(&lesson(Lang::En), true).unwrap());
}

#[test]
fn all_causes() {
    let overview = Overview::of(&samples::catalogue(), Lang::En);
    insta::assert_snapshot!("overview_en", overview.text(&PLAIN));
    let under = Overview::under(&samples::catalogue(), "tcp.refused", Lang::En).unwrap();
    assert_eq!(under.causes, overview.causes);
    assert!(Overview::under(&samples::catalogue(), "tcp.refuse", Lang::En).is_none());
    assert!(overview.html().contains("tcp.refused.bound_elsewhere"));
}

#[test]
fn a_split_names_the_fact_that_differs_and_only_that() {
    let lesson = lesson(Lang::En);
    let box_splits: Vec<&str> = lesson.lookalikes[0].splits.iter().map(|split| split.fact.as_str()).collect();
    assert_eq!(box_splits, ["tcp.rst_ttl"]);
    assert!(lesson.lookalikes[1].splits.is_empty(), "equal tables are not split");
}

#[test]
fn an_unknown_cause_has_no_lesson() {
    assert!(Lesson::of(&samples::catalogue(), "tcp.refused", Lang::En).is_none());
}
