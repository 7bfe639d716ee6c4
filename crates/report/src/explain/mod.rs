//! Teaches causes: one in full, or all in a list, straight from the catalogue's tables.

mod page;
mod split;
mod text;

use crate::Style;
use crate::words;
use netwhy_catalogue::{Catalogue, CauseEntry, Word};
use netwhy_model::{FixStep, Lang, Layer, Link};
use serde::Serialize;

pub use split::Split;

/// The schema of a lesson as JSON.
pub const LESSON_SCHEMA: &str = "netwhy.cause/1";
/// The schema of the list of causes as JSON.
pub const OVERVIEW_SCHEMA: &str = "netwhy.causes/1";

/// Everything netwhy teaches about one cause, in one language.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lesson {
    schema: &'static str,
    pub id: String,
    pub layer: Layer,
    /// The links of the chain it can sit on, most likely first.
    pub links: Vec<Link>,
    pub title: String,
    pub what: String,
    pub looks: String,
    /// What it makes the facts say, the most certain first.
    pub signs: Vec<Sign>,
    pub lookalikes: Vec<Lookalike>,
    pub prove: String,
    /// Who can prove it, as a sentence.
    pub proven_by: &'static str,
    pub fixes: Vec<FixStep>,
    pub proven_in_lab: bool,
    #[serde(skip)]
    lang: Lang,
}

/// From which side a sign shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// As it usually looks.
    Direct,
    /// Another way the same cause can look.
    Otherwise,
    /// Seen through a node in front of the origin.
    Behind,
}

impl Way {
    fn title(self, lang: Lang) -> &'static str {
        match self {
            Way::Direct => lang.pick("In evidence:", "证据中的表现："),
            Way::Otherwise => lang.pick("Or:", "或者："),
            Way::Behind => lang.pick("Behind a node, seen through it:", "位于防护节点之后、透过节点看到时："),
        }
    }
}

/// One value of a fact, and how often the cause makes it so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sign {
    pub way: Way,
    /// `always`, `usually`, `sometimes`, `rarely` or `never`.
    pub how_often: &'static str,
    pub fact: String,
    pub value: String,
    /// What the fact is about.
    pub about: String,
    /// The question that answers it.
    pub question: String,
    #[serde(skip)]
    word: &'static str,
}

/// A cause that looks similar, and the facts that tell the two apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lookalike {
    pub id: String,
    pub title: String,
    /// The most telling fact first; empty when no fact a client can ask splits the two.
    pub splits: Vec<Split>,
}

/// All causes by layer, in one language.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overview {
    schema: &'static str,
    pub causes: Vec<Entry>,
    #[serde(skip)]
    lang: Lang,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub id: String,
    pub layer: Layer,
    pub title: String,
    pub proven_in_lab: bool,
}

impl Lesson {
    /// The lesson on one cause; none when the catalogue does not know the id.
    pub fn of(catalogue: &Catalogue, id: &str, lang: Lang) -> Option<Lesson> {
        let cause = catalogue.cause(id)?;
        let owned = |text: &netwhy_model::Text| text.get(lang).trim().to_owned();
        Some(Lesson {
            schema: LESSON_SCHEMA,
            id: cause.id.clone(),
            layer: cause.layer,
            links: cause.on.clone(),
            title: owned(&cause.title),
            what: owned(&cause.what),
            looks: owned(&cause.looks),
            signs: signs(catalogue, cause, lang),
            lookalikes: lookalikes(catalogue, cause, lang),
            prove: owned(&cause.prove),
            proven_by: words::seen_from(cause.seen_from, lang),
            fixes: cause
                .fixes
                .iter()
                .map(|fix| FixStep {
                    kind: fix.kind.clone(),
                    text: owned(&fix.text),
                    command: fix.command.clone(),
                })
                .collect(),
            proven_in_lab: cause.proven,
            lang,
        })
    }

    /// The lesson for a terminal.
    pub fn text(&self, style: &Style) -> String {
        text::lesson(self, style)
    }

    /// The lesson as one self-contained page.
    pub fn html(&self) -> String {
        page::lesson(self)
    }

    fn place(&self) -> String {
        let links: Vec<&str> = self.links.iter().map(|link| words::link(*link, self.lang)).collect();
        let layer = words::layer(self.layer, self.lang);
        match self.lang {
            Lang::En => format!("layer {}, {layer}; on: {}", self.layer.number(), links.join(", ")),
            Lang::Zh => format!("第 {} 层（{layer}）；位于：{}", self.layer.number(), links.join("、")),
        }
    }

    fn lab_note(&self) -> &'static str {
        if self.proven_in_lab {
            self.lang.pick("Broken on purpose in the lab, and found.", "已在实验室真实注入并被识别。")
        } else {
            self.lang.pick("Never yet broken on purpose in the lab.", "尚未在实验室注入验证。")
        }
    }
}

impl Overview {
    /// All causes, by layer and then by id.
    pub fn of(catalogue: &Catalogue, lang: Lang) -> Overview {
        let mut causes: Vec<Entry> = catalogue
            .causes()
            .map(|cause| Entry {
                id: cause.id.clone(),
                layer: cause.layer,
                title: cause.title.get(lang).trim().to_owned(),
                proven_in_lab: cause.proven,
            })
            .collect();
        causes.sort_by(|a, b| (a.layer, &a.id).cmp(&(b.layer, &b.id)));
        Overview { schema: OVERVIEW_SCHEMA, causes, lang }
    }

    /// Those whose id starts with these labels, such as `tls.cert`; none when there are none.
    pub fn under(catalogue: &Catalogue, labels: &str, lang: Lang) -> Option<Overview> {
        let mut overview = Overview::of(catalogue, lang);
        let start = format!("{}.", labels.trim_end_matches('.'));
        overview.causes.retain(|entry| entry.id.starts_with(&start));
        (!overview.causes.is_empty()).then_some(overview)
    }

    /// The list for a terminal.
    pub fn text(&self, style: &Style) -> String {
        text::overview(self, style)
    }

    /// The list as one self-contained page.
    pub fn html(&self) -> String {
        page::overview(self)
    }
}

/// What sets the cause apart from health comes first: the certain, then the likely; what it excludes comes last.
fn signs(catalogue: &Catalogue, cause: &CauseEntry, lang: Lang) -> Vec<Sign> {
    let ways = [(Way::Direct, &cause.expects), (Way::Otherwise, &cause.also), (Way::Behind, &cause.behind)];
    let mut found: Vec<(Word, Sign)> = Vec::new();
    for (way, expects) in ways {
        for (name, values) in expects {
            let Some(fact) = catalogue.fact(name) else { continue };
            found.extend(values.iter().map(|(value, word)| {
                let sign = Sign {
                    way,
                    how_often: word.name(),
                    fact: name.clone(),
                    value: value.clone(),
                    about: fact.text.get(lang).to_owned(),
                    question: fact.ask.clone(),
                    word: words::word(*word, lang),
                };
                (*word, sign)
            }));
        }
    }
    found.sort_by(|a, b| (a.1.way, b.0, &a.1.fact).cmp(&(b.1.way, a.0, &b.1.fact)));
    found.into_iter().map(|(_, sign)| sign).collect()
}

fn lookalikes(catalogue: &Catalogue, cause: &CauseEntry, lang: Lang) -> Vec<Lookalike> {
    let known = cause.lookalikes.iter().filter_map(|id| catalogue.cause(id));
    known
        .map(|other| Lookalike {
            id: other.id.clone(),
            title: other.title.get(lang).trim().to_owned(),
            splits: split::between(catalogue, cause, other, lang),
        })
        .collect()
}
