//! One rule: the words of its specification become the parts of the tree.

use super::address;
use super::build::{Build, Fault};
use super::extension::{self, Given, Loaded};
use super::names;
use super::store::Scope;
use super::words::Word;
use crate::netfilter::ast::{Field, Part, Span, Verdict};

/// How many rules a list of addresses (`-s a,b -d c,d`) may make.
const RULE_COUNT_MAX: usize = 1024;

/// What the words of a rule say.
#[derive(Debug, Default)]
pub(super) struct Specification {
    /// One list for each pair of addresses; iptables adds as many rules.
    pub rules: Vec<Vec<Part>>,
    pub comment: Option<String>,
    pub faults: Vec<Fault>,
}

/// Reads what stands behind the chain's name. What was not understood is a fault, and an unknown part of the rule.
pub(super) fn read(words: &[Word<'_>], scope: &Scope<'_>, build: Build<'_>) -> Specification {
    let mut reader = Reader {
        words,
        at: 0,
        scope,
        build,
        sources: Vec::new(),
        destinations: Vec::new(),
        loaded: Vec::new(),
        target: None,
        faults: Vec::new(),
    };
    while reader.at < words.len() {
        if let Err(fault) = reader.option() {
            reader.fault(fault);
        }
    }
    reader.finish()
}

struct Reader<'a, 'w> {
    words: &'w [Word<'w>],
    at: usize,
    scope: &'a Scope<'a>,
    build: Build<'a>,
    sources: Vec<Part>,
    destinations: Vec<Part>,
    loaded: Vec<Loaded<'w>>,
    target: Option<Target<'w>>,
    faults: Vec<Fault>,
}

enum Target<'w> {
    Verdict(Verdict),
    Extension(Loaded<'w>),
}

