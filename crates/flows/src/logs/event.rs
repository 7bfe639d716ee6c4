//! What a line of a log tells: a visit, a login, a refusal or an error, of any server in one shape.

use crate::names::Symbol;
use crate::record::Address;

/// The longest path, host or user agent that is kept, in bytes.
pub const WORD_BYTES_MAX: usize = 200;
/// The longest user name that is kept, in bytes.
pub const USER_BYTES_MAX: usize = 64;

/// One thing that happened, as one line of a log tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Milliseconds since 1970, UTC.
    pub time_ms: i64,
    /// Who came; unknown where the log names no address.
    pub client: Address,
    /// The client's port; zero where not told.
    pub port: u16,
    /// The site asked for, or the machine that wrote the line.
    pub host: Box<str>,
    pub file: Symbol,
    /// The byte of the unpacked file where the line begins.
    pub offset: u64,
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Visit(Visit),
    Login(Login),
    Refusal(Refusal),
    Error(Trouble),
}

/// One request of an access log, or one connection of a TCP proxy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Visit {
    pub server: Server,
    pub method: Method,
    /// Without the query, which may hold secrets; empty where no request was read.
    pub path: Box<str>,
    /// A number of the query, zero without one: tells two queries apart and nothing else about them.
    pub query: u32,
    /// Zero where not told.
    pub status: u16,
    /// Sent to the client.
    pub bytes: u64,
    /// How long the request took, where the log tells.
    pub duration_ms: Option<u32>,
    pub agent: Box<str>,
    /// The user of HTTP authentication, if any.
    pub user: Box<str>,
    pub ending: Ending,
    /// The request, its query included, asks for what scanners ask for.
    pub probe: bool,
    /// The first address of X-Forwarded-For, where the log has it: what the client says, not what is proven.
    pub forwarded: Option<Address>,
}

/// Which program wrote an access log, where it can be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Server {
    #[default]
    Unknown,
    Nginx,
    Apache,
    Haproxy,
    Other,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// No request was read.
    #[default]
    None,
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Connect,
    /// A word that is a method, but a rare one (WebDAV).
    Other,
    /// What came was no HTTP.
    Garbage,
}

/// How the conversation ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ending {
    #[default]
    Complete,
    /// The client did not send, or did not read, in time: 408, haproxy `c?`.
    ClientTimedOut,
    /// The client went away first: 499, haproxy `C?`.
    ClientAborted,
    /// haproxy `s?`, 504.
    ServerTimedOut,
    /// haproxy `S?`, 502.
    ServerFailed,
    /// The proxy itself refused: haproxy `P?`, `R?`.
    Denied,
}

/// One attempt to log in, or the end of a connection that never did.
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    pub service: Service,
    /// The program that wrote it.
    pub program: Box<str>,
    pub user: Box<str>,
    pub method: LoginMethod,
    pub outcome: Outcome,
    /// How many attempts the line stands for (`message repeated 3 times`).
    pub times: u32,
    /// The process that served the connection; zero where not told.
    pub process: u32,
}

/// What was logged in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    Ssh,
    Rdp,
    Telnet,
    Smb,
    Database,
    Ftp,
    Mail,
    Web,
    Vpn,
    Other,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum LoginMethod {
    #[default]
    Unknown,
    Password,
    PublicKey,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Accepted,
    Failed,
    /// The user does not exist.
    InvalidUser,
    /// The connection ended before anybody was logged in.
    Disconnected,
    /// The time to log in was over.
    TimedOut,
    TooManyAttempts,
    /// The user or the address may not log in at all.
    NotAllowed,
    /// The server dropped the connection for its own limits.
    Dropped,
    /// What came was not the protocol, or no common algorithm.
    Garbled,
}

