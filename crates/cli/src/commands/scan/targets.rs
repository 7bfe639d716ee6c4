//! The hosts written on the command line: words, lists in files, names to be resolved, and what to leave out.

use crate::commands::way::{family_of, no_address};
use crate::fail;
use crate::failure::while_trying;
use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use netwhy_model::{Case, Source};
use netwhy_scan::{Hosts, InputError, InputFault, Span, Target};
use std::collections::BTreeMap;
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

/// One word, with its place where it came from a list.
struct Word {
    text: String,
    place: Option<(String, usize)>,
}

/// Reads hosts and exclusions; names are resolved as the system does.
pub(super) async fn read(hosts: &[String], exclude: &[String], source: &Source) -> Result<Targets> {
    let (spans, names) = parsed(words(hosts)?, source)?;
    let (mut holes, hole_names) = parsed(exclusions(exclude)?, source)?;
    let found = resolved(&names, source).await?;
    for (_, addresses) in resolved(&hole_names, source).await? {
        holes.extend(addresses.into_iter().map(Span::single));
    }
    let only_name = match (&spans[..], &names[..]) {
        ([], [name]) => Some(name.clone()),
        _ => None,
    };
    let mut all = spans;
    let mut by_address = BTreeMap::new();
    for (name, addresses) in found {
        for address in addresses {
            all.push(Span::single(address));
            by_address.entry(address).or_insert_with(|| name.clone());
        }
    }
    Ok(Targets { hosts: Hosts::of(&all, &holes)?, names: by_address, only_name })
}

/// Spans, and names not resolved yet; an address of a family that was ruled out is refused.
fn parsed(words: Vec<Word>, source: &Source) -> Result<(Vec<Span>, Vec<String>)> {
    let (mut spans, mut names) = (Vec::new(), Vec::new());
    for word in words {
        match Target::parse(&word.text).map_err(|error| word.placed(error))? {
            Target::Span(span) => {
                let first = span.ends().0;
                if let Some(family) = source.family.filter(|&family| family != family_of(first)) {
                    return Err(fail(
                        (
                            format!("{} is no IPv{family} address", word.text.trim()),
                            format!("{} 不是 IPv{family} 地址", word.text.trim()),
                        ),
                        ("leave out -4, -6 or this address", "去掉 -4、-6 或该地址"),
                    ));
                }
                spans.push(span);
            }
            Target::Name(name) => names.push(name),
        }
    }
    names.sort();
    names.dedup();
    match names.len() > NAME_COUNT_MAX {
        true => Err(fail(
            (format!("{} names were given", names.len()), format!("给出了 {} 个域名", names.len())),
            (
                format!("at most {NAME_COUNT_MAX} at once; give addresses, or cut the list"),
                format!("一次最多 {NAME_COUNT_MAX} 个；请给地址，或把列表分开"),
            ),
        )),
        false => Ok((spans, names)),
    }
}

/// Every address of every name.
async fn resolved(names: &[String], source: &Source) -> Result<Vec<(String, Vec<IpAddr>)>> {
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
    stream::iter(names.to_vec()).map(resolve).buffered(NAMES_AT_ONCE).try_collect().await
}

/// The words of the command line, with `@FILE` replaced by what the file lists.
fn words(given: &[String]) -> Result<Vec<Word>> {
    let mut words = Vec::new();
    for text in given {
        match text.strip_prefix('@') {
            Some(file) => words.extend(list(file)?),
            None => words.push(Word { text: text.clone(), place: None }),
        }
    }
    Ok(words)
}

/// The same, separated by commas; an exclusion that names nothing is refused.
fn exclusions(given: &[String]) -> Result<Vec<Word>> {
    let mut all = Vec::new();
    for text in given {
        let parts: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
        let empty = || InputError { place: format!("--exclude {text:?}"), fault: InputFault::EmptyExclusion };
        if parts.iter().any(String::is_empty) {
            return Err(empty().into());
        }
        let named = words(&parts)?;
        if named.is_empty() {
            return Err(empty().into());
        }
        all.extend(named);
    }
    Ok(all)
}

/// What a file lists: words, `#` comments; `-` is stdin.
fn list(file: &str) -> Result<Vec<Word>> {
    let tried = || (format!("cannot read the list {file:?}"), format!("无法读取列表 {file:?}"));
    let mut text = String::new();
    let read = match file {
        "-" => stdin().lock().take(LIST_LENGTH_MAX + 1).read_to_string(&mut text),
        _ => File::open(file).and_then(|open| open.take(LIST_LENGTH_MAX + 1).read_to_string(&mut text)),
    };
    read.map_err(|error| while_trying(tried(), error))?;
    if text.len() as u64 > LIST_LENGTH_MAX {
        return Err(fail(
            (format!("the list {file:?} is longer than 64 MiB"), format!("列表 {file:?} 超过 64 MiB")),
            ("write ranges or blocks instead of addresses", "请写范围或地址块，而不是逐个地址"),
        ));
    }
    let lines = text.lines().enumerate();
    Ok(lines
        .flat_map(|(index, line)| {
            let bare = line.split('#').next().unwrap_or_default();
            bare.split_whitespace()
                .map(move |word| Word { text: word.to_owned(), place: Some((file.to_owned(), index + 1)) })
        })
        .collect())
}

impl Word {
    fn placed(&self, error: InputError) -> InputError {
        match &self.place {
            Some((file, line)) => error.in_line(file, *line),
            None => error,
        }
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
