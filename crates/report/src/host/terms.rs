//! What the collectors call things, in words a person reads: signs of logs, and what could not be read.

use netwhy_model::Lang;

/// The signs of logs in English and Chinese.
const SIGNS: &[(&str, &str, &str)] = &[
    ("too_many_files", "too many open files", "打开文件过多"),
    ("conntrack_full", "conntrack table full", "连接跟踪表已满"),
    ("upstream_refused", "upstream refused", "上游拒绝连接"),
    ("upstream_timeout", "upstream timed out", "上游超时"),
    ("upstream_reset", "upstream reset", "上游重置连接"),
    ("upstream_closed", "upstream closed early", "上游提前关闭连接"),
    ("upstream_invalid", "upstream answered nonsense", "上游应答无效"),
    ("upstream_unresolved", "upstream name not resolved", "上游域名无法解析"),
    ("upstream_unreachable", "upstream unreachable", "上游不可达"),
    ("upstream_too_big_header", "upstream header too large", "上游应答头过大"),
    ("no_live_upstream", "no live upstream", "没有可用上游"),
    ("server_down", "server marked down", "后端被标记为下线"),
    ("oom_kill", "killed for lack of memory", "因内存不足被杀"),
    ("memory_refused", "memory refused", "申请内存被拒"),
    ("disk_full", "disk full", "磁盘已满"),
    ("disk_error", "disk error", "磁盘错误"),
    ("disk_read_only", "disk read-only", "磁盘变为只读"),
    ("access_denied", "access denied", "访问被拒"),
    ("permission_denied", "permission denied", "没有权限"),
    ("file_missing", "a requested file is not there", "请求的文件不存在"),
    ("login_failed", "login failed", "登录失败"),
    ("rate_limited", "rate limited", "被限速"),
    ("connection_limited", "connections limited", "连接数受限"),
    ("worker_limit", "workers used up", "工作进程用尽"),
    ("pool_exhausted", "pool used up", "连接池用尽"),
    ("port_exhausted", "no local port left", "本地端口用尽"),
    ("sshd_throttle", "sshd drops logins", "sshd 丢弃登录连接"),
    ("crash", "crashed", "崩溃"),
    ("crash_loop", "restarts again and again", "反复重启"),
    ("bind_failed", "could not bind", "绑定端口失败"),
    ("tls_upstream", "TLS to upstream failed", "与上游 TLS 失败"),
    ("certificate_expired", "certificate expired", "证书已过期"),
    ("client_certificate", "client certificate refused", "客户端证书被拒"),
    ("client_tls_missing", "plain text on a TLS port", "TLS 端口收到明文"),
    ("client_slow", "client too slow", "客户端太慢"),
    ("client_gave_up", "client gave up", "客户端放弃等待"),
    ("connect_refused", "connection refused", "连接被拒绝"),
    ("connect_timeout", "connection timed out", "连接超时"),
    ("proxy_protocol", "PROXY header wrong", "PROXY 头不符"),
    ("header_too_large", "header too large", "请求头过大"),
    ("body_too_large", "body too large", "请求体过大"),
    ("waf_block", "blocked by the WAF", "被 WAF 拦截"),
    ("firewall_drop", "dropped by the firewall", "被防火墙丢弃"),
    ("syn_flood", "SYN flood", "SYN 洪泛"),
    ("neighbour_full", "neighbour table full", "邻居表已满"),
    ("route_cache_full", "route cache full", "路由缓存已满"),
    ("duplicate_address", "duplicate address", "地址重复"),
    ("link_down", "link went down", "链路断开"),
    ("transmit_stuck", "network card stuck", "网卡发送卡死"),
    ("tcp_memory", "out of TCP memory", "TCP 内存不足"),
    ("task_stuck", "task stuck", "任务卡死"),
];

/// Phrases of collectors and kernel, and the Chinese that stands for them.
const PHRASES: &[(&str, &str)] = &[
    ("the nf_tables ruleset could not be read: ", "无法读取 nf_tables 规则："),
    ("the list of iptables tables could not be read: ", "无法读取 iptables 表："),
    ("a packet socket needs CAP_NET_RAW: ", "报文套接字需要 CAP_NET_RAW："),
    ("the kernel refused the request: ", "内核拒绝了请求："),
    ("a netlink socket failed: ", "netlink 套接字失败："),
    ("Operation not permitted (os error 1)", "没有权限"),
    ("EPERM: Operation not permitted", "没有权限"),
    ("Permission denied (os error 13)", "没有权限"),
    ("EACCES: Permission denied", "没有权限"),
    ("No such file or directory (os error 2)", "文件不存在"),
    ("Operation not supported (os error 95)", "内核不支持"),
    ("Protocol not supported (os error 93)", "内核不支持"),
    ("descriptors of ", "无法查看描述符的进程数："),
    (" processes may not be read", ""),
    ("the table is longer than is read, or changed meanwhile", "表过长，或读取期间发生变化"),
    ("no resolver answered in time", "没有解析器及时应答"),
    ("needs root", "需要 root"),
    ("needs CAP_NET_ADMIN", "需要 CAP_NET_ADMIN"),
    ("tracefs is not mounted", "未挂载 tracefs"),
    ("connections of the processes behind the port", "端口背后进程的连接"),
    ("sockets of the watched connections", "所观察连接的套接字"),
    ("listening sockets", "监听套接字"),
    ("tracked connections", "连接跟踪条目"),
    ("connection tracking", "连接跟踪"),
    ("routes to the source", "回程路由"),
    ("IPsec policies", "IPsec 策略"),
    ("own addresses", "本机地址"),
    ("peers of sockets", "套接字的对端"),
    ("drop reasons", "丢包原因"),
    ("firewall rules", "防火墙规则"),
];

/// What a sign in a log means; a sign without words of its own is shown as it is.
pub fn sign_name(sign: &str, lang: Lang) -> String {
    let known = SIGNS.iter().find(|(id, ..)| *id == sign);
    known.map_or_else(|| sign.replace('_', " "), |(_, en, zh)| lang.pick(en, zh).to_owned())
}

/// What could not be read, or why, with its common phrases in Chinese; collectors say them in English.
pub fn reason(text: &str, lang: Lang) -> String {
    match lang {
        Lang::En => text.to_owned(),
        Lang::Zh => PHRASES.iter().fold(text.to_owned(), |text, (en, zh)| text.replace(en, zh)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_words_is_shown_as_it_is() {
        assert_eq!(sign_name("oom_kill", Lang::Zh), "因内存不足被杀");
        assert_eq!(sign_name("brand_new", Lang::Zh), "brand new");
        let why = "the kernel refused the request: Operation not permitted (os error 1)";
        assert_eq!(reason(why, Lang::Zh), "内核拒绝了请求：没有权限");
        assert_eq!(reason(why, Lang::En), why);
    }
}
