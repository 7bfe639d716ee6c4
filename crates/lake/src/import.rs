//! Files into the lake: each input once, whole or not at all.
//!
//! Records are gathered by hour, sorted and written as Parquet under names that no manifest knows yet. The commit of
//! the next manifest makes all files of a group of inputs count at once. A process killed before leaves files that the
//! next writer deletes; its inputs are imported again.

pub mod hours;

use crate::error::LakeError;
use crate::feed::{Fed, Feeder, hash};
use crate::lake::Lake;
use crate::manifest::{DataFile, ImportedInput, Manifest};
use hours::{Hours, Written};
use netwhy_flows::read::Wanted;
use netwhy_flows::{Names, UnreadCount};
use netwhy_model::Text;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// After how many records a group of inputs is committed, at the end of an input.
const GROUP_ROW_COUNT: u64 = 8_000_000;
/// How many shorter inputs of the same name are compared with the beginning of one that may have grown.
const EARLIER_COUNT_MAX: usize = 16;

/// What is going on, for a progress line.
#[derive(Debug, Clone)]
pub struct ImportStep {
    pub input: String,
    /// Records of this input so far.
    pub rows: u64,
}

/// What became of one input.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Added,
    /// The same bytes were imported before, under this name.
    Known(String),
    /// It goes on where an earlier import of the same file ended; only what is new was added.
    Grown(u64),
    /// It ended early, for this reason; what came before was added.
    Torn(Text),
    /// Nothing of it could be read.
    Failed(String),
}

/// One input and its outcome.
#[derive(Debug, Clone)]
pub struct Imported {
    pub input: PathBuf,
    pub outcome: Outcome,
    /// Records added.
    pub rows: u64,
    pub unread: UnreadCount,
}

/// What an import did.
#[derive(Debug, Clone, Default)]
pub struct ImportReport {
    pub inputs: Vec<Imported>,
    /// Parquet files added, and their size.
    pub files: u64,
    pub bytes: u64,
    pub rows: u64,
}

/// Inputs that are committed together.
#[derive(Default)]
struct Group {
    inputs: BTreeMap<String, ImportedInput>,
    rows: u64,
}

pub fn import(
    lake: &Lake,
    inputs: &[PathBuf],
    progress: &mut dyn FnMut(ImportStep),
) -> Result<ImportReport, LakeError> {
    let _lock = lake.store.lock()?;
    lake.block_on(Manifest::clean(&lake.store, lake.now_ms(), lake.store.folder.is_some()))?;
    let mut manifest = lake.block_on(Manifest::newest(&lake.store))?;
    let names = Arc::new(Names::default());
    let mut report = ImportReport::default();
    let mut rest = inputs.iter().peekable();
    while rest.peek().is_some() {
        let mut group = Group::default();
        let written = hours::gather(lake, &names, |hours| {
            for input in rest.by_ref() {
                let imported = one(lake, &manifest, &names, input, hours, &mut group, progress)?;
                report.inputs.push(imported);
                if group.rows >= GROUP_ROW_COUNT {
                    break;
                }
            }
            Ok(())
        })?;
        manifest = commit(lake, group, written, &mut report)?;
    }
    Ok(report)
}

fn one(
    lake: &Lake,
    manifest: &Manifest,
    names: &Arc<Names>,
    input: &Path,
    hours: &mut Hours,
    group: &mut Group,
    progress: &mut dyn FnMut(ImportStep),
) -> Result<Imported, LakeError> {
    let name = input.to_string_lossy().into_owned();
    let done = |outcome, rows, unread| Ok(Imported { input: input.to_owned(), outcome, rows, unread });
    let known = |hash: &str| manifest.imports.get(hash).or_else(|| group.inputs.get(hash));
    let size = match std::fs::metadata(input) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return done(Outcome::Failed("not a file".to_owned()), 0, UnreadCount::default()),
        Err(error) => return done(Outcome::Failed(error.to_string()), 0, UnreadCount::default()),
    };
    // Only an input as long as a known one can be it, so most inputs are read once, not twice.
    if manifest.imports.values().chain(group.inputs.values()).any(|known| known.bytes == size)
        && let Some(before) = known(&hash(input)?.0)
    {
        return done(Outcome::Known(before.name.clone()), 0, UnreadCount::default());
    }
    let skipped = grown(manifest, input, size)?;
    let feeder =
        Feeder { names: names.clone(), workers: lake.options.workers, wanted: Wanted::ALL, hashed: true };
    let (mut rows, mut start_ms_max, mut trouble) = (0u64, 0, None);
    let Fed { count, torn, hash, bytes } = feeder.read(input, &mut |flows| {
        let old = skipped.saturating_sub(rows).min(flows.len() as u64);
        rows += flows.len() as u64;
        let flows = &flows[old as usize..];
        start_ms_max = flows.iter().map(|flow| flow.start_ms).fold(start_ms_max, i64::max);
        if trouble.is_none() {
            trouble = lake.check().and_then(|()| hours.add(flows)).err();
        }
        progress(ImportStep { input: name.clone(), rows });
    })?;
    if let Some(error) = trouble {
        return Err(error);
    }
    let added = rows.saturating_sub(skipped);
    let outcome = match (&torn, skipped) {
        (Some(why), _) if rows == 0 => return done(Outcome::Failed(why.en.clone()), 0, count),
        (Some(why), _) => Outcome::Torn(why.clone()),
        (None, 0) => Outcome::Added,
        (None, _) => Outcome::Grown(skipped),
    };
    group.rows += added;
    let torn = torn.map(|why| why.en);
    group.inputs.insert(hash, ImportedInput { name, bytes, rows, unread: count.unread, start_ms_max, torn });
    done(outcome, added, count)
}

/// How many records of this file an earlier import has already, because the file only grew since (or was torn then).
fn grown(manifest: &Manifest, input: &Path, size: u64) -> Result<u64, LakeError> {
    let file_name = input.file_name();
    let mut earlier: Vec<_> = manifest
        .imports
        .iter()
        .filter(|(_, known)| known.bytes < size && Path::new(&known.name).file_name() == file_name)
        .collect();
    earlier.sort_by_key(|(_, known)| std::cmp::Reverse(known.bytes));
    for (hash, known) in earlier.into_iter().take(EARLIER_COUNT_MAX) {
        let failed = |source| LakeError::File { path: input.display().to_string(), done: "read", source };
        let beginning = File::open(input).map_err(failed)?.take(known.bytes);
        if crate::feed::hash_of(beginning).map_err(failed)?.0 == *hash {
            return Ok(known.rows);
        }
    }
    Ok(0)
}

fn commit(
    lake: &Lake,
    group: Group,
    written: Vec<Written>,
    report: &mut ImportReport,
) -> Result<Manifest, LakeError> {
    let files: BTreeMap<String, DataFile> = written.into_iter().map(|one| (one.name, one.file)).collect();
    let mut clash = None;
    let committed = Manifest::commit(&lake.store, |newest| {
        clash = group.inputs.keys().find(|hash| newest.imports.contains_key(*hash)).cloned();
        if clash.is_some() || group.inputs.is_empty() {
            return false;
        }
        newest.imports.extend(group.inputs.clone());
        newest.files.extend(files.clone());
        true
    });
    let (manifest, _) = lake.block_on(committed)?;
    if clash.is_some() {
        // Another writer of the object store had the same input; what was written here is an orphan that is cleaned.
        return Err(LakeError::Busy);
    }
    report.files += files.len() as u64;
    report.bytes += files.values().map(|file| file.bytes).sum::<u64>();
    report.rows += files.values().map(|file| file.rows).sum::<u64>();
    Ok(manifest)
}
