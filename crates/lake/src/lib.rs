//! Flow records kept: sorted Parquet, questions and SQL on it, here or on a cluster.
//!
//! A lake is a folder or a prefix of an object store: `data/date=…/hour=…/*.parquet` holds records, `manifest/` says
//! which of these files count. Whatever happens to a writer, readers see the last manifest that was finished. Every
//! call here blocks: call it from a thread that runs no async code.

pub mod cluster;
mod condition;
mod encode;
mod error;
mod feed;
mod functions;
mod import;
mod lake;
mod listing;
mod manifest;
mod plan;
mod question;
mod retention;
mod rows;
mod rules;
mod schema;
mod session;
mod store;
mod text;

pub use error::LakeError;
pub use feed::Fed;
pub use feed::columns::read as read_parquet;
pub use import::{ImportReport, ImportStep, Imported, Outcome};
pub use lake::{Cancel, Lake, LakeOptions};
pub use question::{Filter, NAMES, Question};
pub use retention::{RETENTION_DAYS, RetentionReport};
pub use rows::{Cell, Column, ColumnKind, Rows, Torn};
pub use schema::{FORMAT_KEY, VERSION_KEY};
pub use session::TABLE;
