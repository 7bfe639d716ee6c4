//! What the lanes say together: the facts of the path. Pure.

use super::lane::Lane;
use crate::icmp::{Answer, Reply, millis};
use std::net::IpAddr;

/// Tries after which a hop that stays silent counts as silent.
pub const TRIES_COUNT: u32 = 3;

/// Routers taking part in a loop, at most; longer ones are found by the ordinary TTL running out.
const LOOP_ROUTERS_MAX: usize = 4;

/// Hops in which way out and way back may differ before an odd initial TTL is the likelier reason.
const ASYMMETRY_HOPS_MAX: u8 = 10;

/// Where the SYN gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynTrace {
    Reaches,
    AtLastRouter,
    Earlier,
    /// Dies somewhere behind the last router that answers, and nothing tells how far the target is.
    Stops,
    Loops,
    Unreachable,
}

impl SynTrace {
    /// The value of `path.syn_trace`.
    pub const fn name(self) -> &'static str {
        match self {
            SynTrace::Reaches => "reaches",
            SynTrace::AtLastRouter => "at_last_router",
            SynTrace::Earlier => "earlier",
            SynTrace::Stops => "stops",
            SynTrace::Loops => "loops",
            SynTrace::Unreachable => "unreachable",
        }
    }
}

/// A forwarding loop: where it starts and who takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    pub ttl: u8,
    pub routers: Vec<Option<IpAddr>>,
}

/// Finds a router that answers at three TTLs in equal steps of two or more with others between.
pub fn find_loop(routers: &[Option<IpAddr>]) -> Option<Loop> {
    for step in 2..=LOOP_ROUTERS_MAX {
        for start in 0..routers.len() {
            let Some(address) = routers[start] else { continue };
            let turn = |times: usize| routers.get(start + step * times).copied().flatten() == Some(address);
            let between = &routers[start + 1..(start + step).min(routers.len())];
            if turn(1) && turn(2) && between.iter().all(|other| *other != Some(address)) {
                let ttl = u8::try_from(start + 1).unwrap_or(u8::MAX);
                return Some(Loop { ttl, routers: routers[start..start + step].to_vec() });
            }
        }
    }
    None
}

/// Routers an answer crossed, from the TTL it arrived with: senders start at 64, 128 or 255.
pub const fn hops_back(ttl: u8) -> u8 {
    match ttl {
        0..=64 => 64 - ttl,
        65..=128 => 128 - ttl,
        _ => 255 - ttl,
    }
}

/// The lanes of one target.
#[derive(Debug, Clone)]
pub struct Traced {
    pub syn: Lane,
    pub ping: Lane,
    /// A SYN to a port of the same host that is most likely closed; asked only when it matters.
    pub control: Option<Lane>,
}

