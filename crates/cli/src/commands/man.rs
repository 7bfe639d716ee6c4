//! `netwhy man`: the manual pages, from the one definition.

use crate::failure::while_trying;
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy man | man -l -            read it now
  netwhy man --dir /usr/share/man/man1";

/// Where the pages go.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Write the page of every command into this folder, instead of the first one to stdout
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Writes roff.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let definition = crate::args::definition();
    if let Some(folder) = &args.dir {
        let shown = folder.display();
        clap_mangen::generate_to(definition, folder).map_err(|error| {
            let tried = (format!("cannot write pages into {shown}"), format!("无法把手册页写入 {shown}"));
            while_trying(tried, error)
        })?;
        return Ok(0);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(definition).manual("netwhy").render(&mut page)?;
    crate::print(&String::from_utf8_lossy(&page))?;
    Ok(0)
}
