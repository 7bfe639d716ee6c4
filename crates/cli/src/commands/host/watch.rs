//! `netwhy host --watch`: the same look again and again, on a screen of its own.

mod pace;
mod panes;
mod screen;
mod state;
mod view;

use crate::{Common, fail};
use anyhow::{Context, Result};
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_util::StreamExt;

use netwhy_host::{LookSpec, look};
use netwhy_model::host::Snapshot;
use pace::{Depth, Pace};
use screen::Screen;
use state::{Act, Watched};
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// Shows the machine until somebody quits.
pub(super) async fn run(every: Duration, common: &Common) -> Result<u8> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(fail(
            ("--watch needs a terminal", "--watch 需要终端"),
            (
                "for a file or a program: netwhy host --json, as often as you like",
                "写入文件或供程序使用请用：netwhy host --json，可按需反复执行",
            ),
        ));
    }
    let mut ends = Ends::new()?;
    let mut watched = Watched::new(every, common);
    let mut screen = Screen::open().context("cannot use the terminal")?;
    let ended = show(&mut screen, &mut watched, &mut ends, every).await;
    drop(screen);
    ended.map(|()| 0)
}

/// A look under way, and how much it reads.
type Looking = Option<(Depth, JoinHandle<Snapshot>)>;

async fn show(screen: &mut Screen, watched: &mut Watched, ends: &mut Ends, every: Duration) -> Result<()> {
    let mut keys = EventStream::new();
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pace = Pace::default();
    let mut looking: Looking = None;
    screen.draw(watched)?;
    loop {
        tokio::select! {
            event = keys.next() => match event {
                Some(Ok(event)) => match watched.act(meant(&event)) {
                    Act::Quit => return Ok(()),
                    Act::Draw => screen.draw(watched)?,
                    Act::Nothing => {}
                },
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
            _ = ticks.tick(), if looking.is_none() && !watched.paused() => {
                looking = pace.next(Instant::now(), watched.alarmed()).map(begin);
            }
            ended = looked(&mut looking), if looking.is_some() => {
                looking = None;
                let (depth, snapshot) = ended?;
                watched.take(snapshot, depth, Instant::now());
                screen.draw(watched)?;
                pace.ended(depth, watched.busy());
            }
            () = ends.asked() => return Ok(()),
        }
    }
}

fn begin(depth: Depth) -> (Depth, JoinHandle<Snapshot>) {
    let whole = depth == Depth::Whole;
    let spec = LookSpec { logs: whole, services: whole, light: depth == Depth::Light, ..LookSpec::default() };
    (depth, tokio::task::spawn_blocking(move || look(&spec)))
}

async fn looked(looking: &mut Looking) -> Result<(Depth, Snapshot)> {
    match looking {
        Some((depth, handle)) => Ok((*depth, handle.await.context("the look did not end")?)),
        None => std::future::pending().await,
    }
}

/// The signals that ask to end; the screen is given back before the process goes.
struct Ends([Signal; 4]);

impl Ends {
    fn new() -> Result<Ends> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Ends([
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
            listen(SignalKind::interrupt())?,
            listen(SignalKind::quit())?,
        ]))
    }

    async fn asked(&mut self) {
        let [terminate, hangup, interrupt, quit] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

/// What the user means by an event; none for what has no meaning here.
fn meant(event: &Event) -> Option<state::Key> {
    use state::Key;
    let key = match event {
        Event::Resize(..) => return Some(Key::Redraw),
        Event::Key(KeyEvent { kind: KeyEventKind::Release, .. }) => return None,
        Event::Key(key) => key,
        _ => return None,
    };
    Some(match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Quit,
        KeyCode::Char('l') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Redraw,
        KeyCode::Char('q' | 'Q') => Key::Quit,
        KeyCode::Esc => Key::Back,
        KeyCode::Char('p' | 'P' | ' ') => Key::Pause,
        KeyCode::Char('?' | 'h') => Key::Help,
        KeyCode::Char('z') | KeyCode::Enter => Key::Zoom,
        KeyCode::Tab | KeyCode::Right => Key::Next,
        KeyCode::BackTab | KeyCode::Left => Key::Previous,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::Home => Key::Top,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_help_says() {
        use state::Key;
        let key = |code, modifiers| meant(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Key::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(key(KeyCode::Tab, KeyModifiers::NONE), Some(Key::Next));
        assert_eq!(meant(&Event::Resize(1, 1)), Some(Key::Redraw));
    }
}
