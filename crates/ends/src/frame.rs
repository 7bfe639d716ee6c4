//! What is said on the wire: one frame a line, JSON, both directions alike.

use netwhy_model::host::{Record, Snapshot, WatchSpec};
use netwhy_model::{Case, SavedCase, Vantage};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// The version of these frames; both sides must have the same.
pub const PROTOCOL_VERSION: u32 = 1;

/// Longest name of an end, in bytes.
const NAME_BYTES_MAX: usize = 32;

/// One line of the wire. Each side numbers its own requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Frame {
    Request {
        id: u64,
        /// Whom it is for: the reader itself when unset, else an end the reader passes it on to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end: Option<String>,
        /// Keeps the watches of several askers apart at one end.
        #[serde(default)]
        lane: u32,
        request: Request,
    },
    Reply {
        id: u64,
        reply: Result<Reply, EndFault>,
    },
    /// Progress of a [`Request::Run`]: what is being asked.
    Event {
        id: u64,
        text: String,
    },
}

/// What an end can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    Hello {
        /// [`PROTOCOL_VERSION`] of the asker.
        version: u32,
    },
    /// Begin to watch; a watch that is under way in this lane ends.
    Watch { name: String, vantage: Vantage, spec: WatchSpec },
    /// What was seen so far.
    Look,
    /// End the watch and undo what it set up.
    Unwatch,
    /// Look at the machine once.
    Snapshot { window_ms: u64, logs: bool },
    /// Run a whole case over there.
    Run(Box<RunSpec>),
}

/// What an end answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    Hello(Hello),
    Done,
    Record(Box<Record>),
    Snapshot(Box<Snapshot>),
    Ran(Box<SavedCase>),
}

/// How an end introduces itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of the answerer.
    pub version: u32,
    /// The netwhy it is, for people.
    pub program: String,
    pub hostname: String,
    pub root: bool,
    /// Without loopback ones.
    pub addresses: Vec<IpAddr>,
    /// The same on two ends of one running kernel.
    pub boot_id: String,
    /// The inode of its network namespace: the same `boot_id` and this mean the same network stack.
    pub network_namespace: Option<u64>,
}

/// One case to run over there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    pub case: Case,
    /// Ends the case may watch, through the asker.
    #[serde(default)]
    pub ends: Vec<EndName>,
    /// What the asker calls this run: `client`, `edge to origin`.
    #[serde(default)]
    pub label: String,
}

/// An end as the user calls it, with what that makes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EndName {
    pub name: String,
    pub vantage: Vantage,
}

impl EndName {
    /// The vantage follows from the name: `client`, `edge` and `origin` are known, others stand on the path.
    pub fn new(name: &str) -> EndName {
        let vantage = match name {
            "client" | "source" => Vantage::Source,
            "edge" => Vantage::Edge,
            "origin" => Vantage::Origin,
            _ => Vantage::Path,
        };
        EndName { name: name.to_owned(), vantage }
    }
}

/// Whether a text can name an end: letters, digits, `-`, `_` and `.`, at most 32 of them.
pub fn end_name_is_valid(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain)
}

/// Why an end did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndFault {
    pub code: FaultCode,
    /// One lower-case sentence.
    pub text: String,
}

/// The kind of an [`EndFault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultCode {
    /// This end may not, or does not let others, do that.
    NotAllowed,
    /// Too many requests at once, or too many a second.
    TooMany,
    /// No end of that name can be passed on to.
    NoSuchEnd,
    /// Nothing is being watched.
    NotWatching,
    /// The two sides speak different versions.
    Version,
    /// It was tried and failed.
    Failed,
    /// A kind this netwhy does not know.
    #[serde(other)]
    Other,
}

impl EndFault {
    /// A fault with its sentence.
    pub fn new(code: FaultCode, text: impl Into<String>) -> EndFault {
        EndFault { code, text: text.into() }
    }
}

impl fmt::Display for EndFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_stay_readable_for_the_other_side() {
        let text = r#"{"request":{"id":7,"end":"origin","lane":2,"request":"look"}}"#;
        let frame: Frame = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&frame).unwrap(), text);
        let bare: Frame =
            serde_json::from_str(r#"{"request":{"id":1,"request":{"hello":{"version":1}}}}"#).unwrap();
        let request = Request::Hello { version: 1 };
        assert_eq!(bare, Frame::Request { id: 1, end: None, lane: 0, request });
        let fault = r#"{"reply":{"id":1,"reply":{"Err":{"code":"newer-kind","text":"x"}}}}"#;
        let Frame::Reply { reply: Err(fault), .. } = serde_json::from_str(fault).unwrap() else { panic!() };
        assert_eq!(fault.code, FaultCode::Other);
    }

    #[test]
    fn names_say_the_vantage() {
        assert_eq!(EndName::new("origin").vantage, Vantage::Origin);
        assert_eq!(EndName::new("client").vantage, Vantage::Source);
        assert_eq!(EndName::new("r2").vantage, Vantage::Path);
        assert!(end_name_is_valid("r2") && !end_name_is_valid("") && !end_name_is_valid("a/b"));
        assert!(!end_name_is_valid(&"a".repeat(NAME_BYTES_MAX + 1)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = serde_json::from_slice::<Frame>(&bytes);
        }
    }
}
