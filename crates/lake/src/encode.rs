//! Records to Arrow columns and sorted Parquet.

use crate::error::LakeError;
use crate::manifest::DataFile;
use crate::schema::STORED;
use datafusion::arrow::array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryBuilder, Int32Array, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Int32Type, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::HashMap;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::SortingColumn;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::schema::types::ColumnPath;
use netwhy_flows::{Action, Address, Direction, Flow, Names, Opener, Status, Symbol};
use std::sync::Arc;

/// Level 2 packs 4 % better than 1.
const ZSTD_LEVEL: i32 = 2;
/// Rows that are turned into columns at once: with their records (112 bytes each) they stay in the second cache.
const BATCH_ROW_COUNT: usize = 8 * 1024;
/// Rows of one row group: an hour of a day of twenty million is one group.
const GROUP_ROW_COUNT: usize = 1 << 20;
/// Rows of one page, the smallest piece that statistics can prune.
const PAGE_ROW_COUNT: usize = 20_000;
/// Bits of a start within an hour, in milliseconds.
const START_BITS: u32 = 24;
/// The largest dictionary of one column of one row group, in bytes: all 65,536 ports fit.
const DICTIONARY_BYTES_MAX: usize = 2 << 20;

/// The places of records in the order of the lake: by sender, receiver and start, what is no IPv4 address first.
fn order(flows: &[Flow]) -> Vec<u32> {
    let base = flows.iter().map(|flow| flow.start_ms).min().unwrap_or_default();
    let fits = flows.iter().all(|flow| flow.start_ms.saturating_sub(base) < 1 << START_BITS);
    if flows.iter().any(is_wide) || !fits {
        let narrow = |address: Address| (address.as_v4(), address);
        let mut places: Vec<u32> = (0..).take(flows.len()).collect();
        places.sort_by_key(|place| {
            let flow = &flows[*place as usize];
            (narrow(flow.source), narrow(flow.destination), flow.start_ms, flow.offset)
        });
        return places;
    }
    // All of the key and the place in one number: a third of the time that comparing the records themselves takes.
    let code = |address: Address| address.as_v4().map_or(0, |number| u128::from(number) + 1);
    let key = |(place, flow): (usize, &Flow)| {
        let addresses = code(flow.source) << 33 | code(flow.destination);
        let start = (flow.start_ms - base) as u128;
        (addresses << START_BITS | start) << 32 | place as u128
    };
    let mut keys: Vec<u128> = flows.iter().enumerate().map(key).collect();
    keys.sort_unstable();
    keys.iter().map(|key| *key as u32).collect()
}

/// Whether a record has an IPv6 address.
pub fn is_wide(flow: &Flow) -> bool {
    let is_wide = |address: Address| !address.is_unknown() && address.as_v4().is_none();
    is_wide(flow.source) || is_wide(flow.destination)
}

