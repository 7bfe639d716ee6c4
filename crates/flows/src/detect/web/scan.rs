//! Web scans and passwords guessed over HTTP: clients that ask for what is not there, or log in again and again.

use super::client::{is_asset, is_robot};
use crate::detect::alert::{Plan, Technique};
use crate::detect::logs::{Bits, Lines, Told, hash, host_name, text};
use crate::logs::{Event, Method, Visit};
use crate::record::Address;
use std::collections::HashMap;

/// How many clients are followed at a time.
const CLIENT_COUNT_MAX: usize = 25_000;
/// A client that was silent for so long begins anew.
const SILENCE_MS_MAX: i64 = 3_600_000;
/// So many different requests that only scanners make.
const PROBE_COUNT_MIN: u32 = 5;
/// So many different pages that are not there, and nearly nothing that is.
const MISSING_COUNT_MIN: u32 = 30;
const MISSING_SHARE_MIN: f64 = 0.8;
/// So many requests that are no HTTP.
const GARBAGE_COUNT_MIN: u32 = 8;
/// So many logins within `LOGIN_MS`, and so much of all the client did.
const LOGIN_COUNT_MIN: u32 = 15;
const LOGIN_MS: i64 = 5 * 60_000;
const LOGIN_SHARE_MIN: f64 = 0.6;
/// Parts of paths behind which passwords are asked for.
const LOGIN_PATHS: [&str; 10] = [
    "login",
    "signin",
    "sign-in",
    "sign_in",
    "logon",
    "xmlrpc.php",
    "/auth",
    "session",
    "oauth/token",
    "password",
];

/// Follows every client that fails.
#[derive(Debug, Default)]
pub struct ScanDetector {
    clients: HashMap<Address, Client>,
}

#[derive(Debug, Default)]
struct Client {
    first_ms: i64,
    last_ms: i64,
    requests: u32,
    assets: u32,
    missing: u32,
    garbage: u32,
    missing_bits: Bits<2>,
    probe_bits: Bits<1>,
    users: Bits<1>,
    logins: u32,
    login_from_ms: i64,
    login_now: u32,
    login_most: u32,
    login_first_ms: i64,
    login_last_ms: i64,
    is_robot: bool,
    scan_told: bool,
    login_told: bool,
    host: Box<str>,
    path: Box<str>,
    lines: Lines,
    login_lines: Lines,
}

impl ScanDetector {
    pub fn visit(&mut self, event: &Event, visit: &Visit, told: &mut Vec<Told>) {
        let fails = (400..500).contains(&visit.status) || visit.probe || is_login(visit);
        let client = match self.clients.get_mut(&event.client) {
            Some(client) => client,
            None if !fails => return,
            None => {
                if self.clients.len() >= CLIENT_COUNT_MAX {
                    self.make_room(told);
                }
                let (first_ms, host) = (event.time_ms, event.host.clone());
                self.clients.entry(event.client).or_insert(Client { first_ms, host, ..Client::default() })
            }
        };
        if event.time_ms - client.last_ms > SILENCE_MS_MAX && client.requests > 0 {
            client.tell(event.client, told);
            *client = Client { first_ms: event.time_ms, host: event.host.clone(), ..Client::default() };
        }
        client.visit(event, visit);
    }

    fn make_room(&mut self, told: &mut Vec<Told>) {
        self.clients.retain(|address, client| {
            client.tell(*address, told);
            client.probes() > 1 || client.logins > 3
        });
        if self.clients.len() >= CLIENT_COUNT_MAX {
            self.clients.clear();
        }
    }

    pub fn tick(&mut self, told: &mut Vec<Told>) {
        for (address, client) in &mut self.clients {
            client.tell(*address, told);
        }
    }

    pub fn finish(&mut self, told: &mut Vec<Told>) {
        self.tick(told);
        self.clients.clear();
    }
}

impl Client {
    fn visit(&mut self, event: &Event, visit: &Visit) {
        self.requests = self.requests.saturating_add(1);
        self.last_ms = self.last_ms.max(event.time_ms);
        self.is_robot |= (self.requests <= 3 && is_robot(visit)) || &*visit.path == "/robots.txt";
        let refused = matches!(visit.status, 400 | 403 | 404 | 405 | 410 | 414 | 444);
        self.assets = self.assets.saturating_add(u32::from(!refused && is_asset(&visit.path)));
        let asked = hash((&visit.path, visit.query));
        if visit.method == Method::Garbage {
            self.garbage = self.garbage.saturating_add(1);
            self.lines.push(event);
        } else if visit.probe
            && (refused || visit.status == 401 || visit.query != 0 || visit.path.contains("/."))
            && self.probe_bits.add(asked)
        {
            self.lines.push(event);
        }
        if refused && !is_asset(&visit.path) {
            self.missing = self.missing.saturating_add(1);
            self.missing_bits.add(asked);
        }
        if is_login(visit) {
            self.login(event, visit);
        }
    }

    fn login(&mut self, event: &Event, visit: &Visit) {
        if (event.time_ms - self.login_from_ms).abs() > LOGIN_MS {
            (self.login_from_ms, self.login_now) = (event.time_ms, 0);
        }
        if self.logins == 0 {
            (self.login_first_ms, self.path) = (event.time_ms, visit.path.clone());
        }
        self.login_last_ms = self.login_last_ms.max(event.time_ms);
        self.logins = self.logins.saturating_add(1);
        self.login_now = self.login_now.saturating_add(1);
        self.login_most = self.login_most.max(self.login_now);
        if !visit.user.is_empty() {
            self.users.add(hash(&visit.user));
        }
        self.login_lines.push(event);
    }

