//! Whether one certificate's key signed another certificate.

use super::certificate::ParsedCertificate;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

/// The answer, which may be that we cannot tell (P-521, Ed448, MD5 and other rarities).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    Yes,
    No,
    Unknown,
}

/// Checks the signature of `child` with the key of `parent`.
pub(crate) fn signed_by(child: &ParsedCertificate, parent: &ParsedCertificate) -> Signed {
    let Some(algorithms) = algorithms(child, parent) else { return by_identifiers(child, parent) };
    for algorithm in algorithms {
        let key = UnparsedPublicKey::new(algorithm, &parent.key_bytes);
        if key.verify(&child.signed, &child.signature).is_ok() {
            return Signed::Yes;
        }
    }
    Signed::No
}

/// Without a verifier, the key identifiers still exclude a wrong parent.
fn by_identifiers(child: &ParsedCertificate, parent: &ParsedCertificate) -> Signed {
    match (&child.authority_key, &parent.subject_key) {
        (Some(wanted), Some(had)) if wanted != had => Signed::No,
        _ => Signed::Unknown,
    }
}

type Algorithms = Vec<&'static dyn VerificationAlgorithm>;

const RSA: &str = "1.2.840.113549.1.1.1";
const EC: &str = "1.2.840.10045.2.1";

fn algorithms(child: &ParsedCertificate, parent: &ParsedCertificate) -> Option<Algorithms> {
    let small = parent.key_bits < 1_024;
    Some(match (child.signature_oid.as_str(), parent.key_oid.as_str()) {
        (_, RSA) if small => return None,
        ("1.2.840.113549.1.1.5", RSA) => vec![&signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY],
        ("1.2.840.113549.1.1.11", RSA) => vec![&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY],
        ("1.2.840.113549.1.1.12", RSA) if parent.key_bits >= 2_048 => {
            vec![&signature::RSA_PKCS1_2048_8192_SHA384]
        }
        ("1.2.840.113549.1.1.13", RSA) => vec![&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY],
        ("1.2.840.113549.1.1.10", RSA) if parent.key_bits >= 2_048 => vec![
            &signature::RSA_PSS_2048_8192_SHA256,
            &signature::RSA_PSS_2048_8192_SHA384,
            &signature::RSA_PSS_2048_8192_SHA512,
        ],
        ("1.2.840.10045.4.3.2", EC) => match parent.key_bytes.len() {
            65 => vec![&signature::ECDSA_P256_SHA256_ASN1],
            97 => vec![&signature::ECDSA_P384_SHA256_ASN1],
            _ => return None,
        },
        ("1.2.840.10045.4.3.3", EC) => match parent.key_bytes.len() {
            65 => vec![&signature::ECDSA_P256_SHA384_ASN1],
            97 => vec![&signature::ECDSA_P384_SHA384_ASN1],
            _ => return None,
        },
        ("1.3.101.112", "1.3.101.112") => vec![&signature::ED25519],
        // An RSA signature cannot come of an EC key, nor the other way round.
        (oid, EC) if oid.starts_with("1.2.840.113549.1.1.") => vec![],
        (oid, RSA) if oid.starts_with("1.2.840.10045.") => vec![],
        _ => return None,
    })
}
