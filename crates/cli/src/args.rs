//! The command line: one definition that gives parser, help, man page, completions and reference.

use crate::commands::Command;
use crate::config::Config;
use crate::failure::Words;
use crate::{Common, chinese, fail, failure, language, output};
use anyhow::Result;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use netwhy_catalogue::nearest;
use netwhy_model::Lang;
use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy https://shop.example/                      why does my site not open?
  netwhy db.example:5432 -v                         and show what was asked, and all that was seen
  netwhy --origin 203.0.113.7 https://shop.example/ is it the CDN node or the server behind it?
  netwhy --expect max-time=1s https://shop.example/ slow counts as broken
  netwhy --json shop.example | jq .causes           for programs
  netwhy explain tls.cert.expired                   what one cause is, and how to prove and mend it
  netwhy demo                                       see it at work on a small network of its own

Exit codes:
  0  reachable, and nothing was found
  1  a cause was found, or a check failed
  2  netwhy could not do its work
  3  not enough evidence to decide

Settings may also stand in netwhy.toml (here, or in ~/.config/netwhy) and in NETWHY_* variables;
a flag wins over a variable, a variable over the file.";

/// Says why A cannot reach B, and what fixes it.
#[derive(Debug, Parser)]
#[command(
    name = "netwhy",
    version,
    about = "Says why this host cannot reach a target, and what fixes it",
    after_help = EXAMPLES,
    override_usage = "netwhy [OPTIONS] TARGET...\n       netwhy COMMAND [OPTIONS] ...",
    max_term_width = 110,
    subcommand_required = true,
    disable_help_subcommand = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub shared: Shared,
    /// Print version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

/// Flags every command takes.
#[derive(Debug, clap::Args)]
pub struct Shared {
    /// Write JSON; short for --format json
    #[arg(long, global = true, overrides_with = "format", help_heading = "Output")]
    json: bool,
    /// How to write the report [env: NETWHY_FORMAT]
    // The parser would set the variable against --json; it is read below, where the flag wins.
    #[arg(long, global = true, overrides_with = "json", help_heading = "Output")]
    format: Option<Format>,
    /// Language of what is written; the locale's by default
    #[arg(long, global = true, env = "NETWHY_LANG", hide_env_values = true, help_heading = "Output")]
    lang: Option<Language>,
    /// When to use colour; NO_COLOR is honoured
    #[arg(long, global = true, env = "NETWHY_COLOR", hide_env_values = true, help_heading = "Output")]
    color: Option<When>,
    /// Show more: what is asked while it runs, and all that was seen
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    verbose: u8,
    /// Read settings from this file only
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "NETWHY_CONFIG",
        hide_env_values = true,
        help_heading = "Output"
    )]
    pub config: Option<PathBuf>,
    /// Print help
    #[arg(short, long, global = true, action = clap::ArgAction::HelpShort)]
    help: Option<bool>,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    Html,
    // Of rows, which only `flows` writes; its own help tells of them.
    #[value(hide = true)]
    Table,
    #[value(hide = true)]
    Csv,
    #[value(hide = true)]
    Parquet,
    #[value(hide = true)]
    Svg,
}

impl Format {
    /// Whether only rows of records can be written so.
    pub fn is_of_rows(self) -> bool {
        !matches!(self, Format::Text | Format::Json | Format::Html)
    }
}

/// The language of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    En,
    Zh,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}

/// What the command line asked for.
pub enum Parsed {
    /// A command is to be run.
    Run(Box<Cli>),
    /// Only this text is to be shown: help or version.
    Told(String),
}

/// Reads the command line; a first word that is no command is a target of `diagnose`.
pub fn parse(words: Vec<OsString>) -> Result<Parsed> {
    let words = with_command(words)?;
    let definition = definition_in(language_of(&words));
    let command =
        first_operand(&words, &definition).filter(|word| definition.find_subcommand(word).is_some());
    match definition.try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => Ok(Parsed::Run(Box::new(cli))),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Parsed::Told(error.render().to_string()))
        }
        Err(error) => Err(in_our_words(&error, command.as_deref().unwrap_or_default())),
    }
}

/// The full definition, for man page, completions and reference.
pub fn definition() -> clap::Command {
    definition_in(Lang::En)
}

/// The full definition with its texts in one language.
pub fn definition_in(lang: Lang) -> clap::Command {
    let mut command = match lang {
        Lang::En => Cli::command(),
        Lang::Zh => chinese::translated(Cli::command()),
    };
    command.build();
    command
}

