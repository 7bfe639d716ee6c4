//! `netwhy ping HOST[:PORT]`: echo, SYN or datagram, timed on the wire; loss, percentiles, jitter, order.

use super::way::{Family, Way, family_of, no_address};
use crate::{Common, fail, print};
use anyhow::Result;
use netwhy_model::{Case, Lang, Target, TargetError};
use netwhy_probe::icmp::{Protocol, Reply, Stop, Unreachable};
use netwhy_probe::ping::{INTERVAL_MIN, PingEvent, PingOptions, PingSummary, WAIT_MS_MAX};
use netwhy_probe::trace::{RttSummary, answer_name};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The schema of the JSON this command writes.
const SCHEMA: &str = "netwhy.ping/1";

/// Probes sent when neither a count nor `-t` is given.
const COUNT_DEFAULT: u32 = 10;

/// Answers listed in JSON; the summary counts all.
const LISTED_COUNT_MAX: usize = 10_000;

/// A port hardly anything listens on: the host itself answers that it is closed.
const UDP_PORT_DEFAULT: u16 = 33_434;

/// Largest IP packet, in bytes.
const PACKET_BYTES_MAX: u16 = 65_000;

pub(crate) const EXAMPLES: &str = "\
Examples:
  netwhy ping shop.example                 echo, as the classic ping
  netwhy ping shop.example:443             SYNs to a port (TCPing): also where ping is blocked
  netwhy ping shop.example:443 -c 500 -i 10ms   enough probes to see 1 % of loss
  netwhy ping 10.0.0.1 -t -s 1400          large packets until Ctrl-C, then the summary
  netwhy ping ns.example:53 --udp          datagrams; a closed port answers too

Loss is what the wire lost: as root the packets are raw and every SYN counts once, where a connect-timing tool
hides a lost SYN behind the kernel's own retry one second later. Loss at the target matters; a router that answers
few pings may still forward all of them.
Exit code 0 when every probe was answered, 1 when some were not, 2 when none could be sent.";

/// Whom to ping, with what, how often.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A name or address; with a port SYNs are sent, without one echo requests
    #[arg(value_name = "HOST[:PORT]")]
    host: String,
    /// Send SYNs; needs a port
    #[arg(long, conflicts_with_all = ["icmp", "udp"])]
    tcp: bool,
    /// Send echo requests
    #[arg(long, conflicts_with = "udp")]
    icmp: bool,
    /// Send datagrams
    #[arg(long)]
    udp: bool,
    /// Stop after so many probes [default: 10]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Time between two probes
    #[arg(short, long, value_name = "TIME", default_value = "200ms")]
    interval: String,
    /// Go on until Ctrl-C
    #[arg(short = 't', long, conflicts_with = "count")]
    continuous: bool,
    /// Bytes of payload in each echo request or datagram
    #[arg(short, long, value_name = "BYTES", default_value_t = 0)]
    size: u16,
    /// Give a probe up after this time
    #[arg(short = 'W', long, value_name = "TIME", default_value = "1s")]
    wait: String,
    #[command(flatten)]
    from: From,
}

/// Which way to leave this host.
#[derive(Debug, Clone, clap::Args)]
pub struct From {
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    family: Family,
}

/// A host found: the case, its first address, and the port when one was written.
pub(super) struct Place {
    pub case: Case,
    pub address: IpAddr,
    pub port: Option<u16>,
}

#[derive(Debug, Serialize)]
struct Listed {
    number: u32,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ms: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    #[serde(flatten)]
    summary: &'a PingSummary,
    replies: &'a [Listed],
}

