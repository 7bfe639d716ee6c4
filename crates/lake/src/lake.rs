//! The lake as callers see it.

use crate::cluster::{ATTEMPT_COUNT_MAX, is_lost, wait};
use crate::error::LakeError;
use crate::import::{self, ImportReport, ImportStep};
use crate::manifest::Manifest;
use crate::question::Question;
use crate::retention::{self, RetentionReport};
use crate::rows::Rows;
use crate::session;
use crate::store::Store;
use crate::text::NeedsWide;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

/// Memory that a query may take by default, in bytes; beyond it sorts and groups go to disk.
const MEMORY_BYTES_MAX: usize = 1 << 30;
/// Rows that a query returns at most by default.
const ROW_COUNT_MAX: usize = 1_000_000;
/// Random bytes in the name of a file.
const UNIQUE_BYTES: usize = 12;

/// How a lake is opened.
#[derive(Debug, Clone)]
pub struct LakeOptions {
    /// The object store's own options by their names in lower case: `aws_access_key_id`, `aws_endpoint`, ….
    pub store: BTreeMap<String, String>,
    pub workers: usize,
    /// What queries may take together; more goes to temporary files, or is an error where it cannot.
    pub memory_bytes_max: usize,
    /// What `query` returns at most; more is an error.
    pub row_count_max: usize,
    /// Further tables of queries by name, each a CSV file with a header: security groups, names of hosts, ….
    pub tables: BTreeMap<String, PathBuf>,
    /// `ballista://host:port`, to ask a cluster.
    pub cluster: Option<String>,
    pub cancel: Cancel,
}

impl Default for LakeOptions {
    fn default() -> LakeOptions {
        LakeOptions {
            store: BTreeMap::new(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes_max: MEMORY_BYTES_MAX,
            row_count_max: ROW_COUNT_MAX,
            tables: BTreeMap::new(),
            cluster: None,
            cancel: Cancel::default(),
        }
    }
}

/// Stops what runs, from any thread.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An open lake.
#[derive(Debug)]
pub struct Lake {
    pub(crate) store: Store,
    pub(crate) options: LakeOptions,
    runtime: Runtime,
    count: AtomicU64,
}

impl Lake {
    /// Opens a lake, a new one where there is none: a folder, `s3://…`, `gs://…` or `az://…`.
    pub fn open(location: &str, options: LakeOptions) -> Result<Lake, LakeError> {
        let runtime = session::runtime(&options)?;
        let store = {
            let _inside = runtime.enter();
            Store::open(location, &options.store)?
        };
        Ok(Lake { store, options, runtime, count: AtomicU64::new(0) })
    }

    /// Imports files, each whole or not at all, and each once whatever it is called.
    pub fn import(
        &self,
        inputs: &[PathBuf],
        progress: &mut dyn FnMut(ImportStep),
    ) -> Result<ImportReport, LakeError> {
        import::import(self, inputs, progress)
    }

    /// Drops what is older than `keep_days` before `now_ms`, and merges small files.
    pub fn retention(&self, keep_days: u32, now_ms: i64) -> Result<RetentionReport, LakeError> {
        retention::retention(self, keep_days, now_ms)
    }

    /// Answers a question from all records of the lake.
    pub fn query(&self, question: &Question) -> Result<Rows, LakeError> {
        self.block_on(async {
            let manifest = Manifest::newest(&self.store).await?;
            self.ask(&manifest, question).await
        })
    }

    /// Asks, and asks again where the cluster's scheduler was lost meanwhile.
    async fn ask(&self, manifest: &Manifest, question: &Question) -> Result<Rows, LakeError> {
        for attempt in 1.. {
            let asked = async {
                let context = session::over_lake(self, manifest).await?;
                session::ask(&context, question, &self.options).await
            };
            let (error, address) = match (asked.await, &self.options.cluster) {
                (Err(error), Some(address)) if is_lost(&error) => (error, address),
                (answer, _) => return answer,
            };
            if attempt == ATTEMPT_COUNT_MAX {
                let (address, source) = (address.clone(), Box::new(error));
                return Err(LakeError::Scheduler { address, attempts: attempt, source });
            }
            wait(attempt).await;
        }
        Err(LakeError::Cancelled)
    }

    /// Answers a question and writes the rows as a Parquet file; returns how many.
    pub fn query_to_parquet(&self, question: &Question, path: &Path) -> Result<u64, LakeError> {
        self.block_on(async {
            let manifest = Manifest::newest(&self.store).await?;
            let context = session::over_lake(self, &manifest).await?;
            session::write(&context, question, &self.options, path).await
        })
    }

    /// Answers a question from files as they are: any text, gzip or Parquet flow log.
    pub fn query_files(
        files: &[PathBuf],
        question: &Question,
        options: &LakeOptions,
    ) -> Result<Rows, LakeError> {
        let runtime = session::runtime(options)?;
        let ask = async |wide| {
            let (context, told) = session::over_files(files, wide, options).await?;
            let mut rows = session::ask(&context, question, options).await?;
            let mut told = told.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            (rows.unread, rows.torn) = std::mem::take(&mut *told);
            Ok(rows)
        };
        runtime.block_on(async {
            match ask(false).await {
                Err(error) if NeedsWide::is_why(&error) => ask(true).await,
                answer => answer,
            }
        })
    }

    /// The earliest and the latest start of all records, and how many there are.
    pub fn extent(&self) -> Result<Option<(i64, i64, u64)>, LakeError> {
        let manifest = self.block_on(Manifest::newest(&self.store))?;
        let files = manifest.files.values();
        let bounds = files.clone().map(|file| (file.start_ms_min, file.start_ms_max));
        let bounds = bounds.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        let rows = files.map(|file| file.rows).sum();
        Ok(bounds.map(|(first, last)| (first, last, rows)))
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn check(&self) -> Result<(), LakeError> {
        if self.options.cancel.is_cancelled() { Err(LakeError::Cancelled) } else { Ok(()) }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
    }

    /// A name that no other writer gives, in any process.
    pub(crate) fn unique(&self) -> Result<String, LakeError> {
        let mut bytes = [0; UNIQUE_BYTES];
        let random = ring::rand::SystemRandom::new();
        ring::rand::SecureRandom::fill(&random, &mut bytes)
            .map_err(|_| LakeError::Encode("the system gives no random bytes".into()))?;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("{hex}-{}", self.count.fetch_add(1, Ordering::Relaxed)))
    }
}
