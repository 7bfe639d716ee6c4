//! Certificates, good and bad in every way a scenario needs.
//!
//! One root is trusted (`root.pem`, which SSL_CERT_FILE names for every program of the lab), one is not.
//! Keys are ECDSA P-256 except where the fault is the key.

use crate::error::{LabError, Result};
use crate::isolate::LAB_DIRECTORY;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::fs;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

/// Intermediates in a chain that is `too-long`.
const DEEP_CHAIN_COUNT: usize = 9;
/// Names on one certificate.
const NAMES_COUNT_MAX: usize = 64;

/// What is right or wrong with a certificate and the chain it is served with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Good,
    /// Ended yesterday.
    Expired,
    /// Begins in a month.
    NotYetValid,
    SelfSigned,
    /// Valid for another name.
    WrongName,
    /// The intermediate is not sent.
    MissingIntermediate,
    /// An intermediate is sent, but not the one that signed.
    WrongIntermediate,
    /// The chain ends at a root nobody trusts.
    UntrustedRoot,
    /// As `UntrustedRoot`, and the root itself is sent too.
    UntrustedRootSent,
    /// More intermediates than most verifiers follow.
    TooLong,
    /// The intermediate has ended.
    ExpiredIntermediate,
    /// The chain is sent root-side first, behind the leaf.
    Reversed,
    /// RSA with 1024 bits; made by openssl.
    WeakKey,
    /// For clients: signed by the trusted root.
    Client,
    /// Only a common name, no subject alternative name.
    CommonNameOnly,
    /// Not for servers: extended key usage clientAuth only.
    WrongUsage,
    /// Good, but its OCSP answer says revoked; made by openssl.
    RevokedStaple,
}

impl Profile {
    /// All profiles by the name scenario files use.
    pub const ALL: [(&str, Profile); 17] = [
        ("good", Profile::Good),
        ("expired", Profile::Expired),
        ("not-yet-valid", Profile::NotYetValid),
        ("self-signed", Profile::SelfSigned),
        ("wrong-name", Profile::WrongName),
        ("missing-intermediate", Profile::MissingIntermediate),
        ("wrong-intermediate", Profile::WrongIntermediate),
        ("untrusted-root", Profile::UntrustedRoot),
        ("untrusted-root-sent", Profile::UntrustedRootSent),
        ("too-long", Profile::TooLong),
        ("expired-intermediate", Profile::ExpiredIntermediate),
        ("reversed", Profile::Reversed),
        ("weak-key", Profile::WeakKey),
        ("client", Profile::Client),
        ("common-name-only", Profile::CommonNameOnly),
        ("wrong-usage", Profile::WrongUsage),
        ("revoked-staple", Profile::RevokedStaple),
    ];

    /// Reads a profile; the empty text is `good`.
    pub fn parse(text: &str) -> Option<Profile> {
        if text.is_empty() {
            return Some(Profile::Good);
        }
        Profile::ALL.iter().find(|(name, _)| *name == text).map(|(_, profile)| *profile)
    }
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// The authorities of one lab, and the directory their certificates go to.
pub struct Pki {
    directory: PathBuf,
    now: OffsetDateTime,
    root: Issuer,
    stranger: Issuer,
    intermediate: Issuer,
    other_intermediate: Issuer,
}

impl Pki {
    /// Makes the authorities and writes `root.pem`, `stranger.pem`, `intermediate.pem` and `intermediate.key`.
    pub fn create() -> Result<Pki> {
        let directory = Path::new(LAB_DIRECTORY).join("pki");
        fs::create_dir_all(&directory).map_err(LabError::file(&directory))?;
        let now = OffsetDateTime::now_utc();
        let made = || -> std::result::Result<_, rcgen::Error> {
            let root = authority("Lab Root CA", None, now, Duration::days(3650))?;
            let stranger = authority("Unknown Root CA", None, now, Duration::days(3650))?;
            let intermediate = authority("Lab Intermediate CA", Some(&root), now, Duration::days(1000))?;
            let other = authority("Lab Other Intermediate CA", Some(&root), now, Duration::days(1000))?;
            Ok((root, stranger, intermediate, other))
        };
        let (root, stranger, intermediate, other_intermediate) = made().map_err(failed("root"))?;
        let pki = Pki { directory, now, root, stranger, intermediate, other_intermediate };
        pki.write("root.pem", &pki.root.pem())?;
        pki.write("stranger.pem", &pki.stranger.pem())?;
        pki.write("intermediate.pem", &pki.intermediate.pem())?;
        // For scenarios that sign odd certificates with openssl.
        pki.write("intermediate.key", &pki.intermediate.key().serialize_pem())?;
        Ok(pki)
    }

