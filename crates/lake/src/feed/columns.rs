//! Flow logs that are Parquet: the clouds' own columns by name, and the lake's.
//!
//! Each row group is read on its own: a broken one is told with its place, and the next is read.

use super::Fed;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit, UInt64Type};
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::file::reader::ChunkReader;
use netwhy_flows::{Action, Address, Direction, Flow, Names, Opener, Status, Unread};
use netwhy_model::Text;
use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// Rows that are turned into records at once.
const BATCH_ROW_COUNT: usize = 32 * 1024;
/// Row groups of one file that are looked at.
const GROUP_COUNT_MAX: usize = 1 << 16;

/// Our column, and what others call it (lower case, `-` as `_`).
const CALLED: &[(&str, &[&str])] = &[
    ("start", &["start", "start_time", "starttime"]),
    ("end", &["end", "end_time", "endtime"]),
    ("src", &["src", "srcaddr", "src_addr", "src_ip"]),
    ("dst", &["dst", "dstaddr", "dst_addr", "dest_ip", "dst_ip"]),
    ("src6", &["src6"]),
    ("dst6", &["dst6"]),
    ("sport", &["sport", "srcport", "src_port"]),
    ("dport", &["dport", "dstport", "dst_port", "dest_port"]),
    ("protocol", &["protocol"]),
    ("packets", &["packets", "packets_sent"]),
    ("bytes", &["bytes", "bytes_sent"]),
    ("tcp_flags", &["tcp_flags"]),
    ("action", &["action"]),
    ("direction", &["direction", "flow_direction"]),
    ("opener", &["opener"]),
    ("status", &["status", "log_status"]),
    ("account", &["account", "account_id", "owner_id"]),
    ("interface", &["interface", "interface_id", "eni_id", "resource_id"]),
    ("rule", &["rule", "reject_reason"]),
    ("file", &["file"]),
    ("offset", &["offset"]),
];

/// Reads a Parquet file; whatever it is, what can be read of it is.
pub fn read(path: &Path, names: &Names, each: &mut dyn FnMut(&[Flow])) -> Fed {
    let file: Arc<str> = path.to_string_lossy().into();
    read_all(&file, || File::open(path), names, each)
}

/// Reads the Parquet of `file`, which is opened once for every row group.
pub fn read_all<R: ChunkReader + 'static>(
    file: &Arc<str>,
    source: impl Fn() -> std::io::Result<R>,
    names: &Names,
    each: &mut dyn FnMut(&[Flow]),
) -> Fed {
    let mut fed = Fed::default();
    let open = || {
        let opened = source().map_err(|error| error.to_string())?;
        caught(|| ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|error| error.to_string()))
    };
    let groups = match open() {
        Ok(builder) => builder.metadata().num_row_groups().min(GROUP_COUNT_MAX),
        Err(why) => {
            let (en, zh) =
                (format!("the footer of the Parquet file: {why}"), format!("Parquet 文件的尾部：{why}"));
            fed.torn = Some(Text { en, zh });
            return fed;
        }
    };
    for group in 0..groups {
        let read = open().and_then(|builder| read_group(builder, group, file, names, &mut fed, each));
        if let Err(why) = read {
            let en = format!("row group {group} cannot be read: {why}");
            let zh = format!("无法读取行组 {group}：{why}");
            fed.count.push(Unread::new(file, group as u64, 0, b"", en.clone(), zh.clone()));
            fed.torn.get_or_insert(Text { en, zh });
        }
    }
    fed
}

fn read_group<R: ChunkReader + 'static>(
    builder: ParquetRecordBatchReaderBuilder<R>,
    group: usize,
    file: &Arc<str>,
    names: &Names,
    fed: &mut Fed,
    each: &mut dyn FnMut(&[Flow]),
) -> Result<(), String> {
    let wanted: Vec<usize> = builder
        .schema()
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| called(field.name()).is_some())
        .map(|(place, _)| place)
        .collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let reader = builder.with_projection(mask).with_row_groups(vec![group]).with_batch_size(BATCH_ROW_COUNT);
    let mut reader = caught(|| reader.build().map_err(|error| error.to_string()))?;
    while let Some(batch) = caught(|| reader.next().transpose().map_err(|error| error.to_string()))? {
        let flows = flows(&batch, file, names, fed)?;
        fed.count.read += flows.len() as u64;
        each(&flows);
    }
    Ok(())
}

/// Runs a part of the decoder; a panic of it on hostile bytes is an error like others.
fn caught<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err("the decoder failed on what stands there".to_owned()))
}

/// Our name of a column.
fn called(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    CALLED.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(ours, _)| *ours)
}

/// The records of one batch of columns.
pub fn flows(
    batch: &RecordBatch,
    file: &Arc<str>,
    names: &Names,
    fed: &mut Fed,
) -> Result<Vec<Flow>, String> {
    let first = fed.count.read + fed.count.unread;
    let file_symbol = names.symbol(file);
    let mut flows: Vec<Flow> = (0..batch.num_rows() as u64)
        .map(|row| Flow { file: file_symbol, offset: first + row, ..Flow::default() })
        .collect();
    let schema = batch.schema();
    let mut known = 0;
    for (place, field) in schema.fields().iter().enumerate() {
        if let Some(ours) = called(field.name()) {
            known += usize::from(ours == "src" || ours == "dst" || ours == "start");
            fill(ours, batch.column(place), names, &mut flows)
                .map_err(|why| format!("column {}: {why}", field.name()))?;
        }
    }
    if known < 3 {
        return Err("it has no columns of sender, receiver and start, so it is no flow log".to_owned());
    }
    Ok(flows)
}

