//! `netwhy flows import`, `query` and `retention`: records kept as Parquet, and questions on them.
//!
//! What the words mean stands here in every build; what they do, in builds with the feature `lake`.

#[cfg(feature = "lake")]
mod work;

use super::times::When;
use std::path::PathBuf;

/// Days that records are kept where nobody says.
const RETENTION_DAYS: u32 = 180;

pub(crate) const QUESTIONS: &str = "\
Questions:
  top-talkers     who sends most
  rejected        what was rejected, by port and rule
  destinations    how many different receivers each sender had
  fan-out         the same for each minute
  pairs           who talks to whom on what
  new-pairs       who talks to whom since --new-since and did not before; the last day by default
  series          flows, packets and bytes by action over time

Anything else is SQL on the table flows; docs/flows.md tells its columns:
  netwhy flows query \"SELECT dport, count(*) FROM flows WHERE action = 'reject' GROUP BY dport\" --lake lake
  netwhy flows query \"SELECT g.name, sum(bytes) FROM flows f JOIN g ON f.interface = g.interface GROUP BY g.name\"
  --table g=groups.csv --lake lake
  netwhy flows query series --where 'dport = 22' --format svg --lake lake > ssh.svg
  netwhy flows query fan-out vpc/*.log.gz           files as they are, without a lake
  netwhy flows query pairs --lake s3://logs/lake --store aws_region=eu-west-1
  netwhy flows query fan-out --lake s3://logs/lake --cluster ballista://10.0.0.5:50050";

/// Where a lake is.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The lake: a folder, s3://BUCKET/PREFIX, gs://… or az://…
    #[arg(long, value_name = "PLACE", env = "NETWHY_LAKE", hide_env_values = true)]
    lake: Option<String>,
    #[command(flatten)]
    stores: Stores,
}

/// How object stores are reached.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Stores {
    /// An option of the object store, such as aws_region=eu-west-1; the store's own variables count too
    #[arg(long, value_name = "KEY=VALUE")]
    store: Vec<String>,
}

/// Keep these files' records.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// Flow logs, captures and exports, and folders of them
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// What do the records say?
#[derive(Debug, clap::Args)]
#[command(after_help = QUESTIONS)]
pub struct QueryArgs {
    /// A named question, or SQL
    #[arg(value_name = "QUESTION")]
    question: String,
    /// Files and folders to ask instead of a lake
    #[arg(value_name = "FILE", conflicts_with = "lake")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    when: When,
    /// Only what meets this condition in SQL
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// Since when a pair is new
    #[arg(long, value_name = "TIME")]
    new_since: Option<String>,
    /// The step of a time series
    #[arg(long, value_name = "TIME", default_value = "5m")]
    step: String,
    /// A further table for SQL: a CSV file with a header; may be repeated
    #[arg(long, value_name = "NAME=FILE")]
    table: Vec<String>,
    /// Answer at most so many rows
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    count: usize,
    /// Write to this file; --format parquet needs it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Let this cluster work: ballista://HOST:PORT
    #[arg(long, value_name = "PLACE")]
    cluster: Option<String>,
    /// Show the SQL instead of asking it
    #[arg(long)]
    sql: bool,
}

/// Forget what is old.
#[derive(Debug, clap::Args)]
pub struct RetentionArgs {
    #[command(flatten)]
    place: Place,
    /// Keep records of so many days
    #[arg(long, value_name = "DAYS", default_value_t = RETENTION_DAYS)]
    days: u32,
}

#[cfg(feature = "lake")]
pub(super) use work::{import, query, retention};

#[cfg(not(feature = "lake"))]
pub(super) use without::{import, query, retention};

#[cfg(not(feature = "lake"))]
mod without {
    use super::{ImportArgs, QueryArgs, RetentionArgs};
    use crate::Common;
    use anyhow::Result;

    pub fn import(_: &ImportArgs, _: &Common) -> Result<u8> {
        Err(super::not_built())
    }

    pub fn query(_: &QueryArgs, _: &Common) -> Result<u8> {
        Err(super::not_built())
    }

    pub fn retention(_: &RetentionArgs, _: &Common) -> Result<u8> {
        Err(super::not_built())
    }
}

/// This netwhy is one without the lake.
#[cfg(not(feature = "lake"))]
pub(super) fn not_built() -> anyhow::Error {
    crate::fail(
        ("this netwhy was built without the lake", "此 netwhy 在构建时未包含数据湖"),
        (
            "build it with: cargo build --release --features lake; without it, netwhy flows show FILES --top answers some questions",
            "请用 cargo build --release --features lake 构建；没有它时，netwhy flows show FILES --top 可回答部分问题",
        ),
    )
}
