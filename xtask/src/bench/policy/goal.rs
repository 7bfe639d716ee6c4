//! What must be reached, and whether it was.

use super::{Figures, LARGE, MIDDLE, Measured, SMALL};

/// On which side of the limit a figure must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Below,
    Above,
}

/// One figure that must be reached on every list of a size.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    pub what: What,
    pub rules: usize,
    pub side: Side,
    pub limit: f64,
}

/// In the order of the words of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Audit,
    Verdicts,
    Question,
    Difference,
    Reading,
    Memory,
    Aerleon,
}

const fn goal(what: What, rules: usize, side: Side, limit: f64) -> Goal {
    Goal { what, rules, side, limit }
}

/// All of them, in the order of the page.
pub const GOALS: [Goal; 9] = [
    goal(What::Audit, MIDDLE, Side::Below, 60.0),
    goal(What::Audit, LARGE, Side::Below, 7_000.0),
    goal(What::Verdicts, MIDDLE, Side::Above, 2e6),
    goal(What::Question, MIDDLE, Side::Below, 20.0),
    goal(What::Difference, LARGE, Side::Below, 1.0),
    goal(What::Reading, LARGE, Side::Below, 600.0),
    goal(What::Memory, LARGE, Side::Below, 150.0),
    goal(What::Aerleon, SMALL, Side::Above, 2_000.0),
    goal(What::Aerleon, MIDDLE, Side::Above, 2_000.0),
];

impl Goal {
    /// What was reached, list by list; nothing where it was not measured.
    pub fn reached<'a>(&self, figures: &'a Figures) -> Vec<(&'a str, f64)> {
        let lists = figures.lists.iter().filter(|list| list.rules == self.rules);
        lists.filter_map(|list| Some((list.profile.as_str(), self.of(list)?))).collect()
    }

    fn of(&self, list: &Measured) -> Option<f64> {
        match self.what {
            What::Audit => list.median("audit_ms"),
            What::Verdicts => list.median("verdicts_per_s"),
            What::Question => list.median("question_p99_us"),
            What::Difference => list.median("diff_ms"),
            What::Reading => list.median("read_ms"),
            What::Memory => Some(list.runs.get("peak_mb")?.iter().copied().fold(0.0, f64::max)),
            What::Aerleon => list.aerleon_times(),
        }
    }

    /// Whether a figure is good enough.
    pub fn holds(&self, figure: f64) -> bool {
        match self.side {
            Side::Below => figure <= self.limit,
            Side::Above => figure >= self.limit,
        }
    }
}
