//! The facts of question "connect", drawn from every address' attempts.

use super::families;
use super::record::{AddressResult, AttemptRecord, ConnectOutcome, IcmpSeen};
use crate::local::counters::Counters;
use crate::socket::errno_name;
use crate::tap::{Seen, bad_checksums, neighbour_unanswered};
use netwhy_model::{Case, Evidence, Link, Stamp};
use netwhy_wire::ErrorClass;

const COLLECTOR: &str = "tcp.connect";
/// A round trip this long is high whatever the user expects, in milliseconds.
const RTT_HIGH_MS: f64 = 300.0;
/// A handshake needs one of the few round trips an exchange is made of.
const RTT_SHARE: f64 = 0.2;
/// From here on an ICMP error came after somebody waited, as for ARP, in milliseconds.
const ICMP_LATE_MS: f64 = 800.0;
/// A handshake is slow beside the shortest one when it takes so many times as long …
const SLOW_FACTOR: f64 = 4.0;
/// … and so many milliseconds more.
const SLOW_MS: f64 = 250.0;
/// What stands in for evidence that only a tap can give.
pub(crate) const NEEDS_RAW: &str = "needs CAP_NET_RAW: run as root or setcap cap_net_raw+ep";

/// What the facts are drawn from.
pub(super) struct Input<'a> {
    pub case: &'a Case,
    pub results: &'a [AddressResult],
    /// `None` without CAP_NET_RAW.
    pub seen: Option<&'a [Seen]>,
    pub counted: Counters,
    pub at: Stamp,
    pub rtt_ms: Option<f64>,
}

impl Input<'_> {
    fn seen(&self, fact: &str, value: &str, link: Link, excerpt: impl Into<String>) -> Evidence {
        Evidence::seen(fact, value, link, self.at, COLLECTOR, excerpt)
    }
}

/// Draws every fact that can be told.
pub(super) fn evidence(input: &Input<'_>) -> Vec<Evidence> {
    let Some(main) = representative(input.results) else { return Vec::new() };
    let mut facts = vec![connect(input, main)];
    facts.extend(icmp(input, main));
    facts.extend(handshake_time(input, main));
    facts.extend(syn_ack_again(input));
    facts.extend(addresses(input));
    facts.extend(families::families(input.results, input.at));
    facts.extend(rtt(input));
    facts.extend(egress(input, main));
    facts.extend(ingress(input, main));
    facts.extend(reverse_path(input));
    facts.extend(ports(input));
    facts.extend(checksums(input));
    facts
}

/// The address a user ends on: one that opens, else one the network answered for, IPv4 first.
fn representative(results: &[AddressResult]) -> Option<&AddressResult> {
    let rank = |r: &&AddressResult| match r.outcome {
        ConnectOutcome::Open => 0,
        ConnectOutcome::Intermittent => 1,
        ConnectOutcome::Local(_) => 6,
        _ if r.address.is_ipv4() => 2,
        _ => 3,
    };
    results.iter().min_by_key(rank)
}

fn connect(input: &Input<'_>, main: &AddressResult) -> Evidence {
    let value = main.outcome.name();
    let fact = input.seen("tcp.connect", value, Link::Socket, describe(main)).about(main.address.to_string());
    if value == "silent" { fact.unanswered() } else { fact }
}

/// One line: `SYN 10.0.0.2:443 at 0, 1024 ms → silence for 3300 ms; 4 attempts: 4 silent`.
pub(crate) fn describe(result: &AddressResult) -> String {
    let mut text = format!("SYN {}", result.address);
    let Some(first) = result.attempts.first() else { return text + " not sent" };
    if let Some(times) = first.syn_ms.as_ref().filter(|times| times.len() > 1) {
        let list: Vec<String> = times.iter().map(|t| format!("{t:.0}")).collect();
        text += &format!(" at {} ms", list.join(", "));
    }
    text += &format!(" → {}", answer(first));
    if result.attempts.len() > 1 {
        let count = |name: &str| result.attempts.iter().filter(|a| a.outcome.name() == name).count();
        let counts: Vec<String> = ["open", "refused", "rejected", "silent", "local"]
            .iter()
            .filter(|name| count(name) > 0)
            .map(|name| format!("{} {name}", count(name)))
            .collect();
        text += &format!("; {} attempts: {}", result.attempts.len(), counts.join(", "));
    }
    if result.alive && result.outcome == ConnectOutcome::Silent {
        text += "; another port of the host answers";
    }
    text
}