impl<'w> Reader<'_, 'w> {
    fn fault(&mut self, fault: Fault) {
        self.build.parts.push(Part::Unknown { text: fault.text.clone(), why: fault.why.clone() });
        self.faults.push(fault);
    }

    fn option(&mut self) -> Result<(), Fault> {
        let negated = self.take("!");
        let Some(word) = self.words.get(self.at) else {
            return Err(self.wrong("nothing stands behind the exclamation mark", "感叹号之后没有内容"));
        };
        self.at += 1;
        match word.text.as_ref() {
            "-s" | "--source" | "--src" => self.addresses(negated, false),
            "-d" | "--destination" | "--dst" => self.addresses(negated, true),
            "-p" | "--protocol" => self.protocol(negated),
            "-i" | "--in-interface" => self.interface(negated, Field::InputInterface),
            "-o" | "--out-interface" => self.interface(negated, Field::OutputInterface),
            "-f" | "--fragment" => self.fragment(negated),
            "-m" | "--match" => self.module(),
            "-j" | "--jump" => self.jump(),
            "-g" | "--goto" => self.go_to(),
            "-c" | "--set-counters" => self.skip(2),
            "-t" | "--table" => self.skip(1),
            "-w" | "--wait" | "-W" | "--wait-interval" => self.skip_number(),
            "-4" | "--ipv4" | "-6" | "--ipv6" | "-n" | "--numeric" | "-v" | "--verbose" | "--noflush" => {
                Ok(())
            }
            name if name.starts_with('-') => self.extended(name, word, negated),
            _ => Err(Fault::of(word, "this word does not belong to a rule", "该词不属于规则")),
        }
    }

    fn take(&mut self, text: &str) -> bool {
        let there = self.words.get(self.at).is_some_and(|word| !word.quoted && word.text == text);
        self.at += usize::from(there);
        there
    }

    fn wrong(&self, en: &str, zh: &str) -> Fault {
        match self.words.get(self.at).or(self.words.last()) {
            Some(word) => Fault::of(word, en, zh),
            None => Fault::new(0, "", en, zh),
        }
    }

    /// The argument of an option of iptables itself; `!` may stand before it (as it was once written).
    fn argument(&mut self, negated: &mut bool) -> Result<&'w Word<'w>, Fault> {
        *negated |= self.take("!");
        let word = self.words.get(self.at);
        self.at += 1;
        word.ok_or_else(|| self.wrong("an argument is missing here", "此处缺少参数"))
    }

    fn skip(&mut self, count: usize) -> Result<(), Fault> {
        self.at += count;
        Ok(())
    }

    fn skip_number(&mut self) -> Result<(), Fault> {
        let number = self.words.get(self.at).is_some_and(|word| word.text.parse::<u32>().is_ok());
        self.skip(usize::from(number))
    }

    fn addresses(&mut self, mut negated: bool, destination: bool) -> Result<(), Fault> {
        let word = self.argument(&mut negated)?;
        let field = match (self.build.v6, destination) {
            (false, false) => Field::Ip4Source,
            (false, true) => Field::Ip4Destination,
            (true, false) => Field::Ip6Source,
            (true, true) => Field::Ip6Destination,
        };
        if negated && word.text.contains(',') {
            return Err(Fault::of(word, "a list of addresses cannot be negated", "地址列表不能取反"));
        }
        let mut parts = Vec::new();
        for text in word.text.split(',').take(RULE_COUNT_MAX + 1) {
            match address::read(text, self.build.v6) {
                Some(address) => parts.push(self.build.address(field, address, negated)),
                None => return Err(Fault::of(word, "this is no address", "这不是地址")),
            }
        }
        let list = if destination { &mut self.destinations } else { &mut self.sources };
        if !list.is_empty() {
            return Err(Fault::of(word, "addresses are given twice", "地址给出了两次"));
        }
        *list = parts;
        Ok(())
    }

    fn protocol(&mut self, mut negated: bool) -> Result<(), Fault> {
        let word = self.argument(&mut negated)?;
        let text = word.text.to_ascii_lowercase();
        if text == "all" {
            return Ok(());
        }
        let Some(number) = names::protocol(&text) else {
            return Err(Fault::of(word, "this protocol is not known", "未知的协议"));
        };
        if number == 0 {
            return Ok(());
        }
        self.build.protocol = (!negated).then_some(number);
        self.build.number(Field::Protocol, number.into(), negated);
        Ok(())
    }

    fn interface(&mut self, mut negated: bool, field: Field) -> Result<(), Fault> {
        let word = self.argument(&mut negated)?;
        let prefix = word.text.ends_with('+');
        let text = word.text.strip_suffix('+').unwrap_or(&word.text).to_owned();
        if !text.is_empty() || negated {
            self.build.span(field, Span::Name { text, prefix }, negated);
        }
        Ok(())
    }

    fn fragment(&mut self, negated: bool) -> Result<(), Fault> {
        self.build.number(Field::IsLaterFragment, (!negated).into(), false);
        Ok(())
    }

    fn module(&mut self) -> Result<(), Fault> {
        let word = self.argument(&mut false)?;
        match extension::find_match(&word.text) {
            Some(found) => self.loaded.push(Loaded::new(found, word)),
            None => {
                self.loaded.push(Loaded::new(&extension::STRANGE, word));
                let fault = Fault::of(word, "this match module is not known", "未知的匹配模块");
                self.faults.push(fault);
            }
        }
        Ok(())
    }

    fn jump(&mut self) -> Result<(), Fault> {
        let word = self.argument(&mut false)?;
        let verdict = match word.text.as_ref() {
            "ACCEPT" => Verdict::Accept,
            "DROP" => Verdict::Drop,
            "RETURN" => Verdict::Return,
            "QUEUE" => Verdict::Queue { bypass: false },
            name => match extension::find_target(name) {
                Some(found) if !self.scope.has_chain(name) => {
                    self.target = Some(Target::Extension(Loaded::new(found, word)));
                    return Ok(());
                }
                _ => Verdict::Jump(name.to_owned()),
            },
        };
        self.target = Some(Target::Verdict(verdict));
        Ok(())
    }

    fn go_to(&mut self) -> Result<(), Fault> {
        let word = self.argument(&mut false)?;
        self.target = Some(Target::Verdict(Verdict::Goto(word.text.clone().into_owned())));
        Ok(())
    }

    /// An option of an extension: that of the target, or of the match loaded last which knows it.
    fn extended(&mut self, name: &str, word: &'w Word<'w>, negated: bool) -> Result<(), Fault> {
        if let Some(Target::Extension(target)) = &self.target
            && let Some(count) = target.extension.takes(name)
        {
            let given = self.given(word, count, negated)?;
            if let Some(Target::Extension(target)) = &mut self.target {
                target.options.push(given);
            }
            return Ok(());
        }
        let known =
            |loaded: &[Loaded<'_>]| loaded.iter().rposition(|module| module.extension.takes(name).is_some());
        let mut found = known(&self.loaded);
        if found.is_none()
            && let Some(implied) = self.build.protocol.and_then(extension::of_protocol)
        {
            self.loaded.push(Loaded::new(implied, word));
            found = known(&self.loaded);
        }
        let Some(at) = found else {
            if name == "--proto" {
                return self.protocol(negated);
            }
            self.skip_arguments();
            return Err(Fault::of(
                word,
                "no module of this rule knows this option",
                "本规则的模块都没有该选项",
            ));
        };
        let count = self.loaded[at].extension.takes(name).unwrap_or(0);
        let given = self.given(word, count, negated)?;
        self.loaded[at].options.push(given);
        Ok(())
    }

    fn skip_arguments(&mut self) {
        while self.words.get(self.at).is_some_and(|word| !word.text.starts_with('-') && word.text != "!") {
            self.at += 1;
        }
    }

    fn given(&mut self, word: &'w Word<'w>, count: u8, mut negated: bool) -> Result<Given<'w>, Fault> {
        let start = self.at;
        if count != extension::OPTIONAL && count > 0 {
            negated |= self.take("!");
        }
        let start = start.max(self.at);
        if count == extension::OPTIONAL {
            self.skip_arguments();
        } else {
            self.at += usize::from(count);
        }
        let Some(arguments) = self.words.get(start..self.at) else {
            return Err(Fault::of(word, "an argument of this option is missing", "该选项缺少参数"));
        };
        Ok(Given { word, negated, arguments })
    }

    fn finish(mut self) -> Specification {
        for module in std::mem::take(&mut self.loaded) {
            if let Err(fault) = (module.extension.build)(&mut self.build, &module) {
                self.fault(fault);
            }
        }
        match self.target.take() {
            Some(Target::Verdict(verdict)) => self.build.parts.push(Part::Verdict(verdict)),
            Some(Target::Extension(target)) => {
                if let Err(fault) = (target.extension.build)(&mut self.build, &target) {
                    self.fault(fault);
                }
            }
            None => {}
        }
        if self.sources.len().saturating_mul(self.destinations.len()) > RULE_COUNT_MAX {
            let fault = self.wrong(
                "these lists of addresses make more than 1024 rules",
                "地址列表生成的规则超过 1024 条",
            );
            self.sources.truncate(1);
            self.destinations.truncate(1);
            self.fault(fault);
        }
        let rules = self.rules();
        Specification { rules, comment: self.build.comment, faults: self.faults }
    }

    fn rules(&mut self) -> Vec<Vec<Part>> {
        let rest = std::mem::take(&mut self.build.parts);
        if self.sources.len() <= 1 && self.destinations.len() <= 1 {
            let mut parts = Vec::with_capacity(rest.len() + 2);
            parts.append(&mut self.sources);
            parts.append(&mut self.destinations);
            parts.extend(rest);
            return vec![parts];
        }
        let one = |parts: &[Part]| {
            if parts.is_empty() { vec![None] } else { parts.iter().cloned().map(Some).collect() }
        };
        let mut rules = Vec::new();
        for source in one(&self.sources) {
            for destination in one(&self.destinations) {
                rules.push(
                    source.clone().into_iter().chain(destination).chain(rest.iter().cloned()).collect(),
                );
            }
        }
        rules
    }
}
