//! What nginx' levels hand down: http to server to location.

use super::super::endpoint::milliseconds;
use super::super::shown;
use super::tree::Directive;
use std::collections::BTreeMap;

/// Variables remembered of one level.
const VARIABLE_COUNT_MAX: usize = 256;
/// Variables inside the values of variables.
const SUBSTITUTION_COUNT_MAX: usize = 16;
/// A value put together from variables is cut past this.
const VALUE_BYTES_MAX: usize = 4_096;
/// nginx waits this long where nothing is set, in milliseconds.
const DEFAULT_WAIT_MS: u64 = 60_000;
/// nginx' `proxy_timeout` of streams where nothing is set, in milliseconds.
const DEFAULT_STREAM_WAIT_MS: u64 = 600_000;

/// The protocols nginx speaks to a server behind it, as its directives begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Proxy,
    Grpc,
    Fastcgi,
    Uwsgi,
    Scgi,
}

impl Kind {
    const ALL: [(&'static str, Kind); 5] = [
        ("proxy_", Kind::Proxy),
        ("grpc_", Kind::Grpc),
        ("fastcgi_", Kind::Fastcgi),
        ("uwsgi_", Kind::Uwsgi),
        ("scgi_", Kind::Scgi),
    ];

    /// Splits `proxy_pass` into its protocol and `pass`.
    pub(super) fn of(name: &str) -> Option<(Kind, &str)> {
        Kind::ALL.iter().find_map(|(start, kind)| Some((*kind, name.strip_prefix(start)?)))
    }

    pub(super) fn has_host(self) -> bool {
        matches!(self, Kind::Proxy | Kind::Grpc)
    }
}

/// The settings of one protocol at one level; what is not set comes from the level above.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// The headers set at the nearest level that sets any: those above do not count then.
    headers: Option<Headers>,
    pub(super) sends_name: bool,
    pub(super) name: Option<String>,
    pub(super) verify: bool,
    connect_ms: Option<u64>,
    read_ms: Option<u64>,
    version: String,
    /// Of streams: a PROXY header, and TLS.
    pub(super) proxy_protocol: bool,
    pub(super) tls: bool,
}

#[derive(Debug, Clone, Default)]
struct Headers {
    host: Option<String>,
    connection: Option<String>,
}

impl Settings {
    pub(super) fn host(&self) -> Option<&str> {
        self.headers.as_ref()?.host.as_deref()
    }

    pub(super) fn connect_ms(&self) -> u64 {
        self.connect_ms.unwrap_or(DEFAULT_WAIT_MS)
    }

    pub(super) fn read_ms(&self, is_stream: bool) -> u64 {
        self.read_ms.unwrap_or(if is_stream { DEFAULT_STREAM_WAIT_MS } else { DEFAULT_WAIT_MS })
    }

    /// Idle connections are kept with HTTP/1.1 and without `Connection: close`, which nginx sends by itself.
    pub(super) fn keeps_alive(&self, kind: Kind) -> bool {
        match kind {
            Kind::Proxy => {
                let connection = self.headers.as_ref().and_then(|headers| headers.connection.as_deref());
                self.version == "1.1" && connection.is_some_and(|value| !value.eq_ignore_ascii_case("close"))
            }
            Kind::Grpc => true,
            Kind::Fastcgi | Kind::Uwsgi | Kind::Scgi => false,
        }
    }

    fn apply(&mut self, what: &str, directive: &Directive) {
        let wait = || milliseconds(directive.word(0), 1_000);
        match what {
            "ssl_server_name" => self.sends_name = directive.is_on(),
            "ssl_name" => self.name = Some(directive.word(0).to_owned()),
            "ssl_verify" => self.verify = directive.is_on(),
            "connect_timeout" => self.connect_ms = wait().or(self.connect_ms),
            "read_timeout" | "timeout" => self.read_ms = wait().or(self.read_ms),
            "http_version" => directive.word(0).clone_into(&mut self.version),
            "protocol" => self.proxy_protocol = directive.is_on(),
            "ssl" => self.tls = directive.is_on(),
            _ => {}
        }
    }
}

/// One level: http, server, location or a block within.
#[derive(Debug, Clone, Default)]
pub(super) struct Level {
    settings: BTreeMap<Kind, Settings>,
    /// By `set`; `None` where it has several values.
    variables: BTreeMap<String, Option<String>>,
    pub(super) refuses_unnamed: bool,
}

impl Level {
    pub(super) fn of(&self, kind: Kind) -> Settings {
        self.settings.get(&kind).cloned().unwrap_or_default()
    }

