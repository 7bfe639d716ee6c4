//! Question `names`: the answer a program on this host gets, and what each resolver says apart.

use crate::Resolution;
use crate::ask::{Patience, Question, ask};
use crate::config::{Lookup, ResolvConf, System, candidates, parse_hosts};
use crate::facts;
use crate::message::{Flags, chain_loops};
use crate::order;
use crate::report::{Asking, Exchange, NamesReport, Purpose, RecordLine, ResolverReport, ResolverState, Via};
use crate::round::{self, Plan, Round};
use crate::system::{Answer, View, view};
use hickory_proto::rr::RecordType;
use netwhy_model::{Case, Host, Source};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;
use tokio::task::JoinSet;

/// One name is waited for this long in all.
const WAIT_MS_MAX: u64 = 5_400;
/// With an answer of the hosts file at hand, DNS is asked only for comparison.
const COMPARE_MS_MAX: u64 = 900;
/// A redirect's name is waited for this long.
const LOOKUP_MS_MAX: u64 = 2_500;
/// Follow-up questions to a resolver that failed.
const FOLLOW_MS_MAX: u64 = 1_200;
/// Names of the search list that are tried.
const CANDIDATES_COUNT_MAX: usize = 6;
/// CNAMEs followed one at a time.
pub const CNAME_STEPS_COUNT_MAX: usize = 20;

/// Everything learnt about one name, before it is put into facts.
pub(crate) struct Findings {
    pub hosts: Vec<IpAddr>,
    pub families: Vec<Purpose>,
    /// The view and round of the name as it was given.
    pub view: View,
    pub report: NamesReport,
    /// What the user gets, sorted.
    pub addresses: Vec<IpAddr>,
    pub resolver_addresses: Vec<IpAddr>,
    /// The answer comes from the hosts file, or is built in.
    pub from_hosts: bool,
}

/// Answers the question; an address literal gives itself and no fact.
pub async fn names(case: &Case) -> Resolution {
    let name = match &case.target.host {
        Host::Address(address) => return Resolution { addresses: vec![*address], ..Resolution::default() },
        Host::Name(name) => name.clone(),
    };
    let started = Instant::now();
    let system = configured(case);
    let hosts = hosts_addresses(&system, case, &name);
    let wait_ms_max = if hosts.is_empty() { WAIT_MS_MAX } else { COMPARE_MS_MAX };
    let families = families(case, &system.resolv);
    let https = case.target.scheme.uses_http() || case.target.scheme == netwhy_model::Scheme::Dns;
    let (mut rounds, mut seen) = search(case, &system, &name, &families, https, wait_ms_max).await;
    let mut round = rounds.remove(seen.0);
    follow_up(case, &mut round, &mut seen.1, hosts.is_empty()).await;
    let mut tried: Vec<String> = rounds.iter().map(|r| r.name.clone()).collect();
    tried.insert(seen.0.min(tried.len()), round.name.clone());
    let findings = conclude(Gathered { system, name, families, hosts, tried, round, seen: seen.1 });
    let elapsed_ms = started.elapsed().as_secs_f64() * 1_000.0;
    facts::resolution(case, findings, elapsed_ms)
}