/// What came back to one attempt, with its time and TTL.
pub fn answer(attempt: &AttemptRecord) -> String {
    let ttl = |ttl: Option<u8>| ttl.map_or(String::new(), |ttl| format!(", TTL {ttl}"));
    let time = attempt.rtt_ms.unwrap_or(attempt.elapsed_ms);
    match attempt.outcome {
        ConnectOutcome::Open => {
            let retried = if attempt.retries > 0 {
                format!(", {} SYN retries", attempt.retries)
            } else {
                String::new()
            };
            format!("SYN-ACK after {time:.1} ms{}{retried}", ttl(attempt.syn_ack_ttl))
        }
        ConnectOutcome::Refused => format!("RST after {time:.1} ms{}", ttl(attempt.rst_ttl)),
        ConnectOutcome::Rejected { kind, code } => match &attempt.icmp {
            Some(icmp) => icmp_text(icmp),
            None => format!("ICMP {kind}/{code}"),
        },
        ConnectOutcome::Silent if attempt.answer_dropped => {
            format!(
                "an answer on the wire{}, none at the socket",
                ttl(attempt.syn_ack_ttl.or(attempt.rst_ttl))
            )
        }
        ConnectOutcome::Silent | ConnectOutcome::Intermittent => {
            format!("silence for {:.0} ms", attempt.elapsed_ms)
        }
        ConnectOutcome::Local(0) => "answered by this host itself, no SYN left".to_owned(),
        ConnectOutcome::Local(errno) => {
            format!("{} from this host after {:.1} ms", errno_name(errno), attempt.elapsed_ms)
        }
    }
}

fn icmp_text(icmp: &IcmpSeen) -> String {
    let delay = icmp.delay_ms.map_or(String::new(), |ms| format!(" after {ms:.1} ms"));
    let ttl = icmp.ttl.map_or(String::new(), |ttl| format!(", TTL {ttl}"));
    format!("ICMP {}/{} {} from {}{delay}{ttl}", icmp.kind, icmp.code, icmp.class.name(), icmp.from)
}

fn icmp(input: &Input<'_>, main: &AddressResult) -> Vec<Evidence> {
    let Some(icmp) = main.icmp().filter(|_| main.outcome != ConnectOutcome::Open) else {
        return vec![
            input.seen("tcp.icmp", "none", Link::Path, "no ICMP error"),
            input.seen("tcp.icmp_from", "nobody", Link::Path, "no ICMP error"),
            input.seen("tcp.icmp_when", "none", Link::Path, "no ICMP error"),
        ];
    };
    let own = main.attempts.iter().filter_map(|a| a.local).any(|local| local.ip() == icmp.from);
    let from = if icmp.from == main.address.ip() {
        "target"
    } else if own {
        "self"
    } else {
        "router"
    };
    let text = icmp_text(icmp);
    let mut facts = vec![
        input.seen("tcp.icmp", icmp.class.name(), Link::Path, text.as_str()),
        input.seen("tcp.icmp_from", from, Link::Path, text.as_str()),
    ];
    // The longest wait counts: later SYNs meet a neighbour entry that is already failing.
    let delays = main.attempts.iter().filter_map(|a| a.icmp.as_ref()?.delay_ms);
    if let Some(delay) = delays.reduce(f64::max) {
        let when = if delay >= ICMP_LATE_MS { "late" } else { "at_once" };
        facts.push(input.seen("tcp.icmp_when", when, Link::Path, text));
    }
    facts
}

