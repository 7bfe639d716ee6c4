//! Access logs of nginx and Apache as text: common, combined, with the host before or behind, with times of requests.

use super::event::{Ending, Event, Method, Server, USER_BYTES_MAX, Visit, WORD_BYTES_MAX, What, clean};
use super::line::Place;
use super::probe;
use super::time::Clock;
use super::words::{address, quoted, word};
use crate::record::Address;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many words stand before the time or between time and request.
const PREFIX_WORD_COUNT_MAX: usize = 12;
/// How many words stand behind the byte count.
const SUFFIX_WORD_COUNT_MAX: usize = 40;

/// Reads one line; `None` where it has not the shape.
pub fn read(text: &str, clock: &Clock, server: Server, place: &Place) -> Option<Event> {
    let (before, time_ms, behind) = find_time(text, clock)?;
    if let Some(event) = proxy_manager(behind, time_ms, place) {
        return Some(event);
    }
    let request_at = behind.find('"')?;
    let mut line = Line { visit: Visit { server, ..Visit::default() }, ..Line::default() };
    line.prefix(before);
    line.between(&behind[..request_at]);
    let (request, rest) = quoted(&behind[request_at..])?;
    let (status, rest) = word(rest);
    // `"-" 408 -`: no request was read.
    line.visit.status = match status {
        "-" => 0,
        digits => digits.parse().ok().filter(|status| *status < 1000)?,
    };
    let (bytes, rest) = word(rest);
    line.visit.bytes = match bytes {
        "-" | "" => 0,
        digits => digits.parse().ok()?,
    };
    read_request(request, &mut line.visit);
    line.suffix(rest);
    line.finish(time_ms, place)
}

#[derive(Default)]
struct Line {
    visit: Visit,
    client: Option<(Address, u16)>,
    host: Box<str>,
    named: bool,
}

impl Line {
    /// `[host] client ident user`, or nothing.
    fn prefix(&mut self, text: &str) {
        let mut words = [""; PREFIX_WORD_COUNT_MAX];
        let mut count = 0;
        for part in text.split_ascii_whitespace().take(PREFIX_WORD_COUNT_MAX) {
            words[count] = part;
            count += 1;
        }
        let words = &words[..count];
        // `client ident user` with the host before it or not; more words are another program's sentence.
        let found = words.iter().take(2).position(|word| address(word.trim_end_matches(',')).is_some());
        self.named = (3..=4).contains(&count);
        let Some(at) = found else {
            return;
        };
        self.client = address(words[at].trim_end_matches(','));
        if at > 0 {
            self.host = clean(words[at - 1], WORD_BYTES_MAX);
        }
        if let Some(user) = words.get(at + 2..).and_then(<[&str]>::last)
            && *user != "-"
            && address(user.trim_end_matches(',')).is_none()
        {
            self.visit.user = clean(user, USER_BYTES_MAX);
        }
    }

    /// Words between the time and the request, in formats that begin with the time.
    fn between(&mut self, text: &str) {
        for part in text.split_ascii_whitespace().take(PREFIX_WORD_COUNT_MAX) {
            match address(part) {
                Some(told) if self.client.is_none() => self.client = Some(told),
                Some(_) => {}
                None => match seconds(part) {
                    Some(ms) => self.visit.duration_ms = Some(ms),
                    None if self.host.is_empty() && part.len() > 1 && part.contains('.') => {
                        self.host = clean(part, WORD_BYTES_MAX);
                    }
                    None => {}
                },
            }
        }
    }

    /// Referrer, user agent, forwarded addresses, times, and the words that some formats name.
    fn suffix(&mut self, text: &str) {
        let mut rest = text.trim_start_matches(' ');
        let mut quoted_count = 0;
        for _ in 0..SUFFIX_WORD_COUNT_MAX {
            if rest.is_empty() {
                return;
            }
            if let Some((inside, behind)) = quoted(rest) {
                self.quoted(inside, quoted_count);
                quoted_count += 1;
                rest = behind.trim_start_matches(' ');
                continue;
            }
            let (bare, behind) = match rest.split_once('=') {
                Some((name, value)) if is_name(name) => match quoted(value) {
                    Some((inside, behind)) => {
                        self.named_value(name, inside);
                        ("", behind)
                    }
                    None => word(rest),
                },
                _ => word(rest),
            };
            self.bare(bare, behind.trim().is_empty());
            rest = behind.trim_start_matches(' ');
        }
    }

    fn quoted(&mut self, inside: &str, place: usize) {
        match place {
            // The referrer may hold secrets in its query and is not kept.
            0 => {}
            1 => self.visit.agent = clean(if inside == "-" { "" } else { inside }, WORD_BYTES_MAX),
            _ => {
                let first = inside.split(',').next().unwrap_or_default().trim();
                match (address(first), seconds(first)) {
                    (Some((told, _)), _) if self.visit.forwarded.is_none() => {
                        self.visit.forwarded = Some(told)
                    }
                    (_, Some(ms)) if self.visit.duration_ms.is_none() => self.visit.duration_ms = Some(ms),
                    _ => {}
                }
            }
        }
    }

