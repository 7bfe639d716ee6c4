//! How plans are changed before they run: what SQL over flows means, and what DataFusion does not see by itself.

pub mod addresses;
pub mod early_sum;
pub mod own;
mod parts;
pub mod two_level;
