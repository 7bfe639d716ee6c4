//! The next best question: the most information per second of cost and per unit of intrusiveness.

use crate::posterior::{Hypothesis, Posterior};
use crate::table::{Observed, Table, combined, distribution};
use std::borrow::Cow;

/// Hypotheses weighed; the rest holds a negligible share.
const HYPOTHESES_MAX: usize = 250;
/// Time every question costs besides its own, in milliseconds: choosing, sockets, scheduling.
const OVERHEAD_MS: f64 = 20.0;
/// What one unit of intrusiveness costs, as a factor on the time.
const INTRUSIVE_FACTOR: f64 = 0.25;

/// One question that could be asked next.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub question: String,
    /// Expected information, in nats.
    pub gain: f64,
    /// Information per second of cost, intrusiveness counted in.
    pub rate: f64,
    /// Causes it would move most, by id, at most four.
    pub splits: Vec<String>,
}

/// Ranks questions by information per cost; `cost` gives (milliseconds, intrusiveness) of each.
pub fn rank_questions(
    table: &Table,
    posterior: &Posterior,
    seen: &[Observed],
    questions: &[(String, f64, u8)],
) -> Vec<Candidate> {
    let top: Vec<(Hypothesis, f64)> = posterior.ranked.iter().take(HYPOTHESES_MAX).copied().collect();
    let mut list: Vec<Candidate> = questions
        .iter()
        .map(|(question, cost_ms, intrusive)| {
            let facts: Vec<usize> = (0..table.facts.len())
                .filter(|f| table.facts[*f].leg.is_front() && table.facts[*f].ask == *question)
                .filter(|f| seen.iter().all(|o| o.fact != *f))
                .collect();
            let gain = question_gain(table, &top, &facts);
            let cost_s = (cost_ms + OVERHEAD_MS) / 1_000.0 * (1.0 + INTRUSIVE_FACTOR * f64::from(*intrusive));
            let splits = splits(table, &top, &facts);
            Candidate { question: question.clone(), gain, rate: gain / cost_s, splits }
        })
        .collect();
    list.sort_by(|a, b| b.rate.total_cmp(&a.rate).then_with(|| a.question.cmp(&b.question)));
    list
}

/// The facts of one question overlap; the best one counts whole, the others by half each.
fn question_gain(table: &Table, top: &[(Hypothesis, f64)], facts: &[usize]) -> f64 {
    let mut gains: Vec<f64> = facts.iter().map(|fact| fact_gain(table, top, *fact)).collect();
    gains.sort_by(|a, b| b.total_cmp(a));
    gains.iter().enumerate().map(|(rank, gain)| gain * 0.5_f64.powi(i32::try_from(rank).unwrap_or(64))).sum()
}

/// Mutual information between the hypothesis and one fact, in nats.
fn fact_gain(table: &Table, top: &[(Hypothesis, f64)], fact: usize) -> f64 {
    let width = table.facts[fact].values.len();
    let mass: f64 = top.iter().map(|(_, p)| p).sum();
    let mut marginal = vec![0.0; width];
    let views: Vec<(f64, Cow<'_, [f64]>)> =
        top.iter().map(|(h, p)| (p / mass, predicted(table, *h, fact))).collect();
    for (p, view) in &views {
        for (sum, value) in marginal.iter_mut().zip(view.iter()) {
            *sum += p * value;
        }
    }
    views
        .iter()
        .map(|(p, view)| {
            let divergence: f64 = view.iter().zip(&marginal).map(|(v, m)| v * (v / m).ln()).sum();
            p * divergence
        })
        .sum::<f64>()
        .max(0.0)
}

fn predicted(table: &Table, hypothesis: Hypothesis, fact: usize) -> Cow<'_, [f64]> {
    let healthy = &table.facts[fact].healthy;
    match hypothesis {
        Hypothesis::Healthy => Cow::Borrowed(healthy),
        Hypothesis::One(a) => Cow::Borrowed(distribution(&table.causes[a], fact).unwrap_or(healthy)),
        Hypothesis::Two(a, b) => {
            match (distribution(&table.causes[a], fact), distribution(&table.causes[b], fact)) {
                (Some(one), Some(other)) => Cow::Owned(combined(healthy, one, other)),
                (Some(one), None) | (None, Some(one)) => Cow::Borrowed(one),
                (None, None) => Cow::Borrowed(healthy),
            }
        }
    }
}

/// The likely causes whose predictions for these facts differ most from each other.
fn splits(table: &Table, top: &[(Hypothesis, f64)], facts: &[usize]) -> Vec<String> {
    const SPLITS_MAX: usize = 4;
    const SHARE_MIN: f64 = 0.01;
    let mut found: Vec<String> = Vec::new();
    for (hypothesis, p) in top {
        let Hypothesis::One(cause) = *hypothesis else { continue };
        if *p >= SHARE_MIN
            && facts.iter().any(|fact| distribution(&table.causes[cause], *fact).is_some())
            && found.len() < SPLITS_MAX
        {
            found.push(table.causes[cause].id.clone());
        }
    }
    found
}
