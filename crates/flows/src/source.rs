//! Any file: what it is by its first bytes, and its records or events.
//!
//! Owns which reader reads what, and unpacking for those readers that do not unpack themselves.

use crate::dump::{self, DumpCount, DumpError};
use crate::logs::{self, Event, LogError, LogReader};
use crate::read::gzip::{self, Unpack};
use crate::read::{self, Format, Limits, ReadError, Reader, Wanted};
use crate::{Flow, Names, UnreadCount, export};
use std::io::{self, Cursor, Read};
use std::sync::Arc;

/// How a Parquet file begins.
pub const PARQUET: &[u8] = b"PAR1";

/// What a file holds, and so which reader reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    FlowLog(Format),
    Dump(dump::Kind),
    Log(logs::LogFormat),
}

/// A part of what a file holds, in its order.
#[derive(Debug, Clone, Copy)]
pub enum Batch<'a> {
    Flows(&'a [Flow]),
    Events(&'a [Event]),
}

/// Reads files of any kind.
#[derive(Debug, Clone)]
pub struct Source {
    pub names: Arc<Names>,
    pub workers: usize,
    pub wanted: Wanted,
    /// The order of fields of AWS logs without a header line.
    pub fields: Option<String>,
    /// When the input was last written, in milliseconds since 1970: the year of log lines without one. Zero is now.
    pub latest_ms: i64,
}

/// What became of one file; what was read before its end was given all the same.
#[derive(Debug)]
pub struct Told {
    pub kind: Option<Kind>,
    pub count: UnreadCount,
    /// What exporters said and failed to say, of captures and exports.
    pub export: export::Counts,
    /// What ended it before its end.
    pub error: Option<SourceError>,
}

/// Why a file was not read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("it is none of the formats that are read")]
    Unknown,
    #[error("it is Parquet, which only a netwhy with the lake reads")]
    Parquet,
    #[error("it could not be read")]
    Input(#[from] io::Error),
    #[error(transparent)]
    FlowLog(ReadError),
    #[error(transparent)]
    Dump(DumpError),
    #[error(transparent)]
    Log(LogError),
}

/// Tells what a file holds; `head` is unpacked.
pub fn sniff(name: &str, head: &[u8]) -> Option<Kind> {
    let dump = || dump::sniff(head).map(Kind::Dump);
    let log = || logs::sniff(name, head).map(Kind::Log);
    let flow_log = || read::sniff(name, head).filter(|format| is_read(*format)).map(Kind::FlowLog);
    dump().or_else(flow_log).or_else(log)
}

/// Parquet is the lake's; captures were looked for before.
const fn is_read(format: Format) -> bool {
    !matches!(format, Format::Parquet | Format::Pcap | Format::Pcapng)
}

impl Source {
    pub fn new(names: Arc<Names>) -> Source {
        Source { names, workers: 1, wanted: Wanted::ALL, fields: None, latest_ms: 0 }
    }

    /// Reads one input; `each` gets what it holds in its order.
    pub fn read(&self, name: &str, input: impl Read + Send, each: &mut dyn FnMut(Batch)) -> Told {
        let mut told = Told {
            kind: None,
            count: UnreadCount::default(),
            export: export::Counts::default(),
            error: None,
        };
        match self.read_into(name, input, &mut told, each) {
            Ok(count) => told.count = count,
            Err(error) => {
                if let SourceError::FlowLog(read) = &error {
                    told.count = read.count.clone();
                }
                told.error = Some(error);
            }
        }
        told
    }

    fn read_into(
        &self,
        name: &str,
        mut input: impl Read + Send,
        told: &mut Told,
        each: &mut dyn FnMut(Batch),
    ) -> Result<UnreadCount, SourceError> {
        let mut head = Vec::new();
        input.by_ref().take(dump::HEAD_BYTES_MAX as u64).read_to_end(&mut head)?;
        let packed = head.starts_with(&gzip::MAGIC);
        let known =
            if packed { sniff(name, &gzip::peek(&head, dump::HEAD_BYTES_MAX)) } else { sniff(name, &head) };
        let kind = match (known, &self.fields) {
            (Some(kind), _) => kind,
            // A log without its header is what the order of fields was given for.
            (None, Some(_)) => Kind::FlowLog(Format::AwsText),
            (None, None) if head.starts_with(PARQUET) => return Err(SourceError::Parquet),
            (None, None) => return Err(SourceError::Unknown),
        };
        told.kind = Some(kind);
        match kind {
            Kind::FlowLog(format) => {
                let mut reader = Reader::new(self.names.clone());
                (reader.workers, reader.wanted) = (self.workers, self.wanted);
                (reader.format, reader.fields) = (Some(format), self.fields.clone());
                let each = &mut |block: read::Block| each(Batch::Flows(&block.flows));
                reader.read(name, Cursor::new(head).chain(input), each).map_err(SourceError::FlowLog)
            }
            Kind::Dump(kind) => {
                let each = &mut |flows: &[Flow]| each(Batch::Flows(flows));
                let read = dump::read(kind, &self.names, name, Plain::new(head, input), each);
                let DumpCount { unread, export, .. } = read.map_err(SourceError::Dump)?;
                told.export = export;
                Ok(unread)
            }
            Kind::Log(_) => {
                let clock = logs::Clock { latest_ms: self.latest_ms, ..logs::Clock::default() };
                let options = logs::Options { server: logs::server(name), clock };
                let names = self.names.clone();
                let reader = LogReader { workers: self.workers, ..LogReader::new(names, options) };
                let each = &mut |events: Vec<Event>| each(Batch::Events(&events));
                reader.read(name, Plain::new(head, input), each).map_err(SourceError::Log)
            }
        }
    }
}

/// An input unpacked, where it is packed, within limits.
struct Plain<R: Read>(Unpack<R>);

impl<R: Read> Plain<R> {
    fn new(head: Vec<u8>, input: R) -> Plain<R> {
        Plain(Unpack::new(head, input, Limits::default()))
    }
}

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.fill(buffer).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    const LINE: &str =
        "203.0.113.9 - - [01/Jan/2026:00:00:01 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl/8\"\n";

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn events(bytes: &[u8]) -> (usize, Told) {
        let mut count = 0;
        let told = Source::new(Arc::default()).read("access.log", bytes, &mut |batch| match batch {
            Batch::Events(events) => count += events.len(),
            Batch::Flows(_) => {}
        });
        (count, told)
    }

    #[test]
    fn a_log_is_read_packed_or_not() {
        let text = LINE.repeat(100);
        for bytes in [text.as_bytes(), &packed(text.as_bytes())] {
            let (count, told) = events(bytes);
            assert_eq!((count, told.count.unread, told.error.is_none()), (100, 0, true), "{told:?}");
        }
    }

    #[test]
    fn a_bomb_is_an_error_and_what_came_before_counts() {
        let bomb = LINE.repeat(10) + &"\n".repeat(80 << 20);
        let (count, told) = events(&packed(bomb.as_bytes()));
        assert!(count == 10 && told.error.is_some(), "{count} {:?}", told.error);
    }

    #[test]
    fn what_is_no_log_is_said() {
        let (_, told) = events(b"nothing of the kind\n");
        assert!(matches!(told.error, Some(SourceError::Unknown)), "{told:?}");
    }

    #[test]
    fn the_date_of_the_input_gives_the_year_that_its_lines_leave_out() {
        let line =
            b"Feb  3 10:00:00 host sshd[1]: Failed password for root from 203.0.113.9 port 4000 ssh2\n";
        let source = Source { latest_ms: 1_583_020_800_000, ..Source::new(Arc::default()) };
        let mut times = Vec::new();
        source.read("auth.log", &line[..], &mut |batch| {
            if let Batch::Events(events) = batch {
                times.extend(events.iter().map(|event| event.time_ms));
            }
        });
        assert_eq!(times, [1_580_724_000_000]);
    }
}
