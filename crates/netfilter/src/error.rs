//! Why the packet filter could not be read or traced.

use netwhy_netlink::NetlinkError;
use thiserror::Error;

/// What this crate tried when it failed.
#[derive(Debug, Error)]
pub enum NetfilterError {
    #[error("no netfilter socket could be opened")]
    Open(#[source] NetlinkError),
    #[error("the {what} could not be read")]
    Read {
        what: &'static str,
        #[source]
        source: NetlinkError,
    },
    #[error("the iptables table {table} could not be read")]
    Legacy {
        table: String,
        #[source]
        source: NetlinkError,
    },
    #[error("connection tracking is not in use here")]
    NoConntrack,
    #[error("rule tracing could not be set up")]
    Trace(#[source] NetlinkError),
}

impl NetfilterError {
    /// The kernel's errno, when it gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            NetfilterError::Open(source)
            | NetfilterError::Read { source, .. }
            | NetfilterError::Legacy { source, .. }
            | NetfilterError::Trace(source) => source.errno(),
            NetfilterError::NoConntrack => None,
        }
    }

    /// The error with its causes, in one sentence.
    pub(crate) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }

    /// Whether root (CAP_NET_ADMIN in this network namespace) would help.
    pub fn root_helps(&self) -> bool {
        matches!(self.errno(), Some(libc::EPERM | libc::EACCES))
    }
}
