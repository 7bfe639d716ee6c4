//! The page of the host figures, in English and Chinese.

use super::{Figures, Look, Watching, Who};
use crate::bench::thousands;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Writes both pages from a file of figures.
pub fn publish(root: &Path, file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let figures: Figures =
        serde_json::from_str(&text).with_context(|| format!("parsing {}", file.display()))?;
    let machine = super::super::machine();
    fs::create_dir_all(root.join("docs/zh")).context("making docs/zh")?;
    for (path, words) in [("docs/benchmark-host.md", &ENGLISH), ("docs/zh/benchmark-host.md", &CHINESE)] {
        fs::write(root.join(path), page(&figures, &machine, words))
            .with_context(|| format!("writing {path}"))?;
    }
    Ok(())
}

struct Words {
    title: &'static str,
    intro: &'static str,
    /// With `{sockets}`, `{entries}`, `{rules}`, `{elements}`.
    look: &'static str,
    look_head: &'static str,
    together: &'static str,
    /// With `{wall}`, `{cpu}`, `{wall0}`, `{cpu0}`, `{peak}`.
    ratio: &'static str,
    watching: &'static str,
    watching_head: &'static str,
    who: [&'static str; 3],
    large: &'static str,
    small: &'static str,
    quiet: &'static str,
    /// With `{n}`.
    loaded: &'static str,
    /// With `{seen}` and `{all}`.
    probes: &'static str,
    how: &'static str,
    notes: &'static str,
}

const ENGLISH: Words = Words {
    title: "Benchmark: netwhy host on a machine with very many connections",
    intro: "Written by `cargo xtask bench host`; do not edit. Measured in one run, as root, in network and process \
            namespaces of its own.",
    look: "One look: {sockets} TCP sockets, {entries} tracked connections, {rules} firewall rules, a set of {elements}",
    look_head: "| | runs | time: median | processor time: median | most memory of all runs |\n|---|---|---|---|---|",
    together: "**the three tools, one after the other**",
    ratio: "The three tools take **{wall} times** as long as `netwhy host` and {cpu} times its processor time (medians of \
            the ratios of each round). `netwhy host` waits out a window of half a second to see counters rise, and does \
            much more than the three: it finds owners, reads limits, counters, logs and services, and judges. Without the \
            window (`--window 0`) it is {wall0} times as fast, at {cpu0} times less processor time. It took at most \
            **{peak} MB**.",
    watching: "What watching costs",
    watching_head: "| machine | new connections | watched by | of one core: median window | mean | until settled | most memory \
                    | looks in 10 s | one connection costs its ends |\n|---|---|---|---|---|---|---|---|---|",
    who: ["nobody", "`netwhy host --watch`", "both-ends watch (`netwhy host --record`)"],
    large: "large",
    small: "few sockets",
    quiet: "none",
    loaded: "{n}/s",
    probes: "{seen} of {all} connections of the watched source, one a second between all others, are in the record.",
    how: "How it is measured",
    notes: "\
- The large machine is eight pairs of processes with 100,000 loopback connections between them, each from another address of \
127.0.0.0/8, so that there are 100,000 peers; connection tracking is filled over netlink. Before anything is timed, netwhy \
must have counted all of them.\n\
- The tools and netwhy run in turn, five rounds, in an order that changes each round, all output thrown away. Time and \
memory are the kernel's account of the process and what it started. Other programs ran on the machine at the same time: \
waiting time is noisy, processor time and the ratios within a round less so. Most of what ss takes goes into `-p`, the owner of each socket: `ss -tanie` in the last \
row leaves that out.\n\
- Watching is measured over six windows of ten seconds; the first seconds (\"until settled\", in milliseconds of \
processor time) are apart: then everything is read once. `--watch` runs on a terminal of 120 × 40. Deeper looks that \
fall into the six windows are in the mean, which is the figure to go by. It looks as often as its budget allows, so a machine with more to read is looked at less often.\n\
- New connections are opened and closed on loopback without data by one process of real-time priority that is both ends, the asking side first: \
both ends and their TIME_WAIT are on the watched machine, and every packet passes it twice. Rules exempt them from \
connection tracking, for else its table were full within seconds and the kernel would drop them.\n\
- The both-ends watch waits for one quiet source among them and looks every second. What the kernel spends in its \
filter counts for whoever sends the packet: compare the last column with and without a watch.\n",
};

const CHINESE: Words = Words {
    title: "基准测试：连接极多的机器上的 netwhy host",
    intro: "由 `cargo xtask bench host` 生成，请勿手工修改。以 root 身份在独立的网络与进程命名空间中一次测得。",
    look: "查看一次：{sockets} 个 TCP 套接字、{entries} 条连接跟踪、{rules} 条防火墙规则、一个含 {elements} 个元素的集合",
    look_head: "| | 次数 | 用时：中位数 | 处理器时间：中位数 | 各次最大内存 |\n|---|---|---|---|---|",
    together: "**三个工具依次运行**",
    ratio: "三个工具的用时是 `netwhy host` 的 **{wall} 倍**，处理器时间是其 {cpu} 倍（各轮比值的中位数）。`netwhy host` \
            会等满半秒窗口以观察计数器增长，而且做的事多得多：找出所属进程，读取限额、计数器、日志与服务，并作出判断。\
            不等窗口（`--window 0`）时速度为 {wall0} 倍，处理器时间为其 1/{cpu0}。内存最多 **{peak} MB**。",
    watching: "持续观察的开销",
    watching_head: "| 机器 | 新建连接 | 观察者 | 占单核：窗口中位数 | 平均 | 稳定之前 | 最大内存 | 每 10 秒查看次数 \
                    | 每条连接两端的开销 |\n|---|---|---|---|---|---|---|---|---|",
    who: ["无", "`netwhy host --watch`", "两端观察（`netwhy host --record`）"],
    large: "大型",
    small: "套接字很少",
    quiet: "无",
    loaded: "{n}/秒",
    probes: "被观察的来源每秒建立一条连接，夹在其余连接之中；共 {all} 条，记录中有 {seen} 条。",
    how: "如何测量",
    notes: "\
- 大型机器由八对进程构成，其间有 100,000 条环回连接，每条来自 127.0.0.0/8 中不同的地址，因此有 100,000 个对端；\
连接跟踪表经 netlink 填充。计时之前先确认 netwhy 数到了全部连接。\n\
- 各工具与 netwhy 轮流运行五轮，每轮顺序不同，输出全部丢弃。用时与内存取自内核对该进程及其子进程的统计。\
测量时机器上还有其他程序在运行：等待时间波动较大，处理器时间与同一轮内的比值较稳定。ss 的大部分用时在于 `-p`（每个套接字的所属进程）：最后一行的 `ss -tanie` 不含此项。\n\
- 持续观察以六个十秒窗口测量；最初几秒（“稳定之前”，单位为毫秒处理器时间）单独列出，此时会完整读取一次。\
`--watch` 运行在 120 × 40 的终端上。落在六个窗口内的更深的查看计入平均，应以平均为准。查看的频率以预算为限，因此内容越多的机器查看得越少。\n\
- 新建连接由一个实时优先级的进程在环回接口上打开并关闭，不传数据，请求方先关闭：两端与其 TIME_WAIT 都在被观察的机器上，\
每个报文经过两次。规则使这些连接不进入连接跟踪，否则其表数秒即满，内核便会丢弃它们。\n\
- 两端观察在其中等待一个安静的来源，每秒查看一次。内核在过滤器上的花费计在发送报文者身上：\
可比较最后一列在有无观察时的差别。\n",
};

fn page(figures: &Figures, machine: &str, words: &Words) -> String {
    let mut out = format!("# {}\n\n{}\n\n{machine}\n", words.title, words.intro);
    for look in &figures.looks {
        one_look(&mut out, look, words);
    }
    let _ = writeln!(out, "\n## {}\n\n{}", words.watching, words.watching_head);
    for row in &figures.watching {
        watch_row(&mut out, row, words);
    }
    let (all, seen) =
        figures.watching.iter().fold((0, 0), |(a, s), row| (a + row.probes, s + row.probes_seen));
    let probes = words.probes.replace("{seen}", &seen.to_string()).replace("{all}", &all.to_string());
    let _ = writeln!(out, "\n{probes}\n\n## {}\n\n{}", words.how, words.notes.trim_end());
    out
}

fn one_look(out: &mut String, look: &Look, words: &Words) {
    let title = words
        .look
        .replace("{sockets}", &thousands(look.sockets))
        .replace("{entries}", &thousands(look.entries))
        .replace("{rules}", &thousands(look.rules))
        .replace("{elements}", &thousands(look.elements));
    let _ = writeln!(out, "\n## {title}\n\n{}", words.look_head);
    for tool in &look.tools {
        let name = if tool.name.is_empty() { words.together.to_owned() } else { format!("`{}`", tool.name) };
        let _ = writeln!(
            out,
            "| {name} | {} | {:.0} ms | {:.0} ms | {:.1} MB |",
            tool.runs, tool.wall_ms, tool.cpu_ms, tool.peak_mb
        );
    }
    let [[wall, cpu], [wall0, cpu0]] = look.ratios.map(|pair| pair.map(|ratio| format!("{ratio:.1}")));
    let peak = look.tools.iter().take(2).map(|tool| tool.peak_mb).fold(0.0, f64::max);
    let ratio = words
        .ratio
        .replace("{wall}", &wall)
        .replace("{cpu}", &cpu)
        .replace("{wall0}", &wall0)
        .replace("{cpu0}", &cpu0)
        .replace("{peak}", &format!("{peak:.1}"));
    let _ = writeln!(out, "\n{ratio}");
}

fn watch_row(out: &mut String, row: &Watching, words: &Words) {
    let machine = if row.large { words.large } else { words.small };
    let load = if row.per_s > 0.0 {
        words.loaded.replace("{n}", &thousands(row.per_s.round() as u64))
    } else {
        words.quiet.to_owned()
    };
    let blank = "–".to_owned();
    let watched = row.who != Who::Nobody;
    let of = |watched: bool, text: String| if watched { text } else { blank.clone() };
    let _ = writeln!(
        out,
        "| {machine} | {load} | {} | {} | {} | {} | {} | {} | {} |",
        words.who[row.who as usize],
        of(watched, format!("{:.2} %", row.share_median)),
        of(watched, format!("**{:.2} %**", row.share_mean)),
        of(watched, format!("{:.0} ms", row.start_ms)),
        of(watched, format!("{:.1} MB", row.peak_mb)),
        of(row.who == Who::Screen, format!("{:.1}", row.looks_per_10_s)),
        of(row.per_s > 0.0, format!("{:.1} µs", row.load_us)),
    );
}

#[cfg(test)]
mod tests {
    use super::super::Tool;
    use super::*;

    #[test]
    fn the_page_has_every_figure() {
        let tool = |name: &str, wall_ms| Tool {
            name: name.into(),
            runs: 7,
            wall_ms,
            cpu_ms: wall_ms / 2.0,
            peak_mb: 90.04,
        };
        let look = Look {
            sockets: 200_001,
            entries: 200_000,
            rules: 200,
            elements: 1_000,
            tools: vec![tool("netwhy host", 700.0), tool("", 4_200.0)],
            ratios: [[6.0, 5.0], [8.0, 7.0]],
        };
        let quiet = Watching { who: Who::Screen, share_mean: 0.61, ..Watching::default() };
        let loaded =
            Watching { who: Who::Record, per_s: 19_999.6, probes: 9, probes_seen: 8, ..Watching::default() };
        let figures = Figures { looks: vec![look], watching: vec![quiet, loaded] };
        for words in [&ENGLISH, &CHINESE] {
            let page = page(&figures, "2 × x", words);
            for part in
                ["200,001", "| 7 | 4200 ms | 2100 ms | 90.0 MB |", "**0.61 %**", "20,000/", "6.0", "8", "9"]
            {
                assert!(page.contains(part), "{part} in {page}");
            }
            assert!(!page.contains('{'), "{page}");
        }
    }
}
