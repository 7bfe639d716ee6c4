//! `netwhy diagnose TARGET...`, which is `netwhy TARGET...`: the backbone of the product.

use super::at;
use super::flows;
use super::policy::join;
use super::way::{checked, family_of, method, own_address, readable, rooted};
use crate::failure::while_trying;
use crate::progress::Progress;
use crate::{Common, fail};
use anyhow::Result;
use netwhy_engine::{self as engine, Event};
use netwhy_model::host::{RECORD_SCHEMA, Record};
use netwhy_model::{
    Case, Expect, Header, Host, Limits, Origin, Reachability, SavedCase, Source, Target, Verdict,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Targets one run takes.
const TARGET_COUNT_MAX: usize = 256;
/// Largest saved case read, in bytes.
const REPLAY_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(crate) const EXAMPLES: &str = "\
Targets:
  https://shop.example/cart   HTTP over TLS; a bare name means this
  shop.example:5432           TCP; ports 80 and 8080 mean HTTP, 443 and 8443 HTTPS
  tls://mail.example:993      only the TLS handshake
  udp://198.51.100.7:53       a UDP service
  dns:shop.example            only the name
  [2001:db8::7]:443           IPv6 in brackets when a port follows

Expectations (--expect KEY=VALUE, again for more):
  status=200,204   max-time=1s   min-bytes=64k   http=2   tls-max=1.2   banner=SSH-2.0
  families=ipv4,ipv6   address=203.0.113.7   success-min=0.99   loss-max=2%   max-rtt=100ms

Examples:
  netwhy https://shop.example/                              the usual question
  netwhy --origin 203.0.113.7 https://shop.example/         also ask the server behind the CDN
  netwhy --expect families=ipv4,ipv6 https://shop.example/  IPv6 must work too
  netwhy --save case.json db.example:5432                   keep all that was seen
  netwhy --replay case.json --format html > case.html       and conclude from it again, elsewhere
  netwhy --at origin=ssh://root@203.0.113.7 https://shop.example/   see it from both ends
  netwhy --at edge=ssh://node1 --at origin=ssh://web1 https://shop.example/   and the node's own way
  netwhy --at client=exec:'kubectl exec -i app --' db:5432  ask from inside a container
  netwhy --policy aws/ --policy origin.nft https://shop.example/   and what the rules on the way say
  netwhy --flows vpc-logs/ --flows auth.log https://shop.example/   and what the records know of it";

/// What is to be reached, what counts as success, and how to ask.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What is to be reached: a URL, host:port, or a name
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Also ask the origin behind a protection node directly, with the same Host and SNI
    #[arg(long, value_name = "ADDR[:PORT]", help_heading = "What to ask")]
    origin: Option<String>,
    /// What counts as success; whatever misses it is a fault to explain
    #[arg(long, value_name = "KEY=VALUE", help_heading = "What to ask")]
    expect: Vec<String>,
    /// The path a load balancer asks to see whether the service is well
    #[arg(
        long,
        value_name = "PATH",
        env = "NETWHY_HEALTH_PATH",
        hide_env_values = true,
        help_heading = "What to ask"
    )]
    health_path: Option<String>,
    /// A request header, such as 'Accept-Language: zh'
    #[arg(short = 'H', long, value_name = "HEADER", help_heading = "What to ask")]
    header: Vec<String>,
    /// The request method [default: GET]
    #[arg(short = 'X', long, value_name = "METHOD", help_heading = "What to ask")]
    method: Option<String>,
    /// Send a request body of so many bytes
    #[arg(long, value_name = "BYTES", help_heading = "What to ask")]
    body_bytes: Option<u64>,
    /// PEM file with a client certificate and its key
    #[arg(
        long,
        value_name = "FILE",
        env = "NETWHY_CLIENT_CERT",
        hide_env_values = true,
        help_heading = "What to ask"
    )]
    client_cert: Option<PathBuf>,
    /// PEM file with roots to trust besides the system's
    #[arg(
        long,
        value_name = "FILE",
        env = "NETWHY_CA_FILE",
        hide_env_values = true,
        help_heading = "What to ask"
    )]
    ca_file: Option<PathBuf>,
    /// Ask this resolver instead of those in resolv.conf
    #[arg(
        long,
        value_name = "ADDR[:PORT]",
        env = "NETWHY_RESOLVER",
        value_delimiter = ',',
        hide_env_values = true,
        help_heading = "How to ask"
    )]
    resolver: Vec<String>,
    /// Send from this address
    #[arg(
        long,
        value_name = "ADDR",
        env = "NETWHY_SOURCE_ADDRESS",
        hide_env_values = true,
        help_heading = "How to ask"
    )]
    source_address: Option<String>,
    /// Send through this interface
    #[arg(
        long,
        value_name = "NAME",
        env = "NETWHY_INTERFACE",
        hide_env_values = true,
        help_heading = "How to ask"
    )]
    interface: Option<String>,
    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6", help_heading = "How to ask")]
    ipv4: bool,
    /// Use IPv6 only
    #[arg(short = '6', long, help_heading = "How to ask")]
    ipv6: bool,
    /// Longest time for one target [default: 11s]
    #[arg(
        long,
        value_name = "TIME",
        env = "NETWHY_BUDGET",
        hide_env_values = true,
        help_heading = "How to ask"
    )]
    budget: Option<String>,
    #[command(flatten)]
    ends: at::Flags,
    /// Files and folders with the rules on the way; what they say is evidence beside what is seen
    #[arg(long, value_name = "PATH", help_heading = "What to ask")]
    policy: Vec<PathBuf>,
    /// Flow logs, captures and logs of the way and its ends; what they know is evidence too
    #[arg(long, value_name = "PATH", help_heading = "What to ask")]
    flows: Vec<PathBuf>,
    /// Keep the case with all that was seen
    #[arg(long, value_name = "FILE", help_heading = "Cases")]
    save: Option<PathBuf>,
    /// Conclude again from a kept case; nothing is asked ('-' reads stdin)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["targets", "save"], help_heading = "Cases")]
    replay: Option<PathBuf>,
    /// Join what another end recorded by itself (netwhy host --record) into the replayed case
    #[arg(long, value_name = "FILE", requires = "replay", help_heading = "Cases")]
    join: Vec<PathBuf>,
}

