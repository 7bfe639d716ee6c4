//! Which rule stopped the packets: from traced packets first, from counters where nothing was traced.

use super::join::{Answer, Join};
use super::{Sides, wrappers};
use netwhy_model::host::{Hook, Match, Record, Rule, RuleVerdict, TraceStep};
use netwhy_model::{Evidence, Link, Vantage};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What stopped packets, and the line that proves it.
pub(super) struct Stopped<'a> {
    pub rule: &'a Rule,
    pub packets: u64,
    pub traced: bool,
    /// It was traced stopping an answer of the far host.
    pub outward: bool,
}

pub(super) fn facts(sides: &Sides<'_>, far: &Record, join: &Join) -> Vec<Evidence> {
    stopped_by(sides, far, join).into_iter().chain(translated(sides, far, join)).collect()
}

/// A translation of the far host's own that leads to where nobody answers.
fn translated(sides: &Sides<'_>, far: &Record, join: &Join) -> Option<Evidence> {
    let failed = |h: &&super::join::Handshake| matches!(h.answer, Answer::Rst | Answer::Nothing);
    let tuples: Vec<(SocketAddr, SocketAddr)> = join.settled().filter(failed).filter_map(|h| h.got).collect();
    let step = far.trace.iter().find(|step| {
        matches!(&step.verdict, RuleVerdict::Nat(how) if !how.contains("masquerade") && !how.contains("snat"))
            && tuples.iter().any(|(client, server)| step.from == *client && step.to == *server)
    })?;
    let RuleVerdict::Nat(how) = &step.verdict else { return None };
    if !far.forwards_v4
        && step.to.is_ipv4()
        // A redirect is to this host itself, whatever its words.
        && !how.contains("redirect")
        && far.own_addresses.iter().all(|own| !how.contains(&own.to_string()))
    {
        let text = format!(
            "{} {} handle {}: {how}, and {} does not forward (ip_forward)",
            step.table, step.chain, step.handle, far.name
        );
        return Some(sides.seen("path.device", "forwarding_off", Link::OriginHost, text));
    }
    let text = format!(
        "{} {} {} handle {}: {how}, and nobody answers there",
        step.family, step.table, step.chain, step.handle
    );
    Some(sides.seen("path.nat", "wrong", Link::OriginHost, text))
}

fn stopped_by(sides: &Sides<'_>, far: &Record, join: &Join) -> Option<Evidence> {
    let stopped = stopped(sides, far, join);
    if stopped.is_none()
        && let Some(text) = hooked(far, join)
    {
        return Some(sides.seen("host.stopped_by", "ingress", Link::OriginHost, text));
    }
    if stopped.is_none()
        && let Some(line) = wrappers::refuses(far, join)
    {
        return Some(sides.seen("host.stopped_by", "wrappers", Link::Service, line));
    }
    let Some(stopped) = stopped else {
        let known = join.settled().next().is_some();
        let unread = far.unread.iter().find(|u| u.what.contains("firewall") || u.what.contains("nf_tables"));
        return match unread {
            Some(unread) => Some(sides.unread("host.stopped_by", Link::OriginHost, unread.why.clone())),
            None => known.then(|| {
                sides.seen(
                    "host.stopped_by",
                    "none",
                    Link::OriginHost,
                    "no rule of that host stopped our packets",
                )
            }),
        };
    };
    let client = join.got().first().map(|(client, _)| client.ip());
    let value = match kind(stopped.rule, far, client) {
        "ingress" => "ingress",
        _ if stopped.outward => "output_drop",
        kind => kind,
    };
    Some(sides.seen("host.stopped_by", value, Link::OriginHost, said(&stopped)))
}

/// The same at the end that asks.
pub(super) fn source_facts(sides: &Sides<'_>, source: &Record, join: &Join) -> Option<Evidence> {
    let none_left = join.source_watched && join.handshakes.is_empty();
    let unanswered = join.settled().any(|h| h.answer != Answer::SynAck || !h.answer_came);
    let toward = |step: &TraceStep| step.to.port() == sides.port || step.from.port() == sides.port;
    let traced = source.trace.iter().filter(|step| stops(&step.verdict) && toward(step)).find_map(|step| {
        find(source, step).map(|rule| Stopped { rule, packets: 1, traced: true, outward: false })
    });
    let counted = || {
        let moved = source.rules.iter().filter(|d| stops(&d.rule.verdict) && d.packets > 0);
        let here =
            moved.filter(|d| matches!(d.rule.hook, Some(Hook::Output | Hook::Postrouting | Hook::Input)));
        here.max_by_key(|d| d.packets).map(|d| Stopped {
            rule: &d.rule,
            packets: d.packets,
            traced: false,
            outward: false,
        })
    };
    let stopped = match traced {
        Some(stopped) if none_left || unanswered => Some(stopped),
        Some(_) => None,
        // Answers came as far as the wire, and the handshake was begun again all the same.
        None if none_left || join.handshakes.values().any(|h| h.answer_came && h.sent_count > 1) => counted(),
        None => None,
    };
    let (value, text) = match &stopped {
        None => ("none", "no rule of this host stopped the packets".to_owned()),
        Some(stopped) => (source_kind(stopped.rule), said(stopped)),
    };
    if stopped.is_none() && source.packets.is_empty() && !none_left {
        return None;
    }
    let mut evidence = sides.seen("source.stopped_by", value, Link::SourceHost, text);
    evidence.vantage = source.vantage.unwrap_or(Vantage::Source);
    evidence.subject = Some(source.name.clone());
    Some(evidence)
}

