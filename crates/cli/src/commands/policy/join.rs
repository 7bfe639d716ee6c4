//! `netwhy TARGET --policy PATH`: what the rules say, as evidence beside the probes.

use super::files;
use crate::Common;
use anyhow::Result;
use netwhy_model::{Evidence, Host, Link, SavedCase, Scheme, Vantage};
use netwhy_policy::can::{Answer, Class, Told, Verdict};
use netwhy_policy::estate::{Ask, End, Request};
use netwhy_policy::gate::Direction;
use netwhy_policy::world::World;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;

/// The collector of what is told here.
const COLLECTOR: &str = "policy.can";

/// Reads the rules once, before anything is asked.
pub(crate) fn read(paths: &[PathBuf], common: &Common) -> Result<Option<World>> {
    if paths.is_empty() {
        return Ok(None);
    }
    let world = World::read(&files::sources(paths, common)?, None);
    files::tell_unread(world.unread(), common.lang);
    Ok(Some(world))
}

/// Adds to a case what the rules say of its way; nothing when its address is not known.
pub(crate) fn add(world: &World, saved: &mut SavedCase) {
    let target = &saved.case.target;
    let port = (target.scheme != Scheme::Dns).then_some(target.port);
    let Some(address) = address(saved) else { return };
    let Some(from) = own_address(address) else { return };
    let protocol = if target.scheme == Scheme::Udp { 17 } else { 6 };
    let ask = Ask {
        from: world.whose(from).unwrap_or(End::Addresses(from, from)),
        to: world.whose(address).unwrap_or(End::Addresses(address, address)),
        protocol,
        port,
        request: Request::of(target),
    };
    let answer = world.can(&ask);
    let subject = SocketAddr::new(address, port.unwrap_or_default()).to_string();
    for mut one in evidence(&answer, saved) {
        one.id = format!("E{}", saved.evidence.len() + 1);
        saved.evidence.push(one.from(Vantage::Config).about(subject.clone()));
    }
}

/// The address of the target that was asked: written out, or the first one a handshake went to.
pub(crate) fn address(saved: &SavedCase) -> Option<IpAddr> {
    if let Host::Address(address) = &saved.case.target.host {
        return Some(*address);
    }
    let tried =
        saved.evidence.iter().filter(|one| one.fact.starts_with("tcp.") || one.fact.starts_with("udp."));
    let mut subjects = tried.filter_map(|one| one.subject.as_deref());
    subjects.find_map(|text| text.parse::<SocketAddr>().map(|at| at.ip()).or_else(|_| text.parse()).ok())
}

/// The address this host would send from. Connecting a UDP socket sends nothing.
pub(crate) fn own_address(to: IpAddr) -> Option<IpAddr> {
    let any: SocketAddr = if to.is_ipv4() { "0.0.0.0:0".parse().ok()? } else { "[::]:0".parse().ok()? };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(SocketAddr::new(to, 9)).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

/// One fact for each kind of rule on the way: the first step of it that stops, or that all let it through.
fn evidence(answer: &Answer, saved: &SavedCase) -> Vec<Evidence> {
    let mut facts: Vec<(&'static str, &Told, &'static str)> = Vec::new();
    for told in &answer.steps {
        let (fact, let_through, stopped) = words(told);
        let value = match told.outcome {
            Verdict::Allowed => let_through,
            Verdict::Denied => stopped,
            Verdict::Depends => "",
        };
        match facts.iter_mut().find(|one| one.0 == fact) {
            // What stops outweighs what depends, and that what lets through.
            Some(one) if weight(told.outcome) > weight(one.1.outcome) => *one = (fact, told, value),
            Some(_) => {}
            None => facts.push((fact, told, value)),
        }
    }
    facts
        .into_iter()
        .map(|(fact, told, value)| {
            let link = if told.class == Class::HostFirewall { Link::OriginHost } else { Link::Path };
            let excerpt = excerpt(told);
            if value.is_empty() {
                return Evidence::unread(fact, link, saved.started, COLLECTOR, excerpt);
            }
            Evidence::seen(fact, value, link, saved.started, COLLECTOR, excerpt)
        })
        .collect()
}

const fn weight(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allowed => 0,
        Verdict::Depends => 1,
        Verdict::Denied => 2,
    }
}

/// The fact a step answers, its value when it lets through, and when it stops.
fn words(told: &Told) -> (&'static str, &'static str, &'static str) {
    let back = told.way == "back";
    let outbound = told.direction == Some(Direction::Outbound);
    match told.class {
        Class::SecurityGroup if outbound => ("policy.group", "allowed", "no_egress"),
        Class::SecurityGroup => ("policy.group", "allowed", "no_ingress"),
        Class::NetworkAcl if back => ("policy.acl", "allowed", "no_return"),
        Class::NetworkAcl => ("policy.acl", "allowed", "denied"),
        Class::CloudFirewall => ("policy.cloud_firewall", "allowed", "denied"),
        Class::HostFirewall if told.direction == Some(Direction::Through) => {
            ("policy.router", "allowed", "denied")
        }
        Class::HostFirewall if outbound => ("policy.host", "allowed", "output"),
        Class::HostFirewall => ("policy.host", "allowed", "input"),
        Class::Kubernetes => ("policy.kubernetes", "allowed", "denied"),
        Class::ZeroTrust => ("policy.identity", "allowed", "denied"),
        Class::Route if back => ("policy.route", "there", "no_return"),
        Class::Route => ("policy.route", "there", "missing"),
    }
}

fn excerpt(told: &Told) -> String {
    let by: Vec<String> = told
        .by
        .iter()
        .map(|because| match because.rule {
            Some(rule) => format!("{} rule {rule} ({}): {}", because.place, because.why.en, because.text),
            None => format!("{} {}", because.place, because.why.en),
        })
        .collect();
    format!("{}: {}", told.what.en, by.join("; "))
}
