//! Objects of a table that rules name: counters, quotas, limits, helpers, flow tables.

use super::Parser;
use super::cursor::{Read, syntax};
use crate::netfilter::nft::build::TableId;
use crate::netfilter::nft::draft::object_name;
use crate::netfilter::nft::lexer::Sign;

impl Parser<'_> {
    /// An object in a table's block, or behind a command; what of it decides is kept under its name.
    pub(super) fn object_block(&mut self, table: TableId) -> Read {
        let kind = self.cursor.word()?;
        match kind {
            "counter" | "quota" | "limit" | "secmark" | "synproxy" | "flowtable" => {}
            "ct" => {
                self.cursor.word()?;
            }
            _ => return syntax("such a thing is not known in a table", "表中没有这种内容"),
        }
        let name = self.cursor.name()?;
        if !self.cursor.is(Sign::Open) {
            return self.object_inline(table, kind, name);
        }
        match kind {
            "limit" | "quota" => self.block(|parser| parser.object_value(table, kind, name)),
            _ => self.skip_block(),
        }
    }

    /// `add limit t x rate 400/minute`
    fn object_inline(&mut self, table: TableId, kind: &str, name: &str) -> Read {
        if matches!(kind, "limit" | "quota") && !self.cursor.at_end() {
            return self.object_value(table, kind, name);
        }
        while !self.cursor.at_end() {
            self.cursor.advance();
        }
        Ok(())
    }

    pub(super) fn object_value(&mut self, table: TableId, kind: &str, name: &str) -> Read {
        if self.cursor.accept_word("comment") {
            self.cursor.word()?;
            return self.end_of_statement();
        }
        let part = if kind == "limit" { self.limit()? } else { self.quota()? };
        self.builder.object(table, object_name(kind, name), part);
        self.end_of_statement()
    }

    /// Leaves out a block that decides nothing.
    fn skip_block(&mut self) -> Read {
        let mut open = 0_usize;
        loop {
            match self.cursor.token.kind {
                Sign::Open => open += 1,
                Sign::Close => open = open.saturating_sub(1),
                Sign::End => return syntax("a closing brace is missing here", "此处缺少右花括号"),
                _ => {}
            }
            self.cursor.advance();
            if open == 0 {
                return Ok(());
            }
        }
    }
}
