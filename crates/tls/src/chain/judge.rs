//! One verdict on a chain, and what each kind of client makes of it. Opens nothing and reads no clock.

use super::certificate::{Certificate, ParsedCertificate, date, signature_name};
use super::path::{Finder, Path, Step, same_name};
use super::signature::{Signed, signed_by};
use super::staple::{StapleStatus, parse_staple};
use crate::trust::{Trust, provider};
use netwhy_model::Host;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error};
use serde::Serialize;
use std::net::IpAddr;
use std::time::Duration;

/// Most intermediates a strict client follows (rustls-webpki, `MAX_SUB_CA_COUNT`).
pub const INTERMEDIATE_COUNT_MAX: usize = 6;
/// Smallest RSA key of 112-bit strength, which today's defaults ask for.
pub const RSA_BITS_MIN: usize = 2_048;

/// What is wrong with a chain, most fundamental first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    Revoked,
    NameMismatch,
    SelfSigned,
    IntermediateWrong,
    IntermediateMissing,
    UntrustedRoot,
    Expired,
    NotYetValid,
    IntermediateExpired,
    WrongUsage,
    WeakKey,
    WeakSignature,
    Broken,
    TooLong,
}

impl Fault {
    /// The value of the fact `tls.chain`.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Revoked => "revoked",
            Fault::NameMismatch => "name_mismatch",
            Fault::SelfSigned => "self_signed",
            Fault::IntermediateWrong => "intermediate_wrong",
            Fault::IntermediateMissing => "intermediate_missing",
            Fault::UntrustedRoot => "untrusted_root",
            Fault::Expired => "expired",
            Fault::NotYetValid => "not_yet_valid",
            Fault::IntermediateExpired => "intermediate_expired",
            Fault::WrongUsage => "wrong_usage",
            Fault::WeakKey => "weak_key",
            Fault::WeakSignature => "weak_signature",
            Fault::Broken => "broken",
            Fault::TooLong => "too_long",
        }
    }
}

/// What one kind of client makes of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValidatorVerdict {
    /// `openssl` (curl, most languages), `webpki` (strict, no reordering, shallow), `cdn` (ordered and complete).
    pub validator: &'static str,
    pub accepts: bool,
    pub why: String,
}

/// The verdict on one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainVerdict {
    /// The most fundamental fault; `None` when the chain is well.
    pub fault: Option<Fault>,
    pub others: Vec<Fault>,
    /// What each fault rests on, in numbers.
    pub notes: Vec<String>,
    pub ordered: bool,
    pub covers_name: bool,
    pub validators: Vec<ValidatorVerdict>,
    /// A value of the fact `tls.staple`.
    pub staple: &'static str,
    pub staple_note: String,
    /// From the leaf to the root, by common name.
    pub path: String,
    pub certificates: Vec<Certificate>,
}

impl ChainVerdict {
    /// Whether all kinds of clients say the same.
    pub fn agree(&self) -> bool {
        self.validators.iter().all(|v| v.accepts) || self.validators.iter().all(|v| !v.accepts)
    }
}

/// Judges a chain as sent, with its staple, for a host, at a time in seconds since the epoch.
pub(crate) fn judge(sent: &[Vec<u8>], staple: &[u8], trust: &Trust, host: &Host, now: i64) -> ChainVerdict {
    let parsed: Vec<ParsedCertificate> =
        sent.iter().filter_map(|der| ParsedCertificate::parse(der)).collect();
    let mut work = Judgement { now, host, faults: Vec::new(), notes: Vec::new() };
    let leaf_reads = sent.first().is_some_and(|der| parsed.first().is_some_and(|leaf| leaf.der == *der));
    if !leaf_reads {
        work.add(Fault::Broken, "the leaf is not a readable certificate".to_owned());
    }
    let mut finder = Finder::new(&parsed, &trust.parsed, now);
    let path = finder.find();
    let on_path: Vec<&ParsedCertificate> = path.steps.iter().map(|step| finder.at(*step)).collect();
    let (staple_value, staple_note) = match parsed.first() {
        Some(leaf) => work.staple(leaf, staple),
        None => ("none", String::new()),
    };
    if let Some(leaf) = parsed.first() {
        work.name(leaf);
        work.usage(&on_path);
        work.dates(&on_path);
        if !path.trusted {
            work.trust(&parsed, &on_path, trust);
        }
        work.strength(&on_path, path.trusted);
        work.authority(&on_path, leaf, path.trusted);
    }
    let validators = work.validators(sent, &path, trust);
    work.faults.sort_unstable();
    work.faults.dedup();
    let mut faults = work.faults.into_iter();
    ChainVerdict {
        fault: faults.next(),
        others: faults.collect(),
        notes: work.notes,
        ordered: is_ordered(&path),
        covers_name: parsed.first().is_some_and(|leaf| covers(leaf, host)),
        validators,
        staple: staple_value,
        staple_note,
        path: path_text(&on_path, path.trusted),
        certificates: parsed.iter().map(ParsedCertificate::face).collect(),
    }
}

