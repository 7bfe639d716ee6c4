//! Where the kernel describes its tracepoints: tracefs, mounted or not.

use crate::files;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::collections::BTreeMap;
use std::io;

/// Where tracefs is usually found.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const EVENT: &str = "events/skb/kfree_skb";
/// Fields and reasons read of a format file.
const ENTRY_COUNT_MAX: usize = 1_024;

/// The tracepoint skb:kfree_skb as this kernel has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tracepoint {
    /// What perf_event_open(2) wants in `config`.
    pub id: u64,
    /// Where the reason stands in a raw sample, in bytes.
    pub reason_at: usize,
    pub reasons: BTreeMap<u32, String>,
}

/// Finds the tracepoint; mounts tracefs where only a thread of its own sees it, when nobody else has.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN, ENOENT where the kernel names no drop reasons (before Linux 5.17).
pub(super) fn kfree_skb() -> io::Result<Tracepoint> {
    for place in PLACES {
        if let Ok(found) = read(place) {
            return Ok(found);
        }
    }
    let thread = std::thread::Builder::new().name("netwhy-tracefs".to_owned()).spawn(|| {
        // The mount lives and dies with this thread's own mount namespace.
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        mount(
            Some("tracefs"),
            PLACES[0],
            Some("tracefs"),
            MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
            None::<&str>,
        )?;
        read(PLACES[0])
    })?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that mounts tracefs ended early")))
}

fn read(place: &str) -> io::Result<Tracepoint> {
    let id = files::text(format!("{place}/{EVENT}/id"))?;
    let format = files::text(format!("{place}/{EVENT}/format"))?;
    let id = id.trim().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    parse(&format).map(|found| Tracepoint { id, ..found }).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Reads a format file: the place of `reason` and the names of its values.
pub(super) fn parse(format: &str) -> Option<Tracepoint> {
    let field = format.lines().take(ENTRY_COUNT_MAX).find(|line| line.contains("reason;"))?;
    let (_, offset) = field.split_once("offset:")?;
    let reason_at = offset.split(';').next()?.trim().parse().ok()?;
    let (_, list) = format.split_once("__print_symbolic(REC->reason,")?;
    let reasons = list
        .split('{')
        .skip(1)
        .take(ENTRY_COUNT_MAX)
        .filter_map(|entry| {
            let (number, name) = entry.split_once(',')?;
            let name = name.split('"').nth(1)?;
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            Some((number.trim().parse().ok()?, plain.then(|| name.to_owned())?))
        })
        .collect();
    Some(Tracepoint { id: 0, reason_at, reasons })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORMAT: &str = "name: kfree_skb\nID: 2310\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\
        \tfield:enum skb_drop_reason reason;\toffset:36;\tsize:4;\tsigned:0;\n\n\
        print fmt: \"reason: %s\", __print_symbolic(REC->reason, { 2, \"NOT_SPECIFIED\" }, { 12, \"NETFILTER_DROP\" })\n";

    #[test]
    fn a_format_gives_the_place_and_names_of_reasons() {
        let found = parse(FORMAT).unwrap();
        assert_eq!(found.reason_at, 36);
        assert_eq!(found.reasons.get(&12).map(String::as_str), Some("NETFILTER_DROP"));
        assert_eq!(found.reasons.len(), 2);
        assert_eq!(parse("print fmt: \"skbaddr=%p\""), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(reason;|offset:|__print_symbolic\\(REC->reason,|\\{|,|\"|[0-9]|\\PC)*") {
            parse(&text);
        }
    }
}
