//! The extensions of xtables: which options each takes, and who turns them into parts.

use super::build::{Build, Fault};
use super::words::Word;
use super::{headers, matches, opaque, ports, rates, targets, tracking};

/// An option that takes words up to the next option.
pub(super) const OPTIONAL: u8 = u8::MAX;

type Builder = fn(&mut Build<'_>, &Loaded<'_>) -> Result<(), Fault>;

/// A match or a target.
pub(super) struct Extension {
    pub name: &'static str,
    /// Options, and how many words each takes.
    pub options: &'static [(&'static str, u8)],
    pub build: Builder,
}

impl Extension {
    /// How many words the option takes, if this extension has it.
    pub fn takes(&self, option: &str) -> Option<u8> {
        if std::ptr::eq(self, &raw const STRANGE) {
            return Some(OPTIONAL);
        }
        self.options.iter().find(|(name, _)| *name == option).map(|(_, count)| *count)
    }
}

/// An extension in a rule, with the options given to it.
pub(super) struct Loaded<'w> {
    pub extension: &'static Extension,
    pub word: &'w Word<'w>,
    pub options: Vec<Given<'w>>,
}

impl<'w> Loaded<'w> {
    pub fn new(extension: &'static Extension, word: &'w Word<'w>) -> Loaded<'w> {
        Loaded { extension, word, options: Vec::new() }
    }

    pub fn get(&self, option: &str) -> Option<&Given<'w>> {
        self.options.iter().find(|given| given.word.text == option)
    }

    pub fn has(&self, option: &str) -> bool {
        self.get(option).is_some()
    }

    pub fn fault(&self, en: &str, zh: &str) -> Fault {
        Fault::of(self.word, en, zh)
    }

    /// An extension that is nothing without one of its options.
    pub fn needs_options(&self) -> Result<(), Fault> {
        if self.options.is_empty() {
            return Err(self.fault("this extension needs one of its options", "该扩展缺少必需的选项"));
        }
        Ok(())
    }

    /// As written, for what cannot be modelled.
    pub fn text(&self) -> String {
        let mut text = self.extension.name.to_owned();
        for given in &self.options {
            text.push_str(if given.negated { " ! " } else { " " });
            text.push_str(given.name());
            for word in given.arguments {
                text.push(' ');
                text.push_str(&word.text);
            }
        }
        text
    }
}

/// One option as given.
pub(super) struct Given<'w> {
    pub word: &'w Word<'w>,
    pub negated: bool,
    pub arguments: &'w [Word<'w>],
}

impl<'w> Given<'w> {
    pub fn name(&self) -> &'w str {
        &self.word.text
    }

    /// The first argument; an empty text where there is none.
    pub fn text(&self) -> &'w str {
        self.arguments.first().map_or("", |word| &word.text)
    }

    pub fn wrong(&self, en: &str, zh: &str) -> Fault {
        Fault::of(self.arguments.first().unwrap_or(self.word), en, zh)
    }

    pub fn bad_value(&self) -> Fault {
        self.wrong("this value is not understood", "无法理解该值")
    }

    /// A whole number up to a limit; decimal, `0x` and octal.
    pub fn number(&self, max: u64) -> Result<u128, Fault> {
        whole(self.text()).filter(|value| *value <= max).map(u128::from).ok_or_else(|| self.bad_value())
    }

    /// `a:b`, `a:`, `:b`, `a`.
    pub fn range(&self, max: u64) -> Result<(u128, u128), Fault> {
        span(self.text(), ':', max).ok_or_else(|| self.bad_value())
    }

    /// `value` or `value/mask`.
    pub fn masked(&self, max: u64) -> Result<(u128, Option<u128>), Fault> {
        let part = |text| whole(text).filter(|value| *value <= max).map(u128::from);
        let read = match self.text().split_once('/') {
            None => part(self.text()).map(|value| (value, None)),
            Some((value, mask)) => part(value).zip(part(mask)).map(|(value, mask)| (value, Some(mask))),
        };
        read.ok_or_else(|| self.bad_value())
    }
}

/// A whole number; decimal, `0x…` and octal.
pub(super) fn whole(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok();
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => u64::from_str_radix(digits, 8).ok(),
        _ => text.parse().ok(),
    }
}

/// Two numbers with a mark between; a missing one is the least or the greatest.
pub(super) fn span(text: &str, between: char, max: u64) -> Option<(u128, u128)> {
    let (first, last) = text.split_once(between).unwrap_or((text, text));
    let first = if first.is_empty() { 0 } else { whole(first)? };
    let last = if last.is_empty() { max } else { whole(last)? };
    (first <= last && last <= max && !text.is_empty()).then_some((first.into(), last.into()))
}

/// A match nobody here knows: it takes every option.
pub(super) static STRANGE: Extension = Extension { name: "match", options: &[], build: opaque::strange };

/// The match that `-p` brings with it.
pub(super) fn of_protocol(number: u8) -> Option<&'static Extension> {
    let name = match number {
        6 => "tcp",
        17 => "udp",
        1 => "icmp",
        58 => "icmp6",
        33 => "dccp",
        132 => "sctp",
        136 => "udplite",
        50 => "esp",
        51 => "ah",
        108 => "ipcomp",
        135 => "mh",
        _ => return None,
    };
    find_match(name)
}

pub(super) fn find_match(name: &str) -> Option<&'static Extension> {
    let name = match name {
        "icmpv6" | "ipv6-icmp" => "icmp6",
        "ipv6-mh" | "mobility-header" => "mh",
        other => other,
    };
    [ports::MATCHES, matches::MATCHES, tracking::MATCHES, rates::MATCHES, headers::MATCHES, opaque::MATCHES]
        .iter()
        .find_map(|list| list.iter().find(|extension| extension.name == name))
}

pub(super) fn find_target(name: &str) -> Option<&'static Extension> {
    targets::TARGETS.iter().chain(targets::ASIDE).find(|extension| extension.name == name)
}
