//! Compiles the files of `lab/` into the library, so that the program carries its lab along.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let lab = Path::new(&manifest).join("../../lab").canonicalize()?;
    println!("cargo:rerun-if-changed={}", lab.display());
    let mut files: Vec<PathBuf> = Vec::new();
    let mut waiting = vec![lab.join("topologies"), lab.join("scenarios")];
    while let Some(directory) = waiting.pop() {
        println!("cargo:rerun-if-changed={}", directory.display());
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                println!("cargo:rerun-if-changed={}", path.display());
                files.push(path);
            }
        }
    }
    files.sort();
    let mut list = String::from("&[\n");
    for path in files {
        let name = path.strip_prefix(&lab).map_err(io::Error::other)?;
        let _ = writeln!(
            list,
            "    ({:?}, include_str!({:?})),",
            name.display().to_string(),
            path.display().to_string()
        );
    }
    list.push_str("]\n");
    let output = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&output).join("library.rs"), list)
}
