//! The place in a text where reading is at.

use crate::netfilter::nft::draft::Why;
use crate::netfilter::nft::lexer::{Lexer, Sign, Token};

/// Why reading stops.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// The text is not nft's language here.
    Syntax(Why),
    /// It is, and cannot be modelled.
    Meaning(Why),
}

impl From<Why> for Fault {
    fn from(why: Why) -> Fault {
        Fault::Meaning(why)
    }
}

pub(super) type Read<T = ()> = Result<T, Fault>;

pub(super) const fn syntax<T>(en: &'static str, zh: &'static str) -> Read<T> {
    Err(Fault::Syntax(Why(en, zh)))
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub text: &'a str,
    lexer: Lexer<'a>,
    /// The token at hand.
    pub token: Token,
    /// Where the token before it ended.
    pub last_end: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Cursor<'a> {
        let mut lexer = Lexer::new(text);
        let token = lexer.next();
        Cursor { text, lexer, token, last_end: 0 }
    }

    pub fn advance(&mut self) {
        self.last_end = self.token.end;
        self.token = self.lexer.next();
    }

    /// What the token says.
    pub fn slice(&self) -> &'a str {
        &self.text[self.token.start..self.token.end]
    }

    pub fn is(&self, kind: Sign) -> bool {
        self.token.kind == kind
    }

    pub fn at_end(&self) -> bool {
        matches!(self.token.kind, Sign::NewLine | Sign::Semicolon | Sign::Close | Sign::End)
    }

    /// The word at hand; nothing when it is in quotes or a sign.
    pub fn peek_word(&self) -> &'a str {
        if self.token.kind == Sign::Word { self.slice() } else { "" }
    }

    /// What comes behind the token at hand.
    pub fn peek_second(&self) -> (Sign, &'a str) {
        let mut lexer = self.lexer;
        let token = lexer.next();
        (token.kind, &self.text[token.start..token.end])
    }

    pub fn accept(&mut self, kind: Sign) -> bool {
        let there = self.token.kind == kind;
        if there {
            self.advance();
        }
        there
    }

    pub fn accept_word(&mut self, word: &str) -> bool {
        let there = self.token.kind == Sign::Word && self.slice() == word;
        if there {
            self.advance();
        }
        there
    }

    pub fn expect(&mut self, kind: Sign) -> Read {
        if self.accept(kind) {
            return Ok(());
        }
        match kind {
            Sign::Open => syntax("an opening brace is missing here", "此处缺少左花括号"),
            Sign::Close => syntax("a closing brace is missing here", "此处缺少右花括号"),
            Sign::RoundClose => syntax("a closing bracket is missing here", "此处缺少右括号"),
            Sign::Colon => syntax("a colon is missing here", "此处缺少冒号"),
            Sign::Equal => syntax("an equals sign is missing here", "此处缺少等号"),
            _ => syntax("something else is missing here", "此处缺少其他内容"),
        }
    }

    /// A word, in quotes or not.
    pub fn word(&mut self) -> Read<&'a str> {
        if !matches!(self.token.kind, Sign::Word | Sign::Quoted) {
            return syntax("a word is missing here", "此处缺少一个词");
        }
        let word = self.slice();
        self.advance();
        Ok(word)
    }

    /// A name: words with slashes between them, too.
    pub fn name(&mut self) -> Read<&'a str> {
        let start = self.token.start;
        let quoted = self.is(Sign::Quoted);
        let mut name = self.word()?;
        while !quoted && self.is(Sign::Slash) && self.token.start == self.last_end {
            self.advance();
            if !self.is(Sign::Word) || self.token.start != self.last_end {
                break;
            }
            self.advance();
            name = &self.text[start..self.last_end];
        }
        Ok(name)
    }

    pub fn integer(&mut self) -> Read<u64> {
        let value = crate::netfilter::nft::kind::number(self.peek_word());
        let Some(value) = value.and_then(|value| u64::try_from(value).ok()) else {
            return syntax("a number is missing here", "此处缺少一个数字");
        };
        self.advance();
        Ok(value)
    }

    pub fn skip_newlines(&mut self) {
        while self.is(Sign::NewLine) {
            self.advance();
        }
    }

    /// Empty statements.
    pub fn skip_separators(&mut self) {
        while matches!(self.token.kind, Sign::NewLine | Sign::Semicolon) {
            self.advance();
        }
    }

    /// Goes to where the next statement begins: behind `;` or the end of the line, with braces in between closed,
    /// or to the brace that closes the block.
    ///
    /// `opened` says how many braces of sets the statement has opened so far.
    pub fn skip_statement(&mut self, opened: usize) {
        let mut open = opened;
        loop {
            match self.token.kind {
                Sign::End => return,
                Sign::Open => open += 1,
                Sign::Close if open == 0 => return,
                Sign::Close => open -= 1,
                Sign::Semicolon if open == 0 => return,
                Sign::NewLine if open == 0 => return,
                // A brace alone on its line closes the block, and not a set whose own brace is missing.
                Sign::NewLine if open <= opened && matches!(self.peek_second().0, Sign::Close) => {
                    let mut ahead = *self;
                    ahead.advance();
                    ahead.advance();
                    if matches!(ahead.token.kind, Sign::NewLine | Sign::End) {
                        return;
                    }
                }
                _ => {}
            }
            self.advance();
        }
    }
}