    /// Different requests of scanners, at least.
    fn probes(&self) -> u32 {
        self.probe_bits.at_least()
    }

    /// Whether it also asks for what pages are made of, as people do.
    fn has_assets(&self) -> bool {
        u64::from(self.assets) * 10 > u64::from(self.requests)
    }

    fn is_scan(&self) -> bool {
        let missing = self.missing_bits.at_least();
        let share = f64::from(self.missing) / f64::from(self.requests.max(1));
        // A crawler that follows old links finds many pages gone, but it finds others too.
        let absent = missing >= MISSING_COUNT_MIN && share >= MISSING_SHARE_MIN && !self.has_assets();
        self.probes() >= PROBE_COUNT_MIN || (absent && !self.is_robot) || self.garbage >= GARBAGE_COUNT_MIN
    }

    fn is_guessing(&self) -> bool {
        let share = f64::from(self.logins) / f64::from(self.requests.max(1));
        self.login_most >= LOGIN_COUNT_MIN && share >= LOGIN_SHARE_MIN && !self.has_assets()
    }

    fn tell(&mut self, address: Address, told: &mut Vec<Told>) {
        if !self.scan_told && self.is_scan() {
            self.scan_told = true;
            told.push(self.scan(address));
        }
        if !self.login_told && self.is_guessing() {
            self.login_told = true;
            told.push(self.guessing(address));
        }
    }

    fn scan(&self, address: Address) -> Told {
        let (probes, missing, garbage) = (self.probes(), self.missing, self.garbage);
        Told {
            id: "attack.inbound.web_scan",
            entity: address.to_string(),
            targets: 1,
            port: 0,
            start_ms: self.first_ms,
            end_ms: self.last_ms,
            confidence: (0.7 + f64::from(probes) / 60.0 + f64::from(missing.min(100)) / 1000.0).min(0.98),
            why: text(
                format!(
                    "{address} asked for {probes} different things that only scanners ask for, {missing} pages that are \
                     not there or forbidden, and {garbage} times no HTTP"
                ),
                format!(
                    "{address} 请求了 {probes} 种只有扫描器才会请求的内容、{missing} 次不存在或被禁止的页面，另有 {garbage} 次非 HTTP 数据"
                ),
            ),
            technique: Technique::Vertical,
            records: u64::from(missing.max(probes)) + u64::from(garbage),
            sources: vec![address],
            victims: vec![host_name(&self.host)],
            lines: self.lines.clone(),
            cost_if_wrong: text(
                "your own vulnerability scanner, or a user with many dead bookmarks, is shut out",
                "误判时：自有漏洞扫描器或收藏了大量失效链接的用户会被拦住",
            ),
            plan: Plan {
                stop: vec![text(format!("block {address} at the edge"), format!("在边缘封禁 {address}"))],
                limit: vec![text(
                    "limit requests that end in 404 per address; let no dot files out of the web root",
                    "按地址限制 404 请求；禁止网站根目录输出点文件",
                )],
                keep: vec![text(
                    "keep the access log, and look for answers 200 to the same address",
                    "保留访问日志，并检查对该地址返回 200 的请求",
                )],
            },
        }
    }

    fn guessing(&self, address: Address) -> Told {
        let (logins, path) = (self.logins, &self.path);
        let minutes = (self.login_last_ms - self.login_first_ms) / 60_000;
        Told {
            id: "attack.inbound.web_bruteforce",
            entity: address.to_string(),
            targets: 1,
            port: 0,
            start_ms: self.login_first_ms,
            end_ms: self.login_last_ms,
            confidence: (0.72
                + f64::from(logins) / 500.0
                + if self.users.at_least() > 2 { 0.1 } else { 0.0 })
            .min(0.97),
            why: text(
                format!("{address} sent {logins} logins to {path} in {minutes} min and hardly anything else"),
                format!("{address} 在 {minutes} 分钟内向 {path} 提交了 {logins} 次登录，几乎没有其他请求"),
            ),
            technique: Technique::OneTarget,
            records: logins.into(),
            sources: vec![address],
            victims: vec![host_name(&self.host)],
            lines: self.login_lines.clone(),
            cost_if_wrong: text(
                "an office behind one address, or a program with a stale password, cannot log in",
                "误判时：共用一个出口地址的办公室或配置了旧密码的程序无法登录",
            ),
            plan: Plan {
                stop: vec![text(format!("block {address} on {path}"), format!("在 {path} 上封禁 {address}"))],
                limit: vec![text(
                    format!("limit_req per address on {path}, lock accounts for minutes, a second factor"),
                    format!("对 {path} 按地址 limit_req，账号短时锁定，启用双因素"),
                )],
                keep: vec![text("keep the access log and the application's own", "保留访问日志与应用日志")],
            },
        }
    }
}

/// Whether a visit tries a password: sent to where passwords are asked for, or refused with a user named.
fn is_login(visit: &Visit) -> bool {
    if visit.status == 401 && !visit.user.is_empty() {
        return true;
    }
    if visit.method != Method::Post {
        return false;
    }
    let path = visit.path.to_ascii_lowercase();
    visit.status == 401 || LOGIN_PATHS.iter().any(|part| path.contains(part))
}
