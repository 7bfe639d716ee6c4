//! The verdict on a host in one line, and its findings, gravest first.

use super::part::{Item, Judged, Part};
use super::{Looked, words};
use netwhy_catalogue::Catalogue;
use netwhy_model::host::{Finding, Severity, Snapshot};
use netwhy_model::{FixStep, Lang, LinkState};

/// Findings told unless everything is wanted.
const FINDING_COUNT_MAX: usize = 8;
/// Lines of proof of one finding unless everything is wanted.
const PROOF_COUNT_MAX: usize = 4;
/// Findings told when everything is wanted.
const FINDING_FULL_COUNT_MAX: usize = 200;

/// The verdict in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// Of the host as a whole: well, ailing (a risk) or broken.
    pub state: LinkState,
    pub sentence: String,
}

/// The one sentence that says how the host is, its gravest finding named.
pub fn headline(snapshot: &Snapshot, catalogue: &Catalogue, lang: Lang) -> Headline {
    let looked = Looked { snapshot, catalogue, lang };
    let count = |severity| snapshot.findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = [Severity::Broken, Severity::Risk, Severity::Note].map(count);
    let host =
        if snapshot.hostname.is_empty() { lang.pick("this host", "本机") } else { &snapshot.hostname };
    let gravest = sorted(snapshot).into_iter().next().map(|finding| named(finding, &looked));
    let sentence = match (counts, gravest) {
        ([0, 0, _], _) | (_, None) => well(host, counts[2], snapshot, lang),
        (_, Some(gravest)) => ill(host, counts, &gravest, lang),
    };
    let state = match counts {
        [0, 0, _] => LinkState::Well,
        [0, _, _] => LinkState::Ailing,
        _ => LinkState::Broken,
    };
    Headline { state, sentence }
}

/// The findings, gravest first; equal ones as the collector ordered them.
pub(super) fn part(looked: &Looked<'_>) -> Part {
    let all = sorted(looked.snapshot);
    let judged = |finding: &&Finding| judged(finding, looked);
    let mut brief: Vec<Item> = all
        .iter()
        .take(FINDING_COUNT_MAX)
        .map(judged)
        .map(|mut told| {
            told.proof.truncate(PROOF_COUNT_MAX);
            told.fixes.truncate(1);
            Item::Finding(told)
        })
        .collect();
    if all.len() > FINDING_COUNT_MAX {
        let rest = all.len() - FINDING_COUNT_MAX;
        let text = match looked.lang {
            Lang::En => format!("and {rest} more findings; -v shows all"),
            Lang::Zh => format!("另有 {rest} 项发现；-v 显示全部"),
        };
        brief.push(Item::Aside(text));
    }
    let full = all.iter().take(FINDING_FULL_COUNT_MAX).map(judged).map(Item::Finding).collect();
    Part { title: looked.say("Findings", "发现"), brief, full, ..Part::default() }
}

fn sorted(snapshot: &Snapshot) -> Vec<&Finding> {
    let mut all: Vec<&Finding> = snapshot.findings.iter().collect();
    all.sort_by_key(|finding| finding.severity);
    all
}

/// `web-1 shows nothing that breaks connections`, never without what was not looked at.
fn well(host: &str, notes: usize, snapshot: &Snapshot, lang: Lang) -> String {
    let (unread, root) = (snapshot.unread.len(), snapshot.unread.iter().any(|item| item.root_helps));
    match lang {
        Lang::En => {
            let notes = if notes == 0 { String::new() } else { format!(", {}", counted(notes, "note")) };
            let unread = match (unread, root) {
                (0, _) => String::new(),
                (n, true) => format!("; {} could not be read without root", counted(n, "thing")),
                (n, false) => format!("; {} could not be read", counted(n, "thing")),
            };
            format!("{host} shows nothing that breaks connections{notes}{unread}.")
        }
        Lang::Zh => {
            let notes = if notes == 0 { String::new() } else { format!("，{notes} 条提示") };
            let unread = match (unread, root) {
                (0, _) => String::new(),
                (n, true) => format!("；有 {n} 项因没有 root 权限而未能读取"),
                (n, false) => format!("；有 {n} 项未能读取"),
            };
            format!("{host} 未发现会中断连接的问题{notes}{unread}。")
        }
    }
}

fn ill(host: &str, counts: [usize; 3], gravest: &str, lang: Lang) -> String {
    let [broken, risks, _] = counts;
    let several = broken + risks > 1;
    match lang {
        Lang::En => {
            let lead = if several { "; the gravest: " } else { ": " };
            match (broken, risks) {
                (0, n) => format!("{host} has {}{lead}{gravest}.", counted(n, "risk")),
                (n, 0) => format!("{host} has {}{lead}{gravest}.", counted(n, "fault")),
                (n, r) => {
                    format!("{host} has {} and {}{lead}{gravest}.", counted(n, "fault"), counted(r, "risk"))
                }
            }
        }
        Lang::Zh => {
            let lead = if several { "，最严重的是：" } else { "：" };
            match (broken, risks) {
                (0, n) => format!("{host} 有 {n} 个风险{lead}{gravest}。"),
                (n, 0) => format!("{host} 有 {n} 个故障{lead}{gravest}。"),
                (n, r) => format!("{host} 有 {n} 个故障、{r} 个风险{lead}{gravest}。"),
            }
        }
    }
}

/// `the accept queue is full [0.0.0.0:8080 gunicorn[812]]`.
fn named(finding: &Finding, looked: &Looked<'_>) -> String {
    let title = title(finding, looked.catalogue, looked.lang);
    match words::subject(finding, looked.lang) {
        Some(subject) => format!("{title} [{subject}]"),
        None => title,
    }
}

/// The catalogue's title; a cause it does not know is told by the finding's own sentence.
pub fn title(finding: &Finding, catalogue: &Catalogue, lang: Lang) -> String {
    let known = catalogue.cause(&finding.cause);
    let text = known.map_or(&finding.text, |cause| &cause.title).get(lang).trim();
    text.trim_end_matches(['.', '。']).to_owned()
}

fn judged(finding: &Finding, looked: &Looked<'_>) -> Judged {
    let lang = looked.lang;
    let known = looked.catalogue.cause(&finding.cause);
    let fixes = known.map_or(&[][..], |cause| &cause.fixes);
    Judged {
        severity: finding.severity,
        title: title(finding, looked.catalogue, looked.lang),
        cause: finding.cause.clone(),
        subject: words::subject(finding, lang).unwrap_or_default(),
        text: known.map_or_else(String::new, |_| finding.text.get(lang).trim().to_owned()),
        proof: finding.proof.clone(),
        fixes: fixes
            .iter()
            .map(|fix| FixStep {
                kind: fix.kind.clone(),
                text: fix.text.get(lang).trim().to_owned(),
                command: fix.command.clone(),
            })
            .collect(),
    }
}

/// `1 risk`, `2 risks`.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

impl Judged {
    /// The word and sign of its severity stand together, so that neither hangs on colour.
    pub(super) fn said(&self, lang: Lang) -> (LinkState, &'static str) {
        (words::severity_state(self.severity), words::severity(self.severity, lang))
    }
}
