//! `netwhy explain [CAUSE]`: teaches one cause, or lists all of them by layer.

use crate::{Common, fail, print};
use netwhy_catalogue::Catalogue;
use netwhy_report::explain::{Lesson, Overview};

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy explain                              every cause netwhy knows, by layer
  netwhy explain tls.cert                     those about certificates
  netwhy explain tcp.refused.no_listener      what it is, how it looks, its look-alikes, the fix
  netwhy explain tls.cert.expired --lang zh   in Chinese
  netwhy explain dns.nxdomain --format html > page.html";

/// Which cause.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The id of a cause, or how ids begin; all are listed without one
    #[arg(value_name = "CAUSE")]
    cause: Option<String>,
}

/// Writes the page to stdout.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<u8> {
    let catalogue = Catalogue::embedded();
    let text = match args.cause.as_deref() {
        None => list(&Overview::of(catalogue, common.lang), common)?,
        Some(id) => match Lesson::of(catalogue, id, common.lang) {
            Some(lesson) => teach(&lesson, common)?,
            None => {
                let under =
                    Overview::under(catalogue, id, common.lang).ok_or_else(|| unknown(catalogue, id))?;
                list(&under, common)?
            }
        },
    };
    print(&text)?;
    Ok(0)
}

fn teach(lesson: &Lesson, common: &Common) -> serde_json::Result<String> {
    match (common.json, common.html) {
        (true, _) => netwhy_report::to_json(lesson, true),
        (_, true) => Ok(lesson.html()),
        _ => Ok(lesson.text(&common.style())),
    }
}

fn list(overview: &Overview, common: &Common) -> serde_json::Result<String> {
    match (common.json, common.html) {
        (true, _) => netwhy_report::to_json(overview, true),
        (_, true) => Ok(overview.html()),
        _ => Ok(overview.text(&common.style())),
    }
}

fn unknown(catalogue: &Catalogue, id: &str) -> anyhow::Error {
    let hint = match catalogue.nearest_cause(id) {
        Some(near) => (
            format!("did you mean {near:?}? netwhy explain lists all"),
            format!("是否想写 {near:?}？netwhy explain 列出全部"),
        ),
        None => ("netwhy explain lists all".to_owned(), "netwhy explain 列出全部".to_owned()),
    };
    fail((format!("unknown cause {id:?}"), format!("未知的原因 {id:?}")), hint)
}
