//! What can go wrong in the lab, one sentence each.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a lab could not be described, built or run.
#[derive(Debug, Error)]
pub enum LabError {
    /// The scenario file is not what the format asks for.
    #[error("scenario {name}: {why}")]
    Scenario { name: String, why: String },
    /// No scenario or topology has this name.
    #[error("no {what} is called {name:?}")]
    Unknown { what: &'static str, name: String },
    /// The kernel forbids what the lab is made of.
    #[error("the kernel refused {what}: {source}")]
    Kernel { what: &'static str, source: io::Error },
    /// A netlink request was refused.
    #[error("netlink refused {what}: {source}")]
    Netlink { what: String, source: io::Error },
    /// A file of the lab could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: io::Error },
    /// A step of the script failed.
    #[error("step {step:?} failed: {why}")]
    Step { step: String, why: String },
    /// A service did not start, or did not become ready in time.
    #[error("service {name}: {why}")]
    Service { name: String, why: String },
    /// A certificate could not be made.
    #[error("certificate {name}: {why}")]
    Certificate { name: String, why: String },
    /// What went wrong inside, in its own words.
    #[error("{0}")]
    Inside(String),
    /// The process inside the namespaces ended without a result.
    #[error("the lab process ended early: {0}")]
    Ended(String),
    /// A signal asked for the end.
    #[error("stopped by {0}; everything was removed")]
    Interrupted(&'static str),
    /// Neither root nor unprivileged user namespaces are to be had.
    #[error("this kernel lets only root make network namespaces ({0})")]
    NeedsRoot(String),
}

impl LabError {
    /// One line that says what to do, where something can be done.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            LabError::NeedsRoot(_) => Some(
                "run it as root, or allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 \
                 (Debian), sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), \
                 sysctl -w user.max_user_namespaces=10000",
            ),
            LabError::Unknown { .. } => Some("netwhy lab list shows all names"),
            LabError::Scenario { .. } => Some("docs/lab.md describes the format"),
            _ => None,
        }
    }

    pub(crate) fn kernel(what: &'static str) -> impl FnOnce(io::Error) -> LabError {
        move |source| LabError::Kernel { what, source }
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> LabError {
        move |source| LabError::File { path: path.into(), source }
    }
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, LabError>;
