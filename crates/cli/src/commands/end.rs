//! The hidden `end-stdio`: this netwhy is an end, spoken to over stdin and stdout.

use anyhow::Result;
use netwhy_ends::{HostEyes, ServeOptions, serve_stdio};
use netwhy_engine::EngineRunner;
use std::sync::Arc;

/// Answers until stdin ends; nothing else is written to stdout meanwhile.
pub async fn run() -> Result<u8> {
    let options = ServeOptions::new(Arc::new(HostEyes), Some(Arc::new(EngineRunner)));
    serve_stdio(options).await?;
    Ok(0)
}
