//! HTTP floods (CC): one client or many that ask for the same again and again, against what the site is used to.
//!
//! People bring style sheets, pictures and other pages along, crawlers ask for each page once, monitoring asks seldom and
//! always: none of them is many mechanical requests above the usual. A rush of people is many requests, few mechanical.

use super::client::Client;
use super::window::Usual;
use crate::detect::alert::{Plan, Technique};
use crate::detect::logs::{Lines, Told, busiest, hash, host_name, text};
use crate::logs::{Event, Visit};
use crate::record::Address;
use netwhy_model::Text;
use std::collections::HashMap;

/// Windows of a minute see fast floods, those of ten minutes slow ones of many clients.
const WINDOWS_MS: [i64; 2] = [60_000, 600_000];
/// How many clients one window follows.
const CLIENT_COUNT_MAX: usize = 6_000;
/// How many paths are named.
const PATH_COUNT_MAX: usize = 1024;
/// Mechanical requests per minute below which nothing is a flood.
const MECHANICAL_PER_MINUTE_MIN: f64 = 120.0;
/// Above the usual by this factor.
const SURGE_FACTOR: f64 = 4.0;
/// Of all requests of the window.
const SHARE_MIN: f64 = 0.3;
/// A weaker one is a flood only where so little is mechanical otherwise.
const WEAK_SHARE_MIN: f64 = 0.08;
const WEAK_FACTOR: f64 = 4.0;
/// What each client of a flood asks at least, per minute; for longer windows the square root of their minutes as much.
const BUSY_PER_MINUTE_MIN: f64 = 6.0;
/// Clients whose requests are all different may be programs that read a list: so many per minute are more than that, or
/// so many clients.
const VARIED_PER_MINUTE_MIN: f64 = 300.0;
const VARIED_CLIENT_COUNT_MIN: usize = 10;
/// Without a past to compare with, so many requests must come from violent clients, or one must be as fast as that for
/// a minute.
const VIOLENT_COUNT_MIN: f64 = 200.0;
const ALONE_PER_MINUTE_MIN: u32 = 1200;
/// A machine of good will may ask this often per minute.
const ROBOT_PER_MINUTE_MAX: f64 = 300.0;
/// And all of them together; more is somebody who only says so.
const ROBOTS_PER_MINUTE_MAX: f64 = 3000.0;
/// Two windows of a flood so far apart are two floods.
const QUIET_MS_MAX: i64 = 20 * 60_000;
/// How many attackers are remembered.
const ATTACKER_COUNT_MAX: usize = 20_000;

/// Watches one site.
#[derive(Debug)]
pub struct FloodDetector {
    host: Box<str>,
    watches: [Watch; 2],
    flood: Option<Flood>,
}

/// One length of window.
#[derive(Debug)]
struct Watch {
    length_ms: i64,
    from_ms: i64,
    requests: u64,
    errors: u64,
    clients: HashMap<Address, Client>,
    paths: HashMap<u64, Box<str>>,
    usual_requests: Usual,
    usual_mechanical: Usual,
    usual_per_client: Usual,
    usual_errors: Usual,
    usual_top: Usual,
    usual_share: Usual,
}

/// A flood while it lasts.
#[derive(Debug)]
struct Flood {
    start_ms: i64,
    end_ms: i64,
    requests: u64,
    attackers: HashMap<Address, u64>,
    path: Box<str>,
    host: Box<str>,
    peak_per_minute: f64,
    usual_per_minute: f64,
    errors_share: f64,
    is_known: bool,
    lines: Lines,
    is_told: bool,
}

/// What a window adds up to.
struct Sum {
    mechanical: f64,
    attackers: Vec<(Address, u32)>,
    top_path: u64,
    top_share: f64,
    per_client: f64,
    fastest: u32,
    violent: f64,
    errors_share: f64,
}

impl FloodDetector {
    pub fn new(host: &str) -> FloodDetector {
        FloodDetector { host: host.into(), watches: WINDOWS_MS.map(Watch::new), flood: None }
    }

