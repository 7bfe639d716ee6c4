//! `netwhy policy packet`: one packet, or many as JSON lines, through the rules of nftables or iptables.

use super::files;
use crate::{Common, fail, print};
use anyhow::Result;
use netwhy_model::{Lang, Text};
use netwhy_policy::netfilter::eval::{Decision, Machine, Outcome, Rewritten};
use netwhy_policy::netfilter::faults;
use netwhy_policy::netfilter::packet::{Packet, PacketError};
use netwhy_policy::world::netfilter;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

/// Longest line of a packet, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 16;

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy policy packet rules.nft --hook input tcp 203.0.113.9:40000 10.0.0.2:22
  netwhy policy packet rules.nft --in eth0 --out eth1 tcp 10.0.0.1:4000 10.0.0.2:443 --flags syn --state new
  netwhy policy packet iptables.save icmp 10.0.0.1 10.0.0.2
  netwhy policy packet rules.nft < packets.jsonl        one answer a line

A line of packets.jsonl; all but protocol, addresses and ports may be missing:
  {\"hook\":\"forward\",\"in\":\"eth0\",\"out\":\"eth1\",\"protocol\":\"tcp\",\"src\":\"10.0.0.1\",\"sport\":4000,
   \"dst\":\"10.0.0.2\",\"dport\":443,\"flags\":\"syn\",\"state\":\"new\"}
Without a state, connections are tracked from packet to packet, as the kernel does.

Exit code 0 when the packet is accepted, 1 when it is dropped or rejected, 3 when it depends.";

/// What becomes of this packet?
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A file with rules of nftables (text or JSON) or iptables-save
    #[arg(value_name = "RULES")]
    rules: PathBuf,
    /// Protocol, source and destination: tcp 10.0.0.1:4000 10.0.0.2:443; JSON lines on stdin without them
    #[arg(value_name = "PACKET", num_args = 0..=3)]
    packet: Vec<String>,
    /// Where the packet's way ends
    #[arg(long, value_name = "HOOK", default_value = "forward")]
    hook: String,
    /// The interface it comes in by
    #[arg(long = "in", value_name = "NAME")]
    from_interface: Option<String>,
    /// The interface it leaves by
    #[arg(long = "out", value_name = "NAME")]
    to_interface: Option<String>,
    /// TCP flags, such as syn or syn,ack; the default is syn
    #[arg(long, value_name = "FLAGS")]
    flags: Option<String>,
    /// State of its connection: new, established, related, invalid or untracked
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Any other key of a packet, such as ttl=64 or mark=1; may be repeated
    #[arg(long = "with", value_name = "KEY=VALUE")]
    with: Vec<String>,
}

/// One answer: the contract's line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    verdict: Outcome,
    rule: Option<u32>,
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<&'a str>,
    rewritten: Option<Rewritten>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn new(decision: &'a Decision, lang: Lang) -> Line<'a> {
        let at = decision.rule.as_ref();
        let policy = decision.policy_of.as_ref();
        Line {
            verdict: decision.verdict,
            rule: at.map(|at| at.rule),
            line: at.map(|at| at.line),
            table: at.map(|at| &*at.table).or(policy.map(|of| &*of.table)),
            chain: at.map(|at| &*at.chain).or(policy.map(|of| &*of.chain)),
            rewritten: decision.rewritten,
            reasons: decision.reasons.iter().map(|text| text.get(lang)).collect(),
        }
    }
}

pub(super) fn run(args: &Args, common: &Common) -> Result<u8> {
    let source = files::one(&args.rules)?;
    let ruleset = netfilter(&source).ok_or_else(|| {
        let name = args.rules.display();
        fail(
            (format!("{name} holds no rules of a packet filter"), format!("{name} 不含包过滤规则")),
            (
                "give what nft list ruleset, nft -j list ruleset, iptables-save or ip6tables-save prints",
                "请给出 nft list ruleset、nft -j list ruleset、iptables-save 或 ip6tables-save 的输出",
            ),
        )
    })?;
    files::tell_unread(&ruleset.unread, common.lang);
    let lost = faults::lost(&ruleset).map(|unread| unread.why.clone());
    let mut machine = Machine::new(&ruleset);
    if args.packet.is_empty() {
        return many(&mut machine, lost.as_ref(), common);
    }
    machine.tells_trail = common.verbose > 0;
    let packet = Packet::from_value(&Value::Object(args.keys()?)).map_err(|error| wrong(&error))?;
    let decision = doubted(machine.packet(&packet), lost.as_ref());
    if common.json {
        print(&format!("{}\n", serde_json::to_string(&Line::new(&decision, common.lang))?))?;
    } else {
        print(&page(&decision, common))?;
    }
    Ok(match decision.verdict {
        Outcome::Accept => 0,
        Outcome::Drop | Outcome::Reject => 1,
        Outcome::Depends => 3,
    })
}

