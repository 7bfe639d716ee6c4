//! nginx: where its locations pass requests on to, and what its servers expect. Pure but for the files it is given.

mod files;
mod listen;
mod settings;
mod tree;

use super::endpoint::{Endpoint, Host, milliseconds, path_shown, split_port};
use super::{Configured, Files, Troubles, shown};
use files::Whole;
use listen::Listen;
use netwhy_model::host::{Frontend, Upstream};
use settings::{Kind, Level, Settings, variables};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use tree::Directive;

const PROGRAM: &str = "nginx";
/// Servers of one upstream block.
const SERVER_COUNT_MAX: usize = 128;
/// nginx Plus asks this often where nothing is set, in milliseconds.
const DEFAULT_CHECK_MS: u64 = 5_000;

/// Reads the configuration that begins in this file.
pub(super) fn read(main: &str, files: &mut dyn Files) -> Configured {
    let mut troubles = Troubles::default();
    let whole = files::load(main, files, &mut troubles);
    let mut walk = Walk { whole: &whole, out: Configured::default(), troubles, blocks: BTreeMap::new() };
    for one in &whole.directives {
        match one.name.as_str() {
            "http" => walk.family(one, false),
            "stream" => walk.family(one, true),
            _ => {}
        }
    }
    let Walk { mut out, troubles, .. } = walk;
    settle_defaults(&mut out.frontends);
    out.troubles = troubles;
    out
}

/// A named group of servers.
#[derive(Debug, Default)]
struct Block<'a> {
    servers: Vec<&'a Directive>,
    keepalive: u32,
}

/// One server block, as its locations need it.
struct Site {
    ports: Vec<u16>,
    names: Vec<String>,
    is_stream: bool,
}

struct Walk<'a> {
    whole: &'a Whole,
    out: Configured,
    troubles: Troubles,
    /// The groups of the family being read.
    blocks: BTreeMap<String, Block<'a>>,
}

impl<'a> Walk<'a> {
    fn family(&mut self, family: &'a Directive, is_stream: bool) {
        let top = Level::default().within(family.inner());
        self.blocks = family
            .inner()
            .iter()
            .filter(|d| d.name == "upstream")
            .map(|d| (d.word(0).to_ascii_lowercase(), Block::of(d)))
            .collect();
        for server in family.inner().iter().filter(|d| d.name == "server") {
            let level = top.within(server.inner());
            let listens = listen::listens(server);
            let mut names = listen::sites(server);
            if is_stream {
                names.clear();
            }
            let ports: BTreeSet<u16> = listens.iter().map(|listen| listen.port).collect();
            self.frontends(&listens, &names, &level);
            let site = Site { ports: ports.into_iter().collect(), names, is_stream };
            self.location(&level, server.inner(), "", &site);
        }
    }

    fn frontends(&mut self, listens: &[Listen], names: &[String], level: &Level) {
        for listen in listens {
            self.out.add_frontend(Frontend {
                program: PROGRAM.to_owned(),
                file: self.file(listen.file),
                line: listen.line,
                port: listen.port,
                address: listen.address,
                tls: listen.tls,
                proxy_protocol: listen.proxy_protocol,
                sites: names.to_vec(),
                is_default: listen.is_default,
                refuses_unnamed: level.refuses_unnamed,
            });
        }
    }

