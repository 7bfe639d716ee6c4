//! `netwhy trace HOST[:PORT]`: the hops of SYN, ping and UDP side by side, where one dies and another does not.

use super::ping::{From, Place, explained, find, read_host, stop_on_interrupt};
use crate::{Common, fail, print};
use anyhow::Result;
use netwhy_model::Lang;
use netwhy_probe::icmp::Protocol;
use netwhy_probe::pmtu::{PmtuOptions, PmtuReport, PmtuValue};
use netwhy_probe::trace::{
    HOPS_COUNT_MAX, Hop, LaneReport, ROUNDS_COUNT_MAX, TraceOptions, TraceReport, hops_back,
};
use serde::Serialize;
use std::fmt::Write;
use std::net::SocketAddr;

/// The schema of the JSON this command writes.
const SCHEMA: &str = "netwhy.trace/1";

/// Port of a TCP trace when none is given.
const PORT_DEFAULT: u16 = 443;

/// Columns of one protocol in the table, at least.
const LANE_COLUMNS_MIN: usize = 30;

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy trace shop.example               SYN to port 443 beside ping, hop by hop
  netwhy trace shop.example:8443 --all    SYN, UDP and ping side by side
  netwhy trace shop.example --pmtu        and the largest packet that crosses
  netwhy trace 10.0.0.1 --icmp --rounds 50   loss and latency of every hop

How to read it: where ping goes on and the SYN does not, a device between filters the port. A star alone is no
fault: many routers send few of these answers, or none, and still forward everything. Loss matters only when it
persists to the last line. One pair of routers again and again is a loop.
Exit code 0 when the target is reached, 1 when something stops short, loops or vanishes.";

/// Whose path, with what, how often.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A name or address; port 443 unless given
    #[arg(value_name = "HOST[:PORT]")]
    host: String,
    /// Trace with SYNs to the port
    #[arg(long)]
    tcp: bool,
    /// Trace with datagrams
    #[arg(long)]
    udp: bool,
    /// Trace with echo requests
    #[arg(long)]
    icmp: bool,
    /// Trace with all three [default: SYN and echo]
    #[arg(long, conflicts_with_all = ["tcp", "udp", "icmp"])]
    all: bool,
    /// Farthest hop to ask
    #[arg(
        short = 'm', long, value_name = "N", default_value_t = HOPS_COUNT_MAX,
        value_parser = clap::value_parser!(u8).range(1..=i64::from(HOPS_COUNT_MAX))
    )]
    max_hops: u8,
    /// Times every hop is asked; from the fourth on at the pace routers answer, one a second for each protocol
    #[arg(
        short, long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_COUNT_MAX))
    )]
    rounds: u32,
    /// Also find the largest packet that crosses
    #[arg(long)]
    pmtu: bool,
    #[command(flatten)]
    from: From,
}

#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    #[serde(flatten)]
    trace: TraceReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    pmtu: Option<PmtuReport>,
}

/// Traces; the exit code says whether everything arrived.
pub async fn run(args: Args, common: &Common) -> Result<u8> {
    let (target, written) = read_host(&args.host)?;
    let place: Place = find(target, written, &args.from).await?;
    let target = SocketAddr::new(place.address, place.port.unwrap_or(PORT_DEFAULT));
    let source = place.case.source.clone();
    let protocols = args.protocols();
    let first = protocols.first().copied().unwrap_or(Protocol::Icmp);
    let options = TraceOptions {
        target,
        source: source.clone(),
        protocols,
        hops_max: args.max_hops,
        rounds: args.rounds,
    };
    let trace =
        netwhy_probe::trace::run(options, stop_on_interrupt()).await.map_err(|e| explained(e, first))?;
    if trace.lanes.iter().all(|lane| lane.refused) {
        return Err(fail(
            ("this host sent none of the probes", "本机未能发出任何探测报文"),
            (
                "run as root, or look at its own route and firewall: ip route get ADDRESS; nft list ruleset",
                "以 root 运行，或查看本机的路由与防火墙：ip route get ADDRESS; nft list ruleset",
            ),
        ));
    }
    let pmtu = if args.pmtu {
        let options = PmtuOptions { target, source, tcp: true };
        Some(netwhy_probe::pmtu::run(options).await.map_err(|e| explained(e, Protocol::Icmp))?)
    } else {
        None
    };
    let report = Report { schema: SCHEMA, trace, pmtu };
    if common.json {
        print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    } else {
        print(&report.text(common)?)?;
    }
    Ok(report.exit_code())
}

