//! One request over HTTP/3 (RFC 9114), certificate unverified.

use crate::ask::Ask;
use crate::protocols::{Spoken, request};
use bytes::Buf;
use netwhy_model::Case;
use netwhy_tls::Verify;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, EndpointConfig, TokioRuntime};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// Body bytes read.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Asks over HTTP/3; every failure is told as broken with its reason.
pub(crate) async fn speak(case: &Case, ask: &Ask, wait: Duration) -> Spoken {
    match tokio::time::timeout(wait, attempt(case, ask)).await {
        Ok(Ok(status)) => Spoken::Status(status),
        Ok(Err(why)) => Spoken::Broken(why),
        Err(_) => Spoken::Broken(format!("no whole HTTP/3 response within {} ms", wait.as_millis())),
    }
}

async fn attempt(case: &Case, ask: &Ask) -> Result<u16, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let tls = netwhy_tls::client_config(case, &[b"h3"], Verify::None).map_err(|e| told(&e))?;
    let crypto = QuicClientConfig::try_from(tls).map_err(|e| told(&e))?;
    let socket = socket(case, ask.address).map_err(|e| told(&e))?;
    let mut endpoint = Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))
        .map_err(|e| told(&e))?;
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(crypto)));
    let name = ask.secure.as_ref().map_or("invalid.invalid", |secure| secure.name.as_str());
    let connection =
        endpoint.connect(ask.address, name).map_err(|e| told(&e))?.await.map_err(|e| told(&e))?;
    let (mut driver, mut sender) =
        h3::client::new(h3_quinn::Connection::new(connection)).await.map_err(|e| told(&e))?;
    let driving = tokio::spawn(async move {
        let _ = std::future::poll_fn(|cx| driver.poll_close(cx)).await;
    });
    let status = exchange(&mut sender, ask).await;
    driving.abort();
    endpoint.close(0u32.into(), b"");
    status
}

async fn exchange<O>(sender: &mut h3::client::SendRequest<O, bytes::Bytes>, ask: &Ask) -> Result<u16, String>
where
    O: h3::quic::OpenStreams<bytes::Bytes>,
{
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let request = request(ask).ok_or("the request cannot be written as HTTP/3")?;
    let mut stream = sender.send_request(request).await.map_err(|e| told(&e))?;
    stream.finish().await.map_err(|e| told(&e))?;
    let response = stream.recv_response().await.map_err(|e| told(&e))?;
    let mut got = 0;
    while let Some(piece) = stream.recv_data().await.map_err(|e| told(&e))? {
        got += piece.remaining();
        if got >= BODY_BYTES_MAX {
            break;
        }
    }
    Ok(response.status().as_u16())
}

fn socket(case: &Case, to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    if let Some(interface) = &case.source.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    let any =
        if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let source = case.source.address.filter(|a| a.is_ipv4() == to.is_ipv4()).unwrap_or(any);
    socket.bind(&SocketAddr::new(source, 0).into())?;
    Ok(socket.into())
}
