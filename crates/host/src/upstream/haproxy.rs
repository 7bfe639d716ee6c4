//! haproxy: where its frontends lead, and what they expect. Pure but for the files it is given.

mod proxy;
mod server;
pub(super) mod stats;
mod words;

use super::endpoint::Endpoint;
use super::{Configured, Files, Served, Troubles, file_trouble, shown};
use netwhy_model::host::{Frontend, Upstream};
use proxy::{Proxy, Settings};
use server::endpoint;
use std::collections::{BTreeMap, BTreeSet};
use words::{Line, Section};

const PROGRAM: &str = "haproxy";
/// Stands as the location where a condition decides.
const CONDITION: &str = "~ use_backend";
/// Statistics sockets tried.
const SOCKET_COUNT_MAX: usize = 4;

/// Reads a configuration out of its files, in order.
pub(super) fn read(paths: &[String], files: &mut dyn Files) -> Configured {
    let mut troubles = Troubles::default();
    let mut sections = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        match files.read(path) {
            Ok(text) => {
                for line in words::parse(&text, number, &mut sections) {
                    troubles.note(path, line, "a line outside of any section");
                }
            }
            Err(error) => file_trouble(&mut troubles, path, &error),
        }
    }
    let mut walk =
        Walk { paths, out: Configured::default(), troubles, backends: BTreeMap::new(), verifies: true };
    walk.globals(&sections);
    walk.proxies(&sections);
    let Walk { mut out, troubles, .. } = walk;
    out.troubles = troubles;
    out
}

struct Walk<'a> {
    paths: &'a [String],
    out: Configured,
    troubles: Troubles,
    backends: BTreeMap<String, Proxy<'a>>,
    /// What counts where a server line says nothing of it.
    verifies: bool,
}

impl<'a> Walk<'a> {
    fn globals(&mut self, sections: &[Section]) {
        for line in sections.iter().filter(|s| s.kind() == "global").flat_map(|s| &s.lines) {
            match (line.word(0), line.word(1)) {
                ("ssl-server-verify", how) => self.verifies = how != "none",
                ("stats", "socket") => {
                    let path = line.word(2);
                    let path = path.strip_prefix("unix@").unwrap_or(path);
                    if path.starts_with('/') && self.out.stats_sockets.len() < SOCKET_COUNT_MAX {
                        self.out.stats_sockets.push(path.to_owned());
                    }
                }
                _ => {}
            }
        }
    }

    fn proxies(&mut self, sections: &'a [Section]) {
        let mut named: BTreeMap<&str, Settings> = BTreeMap::new();
        let mut last = Settings::default();
        let mut fronts = Vec::new();
        for section in sections {
            // `from NAME` chooses among the defaults; else the nearest before counts.
            let from = section.head.words.iter().skip_while(|word| *word != "from").nth(1);
            let base = from.and_then(|name| named.get(name.as_str()));
            match section.kind() {
                "defaults" => {
                    last = base.cloned().unwrap_or_default().over(&section.lines);
                    named.insert(section.name(), last.clone());
                }
                "frontend" => fronts.push(Proxy::of(section, base.unwrap_or(&last))),
                kind @ ("listen" | "backend") => {
                    let proxy = Proxy::of(section, base.unwrap_or(&last));
                    if kind == "listen" {
                        fronts.push(proxy.clone());
                    }
                    self.backends.insert(proxy.name.clone(), proxy);
                }
                _ => {}
            }
        }
        for front in fronts.iter().filter(|front| !front.disabled) {
            self.frontends(front);
            self.leads(front);
        }
    }

    fn frontends(&mut self, front: &Proxy<'_>) {
        for bind in &front.binds {
            self.out.add_frontend(Frontend {
                program: PROGRAM.to_owned(),
                file: self.file(bind.file),
                line: bind.line,
                port: bind.port,
                address: bind.address,
                tls: bind.tls,
                proxy_protocol: bind.accepts_proxy,
                sites: Vec::new(),
                is_default: true,
                refuses_unnamed: bind.strict,
            });
        }
    }

