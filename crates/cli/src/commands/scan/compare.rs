//! `--expect` and `--diff`: what was found against what ought to be, or what an earlier scan found.

use super::results::Results;
use super::words::{protocol_code, state, state_code, state_of};
use crate::fail;
use crate::failure::while_trying;
use anyhow::Result;
use netwhy_model::Lang;
use netwhy_scan::{Hosts, Plan, Ports, Protocol, Reason, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::Path;

/// Longest earlier scan read, in bytes.
const OLD_LENGTH_MAX: u64 = 1 << 30;
/// Differences kept; more are counted by nobody who reads them.
const DIFFERENCE_COUNT_MAX: usize = 100_000;

/// What is not told of by name was one of these.
const QUIET: &str = "closed or filtered";

/// One port that is not as it ought to be, or as it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Difference {
    host: IpAddr,
    port: u16,
    protocol: &'static str,
    /// `open`, or `not open`; with `--diff` the earlier state.
    expected: &'static str,
    /// The state found.
    found: &'static str,
    #[serde(skip)]
    kind: Kind,
    #[serde(skip)]
    now: Option<(State, Reason)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Expected,
    Unexpected,
    Was(Option<State>),
}

/// What the results are held against.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    open: Option<Vec<u16>>,
    old: Option<Old>,
}

/// An earlier scan.
#[derive(Debug, Default)]
struct Old {
    states: BTreeMap<(IpAddr, u16), State>,
    /// What it asked; without its summary, all counts as asked.
    asked: Option<(Hosts, Ports)>,
}

impl Wanted {
    /// Reads `--expect` texts and the file of `--diff`.
    pub(super) fn read(expect: &[String], diff: Option<&Path>, protocol: Protocol) -> Result<Self> {
        let mut open = None;
        for text in expect {
            open.get_or_insert_with(Vec::new).extend(expected_open(text, protocol)?);
        }
        let old = diff.map(|path| Old::read(path, protocol)).transpose()?;
        Ok(Self { open, old })
    }

    /// Whether there is anything to compare with.
    pub(super) fn is_some(&self) -> bool {
        self.open.is_some() || self.old.is_some()
    }

    /// The ports that ought to be open.
    pub(super) fn open(&self) -> &[u16] {
        self.open.as_deref().unwrap_or_default()
    }

    /// Refuses an expectation about a port that will not be asked.
    pub(super) fn check(&self, ports: &Ports) -> Result<()> {
        match self.open().iter().find(|&&port| !ports.contains(port)) {
            Some(port) => Err(fail(
                (
                    format!("port {port} ought to be open but is not asked"),
                    format!("期望端口 {port} 开放，但没有询问它"),
                ),
                (format!("add it to --ports: …,{port}"), format!("把它加入 --ports：…,{port}")),
            )),
            None => Ok(()),
        }
    }

    /// All differences; `results` are finished.
    pub(super) fn differences(&self, plan: &Plan, results: &Results, is_complete: bool) -> Vec<Difference> {
        let mut all = Vec::new();
        if self.open.is_some() {
            self.against_expected(plan, results, &mut all);
        }
        if let Some(old) = &self.old {
            old.against(plan, results, &mut all);
        }
        all.truncate(DIFFERENCE_COUNT_MAX);
        // A resumed scan tells no more of what its first part found closed or silent.
        if is_complete && plan.resume.is_some() {
            all.iter_mut().filter(|one| one.now.is_none()).for_each(|one| one.found = QUIET);
        }
        all
    }

    fn against_expected(&self, plan: &Plan, results: &Results, all: &mut Vec<Difference>) {
        let mut wanted = self.open().to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        for host in plan.hosts.iter() {
            for port in wanted.iter().copied().filter(|&port| asks(plan, host, port)) {
                let now = results.of(host, port);
                if now.map(|(state, _)| state) != Some(State::Open) {
                    all.push(difference(plan.protocol, host, port, Kind::Expected, now));
                }
                if all.len() >= DIFFERENCE_COUNT_MAX {
                    return;
                }
            }
        }
        for open in results.open().filter(|open| wanted.binary_search(&open.port).is_err()) {
            let now = Some((open.state, open.reason));
            all.push(difference(plan.protocol, open.host, open.port, Kind::Unexpected, now));
        }
    }
}

/// Whether this part of the scan asks the pair.
fn asks(plan: &Plan, host: IpAddr, port: u16) -> bool {
    let pair = plan.hosts.index_of(host).zip(plan.ports.index_of(port));
    pair.is_some_and(|(host, port)| plan.order().index_of(host, port).is_some())
}

fn difference(
    protocol: Protocol,
    host: IpAddr,
    port: u16,
    kind: Kind,
    now: Option<(State, Reason)>,
) -> Difference {
    let expected = match kind {
        Kind::Expected => "open",
        Kind::Unexpected => "not open",
        Kind::Was(was) => was.map_or(QUIET, state_code),
    };
    let found = now.map_or("unknown", |(state, _)| state_code(state));
    Difference { host, port, protocol: protocol_code(protocol), expected, found, kind, now }
}

