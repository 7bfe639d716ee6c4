//! Which words in a log mean what: a table, the first row that fits wins. Pure.

/// One row: a line that holds all of `all` and none of `none` is this sign.
struct Row {
    sign: &'static str,
    all: &'static [&'static str],
    none: &'static [&'static str],
}

const fn row(sign: &'static str, all: &'static [&'static str]) -> Row {
    Row { sign, all, none: &[] }
}

/// Special rows come before general ones. Words are compared as the programs write them.
const ROWS: &[Row] = &[
    // nginx and its kin, towards the upstream.
    row("upstream_refused", &["(111: Connection refused)", "upstream"]),
    row("upstream_timeout", &["(110: Connection timed out)", "upstream"]),
    row("upstream_timeout", &["(110: Operation timed out)", "upstream"]),
    row("upstream_timeout", &["upstream timed out"]),
    row("upstream_unreachable", &["(113: No route to host)"]),
    row("upstream_unreachable", &["(113: Host is unreachable)"]),
    row("upstream_unreachable", &["(101: Network is unreachable)"]),
    row("upstream_reset", &["(104: Connection reset by peer)", "upstream"]),
    row("port_exhausted", &["(99: Cannot assign requested address)", "upstream"]),
    row("port_exhausted", &["(99: Address not available)", "upstream"]),
    row("no_live_upstream", &["no live upstreams"]),
    row("upstream_closed", &["upstream prematurely closed"]),
    row("upstream_invalid", &["upstream sent no valid HTTP/1.0 header"]),
    row("upstream_invalid", &["upstream sent invalid"]),
    row("upstream_too_big_header", &["upstream sent too big header"]),
    row("tls_upstream", &["SSL_do_handshake() failed", "upstream"]),
    row("tls_upstream", &["upstream SSL certificate"]),
    row("tls_upstream", &["peer closed connection in SSL handshake", "upstream"]),
    row("upstream_unresolved", &["could not be resolved"]),
    row("upstream_unresolved", &["host not found in upstream"]),
    row("upstream_unresolved", &["no resolver defined to resolve"]),
    row("permission_denied", &["(13: Permission denied)"]),
    row("file_missing", &["failed (2: No such file or directory)", "request: "]),
    row("file_missing", &["is not found (2: No such file or directory)"]),
    row("file_missing", &["File does not exist: "]),
    row("disk_full", &["(28: No space left on device)"]),
    row("worker_limit", &["worker_connections are not enough"]),
    row("too_many_files", &["(24: Too many open files)"]),
    row("too_many_files", &["(23: Too many open files in system)"]),
    row("waf_block", &["ModSecurity: Access denied"]),
    row("waf_block", &["NAXSI_FMT"]),
    row("connection_limited", &["limiting connections by zone"]),
    row("rate_limited", &["limiting requests, excess"]),
    row("access_denied", &["access forbidden by rule"]),
    row("access_denied", &["client denied by server configuration"]),
    row("body_too_large", &["client intended to send too large body"]),
    row("header_too_large", &["client sent too long header"]),
    row("header_too_large", &["client sent too long URI"]),
    row("client_tls_missing", &["client sent plain HTTP request to HTTPS port"]),
    row("client_certificate", &["client sent no required SSL certificate"]),
    row("client_certificate", &["client SSL certificate verify error"]),
    row("proxy_protocol", &["broken header", "PROXY protocol"]),
    row("certificate_expired", &["certificate has expired"]),
    row("certificate_expired", &["certificate expired"]),
    // haproxy's own messages; its traffic lines are read by their termination state.
    row("no_live_upstream", &["has no server available"]),
    row("server_down", &["is DOWN, reason:"]),
    row("server_down", &["is DOWN via"]),
    row("connection_limited", &["reached global maxconn limit"]),
    row("connection_limited", &["reached process FD limit"]),
    row("connection_limited", &["maxconn limit"]),
    row("port_exhausted", &["no free ports"]),
    // Apache.
    row("worker_limit", &["server reached MaxRequestWorkers"]),
    row("upstream_refused", &["(111)Connection refused", "proxy"]),
    row("upstream_timeout", &["(110)Connection timed out", "proxy"]),
    row("upstream_timeout", &["The timeout specified has expired", "proxy"]),
    row("upstream_closed", &["Error reading from remote server"]),
    // sshd and who guards it.
    row("sshd_throttle", &["beginning MaxStartups throttling"]),
    row("sshd_throttle", &["drop connection", "MaxStartups"]),
    row("sshd_throttle", &["past MaxStartups"]),
    row("access_denied", &["refused connect from"]),
    row("access_denied", &["not allowed because"]),
    row("login_failed", &["Failed password for"]),
    row("login_failed", &["Failed publickey for"]),
    row("login_failed", &["Invalid user", " from "]),
    row("login_failed", &["maximum authentication attempts exceeded"]),
    row("banned", &["fail2ban", "] Ban "]),
    row("banned", &[" NOTICE ", "] Ban "]),
    // The kernel.
    row("conntrack_full", &["table full, dropping packet"]),
    row("syn_flood", &["Possible SYN flooding on port"]),
    row("oom_kill", &["Out of memory: Kill"]),
    row("oom_kill", &["Memory cgroup out of memory: Kill"]),
    row("oom_kill", &["oom-kill:constraint="]),
    row("oom_kill", &["A process of this unit has been killed by the OOM killer"]),
    row("neighbour_full", &["neighbour", "table overflow"]),
    row("neighbour_full", &["neighbor table overflow"]),
    row("tcp_memory", &["TCP: out of memory"]),
    row("tcp_memory", &["too many orphaned sockets"]),
    row("route_cache_full", &["dst cache overflow"]),
    row("link_down", &["Link is Down"]),
    row("link_down", &["NIC Link is Down"]),
    row("link_down", &["Link down"]),
    row("transmit_stuck", &["NETDEV WATCHDOG", "timed out"]),
    row("duplicate_address", &["IPv6 duplicate address", "detected"]),
    row("duplicate_address", &["DAD failed"]),
    row("martian", &["martian source"]),
    row("disk_read_only", &["Remounting filesystem read-only"]),
    row("disk_error", &["Buffer I/O error on dev"]),
    row("disk_error", &["blk_update_request: I/O error"]),
    row("task_stuck", &["blocked for more than", "seconds"]),
    row("firewall_drop", &["[UFW BLOCK]"]),
    row("firewall_drop", &["IN=", "OUT=", "PROTO=", "DROP"]),
    row("firewall_drop", &["IN=", "OUT=", "PROTO=", "REJECT"]),
    row("firewall_drop", &["IN=", "OUT=", "PROTO=", "DENY"]),
    row("crash", &["segfault at"]),
    row("crash", &["traps:", "trap "]),
    // systemd.
    row("crash", &["Main process exited, code=dumped"]),
    row("crash", &["Main process exited, code=killed"]),
    row("crash", &["Main process exited, code=exited, status="]),
    row("crash_loop", &["Start request repeated too quickly"]),
    // Databases, pools, run times.
    row("pool_exhausted", &["Too many connections"]),
    row("pool_exhausted", &["too many clients already"]),
    row("pool_exhausted", &["remaining connection slots are reserved"]),
    row("pool_exhausted", &["max number of clients reached"]),
    row("pool_exhausted", &["server reached pm.max_children"]),
    row("pool_exhausted", &["Timeout waiting for connection from pool"]),
    row("pool_exhausted", &["Connection is not available, request timed out"]),
    row("pool_exhausted", &["Cannot get a connection, pool error"]),
    row("pool_exhausted", &["QueuePool limit of size"]),
    row("pool_exhausted", &["onnection pool", "exhausted"]),
    row("pool_exhausted", &["no more connections allowed"]),
    row("pool_exhausted", &["workers are busy"]),
    row("pool_exhausted", &["ll workers busy"]),
    row("pool_exhausted", &["o workers available"]),
    row("pool_exhausted", &["hread pool", "exhausted"]),
    row("pool_exhausted", &["RejectedExecutionException"]),
    row("pool_exhausted", &["listen queue of socket", "full"]),
    row("oom_kill", &["java.lang.OutOfMemoryError"]),
    row("oom_kill", &["JavaScript heap out of memory"]),
    row("memory_refused", &["Cannot allocate memory"]),
    // Any program's words for an errno.
    row("too_many_files", &["Too many open files"]),
    row("too_many_files", &["too many open files"]),
    row("too_many_files", &["EMFILE"]),
    row("disk_full", &["No space left on device"]),
    row("disk_full", &["no space left on device"]),
    row("disk_full", &["ENOSPC"]),
    row("bind_failed", &["Address already in use"]),
    row("bind_failed", &["address already in use"]),
    row("bind_failed", &["EADDRINUSE"]),
    row("bind_failed", &["Cannot assign requested address", "ind"]),
    row("port_exhausted", &["annot assign requested address"]),
    row("port_exhausted", &["EADDRNOTAVAIL"]),
    row("connect_refused", &["onnection refused"]),
    row("connect_refused", &["ECONNREFUSED"]),
    row("connect_timeout", &["onnection timed out"]),
    row("connect_timeout", &["ETIMEDOUT"]),
    row("connect_timeout", &["i/o timeout", "dial"]),
    Row { sign: "crash", all: &["panic: "], none: &["kernel panic: 0"] },
    row("crash", &["' panicked at "]),
    row("crash", &["Traceback (most recent call last)"]),
    row("crash", &["exited on signal 11"]),
    row("crash", &["exited on signal 6"]),
    row("crash", &["core dumped"]),
];

/// HAProxy's termination state: the first two letters (configuration manual, 8.5) and the sign.
const TERMINATIONS: &[(&str, &str)] = &[
    ("SC", "upstream_refused"),
    ("sC", "upstream_timeout"),
    ("SH", "upstream_closed"),
    ("sH", "upstream_timeout"),
    ("SD", "upstream_reset"),
    ("sD", "upstream_timeout"),
    ("PH", "upstream_invalid"),
    ("PD", "upstream_invalid"),
    ("PC", "connection_limited"),
    ("SQ", "pool_exhausted"),
    ("sQ", "pool_exhausted"),
    ("RC", "port_exhausted"),
    ("RH", "memory_refused"),
    ("PR", "access_denied"),
    ("cR", "client_slow"),
    ("LR", "access_denied"),
];

/// Statuses of an access log that tell of a fault behind or inside the server, and the sign.
const STATUSES: &[(&str, &str)] = &[
    ("502", "answered_502"),
    ("503", "answered_503"),
    ("504", "answered_504"),
    ("500", "answered_500"),
    ("499", "client_gave_up"),
];

/// Recognises a line.
pub fn recognise(line: &str) -> Option<&'static str> {
    if let Some(sign) = haproxy(line) {
        return Some(sign);
    }
    if let Some(status) = access_status(line) {
        return STATUSES.iter().find(|(code, _)| *code == status).map(|(_, sign)| *sign);
    }
    ROWS.iter()
        .find(|row| {
            row.all.iter().all(|word| line.contains(word)) && !row.none.iter().any(|word| line.contains(word))
        })
        .map(|row| row.sign)
}

