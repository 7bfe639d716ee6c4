//! Fields of packets, connections and the machine, as text.

use super::Parser;
use super::cursor::{Read, syntax};
use crate::netfilter::ast::{Field, Opaque};
use crate::netfilter::nft::field::{self, Key};
use crate::netfilter::nft::kind::{self, Kind};
use crate::netfilter::nft::lexer::Sign;

/// How many words a key of `fib` may have.
const FIB_FLAG_COUNT_MAX: usize = 5;

impl<'a> Parser<'a> {
    /// The field here; nothing when the word is none.
    pub(super) fn field(&mut self) -> Read<Option<Key>> {
        let word = self.cursor.slice();
        let (second_kind, second) = self.cursor.peek_second();
        let plain = second_kind == Sign::Word;
        match word {
            "meta" if plain => self.named(field::meta),
            "ct" if plain => self.connection(),
            "tcp" if plain && second == "option" => self.tcp_option(),
            "ip" if plain && second == "option" => self.skipping(2, Opaque::IpOption, Kind::Integer),
            "sctp" if plain && second == "chunk" => self.skipping(2, Opaque::SctpChunk, Kind::Integer),
            "dccp" if plain && second == "option" => self.skipping(2, Opaque::DccpOption, Kind::Boolean),
            "exthdr" if plain => self.extension(),
            "fib" if plain => self.fib(),
            "socket" if plain => self.socket(),
            "osf" => self.osf(),
            "ipsec" if plain => self.ipsec(),
            "numgen" | "jhash" | "symhash" => self.generated(),
            "rt" if plain && (field::routing(second).is_some() || matches!(second, "ip" | "ip6")) => {
                self.routing()
            }
            "arp" if plain && matches!(second, "saddr" | "daddr") => self.two_words("arp"),
            "vxlan" | "geneve" | "gre" | "gretap" if plain && field::is_header(second) => {
                self.two_words(word)
            }
            _ if plain && field::is_header(word) => {
                let Some(key) = field::header(word, second) else { return Ok(None) };
                self.cursor.advance();
                self.cursor.advance();
                Ok(Some(key))
            }
            "mark" | "iif" | "iifname" | "iiftype" | "iifgroup" | "oif" | "oifname" | "oiftype"
            | "oifgroup" | "skuid" | "skgid" | "nftrace" | "rtclassid" | "ibrname" | "obrname"
            | "ibriport" | "obriport" | "ibridgename" | "obridgename" | "pkttype" | "cpu" | "cgroup"
            | "secpath" | "sdif" | "sdifname" | "time" | "day" | "hour" => {
                self.cursor.advance();
                Ok(field::meta(word))
            }
            _ => Ok(None),
        }
    }

    /// A keyword and a name that a table knows.
    fn named(&mut self, table: impl Fn(&str) -> Option<Key>) -> Read<Option<Key>> {
        self.cursor.advance();
        let key = table(self.cursor.peek_word());
        if key.is_none() {
            return syntax("a field of this name is not known", "未知的字段名");
        }
        self.cursor.advance();
        Ok(key)
    }

    fn known(&mut self, key: Option<Key>) -> Read<Option<Key>> {
        if key.is_none() {
            return syntax("a field of this name is not known", "未知的字段名");
        }
        Ok(key)
    }

    /// `arp saddr ip`, `vxlan ip saddr`.
    fn two_words(&mut self, header: &str) -> Read<Option<Key>> {
        self.cursor.advance();
        let name = format!("{} {}", self.cursor.word()?, self.cursor.word()?);
        self.known(field::header(header, &name))
    }

    fn connection(&mut self) -> Read<Option<Key>> {
        self.cursor.advance();
        let mut way = None;
        if matches!(self.cursor.peek_word(), "original" | "reply") {
            way = Some(self.cursor.word()?);
        }
        let word = self.cursor.word()?;
        let name = match word {
            "ip" | "ip6" => format!("{word} {}", self.cursor.word()?),
            "saddr" | "daddr" if self.family == crate::netfilter::ast::TableFamily::Ip6 => {
                format!("ip6 {word}")
            }
            "saddr" | "daddr" => format!("ip {word}"),
            "l3proto" | "protocol" | "proto-src" | "proto-dst" | "zone" => word.to_owned(),
            _ => return self.known(field::connection(way, word)),
        };
        self.known(field::connection(way, &name))
    }

    /// Takes so many words and those behind them that go with what is never known.
    fn skipping(&mut self, count: usize, what: Opaque, kind: Kind) -> Read<Option<Key>> {
        for _ in 0..=count {
            self.cursor.word()?;
        }
        let presence = matches!(self.cursor.peek_word(), "exists" | "missing");
        if !presence && self.cursor.is(Sign::Word) && kind::number(self.cursor.slice()).is_none() {
            self.cursor.advance();
        }
        Ok(Some(if presence { Key::opaque(what, Kind::Boolean) } else { Key::opaque(what, kind) }))
    }

