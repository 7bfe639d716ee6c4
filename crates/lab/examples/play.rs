//! Plays one scenario of a directory with any program in netwhy's place, and prints every event.
//!
//! `cargo run -p netwhy-lab --example play -- lab tls-expired /usr/bin/curl`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use netwhy_lab::{Library, Script};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = netwhy_lab::maybe_inside() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, name, program] = arguments.as_slice() else {
        eprintln!("usage: play DIRECTORY SCENARIO|demo PROGRAM");
        return ExitCode::from(2);
    };
    let script = match name.as_str() {
        "demo" => netwhy_lab::demo(),
        name => Library::from_directory(Path::new(directory))
            .and_then(|library| library.scenario(name))
            .map(|scenario| Script::of(&scenario)),
    };
    let played = script.and_then(|mut script| {
        script.program = Some(program.into());
        let runtime =
            tokio::runtime::Runtime::new().map_err(|error| netwhy_lab::LabError::Ended(error.to_string()))?;
        runtime.block_on(netwhy_lab::run(&script, |event| println!("{event:?}")))
    });
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}\n{}", error.hint().unwrap_or_default());
            ExitCode::from(2)
        }
    }
}
