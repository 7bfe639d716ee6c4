//! Reads what a server sent in answer to a hello: records, alerts, the clear part of its flight. Pure, bounded.

use crate::hello::TLS13;

/// Most bytes of one answer that are looked at.
pub const FLIGHT_BYTES_MAX: usize = 256 * 1024;
/// Most certificates taken from one flight.
pub const CERTIFICATE_COUNT_MAX: usize = 100;
/// Most records read from one answer.
pub const RECORD_COUNT_MAX: usize = 1_000;
/// Most handshake messages read from one answer.
pub const MESSAGE_COUNT_MAX: usize = 1_000;

/// The random of a HelloRetryRequest (RFC 8446 section 4.1.3).
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What is spoken when it is not TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    Http,
    Ssh,
    Smtp,
    Other,
}

impl Plain {
    /// The value of the fact `tls.plain`.
    pub const fn name(self) -> &'static str {
        match self {
            Plain::Http => "http",
            Plain::Ssh => "ssh",
            Plain::Smtp => "smtp",
            Plain::Other => "other",
        }
    }
}

/// One alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    pub fatal: bool,
    pub code: u8,
}

/// The ServerHello, or a HelloRetryRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHello {
    /// The version chosen, out of `supported_versions` when present.
    pub version: u16,
    pub cipher: u16,
    /// The group of the key share, when there is one.
    pub group: Option<u16>,
    pub retry: bool,
    pub alpn: Option<Vec<u8>>,
}

/// What was understood of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flight {
    pub plain: Option<Plain>,
    pub alert: Option<Alert>,
    pub hello: Option<ServerHello>,
    /// Certificates in DER, as sent; only visible up to TLS 1.2.
    pub chain: Vec<Vec<u8>>,
    pub staple: Option<Vec<u8>>,
    /// Size of the server's finite-field Diffie-Hellman prime, in bits.
    pub dh_bits: Option<usize>,
    /// The curve of the server's ephemeral key, up to TLS 1.2.
    pub curve: Option<u16>,
    pub certificate_request: bool,
    /// ServerHelloDone came, or encrypted records of TLS 1.3.
    pub done: bool,
    /// A record or message is cut off at the end.
    pub cut: bool,
    /// Something is not as the standard says.
    pub malformed: bool,
    pub records: usize,
}

impl Flight {
    /// Whether TLS is spoken at all.
    pub fn is_tls(&self) -> bool {
        self.alert.is_some() || self.hello.is_some()
    }
}

/// Reads an answer from its first byte; never fails, returns what it understood.
pub fn parse(bytes: &[u8]) -> Flight {
    let bytes = &bytes[..bytes.len().min(FLIGHT_BYTES_MAX)];
    let mut flight = Flight::default();
    if let Some(plain) = sniff(bytes) {
        flight.plain = Some(plain);
        return flight;
    }
    let mut messages = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() && flight.records < RECORD_COUNT_MAX {
        let Some((kind, body, after)) = record(rest) else {
            flight.cut = true;
            break;
        };
        rest = after;
        flight.records += 1;
        match kind {
            21 => read_alert(&mut flight, body),
            22 => messages.extend_from_slice(body),
            20 => {}
            23 => flight.done = true,
            _ => {
                flight.malformed = true;
                break;
            }
        }
    }
    read_messages(&mut flight, &messages);
    flight
}

/// What the first bytes are, when they are not a TLS record.
pub fn sniff(bytes: &[u8]) -> Option<Plain> {
    let first = *bytes.first()?;
    let tls = (20..=24).contains(&first) && bytes.get(1).is_none_or(|major| *major == 3);
    if tls {
        return None;
    }
    let head: Vec<u8> = bytes.iter().take(64).map(u8::to_ascii_uppercase).collect();
    let text = head.trim_ascii_start();
    Some(match text {
        _ if text.starts_with(b"SSH-") => Plain::Ssh,
        _ if [b"HTTP/".as_slice(), b"<!DOCTYPE", b"<HTML", b"<?XML"].iter().any(|p| text.starts_with(p)) => {
            Plain::Http
        }
        _ if text.starts_with(b"220 ") || text.starts_with(b"220-") || text.starts_with(b"554 ") => {
            if text.windows(3).any(|w| w == b"FTP") { Plain::Other } else { Plain::Smtp }
        }
        _ => Plain::Other,
    })
}

fn record(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let header = bytes.get(..5)?;
    let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
    let body = bytes.get(5..5 + length)?;
    Some((header[0], body, &bytes[5 + length..]))
}

fn read_alert(flight: &mut Flight, body: &[u8]) {
    if let [level, code] = body {
        // A warning such as unrecognized_name is not the end; a later fatal one is.
        if flight.alert.is_none_or(|alert| !alert.fatal) {
            flight.alert = Some(Alert { fatal: *level == 2, code: *code });
        }
    }
}