    fn tcp_option(&mut self) -> Read<Option<Key>> {
        self.cursor.advance();
        self.cursor.advance();
        if self.cursor.accept(Sign::At) {
            let option = self.comma_number()?;
            let offset_bits = self.comma_number()?;
            let length_bits = self.cursor.integer()?;
            return self.known(field::tcp_option_raw(option, offset_bits, length_bits));
        }
        let option = self.cursor.word()?;
        let name = match self.cursor.peek_word() {
            "exists" | "missing" => "",
            name => name,
        };
        let key = field::tcp_option(option, name);
        if key.is_some() && !name.is_empty() {
            self.cursor.advance();
        }
        self.known(key)
    }

    fn comma_number(&mut self) -> Read<u64> {
        let value = self.cursor.integer()?;
        if !self.cursor.accept(Sign::Comma) {
            return syntax("a comma is missing here", "此处缺少逗号");
        }
        Ok(value)
    }

    fn extension(&mut self) -> Read<Option<Key>> {
        self.cursor.advance();
        let word = self.cursor.word()?;
        self.known(field::extension_presence(word))
    }

    fn fib(&mut self) -> Read<Option<Key>> {
        self.cursor.advance();
        let mut flags = vec![self.cursor.word()?];
        while self.cursor.accept(Sign::Dot) && flags.len() < FIB_FLAG_COUNT_MAX {
            flags.push(self.cursor.word()?);
        }
        flags.sort_unstable();
        let result = self.cursor.word()?;
        self.known(field::fib(&flags, result))
    }

    fn socket(&mut self) -> Read<Option<Key>> {
        let key = self.named(field::socket)?;
        if self.cursor.accept_word("level") {
            self.cursor.integer()?;
        }
        Ok(key)
    }

    /// `osf ttl loose name`.
    fn osf(&mut self) -> Read<Option<Key>> {
        self.cursor.advance();
        if self.cursor.accept_word("ttl") {
            self.cursor.word()?;
        }
        if !matches!(self.cursor.peek_word(), "name" | "version") {
            return syntax("a field of this name is not known", "未知的字段名");
        }
        self.cursor.advance();
        Ok(Some(Key::opaque(Opaque::OperatingSystem, Kind::Name)))
    }

    /// `ipsec in spnum 1 ip saddr`.
    fn ipsec(&mut self) -> Read<Option<Key>> {
        self.cursor.advance();
        self.cursor.word()?;
        if self.cursor.accept_word("spnum") {
            self.cursor.integer()?;
        }
        let kind = match self.cursor.word()? {
            "ip" => Kind::Ip4,
            "ip6" => Kind::Ip6,
            "reqid" | "spi" => return Ok(Some(Key::opaque(Opaque::Ipsec, Kind::Integer))),
            _ => return syntax("a field of this name is not known", "未知的字段名"),
        };
        self.cursor.word()?;
        Ok(Some(Key::opaque(Opaque::Ipsec, kind)))
    }

    /// `numgen inc mod 2 offset 1`, `jhash ip saddr . tcp dport mod 2 seed 1`, `symhash mod 2`.
    fn generated(&mut self) -> Read<Option<Key>> {
        match self.cursor.word()? {
            "numgen" => {
                self.cursor.word()?;
            }
            "jhash" => {
                self.concatenation(true)?;
            }
            _ => {}
        }
        while matches!(self.cursor.peek_word(), "mod" | "offset" | "seed") {
            self.cursor.advance();
            self.cursor.integer()?;
        }
        Ok(Some(Key::new(Field::Random, Kind::Integer, 32)))
    }

    fn routing(&mut self) -> Read<Option<Key>> {
        self.cursor.advance();
        let word = self.cursor.word()?;
        let name = match word {
            "ip" | "ip6" => format!("{word} {}", self.cursor.word()?),
            "nexthop" if self.family == crate::netfilter::ast::TableFamily::Ip6 => "ip6 nexthop".to_owned(),
            _ => word.to_owned(),
        };
        self.known(field::routing(&name))
    }

    /// `@th,16,16`; nothing when it is the name of a set.
    pub(super) fn raw_field(&mut self) -> Read<Option<Key>> {
        let before = self.cursor;
        self.cursor.advance();
        let base = self.cursor.peek_word();
        if self.cursor.peek_second().0 != Sign::Comma {
            self.cursor = before;
            return Ok(None);
        }
        self.cursor.advance();
        self.cursor.advance();
        let offset = self.comma_number()?;
        let length = self.cursor.integer()?;
        let (Ok(offset), Ok(length)) = (u16::try_from(offset), u16::try_from(length)) else {
            return syntax("a place outside of any header", "位置超出任何报头");
        };
        self.known(Key::raw(base, offset, length))
    }
}