    fn location(&mut self, level: &Level, directives: &'a [Directive], path: &str, site: &Site) {
        let check = directives.iter().find(|d| d.name == "health_check").map(health_check);
        for one in directives {
            match one.name.as_str() {
                "location" => {
                    let inner = one.words.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" ");
                    self.location(&level.within(one.inner()), one.inner(), &inner, site);
                }
                "if" | "limit_except" => self.location(&level.within(one.inner()), one.inner(), path, site),
                _ => {}
            }
            if let Some((kind, "pass")) = Kind::of(&one.name)
                && !one.word(0).is_empty()
            {
                self.pass(&Pass { directive: one, kind, level, path, site, check: check.clone() });
            }
        }
    }

    fn pass(&mut self, pass: &Pass<'_, 'a>) {
        let settings = pass.level.of(pass.kind);
        let written = pass.level.substituted(pass.directive.word(0));
        let aim = Aim::of(&written, pass.kind, &settings, pass.site.is_stream);
        let base = pass.base(&aim, &settings, self.file(pass.directive.file));
        match self.blocks.get(&aim.authority.to_ascii_lowercase()) {
            Some(block) => {
                let keepalive = if settings.keeps_alive(pass.kind) { block.keepalive } else { 0 };
                let base = Upstream { keepalive, ..base };
                let mut all: Vec<Upstream> =
                    block.servers.iter().map(|server| self.server(server, &base, pass.site)).collect();
                if all.is_empty() {
                    all.push(base);
                }
                for upstream in all {
                    self.out.add_upstream(upstream);
                }
            }
            None => {
                let mut upstream = base;
                let endpoint = aim.endpoint();
                endpoint.fill(&mut upstream);
                if matches!(endpoint.host, Host::Unknown(_)) {
                    let file = self.file(pass.directive.file);
                    self.troubles.note(&file, pass.directive.line, "the server is named by a variable");
                }
                self.out.add_upstream(upstream);
            }
        }
    }

    /// One server of a group, on port 80 when it names none, whatever the scheme.
    fn server(&self, server: &Directive, base: &Upstream, site: &Site) -> Upstream {
        let mut upstream = base.clone();
        upstream.file = self.file(server.file);
        upstream.line = server.line;
        let mut endpoint = Endpoint::parse(server.word(0));
        if !site.is_stream && !matches!(endpoint.host, Host::Local(_)) {
            endpoint.port = endpoint.port.or(Some(80));
        }
        endpoint.fill(&mut upstream);
        let has = |flag: &str| server.words.iter().skip(1).any(|word| word == flag);
        upstream.backup = has("backup");
        upstream.disabled = has("down") || upstream.backup;
        upstream.connections_max = server
            .words
            .iter()
            .find_map(|word| word.strip_prefix("max_conns=")?.parse().ok())
            .filter(|most| *most > 0);
        upstream
    }

    fn file(&self, number: usize) -> String {
        shown(self.whole.files.get(number).map_or("", String::as_str))
    }
}

impl<'a> Block<'a> {
    fn of(directive: &'a Directive) -> Block<'a> {
        let inner = directive.inner();
        let keepalive = inner.iter().find(|d| d.name == "keepalive").and_then(|d| d.word(0).parse().ok());
        Block {
            servers: inner.iter().filter(|d| d.name == "server").take(SERVER_COUNT_MAX).collect(),
            keepalive: keepalive.unwrap_or(0),
        }
    }
}

/// One `proxy_pass` where it stands.
struct Pass<'w, 'a> {
    directive: &'a Directive,
    kind: Kind,
    level: &'w Level,
    path: &'w str,
    site: &'w Site,
    check: Option<(String, u64)>,
}

impl Pass<'_, '_> {
    /// All but the server.
    fn base(&self, aim: &Aim, settings: &Settings, file: String) -> Upstream {
        let has_host = self.kind.has_host() && !self.site.is_stream;
        let host = settings.host().unwrap_or("$proxy_host").to_owned();
        let host = has_host.then(|| self.level.substituted(&host));
        let (check_path, check_interval_ms) = self.check.clone().unzip();
        let sni = || self.sni(aim, settings);
        Upstream {
            program: PROGRAM.to_owned(),
            file,
            line: self.directive.line,
            listens: self.site.ports.clone(),
            sites: self.site.names.clone(),
            location: path_shown(self.path),
            tls: aim.tls,
            sni: (aim.tls && settings.sends_name).then(sni).flatten(),
            verify: aim.tls && settings.verify,
            host_sent: host.as_deref().and_then(|host| self.decided(host, aim)),
            host_header: host.map(|host| shown(&host)),
            raw: self.site.is_stream && !aim.tls,
            proxy_protocol: self.site.is_stream && settings.proxy_protocol,
            connect_timeout_ms: Some(settings.connect_ms()),
            read_timeout_ms: Some(settings.read_ms(self.site.is_stream)),
            check_path,
            check_interval_ms,
            ..Upstream::default()
        }
    }

