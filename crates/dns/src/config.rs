//! What the system configures about names: resolv.conf, nsswitch.conf and the hosts file.
//!
//! The parsers are pure and keep what they understood, as glibc does (resolv.conf(5), hosts(5),
//! nsswitch.conf(5)).

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::Path;

/// glibc asks no more name servers than this (MAXNS).
pub const SERVERS_COUNT_MAX: usize = 3;
/// Entries of the search list that are read.
pub const SEARCH_COUNT_MAX: usize = 16;
/// Addresses one name may have in the hosts file.
pub const HOSTS_ADDRESSES_COUNT_MAX: usize = 64;
/// Bytes read of any of the files.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// resolv.conf as glibc understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvConf {
    pub servers: Vec<SocketAddr>,
    /// None when neither `search` nor `domain` stands there.
    pub search: Option<Vec<String>>,
    pub ndots: u8,
    pub timeout_s: u8,
    pub attempts: u8,
    pub rotate: bool,
    pub use_tcp: bool,
    pub edns: bool,
    /// `no-aaaa`: the stub drops AAAA questions.
    pub no_aaaa: bool,
}

impl Default for ResolvConf {
    fn default() -> ResolvConf {
        ResolvConf {
            servers: Vec::new(),
            search: None,
            ndots: 1,
            timeout_s: 5,
            attempts: 2,
            rotate: false,
            use_tcp: false,
            edns: false,
            no_aaaa: false,
        }
    }
}

impl ResolvConf {
    /// Reads the text; `scope` turns an interface name after `%` into its index.
    pub fn parse(text: &str, scope: impl Fn(&str) -> Option<u32>) -> ResolvConf {
        let mut conf = ResolvConf::default();
        for line in text.lines() {
            // glibc takes comments at the start of a line alone, and keywords at its very start.
            if line.starts_with(['#', ';']) {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(|word| parse_server(word, &scope));
                    if let Some(server) = server.filter(|_| conf.servers.len() < SERVERS_COUNT_MAX) {
                        conf.servers.push(server);
                    }
                }
                Some("domain") => conf.search = Some(words.next().map(clean_domain).into_iter().collect()),
                Some("search") => {
                    conf.search = Some(words.take(SEARCH_COUNT_MAX).map(clean_domain).collect());
                }
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let number = |text: &str, max: u8| text.parse::<u32>().ok().map(|n| n.min(u32::from(max)) as u8);
        if let Some(n) = word.strip_prefix("ndots:").and_then(|t| number(t, 15)) {
            self.ndots = n;
        } else if let Some(n) = word.strip_prefix("timeout:").and_then(|t| number(t, 30)) {
            self.timeout_s = n.max(1);
        } else if let Some(n) = word.strip_prefix("attempts:").and_then(|t| number(t, 5)) {
            self.attempts = n.max(1);
        } else {
            match word {
                "rotate" => self.rotate = true,
                "use-vc" => self.use_tcp = true,
                "edns0" | "trust-ad" => self.edns |= word == "edns0",
                "no-aaaa" => self.no_aaaa = true,
                _ => {}
            }
        }
    }

    /// Milliseconds the stub waits for the server at `position` before it goes on to the next.
    ///
    /// glibc's `send_dg`: the first gets the time-out, later ones a share that doubles.
    pub fn wait_ms(&self, position: usize) -> u64 {
        let count = self.servers.len().max(1) as u64;
        let seconds = u64::from(self.timeout_s) << position.min(SERVERS_COUNT_MAX);
        let seconds = if position > 0 { seconds / count } else { seconds };
        seconds.max(1) * 1_000
    }
}

/// The names to ask for `name`, in glibc's order (`res_search`): search list, ndots and final dot.
pub fn candidates(name: &str, search: &[String], ndots: u8) -> Vec<String> {
    if let Some(absolute) = name.strip_suffix('.') {
        return vec![absolute.to_owned()];
    }
    let as_is_first = name.matches('.').count() >= usize::from(ndots);
    let mut names = Vec::new();
    if as_is_first {
        names.push(name.to_owned());
    }
    for domain in search.iter().take(SEARCH_COUNT_MAX) {
        let full = if domain.is_empty() { name.to_owned() } else { format!("{name}.{domain}") };
        if full.len() <= 253 && !names.contains(&full) {
            names.push(full);
        }
    }
    if !as_is_first && !names.iter().any(|n| n == name) {
        names.push(name.to_owned());
    }
    names
}

/// The addresses a hosts file gives a name, in the order of its lines.
pub fn parse_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("");
        let mut words = line.split_ascii_whitespace();
        let address = words.next().and_then(|word| word.split('%').next()).and_then(|word| word.parse().ok());
        let Some(address) = address else { continue };
        let named = words.any(|word| word.trim_end_matches('.').eq_ignore_ascii_case(name));
        if named && !found.contains(&address) && found.len() < HOSTS_ADDRESSES_COUNT_MAX {
            found.push(address);
        }
    }
    found
}

/// Where the system looks a host name up, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    HostsFirst,
    DnsFirst,
    HostsOnly,
    DnsOnly,
}

