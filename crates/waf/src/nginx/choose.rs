//! Which server and which location a request comes to.

use super::values::Values;
use super::{Chain, Directive};
use crate::pattern::Pattern;
use crate::place::both;
use crate::request::Request;
use crate::web::WebRule;

/// How deep locations may stand in one another.
const LOCATIONS_DEPTH_MAX: usize = 32;

/// The blocks down to the server that answers for the host.
pub fn server<'a>(main: &'a [Directive], request: &Request) -> Option<Chain<'a>> {
    let http: Vec<&Directive> = main.iter().filter(|directive| directive.name() == "http").collect();
    let inside = http.iter().flat_map(|http| http.block.iter().map(|server| (Some(*http), server)));
    let bare = main.iter().map(|server| (None, server));
    let servers = inside.chain(bare).filter(|(_, server)| server.name() == "server");
    let host = String::from_utf8_lossy(request.header("host").unwrap_or_default()).to_ascii_lowercase();
    let host = host.split(':').next().unwrap_or_default().trim_end_matches('.').to_owned();
    let rank = |server: &Directive| -> usize {
        let named = server.block.iter().filter(|directive| directive.name() == "server_name");
        let best = named.flat_map(|named| named.words.iter().skip(1)).map(|name| fits(name, &host)).max();
        let default = server.block.iter().any(|directive| {
            directive.name() == "listen" && directive.words.iter().any(|word| word.starts_with("default"))
        });
        best.unwrap_or(0) * 2 + usize::from(default)
    };
    // Of equals the first counts.
    let (http, server) = servers.rev_max(rank)?;
    Some(http.into_iter().chain([server]).collect())
}

trait RevMax<'a>: Iterator<Item = (Option<&'a Directive>, &'a Directive)> + Sized {
    fn rev_max(self, rank: impl Fn(&Directive) -> usize) -> Option<Self::Item> {
        let mut best: Option<(usize, Self::Item)> = None;
        for item in self {
            let found = rank(item.1);
            if best.as_ref().is_none_or(|(most, _)| found > *most) {
                best = Some((found, item));
            }
        }
        best.map(|(_, item)| item)
    }
}

impl<'a, I: Iterator<Item = (Option<&'a Directive>, &'a Directive)>> RevMax<'a> for I {}

/// How well a name of a server fits: exactly, by a leading or trailing star (the longer the better), by a pattern.
fn fits(name: &str, host: &str) -> usize {
    const EXACT: usize = 1_000_000;
    const LEADING: usize = 10_000;
    const TRAILING: usize = 100;
    let small = name.to_ascii_lowercase();
    if small == host {
        return EXACT;
    }
    if let Some(pattern) = name.strip_prefix('~') {
        return usize::from(Pattern::any_case(pattern).is_match(host.as_bytes()) == Ok(true));
    }
    if let Some(end) = small.strip_prefix('*') {
        return if host.ends_with(end) { LEADING + end.len() } else { 0 };
    }
    // `.example.com` is the name itself and all below it.
    if small.starts_with('.') {
        return if host.ends_with(&small) || host == &small[1..] { LEADING + small.len() } else { 0 };
    }
    match small.strip_suffix('*') {
        Some(start) if host.starts_with(start) => TRAILING + start.len(),
        _ => 0,
    }
}

/// The blocks down to the location that the path comes to; and the patterns that could not be asked.
pub fn location<'a>(mut chain: Chain<'a>, values: &Values) -> (Chain<'a>, Vec<WebRule>) {
    let path = values.path();
    let mut doubts = Vec::new();
    for _ in 0..LOCATIONS_DEPTH_MAX {
        let Some(outer) = chain.last() else { break };
        let Some(found) = within(&outer.block, &path, &mut doubts) else { break };
        chain.push(found);
    }
    (chain, doubts)
}

fn within<'a>(block: &'a [Directive], path: &str, doubts: &mut Vec<WebRule>) -> Option<&'a Directive> {
    let locations: Vec<&Directive> =
        block.iter().filter(|directive| directive.name() == "location").collect();
    let of = |kind: &str| {
        locations.iter().copied().filter(move |location| location.word(1) == kind).collect::<Vec<_>>()
    };
    if let Some(exact) = of("=").into_iter().find(|location| location.word(2) == path) {
        return Some(exact);
    }
    let plain = locations
        .iter()
        .copied()
        .filter(|location| location.words.len() == 2 && !location.word(1).starts_with('@'));
    let prefixes = plain.map(|location| (location.word(1), location));
    let firm = of("^~").into_iter().map(|location| (location.word(2), location));
    let longest = prefixes
        .chain(firm)
        .filter(|(prefix, _)| path.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len());
    let longest = longest.map(|(_, location)| location);
    if longest.is_some_and(|location| location.word(1) == "^~") {
        return longest;
    }
    for location in locations.iter().copied().filter(|location| matches!(location.word(1), "~" | "~*")) {
        let text = location.word(2);
        let pattern = if location.word(1) == "~*" { Pattern::any_case(text) } else { Pattern::new(text) };
        match pattern.is_match(path.as_bytes()) {
            Ok(true) => return Some(location),
            Ok(false) => {}
            Err(_) => {
                let why = both("its pattern could not be asked", "无法判断其正则表达式");
                doubts.push(WebRule::new(&location.place, &location.text(), None, why));
            }
        }
    }
    longest
}
