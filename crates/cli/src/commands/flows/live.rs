//! `netwhy flows watch` and `listen`: attacks as they happen, seen by this host itself or told by exporters.

mod culprit;
mod eyes;

use super::alerts::block;
use super::detect::{Finder, What};
use super::show::{Rows, Sieve};
use super::times::{length, now_ms};
use crate::failure::while_trying;
use crate::{Common, failure, print, warn};
use anyhow::Result;
use netwhy_flows::detect::{Alert, Report};
use netwhy_flows::live::{Collector, LiveError, Received};
use netwhy_flows::source::Batch;
use netwhy_flows::{Flow, Names};
use netwhy_model::Lang;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Batches of records that may wait for the detectors.
const WAITING_COUNT_MAX: usize = 1_024;
/// The detectors are asked for what they know so often, in milliseconds.
const TICK_MS: u64 = 1_000;
/// At the end so long is waited for what the threads that look still have to hand over, in milliseconds.
const LAST_MS_MAX: u64 = 2_000;
/// With -v the counts of what came are told so often, in seconds.
const COUNTS_EVERY_S: u64 = 10;
/// The ports of NetFlow, IPFIX and sFlow.
const PORTS: [u16; 3] = [2055, 4739, 6343];

/// Is this host attacked, or the attacker?
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    until: Until,
}

/// Which attacks do exporters know of?
#[derive(Debug, clap::Args)]
pub struct ListenArgs {
    /// Listen on this UDP port; may be repeated [default: 2055, 4739 and 6343]
    #[arg(long, value_name = "PORT")]
    port: Vec<u16>,
    /// Listen on this address only
    #[arg(long, value_name = "ADDR")]
    address: Option<IpAddr>,
    /// Show the records instead of the attacks
    #[arg(long)]
    records: bool,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    until: Until,
}

/// When a watch ends.
#[derive(Debug, clap::Args)]
struct Until {
    /// Stop after so long, such as 10m; Ctrl-C by default
    #[arg(long = "for", value_name = "TIME")]
    length: Option<String>,
    /// Stop at the first attack
    #[arg(long)]
    first: bool,
}

/// What the threads that look send to the one that judges.
pub(super) enum Seen {
    Flows(Vec<Flow>),
    /// The counts of one collector, by its number.
    Counts(usize, Received),
    /// What the kernel threw away before it was seen.
    Lost(u64),
    /// One of them cannot go on.
    Failed(LiveError),
}

pub(super) fn watch(args: &WatchArgs, common: &Common) -> Result<u8> {
    let names = Arc::new(Names::default());
    let mut judge = Judge::new(args.what.finder(&names)?, &args.what, common, true);
    let until = args.until.known()?;
    let (sender, receiver) = sync_channel(WAITING_COUNT_MAX);
    let stop = stopper();
    let threads = eyes::open(&names, &stop, &sender);
    drop(sender);
    told(common, "watching this host", "正在观察本机");
    judge.run(receiver, &stop, threads, &until)?;
    Ok(u8::from(judge.alerts > 0))
}

pub(super) fn listen(args: &ListenArgs, common: &Common) -> Result<u8> {
    let names = Arc::new(Names::default());
    let mut judge = Judge::new(args.what.finder(&names)?, &args.what, common, false);
    let until = args.until.known()?;
    let (sender, receiver) = sync_channel(WAITING_COUNT_MAX);
    let stop = stopper();
    let ports = if args.port.is_empty() { PORTS.to_vec() } else { args.port.clone() };
    let any = IpAddr::from(Ipv6Addr::UNSPECIFIED);
    let mut threads = Vec::new();
    for (number, port) in ports.iter().enumerate() {
        let address = SocketAddr::new(args.address.unwrap_or(any), *port);
        let collector = Collector::bind(address, names.clone()).map_err(|error| {
            while_trying((format!("listening on port {port}"), format!("监听端口 {port}")), error)
        })?;
        threads.push(collect(number, collector, stop.clone(), sender.clone()));
    }
    drop(sender);
    told(common, "listening for NetFlow, IPFIX and sFlow", "正在接收 NetFlow、IPFIX 与 sFlow");
    judge.rows = args.records.then(|| Rows::new(common, names, usize::MAX));
    judge.run(receiver, &stop, threads, &until)?;
    judge.counts();
    Ok(u8::from(judge.alerts > 0))
}

/// The same, understood.
struct End {
    at: Option<Instant>,
    first: bool,
}

impl Until {
    fn known(&self) -> Result<End> {
        let length = self.length.as_deref().map(|text| length(text, "--for")).transpose()?;
        let at = length.map(|ms| Instant::now() + Duration::from_millis(ms));
        Ok(End { at, first: self.first })
    }
}

fn told(common: &Common, en: &str, zh: &str) {
    let hint = common.lang.pick("; Ctrl-C ends it", "；按 Ctrl-C 结束");
    warn(&format!("{}{hint}", common.lang.pick(en, zh)));
}

/// Set when the user has had enough.
fn stopper() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    tokio::runtime::Handle::current().spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        asked.store(true, Ordering::Relaxed);
    });
    stop
}

fn collect(
    number: usize,
    mut collector: Collector,
    stop: Arc<AtomicBool>,
    sender: SyncSender<Seen>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let ended = collector.run(&stop, &mut |flows, received| {
            let counts = sender.send(Seen::Counts(number, *received));
            let gone =
                counts.is_err() || (!flows.is_empty() && sender.send(Seen::Flows(flows.to_vec())).is_err());
            if gone {
                stop.store(true, Ordering::Relaxed);
            }
        });
        let _ = match ended {
            Ok(received) => sender.send(Seen::Counts(number, received)),
            Err(error) => sender.send(Seen::Failed(error)),
        };
    })
}

