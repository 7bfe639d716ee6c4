//! `--at NAME=PLACE`: the other ends that watch, or from which the asking is done.

use super::agent::Files;
use crate::failure::while_trying;
use anyhow::Result;
use netwhy_ends::{At, EndName, Ends, OpenOptions, Place};
use netwhy_engine::EngineRunner;
use netwhy_model::Lang;
use std::sync::Arc;

/// Ends one run takes.
const END_COUNT_MAX: usize = 16;

/// The flags of commands that reach other ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Also stand there while asking: origin, edge, client (asks from there) or any router's name; PLACE is
    /// ssh://USER@HOST, netns:NAME, exec:'PREFIX' or agent://HOST
    #[arg(long, value_name = "NAME=PLACE", help_heading = "Other ends")]
    pub at: Vec<String>,
    #[command(flatten)]
    pub files: Files,
}

impl Flags {
    /// What was written, understood before anything is sent.
    pub(crate) fn places(&self) -> Result<Vec<(EndName, Place)>> {
        if self.at.len() > END_COUNT_MAX {
            let count = self.at.len();
            return Err(crate::fail(
                (format!("{count} ends were given"), format!("给出了 {count} 个端点")),
                (format!("at most {END_COUNT_MAX} at once"), format!("一次最多 {END_COUNT_MAX} 个")),
            ));
        }
        let mut places: Vec<(EndName, Place)> = Vec::new();
        for text in &self.at {
            let At { name, place } = text.parse::<At>().map_err(|error| {
                while_trying(
                    (format!("--at {text:?} is not understood"), format!("无法理解 --at {text:?}")),
                    error,
                )
            })?;
            if places.iter().any(|(known, _)| known.name == name.name) {
                let name = name.name;
                return Err(crate::fail(
                    (format!("end {name:?} was given twice"), format!("端点 {name:?} 给出了两次")),
                    ("give each end a name of its own", "每个端点用不同的名字"),
                ));
            }
            places.push((name, place));
        }
        Ok(places)
    }

    /// Starts netwhy at every place at once.
    pub(crate) async fn open(&self, places: &[(EndName, Place)], lang: Lang) -> Ends {
        let options = OpenOptions {
            agent: self.files.of_client(),
            runner: Some(Arc::new(EngineRunner)),
            ..OpenOptions::default()
        };
        let ends = Ends::open(places, &options).await;
        for opened in ends.opened().iter().filter(|opened| opened.unchecked) {
            let name = &opened.end.name().name;
            let what = lang.pick(
                ": the copy of netwhy runs, but no program over there could compute its hash (sha256sum, shasum, openssl)",
                "：netwhy 副本已运行，但对端没有可计算其哈希的程序（sha256sum、shasum、openssl）",
            );
            crate::warn(&format!("{name}{what}"));
        }
        ends
    }
}
