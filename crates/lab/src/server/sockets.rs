//! A TCP and a UDP service that do one simple thing.

use super::CONNECTIONS_COUNT_MAX;
use serde::Deserialize;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

/// How long an idle connection is kept, in seconds.
const IDLE_S_MAX: u64 = 60;

/// What a TCP service does with a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TcpMode {
    /// Sends back what comes.
    #[default]
    Echo,
    /// Sends the banner, then echoes.
    Banner,
    /// Reads and says nothing.
    Silent,
    /// Closes at once.
    Close,
    /// Resets at once.
    Reset,
    /// Resets on the first byte.
    ResetOnData,
}

/// Options of the kind `tcp`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpOptions {
    pub port: u16,
    #[serde(default = "everywhere")]
    pub listen: IpAddr,
    #[serde(default)]
    pub mode: TcpMode,
    #[serde(default)]
    pub banner: String,
}

/// Options of the kind `udp`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UdpOptions {
    pub port: u16,
    #[serde(default = "everywhere")]
    pub listen: IpAddr,
    /// Takes datagrams and says nothing.
    #[serde(default)]
    pub silent: bool,
}

/// All addresses of both families.
pub fn everywhere() -> IpAddr {
    IpAddr::V6(Ipv6Addr::UNSPECIFIED)
}

/// Accepts for ever; each connection is handled on its own, so many at once.
pub async fn accept_each<F, Fut>(listener: TcpListener, handle: F) -> io::Result<()>
where
    F: Fn(TcpStream) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(CONNECTIONS_COUNT_MAX));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let work = handle(stream);
        tokio::spawn(async move {
            work.await;
            drop(permit);
        });
    }
}

/// Serves TCP until killed.
pub async fn serve_tcp(options: TcpOptions, ready: impl FnOnce()) -> io::Result<()> {
    let listener = TcpListener::bind((options.listen, options.port)).await?;
    ready();
    let options = Arc::new(options);
    accept_each(listener, |stream| {
        let options = Arc::clone(&options);
        async move {
            let _ = tokio::time::timeout(Duration::from_secs(IDLE_S_MAX), converse(stream, &options)).await;
        }
    })
    .await
}

async fn converse(mut stream: TcpStream, options: &TcpOptions) -> io::Result<()> {
    match options.mode {
        TcpMode::Close => return Ok(()),
        TcpMode::Reset => return reset(stream),
        TcpMode::Banner => stream.write_all(options.banner.as_bytes()).await?,
        TcpMode::Echo | TcpMode::Silent | TcpMode::ResetOnData => {}
    }
    let mut buffer = [0u8; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        match options.mode {
            _ if count == 0 => return Ok(()),
            TcpMode::ResetOnData => return reset(stream),
            TcpMode::Silent => {}
            _ => stream.write_all(&buffer[..count]).await?,
        }
    }
}

fn reset(stream: TcpStream) -> io::Result<()> {
    stream.set_zero_linger()
}

/// Serves UDP until killed: echoes, or says nothing.
pub async fn serve_udp(options: UdpOptions, ready: impl FnOnce()) -> io::Result<()> {
    let socket = UdpSocket::bind((options.listen, options.port)).await?;
    ready();
    let mut buffer = [0u8; 65_535];
    loop {
        let Ok((count, from)) = socket.recv_from(&mut buffer).await else { continue };
        if !options.silent {
            let _ = socket.send_to(&buffer[..count], from).await;
        }
    }
}
