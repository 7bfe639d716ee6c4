//! What runs in a network namespace of its own: fills it, then times one look and what watching costs.

use super::meter::{self, Cost, Running};
use super::part;
use super::{Figures, Look, Size, Tool, Watching, Who};
use crate::bench::part::Part;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[path = "../../../../crates/netfilter/tests/common/mod.rs"]
mod common;

/// Connections of one process, so that no limit of open files needs raising where it is 20,000.
const PER_PROCESS: u64 = 12_500;
/// Runs of each tool, in turn.
const ROUND_COUNT: usize = 5;
/// netwhy with and without a window, the three tools, and ss without what costs most.
const CONTENDER_COUNT: usize = 6;
const THREE: std::ops::Range<usize> = 2..5;
/// Where the connections that stay go, and the new ones.
const STAYING_PORT: u16 = 8080;
const NEW_PORT: u16 = 8443;
/// Whom the both-ends watch watches for.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);
const RULE_COUNT: u32 = 200;
const ELEMENT_COUNT: u32 = 1_000;
/// Room left in the connection-tracking table.
const ENTRIES_LEFT: u64 = 1_000;
/// Windows in which nobody watches.
const WINDOWS_ALONE: usize = 2;
/// Time between two connections of the source.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Measures here and writes the figures to stdout; progress goes to stderr.
pub fn run(part: &str, program: &Path, size: &Size) -> Result<()> {
    netwhy_testing::run("ip link set lo up");
    let place = Place { program, size, large: part == "large" };
    let figures = match part {
        "large" => place.large()?,
        "small" => Figures { looks: Vec::new(), watching: place.watching()? },
        _ => bail!("unknown part {part:?}"),
    };
    serde_json::to_writer(std::io::stdout().lock(), &figures).context("handing back the figures")
}

/// The machine made here.
struct Place<'a> {
    program: &'a Path,
    size: &'a Size,
    large: bool,
}

