//! Small servers on loopback, well and broken, asked for real.

#![allow(clippy::unwrap_used)] // helpers of tests, outside any test function

use netwhy_model::{Case, Evidence};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn serve<F, T>(answer: F) -> SocketAddr
where
    F: Fn(TcpStream) -> T + Send + Sync + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

fn case(address: SocketAddr) -> Case {
    Case::new(format!("https://shop.example:{}/", address.port()).parse().unwrap())
}

fn value<'a>(evidence: &'a [Evidence], fact: &str) -> &'a str {
    evidence.iter().find(|e| e.fact == fact).map_or("", |e| e.value.as_str())
}

async fn ask(address: SocketAddr) -> (bool, Vec<Evidence>) {
    let case = case(address);
    let seen = netwhy_tls::tls(&case, address).await;
    let more = netwhy_tls::differential(&case, address, &[], &seen).await;
    (seen.usable, seen.evidence.into_iter().chain(more).collect())
}

/// A TLS server with a certificate of its own for `shop.example`.
fn config(alpn: &[&[u8]]) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2099, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

async fn handshake(config: Arc<ServerConfig>, stream: TcpStream) {
    if let Ok(mut tls) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await {
        let mut buffer = [0u8; 1_024];
        while tls.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    }
}

#[tokio::test]
async fn self_signed_is_served_and_named() {
    let config = config(&[b"h2", b"http/1.1"]);
    let address = serve(move |stream| handshake(config.clone(), stream)).await;
    let (usable, evidence) = ask(address).await;
    assert!(usable);
    for (fact, wanted) in [
        ("tls.handshake", "ok"),
        ("tls.plain", "tls"),
        ("tls.client_cert", "not_asked"),
        ("tls.sni", "indifferent"),
        ("tls.size", "same"),
        ("tls.versions", "modern"),
        ("tls.backends", "same"),
        ("tls.proxy_header", "not_needed"),
    ] {
        assert_eq!(value(&evidence, fact), wanted, "{fact}: {evidence:#?}");
    }
    // Without any root on the host the chain is not judged, and that is said.
    assert!(["self_signed", ""].contains(&value(&evidence, "tls.chain")));
}

#[tokio::test]
async fn protocols_refused() {
    let config = config(&[b"spdy/1"]);
    let address = serve(move |stream| handshake(config.clone(), stream)).await;
    let (usable, evidence) = ask(address).await;
    assert!(!usable, "{evidence:#?}");
    assert_eq!(value(&evidence, "tls.alert"), "no_application_protocol", "{evidence:#?}");
    assert_eq!(value(&evidence, "tls.alpn"), "refuses");
}

#[tokio::test]
async fn plain_text_on_the_port() {
    let ssh = serve(|mut stream: TcpStream| async move {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    })
    .await;
    let (usable, evidence) = ask(ssh).await;
    assert!(!usable);
    assert_eq!(value(&evidence, "tls.handshake"), "plain");
    assert_eq!(value(&evidence, "tls.plain"), "ssh");
}

#[tokio::test]
async fn a_reset_that_depends_on_the_name() {
    let config = config(&[]);
    let address = serve(move |stream: TcpStream| {
        let config = config.clone();
        async move {
            let mut head = [0u8; 1_024];
            let count = stream.peek(&mut head).await.unwrap_or(0);
            if head[..count].windows(12).any(|part| part == b"shop.example") {
                let _ = stream.set_zero_linger();
                return;
            }
            handshake(config, stream).await;
        }
    })
    .await;
    let (usable, evidence) = ask(address).await;
    assert!(!usable);
    assert_eq!(value(&evidence, "tls.handshake"), "reset");
    assert_eq!(value(&evidence, "tls.sni"), "name_reset");
}

#[tokio::test]
async fn a_proxy_header_is_wanted() {
    let config = config(&[b"http/1.1"]);
    let address = serve(move |mut stream: TcpStream| {
        let config = config.clone();
        async move {
            let mut head = [0u8; 44];
            if stream.read_exact(&mut head).await.is_ok()
                && head.starts_with(b"PROXY TCP4 ")
                && head.ends_with(b"\r\n")
            {
                handshake(config, stream).await;
            }
        }
    })
    .await;
    let (_, evidence) = ask(address).await;
    assert_eq!(value(&evidence, "tls.proxy_header"), "needed", "{evidence:#?}");
}

#[tokio::test]
async fn silence_is_judged_within_five_seconds() {
    let address = serve(|stream: TcpStream| async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        drop(stream);
    })
    .await;
    let started = std::time::Instant::now();
    let seen = netwhy_tls::tls(&case(address), address).await;
    assert_eq!(value(&seen.evidence, "tls.handshake"), "silent");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_closed_port_is_not_tls_s_business() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let seen = netwhy_tls::tls(&case(address), address).await;
    assert!(seen.evidence.iter().all(|evidence| !evidence.speaks()));
    assert!(netwhy_tls::differential(&case(address), address, &[], &seen).await.is_empty());
}

#[tokio::test]
async fn the_matrix_is_quick() {
    let config = config(&[b"h2", b"http/1.1"]);
    let address = serve(move |stream| handshake(config.clone(), stream)).await;
    let matrix = netwhy_tls::matrix(&case(address), address).await;
    let served: Vec<&str> =
        matrix.versions.iter().filter(|row| row.served).map(|row| row.version.as_str()).collect();
    assert_eq!(served, ["TLS 1.3", "TLS 1.2"]);
    assert_eq!(matrix.alpn, ["h2", "http/1.1"]);
    assert!(matrix.groups.iter().any(|group| group.name == "X25519" && group.served));
}
