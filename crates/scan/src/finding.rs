//! What was found out about one port.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// The protocol a port belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

/// How a port answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The host itself opens connections (TCP) or answered (UDP).
    Open,
    /// RST, or for UDP an ICMP port unreachable of the host itself.
    Closed,
    /// Silent after retries spread in time; nothing of it was lost as far as the canaries tell.
    Filtered,
    /// An ICMP error says so: see the code and its sender in [`Reason::Icmp`].
    Rejected,
    /// A middlebox answers for the host: SYN proxy, tarpit, something that opens every port.
    Intercepted,
    /// Asked, but what came of it says nothing: the source was banned or limited before the retries were done.
    Unknown,
}

/// What a state was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    SynAck,
    Rst,
    /// SYN-ACK, then a reset when the handshake was finished: a proxy spoke for a closed port.
    RstAfterHandshake,
    /// SYN-ACK with a window of 0 that never opened, or connections that never answer.
    Tarpit,
    /// ICMP or ICMPv6 type, code, and who sent it.
    Icmp {
        kind: u8,
        code: u8,
        from: IpAddr,
    },
    /// A datagram came back.
    Answer,
    NoAnswer,
    /// Answers stopped on ports that had answered: the source was banned.
    Banned,
    /// The answers of the host are limited (RST or ICMP rate limit): silence says nothing.
    RateLimited,
    /// This machine could not ask (its own firewall, no route, no source port): nothing is known of the port.
    Local {
        errno: i32,
    },
}

/// What a quick look at an open port showed (`-s`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// `tls`, `http`, `https`, `ssh`, `smtp`, `banner`, `silent`…
    pub service: String,
    /// First line said, control characters removed, at most 120 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
    /// Names of the certificate, where TLS answers.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub names: Vec<String>,
    /// Whether the certificate matches the name the user gave; absent without TLS or without a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<bool>,
}

/// One port of one host.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub host: IpAddr,
    pub port: u16,
    pub protocol: Protocol,
    pub state: State,
    pub reason: Reason,
    /// TTL or hop limit of the answer.
    pub ttl: Option<u8>,
    /// From the try that was answered to its answer.
    pub rtt: Option<Duration>,
    pub look: Option<Look>,
}
