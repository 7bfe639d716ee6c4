//! The walk down the zone cuts: all servers of a zone asked at once, their answers compared.
//!
//! Glue is used as given; a server name without glue is looked up through the configured resolver, or by
//! a walk of its own from the same roots.

use crate::ask::{Asked, Patience, Question, ask, ask_whole};
use crate::authority::Authority;
use crate::message::{Decoded, Flags};
use crate::report::{Ending, Exchange, RecordLine, Reply, Via};
use hickory_proto::rr::RecordType;
use netwhy_model::Source;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use tokio::task::JoinSet;

/// Zone cuts followed.
pub const CUTS_COUNT_MAX: usize = 16;
/// Addresses of name servers asked at one cut.
pub const SERVERS_COUNT_MAX: usize = 13;
/// Questions one walk may ask.
pub const QUERIES_COUNT_MAX: usize = 200;
/// Names traced one after another, CNAMEs followed.
pub const TRACES_COUNT_MAX: usize = 8;
/// Walks inside a walk, for the addresses of name servers.
const NESTING_COUNT_MAX: u8 = 3;
/// How long one server is waited for.
pub const SERVER_WAIT_MS: u64 = 1_500;
/// An authoritative answer this late is slow.
pub const SLOW_MS: f64 = 300.0;

/// What a name server turned out to be for the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerState {
    /// Answers with authority.
    Answers,
    Nxdomain,
    Nodata,
    /// Knows who serves the next zone down.
    Refers,
    /// Does not serve the zone it is named for.
    Lame,
    /// Says that we are not allowed to ask.
    Refused,
    Servfail,
    Dead,
    /// Its name has no address.
    NoAddress,
    /// This host cannot send to it, such as IPv6 without a route.
    Unasked,
}

impl ServerState {
    /// True when the server did its part.
    pub fn is_well(self) -> bool {
        matches!(
            self,
            ServerState::Answers | ServerState::Nxdomain | ServerState::Nodata | ServerState::Refers
        )
    }
}

/// One name server of one zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerReport {
    /// Its name; an address when it was given as a root.
    pub name: String,
    pub address: Option<SocketAddr>,
    pub state: ServerState,
    /// What it said, oldest first.
    pub asked: Vec<Exchange>,
}

impl ServerReport {
    /// The last reply it gave.
    pub fn reply(&self) -> Option<&Reply> {
        self.asked.iter().rev().find_map(|e| e.reply.as_ref())
    }

    /// The least time it took to answer.
    pub fn least_ms(&self) -> Option<f64> {
        let answered = self.asked.iter().filter(|e| e.ending == Ending::Answered);
        answered.map(|e| e.elapsed_ms).reduce(f64::min)
    }

    /// Slow, and slow again when asked again.
    pub fn is_slow(&self) -> bool {
        self.least_ms().is_some_and(|ms| ms >= SLOW_MS)
    }

    /// How it is written: name and address.
    pub fn label(&self) -> String {
        match self.address {
            Some(address) if address.ip().to_string() == self.name => self.name.clone(),
            Some(address) => format!("{} {}", self.name, address.ip()),
            None => self.name.clone(),
        }
    }
}

/// One zone and all its servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    pub zone: String,
    pub servers: Vec<ServerReport>,
    /// The zone one step down, when a server referred to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refers_to: Option<String>,
}

impl Cut {
    /// Servers this host could ask.
    pub fn asked(&self) -> impl Iterator<Item = &ServerReport> {
        self.servers.iter().filter(|s| s.state != ServerState::Unasked)
    }

    /// Addresses of the servers that do their part, the quickest first.
    pub fn well(&self) -> Vec<SocketAddr> {
        let mut well: Vec<&ServerReport> = self.servers.iter().filter(|s| s.state.is_well()).collect();
        let time = |server: &ServerReport| server.least_ms().unwrap_or(f64::MAX);
        well.sort_by(|one, other| time(one).total_cmp(&time(other)));
        well.into_iter().filter_map(|s| s.address).collect()
    }
}

/// Name servers of a zone, by name; addresses may still be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delegation {
    pub zone: String,
    pub servers: BTreeMap<String, Vec<IpAddr>>,
}

/// Who gives the addresses of name servers without glue.
#[derive(Debug, Clone)]
pub enum Directory {
    /// These resolvers, with recursion.
    Resolvers(Vec<SocketAddr>),
    /// A walk of its own from these roots.
    Roots(Vec<SocketAddr>),
}

/// A walk with its limits.
#[derive(Debug, Clone)]
pub struct Walk {
    pub source: Source,
    pub directory: Directory,
    pub port: u16,
    pub wait_ms: u64,
    queries_left: usize,
    nesting: u8,
}

