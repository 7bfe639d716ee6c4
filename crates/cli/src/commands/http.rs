//! `netwhy http URL`: one request with every phase timed, redirects, who wrote the answer, and what one change does.

use super::way::{Family, Way, method, no_address, readable, rooted};
use crate::{Common, fail, print};
use anyhow::Result;
use netwhy_catalogue::{Catalogue, Word};
use netwhy_http::{ExchangeReport, HttpSeen, Lookup};
use netwhy_model::{Case, Evidence, Header, Host, Lang, Origin, Target};
use serde::Serialize;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// The schema of the JSON this command writes.
const SCHEMA: &str = "netwhy.http/1";
/// Columns of the labels.
const LABEL_COLUMNS: usize = 21;
/// Header lines shown with `--headers`.
const HEADER_COUNT_MAX: usize = 100;

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy http https://shop.example/              phases as curl -w shows them, redirects, who wrote the answer
  netwhy http https://shop.example/ --deep       one thing changed each time: path, Host, coding, protocol, size
  netwhy http https://shop.example/ --origin 203.0.113.7:443
                                                 the origin asked directly: is it the edge or the origin?
  netwhy http https://shop.example/ --http 2     HTTP/2 must work (1.1, 2 or 3)
  netwhy http https://shop.example/api -X POST --body-bytes 200000 -H 'Authorization: Bearer …'
  netwhy http https://shop.example/ --repeat 50  how many of fifty pass, and in which pattern they fail
  netwhy http https://shop.example/ --json | jq .exchange.phases

The certificate is not judged here, so that a bad one hides nothing: netwhy tls does that.
Exit code 0 when the answer is as expected, 1 when something is wrong, 2 when there was no answer to judge.";

/// What to ask, how, and how much.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What is to be asked; https unless a scheme is given
    #[arg(value_name = "URL")]
    url: String,
    /// The protocol that must be spoken: 1.0, 1.1, 2 or 3
    #[arg(long = "http", value_name = "VERSION", value_parser = ["1.0", "1.1", "2", "3"])]
    version: Option<String>,
    /// The request method [default: GET]
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<String>,
    /// A request header, such as 'Accept-Language: zh'
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Send a request body of so many bytes
    #[arg(long, value_name = "N")]
    body_bytes: Option<u64>,
    /// Also ask the origin behind a protection node directly, with the same Host and SNI
    #[arg(long, value_name = "ADDR[:PORT]")]
    origin: Option<String>,
    /// What counts as success; whatever misses it is a fault to explain
    #[arg(long, value_name = "KEY=VALUE")]
    expect: Vec<String>,
    /// The path a load balancer asks to see whether the service is well
    #[arg(long, value_name = "PATH")]
    health_path: Option<String>,
    /// Ask it again so many times
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: Option<u32>,
    /// Ask every variant too: path, Host, codings, protocols, sizes, repeated, kept idle, upgraded
    #[arg(long)]
    deep: bool,
    /// Show the header lines of the answer
    #[arg(short = 'i', long = "headers")]
    show_headers: bool,
    /// Ask this address, whatever the name resolves to
    #[arg(long, value_name = "ADDR")]
    address: Option<IpAddr>,
    /// PEM file with a client certificate and its key
    #[arg(long, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    family: Family,
}

/// Everything, for JSON.
#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    target: String,
    ok: bool,
    exchange: ExchangeReport,
    evidence: Vec<Evidence>,
}

/// Asks, and shows what came; the exit code says whether it is as expected.
pub async fn run(args: Args, common: &Common) -> Result<u8> {
    let case = args.case()?;
    let begun = Instant::now();
    let address = args.address_of(&case).await?;
    let name_ms = begun.elapsed().as_secs_f64() * 1_000.0;
    let mut seen = netwhy_http::http(&case, address, lookup(&case)).await;
    if args.address.is_none() && case.target.name().is_some() {
        seen.report.phases.name_ms = Some(name_ms);
        seen.report.phases.total_ms += name_ms;
    }
    let more = args.more(&case, address, &seen).await;
    let evidence = [seen.evidence.clone(), more].concat();
    let report = Report {
        schema: SCHEMA,
        target: case.target.to_string(),
        ok: seen.ok,
        exchange: seen.report,
        evidence,
    };
    if common.json {
        print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    } else {
        let mut text = String::new();
        Page { common, args: &args, report: &report, out: &mut text }.write()?;
        print(&text)?;
    }
    Ok(report.exit_code())
}