/// Whether a certificate covers a host: alternative names, else (only without any) the common name as OpenSSL does.
pub(crate) fn covers(leaf: &ParsedCertificate, host: &Host) -> bool {
    match host {
        Host::Address(address) => leaf.addresses.contains(address),
        Host::Name(name) => {
            leaf.dns_names.iter().any(|pattern| name_matches(pattern, name))
                || (only_common_name(leaf)
                    && leaf.common_name.as_deref().is_some_and(|common| name_matches(common, name)))
        }
    }
}

fn only_common_name(leaf: &ParsedCertificate) -> bool {
    leaf.dns_names.is_empty() && leaf.addresses.is_empty()
}

/// RFC 9525 section 6.3: a wildcard stands for exactly one leftmost label.
pub(crate) fn name_matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern);
    if pattern.eq_ignore_ascii_case(name) {
        return true;
    }
    let Some(parent) = pattern.strip_prefix("*.") else { return false };
    name.split_once('.').is_some_and(|(first, rest)| {
        !first.is_empty() && parent.contains('.') && rest.eq_ignore_ascii_case(parent)
    })
}

struct Judgement<'a> {
    now: i64,
    host: &'a Host,
    faults: Vec<Fault>,
    notes: Vec<String>,
}

impl Judgement<'_> {
    fn add(&mut self, fault: Fault, note: String) {
        self.faults.push(fault);
        self.notes.push(format!("{}: {note}", fault.name()));
    }

    fn name(&mut self, leaf: &ParsedCertificate) {
        if covers(leaf, self.host) {
            if only_common_name(leaf) {
                self.notes.push("the name stands in the common name only, there is no SAN".to_owned());
            }
            return;
        }
        let mut names = leaf.dns_names.clone();
        names.extend(leaf.addresses.iter().map(IpAddr::to_string));
        if names.is_empty() {
            names.extend(leaf.common_name.clone());
        }
        let more = names.len().saturating_sub(6);
        names.truncate(6);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        self.add(Fault::NameMismatch, format!("{} is not among {}{more}", bare(self.host), names.join(", ")));
    }

    fn usage(&mut self, path: &[&ParsedCertificate]) {
        for (at, certificate) in path.iter().enumerate() {
            if certificate.server_auth == Some(false) {
                let note = format!("{} is not for server authentication (EKU)", certificate.short_name());
                self.add(Fault::WrongUsage, note);
            } else if at == 0 && certificate.may_key_exchange == Some(false) {
                self.add(Fault::WrongUsage, "the leaf's key usage allows no key exchange".to_owned());
            }
        }
    }

    fn dates(&mut self, path: &[&ParsedCertificate]) {
        for (at, certificate) in path.iter().enumerate() {
            let name = certificate.short_name();
            if self.now > certificate.not_after {
                let fault = if at == 0 { Fault::Expired } else { Fault::IntermediateExpired };
                self.add(
                    fault,
                    format!("{name} ended {}, now {}", date(certificate.not_after), date(self.now)),
                );
            } else if self.now < certificate.not_before {
                let begins = date(certificate.not_before);
                self.add(Fault::NotYetValid, format!("{name} begins {begins}, now {}", date(self.now)));
            }
        }
    }

    /// Why the path does not end in a trusted root.
    fn trust(&mut self, sent: &[ParsedCertificate], path: &[&ParsedCertificate], trust: &Trust) {
        let Some(top) = path.last() else { return };
        let leaf_only = path.len() == 1;
        if top.names_itself() && signed_by(top, top) != Signed::No {
            let fault = if leaf_only { Fault::SelfSigned } else { Fault::UntrustedRoot };
            self.add(fault, format!("{} signed itself and is not in the trust store", top.short_name()));
            return;
        }
        let issuer = top.issuer_common_name.as_deref().unwrap_or(&top.issuer);
        if trust.parsed.iter().any(|root| same_name(top, root)) {
            let note = format!(
                "the trusted root {issuer} has another key than the one that signed {}",
                top.short_name()
            );
            self.add(Fault::UntrustedRoot, note);
            return;
        }
        let strays: Vec<&ParsedCertificate> =
            sent.iter().skip(1).filter(|c| !path.iter().any(|p| p.key_info == c.key_info)).collect();
        if let Some(stray) = strays.iter().find(|c| !c.names_itself()) {
            let reason = if same_name(top, stray) { "has that name but another key" } else { "is another" };
            let note = format!(
                "{} was signed by {issuer}; {} was sent, which {reason}",
                top.short_name(),
                stray.short_name()
            );
            self.add(Fault::IntermediateWrong, note);
            return;
        }
        let root_sent = strays.iter().any(|c| trust.parsed.iter().any(|root| root.key_info == c.key_info));
        let missing = root_sent || (strays.is_empty() && seems_intermediate(top, leaf_only, trust));
        let fault = if missing { Fault::IntermediateMissing } else { Fault::UntrustedRoot };
        let note = format!("{} was signed by {issuer}, which is neither sent nor trusted", top.short_name());
        self.add(fault, note);
    }

    fn strength(&mut self, path: &[&ParsedCertificate], trusted: bool) {
        for (at, certificate) in path.iter().enumerate() {
            let (kind, bits, name) =
                (certificate.key_kind.as_str(), certificate.key_bits, certificate.short_name());
            let weak = match kind {
                "RSA" => bits < RSA_BITS_MIN,
                "EC" => bits < 224,
                "DSA" => true,
                _ => false,
            };
            if weak {
                self.add(Fault::WeakKey, format!("{name} has a key of {kind} {bits}"));
            }
            let is_root = at > 0 && (certificate.names_itself() || (trusted && at + 1 == path.len()));
            let signature = signature_name(&certificate.signature_oid);
            if !is_root && ["SHA-1", "MD5", "MD2"].iter().any(|old| signature.ends_with(old)) {
                self.add(Fault::WeakSignature, format!("{name} is signed with {signature}"));
            }
        }
    }

    /// Whether those who sign may sign, for this name and this deep.
    fn authority(&mut self, path: &[&ParsedCertificate], leaf: &ParsedCertificate, trusted: bool) {
        for certificate in path {
            if let Some(oid) = certificate.unknown_critical.first() {
                let note = format!("{} has the unknown critical extension {oid}", certificate.short_name());
                self.add(Fault::Broken, note);
            }
        }
        for (at, certificate) in path.iter().enumerate().skip(1) {
            let name = certificate.short_name();
            let is_anchor = trusted && at + 1 == path.len();
            if (certificate.ca != Some(true) && !is_anchor)
                || certificate.may_sign_certificates == Some(false)
            {
                self.add(Fault::Broken, format!("{name} signed another certificate without being a CA"));
            }
            if certificate.path_length.is_some_and(|limit| at - 1 > limit as usize) {
                let limit = certificate.path_length.unwrap_or(0);
                let note = format!("{name} allows {limit} intermediates below it, there are {}", at - 1);
                self.add(Fault::Broken, note);
            }
            if let Some(outside) = outside_constraints(certificate, leaf) {
                self.add(Fault::Broken, format!("{name} may not sign for {outside} (name constraints)"));
            }
        }
        let intermediates = path.len().saturating_sub(if trusted { 2 } else { 1 });
        if trusted && intermediates > INTERMEDIATE_COUNT_MAX {
            let note =
                format!("{intermediates} intermediates, strict clients follow {INTERMEDIATE_COUNT_MAX}");
            self.add(Fault::TooLong, note);
        }
    }

    /// The value of `tls.staple` and the line that proves it.
    fn staple(&mut self, leaf: &ParsedCertificate, bytes: &[u8]) -> (&'static str, String) {
        let answers = parse_staple(bytes);
        let Some(answer) = answers.iter().find(|answer| answer.serial == leaf.serial) else {
            return match (leaf.must_staple, bytes.is_empty()) {
                (true, _) => {
                    ("missing_but_required", "the certificate demands a staple, none came".to_owned())
                }
                (false, true) => ("none", "no staple came".to_owned()),
                (false, false) => {
                    ("none", format!("{} bytes that are no answer about this leaf", bytes.len()))
                }
            };
        };
        let until = answer.next_update.map_or("without end".to_owned(), |end| format!("until {}", date(end)));
        if answer.status == StapleStatus::Revoked {
            let since = answer.revoked_at.map_or(String::new(), |at| format!(" since {}", date(at)));
            self.add(Fault::Revoked, format!("the stapled OCSP answer says revoked{since}"));
            return ("revoked", format!("revoked{since}, answer valid {until}"));
        }
        if answer.next_update.is_some_and(|end| end < self.now) {
            return ("expired", format!("valid {until}, now {}", date(self.now)));
        }
        match answer.status {
            StapleStatus::Good => ("good", format!("good, valid {until}")),
            _ => ("none", "the responder does not know the certificate".to_owned()),
        }
    }

    fn validators(&self, sent: &[Vec<u8>], path: &Path, trust: &Trust) -> Vec<ValidatorVerdict> {
        let tolerant = |fault: &&Fault| !matches!(fault, Fault::TooLong | Fault::Revoked);
        let hard: Vec<&str> = self.faults.iter().filter(tolerant).map(|fault| fault.name()).collect();
        let openssl = verdict("openssl", hard.is_empty(), hard.join(", "));
        let cdn = match (hard.is_empty(), is_ordered(path)) {
            (true, true) => verdict("cdn", true, String::new()),
            (true, false) => verdict("cdn", false, "the chain is not in order".to_owned()),
            (false, _) => verdict("cdn", false, hard.join(", ")),
        };
        let mut all = vec![openssl];
        all.extend(self.webpki(sent, trust));
        all.push(cdn);
        all
    }

    /// The real strict validator; absent when it cannot judge (an algorithm it does not know, no roots).
    fn webpki(&self, sent: &[Vec<u8>], trust: &Trust) -> Option<ValidatorVerdict> {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(trust.store.clone(), provider()).build().ok()?;
        let certificates: Vec<CertificateDer<'_>> =
            sent.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let (leaf, intermediates) = certificates.split_first()?;
        let name = match self.host {
            Host::Name(name) => ServerName::try_from(name.as_str()).ok()?,
            Host::Address(address) => ServerName::IpAddress((*address).into()),
        };
        let seconds = u64::try_from(self.now).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        match verifier.verify_server_cert(leaf, intermediates, &name, &[], now) {
            // The chain may pass; the handshake's own signature by a short key never does.
            Ok(_) if self.faults.contains(&Fault::WeakKey) => {
                Some(verdict("webpki", false, Fault::WeakKey.name().to_owned()))
            }
            Ok(_) => Some(verdict("webpki", true, String::new())),
            Err(error) if is_beyond_webpki(&error) => None,
            Err(error) => Some(verdict("webpki", false, error.to_string())),
        }
    }
}

