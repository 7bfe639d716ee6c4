//! Reads a host: sockets, queues, limits, counters, drop reasons, firewall, services, logs; and judges what it read.

pub mod counters;
pub mod facts;
mod files;
pub mod logs;
mod mounts;
mod network;
mod sections;
pub mod processes;
mod sockets;
mod subprocess;
mod text;
pub mod watch;
