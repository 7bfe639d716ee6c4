//! Runs one case: collects, diagnoses, asks the next best question, within limits.
//!
//! The first pass asks what a user's own client would do; after it the posterior chooses. The engine
//! is the only place where collectors, the other ends and diagnosis meet.

mod ask;
mod at;
mod field;
mod inner;
mod run;
mod state;

pub use at::{EngineRunner, join, run_with};
pub use run::{Event, Run, replay, run, run_at};
