//! What a collection of rules knows of a way from A to B: the gates a packet meets, there and back.

use crate::can::Class;
use crate::gate::{Direction, Gate};
use crate::netfilter::ast::Ruleset;
use crate::place::{Place, Unread};
use crate::read::Span;
use crate::space::Cube;
use netwhy_model::{Scheme, Target, Text};
use std::net::IpAddr;
use std::sync::Arc;

/// Something with addresses: an instance, a pod, a host, a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `i-0abc`, `default/web[Deployment]`, the name of a host.
    pub id: String,
    /// Other names it goes by: its Name tag, its ENI, its DNS name.
    pub names: Vec<String>,
    /// Addresses of its own, and those that lead to it by NAT (public, elastic, virtual).
    pub addresses: Vec<IpAddr>,
    pub place: Place,
}

/// One end of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// An endpoint this estate knows, by its id.
    Known(String),
    /// Addresses from first to last, known or not.
    Addresses(IpAddr, IpAddr),
    /// Anywhere outside: every address that no estate claims.
    Outside,
    /// Anywhere outside but here.
    OutsideBut(Vec<Span>),
}

/// What is asked of a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub from: End,
    pub to: End,
    /// Transport protocol: 6, 17, 1 …
    pub protocol: u8,
    /// For TCP, UDP, SCTP.
    pub port: Option<u16>,
    /// What is asked for, where load balancers look at it.
    pub request: Option<Request>,
}

/// An HTTP request, as far as rules of load balancers look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The name in its URL, without port.
    pub host: String,
    /// Beginning with `/`, without query.
    pub path: String,
}

impl Request {
    /// What is asked for, where a target is of the web.
    pub fn of(target: &Target) -> Option<Request> {
        if !matches!(target.scheme, Scheme::Http | Scheme::Https) {
            return None;
        }
        let path = target.path.split(['?', '#']).next().unwrap_or("/").to_owned();
        Some(Request { host: target.host.to_string(), path })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    There,
    Back,
}

/// One thing on the way, in the order a packet meets it.
#[derive(Debug, Clone)]
pub struct Step {
    /// "security groups of i-0abc, outbound".
    pub what: Text,
    pub way: Way,
    pub look: Look,
}

#[derive(Debug, Clone)]
pub enum Look {
    /// These packets (as they are here, after NAT on the way) must be let through. On the way back of a stateful
    /// gate there is no step.
    Gate { gate: Arc<Gate>, packets: Vec<Cube> },
    /// Decided already, part by part: a filter whose rules are no single list.
    Decided { class: Class, direction: Direction, decisions: Vec<Decision> },
    /// The way goes on: "route 10.0.0.0/16 → local of rtb-1"; changes nothing, told for the reader.
    Passes { why: Text, place: Place },
    /// The way ends here: no route, no public address, a black hole, an isolated network.
    Ends { why: Text, place: Place, fix: Vec<Fix> },
    /// It cannot be told: something is not in the files.
    Depends { on: Text, place: Place },
}

/// What becomes of some packets at one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub packets: Cube,
    pub outcome: Outcome,
    /// The rules or absences that decide, or on which it depends; every one, not the first alone.
    pub by: Vec<Because>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    Allowed,
    /// Dropped without a word.
    Denied,
    /// Refused with an answer.
    Rejected,
    Depends,
}

/// One reason of a decision.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Because {
    #[serde(flatten)]
    pub place: Place,
    /// The chain, group, list or policy.
    #[serde(rename = "in")]
    pub within: String,
    /// The rule's number there, from 0 or as its owner counts; none for a default.
    pub rule: Option<u32>,
    /// The rule in its owner's words; empty for a default.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    pub why: Text,
}

/// A change that mends, in its owner's syntax.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fix {
    /// `nft`, `iptables`, `aws-cli`, `az`, `gcloud`, `aliyun`, `kubectl`, `terraform`, `text`.
    pub syntax: &'static str,
    pub what: Text,
    /// The command or the lines of configuration.
    pub change: String,
}

/// A collection of files of one kind, read.
pub trait Estate: Send + Sync {
    /// What it is: "AWS account 123", "Kubernetes manifests".
    fn title(&self) -> Text;
    fn endpoints(&self) -> &[Endpoint];
    /// What its readers did not understand.
    fn unread(&self) -> &[Unread];
    /// Every list of rules in it, for lint: with the ids of those that use it.
    fn gates(&self) -> Vec<Arc<Gate>>;
    /// The lists for lint, where those of single endpoints would tell of each rule many times.
    fn lint_gates(&self) -> Vec<Arc<Gate>> {
        self.gates()
    }
    /// The packet filter it is, and the host's name.
    fn filter(&self) -> Option<(&str, &Ruleset)> {
        None
    }
    /// What makes the default of a gate what it is, where that has a place of its own: all policies that isolate.
    fn defaults(&self, _gate: &Gate) -> Vec<Because> {
        Vec::new()
    }
    /// The part of the way that this estate governs; empty when it knows neither end. Asked with both ends even
    /// when it knows one: the other is then outside of it.
    fn way(&self, ask: &Ask) -> Vec<Step>;
    /// The smallest change of one gate that lets these packets through, in its owner's syntax and as Terraform
    /// where there is a provider.
    fn allow(&self, gate: &Gate, packets: &[Cube]) -> Vec<Fix>;
    /// Says by which interfaces packets come and go, for packet filters that ask.
    fn through(&mut self, _from: Option<&str>, _to: Option<&str>) {}
    /// The same for a filter that decided by itself.
    fn allow_decided(&self, _decisions: &[Decision]) -> Vec<Fix> {
        Vec::new()
    }
}
