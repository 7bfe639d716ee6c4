//! Reads the catalogue and checks it against itself.

use crate::{CauseEntry, FactEntry, Fix, Prior, Privilege, QuestionEntry, SeenFrom, Word, nearest};
use netwhy_model::{Layer, Link, Text};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use thiserror::Error;

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The name of the file that declares facts and questions.
const FACTS_FILE: &str = "facts.toml";
/// Causes one catalogue may hold.
const CAUSES_MAX: usize = 1_000;

/// Everything netwhy knows, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    facts: BTreeMap<String, FactEntry>,
    questions: BTreeMap<String, QuestionEntry>,
    causes: BTreeMap<String, CauseEntry>,
    behind: BTreeMap<String, BTreeMap<String, Word>>,
}

/// Why a catalogue could not be loaded; each names the file and, where known, the place in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CatalogueError {
    #[error("catalogue file {file} is not readable: {why}")]
    Syntax { file: String, why: String },
    #[error("catalogue file {file} names the unknown {kind} {name:?}")]
    Unknown { file: String, kind: &'static str, name: String, near: Option<String> },
    #[error("catalogue file {file}: {why}")]
    Rule { file: String, why: String },
    #[error("the catalogue has no {FACTS_FILE}")]
    NoFacts,
}

impl CatalogueError {
    /// One line that says what to do.
    pub fn hint(&self) -> String {
        match self {
            CatalogueError::Syntax { file, .. } => format!("compare {file} with another file of its folder"),
            CatalogueError::Unknown { near: Some(near), .. } => format!("did you mean {near:?}?"),
            CatalogueError::Unknown { kind, .. } => {
                format!("declare the {kind} in {FACTS_FILE}, or correct its name")
            }
            CatalogueError::Rule { .. } => "see CONTRIBUTING.md, \"how to add a cause\"".to_owned(),
            CatalogueError::NoFacts => format!("a catalogue folder holds {FACTS_FILE} beside the causes"),
        }
    }
}