impl Place<'_> {
    fn large(&self) -> Result<Figures> {
        let held = hold(self.size.connections)?;
        fill(self.size.entries)?;
        let figures = Figures { looks: vec![self.look()?], watching: self.watching()? };
        drop(held);
        Ok(figures)
    }

    /// netwhy and the three tools in turn.
    fn look(&self) -> Result<Look> {
        let (sockets, entries) = (socket_count()?, entry_count()?);
        self.check(sockets, entries)?;
        let contenders: [(&str, &Path, &[&str]); CONTENDER_COUNT] = [
            ("netwhy host", self.program, &["host"]),
            ("netwhy host --window 0", self.program, &["host", "--window", "0"]),
            ("ss -tanpie", Path::new("ss"), &["-tanpie"]),
            ("conntrack -L", Path::new("conntrack"), &["-L"]),
            ("nft list ruleset", Path::new("nft"), &["list", "ruleset"]),
            ("ss -tanie", Path::new("ss"), &["-tanie"]),
        ];
        let mut costs: [Vec<Cost>; CONTENDER_COUNT] = Default::default();
        for round in 0..ROUND_COUNT {
            for turn in 0..contenders.len() {
                // Nobody runs always first, or always behind the same one.
                let forth = (round + turn) % CONTENDER_COUNT;
                let index = if round % 2 == 0 { forth } else { CONTENDER_COUNT - 1 - forth };
                let (_, program, words) = contenders[index];
                let codes: &[i32] = if index < THREE.start { &[0, 1] } else { &[0] };
                let cost = meter::run(program, words, codes)?;
                crate::tell(&format!("{} {cost:?}", contenders[index].0));
                costs[index].push(cost);
            }
        }
        let together: Vec<Cost> =
            (0..ROUND_COUNT).map(|round| sum(costs[THREE].iter().map(|c| c[round]))).collect();
        let mut tools: Vec<Tool> =
            contenders.iter().zip(&costs).map(|((name, ..), costs)| tool(name, costs)).collect();
        tools.insert(2, tool("", &together));
        let ratio = |ours: &[Cost], of: fn(&Cost) -> f64| {
            median(&together.iter().zip(ours).map(|(theirs, ours)| of(theirs) / of(ours)).collect::<Vec<_>>())
        };
        let ratios = |ours: &[Cost]| [ratio(ours, |c| c.wall_ms), ratio(ours, |c| c.cpu_ms)];
        Ok(Look {
            sockets,
            entries,
            rules: RULE_COUNT.into(),
            elements: ELEMENT_COUNT.into(),
            tools,
            ratios: [ratios(&costs[0]), ratios(&costs[1])],
        })
    }

    /// A fast look that misses half of it would be no look.
    fn check(&self, sockets: u64, entries: u64) -> Result<()> {
        let output = Command::new(self.program)
            .args(["host", "--json", "--window", "0"])
            .stderr(Stdio::null())
            .output()
            .context("running netwhy")?;
        let seen: Value = serde_json::from_slice(&output.stdout).context("what netwhy host --json said")?;
        let established = seen["counts"]["established"].as_u64().unwrap_or(0);
        let tracked = seen["conntrack"]["count"].as_u64().unwrap_or(0);
        if established < self.size.connections * 2 || tracked < entries / 100 * 99 {
            bail!("netwhy saw {established} of {sockets} sockets and {tracked} of {entries} entries");
        }
        Ok(())
    }

    /// Quiet, then with new connections all the time.
    fn watching(&self) -> Result<Vec<Watching>> {
        let mut all = self.phase(&[Who::Screen, Who::Record], None)?;
        let mut load = part::start(&["load", &NEW_PORT.to_string(), &self.size.per_s.to_string()])?;
        load.hear()?;
        for who in [&[][..], &[Who::Screen], &[Who::Record]] {
            all.extend(self.phase(who, Some(&mut load))?);
        }
        Ok(all)
    }

    /// Everybody of `who` at the same time.
    fn phase(&self, who: &[Who], load: Option<&mut Part>) -> Result<Vec<Watching>> {
        let record = std::env::temp_dir().join(format!("netwhy-bench-{}.json", std::process::id()));
        let running: Vec<Running> = who.iter().map(|who| self.start(*who, &record)).collect::<Result<_>>()?;
        let probing = load.is_some() && who.contains(&Who::Record);
        let stop = AtomicBool::new(false);
        let (measured, probes) = std::thread::scope(|scope| {
            let probes = scope.spawn(|| probe(probing, &stop));
            let measured = self.measure(&running, load);
            stop.store(true, Ordering::Relaxed);
            (measured, probes.join())
        });
        let (mut rows, per_s, load_us) = measured?;
        let probes = probes.map_err(|_| anyhow::anyhow!("the source's thread ended early"))?;
        for program in running {
            program.end()?;
        }
        if who.is_empty() {
            rows.push(Watching::default());
        }
        for (row, who) in rows.iter_mut().zip(who.iter().copied().chain([Who::Nobody])) {
            (row.who, row.large, row.per_s, row.load_us) = (who, self.large, per_s, load_us);
            if who == Who::Record && probes > 0 {
                (row.probes, row.probes_seen) = (probes, recorded(&record)?);
            }
        }
        let _ = fs::remove_file(&record);
        crate::tell(&format!("{rows:?}"));
        Ok(rows)
    }

    fn start(&self, who: Who, record: &Path) -> Result<Running> {
        let (source, port) = (SOURCE.to_string(), NEW_PORT.to_string());
        let record: PathBuf = record.into();
        match who {
            Who::Screen => Running::on_terminal(self.program, &["host", "--watch"]),
            _ => Running::start(
                self.program,
                &["host", "--record", &record.to_string_lossy(), "--for", &source, "--port", &port],
            ),
        }
    }

    /// Rows with what each program cost, new connections a second, and what one of these cost who made them.
    fn measure(&self, running: &[Running], mut load: Option<&mut Part>) -> Result<(Vec<Watching>, f64, f64)> {
        std::thread::sleep(Duration::from_secs(self.size.settle_s));
        let window = Duration::from_secs(self.size.window_s);
        let now = || running.iter().map(Running::cpu_ms).collect::<Result<Vec<f64>>>();
        let made = load.as_deref_mut().map(part::made).transpose()?;
        let drawn: Vec<u64> = running.iter().map(Running::drawn).collect();
        let start = now()?;
        let (mut before, began) = (start.clone(), std::time::Instant::now());
        let mut shares = vec![Vec::new(); running.len()];
        // The load alone needs only its rate and cost.
        for _ in 0..if running.is_empty() { WINDOWS_ALONE } else { self.size.windows } {
            let opened = std::time::Instant::now();
            std::thread::sleep(window);
            let (after, ms) = (now()?, opened.elapsed().as_secs_f64() * 1e3);
            for (index, share) in shares.iter_mut().enumerate() {
                share.push((after[index] - before[index]) / ms * 100.0);
            }
            before = after;
        }
        let seconds = began.elapsed().as_secs_f64();
        let (per_s, load_us) = match (made, load.map(part::made).transpose()?) {
            (Some((count, used)), Some((count_now, used_now))) => {
                let count = (count_now - count) as f64;
                (count / seconds, (used_now - used) as f64 / count.max(1.0))
            }
            _ => (0.0, 0.0),
        };
        let mut rows = Vec::new();
        for (index, program) in running.iter().enumerate() {
            rows.push(Watching {
                windows: shares[index].len(),
                share_median: median(&shares[index]),
                share_mean: (before[index] - start[index]) / seconds / 10.0,
                start_ms: start[index],
                peak_mb: program.peak_mb()?,
                looks_per_10_s: (program.drawn() - drawn[index]) as f64 / seconds * 10.0,
                ..Watching::default()
            });
        }
        Ok((rows, per_s, load_us))
    }
}

