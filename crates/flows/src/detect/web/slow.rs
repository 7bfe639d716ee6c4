//! Slow attacks: clients that hold connections open and send or read next to nothing.

use super::window::Usual;
use crate::detect::alert::{Plan, Technique};
use crate::detect::logs::{Lines, Told, busiest, host_name, text};
use crate::logs::{Ending, Event, Method, Visit};
use crate::record::Address;
use std::collections::HashMap;

const WINDOW_MS: i64 = 600_000;
/// How many clients one window follows.
const CLIENT_COUNT_MAX: usize = 6_000;
/// Slow requests of one client in a window; a browser's idle connections are one or two.
const CLIENT_SLOW_MIN: u32 = 12;
/// Without a past to compare with, so many times as much is needed.
const UNKNOWN_FACTOR: u32 = 2;
/// Slow requests of all clients in a window, where each has at least `EACH_SLOW_MIN`.
const ALL_SLOW_MIN: u32 = 50;
const EACH_SLOW_MIN: u32 = 3;
/// Above the usual by this factor.
const SURGE_FACTOR: f64 = 4.0;
/// Of a client's requests.
const SLOW_SHARE_MIN: f64 = 0.5;
/// A request that lasts so long with fewer bytes a second than this is slow, too.
const LONG_MS_MIN: u32 = 30_000;
const BYTES_PER_SECOND_MAX: u64 = 200;
/// Long answers are also those of a program that waits: of one client so many are an attack.
const LONG_COUNT_MIN: u32 = 40;
const QUIET_MS_MAX: i64 = 30 * 60_000;
const ATTACKER_COUNT_MAX: usize = 10_000;

/// Watches one site.
#[derive(Debug)]
pub struct SlowDetector {
    host: Box<str>,
    from_ms: i64,
    clients: HashMap<Address, Client>,
    usual_slow: Usual,
    usual_most: Usual,
    attack: Option<Attack>,
}

#[derive(Debug, Default)]
struct Client {
    requests: u32,
    /// The client did not send in time.
    timed_out: u32,
    /// Lasted long with next to nothing sent.
    long: u32,
    first_ms: i64,
    last_ms: i64,
    lines: Lines,
}

#[derive(Debug)]
struct Attack {
    start_ms: i64,
    end_ms: i64,
    records: u64,
    attackers: HashMap<Address, u64>,
    is_known: bool,
    host: Box<str>,
    lines: Lines,
    is_told: bool,
}

impl SlowDetector {
    pub fn new(host: &str) -> SlowDetector {
        let (usual_slow, usual_most) = (Usual::default(), Usual::default());
        SlowDetector {
            host: host.into(),
            from_ms: 0,
            clients: HashMap::new(),
            usual_slow,
            usual_most,
            attack: None,
        }
    }

    pub fn visit(&mut self, event: &Event, visit: &Visit, told: &mut Vec<Told>) {
        self.turn(event.time_ms, told);
        let duration_ms = visit.duration_ms.unwrap_or(0);
        let is_long = duration_ms >= LONG_MS_MIN
            && visit.status != 101
            && visit.bytes < u64::from(duration_ms) / 1000 * BYTES_PER_SECOND_MAX;
        // A request that was never whole, or a body that never came.
        let unread = matches!(visit.method, Method::None) && visit.status == 400 && is_long;
        let timed_out = visit.ending == Ending::ClientTimedOut || unread;
        let waits = is_long && !matches!(visit.ending, Ending::ServerTimedOut | Ending::ServerFailed);
        if let Some(client) = self.client(event) {
            client.requests += 1;
            client.timed_out += u32::from(timed_out);
            client.long += u32::from(!timed_out && waits);
            if timed_out || waits {
                client.seen(event);
            }
        }
    }

    /// Takes a line of the error log that says that a client was too slow.
    pub fn timed_out(&mut self, event: &Event, told: &mut Vec<Told>) {
        self.turn(event.time_ms, told);
        if let Some(client) = self.client(event) {
            client.requests += 1;
            client.timed_out += 1;
            client.seen(event);
        }
    }

    fn client(&mut self, event: &Event) -> Option<&mut Client> {
        if self.clients.len() >= CLIENT_COUNT_MAX && !self.clients.contains_key(&event.client) {
            self.clients.retain(|_, client| client.timed_out + client.long > 0);
            if self.clients.len() >= CLIENT_COUNT_MAX {
                return None;
            }
        }
        Some(self.clients.entry(event.client).or_default())
    }

    fn turn(&mut self, time_ms: i64, told: &mut Vec<Told>) {
        let from_ms = time_ms.div_euclid(WINDOW_MS) * WINDOW_MS;
        if from_ms > self.from_ms || self.from_ms - from_ms > 2 * WINDOW_MS {
            self.close(told);
            self.from_ms = from_ms;
        }
    }