impl Difference {
    /// The difference in one line: `-` for what is missing, `+` for what is too much, `~` for what changed.
    pub(super) fn line(&self, lang: Lang) -> String {
        let place = match self.host {
            IpAddr::V4(host) => format!("{host}:{}/{}", self.port, self.protocol),
            IpAddr::V6(host) => format!("[{host}]:{}/{}", self.port, self.protocol),
        };
        let now = match self.now {
            Some((now, reason)) => {
                format!("{} ({})", state(now, lang), super::words::reason(reason, lang))
            }
            None if self.found == QUIET => lang.pick("closed or silent", "关闭或无应答").to_owned(),
            None => state(State::Unknown, lang).to_owned(),
        };
        let is_open = self.found == state_code(State::Open);
        let was = match self.kind {
            Kind::Was(Some(was)) => state(was, lang),
            _ => lang.pick("closed or silent", "关闭或无应答"),
        };
        match (self.kind, lang) {
            (Kind::Expected, Lang::En) => format!("- {place}: ought to be open, is {now}"),
            (Kind::Expected, Lang::Zh) => format!("- {place}：应当开放，实为{now}"),
            (Kind::Unexpected, Lang::En) => format!("+ {place}: is open, ought not to be"),
            (Kind::Unexpected, Lang::Zh) => format!("+ {place}：已开放，但不应开放"),
            (Kind::Was(_), _) => {
                let mark = match (self.expected == "open", is_open) {
                    (true, _) => "-",
                    (_, true) => "+",
                    _ => "~",
                };
                match lang {
                    Lang::En => format!("{mark} {place}: was {was}, is {now}"),
                    Lang::Zh => format!("{mark} {place}：先前{was}，现在{now}"),
                }
            }
        }
    }
}

/// Reads `open=80,443`, or `open=none`.
fn expected_open(text: &str, protocol: Protocol) -> Result<Vec<u16>> {
    let Some(list) = text.trim().strip_prefix("open=") else {
        return Err(fail(
            (format!("unknown expectation {text:?}"), format!("未知的期望 {text:?}")),
            ("write open=80,443, or open=none", "写作 open=80,443，或 open=none"),
        ));
    };
    if list.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    Ok(Ports::parse(list, protocol)?.iter().collect())
}

/// A line of an earlier scan: a port, or the summary.
#[derive(Deserialize)]
#[serde(untagged)]
enum OldLine {
    Port { host: IpAddr, port: u16, protocol: String, state: String },
    Last { summary: OldSummary },
}

#[derive(Deserialize)]
struct OldSummary {
    asked: Option<OldAsked>,
}

#[derive(Deserialize)]
struct OldAsked {
    hosts: Vec<String>,
    ports: String,
}

impl Old {
    fn read(path: &Path, protocol: Protocol) -> Result<Self> {
        let shown = path.display().to_string();
        let tried = || (format!("cannot read --diff {shown:?}"), format!("无法读取 --diff {shown:?}"));
        let file = File::open(path).map_err(|error| while_trying(tried(), error))?;
        let mut old = Self::default();
        for (number, line) in BufReader::new(file.take(OLD_LENGTH_MAX)).lines().enumerate() {
            let line = line.map_err(|error| while_trying(tried(), error))?;
            if !line.trim().is_empty() {
                old.take(&line, protocol).ok_or_else(|| not_a_line(&shown, number + 1))?;
            }
        }
        Ok(old)
    }

    /// Takes one line; `None` where it is none of a scan.
    fn take(&mut self, line: &str, protocol: Protocol) -> Option<()> {
        match serde_json::from_str::<OldLine>(line).ok()? {
            OldLine::Port { host, port, protocol: of, state } => {
                let state = state_of(&state)?;
                if of == protocol_code(protocol) {
                    self.states.insert((host, port), state);
                }
            }
            OldLine::Last { summary } => {
                let read = |asked: OldAsked| {
                    let hosts: Vec<&str> = asked.hosts.iter().map(String::as_str).collect();
                    Some((Hosts::parse(&hosts, &[]).ok()?, Ports::parse(&asked.ports, protocol).ok()?))
                };
                self.asked = summary.asked.and_then(read);
            }
        }
        Some(())
    }

    /// Compares what both asked. A state that was not written down was closed or filtered, which count as one here:
    /// unless all was written, nobody knows which.
    fn against(&self, plan: &Plan, results: &Results, all: &mut Vec<Difference>) {
        let quiet = |state: Option<State>| matches!(state, None | Some(State::Closed | State::Filtered));
        for (&(host, port), &was) in self.states.iter().filter(|((host, port), _)| asks(plan, *host, *port)) {
            let now = results.of(host, port);
            let state = now.map(|(state, _)| state);
            let unknown = now.is_none() && !quiet(Some(was));
            if unknown || (state != Some(was) && !(quiet(state) && quiet(Some(was)))) {
                all.push(difference(plan.protocol, host, port, Kind::Was(Some(was)), now));
            }
        }
        let was_asked = |host: IpAddr, port: u16| match &self.asked {
            Some((hosts, ports)) => hosts.contains(host) && ports.contains(port),
            None => true,
        };
        for (&host, found) in results.iter() {
            let open = found.open.values().map(|open| (open.port, open.state, open.reason));
            let other = found
                .groups
                .iter()
                .filter(|group| !quiet(Some(group.state)) && group.state != State::Unknown);
            let other =
                other.flat_map(|group| group.ports.iter().map(|&port| (port, group.state, group.reason)));
            for (port, state, reason) in open.chain(other) {
                if !self.states.contains_key(&(host, port)) && was_asked(host, port) {
                    all.push(difference(plan.protocol, host, port, Kind::Was(None), Some((state, reason))));
                }
            }
        }
    }
}

