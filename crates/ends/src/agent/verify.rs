//! Which clients an agent lets in: a certificate of its authority, valid now, and meant for clients.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use std::sync::Arc;

/// Checks as webpki does, and that the certificate says it is a client's: webpki lets it say nothing.
#[derive(Debug)]
pub(super) struct OnlyClients {
    webpki: Arc<dyn ClientCertVerifier>,
}

impl OnlyClients {
    pub(super) fn of(roots: RootCertStore) -> Result<OnlyClients, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let webpki = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(OnlyClients { webpki })
    }
}

impl ClientCertVerifier for OnlyClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.webpki.verify_client_cert(end_entity, intermediates, now)?;
        if is_for_clients(end_entity) { Ok(verified) } else { Err(CertificateError::InvalidPurpose.into()) }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whether it names client authentication as its purpose (RFC 5280, 4.2.1.12).
fn is_for_clients(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return false };
    matches!(parsed.extended_key_usage(), Ok(Some(usage)) if usage.value.client_auth)
}

/// The subject of a certificate that was accepted, on one line.
pub(super) fn subject(certificate: &CertificateDer<'_>) -> String {
    /// Longest subject named, in characters.
    const SUBJECT_CHARS_MAX: usize = 120;
    match x509_parser::parse_x509_certificate(certificate) {
        Ok((_, parsed)) => crate::line::printable(&parsed.subject().to_string(), SUBJECT_CHARS_MAX),
        Err(_) => String::new(),
    }
}
