//! Operators of our own, where DataFusion's are slow on flows.

pub mod dense;
pub mod keys;
pub mod spread;
