//! `netwhy completions SHELL`: the completions of a shell, from the one definition.

use clap_complete::Shell;

pub(crate) const EXAMPLES: &str =
    "Example:\n  netwhy completions bash > ~/.local/share/bash-completion/completions/netwhy";

/// Which shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell to write for
    shell: Shell,
}

/// Writes them to stdout.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::definition(), "netwhy", &mut script);
    crate::print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
