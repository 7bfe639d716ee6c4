//! One connection: every gate and route it meets, there and back.

use super::ends::Party;
use super::gates::{Gates, denies_all};
use super::model::Model;
use super::net::{Net, span};
use super::packet::Packets;
use crate::estate::{Fix, Look, Request, Step, Way};
use crate::gate::{Action, Gate};
use crate::list::{Decided, List};
use crate::place::{Place, both};
use crate::space::Family;
use netwhy_model::Text;
use std::sync::Arc;

/// How many NAT gateways one connection may go through.
const NAT_COUNT_MAX: usize = 4;
/// How many steps one question may take.
const STEP_COUNT_MAX: usize = 2_000;

/// What is being told of one question.
pub struct Trip<'a> {
    pub model: &'a Model,
    pub gates: &'a Gates,
    pub family: Family,
    /// What is asked of a balancer, where that is known.
    pub request: Option<&'a Request>,
    pub steps: Vec<Step>,
}

/// How far some packets came.
pub enum Crossed {
    /// At the subnet of the other end, or out of what the files know; as they are there.
    Arrived(Packets),
    /// At this NAT gateway.
    Nat(String, Packets),
    Stopped,
}

/// A part of the way between two things that each have a connection of their own.
struct Stretch {
    start: Party,
    end: Party,
    arrived: Packets,
}

