//! haproxy's proxies: what a frontend, listen or backend section says, its defaults put in. Pure.

use super::super::endpoint::{milliseconds, path_shown};
use super::super::shown;
use super::server::{Bind, Parameters, binds};
use super::words::{Line, Section};

/// Backends one frontend leads to.
const LEADS_COUNT_MAX: usize = 256;
/// `server` lines of one backend.
const SERVER_COUNT_MAX: usize = 512;

/// A frontend, listen or backend section.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxy<'a> {
    pub(super) name: String,
    pub(super) file: usize,
    pub(super) line: u32,
    pub(super) binds: Vec<Bind>,
    /// Where it leads unconditionally.
    pub(super) leads: Option<String>,
    /// Where it leads under a condition.
    pub(super) may_lead: Vec<String>,
    /// Names of backends are put together at run time.
    pub(super) is_dynamic: bool,
    /// It can answer by itself: redirects, fixed pages, statistics.
    pub(super) answers: bool,
    pub(super) disabled: bool,
    /// `server`, `server-template` and `dispatch` lines.
    pub(super) servers: Vec<&'a Line>,
    pub(super) settings: Settings,
}

/// What a defaults section can hand down.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) is_http: bool,
    pub(super) connect_ms: Option<u64>,
    pub(super) read_ms: Option<u64>,
    /// The path of an HTTP check; `None` for a bare connect.
    pub(super) check_path: Option<String>,
    pub(super) server: Parameters,
    pub(super) host: Option<String>,
    leads: Option<String>,
    never_reuses: bool,
    closes: bool,
    expects_proxy: bool,
}

impl Settings {
    pub(super) fn keepalive(&self, pool_max: Option<u32>) -> u32 {
        if self.is_http && !self.never_reuses && !self.closes { pool_max.unwrap_or(u32::MAX) } else { 0 }
    }

    /// The settings with the lines of a section put over them.
    pub(super) fn over(&self, lines: &[Line]) -> Settings {
        let mut settings = self.clone();
        lines.iter().for_each(|line| settings.apply(line));
        settings
    }

    fn apply(&mut self, line: &Line) {
        match (line.word(0), line.word(1)) {
            ("mode", mode) => self.is_http = mode == "http",
            ("timeout", "connect") => self.connect_ms = milliseconds(line.word(2), 1).or(self.connect_ms),
            ("timeout", "server") => self.read_ms = milliseconds(line.word(2), 1).or(self.read_ms),
            ("default_backend", name) => self.leads = Some(name.to_owned()),
            ("default-server", _) => self.server.apply(line, 1),
            ("http-reuse", how) => self.never_reuses = how == "never",
            ("option", "httpclose" | "http-server-close" | "forceclose") => self.closes = true,
            ("option", "http-keep-alive") => self.closes = false,
            ("option", "httpchk") => self.check_path = Some(httpchk(line)),
            (
                "option",
                "tcp-check" | "ssl-hello-chk" | "mysql-check" | "pgsql-check" | "redis-check" | "smtpchk"
                | "ldap-check",
            ) => self.check_path = None,
            ("no", "option") if line.word(2) == "httpchk" => self.check_path = None,
            ("http-check", "send") if self.check_path.is_some() => {
                let uri = line.words.iter().skip_while(|word| *word != "uri").nth(1);
                self.check_path = uri.map(|uri| path_shown(uri)).or(self.check_path.take());
            }
            ("http-request", "set-header") if line.word(2).eq_ignore_ascii_case("host") => {
                self.host = Some(host(line))
            }
            ("tcp-request", "connection") if line.word(2) == "expect-proxy" && !line.is_conditional() => {
                self.expects_proxy = true;
            }
            _ => {}
        }
    }
}

impl<'a> Proxy<'a> {
    /// Reads a section over the defaults that hold for it.
    pub(super) fn of(section: &'a Section, defaults: &Settings) -> Proxy<'a> {
        let settings = defaults.over(&section.lines);
        let mut proxy = Proxy {
            name: section.name().to_owned(),
            file: section.head.file,
            line: section.head.line,
            leads: settings.leads.clone(),
            ..Proxy::default()
        };
        // An old form: `listen name address:port`.
        if section.kind() != "backend" && section.head.word(2).contains(':') {
            proxy.binds = binds(&section.head, section.head.word(2), 3);
        }
        section.lines.iter().for_each(|line| proxy.line(line));
        if settings.expects_proxy {
            proxy.binds.iter_mut().for_each(|bind| bind.accepts_proxy = true);
        }
        proxy.settings = settings;
        proxy
    }

    fn line(&mut self, line: &'a Line) {
        match (line.word(0), line.word(1)) {
            ("bind", addresses) => self.binds.extend(binds(line, addresses, 2)),
            ("use_backend", name) if name.contains('%') => self.is_dynamic = true,
            ("default_backend", name) if name.contains('%') => {
                self.is_dynamic = true;
                self.leads = None;
            }
            ("use_backend", name) if !line.is_conditional() => self.leads = Some(name.to_owned()),
            ("use_backend", name) if self.may_lead.len() < LEADS_COUNT_MAX => {
                self.may_lead.push(name.to_owned())
            }
            ("server" | "server-template" | "dispatch", _) if self.servers.len() < SERVER_COUNT_MAX => {
                self.servers.push(line);
            }
            ("disabled", _) => self.disabled = true,
            ("redirect", _)
            | ("http-request", "return" | "redirect" | "use-service")
            | ("stats", "enable" | "uri")
            | ("option", "transparent" | "http_proxy") => self.answers = true,
            ("http-request", "deny" | "tarpit" | "reject") if !line.is_conditional() => self.answers = true,
            _ => {}
        }
    }
}

/// Method and path of `option httpchk [METHOD] [PATH] [VERSION]`.
fn httpchk(line: &Line) -> String {
    match (line.word(2), line.word(3)) {
        ("", _) => "/".to_owned(),
        (path, "") => path_shown(path),
        (_, path) => path_shown(path),
    }
}

/// A Host header as written; one that holds only sometimes is marked so.
fn host(line: &Line) -> String {
    let value = line.word(3);
    if line.is_conditional() { shown(&format!("{value} if …")) } else { shown(value) }
}
