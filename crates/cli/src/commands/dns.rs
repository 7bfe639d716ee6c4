//! `netwhy dns NAME [TYPE] [@SERVER]`: every resolver apart, the zone's own servers, the walk, DNSSEC.

mod page;

use super::way::Way;
use crate::{Common, fail, print};
use anyhow::Result;
use netwhy_dns::authority::Authority;
use netwhy_dns::dnssec::Validation;
use netwhy_dns::{DeepReport, Exchange, Manner, NamesReport, Resolution, ResolverState, is_fault, is_kind};
use netwhy_model::{Case, Evidence, Host, Source, Target};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

/// The schema of the JSON this command writes.
const SCHEMA: &str = "netwhy.dns/1";
/// Roots or servers taken from the command line.
const SERVERS_COUNT_MAX: usize = 16;
/// What `--all` asks for besides addresses.
const KINDS: [&str; 7] = ["TXT", "MX", "NS", "SOA", "HTTPS", "CAA", "SRV"];

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy dns shop.example                     what a program here gets, and what each resolver says
  netwhy dns shop.example --all               also the zone's own servers, DNSSEC, TXT, MX, HTTPS ...
  netwhy dns shop.example MX @9.9.9.9         one type, from one server; several @ may be given
  netwhy dns shop.example --trace             walk from the root, every server of every zone asked
  netwhy dns shop.example --trace --root 10.0.0.1   the same from the root of a private network
  netwhy dns shop.example --dnssec            is it signed, does it validate, and if not, why not
  netwhy dns big.example TXT --tcp            over TCP, for what does not fit into UDP

What it tells apart: no such name, no address, SERVFAIL from a bad signature, dead, lame, slow or differing name
servers; a resolver that is dead, refuses, is slow, keeps an old answer or makes one up; UDP or TCP 53 blocked;
a hosts file that overrides; CNAMEs that loop, dangle or never end; answers injected on the way.
Exit code 0 when the name resolves and nothing is wrong, 1 when something is, 2 when it could not be asked.";

/// Which name, from whom, and how deep.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The name to look up
    #[arg(value_name = "NAME")]
    name: String,
    /// A record type such as AAAA, TXT or HTTPS, and servers to ask instead of those in resolv.conf
    #[arg(value_name = "TYPE|@SERVER")]
    rest: Vec<String>,
    /// Walk from the root down, and ask every name server of every zone on the way
    #[arg(long)]
    trace: bool,
    /// Start the walk at this address instead of the internet's roots
    #[arg(long, value_name = "ADDR", requires = "trace")]
    root: Vec<String>,
    /// Validate the answer, and say why it is bogus
    #[arg(long)]
    dnssec: bool,
    /// Ask over TCP
    #[arg(long)]
    tcp: bool,
    /// Ask everything: the zone's own servers, DNSSEC, and the other record types
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    way: Way,
}

/// Everything found, for JSON and for the page.
#[derive(Debug, Default, Serialize)]
struct Report {
    schema: &'static str,
    name: String,
    /// In the order a program here would try them.
    addresses: Vec<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<NamesReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deep: Option<DeepReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    records: Vec<Exchange>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trace: Vec<Authority>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    validations: Vec<Validation>,
    evidence: Vec<Evidence>,
}

/// What the words after the name say.
struct Wanted {
    kind: Option<String>,
    servers: Vec<SocketAddr>,
    roots: Vec<SocketAddr>,
}

/// Asks what was wanted; 0 well, 1 something is wrong.
pub async fn run(args: Args, common: &Common) -> Result<u8> {
    let wanted = args.wanted()?;
    let case = args.case(&wanted)?;
    let Some(name) = case.target.name().map(str::to_owned) else {
        return Err(fail(
            (format!("{} is an address, not a name", args.name), format!("{} 是地址，不是域名", args.name)),
            (
                "give a name; for the name of an address ask for its PTR, as in 1.0.0.10.in-addr.arpa PTR",
                "请给出域名；要查地址对应的名字，请查询其 PTR，如 1.0.0.10.in-addr.arpa PTR",
            ),
        ));
    };
    let mut report = Report { schema: SCHEMA, name, ..Report::default() };
    if args.trace {
        trace(&args, &wanted, &case, &mut report).await;
    } else if let Some(kind) = &wanted.kind {
        let manner = Manner { tcp: args.tcp, dnssec: args.dnssec };
        report.records = netwhy_dns::query(&case, &report.name, kind, manner).await;
    } else {
        names(&args, &case, &mut report).await;
    }
    if common.json {
        print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    } else {
        print(&page::write(common, &report)?)?;
    }
    Ok(report.exit_code())
}

async fn trace(args: &Args, wanted: &Wanted, case: &Case, report: &mut Report) {
    let kind = wanted.kind.as_deref().unwrap_or("A");
    report.trace = netwhy_dns::trace(&case.source, &wanted.roots, &report.name, kind).await;
    if args.dnssec || args.all {
        report.validations = netwhy_dns::validate_trace(&case.source, &report.trace).await;
    }
}

