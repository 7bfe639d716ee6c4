//! Turns what the resolvers said into the facts of question `names`.

use crate::Resolution;
use crate::authority::Authority;
use crate::message::{chain_loops, rcode_name};
use crate::names::{Findings, disagree};
use crate::order::is_bogus;
use crate::report::{Ending, Exchange, Purpose, Reply, ResolverReport, ResolverState, Via};
use crate::system::Answer;
use crate::walk::ServerReport;
use netwhy_model::{Case, Evidence, Link, Stamp};
use std::net::IpAddr;
use std::time::SystemTime;

/// From here on a look-up is slow for its user, in milliseconds.
pub const SLOW_MS: f64 = 400.0;
/// A second look as slow as this confirms that a slow answer was no single late packet.
const CONFIRM_MS: f64 = 250.0;
/// More CNAMEs than this are long: resolvers give up between 8 and 17.
pub const CHAIN_LONG: usize = 8;
const COLLECTOR: &str = "dns.names";

/// A notebook for evidence of one collector.
pub(crate) struct Notes {
    pub list: Vec<Evidence>,
    at: Stamp,
    collector: &'static str,
}

impl Notes {
    pub(crate) fn new(collector: &'static str) -> Notes {
        Notes { list: Vec::new(), at: Stamp::from(SystemTime::now()), collector }
    }