impl Walk {
    /// A walk that has asked nothing yet.
    pub fn new(source: Source, directory: Directory, wait_ms: u64) -> Walk {
        Walk { source, directory, port: 53, wait_ms, queries_left: QUERIES_COUNT_MAX, nesting: 0 }
    }

    /// Follows referrals for `name` from a first delegation down; the last cut is the one that answers.
    pub async fn descend(&mut self, start: Delegation, name: &str, kind: RecordType) -> Vec<Cut> {
        let mut cuts: Vec<Cut> = Vec::new();
        let mut here = start;
        for _ in 0..CUTS_COUNT_MAX {
            self.fill(&mut here).await;
            let (mut cut, below) = self.ask_cut(&here, name, kind).await;
            let below = match below {
                Some(below) => Some(below),
                None => self.hidden_cut(&cut, name).await,
            };
            cut.refers_to = below.as_ref().map(|b| b.zone.clone());
            cuts.push(cut);
            match below {
                Some(below) if !cuts.iter().any(|c| c.zone == below.zone) => here = below,
                _ => break,
            }
        }
        cuts
    }

    /// Asks every server of a zone; gives the delegation one step down when there is one.
    async fn ask_cut(
        &mut self,
        here: &Delegation,
        name: &str,
        kind: RecordType,
    ) -> (Cut, Option<Delegation>) {
        let mut tasks = JoinSet::new();
        let mut servers = Vec::new();
        let addresses = here.servers.iter().flat_map(|(ns, all)| all.iter().map(move |a| (ns.clone(), *a)));
        for (at, (ns, address)) in addresses.take(SERVERS_COUNT_MAX).enumerate() {
            let question = self.question(address, name, kind, Flags::DIRECT);
            servers.push(ServerReport {
                name: ns,
                address: Some(question.server),
                state: ServerState::Unasked,
                asked: Vec::new(),
            });
            if self.queries_left == 0 {
                continue;
            }
            self.queries_left -= 1;
            let source = self.source.clone();
            tasks.spawn(async move { (at, ask_patiently(&source, question).await) });
        }
        let mut below: Option<Delegation> = None;
        while let Some(done) = tasks.join_next().await {
            let Ok((at, asked)) = done else { continue };
            for one in asked {
                let Some(server) = servers.get_mut(at) else { continue };
                server.state = classify(&one, &here.zone, name);
                if server.state == ServerState::Refers
                    && let Some(decoded) = &one.decoded
                {
                    merge(&mut below, referral(&decoded.reply, &here.zone, name));
                }
                server.asked.push(one.exchange);
            }
        }
        for (ns, _) in here.servers.iter().filter(|(_, all)| all.is_empty()) {
            let (name, state) = (ns.clone(), ServerState::NoAddress);
            servers.push(ServerReport { name, address: None, state, asked: Vec::new() });
        }
        (Cut { zone: here.zone.clone(), servers, refers_to: None }, below)
    }

    /// A server that serves parent and child answers at once, without a referral: finds the child's apex.
    async fn hidden_cut(&mut self, cut: &Cut, name: &str) -> Option<Delegation> {
        let server = cut.well().first().copied()?;
        let told = cut.servers.iter().filter_map(ServerReport::reply).find_map(apex_of);
        let apex = match told {
            Some(apex) => apex,
            None => apex_of(&self.ask_one(server, name, RecordType::SOA).await?)?,
        };
        if !is_below(&apex, &cut.zone) || !is_at_or_below(name, &apex) {
            return None;
        }
        let reply = self.ask_one(server, &apex, RecordType::NS).await?;
        let delegation = delegation_of(&reply, &apex);
        (!delegation.servers.is_empty()).then_some(delegation)
    }

    /// One question to one server, without recursion.
    pub async fn ask_one(&mut self, server: SocketAddr, name: &str, kind: RecordType) -> Option<Reply> {
        Some(self.ask_decoded(server, name, kind, Flags::DIRECT).await?.reply)
    }

    /// The same with typed records, over TCP when UDP was cut.
    pub async fn ask_decoded(
        &mut self,
        server: SocketAddr,
        name: &str,
        kind: RecordType,
        flags: Flags,
    ) -> Option<Decoded> {
        self.queries_left = self.queries_left.checked_sub(1)?;
        let mut question = self.question(server.ip(), name, kind, flags);
        question.server = server;
        let (first, again) = ask_whole(&self.source, question).await;
        again.and_then(|a| a.decoded).or(first.decoded)
    }

    fn question(&self, address: IpAddr, name: &str, kind: RecordType, flags: Flags) -> Question {
        Question {
            server: SocketAddr::new(address, self.port),
            via: Via::Udp,
            name: name.to_owned(),
            kind,
            flags,
            patience: Patience::of(self.wait_ms),
        }
    }