async fn names(args: &Args, case: &Case, report: &mut Report) {
    let seen = netwhy_dns::names(case).await;
    let troubled = seen.evidence.iter().any(is_fault);
    let (mut evidence, mut deep) = (seen.evidence.clone(), None);
    if args.all || args.dnssec || troubled {
        let (more, found) = netwhy_dns::names_deep_report(case, &seen).await;
        evidence.extend(more);
        deep = Some(found);
    }
    let manner = Manner { tcp: args.tcp, dnssec: args.dnssec };
    if args.all {
        let one = one_server(case, &seen);
        for kind in KINDS {
            report.records.extend(netwhy_dns::query(&one, &report.name, kind, manner).await);
        }
    } else if args.tcp {
        for kind in ["A", "AAAA"] {
            report.records.extend(netwhy_dns::query(case, &report.name, kind, manner).await);
        }
    }
    let Resolution { addresses, report: names, .. } = seen;
    report.addresses = addresses;
    report.names = Some(names);
    report.deep = deep;
    report.evidence = evidence;
}

/// The same case with one resolver that answers: the other types are asked once.
fn one_server(case: &Case, seen: &Resolution) -> Case {
    let mut one = case.clone();
    let well = seen.report.resolvers.iter().find(|resolver| resolver.state == ResolverState::Well);
    one.source.resolvers = well.or(seen.report.resolvers.first()).map(|r| r.server).into_iter().collect();
    one
}

impl Args {
    fn wanted(&self) -> Result<Wanted> {
        let mut wanted = Wanted { kind: None, servers: Vec::new(), roots: Vec::new() };
        for word in &self.rest {
            if let Some(server) = word.strip_prefix('@') {
                wanted.servers.push(Source::parse_resolver(server)?);
            } else if !is_kind(word) {
                return Err(fail(
                    (
                        format!("{word:?} is neither a record type nor a server"),
                        format!("{word:?} 既不是记录类型，也不是服务器"),
                    ),
                    (
                        "write a type such as AAAA, TXT, HTTPS or TYPE65, and servers as @192.0.2.53",
                        "类型写作 AAAA、TXT、HTTPS 或 TYPE65，服务器写作 @192.0.2.53",
                    ),
                ));
            } else if let Some(kind) = wanted.kind.replace(word.to_ascii_uppercase()) {
                return Err(fail(
                    (
                        format!("two record types were given, {kind} and {word}"),
                        format!("给出了两个记录类型：{kind} 与 {word}"),
                    ),
                    ("ask for one at a time", "请一次查询一个"),
                ));
            }
        }
        for root in &self.root {
            wanted.roots.push(Source::parse_resolver(root)?);
        }
        if wanted.servers.len().max(wanted.roots.len()) > SERVERS_COUNT_MAX {
            return Err(fail(
                ("too many servers", "服务器过多"),
                (format!("give {SERVERS_COUNT_MAX} at most"), format!("最多 {SERVERS_COUNT_MAX} 个")),
            ));
        }
        Ok(wanted)
    }

    fn case(&self, wanted: &Wanted) -> Result<Case> {
        let bare = self.name.strip_prefix("dns:").unwrap_or(&self.name);
        // Names of services and hosts with odd characters are asked as they are.
        let target: Target = format!("dns:{}", bare.trim_end_matches('.')).parse()?;
        let mut case = Case::new(target);
        if let (Host::Name(name), true) = (&mut case.target.host, bare.ends_with('.')) {
            name.push('.');
        }
        case.source = self.way.source(None, wanted.servers.clone())?;
        Ok(case)
    }
}

impl Report {
    fn exit_code(&self) -> u8 {
        let failed = |exchange: &Exchange| exchange.reply.as_ref().is_none_or(|reply| reply.rcode != 0);
        let cut = |authority: &Authority| {
            authority.cuts.iter().any(|cut| cut.asked().any(|server| !server.state.is_well()))
                || authority.zone().is_none_or(|zone| zone.well().is_empty())
        };
        // Several types are asked with --all: one of them may rightly be missing.
        let alone = self.names.is_none() && self.records.iter().any(failed);
        let bogus = self.validations.iter().any(|validation| validation.validity.is_bogus());
        u8::from(alone || bogus || self.trace.iter().any(cut) || self.evidence.iter().any(is_fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(rest: &[&str]) -> Args {
        Args {
            name: "shop.example".to_owned(),
            rest: rest.iter().map(|word| (*word).to_owned()).collect(),
            trace: false,
            root: Vec::new(),
            dnssec: false,
            tcp: false,
            all: false,
            way: Way::default(),
        }
    }

    #[test]
    fn types_and_servers_come_in_any_order() {
        let wanted = args(&["@10.0.0.1", "aaaa", "@[::1]:5353"]).wanted().unwrap();
        assert_eq!(wanted.kind.as_deref(), Some("AAAA"));
        assert_eq!(wanted.servers, ["10.0.0.1:53".parse().unwrap(), "[::1]:5353".parse().unwrap()]);
        assert!(args(&["nonsense"]).wanted().is_err());
        assert!(args(&["A", "MX"]).wanted().is_err());
        assert!(args(&["@nowhere"]).wanted().is_err());
    }
}
