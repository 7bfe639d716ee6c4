//! One run of netwhy beside the toolbox it replaces, on the same lab in the same run.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod flows;
mod host;
mod part;
mod policy;
mod scan;
mod tls;

/// Runs the comparison named, by default `diagnose`; what follows the name goes to `netwhy lab score`.
pub fn run(root: &Path, words: &[&str]) -> Result<()> {
    match words {
        [] | ["diagnose"] => diagnose(root, &[]),
        ["diagnose", "--from", file] => publish(root, Path::new(file)),
        ["diagnose", rest @ ..] => diagnose(root, rest),
        ["tls"] => tls::run(root, &release(root)?, false),
        ["tls", "--testssl"] => tls::run(root, &release(root)?, true),
        ["host", rest @ ..] => host::run(root, rest),
        ["scan", rest @ ..] => scan::run(root, rest),
        ["policy", rest @ ..] => policy::run(root, rest),
        ["flows", rest @ ..] => flows::run(root, rest),
        [other, ..] => bail!("unknown benchmark {other:?}; known: diagnose, tls, host, scan, policy, flows"),
    }
}

/// 200000 as `200,000`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Builds the release program and returns where it lies.
fn release(root: &Path) -> Result<PathBuf> {
    Ok(built(root, &["--package", "netwhy-cli"])?.join("netwhy"))
}

/// Builds something in release and returns the folder where it lies.
fn built(root: &Path, what: &[&str]) -> Result<PathBuf> {
    let status = Command::new("cargo")
        .args(["build", "--release"])
        .args(what)
        .current_dir(root)
        .status()
        .context("building netwhy")?;
    if !status.success() {
        bail!("building netwhy ended with {status}");
    }
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(folder.join("release"))
}

fn diagnose(root: &Path, further: &[&str]) -> Result<()> {
    let out = root.join("target/bench.json");
    let status = Command::new(release(root)?)
        .args(["lab", "score", "--toolbox", "--lab", "lab", "--out"])
        .arg(&out)
        .args(further)
        .current_dir(root)
        .status()
        .context("running the lab")?;
    // The lab exits 1 when something was missed; the page says how much.
    if !matches!(status.code(), Some(0 | 1)) {
        bail!("the lab ended with {status}");
    }
    publish(root, &out)
}

#[derive(Debug, Deserialize)]
struct Results {
    comparison: Option<Comparison>,
}

#[derive(Debug, Deserialize)]
struct Comparison {
    toolbox: Vec<Reader>,
    netwhy: Reader,
    netwhy_named: usize,
    jobs: usize,
}

#[derive(Debug, Deserialize)]
struct Reader {
    name: String,
    faults: usize,
    kinds: usize,
    told_apart_max: usize,
    broken_ms_median: u64,
    broken_ms_p95: u64,
    healthy_ms_median: u64,
}

fn publish(root: &Path, file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let results: Results =
        serde_json::from_str(&text).with_context(|| format!("parsing {}", file.display()))?;
    let compared = results.comparison.context("that score was made without --toolbox")?;
    let machine = machine();
    let matrix: Vec<tls::Figure> = fs::read_to_string(root.join(tls::FIGURES))
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    fs::create_dir_all(root.join("docs/zh")).context("making docs/zh")?;
    for (path, words) in [("docs/benchmark.md", &ENGLISH), ("docs/zh/benchmark.md", &CHINESE)] {
        fs::write(root.join(path), page(&compared, &matrix, &machine, words))
            .with_context(|| format!("writing {path}"))?;
    }
    Ok(())
}

/// The kind of machine, without its name.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let model = field(&read("/proc/cpuinfo"), "model name");
    let memory: u64 =
        field(&read("/proc/meminfo"), "MemTotal").split(' ').next().unwrap_or("0").parse().unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease");
    let release = kernel.split(['.', '-']).take(2).collect::<Vec<_>>().join(".");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} × {model}, {} GiB, Linux {release}", (memory + (1 << 19)) >> 20)
}

