//! What Linux sockets tell beyond their bytes, for every room that asks with them.
//!
//! [`queued_errors`] and [`next_error`] read ICMP errors with their sender (ip(7), IP_RECVERR), [`tcp_info`] the
//! kernel's account of a connection; [`frames`] carries whole Ethernet frames between interfaces.

mod dropped;
mod errors;
pub mod frames;
mod info;
mod option;

pub use dropped::packets_dropped;
pub use errors::{QUOTED_BYTES, QueuedError, keep_errors, next_error, queued_errors};
pub use info::{TcpInfo, tcp_info};
pub use option::{set_flag, set_integer};
