//! One route look-up: what the kernel would do with a packet.

use super::link::link_name;
use super::table::RouteKind;
use super::{bits, family};
use crate::attribute::{Builder, address, attributes, ne32, octets};
use crate::connection::{Connection, NetlinkError, Protocol};
use std::net::IpAddr;

const GET_ROUTE: u16 = 26;
const HEADER_LEN: usize = 12;
/// Answer with the table the route was found in.
const FLAG_LOOKUP_TABLE: u32 = 0x1000;
/// The kernel's clock ticks of user space, in milliseconds (USER_HZ is 100).
const TICK_MS: u32 = 10;

/// A packet to look a route up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteQuery {
    pub to: IpAddr,
    /// Its source address; of another family than `to` it is left out.
    pub from: Option<IpAddr>,
    /// The interface it arrives on: the look-up is that of a router. Needs `from`.
    pub interface_in: Option<u32>,
    /// The interface it has to leave by (SO_BINDTODEVICE).
    pub interface_out: Option<u32>,
    /// Its firewall mark.
    pub mark: Option<u32>,
}

impl RouteQuery {
    /// A packet of this host's own.
    pub fn to(to: IpAddr) -> RouteQuery {
        RouteQuery { to, from: None, interface_in: None, interface_out: None, mark: None }
    }

    /// Asks the kernel.
    ///
    /// Refusals by the routing table are answers; an error is the socket's.
    pub fn ask(&self) -> Result<RouteAnswer, NetlinkError> {
        let mut connection = Connection::open(Protocol::Route)?;
        let answer = self.ask_on(&mut connection)?;
        match (&answer, self.from, self.interface_in) {
            (RouteAnswer::Refused(libc::EINVAL), Some(from), Some(arrives)) => {
                Ok(self.source_refused(&mut connection, from, arrives).unwrap_or(answer))
            }
            _ => Ok(answer),
        }
    }

    /// Tells the reverse-path filter from a blackhole, as Linux did with EXDEV until about 6.13.
    ///
    /// It was the filter when the packet would go without its source, and answers to that source would leave
    /// elsewhere.
    fn source_refused(&self, connection: &mut Connection, from: IpAddr, arrives: u32) -> Option<RouteAnswer> {
        let onward = RouteQuery { from: None, interface_in: None, ..*self }.ask_on(connection).ok()?;
        let back = RouteQuery { mark: self.mark, ..RouteQuery::to(from) }.ask_on(connection).ok()?;
        let elsewhere = back.route().is_none_or(|route| route.interface != arrives);
        (onward.route().is_some() && elsewhere).then_some(RouteAnswer::Refused(libc::EXDEV))
    }

    fn ask_on(&self, connection: &mut Connection) -> Result<RouteAnswer, NetlinkError> {
        let message = match connection.ask(GET_ROUTE, 0, self.body().bytes()) {
            Ok(Some((_, message))) => message,
            Ok(None) => return Err(NetlinkError::Silent),
            Err(NetlinkError::Refused(error)) if error.raw_os_error().is_some() => {
                return Ok(RouteAnswer::Refused(error.raw_os_error().unwrap_or_default()));
            }
            Err(error) => return Err(error),
        };
        let Some(mut route) = parse_route(&message) else { return Err(NetlinkError::Silent) };
        route.interface_name = link_name(connection, route.interface);
        Ok(RouteAnswer::Route(route))
    }

    fn body(&self) -> Builder {
        let from = self.from.filter(|from| from.is_ipv4() == self.to.is_ipv4());
        let mut header = vec![family(self.to), bits(self.to), from.map_or(0, bits), 0, 0, 0, 0, 0];
        header.extend(FLAG_LOOKUP_TABLE.to_ne_bytes());
        let mut builder = Builder::new(&header).put(1, &octets(self.to));
        if let Some(from) = from {
            builder = builder.put(2, &octets(from));
        }
        for (kind, value) in [(3, self.interface_in), (4, self.interface_out), (16, self.mark)] {
            if let Some(value) = value {
                builder = builder.put(kind, &value.to_ne_bytes());
            }
        }
        builder
    }
}

/// What the kernel says to "how would this packet go".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteAnswer {
    Route(Route),
    /// The errno a connect() would get: IPv4 refuses so, where IPv6 shows the refusing route.
    Refused(i32),
}

