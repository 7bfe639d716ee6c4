//! Every rule that can stand between A and B, in one model: read, asked, checked, compared.

pub mod balancer;
pub mod doc;
pub mod estate;
pub mod finding;
pub mod gate;
pub mod intents;
pub mod matrix;
pub mod netfilter;
pub mod place;
pub mod range;
pub mod ranges;
pub mod sarif;
pub mod space;
pub mod suggest;
pub mod walk;
pub mod zero_trust;

pub use place::{Place, Unread};
