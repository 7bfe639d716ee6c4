//! Capture files, pcap and pcapng, taken apart as their bytes come: a decoder says how many bytes it needs next.
//!
//! Sources: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

use crate::link::Way;
use crate::pcapng::Pcapng;
use crate::take::Order;
use thiserror::Error;

/// The longest packet that is taken, in bytes; a length above is a lie of a torn file.
pub const PACKET_BYTES_MAX: usize = 1 << 20;
/// So many bytes are needed before a file tells what it is.
pub const MAGIC_BYTES: usize = 24;

const RECORD_HEADER_BYTES: usize = 16;
const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

/// One captured packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Captured<'a> {
    /// Nanoseconds since 1970, UTC.
    pub time_ns: i64,
    /// See [`crate::link::carried`].
    pub link_type: u32,
    /// The interface's number in the file, from 0.
    pub interface: u32,
    pub way: Way,
    /// What was kept of the packet.
    pub bytes: &'a [u8],
}

/// What the next bytes of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// So many bytes must be there, from here on.
    Need(usize),
    /// A packet; go on behind so many bytes.
    Packet(usize, Captured<'a>),
    /// Nothing of interest; go on behind so many bytes, perhaps more than are there.
    Skip(u64),
    /// Not understood; go on behind so many bytes, or nowhere where that is 0.
    Bad(u64, CaptureError),
}

/// What is wrong at a place of a capture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CaptureError {
    #[error("the first bytes are neither pcap nor pcapng")]
    Magic,
    #[error("a packet of {0} bytes is longer than any")]
    Long(u32),
    #[error("a block states a length of {0} bytes, which cannot be")]
    Block(u32),
    #[error("a packet belongs to interface {0}, which was not described")]
    Interface(u32),
    #[error("a block of packets is shorter than its fields")]
    Short,
    #[error("more than {0} interfaces in one section")]
    Interfaces(usize),
}

/// Takes one capture file apart.
#[derive(Debug, Clone)]
pub enum CaptureFile {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl CaptureFile {
    /// Tells the format from the first [`MAGIC_BYTES`] bytes (12 do for pcapng).
    pub fn of(head: &[u8]) -> Result<CaptureFile, CaptureError> {
        if head.starts_with(&crate::pcapng::SECTION_MAGIC) {
            return Ok(CaptureFile::Pcapng(Pcapng::default()));
        }
        Pcap::of(head).map(CaptureFile::Pcap).ok_or(CaptureError::Magic)
    }

    /// Looks at the bytes from where the last step ended; start with the first byte of the file.
    ///
    /// `all`: the file ends with these bytes. Where a step is bad, look again with more of the file, if there is more.
    pub fn step<'a>(&mut self, bytes: &'a [u8], all: bool) -> Step<'a> {
        match self {
            CaptureFile::Pcap(file) => file.step(bytes, all),
            CaptureFile::Pcapng(file) => file.step(bytes),
        }
    }

    /// Where the file may go on when it ends within the packet that begins here; 0 when nowhere.
    pub fn behind_torn(&self, bytes: &[u8]) -> u64 {
        match self {
            CaptureFile::Pcap(file) => file.next_record(bytes),
            CaptureFile::Pcapng(_) => 0,
        }
    }

    /// The name of an interface, where the file tells.
    pub fn interface_name(&self, number: u32) -> Option<&str> {
        match self {
            CaptureFile::Pcap(_) => None,
            CaptureFile::Pcapng(file) => file.interface_name(number),
        }
    }
}

/// A classic pcap file.
#[derive(Debug, Clone)]
pub struct Pcap {
    order: Order,
    link_type: u32,
    /// Nanoseconds in one step of the fraction.
    fraction_ns: i64,
    /// Bytes of a record's header: 8 more in the files of a patched tcpdump of 1999.
    header_bytes: usize,
    begun: bool,
    last_time_s: u32,
}

impl Pcap {
    fn of(head: &[u8]) -> Option<Pcap> {
        let head = head.get(..MAGIC_BYTES)?;
        let (order, fraction_ns, header_bytes) = match head.first_chunk::<4>()? {
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1000, RECORD_HEADER_BYTES),
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1000, RECORD_HEADER_BYTES),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1, RECORD_HEADER_BYTES),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1, RECORD_HEADER_BYTES),
            [0xa1, 0xb2, 0xcd, 0x34] => (Order::Big, 1000, RECORD_HEADER_BYTES + 8),
            [0x34, 0xcd, 0xb2, 0xa1] => (Order::Little, 1000, RECORD_HEADER_BYTES + 8),
            _ => return None,
        };
        // The upper bits tell of a frame check sequence, which nobody reads.
        let link_type = order.u32(head, 20) & 0xffff;
        Some(Pcap { order, link_type, fraction_ns, header_bytes, begun: false, last_time_s: 0 })
    }

    fn step<'a>(&mut self, bytes: &'a [u8], all: bool) -> Step<'a> {
        if !self.begun {
            self.begun = true;
            return Step::Skip(MAGIC_BYTES as u64);
        }
        let Some(head) = bytes.get(..self.header_bytes) else { return Step::Need(self.header_bytes) };
        let kept = self.order.u32(head, 8);
        if kept as usize > PACKET_BYTES_MAX {
            return Step::Bad(self.next_record(bytes), CaptureError::Long(kept));
        }
        let end = self.header_bytes + kept as usize;
        // More kept than there was: a torn length, unless the next record stands where it should.
        if kept > self.order.u32(head, 12) {
            let next = end + self.header_bytes;
            if bytes.len() < next && !all {
                return Step::Need(next);
            }
            if bytes.len() >= next && !self.looks_like_record(bytes, end) {
                return Step::Bad(self.next_record(bytes), CaptureError::Long(kept));
            }
        }
        let Some(packet) = bytes.get(self.header_bytes..end) else { return Step::Need(end) };
        self.last_time_s = self.order.u32(head, 0);
        let seconds = i64::from(self.last_time_s);
        let fraction = i64::from(self.order.u32(head, 4));
        let captured = Captured {
            time_ns: seconds * NANOSECONDS_PER_SECOND + fraction * self.fraction_ns,
            link_type: self.link_type,
            interface: 0,
            way: Way::Unknown,
            bytes: packet,
        };
        Step::Packet(end, captured)
    }

    /// Looks for where records go on behind a torn one; 0 when nothing here looks like a record.
    fn next_record(&self, bytes: &[u8]) -> u64 {
        let found = (1..bytes.len().saturating_sub(self.header_bytes)).find(|at| {
            let length = |at: usize| self.order.u32(bytes, at + 8) as usize;
            let next = at + self.header_bytes + length(*at);
            self.looks_like_record(bytes, *at) && (next == bytes.len() || self.looks_like_record(bytes, next))
        });
        found.unwrap_or(0) as u64
    }

    fn looks_like_record(&self, bytes: &[u8], at: usize) -> bool {
        const DAY_S: u32 = 86_400;
        let Some(head) = bytes.get(at..at.saturating_add(self.header_bytes)) else { return false };
        let (kept, length) = (self.order.u32(head, 8), self.order.u32(head, 12));
        let fraction_max = (NANOSECONDS_PER_SECOND / self.fraction_ns) as u32;
        self.order.u32(head, 0).abs_diff(self.last_time_s) < DAY_S
            && self.order.u32(head, 4) < fraction_max
            && (1..=PACKET_BYTES_MAX as u32).contains(&kept)
            && kept <= length
    }
}
