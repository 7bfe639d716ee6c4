//! The posterior over hypotheses: nothing wrong, one cause, or two.

use crate::table::{FactColumn, Observed, Table, combined_value, distribution};

/// Prior probability that nothing is wrong, before any fact.
const PRIOR_HEALTHY: f64 = 0.40;
/// Prior probability of two causes at once.
const PRIOR_PAIR: f64 = 0.03;
/// Facts are not wholly independent; their say is tempered by this exponent, set by the accuracy run.
const TEMPER: f64 = 0.80;
/// What both ends saw is no inference but an observation: it says twice as much.
const DIRECT: f64 = 2.0;

impl FactColumn {
    /// How much the fact's word counts beside others'.
    fn say(&self) -> f64 {
        if self.ask == "ends" { DIRECT } else { 1.0 }
    }
}

/// A set of at most two causes, as positions in the table; none means healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hypothesis {
    Healthy,
    One(usize),
    Two(usize, usize),
}

/// Probabilities of all hypotheses given the evidence; they sum to one.
#[derive(Debug)]
pub struct Posterior {
    /// Every hypothesis with its probability, most likely first; ties by catalogue order.
    pub(crate) ranked: Vec<(Hypothesis, f64)>,
    /// Probability of each cause, alone or with another, by position in the table.
    pub(crate) marginal: Vec<f64>,
}

impl Posterior {
    /// Enumerates every hypothesis of at most two causes.
    pub fn of(table: &Table, seen: &[Observed]) -> Posterior {
        let weights: f64 = table.causes.iter().map(|c| c.weight).sum();
        let prior = |cause: usize| table.causes[cause].weight / weights;
        let count = table.causes.len();
        let views: Vec<Vec<(usize, f64)>> = (0..count).map(|cause| touched(table, cause, seen)).collect();
        let shifts: Vec<f64> = views.iter().map(|view| view.iter().map(|(_, nats)| nats).sum()).collect();
        let single = 1.0 - PRIOR_HEALTHY - PRIOR_PAIR;
        let mut scores: Vec<(Hypothesis, f64)> = Vec::with_capacity(1 + count + count * count / 2);
        scores.push((Hypothesis::Healthy, PRIOR_HEALTHY.ln()));
        for (cause, shift) in shifts.iter().enumerate() {
            scores.push((Hypothesis::One(cause), (single * prior(cause)).ln() + TEMPER * shift));
        }
        for a in 0..count {
            for b in (a + 1..count).filter(|b| table.causes[a].id != table.causes[*b].id) {
                let shift = shifts[a] + shifts[b] + overlap(table, (a, &views[a]), (b, &views[b]), seen);
                let score = (PRIOR_PAIR * 2.0 * prior(a) * prior(b)).ln() + TEMPER * shift;
                scores.push((Hypothesis::Two(a, b), score));
            }
        }
        Posterior::normalised(scores, count)
    }

    /// The probability that nothing is wrong.
    pub fn healthy(&self) -> f64 {
        self.ranked.iter().find(|(h, _)| *h == Hypothesis::Healthy).map_or(0.0, |(_, p)| *p)
    }

    /// The likeliest hypotheses in words, such as `tls.cert.expired + net.path.loss`.
    pub fn named(&self, table: &Table, count: usize) -> Vec<(String, f64)> {
        let name = |cause: usize| {
            let row = &table.causes[cause];
            if row.behind { format!("{} (behind)", row.id) } else { row.id.clone() }
        };
        self.ranked
            .iter()
            .take(count)
            .map(|(hypothesis, p)| match *hypothesis {
                Hypothesis::Healthy => ("nothing wrong".to_owned(), *p),
                Hypothesis::One(a) => (name(a), *p),
                Hypothesis::Two(a, b) => (format!("{} + {}", name(a), name(b)), *p),
            })
            .collect()
    }

    /// The probability of the likeliest hypothesis.
    pub fn settled(&self) -> f64 {
        self.ranked.first().map_or(0.0, |(_, p)| *p)
    }

    /// Causes by probability over all their places, most likely first, each at its likelier place.
    pub(crate) fn causes(&self, table: &Table) -> Vec<(usize, f64)> {
        let mut list: Vec<(usize, f64)> = Vec::new();
        for (position, p) in self.marginal.iter().copied().enumerate() {
            match list.last_mut().filter(|(last, _)| table.causes[*last].id == table.causes[position].id) {
                Some((likelier, sum)) => {
                    if p > self.marginal[*likelier] {
                        *likelier = position;
                    }
                    *sum += p;
                }
                None => list.push((position, p)),
            }
        }
        list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        list
    }

    /// The probability of a cause over all its places.
    pub(crate) fn of_cause(&self, table: &Table, id: &str) -> f64 {
        table.positions(id).into_iter().map(|position| self.marginal[position]).sum()
    }

    /// How unsettled the question still is, in nats.
    pub fn entropy(&self) -> f64 {
        self.ranked.iter().map(|(_, p)| if *p > 0.0 { -p * p.ln() } else { 0.0 }).sum()
    }

    fn normalised(mut scores: Vec<(Hypothesis, f64)>, causes: usize) -> Posterior {
        let best = scores.iter().map(|(_, s)| *s).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|(_, s)| (s - best).exp()).sum();
        let mut marginal = vec![0.0; causes];
        for (hypothesis, score) in &mut scores {
            *score = (*score - best).exp() / sum;
            match *hypothesis {
                Hypothesis::Healthy => {}
                Hypothesis::One(a) => marginal[a] += *score,
                Hypothesis::Two(a, b) => {
                    marginal[a] += *score;
                    marginal[b] += *score;
                }
            }
        }
        // Stable, so equal probabilities keep the catalogue's order and the output its bytes.
        scores.sort_by(|a, b| b.1.total_cmp(&a.1));
        Posterior { ranked: scores, marginal }
    }
}

/// The observations a cause speaks of, by position in `seen`, ascending, each with how much better
/// the cause explains it than nothing wrong does, in nats.
fn touched(table: &Table, cause: usize, seen: &[Observed]) -> Vec<(usize, f64)> {
    seen.iter()
        .enumerate()
        .filter_map(|(position, o)| {
            let d = distribution(&table.causes[cause], o.fact)?;
            let fact = &table.facts[o.fact];
            Some((position, fact.say() * (d[o.value] / fact.healthy[o.value]).ln()))
        })
        .collect()
}

/// Corrects the sum of two shifts where both causes speak of the same fact.
fn overlap(
    table: &Table,
    (a, one): (usize, &[(usize, f64)]),
    (b, other): (usize, &[(usize, f64)]),
    seen: &[Observed],
) -> f64 {
    let mut sum = 0.0;
    let mut rest = other.iter().peekable();
    for (position, nats) in one {
        while rest.next_if(|(behind, _)| behind < position).is_some() {}
        let Some((_, nats_other)) = rest.next_if(|(same, _)| same == position) else { continue };
        let o = seen[*position];
        let healthy = &table.facts[o.fact].healthy;
        let both = distribution(&table.causes[a], o.fact)
            .zip(distribution(&table.causes[b], o.fact))
            .map_or(0.0, |(x, y)| (combined_value(healthy, x, y, o.value) / healthy[o.value]).ln());
        sum += table.facts[o.fact].say() * both - nats - nats_other;
    }
    sum
}
