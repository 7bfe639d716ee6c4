//! What the far host's logs say of the time of the watch.

use super::Sides;
use netwhy_model::host::{LogSign, Record};
use netwhy_model::{Evidence, Link};

/// Signs that are values of `host.log`, most telling first.
const SIGNS: &[&str] = &[
    "conntrack_full",
    "oom_kill",
    "disk_full",
    "too_many_files",
    "worker_limit",
    "pool",
    "max_startups",
    "rate_limited",
    "connection_limited",
    "waf_block",
    "access_denied",
    "permission",
    "body_limit",
    "header_limit",
    "upstream_tls",
    "upstream_invalid",
    "upstream_refused",
    "upstream_unreachable",
    "upstream_timeout",
    "upstream_reset",
    "upstream_closed",
    "upstream_name",
    "no_live_upstream",
    "crash",
    "syn_flood",
    "bind_failed",
    "auth_failed",
];

pub(super) fn facts(sides: &Sides<'_>, far: &Record) -> Option<Evidence> {
    let known = |sign: &&LogSign| SIGNS.contains(&sign.sign.as_str());
    let rank = |sign: &LogSign| SIGNS.iter().position(|known| *known == sign.sign);
    let Some(sign) = far.signs.iter().filter(known).min_by_key(|sign| rank(sign)) else {
        let read = far.processes.iter().any(|p| p.pid > 0);
        return read.then(|| {
            sides.seen("host.log", "none", Link::Service, "no sign of trouble in the logs that could be read")
        });
    };
    let text = format!("{} ({}×): {}", sign.from, sign.count.max(1), sign.line);
    Some(sides.seen("host.log", &sign.sign, Link::Service, text))
}
