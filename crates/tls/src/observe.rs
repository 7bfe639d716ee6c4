//! One real handshake by rustls that trusts nobody and records everything the server shows.

use crate::dial::{CONNECT_MS_MAX, TcpFacts, dial, tcp_facts};
use crate::exchange::Ending;
use crate::flight::{Flight, parse};
use crate::hello::TLS13;
use crate::recorder::Recorder;
use crate::trust::{ClientIdentity, provider};
use netwhy_model::Case;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, Error, SignatureScheme};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bytes of the answer kept to be read by our own parser.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most reads in one handshake.
const READ_COUNT_MAX: usize = 2_000;
/// Most bytes of an HTTP answer kept.
const PAGE_BYTES_MAX: usize = 8 * 1024;

/// What to offer, and how long to wait.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub name: Option<String>,
    pub alpn: Vec<Vec<u8>>,
    pub only_12: bool,
    /// Longest pause before the first byte.
    pub first: Duration,
    /// Longest pause after it.
    pub more: Duration,
    /// After the handshake, wait for what the server says to a missing client certificate.
    pub settle: bool,
    /// Ask this over the finished handshake and keep the head of the answer.
    pub request: Option<String>,
}

/// Everything one handshake showed.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub ending: Ending,
    /// The handshake was completed on our side.
    pub complete: bool,
    pub version: Option<u16>,
    pub cipher: Option<u16>,
    pub group: Option<String>,
    pub alpn: Option<Vec<u8>>,
    pub chain: Vec<Vec<u8>>,
    pub staple: Vec<u8>,
    pub certificate_asked: bool,
    /// The fatal alert the server sent, in clear or encrypted.
    pub alert: Option<u8>,
    /// What our own side objected to.
    pub objection: Option<String>,
    /// The clear part of the answer.
    pub flight: Flight,
    pub answer_bytes: usize,
    pub page: Vec<u8>,
    pub connect: Duration,
    pub first: Option<Duration>,
    pub handshake: Duration,
    pub tcp: TcpFacts,
}

impl Observed {
    fn new(ending: Ending) -> Observed {
        Observed {
            ending,
            complete: false,
            version: None,
            cipher: None,
            group: None,
            alpn: None,
            chain: Vec::new(),
            staple: Vec::new(),
            certificate_asked: false,
            alert: None,
            objection: None,
            flight: Flight::default(),
            answer_bytes: 0,
            page: Vec::new(),
            connect: Duration::ZERO,
            first: None,
            handshake: Duration::ZERO,
            tcp: TcpFacts::default(),
        }
    }

    /// A hello that was met with silence, as another one sent meanwhile was.
    pub fn silent(tcp: TcpFacts, handshake: Duration) -> Observed {
        Observed { tcp, handshake, ..Observed::new(Ending::Silent) }
    }

    /// The handshake went through and no alert came after it.
    pub fn well(&self) -> bool {
        self.complete && self.alert.is_none()
    }
}

/// Makes one handshake.
pub(crate) async fn observe(
    case: &Case,
    address: SocketAddr,
    identity: Option<&ClientIdentity>,
    wish: &Wish,
) -> Observed {
    let recorder = Arc::new(Recorder::default());
    let asked = Arc::new(Identity::new(identity));
    let connection = match connection(&recorder, &asked, address, wish) {
        Ok(connection) => connection,
        Err(error) => {
            let mut out = Observed::new(Ending::NoConnect("no hello could be made".to_owned()));
            out.objection = Some(error.to_string());
            return out;
        }
    };
    let dialed = match dial(case, address, Duration::from_millis(CONNECT_MS_MAX)).await {
        Ok(dialed) => dialed,
        // The SYN was answered and the reset came before connect returned: it is no refusal.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
            return Observed::new(Ending::Reset);
        }
        Err(error) => return Observed::new(Ending::NoConnect(error.kind().to_string())),
    };
    let mut out = Observed::new(Ending::Enough);
    out.connect = dialed.connect;
    let mut talk = Talk { stream: dialed.stream, connection, head: Vec::new(), started: Instant::now() };
    talk.handshake(wish, &mut out).await;
    // Up to TLS 1.2 the server's Finished, which completes the handshake, comes after its judgement of the client.
    let open_end = out.version == Some(TLS13);
    if out.complete && open_end && wish.settle && asked.asked.load(Ordering::Relaxed) {
        let pause = Duration::from_millis(120) + 3 * out.connect;
        talk.settle(pause.min(wish.more), &mut out).await;
    }
    if let (true, Some(request)) = (out.well(), &wish.request) {
        talk.ask(request, wish.first, &mut out).await;
    }
    out.tcp = tcp_facts(&talk.stream);
    out.flight = parse(&talk.head);
    out.certificate_asked = asked.asked.load(Ordering::Relaxed);
    if let Ok(shown) = recorder.shown.lock() {
        out.chain = shown.chain.clone();
        out.staple = shown.staple.clone();
    }
    if out.ending == Ending::Silent && out.tcp.has_hole() {
        out.ending = Ending::Stalled;
    }
    if out.alert.is_none() {
        out.alert = out.flight.alert.filter(|alert| alert.fatal).map(|alert| alert.code);
    }
    out
}

