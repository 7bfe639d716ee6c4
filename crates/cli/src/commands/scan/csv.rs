//! Comma-separated values (RFC 4180): one row a port, as it is found.

use super::compare::Difference;
use super::lines::cleaned;
use super::outputs::Sink;
use super::words::{protocol_code, reason_code, state_code};
use netwhy_scan::{Finding, Reason, Summary, services};
use std::io::{self, Write};

const HEAD: &str = "host,port,protocol,state,reason,from,ttl,rtt_ms,service,seen,banner,names,matches\r\n";

/// Writes rows.
pub(super) struct Csv<W> {
    out: W,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(HEAD.as_bytes())?;
        Ok(Self { out })
    }
}

impl<W: Write> Sink for Csv<W> {
    fn found(&mut self, finding: &Finding) -> io::Result<()> {
        let look = finding.look.as_ref().map(cleaned);
        let from = match finding.reason {
            Reason::Icmp { from, .. } => from.to_string(),
            _ => String::new(),
        };
        let look = look.as_ref();
        let fields = [
            finding.host.to_string(),
            finding.port.to_string(),
            protocol_code(finding.protocol).to_owned(),
            state_code(finding.state).to_owned(),
            reason_code(finding.reason),
            from,
            finding.ttl.map_or_else(String::new, |ttl| ttl.to_string()),
            finding.rtt.map_or_else(String::new, |rtt| format!("{:.3}", rtt.as_secs_f64() * 1e3)),
            services::name(finding.port, finding.protocol).unwrap_or_default().to_owned(),
            look.map_or_else(String::new, |look| look.service.clone()),
            look.and_then(|look| look.banner.clone()).unwrap_or_default(),
            look.map_or_else(String::new, |look| look.names.join(" ")),
            look.and_then(|look| look.matches).map_or_else(String::new, |matches| matches.to_string()),
        ];
        let row: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
        write!(self.out, "{}\r\n", row.join(","))
    }

    fn settle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end(&mut self, _: &Summary, _: Option<&[Difference]>) -> io::Result<()> {
        self.out.flush()
    }
}

/// Quoted where needed; a text a spreadsheet would take for a formula is kept one by an apostrophe.
pub(crate) fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@']);
    let field = if formula { format!("'{field}") } else { field.to_owned() };
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::samples;
    use super::*;

    #[test]
    fn rows_are_quoted_where_needed() {
        let mut out = Vec::new();
        let mut csv = Csv::new(&mut out).unwrap();
        samples::findings().iter().for_each(|finding| csv.found(finding).unwrap());
        insta::assert_snapshot!("csv", String::from_utf8(out).unwrap().replace('\r', ""));
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(quoted("a,b"), "\"a,b\"");
    }
}
