//! The narrow waist: the values every room of netwhy shares.
//!
//! Plain data only: no I/O, no clock, no async. What a value means is said here once; how it is
//! measured belongs to the collectors, what follows from it to `netwhy-diagnose`.

mod case;
mod chain;
mod evidence;
mod expect;
pub mod host;
mod lang;
mod stamp;
mod target;
mod verdict;

pub use case::{Case, CaseError, Header, LegRecord, Limits, Origin, SAVED_SCHEMA, SavedCase, Source};
pub use chain::{Layer, Leg, Link, Vantage};
pub use evidence::{EXCERPT_BYTES_MAX, Evidence, Outcome, Question};
pub use expect::{Expect, ExpectError, TlsVersion};
pub use lang::{Lang, Text};
pub use stamp::Stamp;
pub use target::{Host, Scheme, Target, TargetError};
pub use verdict::{
    CauseFinding, ChainLink, CouldNotRead, Disagreement, FixStep, LinkState, NextQuestion, Reachability,
    RuledOut, Side, Timing, VERDICT_SCHEMA, Verdict,
};
