//! File and function size, module docs, and the completeness of the catalogue.

use anyhow::{Context, Result};
use netwhy_catalogue::Catalogue;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines a source file may have, tests not counted.
const FILE_LINES_MAX: usize = 600;
/// Lines a function may have.
const FUNCTION_LINES_MAX: usize = 70;
/// Files looked at.
const FILES_MAX: usize = 5_000;

/// Every breach of tidiness, one line each.
pub fn faults(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for folder in ["crates", "xtask", "fuzz"] {
        rust_files(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut faults = Vec::new();
    for file in files.iter().take(FILES_MAX) {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(file).display().to_string();
        faults.extend(file_faults(&name, &text));
    }
    faults.extend(catalogue_faults());
    Ok(faults)
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|n| n != "target" && n != "corpus") {
            rust_files(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn file_faults(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let head = text.lines().find(|l| !l.starts_with("#!") && !l.trim().is_empty()).unwrap_or("");
    if !head.starts_with("//!") {
        faults.push(format!("{name}:1: opens without a //! line that says what the file owns"));
    }
    let own = text.split("\n#[cfg(test)]").next().unwrap_or(text);
    let lines = own.lines().count();
    if lines > FILE_LINES_MAX && !name.contains("/tests/") {
        faults.push(format!("{name}: {lines} lines, {FILE_LINES_MAX} at most"));
    }
    faults.extend(long_functions(name, own));
    faults
}

/// Relies on rustfmt: a function ends at the first `}` indented as its `fn`.
fn long_functions(name: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        let words: Vec<&str> = bare.split([' ', '(']).take(5).collect();
        if !words.contains(&"fn") || bare.starts_with("//") || bare.ends_with(';') || bare.ends_with('}') {
            continue;
        }
        let close = format!("{}}}", &line[..line.len() - bare.len()]);
        let length = lines[start..].iter().position(|l| *l == close).map_or(0, |end| end + 1);
        if length > FUNCTION_LINES_MAX {
            faults.push(format!(
                "{name}:{}: a function of {length} lines, {FUNCTION_LINES_MAX} at most",
                start + 1
            ));
        }
    }
    faults
}

fn catalogue_faults() -> Vec<String> {
    let mut faults = Vec::new();
    for cause in Catalogue::embedded().causes() {
        if cause.fixes.is_empty() {
            faults.push(format!("catalogue: {} has no fix", cause.id));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_house_is_tidy() {
        let faults = super::faults(&crate::root().unwrap()).unwrap();
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }

    #[test]
    fn a_long_function_is_found() {
        let text = format!("//! x\nfn a() {{\n{}}}\n", "    let _ = 1;\n".repeat(80));
        assert_eq!(super::file_faults("a.rs", &text).len(), 1);
        assert!(super::file_faults("a.rs", "fn a() {}\n")[0].contains("//!"));
    }
}
