//! One user name and the sources that failed on it: guessing spread over many addresses.

use crate::detect::logs::{Bits, Lines, hash};
use crate::logs::{Event, Login};
use crate::record::Address;

/// Sources within an hour that no user has.
const HOUR_SOURCE_COUNT: u32 = 12;
/// Sources within a day.
const DAY_SOURCE_COUNT: u32 = 25;
/// Names that all the internet tries on everybody need more, since that is no attack on anybody in particular.
const COMMON_FACTOR: u32 = 4;
const COMMON: [&str; 12] = [
    "root",
    "admin",
    "test",
    "user",
    "ubuntu",
    "oracle",
    "postgres",
    "git",
    "guest",
    "ftp",
    "pi",
    "administrator",
];
/// Words of bits that count sources.
const BIT_WORDS: usize = 8;
const HOUR_MS: i64 = 3_600_000;
/// How many sources are named.
const NAMED_COUNT_MAX: usize = 32;

#[derive(Debug, Clone)]
pub struct User {
    pub first_ms: i64,
    pub last_ms: i64,
    pub attempts: u64,
    pub is_told: bool,
    pub named: Vec<Address>,
    pub lines: Lines,
    pub host: Box<str>,
    all: Bits<BIT_WORDS>,
    hour: Bits<BIT_WORDS>,
    hour_from_ms: i64,
    hour_most: u32,
    common: bool,
}

impl User {
    pub fn new(event: &Event, login: &Login) -> User {
        User {
            first_ms: event.time_ms,
            last_ms: event.time_ms,
            attempts: 0,
            is_told: false,
            named: Vec::new(),
            lines: Lines::default(),
            host: event.host.clone(),
            all: Bits::default(),
            hour: Bits::default(),
            hour_from_ms: event.time_ms,
            hour_most: 0,
            common: is_common(&login.user),
        }
    }

    pub fn failed(&mut self, event: &Event, attempts: u32) {
        self.attempts += u64::from(attempts);
        self.last_ms = self.last_ms.max(event.time_ms);
        if (event.time_ms - self.hour_from_ms).abs() > HOUR_MS {
            (self.hour, self.hour_from_ms) = (Bits::default(), event.time_ms);
        }
        let client = hash(event.client);
        if self.all.add(client) {
            self.lines.push(event);
            if self.named.len() < NAMED_COUNT_MAX {
                self.named.push(event.client);
            }
        }
        self.hour.add(client);
        self.hour_most = self.hour_most.max(self.hour.count());
    }

    /// How many sources tried.
    pub fn sources(&self) -> u32 {
        self.all.count()
    }

    /// Whether a source may be one of those that failed (certain where it is not).
    pub fn has(&self, client: Address) -> bool {
        self.all.has(hash(client))
    }

    pub fn is_attack(&self) -> bool {
        let factor = if self.common { COMMON_FACTOR } else { 1 };
        self.hour_most >= HOUR_SOURCE_COUNT * factor || self.sources() >= DAY_SOURCE_COUNT * factor
    }
}

/// Whether all the internet tries this name on everybody.
pub fn is_common(user: &str) -> bool {
    COMMON.iter().any(|name| name.eq_ignore_ascii_case(user))
}
