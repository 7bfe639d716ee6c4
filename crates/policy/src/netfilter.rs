//! The packet filter of Linux: readers of its rules, and what they do with a packet.

pub mod ast;
pub mod lower;
pub mod trace;
pub mod xtables;
