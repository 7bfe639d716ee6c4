//! A snapshot as the rules ask it.

use netwhy_model::Stamp;
use netwhy_model::host::{Listener, LogSign, Process, Reading, Snapshot, State, Transport};
use std::collections::BTreeMap;

/// What a log says counts as now for so long, in milliseconds.
pub(super) const FRESH_MS: u64 = 120_000;

/// A snapshot with its readings by name.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    readings: BTreeMap<&'a str, &'a Reading>,
}

impl<'a> View<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> View<'a> {
        let mut readings = BTreeMap::new();
        for reading in snapshot.sections.iter().flat_map(|section| &section.readings) {
            // Of several with one name (name servers) the first counts.
            readings.entry(reading.name.as_str()).or_insert(reading);
        }
        View { snapshot, readings }
    }

    pub(super) fn reading(&self, name: &str) -> Option<&'a Reading> {
        self.readings.get(name).copied()
    }

    /// The readings of a section.
    pub(super) fn section(&self, id: &str) -> impl Iterator<Item = &'a Reading> + use<'a> {
        let id = id.to_owned();
        self.snapshot
            .sections
            .iter()
            .filter(move |section| section.id == id)
            .flat_map(|section| &section.readings)
    }

    /// The value of a reading as a number; 0 when it is absent.
    pub(super) fn value(&self, name: &str) -> u64 {
        self.reading(name).map_or(0, value)
    }

    /// Whether a setting has this value.
    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.reading(name).is_some_and(|reading| reading.value == value)
    }

    /// How much a counter rose in the window; 0 without one.
    pub(super) fn rose(&self, name: &str) -> u64 {
        self.reading(name).map_or(0, rose)
    }

    /// A counter's rise per second; 0 without a window.
    pub(super) fn rate(&self, name: &str) -> u64 {
        match self.snapshot.window_ms {
            0 => 0,
            window => self.rose(name).saturating_mul(1_000) / window,
        }
    }

    /// `ListenOverflows +3 in 2000 ms (now 17), /proc/net/netstat`.
    pub(super) fn proof(&self, name: &str) -> Vec<String> {
        self.reading(name).map(|reading| self.line(reading)).into_iter().collect()
    }

    /// A reading as a line of proof.
    pub(super) fn line(&self, reading: &Reading) -> String {
        let Reading { name, value, unit, from, .. } = reading;
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        let limit = reading.limit.as_ref().map(|limit| format!(" of {limit}")).unwrap_or_default();
        match reading.delta {
            Some(delta) if delta > 0 => {
                format!("{name} +{delta} in {} ms (now {value}{unit}), {from}", self.snapshot.window_ms)
            }
            _ => format!("{name} {value}{limit}{unit}, {from}"),
        }
    }

    /// Listening TCP sockets.
    pub(super) fn tcp(&self) -> impl Iterator<Item = &'a Listener> + use<'a> {
        self.snapshot.listeners.iter().filter(|listener| listener.transport == Transport::Tcp)
    }

    pub(super) fn process(&self, pid: u32) -> Option<&'a Process> {
        self.snapshot.processes.iter().find(|process| process.pid == pid)
    }

    /// The first known process of a listener.
    pub(super) fn holder(&self, listener: &Listener) -> Option<&'a Process> {
        listener.pids.iter().find_map(|pid| self.process(*pid))
    }

    /// `port 80 (nginx 812)`.
    pub(super) fn label(&self, listener: &Listener) -> String {
        match self.holder(listener) {
            Some(process) => format!("port {} ({} {})", listener.address.port(), process.name, process.pid),
            None => format!("port {}", listener.address.port()),
        }
    }

    /// Signs of a kind that count as now.
    pub(super) fn fresh(&self, sign: &str) -> impl Iterator<Item = &'a LogSign> + use<'a> {
        let sign = sign.to_owned();
        let now = self.snapshot.at;
        self.snapshot.signs.iter().filter(move |own| own.sign == sign && is_fresh(own.at, now))
    }
}

/// The value as a number; 0 when it is none.
pub(super) fn value(reading: &Reading) -> u64 {
    reading.value.parse().unwrap_or(0)
}

/// The limit as a number; 0 when there is none.
pub(super) fn limit(reading: &Reading) -> u64 {
    reading.limit.as_ref().and_then(|limit| limit.parse().ok()).unwrap_or(0)
}

pub(super) fn rose(reading: &Reading) -> u64 {
    reading.delta.and_then(|delta| u64::try_from(delta).ok()).unwrap_or(0)
}

pub(super) fn is_bad(reading: &Reading) -> bool {
    reading.state == State::Bad
}

pub(super) fn is_fresh(at: Stamp, now: Stamp) -> bool {
    at.millis() != 0 && now.millis().saturating_sub(at.millis()) <= FRESH_MS
}

/// `12 s`, `3 min`, `2 h`.
pub(super) fn ago(at: Stamp, now: Stamp) -> (String, String) {
    let seconds = now.millis().saturating_sub(at.millis()) / 1_000;
    match seconds {
        0..120 => (format!("{seconds} s ago"), format!("{seconds} 秒前")),
        120..7_200 => (format!("{} min ago", seconds / 60), format!("{} 分钟前", seconds / 60)),
        _ => (format!("{} h ago", seconds / 3_600), format!("{} 小时前", seconds / 3_600)),
    }
}

/// A log line as proof.
pub(super) fn sign_line(sign: &LogSign) -> String {
    let times = if sign.count > 1 { format!(" ({} times)", sign.count) } else { String::new() };
    format!("{}{times}, {}", sign.line, sign.from)
}
