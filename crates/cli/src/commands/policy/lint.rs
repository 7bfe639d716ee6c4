//! `netwhy policy lint`: what is wrong with rules, for people, programs and CI.

use super::{Sources, can, files};
use crate::{Common, print};
use anyhow::Result;
use clap::ValueEnum;
use netwhy_model::Lang;
use netwhy_policy::finding::{Finding, Level};
use netwhy_policy::place::Unread;
use serde::Serialize;
use std::fmt::Write;

/// What is wrong with these rules?
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sources: Sources,
    /// Write SARIF 2.1.0, which code hosts and editors show beside the lines
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
    /// Tell only of what is at least so grave
    #[arg(long, value_enum, default_value = "note")]
    least: Grave,
    /// Exit with 1 when something at least so grave was found
    #[arg(long, value_enum, default_value = "warning")]
    fail_on: Grave,
    /// Ranges of protection nodes that must be let through: a file with one a line, or a vendor's own format
    #[arg(long, value_name = "FILE")]
    ranges: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Grave {
    Note,
    Warning,
    Error,
}

impl Grave {
    const fn level(self) -> Level {
        match self {
            Grave::Note => Level::Note,
            Grave::Warning => Level::Warning,
            Grave::Error => Level::Error,
        }
    }
}

/// The contract `netwhy.lint/1`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    findings: Vec<&'a Finding>,
    /// What the readers did not understand.
    unread: &'a [Unread],
}

pub(super) fn run(args: &Args, common: &Common) -> Result<u8> {
    let world = can::world(&args.sources, &can::How::default(), common)?;
    let ranges = args.ranges.as_deref().map(files::one).transpose()?;
    let all = world.lint(ranges.as_ref());
    let found: Vec<&Finding> = all.iter().filter(|one| one.level >= args.least.level()).collect();
    if args.sarif {
        print(&netwhy_policy::sarif::sarif(
            env!("CARGO_PKG_VERSION"),
            &netwhy_policy::lint::kinds(),
            &found.iter().map(|one| (*one).clone()).collect::<Vec<_>>(),
            common.lang,
            &|place| world.utf16_column(place),
        )?)?;
    } else if common.json {
        let report = Report { schema: "netwhy.lint/1", findings: found.clone(), unread: world.unread() };
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        files::tell_unread(world.unread(), common.lang);
        print(&page(&found, common))?;
    }
    Ok(u8::from(all.iter().any(|one| one.level >= args.fail_on.level())))
}

fn page(found: &[&Finding], common: &Common) -> String {
    let lang = common.lang;
    let mut page = String::new();
    for one in found {
        let rule = one.rule.map_or_else(String::new, |rule| format!(" {} {rule}", lang.pick("rule", "规则")));
        let word = toned(level_word(one.level, lang), one.level, common.color);
        let _ = writeln!(
            page,
            "{}: {word}[{}] {}{rule}: {}",
            one.place,
            one.kind,
            one.within,
            one.text.get(lang)
        );
    }
    let count = |level| found.iter().filter(|one| one.level == level).count();
    let (errors, warnings, notes) = (count(Level::Error), count(Level::Warning), count(Level::Note));
    let _ = match lang {
        Lang::En => writeln!(page, "{errors} errors, {warnings} warnings, {notes} notes"),
        Lang::Zh => writeln!(page, "错误 {errors}，警告 {warnings}，提示 {notes}"),
    };
    page
}

const fn level_word(level: Level, lang: Lang) -> &'static str {
    match level {
        Level::Error => lang.pick("error", "错误"),
        Level::Warning => lang.pick("warning", "警告"),
        Level::Note => lang.pick("note", "提示"),
    }
}

fn toned(word: &str, level: Level, color: bool) -> String {
    let code = match level {
        Level::Error => 31,
        Level::Warning => 33,
        Level::Note => 36,
    };
    if color { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
}
