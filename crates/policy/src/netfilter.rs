//! The packet filter of Linux: readers of its rules, and what they do with a packet.

pub mod ast;
pub mod eval;
pub mod faults;
pub mod lower;
pub mod nft;
pub mod packet;
pub mod trace;
pub mod xtables;
