//! `netwhy agent`: an end that listens, for clients with a certificate of its own authority only.

use std::path::{Path, PathBuf};

/// PEM files a client of an agent needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCredentials {
    /// The authority that signed both certificates.
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl AgentCredentials {
    /// The client's files as `netwhy agent init DIR` names them.
    pub fn in_directory(directory: &Path) -> AgentCredentials {
        AgentCredentials {
            authority: directory.join("ca.pem"),
            certificate: directory.join("client.pem"),
            key: directory.join("client.key"),
        }
    }
}
