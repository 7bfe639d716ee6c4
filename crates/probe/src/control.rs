//! Question "control": other answers of the same host, and the TTLs of what comes back.

mod echo;
pub(crate) mod hops;

use crate::connect::attempt::{Attempt, Plan, attempt};
use crate::connect::{
    AddressResult, AttemptRecord, ConnectOutcome, Connected, NEEDS_RAW, record, unlikely_ports,
};
use crate::tap::{Seen, Tap, What};
use echo::{EchoAnswer, echo};
use hops::{Hops, Place};
use netwhy_model::{Case, Evidence, Link, Stamp};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

const COLLECTOR: &str = "tcp.control";
/// Unlikely ports asked beside port 1; the majority counts.
const UNLIKELY_COUNT: usize = 4;
/// Ports a host commonly serves; few, so that this stays polite.
const COMMON_PORTS: [u16; 9] = [22, 80, 443, 8080, 8443, 3389, 53, 25, 1];
/// Port 1 (tcpmux) closes the list above: nobody serves it.
const NOBODY_PORT: u16 = 1;
/// Waits for an answer: so many round trips, within these bounds.
const WAIT_RTT_COUNT: f64 = 6.0;
const WAIT_MIN_MS: f64 = 350.0;
const WAIT_MAX_MS: f64 = 1_300.0;

/// Asks other ports and pings the same host, and compares TTLs. At most 1.4 s.
pub async fn control(case: &Case, address: SocketAddr, connected: &Connected) -> Vec<Evidence> {
    let at = Stamp::from(SystemTime::now());
    let wait = wait(connected.rtt_ms);
    let mut tap = Tap::open(&[address.ip()]).ok();
    let source = Arc::new(case.source.clone());
    let pinging = {
        let source = Arc::clone(&source);
        tokio::task::spawn_blocking(move || echo(&source, address.ip(), wait))
    };
    let plan = Plan::new(&source);
    let unlikely = unlikely_ports(address.port(), UNLIKELY_COUNT);
    let mut tasks = JoinSet::new();
    for port in COMMON_PORTS.into_iter().filter(|p| *p != address.port()).chain(unlikely.iter().copied()) {
        let plan = plan.clone();
        // The scope of a link-local address must come along.
        let mut other = address;
        other.set_port(port);
        tasks.spawn(async move { attempt(&plan, other, wait).await });
    }
    let mut attempts: Vec<Attempt> = Vec::new();
    while let Some(done) = tasks.join_next().await {
        if let Ok(mut one) = done {
            one.close();
            attempts.push(one);
        }
    }
    let ping = pinging.await.unwrap_or(EchoAnswer::NotAllowed);
    let seen = tap.as_mut().map(Tap::drain);
    let mut answers: Vec<(u16, AttemptRecord)> =
        attempts.iter().map(|a| (a.remote.port(), record::record(a, seen))).collect();
    answers.sort_by_key(|(port, _)| *port);
    let control = Control { at, address, unlikely, answers, ping, seen };
    control.evidence(connected.result(address))
}

fn wait(rtt_ms: Option<f64>) -> Duration {
    let ms = rtt_ms.map_or(WAIT_MAX_MS, |rtt| (rtt * WAIT_RTT_COUNT).clamp(WAIT_MIN_MS, WAIT_MAX_MS));
    Duration::from_micros((ms * 1e3) as u64)
}

/// All that came back.
struct Control<'a> {
    at: Stamp,
    address: SocketAddr,
    unlikely: Vec<u16>,
    answers: Vec<(u16, AttemptRecord)>,
    ping: EchoAnswer,
    seen: Option<&'a [Seen]>,
}

