//! Turns what the zone's servers said into the facts of question `names.deep`.

use crate::Resolution;
use crate::authority::Authority;
use crate::cache::{Checked, Freshness};
use crate::dnssec::{Validation, Validity};
use crate::facts::{CHAIN_LONG, Notes, ended};
use crate::message::chain_loops;
use crate::report::{Ending, Exchange, NamesReport, Purpose, ResolverReport, Via};
use crate::walk::{Cut, ServerReport, ServerState};

/// A resolver quicker than this with its own names is not slow itself, in milliseconds.
const QUICK_MS: f64 = 150.0;

pub(crate) fn transport(notes: &mut Notes, report: &NamesReport, over_tcp: &Exchange, differs: bool) {
    let resolver = report.resolvers.iter().find(|r| r.server == over_tcp.server);
    let over_udp = resolver.is_some_and(|r| {
        r.asked.iter().any(|a| a.exchange.via == Via::Udp && a.exchange.ending == Ending::Answered)
    });
    let value = match (over_udp, over_tcp.ending == Ending::Answered) {
        (true, true) if differs => "differ",
        (true, true) => "both",
        (true, false) => "udp_only",
        (false, true) => "tcp_only",
        (false, false) => "none",
    };
    let udp = if over_udp { "answers" } else { "silent" };
    let excerpt = format!("{} UDP 53 {udp}, TCP 53 {}", over_tcp.server, ended(over_tcp));
    notes.add("dns.transport", value, excerpt).subject = Some(over_tcp.server.to_string());
}

pub(crate) fn dnssec(notes: &mut Notes, validations: &[Validation]) {
    let worst = validations.iter().find(|v| v.validity.is_bogus());
    let signed = validations.iter().find(|v| v.validity == Validity::Valid);
    if let Some(found) = worst.or(signed).or(validations.first()) {
        notes.add("dns.dnssec", found.validity.value(), found.detail.clone());
    }
}

pub(crate) fn authority(notes: &mut Notes, seen: &Resolution, authorities: &[Authority], checked: &Checked) {
    if authorities.is_empty() {
        notes.unread("dns.authority", "the resolvers do not say which servers serve the zone");
        return;
    }
    let judged: Vec<(&Authority, &str)> =
        authorities.iter().filter_map(|a| Some((a, value_of(a)?))).collect();
    let bad = judged.iter().find(|(_, value)| !matches!(*value, "ok" | "slow" | "nxdomain" | "nodata"));
    let late = judged.iter().find(|(_, value)| *value == "slow");
    let Some((authority, value)) = bad.or(late).or(judged.last()).copied() else {
        notes.unread("dns.authority", "no server of the zone could be asked from this host");
        return;
    };
    let text = described(authority);
    // The resolver gets through where we do not: the servers are dead or closed for this client only.
    let resolver_well = !seen.resolver_addresses.is_empty();
    if resolver_well && matches!(value, "all_dead" | "refused" | "lame" | "servfail") {
        notes.unread(
            "dns.authority",
            format!("the servers do not answer this host, but the resolver has an answer: {text}"),
        );
        return;
    }
    match (&checked.unequal, value) {
        (Some(differ), "ok" | "slow" | "nxdomain" | "nodata") => {
            notes.add("dns.authority", "unequal", differ.clone())
        }
        _ => notes.add("dns.authority", value, text),
    };
}

/// What the resolver that fails on our name says of the root.
pub(crate) fn elsewhere(notes: &mut Notes, asked: &Exchange) {
    let value = match (&asked.reply, asked.ending) {
        (Some(reply), _) if reply.rcode == 0 && !reply.answers.is_empty() => "resolves",
        (Some(reply), _) if reply.rcode == 2 => "nothing",
        (None, Ending::Silent) => "nothing",
        _ => {
            notes.unread("dns.elsewhere", format!("{} about the root: {}", asked.server, ended(asked)));
            return;
        }
    };
    let excerpt = format!("{} asked for the root's servers: {}", asked.server, ended(asked));
    notes.add("dns.elsewhere", value, excerpt).subject = Some(asked.server.to_string());
}

/// The value for one zone; None when nothing could be asked.
fn value_of(authority: &Authority) -> Option<&'static str> {
    use ServerState::{Answers, Dead, Lame, NoAddress, Nodata, Nxdomain, Refused, Servfail};
    let zone = authority.zone()?;
    let states: Vec<ServerState> = zone.asked().map(|s| s.state).collect();
    let all = |wanted: &[ServerState]| states.iter().all(|s| wanted.contains(s));
    let any = |wanted: &[ServerState]| states.iter().any(|s| wanted.contains(s));
    if states.is_empty() {
        return None;
    }
    Some(if all(&[Dead, NoAddress]) {
        "all_dead"
    } else if !any(&[Answers, Nxdomain, Nodata, ServerState::Refers]) {
        // Nobody serves it; a dead one beside does not make the others serve it.
        if any(&[Lame]) {
            "lame"
        } else if any(&[Refused]) {
            "refused"
        } else {
            "servfail"
        }
    } else if any(&[Dead, NoAddress]) {
        "one_dead"
    } else if any(&[Lame, Refused, Servfail]) {
        "one_lame"
    } else if zone.asked().any(ServerReport::is_slow) {
        "slow"
    } else if all(&[Nxdomain]) {
        if not_delegated(authority, zone) { "not_delegated" } else { "nxdomain" }
    } else if all(&[Nodata]) {
        "nodata"
    } else {
        "ok"
    })
}

