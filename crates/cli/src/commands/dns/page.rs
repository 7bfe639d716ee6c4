//! The page of `netwhy dns` for people.

use super::Report;
use crate::Common;
use netwhy_dns::authority::Authority;
use netwhy_dns::dnssec::Validation;
use netwhy_dns::walk::{ServerReport, ServerState};
use netwhy_dns::{Exchange, NamesReport, Purpose, RecordLine, ResolverReport, ended, is_fault};
use netwhy_model::Lang;
use std::fmt::{self, Write};
use std::net::IpAddr;

/// Columns of the words at the left.
const LABEL_COLUMNS: usize = 14;
/// Records of one answer that are shown.
const RECORDS_COUNT_MAX: usize = 24;

/// Writes the whole page.
pub(super) fn write(common: &Common, report: &Report) -> Result<String, fmt::Error> {
    let mut page = Page { common, out: String::new() };
    writeln!(page.out, "{}", report.name)?;
    if let Some(names) = &report.names {
        page.names(names, &report.addresses)?;
    }
    for authority in report.deep.iter().flat_map(|deep| &deep.authorities).chain(&report.trace) {
        page.authority(authority)?;
    }
    for validation in report.deep.iter().flat_map(|deep| &deep.validations).chain(&report.validations) {
        page.validation(validation)?;
    }
    page.records(&report.records, report.names.is_none())?;
    page.findings(report)?;
    Ok(page.out)
}

struct Page<'a> {
    common: &'a Common,
    out: String,
}

impl Page<'_> {
    fn row(&mut self, en: &str, zh: &str, text: &str) -> fmt::Result {
        let label = self.common.lang.pick(en, zh);
        let gap = " ".repeat(LABEL_COLUMNS.saturating_sub(netwhy_report::display_width(label)).max(1));
        let text = netwhy_report::clean(text);
        let text = if self.common.unicode { text.to_string() } else { text.replace('→', "->") };
        writeln!(self.out, "  {label}{gap}{text}")
    }

    /// A sign that reads without colour.
    fn sign(&self, well: bool) -> &'static str {
        match (self.common.unicode, self.common.color, well) {
            (false, _, true) => "[ok]",
            (false, _, false) => "[!]",
            (true, true, true) => "\u{1b}[32m✓\u{1b}[0m",
            (true, true, false) => "\u{1b}[31m✗\u{1b}[0m",
            (true, false, true) => "✓",
            (true, false, false) => "✗",
        }
    }

    fn names(&mut self, names: &NamesReport, addresses: &[IpAddr]) -> fmt::Result {
        let shown = join(addresses.iter());
        let none = self.common.lang.pick("none", "无");
        self.row("addresses", "地址", if addresses.is_empty() { none } else { &shown })?;
        let wait = format!("{:.1} ms", names.system_wait_ms);
        self.row("waits", "等待", &wait)?;
        if !names.hosts.is_empty() {
            self.row("hosts file", "hosts 文件", &join(names.hosts.iter()))?;
        }
        if names.tried.len() > 1 || names.final_name != names.name {
            self.row("tried", "尝试过", &names.tried.join(", "))?;
        }
        if names.cname_chain.len() > 1 {
            self.row("CNAME", "CNAME", &names.cname_chain.join(" → "))?;
        }
        if let Some(soa) = &names.negative_soa {
            self.row("SOA", "SOA", &format!("{} {} TTL {}", soa.name, soa.data, soa.ttl))?;
        }
        for record in &names.https {
            self.row("HTTPS", "HTTPS", &format!("{} TTL {}", record.data, record.ttl))?;
        }
        for resolver in &names.resolvers {
            self.resolver(resolver)?;
        }
        Ok(())
    }

    fn resolver(&mut self, resolver: &ResolverReport) -> fmt::Result {
        self.row("resolver", "解析器", &resolver.server.to_string())?;
        let shown = [
            Purpose::Ipv4,
            Purpose::Ipv4Tcp,
            Purpose::Ipv6,
            Purpose::Ipv6Tcp,
            Purpose::Control,
            Purpose::Tcp,
            Purpose::Unchecked,
        ];
        for purpose in shown {
            for exchange in resolver.exchanges(purpose) {
                self.row(
                    "",
                    "",
                    &format!("{:5} {}{}", exchange.kind, ended(exchange), manner(exchange, purpose)),
                )?;
                if let Some(second) = &exchange.second {
                    let records = join(second.answers.iter().map(|record| &record.data));
                    self.row(
                        "",
                        "",
                        &format!(
                            "      {} {records}",
                            self.common.lang.pick("and again, differently:", "又一个不同的应答：")
                        ),
                    )?;
                }
            }
        }
        Ok(())
    }

    fn authority(&mut self, authority: &Authority) -> fmt::Result {
        for cut in &authority.cuts {
            self.row("zone", "区域", &cut.zone)?;
            for server in &cut.servers {
                let sign = self.sign(server.state.is_well());
                let text =
                    netwhy_report::clean(&format!("{} · {}", server.label(), told(server, self.common.lang)))
                        .to_string();
                writeln!(self.out, "  {}{sign} {text}", " ".repeat(LABEL_COLUMNS))?;
            }
        }
        Ok(())
    }

    fn validation(&mut self, validation: &Validation) -> fmt::Result {
        self.row("DNSSEC", "DNSSEC", &format!("{} · {}", validation.validity.value(), validation.detail))
    }

    fn records(&mut self, exchanges: &[Exchange], with_denials: bool) -> fmt::Result {
        for exchange in exchanges {
            let over = format!("{:?}", exchange.via).to_uppercase();
            self.row(
                &exchange.kind,
                &exchange.kind,
                &format!("{} {over} · {}", exchange.server, ended(exchange)),
            )?;
            let Some(reply) = &exchange.reply else { continue };
            for record in reply.answers.iter().take(RECORDS_COUNT_MAX) {
                self.row("", "", &record_line(record))?;
            }
            if reply.answers.is_empty() && with_denials {
                for record in reply.authorities.iter().filter(|record| record.kind == "SOA") {
                    self.row("", "", &record_line(record))?;
                }
            }
            for error in &reply.extended_errors {
                self.row("", "", &format!("EDE {} ({}) {}", error.code, error.name, error.text))?;
            }
        }
        Ok(())
    }

    fn findings(&mut self, report: &Report) -> fmt::Result {
        if report.evidence.is_empty() {
            return Ok(());
        }
        let faults: Vec<_> = report.evidence.iter().filter(|evidence| is_fault(evidence)).collect();
        writeln!(self.out)?;
        if faults.is_empty() {
            let (sign, text) = (self.sign(true), self.common.lang.pick("nothing is wrong", "未发现问题"));
            return writeln!(self.out, "  {sign} {text}");
        }
        for evidence in faults {
            let excerpt = netwhy_report::clean(&evidence.excerpt).to_string();
            let sign = self.sign(false);
            writeln!(self.out, "  {sign} {} = {}", evidence.fact, evidence.value)?;
            writeln!(self.out, "      {excerpt}")?;
        }
        Ok(())
    }
}

