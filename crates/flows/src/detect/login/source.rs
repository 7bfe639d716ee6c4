//! One source and what it tried on one service.

use crate::detect::logs::{Bits, Lines, hash};
use crate::logs::{Event, Login, LoginMethod, Outcome, Service};
use crate::record::Address;

/// So many attempts within `FAST_MS` are no human's.
pub const FAST_COUNT: usize = 10;
/// So many suffice where they name several users, or one that does not exist.
pub const FAST_USERS_COUNT: usize = 5;
const FAST_MS: i64 = 5 * 60_000;
/// Nobody types so many passwords within `BURST_MS`; a program inside that cannot log in may.
const BURST_COUNT: usize = 6;
const BURST_MS: i64 = 10_000;
/// A slow attack takes this many attempts, on so many users.
const SLOW_COUNT: u32 = 10;
const SLOW_USER_COUNT: u32 = 3;
/// On one user it takes more.
const SLOW_ONE_USER_COUNT: u32 = 15;
/// How many connections of one source are told apart at a time.
const CONNECTION_COUNT: usize = 8;
/// A known guest is one who forgot the password, up to this many attempts within `FAST_MS`.
const GUEST_FAST_COUNT: usize = 30;
/// A client that tries one user at equal intervals of at least so much has a stale password in its configuration.
const STALE_GAP_MS_MIN: f64 = 60_000.0;
/// Equal: this much deviation, by the mean.
const STALE_DEVIATION_MAX: f64 = 0.1;
/// So many user names are named.
const USER_NAME_COUNT_MAX: usize = 5;

#[derive(Debug, Clone)]
pub struct Source {
    pub first_ms: i64,
    pub last_ms: i64,
    pub attempts: u32,
    /// Attempts on users that do not exist.
    pub invalid: u32,
    /// Attempts that only a key or the end of a connection tells of, no password.
    pub soft: u32,
    /// The most attempts within `FAST_MS`.
    pub fast: usize,
    /// The most attempts within `BURST_MS`.
    pub burst: usize,
    /// It was let in before it guessed.
    pub guest: bool,
    pub is_told: bool,
    pub lines: Lines,
    pub names: Vec<Box<str>>,
    pub host: Box<str>,
    /// The source is of a private network, where misconfigured clients live.
    is_inside: bool,
    /// It tried a name that strangers try first.
    is_common: bool,
    users: Bits<2>,
    recent: Vec<i64>,
    connections: [Connection; CONNECTION_COUNT],
    gaps: Gaps,
}

/// What the lines of one connection said: they tell of the same attempts several times over.
#[derive(Debug, Clone, Copy, Default)]
struct Connection {
    key: u64,
    counts: [u32; 4],
}

/// Mean and deviation of the time between attempts (Welford).
#[derive(Debug, Clone, Copy, Default)]
struct Gaps {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Source {
    pub fn new(time_ms: i64) -> Source {
        Source {
            first_ms: time_ms,
            last_ms: time_ms,
            attempts: 0,
            invalid: 0,
            soft: 0,
            fast: 0,
            burst: 0,
            guest: false,
            is_told: false,
            lines: Lines::default(),
            names: Vec::new(),
            host: "".into(),
            is_inside: false,
            is_common: false,
            users: Bits::default(),
            recent: Vec::new(),
            connections: Default::default(),
            gaps: Gaps::default(),
        }
    }

    /// Takes an attempt that failed; returns how many new attempts the line stands for.
    pub fn failed(&mut self, event: &Event, login: &Login) -> u32 {
        let Some(kind) = kind_of(event, login) else { return 0 };
        let fresh = self.fresh(event, login, kind);
        if fresh == 0 {
            self.last_ms = self.last_ms.max(event.time_ms);
            return 0;
        }
        if self.attempts == 0 {
            (self.first_ms, self.host) = (event.time_ms, event.host.clone());
            self.is_inside = is_private(event.client);
        } else {
            self.gaps.push((event.time_ms - self.last_ms).max(0) as f64);
        }
        self.last_ms = self.last_ms.max(event.time_ms);
        self.attempts = self.attempts.saturating_add(fresh);
        if login.outcome == Outcome::InvalidUser {
            self.invalid = self.invalid.saturating_add(fresh);
        }
        if login.method != LoginMethod::Password && login.outcome != Outcome::InvalidUser {
            self.soft = self.soft.saturating_add(fresh);
        }
        self.user(&login.user);
        self.quicken(event.time_ms, fresh);
        self.lines.push(event);
        fresh
    }

    /// Takes a success; returns whether it follows guessing.
    pub fn accepted(&mut self, event: &Event, login: &Login) -> bool {
        self.last_ms = self.last_ms.max(event.time_ms);
        if !self.is_guessing() {
            self.guest |= self.attempts < FAST_USERS_COUNT as u32;
            return false;
        }
        let known = self.guest || login.method == LoginMethod::PublicKey;
        if !known {
            self.lines.push_last(event);
            // What follows in the same session is not told again.
            self.guest = true;
        }
        !known
    }

    /// About how many users were tried.
    pub fn user_count(&self) -> u32 {
        self.users.count()
    }

    /// Whether this is guessing, as opposed to a guest's mistakes or a stale password.
    pub fn is_guessing(&self) -> bool {
        let users = self.user_count();
        if self.is_stale() || (self.guest && self.fast < GUEST_FAST_COUNT && users < SLOW_USER_COUNT) {
            return false;
        }
        let several = users >= SLOW_USER_COUNT;
        let fast = self.fast >= FAST_COUNT
            || (several && self.fast >= FAST_USERS_COUNT)
            || (self.invalid >= FAST_USERS_COUNT as u32 && self.fast > FAST_USERS_COUNT)
            || (self.burst >= BURST_COUNT && !self.is_inside);
        let slow = self.attempts >= SLOW_COUNT && several || self.attempts >= SLOW_ONE_USER_COUNT;
        fast || slow
    }

