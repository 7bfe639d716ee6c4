//! Every rule that can stand between A and B, in one model: read, asked, checked, compared.

pub mod can;
pub mod changes;
pub mod doc;
pub mod estate;
pub mod finding;
pub mod gate;
pub mod lint;
pub mod list;
pub mod kube;
pub mod netfilter;
pub mod place;
pub mod reach;
pub mod read;
pub mod space;
pub mod world;
pub mod terraform;

pub use place::{Place, Unread};
