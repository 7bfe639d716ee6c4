//! nginx as a load balancer: upstreams, servers, what passes where, and the three ways it finds out who is well.

use super::nginx_tree::{Directive, Include, Tree, tree};
use super::{Balancers, Check, Health, Kind, Listener, Member, Pool, Protocol, address_port, codes};
use crate::place::{Place, Unread, both};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The directives that pass a request on, and what they speak to the member.
const PASSES: [(&str, Option<Protocol>); 7] = [
    ("proxy_pass", None),
    ("grpc_pass", Some(Protocol::Grpc)),
    ("fastcgi_pass", Some(Protocol::Other)),
    ("uwsgi_pass", Some(Protocol::Other)),
    ("scgi_pass", Some(Protocol::Other)),
    ("memcached_pass", Some(Protocol::Other)),
    ("js_content", Some(Protocol::Other)),
];
/// Directives by which a server answers itself.
const ANSWERS: [&str; 6] = ["return", "root", "alias", "try_files", "stub_status", "content_by_lua_block"];

/// How long nginx waits for an answer when nobody says (`proxy_read_timeout`).
const READ_TIMEOUT_S: f64 = 60.0;

/// Reads a configuration of nginx; `include` gives the files it includes.
pub fn nginx(file: &Arc<str>, text: &str, include: Include<'_>) -> Balancers {
    balancer(file, tree(file, text, include))
}

/// What a tree of directives balances.
pub(super) fn balancer(file: &Arc<str>, tree: Tree) -> Balancers {
    let mut reader = Reader { unread: tree.unread, ..Reader::default() };
    // A file of conf.d has no `http` around it.
    reader.find(&tree.directives);
    reader.context(&tree.directives, false);
    if !tree.whole || reader.any_used {
        // What uses them may stand in a file that was not given, or be known only when a request comes.
        reader.pools.values_mut().for_each(|pool| pool.used = true);
    }
    Balancers::of_file(
        ("nginx", Kind::Nginx),
        file,
        reader.listeners,
        reader.pools.into_values().collect(),
        reader.unread,
    )
}

#[derive(Default)]
struct Reader {
    pools: BTreeMap<String, Pool>,
    matches: BTreeMap<String, Directive>,
    listeners: Vec<Listener>,
    unread: Vec<Unread>,
    /// A variable says where to pass: any upstream may be meant.
    any_used: bool,
}

/// What a server or location has by itself or from around it.
#[derive(Clone, Default)]
struct Around {
    host: Option<String>,
    timeout_s: Option<f64>,
}

impl Reader {
    /// Upstreams and matches first: they may stand below what uses them.
    fn find(&mut self, directives: &[Directive]) {
        for directive in directives {
            match directive.name.as_str() {
                "http" | "stream" => self.find(directive.inside()),
                "upstream" => {
                    let pool = self.upstream(directive);
                    self.pools.insert(pool.name.clone(), pool);
                }
                "match" => {
                    self.matches.insert(directive.word(0).to_owned(), directive.clone());
                }
                _ => {}
            }
        }
    }

    fn context(&mut self, directives: &[Directive], stream: bool) {
        let around = Around::default().with(directives);
        for directive in directives {
            match directive.name.as_str() {
                "http" => self.context(directive.inside(), false),
                "stream" => self.context(directive.inside(), true),
                "server" if directive.block.is_some() => self.server(directive, stream, &around),
                _ => {}
            }
        }
    }

    fn upstream(&mut self, upstream: &Directive) -> Pool {
        let mut pool = Pool {
            name: upstream.word(0).to_owned(),
            protocol: None,
            members: Vec::new(),
            dynamic: false,
            health: Health::new(Check::Passive, &upstream.place),
            used: false,
            place: upstream.place.clone(),
        };
        for directive in upstream.inside() {
            match directive.name.as_str() {
                "server" => pool.members.extend(self.member(directive, &mut pool.dynamic)),
                "check" => pool.health = self.check(directive, upstream),
                _ => {}
            }
        }
        if pool.health.check == Check::Passive {
            pool.health = passive(upstream, &pool);
        }
        pool
    }

