//! Where a lake lives: a folder or a prefix of an object store, written so that a reader never sees half an object.

use crate::error::LakeError;
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use url::Url;

/// The most objects one listing may return.
const LISTED_COUNT_MAX: usize = 4_000_000;
/// The end of a name that is not finished.
const UNFINISHED: &str = ".unfinished";

/// One lake's own part of a store; names are relative to it.
#[derive(Debug, Clone)]
pub struct Store {
    pub objects: Arc<dyn ObjectStore>,
    pub prefix: Path,
    /// The scheme and host under which DataFusion finds the store.
    pub base: Url,
    /// The folder, where it is one of this machine.
    pub folder: Option<PathBuf>,
}

/// One stored object.
#[derive(Debug, Clone)]
pub struct Stored {
    pub name: String,
    pub bytes: u64,
    pub modified_ms: i64,
}

impl Store {
    /// Opens a folder path or a URL; `options` are the store's own (`aws_region`, `azure_storage_account_name`, …).
    pub fn open(location: &str, options: &BTreeMap<String, String>) -> Result<Store, LakeError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| LakeError::Open {
            place: location.to_owned(),
            source,
        };
        match Url::parse(location) {
            // One letter is a drive, not a scheme.
            Ok(url) if url.scheme().len() > 1 && url.scheme() != "file" => {
                let (objects, prefix) =
                    object_store::parse_url_opts(&url, options).map_err(|error| failed(Box::new(error)))?;
                let base = Url::parse(&format!("{}://{}", url.scheme(), url.authority()))
                    .map_err(|error| failed(Box::new(error)))?;
                Ok(Store { objects: Arc::from(objects), prefix, base, folder: None })
            }
            Ok(url) if url.scheme() == "file" => {
                let path = url.to_file_path().map_err(|()| failed("not a path of this machine".into()))?;
                Store::folder(&path).map_err(|error| failed(Box::new(error)))
            }
            _ => Store::folder(FilePath::new(location)).map_err(|error| failed(Box::new(error))),
        }
    }

    fn folder(path: &FilePath) -> Result<Store, std::io::Error> {
        fs::create_dir_all(path)?;
        let folder = path.canonicalize()?;
        let prefix = Path::from_absolute_path(&folder)
            .map_err(|error| std::io::Error::new(ErrorKind::InvalidInput, error))?;
        let base =
            Url::parse("file://").map_err(|error| std::io::Error::new(ErrorKind::InvalidInput, error))?;
        let objects = Arc::new(object_store::local::LocalFileSystem::new());
        Ok(Store { objects, prefix, base, folder: Some(folder) })
    }

    /// The whole path of a name, as the store knows it.
    pub fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// The URL of a name, for DataFusion.
    pub fn url(&self, name: &str) -> String {
        let base = self.base.as_str().trim_end_matches('/');
        format!("{base}/{}", self.path(name))
    }

    /// Writes an object whole or not at all, on disk before it returns.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), LakeError> {
        match &self.folder {
            Some(folder) => {
                let path = folder.join(name);
                let done = unfinished(&path, &bytes).and_then(|written| {
                    fs::rename(written, &path)?;
                    sync_folder(&path)
                });
                done.map_err(|source| file_error(&path, "written", source))
            }
            None => {
                let written = self.objects.put(&self.path(name), bytes.into()).await;
                written.map(|_| ()).map_err(|source| store_error(name, "written", source))
            }
        }
    }

    /// Writes an object unless its name is taken; returns whether it did.
    pub async fn create(&self, name: &str, bytes: Bytes) -> Result<bool, LakeError> {
        let Some(folder) = &self.folder else {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            return match self.objects.put_opts(&self.path(name), bytes.into(), options).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                    Ok(false)
                }
                Err(source) => Err(store_error(name, "written", source)),
            };
        };
        let path = folder.join(name);
        let created = unfinished(&path, &bytes).and_then(|written| {
            // A hard link fails where the name is taken, which a rename would replace.
            let linked = fs::hard_link(&written, &path);
            fs::remove_file(&written)?;
            match linked {
                Ok(()) => sync_folder(&path).map(|()| true),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error),
            }
        });
        created.map_err(|source| file_error(&path, "written", source))
    }

    /// Reads a whole object; `None` where there is none.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, LakeError> {
        let got = match self.objects.get(&self.path(name)).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(store_error(name, "read", source)),
        };
        got.bytes().await.map(Some).map_err(|source| store_error(name, "read", source))
    }

    /// Every object under a folder name; unfinished ones are told as they stand.
    pub async fn list(&self, folder: &str) -> Result<Vec<Stored>, LakeError> {
        let under = self.path(folder);
        let mut listed = Vec::new();
        let mut objects = self.objects.list(Some(&under));
        loop {
            let next = objects.try_next().await;
            let Some(meta) = next.map_err(|source| store_error(folder, "listed", source))? else {
                return Ok(listed);
            };
            if listed.len() >= LISTED_COUNT_MAX {
                return Ok(listed);
            }
            let parts = meta.location.prefix_match(&self.prefix);
            let name =
                parts.map(|parts| parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"));
            if let Some(name) = name {
                let modified_ms = meta.last_modified.timestamp_millis();
                listed.push(Stored { name, bytes: meta.size, modified_ms });
            }
        }
    }

    /// Deletes an object; one that is gone already is fine.
    pub async fn delete(&self, name: &str) -> Result<(), LakeError> {
        match self.objects.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(store_error(name, "deleted", source)),
        }
    }

    /// Keeps other writers of this machine out until the guard is dropped or the process ends.
    ///
    /// An object store has no such lock; there the manifest's own number decides, and losers begin again.
    pub fn lock(&self) -> Result<Option<File>, LakeError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let path = folder.join("lock");
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|source| file_error(&path, "opened", source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Err(LakeError::Busy),
            Err(fs::TryLockError::Error(source)) => Err(file_error(&path, "locked", source)),
        }
    }
}

/// Writes the bytes beside their final name and waits until they are on disk.
fn unfinished(path: &FilePath, bytes: &[u8]) -> Result<PathBuf, std::io::Error> {
    if let Some(folder) = path.parent()
        && !folder.exists()
    {
        fs::create_dir_all(folder)?;
        sync_folder(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}{UNFINISHED}", std::process::id()));
    let written = PathBuf::from(name);
    let mut file = File::create(&written)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(written)
}

/// A name is on disk when its folder is.
fn sync_folder(path: &FilePath) -> Result<(), std::io::Error> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn file_error(path: &FilePath, done: &'static str, source: std::io::Error) -> LakeError {
    LakeError::File { path: path.display().to_string(), done, source }
}

fn store_error(path: &str, done: &'static str, source: object_store::Error) -> LakeError {
    LakeError::Store { path: path.to_owned(), done, source }
}
