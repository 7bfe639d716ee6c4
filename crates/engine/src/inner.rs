//! The node's own connection to the origin, diagnosed from the node.

use netwhy_dns::Resolution;
use netwhy_ends::{End, EndName, RunSpec};
use netwhy_host::facts::Manner;
use netwhy_model::{Case, Evidence, Expect, Header, Leg, LegRecord, Limits, Scheme, Source, Vantage};
use std::net::SocketAddr;
use std::sync::Arc;

/// Longest run of the node, in milliseconds.
const BUDGET_MS_MAX: u64 = 6_500;
/// And the shortest worth starting.
const BUDGET_MS_MIN: u64 = 2_500;
/// Ports that speak TLS by custom.
const TLS_PORTS: [u16; 4] = [443, 8443, 9443, 4443];

/// Statuses that are no failure of the server that gives them.
const NO_FAILURE: std::ops::Range<u16> = 200..500;

/// Runs the case of the inner leg at the node; gives its evidence and records, marked as that leg's.
///
/// `is_served`: the user's own request is.
pub(crate) async fn run(
    case: &Case,
    node: &End,
    ends: Vec<EndName>,
    onward: SocketAddr,
    manner: Option<Manner>,
    is_served: bool,
    left_ms: u64,
) -> Result<(Vec<Evidence>, Vec<LegRecord>), String> {
    let mut case = inner_case(case, onward, manner, left_ms.clamp(BUDGET_MS_MIN, BUDGET_MS_MAX));
    if is_served {
        // The user gets what is wanted: where the node answers by itself, the origin's answer is another.
        case.expect.status = NO_FAILURE.collect();
    }
    let spec = RunSpec { case, ends, label: format!("{} to {onward}", node.name().name) };
    let saved = node.run(spec, Arc::new(|_: &str| {})).await.map_err(|error| error.to_string())?;
    let evidence = saved.evidence.into_iter().map(|mut item| {
        item.leg = Leg::Inner;
        if item.vantage == Vantage::Source {
            item.vantage = Vantage::Edge;
        }
        item
    });
    let records = saved.records.into_iter().map(|r| LegRecord { leg: Leg::Inner, ..r });
    Ok((evidence.collect(), records.collect()))
}

/// The user's case as the node would make it: the same site, asked at the origin.
fn inner_case(case: &Case, onward: SocketAddr, manner: Option<Manner>, budget_ms: u64) -> Case {
    let mut inner = case.clone();
    inner.origin = None;
    inner.via = Some(onward);
    inner.health_path = manner.as_ref().and_then(|manner| manner.health_path.clone());
    inner.client_cert = None;
    inner.source = Source::default();
    inner.limits = Limits { budget_ms, ..case.limits };
    if case.target.scheme.uses_http() {
        // What the node's configuration does not say, the port's custom does.
        let tls = manner.as_ref().map_or(TLS_PORTS.contains(&onward.port()), |manner| manner.tls);
        inner.target.scheme = if tls { Scheme::Https } else { Scheme::Http };
        if let Some(sent) = manner.and_then(|manner| manner.host) {
            inner.headers.retain(|header| !header.name.eq_ignore_ascii_case("host"));
            inner.headers.push(Header { name: "Host".to_owned(), value: sent });
        }
        // The node names the site, not the port it asks on.
        if let (Some(name), None) = (case.target.name(), case.header("host")) {
            inner.headers.push(Header { name: "Host".to_owned(), value: name.to_owned() });
        }
    }
    inner.target.port = onward.port();
    // What the answer must be holds on both legs; how the user's own connection is made does not.
    inner.expect = Expect {
        status: case.expect.status.clone(),
        max_time_ms: case.expect.max_time_ms,
        min_bytes: case.expect.min_bytes,
        success_min: case.expect.success_min,
        loss_max: case.expect.loss_max,
        ..Expect::default()
    };
    inner
}

/// What stands for a resolution where the address is given.
pub(crate) fn resolved(via: SocketAddr) -> Resolution {
    Resolution { addresses: vec![via.ip()], ..Resolution::default() }
}