    pub(crate) fn add(&mut self, fact: &str, value: &str, excerpt: impl Into<String>) -> &mut Evidence {
        let link = if fact == "dns.injected" { Link::Path } else { Link::Resolver };
        self.list.push(Evidence::seen(fact, value, link, self.at, self.collector, excerpt));
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    pub(crate) fn unread(&mut self, fact: &str, why: impl Into<String>) {
        self.list.push(Evidence::unread(fact, Link::Resolver, self.at, self.collector, why));
    }
}

/// True when a fact of this crate says that something is wrong, not merely unusual.
pub fn is_fault(evidence: &Evidence) -> bool {
    let well: &[&str] = match evidence.fact.as_str() {
        "dns.answer" | "dns.resolver_reach" => &["ok"],
        "dns.hosts" => &["absent", "agrees", "only"],
        "dns.resolvers" => &["all_ok", "later_dead", "disagree"],
        "dns.latency" => &["fast"],
        "dns.cname" => &["none", "ok", "long"],
        "dns.address_kind" => &["plausible"],
        "dns.expected_address" => &["match"],
        "dns.truncated" => &["no", "tcp_ok"],
        "dns.transport" => &["both", "udp_only"],
        "dns.cd_flips" | "dns.injected" => &["no"],
        "dns.extended_error" => &["none", "other", "stale"],
        "dns.dnssec" => &["unsigned", "valid"],
        "dns.authority" => &["ok"],
        "dns.cache" => &["same", "own_view"],
        "dns.slow_where" => &["nowhere"],
        "dns.families" => &["both", "ipv4", "ipv6"],
        _ => return false,
    };
    evidence.speaks() && !well.contains(&evidence.value.as_str())
}

/// Puts all together.
pub(crate) fn resolution(case: &Case, findings: Findings, elapsed_ms: f64) -> Resolution {
    let mut notes = Notes::new(COLLECTOR);
    answer(&mut notes, &findings);
    hosts(&mut notes, &findings);
    resolvers(&mut notes, &findings);
    truncated(&mut notes, &findings);
    latency(&mut notes, &findings);
    cname(&mut notes, &findings);
    addresses(&mut notes, case, &findings);
    explained(&mut notes, &findings);
    injected(&mut notes, &findings);
    transport(&mut notes, &findings);
    checking(&mut notes, &findings);
    families(&mut notes, case, &findings);
    let https_alpn_h3 = findings.report.https.iter().any(|record| offers_h3(&record.data));
    Resolution {
        evidence: notes.list,
        addresses: findings.addresses,
        resolver_addresses: findings.resolver_addresses,
        elapsed_ms,
        report: findings.report,
        https_alpn_h3,
    }
}

/// True when the service parameters of an HTTPS record list `h3` in `alpn`.
fn offers_h3(data: &str) -> bool {
    let alpn = data.split_ascii_whitespace().find_map(|word| word.strip_prefix("alpn="));
    alpn.is_some_and(|list| list.trim_matches('"').split(',').any(|one| one.trim_matches('"') == "h3"))
}

fn answer(notes: &mut Notes, findings: &Findings) {
    let answer = if findings.from_hosts { Answer::Ok } else { findings.view.answer };
    let name = &findings.report.final_name;
    let source = match (findings.from_hosts, findings.view.winner) {
        (true, _) => "hosts file".to_owned(),
        (false, Some(at)) => {
            findings.report.resolvers.get(at).map(|r| r.server.to_string()).unwrap_or_default()
        }
        (false, None) => said_by_all(&findings.report.resolvers, &findings.families),
    };
    let asked = if *name == findings.report.name { String::new() } else { format!(" as {name}") };
    let excerpt = match answer {
        Answer::Ok => format!("{}{asked} → {} ({source})", findings.report.name, join(&findings.addresses)),
        _ => {
            let soa = findings
                .report
                .negative_soa
                .as_ref()
                .map(|s| format!(", SOA {}", s.name))
                .unwrap_or_default();
            format!("{}{asked} → {}{soa} ({source})", findings.report.name, answer.value())
        }
    };
    let silent = answer == Answer::Timeout;
    let noted = notes.add("dns.answer", answer.value(), excerpt);
    if silent {
        *noted = noted.clone().unanswered();
    }
}

fn hosts(notes: &mut Notes, findings: &Findings) {
    let dns = &findings.resolver_addresses;
    let value = if findings.hosts.is_empty() {
        "absent"
    } else if dns.is_empty() {
        "only"
    } else if findings.hosts.iter().all(|address| dns.contains(address)) {
        "agrees"
    } else {
        "overrides"
    };
    let excerpt = match value {
        "absent" => format!("/etc/hosts has no line for {}", findings.report.name),
        _ => format!("/etc/hosts {}, DNS {}", join(&findings.hosts), join(dns)),
    };
    notes.add("dns.hosts", value, excerpt);
}

fn resolvers(notes: &mut Notes, findings: &Findings) {
    let all = &findings.report.resolvers;
    let excerpt = said_by_all(all, &findings.families);
    // With the hosts file's answer at hand the resolvers were waited for only shortly.
    if findings.from_hosts && all.iter().any(|r| matches!(r.state, ResolverState::Dead | ResolverState::Mute))
    {
        notes.unread("dns.resolvers", format!("not waited for, the hosts file answers: {excerpt}"));
        return;
    }
    // A resolver that waits for a slow server has not failed, it has not finished.
    let mut zones = findings.report.authorities.iter().filter_map(Authority::zone);
    let waits = all.iter().any(|r| r.state == ResolverState::Mute)
        && zones.any(|zone| zone.asked().any(ServerReport::is_slow));
    let value = resolvers_value(all);
    if let Some(value) = value.filter(|_| !waits) {
        notes.add("dns.resolvers", value, excerpt);
    }
    // A spare resolver nobody waits for may be dead without harm.
    let matters = matches!(value, Some("all_dead" | "first_dead"));
    match all.iter().find(|r| r.state == ResolverState::Dead).filter(|_| matters) {
        None => {
            notes.add("dns.resolver_reach", "ok", "the resolvers asked first sent something back");
        }
        Some(dead) => {
            // Refusals are sent about once a second: one of several questions may be all that was refused.
            let ended =
                |ending| dead.asked.iter().any(|a| a.exchange.via == Via::Udp && a.exchange.ending == ending);
            let value = if ended(Ending::PortUnreachable) {
                "port_unreachable"
            } else if ended(Ending::HostUnreachable) {
                "host_unreachable"
            } else if ended(Ending::LocalError) {
                "local_error"
            } else {
                "silent"
            };
            notes.add("dns.resolver_reach", value, said(dead, &findings.families)).subject =
                Some(dead.server.to_string());
        }
    }
}

/// One word for all; None when a resolver is there but was too slow to be judged.
fn resolvers_value(all: &[ResolverReport]) -> Option<&'static str> {
    use ResolverState::{Bad, Dead, Mute, Refuses, Servfail, Well};
    let count = |wanted: &[ResolverState]| all.iter().filter(|r| wanted.contains(&r.state)).count();
    let first = all.first()?.state;
    let whole = all.len();
    Some(match first {
        _ if count(&[Dead]) == whole => "all_dead",
        _ if count(&[Refuses]) == whole => "all_refuse",
        // A resolver that is there and gives no answer to this name within the wait failed on it all the same.
        _ if count(&[Servfail, Mute, Bad]) == whole => "all_servfail",
        Dead => "first_dead",
        Refuses => "first_refuses",
        _ if count(&[Servfail, Bad, Mute, Refuses]) > 0 => "some_servfail",
        _ if count(&[Dead]) > 0 => "later_dead",
        Well if disagree(all) => "disagree",
        _ => "all_ok",
    })
}