/// Looks a further name up, with the hosts file, the search list and the order of the system.
pub async fn lookup(case: &Case, name: &str) -> Vec<IpAddr> {
    if let Ok(address) = name.trim_matches(['[', ']']).parse() {
        return vec![address];
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let system = configured(case);
    let hosts = hosts_addresses(&system, case, &name);
    if !hosts.is_empty() {
        return order::sort(hosts);
    }
    let families = families(case, &system.resolv);
    for candidate in candidates(&name, system.resolv.search.as_deref().unwrap_or(&[]), system.resolv.ndots)
        .into_iter()
        .take(CANDIDATES_COUNT_MAX)
    {
        let plan = Plan {
            case,
            conf: &system.resolv,
            name: &candidate,
            families: families.clone(),
            https: false,
            brief: true,
            wait_ms_max: LOOKUP_MS_MAX,
        };
        let round = round::run(&plan).await;
        let seen = view(&system.resolv, &families, &candidate, &round.resolvers);
        if !seen.addresses.is_empty() {
            return order::sort(seen.addresses);
        }
    }
    Vec::new()
}

/// The resolvers that are asked: the case's own, else those of the system, in its order.
pub fn servers(case: &Case) -> Vec<std::net::SocketAddr> {
    configured(case).resolv.servers
}

/// The system's configuration with the case's resolvers in place of resolv.conf's.
pub(crate) fn configured(case: &Case) -> System {
    let mut system = System::read();
    if !case.source.resolvers.is_empty() {
        system.resolv.servers = case.source.resolvers.clone();
    }
    system
}

fn families(case: &Case, conf: &ResolvConf) -> Vec<Purpose> {
    match case.source.family {
        Some(4) => vec![Purpose::Ipv4],
        Some(6) => vec![Purpose::Ipv6],
        _ if conf.no_aaaa && !case.expect.ipv6 => vec![Purpose::Ipv4],
        _ => vec![Purpose::Ipv4, Purpose::Ipv6],
    }
}

fn hosts_addresses(system: &System, case: &Case, name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.');
    let mut found =
        if matches!(system.lookup, Lookup::DnsOnly) { Vec::new() } else { parse_hosts(&system.hosts, name) };
    // RFC 6761 section 6.3: these names never leave the host.
    if found.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
        found = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    }
    found.retain(|address| match case.source.family {
        Some(4) => address.is_ipv4(),
        Some(6) => address.is_ipv6(),
        _ => true,
    });
    found
}

/// Tries the names of the search list; gives all rounds, and which of them counts.
async fn search(
    case: &Case,
    system: &System,
    name: &str,
    families: &[Purpose],
    https: bool,
    wait_ms_max: u64,
) -> (Vec<Round>, (usize, View)) {
    let conf = &system.resolv;
    let mut all = candidates(name, conf.search.as_deref().unwrap_or(&[]), conf.ndots);
    all.truncate(CANDIDATES_COUNT_MAX);
    let mut rounds: Vec<Round> = Vec::new();
    let mut first: Option<(usize, View)> = None;
    for candidate in all {
        let plan = Plan {
            case,
            conf,
            name: &candidate,
            families: families.to_vec(),
            https,
            brief: false,
            wait_ms_max,
        };
        let round = round::run(&plan).await;
        let seen = view(conf, families, &candidate, &round.resolvers);
        rounds.push(round);
        let here = rounds.len() - 1;
        let answer = seen.answer;
        // The name as it was given tells most when nothing is found in the end.
        if answer == Answer::Ok || first.is_none() || candidate == name {
            first = Some((here, seen));
        }
        if !matches!(answer, Answer::Nxdomain | Answer::Nodata | Answer::Servfail) {
            break;
        }
    }
    (rounds, first.unwrap_or_default())
}

