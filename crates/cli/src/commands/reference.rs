//! `netwhy reference`: `docs/cli.md` and `docs/zh/cli.md`, from the one definition so that they cannot go stale.

use clap::Command;
use netwhy_model::Lang;

/// Columns the help is laid out for.
const COLUMNS: usize = 100;

const HEAD: &str = "\
# The command line

Written by `netwhy reference --lang en > docs/cli.md` from the definition the parser itself uses; a test holds it
current. `netwhy TARGET...` is short for `netwhy diagnose TARGET...`.
";

const HEAD_ZH: &str = "\
# 命令行

由 `netwhy reference --lang zh > docs/zh/cli.md` 根据解析器自身的定义生成，并由测试保证不过时。
`netwhy TARGET...` 即 `netwhy diagnose TARGET...`。
";

/// Writes the reference to stdout.
pub fn run(lang: Lang) -> anyhow::Result<u8> {
    let mut page = lang.pick(HEAD, HEAD_ZH).to_owned();
    section(&crate::args::definition_in(lang), "netwhy", 2, &mut page);
    crate::print(&page)?;
    Ok(0)
}

/// One command, then those below it.
fn section(command: &Command, path: &str, depth: usize, page: &mut String) {
    let marks = "#".repeat(depth);
    let help = command.clone().term_width(COLUMNS).render_long_help().to_string();
    let help: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    page.push_str(&format!("\n{marks} {path}\n\n```text\n{}\n```\n", help.join("\n")));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        section(below, &format!("{path} {}", below.get_name()), (depth + 1).min(4), page);
    }
}
