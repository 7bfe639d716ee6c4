//! Reads a host: sockets, queues, limits, counters, drop reasons, firewall, services, logs; and judges what it read.

pub mod counters;
pub mod facts;
mod files;
pub mod judge;
pub mod logs;
mod look;
mod mounts;
mod network;
mod parsers;
mod persistence;
pub mod processes;
mod sections;
mod services;
mod sockets;
mod subprocess;
mod text;
pub mod upstream;
pub mod watch;

pub use look::{HOST_SCHEMA, LookSpec, look};
pub use parsers::take_apart;
