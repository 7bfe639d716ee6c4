//! Lines of words, as AWS and Aliyun write their flow logs, into records.
//!
//! The fast way takes the marks of a whole block and goes straight to the wanted words. Whatever it does not accept goes
//! the slow way, which tells a header from a bad line and says what is wrong.

use super::blocks::Text;
use super::layout::{DEFAULT_COUNT, FIELD_COUNT_MAX, Field, LOSSES, Layout, Writer};
use super::marks::Marks;
use super::number::{address, decimal};
use super::words::Words;
use super::wrong::{self, Sentence};
use super::{Parsed, Wanted};
use crate::{Action, Direction, Flow, Opener, Status, Symbol, Unread};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// The latest time a record may have, in seconds since 1970: the year 5138.
const TIME_S_MAX: u64 = 99_999_999_999;
const TCP_FLAGS_MAX: u64 = 255;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// Parses the lines of one block after another.
#[derive(Debug)]
pub struct Lines {
    pub words: Words,
    pub file: Arc<str>,
    marks: Marks,
    wanted: Wanted,
    file_symbol: Symbol,
}

/// A word as its place in the text.
type Word = (usize, usize);

impl Lines {
    pub fn new(words: Words, wanted: Wanted, file: Arc<str>, file_symbol: Symbol) -> Lines {
        Lines { words, marks: Marks::default(), wanted, file, file_symbol }
    }

    /// Leaves out the records that are not wanted, of which every column was read.
    pub fn leave_out(&self, into: &mut Parsed) {
        let Some(records) = self.wanted.records() else { return };
        let all = into.flows.len();
        into.flows.retain(|flow| records.has(flow));
        into.left_out += (all - into.flows.len()) as u64;
    }

    /// The record with all columns that are not wanted at their defaults.
    pub fn only_wanted(&self, flow: Flow) -> Flow {
        self.wanted.only(flow)
    }

