//! Load balancers: what they listen on, whom they pass it to, and how they tell who is well.

mod aliyun;
mod aws;
mod cloud;
mod faults;
mod flapping;
mod gcp;
mod haproxy;
mod haproxy_words;
mod health_faults;
mod known;
mod mend;
mod nginx;
mod nginx_files;
mod nginx_tree;
mod terraform;
mod way;

pub use aliyun::aliyun;
pub use aws::aws;
pub use cloud::claims;
pub use faults::{KINDS, faults};
pub use flapping::{Flap, History, flapping};
pub use gcp::gcp;
pub use haproxy::haproxy;
pub use known::{Answer, Known, Listening};
pub use nginx::nginx;
pub use nginx_files::nginx_files;
pub use terraform::terraform;
pub use way::{CheckAsk, check_asks, stopped};

use crate::place::{Place, Unread};
use crate::read::Span;
use netwhy_model::Text;
use serde::Serialize;
use std::sync::Arc;

/// What balancers the files describe, and what of them was not understood.
#[derive(Debug, Clone, Default)]
pub struct Balancers {
    pub balancers: Vec<Balancer>,
    pub unread: Vec<Unread>,
}

impl Balancers {
    /// The one balancer that a file of a program describes, unless there is nothing in it.
    fn of_file(
        (name, kind): (&str, Kind),
        file: &Arc<str>,
        listeners: Vec<Listener>,
        pools: Vec<Pool>,
        unread: Vec<Unread>,
    ) -> Balancers {
        let empty = listeners.is_empty() && pools.is_empty();
        let (name, place) = (name.to_owned(), Place::whole(file));
        let balancer = Balancer { name, kind, listeners, pools, subnets: Vec::new(), place };
        Balancers { balancers: (!empty).then_some(balancer).into_iter().collect(), unread }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Balancer {
    pub name: String,
    pub kind: Kind,
    pub listeners: Vec<Listener>,
    pub pools: Vec<Pool>,
    /// Where it stands: AWS balancers ask from addresses of their subnets.
    pub subnets: Vec<String>,
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Nginx,
    Haproxy,
    AwsApplication,
    AwsNetwork,
    AwsGateway,
    AwsClassic,
    Gcp,
    AliyunClassic,
    AliyunApplication,
    AliyunNetwork,
    Azure,
    Huawei,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    pub name: String,
    pub protocol: Protocol,
    /// As written; `None` for every address.
    pub address: Option<String>,
    /// `None` when it is a path of a file, or not said.
    pub port: Option<u16>,
    pub tls: bool,
    /// The pools it may pass to, by name.
    pub pools: Vec<String>,
    /// It answers by itself: files, a redirect, a fixed answer.
    pub answers: bool,
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Tls,
    Http,
    Https,
    Grpc,
    Other,
}

impl Protocol {
    /// From a vendor's word, in any case.
    pub fn of(word: &str) -> Protocol {
        match word.to_ascii_lowercase().as_str() {
            "tcp" | "tcp_udp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "tls" | "ssl" | "tcpssl" => Protocol::Tls,
            "http" | "http2" => Protocol::Http,
            "https" | "quic" => Protocol::Https,
            "grpc" => Protocol::Grpc,
            _ => Protocol::Other,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    pub name: String,
    /// What the members are spoken to in, where the pool says it.
    pub protocol: Option<Protocol>,
    pub members: Vec<Member>,
    /// The members come and go by themselves (autoscaling, DNS, a template): the list says little.
    pub dynamic: bool,
    pub health: Health,
    /// A listener of another file may use it, or it is used in a way that is not modelled.
    pub used: bool,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// As written: an address, a name, the id of an instance.
    pub address: String,
    pub port: Option<u16>,
    pub weight: u32,
    pub backup: bool,
    /// Taken out, or known to be unwell; with the owner's words.
    pub down: Option<String>,
    /// A check of its own instead of the pool's.
    pub health: Option<Health>,
    pub place: Place,
}

/// How the well are told from the unwell.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    pub check: Check,
    pub path: Option<String>,
    /// `None`: the port of the member.
    pub port: Option<u16>,
    /// The Host header it sends, where it is written.
    pub host: Option<String>,
    /// The version of HTTP a request is written in, where the owner writes it out.
    pub version: Option<String>,
    pub interval_s: Option<f64>,
    /// Between checks after the first that failed, where it differs.
    pub fast_interval_s: Option<f64>,
    pub timeout_s: Option<f64>,
    /// The timeout stands in the file; else it is the owner's default.
    pub timeout_written: bool,
    pub rise: Option<u32>,
    pub fall: Option<u32>,
    /// Answers that count as well, first and last code; empty for the owner's default.
    pub expected: Vec<(u16, u16)>,
    /// What else decides that is not modelled: a body, a script.
    pub unmodelled: Vec<Text>,
    /// Nobody wrote interval, timeout, rise or fall: they are the owner's defaults.
    pub defaults: bool,
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Nobody asks: a member that is gone is still given work.
    None,
    /// Told from the answers to real requests only.
    Passive,
    Tcp,
    Udp,
    Tls,
    Http,
    Https,
    Grpc,
    /// Of a kind that is not modelled: a script, an agent, a data base's hello.
    Other,
}

impl Check {
    pub fn of(word: &str) -> Check {
        match Protocol::of(word) {
            Protocol::Tcp => Check::Tcp,
            Protocol::Udp => Check::Udp,
            Protocol::Tls => Check::Tls,
            Protocol::Http => Check::Http,
            Protocol::Https => Check::Https,
            Protocol::Grpc => Check::Grpc,
            Protocol::Other => Check::Other,
        }
    }

    pub const fn speaks_http(self) -> bool {
        matches!(self, Check::Http | Check::Https | Check::Grpc)
    }

    pub const fn asks(self) -> bool {
        !matches!(self, Check::None | Check::Passive)
    }
}

impl Health {
    pub fn new(check: Check, place: &Place) -> Health {
        Health {
            check,
            path: None,
            port: None,
            host: None,
            version: None,
            interval_s: None,
            fast_interval_s: None,
            timeout_s: None,
            timeout_written: false,
            rise: None,
            fall: None,
            expected: Vec::new(),
            unmodelled: Vec::new(),
            defaults: true,
            place: place.clone(),
        }
    }

    /// How long a dead member is still given work at the most, in seconds: it dies just after a good answer, then
    /// `fall` checks must fail, the last of them after its timeout.
    pub fn detection_s(&self) -> Option<f64> {
        let (interval_s, fall) = (self.interval_s?, self.fall?.max(1));
        let later_s = self.fast_interval_s.unwrap_or(interval_s) * f64::from(fall - 1);
        Some(interval_s + later_s + self.timeout_s.unwrap_or(interval_s))
    }
}

/// Whom the health checks of a balancer come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Checkers {
    /// Fixed ranges of the vendor, and what says so.
    Ranges { ranges: Vec<&'static str>, source: &'static str },
    /// Addresses of these subnets.
    Subnets(Vec<String>),
    /// The host on which it runs.
    ItsHost,
}

impl Balancer {
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// Whom a firewall before the members must let in, so that they are found to be well.
    pub fn checkers(&self) -> Checkers {
        match self.kind {
            Kind::Nginx | Kind::Haproxy => Checkers::ItsHost,
            Kind::AwsApplication
            | Kind::AwsNetwork
            | Kind::AwsGateway
            | Kind::AwsClassic
            | Kind::AliyunApplication
            | Kind::AliyunNetwork => Checkers::Subnets(self.subnets.clone()),
            Kind::Gcp => Checkers::Ranges {
                ranges: vec!["35.191.0.0/16", "130.211.0.0/22", "2600:2d00:1:b029::/64"],
                source: "https://cloud.google.com/load-balancing/docs/firewall-rules",
            },
            Kind::AliyunClassic => Checkers::Ranges {
                ranges: vec!["100.64.0.0/10"],
                source: "https://www.alibabacloud.com/help/en/slb/classic-load-balancer/",
            },
            Kind::Azure => Checkers::Ranges {
                ranges: vec!["168.63.129.16/32"],
                source: "https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16",
            },
            Kind::Huawei => Checkers::Ranges {
                ranges: vec!["100.125.0.0/16"],
                source: "https://support.huaweicloud.com/usermanual-elb/elb_ug_hd_0002.html",
            },
        }
    }
}

impl Checkers {
    /// The ranges as far as they are known without the cloud's lists of subnets.
    pub fn ranges(&self) -> Vec<Span> {
        let texts: Vec<&str> = match self {
            Checkers::Ranges { ranges, .. } => ranges.clone(),
            Checkers::Subnets(subnets) => subnets.iter().map(String::as_str).collect(),
            Checkers::ItsHost => Vec::new(),
        };
        texts.into_iter().filter_map(Span::read).collect()
    }
}

/// `10.0.0.1:80`, `[::1]:80`, `name:80`, `:80`, `80`, `name` as address and port; a lone number is a port.
pub(crate) fn address_port(text: &str) -> (Option<String>, Option<u16>) {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return (Some(text.to_owned()), None) };
        return (Some(address.to_owned()), rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    if let Ok(port) = text.parse() {
        return (None, Some(port));
    }
    match text.split_once(':') {
        Some((address, port)) if !port.contains(':') => {
            let any = address.is_empty() || address == "*" || address == "0.0.0.0";
            ((!any).then(|| address.to_owned()), port.parse().ok())
        }
        _ => ((text != "*").then(|| text.to_owned()), None),
    }
}

/// `200`, `200-399`, `200,204`, `http_2xx` as first and last code; what is no code is left out.
pub(crate) fn codes(text: &str) -> Vec<(u16, u16)> {
    let one = |part: &str| {
        let part = part.trim().trim_start_matches("http_");
        if let Some(hundred) = part.strip_suffix("xx") {
            let hundred: u16 = hundred.parse().ok().filter(|hundred| (1..=5).contains(hundred))?;
            return Some((hundred * 100, hundred * 100 + 99));
        }
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    text.split([',', ' ', '|']).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_codes_are_read_in_every_form() {
        let read = |text: &str| {
            let (address, port) = address_port(text);
            format!("{}|{}", address.unwrap_or_default(), port.map_or(String::new(), |port| port.to_string()))
        };
        let wanted = [
            ("10.0.0.1:80", "10.0.0.1|80"),
            ("[::1]:80", "::1|80"),
            ("[::1]", "::1|"),
            ("*:80", "|80"),
            (":80", "|80"),
            ("80", "|80"),
            ("web", "web|"),
            ("::1", "::1|"),
        ];
        for (text, wanted) in wanted {
            assert_eq!(read(text), wanted, "{text}");
        }
        assert_eq!(codes("200-299,301 http_4xx|x"), [(200, 299), (301, 301), (400, 499)]);
    }
}