fn is_beyond_webpki(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        )
    )
}

fn verdict(validator: &'static str, accepts: bool, why: String) -> ValidatorVerdict {
    ValidatorVerdict { validator, accepts, why }
}

/// The certificates the path uses were sent in the order it uses them.
fn is_ordered(path: &Path) -> bool {
    let places: Vec<usize> = path
        .steps
        .iter()
        .filter_map(|step| if let Step::Sent(at) = step { Some(*at) } else { None })
        .collect();
    places.windows(2).all(|pair| pair[0] < pair[1])
}

fn path_text(path: &[&ParsedCertificate], trusted: bool) -> String {
    let mut names: Vec<&str> = path.iter().map(|certificate| certificate.short_name()).collect();
    let dropped = names.len().saturating_sub(10);
    names.truncate(10);
    let more = if dropped > 0 { format!(" ← {dropped} more") } else { String::new() };
    format!("{}{more} {}", names.join(" ← "), if trusted { "(trusted)" } else { "(not trusted)" })
}

/// A name of the leaf that a CA above it may not sign (RFC 5280 section 4.2.1.10; DNS names only).
fn outside_constraints(ca: &ParsedCertificate, leaf: &ParsedCertificate) -> Option<String> {
    let within = |name: &str, tree: &str| {
        let tree = tree.strip_prefix('.').unwrap_or(tree);
        tree.is_empty() || name == tree || name.strip_suffix(tree).is_some_and(|head| head.ends_with('.'))
    };
    let outside = leaf.dns_names.iter().find(|name| {
        let permitted = &ca.permitted_names;
        (!permitted.is_empty() && !permitted.iter().any(|tree| within(name, tree)))
            || ca.excluded_names.iter().any(|tree| within(name, tree))
    });
    outside.cloned()
}

