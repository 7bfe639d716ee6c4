//! Every rule that can stand between A and B, in one model: read, asked, checked, compared.

pub mod doc;
pub mod estate;
pub mod gate;
pub mod kube;
pub mod netfilter;
pub mod place;
pub mod space;

pub use place::{Place, Unread};
