//! The page of the policy figures, in English and Chinese.

use super::goal::{GOALS, Goal, Side, What};
use super::peer::Opening;
use super::words::{CHINESE, ENGLISH, Words};
use super::{Figures, Measured, PROFILES};
use crate::bench::thousands;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Writes both pages.
pub fn publish(root: &Path, figures: &Figures) -> Result<()> {
    let machine = super::super::machine();
    fs::create_dir_all(root.join("docs/zh")).context("making docs/zh")?;
    for (path, words) in [("docs/benchmark-policy.md", &ENGLISH), ("docs/zh/benchmark-policy.md", &CHINESE)] {
        fs::write(root.join(path), page(figures, &machine, words))
            .with_context(|| format!("writing {path}"))?;
    }
    Ok(())
}

fn page(figures: &Figures, machine: &str, words: &Words) -> String {
    let rounds = words.rounds.replace("{n}", &figures.rounds.to_string());
    let versions: Vec<String> = figures
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {}", version.as_deref().unwrap_or(words.missing)))
        .collect();
    let mut out = format!(
        "# {}\n\n{}\n\n{machine}. {rounds}\n\n{}: {}\n",
        words.title,
        words.intro,
        words.versions,
        versions.join(", ")
    );
    goals(&mut out, figures, words);
    table(&mut out, words.lists, words.lists_head, figures, |list| Some(list_cells(list, words)));
    table(&mut out, words.reading, words.reading_head, figures, reading_cells);
    table(&mut out, words.planted, words.planted_head, figures, |list| Some(planted_cells(list)));
    let differ: f64 = figures.lists.iter().filter_map(|list| list.median("differ")).sum();
    let notes = words.notes.replace("{differ}", &format!("{differ:.0}"));
    let _ = writeln!(out, "\n## {}\n\n{}", words.how, notes.trim_end());
    out
}

fn goals(out: &mut String, figures: &Figures, words: &Words) {
    let _ = writeln!(out, "\n## {}\n\n{}", words.goals, words.goals_head);
    let mut verdicts: Vec<bool> = Vec::new();
    let mut row = |name: &str, goal: &str, cells: [String; 3], verdict: Option<bool>| {
        let said = match verdict {
            Some(true) => words.reached,
            Some(false) => words.failed,
            None => words.unmeasured,
        };
        verdicts.extend(verdict);
        let _ = writeln!(out, "| {name} | {goal} | {} | {said} |", cells.join(" | "));
    };
    for goal in &GOALS {
        let reached = goal.reached(figures);
        let cells = PROFILES.map_names(|name| {
            let found = reached.iter().find(|one| one.0 == name);
            found.map_or_else(|| words.unmeasured.to_owned(), |one| value(goal, one.1, words))
        });
        let holds = reached.iter().all(|one| goal.holds(one.1));
        let name = words.whats[goal.what as usize].replace("{n}", &thousands(goal.rules as u64));
        let sign = if goal.side == Side::Below { "≤" } else { "≥" };
        let limit = format!("{sign} {}", value(goal, goal.limit, words));
        row(&name, &limit, cells, (!reached.is_empty()).then_some(holds));
    }
    let unions = PROFILES.map_names(|name| {
        let lists = figures.lists.iter().filter(|list| list.profile == name);
        let (found, all) = lists.fold((0, 0), |sum, one| (sum.0 + one.found[1], sum.1 + one.planted[1]));
        format!("{found} / {all}")
    });
    let all_found = figures.lists.iter().all(|list| list.found == list.planted);
    row(words.unions, words.all, unions, Some(all_found));
    let [ours, theirs] = figures.openings;
    for (name, wanted) in [(words.split, true), (words.udp, false)] {
        let told = |one: Opening| if wanted { one.split_told } else { one.udp_told };
        let by = |who: &str, one: Option<Opening>| match one {
            Some(one) => format!("{who}: {}", if told(one) { words.named } else { words.silent }),
            None => words.unmeasured.to_owned(),
        };
        let cells = [by("netwhy", ours), by("Checkov", theirs), String::new()];
        row(name, words.told[usize::from(!wanted)], cells, ours.map(|one| told(one) == wanted));
    }
    let reached = verdicts.iter().filter(|one| **one).count().to_string();
    let sum = words.sum.replace("{reached}", &reached).replace("{all}", &verdicts.len().to_string());
    let _ = writeln!(out, "\n{sum}");
}

/// The names of the profiles, each made to something.
trait Names {
    fn map_names(&self, each: impl Fn(&str) -> String) -> [String; 3];
}

impl Names for [super::draw::Profile; 3] {
    fn map_names(&self, each: impl Fn(&str) -> String) -> [String; 3] {
        std::array::from_fn(|at| each(self[at].name))
    }
}