/// Writes records as one Parquet file, sorted as the lake keeps them; no more of them than 32 bits count.
pub fn parquet(flows: &[Flow], names: &Names) -> Result<(Vec<u8>, DataFile), LakeError> {
    let failed = |error: ParquetError| LakeError::Encode(Box::new(error));
    let wide = flows.iter().filter(|flow| is_wide(flow)).count() as u64;
    let properties = properties(wide > 0).map_err(failed)?;
    let mut writer = ArrowWriter::try_new(Vec::new(), STORED.clone(), Some(properties)).map_err(failed)?;
    let mut words = Words::new(names);
    let mut part = Vec::with_capacity(BATCH_ROW_COUNT);
    for places in order(flows).chunks(BATCH_ROW_COUNT) {
        part.clear();
        part.extend(places.iter().map(|place| flows[*place as usize]));
        let batch = words.batch(&part, &STORED).map_err(|error| LakeError::Encode(Box::new(error)))?;
        writer.write(&batch).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(failed)?;
    let starts = flows.iter().map(|flow| flow.start_ms);
    let file = DataFile {
        rows: flows.len() as u64,
        bytes: bytes.len() as u64,
        start_ms_min: starts.clone().min().unwrap_or_default(),
        start_ms_max: starts.max().unwrap_or_default(),
        wide,
    };
    Ok((bytes, file))
}

/// How every file of the lake is written.
///
/// DataFusion counts on the order that is promised here; with IPv6, which stands in a column of its own, none is.
fn properties(wide: bool) -> Result<WriterProperties, ParquetError> {
    let by = |name: &str| STORED.index_of(name).unwrap_or_default() as i32;
    let sorting = ["src", "dst", "start"].map(|name| SortingColumn {
        column_idx: by(name),
        descending: false,
        nulls_first: true,
    });
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(GROUP_ROW_COUNT))
        .set_data_page_row_count_limit(PAGE_ROW_COUNT)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns((!wide).then(|| sorting.to_vec()))
        .set_created_by(format!("netwhy {}", env!("CARGO_PKG_VERSION")));
    // Almost no two are alike: a dictionary would only be filled and thrown away, and nothing is left to pack.
    let path = ColumnPath::from("offset");
    builder = builder
        .set_column_dictionary_enabled(path.clone(), false)
        .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
        .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    Ok(builder.build())
}

const WIDE: DataType = DataType::FixedSizeBinary(16);

/// Turns records into columns; keeps the words it has met.
pub struct Words<'a> {
    names: &'a Names,
    known: HashMap<Symbol, Arc<str>>,
}

impl<'a> Words<'a> {
    pub fn new(names: &'a Names) -> Words<'a> {
        Words { names, known: HashMap::new() }
    }

    /// The columns of `schema`, which are any of the stored ones.
    pub fn batch(&mut self, flows: &[Flow], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let columns = schema.fields().iter().map(|field| self.column(field.name(), field.data_type(), flows));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(flows.len()));
        RecordBatch::try_new_with_options(schema.clone(), columns, &options)
    }

    fn column(&mut self, name: &str, data_type: &DataType, flows: &[Flow]) -> Result<ArrayRef, ArrowError> {
        Ok(match name {
            "start" => times(flows, |flow| flow.start_ms),
            "end" => times(flows, |flow| flow.end_ms),
            // A table of files with IPv6 in them has both kinds of address in one column.
            "src" if data_type == &WIDE => mapped_column(flows, |flow| flow.source)?,
            "dst" if data_type == &WIDE => mapped_column(flows, |flow| flow.destination)?,
            "src" => narrow_column(flows, |flow| flow.source),
            "dst" => narrow_column(flows, |flow| flow.destination),
            "src6" => wide_column(flows, |flow| flow.source)?,
            "dst6" => wide_column(flows, |flow| flow.destination)?,
            "sport" => Arc::new(UInt16Array::from_iter_values(flows.iter().map(|flow| flow.source_port))),
            "dport" => {
                Arc::new(UInt16Array::from_iter_values(flows.iter().map(|flow| flow.destination_port)))
            }
            "protocol" => Arc::new(UInt8Array::from_iter_values(flows.iter().map(|flow| flow.protocol))),
            "packets" => Arc::new(UInt64Array::from_iter_values(flows.iter().map(|flow| flow.packets))),
            "bytes" => Arc::new(UInt64Array::from_iter_values(flows.iter().map(|flow| flow.bytes))),
            "tcp_flags" => Arc::new(UInt8Array::from_iter_values(flows.iter().map(|flow| flow.tcp_flags))),
            "offset" => Arc::new(UInt64Array::from_iter_values(flows.iter().map(|flow| flow.offset))),
            "action" => codes(flows, &ACTIONS, |flow| flow.action as usize)?,
            "direction" => codes(flows, &DIRECTIONS, |flow| flow.direction as usize)?,
            "opener" => codes(flows, &OPENERS, |flow| flow.opener as usize)?,
            "status" => codes(flows, &STATUSES, |flow| flow.status as usize)?,
            "account" => self.words(flows, |flow| flow.account)?,
            "interface" => self.words(flows, |flow| flow.interface)?,
            "rule" => self.words(flows, |flow| flow.rule)?,
            "file" => self.words(flows, |flow| flow.file)?,
            _ => new_null_array(data_type, flows.len()),
        })
    }

