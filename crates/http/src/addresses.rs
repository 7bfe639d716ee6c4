//! The question `http.addresses`: the same request at every address of the name, each a node of its own perhaps.

use crate::ask::Ask;
use crate::exchange::answer;
use crate::facts::seen;
use crate::view::View;
use netwhy_model::{Case, Evidence};
use std::net::SocketAddr;
use std::time::Duration;

/// Addresses asked.
const ADDRESS_COUNT_MAX: usize = 8;
/// Longest wait for one answer, in milliseconds; what takes longer is no answer.
const WAIT_MS: u64 = 3_000;

/// Asks all of them at once, and those that answer worse than the rest once more.
///
/// Nothing when there are fewer than two.
pub(crate) async fn addresses(case: &Case, addresses: &[SocketAddr]) -> Vec<Evidence> {
    let addresses = &addresses[..addresses.len().min(ADDRESS_COUNT_MAX)];
    if addresses.len() < 2 {
        return Vec::new();
    }
    let mut found = all(case, addresses).await;
    let mut failing = worse(&found);
    if !failing.is_empty() {
        for (address, view) in all(case, &failing).await {
            if let Some(known) = found.iter_mut().find(|(known, _)| *known == address) {
                known.1 = view;
            }
        }
        failing = worse(&found);
    }
    let value = if failing.is_empty() { "same" } else { "some_bad" };
    // Who fails is told first.
    found.sort_by_key(|(address, _)| !failing.contains(address));
    let told: Vec<String> =
        found.iter().map(|(address, view)| format!("{address}: {}", view.text())).collect();
    vec![seen("http.addresses", value, told.join("; "))]
}

async fn all(case: &Case, addresses: &[SocketAddr]) -> Vec<(SocketAddr, View)> {
    let asks = addresses.iter().map(|address| async move {
        let ask = Ask::of(case, *address).within(Duration::from_millis(WAIT_MS));
        (*address, View::of(case, answer(case, &ask).await))
    });
    futures_util::future::join_all(asks).await
}

/// Who answers worse than the best: what the user wants before another answer before a failure or none.
fn worse(found: &[(SocketAddr, View)]) -> Vec<SocketAddr> {
    let rank = |view: &View| match view.status() {
        _ if view.good => 2,
        200..500 => 1,
        _ => 0,
    };
    let best = found.iter().map(|(_, view)| rank(view)).max();
    found.iter().filter(|(_, view)| Some(rank(view)) < best).map(|(address, _)| *address).collect()
}
