//! A tiny HTTP/1.1 server, plain or over TLS.

use super::sockets::{accept_each, everywhere};
use super::tls::{TlsOptions, config};
use crate::isolate::LAB_DIRECTORY;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The longest request head, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The longest request body that is read, in bytes.
const REQUEST_BYTES_MAX: usize = 64 << 20;
/// Requests on one connection.
const REQUESTS_COUNT_MAX: usize = 1000;
/// How long a connection may wait for its next request, in seconds.
const IDLE_S_MAX: u64 = 30;

/// Options of the kind `web`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    pub port: u16,
    #[serde(default = "everywhere")]
    pub listen: IpAddr,
    /// The name of a `[[cert]]`; without one it speaks plain HTTP.
    #[serde(default)]
    pub tls: String,
    #[serde(default)]
    pub tls_only: String,
    #[serde(default)]
    pub alpn: Vec<String>,
    /// Answers only these server names.
    #[serde(default)]
    pub strict_names: Vec<String>,
    /// Demands a client certificate of the lab's root.
    #[serde(default)]
    pub client_certificate: bool,
    #[serde(default = "ok")]
    pub status: u16,
    /// Another status for some paths.
    #[serde(default)]
    pub paths: BTreeMap<String, u16>,
    #[serde(default = "hello")]
    pub body: String,
    /// Pads the body to this many bytes.
    #[serde(default)]
    pub body_bytes: usize,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Waits this long before each answer.
    #[serde(default)]
    pub delay_ms: u64,
    /// Closes after this many bytes of the body, whatever Content-Length said.
    #[serde(default)]
    pub cut_at: Option<usize>,
}

fn ok() -> u16 {
    200
}

fn hello() -> String {
    "hello from the lab\n".into()
}

/// Serves until killed.
pub async fn serve(options: Options, ready: impl FnOnce()) -> io::Result<()> {
    let tls = if options.tls.is_empty() { None } else { Some(acceptor(&options)?) };
    let listener = TcpListener::bind((options.listen, options.port)).await?;
    ready();
    let options = Arc::new(options);
    accept_each(listener, |stream| {
        let (options, tls) = (Arc::clone(&options), tls.clone());
        async move {
            match tls {
                None => drop(converse(stream, &options).await),
                Some(tls) => {
                    let limit = Duration::from_secs(IDLE_S_MAX);
                    if let Ok(Ok(stream)) = tokio::time::timeout(limit, tls.accept(stream)).await {
                        let _ = converse(stream, &options).await;
                    }
                }
            }
        }
    })
    .await
}

fn acceptor(options: &Options) -> io::Result<TlsAcceptor> {
    let certificate = Path::new(LAB_DIRECTORY).join("pki").join(&options.tls);
    let tls = TlsOptions {
        certificate,
        client_certificate: options.client_certificate,
        only: &options.tls_only,
        alpn: &options.alpn,
        strict_names: &options.strict_names,
    };
    Ok(TlsAcceptor::from(Arc::new(config(&tls)?)))
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, options: &Options) -> io::Result<()> {
    let mut left_over = Vec::new();
    for _ in 0..REQUESTS_COUNT_MAX {
        let waiting = read_head(&mut stream, &mut left_over);
        let Ok(head) = tokio::time::timeout(Duration::from_secs(IDLE_S_MAX), waiting).await else { break };
        let Some(request) = head?.as_deref().and_then(parse_head) else { break };
        discard(&mut stream, &mut left_over, request.body_bytes).await?;
        tokio::time::sleep(Duration::from_millis(options.delay_ms)).await;
        answer(&mut stream, options, &request).await?;
        if request.close || options.cut_at.is_some() {
            break;
        }
    }
    stream.shutdown().await
}

/// What matters of a request head.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    head_only: bool,
    path: String,
    body_bytes: usize,
    close: bool,
}

fn parse_head(head: &str) -> Option<Request> {
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?, first.next()?);
    let mut request = Request {
        head_only: method == "HEAD",
        path: target.split('?').next().unwrap_or_default().to_owned(),
        body_bytes: 0,
        close: first.next() == Some("HTTP/1.0"),
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            request.body_bytes = value.parse().ok().filter(|bytes| *bytes <= REQUEST_BYTES_MAX)?;
        } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            request.close = true;
        }
    }
    Some(request)
}

/// Reads up to the empty line; what was read beyond it stays in `left_over`. `None` at the end.
async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    left_over: &mut Vec<u8>,
) -> io::Result<Option<String>> {
    let mut chunk = [0u8; 2048];
    loop {
        if let Some(end) = left_over.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&left_over[..end]).into_owned();
            left_over.drain(..end + 4);
            return Ok(Some(head));
        }
        if left_over.len() > HEAD_BYTES_MAX {
            return Ok(None);
        }
        match stream.read(&mut chunk).await? {
            0 => return Ok(None),
            count => left_over.extend_from_slice(&chunk[..count]),
        }
    }
}

async fn discard<S: AsyncRead + Unpin>(
    stream: &mut S,
    left_over: &mut Vec<u8>,
    mut bytes: usize,
) -> io::Result<()> {
    let had = bytes.min(left_over.len());
    left_over.drain(..had);
    bytes -= had;
    let mut chunk = vec![0u8; 16 * 1024];
    while bytes > 0 {
        let room = bytes.min(chunk.len());
        match stream.read(&mut chunk[..room]).await? {
            0 => return Ok(()),
            count => bytes -= count,
        }
    }
    Ok(())
}

async fn answer<S: AsyncWrite + Unpin>(
    stream: &mut S,
    options: &Options,
    request: &Request,
) -> io::Result<()> {
    let status = options.paths.get(&request.path).copied().unwrap_or(options.status);
    let mut body = options.body.clone().into_bytes();
    if body.len() < options.body_bytes {
        body.resize(options.body_bytes, b'.');
    }
    let mut head = format!("HTTP/1.1 {status} {}\r\nServer: netwhy-lab\r\n", reason(status));
    let _ = write!(head, "Date: {}\r\nContent-Length: {}\r\n", date(), body.len());
    if !options.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
        head.push_str("Content-Type: text/plain\r\n");
    }
    for (name, value) in &options.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if request.close {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    if !request.head_only {
        bytes.extend_from_slice(&body[..options.cut_at.unwrap_or(body.len()).min(body.len())]);
    }
    stream.write_all(&bytes).await?;
    stream.flush().await
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

/// The date as RFC 9110 section 5.6.7 wants it.
fn date() -> String {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    time::OffsetDateTime::now_utc().format(&format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_a_head() {
        let request = parse_head("POST /a?b HTTP/1.1\r\nContent-Length: 5\r\nConnection: close").unwrap();
        assert_eq!(request, Request { head_only: false, path: "/a".into(), body_bytes: 5, close: true });
        assert!(parse_head("").is_none());
        assert!(date().ends_with(" GMT"));
    }

    proptest! {
        #[test]
        fn never_panics_on_any_text(text in "\\PC{0,200}") {
            let _ = parse_head(&text);
        }
    }
}
