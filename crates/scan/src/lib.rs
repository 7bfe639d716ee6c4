//! Which ports answer at all, and how do the others fail: raw SYN, connect and UDP scans of one host or a network.
//!
//! A [`Plan`] says what to ask and how politely; [`scan`] asks every host and port of it, tells what it hears as
//! [`Event`]s while it goes, and returns a [`Summary`]. See `examples/ports.rs`.

mod checkpoint;
pub mod connect;
mod error;
mod event;
mod finding;
mod hosts;
mod input;
mod ledger;
pub mod look;
mod order;
mod plan;
mod ports;
pub mod raw;
mod run;
pub mod services;
pub mod udp;

pub use checkpoint::{Checkpoint, CheckpointError, CheckpointFault, Keeper, Planned};
pub use error::ScanError;
pub use event::{Event, Notice, Progress, Summary};
pub use finding::{Finding, Look, Protocol, Reason, State};
pub use hosts::{Hosts, Span, Target};
pub use input::{InputError, InputFault};
pub use order::Order;
pub use plan::{Engine, LookFor, Pace, Plan, Shard};
pub use ports::Ports;
pub use run::scan;
