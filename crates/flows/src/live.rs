//! Flows as they happen: a collector of exports, this host's tracked connections and its sockets.

use crate::export;
use crate::names::Names;
use crate::record::Flow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
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
    #[error("sockets could not be listed")]
    Sockets(#[source] netwhy_netlink::NetlinkError),
}

/// What came in and what was lost on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    pub export: export::Counts,
    /// Datagrams the kernel threw away because they were not taken in time.
    pub dropped_by_kernel: u64,
    /// What the kernel granted for waiting datagrams, in bytes.
    pub receive_buffer_bytes: usize,
}

/// Listens for NetFlow, IPFIX and sFlow on one UDP address.
pub struct Collector {}

impl Collector {
    pub fn bind(_address: SocketAddr, _names: Arc<Names>) -> Result<Collector, LiveError> {
        Ok(Collector {})
    }

    /// Receives until `stop` is set; returns within [`TICK_MS`] then. Call again to go on.
    pub fn run(
        &mut self,
        _stop: &AtomicBool,
        _each: &mut dyn FnMut(&[Flow], &Received),
    ) -> Result<Received, LiveError> {
        Ok(Received::default())
    }
}

/// Shows this host's connections as the kernel's connection tracking opens and closes them, until `stop` is set.
///
/// `each` comes at least every [`TICK_MS`]. Returns how often the kernel had to throw events away.
pub fn connections(
    _names: &Names,
    _stop: &AtomicBool,
    _each: &mut dyn FnMut(&[Flow]),
) -> Result<u64, LiveError> {
    Ok(0)
}

/// This host's TCP connections now, each as a flow out of or into this host.
pub fn sockets(_names: &Names, _now_ms: i64) -> Result<Vec<Flow>, LiveError> {
    Ok(Vec::new())
}
