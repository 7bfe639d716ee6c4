//! Line by line: the sections of a saved rule set, and the commands of a script.

use super::build::{Build, Fault, Shared};
use super::rule;
use super::store::{Store, TableAt};
use super::words::{Word, split};
use crate::netfilter::ast::{Part, Policy, Rule, Ruleset};
use crate::place::excerpt;
use crate::space::Family;
use std::borrow::Cow;
use std::collections::HashMap;

/// How many physical lines one command may have, joined by backslashes.
const JOINED_COUNT_MAX: usize = 256;
/// How long a line may become when its variables are put in, in bytes.
const EXPANDED_BYTES_MAX: usize = 1 << 16;
const VARIABLE_COUNT_MAX: usize = 4096;

/// Commands of a script that leave the packet filter alone.
const HARMLESS: &[&str] = &[
    "echo",
    "set",
    "exit",
    "export",
    "sysctl",
    "modprobe",
    "ip",
    "cd",
    "sleep",
    "printf",
    "true",
    "logger",
    "return",
    "EOF",
    ":",
    "EOT",
    "END",
    "PATH",
    "test",
    "source",
    ".",
    "readonly",
    "local",
    "umask",
    "service",
    "systemctl",
    "ipset",
    "nft",
    "chmod",
    "shift",
    "unset",
    "iptables-save",
    "ip6tables-save",
    "mkdir",
    "touch",
];

pub(super) struct Script {
    store: Store,
    family: Family,
    /// The family of the commands of a heredoc, until its last word.
    heredoc: Option<(Family, String)>,
    /// The table of a section (`*filter`).
    section: Option<TableAt>,
    shared: Shared,
    variables: HashMap<String, String>,
}

/// A command with the words that are not its own.
struct Command<'a> {
    letter: char,
    chain: Option<&'a Word<'a>>,
    /// Its number in the chain, from 1.
    number: Option<usize>,
    rest: Cow<'a, [Word<'a>]>,
    /// The rule as written.
    text: &'a str,
    line: u32,
}

impl Script {
    pub fn new(store: Store, family: Family) -> Script {
        Script {
            store,
            family,
            heredoc: None,
            section: None,
            shared: Shared::default(),
            variables: HashMap::new(),
        }
    }

    pub fn read(&mut self, text: &str) {
        let mut lines = (1..).zip(text.lines());
        while let Some((number, line)) = lines.next() {
            if !line.ends_with('\\') {
                self.line(number, line);
                continue;
            }
            let mut joined = line[..line.len() - 1].to_owned();
            for (_, next) in lines.by_ref().take(JOINED_COUNT_MAX) {
                joined.push_str(next.strip_suffix('\\').unwrap_or(next));
                if !next.ends_with('\\') {
                    break;
                }
            }
            self.line(number, &joined);
        }
    }

    pub fn finish(self) -> Ruleset {
        self.store.finish()
    }

    fn line(&mut self, number: u32, line: &str) {
        let trimmed = line.trim_start();
        let rest = trimmed.get(1..).unwrap_or("");
        match trimmed.as_bytes().first() {
            None | Some(b'#') => {}
            Some(b'*') => {
                let name = rest.split_whitespace().next().unwrap_or("");
                let family = self.heredoc.as_ref().map_or(self.family, |(family, _)| *family);
                self.section = Some(self.store.table(name, family, number));
            }
            Some(b':') if rest.starts_with(|c: char| !c.is_whitespace()) => {
                self.chain_line(number, line, rest)
            }
            Some(b'[' | b'-') => self.section_line(number, line),
            Some(_) if trimmed.trim_end() == "COMMIT" => self.section = None,
            Some(_) => self.script_line(number, line),
        }
    }

    /// `:INPUT ACCEPT [0:0]`.
    fn chain_line(&mut self, number: u32, line: &str, rest: &str) {
        let mut words = rest.split_whitespace();
        let (name, policy) = (words.next().unwrap_or(""), words.next().unwrap_or("-"));
        let place = self.store.place(number, line.len() - rest.len());
        let table = self.current_table(number);
        let chain = self.store.chain(table, name, place.clone());
        let is_base = chain.base.is_some();
        chain.place = place;
        self.set_policy(number, table, name, policy, is_base);
    }

    fn set_policy(&mut self, line: u32, table: TableAt, name: &str, policy: &str, is_base: bool) {
        let value = match policy {
            "ACCEPT" => Some(Policy::Accept),
            "DROP" => Some(Policy::Drop),
            _ => None,
        };
        let chain = self.store.existing(table, name);
        match (chain.and_then(|chain| chain.base.as_mut()), value) {
            (Some(base), Some(value)) => base.policy = value,
            (None, None) if policy == "-" => {}
            (Some(_), None) if policy == "-" && is_base => {}
            _ => self.store.unread(
                line,
                Fault::new(
                    0,
                    &format!("{name} {policy}"),
                    "this policy cannot be set here",
                    "此处不能设置该策略",
                ),
            ),
        }
    }