impl Shared {
    /// What the commands are told: flag over `NETWHY_*` over file over default.
    pub fn common(&self, config: Config) -> Result<Common> {
        let flag = if self.json { Some(Format::Json) } else { self.format };
        let format = match flag {
            Some(format) => Some(format),
            None => format_variable()?.or(config.format),
        };
        let lang = self.lang.or(config.lang).map_or_else(language::from_environment, |chosen| match chosen {
            Language::En => Lang::En,
            Language::Zh => Lang::Zh,
        });
        let color = match self.color.or(config.color.filter(|_| !output::no_color())) {
            Some(When::Always) => true,
            Some(When::Never) => false,
            Some(When::Auto) | None => output::color_wanted(),
        };
        Ok(Common {
            lang,
            json: format == Some(Format::Json),
            format,
            html: format == Some(Format::Html),
            color,
            unicode: language::shows_unicode(),
            width: output::columns(),
            verbose: self.verbose,
            config,
        })
    }
}

fn format_variable() -> Result<Option<Format>> {
    const NAME: &str = "NETWHY_FORMAT";
    let Ok(text) = std::env::var(NAME) else { return Ok(None) };
    let known = Format::value_variants().iter().filter(|format| !format.is_of_rows());
    let known = known.filter_map(ValueEnum::to_possible_value);
    let names: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
    Format::from_str(&text, false).map(Some).map_err(|_| {
        let hint = failure::did_you_mean(&text, names.iter().map(String::as_str));
        fail((format!("{text:?} is not a value of {NAME}"), format!("{text:?} 不是 {NAME} 的值")), hint)
    })
}

/// Puts `diagnose` before the words when they name no command.
fn with_command(mut words: Vec<OsString>) -> Result<Vec<OsString>> {
    let definition = definition();
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
        return Ok(words);
    }
    match first_operand(&words, &definition) {
        Some(word) if definition.find_subcommand(&word).is_some() => return Ok(words),
        Some(word) => refuse_misspelt(&word, &definition)?,
        // Only flags: help and version of netwhy itself, or such as `--replay FILE`.
        None if words.len() < 2 => {
            return Err(crate::commands::diagnose::no_target());
        }
        None if words.iter().any(|w| ["-h", "--help", "-V", "--version"].iter().any(|flag| w == flag)) => {
            return Ok(words);
        }
        None => {}
    }
    words.insert(1, "diagnose".into());
    Ok(words)
}

/// The language of the help, before anything is parsed: flag, variable, locale.
pub fn language_of(words: &[OsString]) -> Lang {
    let after = words.iter().position(|word| word == "--lang").and_then(|place| words.get(place + 1));
    let joined = words.iter().find_map(|word| word.to_str()?.strip_prefix("--lang="));
    let flag = after.and_then(|word| word.to_str()).or(joined).map(str::to_owned);
    match flag.or_else(|| std::env::var("NETWHY_LANG").ok()) {
        Some(name) => Lang::from_locale(&name),
        None => language::from_environment(),
    }
}

/// The first word that is neither a flag nor a flag's value.
fn first_operand(words: &[OsString], definition: &clap::Command) -> Option<String> {
    let diagnose = definition.find_subcommand("diagnose");
    let takes_value = |flag: &str| {
        definition.get_arguments().chain(diagnose.into_iter().flat_map(clap::Command::get_arguments)).any(
            |arg| {
                let long = arg.get_long().is_some_and(|long| flag.strip_prefix("--") == Some(long));
                // A short flag with its value attached, such as -XPOST, is longer than two bytes.
                let short = arg.get_short().is_some_and(|short| flag == format!("-{short}"));
                (long || short) && arg.get_action().takes_values()
            },
        )
    };
    let mut rest = words.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = rest.next() {
        if word == "--" {
            return rest.next().map(|word| word.into_owned());
        }
        if !word.starts_with('-') || word == "-" {
            return Some(word.into_owned());
        }
        if takes_value(&word) {
            rest.next();
        }
    }
    None
}

/// A bare word one letter off a command is more likely a slip than a host.
fn refuse_misspelt(word: &str, definition: &clap::Command) -> Result<()> {
    /// Shortest word taken for a misspelt command, in letters.
    const LETTER_COUNT_MIN: usize = 4;
    if word.len() < LETTER_COUNT_MIN || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return Ok(());
    }
    let known = definition.get_subcommands().filter(|c| !c.is_hide_set()).map(clap::Command::get_name);
    match known.into_iter().find(|name| strsim::damerau_levenshtein(word, name) == 1) {
        Some(name) => Err(fail(
            (format!("unknown command {word:?}"), format!("未知的命令 {word:?}")),
            (
                format!("did you mean {name:?}? to diagnose a host of that name, write https://{word}/"),
                format!("是否想写 {name:?}？若要诊断同名主机，请写 https://{word}/"),
            ),
        )),
        None => Ok(()),
    }
}

