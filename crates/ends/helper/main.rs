//! The serving side as tests start it at other places: `end-stdio` with pretended eyes and a pretended engine.

#[path = "../tests/common/pretend.rs"]
mod pretend;

use netwhy_ends::{ServeOptions, serve_stdio};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let asked = std::env::args().nth(1).unwrap_or_default();
    match asked.as_str() {
        "--version" => ExitCode::SUCCESS,
        "end-stdio" => stdio(),
        _ => ExitCode::from(2),
    }
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
