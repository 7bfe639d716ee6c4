//! Asks from outside: TCP, ICMP, UDP, path and MTU, and what the source host itself knows.

pub mod connect;
pub mod control;
pub mod local;
pub mod payload;
pub mod series;
mod socket;
pub mod stack;
mod tap;
pub mod udp;

pub use connect::{AddressResult, AttemptRecord, ConnectOutcome, Connected, IcmpSeen, connect};
pub use control::control;
pub use local::local;
pub use payload::payload;
pub use series::series;
pub use stack::stack;
pub use udp::udp;

pub mod icmp;
pub mod loss;
pub mod ping;
pub mod pmtu;
pub mod trace;
pub use loss::loss;
pub use pmtu::pmtu;
pub use trace::trace;

/// The address to connect to: the target's port, and its zone where it names one.
///
/// A zone that is no interface of this host leaves the scope unset.
pub fn socket_address(target: &netwhy_model::Target, address: std::net::IpAddr) -> std::net::SocketAddr {
    let scope = target.zone.as_deref().and_then(|zone| nix::net::if_::if_nametoindex(zone).ok());
    match (address, scope) {
        (std::net::IpAddr::V6(v6), Some(scope)) => {
            std::net::SocketAddrV6::new(v6, target.port, 0, scope).into()
        }
        _ => std::net::SocketAddr::new(address, target.port),
    }
}