fn handshake_time(input: &Input<'_>, main: &AddressResult) -> Option<Evidence> {
    let open: Vec<&AttemptRecord> =
        main.attempts.iter().filter(|a| a.outcome == ConnectOutcome::Open).collect();
    let longest = open.iter().map(|a| a.elapsed_ms).reduce(f64::max)?;
    let shortest = open.iter().filter_map(|a| a.rtt_ms).reduce(f64::min);
    let retried = open.iter().filter(|a| a.retries > 0).count();
    if retried > 0 {
        let text =
            format!("{retried} of {} handshakes needed a SYN retry; longest {longest:.0} ms", open.len());
        return Some(input.seen("tcp.handshake_time", "retried", Link::Socket, text));
    }
    let shortest = shortest?;
    let text = format!("{} handshakes: {shortest:.1} to {longest:.1} ms", open.len());
    if longest < shortest * SLOW_FACTOR || longest < shortest + SLOW_MS {
        return Some(input.seen("tcp.handshake_time", "fast", Link::Socket, text));
    }
    // One slow handshake of three may be a busy moment here; most of them are not.
    let slow =
        open.iter().filter(|a| a.elapsed_ms >= (shortest * SLOW_FACTOR).max(shortest + SLOW_MS)).count();
    (slow * 2 > open.len()).then(|| input.seen("tcp.handshake_time", "slow", Link::Socket, text))
}

/// Two connections at least: one lost ACK of ours makes one SYN-ACK come again.
fn syn_ack_again(input: &Input<'_>) -> Option<Evidence> {
    let again = |r: &&AddressResult| r.attempts.iter().filter(|a| a.syn_ack_again).count() >= 2;
    let result = input.results.iter().find(again)?;
    let text = format!("{} repeats its SYN-ACK after our ACK", result.address);
    Some(input.seen("tcp.synack_again", "yes", Link::Socket, text))
}

fn addresses(input: &Input<'_>) -> Option<Evidence> {
    let mut value = "one";
    let mut text = Vec::new();
    for v6 in [false, true] {
        let family: Vec<&AddressResult> =
            input.results.iter().filter(|r| r.address.is_ipv6() == v6).collect();
        if family.len() < 2 {
            continue;
        }
        let works =
            |r: &&&AddressResult| matches!(r.outcome, ConnectOutcome::Open | ConnectOutcome::Intermittent);
        let open = family.iter().filter(works).count();
        text.push(
            family
                .iter()
                .map(|r| format!("{} {}", r.address.ip(), r.outcome.name()))
                .collect::<Vec<_>>()
                .join(", "),
        );
        value = match (open, value) {
            (_, "some_fail") => "some_fail",
            (0, "all_ok") | (0, "one" | "all_fail") => "all_fail",
            (n, _) if n == family.len() => {
                if value == "all_fail" {
                    "all_fail"
                } else {
                    "all_ok"
                }
            }
            _ => "some_fail",
        };
    }
    let text = if text.is_empty() {
        format!("{} address(es), one in each family", input.results.len())
    } else {
        text.join("; ")
    };
    Some(input.seen("tcp.addresses", value, Link::OriginHost, text))
}

fn rtt(input: &Input<'_>) -> Option<Evidence> {
    let rtt = input.rtt_ms?;
    let limit = match input.case.expect.max_time_ms {
        Some(limit) => (limit as f64 * RTT_SHARE).min(RTT_HIGH_MS),
        None => RTT_HIGH_MS,
    };
    let value = if rtt >= limit { "high" } else { "low" };
    Some(input.seen("tcp.rtt", value, Link::Path, format!("round trip {rtt:.1} ms, high from {limit:.0} ms")))
}