/// Reads the `hosts:` line of nsswitch.conf; without one glibc looks in files, then in DNS.
pub fn parse_nsswitch(text: &str) -> Lookup {
    let line = text.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or("").trim();
        line.strip_prefix("hosts").and_then(|rest| rest.trim_start().strip_prefix(':'))
    });
    let Some(line) = line else { return Lookup::HostsFirst };
    let place = |wanted: &[&str]| line.split_ascii_whitespace().position(|word| wanted.contains(&word));
    match (place(&["files"]), place(&["dns", "resolve"])) {
        (Some(files), Some(dns)) if files > dns => Lookup::DnsFirst,
        (Some(_), None) => Lookup::HostsOnly,
        (None, Some(_)) => Lookup::DnsOnly,
        _ => Lookup::HostsFirst,
    }
}

/// The system's configuration as it stands now.
#[derive(Debug, Clone)]
pub struct System {
    pub resolv: ResolvConf,
    pub lookup: Lookup,
    pub hosts: String,
}

impl System {
    /// Reads /etc/resolv.conf, /etc/nsswitch.conf and /etc/hosts; what is missing counts as empty.
    pub fn read() -> System {
        let mut resolv = ResolvConf::parse(&read_text("/etc/resolv.conf"), interface_index);
        if resolv.servers.is_empty() {
            resolv.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
        }
        if resolv.search.is_none() {
            resolv.search = Some(local_domain().into_iter().collect());
        }
        let lookup = parse_nsswitch(&read_text("/etc/nsswitch.conf"));
        System { resolv, lookup, hosts: read_text("/etc/hosts") }
    }
}

fn parse_server(word: &str, scope: &impl Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    let (address, zone) = word.split_once('%').map_or((word, None), |(a, z)| (a, Some(z)));
    match (address.parse::<IpAddr>().ok()?, zone) {
        (IpAddr::V6(v6), Some(zone)) => {
            let index = zone.parse().ok().or_else(|| scope(zone))?;
            Some(SocketAddrV6::new(v6, 53, 0, index).into())
        }
        (address, None) => Some(SocketAddr::new(address, 53)),
        (IpAddr::V4(_), Some(_)) => None,
    }
}

fn clean_domain(word: &str) -> String {
    word.trim_matches('.').to_ascii_lowercase()
}

fn interface_index(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}

/// Without `search` or `domain`, glibc takes what follows the first dot of the host's own name.
fn local_domain() -> Option<String> {
    let name = read_text("/proc/sys/kernel/hostname");
    let (_, domain) = name.trim().split_once('.')?;
    (!domain.is_empty()).then(|| clean_domain(domain))
}

fn read_text(path: impl AsRef<Path>) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        // What was read before an error still counts.
        let _ = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_resolv_conf_as_glibc_does() {
        let text = "# c\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver bad\nnameserver ::1\n\
                    nameserver 10.0.0.9\nsearch a.test. B.test\noptions ndots:2 timeout:1 attempts:9 rotate\n";
        let conf = ResolvConf::parse(text, |name| (name == "eth0").then_some(7));
        let shown: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.1:53", "[fe80::1%7]:53", "[::1]:53"]);
        assert_eq!(conf.search.as_deref(), Some(&["a.test".to_owned(), "b.test".to_owned()][..]));
        assert_eq!((conf.ndots, conf.timeout_s, conf.attempts, conf.rotate), (2, 1, 5, true));
    }

    #[test]
    fn waits_as_send_dg() {
        let server = "10.0.0.1:53".parse().unwrap();
        let conf = ResolvConf { servers: vec![server; 2], ..ResolvConf::default() };
        assert_eq!((conf.wait_ms(0), conf.wait_ms(1)), (5_000, 5_000));
        let conf = ResolvConf { servers: vec![server; 3], ..ResolvConf::default() };
        assert_eq!((conf.wait_ms(1), conf.wait_ms(2)), (3_000, 6_000));
    }

    #[test]
    fn search_list_order() {
        let search = ["a.test".to_owned(), "b.test".to_owned()];
        assert_eq!(candidates("shop", &search, 1), ["shop.a.test", "shop.b.test", "shop"]);
        assert_eq!(candidates("w.shop", &search, 1), ["w.shop", "w.shop.a.test", "w.shop.b.test"]);
        assert_eq!(candidates("w.shop", &search, 2)[0], "w.shop.a.test");
        assert_eq!(candidates("shop.", &search, 1), ["shop"]);
    }

    #[test]
    fn hosts_and_nsswitch() {
        let hosts = "127.0.0.1 localhost\n10.0.0.5\tShop.test shop # x other\n::1 shop.test\n";
        assert_eq!(parse_hosts(hosts, "shop.test").len(), 2);
        assert!(parse_hosts(hosts, "other").is_empty());
        assert_eq!(parse_nsswitch("hosts: files mdns4_minimal [NOTFOUND=return] dns"), Lookup::HostsFirst);
        assert_eq!(parse_nsswitch("hosts:\tdns files"), Lookup::DnsFirst);
        assert_eq!(parse_nsswitch("passwd: files\nhosts: dns"), Lookup::DnsOnly);
        assert_eq!(parse_nsswitch(""), Lookup::HostsFirst);
    }

    proptest! {
        #[test]
        fn never_panic(text in "[ -~\n\t%:#]{0,200}") {
            let _ = ResolvConf::parse(&text, |_| Some(1));
            let _ = parse_hosts(&text, "a");
            let _ = parse_nsswitch(&text);
            let _ = candidates(&text, std::slice::from_ref(&text), 1);
        }
    }
}
