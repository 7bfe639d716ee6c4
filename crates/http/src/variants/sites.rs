//! Another path and another Host: is it this page, this site, or everything?

use super::{Base, invented};
use crate::facts::seen as fact;
use crate::request::SLOW_MS_MIN;
use crate::view::{View, accepted};
use netwhy_model::{Evidence, Host};

/// `http.random_path`.
pub(super) async fn random_path(base: &Base<'_>) -> Option<Evidence> {
    let path = format!("/netwhy-{}", invented());
    let view = base.view_of(&base.ask.clone().into_get().with_path(&path)).await;
    let value = match view.status() {
        // A page that is missing like everything else says so; a lone missing page cannot be told from that.
        _ if !base.view().good && view.kind == base.view().kind => "same_error",
        404 | 410 => "not_found",
        status if accepted(base.case, status) => "ok",
        _ => "other_error",
    };
    Some(fact("http.random_path", value, format!("GET {path}: {}", view.text())))
}

/// `http.host_variant`.
pub(super) async fn other_host(base: &Base<'_>) -> Option<Evidence> {
    let ours = base.view();
    if ours.status() == 0 {
        return None;
    }
    let name = format!("netwhy-{}.invalid", invented());
    let unknown = base.view_of(&base.ask.clone().with_header("Host", &name)).await;
    if unknown.status() == 0 {
        return Some(fact("http.host_variant", "differs", format!("Host {name}: {}", unknown.text())));
    }
    // A gateway that gave up on its origin knows the site.
    let patient = ours.wait_ms.is_none_or(|ms| ms < SLOW_MS_MIN);
    if !ours.good
        && patient
        && let Some(found) = works(base, &name, &unknown).await
    {
        return Some(found);
    }
    let value = if unknown.same_page(ours) { "same" } else { "differs" };
    Some(fact("http.host_variant", value, format!("Host {name}: {}; ours: {}", unknown.text(), ours.text())))
}

/// Another Host passes where ours fails, twice.
async fn works(base: &Base<'_>, name: &str, unknown: &View) -> Option<Evidence> {
    let passes = |view: &View| view.good && view.sign.value != "default_site";
    let mut candidates = vec![base.ask.address.ip().to_string()];
    if let Host::Name(host) = &base.case.target.host {
        candidates.push(host.strip_prefix("www.").map_or_else(|| format!("www.{host}"), str::to_owned));
    }
    let mut found = passes(unknown).then(|| (name.to_owned(), unknown.text()));
    for host in candidates {
        if found.is_some() {
            break;
        }
        let view = base.view_of(&base.ask.clone().with_header("Host", &host)).await;
        found = passes(&view).then(|| (host, view.text()));
    }
    let (host, text) = found?;
    let again = base.view_of(&base.ask.clone().with_header("Host", &host)).await;
    if !passes(&again) || !base.still_fails().await {
        return None;
    }
    let ours = base.view().text();
    Some(fact("http.host_variant", "other_works", format!("Host {host}: {text}; ours: {ours}")))
}
