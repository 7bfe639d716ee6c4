//! The hosts written on the command line: words, lists in files, names to be resolved, and what to leave out.

use crate::commands::way::{family_of, no_address};
use crate::fail;
use crate::failure::while_trying;
use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use netwhy_model::{Case, Source};
use netwhy_scan::{Hosts, InputError, InputFault, Span, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, stdin};
use std::net::IpAddr;

/// Longest list read from a file, in bytes.
const LIST_LENGTH_MAX: u64 = 64 << 20;
/// Names resolved for one scan.
const NAME_COUNT_MAX: usize = 4096;
/// Names resolved at once.
const NAMES_AT_ONCE: usize = 16;

/// What was written, resolved.
#[derive(Debug, Default)]
pub(super) struct Targets {
    pub hosts: Hosts,
    /// The name each address was resolved from.
    pub names: BTreeMap<IpAddr, String>,
    /// The only name written, which TLS and HTTP are asked by.
    pub only_name: Option<String>,
}

/// What the words name, before names are resolved.
struct Gathered<'a> {
    source: &'a Source,
    spans: Vec<Span>,
    names: BTreeSet<String>,
    /// What is left out may be of any size and family.
    excludes: bool,
}

/// Reads hosts and exclusions; names are resolved as the system does.
pub(super) async fn read(hosts: &[String], exclude: &[String], source: &Source) -> Result<Targets> {
    let (mut wanted, mut holes) = (Gathered::new(source), Gathered::new(source));
    holes.excludes = true;
    for text in hosts {
        wanted.take(text)?;
    }
    for text in exclude {
        holes.exclude(text)?;
    }
    let only_name = match (wanted.spans.is_empty(), wanted.names.len()) {
        (true, 1) => wanted.names.first().cloned(),
        _ => None,
    };
    let mut names = BTreeMap::new();
    for (name, addresses) in resolved(&wanted.names, source).await? {
        for address in addresses {
            wanted.spans.push(Span::single(address));
            names.entry(address).or_insert_with(|| name.clone());
        }
    }
    for (_, addresses) in resolved(&holes.names, source).await? {
        holes.spans.extend(addresses.into_iter().map(Span::single));
    }
    Ok(Targets { hosts: Hosts::of(&wanted.spans, &holes.spans)?, names, only_name })
}

impl<'a> Gathered<'a> {
    fn new(source: &'a Source) -> Self {
        Self { source, spans: Vec::new(), names: BTreeSet::new(), excludes: false }
    }

    fn len(&self) -> usize {
        self.spans.len() + self.names.len()
    }

    /// Takes a word of the command line; `@FILE` stands for what the file lists.
    fn take(&mut self, text: &str) -> Result<()> {
        let Some(file) = text.strip_prefix('@') else { return self.word(text, None) };
        for (index, line) in list(file)?.lines().enumerate() {
            let bare = line.split('#').next().unwrap_or_default();
            for word in bare.split_whitespace() {
                self.word(word, Some((file, index + 1)))?;
            }
        }
        Ok(())
    }

    /// The same, separated by commas; an exclusion that names nothing is refused.
    fn exclude(&mut self, text: &str) -> Result<()> {
        for part in text.split(',').map(str::trim) {
            let before = self.len();
            if !part.is_empty() {
                self.take(part)?;
            }
            // A name or address excluded twice names something all the same.
            let names_something = self.len() > before || (!part.is_empty() && !part.starts_with('@'));
            if !names_something {
                let place = format!("--exclude {text:?}");
                return Err(InputError { place, fault: InputFault::EmptyExclusion }.into());
            }
        }
        Ok(())
    }

    /// Takes one target; an address of a family that was ruled out is refused.
    fn word(&mut self, text: &str, place: Option<(&str, usize)>) -> Result<()> {
        let placed = |error: InputError| match place {
            Some((file, line)) => error.in_line(file, line),
            None => error,
        };
        let parse = if self.excludes { Target::parse_exclusion } else { Target::parse };
        match parse(text).map_err(placed)? {
            Target::Span(span) => {
                if !self.excludes {
                    self.check_family(text, span)?;
                }
                self.spans.push(span);
            }
            Target::Name(name) => {
                self.names.insert(name);
                self.check_names()?;
            }
        }
        Ok(())
    }

