//! NetFlow v5 and v9, IPFIX and sFlow v5: the datagrams of many exporters become flows.
//!
//! An exporter is known by its address, port and domain. It may lie: what is kept of it is limited, and so is how many
//! exporters are kept. What comes before its template waits, what never came is counted by the sequence numbers.

mod draft;
mod fixed;
mod field;
mod plan;
mod sequence;
mod sets;
mod source;
mod table;

use crate::names::{Names, Symbol};
use crate::record::Flow;
use draft::Clock;
use netwhy_wire::Take;
use netwhy_wire::ipfix::{self, Dialect, TemplateError};
use netwhy_wire::netflow::V9Head;
use sets::SetReader;
use std::net::SocketAddr;
use std::sync::Arc;
use table::{SourceKey, Sources};
use thiserror::Error;

/// Fields of all templates of all exporters.
const FIELD_COUNT_MAX: usize = 1 << 20;
/// Data of all exporters that waits for its template, in bytes.
const WAITING_BYTES_MAX: usize = 8 << 20;

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
    #[error("the datagram ends within a {0}")]
    Short(&'static str),
    #[error("a template was not understood")]
    Template(#[source] TemplateError),
    #[error("a set has the reserved number {0}")]
    Set(u16),
    #[error("there are too many exporters to keep another")]
    Sources,
}

impl ExportError {
    /// The error with its cause, in one sentence.
    pub fn in_full(&self) -> String {
        match self {
            ExportError::Template(cause) => format!("{self}: {cause}"),
            _ => self.to_string(),
        }
    }

    /// The same in Chinese.
    pub fn in_chinese(&self) -> String {
        match self {
            ExportError::Version(version) => format!("版本 {version} 不是 netwhy 能读的 NetFlow、IPFIX 或 sFlow"),
            ExportError::Short(_) => "数据报不完整".into(),
            ExportError::Template(_) => "模板无法理解".into(),
            ExportError::Set(number) => format!("集合编号 {number} 为保留值"),
            ExportError::Sources => "导出器太多，无法再记录新的".into(),
        }
    }
}

/// What all exporters together said and failed to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub datagrams: u64,
    /// Datagrams that were not understood, or not in whole.
    pub bad_datagrams: u64,
    pub flows: u64,
    /// Records that the exporters sent and that never came, by their sequence numbers.
    ///
    /// NetFlow v9 and sFlow number datagrams: there each counts for as many records as the one behind it has.
    pub lost_records: u64,
    /// Sets of records that had no room to wait for their template.
    pub sets_without_template: u64,
    /// Sets of records that wait for their template now.
    pub sets_waiting: u64,
    /// Templates and exporters that were refused because a limit was reached.
    pub refused: u64,
    /// Records that are about no addresses, such as counters of interfaces.
    pub records_without_addresses: u64,
}

/// Keeps what exporters told of themselves, and decodes their datagrams.
#[derive(Debug)]
pub struct Decoder {
    sources: Sources,
    shared: Shared,
}

/// What all sources share.
#[derive(Debug)]
struct Shared {
    names: Arc<Names>,
    counts: Counts,
    budget: Budget,
}

/// The room that is left for all sources together.
#[derive(Debug)]
struct Budget {
    fields: usize,
    waiting_bytes: usize,
}

impl Budget {
    fn take_fields(&mut self, count: usize) -> bool {
        let left = self.fields.checked_sub(count);
        self.fields = left.unwrap_or(self.fields);
        left.is_some()
    }

    fn give_back_fields(&mut self, count: usize) {
        self.fields += count;
    }

    fn take_waiting(&mut self, bytes: usize) -> bool {
        let left = self.waiting_bytes.checked_sub(bytes);
        self.waiting_bytes = left.unwrap_or(self.waiting_bytes);
        left.is_some()
    }

    fn give_back_waiting(&mut self, bytes: usize) {
        self.waiting_bytes += bytes;
    }
}

impl Decoder {
    pub fn new(names: Arc<Names>) -> Decoder {
        let budget = Budget { fields: FIELD_COUNT_MAX, waiting_bytes: WAITING_BYTES_MAX };
        Decoder {
            sources: Sources::default(),
            shared: Shared { names, counts: Counts::default(), budget },
        }
    }

