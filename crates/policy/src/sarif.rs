//! Findings as SARIF 2.1.0 (OASIS), for the views of code that CI systems have.

use crate::finding::{Finding, Level};
use crate::place::Place;
use netwhy_model::{Lang, Text};
use serde::Serialize;
use std::collections::BTreeMap;

/// Other places one result names.
const RELATED_COUNT_MAX: usize = 50;
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What a rule is about; every kind of finding that is written should have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    pub id: &'static str,
    pub text: Text,
}

/// The report as JSON text, its messages in one language and both as properties. `column` gives the column of a
/// place in UTF-16 code units, which SARIF counts unless it is told otherwise.
///
/// # Errors
/// None in practice: everything in it is text and numbers.
pub fn sarif(
    version: &str,
    rules: &[RuleText],
    findings: &[Finding],
    lang: Lang,
    column: &dyn Fn(&Place) -> u32,
) -> serde_json::Result<String> {
    let mut listed: BTreeMap<&str, Option<&Text>> = findings.iter().map(|one| (one.kind, None)).collect();
    listed.extend(rules.iter().map(|rule| (rule.id, Some(&rule.text))));
    let index: BTreeMap<&str, usize> = listed.keys().enumerate().map(|(at, id)| (*id, at)).collect();
    let rules = listed.iter().map(|(id, text)| rule(id, *text, lang)).collect();
    let results = findings.iter().map(|finding| result(finding, &index, lang, column)).collect();
    let driver = Driver { name: "netwhy", version, rules };
    let run = Run {
        tool: Tool { driver },
        column_kind: "utf16CodeUnits",
        language: lang.pick("en", "zh"),
        results,
    };
    serde_json::to_string_pretty(&Log { schema: SCHEMA, version: "2.1.0", runs: [run] })
}

fn rule<'a>(id: &'a str, text: Option<&'a Text>, lang: Lang) -> Rule<'a> {
    let text = text.map_or(id, |text| text.get(lang));
    Rule {
        id,
        short_description: Message { text: clean(text) },
        default_configuration: Configuration { level: Level::Warning },
    }
}

fn result<'a>(
    finding: &'a Finding,
    index: &BTreeMap<&str, usize>,
    lang: Lang,
    column: &dyn Fn(&Place) -> u32,
) -> Outcome<'a> {
    let related = finding.by_places.iter().take(RELATED_COUNT_MAX);
    let fixes: Vec<String> =
        finding.fix.iter().map(|fix| clean(&format!("{}: {}", fix.syntax, fix.change))).collect();
    let mut text = clean(finding.text.get(lang));
    for fix in &fixes {
        text.push('\n');
        text.push_str(fix);
    }
    Outcome {
        rule_id: finding.kind,
        rule_index: index.get(finding.kind).copied(),
        level: finding.level,
        message: Message { text },
        locations: [location(&finding.place, column)],
        related_locations: related.map(|place| location(place, column)).collect(),
        properties: Properties { en: clean(&finding.text.en), zh: clean(&finding.text.zh), fixes },
    }
}

fn location(place: &Place, column: &dyn Fn(&Place) -> u32) -> Location {
    // SARIF counts from 1; 0 is the file as a whole here.
    let region =
        (place.line > 0).then(|| Region { start_line: place.line, start_column: column(place).max(1) });
    Location { physical_location: Physical { artifact_location: Artifact { uri: uri(&place.file) }, region } }
}

/// A path as a relative or absolute reference of RFC 3986.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                uri.push(byte.into())
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    match uri.as_bytes() {
        [] => "-".to_owned(),
        // Two slashes at the start of a reference would name a host.
        [b'/', ..] => format!("file:///{}", uri.trim_start_matches('/')),
        _ => uri,
    }
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    column_kind: &'static str,
    language: &'static str,
    results: Vec<Outcome<'a>>,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
struct Driver<'a> {
    name: &'static str,
    version: &'a str,
    rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    id: &'a str,
    short_description: Message,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: Level,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    rule_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    level: Level,
    message: Message,
    locations: [Location; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    properties: Properties,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
}

#[derive(Serialize)]
struct Properties {
    en: String,
    zh: String,
    fixes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::both;
    use serde_json::Value;

    #[test]
    fn a_report_has_what_the_schema_requires() {
        let place = Place::new(&"a dir/é.conf".into(), 3, 7);
        let findings = [
            Finding::new("dead", Level::Error, &place, "dead\u{7}", "死").fixed(
                "nft",
                "x",
                "x",
                "delete rule",
            ),
            Finding::new("odd", Level::Note, &Place::whole(&"".into()), "odd", "怪"),
        ];
        let rules = [RuleText { id: "dead", text: both("never matches", "永不匹配") }];
        let text = sarif("0.1.0", &rules, &findings, Lang::Zh, &|place| place.column).expect("json");
        let log: Value = serde_json::from_str(&text).expect("valid");
        assert_eq!(
            (&log["version"], &log["runs"][0]["tool"]["driver"]["name"]),
            (&"2.1.0".into(), &"netwhy".into())
        );
        let results = &log["runs"][0]["results"];
        let physical = &results[0]["locations"][0]["physicalLocation"];
        assert_eq!(physical["artifactLocation"]["uri"], "a%20dir/%C3%A9.conf");
        assert_eq!(
            (&physical["region"]["startLine"], &physical["region"]["startColumn"]),
            (&3.into(), &7.into())
        );
        assert_eq!(results[0]["message"]["text"], "死\nnft: delete rule");
        assert_eq!(results[0]["properties"]["en"], "dead ");
        assert_eq!(results[1]["level"], "note");
        assert!(results[1]["locations"][0]["physicalLocation"].get("region").is_none());
        for result in results.as_array().expect("results") {
            let at = usize::try_from(result["ruleIndex"].as_u64().expect("index")).expect("small");
            assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][at]["id"], result["ruleId"]);
        }
    }
}