fn read_messages(flight: &mut Flight, bytes: &[u8]) {
    let mut reader = Reader(bytes);
    for _ in 0..MESSAGE_COUNT_MAX {
        if reader.0.is_empty() {
            return;
        }
        let message = reader.u8().zip(reader.list24());
        let Some((kind, body)) = message else {
            flight.cut = true;
            return;
        };
        match kind {
            2 => match server_hello(body) {
                Some(hello) => flight.hello = Some(hello),
                None => flight.malformed = true,
            },
            11 => read_certificates(flight, body),
            12 => read_key_exchange(flight, body),
            13 => flight.certificate_request = true,
            14 => flight.done = true,
            22 => {
                let mut status = Reader(body);
                if status.u8() == Some(1) {
                    flight.staple = status.list24().map(<[u8]>::to_vec);
                }
            }
            _ => {}
        }
    }
}

fn server_hello(body: &[u8]) -> Option<ServerHello> {
    let mut reader = Reader(body);
    let mut version = reader.u16()?;
    let random = reader.take(32)?;
    reader.list8()?;
    let cipher = reader.u16()?;
    reader.u8()?;
    let retry = random == RETRY_RANDOM;
    let (mut group, mut alpn) = (None, None);
    let mut extensions = Reader(reader.list16().unwrap_or_default());
    while let (Some(kind), Some(body)) = (extensions.u16(), extensions.list16()) {
        let mut reader = Reader(body);
        match kind {
            43 => version = reader.u16().unwrap_or(version),
            51 => group = reader.u16(),
            16 => alpn = reader.list16().and_then(|list| Reader(list).list8()).map(<[u8]>::to_vec),
            _ => {}
        }
    }
    Some(ServerHello { version, cipher, group, retry, alpn })
}

fn read_certificates(flight: &mut Flight, body: &[u8]) {
    let Some(list) = Reader(body).list24() else {
        flight.malformed = true;
        return;
    };
    let mut reader = Reader(list);
    while let Some(certificate) = reader.list24() {
        if flight.chain.len() >= CERTIFICATE_COUNT_MAX {
            return;
        }
        flight.chain.push(certificate.to_vec());
    }
}

/// RFC 5246 section 7.4.3 and RFC 8422 section 5.4; which of the two follows from the suite.
fn read_key_exchange(flight: &mut Flight, body: &[u8]) {
    let Some(hello) = flight.hello.as_ref().filter(|hello| hello.version < TLS13) else { return };
    let mut reader = Reader(body);
    let elliptic = hello.cipher >> 8 == 0xc0 || hello.cipher == 0xcca8 || hello.cipher == 0xcca9;
    let finite_with_c0 = (0xc09e..=0xc09f).contains(&hello.cipher);
    if elliptic && !finite_with_c0 {
        if reader.u8() == Some(3) {
            flight.curve = reader.u16();
        }
    } else if let Some(prime) = reader.list16() {
        let significant = prime.iter().position(|byte| *byte != 0).map(|at| &prime[at..]);
        flight.dh_bits = significant.map(|p| p.len() * 8 - p[0].leading_zeros() as usize);
    }
}

/// A bounded cursor: every read says whether there was enough.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn list8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    fn list16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    fn list24(&mut self) -> Option<&'a [u8]> {
        let high = self.u8()?;
        let low = self.u16()?;
        self.take(usize::from(high) << 16 | usize::from(low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_what_is_not_tls() {
        assert_eq!(sniff(b"SSH-2.0-OpenSSH_9.2\r\n"), Some(Plain::Ssh));
        assert_eq!(sniff(b"HTTP/1.1 400 Bad Request\r\n"), Some(Plain::Http));
        assert_eq!(sniff(b"<!doctype html>"), Some(Plain::Http));
        assert_eq!(sniff(b"220 mx.example ESMTP"), Some(Plain::Smtp));
        assert_eq!(sniff(b"220 ProFTPD"), Some(Plain::Other));
        assert_eq!(sniff(b"+OK ready"), Some(Plain::Other));
        assert_eq!(sniff(&[21, 3, 1, 0, 2, 2, 40]), None);
    }

    #[test]
    fn reads_a_fatal_alert_after_a_warning() {
        let flight = parse(&[21, 3, 3, 0, 2, 1, 112, 21, 3, 3, 0, 2, 2, 40]);
        assert_eq!(flight.alert, Some(Alert { fatal: true, code: 40 }));
        assert!(flight.is_tls());
    }

    #[test]
    fn a_cut_record_is_said_to_be_cut() {
        assert!(parse(&[22, 3, 3, 0, 200, 2, 0, 0, 50, 3, 3]).cut);
    }

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            parse(&bytes);
        }

        #[test]
        fn never_panics_on_any_messages(bytes in proptest::collection::vec(any::<u8>(), 0..600), kind in 0u8..25) {
            let mut record = vec![22, 3, 3];
            record.extend(((bytes.len() + 4) as u16).to_be_bytes());
            record.extend([kind, 0]);
            record.extend((bytes.len() as u16).to_be_bytes());
            record.extend(&bytes);
            parse(&record);
        }
    }
}
