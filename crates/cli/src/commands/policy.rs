//! `netwhy policy`: what the rules on the way say, asked, checked and compared without sending a packet.

pub(crate) mod can;
pub(crate) mod check;
mod diff;
mod files;
mod given;
pub(crate) mod join;
mod lint;
pub(crate) mod packet;
mod tell;
pub(crate) mod waf;
mod who;

use crate::Common;
use anyhow::Result;
use clap::Subcommand;
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy policy can 203.0.113.9 10.0.1.20:443 aws/ origin.nft   every rule that stops it, and what mends it
  netwhy policy can outside web:443                             with this machine's own rules
  netwhy policy who db:5432 k8s/                                everyone who may
  netwhy policy matrix k8s/ --format html > matrix.html         who reaches whom on what
  netwhy policy lint rules.nft --sarif > lint.sarif             dead, redundant, conflicting, open to all
  netwhy policy diff old.nft new.nft                            which packets meet another fate
  netwhy policy check intents.toml --policy aws/                what must hold, as a gate for CI
  netwhy policy packet rules.nft --hook forward --in eth0 tcp 10.0.0.1:4000 10.0.0.2:443
  netwhy policy waf requests.har crs/                           which rules a good request trips
  netwhy policy can 198.51.100.1 db:5432 access.json --fact mfa=true --fact identity=alice@corp.example
  netwhy policy lint haproxy.cfg host.json states.jsonl         with what netwhy host --json saw, and a history

Files may be nftables (text or JSON), iptables-save, ipset, Terraform (files or a plan as JSON), the JSON of aws,
az, gcloud, aliyun, tccli and Huawei's tools, Kubernetes manifests, nginx, haproxy and ModSecurity configuration,
and zero-trust policies as JSON; folders are read whole. Without any, the rules of this machine are read (as root).
What netwhy host --json printed tells where that host listens; lines such as
{\"time\":\"2026-01-02T03:04:05Z\",\"member\":\"10.0.0.1:80\",\"state\":\"down\"} tell what members of balancers were when.

Exit codes:
  0  allowed; nothing found; nothing changes
  1  denied; something found; something changes
  2  netwhy could not do its work
  3  it depends on what the files do not say";

/// What to ask of rules.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Policy,
}

#[derive(Debug, Subcommand)]
enum Policy {
    /// May A reach B: every rule that stops it, and the smallest change that mends it
    Can(can::Args),
    /// Everyone who may reach a port of a host
    Who(who::WhoArgs),
    /// Who reaches whom on what, as a table
    Matrix(who::MatrixArgs),
    /// What is wrong with the rules: dead, redundant, in conflict, too open, unused, dangling
    Lint(lint::Args),
    /// What changes between two sets of rules: not their text, their meaning
    Diff(diff::Args),
    /// Hold the rules against what must and must not be possible
    Check(check::Args),
    /// Send one packet, or many, through rules of nftables or iptables, on paper
    Packet(packet::Args),
    /// Which rules of a web firewall requests would trip, and the narrowest exclusion
    Waf(waf::Args),
}

/// Where the rules are.
#[derive(Debug, clap::Args)]
pub(crate) struct Sources {
    /// Files and folders with rules; this machine's own rules without any
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The same as a flag; may be repeated
    #[arg(long = "policy", value_name = "PATH")]
    more: Vec<PathBuf>,
    /// Also read the objects of the cluster that kubectl reaches, or of that context
    #[arg(long, value_name = "CONTEXT", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    cluster: Option<String>,
    #[command(flatten)]
    given: given::Words,
}

impl Sources {
    fn paths(&self) -> Vec<PathBuf> {
        self.paths.iter().chain(&self.more).cloned().collect()
    }
}

/// Asks, checks or compares; the exit code is the answer's.
pub async fn run(args: Args, common: Common) -> Result<u8> {
    // Reading and asking is work for a processor, not for the runtime.
    tokio::task::spawn_blocking(move || match args.command {
        Policy::Can(args) => can::run(&args, &common),
        Policy::Who(args) => who::who(&args, &common),
        Policy::Matrix(args) => who::matrix(&args, &common),
        Policy::Lint(args) => lint::run(&args, &common),
        Policy::Diff(args) => diff::run(&args, &common),
        Policy::Check(args) => check::run(&args, &common),
        Policy::Packet(args) => packet::run(&args, &common),
        Policy::Waf(args) => waf::run(&args, &common),
    })
    .await?
}
