//! From the policies that select a pod to one gate for each direction.
//!
//! Pods stand in a gate by their addresses. Those whose addresses are not in the files get one of the reserved
//! block 240.0.0.0/4, which nothing outside has.

use super::Kube;
use super::network::Network;
use super::peers::{Compiler, Others};
use super::pod::Pod;
use super::policy::{Direction, Layer, Policy, Rule, Verb};
use super::selector::Selects;
use super::words;
use crate::estate::Because;
use crate::gate::{self, Action, Gate, Kind, Order};
use crate::place::{Place, both};
use crate::read::{Span, merge};
use crate::space::{Cube, Family, subtract};
use netwhy_model::Text;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// The first of the addresses that stand for pods without one, and how many there are.
const STAND_IN_FIRST: u128 = 0xf000_0000;
const STAND_IN_COUNT: u64 = 0x0fff_0000;
/// Where an ingress controller stands that is not among the pods.
pub(super) const CONTROLLER: Span =
    Span { family: Family::V4, first: STAND_IN_FIRST - 1, last: STAND_IN_FIRST - 1 };
/// How many pairs of a rule and a pod are looked at for lint.
const WORK_COUNT_MAX: usize = 20_000_000;
/// How many cubes the gates that are kept may have together.
const BUILT_CUBE_COUNT_MAX: usize = 2_000_000;
/// How many cubes one rule of a gate may have.
const CUBE_COUNT_MAX: usize = 100_000;

/// How ranges of addresses and pods go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Blocks {
    /// Never: a pod is known by its labels alone.
    Apart,
    /// As the network plugin does it.
    Plugin(Option<bool>),
}

/// What a gate is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub pod: usize,
    pub direction: Direction,
    pub network: Network,
    pub blocks: Blocks,
}

/// Gates that have been built.
#[derive(Debug, Default)]
pub(super) struct Built {
    gates: HashMap<Key, Arc<Gate>>,
    cube_count: usize,
    /// Whom the rules of policies mean: the same for every pod that they select.
    meant: Meant,
}

impl Kube {
    /// The addresses of a pod in a network, as gates see them.
    pub(super) fn spans(&self, pod: usize, network: &Network, blocks: Blocks) -> Vec<Span> {
        let known = self.pods.get(pod).map_or(&[][..], |pod| pod.addresses_in(network));
        // Connections between labels alone must not care for addresses that pods happen to have. Neighbours by
        // name are neighbours by number there: what selects a namespace is one range.
        if blocks == Blocks::Apart && !network.is_secondary() {
            let number = STAND_IN_FIRST + pod as u128;
            return vec![Span { family: Family::V4, first: number, last: number }];
        }
        if known.is_empty() {
            return self.stand_ins.get(pod).copied().into_iter().collect();
        }
        merge(&known.iter().map(|address| Span::one(*address)).collect::<Vec<_>>())
    }

    /// The policies that select a pod in one direction, with whether all of its pods are.
    pub(super) fn selecting(&self, key: &Key) -> Vec<(&Policy, Selects)> {
        let selecting = self.selecting_by_number(key).into_iter();
        selecting.filter_map(|(at, selects)| Some((self.policies.get(at)?, selects))).collect()
    }

