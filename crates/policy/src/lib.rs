//! Every rule that can stand between A and B, in one model: read, asked, checked, compared.

pub mod azure;
pub mod cloud;
pub mod doc;
pub mod estate;
pub mod gate;
pub mod netfilter;
pub mod place;
pub mod read;
pub mod space;

pub use place::{Place, Unread};