    /// Writes `<name>.pem` (leaf and what is sent with it), `<name>.leaf.pem`, `<name>.key`
    /// and `<name>.both.pem` (chain and key in one, as haproxy wants it); `<name>.ocsp` when revoked.
    pub fn issue(&self, name: &str, names: &[String], profile: Profile) -> Result<()> {
        let names = &names[..names.len().min(NAMES_COUNT_MAX)];
        let issued = match profile {
            Profile::WeakKey => self.weak(name, names)?,
            profile => self.chain(names, profile).map_err(failed(name))?,
        };
        let chain = issued.sent.concat();
        self.write(&format!("{name}.leaf.pem"), &issued.sent[0])?;
        self.write(&format!("{name}.pem"), &chain)?;
        self.write(&format!("{name}.both.pem"), &format!("{chain}{}", issued.key))?;
        self.write(&format!("{name}.key"), &issued.key)?;
        match profile {
            Profile::RevokedStaple => self.revoke(name),
            _ => match fs::remove_file(self.directory.join(format!("{name}.ocsp"))) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(LabError::file(name)(error))
                }
                _ => Ok(()),
            },
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.directory.join(name);
        fs::write(&path, text).map_err(LabError::file(path))
    }

    fn chain(&self, names: &[String], profile: Profile) -> std::result::Result<Issued, rcgen::Error> {
        let key = KeyPair::generate()?;
        let leaf = self.leaf(names, profile)?;
        let secret = key.serialize_pem();
        let sent = |chain: Vec<String>| Ok(Issued { sent: chain, key: secret.clone() });
        let (root, intermediate, other) = (&self.root, &self.intermediate, &self.other_intermediate);
        match profile {
            Profile::SelfSigned => sent(vec![leaf.self_signed(&key)?.pem()]),
            Profile::MissingIntermediate => sent(vec![leaf.signed_by(&key, intermediate)?.pem()]),
            Profile::WrongIntermediate => sent(vec![leaf.signed_by(&key, intermediate)?.pem(), other.pem()]),
            Profile::UntrustedRoot | Profile::UntrustedRootSent => {
                let middle = authority(
                    "Unknown Intermediate CA",
                    Some(&self.stranger),
                    self.now,
                    Duration::days(900),
                )?;
                let mut chain = vec![leaf.signed_by(&key, &middle)?.pem(), middle.pem()];
                chain.extend((profile == Profile::UntrustedRootSent).then(|| self.stranger.pem()));
                sent(chain)
            }
            Profile::ExpiredIntermediate => {
                let middle = authority("Lab Old Intermediate CA", Some(root), self.now, -Duration::days(2))?;
                sent(vec![leaf.signed_by(&key, &middle)?.pem(), middle.pem()])
            }
            Profile::TooLong | Profile::Reversed => {
                let count = if profile == Profile::TooLong { DEEP_CHAIN_COUNT } else { 2 };
                let chain = self.ladder(count)?;
                let last = chain.last().unwrap_or(root);
                let mut pems: Vec<String> = chain.iter().map(|step| step.pem()).collect();
                if profile == Profile::TooLong {
                    pems.reverse();
                }
                pems.insert(0, leaf.signed_by(&key, last)?.pem());
                sent(pems)
            }
            Profile::Client => sent(vec![leaf.signed_by(&key, root)?.pem()]),
            _ => sent(vec![leaf.signed_by(&key, intermediate)?.pem(), intermediate.pem()]),
        }
    }

    /// Intermediates, each signed by the one before; the first by the root.
    fn ladder(&self, count: usize) -> std::result::Result<Vec<Issuer>, rcgen::Error> {
        let mut chain: Vec<Issuer> = Vec::new();
        for number in 1..=count {
            let parent = chain.last().unwrap_or(&self.root);
            let next = authority(&format!("Lab CA {number}"), Some(parent), self.now, Duration::days(900))?;
            chain.push(next);
        }
        Ok(chain)
    }

