//! Logins that other programs tell of, by the words they have in common: mail, FTP, databases, web applications.

use super::event::{Login, LoginMethod, Outcome, Service, USER_BYTES_MAX, clean};
use super::words::{address, any_address, has, value};
use crate::record::Address;

/// The longest message that is searched, in bytes.
const MESSAGE_BYTES_MAX: usize = 2048;

/// A login that failed is told with one of these, in small letters.
const FAILED: &[&str] = &[
    "authentication failure",
    "authentication failed",
    "authentication_failed",
    "auth failed",
    "auth failure",
    "auth-failure",
    "failed password",
    "fail login",
    "failed login",
    "login failed",
    "login failure",
    "failed to login",
    "login incorrect",
    "access denied for user",
    "incorrect username or password",
    "invalid username or password",
    "password mismatch",
    "incorrect authentication data",
    "bad password attempt",
    "login attempt for nonexistent user",
    "invalid credentials",
    "unsuccessful login",
    "failed sign-in",
    "invalid user",
    "authentication unsuccessful",
    "unsuccessful 1fa",
    "password is incorrect",
    "failed to authenticate",
    "failed to validate user credentials",
    "wrong password",
    "login_failed",
    "login_error",
    "ssl-login-fail",
    "no such user",
    "authentication attempt from",
    "unknown user",
];
/// One that was let in; only of programs whose words are known.
const ACCEPTED: &[&str] = &["password auth succeeded", "pubkey auth succeeded", "ok login"];

/// What follows `user` in sentences that name nobody.
const NO_NAMES: &[&str] = &[
    "not", "found", "from", "user", "was", "is", "in", "with", "password", "details", "account", "name",
    "the", "and",
];

/// Reads a message; `None` where it tells of no login or names no address.
pub fn read(program: &str, process: u32, message: &str) -> Option<((Address, u16), Login)> {
    let message = &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)];
    let outcome = outcome_of(program, message)?;
    // exim puts what the client calls itself into parentheses before its address: `([10.0.0.1]) [192.0.2.7]:5`.
    let behind = message.split_once("authenticator failed for ").map_or(message, |(_, rest)| {
        rest.split_once(") [").map_or(rest, |(before, _)| &rest[before.len() + 1..])
    });
    let client = client_of(behind)?;
    let user = user_of(message).unwrap_or_default();
    let method = if has(message, "publickey") || has(message, "pubkey") {
        LoginMethod::PublicKey
    } else {
        LoginMethod::Password
    };
    let login = Login {
        service: service_of(program, message),
        program: clean(if program.is_empty() { "(not told)" } else { program }, USER_BYTES_MAX),
        user: clean(user, USER_BYTES_MAX),
        method,
        outcome,
        times: attempts_of(message),
        process,
    };
    Some((client, login))
}

fn outcome_of(program: &str, message: &str) -> Option<Outcome> {
    if program.starts_with("dovecot") || program.ends_with("-login") {
        if has(message, "login: Login: ") || message.starts_with("Login: ") {
            return Some(Outcome::Accepted);
        }
        // `no auth attempts` is a connection without one; so is a client that only looked whether anybody is there.
        if has(message, "(no auth attempts") || has(message, "disconnected: ") && !has(message, "auth failed")
        {
            return has(message, "login: ").then_some(Outcome::Disconnected);
        }
    }
    if program.starts_with("postfix") && message.contains("sasl_username=") && message.contains("client=") {
        return Some(Outcome::Accepted);
    }
    if ACCEPTED.iter().any(|words| has(message, words)) {
        return Some(Outcome::Accepted);
    }
    if !FAILED.iter().any(|words| has(message, words)) {
        return None;
    }
    let unknown = [
        "nonexistent user",
        "invalid user ",
        "unknown user",
        "no such user",
        "user not found",
        "account not found",
    ];
    Some(if unknown.iter().any(|words| has(message, words)) { Outcome::InvalidUser } else { Outcome::Failed })
}

/// The address that the program names as the client's, else the first address there is.
fn client_of(message: &str) -> Option<(Address, u16)> {
    const NAMES: [&str; 14] = [
        "rip=",
        "rhost=",
        "remip=",
        "remote_ip=",
        "remote_addr=",
        "remoteAddr=",
        "client_ip=",
        "ipAddress=",
        "oip=",
        "ip=",
        "IP=",
        "client=",
        "Client ",
        "from ",
    ];
    let named = NAMES.iter().find_map(|name| {
        let told = value(message, name)?;
        address(told).or_else(|| any_address(told))
    });
    named.or_else(|| any_address(message))
}

fn user_of(message: &str) -> Option<&str> {
    const NAMES: [&str; 10] = [
        "sasl_username=",
        "user=",
        "username=",
        "set_id=",
        "for user ",
        "by user ",
        "user ",
        "account ",
        "for ",
        "email=",
    ];
    let named = NAMES.iter().find_map(|name| value(message, name).filter(|user| !user.is_empty()));
    named
        .map(|user| user.trim_matches(['[', ']', '\'', '"', '`', ':', ',']))
        .filter(|user| address(user).is_none() && !NO_NAMES.contains(user))
}

/// `(auth failed, 3 attempts in 8 secs)`.
fn attempts_of(message: &str) -> u32 {
    let told = message.split_once("auth failed, ").and_then(|(_, rest)| rest.split_once(" attempts"));
    told.and_then(|(digits, _)| digits.parse::<u32>().ok()).unwrap_or(1).clamp(1, 100)
}

fn service_of(program: &str, message: &str) -> Service {
    const PROGRAMS: &[(&str, Service)] = &[
        ("sshd", Service::Ssh),
        ("dropbear", Service::Ssh),
        ("sftp", Service::Ssh),
        ("dovecot", Service::Mail),
        ("imap", Service::Mail),
        ("pop3", Service::Mail),
        ("postfix", Service::Mail),
        ("exim", Service::Mail),
        ("smtp", Service::Mail),
        ("saslauthd", Service::Mail),
        ("sendmail", Service::Mail),
        ("vsftpd", Service::Ftp),
        ("ftp", Service::Ftp),
        ("mysql", Service::Database),
        ("maria", Service::Database),
        ("postgres", Service::Database),
        ("mongo", Service::Database),
        ("redis", Service::Database),
        ("smb", Service::Smb),
        ("samba", Service::Smb),
        ("xrdp", Service::Rdp),
        ("rdp", Service::Rdp),
        ("telnet", Service::Telnet),
        ("charon", Service::Vpn),
        ("openvpn", Service::Vpn),
        ("nginx", Service::Web),
        ("apache", Service::Web),
        ("httpd", Service::Web),
    ];
    const MESSAGES: &[(&str, Service)] = &[
        ("access denied for user", Service::Database),
        ("password authentication failed for user", Service::Database),
        ("via ssh", Service::Ssh),
        ("subsystem=sftp", Service::Ssh),
        ("via telnet", Service::Telnet),
        ("fail login: client", Service::Ftp),
        ("sasl", Service::Mail),
        ("imap", Service::Mail),
        ("smtp", Service::Mail),
        ("dovecot", Service::Mail),
        ("vpn", Service::Vpn),
        ("pam_unix(sshd", Service::Ssh),
        ("http", Service::Web),
        ("login", Service::Web),
    ];
    let of_program = PROGRAMS.iter().find(|(word, _)| has(program, word));
    let told = of_program.or_else(|| MESSAGES.iter().find(|(word, _)| has(message, word)));
    told.map_or(Service::Other, |(_, service)| *service)
}