impl Args {
    fn protocols(&self) -> Vec<Protocol> {
        if self.all {
            return vec![Protocol::Tcp, Protocol::Udp, Protocol::Icmp];
        }
        let asked = [(self.tcp, Protocol::Tcp), (self.udp, Protocol::Udp), (self.icmp, Protocol::Icmp)];
        let chosen: Vec<Protocol> = asked.into_iter().filter(|(on, _)| *on).map(|(_, p)| p).collect();
        if chosen.is_empty() { vec![Protocol::Tcp, Protocol::Icmp] } else { chosen }
    }
}

impl Report {
    /// 0 when the first protocol, the one that matters most, arrives and no large packet vanishes.
    fn exit_code(&self) -> u8 {
        let arrives = self.trace.lanes.iter().find(|lane| !lane.refused).is_some_and(|lane| lane.arrives);
        let vanishes = self.pmtu.as_ref().is_some_and(|p| p.value == Some(PmtuValue::Blackhole));
        u8::from(!arrives || vanishes)
    }

    fn text(&self, common: &Common) -> Result<String> {
        let lang = common.lang;
        let mut out = String::new();
        let how = if self.trace.raw {
            lang.pick("raw packets, one flow for each protocol", "原始报文，每种协议一条固定流")
        } else {
            lang.pick(
                "kernel sockets: source ports vary; as root one flow for each protocol",
                "内核套接字：源端口会变化；以 root 运行则每种协议一条固定流",
            )
        };
        let from = lang.pick("from", "源地址");
        writeln!(out, "{} {from} {} ({how})\n", self.trace.target, self.trace.source)?;
        let lanes: Vec<&LaneReport> = self.trace.lanes.iter().filter(|lane| !lane.refused).collect();
        let columns = columns(&lanes);
        let mut head = format!("{} ", padded(lang.pick("hop", "跳"), 4));
        for lane in &lanes {
            head += &padded(&lane_name(lane), columns);
        }
        writeln!(out, "{}", head.trim_end())?;
        for ttl in 1..=lanes.iter().map(|lane| lane.hops.len()).max().unwrap_or(0) {
            let mut row = format!("{ttl:>3}  ");
            for lane in &lanes {
                let cell = lane.hops.get(ttl - 1).map_or(String::new(), |hop| cell(hop, lang));
                row += &padded(&cell, columns);
            }
            writeln!(out, "{}", row.trim_end())?;
        }
        writeln!(out)?;
        for lane in &self.trace.lanes {
            writeln!(out, "{}: {}", lane_name(lane), fate(lane, lang))?;
        }
        if let Some(line) = compared(&lanes, lang) {
            writeln!(out, "{line}")?;
        }
        if let Some(pmtu) = &self.pmtu {
            writeln!(out, "{}", pmtu_line(pmtu, lang))?;
        }
        Ok(out)
    }
}

fn lane_name(lane: &LaneReport) -> String {
    match lane.protocol {
        Protocol::Icmp => "ping".to_owned(),
        Protocol::Tcp => format!("SYN {}", lane.port),
        Protocol::Udp => format!("UDP {}", lane.port),
    }
}

fn columns(lanes: &[&LaneReport]) -> usize {
    let cells = lanes.iter().flat_map(|lane| &lane.hops).map(|hop| width(&cell(hop, Lang::En)) + 2);
    cells.max().unwrap_or(0).max(LANE_COLUMNS_MIN)
}

/// Who answered, how often not, how fast.
fn cell(hop: &Hop, lang: Lang) -> String {
    if hop.senders.is_empty() {
        return format!("* {}", if hop.sent == 0 { lang.pick("not asked", "未询问") } else { "" });
    }
    let who: Vec<String> = hop.senders.iter().map(ToString::to_string).collect();
    let time = hop.rtt_ms.map_or(String::new(), |rtt| format!("  {:.2} ms", rtt.median));
    let loss =
        if hop.received < hop.sent { format!("  {}/{}", hop.received, hop.sent) } else { String::new() };
    let notes = if hop.notes.is_empty() { String::new() } else { format!("  {}", hop.notes.join(", ")) };
    format!("{}{time}{loss}{notes}", who.join(" "))
}

