//! Datagrams one behind another in a file, as `socat` or a collector's raw dump writes them.

use super::{Batches, DumpCount, DumpError};
use crate::capture::pump::Pump;
use crate::export::{Arrival, Decoder};
use crate::names::Names;
use crate::place::Unread;
use crate::record::Flow;
use netwhy_wire::Take;
use netwhy_wire::ipfix;
use netwhy_wire::netflow::{V5_RECORD_BYTES, V5_RECORD_COUNT_MAX, V5Head, V9Head};
use netwhy_wire::sflow;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The longest datagram, in bytes.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Exporters have no clocks from before 2000.
const UNIX_S_MIN: u32 = 946_684_800;
/// Bytes that are no datagram are passed over until one looks like it, at most so many at once.
const SEARCH_BYTES_MAX: usize = DATAGRAM_BYTES_MAX;
const V9_HEAD_BYTES: usize = 20;
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Whether bytes are an export datagram; with `more` others may follow, else it must end where they do.
pub fn looks_like_export(bytes: &[u8], more: bool) -> bool {
    match datagram_length(bytes) {
        Some(length) if more => length <= bytes.len().max(1500),
        // Some exporters pad a datagram.
        Some(length) => length <= bytes.len() && bytes.len() - length < 64,
        None => false,
    }
}

/// How long the datagram is that begins here; `None` when there is none.
///
/// NetFlow v9 and sFlow do not say: their parts are walked, up to where they stop making sense.
fn datagram_length(bytes: &[u8]) -> Option<usize> {
    let mut take = Take::new(bytes);
    match bytes {
        [0, 5, ..] => {
            let head = V5Head::parse(&mut take)?;
            let count = usize::from(head.count);
            (head.unix_s >= UNIX_S_MIN && (1..=V5_RECORD_COUNT_MAX).contains(&count))
                .then_some(24 + count * V5_RECORD_BYTES)
        }
        [0, 9, ..] => {
            let head = V9Head::parse(&mut take)?;
            (head.unix_s >= UNIX_S_MIN && head.count > 0).then(|| v9_length(take)).flatten()
        }
        [0, 10, ..] => {
            let head = ipfix::Head::parse(&mut take)?;
            let length = usize::from(head.length);
            // A message without sets only keeps the session alive.
            let set = take.u16().is_none_or(|set| matches!(set, 2 | 3 | ipfix::DATA_SET_MIN..));
            (head.export_s >= UNIX_S_MIN && length >= 16 && (set || length == 16)).then_some(length)
        }
        [0, 0, 0, 5, 0, 0, 0, 1 | 2, ..] => {
            let head = sflow::Head::parse(&mut take)?;
            for _ in 0..head.sample_count {
                sflow::sample(&mut take)?;
            }
            (head.sample_count <= sflow::SAMPLE_COUNT_MAX).then_some(bytes.len() - take.rest.len())
        }
        _ => None,
    }
}

/// Sets of v9 are numbered 0, 1 or from 256; the version of the next datagram is none of these.
fn v9_length(mut take: Take<'_>) -> Option<usize> {
    let whole = take.rest.len();
    loop {
        let mut ahead = take;
        let (Some(set), Some(length)) = (ahead.u16(), ahead.u16()) else { break };
        let body = usize::from(length).checked_sub(4);
        let (true, Some(body)) = (matches!(set, 0 | 1 | ipfix::DATA_SET_MIN..), body) else { break };
        // What is behind the end is for the decoder to tell.
        if ahead.bytes(body).is_none() {
            break;
        }
        take = ahead;
    }
    let length = whole - take.rest.len();
    (length > 0).then_some(V9_HEAD_BYTES + length)
}

/// Reads a file of datagrams. Who sent them and when is not told: times are the exporters' own.
pub fn read(
    names: &Arc<Names>,
    file_name: &str,
    input: impl Read,
    each: &mut dyn FnMut(&[Flow]),
) -> Result<DumpCount, DumpError> {
    let file: Arc<str> = file_name.into();
    let symbol = names.symbol(file_name);
    let mut count = DumpCount::default();
    let mut decoder = Decoder::new(names.clone());
    let mut batches = Batches::new(each);
    let mut pump = Pump::new(input);
    loop {
        pump.fill(DATAGRAM_BYTES_MAX)?;
        let here = &pump.bytes()[..pump.bytes().len().min(DATAGRAM_BYTES_MAX)];
        if here.is_empty() {
            break;
        }
        count.seen += 1;
        let Some(length) = datagram_length(here).filter(|length| *length <= here.len()) else {
            let lost = (1..here.len().min(SEARCH_BYTES_MAX))
                .find(|at| datagram_length(&here[*at..]).is_some_and(|length| at + length <= here.len()))
                .unwrap_or(here.len());
            let (en, zh) = ("no datagram begins here, or it is cut short", "此处不是数据报的开头，或数据报不完整");
            count.unread.push(Unread::new(&file, count.seen, pump.offset, &here[..here.len().min(16)], en, zh));
            pump.skip(lost as u64)?;
            continue;
        };
        let arrival = Arrival { exporter: NOBODY, at_ms: exporter_time_ms(here), file: symbol, offset: pump.offset };
        match decoder.datagram(&arrival, &here[..length], &mut |flow| batches.push(*flow)) {
            Ok(()) => count.in_flows += 1,
            Err(error) => {
                let (en, zh) = (error.in_full(), error.in_chinese());
                let head = &here[..length.min(16)];
                count.unread.push(Unread::new(&file, count.seen, pump.offset, head, en, zh));
            }
        }
        pump.skip(length as u64)?;
    }
    count.export = decoder.counts();
    count.unread.read = batches.finish();
    Ok(count)
}

/// The exporter's own clock; sFlow has none.
fn exporter_time_ms(bytes: &[u8]) -> i64 {
    let mut take = Take::new(bytes);
    let seconds = match bytes {
        [0, 5 | 9, ..] => take.bytes(8).and_then(|_| take.u32()),
        [0, 10, ..] => take.bytes(4).and_then(|_| take.u32()),
        _ => None,
    };
    i64::from(seconds.unwrap_or(0)) * 1000
}