impl Trip<'_> {
    pub fn step(&mut self, way: Way, what: Text, look: Look) {
        // A balancer with many nodes and targets meets the same gate with the same packets again and again.
        let is_known = |step: &Step| step.way == way && step.what == what && is_same(&step.look, &look);
        if self.steps.len() < STEP_COUNT_MAX && !self.steps.iter().any(is_known) {
            self.steps.push(Step { what, way, look });
        }
    }

    pub fn passes(&mut self, way: Way, what: Text, why: Text, place: &Place) {
        self.step(way, what, Look::Passes { why, place: place.clone() });
    }

    pub fn ends(&mut self, way: Way, what: Text, why: Text, place: &Place, fix: Vec<Fix>) -> Crossed {
        self.step(way, what, Look::Ends { why, place: place.clone(), fix });
        Crossed::Stopped
    }

    pub fn depends(&mut self, way: Way, what: Text, on: Text, place: &Place) -> Crossed {
        self.step(way, what, Look::Depends { on, place: place.clone() });
        Crossed::Stopped
    }

    /// Follows the first packets of a connection to its end, and the answers back.
    pub fn connect(&mut self, from: &Party, to: &Party, protocol: u8, port: Option<u16>) {
        let by_public = !to.is_outside()
            && (to.asked_publicly || !to.asked_privately && from.is_outside() && from.is_public(self.family));
        let destination = match to.public {
            Some(public) if by_public => vec![(public, public)],
            _ => to.own.clone(),
        };
        let mut packets = Packets::opening(self.family, protocol, port).from(&from.own).to(&destination);
        packets.source_guess = self.guess(from);
        packets.destination_guess = self.guess(to).filter(|_| destination == to.own);
        self.groups(Way::There, from, true, &packets);
        let Some(stretches) = self.there(from, to, packets.clone()) else {
            // What else stands in the way is told too, as far as it is known.
            if !from.is_outside() && !to.is_outside() && !by_public && !to.nobody {
                self.acl_of(Way::There, to, false, &packets);
                self.groups(Way::There, to, false, &packets);
            }
            return;
        };
        if let Some(last) = stretches.last() {
            if to.nobody {
                return self.nobody(to);
            }
            self.groups(Way::There, to, false, &last.arrived.clone());
        }
        for stretch in stretches.iter().rev() {
            self.back(stretch);
        }
    }

    fn there(&mut self, from: &Party, to: &Party, mut packets: Packets) -> Option<Vec<Stretch>> {
        let (mut stretches, mut start) = (Vec::new(), from.clone());
        for _ in 0..NAT_COUNT_MAX {
            match self.cross(Way::There, &start, to, packets.clone()) {
                Crossed::Arrived(arrived) => {
                    stretches.push(Stretch { start, end: to.clone(), arrived });
                    return Some(stretches);
                }
                Crossed::Nat(id, arrived) => {
                    let nat = self.translate(&id, &start)?;
                    packets = arrived.clone().from(&nat.own);
                    stretches.push(Stretch { start, end: nat.clone(), arrived });
                    start = nat;
                }
                Crossed::Stopped => return None,
            }
        }
        None
    }

    fn back(&mut self, stretch: &Stretch) {
        let (start, end) = (&stretch.start, &stretch.end);
        let mut answers = stretch.arrived.answers(start.client_ports, start.client);
        if end.is_outside() {
            // They come back the way the connection went out, which the gateway remembers or needs not to.
            answers = answers.to(&start.own);
            return self.acl_of(Way::Back, start, false, &answers);
        }
        if let Crossed::Nat(id, _) = self.cross(Way::Back, end, start, answers) {
            let what = both("the route of the answers", "应答的路由");
            let why = both(
                format!(
                    "the answers would go out through {id}, which knows nothing of a connection that came in \
                         another way, and drops them"
                ),
                format!("应答会经 {id} 发出，而它没有从别处进入的连接的记录，会丢弃应答"),
            );
            let place = self.model.nats.get(&id).map_or_else(|| end.place.clone(), |nat| nat.place.clone());
            let fix = self.route_fix(end, start);
            self.ends(Way::Back, what, why, &place, fix);
        }
    }

    /// From one party to another: the subnet's ACL, its route, what that leads through, the other subnet's ACL.
    fn cross(&mut self, way: Way, start: &Party, end: &Party, packets: Packets) -> Crossed {
        let by_public = packets.destination != end.own;
        if start.subnet.is_some() && start.subnet == end.subnet && !by_public {
            return Crossed::Arrived(packets);
        }
        let crossed = if start.is_outside() {
            self.enter(way, start, end, packets)
        } else {
            self.acl_of(way, start, true, &packets);
            self.route(way, start, end, packets)
        };
        let Crossed::Arrived(arrived) = crossed else { return crossed };
        if !end.is_outside() && end.subnet.is_none() {
            let what =
                both(format!("{}, for the destination", end.title), format!("{}，目的地址", end.title));
            let why = both("no subnet of this VPC has the address", "该 VPC 没有包含此地址的子网");
            return self.ends(way, what, why, &end.place, Vec::new());
        }
        self.acl_of(way, end, false, &arrived);
        Crossed::Arrived(arrived)
    }

    /// Nothing in the files has the address that the packets arrived for.
    fn nobody(&mut self, to: &Party) {
        let what = both(format!("the destination in {}", to.title), format!("{} 中的目的地址", to.title));
        let has_one = self.model.interfaces.iter().any(|each| {
            Some(&each.subnet) == to.subnet.as_ref() && {
                let within =
                    |number: u128| to.own.iter().any(|(first, last)| *first <= number && number <= *last);
                each.addresses.iter().any(|address| within(super::net::number(address.private)))
            }
        });
        if has_one {
            let on = both("which of the interfaces in this range is meant", "取决于该范围内的哪个网络接口");
            self.depends(Way::There, what, on, &to.place);
        } else if self.model.described {
            let why = both("no network interface has this address", "没有网络接口使用该地址");
            self.ends(Way::There, what, why, &to.place, Vec::new());
        } else {
            let on =
                both("no interface with this address is among the files", "所给文件中没有使用该地址的接口");
            self.depends(Way::There, what, on, &to.place);
        }
    }

    /// The subnet in which the address of a party is only guessed.
    fn guess(&self, party: &Party) -> Option<Net> {
        let subnet = self.model.subnets.get(party.subnet.as_deref()?).filter(|_| party.is_guess)?;
        subnet.cidrs.iter().find(|net| net.family == self.family).copied()
    }

    /// Asks a gate; it depends where a rule is for a part of the subnet in which an address is not known.
    fn ask(&mut self, way: Way, what: Text, gate: Arc<Gate>, packets: &Packets) {
        let cuts = |guess: Option<Net>, (first, last): (u128, u128)| {
            guess.is_some_and(|net| {
                let within = span(net.family, (first, last));
                first != last && within.and(&net).is_some() && !within.contains(&net)
            })
        };
        let unsure = gate.rules.iter().find(|rule| {
            rule.cubes.iter().any(|cube| {
                cube.family == packets.family
                    && (cuts(packets.source_guess, cube.source)
                        || cuts(packets.destination_guess, cube.destination))
            })
        });
        if let Some(rule) = unsure {
            let on = both(
                format!(
                    "the address is given when it is made, and this rule is for a part of its subnet: {}",
                    rule.text
                ),
                format!("地址在创建时才分配，而该规则只针对其子网的一部分：{}", rule.text),
            );
            let place = rule.place.clone();
            self.depends(way, what, on, &place);
            return;
        }
        self.step(way, what, Look::Gate { gate, packets: packets.cubes() });
    }

    /// The security groups of a party, when it has any.
    pub fn groups(&mut self, way: Way, party: &Party, is_outbound: bool, packets: &Packets) {
        let (gate, missing) = self.gates.of_groups(self.model, &party.groups, is_outbound);
        let (en, zh) = if is_outbound { ("outbound", "出站") } else { ("inbound", "入站") };
        let what = both(
            format!("security groups of {}, {en}", party.title),
            format!("{} 的安全组，{zh}", party.title),
        );
        if let Some(gate) = gate {
            let lets = |cube| {
                let list = List::new(&gate);
                list.decide(&cube).is_ok_and(|parts| {
                    parts.iter().all(|part| matches!(part.decided, Decided::Rule(_, Action::Allow)))
                })
            };
            let sure = missing.is_empty() || packets.cubes().into_iter().all(lets);
            if sure {
                return self.ask(way, what, gate, packets);
            }
        }
        if let Some(id) = missing.first() {
            let on = both(
                format!("security group {id} is not among the files, and may allow it"),
                format!("安全组 {id} 不在所给文件中，可能放行"),
            );
            self.depends(way, what, on, &party.place);
        }
    }

    /// The network ACL of the subnet of a party.
    pub fn acl_of(&mut self, way: Way, party: &Party, is_outbound: bool, packets: &Packets) {
        if let Some(subnet) = party.subnet.clone() {
            self.acl(way, &subnet, &party.place, is_outbound, packets);
        }
    }

    pub fn acl(&mut self, way: Way, subnet: &str, place: &Place, is_outbound: bool, packets: &Packets) {
        let (en, zh) = if is_outbound { ("outbound", "出站") } else { ("inbound", "入站") };
        let mut what = both(format!("network ACL of {subnet}, {en}"), format!("{subnet} 的网络 ACL，{zh}"));
        let vpc = self.model.subnets.get(subnet).map(|subnet| subnet.vpc.as_str());
        let explicit = self.model.acls.iter().find(|acl| acl.subnets.iter().any(|each| each == subnet));
        let default = || self.model.acls.iter().find(|acl| acl.is_default && Some(acl.vpc.as_str()) == vpc);
        let gate = explicit.or_else(default).and_then(|acl| self.gates.acl(&acl.id, is_outbound));
        match gate {
            Some(gate) => {
                if way == Way::Back && matches!(packets.protocol, 6 | 17) {
                    let (en, zh) = ports_told(&gate, packets);
                    what.en.push_str(&en);
                    what.zh.push_str(&zh);
                }
                self.ask(way, what, gate, packets);
            }
            None if self.model.acls_told => {
                let on = both(
                    "no network ACL of this subnet is among the files",
                    "该子网的网络 ACL 不在所给文件中",
                );
                self.depends(way, what, on, place);
            }
            None => {
                let why = both(
                    "no network ACL of this subnet is among the files: taken for the default one, which lets all through",
                    "所给文件没有该子网的网络 ACL：按放行一切的默认 ACL 处理",
                );
                self.passes(way, what, why, place);
            }
        }
    }
}