    pub fn visit(&mut self, event: &Event, visit: &Visit, told: &mut Vec<Told>) {
        for watch in &mut self.watches {
            let from_ms = event.time_ms.div_euclid(watch.length_ms) * watch.length_ms;
            // A late line of the window before counts into this one; another file begins anew.
            if from_ms > watch.from_ms || watch.from_ms - from_ms > 2 * watch.length_ms {
                watch.close(&self.host, &mut self.flood, told);
                watch.from_ms = from_ms;
            }
            watch.visit(event, visit);
        }
    }

    /// Ends windows that are over, and tells a flood that goes on once.
    pub fn tick(&mut self, now_ms: i64, told: &mut Vec<Told>) {
        for watch in &mut self.watches {
            if now_ms >= watch.from_ms + watch.length_ms {
                watch.close(&self.host, &mut self.flood, told);
            }
        }
        if let Some(flood) = &mut self.flood {
            if !flood.is_told {
                flood.is_told = true;
                told.push(flood.told());
            }
            if now_ms - flood.end_ms > QUIET_MS_MAX {
                self.flood = None;
            }
        }
    }

    pub fn finish(mut self, told: &mut Vec<Told>) {
        for watch in &mut self.watches {
            watch.close(&self.host, &mut self.flood, told);
        }
        end(&mut self.flood, told);
    }
}

fn end(flood: &mut Option<Flood>, told: &mut Vec<Told>) {
    if let Some(flood) = flood.take()
        && !flood.is_told
    {
        told.push(flood.told());
    }
}

impl Watch {
    fn new(length_ms: i64) -> Watch {
        Watch {
            length_ms,
            from_ms: i64::MIN / 2,
            requests: 0,
            errors: 0,
            clients: HashMap::new(),
            paths: HashMap::new(),
            usual_requests: Usual::default(),
            usual_mechanical: Usual::default(),
            usual_per_client: Usual::default(),
            usual_errors: Usual::default(),
            usual_top: Usual::default(),
            usual_share: Usual::default(),
        }
    }

    fn visit(&mut self, event: &Event, visit: &Visit) {
        self.requests += 1;
        self.errors += u64::from(visit.status >= 500 || visit.status == 429);
        if self.clients.len() >= CLIENT_COUNT_MAX && !self.clients.contains_key(&event.client) {
            // Who came once is no attacker that counts.
            self.clients.retain(|_, client| client.requests > 2);
            if self.clients.len() >= CLIENT_COUNT_MAX {
                return;
            }
        }
        self.clients.entry(event.client).or_default().visit(event, visit);
        if self.paths.len() < PATH_COUNT_MAX {
            let path = hash((&visit.path, visit.method));
            self.paths.entry(path).or_insert_with(|| visit.path.clone());
        }
    }

    fn minutes(&self) -> f64 {
        self.length_ms as f64 / 60_000.0
    }

    /// Adds up the clients that are mechanical.
    fn sum(&self) -> Sum {
        let robots_max = (ROBOT_PER_MINUTE_MAX * self.minutes()) as u32;
        let robots = self.clients.values().filter(|client| client.is_robot && client.is_mechanical());
        let of_robots: f64 = robots.map(|client| f64::from(client.requests)).sum();
        let believed = of_robots <= ROBOTS_PER_MINUTE_MAX * self.minutes();
        let mut sum = Sum {
            mechanical: 0.0,
            attackers: Vec::new(),
            top_path: 0,
            top_share: 0.0,
            per_client: 0.0,
            fastest: 0,
            violent: 0.0,
            errors_share: self.errors as f64 / self.requests.max(1) as f64,
        };
        let mut tops: HashMap<u64, u64> = HashMap::new();
        let mechanical = self.clients.iter().filter(|(_, client)| {
            client.is_mechanical() && !(believed && client.is_robot && client.requests <= robots_max)
        });
        let (varied, same): (Vec<_>, Vec<_>) = mechanical.partition(|(_, client)| client.is_varied());
        let are_many = varied.len() >= VARIED_CLIENT_COUNT_MIN;
        let fast = |client: &Client| f64::from(client.requests) >= VARIED_PER_MINUTE_MIN * self.minutes();
        let varied = varied.into_iter().filter(|(_, client)| are_many || fast(client) || client.is_violent());
        for (address, client) in same.into_iter().chain(varied) {
            sum.mechanical += f64::from(client.requests);
            sum.attackers.push((*address, client.requests));
            sum.fastest = sum.fastest.max(client.requests);
            sum.violent += if client.is_violent() { f64::from(client.requests) } else { 0.0 };
            let (path, count) = client.top();
            *tops.entry(path).or_default() += u64::from(count);
        }
        sum.per_client = sum.mechanical / sum.attackers.len().max(1) as f64;
        if let Some((path, count)) = tops.into_iter().max_by_key(|(path, count)| (*count, *path)) {
            (sum.top_path, sum.top_share) = (path, count as f64 / sum.mechanical.max(1.0));
        }
        sum
    }

