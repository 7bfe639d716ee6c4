//! The zone's own servers: found through what the resolvers say, and asked one by one.

use crate::ask::{Patience, Question, ask};
use crate::config::ResolvConf;
use crate::message::{Flags, chain_loops};
use crate::report::{Reply, Via};
use crate::walk::{
    Cut, Delegation, Directory, SERVER_WAIT_MS, ServerReport, ServerState, Walk, delegation_of,
};
use hickory_proto::rr::RecordType;
use netwhy_model::{Case, Source};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use tokio::task::{JoinHandle, JoinSet};

/// How long a resolver may take to say who serves a zone.
const DISCOVERY_MS_MAX: u64 = 750;
/// Zones crossed by CNAMEs that are looked at.
const ZONES_COUNT_MAX: usize = 4;
/// Ancestors of the name whose servers are asked for.
const ANCESTORS_COUNT_MAX: usize = 10;

/// The cuts from the parent of the zone down to the zone that answers for the name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Authority {
    pub name: String,
    pub cuts: Vec<Cut>,
    /// The name's parent does not exist either.
    pub parent_denied: bool,
    /// Resolvers that answered while the servers were looked for.
    pub resolvers: Vec<SocketAddr>,
}

impl Authority {
    /// The zone that should answer for the name.
    pub fn zone(&self) -> Option<&Cut> {
        self.cuts.last()
    }

    /// The cut above it.
    pub fn parent(&self) -> Option<&Cut> {
        self.cuts.len().checked_sub(2).and_then(|at| self.cuts.get(at))
    }

    /// The CNAME chain as the zone's servers give it, from the name itself.
    pub fn chain(&self) -> Vec<String> {
        let servers = self.zone().into_iter().flat_map(|zone| zone.servers.iter());
        let replies = servers.filter(|s| s.state.is_well()).filter_map(ServerReport::reply);
        let longest = replies.map(|reply| reply.chain(&self.name)).max_by_key(Vec::len);
        longest.unwrap_or_else(|| vec![self.name.clone()])
    }

    /// Where the chain leaves the zone without an address; None when it ends here, or loops.
    pub fn chain_end(&self) -> Option<String> {
        let chain = self.chain();
        let last = chain.last().filter(|_| chain.len() > 1 && !chain_loops(&chain))?.clone();
        let servers = self.zone().into_iter().flat_map(|zone| zone.servers.iter());
        let ends_here = servers.filter_map(ServerReport::reply).any(|reply| {
            reply.rcode == 3 || reply.negative_soa().is_some() || !reply.addresses(&self.name).is_empty()
        });
        (!ends_here).then_some(last)
    }

    /// The zone was found, and no server of it is there.
    pub fn is_dead(&self) -> bool {
        self.zone().is_some_and(|zone| {
            zone.asked().count() > 0
                && zone.asked().all(|s| matches!(s.state, ServerState::Dead | ServerState::NoAddress))
        })
    }
}

fn denies(cut: &Cut) -> bool {
    cut.asked().any(|server| server.state == ServerState::Nxdomain)
}

/// Looks for the authorities on the side.
pub fn spawn(case: &Case, conf: &ResolvConf, name: &str) -> JoinHandle<Vec<Authority>> {
    let (source, servers, name) = (case.source.clone(), conf.servers.clone(), name.to_owned());
    tokio::spawn(async move { find_all(&source, &servers, &name, SERVER_WAIT_MS).await })
}

/// Finds the zone of the name, and the zones its CNAMEs lead to.
pub async fn find_all(source: &Source, resolvers: &[SocketAddr], name: &str, wait_ms: u64) -> Vec<Authority> {
    let mut found: Vec<Authority> = Vec::new();
    let mut name = name.to_owned();
    for _ in 0..ZONES_COUNT_MAX {
        let Some(authority) = find(source, resolvers, &name, wait_ms).await else { break };
        let target = authority.chain_end();
        found.push(authority);
        match target {
            Some(target) if !found.iter().any(|a| a.name == target) => name = target,
            _ => break,
        }
    }
    found
}

