//! One run of netwhy beside the toolbox it replaces, on the same lab in the same run.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Runs the comparison named, by default `diagnose`.
pub fn run(root: &Path, name: Option<&str>) -> Result<()> {
    match name.unwrap_or("diagnose") {
        "diagnose" => {
            let status = Command::new("cargo")
                .args(["run", "--release", "--", "lab", "score", "--toolbox", "--out", "target/bench.json"])
                .current_dir(root)
                .status()
                .context("running the lab")?;
            if !status.success() {
                bail!("the lab ended with {status}");
            }
            Ok(())
        }
        other => bail!("unknown benchmark {other:?}; known: diagnose"),
    }
}