/// Judges what comes, and tells of it once.
struct Judge<'a> {
    finder: Finder,
    what: &'a What,
    common: &'a Common,
    /// Whether the connections are this host's own, so that their processes can be named.
    own: bool,
    /// Where records are shown instead of attacks.
    rows: Option<Rows<'a>>,
    received: Vec<Received>,
    alerts: u64,
}

impl<'a> Judge<'a> {
    fn new(finder: Finder, what: &'a What, common: &'a Common, own: bool) -> Judge<'a> {
        Judge { finder, what, common, own, rows: None, received: Vec::new(), alerts: 0 }
    }

    /// Follows what comes until the end, then what was still under way.
    fn run(
        &mut self,
        receiver: Receiver<Seen>,
        stop: &AtomicBool,
        threads: Vec<JoinHandle<()>>,
        until: &End,
    ) -> Result<()> {
        let mut ended = self.follow(&receiver, stop, until);
        stop.store(true, Ordering::Relaxed);
        let last = Instant::now() + Duration::from_millis(LAST_MS_MAX);
        while ended.is_ok()
            && let Ok(seen) = receiver.recv_timeout(last.saturating_duration_since(Instant::now()))
        {
            ended = self.take(seen);
        }
        // Frees a thread that waits for room before it is waited for.
        drop(receiver);
        for thread in threads {
            let _ = thread.join();
        }
        ended?;
        if self.rows.is_some() || (until.first && self.alerts > 0) {
            return Ok(());
        }
        let alerts = self.finder.last();
        self.tell(alerts)
    }

    fn follow(&mut self, receiver: &Receiver<Seen>, stop: &AtomicBool, until: &End) -> Result<()> {
        let (mut ticked, mut counted) = (Instant::now(), Instant::now());
        while !stop.load(Ordering::Relaxed) && until.at.is_none_or(|at| Instant::now() < at) {
            match receiver.recv_timeout(Duration::from_millis(TICK_MS)) {
                Ok(seen) => self.take(seen)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if self.rows.is_none() && ticked.elapsed() >= Duration::from_millis(TICK_MS) {
                ticked = Instant::now();
                let alerts = self.finder.tick(now_ms());
                self.tell(alerts)?;
                if until.first && self.alerts > 0 {
                    return Ok(());
                }
            }
            if self.common.verbose > 0 && counted.elapsed() >= Duration::from_secs(COUNTS_EVERY_S) {
                counted = Instant::now();
                self.counts();
            }
        }
        Ok(())
    }

    fn take(&mut self, seen: Seen) -> Result<()> {
        match (seen, &mut self.rows) {
            (Seen::Flows(flows), Some(rows)) => rows.take_now(Batch::Flows(&flows), &Sieve::ALL)?,
            (Seen::Flows(flows), None) => self.finder.take(&Batch::Flows(&flows)),
            (Seen::Counts(number, received), _) => {
                self.received.resize_with(self.received.len().max(number + 1), Received::default);
                self.received[number] = received;
            }
            (Seen::Failed(error), _) => self.failed(error),
            (Seen::Lost(count), _) => warn(
                match self.common.lang {
                    Lang::En => format!(
                        "the kernel had no room for {count} packets or events: counts are lower bounds"
                    ),
                    Lang::Zh => format!("内核丢弃了 {count} 个数据包或事件：计数为下限"),
                }
                .as_str(),
            ),
        }
        Ok(())
    }

    /// One eye less is no reason to stop looking.
    fn failed(&self, error: LiveError) {
        let instead = if self.own {
            self.common.lang.pick("; looking at sockets only", "；仅观察套接字")
        } else {
            ""
        };
        failure::note(&error.into(), instead, self.common.lang);
    }

    fn tell(&mut self, alerts: Vec<Alert>) -> Result<()> {
        let until = Instant::now() + culprit::LOOK_MAX;
        for mut alert in alerts.into_iter().filter(|alert| self.what.tells(alert.confidence)) {
            if self.own {
                culprit::name(&mut alert, until);
            }
            self.alerts += 1;
            if self.common.json {
                print(&netwhy_report::to_json(&Report::new(vec![alert]), false)?)?;
            } else {
                print(&(block(&alert, self.common) + "\n"))?;
            }
        }
        Ok(())
    }

    /// What came and what was lost, on stderr.
    fn counts(&self) {
        let sum = |count: &dyn Fn(&Received) -> u64| self.received.iter().map(count).sum::<u64>();
        let (datagrams, flows) = (sum(&|one| one.export.datagrams), sum(&|one| one.export.flows));
        let (lost, dropped) = (sum(&|one| one.export.lost_records), sum(&|one| one.dropped_by_kernel));
        let bad =
            sum(&|one| one.export.bad_datagrams + one.export.sets_without_template + one.export.refused);
        warn(&match self.common.lang {
            Lang::En => format!(
                "{datagrams} datagrams, {flows} records; {lost} records never came, {dropped} datagrams dropped here, \
                 {bad} not understood"
            ),
            Lang::Zh => format!(
                "{datagrams} 个数据报，{flows} 条记录；{lost} 条记录未到达，本机丢弃 {dropped} 个数据报，{bad} 个未能理解"
            ),
        });
    }
}
