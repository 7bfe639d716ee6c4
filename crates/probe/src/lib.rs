//! Asks from outside: TCP, ICMP, UDP, path and MTU, and what the source host itself knows.

pub mod connect;
pub mod control;
pub mod local;
pub mod payload;
pub mod series;
mod socket;
mod tap;
pub mod udp;

pub use connect::{AddressResult, AttemptRecord, ConnectOutcome, Connected, IcmpSeen, connect};
pub use control::control;
pub use local::local;
pub use payload::payload;
pub use series::series;
pub use udp::udp;

pub mod icmp;
pub mod loss;
pub mod ping;
pub mod pmtu;
pub mod trace;
pub use loss::loss;
pub use pmtu::pmtu;
pub use trace::trace;
