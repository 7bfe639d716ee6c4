//! Asks a firewall about requests: `ask REQUESTS RULES…`, with `--paranoia N`, `--modsecurity3`, `--fix`, `--json`.
#![allow(clippy::print_stdout, reason = "a program may speak; the lint is for libraries")]

use anyhow::{Context, Result};
use netwhy_waf::answer::{Answered, Document, SCHEMA};
use netwhy_waf::{Dialect, File, Library, Waf, exclusion, request};
use std::path::{Path, PathBuf};

struct Disk;

impl Library for Disk {
    fn include(&self, from: &str, pattern: &str) -> Vec<File> {
        let path = Path::new(from).parent().unwrap_or(Path::new("")).join(pattern);
        read(&path).unwrap_or_default()
    }

    fn data(&self, from: &str, name: &str) -> Option<Vec<u8>> {
        std::fs::read(Path::new(from).parent()?.join(name)).ok()
    }
}

/// A file, or every `.conf` of a folder.
fn read(path: &Path) -> Result<Vec<File>> {
    let mut paths = vec![path.to_owned()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path)?.filter_map(|entry| Some(entry.ok()?.path()));
        paths = entries
            .filter(|path| path.extension().is_some_and(|end| end == "conf"))
            .collect::<Vec<PathBuf>>();
        paths.sort();
    }
    let file = |path: &PathBuf| -> Result<File> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(File { name: path.display().to_string(), text: String::from_utf8_lossy(&bytes).into_owned() })
    };
    paths.iter().map(file).collect()
}

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let fix = words.iter().position(|word| word == "--fix").map(|at| words.remove(at)).is_some();
    let json = words.iter().position(|word| word == "--json").map(|at| words.remove(at)).is_some();
    let paranoia =
        words.iter().position(|word| word == "--paranoia").map(|at| words.drain(at..at + 2).nth(1));
    let (requests, rules) = words.split_first().context("ask REQUESTS RULES…")?;
    let mut files = Vec::new();
    for path in rules.iter().filter(|word| !word.starts_with("--")) {
        files.extend(read(Path::new(path))?);
    }
    let mut waf = Waf::load(&files, &Disk);
    if words.iter().any(|word| word == "--modsecurity3") {
        waf.speak(Dialect::ModSecurity3);
    }
    if let Some(level) = paranoia.flatten() {
        waf.preset("blocking_paranoia_level", &level);
    }
    let read = request::requests(requests, &std::fs::read(requests)?);
    let mut unread = waf.unread().to_vec();
    unread.extend(read.unread);
    let answers = read.requests.iter().map(|request| {
        let answer = waf.ask(request);
        let plan = (fix && answer.blocked).then(|| exclusion::plan(&waf, request));
        Answered { request: request.title(), answer, plan }
    });
    let document = Document { schema: SCHEMA, answers: answers.collect(), unread };
    if json {
        println!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(());
    }
    for unread in &document.unread {
        println!(
            "not understood: {}:{} {}: {}",
            unread.place.file, unread.place.line, unread.text, unread.why.en
        );
    }
    document.answers.iter().for_each(show);
    Ok(())
}

fn show(answered: &Answered) {
    let answer = &answered.answer;
    println!(
        "{}\n  {:?}, score {} of {:?}",
        answered.request, answer.verdict, answer.score, answer.threshold
    );
    for tripped in &answer.tripped {
        println!(
            "  {} {} ({}: {}) +{}",
            tripped.id, tripped.msg, tripped.variable, tripped.matched, tripped.score
        );
    }
    for unsure in &answer.unsure {
        println!("  {} depends: {}", unsure.id, unsure.why.en);
    }
    if let Some(plan) = &answered.plan {
        println!("  passes {} with {}", plan.passes, plan.together);
        for one in &plan.exclusions {
            println!("    silences {} guards {:?}: {}", one.silences, one.guards, one.change);
        }
    }
}
