//! The narrow waist: the values every room of netwhy shares.
//!
//! Plain data only: no I/O, no clock, no async. What a value means is said here once; how it is
//! measured belongs to the collectors, what follows from it to `netwhy-diagnose`.

mod case;
mod chain;
mod evidence;
mod expect;
mod lang;
mod stamp;
mod target;
mod verdict;

pub use case::{Case, CaseError, Header, Limits, Origin, SavedCase, Source, SAVED_SCHEMA};
pub use chain::{Layer, Link, Vantage};
pub use evidence::{Evidence, Outcome, Question, EXCERPT_BYTES_MAX};
pub use expect::{Expect, ExpectError, TlsVersion};
pub use lang::{Lang, Text};
pub use stamp::Stamp;
pub use target::{Host, Scheme, Target, TargetError};
pub use verdict::{
    ChainLink,
    CauseFinding, CouldNotRead, FixStep, LinkState, NextQuestion, Reachability, RuledOut, Timing, Verdict,
    VERDICT_SCHEMA,
};
