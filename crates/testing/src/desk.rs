//! A folder with files, and a program that runs in it.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A folder with files; runs a program in it without the settings of who runs the tests.
pub struct Desk {
    program: &'static str,
    folder: tempfile::TempDir,
}

impl Desk {
    /// Lays out files. `program` is what cargo built: `env!("CARGO_BIN_EXE_…")`.
    pub fn new(program: &'static str, files: &[(&str, &str)]) -> Desk {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        Desk { program, folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A run of the program that is not started yet.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.env_clear().env("LANG", "en_US.UTF-8").env("HOME", self.path()).current_dir(self.path());
        command.args(words).stdin(Stdio::null());
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the program runs")
    }

    /// The exit code and stdout as JSON.
    pub fn json(&self, words: &[&str]) -> (i32, Value) {
        let output = self.run(&[words, &["--json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {errors}"));
        (output.status.code().expect("an exit code"), value)
    }
}