impl Control<'_> {
    fn evidence(&self, result: Option<&AddressResult>) -> Vec<Evidence> {
        let mut facts = Vec::new();
        facts.extend(self.control_port());
        facts.extend(self.open_elsewhere());
        facts.extend(self.ports_reached());
        facts.push(self.echo());
        facts.extend(self.ttls(result));
        facts
    }

    fn fact(&self, fact: &str, value: &str, link: Link, excerpt: impl Into<String>) -> Evidence {
        Evidence::seen(fact, value, link, self.at, COLLECTOR, excerpt)
    }

    fn is_unlikely(&self, port: u16) -> bool {
        port == NOBODY_PORT || self.unlikely.contains(&port)
    }

    /// What most of the unlikely ports do.
    fn control_port(&self) -> Option<Evidence> {
        let asked: Vec<&(u16, AttemptRecord)> = self
            .answers
            .iter()
            .filter(|(port, a)| self.is_unlikely(*port) && !matches!(a.outcome, ConnectOutcome::Local(_)))
            .collect();
        let text: Vec<String> = asked
            .iter()
            .map(|(port, a)| {
                format!(
                    "{port} {}{}",
                    a.outcome.name(),
                    a.rst_ttl.map_or(String::new(), |t| format!(" TTL {t}"))
                )
            })
            .collect();
        let count = |value: &str| asked.iter().filter(|(_, a)| a.outcome.name() == value).count();
        // RSTs and ICMP errors are rate-limited by their senders, so a few of them outweigh silence.
        let value =
            ["open", "refused", "rejected"].into_iter().find(|value| count(value) * 2 >= asked.len().max(1));
        let value = value.or_else(|| ["refused", "rejected"].into_iter().find(|value| count(value) >= 2));
        if asked.is_empty() {
            return None;
        }
        let fact = self.fact(
            "tcp.control_port",
            value.unwrap_or("silent"),
            Link::OriginHost,
            format!("ports {}", text.join(", ")),
        );
        Some(if value.is_none() { fact.unanswered() } else { fact })
    }

    fn open_elsewhere(&self) -> Option<Evidence> {
        let open: Vec<&(u16, AttemptRecord)> =
            self.answers.iter().filter(|(_, a)| a.outcome == ConnectOutcome::Open).collect();
        if self.answers.iter().all(|(_, a)| matches!(a.outcome, ConnectOutcome::Local(_))) {
            return None;
        }
        let unlikely_open = open.iter().filter(|(port, _)| self.is_unlikely(*port)).count();
        let value = if unlikely_open > UNLIKELY_COUNT / 2 {
            "everything"
        } else if open.is_empty() {
            "none"
        } else {
            "some"
        };
        let list: Vec<String> = open
            .iter()
            .map(|(port, a)| {
                format!("{port}{}", a.syn_ack_ttl.map_or(String::new(), |t| format!(" TTL {t}")))
            })
            .collect();
        let text = format!(
            "{} ports asked, open: {}",
            self.answers.len(),
            if list.is_empty() { "none".to_owned() } else { list.join(", ") }
        );
        Some(self.fact("tcp.open_elsewhere", value, Link::OriginHost, text))
    }

    /// Which ports this source reaches: those the host itself answers, by opening or by refusing.
    fn ports_reached(&self) -> Option<Evidence> {
        let ports = |pick: fn(&ConnectOutcome) -> bool| -> Vec<String> {
            self.answers.iter().filter(|(_, a)| pick(&a.outcome)).map(|(port, _)| port.to_string()).collect()
        };
        let reached = ports(|outcome| matches!(outcome.name(), "open" | "refused"));
        let not = ports(|outcome| matches!(outcome.name(), "silent" | "rejected"));
        let value = match (reached.is_empty(), not.is_empty()) {
            (true, true) => return None,
            (false, true) => "all",
            (false, false) => "some",
            (true, false) => "none",
        };
        let list = |ports: &[String]| if ports.is_empty() { "none".to_owned() } else { ports.join(", ") };
        let text = format!("reached {}; not reached {}", list(&reached), list(&not));
        Some(self.fact("tcp.ports_reached", value, Link::OriginHost, text))
    }

    /// TTL of an echo reply, as the socket or the tap saw it.
    fn echo_ttl(&self) -> Option<u8> {
        if let EchoAnswer::Reply(Some(ttl)) = self.ping {
            return Some(ttl);
        }
        self.seen?.iter().find_map(|s| match s.what {
            What::Echo { reply: true, source, ttl, .. } if source == self.address.ip() && !s.outgoing => {
                Some(ttl)
            }
            _ => None,
        })
    }

    fn echo(&self) -> Evidence {
        let ttl = self.echo_ttl();
        let (value, text) = match self.ping {
            EchoAnswer::Reply(_) => {
                ("answered", format!("echo reply{}", ttl.map_or(String::new(), |t| format!(", TTL {t}"))))
            }
            EchoAnswer::Unreachable { kind: 11, code } if self.address.is_ipv4() => {
                ("ttl_exceeded", format!("ICMP 11/{code}"))
            }
            EchoAnswer::Unreachable { kind: 3, code } if self.address.is_ipv6() => {
                ("ttl_exceeded", format!("ICMPv6 3/{code}"))
            }
            EchoAnswer::Unreachable { kind, code } => ("unreachable", format!("ICMP {kind}/{code}")),
            EchoAnswer::Silent => ("silent", "no echo reply".to_owned()),
            EchoAnswer::NotAllowed => {
                let why = "needs CAP_NET_RAW or a group inside net.ipv4.ping_group_range";
                return Evidence::unread("icmp.echo", Link::OriginHost, self.at, COLLECTOR, why);
            }
        };
        let fact = self.fact("icmp.echo", value, Link::OriginHost, text);
        if value == "silent" { fact.unanswered() } else { fact }
    }

    /// How far the host is, by its other answers: ping and open ports speak for it more than RSTs do.
    fn host_hops(&self) -> Option<(Hops, String)> {
        if let Some(ttl) = self.echo_ttl() {
            return Some((Hops::of(ttl), format!("echo reply TTL {ttl}")));
        }
        let by = |pick: fn(&AttemptRecord) -> Option<u8>, name: &str| {
            let ttls: Vec<u8> = self.answers.iter().filter_map(|(_, a)| pick(a)).collect();
            let common = ttls.iter().copied().max_by_key(|ttl| ttls.iter().filter(|t| *t == ttl).count())?;
            Some((Hops::of(common), format!("{name} of other ports TTL {common}")))
        };
        by(|a| a.syn_ack_ttl, "SYN-ACK").or_else(|| by(|a| a.rst_ttl, "RST"))
    }

    fn ttls(&self, result: Option<&AddressResult>) -> Vec<Evidence> {
        if self.seen.is_none() {
            return ["tcp.rst_ttl", "tcp.synack_ttl"]
                .map(|fact| Evidence::unread(fact, Link::Path, self.at, COLLECTOR, NEEDS_RAW))
                .into();
        }
        let host = self.host_hops();
        let compare = |fact: &str, name: &str, ttl: Option<u8>| {
            let (value, text) = match (ttl, &host) {
                (None, _) => ("none", format!("no {name} from the target's port")),
                (Some(ttl), None) => ("none", format!("{name} TTL {ttl}, no other answer to compare with")),
                (Some(ttl), Some((hops, text))) => {
                    let value = match Hops::of(ttl).beside(*hops) {
                        Place::Same => "same",
                        Place::Nearer => "nearer",
                        Place::Farther => "farther",
                    };
                    (value, format!("{name} TTL {ttl}, {text}"))
                }
            };
            self.fact(fact, value, Link::Path, text)
        };
        vec![
            compare("tcp.rst_ttl", "RST", result.and_then(AddressResult::rst_ttl)),
            compare("tcp.synack_ttl", "SYN-ACK", result.and_then(AddressResult::syn_ack_ttl)),
        ]
    }
}
