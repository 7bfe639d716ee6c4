//! The certificate chain: read, linked, and judged as each kind of client would.

mod certificate;
mod judge;
mod path;
mod signature;
mod staple;
#[cfg(test)]
mod tests;

pub use certificate::{Certificate, ParsedCertificate};
pub use judge::{ChainVerdict, Fault, ValidatorVerdict};
pub(crate) use judge::{bare, covers, judge};
pub use staple::{Staple, StapleStatus, parse_staple};
