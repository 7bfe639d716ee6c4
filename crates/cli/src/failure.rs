//! How netwhy says that it could not do its work: one sentence, then a hint, in the user's language.

mod ends;
mod flows;
mod foreign;
#[cfg(feature = "lake")]
mod lake;
mod scan;

use netwhy_catalogue::nearest;
use netwhy_model::{Lang, Text};
use std::error::Error;
use std::fmt;

/// Exit code when netwhy could not do its work.
pub const EXIT_FAILED: u8 = 2;

/// One text in English and in Chinese: nothing is said in one language only.
#[derive(Debug, Clone)]
pub struct Words(Text);

impl<E: Into<String>, Z: Into<String>> From<(E, Z)> for Words {
    fn from((en, zh): (E, Z)) -> Words {
        Words(Text { en: en.into(), zh: zh.into() })
    }
}

/// A sentence about what went wrong, with the line that says what to do.
#[derive(Debug)]
struct Hinted {
    sentence: Words,
    hint: Option<Words>,
    source: Option<anyhow::Error>,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence.0.en)
    }
}

impl Error for Hinted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

/// An error of one sentence in lower case, with a hint; each is a pair, English and Chinese.
pub fn fail(sentence: impl Into<Words>, hint: impl Into<Words>) -> anyhow::Error {
    Hinted { sentence: sentence.into(), hint: Some(hint.into()), source: None }.into()
}

/// What was tried, before the error that came of it; the hint is that error's.
pub fn while_trying(sentence: impl Into<Words>, source: impl Into<anyhow::Error>) -> anyhow::Error {
    Hinted { sentence: sentence.into(), hint: None, source: Some(source.into()) }.into()
}

/// `did you mean "…"?` when something known is near, else what there is.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Words {
    match nearest(written, known.clone()) {
        Some(near) => (format!("did you mean {near:?}?"), format!("是否想写 {near:?}？")).into(),
        None => {
            let all = known.into_iter().collect::<Vec<_>>().join(", ");
            (format!("known are: {all}"), format!("可用的有：{all}")).into()
        }
    }
}

/// Writes the error to stderr and gives the exit code; a reader that went away is no error.
pub fn report(error: &anyhow::Error, lang: Lang) -> u8 {
    let gone = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(gone) {
        return 0;
    }
    tell(error, lang.pick("error: ", "错误："), "", lang);
    EXIT_FAILED
}

/// Writes an error that does not end the run, with what happens instead.
pub fn note(error: &anyhow::Error, instead: &str, lang: Lang) {
    tell(error, "", instead, lang);
}

fn tell(error: &anyhow::Error, before: &str, after: &str, lang: Lang) {
    crate::warn(&format!("{before}{}{after}", sentence(error, lang)));
    if let Some(hint) = error.chain().find_map(hint_of) {
        crate::warn(&format!("{}{}", lang.pick("hint: ", "提示："), one_line(hint.0.get(lang))));
    }
}

/// The error with its causes, each said once.
pub fn sentence(error: &anyhow::Error, lang: Lang) -> String {
    let mut whole = String::new();
    for cause in error.chain() {
        let said = said(cause, lang);
        // Some errors quote their cause themselves.
        if whole.ends_with(&said) {
            continue;
        }
        if !whole.is_empty() {
            whole.push_str(lang.pick(": ", "："));
        }
        whole.push_str(&said);
    }
    one_line(&whole)
}

fn said(error: &(dyn Error + 'static), lang: Lang) -> String {
    match error.downcast_ref::<Hinted>() {
        Some(own) => own.sentence.0.get(lang).to_owned(),
        None => match lang {
            Lang::En => error.to_string(),
            Lang::Zh => foreign::in_chinese(error).unwrap_or_else(|| error.to_string()),
        },
    }
}

fn hint_of(error: &(dyn Error + 'static)) -> Option<Words> {
    match error.downcast_ref::<Hinted>() {
        Some(own) => own.hint.clone(),
        None => foreign::hint(error),
    }
}

/// Keeps a message on one line, whatever it quotes.
fn one_line(text: &str) -> String {
    let clean = netwhy_report::clean(text);
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once_and_in_the_users_language() {
        let gone = std::io::Error::from_raw_os_error(2);
        let error = while_trying(("cannot read a", "无法读取 a"), gone);
        assert_eq!(sentence(&error, Lang::En), "cannot read a: No such file or directory (os error 2)");
        assert_eq!(sentence(&error, Lang::Zh), "无法读取 a：文件或目录不存在");
        let own = fail(("no", "不"), ("try", "试"));
        assert_eq!(sentence(&own, Lang::Zh), "不");
        assert_eq!(hint_of(own.as_ref()).map(|hint| hint.0.zh), Some("试".to_owned()));
    }
}
