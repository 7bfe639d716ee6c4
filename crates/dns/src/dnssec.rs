//! Our own validation of one zone: DS at the parent, DNSKEY at the zone, RRSIG over the answer.
//!
//! The trust anchor of a private network is not known, so what is judged is whether the parent's DS,
//! the zone's keys and the signatures agree and are in their time (RFC 4035 section 5).

use crate::message::{Decoded, line, plain};
use crate::report::RecordLine;
use hickory_proto::dnssec::Verifier;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, RRSIG};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use serde::{Deserialize, Serialize};

/// Signatures tried over one set; hostile answers may carry many.
const SIGNATURES_COUNT_MAX: usize = 16;
/// Keys looked at in one zone.
const KEYS_COUNT_MAX: usize = 32;

/// What validation says, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    Valid,
    /// No DS at the parent: nothing need be signed.
    Unsigned,
    SignatureExpired,
    NotYetValid,
    SignatureMissing,
    SignatureBad,
    DsMismatch,
}

impl Validity {
    /// The value of fact `dns.dnssec`.
    pub const fn value(self) -> &'static str {
        match self {
            Validity::Valid => "valid",
            Validity::Unsigned => "unsigned",
            Validity::SignatureExpired => "signature_expired",
            Validity::NotYetValid => "not_yet_valid",
            Validity::SignatureMissing => "signature_missing",
            Validity::SignatureBad => "signature_bad",
            Validity::DsMismatch => "ds_mismatch",
        }
    }

    /// True when a validating resolver must refuse the answer.
    pub const fn is_bogus(self) -> bool {
        !matches!(self, Validity::Valid | Validity::Unsigned)
    }
}

/// The validation of one zone's answer, with what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    pub zone: String,
    pub validity: Validity,
    /// One line: which signature, which key, which dates.
    pub detail: String,
    pub ds: Vec<RecordLine>,
    pub keys: Vec<u16>,
}

/// The three answers a validation needs; `answer` is the one for the name itself.
#[derive(Debug, Clone, Default)]
pub struct Material {
    pub ds: Option<Decoded>,
    pub keys: Option<Decoded>,
    pub answers: Vec<Decoded>,
    /// Validate the signatures even without a DS: the resolver showed that it validates.
    pub insist: bool,
}

/// Validates; None when the material does not suffice, or only with algorithms we do not know.
pub fn validate(zone: &str, material: &Material, now_s: u32) -> Option<Validation> {
    let apex = crate::message::parse_name(zone)?;
    let ds_set = material.ds.as_ref().map(|d| delegation_signers(d, zone)).unwrap_or_default();
    let key_records =
        material.keys.as_ref().map(|k| records_of(&k.answers, zone, RecordType::DNSKEY)).unwrap_or_default();
    let keys = keys_of(&key_records);
    let tags = keys.iter().filter_map(|k| k.calculate_key_tag().ok()).collect();
    let finding = |validity, detail: String| {
        let ds = ds_set.iter().map(|(_, line)| line.clone()).collect();
        Some(Validation { zone: zone.to_owned(), validity, detail, ds, keys: tags })
    };
    if ds_set.is_empty() {
        material.ds.as_ref()?;
        if !material.insist || keys.is_empty() {
            return finding(Validity::Unsigned, format!("{zone}: no DS at the parent"));
        }
    } else {
        material.keys.as_ref()?;
        if !ds_set.iter().any(|(ds, _)| ds.algorithm().is_supported() && ds.digest_type().is_supported()) {
            return None;
        }
        let covered = |key: &&DNSKEY| ds_set.iter().any(|(ds, _)| ds.covers(&apex, key).unwrap_or(false));
        if !keys.iter().any(|key| covered(&key)) {
            let wanted: Vec<String> = ds_set.iter().map(|(ds, _)| ds.key_tag().to_string()).collect();
            let have: Vec<String> =
                keys.iter().filter_map(|k| k.calculate_key_tag().ok()).map(|t| t.to_string()).collect();
            let (wanted, have) =
                (wanted.join(" "), if have.is_empty() { "no key".into() } else { have.join(" ") });
            return finding(
                Validity::DsMismatch,
                format!("{zone}: DS names key {wanted}, the zone has {have}"),
            );
        }
    }
    let mut worst = (Validity::Valid, format!("{zone}: signatures agree with keys and DS"));
    let own = material.keys.iter().map(|k| (k, true));
    for (decoded, of_keys) in own.chain(material.answers.iter().map(|a| (a, false))) {
        let wanted = if of_keys { Some(RecordType::DNSKEY) } else { None };
        let found = check_message(decoded, zone, wanted, &keys, now_s);
        if let Some(found) = found.filter(|f| f.0 > worst.0) {
            worst = found;
        }
    }
    finding(worst.0, worst.1)
}

