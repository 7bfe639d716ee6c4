//! Builds a ClientHello byte by byte, with every knob a server or a filter may stumble over. Pure.

use crate::suites::{GROUPS, SECP256R1, SUITES_12, SUITES_13, X25519, X25519MLKEM768};

/// Largest hello built, in bytes.
pub const HELLO_BYTES_MAX: usize = 16_000;

/// SSL 3.
pub const SSL3: u16 = 0x0300;
/// TLS 1.0.
pub const TLS10: u16 = 0x0301;
/// TLS 1.1.
pub const TLS11: u16 = 0x0302;
/// TLS 1.2.
pub const TLS12: u16 = 0x0303;
/// TLS 1.3.
pub const TLS13: u16 = 0x0304;

/// What is sent before the hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preface {
    /// Nothing, as every client does.
    #[default]
    None,
    /// A PROXY protocol header, version 1.
    ProxyV1,
    /// A PROXY protocol header, version 2.
    ProxyV2,
}

/// Everything about one hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// `legacy_version`; the newest offered when it is 1.2 or older.
    pub version: u16,
    /// The version in the record header.
    pub record_version: u16,
    /// `supported_versions`; without it the hello is one of TLS 1.2 or older.
    pub versions: Vec<u16>,
    pub ciphers: Vec<u16>,
    pub groups: Vec<u16>,
    /// Groups a key share is sent for.
    pub shares: Vec<u16>,
    pub signatures: Vec<u16>,
    pub name: Option<String>,
    pub alpn: Vec<Vec<u8>>,
    /// Ask for an OCSP staple.
    pub staple: bool,
    /// Pad the record to at least so many bytes (RFC 7685).
    pub size_min: Option<usize>,
    pub preface: Preface,
}

/// Signature algorithms, from today's to SHA-1: a hello that fails must not fail for these.
const SIGNATURES: [u16; 16] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501,
    0x0601, 0x0203, 0x0201,
];

impl Hello {
    /// The hello of today's clients taken together (OpenSSL 3 and browsers), TLS 1.2 and 1.3.
    pub fn wide(name: Option<&str>) -> Hello {
        Hello {
            version: TLS12,
            record_version: TLS10,
            versions: vec![TLS13, TLS12],
            ciphers: SUITES_13.iter().chain(&SUITES_12).filter(|s| s.common).map(|s| s.code).collect(),
            groups: GROUPS.iter().filter(|g| g.common && g.code != X25519MLKEM768).map(|g| g.code).collect(),
            shares: vec![X25519],
            signatures: SIGNATURES.to_vec(),
            name: name.map(str::to_owned),
            alpn: Vec::new(),
            staple: false,
            size_min: None,
            preface: Preface::None,
        }
    }

    /// A hello of exactly one version, SSL 3 to TLS 1.3, with all its suites, weak ones too.
    pub fn only(version: u16, name: Option<&str>) -> Hello {
        let wide = Hello::wide(name);
        if version >= TLS13 {
            let ciphers = SUITES_13.iter().map(|s| s.code).collect();
            return Hello { versions: vec![TLS13], ciphers, ..wide };
        }
        let ciphers = SUITES_12.iter().map(|s| s.code).collect();
        let record_version = version.min(TLS10);
        Hello { version, record_version, versions: Vec::new(), ciphers, shares: Vec::new(), ..wide }
    }

    /// The hello of a client no newer than a version: today's suites up to it.
    pub fn limited(version: u16, name: Option<&str>) -> Hello {
        let wide = Hello::wide(name);
        if version >= TLS13 {
            return wide;
        }
        let ciphers = SUITES_12.iter().filter(|s| s.common).map(|s| s.code).collect();
        Hello { version, versions: Vec::new(), ciphers, shares: Vec::new(), ..wide }
    }

