//! The files of a process, as it sees them itself: its root, its working folder, no link leading out of them.

use super::Files;
use super::pattern;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// The largest configuration file that is read.
const FILE_BYTES_MAX: u64 = 2 << 20;
/// All files of one process together.
const TOTAL_BYTES_MAX: u64 = 16 << 20;
/// Entries of one folder looked at.
const ENTRY_COUNT_MAX: usize = 2_048;
/// Files that one pattern stands for.
const MATCH_COUNT_MAX: usize = 256;

/// A process' own view of the file system.
#[derive(Debug)]
pub(super) struct Place {
    root: OwnedFd,
    /// What relative paths begin with; `None` where it may not be read or is gone.
    folder: Option<String>,
    bytes_left: u64,
    /// When the newest of the files read was last changed, in seconds since the epoch.
    pub(super) changed_s: i64,
}

impl Place {
    /// Opens the view of a process; unprivileged, this host's own root stands in where that is surely the same.
    pub(super) fn of(pid: u32, is_contained: bool) -> io::Result<Place> {
        let own = |kind: &str| std::fs::read_link(format!("/proc/{pid}/{kind}"));
        let root = match own("root") {
            // A haproxy that locked itself up read its files before: they lie outside.
            Ok(path) if path.as_os_str() != "/" && is_in_our_mounts(pid) => "/".to_owned(),
            Ok(_) => format!("/proc/{pid}/root"),
            Err(error) if is_contained => return Err(error),
            Err(_) => "/".to_owned(),
        };
        let folder = own("cwd").ok().map(|path| path.to_string_lossy().into_owned());
        let root = File::open(root)?.into();
        Ok(Place {
            root,
            folder: folder.filter(|path| path.starts_with('/') && !path.ends_with(" (deleted)")),
            bytes_left: TOTAL_BYTES_MAX,
            changed_s: 0,
        })
    }

    /// A path from the process' root; `None` for a relative one whose folder is not known.
    pub(super) fn absolute(&self, path: &str) -> Option<String> {
        if path.starts_with('/') {
            return Some(path.to_owned());
        }
        let folder = self.folder.as_deref()?.trim_end_matches('/');
        // `./` says nothing and reads badly.
        let path = path.strip_prefix("./").unwrap_or(path);
        Some(format!("{folder}/{path}"))
    }

    /// Opens what a path means to the process, links followed within its root alone.
    pub(super) fn open(&self, path: &str, flags: OFlag) -> io::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&self.root, path, how).map_err(io::Error::from)
    }

    /// The files of a folder that haproxy would read: `*.cfg`, in order; `None` when it is no folder.
    pub(super) fn folder(&self, path: &str) -> Option<Vec<String>> {
        let names = self.entries(path).ok()?;
        let wanted = names.into_iter().filter(|name| name.ends_with(".cfg") && !name.starts_with('.'));
        Some(
            wanted
                .take(MATCH_COUNT_MAX)
                .map(|name| format!("{}/{name}", path.trim_end_matches('/')))
                .collect(),
        )
    }

    fn entries(&self, path: &str) -> io::Result<Vec<String>> {
        let folder = self.open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        let entries = std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
        let names =
            entries.take(ENTRY_COUNT_MAX).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        Ok(names)
    }
}

impl Files for Place {
    fn read(&mut self, path: &str) -> io::Result<String> {
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "its working folder is not known");
        let path = self.absolute(path).ok_or_else(unknown)?;
        // Without waiting: it could be a pipe.
        let mut file = File::from(self.open(&path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        if meta.len() > FILE_BYTES_MAX.min(self.bytes_left) {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than is read"));
        }
        let mut bytes = Vec::new();
        (&mut file).take(FILE_BYTES_MAX.min(self.bytes_left)).read_to_end(&mut bytes)?;
        self.bytes_left = self.bytes_left.saturating_sub(bytes.len() as u64);
        self.changed_s = self.changed_s.max(meta.mtime());
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn matching(&mut self, pattern: &str) -> Vec<String> {
        let Some(pattern) = self.absolute(pattern) else { return Vec::new() };
        let mut found = vec![String::new()];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            if !part.contains(['*', '?', '[']) {
                found.iter_mut().for_each(|path| *path = format!("{path}/{part}"));
                continue;
            }
            let mut next = Vec::new();
            for path in &found {
                let folder = if path.is_empty() { "/" } else { path };
                let names = self.entries(folder).unwrap_or_default();
                next.extend(
                    names
                        .iter()
                        .filter(|name| pattern::matches(part, name))
                        .map(|name| format!("{path}/{name}")),
                );
                next.truncate(MATCH_COUNT_MAX);
            }
            found = next;
        }
        // A folder without the file is no match.
        found.retain(|path| self.open(path, OFlag::O_PATH).is_ok());
        found
    }
}

fn is_in_our_mounts(pid: u32) -> bool {
    let of = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/mnt")).ok();
    of("self").is_some_and(|own| of(&pid.to_string()) == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(root: &std::path::Path) -> Place {
        Place {
            root: File::open(root).unwrap().into(),
            folder: Some("/in".into()),
            bytes_left: 100,
            changed_s: 0,
        }
    }

    #[test]
    fn no_link_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("in")).unwrap();
        std::fs::write(folder.path().join("secret"), "out").unwrap();
        std::fs::write(root.join("secret"), "in").unwrap();
        std::os::unix::fs::symlink("../../secret", root.join("in/up")).unwrap();
        std::os::unix::fs::symlink("/secret", root.join("in/absolute")).unwrap();
        std::os::unix::fs::symlink("/proc/self/root", root.join("in/magic")).unwrap();
        let mut place = place(&root);
        assert_eq!(place.read("up").unwrap(), "in");
        assert_eq!(place.read("absolute").unwrap(), "in");
        assert!(place.read("magic/etc/passwd").is_err());
        assert!(place.read("/in").is_err());
        assert!(place.changed_s > 0);
    }

    #[test]
    fn sizes_and_kinds_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("big"), "x".repeat(101)).unwrap();
        nix::unistd::mkfifo(&folder.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut place = place(folder.path());
        assert_eq!(place.read("/big").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(place.read("/pipe").is_err());
    }

    #[test]
    fn patterns_are_expanded_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["in/b.conf", "in/a.conf", "in/.hidden.conf", "in/c.txt", "x/1/s.conf", "x/2/t.conf"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let mut place = place(folder.path());
        assert_eq!(place.matching("*.conf"), ["/in/a.conf", "/in/b.conf"]);
        assert_eq!(place.matching("/x/*/s.conf"), ["/x/1/s.conf"]);
        assert!(place.matching("/nothing/*").is_empty());
        assert_eq!(place.folder("/in").unwrap().len(), 0);
        assert!(place.folder("/in/c.txt").is_none());
    }
}
