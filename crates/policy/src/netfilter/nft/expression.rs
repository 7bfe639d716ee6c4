//! What a rule's text or JSON says before its meaning is worked out: the same for both.

use super::field::Key;
use std::rc::Rc;

#[derive(Debug, Clone)]
pub(super) enum Expression<'a> {
    /// A field of the packet, connection or machine.
    Field(Key),
    /// A name, number or address.
    Word(&'a str),
    /// In quotes: never a number's name.
    Quoted(&'a str),
    Number(u128),
    /// `*`: whatever no other element has.
    Any,
    Range(Box<(Expression<'a>, Expression<'a>)>),
    Prefix(Box<Expression<'a>>, u32),
    Binary(Operator, Box<(Expression<'a>, Expression<'a>)>),
    /// `a . b`.
    Chain(Vec<Expression<'a>>),
    /// `a, b`.
    List(Vec<Expression<'a>>),
    Set(Vec<Item<'a>>),
    /// `@name`.
    Named(&'a str),
    /// `key map { … }`.
    Map(Box<(Expression<'a>, Expression<'a>)>),
    Verdict(crate::netfilter::ast::Verdict),
    /// The value of a variable.
    Shared(Rc<Expression<'a>>),
}

/// An element of a set as written.
#[derive(Debug, Clone)]
pub(super) struct Item<'a> {
    pub key: Expression<'a>,
    pub data: Option<Expression<'a>>,
    pub timeout_s: Option<u64>,
    /// A limit, quota or count of its own decides beside it.
    pub decides: bool,
    pub line: u32,
}

impl<'a> Item<'a> {
    pub fn of(key: Expression<'a>) -> Item<'a> {
        Item { key, data: None, timeout_s: None, decides: false, line: 0 }
    }

    /// Whether it is nothing but one value.
    pub fn is_plain(&self) -> bool {
        self.data.is_none() && self.timeout_s.is_none() && !matches!(self.key.bare(), Expression::Any)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    And,
    Or,
    Xor,
    Left,
    Right,
}

/// How the two sides of a match are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Nothing written: equal, or for flags one bit at least.
    Implied,
    Equal,
    NotEqual,
    /// `!`: none of these bits.
    NoBit,
    Less,
    LessEqual,
    More,
    MoreEqual,
}

impl<'a> Expression<'a> {
    /// What it is, behind variables.
    pub fn bare(&self) -> &Expression<'a> {
        let mut inner = self;
        while let Expression::Shared(value) = inner {
            inner = value;
        }
        inner
    }

    /// The word or text it is.
    pub fn word(&self) -> Option<&'a str> {
        match self.bare() {
            Expression::Word(word) | Expression::Quoted(word) => Some(word),
            _ => None,
        }
    }

    pub fn range(first: Expression<'a>, last: Expression<'a>) -> Expression<'a> {
        Expression::Range(Box::new((first, last)))
    }
}
