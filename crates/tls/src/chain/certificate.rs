//! One certificate, owned and reduced to what a client looks at. Pure.

use serde::Serialize;
use std::net::IpAddr;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

/// Most alternative names kept of one certificate.
pub const NAME_COUNT_MAX: usize = 500;
/// Largest certificate read, in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 128 * 1024;

/// The public face of a certificate, for reports.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    pub names: Vec<String>,
    /// RFC 3339, UTC.
    pub not_before: String,
    /// RFC 3339, UTC.
    pub not_after: String,
    /// Such as `RSA 2048` or `EC 256`.
    pub key: String,
    /// Such as `RSA SHA-256`.
    pub signature: String,
    pub is_ca: bool,
    /// Hexadecimal, without separators.
    pub serial: String,
}

/// A certificate with everything the judgement needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParsedCertificate {
    pub der: Vec<u8>,
    pub subject: String,
    pub issuer: String,
    pub subject_raw: Vec<u8>,
    pub issuer_raw: Vec<u8>,
    pub common_name: Option<String>,
    pub issuer_common_name: Option<String>,
    pub serial: Vec<u8>,
    pub dns_names: Vec<String>,
    pub addresses: Vec<IpAddr>,
    /// Seconds since the epoch.
    pub not_before: i64,
    /// Seconds since the epoch.
    pub not_after: i64,
    pub key_kind: String,
    pub key_bits: usize,
    pub signature_oid: String,
    pub signature_parameters: Vec<u8>,
    pub signature: Vec<u8>,
    pub signed: Vec<u8>,
    pub key_bytes: Vec<u8>,
    /// The whole SubjectPublicKeyInfo.
    pub key_info: Vec<u8>,
    pub key_oid: String,
    /// From BasicConstraints; `None` when the extension is absent.
    pub ca: Option<bool>,
    pub path_length: Option<u32>,
    /// From KeyUsage: may sign certificates; `None` when absent.
    pub may_sign_certificates: Option<bool>,
    /// From KeyUsage: any use that TLS has for a server key; `None` when absent.
    pub may_key_exchange: Option<bool>,
    /// From ExtendedKeyUsage: server authentication or any; `None` when absent.
    pub server_auth: Option<bool>,
    pub subject_key: Option<Vec<u8>>,
    pub authority_key: Option<Vec<u8>>,
    /// It says where its issuer's certificate can be had (AIA).
    pub issuer_url: bool,
    pub must_staple: bool,
    /// Critical extensions nobody knows, as OIDs.
    pub unknown_critical: Vec<String>,
    pub permitted_names: Vec<String>,
    pub excluded_names: Vec<String>,
}

