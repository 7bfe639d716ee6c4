//! What the logs say, by cause: grave while it is fresh, a note when it is older.

use super::view::{View, ago, is_fresh, sign_line};
use super::{Finding, Proven, finding};
use netwhy_model::host::{LogSign, Severity};

/// Failed log-ins in the log that tell of guessing.
const LOGIN_FAILURES_MIN: u64 = 20;
/// Slow clients cut off by a proxy that tell of an attack.
const SLOW_CLIENTS_MIN: u64 = 50;
/// Crashes that make a loop.
const CRASHES_MIN: u64 = 3;
/// Lines shown as proof of one sign.
const LINE_COUNT_MAX: usize = 3;

/// A sign, words its line must hold, the cause, how grave it is while fresh, and the text.
struct Row {
    sign: &'static str,
    holds: &'static str,
    cause: &'static str,
    fresh: Severity,
    /// Lines below this many mean nothing.
    count_min: u64,
    en: &'static str,
    zh: &'static str,
}

const fn row(
    sign: &'static str,
    cause: &'static str,
    fresh: Severity,
    en: &'static str,
    zh: &'static str,
) -> Row {
    Row { sign, holds: "", cause, fresh, count_min: 1, en, zh }
}

use Severity::{Broken, Note, Risk};

/// The first row that fits a line counts.
const ROWS: &[Row] = &[
    row(
        "upstream_refused",
        "tcp.refused.no_listener",
        Broken,
        "A proxy on this host is refused by its upstream",
        "本机代理被上游拒绝连接",
    ),
    Row {
        holds: "while connecting",
        ..row(
            "upstream_timeout",
            "tcp.timeout.forward_loss",
            Broken,
            "A proxy on this host cannot open connections to its upstream: they time out",
            "本机代理连接上游超时",
        )
    },
    Row {
        holds: " sC",
        ..row(
            "upstream_timeout",
            "tcp.timeout.forward_loss",
            Broken,
            "A proxy on this host cannot open connections to its upstream: they time out",
            "本机代理连接上游超时",
        )
    },
    row(
        "upstream_timeout",
        "app.slow",
        Broken,
        "The upstream of a proxy on this host answers too late",
        "本机代理的上游应答太慢",
    ),
    row(
        "upstream_unreachable",
        "net.route.local_unusable",
        Broken,
        "There is no way to an address that a program on this host connects to",
        "本机程序要连接的地址不可达",
    ),
    row(
        "upstream_reset",
        "tcp.reset.app_close",
        Broken,
        "The upstream of a proxy on this host resets connections",
        "本机代理的上游重置连接",
    ),
    row(
        "upstream_closed",
        "tcp.reset.app_close",
        Broken,
        "The upstream of a proxy on this host closes before it answers",
        "本机代理的上游在应答前关闭连接",
    ),
    row(
        "upstream_invalid",
        "tls.plaintext_mismatch",
        Broken,
        "The upstream of a proxy on this host does not answer in HTTP: wrong port, or TLS on one side alone",
        "本机代理的上游返回的不是 HTTP：端口错误或仅一端使用 TLS",
    ),
    row(
        "upstream_too_big_header",
        "http.limit.header",
        Risk,
        "The upstream's response header is larger than the proxy's buffer",
        "上游响应头超过代理缓冲区",
    ),
    row(
        "no_live_upstream",
        "lb.backend.unhealthy",
        Broken,
        "A proxy on this host has no upstream left",
        "本机代理已无可用上游",
    ),
    row(
        "server_down",
        "lb.backend.unhealthy",
        Risk,
        "A proxy on this host took an upstream out",
        "本机代理摘除了一个上游",
    ),
    Row {
        holds: "wrong version number",
        ..row(
            "tls_upstream",
            "tls.plaintext_mismatch",
            Broken,
            "A proxy on this host speaks TLS to an upstream that does not",
            "本机代理以 TLS 访问明文上游",
        )
    },
    Row {
        holds: "certificate",
        ..row(
            "tls_upstream",
            "edge.origin.cert_invalid",
            Broken,
            "A proxy on this host does not accept its upstream's certificate",
            "本机代理不接受上游证书",
        )
    },
    Row {
        holds: "unrecognized name",
        ..row(
            "tls_upstream",
            "tls.sni.wrong",
            Broken,
            "The upstream of a proxy on this host does not know the name it is asked for",
            "本机代理的上游不认识所请求的 SNI 名称",
        )
    },
    row(
        "tls_upstream",
        "tls.negotiation.no_overlap",
        Broken,
        "A proxy on this host fails in TLS with its upstream",
        "本机代理与上游 TLS 握手失败",
    ),
    row(
        "upstream_unresolved",
        "dns.resolver_failing",
        Broken,
        "A proxy on this host cannot resolve its upstream's name",
        "本机代理无法解析上游域名",
    ),
    row(
        "port_exhausted",
        "host.port.ephemeral_exhausted",
        Broken,
        "A program on this host found no free local port",
        "本机程序找不到空闲的本地端口",
    ),
    row(
        "too_many_files",
        "host.fd.exhausted",
        Broken,
        "A program ran out of file descriptors",
        "有程序的文件描述符已用尽",
    ),
    row(
        "worker_limit",
        "app.pool_exhausted",
        Broken,
        "A server has no worker or connection slot left",
        "服务器的工作进程或连接数已用尽",
    ),
    row(
        "pool_exhausted",
        "app.pool_exhausted",
        Broken,
        "A pool of connections or workers is used up",
        "连接池或工作池已耗尽",
    ),
    row(
        "conntrack_full",
        "host.conntrack.full",
        Broken,
        "The connection-tracking table is full: packets are dropped",
        "连接跟踪表已满：报文被丢弃",
    ),
    row("disk_full", "host.disk.full", Broken, "A program found the disk full", "有程序写入时磁盘已满"),
    row(
        "disk_read_only",
        "host.disk.full",
        Broken,
        "A file system was made read-only after an error",
        "文件系统因错误变为只读",
    ),
    row(
        "oom_kill",
        "host.memory.exhausted",
        Risk,
        "A process was killed or failed for lack of memory",
        "有进程因内存不足被杀死或失败",
    ),
    row(
        "memory_refused",
        "host.memory.exhausted",
        Risk,
        "A program was refused memory",
        "有程序申请内存失败",
    ),
    row(
        "tcp_memory",
        "host.tcp.mem_exhausted",
        Broken,
        "The kernel ran out of memory for TCP",
        "内核的 TCP 内存不足",
    ),
    row(
        "neighbour_full",
        "net.l2.arp_unresolved",
        Broken,
        "The neighbour table is full: new hosts on the link cannot be reached",
        "邻居表已满：无法访问链路上的新主机",
    ),
    row(
        "syn_flood",
        "attack.inbound.syn_flood",
        Risk,
        "The kernel warns of a SYN flood",
        "内核警告可能存在 SYN Flood",
    ),
    row(
        "sshd_throttle",
        "app.connection_limit",
        Broken,
        "sshd turns connections away: too many have not logged in yet",
        "sshd 正在拒绝连接：未登录的连接过多",
    ),
    row("link_down", "infra.nic.flap_or_errors", Risk, "A network link went down", "网络链路曾断开"),
    row(
        "transmit_stuck",
        "infra.nic.flap_or_errors",
        Risk,
        "A network card's transmit queue got stuck",
        "网卡发送队列卡住",
    ),
    row(
        "duplicate_address",
        "net.l2.duplicate_address",
        Broken,
        "Another station has one of this host's addresses",
        "有其他主机使用了本机的地址",
    ),
    row(
        "martian",
        "net.route.rp_filter",
        Risk,
        "Packets with an impossible source were dropped",
        "来源不合理的报文被丢弃",
    ),
    row(
        "crash_loop",
        "app.crash_loop",
        Broken,
        "The service manager gave up restarting a unit",
        "服务管理器已放弃重启某单元",
    ),
    Row {
        count_min: CRASHES_MIN,
        ..row("crash", "app.crash_loop", Risk, "A program crashes again and again", "有程序反复崩溃")
    },
    row("bind_failed", "app.process.down", Risk, "A program could not bind its port", "有程序无法绑定端口"),
    row(
        "permission_denied",
        "http.origin_forbidden",
        Risk,
        "A server may not read its files or reach its socket",
        "服务器无权读取文件或访问套接字",
    ),
    row(
        "proxy_protocol",
        "edge.origin.proxy_protocol_mismatch",
        Broken,
        "A client does not send the PROXY header a server here wants",
        "客户端没有发送服务器要求的 PROXY 头",
    ),
    row("certificate_expired", "tls.cert.expired", Risk, "A certificate has expired", "有证书已过期"),
    row(
        "client_certificate",
        "tls.mtls.rejected",
        Note,
        "Clients are refused for their certificate",
        "有客户端因证书被拒绝",
    ),
    row(
        "client_tls_missing",
        "tls.plaintext_mismatch",
        Note,
        "Clients speak plain HTTP to a TLS port",
        "有客户端以明文访问 TLS 端口",
    ),
    row(
        "access_denied",
        "policy.app.access_control",
        Note,
        "A server here denies clients by its own rules",
        "本机服务按自身规则拒绝了客户端",
    ),
    row(
        "waf_block",
        "policy.waf.blocked",
        Note,
        "A web application firewall here blocks requests",
        "本机 WAF 拦截了请求",
    ),
    row(
        "rate_limited",
        "policy.waf.cc_rate_limit",
        Note,
        "A server here limits the rate of requests",
        "本机服务对请求限速",
    ),
    row(
        "connection_limited",
        "policy.host.connection_limit",
        Note,
        "A server here limits the connections of clients",
        "本机服务限制了客户端连接数",
    ),
    row(
        "body_too_large",
        "http.limit.body",
        Note,
        "Requests were refused for their size",
        "有请求因正文过大被拒绝",
    ),
    row(
        "header_too_large",
        "http.limit.header",
        Note,
        "Requests were refused for their header's size",
        "有请求因请求头过大被拒绝",
    ),
    row("banned", "policy.host.source_banned", Note, "Addresses were banned lately", "近期有地址被封禁"),
    row(
        "firewall_drop",
        "policy.hostfw.input",
        Note,
        "The firewall logs dropped packets",
        "防火墙日志中有被丢弃的报文",
    ),
    Row {
        count_min: LOGIN_FAILURES_MIN,
        ..row(
            "login_failed",
            "attack.inbound.ssh_bruteforce",
            Note,
            "Somebody guesses passwords",
            "有人在猜测登录口令",
        )
    },
    Row {
        count_min: SLOW_CLIENTS_MIN,
        ..row(
            "client_slow",
            "attack.inbound.slowloris",
            Note,
            "Many clients never finish their request",
            "许多客户端迟迟不完成请求",
        )
    },
    row("answered_500", "http.origin_5xx", Note, "A server here answers with 500", "本机服务返回 500"),
];