/// Turns the parser's message into one sentence with a hint.
fn in_our_words(error: &clap::Error, command: &str) -> anyhow::Error {
    let told = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let flag = bare(&told(ContextKind::InvalidArg));
    let help = || {
        let asked = ["netwhy", command, "--help"].into_iter().filter(|word| !word.is_empty());
        let asked = asked.collect::<Vec<_>>().join(" ");
        Words::from((format!("see {asked}"), format!("见 {asked}")))
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let hint = nearest_flag(&flag).map_or_else(help, |near| {
                (format!("did you mean {near}?"), format!("是否想写 {near}？")).into()
            });
            fail((format!("unknown flag {flag:?}"), format!("未知的参数 {flag:?}")), hint)
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            not_a_value(error, &flag, &told(ContextKind::InvalidValue), help())
        }
        ErrorKind::MissingRequiredArgument => {
            let names: Vec<String> = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(texts)) => texts.iter().map(|text| bare(text)).collect(),
                _ => vec![flag],
            };
            let (names, verb) = (names.join(", "), if names.len() == 1 { "is" } else { "are" });
            fail((format!("{names} {verb} missing"), format!("缺少 {names}")), help())
        }
        ErrorKind::ArgumentConflict => {
            let prior = bare(&told(ContextKind::PriorArg));
            let both =
                (format!("{flag} and {prior} do not go together"), format!("{flag} 与 {prior} 不能同用"));
            fail(both, ("give one of them", "请只用其一"))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            fail(("a command is missing", "缺少命令"), help())
        }
        ErrorKind::InvalidSubcommand => {
            let word = told(ContextKind::InvalidSubcommand);
            fail((format!("unknown command {word:?}"), format!("未知的命令 {word:?}")), help())
        }
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            fail((first, format!("命令行无法理解：{first}")), help())
        }
    }
}

/// Without the placeholder of its value: `--format <FORMAT>` is `--format`.
fn bare(flag: &str) -> String {
    flag.split(' ').next().unwrap_or("").trim_matches(['[', ']', '.', '<', '>']).to_owned()
}

fn not_a_value(error: &clap::Error, flag: &str, value: &str, help: Words) -> anyhow::Error {
    if value.is_empty() {
        return fail((format!("{flag} needs a value"), format!("{flag} 需要一个值")), help);
    }
    let hint = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(known)) if !known.is_empty() => {
            failure::did_you_mean(value, known.iter().map(String::as_str))
        }
        _ => help,
    };
    let (why, why_zh) =
        std::error::Error::source(error).map_or_else(Default::default, |why| why_not(&why.to_string()));
    let en = format!("{value:?} is not a value of {flag}{why}");
    fail((en, format!("{value:?} 不是 {flag} 的值{why_zh}")), hint)
}

/// The reasons of the standard library's parsers, for people.
fn why_not(why: &str) -> (String, String) {
    let pair = match why {
        "invalid digit found in string" => (": it is no whole number", "：不是整数"),
        "invalid IP address syntax" => (": it is no IP address", "：不是 IP 地址"),
        _ => match why.rsplit_once(" is not in ") {
            Some((_, range)) => {
                let range = range.trim_end_matches("..").replace("..=", " … ");
                return (format!(": it is not within {range}"), format!("：不在 {range} 之内"));
            }
            None => return (format!(": {why}"), format!("：{why}")),
        },
    };
    (pair.0.to_owned(), pair.1.to_owned())
}

fn nearest_flag(written: &str) -> Option<String> {
    let definition = definition();
    let all = definition.get_subcommands().flat_map(clap::Command::get_arguments);
    let mut flags: Vec<String> = all
        .chain(definition.get_arguments())
        .filter_map(|arg| arg.get_long().map(|long| format!("--{long}")))
        .collect();
    flags.sort();
    flags.dedup();
    nearest(written, flags.iter().map(String::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn completed(line: &str) -> String {
        let words = with_command(typed(line)).unwrap();
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_first_word_that_is_no_command_is_a_target() {
        assert_eq!(completed("netwhy shop.example"), "netwhy diagnose shop.example");
        assert_eq!(completed("netwhy --lang zh -X POST a:1"), "netwhy diagnose --lang zh -X POST a:1");
        assert_eq!(completed("netwhy --origin 10.0.0.1 explain"), "netwhy --origin 10.0.0.1 explain");
        assert_eq!(completed("netwhy --replay case.json"), "netwhy diagnose --replay case.json");
        assert_eq!(completed("netwhy --json explain x"), "netwhy --json explain x");
        assert_eq!(completed("netwhy -- explain.example"), "netwhy diagnose -- explain.example");
        assert_eq!(completed("netwhy help man"), "netwhy man --help");
        assert_eq!(completed("netwhy --version"), "netwhy --version");
        assert_eq!(completed("netwhy lab1"), "netwhy diagnose lab1");
    }
}
