//! What a listener does with a connection: its rules, and what it does with the rest.

use super::Hop;
use crate::aws::ends::Party;
use crate::aws::model::{Condition, Listener, ListenerRule};
use crate::aws::net::span;
use crate::aws::trip::{Trip, is_stopped, stops};
use crate::estate::{Look, Request, Step, Way};
use crate::glob::fits;
use crate::place::{Place, both};
use crate::space::Family;
use netwhy_model::Text;

/// Where some requests go.
struct Branch {
    /// Which requests: `path-pattern /api/*`.
    requests: Text,
    place: Place,
    steps: Vec<Step>,
}

/// Whether a rule takes a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Never,
    Some,
    All,
}

impl Trip<'_> {
    /// Follows what a listener sends on. Where only some requests are stopped, the answer depends on the request.
    pub(super) fn listened(&mut self, listener: &Listener, hop: &Hop<'_>) {
        let mut branches = Vec::new();
        let mut rest = true;
        for rule in &listener.rules {
            let takes = takes(rule, hop.from, self.family, self.request);
            if takes != Takes::Never {
                let steps = self.branch(&rule.target_groups, hop, &rule.place);
                branches.push(Branch { requests: requests(rule), place: rule.place.clone(), steps });
            }
            if takes == Takes::All {
                rest = false;
                break;
            }
        }
        if rest {
            let steps = self.branch(&listener.target_groups, hop, &listener.place);
            let requests = both("requests that no rule takes", "未匹配任何规则的请求");
            branches.push(Branch { requests, place: listener.place.clone(), steps });
        }
        let stopped = branches.iter().filter(|branch| is_stopped(&branch.steps)).count();
        let mixed = stopped > 0 && stopped < branches.len();
        for branch in branches {
            if mixed && is_stopped(&branch.steps) {
                self.some_stopped(branch);
            } else {
                branch.steps.into_iter().for_each(|step| self.step(step.way, step.what, step.look));
            }
        }
    }

    /// The steps to some target groups, by themselves.
    fn branch(&mut self, target_groups: &[String], hop: &Hop<'_>, place: &Place) -> Vec<Step> {
        let before = std::mem::take(&mut self.steps);
        if target_groups.is_empty() {
            let what = both("the listener's action", "监听器的动作");
            let why = both("answered by the balancer itself", "由负载均衡自身应答");
            self.passes(Way::There, what, why, place);
        }
        for id in target_groups {
            match self.model.target_groups.get(id).cloned() {
                Some(group) => self.targets(hop, &group),
                None => {
                    let what = both(format!("target group {id}"), format!("目标组 {id}"));
                    let on = both("it is not among the files", "不在所给文件中");
                    self.depends(Way::There, what, on, place);
                }
            }
        }
        std::mem::replace(&mut self.steps, before)
    }

    /// Says that the answer depends on the request, and what stops some of them.
    fn some_stopped(&mut self, branch: Branch) {
        let Branch { requests, place, steps } = branch;
        for step in steps.iter().filter(|step| stops(step)) {
            let (what, at) = (&step.what, stop_place(&step.look).unwrap_or(&place));
            let on = both(
                format!("the request: {} are stopped by {} ({at})", requests.en, what.en),
                format!("请求本身：{}被{}拦截（{at}）", requests.zh, what.zh),
            );
            let what = both("the rule of the listener", "监听器规则");
            self.depends(Way::There, what, on, &place);
        }
    }
}

fn stop_place(look: &Look) -> Option<&Place> {
    match look {
        Look::Gate { gate, .. } => Some(&gate.place),
        Look::Ends { place, .. } => Some(place),
        _ => None,
    }
}

fn requests(rule: &ListenerRule) -> Text {
    let written = |one: &Condition| format!("{} {}", one.field, one.values.join(" ")).trim_end().to_owned();
    let mut conditions: Vec<String> = rule.requests.iter().map(written).collect();
    conditions.extend(rule.sources.as_ref().map(|_| "source-ip".to_owned()));
    let conditions = conditions.join(", ");
    both(format!("requests with {conditions}"), format!("满足 {conditions} 的请求"))
}

/// A condition on the client is worked out where its address is as it was: outside, or in the same network. One on
/// the request is where the request is known.
fn takes(rule: &ListenerRule, from: &Party, family: Family, request: Option<&Request>) -> Takes {
    let by_source = match &rule.sources {
        None => Takes::All,
        Some(_) if !from.is_outside() => Takes::Some,
        Some(nets) => {
            let inside = |range: &(u128, u128)| nets.iter().any(|net| net.contains(&span(family, *range)));
            let meets =
                |range: &(u128, u128)| nets.iter().any(|net| net.and(&span(family, *range)).is_some());
            match () {
                () if from.own.iter().all(inside) => Takes::All,
                () if from.own.iter().any(meets) => Takes::Some,
                () => Takes::Never,
            }
        }
    };
    rule.requests.iter().fold(by_source, |so_far, condition| match holds(condition, request) {
        Some(true) => so_far,
        Some(false) => Takes::Never,
        None if so_far == Takes::Never => Takes::Never,
        None => Takes::Some,
    })
}

/// Whether a request meets a condition; nothing where that cannot be told.
fn holds(condition: &Condition, request: Option<&Request>) -> Option<bool> {
    let (request, values) = (request?, &condition.values);
    if values.is_empty() {
        return None;
    }
    match condition.field.as_str() {
        // Names are compared without regard to case, paths with it.
        "host-header" => {
            let host = request.host.to_ascii_lowercase();
            Some(values.iter().any(|value| fits(&value.to_ascii_lowercase(), &host)))
        }
        "path-pattern" => Some(values.iter().any(|value| fits(value, &request.path))),
        _ => None,
    }
}
