//! A part of a benchmark that runs in a process of its own, and the lines it says.

use anyhow::{Context, Result, bail};
use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What a part says once it does its work.
pub const READY: &str = "ready";

/// A running part; it ends when this is dropped.
#[derive(Debug)]
pub struct Part {
    child: Child,
    input: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Part {
    /// Starts it.
    pub fn start(command: &mut Command) -> Result<Part> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("starting a part")?;
        let input = child.stdin.take().context("a part without input")?;
        let answers = BufReader::new(child.stdout.take().context("a part without output")?);
        Ok(Part { child, input, answers })
    }

    /// The next line it says.
    pub fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line).context("hearing a part")? == 0 {
            bail!("a part ended early: {:?}", self.child.try_wait());
        }
        Ok(line.trim().to_owned())
    }

    /// Waits until it is ready.
    pub fn is_ready(&mut self) -> Result<()> {
        match self.hear()? {
            line if line == READY => Ok(()),
            line => bail!("a part said {line:?}"),
        }
    }

    /// Asks it for its next line.
    pub fn ask(&mut self) -> Result<String> {
        if let Err(error) = self.input.write_all(b"\n") {
            let ended = self.child.try_wait();
            return Err(error).context(format!("asking a part, which ended: {ended:?}"));
        }
        self.hear()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a part says to who started it.
pub fn say(what: impl Display) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}").and_then(|()| out.flush()).context("answering")
}
