//! What systemd says of units, through systemctl(1) where systemd runs.

use crate::files::Gaps;
use crate::subprocess::{self, Ended};
use crate::text::printable;
use std::io::ErrorKind;

/// How long systemctl may take, in milliseconds.
const WAIT_MS_MAX: u64 = 400;
/// Output kept of it.
const OUTPUT_BYTES_MAX: usize = 256 << 10;
/// Units asked for.
const UNIT_COUNT_MAX: usize = 64;
/// Exists where systemd is the running service manager (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";

/// One unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    pub name: String,
    /// `active`, `failed`, `activating`, …
    pub active: String,
    /// `running`, `auto-restart`, …
    pub sub: String,
    pub restarts: Option<u64>,
}

impl Unit {
    /// One word: `restarting` where the unit waits for its next start.
    pub fn state(&self) -> String {
        if self.sub.starts_with("auto-restart") { "restarting".to_owned() } else { self.active.clone() }
    }
}

/// What was asked.
pub(super) struct Answer {
    pub(super) units: Vec<Unit>,
    pub(super) failed: Vec<String>,
}

/// Asks for some units and for those that failed; `None` where systemd does not run.
pub(super) fn ask(names: &[String], gaps: &mut Gaps) -> Option<Answer> {
    if !std::path::Path::new(BOOTED).is_dir() {
        return None;
    }
    let failed =
        run(&["list-units", "--state=failed,auto-restart", "--plain", "--no-legend", "--no-pager"], gaps)?;
    let mut arguments = vec!["show", "--no-pager", "-p", "Id,ActiveState,SubState,NRestarts"];
    let mut failed = parse_failed_units(&failed);
    failed.retain(|name| !names.contains(name));
    arguments.extend(names.iter().take(UNIT_COUNT_MAX).map(String::as_str));
    let units = if names.is_empty() { String::new() } else { run(&arguments, gaps).unwrap_or_default() };
    Some(Answer { units: parse_show(&units), failed })
}

fn run(arguments: &[&str], gaps: &mut Gaps) -> Option<String> {
    match subprocess::run("systemctl", arguments, WAIT_MS_MAX, OUTPUT_BYTES_MAX) {
        Ok(output) if output.ended == Ended::Well => Some(output.text),
        Ok(output) => {
            gaps.note("systemctl", output.ended.to_string(), false);
            None
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            gaps.failed("systemctl", &error);
            None
        }
    }
}

/// Reads `systemctl show`: blocks of `Name=value`, an empty line between units.
pub fn parse_show(text: &str) -> Vec<Unit> {
    text.split("\n\n")
        .take(UNIT_COUNT_MAX)
        .filter_map(|block| {
            let mut unit = Unit::default();
            for (name, value) in block.lines().filter_map(|line| line.split_once('=')) {
                match name {
                    "Id" => unit.name = printable(value, 100),
                    "ActiveState" => unit.active = printable(value, 32),
                    "SubState" => unit.sub = printable(value, 32),
                    "NRestarts" => unit.restarts = value.trim().parse().ok(),
                    _ => {}
                }
            }
            (!unit.name.is_empty()).then_some(unit)
        })
        .collect()
}

/// Reads `systemctl list-units --plain --no-legend`: the services among it.
pub fn parse_failed_units(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.trim_start_matches(['●', ' ']).split_whitespace().next())
        .filter(|name| name.ends_with(".service"))
        .take(UNIT_COUNT_MAX)
        .map(|name| printable(name, 100))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_read() {
        let text = "Id=nginx.service\nActiveState=active\nSubState=running\nNRestarts=0\n\nId=app.service\nActiveState=activating\nSubState=auto-restart\nNRestarts=17\n";
        let units = parse_show(text);
        assert_eq!((units[0].state().as_str(), units[1].state().as_str()), ("active", "restarting"));
        assert_eq!(units[1].restarts, Some(17));
        let failed = parse_failed_units(
            "● nginx.service loaded failed failed A web server\nx.mount loaded failed failed x\n",
        );
        assert_eq!(failed, ["nginx.service"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(Id=[a-z.\u{1b}]{0,20}\n\n?|(?s).{0,80})") {
            let _ = parse_show(&text);
            let _ = parse_failed_units(&text);
        }
    }
}
