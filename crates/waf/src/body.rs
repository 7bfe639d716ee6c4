//! Bodies taken apart as ModSecurity's processors do: forms, multipart, JSON, XML.

pub mod form;
pub mod json;
pub mod multipart;
pub mod xml;

/// A name and a value, as bytes.
pub type Pair = (Vec<u8>, Vec<u8>);

/// How many arguments one request may have.
pub const ARGUMENTS_COUNT_MAX: usize = 100_000;
/// How many bytes the names and values of one body may come to.
pub const ARGUMENTS_BYTES_MAX: usize = 1 << 27;
