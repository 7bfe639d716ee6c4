//! Cuts an unpacked input into blocks that end where records end.

use super::Why;
use super::gzip::Unpack;
use super::json::Cutter;
use super::marks::STRIDE_BYTES;
use std::io::Read;

/// Text read for one block; with its records it stays in a core's second cache.
const BLOCK_BYTES: usize = 256 << 10;
/// Room before and behind the text, so that words can be looked at with what lies around them.
const PAD_BYTES: usize = STRIDE_BYTES;

/// First bytes of a record that is too long, kept for the report.
const SKIPPED_BYTES_MAX: usize = 200;

/// One stretch of an input: whole lines, or whole JSON objects.
#[derive(Debug, Default)]
pub struct Text {
    /// The text lies at `from..to`, with at least `PAD_BYTES` around it.
    pub bytes: Vec<u8>,
    pub from: usize,
    pub to: usize,
    /// The byte of the unpacked input at `from`.
    pub offset: u64,
    /// Where JSON objects lie in `bytes`.
    pub objects: Vec<(u32, u32)>,
    /// Records before this text that were longer than allowed: where they began and their first bytes.
    pub skipped: Vec<(u64, Vec<u8>)>,
}

/// Reads and cuts.
pub struct Blocks<R: Read> {
    input: Unpack<R>,
    /// What follows the last record end: the beginning of the next block.
    rest: Vec<u8>,
    /// The byte of the unpacked input where `rest` begins.
    offset: u64,
    /// Cuts JSON; lines where absent.
    cutter: Option<Cutter>,
    record_bytes_max: usize,
    ended: bool,
    /// What ended the input, told after what was read before it.
    failed: Option<Why>,
}

impl<R: Read> Blocks<R> {
    pub fn new(input: Unpack<R>, cutter: Option<Cutter>, record_bytes_max: usize) -> Blocks<R> {
        Blocks { input, rest: Vec::new(), offset: 0, cutter, record_bytes_max, ended: false, failed: None }
    }

    /// How far the unpacked input was read into records.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Fills `text` with the next block; false at the end. What broke the input is told after what came before it.
    pub fn next(&mut self, text: &mut Text) -> Result<bool, Why> {
        text.skipped.clear();
        text.objects.clear();
        text.from = PAD_BYTES;
        let mut filled = PAD_BYTES + self.rest.len();
        text.bytes.resize(text.bytes.len().max(filled), 0);
        text.bytes[PAD_BYTES..filled].copy_from_slice(&self.rest);
        self.rest.clear();
        let mut goal = (filled - PAD_BYTES + BLOCK_BYTES / 2).max(BLOCK_BYTES);
        let cut = loop {
            filled = self.fill(text, filled, PAD_BYTES + goal);
            if let Some(cut) = self.cut(text, &mut filled) {
                break cut;
            }
            if filled - text.from > self.record_bytes_max {
                // Told at once: an input of nothing but such records would gather them all.
                filled = self.skip(text, filled);
                break text.from;
            }
            // Doubled, so that what is looked at again and again stays in proportion.
            goal = (filled - text.from).max(BLOCK_BYTES / 2) * 2;
        };
        text.to = cut;
        text.offset = self.offset;
        self.offset += (cut - text.from) as u64;
        self.rest.extend_from_slice(&text.bytes[cut..filled]);
        if cut > text.from || !text.skipped.is_empty() {
            return Ok(true);
        }
        self.failed.take().map_or(Ok(false), Err)
    }

    /// Reads until there are `goal` bytes or the input ends.
    fn fill(&mut self, text: &mut Text, mut filled: usize, goal: usize) -> usize {
        text.bytes.resize(text.bytes.len().max(goal + PAD_BYTES), 0);
        while filled < goal && !self.ended {
            match self.input.fill(&mut text.bytes[filled..goal]) {
                Ok(0) => self.ended = true,
                Ok(count) => filled += count,
                Err(why) => (self.ended, self.failed) = (true, Some(why)),
            }
        }
        filled
    }

