//! What runs where the scanner stands: everybody in turn on one target, each run compared with the truth.

use super::figures::{Carried, Row, Run, Told, Tool};
use super::flood;
use super::goal::{CUT_S, MEASURES, Measure};
use super::meter;
use super::peer::{self, Contender, Form, Tools};
use super::place::Place;
use super::target::Target;
use super::{Options, hold, quiet};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

/// What is on its way after a run must not meet the next.
const BETWEEN_RUNS: Duration = Duration::from_millis(300);

/// Before what else the machine does.
const NICENESS: libc::c_int = -20;

/// Measures one row and hands it back on stdout.
pub fn row(name: &str, options: &Options) -> Result<()> {
    let measure = MEASURES.iter().find(|measure| measure.name == name).context("an unknown row")?;
    let target = Target::named(measure.target).context("an unknown target")?;
    go_first();
    let folder = hold::folder()?;
    // Whoever has no privilege must reach the program, and start in the folder.
    let tools = options.tools_in(&folder)?;
    let place = Place::build(&target, &folder)?;
    let row = rounds(measure, &target, &tools, options, &folder)?;
    drop(place);
    let _ = fs::remove_dir_all(&folder);
    serde_json::to_writer(std::io::stdout().lock(), &row).context("handing back the figures")
}

fn rounds(
    measure: &Measure,
    target: &Target,
    tools: &Tools,
    options: &Options,
    folder: &Path,
) -> Result<Row> {
    let contenders = peer::contenders(target, measure.mode, tools, folder)?;
    let truth = target.truth();
    let course = Course { target, truth: &truth, folder, keep: options.keep.as_deref(), row: measure.name };
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); contenders.len()];
    let ours = measure.netwhy_runs.max(options.rounds).div_ceil(options.rounds);
    for round in 0..options.rounds {
        for turn in 0..contenders.len() {
            // Nobody runs always first, or always behind the same one.
            let forth = (round + turn) % contenders.len();
            let index = if round % 2 == 0 { forth } else { contenders.len() - 1 - forth };
            let one = &contenders[index];
            let times = match one.form {
                Form::JsonLines if options.rounds > 1 => ours,
                // Cut once, it would be again.
                _ if runs[index].iter().any(|run| run.cut) => 0,
                _ => 1,
            };
            for _ in 0..times {
                let run = course.run(one, runs[index].len())?;
                progress(measure.name, one.name, &run);
                runs[index].push(run);
            }
        }
    }
    let tools = contenders.into_iter().zip(runs).map(|(one, runs)| tool(&one, runs, folder)).collect();
    Ok(Row { name: measure.name.into(), pairs: target.pairs(), open: truth.len() as u64, tools })
}

fn tool(one: &Contender, runs: Vec<Run>, folder: &Path) -> Tool {
    let program = one.program.file_name().unwrap_or_default().to_string_lossy();
    let command = format!("{program} {}", one.words.join(" "));
    // A path of this machine says nothing to a reader.
    let command = command.replace(&format!("{}/", folder.display()), "");
    Tool { name: one.name.into(), command, runs }
}

/// One target with its truth.
struct Course<'a> {
    target: &'a Target,
    truth: &'a BTreeSet<(Ipv4Addr, u16)>,
    folder: &'a Path,
    keep: Option<&'a Path>,
    row: &'a str,
}

impl Course<'_> {
    fn run(&self, one: &Contender, number: usize) -> Result<Run> {
        Place::forgive(self.target)?;
        std::thread::sleep(BETWEEN_RUNS);
        let busy = quiet::wait();
        let says = ["out", "err"].map(|name| self.folder.join(name));
        let limit = Duration::from_secs(CUT_S);
        let cost = meter::run(&one.program, &one.words, one.privileged, [&says[0], &says[1]], limit)?;
        let text = String::from_utf8_lossy(&fs::read(&says[0]).context("what a scanner said")?).into_owned();
        if let Some(keep) = self.keep {
            let name = format!("{}-{}-{number}", self.row, one.name.replace([' ', ','], ""));
            for (file, ending) in says.iter().zip(["out", "err"]) {
                fs::copy(file, keep.join(format!("{name}.{ending}"))).context("keeping what was said")?;
            }
        }
        let found = peer::found(one.form, self.target, &text);
        Ok(Run {
            missed: self.truth.difference(&found).count() as u64,
            invented: found.difference(self.truth).count() as u64,
            banned: Place::banned(self.target)?,
            told: if one.form == Form::JsonLines { Told::read(&text) } else { Told::default() },
            ..costing(&cost, busy)
        })
    }
}

/// Measures what the way carries, and netwhy on a large network over it.
pub fn path(name: &str, options: &Options) -> Result<()> {
    let target = Target::named(name).context("an unknown target")?;
    go_first();
    let folder = hold::folder()?;
    let tools = options.tools_in(&folder)?;
    let place = Place::build(&target, &folder)?;
    quiet::wait();
    let flooded = flood::measure()?;
    let says = ["out", "err"].map(|name| folder.join(name));
    let text = format!("scan {} --ports {} {}", flood::NETWORK, flood::PORTS, peer::NETWHY_LARGE);
    let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let busy = quiet::wait();
    let before = flood::arrived()?;
    let began = Instant::now();
    let cost = meter::run(&tools.netwhy, &words, true, [&says[0], &says[1]], Duration::from_secs(CUT_S))?;
    let arrived_per_s = (flood::arrived()? - before) as f64 / began.elapsed().as_secs_f64();
    let text = fs::read_to_string(&says[0]).context("what netwhy said")?;
    let run = Run {
        invented: peer::found(Form::JsonLines, &target, &text).len() as u64,
        told: Told::read(&text),
        ..costing(&cost, busy)
    };
    drop(place);
    let _ = fs::remove_dir_all(&folder);
    progress("path", name, &run);
    let carried = Carried { netwhy: run, netwhy_arrived_per_s: arrived_per_s, ..flooded };
    let carried = Carried { drops: target.rest == super::target::Rest::Dropped, ..carried };
    serde_json::to_writer(std::io::stdout().lock(), &carried).context("handing back the figures")
}

/// A run that cost so much, and found nothing yet.
fn costing(cost: &meter::Cost, busy: f64) -> Run {
    Run {
        wall_ms: cost.wall_ms,
        cpu_ms: cost.cpu_ms,
        peak_mb: cost.peak_mb,
        cut: cost.cut,
        busy: Some(busy),
        status: cost.status,
        ..Run::default()
    }
}

/// Everything started from here on, scanners and targets alike, goes before other programs of the machine.
fn go_first() {
    // Where the kernel groups by session, niceness counts within the group only, and the group has its own
    // (sched(7)). Refused, the figures are only noisier.
    let _ = nix::unistd::setsid();
    let _ = fs::write("/proc/self/autogroup", NICENESS.to_string());
    // SAFETY: plain system call.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
}

/// Says how far it is: the whole takes half an hour.
fn progress(row: &str, name: &str, run: &Run) {
    crate::tell(&format!(
        "{row} {name}: {:.3} s, cpu {:.2} s, {:.1} MB{}{}; busy {:.0} %, status {:#x}, missed {}, invented {}",
        run.wall_ms / 1e3,
        run.cpu_ms / 1e3,
        run.peak_mb,
        if run.cut { ", cut" } else { "" },
        if run.banned { ", banned" } else { "" },
        run.busy.unwrap_or(0.0) * 100.0,
        run.status,
        run.missed,
        run.invented
    ));
}
