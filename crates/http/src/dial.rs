//! Connections: TCP as the case says (source, interface), TLS when wanted, and what the kernel knows of them.

use netwhy_model::Case;
use netwhy_tls::Verify;
use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How TLS is to be spoken on a connection.
#[derive(Debug, Clone)]
pub(crate) struct Secure {
    /// The name sent as SNI; an address sends none.
    pub name: String,
    pub alpn: Vec<Vec<u8>>,
    /// Sends the name; false asks as a client without SNI.
    pub sni: bool,
}

/// Why no connection came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DialError {
    Refused,
    /// An ICMP error; the text is the system's.
    Rejected(String),
    Silent(u64),
    /// The kernel of this host refused.
    Local(String),
    /// TCP stood, TLS did not.
    Tls(String),
    /// TCP stood, and what answered the hello is not TLS.
    NotTls,
}

impl DialError {
    /// One phrase for an excerpt.
    pub fn text(&self) -> String {
        match self {
            DialError::Refused => "connection refused (RST)".into(),
            DialError::Rejected(why) => format!("connection rejected: {why}"),
            DialError::Silent(ms) => format!("no answer to SYN within {ms} ms"),
            DialError::Local(why) => format!("this host refused: {why}"),
            DialError::Tls(why) => format!("TLS failed: {why}"),
            DialError::NotTls => "the answer to the TLS hello is not TLS".into(),
        }
    }
}

/// A connection ready for a request.
pub(crate) struct Line {
    stream: Stream,
    pub fd: RawFd,
    pub started: Instant,
    pub connected: Duration,
    /// From the start to the end of the TLS handshake.
    pub secured: Option<Duration>,
    pub tls: Option<String>,
    pub alpn: Option<Vec<u8>>,
    /// The validity of the server's own certificate, in seconds since the epoch.
    pub validity: Option<(i64, i64)>,
    /// Requests already answered on it.
    pub used: u32,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What the kernel knows of one connection (TCP_INFO).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kernel {
    pub rtt_ms: f64,
    pub min_rtt_ms: f64,
    /// The receiver's own estimate of the round trip, queues on the way included; 0 when unknown.
    pub receive_rtt_ms: f64,
    pub out_of_order: u32,
    pub unacked: u32,
    pub unsent_bytes: u32,
    pub peer_window: u32,
    pub probes: u8,
    pub retransmits: u32,
    pub mss: u32,
}

/// Connects, and speaks TLS when asked to; `prelude` goes out first, before any hello.
pub(crate) async fn dial(
    case: &Case,
    address: SocketAddr,
    secure: Option<&Secure>,
    prelude: &[u8],
    waits: (Duration, Duration),
) -> Result<Line, DialError> {
    let started = Instant::now();
    let mut tcp = connect(case, address, waits.0).await?;
    let connected = started.elapsed();
    let _ = tcp.set_nodelay(true);
    let fd = tcp.as_raw_fd();
    if !prelude.is_empty() {
        let sent = tokio::io::AsyncWriteExt::write_all(&mut tcp, prelude).await;
        sent.map_err(|e| DialError::Local(e.to_string()))?;
    }
    let mut line = Line {
        stream: Stream::Plain(tcp),
        fd,
        started,
        connected,
        secured: None,
        tls: None,
        alpn: None,
        validity: None,
        used: 0,
    };
    if let Some(secure) = secure {
        line = shake_hands(case, line, secure, waits.1).await?;
    }
    Ok(line)
}

/// Opens one TCP connection with the source, interface and family of the case.
pub(crate) async fn connect(
    case: &Case,
    address: SocketAddr,
    wait: Duration,
) -> Result<TcpStream, DialError> {
    let socket = made(case, address).map_err(|e| DialError::Local(e.to_string()))?;
    match tokio::time::timeout(wait, socket.connect(address)).await {
        Err(_) => Err(DialError::Silent(millis(wait))),
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(connect_error(&error)),
    }
}

fn made(case: &Case, address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(interface) = &case.source.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if let Some(source) = case.source.address.filter(|a| a.is_ipv4() == address.is_ipv4()) {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    Ok(TcpSocket::from_std_stream(socket.into()))
}

fn connect_error(error: &io::Error) -> DialError {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => DialError::Refused,
        Some(libc::ETIMEDOUT) => DialError::Silent(0),
        Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EACCES | libc::EPROTO | libc::ENOPROTOOPT) => {
            DialError::Rejected(error.to_string())
        }
        Some(libc::ECONNRESET) => DialError::Refused,
        _ => DialError::Local(error.to_string()),
    }
}

