//! The lake as callers see it.

use crate::cluster::{ATTEMPT_COUNT_MAX, is_lost, wait};
use crate::error::LakeError;
use crate::feed::{Fed, columns};
use crate::import::{self, ImportReport, ImportStep};
use crate::manifest::{self, DataFile, Manifest};
use crate::question::Question;
use crate::retention::{self, RetentionReport};
use crate::rows::{Rows, Torn};
use crate::session;
use crate::store::Store;
use crate::text::{self, NeedsWide};
use netwhy_flows::{Flow, Names, UnreadCount};
use netwhy_model::Text;
use std::collections::{BTreeMap, HashMap};
use std::fs::DirEntry;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

/// Memory that a query may take by default, in bytes; beyond it sorts and groups go to disk.
const MEMORY_BYTES_MAX: usize = 1 << 30;
/// Rows that a query returns at most by default.
const ROW_COUNT_MAX: usize = 1_000_000;
/// What the URL of an object store begins with.
const STORE_SCHEMES: [&str; 3] = ["s3", "gs", "az"];
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

    /// Whether `open` would find a lake at a place: one of an object store, or a folder with a manifest.
    pub fn is_one(location: &Path) -> bool {
        let scheme = location.to_str().and_then(|text| text.split_once("://"));
        let is_store = scheme.is_some_and(|(scheme, _)| STORE_SCHEMES.contains(&scheme));
        // Others have folders of that name too.
        let is_manifest = |entry: DirEntry| manifest::number(&entry.file_name().to_string_lossy()).is_some();
        let manifests = || location.join(manifest::FOLDER).read_dir().into_iter().flatten().flatten();
        is_store || manifests().any(is_manifest)
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
    ///
    /// Files that are damaged or gone are left out and named in the answer's `torn`.
    pub fn query(&self, question: &Question) -> Result<Rows, LakeError> {
        let (mut rows, torn) =
            self.ask_sound(async |manifest: &Manifest| self.ask(manifest, question).await)?;
        rows.torn = torn;
        Ok(rows)
    }

    /// Asks all files of the lake; where that fails, looks for what is damaged, and asks the others.
    fn ask_sound<T>(
        &self,
        ask: impl AsyncFn(&Manifest) -> Result<T, LakeError>,
    ) -> Result<(T, Vec<Torn>), LakeError> {
        let mut manifest = self.block_on(Manifest::newest(&self.store))?;
        let mut torn = self.take_gone(&mut manifest)?;
        let error = match self.block_on(ask(&manifest)) {
            Err(error) if error.may_be_damage() => error,
            answer => return answer.map(|answer| (answer, torn)),
        };
        let gone = torn.len();
        let names = Names::default();
        for (name, file) in std::mem::take(&mut manifest.files) {
            self.check()?;
            match self.read_file(&name, &names, &mut |_| {})?.torn {
                None => drop(manifest.files.insert(name, file)),
                Some(why) => torn.push(left_out(name, &file, why)),
            }
        }
        if torn.len() == gone {
            return Err(error);
        }
        Ok((self.block_on(ask(&manifest))?, torn))
    }

    /// Takes out of a manifest what is not there or not whole: a query would pass over it without a word where nothing
    /// or no byte of it is left.
    fn take_gone(&self, manifest: &mut Manifest) -> Result<Vec<Torn>, LakeError> {
        let stored = self.block_on(self.store.list("data"))?;
        let stored: HashMap<String, u64> = stored.into_iter().map(|one| (one.name, one.bytes)).collect();
        let mut gone = Vec::new();
        manifest.files.retain(|name, file| {
            let why = match stored.get(name) {
                None => gone_words(),
                Some(bytes) if *bytes != file.bytes => size_words(*bytes, file.bytes),
                Some(_) => return true,
            };
            gone.push(left_out(name.clone(), file, why));
            false
        });
        Ok(gone)
    }

    /// All records of the files that have some within these times, each once; in milliseconds since 1970.
    ///
    /// Files come hour by hour, the records of each in the order of their starts: detectors count on time going on.
    /// What is damaged is told beside what was read, and the rest is given.
    pub fn records(
        &self,
        times_ms: &Range<i64>,
        names: &Names,
        each: &mut dyn FnMut(&[Flow]),
    ) -> Result<(UnreadCount, Vec<Torn>), LakeError> {
        let manifest = self.block_on(Manifest::newest(&self.store))?;
        let mut told = (UnreadCount::default(), Vec::new());
        let mut flows = Vec::new();
        let within =
            |file: &DataFile| file.start_ms_max >= times_ms.start && file.start_ms_min < times_ms.end;
        for (name, _) in manifest.files.into_iter().filter(|(_, file)| within(file)) {
            self.check()?;
            flows.clear();
            let fed = self.read_file(&name, names, &mut |part| flows.extend_from_slice(part))?;
            flows.sort_unstable_by_key(|flow| (flow.start_ms, flow.offset));
            each(&flows);
            told.0.append(fed.count);
            told.1.extend(fed.torn.map(|why| Torn { file: name, why }));
        }
        Ok(told)
    }

    /// Reads a file of the lake; what is wrong with it is told.
    pub(crate) fn read_file(
        &self,
        name: &str,
        names: &Names,
        each: &mut dyn FnMut(&[Flow]),
    ) -> Result<Fed, LakeError> {
        let Some(bytes) = self.block_on(self.store.get(name))? else {
            return Ok(Fed { torn: Some(gone_words()), ..Fed::default() });
        };
        let file: Arc<str> = name.into();
        Ok(columns::read_all(&file, || Ok(bytes.clone()), names, each))
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

    /// Answers a question and writes the rows as a Parquet file; returns how many, and what was left out as damaged.
    pub fn query_to_parquet(&self, question: &Question, path: &Path) -> Result<(u64, Vec<Torn>), LakeError> {
        self.ask_sound(async |manifest: &Manifest| {
            let context = session::over_lake(self, manifest).await?;
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
            (rows.unread, rows.torn) = text::summed(&told);
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

/// What is said of a file that somebody deleted.
fn gone_words() -> Text {
    Text {
        en: "is in the manifest and not there".to_owned(), zh: "清单中有此文件，但它不在".to_owned()
    }
}

/// What is said of a file that was cut, or written over.
fn size_words(found: u64, written: u64) -> Text {
    Text {
        en: format!("has {found} bytes and was written with {written}"),
        zh: format!("现有 {found} 字节，写入时为 {written} 字节"),
    }
}

fn left_out(file: String, about: &DataFile, why: Text) -> Torn {
    let en = format!("{}; its {} records are left out", why.en, about.rows);
    Torn { file, why: Text { en, zh: format!("{}；略过其 {} 条记录", why.zh, about.rows) } }
}
