//! haproxy: frontends, listens and backends, with the checks their servers have.

mod server;

use super::haproxy_words::{Word, words};
use super::{Balancers, Check, Health, Kind, Listener, Pool, Protocol, address_port, codes};
use crate::place::{Place, Unread, both};
use server::{Server, server};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many lines are read.
const LINE_COUNT_MAX: usize = 1_000_000;
/// The widest range of ports that one `bind` is taken apart into.
const PORT_COUNT_MAX: u16 = 64;

/// Reads a configuration of haproxy.
pub fn haproxy(file: &Arc<str>, text: &str) -> Balancers {
    let mut reader = Reader { file: Some(Arc::clone(file)), ..Reader::default() };
    for (at, line) in text.lines().enumerate().take(LINE_COUNT_MAX) {
        reader.line(u32::try_from(at + 1).unwrap_or(u32::MAX), line);
    }
    reader.close();
    reader.mark_dynamic();
    Balancers::of_file(("haproxy", Kind::Haproxy), file, reader.listeners, reader.pools, reader.unread)
}

#[derive(Default)]
struct Reader {
    file: Option<Arc<str>>,
    section: Option<Section>,
    /// The last defaults, and those with a name.
    defaults: Settings,
    named: BTreeMap<String, Settings>,
    listeners: Vec<Listener>,
    pools: Vec<Pool>,
    unread: Vec<Unread>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Defaults,
    Frontend,
    Backend,
    Listen,
    /// `global`, `resolvers`, `peers`, …
    Other,
}

struct Section {
    part: Part,
    name: String,
    place: Place,
    settings: Settings,
    binds: Vec<Listener>,
    servers: Vec<Server>,
    dynamic: bool,
}

/// What `defaults` hands on to the proxies below it.
#[derive(Clone, Default)]
pub(super) struct Settings {
    http: bool,
    check: Option<Check>,
    path: Option<String>,
    host: Option<String>,
    version: Option<String>,
    port: Option<u16>,
    tls: bool,
    expected: Vec<(u16, u16)>,
    unmodelled: Vec<netwhy_model::Text>,
    timeout_s: Option<f64>,
    backends: Vec<String>,
    answers: bool,
    /// The words of `default-server`.
    server: Vec<String>,
    place: Option<Place>,
}

impl Reader {
    fn place(&self, line: u32, column: u32) -> Place {
        let none: Arc<str> = "".into();
        Place::new(self.file.as_ref().unwrap_or(&none), line, column)
    }

    fn line(&mut self, number: u32, line: &str) {
        let (words, fault) = words(line);
        let Some(first) = words.first() else { return };
        let place = self.place(number, first.column);
        if let Some((en, zh)) = fault {
            self.unread.push(Unread::new(place, line, en, zh));
            return;
        }
        if first.text.starts_with('.') {
            let (en, zh) = (
                "whether this part holds is known only when haproxy starts",
                "该部分是否生效要到 haproxy 启动时才知道",
            );
            self.unread.push(Unread::new(place, line, en, zh));
            return;
        }
        let part = match first.text.as_str() {
            "defaults" => Part::Defaults,
            "frontend" => Part::Frontend,
            "backend" => Part::Backend,
            "listen" => Part::Listen,
            "global" | "resolvers" | "peers" | "mailers" | "userlist" | "cache" | "program" | "ring"
            | "http-errors" | "fcgi-app" | "log-forward" | "crt-store" | "traces" => Part::Other,
            _ => return self.directive(&words, place, line),
        };
        self.close();
        self.open(part, &words, place);
    }

    fn open(&mut self, part: Part, words: &[Word], place: Place) {
        let name = words.get(1).map_or(String::new(), |word| word.text.clone());
        let from = words.iter().position(|word| word.text == "from").and_then(|at| words.get(at + 1));
        let settings = match (from.map(|word| self.named.get(&word.text)), part) {
            (Some(Some(settings)), _) => settings.clone(),
            (Some(None), _) => {
                let (en, zh) = ("no defaults of that name stand above", "上文没有这个名字的 defaults");
                let word = from.map_or("", |word| word.text.as_str());
                self.unread.push(Unread::new(place.clone(), word, en, zh));
                self.defaults.clone()
            }
            (None, Part::Defaults) => Settings::default(),
            (None, _) => self.defaults.clone(),
        };
        let (binds, servers) = (Vec::new(), Vec::new());
        self.section = Some(Section { part, name, place, settings, binds, servers, dynamic: false });
    }

