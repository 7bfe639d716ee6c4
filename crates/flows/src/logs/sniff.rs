//! Which log a file is, by its first lines.

use super::event::{Server, What};
use super::line::{self, Options, Place, Refused};
use super::reader::is_export;
use super::syslog;
use super::time::Clock;

/// How many lines are tried.
const LINE_COUNT_MAX: usize = 50;

/// What a file holds, for people: every line is read by its own shape, so that a mixed file is no trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// Visits, as text or JSON.
    Access,
    /// The error log of a web server or proxy.
    Error,
    /// Messages of sshd and others, through syslog or the journal.
    Auth,
    /// The systemd journal's export format.
    JournalExport,
    /// Kubernetes audit events.
    Audit,
    /// Packets that a firewall refused.
    Firewall,
}

/// Tells the log of a file by its name and first bytes, already unpacked; `None` where it is none that is read.
pub fn sniff(name: &str, head: &[u8]) -> Option<LogFormat> {
    if is_export(head) {
        return Some(LogFormat::JournalExport);
    }
    let text = String::from_utf8_lossy(head);
    let options = Options { clock: Clock::default(), server: server(name) };
    let (mut counts, mut framed, mut events) = ([0usize; 5], 0, Vec::new());
    // The last line may be cut.
    let whole =
        if text.ends_with('\n') { &*text } else { text.rsplit_once('\n').map_or(&*text, |(whole, _)| whole) };
    for text in whole.lines().filter(|line| !line.trim().is_empty()).take(LINE_COUNT_MAX) {
        events.clear();
        match line::read(text, &options, &Place::default(), &mut events) {
            Ok(()) if events.is_empty() && text.contains("\"audit.k8s.io/") => counts[4] += 1,
            Ok(()) if events.is_empty() && text.contains(" SRC=") => counts[3] += 1,
            Ok(()) if events.is_empty() && syslog::frame(text, &options.clock).is_none() => counts[1] += 1,
            Ok(()) if events.is_empty() => framed += 1,
            Ok(()) => events.iter().for_each(|event| counts[kind(&event.what)] += 1),
            Err(Refused::Program(_) | Refused::Message(_)) => framed += 1,
            Err(_) => {}
        }
    }
    const FORMATS: [LogFormat; 5] =
        [LogFormat::Access, LogFormat::Error, LogFormat::Auth, LogFormat::Firewall, LogFormat::Audit];
    let most = (0..FORMATS.len()).max_by_key(|at| (counts[*at], FORMATS.len() - at))?;
    match counts[most] {
        // Lines of other programs stand first in many a log of logins.
        0 if framed > 0 => Some(LogFormat::Auth),
        0 => None,
        _ => Some(FORMATS[most]),
    }
}

fn kind(what: &What) -> usize {
    match what {
        What::Visit(_) => 0,
        What::Error(_) => 1,
        What::Login(_) => 2,
        What::Refusal(refusal) if refusal.code == 0 => 3,
        What::Refusal(_) => 4,
    }
}

/// Whose access log a file is, by its path: `/var/log/nginx/access.log`, `httpd/ssl_access_log`.
pub fn server(name: &str) -> Server {
    let lower = name.to_ascii_lowercase();
    match () {
        () if lower.contains("nginx") || lower.contains("openresty") => Server::Nginx,
        () if lower.contains("apache") || lower.contains("httpd") => Server::Apache,
        () if lower.contains("haproxy") => Server::Haproxy,
        () => Server::Unknown,
    }
}
