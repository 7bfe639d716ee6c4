//! Which files are the lake: numbered manifests, the newest counts, and writing the next one is the only commit.

use crate::error::LakeError;
use crate::store::Store;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Rises when an older netwhy could not read the manifest any more.
const VERSION: u32 = 1;
pub const FOLDER: &str = "manifest";
/// How many manifests are kept behind the newest, for readers that began with one of them.
const OLD_COUNT: u64 = 8;
/// How often a commit begins again because another writer was first.
const ATTEMPT_COUNT_MAX: u32 = 20;
/// How long a file stays after no manifest names it, for queries that still read it.
pub const DROPPED_KEPT_MS: i64 = 15 * 60 * 1000;

/// The state of a lake after one commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub version: u32,
    pub number: u64,
    /// By name, so that a question's files come in time order.
    pub files: BTreeMap<String, DataFile>,
    /// By the hash of the input's bytes.
    pub imports: BTreeMap<String, ImportedInput>,
    /// Files that count no more, and when they were dropped; deleted some time after.
    #[serde(default)]
    pub dropped: BTreeMap<String, i64>,
}

/// One Parquet file of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataFile {
    pub rows: u64,
    pub bytes: u64,
    /// The earliest and latest start.
    pub start_ms_min: i64,
    pub start_ms_max: i64,
    /// Records with an IPv6 address.
    pub wide: u64,
}

/// One input that was imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportedInput {
    pub name: String,
    pub bytes: u64,
    pub rows: u64,
    pub unread: u64,
    pub start_ms_max: i64,
    /// What ended it early, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torn: Option<String>,
}

impl Manifest {
    /// Reads the newest manifest; an empty one where the lake is new.
    pub async fn newest(store: &Store) -> Result<Manifest, LakeError> {
        // A reader may list just before a writer removes the oldest: the newest is there, unless many commits pass.
        for _ in 0..ATTEMPT_COUNT_MAX {
            let Some(number) = numbers(store).await?.last().copied() else {
                return Ok(Manifest { version: VERSION, ..Manifest::default() });
            };
            let name = name(number);
            let Some(bytes) = store.get(&name).await? else { continue };
            let manifest: Manifest = serde_json::from_slice(&bytes)
                .map_err(|error| LakeError::Manifest { path: name.clone(), why: error.to_string() })?;
            if manifest.version > VERSION {
                return Err(LakeError::Newer { found: manifest.version, known: VERSION });
            }
            return Ok(manifest);
        }
        Err(LakeError::Contended(ATTEMPT_COUNT_MAX))
    }

    /// Changes the newest manifest and commits it; where another writer is first, the change is made on theirs.
    ///
    /// `change` returns false where, seen from the newest state, nothing is to be done.
    pub async fn commit(
        store: &Store,
        mut change: impl FnMut(&mut Manifest) -> bool,
    ) -> Result<(Manifest, bool), LakeError> {
        for _ in 0..ATTEMPT_COUNT_MAX {
            let mut manifest = Manifest::newest(store).await?;
            if !change(&mut manifest) {
                return Ok((manifest, false));
            }
            manifest.number += 1;
            let text = serde_json::to_vec(&manifest).map_err(|error| LakeError::Manifest {
                path: name(manifest.number),
                why: error.to_string(),
            })?;
            if store.create(&name(manifest.number), text.into()).await? {
                return Ok((manifest, true));
            }
        }
        Err(LakeError::Contended(ATTEMPT_COUNT_MAX))
    }

    /// Deletes what no manifest needs: old manifests, dropped files past their time, and files of writers that died.
    ///
    /// `alone` says that no other writer can be at work, so that every unknown file is a dead writer's.
    pub async fn clean(store: &Store, now_ms: i64, alone: bool) -> Result<u64, LakeError> {
        let manifest = Manifest::newest(store).await?;
        let numbers = numbers(store).await?;
        for old in numbers.iter().filter(|number| **number + OLD_COUNT < manifest.number) {
            store.delete(&name(*old)).await?;
        }
        let past = |since: i64| now_ms.saturating_sub(since) > DROPPED_KEPT_MS;
        let mut deleted = 0;
        let mut gone = BTreeSet::new();
        for stored in store.list("data").await? {
            let old = match manifest.dropped.get(&stored.name) {
                Some(since) => past(*since),
                None if manifest.files.contains_key(&stored.name) => false,
                None => alone || now_ms.saturating_sub(stored.modified_ms) > 96 * DROPPED_KEPT_MS,
            };
            if old {
                store.delete(&stored.name).await?;
                deleted += 1;
                gone.insert(stored.name);
            }
        }
        let over: Vec<_> = manifest.dropped.iter().filter(|(_, since)| past(**since)).collect();
        if !over.is_empty() {
            Manifest::commit(store, |newest| {
                let before = newest.dropped.len();
                newest.dropped.retain(|_, since| !past(*since));
                newest.dropped.len() < before
            })
            .await?;
        }
        Ok(deleted)
    }
}

/// The numbers of all manifests there are, rising.
async fn numbers(store: &Store) -> Result<Vec<u64>, LakeError> {
    let listed = store.list(FOLDER).await?;
    let file_name = |name: &str| name.rsplit('/').next().and_then(number);
    let mut numbers: Vec<u64> = listed.iter().filter_map(|stored| file_name(&stored.name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The number of the manifest in a file of this name.
pub fn number(file_name: &str) -> Option<u64> {
    file_name.strip_suffix(".json")?.parse().ok()
}

fn name(number: u64) -> String {
    format!("{FOLDER}/{number:020}.json")
}
