//! `netwhy lab list`.

use super::Source;
use crate::{Common, print};
use netwhy_lab::Scenario;
use std::fmt::Write as _;

/// Which scenarios.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those whose name, folder or cause contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    #[command(flatten)]
    source: Source,
}

/// Whether the filter is part of the name, the folder or a cause.
pub fn matches(scenario: &Scenario, folder: &str, filter: Option<&str>) -> bool {
    let Some(filter) = filter else { return true };
    scenario.head.name.contains(filter)
        || folder.contains(filter)
        || scenario.head.cause.iter().any(|cause| cause.contains(filter))
}

/// Scenarios with their folders, filtered.
pub fn selected(
    library: &netwhy_lab::Library,
    filter: Option<&str>,
) -> netwhy_lab::Result<Vec<(String, Scenario)>> {
    let folders: Vec<String> = library.names().into_iter().map(|(folder, _)| folder).collect();
    let all = folders.into_iter().zip(library.scenarios()?);
    Ok(all.filter(|(folder, scenario)| matches(scenario, folder, filter)).collect())
}

/// Writes the list to stdout.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<u8> {
    let scenarios = selected(&args.source.library()?, args.filter.as_deref())?;
    if common.json {
        let heads: Vec<_> = scenarios.iter().map(|(_, scenario)| &scenario.head).collect();
        print(&netwhy_report::to_json(&heads, true)?)?;
        return Ok(0);
    }
    let mut text = String::new();
    let mut last = "";
    let width = scenarios.iter().map(|(_, scenario)| scenario.head.name.len()).max().unwrap_or(0);
    for (folder, scenario) in &scenarios {
        if folder != last {
            let _ = writeln!(text, "{}{folder}", if last.is_empty() { "" } else { "\n" });
            last = folder;
        }
        let title = &scenario.head.words(common.lang).title;
        let _ = writeln!(text, "  {:width$}  {title}{}", scenario.head.name, lacking(scenario, common));
    }
    print(&text)?;
    Ok(0)
}

fn lacking(scenario: &Scenario, common: &Common) -> String {
    let missing = netwhy_lab::missing(&scenario.network);
    if missing.is_empty() {
        return String::new();
    }
    format!("  ({} {})", common.lang.pick("needs", "需要"), missing.join(", "))
}
