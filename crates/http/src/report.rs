//! What one exchange looked like, as plain data for the command and for programs.

use serde::{Deserialize, Serialize};

/// Time spent in each phase, in milliseconds, each counted from the end of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Phases {
    /// Resolving the name; unset when an address was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ms: Option<f64>,
    /// Sending the request with its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_ms: Option<f64>,
    /// From the request sent to the first byte of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<f64>,
    /// From the first byte to the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_ms: Option<f64>,
    /// From the first SYN to the last byte.
    pub total_ms: f64,
}

/// One redirect that was followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    pub status: u16,
    pub from: String,
    pub to: String,
}

/// The body as it came and as it reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BodyReport {
    /// Bytes after transfer coding, before content coding.
    pub bytes: u64,
    /// Bytes after content coding.
    pub decoded_bytes: u64,
    /// The content coding named by the answer, such as `gzip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coding: Option<String>,
    /// The first 16 hex digits of the SHA-256 of the decoded body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The title of an HTML page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// `whole`, `truncated`, `stalled`, `reset_midway`, `too_small` or `encoding_broken`.
    pub state: String,
}

/// One exchange after redirects: what was asked, what came, and how long each phase took.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ExchangeReport {
    pub url: String,
    pub address: String,
    /// `ok`, `timeout`, `reset`, `early_close`, `garbage`, `tls_on_plain`, `no_connection` or `no_tls`.
    pub outcome: String,
    /// `HTTP/1.1` and the like; empty when nothing was understood.
    pub protocol: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default)]
    pub reason: String,
    /// Header lines in the order they came.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    pub phases: Phases,
    #[serde(default)]
    pub redirects: Vec<Redirect>,
    pub body: BodyReport,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Who wrote the answer: `service`, `proxy` or `unknown`.
    pub writer: String,
    /// The sign by which the writer is known.
    pub writer_why: String,
    /// What the body and headers of an error say; `none` without a sign.
    pub signature: String,
    /// The words or header that say so.
    pub signature_words: String,
    /// Smoothed round trip of the connection, in milliseconds, as the kernel measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
}