fn latency(notes: &mut Notes, findings: &Findings) {
    if findings.from_hosts {
        notes.add("dns.latency", "fast", "answered by the hosts file");
        return;
    }
    let view = &findings.view;
    if view.answer == Answer::Timeout {
        // A truncated answer that TCP cannot fetch has a fact of its own.
        let cut = notes.list.iter().any(|e| e.fact == "dns.truncated" && e.value == "tcp_fails");
        if view.wait_ms >= SLOW_MS && !cut {
            let text = format!("this host waits {:.0} ms and has no answer then", view.wait_ms);
            notes.add("dns.latency", "slow", text);
        }
        return;
    }
    let Some(winner) = view.winner.and_then(|at| findings.report.resolvers.get(at)) else { return };
    let own_ms = view.wait_ms - view.lost_ms;
    let late = own_ms >= SLOW_MS && confirmed_slow(winner);
    let value = if view.lost_ms >= SLOW_MS || late { "slow" } else { "fast" };
    let mut excerpt = format!("{} answers after {own_ms:.1} ms", winner.server);
    if view.lost_ms > 0.0 {
        excerpt +=
            &format!("; before that this host waits {:.0} ms for servers that do not answer", view.lost_ms);
    }
    for exchange in winner.exchanges(Purpose::Control).chain(winner.exchanges(Purpose::Sibling)) {
        excerpt += &format!("; {} {}", short_name(exchange), ended(exchange));
    }
    notes.add("dns.latency", value, excerpt);
}

/// Other questions to the same resolver were slow too: all of them, for a resolver that asks a dead server of
/// several now and then is late now and then.
fn confirmed_slow(resolver: &ResolverReport) -> bool {
    let mut siblings = resolver.exchanges(Purpose::Sibling).peekable();
    own_names_late(resolver) || siblings.peek().is_some() && siblings.all(is_late)
}

/// The resolver is late even with what it knows by itself.
pub(crate) fn own_names_late(resolver: &ResolverReport) -> bool {
    let mut own = resolver.exchanges(Purpose::Control).peekable();
    own.peek().is_some() && own.all(is_late)
}

pub(crate) fn is_late(exchange: &Exchange) -> bool {
    exchange.elapsed_ms >= CONFIRM_MS && matches!(exchange.ending, Ending::Answered | Ending::Silent)
}

fn cname(notes: &mut Notes, findings: &Findings) {
    let chain = &findings.view.chain;
    if chain.is_empty() {
        return;
    }
    let value = if chain.len() < 2 {
        // Without an answer nothing is known of a chain.
        if findings.view.winner.is_none() {
            return;
        }
        "none"
    } else if chain_loops(chain) {
        "loop"
    } else if findings.view.answer == Answer::Nxdomain || target_denied(findings) {
        "dangling"
    } else if chain.len() > CHAIN_LONG + 1 {
        "long"
    } else {
        "ok"
    };
    let excerpt = if chain.len() > 14 {
        format!("{} CNAMEs: {} → … → {}", chain.len() - 1, chain[..6].join(" → "), chain[chain.len() - 1])
    } else {
        chain.join(" → ")
    };
    notes.add("dns.cname", value, excerpt);
}