struct Words {
    title: &'static str,
    intro: &'static str,
    jobs: &'static str,
    head: &'static str,
    rows: [&'static str; 3],
    /// With `{broken}` and `{healthy}` for the ratios, `{rest}` and `{rest95}` for the toolbox without mtr.
    ratio: &'static str,
    tools: &'static str,
    tools_head: &'static str,
    how: &'static str,
    notes: &'static str,
    matrix: &'static str,
    matrix_head: &'static str,
}

const ENGLISH: Words = Words {
    title: "Benchmark: one netwhy run beside the toolbox it replaces",
    intro: "Written by `cargo xtask bench diagnose`; do not edit. In each broken scenario of the lab netwhy runs first, \
            then dig (A and AAAA), mtr, nmap, curl and openssl one after the other on the same target; then the fault is \
            mended and all of them run again.",
    jobs: "labs at the same time",
    head: "| | faults | time on a broken target: median | 95th percentile | time on the mended target: median | told apart |\n\
           |---|---|---|---|---|---|",
    rows: [
        "netwhy: true cause **named** first",
        "the facts netwhy collects: could tell apart, at most",
        "the toolbox: its output could tell apart, at most",
    ],
    ratio: "The toolbox takes {broken} times as long as netwhy on a broken target and {healthy} times on a healthy one \
            (medians). Most of that is mtr, which waits out its rounds: without it the toolbox takes {rest} (median) and \
            {rest95} (95th percentile).",
    tools: "Each tool alone",
    tools_head: "| tool | run on faults | time, broken: median | 95th percentile | healthy: median | different outputs \
                 | could tell apart, at most |\n|---|---|---|---|---|---|---|",
    how: "How it is counted",
    notes: "\
- The tools: `dig +search +time=2 +tries=1 NAME A` and `AAAA`; `mtr -r -n -c 3`; `nmap -Pn --reason --host-timeout 10s` \
of the target's port, 22, 80, 443 and 8080; `curl -sS -v --compressed --max-time 10 -w …`, once more per `--origin`; \
`openssl s_client </dev/null` for TLS. openssl is given 10 s, the others 20 s.\n\
- From each output addresses, names, numbers, times (kept as one of six steps) and fingerprints are taken out, and every \
line that the mended target shows as well. What is left are its signs. Faults with the very same signs cannot be told \
apart, and count once, for their commonest cause.\n\
- So the toolbox's figure is a bound no reader is likely to reach: it knows the output of every fault by heart, compares it \
with a healthy run of the same target, and counts two faults as told apart as soon as one word differs, be it by chance \
or because the topology differs. A fault that is alone with its output counts as told apart even if nobody could say \
what it means.\n\
- The facts of netwhy are counted the same way, as `fact = value`, without what a healthy target usually shows; their \
values are few and fixed, so that less differs by chance. The first line of the table is no bound: it is what netwhy \
said.\n",
    matrix: "Versions, suites and groups of one TLS server",
    matrix_head: "By `cargo xtask bench tls`: nginx with TLS 1.2 and 1.3 on loopback, every tool one after the other.\n\n\
                  | tool | runs | median |\n|---|---|---|",
};

const CHINESE: Words = Words {
    title: "基准测试：一次 netwhy 与它所取代的工具箱",
    intro: "由 `cargo xtask bench diagnose` 生成，请勿手工修改。在实验室每个故障场景中，先运行 netwhy，再对同一目标依次运行 \
            dig（A 与 AAAA）、mtr、nmap、curl 与 openssl；修复后全部再运行一遍。",
    jobs: "个实验同时进行",
    head: "| | 故障数 | 故障目标用时：中位数 | 95 分位 | 修复后用时：中位数 | 可区分 |\n|---|---|---|---|---|---|",
    rows: [
        "netwhy：首个原因即真因（实际**说出**）",
        "netwhy 收集的事实：至多可区分",
        "工具箱：其输出至多可区分",
    ],
    ratio: "工具箱的用时在故障目标上是 netwhy 的 {broken} 倍，在健康目标上是 {healthy} 倍（中位数之比）。其中大部分是 mtr，\
            它总要等完各轮：不含 mtr 时工具箱用时中位数为 {rest}，95 分位为 {rest95}。",
    tools: "各工具单独",
    tools_head: "| 工具 | 运行的故障数 | 故障用时：中位数 | 95 分位 | 健康：中位数 | 不同输出 | 至多可区分 |\n\
                 |---|---|---|---|---|---|---|",
    how: "如何计数",
    notes: "\
- 工具：`dig +search +time=2 +tries=1 名称 A` 与 `AAAA`；`mtr -r -n -c 3`；`nmap -Pn --reason --host-timeout 10s`，\
端口为目标端口、22、80、443、8080；`curl -sS -v --compressed --max-time 10 -w …`，每个 `--origin` 再一次；\
TLS 目标另加 `openssl s_client </dev/null`。openssl 至多 10 秒，其余 20 秒。\n\
- 从输出中去掉地址、名称、数字、时间（归为六档之一）与指纹，以及修复后同样出现的行；余下的是它的迹象。\
迹象完全相同的故障无法区分，只按其中最常见的原因计一次。\n\
- 因此工具箱的数字是读者难以达到的上界：它假定读者熟记每种故障的输出，手中有同一目标健康时的输出可比，\
且只要一个词不同就算可区分，哪怕只是偶然或拓扑不同。输出独一无二的故障也算可区分，即使没有人能说出其含义。\n\
- netwhy 的事实以 `事实 = 值` 同法计数，并去掉健康目标通常也有的值；取值少而固定，偶然差异更少。\
表中第一行不是上界，而是 netwhy 实际给出的结论。\n",
    matrix: "一台 TLS 服务器的版本、套件与群组",
    matrix_head: "由 `cargo xtask bench tls` 测得：环回地址上的 nginx（TLS 1.2 与 1.3），各工具依次运行。\n\n\
                  | 工具 | 次数 | 中位数 |\n|---|---|---|",
};

fn page(compared: &Comparison, matrix: &[tls::Figure], machine: &str, words: &Words) -> String {
    let netwhy = &compared.netwhy;
    let mut out = format!(
        "# {}\n\n{}\n\n{machine}; {} {}\n\n{}\n",
        words.title, words.intro, compared.jobs, words.jobs, words.head
    );
    let share = |part: usize, whole: usize| {
        format!("**{part}** ({:.1} %)", 100.0 * part as f64 / whole.max(1) as f64)
    };
    let mut row = |name: &str, reader: &Reader, told: usize| {
        let _ = writeln!(
            out,
            "| {name} | {} | {} ms | {} ms | {} ms | {} |",
            reader.faults,
            reader.broken_ms_median,
            reader.broken_ms_p95,
            reader.healthy_ms_median,
            share(told, reader.faults)
        );
    };
    row(words.rows[0], netwhy, compared.netwhy_named);
    row(words.rows[1], netwhy, netwhy.told_apart_max);
    let Some((all, each)) = compared.toolbox.split_first() else { return out };
    row(words.rows[2], all, all.told_apart_max);
    let times = |theirs: u64, ours: u64| format!("{:.1}", theirs as f64 / ours.max(1) as f64);
    let ratio = words
        .ratio
        .replace("{broken}", &times(all.broken_ms_median, netwhy.broken_ms_median))
        .replace("{healthy}", &times(all.healthy_ms_median, netwhy.healthy_ms_median))
        .replace(
            "{rest}",
            &each.first().map_or_else(String::new, |rest| format!("{} ms", rest.broken_ms_median)),
        )
        .replace(
            "{rest95}",
            &each.first().map_or_else(String::new, |rest| format!("{} ms", rest.broken_ms_p95)),
        );
    let _ = writeln!(out, "\n{ratio}\n\n## {}\n\n{}", words.tools, words.tools_head);
    for tool in each {
        let _ = writeln!(
            out,
            "| {} | {} | {} ms | {} ms | {} ms | {} | {} |",
            tool.name,
            tool.faults,
            tool.broken_ms_median,
            tool.broken_ms_p95,
            tool.healthy_ms_median,
            tool.kinds,
            tool.told_apart_max
        );
    }
    let _ = writeln!(out, "\n## {}\n\n{}", words.how, words.notes.trim_end());
    if !matrix.is_empty() {
        let _ = writeln!(out, "\n## {}\n\n{}", words.matrix, words.matrix_head);
        for figure in matrix {
            let _ = writeln!(out, "| {} | {} | {:.0} ms |", figure.tool, figure.runs, figure.median_ms);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_figure() {
        let reader = |name: &str, ms| Reader {
            name: name.into(),
            faults: 10,
            kinds: 7,
            told_apart_max: 8,
            broken_ms_median: ms,
            broken_ms_p95: ms * 2,
            healthy_ms_median: ms / 2,
        };
        let compared = Comparison {
            toolbox: vec![reader("toolbox", 9000), reader("curl", 4000)],
            netwhy: reader("netwhy", 3000),
            netwhy_named: 9,
            jobs: 1,
        };
        for words in [&ENGLISH, &CHINESE] {
            let matrix = [tls::Figure { tool: "sslscan".into(), runs: 7, median_ms: 830.4 }];
            let page = page(&compared, &matrix, "2 × x", words);
            for part in [
                "**9** (90.0 %)",
                "3.0",
                "| curl | 10 | 4000 ms | 8000 ms | 2000 ms | 7 | 8 |",
                "| sslscan | 7 | 830 ms |",
            ] {
                assert!(page.contains(part), "{part} in {page}");
            }
        }
    }
}
