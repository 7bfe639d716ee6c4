//! Through one chain, rule by rule: what may happen to a packet there.
//!
//! A packet of which not everything is known stands for many. The walk follows them all at once: a rule that only
//! some of them match leaves its verdict among the possible ones, and the rest go on.

mod effects;
mod matches;

use super::compile::{Act, Chain, ChainId, Given, Program, Rule, Step};
use super::index::Plain;
use super::memory::Memory;
use super::value::Truth;
use super::work::Work;
use crate::netfilter::packet::RST;
use crate::place::both;
use netwhy_model::Text;

/// How deep chains may call one another; nft itself allows 16.
const JUMP_DEPTH_MAX: usize = 64;
/// How many rules one packet may be held to.
const RULES_ASKED_MAX: usize = 2_000_000;
/// How many reasons for "depends" are told.
const REASONS_MAX: usize = 16;

/// A rule by its chain and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct At {
    pub chain: ChainId,
    pub rule: usize,
}

/// What may have become of a packet; several at once when it depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ends {
    pub accept: bool,
    pub drop: bool,
    pub reject: bool,
    /// Taken away: queued, stolen.
    pub gone: bool,
}

/// What is written down on the way.
#[derive(Debug, Default)]
pub struct Log {
    /// Rules that matched for certain, when asked for.
    pub trail: Option<Vec<At>>,
    pub reasons: Vec<Text>,
    /// The last rule that accepted, and the last that ended the packet's way.
    pub accepted: Option<At>,
    pub ended: Option<At>,
    pub rules_asked: usize,
}

impl Log {
    pub fn because(&mut self, reason: impl FnOnce() -> Text) {
        if self.reasons.len() < REASONS_MAX {
            let reason = reason();
            if !self.reasons.contains(&reason) {
                self.reasons.push(reason);
            }
        }
    }
}

pub struct Walk<'a, 'p> {
    pub program: &'a Program,
    pub memory: &'a mut Memory,
    pub work: &'a mut Work<'p>,
    pub log: &'a mut Log,
    /// What may come of this base chain.
    pub ends: Ends,
}

/// What a rule does to those it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Nothing,
    Act(Act),
    /// Whatever a statement that is not understood does.
    Anything,
    /// Translated, which accepts.
    Translated,
}

impl Walk<'_, '_> {
    /// Whether any packet comes out at the chain's end.
    pub fn chain(&mut self, id: ChainId, depth: usize) -> bool {
        let Some(chain) = self.program.chains.get(id) else { return true };
        if depth > JUMP_DEPTH_MAX || self.log.rules_asked > RULES_ASKED_MAX {
            self.ends = Ends { accept: true, drop: true, ..self.ends };
            self.log.because(|| {
                both("chains call one another too deep or in a circle", "链之间的调用过深或成环")
            });
            return true;
        }
        let mut through = false;
        let mut at = 0;
        while let Some((next, plain)) = self.next(chain, at) {
            self.log.rules_asked += 1;
            let here = At { chain: id, rule: next };
            let (truth, does) = match plain {
                Some(plain) => self.plain(plain, here),
                None => {
                    let Some(rule) = chain.rules.get(next) else { break };
                    self.rule(rule, chain, here)
                }
            };
            at = next + 1;
            if truth == Truth::No {
                continue;
            }
            let goes_on = self.does(does, truth, here, depth, &mut through);
            if !goes_on && truth == Truth::Yes {
                return through;
            }
        }
        true
    }

    /// The next rule from here on that may match.
    fn next(&self, chain: &Chain, from: usize) -> Option<(usize, Option<Plain>)> {
        if let Some(index) = &chain.index[usize::from(self.work.six)]
            && let Some(point) = self.work.point()
        {
            return index.next(from, &point);
        }
        (from < chain.rules.len()).then_some((from, None))
    }

    /// What a rule does whose box alone says that it matches.
    fn plain(&mut self, plain: Plain, here: At) -> (Truth, Does) {
        if let Some(trail) = &mut self.log.trail {
            trail.push(here);
        }
        let does = match plain {
            Plain::Nothing => Does::Nothing,
            Plain::Act(act) => Does::Act(act),
        };
        (Truth::Yes, does)
    }