    /// The name of the hello; nginx sends none that is an address (RFC 6066 section 3).
    fn sni(&self, aim: &Aim, settings: &Settings) -> Option<String> {
        let written = self.level.substituted(settings.name.as_deref().unwrap_or("$proxy_host"));
        let name = self.decided(&written, aim).unwrap_or(written);
        let bare = Endpoint::parse(&name);
        match bare.host {
            Host::Name(name) => Some(name),
            Host::Unknown(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// What a value comes to when it does not depend on the visitor.
    fn decided(&self, value: &str, aim: &Aim) -> Option<String> {
        const VARIABLE_COUNT_MAX: usize = 4;
        let mut value = value.to_owned();
        for _ in 0..VARIABLE_COUNT_MAX {
            let Some((start, end, name)) = variables(&value).into_iter().next() else {
                return Some(shown(&value));
            };
            let fixed = match name.as_str() {
                "proxy_host" => aim.shown_host(),
                "proxy_port" => aim.port()?.to_string(),
                "server_name" => self.site.names.first()?.clone(),
                _ => return None,
            };
            if fixed.contains('$') {
                return None;
            }
            value.replace_range(start..end, &fixed);
        }
        None
    }
}

/// What a `proxy_pass` names: scheme and server or group.
struct Aim {
    tls: bool,
    authority: String,
    /// The port of the scheme.
    default_port: Option<u16>,
}

impl Aim {
    fn of(written: &str, kind: Kind, settings: &Settings, is_stream: bool) -> Aim {
        let (scheme, rest) = written.split_once("://").unwrap_or(("", written));
        let scheme = scheme.to_ascii_lowercase();
        let tls = matches!(scheme.as_str(), "https" | "grpcs" | "suwsgi") || (is_stream && settings.tls);
        let local = rest.starts_with("unix:");
        let end = if local { rest.len() } else { rest.find(['/', '?']).unwrap_or(rest.len()) };
        let authority = rest.get(..end).unwrap_or_default();
        // nginx knows no user in an address; what stands there is nobody's business.
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let authority = without_path(authority).to_owned();
        let default_port = (kind.has_host() && !is_stream && !local).then_some(if tls { 443 } else { 80 });
        Aim { tls, authority, default_port }
    }

    fn endpoint(&self) -> Endpoint {
        let mut endpoint = Endpoint::parse(&self.authority);
        if !matches!(endpoint.host, Host::Local(_)) {
            endpoint.port = endpoint.port.or(self.default_port);
        }
        endpoint
    }

    fn port(&self) -> Option<u16> {
        self.endpoint().port
    }

    /// `$proxy_host`: as written, without the scheme's own port.
    fn shown_host(&self) -> String {
        let own = self.default_port.map(|port| format!(":{port}")).unwrap_or_default();
        shown(self.authority.strip_suffix(&own).unwrap_or(&self.authority))
    }
}

/// Leaves out a path that is a variable behind the server: `origin:8080$request_uri`.
fn without_path(authority: &str) -> &str {
    const PATHS: [&str; 4] = ["request_uri", "uri", "document_uri", "is_args"];
    let path = variables(authority).into_iter().find(|(start, _, name)| {
        let (_, port) = split_port(&authority[..*start]);
        let has_port = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        *start > 0 && (has_port || PATHS.contains(&name.as_str()))
    });
    path.map_or(authority, |(start, _, _)| &authority[..start])
}

/// nginx Plus: path and interval of its own checks.
fn health_check(directive: &Directive) -> (String, u64) {
    let value = |name: &str| directive.words.iter().find_map(|word| word.strip_prefix(name));
    let path = value("uri=").map_or_else(|| "/".to_owned(), path_shown);
    let interval = value("interval=").and_then(|text| milliseconds(text, 1_000));
    (path, interval.unwrap_or(DEFAULT_CHECK_MS))
}

/// The first server of an address takes what no other names, unless one says it does.
fn settle_defaults(frontends: &mut [Frontend]) {
    let key = |one: &Frontend| (one.address, one.port);
    let mut taken: BTreeSet<(Option<IpAddr>, u16)> =
        frontends.iter().filter(|f| f.is_default).map(key).collect();
    for one in frontends {
        if taken.insert(key(one)) {
            one.is_default = true;
        }
    }
}

#[cfg(test)]
mod tests;