/// Whether an unsent issuer is an intermediate left out rather than a root nobody trusts. The client cannot know
/// without the certificate itself; where it can be fetched (AIA), and what it is called, decide.
fn seems_intermediate(top: &ParsedCertificate, is_leaf: bool, trust: &Trust) -> bool {
    let issuer = words(&top.issuer);
    let has = |list: &[&str]| issuer.iter().any(|word| list.contains(&word.as_str()));
    if has(&["intermediate", "issuing", "sub", "subca", "subordinate", "int", "inter", "ica", "middle"]) {
        return true;
    }
    const STRANGERS: [&str; 20] = [
        "root",
        "rootca",
        "untrusted",
        "unknown",
        "rogue",
        "other",
        "private",
        "foreign",
        "fake",
        "evil",
        "second",
        "alternative",
        "external",
        "stranger",
        "wrong",
        "corp",
        "corporate",
        "internal",
        "mitm",
        "inspection",
    ];
    if has(&STRANGERS) {
        return false;
    }
    if is_leaf && top.issuer_url {
        return true;
    }
    is_leaf && is_of_a_trusted_family(&issuer, trust)
}

/// Whether a name shares a telling word with a trusted root: any in a small private store, a rare one in a large.
fn is_of_a_trusted_family(issuer: &[String], trust: &Trust) -> bool {
    const SMALL_STORE_COUNT_MAX: usize = 20;
    const RARE_COUNT_MAX: usize = 2;
    const COMMON: [&str; 18] = [
        "ca",
        "cn",
        "o",
        "ou",
        "c",
        "st",
        "l",
        "the",
        "authority",
        "certificate",
        "certification",
        "tls",
        "ssl",
        "test",
        "server",
        "trust",
        "global",
        "internet",
    ];
    let families: Vec<Vec<String>> = trust.parsed.iter().map(|root| words(&root.subject)).collect();
    issuer.iter().filter(|word| word.len() >= 3 && !COMMON.contains(&word.as_str())).any(|word| {
        let count = families.iter().filter(|family| family.contains(word)).count();
        count > 0 && (families.len() <= SMALL_STORE_COUNT_MAX || count <= RARE_COUNT_MAX)
    })
}

fn words(name: &str) -> Vec<String> {
    name.split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}

/// An address without the brackets of a URL.
pub(crate) fn bare(host: &Host) -> String {
    match host {
        Host::Name(name) => name.clone(),
        Host::Address(address) => address.to_string(),
    }
}
