//! One `server` line with what `default-server` and the proxy around it say.

use super::{Fault, Settings};
use crate::balancer::nginx::seconds;
use crate::balancer::{Check, Health, Member, address_port};
use crate::place::Place;

/// What haproxy waits between two checks when nobody says.
const INTERVAL_S: f64 = 2.0;

pub struct Server {
    member: Member,
    pub health: Health,
    pub tls: bool,
}

impl Server {
    /// As a member of a pool; with its own check where that is not the pool's.
    pub fn member(&self, pool: &Health) -> Member {
        let same = Health { place: pool.place.clone(), ..self.health.clone() } == *pool;
        Member { health: (!same).then(|| self.health.clone()), ..self.member.clone() }
    }
}

/// What the words of a line and of `default-server` say together; the later word counts.
struct Words {
    check: bool,
    port: Option<u16>,
    other_address: bool,
    tls: bool,
    check_tls: Option<bool>,
    interval_s: Option<f64>,
    fast_interval_s: Option<f64>,
    rise: Option<u32>,
    fall: Option<u32>,
    weight: u32,
    backup: bool,
    disabled: bool,
    passive: bool,
    tracks: bool,
}

/// Reads a server; beside it what of its line was wrong.
pub fn server(
    address: &str,
    parameters: &[&str],
    settings: &Settings,
    place: &Place,
) -> (Server, Option<Fault>) {
    let mut words = Words {
        check: false,
        port: None,
        other_address: false,
        tls: false,
        check_tls: None,
        interval_s: None,
        fast_interval_s: None,
        rise: None,
        fall: None,
        weight: 1,
        backup: false,
        disabled: false,
        passive: false,
        tracks: false,
    };
    let defaults: Vec<&str> = settings.server.iter().map(String::as_str).collect();
    let fault = words.read(&defaults).err();
    let fault = words.read(parameters).err().or(fault);
    let (host, port) = address_port(address);
    let path = address.starts_with('/') || address.starts_with("unix@");
    let member = Member {
        address: if path { address.to_owned() } else { host.unwrap_or_default() },
        port: if path { None } else { port },
        weight: words.weight,
        backup: words.backup,
        down: words.disabled.then(|| "disabled".to_owned()),
        health: None,
        place: place.clone(),
    };
    (Server { member, health: words.health(settings, place), tls: words.tls }, fault)
}

impl Words {
    fn read(&mut self, words: &[&str]) -> Result<(), Fault> {
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            match word {
                "check" => self.check = true,
                "no-check" => self.check = false,
                "ssl" => self.tls = true,
                "no-ssl" => self.tls = false,
                "check-ssl" => self.check_tls = Some(true),
                "no-check-ssl" => self.check_tls = Some(false),
                "backup" => self.backup = true,
                "no-backup" => self.backup = false,
                "disabled" => self.disabled = true,
                "enabled" => self.disabled = false,
                "port" => self.port = Some(number(words.next())?),
                "addr" => self.other_address = words.next().is_some(),
                "inter" => self.interval_s = Some(span(words.next())?),
                "fastinter" => self.fast_interval_s = Some(span(words.next())?),
                "rise" => self.rise = Some(number(words.next())?),
                "fall" => self.fall = Some(number(words.next())?),
                "weight" => self.weight = number(words.next())?,
                "observe" => self.passive = words.next().is_some(),
                "track" => self.tracks = words.next().is_some(),
                _ => {}
            }
        }
        Ok(())
    }

    fn health(&self, settings: &Settings, place: &Place) -> Health {
        let asked = settings.check.unwrap_or(Check::Tcp);
        // Traffic's encryption is taken over unless the check goes elsewhere.
        let elsewhere = self.port.is_some() || self.other_address;
        let tls = settings.tls || self.check_tls.unwrap_or(self.tls && !elsewhere);
        let check = match (self.check, self.tracks, asked, tls) {
            (_, true, ..) => Check::Other,
            (false, ..) if self.passive => Check::Passive,
            (false, ..) => Check::None,
            (true, _, Check::Http, true) => Check::Https,
            (true, _, Check::Tcp, true) => Check::Tls,
            (true, _, asked, _) => asked,
        };
        let http = check.speaks_http();
        let mut health = Health::new(check, place);
        health.path = settings.path.clone().filter(|_| http);
        health.host = settings.host.clone().filter(|_| http);
        health.version = settings.version.clone().filter(|_| http);
        health.port = self.port.or(settings.port);
        health.interval_s = Some(self.interval_s.unwrap_or(INTERVAL_S));
        health.fast_interval_s = self.fast_interval_s;
        health.timeout_s = settings.timeout_s;
        health.timeout_written = settings.timeout_s.is_some();
        health.rise = Some(self.rise.unwrap_or(2));
        health.fall = Some(self.fall.unwrap_or(3));
        health.defaults = self.interval_s.is_none() && self.rise.is_none() && self.fall.is_none();
        health.expected = match settings.expected.as_slice() {
            // Any rule of one's own takes the place of the default.
            [] if http && settings.unmodelled.is_empty() => vec![(200, 399)],
            expected => expected.to_vec(),
        };
        health.unmodelled.clone_from(&settings.unmodelled);
        health
    }
}

fn number<T: std::str::FromStr>(word: Option<&str>) -> Result<T, Fault> {
    word.and_then(|word| word.parse().ok()).ok_or(("a number is missing or wrong", "数字缺失或有误"))
}

fn span(word: Option<&str>) -> Result<f64, Fault> {
    word.and_then(|word| seconds(word, 1e-3)).ok_or(("this is no span of time", "这不是时间长度"))
}
