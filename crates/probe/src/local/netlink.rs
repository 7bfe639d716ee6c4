//! The few questions of rtnetlink(7) that are needed: one route, links, addresses, one neighbour.

use netwhy_model::Source;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const HEADER_LEN: usize = 16;
const MESSAGE_ERROR: u16 = 2;
const MESSAGE_DONE: u16 = 3;
const GET_LINK: u16 = 18;
const GET_ADDRESS: u16 = 22;
const GET_ROUTE: u16 = 26;
const GET_NEIGHBOUR: u16 = 30;
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
/// Most replies read to one question.
const REPLY_COUNT_MAX: usize = 256;
const REPLY_BYTES_MAX: usize = 64 << 10;
const WAIT: Duration = Duration::from_millis(500);

/// What the kernel says to "how would I reach this address".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RouteAnswer {
    Route(Route),
    /// The errno a connect() would get.
    Refused(i32),
    Unknown,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The address is this host's own.
    pub to_self: bool,
    pub interface: u32,
    pub interface_name: Option<String>,
    pub gateway: Option<IpAddr>,
    pub source: Option<IpAddr>,
}

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    pub index: u32,
    pub name: String,
    pub flags: u32,
    pub mac: Option<[u8; 6]>,
}

impl Interface {
    pub(super) fn is_loopback(&self) -> bool {
        self.flags & libc::IFF_LOOPBACK as u32 != 0
    }

    /// Up, with a carrier below. (RUNNING follows the carrier only up to a second later.)
    pub(super) fn carrier(&self) -> bool {
        let wanted = (libc::IFF_UP | libc::IFF_LOWER_UP) as u32;
        self.flags & wanted == wanted
    }

    /// Its link needs no neighbour's address: loopback, tunnel, point to point.
    pub(super) fn needs_no_neighbour(&self) -> bool {
        self.flags & (libc::IFF_LOOPBACK | libc::IFF_NOARP | libc::IFF_POINTOPOINT) as u32 != 0
    }
}

/// One entry of the neighbour table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// NUD_* bits (linux/neighbour.h).
    pub state: u16,
    pub mac: Option<[u8; 6]>,
}