/// Judges every set of an answer that lies in the zone; of a negative one, the SOA and its proof.
fn check_message(
    decoded: &Decoded,
    zone: &str,
    only: Option<RecordType>,
    keys: &[DNSKEY],
    now_s: u32,
) -> Option<(Validity, String)> {
    let negative = decoded.answers.iter().all(|r| r.record_type() == RecordType::RRSIG);
    let section = if negative { &decoded.authorities } else { &decoded.answers };
    let mut worst: Option<(Validity, String)> = None;
    for (owner, kind) in sets_of(section) {
        let outside = !crate::walk::is_at_or_below(&plain(&owner), zone);
        if outside || only.is_some_and(|only| only != kind) || (negative && kind == RecordType::NS) {
            continue;
        }
        let found = check_set(section, &owner, kind, zone, keys, now_s);
        if worst.as_ref().is_none_or(|worst| found.0 > worst.0) {
            worst = Some(found);
        }
    }
    worst
}

/// Owners and types in a section, each once, signatures left out.
fn sets_of(section: &[Record]) -> Vec<(Name, RecordType)> {
    let mut sets: Vec<(Name, RecordType)> = Vec::new();
    for record in section {
        let set = (record.name.clone(), record.record_type());
        if set.1 != RecordType::RRSIG && !sets.contains(&set) {
            sets.push(set);
        }
    }
    sets
}

fn check_set(
    section: &[Record],
    owner: &Name,
    kind: RecordType,
    zone: &str,
    keys: &[DNSKEY],
    now_s: u32,
) -> (Validity, String) {
    let set: Vec<&Record> = section.iter().filter(|r| r.name == *owner && r.record_type() == kind).collect();
    let of = format!("{} {kind}", plain(owner));
    let signatures = section.iter().filter(|r| r.name == *owner).filter_map(signature_of);
    let signatures =
        signatures.filter(|s| s.input().type_covered == kind && plain(&s.input().signer_name) == zone);
    let mut best: Option<(Validity, String)> = None;
    for signature in signatures.take(SIGNATURES_COUNT_MAX) {
        let found = check_signature(signature, owner, &set, keys, now_s);
        let found = (found.0, format!("{of}: {}", found.1));
        if best.as_ref().is_none_or(|best| found.0 < best.0) {
            best = Some(found);
        }
    }
    best.unwrap_or_else(|| (Validity::SignatureMissing, format!("{of}: no RRSIG by {zone}")))
}

fn check_signature(
    signature: &RRSIG,
    owner: &Name,
    set: &[&Record],
    keys: &[DNSKEY],
    now_s: u32,
) -> (Validity, String) {
    let input = signature.input();
    let (from, until) = (input.sig_inception.get(), input.sig_expiration.get());
    let tag = input.key_tag;
    let fits =
        |key: &&DNSKEY| key.algorithm() == input.algorithm && key.calculate_key_tag().ok() == Some(tag);
    let mut fitting = keys.iter().filter(fits).peekable();
    if fitting.peek().is_none() {
        return (Validity::SignatureBad, format!("RRSIG by key {tag}, which the zone does not have"));
    }
    let good =
        fitting.any(|key| key.verify_rrsig(owner, DNSClass::IN, signature, set.iter().copied()).is_ok());
    if !good {
        (Validity::SignatureBad, format!("RRSIG by key {tag} does not verify"))
    } else if later(now_s, until) {
        (Validity::SignatureExpired, format!("RRSIG by key {tag} expired at {}", stamp(until)))
    } else if later(from, now_s) {
        (Validity::NotYetValid, format!("RRSIG by key {tag} valid only from {}", stamp(from)))
    } else {
        (Validity::Valid, format!("RRSIG by key {tag} valid until {}", stamp(until)))
    }
}

/// Serial arithmetic (RFC 4034 section 3.1.5).
fn later(one: u32, other: u32) -> bool {
    let ahead = one.wrapping_sub(other);
    ahead != 0 && ahead < 0x8000_0000
}

fn stamp(seconds: u32) -> String {
    netwhy_model::Stamp::from_millis(u64::from(seconds) * 1_000).to_string()
}

fn signature_of(record: &Record) -> Option<&RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some(signature),
        _ => None,
    }
}

fn records_of(section: &[Record], owner: &str, kind: RecordType) -> Vec<Record> {
    section.iter().filter(|r| r.record_type() == kind && plain(&r.name) == owner).cloned().collect()
}

fn keys_of(records: &[Record]) -> Vec<DNSKEY> {
    let keys = records.iter().filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) if key.zone_key() && !key.revoke() => Some(key.clone()),
        _ => None,
    });
    keys.take(KEYS_COUNT_MAX).collect()
}

fn delegation_signers(decoded: &Decoded, zone: &str) -> Vec<(DS, RecordLine)> {
    let owned = decoded.answers.iter().filter(|r| plain(&r.name) == zone);
    let signers = owned.filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::DS(ds)) => Some((ds.clone(), line(record))),
        _ => None,
    });
    signers.take(KEYS_COUNT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_wrap() {
        assert!(later(10, 5) && !later(5, 10) && !later(5, 5));
        assert!(later(5, u32::MAX - 5));
    }

    #[test]
    fn without_ds_nothing_need_be_signed() {
        let empty =
            Decoded { reply: Default::default(), answers: vec![], authorities: vec![], additionals: vec![] };
        let material =
            Material { ds: Some(empty.clone()), keys: Some(empty), answers: vec![], insist: false };
        assert_eq!(validate("a.test", &material, 1).unwrap().validity, Validity::Unsigned);
        assert!(validate("a.test", &Material::default(), 1).is_none());
    }
}
