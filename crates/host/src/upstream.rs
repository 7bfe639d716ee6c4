//! What the proxies of this host are configured to do: where they send requests, and what they expect.
//!
//! nginx and haproxy are read, by the files their running processes name. Parsers are pure and never fail as
//! a whole. Passwords, keys and header values other than Host stay where they are.

mod command;
mod endpoint;
mod haproxy;
mod names;
mod nginx;
mod pattern;
mod place;
mod running;

pub use names::answer as dns_answer;

use crate::files::Gaps;
use crate::text::{command_line, printable};
use netwhy_model::host::{Frontend, Unread, Upstream};
use place::Place;
use std::collections::BTreeSet;
use std::io;

/// The `why` of an unread configuration that was changed since its program read it.
pub const CHANGED_SINCE: &str = "a file was changed after the program last read it; what runs may differ";

/// Proxies read.
const FAMILY_COUNT_MAX: usize = 8;
/// Processes looked at.
const PID_COUNT_MAX: usize = 256;
/// From a worker to its master.
const PARENT_COUNT_MAX: usize = 4;
/// Servers of one proxy.
const UPSTREAM_COUNT_MAX: usize = 256;
/// Listening addresses of one proxy, by site.
const FRONTEND_COUNT_MAX: usize = 256;
/// Lines not understood of one proxy.
const TROUBLE_COUNT_MAX: usize = 16;
/// A name or path is cut past this.
const NAME_BYTES_MAX: usize = 255;

/// What the proxies behind some processes are configured to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    pub upstreams: Vec<Upstream>,
    pub frontends: Vec<Frontend>,
    pub unread: Vec<Unread>,
}

/// Reads the configuration of every nginx and haproxy among these processes and their parents.
///
/// Names are resolved as the process would resolve them now, within 600 ms for each proxy.
pub fn proxies(pids: &[u32]) -> Proxies {
    read(pids, true)
}

/// What the proxies and web servers among these processes expect on their ports; no name is resolved.
pub fn frontends(pids: &[u32]) -> Proxies {
    Proxies { upstreams: Vec::new(), ..read(pids, false) }
}

fn read(pids: &[u32], onward: bool) -> Proxies {
    let mut all = Proxies::default();
    let mut gaps = Gaps::default();
    let mut masters = BTreeSet::new();
    for pid in pids.iter().take(PID_COUNT_MAX) {
        if let Some(running) = running::Running::of(*pid)
            && masters.len() < FAMILY_COUNT_MAX
            && masters.insert(running.pid)
        {
            family(&running, pids, onward, &mut all, &mut gaps);
        }
    }
    all.unread = gaps.into_unread();
    all
}

/// Where the proxies among these processes send requests on to, and what could not be read of it.
pub fn upstreams(pids: &[u32]) -> (Vec<Upstream>, Vec<Unread>) {
    let all = proxies(pids);
    (all.upstreams, all.unread)
}

/// What one nginx configuration without includes says. Pure.
pub fn parse_nginx(text: &str) -> Proxies {
    nginx::read("nginx.conf", &mut Single(text)).into_proxies()
}

/// What one haproxy configuration says. Pure.
pub fn parse_haproxy(text: &str) -> Proxies {
    haproxy::read(&["haproxy.cfg".to_owned()], &mut Single(text)).into_proxies()
}

/// The state of each server in an answer to haproxy's `show stat`, by backend and server. Pure.
pub fn haproxy_states(answer: &str) -> std::collections::BTreeMap<(String, String), String> {
    haproxy::stats::states(answer)
}

/// The configuration files a proxy with this command line would read, likeliest first. Pure.
pub fn config_files(program: &str, arguments: &str, executable: &str) -> Vec<String> {
    if program == "haproxy" { command::haproxy(arguments) } else { command::nginx(arguments, executable) }
}

