//! XML in the form nmap's readers take (`nmaprun`, output version 1.05). Ports are grouped by host there, so all is
//! written at the end.

use super::compare::Difference;
use super::outputs::Sink;
use super::results::{Group, HostResults, Results};
use super::words::{protocol_code, reason_code, state_code};
use netwhy_report::clean;
use netwhy_scan::{Finding, Look, Plan, Protocol, Reason, State, Summary, services};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Collects, and writes at the end.
pub(super) struct Xml<W> {
    out: W,
    results: Results,
    started: u64,
    protocol: Protocol,
    ports: String,
    port_count: u32,
    names: BTreeMap<IpAddr, String>,
}

impl<W: Write> Xml<W> {
    pub(super) fn new(out: W, plan: &Plan, names: &BTreeMap<IpAddr, String>) -> Self {
        Self {
            out,
            results: Results::default(),
            started: now(),
            protocol: plan.protocol,
            ports: plan.ports.to_string(),
            port_count: plan.ports.len(),
            names: names.clone(),
        }
    }

    fn page(&self, summary: &Summary, args: &str, finished: u64) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        let started = self.started;
        let kind = match (summary.engine.as_str(), self.protocol) {
            (_, Protocol::Udp) => "udp",
            ("raw", _) => "syn",
            _ => "connect",
        };
        writeln!(page, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE nmaprun>")?;
        writeln!(
            page,
            "<nmaprun scanner=\"netwhy\" args=\"{}\" start=\"{started}\" version=\"{}\" xmloutputversion=\"1.05\">",
            escaped(args),
            env!("CARGO_PKG_VERSION")
        )?;
        let protocol = protocol_code(self.protocol);
        writeln!(
            page,
            "<scaninfo type=\"{kind}\" protocol=\"{protocol}\" numservices=\"{}\" services=\"{}\"/>",
            self.port_count, self.ports
        )?;
        writeln!(page, "<verbose level=\"0\"/>\n<debugging level=\"0\"/>")?;
        let mut up = 0u64;
        for (host, found) in self.results.iter() {
            up += u64::from(answers(found));
            self.host(&mut page, *host, found, finished)?;
        }
        let (elapsed, exit) =
            (summary.elapsed_ms as f64 / 1e3, if summary.complete { "success" } else { "error" });
        writeln!(
            page,
            "<runstats><finished time=\"{finished}\" elapsed=\"{elapsed:.2}\" exit=\"{exit}\"/><hosts up=\"{up}\" \
             down=\"{}\" total=\"{}\"/></runstats>\n</nmaprun>",
            summary.hosts.saturating_sub(up),
            summary.hosts
        )?;
        Ok(page)
    }

    fn host(&self, page: &mut String, host: IpAddr, found: &HostResults, finished: u64) -> std::fmt::Result {
        let family = if host.is_ipv4() { "ipv4" } else { "ipv6" };
        let (state, reason) = if answers(found) { ("up", "port-response") } else { ("down", "no-response") };
        writeln!(
            page,
            "<host starttime=\"{}\" endtime=\"{finished}\"><status state=\"{state}\" reason=\"{reason}\" \
             reason_ttl=\"0\"/><address addr=\"{host}\" addrtype=\"{family}\"/>",
            self.started
        )?;
        if let Some(name) = self.names.get(&host) {
            writeln!(page, "<hostnames><hostname name=\"{}\" type=\"user\"/></hostnames>", escaped(name))?;
        }
        writeln!(page, "<ports>")?;
        for group in found.groups.iter().filter(|group| is_extra(group) && !group.ports.is_empty()) {
            let (state, reason, count) =
                (self.state(group.state), nmap_reason(group.reason), group.ports.len());
            writeln!(
                page,
                "<extraports state=\"{state}\" count=\"{count}\"><extrareasons reason=\"{reason}\" \
                 count=\"{count}\" proto=\"{}\"/></extraports>",
                protocol_code(self.protocol)
            )?;
        }
        let others = found.groups.iter().filter(|group| !is_extra(group));
        let mut listed: Vec<(u16, State, Reason)> = others
            .flat_map(|group| group.ports.iter().map(|&port| (port, group.state, group.reason)))
            .collect();
        listed.extend(found.open.values().map(|open| (open.port, open.state, open.reason)));
        listed.sort_unstable_by_key(|(port, ..)| *port);
        for (port, state, reason) in listed {
            self.port(page, port, state, reason, found.open.get(&port))?;
        }
        writeln!(page, "</ports></host>")
    }

