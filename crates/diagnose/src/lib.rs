//! Evidence in, verdict out.
//!
//! Exact enumeration over every hypothesis of at most two causes, with the catalogue's tables as
//! likelihoods. Deterministic: no clock, no I/O, no randomness; the same evidence gives the same bytes.

mod disagreement;
mod posterior;
mod question;
mod reach;
mod table;
mod verdict;

pub use posterior::{Hypothesis, Posterior};
pub use question::{Candidate, rank_questions};
pub use reach::reachability;
pub use table::{Observed, Table};
pub use verdict::{Inputs, diagnose};
