//! The catalogue as numbers: P(fact = value | cause).

use netwhy_catalogue::{Catalogue, CauseEntry, FactEntry, SeenFrom, Word};
use netwhy_model::{Evidence, Leg, Link, Target};
use std::collections::BTreeMap;

/// Share of a fact's probability kept for the values a cause does not name, when those it names would fill it.
const RESIDUE: f64 = 0.03;
/// Causes only a control plane can prove are met less often than their word says where a client asks.
const CONTROL_PLANE_PRIOR: f64 = 0.25;
/// Least probability a cause gives any value.
const FLOOR: f64 = 0.000_5;
/// Collectors confirm a broken value before they report it, so on a healthy target it hardly ever occurs.
const NEVER_WHEN_HEALTHY: f64 = 0.000_03;
/// A cause sits behind a node less often than where the client can see it.
const BEHIND_PRIOR: f64 = 0.5;
/// The second way a cause can look is met less often than the first.
const ALSO_PRIOR: f64 = 0.4;
/// A fault of the service passes through the node as it is less often than the node words it itself.
const PASSED_ON_PRIOR: f64 = 0.5;
/// How often an application that fails is the node's own.
const NODE_APPLICATION_PRIOR: f64 = 0.15;
/// A value this rare on a healthy target is a symptom.
const SYMPTOM_MAX: f64 = 0.002;

/// One cause's distribution over the values of one fact.
pub(crate) type Distribution = Vec<f64>;

/// The catalogue turned into arrays, for one inference after another.
#[derive(Debug)]
pub struct Table {
    pub(crate) facts: Vec<FactColumn>,
    pub(crate) causes: Vec<CauseRow>,
    index: BTreeMap<(String, Leg), usize>,
}

/// One fact of one leg: its values in order, and how they fall when nothing is wrong.
#[derive(Debug)]
pub(crate) struct FactColumn {
    pub name: String,
    pub leg: Leg,
    pub ask: String,
    pub values: Vec<String>,
    pub healthy: Distribution,
}

/// One cause in one place: its prior weight and its distributions, by fact index in ascending order.
#[derive(Debug)]
pub(crate) struct CauseRow {
    pub id: String,
    /// It sits on the origin and is seen through the node in front.
    pub behind: bool,
    pub weight: f64,
    pub expects: Vec<(usize, Distribution)>,
}

/// One fact as seen: fact index, value index, and which evidence said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    pub(crate) fact: usize,
    pub(crate) value: usize,
    /// Position in the evidence list.
    pub evidence: usize,
}

impl Table {
    /// Builds the arrays for one leg; causes without expectations cannot be inferred and are left out.
    pub fn new(catalogue: &Catalogue) -> Table {
        Table::build(catalogue, false)
    }

    /// Builds the arrays for evidence of both legs: the user's connection and the node's own to the origin.
    pub fn with_inner(catalogue: &Catalogue) -> Table {
        Table::build(catalogue, true)
    }

    fn build(catalogue: &Catalogue, inner: bool) -> Table {
        let legs: &[Leg] = if inner { &[Leg::Front, Leg::Inner] } else { &[Leg::Front] };
        let facts: Vec<FactColumn> =
            legs.iter().flat_map(|leg| catalogue.facts().map(|fact| column(fact, *leg))).collect();
        let index = facts.iter().enumerate().map(|(at, fact)| ((fact.name.clone(), fact.leg), at)).collect();
        let places = Places { catalogue, facts: &facts, index: &index };
        let causes = catalogue
            .causes()
            .flat_map(|cause| if inner { places.of_both_legs(cause) } else { places.of_one_leg(cause) })
            .collect();
        Table { facts, causes, index }
    }

    /// Leaves out what cannot be wrong with this target: an address written out is never looked up.
    pub fn about(mut self, target: &Target) -> Table {
        if target.name().is_none() {
            self.causes.retain(|cause| !cause.id.starts_with("dns."));
        }
        self
    }

    /// The facts that speak, one observation each: a fact asked again supersedes.
    pub fn observe(&self, evidence: &[Evidence]) -> Vec<Observed> {
        let mut latest: BTreeMap<usize, Observed> = BTreeMap::new();
        for (position, item) in evidence.iter().enumerate().filter(|(_, item)| item.speaks()) {
            let Some(&fact) = self.index.get(&(item.fact.clone(), item.leg)) else { continue };
            let Some(value) = self.facts[fact].values.iter().position(|v| *v == item.value) else { continue };
            latest.insert(fact, Observed { fact, value, evidence: position });
        }
        latest.into_values().collect()
    }

    /// True when the observed value hardly ever occurs on a healthy target.
    pub fn is_symptom(&self, seen: Observed) -> bool {
        self.facts[seen.fact].healthy[seen.value] <= SYMPTOM_MAX
    }