/// What a name server said, in a few words.
fn told(server: &ServerReport, lang: Lang) -> String {
    let said = server.asked.last().map(ended).unwrap_or_default();
    match server.state {
        ServerState::Refers => {
            let ms = server.asked.last().map_or(0.0, |exchange| exchange.elapsed_ms);
            format!("{} {ms:.1} ms", lang.pick("refers after", "转介，用时"))
        }
        ServerState::Lame => format!("{} {said}", lang.pick("lame:", "跛脚：")),
        ServerState::NoAddress => lang.pick("no address", "没有地址").to_owned(),
        ServerState::Unasked => format!("{} {said}", lang.pick("not asked:", "未询问：")),
        _ if server.is_slow() => format!("{} {said}", lang.pick("slow:", "缓慢：")),
        _ => said,
    }
}

fn manner(exchange: &Exchange, purpose: Purpose) -> String {
    match purpose {
        Purpose::Control => format!(" ({})", exchange.name),
        Purpose::Ipv4Tcp | Purpose::Ipv6Tcp | Purpose::Tcp => " (TCP)".to_owned(),
        Purpose::Unchecked => " (CD=1)".to_owned(),
        _ => String::new(),
    }
}

fn record_line(record: &RecordLine) -> String {
    format!("{} {} {} {}", record.name, record.ttl, record.kind, record.data)
}

fn join<T: ToString>(all: impl Iterator<Item = T>) -> String {
    all.map(|one| one.to_string()).collect::<Vec<_>>().join(" ")
}
