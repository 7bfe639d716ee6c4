//! `netwhy lab`: real faults in network namespaces, to learn from and to be judged by.

mod list;
mod play;
mod score;

use crate::Common;
use std::path::PathBuf;

pub(super) use play::{Teller, play};

pub(crate) const EXAMPLES: &str = "\
Each scenario builds a network in namespaces of its own, breaks it for real, runs netwhy inside, mends it and
runs netwhy again. Nothing outside is touched and nothing is left behind. Works without root wherever the
kernel lets users make namespaces.

Examples:
  netwhy lab list                    every scenario, layer by layer
  netwhy lab run tls-expired         learn the tool in a minute
  netwhy lab run hostfw-drop -v      and see all that was seen
  netwhy lab score --filter dns      how often netwhy is right about names
  netwhy lab score --out results.json --keep cases/
  netwhy lab score --ends both       the same with a way into the client, the edge and the origin";

/// What to do in the lab.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the scenarios
    List(list::Args),
    /// Play scenarios before your eyes: built, broken, diagnosed, mended, diagnosed again
    Run(play::Args),
    /// Play all of them and count how often the first cause was the true one
    Score(score::Args),
}

/// Where scenarios come from and how they are dressed; shared by all three.
#[derive(Debug, Clone, clap::Args)]
struct Source {
    /// Read scenarios and topologies from this directory instead of those built in
    #[arg(long, value_name = "DIR")]
    lab: Option<PathBuf>,
    /// Move all addresses and names, and throw other dice; 0 leaves them as written
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Strew harmless oddities over the network, drawn by the seed
    #[arg(long)]
    odd: bool,
    /// Run this program in netwhy's place
    #[arg(long, value_name = "FILE", hide = true)]
    program: Option<PathBuf>,
}

/// Where netwhy looks from; shared by run and score.
#[derive(Debug, Clone, clap::Args)]
struct Standpoint {
    /// Run netwhy on the client alone, beside the lab with a way into both ends, or into every router too
    #[arg(long, value_name = "WHICH", default_value = "client", value_parser = clap::builder::PossibleValuesParser::new(netwhy_lab::Ends::NAMES))]
    ends: String,
}

impl Standpoint {
    fn ends(&self) -> netwhy_lab::Ends {
        netwhy_lab::Ends::named(&self.ends)
    }
}

impl Source {
    fn library(&self) -> netwhy_lab::Result<netwhy_lab::Library> {
        let library = match &self.lab {
            Some(directory) => netwhy_lab::Library::from_directory(directory)?,
            None => netwhy_lab::Library::built_in(),
        };
        Ok(library.moved(self.seed))
    }
}

/// Runs the sub-command; the number is the exit code.
pub async fn run(args: Args, common: Common) -> anyhow::Result<u8> {
    match args.command {
        Command::List(args) => list::run(&args, &common),
        Command::Run(args) => play::run(&args, &common).await,
        Command::Score(args) => score::run(args, &common).await,
    }
}
