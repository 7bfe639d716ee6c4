//! The talk with the shell over there until netwhy runs: found in place, or copied.

use super::child::{Keeper, Said, Spawner};
use super::program::{Program, machine, own_machine};
use super::{Reader, Started, Writer};
use crate::error::EndError;
use crate::hello::boot_id;
use crate::line::{Lines, printable};
use crate::session::MESSAGE_BYTES_MAX;
use ring::rand::{SecureRandom, SystemRandom};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// What the shell over there runs.
const BOOTSTRAP: &str = include_str!("bootstrap.sh");
/// How its lines begin, before the nonce.
const MARK: &str = "netwhy-end/1";
/// Longest wait for the shell's first word, in milliseconds.
const FIRST_MS_MAX: u64 = 20_000;
/// Longest wait for a copy to arrive, be checked and be started, in milliseconds.
const COPY_MS_MAX: u64 = 180_000;
/// What may stand before the shell's first word, banners and the like, in bytes.
const NOISE_BYTES_MAX: usize = 64 * 1024;
/// Longest word repeated from over there, in characters.
const WORD_CHARS_MAX: usize = 80;
/// The directories the script tries.
const DIRECTORIES: &str = "$TMPDIR, /tmp, /dev/shm, /run, /var/tmp";

/// What is to be told to the shell over there.
pub(super) struct Bootstrap {
    program: Arc<Program>,
    nonce: String,
    loader: Option<String>,
    identity: String,
}

/// The shell's answers.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    /// It starts the program it sees.
    Same,
    /// It wants a copy.
    Copy {
        system: String,
        machine: String,
        loader: bool,
    },
    /// It starts the copy; true when the hash was compared.
    Run {
        checked: bool,
    },
    Terminal,
    NoProc,
    NoDirectory,
    Damaged(String),
    NoStart,
}

impl Bootstrap {
    pub(super) fn new(program: &Arc<Program>) -> Result<Bootstrap, EndError> {
        let mut random = [0u8; 8];
        let unlucky =
            |_| EndError::OwnProgram { source: Arc::new(std::io::Error::other("no random numbers")) };
        SystemRandom::new().fill(&mut random).map_err(unlucky)?;
        Ok(Bootstrap {
            program: Arc::clone(program),
            nonce: random.iter().map(|byte| format!("{byte:02x}")).collect(),
            loader: program.loader(),
            identity: program.identity()?,
        })
    }

    /// The words of the command, after whatever starts programs over there.
    pub(super) fn words(&self) -> Vec<String> {
        let loader = self.loader.as_deref().unwrap_or("-");
        let path = self.program.path();
        let boot = boot_id();
        // An unreadable boot id must not equal an unreadable one over there.
        let boot = if boot.is_empty() { "unknown" } else { &boot };
        let named = self.program.name().unwrap_or_else(|| path.clone());
        ["sh", "-c", &script(), "netwhy-end", boot, &path, &self.identity, loader, &named, &self.nonce]
            .map(str::to_owned)
            .to_vec()
    }

    /// Runs the command, answers the shell, and returns when netwhy has been started.
    pub(super) async fn start(
        self,
        command: Command,
        shown: &str,
        spawner: &Spawner,
    ) -> Result<Started, EndError> {
        let child = spawner.spawn(command, shown).await?;
        let lines = Lines::new(child.reader, NOISE_BYTES_MAX);
        let mut talk =
            Talk { lines, writer: child.writer, noise_bytes: 0, mark: format!("{MARK} {} ", self.nonce) };
        match self.talk(&mut talk).await {
            Ok(unchecked) => Ok(talk.started(child.said, child.keeper, unchecked)),
            Err(why) if why.wants_said() => {
                // With its input closed it ends, and says the rest.
                drop(talk);
                Err(why.with_said(child.said.text().await))
            }
            Err(why) => Err(why),
        }
    }

    /// True when the copy could not be checked by its hash.
    async fn talk(&self, talk: &mut Talk) -> Result<bool, EndError> {
        let late = |what, after_ms| move |_| EndError::Timeout { what, after_ms };
        let first = tokio::time::timeout(Duration::from_millis(FIRST_MS_MAX), talk.word())
            .await
            .map_err(late("starting a shell over there", FIRST_MS_MAX))??;
        match first {
            Word::Same => Ok(false),
            Word::Copy { system, machine, loader } => {
                self.fits(&system, &machine, loader)?;
                tokio::time::timeout(Duration::from_millis(COPY_MS_MAX), self.copy(talk))
                    .await
                    .map_err(late("copying netwhy over there", COPY_MS_MAX))?
            }
            other => Err(other.fault()),
        }
    }

    fn fits(&self, system: &str, hardware: &str, loader: bool) -> Result<(), EndError> {
        let (found, own) = (machine(system, hardware), own_machine());
        if found != own {
            return Err(EndError::Machine { found, own });
        }
        match (&self.loader, loader) {
            (Some(missing), false) => Err(EndError::Loader { loader: missing.clone() }),
            _ => Ok(()),
        }
    }

