//! The bytes of a checkpoint, and how they reach the disk.

use super::row::Head;
use super::{Checkpoint, CheckpointFault};
use ring::digest::{SHA256, digest};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What a file starts with; the version follows.
const MAGIC: &str = "netwhy scan checkpoint ";
const VERSION: &str = "1";
/// Largest file read, in bytes.
const FILE_LENGTH_MAX: u64 = 1 << 30;
/// Longest of the first two lines, in bytes.
const LINE_LENGTH_MAX: usize = 256;

pub(super) fn read(path: &Path) -> Result<Checkpoint, CheckpointFault> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(CheckpointFault::Unread)?;
    file.take(FILE_LENGTH_MAX).read_to_end(&mut bytes).map_err(CheckpointFault::Unread)?;
    parse(&bytes)
}

/// Writes beside the place, syncs, and renames over it.
pub(super) fn write(checkpoint: &Checkpoint, path: &Path) -> io::Result<()> {
    let beside = beside(path)?;
    let written = bytes(checkpoint).and_then(|bytes| {
        let mut file = File::create(&beside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    });
    if written.is_err() {
        // Best effort: the disk is full or gone, and what matters is told by the first error.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?;
    let mut name = name.to_owned();
    name.push(".part");
    Ok(path.with_file_name(name))
}

fn bytes(checkpoint: &Checkpoint) -> io::Result<Vec<u8>> {
    let mut body = serde_json::to_vec(&Head::from(checkpoint)).map_err(io::Error::other)?;
    let head_length = body.len();
    body.extend(checkpoint.settled.iter().flat_map(|word| word.to_le_bytes()));
    let sum = sum(&body);
    let mut file = format!("{MAGIC}{VERSION}\n{head_length} {} {sum}\n", body.len()).into_bytes();
    file.extend(body);
    Ok(file)
}

pub(super) fn parse(bytes: &[u8]) -> Result<Checkpoint, CheckpointFault> {
    let (magic, rest) = line(bytes).ok_or(CheckpointFault::Foreign)?;
    match magic.strip_prefix(MAGIC) {
        Some(VERSION) => {}
        Some(version) => {
            return Err(CheckpointFault::Version(version.chars().filter(|c| !c.is_control()).collect()));
        }
        None => return Err(CheckpointFault::Foreign),
    }
    let (lengths, body) = line(rest).ok_or(CheckpointFault::Torn)?;
    let mut words = lengths.split(' ');
    let mut length = || words.next().and_then(|word| word.parse::<usize>().ok()).ok_or(CheckpointFault::Torn);
    let (head_length, body_length) = (length()?, length()?);
    let whole = body.len() == body_length && words.next() == Some(&sum(body)) && words.next().is_none();
    let (head, settled) =
        body.split_at_checked(head_length).filter(|_| whole).ok_or(CheckpointFault::Torn)?;
    let head: Head = serde_json::from_slice(head).map_err(|_| CheckpointFault::Torn)?;
    let (words, rest) = settled.as_chunks::<8>();
    match rest {
        [] => Ok(head.into_checkpoint(words.iter().map(|word| u64::from_le_bytes(*word)).collect())),
        _ => Err(CheckpointFault::Torn),
    }
}

/// One line of text, and what follows.
fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().take(LINE_LENGTH_MAX).position(|&b| b == b'\n')?;
    let (line, rest) = bytes.split_at(end);
    Some((std::str::from_utf8(line).ok()?, rest.get(1..)?))
}

fn sum(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            let mut near = format!("{MAGIC}{VERSION}\n").into_bytes();
            near.extend(&bytes);
            prop_assert!(parse(&near).is_err());
        }
    }
}
