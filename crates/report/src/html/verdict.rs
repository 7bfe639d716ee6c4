//! Verdicts as a page: the same order as the text, everything that was seen at the end.

use super::{Html, chain, fix_list};
use crate::text::{overall, what_to_do};
use crate::words;
use netwhy_model::{CauseFinding, Evidence, Lang, Outcome, Verdict};

/// Causes less likely than this are folded away, 0 to 1.
const OPEN_MIN: f64 = 0.05;
/// Most causes that are not folded away.
const OPEN_COUNT_MAX: usize = 5;

/// Writes verdicts as one self-contained page.
pub fn verdict_html(verdicts: &[Verdict], lang: Lang) -> String {
    let mut body = Html::default();
    for verdict in verdicts {
        body.raw(&verdict_article(verdict, lang));
    }
    let title: Vec<&str> = verdicts.iter().map(|verdict| verdict.target.as_str()).collect();
    body.page(&format!("netwhy: {}", title.join(", ")), lang)
}

/// Writes one verdict as an `article` element, for a page that brings the style.
pub fn verdict_article(verdict: &Verdict, lang: Lang) -> String {
    let mut body = Html::default();
    body.open("article", "verdict");
    headline(verdict, lang, &mut body);
    chain::draw(&verdict.chain, lang, &mut body);
    causes(verdict, lang, &mut body);
    ruled_out(verdict, lang, &mut body);
    open_questions(verdict, lang, &mut body);
    evidence(verdict, lang, &mut body);
    body.element("p", "dim", &format!("{} · {}", words::effort(verdict, lang), verdict.schema));
    body.close("article");
    body.into_markup()
}

fn headline(verdict: &Verdict, lang: Lang, body: &mut Html) {
    let state = overall(verdict);
    body.open("h1", "");
    body.element("span", &format!("sign {}", chain::class(state)), chain::sign(state));
    body.text(&verdict.sentence);
    body.close("h1");
    body.open("p", "place");
    body.element("code", "", &verdict.target);
    body.text(" · ");
    body.text(words::reachability(verdict.reachability, lang));
    body.close("p");
    if let Some(act) = what_to_do(verdict, lang) {
        body.open("div", "act");
        body.element("p", "", &act.text);
        if let Some(command) = &act.command {
            body.command(command);
        }
        body.close("div");
    }
}

fn causes(verdict: &Verdict, lang: Lang, body: &mut Html) {
    if verdict.causes.is_empty() {
        return;
    }
    body.element("h2", "", lang.pick("Causes", "原因"));
    let likely = verdict.causes.iter().take_while(|cause| cause.confidence >= OPEN_MIN).count();
    let (open, folded) = verdict.causes.split_at(likely.clamp(1, OPEN_COUNT_MAX).min(verdict.causes.len()));
    for cause in open {
        one_cause(cause, verdict, lang, body);
    }
    if folded.is_empty() {
        return;
    }
    let count = folded.len();
    body.open("details", "");
    body.element(
        "summary",
        "",
        &match lang {
            Lang::En => format!("{count} less likely"),
            Lang::Zh => format!("另有 {count} 项可能性较低"),
        },
    );
    for cause in folded {
        one_cause(cause, verdict, lang, body);
    }
    body.close("details");
}

fn one_cause(cause: &CauseFinding, verdict: &Verdict, lang: Lang, body: &mut Html) {
    body.open("section", "cause");
    cause_head(cause, lang, body);
    let proof: Vec<&Evidence> = cited(&cause.proof, verdict).collect();
    if !proof.is_empty() {
        evidence_table(&proof, lang, body);
    }
    if !cause.fixes.is_empty() {
        body.element("h3", "", lang.pick("Fix", "修复"));
        fix_list(body, &cause.fixes);
    }
    body.close("section");
}

fn cause_head(cause: &CauseFinding, lang: Lang, body: &mut Html) {
    let percent = words::percent(cause.confidence);
    body.element("h3", "", &cause.summary);
    body.open("p", "place");
    body.raw(&format!("<meter min=\"0\" max=\"100\" value=\"{percent}\">{percent} %</meter> "));
    body.text(&format!("{percent} % · "));
    body.element("code", "", &cause.id);
    body.text(" ");
    body.text(&words::place(cause, lang));
    body.close("p");
}

fn ruled_out(verdict: &Verdict, lang: Lang, body: &mut Html) {
    if verdict.ruled_out.is_empty() {
        return;
    }
    body.element("h2", "", lang.pick("Ruled out", "已排除"));
    body.table(&[lang.pick("Cause", "原因"), lang.pick("What it is", "说明"), lang.pick("By", "依据")]);
    for out in &verdict.ruled_out {
        let by: Vec<String> = cited(&out.by, verdict)
            .map(|seen| format!("{} {} = {}", seen.id, seen.fact, seen.value))
            .collect();
        body.row(&[&out.id, &out.summary, &by.join("; ")]);
    }
    body.close_table();
}

fn open_questions(verdict: &Verdict, lang: Lang, body: &mut Html) {
    if let Some(found) = &verdict.disagreement {
        body.element("h2", "", lang.pick("The rules and the wire disagree", "规则与实际不一致"));
        body.element("p", "", &found.text);
    }
    if !verdict.could_not_read.is_empty() {
        body.element("h2", "", lang.pick("Could not be read", "无法读取"));
        body.table(&[lang.pick("What", "内容"), lang.pick("Why", "原因")]);
        for item in &verdict.could_not_read {
            body.row(&[&item.what, &words::reason(&item.why, lang)]);
        }
        body.close_table();
    }
    if !verdict.next.is_empty() {
        body.element("h2", "", lang.pick("What would settle it", "怎样才能确定"));
        body.table(&[lang.pick("Ask", "询问"), lang.pick("Splits", "可区分")]);
        for question in &verdict.next {
            body.row(&[&question.ask, &question.splits.join(", ")]);
        }
        body.close_table();
    }
}

fn evidence(verdict: &Verdict, lang: Lang, body: &mut Html) {
    if verdict.evidence.is_empty() {
        return;
    }
    body.open("details", "");
    body.element("summary", "", lang.pick("All that was seen", "全部所见"));
    evidence_table(&verdict.evidence.iter().collect::<Vec<_>>(), lang, body);
    body.close("details");
}

fn evidence_table(list: &[&Evidence], lang: Lang, body: &mut Html) {
    body.table(&[
        lang.pick("Id", "编号"),
        lang.pick("Fact", "事实"),
        lang.pick("Value", "取值"),
        lang.pick("Link", "环节"),
        lang.pick("Seen", "所见"),
    ]);
    for seen in list {
        let fact = match &seen.subject {
            Some(subject) => format!("{} [{subject}]", seen.fact),
            None => seen.fact.clone(),
        };
        let value = match seen.outcome {
            Outcome::Answered => seen.value.clone(),
            other => format!("{} ({})", seen.value, words::outcome(other, lang)).trim().to_owned(),
        };
        body.row(&[&seen.id, &fact, &value, words::link(seen.link, lang), &seen.excerpt]);
    }
    body.close_table();
}

fn cited<'a>(ids: &'a [String], verdict: &'a Verdict) -> impl Iterator<Item = &'a Evidence> {
    ids.iter().filter_map(|id| verdict.evidence.iter().find(|seen| seen.id == *id))
}
