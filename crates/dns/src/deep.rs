//! Question `names.deep`: the zone's own servers, DNSSEC, transports, caches, and where time goes.

use crate::Resolution;
use crate::ask::{Asked, Patience, Question, ask, ask_whole};
use crate::authority::{Authority, find_all};
use crate::dnssec::{Material, Validation, validate};
use crate::facts::Notes;
use crate::message::{Decoded, Flags};
use crate::report::{Exchange, NamesReport, Purpose, ResolverState, Via};
use crate::walk::{Cut, Directory, SERVER_WAIT_MS, Walk};
use crate::{cache, deep_facts};
use hickory_proto::rr::RecordType;
use netwhy_model::{Case, Evidence, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// How long TCP 53 is waited for: one repeat of the SYN is in it.
const TCP_MS_MAX: u64 = 1_600;
const UNCHECKED_MS_MAX: u64 = 1_500;
/// Servers of one zone whose signatures are looked at.
const SIGNERS_COUNT_MAX: usize = 3;

/// Everything the deep question found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DeepReport {
    /// One for each zone the name's CNAMEs lead through, the name's own first.
    pub authorities: Vec<Authority>,
    pub validations: Vec<Validation>,
    /// Exchanges with the resolvers made for this question.
    pub asked: Vec<Exchange>,
}

/// Answers question `names.deep`.
pub async fn names_deep(case: &Case, seen: &Resolution) -> Vec<Evidence> {
    names_deep_report(case, seen).await.0
}

/// The same, with what it rests on.
pub async fn names_deep_report(case: &Case, seen: &Resolution) -> (Vec<Evidence>, DeepReport) {
    let mut notes = Notes::new("dns.deep");
    let mut report = DeepReport::default();
    let living: Vec<SocketAddr> = living(&seen.report);
    if seen.report.final_name.is_empty() || living.is_empty() {
        return (notes.list, report);
    }
    let known = |fact: &str| seen.evidence.iter().any(|e| e.fact == fact && e.speaks());
    let source = &case.source;
    let (authorities, over_tcp, elsewhere) = tokio::join!(
        authorities(source, seen, &living),
        tcp(source, &seen.report, living[0]),
        elsewhere(source, seen, living[0])
    );
    report.authorities = authorities;
    if !known("dns.transport") {
        let differs = differs(source, &seen.report, &over_tcp.exchange).await;
        deep_facts::transport(&mut notes, &seen.report, &over_tcp.exchange, differs);
    }
    let flips = seen.evidence.iter().any(|e| e.fact == "dns.cd_flips" && e.value == "yes");
    report.asked.push(over_tcp.exchange);
    report.validations =
        validations(source, &report.authorities, &living, &seen.report.final_name, flips).await;
    deep_facts::dnssec(&mut notes, &report.validations);
    if let Some(asked) = elsewhere {
        deep_facts::elsewhere(&mut notes, &asked);
        report.asked.push(asked);
    }
    let checked = cache::check(source, seen, &report.authorities).await;
    deep_facts::authority(&mut notes, seen, &report.authorities, &checked);
    if !known("dns.cname") {
        deep_facts::cname(&mut notes, seen, &report.authorities);
    }
    deep_facts::cache(&mut notes, &checked);
    deep_facts::slow_where(&mut notes, seen, &report.authorities);
    report.asked.extend(checked.asked);
    (notes.list, report)
}

/// Resolvers that sent anything back, those that answered first.
fn living(report: &NamesReport) -> Vec<SocketAddr> {
    let with = |well: bool| {
        let all = report.resolvers.iter().filter(|r| r.state != ResolverState::Dead);
        all.filter(move |r| (r.state == ResolverState::Well) == well).map(|r| r.server)
    };
    with(true).chain(with(false)).collect()
}

/// After a failure: whether the resolver still knows anything of the world, the root to begin with.
async fn elsewhere(source: &Source, seen: &Resolution, server: SocketAddr) -> Option<Exchange> {
    let failed = |e: &Evidence| e.fact == "dns.answer" && matches!(e.value.as_str(), "servfail" | "timeout");
    if !seen.evidence.iter().any(failed) {
        return None;
    }
    let plain = question(server, Via::Udp, ".", Flags::UNCHECKED, UNCHECKED_MS_MAX);
    let question = Question { kind: RecordType::NS, ..plain };
    Some(ask(source, question).await.exchange)
}

/// A resolver busy with the name would keep TCP waiting too: then it is asked for something of its own.
async fn tcp(source: &Source, report: &NamesReport, server: SocketAddr) -> Asked {
    let busy = report.resolvers.iter().any(|r| r.server == server && r.state != ResolverState::Well);
    let plain = question(server, Via::Tcp, &report.final_name, Flags::EDNS, TCP_MS_MAX);
    let own = Question {
        name: "version.bind".to_owned(),
        kind: RecordType::TXT,
        flags: Flags { chaos: true, ..Flags::STUB },
        ..plain.clone()
    };
    ask(source, if busy { own } else { plain }).await
}

