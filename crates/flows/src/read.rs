//! Flow logs of the clouds, text and gzip, read in blocks by parallel workers and given in file order.
//!
//! One thread reads, unpacks and cuts at record ends, workers parse, the caller's thread gets the blocks in order. All
//! queues are bounded. A record that cannot be read is counted with its place and the rest is read; only what ends the
//! input itself (a broken gzip stream, a limit, an input error) is an error, and what came before it was given.

pub mod sniff;
pub mod wanted;

pub use sniff::{Format, sniff};
pub use wanted::Wanted;

use crate::{Flow, Names, UnreadCount};
use std::io::Read;
use std::sync::Arc;

/// How much one input may unpack to, in bytes.
const UNPACKED_BYTES_MAX: u64 = 1 << 40;
/// How many bytes one packed byte may unpack to; text logs reach 30, deflate's own limit is 1032.
const UNPACKED_RATIO_MAX: u64 = 300;
/// The longest record, in bytes: a line, or one object of a JSON document.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// Reads flow logs into `Flow`s.
#[derive(Debug, Clone)]
pub struct Reader {
    pub names: Arc<Names>,
    /// Threads that parse; one and the input is read and parsed on the caller's thread.
    pub workers: usize,
    /// The columns that are needed; others stay at their defaults and are not looked at.
    pub wanted: Wanted,
    /// What the input is; by default found out from its name and beginning.
    pub format: Option<Format>,
    /// The order of fields of an AWS log without a header line, as in the flow log's own definition, `${}` allowed.
    pub fields: Option<String>,
    pub limits: Limits,
}

/// What one input may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub unpacked_bytes_max: u64,
    pub unpacked_ratio_max: u64,
    pub record_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            unpacked_bytes_max: UNPACKED_BYTES_MAX,
            unpacked_ratio_max: UNPACKED_RATIO_MAX,
            record_bytes_max: RECORD_BYTES_MAX,
        }
    }
}

/// The records of one stretch of an input, in file order.
#[derive(Debug, Default)]
pub struct Block {
    pub flows: Vec<Flow>,
}

/// Why an input was not read to its end. What was read before it was given.
#[derive(Debug, thiserror::Error)]
#[error("{file}, at byte {offset} of the unpacked input: {why}")]
pub struct ReadError {
    pub file: Arc<str>,
    /// How far the unpacked input was read.
    pub offset: u64,
    pub why: Why,
    /// What was read and not read until then.
    pub count: UnreadCount,
}

/// What ended an input early.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    #[error("the input could not be read: {0}")]
    Input(std::io::Error),
    #[error("the gzip stream is broken: {0}")]
    Gzip(&'static str),
    #[error("it unpacks to more than {0} bytes")]
    TooLarge(u64),
    #[error("it unpacks to more than {0} times its size, which no flow log does")]
    TooDense(u64),
    #[error("the format is not one of the flow logs that are read as text or JSON")]
    Unknown,
    #[error("it is {0:?}, which another reader reads")]
    Elsewhere(Format),
    #[error("the order of fields names nothing that is known: {0}")]
    Fields(String),
    #[error("a worker stopped")]
    Worker,
}

impl Reader {
    pub fn new(names: Arc<Names>) -> Reader {
        Reader {
            names,
            workers: 1,
            wanted: Wanted::ALL,
            format: None,
            fields: None,
            limits: Limits::default(),
        }
    }

    /// Reads one input; `each` gets its records in file order.
    pub fn read(
        &self,
        file: &str,
        input: impl Read + Send,
        each: &mut dyn FnMut(Block),
    ) -> Result<UnreadCount, ReadError> {
        self.map(file, input, |flows| Block { flows: flows.to_vec() }, each)
    }

    /// Reads one input; `map` runs in the workers on each stretch of records, `each` gets what it gave in file order.
    ///
    /// `map` must have no side effects: a stretch is mapped again where a header line before it changed its meaning.
    pub fn map<T: Send>(
        &self,
        file: &str,
        _input: impl Read + Send,
        _map: impl Fn(&[Flow]) -> T + Sync,
        _each: impl FnMut(T),
    ) -> Result<UnreadCount, ReadError> {
        Err(ReadError { file: file.into(), offset: 0, why: Why::Unknown, count: UnreadCount::default() })
    }
}