    fn directive(&mut self, words: &[Word], place: Place, line: &str) {
        let Some(section) = &mut self.section else {
            let (en, zh) = ("this stands in no section", "该行不在任何段落中");
            self.unread.push(Unread::new(place, line, en, zh));
            return;
        };
        if section.part == Part::Other {
            return;
        }
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        let fault = match texts[0] {
            "bind" => section.bind(&texts[1..], &place),
            "server" | "server-template" => section.server(&texts, &place),
            _ => section.settings.set(&texts, &place),
        };
        if let Err((en, zh)) = fault {
            self.unread.push(Unread::new(place, line, en, zh));
        }
    }

    fn close(&mut self) {
        let Some(section) = self.section.take() else { return };
        match section.part {
            Part::Other => {}
            Part::Defaults => {
                if !section.name.is_empty() && section.name != "from" {
                    self.named.insert(section.name, section.settings.clone());
                }
                self.defaults = section.settings;
            }
            Part::Frontend => self.listeners.extend(section.listeners(Vec::new())),
            Part::Backend => self.pools.push(section.pool()),
            Part::Listen => {
                let own = (!section.servers.is_empty()).then(|| section.name.clone());
                if own.is_some() {
                    self.pools.push(Pool { used: true, ..section.pool() });
                }
                self.listeners.extend(section.listeners(own.into_iter().collect()));
            }
        }
    }

    /// A backend chosen by an expression may be any of them.
    fn mark_dynamic(&mut self) {
        let any = self.listeners.iter().any(|one| one.pools.iter().any(|pool| pool.contains("%[")));
        if any {
            self.pools.iter_mut().for_each(|pool| pool.used = true);
        }
    }
}

/// Why a line could not be read, in English and Chinese.
type Fault = (&'static str, &'static str);

impl Section {
    fn bind(&mut self, words: &[&str], place: &Place) -> Result<(), Fault> {
        let Some(addresses) = words.first() else { return Err(("no address", "缺少地址")) };
        let tls = words.contains(&"ssl");
        for text in addresses.split(',') {
            let text = ["ipv4@", "ipv6@", "quic4@", "quic6@", "unix@", "abns@"]
                .iter()
                .find_map(|prefix| text.strip_prefix(prefix))
                .unwrap_or(text);
            let (before, ports) = text.rsplit_once(':').unwrap_or((text, ""));
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            let path = text.starts_with('/');
            let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else {
                if path {
                    self.binds.push(listener(Some(text.to_owned()), None, tls, place));
                    continue;
                }
                return Err(("a port is missing or is no number", "端口缺失或不是数字"));
            };
            let (address, _) = address_port(&format!("{before}:1"));
            for port in (first..=last).take(PORT_COUNT_MAX.into()) {
                self.binds.push(listener(address.clone(), Some(port), tls, place));
            }
        }
        Ok(())
    }

    fn server(&mut self, words: &[&str], place: &Place) -> Result<(), Fault> {
        let template = words[0] == "server-template";
        self.dynamic |= template || words.contains(&"resolvers");
        let skip = if template { 3 } else { 2 };
        let Some((address, parameters)) = words.get(skip..).and_then(<[&str]>::split_first) else {
            return Err(("a name or an address is missing", "缺少名称或地址"));
        };
        let (server, fault) = server(address, parameters, &self.settings, place);
        self.servers.push(server);
        fault.map_or(Ok(()), Err)
    }

    fn listeners(&self, own: Vec<String>) -> Vec<Listener> {
        let mut pools = own;
        pools.extend(self.settings.backends.iter().filter(|name| !name.is_empty()).cloned());
        pools.dedup();
        let answers = self.settings.answers || pools.iter().any(|pool| pool.contains("%["));
        let finish = |bind: &Listener| Listener {
            name: self.name.clone(),
            protocol: match (self.settings.http, bind.tls) {
                (true, true) => Protocol::Https,
                (true, false) => Protocol::Http,
                (false, true) => Protocol::Tls,
                (false, false) => Protocol::Tcp,
            },
            pools: pools.clone(),
            answers,
            ..bind.clone()
        };
        self.binds.iter().map(finish).collect()
    }

    fn pool(&self) -> Pool {
        let checked = self.servers.iter().find(|server| server.health.check != Check::None);
        let health = checked.map_or_else(
            || Health::new(Check::None, self.settings.place.as_ref().unwrap_or(&self.place)),
            |server| server.health.clone(),
        );
        let tls = self.servers.iter().any(|server| server.tls);
        let members = self.servers.iter().map(|server| server.member(&health)).collect();
        Pool {
            name: self.name.clone(),
            protocol: Some(match (self.settings.http, tls) {
                (true, true) => Protocol::Https,
                (true, false) => Protocol::Http,
                (false, true) => Protocol::Tls,
                (false, false) => Protocol::Tcp,
            }),
            members,
            dynamic: self.dynamic,
            health,
            used: false,
            place: self.place.clone(),
        }
    }
}