/// Diagnoses every target and writes one verdict each; the exit code is the worst of them.
pub async fn run(args: Args, common: Common) -> Result<u8> {
    let mut out = Verdicts::new(&common);
    flows::join::check(&args.flows)?;
    if let Some(path) = &args.replay {
        let mut saved = read_case(path)?;
        let records = args.join.iter().map(|path| read_record(path)).collect::<Result<Vec<_>>>()?;
        if !records.is_empty() {
            engine::join(&mut saved, records);
        }
        if let Some(world) = join::read(&args.policy, &common)? {
            join::add(&world, &mut saved);
        }
        args.add_flows(&mut saved, &common)?;
        out.take(engine::replay(&saved, common.lang))?;
        return out.finish();
    }
    let cases = args.cases(&common)?;
    let rules = join::read(&args.policy, &common)?;
    let places = args.ends.places()?;
    let ends = args.ends.open(&places, common.lang).await;
    for case in cases {
        let target = netwhy_report::clean(&case.target.to_string());
        let progress = Arc::new(Progress::start(&target, &common));
        let told = Arc::clone(&progress);
        let on_event = Arc::new(move |event| match event {
            Event::Asking(question) => told.asking(&question),
            Event::Seen(_) => {}
        });
        let run = engine::run_with(case, &ends, args.save.is_some(), common.lang, on_event).await;
        progress.finish();
        let mut run = run.map_err(|error| {
            while_trying(
                ("the client's end failed, so nothing was asked", "客户端一端出错，因此没有进行询问"),
                error,
            )
        })?;
        if let Some(world) = &rules {
            join::add(world, &mut run.saved);
        }
        args.add_flows(&mut run.saved, &common)?;
        if rules.is_some() || !args.flows.is_empty() {
            run.verdict = engine::replay(&run.saved, common.lang);
        }
        if let Some(path) = &args.save {
            let text = run.saved.to_json()?;
            std::fs::write(path, text).map_err(|error| {
                let shown = path.display();
                while_trying((format!("cannot write {shown}"), format!("无法写入 {shown}")), error)
            })?;
        }
        out.take(run.verdict)?;
    }
    ends.close().await;
    out.finish()
}

/// Exit code of one verdict: 0 well · 1 a cause, or out of reach · 3 not enough was seen to say.
fn exit_code(verdict: &Verdict) -> u8 {
    match verdict.reachability {
        _ if !verdict.causes.is_empty() => 1,
        Reachability::Unreachable | Reachability::Inconsistent => 1,
        Reachability::Reachable if verdict.healthy => 0,
        Reachability::Reachable | Reachability::Undetermined => 3,
    }
}

