//! The other ends of a case: how netwhy runs over there (ssh, exec, netns, agent) and what is said on the wire between.
//!
//! The controller, netwhy on the user's terminal, opens [`Ends`]: one helper process or agent session each.
//! Both sides speak length-limited JSON lines ([`Frame`]); over there [`serve`] answers them.

mod agent;
mod end;
mod ends;
mod error;
mod eyes;
mod frame;
mod hello;
mod host;
mod line;
mod place;
mod rate;
mod relay;
mod serve;
mod session;
mod start;
mod stdio;
mod words;

pub use agent::{
    Agent, AgentCredentials, AgentEvent, AgentFiles, AgentLimits, Issue, Privileges, drop_privileges, issue,
};
pub use end::End;
pub use ends::{Ends, OpenOptions, Opened};
pub use error::EndError;
pub use eyes::{Eyes, Watching};
pub use frame::{
    EndFault, EndName, FaultCode, Frame, Hello, PROTOCOL_VERSION, Reply, Request, RunSpec, end_name_is_valid,
};
pub use host::HostEyes;
pub use place::{AGENT_PORT, At, Place, PlaceError};
pub use rate::Rate;
pub use serve::{Runner, ServeOptions, serve};
pub use session::{Events, MESSAGE_BYTES_MAX};
pub use stdio::serve_stdio;

use std::future::Future;
use std::pin::Pin;

/// A boxed future that may cross threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
