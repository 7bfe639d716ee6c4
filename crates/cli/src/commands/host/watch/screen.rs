//! The terminal while it is ours; given back on every way out.

use super::{state::Watched, view};
use ratatui::DefaultTerminal;

/// The alternate screen in raw mode.
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    /// Takes the terminal; a panic from here on gives it back before it is told.
    pub(super) fn open() -> std::io::Result<Screen> {
        ratatui::try_init().map(Screen)
    }

    /// Draws what changed.
    pub(super) fn draw(&mut self, watched: &mut Watched) -> std::io::Result<()> {
        if watched.take_redraw() {
            self.0.clear()?;
        }
        self.0.draw(|frame| view::draw(frame, watched)).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A panic has given it back already; a second time would put the cursor over what was told of it.
        if crossterm::terminal::is_raw_mode_enabled().unwrap_or(true) {
            // Without a terminal there is nothing left to give back.
            let _ = ratatui::try_restore();
        }
    }
}