pub(super) fn judge(view: &View, found: &mut Vec<Finding>) {
    let mut taken = vec![Vec::new(); ROWS.len()];
    for sign in &view.snapshot.signs {
        let fits = |row: &Row| row.sign == sign.sign && sign.line.contains(row.holds);
        if let Some(at) = ROWS.iter().position(fits) {
            taken[at].push(sign);
        }
    }
    for (row, signs) in ROWS.iter().zip(taken) {
        found.extend(told(view, row, &signs));
    }
}

fn told(view: &View, row: &Row, signs: &[&LogSign]) -> Option<Finding> {
    let count: u64 = signs.iter().map(|sign| sign.count).sum();
    let latest = signs.iter().max_by_key(|sign| sign.at)?;
    if count < row.count_min {
        return None;
    }
    let now = view.snapshot.at;
    let fresh = is_fresh(latest.at, now);
    let severity = if fresh { row.fresh } else { Severity::Note };
    let (when_en, when_zh) = match latest.at.millis() {
        0 => ("at a time the log does not say".to_owned(), "时间未知".to_owned()),
        _ => {
            let (en, zh) = ago(latest.at, now);
            (format!("last {en}"), format!("最近一次在{zh}"))
        }
    };
    let lines = if count == 1 { "1 line".to_owned() } else { format!("{count} lines") };
    let one = finding(
        row.cause,
        severity,
        format!("{} ({lines}, {when_en}).", row.en),
        format!("{}（{count} 行，{when_zh}）。", row.zh),
    );
    let one = one.proofs(signs.iter().take(LINE_COUNT_MAX).map(|sign| sign_line(sign)));
    Some(match upstream(&latest.line) {
        Some(upstream) => one.about(upstream),
        None => one,
    })
}

/// `http://10.0.0.2:8080/…` in `upstream: "…"`.
fn upstream(line: &str) -> Option<String> {
    let url = line.split_once("upstream: \"")?.1.split('"').next()?;
    let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
    Some(format!("upstream {}", bare.split('/').next().unwrap_or(bare)))
}
