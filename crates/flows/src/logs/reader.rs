//! Streaming: blocks of whole lines, parsed side by side, handed on in the order of the file.

use super::event::Event;
use super::journal::Entry;
use super::line::{self, Options, Place, Refused};
use crate::names::{Names, Symbol};
use crate::place::{PLACE_COUNT_MAX, Unread, UnreadCount};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// The longest line that is read; a longer one is counted and passed over.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// How much text one worker gets at a time.
const BLOCK_BYTES: usize = 2 << 20;
/// How many workers there may be.
const WORKER_COUNT_MAX: usize = 64;
/// How many events of the journal are handed on at once.
const BATCH_COUNT: usize = 4096;

/// Why an input was not read to its end. What was read before it was given.
#[derive(Debug, Error)]
#[error("cannot read on at byte {offset} of {file}")]
pub struct LogError {
    pub file: Arc<str>,
    /// How far the unpacked input was read.
    pub offset: u64,
    /// What was read and not read until then.
    pub count: UnreadCount,
    pub source: io::Error,
}

/// Reads logs of any of the formats, mixed ones too.
#[derive(Debug, Clone)]
pub struct LogReader {
    pub names: Arc<Names>,
    /// How many blocks are parsed side by side.
    pub workers: usize,
    pub options: Options,
}

impl LogReader {
    pub fn new(names: Arc<Names>, options: Options) -> LogReader {
        LogReader { names, workers: 1, options }
    }

    /// Reads a whole input, already unpacked; `each` gets the events in the order of the file.
    pub fn read(
        &self,
        file: &str,
        input: impl Read,
        each: &mut dyn FnMut(Vec<Event>),
    ) -> Result<UnreadCount, LogError> {
        let mut input = BufReader::with_capacity(256 << 10, input);
        let file: Arc<str> = file.into();
        let symbol = self.names.symbol(&file);
        let mut options = self.options;
        if options.clock.latest_ms == 0 {
            options.clock.latest_ms = now_ms();
        }
        let (options, count) = (&options, UnreadCount::default());
        let mut reading = Reading { options, file: &file, symbol, count, lines: 0, offset: 0 };
        let read = match input.fill_buf().map(is_export) {
            Ok(true) => reading.export(&mut input, each),
            Ok(false) => reading.text(&mut input, self.workers.clamp(1, WORKER_COUNT_MAX), each),
            Err(error) => Err(error),
        };
        let Reading { count, offset, .. } = reading;
        match read {
            Ok(()) => Ok(count),
            Err(source) => Err(LogError { file, offset, count, source }),
        }
    }
}

/// Nothing was written later than now.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Reads a line; what is over the longest is passed over. Returns how many bytes were taken.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut got = input.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', line)? as u64;
    if got == LINE_BYTES_MAX as u64 && line.last() != Some(&b'\n') {
        got += input.skip_until(b'\n')? as u64;
    }
    Ok(got)
}

/// Reads the length and the bytes of a binary field; a lying length ends with the input and keeps nothing.
fn binary_field(input: &mut impl BufRead, name: &str, entry: &mut Entry) -> io::Result<u64> {
    let mut length = [0; 8];
    if let Err(error) = input.read_exact(&mut length) {
        return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(0) } else { Err(error) };
    }
    let length = u64::from_le_bytes(length);
    let mut kept = Vec::new();
    let got = input.by_ref().take(length.min(LINE_BYTES_MAX as u64)).read_to_end(&mut kept)? as u64;
    let passed = io::copy(&mut input.by_ref().take(length - got.min(length)), &mut io::sink())?;
    entry.field(name, &String::from_utf8_lossy(&kept));
    // The newline behind the bytes.
    let newline = io::copy(&mut input.by_ref().take(1), &mut io::sink())?;
    Ok(8 + got + passed + newline)
}

/// Whether a head is the journal's export format.
pub fn is_export(head: &[u8]) -> bool {
    head.starts_with(b"__CURSOR=") || head.starts_with(b"__REALTIME_TIMESTAMP=")
}

struct Reading<'a> {
    options: &'a Options,
    file: &'a Arc<str>,
    symbol: Symbol,
    count: UnreadCount,
    lines: u64,
    /// How far the input was read.
    offset: u64,
}

/// What one worker made of its part.
#[derive(Default)]
struct Part {
    events: Vec<Event>,
    count: UnreadCount,
    lines: u64,
}

