//! An HTTP/3 server of our own on loopback, and one that is advertised and dead.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use netwhy_http::{Lookup, http, variants};
use netwhy_model::{Case, Evidence};
use quinn::crypto::rustls::QuicServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn value<'a>(all: &'a [Evidence], fact: &str) -> &'a str {
    all.iter().find(|e| e.fact == fact && e.speaks()).map_or("", |e| e.value.as_str())
}

fn tls(alpn: &[u8]) -> rustls::ServerConfig {
    let made = rcgen::generate_simple_self_signed(["shop.test".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

/// A plain page over TLS that advertises HTTP/3 on `udp_port`.
async fn web(udp_port: u16) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls(b"http/1.1")));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 8_192]).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":{udp_port}\"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

async fn quic() -> u16 {
    let crypto = QuicServerConfig::try_from(tls(b"h3")).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
    let port = endpoint.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                let connection = h3_quinn::Connection::new(incoming.await.unwrap());
                let mut server = h3::server::Connection::<_, Bytes>::new(connection).await.unwrap();
                while let Ok(Some(resolver)) = server.accept().await {
                    let (_, mut stream) = resolver.resolve_request().await.unwrap();
                    stream.send_response(http::Response::new(())).await.unwrap();
                    stream.send_data(Bytes::from_static(b"ok")).await.unwrap();
                    stream.finish().await.unwrap();
                }
            });
        }
    });
    port
}

async fn asked(address: SocketAddr, expect: &[&str]) -> Vec<Evidence> {
    let mut case = Case::new(format!("https://shop.test:{}/", address.port()).parse().unwrap());
    for text in expect {
        case.expect.add(text).unwrap();
    }
    let lookup: Lookup = Arc::new(|_| Box::pin(async { Vec::new() }));
    let seen = http(&case, address, lookup).await;
    [seen.evidence.clone(), variants(&case, address, &seen).await].concat()
}

#[tokio::test]
async fn http3_is_spoken_where_it_is_advertised() {
    let address = web(quic().await).await;
    let all = asked(address, &["http=3"]).await;
    assert_eq!((value(&all, "http.h3"), value(&all, "http.h2")), ("ok", "not_offered"));
}

#[tokio::test]
async fn http3_that_is_advertised_and_dead_is_named() {
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = web(nobody.local_addr().unwrap().port()).await;
    assert_eq!(value(&asked(address, &[]).await, "http.h3"), "advertised_dead");
}
