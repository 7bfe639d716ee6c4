//! Reads a host: sockets, queues, limits, counters, drop reasons, firewall, services, logs; and judges what it read.

pub mod counters;
mod files;
pub mod logs;
pub mod processes;
mod subprocess;
mod text;
pub mod watch;
