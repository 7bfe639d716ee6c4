//! Netwhy's own program file, as other places find or receive it.

use crate::error::EndError;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Largest program file copied, in bytes.
const PROGRAM_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Program headers looked at.
const HEADER_COUNT_MAX: u16 = 64;
/// Longest path of a loader, in bytes.
const LOADER_BYTES_MAX: usize = 256;

/// An open program file: it stays the same one even when its path is overwritten.
pub(crate) struct Program {
    file: File,
    copy: OnceLock<Copy>,
}

/// The whole file with its hash.
#[derive(Clone)]
pub(super) struct Copy {
    pub(super) bytes: Arc<Vec<u8>>,
    /// SHA-256 in lower-case hexadecimal.
    pub(super) sha256: String,
}

impl Program {
    /// Opens a file, or this process's own program.
    pub(crate) fn open(path: Option<&Path>) -> Result<Program, EndError> {
        let path = path.unwrap_or(Path::new("/proc/self/exe"));
        let file = File::open(path).map_err(unreadable)?;
        Ok(Program { file, copy: OnceLock::new() })
    }

    /// The file as any process that sees this one in /proc can open it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// The path it was opened by, as far as the kernel still knows it: seen also where another /proc is.
    pub(super) fn name(&self) -> Option<String> {
        std::fs::read_link(self.path()).ok()?.into_os_string().into_string().ok()
    }

    /// Device and inode as `stat -L -c %d:%i` writes them.
    pub(super) fn identity(&self) -> Result<String, EndError> {
        let told = self.file.metadata().map_err(unreadable)?;
        Ok(format!("{}:{}", told.dev(), told.ino()))
    }

    /// The loader a dynamic program needs (ELF, PT_INTERP); none for a static one.
    pub(super) fn loader(&self) -> Option<String> {
        /// The type of a program header that names the loader.
        const PT_INTERP: u32 = 3;
        let mut head = [0u8; 64];
        self.file.read_exact_at(&mut head, 0).ok()?;
        // Only 64-bit little-endian files are read; for others the place is not asked beforehand.
        if &head[..6] != b"\x7fELF\x02\x01" {
            return None;
        }
        let offset = number(&head, 32)?;
        let (size, count) = (u64::from(short(&head, 54)?), short(&head, 56)?.min(HEADER_COUNT_MAX));
        for at in 0..u64::from(count) {
            let mut header = [0u8; 56];
            self.file.read_exact_at(&mut header, offset.checked_add(at.checked_mul(size)?)?).ok()?;
            if u32::from_le_bytes(header[..4].try_into().ok()?) == PT_INTERP {
                let length = usize::try_from(number(&header, 32)?).ok()?;
                let mut text = vec![0u8; length.min(LOADER_BYTES_MAX)];
                self.file.read_exact_at(&mut text, number(&header, 8)?).ok()?;
                text.retain(|byte| *byte != 0);
                return String::from_utf8(text).ok().filter(|text| text.starts_with('/'));
            }
        }
        None
    }

    /// Reads and hashes the whole file, once. Blocks for as long as that takes.
    pub(super) fn copy(&self) -> Result<Copy, EndError> {
        if let Some(copy) = self.copy.get() {
            return Ok(copy.clone());
        }
        let size = self.file.metadata().map_err(unreadable)?.len();
        if size > PROGRAM_BYTES_MAX {
            return Err(unreadable(std::io::Error::from(std::io::ErrorKind::FileTooLarge)));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        let mut reader = FromStart { file: &self.file, at: 0 }.take(PROGRAM_BYTES_MAX);
        reader.read_to_end(&mut bytes).map_err(unreadable)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let sha256 = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(self.copy.get_or_init(|| Copy { bytes: Arc::new(bytes), sha256 }).clone())
    }
}

/// Reads a file from its start, whatever others do with its position.
struct FromStart<'a> {
    file: &'a File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

fn unreadable(source: std::io::Error) -> EndError {
    EndError::OwnProgram { source: Arc::new(source) }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The machine this program is built for, as [`machine`] writes it.
pub(super) fn own_machine() -> String {
    format!("Linux {}", std::env::consts::ARCH)
}

/// What `uname -s` and `uname -m` say, in the words of this program.
pub(super) fn machine(system: &str, machine: &str) -> String {
    let machine = match machine {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "i386" | "i486" | "i586" | "i686" => "x86",
        other => other,
    };
    format!("{system} {machine}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    #[test]
    fn this_test_is_a_program_with_a_hash_and_a_machine() {
        let program = Program::open(None).unwrap();
        let copy = program.copy().unwrap();
        assert_eq!(copy.sha256.len(), 64);
        assert_eq!(std::fs::read("/proc/self/exe").unwrap(), *copy.bytes);
        assert_eq!(std::fs::read(program.path()).unwrap(), *copy.bytes);
        if let Some(loader) = program.loader() {
            assert!(Path::new(&loader).exists(), "{loader}");
        }
        assert_eq!(machine("Linux", "arm64"), "Linux aarch64");
    }

    proptest! {
        #[test]
        fn any_file_is_survived(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            elf in any::<bool>(),
        ) {
            if elf && bytes.len() > 6 {
                bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
            }
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let _ = Program { file, copy: OnceLock::new() }.loader();
        }
    }
}
