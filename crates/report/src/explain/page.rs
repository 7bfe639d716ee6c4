//! Lessons and the list of causes as HTML pages.

use super::{Lesson, Lookalike, Overview, Sign};
use crate::html::{Html, fix_list};
use crate::words;
use netwhy_model::Lang;

/// Writes one lesson as a page.
pub(super) fn lesson(lesson: &Lesson) -> String {
    let lang = lesson.lang;
    let mut body = Html::default();
    body.open("article", "lesson");
    body.element("h1", "", &lesson.title);
    body.open("p", "place");
    body.element("code", "", &lesson.id);
    body.text(" · ");
    body.text(&lesson.place());
    body.close("p");
    paragraphs(&mut body, lang.pick("What it is", "是什么"), &lesson.what);
    paragraphs(&mut body, lang.pick("How it looks", "表现"), &lesson.looks);
    signs(&mut body, &lesson.signs, lang);
    lookalikes(&mut body, &lesson.lookalikes, lang);
    paragraphs(&mut body, lang.pick("How to prove it", "如何证明"), &lesson.prove);
    body.element("p", "dim", lesson.proven_by);
    if !lesson.fixes.is_empty() {
        body.element("h2", "", lang.pick("How to mend it", "如何修复"));
        fix_list(&mut body, &lesson.fixes);
    }
    body.element("p", "dim", lesson.lab_note());
    body.close("article");
    body.page(&format!("{}: {}", lesson.id, lesson.title), lang)
}

/// Writes the list as a page, one table a layer.
pub(super) fn overview(overview: &Overview) -> String {
    let lang = overview.lang;
    let mut body = Html::default();
    body.open("article", "");
    body.element("h1", "", lang.pick("What netwhy knows", "netwhy 已知的原因"));
    for entries in overview.causes.chunk_by(|a, b| a.layer == b.layer) {
        let Some(first) = entries.first() else { continue };
        let (number, name) = (first.layer.number(), words::layer(first.layer, lang));
        body.element(
            "h2",
            "",
            &match lang {
                Lang::En => format!("Layer {number}: {name}"),
                Lang::Zh => format!("第 {number} 层：{name}"),
            },
        );
        body.table(&[lang.pick("Cause", "原因"), lang.pick("What it is", "说明")]);
        for entry in entries {
            body.open("tr", "");
            body.open("td", "");
            body.element("code", "", &entry.id);
            body.close("td");
            body.element("td", "", &entry.title);
            body.close("tr");
        }
        body.close_table();
    }
    body.close("article");
    body.page(lang.pick("What netwhy knows", "netwhy 已知的原因"), lang)
}

fn paragraphs(body: &mut Html, title: &str, text: &str) {
    body.element("h2", "", title);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        body.element("p", "", line);
    }
}

fn signs(body: &mut Html, signs: &[Sign], lang: Lang) {
    for way in signs.chunk_by(|a, b| a.way == b.way) {
        let Some(first) = way.first() else { continue };
        body.element("p", "dim", first.way.title(lang));
        body.table(&[
            lang.pick("How often", "频度"),
            lang.pick("Fact", "事实"),
            lang.pick("Value", "取值"),
            lang.pick("What it is about", "含义"),
        ]);
        for sign in way {
            body.row(&[sign.word, &sign.fact, &sign.value, &sign.about]);
        }
        body.close_table();
    }
}

fn lookalikes(body: &mut Html, list: &[Lookalike], lang: Lang) {
    if list.is_empty() {
        return;
    }
    body.element("h2", "", lang.pick("Look-alikes, and what tells them apart", "相似原因与区分办法"));
    for other in list {
        body.open("h3", "");
        body.element("code", "", &other.id);
        body.text(" ");
        body.text(&other.title);
        body.close("h3");
        if other.splits.is_empty() {
            let none =
                lang.pick("Nothing a client can ask splits the two.", "客户端的任何询问都不能区分二者。");
            body.element("p", "dim", none);
            continue;
        }
        body.table(&[
            lang.pick("Fact", "事实"),
            lang.pick("Value", "取值"),
            lang.pick("Here", "此处"),
            lang.pick("There", "彼处"),
            lang.pick("What it is about", "含义"),
        ]);
        for split in &other.splits {
            body.row(&[&split.fact, &split.value, split.here_word, split.there_word, &split.about]);
        }
        body.close_table();
    }
}
