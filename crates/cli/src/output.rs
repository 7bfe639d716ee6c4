//! Standard output and standard error: data on the one, everything else on the other.

use anyhow::Result;
use std::io::{IsTerminal, Write};

/// Columns a report is laid out for when stdout is no terminal.
pub const COLUMNS_DEFAULT: usize = 100;
/// Fewest columns a report is laid out for.
const COLUMNS_MIN: usize = 40;
/// Most columns a report is laid out for; longer lines are hard to read.
const COLUMNS_MAX: usize = 160;

/// Writes data to stdout; a reader that went away is an error that ends the run with code 0.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes one line to stderr; nobody listening there is no reason to stop.
pub fn warn(line: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "{line}");
}

/// Columns of the terminal stdout is, within sane bounds.
pub fn columns() -> usize {
    match terminal_size::terminal_size_of(std::io::stdout()) {
        Some((terminal_size::Width(columns), _)) => usize::from(columns).clamp(COLUMNS_MIN, COLUMNS_MAX),
        None => COLUMNS_DEFAULT,
    }
}

/// True when `NO_COLOR` is set to anything.
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// True when stdout is a terminal that shows colour and nobody refused it.
pub fn color_wanted() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    std::io::stdout().is_terminal() && !no_color() && !dumb
}