    /// Whether it went on so slowly that no five minutes show it.
    pub fn is_slow(&self) -> bool {
        self.fast < FAST_COUNT && self.attempts >= SLOW_COUNT
    }

    /// One user at equal intervals, or from inside without a password: a client with something stale configured.
    fn is_stale(&self) -> bool {
        let one_user = self.user_count() <= 1;
        let existing = self.invalid == 0;
        let regular = self.gaps.count >= 4.0
            && self.gaps.mean >= STALE_GAP_MS_MIN
            && self.gaps.deviation() <= STALE_DEVIATION_MAX * self.gaps.mean;
        // Only keys, and no name that strangers try first.
        let keys =
            self.soft == self.attempts && self.fast < GUEST_FAST_COUNT && (self.is_inside || !self.is_common);
        one_user && existing && (regular || keys)
    }

    /// How many of a line's attempts no other line of the same connection told of.
    fn fresh(&mut self, event: &Event, login: &Login, kind: usize) -> u32 {
        // Without port and process, lines of one second are one connection.
        let key = match (event.port, login.process) {
            (0, 0) => event.time_ms.div_euclid(1000) as u64 | 1 << 63,
            (0, process) => self.by_process(process),
            (port, process) => u64::from(process) << 16 | u64::from(port),
        };
        let at = match self.connections.iter().position(|connection| connection.key == key) {
            Some(at) => at,
            None => {
                self.connections.rotate_right(1);
                self.connections[0] = Connection { key, counts: [0; 4] };
                0
            }
        };
        let counts = &mut self.connections[at].counts;
        let before = counts.iter().copied().max().unwrap_or(0);
        counts[kind] = counts[kind].saturating_add(login.times);
        counts.iter().copied().max().unwrap_or(0).saturating_sub(before)
    }

    /// PAM names no port: its line belongs to the connection of the same process.
    fn by_process(&self, process: u32) -> u64 {
        let same = self.connections.iter().find(|connection| connection.key >> 16 == u64::from(process));
        same.map_or(u64::from(process) << 16, |connection| connection.key)
    }

    fn user(&mut self, user: &str) {
        if user.is_empty() {
            return;
        }
        self.is_common |= super::user::is_common(user);
        self.users.add(hash(user));
        if self.names.len() < USER_NAME_COUNT_MAX && !self.names.iter().any(|name| **name == *user) {
            self.names.push(user.into());
        }
    }

    fn quicken(&mut self, time_ms: i64, fresh: u32) {
        for _ in 0..fresh.min(GUEST_FAST_COUNT as u32) {
            if self.recent.len() == GUEST_FAST_COUNT {
                self.recent.remove(0);
            }
            self.recent.push(time_ms);
        }
        let fast = self.recent.iter().filter(|at| (time_ms - **at).abs() <= FAST_MS).count();
        self.fast = self.fast.max(fast);
        let burst = self.recent.iter().filter(|at| (time_ms - **at).abs() <= BURST_MS).count();
        self.burst = self.burst.max(burst);
    }
}

impl Gaps {
    fn push(&mut self, gap: f64) {
        self.count += 1.0;
        let off = gap - self.mean;
        self.mean += off / self.count;
        self.squares += off * (gap - self.mean);
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count.max(1.0)).sqrt()
    }
}

/// Which of the lines of a connection this is; `None` for one that tells of no attempt at a password or key.
fn kind_of(event: &Event, login: &Login) -> Option<usize> {
    match login.outcome {
        Outcome::Failed | Outcome::InvalidUser if login.method == LoginMethod::Unknown => Some(0),
        // PAM, which names no port, tells of the same attempt as the server's own line.
        Outcome::Failed | Outcome::InvalidUser => Some(if event.port == 0 { 2 } else { 1 }),
        Outcome::NotAllowed | Outcome::Disconnected | Outcome::TooManyAttempts if !login.user.is_empty() => {
            Some(3)
        }
        _ => None,
    }
}

/// The id of guessing at a service, as the catalogue names its causes.
pub fn id_of(service: Service) -> &'static str {
    match service {
        Service::Ssh => "attack.inbound.ssh_bruteforce",
        Service::Rdp => "attack.inbound.rdp_bruteforce",
        Service::Telnet => "attack.inbound.telnet_bruteforce",
        Service::Smb => "attack.inbound.smb_bruteforce",
        Service::Database => "attack.inbound.database_bruteforce",
        Service::Ftp => "attack.inbound.ftp_bruteforce",
        Service::Mail => "attack.inbound.mail_bruteforce",
        Service::Vpn => "attack.inbound.vpn_bruteforce",
        Service::Web | Service::Other => "attack.inbound.web_bruteforce",
    }
}

/// The usual port of a service; zero where there are several.
pub fn port_of(service: Service) -> u16 {
    match service {
        Service::Ssh => 22,
        Service::Rdp => 3389,
        Service::Telnet => 23,
        Service::Smb => 445,
        Service::Ftp => 21,
        _ => 0,
    }
}

/// Whether an address is of a private network, where misconfigured clients live.
pub fn is_private(address: Address) -> bool {
    match std::net::IpAddr::from(address) {
        std::net::IpAddr::V4(v4) => v4.is_private() || v4.is_loopback(),
        std::net::IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback(),
    }
}