    /// Looks up the addresses of name servers that came without glue.
    async fn fill(&mut self, delegation: &mut Delegation) {
        let missing: Vec<String> =
            delegation.servers.iter().filter(|(_, all)| all.is_empty()).map(|(ns, _)| ns.clone()).collect();
        for ns in missing.into_iter().take(SERVERS_COUNT_MAX) {
            let found = match self.directory.clone() {
                Directory::Resolvers(resolvers) => self.ask_resolvers(&resolvers, &ns).await,
                Directory::Roots(roots) => self.ask_roots(roots, &ns).await,
            };
            delegation.servers.insert(ns, found);
        }
    }

    async fn ask_resolvers(&mut self, resolvers: &[SocketAddr], ns: &str) -> Vec<IpAddr> {
        let mut tasks = JoinSet::new();
        for server in resolvers.iter().take(2) {
            for kind in [RecordType::A, RecordType::AAAA] {
                self.queries_left = self.queries_left.saturating_sub(1);
                let mut question = self.question(server.ip(), ns, kind, Flags::EDNS);
                question.server = *server;
                let source = self.source.clone();
                tasks.spawn(async move { ask_whole(&source, question).await });
            }
        }
        let mut found = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let Ok((first, again)) = done else { continue };
            let reply = again.as_ref().and_then(Asked::reply).or(first.reply());
            found.extend(reply.map(|r| r.addresses(ns)).unwrap_or_default());
        }
        found.sort();
        found.dedup();
        found
    }

    async fn ask_roots(&mut self, roots: Vec<SocketAddr>, ns: &str) -> Vec<IpAddr> {
        if self.nesting >= NESTING_COUNT_MAX {
            return Vec::new();
        }
        self.nesting += 1;
        let mut found = Vec::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let cuts = Box::pin(self.descend(roots_delegation(&roots), ns, kind)).await;
            let replies =
                cuts.last().into_iter().flat_map(|c| c.servers.iter().filter_map(ServerReport::reply));
            found.extend(replies.flat_map(|r| r.addresses(ns)));
        }
        self.nesting -= 1;
        found.sort();
        found.dedup();
        found
    }
}

/// Addresses of the root servers of the internet (IANA root hints, 2025).
pub const INTERNET_ROOTS: [&str; 13] = [
    "198.41.0.4",
    "170.247.170.2",
    "192.33.4.12",
    "199.7.91.13",
    "192.203.230.10",
    "192.5.5.241",
    "192.112.36.4",
    "198.97.190.53",
    "192.36.148.17",
    "192.58.128.30",
    "193.0.14.129",
    "199.7.83.42",
    "202.12.27.33",
];

/// Walks from the given roots to the servers of `name`, and on to where its CNAMEs lead.
///
/// One list of zone cuts for each name on the way, [`TRACES_COUNT_MAX`] at most.
pub async fn trace(source: &Source, roots: &[SocketAddr], name: &str, kind: RecordType) -> Vec<Authority> {
    let mut found: Vec<Authority> = Vec::new();
    let mut name = name.trim_end_matches('.').to_ascii_lowercase();
    for _ in 0..TRACES_COUNT_MAX {
        let mut walk = Walk::new(source.clone(), Directory::Roots(roots.to_vec()), SERVER_WAIT_MS);
        walk.port = roots.first().map_or(53, SocketAddr::port);
        let cuts = walk.descend(roots_delegation(roots), &name, kind).await;
        let authority = Authority { name: name.clone(), cuts, parent_denied: false, resolvers: Vec::new() };
        let next = authority.chain_end();
        found.push(authority);
        match next {
            Some(next) if !found.iter().any(|a| a.name == next) => name = next,
            _ => break,
        }
    }
    found
}

/// The root zone, served by these addresses.
pub fn roots_delegation(roots: &[SocketAddr]) -> Delegation {
    let servers = roots.iter().map(|root| (root.ip().to_string(), vec![root.ip()])).collect();
    Delegation { zone: ".".to_owned(), servers }
}

/// Asks; a late answer is asked for again, so that one slow packet makes no slow server.
async fn ask_patiently(source: &Source, question: Question) -> Vec<Asked> {
    let (first, again) = ask_whole(source, question.clone()).await;
    let late = first.exchange.ending == Ending::Answered && first.exchange.elapsed_ms >= SLOW_MS;
    let failed = first.reply().is_some_and(|r| r.rcode == 2) && question.kind != RecordType::CNAME;
    let mut asked = vec![first];
    asked.extend(again);
    if failed {
        // Some servers give up on long CNAME chains; asked for the CNAME alone they show that they serve the zone.
        let only = ask(source, Question { kind: RecordType::CNAME, ..question.clone() }).await;
        if only.reply().is_some_and(|r| r.rcode == 0 && r.authoritative) {
            asked.push(only);
        }
    }
    if late {
        let (once_more, over_tcp) = ask_whole(source, question).await;
        if once_more.exchange.ending == Ending::Answered {
            asked.push(once_more);
            asked.extend(over_tcp);
        }
    }
    asked
}