    fn member(&mut self, server: &Directive, dynamic: &mut bool) -> Option<Member> {
        if server.word(0).is_empty() {
            self.unread.push(Unread::new(server.place.clone(), "server", "no address", "缺少地址"));
            return None;
        }
        let (address, port) = address_port(server.word(0));
        let has = |word: &str| server.words.iter().any(|one| one == word);
        *dynamic |= has("resolve");
        let weight = self.number(server, "weight").unwrap_or(1);
        let file = server.word(0).starts_with("unix:");
        Some(Member {
            address: if file { server.word(0).to_owned() } else { address.unwrap_or_default() },
            port: if file { None } else { port.or(Some(80)) },
            weight,
            backup: has("backup"),
            down: has("down").then(|| "down".to_owned()),
            health: None,
            place: server.place.clone(),
        })
    }

    /// A whole number under `key=`; a bad one is said.
    fn number(&mut self, directive: &Directive, key: &str) -> Option<u32> {
        let text = directive.value(key)?;
        let number = text.parse().ok();
        if number.is_none() {
            let words = format!("{key}={text}");
            let (en, zh) = ("this is no whole number", "这不是整数");
            self.unread.push(Unread::new(directive.place.clone(), &words, en, zh));
        }
        number
    }

    /// The check of upstream_check_module, in milliseconds.
    fn check(&mut self, check: &Directive, upstream: &Directive) -> Health {
        let mut health = Health::new(
            match check.value("type").unwrap_or("tcp") {
                "tcp" => Check::Tcp,
                "http" => Check::Http,
                "ssl_hello" => Check::Tls,
                _ => Check::Other,
            },
            &check.place,
        );
        let seconds = |number: u32| f64::from(number) / 1000.0;
        health.interval_s = Some(seconds(self.number(check, "interval").unwrap_or(30_000)));
        health.timeout_s = Some(seconds(self.number(check, "timeout").unwrap_or(1_000)));
        health.timeout_written = check.value("timeout").is_some();
        health.rise = Some(self.number(check, "rise").unwrap_or(2));
        health.fall = Some(self.number(check, "fall").unwrap_or(5));
        health.defaults =
            ["interval", "timeout", "rise", "fall"].iter().all(|key| check.value(key).is_none());
        health.port = self.number(check, "port").and_then(|port| u16::try_from(port).ok()).filter(|p| *p > 0);
        if health.check == Check::Http {
            (health.path, health.version) = (Some("/".to_owned()), Some("1.0".to_owned()));
            health.expected = vec![(200, 399)];
        }
        for directive in upstream.inside() {
            match directive.name.as_str() {
                "check_http_send" => request(&mut health, directive.word(0)),
                "check_http_expect_alive" => health.expected = codes(&directive.words.join(" ")),
                _ => {}
            }
        }
        health
    }

    fn server(&mut self, server: &Directive, stream: bool, around: &Around) {
        let mut passes = Passes::default();
        self.passes(server.inside(), &around.with(server.inside()), &mut passes);
        let named = |name: &'static str| server.inside().iter().filter(move |one| one.name == name);
        let names: Vec<&str> = named("server_name").flat_map(|one| &one.words).map(String::as_str).collect();
        let switched_on = named("ssl").any(|one| one.word(0) == "on");
        let listens: Vec<(&str, bool, bool, &Place)> = named("listen")
            .map(|listen| {
                let has = |word: &str| listen.words.iter().any(|one| one == word);
                let tls = switched_on || has("ssl") || has("quic");
                (listen.word(0), tls, has("udp"), &listen.place)
            })
            .collect();
        let listens = if listens.is_empty() && !stream {
            vec![("*:80", switched_on, false, &server.place)]
        } else {
            listens
        };
        for (text, tls, udp, place) in listens {
            let file = text.starts_with("unix:");
            let (address, port) = if file { (Some(text.to_owned()), None) } else { address_port(text) };
            let port = if file { None } else { port.or((!stream).then_some(80)) };
            let protocol = match (stream, tls, udp) {
                (true, _, true) => Protocol::Udp,
                (true, true, _) => Protocol::Tls,
                (true, false, _) => Protocol::Tcp,
                (false, true, _) => Protocol::Https,
                (false, false, _) => Protocol::Http,
            };
            let name = names.first().map_or_else(|| text.to_owned(), |name| format!("{name} {text}"));
            let (pools, answers) = (passes.pools.clone(), passes.answers);
            let place = place.clone();
            self.listeners.push(Listener { name, protocol, address, port, tls, pools, answers, place });
        }
    }