/// Resolves the names redirects lead to as the system would.
fn lookup(case: &Case) -> Lookup {
    let case = Arc::new(case.clone());
    Arc::new(move |name| {
        let case = Arc::clone(&case);
        Box::pin(async move { netwhy_dns::lookup(&case, &name).await })
    })
}

impl Args {
    fn case(&self) -> Result<Case> {
        let text = self.url.trim();
        let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let target: Target = text.parse()?;
        if !target.scheme.uses_http() {
            return Err(fail(
                (format!("{text} is not asked by HTTP"), format!("{text} 不用 HTTP 询问")),
                (
                    format!("write http:// or https://, or run: netwhy {text}"),
                    format!("写 http:// 或 https://，或运行：netwhy {text}"),
                ),
            ));
        }
        let mut case = Case::new(target);
        case.method = method(self.method.as_deref().unwrap_or("GET"))?.to_ascii_uppercase();
        case.headers = self.headers.iter().map(|text| Header::parse(text)).collect::<Result<_, _>>()?;
        case.body_bytes = self.body_bytes;
        case.health_path = self.health_path.as_deref().map(rooted).transpose()?;
        case.origin = self.origin.as_deref().map(Origin::parse).transpose()?;
        for text in &self.expect {
            case.expect.add(text)?;
        }
        if let Some(version) = &self.version {
            case.expect.add(&format!("http={version}"))?;
        }
        case.client_cert = readable("--client-cert", self.client_cert.as_deref())?;
        case.source = self.way.source(self.family.number(), Vec::new())?;
        netwhy_tls::client_config(&case, &[], netwhy_tls::Verify::None)?;
        Ok(case)
    }

    async fn address_of(&self, case: &Case) -> Result<SocketAddr> {
        if let Some(address) = self.address {
            return Ok(SocketAddr::new(address, case.target.port));
        }
        let found = match &case.target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => netwhy_dns::lookup(case, name).await,
        };
        let family = case.source.family;
        let first = found.into_iter().find(|address| family.is_none_or(|f| (f == 4) == address.is_ipv4()));
        first
            .map(|address| SocketAddr::new(address, case.target.port))
            .ok_or_else(|| no_address(&case.target.host, family))
    }

    /// The questions asked beside the request itself.
    async fn more(&self, case: &Case, address: SocketAddr, seen: &HttpSeen) -> Vec<Evidence> {
        let mut all = Vec::new();
        if let Some(count) = self.repeat {
            all.extend(netwhy_http::repeat_times(case, seen, count as usize).await);
        }
        if self.deep {
            all.extend(netwhy_http::variants(case, address, seen).await);
            if self.repeat.is_none() {
                all.extend(netwhy_http::repeat(case, address, seen).await);
            }
            all.extend(netwhy_http::upgrade(case, address, seen).await);
            all.extend(netwhy_http::idle(case, address, seen).await);
        }
        if case.health_path.is_some() {
            all.extend(netwhy_http::health(case, address).await);
        }
        if case.origin.is_some() {
            all.extend(netwhy_http::origin(case, Some(seen)).await);
        }
        all
    }
}

impl Report {
    /// 0 as expected · 1 something is wrong · 2 no answer to judge.
    fn exit_code(&self) -> u8 {
        if matches!(self.exchange.outcome.as_str(), "no_connection" | "no_tls") {
            return 2;
        }
        u8::from(!self.ok || self.evidence.iter().any(|evidence| evidence.speaks() && !is_well(evidence)))
    }
}

/// A value the catalogue expects of a healthy target.
fn is_well(evidence: &Evidence) -> bool {
    let word = Catalogue::embedded().fact(&evidence.fact).and_then(|fact| fact.values.get(&evidence.value));
    word.is_none_or(|word| *word != Word::Never)
}

/// The report for people.
struct Page<'a> {
    common: &'a Common,
    args: &'a Args,
    report: &'a Report,
    out: &'a mut String,
}

