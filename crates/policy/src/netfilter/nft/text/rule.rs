//! A rule: statements one after another, to the end of its line.

use super::Parser;
use super::cursor::{Fault, Read, syntax};
use crate::netfilter::ast::{Part, Rule, Verdict};
use crate::netfilter::nft::build::Builder;
use crate::netfilter::nft::draft::{Draft, Why};
use crate::netfilter::nft::expression::{Comparison, Expression, Operator};
use crate::netfilter::nft::lexer::Sign;
use crate::place;

/// The longest text of a rule that is kept, in bytes, before it is cut by characters.
const TEXT_BYTES_MAX: usize = 800;
/// How many statements a rule may have.
const STATEMENT_COUNT_MAX: usize = 4096;

impl<'a> Parser<'a> {
    /// The rule here. What is not understood of it stays in it as unknown.
    pub(super) fn rule(&mut self) -> Rule {
        let place = self.here();
        let start = self.cursor.token.start;
        let mut comment = None;
        let mut interner = std::mem::take(&mut self.builder.interner);
        let mut draft = Draft::new(self.family, &mut interner, std::mem::take(&mut self.scratch));
        for count in 0.. {
            if self.cursor.at_end() {
                break;
            }
            let at = self.cursor.token;
            let read = match self.cursor.peek_word() {
                _ if count >= STATEMENT_COUNT_MAX => {
                    syntax("a rule of more than 4096 statements", "规则超过 4096 条语句")
                }
                "comment" => self.comment().map(|text| comment = text),
                _ => self.statement(&mut draft),
            };
            match read {
                Ok(()) => {}
                Err(Fault::Meaning(why)) => draft.unknown(&self.cursor.text[at.start..self.cursor.last_end], why),
                Err(fault @ Fault::Syntax(why)) => {
                    self.skip_fault(at, fault);
                    draft.unknown(&self.cursor.text[at.start..self.cursor.last_end.max(at.start)], why);
                    break;
                }
            }
        }
        // The parts move into a list of just their number; the long one is used again.
        let mut scratch = draft.parts;
        let mut parts = Vec::with_capacity(scratch.len());
        parts.append(&mut scratch);
        (self.scratch, self.builder.interner) = (scratch, interner);
        let text = rule_text(&self.cursor.text[start..self.cursor.last_end.max(start)]);
        Rule { number: 0, place, text, comment, parts }
    }

    pub(super) fn comment(&mut self) -> Read<Option<String>> {
        self.cursor.advance();
        let mut text = place::excerpt(self.cursor.word()?);
        text.shrink_to_fit();
        Ok(Some(text))
    }

    /// Parts that a statement beside an element of a set comes to.
    pub(super) fn beside(&mut self, read: impl FnOnce(&mut Self, &mut Draft) -> Read) -> Read<Vec<Part>> {
        let mut builder = Builder::default();
        let mut draft = Draft::new(self.family, &mut builder.interner, Vec::new());
        read(self, &mut draft)?;
        Ok(draft.parts)
    }

    fn statement(&mut self, draft: &mut Draft) -> Read {
        if let Some(verdict) = self.plain_verdict()? {
            draft.parts.push(Part::Verdict(verdict));
            return Ok(());
        }
        if self.named_statement(draft)? {
            return Ok(());
        }
        self.match_or_write(draft)
    }

    /// `tcp dport 22`, `tcp dport vmap { … }`, `meta mark set 1`.
    fn match_or_write(&mut self, draft: &mut Draft) -> Read {
        let left = self.concatenation(true)?;
        match self.cursor.peek_word() {
            "set" => {
                self.cursor.advance();
                return self.write(draft, &left);
            }
            "vmap" => {
                self.cursor.advance();
                let set = self.set_or_name()?;
                return Ok(draft.verdict_map(&left, &set)?);
            }
            _ => {}
        }
        let how = self.comparison();
        let right = match self.cursor.token.kind {
            Sign::Open | Sign::At => self.set_or_name()?,
            _ => self.class_or(|parser| parser.listed(false))?,
        };
        if !self.cursor.accept(Sign::Slash) {
            return Ok(draft.compare(&left, how, &right)?);
        }
        // `tcp flags syn / syn,ack`: of the bits behind the slash those before it are set, and no others.
        let mask = self.listed(false)?;
        let masked = Expression::Binary(Operator::And, Box::new((left, mask)));
        let how = if how == Comparison::Implied { Comparison::Equal } else { how };
        Ok(draft.compare(&masked, how, &right)?)
    }

    fn comparison(&mut self) -> Comparison {
        let by_sign = match self.cursor.token.kind {
            Sign::EqualEqual => Some(Comparison::Equal),
            Sign::NotEqual => Some(Comparison::NotEqual),
            Sign::Not => Some(Comparison::NoBit),
            Sign::Less => Some(Comparison::Less),
            Sign::LessEqual => Some(Comparison::LessEqual),
            Sign::More => Some(Comparison::More),
            Sign::MoreEqual => Some(Comparison::MoreEqual),
            _ => None,
        };
        let by_word = || match self.cursor.peek_word() {
            "eq" => Some(Comparison::Equal),
            "ne" | "neq" => Some(Comparison::NotEqual),
            "lt" => Some(Comparison::Less),
            "le" => Some(Comparison::LessEqual),
            "gt" => Some(Comparison::More),
            "ge" => Some(Comparison::MoreEqual),
            _ => None,
        };
        let Some(how) = by_sign.or_else(by_word) else { return Comparison::Implied };
        self.cursor.advance();
        how
    }

    fn write(&mut self, draft: &mut Draft, left: &Expression<'a>) -> Read {
        let Expression::Field(key) = left.bare() else {
            return syntax("only a field can be set", "只有字段可以赋值");
        };
        let mut new = self.class_or(Self::mapped)?;
        // `ct event set new,related`
        if self.cursor.is(Sign::Comma) {
            let mut values = vec![new];
            while self.cursor.accept(Sign::Comma) {
                values.push(self.concatenation(false)?);
            }
            new = Expression::List(values);
        }
        Ok(draft.write(*key, &new)?)
    }

    /// Notes that a rule hands its packet to what decides outside of the rules.
    pub(super) fn stolen(draft: &mut Draft, by: &str) {
        draft.parts.push(Part::Verdict(Verdict::Stolen(by.to_owned())));
    }
}

/// A rule's text, control characters as blanks, cut after 200 characters.
pub(in crate::netfilter::nft) fn rule_text(text: &str) -> String {
    let text = text.trim_end();
    if text.len() <= 200 && !text.bytes().any(|byte| byte.is_ascii_control() || byte >= 0x80) {
        return text.to_owned();
    }
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let mut cut = place::excerpt(&text[..end]);
    cut.shrink_to_fit();
    cut
}

/// What a file does that this reader leaves alone.
pub(super) const NOT_READ: Why = Why("a command that changes no rules that can be read", "不改变可读规则的命令");
