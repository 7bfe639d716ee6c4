//! `netwhy tls HOST[:PORT]`: one handshake taken apart, the chain judged by each kind of client, and the matrix.

use super::way::{Family, Way, no_address, readable};
use crate::{Common, fail, print};
use anyhow::Result;
use netwhy_catalogue::Catalogue;
use netwhy_model::{Case, Evidence, Host, Lang, Scheme, Target};
use netwhy_tls::{HandshakeReport, Matrix, TlsSeen};
use serde::Serialize;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The schema of the JSON this command writes.
const SCHEMA: &str = "netwhy.tls/1";
/// Addresses of one name that are asked.
const ADDRESS_COUNT_MAX: usize = 16;
/// The signs of the report, and the same in colour.
const WELL: &str = "✓";
const ILL: &str = "✗";
const GREEN: &str = "\u{1b}[32m✓\u{1b}[0m";
const RED: &str = "\u{1b}[31m✗\u{1b}[0m";

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy tls shop.example                        the handshake, the chain, who accepts it and why not
  netwhy tls shop.example --matrix               every version, cipher suite and group as well
  netwhy tls 203.0.113.7:8443 --sni shop.example ask this server for that name, as a CDN node would
  netwhy tls mail.example:993 --client-cert me.pem
  netwhy tls shop.example --json | jq .addresses[0].handshake.chain

What it tells apart: expired, wrong name, self-signed, unknown root, missing or wrong intermediate, weak keys,
revoked by staple; a filter on the name, on the size of the hello, a PROXY header wanted, plain text on the port.
Exit code 0 when nothing is wrong, 1 when something is, 2 when there was no answer to judge.";

/// Which server, under which name, and how much to ask.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The server: a name or address, port 443 unless given
    #[arg(value_name = "HOST[:PORT]")]
    host: String,
    /// Send this name and judge the certificate by it, whatever HOST is
    #[arg(long, value_name = "NAME")]
    sni: Option<String>,
    /// Ask every version, cipher suite and group too
    #[arg(long)]
    matrix: bool,
    /// PEM file with a client certificate and its key
    #[arg(long, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// PEM file with roots to trust besides the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    family: Family,
}

/// One address and what it showed.
#[derive(Debug, Serialize)]
struct Asked {
    address: SocketAddr,
    usable: bool,
    handshake: HandshakeReport,
    evidence: Vec<Evidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matrix: Option<Matrix>,
}

/// Everything, for JSON.
#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    target: String,
    sni: Option<String>,
    addresses: Vec<Asked>,
}

/// Asks every address of the host; the exit code is the worst.
pub async fn run(args: Args, common: &Common) -> Result<u8> {
    let case = args.case()?;
    let addresses = netwhy_dns::names(&case).await.addresses;
    let family = case.source.family;
    let wanted = addresses.into_iter().filter(|address| family.is_none_or(|f| (f == 4) == address.is_ipv4()));
    let wanted: Vec<IpAddr> = wanted.take(ADDRESS_COUNT_MAX).collect();
    if wanted.is_empty() {
        return Err(no_address(&case.target.host, family));
    }
    let port = case.target.port;
    let case = args.named(case)?;
    let mut report = Report {
        schema: SCHEMA,
        target: case.target.authority(),
        sni: case.target.name().map(str::to_owned),
        addresses: Vec::new(),
    };
    for address in wanted {
        report.addresses.push(ask(&case, SocketAddr::new(address, port), args.matrix).await);
    }
    if common.json {
        print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    } else {
        let mut text = String::new();
        for asked in &report.addresses {
            Page { common, out: &mut text }.write(&report, asked)?;
        }
        print(&text)?;
    }
    Ok(report.addresses.iter().map(Asked::exit_code).max().unwrap_or(2))
}

async fn ask(case: &Case, address: SocketAddr, with_matrix: bool) -> Asked {
    let seen = netwhy_tls::tls(case, address).await;
    let more = netwhy_tls::differential(case, address, &[], &seen).await;
    let matrix = if with_matrix { Some(netwhy_tls::matrix(case, address).await) } else { None };
    let TlsSeen { evidence, report, usable, .. } = seen;
    let evidence = evidence.into_iter().chain(more).collect();
    Asked { address, usable, handshake: report, evidence, matrix }
}

