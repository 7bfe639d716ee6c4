//! Flow logs of the clouds, text and gzip, read in blocks by parallel workers and given in file order.
//!
//! One thread reads, unpacks and cuts at record ends, workers parse, the caller's thread gets the blocks in order. All
//! queues are bounded. A record that cannot be read is counted with its place and the rest is read; only what ends the
//! input itself (a broken gzip stream, a limit, an input error) is an error, and what came before it was given.

mod azure;
mod blocks;
mod gcp;
pub(crate) mod gzip;
mod json;
mod layout;
mod lines;
mod marks;
mod number;
mod objects;
mod parse;
mod pool;
pub mod sniff;
pub mod wanted;
mod words;
mod wrong;

pub use sniff::{Format, sniff};
pub use wanted::{Records, Wanted};

use crate::{Flow, Names, UnreadCount};
use blocks::Blocks;
use gzip::Unpack;
use layout::Layout;
use lines::Lines;
use parse::{Parsed, Parser};
use std::io::Read;
use std::sync::Arc;
use words::Words;

/// How much one input may unpack to, in bytes.
const UNPACKED_BYTES_MAX: u64 = 1 << 40;
/// How many bytes one packed byte may unpack to; text logs reach 30, deflate's own limit is 1032.
const UNPACKED_RATIO_MAX: u64 = 300;
/// The longest line, in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;
/// The longest JSON object that is a record, in bytes: Azure writes a minute of a network into one.
const OBJECT_BYTES_MAX: usize = 32 << 20;

/// Reads flow logs into `Flow`s.
#[derive(Debug, Clone)]
pub struct Reader {
    pub names: Arc<Names>,
    /// Threads that parse; one and the input is read and parsed on the caller's thread.
    pub workers: usize,
    /// The columns that are needed, and of which records; others stay at their defaults and are not looked at.
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
    pub line_bytes_max: usize,
    pub object_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            unpacked_bytes_max: UNPACKED_BYTES_MAX,
            unpacked_ratio_max: UNPACKED_RATIO_MAX,
            line_bytes_max: LINE_BYTES_MAX,
            object_bytes_max: OBJECT_BYTES_MAX,
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
        self.run(file, input, |flows| Block { flows: std::mem::take(flows) }, each)
    }

    /// Reads one input; `map` runs in the workers on each stretch of records, `each` gets what it gave in file order.
    ///
    /// A stretch is mapped a second time where a header line before it turned out to change what its fields mean; what
    /// came of the first time is dropped then.
    pub fn map<T: Send>(
        &self,
        file: &str,
        input: impl Read + Send,
        map: impl Fn(&[Flow]) -> T + Sync,
        mut each: impl FnMut(T),
    ) -> Result<UnreadCount, ReadError> {
        self.run(file, input, |flows| map(flows), &mut each)
    }

    fn run<T: Send>(
        &self,
        file: &str,
        mut input: impl Read + Send,
        map: impl Fn(&mut Vec<Flow>) -> T + Sync,
        each: &mut dyn FnMut(T),
    ) -> Result<UnreadCount, ReadError> {
        let error = |why, offset, count| ReadError { file: file.into(), offset, why, count };
        let early = |why| error(why, 0, UnreadCount::default());
        let mut head = Vec::new();
        let read = input.by_ref().take(sniff::HEAD_BYTES_MAX as u64).read_to_end(&mut head);
        read.map_err(|why| early(Why::Input(why)))?;
        let start = self.start(file, &head).map_err(early)?;
        let record_bytes_max = match start.format.is_json() {
            true => self.limits.object_bytes_max,
            false => self.limits.line_bytes_max,
        };
        let small = head.len() < sniff::HEAD_BYTES_MAX && !head.starts_with(&gzip::MAGIC);
        let cutter = (start.format.is_json() && !start.by_line).then(json::Cutter::default);
        let blocks = Blocks::new(Unpack::new(head, input, self.limits), cutter, record_bytes_max);
        let name: Arc<str> = file.into();
        let symbol = self.names.symbol(file);
        let parser = || {
            let lines = Lines::new(Words::new(self.names.clone()), self.wanted, name.clone(), symbol);
            Parser::new(lines, start.format, start.by_line)
        };
        let plan = pool::Plan { file: name.clone(), layout: start.layout, parser: &parser, map };
        let (count, failed) = if self.workers < 2 || small {
            pool::alone(blocks, &plan, each)
        } else {
            pool::together(blocks, &plan, self.workers, each)
        };
        match failed {
            None => Ok(count),
            Some((why, offset)) => Err(error(why, offset, count)),
        }
    }

    /// Finds out what an input is and how it begins.
    fn start(&self, file: &str, head: &[u8]) -> Result<Start, Why> {
        let format = self.format.or_else(|| sniff(file, head));
        let packed = head.starts_with(&gzip::MAGIC);
        let peeked = if packed { gzip::peek(head, sniff::HEAD_BYTES_MAX) } else { Vec::new() };
        let text = if packed { &peeked } else { head };
        let format = match format {
            Some(format) if format.is_json() || format.is_text() => format,
            Some(format) => return Err(Why::Elsewhere(format)),
            // Nothing is also read to its end.
            None if text.iter().all(u8::is_ascii_whitespace) && !packed => Format::AwsText,
            None => return Err(Why::Unknown),
        };
        let first = if format.is_json() { sniff::message(text).unwrap_or_default() } else { text };
        let layout = match &self.fields {
            Some(fields) => Layout::named(fields, self.wanted).ok_or_else(|| Why::Fields(fields.clone()))?,
            None => sniff::first_layout(first, self.wanted).unwrap_or_else(|| Layout::version_2(self.wanted)),
        };
        Ok(Start {
            format,
            layout: Arc::new(layout),
            by_line: format.is_json() && sniff::is_object_a_line(text),
        })
    }
}

/// What is known of an input before it is read.
struct Start {
    format: Format,
    layout: Arc<Layout>,
    /// Whether JSON has an object on each line.
    by_line: bool,
}
