//! What a host knows of itself: plain data that collectors fill, reports draw and both ends exchange.
//!
//! [`Snapshot`] is one look at a machine (`netwhy host`); [`Record`] is what one end saw while a source
//! probed it. Every number names what it was read from.

mod firewall;
mod record;
mod snapshot;
mod socket;

pub use firewall::{Backend, Hook, Match, Rule, RuleVerdict, Ruleset, RulesetSet, TraceStep};
pub use record::{
    CounterDelta, DropSeen, Frontend, LocalRoute, PacketKind, PacketSeen, RECORD_SCHEMA, Record, RuleDelta,
    TupleSocket, Upstream, WatchSpec,
};
pub use snapshot::{
    Conntrack, Finding, Interface, LogSign, Neighbour, Reading, Section, Severity, Snapshot, State, Unread,
};
pub use socket::{
    FanOut, Listener, PeerCount, PortDemand, PortUse, Process, Service, SlowSocket, SocketCounts, Transport,
};
