//! Unpacks an input while it is read, within limits.

use super::{Limits, Why};
use flate2::bufread::MultiGzDecoder;
use std::io::{BufReader, Chain, Cursor, Read};

/// Packed bytes read at once.
const READ_BYTES: usize = 256 << 10;
/// Unpacked bytes from which the ratio counts; a short run of one letter packs to almost nothing.
const RATIO_FROM_BYTES: u64 = 64 << 20;
/// How often a read that a signal interrupts is tried again.
const INTERRUPTED_COUNT_MAX: u32 = 1000;
/// How a gzip stream begins (RFC 1952).
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An input whose beginning was already read.
type Input<R> = Chain<Cursor<Vec<u8>>, R>;

/// An input, unpacked where it is gzip.
pub enum Unpack<R: Read> {
    Plain(Input<R>),
    Gzip(Box<Gzip<R>>),
}

/// A gzip stream of one or many members.
pub struct Gzip<R: Read> {
    members: MultiGzDecoder<BufReader<Counted<Input<R>>>>,
    limits: Limits,
    unpacked: u64,
}

/// Counts what was read.
pub struct Counted<R> {
    input: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

impl<R: Read> Unpack<R> {
    /// Takes an input and what was read of it.
    pub fn new(head: Vec<u8>, input: R, limits: Limits) -> Unpack<R> {
        let is_gzip = head.starts_with(&MAGIC);
        let input = Cursor::new(head).chain(input);
        if !is_gzip {
            return Unpack::Plain(input);
        }
        let packed = BufReader::with_capacity(READ_BYTES, Counted { input, count: 0 });
        Unpack::Gzip(Box::new(Gzip { members: MultiGzDecoder::new(packed), limits, unpacked: 0 }))
    }

    /// Fills the buffer as far as one step goes; zero at the end.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Why> {
        match self {
            Unpack::Plain(input) => retry(input, buffer).map_err(Why::Input),
            Unpack::Gzip(gzip) => gzip.fill(buffer),
        }
    }
}

impl<R: Read> Gzip<R> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Why> {
        use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let count = retry(&mut self.members, buffer).map_err(|error| match error.kind() {
            UnexpectedEof => Why::Gzip("it ends in the middle"),
            InvalidData | InvalidInput => Why::Gzip("what it holds is damaged"),
            _ => Why::Input(error),
        })?;
        self.unpacked += count as u64;
        let (packed, limits) = (self.members.get_ref().get_ref().count, self.limits);
        if self.unpacked > limits.unpacked_bytes_max {
            return Err(Why::TooLarge(limits.unpacked_bytes_max));
        }
        if self.unpacked > RATIO_FROM_BYTES && self.unpacked / limits.unpacked_ratio_max.max(1) > packed {
            return Err(Why::TooDense(limits.unpacked_ratio_max));
        }
        Ok(count)
    }
}

/// Reads once, again where a signal came between.
fn retry(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    for _ in 0..INTERRUPTED_COUNT_MAX {
        match input.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
    Err(std::io::ErrorKind::Interrupted.into())
}

/// The beginning of what a packed head unpacks to, as far as it goes.
pub fn peek(head: &[u8], bytes_max: usize) -> Vec<u8> {
    let mut text = Vec::new();
    // A head is cut anywhere: what was unpacked until then is what is wanted.
    let _ = MultiGzDecoder::new(head).take(bytes_max as u64).read_to_end(&mut text);
    text
}