/// Writes verdicts as they come, in the form asked for.
struct Verdicts<'a> {
    common: &'a Common,
    /// Kept for forms that are written as one page.
    kept: Vec<Verdict>,
    count: usize,
    code: u8,
}

impl<'a> Verdicts<'a> {
    fn new(common: &'a Common) -> Verdicts<'a> {
        Verdicts { common, kept: Vec::new(), count: 0, code: 0 }
    }

    fn take(&mut self, verdict: Verdict) -> Result<()> {
        self.code = worse(self.code, exit_code(&verdict));
        self.count += 1;
        // One JSON object is written whole, several one a line; which it is shows with the second.
        if self.common.json || self.common.html {
            self.kept.push(verdict);
            return Ok(());
        }
        let gap = if self.count > 1 { "\n" } else { "" };
        crate::print(&format!("{gap}{}", netwhy_report::verdict_text(&verdict, &self.common.style())))
    }

    fn finish(self) -> Result<u8> {
        if self.common.html {
            crate::print(&netwhy_report::verdict_html(&self.kept, self.common.lang))?;
        }
        if self.common.json {
            let lines = self.kept.len() > 1;
            for verdict in &self.kept {
                crate::print(&netwhy_report::to_json(verdict, !lines)?)?;
            }
        }
        Ok(self.code)
    }
}

/// A found cause outweighs doubt, doubt outweighs health.
fn worse(a: u8, b: u8) -> u8 {
    let rank = |code| [0, 3, 1].iter().position(|known| *known == code);
    if rank(a) >= rank(b) { a } else { b }
}

impl Args {
    /// Adds what the records that were given know of the way.
    fn add_flows(&self, saved: &mut SavedCase, common: &Common) -> Result<()> {
        flows::join::add(&self.flows, saved, common)?;
        flows::join::tell_attack(saved, common.lang);
        Ok(())
    }

    /// One case per target; everything is understood before anything is sent.
    fn cases(&self, common: &Common) -> Result<Vec<Case>> {
        if self.targets.is_empty() {
            return Err(no_target());
        }
        if self.targets.len() > TARGET_COUNT_MAX {
            let count = self.targets.len();
            return Err(fail(
                (format!("{count} targets were given"), format!("给出了 {count} 个目标")),
                (format!("at most {TARGET_COUNT_MAX} at once"), format!("一次最多 {TARGET_COUNT_MAX} 个")),
            ));
        }
        if self.save.is_some() && self.targets.len() > 1 {
            return Err(fail(
                (
                    "--save keeps one case, and several targets were given",
                    "--save 只保存一个案例，而给出了多个目标",
                ),
                ("save them one by one", "请逐个保存"),
            ));
        }
        let template = self.template(common)?;
        self.targets.iter().map(|text| one_case(text, &template)).collect()
    }

    /// Everything of a case but its target.
    fn template(&self, common: &Common) -> Result<Template> {
        let config = &common.config;
        let mut expect = Expect::default();
        let expectations = if self.expect.is_empty() { &config.expect } else { &self.expect };
        for text in expectations {
            expect.add(text)?;
        }
        let headers = match self.header.is_empty() {
            true => config.header.clone(),
            false => self.header.iter().map(|text| Header::parse(text)).collect::<Result<_, _>>()?,
        };
        let budget_ms = match &self.budget {
            Some(text) => Some(Limits::parse_ms(text)?),
            None => config.budget_ms,
        };
        let limits = Limits::default();
        Ok(Template {
            origin: self.origin.as_deref().map(Origin::parse).transpose()?,
            expect,
            source: self.source(common)?,
            method: self.method.as_deref().map_or(Ok("GET".to_owned()), method)?,
            headers,
            health_path: self
                .health_path
                .as_ref()
                .or(config.health_path.as_ref())
                .map(|p| rooted(p))
                .transpose()?,
            client_cert: readable(
                "--client-cert",
                self.client_cert.as_deref().or(config.client_cert.as_deref()),
            )?,
            ca_file: readable("--ca-file", self.ca_file.as_deref().or(config.ca_file.as_deref()))?,
            body_bytes: self.body_bytes,
            limits: Limits { budget_ms: budget_ms.unwrap_or(limits.budget_ms), ..limits },
        })
    }