fn not_a_line(file: &str, number: usize) -> anyhow::Error {
    fail(
        (
            format!("--diff {file:?}: line {number} is none of a scan"),
            format!("--diff {file:?}：第 {number} 行不是扫描结果"),
        ),
        (
            "give what netwhy scan --json or --jsonl has written",
            "请给出 netwhy scan --json 或 --jsonl 写出的文件",
        ),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::results::samples;
    use super::*;
    use netwhy_scan::{Notice, Summary};

    pub(in super::super) fn summary() -> Summary {
        Summary {
            protocol: Protocol::Tcp,
            engine: "raw".into(),
            hosts: 1,
            ports: 1000,
            open: 2,
            closed: 993,
            filtered: 2,
            rejected: 2,
            intercepted: 1,
            unknown: 0,
            packets_sent: 2042,
            packets_received: 1003,
            passes: 2,
            loss: Some(0.021),
            expected_missed: 0.0004,
            rtt_ms: Some(0.204),
            elapsed_ms: 412,
            complete: true,
            notices: vec![Notice::Loss { percent: 2.1 }],
        }
    }

    fn results() -> Results {
        let mut results = Results::default();
        samples::findings().iter().for_each(|finding| results.found(finding));
        results.finish();
        results
    }

    fn plan() -> Plan {
        let hosts = Hosts::parse(&["10.0.0.2"], &[]).unwrap();
        Plan::new(hosts, Ports::parse("1-100,443,8443", Protocol::Tcp).unwrap())
    }

    fn told(wanted: &Wanted, lang: Lang) -> Vec<String> {
        wanted.differences(&plan(), &results(), true).iter().map(|one| one.line(lang)).collect()
    }

    fn expecting(text: &str) -> Wanted {
        Wanted::read(&[text.to_owned()], None, Protocol::Tcp).unwrap()
    }

    #[test]
    fn what_ought_to_be_open_and_is_not() {
        assert!(told(&expecting("open=22,https"), Lang::En).is_empty());
        let differ = expecting("open=25,81,90,443,8443,7");
        assert_eq!(
            told(&differ, Lang::En),
            [
                "- 10.0.0.2:7/tcp: ought to be open, is unknown",
                "- 10.0.0.2:25/tcp: ought to be open, is rejected (administratively prohibited, by 10.0.0.1)",
                "- 10.0.0.2:81/tcp: ought to be open, is closed (RST)",
                "- 10.0.0.2:90/tcp: ought to be open, is silent (no answer)",
                "- 10.0.0.2:8443/tcp: ought to be open, is intercepted (RST after the handshake: a proxy spoke for it)",
                "+ 10.0.0.2:22/tcp: is open, ought not to be",
            ]
        );
        assert_eq!(told(&expecting("open=none"), Lang::Zh)[0], "+ 10.0.0.2:22/tcp：已开放，但不应开放");
        assert!(expecting("open=9000").check(&plan().ports).is_err());
        assert!(Wanted::read(&["closed=1".into()], None, Protocol::Tcp).is_err());
    }

    #[test]
    fn what_changed_since_an_earlier_scan() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.jsonl");
        let row = |port: u16, state: &str| {
            format!(
                "{{\"host\":\"10.0.0.2\",\"port\":{port},\"protocol\":\"tcp\",\"state\":\"{state}\",\
                 \"reason\":\"x\",\"ttl\":null,\"rtt_ms\":null}}\n"
            )
        };
        let asked = "{\"summary\":{\"asked\":{\"hosts\":[\"10.0.0.2\"],\"ports\":\"1-100\"}}}\n";
        let old = row(22, "open") + &row(81, "open") + &row(90, "closed") + &row(5000, "open") + asked;
        std::fs::write(&path, old).unwrap();
        let wanted = Wanted::read(&[], Some(&path), Protocol::Tcp).unwrap();
        assert_eq!(
            told(&wanted, Lang::En),
            [
                "- 10.0.0.2:81/tcp: was open, is closed (RST)",
                "~ 10.0.0.2:25/tcp: was closed or silent, is rejected (administratively prohibited, by 10.0.0.1)",
                "~ 10.0.0.2:26/tcp: was closed or silent, is rejected (administratively prohibited, by 10.0.0.1)",
            ]
        );
        std::fs::write(&path, "no json\n").unwrap();
        let error = Wanted::read(&[], Some(&path), Protocol::Tcp).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
