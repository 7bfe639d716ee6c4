//! How answers about rules are written for people.

use crate::Common;
use netwhy_model::Lang;
use netwhy_policy::can::{Answer, Told, Verdict};
use netwhy_policy::estate::{Because, Fix};
use std::fmt::Write;

/// Columns of what a step is, before its outcome.
const INDENT: &str = "      ";

/// A word that stands out where colour is shown, and means the same without.
pub(super) fn toned(text: &str, verdict: Verdict, common: &Common) -> String {
    if !common.color {
        return text.to_owned();
    }
    let code = match verdict {
        Verdict::Allowed => 32,
        Verdict::Denied => 31,
        Verdict::Depends => 33,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

pub(super) const fn verdict_word(verdict: Verdict, lang: Lang) -> &'static str {
    match verdict {
        Verdict::Allowed => lang.pick("allowed", "允许"),
        Verdict::Denied => lang.pick("denied", "拒绝"),
        Verdict::Depends => lang.pick("depends", "不确定"),
    }
}

/// The exit code of a verdict.
pub(super) const fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allowed => 0,
        Verdict::Denied => 1,
        Verdict::Depends => 3,
    }
}

/// A whole answer: the verdict, the way there and back, and what mends it.
pub(super) fn answer(answer: &Answer, question: &str, common: &Common) -> String {
    let lang = common.lang;
    let mut page = String::new();
    let word = verdict_word(answer.verdict, lang);
    let _ = writeln!(page, "{}  {question}", toned(word, answer.verdict, common));
    for (way, title) in [("there", lang.pick("there", "去程")), ("back", lang.pick("back", "回程"))] {
        let steps: Vec<&Told> = answer.steps.iter().filter(|step| step.way == way).collect();
        if steps.is_empty() {
            continue;
        }
        let _ = writeln!(page, "\n  {title}");
        for told in steps {
            step(&mut page, told, common);
        }
    }
    if answer.steps.is_empty() {
        for because in &answer.depends {
            let _ = writeln!(page, "  {}", because.why.get(lang));
        }
    }
    for note in &answer.notes {
        let _ = writeln!(page, "\n  {}", reason(note, lang));
    }
    fixes(&mut page, &answer.fix, lang);
    page
}

fn step(page: &mut String, told: &Told, common: &Common) {
    let mark = match (told.outcome, common.unicode) {
        (Verdict::Allowed, true) => "✓",
        (Verdict::Denied, true) => "✗",
        (Verdict::Allowed, false) => "+",
        (Verdict::Denied, false) => "x",
        (Verdict::Depends, _) => "?",
    };
    let _ = writeln!(page, "    {} {}", toned(mark, told.outcome, common), told.what.get(common.lang));
    for because in &told.by {
        let _ = writeln!(page, "{INDENT}{}", reason(because, common.lang));
    }
}

/// One reason: where it stands, which rule, why.
pub(super) fn reason(because: &Because, lang: Lang) -> String {
    let mut line = String::new();
    if !because.place.file.is_empty() {
        let _ = write!(line, "{}: ", because.place);
    }
    match (because.rule, because.within.as_str()) {
        (Some(rule), "") => {
            let _ = write!(line, "{} {rule}: ", lang.pick("rule", "规则"));
        }
        (Some(rule), within) => {
            let _ = write!(line, "{within} {} {rule}: ", lang.pick("rule", "规则"));
        }
        (None, "") => {}
        (None, within) => {
            let _ = write!(line, "{within}: ");
        }
    }
    line.push_str(because.why.get(lang));
    if !because.text.is_empty() {
        let _ = write!(line, ": {}", because.text);
    }
    line
}

fn fixes(page: &mut String, fixes: &[Fix], lang: Lang) {
    if fixes.is_empty() {
        return;
    }
    let _ = writeln!(page, "\n  {}", lang.pick("what would let it through", "如何放行"));
    for fix in fixes {
        let _ = writeln!(page, "    {} ({})", fix.what.get(lang), fix.syntax);
        for line in fix.change.lines() {
            let _ = writeln!(page, "{INDENT}{line}");
        }
    }
}
