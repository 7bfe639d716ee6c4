//! What sshd says: who tried to log in, from where, and how it ended.

use super::event::{Login, LoginMethod, Outcome, Service, USER_BYTES_MAX, clean};
use super::words::{address, value, word};
use crate::record::Address;

/// One message of sshd, understood.
pub enum Said {
    Login {
        client: (Address, u16),
        login: Login,
    },
    /// Understood, and nothing about a login.
    Quiet,
}

/// The most attempts that one line may stand for.
const TIMES_MAX: u32 = 10_000;

/// Reads a message; `None` where sshd says what is not known here.
pub fn read(program: &str, process: u32, message: &str) -> Option<Said> {
    let mut times = 1;
    let mut message = message.trim();
    if let Some((count, rest)) =
        message.strip_prefix("message repeated ").and_then(|rest| rest.split_once(" times: "))
    {
        times = count.parse::<u32>().ok()?.clamp(1, TIMES_MAX);
        message = rest.trim_start_matches('[').trim_end_matches(']').trim();
    }
    let message = ["error: ", "fatal: ", "debug1: "]
        .iter()
        .fold(message, |m, level| m.strip_prefix(level).unwrap_or(m));
    let Some(attempt) = attempt(message) else {
        return is_quiet(message).then_some(Said::Quiet);
    };
    let Some(client) = attempt.client else { return Some(Said::Quiet) };
    let login = Login {
        service: Service::Ssh,
        program: clean(program, USER_BYTES_MAX),
        user: clean(attempt.user, USER_BYTES_MAX),
        method: attempt.method,
        outcome: attempt.outcome,
        times: times.saturating_mul(attempt.times).min(TIMES_MAX),
        process,
    };
    Some(Said::Login { client, login })
}

struct Attempt<'a> {
    outcome: Outcome,
    method: LoginMethod,
    user: &'a str,
    client: Option<(Address, u16)>,
    times: u32,
}

impl<'a> Attempt<'a> {
    fn new(outcome: Outcome, user: &'a str, client: Option<(Address, u16)>) -> Option<Attempt<'a>> {
        Some(Attempt { outcome, method: LoginMethod::Unknown, user, client, times: 1 })
    }
}

fn attempt(message: &str) -> Option<Attempt<'_>> {
    authentication(message)
        .or_else(|| ended(message))
        .or_else(|| refused(message))
        .or_else(|| garbled(message))
}

/// Accepted, failed, invalid user, the words of PAM.
fn authentication(message: &str) -> Option<Attempt<'_>> {
    if let Some(rest) = message.strip_prefix("Accepted ").or_else(|| message.strip_prefix("Failed ")) {
        let (method, rest) = rest.split_once(" for ")?;
        let (user, client) = user_from(rest)?;
        let invalid = user.strip_prefix("invalid user ").or_else(|| user.strip_prefix("illegal user "));
        let outcome = match (message.as_bytes()[0], invalid) {
            (b'A', _) => Outcome::Accepted,
            (_, Some(_)) => Outcome::InvalidUser,
            _ => Outcome::Failed,
        };
        let attempt = Attempt::new(outcome, invalid.unwrap_or(user), client)?;
        return Some(Attempt { method: method_of(method), ..attempt });
    }
    if let Some(rest) =
        message.strip_prefix("Invalid user ").or_else(|| message.strip_prefix("Illegal user "))
    {
        let (user, client) = user_from(rest)?;
        return Attempt::new(Outcome::InvalidUser, user, client);
    }
    if message.starts_with("pam_") && message.contains("authentication failure") {
        return pam(message, 1);
    }
    if let Some(rest) = message.strip_prefix("PAM ") {
        let (count, rest) = rest.split_once(" more authentication failure")?;
        return pam(rest, count.parse::<u32>().ok()?.clamp(1, TIMES_MAX));
    }
    if let Some(rest) = message.strip_prefix("PAM: ") {
        let (user, client) = user_from(rest.split_once(" for ")?.1)?;
        let invalid = user.strip_prefix("illegal user ").or_else(|| user.strip_prefix("invalid user "));
        let outcome = if invalid.is_some() { Outcome::InvalidUser } else { Outcome::Failed };
        let attempt = Attempt::new(outcome, invalid.unwrap_or(user), client)?;
        return Some(Attempt { method: LoginMethod::Password, ..attempt });
    }
    None
}

fn pam(message: &str, times: u32) -> Option<Attempt<'_>> {
    let client = value(message, "rhost=").and_then(address);
    // `ruser=` is the client's own word; `value` does not take it for `user=`.
    let attempt = Attempt::new(Outcome::Failed, value(message, "user=").unwrap_or_default(), client)?;
    Some(Attempt { method: LoginMethod::Password, times, ..attempt })
}

/// `root from 1.2.3.4 port 22 ssh2`: the last ` from ` counts, since a user may be named anything.
fn user_from(text: &str) -> Option<(&str, Option<(Address, u16)>)> {
    let (user, rest) = match text.rfind(" from ") {
        Some(at) => (&text[..at], &text[at + 6..]),
        None => ("", text.strip_prefix("from ")?),
    };
    Some((user.trim(), address_port(rest)))
}

/// `1.2.3.4 port 22 …`.
fn address_port(text: &str) -> Option<(Address, u16)> {
    let (first, rest) = word(text);
    let (client, port) = address(first.trim_end_matches([':', ',']))?;
    let told =
        rest.strip_prefix("port ").map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
    Some((client, told.and_then(|digits| digits.parse().ok()).unwrap_or(port)))
}

