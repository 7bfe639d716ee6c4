//! `netwhy policy waf`: which rules of a web firewall requests would trip, and the narrowest exclusion.

use super::files;
use crate::{Common, fail, print, warn};
use anyhow::Result;
use netwhy_model::Lang;
use netwhy_policy::doc::FILE_BYTES_MAX;
use netwhy_policy::world::Source;
use netwhy_waf::answer::{Answered, Document, SCHEMA, Verdict};
use netwhy_waf::haproxy::Haproxy;
use netwhy_waf::nginx::Nginx;
use netwhy_waf::{File, Library, Request, Unread, Waf, WebAnswer, exclusion, request};
use serde::Serialize;
use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest list that a rule names, in bytes.
const DATA_BYTES_MAX: u64 = 1 << 26;

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy policy waf requests.har crs-setup.conf rules/      which rules each request trips
  netwhy policy waf good.http rules/ --exclude              and what would let it through, as narrow as can be
  netwhy policy waf requests.jsonl nginx.conf               what nginx denies, and from which rate on it would
  netwhy policy waf requests.jsonl rules/ --paranoia 2
  netwhy policy waf \"curl 'https://shop.example/?q=a' -H 'Accept: */*' --data 'a=1'\" rules/

Requests are a HAR file, JSON lines, command lines of curl as browsers copy them, or raw HTTP; a line of JSON:
  {\"method\":\"GET\",\"uri\":\"/search?q=select\",\"headers\":{\"Host\":\"shop.example\"},\"body\":\"\"}

Exit code 0 when all get through, 1 when one is blocked, 3 when it depends.";

/// Which rules do these requests trip?
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Requests: a file of HAR, JSON lines, commands of curl or raw HTTP, - for stdin, or a command of curl itself
    #[arg(value_name = "REQUESTS")]
    requests: PathBuf,
    /// Rules of ModSecurity or Coraza, nginx or haproxy: files and folders
    #[arg(value_name = "RULES", required = true)]
    rules: Vec<PathBuf>,
    /// Also work out the narrowest exclusion for every request that is blocked
    #[arg(long)]
    exclude: bool,
    /// The paranoia level, where the rules leave it open
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(1..=4))]
    paranoia: Option<u8>,
}

/// Lists and included files beside the rules that name them.
struct Beside;

impl Library for Beside {
    fn include(&self, from: &str, pattern: &str) -> Vec<File> {
        let Some(path) = beside(from, pattern) else { return Vec::new() };
        let (folder, wanted) = (path.parent().unwrap_or(Path::new("")), path.file_name());
        let wanted = wanted.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut paths: Vec<PathBuf> = match wanted.split_once('*') {
            None => vec![path.clone()],
            Some((start, end)) => std::fs::read_dir(folder)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    name.len() >= wanted.len() - 1 && name.starts_with(start) && name.ends_with(end)
                })
                .collect(),
        };
        paths.sort();
        files::read(&paths).map(|sources| sources.into_iter().map(file).collect()).unwrap_or_default()
    }

    fn data(&self, from: &str, name: &str) -> Option<Vec<u8>> {
        let path = beside(from, name)?;
        let small = std::fs::metadata(&path).is_ok_and(|file| file.len() <= DATA_BYTES_MAX);
        if small { std::fs::read(path).ok() } else { None }
    }
}

fn beside(from: &str, name: &str) -> Option<PathBuf> {
    Some(Path::new(from).parent()?.join(name))
}

fn file(source: Source) -> File {
    File { name: source.file.to_string(), text: source.text }
}

/// What nginx and haproxy say of one request.
#[derive(Debug, Serialize)]
struct Web {
    request: String,
    #[serde(flatten)]
    answer: WebAnswer,
}

pub(super) fn run(args: &Args, common: &Common) -> Result<u8> {
    let read = requests(&args.requests)?;
    if read.requests.is_empty() {
        tell_unread(&read.unread, common.lang);
        let name = args.requests.display();
        return Err(fail(
            (format!("{name} holds no request"), format!("{name} 中没有请求")),
            (
                "give a HAR file, JSON lines, commands of curl, or raw HTTP",
                "请给出 HAR 文件、JSON 行、curl 命令或原始 HTTP",
            ),
        ));
    }
    let sources: Vec<File> = files::read(&args.rules)?.into_iter().map(file).collect();
    let is_rules = |file: &&File| file.text.contains("SecRule") || file.text.contains("SecAction");
    let (rules, web): (Vec<File>, Vec<File>) = sources.into_iter().partition(|file| is_rules(&file));
    let web: Vec<File> = web.into_iter().filter(|file| !file.name.ends_with(".data")).collect();
    if rules.is_empty() {
        return told_by_web(&read.requests, read.unread, &web, common);
    }
    let mut waf = Waf::load(&rules, &Beside);
    if let Some(level) = args.paranoia {
        waf.preset("blocking_paranoia_level", &level.to_string());
    }
    let answers = read.requests.iter().map(|request| {
        let answer = waf.ask(request);
        let plan =
            (args.exclude && answer.verdict != Verdict::Passed).then(|| exclusion::plan(&waf, request));
        Answered { request: request.title(), answer, plan }
    });
    let answers: Vec<Answered> = answers.collect();
    let code = answers.iter().map(|one| code(one.answer.verdict)).fold(0, worse);
    let unread = waf.unread().iter().cloned().chain(read.unread).collect();
    let document = Document { schema: SCHEMA, answers, unread };
    if common.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&document)?))?;
    } else {
        tell_unread(&document.unread, common.lang);
        print(&page(&document, common.lang))?;
    }
    Ok(code)
}

