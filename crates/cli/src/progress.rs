//! What is being asked right now, on stderr: a spinner on a terminal, lines with `-v`.

use crate::Common;
use indicatif::{ProgressBar, ProgressStyle};
use netwhy_catalogue::Catalogue;
use netwhy_model::{Lang, Question};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two pictures of the spinner, in milliseconds.
const TICK_MS: u64 = 100;

/// Shows progress until it is finished or dropped.
pub struct Progress {
    lang: Lang,
    started: Instant,
    shown: Shown,
}

enum Shown {
    Spinner(ProgressBar),
    Lines,
    Nothing,
}

impl Progress {
    /// Starts for one target.
    pub fn start(target: &str, common: &Common) -> Progress {
        let shown = if common.verbose > 0 {
            Shown::Lines
        } else if std::io::stderr().is_terminal() {
            Shown::Spinner(spinner(target, common.unicode))
        } else {
            Shown::Nothing
        };
        Progress { lang: common.lang, started: Instant::now(), shown }
    }

    /// Says which question is being asked.
    pub fn asking(&self, question: &Question) {
        let known = Catalogue::embedded().question(&question.0);
        let text = known.map_or(question.0.as_str(), |entry| entry.text.get(self.lang));
        match &self.shown {
            Shown::Spinner(bar) => bar.set_message(text.to_owned()),
            Shown::Lines => crate::warn(&format!(
                "{:>6} ms  {} {}: {text}",
                self.started.elapsed().as_millis(),
                self.lang.pick("ask", "询问"),
                question.0
            )),
            Shown::Nothing => {}
        }
    }

    /// Takes the line away again.
    pub fn finish(&self) {
        if let Shown::Spinner(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn spinner(target: &str, unicode: bool) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    let ticks = if unicode { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " } else { "|/-\\ " };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed}: {wide_msg}") {
        bar.set_style(style.tick_chars(ticks));
    }
    bar.set_prefix(target.to_owned());
    bar.enable_steady_tick(Duration::from_millis(TICK_MS));
    bar
}