/// Asks failed resolvers without validation, and follows the CNAMEs one by one; confirms a disagreement.
async fn follow_up(case: &Case, round: &mut Round, seen: &mut View, patient: bool) {
    if !patient {
        return;
    }
    second_look(case, round, seen).await;
    over_tcp(case, round).await;
    chain_target(case, round, seen).await;
    let failed: Vec<usize> = positions(&round.resolvers, |r| r.asked.iter().any(is_servfail));
    let differ = disagree(&round.resolvers);
    let mut tasks = JoinSet::new();
    let again =
        if differ { positions(&round.resolvers, |r| r.state == ResolverState::Well) } else { Vec::new() };
    let wanted =
        failed.iter().map(|at| (*at, Purpose::Unchecked)).chain(again.iter().map(|at| (*at, Purpose::Again)));
    for (at, purpose) in wanted {
        let resolver = &round.resolvers[at];
        let v6_fails = resolver.asked.iter().any(|a| a.purpose == Purpose::Ipv6 && is_servfail(a));
        let v4_fails = resolver.asked.iter().any(|a| a.purpose == Purpose::Ipv4 && is_servfail(a));
        let kind = if v6_fails && !v4_fails { RecordType::AAAA } else { RecordType::A };
        let flags = if purpose == Purpose::Unchecked { Flags::UNCHECKED } else { Flags::STUB };
        let question = question(resolver.server, &round.name, kind, flags);
        let source = case.source.clone();
        tasks.spawn(async move {
            let asked = ask(&source, question.clone()).await;
            let flipped =
                purpose == Purpose::Unchecked && asked.reply().is_some_and(|r| matches!(r.rcode, 0 | 3));
            // The answer may have come in meanwhile, with or without validation.
            let again = match flipped {
                true => Some(ask(&source, Question { flags: Flags::EDNS, ..question }).await),
                false => None,
            };
            (at, purpose, asked, again)
        });
    }
    let walked = match failed.first() {
        Some(at) => cname_walk(&case.source, round.resolvers[*at].server, &round.name).await,
        None => Vec::new(),
    };
    while let Some(done) = tasks.join_next().await {
        let Ok((at, purpose, asked, again)) = done else { continue };
        let resolver = &mut round.resolvers[at];
        resolver.asked.push(Asking { purpose, exchange: asked.exchange });
        resolver
            .asked
            .extend(again.map(|asked| Asking { purpose: Purpose::Again, exchange: asked.exchange }));
    }
    if seen.chain.len() < walked.len() {
        seen.chain = walked;
    }
}

/// A resolver that refuses UDP at once was not asked over TCP yet.
async fn over_tcp(case: &Case, round: &mut Round) {
    let silent = round.resolvers.iter_mut().filter(|r| r.state == ResolverState::Dead);
    let Some(resolver) = silent.into_iter().next().filter(|r| r.exchange(Purpose::Tcp).is_none()) else {
        return;
    };
    let chaos = Flags { chaos: true, ..Flags::STUB };
    let asking =
        Question { via: Via::Tcp, ..question(resolver.server, "version.bind", RecordType::TXT, chaos) };
    let asked = ask(&case.source, asking).await;
    resolver.asked.push(Asking { purpose: Purpose::Tcp, exchange: asked.exchange });
}

/// Some resolvers forget that a cached CNAME leads nowhere, and say "no data": asked for the target itself,
/// they say whether it exists.
async fn chain_target(case: &Case, round: &mut Round, seen: &View) {
    let Some(winner) = seen.winner.and_then(|at| round.resolvers.get_mut(at)) else { return };
    let Some(target) = seen.chain.last().filter(|_| seen.chain.len() > 1 && seen.answer == Answer::Nodata)
    else {
        return;
    };
    let asked = ask(&case.source, question(winner.server, target, RecordType::A, Flags::STUB)).await;
    winner.asked.push(Asking { purpose: Purpose::Target, exchange: asked.exchange });
}

/// Names asked after a slow answer, at most.
const SECOND_LOOK_COUNT: usize = 2;

/// After a slow answer: more names that cannot be cached, until one is quick. A resolver that had to find its way
/// to the zone first is quick now, and one that met a dead server of several soon is; one that waits for a slow
/// server is slow again.
async fn second_look(case: &Case, round: &mut Round, seen: &View) {
    let Some(winner) = seen.winner.and_then(|at| round.resolvers.get_mut(at)) else { return };
    if seen.wait_ms - seen.lost_ms < facts::SLOW_MS || facts::own_names_late(winner) {
        return;
    }
    for _ in 0..SECOND_LOOK_COUNT {
        let asking = question(winner.server, &round::sibling(&round.name), RecordType::A, Flags::STUB);
        let asked = ask(&case.source, asking).await;
        let late = facts::is_late(&asked.exchange);
        winner.asked.push(Asking { purpose: Purpose::Sibling, exchange: asked.exchange });
        if !late {
            break;
        }
    }
}

fn is_servfail(asking: &Asking) -> bool {
    let family = matches!(asking.purpose, Purpose::Ipv4 | Purpose::Ipv6);
    family && asking.exchange.reply.as_ref().is_some_and(|reply| reply.rcode == 2)
}

