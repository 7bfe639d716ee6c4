//! What one client did in one window, and what kind of visitor that makes it.

use crate::detect::logs::{Bits, Lines, hash};
use crate::logs::{Event, Method, Visit};

/// How many paths of a client are counted one by one.
const PATH_COUNT_MAX: usize = 4;
/// So many requests within one second are no program's that means well.
const VIOLENT_PER_SECOND_MIN: u32 = 10;
/// Up to so many different requests are told apart, about.
const DISTINCT_COUNT_MAX: u32 = 1000;
/// Files that a browser fetches along with a page.
const ASSETS: [&str; 20] = [
    ".css",
    ".js",
    ".mjs",
    ".map",
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".svg",
    ".ico",
    ".webp",
    ".avif",
    ".woff",
    ".woff2",
    ".ttf",
    ".mp4",
    ".webm",
    ".mp3",
    ".json.gz",
    ".webmanifest",
];
/// Words in the user agent of visitors that say openly that they are machines of good will.
const ROBOTS: [&str; 22] = [
    "bot",
    "crawl",
    "spider",
    "slurp",
    "monitor",
    "pingdom",
    "uptime",
    "health",
    "kube-probe",
    "elb-",
    "googlehc",
    "check_http",
    "prometheus",
    "blackbox",
    "statuscake",
    "site24x7",
    "datadog",
    "newrelic",
    "feed",
    "archive",
    "facebookexternalhit",
    "zabbix",
];

#[derive(Debug, Clone, Default)]
pub struct Client {
    pub requests: u32,
    pub assets: u32,
    pub errors: u32,
    pub is_robot: bool,
    pub lines: Lines,
    /// The most requests within one second.
    pub peak: u32,
    pub first_ms: i64,
    pub last_ms: i64,
    second: i64,
    in_second: u32,
    distinct: Bits<4>,
    paths: [(u64, u32); PATH_COUNT_MAX],
}

impl Client {
    pub fn visit(&mut self, event: &Event, visit: &Visit) {
        if self.requests == 0 {
            (self.is_robot, self.first_ms) = (is_robot(visit), event.time_ms);
        }
        self.requests = self.requests.saturating_add(1);
        self.assets += u32::from(is_asset(&visit.path));
        self.errors += u32::from(visit.status >= 500 || visit.status == 429);
        self.first_ms = self.first_ms.min(event.time_ms);
        self.last_ms = self.last_ms.max(event.time_ms);
        self.is_robot |= &*visit.path == "/robots.txt";
        let second = event.time_ms.div_euclid(1000);
        if self.second != second {
            (self.second, self.in_second) = (second, 0);
        }
        self.in_second += 1;
        self.peak = self.peak.max(self.in_second);
        let path = hash((&visit.path, visit.method));
        let whole = hash((path, visit.query));
        self.distinct.add(whole);
        self.count_path(path);
        if !self.lines.is_full() && self.is_mechanical() {
            self.lines.push(event);
        }
    }

    /// Counts the paths most asked for (Misra and Gries): a path of more than a fifth is always among them.
    fn count_path(&mut self, path: u64) {
        if let Some((_, count)) = self.paths.iter_mut().find(|(known, count)| *known == path && *count > 0) {
            *count += 1;
        } else if let Some(free) = self.paths.iter_mut().find(|(_, count)| *count == 0) {
            *free = (path, 1);
        } else {
            self.paths.iter_mut().for_each(|(_, count)| *count -= 1);
        }
    }

    /// The path most asked for and how often at least.
    pub fn top(&self) -> (u64, u32) {
        self.paths.iter().copied().max_by_key(|(_, count)| *count).unwrap_or_default()
    }

    /// Whether hardly any of its requests is like another, queries included.
    pub fn is_varied(&self) -> bool {
        self.requests <= DISTINCT_COUNT_MAX && self.distinct.count() * 10 >= self.requests * 7
    }

    pub fn is_violent(&self) -> bool {
        self.peak >= VIOLENT_PER_SECOND_MIN
    }

    /// Whether it asks for the same again and again and for nothing that a page needs: no human with a browser.
    pub fn is_mechanical(&self) -> bool {
        let requests = self.requests;
        if requests < 3 || self.assets * 20 > requests {
            return false;
        }
        let (_, top) = self.top();
        let one_path = f64::from(top) >= 0.75 * f64::from(requests);
        one_path || (requests >= 12 && self.distinct.count() * 3 <= requests)
    }
}

/// Whether a path is of a file that pages are made of.
pub fn is_asset(path: &str) -> bool {
    let Some(at) = path.rfind('.') else { return false };
    let end = &path[at..];
    end.len() <= 13 && ASSETS.iter().any(|asset| end.eq_ignore_ascii_case(asset))
}

/// Whether a visitor says openly that it is a machine of good will; what it does is judged all the same.
pub fn is_robot(visit: &Visit) -> bool {
    let agent = visit.agent.to_ascii_lowercase();
    ROBOTS.iter().any(|word| agent.contains(word))
        || (visit.method == Method::Options && visit.path.is_empty())
}