/// A netlink socket.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Netlink> {
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(Protocol::from(0)))?;
        socket.set_read_timeout(Some(WAIT))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    /// Looks a route up as connect() would, with the source the case asks for.
    pub(super) fn route(&mut self, address: IpAddr, source: &Source) -> RouteAnswer {
        let mut body = vec![family(address), bits(address), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        attribute(&mut body, 1, &octets(address));
        if let Some(from) = source.address.filter(|from| from.is_ipv4() == address.is_ipv4()) {
            body[2] = bits(from);
            attribute(&mut body, 2, &octets(from));
        }
        let links = self.links();
        if let Some(name) = &source.interface
            && let Some(link) = links.iter().find(|l| l.name == *name)
        {
            attribute(&mut body, 4, &link.index.to_ne_bytes());
        }
        let Ok(replies) = self.ask(GET_ROUTE, REQUEST, &body) else { return RouteAnswer::Unknown };
        match replies.first() {
            Some(Reply::Error(errno)) => RouteAnswer::Refused(*errno),
            Some(Reply::Message(message)) => read_route(message, &links),
            None => RouteAnswer::Unknown,
        }
    }

    /// Lists the interfaces.
    pub(super) fn links(&mut self) -> Vec<Interface> {
        let replies = self.ask(GET_LINK, REQUEST | DUMP, &[0; 16]).unwrap_or_default();
        replies
            .iter()
            .filter_map(|reply| if let Reply::Message(m) = reply { read_link(m) } else { None })
            .collect()
    }

    /// The interfaces that have an address of a family, the loopback's own aside.
    pub(super) fn addressed(&mut self, v6: bool) -> Vec<u32> {
        let family = if v6 { libc::AF_INET6 } else { libc::AF_INET } as u8;
        let replies =
            self.ask(GET_ADDRESS, REQUEST | DUMP, &[family, 0, 0, 0, 0, 0, 0, 0]).unwrap_or_default();
        let index = |message: &Vec<u8>| {
            let head = message.first_chunk::<8>()?;
            // Scope 0 is global; the loopback's addresses have scope host.
            (head[0] == family && head[3] == 0)
                .then(|| u32::from_ne_bytes([head[4], head[5], head[6], head[7]]))
        };
        replies
            .iter()
            .filter_map(|reply| if let Reply::Message(m) = reply { index(m) } else { None })
            .collect()
    }

    /// Reads one neighbour; `None` when there is no such entry.
    pub(super) fn neighbour(&mut self, address: IpAddr, interface: u32) -> Option<Neighbour> {
        let mut body = vec![family(address), 0, 0, 0];
        body.extend(interface.to_ne_bytes());
        body.extend([0; 4]);
        attribute(&mut body, 1, &octets(address));
        let replies = self.ask(GET_NEIGHBOUR, REQUEST, &body).ok()?;
        let Some(Reply::Message(message)) = replies.first() else { return None };
        let state = u16::from_ne_bytes([*message.get(8)?, *message.get(9)?]);
        let mac = attributes(message.get(12..)?)
            .find(|(kind, _)| *kind == 2)
            .and_then(|(_, value)| <[u8; 6]>::try_from(value).ok());
        Some(Neighbour { state, mac })
    }

    fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<Vec<Reply>> {
        self.sequence += 1;
        let mut message = Vec::with_capacity(HEADER_LEN + body.len());
        message.extend(((HEADER_LEN + body.len()) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend([0; 4]);
        message.extend(body);
        self.socket.send(&message)?;
        let mut replies = Vec::new();
        let mut buffer = vec![0_u8; REPLY_BYTES_MAX];
        for _ in 0..REPLY_COUNT_MAX {
            let length = (&self.socket).read(&mut buffer)?;
            let more = self.split(buffer.get(..length).unwrap_or_default(), &mut replies);
            if flags & DUMP == 0 && !replies.is_empty() || !more {
                break;
            }
        }
        Ok(replies)
    }

    /// Cuts one datagram into messages; false once the dump is done.
    fn split(&self, mut bytes: &[u8], replies: &mut Vec<Reply>) -> bool {
        while let Some(head) = bytes.first_chunk::<HEADER_LEN>() {
            let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let kind = u16::from_ne_bytes([head[4], head[5]]);
            let sequence = u32::from_ne_bytes([head[8], head[9], head[10], head[11]]);
            let Some(body) = bytes.get(HEADER_LEN..length) else { return false };
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
            if sequence != self.sequence {
                continue;
            }
            match kind {
                MESSAGE_DONE => return false,
                MESSAGE_ERROR => {
                    let code = body.first_chunk::<4>().map_or(0, |code| i32::from_ne_bytes(*code));
                    replies.push(Reply::Error(code.saturating_neg()));
                    return false;
                }
                _ => replies.push(Reply::Message(body.to_vec())),
            }
        }
        true
    }
}

#[derive(Debug)]
enum Reply {
    Message(Vec<u8>),
    Error(i32),
}

fn read_route(message: &[u8], links: &[Interface]) -> RouteAnswer {
    // IPv6 answers with the refusing route itself where IPv4 answers with its errno.
    match message.get(7) {
        Some(6) => return RouteAnswer::Refused(libc::EINVAL),
        Some(7) => return RouteAnswer::Refused(libc::EHOSTUNREACH),
        Some(8) => return RouteAnswer::Refused(libc::EACCES),
        Some(_) => {}
        None => return RouteAnswer::Unknown,
    }
    let mut route = Route {
        to_self: message.get(7) == Some(&2),
        interface: 0,
        interface_name: None,
        gateway: None,
        source: None,
    };
    for (kind, value) in attributes(message.get(12..).unwrap_or_default()) {
        match kind {
            4 => route.interface = value.first_chunk::<4>().map_or(0, |index| u32::from_ne_bytes(*index)),
            5 => route.gateway = address(value),
            7 => route.source = address(value),
            18 => route.gateway = value.get(2..).and_then(address),
            _ => {}
        }
    }
    route.interface_name = links.iter().find(|l| l.index == route.interface).map(|l| l.name.clone());
    RouteAnswer::Route(route)
}

fn read_link(message: &[u8]) -> Option<Interface> {
    let head = message.first_chunk::<16>()?;
    let mut link = Interface {
        index: u32::from_ne_bytes([head[4], head[5], head[6], head[7]]),
        name: String::new(),
        flags: u32::from_ne_bytes([head[8], head[9], head[10], head[11]]),
        mac: None,
    };
    for (kind, value) in attributes(message.get(16..)?) {
        match kind {
            1 => link.mac = <[u8; 6]>::try_from(value).ok(),
            3 => link.name = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned(),
            _ => {}
        }
    }
    Some(link)
}

/// Walks type-length-value attributes; ends at the first that does not fit.
fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let head = rest.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let kind = u16::from_ne_bytes([head[2], head[3]]) & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend(((value.len() + 4) as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(|octets| Ipv4Addr::from(octets).into()),
        16 => <[u8; 16]>::try_from(value).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_has_a_route_everywhere() {
        let mut netlink = Netlink::open().unwrap();
        let RouteAnswer::Route(route) = netlink.route(Ipv4Addr::LOCALHOST.into(), &Source::default()) else {
            panic!("no route to 127.0.0.1");
        };
        assert!(route.to_self);
        assert!(netlink.links().iter().any(Interface::is_loopback));
    }

    #[test]
    fn attributes_end_where_they_do_not_fit() {
        assert_eq!(attributes(&[8, 0, 1, 0, 1, 2, 3, 4]).count(), 1);
        assert_eq!(attributes(&[9, 0, 1, 0, 1, 2, 3, 4]).count(), 0);
        assert_eq!(attributes(&[0, 0, 0, 0]).count(), 0);
    }
}
