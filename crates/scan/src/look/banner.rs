//! Which service says such words, and what of them a person may read.

use crate::Look;

/// Characters kept of what a server says.
const BANNER_LENGTH_MAX: usize = 120;

/// A service that spoke by itself.
pub(crate) fn greeted(bytes: &[u8]) -> Look {
    let text = String::from_utf8_lossy(bytes);
    let service = match text.as_ref() {
        said if said.starts_with("SSH-") => "ssh",
        said if said.starts_with("220") && said.to_ascii_uppercase().contains("FTP") => "ftp",
        said if said.starts_with("220") && said.to_ascii_uppercase().contains("SMTP") => "smtp",
        said if said.starts_with("220") => "banner",
        said if said.starts_with("+OK") => "pop3",
        said if said.starts_with("* OK") || said.starts_with("* PREAUTH") => "imap",
        said if said.starts_with("RFB ") => "vnc",
        said if said.starts_with("@RSYNCD:") => "rsync",
        said if said.starts_with("HTTP/") => "http",
        said if said.starts_with("AMQP") => "amqp",
        _ => return binary_greeting(bytes),
    };
    with_banner(service, &first_line(bytes))
}

/// Greetings that are no text: MySQL's, telnet's, or unknown ones.
fn binary_greeting(bytes: &[u8]) -> Look {
    if let Some((service, version)) = mysql(bytes) {
        return with_banner(service, &printable(version));
    }
    match bytes {
        [0xff, 0xfb..=0xfe, ..] => with_banner("telnet", &first_line(strip_telnet(bytes))),
        _ => with_banner("banner", &first_line(bytes)),
    }
}

/// Version 10 of MySQL's handshake, or its error packet: a length of 3 bytes, a number, then the kind.
fn mysql(bytes: &[u8]) -> Option<(&'static str, &[u8])> {
    let (head, rest) = bytes.split_at_checked(4)?;
    let length = usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
    if head[3] != 0 || length < 4 || length > rest.len() {
        return None;
    }
    match rest[0] {
        10 => {
            let version = rest[1..].split(|byte| *byte == 0).next()?;
            let is_maria = version.windows(7).any(|part| part == b"MariaDB");
            Some((if is_maria { "mariadb" } else { "mysql" }, version))
        }
        // The error's code stands before its text.
        0xff => Some(("mysql", rest.get(3..length)?)),
        _ => None,
    }
}

/// Negotiations of telnet, three bytes each, before any text.
fn strip_telnet(mut bytes: &[u8]) -> &[u8] {
    while let [0xff, 0xfb..=0xfe, _, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// An answer to a question of HTTP.
pub(crate) fn answered(bytes: &[u8]) -> Look {
    if bytes.starts_with(b"HTTP/") {
        return with_banner("http", &http_line(bytes));
    }
    let said = first_line(bytes);
    let service = match said.as_str() {
        line if line.starts_with("-ERR") || line.starts_with("-DENIED") || line.starts_with("-NOAUTH") => {
            "redis"
        }
        line if line.starts_with("ERROR") => "memcached",
        line if line.starts_with("SSH-") => "ssh",
        line if line.contains("<html") || line.starts_with("<!DOCTYPE") => "http",
        _ => return greeted(bytes),
    };
    with_banner(service, &said)
}

/// Status and server of an answer of HTTP, on one line.
pub(crate) fn http_line(bytes: &[u8]) -> String {
    /// Header lines looked through.
    const LINE_COUNT_MAX: usize = 64;
    let lines = || bytes.split(|byte| *byte == b'\n').map(printable).take(LINE_COUNT_MAX);
    let status = lines().next().unwrap_or_default();
    let server = lines().skip(1).take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("server").then(|| value.trim().to_owned())
    });
    match server {
        Some(server) => shortened(&format!("{status}, {server}")),
        None => status,
    }
}

pub(crate) fn with_banner(service: &str, banner: &str) -> Look {
    let banner = (!banner.is_empty()).then(|| banner.to_owned());
    Look { service: service.into(), banner, names: Vec::new(), matches: None }
}

/// The first line that has something to read.
fn first_line(bytes: &[u8]) -> String {
    let mut lines = bytes.split(|byte| *byte == b'\n' || *byte == b'\r').map(printable);
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

/// Text without control characters or marks that turn or hide what stands beside them, at most 120 characters.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let kept: String = text.chars().filter(|c| !is_hidden(*c)).take(BANNER_LENGTH_MAX).collect();
    kept.trim().to_owned()
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{fffd}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

fn shortened(text: &str) -> String {
    text.chars().take(BANNER_LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn services_are_known_by_their_words() {
        let service = |bytes: &[u8]| greeted(bytes).service;
        assert_eq!(service(b"SSH-2.0-OpenSSH_9.2\r\n"), "ssh");
        assert_eq!(service(b"220 mail.example ESMTP ready\r\n"), "smtp");
        assert_eq!(service(b"220 (vsFTPd 3.0.3)\r\n"), "ftp");
        assert_eq!(service(b"* OK [CAPABILITY IMAP4rev1] ready\r\n"), "imap");
        assert_eq!(service(b"\xff\xfd\x18\xff\xfd\x20login: "), "telnet");
        let mysql = greeted(b"\x0a\x00\x00\x00\x0a8.0.36\x00\x01\x02");
        assert_eq!((mysql.service.as_str(), mysql.banner.as_deref()), ("mysql", Some("8.0.36")));
        assert_eq!(answered(b"-ERR wrong number of arguments\r\n").service, "redis");
        let http = answered(b"HTTP/1.1 200 OK\r\nDate: x\r\nServer: nginx/1.22\r\n\r\nbody");
        assert_eq!(http.banner.as_deref(), Some("HTTP/1.1 200 OK, nginx/1.22"));
    }

    #[test]
    fn a_hostile_banner_is_tamed() {
        let look = greeted(b"\x1b[2J\x1b]0;owned\x07 hello \xe2\x80\xae\xff\r\nmore");
        assert_eq!(look.banner.as_deref(), Some("[2J]0;owned hello"));
        let long = greeted(&[b'A'; 4_096]);
        assert_eq!(long.banner.map(|banner| banner.len()), Some(BANNER_LENGTH_MAX));
        assert_eq!(greeted(&[0; 64]).banner, None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_clean_short_line(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            for look in [greeted(&bytes), answered(&bytes)] {
                let banner = look.banner.unwrap_or_default();
                prop_assert!(banner.chars().count() <= BANNER_LENGTH_MAX);
                prop_assert!(!banner.chars().any(char::is_control));
            }
        }
    }
}
