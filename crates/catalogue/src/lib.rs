//! The catalogue: what netwhy knows, as data.
//!
//! `facts.toml` declares every fact and its values; one file per cause says which facts it makes
//! always, usually, sometimes, rarely or never take which value. Everything is compiled in and
//! checked when loaded: an unknown fact, value, link or word is an error that names its place.

mod cause;
mod fact;
mod load;
mod suggest;
mod word;

pub use cause::{CauseEntry, Fix, Prior, SeenFrom};
pub use fact::{FactEntry, Privilege, QuestionEntry};
pub use load::{Catalogue, CatalogueError};
pub use suggest::nearest;
pub use word::Word;