    /// Parses a block; `layout` is the order in force at its beginning and, afterwards, at its end.
    pub fn parse(&mut self, text: &Text, layout: &mut Arc<Layout>, into: &mut Parsed) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("bmi2")
            && std::arch::is_x86_feature_detected!("popcnt")
        {
            // SAFETY: the processor has the features that the function is compiled for, as was just asked.
            return unsafe { self.parse_with_wide_words(text, layout, into) };
        }
        self.parse_block(text, layout, into);
    }

    /// The same with instructions that not every x86-64 has: a quarter less time.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    fn parse_with_wide_words(&mut self, text: &Text, layout: &mut Arc<Layout>, into: &mut Parsed) {
        self.parse_block(text, layout, into);
    }

    #[inline(always)]
    fn parse_block(&mut self, text: &Text, layout: &mut Arc<Layout>, into: &mut Parsed) {
        let mut marks = std::mem::take(&mut self.marks);
        marks.find(&text.bytes, text.from, text.to);
        let (ends, slow) = (marks.ends(), marks.odd);
        let (mut begin, mut first) = (text.from, 0usize);
        let offset = |place: usize| text.offset + (place - text.from) as u64;
        into.flows.reserve(marks.lines().len());
        for feed in marks.lines() {
            let feed = *feed as usize;
            let line = begin..ends[feed] as usize;
            let line_ends = &ends[first..=feed];
            (begin, first) = (line.end + 1, feed + 1);
            into.lines += 1;
            if line_ends.len() == layout.len() && !slow && layout.separator == b' ' {
                let flow = match line_ends.first_chunk() {
                    Some(ends) if layout.is_default => {
                        self.default_flow(&text.bytes, offset(line.start), line.start, ends).map(Some)
                    }
                    _ => self.flow(&text.bytes, offset(line.start), layout, |place| {
                        let from = if place == 0 { line.start } else { line_ends[place - 1] as usize + 1 };
                        (from, line_ends[place] as usize)
                    }),
                };
                if let Ok(flow) = flow {
                    into.take(flow);
                    continue;
                }
            }
            self.parse_slowly(text, line, layout, into);
        }
        self.marks = marks;
    }

    /// Reads the wanted fields of a line whose words are known; nothing where its record is not wanted, the field that
    /// is wrong otherwise.
    #[inline(always)]
    fn flow(
        &mut self,
        text: &[u8],
        offset: u64,
        layout: &Layout,
        word: impl Fn(usize) -> Word,
    ) -> Result<Option<Flow>, Field> {
        let mut flow = self.begin(offset);
        let mut put = |flow: &mut Flow, (place, field): &(u16, Field)| {
            let word = word(*place as usize);
            let is_right = self.put(flow, text, *field, word, layout.writer) || is_dash(text, word);
            if is_right { Ok(()) } else { Err(*field) }
        };
        let (telling, others) = layout.steps.split_at(layout.telling);
        telling.iter().try_for_each(|step| put(&mut flow, step))?;
        if layout.records.is_some_and(|records| !records.has(&flow)) {
            return Ok(None);
        }
        others.iter().try_for_each(|step| put(&mut flow, step))?;
        Ok(Some(flow))
    }

    /// Reads a line of the default format: the same without asking at each word what it is.
    #[inline(always)]
    fn default_flow(
        &mut self,
        text: &[u8],
        offset: u64,
        begin: usize,
        ends: &[u32; DEFAULT_COUNT],
    ) -> Result<Flow, Field> {
        let mut flow = self.begin(offset);
        macro_rules! put_all {
            ($($place:literal $field:ident,)*) => {
                $(
                    let from = match $place {
                        0 => begin,
                        place => ends[place - 1] as usize + 1,
                    };
                    let word = (from, ends[$place] as usize);
                    if !self.put(&mut flow, text, Field::$field, word, Writer::AwsVpc) && !is_dash(text, word) {
                        return Err(Field::$field);
                    }
                )*
            };
        }
        put_all! {
            0 Version, 1 Account, 2 Interface, 3 Source, 4 Destination, 5 SourcePort, 6 DestinationPort, 7 Protocol,
            8 Packets, 9 Bytes, 10 Start, 11 End, 12 Action, 13 Status,
        }
        Ok(flow)
    }

    /// Puts one field into its column; false where the word is nothing that the field may hold.
    #[inline(always)]
    fn put(&mut self, flow: &mut Flow, text: &[u8], field: Field, (from, to): Word, writer: Writer) -> bool {
        let number = |max: u64| decimal(text, from, to).filter(|number| *number <= max);
        macro_rules! set {
            ($column:expr, $value:expr) => {
                match $value {
                    Some(value) => {
                        $column = value;
                        true
                    }
                    None => false,
                }
            };
        }
        match field {
            Field::Source => set!(flow.source, address(text, from, to)),
            Field::Destination => set!(flow.destination, address(text, from, to)),
            Field::SourcePort => set!(flow.source_port, number(0xffff).map(|number| number as u16)),
            Field::DestinationPort => set!(flow.destination_port, number(0xffff).map(|number| number as u16)),
            Field::Protocol => set!(flow.protocol, number(255).map(|number| number as u8)),
            Field::Packets => set!(flow.packets, number(u64::MAX)),
            Field::Bytes => set!(flow.bytes, number(u64::MAX)),
            Field::Start => set!(flow.start_ms, number(TIME_S_MAX).map(|number| number as i64 * 1000)),
            Field::End => set!(flow.end_ms, number(TIME_S_MAX).map(|number| number as i64 * 1000)),
            Field::Account => set!(flow.account, self.symbol(text, from, to)),
            Field::Interface => set!(flow.interface, self.symbol(text, from, to)),
            Field::Version => number(999).is_some(),
            Field::Action => set!(flow.action, action(&text[from..to])),
            Field::Status => set!(flow.status, status(&text[from..to])),
            Field::TcpFlags => number(TCP_FLAGS_MAX).is_some_and(|flags| {
                (flow.tcp_flags, flow.opener) = (flags as u8, opener(flags as u8, writer));
                true
            }),
            Field::Direction => set!(flow.direction, direction(&text[from..to])),
            Field::Reason => set!(flow.rule, self.symbol(text, from, to)),
            Field::Lost(number_of) => number(u64::MAX).is_some_and(|lost| {
                if lost > 0 {
                    flow.action = Action::Reject;
                    flow.rule = self.words.symbol(LOSSES[number_of as usize % LOSSES.len()].as_bytes());
                }
                true
            }),
            Field::Skip | Field::PacketSource | Field::PacketDestination => true,
        }
    }

    /// The number of a word; nothing of an empty one or a dash.
    #[inline(always)]
    fn symbol(&mut self, text: &[u8], from: usize, to: usize) -> Option<Symbol> {
        let word = &text[from..to];
        if word == b"-" || word.is_empty() { None } else { Some(self.words.symbol(word)) }
    }

    /// Reads a line that the fast way did not: empty, a header, of another version, with odd spaces, or bad.
    #[cold]
    #[inline(never)]
    fn parse_slowly(&mut self, text: &Text, line: Range<usize>, layout: &mut Arc<Layout>, into: &mut Parsed) {
        let (mut from, mut to) = (line.start, line.end);
        let offset = text.offset + (from - text.from) as u64;
        if offset == 0 && text.bytes[from..to].starts_with(b"\xef\xbb\xbf") {
            from += 3;
        }
        while to > from && matches!(text.bytes[to - 1], b'\r' | b' ') {
            to -= 1;
        }
        if from == to {
            return;
        }
        let header = self.header(&text.bytes[from..to]);
        match header {
            Some(named) if named != **layout => *layout = Arc::new(named),
            Some(_) => {}
            None => self.parse_words(&text.bytes, from..to, offset, layout, into),
        }
    }

    /// The order of fields that a line gives, where it is a header.
    fn header(&self, line: &[u8]) -> Option<Layout> {
        let could_be = matches!(line.first(), Some(b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'"' | b'$'));
        if could_be { Layout::named(std::str::from_utf8(line).ok()?, self.wanted) } else { None }
    }

    /// Reads one line that is no header: of the order in force, or of the one that its version and length tell.
    fn parse_words(
        &mut self,
        bytes: &[u8],
        line: Range<usize>,
        offset: u64,
        layout: &Arc<Layout>,
        into: &mut Parsed,
    ) {
        match self.flow_of_words(bytes, line.clone(), offset, layout) {
            Ok(flow) => into.take(flow),
            Err((en, zh)) => {
                into.unread.push(Unread::new(&self.file, into.lines, offset, &bytes[line], en, zh))
            }
        }
    }

    fn flow_of_words(
        &mut self,
        bytes: &[u8],
        line: Range<usize>,
        offset: u64,
        layout: &Arc<Layout>,
    ) -> Result<Option<Flow>, (String, String)> {
        let mut layout = layout.clone();
        let words = split(bytes, line, layout.separator);
        if words.len() != layout.len() {
            let slices: Vec<&[u8]> = words.iter().map(|(from, to)| &bytes[*from..*to]).collect();
            let (found, right) = (words.len(), layout.len());
            let guess = Layout::guess(&slices, self.wanted).ok_or_else(|| {
                let en = format!("{found} fields where the order of fields has {right}");
                (en, format!("有 {found} 个字段，而字段顺序有 {right} 个"))
            })?;
            layout = Arc::new(guess);
        }
        self.flow(bytes, offset, &layout, |place| words[place]).map_err(|field| {
            let (en, zh) = wrong_field(field);
            (en.into(), zh.into())
        })
    }

    /// Reads a line that stood in a JSON object.
    pub fn parse_message(&mut self, line: &[u8], offset: u64, layout: &Arc<Layout>, into: &mut Parsed) {
        let line = line.trim_ascii();
        if !line.is_empty() && self.header(line).is_none() {
            self.parse_words(line, 0..line.len(), offset, layout, into);
        }
    }

    /// Makes a record of named words.
    pub fn flow_of_fields(
        &mut self,
        offset: u64,
        fields: &[(Field, Cow<str>)],
        writer: Writer,
    ) -> Result<Flow, Sentence> {
        let mut flow = self.begin(offset);
        for (field, word) in fields {
            let (text, place) = (word.as_bytes(), (0, word.len()));
            if !self.put(&mut flow, text, *field, place, writer) && !is_dash(text, place) && !word.is_empty()
            {
                return Err(wrong_field(*field));
            }
        }
        Ok(self.only_wanted(flow))
    }

    /// The record that has only its place.
    #[inline(always)]
    pub fn begin(&self, offset: u64) -> Flow {
        Flow { offset, file: self.file_symbol, ..Flow::default() }
    }
}

