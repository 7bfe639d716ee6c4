//! The origin's answers beside the node's: content, Host, SNI, and an error only the cache still has.

use super::Ground;
use crate::HttpSeen;
use crate::ask::Ask;
use crate::dial::Secure;
use crate::exchange::answer;
use crate::facts::seen as fact;
use crate::request::SLOW_MS_MIN;
use crate::signature::cache_hit;
use crate::variants::invented;
use crate::view::{Kind, View};
use netwhy_model::Evidence;
use netwhy_tls::OriginTls;
use std::time::Duration;

async fn view_of(ground: &Ground<'_>, ask: &Ask) -> View {
    View::of(ground.case, answer(ground.case, ask).await)
}

/// `origin.content`: told only when each side gives the same page twice.
pub(super) async fn content(ground: &Ground<'_>, view: &View, seen: Option<&HttpSeen>) -> Option<Evidence> {
    let seen = seen?;
    let node = &seen.told.view;
    if !node.good || !view.good {
        return None;
    }
    if node.same_page(view) {
        return Some(fact("origin.content", "same", format!("both: {}", view.text())));
    }
    let node_ask = seen.told.ask.clone().within(Duration::from_millis(super::MORE_MS.1));
    let (origin_again, node_again) = tokio::join!(view_of(ground, &ground.ask), view_of(ground, &node_ask));
    let steady = origin_again.same_page(view) && node_again.same_page(node);
    let text = format!(
        "origin: {}, SHA-256 {}; node: {}, SHA-256 {}",
        view.text(),
        view.hash,
        node.text(),
        node.hash
    );
    if origin_again.same_page(&node_again) || origin_again.same_page(node) {
        return Some(fact("origin.content", "same", text));
    }
    steady.then(|| fact("origin.content", "differs", text))
}

/// `origin.sni`: what the origin gives to a client that sends no name in its hello.
pub(super) async fn sni(ground: &Ground<'_>, view: &View, tls: Option<&OriginTls>) -> Option<Evidence> {
    let named = matches!(ground.case.target.host, netwhy_model::Host::Name(_));
    let Some(secure) = ground.ask.secure.clone().filter(|_| named) else {
        return Some(fact("origin.sni", "not_needed", "no TLS with a name on the origin"));
    };
    let nameless = Ask { secure: Some(Secure { sni: false, ..secure }), ..ground.ask.clone() };
    let there = view_of(ground, &nameless).await;
    let text = format!("without SNI: {}; with: {}", there.text(), view.text());
    let node = ground.node.filter(|node| !node.good);
    let fails = there.status() == 0 || tls.is_some_and(|tls| tls.without_sni == "fails_without");
    if fails && view.status() != 0 {
        let gateway = |node: &View| matches!(node.status(), 502 | 503 | 520..=526);
        let value = if view.good && node.is_some_and(gateway) { "as_node" } else { "fails_without" };
        return Some(fact("origin.sni", value, text));
    }
    let as_node = view.good && node.is_some_and(|node| there.same_page(node));
    Some(fact("origin.sni", if as_node { "as_node" } else { "indifferent" }, text))
}

/// `origin.host_header`: whether the node's answer is the one the origin gives to a Host it does not know.
pub(super) async fn host(
    ground: &Ground<'_>,
    view: &View,
    content_differs: bool,
    seen: Option<&HttpSeen>,
) -> Option<Evidence> {
    let node = ground.node?;
    let slow = view.wait_ms.is_some_and(|ms| ms >= SLOW_MS_MIN);
    if !view.good || slow || (node.good && !content_differs) || matches!(node.status(), 0 | 504) {
        return Some(fact("origin.host_header", "not_needed", "node and origin do not disagree over a page"));
    }
    let fresh = seen.map(|s| s.told.ask.busted(&invented()).within(Duration::from_millis(super::MORE_MS.1)));
    if let Some(fresh) = fresh.filter(|_| !node.good)
        && view_of(ground, &fresh).await.good
    {
        return Some(fact(
            "origin.host_header",
            "not_needed",
            "with a query no cache knows the node gives a good page",
        ));
    }
    let mut other = None;
    for (host, there) in strangers(ground).await {
        let hung_up = matches!(there.kind, Kind::Closed | Kind::Reset) && node.status() == 502;
        let text = format!(
            "Host {host}: {}; through the node: {}; our Host: {}",
            there.text(),
            node.text(),
            view.text()
        );
        if there.same_page(node) || hung_up {
            return Some(fact("origin.host_header", "as_node", text));
        }
        if !there.same_page(view) {
            other = Some(text);
        }
    }
    Some(match other {
        Some(text) => fact("origin.host_header", "differs", text),
        None => fact("origin.host_header", "not_needed", format!("every Host gets: {}", view.text())),
    })
}

/// What the origin gives for Hosts a careless node would send, all asked at once.
async fn strangers(ground: &Ground<'_>) -> Vec<(String, View)> {
    let address = ground.ask.address;
    let bare = match address.ip() {
        std::net::IpAddr::V6(v6) => format!("[{v6}]"),
        v4 => v4.to_string(),
    };
    let hosts = [format!("netwhy-{}.invalid", invented()), bare, address.to_string(), "localhost".to_owned()];
    let asks = hosts.clone().map(|host| ground.ask.clone().with_header("Host", &host));
    let [one, two, three, four] = &asks;
    let views = tokio::join!(
        view_of(ground, one),
        view_of(ground, two),
        view_of(ground, three),
        view_of(ground, four)
    );
    hosts.into_iter().zip([views.0, views.1, views.2, views.3]).collect()
}

/// `http.cache`: the node calls its error a hit, and the origin has none.
pub(super) fn cached(ground: &Ground<'_>, view: &View) -> Option<Evidence> {
    let node = ground.node.filter(|node| !node.good && node.status() >= 400)?;
    let hit = cache_hit(&node.head) == Some(true);
    (view.good && hit).then(|| {
        fact(
            "http.cache",
            "stale_error",
            format!("node, from its cache: {}; origin: {}", node.text(), view.text()),
        )
    })
}