    /// What each fact says for a cause against nothing wrong, in nats: (place, fact, value, nats).
    pub fn weigh(&self, id: &str, seen: &[Observed]) -> Vec<(&'static str, &str, &str, f64)> {
        let mut lines = Vec::new();
        for position in self.positions(id) {
            let place = if self.causes[position].behind { "behind" } else { "direct" };
            for o in seen {
                let fact = &self.facts[o.fact];
                let nats = (self.probability(position, *o) / fact.healthy[o.value]).ln();
                if nats != 0.0 || self.is_symptom(*o) {
                    lines.push((place, fact.name.as_str(), fact.values[o.value].as_str(), nats));
                }
            }
        }
        lines
    }

    /// The positions of a cause: in front, behind a node, or both; none when it cannot be inferred.
    pub(crate) fn positions(&self, id: &str) -> Vec<usize> {
        (0..self.causes.len()).filter(|position| self.causes[*position].id == id).collect()
    }

    pub(crate) fn probability(&self, cause: usize, seen: Observed) -> f64 {
        distribution(&self.causes[cause], seen.fact)
            .map_or(self.facts[seen.fact].healthy[seen.value], |d| d[seen.value])
    }
}

/// The distribution a cause gives a fact, if it speaks of it.
pub(crate) fn distribution(cause: &CauseRow, fact: usize) -> Option<&Distribution> {
    cause.expects.binary_search_by_key(&fact, |(f, _)| *f).ok().map(|position| &cause.expects[position].1)
}

/// Two causes at once: what is normal needs both to allow it, what is not needs one to bring it about.
pub(crate) fn combined(healthy: &[f64], one: &[f64], other: &[f64]) -> Distribution {
    let raw: Distribution = healthy
        .iter()
        .zip(one.iter().zip(other))
        .map(|(normal, (a, b))| if *normal > SYMPTOM_MAX { a.min(*b) } else { a.max(*b) })
        .collect();
    normalised(raw, FLOOR)
}

/// One value of [`combined`], without making the whole distribution.
pub(crate) fn combined_value(healthy: &[f64], one: &[f64], other: &[f64], value: usize) -> f64 {
    let raw = |at: usize| {
        let both = if healthy[at] > SYMPTOM_MAX { one[at].min(other[at]) } else { one[at].max(other[at]) };
        both.max(FLOOR)
    };
    raw(value) / (0..healthy.len()).map(raw).sum::<f64>()
}

fn column(entry: &FactEntry, leg: Leg) -> FactColumn {
    let values: Vec<String> = entry.values.keys().cloned().collect();
    let weight = |word: &Word| if *word == Word::Never { NEVER_WHEN_HEALTHY } else { word.weight() };
    let healthy = normalised(entry.values.values().map(weight).collect(), NEVER_WHEN_HEALTHY);
    FactColumn { name: entry.name.clone(), leg, ask: entry.ask.clone(), values, healthy }
}

/// Words of a cause: fact, value, how often.
type Words = BTreeMap<String, BTreeMap<String, Word>>;

/// Makes the rows of a cause: one for every place and look.
struct Places<'a> {
    catalogue: &'a Catalogue,
    facts: &'a [FactColumn],
    index: &'a BTreeMap<(String, Leg), usize>,
}

