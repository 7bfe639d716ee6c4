//! `netwhy host --record`: this end's half of a case, saved while a client probes.

use crate::failure::while_trying;
use crate::{Common, print, warn};
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use netwhy_host::watch::{PACKETS_UNREAD, Watch};
use netwhy_model::host::{PacketKind, Record, WatchSpec};
use netwhy_model::{Lang, Vantage};
use netwhy_report::host::reason;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What this end is called in the record.
const NAME: &str = "origin";
/// Who may read a record: it names processes, rules and addresses.
const FILE_MODE: u32 = 0o600;
/// Time between two looks at what came, in milliseconds.
const LOOK_MS: u64 = 1_000;
/// So many times as long as a look took it rests: half a percent of the time, however many sockets there are.
/// What comes between two looks is kept all the same, and the last look reads everything.
const REST_TIMES: u32 = 200;
/// The longest rest between two looks, in milliseconds.
const REST_MS_MAX: u64 = 60_000;
/// Time between two looks at the stop flag, in milliseconds.
const STOP_MS: u64 = 50;
/// Longest record, in milliseconds.
const TIME_MS_MAX: u64 = 3_600_000;

/// What to watch for this client.
pub(super) fn spec(client: IpAddr, port: u16, udp: bool) -> WatchSpec {
    WatchSpec { sources: vec![client], port, udp, trace: true, ..WatchSpec::default() }
}

/// Watches until the time is over or somebody stops it, then saves.
pub(super) async fn run(path: &Path, spec: WatchSpec, time: Duration, common: &Common) -> Result<u8> {
    let time = time.min(Duration::from_millis(TIME_MS_MAX));
    // A folder that cannot be written to shows now, not after the client has probed.
    let draft = Draft::open(path).map_err(|error| cannot_write(path, error))?;
    let stop = stop_when_asked()?;
    let progress = Progress::start(&spec, common);
    let record = tokio::task::spawn_blocking(move || watch(spec, time, &stop, &progress)).await?;
    let text = netwhy_report::to_json(&record, true)?;
    draft.keep(&text).map_err(|error| cannot_write(path, error))?;
    let said = summary(&record, path, common.lang) + "\n";
    if is_stdout(path) {
        warn(said.trim_end())
    } else {
        print(&said)?
    }
    Ok(0)
}

fn watch(spec: WatchSpec, time: Duration, stop: &AtomicBool, progress: &Progress) -> Record {
    let started = Instant::now();
    let mut watch = Watch::start(NAME, Vantage::Origin, spec);
    let (mut first, mut told) = (true, None);
    loop {
        let began = Instant::now();
        let record = watch.look();
        let next = Instant::now() + rest(began.elapsed());
        if std::mem::take(&mut first) {
            progress.blind(&record);
        }
        while Instant::now() < next && !stop.load(Ordering::Relaxed) && started.elapsed() < time {
            let left = time.saturating_sub(started.elapsed());
            if told != Some(left.as_secs()) {
                told = Some(left.as_secs());
                progress.seen(&record, left);
            }
            std::thread::sleep(Duration::from_millis(STOP_MS));
        }
        if stop.load(Ordering::Relaxed) || started.elapsed() >= time {
            return watch.look();
        }
    }
}

/// How long to rest behind a look that took so long.
fn rest(took: Duration) -> Duration {
    (took * REST_TIMES).clamp(Duration::from_millis(LOOK_MS), Duration::from_millis(REST_MS_MAX))
}

