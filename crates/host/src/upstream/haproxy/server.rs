//! haproxy's `server`, `default-server` and `bind` lines. Pure.

use super::super::endpoint::{Endpoint, Host, milliseconds, ports, split_port};
use super::super::shown;
use super::words::Line;
use std::net::IpAddr;

/// Ports of one `bind` line.
const PORT_COUNT_MAX: usize = 128;
/// haproxy checks this often where nothing is set, in milliseconds.
const DEFAULT_CHECK_MS: u64 = 2_000;
/// Parameters with one value that is of no use here, lest the value be taken for a parameter.
const VALUED: [&str; 38] = [
    "addr",
    "agent-addr",
    "agent-check-port",
    "agent-inter",
    "agent-port",
    "agent-send",
    "alpn",
    "ca-file",
    "check-alpn",
    "check-proto",
    "check-sni",
    "ciphers",
    "ciphersuites",
    "cookie",
    "crl-file",
    "crt",
    "error-limit",
    "fall",
    "fastinter",
    "downinter",
    "id",
    "init-addr",
    "log-proto",
    "max-reuse",
    "maxqueue",
    "minconn",
    "namespace",
    "npn",
    "observe",
    "on-error",
    "on-marked-down",
    "on-marked-up",
    "port",
    "proto",
    "redir",
    "resolvers",
    "rise",
    "slowstart",
];

/// What a `server` line and the `default-server` lines before it say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) tls: bool,
    /// The expression as written; the name itself when it is a constant.
    pub(super) sni: Option<String>,
    /// `None` where nothing is said: the program's own default counts then.
    pub(super) verify: Option<bool>,
    pub(super) check: bool,
    pub(super) interval_ms: Option<u64>,
    pub(super) proxy_protocol: bool,
    pub(super) connections_max: Option<u32>,
    pub(super) pool_max: Option<u32>,
    pub(super) disabled: bool,
    pub(super) backup: bool,
}

impl Parameters {
    /// Reads the parameters that begin at a word.
    pub(super) fn apply(&mut self, line: &Line, from: usize) {
        let mut words = line.words.iter().skip(from).map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "ssl" => self.tls = true,
                "no-ssl" => self.tls = false,
                "check" => self.check = true,
                "no-check" => self.check = false,
                "send-proxy" | "send-proxy-v2" | "send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn" => {
                    self.proxy_protocol = true
                }
                "no-send-proxy" | "no-send-proxy-v2" | "no-send-proxy-v2-ssl" | "no-send-proxy-v2-ssl-cn" => {
                    self.proxy_protocol = false;
                }
                "disabled" => self.disabled = true,
                "enabled" => self.disabled = false,
                "backup" => self.backup = true,
                "no-backup" => self.backup = false,
                "verify" => self.verify = words.next().map(|value| value != "none"),
                "sni" => self.sni = words.next().map(constant),
                "inter" => self.interval_ms = words.next().and_then(|value| milliseconds(value, 1)),
                "maxconn" => {
                    self.connections_max =
                        words.next().and_then(|value| value.parse().ok()).filter(|n| *n > 0)
                }
                "pool-max-conn" => self.pool_max = words.next().and_then(|value| value.parse().ok()),
                // A weight of nothing takes no new visitors.
                "weight" => self.disabled |= words.next() == Some("0"),
                _ if VALUED.contains(&word) => {
                    words.next();
                }
                _ => {}
            }
        }
    }

    pub(super) fn check_ms(&self) -> u64 {
        self.interval_ms.unwrap_or(DEFAULT_CHECK_MS)
    }
}

/// `str(name)` is the name; anything else stays as written.
fn constant(expression: &str) -> String {
    let inner = expression.strip_prefix("str(").and_then(|rest| rest.strip_suffix(')'));
    shown(inner.map_or(expression, |name| name.trim_matches(['\'', '"'])))
}

