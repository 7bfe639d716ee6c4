//! Asks TLS by hand-made hellos, and judges the chain.

mod ask;
pub mod chain;
mod context;
mod dial;
mod differential;
mod exchange;
mod facts;
pub mod flight;
pub mod hello;
mod matrix;
mod observe;
mod origin;
mod recorder;
pub mod suites;
mod trust;

pub use ask::{HandshakeReport, TlsSeen, tls};
pub use differential::differential;
pub use matrix::{GroupRow, Matrix, SuiteRow, VersionRow, matrix};
pub use origin::{OriginTls, origin_tls};
pub use trust::{TlsError, Verify, client_config};
