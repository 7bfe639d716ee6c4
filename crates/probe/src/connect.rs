//! Question "connect": a TCP handshake with every address, watched on the wire.
//!
//! The kernel makes the handshakes; a tap beside it sees SYNs leave, SYN-ACKs, RSTs and ICMP errors come.
//! One address is asked several times, so that chance is not taken for a rule.

mod ask;
pub(crate) mod attempt;
mod facts;
mod families;
pub(crate) mod record;

pub(crate) use ask::unlikely_ports;
pub(crate) use facts::NEEDS_RAW;
pub use facts::answer as describe_attempt;
pub use record::{AddressResult, AttemptRecord, ConnectOutcome, IcmpSeen};

use crate::local::counters::Counters;
use crate::tap::Tap;
use netwhy_model::{Case, Evidence, Stamp};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::task::JoinSet;

/// Most addresses of one name that are asked.
pub const ADDRESS_COUNT_MAX: usize = 16;

/// What the connect question found: facts, each address, and the address to go on with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Connected {
    pub evidence: Vec<Evidence>,
    /// One for each address asked, in the order given.
    pub results: Vec<AddressResult>,
    /// An address that opens, IPv6 first as a browser would choose; one that sometimes opens when none always does.
    pub best: Option<SocketAddr>,
    /// SYN to SYN-ACK of `best`, else of any answer, in milliseconds.
    pub rtt_ms: Option<f64>,
}

impl Connected {
    /// What was seen of one address.
    pub fn result(&self, address: SocketAddr) -> Option<&AddressResult> {
        self.results.iter().find(|result| result.address == address)
    }
}

/// Asks every address at once and reports what the wire showed.
///
/// Takes one round trip where things are well, 3.4 s at most where nothing answers.
pub async fn connect(case: &Case, addresses: &[SocketAddr]) -> Connected {
    let mut addresses: Vec<SocketAddr> = addresses.to_vec();
    addresses.truncate(ADDRESS_COUNT_MAX);
    let peers: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
    let mut tap = Tap::open(&peers);
    let before = Counters::read();
    let source = Arc::new(case.source.clone());
    let mut tasks = JoinSet::new();
    for (index, address) in addresses.iter().copied().enumerate() {
        let source = Arc::clone(&source);
        tasks.spawn(async move { (index, ask::ask(source, address).await) });
    }
    let mut asked: Vec<(usize, ask::Asked)> = Vec::new();
    while let Some(done) = tasks.join_next().await {
        if let Ok(one) = done {
            asked.push(one);
        }
    }
    asked.sort_by_key(|(index, _)| *index);
    let seen = tap.as_mut().ok().map(|tap| tap.drain());
    let results: Vec<AddressResult> = asked.into_iter().map(|(_, one)| record::result(one, seen)).collect();
    let counted = Counters::read().since(&before);
    let best = choose(&results);
    let rtt_ms = best
        .and_then(|best| results.iter().find(|r| r.address == best))
        .and_then(|r| r.rtt_ms)
        .or_else(|| results.iter().filter_map(|r| r.rtt_ms).reduce(f64::min));
    let at = Stamp::from(SystemTime::now());
    let evidence = facts::evidence(&facts::Input { case, results: &results, seen, counted, at, rtt_ms });
    Connected { evidence, results, best, rtt_ms }
}

/// Always-open addresses before sometimes-open ones, IPv6 before IPv4, then as listed.
fn choose(results: &[AddressResult]) -> Option<SocketAddr> {
    let with = |outcome: ConnectOutcome| {
        let opens = || results.iter().filter(move |r| r.outcome == outcome).map(|r| r.address);
        opens().find(SocketAddr::is_ipv6).or_else(|| opens().next())
    };
    with(ConnectOutcome::Open).or_else(|| with(ConnectOutcome::Intermittent))
}
