//! How many faults could have been told apart by what was seen. Pure: rows in, counts out.

use crate::score::{Row, percentile};
use crate::toolbox::ToolRun;
use netwhy_catalogue::{Catalogue, Word};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What one reader could have known, and how long it took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reader {
    /// `toolbox`, `netwhy`, or the name of one tool.
    pub name: String,
    /// Faults it was run on.
    pub faults: usize,
    /// Different sets of signs among them.
    pub kinds: usize,
    /// The most faults whose cause a reader could name who knows every set of signs by heart.
    pub told_apart_max: usize,
    /// Time on the broken target, in milliseconds.
    pub broken_ms_median: u64,
    pub broken_ms_p95: u64,
    /// Time on the same target when it is well, in milliseconds.
    pub healthy_ms_median: u64,
}

/// netwhy beside the toolbox on the same faults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The whole toolbox first, then without mtr, then each tool alone.
    pub toolbox: Vec<Reader>,
    pub netwhy: Reader,
    /// Faults whose true cause netwhy did name first.
    pub netwhy_named: usize,
    /// Labs that ran at the same time; whoever plays them fills it in.
    #[serde(default)]
    pub jobs: usize,
}

/// Compares over all faults on which both were run; `None` when the toolbox was not.
pub fn compare(rows: &[Row]) -> Option<Comparison> {
    let rows: Vec<&Row> =
        rows.iter().filter(|row| row.counts() && !row.is_control() && !row.tools.is_empty()).collect();
    if rows.is_empty() {
        return None;
    }
    let names: BTreeSet<&str> = rows.iter().flat_map(|row| &row.tools).map(|run| run.name.as_str()).collect();
    let mut toolbox = vec![
        read("toolbox", &rows, |runs| sums(runs, |_| true)),
        // It waits out its rounds even when all is well, and takes most of the time.
        read("toolbox without mtr", &rows, |runs| sums(runs, |name| name != "mtr")),
    ];
    toolbox.extend(names.into_iter().map(|name| read(name, &rows, |runs| sums(runs, |other| other == name))));
    let classes = rows.iter().map(|row| (row.facts.clone(), row.truth.as_slice()));
    let (kinds, told_apart_max) = told_apart(classes);
    let netwhy = Reader {
        name: "netwhy".into(),
        faults: rows.len(),
        kinds,
        told_apart_max,
        broken_ms_median: middle(rows.iter().map(|row| row.time_ms), 50),
        broken_ms_p95: middle(rows.iter().map(|row| row.time_ms), 95),
        healthy_ms_median: middle(rows.iter().filter_map(|row| row.healed_time_ms), 50),
    };
    let netwhy_named = rows.iter().filter(|row| row.strict()).count();
    Some(Comparison { toolbox, netwhy, netwhy_named, jobs: 0 })
}

/// The facts a verdict stands on, as `fact=value`, without those a healthy target usually or this one mended shows.
pub fn facts(broken: &Value, healed: Option<&Value>) -> Vec<String> {
    let of = |verdict: &Value| -> BTreeSet<String> {
        let evidence = verdict.get("evidence").and_then(Value::as_array);
        let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let pair = |entry: &Value| format!("{}={}", text(entry, "fact"), text(entry, "value"));
        let odd = |entry: &&Value| !is_usual(&text(entry, "fact"), &text(entry, "value"));
        evidence.into_iter().flatten().filter(odd).map(pair).collect()
    };
    let well = healed.map(of).unwrap_or_default();
    of(broken).difference(&well).cloned().collect()
}

fn is_usual(fact: &str, value: &str) -> bool {
    let word = Catalogue::embedded().fact(fact).and_then(|entry| entry.values.get(value));
    value.is_empty() || matches!(word, Some(Word::Always | Word::Usually))
}

/// Wall time and signs of the runs of the tools wanted.
fn sums(runs: &[ToolRun], wanted: impl Fn(&str) -> bool) -> Option<(u64, Vec<String>)> {
    let wanted: Vec<&ToolRun> = runs.iter().filter(|run| wanted(&run.name)).collect();
    let signs =
        wanted.iter().enumerate().flat_map(|(at, run)| run.signs.iter().map(move |s| format!("{at} {s}")));
    (!wanted.is_empty()).then(|| (wanted.iter().map(|run| run.wall_ms).sum(), signs.collect()))
}