    /// The same by the places of the policies.
    pub(super) fn selecting_by_number(&self, key: &Key) -> Vec<(usize, Selects)> {
        let Some(pod) = self.pods.get(key.pod) else { return Vec::new() };
        let labels = self.namespace(&pod.namespace).map(|namespace| &namespace.labels);
        let one = |policy: &'_ Policy| {
            let speaks = policy.rules(key.direction).is_some() && self.is_for(policy, &key.network);
            if !speaks {
                return None;
            }
            let selects = policy.subject.select(&pod.namespace, labels, &pod.variants);
            (selects != Selects::None).then_some(selects)
        };
        let policies = self.policies.iter().enumerate();
        policies.filter_map(|(at, policy)| Some((at, one(policy)?))).collect()
    }

    fn is_for(&self, policy: &Policy, network: &Network) -> bool {
        match (&policy.networks, network) {
            (Some(targets), Network::Secondary { name }) => targets
                .iter()
                .any(|(namespace, target)| target == name && self.networks.has(namespace, target)),
            (targets, network) => targets.is_none() && !network.is_secondary(),
        }
    }

    /// The gate of a pod in one direction. Where no policy speaks of it, it lets everything through.
    pub(super) fn gate(&self, key: Key) -> Option<Arc<Gate>> {
        let pod = self.pods.get(key.pod)?;
        let mut built = self.built.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(gate) = built.gates.get(&key) {
            return Some(Arc::clone(gate));
        }
        let gate = Arc::new(compile(self, pod, &key, &mut built.meant));
        built.cube_count += gate.rules.iter().map(|rule| rule.cubes.len()).sum::<usize>();
        if built.cube_count > BUILT_CUBE_COUNT_MAX {
            *built = Built::default();
        }
        built.gates.insert(key, Arc::clone(&gate));
        Some(gate)
    }

    /// What a gate is of, by its name.
    pub(super) fn key_of(&self, gate: &Gate) -> Option<Key> {
        let blocks = Blocks::Plugin(self.options.blocks_match_pods);
        for (at, pod) in self.pods.iter().enumerate().filter(|(_, pod)| gate.name.contains(&pod.id)) {
            for direction in [Direction::Ingress, Direction::Egress] {
                for network in pod.networks() {
                    if name(pod, direction, network) == gate.name {
                        return Some(Key { pod: at, direction, network: network.clone(), blocks });
                    }
                }
            }
        }
        None
    }

    /// The policies that isolate the pod of a gate, each where it says whom it selects.
    pub(super) fn isolating(&self, gate: &Gate) -> Vec<Because> {
        let Some(key) = self.key_of(gate) else { return Vec::new() };
        let selecting = self.selecting(&key);
        let isolating = selecting.iter().filter(|(policy, _)| policy.layer == Layer::Network);
        isolating.map(|(policy, _)| isolates(policy, key.direction)).collect()
    }

    /// Every policy by itself: what its own rules make of each other holds for every pod that it selects.
    pub(super) fn policy_gates(&self) -> Vec<Arc<Gate>> {
        let blocks = Blocks::Plugin(self.options.blocks_match_pods);
        let (mut gates, mut work) = (Vec::new(), 0_usize);
        for policy in &self.policies {
            for direction in [Direction::Ingress, Direction::Egress] {
                let Some(rules) = policy.rules(direction).filter(|rules| !rules.is_empty()) else { continue };
                work = work.saturating_add(rules.len().saturating_mul(self.pods.len()));
                if work > WORK_COUNT_MAX {
                    return gates;
                }
                let network = policy.networks.iter().flatten().next();
                let network =
                    network.map_or(Network::Pod, |(_, name)| Network::Secondary { name: name.clone() });
                let compiler = Compiler::new(self, &network, blocks, direction);
                let mut stack = Stack::default();
                for rule in rules {
                    let others = compiler.others(rule);
                    stack.rule(&compiler, None, (policy, Selects::All), (rule, &others));
                }
                let isolates = policy.layer == Layer::Network;
                gates.push(Arc::new(Gate {
                    name: format!("{} of {}", direction.word(), policy.title()),
                    place: policy.place.clone(),
                    ..stack.gate(direction, isolates)
                }));
            }
        }
        gates
    }
}

/// Stand-ins that stay the same when other pods come and go, so that two versions of a cluster can be compared.
pub(super) fn stand_ins(pods: &[Pod]) -> Vec<Span> {
    let mut taken = std::collections::HashSet::with_capacity(pods.len());
    let mut all = Vec::with_capacity(pods.len());
    for pod in pods {
        let mut hasher = DefaultHasher::new();
        pod.id.hash(&mut hasher);
        let mut at = hasher.finish() % STAND_IN_COUNT;
        // There are far fewer pods than stand-ins, so this ends.
        while !taken.insert(at) {
            at = (at + 1) % STAND_IN_COUNT;
        }
        let number = STAND_IN_FIRST + u128::from(at);
        all.push(Span { family: Family::V4, first: number, last: number });
    }
    all
}

