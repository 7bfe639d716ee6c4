//! Which files hold the logs, and their last bytes.

use crate::files::Gaps;
use crate::processes::Descriptor;
use crate::text::printable;
use netwhy_model::Stamp;
use netwhy_model::host::Process;
use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bytes read from the end of one log.
const TAIL_BYTES_MAX: u64 = 256 << 10;
/// Logs read.
const LOG_COUNT_MAX: usize = 48;
/// Containers whose log is looked for.
const CONTAINER_COUNT_MAX: usize = 16;
/// Entries of a folder looked at.
const ENTRY_COUNT_MAX: usize = 2_048;
/// Where the usual programs write when nobody said otherwise.
const USUAL: [&str; 16] = [
    "/var/log/nginx/error.log",
    "/var/log/haproxy.log",
    "/var/log/auth.log",
    "/var/log/secure",
    "/var/log/syslog",
    "/var/log/messages",
    "/var/log/kern.log",
    "/var/log/fail2ban.log",
    "/var/log/apache2/error.log",
    "/var/log/httpd/error_log",
    "/var/log/mysql/error.log",
    "/var/log/mariadb/mariadb.log",
    "/var/log/redis/redis-server.log",
    "/var/log/modsec_audit.log",
    "/var/log/php-fpm/error.log",
    "/var/log/caddy/error.log",
];

/// One log file.
#[derive(Debug)]
pub(super) struct LogFile {
    /// Where to open it: the path itself, or through a process that has it open.
    path: PathBuf,
    /// What to call it.
    pub(super) from: String,
    pub(super) pids: Vec<u32>,
    pub(super) modified: Stamp,
}

/// Lists the logs: those open for writing first, then the containers', then the usual ones; each file once.
pub(super) fn find(processes: &[Process], open: &[Descriptor], gaps: &mut Gaps) -> Vec<LogFile> {
    let mut found = Found::default();
    for descriptor in open.iter().filter(|d| is_interesting(d.pid, processes)) {
        found.add_open(descriptor);
    }
    for path in containers(processes) {
        found.add_path(&path, gaps);
    }
    for path in USUAL {
        found.add_path(Path::new(path), gaps);
    }
    let mut logs: Vec<LogFile> = found.files.into_values().collect();
    // Where there are too many, the freshest count; error logs before access logs.
    logs.sort_by_key(|log| (log.from.contains("access"), std::cmp::Reverse(log.modified)));
    logs.truncate(LOG_COUNT_MAX);
    logs
}

/// The last bytes of a log; `None` when nothing was written since, or it may not be read.
pub(super) fn tail(log: &LogFile, since: Stamp, gaps: &mut Gaps) -> Option<String> {
    // A service's last lines are shown even when they are old.
    if log.modified < since && log.pids.is_empty() {
        return None;
    }
    let opened: std::io::Result<File> =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(&log.path);
    match opened.and_then(|mut file| crate::files::tail(&mut file, TAIL_BYTES_MAX)) {
        Ok(text) => Some(text),
        Err(error) => {
            gaps.failed(&log.from, &error);
            None
        }
    }
}

/// This process' own output is nobody's log; with no list of processes every one counts.
fn is_interesting(pid: u32, processes: &[Process]) -> bool {
    processes.iter().any(|process| process.pid == pid)
}

/// Files by device and inode.
#[derive(Default)]
struct Found {
    files: BTreeMap<(u64, u64), LogFile>,
}

impl Found {
    /// Through /proc/PID/fd the very file is reached, whatever mount namespace the process is in.
    fn add_open(&mut self, descriptor: &Descriptor) {
        let path = PathBuf::from(format!("/proc/{}/fd/{}", descriptor.pid, descriptor.number));
        // The link's own mode says how the file was opened; readers of a log are not its writers.
        let writes =
            std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.permissions().mode() & 0o200 != 0);
        if let Ok(meta) = std::fs::metadata(&path)
            && meta.is_file()
            && writes
        {
            self.add(path, descriptor.path.clone(), &meta, Some(descriptor.pid));
        }
    }

    fn add_path(&mut self, path: &Path, gaps: &mut Gaps) {
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_file() => self.add(path.to_owned(), path.display().to_string(), &meta, None),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                gaps.failed(path.display().to_string(), &error);
            }
            _ => {}
        }
    }

    fn add(&mut self, path: PathBuf, name: String, meta: &Metadata, pid: Option<u32>) {
        let modified = meta.modified().map(Stamp::from).unwrap_or_default();
        let entry = self.files.entry((meta.dev(), meta.ino())).or_insert_with(|| LogFile {
            path,
            from: printable(&name, 200),
            pids: Vec::new(),
            modified,
        });
        if let Some(pid) = pid
            && !entry.pids.contains(&pid)
        {
            entry.pids.push(pid);
        }
    }
}

/// Logs that a container's output goes to, outside of it.
fn containers(processes: &[Process]) -> Vec<PathBuf> {
    let mut ids: Vec<&str> =
        processes.iter().filter_map(|process| process.container.as_deref()?.split(' ').next()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.truncate(CONTAINER_COUNT_MAX);
    if ids.is_empty() {
        return Vec::new();
    }
    let docker = entries("/var/lib/docker/containers").into_iter().filter_map(|folder| {
        let name = folder.file_name()?.to_str()?.to_owned();
        let is_ours = ids.iter().any(|id| name.starts_with(id));
        is_ours.then(|| folder.join(format!("{name}-json.log")))
    });
    // Named POD_NAMESPACE_CONTAINER-ID.log.
    let kubernetes = entries("/var/log/containers").into_iter().filter(|path| {
        let id = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.rsplit('-').next());
        id.is_some_and(|id| ids.iter().any(|ours| id.starts_with(ours)))
    });
    docker.chain(kubernetes).take(CONTAINER_COUNT_MAX).collect()
}

fn entries(folder: &str) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .map(|entries| entries.take(ENTRY_COUNT_MAX).filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default()
}
