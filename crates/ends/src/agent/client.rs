//! The controller's way to an agent.

use super::{AgentCredentials, Loaded, WELCOME};
use crate::error::EndError;
use crate::line::{Lines, printable};
use crate::session::MESSAGE_BYTES_MAX;
use crate::start::{Reader, Started};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest wait for a connection, in milliseconds.
const CONNECT_MS_MAX: u64 = 10_000;
/// Longest wait for the handshake and the agent's first word, in milliseconds.
const HANDSHAKE_MS_MAX: u64 = 10_000;
/// Longest first word, in bytes.
const WELCOME_BYTES_MAX: usize = 256;
/// Longest reason repeated, in characters.
const REASON_CHARS_MAX: usize = 200;

/// Connects, proves who we are, and checks who answers.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    credentials: &AgentCredentials,
) -> Result<Started, EndError> {
    let agent = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let config = config(credentials)?;
    let stream =
        tokio::time::timeout(Duration::from_millis(CONNECT_MS_MAX), TcpStream::connect((host, port)))
            .await
            .map_err(|_| EndError::Timeout { what: "connecting to the agent", after_ms: CONNECT_MS_MAX })?
            .map_err(|source| EndError::Connect { agent: agent.clone(), source: Arc::new(source) })?;
    let _ = stream.set_nodelay(true);
    let insecure =
        |why: String| EndError::Secure { agent: agent.clone(), why: printable(&why, REASON_CHARS_MAX) };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| insecure(error.to_string()))?;
    let handshake = async {
        let stream =
            TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(EndError::broken)?;
        let (reader, writer) = tokio::io::split(stream);
        let reader: Reader = Box::new(reader);
        let mut lines = Lines::new(reader, WELCOME_BYTES_MAX);
        // In TLS 1.3 a refused client hears of it only when it reads.
        match lines.next().await? {
            Some(line) if line == WELCOME.as_bytes() => {}
            _ => return Err(EndError::Gone { said: String::new() }),
        }
        lines.limit(MESSAGE_BYTES_MAX);
        Ok(Started { lines, writer: Box::new(writer), said: None, keeper: None, unchecked: false })
    };
    let done =
        tokio::time::timeout(Duration::from_millis(HANDSHAKE_MS_MAX), handshake).await.map_err(|_| {
            EndError::Timeout { what: "the handshake with the agent", after_ms: HANDSHAKE_MS_MAX }
        })?;
    done.map_err(|why| match why {
        EndError::Broken { source } => insecure(reason(&source)),
        EndError::Gone { .. } => insecure("it closed the connection at once".to_owned()),
        other => other,
    })
}

fn config(credentials: &AgentCredentials) -> Result<ClientConfig, EndError> {
    let Loaded { roots, chain, key } = credentials.read()?;
    let unusable = |error: rustls::Error| super::unusable(&credentials.certificate, error);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(unusable)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// What went wrong, in words for people where the protocol's own are none.
fn reason(error: &std::io::Error) -> String {
    use rustls::{AlertDescription, CertificateError};
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return error.to_string();
    };
    let told = match inner {
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => "it demands a certificate",
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "it refuses this certificate: it has expired"
        }
        rustls::Error::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::DecryptError | AlertDescription::BadCertificate,
        ) => "it refuses this certificate: another authority signed it",
        rustls::Error::AlertReceived(
            AlertDescription::CertificateUnknown | AlertDescription::UnsupportedCertificate,
        ) => "it refuses this certificate",
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name",
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "another authority signed its certificate",
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "its certificate has expired",
        rustls::Error::InvalidMessage(_) => "it speaks no TLS",
        other => return other.to_string(),
    };
    told.to_owned()
}