pub(super) fn isolates(policy: &Policy, direction: Direction) -> Because {
    let (en, zh) = words::direction(direction);
    Because {
        place: policy.subject.place.clone(),
        within: policy.title(),
        rule: None,
        text: format!("podSelector: {}", policy.subject.pods),
        why: both(
            format!(
                "it selects the pod, which is thereby isolated for {en}, and none of its rules allows this"
            ),
            format!("它选中该 Pod，{zh}流量因此被隔离，且它没有规则放行"),
        ),
    }
}

fn name(pod: &Pod, direction: Direction, network: &Network) -> String {
    match network {
        Network::Secondary { .. } => format!("{} of {} in {network}", direction.word(), pod.id),
        _ => format!("{} of {}", direction.word(), pod.id),
    }
}

/// Whom a rule means: by its policy and its number there, its direction, the network, and how blocks are taken.
type Meant = HashMap<(usize, u32, Direction, Network, Blocks), Arc<Others>>;

fn compile(kube: &Kube, pod: &Pod, key: &Key, meant: &mut Meant) -> Gate {
    let selecting = kube.selecting_by_number(key);
    let selecting: Vec<(usize, &Policy, Selects)> = selecting
        .into_iter()
        .filter_map(|(at, selects)| Some((at, kube.policies.get(at)?, selects)))
        .collect();
    let compiler = Compiler::new(kube, &key.network, key.blocks, key.direction);
    let isolated = selecting.iter().any(|(_, policy, _)| policy.layer == Layer::Network);
    let mut stack = Stack::default();
    for (number, policy, selects) in &selecting {
        match policy.layer {
            Layer::Admin(_) => {}
            Layer::Network => stack.next_layer(),
            // A pod that a NetworkPolicy selects is none of the baseline's business.
            Layer::Baseline if isolated => continue,
            Layer::Baseline => stack.next_layer(),
        }
        for rule in policy.rules(key.direction).unwrap_or_default() {
            let named = (*number, rule.number, key.direction, key.network.clone(), key.blocks);
            let others = Arc::clone(meant.entry(named).or_insert_with(|| Arc::new(compiler.others(rule))));
            stack.rule(&compiler, Some(pod), (policy, *selects), (rule, &others));
        }
    }
    let first = selecting.iter().find(|(_, policy, _)| !isolated || policy.layer == Layer::Network);
    let place = first.map_or(&pod.place, |(_, policy, _)| &policy.subject.place).clone();
    let gate =
        Gate { name: name(pod, key.direction, &key.network), place, ..stack.gate(key.direction, isolated) };
    let isolating = selecting.iter().filter(|(_, policy, _)| policy.layer == Layer::Network);
    let default_text = default_text(key.direction, isolating.map(|(_, policy, _)| *policy).collect());
    Gate { default_text, ..gate }
}

/// The rules of a gate as they pile up.
#[derive(Default)]
struct Stack {
    rules: Vec<gate::Rule>,
    /// What a rule of this layer has passed to the next one.
    passed: Vec<Cube>,
    passed_in_doubt: Vec<(Vec<Cube>, Text)>,
}

impl Stack {
    /// Adds a rule of a policy that selects a pod: one entry for whom it means, one for each it may mean.
    fn rule(
        &mut self,
        compiler: &Compiler<'_>,
        pod: Option<&Pod>,
        (policy, selects): (&Policy, Selects),
        (rule, others): (&Rule, &Others),
    ) {
        let mut doubts = rule.unmodelled.clone();
        if let (Selects::Some, Some(pod)) = (selects, pod) {
            doubts.push(both(
                format!("{} selects some of the pods of {} and not others", policy.title(), pod.id),
                format!("{} 只选中 {} 的部分 Pod", policy.title(), pod.id),
            ));
        }
        let direction = compiler.direction;
        let cubes = compiler.cubes(pod, rule, &others.certain);
        self.push(entry(policy, rule, direction, cubes, doubts.clone()), rule.verb);
        for (spans, doubt) in &others.doubtful {
            let cubes = compiler.cubes(pod, rule, spans);
            let doubts = doubts.iter().chain([doubt]).cloned().collect();
            self.push(entry(policy, rule, direction, cubes, doubts), rule.verb);
        }
    }