type Told = Option<(&'static str, String)>;

impl Traced {
    /// `path.ping_trace`.
    pub fn ping_trace(&self) -> Told {
        if let Some((ttl, reply)) = self.ping.arrival() {
            return Some(("reaches", format!("ping {}", arrived(ttl, reply))));
        }
        if let Some(told) = lane_loops(&self.ping) {
            return Some(("loops", format!("ping {told}")));
        }
        if let Some((ttl, from, why)) = self.ping.rejection() {
            return Some(("unreachable", format!("ping TTL {ttl} → {} from {from}", why.name())));
        }
        if known_end(&self.syn) {
            // The router that speaks of the SYN may have had no word left for the ping.
            return None;
        }
        let last = self.ping.last_router()?;
        Some(("stops", format!("ping answered by {}, nothing after", place(&self.ping, last))))
    }

    /// `path.syn_trace`; `None` when silence leaves it open.
    pub fn syn_trace(&self) -> Option<(SynTrace, String)> {
        let syn = format!("SYN to port {}", self.syn.port);
        if let Some((ttl, reply)) = self.syn.arrival() {
            return Some((SynTrace::Reaches, format!("{syn} {}", arrived(ttl, reply))));
        }
        if let Some(told) = lane_loops(&self.syn) {
            return Some((SynTrace::Loops, format!("{syn} {told}")));
        }
        if let Some((ttl, from, why)) = self.syn.rejection() {
            return Some((SynTrace::Unreachable, format!("{syn} TTL {ttl} → {} from {from}", why.name())));
        }
        let last = self.syn.last_router();
        if let Some((lane, ttl)) = self.farther_router() {
            let dies = last.map_or("nowhere".to_owned(), |ttl| place(&self.syn, ttl));
            let excerpt =
                format!("{syn} answered last by {dies}, {} by {}", lane_name(lane), place(lane, ttl));
            return Some((SynTrace::Earlier, excerpt));
        }
        let last = last?;
        let excerpt = format!("{syn} answered last by {}, then silence", place(&self.syn, last));
        match self.controls().filter_map(Lane::distance).min() {
            Some(distance) if last + 1 >= distance => {
                Some((SynTrace::AtLastRouter, format!("{excerpt}; the target is at hop {distance}")))
            }
            // Routers between are silent to all: the SYN may die at any of them.
            Some(_) => None,
            None if self.controls().any(|lane| lane.arrival().is_some() || known_end(lane)) => None,
            None => Some((SynTrace::Stops, excerpt)),
        }
    }

    /// `path.syn_vs_ping`.
    pub fn syn_vs_ping(&self) -> Told {
        if self.ping.refused() && self.control.is_none() {
            return None;
        }
        let control = self.controls().find(|lane| lane.arrival().is_some());
        match (self.syn.arrival(), control.and_then(|lane| lane.arrival().map(|arrival| (lane, arrival)))) {
            (Some((_, reply)), Some((lane, (_, other)))) => Some(self.both_arrive(reply, lane, other)),
            (Some((ttl, reply)), None) => {
                let told = self.ping_trace().map_or("no answer to ping".to_owned(), |(_, told)| told);
                Some(("ping_earlier", format!("SYN {}; {told}", arrived(ttl, reply))))
            }
            (None, Some((lane, (ttl, reply)))) => {
                let name = lane_name(lane);
                Some((
                    "syn_earlier",
                    format!("{name} {}, SYN to port {} is not", arrived(ttl, reply), self.syn.port),
                ))
            }
            (None, None) => self.both_die(),
        }
    }

    fn both_arrive(&self, syn: &Reply, lane: &Lane, control: &Reply) -> (&'static str, String) {
        let name = lane_name(lane);
        let nearer = match (self.syn.distance(), lane.distance()) {
            (Some(syn), Some(control)) => syn < control,
            _ => false,
        };
        let told = format!(
            "SYN answered {} at hop {}, {name} at hop {}",
            answer_name(syn.answer),
            hop_text(self.syn.distance()),
            hop_text(lane.distance())
        );
        // A service in front of the host may well accept for it; a reset in its name is another matter.
        if nearer && syn.answer == Answer::Reset && control.answer != Answer::Reset {
            return ("answered_nearer", told);
        }
        ("same", told)
    }

    fn both_die(&self) -> Told {
        if known_end(&self.syn) != known_end(&self.ping) {
            return None;
        }
        if let Some((lane, ttl)) = self.farther_router() {
            let far = place(lane, ttl);
            return Some(("syn_earlier", format!("{} answered by {far}, the SYN is not", lane_name(lane))));
        }
        let syn = self.syn.last_router()?;
        let ping = self.ping.last_router()?;
        let told =
            format!("SYN answered last by {}, ping by {}", place(&self.syn, syn), place(&self.ping, ping));
        Some((if ping < syn { "ping_earlier" } else { "same" }, told))
    }

    /// `path.reverse_hops`.
    pub fn reverse_hops(&self) -> Told {
        let lane = [&self.ping, &self.syn].into_iter().find(|lane| lane.distance().is_some())?;
        let (out, (_, reply)) = (lane.distance()?.saturating_sub(1), lane.arrival()?);
        let ttl = reply.ttl.filter(|_| reply.answer.from_destination())?;
        let back = hops_back(ttl);
        if out.abs_diff(back) > ASYMMETRY_HOPS_MAX {
            return None;
        }
        let value = if out == back { "equal" } else { "differ" };
        Some((value, format!("{out} routers out, {back} back by an answer with TTL {ttl}")))
    }

    /// True when nothing is left that a word of a router could still explain.
    pub fn explained(&self) -> bool {
        let arrives = |lane: &Lane| lane.arrival().is_some();
        self.syn.refused() || arrives(&self.syn) || known_end(&self.syn) || self.controls().any(arrives)
    }

    /// A router that answers a control at a TTL where SYNs, tried as often as it takes, meet silence.
    pub fn farther_router(&self) -> Option<(&Lane, u8)> {
        let reach = self.syn.last_router().unwrap_or(0);
        self.controls().find_map(|lane| {
            let ttl = lane.last_router().filter(|ttl| *ttl > reach)?;
            let tried = self.syn.hops.get(usize::from(ttl) - 1)?;
            (tried.sent - tried.refused >= TRIES_COUNT).then_some((lane, ttl))
        })
    }

    fn controls(&self) -> impl Iterator<Item = &Lane> {
        [&self.ping].into_iter().chain(&self.control)
    }
}

/// True when a router says how the lane ends: in a loop, or with an error.
fn known_end(lane: &Lane) -> bool {
    lane.rejection().is_some() || lane_loops(lane).is_some()
}

/// Says how a lane loops: by its routers, or because an ordinary TTL ran out.
fn lane_loops(lane: &Lane) -> Option<String> {
    if let Some(found) = find_loop(&lane.routers()) {
        let names: Vec<String> =
            found.routers.iter().map(|r| r.map_or("*".to_owned(), |address| address.to_string())).collect();
        return Some(format!("circles {} from hop {}", names.join(" – "), found.ttl));
    }
    let router = lane.full.router()?;
    Some(format!("with an ordinary TTL ran out of it at {router}"))
}

fn lane_name(lane: &Lane) -> String {
    match lane.protocol {
        crate::icmp::Protocol::Icmp => "ping".to_owned(),
        crate::icmp::Protocol::Tcp => format!("SYN to control port {}", lane.port),
        crate::icmp::Protocol::Udp => format!("UDP to port {}", lane.port),
    }
}

fn place(lane: &Lane, ttl: u8) -> String {
    let router = lane.hops.get(usize::from(ttl.saturating_sub(1))).and_then(super::HopSeen::router);
    router.map_or(format!("hop {ttl}"), |router| format!("{router} at hop {ttl}"))
}

fn hop_text(ttl: Option<u8>) -> String {
    ttl.map_or("?".to_owned(), |ttl| ttl.to_string())
}

fn arrived(ttl: Option<u8>, reply: &Reply) -> String {
    let back = reply.ttl.map_or(String::new(), |ttl| format!(", TTL {ttl}"));
    let hop = hop_text(ttl);
    format!(
        "answered by the target at hop {hop}: {} after {}{back}",
        answer_name(reply.answer),
        millis(reply.rtt)
    )
}

/// The name of an answer in excerpts.
pub fn answer_name(answer: Answer) -> &'static str {
    match answer {
        Answer::Echo => "echo reply",
        Answer::SynAck => "SYN-ACK",
        Answer::Reset => "RST",
        Answer::Ack => "ACK",
        Answer::Datagram => "datagram",
        Answer::TimeExceeded => "time exceeded",
        Answer::Unreachable(why) => why.name(),
        Answer::TooBig(_) => "too big",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::icmp::{Protocol, Unreachable};

    fn routers(text: &str) -> Vec<Option<IpAddr>> {
        text.split_whitespace().map(|w| w.parse::<u8>().ok().map(|n| IpAddr::from([10, 0, 0, n]))).collect()
    }

    #[test]
    fn loops_are_told_from_odd_but_healthy_paths() {
        assert_eq!(find_loop(&routers("1 2 3 2 3 2 3")).unwrap().ttl, 2);
        assert_eq!(find_loop(&routers("1 2 * 2 * 2 *")).unwrap().routers, routers("2 *"));
        assert_eq!(find_loop(&routers("1 2 3 4 2 3 4 2 3 4")).unwrap().routers.len(), 3);
        for healthy in ["1 2 3 4", "1 1 1 1 1 1", "1 2 2 3 3", "1 2 1 2", "* * * *", ""] {
            assert_eq!(find_loop(&routers(healthy)), None, "{healthy}");
        }
    }

    /// Reads `1 2 * E`: routers by number, silence, and the target's own answer.
    fn lane(protocol: Protocol, text: &str) -> Lane {
        let target = IpAddr::from([10, 9, 9, 9]);
        let answers: Vec<_> = text
            .split_whitespace()
            .map(|word| match word {
                "E" => Some((target, Answer::Echo)),
                "S" => Some((target, Answer::SynAck)),
                "R" => Some((target, Answer::Reset)),
                "X" => Some((IpAddr::from([10, 0, 0, 7]), Answer::Unreachable(Unreachable::Prohibited))),
                number => {
                    number.parse().ok().map(|n: u8| (IpAddr::from([10, 0, 0, n]), Answer::TimeExceeded))
                }
            })
            .collect();
        Lane::answered_so(protocol, target, &answers)
    }

    #[test]
    fn facts_of_two_lanes() {
        // SYN, ping, then what both say: syn_trace, ping_trace, syn_vs_ping.
        let cases = [
            ("1 2 S", "1 2 E", Some("reaches"), Some("reaches"), Some("same")),
            ("1 2 S", "1 2 *", Some("reaches"), Some("stops"), Some("ping_earlier")),
            ("1 2 *", "1 2 E", Some("at_last_router"), Some("reaches"), Some("syn_earlier")),
            ("1 * *", "1 2 E", Some("earlier"), Some("reaches"), Some("syn_earlier")),
            ("1 * * *", "1 2 * *", Some("earlier"), Some("stops"), Some("syn_earlier")),
            ("1 * * *", "1 * * *", Some("stops"), Some("stops"), Some("same")),
            // A router silent to all: the SYN may die there or behind it.
            ("1 * * *", "1 * E *", None, Some("reaches"), Some("syn_earlier")),
            ("* * *", "* * *", None, None, None),
            ("1 X *", "1 X *", Some("unreachable"), Some("unreachable"), Some("same")),
            // The router had one word left, and the SYN got it.
            ("1 X *", "1 * *", Some("unreachable"), None, None),
            ("1 2 1 2 1 2", "1 2 1 2 1 2", Some("loops"), Some("loops"), Some("same")),
            ("1 R", "1 2 E", Some("reaches"), Some("reaches"), Some("answered_nearer")),
            ("1 S", "1 2 E", Some("reaches"), Some("reaches"), Some("same")),
        ];
        for (syn, ping, syn_trace, ping_trace, versus) in cases {
            let traced =
                Traced { syn: lane(Protocol::Tcp, syn), ping: lane(Protocol::Icmp, ping), control: None };
            assert_eq!(traced.syn_trace().map(|(v, _)| v.name()), syn_trace, "SYN of {syn} | {ping}");
            assert_eq!(traced.ping_trace().map(|(v, _)| v), ping_trace, "ping of {syn} | {ping}");
            assert_eq!(traced.syn_vs_ping().map(|(v, _)| v), versus, "{syn} | {ping}");
        }
    }

    #[test]
    fn hops_by_ttl() {
        assert_eq!((hops_back(64), hops_back(61), hops_back(125), hops_back(250)), (0, 3, 3, 5));
    }
}
