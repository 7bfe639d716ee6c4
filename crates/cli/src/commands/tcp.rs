//! `netwhy tcp`: the handshake with every address, watched on the wire and classified.

use super::way::{Family, Way, no_address};
use crate::Common;
use anyhow::Result;
use netwhy_model::{Case, Evidence, Lang, Source, Target};
use netwhy_probe::connect::describe_attempt;
use netwhy_probe::{AddressResult, ConnectOutcome, Connected};
use serde_json::{Value, json};
use std::fmt::Write;
use std::net::SocketAddr;

/// The schema of the JSON form.
const SCHEMA: &str = "netwhy.tcp/1";

pub(crate) const EXAMPLES: &str = "\
What the answers mean:
  SYN-ACK            something accepts connections there; its TTL tells how far away it is
  RST                nobody listens, or a firewall pretends so: compare its TTL with the control port's
  ICMP from target   the host's own firewall rejects
  ICMP from router   a device on the way rejects, or has no route; after about 3 s it waited for ARP
  silence            dropped: see `netwhy trace` for where
  nothing left       this host's own firewall dropped the SYN

Examples:
  netwhy tcp shop.example:443
  netwhy tcp [2001:db8::1]:22 --series
  netwhy tcp 203.0.113.7:3306 --json";

/// What `netwhy tcp` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Host and port, such as shop.example:443 or [2001:db8::1]:22; a URL works as well
    target: String,
    /// Also repeat the handshake: in a row, at once, held open, from fixed source ports
    #[arg(long)]
    series: bool,
    /// Do not send first bytes after the handshake
    #[arg(long)]
    no_payload: bool,
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    family: Family,
    /// Ask this resolver instead of those in resolv.conf
    #[arg(long, value_name = "ADDR[:PORT]")]
    resolver: Vec<String>,
}

/// Runs the command: 0 an address opens every time, 1 none does or not always, 2 the question is wrong.
pub async fn run(args: Args, common: &Common) -> Result<u8> {
    let case = case(&args)?;
    let addresses = addresses(&case).await?;
    let mut evidence = netwhy_probe::local(&case, &addresses).await;
    let connected = netwhy_probe::connect(&case, &addresses).await;
    evidence.extend(connected.evidence.iter().cloned());
    if let Some(address) = connected.best.or(addresses.first().copied()) {
        evidence.extend(netwhy_probe::control(&case, address, &connected).await);
        if connected.best.is_some() && !args.no_payload {
            evidence.extend(netwhy_probe::payload(&case, address, &connected).await);
        }
        if args.series {
            evidence.extend(netwhy_probe::series(&case, address, &connected).await);
        }
    }
    let text = if common.json {
        serde_json::to_string_pretty(&as_json(&case, &connected, &evidence))? + "\n"
    } else {
        as_text(common.lang, &connected, &evidence)
    };
    crate::print(&text)?;
    let opens = connected.results.iter().any(|r| r.outcome == ConnectOutcome::Open);
    Ok(u8::from(!opens))
}

fn case(args: &Args) -> Result<Case> {
    let target: Target = args.target.parse()?;
    let mut resolvers = Vec::new();
    for text in &args.resolver {
        resolvers.push(Source::parse_resolver(text)?);
    }
    let source = args.way.source(args.family.number(), resolvers)?;
    Ok(Case { source, ..Case::new(target) })
}

async fn addresses(case: &Case) -> Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = netwhy_dns::names(case)
        .await
        .addresses
        .into_iter()
        .map(|address| netwhy_probe::socket_address(&case.target, address))
        .collect();
    if found.is_empty() {
        return Err(no_address(&case.target.host, case.source.family));
    }
    Ok(found)
}

