//! `netwhy agent init`: an authority that signs one agent's and some clients' certificates, and is then forgotten.

use super::unusable;
use crate::error::EndError;
use crate::frame::end_name_is_valid;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

/// Longest validity, in days.
const DAYS_MAX: u32 = 3650;
/// Names and addresses of one agent.
const NAME_COUNT_MAX: usize = 64;
/// Certificates for clients made at once.
const CLIENT_COUNT_MAX: usize = 64;

/// What certificates are made for.
#[derive(Debug, Clone)]
pub struct Issue {
    /// Host names clients may write after `agent://`.
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
    /// One certificate each, in files of that name.
    pub clients: Vec<String>,
    /// How long they are valid, in days.
    pub days: u32,
}

/// Makes `ca.pem`, `agent.pem`, `agent.key` and, for each client, `NAME.pem` and `NAME.key`; never overwrites.
///
/// The authority's key is written nowhere: nobody can sign further certificates later.
pub fn issue(directory: &Path, wanted: &Issue) -> Result<Vec<PathBuf>, EndError> {
    check(directory, wanted)?;
    let files = make(wanted).map_err(|error| unusable(directory, error))?;
    let paths: Vec<PathBuf> = files.iter().map(|file| directory.join(&file.name)).collect();
    if let Some(there) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(unusable(there, "it is there already, and nothing is overwritten"));
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| unusable(directory, error))?;
    for (at, (file, path)) in files.iter().zip(&paths).enumerate() {
        if let Err(error) = write(file, path) {
            // Half a set is of no use, and would be in the way next time.
            for written in &paths[..at] {
                let _ = std::fs::remove_file(written);
            }
            return Err(unusable(path, error));
        }
    }
    Ok(paths)
}

struct PemFile {
    name: String,
    text: String,
    secret: bool,
}

fn check(directory: &Path, wanted: &Issue) -> Result<(), EndError> {
    let refuse = |why: String| Err(unusable(directory, why));
    if wanted.names.is_empty() && wanted.addresses.is_empty() {
        return refuse("an agent needs a name or an address".to_owned());
    }
    if wanted.names.len() + wanted.addresses.len() > NAME_COUNT_MAX {
        return refuse(format!("an agent has at most {NAME_COUNT_MAX} names and addresses"));
    }
    if wanted.days == 0 || wanted.days > DAYS_MAX {
        return refuse(format!("certificates are valid for 1 to {DAYS_MAX} days"));
    }
    if wanted.clients.is_empty() || wanted.clients.len() > CLIENT_COUNT_MAX {
        return refuse(format!("1 to {CLIENT_COUNT_MAX} clients get certificates"));
    }
    for (at, name) in wanted.clients.iter().enumerate() {
        if !end_name_is_valid(name) || name.starts_with('.') || ["ca", "agent"].contains(&name.as_str()) {
            return refuse(format!("{name:?} is no name for a client"));
        }
        if wanted.clients[..at].contains(name) {
            return refuse(format!("client {name:?} is named twice"));
        }
    }
    Ok(())
}

fn make(wanted: &Issue) -> Result<Vec<PemFile>, rcgen::Error> {
    let public = |name: String, text: String| PemFile { name, text, secret: false };
    let secret = |name: String, text: String| PemFile { name, text, secret: true };
    let host = wanted.names.first().cloned().or_else(|| wanted.addresses.first().map(IpAddr::to_string));
    let host = host.unwrap_or_default();

    let key = KeyPair::generate()?;
    let mut authority = params(wanted.days, &format!("netwhy authority of {host}"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let mut files = vec![public("ca.pem".to_owned(), authority.self_signed(&key)?.pem())];
    let issuer = Issuer::new(authority, key);

    let mut agent = params(wanted.days, &host);
    agent.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in &wanted.names {
        agent.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    agent.subject_alt_names.extend(wanted.addresses.iter().copied().map(SanType::IpAddress));
    let mut leaves = vec![("agent".to_owned(), agent)];
    for client in &wanted.clients {
        let mut leaf = params(wanted.days, client);
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        leaves.push((client.clone(), leaf));
    }
    for (name, mut leaf) in leaves {
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        files.push(public(format!("{name}.pem"), leaf.signed_by(&key, &issuer)?.pem()));
        files.push(secret(format!("{name}.key"), key.serialize_pem()));
    }
    Ok(files)
}

fn params(days: u32, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "netwhy agent");
    params.distinguished_name.push(DnType::CommonName, name);
    let now = OffsetDateTime::now_utc();
    // Clocks of two hosts differ.
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(i64::from(days));
    params
}

fn write(file: &PemFile, path: &Path) -> std::io::Result<()> {
    let mode = if file.secret { 0o600 } else { 0o644 };
    let mut out = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    out.write_all(file.text.as_bytes())?;
    out.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn wanted() -> Issue {
        Issue {
            names: vec!["origin.example".into()],
            addresses: vec!["127.0.0.1".parse().unwrap()],
            clients: vec!["client".into(), "alice".into()],
            days: 30,
        }
    }

    #[test]
    fn keys_are_secret_nothing_is_overwritten_and_the_authority_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("new");
        let paths = issue(&directory, &wanted()).unwrap();
        let names: Vec<_> = paths.iter().filter_map(|p| p.file_name()?.to_str()).collect();
        assert_eq!(
            names,
            ["ca.pem", "agent.pem", "agent.key", "client.pem", "client.key", "alice.pem", "alice.key"]
        );
        for path in &paths {
            let mode = path.metadata().unwrap().mode() & 0o777;
            assert_eq!(mode, if path.extension().unwrap() == "key" { 0o600 } else { 0o644 }, "{path:?}");
        }
        assert_eq!(directory.metadata().unwrap().mode() & 0o777, 0o700);
        let before = std::fs::read(&paths[0]).unwrap();
        let refused = issue(&directory, &wanted()).unwrap_err().to_string();
        assert!(refused.contains("nothing is overwritten"), "{refused}");
        assert_eq!(std::fs::read(&paths[0]).unwrap(), before);
    }

    #[test]
    fn what_cannot_be_issued_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        for bad in [
            Issue { days: 0, ..wanted() },
            Issue { days: DAYS_MAX + 1, ..wanted() },
            Issue { names: vec![], addresses: vec![], ..wanted() },
            Issue { clients: vec!["../x".into()], ..wanted() },
            Issue { clients: vec!["agent".into()], ..wanted() },
            Issue { clients: vec!["a".into(), "a".into()], ..wanted() },
            Issue { names: vec!["nö".into()], ..wanted() },
        ] {
            assert!(issue(directory.path(), &bad).is_err(), "{bad:?}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
