//! `netwhy policy check`: what must and must not be possible, as a gate for CI.

use super::tell::reason;
use super::{can, files};
use crate::failure::while_trying;
use crate::{Common, fail, print};
use anyhow::Result;
use netwhy_policy::check::{Checked, Kept, check};
use netwhy_policy::intents::intents;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "\
intents.toml:
  [groups]
  edge = [\"203.0.113.0/24\"]

  [[intent]]
  name = \"the edge reaches the origin\"
  from = \"edge\"
  to = \"10.0.1.20:443\"
  must = \"reach\"

  [[intent]]
  name = \"nobody outside reaches the database\"
  from = \"outside\"
  to = \"db:5432\"
  must = \"not-reach\"

Exit code 0 when all are kept, 1 when one is broken, 3 when the rules do not say of one.";

/// Do the rules keep what must hold?
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What must hold
    #[arg(value_name = "INTENTS")]
    intents: PathBuf,
    #[command(flatten)]
    sources: super::Sources,
    #[command(flatten)]
    how: can::How,
}

/// The contract `netwhy.intents/1`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    kept: bool,
    intents: &'a [Checked],
}

pub(super) fn run(args: &Args, common: &Common) -> Result<u8> {
    let source = files::one(&args.intents)?;
    let wanted = intents(&source.file, &source.text);
    if let Some(first) = wanted.unread.first() {
        let error = anyhow::anyhow!("{}: {}: {}", first.place, first.why.get(common.lang), first.text);
        return Err(while_trying(("the intents cannot be read", "无法读取意图文件"), error));
    }
    if wanted.intents.is_empty() {
        return Err(fail(
            (
                format!("{} has no intent", args.intents.display()),
                format!("{} 中没有意图", args.intents.display()),
            ),
            ("write [[intent]] with name, from, to and must", "请写 [[intent]]，含 name、from、to 与 must"),
        ));
    }
    let world = can::world(&args.sources, &args.how, common)?;
    let checked: Vec<Checked> = wanted.intents.iter().map(|intent| check(&world, intent)).collect();
    let any = |wanted| checked.iter().any(|one| one.result == wanted);
    if common.json {
        let kept = checked.iter().all(|one| one.result == Kept::Kept);
        let report = Report { schema: "netwhy.intents/1", kept, intents: &checked };
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        files::tell_unread(world.unread(), common.lang);
        print(&page(&checked, common))?;
    }
    Ok(if any(Kept::Broken) {
        1
    } else if any(Kept::Depends) {
        3
    } else {
        0
    })
}

fn page(checked: &[Checked], common: &Common) -> String {
    let lang = common.lang;
    let mut page = String::new();
    for one in checked {
        let word = match one.result {
            Kept::Kept => lang.pick("kept", "满足"),
            Kept::Broken => lang.pick("broken", "违反"),
            Kept::Depends => lang.pick("depends", "不确定"),
        };
        let _ = writeln!(page, "{word}  {} ({})", one.name, one.place);
        for failure in &one.failures {
            let verdict = super::tell::verdict_word(failure.verdict, lang);
            let _ = writeln!(page, "    {} → {}: {verdict}", failure.from, failure.to);
            for because in &failure.by {
                let _ = writeln!(page, "      {}", reason(because, lang));
            }
        }
    }
    page
}
