//! `netwhy flows show`: records in one schema whatever wrote them, or what they add up to. Needs no lake.

mod top;

use super::inputs::Inputs;
use super::times::shown;
use crate::args::Format;
use crate::commands::scan::csv::quoted;
use crate::{Common, fail};
use anyhow::Result;
use clap::ValueEnum;
use netwhy_flows::source::Batch;
use netwhy_flows::{Action, Address, Direction, Flow, Names, Opener, Status, Symbol, schema};
use serde_json::{Map, Value};
use std::io::{BufWriter, Write};
use std::net::IpAddr;
use std::sync::Arc;
use top::{Sums, Top};

/// Rows of an answer where nobody says how many.
const TOP_COUNT: usize = 20;

/// What do these files hold?
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    inputs: Inputs,
    /// What the records add up to, instead of the records
    #[arg(long, value_enum)]
    top: Option<Top>,
    /// Show so many rows; all records, or 20 rows of --top by default
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<usize>,
    #[command(flatten)]
    filter: Filter,
}

/// Which records.
#[derive(Debug, clap::Args)]
struct Filter {
    /// Only records from or to this address
    #[arg(long, value_name = "ADDR")]
    address: Option<IpAddr>,
    /// Only records with this port on one side
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Only what was accepted, or what was rejected
    #[arg(long, value_enum)]
    action: Option<Wanted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    Accept,
    Reject,
}

/// A filter with its words understood.
pub(super) struct Sieve {
    address: Option<Address>,
    port: Option<u16>,
    action: Option<Action>,
}

impl Filter {
    fn sieve(&self) -> Sieve {
        Sieve {
            address: self.address.map(Address::from),
            port: self.port,
            action: self.action.map(|wanted| match wanted {
                Wanted::Accept => Action::Accept,
                Wanted::Reject => Action::Reject,
            }),
        }
    }
}

impl Sieve {
    /// Keeps everything.
    pub(super) const ALL: Sieve = Sieve { address: None, port: None, action: None };

    fn keeps(&self, flow: &Flow) -> bool {
        let asks = |port: u16| flow.source_port == port || flow.destination_port == port;
        self.address.is_none_or(|address| flow.source == address || flow.destination == address)
            && self.port.is_none_or(asks)
            && self.action.is_none_or(|action| flow.action == action)
    }
}

pub(super) fn run(args: &Args, common: &Common) -> Result<u8> {
    let sieve = args.filter.sieve();
    let names = Arc::new(Names::default());
    let source = args.inputs.how.source(&names);
    match args.top {
        Some(top) => {
            let mut sums = Sums::new(top);
            let fed = args.inputs.read(&source, common, &mut |batch| sums.take(batch, &sieve))?;
            fed.tell(common.lang);
            sums.table(args.count.unwrap_or(TOP_COUNT), &names).tell(&format!("{top:?}"), common)?;
        }
        None => {
            let mut rows = Rows::new(common, names, args.count.unwrap_or(usize::MAX));
            let fed = args.inputs.read(&source, common, &mut |batch| rows.take(batch, &sieve))?;
            rows.finish()?;
            fed.tell(common.lang);
            if fed.count.read == 0 {
                return Err(nothing());
            }
        }
    }
    Ok(0)
}

fn nothing() -> anyhow::Error {
    fail(
        ("these files hold no records", "这些文件中没有记录"),
        ("netwhy flows --help names the formats that are read", "netwhy flows --help 列出可读取的格式"),
    )
}

/// Writes records as they come.
pub(super) struct Rows<'a> {
    out: BufWriter<std::io::StdoutLock<'a>>,
    format: Format,
    names: Arc<Names>,
    columns: Vec<&'static str>,
    left: usize,
    failed: Option<std::io::Error>,
}

