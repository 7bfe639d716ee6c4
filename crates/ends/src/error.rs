//! What can go wrong with an end, one sentence each.

use crate::frame::{EndFault, FaultCode};
use std::io;
use std::sync::Arc;
use thiserror::Error;

/// Why an end could not be opened, asked or served.
#[derive(Debug, Clone, Error)]
pub enum EndError {
    // Starting netwhy over there.
    #[error("cannot start {program:?}")]
    Start { program: String, source: Arc<io::Error> },
    #[error("cannot enter network namespace {name:?}")]
    Netns { name: String, source: Arc<io::Error> },
    #[error("cannot read netwhy's own program file")]
    OwnProgram { source: Arc<io::Error> },
    #[error("the command ended before netwhy could start there{}", told(.said))]
    NotStarted { said: String },
    #[error("the command gives programs a terminal, which would garble what is said")]
    Terminal,
    #[error("the machine over there is {found}, and this netwhy is built for {own}")]
    Machine { found: String, own: String },
    #[error("the place has no {loader}, which this netwhy needs to start")]
    Loader { loader: String },
    #[error("no directory over there may hold a program: tried {tried}")]
    NoDirectory { tried: String },
    #[error("the place has no /proc")]
    NoProc,
    #[error("netwhy's copy did not arrive whole{}", told(.said))]
    Damaged { said: String },
    #[error("netwhy's copy does not start there{}", told(.said))]
    CopyFails { said: String },
    // Agents.
    #[error("no certificate for agents was given")]
    NoCredentials,
    #[error("cannot use {path:?}: {why}")]
    Credentials { path: String, why: String },
    #[error("cannot connect to agent {agent}")]
    Connect { agent: String, source: Arc<io::Error> },
    #[error("no secure connection with agent {agent}: {why}")]
    Secure { agent: String, why: String },
    // The session.
    #[error("{what} took longer than {after_ms} ms")]
    Timeout { what: &'static str, after_ms: u64 },
    #[error("the other side is gone{}", told(.said))]
    Gone { said: String },
    #[error("the other side stopped in the middle of a message")]
    Truncated,
    #[error("a message is longer than the {bytes_max} bytes allowed")]
    TooLong { bytes_max: usize },
    #[error("the other side sent something that is no message: {excerpt:?}")]
    Garbage { excerpt: String },
    #[error("the other side does not read its answers")]
    Stalled,
    #[error("the connection to the other side broke")]
    Broken { source: Arc<io::Error> },
    #[error("the other side says: {0}")]
    Fault(EndFault),
    #[error("the other side answered something that was not asked")]
    Unexpected,
    #[error("the other side speaks version {theirs} of the protocol, this netwhy {own}")]
    Version { theirs: u32, own: u32 },
    /// This session was closed from here.
    #[error("the session is closed")]
    Closed,
}

impl EndError {
    /// The same, with what the other side's program wrote to its standard error.
    pub(crate) fn with_said(self, said: String) -> EndError {
        match self {
            EndError::Gone { .. } => EndError::Gone { said },
            EndError::NotStarted { .. } => EndError::NotStarted { said },
            EndError::Damaged { said: before } => EndError::Damaged { said: joined(before, said) },
            EndError::CopyFails { .. } => EndError::CopyFails { said },
            other => other,
        }
    }

    /// Whether that text is worth waiting for.
    pub(crate) fn wants_said(&self) -> bool {
        matches!(
            self,
            EndError::Gone { .. }
                | EndError::NotStarted { .. }
                | EndError::Damaged { .. }
                | EndError::CopyFails { .. }
        )
    }

    /// How this is told to the other side.
    pub(crate) fn to_fault(&self) -> EndFault {
        match self {
            EndError::Fault(fault) => fault.clone(),
            other => EndFault::new(FaultCode::Failed, other.to_string()),
        }
    }

    pub(crate) fn broken(error: io::Error) -> EndError {
        EndError::Broken { source: Arc::new(error) }
    }
}

fn told(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

fn joined(before: String, after: String) -> String {
    match (before.is_empty(), after.is_empty()) {
        (true, _) => after,
        (_, true) => before,
        _ => format!("{before}; {after}"),
    }
}