    fn source(&self, common: &Common) -> Result<Source> {
        let config = &common.config;
        let address = match &self.source_address {
            Some(text) => Some(own_address(text)?),
            None => config.source_address,
        };
        let family = match (self.ipv4, self.ipv6) {
            (true, _) => Some(4),
            (_, true) => Some(6),
            _ => config.family,
        };
        let interface = self.interface.clone().or_else(|| config.interface.clone());
        let resolvers = match self.resolver.is_empty() {
            true => config.resolver.clone(),
            false => {
                self.resolver.iter().map(|text| Source::parse_resolver(text)).collect::<Result<_, _>>()?
            }
        };
        checked(Source { address, interface, family, resolvers })
    }
}

/// Everything of a case but its target, understood once.
struct Template {
    origin: Option<Origin>,
    expect: Expect,
    source: Source,
    method: String,
    headers: Vec<Header>,
    body_bytes: Option<u64>,
    health_path: Option<String>,
    client_cert: Option<String>,
    ca_file: Option<String>,
    limits: Limits,
}

fn one_case(text: &str, template: &Template) -> Result<Case> {
    let target: Target = text.parse()?;
    if let (Some(family), Host::Address(address)) = (template.source.family, &target.host)
        && family != family_of(*address)
    {
        return Err(fail(
            (
                format!("target {text:?} is no IPv{family} address"),
                format!("目标 {text:?} 不是 IPv{family} 地址"),
            ),
            ("leave out -4 or -6", "去掉 -4 或 -6"),
        ));
    }
    Ok(Case {
        origin: template.origin,
        expect: template.expect.clone(),
        source: template.source.clone(),
        method: template.method.clone(),
        headers: template.headers.clone(),
        body_bytes: template.body_bytes,
        health_path: template.health_path.clone(),
        client_cert: template.client_cert.clone(),
        ca_file: template.ca_file.clone(),
        limits: template.limits,
        ..Case::new(target)
    })
}

fn read_case(path: &Path) -> Result<SavedCase> {
    let shown = path.display().to_string();
    let text = read_text(path).map_err(|error| {
        while_trying(
            (format!("cannot read the saved case {shown}"), format!("无法读取保存的案例 {shown}")),
            error,
        )
    })?;
    SavedCase::parse(&text).map_err(|error| while_trying((shown.clone(), shown), error))
}

fn read_record(path: &Path) -> Result<Record> {
    let shown = path.display().to_string();
    let unreadable = (format!("cannot read the record {shown}"), format!("无法读取记录 {shown}"));
    let text = read_text(path).map_err(|error| while_trying(unreadable.clone(), error))?;
    let record: Record = serde_json::from_str(&text).map_err(|error| while_trying(unreadable, error))?;
    if record.schema != RECORD_SCHEMA {
        let schema = record.schema;
        return Err(fail(
            (format!("{shown} has schema {schema:?}"), format!("{shown} 的 schema 是 {schema:?}")),
            (
                format!("this netwhy joins {RECORD_SCHEMA:?}, as netwhy host --record writes it"),
                format!("本 netwhy 只合并 {RECORD_SCHEMA:?}，由 netwhy host --record 写出"),
            ),
        ));
    }
    Ok(record)
}

fn read_text(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let stream: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(path)?),
    };
    stream.take(REPLAY_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Nothing to diagnose.
pub(crate) fn no_target() -> anyhow::Error {
    fail(
        ("no target was given", "没有给出目标"),
        (
            "try netwhy https://shop.example/, or netwhy --help",
            "试试 netwhy https://shop.example/，或 netwhy --help",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_outweighs_doubt_and_doubt_outweighs_health() {
        for (a, b, worst) in [(0, 0, 0), (0, 3, 3), (3, 0, 3), (3, 1, 1), (1, 3, 1), (0, 1, 1)] {
            assert_eq!(worse(a, b), worst, "{a} and {b}");
        }
    }

    #[test]
    fn exit_codes_tell_doubt_from_health() {
        let saved = include_str!("../../tests/cases/refused.json");
        let mut verdict = engine::replay(&SavedCase::parse(saved).unwrap(), netwhy_model::Lang::En);
        assert_eq!(exit_code(&verdict), 1);
        verdict.causes.clear();
        assert_eq!(exit_code(&verdict), 1, "out of reach, whatever the cause");
        verdict.reachability = Reachability::Undetermined;
        assert_eq!(exit_code(&verdict), 3);
        verdict.reachability = Reachability::Reachable;
        assert_eq!(exit_code(&verdict), 3, "reachable, and yet not known to be well");
        verdict.healthy = true;
        assert_eq!(exit_code(&verdict), 0);
    }
}
