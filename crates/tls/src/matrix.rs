//! What a server accepts: versions, cipher suites, groups and protocols, each asked by a hello of its own.

use crate::context::Context;
use crate::dial::millis;
use crate::exchange::{Exchange, Until};
use crate::hello::{Hello, SSL3, TLS10, TLS11, TLS12, TLS13};
use crate::suites::{GROUPS, Group, SUITES_12, SUITES_13, Suite, version_name};
use netwhy_model::Case;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Hellos under way at the same time.
const AT_ONCE_COUNT: usize = 24;
/// Longest wait for one answer, in milliseconds.
const WAIT_MS_MAX: u64 = 1_400;
/// The protocols asked for one by one.
const PROTOCOLS: [&str; 4] = ["h2", "http/1.1", "http/1.0", "acme-tls/1"];

/// One cipher suite that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SuiteRow {
    pub code: u16,
    pub name: &'static str,
    /// Why nobody should use it; absent when it is sound.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub weakness: &'static str,
}

/// One protocol version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionRow {
    pub version: String,
    pub served: bool,
    /// What came back to the hello of this version alone.
    pub answer: String,
    pub suites: Vec<SuiteRow>,
}

/// One key-exchange group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupRow {
    pub name: &'static str,
    pub served: bool,
}

/// Versions, cipher suites, groups and protocols of one server.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Matrix {
    /// From TLS 1.3 down to SSL 3.
    pub versions: Vec<VersionRow>,
    pub groups: Vec<GroupRow>,
    /// Protocols the server picks when offered alone.
    pub alpn: Vec<&'static str>,
    /// What comes back without a name, and for a name nobody has.
    pub without_name: String,
    pub other_name: String,
    pub hellos: usize,
    pub elapsed_ms: f64,
}

/// Asks every version, suite and group; a second round only for versions older than 1.2 that are served.
pub async fn matrix(case: &Case, address: SocketAddr) -> Matrix {
    let started = Instant::now();
    let context = Context { connections: AT_ONCE_COUNT, ..Context::new(case, address) };
    let name = context.name().map(str::to_owned);
    let name = name.as_deref();
    let versions = [TLS13, TLS12, TLS11, TLS10, SSL3];
    let mut hellos: Vec<Hello> = versions.iter().map(|version| Hello::only(*version, name)).collect();
    hellos.extend(SUITES_13.iter().map(|suite| one_suite(TLS13, suite, name)));
    hellos.extend(SUITES_12.iter().map(|suite| one_suite(TLS12, suite, name)));
    hellos.extend(GROUPS.iter().map(|group| one_group(group, name)));
    hellos.extend(PROTOCOLS.iter().map(|protocol| one_protocol(protocol, name)));
    hellos.push(Hello::wide(None));
    hellos.push(Hello::wide(Some(crate::differential::OTHER_NAME)));
    let mut out = Matrix { hellos: hellos.len(), ..Matrix::default() };
    let mut answers = ask(&context, hellos).await.into_iter();
    let mut take = |count: usize| -> Vec<Exchange> { answers.by_ref().take(count).collect() };
    let by_version = take(versions.len());
    let (thirteen, twelve) = (take(SUITES_13.len()), take(SUITES_12.len()));
    out.groups = GROUPS
        .iter()
        .zip(take(GROUPS.len()))
        .map(|(group, answer)| GroupRow { name: group.name, served: answer.accepted() })
        .collect();
    out.alpn = PROTOCOLS
        .iter()
        .zip(take(PROTOCOLS.len()))
        .filter(|(protocol, answer)| picked(answer, protocol))
        .map(|(protocol, _)| *protocol)
        .collect();
    out.without_name = take(1).first().map(Exchange::said).unwrap_or_default();
    out.other_name = take(1).first().map(Exchange::said).unwrap_or_default();
    for (version, answer) in versions.into_iter().zip(&by_version) {
        let served = answer.version() == Some(version);
        let suites = match version {
            TLS13 => accepted(&SUITES_13, &thirteen, version),
            TLS12 => accepted(&SUITES_12, &twelve, version),
            _ if served => {
                let hellos: Vec<Hello> =
                    SUITES_12.iter().map(|suite| one_suite(version, suite, name)).collect();
                out.hellos += hellos.len();
                accepted(&SUITES_12, &ask(&context, hellos).await, version)
            }
            _ => Vec::new(),
        };
        out.versions.push(VersionRow {
            version: version_name(version),
            served,
            answer: answer.said(),
            suites,
        });
    }
    out.elapsed_ms = millis(started.elapsed());
    out
}

async fn ask(context: &Context, hellos: Vec<Hello>) -> Vec<Exchange> {
    let questions = hellos.into_iter().map(|hello| (hello, Until::Hello)).collect();
    context.exchanges(questions, Duration::from_millis(WAIT_MS_MAX)).await
}

fn accepted(suites: &[Suite], answers: &[Exchange], version: u16) -> Vec<SuiteRow> {
    let served = |answer: &Exchange, code: u16| {
        answer.version() == Some(version)
            && answer.flight.hello.as_ref().is_some_and(|hello| hello.cipher == code)
    };
    suites
        .iter()
        .zip(answers)
        .filter(|(suite, answer)| served(answer, suite.code))
        .map(|(suite, _)| SuiteRow { code: suite.code, name: suite.name, weakness: suite.weakness })
        .collect()
}

fn one_suite(version: u16, suite: &Suite, name: Option<&str>) -> Hello {
    Hello { ciphers: vec![suite.code], ..Hello::only(version, name) }
}

/// Groups of TLS 1.3 are asked in a hello of both versions, older curves in one of TLS 1.2.
fn one_group(group: &Group, name: Option<&str>) -> Hello {
    let base = if group.common { Hello::wide(name) } else { Hello::limited(TLS12, name) };
    let ephemeral = SUITES_12.iter().filter(|suite| suite.common && suite.name.starts_with("ECDHE"));
    let ciphers = match group.common {
        true => SUITES_13.iter().chain(ephemeral).map(|suite| suite.code).collect(),
        false => ephemeral.map(|suite| suite.code).collect(),
    };
    let shares = if group.common { vec![group.code] } else { Vec::new() };
    Hello { ciphers, groups: vec![group.code], shares, ..base }
}

/// TLS 1.2, where the choice is visible.
fn one_protocol(protocol: &str, name: Option<&str>) -> Hello {
    Hello { alpn: vec![protocol.as_bytes().to_vec()], ..Hello::limited(TLS12, name) }
}

fn picked(answer: &Exchange, protocol: &str) -> bool {
    let alpn = answer.flight.hello.as_ref().and_then(|hello| hello.alpn.as_deref());
    answer.accepted() && alpn == Some(protocol.as_bytes())
}