impl Args {
    /// The case that finds the addresses.
    fn case(&self) -> Result<Case> {
        let text = self.host.trim();
        let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("tls://")).unwrap_or(text);
        let target: Target = format!("https://{}", text.trim_end_matches('/')).parse()?;
        let mut case = Case::new(target);
        case.source = self.way.source(self.family.number(), Vec::new())?;
        case.client_cert = readable("--client-cert", self.client_cert.as_deref())?;
        case.ca_file = readable("--ca-file", self.ca_file.as_deref())?;
        netwhy_tls::client_config(&case, &[], netwhy_tls::Verify::None)?;
        Ok(case)
    }

    /// The same under the name to send.
    fn named(&self, mut case: Case) -> Result<Case> {
        if let Some(name) = &self.sni {
            let named: Target = format!("https://{name}").parse()?;
            if !matches!(named.host, Host::Name(_)) {
                return Err(fail(
                    (format!("{name} is not a name"), format!("{name} 不是域名")),
                    ("SNI carries names only, such as shop.example", "SNI 只携带域名，如 shop.example"),
                ));
            }
            case.target.host = named.host;
        }
        if !matches!(case.target.port, 443 | 8443) {
            // Only web ports are offered web protocols.
            case.target.scheme = if self.host.starts_with("https://") { Scheme::Https } else { Scheme::Tls };
        }
        Ok(case)
    }
}

impl Asked {
    /// 0 well · 1 something is wrong · 2 nothing to judge.
    fn exit_code(&self) -> u8 {
        if self.handshake.outcome.is_empty() {
            return 2;
        }
        u8::from(!self.usable || self.faults().next().is_some())
    }

    /// What is worth a line of its own.
    fn faults(&self) -> impl Iterator<Item = &Evidence> {
        self.evidence.iter().filter(|evidence| evidence.speaks() && !is_well(&evidence.fact, &evidence.value))
    }
}

/// Values that accuse nobody.
fn is_well(fact: &str, value: &str) -> bool {
    match fact {
        // An address cannot be sent as a name.
        "tls.name_sent" => true,
        "tls.sni" => matches!(value, "indifferent" | "selects" | "required"),
        "tls.versions" => matches!(value, "modern" | "only_12" | "only_13"),
        "tls.staple" => matches!(value, "none" | "good" | "expired"),
        "tls.client_cert" => matches!(value, "not_asked" | "optional"),
        "tls.backends" => matches!(value, "same" | "varies"),
        "tls.validators" | "tls.chain_order" | "tls.time" => true,
        _ => matches!(
            value,
            "ok" | "none" | "tls" | "ours" | "same" | "served" | "shared" | "indifferent" | "not_needed"
        ),
    }
}

/// The report for people.
struct Page<'a> {
    common: &'a Common,
    out: &'a mut String,
}

