//! How often: the five words and the one table that turns them into probabilities.

use serde::Deserialize;
use std::fmt;

/// How often a cause makes a fact take a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    Never,
    Rarely,
    Sometimes,
    Usually,
    Always,
}

impl Word {
    /// The weight before a fact's values are normalised to one; calibrated by `cargo xtask accuracy`.
    pub const fn weight(self) -> f64 {
        match self {
            Word::Always => 0.97,
            Word::Usually => 0.75,
            Word::Sometimes => 0.25,
            Word::Rarely => 0.02,
            Word::Never => 0.002,
        }
    }

    /// The word as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Word::Always => "always",
            Word::Usually => "usually",
            Word::Sometimes => "sometimes",
            Word::Rarely => "rarely",
            Word::Never => "never",
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