    fn close(&mut self, told: &mut Vec<Told>) {
        if self.clients.is_empty() {
            return;
        }
        let slow = self.clients.values().filter(|client| client.timed_out >= EACH_SLOW_MIN);
        let (clients, all) =
            slow.fold((0, 0), |(clients, all), client| (clients + 1, all + client.timed_out));
        let most = self.clients.values().map(Client::slow).max().unwrap_or(0);
        let usual =
            |figure: &Usual| if figure.is_known() { SURGE_FACTOR * figure.percentile(95) } else { 0.0 };
        let (usual_all, usual_most) = (usual(&self.usual_slow), usual(&self.usual_most));
        let factor = if self.usual_slow.is_known() { 1 } else { UNKNOWN_FACTOR };
        let many = all >= ALL_SLOW_MIN * factor && f64::from(all) > usual_all && clients >= 2;
        let attackers: Vec<Address> = self
            .clients
            .iter()
            .filter(|(_, client)| {
                client.is_slow(factor) && f64::from(client.slow()) > usual_most
                    || many && client.timed_out >= EACH_SLOW_MIN
            })
            .map(|(address, _)| *address)
            .collect();
        if attackers.is_empty() {
            self.usual_slow.push(f64::from(all));
            self.usual_most.push(f64::from(most));
        } else {
            self.extend(&attackers, told);
        }
        self.clients.clear();
    }

    fn extend(&mut self, attackers: &[Address], told: &mut Vec<Told>) {
        if self.attack.as_ref().is_some_and(|attack| (self.from_ms - attack.end_ms).abs() > QUIET_MS_MAX) {
            end(&mut self.attack, told);
        }
        let attack = self.attack.get_or_insert_with(|| Attack {
            start_ms: i64::MAX,
            end_ms: i64::MIN,
            records: 0,
            attackers: HashMap::new(),
            is_known: self.usual_slow.is_known(),
            host: self.host.clone(),
            lines: Lines::default(),
            is_told: false,
        });
        for address in attackers {
            let Some(client) = self.clients.get(address) else { continue };
            attack.start_ms = attack.start_ms.min(client.first_ms);
            attack.end_ms = attack.end_ms.max(client.last_ms);
            attack.records += u64::from(client.slow());
            attack.lines.append(&client.lines);
            if attack.attackers.len() < ATTACKER_COUNT_MAX || attack.attackers.contains_key(address) {
                *attack.attackers.entry(*address).or_default() += u64::from(client.slow());
            }
        }
    }

    /// Ends a window that is over, and tells an attack that goes on once.
    pub fn tick(&mut self, now_ms: i64, told: &mut Vec<Told>) {
        self.turn(now_ms, told);
        if let Some(attack) = &mut self.attack {
            if !attack.is_told {
                attack.is_told = true;
                told.push(attack.told());
            }
            if now_ms - attack.end_ms > QUIET_MS_MAX {
                self.attack = None;
            }
        }
    }

    pub fn finish(mut self, told: &mut Vec<Told>) {
        self.close(told);
        end(&mut self.attack, told);
    }
}

fn end(attack: &mut Option<Attack>, told: &mut Vec<Told>) {
    if let Some(attack) = attack.take()
        && !attack.is_told
    {
        told.push(attack.told());
    }
}

impl Client {
    fn seen(&mut self, event: &Event) {
        if self.first_ms == 0 {
            self.first_ms = event.time_ms;
        }
        self.last_ms = self.last_ms.max(event.time_ms);
        self.lines.push(event);
    }

    fn slow(&self) -> u32 {
        self.timed_out + self.long
    }

    fn is_slow(&self, factor: u32) -> bool {
        let share = f64::from(self.slow()) / f64::from(self.requests.max(1));
        (self.timed_out >= CLIENT_SLOW_MIN * factor || self.long >= LONG_COUNT_MIN * factor)
            && share >= SLOW_SHARE_MIN
    }
}

impl Attack {
    fn told(&self) -> Told {
        let sources = busiest(&self.attackers);
        let (count, records) = (sources.len(), self.records);
        let first = sources.first().map(|(address, _)| address.to_string()).unwrap_or_default();
        let minutes = (self.end_ms - self.start_ms) / 60_000;
        Told {
            id: "attack.inbound.slowloris",
            entity: if count == 1 { first } else { host_name(&self.host) },
            targets: 1,
            port: 0,
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            confidence: (0.75 + records as f64 / 1000.0 + if self.is_known { 0.08 } else { 0.0 }).min(0.97),
            why: text(
                format!(
                    "{count} clients held {records} connections in {minutes} min without sending or reading in time"
                ),
                format!("{count} 个客户端在 {minutes} 分钟内占住 {records} 个连接，却不按时发送或读取"),
            ),
            technique: if count == 1 { Technique::OneTarget } else { Technique::Distributed },
            records,
            sources: sources.iter().map(|(address, _)| *address).collect(),
            victims: vec![host_name(&self.host)],
            lines: self.lines.clone(),
            cost_if_wrong: text(
                "users on very bad lines are cut off a little earlier",
                "误判时：网络极差的用户会更早被断开",
            ),
            plan: Plan {
                stop: vec![text(
                    format!("block the {count} clients and end their connections"),
                    format!("封禁这 {count} 个客户端并断开其连接"),
                )],
                limit: vec![text(
                    "shorten client_header_timeout and client_body_timeout (haproxy: timeout http-request, Apache: \
                     mod_reqtimeout); limit connections per address",
                    "缩短 client_header_timeout 与 client_body_timeout（haproxy：timeout http-request；Apache：mod_reqtimeout），并限制每个地址的连接数",
                )],
                keep: vec![text(
                    "keep the access and error logs of this time",
                    "保留这段时间的访问与错误日志",
                )],
            },
        }
    }
}