    fn close(&mut self, host: &str, flood: &mut Option<Flood>, told: &mut Vec<Told>) {
        if self.requests > 0 {
            let sum = self.sum();
            if self.is_flood(&sum) {
                self.extend(&sum, host, flood, told);
            } else {
                self.usual_requests.push(self.requests as f64);
                self.usual_mechanical.push(sum.mechanical);
                self.usual_per_client.push(sum.per_client);
                self.usual_errors.push(sum.errors_share);
                self.usual_top.push(sum.top_share);
                self.usual_share.push(sum.mechanical / self.requests as f64);
            }
        }
        self.clients.clear();
        self.paths.clear();
        (self.requests, self.errors) = (0, 0);
    }

    fn is_flood(&self, sum: &Sum) -> bool {
        let minimum = MECHANICAL_PER_MINUTE_MIN * self.minutes();
        if sum.mechanical < minimum {
            return false;
        }
        if !self.usual_requests.is_known() {
            let per_minute = f64::from(sum.fastest) / self.minutes();
            return sum.violent >= VIOLENT_COUNT_MIN * self.minutes()
                || per_minute >= f64::from(ALONE_PER_MINUTE_MIN);
        }
        let is_surge = sum.mechanical >= SURGE_FACTOR * self.usual_mechanical.percentile(95);
        is_surge && self.is_other(sum)
    }

    /// Whether other clients came, or the same ones came otherwise. A busy hour brings more of what is usual: more
    /// people, and where all clients are machines, more machines.
    fn is_other(&self, sum: &Sum) -> bool {
        let share = sum.mechanical / self.requests as f64;
        let usual_share = self.usual_share.percentile(95);
        let busy_min = BUSY_PER_MINUTE_MIN * self.minutes().sqrt();
        let is_busier =
            sum.per_client >= busy_min && sum.per_client >= 2.0 * self.usual_per_client.percentile(90);
        let is_narrower = share >= 0.5 && sum.top_share >= self.usual_top.percentile(95) + 0.3;
        let is_failing = share >= 0.5 && sum.errors_share >= self.usual_errors.percentile(95) + 0.2;
        let is_alone = f64::from(sum.fastest) >= self.minutes() * f64::from(ALONE_PER_MINUTE_MIN);
        if share >= SHARE_MIN || is_alone {
            return is_busier || is_narrower || is_failing || share >= usual_share + SHARE_MIN;
        }
        // A weak flood on a large site.
        is_busier && share >= WEAK_SHARE_MIN && share >= WEAK_FACTOR * usual_share
    }

