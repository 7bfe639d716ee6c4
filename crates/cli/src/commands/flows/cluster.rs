//! `netwhy flows scheduler` and `executor`: a cluster for the questions of a lake, made of netwhy itself.

use super::lake::Stores;
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
    #[command(flatten)]
    stores: Stores,
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
    /// Listen here for the scheduler's orders; the next port by default
    #[arg(long, value_name = "PORT")]
    orders: Option<u16>,
    /// Tasks at the same time; as many as there are processors by default
    #[arg(long, value_name = "N")]
    tasks: Option<usize>,
    /// Keep what passes between stages in this folder; a temporary one by default
    #[arg(long, value_name = "FOLDER")]
    work: Option<PathBuf>,
    /// Memory for queries, in MiB; beyond it they go to disk
    #[arg(long, value_name = "MIB", default_value_t = 1_024)]
    memory: u64,
    #[command(flatten)]
    stores: Stores,
}

#[cfg(not(feature = "lake"))]
pub(super) fn scheduler(_: &SchedulerArgs, _: &Common) -> Result<u8> {
    Err(super::lake::not_built())
}

#[cfg(not(feature = "lake"))]
pub(super) fn executor(_: &ExecutorArgs, _: &Common) -> Result<u8> {
    Err(super::lake::not_built())
}

#[cfg(feature = "lake")]
pub(super) fn scheduler(args: &SchedulerArgs, common: &Common) -> Result<u8> {
    let listen = args.listen;
    crate::warn(&match common.lang {
        netwhy_model::Lang::En => format!("scheduling at ballista://{listen}; Ctrl-C ends it"),
        netwhy_model::Lang::Zh => format!("调度器位于 ballista://{listen}；按 Ctrl-C 结束"),
    });
    speak(common);
    netwhy_lake::cluster::serve_scheduler(listen, &args.stores.options()?)?;
    Ok(0)
}

#[cfg(feature = "lake")]
pub(super) fn executor(args: &ExecutorArgs, common: &Common) -> Result<u8> {
    let (listen, scheduler) = (args.listen, args.scheduler);
    crate::warn(&match common.lang {
        netwhy_model::Lang::En => format!("working at {listen} for {scheduler}; Ctrl-C ends it"),
        netwhy_model::Lang::Zh => format!("在 {listen} 为 {scheduler} 工作；按 Ctrl-C 结束"),
    });
    speak(common);
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    netwhy_lake::cluster::serve_executor(netwhy_lake::cluster::ExecutorOptions {
        scheduler_host: scheduler.ip().to_string(),
        scheduler_port: scheduler.port(),
        host: listen.ip().to_string(),
        port: listen.port(),
        order_port: args.orders.unwrap_or(listen.port().wrapping_add(1)),
        cores: args.tasks.unwrap_or_else(processors),
        folder: args.work.clone(),
        memory_bytes_max: args.memory.saturating_mul(1 << 20),
        store: args.stores.options()?,
    })?;
    Ok(0)
}

/// What goes wrong between scheduler and executors is told; with -v also how it goes.
#[cfg(feature = "lake")]
fn speak(common: &Common) {
    netwhy_lake::cluster::speak(common.verbose > 0, |line| crate::warn(&netwhy_report::clean(line)));
}
