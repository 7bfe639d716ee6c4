//! What could not be read, what would settle the rest, the fix, the evidence and the time.

use super::causes::observation;
use super::{INDENT, Page};
use crate::style::{Tone, clean, padded};
use crate::words;
use netwhy_model::{CauseFinding, CouldNotRead, NextQuestion, Verdict};

/// Causes whose fix is written out.
const FIX_CAUSE_COUNT_MAX: usize = 3;
/// Least confidence of a cause whose fix is written out, besides the first cause.
const FIX_CONFIDENCE_MIN: f64 = 0.1;

/// Writes every section that has something in it.
pub(super) fn write(verdict: &Verdict, page: &mut Page) {
    if let Some(found) = &verdict.disagreement {
        page.section(page.style.lang.pick("The rules and the wire disagree", "规则与实际不一致"));
        page.paragraph(INDENT, &clean(&found.text));
    }
    unread(&verdict.could_not_read, page);
    next(&verdict.next, page);
    fixes(verdict, page);
    // Without a cause to name, what was seen is all the help there is.
    if page.style.verbose || (!verdict.healthy && verdict.causes.is_empty()) {
        evidence(verdict, page);
    }
    let line = words::effort(verdict, page.style.lang);
    page.line("");
    let line = page.style.paint(&line, Tone::Dim);
    page.line(&line);
}

/// One line per reason: ten facts that want root are one thing to know.
fn unread(list: &[CouldNotRead], page: &mut Page) {
    if list.is_empty() {
        return;
    }
    page.section(page.style.lang.pick("Could not be read", "无法读取"));
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for item in list {
        match reasons.iter_mut().find(|(why, _)| *why == item.why) {
            Some((_, whats)) => whats.push(clean(&item.what)),
            None => reasons.push((&item.why, vec![clean(&item.what)])),
        }
    }
    for (why, whats) in reasons {
        page.paragraph(INDENT, &clean(&words::reason(why, page.style.lang)));
        page.paragraph(INDENT * 2, &whats.join(page.style.lang.pick("; ", "；")));
    }
}

fn next(list: &[NextQuestion], page: &mut Page) {
    if list.is_empty() {
        return;
    }
    page.section(page.style.lang.pick("What would settle it", "怎样才能确定"));
    for (number, question) in list.iter().enumerate() {
        let lead = format!("{}{} ", " ".repeat(INDENT), page.style.draw("•", "*"));
        page.hanging(&lead, INDENT * 2, &clean(&question.ask), None);
        // The same group under several questions is named under the last of them.
        let again = list.get(number + 1).is_some_and(|after| after.splits == question.splits);
        if !question.splits.is_empty() && !again {
            let splits =
                format!("{} {}", page.style.lang.pick("splits", "可区分"), question.splits.join(", "));
            let indent = " ".repeat(INDENT * 2);
            page.hanging(&indent, INDENT * 2, &clean(&splits), Some(Tone::Dim));
        }
    }
}

fn fixes(verdict: &Verdict, page: &mut Page) {
    let worth = |(number, cause): &(usize, &CauseFinding)| {
        !cause.fixes.is_empty() && (*number == 0 || cause.confidence >= FIX_CONFIDENCE_MIN)
    };
    let shown: Vec<&CauseFinding> =
        verdict.causes.iter().enumerate().filter(worth).map(|(_, c)| c).take(FIX_CAUSE_COUNT_MAX).collect();
    if shown.is_empty() {
        return;
    }
    let lang = page.style.lang;
    page.section(lang.pick("Fix", "修复"));
    for cause in &shown {
        if shown.len() > 1 {
            let lead = lang.pick("if it is", "若为");
            page.paragraph(
                INDENT,
                &format!("{lead} {} ({} %):", clean(&cause.id), words::percent(cause.confidence)),
            );
        }
        for (number, step) in cause.fixes.iter().enumerate() {
            page.step(number + 1, step);
        }
    }
}

fn evidence(verdict: &Verdict, page: &mut Page) {
    if verdict.evidence.is_empty() {
        return;
    }
    let lang = page.style.lang;
    page.section(lang.pick("All that was seen", "全部所见"));
    let columns = verdict.evidence.iter().map(|seen| seen.id.len()).max().unwrap_or(0) + 1;
    for seen in &verdict.evidence {
        let ended = match seen.outcome {
            netwhy_model::Outcome::Answered => String::new(),
            other => format!(" ({})", words::outcome(other, lang)),
        };
        let lead = format!("{}{}", " ".repeat(INDENT), padded(&clean(&seen.id), columns));
        page.hanging(&lead, INDENT + columns, &format!("{}{ended}", observation(seen)), None);
    }
}
