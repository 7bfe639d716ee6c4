//! Where a rule leads to: addresses or names, ports, protocols.

use super::{DESTINATIONS, Destination, PORTS, PROTOCOLS, Reader, Written, first_of, texts};
use crate::doc::{Node, Value};
use crate::read::Span;
use crate::space::{PORT_PROTOCOLS, Protocols};

impl Reader<'_> {
    pub(super) fn destinations(&mut self, node: &Node, around: &[Node], written: &mut Written) {
        let ports: Vec<(u16, u16)> = first_of(node, PORTS).map_or(Vec::new(), |node| self.ports(node));
        let asked = first_of(node, PORTS).is_some();
        let own = first_of(node, DESTINATIONS);
        let words = match own {
            Some(Node { value: Value::List(nodes), .. }) => nodes.as_slice(),
            Some(node) => std::slice::from_ref(node),
            None => around,
        };
        if words.is_empty() {
            let all = Span::anywhere();
            let each = |range: &Span| spread(*range, &ports, asked, None);
            written.destinations = all.iter().flat_map(each).collect();
        }
        for node in words {
            let word = node
                .text()
                .or_else(|| first_of(node, &["cidr", "ip", "host", "domain", "uri", "address"])?.text());
            let (name, port) = split(word.unwrap_or_default());
            let own =
                node.get("port").or_else(|| node.get("ports")).map_or(Vec::new(), |node| self.ports(node));
            let ports = if own.is_empty() { &ports } else { &own };
            let ranges = match Span::read(name) {
                Some(range) => vec![range],
                None if matches!(name, "any" | "*" | "all") => Span::anywhere(),
                None => match self.names.hosts.get(name).or_else(|| self.names.networks.get(name)) {
                    Some(ranges) => ranges.clone(),
                    None => {
                        written.unresolved.push(name.to_owned());
                        Span::anywhere()
                    }
                },
            };
            written.destinations.extend(ranges.iter().flat_map(|range| spread(*range, ports, asked, port)));
        }
        written.protocols =
            self.protocols(node, written.destinations.iter().any(|one| one.ports != (0, u16::MAX)));
    }

    fn ports(&mut self, node: &Node) -> Vec<(u16, u16)> {
        let mut ports = Vec::new();
        for word in texts(node) {
            match port_range(word) {
                Some(range) => ports.push(range),
                None => {
                    self.wrong(node, word, "this is no port and no range of ports", "这不是端口或端口范围")
                }
            }
        }
        ports
    }

    fn protocols(&mut self, node: &Node, with_ports: bool) -> Protocols {
        let Some(written) = first_of(node, PROTOCOLS) else {
            return if with_ports { PORT_PROTOCOLS } else { Protocols::ALL };
        };
        let mut protocols = Protocols::NONE;
        for word in texts(written) {
            let found = match word.to_ascii_lowercase().as_str() {
                "any" | "all" | "*" => Protocols::ALL,
                "tcp" | "http" | "https" | "ssh" | "rdp" => Protocols::TCP,
                "udp" | "quic" => Protocols::UDP,
                "icmp" => Protocols::ICMP.or(&Protocols::ICMPV6),
                number => match number.parse() {
                    Ok(number) => Protocols::of(&[number]),
                    Err(_) => {
                        self.wrong(written, word, "no protocol of that name", "没有这个协议");
                        Protocols::NONE
                    }
                },
            };
            protocols = protocols.or(&found);
        }
        protocols
    }
}

/// `name:443`, `https://name/path`, `[::1]:443`, `10.0.0.0/8:80-90` as name and ports.
fn split(word: &str) -> (&str, Option<(u16, u16)>) {
    if let Some((_, rest)) = word.split_once("://") {
        let host = rest.split('/').next().unwrap_or(rest);
        return split(host);
    }
    if let Some((address, rest)) = word.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(port_range));
    }
    if Span::read(word).is_some() {
        return (word, None);
    }
    match word.rsplit_once(':').map(|(name, port)| (name, port_range(port))) {
        Some((name, Some(port))) => (name, Some(port)),
        // An application of Cloudflare may be a part of a site.
        _ => (word.split('/').next().unwrap_or(word), None),
    }
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

/// A range with each of the ports. A list of ports of which none could be read is none.
fn spread(range: Span, ports: &[(u16, u16)], asked: bool, own: Option<(u16, u16)>) -> Vec<Destination> {
    let each = |ports: (u16, u16)| Destination { range, ports };
    match (own, ports) {
        (Some(own), _) => vec![each(own)],
        (None, []) if !asked => vec![each((0, u16::MAX))],
        (None, ports) => ports.iter().copied().map(each).collect(),
    }
}
