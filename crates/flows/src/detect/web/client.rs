//! What one client did in one window, and what kind of visitor that makes it.

use crate::detect::logs::Lines;
use crate::logs::{Event, Method, Visit};
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many paths of a client are counted one by one.
const PATH_COUNT_MAX: usize = 4;
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
    pub bytes: u64,
    second: i64,
    in_second: u32,
    distinct: [u64; 4],
    paths: [(u64, u32); PATH_COUNT_MAX],
    /// The path asked for first, for people; what most ask for is told by `flood`.
    pub path: Box<str>,
}

impl Client {
    pub fn visit(&mut self, event: &Event, visit: &Visit) {
        if self.requests == 0 {
            (self.is_robot, self.path) = (is_robot(visit), visit.path.clone());
        }
        self.requests = self.requests.saturating_add(1);
        self.assets += u32::from(is_asset(&visit.path));
        self.errors += u32::from(visit.status >= 500 || visit.status == 429);
        self.bytes = self.bytes.saturating_add(visit.bytes);
        self.is_robot |= &*visit.path == "/robots.txt";
        let second = event.time_ms.div_euclid(1000);
        if self.second != second {
            (self.second, self.in_second) = (second, 0);
        }
        self.in_second += 1;
        self.peak = self.peak.max(self.in_second);
        let path = hash((&visit.path, visit.method));
        let whole = hash((path, visit.query));
        self.distinct[(whole >> 8) as usize % 4] |= 1 << (whole % 64);
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

    /// How many different requests it made (linear counting over 256 bits).
    pub fn distinct(&self) -> f64 {
        let empty = f64::from(self.distinct.iter().map(|word| word.count_zeros()).sum::<u32>().max(1));
        256.0 * (256.0 / empty).ln()
    }

    /// Whether it asks for the same again and again and for nothing that a page needs: no human with a browser.
    pub fn is_mechanical(&self) -> bool {
        let requests = self.requests;
        if requests < 3 || self.assets * 20 > requests {
            return false;
        }
        let (_, top) = self.top();
        let one_path = f64::from(top) >= 0.75 * f64::from(requests);
        one_path || (requests >= 12 && self.distinct() * 3.0 <= f64::from(requests))
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

pub fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