    /// The hello of a browser with post-quantum key exchange: beyond one packet of 1,448 bytes.
    pub fn post_quantum(name: Option<&str>) -> Hello {
        let mut hello = Hello::wide(name);
        hello.groups.insert(0, X25519MLKEM768);
        hello.shares = vec![X25519MLKEM768, X25519];
        hello.staple = true;
        hello.size_min = Some(1_780);
        hello
    }

    /// A hello every TLS server must refuse, with one short alert: TLS 1.2 with no suite but a reserved one.
    pub fn unacceptable(name: Option<&str>) -> Hello {
        // RFC 8701: never assigned, so no server takes it.
        Hello { ciphers: vec![0x0a0a], ..Hello::limited(TLS12, name) }
    }

    /// The bytes to send. `seed` fills the random fields; the same seed gives the same bytes.
    pub fn bytes(&self, seed: [u8; 32]) -> Vec<u8> {
        let mut out = preface(self.preface);
        let mut body = self.body(seed, None);
        if let Some(size) = self.size_min {
            let missing = size.min(HELLO_BYTES_MAX).saturating_sub(body.len() + 9);
            if missing > 0 {
                body = self.body(seed, Some(missing.saturating_sub(4)));
            }
        }
        out.push(22);
        out.extend(self.record_version.to_be_bytes());
        push_u16(&mut out, body.len() + 4);
        out.push(1);
        out.push(0);
        push_u16(&mut out, body.len());
        out.extend(body);
        out
    }

    fn body(&self, seed: [u8; 32], padding: Option<usize>) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend(self.version.to_be_bytes());
        out.extend(seed);
        if self.versions.is_empty() {
            out.push(0);
        } else {
            out.push(32);
            out.extend(stream(seed, 1).take(32));
        }
        push_u16(&mut out, self.ciphers.len() * 2 + 2);
        self.ciphers.iter().for_each(|cipher| out.extend(cipher.to_be_bytes()));
        out.extend([0x00, 0xff]); // secure renegotiation, without an extension (RFC 5746)
        out.extend([1, 0]);
        if self.version > SSL3 {
            let extensions = self.extensions(seed, padding);
            push_u16(&mut out, extensions.len());
            out.extend(extensions);
        }
        out
    }

    fn extensions(&self, seed: [u8; 32], padding: Option<usize>) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        if let Some(name) = &self.name {
            let mut list = vec![0];
            push_list(&mut list, name.as_bytes());
            extension(&mut out, 0, &with_length(&list));
        }
        extension(&mut out, 23, &[]);
        if self.staple {
            extension(&mut out, 5, &[1, 0, 0, 0, 0]);
        }
        if !self.groups.is_empty() {
            extension(&mut out, 10, &with_length(&numbers(&self.groups)));
            extension(&mut out, 11, &[1, 0]);
        }
        if self.version >= TLS12 {
            extension(&mut out, 13, &with_length(&numbers(&self.signatures)));
        }
        if !self.alpn.is_empty() {
            let mut list = Vec::new();
            for protocol in &self.alpn {
                list.push(u8::try_from(protocol.len()).unwrap_or(0));
                list.extend(&protocol[..protocol.len().min(255)]);
            }
            extension(&mut out, 16, &with_length(&list));
        }
        if !self.versions.is_empty() {
            let list = numbers(&self.versions);
            let mut body = vec![u8::try_from(list.len()).unwrap_or(0)];
            body.extend(list);
            extension(&mut out, 43, &body);
            extension(&mut out, 45, &[1, 1]);
            extension(&mut out, 51, &with_length(&self.key_shares(seed)));
        }
        if let Some(length) = padding {
            extension(&mut out, 21, &vec![0; length]);
        }
        out
    }

    fn key_shares(&self, seed: [u8; 32]) -> Vec<u8> {
        let mut out = Vec::new();
        for group in &self.shares {
            if let Some(share) = key_share(*group, seed) {
                out.extend(group.to_be_bytes());
                push_list(&mut out, &share);
            }
        }
        out
    }
}

