//! What the logs of a machine say: recognised lines, dated, and the last lines of each service.

mod date;
mod files;
mod journal;
mod kernel;
mod scan;
mod table;

pub use date::{Clock, date};
pub use journal::{JournalLine, parse_journal_line};
pub use kernel::{KernelLine, parse_kernel_record};
pub use scan::{Tally, last_lines};
pub use table::{known_signs, recognise};

use crate::files::Gaps;
use crate::processes::Descriptor;
use netwhy_model::Stamp;
use netwhy_model::host::{LogSign, Process, Unread};
use std::time::SystemTime;

/// Last lines kept of each service's log.
const TAIL_LINE_COUNT: usize = 5;
/// Processes whose logs are looked for.
const PROCESS_COUNT_MAX: usize = 256;

/// The last lines of one log, and who writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// The file, or `journal nginx.service`.
    pub from: String,
    /// Processes that have it open for writing.
    pub pids: Vec<u32>,
    /// The unit, for a tail of the journal.
    pub unit: Option<String>,
    pub lines: Vec<String>,
}

/// What all logs together gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logs {
    pub signs: Vec<LogSign>,
    pub tails: Vec<Tail>,
    pub unread: Vec<Unread>,
}

/// Reads the signs since a moment: the logs these processes write, the usual ones, the kernel's and the journal.
pub fn signs(processes: &[Process], since: Stamp) -> Vec<LogSign> {
    read(processes, since).signs
}

/// Like [`signs`], with the last lines of each log and what could not be read.
pub fn read(processes: &[Process], since: Stamp) -> Logs {
    let open: Vec<Descriptor> = processes
        .iter()
        .take(PROCESS_COUNT_MAX)
        .flat_map(|process| crate::processes::logs_of(process.pid))
        .collect();
    read_open(processes, &open, since)
}

/// Like [`read`], with the open logs already found.
pub(crate) fn read_open(processes: &[Process], open: &[Descriptor], since: Stamp) -> Logs {
    let clock = Clock { now: SystemTime::now().into(), offset_s: local_offset_s() };
    let mut gaps = Gaps::default();
    let mut tally = Tally::default();
    let mut tails = Vec::new();
    // journalctl may take its time, so it runs beside the files.
    let journal = std::thread::spawn(move || journal::read(since));
    for log in files::find(processes, open, &mut gaps) {
        let Some(text) = files::tail(&log, since, &mut gaps) else { continue };
        tally.add_text(&text, &log.from, since, clock, log.modified);
        if !log.pids.is_empty() {
            let lines = last_lines(&text, TAIL_LINE_COUNT);
            tails.push(Tail { from: log.from, pids: log.pids, unit: None, lines });
        }
    }
    kernel::read(since, clock.now, &mut tally, &mut gaps);
    if let Ok((lines, unread)) = journal.join() {
        gaps.join(unread);
        journal::add(lines, since, &mut tally, &mut tails);
    }
    Logs { signs: tally.signs(), tails, unread: gaps.into_unread() }
}

/// Seconds east of Greenwich of this machine's local time now.
fn local_offset_s() -> i32 {
    // SAFETY: time(2) with a null pointer only returns.
    let now = unsafe { libc::time(std::ptr::null_mut()) };
    // SAFETY: an all-zero `tm` is a valid value of this plain C struct.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values for the duration of the call.
    let done = unsafe { libc::localtime_r(&raw const now, &raw mut local) };
    if done.is_null() { 0 } else { i32::try_from(local.tm_gmtoff).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_log_this_process_writes_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.log");
        let mut file = std::fs::File::create(&path).unwrap();
        let now = Stamp::from(SystemTime::now());
        writeln!(file, "{now} accept: Too many open files\u{1b}[31m").unwrap();
        let own = crate::processes::process(std::process::id()).unwrap();
        let since = Stamp::from_millis(now.millis() - 60_000);
        let logs = read(&[own], since);
        let sign = logs.signs.iter().find(|sign| sign.from == path.to_string_lossy()).unwrap();
        assert_eq!(sign.sign, "too_many_files");
        assert_eq!(sign.at, now);
        assert!(!sign.line.contains('\u{1b}'));
        let tail = logs.tails.iter().find(|tail| tail.from == path.to_string_lossy()).unwrap();
        assert_eq!(tail.pids, [std::process::id()]);
        assert_eq!(tail.lines.len(), 1);
    }
}
