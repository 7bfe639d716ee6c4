//! What a match does: sets variables, switches things, stops the request.

use super::run::{Noted, Removed, Run, Which};
use crate::facts::Processor;
use crate::place::both;
use crate::rule::{Change, Control, Disruptive, Engine, Link, Rule, Scope};
use crate::transform::trimmed;

/// How many rules may be switched off for one request.
const REMOVED_COUNT_MAX: usize = 10_000;

impl Run<'_> {
    /// Sets the variables of one rule; notes by how much the anomaly score grew.
    pub(super) fn sets(&mut self, rule: &Rule, link: &Link, noted: &mut Noted) {
        let mut grown = 0;
        for set in link.sets.iter().filter(|set| set.collection == "tx") {
            let Ok(key) = self.expand(&set.key, rule) else { continue };
            let key = String::from_utf8_lossy(&key).to_ascii_lowercase();
            let (template, sign) = match &set.change {
                Change::Remove => {
                    self.memory.remove(&key);
                    continue;
                }
                Change::Set(value) => {
                    if let Ok(value) = self.expand(value, rule) {
                        self.memory.set(key, value);
                    }
                    continue;
                }
                Change::Add(value) => (value, 1),
                Change::Take(value) => (value, -1),
            };
            let by = self.expand(template, rule).map_or(0, |value| number(&value));
            let sum = self.memory.get(&key).map_or(0, number).saturating_add(by.saturating_mul(sign));
            // The totals are built from the levels: what a rule adds itself counts once.
            if key.contains("anomaly_score")
                && !key.starts_with("blocking_")
                && !key.starts_with("detection_")
            {
                grown = grown.max(by.saturating_mul(sign));
            }
            self.memory.set(key, sum.to_string().into_bytes());
        }
        noted.score += grown;
    }

    pub(super) fn controls(&mut self, link: &Link) {
        for control in &link.controls {
            match control {
                Control::Engine(engine) => self.switched.engine = Some(*engine),
                Control::BodyProcessor(name) => self.facts.processor = Processor::named(name),
                Control::BodyAccess(on) => self.switched.body_access = Some(*on),
                Control::ForceBodyVariable(on) => self.facts.force_body = *on,
                Control::RemoveById(ids) => self.remove(Which::Ids(ids.clone()), None),
                Control::RemoveByTag(tag) => self.remove(Which::Tag(tag.clone()), None),
                Control::RemoveByMsg(msg) => self.remove(Which::Msg(msg.clone()), None),
                Control::RemoveTargetById(ids, target) => {
                    self.remove(Which::Ids(ids.clone()), Some(target.clone()))
                }
                Control::RemoveTargetByTag(tag, target) => {
                    self.remove(Which::Tag(tag.clone()), Some(target.clone()))
                }
                Control::RemoveTargetByMsg(msg, target) => {
                    self.remove(Which::Msg(msg.clone()), Some(target.clone()))
                }
            }
        }
    }

    fn remove(&mut self, which: Which, target: Option<crate::rule::Target>) {
        if self.switched.removed.len() < REMOVED_COUNT_MAX {
            self.switched.removed.push(Removed { which, target });
        }
    }

    /// What a rule that matched does to the request: how much of the rest is no longer asked.
    pub(super) fn consequence(&mut self, rule: &Rule) -> Option<Scope> {
        let default = self.default_of(rule.phase);
        let wanted = match &rule.flow.disruptive {
            Some(Disruptive::Block) => default.clone(),
            other => other.clone(),
        }?;
        let status = rule.flow.status;
        let why = match &wanted {
            Disruptive::Pass | Disruptive::Block => return None,
            Disruptive::Allow(scope) => return Some(*scope),
            Disruptive::Deny => {
                let status = status.unwrap_or(403);
                both(format!("denied with {status}"), format!("拒绝，状态码 {status}"))
            }
            Disruptive::Drop => both("the connection is dropped", "连接被断开"),
            Disruptive::Redirect(to) => both(format!("redirected to {to}"), format!("重定向到 {to}")),
            Disruptive::Proxy => both("handed to another server", "转交给其他服务器"),
        };
        if self.engine() != Engine::On {
            return None;
        }
        let status = match wanted {
            Disruptive::Deny => Some(status.unwrap_or(403)),
            Disruptive::Redirect(_) => Some(status.unwrap_or(302)),
            _ => None,
        };
        self.block(rule, status, why);
        Some(Scope::All)
    }
}

fn number(value: &[u8]) -> i64 {
    std::str::from_utf8(trimmed(value)).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