/// Pairs of processes with connections between them, each pair with a port of its own.
fn hold(connections: u64) -> Result<Vec<Part>> {
    let mut held = Vec::new();
    for (port, first) in (STAYING_PORT..).zip((0..connections).step_by(PER_PROCESS as usize)) {
        let count = PER_PROCESS.min(connections - first).to_string();
        let (port, first) = (port.to_string(), first.to_string());
        let mut accepts = part::start(&["accept", &port, &count])?;
        accepts.hear()?;
        let mut connects = part::start(&["connect", &port, &first, &count])?;
        for part in [&mut connects, &mut accepts] {
            part.is_ready().context("the connections were not made")?;
        }
        held.extend([accepts, connects]);
    }
    Ok(held)
}

/// Entries, rules and elements.
fn fill(entries: u64) -> Result<()> {
    let limit = read_number("/proc/sys/net/netfilter/nf_conntrack_max")?;
    let entries = entries.min(limit.saturating_sub(ENTRIES_LEFT));
    common::fill_conntrack(u32::try_from(entries)?);
    let mut text = String::from("table inet filter {\nset banned { type ipv4_addr; elements = { ");
    for number in 0..ELEMENT_COUNT {
        let _ = write!(text, "{}, ", Ipv4Addr::from(0x0a00_0000 + 2 * number));
    }
    text += "}\n}\nchain input { type filter hook input priority 0;\niif lo accept\n\
             ct state established,related accept\nip saddr @banned counter drop\n";
    for number in 0..RULE_COUNT {
        let address = Ipv4Addr::from(0x0b00_0000 + number);
        let _ = writeln!(text, "ip saddr {address} tcp dport {} counter drop", number + 1);
    }
    text += "}\n}\ntable inet raw {\n";
    // New connections would fill the table in three seconds, and the kernel then drops them.
    for hook in ["prerouting", "output"] {
        let _ = writeln!(
            text,
            "chain {hook} {{ type filter hook {hook} priority raw;\ntcp dport {NEW_PORT} notrack\ntcp sport {NEW_PORT} notrack\n}}"
        );
    }
    text += "}\n";
    let file = std::env::temp_dir().join(format!("netwhy-bench-{}.nft", std::process::id()));
    fs::write(&file, text).context("writing the rules")?;
    let loaded = Command::new("nft").arg("-f").arg(&file).status().context("running nft");
    let _ = fs::remove_file(&file);
    if !loaded?.success() {
        bail!("nft did not take the rules");
    }
    Ok(())
}

/// Connects from the source's address now and then; returns how often.
fn probe(wanted: bool, stop: &AtomicBool) -> u64 {
    let mut count = 0;
    while wanted && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(PROBE_EVERY);
        count += u64::from(probed().is_ok());
    }
    count
}

fn probed() -> Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((SOURCE, 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, NEW_PORT)).into())?;
    Ok(socket.into())
}

/// Connections of the source whose SYN is in the record.
fn recorded(path: &Path) -> Result<u64> {
    let text = fs::read_to_string(path).context("reading the record")?;
    let record: Value = serde_json::from_str(&text).context("the record")?;
    let source = format!("{SOURCE}:");
    let packets = record["packets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let syns = packets.iter().filter(|packet| packet["kind"] == "syn").filter_map(|p| p["from"].as_str());
    let seen: BTreeSet<&str> = syns.filter(|from| from.starts_with(&source)).collect();
    Ok(seen.len() as u64)
}

fn socket_count() -> Result<u64> {
    let text = fs::read_to_string("/proc/net/sockstat").context("reading sockstat")?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("TCP: inuse ")).context("no TCP in sockstat")?;
    line.split(' ').next().unwrap_or_default().parse().context("sockstat")
}

fn entry_count() -> Result<u64> {
    read_number("/proc/sys/net/netfilter/nf_conntrack_count")
}

fn read_number(path: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    text.trim().parse().with_context(|| format!("{path} is no number"))
}

fn tool(name: &str, costs: &[Cost]) -> Tool {
    let all = |of: fn(&Cost) -> f64| costs.iter().map(of).collect::<Vec<f64>>();
    Tool {
        name: name.to_owned(),
        runs: costs.len(),
        wall_ms: median(&all(|cost| cost.wall_ms)),
        cpu_ms: median(&all(|cost| cost.cpu_ms)),
        peak_mb: all(|cost| cost.peak_mb).into_iter().fold(0.0, f64::max),
    }
}

fn sum(costs: impl Iterator<Item = Cost>) -> Cost {
    costs.fold(Cost { wall_ms: 0.0, cpu_ms: 0.0, peak_mb: 0.0 }, |sum, cost| Cost {
        wall_ms: sum.wall_ms + cost.wall_ms,
        cpu_ms: sum.cpu_ms + cost.cpu_ms,
        peak_mb: sum.peak_mb.max(cost.peak_mb),
    })
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