    fn port(
        &self,
        page: &mut String,
        port: u16,
        state: State,
        reason: Reason,
        open: Option<&Finding>,
    ) -> std::fmt::Result {
        let ttl = open.and_then(|open| open.ttl).unwrap_or_default();
        let from = match reason {
            Reason::Icmp { from, .. } => format!(" reason_ip=\"{from}\""),
            _ => String::new(),
        };
        write!(
            page,
            "<port protocol=\"{}\" portid=\"{port}\"><state state=\"{}\" reason=\"{}\" reason_ttl=\"{ttl}\"{from}/>",
            protocol_code(self.protocol),
            self.state(state),
            nmap_reason(reason)
        )?;
        // What said nothing was probed in vain; the table's guess is worth more there.
        let told = |look: &&Look| !matches!(look.service.as_str(), "silent" | "unreachable");
        let look = open.and_then(|open| open.look.as_ref()).filter(told);
        let table = services::name(port, self.protocol);
        match (look, table) {
            (Some(look), _) => {
                let tunnel = if look.service == "https" { " tunnel=\"ssl\"" } else { "" };
                let name = if look.service == "https" { "http" } else { &look.service };
                let banner =
                    look.banner.as_deref().map(|banner| format!(" extrainfo=\"{}\"", escaped(banner)));
                write!(
                    page,
                    "<service name=\"{}\"{tunnel}{} method=\"probed\" conf=\"10\"/>",
                    escaped(name),
                    banner.unwrap_or_default()
                )?;
            }
            (None, Some(name)) => write!(page, "<service name=\"{name}\" method=\"table\" conf=\"3\"/>")?,
            (None, None) => {}
        }
        writeln!(page, "</port>")
    }

    /// nmap's word: what is rejected or answered by a middlebox is filtered there; the reason tells them apart.
    fn state(&self, state: State) -> &'static str {
        match (state, self.protocol) {
            (State::Rejected | State::Intercepted, _) => "filtered",
            (State::Filtered, Protocol::Udp) => "open|filtered",
            (state, _) => state_code(state),
        }
    }
}

impl<W: Write> Sink for Xml<W> {
    fn found(&mut self, finding: &Finding) -> io::Result<()> {
        self.results.found(finding);
        Ok(())
    }

    fn revised(&mut self, finding: &Finding) -> io::Result<()> {
        self.results.revised(finding);
        Ok(())
    }

    fn end(&mut self, summary: &Summary, _: Option<&[Difference]>) -> io::Result<()> {
        let args: Vec<String> = std::env::args().collect();
        let page = self.page(summary, &args.join(" "), now()).map_err(io::Error::other)?;
        self.out.write_all(page.as_bytes())?;
        self.out.flush()
    }
}

/// Whether the ports are summed up rather than listed.
fn is_extra(group: &Group) -> bool {
    matches!(group.state, State::Closed | State::Filtered | State::Unknown)
}

/// Whether anything of the host itself came back.
fn answers(found: &HostResults) -> bool {
    let of_host = |group: &Group| group.state == State::Closed && !group.ports.is_empty();
    !found.open.is_empty() || found.groups.iter().any(of_host)
}

/// nmap's names for what it knows too.
fn nmap_reason(reason: Reason) -> String {
    match reason {
        Reason::Rst => "reset".into(),
        Reason::NoAnswer => "no-response".into(),
        Reason::Answer => "udp-response".into(),
        other => reason_code(other).replace("unreachable", "unreach"),
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            // Two code points XML 1.0 does not allow.
            '\u{fffe}' | '\u{ffff}' => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::summary;
    use super::super::results::samples;
    use super::*;
    use netwhy_scan::{Hosts, Ports};

    #[test]
    fn a_page_nmap_readers_take() {
        let plan = Plan::new(
            Hosts::parse(&["10.0.0.2"], &[]).unwrap(),
            Ports::parse("1-1000", Protocol::Tcp).unwrap(),
        );
        let names = BTreeMap::from([([10, 0, 0, 2].into(), "shop.example".to_owned())]);
        let mut xml = Xml::new(Vec::new(), &plan, &names);
        samples::findings().iter().for_each(|finding| xml.found(finding).unwrap());
        xml.started = 1_700_000_000;
        let page = xml.page(&summary(), "netwhy scan \"<10.0.0.2>\" 'a'", 1_700_000_001).unwrap();
        insta::assert_snapshot!("xml", page.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
        assert!(!page.contains('\u{1b}'));
    }
}