    /// Where the last whole record ends; nothing where more must be read first.
    fn cut(&mut self, text: &mut Text, filled: &mut usize) -> Option<usize> {
        let last = self.ended && self.failed.is_none();
        let cut = match &mut self.cutter {
            Some(cutter) => cutter.cut(&text.bytes, text.from, *filled, last, &mut text.objects),
            None => {
                let feed = text.bytes[text.from..*filled].iter().rposition(|byte| *byte == b'\n');
                if last && *filled > text.from && feed.is_none_or(|feed| text.from + feed + 1 < *filled) {
                    // The last line of a whole input needs no line feed; the room behind the text holds this one.
                    text.bytes[*filled] = b'\n';
                    *filled += 1;
                    return Some(*filled);
                }
                feed.map_or(text.from, |feed| text.from + feed + 1)
            }
        };
        (cut > text.from || self.ended).then_some(cut)
    }

    /// Throws away a record that is too long, up to the next line feed; returns how much text is left.
    fn skip(&mut self, text: &mut Text, mut filled: usize) -> usize {
        let begin = self.offset;
        let first = text.bytes[text.from..filled].iter().take(SKIPPED_BYTES_MAX).copied().collect();
        if let Some(cutter) = &mut self.cutter {
            cutter.forget();
        }
        loop {
            self.offset += (filled - text.from) as u64;
            filled = self.fill(text, text.from, text.from + BLOCK_BYTES);
            let feed = text.bytes[text.from..filled].iter().position(|byte| *byte == b'\n');
            if let Some(feed) = feed {
                self.offset += feed as u64 + 1;
                text.bytes.copy_within(text.from + feed + 1..filled, text.from);
                filled -= feed + 1;
            }
            if feed.is_some() || self.ended {
                text.skipped.push((begin, first));
                return if feed.is_some() { filled } else { text.from };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    /// An input that gives a few bytes at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(self.1).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn blocks_are_the_input_cut_at_line_ends_without_what_is_too_long() {
        let mut input = Vec::new();
        let mut right = Vec::new();
        for number in 0..30_000 {
            let line = format!("{number} {}\n", "x".repeat(number % 40));
            right.push((input.len() as u64, line.clone()));
            input.extend(line.into_bytes());
            if number % 10_000 == 5_000 {
                input.extend(vec![b'y'; 3 << 20]);
                input.push(b'\n');
            }
        }
        input.extend(b"end");
        right.push((input.len() as u64 - 3, "end\n".into()));
        let limits = Limits::default();
        let mut blocks =
            Blocks::new(Unpack::new(Vec::new(), Drops(&input, 70_001), limits), None, limits.line_bytes_max);
        let (mut text, mut found, mut skipped) = (Text::default(), Vec::new(), 0);
        while blocks.next(&mut text).unwrap() {
            skipped += text.skipped.len();
            let mut offset = text.offset;
            for line in text.bytes[text.from..text.to].split_inclusive(|byte| *byte == b'\n') {
                found.push((offset, String::from_utf8(line.to_vec()).unwrap()));
                offset += line.len() as u64;
            }
        }
        assert_eq!(skipped, 3);
        assert_eq!(found.len(), right.len());
        assert!(found == right);
    }

    #[test]
    fn what_is_too_long_again_and_again_is_told_one_by_one() {
        let mut input = [vec![b'y'; 2 << 20], b"\n".to_vec()].concat().repeat(5);
        input.extend(b"end");
        let limits = Limits::default();
        let mut blocks =
            Blocks::new(Unpack::new(Vec::new(), input.as_slice(), limits), None, limits.line_bytes_max);
        let (mut text, mut skipped) = (Text::default(), Vec::new());
        while blocks.next(&mut text).unwrap() {
            assert!(text.skipped.len() <= 1, "{}", text.skipped.len());
            skipped.extend(text.skipped.iter().map(|(offset, _)| *offset));
        }
        assert_eq!(skipped, [0, 1, 2, 3, 4].map(|line| line * ((2 << 20) + 1)));
        assert_eq!(text.offset, 5 * ((2 << 20) + 1) + 4);
    }
}