/// The denial comes from the root or a top level: the zone between is not known to its parent.
fn not_delegated(authority: &Authority, zone: &Cut) -> bool {
    let labels = |name: &str| if name == "." { 0 } else { name.split('.').count() };
    labels(&zone.zone) <= 1 && labels(&authority.name) >= labels(&zone.zone) + 2 && authority.parent_denied
}

fn described(authority: &Authority) -> String {
    let Some(zone) = authority.zone() else { return String::new() };
    let one = |server: &ServerReport| {
        let state = match server.asked.last() {
            Some(exchange) => ended(exchange),
            None => "no address".to_owned(),
        };
        let word = match server.state {
            ServerState::Lame => " (lame)",
            ServerState::Refers => " (refers)",
            _ => "",
        };
        format!("{}: {state}{word}", server.label())
    };
    let all: Vec<String> = zone.servers.iter().map(one).collect();
    format!("zone {}: {}", zone.zone, all.join("; "))
}

pub(crate) fn cname(notes: &mut Notes, seen: &Resolution, authorities: &[Authority]) {
    let mut chain = vec![seen.report.final_name.clone()];
    for authority in authorities {
        for link in authority.chain().into_iter().skip(1) {
            chain.push(link);
        }
    }
    let last_denied = authorities.last().is_some_and(|a| value_of(a) == Some("nxdomain"));
    if authorities.iter().all(|a| a.zone().is_none_or(|z| z.well().is_empty())) {
        return;
    }
    let value = if chain.len() < 2 {
        "none"
    } else if chain_loops(&chain) {
        "loop"
    } else if last_denied {
        "dangling"
    } else if chain.len() > CHAIN_LONG + 1 {
        "long"
    } else {
        "ok"
    };
    notes.add("dns.cname", value, chain.join(" → "));
}

pub(crate) fn cache(notes: &mut Notes, checked: &Checked) {
    // Servers that differ among themselves leave nothing to compare with.
    let Some((freshness, text, server)) = checked.freshness.as_ref().filter(|_| checked.unequal.is_none())
    else {
        return;
    };
    let value = match freshness {
        Freshness::Same => "same",
        Freshness::Stale => "stale",
        Freshness::NegativeStale => "negative_stale",
        Freshness::Forged => "forged",
        Freshness::OwnView => "own_view",
    };
    notes.add("dns.cache", value, text.clone()).subject = Some(server.to_string());
}

pub(crate) fn slow_where(notes: &mut Notes, seen: &Resolution, authorities: &[Authority]) {
    let zones = || authorities.iter().filter_map(Authority::zone);
    let answered = seen.report.resolvers.iter().any(|r| r.latency_ms.is_some());
    let Some(latency) = seen.evidence.iter().find(|e| e.fact == "dns.latency" && answered) else {
        // No answer at all, while a server of the zone takes its time.
        if let Some(server) = zones().flat_map(Cut::asked).find(|s| s.is_slow()) {
            let took = server.least_ms().unwrap_or_default();
            notes.add("dns.slow_where", "authority", format!("{}: {took:.0} ms", server.label()));
        }
        return;
    };
    if latency.value == "fast" {
        notes.add("dns.slow_where", "nowhere", latency.excerpt.clone());
        return;
    }
    let winner = seen.report.resolvers.iter().find(|r| r.latency_ms.is_some());
    let first_lost = seen.report.resolvers.first().is_some_and(|first| first.latency_ms.is_none());
    if first_lost {
        notes.add("dns.slow_where", "first_resolver", latency.excerpt.clone());
        return;
    }
    let Some(winner) = winner else { return };
    let slow_server = zones().flat_map(Cut::asked).find(|s| s.is_slow() || s.state == ServerState::Dead);
    let own_ms = control_ms(winner);
    match (own_ms, slow_server) {
        (Some(own), _) if own >= QUICK_MS => notes.add(
            "dns.slow_where",
            "resolver",
            format!("{} needs {own:.0} ms for a name of its own", winner.server),
        ),
        (_, Some(server)) => {
            let took = server.least_ms().map_or("silent".to_owned(), |ms| format!("{ms:.0} ms"));
            notes.add("dns.slow_where", "authority", format!("{}: {took}", server.label()))
        }
        (Some(own), None) if authorities.is_empty() => {
            let text = format!(
                "{} answers a name of its own after {own:.1} ms, the zone's servers are not known",
                winner.server
            );
            notes.add("dns.slow_where", "authority", text)
        }
        (Some(_), None) => {
            let text = format!("the zone's servers answer this host quickly, {} does not", winner.server);
            notes.add("dns.slow_where", "resolver", text)
        }
        (None, None) => return,
    };
}

/// The quickest answer to something the resolver knows by itself.
fn control_ms(resolver: &ResolverReport) -> Option<f64> {
    let answered = resolver.exchanges(Purpose::Control).filter(|e| e.ending == Ending::Answered);
    answered.map(|e| e.elapsed_ms).reduce(f64::min)
}
