//! What stops a scan before or while it runs.

/// Why a scan could not be planned or run.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// A target, a port list or a shard that cannot be read. `place` quotes the part, `hint` says what would do.
    #[error("{place}: {problem} ({hint})")]
    Input { place: String, problem: String, hint: String },
    /// No privilege for the engine that was asked for.
    #[error("{what} needs {privilege}")]
    Privilege { what: &'static str, privilege: &'static str },
    /// No way to any of the targets.
    #[error("no route to {host}: {reason}")]
    NoRoute { host: std::net::IpAddr, reason: String },
    /// The interface went away or down while the scan ran.
    #[error("interface {name} went down after {asked} questions")]
    InterfaceDown { name: String, asked: u64 },
    /// A checkpoint that is torn, of another plan, or cannot be written.
    #[error("checkpoint {path}: {problem}")]
    Checkpoint { path: std::path::PathBuf, problem: String },
    /// The system refused something, such as memory for the ring.
    #[error("{doing}: {source}")]
    System { doing: String, source: std::io::Error },
}
