//! One worker's parser, and what it makes of one block.

use super::Format;
use super::blocks::Text;
use super::layout::Layout;
use super::lines::Lines;
use super::objects::Objects;
use super::wrong;
use crate::{Flow, Unread, UnreadCount};
use std::sync::Arc;

/// What one block held.
#[derive(Debug, Default)]
pub struct Parsed {
    pub flows: Vec<Flow>,
    /// Records that were read and are not wanted.
    pub left_out: u64,
    /// Lines or objects, good and bad.
    pub lines: u64,
    /// What was read and what was not; places are numbered from the beginning of the block.
    pub unread: UnreadCount,
}

impl Parsed {
    /// Keeps a record; nothing is one that is not wanted.
    #[inline(always)]
    pub fn take(&mut self, flow: Option<Flow>) {
        match flow {
            Some(flow) => self.flows.push(flow),
            None => self.left_out += 1,
        }
    }
}

/// Parses blocks of one format.
#[derive(Debug)]
pub enum Parser {
    Lines(Lines),
    Objects(Objects),
}

impl Parser {
    pub fn new(lines: Lines, format: Format, by_line: bool) -> Parser {
        match format {
            Format::AwsText | Format::AliyunText => Parser::Lines(lines),
            _ => Parser::Objects(Objects::new(lines, format, by_line)),
        }
    }

    /// Parses a block under the order of fields in force; returns the one in force behind it.
    pub fn parse(
        &mut self,
        text: &Text,
        layout: &Arc<Layout>,
        file: &Arc<str>,
        into: &mut Parsed,
    ) -> Arc<Layout> {
        into.flows.clear();
        (into.lines, into.left_out, into.unread) = (0, 0, UnreadCount::default());
        for (offset, bytes) in &text.skipped {
            into.lines += 1;
            let (en, zh) = wrong::TOO_LONG;
            into.unread.push(Unread::new(file, into.lines, *offset, bytes, en, zh));
        }
        let mut after = layout.clone();
        match self {
            Parser::Lines(lines) => lines.parse(text, &mut after, into),
            Parser::Objects(objects) => objects.parse(text, layout, into),
        }
        into.unread.read = into.flows.len() as u64 + into.left_out;
        after
    }
}
