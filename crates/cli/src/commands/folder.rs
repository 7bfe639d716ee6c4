//! The files a user's words stand for: themselves, and those of a folder within limits.

use crate::fail;
use crate::failure::while_trying;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders within folders.
const FOLDER_DEPTH_MAX: usize = 16;

/// How much of a folder is taken, and what to do about more.
pub(crate) struct Folder {
    pub(crate) file_count_max: usize,
    /// English and Chinese.
    pub(crate) hint: (&'static str, &'static str),
}

/// Adds a file, or the files below a folder in the order of their names; hidden ones are passed over.
///
/// With each stands whether it was named itself.
pub(crate) fn gather(path: &Path, folder: &Folder, files: &mut Vec<(PathBuf, bool)>) -> Result<()> {
    below(path, 0, folder, files)
}

fn below(path: &Path, depth: usize, folder: &Folder, files: &mut Vec<(PathBuf, bool)>) -> Result<()> {
    let trying = |error| {
        let name = path.display();
        while_trying((format!("reading {name}"), format!("读取 {name}")), anyhow::Error::from(error))
    };
    if !fs::metadata(path).map_err(trying)?.is_dir() {
        files.push((path.to_path_buf(), depth == 0));
        return Ok(());
    }
    let count_max = folder.file_count_max;
    if files.len() > count_max || depth > FOLDER_DEPTH_MAX {
        let name = path.display();
        return Err(fail(
            (
                format!("{name} holds more than {count_max} files or {FOLDER_DEPTH_MAX} levels"),
                format!("{name} 超过 {count_max} 个文件或 {FOLDER_DEPTH_MAX} 层"),
            ),
            folder.hint,
        ));
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path)
        .map_err(trying)?
        .filter_map(|entry| entry.ok())
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for entry in entries {
        let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // A link may lead anywhere, also in circles.
        let plain = fs::symlink_metadata(&entry).is_ok_and(|kind| kind.is_file() || kind.is_dir());
        if plain && !hidden {
            below(&entry, depth + 1, folder, files)?;
        }
    }
    Ok(())
}