impl Page<'_> {
    fn write(&mut self, report: &Report, asked: &Asked) -> std::fmt::Result {
        let seen = &asked.handshake;
        let sni = report.sni.as_deref().unwrap_or(self.common.lang.pick("no SNI", "不带 SNI"));
        writeln!(self.out, "{} · {} · SNI {sni}", report.target, asked.address)?;
        if seen.outcome.is_empty() {
            let why = asked.evidence.first().map_or("", |evidence| evidence.excerpt.as_str());
            self.row("handshake", "握手", &self.mark(false, why))?;
            return writeln!(self.out);
        }
        self.handshake(seen)?;
        self.chain(seen)?;
        self.findings(asked)?;
        if let Some(matrix) = &asked.matrix {
            self.matrix(matrix)?;
        }
        writeln!(self.out)
    }

    fn row(&mut self, en: &str, zh: &str, text: &str) -> std::fmt::Result {
        let label = self.common.lang.pick(en, zh);
        let used = netwhy_report::display_width(label);
        let gap = " ".repeat(14usize.saturating_sub(used));
        let text = netwhy_report::clean(text);
        let text = match (self.common.unicode, self.common.color) {
            (false, _) => text.replace(WELL, "[ok]").replace(ILL, "[!]"),
            (true, true) => text.replace(WELL, GREEN).replace(ILL, RED),
            (true, false) => text.to_string(),
        };
        writeln!(self.out, "  {label}{gap}{text}")
    }

    fn handshake(&mut self, seen: &HandshakeReport) -> std::fmt::Result {
        let ok = seen.outcome == "ok";
        let alert = seen.alert.as_ref().map_or(String::new(), |alert| format!(" ({alert})"));
        let outcome = format!("{}{alert}", seen.outcome);
        let outcome = self.mark(ok, &outcome);
        let lang = self.common.lang;
        let first = seen
            .first_byte_ms
            .map_or(String::new(), |ms| format!(", {} {ms:.1} ms", lang.pick("first byte", "首字节")));
        let times = format!(
            "{} {:.1} ms{first}, {} {:.1} ms",
            lang.pick("connect", "连接"),
            seen.connect_ms,
            lang.pick("handshake", "握手"),
            seen.handshake_ms
        );
        self.row("handshake", "握手", &format!("{outcome} · {times}"))?;
        if let (Some(version), Some(cipher)) = (&seen.version, &seen.cipher) {
            let group = seen.group.as_deref().unwrap_or("-");
            let alpn = seen.alpn.as_deref().unwrap_or("-");
            self.row("spoken", "协商结果", &format!("{version} · {cipher} · {group} · ALPN {alpn}"))?;
        }
        if seen.certificate_request {
            self.row(
                "client cert",
                "客户端证书",
                self.common.lang.pick("the server asks for one", "服务器要求提供"),
            )?;
        }
        Ok(())
    }

    fn chain(&mut self, seen: &HandshakeReport) -> std::fmt::Result {
        if seen.chain.is_empty() {
            return Ok(());
        }
        let verdict = self.mark(seen.verdict == "ok", &seen.verdict);
        self.row("chain", "证书链", &format!("{verdict} · {}", seen.path))?;
        for note in &seen.notes {
            self.row("", "", note)?;
        }
        for (at, certificate) in seen.chain.iter().enumerate() {
            let dates = format!("{} … {}", day(&certificate.not_before), day(&certificate.not_after));
            let line = format!(
                "{at} {} · {dates} · {} · {}",
                certificate.subject, certificate.key, certificate.signature
            );
            self.row("", "", &line)?;
            if at == 0 {
                let names = certificate.names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
                self.row("", "", &format!("  {names}"))?;
            }
        }
        for validator in &seen.validators {
            let verdict = self.mark(
                validator.accepts,
                self.common.lang.pick(
                    if validator.accepts { "accepts" } else { "refuses" },
                    if validator.accepts { "接受" } else { "拒绝" },
                ),
            );
            let client = self.client(validator.validator);
            let why = if validator.why.is_empty() { String::new() } else { format!(": {}", validator.why) };
            self.row("", "", &format!("{verdict} {client}{why}"))?;
        }
        self.row("staple", "OCSP 装订", &seen.staple)
    }

    fn client(&self, validator: &str) -> &'static str {
        match (validator, self.common.lang) {
            ("openssl", Lang::En) => "OpenSSL (curl, most programs)",
            ("openssl", Lang::Zh) => "OpenSSL（curl 与多数程序）",
            ("webpki", Lang::En) => "strict clients (rustls, some apps)",
            ("webpki", Lang::Zh) => "严格客户端（rustls 等）",
            (_, Lang::En) => "CDN nodes (chain in order and complete)",
            (_, Lang::Zh) => "CDN 节点（要求链有序且完整）",
        }
    }

    fn findings(&mut self, asked: &Asked) -> std::fmt::Result {
        for evidence in &asked.evidence {
            if !evidence.speaks()
                || ["tls.handshake", "tls.chain", "tls.staple", "tls.time"].contains(&evidence.fact.as_str())
            {
                continue;
            }
            let well = is_well(&evidence.fact, &evidence.value);
            let value = self.mark(well, &evidence.value);
            let name = evidence.fact.trim_start_matches("tls.");
            let meaning =
                Catalogue::embedded().fact(&evidence.fact).map_or("", |fact| fact.text.get(self.common.lang));
            let detail = if well { meaning } else { evidence.excerpt.as_str() };
            self.row(name, name, &format!("{value} · {detail}"))?;
        }
        Ok(())
    }

    fn matrix(&mut self, matrix: &Matrix) -> std::fmt::Result {
        for row in &matrix.versions {
            let old = !matches!(row.version.as_str(), "TLS 1.3" | "TLS 1.2");
            let served = self
                .common
                .lang
                .pick(if row.served { "served" } else { "no" }, if row.served { "支持" } else { "否" });
            let text =
                if row.served { self.mark(!old, served) } else { format!("{served} · {}", row.answer) };
            self.row(&row.version, &row.version, &text)?;
            for suite in &row.suites {
                let weakness =
                    if suite.weakness.is_empty() { String::new() } else { self.mark(false, suite.weakness) };
                let line = format!("0x{:04x} {} {weakness}", suite.code, suite.name);
                self.row("", "", line.trim_end())?;
            }
        }
        let served: Vec<&str> =
            matrix.groups.iter().filter(|group| group.served).map(|group| group.name).collect();
        self.row("groups", "密钥交换组", &served.join(" "))?;
        let alpn = if matrix.alpn.is_empty() { "-".to_owned() } else { matrix.alpn.join(" ") };
        self.row("ALPN", "ALPN", &alpn)?;
        self.row("no name", "不带名称", &matrix.without_name)?;
        self.row("other name", "其他名称", &matrix.other_name)?;
        let hellos = self.common.lang.pick("hellos", "个 ClientHello");
        self.row("asked", "提问", &format!("{} {hellos} · {:.1} ms", matrix.hellos, matrix.elapsed_ms))
    }

    /// A sign that reads without colour.
    fn mark(&self, well: bool, text: &str) -> String {
        let sign = if well { WELL } else { ILL };
        format!("{sign} {text}")
    }
}

/// The day of a moment in RFC 3339.
fn day(moment: &str) -> &str {
    moment.get(..10).unwrap_or(moment)
}
