//! Which facts tell two causes apart: where their tables differ most.

use crate::words;
use netwhy_catalogue::{Catalogue, CauseEntry, FactEntry, Word};
use netwhy_model::Lang;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Facts named for one pair of causes.
const SPLIT_COUNT_MAX: usize = 3;
/// Least share of cases, 0 to 1, in which the two must differ for a fact to be worth naming.
const DIFFERENCE_MIN: f64 = 0.3;

/// One value of a fact that tells two causes apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Split {
    pub fact: String,
    pub value: String,
    /// What the fact is about.
    pub about: String,
    /// The question that answers it.
    pub question: String,
    /// How often it is so under the cause that is explained: `always` to `never`.
    pub here: &'static str,
    /// How often it is so under the look-alike.
    pub there: &'static str,
    #[serde(skip)]
    pub(super) here_word: &'static str,
    #[serde(skip)]
    pub(super) there_word: &'static str,
}

/// The facts that differ most between two causes, the most telling first, each with its most telling value.
pub(super) fn between(
    catalogue: &Catalogue,
    here: &CauseEntry,
    there: &CauseEntry,
    lang: Lang,
) -> Vec<Split> {
    let names: BTreeSet<&String> = table(here).keys().chain(table(there).keys()).collect();
    let mut ranked: Vec<(f64, Split)> = names
        .into_iter()
        .filter_map(|name| {
            let fact = catalogue.fact(name)?;
            let (a, b) = (shares(fact, here), shares(fact, there));
            let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).collect();
            let place = (0..differences.len()).max_by(|x, y| differences[*x].total_cmp(&differences[*y]))?;
            let value = fact.values.keys().nth(place)?;
            let (mine, other) = (how_often(a[place]), how_often(b[place]));
            let split = Split {
                fact: name.clone(),
                value: value.clone(),
                about: fact.text.get(lang).to_owned(),
                question: fact.ask.clone(),
                here: mine.name(),
                there: other.name(),
                here_word: words::word(mine, lang),
                there_word: words::word(other, lang),
            };
            let difference = differences.iter().sum::<f64>() / 2.0;
            (difference >= DIFFERENCE_MIN && mine != other).then_some((difference, split))
        })
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.fact.cmp(&b.1.fact)));
    ranked.into_iter().take(SPLIT_COUNT_MAX).map(|(_, split)| split).collect()
}

/// The table a cause is compared by: as it is seen itself, else through a node.
fn table(cause: &CauseEntry) -> &BTreeMap<String, BTreeMap<String, Word>> {
    if cause.expects.is_empty() { &cause.behind } else { &cause.expects }
}

/// How the values of a fact fall under a cause, in their declared order; what it does not name falls as in health.
fn shares(fact: &FactEntry, cause: &CauseEntry) -> Vec<f64> {
    let named = table(cause).get(&fact.name);
    let own = |value: &String| named.and_then(|values| values.get(value)).map(|word| word.weight());
    let left = (1.0 - fact.values.keys().filter_map(own).sum::<f64>()).max(0.0);
    let unnamed: f64 =
        fact.values.iter().filter(|(value, _)| own(value).is_none()).map(|(_, word)| word.weight()).sum();
    let raw: Vec<f64> = fact
        .values
        .iter()
        .map(|(value, word)| {
            own(value).unwrap_or_else(|| left * word.weight() / unnamed.max(f64::MIN_POSITIVE))
        })
        .collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|share| share / sum.max(f64::MIN_POSITIVE)).collect()
}

/// The word nearest to a share of cases.
fn how_often(share: f64) -> Word {
    match share {
        share if share >= 0.85 => Word::Always,
        share if share >= 0.5 => Word::Usually,
        share if share >= 0.12 => Word::Sometimes,
        share if share >= 0.015 => Word::Rarely,
        _ => Word::Never,
    }
}
