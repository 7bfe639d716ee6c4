//! Which rules of a web application firewall a request trips, and the narrowest exclusion that lets it through.
//!
//! Reads the rules of ModSecurity 3 and Coraza ([`seclang`]), and what nginx and haproxy are told to stop.
//! Opens no file: lists and included files come through [`seclang::Library`].

pub mod answer;
mod body;
mod engine;
pub mod exclusion;
mod facts;
pub mod haproxy;
pub mod nginx;
mod operator;
mod pattern;
pub mod place;
pub mod request;
pub mod rule;
pub mod seclang;
mod transform;
mod web;

pub use answer::Answer;
pub use engine::Waf;
pub use facts::Dialect;
pub use place::{Place, Unread};
pub use request::Request;
pub use seclang::{File, Library, NoLibrary};
pub use web::{WebAnswer, WebRule};