    fn extend(&mut self, sum: &Sum, host: &str, flood: &mut Option<Flood>, told: &mut Vec<Told>) {
        if flood
            .as_ref()
            .is_some_and(|flood| (self.from_ms - flood.end_ms).abs() > QUIET_MS_MAX + self.length_ms)
        {
            end(flood, told);
        }
        let per_minute = sum.mechanical / self.minutes();
        let flood = flood.get_or_insert_with(|| Flood {
            start_ms: i64::MAX,
            end_ms: i64::MIN,
            requests: 0,
            attackers: HashMap::new(),
            path: self.paths.get(&sum.top_path).cloned().unwrap_or_default(),
            host: host.into(),
            peak_per_minute: 0.0,
            usual_per_minute: self.usual_requests.percentile(50) / self.minutes(),
            errors_share: 0.0,
            is_known: self.usual_requests.is_known(),
            lines: Lines::default(),
            is_told: false,
        });
        flood.peak_per_minute = flood.peak_per_minute.max(per_minute);
        flood.errors_share = flood.errors_share.max(sum.errors_share);
        let mut busiest: Vec<&(Address, u32)> = sum.attackers.iter().collect();
        busiest.sort_by_key(|(address, requests)| (std::cmp::Reverse(*requests), *address));
        for (address, requests) in busiest {
            if flood.attackers.len() < ATTACKER_COUNT_MAX || flood.attackers.contains_key(address) {
                let count = flood.attackers.entry(*address).or_default();
                // Both windows see the same requests.
                *count = (*count).max(u64::from(*requests));
            }
            if let Some(client) = self.clients.get(address) {
                flood.start_ms = flood.start_ms.min(client.first_ms);
                flood.end_ms = flood.end_ms.max(client.last_ms);
                flood.lines.append(&client.lines);
            }
        }
        if self.length_ms == WINDOWS_MS[0] || flood.requests == 0 {
            flood.requests += sum.mechanical as u64;
        }
    }
}

impl Flood {
    fn why(&self, count: usize) -> Text {
        let (peak, usual, path) = (self.peak_per_minute as u64, self.usual_per_minute as u64, &self.path);
        let (than_en, than_zh) = if self.is_known {
            (format!("where {usual} requests of all kinds are usual"), format!("平时全部请求约 {usual} 次"))
        } else {
            ("with no past to compare with".to_owned(), "没有可比较的历史".to_owned())
        };
        text(
            format!(
                "{count} clients asked mechanically for {path} and the like, up to {peak} times a minute {than_en}, and \
                 fetched nothing that a page needs"
            ),
            format!(
                "{count} 个客户端机械地反复请求 {path} 等，每分钟最多 {peak} 次（{than_zh}），且不加载页面资源"
            ),
        )
    }

    fn told(&self) -> Told {
        let sources = busiest(&self.attackers);
        let (count, most) = (sources.len(), sources.first().map_or(0, |(_, count)| *count));
        let total: u64 = sources.iter().map(|(_, count)| count).sum();
        let alone = most * 10 >= total * 8;
        let mut confidence: f64 = if self.is_known { 0.85 } else { 0.7 };
        confidence += if self.errors_share > 0.2 { 0.08 } else { 0.0 };
        confidence +=
            if self.peak_per_minute > 4.0 * self.usual_per_minute && self.is_known { 0.05 } else { 0.0 };
        let path = &self.path;
        let first = sources.first().map(|(address, _)| address.to_string()).unwrap_or_default();
        Told {
            id: "attack.inbound.cc",
            entity: if alone { first } else { host_name(&self.host) },
            targets: 1,
            port: 0,
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            confidence: confidence.min(0.98),
            why: self.why(count),
            technique: if alone { Technique::OneTarget } else { Technique::Distributed },
            records: self.requests,
            sources: sources.iter().map(|(address, _)| *address).collect(),
            victims: vec![host_name(&self.host)],
            lines: self.lines.clone(),
            cost_if_wrong: text(
                "customers behind these addresses, or a program of your own that asks too often, get no answers",
                "误判时：这些地址后的客户或自有程序将得不到应答",
            ),
            plan: Plan {
                stop: vec![text(
                    format!("block or challenge the {count} clients at the edge, by address and by {path}"),
                    format!("在边缘按地址与 {path} 对这 {count} 个客户端封禁或人机验证"),
                )],
                limit: vec![text(
                    format!("limit_req per address on {path}; cache it for some seconds"),
                    format!("对 {path} 按地址 limit_req，并缓存数秒"),
                )],
                keep: vec![text("keep the access log of this time", "保留这段时间的访问日志")],
            },
        }
    }
}
