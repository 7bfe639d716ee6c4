//! Reads small system files with a limit, and remembers what could not be read.

use netwhy_model::host::Unread;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The largest file of /proc, /sys or /etc that is read whole.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Distinct things named as unread.
const UNREAD_COUNT_MAX: usize = 64;

/// Reads a file, at most 4 MiB of it, whatever its bytes.
pub(crate) fn text(path: impl AsRef<Path>) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Reads a file that may well be absent: empty when it is.
pub(crate) fn text_or_empty(path: impl AsRef<Path>) -> String {
    text(path).unwrap_or_default()
}

/// Reads a number that stands alone in a file.
pub(crate) fn number(path: impl AsRef<Path>) -> Option<u64> {
    text(path).ok()?.trim().parse().ok()
}

/// Reads the last bytes of an open file; the first line is left out when it was cut.
pub(crate) fn tail(file: &mut File, bytes_max: u64) -> io::Result<String> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(bytes_max);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(bytes_max)).unwrap_or(0));
    file.take(bytes_max).read_to_end(&mut bytes)?;
    let from = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) if start > 0 => end + 1,
        _ => 0,
    };
    Ok(String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned())
}

/// An error with its causes, as one sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    const DEPTH_MAX: usize = 8;
    let mut text = error.to_string();
    let mut source = error.source();
    for _ in 0..DEPTH_MAX {
        let Some(cause) = source else { break };
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// What could not be read, each named once.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    unread: Vec<Unread>,
}

impl Gaps {
    /// Notes a file or table that could not be read. What does not exist at all is not a gap root could fill.
    pub(crate) fn failed(&mut self, what: impl Into<String>, error: &io::Error) {
        let root_helps = error.kind() == io::ErrorKind::PermissionDenied;
        self.note(what, error.to_string(), root_helps);
    }

    /// Notes in own words why something is not known.
    pub(crate) fn note(&mut self, what: impl Into<String>, why: impl Into<String>, root_helps: bool) {
        let what = what.into();
        if self.unread.len() < UNREAD_COUNT_MAX && !self.unread.iter().any(|known| known.what == what) {
            let why = crate::text::printable(&why.into(), 200);
            // Who is root already gains nothing by becoming it.
            let root_helps = root_helps && !nix::unistd::geteuid().is_root();
            self.unread.push(Unread { what: crate::text::printable(&what, 200), why, root_helps });
        }
    }

    /// Reads a file, and notes it when that fails for another reason than that it does not exist.
    pub(crate) fn text(&mut self, path: &str) -> String {
        match text(path) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.failed(path, &error);
                }
                String::new()
            }
        }
    }

    /// Takes over what another reader could not read.
    pub(crate) fn join(&mut self, other: Vec<Unread>) {
        for gap in other {
            if self.unread.len() < UNREAD_COUNT_MAX && !self.unread.iter().any(|known| known.what == gap.what)
            {
                self.unread.push(gap);
            }
        }
    }

    pub(crate) fn into_unread(self) -> Vec<Unread> {
        self.unread
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_tail_begins_with_a_whole_line() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"first line\nsecond\nthird\n").unwrap();
        assert_eq!(tail(&mut file, 12).unwrap(), "third\n");
        assert_eq!(tail(&mut file, 1_000).unwrap(), "first line\nsecond\nthird\n");
    }

    #[test]
    fn a_gap_is_named_once() {
        let mut gaps = Gaps::default();
        gaps.note("the table", "no\u{1b}pe", false);
        gaps.note("the table", "again", true);
        let unread = gaps.into_unread();
        assert_eq!(unread.len(), 1);
        assert_eq!(unread[0].why, "no pe");
    }
}
