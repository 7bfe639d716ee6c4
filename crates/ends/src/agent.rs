//! `netwhy agent`: an end that listens, for clients with a certificate of its own authority only.

mod client;
mod issue;
mod privilege;
mod server;
mod verify;

pub(crate) use client::connect;
pub use issue::{Issue, issue};
pub use privilege::{Privileges, drop_privileges};
pub use server::{Agent, AgentEvent, AgentLimits};

use crate::error::EndError;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What an agent says first, so that a refused client hears of it at once.
const WELCOME: &str = "netwhy-end/1 agent";
/// Largest PEM file read, in bytes.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// PEM files a client of an agent needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCredentials {
    /// The authority that signed both certificates.
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// PEM files an agent needs: the same three, its own certificate and key among them.
pub type AgentFiles = AgentCredentials;

impl AgentCredentials {
    /// The client's files as `netwhy agent init DIR` names them.
    pub fn in_directory(directory: &Path) -> AgentCredentials {
        AgentCredentials::named(directory, "client")
    }

    /// The agent's own files as `netwhy agent init DIR` names them.
    pub fn of_agent(directory: &Path) -> AgentFiles {
        AgentCredentials::named(directory, "agent")
    }

    fn named(directory: &Path, name: &str) -> AgentCredentials {
        AgentCredentials {
            authority: directory.join("ca.pem"),
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        }
    }

    fn read(&self) -> Result<Loaded, EndError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authority)? {
            roots.add(certificate).map_err(|error| unusable(&self.authority, error))?;
        }
        let key = read(&self.key, Secret::Yes)?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| unusable(&self.key, "it holds no private key"))?;
        Ok(Loaded { roots, chain: certificates(&self.certificate)?, key })
    }
}

/// The files, read.
struct Loaded {
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Secret {
    Yes,
    No,
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, EndError> {
    let text = read(path, Secret::No)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unusable(path, "it holds no certificate")),
        Err(_) => Err(unusable(path, "it is no PEM file")),
    }
}

fn read(path: &Path, secret: Secret) -> Result<Vec<u8>, EndError> {
    let file = std::fs::File::open(path).map_err(|error| unusable(path, error))?;
    let mode = file.metadata().map_err(|error| unusable(path, error))?.mode();
    if secret == Secret::Yes && mode & 0o077 != 0 {
        return Err(unusable(path, "others may read this key"));
    }
    let mut bytes = Vec::new();
    file.take(PEM_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| unusable(path, error))?;
    Ok(bytes)
}

fn unusable(path: &Path, why: impl ToString) -> EndError {
    EndError::Credentials { path: path.display().to_string(), why: why.to_string() }
}