/// Pings; the exit code says whether all was answered.
pub async fn run(args: Args, common: &Common) -> Result<u8> {
    let interval = time("interval", &args.interval, INTERVAL_MIN)?;
    let wait = time("wait", &args.wait, Duration::from_millis(1))?.min(Duration::from_millis(WAIT_MS_MAX));
    let (target, written) = read_host(&args.host)?;
    let (protocol, port) = args.protocol(written)?;
    let place = find(target, written, &args.from).await?;
    let options = PingOptions {
        target: SocketAddr::new(place.address, port),
        source: place.case.source.clone(),
        protocol,
        count: if args.continuous { None } else { Some(args.count.unwrap_or(COUNT_DEFAULT)) },
        interval,
        bytes: args.bytes(place.address, protocol)?,
        wait,
    };
    let stop = stop_on_interrupt();
    let listed = Arc::new(Mutex::new(Vec::new()));
    let mut page = Live { lang: common.lang, color: common.color, target: options.target, protocol };
    let (json, ended, list) = (common.json, Arc::clone(&stop), Arc::clone(&listed));
    let on_event = move |event: PingEvent| {
        if json {
            keep(&list, &event);
        } else if page.write(&event).is_err() {
            // Nobody reads on.
            ended.now();
        }
    };
    let summary = netwhy_probe::ping::run(options, stop, on_event).await;
    let summary = summary.map_err(|error| explained(error, protocol))?;
    if common.json {
        let replies = listed.lock().map_or_else(|_| Vec::new(), |mut list| std::mem::take(&mut *list));
        let report = Report { schema: SCHEMA, summary: &summary, replies: &replies };
        print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    } else {
        print(&in_words(&summary, common.lang))?;
    }
    Ok(match (summary.sent, summary.received) {
        (0, _) => 2,
        (sent, received) => u8::from(received < sent),
    })
}

impl Args {
    fn protocol(&self, port: Option<u16>) -> Result<(Protocol, u16)> {
        match (self.tcp, self.icmp, self.udp, port) {
            (true, _, _, None) => Err(fail(
                ("a TCP ping needs a port", "TCP ping 需要端口"),
                (format!("write {}:443", self.host), format!("写作 {}:443", self.host)),
            )),
            (_, _, true, port) => Ok((Protocol::Udp, port.unwrap_or(UDP_PORT_DEFAULT))),
            (_, true, _, _) | (false, _, _, None) => Ok((Protocol::Icmp, 0)),
            (_, _, _, Some(port)) => Ok((Protocol::Tcp, port)),
        }
    }

    /// The length of the whole packet.
    fn bytes(&self, address: IpAddr, protocol: Protocol) -> Result<u16> {
        if self.size == 0 {
            return Ok(0);
        }
        if protocol == Protocol::Tcp {
            return Err(fail(
                ("a SYN carries no payload", "SYN 不携带载荷"),
                ("use -s with --icmp or --udp", "-s 请与 --icmp 或 --udp 同用"),
            ));
        }
        let headers = if address.is_ipv6() { 48 } else { 28 };
        let whole = self.size.checked_add(headers).filter(|bytes| *bytes <= PACKET_BYTES_MAX);
        let size = self.size;
        whole.ok_or_else(|| {
            fail(
                (format!("{size} bytes do not fit into one packet"), format!("{size} 字节放不进一个报文")),
                ("64000 bytes do", "64000 字节可以"),
            )
        })
    }
}

/// Reads the host, and the port when one is written.
pub(super) fn read_host(host: &str) -> Result<(Target, Option<u16>)> {
    let text = host.trim();
    let bare =
        ["https://", "http://", "tcp://", "udp://", "tls://"].iter().find_map(|p| text.strip_prefix(p));
    let text = bare.map_or(text, |rest| rest.split('/').next().unwrap_or(rest));
    match format!("tcp://{text}").parse::<Target>() {
        Ok(target) => {
            let port = target.port;
            Ok((target, Some(port)))
        }
        Err(TargetError::NoPort(_)) => Ok((format!("https://{text}").parse()?, None)),
        Err(error) => Err(error.into()),
    }
}

/// Resolves the host as the system does, and picks the first address of the wanted family.
pub(super) async fn find(target: Target, port: Option<u16>, from: &From) -> Result<Place> {
    let mut case = Case::new(target);
    case.source = from.way.source(from.family.number(), Vec::new())?;
    if case.source.interface.is_none() {
        case.source.interface.clone_from(&case.target.zone);
    }
    let of_source = case.source.address.map(family_of);
    case.source.family = case.source.family.or(of_source);
    let family = case.source.family;
    let addresses = netwhy_dns::names(&case).await.addresses;
    let wanted = addresses.into_iter().find(|a| family.is_none_or(|family| (family == 4) == a.is_ipv4()));
    let Some(address) = wanted else {
        return Err(no_address(&case.target.host, family));
    };
    Ok(Place { case, address, port })
}