fn source_kind(rule: &Rule) -> &'static str {
    match (rule.hook, &rule.verdict) {
        (Some(Hook::Input | Hook::Prerouting | Hook::Ingress), _) => "input_drop",
        (_, RuleVerdict::Reject(_)) => "output_reject",
        _ => "output_drop",
    }
}

/// The rule of a host that stopped packets of ours.
fn stopped<'a>(_: &Sides<'_>, far: &'a Record, join: &Join) -> Option<Stopped<'a>> {
    let refused = |h: &&super::join::Handshake| h.answer != Answer::SynAck;
    let tuples: Vec<(SocketAddr, SocketAddr)> =
        join.settled().filter(refused).filter_map(|h| h.got).collect();
    if tuples.is_empty() {
        return None;
    }
    traced(far, &tuples).or_else(|| counted(far, tuples.len() as u64)).or_else(|| left_over(far, join))
}

/// A program before, beside or behind the firewall that takes packets: XDP, tc, a socket's own filter.
fn hooked(far: &Record, join: &Join) -> Option<String> {
    /// Reasons of `skb:kfree_skb` that are nobody else's (include/net/dropreason-core.h).
    const REASONS: [&str; 7] = [
        "XDP",
        "TC_INGRESS",
        "TC_EGRESS",
        "SOCKET_FILTER",
        "BPF_CGROUP_EGRESS",
        "SECURITY_HOOK",
        "BPF_CGROUP_INGRESS",
    ];
    /// Drops of the machine beyond so many for each packet of ours are somebody else's.
    const DROPS_PER_PACKET_MAX: usize = 4;
    let unanswered = join.settled().filter(|h| h.got.is_some() && h.answer == Answer::Nothing).count();
    let missing = join.settled().filter(|h| h.sent.is_some() && h.got.is_none()).count();
    let explained = super::kernel::risen(far).next().is_some() || super::kernel::overflowed(far);
    let silent = join.settled().all(|h| h.answer == Answer::Nothing) || one_address_silent(join);
    if explained || !silent || unanswered + missing == 0 {
        return None;
    }
    let hooks: Vec<String> = far
        .interfaces
        .iter()
        .flat_map(|i| i.hooks.iter().map(move |hook| format!("{hook} on {}", i.name)))
        .filter(|hook| unanswered > 0 || hook.contains("xdp"))
        .collect();
    // The tracepoint tells of the whole machine: other hosts' drops on it are not bounded by what we sent.
    let ours: usize = join.settled().map(|h| h.sent_count.max(h.got_count)).sum();
    let bound = u64::try_from(ours * DROPS_PER_PACKET_MAX).unwrap_or(u64::MAX);
    let dropped =
        far.drops.iter().find(|d| REASONS.contains(&d.reason.as_str()) && (1..=bound).contains(&d.count));
    let meanwhile =
        dropped.map(|d| format!("the kernel dropped {} packets for {} meanwhile", d.count, d.reason));
    match (hooks.is_empty(), meanwhile) {
        (false, Some(drop)) => Some(format!("{}; {drop}", hooks.join(", "))),
        (false, None) => {
            Some(format!("{}; no rule, counter or route explains the silence", hooks.join(", ")))
        }
        (true, Some(drop)) if unanswered > 0 => {
            Some(format!("{drop}, and nothing else explains the silence"))
        }
        _ => None,
    }
}

/// Whether all that came for one of the addresses is unanswered, while another answers.
fn one_address_silent(join: &Join) -> bool {
    let mut answered: BTreeMap<IpAddr, bool> = BTreeMap::new();
    for handshake in join.settled() {
        let Some((_, to)) = handshake.got else { continue };
        *answered.entry(to.ip()).or_default() |= handshake.answer != Answer::Nothing;
    }
    answered.values().any(|answers| !answers)
}