fn target_denied(findings: &Findings) -> bool {
    let asked = findings.report.resolvers.iter().filter_map(|r| r.exchange(Purpose::Target));
    asked.filter_map(|e| e.reply.as_ref()).any(|reply| reply.rcode == 3)
}

fn addresses(notes: &mut Notes, case: &Case, findings: &Findings) {
    if findings.addresses.is_empty() {
        return;
    }
    let explicit = case.source.resolvers.iter().any(|r| r.ip().is_loopback());
    let bogus = |address: &&IpAddr| is_bogus(**address) && !(explicit && address.is_loopback());
    let strange = findings.addresses.iter().find(bogus).filter(|_| !findings.from_hosts);
    let value = if strange.is_some() { "bogus" } else { "plausible" };
    notes.add("dns.address_kind", value, join(&findings.addresses));
    let expected = &case.expect.address;
    if expected.is_empty() {
        return;
    }
    let fits = [true, false].into_iter().all(|ipv4| {
        let wanted: Vec<&IpAddr> = expected.iter().filter(|a| a.is_ipv4() == ipv4).collect();
        let have: Vec<&IpAddr> = findings.addresses.iter().filter(|a| a.is_ipv4() == ipv4).collect();
        wanted.is_empty() || have.iter().all(|address| wanted.contains(address))
    });
    let any = findings.addresses.iter().any(|address| expected.contains(address));
    let value = if fits && any { "match" } else { "miss" };
    notes.add(
        "dns.expected_address",
        value,
        format!("got {}, expected {}", join(&findings.addresses), join(expected)),
    );
}

fn truncated(notes: &mut Notes, findings: &Findings) {
    let mut cut = Vec::new();
    for resolver in &findings.report.resolvers {
        for (family, over_tcp) in [(Purpose::Ipv4, Purpose::Ipv4Tcp), (Purpose::Ipv6, Purpose::Ipv6Tcp)] {
            let Some(udp) = resolver.exchange(family) else { continue };
            if udp.reply.as_ref().is_some_and(|r| r.truncated) {
                cut.push((resolver.server, udp.clone(), resolver.exchange(over_tcp).cloned()));
            }
        }
    }
    let fails = |tcp: &Option<Exchange>| tcp.as_ref().is_some_and(|e| e.ending != Ending::Answered);
    if let Some((server, udp, tcp)) = cut.iter().find(|(_, _, tcp)| fails(tcp)).or(cut.first()) {
        let value = if fails(tcp) { "tcp_fails" } else { "tcp_ok" };
        let size = udp.reply.as_ref().map_or(0, |r| r.size_bytes);
        let over = tcp.as_ref().map_or("not asked".to_owned(), ended);
        let excerpt = format!("{server} {} over UDP: TC set, {size} bytes; over TCP: {over}", udp.kind);
        notes.add("dns.truncated", value, excerpt).subject = Some(server.to_string());
    } else if findings.view.winner.is_some() {
        notes.add("dns.truncated", "no", "the answers fit into UDP");
    }
}

fn explained(notes: &mut Notes, findings: &Findings) {
    // Other types may be refused without harm: what counts is said about the addresses.
    let wanted = [Purpose::Ipv4, Purpose::Ipv6, Purpose::Explained];
    let replies = || {
        let asked = findings.report.resolvers.iter().flat_map(|r| r.asked.iter());
        let asked = asked.filter(|a| wanted.contains(&a.purpose));
        asked.filter_map(|a| Some((a.exchange.server, a.exchange.reply.as_ref()?)))
    };
    if !replies().any(|(_, reply)| reply.edns_bytes.is_some()) {
        return;
    }
    // A server that refuses because it serves nothing for us says so with the code of a lame one.
    let kind = |reply: &Reply, code: u16| match (reply.rcode, extended_kind(code)) {
        (5, "lame") => "other",
        (_, kind) => kind,
    };
    let errors = replies().flat_map(|(server, r)| r.extended_errors.iter().map(move |e| (server, r, e)));
    let mut kinds: Vec<_> = errors.map(|(server, r, e)| (kind(r, e.code), server, e)).collect();
    kinds.sort_by_key(|(kind, _, _)| *kind == "other");
    match kinds.first() {
        None => notes.add("dns.extended_error", "none", "EDNS answers carry no extended error"),
        Some((kind, server, error)) => {
            let words = if error.text.is_empty() { String::new() } else { format!(": {}", error.text) };
            let excerpt = format!("{server} EDE {} ({}){words}", error.code, error.name);
            notes.add("dns.extended_error", kind, excerpt)
        }
    };
}

