//! How netwhy says that it could not do its work: one sentence, then a hint.

use netwhy_catalogue::{CatalogueError, nearest};
use netwhy_model::{CaseError, Expect, ExpectError, TargetError};
use std::fmt;

/// Exit code when netwhy could not do its work.
pub const EXIT_FAILED: u8 = 2;

/// A sentence about what went wrong, with the line that says what to do.
#[derive(Debug)]
struct Hinted {
    sentence: String,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Hinted {}

/// An error of one sentence in lower case, with a hint.
pub fn fail(sentence: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted { sentence: sentence.into(), hint: hint.into() }.into()
}

/// `did you mean "…"?` when something known is near, else what there is.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(written, known.clone()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("known are: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// Writes the error to stderr and gives the exit code; a reader that went away is no error.
pub fn report(error: &anyhow::Error) -> u8 {
    let gone = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(gone) {
        return 0;
    }
    crate::warn(&format!("error: {}", one_line(&format!("{error:#}"))));
    if let Some(hint) = error.chain().find_map(hint_of) {
        crate::warn(&format!("hint: {}", one_line(&hint)));
    }
    EXIT_FAILED
}

fn hint_of(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        return Some(hinted.hint.clone());
    }
    if let Some(target) = error.downcast_ref::<TargetError>() {
        return Some(target.hint());
    }
    if let Some(catalogue) = error.downcast_ref::<CatalogueError>() {
        return Some(catalogue.hint());
    }
    if let Some(expect) = error.downcast_ref::<ExpectError>() {
        return Some(match expect {
            ExpectError::Key(key) => did_you_mean(key, Expect::KEYS),
            ExpectError::Form(_) => "write it as in --expect status=200 or --expect max-time=1s".to_owned(),
            ExpectError::Value(key, ..) => format!("see netwhy diagnose --help for what {key} takes"),
        });
    }
    if let Some(system) = error.downcast_ref::<std::io::Error>() {
        return system_hint(system.kind()).map(str::to_owned);
    }
    error.downcast_ref::<CaseError>().map(|case| match case {
        CaseError::Address(_) => {
            "write 203.0.113.7, 203.0.113.7:8443, 2001:db8::1 or [2001:db8::1]:8443".to_owned()
        }
        CaseError::Header(_) => "write it as in --header 'Accept-Language: zh'".to_owned(),
        CaseError::Duration(_) => "write a number with ms, s or m".to_owned(),
        CaseError::Schema(_) => "save the case again with --save of this netwhy".to_owned(),
        CaseError::Json(_) => "give a file that --save has written".to_owned(),
    })
}

/// What to do about an error of the operating system, where that is plain.
const fn system_hint(kind: std::io::ErrorKind) -> Option<&'static str> {
    match kind {
        std::io::ErrorKind::NotFound => Some("check the path"),
        std::io::ErrorKind::PermissionDenied => Some("check the rights of the file, or run as another user"),
        std::io::ErrorKind::IsADirectory => Some("give a file, not a folder"),
        _ => None,
    }
}

/// Keeps a message on one line, whatever it quotes.
fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}
