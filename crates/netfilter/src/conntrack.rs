//! The connection-tracking table: its fill, its entries as a stream, and what opens and closes in it.

mod event;
mod flow;
mod state;

pub use event::{FlowCounters, FlowEvent, FlowEventKind, FlowEvents};
pub use flow::FlowSeen;
pub use state::{conntrack_fill, conntrack_state};

use crate::error::NetfilterError;
use netwhy_netlink::{Connection, Protocol};
use std::path::Path;

/// NFNL_SUBSYS_CTNETLINK, in the high byte of a message's type.
const SUBSYSTEM: u16 = 1 << 8;
const GET: u16 = SUBSYSTEM | 1;
/// struct nfgenmsg of any family.
const ANY_FAMILY: [u8; 4] = [0; 4];
/// There when connection tracking is; asking over netlink would load it.
const LIMIT_FILE: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// Streams every entry of the calling thread's namespace to `each`; returns how many there were.
///
/// Entries come and go meanwhile: one may be missed, or be seen twice. Holds one datagram at a time.
///
/// # Errors
/// When connection tracking is not in use, or without CAP_NET_ADMIN.
pub fn conntrack_flows(mut each: impl FnMut(&FlowSeen)) -> Result<u64, NetfilterError> {
    let mut connection = open()?;
    let mut count = 0;
    let dump = connection.dump(GET, &ANY_FAMILY, |_, body| {
        if let Some(flow) = FlowSeen::parse(body) {
            count += 1;
            each(&flow);
        }
    });
    match dump {
        Ok(_) => Ok(count),
        Err(source) => Err(NetfilterError::Read { what: "connection-tracking table", source }),
    }
}

fn open() -> Result<Connection, NetfilterError> {
    if !Path::new(LIMIT_FILE).exists() {
        return Err(NetfilterError::NoConntrack);
    }
    Connection::open(Protocol::Netfilter).map_err(NetfilterError::Open)
}

/// Takes one message apart: for fuzzing.
pub(crate) fn take_apart(body: &[u8]) -> String {
    let event = FlowEvent::parse(SUBSYSTEM, body);
    FlowSeen::parse(body).map_or_else(String::new, |flow| format!("{flow:?}{}{event:?}", flow.state()))
}