impl Page<'_> {
    fn write(&mut self) -> std::fmt::Result {
        let seen = &self.report.exchange;
        let tls = seen
            .tls
            .as_deref()
            .map(|version| format!(" · {}", version.replace('_', ".")))
            .unwrap_or_default();
        writeln!(self.out, "{}", netwhy_report::clean(&format!("{} · {}{tls}", seen.url, seen.address)))?;
        self.outcome()?;
        for redirect in &seen.redirects {
            self.row(
                "redirect",
                "跳转",
                &format!("{} {} → {}", redirect.status, redirect.from, redirect.to),
            )?;
        }
        self.phases()?;
        if seen.status.is_some() {
            self.answer()?;
        }
        if self.args.show_headers {
            for (name, value) in seen.headers.iter().take(HEADER_COUNT_MAX) {
                self.row("", "", &format!("{name}: {value}"))?;
            }
        }
        self.findings()?;
        writeln!(self.out)
    }

    fn outcome(&mut self) -> std::fmt::Result {
        let seen = &self.report.exchange;
        let text = match seen.status {
            Some(status) => format!("{} {status} {}", seen.protocol, seen.reason),
            None => seen.writer_why.clone(),
        };
        let text = self.mark(self.report.ok, text.trim_end());
        self.row("answer", "应答", &text)
    }

    fn phases(&mut self) -> std::fmt::Result {
        let phases = self.report.exchange.phases;
        let lang = self.common.lang;
        let named = [
            (lang.pick("name", "解析"), phases.name_ms),
            (lang.pick("connect", "连接"), phases.connect_ms),
            ("TLS", phases.tls_ms),
            (lang.pick("request", "请求"), phases.request_ms),
            (lang.pick("first byte", "首字节"), phases.first_byte_ms),
            (lang.pick("body", "响应体"), phases.body_ms),
            (lang.pick("total", "总计"), Some(phases.total_ms)),
        ];
        let parts: Vec<String> =
            named.into_iter().filter_map(|(name, ms)| ms.map(|ms| format!("{name} {ms:.1}"))).collect();
        let unit = lang.pick("ms", "毫秒");
        self.row("phases", "阶段", &format!("{} {unit}", parts.join(" · ")))
    }

    fn answer(&mut self) -> std::fmt::Result {
        let seen = &self.report.exchange;
        let body = &seen.body;
        let coding = body.coding.as_deref().unwrap_or("identity");
        let title = body.title.as_deref().map(|title| format!(" · {title:?}")).unwrap_or_default();
        let (bytes, decoded) = (body.bytes, body.decoded_bytes);
        let size = match self.common.lang {
            Lang::En => format!("{bytes} bytes as {coding}, {decoded} decoded{title}"),
            Lang::Zh => format!("{coding} 编码 {bytes} 字节，解码后 {decoded} 字节{title}"),
        };
        self.row("body", "响应体", &size)?;
        self.row("written by", "书写者", &format!("{} · {}", seen.writer, seen.writer_why))?;
        if let Some(via) = &seen.via {
            self.row("via", "途经", via)?;
        }
        Ok(())
    }

    /// Everything wrong, with its proof; everything asked when asked deeply.
    fn findings(&mut self) -> std::fmt::Result {
        for evidence in &self.report.evidence {
            let well = is_well(evidence);
            if !evidence.speaks() || (well && !self.args.deep && !self.wanted(evidence)) {
                continue;
            }
            let fact = Catalogue::embedded().fact(&evidence.fact);
            let name = fact.map_or(evidence.fact.as_str(), |fact| fact.text.get(self.common.lang));
            let text = self.mark(well, &format!("{name}: {}", evidence.value));
            self.row(&evidence.fact, &evidence.fact, &text)?;
            if !well || self.common.verbose > 0 {
                self.row("", "", &evidence.excerpt)?;
            }
        }
        Ok(())
    }

    /// Facts the user named on the command line are shown whatever they say.
    fn wanted(&self, evidence: &Evidence) -> bool {
        let fact = evidence.fact.as_str();
        (self.args.repeat.is_some() && fact == "http.repeat")
            || (self.args.origin.is_some() && fact.starts_with("origin."))
            || (self.args.health_path.is_some() && fact == "http.health")
            || (self.args.version.is_some() && matches!(fact, "http.h2" | "http.h3"))
    }

    fn row(&mut self, en: &str, zh: &str, text: &str) -> std::fmt::Result {
        let label = self.common.lang.pick(en, zh);
        let gap =
            LABEL_COLUMNS.max(netwhy_report::display_width(label) + 2) - netwhy_report::display_width(label);
        writeln!(self.out, "  {label}{}{}", " ".repeat(gap), netwhy_report::clean(text))
    }

    /// A sign that reads without colour.
    fn mark(&self, well: bool, text: &str) -> String {
        match (well, self.common.unicode) {
            (true, true) => format!("✓ {text}"),
            (false, true) => format!("✗ {text}"),
            (true, false) => format!("[ok] {text}"),
            (false, false) => format!("[!] {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_a_healthy_target_never_has_are_faults() {
        let told = |value: &str| {
            let at = netwhy_model::Stamp::default();
            Evidence::seen("http.status", value, netwhy_model::Link::Service, at, "http", "")
        };
        assert!(is_well(&told("expected")));
        assert!(!is_well(&told("502")));
    }
}