/// What was not understood of a file may be a rule that stops what the others accept.
fn doubted(mut decision: Decision, lost: Option<&Text>) -> Decision {
    if let Some(why) = lost.filter(|_| decision.verdict == Outcome::Accept) {
        decision.verdict = Outcome::Depends;
        decision.reasons.push(why.clone());
    }
    decision
}

fn wrong(error: &PacketError) -> anyhow::Error {
    let hint = (
        "write protocol, source and destination, such as tcp 10.0.0.1:4000 10.0.0.2:443",
        "依次写协议、源、目的，如 tcp 10.0.0.1:4000 10.0.0.2:443",
    );
    fail((format!("this is no packet: {error}"), format!("这不是一个报文：{error}")), hint)
}

impl Args {
    /// The packet as its JSON would be, so that both are read by one reader.
    fn keys(&self) -> Result<Map<String, Value>> {
        let mut keys = Map::new();
        let mut put = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                keys.insert(key.to_owned(), Value::from(value));
            }
        };
        put("hook", Some(&self.hook));
        put("in", self.from_interface.as_deref());
        put("out", self.to_interface.as_deref());
        put("flags", self.flags.as_deref());
        put("state", self.state.as_deref());
        put("protocol", self.packet.first().map(String::as_str));
        for (at, (address, port)) in [("src", "sport"), ("dst", "dport")].into_iter().enumerate() {
            let Some(end) = self.packet.get(at + 1) else { continue };
            let (host, number) = super::can::split_port(end);
            put(address, Some(host));
            put(port, number.map(|number| number.to_string()).as_deref());
        }
        for pair in &self.with {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(fail(
                    (format!("{pair:?} is no KEY=VALUE"), format!("{pair:?} 不是 KEY=VALUE")),
                    ("write --with ttl=64", "写作 --with ttl=64"),
                ));
            };
            put(key, Some(value));
        }
        Ok(keys)
    }
}

/// A line of stdin, a line of stdout.
fn many(machine: &mut Machine, lost: Option<&Text>, common: &Common) -> Result<u8> {
    let mut input = BufReader::new(std::io::stdin().lock());
    let mut output = BufWriter::new(std::io::stdout().lock());
    let mut line = String::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        number += 1;
        if input.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)? == 0 {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        match Packet::from_json(&line) {
            Ok(packet) => {
                let decision = doubted(machine.packet(&packet), lost);
                serde_json::to_writer(&mut output, &Line::new(&decision, common.lang))?;
            }
            Err(error) => {
                serde_json::to_writer(
                    &mut output,
                    &serde_json::json!({ "error": error.to_string(), "at": number }),
                )?;
            }
        }
        output.write_all(b"\n")?;
        // Whoever asks one by one waits for the answer.
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
    output.flush()?;
    Ok(0)
}

fn page(decision: &Decision, common: &Common) -> String {
    let lang = common.lang;
    let word = match decision.verdict {
        Outcome::Accept => lang.pick("accept", "放行"),
        Outcome::Drop => lang.pick("drop", "丢弃"),
        Outcome::Reject => lang.pick("reject", "拒绝"),
        Outcome::Depends => lang.pick("depends", "不确定"),
    };
    let mut page = word.to_owned();
    match (&decision.rule, &decision.policy_of) {
        (Some(at), _) => {
            let (rule, line) = (lang.pick("rule", "规则"), lang.pick("line", "行"));
            page.push_str(&format!("  {} {} {rule} {} ({line} {})", at.table, at.chain, at.rule, at.line));
        }
        (None, Some(of)) => {
            let policy = lang.pick("policy of", "默认策略");
            page.push_str(&format!("  {policy} {} {}", of.table, of.chain));
        }
        (None, None) => {}
    }
    page.push('\n');
    for reason in &decision.reasons {
        page.push_str(&format!("  {}\n", reason.get(lang)));
    }
    if let Some(now) = decision.rewritten {
        page.push_str(&format!(
            "  {} {} → {}\n",
            lang.pick("leaves as", "改写为"),
            end(now.src, now.sport),
            end(now.dst, now.dport)
        ));
    }
    for at in &decision.trail {
        page.push_str(&format!("  {} {} {} ({})\n", at.table, at.chain, at.rule, at.line));
    }
    page
}

fn end(address: Option<std::net::IpAddr>, port: Option<u16>) -> String {
    match (address, port) {
        (Some(address), Some(port)) => std::net::SocketAddr::new(address, port).to_string(),
        (Some(address), None) => address.to_string(),
        (None, port) => format!("*:{}", port.map_or_else(|| "*".to_owned(), |port| port.to_string())),
    }
}
