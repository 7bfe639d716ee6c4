//! The binary files of nfcapd, of nfdump 1.6 (layout 1) and 1.7 (layout 2), in the byte order of a PC.
//!
//! What a block holds compressed is not unpacked: the file says so in its header, and so does the error.

mod layout_1;
mod layout_2;

use super::{Batches, DumpCount, DumpError};
use crate::capture::pump::Pump;
use crate::names::Names;
use crate::place::Unread;
use crate::record::{Action, Flow, Opener};
use netwhy_wire::{Order, TcpFlags};
use std::io::Read;
use std::sync::Arc;

const MAGIC: [u8; 2] = [0x0c, 0xa5];
const FILE_HEADER_1_BYTES: usize = 140;
/// Behind the header of layout 1 follow counts of the whole file.
const STATISTICS_1_BYTES: usize = 136;
const FILE_HEADER_2_BYTES: usize = 40;
const BLOCK_HEADER_BYTES: usize = 12;
/// The largest block that is taken, in bytes.
const BLOCK_BYTES_MAX: usize = 16 << 20;
/// Block types with flow records: of layout 1 and of layout 2.
const BLOCKS_OF_FLOWS: [u16; 2] = [2, 3];
const ORDER: Order = Order::Little;

/// Whether a file begins like nfcapd's.
pub fn is_nfcapd(head: &[u8]) -> bool {
    head.starts_with(&MAGIC) && matches!(ORDER.u16(head, 2), 1 | 2)
}

/// What records need of those before them.
struct Reader<'e> {
    file: Arc<str>,
    names: &'e Names,
    base: Flow,
    maps: layout_1::Maps,
    exporters: layout_2::Exporters,
    batches: Batches<'e>,
    count: DumpCount,
}

/// What became of one record.
enum Taken {
    Flow,
    /// It is about something else.
    Other,
    Bad(&'static str, &'static str),
}

/// Reads a file of nfcapd.
pub fn read(
    names: &Arc<Names>,
    file_name: &str,
    input: impl Read,
    each: &mut dyn FnMut(&[Flow]),
) -> Result<DumpCount, DumpError> {
    let mut pump = Pump::new(input);
    pump.fill(FILE_HEADER_1_BYTES + STATISTICS_1_BYTES)?;
    let head = pump.bytes();
    if !is_nfcapd(head) {
        return Err(DumpError::Foreign { what: "file of nfcapd" });
    }
    let layout = ORDER.u16(head, 2);
    let method = if layout == 1 { method_1(ORDER.u32(head, 4)) } else { method_2(head.get(16).copied()) };
    if let Some(method) = method {
        return Err(DumpError::Compressed { method });
    }
    pump.skip(match layout {
        1 => FILE_HEADER_1_BYTES + STATISTICS_1_BYTES,
        _ => FILE_HEADER_2_BYTES,
    } as u64)?;
    let mut reader = Reader {
        file: file_name.into(),
        names,
        base: Flow { file: names.symbol(file_name), ..Flow::default() },
        maps: layout_1::Maps::default(),
        exporters: layout_2::Exporters::default(),
        batches: Batches::new(each),
        count: DumpCount::default(),
    };
    let outcome = reader.blocks(&mut pump);
    reader.count.unread.read = reader.batches.finish();
    outcome.map(|()| reader.count)
}

fn method_1(flags: u32) -> Option<&'static str> {
    match flags & 0x19 {
        0 => None,
        1 => Some("LZO"),
        8 => Some("bzip2"),
        _ => Some("LZ4"),
    }
}

fn method_2(number: Option<u8>) -> Option<&'static str> {
    match number? {
        0 => None,
        1 => Some("LZO"),
        2 => Some("bzip2"),
        3 => Some("LZ4"),
        4 => Some("zstd"),
        _ => Some("an unknown method"),
    }
}

impl Reader<'_> {
    fn blocks(&mut self, pump: &mut Pump<impl Read>) -> Result<(), DumpError> {
        loop {
            let whole = pump.fill(BLOCK_HEADER_BYTES)?;
            let head = pump.bytes();
            if head.is_empty() {
                return Ok(());
            }
            let (size, kind) = (ORDER.u32(head, 4) as usize, ORDER.u16(head, 8));
            if !whole || size > BLOCK_BYTES_MAX {
                self.bad(pump.offset, head, "a block is cut short or impossibly long", "块不完整或长度不可能");
                return Ok(());
            }
            pump.skip(BLOCK_HEADER_BYTES as u64)?;
            if !BLOCKS_OF_FLOWS.contains(&kind) {
                pump.skip(size as u64)?;
                continue;
            }
            self.records(pump, size)?;
        }
    }

    fn records(&mut self, pump: &mut Pump<impl Read>, size: usize) -> Result<(), DumpError> {
        let mut left = size;
        while left > 0 {
            let there = pump.fill(4)?;
            let length = usize::from(ORDER.u16(pump.bytes(), 2));
            if !there || length < 4 || length > left || !pump.fill(length)? {
                self.bad(pump.offset, pump.bytes(), "a record is cut short", "记录不完整");
                pump.skip(left as u64)?;
                return Ok(());
            }
            let record = &pump.bytes()[..length];
            self.count.seen += 1;
            match self.record(record, pump.offset) {
                Taken::Flow => self.count.in_flows += 1,
                Taken::Other => self.count.passed_over += 1,
                Taken::Bad(en, zh) => self.bad(pump.offset, record, en, zh),
            }
            pump.skip(length as u64)?;
            left -= length;
        }
        Ok(())
    }

    fn record(&mut self, record: &[u8], offset: u64) -> Taken {
        self.base.offset = offset;
        match ORDER.u16(record, 0) {
            layout_1::MAP => self.maps.learn(record),
            layout_1::COMMON_SMALL | layout_1::COMMON => match self.maps.flow(record, &self.base) {
                Some(flow) => self.emit(flow),
                None => Taken::Bad("a record does not fit its extension map", "记录与扩展映射不符"),
            },
            layout_2::RECORD => match self.exporters.flows(record, &self.base, self.names) {
                Some((flow, back)) => {
                    if let Some(back) = back {
                        self.batches.push(back);
                    }
                    self.emit(flow)
                }
                None => Taken::Bad("a record lacks the elements of a flow", "记录缺少流的基本元素"),
            },
            _ => Taken::Other,
        }
    }

    fn emit(&mut self, mut flow: Flow) -> Taken {
        if flow.protocol == 6 && TcpFlags(flow.tcp_flags).is_syn() && flow.opener == Opener::Unknown {
            flow.opener = Opener::Source;
        }
        self.batches.push(flow);
        Taken::Flow
    }

    fn bad(&mut self, offset: u64, bytes: &[u8], en: &str, zh: &str) {
        let cut = &bytes[..bytes.len().min(16)];
        self.count.unread.push(Unread::new(&self.file, self.count.seen, offset, cut, en, zh));
    }
}

/// The two upper bits of a forwarding status: forwarded, dropped, consumed.
fn action(forwarding: u8) -> Action {
    match forwarding >> 6 {
        1 | 3 => Action::Accept,
        2 => Action::Reject,
        _ => Action::Unknown,
    }
}
