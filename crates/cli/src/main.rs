//! The binary `netwhy`: reads what the user said, runs one command, turns its end into an exit code.

mod args;
mod chinese;
mod commands;
mod config;
mod failure;
mod language;
mod output;
mod progress;

use netwhy_model::Lang;
use std::process::ExitCode;

pub use failure::fail;
pub use output::{print, warn};

/// What every command is told besides its own arguments.
#[derive(Debug, Clone)]
pub struct Common {
    /// The language of everything written for people.
    pub lang: Lang,
    /// True when `--json` or `--format json` was asked for.
    pub json: bool,
    /// What `--format` said, for those who write more than text, JSON and HTML.
    pub format: Option<args::Format>,
    /// True when `--format html` was asked for.
    pub html: bool,
    /// True when stdout may carry colour.
    pub color: bool,
    /// True when the locale can show characters outside ASCII.
    pub unicode: bool,
    /// Columns of the terminal, or [`output::COLUMNS_DEFAULT`] when stdout is none.
    pub width: usize,
    /// How often `-v` was given.
    pub verbose: u8,
    /// What the configuration file says.
    pub config: config::Config,
}

impl Common {
    /// How a report is to look.
    pub fn style(&self) -> netwhy_report::Style {
        netwhy_report::Style {
            lang: self.lang,
            color: self.color,
            unicode: self.unicode,
            width: self.width,
            verbose: self.verbose > 0,
        }
    }
}

/// As much as the main thread has.
const WORKER_STACK_BYTES: usize = 8 << 20;

fn main() -> ExitCode {
    // Copies of this program that a lab starts end here, before any thread exists.
    if let Some(code) = netwhy_lab::maybe_inside() {
        return code;
    }
    let words: Vec<_> = std::env::args_os().collect();
    // Until the configuration is read, what can be known of the language without it.
    let mut lang = args::language_of(&words);
    let ended = args::parse(words).and_then(|parsed| run(parsed, &mut lang));
    ExitCode::from(ended.unwrap_or_else(|error| failure::report(&error, lang)))
}

/// Runs one command on a runtime that is not waited for at the end.
fn run(parsed: args::Parsed, lang: &mut Lang) -> anyhow::Result<u8> {
    let mut cli = match parsed {
        args::Parsed::Run(cli) => cli,
        args::Parsed::Told(text) => return print(&text).map(|()| 0),
    };
    let config = config::load(cli.shared.config.as_deref())?;
    let common = cli.shared.common(config)?;
    *lang = common.lang;
    commands::before_threads(&mut cli.command)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // A whole case run for another netwhy is polled on a worker, deeper than its default stack allows.
        .thread_stack_size(WORKER_STACK_BYTES)
        .build()?;
    let ended = runtime.block_on(commands::run(cli.command, common));
    // A blocking look-up that still waits must not hold the verdict back.
    runtime.shutdown_background();
    ended
}
