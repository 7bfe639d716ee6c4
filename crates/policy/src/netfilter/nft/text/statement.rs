//! Statements that begin with a word of their own.

use super::Parser;
use super::cursor::{Read, syntax};
use crate::netfilter::ast::{NatKind, Part, UpdateKind, Verdict};
use crate::netfilter::nft::draft::{Draft, NatText, Rate, Why, bytes_of};
use crate::netfilter::nft::expression::Expression;
use crate::netfilter::nft::lexer::Sign;

impl<'a> Parser<'a> {
    /// Reads such a statement; false when the word begins none.
    pub(super) fn named_statement(&mut self, draft: &mut Draft) -> Read<bool> {
        let word = self.cursor.peek_word();
        match word {
            "counter" => self.counter(draft)?,
            "last" => {
                self.last_used()?;
                draft.parts.push(Part::Aside);
            }
            "log" => self.log(draft)?,
            "limit" | "quota" => self.limiting(draft)?,
            "reject" => self.reject(draft)?,
            "masquerade" => self.nat(draft, NatKind::Masquerade)?,
            "redirect" => self.nat(draft, NatKind::Redirect)?,
            "snat" => self.nat(draft, NatKind::Source)?,
            "dnat" => self.nat(draft, NatKind::Destination)?,
            "queue" => self.queue(draft)?,
            "notrack" => {
                self.cursor.advance();
                draft.parts.push(Part::Notrack);
            }
            "synproxy" if self.cursor.peek_second().1 == "name" => self.named_object(draft)?,
            "tproxy" | "synproxy" | "dup" | "fwd" | "flow" => self.taking(draft)?,
            "add" | "update" | "delete" => self.update(draft)?,
            "set" | "map" => self.update_before(draft)?,
            "meter" => self.meter(draft)?,
            "xt" => self.foreign(draft)?,
            "reset" => self.reset(draft)?,
            "ct" => return self.connection_statement(draft),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A counter decides nothing and stands in most rules: it takes no part of its own.
    fn counter(&mut self, draft: &mut Draft) -> Read {
        if self.cursor.peek_second().1 == "name" {
            return self.named_object(draft);
        }
        self.counter_values()
    }

    /// `limit name "x"`, `counter name tcp dport map { … }`.
    fn named_object(&mut self, draft: &mut Draft) -> Read {
        let kind = self.cursor.word()?;
        self.cursor.advance();
        let plain = self.cursor.is(Sign::Quoted)
            || matches!(self.cursor.peek_second().0, Sign::NewLine | Sign::Semicolon | Sign::Close | Sign::End);
        if plain {
            let name = self.cursor.word()?;
            return Self::use_object(draft, kind, name);
        }
        let before = self.cursor;
        if self.field()?.is_none() {
            let name = self.cursor.word()?;
            return Self::use_object(draft, kind, name);
        }
        self.cursor = before;
        let Expression::Map(map) = self.mapped()? else {
            return syntax("a map is missing here", "此处缺少映射");
        };
        draft.only_entries(&map.0, &map.1)?;
        match kind {
            "counter" => {}
            "synproxy" => Self::stolen(draft, "synproxy"),
            _ => return Err(Why("a limit from a map is not modelled", "未建模：来自映射的限制").into()),
        }
        Ok(())
    }

    fn use_object(draft: &mut Draft, kind: &str, name: &str) -> Read {
        match kind {
            "counter" => {}
            "synproxy" => Self::stolen(draft, "synproxy"),
            _ => draft.object(kind, name),
        }
        Ok(())
    }

    fn log(&mut self, draft: &mut Draft) -> Read {
        self.cursor.advance();
        loop {
            match self.cursor.peek_word() {
                "prefix" | "group" | "snaplen" | "queue-threshold" | "level" => {
                    self.cursor.advance();
                    if self.cursor.is(Sign::Dollar) {
                        self.variable()?;
                    } else {
                        self.cursor.word()?;
                    }
                }
                "flags" => {
                    self.cursor.advance();
                    if matches!(self.cursor.word()?, "tcp" | "ip") {
                        self.flag_words()?;
                    }
                }
                _ => break,
            }
        }
        draft.parts.push(Part::Aside);
        Ok(())
    }

    /// `limit rate …`, `quota …`, or either by name.
    fn limiting(&mut self, draft: &mut Draft) -> Read {
        if self.cursor.peek_second().1 == "name" {
            return self.named_object(draft);
        }
        draft.parts.push(self.stateful()?);
        Ok(())
    }

    /// A limit, quota or count of connections.
    pub(super) fn stateful(&mut self) -> Read<Part> {
        match self.cursor.word()? {
            "limit" => self.limit(),
            "quota" => self.quota(),
            "ct" if self.cursor.accept_word("count") => {
                let over = self.cursor.accept_word("over");
                let count = self.cursor.integer()?;
                Ok(Part::Connections { count, over })
            }
            _ => syntax("a limit is missing here", "此处缺少限制"),
        }
    }

    pub(super) fn limit(&mut self) -> Read<Part> {
        if !self.cursor.accept_word("rate") {
            return syntax("the rate is missing here", "此处缺少 rate");
        }
        let over = self.cursor.accept_word("over");
        if !over {
            self.cursor.accept_word("until");
        }
        let count = self.cursor.integer()?;
        let unit = if self.cursor.is(Sign::Word) { self.cursor.word()? } else { "" };
        if !self.cursor.accept(Sign::Slash) {
            return syntax("a slash and a unit of time are missing here", "此处缺少斜线和时间单位");
        }
        let per = self.cursor.word()?;
        let mut burst = None;
        if self.cursor.accept_word("burst") {
            let count = self.cursor.integer()?;
            let known = matches!(self.cursor.peek_word(), "packets" | "bytes" | "kbytes" | "mbytes" | "gbytes");
            burst = Some((count, if known { self.cursor.word()? } else { "" }));
        }
        Ok(Part::Limit(Rate { count, unit, per, burst, over }.limit()?))
    }

    pub(super) fn quota(&mut self) -> Read<Part> {
        let over = self.cursor.accept_word("over");
        if !over {
            self.cursor.accept_word("until");
        }
        let count = self.cursor.integer()?;
        let bytes = count.saturating_mul(bytes_of(self.cursor.word()?)?);
        if self.cursor.accept_word("used") {
            self.cursor.integer()?;
            self.cursor.word()?;
        }
        Ok(Part::Quota { bytes, over })
    }

    /// `reject with icmp type port-unreachable`; the word `type` may be missing.
    fn reject(&mut self, draft: &mut Draft) -> Read {
        self.cursor.advance();
        if !self.cursor.accept_word("with") {
            return Ok(draft.reject("", None)?);
        }
        let kind = self.cursor.word()?;
        if kind == "tcp" {
            self.cursor.accept_word("reset");
            return Ok(draft.reject(kind, None)?);
        }
        self.cursor.accept_word("type");
        let code = self.single(false)?;
        Ok(draft.reject(kind, Some(&code))?)
    }

    /// An expression that is no concatenation.
    pub(super) fn single(&mut self, fields: bool) -> Read<Expression<'a>> {
        self.operation(fields, 0)
    }

    fn nat(&mut self, draft: &mut Draft, kind: NatKind) -> Read {
        self.cursor.advance();
        let mut text = NatText { kind, family: None, address: None, port: None, prefix: false };
        let family = match (self.cursor.peek_word(), self.cursor.peek_second().1) {
            ("ip", "to" | "prefix" | "addr" | "interval") => Some(4),
            ("ip6", "to" | "prefix" | "addr" | "interval") => Some(6),
            _ => None,
        };
        if family.is_some() {
            self.cursor.advance();
            text.family = family;
        }
        // `ip addr . port to …`, as older versions had it.
        let by_type = self.cursor.accept_word("addr") && {
            let with_port = self.cursor.accept(Sign::Dot);
            with_port && self.cursor.accept_word("port")
        };
        self.cursor.accept_word("interval");
        text.prefix = self.cursor.accept_word("prefix");
        let fixed = self.cursor.accept_word("to") || by_type;
        let only_port = matches!(kind, NatKind::Masquerade | NatKind::Redirect);
        if fixed && !self.cursor.is(Sign::Colon) {
            let target = self.mapped()?;
            if only_port { text.port = Some(target) } else { text.address = Some(target) }
        }
        if fixed && self.cursor.accept(Sign::Colon) {
            text.port = Some(self.mapped()?);
        }
        self.nat_flags()?;
        Ok(draft.nat(&text)?)
    }

    fn nat_flags(&mut self) -> Read {
        while matches!(self.cursor.peek_word(), "random" | "persistent" | "fully-random") {
            self.flag_words()?;
        }
        Ok(())
    }

    fn queue(&mut self, draft: &mut Draft) -> Read {
        self.cursor.advance();
        let mut bypass = false;
        loop {
            match self.cursor.peek_word() {
                "flags" => self.cursor.advance(),
                "num" | "to" => {
                    self.cursor.advance();
                    self.mapped()?;
                }
                word @ ("bypass" | "fanout") => {
                    bypass |= word == "bypass";
                    self.cursor.advance();
                    self.cursor.accept(Sign::Comma);
                }
                _ => break,
            }
        }
        draft.parts.push(Part::Verdict(Verdict::Queue { bypass }));
        Ok(())
    }

    /// What takes the packet away, or a copy of it.
    fn taking(&mut self, draft: &mut Draft) -> Read {
        match self.cursor.word()? {
            "tproxy" => self.tproxy(draft),
            "synproxy" => self.synproxy(draft),
            "flow" => {
                self.cursor.word()?;
                self.cursor.expect(Sign::At)?;
                self.cursor.name()?;
                draft.parts.push(Part::Aside);
                Ok(())
            }
            word => {
                // `dup to 10.0.0.1 device "eth0"`, `fwd ip to 10.0.0.1 device "eth0"`.
                if matches!(self.cursor.peek_word(), "ip" | "ip6") {
                    self.cursor.advance();
                }
                if !self.cursor.accept_word("to") {
                    return syntax("the target is missing here", "此处缺少目标");
                }
                self.mapped()?;
                if self.cursor.accept_word("device") {
                    self.mapped()?;
                }
                if word == "fwd" { Self::stolen(draft, "fwd") } else { draft.parts.push(Part::Aside) }
                Ok(())
            }
        }
    }

    fn tproxy(&mut self, draft: &mut Draft) -> Read {
        let family = match self.cursor.peek_word() {
            "ip" => Some(4),
            "ip6" => Some(6),
            _ => None,
        };
        if let Some(family) = family {
            self.cursor.advance();
            draft.require_family(family);
        }
        if !self.cursor.accept_word("to") {
            return syntax("the target is missing here", "此处缺少目标");
        }
        if !self.cursor.is(Sign::Colon) {
            self.mapped()?;
        }
        if self.cursor.accept(Sign::Colon) {
            self.mapped()?;
        }
        Self::stolen(draft, "tproxy");
        Ok(())
    }

    fn synproxy(&mut self, draft: &mut Draft) -> Read {
        self.synproxy_values()?;
        draft.require_transport(6);
        Self::stolen(draft, "synproxy");
        Ok(())
    }

    pub(super) fn synproxy_values(&mut self) -> Read {
        loop {
            match self.cursor.peek_word() {
                "mss" | "wscale" => {
                    self.cursor.advance();
                    self.cursor.integer()?;
                }
                "timestamp" | "sack-perm" => self.cursor.advance(),
                _ => return Ok(()),
            }
        }
    }

    /// `add @set { ip saddr timeout 1m limit rate 1/second }`.
    fn update(&mut self, draft: &mut Draft) -> Read {
        let kind = update_kind(self.cursor.word()?);
        self.cursor.expect(Sign::At)?;
        let set = self.cursor.name()?;
        self.update_key(draft, set, kind)
    }

    fn update_key(&mut self, draft: &mut Draft, set: &str, kind: UpdateKind) -> Read {
        self.cursor.expect(Sign::Open)?;
        self.braces += 1;
        let key = self.concatenation(true)?;
        let mut also = Vec::new();
        loop {
            match self.cursor.peek_word() {
                "timeout" | "expires" => {
                    self.cursor.advance();
                    self.seconds()?;
                }
                "comment" => drop(self.comment()?),
                "counter" => self.counter_values()?,
                "last" => self.last_used()?,
                "limit" | "quota" | "ct" => also.push(self.stateful()?),
                _ if self.cursor.accept(Sign::Colon) => {
                    if self.plain_verdict()?.is_none() {
                        self.concatenation(true)?;
                    }
                }
                _ => break,
            }
        }
        self.cursor.expect(Sign::Close)?;
        self.braces -= 1;
        // What stands behind the key in the set's own statement is tested for each key.
        while matches!(self.cursor.peek_word(), "limit" | "quota") && self.cursor.peek_second().1 != "name" {
            also.push(self.stateful()?);
        }
        Ok(draft.update(set, kind, &key, also)?)
    }

    /// `set add ip saddr @set`, as older versions had it.
    fn update_before(&mut self, draft: &mut Draft) -> Read {
        self.cursor.advance();
        let kind = update_kind(self.cursor.word()?);
        let key = self.concatenation(true)?;
        if self.cursor.accept_word("timeout") {
            self.seconds()?;
        }
        if self.cursor.accept(Sign::Colon) {
            self.concatenation(true)?;
        }
        self.cursor.expect(Sign::At)?;
        let set = self.cursor.name()?;
        Ok(draft.update(set, kind, &key, Vec::new())?)
    }

    /// `meter name size 10 { ip saddr limit rate 1/second }`.
    fn meter(&mut self, draft: &mut Draft) -> Read {
        self.cursor.advance();
        let name = self.cursor.name()?;
        if self.cursor.accept_word("size") {
            self.cursor.integer()?;
        }
        self.cursor.expect(Sign::Open)?;
        self.braces += 1;
        let key = self.concatenation(true)?;
        if self.cursor.accept_word("timeout") {
            self.seconds()?;
        }
        let also = self.beside(|parser, draft| parser.limiting(draft))?;
        self.cursor.expect(Sign::Close)?;
        self.braces -= 1;
        Ok(draft.update(name, UpdateKind::Add, &key, also)?)
    }

    /// `xt match "comment"`: an extension of iptables, whose options nft does not print.
    fn foreign(&mut self, draft: &mut Draft) -> Read {
        self.cursor.advance();
        self.cursor.word()?;
        let name = self.cursor.word()?;
        Ok(draft.foreign(name)?)
    }

    /// `reset tcp option sack-perm`.
    fn reset(&mut self, draft: &mut Draft) -> Read {
        self.cursor.advance();
        self.field()?;
        draft.parts.push(Part::Aside);
        Ok(())
    }

    /// `ct helper set "x"`, `ct count over 3`; false when it is a field that is compared.
    fn connection_statement(&mut self, draft: &mut Draft) -> Read<bool> {
        let before = self.cursor;
        self.cursor.advance();
        match self.cursor.peek_word() {
            "count" => {
                self.cursor = before;
                draft.parts.push(self.stateful()?);
                Ok(true)
            }
            "helper" | "timeout" | "expectation" if self.cursor.peek_second().1 == "set" => {
                self.cursor.advance();
                self.cursor.advance();
                if let Expression::Map(map) = self.mapped()? {
                    draft.only_entries(&map.0, &map.1)?;
                }
                draft.parts.push(Part::Aside);
                Ok(true)
            }
            _ => {
                self.cursor = before;
                Ok(false)
            }
        }
    }
}

fn update_kind(word: &str) -> UpdateKind {
    match word {
        "update" => UpdateKind::Update,
        "delete" => UpdateKind::Delete,
        _ => UpdateKind::Add,
    }
}
