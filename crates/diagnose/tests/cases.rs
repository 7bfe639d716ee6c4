//! Golden cases: the evidence in `cases/` and the verdict it must give.
#![allow(clippy::unwrap_used, clippy::panic)]

use netwhy_catalogue::Catalogue;
use netwhy_diagnose::{Inputs, Table, diagnose};
use netwhy_model::{Case, Evidence, Lang, Link, Origin, Stamp, Verdict};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

struct Golden {
    target: String,
    origin: Option<String>,
    /// The first cause; empty when nothing may be accused.
    first: String,
    listed: Vec<String>,
    reachability: Option<String>,
    facts: BTreeMap<String, String>,
}

fn read(path: &Path) -> Golden {
    let table: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
    let text = |key: &str| table.get(key).map(|v| v.as_str().unwrap().to_owned());
    let facts = table["facts"].as_table().unwrap();
    Golden {
        target: text("target").unwrap(),
        origin: text("origin"),
        first: text("first").unwrap(),
        listed: table
            .get("listed")
            .map(|l| l.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect())
            .unwrap_or_default(),
        reachability: text("reachability"),
        facts: facts.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect(),
    }
}

fn judge(golden: &Golden) -> Verdict {
    let catalogue = Catalogue::embedded();
    let mut case = Case::new(golden.target.parse().unwrap());
    case.origin = golden.origin.as_deref().map(|o| Origin::parse(o).unwrap());
    let evidence: Vec<Evidence> = golden
        .facts
        .iter()
        .enumerate()
        .map(|(position, (fact, value))| {
            let entry = catalogue.fact(fact).unwrap_or_else(|| panic!("unknown fact {fact}"));
            assert!(entry.values.contains_key(value), "{fact} has no value {value}");
            let mut item = Evidence::seen(fact, value, entry.link, Stamp::default(), "case", value.as_str());
            item.id = format!("E{}", position + 1);
            item
        })
        .collect();
    let inputs = Inputs { case: &case, evidence: &evidence, total_ms: 0, lang: Lang::En, unasked: &[] };
    diagnose(catalogue, &Table::new(catalogue), inputs)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "toml") {
            found.push(path);
        }
    }
}

fn all() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases"), &mut found);
    found.sort();
    assert!(found.len() >= 50);
    found
}

fn listing(verdict: &Verdict) -> String {
    verdict.causes.iter().map(|c| format!("{} {:.3}", c.id, c.confidence)).collect::<Vec<_>>().join(", ")
}

#[test]
fn every_case_gives_its_verdict() {
    let mut wrong = Vec::new();
    for path in all() {
        let golden = read(&path);
        let verdict = judge(&golden);
        let first = verdict.causes.first().map_or("", |c| c.id.as_str());
        let missing: Vec<_> =
            golden.listed.iter().filter(|id| verdict.causes.iter().all(|c| c.id != **id)).collect();
        let reach = serde_json::to_value(verdict.reachability).unwrap();
        let reach_wrong = golden.reachability.as_deref().is_some_and(|r| r != reach);
        if first != golden.first || !missing.is_empty() || reach_wrong {
            wrong.push(format!(
                "{}: want {} {missing:?}, reachability {reach}; got {}",
                path.file_stem().unwrap().to_string_lossy(),
                golden.first,
                listing(&verdict)
            ));
        }
        if golden.first.is_empty() {
            assert!(verdict.healthy, "{} is not called healthy", path.display());
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_same_evidence_gives_the_same_bytes() {
    for path in all().iter().take(10) {
        let golden = read(path);
        let bytes = |v: &Verdict| serde_json::to_string(v).unwrap();
        assert_eq!(bytes(&judge(&golden)), bytes(&judge(&golden)));
    }
}

#[test]
fn an_unexplained_symptom_is_never_called_healthy() {
    let mut facts = read(&all()[0]).facts;
    facts.insert("tcp.connect".into(), "silent".into());
    let golden = Golden {
        target: "https://a.test/".into(),
        origin: None,
        first: String::new(),
        listed: Vec::new(),
        reachability: None,
        facts,
    };
    assert!(!judge(&golden).healthy);
}

#[test]
fn proof_and_links_stand_in_the_verdict() {
    let golden = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases/tls/expired.toml"));
    let verdict = judge(&golden);
    let first = &verdict.causes[0];
    let proof = verdict.evidence.iter().find(|e| e.id == first.proof[0]).unwrap();
    assert_eq!(proof.fact, "tls.chain");
    assert_eq!(first.link, Link::Service);
    assert!(first.confidence > 0.9);
}