/// What one answer says of its server.
pub fn classify(asked: &Asked, zone: &str, name: &str) -> ServerState {
    let Some(reply) = asked.reply() else {
        return match asked.exchange.ending {
            Ending::LocalError => ServerState::Unasked,
            _ => ServerState::Dead,
        };
    };
    let prohibited = reply.extended_errors.iter().any(|e| e.code == 18);
    match reply.rcode {
        0 if reply.authoritative && !reply.answers.is_empty() => ServerState::Answers,
        0 if reply.authoritative && referral(reply, zone, name).is_none() => ServerState::Nodata,
        0 if referral(reply, zone, name).is_some() => ServerState::Refers,
        3 if reply.authoritative => ServerState::Nxdomain,
        5 if prohibited => ServerState::Refused,
        2 => ServerState::Servfail,
        // No authority, an upward referral, REFUSED, NOTAUTH: it does not serve the zone.
        _ => ServerState::Lame,
    }
}

/// The delegation in a reply that leads from `zone` down towards `name`.
pub fn referral(reply: &Reply, zone: &str, name: &str) -> Option<Delegation> {
    if !reply.answers.is_empty() {
        return None;
    }
    let owner = reply.authorities.iter().find(|r| r.kind == "NS").map(|r| r.name.clone())?;
    if !is_below(&owner, zone) || !is_at_or_below(name, &owner) {
        return None;
    }
    Some(delegation_of(reply, &owner))
}

/// The apex an authoritative reply names in its authority section, or gives as its own SOA.
fn apex_of(reply: &Reply) -> Option<String> {
    let own = reply.answers.iter().filter(|r| r.kind == "SOA");
    let above = reply.authorities.iter().filter(|r| r.kind == "SOA" || r.kind == "NS");
    own.chain(above).next().filter(|_| reply.authoritative).map(|r| r.name.clone())
}

/// Name servers of `zone` in a reply, with the addresses that came along.
pub fn delegation_of(reply: &Reply, zone: &str) -> Delegation {
    let records = || reply.answers.iter().chain(&reply.authorities);
    let named = records().filter(|r| r.kind == "NS" && r.name == zone).take(SERVERS_COUNT_MAX);
    let servers = named.map(|r| (r.data.clone(), glue(&reply.additionals, &r.data))).collect();
    Delegation { zone: zone.to_owned(), servers }
}

fn glue(records: &[RecordLine], ns: &str) -> Vec<IpAddr> {
    let owned = records.iter().filter(|r| r.name == ns && (r.kind == "A" || r.kind == "AAAA"));
    owned.filter_map(|r| r.data.parse().ok()).take(4).collect()
}

fn merge(into: &mut Option<Delegation>, more: Option<Delegation>) {
    let Some(more) = more else { return };
    match into {
        None => *into = Some(more),
        Some(have) if have.zone == more.zone => {
            for (ns, addresses) in more.servers {
                let all = have.servers.entry(ns).or_default();
                all.extend(addresses.into_iter().filter(|a| !all.contains(a)).collect::<Vec<_>>());
            }
        }
        Some(_) => {}
    }
}

/// True when `name` is `zone` or inside it.
pub fn is_at_or_below(name: &str, zone: &str) -> bool {
    zone == "." || name == zone || name.strip_suffix(zone).is_some_and(|head| head.ends_with('.'))
}

/// True when `name` is inside `zone` and not the zone itself.
pub fn is_below(name: &str, zone: &str) -> bool {
    name != zone && is_at_or_below(name, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, kind: &str, data: &str) -> RecordLine {
        RecordLine { name: name.into(), kind: kind.into(), ttl: 60, data: data.into() }
    }

    #[test]
    fn a_referral_leads_down_only() {
        let reply = Reply {
            authorities: vec![line("example.test", "NS", "ns1.example.test")],
            additionals: vec![line("ns1.example.test", "A", "10.0.0.1")],
            ..Reply::default()
        };
        let down = referral(&reply, "test", "www.example.test").unwrap();
        assert_eq!(down.servers["ns1.example.test"], ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(referral(&reply, "example.test", "www.example.test").is_none());
        assert!(referral(&reply, "test", "www.other.test").is_none());
        assert!(!is_at_or_below("badexample.test", "example.test"));
        assert!(is_at_or_below("a.test", "."));
    }
}