impl ParsedCertificate {
    /// Reads one certificate; `None` when it is not one.
    pub fn parse(der: &[u8]) -> Option<ParsedCertificate> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return None;
        }
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let key = certificate.public_key();
        let (key_kind, key_bits) =
            key_size(key.parsed().ok().as_ref(), &key.algorithm.algorithm.to_id_string());
        let algorithm = &certificate.signature_algorithm;
        let mut out = ParsedCertificate {
            der: der.to_vec(),
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            subject_raw: certificate.subject().as_raw().to_vec(),
            issuer_raw: certificate.issuer().as_raw().to_vec(),
            common_name: common_name(certificate.subject()),
            issuer_common_name: common_name(certificate.issuer()),
            serial: certificate.raw_serial().to_vec(),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            key_kind,
            key_bits,
            signature_oid: algorithm.algorithm.to_id_string(),
            signature_parameters: algorithm.parameters.as_ref().map(|p| p.data.to_vec()).unwrap_or_default(),
            signature: certificate.signature_value.data.to_vec(),
            signed: certificate.tbs_certificate.as_ref().to_vec(),
            key_bytes: key.subject_public_key.data.to_vec(),
            key_info: key.raw.to_vec(),
            key_oid: key.algorithm.algorithm.to_id_string(),
            ..ParsedCertificate::default()
        };
        for extension in certificate.extensions() {
            out.read_extension(
                extension.parsed_extension(),
                extension.critical,
                &extension.oid.to_id_string(),
            );
            if extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.24" {
                out.must_staple = extension.value.windows(3).any(|w| w == [2, 1, 5]);
            }
        }
        Some(out)
    }

    fn read_extension(&mut self, extension: &ParsedExtension<'_>, critical: bool, oid: &str) {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                for name in names.general_names.iter().take(NAME_COUNT_MAX) {
                    match name {
                        GeneralName::DNSName(name) => self.dns_names.push(name.to_ascii_lowercase()),
                        GeneralName::IPAddress(bytes) => self.addresses.extend(address(bytes)),
                        _ => {}
                    }
                }
            }
            ParsedExtension::BasicConstraints(basic) => {
                self.ca = Some(basic.ca);
                self.path_length = basic.path_len_constraint;
            }
            ParsedExtension::KeyUsage(usage) => {
                self.may_sign_certificates = Some(usage.key_cert_sign());
                self.may_key_exchange =
                    Some(usage.digital_signature() || usage.key_encipherment() || usage.key_agreement());
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                self.server_auth = Some(usage.server_auth || usage.any)
            }
            ParsedExtension::SubjectKeyIdentifier(id) => self.subject_key = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(authority) => {
                self.authority_key = authority.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            ParsedExtension::AuthorityInfoAccess(access) => {
                self.issuer_url =
                    access.iter().any(|entry| entry.access_method.to_id_string() == "1.3.6.1.5.5.7.48.2");
            }
            ParsedExtension::NameConstraints(constraints) => {
                let dns = |list: &Option<Vec<x509_parser::extensions::GeneralSubtree<'_>>>| -> Vec<String> {
                    let names = list.iter().flatten().take(NAME_COUNT_MAX);
                    names
                        .filter_map(|tree| match &tree.base {
                            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                            _ => None,
                        })
                        .collect()
                };
                self.permitted_names = dns(&constraints.permitted_subtrees);
                self.excluded_names = dns(&constraints.excluded_subtrees);
            }
            ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::ParseError { .. } if critical => {
                self.unknown_critical.push(oid.to_owned());
            }
            _ => {}
        }
    }

    /// Subject and issuer are the same name.
    pub fn names_itself(&self) -> bool {
        self.subject_raw == self.issuer_raw
    }

    /// The name it was issued under: common name, else the whole subject.
    pub fn short_name(&self) -> &str {
        self.common_name.as_deref().unwrap_or(&self.subject)
    }

    /// For reports.
    pub fn face(&self) -> Certificate {
        let mut names = self.dns_names.clone();
        names.extend(self.addresses.iter().map(IpAddr::to_string));
        Certificate {
            subject: self.subject.clone(),
            issuer: self.issuer.clone(),
            names,
            not_before: date(self.not_before),
            not_after: date(self.not_after),
            key: format!("{} {}", self.key_kind, self.key_bits),
            signature: signature_name(&self.signature_oid).to_owned(),
            is_ca: self.ca.unwrap_or(false),
            serial: self.serial.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// RFC 3339 of seconds since the epoch.
pub(crate) fn date(seconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(seconds).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{seconds} s"))
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().last().and_then(|value| value.as_str().ok()).map(str::to_owned)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

fn key_size(key: Option<&PublicKey<'_>>, oid: &str) -> (String, usize) {
    match (key, oid) {
        (Some(PublicKey::RSA(rsa)), _) => {
            let modulus = rsa.modulus.iter().position(|byte| *byte != 0).map(|at| &rsa.modulus[at..]);
            let bits = modulus.map_or(0, |m| m.len() * 8 - m[0].leading_zeros() as usize);
            ("RSA".to_owned(), bits)
        }
        (Some(PublicKey::EC(point)), _) => ("EC".to_owned(), point.key_size()),
        (Some(PublicKey::DSA(_)), _) => ("DSA".to_owned(), 0),
        (_, "1.3.101.112") => ("Ed25519".to_owned(), 256),
        (_, "1.3.101.113") => ("Ed448".to_owned(), 456),
        (Some(other), _) => ("other".to_owned(), other.key_size()),
        (None, _) => ("unreadable".to_owned(), 0),
    }
}

/// The name of a signature algorithm, or its OID.
pub(crate) fn signature_name(oid: &str) -> &str {
    match oid {
        "1.2.840.113549.1.1.2" => "RSA MD2",
        "1.2.840.113549.1.1.4" => "RSA MD5",
        "1.2.840.113549.1.1.5" => "RSA SHA-1",
        "1.2.840.113549.1.1.14" => "RSA SHA-224",
        "1.2.840.113549.1.1.11" => "RSA SHA-256",
        "1.2.840.113549.1.1.12" => "RSA SHA-384",
        "1.2.840.113549.1.1.13" => "RSA SHA-512",
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.10045.4.1" => "ECDSA SHA-1",
        "1.2.840.10045.4.3.2" => "ECDSA SHA-256",
        "1.2.840.10045.4.3.3" => "ECDSA SHA-384",
        "1.2.840.10045.4.3.4" => "ECDSA SHA-512",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            ParsedCertificate::parse(&bytes);
        }

        #[test]
        fn never_panics_on_a_damaged_certificate(at in 0usize..400, value: u8) {
            let key = rcgen::KeyPair::generate().unwrap();
            let made = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
            let mut der = made.der().to_vec();
            let at = at % der.len();
            der[at] = value;
            ParsedCertificate::parse(&der);
        }
    }
}