    /// Holds the packet to one rule, and does what stands in it before its verdict.
    fn rule(&mut self, rule: &Rule, chain: &Chain, here: At) -> (Truth, Does) {
        let mut all = Truth::Yes;
        let mut does = Does::Nothing;
        let optional = self.work.optional;
        for step in &rule.steps {
            let truth = match step {
                Step::Verdict(act) => {
                    does = Does::Act(*act);
                    continue;
                }
                Step::VerdictMap { keys, set } => match self.verdict_of(keys, *set) {
                    Some(Ok(act)) => {
                        does = Does::Act(act);
                        Truth::Yes
                    }
                    Some(Err(())) => {
                        does = Does::Anything;
                        Truth::Maybe
                    }
                    None => Truth::No,
                },
                Step::Nat(nat) => match self.nat(nat, all) {
                    Truth::No => Truth::No,
                    truth => {
                        does = Does::Translated;
                        truth
                    }
                },
                Step::Unknown(text) => {
                    does = Does::Anything;
                    self.log.because(|| text.clone());
                    Truth::Maybe
                }
                step => self.step(step, chain, all),
            };
            if truth == Truth::No {
                self.work.optional = optional;
                return (Truth::No, Does::Nothing);
            }
            if truth == Truth::Maybe {
                all = Truth::Maybe;
                self.work.optional = true;
                self.doubt(rule, step);
            }
        }
        self.work.optional = optional;
        if all == Truth::Yes
            && let Some(trail) = &mut self.log.trail
        {
            trail.push(here);
        }
        (all, does)
    }

    fn doubt(&mut self, rule: &Rule, step: &Step) {
        let line = rule.line;
        if let Some(what) = matches::unknown_of(self.work, step) {
            self.log.because(|| {
                both(format!("line {line}: {what} is not known"), format!("第 {line} 行：{what} 未知"))
            });
        }
    }

    /// Gives whether a packet that matched goes on to the next rule.
    fn does(&mut self, does: Does, truth: Truth, here: At, depth: usize, through: &mut bool) -> bool {
        let sure = truth == Truth::Yes;
        match does {
            Does::Nothing | Does::Act(Act::Continue) => true,
            Does::Translated | Does::Act(Act::Accept) => {
                self.work.optional |= !sure;
                self.ends.accept = true;
                self.log.accepted = Some(here);
                false
            }
            Does::Act(Act::Queue { bypass }) => {
                self.ends.gone = true;
                self.ends.accept |= bypass;
                self.log.because(|| both("a program decides (queue)", "由用户态程序决定（queue）"));
                self.ended(here)
            }
            Does::Act(Act::Drop) => {
                self.ends.drop = true;
                self.ended(here)
            }
            Does::Act(Act::Reject { reset }) => {
                self.ends.reject = true;
                if reset && sure {
                    self.close();
                }
                self.ended(here)
            }
            Does::Act(Act::Stolen) => {
                self.ends.gone = true;
                self.ended(here)
            }
            Does::Act(Act::Return) => {
                self.work.optional |= !sure;
                *through = true;
                false
            }
            Does::Act(Act::Jump(to)) => self.jump(to, sure, depth),
            Does::Act(Act::Goto(to)) => {
                *through |= self.jump(to, sure, depth);
                self.work.optional |= !sure;
                false
            }
            Does::Anything | Does::Act(Act::Nowhere) => {
                self.work.optional = true;
                self.ends = Ends { accept: true, drop: true, ..self.ends };
                true
            }
        }
    }

    /// A reset that the host sends closes the connection, unless it would answer a reset.
    fn close(&mut self) {
        let answered = self.work.packet.flags.is_some_and(|flags| flags & RST == 0);
        if let Some(kept) = self.work.entry.and_then(|entry| self.memory.get_mut(entry))
            && answered
        {
            kept.tcp.close();
        }
    }

    fn ended(&mut self, here: At) -> bool {
        self.log.ended = Some(here);
        false
    }

    fn jump(&mut self, to: ChainId, sure: bool, depth: usize) -> bool {
        let optional = self.work.optional;
        self.work.optional |= !sure;
        let through = self.chain(to, depth + 1);
        if sure {
            return through;
        }
        self.work.optional = optional || self.ends.accept;
        true
    }

    /// The verdict of a map: `Err` when it is not known.
    fn verdict_of(&mut self, keys: &[crate::netfilter::ast::Operand], set: usize) -> Option<Result<Act, ()>> {
        use super::sets::Found;
        match self.find(keys, set) {
            Found::No => None,
            Found::Maybe => Some(Err(())),
            Found::At(at) => match self.program.sets[set].data.get(at) {
                Some(Given::Act(act)) => Some(Ok(*act)),
                _ => Some(Err(())),
            },
        }
    }
}