    fn bare(&mut self, text: &str, is_last: bool) {
        if let Some((name, value)) = text.split_once('=') {
            self.named_value(name, value);
        } else if self.visit.duration_ms.is_none() {
            if let Some(ms) = seconds(text) {
                self.visit.duration_ms = Some(ms);
            } else if self.visit.server == Server::Apache
                && is_last
                && let Ok(microseconds) =
                    text.trim_start_matches("**").split('/').next_back().unwrap_or("").parse::<u64>()
            {
                // Apache's %D stands last; nginx has no such number.
                self.visit.duration_ms = Some((microseconds / 1000).min(u64::from(u32::MAX)) as u32);
            }
        }
    }

    fn named_value(&mut self, name: &str, value: &str) {
        match name {
            "rt" | "request_time" | "req_time" => {
                self.visit.duration_ms = seconds(value).or(self.visit.duration_ms)
            }
            "host" | "vhost" if self.host.is_empty() => self.host = clean(value, WORD_BYTES_MAX),
            "ua" | "agent" => self.visit.agent = clean(value, WORD_BYTES_MAX),
            _ => {}
        }
    }

    fn finish(mut self, time_ms: i64, place: &Place) -> Option<Event> {
        if self.client.is_none() && !self.named {
            return None;
        }
        settle(&mut self.visit);
        Some(place.event(time_ms, self.client.unwrap_or_default(), self.host, What::Visit(self.visit)))
    }
}

/// `[10/Feb/2024:21:25:00 +0100] - 200 200 - GET https host "/path" [Client 1.2.3.4] [Length 2] … "agent" "referrer"`.
fn proxy_manager(text: &str, time_ms: i64, place: &Place) -> Option<Event> {
    let (head, rest) = text.split_at(text.find(" \"")?);
    let (path, rest) = quoted(&rest[1..])?;
    let client = rest.trim_start().strip_prefix("[Client ")?;
    let (client, rest) = client.split_once(']')?;
    let mut words = head.split_ascii_whitespace().rev();
    let (host, _scheme, method) = (words.next()?, words.next()?, words.next()?);
    let status = words.find_map(|word| word.parse::<u16>().ok())?;
    let mut visit = Visit { server: Server::Nginx, status, ..Visit::default() };
    visit.method = Method::read(method).unwrap_or(Method::Garbage);
    target(path, &mut visit);
    if let Some((_, length)) = rest.split_once("[Length ") {
        visit.bytes = length.split(']').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
    }
    if let Some((agent, _)) = rest.find('"').and_then(|at| quoted(&rest[at..])) {
        visit.agent = clean(agent, WORD_BYTES_MAX);
    }
    settle(&mut visit);
    Some(place.event(time_ms, address(client.trim())?, clean(host, WORD_BYTES_MAX), What::Visit(visit)))
}

/// Finds `[time]` among the first words: what stands before it, the time, what stands behind it.
fn find_time<'a>(text: &'a str, clock: &Clock) -> Option<(&'a str, i64, &'a str)> {
    let mut from = 0;
    for _ in 0..4 {
        let at = from + text[from..].find('[')?;
        // A quote before the time: the request of another format, whose text is anybody's.
        if text[from..at].contains('"') {
            return None;
        }
        if let Some((time_ms, rest)) = clock.leading(&text[at + 1..])
            && let Some(behind) = rest.strip_prefix(']')
        {
            return Some((&text[..at], time_ms, behind));
        }
        from = at + 1;
    }
    None
}

/// Reads `GET /path?query HTTP/1.1` into a visit.
pub fn read_request(request: &str, visit: &mut Visit) {
    if request.is_empty() || request == "-" || request == "<BADREQ>" {
        return;
    }
    let (method, rest) = request.split_once(' ').unwrap_or((request, ""));
    let Some(method) = Method::read(method).filter(|_| !rest.is_empty()) else {
        (visit.method, visit.probe) = (Method::Garbage, true);
        visit.path = clean(request.split('?').next().unwrap_or_default(), 64);
        return;
    };
    visit.method = method;
    let path = rest.rsplit_once(" HTTP/").map_or(rest, |(path, _)| path);
    target(path, visit);
}

/// Reads the target of a request: the path is kept, the query only as a number.
pub fn target(text: &str, visit: &mut Visit) {
    let (path, query) = match text.split_once(['?', '#']) {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    visit.path = clean(path, WORD_BYTES_MAX);
    visit.query = query.map_or(0, number_of);
    visit.probe = visit.method == Method::Connect || probe::asks(text);
}

fn number_of(text: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    (hasher.finish() as u32).max(1)
}

/// How a request ended, as its status tells.
pub fn settle(visit: &mut Visit) {
    visit.ending = match visit.status {
        408 => Ending::ClientTimedOut,
        499 => Ending::ClientAborted,
        504 => Ending::ServerTimedOut,
        502 => Ending::ServerFailed,
        _ => Ending::Complete,
    };
}

/// `0.003`: seconds with a fraction, which is how nginx writes times; as milliseconds.
pub fn seconds(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.')?;
    let digits =
        |part: &str| !part.is_empty() && part.len() <= 7 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let ms =
        fraction.bytes().chain(*b"000").take(3).fold(0u32, |ms, digit| ms * 10 + u32::from(digit - b'0'));
    whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(ms)
}

fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
