//! The reports of each packet gathered, and the few steps that matter chosen.

use super::event::{Event, Source};
use super::setup::place_of;
use netwhy_model::host::{Hook, Rule, RuleVerdict, Ruleset, TraceStep};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Packets remembered at once; the oldest is forgotten first.
const PACKET_COUNT_MAX: usize = 4096;
/// Reports kept of one packet until they are taken.
const EVENT_COUNT_MAX: usize = 256;
/// Steps one call gives.
const STEP_COUNT_MAX: usize = 4096;

/// Every packet that was reported lately.
#[derive(Debug, Default)]
pub(super) struct Packets {
    /// Which of the packets in `order` an id means now: the kernel uses ids again.
    by_id: HashMap<u32, u64>,
    packets: HashMap<u64, Packet>,
    order: VecDeque<u64>,
    count: u64,
}

#[derive(Debug)]
struct Packet {
    id: u32,
    addresses: Option<(SocketAddr, SocketAddr)>,
    /// As the last of our rules that marked it saw them: they may be of the next packet with that id.
    marked: Option<(SocketAddr, SocketAddr)>,
    /// The hook it is in.
    hook: Option<Hook>,
    /// Hooks whose first chain it passed.
    entered: Vec<Hook>,
    events: Vec<(Event, Option<Hook>, bool)>,
}

impl Packets {
    /// Takes one report; `own` is the table of our own.
    pub(super) fn add(&mut self, event: Event, own: &str) {
        let ours = event.table == own;
        let place = if ours { place_of(&event.chain) } else { None };
        let Some(packet) = self.packet(&event, place) else { return };
        if let Some((hook, _)) = place {
            packet.hook = Some(hook);
        }
        if packet.addresses.is_none() {
            packet.addresses = event.addresses;
        }
        if ours && event.source == Source::Rule {
            packet.marked = event.addresses.or(packet.marked);
        }
        let hook = packet.hook;
        if packet.events.len() < EVENT_COUNT_MAX {
            packet.events.push((event, hook, ours));
        }
    }

    /// The packet of a report: a new one when its id is new, or when it enters a hook that it was in before.
    fn packet(&mut self, event: &Event, place: Option<(Hook, bool)>) -> Option<&mut Packet> {
        let enters =
            place.filter(|(_, first)| *first && event.source == Source::Policy).map(|(hook, _)| hook);
        let known = self.by_id.get(&event.packet).copied();
        let again = known
            .and_then(|number| self.packets.get(&number))
            .is_some_and(|packet| enters.is_some_and(|hook| packet.entered.contains(&hook)));
        let number = match known.filter(|number| !again && self.packets.contains_key(number)) {
            Some(number) => number,
            None => {
                let marked = known.and_then(|number| self.packets.get(&number)?.marked);
                self.begin(event.packet, marked)
            }
        };
        let packet = self.packets.get_mut(&number)?;
        packet.entered.extend(enters);
        Some(packet)
    }

    fn begin(&mut self, id: u32, addresses: Option<(SocketAddr, SocketAddr)>) -> u64 {
        if self.order.len() >= PACKET_COUNT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.packets.remove(&oldest);
        }
        self.count += 1;
        let packet =
            Packet { id, addresses, marked: None, hook: None, entered: Vec::new(), events: Vec::new() };
        self.packets.insert(self.count, packet);
        self.by_id.insert(id, self.count);
        self.order.push_back(self.count);
        if self.by_id.len() > 2 * PACKET_COUNT_MAX {
            let packets = &self.packets;
            self.by_id.retain(|_, number| packets.contains_key(number));
        }
        self.count
    }

    /// Gives the steps of everything reported since the last call, packet by packet.
    pub(super) fn take(&mut self, ruleset: &Ruleset) -> Vec<TraceStep> {
        let mut steps = Vec::new();
        for number in &self.order {
            let Some(packet) = self.packets.get_mut(number).filter(|packet| !packet.events.is_empty()) else {
                continue;
            };
            steps.extend(decisive(packet, ruleset));
            if steps.len() >= STEP_COUNT_MAX {
                steps.truncate(STEP_COUNT_MAX);
                break;
            }
        }
        steps
    }
}

