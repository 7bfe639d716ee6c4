//! What the far host's logs say of the time of the watch.

use super::Sides;
use netwhy_model::host::{LogSign, Record};
use netwhy_model::{Evidence, Link};

/// Signs, most telling first, with the value of `host.log` each is.
const SIGNS: &[(&str, &str)] = &[
    ("conntrack_full", "conntrack_full"),
    ("oom_kill", "oom_kill"),
    ("disk_full", "disk_full"),
    ("disk_read_only", "disk_full"),
    ("too_many_files", "too_many_files"),
    ("worker_limit", "worker_limit"),
    ("pool_exhausted", "pool"),
    ("sshd_throttle", "max_startups"),
    ("rate_limited", "rate_limited"),
    ("connection_limited", "connection_limited"),
    ("waf_block", "waf_block"),
    ("access_denied", "access_denied"),
    ("permission_denied", "permission"),
    ("body_too_large", "body_limit"),
    ("header_too_large", "header_limit"),
    ("tls_upstream", "upstream_tls"),
    ("upstream_invalid", "upstream_invalid"),
    ("upstream_too_big_header", "upstream_invalid"),
    ("upstream_refused", "upstream_refused"),
    ("upstream_unreachable", "upstream_unreachable"),
    ("upstream_timeout", "upstream_timeout"),
    ("upstream_reset", "upstream_reset"),
    ("upstream_closed", "upstream_closed"),
    ("upstream_unresolved", "upstream_name"),
    ("no_live_upstream", "no_live_upstream"),
    ("server_down", "no_live_upstream"),
    ("crash", "crash"),
    ("crash_loop", "crash"),
    ("syn_flood", "syn_flood"),
    ("bind_failed", "bind_failed"),
    ("login_failed", "auth_failed"),
    ("file_missing", "file_missing"),
];

pub(super) fn facts(sides: &Sides<'_>, far: &Record) -> Option<Evidence> {
    let rank = |sign: &LogSign| SIGNS.iter().position(|(known, _)| *known == sign.sign);
    // A line without a date may be of any day.
    // The kernel's log is the whole machine's: what it says of another port is another host's in a container.
    let own = format!(":{}.", far.spec.port);
    let ours = |sign: &&LogSign| sign.sign != "syn_flood" || sign.line.contains(&own);
    let dated = far.signs.iter().filter(|sign| sign.at.millis() > 0).filter(ours);
    let found = dated.filter_map(|sign| Some((rank(sign)?, sign))).min_by_key(|(rank, _)| *rank);
    let Some((rank, sign)) = found else {
        let read = !far.processes.is_empty();
        return read.then(|| {
            sides.seen("host.log", "none", Link::Service, "no sign of trouble in the logs that could be read")
        });
    };
    let (_, value) = SIGNS.get(rank)?;
    // The handshake passed, and the answer was not waited for long enough.
    let reading =
        sign.line.contains("while reading response header") || sign.line.contains("while reading upstream");
    let value = if *value == "upstream_timeout" && reading { "upstream_slow" } else { *value };
    let text = format!("{} ({}×): {}", sign.from, sign.count.max(1), sign.line);
    Some(sides.seen("host.log", value, Link::Service, text))
}