    /// Decodes one datagram; `each` gets its flows, and those that waited for its templates.
    ///
    /// # Errors
    /// What was not understood first; the flows around it were given all the same.
    pub fn datagram(
        &mut self,
        arrival: &Arrival,
        bytes: &[u8],
        each: &mut impl FnMut(&Flow),
    ) -> Result<(), ExportError> {
        self.shared.counts.datagrams += 1;
        let outcome = match bytes {
            [0, 5, ..] => self.v5(arrival, bytes, each),
            [0, 9, ..] => self.v9(arrival, bytes, each),
            [0, 10, ..] => self.ipfix(arrival, bytes, each),
            [0, 0, 0, 5, ..] => self.sflow(arrival, bytes, each),
            [high, low, ..] => Err(ExportError::Version(u16::from_be_bytes([*high, *low]))),
            _ => Err(ExportError::Short("version")),
        };
        self.shared.counts.bad_datagrams += u64::from(outcome.is_err());
        outcome
    }

    pub fn counts(&self) -> Counts {
        Counts { sets_waiting: self.sources.waiting_count(), ..self.shared.counts }
    }

    fn v9(
        &mut self,
        arrival: &Arrival,
        bytes: &[u8],
        each: &mut impl FnMut(&Flow),
    ) -> Result<(), ExportError> {
        let mut take = Take::new(bytes);
        let head = V9Head::parse(&mut take).ok_or(ExportError::Short("header"))?;
        let clock = Clock {
            export_ms: i64::from(head.unix_s) * 1000,
            uptime_ms: Some(head.uptime_ms),
            init_ms: None,
        };
        let key = SourceKey { exporter: arrival.exporter, version: 9, domain: head.source_id };
        self.sets(Dialect::V9, key, arrival, clock, take, head.sequence, each)
    }

    fn ipfix(
        &mut self,
        arrival: &Arrival,
        bytes: &[u8],
        each: &mut impl FnMut(&Flow),
    ) -> Result<(), ExportError> {
        let mut take = Take::new(bytes);
        let head = ipfix::Head::parse(&mut take).ok_or(ExportError::Short("header"))?;
        let clock =
            Clock { export_ms: i64::from(head.export_s) * 1000, uptime_ms: None, init_ms: None };
        let key = SourceKey { exporter: arrival.exporter, version: 10, domain: head.domain };
        let whole = usize::from(head.length) <= bytes.len();
        take.rest = take.rest.get(..usize::from(head.length).saturating_sub(16)).unwrap_or(take.rest);
        self.sets(Dialect::Ipfix, key, arrival, clock, take, head.sequence, each)?;
        if whole { Ok(()) } else { Err(ExportError::Short("message")) }
    }

    #[expect(clippy::too_many_arguments, reason = "the two heads differ in all of these and share what follows")]
    fn sets(
        &mut self,
        dialect: Dialect,
        key: SourceKey,
        arrival: &Arrival,
        clock: Clock,
        take: Take<'_>,
        number: u32,
        each: &mut impl FnMut(&Flow),
    ) -> Result<(), ExportError> {
        let source = self.sources.source(key, arrival, &mut self.shared).ok_or(ExportError::Sources)?;
        let mut reader = SetReader {
            dialect,
            source,
            shared: &mut self.shared,
            arrival: *arrival,
            clock,
            records: 0,
            counted: true,
            error: None,
        };
        reader.read(take, each);
        let (records, counted, error) = (reader.records, reader.counted, reader.error);
        let lost = match dialect {
            Dialect::V9 => source.sequence.take(number, Some(1)) * i64::from(records.max(1)),
            Dialect::Ipfix => source.sequence.take(number, counted.then_some(records)),
        };
        self.shared.counts.lose(lost);
        error.map_or(Ok(()), Err)
    }
}

impl Counts {
    /// Counts what is missing, or what was and came late.
    fn lose(&mut self, records: i64) {
        self.lost_records = self.lost_records.saturating_add_signed(records);
    }
}
