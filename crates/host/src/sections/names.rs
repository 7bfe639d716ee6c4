//! How this host resolves names: resolv.conf and the hosts file, and what looks wrong in them.

use super::{Said, reading, section};
use crate::files::Gaps;
use netwhy_model::host::{Listener, Reading, Section, State, Transport};
use std::net::IpAddr;

/// The resolver library asks no more servers than this (MAXNS, resolv.h).
const SERVER_COUNT_USED: usize = 3;
/// Lines read of each file.
const LINE_COUNT_MAX: usize = 20_000;
/// Entries of the hosts file shown.
const HOST_COUNT_MAX: usize = 48;
const DNS_PORT: u16 = 53;

/// What resolv.conf says (resolv.conf(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvConf {
    pub servers: Vec<IpAddr>,
    /// Server lines that are no address.
    pub wrong: Vec<String>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

/// Reads resolv.conf.
pub fn parse_resolv_conf(text: &str) -> ResolvConf {
    let mut conf = ResolvConf::default();
    for line in text.lines().take(LINE_COUNT_MAX) {
        let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
        match words.next() {
            Some("nameserver") => {
                let word = words.next().unwrap_or_default();
                // `fe80::1%eth0` names its interface.
                match word.split('%').next().unwrap_or_default().parse() {
                    Ok(address) => conf.servers.push(address),
                    Err(_) => conf.wrong.push(word.to_owned()),
                }
            }
            // The last line of its kind counts.
            Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
            Some("options") => conf.options.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    conf
}

/// Reads a hosts file: address and names per line.
pub fn parse_hosts(text: &str) -> Vec<(IpAddr, Vec<String>)> {
    text.lines()
        .take(LINE_COUNT_MAX)
        .filter_map(|line| {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let address = words.next()?.split('%').next()?.parse().ok()?;
            Some((address, words.map(str::to_owned).collect()))
        })
        .collect()
}

/// Builds the section.
pub(crate) fn read(listeners: &[Listener], hostname: &str, gaps: &mut Gaps) -> Section {
    let resolv = parse_resolv_conf(&gaps.text("/etc/resolv.conf"));
    let hosts = parse_hosts(&gaps.text("/etc/hosts"));
    let mut readings = servers(&resolv, listeners);
    readings.extend(entries(&hosts, hostname));
    section("names", "Name resolution", "域名解析", readings)
}

fn servers(conf: &ResolvConf, listeners: &[Listener]) -> Vec<Reading> {
    const FROM: &str = "/etc/resolv.conf";
    let mut readings = Vec::new();
    if conf.servers.is_empty() {
        readings.push(reading("nameserver", "none", FROM).said(
            State::Odd,
            "no server is named: the resolver library asks this host itself",
            "未配置服务器：解析库会查询本机",
        ));
    }
    for (at, server) in conf.servers.iter().enumerate() {
        let one = reading("nameserver", server, FROM);
        let served = listeners.iter().any(|listener| {
            listener.transport == Transport::Udp && listener.takes((*server, DNS_PORT).into())
        });
        readings.push(if at >= SERVER_COUNT_USED {
            one.said(State::Odd, "only the first three servers are asked", "只会使用前三个服务器")
        } else if server.is_loopback() && !served {
            one.said(
                State::Bad,
                "nothing listens there: every look-up fails or waits",
                "该地址没有监听：每次解析都会失败或等待",
            )
        } else {
            one
        });
    }
    for word in &conf.wrong {
        readings.push(reading("nameserver", word, FROM).said(
            State::Odd,
            "not an address: the line is ignored",
            "不是地址，该行被忽略",
        ));
    }
    for (name, words) in [("search", &conf.search), ("options", &conf.options)] {
        if !words.is_empty() {
            readings.push(reading(name, words.join(" "), FROM));
        }
    }
    readings
}

fn entries(hosts: &[(IpAddr, Vec<String>)], hostname: &str) -> Vec<Reading> {
    const FROM: &str = "/etc/hosts";
    let mut readings = Vec::new();
    for (address, names) in hosts {
        let localhost = names.iter().any(|name| name == "localhost");
        let public: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| overrides_dns(name, hostname)).collect();
        let one = reading(address.to_string(), names.join(" "), FROM);
        if localhost && !address.is_loopback() {
            readings.push(one.said(
                State::Bad,
                "localhost is not a loopback address",
                "localhost 未指向回环地址",
            ));
        } else if !public.is_empty() {
            readings.push(one.said(
                State::Odd,
                "this host uses this address for the name whatever the DNS says",
                "本机对该域名始终使用此地址，不看 DNS",
            ));
        } else {
            readings.push(one);
        }
    }
    if !hosts
        .iter()
        .any(|(address, names)| address.is_loopback() && names.iter().any(|name| name == "localhost"))
    {
        readings.push(reading("localhost", "none", FROM).said(
            State::Odd,
            "localhost is not in the file",
            "文件中没有 localhost",
        ));
    }
    // What is odd must not fall behind a long list.
    readings.sort_by_key(|one| std::cmp::Reverse(one.state));
    readings.truncate(HOST_COUNT_MAX);
    readings
}

/// A name of the DNS that is not this host's own.
fn overrides_dns(name: &str, hostname: &str) -> bool {
    const LOCAL_ENDINGS: [&str; 7] =
        [".localdomain", ".localdomain4", ".localdomain6", ".local", ".internal", ".localhost", ".lan"];
    let bare = name.trim_end_matches('.');
    let own = bare == hostname || bare.split('.').next() == Some(hostname);
    bare.contains('.') && !own && !LOCAL_ENDINGS.iter().any(|end| bare.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_looks_wrong_is_told() {
        let conf = parse_resolv_conf(
            "nameserver 127.0.0.53\nnameserver fe80::1%eth0 # x\nnameserver dns.example\noptions ndots:5\n",
        );
        let readings = servers(&conf, &[]);
        assert_eq!(readings[0].state, State::Bad);
        assert_eq!((readings[1].state, readings[2].state), (State::Well, State::Odd));
        let hosts =
            parse_hosts("127.0.0.1 localhost\n10.0.0.1 web1.corp web1\n192.0.2.7 shop.example # old\n");
        let readings = entries(&hosts, "web1");
        assert_eq!((readings[0].name.as_str(), readings[0].state), ("192.0.2.7", State::Odd));
        assert_eq!(readings.iter().filter(|one| one.state != State::Well).count(), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(nameserver [0-9.:%a-f]{0,12}\n|(?s).{0,80})") {
            let _ = servers(&parse_resolv_conf(&text), &[]);
            let _ = entries(&parse_hosts(&text), "h");
        }
    }
}