impl Places<'_> {
    /// Seen directly, in its second look, and through a node; what has no table cannot be inferred there.
    fn of_one_leg(&self, cause: &CauseEntry) -> Vec<CauseRow> {
        let mut rows = self.in_front(cause, &[]);
        if !cause.behind.is_empty() {
            rows.push(self.row(cause, true, BEHIND_PRIOR, &[(Leg::Front, &cause.behind)]));
        }
        rows
    }

    /// As above, and where it sits behind the node, what the node's own connection shows of it.
    fn of_both_legs(&self, cause: &CauseEntry) -> Vec<CauseRow> {
        let mut rows = self.in_front(cause, &[(Leg::Inner, &cause.inner)]);
        // The node passes requests on: an application that fails is behind it far more often than in it.
        if cause.id.starts_with("app.") || cause.id.starts_with("http.origin") {
            rows.iter_mut().for_each(|row| row.weight *= NODE_APPLICATION_PRIOR);
        }
        // Names are asked by the user; a node's are its own business, and its causes say so under `inner`.
        if cause.id.starts_with("dns.") || cause.id.starts_with("edge.") || cause.id.starts_with("lb.") {
            return rows;
        }
        // An allow list that lacks the node is the origin's, and seen as the node's own fault by its user.
        if cause.id.starts_with("policy.edge.") {
            let words = [
                (Leg::Front, &self.seen_at_node()),
                (Leg::Front, &cause.expects),
                (Leg::Inner, &cause.inner),
            ];
            return vec![self.row(cause, true, 1.0, &words)];
        }
        let told = if cause.behind.is_empty() { self.catalogue.behind() } else { &cause.behind };
        let seen_at_node = self.seen_at_node();
        let mut fronts = vec![(told, BEHIND_PRIOR)];
        if cause.on.contains(&Link::Service) && !cause.expects.is_empty() {
            fronts.push((&cause.expects, PASSED_ON_PRIOR * BEHIND_PRIOR));
        }
        for (front, place) in fronts {
            for (look, share) in [(&cause.expects, 1.0), (&cause.also, ALSO_PRIOR)] {
                if share == 1.0 && (!look.is_empty() || !cause.ends.is_empty()) || !look.is_empty() {
                    let words = [
                        (Leg::Front, &seen_at_node),
                        (Leg::Front, front),
                        (Leg::Inner, look),
                        (Leg::Inner, &cause.ends),
                    ];
                    rows.push(self.row(cause, true, place * share, &words));
                }
            }
        }
        rows
    }

    /// What the node itself shows of a fault behind it, whatever that is.
    fn seen_at_node(&self) -> Words {
        let at_ends = |fact: &str| self.catalogue.fact(fact).is_some_and(|entry| entry.ask == "ends");
        let behind = self.catalogue.behind().iter();
        behind.filter(|(fact, _)| at_ends(fact)).map(|(fact, words)| (fact.clone(), words.clone())).collect()
    }

    fn in_front(&self, cause: &CauseEntry, besides: &[(Leg, &Words)]) -> Vec<CauseRow> {
        let mut rows = Vec::new();
        let front = |look| {
            let mut words = vec![(Leg::Front, look), (Leg::Front, &cause.ends)];
            words.extend(besides);
            words
        };
        if !cause.expects.is_empty() || !cause.ends.is_empty() {
            rows.push(self.row(cause, false, 1.0, &front(&cause.expects)));
        }
        if !cause.also.is_empty() {
            rows.push(self.row(cause, false, ALSO_PRIOR, &front(&cause.also)));
        }
        rows
    }

    /// One row; where two lists speak of the same fact of a leg, the later one holds.
    fn row(&self, cause: &CauseEntry, behind: bool, place: f64, words: &[(Leg, &Words)]) -> CauseRow {
        let control = if cause.seen_from == SeenFrom::Control { CONTROL_PLANE_PRIOR } else { 1.0 };
        let mut expects: BTreeMap<usize, Distribution> = BTreeMap::new();
        for (leg, words) in words {
            for (fact, words) in *words {
                if let Some(&at) = self.index.get(&(fact.clone(), *leg)) {
                    expects.insert(at, spread(&self.facts[at], words));
                }
            }
        }
        let weight = cause.prior.weight() * control * place;
        CauseRow { id: cause.id.clone(), behind, weight, expects: expects.into_iter().collect() }
    }
}

/// Words for some values of a fact become a distribution over all. Symptoms the cause does not name stay as
/// improbable as on a healthy target; the rest is shared as there.
fn spread(fact: &FactColumn, words: &BTreeMap<String, Word>) -> Distribution {
    let named: Vec<Option<f64>> = fact.values.iter().map(|v| words.get(v).map(|w| w.weight())).collect();
    let sum_named: f64 = named.iter().flatten().sum();
    let rest_of = |healthy: f64| if healthy > SYMPTOM_MAX { healthy } else { 0.0 };
    let healthy_rest: f64 =
        named.iter().zip(&fact.healthy).filter(|(n, _)| n.is_none()).map(|(_, h)| rest_of(*h)).sum();
    let rest = if healthy_rest > 0.0 { (1.0 - sum_named).max(RESIDUE) } else { 0.0 };
    let scale = (1.0 - rest) / sum_named.max(f64::MIN_POSITIVE);
    let raw = named
        .into_iter()
        .zip(&fact.healthy)
        .map(|(word, healthy)| match word {
            Some(weight) => weight * scale,
            None if *healthy > SYMPTOM_MAX => rest * healthy / healthy_rest,
            None => *healthy,
        })
        .collect();
    normalised(raw, NEVER_WHEN_HEALTHY)
}

/// Divides by the sum; a floor keeps every value possible, so that no single mistaken fact decides alone.
fn normalised(mut raw: Distribution, floor: f64) -> Distribution {
    for weight in &mut raw {
        *weight = weight.max(floor);
    }
    let sum: f64 = raw.iter().sum();
    for weight in &mut raw {
        *weight /= sum;
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_distribution_sums_to_one() {
        let table = Table::new(Catalogue::embedded());
        for cause in &table.causes {
            for (fact, distribution) in &cause.expects {
                let sum: f64 = distribution.iter().sum();
                assert!((sum - 1.0).abs() < 1e-9, "{} {}: {sum}", cause.id, table.facts[*fact].name);
            }
        }
    }

    #[test]
    fn what_a_cause_does_not_name_is_shared_as_when_healthy() {
        let fact = FactColumn {
            name: "f".into(),
            leg: Leg::Front,
            ask: "q".into(),
            values: vec!["bad".into(), "good".into(), "odd".into()],
            healthy: vec![0.01, 0.9, 0.09],
        };
        let words = BTreeMap::from([("bad".to_owned(), Word::Sometimes)]);
        let spread = spread(&fact, &words);
        assert!((spread[0] - 0.25).abs() < 0.01);
        assert!((spread[1] / spread[2] - 10.0).abs() < 0.01);
    }
}