/// A stop that Ctrl-C asks for.
pub(super) fn stop_on_interrupt() -> Arc<Stop> {
    let stop = Arc::new(Stop::default());
    let asked = Arc::clone(&stop);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            asked.now();
        }
    });
    stop
}

/// Says what an error of the sockets means for the user.
pub(super) fn explained(error: std::io::Error, protocol: Protocol) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied if protocol == Protocol::Icmp => fail(
            ("this user may not send echo requests", "此用户不能发送 echo 请求"),
            (
                "add a port to send SYNs, run as root, or widen net.ipv4.ping_group_range",
                "加上端口以发送 SYN，或以 root 运行，或放宽 net.ipv4.ping_group_range",
            ),
        ),
        std::io::ErrorKind::PermissionDenied => fail(
            ("this user may not send such packets", "此用户不能发送这样的报文"),
            (
                "run as root, or setcap cap_net_raw+ep on netwhy",
                "以 root 运行，或对 netwhy 执行 setcap cap_net_raw+ep",
            ),
        ),
        std::io::ErrorKind::NetworkUnreachable | std::io::ErrorKind::HostUnreachable => fail(
            (format!("this host has no way there: {error}"), format!("本机没有去往那里的路由：{error}")),
            ("look at: ip route get ADDRESS", "请看：ip route get ADDRESS"),
        ),
        std::io::ErrorKind::AddrNotAvailable => fail(
            (format!("the source address is not this host's: {error}"), format!("源地址不属于本机：{error}")),
            ("look at: ip address", "请看：ip address"),
        ),
        _ => fail(
            (format!("the probes could not be sent: {error}"), format!("探测报文无法发出：{error}")),
            ("check --source-address and --interface", "请检查 --source-address 与 --interface"),
        ),
    }
}

fn time(what: &str, text: &str, least: Duration) -> Result<Duration> {
    let millis = netwhy_model::Limits::parse_ms(text)?;
    let time = Duration::from_millis(millis);
    if time < least {
        return Err(fail(
            (format!("{what} {text} is too short"), format!("--{what} {text} 太短")),
            (format!("give {} ms or more", least.as_millis()), format!("至少 {} 毫秒", least.as_millis())),
        ));
    }
    Ok(time)
}

fn keep(list: &Mutex<Vec<Listed>>, event: &PingEvent) {
    let of = |number: u32, outcome: &'static str, reply: Option<&Reply>| Listed {
        number,
        outcome,
        from: reply.map(|r| r.from),
        ttl: reply.and_then(|r| r.ttl),
        rtt_ms: reply.map(|r| r.rtt.as_secs_f64() * 1e3),
    };
    let listed = match event {
        PingEvent::Start { .. } => return,
        PingEvent::Answer { number, reply } | PingEvent::Error { number, reply } => {
            of(*number, answer_name(reply.answer), Some(reply))
        }
        PingEvent::Duplicate { number, reply } => of(*number, "duplicate", Some(reply)),
        PingEvent::Late { number, reply } => of(*number, "late", Some(reply)),
        PingEvent::Lost { number } => of(*number, "lost", None),
        PingEvent::Refused { number, .. } => of(*number, "not sent", None),
    };
    if let Ok(mut list) = list.lock()
        && list.len() < LISTED_COUNT_MAX
    {
        list.push(listed);
    }
}

/// The lines while it runs.
struct Live {
    lang: Lang,
    color: bool,
    target: SocketAddr,
    protocol: Protocol,
}

impl Live {
    fn write(&mut self, event: &PingEvent) -> Result<()> {
        let lang = self.lang;
        let line = match event {
            PingEvent::Start { source, raw } => self.head(*source, *raw),
            PingEvent::Answer { number, reply } => line_of(*number, reply, lang, ""),
            PingEvent::Duplicate { number, reply } => {
                line_of(*number, reply, lang, lang.pick("duplicate", "重复"))
            }
            PingEvent::Late { number, reply } => {
                self.marked(&line_of(*number, reply, lang, lang.pick("too late", "过迟")))
            }
            PingEvent::Error { number, reply } => self.marked(&line_of(*number, reply, lang, "")),
            PingEvent::Lost { number } => {
                self.marked(&format!("{number:>4}  {}", lang.pick("no answer", "无应答")))
            }
            PingEvent::Refused { number, code } => {
                let error = std::io::Error::from_raw_os_error(*code);
                self.marked(&format!("{number:>4}  {}: {error}", lang.pick("not sent", "未发出")))
            }
        };
        print(&(line + "\n"))
    }

