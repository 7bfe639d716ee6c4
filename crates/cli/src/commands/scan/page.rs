//! What people read: open ports as they are found, then the others summed up with their reasons.

use super::compare::Difference;
use super::lines::cleaned;
use super::outputs::Sink;
use super::results::{Group, HostResults, Results};
use super::words::{protocol_code, ranges, reason, seconds, state, thousands};
use netwhy_model::Lang;
use netwhy_report::padded;
use netwhy_scan::{Finding, Look, Plan, Protocol, State, Summary, services};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

/// Hosts told of one by one below the table.
const HOST_LINE_COUNT_MAX: usize = 64;
/// Ranges of ports written out in one line.
const RANGE_COUNT_MAX: usize = 12;
/// Names of a certificate written out.
const NAME_COUNT_MAX: usize = 3;
/// Columns of the widest `PORT` cell, `65535/tcp`.
const PORT_WIDTH: usize = 9;

/// How a page looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub lang: Lang,
    pub color: bool,
    /// Closed and silent ports are listed too.
    pub all: bool,
    pub look: bool,
}

/// Writes the page as the scan goes.
pub(super) struct Page<W> {
    out: W,
    style: Style,
    protocol: Protocol,
    results: Results,
    names: BTreeMap<IpAddr, String>,
    host_count: u64,
    only_host: Option<IpAddr>,
    /// Columns of the host, 0 where there is one only.
    host_width: usize,
    any: bool,
}

impl<W: Write> Page<W> {
    /// Writes the first line.
    pub(super) fn new(
        mut out: W,
        plan: &Plan,
        names: BTreeMap<IpAddr, String>,
        style: Style,
        head: &str,
    ) -> io::Result<Self> {
        writeln!(out, "{head}")?;
        out.flush()?;
        let host_count = plan.hosts.len();
        let only_host = if host_count == 1 { plan.hosts.get(0) } else { None };
        Ok(Self {
            out,
            style,
            protocol: plan.protocol,
            results: Results::default(),
            names,
            host_count,
            only_host,
            host_width: if only_host.is_some() { 0 } else { host_width(plan) },
            any: false,
        })
    }

    fn row(&mut self, finding: &Finding) -> io::Result<()> {
        let lang = self.style.lang;
        if !std::mem::replace(&mut self.any, true) {
            self.head()?;
        }
        self.host_cell(&finding.host.to_string())?;
        let port = format!("{}/{}", finding.port, protocol_code(finding.protocol));
        let service = services::name(finding.port, finding.protocol).unwrap_or("-");
        let (ttl, rtt) = (
            finding.ttl.map_or_else(|| "-".into(), |ttl| ttl.to_string()),
            finding.rtt.map_or_else(|| "-".into(), round_trip),
        );
        let shown = padded(state(finding.state, lang), 11);
        let shown = match (self.style.color, finding.state) {
            (true, State::Open) => format!("\u{1b}[32m{shown}\u{1b}[0m"),
            (true, State::Rejected | State::Intercepted) => format!("\u{1b}[33m{shown}\u{1b}[0m"),
            _ => shown,
        };
        let why = match &finding.look {
            Some(look) => look_words(look, lang),
            None => reason(finding.reason, lang),
        };
        writeln!(self.out, "{port:<PORT_WIDTH$}  {shown}  {service:<16}  {ttl:>3}  {rtt:>7}  {why}")
    }

    fn head(&mut self) -> io::Result<()> {
        let lang = self.style.lang;
        writeln!(self.out)?;
        self.host_cell(lang.pick("HOST", "主机"))?;
        let last = if self.style.look { ("SEEN THERE", "所见") } else { ("REASON", "依据") };
        writeln!(
            self.out,
            "{}  {}  {}  TTL  {:>7}  {}",
            padded(lang.pick("PORT", "端口"), PORT_WIDTH),
            padded(lang.pick("STATE", "状态"), 11),
            padded(lang.pick("USUALLY", "通常为"), 16),
            "RTT ms",
            lang.pick(last.0, last.1)
        )
    }

    fn host_cell(&mut self, text: &str) -> io::Result<()> {
        match self.host_width {
            0 => Ok(()),
            width => write!(self.out, "{}  ", padded(text, width)),
        }
    }

