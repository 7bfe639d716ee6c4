//! The words of the scan page, in English and Chinese.

/// One language.
pub struct Words {
    pub title: &'static str,
    pub intro: &'static str,
    pub versions: &'static str,
    pub missing: &'static str,
    pub goals: &'static str,
    pub goals_head: &'static str,
    /// With `{limit}`.
    pub of_best: &'static str,
    /// With `{limit}` and `{peer}`.
    pub of: &'static str,
    /// With `{limit}`.
    pub seconds: &'static str,
    pub noticed: &'static str,
    /// With `{right}` and `{runs}`.
    pub runs: &'static str,
    pub passed: &'static str,
    pub failed: &'static str,
    pub untold: &'static str,
    /// For one host, for a network.
    pub memory: [&'static str; 2],
    /// With `{passed}` and `{all}`.
    pub sum: &'static str,
    pub targets: [&'static str; 12],
    pub head: &'static str,
    /// With `{found}` and `{open}`.
    pub lines: &'static str,
    pub second: &'static str,
    pub cut: &'static str,
    pub banned: &'static str,
    /// With `{s}`.
    pub noticed_after: &'static str,
    pub proxy_named: &'static str,
    pub carried: &'static str,
    pub carried_head: &'static str,
    pub drops: &'static str,
    pub resets: &'static str,
    pub carried_notes: &'static str,
    pub how: &'static str,
    pub notes: &'static str,
    pub commands: &'static str,
}

pub const ENGLISH: Words = Words {
    title: "Benchmark: netwhy scan beside nmap, masscan, zmap and RustScan",
    intro: "Written by `cargo xtask bench scan`; do not edit. Measured as root in network, mount and process namespaces of \
            its own: scanner – router – target, joined by veth.",
    versions: "Peers",
    missing: "missing",
    goals: "What netwhy must reach, and what it reached",
    goals_head: "| target | goal | reached | netwhy, median | right runs | most memory | |\n|---|---|---|---|---|---|---|",
    of_best: "≤ {limit} × the fastest peer that finds all",
    of: "≤ {limit} × {peer}",
    seconds: "≤ {limit} s",
    noticed: "ban noticed and named ≤ {limit} s",
    runs: "{right} of {runs}",
    passed: "reached",
    failed: "**not reached**",
    untold: "no peer to measure by",
    memory: ["memory, one host", "memory, 65,536 addresses × 100 ports"],
    sum: "{passed} of {all} goals are reached.",
    targets: [
        "one host, 65,535 ports, 40 open, the rest closed (RST)",
        "one host, 65,535 ports, 40 open, the rest dropped",
        "one host, 65,535 ports, 40 open, resets limited to 200/s",
        "4,096 addresses × 100 ports, a quarter alive with 12 open ports each, the others silent",
        "as T1, 2 % loss each way",
        "a defence bans a source above 100 new connections/s; 1,000 ports asked, 12 open; netwhy --gentle",
        "the same, netwhy --fast: it must notice the ban",
        "a Linux SYN proxy answers every port; 65,535 ports, 40 really open",
        "a Linux SYN proxy 40 ms away; 1,000 ports, 3 really open",
        "a 10 Mbit/s bottleneck, 40 ms, 1 % loss each way; 65,535 ports, 40 open, closed ports answer",
        "the same bottleneck, the rest dropped",
        "as T1 without privilege (connect)",
    ],
    head: "| scanner | runs | median | fastest to slowest | found | invented | processor time | most memory | |\n\
           |---|---|---|---|---|---|---|---|---|",
    lines: "{found} of {open}",
    second: "s",
    cut: "> {limit} s, cut",
    banned: "banned",
    noticed_after: "ban noticed after {s} s",
    proxy_named: "proxy named",
    carried: "What the way carries at all, and netwhy's share of it",
    carried_head: "| the target | to nobody | sent by one thread | arrived | answered | netwhy, 65,536 addresses × 100 ports: sent | arrived \
                   | share | time | passes | most memory |\n|---|---|---|---|---|---|---|---|---|---|---|",
    drops: "drops",
    resets: "resets",
    carried_notes: "The first columns are a sender of the benchmark's own (packet socket, sendmmsg with batches of 64, \
                    PACKET_QDISC_BYPASS) that neither listens nor slows down, in packets a second: to a hardware address nobody \
                    has, which is what the first veth takes, then to the target; *arrived* is what the \
                    target's interface counted. The share is netwhy's arrived packets by the sender's. netwhy ran with \
                    `--rate max`, and everything counts: starting, every pass, waiting for the last answers.",
    how: "How it is measured",
    notes: "\
- Everybody runs in turn, in an order that changes each round; medians of all runs. Where the goal says 20 runs, netwhy runs \
20 times. What each run says is compared with the truth: *found* is the fewest of all runs, *invented* the most.\n\
- A scanner that takes more than {limit} s is cut, and not run again on that target. What it had found by then does not count.\n\
- Time is from starting the process to its end; memory is the kernel's account of its largest process. All scanners and \
targets ran at niceness −20, and each run waited up to 6 s for a moment in which others used at most a fifth of the \
processors, since other programs ran on the machine at times ({busy} of the processors before a run, on average): \
compare scanners of one run, not runs. Where only some scanners were measured again (`--only`, `--peers`), the figures of the others are older.\n\
- zmap of Debian asks one port a run. It gets as many addresses instead, each standing for one port with the same \
behaviour, on the same host: as many packets, as many answers.\n\
- masscan and zmap are told 100,000 packets/s (20,000 at the bottleneck, which is what it carries) and to wait 2 s for \
the last answers instead of 10 and 8; masscan asks twice. \"nmap, told the rate\" is told 20,000/s (50,000/s for the network) \
and one retry; told the limit of the defence it is told 90/s.\n\
- A ping from the router every 0.2 s is the only other packet: masscan 1.3 ends only when something wakes its receiver.\n\
- Loss is nft's `numgen random` on the router, the bottleneck `tbf` with 50 ms of queue in both directions, the delay a relay of the \
benchmark's own between two packet sockets, since the kernel measured on has no netem. The defence is an nft set with a \
`limit rate over 100/second burst 10`, emptied before each run; the proxy nft's `synproxy`.\n",
    commands: "Command lines",
};

pub const CHINESE: Words = Words {
    title: "基准测试：netwhy scan 与 nmap、masscan、zmap、RustScan",
    intro: "由 `cargo xtask bench scan` 生成，请勿手工修改。以 root 身份在独立的网络、挂载与进程命名空间中测得：\
            扫描端 – 路由器 – 目标，以 veth 相连。",
    versions: "对照工具",
    missing: "缺失",
    goals: "netwhy 须达到的目标与实际结果",
    goals_head: "| 目标 | 要求 | 实测 | netwhy 中位数 | 正确次数 | 最大内存 | |\n|---|---|---|---|---|---|---|",
    of_best: "≤ {limit} × 找全的最快工具",
    of: "≤ {limit} × {peer}",
    seconds: "≤ {limit} 秒",
    noticed: "≤ {limit} 秒内发现并指出封禁",
    runs: "{right}/{runs}",
    passed: "达到",
    failed: "**未达到**",
    untold: "无可比对象",
    memory: ["内存，单台主机", "内存，65,536 个地址 × 100 个端口"],
    sum: "{all} 项目标中达到 {passed} 项。",
    targets: [
        "单台主机，65,535 个端口，开放 40 个，其余关闭（RST）",
        "单台主机，65,535 个端口，开放 40 个，其余丢弃",
        "单台主机，65,535 个端口，开放 40 个，RST 限速每秒 200 个",
        "4,096 个地址 × 100 个端口，四分之一存活、各开放 12 个端口，其余无应答",
        "同 T1，双向各丢包 2 %",
        "来源每秒新建连接超过 100 即被封禁；询问 1,000 个端口，开放 12 个；netwhy --gentle",
        "同上，netwhy --fast：须发现被封禁",
        "Linux SYN 代理应答所有端口；65,535 个端口，实际开放 40 个",
        "40 毫秒之外的 Linux SYN 代理；1,000 个端口，实际开放 3 个",
        "10 Mbit/s 瓶颈，40 毫秒，双向各丢包 1 %；65,535 个端口，开放 40 个，关闭端口有应答",
        "同一瓶颈，其余丢弃",
        "同 T1，无特权（connect）",
    ],
    head: "| 工具 | 次数 | 中位数 | 最快至最慢 | 找到 | 误报 | 处理器时间 | 最大内存 | |\n\
           |---|---|---|---|---|---|---|---|---|",
    lines: "{found}/{open}",
    second: "秒",
    cut: "> {limit} 秒，中止",
    banned: "被封禁",
    noticed_after: "{s} 秒后发现封禁",
    proxy_named: "已指出代理",
    carried: "链路的承载上限与 netwhy 所占份额",
    carried_head: "| 目标 | 发往无人 | 单线程发送 | 到达 | 应答 | netwhy，65,536 个地址 × 100 个端口：发送 | 到达 \
                   | 份额 | 用时 | 轮数 | 最大内存 |\n|---|---|---|---|---|---|---|---|---|---|---|",
    drops: "丢弃",
    resets: "回 RST",
    carried_notes: "前几列是基准测试自带的发送程序（packet 套接字，sendmmsg 每批 64 个，PACKET_QDISC_BYPASS），\
                    既不接收也不降速，单位为每秒报文数：先发往无人使用的硬件地址（即第一段 veth 的上限），再发往目标；“到达”取自目标接口的计数。份额为 netwhy 到达的报文与该程序之比。\
                    netwhy 以 `--rate max` 运行，启动、每一轮、等待最后的应答全部计入。",
    how: "如何测量",
    notes: "\
- 各工具轮流运行，每轮顺序不同；取全部运行的中位数。目标要求 20 次时 netwhy 运行 20 次。每次的结果都与真实情况比对：\
“找到”为各次最少者，“误报”为各次最多者。\n\
- 超过 {limit} 秒即中止，且不再在该目标上运行；此前找到的不计。\n\
- 用时从启动进程到其结束；内存取自内核对其最大进程的统计。测量期间机器上有时还有其他程序，因此所有扫描程序与目标都以 nice −20 运行，\
每次运行前最多等待 6 秒，直到其他程序占用不超过处理器的五分之一（运行前平均占用 {busy}）：\
应比较同一次测量中的各工具，而不是不同次的测量。若只重测了部分工具（`--only`、`--peers`），其余工具的数字则来自更早的测量。\n\
- Debian 的 zmap 每次只问一个端口，因此改为同样数量的地址，每个地址代表一个端口，行为相同，位于同一主机：\
报文与应答的数量相同。\n\
- masscan 与 zmap 设为每秒 100,000 个报文（瓶颈处为其承载量 20,000），并只等最后的应答 2 秒而非 10 与 8 秒；masscan 问两遍。\
“nmap, told the rate” 设为每秒 20,000（网段为 50,000）并重试一次；“told the limit” 设为每秒 90。\n\
- 路由器每 0.2 秒发一个 ping，此外别无报文：masscan 1.3 的接收线程须被报文唤醒才会结束。\n\
- 丢包用路由器上 nft 的 `numgen random`，瓶颈用双向 `tbf`（队列 50 毫秒），延迟用基准测试自带的两个 packet 套接字之间的转发程序，\
因为所测内核没有 netem。封禁用 nft 集合与 `limit rate over 100/second burst 10`，每次运行前清空；代理用 nft 的 `synproxy`。\n",
    commands: "命令行",
};