/// The base point of P-256, uncompressed: a valid share for a handshake that is never finished.
const P256_BASE: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
    0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
    0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

/// A well-formed share; none for groups whose share we cannot make (the server then asks again).
fn key_share(group: u16, seed: [u8; 32]) -> Option<Vec<u8>> {
    match group {
        X25519 => Some(stream(seed, 2).take(32).collect()),
        SECP256R1 => Some(P256_BASE.to_vec()),
        X25519MLKEM768 => {
            let mut share = ml_kem_768_key(seed);
            share.extend(stream(seed, 3).take(32));
            Some(share)
        }
        _ => None,
    }
}

/// An ML-KEM-768 encapsulation key that passes the modulus check of FIPS 203 section 7.2: 1,184 bytes.
fn ml_kem_768_key(seed: [u8; 32]) -> Vec<u8> {
    let mut source = stream(seed, 4);
    let mut next = || {
        let high = u32::from(source.next().unwrap_or(0));
        let low = u32::from(source.next().unwrap_or(0));
        (high << 8 | low) % 3_329
    };
    let mut key = Vec::with_capacity(1_184);
    for _ in 0..384 {
        let (a, b) = (next(), next());
        key.extend([(a & 0xff) as u8, ((a >> 8) | ((b & 0xf) << 4)) as u8, (b >> 4) as u8]);
    }
    key.extend(stream(seed, 5).take(32));
    key
}

/// Endless bytes out of a seed (xorshift64*); not secret, merely unlike each other.
fn stream(seed: [u8; 32], salt: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.chunks_exact(8).fold(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15), |sum, part| {
        part.iter().fold(sum, |sum, byte| sum.rotate_left(9) ^ u64::from(*byte)).wrapping_add(0x2545)
    }) | 1;
    std::iter::repeat_with(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    })
}

/// A PROXY header (haproxy's proxy-protocol.txt, sections 2.1 and 2.2) from documentation addresses.
fn preface(kind: Preface) -> Vec<u8> {
    match kind {
        Preface::None => Vec::new(),
        Preface::ProxyV1 => b"PROXY TCP4 192.0.2.10 192.0.2.20 40000 443\r\n".to_vec(),
        Preface::ProxyV2 => {
            let mut out = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
            out.extend([192, 0, 2, 10, 192, 0, 2, 20, 0x9c, 0x40, 0x01, 0xbb]);
            out
        }
    }
}

fn numbers(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    push_list(&mut out, bytes);
    out
}

fn push_list(out: &mut Vec<u8>, bytes: &[u8]) {
    push_u16(out, bytes.len());
    out.extend(bytes);
}

fn extension(out: &mut Vec<u8>, kind: u16, body: &[u8]) {
    out.extend(kind.to_be_bytes());
    push_list(out, body);
}

fn push_u16(out: &mut Vec<u8>, value: usize) {
    out.extend(u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn post_quantum_needs_two_packets_and_the_small_one_does_not() {
        assert!(Hello::post_quantum(Some("shop.example")).bytes([7; 32]).len() > 1_700);
        assert!(Hello::wide(Some("shop.example")).bytes([7; 32]).len() < 420);
        assert!(Hello::only(SSL3, None).bytes([7; 32]).len() < 250);
    }

    #[test]
    fn record_and_message_lengths_agree() {
        for hello in
            [Hello::wide(None), Hello::post_quantum(Some("a.example")), Hello::only(TLS10, Some("a"))]
        {
            let bytes = hello.bytes([1; 32]);
            let record = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
            assert_eq!(record + 5, bytes.len());
            assert_eq!(usize::from(u16::from_be_bytes([bytes[7], bytes[8]])) + 9, bytes.len());
        }
    }

    #[test]
    fn ml_kem_key_has_the_length_of_the_standard() {
        assert_eq!(ml_kem_768_key([9; 32]).len(), 1_184);
        assert_eq!(key_share(X25519MLKEM768, [9; 32]).unwrap().len(), 1_216);
    }
}