    /// What is not open, host by host.
    fn others(&mut self) -> io::Result<()> {
        let told: Vec<(IpAddr, Vec<String>)> = self
            .results
            .iter()
            .map(|(host, found)| (*host, self.lines_of(found)))
            .filter(|(_, lines)| !lines.is_empty())
            .collect();
        if !told.is_empty() {
            writeln!(self.out)?;
        }
        for (host, lines) in told.iter().take(HOST_LINE_COUNT_MAX) {
            for line in lines {
                self.host_cell(&host.to_string())?;
                writeln!(self.out, "{line}")?;
            }
        }
        match told.len().checked_sub(HOST_LINE_COUNT_MAX) {
            None | Some(0) => Ok(()),
            Some(more) => match self.style.lang {
                Lang::En => writeln!(self.out, "and {} hosts more: see --json", thousands(more as u64)),
                Lang::Zh => writeln!(self.out, "另有 {} 台主机：见 --json", thousands(more as u64)),
            },
        }
    }

    fn lines_of(&self, found: &HostResults) -> Vec<String> {
        let lang = self.style.lang;
        // Closed and silent ones come only where asked for, and then as rows.
        let quiet = |group: &Group| matches!(group.state, State::Closed | State::Filtered);
        let groups = found.groups.iter().filter(|group| !quiet(group) && !group.ports.is_empty());
        groups
            .map(|group| {
                let (count, ports) =
                    (thousands(group.ports.len() as u64), ranges(&group.ports, RANGE_COUNT_MAX));
                let (state, reason) = (state(group.state, lang), reason(group.reason, lang));
                match lang {
                    Lang::En => format!("{count} {state} ({reason}): {ports}"),
                    Lang::Zh => format!("{count} 个{state}（{reason}）：{ports}"),
                }
            })
            .collect()
    }

    /// The whole in one line.
    fn total(&mut self, summary: &Summary) -> io::Result<()> {
        let lang = self.style.lang;
        let time = seconds(Duration::from_millis(summary.elapsed_ms));
        let (ports, protocol) = (thousands(summary.ports), protocol_code(self.protocol).to_uppercase());
        let whom = match (self.only_host, lang) {
            (Some(host), _) => {
                self.names.get(&host).map_or_else(|| host.to_string(), |name| format!("{name} ({host})"))
            }
            (None, Lang::En) => format!("each of {} addresses", thousands(self.host_count)),
            (None, Lang::Zh) => format!("{} 个地址", thousands(self.host_count)),
        };
        let counts = counts(summary, lang);
        let port_word = if summary.ports == 1 { "port" } else { "ports" };
        match lang {
            Lang::En => writeln!(self.out, "\n{ports} {protocol} {port_word} of {whom} in {time}: {counts}"),
            Lang::Zh => writeln!(self.out, "\n{whom} 的 {ports} 个 {protocol} 端口，用时 {time}：{counts}"),
        }?;
        writeln!(self.out, "{}", sure(summary, lang))
    }

    fn differences(&mut self, differences: &[Difference]) -> io::Result<()> {
        let lang = self.style.lang;
        let count = thousands(differences.len() as u64);
        match (differences.len(), lang) {
            (0, _) => {
                return writeln!(self.out, "\n{}", lang.pick("All is as it ought to be.", "一切符合预期。"));
            }
            (1, Lang::En) => writeln!(self.out, "\n1 difference:")?,
            (_, Lang::En) => writeln!(self.out, "\n{count} differences:")?,
            (_, Lang::Zh) => writeln!(self.out, "\n{count} 处差异：")?,
        }
        differences.iter().try_for_each(|one| writeln!(self.out, "  {}", one.line(lang)))
    }
}

impl<W: Write> Sink for Page<W> {
    fn found(&mut self, finding: &Finding) -> io::Result<()> {
        // Closed and silent ports are counted by the summary, and kept by nobody here.
        if !matches!(finding.state, State::Closed | State::Filtered) {
            self.results.found(finding);
        }
        match finding.state == State::Open || self.style.all {
            true => self.row(finding),
            false => Ok(()),
        }
    }

    fn revised(&mut self, finding: &Finding) -> io::Result<()> {
        self.results.revised(finding);
        match finding.state == State::Open || self.style.all {
            true => self.row(finding),
            false => Ok(()),
        }
    }

    fn settle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end(&mut self, summary: &Summary, differences: Option<&[Difference]>) -> io::Result<()> {
        self.others()?;
        self.total(summary)?;
        if let Some(differences) = differences {
            self.differences(differences)?;
        }
        self.out.flush()
    }
}

/// How many of each state; none is left out that is not 0.
fn counts(summary: &Summary, lang: Lang) -> String {
    let all = [
        (summary.open, State::Open, None),
        (summary.closed, State::Closed, (summary.protocol == Protocol::Tcp).then_some("RST")),
        (summary.rejected, State::Rejected, Some("ICMP")),
        (summary.intercepted, State::Intercepted, None),
        (summary.filtered, State::Filtered, None),
        (summary.unknown, State::Unknown, None),
    ];
    let shown = all.iter().filter(|(count, state, _)| *count > 0 || *state == State::Open);
    let part = |&(count, of, why): &(u64, State, Option<&str>)| {
        let why = why.map_or_else(String::new, |why| match lang {
            Lang::En => format!(" ({why})"),
            Lang::Zh => format!("（{why}）"),
        });
        match lang {
            Lang::En => format!("{} {}{why}", thousands(count), state(of, lang)),
            Lang::Zh => format!("{} 个{}{why}", thousands(count), state(of, lang)),
        }
    };
    shown.map(part).collect::<Vec<_>>().join(lang.pick(", ", "，"))
}

