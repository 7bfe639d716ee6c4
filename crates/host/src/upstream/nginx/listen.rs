//! nginx' `listen` and `server_name`. Pure.

use super::super::endpoint::{ports, split_port};
use super::super::{NAME_BYTES_MAX, shown};
use super::tree::Directive;
use std::net::IpAddr;

/// Sites of one server that are named.
const SITE_COUNT_MAX: usize = 128;
/// Ports of one server that are named.
const PORT_COUNT_MAX: usize = 128;
/// nginx, as root, listens here when nothing is said.
const DEFAULT_PORT: u16 = 80;

/// One `listen`, for one of its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listen {
    pub(super) line: u32,
    pub(super) file: usize,
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) proxy_protocol: bool,
    pub(super) is_default: bool,
}

/// What a server block listens on; UDP is left out.
pub(super) fn listens(server: &Directive) -> Vec<Listen> {
    let inner = server.inner();
    let mut all: Vec<Listen> =
        inner.iter().filter(|d| d.name == "listen").flat_map(of).take(PORT_COUNT_MAX).collect();
    if !inner.iter().any(|d| d.name == "listen") {
        all.push(Listen {
            line: server.line,
            file: server.file,
            address: None,
            port: DEFAULT_PORT,
            tls: false,
            proxy_protocol: false,
            is_default: false,
        });
    }
    // Before nginx 1.25 TLS could also be switched on for a whole server.
    let tls = inner.iter().any(|d| d.name == "ssl" && d.is_on());
    all.iter_mut().for_each(|listen| listen.tls |= tls);
    all
}

fn of(directive: &Directive) -> Vec<Listen> {
    let written = directive.word(0);
    let has = |flag: &str| directive.words.iter().skip(1).any(|word| word == flag);
    if written.starts_with("unix:") || has("udp") || has("quic") {
        return Vec::new();
    }
    // An address alone listens on port 80, a number alone is a port.
    let (host, port) = match split_port(written) {
        (host, "") if !ports(host).is_empty() => ("", host),
        (host, "") => (host, "80"),
        both => both,
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>().ok();
    // `80` is every IPv4 address, `[::]:80` every IPv6 one: told apart by what is written.
    let address = address.or_else(|| matches!(host, "" | "*").then_some(IpAddr::from([0, 0, 0, 0])));
    let of_port = |port| Listen {
        line: directive.line,
        file: directive.file,
        address,
        port,
        tls: has("ssl"),
        proxy_protocol: has("proxy_protocol"),
        is_default: has("default_server") || has("default"),
    };
    ports(port).into_iter().map(of_port).collect()
}

/// The names of a server block; `_` and the like name nothing.
pub(super) fn sites(server: &Directive) -> Vec<String> {
    let names = server.inner().iter().filter(|d| d.name == "server_name").flat_map(|d| &d.words);
    names
        .filter(|name| !matches!(name.as_str(), "" | "_" | "-") && name.len() <= NAME_BYTES_MAX)
        .take(SITE_COUNT_MAX)
        .map(|name| if name.starts_with('~') { shown(name) } else { shown(&name.to_ascii_lowercase()) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::parse;
    use super::*;

    fn server(text: &str) -> Directive {
        parse(&format!("server {{ {text} }}"), 0).directives.remove(0)
    }

    #[test]
    fn what_is_listened_on() {
        let all = listens(&server(
            "listen 443 ssl http2; listen [::]:443 ssl default_server; listen 10.0.0.1; listen *:8000-8001 proxy_protocol;
             listen unix:/x; listen 443 quic; listen localhost:81;",
        ));
        let shown: Vec<_> = all
            .iter()
            .map(|l| (l.address.map(|a| a.to_string()), l.port, l.tls, l.proxy_protocol, l.is_default))
            .collect();
        let v4 = || Some("0.0.0.0".to_owned());
        assert_eq!(
            shown,
            [
                (v4(), 443, true, false, false),
                (Some("::".to_owned()), 443, true, false, true),
                (Some("10.0.0.1".to_owned()), 80, false, false, false),
                (v4(), 8_000, false, true, false),
                (v4(), 8_001, false, true, false),
                (None, 81, false, false, false),
            ]
        );
        assert_eq!(listens(&server(""))[0].port, 80);
    }

    #[test]
    fn names_are_kept() {
        let names = sites(&server("server_name Shop.example *.b.example \"\" _; server_name ~^x\\d$;"));
        assert_eq!(names, ["shop.example", "*.b.example", "~^x\\d$"]);
    }
}
