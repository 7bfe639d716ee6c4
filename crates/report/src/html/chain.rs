//! The chain as an SVG drawing, with a table that says the same to a screen reader.

use super::{Html, escaped};
use crate::style::{Style, clean, shortened};
use crate::words;
use netwhy_model::{ChainLink, Lang, LinkState};

/// Width given to one link, in user units.
const STEP: usize = 130;
/// Height of the drawing, in user units.
const HEIGHT: usize = 118;
/// Height of the line of nodes, in user units.
const MIDDLE: usize = 46;
/// Radius of a node, in user units.
const RADIUS: usize = 16;
/// Longest label drawn, in terminal columns; the table has it whole.
const LABEL_COLUMNS_MAX: usize = 20;

/// Draws the chain and its table twin.
pub(super) fn draw(chain: &[ChainLink], lang: Lang, body: &mut Html) {
    if chain.is_empty() {
        return;
    }
    body.element("h2", "", lang.pick("The chain", "链路"));
    body.open("div", "scroll");
    body.raw(&drawing(chain, lang));
    body.close("div");
    body.open("details", "");
    body.element("summary", "", lang.pick("The chain as a table", "链路表格"));
    body.table(&[
        lang.pick("Link", "环节"),
        lang.pick("State", "状态"),
        lang.pick("What stands here", "对象"),
    ]);
    for link in chain {
        body.row(&[words::link(link.link, lang), words::state(link.state, lang), &link.label]);
    }
    body.close_table();
    body.close("details");
}

fn drawing(chain: &[ChainLink], lang: Lang) -> String {
    let width = STEP * chain.len();
    let said: Vec<String> = chain
        .iter()
        .map(|link| format!("{}: {}", words::link(link.link, lang), words::state(link.state, lang)))
        .collect();
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {HEIGHT}\" role=\"img\" aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">\n",
        escaped(&said.join("; "))
    );
    let mut cut = false;
    for number in 1..chain.len() {
        cut |= chain[number - 1].state == LinkState::Broken;
        let class = if cut { "wire cut" } else { "wire" };
        let (from, to) = (center(number - 1) + RADIUS + 4, center(number) - RADIUS - 4);
        svg.push_str(&format!("<path class=\"{class}\" d=\"M{from} {MIDDLE}H{to}\"/>\n"));
    }
    for (number, link) in chain.iter().enumerate() {
        svg.push_str(&node(center(number), link, lang));
    }
    svg.push_str("</svg>\n");
    svg
}

const fn center(number: usize) -> usize {
    STEP * number + STEP / 2
}

fn node(x: usize, link: &ChainLink, lang: Lang) -> String {
    let class = class(link.state);
    let text = |class: &str, y: usize, text: &str| {
        format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>\n", escaped(text))
    };
    let mut drawn = format!("<circle class=\"node {class}\" cx=\"{x}\" cy=\"{MIDDLE}\" r=\"{RADIUS}\"/>\n");
    drawn.push_str(&text(&format!("mark {class}"), MIDDLE + 6, sign(link.state)));
    drawn.push_str(&text("", 18, words::link(link.link, lang)));
    drawn.push_str(&text(&format!("said {class}"), MIDDLE + RADIUS + 20, words::state(link.state, lang)));
    drawn.push_str(&text(
        "label",
        MIDDLE + RADIUS + 39,
        &shortened(&clean(&link.label), LABEL_COLUMNS_MAX, "…"),
    ));
    drawn
}

/// The class of a state in the style sheet.
pub(crate) const fn class(state: LinkState) -> &'static str {
    match state {
        LinkState::Well => "well",
        LinkState::Ailing => "ailing",
        LinkState::Broken => "broken",
        LinkState::Suspect => "suspect",
        LinkState::Unknown => "unknown",
    }
}

/// The sign of a state; a page can always show it.
pub(crate) const fn sign(state: LinkState) -> &'static str {
    let style = Style { lang: Lang::En, color: false, unicode: true, width: 0, verbose: false };
    style.sign(state)
}
