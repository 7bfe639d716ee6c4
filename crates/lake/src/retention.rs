//! What grew old leaves, what is in pieces becomes whole: both by the same commit as an import.
//!
//! A file that is dropped or merged stays for a while, for queries that began before; only then is it deleted.

use crate::error::LakeError;
use crate::import::hours::{FILE_ROW_COUNT_MAX, HOUR_MS, Written, write_hour};
use crate::lake::Lake;
use crate::manifest::{DataFile, Manifest};
use crate::rows::Torn;
use netwhy_flows::{Flow, Names};
use std::collections::BTreeMap;

/// How long records are kept where nobody says, in days.
pub const RETENTION_DAYS: u32 = 180;
const DAY_MS: i64 = 86_400_000;

/// What retention did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RetentionReport {
    /// Files all of whose records were too old, and these records.
    pub dropped_files: u64,
    pub dropped_rows: u64,
    /// Files that were merged, and into how many.
    pub merged_files: u64,
    pub written_files: u64,
    /// Files that no query can need any more and that were deleted.
    pub deleted_files: u64,
    /// Files of the lake that cannot be read, and why; they were left alone.
    pub damaged: Vec<Torn>,
}

pub fn retention(lake: &Lake, keep_days: u32, now_ms: i64) -> Result<RetentionReport, LakeError> {
    let _lock = lake.store.lock()?;
    let alone = lake.store.folder.is_some();
    let mut report = RetentionReport::default();
    let before_ms = now_ms.saturating_sub(i64::from(keep_days).saturating_mul(DAY_MS));
    let manifest = drop_old(lake, before_ms, &mut report)?;
    for (folder, files) in pieces(&manifest) {
        lake.check()?;
        merge(lake, &folder, files, &mut report)?;
    }
    report.deleted_files = lake.block_on(Manifest::clean(&lake.store, lake.now_ms(), alone))?;
    Ok(report)
}

fn drop_old(lake: &Lake, before_ms: i64, report: &mut RetentionReport) -> Result<Manifest, LakeError> {
    let now_ms = lake.now_ms();
    let (mut files, mut rows) = (0, 0);
    let (manifest, _) = lake.block_on(Manifest::commit(&lake.store, |newest| {
        let old = newest.files.iter().filter(|(_, file)| file.start_ms_max < before_ms);
        let old: Vec<String> = old.map(|(name, _)| name.clone()).collect();
        files = old.len() as u64;
        rows = old.iter().filter_map(|name| newest.files.get(name)).map(|file| file.rows).sum();
        for name in &old {
            newest.files.remove(name);
            newest.dropped.insert(name.clone(), now_ms);
        }
        // An input is remembered twice as long as its records: imported again, it would add what was just dropped.
        let forgotten = before_ms.saturating_sub(lake.now_ms().saturating_sub(before_ms));
        let known = newest.imports.len();
        newest.imports.retain(|_, input| input.start_ms_max >= forgotten);
        !old.is_empty() || newest.imports.len() < known
    }))?;
    (report.dropped_files, report.dropped_rows) = (files, rows);
    Ok(manifest)
}

/// The hours whose files are worth merging, and these files.
fn pieces(manifest: &Manifest) -> Vec<(String, Vec<(String, DataFile)>)> {
    let mut folders: BTreeMap<String, Vec<(String, DataFile)>> = BTreeMap::new();
    for (name, file) in &manifest.files {
        if let Some((folder, _)) = name.rsplit_once('/')
            && file.rows as usize <= FILE_ROW_COUNT_MAX / 2
        {
            folders.entry(folder.to_owned()).or_default().push((name.clone(), file.clone()));
        }
    }
    folders.into_iter().filter(|(_, files)| files.len() > 1).collect()
}

/// Merges the files of one hour into as few as they fit in.
fn merge(
    lake: &Lake,
    folder: &str,
    files: Vec<(String, DataFile)>,
    report: &mut RetentionReport,
) -> Result<(), LakeError> {
    let mut group: Vec<String> = Vec::new();
    let mut rows = 0;
    for (name, file) in files {
        if rows + file.rows as usize > FILE_ROW_COUNT_MAX {
            merge_group(lake, folder, &std::mem::take(&mut group), report)?;
            rows = 0;
        }
        rows += file.rows as usize;
        group.push(name);
    }
    merge_group(lake, folder, &group, report)
}

fn merge_group(
    lake: &Lake,
    folder: &str,
    group: &[String],
    report: &mut RetentionReport,
) -> Result<(), LakeError> {
    if group.len() < 2 {
        return Ok(());
    }
    let names = Names::default();
    let mut flows: Vec<Flow> = Vec::new();
    let mut merged = Vec::new();
    for name in group {
        let before = flows.len();
        match lake.read_file(name, &names, &mut |part| flows.extend_from_slice(part))?.torn {
            None => merged.push(name.clone()),
            Some(why) => {
                flows.truncate(before);
                report.damaged.push(Torn { file: name.clone(), why });
            }
        }
    }
    if merged.len() < 2 {
        return Ok(());
    }
    let hour = flows.first().map_or(0, |flow| flow.start_ms.div_euclid(HOUR_MS));
    let Written { name, file } = write_hour(lake, &names, hour, flows)?;
    debug_assert!(name.starts_with(folder));
    let now_ms = lake.now_ms();
    let (_, done) = lake.block_on(Manifest::commit(&lake.store, |newest| {
        // Where another writer dropped or merged one of them, what was written here does not count.
        if !merged.iter().all(|name| newest.files.contains_key(name)) {
            return false;
        }
        for name in &merged {
            newest.files.remove(name);
            newest.dropped.insert(name.clone(), now_ms);
        }
        newest.files.insert(name.clone(), file.clone());
        true
    }))?;
    if done {
        report.merged_files += merged.len() as u64;
        report.written_files += 1;
    }
    Ok(())
}
