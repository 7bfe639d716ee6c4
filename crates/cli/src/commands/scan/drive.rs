//! Runs a plan on a thread of its own: results stream, notices are told, Ctrl-C stops it in order.

use super::Args;
use super::asked::Asked;
use super::compare::{Difference, Wanted};
use super::live::Live;
use super::notices;
use super::outputs::{Outputs, buffered_stdout, cannot_write};
use super::page::{Page, Style};
use super::results::Results;
use super::words::thousands;
use crate::failure::{EXIT_FAILED, sentence};
use crate::{Common, warn};
use anyhow::{Result, anyhow};
use netwhy_model::Lang;
use netwhy_scan::{Checkpoint, Event, Notice, Pace, Plan, Protocol, ScanError, State, Summary};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Events that wait to be written; a full queue holds the scan back rather than memory.
const EVENT_COUNT_MAX: usize = 16_384;
/// Longest time a result waits in a buffer.
const SETTLE_GAP: Duration = Duration::from_millis(100);

/// What was expected differs.
const EXIT_DIFFERS: u8 = 1;
/// The scan is not finished: a ban, or the time is over.
const EXIT_UNFINISHED: u8 = 3;
/// Ctrl-C, as shells count it.
const EXIT_INTERRUPTED: u8 = 130;

/// What runs a plan: [`netwhy_scan::scan`], or a stand-in in tests.
pub(super) type Engine = fn(&Plan, &AtomicBool, &mut dyn FnMut(Event)) -> Result<Summary, ScanError>;

/// Takes events and tells them on.
struct Teller {
    outputs: Outputs,
    /// Kept only where something is compared.
    results: Option<Results>,
    live: Live,
    lang: Lang,
    all: bool,
    checkpoint: Option<String>,
    /// Flags to repeat where the scan is gone on with.
    again: String,
    stop: Arc<AtomicBool>,
    any_output_failed: bool,
    /// Something was written that may still wait in a buffer.
    any_waiting: bool,
}

