//! What was measured, as it lies in its file.

use super::goal::Measure;
use super::peer::Mode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything of the page.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    pub rows: Vec<Row>,
    pub paths: Vec<Carried>,
    /// Each peer with its version; without one it is missing.
    pub peers: Vec<(String, Option<String>)>,
}

/// All scanners on one target.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    pub pairs: u64,
    pub open: u64,
    pub tools: Vec<Tool>,
}

/// One scanner on one target.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub command: String,
    pub runs: Vec<Run>,
}

/// One run, compared with the truth.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Run {
    pub wall_ms: f64,
    pub cpu_ms: f64,
    pub peak_mb: f64,
    pub cut: bool,
    /// Share of the processors that others used just before it.
    #[serde(default)]
    pub busy: Option<f64>,
    /// How it ended, as wait4 gives it.
    #[serde(default)]
    pub status: i32,
    pub missed: u64,
    pub invented: u64,
    /// The defence bans the scanner after it.
    pub banned: bool,
    pub told: Told,
}

/// What netwhy said of its own run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Told {
    pub packets_sent: u64,
    pub passes: u64,
    pub expected_missed: f64,
    pub complete: bool,
    /// When it noticed a ban.
    pub banned_ms: Option<u64>,
    pub proxy_named: bool,
}

/// What the way carries at all, and what netwhy sends over it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Carried {
    /// Whether the target drops what it does not serve, rather than resetting it.
    pub drops: bool,
    /// The bench's own sender, to nobody: what the first veth takes, a second.
    #[serde(default)]
    pub veth_per_s: f64,
    /// To the target: handed to the kernel, arrived, answered, a second each.
    pub sent_per_s: f64,
    pub arrived_per_s: f64,
    pub answered_per_s: f64,
    /// netwhy on 65,536 addresses × 100 ports.
    pub netwhy: Run,
    pub netwhy_arrived_per_s: f64,
}

impl Run {
    /// Whether the run was as it must be, its time apart.
    pub fn right(&self, measure: &Measure) -> bool {
        if measure.mode == Mode::Fast {
            return !self.cut && self.invented == 0 && self.told.banned_ms.is_some();
        }
        let proxied = measure.target.starts_with("T7");
        !self.cut
            && self.missed == 0
            && self.invented == 0
            && !self.banned
            && (!proxied || self.told.proxy_named)
    }
}

impl Tool {
    pub fn median_ms(&self) -> f64 {
        median(self.runs.iter().map(|run| run.wall_ms))
    }

    /// Nothing missed, nothing invented, in every run.
    pub fn complete(&self) -> bool {
        !self.runs.is_empty() && self.runs.iter().all(|run| !run.cut && run.missed == 0 && run.invented == 0)
    }
}

impl Told {
    /// Reads the summary among netwhy's lines.
    pub fn read(text: &str) -> Told {
        let summary = text.lines().rev().find_map(|line| {
            let value: Value = serde_json::from_str(line).ok()?;
            value.get("summary").cloned()
        });
        let Some(summary) = summary else { return Told::default() };
        let notices = summary["notices"].as_array().cloned().unwrap_or_default();
        let named = |name: &str| notices.iter().find(|notice| notice["notice"] == name);
        Told {
            packets_sent: summary["packets_sent"].as_u64().unwrap_or(0),
            passes: summary["passes"].as_u64().unwrap_or(0),
            expected_missed: summary["expected_missed"].as_f64().unwrap_or(0.0),
            complete: summary["complete"].as_bool().unwrap_or(false),
            banned_ms: named("banned").and_then(|notice| notice["after_ms"].as_u64()),
            proxy_named: named("proxy").is_some(),
        }
    }
}

impl Figures {
    /// Puts a row in its place: of scanners that did not run this time the old figures stay.
    pub fn merge(&mut self, new: Row) {
        let Some(old) = self.rows.iter_mut().find(|row| row.name == new.name) else {
            self.rows.push(new);
            return;
        };
        for tool in new.tools {
            match old.tools.iter_mut().find(|old| old.name == tool.name) {
                Some(place) => *place = tool,
                None => old.tools.push(tool),
            }
        }
    }
}

/// The middle of some figures; the lower of two.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_read() {
        let text = "{\"host\":\"10.0.0.1\",\"port\":1}\n{\"summary\":{\"packets_sent\":7,\"complete\":true,\
                    \"notices\":[{\"notice\":\"banned\",\"after_ms\":120},{\"notice\":\"proxy\"}]}}\n";
        let told = Told::read(text);
        assert_eq!((told.packets_sent, told.banned_ms, told.proxy_named), (7, Some(120), true));
        assert!(!Told::read("nothing\n").complete);
    }

    #[test]
    fn a_second_run_replaces_only_what_ran() {
        let tool = |name: &str, count| Tool {
            name: name.into(),
            runs: vec![Run::default(); count],
            ..Tool::default()
        };
        let row = |tools| Row { name: "T1".into(), tools, ..Row::default() };
        let mut figures = Figures::default();
        figures.merge(row(vec![tool("netwhy", 5), tool("nmap", 5)]));
        figures.merge(row(vec![tool("netwhy", 7)]));
        let counts: Vec<usize> = figures.rows[0].tools.iter().map(|tool| tool.runs.len()).collect();
        assert_eq!(counts, [7, 5]);
    }
}
