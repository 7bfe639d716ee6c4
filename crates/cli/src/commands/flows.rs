//! `netwhy flows`: what logs and live traffic know, and whether this host is the attacker.

pub(crate) mod alerts;
mod chart;
pub(crate) mod cluster;
pub(crate) mod detect;
pub(crate) mod generate;
pub(crate) mod inputs;
pub(crate) mod join;
pub(crate) mod lake;
pub(crate) mod live;
pub(crate) mod show;
mod table;
pub(crate) mod times;

use crate::args::Format;
use crate::{Common, fail};
use anyhow::Result;
use clap::{Subcommand, ValueEnum};

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy flows detect vpc/ auth.log access.log.gz capture.pcap   who attacks whom, when, how sure, and the proof
  netwhy flows watch                                             is it this host? names the process and its unit
  netwhy flows listen --port 2055 --port 6343                    NetFlow, IPFIX and sFlow as they come
  netwhy flows show flows.log.gz --top rejected                  what was rejected, on which port, by which rule
  netwhy flows show nfcapd.2026 --format csv > flows.csv         any format, as one schema
  netwhy flows import vpc/ --lake /var/lib/netwhy                keep it: sorted Parquet, each file once
  netwhy flows query fan-out --lake /var/lib/netwhy              a named question, or SQL
  netwhy flows retention --lake /var/lib/netwhy --days 180
  netwhy --flows vpc/ https://shop.example/                      the records of one way, as evidence of a diagnosis

Files may be flow logs of AWS (any version and order of fields), Azure (NSG and virtual network), GCP and Aliyun;
pcap and pcapng; NetFlow, IPFIX and sFlow as datagrams, captured or in nfdump's files; access and error logs of
nginx, Apache and haproxy; logs of sshd, journald and Kubernetes' audit; gzip around any of them. Folders are read whole.

Exit codes:
  0  nothing was found
  1  an attack was found
  2  netwhy could not do its work";

/// What to do with flow records and logs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Flows,
}

#[derive(Debug, Subcommand)]
enum Flows {
    /// Find attacks in flow logs, captures and logs: who, whom, when, how sure, the proof, and what to do
    Detect(detect::Args),
    /// Show records in one schema whatever wrote them, or what they add up to
    Show(show::Args),
    /// Watch this host's own connections, and name the process behind an attack
    Watch(live::WatchArgs),
    /// Receive NetFlow, IPFIX and sFlow, and find attacks as they begin
    Listen(live::ListenArgs),
    /// Write records into a lake: sorted Parquet, here or in an object store, each file once
    Import(lake::ImportArgs),
    /// Ask a lake, or files as they are: a named question, or SQL
    Query(lake::QueryArgs),
    /// Forget a lake's old records and merge its small files
    Retention(lake::RetentionArgs),
    /// Write a made-up day of flow logs with attacks in it, and the truth about them
    Generate(generate::Args),
    /// Share out a cluster's queries among its executors
    Scheduler(cluster::SchedulerArgs),
    /// Work on the queries of a cluster
    Executor(cluster::ExecutorArgs),
}

/// Reads, finds, keeps or asks.
pub async fn run(args: Args, common: Common) -> Result<u8> {
    refuse_format(&args.command, &common)?;
    // Reading and asking is work for a processor, not for the runtime.
    tokio::task::spawn_blocking(move || match args.command {
        Flows::Detect(args) => detect::run(&args, &common),
        Flows::Show(args) => show::run(&args, &common),
        Flows::Watch(args) => live::watch(&args, &common),
        Flows::Listen(args) => live::listen(&args, &common),
        Flows::Import(args) => lake::import(&args, &common),
        Flows::Query(args) => lake::query(&args, &common),
        Flows::Retention(args) => lake::retention(&args, &common),
        Flows::Generate(args) => generate::run(&args, &common),
        Flows::Scheduler(args) => cluster::scheduler(&args, &common),
        Flows::Executor(args) => cluster::executor(&args, &common),
    })
    .await?
}

/// Rows are written as rows, alerts and reports as text or JSON.
fn refuse_format(command: &Flows, common: &Common) -> Result<()> {
    let Some(format) = common.format else { return Ok(()) };
    let (fits, known) = match command {
        Flows::Query(_) => (format != Format::Html, "table, json, csv, parquet, svg"),
        Flows::Show(_) => {
            (matches!(format, Format::Text | Format::Table | Format::Json | Format::Csv), "table, json, csv")
        }
        _ => (matches!(format, Format::Text | Format::Json), "text, json"),
    };
    if fits { Ok(()) } else { Err(not_so(format, known)) }
}

/// A form that only rows have was asked of a report.
pub(crate) fn only_rows(format: Format) -> anyhow::Error {
    not_so(format, "text, json, html")
}

fn not_so(format: Format, known: &str) -> anyhow::Error {
    let value = format.to_possible_value();
    let name = value.as_ref().map_or("", |value| value.get_name());
    fail(
        (format!("this is not written as {name}"), format!("此结果不能写成 {name}")),
        (format!("it is written as: {known}"), format!("可用的格式：{known}")),
    )
}
