//! The causes with confidence and proof, and what was ruled out.

use super::{INDENT, Page};
use crate::style::{Tone, clean, padded, shortened};
use crate::words;
use netwhy_model::{CauseFinding, Evidence, Verdict};
use std::collections::BTreeSet;

/// Cells of the bar that shows a confidence.
const BAR_CELLS: usize = 10;
/// Causes shown unless everything is wanted.
const CAUSE_COUNT_MAX: usize = 5;
/// Least confidence of a cause shown, 0 to 1, unless everything is wanted.
const CONFIDENCE_MIN: f64 = 0.05;
/// Columns of an excerpt shown unless everything is wanted.
const EXCERPT_COLUMNS_MAX: usize = 160;
/// Pieces of evidence shown with a cause unless everything is wanted.
const PROOF_COUNT_MAX: usize = 3;
/// Look-alikes shown as ruled out unless everything is wanted.
const RULED_OUT_COUNT_MAX: usize = 5;
/// Columns before the text of a cause: indent, bar, percent.
const LEAD_COLUMNS: usize = INDENT + BAR_CELLS + 8;

/// Writes both sections, if there is something in them.
pub(super) fn write(verdict: &Verdict, page: &mut Page) {
    let lang = page.style.lang;
    let verbose = page.style.verbose;
    if !verdict.causes.is_empty() {
        page.section(lang.pick("Causes", "原因"));
        let likely = verdict.causes.iter().take_while(|cause| cause.confidence >= CONFIDENCE_MIN).count();
        let shown = if verbose { usize::MAX } else { likely.clamp(1, CAUSE_COUNT_MAX) };
        let mut told = BTreeSet::new();
        for cause in verdict.causes.iter().take(shown) {
            finding(cause, verdict, &mut told, page);
        }
        more(verdict.causes.len(), shown, page);
    }
    if !verdict.ruled_out.is_empty() {
        page.section(lang.pick("Ruled out", "已排除"));
        let shown = if verbose { usize::MAX } else { RULED_OUT_COUNT_MAX };
        for out in verdict.ruled_out.iter().take(shown) {
            let by = lang.pick("by", "依据");
            let ids: Vec<String> = out.by.iter().take(PROOF_COUNT_MAX).map(|id| cited(id, verdict)).collect();
            page.paragraph(INDENT, &format!("{} ({})", clean(&out.summary), clean(&out.id)));
            page.paragraph(INDENT * 2, &format!("{by} {}", ids.join(", ")));
        }
        more(verdict.ruled_out.len(), shown, page);
    }
}

fn finding<'a>(cause: &CauseFinding, verdict: &'a Verdict, told: &mut BTreeSet<&'a str>, page: &mut Page) {
    let style = page.style;
    let lang = style.lang;
    let percent = words::percent(cause.confidence);
    let lead =
        format!("{}{} {percent:>3} %  ", " ".repeat(INDENT), style.paint(&bar(percent, page), Tone::Warning));
    page.hanging(&lead, LEAD_COLUMNS, &clean(&cause.summary), Some(Tone::Bold));
    let place = format!("{} {}", clean(&cause.id), words::place(cause, lang));
    page.hanging(&" ".repeat(LEAD_COLUMNS), LEAD_COLUMNS, &place, Some(Tone::Dim));
    proof(cause, verdict, told, page);
}

/// The evidence for a cause; what another cause has quoted in full is only named.
fn proof<'a>(cause: &CauseFinding, verdict: &'a Verdict, told: &mut BTreeSet<&'a str>, page: &mut Page) {
    let style = page.style;
    let shown = if style.verbose { usize::MAX } else { PROOF_COUNT_MAX };
    let proof = cause.proof.iter().filter_map(|id| found(id, verdict)).take(shown);
    let (new, known): (Vec<&Evidence>, Vec<&Evidence>) = proof.partition(|seen| told.insert(&seen.id));
    let columns = new.iter().map(|seen| seen.id.len()).max().unwrap_or(0) + 1;
    for seen in new {
        let text = match style.verbose {
            true => observation(seen),
            false => shortened(&observation(seen), EXCERPT_COLUMNS_MAX, style.draw("…", "...")),
        };
        let lead = format!("{}{}", " ".repeat(LEAD_COLUMNS), padded(&clean(&seen.id), columns));
        page.hanging(&lead, LEAD_COLUMNS + columns, &text, None);
    }
    if !known.is_empty() {
        let ids: Vec<String> = known.iter().map(|seen| clean(&seen.id)).collect();
        let text = format!("{}{}", ids.join(", "), style.lang.pick(" as above", "（同上）"));
        page.paragraph(LEAD_COLUMNS, &text);
    }
}

/// `fact = value: excerpt`, in one line.
pub(super) fn observation(seen: &Evidence) -> String {
    let subject = seen.subject.as_ref().map(|s| format!(" [{s}]")).unwrap_or_default();
    let leg = if seen.leg.is_front() { "" } else { "edge→origin " };
    let value = if seen.value.is_empty() { String::new() } else { format!(" = {}", seen.value) };
    let excerpt = if seen.excerpt.is_empty() { String::new() } else { format!(": {}", seen.excerpt) };
    clean(&format!("{leg}{}{subject}{value}{excerpt}", seen.fact))
}

fn found<'a>(id: &str, verdict: &'a Verdict) -> Option<&'a Evidence> {
    verdict.evidence.iter().find(|seen| seen.id == id)
}

/// `E12 tcp.connect = refused`.
fn cited(id: &str, verdict: &Verdict) -> String {
    found(id, verdict)
        .map_or_else(|| clean(id), |seen| clean(&format!("{id} {} = {}", seen.fact, seen.value)))
}

fn bar(percent: u8, page: &Page) -> String {
    let full = (usize::from(percent) * BAR_CELLS + 50) / 100;
    let (on, off) = (page.style.draw("█", "#"), page.style.draw("░", "."));
    format!("{}{}", on.repeat(full), off.repeat(BAR_CELLS - full))
}

fn more(count: usize, shown: usize, page: &mut Page) {
    if count > shown {
        let rest = count - shown;
        let text = match page.style.lang {
            netwhy_model::Lang::En => format!("and {rest} more; -v shows all"),
            netwhy_model::Lang::Zh => format!("另有 {rest} 项；-v 显示全部"),
        };
        page.paragraph(INDENT, &text);
    }
}