    /// Sends the program and hears whether it runs.
    async fn copy(&self, talk: &mut Talk) -> Result<bool, EndError> {
        let program = Arc::clone(&self.program);
        let broke =
            |_| EndError::OwnProgram { source: Arc::new(std::io::Error::other("reading it broke off")) };
        let copy = tokio::task::spawn_blocking(move || program.copy()).await.map_err(broke)??;
        let head = format!("{} {}\n", copy.bytes.len(), copy.sha256);
        let Talk { lines, writer, noise_bytes, mark } = talk;
        let send = async {
            writer.write_all(head.as_bytes()).await?;
            writer.write_all(&copy.bytes).await?;
            writer.flush().await
        };
        let hear = next_word(lines, noise_bytes, mark);
        tokio::pin!(send, hear);
        // A shell that stops early says why while bytes are still on their way.
        let heard = tokio::select! {
            word = &mut hear => word,
            sent = &mut send => match sent {
                Ok(()) => hear.await,
                Err(_) => hear.await.map_err(|_| EndError::Damaged { said: String::new() }),
            },
        };
        match heard? {
            Word::Run { checked } => Ok(!checked),
            other => Err(other.fault()),
        }
    }
}

/// The script on one line, as shells of any kind pass it on.
fn script() -> String {
    let lines = BOOTSTRAP.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// The streams while the shell is still speaking.
struct Talk {
    lines: Lines<Reader>,
    writer: Writer,
    noise_bytes: usize,
    mark: String,
}

impl Talk {
    async fn word(&mut self) -> Result<Word, EndError> {
        next_word(&mut self.lines, &mut self.noise_bytes, &self.mark).await
    }

    fn started(mut self, said: Said, keeper: Keeper, unchecked: bool) -> Started {
        self.lines.limit(MESSAGE_BYTES_MAX);
        Started { lines: self.lines, writer: self.writer, said: Some(said), keeper: Some(keeper), unchecked }
    }
}

/// The next word of ours; what banners and login scripts write before it is passed over.
async fn next_word(lines: &mut Lines<Reader>, noise_bytes: &mut usize, mark: &str) -> Result<Word, EndError> {
    loop {
        let not_started = || EndError::NotStarted { said: String::new() };
        let line = match lines.next().await {
            Ok(Some(line)) => String::from_utf8_lossy(line).into_owned(),
            Ok(None) | Err(EndError::Truncated | EndError::Broken { .. }) => return Err(not_started()),
            Err(why) => return Err(why),
        };
        // A banner may end without an end of line.
        if let Some(at) = line.find(mark)
            && let Some(word) = Word::read(&line[at + mark.len()..])
        {
            return Ok(word);
        }
        *noise_bytes += line.len() + 1;
        if *noise_bytes > NOISE_BYTES_MAX {
            return Err(EndError::Garbage { excerpt: printable(&line, WORD_CHARS_MAX) });
        }
    }
}

impl Word {
    fn read(text: &str) -> Option<Word> {
        let text = printable(text, WORD_CHARS_MAX);
        let (first, rest) = text.split_once(' ').unwrap_or((&text, ""));
        Some(match first {
            "same" => Word::Same,
            "copy" => {
                let mut rest = rest.split(' ').map(str::to_owned);
                let (system, machine) = (rest.next()?, rest.next()?);
                Word::Copy { system, machine, loader: rest.next()? == "yes" }
            }
            "run" => Word::Run { checked: rest == "checked" },
            "terminal" => Word::Terminal,
            "no-proc" => Word::NoProc,
            "no-directory" => Word::NoDirectory,
            "damaged" => Word::Damaged(rest.to_owned()),
            "no-start" => Word::NoStart,
            _ => return None,
        })
    }

    fn fault(self) -> EndError {
        match self {
            Word::Terminal => EndError::Terminal,
            Word::NoProc => EndError::NoProc,
            Word::NoDirectory => EndError::NoDirectory { tried: DIRECTORIES.to_owned() },
            Word::Damaged(said) => EndError::Damaged { said },
            Word::NoStart => EndError::CopyFails { said: String::new() },
            Word::Same | Word::Copy { .. } | Word::Run { .. } => EndError::Unexpected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_script_survives_every_login_shell() {
        let script = script();
        assert!(!script.contains(['\'', '\\', '!', '\n']), "{script}");
        assert!(script.len() < 4096, "{}", script.len());
    }

    #[tokio::test]
    async fn banners_are_passed_over_and_the_mark_is_found() {
        let text = "Welcome!\nnetwhy-end/1 $6 same\nno newline herenetwhy-end/1 ab copy Linux x86_64 yes\r\n";
        let reader: Reader = Box::new(text.as_bytes());
        let mut lines = Lines::new(reader, NOISE_BYTES_MAX);
        let word = next_word(&mut lines, &mut 0, "netwhy-end/1 ab ").await.unwrap();
        assert_eq!(word, Word::Copy { system: "Linux".into(), machine: "x86_64".into(), loader: true });
        let noise = "noise\n".repeat(NOISE_BYTES_MAX);
        let reader: Reader = Box::new(std::io::Cursor::new(noise.into_bytes()));
        let mut lines = Lines::new(reader, NOISE_BYTES_MAX);
        let refused = next_word(&mut lines, &mut 0, "netwhy-end/1 ab ").await;
        assert!(matches!(refused, Err(EndError::Garbage { .. })));
    }

    proptest! {
        #[test]
        fn any_word_is_survived(text in "\\PC{0,80}") {
            let _ = Word::read(&text);
        }
    }
}