/// What decided about the packet, in order: stops and translations, the last accept, and how far it came.
fn decisive(packet: &mut Packet, ruleset: &Ruleset) -> Vec<TraceStep> {
    let mut steps: Vec<(usize, TraceStep)> = Vec::new();
    let (mut last_accept, mut last_own) = (None, None);
    let (from, to) = packet.addresses.unwrap_or((NOWHERE, NOWHERE));
    for (order, (event, hook, ours)) in std::mem::take(&mut packet.events).into_iter().enumerate() {
        if event.source == Source::Return || (ours && event.source != Source::Policy) {
            continue;
        }
        let rule = find(ruleset, &event);
        let verdict = verdict(&event, rule);
        let accepts = verdict == RuleVerdict::Accept;
        let goes_on = matches!(
            verdict,
            RuleVerdict::Continue | RuleVerdict::Jump(_) | RuleVerdict::Goto(_) | RuleVerdict::Return
        );
        if goes_on {
            continue;
        }
        let step = TraceStep {
            packet: packet.id,
            from,
            to,
            family: event.family.to_owned(),
            table: event.table,
            chain: event.chain,
            hook: hook.or_else(|| rule.and_then(|rule| rule.hook)),
            handle: event.handle,
            verdict,
            text: rule.map_or_else(String::new, |rule| rule.text.clone()),
        };
        match (ours, accepts) {
            (true, _) => last_own = Some((order, step)),
            (false, true) => last_accept = Some((order, step)),
            (false, false) => steps.push((order, step)),
        }
    }
    steps.extend(last_accept);
    steps.extend(last_own);
    steps.sort_by_key(|(order, _)| *order);
    steps.into_iter().map(|(_, step)| step).collect()
}

const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

fn find<'a>(ruleset: &'a Ruleset, event: &Event) -> Option<&'a Rule> {
    ruleset.rules.iter().find(|rule| {
        rule.handle == event.handle
            && (rule.position == 0) == (event.source == Source::Policy)
            && rule.chain == event.chain
            && rule.table == event.table
            && rule.family == event.family
    })
}

/// The verdict of a report; where the rule knows more of it than the kernel says, the rule's.
fn verdict(event: &Event, rule: Option<&Rule>) -> RuleVerdict {
    let Some(rule) = rule else { return event.verdict.clone() };
    match (&event.verdict, &rule.verdict) {
        // A reject drops once it has answered.
        (RuleVerdict::Drop, RuleVerdict::Reject(_))
        // A translation accepts.
        | (RuleVerdict::Accept, RuleVerdict::Nat(_))
        // A SYN that is answered by the kernel itself is taken over.
        | (RuleVerdict::Continue | RuleVerdict::Drop, RuleVerdict::SynProxy)
        | (RuleVerdict::Continue, RuleVerdict::NoTrack) => rule.verdict.clone(),
        (verdict, _) => verdict.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "netwhy_trace_1";

    fn event(
        packet: u32,
        table: &str,
        chain: &str,
        source: Source,
        handle: u64,
        verdict: RuleVerdict,
    ) -> Event {
        Event {
            packet,
            source,
            family: "inet",
            table: table.into(),
            chain: chain.into(),
            handle,
            verdict,
            addresses: Some(("10.0.0.1:4000".parse().unwrap(), "10.0.0.2:80".parse().unwrap())),
        }
    }

    fn own(packet: u32, chain: &str) -> Event {
        event(packet, OWN, chain, Source::Policy, 0, RuleVerdict::Accept)
    }

    #[test]
    fn a_dropped_packet_gives_the_drop_and_how_far_it_came() {
        let mut packets = Packets::default();
        for event in [
            own(7, "prerouting-first"),
            own(7, "prerouting-last"),
            own(7, "input-first"),
            event(7, "filter", "input", Source::Rule, 3, RuleVerdict::Jump("bans".into())),
            event(7, "filter", "bans", Source::Rule, 9, RuleVerdict::Drop),
        ] {
            packets.add(event, OWN);
        }
        let steps = packets.take(&Ruleset::default());
        let seen: Vec<(&str, u64, Option<Hook>)> =
            steps.iter().map(|step| (step.chain.as_str(), step.handle, step.hook)).collect();
        assert_eq!(seen, [("input-first", 0, Some(Hook::Input)), ("bans", 9, Some(Hook::Input))]);
        assert!(packets.take(&Ruleset::default()).is_empty());
    }

    #[test]
    fn an_id_that_comes_again_is_another_packet() {
        let mut packets = Packets::default();
        for _ in 0..2 {
            packets.add(own(7, "prerouting-first"), OWN);
            packets.add(own(7, "input-first"), OWN);
        }
        assert_eq!(packets.take(&Ruleset::default()).len(), 2);
    }
}