async fn shake_hands(case: &Case, line: Line, secure: &Secure, wait: Duration) -> Result<Line, DialError> {
    let Stream::Plain(tcp) = line.stream else { return Ok(line) };
    let alpn: Vec<&[u8]> = secure.alpn.iter().map(Vec::as_slice).collect();
    let mut config =
        netwhy_tls::client_config(case, &alpn, Verify::None).map_err(|e| DialError::Local(e.to_string()))?;
    if !secure.sni {
        Arc::make_mut(&mut config).enable_sni = false;
    }
    let name = ServerName::try_from(secure.name.clone())
        .or_else(|_| ServerName::try_from("invalid.invalid".to_owned()))
        .map_err(|e| DialError::Local(e.to_string()))?;
    let shaken = tokio::time::timeout(wait, TlsConnector::from(config).connect(name, tcp)).await;
    let stream = match shaken {
        Err(_) => return Err(DialError::Tls(format!("no end of the handshake within {} ms", millis(wait)))),
        Ok(Err(error)) => return Err(tls_error(&error)),
        Ok(Ok(stream)) => stream,
    };
    let (_, session) = stream.get_ref();
    let version = session.protocol_version().map(|v| format!("{v:?}"));
    let alpn = session.alpn_protocol().map(<[u8]>::to_vec);
    let validity = session.peer_certificates().and_then(|c| c.first()).and_then(|c| validity(c));
    let secured = Some(line.started.elapsed());
    Ok(Line { stream: Stream::Tls(Box::new(stream)), secured, tls: version, alpn, validity, ..line })
}

/// Not-before and not-after of a certificate, in seconds since the epoch.
fn validity(der: &[u8]) -> Option<(i64, i64)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let valid = certificate.validity();
    Some((valid.not_before.timestamp(), valid.not_after.timestamp()))
}

fn tls_error(error: &io::Error) -> DialError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => DialError::NotTls,
        Some(rustls::Error::AlertReceived(alert)) => DialError::Tls(format!("alert {alert:?}")),
        Some(other) => DialError::Tls(other.to_string()),
        None if error.kind() == ErrorKind::UnexpectedEof => {
            DialError::Tls("closed during the handshake".into())
        }
        None if error.kind() == ErrorKind::ConnectionReset => {
            DialError::Tls("reset during the handshake".into())
        }
        None => DialError::Tls(error.to_string()),
    }
}

/// Whole milliseconds of a duration.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The same host on another port; the scope of a link-local address stays.
pub(crate) fn on_port(address: SocketAddr, port: u16) -> SocketAddr {
    let mut moved = address;
    moved.set_port(port);
    moved
}

/// True when the case allows this family.
pub(crate) fn family_allowed(case: &Case, address: IpAddr) -> bool {
    match case.source.family {
        Some(4) => address.is_ipv4(),
        Some(6) => address.is_ipv6(),
        _ => true,
    }
}

/// What the kernel knows of the connection with this open descriptor; nothing when it cannot say.
pub(crate) fn kernel_of(fd: RawFd) -> Option<Kernel> {
    // SAFETY: tcp_info is plain integers, for which all zeros is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut size = std::mem::size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes into `info`; a stale descriptor gives an error.
    let got = unsafe {
        let info = std::ptr::from_mut(&mut info).cast();
        libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, info, &raw mut size)
    };
    (got == 0).then(|| Kernel {
        rtt_ms: f64::from(info.tcpi_rtt) / 1_000.0,
        min_rtt_ms: f64::from(info.tcpi_min_rtt) / 1_000.0,
        receive_rtt_ms: f64::from(info.tcpi_rcv_rtt) / 1_000.0,
        out_of_order: info.tcpi_rcv_ooopack,
        unacked: info.tcpi_unacked,
        unsent_bytes: info.tcpi_notsent_bytes,
        peer_window: info.tcpi_snd_wnd,
        probes: info.tcpi_probes,
        retransmits: info.tcpi_total_retrans,
        mss: info.tcpi_rcv_mss,
    })
}

impl Line {
    /// Ends it with a FIN at once, so that no half-open connection is left on the other side.
    pub fn close(self) {
        let tcp = match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        };
        let _ = SockRef::from(tcp).shutdown(std::net::Shutdown::Both);
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}