    /// Walks through a server and its locations. The depth is that of the tree, which is limited.
    fn passes(&mut self, directives: &[Directive], around: &Around, passes: &mut Passes) {
        let mut target = None;
        for directive in directives {
            let name = directive.name.as_str();
            if let Some((_, protocol)) = PASSES.iter().find(|(pass, _)| *pass == name) {
                target = self.pass(directive, *protocol, passes);
            }
            passes.answers |= ANSWERS.contains(&name);
            if matches!(name, "location" | "if" | "limit_except") {
                self.passes(directive.inside(), &around.with(directive.inside()), passes);
            }
        }
        for check in directives.iter().filter(|one| one.name == "health_check") {
            let health = self.health_check(check, around);
            let pool = target.as_ref().and_then(|name| self.pools.get_mut(name));
            match pool {
                Some(pool) => {
                    let secure = pool.protocol == Some(Protocol::Https) && health.check == Check::Http;
                    pool.health =
                        Health { check: if secure { Check::Https } else { health.check }, ..health };
                }
                None => self.unread.push(Unread::new(
                    check.place.clone(),
                    "health_check",
                    "no upstream is passed to beside it",
                    "旁边没有转发到 upstream 的指令",
                )),
            }
        }
    }

    /// The pool that is passed to.
    fn pass(&mut self, pass: &Directive, protocol: Option<Protocol>, passes: &mut Passes) -> Option<String> {
        let text = pass.word(0);
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let host = rest.split('/').next().unwrap_or_default();
        if host.contains('$') || pass.name == "js_content" {
            self.any_used = true;
            passes.answers = true;
            let (en, zh) = ("where to is known only when a request comes", "请求到来时才知道转发到哪里");
            self.unread.push(Unread::new(pass.place.clone(), text, en, zh));
            return None;
        }
        let protocol = protocol.or(match scheme {
            "https" => Some(Protocol::Https),
            "http" => Some(Protocol::Http),
            _ => None,
        });
        let name = host.to_owned();
        let pool = self.pools.entry(name.clone()).or_insert_with(|| alone(pass, text, host, scheme));
        pool.used = true;
        pool.protocol = pool.protocol.or(protocol);
        if !passes.pools.contains(&name) {
            passes.pools.push(name.clone());
        }
        Some(name)
    }

    /// The active check of nginx Plus.
    fn health_check(&mut self, check: &Directive, around: &Around) -> Health {
        let kind = match check.value("type") {
            Some("grpc") => Check::Grpc,
            _ if check.words.iter().any(|word| word == "udp") => Check::Udp,
            _ => Check::Http,
        };
        let mut health = Health::new(kind, &check.place);
        health.path = Some(check.value("uri").unwrap_or("/").to_owned());
        health.port = self.number(check, "port").and_then(|port| u16::try_from(port).ok());
        health.interval_s = check.value("interval").map_or(Some(5.0), |text| seconds(text, 1.0));
        health.rise = Some(self.number(check, "passes").unwrap_or(1));
        health.fall = Some(self.number(check, "fails").unwrap_or(1));
        health.defaults = ["interval", "passes", "fails"].iter().all(|key| check.value(key).is_none());
        health.timeout_s = around.timeout_s.or(Some(READ_TIMEOUT_S));
        health.timeout_written = around.timeout_s.is_some();
        health.host.clone_from(&around.host);
        health.expected = vec![(200, 399)];
        let matched = check.value("match").and_then(|name| self.matches.get(name));
        for condition in matched.map_or(&[][..], Directive::inside) {
            match condition.name.as_str() {
                "status" if condition.word(0) != "!" => health.expected = codes(&condition.words.join(" ")),
                _ => health.unmodelled.push(both(
                    format!("{} {}", condition.name, condition.words.join(" ")),
                    format!("{} {}", condition.name, condition.words.join(" ")),
                )),
            }
        }
        health
    }
}

