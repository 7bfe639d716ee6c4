//! Asks HTTP/1.1, 2 and 3, with every phase timed.

mod addresses;
mod ask;
mod decode;
mod dial;
mod exchange;
mod facts;
mod follow;
mod framing;
mod health;
mod idle;
mod origin;
mod parse;
mod pattern;
mod protocols;
mod proxy_header;
mod quic;
mod repeat;
mod report;
mod request;
mod signature;
mod speed;
mod summary;
mod upgrade;
mod variants;
mod view;
mod words;

use netwhy_model::{Case, Evidence};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

pub use decode::{DecodeEnd, Decoded, decode};
pub use parse::{BadChunk, Chunks, Head, HeadParse, parse_date, parse_head, title};
pub use repeat::TIMES_COUNT_MAX;
pub use report::{BodyReport, ExchangeReport, Phases, Redirect};
pub use signature::{Sign, sign, writer};

/// The addresses of one name, in the order to try them.
pub type LookupFuture = Pin<Box<dyn Future<Output = Vec<IpAddr>> + Send>>;

/// Resolves the names that redirects lead to; an empty list means the name does not resolve.
pub type Lookup = Arc<dyn Fn(String) -> LookupFuture + Send + Sync>;

/// What the question `http` saw, kept for the questions that follow it.
#[derive(Debug, Clone)]
pub struct HttpSeen {
    pub evidence: Vec<Evidence>,
    pub report: ExchangeReport,
    /// The exchange was whole, with the status and everything else the user expects.
    pub ok: bool,
    told: follow::Followed,
    /// How each attempt ended, the first one first.
    tries: Vec<pattern::Try>,
}

/// The question `http`: the request itself, redirects followed.
///
/// TLS is spoken without verifying the certificate, so that a bad one hides nothing of what lies behind it.
/// A failure that came within 0.7 s is asked again before it is told; when the second attempt differs, the
/// repeated requests of [`repeat`] are part of the evidence. Takes at most about 9 s when nothing answers.
pub async fn http(case: &Case, address: SocketAddr, lookup: Lookup) -> HttpSeen {
    request::ask_target(case, address, &lookup).await
}

/// The question `http.variants`: the same request with one thing changed each time.
pub async fn variants(case: &Case, _address: SocketAddr, seen: &HttpSeen) -> Vec<Evidence> {
    variants::variants(case, seen).await
}

/// The question `http.repeat`: the request repeated, on new and on kept connections.
pub async fn repeat(case: &Case, _address: SocketAddr, seen: &HttpSeen) -> Vec<Evidence> {
    repeat::repeat(case, seen).await
}

/// So many requests one after another, each on a new connection; at most [`TIMES_COUNT_MAX`].
pub async fn repeat_times(case: &Case, seen: &HttpSeen, count: usize) -> Vec<Evidence> {
    repeat::times(case, seen, count).await
}

/// The question `http.idle`: a second request on a connection left idle.
pub async fn idle(case: &Case, _address: SocketAddr, seen: &HttpSeen) -> Vec<Evidence> {
    idle::idle(case, seen).await
}

/// The question `http.upgrade`: the WebSocket upgrade.
pub async fn upgrade(case: &Case, address: SocketAddr, seen: &HttpSeen) -> Vec<Evidence> {
    upgrade::upgrade(case, address, seen).await
}

/// The question `http.addresses`: the same request at each of the name's addresses that open.
pub async fn addresses(case: &Case, addresses: &[SocketAddr]) -> Vec<Evidence> {
    addresses::addresses(case, addresses).await
}

/// The question `http.health`: the health-check path as a load balancer asks it.
pub async fn health(case: &Case, address: SocketAddr) -> Vec<Evidence> {
    health::health(case, address).await
}

/// The question `origin`: the origin behind the node asked directly.
///
/// `seen` is what came through the node; without it nothing is compared. Nothing when the case names no origin.
pub async fn origin(case: &Case, seen: Option<&HttpSeen>) -> Vec<Evidence> {
    origin::origin(case, seen).await
}
