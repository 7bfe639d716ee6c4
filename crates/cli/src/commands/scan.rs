//! `netwhy scan HOSTS`: which ports answer at all, and how the others fail.

mod asked;
mod compare;
mod consent;
pub(crate) mod csv;
mod drive;
mod lines;
mod live;
mod notices;
mod outputs;
mod page;
mod results;
mod targets;
pub(crate) mod words;
mod xml;

use super::way::{Family, Way};
use crate::Common;
use anyhow::Result;
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy scan 10.0.0.2                          the 1,000 commonest ports
  netwhy scan 10.0.0.2 -p all -s                all 65,535, with a look at what is open
  netwhy scan shop.example -p 22,80-90,https    a public address: asked gently, after a question
  netwhy scan 10.0.0.0/16 --top 100 --exclude 10.0.7.0/24 --json
  netwhy scan @hosts.txt -p all --checkpoint scan.ckpt    and after Ctrl-C or a crash:
  netwhy scan --resume scan.ckpt
  netwhy scan 10.0.0.0/16 -p all --shard 1/4    one of four machines' parts
  netwhy scan web1 --expect open=80,443         exit code 1 when more or less is open
  netwhy scan web1 --json > today.jsonl; netwhy scan web1 --diff today.jsonl
  netwhy scan ns1 --udp                         well-known UDP services, asked in their own words

What a port can be:
  open         it accepts connections        rejected     an ICMP error says no, and who sent it
  closed       RST                           intercepted  a middlebox answers for the host
  silent       nothing, after retries        unknown      banned or limited before it was sure

Exit codes: 0 done; 1 not as expected, or not as before; 2 netwhy could not do its work;
3 not finished: banned, or out of time; 130 stopped by Ctrl-C. Scan only what you may.";

/// What `netwhy scan` takes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Names, addresses, ranges (10.0.0.1-9), blocks (10.0.0.0/24), or lists of them (@FILE, @- for stdin)
    #[arg(value_name = "HOSTS", required_unless_present = "resume")]
    hosts: Vec<String>,
    /// Ports to ask, such as 22,80-90,https or all [default: the 1000 commonest]
    #[arg(short, long, value_name = "PORTS", allow_hyphen_values = true, conflicts_with = "top")]
    ports: Option<String>,
    /// Ask the N commonest ports
    #[arg(long, value_name = "N")]
    top: Option<u32>,
    /// Leave these hosts out; as HOSTS, separated by commas
    #[arg(long, value_name = "HOSTS")]
    exclude: Vec<String>,
    /// Leave these ports out
    #[arg(long, value_name = "PORTS", allow_hyphen_values = true)]
    exclude_ports: Option<String>,
    /// Ask UDP services in their own words, instead of TCP ports
    #[arg(short = 'U', long, conflicts_with_all = ["raw", "connect"])]
    udp: bool,
    /// Look at what is open: TLS or not, HTTP, SSH or another banner, the certificate's names
    #[arg(short, long)]
    services: bool,
    /// Tell of closed and silent ports too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    pace: PaceFlags,
    /// Ask only the I-th of N equal parts, such as 1/4; every part with the same seed
    #[arg(long, value_name = "I/N", help_heading = "How to ask")]
    shard: Option<String>,
    /// Seed of the random order [default: another each time; 0 with --shard]
    #[arg(long, value_name = "NUMBER", help_heading = "How to ask")]
    seed: Option<u64>,
    /// Keep in this file where the scan stands
    #[arg(long, value_name = "FILE", conflicts_with = "resume", help_heading = "How to ask")]
    checkpoint: Option<PathBuf>,
    /// Go on where a scan stopped, and keep on in the same file
    #[arg(long, value_name = "FILE", help_heading = "How to ask")]
    resume: Option<PathBuf>,
    /// Do not ask whether this host may scan that many or public addresses
    #[arg(long, help_heading = "How to ask")]
    i_am_authorized: bool,
    /// Ports that ought to be open, and no others: open=80,443, or open=none; exit code 1 otherwise
    #[arg(long, value_name = "open=PORTS", help_heading = "Results")]
    expect: Vec<String>,
    /// Compare with an earlier scan's JSON lines; exit code 1 when something changed
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    diff: Option<PathBuf>,
    #[command(flatten)]
    outputs: outputs::Flags,
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    family: Family,
}

/// How hard to ask, and with what.
#[derive(Debug, Clone, Default, clap::Args)]
struct PaceFlags {
    /// Common ports first, below usual limits; a ban that does not end stops it [default, but not for private addresses]
    #[arg(long, conflicts_with_all = ["fast", "rate"], help_heading = "How to ask")]
    gentle: bool,
    /// As fast as the way carries
    #[arg(long, conflicts_with = "rate", help_heading = "How to ask")]
    fast: bool,
    /// At most so many packets a second, such as 500 or 20k; max turns politeness off
    #[arg(long, value_name = "N|max", help_heading = "How to ask")]
    rate: Option<String>,
    /// Pause at random between packets, so long on average
    #[arg(long, value_name = "TIME", help_heading = "How to ask")]
    jitter: Option<String>,
    /// Stop after this time
    #[arg(long, value_name = "TIME", help_heading = "How to ask")]
    max_duration: Option<String>,
    /// Send packets of netwhy's own; needs root or CAP_NET_RAW [default where possible]
    #[arg(long, conflicts_with = "connect", help_heading = "How to ask")]
    raw: bool,
    /// Connect with sockets of the system
    #[arg(long, help_heading = "How to ask")]
    connect: bool,
}

impl PaceFlags {
    /// The same flags as words, each behind a blank: a checkpoint does not keep them.
    fn again(&self) -> String {
        let mut words = String::new();
        for (given, flag) in [
            (self.gentle, " --gentle"),
            (self.fast, " --fast"),
            (self.raw, " --raw"),
            (self.connect, " --connect"),
        ] {
            words.push_str(if given { flag } else { "" });
        }
        for (value, flag) in [(&self.rate, " --rate "), (&self.jitter, " --jitter ")] {
            if let Some(value) = value {
                words.push_str(flag);
                words.push_str(value);
            }
        }
        words
    }
}

/// Runs the command; see [`EXAMPLES`] for the exit codes.
pub async fn run(args: Args, common: &Common) -> Result<u8> {
    args.outputs.check(common.json)?;
    let asked = asked::read(&args).await?;
    consent::ask(&asked.plan, args.i_am_authorized, common.lang)?;
    drive::run(&args, asked, common, netwhy_scan::scan).await
}