    /// Adds every server that visitors of this frontend can be sent to.
    fn leads(&mut self, front: &Proxy<'a>) {
        let ports: BTreeSet<u16> = front.binds.iter().map(|bind| bind.port).collect();
        let ports: Vec<u16> = ports.into_iter().collect();
        let own = (!front.servers.is_empty() && self.backends.contains_key(&front.name))
            .then(|| front.name.clone());
        let sure = own.or_else(|| front.leads.clone());
        let mut maybe: BTreeSet<String> = front.may_lead.iter().cloned().collect();
        if front.is_dynamic {
            let known = self.backends.values().filter(|backend| backend.binds.is_empty());
            maybe.extend(known.map(|backend| backend.name.clone()));
            self.troubles.note(&self.file(front.file), front.line, "a backend is named at run time");
        }
        let before = self.out.upstreams.len();
        if let Some(name) = &sure {
            let location = if maybe.is_empty() { "" } else { CONDITION };
            self.backend(front, name, &ports, location);
        }
        for name in maybe.iter().filter(|name| sure.as_ref() != Some(name)) {
            self.backend(front, name, &ports, CONDITION);
        }
        // A frontend that leads nowhere and says nothing by itself.
        if self.out.upstreams.len() == before
            && sure.is_none()
            && maybe.is_empty()
            && !front.answers
            && !ports.is_empty()
        {
            let nobody = self.base(front, front, &ports, "", front.line, front.file);
            self.out.add_upstream(nobody);
        }
    }

    fn backend(&mut self, front: &Proxy<'a>, name: &str, ports: &[u16], location: &str) {
        let Some(backend) = self.backends.get(name).cloned() else {
            self.troubles.note(&self.file(front.file), front.line, "a backend it names is not declared");
            return;
        };
        for line in &backend.servers {
            let (upstream, server) = self.server(front, &backend, line, ports, location);
            if let Some(at) = self.out.add_upstream(upstream) {
                self.out.served.push(Served { at, backend: shown(&backend.name), server });
            }
        }
        if backend.servers.is_empty() && !backend.answers && !front.answers {
            let nobody = self.base(front, &backend, ports, location, backend.line, backend.file);
            self.out.add_upstream(nobody);
        }
    }

    /// All that does not depend on the server.
    fn base(
        &self,
        front: &Proxy<'_>,
        backend: &Proxy<'_>,
        ports: &[u16],
        location: &str,
        line: u32,
        file: usize,
    ) -> Upstream {
        let settings = &backend.settings;
        let host = settings.host.clone().or_else(|| front.settings.host.clone());
        Upstream {
            program: PROGRAM.to_owned(),
            file: self.file(file),
            line,
            listens: ports.to_vec(),
            location: location.to_owned(),
            host_sent: host.clone().filter(|host| !host.contains(['%', ' '])),
            host_header: host,
            raw: !settings.is_http || !front.settings.is_http,
            connect_timeout_ms: settings.connect_ms,
            read_timeout_ms: settings.read_ms,
            ..Upstream::default()
        }
    }

    fn server(
        &mut self,
        front: &Proxy<'_>,
        backend: &Proxy<'_>,
        line: &Line,
        ports: &[u16],
        location: &str,
    ) -> (Upstream, String) {
        let mut upstream = self.base(front, backend, ports, location, line.line, line.file);
        let mut parameters = backend.settings.server.clone();
        let (name, address, from) = match line.word(0) {
            "dispatch" => (String::new(), line.word(1), 2),
            // `server-template web 1-3` makes web1, web2, web3: the first speaks for all.
            "server-template" => {
                let first = line.word(2).split_once('-').map_or("1", |(first, _)| first);
                (format!("{}{first}", line.word(1)), line.word(3), 4)
            }
            _ => (line.word(1).to_owned(), line.word(2), 3),
        };
        parameters.apply(line, from);
        let place: Endpoint = endpoint(address, ports);
        place.fill(&mut upstream);
        if matches!(place.host, super::endpoint::Host::Unknown(_)) {
            self.troubles.note(&upstream.file, line.line, "the server is named by a variable");
        }
        upstream.tls = parameters.tls;
        upstream.raw &= !parameters.tls;
        upstream.sni = parameters.sni.clone().filter(|_| parameters.tls);
        upstream.verify = parameters.tls && parameters.verify.unwrap_or(self.verifies);
        upstream.proxy_protocol = parameters.proxy_protocol;
        upstream.connections_max = parameters.connections_max;
        upstream.keepalive = backend.settings.keepalive(parameters.pool_max);
        upstream.backup = parameters.backup;
        upstream.disabled = parameters.disabled || parameters.backup || backend.disabled;
        if parameters.check {
            upstream.check_path = Some(backend.settings.check_path.clone().unwrap_or_default());
            upstream.check_interval_ms = Some(parameters.check_ms());
        }
        (upstream, shown(&name))
    }

    fn file(&self, number: usize) -> String {
        shown(self.paths.get(number).map_or("", String::as_str))
    }
}

#[cfg(test)]
mod tests;