    fn head(&self, source: IpAddr, raw: bool) -> String {
        let what = match self.protocol {
            Protocol::Icmp => format!("ping {}", self.target.ip()),
            Protocol::Tcp => format!("SYN {}", self.target),
            Protocol::Udp => format!("UDP {}", self.target),
        };
        let how = match (raw, self.protocol) {
            (true, _) => self.lang.pick("raw packets", "原始报文"),
            (false, Protocol::Tcp) => self
                .lang
                .pick("connections of the kernel; as root raw SYNs", "内核连接；以 root 运行可发送原始 SYN"),
            (false, _) => self.lang.pick("kernel sockets", "内核套接字"),
        };
        format!("{what} {} {source} ({how})", self.lang.pick("from", "源地址"))
    }

    /// Sets a line apart that says something failed; the words say it too.
    fn marked(&self, line: &str) -> String {
        if self.color { format!("\u{1b}[31m{line}\u{1b}[0m") } else { line.to_owned() }
    }
}

fn line_of(number: u32, reply: &Reply, lang: Lang, note: &str) -> String {
    let answer = match reply.answer {
        netwhy_probe::icmp::Answer::Unreachable(Unreachable::Port) => {
            lang.pick("port unreachable", "端口不可达")
        }
        other => answer_name(other),
    };
    let ttl = reply.ttl.map_or(String::new(), |ttl| format!("  TTL {ttl}"));
    let gap = if note.is_empty() { "" } else { "  " };
    format!("{number:>4}  {answer}  {}{ttl}  {:.3} ms{gap}{note}", reply.from, reply.rtt.as_secs_f64() * 1e3)
}

/// The round trips in one line.
pub(super) fn rtt_line(rtt: &RttSummary, lang: Lang) -> String {
    format!(
        "{} {:.3}  {} {:.3}  {} {:.3}  p95 {:.3}  p99 {:.3}  {} {:.3} ms",
        lang.pick("min", "最小"),
        rtt.min,
        lang.pick("avg", "平均"),
        rtt.average,
        lang.pick("median", "中位"),
        rtt.median,
        rtt.p95,
        rtt.p99,
        lang.pick("max", "最大"),
        rtt.max
    )
}

fn in_words(summary: &PingSummary, lang: Lang) -> String {
    let lost = summary.sent.saturating_sub(summary.received);
    let share = summary.loss * 100.0;
    let mut text = match lang {
        Lang::En => format!(
            "\n{} sent, {} answered, {lost} lost ({share:.1} %), {} duplicates, {} out of order\n",
            summary.sent, summary.received, summary.duplicates, summary.reordered
        ),
        Lang::Zh => format!(
            "\n发送 {}，应答 {}，丢失 {lost}（{share:.1} %），重复 {}，乱序 {}\n",
            summary.sent, summary.received, summary.duplicates, summary.reordered
        ),
    };
    for (count, en, zh) in [
        (summary.late, "answered too late", "应答过迟"),
        (summary.errors, "reported by a router as undeliverable", "被路由器报告为不可送达"),
        (summary.refused, "not sent by this host", "本机未能发出"),
    ] {
        if count > 0 {
            text += &format!("{count} {}\n", lang.pick(en, zh));
        }
    }
    if let Some(rtt) = &summary.rtt_ms {
        text += &format!("{}  {}\n", lang.pick("round trip", "往返"), rtt_line(rtt, lang));
        let jitter = summary.jitter_ms.unwrap_or(0.0);
        let (a, b) = (lang.pick("jitter", "抖动"), lang.pick("standard deviation", "标准差"));
        text += &format!("{a}  {jitter:.3} ms (RFC 3550), {b} {:.3} ms\n", rtt.deviation);
    }
    if summary.ttls.len() > 1 {
        let ttls: Vec<String> = summary.ttls.iter().map(|(ttl, count)| format!("{ttl} × {count}")).collect();
        text += &format!(
            "{} {}\n",
            lang.pick("answers with different TTLs:", "应答的 TTL 不同："),
            ttls.join(", ")
        );
    }
    text
}
