//! `netwhy TARGET --flows PATH`: what the records know of this way and its ends, as evidence beside the probes.

use super::detect::Finder;
use super::inputs::{self, Fed, How};
use super::times::{ALWAYS, clock, shown};
use crate::commands::policy::join::{address, own_address};
use crate::commands::scan::words::thousands;
use crate::failure::while_trying;
use crate::{Common, warn};
use anyhow::Result;
use netwhy_flows::detect::{Alert, Way as Side};
use netwhy_flows::source::Batch;
use netwhy_flows::way::{Fate, Seen, Silence, Tally, Watch, Way};
use netwhy_flows::{Address, Names};
use netwhy_model::{Evidence, Lang, Link, SavedCase, Scheme, Vantage};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// The collector of what is told here.
const COLLECTOR: &str = "flows.way";
/// How sure an alert must be to speak for a cause.
const CONFIDENCE_MIN: f64 = 0.8;
/// A block that comes later after the attack than this is none of its consequences, in milliseconds.
const BLOCK_AFTER_MS_MAX: i64 = 24 * 3_600 * 1_000;

/// Refuses what is not there before anything is asked.
pub(crate) fn check(paths: &[PathBuf]) -> Result<()> {
    // Whether there is a lake shows when it is opened.
    let is_file = |path: &&PathBuf| !path.to_string_lossy().contains("://");
    for path in paths.iter().filter(is_file) {
        let name = path.display();
        std::fs::metadata(path)
            .map_err(|error| while_trying((format!("reading {name}"), format!("读取 {name}")), error))?;
    }
    Ok(())
}

/// Adds to a case what the records say; nothing when its address is not known.
pub(crate) fn add(paths: &[PathBuf], saved: &mut SavedCase, common: &Common) -> Result<()> {
    if paths.is_empty() {
        return Ok(());
    }
    let Some(to) = address(saved) else {
        warn(common.lang.pick(
            "the target has no address that could be looked for in the records",
            "目标没有可在记录中查找的地址",
        ));
        return Ok(());
    };
    let from = saved.case.source.address.or_else(|| own_address(to));
    let way = way(saved, from, to);
    // A lake waits on a runtime of its own, which it may not within the one that runs this.
    let known = std::thread::scope(|scope| scope.spawn(|| read(paths, way, common)).join());
    let known = known.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    known.fed.tell(common.lang);
    let target = &saved.case.target;
    let subject = SocketAddr::new(to, if target.scheme == Scheme::Dns { 0 } else { target.port }).to_string();
    let ends = Ends { from: from.map(|from| from.to_string()), to: to.to_string() };
    for mut one in known.evidence(&ends, saved) {
        one.id = format!("E{}", saved.evidence.len() + 1);
        let subject = one.subject.take().unwrap_or_else(|| subject.clone());
        saved.evidence.push(one.from(Vantage::Config).about(subject));
    }
    Ok(())
}

fn way(saved: &SavedCase, from: Option<IpAddr>, to: IpAddr) -> Way {
    let target = &saved.case.target;
    Way {
        from: from.into_iter().map(Address::from).collect(),
        to: to.into(),
        port: (target.scheme != Scheme::Dns).then_some(target.port),
        protocol: if target.scheme == Scheme::Udp { 17 } else { 6 },
    }
}

/// Both ends' addresses, as alerts write them.
struct Ends {
    from: Option<String>,
    to: String,
}

/// What one pass over the records gave.
struct Known {
    seen: Seen,
    alerts: Vec<Alert>,
    names: Arc<Names>,
    port: Option<u16>,
    fed: Fed,
}

fn read(paths: &[PathBuf], way: Way, common: &Common) -> Result<Known> {
    let names = Arc::new(Names::default());
    let port = way.port;
    let ours = way.from.iter().copied().chain([way.to]).collect();
    let mut finder = Finder::new(&names, ours);
    let mut watch = Watch::new(way);
    let source = How::default().source(&names);
    let fed = inputs::read(paths, &source, &ALWAYS, common, &mut |batch| {
        if let Batch::Flows(flows) = &batch {
            flows.iter().for_each(|flow| watch.flow(flow));
        }
        finder.take(&batch);
    })?;
    Ok(Known { seen: watch.finish(), alerts: finder.report().alerts, names, port, fed })
}

