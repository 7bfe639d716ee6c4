//! The resolver's answer beside the authoritative one: same, stale, or forged.

use crate::Resolution;
use crate::ask::{Asked, Patience, Question, ask_whole};
use crate::authority::Authority;
use crate::message::Flags;
use crate::order::is_bogus;
use crate::report::{Exchange, Purpose, Reply, ResolverReport, ResolverState, Via};
use crate::walk::{SERVER_WAIT_MS, is_at_or_below};
use hickory_proto::rr::RecordType;
use netwhy_model::Source;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinSet;

/// TTLs count whole seconds: this long after the first answer a cached one has counted down.
const COUNTDOWN_MS: u64 = 1_150;
/// Servers of a zone that are asked for comparison.
const COMPARED_COUNT_MAX: usize = 8;

/// What the comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    Same,
    Stale,
    NegativeStale,
    Forged,
    /// The resolver serves the zone itself, in a view of its own.
    OwnView,
}

/// The authoritative servers side by side, and the resolver beside them.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// Servers of the zone that answer differently, though each for itself gives the same twice.
    pub unequal: Option<String>,
    pub freshness: Option<(Freshness, String, SocketAddr)>,
    pub asked: Vec<Exchange>,
}

/// What one server says of one family, over two questions.
struct Said {
    server: SocketAddr,
    rcode: u16,
    first: BTreeSet<IpAddr>,
    stable: bool,
    chain: Vec<String>,
    /// The CNAMEs lead on, out of the zone or past what the server follows, and it says no more.
    leads_on: bool,
    ttl: Option<u32>,
}

impl Said {
    /// Nothing that one says contradicts the other; a server may follow a chain less far.
    fn agrees(&self, other: &Said) -> bool {
        if self.leads_on || other.leads_on {
            return self.chain.starts_with(&other.chain) || other.chain.starts_with(&self.chain);
        }
        self.first == other.first && self.rcode == other.rcode && self.chain == other.chain
    }
}

/// Asks each zone's servers twice and compares; nothing is judged on answers that vary by themselves.
pub(crate) async fn check(source: &Source, seen: &Resolution, authorities: &[Authority]) -> Checked {
    let mut checked = Checked::default();
    for authority in authorities.iter().filter(|a| !a.is_dead()) {
        let (v4, v6) = tokio::join!(
            ask_servers(source, authority, RecordType::A),
            ask_servers(source, authority, RecordType::AAAA)
        );
        let last = authorities.last().is_some_and(|last| last.name == authority.name);
        for (kind, (said, asked)) in [(RecordType::A, v4), (RecordType::AAAA, v6)] {
            checked.asked.extend(asked);
            if checked.unequal.is_none() {
                checked.unequal = unequal(&said, kind);
            }
            if !last || checked.freshness.as_ref().is_some_and(|f| f.0 != Freshness::Same) {
                continue;
            }
            let found = compare(source, seen, authority, &said, kind, &mut checked.asked).await;
            checked.freshness = found.or(checked.freshness.take());
        }
    }
    checked
}

/// Asks twice; of a slow server what is known already serves as one of the two.
async fn ask_servers(source: &Source, authority: &Authority, kind: RecordType) -> (Vec<Said>, Vec<Exchange>) {
    let Some(zone) = authority.zone() else { return (Vec::new(), Vec::new()) };
    let mut tasks = JoinSet::new();
    let mut said = Vec::new();
    for server in zone.servers.iter().filter(|s| s.state.is_well()).take(COMPARED_COUNT_MAX) {
        let (Some(address), Some(known)) = (server.address, server.reply()) else { continue };
        let have = (kind == RecordType::A).then(|| known.clone());
        if server.is_slow() {
            said.extend(have.and_then(|known| said_of(address, &known, &known, &authority.name)));
            continue;
        }
        let (source, name) = (source.clone(), authority.name.clone());
        tasks.spawn(async move {
            let first = match have {
                Some(known) => Some(known),
                None => whole(&source, address, &name, kind, Flags::DIRECT).await.exchange.reply,
            };
            (address, first, whole(&source, address, &name, kind, Flags::DIRECT).await)
        });
    }
    let mut asked = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let Ok((server, first, second)) = done else { continue };
        if let (Some(first), Some(second)) = (&first, second.reply()) {
            said.extend(said_of(server, first, second, &authority.name));
        }
        asked.push(second.exchange);
    }
    said.sort_by_key(|s| s.server);
    (said, asked)
}

