//! Why bytes are no packet, or a packet cannot be written.

use thiserror::Error;

/// Why bytes are no packet, or a packet cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    #[error("the {0} header needs {1} bytes, {2} are there")]
    Short(&'static str, usize, usize),
    #[error("IP version {0} is neither 4 nor 6")]
    Version(u8),
    #[error("the {0} header states an impossible length")]
    Length(&'static str),
    #[error("source and destination are of different families")]
    Families,
    #[error("a packet of {0} bytes is too long to send")]
    Long(usize),
}