/// Finds the zone of `name` and asks all its servers; None when the resolvers know of no servers.
pub async fn find(source: &Source, resolvers: &[SocketAddr], name: &str, wait_ms: u64) -> Option<Authority> {
    let (known, resolvers) = known_zones(source, resolvers, name).await;
    let mut walk = Walk::new(source.clone(), Directory::Resolvers(resolvers.clone()), wait_ms);
    // From the parent of the deepest known zone, so that the delegation itself is seen; else from that.
    let starts = known.iter().skip(1).take(1).chain(known.iter().take(1));
    let mut best: Option<Vec<Cut>> = None;
    for start in starts {
        let cuts = walk.descend(start.clone(), name, RecordType::A).await;
        let useful = cuts.last().is_some_and(|cut| cut.asked().any(|s| s.state.is_well()));
        let deeper = cuts.len() > 1;
        if useful || deeper || best.is_none() {
            best = Some(cuts);
        }
        if useful || deeper {
            break;
        }
    }
    let cuts = best?;
    let parent_denied = match (cuts.last().and_then(|cut| cut.well().first().copied()), name.split_once('.'))
    {
        (Some(server), Some((_, above))) if cuts.last().is_some_and(denies) => walk
            .ask_one(server, above, RecordType::SOA)
            .await
            .is_some_and(|r| r.rcode == 3 && r.authoritative),
        _ => false,
    };
    Some(Authority { name: name.to_owned(), cuts, parent_denied, resolvers })
}

/// Zones above the name whose servers the resolvers know, the deepest first.
async fn known_zones(
    source: &Source,
    resolvers: &[SocketAddr],
    name: &str,
) -> (Vec<Delegation>, Vec<SocketAddr>) {
    let ancestors = ancestors(name);
    let mut tasks = JoinSet::new();
    for server in resolvers {
        for (at, zone) in ancestors.iter().enumerate() {
            let question = Question {
                server: *server,
                via: Via::Udp,
                name: zone.clone(),
                kind: RecordType::NS,
                flags: Flags::UNCHECKED,
                patience: Patience::of(DISCOVERY_MS_MAX),
            };
            let source = source.clone();
            tasks.spawn(async move { (at, ask(&source, question).await) });
        }
    }
    let mut found: Vec<Option<Delegation>> = vec![None; ancestors.len()];
    let mut closed: Vec<usize> = vec![0; ancestors.len()];
    let mut answered: Vec<SocketAddr> = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let Ok((at, asked)) = done else { continue };
        closed[at] += 1;
        let Some(reply) = asked.reply() else { continue };
        if !answered.contains(&asked.exchange.server) {
            answered.push(asked.exchange.server);
        }
        if found[at].is_none() {
            found[at] = zone_servers(reply, &ancestors[at]);
        }
        if enough(&found, &closed, resolvers.len()) {
            break;
        }
    }
    (found.into_iter().flatten().collect(), answered)
}

/// The two deepest zones are known for sure: what is above cannot matter.
fn enough(found: &[Option<Delegation>], closed: &[usize], resolvers: usize) -> bool {
    let mut zones = 0;
    for (zone, closed) in found.iter().zip(closed) {
        match zone {
            Some(_) => zones += 1,
            None if *closed < resolvers => return false,
            None => {}
        }
        if zones == 2 {
            return true;
        }
    }
    false
}

fn zone_servers(reply: &Reply, zone: &str) -> Option<Delegation> {
    let delegation = delegation_of(reply, zone);
    (reply.rcode == 0 && !delegation.servers.is_empty()).then_some(delegation)
}

/// The name and its ancestors down to the root, the longest first.
fn ancestors(name: &str) -> Vec<String> {
    let labels: Vec<&str> = name.split('.').filter(|l| !l.is_empty()).collect();
    let from = labels.len().saturating_sub(ANCESTORS_COUNT_MAX);
    let mut all: Vec<String> = (from..labels.len()).map(|at| labels[at..].join(".")).collect();
    all.push(".".to_owned());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_end_at_the_root() {
        assert_eq!(ancestors("a.b.test"), ["a.b.test", "b.test", "test", "."]);
        assert_eq!(ancestors(""), ["."]);
    }
}