    fn current_table(&mut self, line: u32) -> TableAt {
        match self.section {
            Some(table) => table,
            None => {
                let family = self.heredoc.as_ref().map_or(self.family, |(family, _)| *family);
                self.store.table("filter", family, line)
            }
        }
    }

    /// A command inside a section, perhaps with counters before it.
    fn section_line(&mut self, number: u32, line: &str) {
        let mut words = Vec::with_capacity(24);
        split(line, &mut words);
        let counters = words.first().is_some_and(|word| word.text.starts_with('['));
        let words = &words[usize::from(counters)..];
        let table = self.current_table(number);
        self.commands(words, line, number, table);
    }

    fn script_line(&mut self, number: u32, line: &str) {
        if self.heredoc.as_ref().is_some_and(|(_, end)| end == line.trim()) {
            self.heredoc = None;
            self.section = None;
            return;
        }
        let line = self.expand(line);
        let mut words = Vec::new();
        split(&line, &mut words);
        let mut parts =
            words.split(|word| !word.quoted && matches!(word.text.as_ref(), ";" | "&&" | "||" | "|"));
        while let Some(words) = parts.next() {
            let end = parts.clone().next().and_then(<[_]>::first).map_or(line.len(), |word| word.offset);
            self.command_line(words, &line[..end], number);
        }
    }

    /// A command with its program before it.
    fn command_line(&mut self, words: &[Word<'_>], line: &str, number: u32) {
        let skipped = words.iter().position(|word| !self.assignment(word) && word.text != "sudo");
        let Some(words) = skipped.and_then(|at| words.get(at..)) else { return };
        let Some(program) = words.first() else { return };
        let name = program.text.rsplit('/').next().unwrap_or("").to_owned();
        let family = if name.contains('6') { Family::V6 } else { Family::V4 };
        if name.ends_with("tables-restore") || name.ends_with("tables-legacy-restore") {
            let here = words.iter().find_map(|word| word.text.strip_prefix("<<").map(|end| (word, end)));
            let end = here.map(|(word, end)| {
                let next = words.iter().find(|next| next.offset > word.offset).map_or("", |next| &next.text);
                let end = end.trim_start_matches('-');
                if end.is_empty() { next.to_owned() } else { end.to_owned() }
            });
            self.heredoc = end.map(|end| (family, end));
        } else if matches!(
            name.as_str(),
            "iptables"
                | "ip6tables"
                | "iptables-legacy"
                | "ip6tables-legacy"
                | "iptables-nft"
                | "ip6tables-nft"
        ) || (name.starts_with('$') && name.to_ascii_lowercase().contains("ip"))
        {
            self.program(&words[1..], line, number, family);
        } else if !HARMLESS.contains(&name.as_str()) {
            self.store.unread(number, Fault::of(program, "this command is not run", "不执行该命令"));
        }
    }

    /// Remembers `NAME=value`.
    fn assignment(&mut self, word: &Word<'_>) -> bool {
        let Some((name, value)) = word.text.split_once('=') else { return false };
        let good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if good && self.variables.len() < VARIABLE_COUNT_MAX {
            self.variables.insert(name.to_owned(), value.to_owned());
        }
        good
    }

    /// Puts in the variables that are known.
    fn expand<'t>(&self, line: &'t str) -> Cow<'t, str> {
        if !line.contains('$') || self.variables.is_empty() {
            return Cow::Borrowed(line);
        }
        let mut out = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let braced = after.strip_prefix('{');
            let name = braced.unwrap_or(after);
            let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
            let whole =
                if braced.is_some() { end + 2 + usize::from(name[end..].starts_with('}')) } else { end + 1 };
            match self.variables.get(&name[..end]) {
                Some(value) => out.push_str(value),
                None => out.push_str(&rest[at..(at + whole).min(rest.len())]),
            }
            rest = rest.get(at + whole..).unwrap_or("");
            if out.len() > EXPANDED_BYTES_MAX {
                break;
            }
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// The words behind `iptables`.
    fn program(&mut self, words: &[Word<'_>], line: &str, number: u32, family: Family) {
        let redirected = |word: &Word<'_>| {
            !word.quoted
                && (word.text.contains('>') && word.text.trim_start_matches(['1', '2', '&']).starts_with('>'))
        };
        let words = &words[..words.iter().position(redirected).unwrap_or(words.len())];
        let named = words.iter().position(|word| matches!(word.text.as_ref(), "-t" | "--table"));
        let name = named.and_then(|at| words.get(at + 1)).map_or("filter", |word| &word.text);
        let table = self.store.table(name, family, number);
        self.commands(words, line, number, table);
    }