/// The requests of a file, of stdin, or of a command line that stands in place of its file.
fn requests(given: &Path) -> Result<request::Requests> {
    let text = given.to_string_lossy();
    if request::is_curl(&text) && !given.exists() {
        return Ok(request::requests("curl", text.as_bytes()));
    }
    let bytes = if text == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(FILE_BYTES_MAX).read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(given)
    };
    let bytes = bytes.map_err(|error| {
        crate::failure::while_trying((format!("reading {text}"), format!("读取 {text}")), error)
    })?;
    Ok(request::requests(&text, &bytes))
}

const fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Passed => 0,
        Verdict::Blocked => 1,
        Verdict::Depends => 3,
    }
}

/// A blocked request outweighs doubt.
const fn worse(a: u8, b: u8) -> u8 {
    match (a, b) {
        (1, _) | (_, 1) => 1,
        (3, _) | (_, 3) => 3,
        _ => 0,
    }
}

const fn verdict_word(verdict: Verdict, lang: Lang) -> &'static str {
    match verdict {
        Verdict::Passed => lang.pick("passes", "通过"),
        Verdict::Blocked => lang.pick("blocked", "拦截"),
        Verdict::Depends => lang.pick("depends", "不确定"),
    }
}

fn page(document: &Document, lang: Lang) -> String {
    let mut page = String::new();
    for Answered { request, answer, plan } in &document.answers {
        let threshold = answer.threshold.map_or_else(String::new, |limit| format!("/{limit}"));
        let score = lang.pick("score", "得分");
        let word = verdict_word(answer.verdict, lang);
        let _ = writeln!(page, "{word}  {request}  {score} {}{threshold}", answer.score);
        for rule in &answer.tripped {
            let _ = writeln!(
                page,
                "    {} {}:{} {}: {} {:?} (+{})",
                rule.id, rule.file, rule.line, rule.msg, rule.variable, rule.matched, rule.score
            );
        }
        for unsure in &answer.unsure {
            let _ = writeln!(
                page,
                "    ? {} {}:{} {}",
                unsure.id,
                unsure.file,
                unsure.line,
                unsure.why.get(lang)
            );
        }
        let Some(plan) = plan else { continue };
        for one in &plan.exclusions {
            let _ = writeln!(page, "    {}", one.change.replace('\n', "\n    "));
            if let Some(note) = &one.note {
                let _ = writeln!(page, "      {}", note.get(lang));
            }
        }
    }
    page
}

fn tell_unread(unread: &[Unread], lang: Lang) {
    /// Lines of it.
    const LINE_COUNT_MAX: usize = 20;
    for one in unread.iter().take(LINE_COUNT_MAX) {
        warn(&format!("{}:{}: {}: {}", one.place.file, one.place.line, one.why.get(lang), one.text));
    }
}

fn told_by_web(requests: &[Request], mut unread: Vec<Unread>, web: &[File], common: &Common) -> Result<u8> {
    let is_haproxy = |file: &File| {
        let section = |line: &str| {
            let word = line.split_whitespace().next().unwrap_or_default();
            ["frontend", "backend", "listen", "defaults", "global"].contains(&word) && !line.contains('{')
        };
        file.text.lines().any(section)
    };
    let (haproxy, nginx): (Vec<File>, Vec<File>) = web.iter().cloned().partition(is_haproxy);
    let mut told: Vec<Web> = Vec::new();
    if !haproxy.is_empty() {
        let filter = Haproxy::load(&haproxy, &Beside);
        unread.extend(filter.unread().iter().cloned());
        told.extend(requests.iter().map(|one| Web { request: one.title(), answer: filter.ask(one) }));
    }
    if !nginx.is_empty() {
        let filter = Nginx::load(&nginx, &Beside);
        unread.extend(filter.unread().iter().cloned());
        told.extend(requests.iter().map(|one| Web { request: one.title(), answer: filter.ask(one) }));
    }
    let code = told.iter().map(|one| self::code(one.answer.verdict)).fold(0, worse);
    if common.json {
        let document = serde_json::json!({ "schema": SCHEMA, "answers": told, "unread": unread });
        print(&format!("{}\n", serde_json::to_string_pretty(&document)?))?;
        return Ok(code);
    }
    let lang = common.lang;
    tell_unread(&unread, lang);
    let mut page = String::new();
    for Web { request, answer } in &told {
        let _ = writeln!(page, "{}  {request}", verdict_word(answer.verdict, lang));
        for rule in answer.stops.iter().chain(&answer.limits).chain(&answer.unsure) {
            let why = rule.why.get(lang);
            let _ = writeln!(page, "    {}:{} {}: {why}", rule.place.file, rule.place.line, rule.rule);
        }
    }
    print(&page)?;
    Ok(code)
}