    /// The level inside of this one that these directives make.
    pub(super) fn within(&self, directives: &[Directive]) -> Level {
        let mut level = self.clone();
        let mut own: BTreeMap<Kind, Headers> = BTreeMap::new();
        let mut set: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in directives {
            match one.name.as_str() {
                "ssl_reject_handshake" => level.refuses_unnamed = one.is_on(),
                "set" => note_variable(&mut set, one),
                "if" => {
                    one.inner().iter().filter(|d| d.name == "set").for_each(|d| note_variable(&mut set, d))
                }
                _ => {}
            }
            let Some((kind, what)) = Kind::of(&one.name) else { continue };
            if what == "set_header" {
                let headers = own.entry(kind).or_default();
                match one.word(0).to_ascii_lowercase().as_str() {
                    "host" => headers.host = Some(one.word(1).to_owned()),
                    "connection" => headers.connection = Some(one.word(1).to_owned()),
                    _ => {}
                }
            } else {
                level.settings.entry(kind).or_default().apply(what, one);
            }
        }
        for (kind, headers) in own {
            level.settings.entry(kind).or_default().headers = Some(headers);
        }
        for (name, mut values) in set {
            values.dedup();
            let only = (values.len() == 1).then(|| values.swap_remove(0));
            level.variables.insert(name, only);
        }
        level
    }

    /// The text with the variables put in that have one fixed value; the others stay as written.
    pub(super) fn substituted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..SUBSTITUTION_COUNT_MAX {
            let Some((start, end, name)) =
                variables(&text).into_iter().find(|(_, _, name)| self.fixed(name).is_some())
            else {
                break;
            };
            let value = self.fixed(&name).unwrap_or_default().to_owned();
            text.replace_range(start..end, &value);
            if text.len() > VALUE_BYTES_MAX {
                return shown(&text);
            }
        }
        text
    }

    fn fixed(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.as_deref()
    }
}

fn note_variable(set: &mut BTreeMap<String, Vec<String>>, directive: &Directive) {
    const VALUE_COUNT_MAX: usize = 4;
    let name = directive.word(0).trim_start_matches('$').to_owned();
    if set.len() < VARIABLE_COUNT_MAX || set.contains_key(&name) {
        let values = set.entry(name).or_default();
        let value = directive.word(1).to_owned();
        if values.len() < VALUE_COUNT_MAX && !values.contains(&value) {
            values.push(value);
        }
    }
}

/// Where variables stand in a text: begin, end, name.
pub(super) fn variables(text: &str) -> Vec<(usize, usize, String)> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices('$').take(SUBSTITUTION_COUNT_MAX) {
        let rest = &text[start + 1..];
        let braced = rest.starts_with('{');
        let name = rest.strip_prefix('{').unwrap_or(rest);
        let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        let end = start + 1 + usize::from(braced) + length;
        let closed = if braced && text[end..].starts_with('}') { end + 1 } else { end };
        found.push((start, closed, name[..length].to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tree::parse;
    use super::*;
    use proptest::prelude::*;

    fn level(text: &str) -> Level {
        Level::default().within(&parse(text, 0).directives)
    }

    #[test]
    fn headers_of_an_inner_level_replace_all_of_the_outer() {
        let outer = level("proxy_set_header Host a.example; proxy_read_timeout 5s;");
        let same = outer.within(&parse("proxy_connect_timeout 1s;", 0).directives);
        assert_eq!(same.of(Kind::Proxy).host(), Some("a.example"));
        let other = outer.within(&parse("proxy_set_header X-Y z;", 0).directives);
        assert_eq!((other.of(Kind::Proxy).host(), other.of(Kind::Proxy).read_ms(false)), (None, 5_000));
    }

    #[test]
    fn variables_with_one_value_are_put_in() {
        let one = level("set $a origin.example; set $b \"${a}:80\";");
        assert_eq!(one.substituted("http://$b/x$uri"), "http://origin.example:80/x$uri");
        let two = level("set $a x; if ($http_y) { set $a z; }");
        assert_eq!(two.substituted("$a"), "$a");
        assert_eq!(level("set $a \"$a$a\";").substituted("$a").chars().next(), Some('$'));
    }

    proptest! {
        #[test]
        fn any_text_is_substituted(text in "(?s).{0,80}", dollars in "[${}ab_é]{0,40}") {
            let some = level("set $a b; set $b ${a}$ab;");
            let _ = (some.substituted(&text), some.substituted(&dollars));
        }
    }
}
