//! Requests as command lines of curl, as browsers copy them.

mod build;
mod options;
mod words;

use super::{REQUESTS_COUNT_MAX, Request, Requests};
use crate::place::{Place, both};
use build::Wanted;
use netwhy_model::Text;
use options::{Opt, option};
use std::sync::Arc;

/// Words that may stand before the command: a prompt, `sudo`, a variable.
const BEFORE_COUNT_MAX: usize = 4;
/// What all requests of a text may hold, in bytes: each URL of a command has its data again.
const ALL_BYTES_MAX: usize = 1 << 28;

/// Whether a text is a command line of curl.
pub fn is_curl(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| {
        // The target of a request in raw HTTP may be called so as well.
        !line.contains(" HTTP/") && line.split_whitespace().take(BEFORE_COUNT_MAX).any(named)
    })
}

/// Whether a word calls curl.
fn named(word: &str) -> bool {
    let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
    name == "curl" || name.eq_ignore_ascii_case("curl.exe")
}

/// Reads every command of curl in a text, one request for each URL.
pub fn curl(file: &Arc<str>, text: &str) -> Requests {
    let mut read = Requests::default();
    let mut left_bytes = ALL_BYTES_MAX;
    for command in words::commands(text) {
        let place = Place::new(file, command.line, 1);
        // Before it may stand a prompt, variables, `sudo`, `time`.
        let Some(at) = command.words.iter().position(|word| named(word)) else {
            let why = both("no command of curl", "不是 curl 命令");
            read.keep(Err(why), place, &command.words.join(" "));
            continue;
        };
        let words = command.words.get(at + 1..).unwrap_or_default();
        for part in words.split(|word| word == "--next" || word == "-:") {
            match requests(part, &mut left_bytes) {
                Ok(requests) => read.requests.extend(requests),
                Err(why) => read.keep(Err(why), place.clone(), &command.words.join(" ")),
            }
            read.requests.truncate(REQUESTS_COUNT_MAX);
        }
    }
    read
}

/// The requests of one command, as far as its `--next`.
fn requests(words: &[String], left_bytes: &mut usize) -> Result<Vec<Request>, Text> {
    let mut wanted = Wanted::default();
    let mut words = words.iter();
    let mut only_urls = false;
    while let Some(word) = words.next() {
        match word.strip_prefix("--") {
            Some("") if !only_urls => only_urls = true,
            Some(name) if !only_urls => {
                // `--no-compressed` takes a switch back.
                let Some(known) = option(name) else { continue };
                let value = if known.takes { words.next().map(String::as_str) } else { None };
                set(&mut wanted, known, value)?;
            }
            None if word.len() > 1 && word.starts_with('-') && !only_urls => {
                short(&mut wanted, word.get(1..).unwrap_or_default(), &mut words)?;
            }
            _ => wanted.urls.push(word.clone()),
        }
    }
    wanted.requests(left_bytes)
}

/// `-sXPOST`: letters together, the last of them with its value behind it or as the next word.
fn short(wanted: &mut Wanted, word: &str, words: &mut std::slice::Iter<'_, String>) -> Result<(), Text> {
    for (at, letter) in word.char_indices() {
        let Some(known) = options::letter(letter) else { continue };
        if !known.takes {
            set(wanted, known, None)?;
            continue;
        }
        let behind = word.get(at + letter.len_utf8()..).unwrap_or_default();
        let value = if behind.is_empty() { words.next().map(String::as_str) } else { Some(behind) };
        return set(wanted, known, value);
    }
    Ok(())
}

fn set(wanted: &mut Wanted, known: Opt, value: Option<&str>) -> Result<(), Text> {
    match (known.takes, value) {
        (true, None) => {
            Err(both(format!("--{} has no value", known.name), format!("--{} 缺少值", known.name)))
        }
        _ => wanted.set(known.name, value.unwrap_or_default()),
    }
}