/// A request or packet that was refused by rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub by: RefusedBy,
    /// The rule, chain or verdict as the log names it.
    pub rule: Box<str>,
    /// The user of a Kubernetes request.
    pub user: Box<str>,
    /// The verb and object of a Kubernetes request, the protocol of a packet.
    pub object: Box<str>,
    /// 401 or 403 of a Kubernetes request.
    pub code: u16,
    pub destination: Address,
    pub destination_port: u16,
    /// The IANA protocol number of a packet.
    pub protocol: u8,
    /// The packet was leaving this machine.
    pub outbound: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedBy {
    Kubernetes,
    Firewall,
}

/// One line of an error log that matters.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    pub server: Server,
    pub kind: TroubleKind,
    /// Without the query.
    pub path: Box<str>,
    /// The words of the server, cut, with quoted requests left out.
    pub message: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TroubleKind {
    LimitedRequests,
    LimitedConnections,
    UpstreamTimedOut,
    UpstreamFailed,
    ClientTimedOut,
    ClientClosed,
    /// Workers, connections or files are used up.
    Exhausted,
    NotFound,
    Forbidden,
    /// What came was no valid request.
    Malformed,
    TlsFailed,
    /// A web application firewall spoke.
    Firewall,
}

impl Method {
    /// Reads a method; `None` for a word that is none.
    pub fn read(word: &str) -> Option<Method> {
        Some(match word {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            "CONNECT" => Method::Connect,
            _ if (3..=20).contains(&word.len())
                && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') =>
            {
                Method::Other
            }
            _ => return None,
        })
    }

    /// The word of the request line.
    pub const fn word(self) -> &'static str {
        match self {
            Method::None => "-",
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Connect => "CONNECT",
            Method::Other => "(other method)",
            Method::Garbage => "(no HTTP)",
        }
    }
}

impl Service {
    /// The name in English and in Chinese.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Service::Ssh => ("SSH", "SSH"),
            Service::Rdp => ("RDP", "RDP"),
            Service::Telnet => ("Telnet", "Telnet"),
            Service::Smb => ("SMB", "SMB"),
            Service::Database => ("database", "数据库"),
            Service::Ftp => ("FTP", "FTP"),
            Service::Mail => ("mail", "邮件"),
            Service::Web => ("web", "网站"),
            Service::Vpn => ("VPN", "VPN"),
            Service::Other => ("service", "服务"),
        }
    }
}

impl Outcome {
    pub const fn word(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Failed => "failed",
            Outcome::InvalidUser => "invalid user",
            Outcome::Disconnected => "disconnected before authentication",
            Outcome::TimedOut => "timed out before authentication",
            Outcome::TooManyAttempts => "too many attempts",
            Outcome::NotAllowed => "not allowed",
            Outcome::Dropped => "dropped by a limit",
            Outcome::Garbled => "not the protocol",
        }
    }
}

impl Event {
    /// One line for a report, rebuilt from what was read: no query, no password, no control character.
    pub fn excerpt(&self) -> String {
        match &self.what {
            What::Visit(visit) => {
                let query = if visit.query == 0 { "" } else { "?…" };
                format!("{} {} {}{query} {}", self.client, visit.method.word(), visit.path, visit.status)
            }
            What::Login(login) => {
                let times = if login.times > 1 { format!(" ×{}", login.times) } else { String::new() };
                let (program, user) = (&login.program, &login.user);
                format!("{} {program}: {} user \"{user}\"{times}", self.client, login.outcome.word())
            }
            What::Refusal(refusal) => format!(
                "{} → {}:{} {} {} {}",
                self.client,
                refusal.destination,
                refusal.destination_port,
                refusal.rule,
                refusal.user,
                refusal.object
            ),
            What::Error(trouble) => format!("{} {} {}", self.client, trouble.message, trouble.path),
        }
    }
}

/// A word of a log, cut and without control characters.
pub(crate) fn clean(word: &str, bytes_max: usize) -> Box<str> {
    let word = &word[..word.floor_char_boundary(bytes_max)];
    if word.bytes().any(|byte| byte < 0x20 || byte == 0x7f || byte == 0xc2) {
        word.chars().map(|letter| if letter.is_control() { '·' } else { letter }).collect()
    } else {
        word.into()
    }
}
