//! nft's language: what `nft list ruleset` prints and what is written for `nft -f`.

mod block;
mod command;
mod cursor;
mod expression;
mod field;
mod object;
mod rule;
mod sources;
mod statement;

use super::build::Builder;
use super::draft::Why;
use super::expression::Expression;
use super::lexer::{Sign, Token};
use crate::netfilter::ast::{Part, Ruleset, TableFamily};
use crate::place::{Place, Unread};
use cursor::{Cursor, Fault, Read};
use sources::{Source, Sources};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// How many mistakes of one file are reported; the rest is only counted as there.
const UNREAD_COUNT_MAX: usize = 1000;

/// Reads a text; `include` gives what an included file holds.
pub(super) fn read(file: &Arc<str>, text: &str, include: &dyn Fn(&str) -> Option<String>) -> Ruleset {
    let sources = Sources::load(file, text, include);
    let mut builder = Builder::default();
    builder.unread.clone_from(&sources.unread);
    let Some(first) = sources.list.first() else { return builder.finish() };
    let mut parser = Parser {
        sources: &sources,
        source: first,
        cursor: Cursor::new(&first.text),
        builder,
        variables: HashMap::new(),
        shadowed: Vec::new(),
        family: TableFamily::Ip,
        depth: 0,
        deepest: 0,
        braces: 0,
        scratch: Vec::new(),
    };
    parser.file();
    parser.builder.finish()
}

/// Everything that reading a file needs to know.
struct Parser<'a> {
    sources: &'a Sources<'a>,
    source: &'a Source<'a>,
    cursor: Cursor<'a>,
    builder: Builder,
    /// Values of variables, and how deep each is nested.
    variables: HashMap<&'a str, (Rc<Expression<'a>>, usize)>,
    /// What the variables of an enclosing block were before this block defined them anew.
    shadowed: Vec<(&'a str, Option<(Rc<Expression<'a>>, usize)>)>,
    /// The family of the table at hand.
    family: TableFamily,
    depth: usize,
    /// How deep the expression at hand went.
    deepest: usize,
    /// Braces of sets that are open.
    braces: usize,
    /// A list of parts that is used for one rule after another.
    scratch: Vec<Part>,
}

impl<'a> Parser<'a> {
    /// Every command of the file at hand.
    fn file(&mut self) {
        loop {
            self.cursor.skip_separators();
            if self.cursor.is(Sign::End) {
                return;
            }
            let start = self.cursor.token;
            if let Err(fault) = self.command() {
                self.skip_fault(start, fault);
            }
            // A brace that closes nothing.
            if self.cursor.is(Sign::Close) {
                self.report(self.cursor.token, Why("a brace closes nothing", "多余的右花括号"));
                self.cursor.advance();
            }
        }
    }

    /// Reports a fault and goes to where reading can go on.
    fn skip_fault(&mut self, start: Token, fault: Fault) {
        let (Fault::Syntax(why) | Fault::Meaning(why)) = fault;
        let at = if matches!(fault, Fault::Syntax(_)) { self.cursor.token } else { start };
        self.report(at, why);
        let open = std::mem::take(&mut self.braces);
        self.depth = 0;
        self.cursor.skip_statement(open);
    }

    /// Notes what was not understood, with the rest of its line.
    fn report(&mut self, at: Token, why: Why) {
        if self.builder.unread.len() >= UNREAD_COUNT_MAX {
            return;
        }
        let rest = &self.source.text[at.start..];
        let line = rest.split('\n').next().unwrap_or_default();
        let text = if line.is_empty() { self.line_before(at) } else { line };
        self.builder.unread.push(Unread::new(self.place(at), text, why.0, why.1));
    }

    /// What its line says before a token.
    fn line_before(&self, at: Token) -> &'a str {
        self.source.text.get(at.line_start..at.start).unwrap_or_default()
    }

    fn place(&self, at: Token) -> Place {
        let column = u32::try_from(at.start.saturating_sub(at.line_start) + 1).unwrap_or(u32::MAX);
        Place::new(&self.source.file, at.line, column)
    }

    fn here(&self) -> Place {
        self.place(self.cursor.token)
    }

    /// A statement ends here: at `;`, the end of the line, or before the brace that closes the block.
    fn end_of_statement(&mut self) -> Read {
        if !self.cursor.at_end() {
            return cursor::syntax("more than was expected here", "此处内容多于预期");
        }
        self.cursor.skip_separators();
        Ok(())
    }

    /// `define a = …`, `redefine`, `undefine`; false when it is none.
    fn definition(&mut self) -> Read<bool> {
        match self.cursor.peek_word() {
            "define" | "redefine" => {
                self.cursor.advance();
                let name = self.cursor.word()?;
                self.cursor.expect(Sign::Equal)?;
                self.deepest = 0;
                let value = self.definition_value()?;
                let value = match value {
                    Expression::Shared(known) => known,
                    value => Rc::new(value),
                };
                let old = self.variables.insert(name, (value, self.deepest + 1));
                self.shadowed.push((name, old));
            }
            "undefine" => {
                self.cursor.advance();
                let name = self.cursor.word()?;
                let old = self.variables.remove(name);
                self.shadowed.push((name, old));
            }
            _ => return Ok(false),
        }
        self.end_of_statement()?;
        Ok(true)
    }

    /// A number may be negative here: a priority.
    fn definition_value(&mut self) -> Read<Expression<'a>> {
        if self.cursor.is(Sign::Dash) {
            let start = self.cursor.token.start;
            self.cursor.advance();
            self.cursor.integer()?;
            return Ok(Expression::Word(&self.cursor.text[start..self.cursor.last_end]));
        }
        if self.cursor.is(Sign::At) {
            return self.set_or_name();
        }
        self.listed(true)
    }

    /// Forgets what was defined since there were so many definitions.
    fn forget(&mut self, definition_count: usize) {
        while self.shadowed.len() > definition_count {
            if let Some((name, old)) = self.shadowed.pop() {
                match old {
                    Some(value) => self.variables.insert(name, value),
                    None => self.variables.remove(name),
                };
            }
        }
    }

    /// `include "…"`: its commands, as if they stood here.
    fn include(&mut self) -> Read {
        self.cursor.advance();
        let at = self.cursor.token;
        self.cursor.word()?;
        let Some(number) = self.source.includes.iter().find(|(start, _)| *start == at.start) else {
            return self.end_of_statement();
        };
        let source = &self.sources.list[number.1];
        let (outer, cursor) = (self.source, self.cursor);
        (self.source, self.cursor) = (source, Cursor::new(&source.text));
        self.file();
        (self.source, self.cursor) = (outer, cursor);
        self.end_of_statement()
    }
}
