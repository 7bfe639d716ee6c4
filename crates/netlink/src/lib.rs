//! Netlink as the kernel speaks it: a socket, messages, attributes.
//!
//! Owns the framing, and on top of it sock_diag(7) and rtnetlink(7). Firewalls and connection tracking are
//! `netwhy-netfilter`'s. Parsers take any bytes: what does not fit ends the walk, never the program.

mod attribute;
mod connection;
pub mod route;
pub mod sock_diag;
pub mod xfrm;

pub use attribute::{
    Attributes, Builder, address, attributes, be16, be32, be64, ne16, ne32, ne64, octets, text,
};
pub use connection::{Connection, NetlinkError, Protocol};