fn as_text(lang: Lang, connected: &Connected, evidence: &[Evidence]) -> String {
    let mut text = String::new();
    for result in &connected.results {
        let _ = writeln!(text, "{}  {}", result.address, outcome(lang, result));
        for (index, attempt) in result.attempts.iter().enumerate() {
            let port = attempt.local.map_or("-".to_owned(), |local| local.port().to_string());
            let _ = writeln!(
                text,
                "  {} {}  {} {port}  {}{}",
                lang.pick("attempt", "尝试"),
                index + 1,
                lang.pick("from port", "源端口"),
                syns(lang, attempt.syn_ms.as_deref()),
                describe_attempt(attempt)
            );
        }
    }
    let _ = writeln!(text, "\n{}", lang.pick("What it shows", "结论依据"));
    let width = evidence.iter().map(|e| e.fact.len()).max().unwrap_or(0);
    for one in evidence.iter().filter(|e| e.speaks()) {
        let _ = writeln!(text, "  {:width$}  {:16}  {}", one.fact, one.value, one.excerpt);
    }
    let unread: Vec<&Evidence> = evidence.iter().filter(|e| !e.speaks()).collect();
    if !unread.is_empty() {
        let _ = writeln!(text, "\n{}", lang.pick("Could not be read", "无法读取"));
        for one in unread {
            let _ = writeln!(text, "  {:width$}  {}", one.fact, one.excerpt);
        }
    }
    text
}

/// When each SYN left, if more than one did.
fn syns(lang: Lang, times: Option<&[f64]>) -> String {
    match times {
        Some([]) => lang.pick("no SYN left; ", "没有 SYN 离开；").to_owned(),
        Some(times) if times.len() > 1 => {
            let list: Vec<String> = times.iter().map(|ms| format!("{ms:.0}")).collect();
            format!("SYN {} ms; ", list.join(", "))
        }
        _ => String::new(),
    }
}

fn outcome(lang: Lang, result: &AddressResult) -> String {
    match result.outcome {
        ConnectOutcome::Open => lang.pick("open", "可连接").to_owned(),
        ConnectOutcome::Refused => lang.pick("refused: a RST came back", "被拒绝：返回 RST").to_owned(),
        ConnectOutcome::Rejected { .. } => {
            let from = result.icmp().map_or("?".to_owned(), |icmp| icmp.from.to_string());
            let what = lang.pick("rejected: an ICMP error came from", "被拒绝：ICMP 错误来自");
            format!("{what} {from}")
        }
        ConnectOutcome::Silent => lang.pick("silent: nothing came back", "无应答").to_owned(),
        ConnectOutcome::Intermittent => lang.pick("now open, now not", "时通时断").to_owned(),
        ConnectOutcome::Local(_) => lang.pick("this host itself refuses", "被本机拒绝").to_owned(),
    }
}

fn as_json(case: &Case, connected: &Connected, evidence: &[Evidence]) -> Value {
    let attempts = |result: &AddressResult| -> Vec<Value> {
        result
            .attempts
            .iter()
            .map(|a| {
                json!({
                    "source": a.local.map(|l| l.to_string()),
                    "outcome": a.outcome.name(),
                    "elapsed_ms": a.elapsed_ms,
                    "rtt_ms": a.rtt_ms,
                    "syn_ms": a.syn_ms,
                    "syn_retries": a.retries,
                    "syn_ack_ttl": a.syn_ack_ttl,
                    "syn_ack_mss": a.syn_ack_mss,
                    "rst_ttl": a.rst_ttl,
                    "icmp": a.icmp.map(|i| json!({
                        "from": i.from, "type": i.kind, "code": i.code, "class": i.class.name(),
                        "ttl": i.ttl, "delay_ms": i.delay_ms,
                    })),
                })
            })
            .collect()
    };
    let addresses: Vec<Value> = connected
        .results
        .iter()
        .map(|r| {
            json!({
                "address": r.address.to_string(),
                "outcome": r.outcome.name(),
                "rtt_ms": r.rtt_ms,
                "attempts": attempts(r),
            })
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "target": case.target.to_string(),
        "best": connected.best.map(|b| b.to_string()),
        "addresses": addresses,
        "evidence": evidence,
    })
}