impl Rows<'_> {
    pub(super) fn new(common: &Common, names: Arc<Names>, left: usize) -> Self {
        let columns: Vec<&'static str> = schema::columns().iter().map(|column| column.name).collect();
        let mut out = BufWriter::new(std::io::stdout().lock());
        let format = common.format.unwrap_or(Format::Text);
        let failed = match format {
            Format::Csv => write!(out, "{}\r\n", columns.join(",")).err(),
            _ => None,
        };
        Rows { out, format, names, columns, left, failed }
    }

    fn take(&mut self, batch: Batch, sieve: &Sieve) {
        match batch {
            Batch::Flows(flows) => {
                for flow in flows.iter().filter(|flow| sieve.keeps(flow)) {
                    self.line(|rows| rows.flow(flow));
                }
            }
            Batch::Events(events) => {
                for event in events {
                    let text = netwhy_report::clean(&event.excerpt());
                    self.line(|rows| rows.event(event.time_ms, &text));
                }
            }
        }
    }

    /// The same, shown at once.
    pub(super) fn take_now(&mut self, batch: Batch, sieve: &Sieve) -> Result<()> {
        self.take(batch, sieve);
        self.finish()
    }

    fn line(&mut self, write: impl FnOnce(&mut Self) -> std::io::Result<()>) {
        if self.left == 0 || self.failed.is_some() {
            return;
        }
        self.left -= 1;
        self.failed = write(self).err();
    }

    fn flow(&mut self, flow: &Flow) -> std::io::Result<()> {
        match self.format {
            Format::Json => {
                let values =
                    self.columns.iter().map(|name| ((*name).to_owned(), value(name, flow, &self.names)));
                writeln!(self.out, "{}", Value::Object(values.collect::<Map<_, _>>()))
            }
            Format::Csv => {
                let field = |name: &&str| match value(name, flow, &self.names) {
                    Value::String(text) => quoted(&netwhy_report::clean(&text)),
                    other => other.to_string(),
                };
                let fields: Vec<String> = self.columns.iter().map(field).collect();
                write!(self.out, "{}\r\n", fields.join(","))
            }
            _ => writeln!(self.out, "{}", line(flow, &self.names)),
        }
    }

    fn event(&mut self, time_ms: i64, text: &str) -> std::io::Result<()> {
        match self.format {
            Format::Json => writeln!(self.out, "{}", serde_json::json!({ "time": time_ms, "event": text })),
            // Another shape than the head of the table says.
            Format::Csv => Ok(()),
            _ => writeln!(self.out, "{} {text}", shown(time_ms)),
        }
    }

    fn finish(&mut self) -> Result<()> {
        match self.failed.take() {
            Some(error) => Err(error.into()),
            None => Ok(self.out.flush()?),
        }
    }
}

/// One column of a record by its name in the schema.
fn value(name: &str, flow: &Flow, names: &Names) -> Value {
    let word = |symbol: Symbol| Value::from(netwhy_report::clean(&names.word(symbol)));
    match name {
        "start" => flow.start_ms.into(),
        "end" => flow.end_ms.into(),
        "src" => flow.source.to_string().into(),
        "dst" => flow.destination.to_string().into(),
        "sport" => flow.source_port.into(),
        "dport" => flow.destination_port.into(),
        "protocol" => flow.protocol.into(),
        "packets" => flow.packets.into(),
        "bytes" => flow.bytes.into(),
        "tcp_flags" => flow.tcp_flags.into(),
        "action" => action(flow.action).into(),
        "direction" => direction(flow.direction).into(),
        "opener" => match flow.opener {
            Opener::Unknown => "",
            Opener::Source => "source",
            Opener::Destination => "destination",
        }
        .into(),
        "status" => match flow.status {
            Status::Ok => "ok",
            Status::NoData => "nodata",
            Status::SkipData => "skipdata",
        }
        .into(),
        "account" => word(flow.account),
        "interface" => word(flow.interface),
        "rule" => word(flow.rule),
        "file" => word(flow.file),
        "offset" => flow.offset.into(),
        _ => Value::Null,
    }
}

const fn action(action: Action) -> &'static str {
    match action {
        Action::Unknown => "",
        Action::Accept => "accept",
        Action::Reject => "reject",
    }
}

const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Unknown => "",
        Direction::In => "in",
        Direction::Out => "out",
    }
}

/// One record for people.
fn line(flow: &Flow, names: &Names) -> String {
    if flow.status != Status::Ok {
        let interface = netwhy_report::clean(&names.word(flow.interface));
        return format!("{} {interface} {:?}", shown(flow.start_ms), flow.status);
    }
    let mut text = format!(
        "{} {}:{} > {}:{} proto {} {} packets {} bytes",
        shown(flow.start_ms),
        flow.source,
        flow.source_port,
        flow.destination,
        flow.destination_port,
        flow.protocol,
        flow.packets,
        flow.bytes
    );
    let interface = netwhy_report::clean(&names.word(flow.interface));
    let rule = netwhy_report::clean(&names.word(flow.rule));
    for part in [action(flow.action), direction(flow.direction), &interface, &rule] {
        if !part.is_empty() {
            text.push(' ');
            text.push_str(part);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_the_schema_has_a_value() {
        let names = Names::default();
        for column in schema::columns() {
            assert_ne!(value(column.name, &Flow::default(), &names), Value::Null, "{}", column.name);
        }
    }

    #[test]
    fn a_sieve_keeps_either_side() {
        let flow = Flow { source: Address::v4(1), destination_port: 22, ..Flow::default() };
        assert!(Sieve { port: Some(22), address: Some(Address::v4(1)), ..Sieve::ALL }.keeps(&flow));
        assert!(!Sieve { port: Some(23), ..Sieve::ALL }.keeps(&flow));
    }
}
