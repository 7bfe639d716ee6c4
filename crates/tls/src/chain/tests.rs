//! Every chain fault, made by rcgen and judged.

use super::judge::{ChainVerdict, Fault, judge, name_matches};
use super::{ParsedCertificate, StapleStatus, parse_staple};
use crate::trust::{Trust, root_store};
use netwhy_model::Host;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

/// 2026-01-15.
const NOW: i64 = 1_768_435_200;

/// A certificate with the key that can sign others.
struct Made {
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

fn params(name: &str, ca: bool, years: (i32, i32)) -> CertificateParams {
    let names = if ca { Vec::new() } else { vec!["shop.example".to_owned()] };
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    params.use_authority_key_identifier_extension = true;
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    } else {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    }
    params
}

fn root(name: &str) -> Made {
    let key = KeyPair::generate().unwrap();
    let params = params(name, true, (2020, 2040));
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Made { der, issuer: Issuer::new(params, key) }
}

fn signed(by: &Made, params: CertificateParams) -> Made {
    let key = KeyPair::generate().unwrap();
    let der = params.signed_by(&key, &by.issuer).unwrap().der().to_vec();
    Made { der, issuer: Issuer::new(params, key) }
}

fn ca(by: &Made, name: &str) -> Made {
    signed(by, params(name, true, (2020, 2040)))
}

fn leaf(by: &Made) -> Made {
    signed(by, params("shop.example", false, (2025, 2027)))
}

fn trusting(root: &Made) -> Trust {
    let ders = vec![CertificateDer::from(root.der.clone())];
    let parsed = vec![ParsedCertificate::parse(&root.der).unwrap()];
    Trust { parsed, store: Arc::new(root_store(&ders)) }
}

fn verdict(sent: &[&Made], root: &Made) -> ChainVerdict {
    verdict_for(sent, root, "shop.example")
}

fn verdict_for(sent: &[&Made], root: &Made, host: &str) -> ChainVerdict {
    let sent: Vec<Vec<u8>> = sent.iter().map(|made| made.der.clone()).collect();
    judge(&sent, &[], &trusting(root), &Host::Name(host.to_owned()), NOW)
}

#[test]
fn good_chain() {
    let root = root("Lab Root");
    let middle = ca(&root, "Lab Issuing");
    let leaf = leaf(&middle);
    let verdict = verdict(&[&leaf, &middle], &root);
    assert_eq!(verdict.fault, None, "{verdict:?}");
    assert!(verdict.ordered && verdict.agree() && verdict.covers_name);
    assert_eq!(verdict.validators.len(), 3);
}

#[test]
fn dates() {
    let root = root("Lab Root");
    let expired = signed(&root, params("shop.example", false, (2024, 2025)));
    assert_eq!(verdict(&[&expired], &root).fault, Some(Fault::Expired));
    let early = signed(&root, params("shop.example", false, (2027, 2028)));
    assert_eq!(verdict(&[&early], &root).fault, Some(Fault::NotYetValid));
    let old = signed(&root, params("Lab Old", true, (2020, 2025)));
    assert_eq!(verdict(&[&leaf(&old), &old], &root).fault, Some(Fault::IntermediateExpired));
}

#[test]
fn a_renewed_intermediate_beside_the_expired_one_is_well() {
    let root = root("Lab Root");
    let key = KeyPair::generate().unwrap();
    let old = params("Lab Issuing", true, (2020, 2025));
    let new = params("Lab Issuing", true, (2025, 2035));
    let old_der = old.signed_by(&key, &root.issuer).unwrap().der().to_vec();
    let new_der = new.signed_by(&key, &root.issuer).unwrap().der().to_vec();
    let middle = Made { der: old_der, issuer: Issuer::new(old, key) };
    let leaf = leaf(&middle);
    let sent = vec![leaf.der.clone(), middle.der.clone(), new_der];
    let verdict = judge(&sent, &[], &trusting(&root), &Host::Name("shop.example".to_owned()), NOW);
    assert_eq!(verdict.fault, None, "{verdict:?}");
}

