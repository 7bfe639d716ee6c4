//! The serving side as tests start it at other places: `end-stdio` with pretended eyes and a pretended engine.

#[path = "../tests/common/pretend.rs"]
mod pretend;

use netwhy_ends::{At, Ends, OpenOptions, ServeOptions, serve_stdio};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

fn main() -> ExitCode {
    let asked = std::env::args().nth(1).unwrap_or_default();
    match asked.as_str() {
        "--version" => ExitCode::SUCCESS,
        "end-stdio" => stdio(),
        "control" => control(),
        _ => ExitCode::from(2),
    }
}

/// Opens one end, writes the number of the process that answers there, and stays.
fn control() -> ExitCode {
    let place = std::env::args().nth(2).and_then(|text| text.parse::<At>().ok());
    let (Some(at), Ok(runtime)) = (place, tokio::runtime::Runtime::new()) else { return ExitCode::FAILURE };
    runtime.block_on(async {
        let ends = Ends::open(&[(at.name, at.place)], &OpenOptions::default()).await;
        let Some(opened) = ends.opened().first() else { return ExitCode::FAILURE };
        let Ok(seen) = opened.end.snapshot(0, false).await else { return ExitCode::FAILURE };
        let pid = seen.processes.first().map_or(0, |process| process.pid);
        if writeln!(std::io::stdout(), "{pid}").is_err() {
            return ExitCode::FAILURE;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        ExitCode::SUCCESS
    })
}

fn stdio() -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let options = ServeOptions::new(Arc::new(pretend::Eyes::default()), Some(Arc::new(pretend::Engine)));
    let ended = runtime.block_on(serve_stdio(options));
    runtime.shutdown_background();
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
