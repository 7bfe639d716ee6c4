//! Commands: `add`, `insert`, `delete`, `flush` and their like, and blocks of a whole table.

use super::Parser;
use super::cursor::{Fault, Read, syntax};
use super::rule::NOT_READ;
use crate::netfilter::ast::TableFamily;
use crate::netfilter::nft::build::{ChainId, Spot, TableId};
use crate::netfilter::nft::draft::Why;
use crate::netfilter::nft::kind::number;
use crate::netfilter::nft::lexer::Sign;

const NOT_THERE: Why = Why("it changes what this file does not have", "要修改的内容不在此文件中");
const BY_HANDLE: Why =
    Why("a rule named by its handle, which only the kernel knows", "按句柄指定的规则，只有内核知道");

impl<'a> Parser<'a> {
    pub(super) fn command(&mut self) -> Read {
        if self.definition()? {
            return Ok(());
        }
        match self.cursor.peek_word() {
            "include" => self.include(),
            verb @ ("add" | "create" | "insert" | "replace") => {
                self.cursor.advance();
                self.adding(verb)
            }
            verb @ ("delete" | "destroy") => {
                self.cursor.advance();
                self.deleting(verb == "destroy")
            }
            "flush" => {
                self.cursor.advance();
                self.flushing()
            }
            "rename" => {
                self.cursor.advance();
                self.renaming()
            }
            "list" | "reset" | "monitor" | "describe" | "export" | "import" => {
                Err(Fault::Meaning(NOT_READ))
            }
            _ => self.adding("add"),
        }
    }

    /// `[family] table`, of a table that is made when it is not there.
    fn table_name(&mut self) -> Read<TableId> {
        let place = self.here();
        self.family = self.family_word().unwrap_or(TableFamily::Ip);
        let name = self.chain_name()?;
        Ok(self.builder.table(self.family, name, &place))
    }

    /// `[family] table`, of one that must be there.
    fn known_table(&mut self) -> Read<TableId> {
        self.family = self.family_word().unwrap_or(TableFamily::Ip);
        let name = self.chain_name()?;
        self.builder.find_table(self.family, name).ok_or(Fault::Meaning(NOT_THERE))
    }

    fn adding(&mut self, verb: &str) -> Read {
        match self.cursor.peek_word() {
            "table" => {
                self.cursor.advance();
                let table = self.table_name()?;
                self.optional_block(|parser| parser.table_block(table))
            }
            "chain" => {
                self.cursor.advance();
                let table = self.table_name()?;
                let place = self.here();
                let name = self.chain_name()?;
                let chain = self.builder.chain(table, name, &place);
                self.optional_block(|parser| parser.chain_block(chain))
            }
            "rule" => {
                self.cursor.advance();
                self.add_rule(verb)
            }
            word @ ("set" | "map") => {
                self.cursor.advance();
                let table = self.table_name()?;
                let place = self.here();
                let name = self.cursor.name()?;
                self.optional_block(|parser| parser.set_block(table, name, word == "map", place))
            }
            "element" => {
                self.cursor.advance();
                self.elements(true, false)
            }
            "counter" | "quota" | "limit" | "ct" | "secmark" | "synproxy" | "flowtable" => {
                self.add_object()
            }
            _ if verb != "create" && self.cursor.is(Sign::Word) => self.add_rule(verb),
            _ => syntax("a command is missing here", "此处缺少命令"),
        }
    }

    /// A block, or nothing more.
    fn optional_block(&mut self, block: impl FnOnce(&mut Self) -> Read) -> Read {
        if self.cursor.is(Sign::Open) {
            block(self)?;
        }
        self.end_of_statement()
    }

    fn add_rule(&mut self, verb: &str) -> Read {
        let place = self.here();
        let table = self.table_name()?;
        let name = self.chain_name()?;
        let chain = match self.builder.find_chain(table, name) {
            Some(chain) => chain,
            None => {
                let why = Why("the rule's chain is not in this file", "规则所属的链不在此文件中");
                self.report(self.cursor.token, why);
                self.builder.chain(table, name, &place)
            }
        };
        let spot = self.spot(verb, chain)?;
        let rule = self.rule();
        if !self.builder.rule(chain, rule, spot) {
            return Err(Fault::Meaning(NOT_THERE));
        }
        self.end_of_statement()
    }

    /// Where a rule goes: `index 3`, `position 7`, `handle 7`, or by the verb alone.
    fn spot(&mut self, verb: &str, chain: ChainId) -> Read<Spot> {
        let word = self.cursor.peek_word();
        let numbered = self.cursor.peek_second().0 == Sign::Word
            && number(self.cursor.peek_second().1).is_some();
        match word {
            "index" if numbered => {
                self.cursor.advance();
                let at = usize::try_from(self.cursor.integer()?).unwrap_or(usize::MAX);
                if at >= self.builder.rule_count(chain) {
                    return Err(Fault::Meaning(NOT_THERE));
                }
                Ok(match verb {
                    "insert" => Spot::Before(at),
                    "replace" => Spot::Instead(at),
                    _ => Spot::Behind(at),
                })
            }
            "position" | "handle" if numbered => Err(Fault::Meaning(BY_HANDLE)),
            _ if verb == "replace" => Err(Fault::Meaning(BY_HANDLE)),
            _ => Ok(if verb == "insert" { Spot::First } else { Spot::Last }),
        }
    }

