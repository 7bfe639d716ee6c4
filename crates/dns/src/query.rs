//! One question of any type, put to every resolver; and the walk, with types given by name.

use crate::ask::{Patience, Question, ask_whole};
use crate::authority::Authority;
use crate::message::{Flags, parse_kind};
use crate::names::servers;
use crate::report::{Exchange, Via};
use crate::walk;
use netwhy_model::{Case, Source};
use std::net::SocketAddr;
use tokio::task::JoinSet;

/// How long one resolver is waited for: the stub's own first time-out.
const WAIT_MS_MAX: u64 = 5_000;

/// How to put a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manner {
    /// TCP alone.
    pub tcp: bool,
    /// Ask for signatures too.
    pub dnssec: bool,
}

/// True when `text` names a record type, such as `AAAA`, `https` or `TYPE65`.
pub fn is_kind(text: &str) -> bool {
    parse_kind(text).is_some()
}

/// Asks every resolver of the case at once, in their order; a truncated answer is followed by the one
/// over TCP. Empty when the type is unknown.
pub async fn query(case: &Case, name: &str, kind: &str, manner: Manner) -> Vec<Exchange> {
    let Some(kind) = parse_kind(kind) else { return Vec::new() };
    let mut tasks = JoinSet::new();
    for (at, server) in servers(case).into_iter().enumerate() {
        let question = Question {
            server,
            via: if manner.tcp { Via::Tcp } else { Via::Udp },
            name: name.to_owned(),
            kind,
            flags: Flags { dnssec: manner.dnssec, ..Flags::EDNS },
            patience: Patience::of(WAIT_MS_MAX),
        };
        let source = case.source.clone();
        tasks.spawn(async move { (at, ask_whole(&source, question).await) });
    }
    let mut found: Vec<(usize, Vec<Exchange>)> = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let Ok((at, (first, again))) = done else { continue };
        found.push((at, [Some(first), again].into_iter().flatten().map(|asked| asked.exchange).collect()));
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().flat_map(|(_, exchanges)| exchanges).collect()
}

/// Walks from `roots`, the internet's own when there are none; empty when the type is unknown.
pub async fn trace(source: &Source, roots: &[SocketAddr], name: &str, kind: &str) -> Vec<Authority> {
    let Some(kind) = parse_kind(kind) else { return Vec::new() };
    let internet =
        walk::INTERNET_ROOTS.iter().filter_map(|root| Some(SocketAddr::new(root.parse().ok()?, 53)));
    let roots: Vec<SocketAddr> = if roots.is_empty() { internet.collect() } else { roots.to_vec() };
    walk::trace(source, &roots, name, kind).await
}
