//! NetFlow v5 and v9, IPFIX and sFlow v5: the datagrams of many exporters become flows.
//!
//! An exporter is known by its address, port and domain. It may lie: what is kept of it is limited, and so is how many
//! exporters are kept. What comes before its template waits, what never came is counted by the sequence numbers.

mod draft;
mod field;
mod fixed;
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

/// Names of exporters, interfaces and access lists taken for all of them; `Names` never forgets.
const NAME_COUNT_MAX: usize = 1 << 17;

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
            ExportError::Version(version) => {
                format!("版本 {version} 不是 netwhy 能读的 NetFlow、IPFIX 或 sFlow")
            }
            ExportError::Short(_) => "数据报不完整".into(),
            ExportError::Template(TemplateError::Short) => "模板集在模板中途结束".into(),
            ExportError::Template(TemplateError::Fields(number, count)) => {
                format!("模板 {number} 有 {count} 个字段，超过 {} 个", ipfix::FIELD_COUNT_MAX)
            }
            ExportError::Template(TemplateError::Number(number)) => {
                format!("模板编号 {number} 小于 {}", ipfix::DATA_SET_MIN)
            }
            ExportError::Template(TemplateError::Empty(number)) => {
                format!("模板 {number} 的记录不含任何字节")
            }
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
    /// Records that are about no addresses, such as counters of interfaces, and samples of packets that are no IP.
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

/// What is left for all sources together.
#[derive(Debug)]
struct Budget {
    fields: Room,
    waiting_bytes: Room,
    names: Room,
}

/// How much more may be taken of one thing.
#[derive(Debug)]
struct Room(usize);

impl Shared {
    /// The number of a name, while there is room for names of exporters.
    fn symbol(&mut self, word: &str) -> Symbol {
        if self.budget.names.take(1) { self.names.symbol(word) } else { Symbol::OTHER }
    }
}

impl Room {
    /// Takes so much, or nothing and returns false.
    fn take(&mut self, count: usize) -> bool {
        let left = self.0.checked_sub(count);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }

    fn give_back(&mut self, count: usize) {
        self.0 += count;
    }
}

impl Decoder {
    pub fn new(names: Arc<Names>) -> Decoder {
        let budget = Budget {
            fields: Room(FIELD_COUNT_MAX),
            waiting_bytes: Room(WAITING_BYTES_MAX),
            names: Room(NAME_COUNT_MAX),
        };
        Decoder { sources: Sources::default(), shared: Shared { names, counts: Counts::default(), budget } }
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
            [0, 9, ..] => self.message(Message::v9(bytes), arrival, each),
            [0, 10, ..] => self.message(Message::ipfix(bytes), arrival, each),
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

    fn message(
        &mut self,
        message: Option<Message<'_>>,
        arrival: &Arrival,
        each: &mut impl FnMut(&Flow),
    ) -> Result<(), ExportError> {
        let message = message.ok_or(ExportError::Short("header"))?;
        let (version, dialect) = (message.version, message.dialect);
        let key = SourceKey { exporter: arrival.exporter, version, domain: message.domain };
        let source = self.sources.source(key, arrival, &mut self.shared)?;
        let mut reader = SetReader {
            dialect,
            source,
            shared: &mut self.shared,
            arrival: *arrival,
            clock: message.clock,
            records: 0,
            counted: true,
            error: None,
        };
        reader.read(message.sets, each);
        let (records, counted, error) = (reader.records, reader.counted, reader.error);
        let lost = match dialect {
            Dialect::V9 => source.sequence.take(message.sequence, Some(1)) * i64::from(records.max(1)),
            Dialect::Ipfix => source.sequence.take(message.sequence, counted.then_some(records)),
        };
        self.shared.counts.lose(lost);
        let torn = (!message.whole).then_some(ExportError::Short("message"));
        error.or(torn).map_or(Ok(()), Err)
    }
}

/// A datagram of NetFlow v9 or IPFIX: the heads differ, the sets behind them hardly do.
struct Message<'a> {
    dialect: Dialect,
    version: u8,
    domain: u32,
    sequence: u32,
    clock: Clock,
    sets: Take<'a>,
    /// All is there that the head states.
    whole: bool,
}

impl<'a> Message<'a> {
    fn v9(bytes: &'a [u8]) -> Option<Message<'a>> {
        let mut sets = Take::new(bytes);
        let head = V9Head::parse(&mut sets)?;
        Some(Message {
            dialect: Dialect::V9,
            version: 9,
            domain: head.source_id,
            sequence: head.sequence,
            clock: Clock {
                export_ms: i64::from(head.unix_s) * 1000,
                uptime_ms: Some(head.uptime_ms),
                init_ms: None,
            },
            sets,
            whole: true,
        })
    }

    fn ipfix(bytes: &'a [u8]) -> Option<Message<'a>> {
        let mut sets = Take::new(bytes);
        let head = ipfix::Head::parse(&mut sets)?;
        let length = usize::from(head.length);
        let behind_head = length.saturating_sub(bytes.len() - sets.rest.len());
        sets.rest = sets.rest.get(..behind_head).unwrap_or(sets.rest);
        Some(Message {
            dialect: Dialect::Ipfix,
            version: 10,
            domain: head.domain,
            sequence: head.sequence,
            clock: Clock { export_ms: i64::from(head.export_s) * 1000, uptime_ms: None, init_ms: None },
            sets,
            whole: length <= bytes.len(),
        })
    }
}

impl Counts {
    /// Counts what is missing, or what was and came late.
    fn lose(&mut self, records: i64) {
        self.lost_records = self.lost_records.saturating_add_signed(records);
    }
}