fn value(goal: &Goal, figure: f64, words: &Words) -> String {
    match goal.what {
        What::Audit | What::Difference | What::Reading => time(figure),
        What::Question => format!("{figure:.1} µs"),
        What::Verdicts => millions(figure, words),
        What::Memory => format!("{figure:.0} MB"),
        What::Aerleon => format!("{} {}", thousands(figure.round() as u64), words.times),
    }
}

fn millions(per_s: f64, words: &Words) -> String {
    format!("{:.2} {}", per_s / 1e6, words.per_second)
}

fn time(ms: f64) -> String {
    match ms {
        1_000.0.. => format!("{:.2} s", ms / 1e3),
        10.0.. => format!("{ms:.0} ms"),
        _ => format!("{ms:.2} ms"),
    }
}

/// One line for each list that has something to say.
fn table(
    out: &mut String,
    title: &str,
    head: &str,
    figures: &Figures,
    cells: impl Fn(&Measured) -> Option<Vec<String>>,
) {
    let _ = writeln!(out, "\n## {title}\n\n{head}");
    for list in &figures.lists {
        if let Some(cells) = cells(list) {
            let rules = thousands(list.rules as u64);
            let _ = writeln!(out, "| {} | {rules} | {} |", list.profile, cells.join(" | "));
        }
    }
}

fn shown(list: &Measured, name: &str, how: impl Fn(f64) -> String) -> String {
    list.median(name).map_or_else(|| "–".to_owned(), how)
}

fn list_cells(list: &Measured, words: &Words) -> Vec<String> {
    let whole = |number: f64| thousands(number as u64);
    let micro = |us: f64| format!("{us:.1} µs");
    let rate = |per_s: f64| millions(per_s, words);
    vec![
        shown(list, "build_ms", time),
        shown(list, "audit_ms", time),
        shown(list, "dead", whole),
        shown(list, "redundant_ms", time),
        shown(list, "redundant", whole),
        shown(list, "question_median_us", micro),
        shown(list, "question_p99_us", micro),
        shown(list, "first_per_s", rate),
        shown(list, "verdicts_per_s", rate),
        shown(list, "diff_ms", time),
    ]
}

fn reading_cells(list: &Measured) -> Option<Vec<String>> {
    list.median("read_ms")?;
    let memory = |mb: f64| format!("{mb:.0} MB");
    let pair = |[ms, mb]: [&str; 2]| [shown(list, ms, time), shown(list, mb, memory)];
    let names = [["read_ms", "peak_mb"], ["nft_ms", "nft_mb"], ["iptables_ms", "iptables_mb"]];
    Some(names.into_iter().flat_map(pair).collect())
}

fn planted_cells(list: &Measured) -> Vec<String> {
    let theirs = list.found_by_aerleon;
    let found = |of: Option<[usize; 2]>, at: usize| {
        of.map_or_else(|| "–".to_owned(), |found| format!("{} / {}", found[at], list.planted[at]))
    };
    vec![
        found(Some(list.found), 0),
        found(Some(list.found), 1),
        found(theirs, 0),
        found(theirs, 1),
        shown(list, "audit_ms", time),
        shown(list, "aerleon_ms", time),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(profile: &str, rules: usize, figures: &[(&str, f64)]) -> Measured {
        let mut list = Measured { profile: profile.into(), rules, ..Measured::default() };
        (list.planted, list.found, list.found_by_aerleon) = ([20, 20], [20, 20], Some([20, 0]));
        for (name, value) in figures {
            list.keep(name, *value);
        }
        list
    }

    #[test]
    fn the_page_has_every_figure() {
        let figures = Figures {
            rounds: 5,
            lists: vec![
                list("acl", 10_000, &[("audit_ms", 12.4), ("aerleon_ms", 62_000.0), ("differ", 3.0)]),
                list("fw", 10_000, &[("audit_ms", 61.0), ("verdicts_per_s", 2_340_000.0)]),
                list("ipc", 100_000, &[("read_ms", 512.0), ("peak_mb", 99.0), ("nft_ms", 2_100.0)]),
            ],
            openings: [
                Some(Opening { split_told: true, udp_told: false }),
                Some(Opening { split_told: false, udp_told: true }),
            ],
            versions: vec![("Aerleon".into(), Some("1.18".into())), ("Checkov".into(), None)],
        };
        for words in [&ENGLISH, &CHINESE] {
            let page = page(&figures, "2 × x", words);
            let parts = [
                "| ≤ 60 ms | 12 ms | 61 ms | – |",
                "2.34",
                "5,000",
                "2.10 s",
                "20 / 20",
                "0 / 20",
                "Aerleon 1.18",
                words.failed,
                words.missing,
            ];
            for part in parts {
                assert!(page.contains(part), "{part} in {page}");
            }
            assert!(!page.contains('{'), "{page}");
        }
    }
}