impl Catalogue {
    /// The catalogue compiled into this netwhy.
    ///
    /// # Panics
    /// Never in a released netwhy: a test loads it, and CI runs that test.
    pub fn embedded() -> &'static Catalogue {
        static EMBEDDED: OnceLock<Catalogue> = OnceLock::new();
        EMBEDDED.get_or_init(|| match Catalogue::load(FILES.iter().copied()) {
            Ok(catalogue) => catalogue,
            // The files are part of the program: this is a build defect, caught by the tests below.
            #[allow(clippy::panic)]
            Err(error) => panic!("{error}; {}", error.hint()),
        })
    }

    /// Loads `(file name, text)` pairs: `facts.toml` and one file per cause.
    ///
    /// # Errors
    /// The first file that cannot be read, or that names what is not declared.
    pub fn load<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Catalogue, CatalogueError> {
        let files: Vec<(&str, &str)> = files.into_iter().collect();
        let (_, facts_text) =
            files.iter().find(|(name, _)| *name == FACTS_FILE).ok_or(CatalogueError::NoFacts)?;
        let Declared { facts, questions, behind } = load_facts(facts_text)?;
        let mut causes = BTreeMap::new();
        for (name, text) in files.iter().filter(|(name, _)| *name != FACTS_FILE) {
            let cause = load_cause(name, text, &facts)?;
            let rule = |why: String| CatalogueError::Rule { file: (*name).to_owned(), why };
            if causes.len() >= CAUSES_MAX {
                return Err(rule(format!("more than {CAUSES_MAX} causes")));
            }
            if causes.insert(cause.id.clone(), cause).is_some() {
                return Err(rule("its id is taken by another file".to_owned()));
            }
        }
        check_lookalikes(&causes)?;
        Ok(Catalogue { facts, questions, causes, behind })
    }

    /// One cause by its id.
    pub fn cause(&self, id: &str) -> Option<&CauseEntry> {
        self.causes.get(id)
    }

    /// All causes, by id.
    pub fn causes(&self) -> impl Iterator<Item = &CauseEntry> {
        self.causes.values()
    }

    /// One fact by its name.
    pub fn fact(&self, name: &str) -> Option<&FactEntry> {
        self.facts.get(name)
    }

    /// All facts, by name.
    pub fn facts(&self) -> impl Iterator<Item = &FactEntry> {
        self.facts.values()
    }

    /// One question by its name.
    pub fn question(&self, name: &str) -> Option<&QuestionEntry> {
        self.questions.get(name)
    }

    /// All questions, by name.
    pub fn questions(&self) -> impl Iterator<Item = &QuestionEntry> {
        self.questions.values()
    }

    /// What a fault behind a node does to what its user sees, for causes that do not say it themselves.
    pub fn behind(&self) -> &BTreeMap<String, BTreeMap<String, Word>> {
        &self.behind
    }

    /// The known cause nearest to what was written.
    pub fn nearest_cause(&self, written: &str) -> Option<&str> {
        nearest(written, self.causes.keys().map(String::as_str))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsFile {
    question: BTreeMap<String, RawQuestion>,
    fact: BTreeMap<String, RawFact>,
    #[serde(default)]
    behind: BTreeMap<String, BTreeMap<String, Word>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuestion {
    en: String,
    zh: String,
    cost_ms: f64,
    worst_ms: f64,
    intrusive: u8,
    privilege: Privilege,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFact {
    en: String,
    zh: String,
    link: Link,
    ask: String,
    forged_by: Option<String>,
    values: BTreeMap<String, Word>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCause {
    id: String,
    layer: Layer,
    on: Vec<Link>,
    prior: Prior,
    seen_from: SeenFrom,
    #[serde(default)]
    lookalikes: Vec<String>,
    #[serde(default)]
    proven: bool,
    en: RawTexts,
    zh: RawTexts,
    #[serde(default)]
    expects: BTreeMap<String, BTreeMap<String, Word>>,
    #[serde(default)]
    also: BTreeMap<String, BTreeMap<String, Word>>,
    #[serde(default)]
    behind: BTreeMap<String, BTreeMap<String, Word>>,
    #[serde(default)]
    ends: BTreeMap<String, BTreeMap<String, Word>>,
    #[serde(default)]
    inner: BTreeMap<String, BTreeMap<String, Word>>,
    #[serde(default)]
    fix: Vec<RawFix>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTexts {
    title: String,
    what: String,
    looks: String,
    prove: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFix {
    kind: String,
    en: String,
    zh: String,
    command: Option<String>,
}

type Facts = BTreeMap<String, FactEntry>;

/// What `facts.toml` declares.
struct Declared {
    facts: Facts,
    questions: BTreeMap<String, QuestionEntry>,
    behind: BTreeMap<String, BTreeMap<String, Word>>,
}

fn load_facts(text: &str) -> Result<Declared, CatalogueError> {
    let raw: FactsFile = parse(FACTS_FILE, text)?;
    let questions: BTreeMap<String, QuestionEntry> = raw
        .question
        .into_iter()
        .map(|(name, q)| {
            let entry = QuestionEntry {
                name: name.clone(),
                text: Text { en: q.en, zh: q.zh },
                cost_ms: q.cost_ms.max(1.0),
                worst_ms: q.worst_ms.max(1.0),
                intrusive: q.intrusive,
                privilege: q.privilege,
            };
            (name, entry)
        })
        .collect();
    let mut facts = BTreeMap::new();
    for (name, f) in raw.fact {
        if !questions.contains_key(&f.ask) {
            return Err(unknown(FACTS_FILE, "question", &f.ask, questions.keys()));
        }
        let entry = FactEntry {
            name: name.clone(),
            text: Text { en: f.en, zh: f.zh },
            link: f.link,
            ask: f.ask,
            forged_by: f.forged_by,
            values: f.values,
        };
        facts.insert(name, entry);
    }
    check_words(FACTS_FILE, &raw.behind, &facts)?;
    Ok(Declared { facts, questions, behind: raw.behind })
}

/// Every fact and value a table names is declared.
fn check_words(
    file: &str,
    words: &BTreeMap<String, BTreeMap<String, Word>>,
    facts: &Facts,
) -> Result<(), CatalogueError> {
    for (fact, values) in words {
        let entry = facts.get(fact).ok_or_else(|| unknown(file, "fact", fact, facts.keys()))?;
        for value in values.keys() {
            if !entry.values.contains_key(value) {
                return Err(unknown(file, "value", &format!("{fact} = {value}"), entry.values.keys()));
            }
        }
    }
    Ok(())
}

fn load_cause(file: &str, text: &str, facts: &Facts) -> Result<CauseEntry, CatalogueError> {
    let raw: RawCause = parse(file, text)?;
    let rule = |why: &str| CatalogueError::Rule { file: file.to_owned(), why: why.to_owned() };
    if raw.on.is_empty() {
        return Err(rule("`on` names no link"));
    }
    if !file.ends_with(&format!("{}.toml", raw.id)) {
        return Err(rule("the file's name is not its id"));
    }
    for texts in [&raw.en, &raw.zh] {
        if [&texts.title, &texts.what, &texts.looks, &texts.prove].iter().any(|t| t.trim().is_empty()) {
            return Err(rule("a text is empty; every text exists in English and Chinese"));
        }
    }
    for words in [&raw.expects, &raw.also, &raw.behind, &raw.ends, &raw.inner] {
        check_words(file, words, facts)?;
    }
    let text = |en: String, zh: String| Text { en, zh };
    Ok(CauseEntry {
        id: raw.id,
        layer: raw.layer,
        on: raw.on,
        prior: raw.prior,
        seen_from: raw.seen_from,
        lookalikes: raw.lookalikes,
        title: text(raw.en.title, raw.zh.title),
        what: text(raw.en.what, raw.zh.what),
        looks: text(raw.en.looks, raw.zh.looks),
        prove: text(raw.en.prove, raw.zh.prove),
        fixes: raw
            .fix
            .into_iter()
            .map(|f| Fix { kind: f.kind, text: text(f.en, f.zh), command: f.command })
            .collect(),
        expects: raw.expects,
        also: raw.also,
        behind: raw.behind,
        ends: raw.ends,
        inner: raw.inner,
        proven: raw.proven,
    })
}

fn check_lookalikes(causes: &BTreeMap<String, CauseEntry>) -> Result<(), CatalogueError> {
    for cause in causes.values() {
        for other in &cause.lookalikes {
            if !causes.contains_key(other) {
                return Err(unknown(&format!("{}.toml", cause.id), "cause", other, causes.keys()));
            }
        }
    }
    Ok(())
}

fn parse<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, CatalogueError> {
    toml::from_str(text).map_err(|error| CatalogueError::Syntax {
        file: file.to_owned(),
        why: error.to_string().trim().replace('\n', " "),
    })
}

fn unknown<'a>(
    file: &str,
    kind: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a String>,
) -> CatalogueError {
    let near = nearest(name, known.map(String::as_str)).map(str::to_owned);
    CatalogueError::Unknown { file: file.to_owned(), kind, name: name.to_owned(), near }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: &str = r#"
[question.connect]
en = "a"
zh = "b"
cost_ms = 5
worst_ms = 5
intrusive = 0
privilege = "none"
[fact."tcp.connect"]
en = "a"
zh = "b"
link = "socket"
ask = "connect"
values = { open = "always", refused = "never" }
"#;

    fn cause(expects: &str) -> String {
        let texts = "title = \"t\"\nwhat = \"w\"\nlooks = \"l\"\nprove = \"p\"\n";
        format!(
            "id = \"x.y\"\nlayer = 3\non = [\"socket\"]\nprior = \"rare\"\nseen_from = \"client\"\n\
             [en]\n{texts}[zh]\n{texts}[expects]\n{expects}\n"
        )
    }

    #[test]
    fn the_embedded_catalogue_holds_together() {
        let catalogue = Catalogue::load(FILES.iter().copied()).unwrap();
        assert!(catalogue.facts().count() > 100);
        assert!(catalogue.causes().count() > 150);
    }

    #[test]
    fn an_unknown_fact_is_named_with_a_hint() {
        let text = cause("\"tcp.conect\" = { refused = \"always\" }");
        let error = Catalogue::load([("facts.toml", FACTS), ("3/x.y.toml", &text)]).unwrap_err();
        assert_eq!(error.to_string(), "catalogue file 3/x.y.toml names the unknown fact \"tcp.conect\"");
        assert_eq!(error.hint(), "did you mean \"tcp.connect\"?");
    }

    #[test]
    fn an_unknown_value_and_word_are_refused() {
        let text = cause("\"tcp.connect\" = { reffused = \"always\" }");
        assert!(Catalogue::load([("facts.toml", FACTS), ("3/x.y.toml", &text)]).is_err());
        let text = cause("\"tcp.connect\" = { refused = \"mostly\" }");
        let error = Catalogue::load([("facts.toml", FACTS), ("3/x.y.toml", &text)]).unwrap_err();
        assert!(error.to_string().contains("mostly"), "{error}");
    }
}