    fn elements(&mut self, add: bool, quiet: bool) -> Read {
        let table = self.known_table();
        let name = self.cursor.name()?;
        let set = if self.cursor.is(Sign::Dollar) { self.variable()? } else { self.set()? };
        let table = match table {
            Err(_) if quiet => return self.end_of_statement(),
            table => table?,
        };
        let elements = self.elements_for(table, name, &set, add)?;
        if add {
            self.builder.add_elements(table, name, elements);
        } else {
            self.builder.delete_elements(table, name, &elements);
        }
        self.end_of_statement()
    }

    /// `add limit [family] table name …`: the words of a block's object, with the table between.
    fn add_object(&mut self) -> Read {
        let kind = self.cursor.word()?;
        if kind == "ct" {
            self.cursor.word()?;
        }
        let table = self.table_name()?;
        let name = self.cursor.name()?;
        if matches!(kind, "limit" | "quota") {
            return self.add_deciding_object(table, kind, name);
        }
        self.cursor.skip_statement(0);
        self.end_of_statement()
    }

    fn add_deciding_object(&mut self, table: TableId, kind: &str, name: &str) -> Read {
        if self.cursor.is(Sign::Open) {
            self.block(|parser| parser.object_value(table, kind, name))?;
            return self.end_of_statement();
        }
        self.object_value(table, kind, name)
    }

    fn deleting(&mut self, quiet: bool) -> Read {
        let word = self.cursor.word()?;
        let done = match word {
            "table" => {
                self.family = self.family_word().unwrap_or(TableFamily::Ip);
                if self.cursor.accept_word("handle") {
                    return Err(Fault::Meaning(BY_HANDLE));
                }
                let name = self.chain_name()?;
                self.builder.delete_table(self.family, name)
            }
            "rule" => return self.delete_rule(),
            "element" => return self.elements(false, quiet),
            "ct" => {
                self.cursor.word()?;
                self.delete_in_table("ct")?
            }
            "chain" | "set" | "map" | "counter" | "quota" | "limit" | "secmark" | "synproxy" | "flowtable" => {
                self.delete_in_table(word)?
            }
            _ => return syntax("a command is missing here", "此处缺少命令"),
        };
        if !done && !quiet {
            return Err(Fault::Meaning(NOT_THERE));
        }
        // `delete chain t c { type filter hook ingress devices = … }` takes devices away.
        if self.cursor.is(Sign::Open) {
            return Err(Fault::Meaning(NOT_READ));
        }
        self.end_of_statement()
    }

    fn delete_in_table(&mut self, what: &str) -> Read<bool> {
        let table = self.known_table();
        if self.cursor.accept_word("handle") {
            return Err(Fault::Meaning(BY_HANDLE));
        }
        let name = self.chain_name()?;
        let Ok(table) = table else { return Ok(false) };
        Ok(match what {
            "chain" => self.builder.delete_chain(table, name),
            "set" | "map" => self.builder.delete_set(table, name),
            "limit" | "quota" => {
                let name = crate::netfilter::nft::draft::object_name(what, name);
                self.builder.delete_object(table, &name)
            }
            _ => true,
        })
    }

    fn delete_rule(&mut self) -> Read {
        let table = self.known_table()?;
        let name = self.chain_name()?;
        let chain = self.builder.find_chain(table, name).ok_or(Fault::Meaning(NOT_THERE))?;
        if !self.cursor.accept_word("index") {
            return Err(Fault::Meaning(BY_HANDLE));
        }
        let at = usize::try_from(self.cursor.integer()?).unwrap_or(usize::MAX);
        if !self.builder.delete_rule(chain, at) {
            return Err(Fault::Meaning(NOT_THERE));
        }
        self.end_of_statement()
    }

    fn flushing(&mut self) -> Read {
        match self.cursor.word()? {
            "ruleset" => {
                let family = self.family_word();
                self.builder.flush_ruleset(family);
            }
            "table" => {
                let table = self.known_table()?;
                self.builder.flush_rules(table, None);
            }
            "chain" => {
                let table = self.known_table()?;
                let name = self.chain_name()?;
                if !self.builder.flush_rules(table, Some(name)) {
                    return Err(Fault::Meaning(NOT_THERE));
                }
            }
            "set" | "map" | "meter" => {
                let table = self.known_table()?;
                let name = self.cursor.name()?;
                match self.builder.find_set(table, name) {
                    Some(set) => set.elements = std::sync::Arc::default(),
                    None => return Err(Fault::Meaning(NOT_THERE)),
                }
            }
            _ => return syntax("a command is missing here", "此处缺少命令"),
        }
        self.end_of_statement()
    }

    fn renaming(&mut self) -> Read {
        if !self.cursor.accept_word("chain") {
            return syntax("only chains can be renamed", "只有链可以改名");
        }
        let table = self.known_table()?;
        let old = self.chain_name()?;
        let new = self.chain_name()?;
        if !self.builder.rename_chain(table, old, new) {
            return Err(Fault::Meaning(NOT_THERE));
        }
        self.end_of_statement()
    }
}
