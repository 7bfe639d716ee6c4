//! The help in Chinese, keyed by the English text it stands for, so that a changed text shows as untranslated.
//!
//! Messages about misuse stay English: they are searched for and quoted.

use clap::Command;

/// The layout of a help page; the parser's own has an English heading built in.
const LAYOUT: &str = "{before-help}{about-with-newline}\n用法：{usage}\n\n{all-args}{after-help}";

/// English texts and the Chinese ones that stand for them.
const TEXTS: &[(&str, &str)] = &[
    ("Says why this host cannot reach a target, and what fixes it", "说明本机为何连不上目标，以及如何修复"),
    ("Say why this host cannot reach a target, and what fixes it", "说明本机为何连不上目标，以及如何修复"),
    (
        "Teach one cause: what it is, how it looks, how to prove it, how to mend it",
        "详解一个原因：是什么、有何表现、如何证明、如何修复",
    ),
    (
        "Ask DNS: every resolver apart, the walk from the root, DNSSEC, and who is wrong or slow",
        "询问 DNS：逐个解析器、从根开始的追踪、DNSSEC，以及谁错、谁慢",
    ),
    (
        "Make an HTTP request: every phase timed, redirects followed, and who wrote the status",
        "发 HTTP 请求：逐段计时、跟随跳转，并指出状态码由谁产生",
    ),
    (
        "Make a TCP handshake and say how it ended, who ended it, and what retries did",
        "做 TCP 握手，说明结局、由谁造成、重试如何",
    ),
    (
        "Measure loss, latency and jitter by TCP, ICMP or UDP, as the wire sees them",
        "以 TCP、ICMP 或 UDP 测量线路上真实的丢包、时延与抖动",
    ),
    (
        "Follow the path hop by hop: where SYN, UDP and ping die, loss, loops and path MTU",
        "逐跳追踪路径：SYN、UDP、ping 各在哪里消失，丢包、环路与路径 MTU",
    ),
    (
        "Ask a TLS server: handshake, certificate chain, versions, ciphers, and what one change to the hello does",
        "询问 TLS 服务器：握手、证书链、版本、密码套件，以及只改 ClientHello 一处的差别",
    ),
    (
        "See netwhy at work: a small network, three faults, three verdicts; needs nothing else",
        "看 netwhy 如何工作：一个小网络，三个故障，三份结论；不需要其他任何东西",
    ),
    (
        "Break networks of your own making for real, to learn and to measure",
        "在自建网络中真实注入故障，用于学习与度量",
    ),
    ("Write the completions of a shell", "输出 shell 补全脚本"),
    ("Write the manual pages", "输出手册页"),
    ("Print help", "显示帮助"),
    ("Print version", "显示版本"),
    ("Write JSON; short for --format json", "输出 JSON；即 --format json"),
    ("How to write the report [env: NETWHY_FORMAT]", "报告的格式 [env: NETWHY_FORMAT]"),
    ("Language of what is written; the locale's by default", "输出所用语言；默认随系统区域设置"),
    ("When to use colour; NO_COLOR is honoured", "何时使用颜色；遵循 NO_COLOR"),
    (
        "Show more: what is asked while it runs, and all that was seen",
        "显示更多：运行中询问了什么，以及全部所见",
    ),
    ("Read settings from this file only", "只从此文件读取设置"),
    ("What is to be reached: a URL, host:port, or a name", "要访问的目标：URL、主机:端口 或域名"),
    (
        "Also ask the origin behind a protection node directly, with the same Host and SNI",
        "同时绕过防护节点，以相同的 Host 与 SNI 直接询问源站",
    ),
    (
        "What counts as success; whatever misses it is a fault to explain",
        "什么算成功；未达到的即为需要解释的故障",
    ),
    (
        "The path a load balancer asks to see whether the service is well",
        "负载均衡用来检查服务是否正常的路径",
    ),
    ("A request header, such as 'Accept-Language: zh'", "一个请求头，如 'Accept-Language: zh'"),
    ("The request method [default: GET]", "请求方法 [默认：GET]"),
    ("Send a request body of so many bytes", "发送这么多字节的请求体"),
    ("PEM file with a client certificate and its key", "含客户端证书及其私钥的 PEM 文件"),
    ("PEM file with roots to trust besides the system's", "在系统信任之外再信任的根证书 PEM 文件"),
    ("Ask this resolver instead of those in resolv.conf", "询问此解析器，而不是 resolv.conf 中的"),
    ("Send from this address", "从此地址发出"),
    ("Send through this interface", "从此网卡发出"),
    ("Use IPv4 only", "只用 IPv4"),
    ("Use IPv6 only", "只用 IPv6"),
    ("Longest time for one target [default: 11s]", "每个目标的最长用时 [默认：11s]"),
    ("Keep the case with all that was seen", "把案例连同全部所见保存下来"),
    (
        "Conclude again from a kept case; nothing is asked ('-' reads stdin)",
        "从保存的案例重新得出结论，不再询问（'-' 读标准输入）",
    ),
    (
        "The id of a cause, or how ids begin; all are listed without one",
        "原因的 id 或其开头几段；不写则列出全部",
    ),
    ("The shell to write for", "为哪种 shell 输出"),
    (
        "Write the page of every command into this folder, instead of the first one to stdout",
        "把每个命令的手册页写入此目录，而不是把首页写到标准输出",
    ),
    ("Output", "输出"),
    ("What to ask", "问什么"),
    ("How to ask", "怎么问"),
    ("Cases", "案例"),
    (super::args::EXAMPLES, EXAMPLES),
    (super::commands::diagnose::EXAMPLES, DIAGNOSE),
    (super::commands::explain::EXAMPLES, EXPLAIN),
];