fn is_same(one: &Look, other: &Look) -> bool {
    match (one, other) {
        (Look::Gate { gate, packets }, Look::Gate { gate: other, packets: others }) => {
            Arc::ptr_eq(gate, other) && packets == others
        }
        (Look::Passes { why, place }, Look::Passes { why: other, place: there }) => {
            why == other && place == there
        }
        (Look::Depends { on, place }, Look::Depends { on: other, place: there }) => {
            on == other && place == there
        }
        (Look::Ends { why, place, .. }, Look::Ends { why: other, place: there, .. }) => {
            why == other && place == there
        }
        _ => false,
    }
}

/// Whether something on a way stops all of it.
pub fn is_stopped(steps: &[Step]) -> bool {
    steps.iter().any(stops)
}

/// Whether nothing comes through a step.
pub fn stops(step: &Step) -> bool {
    match &step.look {
        Look::Ends { .. } => true,
        Look::Gate { gate, packets } => {
            let list = List::new(gate);
            packets.iter().all(|cube| denies_all(&list, cube))
        }
        _ => false,
    }
}

/// Which ports the answers go to, and how many of them are let through.
fn ports_told(gate: &Arc<Gate>, packets: &Packets) -> (String, String) {
    let ((first, last), client) = (packets.destination_ports, packets.client);
    let list = List::new(gate);
    let mut allowed: Vec<(u16, u16)> = Vec::new();
    let cubes = packets.cubes();
    for part in cubes.iter().take(1).filter_map(|cube| list.decide(cube).ok()).flatten() {
        if matches!(part.decided, Decided::Rule(_, Action::Allow) | Decided::Default(Action::Allow)) {
            allowed.push(part.packets.destination_ports);
        }
    }
    allowed.sort_unstable();
    allowed.dedup();
    let count: u32 = allowed.iter().map(|(first, last)| u32::from(*last - *first) + 1).sum();
    let (en, zh) = match count {
        0 => ("none of them let through".to_owned(), "均未放行".to_owned()),
        count if count > u32::from(last - first) => {
            ("all of them let through".to_owned(), "全部放行".to_owned())
        }
        _ => {
            let ranges: Vec<String> = allowed.iter().map(|(first, last)| format!("{first}-{last}")).collect();
            (format!("only {} let through", ranges.join(", ")), format!("只放行 {}", ranges.join("、")))
        }
    };
    (
        format!(": answers to ports {first}-{last} of {client}, {en}"),
        format!("：应答到 {client} 的端口 {first}-{last}，{zh}"),
    )
}
