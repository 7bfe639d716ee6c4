//! The TLS side of the tiny web server.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a TLS listener offers.
#[derive(Debug)]
pub struct TlsOptions<'a> {
    /// Directory and stem of the certificate, as `pki` writes them.
    pub certificate: PathBuf,
    /// Demands a client certificate signed by the lab's root.
    pub client_certificate: bool,
    /// `1.2` or `1.3`; empty offers both.
    pub only: &'a str,
    pub alpn: &'a [String],
    /// Names answered; empty answers every name and none.
    pub strict_names: &'a [String],
}

/// Makes the acceptor's configuration.
pub fn config(options: &TlsOptions<'_>) -> io::Result<ServerConfig> {
    let versions: &[&SupportedProtocolVersion] = match options.only {
        "" => &[&rustls::version::TLS12, &rustls::version::TLS13],
        "1.2" => &[&rustls::version::TLS12],
        "1.3" => &[&rustls::version::TLS13],
        other => return Err(io::Error::other(format!("tls_only {other:?} is neither 1.2 nor 1.3"))),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?;
    let builder = if options.client_certificate {
        let roots = Arc::new(trusted(&options.certificate)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(io::Error::other)?;
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let key = Arc::new(certified(&options.certificate, &provider)?);
    let strict = options.strict_names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let mut config = builder.with_cert_resolver(Arc::new(OneKey { key, strict }));
    config.alpn_protocols = options.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

/// One certificate for every name, or for some names only.
#[derive(Debug)]
struct OneKey {
    key: Arc<CertifiedKey>,
    strict: Vec<String>,
}

impl ResolvesServerCert for OneKey {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let known = |name: &str| self.strict.iter().any(|strict| strict.eq_ignore_ascii_case(name));
        (self.strict.is_empty() || hello.server_name().is_some_and(known)).then(|| Arc::clone(&self.key))
    }
}

fn certified(stem: &Path, provider: &rustls::crypto::CryptoProvider) -> io::Result<CertifiedKey> {
    let chain = chain(&stem.with_extension("pem"))?;
    let key = PrivateKeyDer::from_pem_file(stem.with_extension("key")).map_err(io::Error::other)?;
    let key = provider.key_provider.load_private_key(key).map_err(io::Error::other)?;
    let mut certified = CertifiedKey::new(chain, key);
    // Stapled when `pki` made one.
    certified.ocsp = std::fs::read(stem.with_extension("ocsp")).ok();
    Ok(certified)
}

fn trusted(stem: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for root in chain(&stem.with_file_name("root.pem"))? {
        roots.add(root).map_err(io::Error::other)?;
    }
    Ok(roots)
}

fn chain(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .map_err(io::Error::other)?
        .collect::<Result<_, _>>()
        .map_err(io::Error::other)
}
