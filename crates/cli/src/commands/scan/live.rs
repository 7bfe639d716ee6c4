//! The bar on stderr while a scan runs, where stderr is a terminal.

use super::words::{seconds, thousands};
use indicatif::{ProgressBar, ProgressStyle};
use netwhy_model::Lang;
use netwhy_scan::Progress;
use std::io::IsTerminal;

/// A bar that is shown, or not.
pub(super) struct Live {
    bar: Option<ProgressBar>,
    lang: Lang,
}

impl Live {
    /// Starts empty.
    pub(super) fn start(total: u64, lang: Lang, unicode: bool) -> Self {
        let shown = std::io::stderr().is_terminal();
        Self { bar: shown.then(|| bar(total, unicode)), lang }
    }

    /// Shows how far the scan is.
    pub(super) fn at(&self, progress: &Progress) {
        let Some(bar) = &self.bar else { return };
        bar.set_length(progress.total.max(1));
        bar.set_position(progress.settled);
        bar.set_message(message(progress, self.lang));
    }

    /// Writes without the bar in the way.
    pub(super) fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(act),
            None => act(),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.finish();
    }
}

fn message(progress: &Progress, lang: Lang) -> String {
    let rate = thousands(progress.rate.max(0.0).round() as u64);
    let open = thousands(progress.open);
    let left = progress.eta.map_or_else(String::new, |eta| match lang {
        Lang::En => format!(", {} left", seconds(eta)),
        Lang::Zh => format!("，剩余 {}", seconds(eta)),
    });
    match lang {
        Lang::En => format!("{rate}/s, pass {}, {open} open{left}", progress.pass),
        Lang::Zh => format!("{rate} 个/秒，第 {} 轮，{open} 个开放{left}", progress.pass),
    }
}

fn bar(total: u64, unicode: bool) -> ProgressBar {
    let bar = ProgressBar::new(total.max(1));
    let marks = if unicode { "━━╌" } else { "#>-" };
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {percent:>3} %  {msg}") {
        bar.set_style(style.progress_chars(marks));
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn rate_and_time_left_are_said() {
        let eta = Some(Duration::from_secs(4));
        let progress =
            Progress { asked: 9000, settled: 4000, total: 65_535, rate: 12_345.6, open: 3, pass: 1, eta };
        assert_eq!(message(&progress, Lang::En), "12,346/s, pass 1, 3 open, 4.00 s left");
        assert_eq!(message(&progress, Lang::Zh), "12,346 个/秒，第 1 轮，3 个开放，剩余 4.00 s");
    }
}
