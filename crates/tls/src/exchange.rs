//! Sends one hand-made hello and reads the answer, until enough is known or patience ends.

use crate::dial::{CONNECT_MS_MAX, TcpFacts, dial, millis, tcp_facts};
use crate::flight::{FLIGHT_BYTES_MAX, Flight, Plain, parse, sniff};
use crate::hello::Hello;
use crate::suites::{alert_name, suite_name, version_name};
use netwhy_model::Case;
use ring::rand::{SecureRandom, SystemRandom};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

/// How much of the answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// A ServerHello or an alert.
    Hello,
    /// The whole clear flight: certificates too.
    Flight,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// What was wanted came: a ServerHello, an alert, or plain text.
    Enough,
    /// The server closed without saying why.
    Closed,
    /// The server, or something between, reset the connection.
    Reset,
    /// Not one byte came.
    Silent,
    /// Part of the answer came, then nothing.
    Stalled,
    /// There was no TCP connection to begin with.
    NoConnect(String),
}

impl Ending {
    /// How an I/O error ends a connection.
    pub fn of(error: &std::io::Error) -> Ending {
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
                Ending::Reset
            }
            _ => Ending::Closed,
        }
    }

    /// In a word.
    pub fn word(&self) -> &'static str {
        match self {
            Ending::Enough => "answered",
            Ending::Closed => "closed",
            Ending::Reset => "reset",
            Ending::Silent => "silent",
            Ending::Stalled => "stalled",
            Ending::NoConnect(_) => "no connection",
        }
    }
}

/// One hello and what came back.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub ending: Ending,
    pub flight: Flight,
    pub hello_bytes: usize,
    pub answer_bytes: usize,
    pub total: Duration,
    pub tcp: TcpFacts,
}

impl Exchange {
    /// A ServerHello came (or the request for another share, which is as good).
    pub fn accepted(&self) -> bool {
        self.flight.hello.is_some() && self.flight.alert.is_none_or(|alert| !alert.fatal)
    }

    /// Whoever answered speaks TLS.
    pub fn spoke_tls(&self) -> bool {
        self.flight.is_tls()
    }

    /// There was a connection, and it was not answered by TLS: reset, closed or silence.
    pub fn broken(&self) -> bool {
        !self.spoke_tls()
            && matches!(self.ending, Ending::Closed | Ending::Reset | Ending::Silent | Ending::Stalled)
    }

    /// Ended by the other side without a word of TLS.
    pub fn reset_or_closed(&self) -> bool {
        !self.spoke_tls() && matches!(self.ending, Ending::Reset | Ending::Closed)
    }

    /// The alert that refuses every protocol offered.
    pub fn refused_alpn(&self) -> bool {
        self.flight.alert.is_some_and(|alert| alert.code == 120)
    }

    /// The version of the ServerHello.
    pub fn version(&self) -> Option<u16> {
        self.accepted().then_some(self.flight.hello.as_ref()?.version)
    }

    /// In a few words, with numbers.
    pub fn said(&self) -> String {
        let after = format!("after {:.1} ms", millis(self.total));
        if let Some(plain) = self.flight.plain {
            return format!("plain {} {after}", plain.name());
        }
        if let (true, Some(hello)) = (self.accepted(), &self.flight.hello) {
            return format!("ServerHello {} {}", version_name(hello.version), suite_name(hello.cipher));
        }
        if let Some(alert) = self.flight.alert {
            return format!("alert {} {after}", alert_name(alert.code));
        }
        match &self.ending {
            Ending::NoConnect(why) => format!("no TCP connection ({why})"),
            ending => format!("{} {after}", ending.word()),
        }
    }
}

/// Sends a hello and reads the answer; `wait` bounds the whole reading.
pub(crate) async fn exchange(
    case: &Case,
    address: SocketAddr,
    hello: &Hello,
    until: Until,
    wait: Duration,
) -> Exchange {
    let bytes = hello.bytes(seed());
    let mut out = Exchange {
        ending: Ending::Silent,
        flight: Flight::default(),
        hello_bytes: bytes.len(),
        answer_bytes: 0,
        total: Duration::ZERO,
        tcp: TcpFacts::default(),
    };
    let mut stream = match dial(case, address, Duration::from_millis(CONNECT_MS_MAX)).await {
        Ok(dialed) => dialed.stream,
        Err(error) => {
            out.ending = match error.kind() {
                ErrorKind::ConnectionReset => Ending::Reset,
                kind => Ending::NoConnect(kind.to_string()),
            };
            return out;
        }
    };
    let started = Instant::now();
    let written = stream.write_all(&bytes).await;
    let mut answer = Vec::new();
    out.ending = read_answer(&mut stream, &mut answer, until, wait, &mut out.flight).await;
    if let (Err(error), true) = (written, answer.is_empty()) {
        out.ending = Ending::of(&error);
    }
    out.total = started.elapsed();
    out.answer_bytes = answer.len();
    out.tcp = tcp_facts(&stream);
    if out.ending == Ending::Silent && out.tcp.has_hole() {
        out.ending = Ending::Stalled;
    }
    out
}

async fn read_answer(
    stream: &mut TcpStream,
    answer: &mut Vec<u8>,
    until: Until,
    wait: Duration,
    flight: &mut Flight,
) -> Ending {
    let mut buffer = [0u8; 8_192];
    let end = tokio::time::Instant::now() + wait;
    while answer.len() < FLIGHT_BYTES_MAX {
        match timeout_at(end, stream.read(&mut buffer)).await {
            Err(_) if answer.is_empty() => return Ending::Silent,
            Err(_) => return Ending::Stalled,
            Ok(Ok(0)) => return Ending::Closed,
            Ok(Err(error)) => return Ending::of(&error),
            Ok(Ok(count)) => answer.extend_from_slice(&buffer[..count]),
        }
        *flight = parse(answer);
        if is_enough(flight, until) {
            return Ending::Enough;
        }
    }
    Ending::Enough
}

fn is_enough(flight: &Flight, until: Until) -> bool {
    if flight.plain.is_some() || flight.malformed || flight.alert.is_some_and(|alert| alert.fatal) {
        return true;
    }
    let Some(hello) = &flight.hello else { return false };
    match until {
        Until::Hello => true,
        Until::Flight => hello.retry || flight.done,
    }
}

/// Sends a plain HTTP request and says what came back, if anything.
pub(crate) async fn plain_request(
    case: &Case,
    address: SocketAddr,
    wait: Duration,
) -> Option<(Plain, String)> {
    let mut stream = dial(case, address, Duration::from_millis(CONNECT_MS_MAX)).await.ok()?.stream;
    let host = case.target.host_header();
    let request =
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: netwhy\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut buffer = [0u8; 1_024];
    let count = timeout(wait, stream.read(&mut buffer)).await.ok()?.ok()?;
    let head = buffer.get(..count)?;
    let line: String = String::from_utf8_lossy(head).lines().next().unwrap_or("").chars().take(80).collect();
    sniff(head).map(|plain| (plain, line))
}

/// Fresh bytes for the random fields of a hello.
pub(crate) fn seed() -> [u8; 32] {
    let mut seed = [0u8; 32];
    // Without a random source the zero seed still makes a valid hello.
    let _ = SystemRandom::new().fill(&mut seed);
    seed
}