/// The words of a line, without quotes; as many as a line may have and one more.
fn split(text: &[u8], line: Range<usize>, separator: u8) -> Vec<Word> {
    let mut words = Vec::new();
    let mut begin = line.start;
    for end in (line.start..=line.end).filter(|end| *end == line.end || text[*end] == separator) {
        let quoted = end >= begin + 2 && text[begin] == b'"' && text[end - 1] == b'"';
        words.push(if quoted { (begin + 1, end - 1) } else { (begin, end) });
        begin = end + 1;
        if words.len() > FIELD_COUNT_MAX {
            break;
        }
    }
    words
}

/// What a source writes where it has nothing to tell.
#[cold]
fn is_dash(text: &[u8], (from, to): Word) -> bool {
    &text[from..to] == b"-"
}

#[inline(always)]
fn action(word: &[u8]) -> Option<Action> {
    match word {
        b"ACCEPT" => Some(Action::Accept),
        b"REJECT" => Some(Action::Reject),
        _ => None,
    }
}

#[inline(always)]
fn status(word: &[u8]) -> Option<Status> {
    match word {
        b"OK" => Some(Status::Ok),
        b"NODATA" => Some(Status::NoData),
        b"SKIPDATA" => Some(Status::SkipData),
        _ => None,
    }
}

fn direction(word: &[u8]) -> Option<Direction> {
    match word {
        b"ingress" | b"in" => Some(Direction::In),
        b"egress" | b"out" => Some(Direction::Out),
        _ => None,
    }
}

/// Who sent the first packet, as far as the flags tell.
pub fn opener(flags: u8, writer: Writer) -> Opener {
    match (flags & SYN != 0, flags & ACK != 0, writer) {
        (true, false, _) => Opener::Source,
        (true, true, Writer::AwsVpc) => Opener::Destination,
        _ => Opener::Unknown,
    }
}

fn wrong_field(field: Field) -> Sentence {
    match field {
        Field::Source => wrong::SENDER,
        Field::Destination => wrong::RECEIVER,
        Field::SourcePort | Field::DestinationPort => wrong::PORT,
        Field::Protocol => wrong::PROTOCOL,
        Field::Packets | Field::Bytes | Field::Lost(_) => wrong::COUNT,
        Field::Start | Field::End => wrong::TIME,
        Field::Action => wrong::DECISION,
        Field::Status => wrong::STATE,
        Field::TcpFlags => wrong::FLAGS,
        Field::Direction => wrong::DIRECTION,
        Field::Version => wrong::VERSION,
        _ => wrong::EMPTY,
    }
}
