//! `netwhy scan` beside nmap, masscan, zmap and RustScan, on targets that answer, stay silent, lose, limit, ban and lie.
//!
//! Every target is a scanner, a router and a host in namespaces of their own, which end with whoever made them.

mod hold;
mod part;
mod place;
mod target;

use anyhow::{Result, bail};
use std::path::Path;

/// Measures and writes the page; `words` are what follows `scan`.
pub fn run(_root: &Path, words: &[&str]) -> Result<()> {
    match words {
        ["--hold", name] => hold::enter(name, &[]),
        ["--hold", name, "--", command @ ..] => hold::enter(name, command),
        ["held", name, command @ ..] => hold::inside(name, command),
        ["part", rest @ ..] => part::run(rest),
        _ => bail!("unknown words behind scan: {words:?}"),
    }
}