/// How sure the result is.
fn sure(summary: &Summary, lang: Lang) -> String {
    let packets = thousands(summary.packets_sent);
    let loss = match summary.loss {
        Some(loss) => format!("{:.1} %", loss * 100.0),
        None => lang.pick("unknown, nothing answered", "未知，没有任何应答").to_owned(),
    };
    let missed = match summary.expected_missed {
        _ if !summary.complete => "?".to_owned(),
        missed if missed < 0.001 => "< 0.001".to_owned(),
        missed => format!("{missed:.3}"),
    };
    let passes = summary.passes;
    let unfinished = match summary.complete {
        true => "",
        false => lang.pick("not finished; ", "未完成；"),
    };
    match lang {
        Lang::En => format!(
            "{unfinished}{packets} packets by the {} engine, passes {passes}, loss {loss}, open ports expected missed \
             {missed}",
            summary.engine
        ),
        Lang::Zh => format!(
            "{unfinished}{} 引擎发出 {packets} 个报文，{passes} 轮，丢包 {loss}，预计漏掉的开放端口 {missed}",
            summary.engine
        ),
    }
}

/// What a look saw, in one line.
fn look_words(look: &Look, lang: Lang) -> String {
    let look = cleaned(look);
    let mut text = match look.service.as_str() {
        "silent" => lang.pick("says nothing", "连接后不发话").to_owned(),
        "unreachable" => lang.pick("could not be connected to again", "再次连接未成功").to_owned(),
        _ => look.service,
    };
    if !look.names.is_empty() {
        let more = if look.names.len() > NAME_COUNT_MAX { ", …" } else { "" };
        let names = look.names[..look.names.len().min(NAME_COUNT_MAX)].join(", ");
        text += &format!("  {} {names}{more}", lang.pick("certificate of", "证书属于"));
    }
    match look.matches {
        Some(true) => text += lang.pick(" (matches)", "（相符）"),
        Some(false) => text += lang.pick(" (does not match)", "（不符）"),
        None => {}
    }
    if let Some(banner) = look.banner {
        text += &format!("  {banner}");
    }
    text
}

/// Milliseconds, as exact as is of use.
fn round_trip(rtt: Duration) -> String {
    let ms = rtt.as_secs_f64() * 1e3;
    if ms < 10.0 { format!("{ms:.2}") } else { format!("{ms:.0}") }
}

/// Columns of the widest address, from both ends of every range.
fn host_width(plan: &Plan) -> usize {
    let width = |host: IpAddr| host.to_string().len();
    plan.hosts.spans().iter().map(|span| width(span.ends().0).max(width(span.ends().1))).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::summary;
    use super::super::results::samples;
    use super::*;
    use netwhy_scan::{Hosts, Ports, Reason};

    fn page(lang: Lang, targets: &[&str], all: bool, findings: &[Finding]) -> String {
        let plan =
            Plan::new(Hosts::parse(targets, &[]).unwrap(), Ports::parse("1-1000", Protocol::Tcp).unwrap());
        let names = BTreeMap::from([([10, 0, 0, 2].into(), "shop.example".to_owned())]);
        let style = Style { lang, color: false, all, look: false };
        let mut out = Vec::new();
        let mut page = Page::new(&mut out, &plan, names, style, "HEAD").unwrap();
        findings.iter().for_each(|finding| page.found(finding).unwrap());
        page.revised(&samples::finding(22, State::Intercepted, Reason::Tarpit)).unwrap();
        page.end(&summary(), None).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pages_for_people() {
        let findings = samples::findings();
        insta::assert_snapshot!("page_en", page(Lang::En, &["10.0.0.2"], false, &findings));
        insta::assert_snapshot!("page_zh", page(Lang::Zh, &["10.0.0.2"], false, &findings));
        insta::assert_snapshot!("page_all", page(Lang::En, &["10.0.0.0/24"], true, &findings));
        insta::assert_snapshot!("page_nothing", page(Lang::En, &["10.0.0.2"], false, &[]));
    }

    #[test]
    fn what_a_server_says_cannot_move_a_cursor() {
        assert!(!page(Lang::En, &["10.0.0.2"], true, &samples::findings()).contains('\u{1b}'));
    }
}