impl Known {
    fn evidence(&self, ends: &Ends, saved: &SavedCase) -> Vec<Evidence> {
        let mut all = vec![self.path(saved)];
        let mine = |alert: &&Alert, side: Side| {
            alert.direction == side && alert.confidence >= CONFIDENCE_MIN && is_about(alert, ends)
        };
        let outbound: Vec<&Alert> = self.alerts.iter().filter(|alert| mine(alert, Side::Out)).collect();
        let attack = outbound.iter().find_map(|alert| Some((*alert, outbound_kind(&alert.id)?)));
        all.push(match attack {
            Some((alert, kind)) => said("flows.attack", kind, Link::SourceHost, alert.why.clone(), saved)
                .about(alert.entity.clone()),
            None => {
                said("flows.attack", "none", Link::SourceHost, self.nothing("attack of these ends"), saved)
            }
        });
        all.extend(self.block(&outbound, ends, saved));
        let inbound = self.alerts.iter().filter(|alert| mine(alert, Side::In));
        let worst = inbound
            .filter_map(|alert| Some((alert, inbound_kind(&alert.id)?)))
            .max_by_key(|(_, kind)| is_grave(kind));
        all.push(match worst {
            Some((alert, kind)) => said("flows.inbound", kind, Link::OriginHost, alert.why.clone(), saved),
            None => {
                said("flows.inbound", "none", Link::OriginHost, self.nothing("attack on the target"), saved)
            }
        });
        all
    }

    fn nothing(&self, what: &str) -> String {
        format!("no {what} in {} records", thousands(self.fed.count.read))
    }

    /// The fate of the way itself; the newest word is the probe's own.
    fn path(&self, saved: &SavedCase) -> Evidence {
        let seen = &self.seen;
        let value = match seen.fate {
            Fate::None => "none",
            Fate::Accepted => "accepted",
            Fate::Unanswered => "unanswered",
            Fate::RejectedIn => "rejected_in",
            Fate::RejectedOut => "rejected_out",
            Fate::RejectedBack => "rejected_back",
            Fate::Unknown => "",
        };
        let excerpt = self.told();
        let opens = saved.evidence.iter().any(|one| one.fact == "tcp.connect" && one.value == "open");
        if value.is_empty() || (opens && value.starts_with("rejected")) {
            let why =
                if value.is_empty() { excerpt } else { format!("{excerpt}; the handshake works by now") };
            return Evidence::unread("flows.path", Link::Path, saved.started, COLLECTOR, why);
        }
        said("flows.path", value, Link::Path, excerpt, saved)
    }

    /// "REJECT at eni-1 (sg-2), 312 times since 09:14", and what was let through beside.
    fn told(&self) -> String {
        let seen = &self.seen;
        let who = if seen.is_own { "" } else { " of other askers" };
        let word = |symbol| netwhy_report::clean(&self.names.word(symbol));
        let place = match (word(seen.interface), word(seen.rule)) {
            (interface, rule) if interface.is_empty() && rule.is_empty() => String::new(),
            (interface, rule) if rule.is_empty() => format!(" at {interface}"),
            (interface, rule) if interface.is_empty() => format!(" by {rule}"),
            (interface, rule) => format!(" at {interface} by {rule}"),
        };
        let what = if seen.fate == Fate::RejectedBack { "REJECT of the answer" } else { "REJECT" };
        let mut parts = Vec::new();
        if seen.rejected.records > 0 {
            parts.push(format!("{what}{place}, {}{who}", times(&seen.rejected)));
        }
        if seen.accepted.records > 0 {
            let back = if seen.answered.records > 0 {
                format!("answered until {}", clock(seen.answered.last_ms))
            } else {
                "no answer recorded".to_owned()
            };
            parts.push(format!("ACCEPT {}{who}, {back}", times(&seen.accepted)));
        }
        if parts.is_empty() {
            return self.nothing("record of this way");
        }
        let first = if seen.rejected.records > 0 { seen.rejected } else { seen.accepted };
        format!("{} ({}@{})", parts.join("; "), word(first.file), first.offset)
    }

