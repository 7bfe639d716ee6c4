//! A look at a host as an HTML page.

use super::part::{Cell, Item, Judged, Part, Row, Table};
use super::words::{link_state, shown_time};
use super::{Looked, Topic, headline};
use crate::html::{Html, fix_list, sign, state_class};
use crate::style::shortened;
use netwhy_model::Lang;
use netwhy_model::host::State;

/// Columns of one text read from outside.
const TEXT_COLUMNS_MAX: usize = 2_000;
/// Parts of a whole that a meter shows.
const METER_MAX: f64 = 100.0;

/// The whole page.
pub(super) fn page(looked: &Looked<'_>, parts: &[Part]) -> String {
    let mut body = Html::default();
    body.raw(&article(looked, parts));
    body.page(&format!("netwhy host: {}", limited(&looked.snapshot.hostname)), looked.lang)
}

/// Only the article.
pub(super) fn article(looked: &Looked<'_>, parts: &[Part]) -> String {
    let mut body = Html::default();
    body.open("article", "host");
    let said = headline(looked.snapshot, looked.catalogue, looked.lang);
    body.open("h1", "");
    body.element("span", &format!("sign {}", state_class(said.state)), sign(said.state));
    body.text(&limited(&said.sentence));
    body.close("h1");
    for part in parts {
        write_part(part, looked.lang, &mut body);
    }
    footer(looked, &mut body);
    body.close("article");
    body.into_markup()
}

fn write_part(part: &Part, lang: Lang, body: &mut Html) {
    body.raw(&format!("<h2 id=\"{}\">", part.topic.name()));
    body.text(&part.title);
    body.close("h2");
    // Findings are what the page is for: nothing of them is folded away.
    if part.topic == Topic::Findings {
        return write_items(&part.full, lang, body);
    }
    write_items(&part.brief, lang, body);
    if part.full.is_empty() {
        return;
    }
    body.open("details", "");
    body.element("summary", "", lang.pick("Everything", "全部"));
    write_items(&part.full, lang, body);
    body.close("details");
}

fn write_items(items: &[Item], lang: Lang, body: &mut Html) {
    for item in items {
        match item {
            Item::Line(state, text) => {
                body.open("p", "");
                mark(*state, body);
                body.text(&limited(text));
                body.close("p");
            }
            Item::Aside(text) => body.element("p", "dim", &limited(text)),
            Item::Table(table) => write_table(table, lang, body),
            Item::Finding(finding) => write_finding(finding, lang, body),
        }
    }
}

/// The sign of something odd or bad.
fn mark(state: State, body: &mut Html) {
    if let Some(state) = link_state(state) {
        body.element("span", &format!("sign {}", state_class(state)), sign(state));
    }
}

fn write_finding(finding: &Judged, lang: Lang, body: &mut Html) {
    let (state, word) = finding.said(lang);
    body.open("section", "cause");
    body.open("h3", "");
    body.element("span", &format!("sign {}", state_class(state)), &format!("{} {word}", sign(state)));
    body.text(&limited(&finding.title));
    body.close("h3");
    body.open("p", "place");
    body.element("code", "", &limited(&finding.cause));
    if !finding.subject.is_empty() {
        body.text(&format!(" · {}", limited(&finding.subject)));
    }
    body.close("p");
    if !finding.text.is_empty() {
        body.element("p", "", &limited(&finding.text));
    }
    if !finding.proof.is_empty() {
        body.open("ul", "");
        for proof in &finding.proof {
            body.element("li", "", &limited(proof));
        }
        body.close("ul");
    }
    if !finding.fixes.is_empty() {
        body.element("h3", "", lang.pick("Fix", "修复"));
        fix_list(body, &finding.fixes);
    }
    body.close("section");
}

fn write_table(table: &Table, lang: Lang, body: &mut Html) {
    let mut heads: Vec<&str> = table.heads.iter().map(|head| head.title.as_str()).collect();
    let below = table.rows.iter().any(|row| !row.below.is_empty());
    if below {
        heads.push(&table.below);
    }
    body.table(&heads);
    for row in &table.rows {
        write_row(row, below, body);
    }
    body.close_table();
    if table.left_out > 0 {
        let rest = table.left_out;
        body.element(
            "p",
            "dim",
            &match lang {
                Lang::En => format!("and {rest} more"),
                Lang::Zh => format!("另有 {rest} 项"),
            },
        );
    }
}

fn write_row(row: &Row, below: bool, body: &mut Html) {
    body.raw("<tr>");
    for (place, cell) in row.cells.iter().enumerate() {
        body.raw("<td>");
        if place == 0 {
            mark(row.state, body);
        }
        match cell {
            Cell::Text(text) => body.text(&limited(text)),
            Cell::Fill(None) => {}
            Cell::Fill(Some(fill)) => {
                let share = (fill * METER_MAX).clamp(0.0, METER_MAX).round() as u8;
                body.raw(&format!("<meter min=\"0\" max=\"100\" value=\"{share}\">{share} %</meter>"));
            }
        }
        body.raw("</td>");
    }
    if below {
        body.element("td", "", &limited(&row.below));
    }
    body.raw("</tr>\n");
}

fn footer(looked: &Looked<'_>, body: &mut Html) {
    let snapshot = looked.snapshot;
    let at = shown_time(snapshot.at).unwrap_or_default();
    let told = [&snapshot.hostname, &snapshot.kernel, &at, &snapshot.schema].map(|text| limited(text));
    let told: Vec<&str> = told.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    body.element("p", "dim", &told.join(" · "));
}

/// A text read from outside, of bounded length; escaping makes it safe.
fn limited(text: &str) -> String {
    let end = text.char_indices().nth(TEXT_COLUMNS_MAX + 1).map_or(text.len(), |(at, _)| at);
    shortened(&crate::style::clean(&text[..end]), TEXT_COLUMNS_MAX, "…")
}
