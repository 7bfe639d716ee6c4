//! The PROXY protocol header, version 1 (haproxy: doc/proxy-protocol.txt).

use crate::ask::Ask;
use std::net::SocketAddr;

/// The same request with a PROXY header before everything else.
pub(crate) fn with_header(ask: &Ask) -> Ask {
    Ask { prelude: line(ask.address).into_bytes(), ..ask.clone() }
}

/// The line a load balancer would send for a client of a documentation address.
fn line(to: SocketAddr) -> String {
    match to {
        SocketAddr::V4(to) => format!("PROXY TCP4 192.0.2.1 {} 40000 {}\r\n", to.ip(), to.port()),
        SocketAddr::V6(to) => format!("PROXY TCP6 2001:db8::1 {} 40000 {}\r\n", to.ip(), to.port()),
    }
}
