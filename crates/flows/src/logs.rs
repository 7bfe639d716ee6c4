//! Access, error, authentication and audit logs: every line becomes an `Event`, or is counted with its place.
//!
//! The format of a line is told by its shape, so that one file may mix them (access and error lines, syslog around
//! nginx, a container's prefix). Owns reading; what events mean together is `detect`'s matter.

mod access;
mod auth;
mod event;
mod haproxy;
mod journal;
mod json;
mod line;
mod probe;
mod reader;
mod refusal;
mod sniff;
mod sshd;
mod syslog;
mod time;
mod trouble;
mod words;

pub use event::{
    Ending, Event, Login, LoginMethod, Method, Outcome, Refusal, RefusedBy, Server, Service, Trouble,
    TroubleKind, Visit, What,
};
pub use line::{Options, Place, Refused, read as read_line};
pub use reader::{LINE_BYTES_MAX, LogError, LogReader};
pub use sniff::{LogFormat, server, sniff};
pub use time::Clock;