/// Every sign the tables know.
pub fn known_signs() -> impl Iterator<Item = &'static str> {
    ROWS.iter()
        .map(|row| row.sign)
        .chain(TERMINATIONS.iter().map(|t| t.1))
        .chain(STATUSES.iter().map(|s| s.1))
}

/// The state stands before the five connection counts: `… - - SC-- 1/1/0/0/3 0/0 …`.
fn haproxy(line: &str) -> Option<&'static str> {
    let words: Vec<&str> = line.split(' ').take(64).collect();
    let at = words.windows(2).position(|pair| is_termination(pair[0]) && is_counts(pair[1]))?;
    let state = words.get(at)?.get(..2)?;
    if line.contains("/<NOSRV>") && state == "SC" {
        return Some("no_live_upstream");
    }
    TERMINATIONS.iter().find(|(letters, _)| *letters == state).map(|(_, sign)| *sign)
}

fn is_termination(word: &str) -> bool {
    matches!(word.len(), 2 | 4) && word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
}

fn is_counts(word: &str) -> bool {
    let counts = word.split('/').map(|count| count.trim_start_matches('+'));
    word.bytes().filter(|byte| *byte == b'/').count() == 4
        && counts.clone().all(|count| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The status in a line of the common or combined log format: `… "GET / HTTP/1.1" 502 157 …`.
fn access_status(line: &str) -> Option<&str> {
    let at = line.find(" HTTP/").filter(|at| line[..*at].contains("] \""))?;
    let rest = line.get(at..)?.split_once("\" ")?.1;
    let (status, rest) = rest.split_once(' ')?;
    let is_size = rest.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-');
    (status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit()) && is_size).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn real_lines_are_recognised() {
        for (line, sign) in [
            (
                r#"2026/11/28 11:40:56 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.9, server: _, request: "GET / HTTP/1.1", upstream: "http://10.0.0.2:8080/", host: "shop""#,
                "upstream_refused",
            ),
            (
                r#"2026/11/28 11:40:56 [error] 7#7: *1 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 10.0.0.9"#,
                "upstream_timeout",
            ),
            (
                r#"2026/11/28 11:40:56 [crit] 7#7: *1 connect() to 10.0.0.2:80 failed (99: Cannot assign requested address) while connecting to upstream"#,
                "port_exhausted",
            ),
            (
                r#"2026/11/28 11:40:56 [crit] 7#7: *1 SSL_do_handshake() failed (SSL: error:0A000086:SSL routines::certificate verify failed) while SSL handshaking to upstream"#,
                "tls_upstream",
            ),
            ("2026/11/28 11:40:56 [alert] 7#7: 512 worker_connections are not enough", "worker_limit"),
            ("2026/11/28 11:40:56 [alert] 7#7: accept4() failed (24: Too many open files)", "too_many_files"),
            (
                r#"2026/11/28 11:40:56 [error] 7#7: *3 limiting requests, excess: 5.0 by zone "one", client: 10.0.0.9"#,
                "rate_limited",
            ),
            (
                "2026/11/28 11:40:56 [error] 7#7: *3 access forbidden by rule, client: 10.0.0.9",
                "access_denied",
            ),
            (
                r#"Nov 28 11:40:56 lb haproxy[7]: 10.0.0.9:4711 [28/Nov/2026:11:40:56.000] fe be/s1 0/0/-1/-1/3001 503 217 - - SC-- 1/1/0/0/3 0/0 "GET / HTTP/1.1""#,
                "upstream_refused",
            ),
            (
                r#"10.0.0.9:4711 [28/Nov/2026:11:40:56.000] fe be/s1 0/0/0/-1/5000 504 217 - - sH-- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
                "upstream_timeout",
            ),
            (
                r#"10.0.0.9:4711 [28/Nov/2026:11:40:56.000] fe be/<NOSRV> 0/-1/-1/-1/0 503 217 - - SC-- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
                "no_live_upstream",
            ),
            (
                "10.0.0.9:4711 [28/Nov/2026:11:40:56.000] fe be/s1 0/-1/3002 0 SC 1/1/0/0/+3 0/0",
                "upstream_refused",
            ),
            (
                "[WARNING] (7) : Server be/s1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\"",
                "server_down",
            ),
            ("[ALERT] (7) : backend 'be' has no server available!", "no_live_upstream"),
            (
                "Nov 28 11:40:56 h sshd[7]: Failed password for root from 10.0.0.9 port 4711 ssh2",
                "login_failed",
            ),
            ("Nov 28 11:40:56 h sshd[7]: refused connect from 10.0.0.9 (10.0.0.9)", "access_denied"),
            ("sshd[7]: error: beginning MaxStartups throttling", "sshd_throttle"),
            ("nf_conntrack: nf_conntrack: table full, dropping packet", "conntrack_full"),
            (
                "TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:80. Sending cookies.",
                "syn_flood",
            ),
            ("Out of memory: Killed process 7 (java) total-vm:1kB", "oom_kill"),
            ("neighbour: arp_cache: neighbor table overflow!", "neighbour_full"),
            ("FATAL:  sorry, too many clients already", "pool_exhausted"),
            ("OSError: [Errno 24] Too many open files", "too_many_files"),
            ("thread 'main' panicked at src/main.rs:3", "crash"),
            (
                r#"10.0.0.9 - - [28/Nov/2026:11:40:56 +0000] "GET / HTTP/1.1" 502 157 "-" "curl""#,
                "answered_502",
            ),
            ("2026-11-28 11:40:56,1 fail2ban.actions [7]: NOTICE  [sshd] Ban 10.0.0.9", "banned"),
            ("e1000e: eth0 NIC Link is Down", "link_down"),
        ] {
            assert_eq!(recognise(line), Some(sign), "{line}");
        }
    }

    #[test]
    fn plain_lines_mean_nothing() {
        for line in [
            r#"10.0.0.9 - - [28/Nov/2026:11:40:56 +0000] "GET /why?Too many open files HTTP/1.1" 200 157 "-" "curl""#,
            r#"10.0.0.9:4711 [28/Nov/2026:11:40:56.000] fe be/s1 0/0/1/2/3 200 217 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
            "Nov 28 11:40:56 h sshd[7]: Accepted publickey for root from 10.0.0.9",
            "2026/11/28 11:40:56 [notice] 7#7: signal process started",
            "",
        ] {
            assert_eq!(recognise(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "(?s).{0,300}") {
            let _ = recognise(&line);
        }
    }
}
