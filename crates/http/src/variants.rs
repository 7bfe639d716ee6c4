//! The question `http.variants`: the same request with one thing changed each time.

mod benign;
mod codings;
mod limits;
mod sites;

use crate::HttpSeen;
use crate::ask::Ask;
use crate::exchange::answer;
use crate::facts::seen as fact;
use crate::protocols;
use crate::proxy_header;
use crate::view::{Kind, View};
use netwhy_model::{Case, Evidence};
use ring::rand::{SecureRandom, SystemRandom};
use std::time::Duration;

/// Patience with one variant, in milliseconds.
const WAIT_MS: (u64, u64) = (1_200, 2_500);

/// Longest patience with one request of a slow service, in milliseconds.
const PATIENCE_MS_MAX: u64 = 5_000;
/// Time for one part, in milliseconds.
const PART_MS_MAX: u64 = 3_800;
/// Codings are not asked of a service whose first byte takes longer, in milliseconds.
const SLOW_MS_MIN: f64 = 500.0;

/// Asks every variant that makes sense after what was seen.
pub(crate) async fn variants(case: &Case, seen: &HttpSeen) -> Vec<Evidence> {
    let view = &seen.told.view;
    if view.kind == Kind::NoConnection || view.kind == Kind::Refused || view.kind == Kind::NoTls {
        return Vec::new();
    }
    let wait = patience(view.wait_ms.unwrap_or(0.0), 3.0, WAIT_MS);
    let base = Base { case, seen, ask: seen.told.ask.clone().within(wait) };
    // A connection that was switched to another protocol has no codings and no other HTTP.
    let plain = view.status() != 101;
    let quick = plain && view.wait_ms.is_none_or(|ms| ms < SLOW_MS_MIN);
    let (path, host, benign, limits, codings, other, proxy) = tokio::join!(
        within(sites::random_path(&base)),
        within(sites::other_host(&base)),
        within(benign::ask(&base)),
        within(limits::ask(&base)),
        within(async { if quick { codings::ask(&base).await } else { Vec::new() } }),
        within(async { if plain { protocols::compare(case, &base.ask, view).await } else { Vec::new() } }),
        within(proxy(&base)),
    );
    // A request that is too long passes once it is shorter: that is no filter's doing.
    let sized = limits.as_ref().is_some_and(|e| matches!(e.value.as_str(), "header_small" | "body_small"));
    let benign = benign.into_iter().filter(|e| !sized || e.value != "passes");
    path.into_iter()
        .chain(host)
        .chain(benign)
        .chain(limits)
        .chain(codings)
        .chain(other)
        .chain(proxy)
        .collect()
}

/// Some times what the first answer took, within bounds; never less than that answer and a quarter would need.
pub(crate) fn patience(known_ms: f64, times: f64, (least, most): (u64, u64)) -> Duration {
    let needed = (known_ms * 1.25 + 250.0) as u64;
    let wished = (known_ms * times + 500.0) as u64;
    Duration::from_millis(wished.clamp(least, most).max(needed.min(PATIENCE_MS_MAX)))
}

/// One part's facts, or none when it takes too long: a slow service shall not cost the other parts theirs.
async fn within<T: Default>(part: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_millis(PART_MS_MAX), part).await.unwrap_or_default()
}

/// The request whose variants are asked, with what it gave.
pub(crate) struct Base<'a> {
    pub case: &'a Case,
    pub seen: &'a HttpSeen,
    pub ask: Ask,
}

impl Base<'_> {
    /// What the request itself gave.
    pub fn view(&self) -> &View {
        &self.seen.told.view
    }

    /// Asks one variant.
    pub async fn view_of(&self, ask: &Ask) -> View {
        View::of(self.case, answer(self.case, ask).await)
    }

    /// True when the request itself, asked again now, still fails as it did.
    pub async fn still_fails(&self) -> bool {
        let again = self.view_of(&self.ask).await;
        !again.good && again.kind == self.view().kind
    }
}

/// A service behind a load balancer may want a PROXY header and close on everyone who sends none.
async fn proxy(base: &Base<'_>) -> Option<Evidence> {
    let view = base.view();
    let suspect =
        matches!(view.kind, Kind::Closed | Kind::Reset | Kind::Garbage | Kind::Timeout | Kind::Status(400));
    if !suspect || base.case.origin.is_some() {
        return None;
    }
    let with = base.view_of(&proxy_header::with_header(&base.ask)).await;
    let passes = with.good || (with.status() != 0 && with.status() != 400);
    if !passes || !base.still_fails().await {
        return None;
    }
    let text = format!("plain: {}; after a PROXY header: {}", view.text(), with.text());
    Some(fact("origin.proxy_header", "needed", text))
}

/// Eight random hex digits, so that nobody knows the name or path.
pub(crate) fn invented() -> String {
    let mut bytes = [0; 4];
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
