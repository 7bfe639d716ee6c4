//! Blocks: `table … { … }`, and the chains and sets in it.

use super::Parser;
use super::cursor::{Fault, Read, syntax};
use crate::netfilter::ast::{Base, ChainKind, Hook, Part, Policy, Rule, Set, TableFamily};
use crate::netfilter::nft::build::{ChainId, Spot, TableId};
use crate::netfilter::nft::draft::{LIMITED, NO_VALUE, Types, Why};
use crate::netfilter::nft::expression::Expression;
use crate::netfilter::nft::hook;
use crate::netfilter::nft::kind::{self, Kind};
use crate::netfilter::nft::lexer::Sign;
use crate::place::{self, Place};
use std::sync::Arc;

/// How many fields a set's key may have.
const KEY_FIELD_COUNT_MAX: usize = 16;

impl<'a> Parser<'a> {
    /// Reads the statements of a block, to its closing brace.
    pub(super) fn block(&mut self, mut statement: impl FnMut(&mut Self) -> Read) -> Read {
        self.cursor.expect(Sign::Open)?;
        let defined = self.shadowed.len();
        loop {
            self.cursor.skip_separators();
            if self.cursor.accept(Sign::Close) {
                break;
            }
            if self.cursor.is(Sign::End) {
                self.report(self.cursor.token, Why("a closing brace is missing here", "此处缺少右花括号"));
                break;
            }
            let start = self.cursor.token;
            match self.definition() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(fault) => {
                    self.skip_fault(start, fault);
                    continue;
                }
            }
            if let Err(fault) = statement(self) {
                self.skip_fault(start, fault);
            }
            // Nothing was taken: go on behind it, so that reading ends.
            if self.cursor.token.start == start.start && !self.cursor.is(Sign::Close) {
                self.cursor.advance();
            }
        }
        self.forget(defined);
        Ok(())
    }

    /// The inside of a table.
    pub(super) fn table_block(&mut self, table: TableId) -> Read {
        self.family = self.builder.family(table);
        self.block(|parser| parser.table_statement(table))
    }

    fn table_statement(&mut self, table: TableId) -> Read {
        let place = self.here();
        match self.cursor.peek_word() {
            "flags" => {
                self.cursor.advance();
                let words = self.flag_words()?;
                self.builder.set_dormant(table, words.contains(&"dormant"));
                self.end_of_statement()
            }
            "comment" => {
                self.cursor.advance();
                self.cursor.word()?;
                self.end_of_statement()
            }
            "chain" => {
                self.cursor.advance();
                let name = self.chain_name()?;
                let chain = self.builder.chain(table, name, &place);
                self.chain_block(chain)
            }
            word @ ("set" | "map") => {
                self.cursor.advance();
                let name = self.cursor.name()?;
                self.set_block(table, name, word == "map", place)
            }
            "include" => self.include(),
            _ => self.object_block(table),
        }
    }

    pub(super) fn flag_words(&mut self) -> Read<Vec<&'a str>> {
        let mut words = vec![self.cursor.word()?];
        while self.cursor.accept(Sign::Comma) {
            words.push(self.cursor.word()?);
        }
        Ok(words)
    }

    /// The inside of a chain. One that cannot be read at all holds an unknown rule, so that nobody takes it for empty.
    pub(super) fn chain_block(&mut self, chain: ChainId) -> Read {
        if !self.cursor.is(Sign::Open) {
            let rule = Rule {
                number: 0,
                place: self.here(),
                text: String::new(),
                comment: None,
                parts: vec![Part::Unknown {
                    text: String::new(),
                    why: place::both("the inside of this chain was not read", "未读取此链的内容"),
                }],
            };
            self.builder.rule(chain, rule, Spot::Last);
        }
        self.block(|parser| match parser.cursor.peek_word() {
            "type" | "policy" | "flags" | "comment" | "devices" => parser.chain_statement(chain),
            "include" => parser.include(),
            _ => {
                let rule = parser.rule();
                parser.builder.rule(chain, rule, Spot::Last);
                Ok(())
            }
        })
    }

    /// What a chain says of itself: `type filter hook input priority 0`, `policy drop`.
    pub(super) fn chain_statement(&mut self, chain: ChainId) -> Read {
        match self.cursor.word()? {
            "type" => {
                let new = self.base()?;
                self.builder.base(chain, |base| {
                    let policy = base.as_ref().map_or(Policy::Accept, |base| base.policy);
                    *base = Some(Base { policy, ..new });
                });
            }
            "policy" => {
                let policy = match self.chain_name()? {
                    "accept" => Policy::Accept,
                    "drop" => Policy::Drop,
                    _ => return syntax("a policy is accept or drop", "策略只能是 accept 或 drop"),
                };
                self.builder.base(chain, |base| {
                    if let Some(base) = base {
                        base.policy = policy;
                    }
                });
            }
            "devices" => {
                let devices = self.devices()?;
                self.builder.base(chain, |base| {
                    if let Some(base) = base {
                        base.devices = devices;
                    }
                });
            }
            "flags" => drop(self.flag_words()?),
            _ => drop(self.cursor.word()?),
        }
        self.end_of_statement()
    }

    fn base(&mut self) -> Read<Base> {
        let kind = match self.cursor.word()? {
            "filter" => ChainKind::Filter,
            "nat" => ChainKind::Nat,
            "route" => ChainKind::Route,
            _ => {
                return syntax(
                    "a chain is of type filter, nat or route",
                    "链类型只能是 filter、nat 或 route",
                );
            }
        };
        if !self.cursor.accept_word("hook") {
            return syntax("the hook is missing here", "此处缺少 hook");
        }
        let hook = self.cursor.word()?;
        let Some(hook) = hook::hook(hook) else {
            return syntax("a hook of this name is not known", "未知的 hook");
        };
        let mut devices = Vec::new();
        match self.cursor.peek_word() {
            "device" => {
                self.cursor.advance();
                devices.push(self.chain_name()?.to_owned());
            }
            "devices" => {
                self.cursor.advance();
                devices = self.devices()?;
            }
            _ => {}
        }
        let priority = self.priority(hook)?;
        Ok(Base { kind, hook, priority, policy: Policy::Accept, devices })
    }

    /// `= { eth0, eth1 }`.
    fn devices(&mut self) -> Read<Vec<String>> {
        self.cursor.expect(Sign::Equal)?;
        let set = if self.cursor.is(Sign::Dollar) { self.variable()? } else { self.set()? };
        let types = Types::of([(Kind::Name, 128)]);
        let elements = self.builder.interner.elements(&set, &types, &Types::none())?;
        Ok(elements.iter().flat_map(|element| &element.spans).filter_map(hook::device).collect())
    }

    /// `priority filter - 10`, also with the name or all of it in a variable.
    pub(super) fn priority(&mut self, hook: Hook) -> Read<i32> {
        if !self.cursor.accept_word("priority") {
            return syntax("the priority is missing here", "此处缺少 priority");
        }
        let sum = match self.cursor.token.kind {
            Sign::Dash => 0,
            Sign::Dollar => {
                let value = self.variable()?;
                self.priority_word(hook, value.word().unwrap_or_default())?
            }
            _ => {
                let word = self.cursor.word()?;
                self.priority_word(hook, word)?
            }
        };
        let sign = match self.cursor.token.kind {
            Sign::Dash => -1,
            Sign::Plus => 1,
            _ => return Ok(sum),
        };
        self.cursor.advance();
        let by = i32::try_from(self.cursor.integer()?).unwrap_or(i32::MAX);
        Ok(sum.saturating_add(by.saturating_mul(sign)))
    }

    fn priority_word(&self, hook: Hook, word: &str) -> Read<i32> {
        match hook::priority(self.family, hook, word) {
            Some(priority) => Ok(priority),
            None => syntax("a priority of this name is not known", "未知的优先级名称"),
        }
    }

    /// The inside of a set or map.
    pub(super) fn set_block(&mut self, table: TableId, name: &str, is_map: bool, place: Place) -> Read {
        let mut draft = SetDraft {
            set: Set {
                name: name.to_owned(),
                key: Vec::new(),
                data: Vec::new(),
                is_map,
                dynamic: false,
                elements: Arc::default(),
                members: Vec::new(),
                place,
            },
            key: Types::none(),
            data: Types::none(),
            written: None,
        };
        self.block(|parser| parser.set_statement(&mut draft))?;
        self.finish_set(table, draft)
    }

    fn set_statement(&mut self, draft: &mut SetDraft<'a>) -> Read {
        match self.cursor.peek_word() {
            word @ ("type" | "typeof") => {
                self.cursor.advance();
                let by_example = word == "typeof";
                (draft.key, draft.set.key) = self.set_types(by_example)?;
                if self.cursor.accept(Sign::Colon) {
                    // `: interval ipv4_addr` only says that the data may be ranges.
                    self.cursor.accept_word("interval");
                    (draft.data, draft.set.data) = self.set_types(by_example)?;
                }
            }
            "flags" => {
                self.cursor.advance();
                let words = self.flag_words()?;
                draft.set.dynamic |= words.iter().any(|word| matches!(*word, "dynamic" | "timeout"));
            }
            "elements" => {
                self.cursor.advance();
                self.cursor.expect(Sign::Equal)?;
                draft.written =
                    Some(if self.cursor.is(Sign::Dollar) { self.variable()? } else { self.set()? });
            }
            "timeout" => {
                draft.set.dynamic = true;
                self.cursor.advance();
                self.cursor.word()?;
            }
            "gc-interval" | "size" | "policy" | "comment" => {
                self.cursor.advance();
                self.cursor.word()?;
            }
            "auto-merge" => self.cursor.advance(),
            "counter" => self.counter_values()?,
            "last" => self.last_used()?,
            "limit" | "quota" | "ct" => drop(self.stateful()?),
            _ => return syntax("a set has no such property", "集合没有这种属性"),
        }
        // `counter quota 500 bytes` stands on one line.
        if self.cursor.at_end() { self.end_of_statement() } else { Ok(()) }
    }

    fn finish_set(&mut self, table: TableId, draft: SetDraft<'a>) -> Read {
        let SetDraft { mut set, key, data, written } = draft;
        let outcome = match &written {
            Some(written) if !key.fields.is_empty() => {
                match self.builder.interner.elements(written, &key, &data) {
                    Ok(elements) => {
                        set.elements = Arc::new(elements);
                        // What rules add at run time has its limit from them, and is not only looked up.
                        let limited = self.builder.interner.limited && !set.dynamic;
                        if limited { Err(Fault::Meaning(LIMITED)) } else { Ok(()) }
                    }
                    Err(why) => Err(Fault::Meaning(why)),
                }
            }
            _ => Ok(()),
        };
        // What it holds is then not known.
        set.dynamic |= outcome.is_err();
        self.builder.set(table, set);
        outcome
    }

    /// Fields of a key or of a map's data: names of types, or fields as examples.
    fn set_types(&mut self, by_example: bool) -> Read<(Types, Vec<String>)> {
        let (mut types, mut names) = (Types::none(), Vec::new());
        loop {
            if types.fields.len() >= KEY_FIELD_COUNT_MAX {
                return syntax("more than 16 fields in a key", "键超过 16 个字段");
            }
            let (kind, bits) = if by_example {
                if self.cursor.accept_word("verdict") {
                    (Kind::Verdict, 0)
                } else {
                    let example = self.example()?;
                    (example.0, example.1)
                }
            } else {
                let word = self.cursor.word()?;
                if matches!(word, "counter" | "quota" | "limit" | "ct" | "synproxy" | "secmark") {
                    if word == "ct" {
                        self.cursor.word()?;
                    }
                    (Kind::Name, 128)
                } else {
                    let Some(kind) = Kind::of_name(word) else { return Err(NO_VALUE.into()) };
                    (kind, kind.bits())
                }
            };
            types.fields.push((kind, bits));
            names.push(kind.name().to_owned());
            if !self.cursor.accept(Sign::Dot) {
                return Ok((types, names));
            }
        }
    }

    /// The type of a field that stands for others of its type.
    fn example(&mut self) -> Read<(Kind, u16)> {
        let mut expression = self.single(true)?;
        while let Expression::Binary(_, both) = expression {
            expression = both.0;
        }
        match expression.bare() {
            Expression::Field(key) => Ok((key.kind, key.bits)),
            _ => syntax("this is no field that can be compared", "这不是可以比较的字段"),
        }
    }

    /// Elements that a command adds or deletes.
    pub(super) fn elements_for(
        &mut self,
        table: TableId,
        name: &str,
        set: &Expression<'a>,
        with_data: bool,
    ) -> Read<Vec<crate::netfilter::ast::Element>> {
        let Some(known) = self.builder.find_set(table, name) else {
            return Err(Fault::Meaning(Why(
                "no set of this name is in the file",
                "文件中没有这个名称的集合",
            )));
        };
        let key = Types::named(&known.key);
        let data = if with_data { Types::named(&known.data) } else { Types::none() };
        Ok(self.builder.interner.elements(set, &key, &data)?)
    }

    pub(super) fn family_word(&mut self) -> Option<TableFamily> {
        let family = hook::family(self.cursor.peek_word())?;
        self.cursor.advance();
        Some(family)
    }

    /// `last`, `last used 10s`, `last used never`.
    pub(super) fn last_used(&mut self) -> Read {
        self.cursor.advance();
        if self.cursor.accept_word("used") {
            self.cursor.word()?;
        }
        Ok(())
    }

    /// `counter`, `counter packets 1 bytes 2`.
    pub(super) fn counter_values(&mut self) -> Read {
        self.cursor.advance();
        if self.cursor.accept_word("packets") {
            self.cursor.integer()?;
            if self.cursor.accept_word("bytes") {
                self.cursor.integer()?;
            }
        }
        Ok(())
    }

    /// A length of time.
    pub(super) fn seconds(&mut self) -> Read<u64> {
        let word = self.cursor.word()?;
        Ok(kind::seconds(word).ok_or(NO_VALUE)?)
    }
}

struct SetDraft<'a> {
    set: Set,
    key: Types,
    data: Types,
    /// What it holds, until its types are known.
    written: Option<Expression<'a>>,
}