impl RouteAnswer {
    /// The errno a connect() would get; `None` when the packet would go.
    pub fn errno(&self) -> Option<i32> {
        match self {
            RouteAnswer::Refused(errno) => Some(*errno),
            RouteAnswer::Route(route) => match route.kind {
                RouteKind::Blackhole => Some(libc::EINVAL),
                RouteKind::Unreachable => Some(libc::EHOSTUNREACH),
                RouteKind::Prohibit => Some(libc::EACCES),
                RouteKind::Throw => Some(libc::ENETUNREACH),
                _ => None,
            },
        }
    }

    /// The kind in one word: `unicast`, `local`, `blackhole`, `unreachable`, `prohibit`, …
    ///
    /// Also `none` (no route at all) and, for a look-up with an incoming interface, `filtered` where the
    /// reverse-path filter refuses the source address.
    pub fn kind_name(&self) -> &'static str {
        match self {
            RouteAnswer::Route(route) => route.kind.name(),
            RouteAnswer::Refused(libc::EINVAL) => "blackhole",
            RouteAnswer::Refused(libc::EHOSTUNREACH) => "unreachable",
            RouteAnswer::Refused(libc::EACCES) => "prohibit",
            RouteAnswer::Refused(libc::EXDEV) => "filtered",
            RouteAnswer::Refused(_) => "none",
        }
    }

    /// The route, when the packet would go.
    pub fn route(&self) -> Option<&Route> {
        match self {
            RouteAnswer::Route(route) if self.errno().is_none() => Some(route),
            _ => None,
        }
    }
}

/// One route as looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub kind: RouteKind,
    pub interface: u32,
    pub interface_name: Option<String>,
    /// The next hop's address; of the other family for a route `via inet6`.
    pub gateway: Option<IpAddr>,
    /// The address a packet of this host's own would carry.
    pub source: Option<IpAddr>,
    /// 254 is main, 255 local.
    pub table: u32,
    /// The MTU of the route or of a learned path MTU; `None` when the interface's holds.
    pub mtu: Option<u32>,
    /// Set when the route holds something learned, such as a path MTU or a redirect: how long it still lives.
    pub expires_ms: Option<u32>,
}

impl Route {
    /// Whether the address is this host's own.
    pub fn to_self(&self) -> bool {
        self.kind == RouteKind::Local
    }
}

/// Looks a route up; with `interface_in`, as for a packet that arrives there and is not this host's own.
///
/// A router operator's question, "what would a packet arriving there meet", needs `from` too: IPv4 calls a
/// packet without source, or with one of the router's own, a martian (EINVAL). EHOSTUNREACH then also means
/// that forwarding is off, and EXDEV that the reverse-path filter would drop it. IPv6 looks at neither.
pub fn route_get(
    to: IpAddr,
    from: Option<IpAddr>,
    interface_in: Option<u32>,
) -> Result<RouteAnswer, NetlinkError> {
    RouteQuery { from, interface_in, ..RouteQuery::to(to) }.ask()
}

/// Reads the route of an answer; `None` when it is too short. The interface's name is left out.
pub fn parse_route(message: &[u8]) -> Option<Route> {
    let head = message.first_chunk::<HEADER_LEN>()?;
    let mut route = Route {
        kind: RouteKind::from_number(head[7]),
        interface: 0,
        interface_name: None,
        gateway: None,
        source: None,
        table: u32::from(head[4]),
        mtu: None,
        expires_ms: None,
    };
    for (kind, value) in attributes(message.get(HEADER_LEN..)?) {
        match kind {
            4 => route.interface = ne32(value),
            5 => route.gateway = address(value),
            7 => route.source = address(value),
            8 => route.mtu = super::table::metric_mtu(value),
            // struct rta_cacheinfo: clntref, lastuse, expires.
            12 => {
                route.expires_ms = value
                    .get(8..)
                    .map(ne32)
                    .filter(|ticks| *ticks != 0)
                    .map(|ticks| ticks.saturating_mul(TICK_MS));
            }
            15 => route.table = ne32(value),
            // struct rtvia: a family, then the address.
            18 => route.gateway = value.get(2..).and_then(address),
            _ => {}
        }
    }
    Some(route)
}
