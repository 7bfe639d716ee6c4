//! Content codings asked one by one, and whether a cache mixes them up or keeps an error.

use super::{Base, invented};
use crate::ask::Ask;
use crate::decode::DecodeEnd;
use crate::facts::seen as fact;
use crate::signature::cache_hit;
use crate::view::View;
use netwhy_model::Evidence;

/// `http.encoding`, `http.vary` and `http.cache`.
pub(super) async fn ask(base: &Base<'_>) -> Vec<Evidence> {
    if base.view().status() == 0 {
        return Vec::new();
    }
    if base.ask.method != "GET" && base.ask.method != "HEAD" {
        return Vec::new();
    }
    let mut all: Vec<Evidence> = cache(base).await.into_iter().collect();
    // Codings of an error page are nobody's trouble.
    if (200..300).contains(&base.view().status()) {
        all.extend(encodings(base).await);
    }
    all
}

/// `http.cache`: an error that only the cache still has.
async fn cache(base: &Base<'_>) -> Option<Evidence> {
    let view = base.view();
    let says = cache_hit(&view.head);
    let shown = format!(
        "{}; cache says {}",
        view.text(),
        says.map_or("nothing", |hit| if hit { "hit" } else { "miss" })
    );
    if view.good || says == Some(false) {
        return Some(fact("http.cache", if says == Some(true) { "hit_ok" } else { "none" }, shown));
    }
    if view.status() < 400 {
        return None;
    }
    let fresh = base.view_of(&base.ask.busted(&invented())).await;
    if !fresh.good {
        return Some(fact(
            "http.cache",
            "none",
            format!("{shown}; with a query no cache knows: {}", fresh.text()),
        ));
    }
    let steady = base.still_fails().await && base.view_of(&base.ask.busted(&invented())).await.good;
    steady.then(|| {
        let text = format!("{shown}; with a query no cache knows, twice: {}", fresh.text());
        fact("http.cache", "stale_error", text)
    })
}

fn offering(ask: &Ask, coding: &str) -> Ask {
    ask.clone().with_header("Accept-Encoding", coding)
}

/// The coding of an answer; nothing for identity.
fn coding(view: &View) -> Option<String> {
    let name = view.head.get("content-encoding")?.trim().to_ascii_lowercase();
    (!name.is_empty() && name != "identity").then_some(name)
}

fn mislabelled(view: &View) -> bool {
    view.decode_end == DecodeEnd::Broken || view.hidden_coding.is_some()
}

async fn encodings(base: &Base<'_>) -> Vec<Evidence> {
    let mut rows: Vec<(&str, View)> = Vec::new();
    for offered in ["identity", "gzip", "br"] {
        rows.push((offered, base.view_of(&offering(&base.ask, offered)).await));
    }
    let shown = rows
        .iter()
        .map(|(offered, view)| format!("{offered} → {}", coding(view).unwrap_or_else(|| "identity".into())))
        .collect::<Vec<_>>()
        .join(", ");
    let mut all = Vec::new();
    if let Some((offered, view)) = rows.iter().find(|(_, view)| view.good_but_coding() && mislabelled(view)) {
        let again = base.view_of(&offering(&base.ask, offered)).await;
        if mislabelled(&again) {
            let text = format!("{offered} asked: label {:?}, decoding {:?}", coding(view), view.decode_end);
            all.push(fact("http.encoding", "mislabelled", text));
        }
        return all;
    }
    let odd = rows.iter().any(|(offered, view)| !view.coding_offered(offered));
    let (vary, text) = mixing(base, odd).await;
    let always = vary == Mixing::NeverAsked;
    let value = if odd && always {
        Some("unasked")
    } else if odd {
        None
    } else {
        Some("as_asked")
    };
    all.extend(value.map(|value| fact("http.encoding", value, format!("{shown}; {text}"))));
    match vary {
        Mixing::Mixed => all.push(fact("http.vary", "mixed", format!("{shown}; {text}"))),
        Mixing::Apart => all.push(fact("http.vary", "kept_apart", text)),
        Mixing::NeverAsked | Mixing::Unknown => {}
    }
    all
}

/// What a cache on the way does with codings.
#[derive(Debug, PartialEq, Eq)]
enum Mixing {
    Apart,
    Mixed,
    /// The server itself sends a coding nobody asked for.
    NeverAsked,
    Unknown,
}

/// On a URL no cache knows: identity alone, then coded followed by identity.
async fn mixing(base: &Base<'_>, odd: bool) -> (Mixing, String) {
    let alone = base.view_of(&offering(&base.ask.busted(&invented()), "identity")).await;
    if alone.status() != base.view().status() {
        return (Mixing::Unknown, format!("with another query: {}", alone.text()));
    }
    if !alone.coding_offered("identity") {
        let (mixed, why) = keyed_without_query(base, &alone).await;
        let text = format!("identity with another query → {:?}; {why}", coding(&alone));
        return (if mixed { Mixing::Mixed } else { Mixing::NeverAsked }, text);
    }
    let mut mixed = 0;
    let mut text = String::new();
    for _ in 0..2 {
        let fresh = base.ask.busted(&invented());
        let first = base.view_of(&offering(&fresh, "br, gzip")).await;
        let second = base.view_of(&offering(&fresh, "identity")).await;
        mixed += usize::from(!second.coding_offered("identity"));
        let (one, two) = (coding(&first), coding(&second));
        text =
            format!("one fresh URL: br, gzip → {one:?}, then identity → {two:?}; identity alone → identity");
        if mixed == 0 {
            break;
        }
    }
    match (mixed, odd) {
        (2, _) | (_, true) => (Mixing::Mixed, text),
        (0, false) => (Mixing::Apart, text),
        _ => (Mixing::Unknown, text),
    }
}

/// The query may be no part of the cache's key, so that no fresh copy of the page can be had: three other signs.
async fn keyed_without_query(base: &Base<'_>, alone: &View) -> (bool, String) {
    if cache_hit(&alone.head) == Some(true) {
        return (true, "the cache calls it a hit".to_owned());
    }
    if alone.head.has_token("vary", "accept-encoding") {
        return (true, "its Vary names Accept-Encoding".to_owned());
    }
    let name = coding(alone).unwrap_or_default();
    let page =
        |offered: &str| offering(&base.ask.clone().with_path(&format!("/netwhy-{}", invented())), offered);
    let (plain, coded) = (base.view_of(&page("identity")).await, base.view_of(&page(&name)).await);
    let obeys = coding(&plain).is_none() && coding(&coded).is_some();
    (obeys, format!("another path: identity → {:?}, {name} → {:?}", coding(&plain), coding(&coded)))
}