/// Puts one column into the records.
fn fill(ours: &str, column: &ArrayRef, names: &Names, flows: &mut [Flow]) -> Result<(), String> {
    match ours {
        "start" => times(column, flows, |flow, time| flow.start_ms = time),
        "end" => times(column, flows, |flow, time| flow.end_ms = time),
        "src" | "src6" => addresses(column, flows, |flow, address| flow.source = address),
        "dst" | "dst6" => addresses(column, flows, |flow, address| flow.destination = address),
        "sport" => numbers(column, flows, |flow, number| flow.source_port = number.try_into().unwrap_or(0)),
        "dport" => {
            numbers(column, flows, |flow, number| flow.destination_port = number.try_into().unwrap_or(0))
        }
        "protocol" => numbers(column, flows, |flow, number| flow.protocol = number.try_into().unwrap_or(0)),
        "packets" => numbers(column, flows, |flow, number| flow.packets = number),
        "bytes" => numbers(column, flows, |flow, number| flow.bytes = number),
        "tcp_flags" => numbers(column, flows, |flow, number| flow.tcp_flags = number.try_into().unwrap_or(0)),
        "offset" => numbers(column, flows, |flow, number| flow.offset = number),
        "action" => words(column, flows, |flow, word| flow.action = action(word)),
        "direction" => words(column, flows, |flow, word| flow.direction = direction(word)),
        "opener" => words(column, flows, |flow, word| flow.opener = opener(word)),
        "status" => words(column, flows, |flow, word| flow.status = status(word)),
        "account" => words(column, flows, |flow, word| flow.account = names.symbol(word)),
        "interface" => words(column, flows, |flow, word| flow.interface = names.symbol(word)),
        "rule" => words(column, flows, |flow, word| flow.rule = names.symbol(word)),
        "file" => words(column, flows, |flow, word| flow.file = names.symbol(word)),
        _ => Ok(()),
    }
}

fn action(word: &str) -> Action {
    match word.to_ascii_lowercase().as_str() {
        "accept" | "allow" => Action::Accept,
        "reject" | "deny" | "drop" => Action::Reject,
        _ => Action::Unknown,
    }
}

fn direction(word: &str) -> Direction {
    match word {
        "in" | "ingress" => Direction::In,
        "out" | "egress" => Direction::Out,
        _ => Direction::Unknown,
    }
}

fn opener(word: &str) -> Opener {
    match word {
        "source" => Opener::Source,
        "destination" => Opener::Destination,
        _ => Opener::Unknown,
    }
}

fn status(word: &str) -> Status {
    match word.to_ascii_lowercase().as_str() {
        "nodata" => Status::NoData,
        "skipdata" => Status::SkipData,
        _ => Status::Ok,
    }
}

/// Seconds where the column is a plain number, as the clouds write it; a time keeps its unit.
fn times(column: &ArrayRef, flows: &mut [Flow], set: impl Fn(&mut Flow, i64)) -> Result<(), String> {
    let (data_type, scale) = match column.data_type() {
        DataType::Timestamp(_, zone) => (DataType::Timestamp(TimeUnit::Millisecond, zone.clone()), 1),
        _ => (DataType::Int64, 1000),
    };
    let cast_to = cast(column, &data_type).and_then(|times| cast(&times, &DataType::Int64));
    let times = cast_to.map_err(|error| error.to_string())?;
    let times = times.as_primitive::<datafusion::arrow::datatypes::Int64Type>();
    for (row, flow) in flows.iter_mut().enumerate() {
        if times.is_valid(row) {
            set(flow, times.value(row).saturating_mul(scale));
        }
    }
    Ok(())
}

/// Whole numbers; what is no such number, or too large for its place, is not told.
fn numbers(column: &ArrayRef, flows: &mut [Flow], set: impl Fn(&mut Flow, u64)) -> Result<(), String> {
    let numbers = cast(column, &DataType::UInt64).map_err(|error| error.to_string())?;
    let numbers = numbers.as_primitive::<UInt64Type>();
    for (row, flow) in flows.iter_mut().enumerate() {
        if numbers.is_valid(row) {
            set(flow, numbers.value(row));
        }
    }
    Ok(())
}

fn words(column: &ArrayRef, flows: &mut [Flow], mut set: impl FnMut(&mut Flow, &str)) -> Result<(), String> {
    let words = cast(column, &DataType::Utf8).map_err(|error| error.to_string())?;
    let words = words.as_string::<i32>();
    for (row, flow) in flows.iter_mut().enumerate() {
        // `-` is how the clouds write that there is nothing to tell.
        if words.is_valid(row) && !matches!(words.value(row), "" | "-") {
            set(flow, words.value(row));
        }
    }
    Ok(())
}

fn addresses(column: &ArrayRef, flows: &mut [Flow], set: impl Fn(&mut Flow, Address)) -> Result<(), String> {
    match column.data_type() {
        DataType::UInt32 => {
            numbers(column, flows, |flow, number| set(flow, Address::v4(number.try_into().unwrap_or(0))))
        }
        DataType::FixedSizeBinary(16) => {
            let wide = column.as_fixed_size_binary();
            for (row, flow) in flows.iter_mut().enumerate() {
                if wide.is_valid(row)
                    && let Ok(bytes) = <[u8; 16]>::try_from(wide.value(row))
                {
                    set(flow, Address(u128::from_be_bytes(bytes)));
                }
            }
            Ok(())
        }
        _ => words(column, flows, |flow, word| {
            if let Ok(address) = word.parse::<IpAddr>() {
                set(flow, address.into());
            }
        }),
    }
}