fn listener(address: Option<String>, port: Option<u16>, tls: bool, place: &Place) -> Listener {
    let (name, pools) = (String::new(), Vec::new());
    Listener {
        name,
        protocol: Protocol::Tcp,
        address,
        port,
        tls,
        pools,
        answers: false,
        place: place.clone(),
    }
}

impl Settings {
    fn set(&mut self, words: &[&str], place: &Place) -> Result<(), Fault> {
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        match (words[0], word(1)) {
            ("mode", mode) => self.http = mode == "http",
            ("timeout", "check") => {
                let seconds = super::nginx::seconds(word(2), 1e-3);
                self.timeout_s = Some(seconds.ok_or(("this is no span of time", "这不是时间长度"))?);
            }
            ("option", option) => self.option(option, &words[2..], place),
            ("no", "option") => self.without(word(2)),
            ("http-check", _) => self.http_check(&words[1..], place)?,
            ("default-server", _) => self.server.extend(words[1..].iter().map(|word| (*word).to_owned())),
            ("default_backend" | "use_backend", name) => self.backends.push(name.to_owned()),
            ("redirect" | "stats" | "monitor-uri", _) | ("http-request", "redirect" | "return" | "deny") => {
                self.answers = true;
            }
            ("tcp-check" | "external-check", _) => {
                let text = words.join(" ");
                self.unmodelled.push(both(text.clone(), text));
            }
            ("dispatch", _) => self.answers = true,
            _ => {}
        }
        Ok(())
    }

    fn option(&mut self, option: &str, words: &[&str], place: &Place) {
        let check = match option {
            "httpchk" => Check::Http,
            "tcp-check" => Check::Tcp,
            "ssl-hello-chk" => Check::Tls,
            "mysql-check" | "pgsql-check" | "redis-check" | "smtpchk" | "ldap-check" | "external-check"
            | "spop-check" => Check::Other,
            _ => return,
        };
        self.check = Some(check);
        self.place = Some(place.clone());
        if check == Check::Http {
            // `option httpchk URI`, `METHOD URI`, `METHOD URI VERSION-and-headers`.
            let (uri, version) = match words {
                [] => ("/", None),
                [uri] => (*uri, None),
                [_, uri, version @ ..] => (*uri, version.first()),
            };
            self.path = Some(uri.to_owned());
            self.version = Some("1.0".to_owned());
            self.host = None;
            if let Some(version) = version {
                let mut health = Health::new(check, place);
                super::nginx::request(
                    &mut health,
                    &format!("GET {uri} {}", version.replace('\n', "\r\n").replace("\r\r", "\r")),
                );
                (self.version, self.host) = (health.version.or(self.version.take()), health.host);
            }
        }
    }

    fn without(&mut self, option: &str) {
        if matches!(option, "httpchk" | "tcp-check" | "ssl-hello-chk") {
            self.check = None;
        }
    }

    fn http_check(&mut self, words: &[&str], place: &Place) -> Result<(), Fault> {
        let after =
            |key: &str| words.iter().position(|word| *word == key).and_then(|at| words.get(at + 1)).copied();
        match words.first().copied().unwrap_or_default() {
            "send" => {
                self.place = Some(place.clone());
                self.path = after("uri").or(after("uri-lf")).map(str::to_owned).or(self.path.take());
                let version = after("ver").and_then(|version| version.strip_prefix("HTTP/"));
                self.version = version.map(str::to_owned).or(self.version.take());
                let host = words.windows(3).find(|three| {
                    matches!(three[0], "hdr" | "hdr-lf") && three[1].eq_ignore_ascii_case("host")
                });
                self.host = host.map(|three| three[2].to_owned()).or(self.host.take());
            }
            "expect" => {
                let negated = words.contains(&"!");
                match (after("status"), negated) {
                    (Some(text), false) => self.expected = codes(text),
                    _ => {
                        let text = words.join(" ");
                        self.unmodelled.push(both(text.clone(), text));
                    }
                }
            }
            "connect" => {
                let port = after("port").map(str::parse::<u16>).transpose();
                self.port = port.map_err(|_| ("the port is no number", "端口不是数字"))?;
                self.tls |= words.contains(&"ssl");
            }
            _ => {}
        }
        Ok(())
    }
}