impl Reading<'_> {
    /// Reads lines, block after block.
    fn text(
        &mut self,
        input: &mut impl Read,
        workers: usize,
        each: &mut dyn FnMut(Vec<Event>),
    ) -> io::Result<()> {
        let (mut buffer, mut skipping) = (Vec::new(), false);
        loop {
            let wanted = (BLOCK_BYTES * workers - buffer.len()) as u64;
            let had = buffer.len();
            let result = input.by_ref().take(wanted).read_to_end(&mut buffer);
            let is_last = ((buffer.len() - had) as u64) < wanted;
            let last_end = buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            // The end of a whole input needs no newline; a line that an error cut is none.
            let end = if is_last && result.is_ok() { buffer.len() } else { last_end };
            let mut from = 0;
            if skipping {
                // The rest of a line that was already counted as too long.
                let newline = buffer.iter().position(|byte| *byte == b'\n');
                from = newline.map_or(buffer.len(), |at| at + 1);
                skipping = newline.is_none();
                self.lines += u64::from(!skipping);
            }
            if from < end {
                self.block(&buffer[from..end], self.offset + from as u64, workers, each);
            }
            let mut used = end.max(from);
            if used == 0 && !is_last {
                self.refuse(self.lines + 1, self.offset, &buffer, Refused::TooLong);
                (skipping, used) = (true, buffer.len());
            }
            self.offset += used as u64;
            buffer.drain(..used);
            if is_last {
                return result.map(|_| ());
            }
        }
    }

    /// Reads the journal's export format: a field per line, an empty line behind each entry, binary fields with their
    /// length before them.
    fn export(&mut self, input: &mut impl BufRead, each: &mut dyn FnMut(Vec<Event>)) -> io::Result<()> {
        let mut events = Vec::new();
        let read = self.entries(input, &mut events, each);
        each(events);
        read
    }

    fn entries(
        &mut self,
        input: &mut impl BufRead,
        events: &mut Vec<Event>,
        each: &mut dyn FnMut(Vec<Event>),
    ) -> io::Result<()> {
        let (mut entry, mut line, mut entry_at) = (Entry::default(), Vec::new(), 0);
        loop {
            line.clear();
            let got = read_line(input, &mut line)?;
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            self.offset += got;
            if got == 0 || text.is_empty() {
                if !entry.is_empty() {
                    self.entry(&entry, entry_at, events);
                }
                (entry, entry_at) = (Entry::default(), self.offset);
                if events.len() >= BATCH_COUNT {
                    each(std::mem::take(events));
                }
                if got == 0 {
                    return Ok(());
                }
            } else if let Some(at) = text.iter().position(|byte| *byte == b'=') {
                entry.field(&String::from_utf8_lossy(&text[..at]), &String::from_utf8_lossy(&text[at + 1..]));
            } else {
                let name = String::from_utf8_lossy(text).into_owned();
                self.offset += binary_field(input, &name, &mut entry)?;
            }
        }
    }

    /// Parses a block of whole lines on all workers and hands the events on.
    fn block(&mut self, bytes: &[u8], offset: u64, workers: usize, each: &mut dyn FnMut(Vec<Event>)) {
        let pieces = pieces(bytes, workers.clamp(1, WORKER_COUNT_MAX));
        let parts: Vec<Part> = if let [(_, only)] = pieces[..] {
            vec![self.part(only, offset)]
        } else {
            let this = &*self;
            std::thread::scope(|scope| {
                let running: Vec<_> = pieces
                    .iter()
                    .map(|(at, piece)| scope.spawn(move || this.part(piece, offset + *at as u64)))
                    .collect();
                running.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
            })
        };
        for mut part in parts {
            for place in part.count.places.values_mut().flatten() {
                place.number += self.lines;
            }
            self.lines += part.lines;
            self.count.append(part.count);
            each(part.events);
        }
    }

    fn part(&self, bytes: &[u8], offset: u64) -> Part {
        let mut part = Part::default();
        let mut at = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            part.lines += 1;
            let place = Place { file: self.symbol, offset: offset + at as u64 };
            at += line.len();
            let line = line.trim_ascii_end();
            if line.is_empty() {
                continue;
            }
            let lossy = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_MAX)]);
            let text = if place.offset == 0 { lossy.trim_start_matches('\u{feff}') } else { &lossy };
            let result = if line.len() > LINE_BYTES_MAX {
                Err(Refused::TooLong)
            } else {
                line::read(text, self.options, &place, &mut part.events)
            };
            match result {
                Ok(()) => part.count.read += 1,
                Err(refused) => part.count.push_at(self.file, part.lines, place.offset, line, refused),
            }
        }
        part
    }

    fn entry(&mut self, entry: &Entry, offset: u64, events: &mut Vec<Event>) {
        self.lines += 1;
        let place = Place { file: self.symbol, offset };
        match entry.finish(self.options, &place, events) {
            Ok(()) => self.count.read += 1,
            Err(refused) => self.refuse(self.lines, offset, b"", refused),
        }
    }

    fn refuse(&mut self, number: u64, offset: u64, bytes: &[u8], refused: Refused<'_>) {
        self.count.push_at(self.file, number, offset, bytes, refused);
    }
}

impl UnreadCount {
    /// Counts a refused line; the words are made only for the places that are kept.
    fn push_at(&mut self, file: &Arc<str>, number: u64, offset: u64, bytes: &[u8], refused: Refused<'_>) {
        if self.places.get(file).is_some_and(|places| places.len() >= PLACE_COUNT_MAX) {
            self.unread += 1;
            return;
        }
        let why = refused.why();
        self.push(Unread::new(file, number, offset, bytes, why.en, why.zh));
    }
}

/// Cuts a block at ends of lines into at most so many pieces, with where each begins.
fn pieces(bytes: &[u8], count: usize) -> Vec<(usize, &[u8])> {
    let mut pieces = Vec::with_capacity(count);
    let mut from = 0;
    for number in 1..=count {
        let aim = (bytes.len() * number / count).max(from);
        let end = match bytes[aim..].iter().position(|byte| *byte == b'\n') {
            Some(at) if number < count => aim + at + 1,
            _ => bytes.len(),
        };
        if end > from {
            pieces.push((from, &bytes[from..end]));
        }
        from = end;
    }
    pieces
}