/// The group of an extended error code (RFC 8914 section 4).
pub fn extended_kind(code: u16) -> &'static str {
    match code {
        1 | 2 | 5..=12 | 25 | 27 => "dnssec",
        22 | 23 => "unreachable_authority",
        20 | 24 => "lame",
        15..=18 => "prohibited",
        3 | 19 => "stale",
        _ => "other",
    }
}

fn injected(notes: &mut Notes, findings: &Findings) {
    let listened = [Purpose::Ipv4, Purpose::Explained];
    let exchanges =
        || findings.report.resolvers.iter().flat_map(|r| listened.iter().filter_map(|p| r.exchange(*p)));
    let twice = exchanges().find_map(|e| Some((e, e.reply.as_ref()?, e.second.as_ref()?)));
    if let Some((exchange, first, second)) = twice {
        let excerpt = format!(
            "{} {} answered twice: {} after {:.1} ms, then {}",
            exchange.server,
            exchange.kind,
            summary(first, &exchange.name),
            exchange.elapsed_ms,
            summary(second, &exchange.name)
        );
        notes.add("dns.injected", "yes", excerpt);
    } else if exchanges().any(|e| e.via == Via::Udp && e.reply.is_some()) {
        notes.add("dns.injected", "no", "one answer to each question");
    }
}

/// Known already when UDP kept silent and TCP was tried.
fn transport(notes: &mut Notes, findings: &Findings) {
    let dead = findings.report.resolvers.iter().filter(|r| r.state == ResolverState::Dead);
    let answered =
        |r: &&ResolverReport| r.exchange(Purpose::Tcp).is_some_and(|e| e.ending == Ending::Answered);
    if let Some(resolver) = dead.clone().find(answered) {
        let excerpt = format!("{} gives nothing over UDP, answers over TCP", resolver.server);
        notes.add("dns.transport", "tcp_only", excerpt).subject = Some(resolver.server.to_string());
    } else if dead.clone().count() == findings.report.resolvers.len()
        && let Some(resolver) = dead.clone().find(|r| r.exchange(Purpose::Tcp).is_some())
    {
        let tcp = resolver.exchange(Purpose::Tcp).map(ended).unwrap_or_default();
        notes.add("dns.transport", "none", format!("{} gives nothing over UDP; TCP: {tcp}", resolver.server));
    }
}

fn checking(notes: &mut Notes, findings: &Findings) {
    for resolver in &findings.report.resolvers {
        let Some(unchecked) = resolver.exchange(Purpose::Unchecked) else { continue };
        let Some(reply) = &unchecked.reply else { continue };
        let again = resolver.exchange(Purpose::Again).and_then(|e| e.reply.as_ref());
        let flips = matches!(reply.rcode, 0 | 3);
        // Without CD it answers now too: the failure has passed, and tells nothing of validation.
        if flips && again.is_none_or(|again| again.rcode != 2) {
            return;
        }
        let excerpt = format!(
            "{} {} CD=0 SERVFAIL, CD=1 {}",
            resolver.server,
            unchecked.kind,
            summary(reply, &unchecked.name)
        );
        notes.add("dns.cd_flips", if flips { "yes" } else { "no" }, excerpt);
        return;
    }
}