const EXAMPLES: &str = "\
示例：
  netwhy https://shop.example/                      我的网站为什么打不开？
  netwhy db.example:5432 -v                         并显示问了什么、看到了什么
  netwhy --origin 203.0.113.7 https://shop.example/ 是 CDN 节点的问题，还是源站的？
  netwhy --expect max-time=1s https://shop.example/ 慢也算故障
  netwhy --json shop.example | jq .causes           供程序使用
  netwhy explain tls.cert.expired                   某个原因是什么，如何证明与修复
  netwhy demo                                       在自带的小网络上看它如何工作

退出码：
  0  可达，且未发现问题
  1  发现了原因，或某项检查未通过
  2  netwhy 无法完成工作
  3  证据不足，无法判断

设置也可写在 netwhy.toml（当前目录或 ~/.config/netwhy）与 NETWHY_* 变量中；
命令行优先于变量，变量优先于文件。";

const DIAGNOSE: &str = "\
目标：
  https://shop.example/cart   HTTPS；只写域名即为此意
  shop.example:5432           TCP；端口 80 与 8080 视为 HTTP，443 与 8443 视为 HTTPS
  tls://mail.example:993      只做 TLS 握手
  udp://198.51.100.7:53       UDP 服务
  dns:shop.example            只查域名
  [2001:db8::7]:443           IPv6 地址后跟端口时加方括号

期望（--expect KEY=VALUE，可重复）：
  status=200,204   max-time=1s   min-bytes=64k   http=2   tls-max=1.2   banner=SSH-2.0
  families=ipv4,ipv6   address=203.0.113.7   success-min=0.99   loss-max=2%   max-rtt=100ms

示例：
  netwhy https://shop.example/                              最常见的问题
  netwhy --origin 203.0.113.7 https://shop.example/         同时询问 CDN 背后的源站
  netwhy --expect families=ipv4,ipv6 https://shop.example/  IPv6 也必须可用
  netwhy --save case.json db.example:5432                   保存全部所见
  netwhy --replay case.json --format html > case.html       换个地方再次得出结论";

const EXPLAIN: &str = "\
示例：
  netwhy explain                              按层列出 netwhy 已知的全部原因
  netwhy explain tls.cert                     与证书有关的原因
  netwhy explain tcp.refused.no_listener      是什么、有何表现、相似原因、如何修复
  netwhy explain tls.cert.expired --lang zh   中文说明
  netwhy explain dns.nxdomain --format html > page.html";

/// The definition with every text that has a Chinese one replaced, down to the last command.
pub fn translated(mut command: Command) -> Command {
    let own = |text: &str| TEXTS.iter().find(|(english, _)| *english == text).map(|(_, chinese)| *chinese);
    if let Some(about) = command.get_about().and_then(|text| own(&text.to_string())) {
        command = command.about(about);
    }
    if let Some(after) = command.get_after_help().and_then(|text| own(&text.to_string())) {
        command = command.after_help(after);
    }
    command = command.help_template(LAYOUT).subcommand_help_heading("命令").mut_args(|arg| {
        let help = arg.get_help().and_then(|text| own(&text.to_string()));
        let heading = match arg.get_help_heading() {
            Some(heading) => own(heading),
            None if arg.is_positional() => Some("参数"),
            None => Some("选项"),
        };
        let arg = match heading {
            Some(heading) => arg.help_heading(heading),
            None => arg,
        };
        match help {
            Some(help) => arg.help(help),
            None => arg,
        }
    });
    command.mut_subcommands(translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands this file answers for.
    const COMMANDS: [&str; 4] = ["diagnose", "explain", "completions", "man"];

    #[test]
    fn every_text_of_these_commands_has_a_chinese_one() {
        let definition = crate::args::definition();
        let mut texts: Vec<String> = Vec::new();
        let own = definition.get_subcommands().filter(|command| COMMANDS.contains(&command.get_name()));
        for command in own.chain([&definition]) {
            texts.extend(command.get_about().map(ToString::to_string));
            texts.extend(command.get_arguments().filter_map(|arg| arg.get_help()).map(ToString::to_string));
        }
        for text in texts {
            assert!(TEXTS.iter().any(|(english, _)| *english == text), "has no Chinese: {text:?}");
        }
    }

    #[test]
    fn every_translation_is_used() {
        let definition = crate::args::definition();
        let mut seen = String::new();
        for command in definition.get_subcommands().chain([&definition]) {
            seen.push_str(&format!("{:?}{:?}", command.get_about(), command.get_after_help()));
            for arg in command.get_arguments() {
                seen.push_str(&format!("{:?}{:?}", arg.get_help(), arg.get_help_heading()));
            }
        }
        for (english, _) in TEXTS {
            let first = english.lines().next().unwrap_or_default();
            assert!(seen.contains(&format!("{first:?}")[1..first.len()]), "nothing says {first:?}");
        }
    }
}