/// By elimination: silence that no counter, queue or route explains, and a rule without a counter that could.
fn left_over<'a>(far: &'a Record, join: &Join) -> Option<Stopped<'a>> {
    let silent = join.settled().all(|h| h.got.is_none() || h.answer == Answer::Nothing);
    let explained = super::kernel::risen(far).next().is_some() || super::kernel::overflowed(far);
    let route_fails = far.routes.iter().any(|r| !matches!(r.kind.as_str(), "unicast" | "local"));
    if !silent || explained || route_fails || !far.trace.is_empty() {
        return None;
    }
    let inbound = |rule: &&Rule| matches!(rule.hook, Some(Hook::Ingress | Hook::Prerouting | Hook::Input));
    let could =
        |rule: &&Rule| stops(&rule.verdict) && rule.counter.is_none() && speaks_of(&rule.text, far.spec.port);
    let mut rules = far.candidates.iter().filter(inbound).filter(could);
    rules.next().map(|rule| Stopped { rule, packets: 0, traced: false, outward: false })
}

/// By packets the kernel traced for us.
pub(super) fn traced<'a>(record: &'a Record, tuples: &[(SocketAddr, SocketAddr)]) -> Option<Stopped<'a>> {
    let ours = |step: &&TraceStep| {
        tuples.iter().any(|(client, server)| {
            (step.from == *client && step.to == *server) || (step.from == *server && step.to == *client)
        })
    };
    let steps: Vec<&TraceStep> =
        record.trace.iter().filter(ours).filter(|step| stops(&step.verdict)).collect();
    let (first, rule) = steps.iter().find_map(|step| Some((*step, find(record, step)?)))?;
    let packets = steps.iter().filter(|s| s.handle == first.handle && s.chain == first.chain).count() as u64;
    let outward = tuples.iter().any(|(client, server)| first.from == *server && first.to == *client);
    Some(Stopped { rule, packets, traced: true, outward })
}

/// By counters: a rule that drops and counted as many packets as went missing.
pub(super) fn counted(record: &Record, missing: u64) -> Option<Stopped<'_>> {
    record
        .rules
        .iter()
        .filter(|delta| stops(&delta.rule.verdict) && delta.packets >= missing.div_ceil(2).max(1))
        .max_by_key(|delta| delta.packets)
        .map(|delta| Stopped { rule: &delta.rule, packets: delta.packets, traced: false, outward: false })
}

pub(super) fn stops(verdict: &RuleVerdict) -> bool {
    matches!(verdict, RuleVerdict::Drop | RuleVerdict::Reject(_))
}

fn find<'a>(record: &'a Record, step: &TraceStep) -> Option<&'a Rule> {
    let all = record.rules.iter().map(|delta| &delta.rule).chain(&record.candidates);
    let mut same =
        all.filter(|rule| rule.family == step.family && rule.table == step.table && rule.chain == step.chain);
    if step.handle == 0 {
        same.find(|rule| rule.position == 0)
    } else {
        same.find(|rule| rule.position > 0 && rule.handle == step.handle)
    }
}

pub(super) fn said(stopped: &Stopped<'_>) -> String {
    let rule = stopped.rule;
    match (stopped.traced, stopped.packets) {
        (true, packets) => format!("{} «{}»: {packets} of our packets, traced", rule.place(), rule.text),
        (false, 0) => format!(
            "{} «{}»: it has no counter, and nothing else explains the silence",
            rule.place(),
            rule.text
        ),
        (false, packets) => format!("{} «{}»: counter +{packets} during the probes", rule.place(), rule.text),
    }
}

/// What kind of rule it is, in the words of `host.stopped_by`.
pub(super) fn kind(rule: &Rule, record: &Record, client: Option<IpAddr>) -> &'static str {
    match rule.hook {
        Some(Hook::Ingress | Hook::Egress) => return "ingress",
        Some(Hook::Output | Hook::Postrouting) => return "output_drop",
        _ => {}
    }
    let port = record.spec.port;
    if rule.comment.contains("has no endpoints") || rule.text.contains("has no endpoints") {
        return "no_endpoints";
    }
    let limited = condition(rule);
    let same_table = |other: &&Rule| other.family == rule.family && other.table == rule.table;
    let accepts: Vec<&Rule> = record
        .candidates
        .iter()
        .filter(same_table)
        .filter(|other| other.verdict == RuleVerdict::Accept)
        // In a chain for one service, the port is asked where it is jumped to.
        .filter(|other| {
            speaks_of(&other.text, port)
                || other.chain == rule.chain && !other.matches.contains(&Match::DestinationPort)
        })
        .collect();
    // The packet was dropped here although a rule for it stands elsewhere: that one is never reached.
    let by_limit = matches!(limited, Some("rate_limit" | "connection_limit"));
    let mut named = accepts.iter().filter(|accept| speaks_of(&accept.text, port));
    if rule.position > 0 && !by_limit && named.any(|accept| covers(accept, client)) {
        return "shadowed";
    }
    if let Some(kind) = limited {
        return kind;
    }
    for accept in accepts.iter().filter(|accept| accept.chain == rule.chain) {
        // What is accepted only up to a limit, or from some, is dropped here beyond it.
        if let Some(kind) = condition(accept) {
            return if kind == "banned" { "range" } else { kind };
        }
    }
    if rule.matches.iter().all(|m| matches!(m, Match::ConnectionState)) && !rule.matches.is_empty() {
        return "state";
    }
    match &rule.verdict {
        RuleVerdict::Reject(with) if with.contains("reset") => "input_reset",
        RuleVerdict::Reject(_) => "input_reject",
        _ => "input_drop",
    }
}

