//! `netwhy flows scheduler` and `executor`: a cluster for the questions of a lake, made of netwhy itself.

use crate::Common;
use anyhow::Result;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Share out queries.
#[derive(Debug, clap::Args)]
pub struct SchedulerArgs {
    /// Listen here for executors and for those who ask
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:50050")]
    listen: SocketAddr,
}

/// Work on queries.
#[derive(Debug, clap::Args)]
pub struct ExecutorArgs {
    /// The scheduler to work for
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:50050")]
    scheduler: SocketAddr,
    /// Listen here for other executors, which fetch what this one worked out
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,
    /// Tasks at the same time; as many as there are processors by default
    #[arg(long, value_name = "N")]
    tasks: Option<usize>,
    /// Keep what passes between stages in this folder; a temporary one by default
    #[arg(long, value_name = "FOLDER")]
    work: Option<PathBuf>,
}

#[cfg(not(feature = "lake"))]
pub(super) fn scheduler(_: &SchedulerArgs, _: &Common) -> Result<u8> {
    Err(super::lake::not_built())
}

#[cfg(not(feature = "lake"))]
pub(super) fn executor(_: &ExecutorArgs, _: &Common) -> Result<u8> {
    Err(super::lake::not_built())
}
