//! Reports in SARIF hold what the specification (OASIS SARIF 2.1.0, section 3) asks of every object in them.
#![allow(clippy::expect_used, clippy::panic)]

use netwhy_model::Lang;
use netwhy_policy::lint::kinds;
use netwhy_policy::sarif::sarif;
use netwhy_policy::world::{Source, World};
use serde_json::Value;

/// What an object may have, and what it must: no other property is allowed in any of them but property bags.
struct Shape {
    name: &'static str,
    must: &'static [&'static str],
    may: &'static [&'static str],
}

const SHAPES: [Shape; 12] = [
    Shape {
        name: "sarifLog",
        must: &["version", "runs"],
        may: &["$schema", "inlineExternalProperties", "properties"],
    },
    Shape {
        name: "run",
        must: &["tool"],
        may: &["results", "columnKind", "language", "artifacts", "invocations"],
    },
    Shape { name: "tool", must: &["driver"], may: &["extensions", "properties"] },
    Shape {
        name: "toolComponent",
        must: &["name"],
        may: &["version", "rules", "informationUri", "semanticVersion"],
    },
    Shape {
        name: "reportingDescriptor",
        must: &["id"],
        may: &[
            "name",
            "shortDescription",
            "fullDescription",
            "defaultConfiguration",
            "helpUri",
            "help",
            "properties",
        ],
    },
    Shape { name: "multiformatMessageString", must: &["text"], may: &["markdown", "properties"] },
    Shape {
        name: "reportingConfiguration",
        must: &[],
        may: &["enabled", "level", "rank", "parameters", "properties"],
    },
    Shape {
        name: "result",
        must: &["message"],
        may: &[
            "ruleId",
            "ruleIndex",
            "level",
            "locations",
            "relatedLocations",
            "fixes",
            "properties",
            "kind",
        ],
    },
    Shape { name: "message", must: &["text"], may: &["markdown", "id", "arguments", "properties"] },
    Shape {
        name: "location",
        must: &[],
        may: &["id", "physicalLocation", "logicalLocations", "message", "properties"],
    },
    Shape {
        name: "physicalLocation",
        must: &["artifactLocation"],
        may: &["region", "contextRegion", "properties"],
    },
    Shape {
        name: "region",
        must: &["startLine"],
        may: &["startColumn", "endLine", "endColumn", "properties"],
    },
];

#[track_caller]
fn object<'a>(value: &'a Value, name: &str) -> &'a Value {
    let shape = SHAPES.iter().find(|shape| shape.name == name).expect("a shape");
    let members = value.as_object().unwrap_or_else(|| panic!("{name} is no object: {value}"));
    for must in shape.must {
        assert!(members.contains_key(*must), "{name} has no {must}: {value}");
    }
    for key in members.keys() {
        assert!(shape.must.contains(&key.as_str()) || shape.may.contains(&key.as_str()), "{name} has {key}");
    }
    value
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).map_or(&[], |list| list.as_array().expect(key).as_slice())
}

/// Section 3.4: a reference of RFC 3986, no characters but those it allows.
fn is_reference(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

fn location(value: &Value) {
    object(value, "location");
    let physical = object(&value["physicalLocation"], "physicalLocation");
    let uri = physical["artifactLocation"]["uri"].as_str().expect("uri");
    assert!(is_reference(uri), "{uri}");
    if let Some(region) = physical.get("region") {
        object(region, "region");
        // Section 3.30.2: counted from 1.
        assert!(
            region["startLine"].as_u64().expect("line") >= 1
                && region["startColumn"].as_u64().expect("column") >= 1
        );
    }
}

fn is_level(value: &Value) -> bool {
    ["none", "note", "warning", "error"].contains(&value.as_str().unwrap_or_default())
}

fn valid(log: &Value) {
    object(log, "sarifLog");
    assert_eq!(log["version"], "2.1.0");
    for run in list(log, "runs") {
        object(run, "run");
        assert!(["utf16CodeUnits", "unicodeCodePoints"].contains(&run["columnKind"].as_str().expect("kind")));
        let driver = object(&object(&run["tool"], "tool")["driver"], "toolComponent");
        let rules = list(driver, "rules");
        for rule in rules {
            object(rule, "reportingDescriptor");
            object(&rule["shortDescription"], "multiformatMessageString");
            assert!(is_level(&object(&rule["defaultConfiguration"], "reportingConfiguration")["level"]));
        }
        for result in list(run, "results") {
            object(result, "result");
            object(&result["message"], "message");
            assert!(is_level(&result["level"]));
            let at = usize::try_from(result["ruleIndex"].as_u64().expect("index")).expect("small");
            assert_eq!(rules.get(at).map(|rule| &rule["id"]), Some(&result["ruleId"]));
            list(result, "locations").iter().chain(list(result, "relatedLocations")).for_each(location);
            assert_eq!(list(result, "locations").len(), 1);
        }
    }
}

const RULES: &str = "table inet f {\n  chain i {\n    type filter hook input priority 0; policy drop;\n    tcp dport 22 accept\n    \
    tcp dport 22 accept comment \"Zürich 😀\"\n    iifname \"😀é\" tcp dport 22 drop\n  }\n}\n";

#[test]
fn every_object_of_a_report_is_what_the_specification_says() {
    let source = |file: &str, text: &str| Source { file: file.into(), text: text.to_owned() };
    let aws = r#"{"NetworkAcls":[{"NetworkAclId":"acl-1","VpcId":"v","Associations":[],"Entries":[]}]}"#;
    let sources = [source("/etc/nft files/é.nft", RULES), source("aws/acl.json", aws)];
    let world = World::read(&sources, None);
    let findings = world.lint(None);
    assert!(findings.iter().any(|one| !one.by_places.is_empty()), "{findings:?}");
    for lang in [Lang::En, Lang::Zh] {
        let text =
            sarif("0.1.0", &kinds(), &findings, lang, &|place| world.utf16_column(place)).expect("JSON");
        let log: Value = serde_json::from_str(&text).expect("JSON");
        valid(&log);
        let results = list(&log["runs"][0], "results");
        let uris =
            results.iter().map(|one| &one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]);
        assert!(uris.clone().any(|uri| uri == "file:///etc/nft%20files/%C3%A9.nft"), "{results:?}");
        assert!(uris.clone().any(|uri| uri == "aws/acl.json"));
    }
}

#[test]
fn columns_count_utf16_code_units() {
    let text = "table inet f {\n  chain i {\n    type filter hook input priority 0;\n    tcp dport 22 accept\n/*😀é*/tcp dport 22 accept\n  }\n}\n";
    let world = World::read(&[Source { file: "a.nft".into(), text: text.replace("/*😀é*/", "") }], None);
    let plain = world.lint(None);
    let dead = plain.iter().find(|one| one.kind == "dead" || one.kind == "redundant").expect("dead");
    assert_eq!(world.utf16_column(&dead.place), dead.place.column);
    let named = text
        .replace("/*😀é*/", "iifname { \"😀é\" } ip saddr 1.2.3.4 ")
        .replace("22 accept\n  }", "22 accept; tcp dport 22 accept\n  }");
    let world = World::read(&[Source { file: "a.nft".into(), text: named }], None);
    let places = world.lint(None).into_iter().map(|one| one.place).filter(|place| place.line == 5);
    for place in places.filter(|place| place.column > 20) {
        // An emoji takes four bytes and two code units, an é two bytes and one unit.
        assert_eq!(world.utf16_column(&place), place.column - 3);
    }
}
