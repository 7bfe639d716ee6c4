//! DataFusion set up for flows: functions, rules, limits; and an answer from it.

use crate::error::LakeError;
use crate::functions;
use crate::lake::{Lake, LakeOptions};
use crate::listing;
use crate::manifest::Manifest;
use crate::question::Question;
use crate::rows::Rows;
use crate::rules;
use crate::text::{TextTable, Told};
use datafusion::arrow::datatypes::Schema;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::optimizer::Analyzer;
use datafusion::prelude::{CsvReadOptions, DataFrame, SessionConfig, SessionContext};
use futures_util::StreamExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// The table all questions are about.
pub const TABLE: &str = "flows";
/// Rows of one batch: large ones save calls, and still lie in the second cache.
const BATCH_ROW_COUNT: usize = 16 * 1024;
/// Temporary files of one query, in bytes.
const SPILLED_BYTES_MAX: u64 = 100 << 30;
/// How often a running query looks whether it was stopped.
const CANCEL_INTERVAL: Duration = Duration::from_millis(50);

/// The threads that queries run on.
pub fn runtime(options: &LakeOptions) -> Result<Runtime, LakeError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.workers.max(1))
        .enable_all()
        .build()
        .map_err(|source| LakeError::File { path: "the runtime".to_owned(), done: "started", source })
}

/// The settings of every query.
pub fn config(options: &LakeOptions) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(options.workers.max(1))
        .with_batch_size(BATCH_ROW_COUNT)
        .with_information_schema(true)
        // The files say so themselves: the manifest counts what they hold.
        .with_collect_statistics(true);
    config.options_mut().execution.time_zone = Some("UTC".to_owned());
    config
}

/// A session that knows what flows are; `local` says that plans run in this process.
pub fn state(options: &LakeOptions, local: bool) -> Result<SessionState, LakeError> {
    let memory = Arc::new(FairSpillPool::new(options.memory_bytes_max));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(memory)
        .with_max_temp_directory_size(SPILLED_BYTES_MAX)
        .build_arc()?;
    let mut analyzers = Analyzer::new().rules;
    analyzers.insert(0, Arc::new(rules::addresses::Addresses));
    let mut builder = SessionStateBuilder::new()
        .with_default_features()
        .with_config(config(options))
        .with_runtime_env(runtime)
        .with_analyzer_rules(analyzers)
        .with_optimizer_rule(Arc::new(rules::two_level::TwoLevel))
        .with_optimizer_rule(Arc::new(rules::early_sum::EarlySum));
    if local {
        builder = builder.with_physical_optimizer_rule(Arc::new(rules::own::UseOwn));
    }
    if let Some(functions) = builder.scalar_functions() {
        functions.extend(functions::all());
    }
    Ok(builder.build())
}

/// A session with the lake's records as `flows`.
pub async fn over_lake(lake: &Lake, manifest: &Manifest) -> Result<SessionContext, LakeError> {
    let context = match &lake.options.cluster {
        None => SessionContext::new_with_state(state(&lake.options, true)?),
        Some(address) => crate::cluster::context(address, &lake.options).await?,
    };
    context.register_object_store(&lake.store.base, lake.store.objects.clone());
    let files = manifest.files.iter().map(|(name, file)| (lake.store.url(name), file.clone())).collect();
    listing::register(&context, files, lake.options.cluster.is_none())?;
    further(&context, &lake.options).await?;
    Ok(context)
}

/// The tables that the caller has beside the flows.
async fn further(context: &SessionContext, options: &LakeOptions) -> Result<(), LakeError> {
    for (name, path) in &options.tables {
        // A cluster's executors run in folders of their own.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        context.register_csv(name.as_str(), path.to_string_lossy(), CsvReadOptions::new()).await?;
    }
    Ok(())
}

/// A session with files as `flows`, whatever they are written in; and where it is told what could not be read.
pub async fn over_files(
    files: &[PathBuf],
    wide: bool,
    options: &LakeOptions,
) -> Result<(SessionContext, Told), LakeError> {
    let context = SessionContext::new_with_state(state(options, true)?);
    let table = TextTable::new(files.to_vec(), wide, options);
    let told = table.told();
    context.register_table(TABLE, Arc::new(table))?;
    further(&context, options).await?;
    Ok((context, told))
}

/// Runs a question; the rows are counted and the caller may stop it.
pub async fn ask(
    context: &SessionContext,
    question: &Question,
    options: &LakeOptions,
) -> Result<Rows, LakeError> {
    let frame = frame(context, question).await?;
    let schema: &Schema = frame.schema().as_arrow();
    let mut rows = Rows::new(schema);
    let mut stream = unless(options, frame.execute_stream()).await??;
    while let Some(batch) = unless(options, stream.next()).await? {
        rows.push(&batch?).map_err(DataFusionError::from)?;
        if rows.rows.len() > options.row_count_max {
            return Err(LakeError::TooManyRows(options.row_count_max));
        }
    }
    Ok(rows)
}

/// Runs a question into a Parquet file, whole or not at all.
pub async fn write(
    context: &SessionContext,
    question: &Question,
    options: &LakeOptions,
    path: &Path,
) -> Result<u64, LakeError> {
    let frame = frame(context, question).await?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished.parquet");
    let unfinished = PathBuf::from(unfinished);
    let place = unfinished.to_string_lossy().into_owned();
    let settings = DataFrameWriteOptions::new().with_single_file_output(true);
    let written = unless(options, frame.write_parquet(&place, settings, None)).await??;
    std::fs::rename(&unfinished, path).map_err(|source| LakeError::File {
        path: path.display().to_string(),
        done: "written",
        source,
    })?;
    let mut rows = Rows::default();
    for batch in &written {
        rows = Rows::new(&batch.schema());
        rows.push(batch).map_err(DataFusionError::from)?;
    }
    Ok(match rows.rows.first().and_then(|row| row.first()) {
        Some(crate::rows::Cell::Unsigned(count)) => *count,
        _ => 0,
    })
}

async fn frame(context: &SessionContext, question: &Question) -> Result<DataFrame, LakeError> {
    question.check()?;
    // A question reads: it makes no tables, writes no files and sets nothing.
    let only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    Ok(context.sql_with_options(&question.sql(), only).await?)
}

/// Waits for a future, unless the caller stops the query.
async fn unless<T>(options: &LakeOptions, future: impl Future<Output = T>) -> Result<T, LakeError> {
    let mut future = std::pin::pin!(future);
    loop {
        // Until the caller cancels or the future ends; each has its own limit.
        if options.cancel.is_cancelled() {
            return Err(LakeError::Cancelled);
        }
        if let Ok(done) = tokio::time::timeout(CANCEL_INTERVAL, &mut future).await {
            return Ok(done);
        }
    }
}
