//! Every rule that can stand between A and B, in one model: read, asked, checked, compared.

pub mod aws;
pub mod can;
pub mod doc;
pub mod estate;
pub mod finding;
pub mod gate;
pub mod lint;
pub mod list;
pub mod netfilter;
pub mod place;
pub mod space;
pub mod terraform;

pub use place::{Place, Unread};
