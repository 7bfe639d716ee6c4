//! `netwhy host`: reads the machine it runs on and judges it, once, live, or while a client probes.

mod record;
mod watch;

use crate::{Common, fail, print};
use anyhow::Result;
use clap::builder::PossibleValuesParser;
use netwhy_catalogue::Catalogue;
use netwhy_host::LookSpec;
use netwhy_model::Limits;
use netwhy_model::host::{Severity, Snapshot};
use netwhy_report::host::{Topic, host_html, host_text};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Longest window, in milliseconds: who wants more wants --watch.
const WINDOW_MS_MAX: u64 = 60_000;
/// Shortest time between two looks of --watch, in milliseconds.
const INTERVAL_MS_MIN: u64 = 200;

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy host                        what is wrong with this machine, in a second
  sudo netwhy host                   as root also others' sockets, firewall rules, logs
  netwhy host -v --only firewall     every rule with its counter
  netwhy host --watch                the same live: queues, states, counters that move, peers
  netwhy host --window 5s --json     rising counters over five seconds, for programs
  netwhy host --format html > host.html
  netwhy host --record origin.json --for 203.0.113.9 --port 443
                                     keep what this end sees while 203.0.113.9 probes it, for
                                     netwhy --replay client.json --join origin.json over there

It only reads and changes nothing; what --record sets up to trace is removed when it ends, and the client is
sent three echo requests.
Exit code 0 when nothing is broken or at risk, 1 when something is, 2 when netwhy could not do its work.";

/// What to look at, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Time over which counters are seen to rise; 0 for none
    #[arg(long, value_name = "TIME", default_value = "500ms")]
    window: String,
    /// Leave the logs unread
    #[arg(long)]
    no_logs: bool,
    /// Tell only of these; may be repeated, or separated by commas
    #[arg(long, value_name = "SECTION", value_delimiter = ',', value_parser = topic_names())]
    only: Vec<String>,
    /// Show it live
    #[arg(long, conflicts_with_all = ["record", "only", "no_logs", "window"], help_heading = "Live")]
    watch: bool,
    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "1s", requires = "watch", help_heading = "Live")]
    interval: String,
    /// Save what this end sees while a client probes it ('-' writes to stdout)
    #[arg(long, value_name = "FILE", requires_all = ["client", "port"], help_heading = "Both ends")]
    record: Option<PathBuf>,
    /// The address the client comes from, as this end sees it
    #[arg(
        long = "for",
        id = "client",
        value_name = "CLIENT_ADDRESS",
        requires = "record",
        help_heading = "Both ends"
    )]
    client: Option<IpAddr>,
    /// The port the client asks for, as this end has it
    #[arg(
        long,
        value_name = "PORT",
        requires = "record",
        value_parser = clap::value_parser!(u16).range(1..),
        help_heading = "Both ends"
    )]
    port: Option<u16>,
    /// Stop after this time, or at Ctrl-C
    #[arg(long, value_name = "TIME", default_value = "10m", requires = "record", help_heading = "Both ends")]
    for_time: String,
    /// The client asks over UDP
    #[arg(long, requires = "record", help_heading = "Both ends")]
    udp: bool,
}

fn topic_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Topic::ALL.map(Topic::name))
}

/// Looks, shows or records; a look's exit code says whether something is wrong.
pub async fn run(args: Args, common: &Common) -> Result<u8> {
    if let (Some(path), Some(client), Some(port)) = (&args.record, args.client, args.port) {
        let time = Duration::from_millis(Limits::parse_ms(&args.for_time)?);
        return record::run(path, record::spec(client, port, args.udp), time, common).await;
    }
    if args.watch {
        return watch::run(interval(&args.interval)?, common).await;
    }
    let spec = LookSpec { window_ms: window_ms(&args.window)?, logs: !args.no_logs, ..LookSpec::default() };
    let snapshot = tokio::task::spawn_blocking(move || netwhy_host::look(&spec)).await?;
    print(&told(&snapshot, &args.topics(), common)?)?;
    Ok(exit_code(&snapshot))
}

impl Args {
    fn topics(&self) -> Vec<Topic> {
        self.only.iter().filter_map(|name| Topic::named(name)).collect()
    }
}

fn told(snapshot: &Snapshot, only: &[Topic], common: &Common) -> serde_json::Result<String> {
    let catalogue = Catalogue::embedded();
    match (common.json, common.html) {
        (true, _) => netwhy_report::to_json(snapshot, true),
        (_, true) => Ok(host_html(snapshot, catalogue, common.lang, only)),
        _ => Ok(host_text(snapshot, catalogue, &common.style(), only)),
    }
}

/// 1 when something is broken or about to be.
fn exit_code(snapshot: &Snapshot) -> u8 {
    let grave = |severity| matches!(severity, Severity::Broken | Severity::Risk);
    u8::from(snapshot.findings.iter().any(|finding| grave(finding.severity)))
}

fn window_ms(text: &str) -> Result<u64> {
    let none = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse::<f64>() == Ok(0.0);
    let window_ms = if none { 0 } else { Limits::parse_ms(text)? };
    if window_ms > WINDOW_MS_MAX {
        return Err(fail(
            (format!("a window of {text} is too long"), format!("{text} 的窗口太长")),
            ("at most 60s; --watch goes on for longer", "最长 60s；更久请用 --watch"),
        ));
    }
    Ok(window_ms)
}

fn interval(text: &str) -> Result<Duration> {
    let millis = Limits::parse_ms(text)?;
    if millis < INTERVAL_MS_MIN {
        return Err(fail(
            (format!("an interval of {text} is too short"), format!("{text} 的间隔太短")),
            (
                format!("give {INTERVAL_MS_MIN} ms or more: looking costs time itself"),
                format!("至少 {INTERVAL_MS_MIN} 毫秒：查看本身也要花时间"),
            ),
        ));
    }
    Ok(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_model::Text;
    use netwhy_model::host::Finding;

    #[test]
    fn times_are_bounded() {
        assert_eq!(
            (window_ms("0").unwrap(), window_ms("0ms").unwrap(), window_ms("2s").unwrap()),
            (0, 0, 2_000)
        );
        assert!(window_ms("61s").is_err() && window_ms("soon").is_err() && window_ms("").is_err());
        assert!(interval("100ms").is_err());
        assert_eq!(interval("200ms").unwrap(), Duration::from_millis(200));
    }

    #[test]
    fn only_what_breaks_connections_or_will_is_an_exit_code() {
        let code = |severity| {
            let cause = "host.fd.exhausted".to_owned();
            let finding =
                Finding { cause, severity, text: Text::default(), proof: Vec::new(), subject: None };
            exit_code(&Snapshot { findings: vec![finding], ..Snapshot::default() })
        };
        assert_eq!((code(Severity::Broken), code(Severity::Risk), code(Severity::Note)), (1, 1, 0));
        assert_eq!(exit_code(&Snapshot::default()), 0);
    }
}