    fn push(&mut self, mut rule: gate::Rule, verb: Verb) {
        for passed in &self.passed {
            rule.cubes = subtract(&rule.cubes, passed);
            if rule.cubes.len() > CUBE_COUNT_MAX {
                break;
            }
        }
        if rule.cubes.len() > CUBE_COUNT_MAX {
            rule.cubes = vec![Cube::all(Family::V4), Cube::all(Family::V6)];
            rule.unmodelled.push(both(
                format!("the rule needs more than {CUBE_COUNT_MAX} boxes"),
                format!("该规则展开后超过 {CUBE_COUNT_MAX} 个区间"),
            ));
        }
        for (passed, doubt) in &self.passed_in_doubt {
            if rule.cubes.iter().any(|cube| passed.iter().any(|other| cube.meets(other))) {
                rule.unmodelled.push(doubt.clone());
            }
        }
        match (verb, rule.unmodelled.first()) {
            // A rule for pods that the files do not have does nothing here; that is told elsewhere.
            _ if rule.cubes.is_empty() => {}
            (Verb::Pass, None) => self.passed.extend(rule.cubes),
            (Verb::Pass, Some(doubt)) => self.passed_in_doubt.push((rule.cubes, doubt.clone())),
            _ => self.rules.push(rule),
        }
    }

    /// What was passed, was passed to here.
    fn next_layer(&mut self) {
        self.passed.clear();
        self.passed_in_doubt.clear();
    }

    /// A gate of these rules; its name and place are still to be given.
    fn gate(self, direction: Direction, isolated: bool) -> Gate {
        let allows = self.rules.iter().all(|rule| rule.action == Action::Allow);
        Gate {
            kind: Kind::KubernetesNetworkPolicy,
            direction: match direction {
                Direction::Ingress => gate::Direction::Inbound,
                Direction::Egress => gate::Direction::Outbound,
            },
            name: String::new(),
            place: Place::whole(&"".into()),
            order: if allows && isolated { Order::AllowOnly } else { Order::FirstMatch },
            stateful: true,
            rules: self.rules,
            default: if isolated { Action::Deny } else { Action::Allow },
            default_text: default_text(direction, Vec::new()),
        }
    }
}

fn entry(
    policy: &Policy,
    rule: &Rule,
    direction: Direction,
    cubes: Vec<Cube>,
    unmodelled: Vec<Text>,
) -> gate::Rule {
    gate::Rule {
        number: rule.number,
        part_of: policy.title().into(),
        place: rule.place.clone(),
        text: words::rule(policy, rule, direction),
        action: if rule.verb == Verb::Deny { Action::Deny } else { Action::Allow },
        cubes,
        unmodelled,
    }
}

fn default_text(direction: Direction, isolating: Vec<&Policy>) -> Text {
    let (en, zh) = words::direction(direction);
    if isolating.is_empty() {
        return both(
            format!("no NetworkPolicy isolates the pod for {en}: what no rule denies is allowed"),
            format!("没有 NetworkPolicy 隔离该 Pod 的{zh}流量：未被拒绝的即放行"),
        );
    }
    let list: Vec<String> =
        isolating.iter().map(|policy| format!("{} ({})", policy.title(), policy.subject.place)).collect();
    both(
        format!(
            "the pod is isolated for {en}, being selected by {}, and no rule of theirs allows it",
            list.join(", ")
        ),
        format!("该 Pod 的{zh}流量被隔离（选中它的策略：{}），且没有规则放行", list.join("、")),
    )
}
