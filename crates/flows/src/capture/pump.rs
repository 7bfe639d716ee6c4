//! A capture file from any input, packet by packet, with its bad places.

use crate::dump::{DumpCount, DumpError};
use crate::place::Unread;
use netwhy_wire::pcap::{CaptureError, CaptureFile, Captured, MAGIC_BYTES, PACKET_BYTES_MAX, Step};
use std::io::{self, Read};
use std::sync::Arc;

/// What is held at first, in bytes.
const CHUNK_BYTES: usize = 256 << 10;
/// What is held at most: the largest packet with its options, twice, in bytes.
const BUFFER_BYTES_MAX: usize = 2 * PACKET_BYTES_MAX;

/// Bytes of an input, as many as are needed at once.
pub struct Pump<R> {
    input: R,
    buffer: Vec<u8>,
    /// What is there and not passed yet.
    start: usize,
    end: usize,
    /// The byte of the file where `start` is.
    pub offset: u64,
    ended: bool,
}

impl<R: Read> Pump<R> {
    pub fn new(input: R) -> Pump<R> {
        Pump { input, buffer: vec![0; CHUNK_BYTES], start: 0, end: 0, offset: 0, ended: false }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Sees to it that so many bytes are there; false when the input ends before.
    pub fn fill(&mut self, count: usize) -> Result<bool, DumpError> {
        let count = count.min(BUFFER_BYTES_MAX);
        if self.buffer.len() < self.start + count {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.buffer.len() < count {
                self.buffer.resize(count, 0);
            }
        }
        while self.end - self.start < count && !self.ended {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(got) => {
                    self.ended = got == 0;
                    self.end += got;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let there = (self.end - self.start) as u64;
                    return Err(DumpError::Input { offset: self.offset + there, source });
                }
            }
        }
        Ok(self.end - self.start >= count)
    }

    /// Takes so many bytes away, or as many as are there before the input ends.
    pub fn take(&mut self, count: usize) -> Result<Vec<u8>, DumpError> {
        let mut taken = Vec::new();
        while taken.len() < count && self.fill(1)? {
            let here = self.bytes().len().min(count - taken.len());
            taken.extend(&self.bytes()[..here]);
            self.skip(here as u64)?;
        }
        Ok(taken)
    }

    /// Passes over bytes, also over more than are there; false when the input ends before.
    pub fn skip(&mut self, count: u64) -> Result<bool, DumpError> {
        let mut left = count;
        loop {
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.bytes().len());
            self.start += here;
            self.offset += here as u64;
            left -= here as u64;
            if left == 0 || !self.fill(1)? {
                return Ok(left == 0);
            }
        }
    }
}

/// One packet and where it was.
pub struct PumpedPacket<'a> {
    pub captured: Captured<'a>,
    pub interface_name: Option<&'a str>,
    pub offset: u64,
}

/// What became of a packet.
pub enum Outcome {
    InFlows,
    PassedOver,
    /// In no flow though it should be: in English and in Chinese.
    Unread(String, String),
}

/// Reads a capture to its end; every packet goes to `each`.
pub fn packets(
    file: &Arc<str>,
    input: impl Read,
    count: &mut DumpCount,
    each: &mut dyn FnMut(&PumpedPacket<'_>) -> Outcome,
) -> Result<(), DumpError> {
    let mut pump = Pump::new(input);
    pump.fill(MAGIC_BYTES)?;
    let mut capture =
        CaptureFile::of(pump.bytes()).map_err(|_| DumpError::Foreign { what: "pcap or pcapng file" })?;
    let mut widened = false;
    loop {
        pump.fill(1)?;
        if pump.bytes().is_empty() {
            return Ok(());
        }
        let all = pump.ended;
        let step = capture.step(pump.bytes(), all);
        match step {
            Step::Need(needed) => {
                // That the file has ended may be news.
                if !pump.fill(needed)? && all {
                    bad(
                        file,
                        count,
                        &pump,
                        "the file ends within a packet or block",
                        "文件在数据包或块中途结束",
                    );
                    // A length that is a lie hides the packets behind it.
                    let behind = capture.behind_torn(pump.bytes());
                    if behind == 0 {
                        return Ok(());
                    }
                    pump.skip(behind)?;
                }
            }
            Step::Skip(length) => {
                if !pump.skip(length)? {
                    bad(file, count, &pump, "the file ends within a block", "文件在块中途结束");
                    return Ok(());
                }
            }
            Step::Packet(length, captured) => {
                count.seen += 1;
                let packet = PumpedPacket {
                    captured,
                    interface_name: capture.interface_name(captured.interface),
                    offset: pump.offset,
                };
                note(file, count, &packet, each(&packet));
                pump.skip(length as u64)?;
            }
            // Where the file goes on must not depend on how much was read by chance.
            Step::Bad(..) if !widened => {
                widened = true;
                pump.fill(BUFFER_BYTES_MAX)?;
                continue;
            }
            Step::Bad(length, error) => {
                bad_step(file, count, &pump, error);
                if length == 0 {
                    return Ok(());
                }
                pump.skip(length)?;
            }
        }
        widened = false;
    }
}

fn note(file: &Arc<str>, count: &mut DumpCount, packet: &PumpedPacket<'_>, outcome: Outcome) {
    match outcome {
        Outcome::InFlows => count.in_flows += 1,
        Outcome::PassedOver => count.passed_over += 1,
        Outcome::Unread(en, zh) => {
            let place = Unread::new(file, count.seen, packet.offset, packet.captured.bytes, en, zh);
            count.unread.push(place);
        }
    }
}

fn bad_step<R: Read>(file: &Arc<str>, count: &mut DumpCount, pump: &Pump<R>, error: CaptureError) {
    bad(file, count, pump, &error.to_string(), &chinese(error));
}

fn bad<R: Read>(file: &Arc<str>, count: &mut DumpCount, pump: &Pump<R>, en: &str, zh: &str) {
    let head = &pump.bytes()[..pump.bytes().len().min(16)];
    count.unread.push(Unread::new(file, count.seen + 1, pump.offset, head, en, zh));
}

fn chinese(error: CaptureError) -> String {
    match error {
        CaptureError::Magic => "不是 pcap 或 pcapng 的开头".into(),
        CaptureError::Long(length) => format!("数据包长度 {length} 字节，不可能"),
        CaptureError::Block(length) => format!("块长度 {length} 字节，不可能"),
        CaptureError::Interface(number) => format!("数据包属于未描述的接口 {number}"),
        CaptureError::Short => "块比其字段短".into(),
        CaptureError::Interfaces(count) => format!("一节中的接口超过 {count} 个"),
    }
}
