//! Every rule that can stand between A and B, in one model: read, asked, checked, compared.

pub mod balancer;
pub mod doc;
pub mod estate;
pub mod finding;
pub mod gate;
pub mod netfilter;
pub mod place;
pub mod range;
pub mod space;

pub use place::{Place, Unread};