/// Whether one resolver gives other IPv4 addresses over UDP than over TCP, and keeps to both when asked again.
async fn differs(source: &Source, report: &NamesReport, over_tcp: &Exchange) -> bool {
    let Some(resolver) = report.resolvers.iter().find(|r| r.server == over_tcp.server) else { return false };
    let Some(udp) = resolver.exchange(Purpose::Ipv4).map(ipv4) else { return false };
    let tcp = ipv4(over_tcp);
    if udp.is_empty() || tcp.is_empty() || !udp.is_disjoint(&tcp) {
        return false;
    }
    let again = |via| question(over_tcp.server, via, &report.final_name, Flags::EDNS, TCP_MS_MAX);
    let (udp_again, tcp_again) = tokio::join!(ask(source, again(Via::Udp)), ask(source, again(Via::Tcp)));
    ipv4(&udp_again.exchange) == udp && ipv4(&tcp_again.exchange) == tcp
}

/// The IPv4 addresses of a reply, in no order.
fn ipv4(exchange: &Exchange) -> BTreeSet<&str> {
    let answers = exchange.reply.iter().flat_map(|reply| &reply.answers);
    answers.filter(|record| record.kind == "A").map(|record| record.data.as_str()).collect()
}

fn question(server: SocketAddr, via: Via, name: &str, flags: Flags, wait_ms: u64) -> Question {
    let patience = Patience::of(wait_ms);
    Question { server, via, name: name.to_owned(), kind: RecordType::A, flags, patience }
}

/// What was found already, or the search now.
async fn authorities(source: &Source, seen: &Resolution, living: &[SocketAddr]) -> Vec<Authority> {
    if !seen.report.authorities.is_empty() {
        return seen.report.authorities.clone();
    }
    // A resolver that needed seconds and answered says that a server may need seconds too.
    let slowest = seen.report.resolvers.iter().filter_map(|r| r.latency_ms).fold(0.0, f64::max);
    let wait_ms = if slowest >= 1_000.0 {
        SERVER_WAIT_MS.max(slowest as u64 + 1_000).min(5_000)
    } else {
        SERVER_WAIT_MS
    };
    find_all(source, living, &seen.report.final_name, wait_ms).await
}

/// Validates every zone cut of a trace, each against the DS of the one above.
pub async fn validate_trace(source: &Source, traced: &[Authority]) -> Vec<Validation> {
    let mut found: Vec<Validation> = Vec::new();
    for authority in traced {
        for end in 1..=authority.cuts.len() {
            let cuts = authority.cuts[..end].to_vec();
            let last = end == authority.cuts.len();
            let zone = cuts.last().map(|cut| cut.zone.clone()).unwrap_or_default();
            if end == 1 || found.iter().any(|v| v.zone == zone && !last) {
                continue;
            }
            let name = if last { authority.name.clone() } else { zone };
            let part = Authority { name: name.clone(), cuts, parent_denied: false, resolvers: Vec::new() };
            found.extend(validations(source, &[part], &[], &name, false).await);
        }
    }
    found
}

/// Validates the zone's answer, from its own servers or, failing that, through the resolver.
async fn validations(
    source: &Source,
    authorities: &[Authority],
    living: &[SocketAddr],
    name: &str,
    insist: bool,
) -> Vec<Validation> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now_s = (now & 0xffff_ffff) as u32;
    let mut found = Vec::new();
    for authority in authorities {
        let Some(zone) = authority.zone().filter(|_| !authority.is_dead()) else { continue };
        let material = material(source, authority, zone, living, insist && authority.name == name).await;
        found.extend(validate(&zone.zone, &material, now_s));
    }
    found
}

async fn material(
    source: &Source,
    authority: &Authority,
    zone: &Cut,
    living: &[SocketAddr],
    insist: bool,
) -> Material {
    let walk = Walk::new(source.clone(), Directory::Resolvers(living.to_vec()), SERVER_WAIT_MS);
    let own = zone.well();
    let above = authority.parent().map(Cut::well).unwrap_or_default();
    let (ds, keys) = tokio::join!(
        fetch(walk.clone(), &above, living, &zone.zone, RecordType::DS),
        fetch(walk.clone(), &own, living, &zone.zone, RecordType::DNSKEY),
    );
    let mut answers = Vec::new();
    let signed = keys.as_ref().is_some_and(|k| !k.answers.is_empty());
    if signed {
        let mut walk = walk.clone();
        for server in own.iter().take(SIGNERS_COUNT_MAX) {
            answers.extend(
                walk.ask_decoded(*server, &authority.name, RecordType::A, Flags::DIRECT_DNSSEC).await,
            );
        }
        if answers.is_empty() {
            answers.extend(fetch(walk, &[], living, &authority.name, RecordType::A).await);
        }
    }
    Material { ds, keys, answers, insist }
}

/// From the first of the servers that answers; else from a resolver, unvalidated.
async fn fetch(
    mut walk: Walk,
    servers: &[SocketAddr],
    living: &[SocketAddr],
    name: &str,
    kind: RecordType,
) -> Option<Decoded> {
    for server in servers.iter().take(SIGNERS_COUNT_MAX) {
        let answer = walk.ask_decoded(*server, name, kind, Flags::DIRECT_DNSSEC).await;
        if let Some(answer) = answer.filter(|a| matches!(a.reply.rcode, 0 | 3)) {
            return Some(answer);
        }
    }
    let resolver = living.first()?;
    let question =
        Question { kind, ..question(*resolver, Via::Udp, name, Flags::UNCHECKED, UNCHECKED_MS_MAX) };
    let (first, again) = ask_whole(&walk.source, question).await;
    again.and_then(|a| a.decoded).or(first.decoded).filter(|d| matches!(d.reply.rcode, 0 | 3))
}