fn families(notes: &mut Notes, case: &Case, findings: &Findings) {
    if findings.addresses.is_empty() && findings.view.winner.is_none() {
        return;
    }
    let has = |ipv4: bool| findings.addresses.iter().any(|address| address.is_ipv4() == ipv4);
    let wanted = |ipv4: bool| {
        let family = if ipv4 { 4 } else { 6 };
        case.source.family == Some(family) || if ipv4 { case.expect.ipv4 } else { case.expect.ipv6 }
    };
    // A family counts as missing when a resolver said so, not when it kept silent.
    let said = |ipv4: bool| {
        let purpose = if ipv4 { Purpose::Ipv4 } else { Purpose::Ipv6 };
        findings.from_hosts
            || findings
                .report
                .resolvers
                .iter()
                .any(|r| r.reply(purpose).is_some_and(|reply| matches!(reply.rcode, 0 | 3)))
    };
    let missing = [true, false].into_iter().find(|ipv4| wanted(*ipv4) && !has(*ipv4) && said(*ipv4));
    let value = match (missing, has(true), has(false)) {
        (Some(_), _, _) => "missing_expected",
        (None, true, true) => "both",
        (None, true, false) => "ipv4",
        (None, false, true) => "ipv6",
        (None, false, false) => return,
    };
    notes.add("dns.families", value, join(&findings.addresses));
}

/// Each resolver in a few words.
fn said_by_all(resolvers: &[ResolverReport], families: &[Purpose]) -> String {
    resolvers.iter().map(|r| said(r, families)).collect::<Vec<_>>().join("; ")
}

fn said(resolver: &ResolverReport, families: &[Purpose]) -> String {
    let mut words: Vec<String> = families
        .iter()
        .filter_map(|f| resolver.exchange(*f))
        .map(|e| format!("{} {}", e.kind, ended(e)))
        .collect();
    for purpose in [Purpose::Control, Purpose::Tcp] {
        words.extend(resolver.exchanges(purpose).map(|e| format!("{} {}", short_name(e), ended(e))));
    }
    format!("{} {}", resolver.server, words.join(", "))
}

fn short_name(exchange: &Exchange) -> &str {
    match exchange.via {
        Via::Tcp => "TCP",
        Via::Udp if exchange.name.starts_with("netwhy-") => "uncached name",
        Via::Udp => &exchange.name,
    }
}

/// How one exchange ended, in a few words.
pub fn ended(exchange: &Exchange) -> String {
    match (&exchange.reply, exchange.ending) {
        (Some(reply), _) => format!("{} after {:.1} ms", summary(reply, &exchange.name), exchange.elapsed_ms),
        (None, Ending::Silent) => format!("silent for {:.0} ms", exchange.elapsed_ms),
        (None, Ending::PortUnreachable) => format!("refused after {:.1} ms", exchange.elapsed_ms),
        (None, Ending::HostUnreachable) => format!("unreachable after {:.1} ms", exchange.elapsed_ms),
        (None, _) => format!("not sent: {}", exchange.error.as_deref().unwrap_or("local error")),
    }
}

/// A reply in a few words: the code, or what it says.
pub(crate) fn summary(reply: &Reply, name: &str) -> String {
    let addresses = reply.addresses(name);
    let ttl = reply.ttl_min().map(|ttl| format!(" TTL {ttl}")).unwrap_or_default();
    match reply.rcode {
        0 if !addresses.is_empty() => format!("{}{ttl}", join(&addresses)),
        0 if reply.truncated => "truncated".to_owned(),
        0 if reply.answers.is_empty() => "no data".to_owned(),
        0 => format!("{} {}{ttl}", reply.answers[0].kind, reply.answers[0].data),
        code => rcode_name(code).to_owned(),
    }
}

/// Addresses joined by spaces, a few of many.
pub(crate) fn join(addresses: &[IpAddr]) -> String {
    const SHOWN_COUNT_MAX: usize = 8;
    if addresses.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<String> = addresses.iter().take(SHOWN_COUNT_MAX).map(ToString::to_string).collect();
    let more = addresses.len().saturating_sub(SHOWN_COUNT_MAX);
    if more > 0 { format!("{} and {more} more", shown.join(" ")) } else { shown.join(" ") }
}