/// Ctrl-C and the signals a service manager sends end the record, and it is kept.
fn stop_when_asked() -> Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = Arc::new(AtomicBool::new(false));
    let mut asked = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .map(signal)
        .into_iter()
        .collect::<std::io::Result<Vec<_>>>()
        .context("cannot listen for signals")?;
    let flag = Arc::clone(&stop);
    tokio::spawn(async move {
        let any = futures_util::future::select_all(asked.iter_mut().map(|signal| Box::pin(signal.recv())));
        any.await;
        flag.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}

fn cannot_write(path: &Path, error: std::io::Error) -> anyhow::Error {
    let shown = path.display();
    while_trying((format!("cannot write the record {shown}"), format!("无法写入记录 {shown}")), error)
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The record before it has its name: whoever reads FILE finds all of it or nothing.
struct Draft {
    /// None once it has its name, or when the record goes to stdout.
    draft: Option<PathBuf>,
    file: Option<File>,
    path: PathBuf,
}

impl Draft {
    fn open(path: &Path) -> std::io::Result<Draft> {
        let path = path.to_owned();
        if is_stdout(&path) {
            return Ok(Draft { draft: None, file: None, path });
        }
        if path.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
        let draft = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&draft)?;
        Ok(Draft { draft: Some(draft), file: Some(file), path })
    }

    fn keep(mut self, text: &str) -> std::io::Result<()> {
        let (Some(mut file), Some(draft)) = (self.file.take(), &self.draft) else {
            return std::io::stdout().lock().write_all(text.as_bytes());
        };
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(draft, &self.path)?;
        self.draft = None;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(draft) = &self.draft {
            let _ = std::fs::remove_file(draft);
        }
    }
}

/// How far it is, on stderr.
struct Progress {
    bar: Option<ProgressBar>,
    lang: Lang,
}

impl Progress {
    fn start(spec: &WatchSpec, common: &Common) -> Progress {
        let lang = common.lang;
        let client = spec.sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let port = spec.port;
        warn(&match lang {
            Lang::En => {
                format!("Watching for {client} at port {port}; let it probe now. Ctrl-C ends and saves.")
            }
            Lang::Zh => {
                format!("正在等待 {client} 访问端口 {port}；请让客户端现在开始探测。Ctrl-C 结束并保存。")
            }
        });
        let bar = std::io::stderr().is_terminal().then(ProgressBar::new_spinner);
        if let (Some(bar), Ok(style)) = (&bar, ProgressStyle::with_template("{spinner} {wide_msg}")) {
            let ticks = if common.unicode { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " } else { "|/-\\ " };
            bar.set_style(style.tick_chars(ticks));
        }
        Progress { bar, lang }
    }

    /// Says at once, not after ten minutes, that the packets cannot be seen.
    fn blind(&self, record: &Record) {
        let Some(item) = record.unread.iter().find(|item| item.what == PACKETS_UNREAD) else { return };
        let why = netwhy_report::clean(&reason(&item.why, self.lang));
        warn(&match self.lang {
            Lang::En => {
                format!("Packets cannot be seen ({why}); as root they can. Counters and sockets are kept.")
            }
            Lang::Zh => format!("看不到报文（{why}）；以 root 运行即可。仍会保存计数器与套接字。"),
        });
    }

    fn seen(&self, record: &Record, left: Duration) {
        let Some(bar) = &self.bar else { return };
        let (syns, packets, left) = (syns(record), record.packets.len(), left.as_secs());
        bar.set_message(match self.lang {
            Lang::En => format!("{syns} SYNs and {packets} packets so far; {left} s left"),
            Lang::Zh => format!("已见 {syns} 个 SYN、共 {packets} 个报文；剩余 {left} 秒"),
        });
        bar.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// SYNs that came in, repeats included.
fn syns(record: &Record) -> usize {
    record.packets.iter().filter(|packet| packet.kind == PacketKind::Syn && !packet.outgoing).count()
}

/// What was kept, and what to do with it.
fn summary(record: &Record, path: &Path, lang: Lang) -> String {
    let (syns, packets) = (syns(record), record.packets.len());
    let shown = netwhy_report::clean(&path.display().to_string());
    let unread: Vec<String> = record
        .unread
        .iter()
        .map(|item| netwhy_report::clean(&reason(&format!("{}: {}", item.what, item.why), lang)))
        .collect();
    let (rules, counters) = (record.rules.len(), record.counters.iter().filter(|c| c.rose() > 0).count());
    let mut text = match lang {
        Lang::En => format!(
            "{packets} packets, {syns} of them SYNs that came in; rules that matched: {rules}, counters that rose: {counters}."
        ),
        Lang::Zh => format!(
            "{packets} 个报文，其中收到 SYN {syns} 个；有命中的规则 {rules} 条，增长的计数器 {counters} 个。"
        ),
    };
    if !is_stdout(path) {
        text += &match lang {
            Lang::En => format!(
                "\nKept in {shown}. Take it to the client, and there: netwhy --replay CLIENT_CASE --join {shown}"
            ),
            Lang::Zh => {
                format!("\n已保存到 {shown}。带到客户端后执行：netwhy --replay CLIENT_CASE --join {shown}")
            }
        };
    }
    if !unread.is_empty() {
        let lead = lang.pick("Could not be read: ", "无法读取：");
        text += &format!("\n{lead}{}", unread.join(lang.pick("; ", "；")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_record_appears_whole_or_not_at_all_and_only_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("origin.json");
        drop(Draft::open(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a draft given up leaves nothing");
        Draft::open(&path).unwrap().keep("{}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, FILE_MODE);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_dear_look_is_followed_by_a_long_rest() {
        assert_eq!(rest(Duration::from_millis(2)), Duration::from_millis(LOOK_MS));
        assert_eq!(rest(Duration::from_millis(300)), Duration::from_secs(60));
        assert_eq!(rest(Duration::from_secs(9)), Duration::from_millis(REST_MS_MAX));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_refused_before_the_watch() {
        assert!(Draft::open(Path::new("/nosuch/origin.json")).is_err());
        let folder = tempfile::tempdir().unwrap();
        assert!(Draft::open(folder.path()).is_err());
    }
}
