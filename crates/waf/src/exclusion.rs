//! The narrowest exclusion that lets a legitimate request through.

use serde::Serialize;

/// A rule that lets one request through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exclusion {
    pub rule: String,
}