    fn commands(&mut self, words: &[Word<'_>], line: &str, number: u32, table: TableAt) {
        match command(words, line, number) {
            Some(command) => self.run(&command, table),
            None => {
                let first = words.first().map_or("", |word| &word.text);
                self.store.unread(
                    number,
                    Fault::new(
                        0,
                        first,
                        "no command is here that adds or removes a rule",
                        "此处没有添加或删除规则的命令",
                    ),
                );
            }
        }
    }

    fn run(&mut self, command: &Command<'_>, table: TableAt) {
        let chain = command.chain.map(|word| word.text.as_ref());
        match (command.letter, chain) {
            ('A' | 'I' | 'R' | 'D', Some(chain)) => self.rule(command, table, chain),
            ('N', Some(chain)) => {
                let place = self.store.place(command.line, command.chain.map_or(0, |word| word.offset));
                self.store.chain(table, chain, place);
            }
            ('P', Some(chain)) => {
                let policy = command.rest.first().map_or("", |word| &word.text);
                self.set_policy(command.line, table, chain, policy, true);
            }
            ('E', Some(chain)) => {
                let new = command.rest.first().map_or("", |word| &word.text);
                self.store.rename_chain(table, chain, new);
            }
            ('F' | 'X', chain) => {
                let names = chain.map_or_else(|| self.store.chain_names(table), |name| vec![name.to_owned()]);
                for name in names {
                    if command.letter == 'X' {
                        self.store.remove_chain(table, &name);
                    } else if let Some(chain) = self.store.existing(table, &name) {
                        chain.rules.clear();
                    }
                }
            }
            ('A' | 'I' | 'R' | 'D' | 'N' | 'P' | 'E', None) => {
                let text = command.letter.to_string();
                self.store
                    .unread(command.line, Fault::new(0, &text, "the name of a chain is missing", "缺少链名"));
            }
            _ => {}
        }
    }

    fn rule(&mut self, command: &Command<'_>, table: TableAt, chain: &str) {
        let at = command.number.map(|number| number.saturating_sub(1));
        if let ('D', Some(at)) = (command.letter, at) {
            if let Some(chain) = self.store.existing(table, chain).filter(|chain| at < chain.rules.len()) {
                chain.rules.remove(at);
            }
            return;
        }
        let v6 = self.store.v6(table);
        let build = Build { v6, protocol: None, parts: Vec::new(), comment: None, shared: &mut self.shared };
        let read = rule::read(&command.rest, &self.store.scope(table), build);
        for fault in read.faults {
            self.store.unread(command.line, fault);
        }
        let place = self.store.place(command.line, command.rest.first().map_or(0, |word| word.offset));
        let text = excerpt(command.text);
        let mut before = match command.letter {
            'I' => Some(at.unwrap_or(0)),
            'R' => at,
            _ => None,
        };
        for (index, parts) in read.rules.into_iter().enumerate() {
            if command.letter == 'D' {
                self.delete(table, chain, &parts);
                continue;
            }
            if command.letter == 'R' && index == 0 {
                let existing = self.store.existing(table, chain);
                if let (Some(chain), Some(at)) = (existing, at)
                    && at < chain.rules.len()
                {
                    chain.rules.remove(at);
                }
            }
            let rule = Rule {
                number: 0,
                place: place.clone(),
                text: text.clone(),
                comment: read.comment.clone(),
                parts,
            };
            if !self.store.add(table, chain, before, rule) {
                let fault = Fault::new(
                    0,
                    &text,
                    "the file has more than four million rules",
                    "文件中的规则超过四百万条",
                );
                return self.store.unread(command.line, fault);
            }
            before = before.map(|at| at + 1);
        }
    }

    fn delete(&mut self, table: TableAt, chain: &str, parts: &[Part]) {
        if let Some(chain) = self.store.existing(table, chain)
            && let Some(at) = chain.rules.iter().position(|rule| rule.parts == parts)
        {
            chain.rules.remove(at);
        }
    }
}

/// Finds the command among the words, wherever it stands.
fn command<'a>(words: &'a [Word<'a>], line: &'a str, number: u32) -> Option<Command<'a>> {
    let letter = |word: &Word<'_>| match word.text.as_ref() {
        _ if word.quoted => None,
        "-A" | "--append" => Some('A'),
        "-I" | "--insert" => Some('I'),
        "-D" | "--delete" => Some('D'),
        "-R" | "--replace" => Some('R'),
        "-N" | "--new-chain" | "--new" => Some('N'),
        "-P" | "--policy" => Some('P'),
        "-E" | "--rename-chain" => Some('E'),
        "-F" | "--flush" => Some('F'),
        "-X" | "--delete-chain" => Some('X'),
        "-Z" | "--zero" | "-L" | "--list" | "-S" | "--list-rules" | "-C" | "--check" => Some('L'),
        _ => None,
    };
    let (at, letter) =
        words.iter().enumerate().find_map(|(at, word)| letter(word).map(|found| (at, found)))?;
    let chain = words.get(at + 1).filter(|word| !word.text.starts_with('-'));
    let mut next = at + 1 + usize::from(chain.is_some());
    let place = words.get(next).filter(|_| matches!(letter, 'I' | 'D' | 'R'));
    let place = place.and_then(|word| word.text.parse().ok());
    next += usize::from(place.is_some());
    let after = words.get(next..).unwrap_or(&[]);
    let rest = if at == 0 { Cow::Borrowed(after) } else { Cow::Owned([&words[..at], after].concat()) };
    let text = after.first().and_then(|word| line.get(word.offset..)).unwrap_or("");
    Some(Command { letter, chain, number: place, rest, text, line: number })
}
