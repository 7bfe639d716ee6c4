//! Flows as they happen: a collector of exports, this host's handshakes, tracked connections and sockets.

mod collector;
mod conntrack;
mod handshakes;
mod sockets;

pub use collector::{Collector, Received};
pub use conntrack::connections;
pub use handshakes::Handshakes;
pub use sockets::sockets;

use std::io;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// Callbacks come at least this often, if need be without flows, in milliseconds.
pub const TICK_MS: u64 = 250;

/// Why flows could not be watched.
#[derive(Debug, Error)]
pub enum LiveError {
    #[error("{address} could not be listened on")]
    Bind {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the socket failed")]
    Socket(#[source] io::Error),
    #[error("tracked connections could not be watched")]
    Conntrack(#[source] netwhy_netfilter::NetfilterError),
    #[error("packets could not be watched")]
    Handshakes(#[source] io::Error),
    #[error("sockets could not be listed")]
    Sockets(#[source] netwhy_netlink::NetlinkError),
}

/// Milliseconds since 1970, UTC.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