    /// The words of one column; what was not told is null.
    fn words(&mut self, flows: &[Flow], symbol: impl Fn(&Flow) -> Symbol) -> Result<ArrayRef, ArrowError> {
        let mut keys = HashMap::new();
        let mut values: Vec<Arc<str>> = Vec::new();
        let (mut last, mut last_key) = (Symbol::NONE, None);
        let mut numbers = Vec::with_capacity(flows.len());
        for flow in flows {
            let symbol = symbol(flow);
            if symbol != last {
                last = symbol;
                last_key = (symbol != Symbol::NONE).then(|| {
                    *keys.entry(symbol).or_insert_with(|| {
                        values.push(
                            self.known.entry(symbol).or_insert_with(|| self.names.word(symbol)).clone(),
                        );
                        values.len() as i32 - 1
                    })
                });
            }
            numbers.push(last_key);
        }
        let values = StringArray::from_iter_values(values.iter());
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(numbers), Arc::new(values))?))
    }
}

/// The words of `Action`, by its number.
pub const ACTIONS: [&str; 3] = ["", "accept", "reject"];
const DIRECTIONS: [&str; 3] = ["", "in", "out"];
const OPENERS: [&str; 3] = ["", "source", "destination"];
const STATUSES: [&str; 3] = ["ok", "nodata", "skipdata"];

/// Code `code` of each list, as the records' enums number them.
const _: () = assert!(Action::Reject as usize == 2 && Direction::Out as usize == 2);
const _: () = assert!(Opener::Destination as usize == 2 && Status::SkipData as usize == 2);

fn codes(
    flows: &[Flow],
    words: &[&'static str; 3],
    code: impl Fn(&Flow) -> usize,
) -> Result<ArrayRef, ArrowError> {
    let keys = flows.iter().map(|flow| {
        let code = code(flow);
        (!words[code].is_empty()).then_some(code as i32)
    });
    let keys = Int32Array::from_iter(keys);
    let values = StringArray::from_iter_values(words.iter());
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))?))
}

fn times(flows: &[Flow], time: impl Fn(&Flow) -> i64) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values(flows.iter().map(time)).with_timezone("UTC"))
}

fn narrow_column(flows: &[Flow], address: impl Fn(&Flow) -> Address) -> ArrayRef {
    Arc::new(UInt32Array::from_iter(flows.iter().map(|flow| address(flow).as_v4())))
}

fn wide_column(flows: &[Flow], address: impl Fn(&Flow) -> Address) -> Result<ArrayRef, ArrowError> {
    let is_wide = |address: Address| !address.is_unknown() && address.as_v4().is_none();
    if !flows.iter().any(|flow| is_wide(address(flow))) {
        return Ok(new_null_array(&WIDE, flows.len()));
    }
    sixteen_bytes(flows.iter().map(|flow| Some(address(flow)).filter(|address| is_wide(*address))))
}

fn mapped_column(flows: &[Flow], address: impl Fn(&Flow) -> Address) -> Result<ArrayRef, ArrowError> {
    sixteen_bytes(flows.iter().map(|flow| Some(address(flow)).filter(|address| !address.is_unknown())))
}

/// Addresses as 16 bytes, IPv4 ones mapped into IPv6.
pub fn sixteen_bytes(
    addresses: impl ExactSizeIterator<Item = Option<Address>>,
) -> Result<ArrayRef, ArrowError> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(addresses.len(), 16);
    for address in addresses {
        match address {
            Some(address) => builder.append_value(address.0.to_be_bytes())?,
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}
