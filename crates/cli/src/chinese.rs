//! The help in Chinese, keyed by the English text it stands for, so that a changed text shows as untranslated.

mod flows;
mod pages;
mod texts;

use clap::{Arg, Command};
use texts::TEXTS;

/// The layout of a help page; the parser's own has an English heading built in.
const LAYOUT: &str = "{before-help}{about-with-newline}\n用法：{usage}\n\n{all-args}{after-help}";

/// All texts of all commands.
fn all() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    TEXTS.iter().chain(flows::TEXTS)
}

/// The definition with every text that has a Chinese one replaced, down to the last command.
pub fn translated(mut command: Command) -> Command {
    let own = |text: &str| all().find(|(english, _)| *english == text).map(|(_, chinese)| *chinese);
    if let Some(about) = command.get_about().and_then(|text| own(&text.to_string())) {
        command = command.about(about);
    }
    if let Some(after) = command.get_after_help().and_then(|text| own(&text.to_string())) {
        command = command.after_help(after);
    }
    command = command.help_template(LAYOUT).subcommand_help_heading("命令").mut_args(|arg| {
        let help = arg.get_help().and_then(|text| own(&text.to_string()));
        let heading = match arg.get_help_heading() {
            Some(heading) => own(heading),
            None if arg.is_positional() => Some("参数"),
            None => Some("选项"),
        };
        let arg = match heading {
            Some(heading) => arg.help_heading(heading),
            None => arg,
        };
        match help {
            Some(help) => with_values(arg, help),
            None => arg,
        }
    });
    command.mut_subcommands(translated)
}

/// The help with the default and the values to choose from, which the parser would add in English.
fn with_values(arg: Arg, help: &str) -> Arg {
    if !arg.get_action().takes_values() {
        return arg.help(help.to_owned());
    }
    let mut help = help.to_owned();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| value.get_name().to_owned())
        .collect();
    if !values.is_empty() {
        help.push_str(&format!(" [可选：{}]", values.join("、")));
    }
    let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !default.is_empty() {
        help.push_str(&format!(" [默认：{}]", default.join(" ")));
    }
    arg.help(help).hide_possible_values(true).hide_default_value(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Every text of a command and of those below it.
    fn texts_of(command: &Command, all: &mut Vec<String>) {
        all.extend(command.get_about().map(ToString::to_string));
        all.extend(command.get_after_help().map(ToString::to_string));
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            all.extend(arg.get_help().map(ToString::to_string));
            all.extend(arg.get_help_heading().map(str::to_owned));
        }
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            texts_of(below, all);
        }
    }

    fn texts() -> Vec<String> {
        let mut all = Vec::new();
        texts_of(&crate::args::definition(), &mut all);
        all
    }

    #[test]
    fn every_text_has_a_chinese_one() {
        let known: Vec<&str> = super::all().map(|(english, _)| *english).collect();
        let missing: Vec<String> =
            texts().into_iter().filter(|text| !known.contains(&text.as_str())).collect();
        assert!(missing.is_empty(), "have no Chinese:\n{}", missing.join("\n----\n"));
    }

    #[test]
    fn the_translated_definition_holds_together() {
        translated(crate::args::Cli::command()).debug_assert();
    }

    #[test]
    fn every_translation_is_used_and_is_chinese() {
        let all = texts();
        for (english, chinese) in super::all() {
            assert!(all.iter().any(|text| text == english), "nothing says {english:?}");
            assert!(chinese.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{chinese:?}");
        }
    }
}
