//! `netwhy policy diff`: which packets meet another fate, whatever the text says.

use super::{can, files};
use crate::{Common, print};
use anyhow::Result;
use netwhy_model::Lang;
use netwhy_policy::changes::{Changed, Fate};
use netwhy_policy::world::World;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

/// What changes between two sets of rules?
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The rules as they are: a file or folder
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The rules as they would be
    #[arg(value_name = "NEW")]
    new: PathBuf,
}

/// The contract `netwhy.policy-diff/1`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    changes: &'a [Changed],
}

pub(super) fn run(args: &Args, common: &Common) -> Result<u8> {
    let read = |path: &PathBuf| -> Result<World> {
        let sources = files::sources(std::slice::from_ref(path), common)?;
        Ok(World::read(&sources, can::How::default().role()))
    };
    let (old, new) = (read(&args.old)?, read(&args.new)?);
    let changes = netwhy_policy::changes::between(&old, &new);
    if common.json {
        let report = Report { schema: "netwhy.policy-diff/1", changes: &changes };
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        files::tell_unread(old.unread(), common.lang);
        files::tell_unread(new.unread(), common.lang);
        print(&page(&changes, common))?;
    }
    Ok(u8::from(!changes.is_empty()))
}

fn page(changes: &[Changed], common: &Common) -> String {
    let lang = common.lang;
    let mut page = String::new();
    if changes.is_empty() {
        page.push_str(lang.pick("no packet meets another fate\n", "没有报文的处理结果发生变化\n"));
    }
    let mut within = None;
    for change in changes {
        if within != Some(&change.within) {
            let _ = writeln!(page, "{}", change.within);
            within = Some(&change.within);
        }
        let _ = writeln!(
            page,
            "  {} {} → {}  {}",
            sign(change),
            fate_word(change.before, lang),
            fate_word(change.after, lang),
            change.packets
        );
        for (bits, title) in change.interfaces.iter().zip([("in by", "入口"), ("out by", "出口")]) {
            if let Some(names) = bits {
                let _ = writeln!(page, "      {} {names}", lang.pick(title.0, title.1));
            }
        }
        if let [Some(_), _] | [_, Some(_)] = &change.rewritten {
            let words = change
                .rewritten
                .each_ref()
                .map(|one| one.as_deref().unwrap_or(lang.pick("as it is", "不变")));
            let _ = writeln!(page, "      {}: {} → {}", lang.pick("rewritten", "改写"), words[0], words[1]);
        }
        for rule in change.because() {
            let _ = writeln!(page, "      {rule}");
        }
    }
    page
}

/// `+` opens, `-` closes, `~` is neither.
const fn sign(change: &Changed) -> char {
    match (change.before, change.after) {
        (_, Fate::Allowed) => '+',
        (Fate::Allowed, Fate::Denied | Fate::Rejected) => '-',
        _ => '~',
    }
}

const fn fate_word(fate: Fate, lang: Lang) -> &'static str {
    match fate {
        Fate::Allowed => lang.pick("allowed", "允许"),
        Fate::Denied => lang.pick("dropped", "丢弃"),
        Fate::Rejected => lang.pick("rejected", "拒绝"),
        Fate::Depends => lang.pick("depends", "不确定"),
        Fate::Elsewhere => lang.pick("sent elsewhere", "转往别处"),
        Fate::Absent => lang.pick("no such list", "无此列表"),
    }
}