#[test]
fn names() {
    let root = root("Lab Root");
    let leaf = leaf(&root);
    assert_eq!(verdict_for(&[&leaf], &root, "www.shop.example").fault, Some(Fault::NameMismatch));
    let address = judge(
        std::slice::from_ref(&leaf.der),
        &[],
        &trusting(&root),
        &Host::Address("192.0.2.1".parse().unwrap()),
        NOW,
    );
    assert_eq!(address.fault, Some(Fault::NameMismatch));
    assert!(name_matches("*.shop.example", "a.shop.example"));
    assert!(!name_matches("*.shop.example", "a.b.shop.example"));
    assert!(!name_matches("*.shop.example", "shop.example"));
    assert!(!name_matches("*.example", "shop.example"));
    assert!(name_matches("XN--fiq228c.example", "xn--fiq228c.example"));
}

#[test]
fn trust_faults_are_told_apart() {
    let trusted = root("Lab Root");
    let middle = ca(&trusted, "Lab Issuing");
    let leaf_of_middle = leaf(&middle);
    let wrong = ca(&trusted, "Lab Other");
    let stranger = root("Stranger");
    assert_eq!(verdict(&[&leaf_of_middle], &trusted).fault, Some(Fault::IntermediateMissing));
    assert_eq!(verdict(&[&leaf_of_middle, &trusted], &trusted).fault, Some(Fault::IntermediateMissing));
    assert_eq!(verdict(&[&leaf_of_middle, &wrong], &trusted).fault, Some(Fault::IntermediateWrong));
    let namesake = ca(&trusted, "Lab Issuing");
    assert_eq!(verdict(&[&leaf_of_middle, &namesake], &trusted).fault, Some(Fault::IntermediateWrong));
    assert_eq!(verdict(&[&leaf(&stranger)], &trusted).fault, Some(Fault::UntrustedRoot));
    assert_eq!(verdict(&[&leaf(&stranger), &stranger], &trusted).fault, Some(Fault::UntrustedRoot));
    let twin = root("Lab Root");
    assert_eq!(verdict(&[&leaf(&twin)], &trusted).fault, Some(Fault::UntrustedRoot));
}

#[test]
fn self_signed_is_well_only_where_it_is_trusted() {
    let key = KeyPair::generate().unwrap();
    let params = params("shop.example", false, (2025, 2027));
    let der = params.self_signed(&key).unwrap().der().to_vec();
    let own = Made { der, issuer: Issuer::new(params, key) };
    assert_eq!(verdict(&[&own], &root("Lab Root")).fault, Some(Fault::SelfSigned));
    assert_eq!(verdict(&[&own], &own).fault, None);
}

#[test]
fn deep_and_reversed_chains_split_the_validators() {
    let root = root("Lab Root");
    let mut line = vec![ca(&root, "Lab 1")];
    for depth in 2..=8 {
        let next = ca(&line[line.len() - 1], &format!("Lab {depth}"));
        line.push(next);
    }
    let leaf_deep = leaf(&line[7]);
    let mut sent: Vec<&Made> = vec![&leaf_deep];
    sent.extend(line.iter().rev());
    let deep = verdict(&sent, &root);
    assert_eq!(deep.fault, Some(Fault::TooLong));
    assert!(!deep.agree() && deep.ordered);
    let leaf_short = leaf(&line[2]);
    let reversed = verdict(&[&leaf_short, &line[0], &line[1], &line[2]], &root);
    assert_eq!(reversed.fault, None);
    assert!(!reversed.ordered && !reversed.agree());
}

#[test]
fn usage_and_authority() {
    let root = root("Lab Root");
    let mut client_only = params("shop.example", false, (2025, 2027));
    client_only.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(verdict(&[&signed(&root, client_only)], &root).fault, Some(Fault::WrongUsage));
    let no_ca = signed(&root, params("Lab Fake", false, (2020, 2040)));
    assert_eq!(verdict(&[&leaf(&no_ca), &no_ca], &root).fault, Some(Fault::Broken));
    assert_eq!(verdict(&[], &root).fault, Some(Fault::Broken));
}

#[test]
fn staples_of_openssl() {
    let revoked = parse_staple(include_bytes!("../../tests/data/revoked.ocsp"));
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0].status, StapleStatus::Revoked);
    assert!(revoked[0].revoked_at.is_some() && revoked[0].next_update.is_some());
    let good = parse_staple(include_bytes!("../../tests/data/good.ocsp"));
    assert_eq!(good[0].status, StapleStatus::Good);
}
