//! A file and everything it includes, fetched before any of it is read.

use crate::doc::FILE_BYTES_MAX;
use crate::netfilter::nft::lexer::{Lexer, Sign, Token};
use crate::place::{Place, Unread};
use std::borrow::Cow;
use std::sync::Arc;

/// How deep files may include one another.
const INCLUDE_DEPTH_MAX: usize = 16;
/// How many files may be included in all.
const INCLUDE_COUNT_MAX: usize = 256;

pub(super) struct Source<'t> {
    pub file: Arc<str>,
    pub text: Cow<'t, str>,
    /// Where a name of a file stands, and its number in the list.
    pub includes: Vec<(usize, usize)>,
}

#[derive(Default)]
pub(super) struct Sources<'t> {
    /// The file itself first.
    pub list: Vec<Source<'t>>,
    pub unread: Vec<Unread>,
    bytes: u64,
}

impl<'t> Sources<'t> {
    pub fn load(file: &Arc<str>, text: &'t str, include: &dyn Fn(&str) -> Option<String>) -> Sources<'t> {
        let mut sources = Sources::default();
        sources.add(file, Cow::Borrowed(text), include, 0);
        sources
    }

    fn add(
        &mut self,
        file: &Arc<str>,
        text: Cow<'t, str>,
        include: &dyn Fn(&str) -> Option<String>,
        depth: usize,
    ) -> Option<usize> {
        self.bytes = self.bytes.saturating_add(text.len() as u64);
        if self.bytes > FILE_BYTES_MAX {
            let (en, zh) = ("larger than 256 MB: not read", "超过 256 MB，未读取");
            self.unread.push(Unread::new(Place::whole(file), file, en, zh));
            return None;
        }
        let number = self.list.len();
        let wanted = wanted(&text);
        self.list.push(Source { file: Arc::clone(file), text, includes: Vec::new() });
        for (token, path) in wanted {
            if let Some(inner) = self.fetch(file, token, &path, include, depth) {
                self.list[number].includes.push((token.start, inner));
            }
        }
        Some(number)
    }

    fn fetch(
        &mut self,
        file: &Arc<str>,
        token: Token,
        path: &str,
        include: &dyn Fn(&str) -> Option<String>,
        depth: usize,
    ) -> Option<usize> {
        let column = u32::try_from(token.start - token.line_start + 1).unwrap_or(u32::MAX);
        let place = Place::new(file, token.line, column);
        if depth >= INCLUDE_DEPTH_MAX || self.list.len() > INCLUDE_COUNT_MAX {
            let (en, zh) = ("files that include one another without end", "文件相互包含，没有尽头");
            self.unread.push(Unread::new(place, path, en, zh));
            return None;
        }
        let Some(text) = include(path) else {
            // A pattern may fit no file.
            if !path.contains(['*', '?', '[']) {
                let (en, zh) = ("an included file that is not at hand", "被包含的文件不在手边");
                self.unread.push(Unread::new(place, path, en, zh));
            }
            return None;
        };
        self.add(&path.into(), Cow::Owned(text), include, depth + 1)
    }
}

/// Every `include "…"` of a text.
fn wanted(text: &str) -> Vec<(Token, String)> {
    let mut found = Vec::new();
    if !text.contains("include") {
        return found;
    }
    let mut lexer = Lexer::new(text);
    let mut first = true;
    loop {
        let token = lexer.next();
        match token.kind {
            Sign::End => return found,
            Sign::Word if first && &text[token.start..token.end] == "include" => {
                let path = lexer.next();
                if path.kind == Sign::Quoted && found.len() <= INCLUDE_COUNT_MAX {
                    found.push((path, text[path.start..path.end].to_owned()));
                }
                first = false;
            }
            kind => first = matches!(kind, Sign::NewLine | Sign::Semicolon | Sign::Open),
        }
    }
}