/// Connections that ended before anybody was logged in.
fn ended(message: &str) -> Option<Attempt<'_>> {
    for begin in ["Connection closed by ", "Connection reset by ", "Disconnected from ", "Disconnecting "] {
        let Some(rest) = message.strip_prefix(begin) else { continue };
        let too_many = rest.contains("Too many authentication failures");
        if !message.ends_with("[preauth]") && !too_many {
            // A session that ended as sessions do.
            return Attempt::new(Outcome::Disconnected, "", None);
        }
        // Behind these words stand the names that the client gave, which may look like an address with its port.
        let told = match rest.rfind(": Change of username or service not allowed: (") {
            Some(at) if begin == "Disconnecting " && !too_many => &rest[..at],
            _ => rest,
        };
        let (user, told) = kind_of_user(told);
        let outcome = if too_many { Outcome::TooManyAttempts } else { Outcome::Disconnected };
        return Attempt::new(outcome, user, address_port(told));
    }
    if let Some(rest) = message.strip_prefix("maximum authentication attempts exceeded for ") {
        let (user, client) = user_from(rest)?;
        return Attempt::new(
            Outcome::TooManyAttempts,
            user.strip_prefix("invalid user ").unwrap_or(user),
            client,
        );
    }
    if let Some(rest) = message.strip_prefix("Received disconnect from ") {
        let client = message.ends_with("[preauth]").then(|| address_port(rest)).flatten();
        return Attempt::new(Outcome::Disconnected, "", client);
    }
    let rest = message.strip_prefix("Timeout before authentication for ")?;
    let rest = rest.strip_prefix("connection from ").unwrap_or(rest);
    Attempt::new(Outcome::TimedOut, "", address_port(rest))
}

/// `authenticating user root 1.2.3.4 port 5 [preauth]`: the user, and the rest from the address on.
fn kind_of_user(text: &str) -> (&str, &str) {
    let Some((_, rest)) = text.split_once("user ").filter(|(before, _)| before.len() <= 24) else {
        return ("", text);
    };
    // The address stands before the last ` port `, the user may hold anything.
    let end = rest.rfind(" port ").unwrap_or(rest.len());
    match rest[..end].rfind(' ') {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => ("", rest),
    }
}

/// Users and addresses that may not log in, connections over a limit.
fn refused(message: &str) -> Option<Attempt<'_>> {
    if let Some(rest) = message.strip_prefix("User ")
        && let Some((told, _)) = rest.rsplit_once(" not allowed because")
    {
        let (user, client) = user_from(told).unwrap_or((told, None));
        return Attempt::new(Outcome::NotAllowed, user, client);
    }
    if let Some(rest) = message.strip_prefix("refused connect from ") {
        let inside = rest.rsplit_once('(').map_or(rest, |(_, inside)| inside.trim_end_matches(')'));
        return Attempt::new(Outcome::NotAllowed, "", address(inside));
    }
    let rest =
        message.strip_prefix("drop connection ").or_else(|| message.strip_prefix("beginning MaxStartups"))?;
    let client = rest.split_once("from ").and_then(|(_, rest)| address(word(rest).0));
    Attempt::new(Outcome::Dropped, "", client)
}

/// What was no SSH, or no SSH that this server speaks.
fn garbled(message: &str) -> Option<Attempt<'_>> {
    const BEGINS: [&str; 8] = [
        "Unable to negotiate with ",
        "Unable to negotiate a key exchange method",
        "Bad protocol version identification",
        "Did not receive identification string from ",
        "banner exchange: Connection from ",
        "ssh_dispatch_run_fatal: Connection from ",
        "Protocol major versions differ for ",
        "Magic value check failed",
    ];
    let begin = BEGINS.iter().find(|begin| message.starts_with(**begin))?;
    let rest = &message[begin.len()..];
    // Where the address does not stand first, what the client sent does.
    let client = address_port(rest).or_else(|| address_port(&rest[rest.rfind(" from ")? + 6..]));
    Attempt::new(Outcome::Garbled, "", client)
}

fn method_of(word: &str) -> LoginMethod {
    match word {
        "password" | "keyboard-interactive/pam" | "keyboard-interactive" => LoginMethod::Password,
        "publickey" | "hostbased" => LoginMethod::PublicKey,
        _ => LoginMethod::Other,
    }
}

fn is_quiet(message: &str) -> bool {
    const BEGINS: [&str; 42] = [
        "Server listening on ",
        "Received signal ",
        "Received SIGHUP",
        "Close session: ",
        "Starting session: ",
        "Closing ",
        "Connection from ",
        "Postponed ",
        "Found matching ",
        "Accepted key ",
        "Exiting on ",
        "subsystem request ",
        "session opened ",
        "pam_unix(sshd:session)",
        "pam_",
        "kex_exchange_identification: ",
        "kex_protocol_error: ",
        "input_userauth_request: ",
        "reverse mapping ",
        "Address ",
        "Authentication refused: ",
        "Authentication tried ",
        "User child is on pid ",
        "Transferred: ",
        "Could not ",
        "Unable to ",
        "Deprecated option ",
        "rexec line ",
        "Nasty ",
        "ssh_dispatch_run_fatal: ",
        "mm_",
        "Write failed: ",
        "Read error from ",
        "Timeout, client not responding ",
        "syslogin_perform_logout",
        "PAM service",
        "Authorized to ",
        "Bind to port ",
        "Missing privilege separation",
        "error in libcrypto",
        "Protocol error",
        "padding error",
    ];
    const MORE: [&str; 10] = [
        "exited MaxStartups",
        "srclimit_",
        "penalty: ",
        "buffer_get",
        "ssh_",
        "userauth_",
        "channel ",
        "packet_",
        "AuthorizedKeysCommand",
        "fork of ",
    ];
    BEGINS.iter().chain(&MORE).any(|begin| message.starts_with(begin))
}