fn read(name: &str, rows: &[&Row], sums: impl Fn(&[ToolRun]) -> Option<(u64, Vec<String>)>) -> Reader {
    let ran: Vec<(&Row, u64, Vec<String>)> =
        rows.iter().filter_map(|row| sums(&row.tools).map(|(ms, signs)| (*row, ms, signs))).collect();
    let changed = ran.iter().map(|(row, _, signs)| {
        let well = sums(&row.tools_healed).map(|(_, signs)| signs).unwrap_or_default();
        (changes(signs, &well), row.truth.as_slice())
    });
    let (kinds, told_apart_max) = told_apart(changed);
    Reader {
        name: name.into(),
        faults: ran.len(),
        kinds,
        told_apart_max,
        broken_ms_median: middle(ran.iter().map(|(_, ms, _)| *ms), 50),
        broken_ms_p95: middle(ran.iter().map(|(_, ms, _)| *ms), 95),
        healthy_ms_median: middle(
            rows.iter().filter_map(|row| sums(&row.tools_healed).map(|(ms, _)| ms)),
            50,
        ),
    }
}

/// Signs that the mended target does not show, and response headers that only it does.
fn changes(broken: &[String], well: &[String]) -> Vec<String> {
    let header = |sign: &&String| sign.split_once(" < ").is_some_and(|(_, rest)| rest.contains(':'));
    let lost = well.iter().filter(|sign| !broken.contains(sign)).filter(header);
    let lost = lost.filter_map(|sign| sign.split_once(':').map(|(name, _)| format!("no {name}")));
    broken.iter().filter(|sign| !well.contains(sign)).cloned().chain(lost).collect()
}

/// How many sets of signs there are, and how many faults are right when each set is given its commonest cause.
fn told_apart<'a>(faults: impl Iterator<Item = (Vec<String>, &'a [String])>) -> (usize, usize) {
    let mut classes: BTreeMap<Vec<String>, BTreeMap<&str, usize>> = BTreeMap::new();
    for (signs, truth) in faults {
        let class = classes.entry(signs).or_default();
        truth.iter().for_each(|id| *class.entry(id.as_str()).or_default() += 1);
    }
    let right = classes.values().filter_map(|class| class.values().max()).sum();
    (classes.len(), right)
}

fn middle(times: impl Iterator<Item = u64>, percent: usize) -> u64 {
    let mut times: Vec<u64> = times.collect();
    times.sort_unstable();
    percentile(&times, percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cause: &str, curl: &[&str], well: &[&str]) -> Row {
        let run = |signs: &[&str], wall_ms| ToolRun {
            name: "curl".into(),
            wall_ms,
            signs: signs.iter().map(|&sign| sign.into()).collect(),
        };
        Row {
            truth: vec![cause.into()],
            named: vec![cause.into()],
            tools: vec![run(curl, 900)],
            tools_healed: vec![run(well, 30)],
            facts: vec![format!("fact={cause}")],
            time_ms: 100,
            ..Row::default()
        }
    }

    #[test]
    fn what_looks_alike_counts_once() {
        let rows = vec![
            row("a", &["refused"], &["200"]),
            row("b", &["refused"], &["200"]),
            row("b", &["refused", "nginx"], &["200", "nginx"]),
            row("c", &["502", "nginx"], &["200"]),
            Row { truth: Vec::new(), ..row("x", &["200"], &["200"]) },
        ];
        let compared = compare(&rows).unwrap();
        let curl = &compared.toolbox[2];
        assert_eq!((curl.faults, curl.kinds, curl.told_apart_max), (4, 2, 3));
        assert_eq!((curl.broken_ms_median, curl.healthy_ms_median), (900, 30));
        assert_eq!((compared.netwhy.told_apart_max, compared.netwhy_named), (4, 4));
        assert!(compare(&[]).is_none());
    }

    #[test]
    fn a_header_that_went_missing_is_a_sign() {
        let with = ["0 < vary: x".to_owned(), "0 < HTTP/1.1 200".to_owned()];
        assert_eq!(changes(&with[1..], &with), ["no 0 < vary"]);
    }

    #[test]
    fn facts_without_the_healthy_ones() {
        let verdict = |values: &[&str]| {
            let list: Vec<Value> =
                values.iter().map(|v| serde_json::json!({"fact": "f", "value": v})).collect();
            serde_json::json!({"evidence": list})
        };
        assert_eq!(facts(&verdict(&["a", "b"]), Some(&verdict(&["b"]))), ["f=a"]);
        assert_eq!(facts(&verdict(&["a"]), None), ["f=a"]);
    }
}
