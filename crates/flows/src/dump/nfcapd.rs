//! The binary files of nfcapd, of nfdump 1.6 (layout 1) and 1.7 (layout 2), in the byte order of a PC.
//!
//! Blocks compressed with LZO and LZ4 are unpacked; those with bzip2 and zstd are not, and the error says so.

mod layout_1;
mod layout_2;
mod unpack;

use super::{Batches, DumpCount, DumpError};
use crate::capture::pump::Pump;
use crate::names::Names;
use crate::place::Unread;
use crate::record::{Action, Flow, Opener};
use netwhy_wire::{Order, TcpFlags};
use std::io::Read;
use std::sync::Arc;
use unpack::{Packing, unpack};

const MAGIC: [u8; 2] = [0x0c, 0xa5];
const FILE_HEADER_1_BYTES: usize = 140;
/// Behind the header of layout 1 follow counts of the whole file.
const STATISTICS_1_BYTES: usize = 136;
const FILE_HEADER_2_BYTES: usize = 40;
const BLOCK_HEADER_BYTES: usize = 12;
/// The largest block that is taken, in bytes.
const BLOCK_BYTES_MAX: usize = 16 << 20;
/// Of a block in a compressed file: it is not compressed itself.
const BLOCK_UNCOMPRESSED: u16 = 1;
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
    let packing = if layout == 1 { packing_1(ORDER.u32(head, 4)) } else { packing_2(head.get(16).copied()) };
    let packing = packing.map_err(|method| DumpError::Compressed { method })?;
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
    let outcome = reader.blocks(&mut pump, packing);
    reader.count.unread.read = reader.batches.finish();
    outcome.map(|()| reader.count)
}

fn packing_1(flags: u32) -> Result<Packing, &'static str> {
    match flags & 0x19 {
        0 => Ok(Packing::None),
        1 => Ok(Packing::Lzo),
        8 => Err("bzip2"),
        _ => Ok(Packing::Lz4),
    }
}

fn packing_2(number: Option<u8>) -> Result<Packing, &'static str> {
    match number.unwrap_or(0) {
        0 => Ok(Packing::None),
        1 => Ok(Packing::Lzo),
        2 => Err("bzip2"),
        3 => Ok(Packing::Lz4),
        4 => Err("zstd"),
        _ => Err("an unknown method"),
    }
}

impl Reader<'_> {
    fn blocks(&mut self, pump: &mut Pump<impl Read>, packing: Packing) -> Result<(), DumpError> {
        loop {
            let whole = pump.fill(BLOCK_HEADER_BYTES)?;
            let (offset, head) = (pump.offset, pump.bytes());
            if head.is_empty() {
                return Ok(());
            }
            let (size, kind, flags) = (ORDER.u32(head, 4) as usize, ORDER.u16(head, 8), ORDER.u16(head, 10));
            if !whole || size > BLOCK_BYTES_MAX {
                self.bad(offset, head, "a block is cut short or impossibly long", "块不完整或长度不可能");
                return Ok(());
            }
            pump.skip(BLOCK_HEADER_BYTES as u64)?;
            if !BLOCKS_OF_FLOWS.contains(&kind) {
                pump.skip(size as u64)?;
                continue;
            }
            let packed = pump.take(size)?;
            let packing = if flags & BLOCK_UNCOMPRESSED == 0 { packing } else { Packing::None };
            match unpack(packing, packed) {
                Some(records) => self.records(&records, offset + BLOCK_HEADER_BYTES as u64),
                None => self.bad(offset, &[], "a compressed block is damaged", "压缩块已损坏"),
            }
        }
    }

    /// Takes the records of a block, which begins at this byte of the file.
    fn records(&mut self, block: &[u8], offset: u64) {
        let mut rest = block;
        while !rest.is_empty() {
            let here = offset + (block.len() - rest.len()) as u64;
            let length = usize::from(ORDER.u16(rest, 2));
            let Some((record, behind)) = rest.split_at_checked(length).filter(|_| length >= 4) else {
                self.bad(here, rest, "a record is cut short", "记录不完整");
                return;
            };
            self.count.seen += 1;
            match self.record(record, here) {
                Taken::Flow => self.count.in_flows += 1,
                Taken::Other => self.count.passed_over += 1,
                Taken::Bad(en, zh) => self.bad(here, record, en, zh),
            }
            rest = behind;
        }
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