fn connection(
    recorder: &Arc<Recorder>,
    asked: &Arc<Identity>,
    address: SocketAddr,
    wish: &Wish,
) -> Result<ClientConnection, Error> {
    let versions: &[&rustls::SupportedProtocolVersion] = if wish.only_12 {
        &[&rustls::version::TLS12]
    } else {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(recorder.clone())
        .with_client_cert_resolver(asked.clone());
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = wish.alpn.clone();
    config.enable_sni = wish.name.is_some();
    let name = wish
        .name
        .as_ref()
        .and_then(|name| ServerName::try_from(name.clone()).ok())
        .unwrap_or_else(|| ServerName::IpAddress(address.ip().into()));
    ClientConnection::new(Arc::new(config), name)
}

/// One connection in progress.
struct Talk {
    stream: TcpStream,
    connection: ClientConnection,
    head: Vec<u8>,
    started: Instant,
}

/// What one step of reading gave.
enum Step {
    Progress,
    Ended(Ending),
    Objected(Error),
}

impl Talk {
    async fn handshake(&mut self, wish: &Wish, out: &mut Observed) {
        for _ in 0..READ_COUNT_MAX {
            let written = self.flush().await;
            if !self.connection.is_handshaking() {
                out.complete = true;
                break;
            }
            let wait = if self.head.is_empty() { wish.first } else { wish.more };
            let step = self.step(wait).await;
            if out.first.is_none() && !self.head.is_empty() {
                out.first = Some(self.started.elapsed());
            }
            out.answer_bytes = self.head.len();
            if !self.note(step, out) {
                if let (Err(error), true) = (written, self.head.is_empty()) {
                    out.ending = Ending::of(&error);
                }
                break;
            }
        }
        out.handshake = self.started.elapsed();
        out.version = self.connection.protocol_version().map(u16::from);
        out.cipher = self.connection.negotiated_cipher_suite().map(|suite| u16::from(suite.suite()));
        out.group =
            self.connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
        out.alpn = self.connection.alpn_protocol().map(<[u8]>::to_vec);
    }

    /// A server that objects to our certificate, or to none, says so right after the handshake (TLS 1.3),
    /// one that agrees mostly sends a ticket.
    async fn settle(&mut self, pause: Duration, out: &mut Observed) {
        let step = self.step(pause).await;
        if !matches!(step, Step::Ended(Ending::Silent | Ending::Stalled)) {
            self.note(step, out);
        }
    }

    async fn ask(&mut self, request: &str, wait: Duration, out: &mut Observed) {
        if self.connection.writer().write_all(request.as_bytes()).is_err() || self.flush().await.is_err() {
            return;
        }
        for _ in 0..READ_COUNT_MAX {
            let step = self.step(wait).await;
            let more = self.note(step, out);
            let mut buffer = [0u8; 4_096];
            while let Ok(count) = std::io::Read::read(&mut self.connection.reader(), &mut buffer) {
                if count == 0 || out.page.len() >= PAGE_BYTES_MAX {
                    return;
                }
                out.page.extend_from_slice(&buffer[..count]);
            }
            if !more {
                return;
            }
        }
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut bytes)?;
        }
        if bytes.is_empty() { Ok(()) } else { self.stream.write_all(&bytes).await }
    }

    async fn step(&mut self, wait: Duration) -> Step {
        let mut buffer = [0u8; 8_192];
        let count = match timeout(wait, self.stream.read(&mut buffer)).await {
            Err(_) if self.head.is_empty() => return Step::Ended(Ending::Silent),
            Err(_) => return Step::Ended(Ending::Stalled),
            Ok(Ok(0)) => return Step::Ended(Ending::Closed),
            Ok(Err(error)) => return Step::Ended(Ending::of(&error)),
            Ok(Ok(count)) => count,
        };
        let room = HEAD_BYTES_MAX.saturating_sub(self.head.len()).min(count);
        self.head.extend_from_slice(&buffer[..room]);
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            match self.connection.read_tls(&mut rest) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Step::Objected(Error::General(error.to_string())),
            }
            if let Err(error) = self.connection.process_new_packets() {
                return Step::Objected(error);
            }
        }
        Step::Progress
    }

    /// Keeps what a step told; true when the talk goes on.
    fn note(&mut self, step: Step, out: &mut Observed) -> bool {
        match step {
            Step::Progress => true,
            Step::Ended(ending) => {
                out.ending = ending;
                false
            }
            Step::Objected(Error::AlertReceived(alert)) => {
                out.alert = Some(u8::from(alert));
                false
            }
            Step::Objected(error) => {
                out.objection = Some(error.to_string());
                false
            }
        }
    }
}

/// The client's certificate, and whether the server asked for one.
#[derive(Debug)]
struct Identity {
    asked: AtomicBool,
    key: Option<Arc<CertifiedKey>>,
}

impl Identity {
    fn new(identity: Option<&ClientIdentity>) -> Identity {
        let key = identity.and_then(|identity| {
            CertifiedKey::from_der(identity.chain.clone(), identity.key.clone_key(), &provider()).ok()
        });
        Identity { asked: AtomicBool::new(false), key: key.map(Arc::new) }
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        // Said even without a certificate: otherwise nobody would tell us that one was asked for.
        true
    }
}