fn said_of(server: SocketAddr, first: &Reply, second: &Reply, name: &str) -> Option<Said> {
    if !first.authoritative || !matches!(first.rcode, 0 | 3) {
        return None;
    }
    let set = |reply: &Reply| reply.addresses(name).into_iter().collect::<BTreeSet<_>>();
    let stable = first.rcode == second.rcode && set(first) == set(second);
    let chain = first.chain(name);
    let ends = first.rcode == 3 || first.negative_soa().is_some() || !set(first).is_empty();
    Some(Said {
        server,
        rcode: first.rcode,
        first: set(first),
        stable,
        leads_on: chain.len() > 1 && !ends,
        chain,
        ttl: first.ttl_min(),
    })
}

fn unequal(said: &[Said], kind: RecordType) -> Option<String> {
    if said.iter().any(|s| !s.stable) {
        return None;
    }
    let one = said.first()?;
    let other = said.iter().find(|s| !s.agrees(one))?;
    Some(format!(
        "{kind}: {} says {}, {} says {}",
        one.server.ip(),
        shown(one),
        other.server.ip(),
        shown(other)
    ))
}

fn shown(said: &Said) -> String {
    match said.rcode {
        3 => "NXDOMAIN".to_owned(),
        _ if said.first.is_empty() && said.chain.len() > 1 => {
            format!("CNAME {}", said.chain[said.chain.len() - 1])
        }
        _ if said.first.is_empty() => "no data".to_owned(),
        _ => said.first.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}

/// Judges the resolver whose answer counts against the authority; without an answer the first that differs.
async fn compare(
    source: &Source,
    seen: &Resolution,
    authority: &Authority,
    said: &[Said],
    kind: RecordType,
    log: &mut Vec<Exchange>,
) -> Option<(Freshness, String, SocketAddr)> {
    if said.is_empty() || said.iter().any(|s| !s.stable) {
        return None;
    }
    let union: BTreeSet<IpAddr> = said.iter().flat_map(|s| s.first.iter().copied()).collect();
    let family = if kind == RecordType::A { Purpose::Ipv4 } else { Purpose::Ipv6 };
    let mut same = None;
    for resolver in seen.report.resolvers.iter().filter(|r| r.state == ResolverState::Well) {
        let Some(reply) = resolver.reply(family).filter(|r| matches!(r.rcode, 0 | 3)) else { continue };
        let have: BTreeSet<IpAddr> = reply.addresses(&seen.report.final_name).into_iter().collect();
        let differs = if union.is_empty() { !have.is_empty() } else { have.is_disjoint(&union) };
        if !differs {
            let text = format!("{} agrees with {} servers of the zone", resolver.server, said.len());
            if !have.is_empty() {
                return Some((Freshness::Same, text, resolver.server));
            }
            same = Some((Freshness::Same, text, resolver.server));
            continue;
        }
        return judge(source, resolver, family, authority, &union, said, log).await;
    }
    same.filter(|_| kind == RecordType::A || !union.is_empty())
}

async fn judge(
    source: &Source,
    resolver: &ResolverReport,
    family: Purpose,
    authority: &Authority,
    union: &BTreeSet<IpAddr>,
    said: &[Said],
    log: &mut Vec<Exchange>,
) -> Option<(Freshness, String, SocketAddr)> {
    let first = resolver.exchange(family)?;
    let kind = if family == Purpose::Ipv4 { RecordType::A } else { RecordType::AAAA };
    tokio::time::sleep(Duration::from_millis(COUNTDOWN_MS)).await;
    let again = whole(source, resolver.server, &first.name, kind, Flags::STUB).await;
    let (before, now) = (resolver.reply(family)?.clone(), again.reply()?.clone());
    log.push(again.exchange);
    let have: BTreeSet<IpAddr> = now.addresses(&first.name).into_iter().collect();
    // Meanwhile it agrees: the cache had just run out.
    if !union.is_empty() && !have.is_disjoint(union) {
        return None;
    }
    let zone = authority.zone().map(|z| z.zone.clone()).unwrap_or_default();
    let truth = said.first().map(shown).unwrap_or_default();
    let freshness = if have.is_empty() {
        negative(&before, &now, &zone)
    } else {
        positive(&before, &now, &have, said.iter().find_map(|s| s.ttl))
    };
    let zone_is_its_own =
        freshness == Freshness::Forged && serves_itself(source, resolver.server, &zone, log).await;
    let freshness = if zone_is_its_own { Freshness::OwnView } else { freshness };
    let (was, is) = (ttl_of(&before), ttl_of(&now));
    let authoritative = said.iter().find_map(|s| s.ttl).map_or("-".to_owned(), |ttl| ttl.to_string());
    let got = if have.is_empty() {
        crate::facts::summary(&now, &first.name)
    } else {
        crate::facts::join(&have.iter().copied().collect::<Vec<_>>())
    };
    let text = format!(
        "{} says {got}, TTL {} then {}; the zone's {} servers say {truth}, TTL {authoritative}",
        resolver.server,
        was.map_or("-".to_owned(), |t| t.to_string()),
        is.map_or("-".to_owned(), |t| t.to_string()),
        said.len()
    );
    Some((freshness, text, resolver.server))
}

/// The resolver gives the zone's SOA with authority: a split view, made by whoever runs it.
async fn serves_itself(source: &Source, server: SocketAddr, zone: &str, log: &mut Vec<Exchange>) -> bool {
    let asked = whole(source, server, zone, RecordType::SOA, Flags::STUB).await;
    let own = |reply: &Reply| reply.authoritative && reply.answers.iter().any(|r| r.kind == "SOA");
    let serves = asked.reply().is_some_and(own);
    log.push(asked.exchange);
    serves
}

/// A cached answer counts down; one that was made up stays at its TTL, has more of it than the zone
/// gives, claims authority, or is no address at all.
fn positive(before: &Reply, now: &Reply, have: &BTreeSet<IpAddr>, zone_ttl: Option<u32>) -> Freshness {
    let stale_said = now.extended_errors.iter().chain(&before.extended_errors).any(|e| e.code == 3);
    let counts_down = matches!((ttl_of(before), ttl_of(now)), (Some(was), Some(is)) if is < was);
    let too_long = matches!((ttl_of(before), zone_ttl), (Some(was), Some(zone)) if was > zone);
    let strange = too_long || now.authoritative || have.iter().all(|address| is_bogus(*address));
    if stale_said || (counts_down && !strange) { Freshness::Stale } else { Freshness::Forged }
}

/// A cached denial counts down with the zone's SOA, or has none; a made-up one claims authority, stays at
/// its TTL, or brings the SOA of no zone above the name.
fn negative(before: &Reply, now: &Reply, zone: &str) -> Freshness {
    let made_up = match now.negative_soa() {
        None => false,
        Some(soa) => {
            let counts_down = before.negative_soa().is_some_and(|was| soa.ttl < was.ttl);
            !counts_down || !is_at_or_below(zone, &soa.name)
        }
    };
    if now.authoritative || made_up { Freshness::Forged } else { Freshness::NegativeStale }
}

fn ttl_of(reply: &Reply) -> Option<u32> {
    reply.ttl_min().or_else(|| reply.negative_soa().map(|soa| soa.ttl))
}

async fn whole(source: &Source, server: SocketAddr, name: &str, kind: RecordType, flags: Flags) -> Asked {
    let patience = Patience::of(SERVER_WAIT_MS);
    let question = Question { server, via: Via::Udp, name: name.to_owned(), kind, flags, patience };
    let (first, again) = ask_whole(source, question).await;
    again.filter(|a| a.reply().is_some()).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::RecordLine;

    fn reply(ttl: u32, address: &str) -> Reply {
        let answer = RecordLine { name: "a.test".into(), kind: "A".into(), ttl, data: address.into() };
        Reply { answers: vec![answer], ..Reply::default() }
    }

    #[test]
    fn a_countdown_is_a_cache() {
        let have = BTreeSet::from(["10.0.0.1".parse().unwrap()]);
        let judged =
            |was, is, zone| positive(&reply(was, "10.0.0.1"), &reply(is, "10.0.0.1"), &have, Some(zone));
        assert_eq!(judged(60, 58, 60), Freshness::Stale);
        assert_eq!(judged(60, 60, 60), Freshness::Forged);
        assert_eq!(judged(3_600, 3_598, 60), Freshness::Forged);
        let strange = BTreeSet::from(["127.0.0.1".parse().unwrap()]);
        let loopback = |ttl| reply(ttl, "127.0.0.1");
        assert_eq!(positive(&loopback(60), &loopback(58), &strange, Some(60)), Freshness::Forged);
    }
}
