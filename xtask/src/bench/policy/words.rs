//! The words of the page, in English and Chinese.

pub struct Words {
    pub title: &'static str,
    pub intro: &'static str,
    /// With `{n}`.
    pub rounds: &'static str,
    pub versions: &'static str,
    pub missing: &'static str,
    pub goals: &'static str,
    pub goals_head: &'static str,
    /// In the order of [`super::goal::What`], with `{n}` for the rules.
    pub whats: [&'static str; 7],
    pub per_second: &'static str,
    pub times: &'static str,
    pub unions: &'static str,
    pub all: &'static str,
    pub split: &'static str,
    pub udp: &'static str,
    pub told: [&'static str; 2],
    pub named: &'static str,
    pub silent: &'static str,
    pub reached: &'static str,
    pub failed: &'static str,
    pub unmeasured: &'static str,
    /// With `{reached}` and `{all}`.
    pub sum: &'static str,
    pub lists: &'static str,
    pub lists_head: &'static str,
    pub reading: &'static str,
    pub reading_head: &'static str,
    pub planted: &'static str,
    pub planted_head: &'static str,
    pub how: &'static str,
    pub notes: &'static str,
}

pub const ENGLISH: Words = Words {
    title: "Benchmark: netwhy policy on long rule lists",
    intro: "Written by `cargo xtask bench policy`; do not edit. Everything was measured in one run. Times are processor \
            time, user and system.",
    rounds: "{n} rounds; each figure is the median of them, memory the most.",
    versions: "Beside it",
    missing: "not there",
    goals: "What must be reached",
    goals_head: "| | goal | acl | fw | ipc | |\n|---|---|---|---|---|---|",
    whats: [
        "rules that never match, of {n} rules",
        "verdicts of the packet filter at {n} rules",
        "exactly which flows from this /24 to that /24:443, at {n} rules: 99th percentile",
        "what one edit of {n} rules changes",
        "reading {n} rules of nft text",
        "memory for that",
        "Aerleon's shade check takes so many times as long, {n} rules",
    ],
    per_second: "million/s",
    times: "times",
    unions: "planted rules that only a union covers: found",
    all: "all",
    split: "SSH opened to 0.0.0.0/1 and 128.0.0.0/1",
    udp: "UDP 22 opened to the world, which is no SSH",
    told: ["told", "not told"],
    named: "told",
    silent: "not told",
    reached: "reached",
    failed: "**missed**",
    unmeasured: "–",
    sum: "{reached} of {all} goals are reached.",
    lists: "The lists",
    lists_head: "| list | rules | index | never matching: time | found | with those that change nothing: time | found \
                 | question: median | 99th percentile | first rule of a packet | verdicts of the packet filter \
                 | one edit |\n|---|---|---|---|---|---|---|---|---|---|---|---|",
    reading: "Reading, beside the kernel's own tools",
    reading_head: "| list | rules | netwhy: time | memory | `nft -c -f`: time | memory | `iptables-restore --test`: time \
                   | memory |\n|---|---|---|---|---|---|---|---|",
    planted: "Planted rules that never match",
    planted_head: "| list | rules | netwhy: behind one | behind a union | Aerleon: behind one | behind a union \
                   | netwhy: time | Aerleon: time |\n|---|---|---|---|---|---|---|---|",
    how: "How it is measured",
    notes: "\
- The lists are drawn as ClassBench does, the same each time: access lists (acl), firewalls (fw) and chains of hosts (ipc), \
one family, first match. Planted are rules behind one that covers them, of the same or the other action, and rules that \
two others cover only together.\n\
- The times of netwhy are of its library in a release build, one thread, without starting a program; the goal of the \
audit is that of the rules that never match. The index that audit, questions and differences need is built once for a \
list and has its own column; a difference is one rule taken out, elsewhere in each round, both lists indexed. Each \
question is timed alone, the price of the clock included: 20,000 of them, about the networks of the packets drawn.\n\
- Verdicts are those of the model of the whole packet filter that reads the nft text (hooks, connection tracking), on the \
20,000 packets, of which seven of ten are aimed at a rule; each was the same as that of the list's first rule: \
{differ} differ. \"First rule of a packet\" asks the list alone.\n\
- Aerleon's time is that of its shade check alone, its parsing left out, on the same rules in its own YAML. It grows with \
the square of the rules, so of 10,000 rules it ran once, on one list. It compares rules two by two, so what only a union \
covers it cannot find.\n\
- `nft -c` and `iptables-restore --test` read the same rules in a network namespace of their own, as whole programs; nft \
has the kernel check them as well. They say whether a rule set loads, nothing of what it means: their figures are beside \
reading only.\n\
- Checkov is asked its check of port 22 (CKV_AWS_24) on two security groups in Terraform; netwhy all its checks.\n\
- Other programs ran on the machine at the same time: processor time does not count their turns, but shares caches and \
cores with them.\n",
};

pub const CHINESE: Words = Words {
    title: "基准测试：长规则表上的 netwhy policy",
    intro: "由 `cargo xtask bench policy` 生成，请勿手工修改。全部在一次运行中测得。时间为处理器时间（用户态与内核态）。",
    rounds: "共 {n} 轮；各数字为其中位数，内存为最大值。",
    versions: "对照",
    missing: "没有",
    goals: "必须达到的目标",
    goals_head: "| | 目标 | acl | fw | ipc | |\n|---|---|---|---|---|---|",
    whats: [
        "找出 {n} 条规则中永不匹配者",
        "{n} 条规则时报文过滤器的裁决",
        "{n} 条规则时，“从这个 /24 到那个 /24:443 究竟有哪些流”：99 分位",
        "{n} 条规则改动一处后的差异",
        "读取 {n} 条 nft 文本规则",
        "其内存",
        "Aerleon 的遮蔽检查用时的倍数，{n} 条规则",
    ],
    per_second: "百万/秒",
    times: "倍",
    unions: "埋入的、只被多条规则共同覆盖的规则：找到",
    all: "全部",
    split: "SSH 向 0.0.0.0/1 与 128.0.0.0/1 开放",
    udp: "UDP 22 向全网开放（并非 SSH）",
    told: ["应报告", "不应报告"],
    named: "已报告",
    silent: "未报告",
    reached: "达到",
    failed: "**未达到**",
    unmeasured: "–",
    sum: "{all} 个目标中达到 {reached} 个。",
    lists: "规则表",
    lists_head: "| 表 | 规则 | 建索引 | 永不匹配：用时 | 找到 | 连同无影响者：用时 | 找到 | 提问：中位数 | 99 分位 \
                 | 报文的首条规则 | 报文过滤器的裁决 | 改动一处 |\n|---|---|---|---|---|---|---|---|---|---|---|---|",
    reading: "读取，与内核自带工具对照",
    reading_head: "| 表 | 规则 | netwhy：用时 | 内存 | `nft -c -f`：用时 | 内存 | `iptables-restore --test`：用时 | 内存 |\n\
                   |---|---|---|---|---|---|---|---|",
    planted: "埋入的永不匹配的规则",
    planted_head: "| 表 | 规则 | netwhy：被一条覆盖 | 被多条共同覆盖 | Aerleon：被一条覆盖 | 被多条共同覆盖 \
                   | netwhy：用时 | Aerleon：用时 |\n|---|---|---|---|---|---|---|---|",
    how: "如何测量",
    notes: "\
- 规则表按 ClassBench 的方式生成，每次相同：访问列表（acl）、防火墙（fw）与主机链（ipc），单一地址族，首条匹配生效。\
埋入的规则或被前面一条规则覆盖（动作相同或相反），或只被前面两条共同覆盖。\n\
- netwhy 的时间取自其库的发布版构建，单线程，不含启动程序；审计的目标指“永不匹配的规则”。审计、提问与差异所需的索引\
每表只建一次，单列一栏；差异为删去一条规则（每轮位置不同），两表均已建索引。每个提问单独计时，含读时钟的开销：\
共 20,000 个，针对所生成报文的网段。\n\
- 裁决来自读取 nft 文本的整个报文过滤器模型（含钩子与连接跟踪），针对 20,000 个报文，其中七成瞄准某条规则；\
与规则表首条匹配的结果逐一比较：{differ} 个不同。“报文的首条规则”只问规则表本身。\n\
- Aerleon 的时间只含其遮蔽检查，不含解析，规则相同，以其自身的 YAML 写成。其用时随规则数的平方增长，\
因此 10,000 条规则只在一张表上运行一次。它两两比较规则，因此无法发现只被多条共同覆盖的规则。\n\
- `nft -c` 与 `iptables-restore --test` 在独立的网络命名空间中读取同样的规则，按整个程序计；nft 还让内核检查。\
它们只说明规则集能否载入，而不涉及其含义：其数字仅与读取对照。\n\
- 对 Checkov 只问其 22 端口检查（CKV_AWS_24），针对 Terraform 中的两个安全组；对 netwhy 则问其全部检查。\n\
- 测量时机器上还有其他程序在运行：处理器时间不含它们的时间片，但缓存与核心由它们共享。\n",
};