    fn leaf(
        &self,
        names: &[String],
        profile: Profile,
    ) -> std::result::Result<CertificateParams, rcgen::Error> {
        let other = ["www.another.invalid".to_owned()];
        let names = if profile == Profile::WrongName { &other } else { names };
        let alternative = if profile == Profile::CommonNameOnly { Vec::new() } else { names.to_vec() };
        let mut leaf = CertificateParams::new(alternative)?;
        leaf.distinguished_name = rcgen::DistinguishedName::new();
        leaf.distinguished_name.push(DnType::CommonName, names.first().map_or("lab", String::as_str));
        (leaf.not_before, leaf.not_after) = match profile {
            Profile::Expired => (self.now - Duration::days(91), self.now - Duration::days(1)),
            Profile::NotYetValid => (self.now + Duration::days(30), self.now + Duration::days(120)),
            _ => (self.now - Duration::days(10), self.now + Duration::days(80)),
        };
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = match profile {
            Profile::Client | Profile::WrongUsage => vec![ExtendedKeyUsagePurpose::ClientAuth],
            _ => vec![ExtendedKeyUsagePurpose::ServerAuth],
        };
        leaf.use_authority_key_identifier_extension = profile != Profile::SelfSigned;
        Ok(leaf)
    }

    /// ring makes no RSA keys, so openssl does, under the lab's intermediate.
    fn weak(&self, name: &str, names: &[String]) -> Result<Issued> {
        let alternative: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
        let line = format!(
            "openssl req -x509 -newkey rsa:1024 -nodes -days 80 -subj /CN={first} -addext subjectAltName={names} \
             -addext basicConstraints=critical,CA:FALSE -CA intermediate.pem -CAkey intermediate.key \
             -keyout {name}.weak.key -out {name}.weak.pem",
            first = names.first().map_or("lab", String::as_str),
            names = alternative.join(","),
        );
        self.shell(name, &line)?;
        let read = |path: PathBuf| fs::read_to_string(&path).map_err(LabError::file(path));
        let made = |what: &str| read(self.directory.join(format!("{name}.weak.{what}")));
        Ok(Issued { sent: vec![made("pem")?, self.intermediate.pem()], key: made("key")? })
    }

    /// Writes an OCSP answer that says revoked, signed by the intermediate itself.
    fn revoke(&self, name: &str) -> Result<()> {
        // The index is that of `openssl ca`: status, end, revocation, serial, file, subject.
        let line = format!(
            "serial=$(openssl x509 -in {name}.leaf.pem -noout -serial | cut -d= -f2)
             printf 'R\\t351231235959Z\\t240101000000Z,keyCompromise\\t%s\\tunknown\\t/CN=lab\\n' \"$serial\" >{name}.index
             openssl ocsp -index {name}.index -rsigner intermediate.pem -rkey intermediate.key -CA intermediate.pem \
             -issuer intermediate.pem -cert {name}.leaf.pem -ndays 7 -respout {name}.ocsp -no_nonce"
        );
        self.shell(name, &line)
    }

    fn shell(&self, name: &str, line: &str) -> Result<()> {
        let failed = |why: String| LabError::Certificate { name: name.to_owned(), why };
        let output = std::process::Command::new("sh")
            .args(["-ec", line])
            .env("PATH", crate::host::SEARCH_PATH)
            .current_dir(&self.directory)
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

/// What is sent, leaf first, and its key.
struct Issued {
    sent: Vec<String>,
    key: String,
}

fn failed(name: &str) -> impl Fn(rcgen::Error) -> LabError {
    move |error| LabError::Certificate { name: name.to_owned(), why: error.to_string() }
}

fn authority(
    name: &str,
    parent: Option<&Issuer>,
    now: OffsetDateTime,
    left: Duration,
) -> std::result::Result<Issuer, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = now - Duration::days(365);
    params.not_after = now + left;
    params.use_authority_key_identifier_extension = parent.is_some();
    let key = KeyPair::generate()?;
    match parent {
        Some(parent) => CertifiedIssuer::signed_by(params, key, parent),
        None => CertifiedIssuer::self_signed(params, key),
    }
}
