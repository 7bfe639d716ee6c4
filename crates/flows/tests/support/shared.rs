//! Where the shared test data is, when it is there.
#![allow(dead_code, reason = "each test uses a part")]

use std::path::{Path, PathBuf};

/// The folder of shared flow data; `None`, said aloud, where it is absent.
pub fn flows_data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let found = ["../shared", "../../shared"].iter().map(|up| root.join(up).join("data/flows")).find(|dir| dir.is_dir());
    if found.is_none() {
        println!("SKIPPED: no shared data");
    }
    found
}

/// The files of a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}
