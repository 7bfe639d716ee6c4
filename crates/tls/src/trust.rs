//! Whom to trust and whom to be: the system's roots, `--ca-file`, `--client-cert`.

use crate::chain::ParsedCertificate;
use crate::recorder::Recorder;
use netwhy_model::Case;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use thiserror::Error;

/// Most trust anchors read.
pub const ROOT_COUNT_MAX: usize = 2_000;

/// Why no client could be made.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("cannot read the certificates in {0}")]
    CaFile(String, #[source] rustls::pki_types::pem::Error),
    #[error("cannot read the client certificate and key in {0}")]
    ClientCert(String, #[source] rustls::pki_types::pem::Error),
    #[error("the file {0} holds no certificate")]
    NoCertificate(String),
    #[error("no trusted roots are installed on this host: install ca-certificates or set SSL_CERT_FILE")]
    NoRoots,
    #[error("the client certificate and key cannot be used")]
    Client(#[source] rustls::Error),
}

/// Whether a bad chain ends the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// As a strict client: chain, dates and name.
    Full,
    /// Accept whatever the server shows.
    None,
}

/// A client's certificate chain with its key.
pub(crate) struct ClientIdentity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// Makes a rustls client of the system's roots, the case's CA file and its client certificate.
pub fn client_config(case: &Case, alpn: &[&[u8]], verify: Verify) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Client)?;
    let builder = match verify {
        Verify::Full => builder.with_root_certificates(trust(case)?.store.clone()),
        Verify::None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Recorder::default())),
    };
    let mut config = match client_identity(case)? {
        Some(identity) => {
            builder.with_client_auth_cert(identity.chain, identity.key).map_err(TlsError::Client)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// The one crypto provider of the house.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    static PROVIDER: OnceLock<Arc<rustls::crypto::CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())).clone()
}

/// The system's roots (SSL_CERT_FILE and SSL_CERT_DIR honoured, read once) and those of the case.
pub(crate) fn roots(case: &Case) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    static SYSTEM: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    let system = SYSTEM.get_or_init(|| rustls_native_certs::load_native_certs().certs);
    let mut all = system.clone();
    if let Some(path) = &case.ca_file {
        let extra = read_certificates(path).map_err(|e| TlsError::CaFile(path.clone(), e))?;
        if extra.is_empty() {
            return Err(TlsError::NoCertificate(path.clone()));
        }
        all.extend(extra);
    }
    all.truncate(ROOT_COUNT_MAX);
    Ok(all)
}

/// The trust store in both forms the judgement needs.
#[derive(Debug)]
pub(crate) struct Trust {
    pub parsed: Vec<ParsedCertificate>,
    pub store: Arc<RootCertStore>,
}

/// The trust store of a case; the system's part is read and parsed once.
pub(crate) fn trust(case: &Case) -> Result<Arc<Trust>, TlsError> {
    static SYSTEM: OnceLock<Arc<Trust>> = OnceLock::new();
    if case.ca_file.is_none()
        && let Some(trust) = SYSTEM.get()
    {
        return Ok(trust.clone());
    }
    let roots = roots(case)?;
    let parsed = roots.iter().filter_map(|der| ParsedCertificate::parse(der)).collect();
    let trust = Arc::new(Trust { parsed, store: Arc::new(root_store(&roots)) });
    if case.ca_file.is_none() {
        return Ok(SYSTEM.get_or_init(|| trust).clone());
    }
    Ok(trust)
}

/// A store of what can be parsed; roots that cannot are left out, as every client does.
pub(crate) fn root_store(roots: &[CertificateDer<'static>]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    store
}

/// The client's certificate and key, when the case names a file.
pub(crate) fn client_identity(case: &Case) -> Result<Option<ClientIdentity>, TlsError> {
    let Some(path) = &case.client_cert else { return Ok(None) };
    let wrap = |e| TlsError::ClientCert(path.clone(), e);
    let chain = read_certificates(path).map_err(wrap)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(path.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(Path::new(path)).map_err(wrap)?;
    Ok(Some(ClientIdentity { chain, key }))
}

fn read_certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_file_iter(Path::new(path))?.take(ROOT_COUNT_MAX).collect()
}