/// The server of a line; without a port it is asked on the one the visitor came to.
pub(super) fn endpoint(text: &str, listens: &[u16]) -> Endpoint {
    let bare = ["ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@", "udp@"]
        .iter()
        .find_map(|start| text.strip_prefix(start));
    let text = bare.unwrap_or(text);
    let mut endpoint = match split_port(text) {
        // An offset from the visitor's port.
        (host, port) if port.starts_with(['+', '-']) => Endpoint { port: None, ..Endpoint::parse(host) },
        (_, "") if !text.starts_with('[') => Endpoint::parse(text.trim_end_matches(':')),
        _ => Endpoint::parse(text),
    };
    if let ([only], false, false) = (listens, matches!(endpoint.host, Host::Local(_)), has_offset(text)) {
        endpoint.port = endpoint.port.or(Some(*only));
    }
    endpoint
}

fn has_offset(text: &str) -> bool {
    split_port(text).1.starts_with(['+', '-'])
}

/// One address and port of a `bind` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) line: u32,
    pub(super) file: usize,
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) accepts_proxy: bool,
    pub(super) strict: bool,
}

/// What a `bind` line, or the address in a section's head, listens on.
pub(super) fn binds(line: &Line, addresses: &str, from: usize) -> Vec<Bind> {
    let has = |flag: &str| line.words.iter().skip(from).any(|word| word == flag);
    let mut all = Vec::new();
    for text in addresses.split(',') {
        let bare =
            ["ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"].iter().find_map(|start| text.strip_prefix(start));
        let text = bare.unwrap_or(text);
        if text.contains('@') || text.starts_with('/') {
            continue;
        }
        let (host, port) = split_port(text);
        let address = match host.trim_start_matches('[').trim_end_matches(']') {
            "" | "*" => Some(IpAddr::from([0, 0, 0, 0])),
            // The whole of both families.
            "::" if has("v4v6") => None,
            host => host.parse().ok(),
        };
        all.extend(ports(port).into_iter().map(|port| Bind {
            line: line.line,
            file: line.file,
            address,
            port,
            tls: has("ssl"),
            accepts_proxy: has("accept-proxy"),
            strict: has("strict-sni"),
        }));
        if all.len() >= PORT_COUNT_MAX {
            break;
        }
    }
    all.truncate(PORT_COUNT_MAX);
    all
}

#[cfg(test)]
mod tests {
    use super::super::words::words;
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> Line {
        Line { words: words(text), file: 0, line: 7 }
    }

    #[test]
    fn parameters_are_read() {
        let mut all = Parameters::default();
        all.apply(&line("default-server check inter 200ms fall 1 rise 1 cookie ssl"), 1);
        assert_eq!((all.check, all.interval_ms, all.tls), (true, Some(200), false));
        all.apply(
            &line("server a 1.2.3.4:5 ssl verify none sni str(shop.example) send-proxy-v2 maxconn 1 backup"),
            3,
        );
        assert_eq!((all.tls, all.verify, all.sni.as_deref()), (true, Some(false), Some("shop.example")));
        assert!(all.proxy_protocol && all.backup && all.connections_max == Some(1));
    }

    #[test]
    fn servers_without_a_port_take_the_visitors() {
        assert_eq!(endpoint("10.0.0.1", &[443]).port, Some(443));
        assert_eq!(endpoint("10.0.0.1:8080", &[443]).port, Some(8_080));
        assert_eq!(endpoint("10.0.0.1:+1", &[443]).port, None);
        assert_eq!(endpoint("ipv6@[::1]:80", &[]).host, Host::Address("::1".parse().unwrap()));
        assert_eq!(endpoint("/run/a", &[80]).port, None);
    }

    #[test]
    fn binds_are_read() {
        let all = binds(&line("bind :::443,*:80 v4v6 ssl accept-proxy"), ":::443,*:80", 2);
        let seen: Vec<_> = all.iter().map(|b| (b.address, b.port, b.tls, b.accepts_proxy)).collect();
        assert_eq!(seen, [(None, 443, true, true), (Some(IpAddr::from([0, 0, 0, 0])), 80, true, true)]);
        assert!(binds(&line("bind /run/x"), "/run/x", 2).is_empty());
        assert_eq!(binds(&line("bind :1-9"), ":1-9", 2).len(), 9);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>()) {
            let line = line(&text);
            let mut all = Parameters::default();
            all.apply(&line, 0);
            let _ = (endpoint(&text, &[80]), binds(&line, &text, 0));
        }
    }
}