fn egress(input: &Input<'_>, main: &AddressResult) -> Option<Evidence> {
    let fact = "source.egress";
    if let Some(attempt) =
        main.attempts.iter().find(|a| matches!(a.outcome, ConnectOutcome::Local(0 | libc::EPERM)))
    {
        return Some(input.seen(fact, "refused_locally", Link::SourceHost, answer(attempt)));
    }
    let Some(seen) = input.seen else {
        return match main.outcome {
            ConnectOutcome::Silent => {
                Some(Evidence::unread(fact, Link::SourceHost, input.at, COLLECTOR, NEEDS_RAW))
            }
            ConnectOutcome::Local(_) => None,
            _ => Some(input.seen(fact, "sent", Link::SourceHost, "an answer came back")),
        };
    };
    let count = main.syn_count()?;
    if count > 0 {
        return Some(input.seen(fact, "sent", Link::SourceHost, format!("{count} SYNs seen to leave")));
    }
    let own_icmp = main.icmp().is_some_and(|i| {
        main.attempts.iter().filter_map(|a| a.local).any(|l| l.ip() == i.from)
            && i.class != ErrorClass::HostUnreachable
    });
    match main.outcome {
        ConnectOutcome::Local(_) | ConnectOutcome::Rejected { .. } if own_icmp => {
            Some(input.seen(fact, "refused_locally", Link::SourceHost, describe(main)))
        }
        ConnectOutcome::Silent if !neighbour_unanswered(seen, 0) => Some(input.seen(
            fact,
            "nothing_left",
            Link::SourceHost,
            format!("{} connects, no SYN seen to leave in {:.0} ms", main.attempts.len(), longest_ms(main)),
        )),
        _ => None,
    }
}

fn longest_ms(result: &AddressResult) -> f64 {
    result.attempts.iter().map(|a| a.elapsed_ms).fold(0.0, f64::max)
}

fn ingress(input: &Input<'_>, main: &AddressResult) -> Option<Evidence> {
    let fact = "source.ingress";
    let dropped = main.attempts.iter().filter(|a| a.answer_dropped).count();
    if dropped > 0 {
        let text = format!(
            "{dropped} of {} attempts: the answer was captured here and the socket never had it",
            main.attempts.len()
        );
        return Some(input.seen(fact, "answer_dropped", Link::SourceHost, text));
    }
    match main.outcome {
        ConnectOutcome::Open | ConnectOutcome::Refused => {
            Some(input.seen(fact, "delivered", Link::SourceHost, "the socket had its answer"))
        }
        ConnectOutcome::Silent if input.seen.is_none() => {
            Some(Evidence::unread(fact, Link::SourceHost, input.at, COLLECTOR, NEEDS_RAW))
        }
        _ => None,
    }
}

fn reverse_path(input: &Input<'_>) -> Option<Evidence> {
    let count = input.counted.get("TcpExt.IPReversePathFilter");
    let dropped = input.results.iter().any(|r| r.attempts.iter().any(|a| a.answer_dropped));
    // The counter counts all traffic of this host: it speaks only beside an answer that went missing.
    match (count, dropped) {
        (0, _) => Some(input.seen("source.rp_filter", "none", Link::SourceHost, "IPReversePathFilter +0")),
        (_, true) => Some(input.seen(
            "source.rp_filter",
            "drops",
            Link::SourceHost,
            format!("IPReversePathFilter +{count}"),
        )),
        _ => None,
    }
}

/// Speaks only when the kernel found no port; the local question counts them beforehand.
fn ports(input: &Input<'_>) -> Option<Evidence> {
    let out = ConnectOutcome::Local(libc::EADDRNOTAVAIL);
    let result = input.results.iter().find(|r| r.attempts.iter().any(|a| a.outcome == out))?;
    if input.case.source.address.is_some() {
        // The same errno means that the chosen source address is not ours.
        return None;
    }
    let (value, text) = crate::local::ports_used(result.address);
    Some(input.seen(
        "source.ports",
        value,
        Link::SourceHost,
        format!("EADDRNOTAVAIL for {}; {text}", result.address),
    ))
}

/// Only what is bad: the series looks at more packets before it says that none is.
fn checksums(input: &Input<'_>) -> Option<Evidence> {
    let peers: Vec<_> = input.results.iter().map(|r| r.address.ip()).collect();
    let (value, text) = bad_checksums(input.seen, &peers, input.counted.bad_checksums())?;
    (value == "seen").then(|| input.seen("source.bad_checksums", value, Link::Path, text))
}
