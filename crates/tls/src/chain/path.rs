//! Finds the way from the leaf to a trusted root among what the server sent. Pure, bounded.

use super::certificate::ParsedCertificate;
use super::signature::{Signed, signed_by};

/// Longest path followed, in certificates.
pub(crate) const PATH_LENGTH_MAX: usize = 64;
/// Most signatures checked for one chain: a hostile chain must not buy endless work.
const SIGNATURE_COUNT_MAX: usize = 400;

/// Where a certificate of a path comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The server sent it at this place.
    Sent(usize),
    /// It is in the trust store at this place.
    Root(usize),
}

/// How far the way leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// From the leaf upwards.
    pub steps: Vec<Step>,
    /// It ends in a trusted root.
    pub trusted: bool,
}

/// The search, with its budget.
pub(crate) struct Finder<'a> {
    pub sent: &'a [ParsedCertificate],
    pub roots: &'a [ParsedCertificate],
    pub now: i64,
    pub budget: usize,
}

impl<'a> Finder<'a> {
    pub fn new(sent: &'a [ParsedCertificate], roots: &'a [ParsedCertificate], now: i64) -> Finder<'a> {
        Finder { sent, roots, now, budget: SIGNATURE_COUNT_MAX }
    }

    /// The best path: trusted and in date before trusted before longest.
    pub fn find(&mut self) -> Path {
        let mut best = Path { steps: vec![Step::Sent(0)], trusted: false };
        if self.sent.is_empty() {
            best.steps.clear();
            return best;
        }
        let mut way = vec![Step::Sent(0)];
        self.walk(&mut way, &mut best);
        best
    }

    /// Depth first; true when nothing better can be found.
    fn walk(&mut self, way: &mut Vec<Step>, best: &mut Path) -> bool {
        let Some(top) = way.last().map(|step| self.at(*step)) else { return true };
        if let Some(at) = self.roots.iter().position(|root| root.der == top.der) {
            let mut steps = way.clone();
            steps.pop();
            steps.push(Step::Root(at));
            return self.offer(Path { steps, trusted: true }, best);
        }
        for at in 0..self.roots.len() {
            if self.issued(top, &self.roots[at]) {
                let mut steps = way.clone();
                steps.push(Step::Root(at));
                if self.offer(Path { steps, trusted: true }, best) {
                    return true;
                }
            }
        }
        self.offer(Path { steps: way.clone(), trusted: false }, best);
        if way.len() >= PATH_LENGTH_MAX || self.budget == 0 {
            return false;
        }
        for at in 1..self.sent.len() {
            let step = Step::Sent(at);
            let candidate = &self.sent[at];
            let again = way.iter().any(|step| {
                self.at(*step).key_info == candidate.key_info
                    && self.at(*step).subject_raw == candidate.subject_raw
            });
            if !again && self.issued(top, candidate) {
                way.push(step);
                let done = self.walk(way, best);
                way.pop();
                if done {
                    return true;
                }
            }
        }
        false
    }

    fn offer(&self, path: Path, best: &mut Path) -> bool {
        let better = (path.trusted, self.in_date(&path)) > (best.trusted, self.in_date(best))
            || (!path.trusted && !best.trusted && path.steps.len() > best.steps.len());
        if better {
            *best = path;
        }
        best.trusted && self.in_date(best)
    }

    fn in_date(&self, path: &Path) -> bool {
        path.trusted
            && path.steps.iter().skip(1).all(|step| {
                let certificate = self.at(*step);
                certificate.not_before <= self.now && self.now <= certificate.not_after
            })
    }

    fn issued(&mut self, child: &ParsedCertificate, parent: &ParsedCertificate) -> bool {
        if !same_name(child, parent) || self.budget == 0 {
            return false;
        }
        self.budget -= 1;
        signed_by(child, parent) != Signed::No
    }

    /// The certificate of a step.
    pub fn at(&self, step: Step) -> &'a ParsedCertificate {
        match step {
            Step::Sent(at) => &self.sent[at],
            Step::Root(at) => &self.roots[at],
        }
    }
}

/// The child names the parent as its issuer.
pub(crate) fn same_name(child: &ParsedCertificate, parent: &ParsedCertificate) -> bool {
    child.issuer_raw == parent.subject_raw || child.issuer.eq_ignore_ascii_case(&parent.subject)
}
