//! What one end of a connection sees while a source probes it: the both-ends observation.

mod drops;
mod filter;
mod firewall;
mod keep;
mod packet;
mod queues;
mod ring;
mod routes;
mod sockets;
mod tap;
mod tracefs;

use netwhy_model::Vantage;
use netwhy_model::host::{Record, WatchSpec};

/// The `what` of the record's `unread` when no packets could be watched.
pub const PACKETS_UNREAD: &str = "packets";

/// The watch of one end, from [`Watch::start`] until it is dropped.
#[derive(Debug)]
pub struct Watch {
    record: Record,
}

impl Watch {
    /// Begins to watch; what could not be set up is named in the record's `unread`.
    pub fn start(name: &str, vantage: Vantage, spec: WatchSpec) -> Watch {
        Watch { record: Record { name: name.to_owned(), vantage: Some(vantage), spec, ..Record::default() } }
    }

    /// The record so far, from the start on.
    pub fn look(&mut self) -> Record {
        self.record.clone()
    }
}