/// What became of one protocol.
fn fate(lane: &LaneReport, lang: Lang) -> String {
    let zh = lang == Lang::Zh;
    if lane.refused {
        return lang.pick("not sent by this host (needs root)", "本机未能发出（需要 root）").to_owned();
    }
    if let Some(from) = lane.loop_from {
        return if zh {
            format!("从第 {from} 跳起成环")
        } else {
            format!("circles from hop {from} on")
        };
    }
    if let Some(router) = lane.ran_out_at {
        return if zh {
            format!("成环：TTL 64 在 {router} 耗尽")
        } else {
            format!("circles: a TTL of 64 ran out at {router}")
        };
    }
    if let (Some((router, why)), false) = (lane.rejected_by, lane.arrives) {
        return if zh {
            format!("{router} 答复不可达：{}", why.name())
        } else {
            format!("{router} says {}", why.name())
        };
    }
    let last = lane.last_router;
    match (lane.distance, lane.arrives) {
        (Some(distance), _) => {
            let back = lane.answer_ttl.map(hops_back).map_or(String::new(), |back| {
                if zh {
                    format!("，应答 TTL 表明回程 {back} 个路由器")
                } else {
                    format!(", {back} routers back by its TTL")
                }
            });
            if zh {
                format!("第 {distance} 跳到达目标{back}")
            } else {
                format!("reaches the target at hop {distance}{back}")
            }
        }
        (None, true) => lang.pick("reaches the target, at a hop not found", "到达目标，跳数未知").to_owned(),
        (None, false) => match last {
            Some(ttl) if zh => format!("第 {ttl} 跳之后再无应答，未到达目标"),
            Some(ttl) => format!("no answer after hop {ttl}, target not reached"),
            None => lang.pick("no answer at all", "完全没有应答").to_owned(),
        },
    }
}

/// Where the SYN dies beside the others.
fn compared(lanes: &[&LaneReport], lang: Lang) -> Option<String> {
    let syn = lanes
        .iter()
        .find(|lane| lane.protocol == Protocol::Tcp && !lane.arrives && lane.ran_out_at.is_none())?;
    let reach = syn.last_router.unwrap_or(0);
    let other = lanes
        .iter()
        .filter(|lane| lane.protocol != Protocol::Tcp)
        .find(|lane| lane.last_router.unwrap_or(0) > reach || lane.arrives)?;
    let (name, port) = (lane_name(other), syn.port);
    let farther = other.last_router.unwrap_or(0) > reach;
    Some(match (lang, farther) {
        (Lang::En, true) => {
            format!("{name} goes on where the SYN dies: a device behind hop {reach} filters port {port}")
        }
        (Lang::En, false) => format!(
            "{name} arrives, the SYN dies behind hop {reach}: the target or its last router filters port {port}"
        ),
        (Lang::Zh, true) => format!("SYN 消失处 {name} 仍可继续：第 {reach} 跳之后有设备过滤端口 {port}"),
        (Lang::Zh, false) => {
            format!("{name} 可到达，SYN 在第 {reach} 跳之后消失：目标或其最后一跳路由器过滤端口 {port}")
        }
    })
}

fn pmtu_line(pmtu: &PmtuReport, lang: Lang) -> String {
    let (name, told) = (lang.pick("path MTU", "路径 MTU"), pmtu.told());
    let word = match pmtu.value {
        Some(PmtuValue::Full) => lang.pick("full size crosses", "全尺寸报文可通过"),
        Some(PmtuValue::Reported) => lang.pick("smaller, and known to the sender", "较小，且发送方知晓"),
        Some(PmtuValue::Blackhole) => {
            lang.pick("black hole: larger packets vanish without a word", "黑洞：更大的报文无声消失")
        }
        None => lang.pick("could not be told", "无法判断"),
    };
    format!("{name}: {word} ({told})")
}

/// Columns a text takes: Chinese characters take two.
fn width(text: &str) -> usize {
    text.chars().map(|c| if ('\u{2e80}'..'\u{ffff}').contains(&c) { 2 } else { 1 }).sum()
}

fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}