/// One proxy: its files, the names in them, and what it says of itself while it runs.
fn family(running: &running::Running, pids: &[u32], onward: bool, all: &mut Proxies, gaps: &mut Gaps) {
    let what = format!("configuration of {} (pid {})", running.program, running.pid);
    let mut place = match Place::of(running.pid, running.is_contained) {
        Ok(place) => place,
        Err(error) => return gaps.failed(what, &error),
    };
    let Some(mut found) = running.configuration(&mut place) else {
        let known = place.absolute("x").is_some();
        return gaps.note(what, "no configuration file was found where it is told to look", !known);
    };
    if running.began_s(pids).is_some_and(|began_s| place.changed_s > began_s) {
        gaps.note(&what, CHANGED_SINCE, false);
    }
    if onward {
        look_around(&mut place, &mut found, gaps);
    }
    let found = found.into_proxies();
    all.upstreams.extend(found.upstreams);
    all.frontends.extend(found.frontends);
    gaps.join(found.unread);
}

/// What the names mean now, and how the running program finds its servers.
fn look_around(place: &mut Place, found: &mut Configured, gaps: &mut Gaps) {
    let mut resolver = names::Resolver::of(place);
    for upstream in &mut found.upstreams {
        let Some(name) = &upstream.name else { continue };
        match resolver.resolve(name) {
            Some(addresses) => upstream.resolves_to = addresses,
            None => gaps.note(format!("addresses of {name}"), "no resolver answered in time", false),
        }
    }
    running::states(place, found);
}

/// Where a configuration's files are read from.
trait Files {
    fn read(&mut self, path: &str) -> io::Result<String>;
    /// The files a pattern stands for, in order.
    fn matching(&mut self, pattern: &str) -> Vec<String>;
}

/// A configuration of one file.
struct Single<'a>(&'a str);

impl Files for Single<'_> {
    fn read(&mut self, path: &str) -> io::Result<String> {
        match path {
            "nginx.conf" | "haproxy.cfg" => Ok(self.0.to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    fn matching(&mut self, _pattern: &str) -> Vec<String> {
        Vec::new()
    }
}

/// A server of haproxy's, as its statistics call it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Served {
    /// Which of the upstreams.
    at: usize,
    backend: String,
    server: String,
}

/// What one configuration says.
#[derive(Debug, Default)]
struct Configured {
    upstreams: Vec<Upstream>,
    frontends: Vec<Frontend>,
    troubles: Troubles,
    served: Vec<Served>,
    /// Where the running program answers questions about itself.
    stats_sockets: Vec<String>,
}

impl Configured {
    /// Adds a server and tells where; `None` past the limit.
    fn add_upstream(&mut self, upstream: Upstream) -> Option<usize> {
        if self.upstreams.len() >= UPSTREAM_COUNT_MAX {
            return None;
        }
        self.upstreams.push(upstream);
        Some(self.upstreams.len() - 1)
    }

    fn add_frontend(&mut self, frontend: Frontend) {
        if self.frontends.len() < FRONTEND_COUNT_MAX {
            self.frontends.push(frontend);
        }
    }

    fn into_proxies(self) -> Proxies {
        Proxies { upstreams: self.upstreams, frontends: self.frontends, unread: self.troubles.0 }
    }
}

/// Lines that were not understood.
#[derive(Debug, Default)]
struct Troubles(Vec<Unread>);

impl Troubles {
    /// Notes a line; 0 stands for the whole file.
    fn note(&mut self, file: &str, line: u32, why: &str) {
        let what = if line > 0 { format!("{file}:{line}") } else { file.to_owned() };
        let what = printable(&what, NAME_BYTES_MAX);
        if self.0.len() < TROUBLE_COUNT_MAX && !self.0.iter().any(|known| known.what == what) {
            self.0.push(Unread { what, why: why.to_owned(), root_helps: false });
        }
    }
}

fn file_trouble(troubles: &mut Troubles, path: &str, error: &io::Error) {
    troubles.note(path, 0, &printable(&error.to_string(), NAME_BYTES_MAX));
    if error.kind() == io::ErrorKind::PermissionDenied
        && let Some(last) = troubles.0.last_mut()
    {
        last.root_helps = !nix::unistd::geteuid().is_root();
    }
}

/// Text of a configuration, safe to show; a secret in an address is left out.
fn shown(text: &str) -> String {
    if text.contains("://") { command_line(text) } else { printable(text, NAME_BYTES_MAX) }
}

#[cfg(test)]
mod tests;