/// Runs the plan; the number is the exit code.
pub(super) async fn run(args: &Args, asked: Asked, common: &Common, engine: Engine) -> Result<u8> {
    let (stop, interrupted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    stop_when_asked(Arc::clone(&stop), Arc::clone(&interrupted))?;
    let Asked { plan, names, wanted, default_ports, default_pace } = asked;
    let head = head(&plan, default_ports, default_pace, common.lang);
    let style = Style { lang: common.lang, color: common.color, all: args.all, look: plan.look.is_some() };
    let is_for_programs = common.json || args.outputs.take_stdout();
    let mut outputs = Outputs::open(&args.outputs, common.json, &plan, &names)?;
    super::asked::start_checkpoint(args, &plan)?;
    match is_for_programs {
        true => warn(&head),
        false => outputs.add("stdout", Page::new(buffered_stdout(), &plan, names, style, &head)?),
    }
    let teller = Teller {
        outputs,
        results: wanted.is_some().then(Results::default),
        live: Live::start(plan.order().len(), common.lang, common.unicode),
        lang: common.lang,
        all: args.all,
        checkpoint: plan.checkpoint.as_ref().map(|path| path.display().to_string()),
        again: again(args),
        stop,
        any_output_failed: false,
        any_waiting: false,
    };
    let plan = Arc::new(plan);
    let ended =
        tokio::task::spawn_blocking(move || teller.drive(&plan, &wanted, engine, is_for_programs)).await??;
    Ok(exit_code(&ended, interrupted.load(Ordering::Relaxed)))
}

/// How politely and how closely the user asked: what the next run must be told again.
fn again(args: &Args) -> String {
    let mut words = args.pace.again();
    for (given, flag) in [(args.services, " -s"), (args.all, " --all")] {
        words.push_str(if given { flag } else { "" });
    }
    words
}

/// How a scan ended.
struct Ended {
    complete: bool,
    differs: bool,
    any_output_failed: bool,
}

fn exit_code(ended: &Ended, interrupted: bool) -> u8 {
    match ended {
        _ if interrupted => EXIT_INTERRUPTED,
        Ended { any_output_failed: true, .. } => EXIT_FAILED,
        Ended { differs: true, .. } => EXIT_DIFFERS,
        Ended { complete: false, .. } => EXIT_UNFINISHED,
        _ => 0,
    }
}

impl Teller {
    fn drive(
        mut self,
        plan: &Arc<Plan>,
        wanted: &Wanted,
        engine: Engine,
        tell_differences: bool,
    ) -> Result<Ended> {
        let (tell, heard) = sync_channel(EVENT_COUNT_MAX);
        let (theirs, stop) = (Arc::clone(plan), Arc::clone(&self.stop));
        // A receiver that is gone has nobody to tell, which is no fault of the scan's.
        let work = move || {
            let mut tell = |event| tell.send(event).unwrap_or_default();
            // The engine tells only what it finds itself; outputs hold the whole scan.
            let before = theirs.resume.iter().flat_map(|part| &part.findings);
            before.for_each(|finding| tell(Event::Found(finding.clone())));
            engine(&theirs, &stop, &mut tell)
        };
        let thread = std::thread::Builder::new().name("scan".into()).spawn(work)?;
        self.listen(&heard);
        let ended = thread.join().map_err(|_| anyhow!("the scan broke off: this is a fault of netwhy"));
        self.live.finish();
        if self.outputs.is_deserted() && !self.any_output_failed {
            // Whoever read went away, which is no fault.
            return Err(std::io::Error::from(ErrorKind::BrokenPipe).into());
        }
        let summary = ended?.inspect_err(|_| self.forget_start())?;
        let differences = self.results.as_mut().map(|results| {
            results.finish();
            wanted.differences(plan, results, summary.complete)
        });
        self.outputs.end(&summary, differences.as_deref());
        self.tell_failures();
        if tell_differences {
            differences.iter().flatten().for_each(|one| warn(&one.line(self.lang)));
        }
        self.tell_end(&summary);
        let differs = differences.is_some_and(|all: Vec<Difference>| !all.is_empty());
        Ok(Ended { complete: summary.complete, differs, any_output_failed: self.any_output_failed })
    }

    /// Until the scan has told everything.
    fn listen(&mut self, heard: &Receiver<Event>) {
        let mut settled = Instant::now();
        loop {
            let event = heard.recv_timeout(SETTLE_GAP);
            match event {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.outputs.settle(),
            }
            if self.any_waiting && settled.elapsed() >= SETTLE_GAP {
                self.any_waiting = false;
                settled = Instant::now();
                self.live.aside(|| self.outputs.settle());
                self.tell_failures();
            }
        }
    }

    fn take(&mut self, event: Event) {
        self.any_waiting |= matches!(event, Event::Found(_) | Event::Revised(_));
        match event {
            Event::Found(finding) => {
                let shown = self.all || !matches!(finding.state, State::Closed | State::Filtered);
                self.outputs.found(&finding, shown);
                if let Some(results) = &mut self.results {
                    results.found(&finding);
                }
            }
            Event::Revised(finding) => {
                self.outputs.revised(&finding);
                if let Some(results) = &mut self.results {
                    results.revised(&finding);
                }
            }
            Event::Notice(notice) => self.tell_notice(&notice),
            Event::Progress(progress) => self.live.at(&progress),
        }
    }

    fn tell_notice(&self, notice: &Notice) {
        let note = self.lang.pick("note: ", "注意：");
        let hint = self.lang.pick("hint: ", "提示：");
        self.live.aside(|| {
            warn(&format!("{note}{}", notices::notice(notice, self.lang)));
            if let Some(advice) = notices::advice(notice, self.checkpoint.as_deref(), self.lang) {
                warn(&format!("{hint}{advice}"));
            }
        });
    }

    /// A reader that went away ends the scan when nobody else reads; a full disk ends one output.
    fn tell_failures(&mut self) {
        for (name, error) in self.outputs.failures() {
            if error.kind() != ErrorKind::BrokenPipe {
                self.any_output_failed = true;
                let told = sentence(&cannot_write(&name, error), self.lang);
                self.live.aside(|| warn(&format!("{}{told}", self.lang.pick("error: ", "错误："))));
            }
        }
        if self.outputs.is_deserted() {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    /// A scan that failed before it asked anything leaves no checkpoint, which would only stand in the way.
    fn forget_start(&self) {
        let Some(path) = &self.checkpoint else { return };
        if Checkpoint::load(Path::new(path)).is_ok_and(|start| start.asked == 0) {
            let _ = std::fs::remove_file(path);
        }
    }

    /// How to go on where the scan stopped; a finished one leaves no checkpoint.
    fn tell_end(&self, summary: &Summary) {
        match (&self.checkpoint, summary.complete) {
            // What could not be written is in the checkpoint still.
            (Some(_), true) if self.any_output_failed => {}
            (Some(path), true) => {
                // Left behind it would only be asked about next time.
                let _ = std::fs::remove_file(path);
            }
            (Some(path), false) => warn(&match self.lang {
                Lang::En => format!("not finished; go on with: netwhy scan --resume {path}{}", self.again),
                Lang::Zh => format!("未完成；继续：netwhy scan --resume {path}{}", self.again),
            }),
            (None, false) => warn(self.lang.pick(
                "not finished; with --checkpoint FILE the next one can be gone on with",
                "未完成；加 --checkpoint FILE，下次即可从中断处继续",
            )),
            (None, true) => {}
        }
    }
}

/// The first line: what is asked, how, and why so.
fn head(plan: &Plan, default_ports: bool, default_pace: bool, lang: Lang) -> String {
    let count = thousands(plan.ports.len().into());
    let protocol = match plan.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    };
    let hosts = match (plan.hosts.get(0), plan.hosts.len(), lang) {
        (Some(host), 1, _) => host.to_string(),
        (_, count, Lang::En) => format!("{} addresses", thousands(count)),
        (_, count, Lang::Zh) => format!("{} 个地址", thousands(count)),
    };
    let ports = match (default_ports, lang) {
        (true, Lang::En) => format!("the {count} commonest {protocol} ports (-p all asks every one)"),
        (true, Lang::Zh) => format!("最常见的 {count} 个 {protocol} 端口（-p all 询问全部）"),
        (false, Lang::En) if plan.ports.len() == 1 => format!("1 {protocol} port"),
        (false, Lang::En) => format!("{count} {protocol} ports"),
        (false, Lang::Zh) => format!("{count} 个 {protocol} 端口"),
    };
    let pace = pace(plan, default_pace, lang);
    let part = match (plan.shard.of, lang) {
        (1, _) => String::new(),
        (of, Lang::En) => format!(", part {} of {of}", plan.shard.index + 1),
        (of, Lang::Zh) => format!("，第 {}/{of} 部分", plan.shard.index + 1),
    };
    match lang {
        Lang::En => format!("Scanning {hosts}: {ports}{part}, {pace}"),
        Lang::Zh => format!("扫描 {hosts}：{ports}{part}，{pace}"),
    }
}

fn pace(plan: &Plan, default_pace: bool, lang: Lang) -> String {
    let public = plan.hosts.first_public().is_some();
    let why = match (default_pace, public) {
        (false, _) => "",
        (true, true) => {
            lang.pick(" (a public address; --fast does not hold back)", "（公网地址；--fast 不再克制）")
        }
        (true, false) => {
            lang.pick(" (private addresses; --gentle holds back)", "（私有地址；--gentle 可放慢）")
        }
    };
    let how = match (plan.pace, lang) {
        (Pace::Gentle, _) => lang
            .pick("gently: common ports first, below usual limits", "温和：常见端口在先，低于通常的限制")
            .to_owned(),
        (Pace::Fast, _) => lang.pick("as fast as the way carries", "以线路所能承载的速度").to_owned(),
        (Pace::Max, _) => lang.pick("without any politeness", "毫无克制").to_owned(),
        (Pace::Rate(rate), Lang::En) => format!("at most {} packets a second", thousands(rate)),
        (Pace::Rate(rate), Lang::Zh) => format!("每秒至多 {} 个报文", thousands(rate)),
    };
    format!("{how}{why}")
}

/// The first Ctrl-C or SIGTERM stops the scan in order, the second at once.
fn stop_when_asked(stop: Arc<AtomicBool>, interrupted: Arc<AtomicBool>) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            interrupted.store(true, Ordering::Relaxed);
            if stop.swap(true, Ordering::Relaxed) {
                std::process::exit(EXIT_INTERRUPTED.into());
            }
        }
    });
    Ok(())
}