#[derive(Default)]
struct Passes {
    pools: Vec<String>,
    answers: bool,
}

impl Around {
    fn with(&self, directives: &[Directive]) -> Around {
        let mut around = self.clone();
        for directive in directives {
            match directive.name.as_str() {
                "proxy_set_header" if directive.word(0).eq_ignore_ascii_case("host") => {
                    around.host = Some(directive.word(1).to_owned());
                }
                "proxy_read_timeout" => around.timeout_s = seconds(directive.word(0), 1.0),
                _ => {}
            }
        }
        around
    }
}

/// A member that is passed to without an upstream.
fn alone(pass: &Directive, text: &str, host: &str, scheme: &str) -> Pool {
    let (address, port) = address_port(host);
    let port = port.or(match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    });
    let member = Member {
        address: if host == "unix:" { text.to_owned() } else { address.unwrap_or_default() },
        port: if host == "unix:" { None } else { port },
        weight: 1,
        backup: false,
        down: None,
        health: None,
        place: pass.place.clone(),
    };
    Pool {
        name: host.to_owned(),
        protocol: None,
        members: vec![member],
        dynamic: false,
        // With a single member nginx never takes it out.
        health: Health::new(Check::None, &pass.place),
        used: true,
        place: pass.place.clone(),
    }
}

/// What nginx learns from failed requests: `max_fails` of them within `fail_timeout`.
fn passive(upstream: &Directive, pool: &Pool) -> Health {
    let servers: Vec<&Directive> = upstream.inside().iter().filter(|one| one.name == "server").collect();
    let written =
        servers.iter().find(|one| one.value("max_fails").is_some() || one.value("fail_timeout").is_some());
    let fails = |server: &Directive| server.value("max_fails").map_or(1, |text| text.parse().unwrap_or(1));
    let mut health = Health::new(Check::Passive, written.map_or(&pool.place, |server| &server.place));
    health.defaults = written.is_none();
    health.fall = servers.iter().map(|server| fails(server)).min();
    health.interval_s =
        written.and_then(|one| one.value("fail_timeout")).map_or(Some(10.0), |t| seconds(t, 1.0));
    // A lone server is never taken out, and neither is one with max_fails=0.
    if pool.members.len() < 2 || health.fall == Some(0) {
        health.check = Check::None;
    }
    health
}

/// Method, path, version and Host of a request written out.
pub(super) fn request(health: &mut Health, text: &str) {
    let mut lines = text.split("\r\n").flat_map(|line| line.split("\\r\\n"));
    let mut first = lines.next().unwrap_or_default().split_whitespace().skip(1);
    health.path = first.next().map(str::to_owned).or(health.path.take());
    let version = first.next().and_then(|word| word.strip_prefix("HTTP/"));
    health.version = version.map(str::to_owned).or(health.version.take());
    let host = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("host").then(|| value.trim().to_owned())
    });
    health.host = host.or(health.host.take());
}

/// A span of time such as `10s`, `1m30s`, `500ms`; a bare number counts in `unit_s`.
pub(super) fn seconds(text: &str, unit_s: f64) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        total += number
            * match &rest[..letters] {
                "" => unit_s,
                "us" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3_600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = rest[letters..].trim_start();
    }
    Some(total)
}
