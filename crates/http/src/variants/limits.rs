//! The size of header or body that is still taken, found by halving.

use super::Base;
use crate::ask::Ask;
use crate::facts::seen as fact;
use crate::view::{Kind, View};
use netwhy_model::Evidence;

/// Headers or paths shorter than this break no limit, in bytes.
const LONG_BYTES_MIN: usize = 1_024;
/// Halvings tried.
const HALVING_COUNT_MAX: usize = 24;

/// `http.limits`.
pub(super) async fn ask(base: &Base<'_>) -> Option<Evidence> {
    let view = base.view();
    let limiting = matches!(
        view.kind,
        Kind::Status(400 | 413 | 414 | 431 | 494 | 500 | 502 | 503) | Kind::Reset | Kind::Closed
    );
    let long = longest(base);
    let body = base.ask.body_len > 0;
    if view.good || !limiting || (long.is_none() && !body) {
        return Some(fact("http.limits", "not_needed", view.text()));
    }
    if let Some(part) = long
        && let Some(text) = halve(base, part.length(base), |size| part.cut(base, size)).await
    {
        return Some(fact("http.limits", "header_small", format!("{}: {text}", part.name())));
    }
    if body {
        let size = usize::try_from(base.ask.body_len).unwrap_or(usize::MAX);
        let cut = |size: usize| Ask { body_len: size as u64, ..base.ask.clone() };
        if let Some(text) = halve(base, size, cut).await {
            return Some(fact("http.limits", "body_small", format!("body: {text}")));
        }
    }
    Some(fact("http.limits", "fine", format!("a smaller request ends the same: {}", view.text())))
}

/// A part of the request that may be too long.
enum Part {
    Header(String),
    Query,
}

/// The user's longest header or query, when it is long.
fn longest(base: &Base<'_>) -> Option<Part> {
    if base.ask.path.len() >= LONG_BYTES_MIN && base.ask.path.contains('?') {
        return Some(Part::Query);
    }
    let header = base.case.headers.iter().max_by_key(|h| h.value.len())?;
    (header.value.len() >= LONG_BYTES_MIN).then(|| Part::Header(header.name.clone()))
}

impl Part {
    fn name(&self) -> String {
        match self {
            Part::Header(name) => format!("header {name}"),
            Part::Query => "query".to_owned(),
        }
    }

    fn length(&self, base: &Base<'_>) -> usize {
        match self {
            Part::Header(name) => base.ask.header(name).map_or(0, str::len),
            Part::Query => base.ask.path.split_once('?').map_or(0, |(_, query)| query.len()),
        }
    }

    fn cut(&self, base: &Base<'_>, size: usize) -> Ask {
        let short = |text: &str| text.chars().take(size).collect::<String>();
        match self {
            Part::Header(name) => {
                let value = base.ask.header(name).map(short).unwrap_or_default();
                base.ask.clone().with_header(name, &value)
            }
            Part::Query => match base.ask.path.split_once('?') {
                Some((path, query)) => base.ask.clone().with_path(&format!("{path}?{}", short(query))),
                None => base.ask.clone(),
            },
        }
    }
}

/// Halves until it passes; the sizes between which the limit lies.
async fn halve(base: &Base<'_>, size: usize, cut: impl Fn(usize) -> Ask) -> Option<String> {
    let mut fails = size;
    for _ in 0..HALVING_COUNT_MAX {
        let smaller = fails / 2;
        let view = base.view_of(&cut(smaller)).await;
        if passes(base, &view) {
            let steady = passes(base, &base.view_of(&cut(smaller)).await) && base.still_fails().await;
            let (small, large) = (view.text(), base.view().text());
            return steady.then(|| format!("{smaller} bytes pass ({small}), {fails} bytes do not ({large})"));
        }
        if smaller == 0 {
            return None;
        }
        fails = smaller;
    }
    None
}

fn passes(base: &Base<'_>, view: &View) -> bool {
    let limit = matches!(view.kind, Kind::Status(400 | 413 | 414 | 431 | 494));
    view.good || (view.status() != 0 && view.kind != base.view().kind && !limit && view.status() < 500)
}