    /// From when on a whole port is silent, and which attack came before.
    fn block(&self, outbound: &[&Alert], ends: &Ends, saved: &SavedCase) -> Option<Evidence> {
        let port = self.port?;
        let silence = self.seen.silence;
        let before = |alert: &&&Alert| {
            let since = silence.map_or(0, |silence| silence.since_ms) - alert.start * 1_000;
            let own = ends.from.as_ref().is_some_and(|from| *from == alert.entity);
            own && (0..BLOCK_AFTER_MS_MAX).contains(&since)
        };
        let attack = outbound.iter().filter(before).max_by_key(|alert| (alert.port == port, alert.records));
        let Some(silence) = silence else {
            let excerpt = format!("no moment since which nobody answers on port {port}");
            return Some(said("flows.block", "none", Link::Path, excerpt, saved));
        };
        let (value, excerpt) = match attack {
            Some(alert) => ("after_attack", blocked(&silence, port, Some(alert))),
            None => ("alone", blocked(&silence, port, None)),
        };
        Some(said("flows.block", value, Link::Path, excerpt, saved))
    }
}

/// "nobody answers on port 22 since 10:04, 4 minutes after 9,200 outbound SYNs to it began".
fn blocked(silence: &Silence, port: u16, attack: Option<&Alert>) -> String {
    let (after, targets) = (thousands(silence.after), thousands(silence.targets as u64));
    let since = shown(silence.since_ms);
    let unanswered = format!("{after} requests to {targets} or more hosts since then without an answer");
    match attack {
        Some(alert) => format!(
            "the block of port {port} began at {since} UTC, {} minutes after the attack did, with {} outbound SYNs to \
             port {port}; {unanswered}",
            (silence.since_ms / 1_000 - alert.start + 30) / 60,
            thousands(silence.before),
        ),
        None => format!("nobody answers on port {port} since {since} UTC; {unanswered}"),
    }
}

fn times(tally: &Tally) -> String {
    let count = thousands(tally.records);
    let times = if tally.records == 1 { "once" } else { "times" };
    let count = if tally.records == 1 { times.to_owned() } else { format!("{count} {times}") };
    format!("{count} since {} until {} UTC", shown(tally.first_ms), clock(tally.last_ms))
}

fn said(fact: &str, value: &str, link: Link, excerpt: String, saved: &SavedCase) -> Evidence {
    Evidence::seen(fact, value, link, saved.started, COLLECTOR, excerpt)
}

/// Whether an alert is about one of both ends: as who attacks, or as who is attacked.
fn is_about(alert: &Alert, ends: &Ends) -> bool {
    match alert.direction {
        Side::Out => alert.entity == ends.to || ends.from.as_ref().is_some_and(|from| *from == alert.entity),
        Side::In => alert.entity == ends.to || alert.victims.contains(&ends.to),
    }
}

/// The value of `flows.attack` for an alert's cause.
fn outbound_kind(id: &str) -> Option<&'static str> {
    Some(match id.strip_prefix("attack.outbound.")? {
        "ssh_bruteforce" => "ssh",
        "syn_flood" => "syn_flood",
        "udp_flood" => "udp_flood",
        "beacon" => "beacon",
        _ => "scan",
    })
}

/// The value of `flows.inbound` for an alert's cause.
fn inbound_kind(id: &str) -> Option<&'static str> {
    Some(match id.strip_prefix("attack.inbound.")? {
        "syn_flood" => "syn_flood",
        "cc" => "requests",
        "slowloris" => "slow",
        "port_scan" | "web_scan" => "scan",
        "break_in" => "logins",
        kind if kind.ends_with("bruteforce") => "logins",
        _ => return None,
    })
}

/// What explains a way that fails outweighs what every public host sees.
fn is_grave(kind: &str) -> bool {
    !matches!(kind, "logins" | "scan")
}

/// Tells of an attack that is no reason for a way that works.
pub(crate) fn tell_attack(saved: &SavedCase, lang: Lang) {
    let attack =
        saved.evidence.iter().find(|one| one.fact == "flows.attack" && one.speaks() && one.value != "none");
    let Some(attack) = attack else { return };
    let who = attack.subject.as_deref().unwrap_or_default();
    warn(&netwhy_report::clean(&match lang {
        Lang::En => format!("{who} attacks others, by these records: netwhy flows detect tells more"),
        Lang::Zh => format!("据这些记录，{who} 正在攻击他人：详见 netwhy flows detect"),
    }));
}
