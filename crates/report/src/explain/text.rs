//! Lessons and the list of causes as text.

use super::{Lesson, Lookalike, Overview, Sign};
use crate::style::{Style, Tone, clean, display_width, padded};
use crate::text::{INDENT, Page};
use crate::words;
use netwhy_model::Lang;

/// Writes one lesson.
pub(super) fn lesson(lesson: &Lesson, style: &Style) -> String {
    let lang = lesson.lang;
    let mut page = Page::new(*style);
    page.line(&format!("{}  {}", style.paint(&lesson.id, Tone::Bold), clean(&lesson.title)));
    page.line(&style.paint(&lesson.place(), Tone::Dim));
    block(&mut page, lang.pick("What it is", "是什么"), &lesson.what);
    block(&mut page, lang.pick("How it looks", "表现"), &lesson.looks);
    signs(&mut page, &lesson.signs, lang);
    lookalikes(&mut page, &lesson.lookalikes, lang);
    block(&mut page, lang.pick("How to prove it", "如何证明"), &lesson.prove);
    page.paragraph(INDENT, &format!("{}{}{}", lang.pick("(", "（"), lesson.proven_by, lang.pick(")", "）")));
    fixes(&mut page, lesson);
    page.line("");
    page.paragraph(0, lesson.lab_note());
    page.text
}

/// Writes the list.
pub(super) fn overview(overview: &Overview, style: &Style) -> String {
    let lang = overview.lang;
    let mut page = Page::new(*style);
    let columns = overview.causes.iter().map(|entry| display_width(&entry.id)).max().unwrap_or(0) + 2;
    let mut layer = None;
    for entry in &overview.causes {
        if layer != Some(entry.layer) {
            if layer.is_some() {
                page.line("");
            }
            layer = Some(entry.layer);
            let title = match lang {
                Lang::En => format!("Layer {}: {}", entry.layer.number(), words::layer(entry.layer, lang)),
                Lang::Zh => format!("第 {} 层：{}", entry.layer.number(), words::layer(entry.layer, lang)),
            };
            page.line(&style.paint(&title, Tone::Bold));
        }
        page.labelled(&entry.id, columns, &clean(&entry.title));
    }
    let count = overview.causes.len();
    page.line("");
    page.line(&match lang {
        Lang::En => format!("{count} causes; netwhy explain CAUSE teaches one"),
        Lang::Zh => format!("共 {count} 个原因；netwhy explain CAUSE 详解其一"),
    });
    page.text
}

/// A title and a text, whose own line breaks stay: they may be commands.
fn block(page: &mut Page, title: &str, text: &str) {
    page.section(title);
    for line in text.lines() {
        page.paragraph(INDENT, &clean(line));
    }
}

fn signs(page: &mut Page, signs: &[Sign], lang: Lang) {
    if signs.is_empty() {
        page.paragraph(
            INDENT,
            lang.pick("No fact a client can ask shows it.", "客户端可询问的事实都不能显示它。"),
        );
        return;
    }
    let words = signs.iter().map(|sign| display_width(sign.word)).max().unwrap_or(0) + 2;
    let said = |sign: &Sign| format!("{} = {}", sign.fact, sign.value);
    let facts = signs.iter().map(|sign| display_width(&said(sign))).max().unwrap_or(0) + 2;
    for way in signs.chunk_by(|a, b| a.way == b.way) {
        page.line("");
        let title = way.first().map_or("", |sign| sign.way.title(lang));
        page.paragraph(INDENT, title);
        for sign in way {
            let lead = format!("{}{}", padded(sign.word, words), padded(&said(sign), facts));
            page.labelled(&lead, words + facts, &sign.about);
        }
    }
}

fn lookalikes(page: &mut Page, list: &[Lookalike], lang: Lang) {
    if list.is_empty() {
        return;
    }
    page.section(lang.pick("Look-alikes, and what tells them apart", "相似原因与区分办法"));
    for other in list {
        let head = format!("{}  {}", page.style.paint(&other.id, Tone::Bold), clean(&other.title));
        page.line(&format!("{}{head}", " ".repeat(INDENT)));
        if other.splits.is_empty() {
            let none = lang.pick("nothing a client can ask splits the two", "客户端的任何询问都不能区分二者");
            page.paragraph(INDENT * 2, none);
        }
        for split in &other.splits {
            let said = format!("{} = {}", split.fact, split.value);
            let (here, there, about) = (split.here_word, split.there_word, &split.about);
            let text = match lang {
                Lang::En => format!("{said}: here {here}, there {there} ({about})"),
                Lang::Zh => format!("{said}：此处{here}，彼处{there}（{about}）"),
            };
            page.paragraph(INDENT * 2, &text);
        }
    }
}

fn fixes(page: &mut Page, lesson: &Lesson) {
    if lesson.fixes.is_empty() {
        return;
    }
    page.section(lesson.lang.pick("How to mend it", "如何修复"));
    for (number, step) in lesson.fixes.iter().enumerate() {
        page.step(number + 1, step);
    }
}
