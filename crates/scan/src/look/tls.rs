//! A TLS handshake that trusts nothing and judges one thing: whether the certificate is for the name wanted.

use super::banner::{http_line, printable, with_banner};
use super::http_question;
use super::wire::Wire;
use crate::{Look, LookFor};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Turns of reading and writing in one handshake, and bytes read in one connection.
const TURN_COUNT_MAX: usize = 64;
const BYTES_MAX: usize = 64 << 10;
/// Names kept of a certificate.
const NAME_COUNT_MAX: usize = 16;
/// Bytes looked at of an answer within TLS.
const ANSWER_BYTES_MAX: usize = 4_096;

/// Shakes hands; `None` when the other side speaks no TLS.
pub(crate) fn shake(
    mut wire: Wire,
    address: SocketAddr,
    wanted: &LookFor,
    deadline: Instant,
) -> Option<Look> {
    let name = wanted.name.as_deref().and_then(|name| ServerName::try_from(name.to_owned()).ok());
    let server = name.clone().unwrap_or_else(|| ServerName::from(address.ip()));
    let mut session = ClientConnection::new(config()?, server).ok()?;
    let mut turner =
        Turner { wire: &mut wire, deadline, bytes_left: BYTES_MAX, is_tls: false, first: Vec::new() };
    let shaken = turner.turn(&mut session, |session| !session.is_handshaking());
    let (is_tls, first) = (turner.is_tls, std::mem::take(&mut turner.first));
    if !is_tls {
        // Something else answered the hello: what it said is a banner.
        return (!first.is_empty()).then(|| super::banner::answered(&first));
    }
    let mut look = with_banner("tls", "");
    if let Some(certificate) = session.peer_certificates().and_then(<[CertificateDer<'_>]>::first) {
        look.names = names(certificate);
        look.matches = name.as_ref().map(|name| is_for(certificate, name));
    }
    if shaken && session.writer().write_all(&http_question(address, wanted)).is_ok() {
        let mut answer = Vec::new();
        turner.turn(&mut session, |session| read_into(session, &mut answer));
        if answer.starts_with(b"HTTP/") {
            look.service = "https".into();
            look.banner = Some(http_line(&answer));
        } else if !answer.is_empty() {
            look.banner = super::banner::answered(&answer).banner;
        }
    }
    Some(look)
}

/// Takes what was decrypted; true when it is enough.
fn read_into(session: &mut ClientConnection, answer: &mut Vec<u8>) -> bool {
    let mut part = [0; ANSWER_BYTES_MAX];
    let most = ANSWER_BYTES_MAX - answer.len();
    match session.reader().read(&mut part[..most]) {
        Ok(0) => true,
        Ok(count) => {
            answer.extend_from_slice(&part[..count]);
            answer.len() >= ANSWER_BYTES_MAX || answer.windows(4).any(|end| end == b"\r\n\r\n")
        }
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// Moves bytes between a session and its connection.
struct Turner<'a> {
    wire: &'a mut Wire,
    deadline: Instant,
    bytes_left: usize,
    /// The other side answered with a record of TLS.
    is_tls: bool,
    /// What it said first, if that was none.
    first: Vec<u8>,
}

impl Turner<'_> {
    /// Until `is_done` says so; false when the connection ended or its time was over before.
    fn turn(
        &mut self,
        session: &mut ClientConnection,
        mut is_done: impl FnMut(&mut ClientConnection) -> bool,
    ) -> bool {
        for _ in 0..TURN_COUNT_MAX {
            let mut out = Vec::new();
            while session.wants_write() {
                if session.write_tls(&mut out).is_err() {
                    return false;
                }
            }
            if !out.is_empty() && !self.wire.write(&out, self.deadline) {
                return false;
            }
            if is_done(session) {
                return true;
            }
            let mut part = [0; 4_096];
            let most = part.len().min(self.bytes_left);
            let Ok(count @ 1..) = self.wire.read_some(&mut part[..most], self.deadline) else { return false };
            self.bytes_left -= count;
            if !self.is_tls && !self.begins_as_tls(&part[..count]) {
                return false;
            }
            let mut read = &part[..count];
            while !read.is_empty() {
                // Nothing is taken any more once the other side said that it is done.
                let is_taken = matches!(session.read_tls(&mut read), Ok(1..));
                if !is_taken || session.process_new_packets().is_err() {
                    return false;
                }
            }
        }
        false
    }

    /// A handshake record or an alert of any version.
    fn begins_as_tls(&mut self, bytes: &[u8]) -> bool {
        self.is_tls = matches!(bytes, [21 | 22, 3, 0..=4, ..]);
        if !self.is_tls {
            self.first = bytes.to_vec();
        }
        self.is_tls
    }
}

/// The names a certificate is for, without control characters: its alternative names, else its common name.
fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let mut names: Vec<String> = Vec::new();
    if let Ok(Some(alternative)) = parsed.subject_alternative_name() {
        names.extend(alternative.value.general_names.iter().take(NAME_COUNT_MAX).filter_map(general_name));
    }
    if names.is_empty() {
        let common = parsed.subject().iter_common_name().take(NAME_COUNT_MAX);
        names.extend(common.filter_map(|name| Some(printable(name.as_str().ok()?.as_bytes()))));
    }
    names.retain(|name| !name.is_empty());
    names
}

fn general_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(printable(name.as_bytes())),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => Some(std::net::IpAddr::from(v4).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|v6| std::net::IpAddr::from(v6).to_string()),
        },
        _ => None,
    }
}

/// Whether a client would take the certificate for the name, its issuer and dates aside.
fn is_for(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    rustls::server::ParsedCertificate::try_from(certificate)
        .is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, name).is_ok())
}

/// One configuration for all looks; `None` where the cryptography cannot be set up.
fn config() -> Option<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Option<Arc<ClientConfig>>> = OnceLock::new();
    CONFIG.get_or_init(make_config).clone()
}

fn make_config() -> Option<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // Nothing is sent that matters, and nothing is kept between looks.
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(Arc::new(config))
}

/// Takes any certificate, since the look asks what there is, not whether to trust it.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
