//! Any file of flow records, read as records whatever it is written in.

pub mod columns;

use crate::error::LakeError;
use netwhy_flows::dump::{self, DumpCount, DumpError};
use netwhy_flows::read::{Format, ReadError, Reader, Wanted, sniff};
use netwhy_flows::{Flow, Names, UnreadCount};
use netwhy_model::Text;
use std::error::Error;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

/// How much of a file is looked at to find out what it is, in bytes.
const HEAD_BYTES: u64 = 64 * 1024;
/// What is read at once when only the hash is wanted, in bytes.
const DRAIN_BYTES: usize = 1 << 20;

/// What became of one input.
#[derive(Debug, Default)]
pub struct Fed {
    pub count: UnreadCount,
    /// What ended it before its end, with the place.
    pub torn: Option<Text>,
    /// The SHA-256 of all its bytes, in hex; empty where it was not asked for.
    pub hash: String,
    pub bytes: u64,
}

/// How inputs are read.
#[derive(Debug, Clone)]
pub struct Feeder {
    pub names: Arc<Names>,
    pub workers: usize,
    pub wanted: Wanted,
    pub hashed: bool,
}

impl Feeder {
    /// Reads one file; `each` gets its records in file order.
    pub fn read(&self, path: &Path, each: &mut dyn FnMut(&[Flow])) -> Result<Fed, LakeError> {
        self.open(path, |opened| match opened {
            Opened::Columns => columns::read(path, &self.names, each),
            Opened::Dump(kind, name, input) => fed_by_dump(dump::read(kind, &self.names, name, input, each)),
            Opened::Log(reader, name, input) => {
                fed(reader.read(name, input, &mut |block| each(&block.flows)))
            }
        })
    }

    /// Reads one file; `map` runs beside each other on its stretches, `each` gets what came of them in file order.
    pub fn map<T: Send>(
        &self,
        path: &Path,
        map: impl Fn(&[Flow]) -> T + Sync,
        mut each: impl FnMut(T),
    ) -> Result<Fed, LakeError> {
        self.open(path, |opened| match opened {
            Opened::Columns => columns::read(path, &self.names, &mut |flows| each(map(flows))),
            Opened::Dump(kind, name, input) => {
                fed_by_dump(dump::read(kind, &self.names, name, input, &mut |flows| each(map(flows))))
            }
            Opened::Log(reader, name, input) => fed(reader.map(name, input, map, each)),
        })
    }

    fn open(&self, path: &Path, read: impl FnOnce(Opened<'_>) -> Fed) -> Result<Fed, LakeError> {
        let failed = |source| LakeError::File { path: path.display().to_string(), done: "read", source };
        let mut file = File::open(path).map_err(failed)?;
        let mut head = Vec::new();
        (&mut file).take(HEAD_BYTES).read_to_end(&mut head).map_err(failed)?;
        let name = path.to_string_lossy();
        if sniff(&name, &head) == Some(Format::Parquet) {
            let mut fed = read(Opened::Columns);
            if self.hashed {
                (fed.hash, fed.bytes) = hash(path)?;
            }
            return Ok(fed);
        }
        let kind = match sniff(&name, &head) {
            None | Some(Format::Pcap | Format::Pcapng) => dump::sniff(&head),
            Some(_) => None,
        };
        let mut input = Hashed::new(Cursor::new(head).chain(file), self.hashed);
        let mut reader = Reader::new(self.names.clone());
        reader.workers = self.workers;
        reader.wanted = self.wanted;
        let mut fed = match kind {
            Some(kind) => read(Opened::Dump(kind, &name, &mut input)),
            None => read(Opened::Log(&reader, &name, &mut input)),
        };
        if self.hashed {
            // The reader stops before the end of a torn stream; the hash is of the whole file.
            let mut rest = vec![0; DRAIN_BYTES];
            while input.read(&mut rest).map_err(failed)? > 0 {}
            (fed.hash, fed.bytes) = input.finish();
        }
        Ok(fed)
    }
}

type Input = Hashed<std::io::Chain<Cursor<Vec<u8>>, File>>;

/// What an input turned out to be.
enum Opened<'a> {
    Columns,
    Dump(dump::Kind, &'a str, &'a mut Input),
    Log(&'a Reader, &'a str, &'a mut Input),
}

fn fed(read: Result<UnreadCount, ReadError>) -> Fed {
    match read {
        Ok(count) => Fed { count, ..Fed::default() },
        Err(error) => Fed { torn: Some(alike(error.to_string())), count: error.count, ..Fed::default() },
    }
}

fn fed_by_dump(read: Result<DumpCount, DumpError>) -> Fed {
    match read {
        Ok(count) => Fed { count: count.unread, ..Fed::default() },
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Fed { torn: Some(alike(format!("{error}{cause}"))), ..Fed::default() }
        }
    }
}

/// The words of a library, which speaks one language.
fn alike(text: String) -> Text {
    Text { zh: text.clone(), en: text }
}

/// The hash and length of a file's bytes.
pub fn hash(path: &Path) -> Result<(String, u64), LakeError> {
    let hashed = File::open(path).and_then(hash_of);
    hashed.map_err(|source| LakeError::File { path: path.display().to_string(), done: "read", source })
}

/// The hash and length of what an input gives until its end.
pub fn hash_of(input: impl Read) -> std::io::Result<(String, u64)> {
    let mut input = Hashed::new(input, true);
    let mut rest = vec![0; DRAIN_BYTES];
    while input.read(&mut rest)? > 0 {}
    Ok(input.finish())
}

/// An input whose bytes are hashed as they pass.
struct Hashed<R> {
    inner: R,
    digest: Option<ring::digest::Context>,
    bytes: u64,
}

impl<R: Read> Hashed<R> {
    fn new(inner: R, hashed: bool) -> Hashed<R> {
        let digest = hashed.then(|| ring::digest::Context::new(&ring::digest::SHA256));
        Hashed { inner, digest, bytes: 0 }
    }

    fn finish(self) -> (String, u64) {
        let hash = self.digest.map(|digest| digest.finish());
        let hex = |hash: &[u8]| hash.iter().map(|byte| format!("{byte:02x}")).collect();
        (hash.map(|hash| hex(hash.as_ref())).unwrap_or_default(), self.bytes)
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(&buffer[..count]);
        }
        Ok(count)
    }
}
