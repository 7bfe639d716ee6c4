//! Reads a host: sockets, queues, limits, counters, drop reasons, firewall, services, logs; and judges what it read.

pub mod watch;