fn positions(resolvers: &[ResolverReport], wanted: impl Fn(&ResolverReport) -> bool) -> Vec<usize> {
    resolvers.iter().enumerate().filter(|(_, r)| wanted(r)).map(|(at, _)| at).collect()
}

fn question(server: std::net::SocketAddr, name: &str, kind: RecordType, flags: Flags) -> Question {
    let patience = Patience::of(FOLLOW_MS_MAX);
    Question { server, via: Via::Udp, name: name.to_owned(), kind, flags, patience }
}

/// Asks for one CNAME after another: a question for CNAME is not chased by the resolver.
async fn cname_walk(source: &Source, server: std::net::SocketAddr, name: &str) -> Vec<String> {
    let mut chain = vec![name.to_owned()];
    for _ in 0..CNAME_STEPS_COUNT_MAX {
        let here = chain.last().cloned().unwrap_or_default();
        let asked = ask(source, question(server, &here, RecordType::CNAME, Flags::UNCHECKED)).await;
        let next = asked.reply().and_then(|r| r.answers.iter().find(|a| a.kind == "CNAME" && a.name == here));
        let Some(next) = next.map(|record| record.data.clone()) else { break };
        chain.push(next);
        if chain_loops(&chain) {
            break;
        }
    }
    chain
}

/// True when two resolvers that answer have nothing in common, in every answer each gave.
pub(crate) fn disagree(resolvers: &[ResolverReport]) -> bool {
    let said: Vec<Vec<IpAddr>> =
        resolvers.iter().filter(|r| r.state == ResolverState::Well).map(addresses_of).collect();
    said.iter().enumerate().any(|(at, one)| {
        said[..at].iter().any(|other| {
            (one.is_empty() != other.is_empty())
                || (!one.is_empty() && !one.iter().any(|a| other.contains(a)))
        })
    })
}

fn addresses_of(resolver: &ResolverReport) -> Vec<IpAddr> {
    let kinds = [Purpose::Ipv4, Purpose::Ipv4Tcp, Purpose::Ipv6, Purpose::Ipv6Tcp, Purpose::Again];
    let exchanges = kinds.iter().flat_map(|kind| resolver.exchanges(*kind));
    exchanges.filter_map(|e| e.reply.as_ref().map(|r| r.addresses(&e.name))).flatten().collect()
}

struct Gathered {
    system: System,
    name: String,
    families: Vec<Purpose>,
    hosts: Vec<IpAddr>,
    tried: Vec<String>,
    round: Round,
    seen: View,
}

fn conclude(gathered: Gathered) -> Findings {
    let Gathered { system, name, families, hosts, tried, round, seen } = gathered;
    let hosts_lose = matches!(system.lookup, Lookup::DnsFirst) && seen.answer == Answer::Ok;
    let from_hosts = !hosts.is_empty() && !hosts_lose;
    let resolver_addresses = order::sort(seen.addresses.clone());
    let addresses = if from_hosts { order::sort(hosts.clone()) } else { resolver_addresses.clone() };
    let report = NamesReport {
        name,
        tried,
        final_name: round.name,
        hosts: hosts.clone(),
        https: https_records(&round.resolvers),
        resolvers: round.resolvers,
        cname_chain: seen.chain.clone(),
        system_wait_ms: if from_hosts { 0.0 } else { seen.wait_ms },
        negative_soa: seen.negative_soa.clone(),
        authorities: round.authorities,
    };
    Findings { hosts, families, view: seen, report, addresses, resolver_addresses, from_hosts }
}

fn https_records(resolvers: &[ResolverReport]) -> Vec<RecordLine> {
    let replies = resolvers
        .iter()
        .filter_map(|r| r.exchange(Purpose::Https))
        .filter_map(|e: &Exchange| e.reply.as_ref());
    let mut records =
        replies.map(|r| r.answers.iter().filter(|a| a.kind == "HTTPS").cloned().collect::<Vec<_>>());
    records.find(|records| !records.is_empty()).unwrap_or_default()
}
