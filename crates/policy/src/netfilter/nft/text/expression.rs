//! Expressions: constants, fields, operations, sets.

use super::Parser;
use super::cursor::{Fault, Read, syntax};
use crate::netfilter::ast::Verdict;
use crate::netfilter::nft::draft::{NO_VALUE, Why};
use crate::netfilter::nft::expression::{Expression, Item, Operator};
use crate::netfilter::nft::kind;
use crate::netfilter::nft::lexer::Sign;
use std::rc::Rc;

/// How deep brackets and braces may be nested, values of variables counted in.
pub(super) const NESTING_MAX: usize = 32;
/// How many elements one set may have as written.
const ITEM_COUNT_MAX: usize = 4_000_000;

const TOO_DEEP: Why = Why("nested deeper than 32 levels", "嵌套超过 32 层");

/// Operators with words and signs, from loosest to tightest.
const OPERATORS: [&[(Sign, &str, Operator)]; 4] = [
    &[(Sign::Or, "or", Operator::Or)],
    &[(Sign::Xor, "xor", Operator::Xor)],
    &[(Sign::And, "and", Operator::And)],
    &[(Sign::ShiftLeft, "lshift", Operator::Left), (Sign::ShiftRight, "rshift", Operator::Right)],
];

impl<'a> Parser<'a> {
    /// Runs a reading one level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= NESTING_MAX {
            return Err(Fault::Syntax(TOO_DEEP));
        }
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// `a . b`, each an operation or a range; `fields` says whether words may be fields of a packet.
    pub(super) fn concatenation(&mut self, fields: bool) -> Read<Expression<'a>> {
        let first = self.range(fields)?;
        if !self.cursor.is(Sign::Dot) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.cursor.accept(Sign::Dot) {
            parts.push(self.range(fields)?);
        }
        Ok(Expression::Chain(parts))
    }

    /// `a map { … }` besides.
    pub(super) fn mapped(&mut self) -> Read<Expression<'a>> {
        let key = self.concatenation(true)?;
        if !self.cursor.accept_word("map") {
            return Ok(key);
        }
        let set = self.set_or_name()?;
        Ok(Expression::Map(Box::new((key, set))))
    }

    fn range(&mut self, fields: bool) -> Read<Expression<'a>> {
        let first = self.operation(fields, 0)?;
        if !self.cursor.accept(Sign::Dash) {
            return Ok(first);
        }
        let last = self.operation(fields, 0)?;
        Ok(Expression::range(first, last))
    }

    pub(super) fn operation(&mut self, fields: bool, level: usize) -> Read<Expression<'a>> {
        let Some(operators) = OPERATORS.get(level) else { return self.primary(fields) };
        let mut left = self.operation(fields, level + 1)?;
        let mut count = 0;
        loop {
            let found = operators.iter().find(|(sign, word, _)| {
                self.cursor.is(*sign) || (self.cursor.is(Sign::Word) && self.cursor.slice() == *word)
            });
            let Some((_, _, operator)) = found else { return Ok(left) };
            self.cursor.advance();
            let right = self.operation(fields, level + 1)?;
            left = Expression::Binary(*operator, Box::new((left, right)));
            count += 1;
            if count > NESTING_MAX {
                return Err(Fault::Syntax(TOO_DEEP));
            }
            self.deepest = self.deepest.max(self.depth + count);
        }
    }

    fn primary(&mut self, fields: bool) -> Read<Expression<'a>> {
        match self.cursor.token.kind {
            Sign::Word => {
                if fields && let Some(key) = self.field()? {
                    return Ok(Expression::Field(key));
                }
                let word = Expression::Word(self.cursor.slice());
                self.cursor.advance();
                self.prefix(word)
            }
            Sign::Quoted => {
                let text = Expression::Quoted(self.cursor.slice());
                self.cursor.advance();
                Ok(text)
            }
            Sign::Dollar => {
                let value = self.variable()?;
                self.prefix(value)
            }
            Sign::RoundOpen => self.deeper(|parser| {
                parser.cursor.advance();
                let inner = parser.listed(fields)?;
                parser.cursor.expect(Sign::RoundClose)?;
                Ok(inner)
            }),
            Sign::SquareOpen => {
                self.cursor.advance();
                let word = Expression::Word(self.cursor.word()?);
                self.cursor.expect(Sign::SquareClose)?;
                Ok(word)
            }
            Sign::Star => {
                self.cursor.advance();
                Ok(Expression::Any)
            }
            Sign::Open => self.set(),
            Sign::At if fields => match self.raw_field()? {
                Some(key) => Ok(Expression::Field(key)),
                None => syntax("a field or value is missing here", "此处缺少字段或值"),
            },
            _ => syntax("a field or value is missing here", "此处缺少字段或值"),
        }
    }

    /// `10.0.0.0/8`; what else stands behind a slash is left.
    fn prefix(&mut self, base: Expression<'a>) -> Read<Expression<'a>> {
        if !self.cursor.is(Sign::Slash) {
            return Ok(base);
        }
        let (Sign::Word, word) = self.cursor.peek_second() else { return Ok(base) };
        let Some(length) = kind::number(word).and_then(|length| u32::try_from(length).ok()) else {
            return Ok(base);
        };
        self.cursor.advance();
        self.cursor.advance();
        Ok(Expression::Prefix(Box::new(base), length))
    }

    /// `$name`.
    pub(super) fn variable(&mut self) -> Read<Expression<'a>> {
        self.cursor.advance();
        if !self.cursor.is(Sign::Word) {
            return syntax("a variable's name is missing here", "此处缺少变量名");
        }
        let Some((value, depth)) = self.variables.get(self.cursor.slice()) else {
            return syntax("a variable that is not defined", "未定义的变量");
        };
        let (value, depth) = (Rc::clone(value), *depth);
        if self.depth + depth >= NESTING_MAX {
            return Err(Fault::Syntax(TOO_DEEP));
        }
        self.deepest = self.deepest.max(self.depth + depth);
        self.cursor.advance();
        Ok(Expression::Shared(value))
    }

    /// `a, b`; one value alone is itself.
    pub(super) fn listed(&mut self, fields: bool) -> Read<Expression<'a>> {
        let first = self.concatenation(fields)?;
        if !self.cursor.is(Sign::Comma) {
            return Ok(first);
        }
        let mut values = vec![first];
        while self.cursor.accept(Sign::Comma) {
            self.cursor.skip_newlines();
            if values.len() >= ITEM_COUNT_MAX {
                return syntax("a list of more than 4 million values", "列表超过 400 万个值");
            }
            values.push(self.concatenation(fields)?);
        }
        Ok(Expression::List(values))
    }

    /// `{ … }`, `@name` or a variable that holds either.
    pub(super) fn set_or_name(&mut self) -> Read<Expression<'a>> {
        match self.cursor.token.kind {
            Sign::Open => self.set(),
            Sign::Dollar => self.variable(),
            Sign::At => {
                self.cursor.advance();
                Ok(Expression::Named(self.cursor.name()?))
            }
            _ => syntax("a set is missing here", "此处缺少集合"),
        }
    }

    pub(super) fn set(&mut self) -> Read<Expression<'a>> {
        self.deeper(|parser| {
            parser.cursor.expect(Sign::Open)?;
            parser.braces += 1;
            let mut items = Vec::new();
            loop {
                parser.cursor.skip_newlines();
                if parser.cursor.accept(Sign::Close) {
                    break;
                }
                if items.len() >= ITEM_COUNT_MAX {
                    return syntax("a set of more than 4 million elements", "集合元素超过 400 万个");
                }
                items.push(parser.item()?);
                parser.cursor.skip_newlines();
                if !parser.cursor.accept(Sign::Comma) {
                    if !parser.cursor.is(Sign::Close) {
                        return syntax("a comma or a closing brace is missing here", "此处缺少逗号或右花括号");
                    }
                    parser.cursor.advance();
                    break;
                }
            }
            parser.braces -= 1;
            items.shrink_to_fit();
            Ok(Expression::Set(items))
        })
    }

    fn item(&mut self) -> Read<Item<'a>> {
        let line = self.cursor.token.line;
        let key = self.concatenation(false)?;
        let mut item = Item { key, data: None, timeout_s: None, decides: false, line };
        self.item_options(&mut item)?;
        self.cursor.skip_newlines();
        if self.cursor.accept(Sign::Colon) {
            self.cursor.skip_newlines();
            item.data = Some(self.datum()?);
            self.item_options(&mut item)?;
        }
        Ok(item)
    }

    /// What stands beside an element: when it goes away, counters, a comment.
    fn item_options(&mut self, item: &mut Item<'a>) -> Read {
        loop {
            match self.cursor.peek_word() {
                "timeout" => {
                    self.cursor.advance();
                    let word = self.cursor.word()?;
                    item.timeout_s = Some(kind::seconds(word).ok_or(NO_VALUE)?);
                }
                "expires" | "comment" => {
                    self.cursor.advance();
                    self.cursor.word()?;
                }
                "counter" => self.counter_values()?,
                "last" => self.last_used()?,
                "limit" | "quota" | "ct" => {
                    item.decides = true;
                    self.stateful()?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// What a map gives: a verdict, or values.
    fn datum(&mut self) -> Read<Expression<'a>> {
        if let Some(verdict) = self.plain_verdict()? {
            return Ok(Expression::Verdict(verdict));
        }
        self.class_or(|parser| parser.concatenation(false))
    }

    /// `1:2`, a class of traffic control; or else what is read otherwise.
    pub(super) fn class_or(
        &mut self,
        read: impl FnOnce(&mut Self) -> Read<Expression<'a>>,
    ) -> Read<Expression<'a>> {
        let start = self.cursor.token;
        let mut ahead = self.cursor;
        ahead.advance();
        if start.kind != Sign::Word || !ahead.is(Sign::Colon) || ahead.token.start != start.end {
            return read(self);
        }
        ahead.advance();
        if !ahead.is(Sign::Word) || ahead.token.start != start.end + 1 {
            return read(self);
        }
        ahead.advance();
        self.cursor = ahead;
        Ok(Expression::Word(&self.cursor.text[start.start..self.cursor.last_end]))
    }

    /// A verdict that a map can give.
    pub(super) fn plain_verdict(&mut self) -> Read<Option<Verdict>> {
        let verdict = match self.cursor.peek_word() {
            "accept" => Verdict::Accept,
            "drop" => Verdict::Drop,
            "continue" => Verdict::Continue,
            "return" => Verdict::Return,
            "jump" | "goto" => {
                let goto = self.cursor.peek_word() == "goto";
                self.cursor.advance();
                let chain = self.chain_name()?.to_owned();
                return Ok(Some(if goto { Verdict::Goto(chain) } else { Verdict::Jump(chain) }));
            }
            _ => return Ok(None),
        };
        self.cursor.advance();
        Ok(Some(verdict))
    }

    /// A name that may come from a variable.
    pub(super) fn chain_name(&mut self) -> Read<&'a str> {
        if self.cursor.is(Sign::Dollar) {
            let value = self.variable()?;
            return match value.word() {
                Some(name) => Ok(name),
                None => syntax("a variable that holds no name", "变量的值不是名称"),
            };
        }
        self.cursor.name()
    }
}
