//! Files of packets and of exports: which kind a file is, and reading it into flows.

mod captured;
mod datagrams;
mod nfcapd;
mod nfdump;

use crate::capture::{self, Limits};
use crate::export;
use crate::names::Names;
use crate::place::UnreadCount;
use crate::record::Flow;
use netwhy_wire::pcap::CaptureFile;
use std::io::{self, Read};
use std::sync::Arc;
use thiserror::Error;

/// So many first bytes of a file are enough for [`sniff`].
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// Flows given at once, about.
const BATCH_FLOWS: usize = 4096;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// pcap or pcapng of ordinary packets, which become flows.
    Capture,
    /// pcap or pcapng of NetFlow, IPFIX or sFlow datagrams on their way to a collector.
    CapturedExport,
    /// Datagrams of NetFlow, IPFIX or sFlow one behind another.
    Export,
    /// The binary files of nfcapd.
    Nfcapd,
    /// The text that nfdump prints: line, long, extended, CSV, pipe or raw.
    NfdumpText,
}

/// Why a file could not be read on.
#[derive(Debug, Error)]
pub enum DumpError {
    #[error("the file could not be read at byte {offset}")]
    Input {
        offset: u64,
        #[source]
        source: io::Error,
    },
    #[error("the file is no {what}")]
    Foreign { what: &'static str },
    #[error("the file is compressed with {method}, which netwhy does not unpack; `nfdump -J 0 -r FILE` unpacks it")]
    Compressed { method: &'static str },
}

/// What a file held.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DumpCount {
    /// `read` counts flows; `unread` the packets, datagrams or lines that gave none though they should have.
    pub unread: UnreadCount,
    /// Packets, datagrams or records seen in all.
    pub seen: u64,
    /// Packets that are in a flow, or datagrams that were decoded.
    pub in_flows: u64,
    /// Packets that are no IP, such as ARP, or no export where exports are read: nothing is missing for lack of them.
    pub passed_over: u64,
    /// What the exporters said and failed to say.
    pub export: export::Counts,
}

/// Tells what a file holds from its first bytes, unpacked; `None` when it is none of these.
pub fn sniff(head: &[u8]) -> Option<Kind> {
    if CaptureFile::of(head).is_ok() {
        return Some(if captured::is_export(head) { Kind::CapturedExport } else { Kind::Capture });
    }
    if nfcapd::is_nfcapd(head) {
        return Some(Kind::Nfcapd);
    }
    if datagrams::looks_like_export(head, true) {
        return Some(Kind::Export);
    }
    nfdump::is_nfdump(head).then_some(Kind::NfdumpText)
}

/// Reads a file; flows come to `each` in batches, as they end.
///
/// # Errors
/// When the file is of another kind, or cannot be read on; the flows so far were given.
pub fn read(
    kind: Kind,
    names: &Arc<Names>,
    file_name: &str,
    input: impl Read,
    each: &mut dyn FnMut(&[Flow]),
) -> Result<DumpCount, DumpError> {
    match kind {
        Kind::Capture => capture::read(Limits::default(), names, file_name, input, each),
        Kind::CapturedExport => captured::read(names, file_name, input, each),
        Kind::Export => datagrams::read(names, file_name, input, each),
        Kind::Nfcapd => nfcapd::read(names, file_name, input, each),
        Kind::NfdumpText => nfdump::read(names, file_name, input, each),
    }
}

/// Flows on their way to the caller, in batches.
struct Batches<'e> {
    flows: Vec<Flow>,
    count: u64,
    each: &'e mut dyn FnMut(&[Flow]),
}

impl<'e> Batches<'e> {
    fn new(each: &'e mut dyn FnMut(&[Flow])) -> Batches<'e> {
        Batches { flows: Vec::with_capacity(BATCH_FLOWS), count: 0, each }
    }

    fn push(&mut self, flow: Flow) {
        self.flows.push(flow);
        if self.flows.len() >= BATCH_FLOWS {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.count += self.flows.len() as u64;
        if !self.flows.is_empty() {
            (self.each)(&self.flows);
            self.flows.clear();
        }
    }

    /// Hands over what is left; returns how many flows there were in all.
    fn finish(mut self) -> u64 {
        self.flush();
        self.count
    }
}
