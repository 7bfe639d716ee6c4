//! NetFlow v5 and v9, IPFIX and sFlow v5: the datagrams of many exporters become flows.

use crate::names::{Names, Symbol};
use crate::record::Flow;
use std::net::SocketAddr;
use std::sync::Arc;
use thiserror::Error;

/// How one datagram came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    pub exporter: SocketAddr,
    /// Milliseconds since 1970, UTC.
    pub at_ms: i64,
    /// Goes into the flows as it is.
    pub file: Symbol,
    /// Goes into the flows as it is.
    pub offset: u64,
}

/// Why a datagram was not understood, or not in whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExportError {
    #[error("version {0} is no NetFlow, IPFIX or sFlow that netwhy reads")]
    Version(u16),
}

/// What all exporters together said and failed to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub datagrams: u64,
    /// Datagrams that were not understood, or not in whole.
    pub bad_datagrams: u64,
    pub flows: u64,
    /// Records that the exporters sent and that never came, by their sequence numbers.
    pub lost_records: u64,
    /// Sets of records whose template never came, or for which there was no room to wait.
    pub sets_without_template: u64,
    /// Templates, sources or waiting data that were refused because a limit was reached.
    pub refused: u64,
}

/// Keeps what exporters told of themselves, and decodes their datagrams.
pub struct Decoder {
    counts: Counts,
    _names: Arc<Names>,
}

impl Decoder {
    pub fn new(names: Arc<Names>) -> Decoder {
        Decoder { counts: Counts::default(), _names: names }
    }

    /// Decodes one datagram; `each` gets its flows, and those that waited for its templates.
    ///
    /// # Errors
    /// What was not understood; the flows before it were given all the same.
    pub fn datagram(
        &mut self,
        _arrival: &Arrival,
        _bytes: &[u8],
        _each: &mut impl FnMut(&Flow),
    ) -> Result<(), ExportError> {
        Ok(())
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }
}