    fn check_family(&self, text: &str, span: Span) -> Result<()> {
        let of = family_of(span.ends().0);
        match self.source.family.filter(|&family| family != of) {
            Some(family) => Err(fail(
                (format!("{text} is no IPv{family} address"), format!("{text} 不是 IPv{family} 地址")),
                ("leave out -4, -6 or this address", "去掉 -4、-6 或该地址"),
            )),
            None => Ok(()),
        }
    }

    fn check_names(&self) -> Result<()> {
        match self.names.len() > NAME_COUNT_MAX {
            true => Err(fail(
                (
                    format!("more than {NAME_COUNT_MAX} names were given"),
                    format!("给出了多于 {NAME_COUNT_MAX} 个域名"),
                ),
                ("give addresses, or cut the list", "请给地址，或把列表分开"),
            )),
            false => Ok(()),
        }
    }
}

/// Every address of every name.
async fn resolved(names: &BTreeSet<String>, source: &Source) -> Result<Vec<(String, Vec<IpAddr>)>> {
    let resolve = |name: String| async move {
        let mut case = Case::new(format!("https://{name}").parse::<netwhy_model::Target>()?);
        case.source = source.clone();
        let mut addresses = netwhy_dns::names(&case).await.addresses;
        addresses.retain(|&address| source.family.is_none_or(|family| family == family_of(address)));
        match addresses.is_empty() {
            true => Err(no_address(&case.target.host, source.family)),
            false => Ok((name, addresses)),
        }
    };
    stream::iter(names.clone()).map(resolve).buffered(NAMES_AT_ONCE).try_collect().await
}

/// The text of a list; `-` is stdin.
fn list(file: &str) -> Result<String> {
    let tried = || (format!("cannot read the list {file:?}"), format!("无法读取列表 {file:?}"));
    let mut text = String::new();
    let read = match file {
        "-" => stdin().lock().take(LIST_LENGTH_MAX + 1).read_to_string(&mut text),
        _ => File::open(file).and_then(|open| open.take(LIST_LENGTH_MAX + 1).read_to_string(&mut text)),
    };
    read.map_err(|error| while_trying(tried(), error))?;
    match text.len() as u64 > LIST_LENGTH_MAX {
        true => Err(fail(
            (format!("the list {file:?} is longer than 64 MiB"), format!("列表 {file:?} 超过 64 MiB")),
            ("write ranges or blocks instead of addresses", "请写范围或地址块，而不是逐个地址"),
        )),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(hosts: &[&str], exclude: &[&str]) -> Result<Targets> {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(read(&owned(hosts), &owned(exclude), &Source::default()))
    }

    #[test]
    fn lists_name_their_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.txt");
        std::fs::write(&path, "# ours\n10.0.0.1 10.0.0.2 # two\n\n10.0.0.8/30\n").unwrap();
        let word = format!("@{}", path.display());
        let targets = reading(&[&word], &["10.0.0.9,10.0.0.10"]).unwrap();
        let hosts: Vec<String> = targets.hosts.iter().map(|host| host.to_string()).collect();
        assert_eq!(hosts, ["10.0.0.1", "10.0.0.2", "10.0.0.8", "10.0.0.11"]);
        std::fs::write(&path, "10.0.0.1\n10.0.0.300\n").unwrap();
        let error = reading(&[&word], &[]).unwrap_err().to_string();
        assert!(error.ends_with("list.txt:2: 10.0.0.300: no address, range, block or name"), "{error}");
    }

    #[test]
    fn an_exclusion_names_something() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.txt");
        std::fs::write(&empty, "# nothing\n").unwrap();
        for exclusion in ["", " ", "10.0.0.1,", &format!("@{}", empty.display())] {
            let error = reading(&["10.0.0.0/24"], &[exclusion]).unwrap_err().to_string();
            assert!(error.ends_with("an empty exclusion"), "{exclusion:?}: {error}");
        }
    }
}
