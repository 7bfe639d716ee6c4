//! JSON lines, a contract: one object a port, then one with the summary. See `docs/scan.md`.

use super::compare::Difference;
use super::outputs::Sink;
use super::words::{protocol_code, reason_code, state_code};
use netwhy_report::clean;
use netwhy_scan::{Finding, Look, Plan, Reason, Summary};
use serde::Serialize;
use std::io::{self, Write};
use std::net::IpAddr;

/// Writes one line a port as it is found.
pub(super) struct Lines<W> {
    out: W,
    asked: Asked,
}

#[derive(Serialize)]
struct Row {
    host: IpAddr,
    port: u16,
    protocol: &'static str,
    state: &'static str,
    reason: String,
    ttl: Option<u8>,
    rtt_ms: Option<f64>,
    /// Who sent the ICMP error, and which; only where one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<Icmp>,
    /// Only with `-s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    look: Option<Look>,
}

#[derive(Serialize)]
struct Icmp {
    r#type: u8,
    code: u8,
    from: IpAddr,
}

/// What was asked, so that another scan can be compared with this one.
#[derive(Serialize)]
struct Asked {
    hosts: Vec<String>,
    ports: String,
    seed: u64,
    shard: String,
}

#[derive(Serialize)]
struct Last<'a> {
    summary: Whole<'a>,
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    asked: &'a Asked,
    /// Only with `--expect` or `--diff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<&'a [Difference]>,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(out: W, plan: &Plan) -> Self {
        let span = |(first, last): (IpAddr, IpAddr)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        let asked = Asked {
            hosts: plan.hosts.spans().iter().map(|spans| span(spans.ends())).collect(),
            ports: plan.ports.to_string(),
            seed: plan.seed,
            shard: format!("{}/{}", plan.shard.index + 1, plan.shard.of),
        };
        Self { out, asked }
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }
}

impl<W: Write> Sink for Lines<W> {
    fn found(&mut self, finding: &Finding) -> io::Result<()> {
        self.line(&Row::from(finding))
    }

    fn settle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end(&mut self, summary: &Summary, differences: Option<&[Difference]>) -> io::Result<()> {
        let last = Last { summary: Whole { summary, asked: &self.asked, differences } };
        serde_json::to_writer(&mut self.out, &last)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}

impl From<&Finding> for Row {
    fn from(finding: &Finding) -> Self {
        let icmp = match finding.reason {
            Reason::Icmp { kind, code, from } => Some(Icmp { r#type: kind, code, from }),
            _ => None,
        };
        Self {
            host: finding.host,
            port: finding.port,
            protocol: protocol_code(finding.protocol),
            state: state_code(finding.state),
            reason: reason_code(finding.reason),
            ttl: finding.ttl,
            rtt_ms: finding.rtt.map(|rtt| (rtt.as_secs_f64() * 1e6).round() / 1e3),
            icmp,
            look: finding.look.as_ref().map(cleaned),
        }
    }
}

/// A look without what could move a cursor.
pub(super) fn cleaned(look: &Look) -> Look {
    Look {
        service: clean(&look.service),
        banner: look.banner.as_deref().map(clean),
        names: look.names.iter().map(|name| clean(name)).collect(),
        matches: look.matches,
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::summary;
    use super::super::results::samples;
    use super::*;
    use netwhy_scan::{Hosts, Ports, Protocol};

    fn written() -> Vec<String> {
        let hosts = Hosts::parse(&["10.0.0.2", "10.0.0.8-9"], &[]).unwrap();
        let plan = Plan { seed: 7, ..Plan::new(hosts, Ports::parse("1-100,443", Protocol::Tcp).unwrap()) };
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, &plan);
        samples::findings().iter().for_each(|finding| lines.found(finding).unwrap());
        lines.end(&summary(), None).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_contract_holds_to_the_letter() {
        let lines = written();
        assert_eq!(
            lines[0],
            r#"{"host":"10.0.0.2","port":22,"protocol":"tcp","state":"open","reason":"syn-ack","ttl":63,"rtt_ms":0.204}"#
        );
        assert_eq!(
            lines[2],
            r#"{"host":"10.0.0.2","port":25,"protocol":"tcp","state":"rejected","reason":"admin-prohibited","ttl":63,"rtt_ms":0.204,"icmp":{"type":3,"code":13,"from":"10.0.0.1"}}"#
        );
        assert_eq!(
            lines[6],
            r#"{"host":"10.0.0.2","port":90,"protocol":"tcp","state":"filtered","reason":"no-answer","ttl":null,"rtt_ms":null}"#
        );
        let last: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        let summary = last["summary"].as_object().unwrap();
        assert_eq!(summary["asked"]["ports"], "1-100,443");
        assert_eq!(summary["asked"]["hosts"], serde_json::json!(["10.0.0.2", "10.0.0.8-10.0.0.9"]));
        assert_eq!(summary["open"], 2);
        assert!(!summary.contains_key("differences"));
    }

    #[test]
    fn what_a_server_says_cannot_move_a_cursor() {
        let lines = written();
        assert!(lines.iter().all(|line| !line.contains('\u{1b}') && !line.contains("\\u001b")));
    }
}