/// Whether an accepting rule lets the client in, without a limit and wherever it comes in.
fn covers(accept: &Rule, client: Option<IpAddr>) -> bool {
    let conditional = [Match::Rate, Match::ConnectionCount, Match::Interface, Match::Mark, Match::Other];
    if accept.matches.iter().any(|m| conditional.contains(m)) {
        return false;
    }
    let words: Vec<&str> = accept.text.split_whitespace().collect();
    let source =
        words.iter().position(|w| matches!(*w, "saddr" | "-s" | "--source")).and_then(|at| words.get(at + 1));
    match (source, client) {
        (None, _) => !accept.text.contains('@') && !accept.text.contains("match-set"),
        (Some(range), Some(client)) => within(range, client),
        (Some(_), None) => false,
    }
}

/// Whether `10.0.0.0/8`, `10.0.0.0/255.0.0.0` or a single address holds the client; what cannot be read holds nobody.
pub(super) fn within(range: &str, client: IpAddr) -> bool {
    let (network, bits) = range.split_once('/').unwrap_or((range, ""));
    let dotted = || bits.parse::<std::net::Ipv4Addr>().ok().map(|mask| mask.to_bits().count_ones());
    let bits = |full: u32| bits.parse::<u32>().ok().or_else(dotted).unwrap_or(full).min(full);
    match (network.parse::<IpAddr>(), client.to_canonical()) {
        (Ok(IpAddr::V4(network)), IpAddr::V4(client)) => {
            let shift = 32 - bits(32);
            let top = |a: std::net::Ipv4Addr| a.to_bits().checked_shr(shift).unwrap_or(0);
            top(network) == top(client)
        }
        (Ok(IpAddr::V6(network)), IpAddr::V6(client)) => {
            let shift = 128 - bits(128);
            let top = |a: std::net::Ipv6Addr| a.to_bits().checked_shr(shift).unwrap_or(0);
            top(network) == top(client)
        }
        _ => false,
    }
}

fn condition(rule: &Rule) -> Option<&'static str> {
    let has = |wanted: Match| rule.matches.contains(&wanted);
    if has(Match::ConnectionCount) {
        Some("connection_limit")
    } else if has(Match::Rate) {
        Some("rate_limit")
    } else if has(Match::SourceBan) {
        Some("banned")
    } else if has(Match::SourceRange) {
        Some("range")
    } else {
        None
    }
}

/// Whether a rule's text names the port as a destination: alone, in a list, or within a range.
pub(super) fn speaks_of(text: &str, port: u16) -> bool {
    let Some((_, rest)) = text.split_once("dport") else { return false };
    let list = rest.trim_start_matches(['s', ' ', '=', '!']);
    let list = match list.strip_prefix('{') {
        Some(inside) => inside.split('}').next().unwrap_or_default(),
        None => list.split_whitespace().next().unwrap_or_default(),
    };
    list.split(',').any(|item| {
        let item = item.trim();
        match item.split_once(['-', ':']) {
            Some((low, high)) => {
                low.parse().is_ok_and(|low: u16| low <= port)
                    && high.parse().is_ok_and(|high: u16| port <= high)
            }
            None => item.parse() == Ok(port),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_within_a_range_or_not() {
        let client = "10.22.1.7".parse().unwrap();
        assert!(within("10.22.1.0/24", client) && within("10.22.1.7", client) && within("0.0.0.0/0", client));
        assert!(!within("10.22.2.0/24", client) && !within("fd00::/8", client) && !within("@set", client));
    }

    #[test]
    fn ports_are_found_alone_in_lists_and_ranges() {
        assert!(speaks_of("tcp dport 443 accept", 443));
        assert!(speaks_of("tcp dport { 80, 443 } accept", 443));
        assert!(speaks_of("tcp dport 400-500 drop", 443));
        assert!(speaks_of("-p tcp -m multiport --dports 80,443 -j ACCEPT", 443));
        assert!(!speaks_of("tcp dport 4430 accept", 443));
        assert!(!speaks_of("tcp sport 443 accept", 443));
    }
}
