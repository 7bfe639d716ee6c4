//! The first rule of a long chain, at or after a position, that a packet can match.
//!
//! Every rule is held to a box of addresses, ports and protocols that it cannot match outside of. A rule that is
//! nothing but its box need not be asked again.

mod bounds;

use super::compile::{Act, Rule, SetData};
use crate::points::{Bounds, Point, Points};

/// What a rule does that its box tells wholly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    Nothing,
    Act(Act),
}

#[derive(Debug)]
pub struct Index {
    boxes: Points,
    /// For each rule, unless it must be asked.
    plain: Vec<Option<Plain>>,
}

impl Index {
    pub fn new(rules: &[Rule], sets: &[SetData], six: bool) -> Index {
        let (boxes, plain): (Vec<Bounds>, _) = rules.iter().map(|rule| Bounds::of(rule, sets, six)).unzip();
        Index { boxes: Points::new(&boxes, six), plain }
    }

    /// The first rule from `from` on whose box holds the packet, and what it does where that is all of it.
    pub fn next(&self, from: usize, point: &Point) -> Option<(usize, Option<Plain>)> {
        let from = u32::try_from(from).unwrap_or(u32::MAX);
        let rule = self.boxes.first(point, from..u32::MAX, |_| true)? as usize;
        Some((rule, self.plain.get(rule).copied().flatten()))
    }
}
